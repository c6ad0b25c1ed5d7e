/* mnli.c: Multi-Genre Natural Language Inference (Williams et al. 2018), matched validation rows. */
#include "tasks/task_impl.h"

#define COLUMNS .format = ZO_FORMAT_TSV, .label = "gold_label", .field = {"sentence1", "sentence2"}
#define KEYS .label = "label", .field = {"premise|sentence1", "hypothesis|sentence2"}
#define MAP .format = ZO_FORMAT_JSON_MAP, .label = "label", .field = {"text_a", "text_b"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "glue/MNLI/train.tsv", COLUMNS},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "glue/MNLI/train_9k.json", MAP, .note = "mnli: the training rows are a random 9,999 of the 392,702"},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "glue/MNLI/dev_1k.json", MAP},
    {.part = ZO_FILE_VALIDATION, .path = "glue/MNLI/dev_matched.tsv", COLUMNS},
    {.part = ZO_FILE_VALIDATION, .choice = 1, .path = "glue/MNLI/textfooler_mnli_matched", .format = ZO_FORMAT_TSV, .label = "#0", .field = {"#1", "#2"},
     .note = "mnli: the validation rows are TextFooler's 1,000 of the 9,815 matched ones, tokenised"},
    {.part = ZO_FILE_TRAIN, .choice = 2, .path = "glue/MNLI/train.jsonl", .format = ZO_FORMAT_JSONL, KEYS},
    {.part = ZO_FILE_TRAIN, .choice = 3, .path = "glue/MNLI/train.csv", .format = ZO_FORMAT_CSV, KEYS},
    {.part = ZO_FILE_VALIDATION, .choice = 2, .path = "glue/MNLI/dev_matched.jsonl", .format = ZO_FORMAT_JSONL, KEYS},
    {.part = ZO_FILE_VALIDATION, .choice = 3, .path = "glue/MNLI/validation_matched.jsonl", .format = ZO_FORMAT_JSONL, KEYS},
    {.part = ZO_FILE_VALIDATION, .choice = 4, .path = "glue/MNLI/validation_matched.csv", .format = ZO_FORMAT_CSV, KEYS},
    {.part = ZO_FILE_KSHOT_TRAIN, .path = "MNLI/@/train.tsv", COLUMNS},
    {.part = ZO_FILE_KSHOT_DEV, .path = "MNLI/@/dev_matched.tsv", COLUMNS},
    {.part = ZO_FILE_KSHOT_TEST, .path = "MNLI/@/test_matched.tsv", COLUMNS},
    {.part = ZO_FILE_KSHOT_TEST, .choice = 1, .path = "MNLI/test_matched.tsv", COLUMNS},
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_mnli = {
    .info = {.name = "mnli", .title = "MNLI: does a sentence follow from another", .headline = ZO_ACCURACY, .classes = 3,
             .files = "glue/MNLI/train.tsv and dev_matched.tsv, or {train_9k,dev_1k}.json and textfooler_mnli_matched"},
    .label = {"entailment|0", "neutral|1", "contradiction|2"},
    .source = sources,
    .texts = 2,
    .mask_template = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
    .mask_word = {"Yes", "Maybe", "No"},
    .first_limit = 240,
};
