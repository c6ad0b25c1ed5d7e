/* test_predict.c: the training peak that is predicted from what estimators say of themselves is the one that the ledger measures. The cells are
 * made from the registry: every estimator, every other value of each of its options, and where that changes what is predicted, every realisation,
 * storage and place of updates that it allows; on an encoder with a head and on a causal decoder with prompts. A new estimator is in it by itself. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/predict.h"
#include "core/mem.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { STEPS = 5, MODELS = 2 };

static char folder[64];

static const char *const models[MODELS] = {
    "\"model\": \"shape:roberta-tiny\", \"form\": \"head\"", "\"model\": \"shape:llama-tiny\", \"form\": \"prompt\""};

static int measured, refused;

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
    ck_assert_msg(zo_setup_open(&s, &grid.cell[0], &(zo_setup_dirs){0}, be, &err) == ZO_OK, "%s: %s", text, err.text);
    check_start(&s, text);
    uint64_t said[ZO_TAGS], total = 0;
    zo_predict_peak(&s, said);
    zo_mem_reset_peaks();
    zo_mem_phase(ZO_PHASE_TRAIN);
    zo_status status = ZO_OK;
    for (int step = 0; step < STEPS && status == ZO_OK && grid.cell[0].estimator->step != NULL; step++) {
        zo_step_report report;
        double seconds;
        status = zo_setup_step(&s, step, &report, &seconds, &err);
    }
    zo_peak peak = zo_mem_peak(be->space, ZO_PHASE_TRAIN);
    zo_setup_close(&s);
    be->close(be);
    zo_grid_free(&grid);
    if (status == ZO_EUNSUPPORTED) {
        refused++;
        return false;
    }
    ck_assert_msg(status == ZO_OK, "%s: %s", text, err.text);
    for (int t = 0; t < ZO_TAGS; t++) {
        total += said[t];
        bool exact = t == ZO_TAG_PARAMS || t == ZO_TAG_GRADS || t == ZO_TAG_OPT_STATE || t == ZO_TAG_SNAPSHOT || t == ZO_TAG_ACTIVATIONS;
        ck_assert_msg(!exact || said[t] == peak.tag_bytes[t], "%s: %s is predicted %llu and takes %llu", text, zo_tag_name((zo_tag)t),
                      (unsigned long long)said[t], (unsigned long long)peak.tag_bytes[t]);
    }
    total -= said[ZO_TAG_WORKSPACE]; /* the backend's scratch grows with the products that a step turns out to need */
    uint64_t taken = peak.total_bytes - peak.tag_bytes[ZO_TAG_WORKSPACE];
    ck_assert_msg(total < 1.01 * (double)taken && total > 0.99 * (double)taken, "%s: predicted %llu, measured %llu", text, (unsigned long long)total,
                  (unsigned long long)taken);
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

/* How far a setting is tried: in every way that the program has; in every realisation; in one. */
typedef enum breadth { EVERY_WAY, EVERY_REALISATION, ONE_WAY } breadth;

static void run_ways(const char *model, const zo_estimator *e, const cJSON *optimizer, breadth how)
{
    static const char *const accumulates[] = {"weights", "log"};
    char *text = cJSON_PrintUnformatted(optimizer);
    int before = measured;
    for (int way = 0; way < ZO_REALISATIONS * ZO_STORAGES * 2; way++) {
        int realisation = way % ZO_REALISATIONS, storage = way / ZO_REALISATIONS % ZO_STORAGES, accumulate = way / ZO_REALISATIONS / ZO_STORAGES;
        if ((how != EVERY_WAY && storage + accumulate > 0) || (realisation > 0 && (e->step == NULL || e->first_order)) || (how == ONE_WAY && measured > before)) {
            continue;
        }
        char config[1200];
        snprintf(config, sizeof config, "{%s, \"optimizer\": %s, \"realisation\": \"%s\", \"storage\": \"%s\", \"accumulate\": \"%s\", \"init\": \"random\", "
                 "\"task\": \"synth-lengths\", \"train\": 24, \"dev\": 8, \"test\": 0, \"context\": 32, \"batch\": 4, \"steps\": %d}", model, text,
                 zo_realisation_name((zo_realisation)realisation), zo_storage_name((zo_storage)storage), accumulates[accumulate], STEPS);
        run_cell(config);
    }
    ck_assert_msg(measured > before, "%s ran in no way", text);
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

/* Every option at every other value, alone and beside `variant` (NULL: beside the defaults). */
static void run_options(const char *model, const zo_estimator *e, const zo_variant *variant)
{
    zo_bytes defaults[4], these[4];
    count_kept(e, NULL, defaults);
    for (const zo_opt *o = e->options; o->key != NULL; o++) {
        if (variant != NULL && strcmp(variant->key, o->key) == 0) {
            continue;
        }
        cJSON *values = other_values(o), *value;
        cJSON_ArrayForEach(value, values) {
            cJSON *options = variant != NULL ? zo_variant_options(variant) : cJSON_CreateObject();
            cJSON_AddItemToObject(options, o->key, cJSON_Duplicate(value, true));
            count_kept(e, options, these);
            breadth how = variant != NULL ? ONE_WAY : memcmp(these, defaults, sizeof these) != 0 ? EVERY_WAY : EVERY_REALISATION;
            cJSON_AddStringToObject(options, "name", e->name);
            run_ways(model, e, options, how);
            cJSON_Delete(options);
        }
        cJSON_Delete(values);
    }
}

START_TEST(every_estimator_and_option)
{
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    const zo_estimator *e = list[_i % n];
    const char *model = models[_i / n];
    cJSON *name = cJSON_CreateString(e->name);
    run_ways(model, e, name, EVERY_WAY);
    cJSON_Delete(name);
    run_options(model, e, NULL);
    for (const zo_variant *v = e->variants; v != NULL && v->key != NULL; v++) {
        cJSON *options = zo_variant_options(v);
        cJSON_AddStringToObject(options, "name", e->name);
        run_ways(model, e, options, EVERY_WAY);
        cJSON_Delete(options);
        run_options(model, e, v);
    }
    ck_assert(measured > 0);
    printf("measured: %s, %d cells%s\n", e->name, measured, _i / n ? " of a decoder" : "");
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_predict.XXXXXX");
    if (mkdtemp(folder) == NULL || setenv("ZO_CACHE", folder, 1) != 0) {
        perror(folder);
        return 1;
    }
    const zo_estimator *const *list;
    TCase *t = tcase_create("predict");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, every_estimator_and_option, 0, MODELS * zo_estimator_list(&list));
    Suite *s = suite_create("predict");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
