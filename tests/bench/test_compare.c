/* test_compare.c: published values in a config ("expect") and `zo compare`: what is refused, and verdicts of made-up tables through the whole program.
 * Cells are run on a tiny model; what the table calls published is then made from their means, as sqlite gives them, so each verdict is known. */
#include <check.h>
#include <cjson/cJSON.h>
#include <glob.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/expect.h"
#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "tasks/task.h"
#include "tests/program.h"
#include "tests/suite.h"

/* ---- what a config may say ------------------------------------------------------------------------------------------------ */

#define CELLS "\"model\": \"m\", \"task\": [\"sst2\", \"rte\"], \"steps\": 1, \"seed\": [0, 1], \"optimizer\": [{\"name\": \"mezo\", \"lr\": [1e-6, 1e-5]}, \"zero-shot\"]"
#define BLOCK "\"source\": \"A, Table 1\", \"confidence\": \"read\", \"figure\": \"metric\", \"unit\": \"percent\""

static zo_status read_expect(const char *expect, zo_expectation *e, zo_err *err)
{
    char text[4000];
    zo_grid grid;
    snprintf(text, sizeof text, "{" CELLS ", \"expect\": %s}", expect);
    ck_assert_msg(zo_grid_parse(&grid, text, "t.json", err) == ZO_OK, "%s", err->text);
    cJSON *config = cJSON_Parse(text);
    zo_status status = zo_expect_parse(config, "t.json", &grid, e, err);
    cJSON_Delete(config);
    zo_grid_free(&grid);
    return status;
}

