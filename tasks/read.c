/* read.c: rows of labelled text from the files that the field passes around: TSV, CSV, JSON lines, JSON maps, "label text" lines.
 * Plain or gzip. Every complaint names file, line, what was found and what was expected. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "tasks/task_impl.h"

#define FILE_MOST_BYTES ((size_t)1 << 30)
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
    record->file = table->file;
    record->number = ++table->number;
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

void *zo_table_room(zo_table *table, size_t bytes)
{
    /* Texts lie byte by byte: what must begin at a multiple of 16 takes so many more. */
    uintptr_t at = (uintptr_t)zo_table_text(table, NULL, bytes + 15);
    return memset((void *)((at + 15) & ~(uintptr_t)15), 0, bytes);
}

char *zo_table_printf(zo_table *table, const char *format, ...)
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

/* Is a character white space to Python's str.isspace? */
static bool is_space(utf8proc_int32_t c)
{
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

void zo_strip_left(const char **text, size_t *n)
{
    utf8proc_int32_t c;
    for (utf8proc_ssize_t bytes; *n && (bytes = utf8proc_iterate((const utf8proc_uint8_t *)*text, (utf8proc_ssize_t)*n, &c)) > 0 && is_space(c);) {
        *text += bytes;
        *n -= (size_t)bytes;
    }
}

void zo_strip_right(const char *text, size_t *n)
{
    for (utf8proc_int32_t c; *n;) {
        size_t at = *n - 1;
        while (at && ((unsigned char)text[at] & 0xC0) == 0x80) {
            at--;
        }
        if (utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(*n - at), &c) <= 0 || !is_space(c)) {
            return;
        }
        *n = at;
    }
}

/* The first `n` bytes of a text changed character by character, the rest as it is. */
static char *change_case(zo_table *table, const char *text, size_t n, utf8proc_int32_t (*change)(utf8proc_int32_t))
{
    size_t used = 0, bytes = strlen(text);
    utf8proc_int32_t c;
    char *out = zo_table_text(table, NULL, bytes + n + 4), *to = out; /* two bytes may become three (U+023A) */
    while (used < n) {
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + used, (utf8proc_ssize_t)(bytes - used), &c);
        ZO_CHECK(step > 0, "a text of a row is not UTF-8 at byte %zu", used);
        to += utf8proc_encode_char(change(c), (utf8proc_uint8_t *)to);
        used += (size_t)step;
    }
    memcpy(to, text + used, bytes - used + 1);
    return out;
}

char *zo_text_lower(zo_table *table, const char *text, size_t n)
{
    return change_case(table, text, n, utf8proc_tolower);
}

char *zo_text_capital(zo_table *table, const char *text)
{
    return change_case(table, text, text[0] ? 1 : 0, utf8proc_toupper);
}

static bool is_empty(const char *text, size_t bytes)
{
    zo_strip_left(&text, &bytes);
    return bytes == 0;
}

/* A field of a file; `where` is "file:line". The old releases as "label text" lines (TREC, MR, Subj) are Latin-1 where they are not
 * UTF-8; elsewhere that is a fault. A text without a letter is none, and a fault where the file is
 * not known for such rows (*kept NULL: the row is left out). */
static zo_status keep_text(const zo_source *source, const char *where, const char *key, const char *text, size_t bytes, zo_table *table, char **kept,
                           zo_err *err)
{
    size_t at = 0, high = 0;
    bool utf8 = true;
    for (utf8proc_int32_t c; at < bytes && utf8; at += utf8 ? (size_t)utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(bytes - at), &c) : 0) {
        utf8 = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(bytes - at), &c) > 0;
    }
    if (is_empty(text, bytes) && source->empty != ZO_EMPTY_KEEP) {
        if (source->empty == ZO_EMPTY_DROP) {
            *kept = NULL;
            return ZO_OK;
        }
        return zo_fail(err, ZO_EINPUT, "%s: the text \"%s\" is empty; mend or remove the row", where, key);
    }
    if (utf8) {
        *kept = zo_table_text(table, text, bytes);
        return ZO_OK;
    }
    if (source->format != ZO_FORMAT_LABEL_TEXT) {
        return zo_fail(err, ZO_EINPUT, "%s: byte %zu of the text \"%s\" (0x%02x) is not UTF-8; convert the file, for instance with iconv -t UTF-8", where, at + 1,
                       key, (unsigned)(unsigned char)text[at]);
    }
    for (size_t i = 0; i < bytes; i++) {
        high += (unsigned char)text[i] >= 0x80;
    }
    char *to = *kept = zo_table_text(table, NULL, bytes + high);
    for (size_t i = 0; i < bytes; i++) {
        to += utf8proc_encode_char((unsigned char)text[i], (utf8proc_uint8_t *)to);
    }
    *to = '\0';
    table->note = "text that is not UTF-8 is read as Latin-1";
    return ZO_OK;
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

