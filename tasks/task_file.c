/* task_file.c: a task described in JSON (docs/tasks.md): columns, templates and label words, read into a zo_task. Such are those of this
 * folder, which are part of the program, and a user's own. What is accepted here, readers and encoder can use: they check nothing again. */
#include <cjson/cJSON.h>
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "tasks/task_impl.h"

#define FILE_MOST_BYTES ((size_t)1 << 20)

enum { PATH_BYTES = 200, LIMIT_MOST = 1 << 20 };

/* ---- keys ----------------------------------------------------------------------------------------------------------------- */

/* The keys that hold one value; lists and objects are named beside each table. */
typedef struct about { char name[ZO_OPT_STRING_BYTES], title[ZO_OPT_STRING_BYTES], source[ZO_OPT_STRING_BYTES], usual_files[ZO_OPT_STRING_BYTES]; int metric;
                       bool train_from_validation; } about;
static const zo_opt about_keys[] = {
    {.key = "name", .type = ZO_OPT_STRING, .offset = offsetof(about, name), .help = "what messages call the task"},
    {.key = "title", .type = ZO_OPT_STRING, .offset = offsetof(about, title), .help = "one line for `zo list tasks`"},
    {.key = "source", .type = ZO_OPT_STRING, .offset = offsetof(about, source), .help = "where data and templates are from"},
    {.key = "usual_files", .type = ZO_OPT_STRING, .offset = offsetof(about, usual_files), .help = "files as people say them"},
    {.key = "metric", .type = ZO_OPT_CHOICE, .offset = offsetof(about, metric), .choices = ZO_METRIC_CHOICES, .help = "what is reported"},
    {.key = "train_from_validation", .type = ZO_OPT_BOOL, .offset = offsetof(about, train_from_validation),
     .help = "all splits out of the validation file where the training file is absent"},
    {.key = NULL}};
#define ABOUT_ALSO "texts label classes scores answers left_out files head mask_prompt causal_prompt"

typedef struct group { int format; bool ragged; int empty; char label_end[ZO_OPT_STRING_BYTES], note[ZO_OPT_STRING_BYTES]; } group;
static const zo_opt group_keys[] = {
    {.key = "format", .type = ZO_OPT_CHOICE, .offset = offsetof(group, format), .choices = "by-name|tsv|csv|jsonl|json|label-text|json-tree", /* of zo_format */
     .help = "how rows are written"},
    {.key = "ragged", .type = ZO_OPT_BOOL, .offset = offsetof(group, ragged), .help = "rows may have other numbers of columns than the header"},
    {.key = "empty", .type = ZO_OPT_CHOICE, .offset = offsetof(group, empty), .choices = "refuse|drop|keep", .help = "rows with an empty text"},
    {.key = "label_end", .type = ZO_OPT_STRING, .offset = offsetof(group, label_end), .help = "the character that ends a label"},
    {.key = "note", .type = ZO_OPT_STRING, .offset = offsetof(group, note), .help = "said in the row when these files are read"},
    {.key = NULL}};
static const char *const part_key[ZO_FILE_PARTS] = {"train", "validation", "kshot_train", "kshot_dev", "kshot_test"};
#define GROUP_ALSO "train validation kshot_train kshot_dev kshot_test texts label classes answers each"

typedef struct mask { int64_t first_limit; } mask;
static const zo_opt mask_keys[] = {
    {.key = "first_sent_limit", .type = ZO_OPT_INT, .offset = offsetof(mask, first_limit), .most = LIMIT_MOST, .help = "most tokens of the first text; 0 = none"},
    {.key = NULL}};

typedef struct causal { int64_t most_tokens; bool teacher_forcing, own; } causal;
static const zo_opt causal_keys[] = {
    {.key = "most_tokens", .type = ZO_OPT_INT, .offset = offsetof(causal, most_tokens), .initial = 50, .least = 1, .most = 4096,
     .help = "of an answer that the model writes, at most"},
    {.key = "teacher_forcing", .type = ZO_OPT_BOOL, .offset = offsetof(causal, teacher_forcing), .help = "train on the right option alone"},
    {.key = "own", .type = ZO_OPT_BOOL, .offset = offsetof(causal, own), .help = "no paper has this prompt"},
    {.key = NULL}};

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

typedef struct reader {
    zo_task_file *to;
    const char *path;
    zo_err *err;
    int texts;                  /* entries of the task's "texts" */
    bool answers;               /* rows have right answers in place of a class */
    int choices[ZO_FILE_PARTS]; /* alternatives of a part so far */
} reader;

