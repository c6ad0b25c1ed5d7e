/* test_predict.c: the training peak that is predicted from what estimators say of themselves is the one that the ledger measures. The cells are
 * made from the registry: every estimator, every other value of each of its options, and where that changes what is predicted, every realisation,
 * storage and place of updates that it allows; on an encoder with a head and on a causal decoder with prompts. A new estimator is in it by itself.
 * This program stands in for `zo`: started with a command it is that command. */
#include <check.h>
#include <cjson/cJSON.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/predict.h"
#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/grid.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "tests/few_queries.h"
#include "tests/folder.h"
#include "tests/plugins.h"
#include "tests/suite.h"

enum { STEPS = 5, MODELS = 2 };

static char folder[64];

static const char *const models[MODELS] = {
    "\"model\": \"shape:roberta-tiny\", \"form\": \"head\"", "\"model\": \"shape:llama-tiny\", \"form\": \"prompt\""};

static int measured, refused, untrained, headless; /* the last: cells whose linear probe would write what their view has frozen */

/* What start() made is what the estimator says of it, so a prediction before anything is opened (`zo inspect`) is right too. */
static void check_start(const zo_setup *s, const char *text)
{
    const zo_cell *c = s->cell;
    zo_err err = {0};
    zo_needs needs;
    zo_bytes start, steps;
    zo_extent extent = zo_predict_extent(s);
    ck_assert(zo_needs_of(c->estimator, c->options, &extent, &needs, &err) == ZO_OK);
    zo_needs_count(&needs, &extent, &start, &steps);
    static const zo_tag tags[] = {ZO_TAG_GRADS, ZO_TAG_OPT_STATE, ZO_TAG_SNAPSHOT};
    for (int i = 0; i < 3; i++) {
        uint64_t live = zo_mem_live(s->be->space).tag_bytes[tags[i]], said = start.backend[tags[i]] + start.host[tags[i]];
        said += tags[i] == ZO_TAG_OPT_STATE && c->accumulate == ZO_ACCUMULATE_LOG ? ZO_LOG_MOST * sizeof(zo_term) : 0; /* the engine's */
        bool ruled = needs.factored && needs.factors.rank == 0;
        ck_assert_msg(ruled ? live <= said : live == said, "%s: start() made %llu bytes of %s, and it says %llu", text, (unsigned long long)live,
                      zo_tag_name(tags[i]), (unsigned long long)said);
    }
}

/* Such a processor widens bf16 products of some inner sizes (backends/cpu/gemm.c). */
static bool has_amx(void)
{
    static int known = -1;
    char line[8192];
    FILE *f = known < 0 ? fopen("/proc/cpuinfo", "r") : NULL;
    known = known < 0 ? 0 : known;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        known = known || strstr(line, " amx_bf16") != NULL;
    }
    if (f != NULL) {
        fclose(f);
    }
    return known;
}