bool zo_spelled_as(const char *spellings, const char *text, size_t bytes)
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

/* A score, in place of a class. */
static zo_status read_score(const zo_task *task, const char *where, const char *text, size_t bytes, zo_record *record, zo_err *err)
{
    char number[64], *end = number;
    snprintf(number, sizeof number, "%.*s", (int)(bytes < sizeof number ? bytes : sizeof number - 1), text);
    double score = strspn(number, "0123456789+-.eE") == bytes ? strtod(number, &end) : NAN;
    if (end == number || *end != '\0' || !(score >= task->score_least && score <= task->score_most)) {
        return zo_fail(err, ZO_EINPUT, "%s: the score \"%.40s\" is no number from %g to %g, as task %s has them; mend the row, or use the labelled file", where, number,
                       task->score_least, task->score_most, task->info.name);
    }
    record->share = (float)((score - task->score_least) / (task->score_most - task->score_least));
    record->label = record->share >= 0.5F; /* LM-BFF's k-shot sets are drawn by these two */
    return ZO_OK;
}

/* `where` is "file:line" or "file, row". The record's label is -1 where rows of this label are left out. */
static zo_status read_label(const zo_task *task, const zo_source *source, const char *where, const char *text, size_t bytes, zo_record *record, zo_err *err)
{
    int32_t *label = &record->label;
    if (task->scores) {
        return read_score(task, where, text, bytes, record, err);
    }
    size_t n = bytes;
    if (source->label_end) {
        const char *end = memchr(text, source->label_end, bytes);
        n = end ? (size_t)(end - text) : bytes;
    }
    const char *const *spelling = source->spelling ? source->spelling : task->label;
    for (int c = 0; c < task->info.classes; c++) {
        if (zo_spelled_as(spelling[c], text, n)) {
            *label = c;
            return ZO_OK;
        }
    }
    if (task->left_out && zo_spelled_as(task->left_out, text, n)) {
        *label = -1;
        return ZO_OK;
    }
    char known[256] = "";
    for (int c = 0; c < task->info.classes; c++) {
        size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", c ? ", " : "", spelling[c]);
    }
    int shown = bytes < 40 ? (int)bytes : 40;
    return zo_fail(err, ZO_EINPUT, "%s: label \"%.*s\" is not one of task %s (%s); mend the row, or use the labelled file", where,
                   shown, text, task->info.name, known);
}

/* The record that was added last is none. */
static void leave_out(zo_table *table)
{
    table->n--;
    table->left_out++;
}

/* ---- columns -------------------------------------------------------------------------------------------------------------- */

