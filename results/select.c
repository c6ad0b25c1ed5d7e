/* select.c: SELECTs as arrays of JSON objects. */
#include <cjson/cJSON.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "results/report.h"

/* Names of the columns; where two are equal, the second is name:1. The caller frees each and the array. */
static char **column_names(sqlite3_stmt *s, int n)
{
    char **name = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *name);
    for (int c = 0; c < n; c++) {
        const char *given = sqlite3_column_name(s, c);
        size_t size = strlen(given) + 20;
        name[c] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, size);
        snprintf(name[c], size, "%s", given);
        for (int k = 0, twin = 1; k < c; k++) {
            if (strcmp(name[k], name[c]) == 0) {
                snprintf(name[c], size, "%s:%d", given, twin++);
                k = -1;
            }
        }
    }
    return name;
}

/* A blob as SQL writes it: x'00ff'. */
static cJSON *blob_value(const unsigned char *data, int bytes)
{
    size_t size = 2 * (size_t)bytes + 4;
    char *text = zo_alloc(ZO_HOST, ZO_TAG_OTHER, size);
    size_t at = (size_t)snprintf(text, size, "x'");
    for (int i = 0; i < bytes; i++) {
        at += (size_t)snprintf(text + at, size - at, "%02x", data[i]);
    }
    snprintf(text + at, size - at, "'");
    cJSON *value = cJSON_CreateString(text);
    zo_free(text);
    return value;
}

zo_status zo_results_select(zo_results *results, const char *sql, struct cJSON **rows, zo_err *err)
{
    *rows = NULL;
    sqlite3 *db = zo_results_handle(results);
    sqlite3_stmt *s = NULL;
    const char *rest = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, &rest) != SQLITE_OK) {
        return zo_fail(err, ZO_EINPUT, "the SQL is wrong: %s", sqlite3_errmsg(db));
    }
    if (s == NULL || rest[strspn(rest, " \t\r\n;")] != '\0') {
        sqlite3_finalize(s);
        return zo_fail(err, ZO_EINPUT, "expected one SQL statement, found %s", s == NULL ? "none" : "several");
    }
    if (!sqlite3_stmt_readonly(s)) {
        sqlite3_finalize(s);
        return zo_fail(err, ZO_EINPUT, "the statement would change the database; only reading is permitted here");
    }
    cJSON *list = cJSON_CreateArray();
    int code, columns = sqlite3_column_count(s);
    char **name = column_names(s, columns);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        cJSON *row = cJSON_CreateObject();
        for (int c = 0; c < columns; c++) {
            cJSON *value;
            switch (sqlite3_column_type(s, c)) {
            case SQLITE_INTEGER:
            case SQLITE_FLOAT:
                value = cJSON_CreateNumber(sqlite3_column_double(s, c));
                break;
            case SQLITE_NULL:
                value = cJSON_CreateNull();
                break;
            case SQLITE_BLOB:
                value = blob_value(sqlite3_column_blob(s, c), sqlite3_column_bytes(s, c));
                break;
            default:
                value = cJSON_CreateString((const char *)sqlite3_column_text(s, c));
            }
            cJSON_AddItemToObject(row, name[c], value);
        }
        cJSON_AddItemToArray(list, row);
    }
    for (int c = 0; c < columns; c++) {
        zo_free(name[c]);
    }
    zo_free(name);
    sqlite3_finalize(s);
    if (code != SQLITE_DONE) {
        cJSON_Delete(list);
        return zo_fail(err, ZO_EINPUT, "the SQL failed: %s", sqlite3_errmsg(db));
    }
    *rows = list;
    return ZO_OK;
}
