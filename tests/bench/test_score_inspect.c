/* test_score_inspect.c: `zo score` on the stories260K checkpoint against transformers (tests/golden/make_score.py)
 * and its bad input; `zo inspect`'s prediction against the ledger. The checkpoint is looked for in
 * $ZO_TEST_MODELS, default ../shared/models; the test says so where it is absent. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cli/cmd.h"
#include "bench/synth/pretrain.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/model.h"
#include "optimizers/estimator.h"
#include "tasks/task.h"
#include "tests/suite.h"

#define GOLDEN "tests/golden/score_stories260k.jsonl.gz"

static char model[3000], folder[64];

static void start(void)
{
    snprintf(folder, sizeof folder, "/tmp/zo_score_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void stop(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Run a command with its output in folder/out and its errors in folder/err; both are read back. Check's fork keeps
 * it apart. */
static int run(int (*command)(int, char **), int argc, const char **argv, char **out, char **errors)
{
    char paths[2][128];
    size_t bytes;
    zo_err err = {0};
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, i == 0 ? "out" : "err");
    }
    int kept[2] = {dup(1), dup(2)};
    for (int i = 0; i < 2; i++) {
        int to = open(paths[i], O_CREAT | O_TRUNC | O_WRONLY, 0600);
        ck_assert_int_ge(to, 0);
        ck_assert_int_ge(dup2(to, i + 1), 0);
        close(to);
    }
    int code = command(argc, (char **)argv);
    fflush(NULL);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_ge(dup2(kept[i], i + 1), 0);
        close(kept[i]);
    }
    ck_assert_msg(zo_read_file(paths[0], 1 << 28, out, &bytes, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_read_file(paths[1], 1 << 20, errors, &bytes, &err) == ZO_OK, "%s", err.text);
    return code;
}

static double largest_difference(const cJSON *a, const cJSON *b, const char *key, long line)
{
    const cJSON *x = cJSON_GetObjectItem(a, key), *y = cJSON_GetObjectItem(b, key);
    ck_assert_msg(cJSON_IsArray(x) && cJSON_IsArray(y) && cJSON_GetArraySize(x) == cJSON_GetArraySize(y),
                  "line %ld: %s", line, key);
    double worst = 0;
    for (x = x->child, y = y->child; x != NULL; x = x->next, y = y->next) {
        worst = fmax(worst, fabs(x->valuedouble - y->valuedouble));
    }
    return worst;
}

/* The golden texts as a file of JSON strings, so that the line's bytes are beyond doubt. */
static void write_lines(const char *golden, size_t bytes, const char *path)
{
    char *copy = zo_alloc(ZO_HOST, ZO_TAG_DATA, bytes + 1), *line;
    memcpy(copy, golden, bytes);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    for (zo_lines lines = zo_lines_of(copy, bytes); (line = zo_lines_next(&lines, NULL)) != NULL;) {
        cJSON *json = cJSON_Parse(line);
        char *text = cJSON_PrintUnformatted(cJSON_GetObjectItem(json, "text"));
        fprintf(f, "%s\n", text);
        cJSON_free(text);
        cJSON_Delete(json);
    }
    fclose(f);
    zo_free(copy);
}

START_TEST(agrees_with_transformers)
{
    char path[128], *golden, *out, *errors, *want, *got;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(GOLDEN, 1 << 24, &golden, &bytes, &err) == ZO_OK, "%s", err.text);
    snprintf(path, sizeof path, "%s/lines", folder);
    write_lines(golden, bytes, path);
    const char *argv[] = {"score", model, path, "--json"};
    int code = run(zo_cmd_score, 4, argv, &out, &errors);
    ck_assert_msg(code == 0, "%s", errors);
    zo_lines wanted = zo_lines_of(golden, bytes), made = zo_lines_of(out, strlen(out));
    double hidden = 0, logprob = 0;
    while ((want = zo_lines_next(&wanted, NULL)) != NULL) {
        got = zo_lines_next(&made, NULL);
        cJSON *a = cJSON_Parse(want), *b = cJSON_Parse(got);
        ck_assert(a != NULL && b != NULL);
        ck_assert_double_eq(largest_difference(a, b, "ids", wanted.number), 0);
        hidden = fmax(hidden, largest_difference(a, b, "hidden", wanted.number));
        logprob = fmax(logprob, largest_difference(a, b, "logprob", wanted.number));
        cJSON_Delete(a);
        cJSON_Delete(b);
    }
    ck_assert_ptr_null(zo_lines_next(&made, NULL));
    printf("measured: zo score on stories260K: largest difference to transformers: hidden %.2g, log-probability "
           "%.2g\n",
           hidden, logprob);
    ck_assert_msg(hidden <= 5e-5 && logprob <= 5e-5, "hidden %g, logprob %g", hidden, logprob);
    zo_free(golden);
    zo_free(out);
    zo_free(errors);
}
END_TEST

