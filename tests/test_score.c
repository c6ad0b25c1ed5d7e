/* test_score.c: `zo score` on the stories260K checkpoint against transformers (tests/golden/make_score.py), and its bad input. The
 * checkpoint is looked for in $ZO_TEST_MODELS, default ../shared/models; the test says so where it is absent. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cmd.h"
#include "core/io.h"
#include "core/mem.h"

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

/* Run a command with its output in folder/out and its errors in folder/err; both are read back. Check's fork keeps it apart. */
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
    ck_assert_msg(cJSON_IsArray(x) && cJSON_IsArray(y) && cJSON_GetArraySize(x) == cJSON_GetArraySize(y), "line %ld: %s", line, key);
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
    printf("measured: zo score on stories260K: largest difference to transformers: hidden %.2g, log-probability %.2g\n", hidden, logprob);
    ck_assert_msg(hidden <= 5e-5 && logprob <= 5e-5, "hidden %g, logprob %g", hidden, logprob);
    zo_free(golden);
    zo_free(out);
    zo_free(errors);
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
    const struct { const char *argv[4]; int argc; const char *says; } wrong[] = {
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

int main(void)
{
    const char *models = getenv("ZO_TEST_MODELS");
    char path[4096];
    snprintf(model, sizeof model, "%.2900s/stories260K", models != NULL ? models : "../shared/models");
    zo_path_join(path, sizeof path, model, "model.safetensors");
    if (!zo_path_exists(path)) {
        printf("skipped: %s is not there\n", path);
        return 0;
    }
    Suite *suite = suite_create("score");
    TCase *tests = tcase_create("score");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, agrees_with_transformers);
    tcase_add_test(tests, bad_input);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