static zo_status refuse(const reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static zo_status refuse(const reader *r, const char *format, ...)
{
    char text[sizeof r->err->text];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return zo_fail(r->err, ZO_EINPUT, "%s: %s", r->path, text);
}

static const char *kind_of(const cJSON *value)
{
    return value ? zo_json_kind(value) : "missing";
}

/* A copy that lives as long as the task. NULL: there is no room. */
static const char *keep(reader *r, const char *text)
{
    size_t bytes = strlen(text) + 1;
    if (bytes > sizeof r->to->text - r->to->used) {
        refuse(r, "its texts have more than %d bytes together; make them shorter", ZO_TASK_TEXT_BYTES);
        return NULL;
    }
    char *at = memcpy(r->to->text + r->to->used, text, bytes);
    r->to->used += bytes;
    return at;
}

/* A column's name, or its number as the readers have it ("#3"). */
static zo_status read_column(reader *r, const cJSON *value, const char *key, const char **column)
{
    char number[16];
    if (cJSON_IsNumber(value)) {
        if (value->valuedouble != floor(value->valuedouble) || value->valuedouble < 0 || value->valuedouble >= ZO_TASK_COLUMNS) {
            return refuse(r, "\"%s\" has the column %g; expected 0 (the first) to %d, or a name", key, value->valuedouble, ZO_TASK_COLUMNS - 1);
        }
        snprintf(number, sizeof number, "#%d", (int)value->valuedouble);
    } else if (!cJSON_IsString(value)) {
        return refuse(r, "\"%s\" is %s; expected a column's name, or its number from 0 on where the file has no header", key, kind_of(value));
    } else {
        const char *name = value->valuestring;
        if (zo_is_column_number(name)) {
            return refuse(r, "\"%s\" has the column \"%.20s\"; write its number without mark and quotes", key, name);
        }
        for (const char *at = name;; at++) {
            size_t n = strcspn(at, "|");
            if (n == 0 || n >= ZO_TASK_KEY_BYTES) {
                return refuse(r, "\"%s\" has a column's name of %zu bytes; expected 1 to %d (\"a|b\" is a or, where that is not there, b)", key, n,
                              ZO_TASK_KEY_BYTES - 1);
            }
            at += n;
            if (!*at) {
                break;
            }
        }
    }
    *column = keep(r, cJSON_IsNumber(value) ? number : value->valuestring);
    return *column ? ZO_OK : r->err->status;
}

/* Columns of the texts: `texts` of them, any number where that is 0. A list of two is one text, the second column behind the first (`join`; NULL = not here). */
static zo_status read_texts(reader *r, const cJSON *list, const char *key, int texts, const char *field[ZO_TASK_FIELDS], const char *join[ZO_TASK_FIELDS])
{
    int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list)) {
        return refuse(r, "\"%s\" is %s; expected a list of columns, such as [\"sentence\"]", key, kind_of(list));
    }
    if (texts ? n != texts : n < 1 || n > ZO_TASK_FIELDS) {
        return texts ? refuse(r, "\"%s\" has %d entries, and the task has %d; give as many", key, n, texts)
                     : refuse(r, "\"%s\" has %d entries; expected 1 to %d", key, n, ZO_TASK_FIELDS);
    }
    int at = 0;
    for (const cJSON *item = list->child; item; item = item->next) {
        bool both = join && cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2;
        if (read_column(r, both ? item->child : item, key, &field[at]) || (both && read_column(r, item->child->next, key, &join[at]))) {
            return r->err->status;
        }
        at++;
    }
    return ZO_OK;
}

/* One spelling of a class, behind those in `text` (of 1000 bytes). */
static zo_status add_spelling(reader *r, const cJSON *value, const char *key, char *text)
{
    char number[40];
    const char *spelling = cJSON_IsString(value) ? value->valuestring : cJSON_IsBool(value) ? (cJSON_IsTrue(value) ? "true" : "false") : number;
    size_t used = strlen(text);
    if (cJSON_IsNumber(value)) {
        snprintf(number, sizeof number, "%.17g", value->valuedouble); /* as the readers spell numbers of rows */
    } else if (spelling == number) {
        return refuse(r, "\"%s\" has %s; expected a label as the files spell it, or a list of its spellings", key, kind_of(value));
    }
    if (!spelling[0] || strchr(spelling, '|') || used + strlen(spelling) + 2 > 1000) {
        return refuse(r, "\"%s\" has the spelling \"%.40s\"; expected one that is not empty, without '|', and less than 1000 bytes for a class", key, spelling);
    }
    snprintf(text + used, 1000 - used, "%s%s", used ? "|" : "", spelling);
    return ZO_OK;
}

/* How each class is spelled; `classes` of them, any number where that is 0. */
static zo_status read_classes(reader *r, const cJSON *list, const char *key, int classes, const char **spelling)
{
    int n = cJSON_GetArraySize(list), at = 0;
    if (!cJSON_IsArray(list)) {
        return refuse(r, "\"%s\" is %s; expected a list of labels as the files spell them, such as [\"0\", \"1\"]", key, kind_of(list));
    }
    if (classes ? n != classes : n < 2 || n > ZO_TASK_CLASSES) {
        return classes ? refuse(r, "\"%s\" has %d entries, and the task has %d classes; give as many", key, n, classes)
                       : refuse(r, "\"%s\" has %d entries; expected 2 to %d", key, n, ZO_TASK_CLASSES);
    }
    for (const cJSON *item = list->child; item; item = item->next, at++) {
        char text[1000] = "";
        const cJSON *one = cJSON_IsArray(item) ? item->child : item;
        for (; one; one = cJSON_IsArray(item) ? one->next : NULL) {
            if (add_spelling(r, one, key, text)) {
                return r->err->status;
            }
        }
        if (!text[0]) {
            return refuse(r, "\"%s\" has an empty list; give the label as the files spell it", key);
        }
        for (int c = 0; c < at; c++) {
            for (const char *word = text; *word; word += *word == '|') {
                size_t bytes = strcspn(word, "|");
                if (zo_spelled_as(spelling[c], word, bytes)) {
                    return refuse(r, "\"%s\" has \"%.*s\" for two classes; give it to one", key, bytes < 40 ? (int)bytes : 40, word);
                }
                word += bytes;
            }
        }
        spelling[at] = keep(r, text);
        if (!spelling[at]) {
            return r->err->status;
        }
    }
    return ZO_OK;
}