/* A text of one token alone comes to what it comes to among others. */
START_TEST(one_token_alone)
{
    char path[128], *out, *errors, *alone = NULL;
    snprintf(path, sizeof path, "%s/one", folder);
    zo_err err = {0};
    static const char *const texts[] = {"\"\"\n", "\"\"\n\"Once upon a time\"\n"};
    for (int i = 0; i < 2; i++) {
        const char *argv[] = {"score", model, path, "--json"};
        ck_assert_int_eq(zo_write_file(path, texts[i], strlen(texts[i]), &err), ZO_OK);
        ck_assert_msg(run(zo_cmd_score, 4, argv, &out, &errors) == 0, "%s", errors);
        *strchr(out, '\n') = '\0';
        cJSON *first = cJSON_Parse(out);
        ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(first, "ids")), 1);
        ck_assert_int_gt(cJSON_GetArraySize(cJSON_GetObjectItem(first, "hidden")), 1);
        cJSON_Delete(first);
        if (i == 0) {
            alone = strdup(out);
        } else {
            ck_assert_str_eq(out, alone);
        }
        zo_free(out);
        zo_free(errors);
    }
    free(alone);
}
END_TEST

START_TEST(bad_input)
{
    char lines[128], *out, *errors;
    snprintf(lines, sizeof lines, "%s/lines", folder);
    FILE *f = fopen(lines, "w");
    for (int i = 0; i < 1200; i++) {
        fputs(i == 600 ? "?\n" : "word ", f);
    }
    fclose(f);
    const struct {
        const char *argv[4];
        int argc;
        const char *says;
    } wrong[] = {
        {{"score"}, 1, "usage"},
        {{"score", model, "no/such/file"}, 3, "no/such/file"},
        {{"score", "no/such/model/at/all"}, 2, "no/such/model"},
        {{"score", model, "--jsn"}, 3, "--json"},
        {{"score", model, lines}, 3, "512 positions"},
        {{"score", model, lines, "--json"}, 4, "line 1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(run(zo_cmd_score, wrong[i].argc, (const char **)wrong[i].argv, &out, &errors), 2);
        ck_assert_msg(strstr(errors, wrong[i].says) != NULL, "\"%s\" does not say \"%s\"", errors, wrong[i].says);
        zo_free(out);
        zo_free(errors);
    }
}
END_TEST

/* An encoder over the synthetic vocabulary in folder/weights; `spoil` = the weights that become NaN: 0 none, 1 the embedding of a token
 * that no line has, 2 all. */
static const char *make_encoder(int spoil)
{
    static char path[128];
    char file[160], *text;
    size_t bytes;
    zo_err err = {0};
    snprintf(path, sizeof path, "%s/weights", folder);
    ck_assert_msg(zo_make_dirs(path, &err) == ZO_OK && zo_synth_write_tokenizer(path, &err) == ZO_OK, "%s", err.text);
    static const char config[] = "{\"model_type\": \"bert\", \"vocab_size\": 400, \"hidden_size\": 16, \"num_hidden_layers\": 1,"
                                 "\"num_attention_heads\": 2, \"intermediate_size\": 32, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 64,"
                                 "\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}";
    snprintf(file, sizeof file, "%s/config.json", path);
    ck_assert_int_eq(zo_write_file(file, config, sizeof config - 1, &err), ZO_OK);
    zo_backend *be;
    zo_model *made;
    zo_model_spec spec = {.folder = path, .random = true, .seed = 3, .head = ZO_HEAD_CLASS, .classes = 0};
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK && zo_model_open(&made, &spec, be, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_model_save(made, path, &err) == ZO_OK, "%s", err.text);
    zo_model_close(made);
    be->close(be);
    snprintf(file, sizeof file, "%s/model.safetensors", path);
    ck_assert_int_eq(zo_read_file(file, 1 << 24, &text, &bytes, &err), ZO_OK);
    uint64_t header;
    memcpy(&header, text, 8);
    char *data = text + 8 + header;
    if (spoil == 1) {
        char *json = zo_alloc(ZO_HOST, ZO_TAG_OTHER, header + 1);
        memcpy(json, text + 8, header);
        cJSON *tensors = cJSON_Parse(json), *one = NULL, *words = NULL;
        cJSON_ArrayForEach(one, tensors) {
            words = strstr(one->string, "word_embeddings.weight") != NULL ? one : words;
        }
        ck_assert_ptr_nonnull(words);
        double start = cJSON_GetArrayItem(cJSON_GetObjectItem(words, "data_offsets"), 0)->valuedouble;
        memset(data + (size_t)start + 399 * 16 * sizeof(float), 0xff, 16 * sizeof(float));
        cJSON_Delete(tensors);
        zo_free(json);
    } else if (spoil == 2) {
        memset(data, 0xff, bytes - 8 - header);
    }
    ck_assert_int_eq(zo_write_file(file, text, bytes, &err), ZO_OK);
    zo_free(text);
    return path;
}

/* JSON has no NaN: a line that comes to it is an error, and one whose values are numbers is printed. */
START_TEST(weights_that_are_not_numbers)
{
    char lines[128], *out, *errors;
    snprintf(lines, sizeof lines, "%s/lines", folder);
    zo_err err = {0};
    static const char text[] = "the film was good .\nthe book was dull .\n";
    ck_assert_int_eq(zo_write_file(lines, text, sizeof text - 1, &err), ZO_OK);
    for (int spoil = 0; spoil < 3; spoil++) {
        const char *argv[] = {"score", make_encoder(spoil), lines};
        int code = run(zo_cmd_score, 3, argv, &out, &errors);
        if (spoil < 2) {
            ck_assert_msg(code == 0, "%s", errors);
            zo_lines made = zo_lines_of(out, strlen(out));
            for (char *line; (line = zo_lines_next(&made, NULL)) != NULL;) {
                cJSON *object = cJSON_Parse(line);
                ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(object, "hidden")), 16);
                cJSON_Delete(object);
            }
            ck_assert_int_eq(made.number, 2);
        } else {
            ck_assert_int_eq(code, 2);
            ck_assert_str_eq(out, "");
            ck_assert_msg(strstr(errors, "line 1") != NULL && strstr(errors, "\"hidden\"") != NULL && strstr(errors, "check its weights") != NULL, "%s", errors);
            ck_assert_msg(strchr(errors, '\n') == errors + strlen(errors) - 1, "more than one line: %s", errors);
        }
        zo_free(out);
        zo_free(errors);
    }
}
END_TEST

