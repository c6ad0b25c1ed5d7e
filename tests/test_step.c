/* test_step.c: `zo bench step`: what it refuses, and a run on a small real model where one is at hand. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/cmd.h"
#include "core/io.h"

enum { WORDS = 24 };

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
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        ck_assert_msg(step_command(wrong[k]) == 2, "case %zu was not refused with 2", k);
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

int main(void)
{
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, wrong_input_is_refused);
    tcase_add_test(tests, steps_on_a_small_model);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
