/* test_step.c: `zo bench step` and the shapes that it measures: what it refuses, sizes against the published ones, and runs on small
 * models. */
#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/cmd.h"
#include "bench/shapes.h"
#include "core/io.h"
#include "models/hub.h"
#include "models/model.h"

enum { WORDS = 32 };

static int step_command(const char *const *word)
{
    char *argv[WORDS + 1] = {(char *)"step"};
    int argc = 1;
    for (; word[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)word[argc - 1];
    }
    return zo_cmd_bench_step(argc, argv);
}

START_TEST(wrong_input_is_refused)
{
    static const char *const wrong[][4] = {
        {NULL},
        {"model", "--steps", "0", NULL},
        {"model", "--steps", "-1", NULL},
        {"model", "--precision", "f64", NULL},
        {"model", "--realisation", "inline", NULL},
        {"model", "--optimizer", "mezzo", NULL},
        {"model", "--optimizer", "{\"name\":", NULL},
        {"model", "--optimizer", "zero-shot", NULL},
        {"model", "--optimizer", "{\"name\": \"tezo\", \"rank\": [2, 4]}", NULL},
        {"model", "--optimiser", "mezo", NULL},
        {"no-such-model", "--task", "sst2", NULL},
        {"shape:opt-13c", "--init", "random", NULL},
        {"shape:opt-tiny", "--task", "synth-lengths", NULL}, /* it has no weights */
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        ck_assert_msg(step_command(wrong[k]) == 2, "case %zu was not refused with 2", k);
    }
}
END_TEST

/* Numbers of parameters as transformers counts them in the published checkpoints (tied heads once). */
START_TEST(shapes_have_published_sizes)
{
    static const struct { const char *name; zo_head head; int64_t parameters; } want[] = {
        {"shape:opt-125m", ZO_HEAD_OPTIONS, 125239296},     {"shape:opt-1.3b", ZO_HEAD_OPTIONS, 1315758080},
        {"shape:opt-13b", ZO_HEAD_OPTIONS, 12853473280},    {"shape:roberta-large", ZO_HEAD_WORDS, 355412057},
        {"shape:llama-7b", ZO_HEAD_OPTIONS, 6738415616}};
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        char folder[4096];
        zo_err err = {0};
        zo_arch arch;
        zo_plan plan;
        ck_assert_msg(zo_shape_folder(want[k].name, folder, &err) == ZO_OK && zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
        zo_model_plan(&arch, want[k].head, 2, 16, 16, 1, ZO_FORWARD_ONLY, &plan);
        ck_assert_msg(plan.parameters == want[k].parameters, "%s has %lld parameters, published are %lld", want[k].name,
                      (long long)plan.parameters, (long long)want[k].parameters);
    }
}
END_TEST

START_TEST(steps_on_shapes)
{
    static const char *const way[][3] = {{"shape:opt-tiny", "mezo", "streamed"},
                                         {"shape:roberta-tiny", "tezo", "sidepath"},
                                         {"shape:llama-tiny", "fo-sgd", "inplace"}};
    for (size_t k = 0; k < sizeof way / sizeof *way; k++) {
        const char *const words[] = {way[k][0], "--task", "synth-lengths", "--form", "prompt", "--init", "random", "--batch", "4", "--steps", "2",
                                     "--context", "40", "--optimizer", way[k][1], "--realisation", way[k][2], k == 1 ? "--fill" : NULL, NULL};
        ck_assert_msg(step_command(words) == 0, "%s, %s failed", way[k][0], way[k][1]);
    }
}
END_TEST

START_TEST(steps_on_a_small_model)
{
    const char *data = getenv("ZO_TEST_DATA"), *models = getenv("ZO_TEST_MODELS");
    data = data != NULL ? data : "../shared/data";
    models = models != NULL ? models : "../shared/models";
    char folder[4096];
    zo_path_join(folder, sizeof folder, models, "stories260K");
    if (!zo_path_is_dir(folder) || !zo_path_is_dir(data)) {
        printf("skipped: a run of zo bench step needs %s and %s\n", folder, data);
        return;
    }
    static const char *const way[][2] = {
        {"mezo", "inplace"}, {"mezo-svrg", "streamed"}, {"tezo", "sidepath"}, {"tezo-adam", "streamed"}, {"fo-adamw", "inplace"}};
    for (size_t k = 0; k < sizeof way / sizeof *way; k++) {
        const char *const words[] = {folder, "--data", data, "--task", "cb", "--form", "prompt", "--batch", "2", "--train", "8", "--context", "256",
                                     "--steps", "2", "--optimizer", way[k][0], "--realisation", way[k][1], k % 2 == 0 ? "--json" : NULL, NULL};
        ck_assert_msg(step_command(words) == 0, "%s, %s failed", way[k][0], way[k][1]);
    }
}
END_TEST

static int remove_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)s;
    (void)type;
    (void)at;
    return remove(path);
}

int main(void)
{
    char cache[] = "build/test_step.XXXXXX";
    if (mkdtemp(cache) == NULL || setenv("ZO_CACHE", cache, 1) != 0) {
        perror("test_step: build/test_step.XXXXXX");
        return 1;
    }
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, wrong_input_is_refused);
    tcase_add_test(tests, shapes_have_published_sizes);
    tcase_add_test(tests, steps_on_shapes);
    tcase_add_test(tests, steps_on_a_small_model);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    nftw(cache, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return failed != 0;
}
