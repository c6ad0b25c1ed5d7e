/* table.c: an array of JSON objects printed as a markdown table, CSV or JSON, and SELECTs that make such arrays. */
#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
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

/* ---- texts of a table ---------------------------------------------------------------------------------------------------- */

typedef struct table {
    int columns, rows;
    char **name;   /* (columns) owned */
    char **text;   /* (rows, columns) owned */
    int *width;    /* (columns) of the widest text */
    bool *numbers; /* (columns) nothing but numbers: they stand right */
} table;

/* The text of a value; the caller gives it back with zo_free. */
static char *text_of(const cJSON *value, bool exact)
{
    if (value == NULL || cJSON_IsNull(value)) {
        return zo_strdup(ZO_TAG_OTHER, "");
    }
    if (cJSON_IsString(value)) {
        return zo_strdup(ZO_TAG_OTHER, value->valuestring);
    }
    if (cJSON_IsNumber(value) && !exact && value->valuedouble != floor(value->valuedouble)) {
        char number[40];
        snprintf(number, sizeof number, "%.6g", value->valuedouble);
        return zo_strdup(ZO_TAG_OTHER, number);
    }
    char *json = cJSON_PrintUnformatted(value);
    char *text = zo_strdup(ZO_TAG_OTHER, json);
    cJSON_free(json);
    return text;
}

static char *replace_text(char *old, char *new)
{
    zo_free(old);
    return new;
}

/* For people: nothing that moves the cursor, and no bar that ends a column. */
static char *make_drawn(char *text)
{
    zo_text_plain(text);
    size_t bars = 0;
    for (const char *c = text; *c != '\0'; c++) {
        bars += *c == '|';
    }
    if (bars == 0) {
        return text;
    }
    char *out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, strlen(text) + bars + 1), *to = out;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '|') {
            memcpy(to, "\xc2\xa6", 2); /* U+00A6, a broken bar */
            to += 2;
        } else {
            *to++ = *c;
        }
    }
    *to = '\0';
    return replace_text(text, out);
}

static table make_table(const cJSON *rows, zo_table_format format, bool terminal)
{
    table t = {.rows = cJSON_GetArraySize(rows)};
    int room = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        for (const cJSON *v = row->child; v != NULL; v = v->next) {
            int c = 0;
            while (c < t.columns && strcmp(t.name[c], v->string) != 0) {
                c++;
            }
            if (c == t.columns) {
                if (t.columns == room) {
                    room = room > 0 ? 2 * room : 16;
                    t.name = zo_realloc(t.name, ZO_HOST, ZO_TAG_OTHER, (size_t)room * sizeof *t.name);
                }
                t.name[t.columns++] = zo_strdup(ZO_TAG_OTHER, v->string);
            }
        }
    }
    size_t n = (size_t)t.columns;
    t.text = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)t.rows * n + 1) * sizeof *t.text);
    t.width = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (n + 1) * sizeof *t.width);
    t.numbers = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (n + 1) * sizeof *t.numbers);
    for (int c = 0; c < t.columns; c++) {
        t.numbers[c] = true;
    }
    int r = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next, r++) {
        const cJSON *next = row->child; /* columns mostly come in order */
        for (int c = 0; c < t.columns; c++) {
            const cJSON *v = next != NULL && strcmp(next->string, t.name[c]) == 0 ? next : cJSON_GetObjectItemCaseSensitive(row, t.name[c]);
            next = v != NULL ? v->next : next;
            t.text[(size_t)r * n + (size_t)c] = text_of(v, format == ZO_TABLE_CSV);
            t.numbers[c] = t.numbers[c] && (v == NULL || cJSON_IsNull(v) || cJSON_IsNumber(v));
        }
    }
    for (int c = 0; c < t.columns; c++) {
        for (r = -1; r < t.rows; r++) {
            char **text = r < 0 ? &t.name[c] : &t.text[(size_t)r * n + (size_t)c];
            if (format == ZO_TABLE_MD) {
                *text = make_drawn(*text);
            } else if (terminal) {
                zo_text_plain(*text);
            } else {
                *text = replace_text(*text, zo_text_utf8(*text));
            }
            int w = format == ZO_TABLE_MD ? zo_text_width(*text) : 0;
            t.width[c] = w > t.width[c] ? w : t.width[c];
        }
        t.width[c] = t.width[c] < 3 ? 3 : t.width[c];
    }
    return t;
}

static void free_table(table *t)
{
    for (int c = 0; c < t->columns; c++) {
        zo_free(t->name[c]);
    }
    for (size_t i = 0; i < (size_t)t->rows * (size_t)t->columns; i++) {
        zo_free(t->text[i]);
    }
    zo_free(t->name);
    zo_free(t->text);
    zo_free(t->width);
    zo_free(t->numbers);
}

static const char *at_row(const table *t, int row, int column) /* row -1 = the head */
{
    return row < 0 ? t->name[column] : t->text[(size_t)row * (size_t)t->columns + (size_t)column];
}

/* ---- CSV ----------------------------------------------------------------------------------------------------------------- */

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

static void print_csv(FILE *out, const table *t)
{
    for (int r = -1; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++) {
            print_csv_field(out, at_row(t, r, c));
            fputc(c + 1 < t->columns ? ',' : '\n', out);
        }
    }
}