/* One cell: predicted, run, measured. False where the program refuses it. */
static bool run_cell(const char *text)
{
    zo_grid grid;
    zo_err err = {0};
    zo_backend *be;
    zo_setup s;
    if (zo_grid_parse(&grid, text, "test", &err) != ZO_OK) {
        refused++;
        return false;
    }
    ck_assert_int_eq(grid.n, 1);
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
    zo_status status = zo_setup_open(&s, &grid.cell[0], &(zo_setup_dirs){0}, be, &err);
    if (status == ZO_EUNSUPPORTED) {
        untrained += strstr(err.text, "nothing that is trained here") != NULL;
        zo_setup_close(&s);
        be->close(be);
        zo_grid_free(&grid);
        refused++;
        return false;
    }
    ck_assert_msg(status == ZO_OK, "%s: %s", text, err.text);
    check_start(&s, text);
    uint64_t said[ZO_TAGS], total = 0;
    zo_extent extent = zo_predict_extent(&s);
    zo_needs needs;
    ck_assert(zo_needs_of(grid.cell[0].estimator, grid.cell[0].options, &extent, &needs, &err) == ZO_OK);
    bool own_log = grid.cell[0].accumulate == ZO_ACCUMULATE_LOG && needs.rights > 0;
    bool widens = grid.cell[0].precision == ZO_BF16 && has_amx(); /* the room of a widened product goes by its batch's pieces */
    zo_predict_peak(&s, said);
    zo_mem_reset_peaks();
    zo_mem_phase(ZO_PHASE_TRAIN);
    for (int step = 0; step < STEPS && status == ZO_OK && grid.cell[0].estimator->step != NULL; step++) {
        zo_step_report report;
        double seconds;
        status = zo_setup_step(&s, step, &report, &seconds, &err);
    }
    if (grid.cell[0].estimator->fit != NULL) {
        zo_step_report report;
        double seconds;
        status = zo_setup_fit(&s, &report, &seconds, &err);
    }
    zo_peak peak = zo_mem_peak(be->space, ZO_PHASE_TRAIN);
    zo_setup_close(&s);
    be->close(be);
    zo_grid_free(&grid);
    if (status == ZO_EUNSUPPORTED) {
        refused++;
        headless += strstr(err.text, "a linear probe writes") != NULL;
        return false;
    }
    ck_assert_msg(status == ZO_OK, "%s: %s", text, err.text);
    char apart[400] = "";
    for (int t = 0; t < ZO_TAGS; t++) {
        total += said[t];
        size_t at = strlen(apart);
        if (said[t] != peak.tag_bytes[t]) {
            snprintf(apart + at, sizeof apart - at, "; %s %llu, %llu", zo_tag_name((zo_tag)t), (unsigned long long)said[t], (unsigned long long)peak.tag_bytes[t]);
        }
        /* beside a log of directions with factors of their own one V more may be there, or the room in which it is made: which moment is the peak hangs on
         * what a pass takes on its way */
        bool exact = t == ZO_TAG_PARAMS || t == ZO_TAG_GRADS || (t == ZO_TAG_OPT_STATE && !own_log) || t == ZO_TAG_SNAPSHOT || t == ZO_TAG_ACTIVATIONS;
        ck_assert_msg(!exact || said[t] == peak.tag_bytes[t], "%s: %s is predicted %llu and takes %llu", text, zo_tag_name((zo_tag)t),
                      (unsigned long long)said[t], (unsigned long long)peak.tag_bytes[t]);
    }
    double margin = widens ? 0.08 : 0.01;
    ck_assert_msg((double)total < (1 + margin) * (double)peak.total_bytes && (double)total > (1 - margin) * (double)peak.total_bytes, "%s: predicted %llu, measured %llu%s", text,
                  (unsigned long long)total, (unsigned long long)peak.total_bytes, apart);
    measured++;
    return true;
}

/* ---- the cells ---------------------------------------------------------------------------------------------------------- */

/* Values of an option other than its default, as JSON; the caller deletes the array. */
static cJSON *other_values(const zo_opt *o)
{
    cJSON *list = cJSON_CreateArray();
    if (o->type == ZO_OPT_BOOL) {
        cJSON_AddItemToArray(list, cJSON_CreateBool(o->initial == 0));
    } else if (o->type == ZO_OPT_CHOICE) {
        char words[200], *save = NULL;
        snprintf(words, sizeof words, "%s", o->choices);
        int k = 0;
        for (char *word = strtok_r(words, "|", &save); word != NULL; word = strtok_r(NULL, "|", &save), k++) {
            if (k != (int)o->initial) {
                cJSON_AddItemToArray(list, cJSON_CreateString(word));
            }
        }
    } else if (strcmp(o->key, "length") == 0) { /* of rows: some of these are longer, and some are not */
        cJSON_AddItemToArray(list, cJSON_CreateNumber(20));
    } else if (o->type == ZO_OPT_INT || o->type == ZO_OPT_REAL) {
        double more = o->type == ZO_OPT_INT ? 2 * o->initial + 1 : o->initial == 0 ? 0.5 : o->initial / 2;
        double value[] = {o->type == ZO_OPT_INT ? o->least : more, more};
        for (int i = 0; i < 2; i++) {
            if (value[i] >= o->least && value[i] <= o->most && value[i] != o->initial && (i == 0 || value[1] != value[0])) {
                cJSON_AddItemToArray(list, cJSON_CreateNumber(value[i]));
            }
        }
    }
    return list;
}

