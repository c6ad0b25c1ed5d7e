/* test_merge.c: `zo merge` and `zo prune` through the whole program: halves of a matrix are run into databases of their own, and what stands in the merged
 * one is compared with them row by row in plain SQL, which knows nothing of how merging works. */
#include <sqlite3.h>
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/embed.h"
#include "core/output.h"
#include "results/results.h"
#include "tests/program.h"
#include "tests/suite.h"

ZO_EMBED(schema5_sql, "tests/golden/schema5.sql");

static const char config[] = "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, "
                             "\"context\": 16, \"batch\": 4, \"steps\": 3, \"threads\": 1, \"seed\": [0, 1], \"optimizer\": [\"mezo\", \"fo-sgd\"]}";

static const char *const tables[] = {"steps", "evaluations", "memory", "parts", "journal"}; /* that such a cell fills */
enum { TABLES = sizeof tables / sizeof *tables };

/* The number that a SELECT gives, where `a` is main and `b` is attached as b. */
static int64_t ask(const char *a, const char *b, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *s;
    char attach[400];
    ck_assert_int_eq(sqlite3_open(below(a), &handle), SQLITE_OK);
    snprintf(attach, sizeof attach, "ATTACH '%s' AS b", below(b != NULL ? b : a));
    ck_assert_int_eq(sqlite3_exec(handle, attach, NULL, NULL, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(handle));
    ck_assert_int_eq(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return n;
}

static void columns_but(const char *db, const char *table, const char *but, char *out, size_t size)
{
    sqlite3 *handle;
    sqlite3_stmt *s;
    char sql[200];
    size_t at = 0;
    snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s')", table);
    ck_assert_int_eq(sqlite3_open(below(db), &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(handle, sql, -1, &s, NULL), SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(s, 0);
        if (strstr(but, name) == NULL) {
            at += (size_t)snprintf(out + at, size - at, ", x.\"%s\"", name);
        }
    }
    ck_assert(at > 0 && at < size);
    sqlite3_finalize(s);
    sqlite3_close(handle);
}

/* Every row of `part` stands in `all` as it is, numbers of tries and cells apart; the count of those of `table`. */
static int64_t holds(const char *all, const char *part, const char *table)
{
    char columns[6000], sql[20000];
    bool of_try = strcmp(table, "tries") != 0, of_cell = strcmp(table, "cells") == 0;
    columns_but(all, table, of_cell ? "cell,shown" : "run,cell", columns, sizeof columns);
    const char *join = of_cell || !of_try ? "" : " JOIN %st USING (run)";
    char here[40], there[40];
    snprintf(here, sizeof here, join, "main.tries ");
    snprintf(there, sizeof there, join, "b.tries ");
    const char *key = of_cell ? "x.identity" : of_try ? "t.try" : "x.try";
    snprintf(sql, sizeof sql, "SELECT count(*) FROM (SELECT %s%s FROM b.%s x%s EXCEPT SELECT %s%s FROM main.%s x%s)", key, columns, table, there, key, columns, table, here);
    ck_assert_int_eq(ask(all, part, sql), 0);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM b.%s", table);
    return ask(all, part, sql);
}

static void assert_holds(const char *all, const char *part)
{
    ck_assert_int_gt(holds(all, part, "cells"), 0);
    ck_assert_int_gt(holds(all, part, "tries"), 0);
    for (int i = 0; i < TABLES; i++) {
        ck_assert_int_gt(holds(all, part, tables[i]), 0);
    }
    ck_assert_int_eq(ask(all, part, "SELECT count(*) FROM main.tries t JOIN main.cells c USING (cell) JOIN b.tries u USING (try) JOIN b.cells d ON d.cell = u.cell "
                                    "WHERE c.identity <> d.identity"), 0);
    ck_assert_int_eq(ask(all, NULL, "SELECT count(*) FROM main.pragma_foreign_key_check"), 0);
}

static void run_into(const char *db, const char *only)
{
    put("c.json", config);
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below(db), "--only", only) == 0, "%s", program_said);
}

static int merge(const char *into, const char *a, const char *b)
{
    const char *const word[] = {"merge", below(into), below(a), b != NULL ? below(b) : NULL, NULL};
    return command(zo_cmd_merge, word);
}

START_TEST(halves_make_the_whole)
{
    run_into("a.db", "{\"seed\": 0}");
    run_into("b.db", "{\"seed\": 1}");
    run_into("b.db", "{\"seed\": 0, \"optimizer\": \"mezo\"}"); /* the same cell in both: two tries of one cell */
    change("b.db", "UPDATE tries SET began = '2999-01-01T00:00:00Z' WHERE cell = (SELECT cell FROM cells WHERE seed = 0)");
    ck_assert_msg(merge("ab.db", "a.db", "b.db") == 0, "%s", program_said);
    ASSERT_SAID("a.db: 2 tries are new, 0 had not come so far, 0 were there; 2 cells are new");
    ASSERT_SAID("b.db: 3 tries are new, 0 had not come so far, 0 were there; 2 cells are new");
    assert_holds("ab.db", "a.db");
    assert_holds("ab.db", "b.db");
    ck_assert_int_eq(ask("ab.db", NULL, "SELECT count(*) FROM runs"), 4);
    ck_assert_int_eq(ask("ab.db", NULL, "SELECT count(*) FROM tries"), 5);
    ck_assert_int_eq(ask("ab.db", "a.db", "SELECT count(*) FROM (SELECT count(*) n FROM steps) m JOIN (SELECT count(*) n FROM b.steps) USING (n)"), 0);
    /* the younger of the two counts, whatever the order */
    ck_assert_msg(merge("ba.db", "b.db", "a.db") == 0, "%s", program_said);
    ck_assert_int_eq(ask("ab.db", "ba.db", "SELECT count(*) FROM main.runs JOIN b.runs USING (try, identity, config)"), 4);
    ck_assert_int_eq(ask("ab.db", "b.db", "SELECT count(*) FROM main.runs WHERE seed = 0 AND optimizer = 'mezo' AND try IN (SELECT try FROM b.tries)"), 1);
    /* again: nothing */
    ck_assert_msg(merge("ab.db", "b.db", "a.db") == 0, "%s", program_said);
    ASSERT_SAID("b.db: 0 tries are new, 0 had not come so far, 3 were there; 0 cells are new");
    ck_assert_int_eq(ask("ab.db", NULL, "SELECT count(*) FROM tries"), 5);
    /* what was merged is done */
    put("c.json", config);
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("ab.db")) == 0, "%s", program_said);
    ck_assert_int_eq(ask("ab.db", NULL, "SELECT count(*) FROM tries"), 5);
    /* the sources are as they were */
    ck_assert_int_eq(ask("a.db", NULL, "SELECT count(*) FROM tries"), 2);
}
END_TEST

