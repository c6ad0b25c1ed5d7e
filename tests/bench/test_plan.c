/* test_plan.c: `zo plan` end to end on a model of sizes alone: what it says of memory and hours, what it leaves for the run that comes after, and what a
 * cell does that does not fit. Hours have a closed form: timed rows are given numbers by hand, and the plan is worked out beside it. This program stands in
 * for `zo`: started with a command it is that command. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/predict.h"
#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

#define SMALL "\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"head\", \"context\": 48, \"batch\": 4, \"train\": 32, \"threads\": 1"

static const char *config(const char *name, const char *text)
{
    put(name, text);
    return below(name);
}

static int plan(const char *path, const char *db, const char *more)
{
    const char *const argv[] = {"zo", "plan", path, "--db", below(db), "--json", more, NULL};
    return program(argv);
}

static int run_config(const char *path, const char *db)
{
    const char *const argv[] = {"zo", "run", path, "--db", below(db), NULL};
    return program(argv);
}

/* The one number of a statement; it may change the database. */
static double ask(const char *db, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open(below(db), &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(handle));
    double value = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL ? sqlite3_column_double(s, 0) : NAN;
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return value;
}

static double of_row(const cJSON *row, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(row, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

/* Rows stand for seeds and rates; tags sum to the whole; what was said of a cell stands beside what it then took. */
START_TEST(a_plan_and_its_run)
{
    const char *path = config("a.json", "{" SMALL ", \"dev\": 8, \"test\": 8, \"steps\": 20, \"seed\": [1, 2], \"optimizer\": [\"zero-shot\", {\"name\": \"mezo\", \"lr\": [1e-4, 1e-3]}, \"fo-adamw\"]}");
    ck_assert_msg(plan(path, "a.db", NULL) == 0, "%s", program_complained);
    ASSERT_HAS(program_complained, "8 cells, 0 of which do not fit or cannot be run; a cell may take ");
    cJSON *rows = cJSON_Parse(program_said);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 3);
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        double sum = 0;
        for (int t = 0; t < ZO_TAGS; t++) {
            double bytes = of_row(row, zo_tag_name((zo_tag)t));
            sum += isnan(bytes) ? 0 : bytes;
        }
        ck_assert_msg(fabs(sum / of_row(row, "MB") - 1) < 2e-3, "%s", program_said);
        ck_assert_str_eq(cJSON_GetObjectItem(row, "fits")->valuestring, "yes");
        ck_assert_msg(of_row(row, "hours") > 0, "%s", program_said);
    }
    cJSON *mezo = cJSON_GetArrayItem(rows, 1);
    ck_assert_double_eq(of_row(mezo, "cells"), 4);
    ck_assert_double_eq(of_row(mezo, "steps"), 20);
    cJSON_Delete(rows);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM plans WHERE figure = 'train_peak_bytes'"), 6); /* one that does not train takes nothing in training */
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM plans WHERE figure = 'device_hours_total' AND predicted > 0"), 8);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs"), 0);
    ck_assert_msg(run_config(path, "a.db") == 0, "%s", program_complained);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs WHERE status = 'done'"), 8);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs WHERE abs(memory_error) < 0.03"), 6);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs WHERE memory_error IS NULL AND optimizer = 'zero-shot'"), 2);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs r JOIN plans p USING (hash) WHERE p.figure = 'train_peak_bytes' AND abs(r.memory_error - (p.predicted / r.train_peak_bytes - 1)) < 1e-12"), 6);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs r JOIN plans p USING (hash) WHERE p.figure = 'device_hours_total' AND abs(r.hours_error - (p.predicted / ((r.train_seconds + r.eval_seconds) / 3600) - 1)) < 1e-12"), 8);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM runs r JOIN plans p USING (hash) WHERE p.figure = 'cpu_seconds' AND abs(r.cpu_error - (p.predicted / r.cpu_seconds - 1)) < 1e-12"), 6);
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM predictions WHERE figure = 'dev_chance' AND predicted = 0.5"), 8); /* two classes by chance */
    ck_assert_double_eq(ask("a.db", "SELECT count(*) FROM predictions"), 6 + 8 + 6 + 8);
}
END_TEST