typedef struct columns { char *at[ZO_TASK_COLUMNS]; size_t bytes[ZO_TASK_COLUMNS]; int n; } columns;

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
static bool cut_quoted(char *line, size_t length, char mark, columns *c)
{
    c->n = 0;
    char *at = line, *end = line + length;
    while (c->n < ZO_TASK_COLUMNS) {
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
        while (at < end && *at != mark) {
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

/* Is a TSV file quoted as CSV files are? A field of raw text may well stand in quotes, so one field decides nothing. A quoting writer
 * puts every field that has a quote or a tab into quotes and doubles the inner ones; the file is quoted when that holds for all of its
 * fields, and when it shows: by an inner quote or tab, or because all its fields but numbers are in quotes. */
static bool is_quoted(const char *text, size_t bytes)
{
    const char *at = text, *end = text + bytes;
    bool shows = false, bare = false, any = false;
    while (at < end) {
        if (*at != '"') {
            size_t n = 0;
            while (at + n < end && at[n] != '\t' && at[n] != '\n') {
                if (at[n++] == '"') {
                    return false;
                }
            }
            bare = bare || strspn(at, "0123456789+-.eE\r") < n;
            at += n;
        } else {
            bool closed = false;
            any = true;
            for (at++; at < end && !closed; at++) {
                if (*at == '\n') {
                    return false;
                }
                if (*at == '"' && at + 1 < end && at[1] == '"') {
                    shows = true;
                    at++;
                } else {
                    closed = *at == '"';
                    shows = shows || *at == '\t';
                }
            }
            at += closed && at + 1 < end && at[0] == '\r' && at[1] == '\n';
            if (!closed || (at < end && *at != '\t' && *at != '\n')) {
                return false;
            }
        }
        at += at < end;
    }
    return any && (shows || !bare);
}

/* False when a quote stays open. */
static bool cut_row(zo_format format, bool quoted, char *line, size_t length, columns *c)
{
    if (quoted) {
        return cut_quoted(line, length, format == ZO_FORMAT_CSV ? ',' : '\t', c);
    }
    bool tabs = format == ZO_FORMAT_TSV;
    cut_marks(line, length, tabs ? '\t' : ' ', tabs ? ZO_TASK_COLUMNS : 2, c);
    return true;
}

bool zo_is_column_number(const char *key)
{
    return key[0] == '#' && key[1] != '\0' && strspn(key + 1, "0123456789") == strlen(key + 1);
}

/* Of "a|b" the one that is looked for first. */
static void first_name(const char *key, char name[ZO_TASK_KEY_BYTES])
{
    snprintf(name, ZO_TASK_KEY_BYTES, "%.*s", (int)strcspn(key, "|"), key);
}

enum { NO_COLUMN = -1, TWO_COLUMNS = -2, LAST_COLUMN = -3 };

/* The column that `key` names. */
static int find_column(const columns *header, const char *key)
{
    if (strcmp(key, ZO_LAST_COLUMN) == 0) {
        return LAST_COLUMN;
    }
    if (zo_is_column_number(key)) {
        return (int)strtol(key + 1, NULL, 10);
    }
    int found = NO_COLUMN;
    for (const char *at = key; found == NO_COLUMN && at[0];) { /* "a|b" */
        size_t n = strcspn(at, "|");
        for (int c = 0; c < header->n; c++) {
            if (header->bytes[c] == n && memcmp(header->at[c], at, n) == 0) {
                found = found == NO_COLUMN ? c : TWO_COLUMNS;
            }
        }
        at += n + (at[n] == '|');
    }
    return found;
}

/* The next row that is not empty. A line feed inside the quotes of a CSV file belongs to the row; `first` is the row's first line. */
static char *next_columns(zo_lines *lines, zo_format format, size_t *length, long *first)
{
    enum { START, BARE, QUOTED, CLOSED } state = START; /* of a field */
    char *line = next_row(lines, length);
    *first = lines->number;
    for (size_t seen = 0; line && format == ZO_FORMAT_CSV;) {
        for (; seen < *length; seen++) {
            char c = line[seen];
            if (c == '"' && state != BARE) {
                state = state == QUOTED ? CLOSED : QUOTED;
            } else if (state != QUOTED) {
                state = c == ',' ? START : BARE;
            }
        }
        size_t more;
        char *next = state == QUOTED ? zo_lines_next(lines, &more) : NULL;
        if (!next) {
            break;
        }
        for (char *gap = line + *length; gap < next; gap++) { /* where the lines were cut apart */
            *gap = gap + 1 == next ? '\n' : '\r';
        }
        *length = (size_t)(next - line) + more;
    }
    return line;
}

static zo_status read_columns(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    const char *keys[1 + 2 * ZO_TASK_FIELDS];
    int column[1 + 2 * ZO_TASK_FIELDS], of[1 + 2 * ZO_TASK_FIELDS], nkeys = 1, most = 0; /* of: the field that a column belongs to, its own before the joined */
    keys[0] = source->label;
    for (int f = 0; f < ZO_TASK_FIELDS && source->field[f]; f++) {
        keys[nkeys] = source->field[f];
        of[nkeys++] = f;
        if (source->join[f]) {
            keys[nkeys] = source->join[f];
            of[nkeys++] = f;
        }
    }
    zo_lines lines = zo_lines_of(text, bytes);
    columns c = {.n = 0};
    size_t length;
    char where[WHERE_BYTES], name[ZO_TASK_KEY_BYTES];
    bool named = false, quoted = source->format == ZO_FORMAT_CSV || (source->format == ZO_FORMAT_TSV && is_quoted(text, bytes));
    for (int k = 0; k < nkeys; k++) {
        named = named || !(zo_is_column_number(keys[k]) || strcmp(keys[k], ZO_LAST_COLUMN) == 0);
    }
    if (named) {
        char *line = zo_lines_next(&lines, &length);
        if (!line) {
            return zo_fail(err, ZO_EINPUT, "%s: the file is empty, a header line with \"%s\" was expected; fetch it again", path, keys[0]);
        }
        cut_row(source->format, quoted, line, length, &c);
    }
    for (int k = 0; k < nkeys; k++) {
        column[k] = find_column(&c, keys[k]);
        first_name(keys[k], name);
        if (column[k] == TWO_COLUMNS) {
            return zo_fail(err, ZO_EINPUT, "%s:1: the header has two columns \"%s\"; keep one", path, name);
        }
        if (column[k] == NO_COLUMN) {
            return zo_fail(err, ZO_EINPUT, "%s:1: the header has no column \"%s\"; is this the labelled file of task %s, with its header line and %s?", path,
                           name, task->info.name, source->format == ZO_FORMAT_CSV ? "commas" : "tabs");
        }
        if (named && column[k] >= c.n) {
            return zo_fail(err, ZO_EINPUT, "%s:1: the header has %d columns, so there is none with the number %d (the first is 0) that task %s reads", path, c.n,
                           column[k], task->info.name);
        }
        most = column[k] > most ? column[k] : most;
    }
    int want = named ? c.n : most + 1, least = most + 1 + (column[0] == LAST_COLUMN);
    long number;
    for (char *line; (line = next_columns(&lines, source->format, &length, &number));) {
        if (!cut_row(source->format, quoted, line, length, &c)) {
            return zo_fail(err, ZO_EINPUT, "%s:%ld: a quote (\") is opened on this line and not closed; close it, or double a quote that is meant as one", path,
                           number);
        }
        if (source->ragged && c.n < least) {
            table->left_out++;
            continue;
        }
        if (c.n != want && !source->ragged) {
            const char *mark = source->format == ZO_FORMAT_CSV ? "commas" : source->format == ZO_FORMAT_TSV ? "tabs" : "a space";
            return zo_fail(err, ZO_EINPUT, "%s:%ld: %d column%s where %s %d (apart by %s); mend or remove the row", path, number, c.n,
                           c.n == 1 ? "" : "s", named ? "the header has" : "this file of the task has", want, mark);
        }
        zo_record *record = zo_table_add(table);
        snprintf(where, sizeof where, "%s:%ld", path, number);
        int label = column[0] == LAST_COLUMN ? c.n - 1 : column[0];
        if (read_label(task, source, where, c.at[label], c.bytes[label], record, err)) {
            return err->status;
        }
        if (record->label < 0) {
            leave_out(table);
            continue;
        }
        bool whole = true;
        for (int k = 1; k < nkeys; k++) {
            char *kept;
            if (keep_text(source, where, keys[k], c.at[column[k]], c.bytes[column[k]], table, &kept, err)) {
                return err->status;
            }
            if (!kept) {
                whole = false;
                break;
            }
            record->field[of[k]] = k > 1 && of[k] == of[k - 1] ? zo_table_printf(table, "%s %s", record->field[of[k]], kept) : kept;
        }
        if (!whole) {
            leave_out(table);
        } else if (source->finish && source->finish(record, table, where, err)) {
            return err->status;
        }
    }
    return ZO_OK;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------------------- */

/* "a.b|c": member b of member a or, where that is not there, member c. */
static const cJSON *find_member(const cJSON *object, const char *key)
{
    char name[ZO_TASK_KEY_BYTES];
    const cJSON *at = object;
    for (;;) {
        size_t n = strcspn(key, ".|");
        ZO_CHECK(n < sizeof name, "the key \"%s\" of a task is too long", key);
        memcpy(name, key, n);
        name[n] = '\0';
        at = at ? cJSON_GetObjectItemCaseSensitive(at, name) : NULL;
        key += n;
        if (*key == '\0' || (*key == '|' && at)) {
            return at;
        }
        at = *key == '|' ? object : at;
        key++;
    }
}

/* A key that stands twice in the object or in one below it, or NULL. */
static const char *double_key_below(const cJSON *object)
{
    const char *key = zo_json_double_key(object);
    for (const cJSON *item = object->child; item && !key; item = item->next) {
        key = double_key_below(item);
    }
    return key;
}

/* A row, and the objects that it stands in, itself the last. */
typedef struct nest { const cJSON *object[1 + ZO_TASK_LEVELS]; int n; } nest;

static const cJSON *find_in_nest(const nest *in, const char *key)
{
    const cJSON *item = NULL;
    for (int k = in->n - 1; k >= 0 && !item; k--) {
        item = find_member(in->object[k], key);
    }
    return item;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Where character number `index` of a text begins; NULL behind its end. */
static const char *character_at(const char *text, double index)
{
    utf8proc_int32_t c;
    for (; index > 0 && *text; index--) {
        utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &c);
        text += bytes > 0 ? bytes : 1;
    }
    return index == 0 ? text : NULL;
}

/* One element of a list of texts: a string, the member "text" of an object, or a span of `whole`. */
static zo_status read_listed(const zo_source *source, const char *where, const char *key, const cJSON *item, const char *whole, zo_table *table,
                             const char **text, zo_err *err)
{
    const cJSON *start = cJSON_GetObjectItemCaseSensitive(item, "start"), *stop = cJSON_GetObjectItemCaseSensitive(item, "end"),
                *inner = cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, "text") : item;
    char *kept = NULL;
    if (cJSON_IsString(inner)) {
        zo_status status = keep_text(source, where, key, inner->valuestring, strlen(inner->valuestring), table, &kept, err);
        *text = kept;
        return status;
    }
    if (!cJSON_IsNumber(start) || !cJSON_IsNumber(stop)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" holds %s where a text, or {\"start\": ..., \"end\": ...}, was expected; mend or remove the row", where, key,
                       zo_json_kind(item));
    }
    double from = start->valuedouble, to = stop->valuedouble;
    bool whole_numbers = from == floor(from) && to == floor(to) && from >= 0 && to >= from && to < 1e9;
    const char *first = whole_numbers ? character_at(whole, from) : NULL, *last = first ? character_at(first, to - from) : NULL;
    if (!last || !*last) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" has the span %g to %g, which is not in the text; mend or remove the row", where, key, from, to);
    }
    *text = zo_table_text(table, first, (size_t)(character_at(last, 1) - first));
    return ZO_OK;
}

