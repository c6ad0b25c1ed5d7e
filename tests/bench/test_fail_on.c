/* test_fail_on.c: `zo run --fail-on`: which ends make the exit code 1, of cells that are run and of cells that were done, and that they are results without it. */
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

#define COMMON "\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, \"context\": 16, " \
               "\"batch\": 4, \"threads\": 1, \"optimizer\": \"fo-sgd\""

/* The exit code of a run of this config, with --fail-on where `list` says so. */
static int run(const char *config, const char *db, const char *list, const char *more)
{
    put("c.json", config);
    const char *const with[] = {"run", below("c.json"), "--db", below(db), "--fail-on", list, more, NULL}, *const without[] = {"run", below("c.json"), "--db", below(db), NULL};
    return command(zo_cmd_run, list != NULL ? with : without);
}

START_TEST(a_fault_is_a_result_until_it_is_named)
{
    static const char diverges[] = "{" COMMON ", \"steps\": 30, \"lr\": [1e-3, 1e6]}";
    ck_assert_msg(run(diverges, "d.db", NULL, NULL) == 0, "%s", program_said);
    ASSERT_SAID("diverged");
    ck_assert_int_eq(run(diverges, "d.db", "oom,dead", NULL), 0); /* done before, and not what is named */
    ck_assert_int_eq(run(diverges, "d.db", "oom,diverged", NULL), 1);
    ASSERT_SAID("1 of 2 cells ended as --fail-on oom,diverged has it");
    ck_assert_int_eq(run(diverges, "d.db", "diverged", "--json"), 1);
    ck_assert_int_eq(run(diverges, "new.db", "diverged", NULL), 1); /* run now */
    ASSERT_SAID("1 of 2 cells ended as --fail-on diverged has it");
}
END_TEST

START_TEST(out_of_memory)
{
    static const char whole[] = "{" COMMON ", \"steps\": 2}";
    setenv("ZO_MEMORY_LIMIT", "1500000", 1);
    ck_assert_msg(run(whole, "m.db", NULL, NULL) == 0, "%s", program_said);
    ASSERT_SAID("oom");
    ck_assert_int_eq(run(whole, "m.db", "oom", NULL), 1);
    ck_assert_int_eq(run(whole, "m.db", "dead", NULL), 0);
    unsetenv("ZO_MEMORY_LIMIT");
    ck_assert_msg(run(whole, "m.db", "oom", NULL) == 0, "%s", program_said); /* more memory is free: tried again, and done */
}
END_TEST

START_TEST(what_is_refused)
{
    static const char one[] = "{" COMMON ", \"steps\": 2}";
    ck_assert_int_eq(run(one, "r.db", "omm", NULL), 2);
    ASSERT_SAID("--fail-on has \"omm\"; expected a list such as oom,diverged of oom, diverged, dead, time, unsupported and constant");
    ck_assert_int_eq(run(one, "r.db", "oom,,dead", NULL), 2);
    ck_assert_int_ne(access(below("r.db"), F_OK), 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("fail-on");
    TCase *t = tcase_create("fail_on");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, a_fault_is_a_result_until_it_is_named);
    tcase_add_test(t, out_of_memory);
    tcase_add_test(t, what_is_refused);
    Suite *suite = suite_create("fail_on");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
