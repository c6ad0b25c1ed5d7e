/* rte.c: Recognizing Textual Entailment; GLUE's files or SuperGLUE's, which hold the same rows. */
#include "tasks/task_impl.h"

#define COLUMNS .format = ZO_FORMAT_TSV, .label = "label", .field = {"sentence1", "sentence2"}
#define KEYS .label = "label", .field = {"premise|sentence1", "hypothesis|sentence2"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "glue/RTE/train.tsv", COLUMNS},
    {.part = ZO_FILE_VALIDATION, .path = "glue/RTE/dev.tsv", COLUMNS},
    ZO_EXPORT(1, "superglue/RTE", KEYS),
    ZO_EXPORT(1 + ZO_EXPORTS, "glue/RTE", KEYS),
    ZO_KSHOT("RTE", "tsv", COLUMNS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_rte = {
    .info = {.name = "rte", .title = "RTE: does a sentence follow from a text", .headline = ZO_ACCURACY, .classes = 2,
             .files = "glue/RTE/{train,dev}.tsv or superglue/RTE/{train,val}.jsonl"},
    .label = {"entailment|0", "not_entailment|1"},
    .source = sources,
    .texts = 2,
    .mask_template = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
    .mask_word = {"Yes", "No"},
    .first_limit = 240,
    .prompt = "{0}\nDoes this mean that \"{1}\" is true? Yes or No?\n",
    .option = {"Yes", "No"},
};