/* A list of texts, each once, in order of their bytes. *n is at most ZO_TASK_CLASSES. */
static zo_status read_list(const zo_task *task, const zo_source *source, const char *where, const char *name, const cJSON *list, const char *whole, zo_table *table,
                           const char ***text, int32_t *n, zo_err *err)
{
    char key[ZO_TASK_KEY_BYTES];
    first_name(name, key);
    int size = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list) || size == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: no list \"%s\" here, or an empty one; is this the labelled file of task %s?", where, key, task->info.name);
    }
    *text = zo_table_room(table, (size_t)size * sizeof **text);
    int at = 0;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (read_listed(source, where, key, item, whole, table, &(*text)[at], err)) {
            return err->status;
        }
        at += (*text)[at] != NULL;
    }
    qsort(*text, (size_t)at, sizeof **text, by_text);
    *n = 0;
    for (int k = 0; k < at; k++) {
        if (*n == 0 || strcmp((*text)[*n - 1], (*text)[k]) != 0) {
            (*text)[(*n)++] = (*text)[k];
        }
    }
    if (*n > ZO_TASK_CLASSES) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" has %d different texts, and at most %d are ranked; remove the row", where, key, (int)*n, ZO_TASK_CLASSES);
    }
    return ZO_OK;
}

/* The row's own candidates, and which are right. */
static zo_status read_candidates(const zo_task *task, const zo_source *source, const char *where, const nest *in, zo_record *record, zo_table *table, zo_err *err)
{
    zo_candidates *own = record->own = zo_table_room(table, sizeof *own);
    const char **gold;
    int32_t golds;
    if (read_list(task, source, where, source->candidates, find_in_nest(in, source->candidates), record->field[0], table, &own->text, &own->n, err) ||
        read_list(task, source, where, source->label, find_in_nest(in, source->label), record->field[0], table, &gold, &golds, err)) {
        return err->status;
    }
    own->credit = zo_table_room(table, (size_t)own->n * sizeof *own->credit);
    own->right = zo_table_room(table, (size_t)own->n * sizeof *own->right);
    record->label = -1;
    for (int32_t o = 0; o < own->n; o++) {
        own->credit[o] = zo_answer_credit(own->text[o], gold, golds);
        own->right[o] = bsearch(&own->text[o], gold, (size_t)golds, sizeof *gold, by_text) != NULL;
        record->label = own->right[o] && record->label < 0 ? o : record->label;
    }
    if (record->label < 0) {
        return zo_fail(err, ZO_EINPUT, "%s: the answer \"%.60s\" is none of the row's candidates; mend or remove the row", where, gold[0]);
    }
    return ZO_OK;
}