/* A run without a plan has the memory alone, which it predicts itself. */
START_TEST(a_run_without_a_plan)
{
    const char *path = config("n.json", "{" SMALL ", \"dev\": 8, \"test\": 8, \"steps\": 4, \"optimizer\": \"mezo\"}");
    ck_assert_msg(run_config(path, "n.db") == 0, "%s", program_complained);
    ck_assert_double_eq(ask("n.db", "SELECT count(*) FROM runs WHERE abs(memory_error) < 0.03 AND hours_error IS NULL AND cpu_error IS NULL"), 1);
    ck_assert_double_eq(ask("n.db", "SELECT count(*) FROM predictions WHERE figure = 'train_peak_bytes'"), 1);
}
END_TEST

/* The hours of a cell from numbers that timed rows have been given by hand: 2 s a step, 1 s a row, two processors. */
START_TEST(hours_are_a_sum)
{
    static const struct { const char *keys; double steps, rows, between; } of[] = {
        {"\"dev\": 8, \"test\": 8, \"steps\": 50, \"eval_every\": 10", 50, 6 * 8 + 2.5 * 8, 4 * 8 + 2 * 8},    /* before, five times, half of these test too */
        {"\"dev\": 8, \"test\": 8, \"steps\": 50, \"eval_every\": 0", 50, 2 * 8 + 8, 0},
        {"\"dev\": 8, \"test\": 0, \"forwards\": 99, \"eval_every\": 0", 50, 2 * 8, 0},                          /* two forwards a step */
        {"\"dev\": 8, \"test\": 8, \"work\": 60, \"selection\": \"last\", \"eval_every\": -1", 30, 11 * 8 + 8, 9 * 8},
        {"\"dev\": 0, \"test\": 8, \"steps\": 7, \"eval_every\": 2", 7, 8, 0}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char text[1000], name[40], db[40], hours[60];
        snprintf(name, sizeof name, "h%zu.json", i);
        snprintf(db, sizeof db, "h%zu.db", i);
        snprintf(hours, sizeof hours, "%s.hours", db);
        snprintf(text, sizeof text, "{" SMALL ", %s, \"optimizer\": \"mezo\"}", of[i].keys);
        const char *path = config(name, text);
        ck_assert_msg(plan(path, db, NULL) == 0, "%s", program_complained);
        ask(hours, "UPDATE tries SET step_ms = 2000, train_seconds = 2 * steps, cpu_seconds = 4 * steps, load_seconds = 3, eval_seconds ="
                   " (SELECT sum(examples) FROM evaluations e WHERE e.run = tries.run)");
        ck_assert_msg(plan(path, db, NULL) == 0, "%s", program_complained);
        cJSON *rows = cJSON_Parse(program_said);
        const cJSON *row = rows->child;
        double seconds = 2 * of[i].steps + of[i].rows, cpu = 2 * (2 * of[i].steps + of[i].between);
        ck_assert_msg(of_row(row, "steps") == of[i].steps, "%s: %s", of[i].keys, program_said);
        ck_assert_msg(fabs(of_row(row, "hours") * 3600 / seconds - 1) < 5e-3, "%s: %g s, not %g", of[i].keys, of_row(row, "hours") * 3600, seconds);
        ck_assert_msg(fabs(of_row(row, "cpu_hours") * 3600 / cpu - 1) < 5e-3, "%s: %g s, not %g", of[i].keys, of_row(row, "cpu_hours") * 3600, cpu);
        ck_assert_msg(fabs(of_row(row, "all_hours") * 3600 / (seconds + 3.1) - 1) < 5e-3, "%s: %g s", of[i].keys, of_row(row, "all_hours") * 3600);
        ck_assert_msg(fabs(ask(db, "SELECT predicted * 3600 FROM plans WHERE figure = 'device_hours_total'") / seconds - 1) < 1e-9, "%s", of[i].keys);
        ck_assert_msg(fabs(ask(db, "SELECT predicted FROM plans WHERE figure = 'cpu_seconds'") / cpu - 1) < 1e-9, "%s", of[i].keys);
        cJSON_Delete(rows);
        char *before = strdup(program_said);
        ck_assert_msg(plan(path, db, NULL) == 0, "%s", program_complained); /* what is timed is not timed again */
        ck_assert_str_eq(program_said, before);
        free(before);
    }
}
END_TEST

