/* test_results.c: the database: what it refuses, what a row keeps, what happens to unfinished runs; reports over hand-made rows whose
 * means are known; read-only SQL; tables as markdown and CSV. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "plots/plot.h"
#include "results/report.h"
#include "results/results.h"

static char folder[64];

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static const char *scratch(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

static zo_results *open_new(const char *name)
{
    zo_results *r;
    zo_err err = {0};
    unlink(scratch(name));
    ck_assert_msg(zo_results_open(&r, scratch(name), true, &err) == ZO_OK, "%s", err.text);
    return r;
}

static int64_t number(zo_results *r, const char *sql)
{
    sqlite3_stmt *s;
    ck_assert_int_eq(sqlite3_prepare_v2(zo_results_handle(r), sql, -1, &s, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return n;
}

static const zo_host_row host = {.host = "here", .device = "cpu", .compiler = "c", .flags = "-O", .revision = "abc", .kernel = "k", .threads = 2};

/* One finished cell with an accuracy; dev NaN and `dev_examples` 0: it had no dev set. */
static void add_cell_on(zo_results *r, const char *optimizer, const char *task, double lr, int seed, int data_seed, int dev_examples,
                        const char *status, double dev, double test)
{
    char config[600];
    snprintf(config, sizeof config, "{\"model\":\"m\",\"task\":\"%s\",\"form\":\"head\",\"batch\":16,\"lr\":%g,\"seed\":%d,\"data_seed\":%d,"
             "\"optimizer\":{\"name\":\"%s\",\"rank\":4}}", task, lr, seed, data_seed, optimizer);
    zo_cell_row cell = {.config = config, .model = "m", .task = task, .form = "head", .optimizer = optimizer, .precision = "f32",
                        .realisation = "inplace", .device_kind = "cpu", .split = "drawn", .selection = "accuracy", .storage = "f32", .accumulate = "weights", .optimizer_options = "{\"rank\":4}", .batch = 16,
                        .context = 128, .steps = 10, .seed = seed, .lr = lr, .eps = 1e-3, .train = 100, .dev = dev_examples, .test = 50};
    snprintf(cell.hash, sizeof cell.hash, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, config, strlen(config)));
    zo_run_end end = {.status = status, .accuracy = test, .f1 = test, .matthews = NAN, .selected = isfinite(test) ? "test@best-dev" : NULL,
                      .best_step = 5, .dev_accuracy = dev, .steps_done = 10, .forwards = 20, .train_seconds = 36, .eval_seconds = 36,
                      .step_ms_median = 4, .peak_bytes = 1000000 + (uint64_t)seed};
    int64_t run;
    zo_err err = {0};
    ck_assert_msg(zo_results_begin(r, &cell, &host, &run, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_results_end(r, run, &end, &err) == ZO_OK, "%s", err.text);
}