/* Right answers of a row while they are found. */
typedef struct found { const zo_source *source; const char *where, *key; zo_table *table; const char *text[ZO_TASK_CLASSES]; int32_t n; } found;

static zo_status add_answer(found *f, const char *text, zo_err *err)
{
    char *kept;
    zo_source optional = *f->source; /* an empty text is no answer, and no fault */
    optional.empty = ZO_EMPTY_DROP;
    zo_status status = keep_text(&optional, f->where, f->key, text, strlen(text), f->table, &kept, err);
    if (!status && kept && f->n == ZO_TASK_CLASSES) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" has more than %d answers; remove the row", f->where, f->key, ZO_TASK_CLASSES);
    }
    if (!status && kept) {
        f->text[f->n++] = kept;
    }
    return status;
}

/* What stands at the end of a path: a text, a number, an object of texts, which are one with spaces between, or a list of such. */
static zo_status add_answers(found *f, const cJSON *item, zo_err *err)
{
    zo_status status = ZO_OK;
    if (cJSON_IsString(item)) {
        return add_answer(f, item->valuestring, err);
    }
    if (cJSON_IsNumber(item)) {
        char number[40];
        snprintf(number, sizeof number, "%.17g", item->valuedouble);
        return add_answer(f, number, err);
    }
    if (cJSON_IsArray(item)) {
        for (const cJSON *each = item->child; each && !status; each = each->next) {
            status = add_answers(f, each, err);
        }
        return status;
    }
    char *joined = zo_table_text(f->table, "", 0);
    for (const cJSON *each = item->child; cJSON_IsObject(item) && each; each = each->next) {
        if (!cJSON_IsString(each)) {
            return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is an object that holds %s where texts were expected; mend or remove the row", f->where, f->key, zo_json_kind(each));
        }
        if (each->valuestring[0]) {
            joined = zo_table_printf(f->table, "%s%s%s", joined, joined[0] ? " " : "", each->valuestring);
        }
    }
    return cJSON_IsObject(item) ? add_answer(f, joined, err)
                                : zo_fail(err, ZO_EINPUT, "%s: \"%s\" is %s where an answer was expected; mend or remove the row", f->where, f->key, zo_json_kind(item));
}

