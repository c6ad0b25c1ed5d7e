/* merge.c: databases brought together, and what no report reads taken out; see merge.h. */
#include "results/merge.h"

#include <stdio.h>
#include <string.h>

#include "results/tries.h"

enum { SQL_MOST = 16384, TABLES_MOST = 32 };

/* A column that does not go over as it is; one without a name ends them. */
typedef struct given { const char *column; int64_t value; bool null; } given;

/* Tables whose rows belong to a try. */
typedef struct tables { char name[TABLES_MOST][64]; int n; } tables;

static int column_at(sqlite3_stmt *row, const char *name)
{
    int i = 0;
    while (strcmp(sqlite3_column_name(row, i), name) != 0) {
        i++;
    }
    return i;
}

static int64_t int_at(sqlite3_stmt *row, const char *name)
{
    return sqlite3_column_int64(row, column_at(row, name));
}

static const char *text_at(sqlite3_stmt *row, const char *name)
{
    const unsigned char *text = sqlite3_column_text(row, column_at(row, name));
    return text != NULL ? (const char *)text : "";
}

/* By names, since a migrated table has its younger columns at its end. */
static zo_status prepare_insert(zo_results *into, const char *verb, const char *table, sqlite3_stmt *row, sqlite3_stmt **insert, zo_err *err)
{
    char sql[SQL_MOST];
    int columns = sqlite3_column_count(row);
    size_t at = (size_t)snprintf(sql, sizeof sql, "%s INTO %s (", verb, table);
    for (int i = 0; i < columns; i++) {
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s\"%s\"", i > 0 ? ", " : "", sqlite3_column_name(row, i));
    }
    at += (size_t)snprintf(sql + at, sizeof sql - at, ") VALUES (");
    for (int i = 0; i < columns; i++) {
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s?", i > 0 ? ", " : "");
    }
    at += (size_t)snprintf(sql + at, sizeof sql - at, ")");
    ZO_CHECK(at < sizeof sql, "a table has more columns than merge.c has room for");
    return sqlite3_prepare_v2(into->db, sql, -1, insert, NULL) == SQLITE_OK ? ZO_OK : zo_db_fail(into, err);
}

/* The row that `row` stands at, as a new one of `table`, by this verb. *insert: NULL at first, and the caller's to finalize. */
static zo_status copy_row(zo_results *into, const char *verb, const char *table, sqlite3_stmt *row, const given *changes, sqlite3_stmt **insert, zo_err *err)
{
    zo_status status = *insert == NULL ? prepare_insert(into, verb, table, row, insert, err) : ZO_OK;
    for (int i = 0; i < sqlite3_column_count(row) && status == ZO_OK; i++) {
        const given *g = changes;
        while (g->column != NULL && strcmp(g->column, sqlite3_column_name(row, i)) != 0) {
            g++;
        }
        if (g->column == NULL) {
            sqlite3_bind_value(*insert, i + 1, sqlite3_column_value(row, i));
        } else if (g->null) {
            sqlite3_bind_null(*insert, i + 1);
        } else {
            sqlite3_bind_int64(*insert, i + 1, g->value);
        }
    }
    status = status == ZO_OK && sqlite3_step(*insert) != SQLITE_DONE ? zo_db_fail(into, err) : status;
    sqlite3_reset(*insert);
    return status;
}

static zo_status run_with(zo_results *r, const char *sql, int64_t number, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, number);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

/* Does code, which sqlite3_step gave last, end the rows of `r`? */
static zo_status ended(zo_results *r, int code, zo_status status, zo_err *err)
{
    return status == ZO_OK && code != SQLITE_DONE ? zo_db_fail(r, err) : status;
}

static zo_status tables_of_tries(zo_results *r, tables *t, zo_err *err)
{
    zo_binder b;
    *t = (tables){.n = 0};
    zo_status status = zo_db_prepare(r, "SELECT m.name FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND "
                                     "f.\"table\" = 'tries' AND f.\"from\" = 'run' ORDER BY 1", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    int code;
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW) {
        ZO_CHECK(t->n < TABLES_MOST, "the schema has more tables than merge.c has room for");
        snprintf(t->name[t->n++], sizeof t->name[0], "%s", text_at(b.s, "name"));
    }
    status = ended(r, code, status, err);
    sqlite3_finalize(b.s);
    return status;
}

/* Rows of `table` that belong to the try `old` of `from`, as those of `run`. */
static zo_status copy_rows(zo_results *into, zo_results *from, const char *table, int64_t old, int64_t run, zo_err *err)
{
    char sql[200];
    zo_binder b;
    snprintf(sql, sizeof sql, "SELECT * FROM %s WHERE run = ?", table);
    zo_status status = zo_db_prepare(from, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, old);
    const given changes[] = {{"run", run, false}, {NULL, 0, false}};
    sqlite3_stmt *insert = NULL;
    int code = SQLITE_ROW;
    while (status == ZO_OK && (code = sqlite3_step(b.s)) == SQLITE_ROW) {
        status = copy_row(into, "INSERT", table, b.s, changes, &insert, err);
    }
    status = ended(from, code, status, err);
    sqlite3_finalize(insert);
    sqlite3_finalize(b.s);
    return status;
}