/* The least and the most of a score, in place of classes. */
static zo_status read_scores(reader *r, const cJSON *list)
{
    zo_task *task = &r->to->task;
    const cJSON *least = cJSON_GetArrayItem(list, 0), *most = cJSON_GetArrayItem(list, 1);
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 2 || !cJSON_IsNumber(least) || !cJSON_IsNumber(most)) {
        return refuse(r, "\"scores\" is not two numbers; expected the least and the most that a score can be, such as [0, 5]");
    }
    if (!(least->valuedouble < most->valuedouble) || !(fabs(least->valuedouble) < 1e6) || !(fabs(most->valuedouble) < 1e6)) {
        return refuse(r, "\"scores\" is [%g, %g]; expected the smaller first, both between -1e6 and 1e6", least->valuedouble, most->valuedouble);
    }
    char text[80];
    snprintf(text, sizeof text, "scores %.17g %.17g", least->valuedouble, most->valuedouble);
    task->scores = true;
    task->score_least = least->valuedouble;
    task->score_most = most->valuedouble;
    task->info.classes = 2;
    task->info.headline = ZO_PEARSON;
    task->younger = keep(r, text);
    return task->younger ? ZO_OK : r->err->status;
}

/* Labels whose rows are no rows. */
static zo_status read_left_out(reader *r, const cJSON *list)
{
    char text[1000] = "";
    if (!cJSON_IsArray(list) || !list->child) {
        return refuse(r, "\"left_out\" is %s; expected a list of labels whose rows are left out, such as [\"-\"]",
                      cJSON_IsArray(list) ? "an empty list" : kind_of(list));
    }
    for (const cJSON *item = list->child; item; item = item->next) {
        size_t before = strlen(text);
        if (add_spelling(r, item, "left_out", text)) {
            return r->err->status;
        }
        const char *word = text + before + (before > 0);
        for (int c = 0; c < r->to->task.info.classes; c++) {
            if (zo_spelled_as(r->to->task.label[c], word, strlen(word))) {
                return refuse(r, "\"left_out\" has \"%.40s\", which is a label of \"classes\"; give it to one of the two", word);
            }
        }
    }
    r->to->task.left_out = keep(r, text);
    return r->to->task.left_out ? ZO_OK : r->err->status;
}

/* Label words or options: a text a class. */
static zo_status read_per_class(reader *r, const cJSON *list, const char *key, size_t most, const char **word)
{
    int classes = r->to->task.info.classes, n = cJSON_GetArraySize(list), at = 0;
    if (!cJSON_IsArray(list) || n != classes) {
        return cJSON_IsArray(list) ? refuse(r, "\"%s\" has %d entries, and there are %d classes; give one a class, in the order of \"classes\"", key, n, classes)
                                   : refuse(r, "\"%s\" is %s; expected a list of %d strings, one a class, in the order of \"classes\"", key, kind_of(list), classes);
    }
    for (const cJSON *item = list->child; item; item = item->next, at++) {
        if (!cJSON_IsString(item) || !item->valuestring[0] || strlen(item->valuestring) > most) {
            return cJSON_IsString(item) ? refuse(r, "\"%s\" has a text of %zu bytes; expected 1 to %zu", key, strlen(item->valuestring), most)
                                        : refuse(r, "\"%s\" has %s in its list; expected strings", key, kind_of(item));
        }
        for (int c = 0; c < at; c++) {
            if (strcmp(word[c], item->valuestring) == 0) {
                return refuse(r, "\"%s\" has \"%.40s\" for two classes, which nothing could tell apart; give each its own", key, word[c]);
            }
        }
        word[at] = keep(r, item->valuestring);
        if (!word[at]) {
            return r->err->status;
        }
    }
    return ZO_OK;
}

/* ---- files ---------------------------------------------------------------------------------------------------------------- */

static bool ends_with(const char *text, size_t n, const char *end)
{
    size_t m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

static zo_format format_of_name(const char *path)
{
    static const struct { const char *end; zo_format format; } known[] = {
        {".tsv", ZO_FORMAT_TSV}, {".csv", ZO_FORMAT_CSV}, {".jsonl", ZO_FORMAT_JSONL}, {".json", ZO_FORMAT_JSON_MAP}};
    size_t n = strlen(path);
    n -= ends_with(path, n, ".gz") ? 3 : 0;
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (ends_with(path, n, known[k].end)) {
            return known[k].format;
        }
    }
    return ZO_FORMAT_END;
}

bool zo_task_reads(const char *file)
{
    return format_of_name(file) != ZO_FORMAT_END;
}