/* The members that a path of n bytes leads to; in a list, those of each element. */
static zo_status follow(found *f, const cJSON *at, const char *path, size_t n, zo_err *err)
{
    char name[ZO_TASK_KEY_BYTES];
    zo_status status = ZO_OK;
    if (at == NULL || n == 0) {
        return at == NULL ? ZO_OK : add_answers(f, at, err);
    }
    if (cJSON_IsArray(at)) {
        for (const cJSON *each = at->child; each && !status; each = each->next) {
            status = follow(f, each, path, n, err);
        }
        return status;
    }
    const char *dot = memchr(path, '.', n);
    size_t first = dot ? (size_t)(dot - path) : n;
    snprintf(name, sizeof name, "%.*s", (int)first, path);
    return follow(f, cJSON_GetObjectItemCaseSensitive(at, name), path + first + (dot != NULL), n - first - (dot != NULL), err);
}

/* The row's right answers; *any: there is one. */
static zo_status read_answers(const zo_source *source, const char *where, const nest *in, zo_record *record, zo_table *table, bool *any, zo_err *err)
{
    char key[ZO_TASK_KEY_BYTES];
    found f = {.source = source, .where = where, .key = key, .table = table};
    for (int k = 0; k < ZO_TASK_FIELDS && source->answers[k]; k++) {
        int32_t before = f.n;
        for (const char *path = source->answers[k]; *path && f.n == before;) {
            size_t n = strcspn(path, "|");
            snprintf(key, sizeof key, "%.*s", (int)n, path);
            for (int level = in->n - 1; level >= 0 && f.n == before; level--) {
                if (follow(&f, in->object[level], path, n, err)) {
                    return err->status;
                }
            }
            path += n + (path[n] == '|');
        }
    }
    *any = f.n > 0;
    if (f.n == 0 && source->empty == ZO_EMPTY_DROP) {
        return ZO_OK;
    }
    if (f.n == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: no answer in \"%s\"; give one, remove the row, or say \"empty\": \"drop\" in the task's description", where, source->answers[0]);
    }
    zo_candidates *own = record->own = zo_table_room(table, sizeof *own);
    own->n = f.n;
    own->text = zo_table_room(table, (size_t)f.n * sizeof *own->text);
    memcpy(own->text, f.text, (size_t)f.n * sizeof *own->text);
    record->label = 0;
    return ZO_OK;
}

/* The class of a row; -1 where it is left out. */
static zo_status read_class(const zo_task *task, const zo_source *source, const char *where, const nest *in, zo_record *record, zo_err *err)
{
    char key[ZO_TASK_KEY_BYTES], number[40];
    first_name(source->label, key);
    const cJSON *item = find_in_nest(in, source->label);
    const char *label = cJSON_IsString(item) ? item->valuestring : cJSON_IsBool(item) ? (cJSON_IsTrue(item) ? "true" : "false") : NULL;
    if (cJSON_IsNumber(item)) {
        snprintf(number, sizeof number, "%.17g", item->valuedouble);
        label = number;
    }
    if (!label) {
        return zo_fail(err, ZO_EINPUT, "%s: no \"%s\" here (a string, number, true or false); is this the labelled file of task %s?", where, key,
                       task->info.name);
    }
    return read_label(task, source, where, label, strlen(label), record, err);
}

