/* test_list.c: `zo list`: what it says of methods, tasks, models, pictures and configs, as JSON and as a table. Facts are the papers' and the
 * folders' that the test makes. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cli/cmd.h"
#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "optimizers/estimator.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];
static const char *working_folder; /* where the program runs; NULL = here */

static const char *below(const char *name)
{
    static char path[8][300];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

static void put(const char *name, const char *text)
{
    char parent[300];
    zo_err err = {0};
    snprintf(parent, sizeof parent, "%s", below(name));
    *strrchr(parent, '/') = '\0';
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK && zo_write_file(below(name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* What `zo list WORDS...` prints, both streams; its exit code in *code. The caller frees it with zo_free. */
static char *list(int *code, int argc, const char *const *argv)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int said = open(below("said"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(said, 1);
        dup2(said, 2);
        if (working_folder != NULL && chdir(working_folder) != 0) {
            _exit(99);
        }
        int end = zo_cmd_list(argc, (char **)argv);
        fflush(NULL);
        _exit(end);
    }
    int status;
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "zo list died");
    *code = WEXITSTATUS(status);
    ck_assert_msg(zo_read_file(below("said"), 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    return text;
}

static cJSON *list_json(const char *what)
{
    const char *const argv[] = {"list", what, "--json", "--models", below("models"), NULL};
    int code;
    char *text = list(&code, 5, argv);
    cJSON *rows = cJSON_Parse(text);
    ck_assert_msg(code == 0 && cJSON_IsArray(rows), "%d: %s", code, text);
    zo_free(text);
    return rows;
}

/* The one row whose `key` is `value`. */
static const cJSON *row_of(const cJSON *rows, const char *key, const char *value)
{
    const cJSON *found = NULL, *row;
    cJSON_ArrayForEach(row, rows) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(row, key);
        if (cJSON_IsString(name) && strcmp(name->valuestring, value) == 0) {
            ck_assert_msg(found == NULL, "%s %s stands twice in the list", key, value);
            found = row;
        }
    }
    ck_assert_msg(found != NULL, "the list has no %s %s", key, value);
    return found;
}

static const char *text_in(const cJSON *row, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, key);
    ck_assert_msg(cJSON_IsString(item), "no text %s", key);
    return item->valuestring;
}

static double number_in(const cJSON *row, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(row, key);
    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return item->valuedouble;
}

START_TEST(methods)
{
    static const struct { const char *name, *realisations; double lr, eps; const char *paper; int variants; const char *keeps; } known[] = {
        {"zero-shot", "", 0, 0, "", 0, "nothing"},
        {"linear-probe", "", 0, 0, "2305.17333", 1, "nothing"},
        {"mezo", "inplace streamed", 1e-6, 1e-3, "2305.17333", 7, "nothing"},
        {"mezo-adam", "inplace streamed", 1e-5, 1e-3, "2305.17333", 2, "2 moments"},
        {"conmezo", "inplace streamed", 1e-7, 1e-3, "2511.02757", 1, "a stored direction"},
        {"sparse-mezo", "inplace streamed", 1e-6, 1e-3, "2402.15751", 2, "a scaling set"},
        {"r-mezo", "inplace streamed", 1e-6, 1e-3, "2402.15751", 1, "a scaling set"},
        {"helene", "inplace streamed", 1e-6, 1e-3, "2411.10696", 2, "2 moments"},
        {"hizoo", "inplace streamed", 1e-6, 1e-3, "2402.15173", 0, "a scaling set"},
        {"lezo", "inplace streamed", 1e-6, 1e-3, "2410.09823", 1, "nothing"},
        {"mezo-svrg", "inplace streamed", 1e-4, 1e-3, "2404.08080", 2, "a snapshot, a stored direction"},
        {"lozo", "inplace streamed sidepath", 1e-6, 1e-3, "2410.07698", 3, "the last factors of directions"},
        {"lozo-m", "inplace streamed sidepath", 1e-6, 1e-3, "2410.07698", 3, "the last factors of directions, and left ones that are summed"},
        {"subzo", "inplace streamed sidepath", 1e-6, 1e-3, "2410.08989", 2, "the last factors of directions"},
        {"eggroll", "inplace streamed", -1, 1e-3, "2511.16652", 2, "the last factors of directions"},
        {"zo-svrg", "inplace streamed", 1e-4, 1e-3, "1805.10367", 2, "a snapshot, 2 stored directions"},
        {"tezo", "inplace streamed sidepath", -1, 1e-3, "2501.19057", 4, "CP factors"},
        {"tezo-m", "inplace streamed sidepath", -1, 1e-3, "2501.19057", 4, "CP factors"},
        {"tezo-adam", "inplace streamed sidepath", -1, 1e-3, "2501.19057", 4, "CP factors"},
        {"fo-sgd", "", -1, 0, "", 4, "gradients, masters of weights in 16 bits"},
        {"fo-adamw", "", -1, 0, "1711.05101", 1, "gradients, 2 moments, masters of weights in 16 bits"}};
    cJSON *rows = list_json("optimizers");
    ck_assert_int_ge(cJSON_GetArraySize(rows), sizeof known / sizeof *known); /* a new one needs no line here */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const cJSON *row = row_of(rows, "optimizer", known[i].name);
        ck_assert_str_eq(text_in(row, "realisations"), known[i].realisations);
        ck_assert(known[i].lr < 0 ? number_in(row, "lr") > 0 : number_in(row, "lr") == known[i].lr);
        ck_assert_msg(number_in(row, "eps") == known[i].eps, "%s has eps %g", known[i].name, number_in(row, "eps"));
        ck_assert(strlen(text_in(row, "title")) > 3);
        ck_assert_msg(known[i].paper[0] != '\0' ? strstr(text_in(row, "paper"), known[i].paper) != NULL : text_in(row, "paper")[0] == '\0', "%s",
                      text_in(row, "paper"));
        ck_assert_str_eq(text_in(row, "keeps"), known[i].keeps);
        bool usual = strcmp(known[i].name, "mezo") == 0 || strcmp(known[i].name, "fo-adamw") == 0;
        ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(row, "usual")), usual);
        const cJSON *variants = cJSON_GetObjectItem(row, "variants"), *variant;
        ck_assert_int_eq(cJSON_GetArraySize(variants), known[i].variants);
        cJSON_ArrayForEach(variant, variants) {
            const cJSON *options = cJSON_GetObjectItem(variant, "options");
            ck_assert(cJSON_GetArraySize(options) == 1 && strlen(text_in(variant, "says")) > 10);
        }
    }
    ck_assert_ptr_nonnull(strstr(text_in(row_of(rows, "optimizer", "mezo"), "loss_is"), "eps z"));
    /* every text that an estimator says of itself is there, and under its own key */
    const zo_estimator *const *estimators;
    int n = zo_estimator_list(&estimators);
    for (int i = 0; i < n; i++) {
        const struct { const char *key, *text; } says[] = {{"title", estimators[i]->title}, {"paper", estimators[i]->paper}, {"losses_at", estimators[i]->losses_at},
                                                           {"loss_is", estimators[i]->loss_is}, {"queries_are", estimators[i]->queries_are}};
        const cJSON *row = row_of(rows, "optimizer", estimators[i]->name);
        for (size_t k = 0; k < sizeof says / sizeof *says; k++) {
            ck_assert_str_eq(text_in(row, says[k].key), says[k].text != NULL ? says[k].text : "");
        }
        /* and every option, with the default of its table */
        const cJSON *option;
        const zo_opt *o = estimators[i]->options;
        cJSON_ArrayForEach(option, cJSON_GetObjectItemCaseSensitive(row, "options")) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(option, "default");
            ck_assert_str_eq(text_in(option, "key"), o->key);
            ck_assert_str_eq(text_in(option, "help"), o->help != NULL ? o->help : "");
            bool right = o->type == ZO_OPT_INT || o->type == ZO_OPT_REAL ? cJSON_IsNumber(value) && value->valuedouble == o->initial
                         : o->type == ZO_OPT_BOOL                       ? cJSON_IsBool(value) && cJSON_IsTrue(value) == (o->initial != 0)
                                                                        : cJSON_IsString(value);
            if (o->type == ZO_OPT_CHOICE) {
                const char *word = text_in(option, "choices");
                ck_assert_str_eq(word, o->choices);
                for (int k = 0; k < (int)o->initial; k++) {
                    word += strcspn(word, "|") + 1;
                }
                right = right && strcspn(word, "|") == strlen(value->valuestring) && strncmp(word, value->valuestring, strcspn(word, "|")) == 0;
            }
            ck_assert_msg(right, "%s: %s", estimators[i]->name, o->key);
            o++;
        }
        ck_assert(o == NULL || o->key == NULL);
    }
    static const struct { const char *name, *source, *key, *variant; } read[] = {{"mezo", "paper", "\"one-point\"", "reconstructed"},
                                                                                 {"mezo-svrg", "reconstructed", "\"released\"", "released"},
                                                                                 {"fzoo", "released", "\"n-1\"", "reconstructed"},
                                                                                 {"zero-shot", "", NULL, NULL}};
    for (size_t i = 0; i < sizeof read / sizeof *read; i++) {
        const cJSON *row = row_of(rows, "optimizer", read[i].name), *variant;
        ck_assert_str_eq(text_in(row, "source"), read[i].source);
        cJSON_ArrayForEach(variant, cJSON_GetObjectItem(row, "variants")) {
            char *options = cJSON_PrintUnformatted(cJSON_GetObjectItem(variant, "options"));
            ck_assert(strstr(options, read[i].key) == NULL || strcmp(text_in(variant, "source"), read[i].variant) == 0);
            cJSON_free(options);
        }
    }
    static const char *const without[] = {"curvzo", "aim-zo", "agzo", "grzo", "loren"}; /* no algorithm: rows that say what is missing */
    for (size_t i = 0; i < sizeof without / sizeof *without; i++) {
        const cJSON *row = row_of(rows, "optimizer", without[i]);
        ck_assert_str_eq(text_in(row, "source"), "no algorithm known");
        ck_assert(strncmp(text_in(row, "keeps"), "missing: ", 9) == 0 && strlen(text_in(row, "keeps")) > 30);
        ck_assert_ptr_null(zo_estimator_find(without[i]));
    }
    static const struct { const char *name, *key, *keeps; } other[] = {{"mezo-svrg", "\"replay\"", "nothing"},
                                                                      {"mezo-svrg", "\"released\"", "a stored direction, two while it is made"},
                                                                      {"fo-sgd", "momentum", "gradients, 1 moment, masters of weights in 16 bits"}, {"fo-sgd", "master", "gradients"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        const cJSON *variant, *found = NULL;
        cJSON_ArrayForEach(variant, cJSON_GetObjectItem(row_of(rows, "optimizer", other[i].name), "variants")) {
            char *options = cJSON_PrintUnformatted(cJSON_GetObjectItem(variant, "options"));
            found = strstr(options, other[i].key) != NULL ? variant : found;
            cJSON_free(options);
        }
        ck_assert(found != NULL);
        ck_assert_str_eq(text_in(found, "keeps"), other[i].keeps);
    }
    ck_assert(strlen(text_in(row_of(rows, "optimizer", "forward-grad"), "unmeasured")) > 20 && !cJSON_HasObjectItem(row_of(rows, "optimizer", "fo-sgd"), "unmeasured"));
    const cJSON *mezo = cJSON_GetObjectItemCaseSensitive(row_of(rows, "optimizer", "mezo"), "options");
    ck_assert_str_eq(text_in(row_of(mezo, "key", "decay_on"), "choices"), "matrices|all");
    ck_assert_str_eq(text_in(row_of(mezo, "key", "decay_on"), "default"), "matrices");
    ck_assert_double_eq(number_in(row_of(mezo, "key", "queries"), "default"), 1);
    ck_assert_double_eq(number_in(row_of(mezo, "key", "weight_decay"), "default"), 0);
    const cJSON *svrg = cJSON_GetObjectItemCaseSensitive(row_of(rows, "optimizer", "mezo-svrg"), "options");
    ck_assert_str_eq(text_in(row_of(svrg, "key", "mode"), "default"), "paper");
    ck_assert_double_eq(number_in(row_of(svrg, "key", "kappa"), "default"), 1.05);
    ck_assert_double_eq(number_in(row_of(svrg, "key", "q"), "default"), 2);
    cJSON_Delete(rows);
    /* for people the keys alone, in one column */
    const char *const argv[] = {"list", "optimizers", NULL};
    int code;
    char *text = list(&code, 2, argv);
    ck_assert_int_eq(code, 0);
    ck_assert_ptr_nonnull(strstr(text, "weight_decay queries decay_on"));
    ck_assert_ptr_null(strstr(text, "before the update, as the released code logs"));
    zo_free(text);
}
END_TEST

