/* test_budget.c: `zo run --budget` end to end. Timed rows are given numbers by hand (a second a step, nothing else takes time), so what is kept of a table
 * and how long its cells are is arithmetic, done beside it. This program stands in for `zo`: started with a command it is that command. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/child.h"
#include "bench/matrix/hours.h"
#include "bench/matrix/budget.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

/* Two tasks, three rates, two seeds; so many steps with so many between two evaluations. */
static const char *table(const char *name, int steps, int every)
{
    char text[2000];
    snprintf(text, sizeof text,
             "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": [\"synth-sentiment\", \"synth-acceptability\"], \"form\": \"head\", \"context\": 32, \"batch\": 2,"
             "\"train\": 8, \"dev\": 4, \"test\": 4, \"threads\": 1, \"steps\": %d, \"eval_every\": %d, \"seed\": [5, 6], \"optimizer\": {\"name\": \"mezo\", \"lr\": [1e-5, 1e-4, 1e-3]},"
             "\"expect\": [{\"source\": \"made up\", \"confidence\": \"read\", \"figure\": \"metric\", \"unit\": \"percent\", \"columns\": {\"task\": [\"synth-sentiment\","
             "\"synth-acceptability\"]}, \"values\": [{\"name\": \"MeZO\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [100, 100]}]}]}", steps, every);
    put(name, text);
    return below(name);
}

/* The text of a statement's one value; it may change the database. */
static const char *ask(const char *db, const char *sql)
{
    static char text[4][400];
    static int turn;
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    turn = (turn + 1) % 4;
    ck_assert_int_eq(sqlite3_open(below(db), &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(handle));
    bool there = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL;
    snprintf(text[turn], sizeof text[turn], "%s", there ? (const char *)sqlite3_column_text(s, 0) : "");
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return text[turn];
}

static int shrink(const char *path, const char *db, const char *budget)
{
    const char *const argv[] = {"zo", "run", path, "--db", below(db), "--budget", budget, "--json", NULL};
    return program(argv);
}

/* Leaves DB.hours with a second for each step of both settings (the tasks), and nothing for anything else: a table of one step has the same timed cells. */
static void prepare(const char *db, const char *budget)
{
    char hours[80], first[60];
    snprintf(first, sizeof first, "first.%s", db);
    ck_assert_msg(shrink(table("short.json", 1, 0), first, budget) == 0, "%s", program_complained);
    snprintf(hours, sizeof hours, "%s.hours", first);
    ask(hours, "UPDATE tries SET step_ms = 1000, train_seconds = steps, cpu_seconds = 0, load_seconds = 0, eval_seconds = 0");
    ck_assert_str_eq(ask(hours, "SELECT count(*) FROM runs WHERE steps = 6"), "2");
    char from[300];
    snprintf(from, sizeof from, "%s", below(hours));
    snprintf(hours, sizeof hours, "%s.hours", db);
    ck_assert_int_eq(rename(from, below(hours)), 0);
}

/* 12 cells of 300 steps, three evaluations. At least 200 forwards are 100 steps, and 102 is the next that three evaluations divide. Processes take
 * 0.1 s, and both timings have taken 6.1 s each. */
static const struct { const char *budget; int cells, steps; const char *lr, *seed, *tasks; } of[] = {
    {"2h", 12, 300, "1.0e-05,0.0001,0.001", "5,6", "2"},
    {"1000s", 8, 123, "1.0e-05,0.0001", "5,6", "2"}, /* 12 x 102.1 > 987.8; 8 x 123.1 <= 987.8 < 8 x 126.1 */
    {"500s", 4, 120, "0.0001", "5,6", "2"},          /* 8 x 102.1 > 487.8; 4 x 120.1 <= 487.8 < 4 x 123.1 */
    {"300s", 2, 141, "0.0001", "5", "2"},            /* 4 x 102.1 > 287.8; 2 x 141.1 <= 287.8 < 2 x 144.1 */
    {"150s", 1, 135, "0.0001", "5", "1"}};           /* 2 x 102.1 > 137.8; 135.1 <= 137.8 < 138.1 */

/* A task that cannot be opened (its file is not there) is not run, and says why; the other is. */
START_TEST(what_cannot_be_opened)
{
    char text[1500];
    snprintf(text, sizeof text,
             "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": [\"%s\", \"sst2\"], \"form\": \"head\", \"context\": 32, \"batch\": 2, \"train\": 8, \"dev\": 4, \"test\": 4,"
             "\"threads\": 1, \"steps\": 100, \"optimizer\": \"mezo\"}", _i == 0 ? "synth-sentiment" : "rte");
    put("gap.json", text);
    const char *const argv[] = {"zo", "run", below("gap.json"), "--db", below("gap.db"), "--budget", "2h", "--data", below(""), NULL};
    int code = program(argv);
    if (_i == 1) { /* nothing is left */
        ck_assert_int_eq(code, 2);
        ASSERT_HAS(program_complained, "no cell of the table can be run now, the first of them because: task rte: ");
        return;
    }
    ck_assert_msg(code == 0, "%s", program_complained);
    ASSERT_HAS(program_complained, "1 of 2 cells cannot be run here, the first because: task sst2: ");
    ck_assert_str_eq(ask("gap.db", "SELECT group_concat(task) FROM runs WHERE status = 'done'"), "synth-sentiment");
    ck_assert_str_eq(ask("gap.db", "SELECT count(*) FROM budgets WHERE ran IS NULL AND why LIKE 'not run: task sst2: %'"), "1");
}
END_TEST

START_TEST(what_is_kept)
{
    char db[40], sql[400];
    if (!suite_takes(_i, 1, 3)) {
        return;
    }
    snprintf(db, sizeof db, "b%d.db", _i);
    prepare(db, of[_i].budget);
    const char *path = table("table.json", 300, 100);
    ck_assert_msg(shrink(path, db, of[_i].budget) == 0, "%s", program_complained);
    ck_assert_str_eq(ask(db, "SELECT count(*) FROM budgets"), "12");
    snprintf(sql, sizeof sql, "SELECT count(*) = %d AND min(steps) = %d AND max(steps) = %d AND min(eval_every) = %d FROM runs WHERE status = 'done'", of[_i].cells, of[_i].steps, of[_i].steps, of[_i].steps / 3);
    ck_assert_msg(strcmp(ask(db, sql), "1") == 0, "%s: %s cells of %s steps", of[_i].budget, ask(db, "SELECT count(*) FROM runs"), ask(db, "SELECT group_concat(DISTINCT steps) FROM runs"));
    ck_assert_str_eq(ask(db, "SELECT group_concat(lr) FROM (SELECT DISTINCT lr FROM runs ORDER BY lr)"), of[_i].lr);
    ck_assert_str_eq(ask(db, "SELECT group_concat(seed) FROM (SELECT DISTINCT seed FROM runs ORDER BY seed)"), of[_i].seed);
    ck_assert_str_eq(ask(db, "SELECT count(DISTINCT task) FROM runs"), of[_i].tasks);
    /* before the first step and after each third: as many as the table has, of each cell */
    ck_assert_str_eq(ask(db, "SELECT min(n) || ' ' || max(n) FROM (SELECT count(*) AS n FROM evaluations WHERE split = 'dev' GROUP BY run)"), "4 4");
    ck_assert_str_eq(ask(db, "SELECT min(forwards) >= 200 FROM runs"), "1");
    snprintf(sql, sizeof sql, "SELECT count(*) = %d FROM budgets WHERE ran IS NULL AND why LIKE 'not run (budget): %%'", 12 - of[_i].cells);
    ck_assert_str_eq(ask(db, sql), "1");
    snprintf(sql, sizeof sql, _i == 0 ? "SELECT count(*) = %d FROM budgets WHERE ran = hash AND why = ''" : "SELECT count(*) = %d FROM budgets WHERE ran IN (SELECT hash FROM runs) AND ran <> hash AND why = '%d steps of 300'",
             of[_i].cells, of[_i].steps);
    ck_assert_str_eq(ask(db, sql), "1");
    int said_not_run = 0;
    for (const char *at = program_said; (at = strstr(at, "\"not run (budget)\"")) != NULL; at++) {
        said_not_run++;
    }
    ck_assert_int_eq(said_not_run, 12 - of[_i].cells);
    /* hours were predicted of the cells as they are run: a second a step */
    snprintf(sql, sizeof sql, "SELECT count(*) = %d FROM predictions WHERE figure = 'device_hours_total' AND abs(3600 * predicted - %d) < 1e-6", of[_i].cells, of[_i].steps);
    ck_assert_str_eq(ask(db, sql), "1");
    /* again: the same plan, also where the timings are lost, and nothing is left to do */
    char hours[60], *before = strdup(ask(db, "SELECT group_concat(hash || coalesce(ran, '-')) FROM budgets"));
    snprintf(hours, sizeof hours, "%s.hours", db);
    unlink(below(hours));
    ck_assert_msg(shrink(path, db, of[_i].budget) == 0, "%s", program_complained);
    ASSERT_HAS(program_complained, "as planned before");
    ck_assert(!zo_path_exists(below(hours)));
    ck_assert_str_eq(ask(db, "SELECT group_concat(hash || coalesce(ran, '-')) FROM budgets"), before);
    snprintf(sql, sizeof sql, "SELECT count(*) = %d FROM tries", of[_i].cells);
    ck_assert_str_eq(ask(db, sql), "1");
    free(before);
    /* beside the published values: scaled, though they differ by far; not run where nothing is kept; a verdict of the whole table alone */
    const char *const compare[] = {"zo", "compare", path, "--db", below(db), "--format", "json", NULL};
    int code = program(compare);
    ck_assert_msg(code == 0 || (_i == 0 && code == 1), "%s%s", program_said, program_complained); /* nothing differs that is no verdict */
    cJSON *rows = cJSON_Parse(program_said);
    int scaled = 0, none = 0, judged = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        const char *verdict = cJSON_GetObjectItem(row, "verdict")->valuestring, *why = cJSON_GetObjectItem(row, "why")->valuestring;
        scaled += strcmp(verdict, "scaled") == 0 && strncmp(why, "budget ", 7) == 0 && cJSON_IsNumber(cJSON_GetObjectItem(row, "ours"));
        judged += strcmp(verdict, "differs") == 0 || strcmp(verdict, "cannot tell") == 0 || strcmp(verdict, "agrees") == 0;
        none += strcmp(verdict, "not run (budget)") == 0 && strstr(why, "none of its 6 cells is kept") != NULL;
    }
    ck_assert_msg(judged == (_i == 0 ? 2 : 0) && scaled == (_i == 0 ? 0 : atoi(of[_i].tasks)) && none == 2 - atoi(of[_i].tasks), "%s", program_said);
    cJSON_Delete(rows);
    const char *const shown[] = {"zo", "compare", path, "--db", below(db), NULL};
    program(shown);
    ck_assert_msg((strstr(program_said, "(shrunk to a budget of ") != NULL) == (_i > 0), "%s", program_said);
}
END_TEST

/* What takes longer than the budget even so is refused, and nothing is written; other options that it cannot be with. */
START_TEST(what_is_refused)
{
    prepare("r.db", "100s");
    const char *path = table("table.json", 300, 100);
    ck_assert_int_eq(shrink(path, "r.db", "100s"), 2);
    ASSERT_HAS(program_complained, "the least that this table can be shrunk to takes about 103 s, and 87 s of the budget are left; give a longer --budget");
    ck_assert_int_eq(shrink(path, "r.db", "10"), 2);
    ASSERT_HAS(program_complained, "--budget is \"10\"; expected a time such as 90s, 10m or 2h");
    ck_assert_int_eq(shrink(path, "r.db", "-1m"), 2);
    const char *const both[] = {"zo", "run", path, "--db", below("r.db"), "--budget", "1m", "--dry-run", NULL};
    ck_assert_int_eq(program(both), 2);
    ASSERT_HAS(program_complained, "take --dry-run away");
}
END_TEST

START_TEST(times_are_read)
{
    static const struct { const char *text; double seconds; const char *back; } times[] = {{"90s", 90, "1.5m"}, {"10m", 600, "10m"}, {"1.5h", 5400, "1.5h"}, {"30s", 30, "30s"}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        double seconds = 0;
        char text[24];
        zo_err err = {0};
        ck_assert(zo_budget_parse("--budget", times[i].text, &seconds, &err) == ZO_OK);
        ck_assert_double_eq(seconds, times[i].seconds);
        ck_assert_str_eq(zo_budget_text(seconds, text), times[i].back);
    }
}
END_TEST

/* Timing ends where its part of the budget does; what it has not come to says so. */
START_TEST(timing_has_an_end)
{
    zo_grid grid;
    zo_timings *timings;
    zo_err err = {0};
    ck_assert_msg(zo_grid_read(&grid, table("table.json", 300, 100), NULL, &err) == ZO_OK, "%s", err.text);
    char db[300];
    snprintf(db, sizeof db, "%s", below("end.db"));
    zo_run_spec spec = {.db = db};
    ck_assert_int_eq(zo_timings_take(&timings, &grid, &spec, &(zo_timing_spec){.rows = 4, .total_seconds = 1e-6}, NULL), 0);
    ck_assert_int_eq(zo_run_interrupted, 0);
    zo_time time = zo_timings_of(timings, &grid.cell[grid.n - 1], 4, 4, false);
    ck_assert(isnan(time.seconds));
    ck_assert_str_eq(time.why, "it was not timed: the part of the budget for that was over");
    zo_timings_free(timings);
    zo_grid_free(&grid);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        signal(SIGPIPE, SIG_IGN);
        int code = strcmp(argv[1], "cell") == 0      ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0     ? zo_cmd_run(argc - 1, argv + 1)
                   : strcmp(argv[1], "compare") == 0 ? zo_cmd_compare(argc - 1, argv + 1)
                                                     : 127;
        return zo_output_end(argv[1], code);
    }
    program_begin("budget");
    TCase *t = tcase_create("budget");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, times_are_read);
    tcase_add_test(t, timing_has_an_end);
    tcase_add_loop_test(t, what_is_kept, 0, sizeof of / sizeof *of);
    tcase_add_loop_test(t, what_cannot_be_opened, 0, 2);
    tcase_add_test(t, what_is_refused);
    Suite *s = suite_create("budget");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(program_folder);
    return failed != 0;
}