static zo_status read_row(const zo_task *task, const zo_source *source, const char *where, const nest *in, zo_table *table, zo_err *err)
{
    char key[ZO_TASK_KEY_BYTES];
    zo_record *record = zo_table_add(table);
    if (!source->candidates && !source->answers[0] && read_class(task, source, where, in, record, err)) {
        return err->status;
    }
    if (record->label < 0) {
        leave_out(table);
        return ZO_OK;
    }
    for (int k = 0; k < ZO_TASK_FIELDS && source->field[k]; k++) {
        first_name(source->field[k], key);
        const cJSON *item = find_in_nest(in, source->field[k]);
        if (cJSON_IsNumber(item) && item->valuedouble == floor(item->valuedouble) && fabs(item->valuedouble) < 1e15) {
            record->field[k] = zo_table_printf(table, "%.0f", item->valuedouble);
            continue;
        }
        if (!cJSON_IsString(item)) {
            return zo_fail(err, ZO_EINPUT, "%s: no text \"%s\" here, which task %s reads; mend or remove the row", where, key, task->info.name);
        }
        if (keep_text(source, where, key, item->valuestring, strlen(item->valuestring), table, &record->field[k], err)) {
            return err->status;
        }
        if (!record->field[k]) {
            leave_out(table);
            return ZO_OK;
        }
    }
    bool any = true;
    if ((source->candidates && read_candidates(task, source, where, in, record, table, err)) ||
        (source->answers[0] && read_answers(source, where, in, record, table, &any, err))) {
        return err->status;
    }
    if (!any) {
        leave_out(table);
        return ZO_OK;
    }
    return source->finish ? source->finish(record, table, where, err) : ZO_OK;
}

/* The rows in the last object of the nest. */
static zo_status read_nest(const zo_task *task, const zo_source *source, const char *where, nest *in, zo_table *table, zo_err *err)
{
    int level = in->n - 1;
    const cJSON *object = in->object[level];
    char key[ZO_TASK_KEY_BYTES], inner[WHERE_BYTES];
    const char *list_key = level < ZO_TASK_LEVELS ? source->each[level] : NULL;
    first_name(list_key ? list_key : source->label, key);
    if (!cJSON_IsObject(object)) {
        return zo_fail(err, ZO_EINPUT, "%s: a JSON object with \"%s\" was expected; mend or remove the row", where, key);
    }
    if (!list_key) {
        return read_row(task, source, where, in, table, err);
    }
    const cJSON *list = find_member(object, list_key);
    if (!list && find_member(object, source->label)) { /* flat, as `datasets` writes it: the object is the row */
        return read_row(task, source, where, in, table, err);
    }
    if (!cJSON_IsArray(list)) {
        return zo_fail(err, ZO_EINPUT, "%s: no list \"%s\" here, whose elements task %s reads; mend or remove the row", where, key, task->info.name);
    }
    int number = 0;
    zo_status status = ZO_OK;
    for (const cJSON *item = list->child; item && !status; item = item->next, number++) {
        snprintf(inner, sizeof inner, "%.*s, %s[%d]", (int)(sizeof inner - sizeof key - 16), where, key, number);
        in->object[in->n++] = item;
        status = read_nest(task, source, inner, in, table, err);
        in->n--;
    }
    return status;
}

static zo_status read_object(const zo_task *task, const zo_source *source, const char *where, const cJSON *object, zo_table *table, zo_err *err)
{
    const char *twice = cJSON_IsObject(object) ? double_key_below(object) : NULL;
    if (twice) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%.40s\" stands there twice; keep one", where, twice);
    }
    nest in = {.object = {object}, .n = 1};
    return read_nest(task, source, where, &in, table, err);
}

/* One list of rows, as `datasets` and pandas write it where they are not told to write lines. */
static zo_status read_json_list(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    const char *end = NULL, *zero = zo_json_escaped_zero(text);
    cJSON *list = zero ? NULL : cJSON_ParseWithLengthOpts(text, bytes + 1, &end, true);
    long line = 1, number = 0;
    if (!cJSON_IsArray(list)) {
        for (const char *at = text, *stop = zero ? zero : end; stop && at < stop; at++) {
            line += *at == '\n';
        }
        cJSON_Delete(list);
        return zo_fail(err, ZO_EINPUT, zero ? "%s:%ld: a string holds a zero byte (\\u0000), which no text here may; take it out"
                                            : "%s:%ld: not one JSON list of rows [{...}, ...]; write the file again", path, line);
    }
    zo_status status = ZO_OK;
    char where[WHERE_BYTES];
    for (const cJSON *row = list->child; row && !status; row = row->next) {
        snprintf(where, sizeof where, "%s, row %ld", path, ++number);
        status = read_object(task, source, where, row, table, err);
    }
    cJSON_Delete(list);
    return status;
}