static void fill_again(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    const zo_tensor *from = zo_tensors_find(context, entry->name);
    for (int64_t i = 0; from == NULL && i < count; i++) {
        out[i] = 1;
    }
    if (from != NULL) {
        zo_tensor_floats(from, first, count, out);
    }
}

/* A weights file with one tensor of ones more. */
static void add_tensor(const char *path, const zo_tensor_out *more)
{
    zo_map map;
    zo_tensors tensors;
    zo_err err = {0};
    zo_tensor_out entry[200];
    ck_assert_int_eq(zo_map_open(&map, path, &err), ZO_OK);
    ck_assert_int_eq(zo_tensors_parse(&tensors, map.data, map.bytes, path, &err), ZO_OK);
    for (int i = 0; i < tensors.n; i++) {
        entry[i] = (zo_tensor_out){.name = tensors.tensor[i].name, .dims = tensors.tensor[i].dims};
        memcpy(entry[i].shape, tensors.tensor[i].shape, sizeof entry[i].shape);
    }
    entry[tensors.n] = *more;
    ck_assert_msg(zo_tensors_write(path, entry, tensors.n + 1, fill_again, &tensors, &err) == ZO_OK, "%s", err.text);
    zo_tensors_close(&tensors);
    zo_map_close(&map);
}

static void assert_says(char *text, const char *part, bool says)
{
    ck_assert_msg((strstr(text, part) != NULL) == says, "\"%s\" %s \"%s\"", text, says ? "lacks" : "has", part);
    zo_free(text);
}

/* What is read otherwise than config.json or the checkpoint has it is said: by score on standard error, by inspect beside its table. */
START_TEST(notes_are_said)
{
    static const char said[] = "eos_token_id 4000 outside the vocabulary of 400 counts as absent; 1 tensor of the checkpoint that nothing reads: "
                               "encoder.layer.0.output.dense.scale";
    char lines[128], file[200], *out, *errors, *text;
    size_t bytes;
    zo_err err = {0};
    snprintf(lines, sizeof lines, "%s/lines", folder);
    ck_assert_int_eq(zo_write_file(lines, "good\n", 5, &err), ZO_OK);
    const char *path = make_encoder(0), *score[] = {"score", path, lines}, *inspect[] = {"inspect", path}, *json[] = {"inspect", path, "--json"};
    for (int odd = 0; odd < 2; odd++) {
        ck_assert_int_eq(run(zo_cmd_score, 3, score, &out, &errors), 0);
        assert_says(out, "\"hidden\"", true);
        assert_says(errors, said, odd);
        ck_assert_int_eq(run(zo_cmd_inspect, 2, inspect, &out, &errors), 0);
        assert_says(out, said, odd);
        zo_free(errors);
        ck_assert_int_eq(run(zo_cmd_inspect, 3, json, &out, &errors), 0);
        cJSON *object = cJSON_Parse(out);
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(object, "note")), odd ? said : "");
        cJSON_Delete(object);
        zo_free(out);
        zo_free(errors);
        if (odd) {
            break;
        }
        snprintf(file, sizeof file, "%s/model.safetensors", path);
        static const zo_tensor_out scale = {.name = "encoder.layer.0.output.dense.scale", .dims = 1, .shape = {3}};
        add_tensor(file, &scale);
        snprintf(file, sizeof file, "%s/config.json", path);
        ck_assert_int_eq(zo_read_file(file, 1 << 20, &text, &bytes, &err), ZO_OK);
        cJSON *config = cJSON_Parse(text);
        cJSON_ReplaceItemInObject(config, "eos_token_id", cJSON_CreateNumber(4000));
        char *written = cJSON_Print(config);
        ck_assert_int_eq(zo_write_file(file, written, strlen(written), &err), ZO_OK);
        cJSON_free(written);
        cJSON_Delete(config);
        zo_free(text);
    }
}
END_TEST

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(object, key);
    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return item->valuedouble;
}