START_TEST(values_are_read)
{
    zo_expectation e;
    zo_err err = {0};
    ck_assert_msg(read_expect("[{" BLOCK ", \"seeds\": 5, \"columns\": {\"task\": [\"sst2\", \"rte\", \"cb\"]}, \"rows\": [872, 277, 56], \"absent\": {\"cb\": \"not here\"}, \"values\": ["
                              "{\"name\": \"MeZO\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [90.5, null, 60], \"spread\": [1.2, 1, 2]},"
                              "{\"name\": \"one rate\", \"of\": {\"optimizer\": {\"name\": \"mezo\", \"lr\": 1e-6}, \"seed\": 1}, \"value\": [1, 2, 3], \"source\": \"B\", "
                              "\"confidence\": \"figure\", \"seeds\": 1},"
                              "{\"name\": \"ICL\", \"value\": [1, 2, 3], \"not_run\": \"no such thing\"}]}]", &e, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(e.n, 8);
    const zo_expected *v = e.value;
    ck_assert_str_eq(v[0].name, "MeZO");
    ck_assert_str_eq(v[0].column_name, "sst2");
    ck_assert_str_eq(v[0].source, "A, Table 1");
    ck_assert_int_eq(v[0].confidence, ZO_CONFIDENCE_READ);
    ck_assert_double_eq(v[0].value, 90.5);
    ck_assert_double_eq(v[0].spread, 1.2);
    ck_assert_int_eq(v[0].seeds, 5);
    ck_assert_int_eq(v[0].rows, 872);
    ck_assert_int_eq(v[0].cells, 4); /* two rates, two seeds, of this task */
    ck_assert_ptr_null(v[0].not_run);
    ck_assert_str_eq(v[1].column_name, "cb");
    ck_assert_str_eq(v[1].not_run, "not here");
    ck_assert_int_eq(v[1].cells, 0);
    ck_assert_int_eq(v[2].cells, 1);
    ck_assert_str_eq(v[2].source, "B");
    ck_assert_int_eq(v[2].confidence, ZO_CONFIDENCE_FIGURE);
    ck_assert_int_eq(v[2].seeds, 1);
    ck_assert(isnan(v[2].spread));
    ck_assert_str_eq(v[7].not_run, "no such thing");
    zo_expect_free(&e);
    ck_assert_msg(read_expect("[{" BLOCK ", \"values\": [{\"name\": \"all\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [9]}]}]", &e, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(e.n, 1);
    ck_assert_int_eq(e.value[0].cells, 8);
    ck_assert_str_eq(e.value[0].column_name, "");
    zo_expect_free(&e);
}
END_TEST

START_TEST(faults_are_refused)
{
#define RATIO "\"source\": \"A\", \"confidence\": \"read\", \"figure\": \"ratio\", \"unit\": \"times\""
#define ROW "{\"name\": \"MeZO\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [90]}"
    static const struct { const char *expect, *says; } of[] = {
        {"{}", "t.json: \"expect\" is an object; expected a list"},
        {"[7]", "expect[0]: is a number; expected an object"},
        {"[{\"sorce\": \"A\"}]", "there is no key \"sorce\"; did you mean \"source\"?"},
        {"[{\"confidence\": \"read\", \"figure\": \"metric\", \"unit\": \"percent\", \"values\": [" ROW "]}]", "expect[0].values[0]: \"source\" is missing; a published value has the text"},
        {"[{\"source\": \"A\", \"figure\": \"metric\", \"unit\": \"percent\", \"values\": [" ROW "]}]", "\"confidence\" is missing; a published value has one of read, read-2nd"},
        {"[{\"source\": \"A\", \"confidence\": \"sure\", \"figure\": \"metric\", \"unit\": \"percent\", \"values\": [" ROW "]}]", "\"confidence\" is \"sure\"; expected one of read,"},
        {"[{\"source\": \"A\", \"confidence\": \"read\", \"figure\": \"acc\", \"unit\": \"percent\", \"values\": [" ROW "]}]", "\"figure\" is \"acc\"; expected one of metric, memory"},
        {"[{\"source\": \"A\", \"confidence\": \"read\", \"figure\": \"memory\", \"unit\": \"percent\", \"values\": [" ROW "]}]", "\"unit\" is \"percent\", and a memory is in \"GB\""},
        {"[{" BLOCK "}]", "\"values\" is missing; expected a list of rows"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"over\": {}, \"value\": [1]}]}]", "\"over\" is of ratios alone"},
        {"[{" RATIO ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [1]}]}]", "\"over\" is missing; a ratio has the partial cell"},
        {"[{" RATIO ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"over\": 3, \"value\": [1]}]}]", "\"over\" is a number; expected a partial cell"},
        {"[{" RATIO ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"over\": {\"optimizer\": \"lozo\"}, \"value\": [1]}]}]", "no cell of the config is what a is divided by"},
        {"[{" BLOCK ", \"values\": []}]", "\"values\" is an empty list"},
        {"[{" BLOCK ", \"values\": [{\"of\": {}, \"value\": [1]}]}]", "\"name\" is missing"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"value\": [1]}]}]", "\"of\" is missing; expected a partial cell"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": 1}]}]", "\"value\" is a number; expected a list"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [1, 2]}]}]", "\"value\" has 2 entries, and there are 1 columns"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [101]}]}]", "\"value\" has 101; expected 0 to 100"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [\"90\"]}]}]", "\"value\" has a string; expected numbers"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [90], \"spread\": [-1]}]}]", "\"spread\" has -1; expected 0"},
        {"[{" BLOCK ", \"seeds\": 0, \"values\": [" ROW "]}]", "\"seeds\" has another number; expected whole numbers from 1 on"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"lozo\"}, \"value\": [90]}]}]", "no cell of the config is a; mend \"of\""},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [90], \"not_run\": \"x\"}]}]", "8 cells of the config are a, which is said not to be run"},
        {"[{" BLOCK ", \"values\": [{\"name\": \"a\", \"of\": {\"optimiser\": \"mezo\"}, \"value\": [90]}]}]", "expect[0].values[0].of: there is no key \"optimiser\"; did you mean \"optimizer\"?"},
        {"[{" BLOCK ", \"columns\": {\"task\": \"sst2\"}, \"values\": [" ROW "]}]", "\"columns\" is not one key with a list of texts"},
        {"[{" BLOCK ", \"columns\": {\"task\": [\"sst2\"]}, \"absent\": {\"rte\": \"x\"}, \"values\": [" ROW "]}]", "\"absent\" has \"rte\", which is no column"},
        {"[{" BLOCK ", \"columns\": {\"task\": [\"sst2\"]}, \"rows\": [1, 2], \"values\": [" ROW "]}]", "\"rows\" has 2 entries, and there are 1 columns"},
        {"[{" BLOCK ", \"columns\": {\"task\": [\"sst2\"]}, \"absent\": {\"sst2\": \"x\"}, \"values\": [" ROW "]}]", "4 cells of the config are MeZO of sst2, which is said not to be run"},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_expectation e;
        zo_err err = {0};
        ck_assert_msg(read_expect(of[k].expect, &e, &err) == ZO_EINPUT, "%s", of[k].expect);
        ASSERT_HAS(err.text, of[k].says);
        ck_assert_msg(strncmp(err.text, "t.json: ", 8) == 0 && strchr(err.text, '\n') == NULL, "%s", err.text);
    }
}
END_TEST

