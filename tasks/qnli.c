/* qnli.c: does a sentence hold the answer to a question (GLUE, from SQuAD). */
#include "tasks/task_impl.h"

#define COLUMNS .format = ZO_FORMAT_TSV, .label = "label", .field = {"question", "sentence"}
#define KEYS .label = "label", .field = {"question", "sentence"}
#define MAP .format = ZO_FORMAT_JSON_MAP, .label = "label", .field = {"text_a", "text_b"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "glue/QNLI/train.tsv", COLUMNS},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "glue/QNLI/train_9k.json", MAP, .note = "qnli: the training rows are a random 9,999 of the 104,743"},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "glue/QNLI/dev_1k.json", MAP},
    {.part = ZO_FILE_VALIDATION, .path = "glue/QNLI/dev.tsv", COLUMNS},
    ZO_EXPORT(2, "glue/QNLI", KEYS),
    ZO_KSHOT("QNLI", "tsv", COLUMNS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_qnli = {
    .info = {.name = "qnli", .title = "QNLI: does a sentence answer a question", .headline = ZO_ACCURACY, .classes = 2,
             .files = "glue/QNLI/{train,dev}.tsv, or {train_9k,dev_1k}.json for training"},
    .label = {"entailment|0", "not_entailment|1"},
    .source = sources,
    .texts = 2,
    .mask_template = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
    .mask_word = {"Yes", "No"},
};
