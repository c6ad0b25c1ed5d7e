/* test_best.c: `zo best`: of each setting the rate whose dev loss is least by hand, with its seeds, in a config whose cells are those of the database. */
#include <cjson/cJSON.h>
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/conf.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

/* MeZO on an adapter stands before SGD on everything: what "tune" is by default must be said of the second. */
static const char grid[] = "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-acceptability\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, "
                           "\"context\": 16, \"batch\": 4, \"steps\": 2, \"eval_every\": 1, \"threads\": 1, \"selection\": \"dev-loss\", \"seed\": [3, 1], "
                           "\"optimizer\": [{\"name\": \"mezo\", \"lr\": [1e-5, 1e-4, 1e-3], \"tune\": \"lora\"}, {\"name\": \"fo-sgd\", \"lr\": [1e-3, 1e-2]}]}";

START_TEST(the_best_rate_as_a_config)
{
    put("grid.json", grid);
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("grid.json"), "--db", below("g.db")) == 0, "%s", program_said);
    change("g.db", "UPDATE tries SET dev_loss = 1, status = 'done', marks = ''; UPDATE evaluations SET loss = 1;"
                   "UPDATE tries SET dev_loss = 0.5 WHERE cell IN (SELECT cell FROM cells WHERE (optimizer = 'mezo' AND lr = 1e-4) OR (optimizer = 'fo-sgd' AND lr = 1e-2))");
    ck_assert_msg(COMMAND(zo_cmd_best, "best", "--db", below("g.db")) == 0, "%s", program_said);
    put("best.json", program_said);
    cJSON *config = cJSON_Parse(program_said), *include = cJSON_GetObjectItem(config, "include"), *seed = cJSON_GetObjectItem(config, "seed");
    ck_assert_msg(cJSON_GetArraySize(include) == 1 && cJSON_GetArraySize(seed) == 2, "%s", program_said);
    ck_assert_str_eq(zo_json_text(cJSON_GetObjectItem(config, "optimizer"), "name"), "mezo");
    ck_assert_double_eq(cJSON_GetObjectItem(config, "lr")->valuedouble, 1e-4);
    ck_assert_double_eq(cJSON_GetObjectItem(include->child, "lr")->valuedouble, 1e-2);
    cJSON_Delete(config);
    /* its cells are there, and they are just these four */
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("best.json"), "--db", below("g.db"), "--dry-run") == 0, "%s", program_said);
    ASSERT_SAID("4 cells, 0 to run, 0 equal to others, 0 excluded");
    /* with other seeds: of both */
    ck_assert_int_eq(COMMAND(zo_cmd_best, "best", "--db", below("g.db"), "--seeds", "1,5,7"), 0);
    put("seeds.json", program_said);
    ck_assert_int_eq(COMMAND(zo_cmd_run, "run", below("seeds.json"), "--db", below("g.db"), "--dry-run"), 0);
    ASSERT_SAID("6 cells, 4 to run, 0 equal to others, 0 excluded");
    ck_assert_int_eq(COMMAND(zo_cmd_best, "best", "--db", below("g.db"), "--seeds", "1,x"), 2);
    ASSERT_SAID("--seeds is \"1,x\"; expected numbers with commas between them");
    ck_assert_int_eq(COMMAND(zo_cmd_best, "best", "--db", below("g.db"), "--where", "optimizer = 'fo-sgd' AND seed = 1"), 0);
    put("one.json", program_said);
    ck_assert_int_eq(COMMAND(zo_cmd_run, "run", below("one.json"), "--db", below("g.db"), "--dry-run"), 0);
    ASSERT_SAID("1 cells, 0 to run");
}
END_TEST

START_TEST(what_is_refused)
{
    ck_assert_int_eq(COMMAND(zo_cmd_best, "best", "--db", below("none.db")), 2);
    ASSERT_SAID("none.db: there is no such database");
    ck_assert_int_eq(COMMAND(zo_cmd_best, "best", "--db", below("g.db"), "--where", "seed = 99"), 2);
    ASSERT_SAID("has no run with a result for which --where holds");
    ck_assert_int_eq(COMMAND(zo_cmd_best, "best", "--db", below("g.db"), "--where", "nonsense"), 2);
    ASSERT_SAID("no such column: nonsense");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("best");
    TCase *t = tcase_create("best");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, the_best_rate_as_a_config);
    tcase_add_test(t, what_is_refused);
    Suite *s = suite_create("best");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(program_folder);
    return failed != 0;
}
