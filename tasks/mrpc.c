/* mrpc.c: Microsoft Research Paraphrase Corpus (Dolan and Brockett 2005). Its text exists untokenised (the original GLUE script) and
 * tokenised (the hub, LM-BFF); which one was read stands in the note. */
#include "tasks/task_impl.h"

#define COLUMNS .format = ZO_FORMAT_TSV, .label = "Quality", .field = {"#1 String", "#2 String"}
#define KEYS .label = "label", .field = {"sentence1", "sentence2"}
#define MAP .format = ZO_FORMAT_JSON_MAP, .label = "label", .field = {"text_a", "text_b"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "glue/MRPC/train.tsv", COLUMNS, .note = "mrpc: untokenised text of the original release"},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "glue/MRPC/tokenized_train_a_3300.json", MAP, .note = "mrpc: tokenised text, 3,667 of the 3,668 training rows"},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "glue/MRPC/tokenized_train_b_367.json", MAP},
    {.part = ZO_FILE_VALIDATION, .path = "glue/MRPC/dev.tsv", COLUMNS, .note = "mrpc: untokenised text of the original release"},
    {.part = ZO_FILE_VALIDATION, .choice = 1, .path = "glue/MRPC/tokenized_dev.tsv", COLUMNS, .note = "mrpc: tokenised validation text"},
    ZO_EXPORT(2, "glue/MRPC", KEYS),
    ZO_KSHOT("MRPC", "tsv", COLUMNS, .note = "mrpc: tokenised text"),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_mrpc = {
    .info = {.name = "mrpc", .title = "MRPC: do two sentences say the same", .headline = ZO_F1, .classes = 2, .files = "glue/MRPC/{train,dev}.tsv"},
    .label = {"0|not_equivalent", "1|equivalent"},
    .source = sources,
    .texts = 2,
    .mask_template = "*cls**sent_0**mask*,*+sentl_1**sep+*",
    .mask_word = {"No", "Yes"},
};
