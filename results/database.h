/* database.h: what the writers and readers of this folder share: the open file, errors in one sentence, statements and transactions. Private to
 * results/. */
#ifndef ZO_RESULTS_DATABASE_H
#define ZO_RESULTS_DATABASE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <sys/types.h>

#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_BUSY_MS 20000 /* how long to wait for another program's lock */
#define ZO_APPLICATION_ID 0x7a6f2d64 /* "zo-d" */
#define ZO_STRING_OF(x) #x
#define ZO_NUMBER_TEXT(x) ZO_STRING_OF(x)

struct zo_results {
    sqlite3 *db;
    dev_t device; /* of the file that was opened */
    ino_t inode;
    bool reads; /* opened by zo_results_open_read */
    int lock; /* descriptor that holds the flock; -1 = none. Closed after the database, since closing it drops SQLite's locks too */
    char path[4096];
};

/* Why SQLite refused, as one sentence with the file's name and what helps. */
zo_status zo_db_fail(zo_results *r, zo_err *err);
zo_status zo_db_run(zo_results *r, const char *sql, zo_err *err);
/* The one number of a SELECT; *ok = false where it failed, or gave no row. */
int64_t zo_db_number(zo_results *r, const char *sql, bool *ok);

/* The statement's values one after another; the order is that of the ? in its text. */
typedef struct zo_binder { zo_results *r; sqlite3_stmt *s; int at; } zo_binder;
zo_status zo_db_prepare(zo_results *r, const char *sql, zo_binder *b, zo_err *err);
void zo_put_text(zo_binder *b, const char *text); /* NULL = NULL */
void zo_put_int(zo_binder *b, int64_t x);
void zo_put_real(zo_binder *b, double x); /* not finite = NULL */
zo_status zo_db_step(zo_binder *b, zo_err *err); /* and be ready for the next row */
zo_status zo_db_step_last(zo_binder *b, zo_err *err); /* and give the statement back */

/* A short transaction: what end is given as status decides between COMMIT and ROLLBACK. */
zo_status zo_db_begin(zo_results *r, zo_err *err);
zo_status zo_db_end(zo_results *r, zo_status status, zo_err *err);

#ifdef __cplusplus
}
#endif

#endif