/* Every table that is shipped can be read: each value has a source and a confidence, and is a cell of its config or says why not. */
START_TEST(shipped_tables)
{
    glob_t found;
    int tables = 0;
    ck_assert_int_eq(glob("paper_configs/*/*.json", 0, NULL, &found), 0);
    for (size_t k = 0; k < found.gl_pathc; k++) {
        zo_grid grid;
        zo_expectation e;
        zo_err err = {0};
        cJSON *config;
        ck_assert_msg(zo_json_read(found.gl_pathv[k], &config, &err) == ZO_OK, "%s", err.text);
        bool published = cJSON_HasObjectItem(config, "expect");
        cJSON_Delete(config);
        if (!published) {
            continue;
        }
        ck_assert_msg(zo_grid_read(&grid, found.gl_pathv[k], NULL, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_expect_read(found.gl_pathv[k], &grid, &e, &err) == ZO_OK, "%s", err.text);
        tables += e.n > 0;
        zo_expect_free(&e);
        zo_grid_free(&grid);
    }
    globfree(&found);
    ck_assert_int_ge(tables, 15);
}
END_TEST

/* ---- verdicts through the program ----------------------------------------------------------------------------------------- */

static double ask(const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open_v2(below("t.db"), &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
    double x = sqlite3_column_double(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return x;
}

/* The config, with blocks of published values or without. */
static void put_table(const char *name, const char *expect)
{
    char text[6000];
    snprintf(text, sizeof text, "{\"model\": \"%s\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 32, \"batch\": 4, \"train\": 16, \"dev\": 32, \"test\": 64, "
             "\"threads\": 1, \"steps\": 2, \"seed\": [0, 1, 2], \"optimizer\": [{\"name\": \"mezo\", \"lr\": [1e-3, 1e-2]}, {\"name\": \"fo-sgd\", \"lr\": 1e-3}]%s%s}",
             below("model"), expect[0] != '\0' ? ", \"expect\": " : "", expect);
    put(name, text);
}

/* A table in a precision that a processor has not. */
static void put_half(const char *name)
{
    char text[1000];
    snprintf(text, sizeof text, "{\"model\": \"%s\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 32, \"batch\": 4, \"train\": 16, \"dev\": 0, \"test\": 8, "
             "\"threads\": 1, \"steps\": 2, \"device\": \"cpu\", \"precision\": \"f16\", \"lr\": 7e-3, \"optimizer\": \"mezo\", \"expect\": [{\"source\": \"made up\", \"confidence\": \"read\", "
             "\"figure\": \"metric\", \"unit\": \"percent\", \"values\": [{\"name\": \"half\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [50]}]}]}", below("model"));
    put(name, text);
}

/* The row of a name, of the JSON that was said. */
static const cJSON *row_of(const cJSON *rows, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, rows)
    {
        if (strcmp(cJSON_GetObjectItem(row, "row")->valuestring, name) == 0) {
            return row;
        }
    }
    ck_abort_msg("no row %s in %s", name, program_said);
}

static void expect_verdict(const cJSON *rows, const char *name, const char *verdict)
{
    const cJSON *row = row_of(rows, name);
    ck_assert_msg(strcmp(cJSON_GetObjectItem(row, "verdict")->valuestring, verdict) == 0, "%s is \"%s\": %s", name, cJSON_GetObjectItem(row, "verdict")->valuestring, program_said);
}

static double number(const cJSON *row, const char *key)
{
    const cJSON *value = cJSON_GetObjectItem(row, key);
    return cJSON_IsNumber(value) ? value->valuedouble : NAN;
}

START_TEST(verdicts)
{
    put_table("run.json", "");
    ck_assert_msg(command(zo_cmd_run, (const char *const[]){"run", below("run.json"), "--db", below("t.db"), NULL}) == 0, "%s", program_said);
    /* of the two rates the one with the better mean on dev, the smaller on a tie, counts: by hand */
    double dev3 = ask("SELECT avg(dev_metric) FROM runs WHERE optimizer = 'mezo' AND lr = 1e-3"), dev2 = ask("SELECT avg(dev_metric) FROM runs WHERE optimizer = 'mezo' AND lr = 1e-2");
    double mezo = 100 * ask(dev2 > dev3 ? "SELECT avg(metric_value) FROM runs WHERE optimizer = 'mezo' AND lr = 1e-2"
                                        : "SELECT avg(metric_value) FROM runs WHERE optimizer = 'mezo' AND lr = 1e-3");
    double sgd = 100 * ask("SELECT avg(metric_value) FROM runs WHERE optimizer = 'fo-sgd'"), peak = ask("SELECT max(train_peak_bytes) FROM runs WHERE optimizer = 'fo-sgd'") / 1e9;
    double worst = 100 * ask("SELECT max(metric_value) - min(metric_value) FROM runs WHERE optimizer = 'fo-sgd'");
    char expect[4000];
    double far = sgd > 50 ? 0 : 100; /* some 50 points away, many times 64 rows and three seeds of this spread */
    ck_assert_double_lt(worst, 15);
    snprintf(expect, sizeof expect,
             "[{\"source\": \"made up\", \"confidence\": \"read\", \"figure\": \"metric\", \"unit\": \"percent\", \"seeds\": 5, \"values\": ["
             "{\"name\": \"near\", \"of\": {\"optimizer\": \"fo-sgd\"}, \"value\": [%.1f], \"spread\": [0.5]},"
             "{\"name\": \"far\", \"of\": {\"optimizer\": \"fo-sgd\"}, \"value\": [%.1f], \"spread\": [0.5]},"
             "{\"name\": \"far, recalled\", \"of\": {\"optimizer\": \"fo-sgd\"}, \"value\": [%.1f], \"spread\": [0.5], \"confidence\": \"unverified\"},"
             "{\"name\": \"a grid\", \"of\": {\"optimizer\": \"mezo\"}, \"value\": [50]},"
             "{\"name\": \"elsewhere\", \"value\": [50], \"not_run\": \"it is not built\"}]},"
             "{\"source\": \"made up\", \"confidence\": \"read\", \"figure\": \"memory\", \"unit\": \"GB\", \"values\": [{\"name\": \"peak\", \"of\": {\"optimizer\": \"fo-sgd\"}, "
             "\"value\": [0.5]}]},"
             "{\"source\": \"made up\", \"confidence\": \"read\", \"figure\": \"ratio\", \"unit\": \"times\", \"values\": [{\"name\": \"sgd over mezo\", \"of\": {\"optimizer\": \"fo-sgd\"}, "
             "\"over\": {\"optimizer\": {\"name\": \"mezo\", \"lr\": 1e-3}}, \"value\": [2]}]}, "
             "{\"source\": \"made up\", \"confidence\": \"read\", \"figure\": \"metric-ratio\", \"unit\": \"times\", \"values\": [{\"name\": \"scores of sgd over mezo\", \"of\": {\"optimizer\": \"fo-sgd\"}, "
             "\"over\": {\"optimizer\": {\"name\": \"mezo\", \"lr\": 1e-3}}, \"value\": [1]}]}]", sgd, far, far);
    put_table("table.json", expect);
    put_table("one.json", "[{\"source\": \"made up\", \"confidence\": \"read\", \"figure\": \"metric\", \"unit\": \"percent\", \"values\": [{\"name\": \"one & _two\","
              "\"of\": {\"optimizer\": \"mezo\"}, \"value\": [50], \"spread\": [40]}]}]");
    const char *const compare[] = {"compare", below("table.json"), "--db", below("t.db"), "--format", "json", NULL};
    ck_assert_msg(command(zo_cmd_compare, compare) == 1, "%s", program_said); /* a value that was read differs */
    cJSON *rows = cJSON_Parse(program_said);
    ck_assert_msg(cJSON_GetArraySize(rows) == 8, "%s", program_said);
    expect_verdict(rows, "sgd over mezo", "other definition");
    expect_verdict(rows, "scores of sgd over mezo", "other definition");
    ck_assert_double_eq_tol(number(row_of(rows, "scores of sgd over mezo"), "ours"), sgd / 100 / ask("SELECT avg(metric_value) FROM runs WHERE optimizer = 'mezo' AND lr = 1e-3"), 1e-9);
    ck_assert_double_eq_tol(number(row_of(rows, "sgd over mezo"), "ours"), peak * 1e9 / ask("SELECT max(train_peak_bytes) FROM runs WHERE optimizer = 'mezo' AND lr = 1e-3"), 1e-9);
    expect_verdict(rows, "near", "cannot tell"); /* 64 test rows decide nothing within 2 points */
    expect_verdict(rows, "far", "differs");
    expect_verdict(rows, "far, recalled", "differs");
    expect_verdict(rows, "elsewhere", "not run");
    expect_verdict(rows, "peak", "other definition");
    ck_assert_double_eq_tol(number(row_of(rows, "near"), "ours"), sgd, 1e-9);
    ck_assert_double_eq_tol(number(row_of(rows, "near"), "difference"), sgd - round(10 * sgd) / 10, 1e-9);
    ck_assert_int_eq((int)number(row_of(rows, "near"), "runs"), 3);
    ck_assert_int_eq((int)number(row_of(rows, "near"), "ours_rows"), 64);
    ck_assert_double_eq_tol(number(row_of(rows, "a grid"), "ours"), mezo, 1e-9);
    ck_assert_int_eq((int)number(row_of(rows, "a grid"), "runs"), 6);
    ck_assert_int_eq((int)number(row_of(rows, "a grid"), "ours_seeds"), 3);
    ASSERT_HAS(cJSON_GetObjectItem(row_of(rows, "a grid"), "why")->valuestring, "best on dev of 2 settings (lr)");
    ck_assert_double_eq_tol(number(row_of(rows, "peak"), "ours"), peak, 1e-9);
    ck_assert(isnan(number(row_of(rows, "peak"), "difference")));
    cJSON_Delete(rows);
    /* for people, and the count of values */
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("table.json"), "--db", below("t.db"), NULL}), 1);
    ASSERT_HAS(program_said, "8 values: 7 read, 0 read-2nd, 0 figure, 0 derived, 1 unverified.");
    ASSERT_HAS(program_said, "Verdicts: 0 agree, 2 differ, 2 cannot tell, 4 without.");
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("table.json"), "--db", below("none.db"), "--values", NULL}), 0);
    ASSERT_HAS(program_said, "it is not built");
    /* as LaTeX, and as a picture of one figure */
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("table.json"), "--db", below("t.db"), "--format", "latex", NULL}), 1);
    ASSERT_HAS(program_said, "\\begin{tabular}{");
    ASSERT_HAS(program_said, "far, recalled & ");
    ASSERT_HAS(program_said, "\\bottomrule");
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("table.json"), "--db", below("t.db"), "--plot", below("all.png"), NULL}), 2);
    ASSERT_HAS(program_said, "--plot draws one figure, and these tables have \"metric\" and \"memory\"");
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("one.json"), "--db", below("t.db"), "--plot", below("one.gif"), NULL}), 2);
    ASSERT_HAS(program_said, "expected a file that ends with .png, .svg or .pdf");
    char *svg;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(command(zo_cmd_compare, (const char *const[]){"compare", below("one.json"), "--db", below("t.db"), "--plot", below("one.svg"), NULL}) == 0, "%s", program_said);
    ck_assert_msg(zo_read_file(below("one.svg"), 1 << 20, &svg, &bytes, &err) == ZO_OK, "%s", err.text);
    ASSERT_HAS(svg, "one &amp; _two");
    ASSERT_HAS(svg, "published");
    ASSERT_HAS(svg, "ours");
    zo_free(svg);
    /* other keys: other cells, which are not there yet; then they are, and there is no verdict */
    const char *const with[] = {"compare", below("table.json"), "--db", below("t.db"), "--with", "{\"batch\": 2}", "--format", "json", NULL};
    ck_assert_msg(command(zo_cmd_compare, with) == 0, "%s", program_said);
    rows = cJSON_Parse(program_said);
    expect_verdict(rows, "far", "not run");
    cJSON_Delete(rows);
    ck_assert_msg(command(zo_cmd_run, (const char *const[]){"run", below("table.json"), "--db", below("t.db"), "--with", "{\"batch\": 2}", NULL}) == 0, "%s", program_said);
    ck_assert_int_eq(ask("SELECT count(*) FROM runs WHERE batch = 2"), 9);
    ck_assert_msg(command(zo_cmd_compare, with) == 0, "%s", program_said);
    rows = cJSON_Parse(program_said);
    expect_verdict(rows, "far", "scaled");
    ASSERT_HAS(cJSON_GetObjectItem(row_of(rows, "far"), "why")->valuestring, "batch 2");
    ck_assert_double_eq_tol(number(row_of(rows, "far"), "ours"), 100 * ask("SELECT avg(metric_value) FROM runs WHERE optimizer = 'fo-sgd' AND batch = 2"), 1e-9);
    cJSON_Delete(rows);
    /* a table for a GPU, with another model: where there is none its products are made in f32, which is said, and only then */
    put_half("half.json");
    const char *const half[] = {"compare", below("half.json"), "--db", below("t.db"), "--model", "shape:roberta-tiny", "--format", "json", NULL};
    ck_assert_msg(command(zo_cmd_run, (const char *const[]){"run", below("half.json"), "--db", below("t.db"), "--model", "shape:roberta-tiny", NULL}) == 0, "%s", program_said);
    ASSERT_HAS(program_said, "products in f16 need a GPU, and device \"cpu\" is none here");
    ck_assert_int_eq(ask("SELECT count(*) FROM runs WHERE lr = 7e-3 AND precision = 'f32' AND status = 'done'"), 1);
    ck_assert_msg(command(zo_cmd_compare, half) == 0, "%s", program_said);
    ASSERT_HAS(program_said, "products in f16 need a GPU, and device \"cpu\" is none here");
    ck_assert_ptr_nonnull(strchr(program_said, '['));
    rows = cJSON_Parse(strchr(program_said, '[')); /* behind that */
    expect_verdict(rows, "half", "scaled");
    ASSERT_HAS(cJSON_GetObjectItem(row_of(rows, "half"), "why")->valuestring, "model shape:roberta-tiny, precision f32");
    cJSON_Delete(rows);
    ck_assert_int_ne(command(zo_cmd_run, (const char *const[]){"run", below("half.json"), "--db", below("t.db"), "--fail-on", "unsupported", NULL}), 0); /* as it is */
}
END_TEST

