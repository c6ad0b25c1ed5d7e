/* since.c: the runs that began when a revision of the program first ran, or later; see report.h. */
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "results/database.h"
#include "results/report.h"

zo_status zo_results_since(zo_results *r, const char *revision, const char *where, char **condition, zo_err *err)
{
    zo_binder b;
    char began[32] = "";
    *condition = NULL;
    zo_status status = zo_db_prepare(r, "SELECT min(began) FROM tries WHERE substr(revision, 1, length(?1)) = ?1 AND ?1 <> ''", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_text(&b, revision);
    if (sqlite3_step(b.s) == SQLITE_ROW && sqlite3_column_type(b.s, 0) == SQLITE_TEXT) {
        snprintf(began, sizeof began, "%s", (const char *)sqlite3_column_text(b.s, 0));
    }
    sqlite3_finalize(b.s);
    if (began[0] == '\0' || strchr(began, '\'') != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: no run is of a revision that begins with \"%.60s\"; `zo sql \"SELECT revision, min(began) FROM tries GROUP BY 1\"` lists them",
                       r->path, revision);
    }
    size_t size = strlen(began) + 40 + (where != NULL ? strlen(where) : 0);
    *condition = zo_alloc(ZO_HOST, ZO_TAG_OTHER, size);
    snprintf(*condition, size, where != NULL ? "began >= '%s' AND (%s)" : "began >= '%s'", began, where);
    return ZO_OK;
}
