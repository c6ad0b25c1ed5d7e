/* database.c: statements of SQLite, their values and their failures; see database.h. */
#include "results/database.h"

#include <math.h>

zo_status zo_db_fail(zo_results *r, zo_err *err)
{
    int code = sqlite3_errcode(r->db) & 0xff;
    const char *cause = sqlite3_errmsg(r->db);
    switch (code) {
    case SQLITE_FULL:
        return zo_fail(err, ZO_EIO, "%s: no space is left on its disk; free some and start the same command again (finished cells are kept)",
                       r->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); name a file in a folder that you may write to with --db FILE", r->path,
                       cause);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return zo_fail(err, ZO_EINPUT, "%s: is not an intact SQLite database (%s); name another file with --db FILE", r->path, cause);
    case SQLITE_BUSY:
        return zo_fail(err, ZO_EIO, "%s: another program has held it locked for %d s; close that program and start again", r->path,
                       ZO_BUSY_MS / 1000);
    case SQLITE_IOERR:
        return zo_fail(err, ZO_EIO, "%s: reading or writing failed (%s, system error %d); is its disk full or its size limited?", r->path,
                       cause, sqlite3_system_errno(r->db));
    default:
        return zo_fail(err, ZO_EIO, "%s: SQLite says: %s", r->path, cause);
    }
}

zo_status zo_db_run(zo_results *r, const char *sql, zo_err *err)
{
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ZO_OK : zo_db_fail(r, err);
}

int64_t zo_db_number(zo_results *r, const char *sql, bool *ok)
{
    sqlite3_stmt *s = NULL;
    int64_t number = 0;
    *ok = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
    if (*ok) {
        number = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return number;
}

zo_status zo_db_prepare(zo_results *r, const char *sql, zo_binder *b, zo_err *err)
{
    *b = (zo_binder){.r = r, .s = NULL, .at = 0};
    return sqlite3_prepare_v2(r->db, sql, -1, &b->s, NULL) == SQLITE_OK ? ZO_OK : zo_db_fail(r, err);
}

void zo_put_text(zo_binder *b, const char *text)
{
    if (text == NULL) {
        sqlite3_bind_null(b->s, ++b->at);
    } else {
        sqlite3_bind_text(b->s, ++b->at, text, -1, SQLITE_TRANSIENT);
    }
}

void zo_put_int(zo_binder *b, int64_t x)
{
    sqlite3_bind_int64(b->s, ++b->at, x);
}

void zo_put_real(zo_binder *b, double x) /* not finite = NULL */
{
    if (isfinite(x)) {
        sqlite3_bind_double(b->s, ++b->at, x);
    } else {
        sqlite3_bind_null(b->s, ++b->at);
    }
}

zo_status zo_db_step(zo_binder *b, zo_err *err) /* and be ready for the next row */
{
    int code = sqlite3_step(b->s);
    zo_status status = code == SQLITE_DONE || code == SQLITE_ROW ? ZO_OK : zo_db_fail(b->r, err);
    sqlite3_reset(b->s);
    b->at = 0;
    return status;
}

zo_status zo_db_step_last(zo_binder *b, zo_err *err)
{
    zo_status status = zo_db_step(b, err);
    sqlite3_finalize(b->s);
    return status;
}

zo_status zo_db_begin(zo_results *r, zo_err *err)
{
    return zo_db_run(r, "BEGIN IMMEDIATE", err);
}

zo_status zo_db_end(zo_results *r, zo_status status, zo_err *err)
{
    if (status == ZO_OK) {
        status = zo_db_run(r, "COMMIT", err);
    }
    if (status != ZO_OK && !sqlite3_get_autocommit(r->db)) {
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}
