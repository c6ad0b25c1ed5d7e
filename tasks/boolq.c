/* boolq.c: yes/no questions about a passage (Clark et al. 2019). SuperGLUE's passages begin with "Title -- ", those of the original
 * release do not; MeZO reads the original, so the titles are taken off and the note says so. MeZO's prompt capitalises the question and
 * ends it with "?". Classes are the data set's labels, false 0 and true 1; MeZO lists "Yes" first, which matters to ties alone. */
#include <string.h>

#include "tasks/task_impl.h"

static zo_status drop_title(zo_record *record, zo_table *table, const char *where, zo_err *err)
{
    (void)where;
    (void)err;
    char *end = strstr(record->field[0], " -- ");
    if (end && end[4]) {
        record->field[0] = end + 4;
        table->note = "the titles before SuperGLUE's passages (\"Title -- \") are taken off, as in the original release that MeZO reads";
    }
    return ZO_OK;
}

#define KEYS .label = "label", .field = {"passage", "question"}, .finish = drop_title
#define ORIGINAL .label = "answer", .field = {"passage", "question"}

static const zo_source sources[] = {
    ZO_EXPORT(0, "superglue/BoolQ", KEYS),
    ZO_EXPORT(ZO_EXPORTS, "boolq", ORIGINAL),
    {.format = ZO_FORMAT_END},
};

static void shape_question(zo_record *record, zo_table *storage)
{
    const char *text = zo_text_capital(storage, record->field[1]);
    size_t n = strlen(text);
    record->field[1] = zo_table_printf(storage, "%s%s", text, n && text[n - 1] == '?' ? "" : "?");
}

const zo_task zo_task_boolq = {
    .info = {.name = "boolq", .title = "BoolQ: yes or no, from a passage", .headline = ZO_ACCURACY, .classes = 2,
             .files = "superglue/BoolQ/{train,val}.jsonl or boolq/{train,dev}.jsonl"},
    .label = {"false|False|0", "true|True|1"},
    .source = sources,
    .train_from_validation = true,
    .texts = 2,
    .prompt = "{0} {1}\n",
    .option = {"No", "Yes"},
    .prepare = shape_question,
};
