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

#include "bench/cell/keys.h"
#include "bench/matrix/grid.h"
#include "core/embed.h"
#include "core/io.h"
#include "core/mem.h"
#include "plots/plot.h"
#include "results/database.h"
#include "results/figures.h"
#include "results/report.h"
#include "results/results.h"
#include "results/views.h"
#include "tests/folder.h"
#include "tests/suite.h"

ZO_EMBED(schema2_sql, "tests/golden/schema2.sql");
ZO_EMBED(schema3_sql, "tests/golden/schema3.sql");
ZO_EMBED(schema4_sql, "tests/golden/schema4.sql");
ZO_EMBED(schema5_sql, "tests/golden/schema5.sql");
ZO_EMBED(schema6_sql, "tests/golden/schema6.sql");
ZO_EMBED(schema7_sql, "tests/golden/schema7.sql");
ZO_EMBED(schema8_sql, "tests/golden/schema8.sql");

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

static zo_cell settings; /* of the row that cell_row gave last */

static zo_cell_row cell_row(const char *config, const char *task, const char *optimizer)
{
    zo_opt_defaults(zo_cell_keys(), &settings);
    snprintf(settings.model, sizeof settings.model, "m");
    snprintf(settings.task, sizeof settings.task, "%s", task);
    settings.metric = 1 + ZO_ACCURACY;
    settings.context = 128;
    settings.steps = 10;
    settings.lr = settings.dev = 0;
    settings.eps = 1e-3;
    settings.train = 100;
    settings.test = 50;
    return (zo_cell_row){.config = config, .optimizer = optimizer, .optimizer_options = "{\"rank\":4}", .keys = zo_cell_keys(), .settings = &settings};
}

static zo_run_brief brief_of(zo_results *r, const zo_identity *identity)
{
    zo_run_brief brief;
    zo_err err = {0};
    ck_assert_msg(zo_results_brief(r, identity, &brief, &err) == ZO_OK, "%s", err.text);
    return brief;
}

static zo_run_brief try_of(zo_results *r, const zo_identity *identity)
{
    zo_run_brief brief;
    zo_err err = {0};
    ck_assert_msg(zo_results_try(r, identity, &brief, &err) == ZO_OK, "%s", err.text);
    return brief;
}

static zo_run_brief relative_of(zo_results *r, const zo_identity *identity)
{
    zo_run_brief brief;
    zo_err err = {0};
    ck_assert_msg(zo_results_relative(r, identity, &brief, &err) == ZO_OK, "%s", err.text);
    return brief;
}

static zo_identity identity_of(const char *config)
{
    zo_identity identity = {.model = "1", .tokenizer = "2", .rows = "3", .task = "4"};
    snprintf(identity.hash, sizeof identity.hash, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, config, strlen(config)));
    return identity;
}

/* One finished cell with an accuracy; dev NaN and `dev_examples` 0: it had no dev set. */
static void add_cell_on(zo_results *r, const char *optimizer, const char *task, double lr, int seed, int data_seed, int dev_examples,
                        const char *status, double dev, double test)
{
    char config[600];
    snprintf(config, sizeof config, "{\"model\":\"m\",\"task\":\"%s\",\"form\":\"head\",\"batch\":16,\"lr\":%g,\"seed\":%d,\"train_split_seed\":%d,"
             "\"optimizer\":{\"name\":\"%s\",\"rank\":4}}", task, lr, seed, data_seed, optimizer);
    zo_cell_row cell = cell_row(config, task, optimizer);
    zo_identity identity = identity_of(config);
    settings.seed = seed;
    settings.train_split_seed = settings.test_split_seed = data_seed;
    settings.lr = lr;
    settings.dev = dev_examples;
    zo_run_end end = {.status = status, .accuracy = test, .f1 = test, .macro_f1 = test, .matthews = NAN, .metric_value = test,
                      .selected = isfinite(test) ? "test@best-dev" : NULL, .marks = strcmp(status, "diverged") == 0 ? "diverged" : "",
                      .fault_step = -1, .best_step = 5, .dev_accuracy = dev, .dev_metric = dev, .dev_rows = dev_examples, .steps = 10, .forwards = 20, .work = 20,
                      .train_seconds = 36, .eval_seconds = 36, .step_ms = 4, .peak_bytes = 1000000 + (uint64_t)seed};
    int64_t run;
    zo_err err = {0};
    ck_assert_msg(zo_results_begin(r, &cell, &identity, &host, &run, &err) == ZO_OK, "%s", err.text);
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
        snprintf(config, sizeof config, "{\"batch\":16,\"steps\":%d,\"init\":\"%s\",\"seed\":%d,\"train_split_seed\":%d,\"optimizer\":{\"name\":\"o\",\"rank\":4}}",
                 of[i].steps, of[i].init, seed, of[i].data_seed);
        zo_cell_row cell = cell_row(config, "t", "o");
        zo_identity identity = identity_of(config);
        settings.steps = of[i].steps;
        settings.seed = seed;
        settings.train_split_seed = of[i].data_seed;
        settings.lr = 1e-3;
        settings.dev = 10;
        zo_run_end end = {.status = "done", .accuracy = 0.5, .f1 = 0.5, .metric_value = 0.5, .matthews = NAN, .marks = "", .selected = "test@best-dev",
                          .dev_accuracy = 0.5, .dev_metric = 0.5};
        int64_t run;
        ck_assert_msg(zo_results_begin(r, &cell, &identity, &host, &run, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_results_end(r, run, &end, &err) == ZO_OK, "%s", err.text);
    }
    if (system("gnuplot --version > /dev/null 2>&1") != 0) {
        printf("skipped: plot_labels wants gnuplot\n");
        zo_results_close(r);
        return;
    }
    zo_plot_spec spec = {.db = zo_results_handle(r), .out = scratch("plots"), .only = "accuracy_bars", .formats = "svg"};
    cJSON *report;
    ck_assert_msg(zo_results_views(r, zo_cell_keys(), &err) == ZO_OK, "%s", err.text);
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
    ck_assert_int_ne(sqlite3_exec(zo_results_handle(r), "DELETE FROM tries", NULL, NULL, NULL), SQLITE_OK);
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
    ck_assert_int_eq(zo_results_open(&r, scratch("newer.db"), true, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "not one of zo's");
    sqlite3_exec(other, "PRAGMA application_id = 0x7a6f2d64", NULL, NULL, NULL);
    ck_assert_int_eq(zo_results_open(&r, scratch("newer.db"), true, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "schema version 99");
    /* other programs' files with a version of ours, or with another application's number */
    static const char *const foreign[] = {"PRAGMA application_id = 0; PRAGMA user_version = 2", "PRAGMA user_version = 1", "PRAGMA user_version = -5",
                                          "PRAGMA user_version = 3", "PRAGMA application_id = 7", "PRAGMA application_id = 7; DROP TABLE t",
                                          "CREATE TABLE runs (hash); PRAGMA application_id = 0; PRAGMA user_version = 2"};
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        sqlite3_exec(other, foreign[i], NULL, NULL, NULL);
        for (int reads = 0; reads < 2; reads++) {
            zo_status status = reads ? zo_results_open_read(&r, scratch("newer.db"), &err) : zo_results_open(&r, scratch("newer.db"), true, &err);
            ck_assert_msg(status == ZO_EINPUT, "%s: %s", foreign[i], err.text);
            ASSERT_HAS(err.text, "newer.db: is an SQLite database, but not one of zo's");
        }
    }
    sqlite3_close(other);
    static const char *const no_file[] = {"", ":memory:"};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(zo_results_open(&r, no_file[i], true, &err), ZO_EINPUT);
        ASSERT_HAS(err.text, "names no file");
    }
    ck_assert_int_ne(zo_results_open(&r, "/dev/null", true, &err), ZO_OK);
    ASSERT_HAS(err.text, "/dev/null");
    unlink(scratch("pipe"));
    ck_assert_int_eq(mkfifo(scratch("pipe"), 0600), 0); /* SQLite would wait for it */
    ck_assert_int_eq(zo_results_open(&r, scratch("pipe"), true, &err), ZO_EIO);
    ASSERT_HAS(err.text, "is a named pipe");
    ck_assert_int_eq(zo_results_open_read(&r, scratch("pipe"), &err), ZO_EIO);
    ASSERT_HAS(err.text, "is a named pipe");
    unlink(scratch("pipe"));
}
END_TEST