static zo_status read_jsonl(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    if (text[strspn(text, " \t\r\n")] == '[') {
        return read_json_list(task, source, path, text, bytes, table, err);
    }
    zo_lines lines = zo_lines_of(text, bytes);
    size_t length;
    char where[WHERE_BYTES];
    for (char *line; (line = next_row(&lines, &length));) {
        const char *end = NULL, *zero = zo_json_escaped_zero(line);
        if (zero) {
            return zo_fail(err, ZO_EINPUT, "%s:%ld: a string holds a zero byte (\\u0000) at column %ld, which no text here may; take it out", path, lines.number,
                           (long)(zero - line) + 1);
        }
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

/* Is the first line a whole object, and not the last line? */
static bool is_lines(const char *text)
{
    size_t first = strcspn(text, "\n");
    const char *rest = text + first;
    if (rest[strspn(rest, " \t\r\n")] == '\0') {
        return false;
    }
    cJSON *object = cJSON_ParseWithLength(text, first);
    bool whole = cJSON_IsObject(object);
    cJSON_Delete(object);
    return whole;
}

/* Or a list, or lines: `datasets` writes both into files named .json. */
static zo_status read_json_map(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    if (source->format == ZO_FORMAT_JSON_MAP && (text[strspn(text, " \t\r\n")] == '[' || is_lines(text))) {
        return read_jsonl(task, source, path, text, bytes, table, err);
    }
    const char *end = NULL, *zero = zo_json_escaped_zero(text);
    cJSON *map = zero ? NULL : cJSON_ParseWithLengthOpts(text, bytes + 1, &end, true);
    long line = 1;
    if (!map || !cJSON_IsObject(map)) {
        for (const char *at = text, *stop = zero ? zero : end; stop && at < stop; at++) {
            line += *at == '\n';
        }
        cJSON_Delete(map);
        return zo_fail(err, ZO_EINPUT, zero ? "%s:%ld: a string holds a zero byte (\\u0000), which no text here may; take it out"
                                : source->format == ZO_FORMAT_JSON_TREE ? "%s:%ld: not one JSON object that holds lists of rows; fetch the file again"
                                            : "%s:%ld: not one JSON object of rows {\"0\": {...}, ...}; fetch the file again", path, line);
    }
    const char *twice = zo_json_double_key(map);
    if (source->format == ZO_FORMAT_JSON_TREE) {
        zo_status status = read_object(task, source, path, map, table, err);
        cJSON_Delete(map);
        return status;
    }
    if (twice) {
        zo_status status = zo_fail(err, ZO_EINPUT, "%s: row \"%.40s\" stands there twice; keep one", path, twice);
        cJSON_Delete(map);
        return status;
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

zo_status zo_source_parse(const zo_task *task, const zo_source *source, const char *path, char *text, size_t bytes, zo_table *table, zo_err *err)
{
    if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        bytes -= 3;
    }
    if (bytes >= 4 && memcmp(text, "PAR1", 4) == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: this is a parquet file, whatever its name; convert it: " ZO_FROM_PARQUET, path, path, path);
    }
    const char *nul = memchr(text, '\0', bytes);
    if (nul) {
        long line = 1;
        for (const char *k = text; k < nul; k++) {
            line += *k == '\n';
        }
        return zo_fail(err, ZO_EINPUT, "%s:%ld: a NUL byte, so this is no text file; fetch it again", path, line);
    }
    return source->format == ZO_FORMAT_JSONL      ? read_jsonl(task, source, path, text, bytes, table, err)
           : source->format == ZO_FORMAT_JSON_MAP || source->format == ZO_FORMAT_JSON_TREE ? read_json_map(task, source, path, text, bytes, table, err)
                                                  : read_columns(task, source, path, text, bytes, table, err);
}

zo_status zo_source_read(const zo_task *task, const zo_source *source, const char *path, zo_table *table, zo_err *err)
{
    char *text = NULL;
    size_t bytes = 0;
    zo_status status = zo_read_file_or_gz(path, FILE_MOST_BYTES, &text, &bytes, err);
    if (!status) {
        status = zo_source_parse(task, source, path, text, bytes, table, err);
        zo_free(text);
    }
    return status;
}