/* The prediction from config.json alone against what the same passes take from the ledger. */
START_TEST(prediction_is_what_the_ledger_says)
{
    static const struct {
        const char *folder;
        zo_head head;
        int classes, rows;
    } models[] = {{"tests/golden/models/bert", ZO_HEAD_CLASS, 2, 8},
                  {"tests/golden/models/llama", ZO_HEAD_OPTIONS, 0, 16},
                  {"tests/golden/models/opt-post-norm", ZO_HEAD_OPTIONS, 0, 16}};
    size_t n = sizeof models / sizeof *models;
    for (size_t turn = 0; turn < n + 1; turn++) {
        size_t i = turn % n;
        zo_storage storage = turn < n ? ZO_STORAGE_F32 : ZO_STORAGE_BF16;
        char *out, *errors;
        const char *argv[] = {"inspect", models[i].folder, "--json", "--batch", "8", "--context=40", "--storage", zo_storage_name(storage)};
        int code = run(zo_cmd_inspect, 8, argv, &out, &errors);
        ck_assert_msg(code == 0, "%s", errors);
        cJSON *json = cJSON_Parse(out);
        ck_assert_ptr_nonnull(json);
        const cJSON *plan;
        cJSON_ArrayForEach(plan, cJSON_GetObjectItem(json, "predicted"))
        {
            const char *method = cJSON_GetObjectItem(plan, "method")->valuestring;
            if (cJSON_HasObjectItem(plan, "unmeasured")) {
                ck_assert(!cJSON_HasObjectItem(plan, "activations_bytes") && !cJSON_HasObjectItem(plan, "total_bytes"));
                continue;
            }
            const zo_estimator *estimator = zo_estimator_find(cJSON_GetObjectItem(plan, "optimizer")->valuestring);
            zo_backward backward = strstr(method, "checkpoint") != NULL ? ZO_BACKWARD_CHECKPOINT : estimator->first_order ? ZO_BACKWARD : ZO_FORWARD_ONLY;
            const char *realisation = cJSON_GetObjectItem(plan, "realisation")->valuestring;
            int points = strcmp(realisation, "streamed") == 0 || strcmp(realisation, "sidepath") == 0 ? 2 : 1;
            points = points == 2 && strstr(method, "batched") != NULL ? 9 : points; /* fzoo's 8 probes, and the weights */
            zo_backend *be;
            zo_model *opened;
            zo_err err = {0};
            zo_arch arch;
            zo_plan want; /* a row an example where the head classifies, and two where there are two options */
            ck_assert_int_eq(zo_arch_read(models[i].folder, &arch, &err), ZO_OK);
            zo_layout layout = {0};
            zo_arch_layout(&arch, models[i].head, models[i].classes, &layout);
            zo_model_plan(&arch, models[i].head, models[i].classes, &layout, 320, models[i].rows, points, backward, &want);
            zo_layout_free(&layout);
            ck_assert(number_of(plan, "activations_bytes") == (double)want.tag_bytes[ZO_TAG_ACTIVATIONS]);
            zo_peak before = zo_mem_live(ZO_HOST);
            ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK, "%s", err.text);
            zo_model_spec spec = {
                .folder = models[i].folder, .random = true, .head = models[i].head, .classes = models[i].classes, .storage = storage};
            ck_assert_msg(zo_model_open(&opened, &spec, be, &err) == ZO_OK, "%s", err.text);
            bool both = estimator->first_order && zo_estimator_probes(estimator); /* gradients at one point, and then losses at so many */
            zo_model_reserve(opened, 320, models[i].rows, models[i].rows, both ? 1 : points, backward, NULL);
            if (both) {
                zo_model_reserve(opened, 320, models[i].rows, models[i].rows, points, ZO_FORWARD_ONLY, NULL);
            }
            zo_peak now = zo_mem_live(ZO_HOST);
            static const zo_tag tags[] = {ZO_TAG_PARAMS, ZO_TAG_ACTIVATIONS, ZO_TAG_WORKSPACE};
            for (size_t t = 0; t < 3; t++) {
                char key[64];
                snprintf(key, sizeof key, "%s_bytes", zo_tag_name(tags[t]));
                double taken = (double)(now.tag_bytes[tags[t]] - before.tag_bytes[tags[t]]),
                       predicted = number_of(plan, key);
                ck_assert_msg(fabs(taken / predicted - 1) < 0.05 || fabs(taken - predicted) < fmax(16384, 8192 * points),
                              "%s, %s: %s is %g, predicted %g", models[i].folder, method, key, taken, predicted);
            }
            zo_model_close(opened);
            be->close(be);
        }
        cJSON_Delete(json);
        zo_free(out);
        zo_free(errors);
    }
}
END_TEST

