/* sst2.c: Stanford Sentiment Treebank, two classes (Socher et al. 2013), as GLUE ships it. */
#include <string.h>

#include "tasks/task_impl.h"

#define COLUMNS .format = ZO_FORMAT_TSV, .label = "label", .field = {"sentence"}

#define KEYS .label = "label", .field = {"sentence"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "glue/SST-2/train.tsv", COLUMNS},
    {.part = ZO_FILE_VALIDATION, .path = "glue/SST-2/dev.tsv", COLUMNS},
    ZO_EXPORT(1, "glue/SST-2", KEYS),
    ZO_KSHOT("SST-2", "tsv", COLUMNS),
    {.format = ZO_FORMAT_END},
};

/* Python's strip(), which MeZO's prompt applies to the sentence. */
static void strip_sentence(zo_record *record, zo_table *storage)
{
    const char *at = record->field[0];
    size_t n = strlen(at);
    zo_strip_left(&at, &n);
    zo_strip_right(at, &n);
    record->field[0] = zo_table_text(storage, at, n);
}

const zo_task zo_task_sst2 = {
    .info = {.name = "sst2", .title = "SST-2: sentiment of a sentence", .headline = ZO_ACCURACY, .classes = 2, .files = "glue/SST-2/{train,dev}.tsv"},
    .label = {"0", "1"},
    .source = sources,
    .texts = 1,
    .mask_template = "*cls**sent_0*_It_was*mask*.*sep+*",
    .mask_word = {"terrible", "great"},
    .prompt = "{0} It was",
    .option = {" terrible", " great"},
    .prepare = strip_sentence,
};