/* What makes no steps is trained whole (5 s are written down) and evaluated on at most 64 rows of each split (1 s a row); all rows are counted from that. */
START_TEST(hours_without_steps)
{
    const char *path = config("w.json", "{" SMALL ", \"dev\": 8, \"test\": 100, \"optimizer\": [\"zero-shot\", \"linear-probe\"]}");
    ck_assert_msg(plan(path, "w.db", NULL) == 0, "%s", program_complained);
    ck_assert_double_eq(ask("w.db.hours", "SELECT max(examples) FROM evaluations"), 64);
    ask("w.db.hours", "UPDATE tries SET train_seconds = 5 * (cell IN (SELECT cell FROM cells WHERE optimizer = 'linear-probe')), load_seconds = 3, eval_seconds ="
                      " (SELECT sum(examples) FROM evaluations e WHERE e.run = tries.run)");
    ck_assert_msg(plan(path, "w.db", NULL) == 0, "%s", program_complained);
    cJSON *rows = cJSON_Parse(program_said);
    for (int i = 0; i < 2; i++) {
        double seconds = (5 + 8) * i + 8 + 100, said = of_row(cJSON_GetArrayItem(rows, i), "hours") * 3600;
        ck_assert_msg(fabs(said / seconds - 1) < 5e-3, "%g s, not %g", said, seconds);
    }
    cJSON_Delete(rows);
}
END_TEST

/* With room for MeZO and not for AdamW: the plan says so and times the one alone, and the run starts the one alone; with more memory both. */
START_TEST(what_does_not_fit)
{
    const char *path = config("f.json", "{" SMALL ", \"dev\": 8, \"test\": 8, \"steps\": 4, \"optimizer\": [\"mezo\", \"fo-adamw\"]}");
    ck_assert_msg(plan(path, "f.db", "--memory") == 0, "%s", program_complained);
    ck_assert(!zo_path_exists(below("f.db.hours")));
    double small = ask("f.db", "SELECT min(predicted) FROM plans"), large = ask("f.db", "SELECT max(predicted) FROM plans");
    char limit[40];
    snprintf(limit, sizeof limit, "%.0f", (small + large) / 2);
    setenv("ZO_MEMORY_LIMIT", limit, 1);
    int code = plan(path, "f.db", NULL);
    ck_assert_msg(code == 1, "%d %s", code, program_complained);
    cJSON *rows = cJSON_Parse(program_said);
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child, "fits")->valuestring, "yes");
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child->next, "fits")->valuestring, "no");
    const char *why = cJSON_GetObjectItem(rows->child->next, "why")->valuestring;
    ASSERT_HAS(why, "its training takes ");
    ASSERT_HAS(why, "opt_state ");
    ASSERT_HAS(why, ", and a cell may take ");
    ck_assert(isnan(of_row(rows->child->next, "hours")) && of_row(rows->child, "hours") > 0);
    cJSON_Delete(rows);
    ASSERT_HAS(program_complained, "2 cells, 1 of which do not fit");
    ck_assert_double_eq(ask("f.db.hours", "SELECT count(*) FROM runs WHERE optimizer <> 'mezo'"), 0);
    code = run_config(path, "f.db");
    ck_assert_msg(code == 0, "%d %s", code, program_complained);
    ck_assert_double_eq(ask("f.db", "SELECT count(*) FROM runs WHERE status = 'done' AND optimizer = 'mezo'"), 1);
    ck_assert_double_eq(ask("f.db", "SELECT count(*) FROM runs WHERE status = 'oom' AND steps = 0 AND memory_error IS NULL AND"
                                    " message LIKE 'not started: its training is predicted to take % MB (params %, and it may take % MB; a smaller batch%'"), 1);
    ck_assert_double_eq(ask("f.db", "SELECT count(*) FROM steps WHERE run = (SELECT run FROM runs WHERE status = 'oom')"), 0);
    unsetenv("ZO_MEMORY_LIMIT");
    ck_assert_msg(run_config(path, "f.db") == 0, "%s", program_complained);
    ASSERT_HAS(program_complained, "more memory is free now");
    ck_assert_double_eq(ask("f.db", "SELECT count(*) FROM runs WHERE status = 'done'"), 2);
    /* what is predicted to take up to the margin more than there is may be wrong by as much: it is tried */
    snprintf(limit, sizeof limit, "%.0f", large / (1 + 0.5 * ZO_PREDICT_MARGIN));
    setenv("ZO_MEMORY_LIMIT", limit, 1);
    ck_assert_int_eq(plan(path, "f.db", "--memory"), 0);
    snprintf(limit, sizeof limit, "%.0f", large / (1 + 1.5 * ZO_PREDICT_MARGIN));
    setenv("ZO_MEMORY_LIMIT", limit, 1);
    ck_assert_int_eq(plan(path, "f.db", "--memory"), 1);
    unsetenv("ZO_MEMORY_LIMIT");
}
END_TEST