/* Of a method that has gradients of short rows and probes on long ones: room for the larger of a backward pass over the short and a forward over the long. */
START_TEST(pools_are_planned_by_their_rows)
{
    enum { N = 4, LENGTH = 128, CONTEXT = 1000 };
    const char *argv[] = {"inspect", "shape:opt-125m", "--json", "--batch", "4", "--context", "1000"};
    char *out, *errors, shape[4096];
    ck_assert_int_eq(run(zo_cmd_inspect, 7, argv, &out, &errors), 0);
    cJSON *json = cJSON_Parse(out);
    const cJSON *plan;
    zo_err err = {0};
    zo_arch arch;
    zo_layout layout = {0};
    ck_assert(zo_model_folder("shape:opt-125m", NULL, NULL, NULL, shape, &err) == ZO_OK && zo_arch_read(shape, &arch, &err) == ZO_OK);
    zo_arch_layout(&arch, ZO_HEAD_OPTIONS, 0, &layout);
    int rows = 0;
    cJSON_ArrayForEach(plan, cJSON_GetObjectItem(json, "predicted")) {
        const char *method = cJSON_GetStringValue(cJSON_GetObjectItem(plan, "method")), *how = cJSON_GetStringValue(cJSON_GetObjectItem(plan, "realisation"));
        bool is_short = strcmp(method, "addax length 128") == 0;
        if (is_short || strcmp(method, "addax") == 0) {
            zo_plan forward, backward;
            zo_model_plan(&arch, ZO_HEAD_OPTIONS, 0, &layout, N * CONTEXT, 2 * N, strcmp(how, "inplace") == 0 ? 1 : 2, ZO_FORWARD_ONLY, &forward);
            zo_model_plan(&arch, ZO_HEAD_OPTIONS, 0, &layout, N * (is_short ? LENGTH : CONTEXT), 2 * N, 1, ZO_BACKWARD, &backward);
            uint64_t a = forward.tag_bytes[ZO_TAG_ACTIVATIONS], b = backward.tag_bytes[ZO_TAG_ACTIVATIONS];
            ck_assert_double_eq(number_of(plan, "activations_bytes"), (double)(a > b ? a : b));
            ck_assert(is_short || b > 2 * a);
            rows++;
        }
    }
    ck_assert_int_eq(rows, 4);
    zo_layout_free(&layout);
    cJSON_Delete(json);
    zo_free(out);
    zo_free(errors);
}
END_TEST

/* The text for people and the JSON say the same, and what config.json and the file of weights have: sizes by the model's config.json and, of
 * opt-125m, as published; every figure of the table under the heading of its tag. */