/* Where the right answers of a row are: one place, or several that are read together. */
static zo_status read_answers(reader *r, const cJSON *value, const char *key, zo_source *common)
{
    int n = cJSON_IsArray(value) ? cJSON_GetArraySize(value) : 1, at = 0;
    if (n < 1 || n > ZO_TASK_FIELDS - 1) {
        return refuse(r, "\"%s\" has %d entries; expected one place, or a list of up to %d that are read together", key, n, ZO_TASK_FIELDS - 1);
    }
    memset(common->answers, 0, sizeof common->answers);
    for (const cJSON *item = cJSON_IsArray(value) ? value->child : value; item && at < n; item = item->next) {
        if (!cJSON_IsString(item)) {
            return refuse(r, "\"%s\" is %s; expected where a row's right answers are, such as \"answers.text\"", key, kind_of(item));
        }
        if (read_column(r, item, key, &common->answers[at++])) {
            return r->err->status;
        }
    }
    common->label = common->answers[0];
    return ZO_OK;
}

/* A file of a part, with what `common` says of its rows. `key` is that of the path. */
static zo_status add_source(reader *r, const zo_source *common, zo_file_part part, int choice, const char *path, const char *key)
{
    zo_task_file *to = r->to;
    if (to->sources == ZO_TASK_SOURCES || choice == ZO_TASK_CHOICES) {
        return refuse(r, "\"%s\": there are more than %d files, or %d to choose from; leave some out", key, ZO_TASK_SOURCES, ZO_TASK_CHOICES);
    }
    if (!path[0] || path[0] == '/' || strlen(path) >= PATH_BYTES) {
        return refuse(r, "\"%s\" is \"%.80s\"; expected a path below the data folder (--data), of 1 to %d bytes", key, path, PATH_BYTES - 1);
    }
    if ((part == ZO_FILE_KSHOT_TRAIN || part == ZO_FILE_KSHOT_DEV) && !strchr(path, '@')) {
        return refuse(r, "\"%s\" is \"%.80s\", the same for every k and seed; write @ where \"16-13\" and its like stand in the path", key, path);
    }
    for (int s = 0; s < to->sources; s++) {
        if (to->source[s].part + part == ZO_FILE_TRAIN + ZO_FILE_VALIDATION && strcmp(to->source[s].path, path) == 0) {
            return refuse(r, "\"%s\" is \"%.80s\", which is both training and validation file: what is trained on would be tested on. Leave \"train\" out, and say "
                             "\"train_from_validation\": true, which shares one file out", key, path);
        }
    }
    zo_source *source = &to->source[to->sources];
    *source = *common;
    source->part = part;
    source->choice = choice;
    source->path = keep(r, path);
    if (source->format == ZO_FORMAT_END) {
        source->format = format_of_name(path);
    }
    if (!source->path) {
        return r->err->status;
    }
    if (source->format == ZO_FORMAT_END) {
        return refuse(r, "\"%s\" is \"%.80s\", whose name does not say how it is written; give \"format\": tsv, csv, jsonl, json or label-text", key, path);
    }
    bool json = source->format == ZO_FORMAT_JSONL || source->format == ZO_FORMAT_JSON_MAP || source->format == ZO_FORMAT_JSON_TREE;
    if (source->format == ZO_FORMAT_JSON_TREE && !source->each[0]) {
        return refuse(r, "\"%s\" is \"%.80s\", a json-tree, and \"each\" does not say in which lists its rows are; give that, or another \"format\"", key, path);
    }
    if (source->answers[0] && !json) {
        return refuse(r, "\"%s\" is \"%.80s\", where no row has a list of answers; only jsonl and json have \"answers\"", key, path);
    }
    if (source->each[0] && !json) {
        return refuse(r, "\"%s\" is \"%.80s\", which has no lists; only jsonl and json have \"each\"", key, path);
    }
    if (source->ragged && source->format != ZO_FORMAT_TSV && source->format != ZO_FORMAT_CSV) {
        return refuse(r, "\"%s\" is \"%.80s\", which has no columns to be ragged; leave \"ragged\" out", key, path);
    }
    for (int k = 0; k < ZO_TASK_FIELDS; k++) {
        if (source->join[k] && source->format != ZO_FORMAT_TSV && source->format != ZO_FORMAT_CSV) {
            return refuse(r, "\"%s\" is \"%.80s\", of which no two columns are one text; only tsv and csv can join them", key, path);
        }
    }
    int named = !zo_is_column_number(source->label), columns = 1;
    for (; columns <= ZO_TASK_FIELDS && source->field[columns - 1]; columns++) {
        named += !zo_is_column_number(source->field[columns - 1]);
    }
    if (json && named < columns) {
        return refuse(r, "\"%s\" is \"%.80s\", whose columns have no numbers; give \"texts\" and \"label\" by name", key, path);
    }
    if (source->format == ZO_FORMAT_LABEL_TEXT && named > 0) {
        return refuse(r, "\"%s\" is \"%.80s\", whose columns have no names; give \"label\": 0 and \"texts\": [1]", key, path);
    }
    to->sources++;
    to->source[to->sources].format = ZO_FORMAT_END;
    return ZO_OK;
}