/* Runs that differ in a setting have a label each, those that differ in the seed alone share one. */
START_TEST(plot_labels)
{
    zo_results *r = open_new("labels.db");
    zo_err err = {0};
    static const struct { int steps, data_seed; const char *init; } of[] = {{10, 1, "random"}, {10, 2, "random"}, {20, 1, "random"}, {20, 1, "drawn"}};
    for (int i = 0; i < 4; i++) {
        char config[300];
        int seed = i == 1 ? 2 : 1;
        snprintf(config, sizeof config, "{\"batch\":16,\"steps\":%d,\"init\":\"%s\",\"seed\":%d,\"data_seed\":%d,\"optimizer\":{\"name\":\"o\",\"rank\":4}}",
                 of[i].steps, of[i].init, seed, of[i].data_seed);
        zo_cell_row cell = {.config = config, .model = "m", .task = "t", .form = "head", .optimizer = "o", .precision = "f32", .realisation = "inplace",
                            .device_kind = "cpu", .split = "drawn", .selection = "accuracy", .storage = "f32", .accumulate = "weights", .optimizer_options = "{}", .batch = 16, .context = 32,
                            .steps = of[i].steps, .seed = seed, .lr = 1e-3, .train = 100, .dev = 10, .test = 50};
        snprintf(cell.hash, sizeof cell.hash, "%016d", i);
        zo_run_end end = {.status = "done", .accuracy = 0.5, .f1 = 0.5, .matthews = NAN, .selected = "test@best-dev", .dev_accuracy = 0.5};
        int64_t run;
        ck_assert_msg(zo_results_begin(r, &cell, &host, &run, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_results_end(r, run, &end, &err) == ZO_OK, "%s", err.text);
    }
    if (system("gnuplot --version > /dev/null 2>&1") != 0) {
        printf("skipped: plot_labels wants gnuplot\n");
        zo_results_close(r);
        return;
    }
    zo_plot_spec spec = {.db = zo_results_handle(r), .out = scratch("plots"), .only = "accuracy_bars", .formats = "svg"};
    cJSON *report;
    ck_assert_msg(zo_report_choose(r, "lr", &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_plot(&spec, &report, &err) == ZO_OK, "%s", err.text);
    cJSON_Delete(report);
    char *svg;
    size_t bytes;
    ck_assert_msg(zo_read_file(scratch("plots/accuracy_bars.svg"), 1 << 20, &svg, &bytes, &err) == ZO_OK, "%s", err.text);
    ASSERT_HAS(svg, ">o steps 10 init random<");
    ASSERT_HAS(svg, ">o steps 20 init random<");
    ASSERT_HAS(svg, ">o steps 20 init drawn<");
    ck_assert_ptr_null(strstr(svg, "seed 1"));
    zo_free(svg);
    zo_results_close(r);
}
END_TEST

START_TEST(new_database)
{
    zo_results *r = open_new("a.db");
    ck_assert_int_eq(number(r, "PRAGMA user_version"), ZO_SCHEMA_VERSION);
    ck_assert_int_eq(number(r, "PRAGMA foreign_keys"), 1);
    zo_results_close(r);
    zo_err err = {0};
    ck_assert_int_eq(zo_results_open(&r, scratch("a.db"), false, &err), ZO_OK);
    zo_results_close(r);
    ck_assert_int_eq(zo_results_open_read(&r, scratch("a.db"), &err), ZO_OK);
    ck_assert_int_ne(sqlite3_exec(zo_results_handle(r), "DELETE FROM runs", NULL, NULL, NULL), SQLITE_OK);
    zo_results_close(r);
}
END_TEST

START_TEST(refused_files)
{
    zo_results *r;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_open(&r, scratch("absent.db"), false, &err), ZO_EIO);
    ASSERT_HAS(err.text, "there is no such database");
    ck_assert_int_eq(zo_results_open_read(&r, scratch("absent.db"), &err), ZO_EIO);
    ck_assert(!zo_path_exists(scratch("absent.db")));
    ck_assert_int_eq(zo_results_open(&r, folder, true, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "is a folder");
    char text[3000];
    memset(text, 'x', sizeof text);
    zo_write_file(scratch("text.db"), text, sizeof text, &err);
    ck_assert_int_eq(zo_results_open(&r, scratch("text.db"), true, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "not an intact SQLite database");
    ck_assert(zo_path_exists(scratch("text.db")));
    ck_assert_int_eq(zo_results_open(&r, "/proc/zo.db", true, &err), ZO_EIO);
    ASSERT_HAS(err.text, "--db FILE");
    sqlite3 *other;
    sqlite3_open(scratch("other.db"), &other);
    sqlite3_exec(other, "CREATE TABLE t (x)", NULL, NULL, NULL);
    sqlite3_close(other);
    ck_assert_int_eq(zo_results_open(&r, scratch("other.db"), true, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "not one of zo's");
    sqlite3_open(scratch("newer.db"), &other);
    sqlite3_exec(other, "CREATE TABLE t (x); PRAGMA user_version = 99", NULL, NULL, NULL);
    sqlite3_close(other);
    ck_assert_int_eq(zo_results_open(&r, scratch("newer.db"), true, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "schema version 99");
}
END_TEST

START_TEST(one_writer_of_cells)
{
    zo_results *a = open_new("lock.db"), *b;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_lock(a, &err), ZO_OK);
    ck_assert_int_eq(zo_results_open(&b, scratch("lock.db"), true, &err), ZO_OK);
    ck_assert_int_eq(zo_results_lock(b, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "another `zo run`");
    zo_results_close(b);
    zo_results_close(a);
}
END_TEST

/* A database of schema version 1 (no columns storage and accumulate) is read as it is, and brought to this version by whoever writes. */
START_TEST(older_schema)
{
    zo_results *r = open_new("v1.db");
    zo_err err = {0};
    add_cell_on(r, "mezo", "t", 1e-3, 1, 0, 10, "done", 0.5, 0.5);
    ck_assert_int_eq(sqlite3_exec(zo_results_handle(r),
                                  "DROP VIEW report; ALTER TABLE runs DROP COLUMN storage; ALTER TABLE runs DROP COLUMN accumulate;"
                                  "CREATE VIEW report AS SELECT run, hash, model, accuracy FROM runs WHERE status <> 'running'; PRAGMA user_version = 1",
                                  NULL, NULL, NULL), SQLITE_OK);
    zo_results_close(r);
    static const char *const seen[] = {"SELECT count(*) FROM report WHERE storage = 'f32' AND accumulate = 'weights'",
                                       "SELECT count(*) FROM runs WHERE storage = 'f32' AND precision = 'f32'"};
    ck_assert_msg(zo_results_open_read(&r, scratch("v1.db"), &err) == ZO_OK, "%s", err.text);
    for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
        ck_assert_int_eq(number(r, seen[i]), 1);
    }
    ck_assert_int_eq(number(r, "PRAGMA user_version"), 1);
    zo_results_close(r);
    for (int again = 0; again < 2; again++) {
        ck_assert_msg(zo_results_open(&r, scratch("v1.db"), false, &err) == ZO_OK, "%s", err.text);
        ck_assert_int_eq(number(r, "PRAGMA user_version"), ZO_SCHEMA_VERSION);
        for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
            ck_assert_int_eq(number(r, seen[i]), 1);
        }
        add_cell_on(r, "mezo", "t", 1e-3, 2 + again, 0, 10, "done", 0.5, 0.5);
        sqlite3_exec(zo_results_handle(r), "DELETE FROM runs WHERE seed > 1", NULL, NULL, NULL);
        zo_results_close(r);
    }
}
END_TEST

START_TEST(life_of_a_run)
{
    zo_results *r = open_new("life.db");
    zo_err err = {0};
    zo_cell_row cell = {.hash = "0123456789abcdef", .config = "{}", .model = "m", .task = "t", .form = "head", .optimizer = "o", .precision = "f32",
                        .realisation = "inplace", .device_kind = "cpu", .split = "drawn", .selection = "accuracy", .storage = "f32", .accumulate = "weights", .optimizer_options = "{}", .batch = 1};
    int64_t run;
    ck_assert_int_eq(zo_results_begin(r, &cell, &host, &run, &err), ZO_OK);
    ck_assert(!zo_results_has(r, cell.hash));
    zo_step_row step[2] = {{.step = 1, .loss = 2, .projected = NAN, .seconds = 1}, {.step = 2, .loss = 1, .seconds = 1}};
    step[1].part[ZO_PART_GEMM] = 0.5;
    ck_assert_int_eq(zo_results_steps(r, run, step, 2, &err), ZO_OK);
    zo_eval_row eval = {.step = 2, .split = "dev", .examples = 4, .accuracy = 0.5, .f1 = 0.5, .matthews = 0, .best = true};
    ck_assert_int_eq(zo_results_eval(r, run, &eval, &err), ZO_OK);
    zo_peak peak = {.total_bytes = 3};
    peak.tag_bytes[ZO_TAG_PARAMS] = 3;
    ck_assert_int_eq(zo_results_memory(r, run, ZO_PHASES, &peak, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT sum(bytes) FROM memory WHERE phase = 'overall'"), 3);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps WHERE projected IS NULL"), 1);
    ck_assert_int_eq(number(r, "SELECT gemm * 10 FROM steps WHERE step = 2"), 5);
    /* the program died: swept, then begun anew without the old rows */
    ck_assert_int_eq(zo_results_sweep_running(r, &err), ZO_OK);
    ck_assert_str_eq(zo_results_brief(r, cell.hash).status, "killed");
    ck_assert_int_eq(zo_results_begin(r, &cell, &host, &run, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps"), 0);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM runs"), 1);
    /* its process crashed */
    ck_assert_int_eq(zo_results_abandon(r, &cell, &host, "failed", "why", &err), ZO_OK);
    ck_assert_str_eq(zo_results_brief(r, cell.hash).message, "why");
    zo_cell_row never = cell;
    snprintf(never.hash, sizeof never.hash, "fedcba9876543210");
    ck_assert_int_eq(zo_results_abandon(r, &never, &host, "failed", "before it began", &err), ZO_OK);
    ck_assert_str_eq(zo_results_brief(r, never.hash).status, "failed");
    /* done; parts sum to the training time with the rest as `other` */
    ck_assert_int_eq(zo_results_begin(r, &cell, &host, &run, &err), ZO_OK);
    zo_run_end end = {.status = "done", .accuracy = 0.75, .steps_done = 4, .train_seconds = 3600, .eval_seconds = 3600};
    end.part[ZO_PART_GEMM] = 2700;
    ck_assert_int_eq(zo_results_end(r, run, &end, &err), ZO_OK);
    ck_assert(zo_results_has(r, cell.hash));
    ck_assert_int_eq(number(r, "SELECT sum(seconds) FROM parts"), 3600);
    ck_assert_int_eq(number(r, "SELECT seconds FROM parts WHERE part = 'other'"), 900);
    ck_assert_int_eq(number(r, "SELECT device_hours * 10 FROM runs WHERE status = 'done'"), 10);
    ck_assert_int_eq(number(r, "SELECT device_hours_total * 10 FROM runs WHERE status = 'done'"), 20);
    /* a finished run is not overwritten */
    ck_assert_int_ne(zo_results_begin(r, &cell, &host, &run, &err), ZO_OK);
    zo_results_close(r);
}
END_TEST

static cJSON *rows_of(zo_results *r, zo_report_spec spec)
{
    zo_err err = {0};
    cJSON *rows;
    spec.columns = spec.columns != NULL ? spec.columns : "task";
    spec.metric = spec.metric != NULL ? spec.metric : "accuracy";
    ck_assert_msg(zo_report_rows(r, &spec, &rows, &err) == ZO_OK, "%s", err.text);
    return rows;
}

static double in_row(const cJSON *rows, int i, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(rows, i), key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static char *paper(zo_results *r, zo_report_spec spec)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    zo_err err = {0};
    spec.columns = spec.columns != NULL ? spec.columns : "task";
    spec.metric = spec.metric != NULL ? spec.metric : "accuracy";
    ck_assert_msg(zo_report_paper(r, &spec, out, &err) == ZO_OK, "%s", err.text);
    fclose(out);
    return text;
}

static void add_cell(zo_results *r, const char *optimizer, const char *task, double lr, int seed, const char *status, double dev, double test)
{
    add_cell_on(r, optimizer, task, lr, seed, 0, 50, status, dev, test);
}

static zo_results *sample(const char *name)
{
    zo_results *r = open_new(name);
    for (int seed = 1; seed <= 3; seed++) {
        add_cell(r, "mezo", "sst2", 1e-3, seed, "done", 0.6, 0.5 + 0.1 * seed);
        add_cell(r, "mezo", "sst2", 1e-2, seed, "done", 0.7, 0.8);
        add_cell(r, "mezo", "rte", 1e-3, seed, "done", 0.55, 0.5);
        add_cell(r, "fo-sgd", "sst2", 1e-1, seed, seed == 3 ? "diverged" : "done", seed == 3 ? NAN : 0.9, seed == 3 ? NAN : 0.9);
    }
    return r;
}

START_TEST(report_cells)
{
    zo_results *r = sample("cells.db");
    cJSON *rows = rows_of(r, (zo_report_spec){0});
    ck_assert_int_eq(cJSON_GetArraySize(rows), 12);
    static const char *const promised[] = {"model", "task", "form", "optimizer", "batch", "context", "seed", "status", "accuracy", "step_ms",
                                           "device_hours", "peak_bytes", "forwards"};
    for (size_t i = 0; i < sizeof promised / sizeof *promised; i++) {
        ck_assert_msg(cJSON_HasObjectItem(cJSON_GetArrayItem(rows, 0), promised[i]), "no %s", promised[i]);
    }
    cJSON_Delete(rows);
    rows = rows_of(r, (zo_report_spec){.where = "task = 'rte'"});
    ck_assert_int_eq(cJSON_GetArraySize(rows), 3);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

START_TEST(report_groups)
{
    zo_results *r = sample("groups.db");
    cJSON *rows = rows_of(r, (zo_report_spec){.by_seed_group = true});
    ck_assert_int_eq(cJSON_GetArraySize(rows), 4);
    ck_assert_double_eq_tol(in_row(rows, 0, "accuracy"), 0.7, 1e-12);
    ck_assert_double_eq_tol(in_row(rows, 0, "accuracy_std"), 0.1, 1e-12);
    ck_assert_double_eq(in_row(rows, 0, "n"), 3);
    ck_assert_double_eq(in_row(rows, 0, "peak_bytes"), 1000003);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "seed")), 3);
    ck_assert_str_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 3), "status")->valuestring, "mixed");
    ck_assert_double_eq(in_row(rows, 3, "n"), 2);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

