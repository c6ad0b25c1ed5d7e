/* read.c: rows of labelled text from the files that the field passes around: TSV, CSV, JSON lines, JSON maps, "label text" lines.
 * Plain or gzip. Every complaint names file, line, what was found and what was expected. */
#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "tasks/task_impl.h"

#define FILE_MOST_BYTES ((size_t)1 << 30)
#define COLUMNS_MOST 64
#define WHERE_BYTES 4200
#define BLOCK_BYTES ((size_t)1 << 16)

/* ---- tables --------------------------------------------------------------------------------------------------------------- */

void zo_table_free(zo_table *table)
{
    for (int b = 0; b < table->blocks; b++) {
        zo_free(table->block[b]);
    }
    zo_free(table->block);
    zo_free(table->record);
    memset(table, 0, sizeof *table);
}

zo_record *zo_table_add(zo_table *table)
{
    if (table->n == table->room) {
        table->room = table->room ? 2 * table->room : 256;
        table->record = zo_realloc(table->record, ZO_HOST, ZO_TAG_DATA, (size_t)table->room * sizeof *table->record);
    }
    zo_record *record = &table->record[table->n++];
    memset(record, 0, sizeof *record);
    return record;
}

char *zo_table_text(zo_table *table, const char *text, size_t bytes)
{
    if (table->blocks == 0 || table->size - table->used <= bytes) {
        if (table->blocks == table->block_room) {
            table->block_room = table->block_room ? 2 * table->block_room : 16;
            table->block = zo_realloc(table->block, ZO_HOST, ZO_TAG_DATA, (size_t)table->block_room * sizeof *table->block);
        }
        table->size = bytes < BLOCK_BYTES ? BLOCK_BYTES : bytes + 1;
        table->used = 0;
        table->block[table->blocks++] = zo_alloc(ZO_HOST, ZO_TAG_DATA, table->size);
    }
    char *at = table->block[table->blocks - 1] + table->used;
    if (text) {
        memcpy(at, text, bytes);
    }
    at[bytes] = '\0';
    table->used += bytes + 1;
    return at;
}

char *zo_table_format(zo_table *table, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = vsnprintf(NULL, 0, format, list);
    va_end(list);
    ZO_CHECK(n >= 0, "vsnprintf refuses the format \"%s\"", format);
    char *at = zo_table_text(table, NULL, (size_t)n);
    va_start(list, format);
    vsnprintf(at, (size_t)n + 1, format, list);
    va_end(list);
    return at;
}

/* ---- text ----------------------------------------------------------------------------------------------------------------- */

