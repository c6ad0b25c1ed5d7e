/* boolq.c: yes/no questions about a passage (SuperGLUE). MeZO's prompt capitalises the question and ends it with "?". */
#include <string.h>
#include <utf8proc.h>

#include "tasks/task_impl.h"

#define KEYS .format = ZO_FORMAT_JSONL, .label = "label", .field = {"passage", "question"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "superglue/BoolQ/train.jsonl", KEYS},
    {.part = ZO_FILE_VALIDATION, .path = "superglue/BoolQ/val.jsonl", KEYS},
    {.format = ZO_FORMAT_END},
};

static void shape_question(zo_record *record, zo_table *storage)
{
    const char *text = record->field[1];
    size_t n = strlen(text);
    utf8proc_int32_t first = 0;
    utf8proc_uint8_t upper[5] = "";
    utf8proc_ssize_t used = n ? utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)n, &first) : 0;
    if (used > 0) {
        upper[utf8proc_encode_char(utf8proc_toupper(first), upper)] = 0;
        text += used;
    }
    record->field[1] = zo_table_format(storage, "%s%s%s", (const char *)upper, text, n && record->field[1][n - 1] == '?' ? "" : "?");
}

const zo_task zo_task_boolq = {
    .info = {.name = "boolq", .title = "BoolQ: yes or no, from a passage", .headline = ZO_ACCURACY, .classes = 2, .files = "superglue/BoolQ/{train,val}.jsonl"},
    .label = {"false", "true"},
    .source = sources,
    .train_from_validation = true,
    .texts = 2,
    .prompt = "{0} {1}\n",
    .option = {"No", "Yes"},
    .prepare = shape_question,
};