/* Each method has an oracle, and each variant but those that another test sees; the column of `zo list optimizers` is that of the lines. */
START_TEST(oracles)
{
    static const char checkpoint[] = "{\"checkpoint\":true}"; /* the gradient has the same bits: test_models */
    cJSON *lines = list_json("oracles"), *rows = list_json("optimizers");
    const cJSON *line, *row;
    cJSON_ArrayForEach(line, lines) {
        const char *name = text_in(line, "optimizer"), *oracle = text_in(line, "oracle"), *variant = text_in(line, "variant");
        row = row_of(rows, "optimizer", name);
        if (strncmp(oracle, "none", 4) != 0) {
            ck_assert(strlen(text_in(line, "within")) > 4);
            ck_assert_msg(strstr(text_in(row, "oracle"), oracle) != NULL, "%s: \"%s\" has no %s", name, text_in(row, "oracle"), oracle);
            continue;
        }
        ck_assert_msg(zo_estimator_find(name)->step == NULL || strcmp(variant, checkpoint) == 0, "%s %s has no oracle: a case in tests/optimizers/test_twins.c, and make oracles-table", name, variant);
    }
    static const struct { const char *name, *oracle; } known[] = {{"mezo", "edge of stability"}, {"fo-adamw", "torch.optim"}, {"hizoo", "released code"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        ck_assert_ptr_nonnull(strstr(text_in(row_of(rows, "optimizer", known[i].name), "oracle"), known[i].oracle));
    }
    cJSON_ArrayForEach(row, rows) { /* what is no method has the same keys, and nothing in most */
        const cJSON *first = row_of(rows, "optimizer", "mezo"), *key;
        cJSON_ArrayForEach(key, first) {
            ck_assert_msg(cJSON_HasObjectItem(row, key->string), "%s has no key %s", text_in(row, "optimizer"), key->string);
        }
    }
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(row_of(rows, "optimizer", "curvzo"), "lr")));
    cJSON_Delete(lines);
    cJSON_Delete(rows);
}
END_TEST