/* One path, "a/{b,c}.tsv" for the first of a/b.tsv and a/c.tsv that is there; or a list of files that are read together. */
static zo_status read_paths(reader *r, const zo_source *common, zo_file_part part, const cJSON *value, const char *key)
{
    if (cJSON_IsArray(value)) {
        if (!value->child) {
            return refuse(r, "\"%s\" is an empty list; give a path, or leave the key out", key);
        }
        for (const cJSON *item = value->child; item; item = item->next) {
            if (!cJSON_IsString(item) || strpbrk(item->valuestring, "{}")) {
                return refuse(r, "\"%s\" has %s in its list; expected paths of files that are read one after the other", key,
                              cJSON_IsString(item) ? "braces" : kind_of(item));
            }
            if (add_source(r, common, part, r->choices[part], item->valuestring, key)) {
                return r->err->status;
            }
        }
        r->choices[part]++;
        return ZO_OK;
    }
    if (!cJSON_IsString(value)) {
        return refuse(r, "\"%s\" is %s; expected a path below the data folder, or a list of them", key, kind_of(value));
    }
    const char *path = value->valuestring, *open = strchr(path, '{'), *close = strchr(path, '}');
    if (!open && !close) {
        return add_source(r, common, part, r->choices[part]++, path, key);
    }
    if (!open || !close || close < open || strpbrk(open + 1, "{") || strchr(close + 1, '}')) {
        return refuse(r, "\"%s\" is \"%.80s\"; expected at most one pair of braces, as in \"a/{dev,validation}.tsv\"", key, path);
    }
    for (const char *name = open + 1; name <= close;) {
        char whole[PATH_BYTES + 1];
        size_t n = strcspn(name, ",}");
        snprintf(whole, sizeof whole, "%.*s%.*s%s", (int)(open - path), path, (int)n, name, close + 1);
        if (add_source(r, common, part, r->choices[part]++, whole, key)) {
            return r->err->status;
        }
        name += n + 1;
    }
    return ZO_OK;
}

/* The lists whose elements are rows. */
static zo_status read_each(reader *r, const cJSON *list, int at, zo_source *common)
{
    int n = cJSON_GetArraySize(list), k = 0;
    if (list && (!cJSON_IsArray(list) || n < 1 || n > ZO_TASK_LEVELS)) {
        return refuse(r, "\"files[%d].each\" is %s; expected 1 to %d keys of lists, the outer one first, such as [\"passage.questions\", \"answers\"]", at,
                      cJSON_IsArray(list) ? "a list of another length" : kind_of(list), ZO_TASK_LEVELS);
    }
    for (const cJSON *item = list ? list->child : NULL; item; item = item->next) {
        if (!cJSON_IsString(item)) {
            return refuse(r, "\"files[%d].each\" has %s; expected the key of a list", at, kind_of(item));
        }
        if (read_column(r, item, "each", &common->each[k++])) {
            return r->err->status;
        }
    }
    return ZO_OK;
}

/* Entry `at` of "files": paths, and how their rows are written where that is not the task's way. */
static zo_status read_group(reader *r, const cJSON *object, int at, const zo_source *usual)
{
    group g;
    char where[4200], key[64];
    snprintf(where, sizeof where, "%s: files[%d]", r->path, at);
    if (zo_opt_read(group_keys, object, GROUP_ALSO, where, &g, r->err)) {
        return r->err->status;
    }
    zo_source common = *usual;
    common.format = (zo_format)g.format;
    if (strlen(g.label_end) > 1) {
        return refuse(r, "\"files[%d].label_end\" is \"%.20s\"; expected one character of ASCII", at, g.label_end);
    }
    common.label_end = g.label_end[0];
    common.ragged = g.ragged;
    common.empty = (zo_empty)g.empty;
    if (common.empty == ZO_EMPTY_KEEP && r->texts == 1) {
        return refuse(r, "\"files[%d].empty\" is keep, and the task has one text, without which nothing is left; say drop", at);
    }
    if (g.note[0]) {
        common.note = keep(r, g.note);
        if (!common.note) {
            return r->err->status;
        }
    }
    const cJSON *texts = cJSON_GetObjectItemCaseSensitive(object, "texts"), *label = cJSON_GetObjectItemCaseSensitive(object, "label"),
                *classes = cJSON_GetObjectItemCaseSensitive(object, "classes");
    snprintf(key, sizeof key, "files[%d].texts", at);
    if (texts && read_texts(r, texts, key, r->texts, common.field, common.join)) {
        return r->err->status;
    }
    const cJSON *answers = cJSON_GetObjectItemCaseSensitive(object, "answers");
    snprintf(key, sizeof key, "files[%d].answers", at);
    if (answers && (!r->answers || label || classes)) {
        return refuse(r, "\"%s\" %s; a task has \"answers\", or \"label\" and \"classes\"", key, r->answers ? "stands beside \"label\" or \"classes\"" : "stands there, and the task has none");
    }
    if (!answers && r->answers && (label || classes)) {
        return refuse(r, "\"files[%d]\" has \"label\" or \"classes\", and the task has \"answers\" in their place; leave them out", at);
    }
    if (answers && read_answers(r, answers, key, &common)) {
        return r->err->status;
    }
    snprintf(key, sizeof key, "files[%d].label", at);
    if (cJSON_IsNumber(label) && label->valuedouble == -1) {
        common.label = ZO_LAST_COLUMN;
        if (!g.ragged) {
            return refuse(r, "\"%s\" is -1, the last column of rows that differ in length; say \"ragged\": true, or give the column's number", key);
        }
    } else if (label && read_column(r, label, key, &common.label)) {
        return r->err->status;
    }
    snprintf(key, sizeof key, "files[%d].classes", at);
    if (classes) {
        int n = r->to->task.info.classes;
        if (n > ZO_TASK_SPELLINGS - r->to->spellings) {
            return refuse(r, "\"%s\": there are more than %d spellings of files; leave some out", key, ZO_TASK_SPELLINGS);
        }
        common.spelling = r->to->spelling + r->to->spellings;
        if (read_classes(r, classes, key, n, r->to->spelling + r->to->spellings)) {
            return r->err->status;
        }
        r->to->spellings += n;
    }
    if (read_each(r, cJSON_GetObjectItemCaseSensitive(object, "each"), at, &common)) {
        return r->err->status;
    }
    int paths = 0;
    for (int p = 0; p < ZO_FILE_PARTS; p++) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, part_key[p]);
        snprintf(key, sizeof key, "files[%d].%s", at, part_key[p]);
        if (value && read_paths(r, &common, (zo_file_part)p, value, key)) {
            return r->err->status;
        }
        paths += value != NULL;
    }
    return paths ? ZO_OK : refuse(r, "\"files[%d]\" names no file; give \"train\" or \"validation\", or one of kshot_train, kshot_dev, kshot_test", at);
}

