/* sst5.c: Stanford Sentiment Treebank, five classes. The rows for dev (FIRST) and test are those of the labelled test file, as in
 * LM-BFF and MeZO; the original dev file is not read. */
#include "tasks/task_impl.h"

#define COLUMNS .label = "#0", .field = {"#1"}

#define TEST_ROWS "sst5: validation rows are those of the labelled test file"
#define KEYS .label = "label", .field = {"text|sentence"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "sst/stsa.fine.train", .format = ZO_FORMAT_LABEL_TEXT, COLUMNS},
    {.part = ZO_FILE_VALIDATION, .path = "sst/stsa.fine.test", .format = ZO_FORMAT_LABEL_TEXT, COLUMNS, .note = TEST_ROWS},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "sst/train.jsonl", .format = ZO_FORMAT_JSONL, KEYS},
    {.part = ZO_FILE_TRAIN, .choice = 2, .path = "sst/train.csv", .format = ZO_FORMAT_CSV, KEYS},
    {.part = ZO_FILE_VALIDATION, .choice = 1, .path = "sst/test.jsonl", .format = ZO_FORMAT_JSONL, KEYS, .note = TEST_ROWS},
    {.part = ZO_FILE_VALIDATION, .choice = 2, .path = "sst/test.csv", .format = ZO_FORMAT_CSV, KEYS, .note = TEST_ROWS},
    ZO_KSHOT("sst-5", "csv", .format = ZO_FORMAT_CSV, COLUMNS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_sst5 = {
    .info = {.name = "sst5", .title = "SST-5: sentiment of a sentence, five grades", .headline = ZO_ACCURACY, .classes = 5, .files = "sst/stsa.fine.{train,test}"},
    .label = {"0", "1", "2", "3", "4"},
    .source = sources,
    .texts = 1,
    .mask_template = "*cls**sent_0*_It_was*mask*.*sep+*",
    .mask_word = {"terrible", "bad", "okay", "good", "great"},
    .first_limit = 110,
};