/* How far a setting is tried: in every way that the program has (with products in bf16 where the weights are held in f16); in every realisation; in one. */
typedef enum breadth { EVERY_WAY, EVERY_REALISATION, ONE_WAY } breadth;

/* An optimizer of a config, with few queries. */
static cJSON *with_few_queries(const zo_estimator *e, const cJSON *optimizer)
{
    cJSON *with = cJSON_IsObject(optimizer) ? cJSON_Duplicate(optimizer, true) : cJSON_CreateObject();
    if (!cJSON_IsObject(optimizer)) {
        cJSON_AddStringToObject(with, "name", optimizer->valuestring);
    }
    return few_queries(e, with);
}

static void run_cells(const char *model, const zo_estimator *e, const cJSON *optimizer, breadth how)
{
    static const char *const accumulates[] = {"weights", "log"};
    cJSON *few = with_few_queries(e, optimizer);
    char *whole = cJSON_PrintUnformatted(optimizer), *text = cJSON_PrintUnformatted(few);
    int before = measured;
    for (int way = 0; way < ZO_REALISATIONS * ZO_STORAGES * 2; way++) {
        int realisation = way % ZO_REALISATIONS, storage = way / ZO_REALISATIONS % ZO_STORAGES, accumulate = way / ZO_REALISATIONS / ZO_STORAGES;
        if ((how != EVERY_WAY && storage + accumulate > 0) || (realisation > 0 && !zo_estimator_probes(e)) || (how == ONE_WAY && measured > before)) {
            continue;
        }
        char config[1200];
        snprintf(config, sizeof config, "{%s, \"optimizer\": %s, \"realisation\": \"%s\", \"storage\": \"%s\", \"precision\": \"%s\", \"accumulate\": \"%s\", \"init\": \"random\", "
                 "\"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 48, \"batch\": 5, \"steps\": %d}", model, way == 0 && how == EVERY_WAY ? whole : text,
                 zo_realisation_name((zo_realisation)realisation), zo_storage_name((zo_storage)storage), storage == ZO_STORAGE_F16 ? "bf16" : "f32", accumulates[accumulate], STEPS);
        run_cell(config);
    }
    cJSON_free(text);
    cJSON_free(whole);
    cJSON_Delete(few);
}

static void run_ways(const char *model, const zo_estimator *e, const cJSON *optimizer, breadth how)
{
    char *text = cJSON_PrintUnformatted(optimizer);
    int before = measured, untrained_before = untrained, headless_before = headless;
    run_cells(model, e, optimizer, how);
    /* an option that is of one mode alone is tried in each of the method's variants */
    for (const zo_variant *v = measured == before ? e->variants : NULL; v != NULL && v->key != NULL; v++) {
        if (!cJSON_HasObjectItem(optimizer, v->key)) {
            cJSON *with = cJSON_Duplicate(optimizer, true), *other = zo_variant_options(v);
            cJSON_AddItemToObject(with, v->key, cJSON_DetachItemFromObject(other, v->key));
            run_cells(model, e, with, how);
            cJSON_Delete(other);
            cJSON_Delete(with);
        }
    }
    bool frozen = untrained > untrained_before || headless > headless_before; /* a view may train none of the layers of a method's sets, or no head */
    ck_assert_msg(measured > before || frozen, "%s ran in no way", text);
    cJSON_free(text);
}

