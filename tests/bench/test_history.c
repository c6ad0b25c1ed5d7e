/* test_history.c: `zo history` through the whole program. One run is copied under made-up revisions with figures that are known, so that every point, band and step is known
 * by hand. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/conf.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

static const char config[] = "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, "
                             "\"context\": 16, \"batch\": 4, \"steps\": 4, \"threads\": 1, \"optimizer\": \"mezo\"}";
enum { REVISIONS = 10, TRIES = 4 };

/* h.db: ten revisions of four tries each. Their processor time is 12 ms a step up to the sixth revision 15 ms in the seventh and eighth, and 12 again; of the four tries 0.97, 0.99, 1.01 and
 * 1.03 of that. The peak is 1 MB. */
static void make_history(void)
{
    put("c.json", config);
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("h.db")) == 0, "%s", program_said);
    change("h.db", "UPDATE memory SET bytes = 0; UPDATE memory SET bytes = 600000 WHERE phase = 'train' AND tag = 'params'; UPDATE memory SET bytes = 400000 WHERE phase = 'train' "
                   "AND tag = 'activations'; UPDATE parts SET ms = 5 WHERE part = 'gemm'");
    for (int i = 1; i < REVISIONS * TRIES; i++) {
        change("h.db", "CREATE TEMP TABLE t AS SELECT * FROM tries WHERE run = (SELECT max(run) FROM tries); UPDATE t SET run = run + 1, try = hex(randomblob(16)); INSERT INTO tries SELECT * FROM t;"
                       "DROP TABLE t; CREATE TEMP TABLE t AS SELECT * FROM memory WHERE run = (SELECT max(run) FROM tries) - 1; UPDATE t SET run = run + 1; INSERT INTO memory SELECT * FROM t;"
                       "DROP TABLE t; CREATE TEMP TABLE t AS SELECT * FROM parts WHERE run = (SELECT max(run) FROM tries) - 1; UPDATE t SET run = run + 1; INSERT INTO parts SELECT * FROM t");
    }
    /* the revisions' names are in another order than their days, and so are the runs' numbers */
    change("h.db", "UPDATE tries SET host = 'here', disturbed = 0, revision = char(106 - (run - 1) / 4) || ((run - 1) / 4), began = printf('2026-03-%02dT0%d:00:00Z', 1 + (run - 1) / 4, 9 - run % 4),"
                   "cpu_seconds = steps * (CASE WHEN run BETWEEN 25 AND 32 THEN 0.015 ELSE 0.012 END) * (0.97 + 0.02 * ((run - 1) % 4))");
}

static cJSON *history(const char *const word[])
{
    ck_assert_msg(command(zo_cmd_history, word) == 0, "%s", program_said);
    return cJSON_Parse(program_said);
}
#define HISTORY(...) history((const char *const[]){"history", __VA_ARGS__, "--db", below("h.db"), "--json", NULL})
#define OF(row, key) zo_json_number(row, key, NAN)
#define IS(row, key, value) ck_assert_msg(fabs(OF(row, key) - (value)) < 1e-9 * (1 + fabs((double)(value))), "%s is %.12g, not %.12g", key, OF(row, key), (double)(value))

START_TEST(points_bands_and_steps)
{
    char name[40];
    cJSON *rows = HISTORY("cpu");
    ck_assert_int_eq(cJSON_GetArraySize(rows), REVISIONS);
    for (int i = 0; i < REVISIONS; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        double ms = i == 6 || i == 7 ? 15 : 12;
        snprintf(name, sizeof name, "%c%d", 106 - i, i);
        ck_assert_str_eq(zo_json_text(row, "revision"), name);
        snprintf(name, sizeof name, "2026-03-%02dT06:00:00Z", i + 1); /* of its first run */
        ck_assert_str_eq(zo_json_text(row, "began"), name);
        IS(row, "n", TRIES);
        IS(row, "value", ms);
        IS(row, "low", ms * 0.985); /* between the first two, three quarters of the way */
        IS(row, "high", ms * 1.015);
        IS(row, "level", ms);
        ck_assert(i == 6 ? fabs(OF(row, "step") - 0.25) < 1e-9 : i == 8 ? fabs(OF(row, "step") + 0.2) < 1e-9 : isnan(OF(row, "step")));
    }
    cJSON_Delete(rows);
    rows = HISTORY("gemm");
    IS(rows->child, "value", 5);
    cJSON_Delete(rows);
    rows = HISTORY("train peak");
    IS(rows->child, "value", 1e6);
    ck_assert(isnan(OF(cJSON_GetArrayItem(rows, 6), "step")));
    cJSON_Delete(rows);
    rows = HISTORY("train activations");
    IS(rows->child, "value", 4e5);
    cJSON_Delete(rows);
    rows = HISTORY("steps");
    IS(rows->child, "value", 4);
    cJSON_Delete(rows);
    rows = HISTORY("cpu", "--where", "began < '2026-03-05'");
    ck_assert_int_eq(cJSON_GetArraySize(rows), 4);
    cJSON_Delete(rows);
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "cpu", "--db", below("h.db")), 0);
    ASSERT_SAID("shape:opt-tiny synth-lengths head mezo on here: cpu");
    ASSERT_SAID("step: +25.0 %");
    ASSERT_SAID("step: -20.0 %");
    ASSERT_SAID("| --o--    "); /* the smallest quartile is at the left end of the chart */
}
END_TEST

