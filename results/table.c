/* table.c: an array of JSON objects as rows of texts, printed in the format that is asked for. */
#include "results/table.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"

zo_status zo_table_format_of(const char *name, zo_table_format *format, zo_err *err)
{
    static const char *const names[] = {"md", "csv", "json", "latex"}; /* in the order of zo_table_format */
    for (int i = 0; i < 4; i++) {
        if (strcmp(name, names[i]) == 0) {
            *format = (zo_table_format)i;
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EINPUT, "--format is \"%.40s\"; expected md, csv, json or latex", name);
}

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

static zo_text_table make_table(const cJSON *rows, zo_table_format format, bool terminal)
{
    zo_text_table t = {.rows = cJSON_GetArraySize(rows)};
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

static void free_table(zo_text_table *t)
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

const char *zo_text_table_at(const zo_text_table *t, int row, int column) /* row -1 = the head */
{
    return row < 0 ? t->name[column] : t->text[(size_t)row * (size_t)t->columns + (size_t)column];
}

void zo_table_print(FILE *out, const struct cJSON *rows, zo_table_format format, int columns)
{
    if (format == ZO_TABLE_JSON) {
        zo_table_print_json(out, rows);
        return;
    }
    zo_text_table t = make_table(rows, format, columns > 0);
    if (format == ZO_TABLE_CSV) {
        zo_table_print_csv(out, &t);
    } else if (format == ZO_TABLE_LATEX) {
        zo_table_print_latex(out, &t, false);
    } else if (format == ZO_TABLE_HTML) {
        zo_table_print_html(out, &t);
    } else {
        zo_table_print_markdown(out, &t, columns);
    }
    free_table(&t);
}

void zo_table_print_scores(FILE *out, const struct cJSON *rows)
{
    zo_text_table t = make_table(rows, ZO_TABLE_LATEX, false);
    zo_table_print_latex(out, &t, true);
    free_table(&t);
}