static zo_status read_files(reader *r, const cJSON *object, const char *const field[ZO_TASK_FIELDS])
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "files");
    zo_source usual = {.format = ZO_FORMAT_END};
    memcpy(usual.field, field, sizeof usual.field);
    if (r->answers ? read_answers(r, cJSON_GetObjectItemCaseSensitive(object, "answers"), "answers", &usual)
                   : read_column(r, cJSON_GetObjectItemCaseSensitive(object, "label"), "label", &usual.label)) {
        return r->err->status;
    }
    if (!cJSON_IsArray(list) || !list->child) {
        return refuse(r, "\"files\" is %s; expected a list such as [{\"train\": \"train.tsv\", \"validation\": \"dev.tsv\"}]",
                      cJSON_IsArray(list) ? "an empty list" : kind_of(list));
    }
    int at = 0;
    for (const cJSON *item = list->child; item; item = item->next) {
        if (read_group(r, item, at++, &usual)) {
            return r->err->status;
        }
    }
    r->to->task.source = r->to->source;
    return ZO_OK;
}

/* ---- forms ---------------------------------------------------------------------------------------------------------------- */

static zo_status read_head(reader *r, const cJSON *value)
{
    zo_task *task = &r->to->task;
    if (!value || r->answers) { /* one text alone, or two as a pair; an answer or a score is no class */
        if (value) {
            return refuse(r, "\"head\" stands beside \"answers\", which are no classes that a head could tell apart; leave one of them out");
        }
        task->texts = r->texts <= 2 && !r->answers && !task->scores ? r->texts : 0;
        return ZO_OK;
    }
    int n = cJSON_GetArraySize(value), chosen[2] = {0, 1}, at = 0;
    if (!cJSON_IsArray(value) || n > 2) {
        return refuse(r, "\"head\" is %s; expected a list of the one or two texts that are classified, such as [0, 1], or [] for none",
                      cJSON_IsArray(value) ? "a longer list" : kind_of(value));
    }
    for (const cJSON *item = value->child; item; item = item->next) {
        double x = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (x != floor(x) || x < 0 || x >= r->texts || (at && x == chosen[0])) {
            return refuse(r, "\"head\" has %s where a text's number was expected, 0 to %d, each once", cJSON_IsNumber(item) ? "another number" : kind_of(item),
                          r->texts - 1);
        }
        chosen[at++] = (int)x;
    }
    task->texts = n;
    bool usual = n == 0 || (chosen[0] == 0 && (n == 1 || chosen[1] == 1));
    if (!usual) {
        task->pair_of[0] = chosen[0];
        task->pair_of[1] = n == 2 ? chosen[1] : chosen[0] == 0;
    }
    return ZO_OK;
}

static zo_status read_template(reader *r, const cJSON *object, const char *key, const char *(*fault_of)(const char *text, int texts), const char **kept)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "template");
    if (!cJSON_IsString(value) || !value->valuestring[0]) {
        return refuse(r, "\"%s.template\" is %s; expected the prompt's text", key, cJSON_IsString(value) ? "empty" : kind_of(value));
    }
    const char *fault = fault_of(value->valuestring, r->texts);
    if (fault) {
        return refuse(r, "\"%s.template\" %s", key, fault);
    }
    *kept = keep(r, value->valuestring);
    return *kept ? ZO_OK : r->err->status;
}

static zo_status read_mask_prompt(reader *r, const cJSON *object)
{
    zo_task *task = &r->to->task;
    mask m;
    char where[4200];
    snprintf(where, sizeof where, "%s: mask_prompt", r->path);
    if (zo_opt_read(mask_keys, object, "template words", where, &m, r->err) ||
        read_template(r, object, "mask_prompt", zo_mask_template_fault, &task->mask_template)) {
        return r->err->status;
    }
    task->first_limit = (int)m.first_limit;
    return read_per_class(r, cJSON_GetObjectItemCaseSensitive(object, "words"), "mask_prompt.words", ZO_TASK_WORD_BYTES - 1, task->mask_word);
}