START_TEST(a_try_goes_on_elsewhere)
{
    run_into("whole.db", "{\"seed\": 0, \"optimizer\": \"mezo\"}");
    /* as it stood while it ran, and as the next start finds it */
    ck_assert_int_eq(merge("early.db", "whole.db", NULL), 0);
    change("early.db", "UPDATE tries SET status = 'running', ended = NULL, accuracy = NULL; DELETE FROM steps WHERE step = 3; DELETE FROM parts; DELETE FROM memory");
    ck_assert_int_eq(merge("killed.db", "early.db", NULL), 0);
    change("killed.db", "UPDATE tries SET status = 'killed'");
    ck_assert_int_eq(ask("killed.db", NULL, "SELECT count(*) FROM runs WHERE status = 'killed'"), 1);
    static const struct { const char *into, *from; int renewed; const char *ends; } of[] = {
        {"early.db", "early2.db", 1, "running"}, /* of two pictures of a running one, the one that is brought */
        {"killed.db", "early.db", 0, "killed"},  {"early.db", "killed.db", 1, "killed"}, {"killed.db", "whole.db", 1, "done"},
        {"whole.db", "early.db", 0, "done"},     {"killed.db", "early.db", 0, "done"}};
    ck_assert_int_eq(merge("early2.db", "early.db", NULL), 0);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char says[100], sql[200];
        ck_assert_msg(merge(of[i].into, of[i].from, NULL) == 0, "%s", program_said);
        snprintf(says, sizeof says, ": 0 tries are new, %d had not come so far, %d were there; 0 cells", of[i].renewed, 1 - of[i].renewed);
        ASSERT_SAID(says);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM runs WHERE status = '%s'", of[i].ends);
        ck_assert_msg(ask(of[i].into, NULL, sql) == 1 && ask(of[i].into, NULL, "SELECT count(*) FROM tries") == 1, "%zu", i);
    }
    assert_holds("killed.db", "whole.db");
    /* a result counts before a younger try that has none */
    run_into("younger.db", "{\"seed\": 0, \"optimizer\": \"mezo\"}");
    change("younger.db", "UPDATE tries SET status = 'failed', began = '2999-01-01T00:00:00Z'");
    ck_assert_int_eq(merge("whole.db", "younger.db", NULL), 0);
    ck_assert_int_eq(ask("whole.db", NULL, "SELECT count(*) FROM tries"), 2);
    ck_assert_int_eq(ask("whole.db", NULL, "SELECT count(*) FROM runs WHERE status = 'done'"), 1);
}
END_TEST