/* What this program cannot do says so, and so does what cannot even be opened. */
START_TEST(what_cannot_be_run)
{
    const char *path = config("u.json", "{" SMALL ", \"dev\": 8, \"test\": 8, \"steps\": 4, \"realisation\": \"streamed\", \"accumulate\": \"log\", \"optimizer\": [\"mezo\", \"conmezo\", \"mezo-m\"]}");
    int code = plan(path, "u.db", "--memory");
    ck_assert_msg(code == 1, "%d %s %s", code, program_said, program_complained);
    cJSON *rows = cJSON_Parse(program_said);
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child->next, "fits")->valuestring, "no");
    ASSERT_HAS(cJSON_GetObjectItem(rows->child->next, "why")->valuestring, "accumulate \"log\" keeps no tensors beside the weights");
    cJSON_Delete(rows);
    ck_assert_int_eq(plan(path, "u.db", NULL), 1); /* what only a step finds, timed steps find */
    rows = cJSON_Parse(program_said);
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child, "fits")->valuestring, "yes");
    ASSERT_HAS(cJSON_GetObjectItem(rows->child->next->next, "why")->valuestring, "unsupported: accumulate \"log\" ");
    cJSON_Delete(rows);
    path = config("o.json", "{" SMALL ", \"dev\": 8, \"test\": 8, \"steps\": 4, \"optimizer\": \"mezo\"}");
    setenv("ZO_MEMORY_LIMIT", "50000", 1);
    ck_assert_int_eq(plan(path, "o.db", NULL), 1);
    unsetenv("ZO_MEMORY_LIMIT");
    ASSERT_HAS(program_said, "out of memory: asked for");
    /* a model or a task that is not there says so, and the others are planned; where nothing is left, that is an error */
    path = config("gap.json", "{\"model\": [\"no-such-model\", \"shape:roberta-tiny\"], \"init\": \"random\", \"task\": [\"synth-sentiment\", \"sst2\"], \"form\": \"head\","
                              "\"context\": 32, \"batch\": 2, \"train\": 8, \"dev\": 4, \"test\": 4, \"threads\": 1, \"steps\": 4, \"optimizer\": \"mezo\"}");
    code = plan(path, "gap.db", NULL);
    ck_assert_msg(code == 1, "%d %s %s", code, program_said, program_complained);
    ASSERT_HAS(program_complained, "4 cells, 3 of which do not fit or cannot be run");
    rows = cJSON_Parse(program_said);
    int fit = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        bool model = strcmp(cJSON_GetObjectItem(row, "model")->valuestring, "no-such-model") != 0, task = strcmp(cJSON_GetObjectItem(row, "task")->valuestring, "sst2") != 0;
        const char *said = cJSON_GetObjectItem(row, "why")->valuestring;
        ck_assert_msg(model && task ? said[0] == '\0' && of_row(row, "hours") > 0 : strstr(said, !model ? "no-such-model" : "task sst2 ") != NULL, "%s", program_said);
        fit += model && task;
    }
    ck_assert_int_eq(fit, 1);
    cJSON_Delete(rows);
    const char *const nothing[] = {"zo", "plan", path, "--db", below("gap.db"), "--only", "{\"task\": \"sst2\"}", NULL};
    ck_assert_int_eq(program(nothing), 2);
    ASSERT_HAS(program_complained, "zo plan: none of the cells can be opened, the first of them because: ");
    ASSERT_HAS(program_complained, "no-such-model");
    const char *const wrong[] = {"zo", "plan", below("none.json"), NULL};
    ck_assert_int_eq(program(wrong), 2);
    ASSERT_HAS(program_complained, "zo plan: ");
    const char *const typo[] = {"zo", "plan", path, "--memry", NULL};
    ck_assert_int_eq(program(typo), 2);
    ASSERT_HAS(program_complained, "did you mean --memory?");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        signal(SIGPIPE, SIG_IGN);
        int code = strcmp(argv[1], "cell") == 0   ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0  ? zo_cmd_run(argc - 1, argv + 1)
                   : strcmp(argv[1], "plan") == 0 ? zo_cmd_plan(argc - 1, argv + 1)
                                                  : 127;
        return zo_output_end(argv[1], code);
    }
    program_begin("plan");
    TCase *t = tcase_create("plan");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, a_plan_and_its_run);
    tcase_add_test(t, a_run_without_a_plan);
    tcase_add_test(t, hours_are_a_sum);
    tcase_add_test(t, hours_without_steps);
    tcase_add_test(t, what_does_not_fit);
    tcase_add_test(t, what_cannot_be_run);
    Suite *s = suite_create("plan");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(program_folder);
    return failed != 0;
}
