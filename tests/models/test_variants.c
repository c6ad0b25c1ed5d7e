/* test_variants.c: models whose config.json has other than default values, against transformers: activations, norm eps, ties, biases, sizes of
 * heads, every kind of RoPE scaling, RoBERTa's positions at other pads. golden/make_variants.py made the numbers; weights are a function of the
 * tensor's name, written here as a checkpoint. */
#include <check.h>
#include <cjson/cJSON.h>
#include <glob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/model.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { TENSORS = 100, TOKENS = 64 };

static char folder[64];
static zo_backend *be;
static zo_err err;

/* As make_variants.py's `weight`. */
static void fill(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    (void)context;
    uint64_t hash = zo_fnv1a(ZO_FNV_START, entry->name, strlen(entry->name));
    size_t length = strlen(entry->name);
    bool vector = entry->dims == 1, norm = vector && length > 6 && strcmp(entry->name + length - 6, "weight") == 0;
    for (int64_t i = 0; i < count; i++) {
        uint64_t z = hash + (uint64_t)(first + i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
        z = (z ^ z >> 27) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        double value = ((double)(z >> 54) - 512) / 2048;
        out[i] = (float)(vector ? value / 2 + norm : value);
    }
}

static const cJSON *member(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    ck_assert_msg(item != NULL, "the golden file has no %s", key);
    return item;
}

static void write_folder(const cJSON *row)
{
    zo_tensor_out entry[TENSORS];
    char path[128];
    int n = 0;
    const cJSON *tensor;
    cJSON_ArrayForEach(tensor, member(row, "tensors"))
    {
        ck_assert_int_lt(n, TENSORS);
        entry[n] = (zo_tensor_out){.name = tensor->string, .dims = cJSON_GetArraySize(tensor)};
        for (int d = 0; d < entry[n].dims; d++) {
            entry[n].shape[d] = (int64_t)cJSON_GetArrayItem(tensor, d)->valuedouble;
        }
        n++;
    }
    ck_assert_msg(zo_tensors_write(zo_path_join(path, sizeof path, folder, "model.safetensors"), entry, n, fill, NULL, &err) == ZO_OK, "%s", err.text);
    char *text = cJSON_Print(member(row, "config"));
    ck_assert_msg(zo_write_file(zo_path_join(path, sizeof path, folder, "config.json"), text, strlen(text), &err) == ZO_OK, "%s", err.text);
    cJSON_free(text);
}

/* The config that is written is read as the same arch. What is written of the model has names and shapes that transformers has for this class (the golden file's), and one more spelling of a bias. */
static void check_written(const cJSON *row, zo_model *model)
{
    char path[128];
    zo_tensors tensors;
    snprintf(path, sizeof path, "%s/written", folder);
    ck_assert_msg(zo_model_save(model, path, &err) == ZO_OK && zo_tensors_open(&tensors, path, &err) == ZO_OK, "%s", err.text);
    zo_arch back;
    ck_assert_msg(zo_arch_read(path, &back, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(memcmp(&back, zo_model_arch(model), sizeof back) == 0, "%s: the config that is written is of another arch", member(row, "family")->valuestring);
    for (int i = 0; i < tensors.n; i++) {
        const zo_tensor *t = &tensors.tensor[i];
        const cJSON *shape = cJSON_GetObjectItemCaseSensitive(member(row, "tensors"), t->name);
        if (shape == NULL) { /* a masked head's bias has two names: tied, the golden file has its source's; untied, the other is dead */
            bool other = strstr(t->name, ".decoder.bias") != NULL || strstr(t->name, "predictions.bias") != NULL || strcmp(t->name, "lm_head.bias") == 0;
            ck_assert_msg(other, "%s has no tensor %s", member(row, "family")->valuestring, t->name);
            continue;
        }
        ck_assert_int_eq(t->dims, cJSON_GetArraySize(shape));
        for (int d = 0; d < t->dims; d++) {
            ck_assert_int_eq(t->shape[d], (int64_t)cJSON_GetArrayItem(shape, d)->valuedouble);
        }
    }
    zo_tensors_close(&tensors);
}

static int numbers(const cJSON *list, int at, int32_t *out)
{
    const cJSON *lists = cJSON_GetArrayItem(list, at), *item;
    int n = 0;
    cJSON_ArrayForEach(item, lists)
    {
        ck_assert_int_lt(n, TOKENS);
        out[n++] = (int32_t)item->valuedouble;
    }
    return n;
}

static double largest_difference(const cJSON *wanted, const float *made, int64_t n)
{
    double most = 0;
    int64_t i = 0;
    const cJSON *item;
    ck_assert_int_eq(cJSON_GetArraySize(wanted), n);
    cJSON_ArrayForEach(item, wanted)
    {
        double d = fabs(item->valuedouble - (double)made[i++]);
        most = d <= most ? most : d; /* a NaN stays */
    }
    return most;
}

/* Both sequences packed; a score for every next token (causal) or of `target` at every token. */
static void compare(const cJSON *row, zo_head head, double *hidden, double *scores)
{
    zo_model_spec spec = {.folder = folder, .head = head, .classes = head == ZO_HEAD_CLASS ? 3 : 0, .decoder = ZO_DECODER_DEFAULT};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(zo_model_note(model), "");
    const zo_arch *a = zo_model_arch(model);
    int32_t id[TOKENS], position[TOKENS], type[TOKENS], target[TOKENS], wanted[TOKENS], rows[TOKENS], at[TOKENS], start[3] = {0}, parent[2] = {-1, -1},
            options[3] = {0, 0, 0}, examples[3] = {0, 1, 2}, label[2] = {0};
    zo_batch b = {.examples = 2, .id = id, .position = position, .type = type, .seqs = 2, .start = start, .parent = parent, .row = rows, .at = at,
                  .target = target, .options = 2, .option_start = options, .example_start = examples, .label = label};
    for (int s = 0; s < 2; s++) {
        int n = numbers(member(row, "ids"), s, id + b.tokens);
        numbers(member(row, "types"), s, type + b.tokens);
        numbers(member(row, "target"), s, wanted);
        for (int t = 0; t < n; t++) {
            position[b.tokens + t] = t;
            bool last = a->causal && t == n - 1;
            if (head == ZO_HEAD_CLASS ? (a->causal ? last : t == 0) : !last) {
                at[b.scores] = b.scores;
                target[b.scores++] = a->causal ? id[b.tokens + t + 1] : wanted[t];
                rows[b.rows++] = b.tokens + t;
            }
        }
        b.tokens += n;
        start[s + 1] = b.tokens;
        options[s + 1] = b.scores;
    }
    zo_model_reserve(model, b.tokens, b.rows, b.scores, 1, ZO_FORWARD_ONLY, NULL);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    int64_t n = (int64_t)b.tokens * zo_model_width(model);
    float *made = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *made);
    zo_model_hidden(model, &view, &b, made);
    *hidden = fmax(*hidden, largest_difference(member(row, "hidden"), made, n));
    if (head == ZO_HEAD_CLASS) {
        zo_model_logits(model, &view, &b, made);
        *scores = fmax(*scores, largest_difference(member(row, "logits"), made, 6));
    } else {
        zo_model_logprobs(model, &view, &b, made);
        *scores = fmax(*scores, largest_difference(member(row, "logprob"), made, b.scores));
    }
    check_written(row, model);
    zo_free(made);
    zo_model_close(model);
}

/* Those of one file, which are one family's. Returns how many. */
static int check_family(const char *path)
{
    cJSON *golden;
    const cJSON *row;
    double hidden = 0, scores = 0;
    int rows = 0;
    ck_assert_msg(zo_json_read(path, &golden, &err) == ZO_OK, "%s", err.text);
    cJSON_ArrayForEach(row, member(golden, "variants"))
    {
        double h = 0, s = 0;
        write_folder(row);
        compare(row, ZO_HEAD_SPAN, &h, &s);
        compare(row, ZO_HEAD_CLASS, &h, &s);
        char *text = cJSON_PrintUnformatted(member(row, "changes"));
        ck_assert_msg(h <= 2e-5 && s <= 2e-5, "%s %s: hidden states are off by %g, scores by %g", member(row, "family")->valuestring, text, h, s);
        cJSON_free(text);
        hidden = fmax(hidden, h);
        scores = fmax(scores, s);
        rows++;
    }
    printf("measured: %2d variants of configs, %s: largest difference to transformers: hidden %.1e, scores %.1e\n", rows, path, hidden, scores);
    fflush(stdout);
    cJSON_Delete(golden);
    return rows;
}

START_TEST(variants_match_transformers)
{
    glob_t files;
    int rows = 0;
    snprintf(folder, sizeof folder, "/tmp/zo_variants_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(glob("tests/golden/variants/*.json.gz", 0, NULL, &files), 0);
    ck_assert_uint_ge(files.gl_pathc, 7);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        rows += check_family(files.gl_pathv[i]);
    }
    ck_assert_int_ge(rows, 60);
    globfree(&files);
    be->close(be);
    folder_remove(folder);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("variants");
    TCase *tests = tcase_create("variants");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, variants_match_transformers);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