START_TEST(tasks)
{
    static const struct { const char *name, *metric, *forms; int classes; } known[] = {
        {"sst2", "accuracy", "head prompt", 2}, {"sst5", "accuracy", "head prompt", 5}, {"trec", "accuracy", "head prompt", 6},
        {"mrpc", "f1", "head prompt", 2},       {"mnli", "accuracy", "head prompt", 3}, {"cb", "accuracy", "head prompt", 3},
        {"record", "accuracy", "prompt", 0},    {"copa", "accuracy", "prompt", 2},      {"synth-lengths", "accuracy", "head prompt", 2}};
    cJSON *rows = list_json("tasks");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const cJSON *row = row_of(rows, "task", known[i].name);
        ck_assert_msg(strcmp(text_in(row, "metric"), known[i].metric) == 0 && strcmp(text_in(row, "forms"), known[i].forms) == 0 &&
                      number_in(row, "classes") == known[i].classes, "%s: %s, %s, %g", known[i].name, text_in(row, "metric"), text_in(row, "forms"),
                      number_in(row, "classes"));
    }
    ck_assert_str_eq(text_in(row_of(rows, "task", "sst2"), "prompt"), "mask option");
    ck_assert_str_eq(text_in(row_of(rows, "task", "copa"), "prompt"), "option");
    ck_assert_str_eq(text_in(row_of(rows, "task", "sst2"), "files"), "glue/SST-2/{train,dev}.tsv");
    ck_assert_ptr_nonnull(strstr(text_in(row_of(rows, "task", "synth-sentiment"), "files"), "generated"));
    cJSON_Delete(rows);
}
END_TEST