/* Bytes of the well-formed UTF-8 character at `at`, 0 when it is not one. */
static int utf8_bytes(const unsigned char *at)
{
    if (at[0] < 0x80) {
        return 1;
    }
    int n = at[0] >= 0xC2 && at[0] < 0xE0 ? 2 : at[0] >= 0xE0 && at[0] < 0xF0 ? 3 : at[0] >= 0xF0 && at[0] < 0xF5 ? 4 : 0;
    for (int k = 1; k < n; k++) {
        if ((at[k] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

/* A field of a file. Text that is not UTF-8 is read as Latin-1, as the old releases (TREC, MR, Subj) are. */
static char *keep_text(zo_table *table, const char *text, size_t bytes)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t high = 0, k = 0;
    bool utf8 = true;
    for (size_t i = 0; i < bytes; i++) {
        high += at[i] >= 0x80;
    }
    while (high && utf8 && k < bytes) {
        int n = utf8_bytes(at + k); /* the text ends in a NUL, which is no continuation byte */
        utf8 = n > 0 && k + (size_t)n <= bytes;
        k += (size_t)n;
    }
    if (utf8) {
        return zo_table_text(table, text, bytes);
    }
    char *out = zo_table_text(table, NULL, bytes + high), *to = out;
    for (size_t i = 0; i < bytes; i++) {
        if (at[i] < 0x80) {
            *to++ = (char)at[i];
        } else {
            *to++ = (char)(0xC0 | at[i] >> 6);
            *to++ = (char)(0x80 | (at[i] & 0x3F));
        }
    }
    *to = '\0';
    return out;
}

/* The next line that is not empty; NULL at the end. */
static char *next_row(zo_lines *lines, size_t *length)
{
    char *line;
    do {
        line = zo_lines_next(lines, length);
    } while (line && *length == 0);
    return line;
}

static bool spelled_as(const char *spellings, const char *text, size_t bytes)
{
    for (const char *at = spellings;; at++) {
        size_t n = strcspn(at, "|");
        if (n == bytes && memcmp(at, text, n) == 0) {
            return true;
        }
        at += n;
        if (*at == '\0') {
            return false;
        }
    }
}

/* `where` is "file:line" or "file, row". */
static zo_status read_label(const zo_task *task, const zo_source *source, const char *where, const char *text, size_t bytes, int32_t *label, zo_err *err)
{
    size_t n = bytes;
    if (source->label_end) {
        const char *end = memchr(text, source->label_end, bytes);
        n = end ? (size_t)(end - text) : bytes;
    }
    for (int c = 0; c < task->info.classes; c++) {
        if (spelled_as(task->label[c], text, n)) {
            *label = c;
            return ZO_OK;
        }
    }
    char known[256] = "";
    for (int c = 0; c < task->info.classes; c++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", c ? ", " : "", task->label[c]);
    }
    int shown = bytes < 40 ? (int)bytes : 40;
    return zo_fail(err, ZO_EINPUT, "%s: label \"%.*s\" is not one of task %s (%s); mend the row, or use the labelled file", where,
                   shown, text, task->info.name, known);
}

/* ---- columns -------------------------------------------------------------------------------------------------------------- */

typedef struct columns { char *at[COLUMNS_MOST]; size_t bytes[COLUMNS_MOST]; int n; } columns;

/* At every `mark`, into `most` columns at most: the last one is the rest of the line. */
static void cut_marks(char *line, size_t length, char mark, int most, columns *c)
{
    c->n = 0;
    for (char *at = line, *end = line + length; at;) {
        char *found = c->n + 1 < most ? memchr(at, mark, (size_t)(end - at)) : NULL;
        c->at[c->n] = at;
        c->bytes[c->n++] = (size_t)((found ? found : end) - at);
        at = found ? found + 1 : NULL;
    }
}

/* In place: "" inside quotes becomes ". False when a quote stays open. */
static bool cut_commas(char *line, size_t length, columns *c)
{
    c->n = 0;
    char *at = line, *end = line + length;
    while (c->n < COLUMNS_MOST) {
        char *to = at;
        c->at[c->n] = at;
        if (at < end && *at == '"') {
            bool closed = false;
            for (at++; at < end && !closed;) {
                if (*at != '"') {
                    *to++ = *at++;
                } else if (at + 1 < end && at[1] == '"') {
                    *to++ = '"';
                    at += 2;
                } else {
                    at++;
                    closed = true;
                }
            }
            if (!closed) {
                return false;
            }
        }
        while (at < end && *at != ',') {
            *to++ = *at++;
        }
        c->bytes[c->n] = (size_t)(to - c->at[c->n]);
        c->n++;
        if (at >= end) {
            return true;
        }
        at++;
    }
    return true;
}

/* False when a quote stays open. */
static bool cut_row(zo_format format, char *line, size_t length, columns *c)
{
    if (format == ZO_FORMAT_CSV) {
        return cut_commas(line, length, c);
    }
    bool tabs = format == ZO_FORMAT_TSV;
    cut_marks(line, length, tabs ? '\t' : ' ', tabs ? COLUMNS_MOST : 2, c);
    return true;
}

/* "#3": a column by number ("#1 String" is a name). */
static bool is_number_key(const char *key)
{
    return key[0] == '#' && key[1] != '\0' && strspn(key + 1, "0123456789") == strlen(key + 1);
}

/* The column that `key` names. -1 when the header lacks it. */
static int find_column(const columns *header, const char *key)
{
    if (is_number_key(key)) {
        return (int)strtol(key + 1, NULL, 10);
    }
    for (int c = 0; c < header->n; c++) {
        if (header->bytes[c] == strlen(key) && memcmp(header->at[c], key, header->bytes[c]) == 0) {
            return c;
        }
    }
    return -1;
}

static zo_status read_columns(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    const char *keys[1 + ZO_TASK_FIELDS];
    int column[1 + ZO_TASK_FIELDS], nkeys = 1, most = 0;
    keys[0] = source->label;
    while (nkeys <= ZO_TASK_FIELDS && source->field[nkeys - 1]) {
        keys[nkeys] = source->field[nkeys - 1];
        nkeys++;
    }
    zo_lines lines = zo_lines_of(text, bytes);
    columns c = {.n = 0};
    size_t length;
    char where[WHERE_BYTES];
    bool named = false;
    for (int k = 0; k < nkeys; k++) {
        named = named || !is_number_key(keys[k]);
    }
    if (named) {
        char *line = zo_lines_next(&lines, &length);
        if (!line) {
            return zo_fail(err, ZO_EINPUT, "%s: the file is empty, a header line with \"%s\" was expected; fetch it again", path, keys[0]);
        }
        cut_row(source->format, line, length, &c);
    }
    for (int k = 0; k < nkeys; k++) {
        column[k] = find_column(&c, keys[k]);
        if (column[k] < 0) {
            return zo_fail(err, ZO_EINPUT, "%s:1: the header has no column \"%s\"; is this the labelled file of task %s, with its header line and tabs?", path,
                           keys[k], task->info.name);
        }
        most = column[k] > most ? column[k] : most;
    }
    for (char *line; (line = next_row(&lines, &length));) {
        if (!cut_row(source->format, line, length, &c)) {
            return zo_fail(err, ZO_EINPUT, "%s:%ld: a quote (\") is opened and not closed on this line; close it, or double a quote that is meant as one", path,
                           lines.number);
        }
        if (c.n <= most) {
            const char *mark = source->format == ZO_FORMAT_CSV ? "commas" : source->format == ZO_FORMAT_TSV ? "tabs" : "a space";
            return zo_fail(err, ZO_EINPUT, "%s:%ld: %d column%s where task %s needs %d (apart by %s); mend or remove the row", path, lines.number, c.n,
                           c.n == 1 ? "" : "s", task->info.name, most + 1, mark);
        }
        zo_record *record = zo_table_add(table);
        snprintf(where, sizeof where, "%s:%ld", path, lines.number);
        if (read_label(task, source, where, c.at[column[0]], c.bytes[column[0]], &record->label, err)) {
            return err ? err->status : ZO_EINPUT;
        }
        for (int k = 1; k < nkeys; k++) {
            record->field[k - 1] = keep_text(table, c.at[column[k]], c.bytes[column[k]]);
        }
    }
    return ZO_OK;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------------- */

static const cJSON *find_member(const cJSON *object, const char *key)
{
    char name[64];
    for (;;) {
        size_t n = strcspn(key, ".");
        ZO_CHECK(n < sizeof name, "the key \"%s\" of a task is too long", key);
        memcpy(name, key, n);
        name[n] = '\0';
        object = cJSON_GetObjectItemCaseSensitive(object, name);
        if (!object || key[n] == '\0') {
            return object;
        }
        key += n + 1;
    }
}

static zo_status read_object(const zo_task *task, const zo_source *source, const char *where, const cJSON *object, zo_table *table, zo_err *err)
{
    if (!cJSON_IsObject(object)) {
        return zo_fail(err, ZO_EINPUT, "%s: a JSON object with \"%s\" was expected; mend or remove the row", where, source->label);
    }
    zo_record *record = zo_table_add(table);
    const cJSON *item = find_member(object, source->label);
    char number[32];
    const char *label = cJSON_IsString(item) ? item->valuestring : cJSON_IsBool(item) ? (cJSON_IsTrue(item) ? "true" : "false") : NULL;
    if (cJSON_IsNumber(item)) {
        snprintf(number, sizeof number, "%g", item->valuedouble);
        label = number;
    }
    if (!label) {
        return zo_fail(err, ZO_EINPUT, "%s: no \"%s\" here (a string, number, true or false); is this the labelled file of task %s?", where, source->label,
                       task->info.name);
    }
    if (read_label(task, source, where, label, strlen(label), &record->label, err)) {
        return err ? err->status : ZO_EINPUT;
    }
    for (int k = 0; k < ZO_TASK_FIELDS && source->field[k]; k++) {
        item = find_member(object, source->field[k]);
        if (cJSON_IsNumber(item)) {
            record->field[k] = zo_table_format(table, "%g", item->valuedouble);
            continue;
        }
        if (!cJSON_IsString(item)) {
            return zo_fail(err, ZO_EINPUT, "%s: no text \"%s\" here, which task %s reads; mend or remove the row", where, source->field[k], task->info.name);
        }
        record->field[k] = keep_text(table, item->valuestring, strlen(item->valuestring));
    }
    return ZO_OK;
}

static zo_status read_jsonl(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    zo_lines lines = zo_lines_of(text, bytes);
    size_t length;
    char where[WHERE_BYTES];
    for (char *line; (line = next_row(&lines, &length));) {
        const char *end = NULL;
        cJSON *object = cJSON_ParseWithLengthOpts(line, length + 1, &end, true);
        if (!object) {
            return zo_fail(err, ZO_EINPUT, "%s:%ld: not JSON from column %ld on; every line must be one whole object", path, lines.number,
                           end ? (long)(end - line) + 1 : 1);
        }
        snprintf(where, sizeof where, "%s:%ld", path, lines.number);
        zo_status status = read_object(task, source, where, object, table, err);
        cJSON_Delete(object);
        if (status) {
            return status;
        }
    }
    return ZO_OK;
}

static zo_status read_json_map(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    const char *end = NULL;
    cJSON *map = cJSON_ParseWithLengthOpts(text, bytes + 1, &end, true);
    long line = 1;
    if (!map || !cJSON_IsObject(map)) {
        for (const char *at = text; end && at < end; at++) {
            line += *at == '\n';
        }
        cJSON_Delete(map);
        return zo_fail(err, ZO_EINPUT, "%s:%ld: not one JSON object of rows {\"0\": {...}, ...}; fetch the file again", path, line);
    }
    zo_status status = ZO_OK;
    char where[WHERE_BYTES];
    for (const cJSON *row = map->child; row && !status; row = row->next) {
        snprintf(where, sizeof where, "%s, row \"%.40s\"", path, row->string ? row->string : "");
        status = read_object(task, source, where, row, table, err);
    }
    cJSON_Delete(map);
    return status;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

zo_status zo_source_read(const zo_task *task, const zo_source *source, const char *path, zo_table *table, zo_err *err)
{
    char *text = NULL;
    size_t bytes = 0;
    zo_err own;
    err = err ? err : &own;
    if (zo_read_file_or_gz(path, FILE_MOST_BYTES, &text, &bytes, err)) {
        return err->status;
    }
    char *at = text;
    if (bytes >= 3 && memcmp(at, "\xEF\xBB\xBF", 3) == 0) {
        at += 3;
        bytes -= 3;
    }
    zo_status status = ZO_OK;
    const char *nul = memchr(at, '\0', bytes);
    if (nul) {
        long line = 1;
        for (const char *k = at; k < nul; k++) {
            line += *k == '\n';
        }
        status = zo_fail(err, ZO_EINPUT, "%s:%ld: a NUL byte, so this is no text file; fetch it again", path, line);
    } else if (source->format == ZO_FORMAT_JSONL) {
        status = read_jsonl(task, source, path, at, bytes, table, err);
    } else if (source->format == ZO_FORMAT_JSON_MAP) {
        status = read_json_map(task, source, path, at, bytes, table, err);
    } else {
        status = read_columns(task, source, path, at, bytes, table, err);
    }
    zo_free(text);
    return status;
}