START_TEST(text_and_json_say_the_same)
{
    static const struct { const char *model, *lines[4]; int layers, tensors; double elements; } of[] = {
        {"tests/golden/models/llama", {"\nfamily       llama, causal\n", "\nlayers       2, hidden 32, feed-forward 48\n",
                                       "\nheads        4 of 8, 2 of keys and values\n", "\nvocabulary   96, positions 40\n"}, 2, 22, 21760},
        {"shape:opt-125m", {"\nfamily       opt, causal\n", "\nlayers       12, hidden 768, feed-forward 3072\n",
                            "\nheads        12 of 64, 12 of keys and values\n", "\nvocabulary   50272, positions 2048\n"}, 12, 0, 0}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const char *argv[] = {"inspect", of[i].model, "--batch", "4", "--context", "32", "--json"};
        char *text, *out, *errors, want[200];
        ck_assert_int_eq(run(zo_cmd_inspect, 7, argv, &out, &errors), 0);
        cJSON *json = cJSON_Parse(out);
        zo_free(out);
        zo_free(errors);
        ck_assert_int_eq(run(zo_cmd_inspect, 6, argv, &text, &errors), 0);
        zo_free(errors);
        for (int k = 0; k < 4; k++) {
            ck_assert_msg(strstr(text, of[i].lines[k]) != NULL, "\"%s\" lacks \"%s\"", text, of[i].lines[k]);
        }
        static const char *const keys[] = {"layers", "hidden", "ffn", "heads", "head_dim", "kv_heads", "vocab", "positions"};
        int numbers[8];
        ck_assert_int_eq(sscanf(strstr(text, "\nlayers "), " layers %d, hidden %d, feed-forward %d heads %d of %d, %d of keys and values vocabulary %d, "
                                "positions %d", &numbers[0], &numbers[1], &numbers[2], &numbers[3], &numbers[4], &numbers[5], &numbers[6], &numbers[7]), 8);
        for (int k = 0; k < 8; k++) {
            ck_assert_msg(number_of(json, keys[k]) == numbers[k], "%s is %g, and %d in the text", keys[k], number_of(json, keys[k]), numbers[k]);
        }
        ck_assert(number_of(json, "layers") == of[i].layers && number_of(json, "batch") == 4 && number_of(json, "context") == 32);
        snprintf(want, sizeof want, "\nparameters   %.6g M with the language-model head, held in f32\n", number_of(json, "parameters") / 1e6);
        ck_assert_ptr_nonnull(strstr(text, want));
        const cJSON *disk = cJSON_GetObjectItem(json, "disk");
        if (of[i].tensors > 0) {
            ck_assert(number_of(disk, "files") == 1 && number_of(disk, "tensors") == of[i].tensors);
            ck_assert(number_of(cJSON_GetObjectItem(disk, "dtypes"), "BF16") == of[i].elements);
            snprintf(want, sizeof want, "\non disk      %d tensors in 1 file, %.1f MiB: BF16 %.6g M\n", of[i].tensors, number_of(disk, "bytes") / (1 << 20),
                     of[i].elements / 1e6);
            ck_assert_msg(number_of(disk, "bytes") > 2 * of[i].elements && strstr(text, want) != NULL, "\"%s\" lacks \"%s\"", text, want);
        } else {
            ck_assert(cJSON_IsNull(disk) && strstr(text, "\non disk      config.json only, no weights") != NULL);
        }
        char tag[7][20];
        const char *line = strstr(text, "\nmethod ");
        ck_assert_msg(line != NULL && sscanf(line, " method %19s %19s %19s %19s %19s %19s %19s", tag[0], tag[1], tag[2], tag[3], tag[4], tag[5], tag[6]) == 7 &&
                          strcspn(line + 1, "\n") == 39 + 7 * 12, "%s", text);
        ck_assert(strcmp(tag[0], "params") == 0 && strcmp(tag[6], "total") == 0);
        const cJSON *plan;
        cJSON_ArrayForEach(plan, cJSON_GetObjectItem(json, "predicted")) {
            line = strchr(line + 1, '\n');
            int at = snprintf(want, sizeof want, "\n%-28s %-10s", cJSON_GetStringValue(cJSON_GetObjectItem(plan, "method")),
                              cJSON_GetStringValue(cJSON_GetObjectItem(plan, "realisation")));
            double sum = 0;
            const char *why = cJSON_GetStringValue(cJSON_GetObjectItem(plan, "unmeasured"));
            if (why != NULL) {
                at += snprintf(want + at, sizeof want - (size_t)at, " not measured: %s", why);
            }
            for (int t = 0; t < 7 && why == NULL; t++) {
                char key[64];
                snprintf(key, sizeof key, "%.19s_bytes", tag[t]);
                at += snprintf(want + at, sizeof want - (size_t)at, " %11.1f", number_of(plan, key) / (1 << 20));
                sum += t < 6 ? number_of(plan, key) : -number_of(plan, key);
            }
            ck_assert_msg(strncmp(line, want, strlen(want)) == 0 && line[strlen(want)] == '\n', "%.150s\nis not%s", line, want);
            double all = 0; /* of every tag, shown or not: nothing is lost */
            const cJSON *bytes;
            cJSON_ArrayForEach(bytes, plan) {
                const char *end = strstr(bytes->string, "_bytes");
                all += end != NULL && end[6] == '\0' ? (strcmp(bytes->string, "total_bytes") == 0 ? -1 : 1) * bytes->valuedouble : 0;
            }
            ck_assert_msg(all == 0, "%g bytes are of no tag:%s", -all, want);
            ck_assert_msg(why != NULL || fabs(sum) < 0.08 * number_of(plan, "total_bytes"), "%g bytes stand under no heading:%s, total %g", -sum, want, number_of(plan, "total_bytes")); /* what is not shown is little; lists of a hundred queries are the most of it */
        }
        ck_assert_msg(strcmp(strchr(line + 1, '\n'), "\n") == 0, "%s", line);
        cJSON_Delete(json);
        zo_free(text);
    }
}
END_TEST

/* --tune: how many parameters a view trains, counted by hand (a block of this model is 7744: q and o of 32 x 32, k and v of 16 x 32, three of
 * 48 x 32, and two norms); what methods keep shrinks with them; the view's prediction is what the ledger says. */
