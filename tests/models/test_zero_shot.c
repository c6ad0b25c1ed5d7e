/* test_zero_shot.c: SmolLM2-135M's zero-shot choices on the validation sets of SST-2, RTE, CB, COPA and WiC
 * against those of the MeZO authors' protocol computed with transformers (tests/golden/mezo_zero_shot.py): one by
 * one, the same but for near ties. CB and COPA alone unless ZO_TEST_LONG=1 (minutes). Needs
 * $ZO_TEST_MODELS/smollm2-135m and $ZO_TEST_DATA, and says so where they are absent. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "models/model.h"
#include "tasks/task.h"
#include "tests/suite.h"

#define GOLDEN "tests/golden/zero_shot_smollm2.json.gz"
#define NEAR_TIE 1e-3 /* of mean log-probabilities: f32 sums in another order move them by about 1e-4 */
enum { BATCH = 16 };

static char model_folder[3000], data_folder[3000];
static const struct {
    const char *name;
    bool quick;
} tasks[] = {{"cb", true}, {"copa", true}, {"rte", false}, {"wic", false}, {"sst2", false}};

static cJSON *golden_of(const char *task, cJSON **whole)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(GOLDEN, 1 << 24, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    *whole = cJSON_Parse(text);
    zo_free(text);
    cJSON *entry = cJSON_GetObjectItem(cJSON_GetObjectItem(*whole, "tasks"), task);
    ck_assert_ptr_nonnull(entry);
    return entry;
}

static double margin_of(const cJSON *scores)
{
    double best = -INFINITY, second = -INFINITY;
    for (const cJSON *item = scores->child; item != NULL; item = item->next) {
        if (item->valuedouble > best) {
            second = best;
            best = item->valuedouble;
        } else if (item->valuedouble > second) {
            second = item->valuedouble;
        }
    }
    return best - second;
}

/* choice (n) of every example of the validation set */
static void predict(zo_dataset *dataset, zo_backend *be, int32_t n, int32_t *choice)
{
    zo_model *model;
    zo_err err = {0};
    zo_model_spec spec = {
        .folder = model_folder, .head = zo_dataset_head(dataset), .classes = zo_dataset_classes(dataset)};
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    zo_sizes most = zo_dataset_bounds(dataset, ZO_TEST, BATCH);
    zo_model_reserve(model, most.tokens, (int32_t)most.rows, (int32_t)most.scores, 1, ZO_FORWARD_ONLY, NULL);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    for (int32_t first = 0; first < n; first += BATCH) {
        int32_t index[BATCH], here = n - first < BATCH ? n - first : BATCH;
        for (int32_t i = 0; i < here; i++) {
            index[i] = first + i;
        }
        zo_batch *batch = zo_dataset_batch(dataset, ZO_TEST, index, here);
        zo_model_predict(model, &view, batch, choice + first, NULL);
        zo_batch_free(batch);
    }
    zo_model_close(model);
}

START_TEST(chooses_as_the_protocol)
{
    const char *task = tasks[_i].name;
    cJSON *whole, *golden = golden_of(task, &whole);
    zo_err err = {0};
    zo_tokenizer *tokenizer;
    zo_dataset *dataset;
    zo_backend *be;
    ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_tokenizer_open(&tokenizer, model_folder, &err) == ZO_OK, "%s", err.text);
    zo_dataset_spec spec = {.task = task,
                            .form = ZO_FORM_PROMPT,
                            .data_dir = data_folder,
                            .tokenizer = tokenizer,
                            .causal = true,
                            .context = 2048,
                            .scheme = ZO_SPLIT_DRAWN,
                            .count = {[ZO_TEST] = -1}};
    ck_assert_msg(zo_dataset_open(&dataset, &spec, &err) == ZO_OK, "%s", err.text);
    zo_tokenizer_close(tokenizer);
    const cJSON *labels = cJSON_GetObjectItem(golden, "labels"), *choices = cJSON_GetObjectItem(golden, "choices");
    int32_t n = zo_dataset_size(dataset, ZO_TEST), right = 0, golden_right = 0, other = 0;
    ck_assert_int_eq(n, cJSON_GetArraySize(labels));
    int32_t *choice = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *choice);
    predict(dataset, be, n, choice);
    const cJSON *label = labels->child, *wanted = choices->child,
                *scores = cJSON_GetObjectItem(golden, "scores")->child;
    for (int32_t i = 0; i < n; i++, label = label->next, wanted = wanted->next, scores = scores->next) {
        ck_assert_msg(zo_dataset_label(dataset, ZO_TEST, i) == label->valueint, "%s: example %d has another label",
                      task, i);
        right += choice[i] == label->valueint;
        golden_right += wanted->valueint == label->valueint;
        other += choice[i] != wanted->valueint;
        ck_assert_msg(choice[i] == wanted->valueint || margin_of(scores) < NEAR_TIE,
                      "%s: example %d: option %d, the protocol takes %d "
                      "by a margin of %g",
                      task, i, choice[i], wanted->valueint, margin_of(scores));
    }
    printf("measured: SmolLM2-135M zero-shot on %s: %d of %d right (%.4f), the protocol's %d; %d other choices\n",
           task, right, n, (double)right / n, golden_right, other);
    ck_assert_int_le(abs(right - golden_right), 1);
    zo_free(choice);
    zo_dataset_close(dataset);
    be->close(be);
    cJSON_Delete(whole);
}
END_TEST

int main(void)
{
    const char *models = getenv("ZO_TEST_MODELS"), *data = getenv("ZO_TEST_DATA"), *all = getenv("ZO_TEST_LONG");
    char path[4096];
    snprintf(model_folder, sizeof model_folder, "%.2900s/smollm2-135m",
             models != NULL ? models : "../shared/models");
    snprintf(data_folder, sizeof data_folder, "%.2900s", data != NULL ? data : "../shared/data");
    zo_path_join(path, sizeof path, model_folder, "model.safetensors");
    if (!zo_path_exists(path) || !zo_path_is_dir(data_folder)) {
        printf("skipped: zero-shot accuracies, since %s is not there\n",
               zo_path_exists(path) ? data_folder : path);
        return 0;
    }
    Suite *suite = suite_create("zero-shot");
    TCase *tests = tcase_create("zero-shot");
    tcase_set_timeout(tests, 3600);
    int n = 0;
    while (n < (int)(sizeof tasks / sizeof *tasks) && (tasks[n].quick || (all != NULL && all[0] == '1'))) {
        n++;
    }
    tcase_add_loop_test(tests, chooses_as_the_protocol, 0, n);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