START_TEST(what_is_refused)
{
    run_into("one.db", "{\"seed\": 0, \"optimizer\": \"mezo\"}");
    ck_assert_int_eq(merge("one.db", "one.db", NULL), 2);
    ASSERT_SAID("are one file; a database is merged into another one");
    ck_assert_int_eq(symlink(below("one.db"), below("link.db")), 0);
    ck_assert_int_eq(merge("one.db", "link.db", NULL), 2);
    ASSERT_SAID("are one file");
    ck_assert_int_eq(merge("new.db", "one.db", "none.db"), 2); /* said before anything is made */
    ASSERT_SAID("none.db: there is no such database");
    ck_assert_int_ne(access(below("new.db"), F_OK), 0);
    put("text.db", "no database at all, but a text that is long enough to be read as the header of one, which has a hundred bytes or more of it");
    ck_assert_int_eq(merge("new.db", "text.db", NULL), 2);
    ASSERT_SAID("is not an intact SQLite database");
    /* one that breaks on the way leaves nothing of itself */
    ck_assert_int_eq(merge("torn.db", "one.db", NULL), 0);
    change("torn.db", "UPDATE tries SET try = 'another'; DROP VIEW runs; DROP VIEW report; DROP VIEW all_runs; ALTER TABLE parts ADD COLUMN strange INTEGER");
    ck_assert_int_eq(merge("new.db", "torn.db", NULL), 2);
    ASSERT_SAID("strange");
    ck_assert_int_eq(ask("new.db", NULL, "SELECT (SELECT count(*) FROM cells) + (SELECT count(*) FROM tries) + (SELECT count(*) FROM steps)"), 0);
    /* another program holds it */
    zo_results *held;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_open_alone(&held, below("new.db"), &err), ZO_OK);
    ck_assert_int_eq(merge("new.db", "one.db", NULL), 2);
    ASSERT_SAID("another `zo run` is working on it");
    zo_results_close(held);
    ck_assert_int_eq(merge("new.db", "one.db", NULL), 0);
}
END_TEST