#define CONFIG(layers) "{\"model_type\": \"bert\", \"vocab_size\": 300, \"hidden_size\": 8, \"num_hidden_layers\": " #layers                     \
    ", \"num_attention_heads\": 2, \"intermediate_size\": 16, \"max_position_embeddings\": 32}"

START_TEST(models)
{
    put("models/one/config.json", CONFIG(1));
    put("models/two/config.json", CONFIG(2));
    put("models/broken/config.json", "{\"model_type\": \"t5\"}");
    put("models/notes/readme.md", "no model");
    put("models/.hidden/config.json", CONFIG(3));
    put("more/three/config.json", CONFIG(3));
    put("hf/hub/models--some-org--some--name/snapshots/abc/config.json", CONFIG(4));
    put("hf/hub/datasets--some-org--rows/snapshots/abc/config.json", CONFIG(5));
    put("hf/hub/models--org--without/refs/none", "x");
    setenv("ZO_MODELS", below("more"), 1);
    setenv("HF_HOME", below("hf"), 1);
    unsetenv("HF_HUB_CACHE");
    cJSON *rows = list_json("models");
    static const struct { const char *name; int layers; } known[] = {{"one", 1}, {"two", 2}, {"three", 3}, {"some-org/some--name", 4}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const cJSON *row = row_of(rows, "model", known[i].name);
        ck_assert_str_eq(text_in(row, "family"), "bert");
        ck_assert_double_eq(number_in(row, "layers"), known[i].layers);
        ck_assert_double_eq(number_in(row, "hidden"), 8);
        ck_assert_double_eq(number_in(row, "vocab"), 300);
        ck_assert_double_eq(number_in(row, "positions"), 32);
    }
    ck_assert_str_eq(text_in(row_of(rows, "model", "three"), "folder"), below("more/three"));
    ck_assert_str_eq(text_in(row_of(rows, "model", "some-org/some--name"), "folder"), below("hf/hub/models--some-org--some--name/snapshots/abc"));
    ck_assert_ptr_nonnull(strstr(text_in(row_of(rows, "model", "broken"), "problem"), "t5"));
    ck_assert_str_eq(text_in(row_of(rows, "model", "synth-tiny"), "family"), "bert");
    ck_assert_str_eq(text_in(row_of(rows, "model", "shape:opt-13b"), "family"), "opt");
    const cJSON *row;
    cJSON_ArrayForEach(row, rows) {
        const char *name = text_in(row, "model");
        ck_assert_msg(strcmp(name, "notes") != 0 && strcmp(name, ".hidden") != 0 && strstr(name, "rows") == NULL && strstr(name, "without") == NULL,
                      "%s is listed", name);
    }
    cJSON_Delete(rows);
}
END_TEST