START_TEST(views_are_predicted)
{
    enum { SIDE = 2 * (16 * 32 + 16 + 2 * 16) + 16 + 1 + 32 * 16 + 32 + 2 * 32 + 1 }; /* two down to 16 with their norms; scores; back up, and its norm; the gate */
    static const char model_of[] = "tests/golden/models/llama";
    static const struct { const char *view; int parameters, trained, padding; } of[] = {
        {"full", 21664, 21664, 0},
        {"head", 21664, 96 * 32, 0},
        {"last layers 1", 21664, 7744 + 32 + 96 * 32, 0},
        {"pattern on *.norm.weight", 21664, 5 * 32, 0},
        {"lora rank 8 alpha 16 on q,v", 21664 + 1792, 2 * 8 * (32 + 32 + 32 + 16), 0},
        {"prefix tokens 5 init activations", 21664 + 320, 2 * 5 * (16 + 16), 0},
        {"side downsample 2 late 1", 21664 + SIDE, SIDE, 15 + 15}}; /* behind the score's bias and the gate */
    double lists = 0; /* on the host, the same for all views */
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const char *argv[] = {"inspect", model_of, "--tune", of[i].view, "--batch", "8", "--context", "30", "--json"};
        char *out, *errors, *text, want[120];
        ck_assert_int_eq(run(zo_cmd_inspect, 9, argv, &out, &errors), 0);
        cJSON *json = cJSON_Parse(out);
        zo_free(out);
        zo_free(errors);
        ck_assert_int_eq(run(zo_cmd_inspect, 8, argv, &text, &errors), 0);
        snprintf(want, sizeof want, "\ntrained      %.6g M, tune %s\n\n", of[i].trained / 1e6, of[i].view);
        ck_assert_msg(strstr(text, want) != NULL, "\"%s\" lacks \"%s\"", text, want);
        zo_free(text);
        zo_free(errors);
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(json, "tune")), of[i].view);
        ck_assert_msg(number_of(json, "parameters") == of[i].parameters && number_of(json, "trained_parameters") == of[i].trained, "%s: %g of %g", of[i].view,
                      number_of(json, "trained_parameters"), number_of(json, "parameters"));
        int seen = 0;
        const cJSON *plan;
        cJSON_ArrayForEach(plan, cJSON_GetObjectItem(json, "predicted")) {
            if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(plan, "method")), "fo-adamw") != 0) {
                continue;
            }
            double set = 4 * (of[i].trained + of[i].padding); /* every other tensor fills the arena's lines */
            ck_assert_msg(number_of(plan, "grads_bytes") == set && number_of(plan, "opt_state_bytes") == 2 * set, "%s: gradients of %g", of[i].view,
                          number_of(plan, "grads_bytes"));
            zo_backend *be;
            zo_model *opened;
            zo_tune tune;
            zo_err err = {0};
            zo_peak before = zo_mem_live(ZO_HOST), now;
            ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK && zo_tune_parse(of[i].view, "view", &tune, &err) == ZO_OK, "%s", err.text);
            zo_model_spec spec = {.folder = model_of, .random = true, .head = ZO_HEAD_OPTIONS, .tune = &tune};
            ck_assert_msg(zo_model_open(&opened, &spec, be, &err) == ZO_OK, "%s", err.text);
            zo_model_reserve(opened, 240, 16, 16, 1, ZO_BACKWARD, NULL);
            now = zo_mem_live(ZO_HOST);
            static const zo_tag tags[] = {ZO_TAG_PARAMS, ZO_TAG_ACTIVATIONS, ZO_TAG_WORKSPACE};
            for (int t = 0; t < 3; t++) {
                char key[64];
                snprintf(key, sizeof key, "%s_bytes", zo_tag_name(tags[t]));
                double taken = (double)(now.tag_bytes[tags[t]] - before.tag_bytes[tags[t]]), predicted = number_of(plan, key);
                lists = i == 0 && tags[t] == ZO_TAG_ACTIVATIONS ? taken - predicted : lists;
                ck_assert_msg(taken - predicted == (tags[t] == ZO_TAG_ACTIVATIONS ? lists : 0), "%s: %s is %g, predicted %g", of[i].view, key, taken, predicted);
            }
            zo_model_close(opened);
            be->close(be);
            seen++;
        }
        ck_assert_int_eq(seen, 1);
        cJSON_Delete(json);
    }
    const char *wrong[][4] = {{"inspect", model_of, "--tune", "bios"}, {"inspect", model_of, "--tune", "bias"}};
    static const char *const says[] = {"zo inspect: --tune: there is no \"tune\" \"bios\"; did you mean \"bias\"?\n",
                                       "zo inspect: \"tune\" \"bias\" trains nothing: this model (llama) has no biases; use another view\n"};
    for (int i = 0; i < 2; i++) {
        char *out, *errors;
        ck_assert_int_eq(run(zo_cmd_inspect, 4, wrong[i], &out, &errors), 2);
        ck_assert_str_eq(out, "");
        ck_assert_str_eq(errors, says[i]);
        zo_free(out);
        zo_free(errors);
    }
}
END_TEST