/* ---- markdown ------------------------------------------------------------------------------------------------------------ */

/* Bytes of the next line of a text that is folded to `width` columns: at a blank where there is one, and all of it where it fits. */
static size_t next_line(const char *text, int width)
{
    size_t fits = zo_text_cut(text, width);
    if (text[fits] == '\0') {
        return fits;
    }
    size_t n = fits;
    while (n > 0 && text[n] != ' ') {
        n--;
    }
    if (n == 0) { /* one long word; a wide character that does not fit stands alone */
        n = fits > 0 ? fits : 1;
        while (((unsigned char)text[n] & 0xC0) == 0x80) {
            n++;
        }
    }
    return n;
}

static void print_field(FILE *out, const char *text, size_t bytes, int indent, int width, bool right)
{
    char *piece = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes + 1);
    memcpy(piece, text, bytes);
    int pad = width - indent - zo_text_width(piece);
    pad = pad > 0 ? pad : 0;
    fprintf(out, "| %*s%*s%s%*s ", indent, "", right ? pad : 0, "", piece, right ? 0 : pad, "");
    zo_free(piece);
}

#define FOLD_INDENT 2 /* of what is folded in the first column, so that rows are told apart */

/* Columns 0 and [from, to) of one row, folded to the columns' widths. */
static void print_row(FILE *out, const table *t, const int *width, int row, int from, int to)
{
    size_t *at = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)t->columns + 1) * sizeof *at);
    bool more = true;
    for (int line = 0; more; line++) {
        more = false;
        for (int c = 0; c < to; c = c == 0 && from > 0 ? from : c + 1) {
            const char *text = at_row(t, row, c) + at[c];
            int indent = c == 0 && line > 0 ? FOLD_INDENT : 0;
            size_t n = next_line(text, width[c] - indent);
            print_field(out, text, n, indent, width[c], t->numbers[c]);
            at[c] += n + strspn(text + n, " ");
            more = more || at_row(t, row, c)[at[c]] != '\0';
        }
        fputs("|\n", out);
    }
    zo_free(at);
}

static void print_rule(FILE *out, const table *t, const int *width, int from, int to)
{
    for (int c = 0; c < to; c = c == 0 && from > 0 ? from : c + 1) {
        fputc('|', out);
        for (int i = 0; i < width[c] + 2; i++) {
            fputc(t->numbers[c] && i == width[c] + 1 ? ':' : '-', out);
        }
    }
    fputs("|\n", out);
}

/* On a terminal of `columns` (0: any) that is too narrow the first column and as many others as fit make a table, then it and the next ones
 * another; texts that are too wide even so are folded. */
static void print_md(FILE *out, const table *t, int columns)
{
    int whole = 1, *width = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)t->columns + 1) * sizeof *width);
    for (int c = 0; c < t->columns; c++) {
        width[c] = t->width[c];
        whole += width[c] + 3;
    }
    bool is_narrow = columns > 0 && whole > columns;
    for (int c = 0; c < t->columns && is_narrow; c++) {
        int most = c == 0 ? (t->columns > 1 ? columns / 2 : columns) - 4 : columns - width[0] - 7;
        most = most < 8 ? 8 : most;
        width[c] = width[c] > most ? most : width[c];
    }
    for (int from = 0; from < t->columns;) {
        int to = from == 0 ? 1 : from, used = 1 + width[0] + 3;
        do {
            used += to < t->columns ? width[to] + 3 : 0;
            to++;
        } while (to < t->columns && (!is_narrow || used + width[to] + 3 <= columns));
        to = to > t->columns ? t->columns : to;
        if (from > 0) {
            fputc('\n', out);
        }
        print_row(out, t, width, -1, from, to);
        print_rule(out, t, width, from, to);
        for (int r = 0; r < t->rows; r++) {
            print_row(out, t, width, r, from, to);
        }
        from = to;
    }
    zo_free(width);
}

void zo_table_print(FILE *out, const struct cJSON *rows, zo_table_format format, int columns)
{
    if (format == ZO_TABLE_JSON) {
        char *json = cJSON_Print(rows), *text = zo_text_plain_json(json);
        fprintf(out, "%s\n", text);
        zo_free(text);
        cJSON_free(json);
        return;
    }
    table t = make_table(rows, format, columns > 0);
    if (format == ZO_TABLE_CSV) {
        print_csv(out, &t);
    } else {
        print_md(out, &t, columns);
    }
    free_table(&t);
}

void zo_paragraph_print(FILE *out, const char *text, int indent, int columns)
{
    char *safe = zo_text_plain_copy(text);
    bool is_first = true;
    for (const char *at = safe; *at != '\0' && columns > 0; is_first = false) {
        int before = is_first ? 0 : indent;
        size_t n = next_line(at, columns > before + 8 ? columns - before : 8);
        fprintf(out, "%*s%.*s\n", before, "", (int)n, at);
        at += n + strspn(at + n, " ");
    }
    if (columns == 0) {
        fprintf(out, "%s\n", safe);
    }
    zo_free(safe);
}

/* ---- SELECT -------------------------------------------------------------------------------------------------------------- */

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