/* Bytes of the sets and factors, in a step in place and one streamed beside a log: what an option changes if it matters to them. */
static void count_kept(const zo_estimator *e, const cJSON *options, zo_bytes count[4])
{
    zo_layout layout = {0};
    zo_layout_add(&layout, "matrix", ZO_PARAM_MATRIX, 60, 50, 0, true);
    zo_layout_add(&layout, "table", ZO_PARAM_TABLE, 90, 50, -1, true);
    zo_layout_add(&layout, "bias", ZO_PARAM_VECTOR, 1, 60, 0, false);
    for (int log = 0; log < 2; log++) {
        zo_extent extent = {.layout = &layout, .realisation = log ? ZO_STREAMED : ZO_INPLACE, .accumulate = log ? ZO_ACCUMULATE_LOG : ZO_ACCUMULATE_WEIGHTS,
                            .storage = log ? ZO_STORAGE_BF16 : ZO_STORAGE_F32, .reads_rest = true, .steps = STEPS, .batches_per_epoch = 6};
        zo_err err = {0};
        zo_needs needs;
        ck_assert_msg(zo_needs_of(e, options, &extent, &needs, &err) == ZO_OK, "%s", err.text);
        zo_needs_count(&needs, &extent, &count[2 * log], &count[2 * log + 1]);
        for (int i = 0; i < 2; i++) {
            count[2 * log + i].host[ZO_TAG_OTHER] = 0;
        }
    }
    zo_layout_free(&layout);
}

/* Every option at every other value, at most so far: alone (variant NULL), or those that matter beside the variant. */
static void run_options(const char *model, const zo_estimator *e, const zo_variant *variant, breadth most)
{
    zo_bytes before[4], these[4];
    cJSON *base = variant != NULL ? zo_variant_options(variant) : NULL;
    count_kept(e, base, before);
    cJSON_Delete(base);
    for (const zo_opt *o = e->options; o->key != NULL; o++) {
        if (variant != NULL && strcmp(variant->key, o->key) == 0) {
            continue;
        }
        cJSON *values = other_values(o), *value;
        cJSON_ArrayForEach(value, values) {
            cJSON *options = variant != NULL ? zo_variant_options(variant) : cJSON_CreateObject();
            cJSON_AddItemToObject(options, o->key, cJSON_Duplicate(value, true));
            count_kept(e, options, these);
            bool matters = memcmp(these, before, sizeof these) != 0;
            cJSON_AddStringToObject(options, "name", estimator_word(e));
            if (variant == NULL || matters) {
                breadth how = variant != NULL ? ONE_WAY : matters ? EVERY_WAY : EVERY_REALISATION;
                run_ways(model, e, options, how > most ? how : most);
            }
            cJSON_Delete(options);
        }
        cJSON_Delete(values);
    }
}

START_TEST(every_estimator_and_option)
{
    const zo_estimator *const *list;
    int n = estimators_to_test(&list);
    const zo_estimator *e = list[_i % n];
    const char *model = models[_i / n];
    if (!suite_takes(_i, 1, 3)) {
        return;
    }
    cJSON *name = cJSON_CreateString(estimator_word(e));
    run_ways(model, e, name, EVERY_WAY);
    cJSON_Delete(name);
    run_options(model, e, NULL, EVERY_WAY);
    for (const zo_variant *v = e->variants; v != NULL && v->key != NULL; v++) {
        cJSON *options = zo_variant_options(v);
        cJSON_AddStringToObject(options, "name", estimator_word(e));
        run_ways(model, e, options, EVERY_WAY);
        cJSON_Delete(options);
        run_options(model, e, v, EVERY_WAY);
    }
    ck_assert(measured > 0);
    printf("measured: %s, %d cells%s\n", e->name, measured, _i / n ? " of a decoder" : "");
}
END_TEST

/* What a kind of view is tried with beside its defaults, where these are no view of both models: NULL = it is none of this one. */
static const struct { const char *kind; const char *more[MODELS]; } views[] = {
    {"bias", {"", NULL}}, /* a LLaMA has none */
    {"pattern", {" on embed.position,layer.0.attn.v.*,*.mlp.up.bias,class.out.weight", " on embed.token,layer.1.mlp.gate.weight,layer.0.attn.norm.weight"}},
    {"prefix", {"", " tokens 40 init random"}},
    {"lora", {"", " rank 16 on q,v"}},
    {"side", {"", " downsample 1"}},
    {"scales", {"\", \"quantised\": \"int8", "\", \"quantised_group\": 18, \"quantised\": \"int4"}}};

