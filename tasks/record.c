/* record.c: Reading Comprehension with Commonsense Reasoning (Zhang et al. 2018; SuperGLUE): which entity of a passage stands for @placeholder in
 * a sentence about it. MeZO ranks the sentences with each entity put in behind the passage, GPT-3's way, by the mean log-probability of the whole
 * sentence, and trains by teacher forcing on the right one. Entities are in order of their bytes, each once; where several are right, the first
 * is trained on, and each counts as right. */
#include <string.h>

#include "core/mem.h"
#include "tasks/task_impl.h"

#define PLACE "@placeholder"

static zo_status check_query(zo_record *record, zo_table *table, const char *where, zo_err *err)
{
    (void)table;
    if (strstr(record->field[1], PLACE)) {
        return ZO_OK;
    }
    return zo_fail(err, ZO_EINPUT, "%s: the query has no " PLACE ", where an entity is to stand; mend or remove the row", where);
}

/* In SuperGLUE's own files rows are in the list "qas" of a passage; what `datasets` writes has a row a line. */
#define KEYS .format = ZO_FORMAT_JSONL, .field = {"passage.text|passage", "query"}, .candidates = "passage.entities|entities", .label = "answers", \
             .each = {"qas"}, .finish = check_query
#define OF_FEWGLUE KEYS, .note = "record: rows of FewGLUE, 32 a file, SuperGLUE's are not there"

static const zo_source sources[] = {
    ZO_EXPORT_AS(0, "superglue/ReCoRD", ".jsonl", KEYS),
    ZO_EXPORT_AS(3, "record", ".jsonl", KEYS),
    {.part = ZO_FILE_TRAIN, .choice = 6, .path = "fewglue/ReCoRD/train.jsonl", OF_FEWGLUE},
    {.part = ZO_FILE_VALIDATION, .choice = 6, .path = "fewglue/ReCoRD/dev32.jsonl", OF_FEWGLUE},
    {.format = ZO_FORMAT_END},
};

/* `text` with `with` in place of each `what`. */
static char *replace(zo_table *storage, const char *text, const char *what, const char *with)
{
    size_t n = strlen(what), m = strlen(with), bytes = strlen(text);
    for (const char *at = text; (at = strstr(at, what)) != NULL; at += n) {
        bytes += m - n; /* the sum is never below 0 */
    }
    char *out = zo_table_text(storage, NULL, bytes), *to = out;
    for (const char *found; (found = strstr(text, what)) != NULL; text = found + n) {
        memcpy(to, text, (size_t)(found - text));
        to += found - text;
        memcpy(to, with, m);
        to += m;
    }
    memcpy(to, text, strlen(text));
    return out;
}

static void shape(zo_record *record, zo_table *storage)
{
    zo_candidates *own = zo_table_room(storage, sizeof *own);
    *own = *record->own;
    own->text = zo_table_room(storage, (size_t)own->n * sizeof *own->text);
    for (int32_t o = 0; o < own->n; o++) {
        own->text[o] = replace(storage, record->field[1], PLACE, record->own->text[o]);
    }
    record->field[0] = replace(storage, record->field[0], "@highlight\n", "- ");
    record->own = own;
}

const zo_task zo_task_record = {
    .info = {.name = "record", .title = "ReCoRD: the entity that a sentence leaves out, from a passage", .headline = ZO_ACCURACY,
             .files = "superglue/ReCoRD/{train,val}.jsonl"},
    .source = sources,
    .prompt = "{0}\n-",
    .option = {" {o}"},
    .free_prompt = "-",
    .prepare = shape,
    .teacher_forcing = true,
};