START_TEST(one_writer_of_cells)
{
    zo_results *a, *b;
    zo_err err = {0};
    unlink(scratch("lock.db"));
    ck_assert_msg(zo_results_open_alone(&a, scratch("lock.db"), &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(zo_results_open_alone(&b, scratch("lock.db"), &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "another `zo run`");
    ck_assert_int_eq(zo_results_open(&b, scratch("lock.db"), false, &err), ZO_OK); /* its cells */
    zo_results_close(b);
    zo_results_close(a);
    ck_assert_int_eq(zo_results_open_alone(&a, scratch("lock.db"), &err), ZO_OK);
    zo_results_close(a);
}
END_TEST

/* A database of schema `version` with one run of each status, steps, evaluations, memory and parts. */
static void make_older(const char *name, int version)
{
    sqlite3 *db;
    unlink(scratch(name));
    ck_assert_int_eq(sqlite3_open(scratch(name), &db), SQLITE_OK);
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, schema2_sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_msg(sqlite3_exec(db,
                               "INSERT INTO runs (run, hash, config, status, model, task, form, optimizer, optimizer_options, batch, context, steps_budget,"
                               " forwards_budget, seconds_budget, lr, eps, seed, precision, realisation, storage, accumulate, device_kind, split,"
                               " eval_every, selection, train, dev, test, began, accuracy, f1, dev_accuracy, steps, step_ms, peak_bytes,"
                               " train_peak_bytes) VALUES (7, 'aaaa', '{\"data_seed\":5}', 'done', 'm', 't', 'head', 'mezo', '{}', 16, 128, 10, 0, 0,"
                               " 1e-3, 1e-3, 1, 'f32', 'inplace', 'f32', 'weights', 'cpu', 'kshot', -1, 'loss', 100, 50, 50, 'then', 0.75, 0.6, 0.7, 10, 4, 100,"
                               " 90), (8, 'bbbb', '{}', 'killed', 'm', 't', 'head', 'mezo', '{}', 16, 128, 10, 0, 0, 1e-3, 1e-3, 2, 'f32', 'inplace', 'f32',"
                               " 'weights', 'cpu', 'first', -1, 'accuracy', 100, 50, 50, 'then', NULL, NULL, NULL, NULL, NULL, NULL, NULL);"
                               "INSERT INTO steps (run, step, loss) VALUES (7, 1, 2.5); INSERT INTO memory VALUES (7, 'train', 'params', 90);"
                               "INSERT INTO evaluations (run, step, split, examples, accuracy, f1, best) VALUES (7, 10, 'dev', 50, 0.7, 0.6, 1);"
                               "INSERT INTO parts VALUES (7, 'gemm', 1, 100); PRAGMA user_version = 2",
                               NULL, NULL, &message) == SQLITE_OK, "%s", message);
    if (version == 1) {
        ck_assert_msg(sqlite3_exec(db, "DROP VIEW report; ALTER TABLE runs DROP COLUMN storage; ALTER TABLE runs DROP COLUMN accumulate;"
                                       "CREATE VIEW report AS SELECT run, hash, model, accuracy FROM runs; PRAGMA user_version = 1",
                                   NULL, NULL, &message) == SQLITE_OK, "%s", message);
    }
    sqlite3_close(db);
}

/* As a new one is: the same columns of every table and view. */
static void check_columns(const char *name)
{
    zo_results *fresh, *r;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_open(&fresh, scratch("fresh.db"), true, &err), ZO_OK);
    ck_assert_int_eq(zo_results_open(&r, scratch(name), false, &err), ZO_OK);
    static const char *const of[] = {"cells", "tries", "plans", "budgets", "all_runs", "runs", "report", "peaks"};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT count(*), group_concat(name || type || \"notnull\" || coalesce(dflt_value, '')) FROM pragma_table_info('%s')", of[i]);
        sqlite3_stmt *a, *b;
        ck_assert_int_eq(sqlite3_prepare_v2(zo_results_handle(fresh), sql, -1, &a, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_prepare_v2(zo_results_handle(r), sql, -1, &b, NULL), SQLITE_OK);
        ck_assert(sqlite3_step(a) == SQLITE_ROW && sqlite3_step(b) == SQLITE_ROW && sqlite3_column_int(a, 0) > 1);
        ck_assert_str_eq((const char *)sqlite3_column_text(a, 1), (const char *)sqlite3_column_text(b, 1));
        sqlite3_finalize(a);
        sqlite3_finalize(b);
    }
    zo_results_close(fresh);
    zo_results_close(r);
}

/* Schema 3 knew no views: its runs trained everything. What it has is kept as it is, a reader changes nothing, a writer keeps a copy. */
START_TEST(schema_without_views)
{
    static const struct { const char *sql; int64_t is; } seen[] = {
        {"SELECT count(*) FROM runs WHERE tune = 'full' AND trained_parameters = 50 AND meaning = 2", 1},
        {"SELECT count(*) FROM tries WHERE trained_parameters IS NULL", 1},
        {"SELECT 100 * accuracy FROM report WHERE hash = 'cccc' AND parameters = 50", 75},
        {"SELECT count(*) FROM cells WHERE tune = 'full' AND test = 3", 1},
        {"SELECT bytes FROM peaks", 90},
        {"SELECT count(*) FROM pragma_foreign_key_check", 0}};
    sqlite3 *db;
    char *message = NULL;
    zo_results *r;
    zo_err err = {0};
    ck_assert_int_eq(sqlite3_open(scratch("three.db"), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, schema3_sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_msg(sqlite3_exec(db,
                               "INSERT INTO cells VALUES (1, 'i', 'cccc', 2, '', '', '', '', '', 7, '{}', 'm', 't', 'head', 'mezo', '{}', 16, 128, 10, 0, 0, 0, 1e-3,"
                               " 1e-3, 1, 'f32', 'inplace', 'f32', 'weights', 'default', 'first', 'cpu', 'drawn', 0, 0, 0, '', -1, 'accuracy', 'last', 1, 2, 3);"
                               "INSERT INTO tries (run, try, cell, status, began, accuracy, parameters, steps) VALUES (6, 'w', 1, 'failed', 'before', NULL, 50, 0),"
                               " (7, 'x', 1, 'done', 'then', 0.75, 50, 10);"
                               "INSERT INTO memory VALUES (7, 'train', 'params', 90); PRAGMA user_version = 3; PRAGMA application_id = "
                               ZO_NUMBER_TEXT(ZO_APPLICATION_ID),
                               NULL, NULL, &message) == SQLITE_OK, "%s", message);
    sqlite3_close(db);
    for (int writes = 0; writes < 3; writes++) {
        zo_status status = writes ? zo_results_open(&r, scratch("three.db"), false, &err) : zo_results_open_read(&r, scratch("three.db"), &err);
        ck_assert_msg(status == ZO_OK, "%s", err.text);
        ck_assert_int_eq(number(r, "PRAGMA user_version"), ZO_SCHEMA_VERSION);
        for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
            ck_assert_msg(number(r, seen[i].sql) == seen[i].is, "%s: %lld", seen[i].sql, (long long)number(r, seen[i].sql));
        }
        zo_results_close(r);
        ck_assert(zo_path_exists(scratch("three.db.schema3")) == (writes > 0));
    }
    check_columns("three.db");
}
END_TEST

/* Schema 4 knew no checkpoints: its runs were never resumed, and what they took for checkpoints is not known. Schema 5 did not keep which rows an
 * evaluation had right. Schema 6 had no metrics of answers and scores, and kept no samples, schema 7 no plans, budgets and errors of predictions, and
 * schema 8 no profiles. */
START_TEST(schema_without_columns)
{
    static const struct { int version; const char *sql; } older[] = {{4, schema4_sql}, {5, schema5_sql}, {6, schema6_sql}, {7, schema7_sql}, {8, schema8_sql}};
    static const struct { const char *sql; int64_t is; } seen[] = {
        {"SELECT count(*) FROM runs WHERE resumed = 0 AND checkpoint_ms IS NULL AND tune = 'head' AND trained_parameters = 20 AND parameters = 50", 1},
        {"SELECT 10 * loss FROM steps", 25},
        {"SELECT examples FROM evaluations WHERE correct IS NULL AND token_f1 IS NULL", 9},
        {"SELECT count(*) FROM samples WHERE scores IS NULL AND source IS NULL", 0},
        {"SELECT count(*) FROM runs WHERE memory_error IS NULL AND hours_error IS NULL AND cpu_error IS NULL", 1},
        {"SELECT (SELECT count(*) FROM plans) + (SELECT count(*) FROM budgets) + (SELECT count(*) FROM profile)", 0},
        {"SELECT count(*) FROM pragma_foreign_key_check", 0}};
    char file[40], copy[60], end[200];
    int version = older[_i].version;
    sqlite3 *db;
    char *message = NULL;
    zo_err err = {0};
    snprintf(file, sizeof file, "of%d.db", version);
    snprintf(copy, sizeof copy, "of%d.db.schema%d", version, version);
    ck_assert_int_eq(sqlite3_open(scratch(file), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, older[_i].sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_msg(sqlite3_exec(db,
                               "INSERT INTO cells VALUES (1, 'i', 'cccc', 2, '', '', '', '', '', 7, '{}', 'm', 't', 'head', 'mezo', '{}', 16, 128, 10, 0, 0, 0, 1e-3,"
                               " 1e-3, 1, 'f32', 'inplace', 'f32', 'weights', 'default', 'first', 'cpu', 'drawn', 0, 0, 0, '', -1, 'accuracy', 'last', 1, 2, 3, 'head');"
                               "INSERT INTO tries (run, try, cell, status, began, parameters, trained_parameters, steps) VALUES (7, 'x', 1, 'done', 'then', 50, 20, 10);"
                               "INSERT INTO steps (run, step, loss) VALUES (7, 1, 2.5);"
                               "INSERT INTO evaluations (run, step, split, examples, best) VALUES (7, 1, 'dev', 9, 1)",
                               NULL, NULL, &message) == SQLITE_OK, "%s", message);
    snprintf(end, sizeof end, "PRAGMA user_version = %d; PRAGMA application_id = " ZO_NUMBER_TEXT(ZO_APPLICATION_ID), version);
    ck_assert_msg(sqlite3_exec(db, end, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    sqlite3_close(db);
    for (int writes = 0; writes < 2; writes++) {
        zo_results *r;
        zo_status status = writes ? zo_results_open(&r, scratch(file), false, &err) : zo_results_open_read(&r, scratch(file), &err);
        ck_assert_msg(status == ZO_OK, "%s", err.text);
        ck_assert_int_eq(number(r, "PRAGMA user_version"), ZO_SCHEMA_VERSION);
        for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
            ck_assert_msg(number(r, seen[i].sql) == seen[i].is, "%s: %lld", seen[i].sql, (long long)number(r, seen[i].sql));
        }
        zo_results_close(r);
        ck_assert(zo_path_exists(scratch(copy)) == (writes > 0));
    }
    check_columns(file);
}
END_TEST

/* A try goes on with copies of the rows that an earlier one had at its checkpoint, and with none of those after it. */
START_TEST(a_try_goes_on)
{
    zo_results *r = open_new("goes_on.db");
    zo_err err = {0};
    int64_t run, next;
    zo_cell_row cell = cell_row("{}", "t", "o");
    zo_identity identity = identity_of("{}");
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    zo_step_row row[4];
    for (int i = 0; i < 4; i++) {
        row[i] = (zo_step_row){.step = 2 * i + 1, .loss = 0.5 + i, .projected = NAN, .lr = 1, .forwards = 7, .train_seconds = 0.25};
        zo_eval_row e = {.step = 2 * i, .split = "dev", .examples = 5, .accuracy = 0.5, .f1 = NAN, .loss = 1.5};
        ck_assert_int_eq(zo_results_eval(r, run, &e, &err), ZO_OK);
    }
    ck_assert_int_eq(zo_results_steps(r, run, row, 4, &err), ZO_OK);
    zo_mark mark, other;
    ck_assert_int_eq(zo_results_mark(r, run, 5, &mark, &err), ZO_OK);
    ck_assert_int_eq(mark.rows, 6);
    zo_eval_row last = {.step = 5, .split = "dev", .examples = 5, .accuracy = 0.25, .f1 = NAN, .loss = 1.5}; /* that comes behind it, at its step */
    ck_assert_int_eq(zo_results_eval(r, run, &last, &err), ZO_OK);
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &next, &err), ZO_OK);
    other = mark; /* a row is missing; a name that no try has */
    other.rows = 7;
    ck_assert_int_eq(zo_results_go_on(r, next, &other, 1, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "does not have whole");
    other = mark;
    other.name[0] = 'x';
    ck_assert_int_eq(zo_results_go_on(r, next, &other, 1, &err), ZO_EINPUT);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps WHERE run = 2"), 0);
    ck_assert_int_eq(number(r, "SELECT resumed FROM tries WHERE run = 2"), 0);
    ck_assert_msg(zo_results_go_on(r, next, &mark, 3, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(number(r, "SELECT resumed FROM tries WHERE run = 2"), 3);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps WHERE run = 2"), 3);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM evaluations WHERE run = 2"), 3);
    ck_assert_int_eq(number(r, "SELECT 100 * sum(loss) + sum(forwards) FROM steps WHERE run = 2 AND projected IS NULL AND train_seconds = 0.25"), 471);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM (SELECT step, split, examples, accuracy, loss FROM evaluations WHERE run = 1 AND step < 5"
                               " EXCEPT SELECT step, split, examples, accuracy, loss FROM evaluations WHERE run = 2)"), 0);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps WHERE run = 1"), 4); /* nothing is taken from the other */
    zo_results_close(r);
}
END_TEST

/* Databases of the older schemas keep every figure, under meaning 1; readers change nothing, writers keep a copy. */
START_TEST(older_schema)
{
    static const struct { const char *sql; int64_t is; } seen[] = {
        {"SELECT count(*) FROM runs WHERE meaning = 1", 2},
        {"SELECT run FROM report WHERE hash = 'aaaa' AND storage = 'f32' AND accumulate = 'weights'", 7},
        {"SELECT 100 * accuracy FROM runs WHERE run = 7", 75},
        {"SELECT 100 * metric_value FROM runs WHERE run = 7 AND metric = 'accuracy'", 75},
        {"SELECT 100 * macro_f1 FROM runs WHERE run = 7 AND f1 IS NULL", 60}, /* its f1 was macro-F1 */
        {"SELECT step_ms_median FROM runs WHERE run = 7 AND step_ms IS NULL", 4}, /* its step_ms was a median */
        {"SELECT train_split_seed FROM runs WHERE run = 7 AND selection = 'dev-loss' AND k = 16", 5},
        {"SELECT count(*) FROM runs WHERE status = 'killed' AND selection = 'dev-metric' AND k = 0", 1},
        {"SELECT 10 * loss FROM steps WHERE run = 7", 25},
        {"SELECT 100 * macro_f1 FROM evaluations WHERE run = 7 AND best = 1", 60},
        {"SELECT bytes FROM peaks WHERE run = 7", 90},
        {"SELECT ms FROM parts WHERE run = 7", 100},
        {"SELECT count(*) FROM pragma_foreign_key_check", 0}};
    for (int version = 1; version <= 2; version++) {
        zo_results *r;
        zo_err err = {0};
        char copy[40];
        make_older("older.db", version);
        snprintf(copy, sizeof copy, "older.db.schema%d", version);
        ck_assert_msg(zo_results_open_read(&r, scratch("older.db"), &err) == ZO_OK, "%s", err.text);
        for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
            ck_assert_msg(number(r, seen[i].sql) == seen[i].is, "%s: %lld", seen[i].sql, (long long)number(r, seen[i].sql));
        }
        ck_assert_int_ne(sqlite3_exec(zo_results_handle(r), "DELETE FROM tries", NULL, NULL, NULL), SQLITE_OK);
        zo_results_close(r);
        ck_assert(!zo_path_exists(scratch(copy)));
        for (int again = 0; again < 2; again++) {
            ck_assert_msg(zo_results_open(&r, scratch("older.db"), false, &err) == ZO_OK, "%s", err.text);
            ck_assert_int_eq(number(r, "PRAGMA user_version"), ZO_SCHEMA_VERSION);
            for (size_t i = 0; i < sizeof seen / sizeof *seen; i++) {
                ck_assert_msg(number(r, seen[i].sql) == seen[i].is, "%s", seen[i].sql);
            }
            ck_assert_int_eq(number(r, "PRAGMA foreign_keys"), 1);
            ck_assert_str_eq(brief_of(r, &(zo_identity){.hash = "aaaa"}).status, ""); /* never "done already" */
            ck_assert_str_eq(relative_of(r, &(zo_identity){.hash = "aaaa"}).status, "");
            int64_t cells;
            ck_assert_int_eq(zo_results_older(r, &cells, &err), ZO_OK);
            ck_assert_int_eq(cells, 1);
            zo_results_close(r);
        }
        ck_assert(zo_path_exists(scratch(copy)));
        sqlite3 *kept;
        sqlite3_stmt *statement;
        sqlite3_open(scratch(copy), &kept);
        ck_assert_int_eq(sqlite3_prepare_v2(kept, "SELECT f1 * 100 FROM runs WHERE run = 7", -1, &statement, NULL), SQLITE_OK);
        ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
        ck_assert_int_eq(sqlite3_column_int(statement, 0), 60);
        sqlite3_finalize(statement);
        sqlite3_close(kept);
        unlink(scratch(copy));
    }
}
END_TEST

/* Each column of a cell's settings is one key's, and has the key's value. */
START_TEST(settings_fill_their_columns)
{
    zo_results *r = open_new("settings.db");
    zo_err err = {0};
    zo_cell_row cell = cell_row("{}", "t", "o");
    zo_identity identity = identity_of("{}");
    int64_t run;
    settings.storage = 1;
    settings.work = 12.5;
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    int columns = 0;
    for (const zo_opt *k = cell.keys; k->key != NULL; k++) {
        if (k->column != NULL) {
            char sql[300], is[100];
            cJSON *value = zo_opt_value(k, cell.settings);
            char *text = cJSON_PrintUnformatted(value);
            snprintf(is, sizeof is, cJSON_IsString(value) ? "'%s'" : "%s", cJSON_IsString(value) ? value->valuestring : text);
            snprintf(sql, sizeof sql, "SELECT count(*) FROM cells WHERE %s = %s", k->column, is);
            ck_assert_msg(number(r, sql) == 1, "%s is not %s", k->column, is);
            cJSON_free(text);
            cJSON_Delete(value);
            columns++;
        }
    }
    ck_assert_int_eq(number(r, "SELECT count(*) FROM cells WHERE storage = 'bf16' AND work_budget = 12.5 AND context_asked = 128"), 1);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM pragma_table_info('cells') WHERE cid > (SELECT cid FROM pragma_table_info('cells') WHERE name = 'config')"
                               " AND name NOT IN ('optimizer', 'optimizer_options')"), columns);
    zo_results_close(r);
}
END_TEST

START_TEST(life_of_a_run)
{
    zo_results *r = open_new("life.db");
    zo_err err = {0};
    zo_cell_row cell = cell_row("{}", "t", "o");
    zo_identity identity = identity_of("{}");
    int64_t run;
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    zo_run_brief brief = brief_of(r, &identity);
    ck_assert_str_eq(brief.status, "running");
    ck_assert(!brief.finished);
    zo_step_row step[2] = {{.step = 1, .loss = 2, .projected = NAN, .seconds = 1, .full_steps = 1, .work = 3},
                           {.step = 2, .loss = 1, .seconds = 1, .work = 5}};
    step[1].part[ZO_PART_GEMM] = 0.5;
    ck_assert_int_eq(zo_results_steps(r, run, step, 2, &err), ZO_OK);
    zo_eval_row eval = {.step = 2, .split = "dev", .examples = 4, .accuracy = 0.5, .f1 = NAN, .macro_f1 = 0.25, .matthews = 0, .constant = true,
                        .work = 5, .best = true};
    ck_assert_int_eq(zo_results_eval(r, run, &eval, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM evaluations WHERE correct IS NULL"), 1);
    const uint8_t correct[2] = {0x05, 0x01}; /* rows 0, 2 and 8 of nine */
    zo_eval_row outcomes = {.step = 2, .split = "test", .examples = 9, .correct = correct};
    ck_assert_int_eq(zo_results_eval(r, run, &outcomes, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM evaluations WHERE split = 'test' AND hex(correct) = '0501'"), 1);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM evaluations WHERE f1 IS NULL AND macro_f1 = 0.25 AND constant AND best AND work = 5"), 1);
    zo_peak peak = {.total_bytes = 3};
    peak.tag_bytes[ZO_TAG_PARAMS] = 3;
    ck_assert_int_eq(zo_results_memory(r, run, ZO_PHASES, &peak, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT sum(bytes) FROM memory WHERE phase = 'overall'"), 3);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps WHERE projected IS NULL"), 1);
    ck_assert_int_eq(number(r, "SELECT gemm * 10 FROM steps WHERE step = 2 AND work = 5 AND full_steps = 0"), 5);
    /* the program died: swept, then begun anew; the former try stays, and one row counts */
    ck_assert_int_eq(zo_results_sweep_running(r, &err), ZO_OK);
    ck_assert_str_eq(brief_of(r, &identity).status, "killed");
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps"), 2);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM steps JOIN runs USING (run)"), 0);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM runs"), 1);
    ck_assert_int_eq(number(r, "SELECT count(DISTINCT try) FROM tries WHERE length(try) = 32"), 2);
    /* its process crashed */
    ck_assert_int_eq(zo_results_abandon(r, &cell, &identity, &host, "failed", "why", &err), ZO_OK);
    ck_assert_str_eq(brief_of(r, &identity).message, "why");
    zo_identity never = identity_of("{never}");
    ck_assert_int_eq(zo_results_abandon(r, &cell, &never, &host, "failed", "before it began", &err), ZO_OK);
    ck_assert_str_eq(brief_of(r, &never).status, "failed");
    /* done; parts sum to the training time with the rest as `other` */
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    zo_run_end end = {.status = "done", .marks = "constant", .accuracy = 0.75, .metric_value = 0.75, .fault_step = -1, .steps = 4, .train_seconds = 3600,
                      .eval_seconds = 3600, .switches = -1, .f1 = NAN, .disturbed = true};
    end.part[ZO_PART_GEMM] = 2700;
    ck_assert_int_eq(zo_results_end(r, run, &end, &err), ZO_OK);
    brief = brief_of(r, &identity);
    ck_assert(brief.finished);
    ck_assert_str_eq(brief.marks, "constant");
    ck_assert_str_eq(brief.metric, "accuracy");
    ck_assert_double_eq(brief.metric_value, 0.75);
    ck_assert_int_eq(number(r, "SELECT sum(seconds) FROM parts"), 3600);
    ck_assert_int_eq(number(r, "SELECT seconds FROM parts WHERE part = 'other'"), 900);
    ck_assert_int_eq(number(r, "SELECT device_hours * 10 FROM runs WHERE status = 'done'"), 10);
    ck_assert_int_eq(number(r, "SELECT device_hours_total * 10 FROM runs WHERE status = 'done'"), 20);
    ck_assert_int_eq(number(r, "SELECT disturbed FROM runs WHERE status = 'done' AND f1 IS NULL AND switches IS NULL AND fault_step IS NULL"), 1);
    /* another try of a cell that is done counts when it has a result, and not before */
    int64_t first = run;
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    ck_assert_int_eq(brief_of(r, &identity).run, first);
    ck_assert_int_eq(try_of(r, &identity).run, run);
    ck_assert_int_eq(zo_results_abandon(r, &cell, &identity, &host, "failed", "why", &err), ZO_OK);
    ck_assert_int_eq(brief_of(r, &identity).run, first);
    ck_assert_int_eq(zo_results_begin(r, &cell, &identity, &host, &run, &err), ZO_OK);
    end.accuracy = 0.5;
    ck_assert_int_eq(zo_results_end(r, run, &end, &err), ZO_OK);
    ck_assert_int_eq(brief_of(r, &identity).run, run);
    ck_assert_int_eq(number(r, "SELECT 100 * accuracy FROM runs WHERE status = 'done'"), 50);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM tries WHERE status = 'done'"), 2);
    zo_results_close(r);
}
END_TEST

/* What is another thing is another cell; what is not known matches any. */
START_TEST(identities)
{
    zo_results *r = open_new("identity.db");
    zo_err err = {0};
    zo_cell_row cell = cell_row("{}", "t", "o");
    zo_identity known = identity_of("{}"), other = known, unknown = known;
    zo_run_end end = {.status = "done", .marks = "", .metric_value = NAN};
    int64_t run;
    ck_assert_int_eq(zo_results_begin(r, &cell, &known, &host, &run, &err), ZO_OK);
    ck_assert_int_eq(zo_results_end(r, run, &end, &err), ZO_OK);
    char *const part[] = {other.hash, other.model, other.tokenizer, other.rows, other.task, other.plugin};
    for (size_t i = 0; i < 5; i++) {
        zo_identity kept = other;
        snprintf(part[i], sizeof other.hash, "x");
        ck_assert_str_eq(brief_of(r, &other).status, "");
        ck_assert_str_eq(relative_of(r, &other).status, i == 0 ? "" : "done");
        other = kept;
    }
    ck_assert_str_eq(relative_of(r, &known).status, "");
    unknown.model[0] = unknown.rows[0] = '\0';
    ck_assert_str_eq(brief_of(r, &unknown).status, "done");
    ck_assert_str_eq(relative_of(r, &unknown).status, "");
    snprintf(other.rows, sizeof other.rows, "x");
    ck_assert_int_eq(zo_results_begin(r, &cell, &other, &host, &run, &err), ZO_OK);
    ck_assert_int_eq(zo_results_end(r, run, &end, &err), ZO_OK);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM runs"), 2);
    zo_results_close(r);
}
END_TEST

/* A database that cannot be read is not one in which nothing is done. */
START_TEST(unreadable_is_not_none)
{
    zo_results *r = open_new("broken.db");
    zo_err err = {0};
    zo_identity identity = identity_of("{}");
    zo_run_brief brief;
    int64_t cells;
    ck_assert_int_eq(sqlite3_exec(zo_results_handle(r), "DROP VIEW runs; DROP VIEW all_runs", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(zo_results_brief(r, &identity, &brief, &err), ZO_EIO);
    ASSERT_HAS(err.text, "broken.db: SQLite says: no such table: all_runs");
    ck_assert_int_eq(zo_results_try(r, &identity, &brief, &err), ZO_EIO);
    ck_assert_int_eq(zo_results_relative(r, &identity, &brief, &err), ZO_EIO);
    ck_assert_int_eq(zo_results_older(r, &cells, &err), ZO_EIO);
    zo_results_close(r);
}
END_TEST

/* A file that is not there any more is noticed at once. */
START_TEST(removed_file)
{
    zo_results *r = open_new("removed.db");
    zo_err err = {0};
    ck_assert_int_eq(zo_results_check_file(r, &err), ZO_OK);
    unlink(scratch("removed.db"));
    ck_assert_int_eq(zo_results_check_file(r, &err), ZO_EIO);
    ASSERT_HAS(err.text, "was removed");
    zo_write_file(scratch("removed.db"), "x", 1, &err);
    ck_assert_int_eq(zo_results_check_file(r, &err), ZO_EIO);
    ASSERT_HAS(err.text, "was replaced");
    zo_results_close(r);
}
END_TEST

static cJSON *rows_of(zo_results *r, zo_report_spec spec)
{
    spec.keys = zo_cell_keys();
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
    spec.keys = zo_cell_keys();
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

/* Time and memory of a method that has neither, beside one that has both; a mean of full-batch steps is nobody's here. */
START_TEST(report_not_measured)
{
    zo_results *r = open_new("not-measured.db");
    add_cell(r, "mezo", "sst2", 1e-3, 1, "done", 0.6, 0.5);
    add_cell(r, "slow", "sst2", 1e-3, 1, "done", 0.6, 0.5);
    ck_assert_int_eq(sqlite3_exec(zo_results_handle(r), "UPDATE tries SET step_ms = NULL, device_hours = NULL, device_hours_total = NULL, peak_bytes = NULL "
                                  "WHERE cell = (SELECT cell FROM cells WHERE optimizer = 'slow')", NULL, NULL, NULL), SQLITE_OK);
    char *text = paper(r, (zo_report_spec){0});
    const char *line = strstr(text, "device-hours"); /* of the table of costs */
    line = line != NULL ? strstr(line, "\n| slow") : NULL;
    ck_assert_msg(line != NULL, "%s", text);
    int said = 0;
    for (const char *at = line + 1, *end = strchr(line + 1, '\n'); (at = strstr(at, "not measured")) != NULL && at < end; at++) {
        said++;
    }
    ck_assert_msg(said == 5, "%d times: %s", said, text); /* of a step, of all steps, with evaluation, and both peaks */
    line = strstr(strstr(text, "device-hours"), "\n| mezo");
    ck_assert_msg(line != NULL && (strstr(line + 1, "not measured") == NULL || strstr(line + 1, "not measured") > strchr(line + 1, '\n')), "%s", text);
    free(text);
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
        ck_assert_msg(zo_results_views(r, zo_cell_keys(), &err) == ZO_OK, "%s", err.text);
        ck_assert_int_eq(number(r, "SELECT count(*) FROM shown WHERE optimizer = 'mezo' AND task = 'sst2' AND lr <> 1e-2"), 0);
        ck_assert_int_eq(number(r, "SELECT count(*) FROM shown WHERE rivals = 1"),
                         number(r, "SELECT count(*) FROM report WHERE optimizer = 'mezo' AND task = 'sst2' AND lr = 1e-2"));
        ck_assert_int_eq(number(r, "SELECT count(*) FROM shown WHERE rivals = 0"),
                         number(r, "SELECT count(*) FROM report WHERE NOT (optimizer = 'mezo' AND task = 'sst2')"));
    }
    zo_report_spec wrong = {.keys = zo_cell_keys(), .best = "rnk", .columns = "task", .metric = "accuracy"};
    ck_assert_int_eq(zo_report_rows(r, &wrong, &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "no cell here has a key \"rnk\"");
    zo_results_close(r);
}
END_TEST

static void forget_dev_rows(zo_results *r)
{
    ck_assert_int_eq(sqlite3_exec(zo_results_handle(r), "UPDATE tries SET dev_rows = NULL", NULL, NULL, NULL), SQLITE_OK);
}

/* Test never chooses; a cell that was killed is no reason against its learning rate. Where a run does not say how many dev examples it had,
 * its config does. */
START_TEST(best_is_by_dev_alone)
{
    zo_results *r = open_new("no-dev.db");
    add_cell_on(r, "mezo", "sst2", 1e-3, 1, 0, 0, "done", NAN, 0.5);
    add_cell_on(r, "mezo", "sst2", 1e-2, 1, 0, 0, "done", NAN, 0.9);
    cJSON *rows;
    zo_err err = {0};
    zo_report_spec best = {.keys = zo_cell_keys(), .by_seed_group = true, .best = "lr", .columns = "task", .metric = "accuracy"};
    for (int known = 1; known >= 0; known--) {
        ck_assert_int_eq(zo_report_rows(r, &best, &rows, &err), ZO_EINPUT);
        ASSERT_HAS(err.text, "without dev examples");
        forget_dev_rows(r);
    }
    ck_assert_msg(zo_results_views(r, zo_cell_keys(), &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(number(r, "SELECT count(*) FROM shown WHERE rivals = 0 AND label = 'MeZO lr ' || lr"), 2);
    zo_results_close(r);
    r = open_new("no-dev-no-choice.db"); /* a setting that stands alone in its family needs none to choose by */
    add_cell_on(r, "mezo", "sst2", 1e-3, 1, 0, 0, "done", NAN, 0.5);
    add_cell_on(r, "mezo", "sst2", 1e-3, 2, 0, 0, "done", NAN, 0.6);
    add_cell_on(r, "mezo", "cb", 1e-2, 1, 0, 0, "done", NAN, 0.6);
    rows = rows_of(r, best);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    cJSON_Delete(rows);
    zo_results_close(r);
    r = open_new("killed.db");
    add_cell(r, "mezo", "sst2", 1e-3, 1, "done", 0.9, 0.5);
    add_cell(r, "mezo", "sst2", 1e-3, 2, "killed", NAN, NAN);
    add_cell(r, "mezo", "sst2", 1e-2, 1, "done", 0.6, 0.9);
    for (int known = 1; known >= 0; known--) {
        rows = rows_of(r, best);
        ck_assert_int_eq(cJSON_GetArraySize(rows), 1);
        ck_assert_double_eq(in_row(rows, 0, "lr"), 1e-3);
        cJSON_Delete(rows);
        forget_dev_rows(r);
    }
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
    ASSERT_HAS(text, "mezo lr 0.001");
    ASSERT_HAS(text, "70.0 ± 10.0 (3)");
    ASSERT_HAS(text, "90.0 ± 0.0 (2), 1 diverged");
    ASSERT_HAS(text, "Marked runs are in every mean");
    ck_assert_ptr_null(strstr(text, "lr chosen by"));
    free(text);
    text = paper(r, (zo_report_spec){.best = "lr"});
    ck_assert_ptr_null(strstr(text, "mezo lr"));
    ASSERT_HAS(text, "| mezo   | 80.0 ± 0.0 (3)");
    ASSERT_HAS(text, "lr chosen by the best mean dev metric");
    ck_assert_ptr_null(strstr(text, "Beware"));
    free(text);
    add_cell(r, "mezo", "sst2", 1e-4, 1, "done", 0.5, 0.5); /* one seed where the others have three; and of rte a killed one */
    add_cell(r, "mezo", "rte", 1e-4, 1, "killed", NAN, NAN);
    text = paper(r, (zo_report_spec){.best = "lr"});
    ASSERT_HAS(text, "Beware: mezo on sst2");
    free(text);
    zo_err err = {0};
    zo_report_spec wrong = {.keys = zo_cell_keys(), .columns = "tsk", .metric = "accuracy"};
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
    zo_table_print(out, rows, ZO_TABLE_CSV, 0);
    zo_table_print(out, rows, ZO_TABLE_MD, 0);
    fclose(out);
    ASSERT_HAS(text, "n,gap,text\n12,,\"a,b\"\n");
    ASSERT_HAS(text, "|   n | gap | text |\n|----:|----:|------|\n|  12 |     | a,b  |\n");
    free(text);
    cJSON_Delete(rows);
    ck_assert_int_eq(zo_results_select(r, "SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a, x'00fF' AS blob, x'' AS gap", &rows, &err), ZO_OK);
    ck_assert_double_eq(in_row(rows, 0, "a"), 1);
    ck_assert_double_eq(in_row(rows, 0, "a:1"), 2);
    ck_assert_double_eq(in_row(rows, 0, "b"), 3);
    ck_assert_double_eq(in_row(rows, 0, "a:2"), 4);
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child, "blob")->valuestring, "x'00ff'");
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child, "gap")->valuestring, "x''");
    cJSON_Delete(rows);
    ck_assert_int_eq(zo_results_select(r, "DELETE FROM tries", &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "only reading");
    ck_assert_int_eq(zo_results_select(r, "SELECT 1; SELECT 2", &rows, &err), ZO_EINPUT);
    ck_assert_int_eq(zo_results_select(r, "SELECT nothing_here FROM runs", &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "nothing_here");
    ck_assert_int_eq(zo_results_select(r, "", &rows, &err), ZO_EINPUT);
    zo_results_close(r);
}
END_TEST

/* Each column of `tries` is a figure, stated once, or what stands there from the beginning; and each figure has a column. */
START_TEST(figures_are_columns)
{
    static const char *const from_the_beginning[] = {"run", "try", "cell", "revision", "binary", "compiler", "flags", "host", "kernel", "device", "driver",
                                                     "threads", "memory_limit_bytes", "model_folder", "data_folder", "began", "ended"};
    int others = (int)(sizeof from_the_beginning / sizeof *from_the_beginning), column_count = 0;
    zo_results *r = open_new("figures.db");
    cJSON *rows;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_select(r, "SELECT name FROM pragma_table_info('tries')", &rows, &err), ZO_OK);
    for (const cJSON *row = rows->child; row != NULL; row = row->next, column_count++) {
        int found = 0;
        for (int k = 0; k < ZO_FIGURES; k++) {
            found += strcmp(zo_figures[k].field.column, row->child->valuestring) == 0;
        }
        for (int k = 0; k < others; k++) {
            found += strcmp(from_the_beginning[k], row->child->valuestring) == 0;
        }
        ck_assert_msg(found == 1, "the column %s is stated %d times", row->child->valuestring, found);
    }
    ck_assert_int_eq(column_count, ZO_FIGURES + others);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* The views are there for a statement that names one, and for no other. */
START_TEST(select_from_views)
{
    zo_results_close(sample("views.db"));
    zo_results *r;
    cJSON *rows;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_open_read(&r, scratch("views.db"), &err), ZO_OK);
    ck_assert_int_eq(zo_results_select_views(r, zo_cell_keys(), "SELECT count(*) FROM runs", &rows, &err), ZO_OK);
    cJSON_Delete(rows);
    ck_assert_int_eq(zo_results_select_views(r, zo_cell_keys(), "SELECT evry FROM runs", &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "no such column: evry");
    ck_assert_int_eq(number(r, "SELECT count(*) FROM sqlite_temp_master"), 0);
    /* all of them: the three of the worse learning rate too, which `shown` leaves out */
    ck_assert_int_eq(zo_results_select_views(r, zo_cell_keys(), "SELECT count(*) AS n, sum(rivals IS NULL) AS worse, max(lr) AS lr FROM every", &rows, &err), ZO_OK);
    ck_assert_double_eq(in_row(rows, 0, "n"), 12);
    ck_assert_double_eq(in_row(rows, 0, "worse"), 3);
    cJSON_Delete(rows);
    ck_assert_int_eq(zo_results_select_views(r, zo_cell_keys(), "SELECT lr, label, count(*) AS n FROM shown WHERE task = 'sst2' GROUP BY lr ORDER BY lr", &rows, &err), ZO_OK);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    ck_assert_double_eq(in_row(rows, 0, "lr"), 1e-2);
    ck_assert_double_eq(in_row(rows, 0, "n"), 3);
    ck_assert_str_eq(cJSON_GetObjectItem(rows->child, "label")->valuestring, "MeZO"); /* dev chose lr */
    cJSON_Delete(rows);
    ck_assert_int_eq(zo_results_select_views(r, zo_cell_keys(), "SELECT 1 FROM evry", &rows, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "no such table: evry");
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
    tcase_add_test(t, schema_without_views);
    tcase_add_loop_test(t, schema_without_columns, 0, 5);
    tcase_add_test(t, a_try_goes_on);
    tcase_add_test(t, settings_fill_their_columns);
    tcase_add_test(t, life_of_a_run);
    tcase_add_test(t, identities);
    tcase_add_test(t, unreadable_is_not_none);
    tcase_add_test(t, removed_file);
    tcase_add_test(t, report_cells);
    tcase_add_test(t, report_groups);
    tcase_add_test(t, report_best_lr);
    tcase_add_test(t, best_is_by_dev_alone);
    tcase_add_test(t, data_seeds_group);
    tcase_add_test(t, report_paper_table);
    tcase_add_test(t, report_not_measured);
    tcase_add_test(t, figures_are_columns);
    tcase_add_test(t, select_reads_only);
    tcase_add_test(t, select_from_views);
    Suite *s = suite_create("results");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