/* How far a try has come, by its status: it runs, its process ended before it did, or it ended. */
static int came(const char *status)
{
    return strcmp(status, "running") == 0 ? 0 : strcmp(status, "killed") == 0 ? 1 : 2;
}

/* The number in `into` of the try with this name and its status; 0 where it has none. */
static zo_status find_try(zo_results *into, const char *name, int64_t *run, char status_there[16], zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(into, "SELECT run, status FROM tries WHERE try = ?", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_text(&b, name);
    int code = sqlite3_step(b.s);
    *run = code == SQLITE_ROW ? int_at(b.s, "run") : 0;
    snprintf(status_there, 16, "%s", code == SQLITE_ROW ? text_at(b.s, "status") : "");
    status = code == SQLITE_ROW ? ZO_OK : ended(into, code, ZO_OK, err);
    sqlite3_finalize(b.s);
    return status;
}

/* The try that `row` stands at goes over with its rows, where `into` has not seen it come so far. */
static zo_status merge_try(zo_results *into, zo_results *from, sqlite3_stmt *row, int64_t cell, const tables *t, zo_merged *merged, zo_err *err)
{
    int64_t run;
    char there[16];
    zo_status status = find_try(into, text_at(row, "try"), &run, there, err);
    if (status != ZO_OK) {
        return status;
    }
    int here = came(text_at(row, "status"));
    if (run > 0 && here <= came(there) && (here > 0 || came(there) > 0)) { /* of two that run, the one of `from` is the younger picture */
        merged->known++;
        return ZO_OK;
    }
    if (run > 0) {
        status = run_with(into, "UPDATE cells SET shown = NULL WHERE shown = ?", run, err);
        status = status == ZO_OK ? run_with(into, "DELETE FROM tries WHERE run = ?", run, err) : status;
    }
    const given changes[] = {{"run", run, run == 0}, {"cell", cell, false}, {NULL, 0, false}};
    sqlite3_stmt *insert = NULL;
    status = status == ZO_OK ? copy_row(into, "INSERT", "tries", row, changes, &insert, err) : status;
    sqlite3_finalize(insert);
    *(run > 0 ? &merged->renewed : &merged->added) += 1;
    run = run > 0 ? run : sqlite3_last_insert_rowid(into->db);
    for (int i = 0; i < t->n && status == ZO_OK; i++) {
        status = copy_rows(into, from, t->name[i], int_at(row, "run"), run, err);
    }
    return status;
}

/* The cell of `into` that is the one `row` stands at, which is made where there is none. */
static zo_status find_cell(zo_results *into, sqlite3_stmt *row, int64_t *cell, zo_merged *merged, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(into, "SELECT cell FROM cells WHERE identity = ?", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_text(&b, text_at(row, "identity"));
    int code = sqlite3_step(b.s);
    *cell = code == SQLITE_ROW ? int_at(b.s, "cell") : 0;
    status = code == SQLITE_ROW ? ZO_OK : ended(into, code, ZO_OK, err);
    sqlite3_finalize(b.s);
    if (status != ZO_OK || *cell > 0) {
        return status;
    }
    const given changes[] = {{"cell", 0, true}, {"shown", 0, true}, {NULL, 0, false}};
    sqlite3_stmt *insert = NULL;
    status = copy_row(into, "INSERT", "cells", row, changes, &insert, err);
    sqlite3_finalize(insert);
    *cell = sqlite3_last_insert_rowid(into->db);
    merged->cells++;
    return status;
}

static zo_status merge_cell(zo_results *into, zo_results *from, sqlite3_stmt *row, const tables *t, zo_merged *merged, zo_err *err)
{
    int64_t cell, changed = merged->added + merged->renewed;
    zo_binder b;
    zo_status status = find_cell(into, row, &cell, merged, err);
    status = status == ZO_OK ? zo_db_prepare(from, "SELECT * FROM tries WHERE cell = ? ORDER BY run", &b, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, int_at(row, "cell"));
    int code = SQLITE_ROW;
    while (status == ZO_OK && (code = sqlite3_step(b.s)) == SQLITE_ROW) {
        status = merge_try(into, from, b.s, cell, t, merged, err);
    }
    status = ended(from, code, status, err);
    sqlite3_finalize(b.s);
    if (status == ZO_OK && merged->added + merged->renewed > changed) {
        status = run_with(into, "UPDATE cells SET shown = (SELECT run FROM tries WHERE cell = ?1 "
                          "ORDER BY status IN " ZO_FINISHED " DESC, began DESC, run DESC LIMIT 1) WHERE cell = ?1", cell, err);
    }
    return status;
}

/* What was planned of cells, by their hashes; what `into` has already stays. */
static zo_status merge_plans(zo_results *into, zo_results *from, zo_err *err)
{
    static const char *const table[] = {"plans", "budgets"};
    static const given none = {NULL, 0, false};
    zo_status status = ZO_OK;
    for (size_t i = 0; i < sizeof table / sizeof *table && status == ZO_OK; i++) {
        char sql[60];
        zo_binder b;
        sqlite3_stmt *insert = NULL;
        snprintf(sql, sizeof sql, "SELECT * FROM %s", table[i]);
        status = zo_db_prepare(from, sql, &b, err);
        if (status == ZO_OK) {
            int code = SQLITE_ROW;
            while (status == ZO_OK && (code = sqlite3_step(b.s)) == SQLITE_ROW) {
                status = copy_row(into, "INSERT OR IGNORE", table[i], b.s, &none, &insert, err);
            }
            status = ended(from, code, status, err);
            sqlite3_finalize(insert);
            sqlite3_finalize(b.s);
        }
    }
    return status;
}

zo_status zo_results_merge(zo_results *into, zo_results *from, zo_merged *merged, zo_err *err)
{
    *merged = (zo_merged){.cells = 0};
    if (into->device == from->device && into->inode == from->inode) {
        return zo_fail(err, ZO_EINPUT, "%s and %s are one file; a database is merged into another one", into->path, from->path);
    }
    tables t;
    zo_binder b;
    zo_status status = zo_db_run(from, "BEGIN", err); /* what others write meanwhile is not in it */
    status = status == ZO_OK ? zo_db_begin(into, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    status = tables_of_tries(into, &t, err);
    status = status == ZO_OK ? zo_db_prepare(from, "SELECT * FROM cells ORDER BY cell", &b, err) : status;
    if (status == ZO_OK) {
        int code = SQLITE_ROW;
        while (status == ZO_OK && (code = sqlite3_step(b.s)) == SQLITE_ROW) {
            status = merge_cell(into, from, b.s, &t, merged, err);
        }
        status = ended(from, code, status, err);
        sqlite3_finalize(b.s);
    }
    status = status == ZO_OK ? merge_plans(into, from, err) : status;
    zo_db_run(from, "ROLLBACK", &(zo_err){0}); /* it only read */
    return zo_db_end(into, status, err);
}

#define OLDER_CELLS "cells WHERE meaning < " ZO_NUMBER_TEXT(ZO_MEANING)

/* One statement that deletes; *rows of them. */
static zo_status delete_rows(zo_results *r, const char *sql, int64_t *rows, zo_err *err)
{
    zo_status status = zo_db_run(r, sql, err);
    *rows = status == ZO_OK ? sqlite3_changes64(r->db) : 0;
    return status;
}

static int64_t file_bytes(zo_results *r, zo_status *status, zo_err *err)
{
    bool ok;
    int64_t bytes = zo_db_number(r, "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size", &ok);
    *status = *status == ZO_OK && !ok ? zo_db_fail(r, err) : *status;
    return bytes;
}

zo_status zo_results_prune(zo_results *r, bool older, bool remove, zo_pruned *pruned, zo_err *err)
{
    int64_t of_older;
    *pruned = (zo_pruned){.tries = 0};
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    if (older) {
        status = zo_db_run(r, "UPDATE cells SET shown = NULL WHERE cell IN (SELECT cell FROM " OLDER_CELLS ")", err);
        status = status == ZO_OK ? delete_rows(r, "DELETE FROM tries WHERE cell IN (SELECT cell FROM " OLDER_CELLS ")", &of_older, err) : status;
        status = status == ZO_OK ? delete_rows(r, "DELETE FROM " OLDER_CELLS, &pruned->cells, err) : status;
    }
    status = status == ZO_OK ? delete_rows(r, "DELETE FROM tries WHERE status <> 'running' AND EXISTS (SELECT 1 FROM cells c WHERE c.cell = tries.cell AND "
                                           "c.shown <> tries.run)", &pruned->tries, err) : status;
    if (!remove && status == ZO_OK) { /* it was only to count */
        return zo_db_run(r, "ROLLBACK", err);
    }
    status = zo_db_end(r, status, err);
    if (status == ZO_OK && pruned->tries + pruned->cells > 0) {
        int64_t before = file_bytes(r, &status, err);
        status = status == ZO_OK ? zo_db_run(r, "VACUUM", err) : status;
        pruned->bytes = before - file_bytes(r, &status, err);
    }
    return status;
}
