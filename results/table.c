/* table.c: an array of JSON objects printed as a markdown table, CSV or JSON, and SELECTs that make such arrays. */
#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "results/report.h"

zo_status zo_table_format_of(const char *name, zo_table_format *format, zo_err *err)
{
    static const char *const names[] = {"md", "csv", "json"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) == 0) {
            *format = (zo_table_format)i;
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EINPUT, "--format is \"%.40s\"; expected md, csv or json", name);
}

/* The text of a value in a table; the caller gives it back with zo_free. */
static char *text_of(const cJSON *value)
{
    if (value == NULL || cJSON_IsNull(value)) {
        return zo_strdup(ZO_TAG_OTHER, "");
    }
    if (cJSON_IsString(value)) {
        return zo_strdup(ZO_TAG_OTHER, value->valuestring);
    }
    if (cJSON_IsNumber(value) && value->valuedouble != floor(value->valuedouble)) {
        char number[40];
        snprintf(number, sizeof number, "%.6g", value->valuedouble);
        return zo_strdup(ZO_TAG_OTHER, number);
    }
    char *json = cJSON_PrintUnformatted(value);
    char *text = zo_strdup(ZO_TAG_OTHER, json);
    cJSON_free(json);
    return text;
}

static void print_csv_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

/* Columns as wide as they look: bytes that continue a UTF-8 character do not count. */
static int width_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++) {
        n += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return n;
}

static void print_md_field(FILE *out, const char *text, int width, bool right)
{
    int pad = width - width_of(text);
    fputs("| ", out);
    for (int i = 0; right && i < pad; i++) {
        fputc(' ', out);
    }
    for (const char *c = text; *c != '\0'; c++) {
        fputc(*c == '\n' || *c == '|' ? ' ' : *c, out);
    }
    for (int i = 0; !right && i < pad; i++) {
        fputc(' ', out);
    }
    fputc(' ', out);
}

static int column_of(const char **name, int n, const char *key)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(name[i], key) == 0) {
            return i;
        }
    }
    return -1;
}

void zo_table_print(FILE *out, const struct cJSON *rows, zo_table_format format)
{
    if (format == ZO_TABLE_JSON) {
        char *text = cJSON_Print(rows);
        fprintf(out, "%s\n", text);
        cJSON_free(text);
        return;
    }
    int n = 0, room = 0;
    const char **name = NULL;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        for (const cJSON *v = row->child; v != NULL; v = v->next) {
            if (column_of(name, n, v->string) < 0) {
                if (n == room) {
                    room = room > 0 ? 2 * room : 16;
                    name = zo_realloc(name, ZO_HOST, ZO_TAG_OTHER, (size_t)room * sizeof *name);
                }
                name[n++] = v->string;
            }
        }
    }
    int count = cJSON_GetArraySize(rows);
    char **cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)count * (size_t)n + 1) * sizeof *cell);
    int *width = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *width);
    bool *numbers = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n + 1);
    for (int c = 0; c < n; c++) {
        width[c] = width_of(name[c]) < 3 ? 3 : width_of(name[c]);
        numbers[c] = true;
    }
    int r = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next, r++) {
        for (int c = 0; c < n; c++) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, name[c]);
            char *text = text_of(v);
            cell[r * n + c] = text;
            int w = width_of(text);
            width[c] = w > width[c] ? w : width[c];
            numbers[c] = numbers[c] && (v == NULL || cJSON_IsNull(v) || cJSON_IsNumber(v));
        }
    }
    for (r = -1; r < count && n > 0; r++) {
        for (int c = 0; c < n; c++) {
            const char *text = r < 0 ? name[c] : cell[r * n + c];
            if (format == ZO_TABLE_CSV) {
                print_csv_field(out, text);
                fputc(c + 1 < n ? ',' : '\n', out);
            } else {
                print_md_field(out, text, width[c], numbers[c]);
                if (c + 1 == n) {
                    fputs("|\n", out);
                }
            }
        }
        if (r < 0 && format == ZO_TABLE_MD) {
            for (int c = 0; c < n; c++) {
                fputc('|', out);
                for (int i = 0; i < width[c] + 2; i++) {
                    fputc(numbers[c] && i == width[c] + 1 ? ':' : '-', out);
                }
            }
            fputs("|\n", out);
        }
    }
    for (int i = 0; i < count * n; i++) {
        zo_free(cell[i]);
    }
    zo_free(cell);
    zo_free(width);
    zo_free(numbers);
    zo_free(name);
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
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        cJSON *row = cJSON_CreateObject();
        for (int c = 0; c < sqlite3_column_count(s); c++) {
            const char *name = sqlite3_column_name(s, c);
            switch (sqlite3_column_type(s, c)) {
            case SQLITE_INTEGER:
            case SQLITE_FLOAT:
                cJSON_AddNumberToObject(row, name, sqlite3_column_double(s, c));
                break;
            case SQLITE_NULL:
                cJSON_AddNullToObject(row, name);
                break;
            default:
                cJSON_AddStringToObject(row, name, (const char *)sqlite3_column_text(s, c));
            }
        }
        cJSON_AddItemToArray(list, row);
    }
    sqlite3_finalize(s);
    if (code != SQLITE_DONE) {
        cJSON_Delete(list);
        return zo_fail(err, ZO_EINPUT, "the SQL failed: %s", sqlite3_errmsg(db));
    }
    *rows = list;
    return ZO_OK;
}