/* Every view of the registry with every estimator: in every way, and with every other value of an option that matters. */
START_TEST(every_estimator_and_view)
{
    const zo_estimator *const *list;
    const zo_tune_kind *const *kinds;
    int n = estimators_to_test(&list), model = _i % MODELS;
    zo_tune_kinds(&kinds);
    const char *kind = kinds[_i / MODELS]->name, *more = "";
    for (size_t k = 0; k < sizeof views / sizeof *views; k++) {
        more = strcmp(views[k].kind, kind) == 0 ? views[k].more[model] : more;
    }
    for (int i = 0; i < n && more != NULL; i++) {
        char text[400];
        cJSON *name = cJSON_CreateString(estimator_word(list[i]));
        snprintf(text, sizeof text, "%s, \"tune\": \"%s%s\"", models[model], kind, more);
        bool codes = strstr(more, "quantised") != NULL; /* at which no gradient is made */
        if (list[i]->step != NULL && suite_takes(_i + i, 3, 3) && !(codes && list[i]->first_order)) {
            run_ways(text, list[i], name, EVERY_WAY);
            if (!codes) { /* scales are never factored: what tells a method of low rank to leave the rest as it is leaves nothing to train */
                run_options(text, list[i], NULL, ONE_WAY);
            }
        }
        cJSON_Delete(name);
    }
    printf("measured: %d cells of %s%s%s\n", measured, kind, more != NULL ? more : "", model ? " of a decoder" : "");
}
END_TEST

/* What else can be trained beside codes, and what cannot. */
static const struct { const char *rest; bool runs; } beside_codes[] = {
    {"\"quantised\": \"int8\", \"optimizer\": \"zero-shot\"", true},
    {"\"quantised\": \"int8\", \"tune\": \"lora\", \"optimizer\": \"mezo\", \"realisation\": \"streamed\"", true},
    {"\"quantised\": \"int4\", \"tune\": \"lora\", \"optimizer\": \"mezo-adam\", \"storage\": \"f16\"", true},
    {"\"quantised\": \"int4\", \"quantised_group\": 10, \"tune\": \"prefix\", \"optimizer\": \"mezo\"", true},
    {"\"quantised\": \"int8\", \"tune\": \"lora\", \"optimizer\": \"fo-adamw\"", true},
    {"\"quantised\": \"int8\", \"tune\": \"scales\", \"optimizer\": \"fo-sgd\"", false},
    {"\"quantised\": \"int4\", \"tune\": \"last\", \"optimizer\": \"mezo\"", false},
    {"\"quantised\": \"int8\", \"optimizer\": \"mezo\"", false},
    {"\"quantised\": \"int8\", \"optimizer\": \"tezo\", \"realisation\": \"sidepath\"", false},
    {"\"quantised\": \"int8\", \"optimizer\": \"tezo\", \"realisation\": \"sidepath\", \"accumulate\": \"log\"", true},
    {"\"quantised\": \"int4\", \"optimizer\": \"tezo-m\", \"realisation\": \"sidepath\", \"accumulate\": \"log\", \"storage\": \"f16\", \"precision\": \"bf16\"", true}};