START_TEST(report_best_lr)
{
    zo_results *r = sample("best.db");
    cJSON *rows = rows_of(r, (zo_report_spec){.by_seed_group = true, .best = "lr"});
    ck_assert_int_eq(cJSON_GetArraySize(rows), 3); /* mezo sst2 keeps 1e-2, which dev prefers */
    for (int i = 0; i < 3; i++) {
        const char *task = cJSON_GetObjectItem(cJSON_GetArrayItem(rows, i), "task")->valuestring;
        const char *optimizer = cJSON_GetObjectItem(cJSON_GetArrayItem(rows, i), "optimizer")->valuestring;
        if (strcmp(task, "sst2") == 0 && strcmp(optimizer, "mezo") == 0) {
            ck_assert_double_eq(in_row(rows, i, "lr"), 1e-2);
        }
    }
    cJSON_Delete(rows);
    /* the same for SQL: the seeds of that setting and of those that stood alone */
    zo_err err = {0};
    for (int twice = 0; twice < 2; twice++) {
        ck_assert_msg(zo_report_choose(r, "lr", &err) == ZO_OK, "%s", err.text);
        ck_assert_int_eq(number(r, "SELECT count(*) FROM runs JOIN chosen USING (run) WHERE optimizer = 'mezo' AND task = 'sst2' AND lr <> 1e-2"), 0);
        ck_assert_int_eq(number(r, "SELECT count(*) FROM chosen WHERE rivals = 1"),
                         number(r, "SELECT count(*) FROM report WHERE optimizer = 'mezo' AND task = 'sst2' AND lr = 1e-2"));
        ck_assert_int_eq(number(r, "SELECT count(*) FROM chosen WHERE rivals = 0"),
                         number(r, "SELECT count(*) FROM report WHERE NOT (optimizer = 'mezo' AND task = 'sst2')"));
    }
    zo_report_spec wrong = {.best = "rnk", .columns = "task", .metric = "accuracy"};
    ck_assert_int_eq(zo_report_rows(r, &wrong, &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "no cell here has a key \"rnk\"");
    zo_results_close(r);
}
END_TEST

/* Test never chooses; a cell that was killed is no reason against its learning rate. */
START_TEST(best_is_by_dev_alone)
{
    zo_results *r = open_new("no-dev.db");
    add_cell_on(r, "mezo", "sst2", 1e-3, 1, 0, 0, "done", NAN, 0.5);
    add_cell_on(r, "mezo", "sst2", 1e-2, 1, 0, 0, "done", NAN, 0.9);
    cJSON *rows;
    zo_err err = {0};
    zo_report_spec best = {.by_seed_group = true, .best = "lr", .columns = "task", .metric = "accuracy"};
    ck_assert_int_eq(zo_report_rows(r, &best, &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "without dev examples");
    ck_assert_msg(zo_report_choose(r, "lr", &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM chosen WHERE rivals = 0"), 2);
    zo_results_close(r);
    r = open_new("killed.db");
    add_cell(r, "mezo", "sst2", 1e-3, 1, "done", 0.9, 0.5);
    add_cell(r, "mezo", "sst2", 1e-3, 2, "killed", NAN, NAN);
    add_cell(r, "mezo", "sst2", 1e-2, 1, "done", 0.6, 0.9);
    rows = rows_of(r, best);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 1);
    ck_assert_double_eq(in_row(rows, 0, "lr"), 1e-3);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* A data_seed that follows the seed makes one group, 0 among them; one that is fixed makes one group too, even where a seed equals it. */
START_TEST(data_seeds_group)
{
    for (int fixed = 0; fixed < 2; fixed++) {
        zo_results *r = open_new(fixed ? "fixed.db" : "follow.db");
        static const int seed[] = {0, 13, 21};
        for (int k = 0; k < 3; k++) {
            add_cell_on(r, "mezo", "sst2", 1e-3, seed[k], fixed ? 13 : seed[k], 50, "done", 0.5, 0.5);
        }
        cJSON *rows = rows_of(r, (zo_report_spec){.by_seed_group = true});
        ck_assert_int_eq(cJSON_GetArraySize(rows), 1);
        ck_assert_double_eq(in_row(rows, 0, "n"), 3);
        cJSON_Delete(rows);
        zo_results_close(r);
    }
}
END_TEST

START_TEST(report_paper_table)
{
    zo_results *r = sample("paper.db");
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "## m, head");
    ASSERT_HAS(text, "mezo lr=0.001");
    ASSERT_HAS(text, "70.0 ± 10.0 (3)");
    ASSERT_HAS(text, "90.0 ± 0.0 (2), 1 diverged");
    ASSERT_HAS(text, "A diverged seed enters the mean with");
    ck_assert_ptr_null(strstr(text, "counts as 0 on dev"));
    free(text);
    text = paper(r, (zo_report_spec){.best = "lr"});
    ck_assert_ptr_null(strstr(text, "lr=0.001"));
    ASSERT_HAS(text, "| mezo   | 80.0 ± 0.0 (3)");
    ASSERT_HAS(text, "lr chosen by the best mean dev accuracy");
    ASSERT_HAS(text, "counts as 0 on dev");
    ck_assert_ptr_null(strstr(text, "Beware"));
    free(text);
    add_cell(r, "mezo", "sst2", 1e-4, 1, "done", 0.5, 0.5); /* one seed where the others have three; and of rte a killed one */
    add_cell(r, "mezo", "rte", 1e-4, 1, "killed", NAN, NAN);
    text = paper(r, (zo_report_spec){.best = "lr"});
    ASSERT_HAS(text, "Beware: mezo on sst2");
    free(text);
    zo_err err = {0};
    zo_report_spec wrong = {.columns = "tsk", .metric = "accuracy"};
    ck_assert_int_eq(zo_report_paper(r, &wrong, stdout, &err), ZO_EINPUT);
    wrong.columns = "seed";
    ck_assert_int_eq(zo_report_paper(r, &wrong, stdout, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "--by seed");
    wrong = (zo_report_spec){.columns = "task", .metric = "acc"};
    ck_assert_int_eq(zo_report_paper(r, &wrong, stdout, &err), ZO_EINPUT);
    zo_results_close(r);
    r = open_new("empty.db");
    text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "No finished cells");
    free(text);
    zo_results_close(r);
}
END_TEST

START_TEST(select_reads_only)
{
    zo_results *r = sample("select.db");
    cJSON *rows;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_select(r, "SELECT count(*) AS n, NULL AS gap, 'a,b' AS text FROM runs;", &rows, &err), ZO_OK);
    ck_assert_double_eq(in_row(rows, 0, "n"), 12);
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    zo_table_print(out, rows, ZO_TABLE_CSV);
    zo_table_print(out, rows, ZO_TABLE_MD);
    fclose(out);
    ASSERT_HAS(text, "n,gap,text\n12,,\"a,b\"\n");
    ASSERT_HAS(text, "|   n | gap | text |\n|----:|----:|------|\n|  12 |     | a,b  |\n");
    free(text);
    cJSON_Delete(rows);
    ck_assert_int_eq(zo_results_select(r, "DELETE FROM runs", &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "only reading");
    ck_assert_int_eq(zo_results_select(r, "SELECT 1; SELECT 2", &rows, &err), ZO_EINPUT);
    ck_assert_int_eq(zo_results_select(r, "SELECT nothing_here FROM runs", &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "nothing_here");
    ck_assert_int_eq(zo_results_select(r, "", &rows, &err), ZO_EINPUT);
    zo_results_close(r);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_results.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    TCase *t = tcase_create("results");
    tcase_add_test(t, plot_labels);
    tcase_add_test(t, new_database);
    tcase_add_test(t, refused_files);
    tcase_add_test(t, one_writer_of_cells);
    tcase_add_test(t, older_schema);
    tcase_add_test(t, life_of_a_run);
    tcase_add_test(t, report_cells);
    tcase_add_test(t, report_groups);
    tcase_add_test(t, report_best_lr);
    tcase_add_test(t, best_is_by_dev_alone);
    tcase_add_test(t, data_seeds_group);
    tcase_add_test(t, report_paper_table);
    tcase_add_test(t, select_reads_only);
    Suite *s = suite_create("results");
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    char name[100];
    const char *const names[] = {"a", "text", "other", "newer", "lock", "life", "cells", "groups", "best", "paper", "empty", "select"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        static const char *const ends[] = {".db", ".db-wal", ".db-shm"};
        for (int k = 0; k < 3; k++) {
            snprintf(name, sizeof name, "%s%s", names[i], ends[k]);
            unlink(scratch(name));
        }
    }
    rmdir(folder);
    return failed != 0;
}