START_TEST(an_older_schema_is_read)
{
    sqlite3 *handle;
    char *why = NULL;
    zo_err err = {0};
    run_into("now.db", "{\"seed\": 0, \"optimizer\": \"mezo\"}");
    ck_assert_int_eq(sqlite3_open(below("old.db"), &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(handle, schema5_sql, NULL, NULL, &why) == SQLITE_OK, "%s", why);
    ck_assert_int_eq(sqlite3_exec(handle, "PRAGMA application_id = 0x7a6f2d64; PRAGMA user_version = 5", NULL, NULL, NULL), SQLITE_OK);
    char attach[400];
    snprintf(attach, sizeof attach, "ATTACH '%s' AS now", below("now.db"));
    ck_assert_int_eq(sqlite3_exec(handle, attach, NULL, NULL, NULL), SQLITE_OK);
    static const char *const table[] = {"cells", "tries", "steps", "evaluations"};
    for (int i = 0; i < 4; i++) { /* the columns that schema 5 had */
        char sql[8000], columns[3000] = "";
        sqlite3_stmt *s;
        size_t at = 0;
        snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s') WHERE name NOT IN ('cell', 'shown') OR '%s' = 'tries'", table[i], table[i]);
        ck_assert_int_eq(sqlite3_prepare_v2(handle, sql, -1, &s, NULL), SQLITE_OK);
        while (sqlite3_step(s) == SQLITE_ROW) {
            at += (size_t)snprintf(columns + at, sizeof columns - at, "%s\"%s\"", at > 0 ? ", " : "", (const char *)sqlite3_column_text(s, 0));
        }
        sqlite3_finalize(s);
        snprintf(sql, sizeof sql, "INSERT INTO main.%s (%s) SELECT %s FROM now.%s", table[i], columns, columns, table[i]);
        ck_assert_msg(sqlite3_exec(handle, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", sql, why);
    }
    sqlite3_close(handle);
    char *before, *after;
    size_t bytes[2];
    ck_assert_int_eq(zo_read_file(below("old.db"), 1 << 24, &before, &bytes[0], &err), ZO_OK);
    ck_assert_msg(merge("all.db", "old.db", NULL) == 0, "%s", program_said);
    ASSERT_SAID("1 tries are new");
    ck_assert_int_gt(holds("all.db", "now.db", "steps"), 0);
    ck_assert_int_eq(ask("all.db", NULL, "PRAGMA user_version"), ZO_SCHEMA_VERSION);
    ck_assert_int_eq(ask("all.db", NULL, "SELECT count(*) FROM evaluations WHERE correct IS NOT NULL"), 0); /* which schema 5 did not know */
    ck_assert_int_eq(zo_read_file(below("old.db"), 1 << 24, &after, &bytes[1], &err), ZO_OK);
    ck_assert(bytes[0] == bytes[1] && memcmp(before, after, bytes[0]) == 0);
    zo_free(before);
    zo_free(after);
}
END_TEST

START_TEST(pruning_keeps_what_counts)
{
    put("c.json", config);
    ck_assert_int_eq(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("p.db"), "--only", "{\"seed\": 0}"), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("p.db"), "--only", "{\"seed\": 0}", "--redo"), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("p.db"), "--only", "{\"seed\": 1}"), 0);
    change("p.db", "UPDATE cells SET meaning = 1, identity = 'old' || cell WHERE seed = 1 AND optimizer = 'mezo'");
    change("p.db", "INSERT INTO plans VALUES ('h', 'steps', 3); INSERT INTO budgets VALUES ('p', 8, 'h', NULL, NULL, 'a seed')");
    change("p.db", "UPDATE tries SET status = 'running' WHERE run = (SELECT min(run) FROM tries)"); /* one that did not end */
    ck_assert_int_eq(merge("kept.db", "p.db", NULL), 0);
    ck_assert_int_eq(merge("kept.db", "p.db", NULL), 0);
    ck_assert_int_eq(ask("kept.db", NULL, "SELECT count(*) FROM plans JOIN budgets USING (hash) WHERE predicted = 3 AND seconds = 8"), 1); /* what was planned goes along */
    ck_assert_int_eq(COMMAND(zo_cmd_prune, "prune", "--db", below("p.db"), "--older"), 0);
    ASSERT_SAID("would remove 1 tries that no report reads, and 1 cells whose figures have an older definition; --remove does it");
    ck_assert_int_eq(ask("p.db", NULL, "SELECT count(*) FROM tries"), 6);
    ck_assert_int_eq(ask("p.db", NULL, "SELECT count(*) FROM cells WHERE shown IS NULL"), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_prune, "prune", "--db", below("p.db"), "--remove"), 0);
    ASSERT_SAID("removed 1 tries that no report reads; the file is ");
    ck_assert_int_eq(ask("p.db", NULL, "SELECT count(*) FROM tries"), 5);
    ck_assert_int_eq(ask("p.db", "kept.db", "SELECT count(*) FROM main.runs JOIN b.runs USING (try, identity)"), 4); /* what counts is as it was */
    ck_assert_int_eq(COMMAND(zo_cmd_prune, "prune", "--db", below("p.db"), "--older", "--remove", "--json"), 0);
    ASSERT_SAID("{\"tries\":0,\"cells\":1,");
    ck_assert_int_eq(ask("p.db", NULL, "SELECT count(*) FROM cells"), 3);
    ck_assert_int_eq(ask("p.db", NULL, "SELECT count(*) FROM steps WHERE run NOT IN (SELECT run FROM tries)"), 0);
    ck_assert_int_eq(ask("p.db", NULL, "SELECT count(*) FROM main.pragma_foreign_key_check"), 0);
    change("p.db", "UPDATE cells SET meaning = 99"); /* of a program to come: never older */
    ck_assert_int_eq(COMMAND(zo_cmd_prune, "prune", "--db", below("p.db"), "--older", "--json"), 0);
    ASSERT_SAID("{\"tries\":0,\"cells\":0,");
    ck_assert_int_eq(COMMAND(zo_cmd_prune, "prune", "--db", below("none.db")), 2);
    ck_assert_int_ne(access(below("none.db"), F_OK), 0);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("merge");
    TCase *t = tcase_create("merge");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, halves_make_the_whole);
    tcase_add_test(t, a_try_goes_on_elsewhere);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, an_older_schema_is_read);
    tcase_add_test(t, pruning_keeps_what_counts);
    Suite *suite = suite_create("merge");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
