/* resume.c: a try that goes on where another one stopped. */
#include <stdio.h>
#include <string.h>

#include "results/database.h"

/* Tables whose rows belong to a step. */
static const char *const of_steps[] = {"steps", "evaluations", "journal", "samples"};
_Static_assert(sizeof of_steps / sizeof *of_steps == ZO_MARK_TABLES, "a mark has a step of each table");

/* One number of a table's rows up to a step of its own: `what` is an expression over them. */
static zo_status ask_rows(zo_results *r, const char *what, int table, int64_t run, int64_t step, int64_t *answer, zo_err *err)
{
    char sql[120];
    snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE run = ? AND step <= ?", what, of_steps[table]);
    zo_binder b;
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, run);
    zo_put_int(&b, step);
    bool there = sqlite3_step(b.s) == SQLITE_ROW;
    *answer = there ? sqlite3_column_int64(b.s, 0) : 0;
    sqlite3_finalize(b.s);
    return there ? ZO_OK : zo_db_fail(r, err);
}

static zo_status count_rows(zo_results *r, int64_t run, const int64_t last[ZO_MARK_TABLES], int64_t *rows, zo_err *err)
{
    zo_status status = ZO_OK;
    *rows = 0;
    for (int t = 0; t < ZO_MARK_TABLES && status == ZO_OK; t++) {
        int64_t n;
        status = ask_rows(r, "count(*)", t, run, last[t], &n, err);
        *rows += status == ZO_OK ? n : 0;
    }
    return status;
}

zo_status zo_results_mark(zo_results *r, int64_t run, int64_t step, zo_mark *mark, zo_err *err)
{
    memset(mark, 0, sizeof *mark);
    zo_binder b;
    zo_status status = zo_db_prepare(r, "SELECT try FROM tries WHERE run = ?", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, run);
    bool there = sqlite3_step(b.s) == SQLITE_ROW;
    if (there) {
        snprintf(mark->name, sizeof mark->name, "%s", (const char *)sqlite3_column_text(b.s, 0));
    }
    sqlite3_finalize(b.s);
    status = there ? ZO_OK : zo_db_fail(r, err);
    for (int t = 0; t < ZO_MARK_TABLES && status == ZO_OK; t++) {
        status = ask_rows(r, "coalesce(max(step), -1)", t, run, step, &mark->last[t], err);
    }
    return status == ZO_OK ? count_rows(r, run, mark->last, &mark->rows, err) : status;
}

/* The run of the try of this name; 0 = there is none. */
static zo_status find_try(zo_results *r, const char *name, int64_t *run, zo_err *err)
{
    zo_binder b;
    *run = 0;
    zo_status status = zo_db_prepare(r, "SELECT run FROM tries WHERE try = ?", &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, name);
        if (sqlite3_step(b.s) == SQLITE_ROW) {
            *run = sqlite3_column_int64(b.s, 0);
        }
        sqlite3_finalize(b.s);
    }
    return status;
}

/* Copies rows of all columns, whatever they are. */
static zo_status copy_rows(zo_results *r, const char *table, int64_t from, int64_t to, int64_t step, zo_err *err)
{
    char sql[2000], columns[800] = "";
    snprintf(sql, sizeof sql, "SELECT group_concat('\"' || name || '\"') FROM pragma_table_info('%s') WHERE name <> 'run'", table);
    zo_binder b;
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    if (sqlite3_step(b.s) == SQLITE_ROW) {
        snprintf(columns, sizeof columns, "%s", (const char *)sqlite3_column_text(b.s, 0));
    }
    sqlite3_finalize(b.s);
    snprintf(sql, sizeof sql, "INSERT INTO %s (run, %s) SELECT ?, %s FROM %s WHERE run = ? AND step <= ?", table, columns, columns, table);
    status = zo_db_prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, to);
        zo_put_int(&b, from);
        zo_put_int(&b, step);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

static zo_status go_on(zo_results *r, int64_t run, const zo_mark *mark, int64_t resumed, zo_err *err)
{
    int64_t from, rows = 0;
    zo_status status = find_try(r, mark->name, &from, err);
    status = status == ZO_OK && from != 0 ? count_rows(r, from, mark->last, &rows, err) : status;
    if (status == ZO_OK && (from == 0 || rows != mark->rows)) {
        return zo_fail(err, ZO_EINPUT, "it is of a try that this database does not have%s", from != 0 ? " whole" : "");
    }
    for (int t = 0; t < ZO_MARK_TABLES && status == ZO_OK; t++) {
        status = copy_rows(r, of_steps[t], from, run, mark->last[t], err);
    }
    zo_binder b;
    status = status == ZO_OK ? zo_db_prepare(r, "UPDATE tries SET resumed = ? WHERE run = ?", &b, err) : status;
    if (status == ZO_OK) {
        zo_put_int(&b, resumed);
        zo_put_int(&b, run);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

zo_status zo_results_go_on(zo_results *r, int64_t run, const zo_mark *mark, int64_t resumed, zo_err *err)
{
    zo_status status = zo_db_begin(r, err);
    return status == ZO_OK ? zo_db_end(r, go_on(r, run, mark, resumed, err), err) : status;
}