START_TEST(pictures_configs_and_what_is_not_there)
{
    cJSON *rows = list_json("plots");
    ck_assert_int_ge(cJSON_GetArraySize(rows), 9);
    cJSON_Delete(rows);
    rows = list_json("configs");
    ck_assert(strlen(text_in(row_of(rows, "config", "paper_configs/smoke/sst2.json"), "notes")) > 20);
    (void)row_of(rows, "config", "paper_configs/demo/grid.json");
    cJSON_Delete(rows);
    /* from a folder that they are not below they have whole paths */
    char here[2048], whole[2100];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    snprintf(whole, sizeof whole, "%s/paper_configs/demo/grid.json", here);
    working_folder = "paper_configs/demo"; /* a part of the path alone is the same */
    rows = list_json("configs");
    (void)row_of(rows, "config", whole);
    cJSON_Delete(rows);
    working_folder = NULL;
    int code;
    const char *const near[] = {"list", "task", NULL}, *const far[] = {"list", "weather", NULL}, *const none[] = {"list", NULL};
    char *text = list(&code, 2, near);
    ck_assert_int_eq(code, 2);
    ck_assert_str_eq(text, "zo list: there is no list of \"task\"; did you mean tasks?\n");
    zo_free(text);
    text = list(&code, 2, far);
    ck_assert_int_eq(code, 2);
    ck_assert_ptr_nonnull(strstr(text, "expected models, tasks, optimizers, oracles, plots or configs"));
    zo_free(text);
    text = list(&code, 1, none);
    ck_assert_int_eq(code, 2);
    zo_free(text);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_list.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    TCase *t = tcase_create("list");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, methods);
    tcase_add_test(t, oracles);
    tcase_add_test(t, tasks);
    tcase_add_test(t, models);
    tcase_add_test(t, pictures_configs_and_what_is_not_there);
    Suite *suite = suite_create("list");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