START_TEST(bad_words)
{
    put_table("plain.json", "");
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("plain.json"), "--values", NULL}), 2);
    ASSERT_HAS(program_said, "there is no \"expect\"");
    ck_assert_int_eq(command(zo_cmd_compare, (const char *const[]){"compare", below("plain.json"), "--db", below("none.db"), NULL}), 2);
    ck_assert_int_eq(command(zo_cmd_run, (const char *const[]){"run", below("plain.json"), "--with", "{\"seed\": 7}", NULL}), 2);
    ASSERT_HAS(program_said, "--with has seed, which makes other cells");
    ck_assert_int_eq(command(zo_cmd_run, (const char *const[]){"run", below("plain.json"), "--with", "{\"batch\": [1, 2]}", NULL}), 2);
    ASSERT_HAS(program_said, "--with has a list");
    ck_assert_int_eq(command(zo_cmd_run, (const char *const[]){"run", below("plain.json"), "--with", "{\"bach\": 1}", NULL}), 2);
    ASSERT_HAS(program_said, "--with: there is no key \"bach\"; did you mean \"batch\"?");
    ck_assert_int_eq(command(zo_cmd_run, (const char *const[]){"run", below("plain.json"), "--with", "batch", NULL}), 2);
    ASSERT_HAS(program_said, "--with is no JSON object");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    zo_err err = {0};
    program_begin("compare");
    ZO_CHECK(zo_make_dirs(below("model"), &err) == ZO_OK && zo_synth_write_tokenizer(below("model"), &err) == ZO_OK, "%s", err.text);
    put("model/config.json", "{\"model_type\": \"bert\", \"vocab_size\": 1000, \"hidden_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
                             "\"intermediate_size\": 32, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 64, \"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}");
    TCase *t = tcase_create("compare");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, values_are_read);
    tcase_add_test(t, faults_are_refused);
    tcase_add_test(t, shipped_tables);
    tcase_add_test(t, verdicts);
    tcase_add_test(t, bad_words);
    Suite *suite = suite_create("compare");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