/* There is no share of a level of 0 or less; the step is there all the same. */
START_TEST(a_step_from_nothing)
{
    change("h.db", "UPDATE tries SET matthews = CASE WHEN run <= 12 THEN 0 WHEN run <= 24 THEN 0.25 WHEN run <= 32 THEN -0.5 ELSE 0.75 END");
    cJSON *rows = HISTORY("matthews");
    for (int i = 0; i < REVISIONS; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(row, "starts")), i == 3 || i == 6 || i == 8);
        ck_assert(i == 3 || i == 6 || i == 8 || (isnan(OF(row, "rise")) && isnan(OF(row, "step"))));
    }
    IS(cJSON_GetArrayItem(rows, 3), "rise", 0.25);
    IS(cJSON_GetArrayItem(rows, 6), "rise", -0.75);
    IS(cJSON_GetArrayItem(rows, 6), "step", -3);
    IS(cJSON_GetArrayItem(rows, 8), "rise", 1.25);
    ck_assert(isnan(OF(cJSON_GetArrayItem(rows, 3), "step")) && isnan(OF(cJSON_GetArrayItem(rows, 8), "step")));
    cJSON_Delete(rows);
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "matthews", "--db", below("h.db")), 0);
    ASSERT_SAID("step: +0.25 ");
    if (system("command -v gnuplot >/dev/null") == 0) {
        char text[1 << 16];
        ck_assert_msg(COMMAND(zo_cmd_history, "history", "matthews", "--db", below("h.db"), "--plot", below("s.svg")) == 0, "%s", program_said);
        program_read("s.svg", text, sizeof text);
        ASSERT_HAS(text, "+0.25");
    }
}
END_TEST

START_TEST(disturbed_runs_and_hosts)
{
    change("h.db", "UPDATE tries SET disturbed = 1 WHERE run IN (1, 2, 5, 6, 7, 8)"); /* two of the first revision, all of the second */
    cJSON *rows = HISTORY("cpu");
    IS(rows->child, "n", 2);
    IS(rows->child, "disturbed", 2);
    IS(rows->child, "value", 12 * 1.02);
    IS(rows->child->next, "n", 0);
    ck_assert(isnan(OF(rows->child->next, "value")) && isnan(OF(rows->child->next, "level")));
    IS(cJSON_GetArrayItem(rows, 6), "step", 0.25);
    cJSON_Delete(rows);
    rows = HISTORY("cpu", "--disturbed");
    IS(rows->child, "n", 4);
    cJSON_Delete(rows);
    rows = HISTORY("train peak"); /* no time: it is what it is */
    IS(rows->child, "n", 4);
    cJSON_Delete(rows);
    change("h.db", "UPDATE tries SET host = 'there' WHERE run > 24");
    rows = HISTORY("cpu", "--disturbed");
    ck_assert_int_eq(cJSON_GetArraySize(rows), REVISIONS);
    ck_assert(isnan(OF(cJSON_GetArrayItem(rows, 6), "step"))); /* two hosts are two series */
    IS(cJSON_GetArrayItem(rows, 8), "step", -0.2);
    ck_assert_str_eq(zo_json_text(cJSON_GetArrayItem(rows, 5), "host"), "here");
    ck_assert_str_eq(zo_json_text(cJSON_GetArrayItem(rows, 6), "host"), "there");
    cJSON_Delete(rows);
}
END_TEST

START_TEST(a_picture)
{
    char text[1 << 16];
    if (system("command -v gnuplot >/dev/null") != 0) {
        printf("skipped: the picture, no gnuplot\n");
        return;
    }
    ck_assert_msg(COMMAND(zo_cmd_history, "history", "cpu", "--disturbed", "--db", below("h.db"), "--plot", below("h.svg")) == 0, "%s", program_said);
    program_read("h.svg", text, sizeof text);
    ck_assert_ptr_nonnull(strstr(text, "shape:opt-tiny synth-lengths head mezo on here"));
    ck_assert_ptr_nonnull(strstr(text, ">j0<"));
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "cpu", "--db", below("h.db"), "--plot", below("h.txt")), 2);
    ASSERT_SAID("expected a file that ends with .png, .svg or .pdf");
}
END_TEST

START_TEST(what_is_refused)
{
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "step_ms_medain", "--db", below("h.db")), 2);
    ASSERT_SAID("there is no metric \"step_ms_medain\"; the nearest is \"step_ms_median\"");
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "train nothing", "--db", below("h.db")), 2);
    ASSERT_SAID("there is no metric \"train nothing\"");
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "status", "--db", below("h.db")), 2); /* a column, and no number */
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "cpu", "--db", below("none.db")), 2);
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "f1", "--db", below("h.db"), "--where", "0"), 2);
    ASSERT_SAID("no run that --where leaves has a f1");
    change("h.db", "UPDATE tries SET disturbed = 1");
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "cpu", "--db", below("h.db"), "--plot", below("none.svg")), 2);
    ASSERT_SAID("cannot be drawn: other work disturbed all runs that have cpu; --disturbed counts them too");
    ck_assert_int_eq(COMMAND(zo_cmd_history, "history", "--db", below("h.db")), 2);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("history");
    TCase *t = tcase_create("history");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, make_history, NULL);
    tcase_add_test(t, points_bands_and_steps);
    tcase_add_test(t, a_step_from_nothing);
    tcase_add_test(t, disturbed_runs_and_hosts); /* it changes the database, and those that follow see that */
    tcase_add_test(t, a_picture);
    tcase_add_test(t, what_is_refused);
    Suite *suite = suite_create("history");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
