/* test_answers_smollm2.c: what SmolLM2-135M writes to the first rows of XQuAD and of DROP's contrast set, token for token what transformers writes by MeZO's
 * protocol, and its scores (tests/golden/make_answers.py). Needs $ZO_TEST_MODELS/smollm2-135m and $ZO_TEST_DATA, and says so where they are absent. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "models/model.h"
#include "tasks/task.h"
#include "tests/suite.h"

#define GOLDEN "tests/golden/answers_smollm2.json.gz"
#define NEAR_TIE 1e-3 /* of logits: f32 sums in another order move them by about 1e-4 */
enum { BATCH = 5, TASKS = 2 };

static char model_folder[3000], data_folder[3000];
static const char *const tasks[TASKS] = {"squad", "drop"};

START_TEST(writes_as_the_protocol)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file_or_gz(GOLDEN, 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    cJSON *whole = cJSON_Parse(text), *golden = cJSON_GetObjectItem(cJSON_GetObjectItem(whole, "tasks"), tasks[_i]);
    zo_free(text);
    const cJSON *entries = cJSON_GetObjectItem(golden, "entries");
    int32_t rows = cJSON_GetArraySize(entries), near = 0;
    ck_assert_int_gt(rows, 0);
    zo_tokenizer *tokenizer;
    zo_dataset *dataset;
    zo_backend *be;
    zo_model *model;
    ck_assert_msg(zo_tokenizer_open(&tokenizer, model_folder, &err) == ZO_OK, "%s", err.text);
    zo_dataset_spec spec = {.task = tasks[_i], .form = ZO_FORM_PROMPT, .data_dir = data_folder, .tokenizer = tokenizer, .causal = true, .context = 8192,
                            .scheme = ZO_SPLIT_MEZO, .count = {[ZO_TEST] = rows}, .evaluate_only = true};
    ck_assert_msg(zo_dataset_open(&dataset, &spec, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK, "%s", err.text);
    zo_model_spec model_spec = {.folder = model_folder, .head = zo_dataset_head(dataset)};
    ck_assert_msg(zo_model_open(&model, &model_spec, be, &err) == ZO_OK, "%s", err.text);
    zo_model_reserve(model, 8192, BATCH, BATCH, 1, ZO_FORWARD_ONLY, NULL);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    const int32_t *end;
    int ends = zo_dataset_answer_ends(dataset, &end), most = zo_dataset_answer_tokens(dataset);
    zo_generation g = {.most = most, .end = end, .ends = ends};
    double f1 = 0;
    for (int32_t first = 0; first < rows; first += BATCH) {
        int32_t index[BATCH], here = rows - first < BATCH ? rows - first : BATCH, id[BATCH * 64], n[BATCH];
        for (int32_t i = 0; i < here; i++) {
            index[i] = first + i;
        }
        zo_batch *prompts = zo_dataset_prompts(dataset, ZO_TEST, index, here);
        zo_model_generate(model, &view, prompts, &g, id, n);
        for (int32_t i = 0; i < here; i++) {
            const cJSON *entry = cJSON_GetArrayItem(entries, first + i), *wanted = cJSON_GetObjectItem(entry, "ids");
            ck_assert_int_eq(prompts->start[i + 1] - prompts->start[i], cJSON_GetObjectItem(entry, "prompt_tokens")->valueint);
            bool same = n[i] == cJSON_GetArraySize(wanted);
            int32_t t = 0;
            for (const cJSON *token = wanted->child; same && token != NULL; token = token->next, t++) {
                same = id[i * most + t] == token->valueint;
            }
            bool tie = cJSON_GetObjectItem(entry, "margin")->valuedouble < NEAR_TIE;
            ck_assert_msg(same || tie, "%s, row %d is written otherwise", tasks[_i], first + i);
            near += !same;
            char *answer = zo_tokenizer_decode(tokenizer, id + i * most, n[i]);
            zo_credit credit = zo_dataset_credit(dataset, ZO_TEST, index[i], answer);
            f1 += zo_credit_f1(&credit) / rows;
            zo_free(answer);
        }
        zo_batch_free(prompts);
    }
    printf("measured: %s: %d answers, %d of them otherwise behind a near tie, F1 %.4f, by transformers %.4f\n", tasks[_i], rows, near, f1,
           cJSON_GetObjectItem(golden, "f1")->valuedouble);
    fflush(stdout);
    ck_assert_double_eq_tol(f1, cJSON_GetObjectItem(golden, "f1")->valuedouble, near > 0 ? 0.005 : 1e-12);
    zo_model_close(model);
    be->close(be);
    zo_dataset_close(dataset);
    zo_tokenizer_close(tokenizer);
    cJSON_Delete(whole);
}
END_TEST

int main(void)
{
    const char *models = getenv("ZO_TEST_MODELS"), *data = getenv("ZO_TEST_DATA");
    char config[4096], rows[4096];
    zo_path_join(model_folder, sizeof model_folder, models != NULL ? models : "../shared/models", "smollm2-135m");
    snprintf(data_folder, sizeof data_folder, "%s", data != NULL ? data : "../shared/data");
    zo_path_join(config, sizeof config, model_folder, "config.json");
    zo_path_join(rows, sizeof rows, data_folder, "squad/xquad.en.json.gz");
    if (!zo_path_exists(config) || !zo_path_exists(rows)) {
        printf("skipped: %s or %s is not there (ZO_TEST_MODELS, ZO_TEST_DATA)\n", config, rows);
        return 0;
    }
    Suite *suite = suite_create("answers_smollm2");
    TCase *tests = tcase_create("answers_smollm2");
    tcase_set_timeout(tests, 600);
    tcase_add_loop_test(tests, writes_as_the_protocol, 0, TASKS);
    suite_add_tcase(suite, tests);
    return suite_run(suite) == 0 ? 0 : 1;
}
