/* trec.c: TREC question types, six classes (Li and Roth 2002); classes in LM-BFF's order. */
#include "tasks/task_impl.h"

/* The original release's names, the numbers of the hub's coarse_label, and LM-BFF's, which are the classes' own. */
static const char *const original[] = {"DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM"}, *const hub[] = {"2", "1", "0", "3", "4", "5"};

#define KEYS .label = "coarse_label|label-coarse", .field = {"text"}, .spelling = hub
#define COLUMNS .label = "#0", .field = {"#1"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "trec/train.txt", .format = ZO_FORMAT_LABEL_TEXT, .label_end = ':', .spelling = original, COLUMNS},
    {.part = ZO_FILE_VALIDATION, .path = "trec/test.txt", .format = ZO_FORMAT_LABEL_TEXT, .label_end = ':', .spelling = original, COLUMNS},
    {.part = ZO_FILE_TRAIN, .choice = 1, .path = "trec/train.jsonl", .format = ZO_FORMAT_JSONL, KEYS},
    {.part = ZO_FILE_TRAIN, .choice = 2, .path = "trec/train.csv", .format = ZO_FORMAT_CSV, KEYS},
    {.part = ZO_FILE_VALIDATION, .choice = 1, .path = "trec/test.jsonl", .format = ZO_FORMAT_JSONL, KEYS},
    {.part = ZO_FILE_VALIDATION, .choice = 2, .path = "trec/test.csv", .format = ZO_FORMAT_CSV, KEYS},
    ZO_KSHOT("trec", "csv", .format = ZO_FORMAT_CSV, COLUMNS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_trec = {
    .info = {.name = "trec", .title = "TREC: what a question asks for", .headline = ZO_ACCURACY, .classes = 6, .files = "trec/{train,test}.txt"},
    .label = {"0", "1", "2", "3", "4", "5"},
    .source = sources,
    .texts = 1,
    .mask_template = "*cls**mask*:*+sent_0**sep+*",
    .mask_word = {"Description", "Entity", "Expression", "Human", "Location", "Number"},
    .first_limit = 110,
};