START_TEST(beside_codes_others_are_trained)
{
    for (size_t k = 0; k < sizeof beside_codes / sizeof *beside_codes; k++) {
        char config[900];
        snprintf(config, sizeof config, "{%s, %s, \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 48, "
                 "\"batch\": 5, \"steps\": %d}", models[_i], beside_codes[k].rest, STEPS);
        if (beside_codes[k].runs) {
            ck_assert_msg(run_cell(config), "%s", config);
            continue;
        }
        zo_grid grid;
        zo_err err = {0};
        zo_backend *be;
        zo_setup s;
        ck_assert_msg(zo_grid_parse(&grid, config, "test", &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_setup_open(&s, &grid.cell[0], &(zo_setup_dirs){0}, be, &err) == ZO_EINPUT, "%s", config);
        ck_assert_msg(strstr(err.text, "codes that no step writes") != NULL || strstr(err.text, "of which no gradient is made") != NULL, "%s", err.text);
        be->close(be);
        zo_grid_free(&grid);
    }
}
END_TEST

static const char *scratch(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

/* What this program says as `zo run` of c.json into p.db; the caller frees it. */
static char *zo_run_says(const char *more)
{
    char command[600], *said;
    size_t n;
    zo_err err = {0};
    snprintf(command, sizeof command, "/proc/%d/exe run %s --db %s %s >%s 2>%s", (int)getpid(), scratch("c.json"), scratch("p.db"), more, scratch("said"),
             scratch("errors"));
    int status = system(command);
    ck_assert(zo_read_file(scratch(status == 0 ? "said" : "errors"), 1 << 20, &said, &n, &err) == ZO_OK);
    ck_assert_msg(status == 0, "%s", said);
    return said;
}

/* Through the whole program: what a dry run says of a cell, and `train_peak_bytes` of its row. */
START_TEST(a_dry_run_says_what_the_row_will)
{
    char config[900];
    zo_err err = {0};
    snprintf(config, sizeof config, "{%s, \"optimizer\": [\"mezo\", {\"name\": \"fo-sgd\", \"momentum\": [0, 0.9]}, {\"name\": \"fo-sgd\", \"checkpoint\": true}, "
             "\"fo-adamw\", {\"name\": \"mezo-svrg\", \"mode\": [\"paper\", \"released\"]}, {\"name\": \"tezo\", \"realisation\": \"sidepath\", \"storage\": "
             "\"bf16\", \"accumulate\": \"log\"}], \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 40, \"dev\": 8, \"test\": 0, \"context\": 48, "
             "\"batch\": 5, \"steps\": 4, \"threads\": 1}", models[_i]);
    ck_assert(zo_write_file(scratch("c.json"), config, strlen(config), &err) == ZO_OK);
    char *said = zo_run_says("--dry-run --json");
    cJSON *cells = cJSON_Parse(said), *cell;
    ck_assert_int_eq(cJSON_GetArraySize(cells), 8);
    zo_free(said);
    zo_free(zo_run_says(""));
    sqlite3 *db;
    sqlite3_stmt *row;
    ck_assert_int_eq(sqlite3_open_v2(scratch("p.db"), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "SELECT train_peak_bytes, optimizer || optimizer_options FROM runs WHERE hash = ? AND status = 'done'", -1, &row, NULL), SQLITE_OK);
    cJSON_ArrayForEach(cell, cells) {
        double predicted = cJSON_GetNumberValue(cJSON_GetObjectItem(cell, "predicted_bytes"));
        sqlite3_bind_text(row, 1, cJSON_GetStringValue(cJSON_GetObjectItem(cell, "hash")), -1, SQLITE_STATIC);
        ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
        double peak = sqlite3_column_double(row, 0);
        ck_assert_msg(predicted > 0.99 * peak && predicted < 1.01 * peak, "%s: predicted %.0f, measured %.0f", (const char *)sqlite3_column_text(row, 1), predicted,
                      peak);
        sqlite3_reset(row);
    }
    sqlite3_finalize(row);
    sqlite3_close(db);
    cJSON_Delete(cells);
    ck_assert(remove(scratch("p.db")) == 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        signal(SIGPIPE, SIG_IGN);
        int code = strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : zo_cmd_run(argc - 1, argv + 1);
        return zo_output_end(argv[1], code);
    }
    snprintf(folder, sizeof folder, "build/test_predict.XXXXXX");
    if (mkdtemp(folder) == NULL || setenv("ZO_CACHE", folder, 1) != 0) {
        perror(folder);
        return 1;
    }
    const zo_estimator *const *list;
    TCase *t = tcase_create("predict");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, every_estimator_and_option, 0, MODELS * estimators_to_test(&list));
    const zo_tune_kind *const *kinds;
    tcase_add_loop_test(t, every_estimator_and_view, MODELS, MODELS * zo_tune_kinds(&kinds)); /* from the second on: the first is full */
    tcase_add_loop_test(t, beside_codes_others_are_trained, 0, MODELS);
    tcase_add_loop_test(t, a_dry_run_says_what_the_row_will, 0, MODELS);
    Suite *s = suite_create("predict");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