/* Two blocks: q and o (32, 32), k and v (16, 32), gate and up (48, 32), down (32, 48). */
START_TEST(codes_are_predicted)
{
    static const char model_of[] = "tests/golden/models/llama";
    const char *argv[] = {"inspect", model_of, "--quantised", "int4", "--quantised-group", "10", "--tune", "scales", "--json"};
    char *out, *errors;
    ck_assert_int_eq(run(zo_cmd_inspect, 9, argv, &out, &errors), 0);
    cJSON *json = cJSON_Parse(out), *plan;
    zo_free(out);
    zo_free(errors);
    double scales = 2 * (4 * (2 * 32 + 2 * 16 + 2 * 48) + 5 * 32), codes = 2 * (2 * 32 * 32 + 2 * 16 * 32 + 3 * 48 * 32), others = 21664 - codes;
    ck_assert_double_eq(number_of(json, "trained_parameters"), scales);
    int first_order = 0, seen = 0;
    cJSON_ArrayForEach(plan, cJSON_GetObjectItem(json, "predicted")) {
        const char *method = cJSON_GetStringValue(cJSON_GetObjectItem(plan, "method"));
        first_order += strncmp(method, "fo-", 3) == 0;
        if (strcmp(method, "qzo") == 0) {
            ck_assert_double_eq(number_of(plan, "params_bytes"), codes / 2 + 4 * (scales + others));
            seen++;
        }
    }
    ck_assert_int_eq(first_order, 0);
    ck_assert_int_gt(seen, 0);
    cJSON_Delete(json);
    const char *wrong[][6] = {{"inspect", model_of, "--quantised", "int8", "--tune", "full"}, {"inspect", model_of, "--quantised", "int3", "--tune", "scales"},
                              {"inspect", model_of, "--quantised", "int8", "--quantised-group", "7"}, {"inspect", model_of, "--quantised", "none", "--tune", "scales"}};
    static const char *const says[] = {"--quantised int8 holds layer.0.attn.q.weight as codes that no step writes, and --tune full trains it; say --tune scales",
                                       "--quantised is \"int3\"; expected none, int8 or int4", "--quantised-group is 7; expected an even number from 2 to 65536",
                                       "\"tune\" \"scales\" trains the scales of matrices that are held as codes, and none is"};
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(run(zo_cmd_inspect, 6, wrong[i], &out, &errors), 2);
        ck_assert_msg(strstr(errors, says[i]) != NULL, "%s", errors);
        zo_free(out);
        zo_free(errors);
    }
}
END_TEST

START_TEST(config_without_weights)
{
    char path[128], *text, *out, *errors;
    size_t bytes;
    zo_err err = {0};
    ck_assert_int_eq(zo_read_file("tests/golden/models/gpt2/config.json", 100000, &text, &bytes, &err), ZO_OK);
    snprintf(path, sizeof path, "%s/config.json", folder);
    ck_assert_int_eq(zo_write_file(path, text, bytes, &err), ZO_OK);
    zo_free(text);
    const char *argv[] = {"inspect", folder, "--context", "10"},
               *longer[] = {"inspect", folder, "--context", "100"};
    ck_assert_int_eq(run(zo_cmd_inspect, 4, argv, &out, &errors), 0);
    ck_assert_msg(strstr(out, "no weights") != NULL && strstr(out, "gpt2") != NULL, "%s", out);
    zo_free(out);
    zo_free(errors);
    ck_assert_int_eq(run(zo_cmd_inspect, 4, longer, &out, &errors), 2);
    ck_assert_msg(strstr(errors, "40 positions") != NULL, "%s", errors);
    zo_free(out);
    zo_free(errors);
    /* weights that are not read are not said to be absent */
    static const struct { const char *file, *says; } others[] = {{"tf_model.h5", "TensorFlow's tf_model.h5"}, {"pytorch_model.bin.index.json", "key \"weight_map\" is missing"},
                                                                 {"pytorch_model-00001-of-00002.bin", "but not pytorch_model.bin.index.json"},
                                                                 {"model-00001-of-00002.safetensors", "but not model.safetensors.index.json"}};
    for (int i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, others[i].file);
        ck_assert_int_eq(zo_write_file(path, "{}", 2, &err), ZO_OK);
        ck_assert_int_eq(run(zo_cmd_inspect, 4, argv, &out, &errors), 2);
        ck_assert_msg(strstr(errors, others[i].says) != NULL && out[0] == '\0', "%s%s", errors, out);
        ck_assert_int_eq(remove(path), 0);
        zo_free(out);
        zo_free(errors);
    }
}
END_TEST

int main(void)
{
    const char *models = getenv("ZO_TEST_MODELS");
    char path[4096];
    snprintf(model, sizeof model, "%.2900s/stories260K", models != NULL ? models : "../shared/models");
    zo_path_join(path, sizeof path, model, "model.safetensors");
    Suite *suite = suite_create("score and inspect");
    TCase *tests = tcase_create("score and inspect");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, prediction_is_what_the_ledger_says);
    tcase_add_test(tests, pools_are_planned_by_their_rows);
    tcase_add_test(tests, text_and_json_say_the_same);
    tcase_add_test(tests, config_without_weights);
    tcase_add_test(tests, views_are_predicted);
    tcase_add_test(tests, codes_are_predicted);
    tcase_add_test(tests, weights_that_are_not_numbers);
    tcase_add_test(tests, notes_are_said);
    if (zo_path_exists(path)) {
        tcase_add_test(tests, agrees_with_transformers);
        tcase_add_test(tests, one_token_alone);
        tcase_add_test(tests, bad_input);
    } else {
        printf("skipped: zo score against transformers, since %s is not there\n", path);
    }
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