/* Which texts are stripped: all, none, or those of a list. MeZO's code strips the text of SST-2, and not those of pairs. */
static zo_status read_strip(reader *r, const cJSON *object)
{
    zo_task *task = &r->to->task;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "strip");
    unsigned all = (1U << r->texts) - 1, usual = r->texts == 1 ? all : 0;
    task->strip = !value ? usual : cJSON_IsTrue(value) ? all : 0;
    if (value && !cJSON_IsBool(value) && !cJSON_IsArray(value)) {
        return refuse(r, "\"causal_prompt.strip\" is %s; expected true, false, or a list of texts such as [0]", kind_of(value));
    }
    for (const cJSON *item = cJSON_IsArray(value) ? value->child : NULL; item; item = item->next) {
        double x = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (x != floor(x) || x < 0 || x >= r->texts) {
            return refuse(r, "\"causal_prompt.strip\" has %s where a text's number was expected, 0 to %d", cJSON_IsNumber(item) ? "another number" : kind_of(item),
                          r->texts - 1);
        }
        task->strip |= 1U << (int)x;
    }
    char some[32];
    snprintf(some, sizeof some, "strip %u", task->strip);
    task->younger = task->strip == usual ? NULL : keep(r, task->strip == all ? "strip" : task->strip == 0 ? "no strip" : some);
    return task->strip != usual && !task->younger ? r->err->status : ZO_OK;
}

/* What follows the prompt where the model writes it. */
static zo_status read_answer(reader *r, const cJSON *object)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "answer");
    const char *place = cJSON_IsString(value) ? strstr(value->valuestring, "{o}") : NULL;
    if (!place || strstr(place + 1, "{o}")) {
        return refuse(r, "\"causal_prompt.answer\" is %s; expected what follows the prompt, with {o} once for the answer, such as \" {o}\\n\"",
                      cJSON_IsString(value) ? "a text without one {o}" : kind_of(value));
    }
    r->to->task.option[0] = keep(r, value->valuestring);
    return r->to->task.option[0] ? ZO_OK : r->err->status;
}

