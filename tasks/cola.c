/* cola.c: Corpus of Linguistic Acceptability (Warstadt et al. 2018), the files that GLUE ships: no header, four columns. */
#include "tasks/task_impl.h"

#define COLUMNS .format = ZO_FORMAT_TSV, .label = "#1", .field = {"#3"}

#define KEYS .label = "label", .field = {"sentence"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "glue/CoLA/train.tsv", COLUMNS},
    {.part = ZO_FILE_VALIDATION, .path = "glue/CoLA/dev.tsv", COLUMNS},
    ZO_EXPORT(1, "glue/CoLA", KEYS),
    ZO_KSHOT("CoLA", "tsv", COLUMNS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_cola = {
    .info = {.name = "cola", .title = "CoLA: is a sentence acceptable", .headline = ZO_MATTHEWS, .classes = 2, .files = "glue/CoLA/{train,dev}.tsv"},
    .label = {"0", "1"},
    .source = sources,
    .texts = 1,
    .mask_template = "*cls**sent_0*_This_is*mask*.*sep+*",
    .mask_word = {"incorrect", "correct"},
};