static zo_status read_causal_prompt(reader *r, const cJSON *object)
{
    zo_task *task = &r->to->task;
    causal c;
    char where[4200];
    snprintf(where, sizeof where, "%s: causal_prompt", r->path);
    if (zo_opt_read(causal_keys, object, "template options answer strip content_free", where, &c, r->err) ||
        read_template(r, object, "causal_prompt", zo_prompt_fault, &task->prompt) || read_strip(r, object) ||
        (r->answers ? read_answer(r, object)
                    : read_per_class(r, cJSON_GetObjectItemCaseSensitive(object, "options"), "causal_prompt.options", ZO_TASK_TEXT_BYTES, task->option))) {
        return r->err->status;
    }
    const char *without = r->answers ? "options" : cJSON_GetObjectItemCaseSensitive(object, "answer") ? "answer" : "most_tokens";
    if (cJSON_GetObjectItemCaseSensitive(object, without)) {
        return refuse(r, "\"causal_prompt.%s\" stands there, and the task %s; leave it out", without,
                      r->answers ? "has \"answers\", which the model writes" : "has \"classes\", which are told apart by \"options\"");
    }
    for (int k = 0; k < task->info.classes; k++) {
        const char *fault = zo_prompt_fault(task->option[k], r->texts);
        if (fault) {
            return refuse(r, "\"causal_prompt.options\" %s", fault);
        }
    }
    task->answer_tokens = r->answers ? (int)c.most_tokens : 0;
    const cJSON *content_free = cJSON_GetObjectItemCaseSensitive(object, "content_free");
    if (content_free && (!cJSON_IsString(content_free) || zo_prompt_fault(content_free->valuestring, r->texts))) {
        return cJSON_IsString(content_free) ? refuse(r, "\"causal_prompt.content_free\" %s", zo_prompt_fault(content_free->valuestring, r->texts))
                                            : refuse(r, "\"causal_prompt.content_free\" is %s; expected a text", kind_of(content_free));
    }
    task->free_prompt = content_free ? keep(r, content_free->valuestring) : NULL;
    if (content_free && !task->free_prompt) {
        return r->err->status;
    }
    task->teacher_forcing = c.teacher_forcing;
    task->own_prompt = c.own;
    return ZO_OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

static zo_status read_about(reader *r, const cJSON *object)
{
    zo_task *task = &r->to->task;
    about a;
    if (zo_opt_read(about_keys, object, ABOUT_ALSO, r->path, &a, r->err)) {
        return r->err->status;
    }
    size_t n = strlen(a.name);
    for (size_t k = 0; k < n; k++) {
        unsigned char c = (unsigned char)a.name[k];
        if (!isalnum(c) && c != '-' && c != '_' && c != '.') {
            return refuse(r, "\"name\" is \"%.63s\"; expected letters, digits, - . and _", a.name);
        }
    }
    if (n == 0 || n > 63) {
        return refuse(r, "\"name\" has %zu bytes; expected a name of 1 to 63, such as \"my-task\"", n);
    }
    task->info.name = keep(r, a.name);
    task->info.title = keep(r, a.title[0] ? a.title : a.name);
    task->info.files = a.usual_files[0] ? keep(r, a.usual_files) : NULL;
    task->info.headline = (zo_metric)a.metric;
    task->train_from_validation = a.train_from_validation;
    return ZO_OK; /* there is room for these three */
}

/* What `zo list tasks` says where the description has no words for it. */
static zo_status name_files(reader *r)
{
    const char *of[2] = {NULL, NULL};
    char text[2 * PATH_BYTES + 8];
    for (int s = r->to->sources - 1; s >= 0; s--) {
        if (r->to->source[s].part <= ZO_FILE_VALIDATION) {
            of[r->to->source[s].part] = r->to->source[s].path;
        }
    }
    snprintf(text, sizeof text, "%s%s%s", of[0] ? of[0] : "", of[0] && of[1] ? " and " : "", of[1] ? of[1] : "");
    r->to->task.info.files = keep(r, text[0] ? text : r->to->source[0].path);
    return r->to->task.info.files ? ZO_OK : r->err->status;
}

static zo_status read_task(reader *r, const cJSON *object)
{
    zo_task *task = &r->to->task;
    const char *field[ZO_TASK_FIELDS] = {NULL};
    const cJSON *texts = cJSON_GetObjectItemCaseSensitive(object, "texts"), *classes = cJSON_GetObjectItemCaseSensitive(object, "classes"),
                *mask_prompt = cJSON_GetObjectItemCaseSensitive(object, "mask_prompt"),
                *causal_prompt = cJSON_GetObjectItemCaseSensitive(object, "causal_prompt"),
                *left_out = cJSON_GetObjectItemCaseSensitive(object, "left_out");
    const cJSON *scores = cJSON_GetObjectItemCaseSensitive(object, "scores");
    r->answers = cJSON_GetObjectItemCaseSensitive(object, "answers") != NULL;
    const char *class_keys[] = {"classes", "label", "left_out", "mask_prompt"};
    for (size_t k = 0; r->answers && k < sizeof class_keys / sizeof *class_keys; k++) {
        if (cJSON_GetObjectItemCaseSensitive(object, class_keys[k])) {
            return refuse(r, "\"%s\" stands beside \"answers\", which a model writes in words; leave one of the two out", class_keys[k]);
        }
    }
    if (read_about(r, object) || read_texts(r, texts, "texts", 0, field, NULL)) {
        return r->err->status;
    }
    zo_metric named = task->info.headline;
    bool has_head = cJSON_GetObjectItemCaseSensitive(object, "head") != NULL;
    if (scores && (classes || left_out || causal_prompt || has_head || r->answers)) {
        return refuse(r, "\"scores\" stands with \"%s\"; a score is shared by the two words of a \"mask_prompt\", and has neither classes nor another form",
                      classes ? "classes" : left_out ? "left_out" : causal_prompt ? "causal_prompt" : has_head ? "head" : "answers");
    }
    if (!r->answers && (scores ? read_scores(r, scores) : read_classes(r, classes, "classes", 0, task->label))) {
        return r->err->status;
    }
    r->texts = cJSON_GetArraySize(texts);
    task->info.classes = r->answers ? 0 : scores ? 2 : cJSON_GetArraySize(classes);
    task->info.writes = r->answers;
    task->info.scores = task->scores;
    bool names_metric = cJSON_GetObjectItemCaseSensitive(object, "metric") != NULL;
    task->info.headline = names_metric ? named : r->answers ? ZO_TOKEN_F1 : task->info.headline;
    const char *fault = zo_metric_fault(task->info.headline, &task->info);
    if (fault) {
        return refuse(r, "\"metric\" is \"%s\", which is %s; say another", zo_metric_name(task->info.headline), fault);
    }
    if (left_out && read_left_out(r, left_out)) {
        return r->err->status;
    }
    if (task->info.headline == ZO_F1 && task->info.classes > 2) {
        return refuse(r, "\"metric\" is \"f1\", which is that of class 1 of two, and there are %d classes; say \"macro_f1\"", task->info.classes);
    }
    if (read_files(r, object, field) || (!task->info.files && name_files(r)) || read_head(r, cJSON_GetObjectItemCaseSensitive(object, "head")) ||
        (mask_prompt && read_mask_prompt(r, mask_prompt)) || (causal_prompt && read_causal_prompt(r, causal_prompt))) {
        return r->err->status;
    }
    if (!task->texts && !mask_prompt && !causal_prompt) {
        return refuse(r, "there is no form: with %d texts give \"head\", \"mask_prompt\" or \"causal_prompt\"", r->texts);
    }
    return ZO_OK;
}

zo_status zo_task_file_parse(zo_task_file *file, const char *text, size_t bytes, const char *path, zo_err *err)
{
    reader r = {.to = file, .path = path, .err = err};
    file->task = (zo_task){.texts = 0};
    file->sources = file->spellings = 0;
    file->used = 0;
    utf8proc_int32_t c;
    for (size_t at = 0; at < bytes;) {
        utf8proc_ssize_t step = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(bytes - at), &c);
        if (step <= 0) {
            return refuse(&r, "byte %zu is not UTF-8; convert the file, for instance with iconv -t UTF-8", at + 1);
        }
        at += (size_t)step;
    }
    cJSON *json;
    zo_status status = zo_json_parse(text, bytes, path, &json, err);
    if (!status) {
        status = read_task(&r, json);
        cJSON_Delete(json);
    }
    return status;
}

zo_status zo_task_file_read(zo_task_file *file, const char *path, zo_err *err)
{
    char *text;
    size_t bytes;
    zo_status status = zo_read_file(path, FILE_MOST_BYTES, &text, &bytes, err);
    if (!status) {
        status = zo_task_file_parse(file, text, bytes, path, err);
        zo_free(text);
    }
    return status;
}
