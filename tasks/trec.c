/* trec.c: TREC question types, six classes (Li and Roth 2002); classes in LM-BFF's order. */
#include "tasks/task_impl.h"

#define COLUMNS .label = "#0", .field = {"#1"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "trec/train.txt", .format = ZO_FORMAT_LABEL_TEXT, .label_end = ':', COLUMNS},
    {.part = ZO_FILE_VALIDATION, .path = "trec/test.txt", .format = ZO_FORMAT_LABEL_TEXT, .label_end = ':', COLUMNS},
    ZO_KSHOT("trec", "csv", .format = ZO_FORMAT_CSV, COLUMNS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_trec = {
    .info = {.name = "trec", .title = "TREC: what a question asks for", .headline = ZO_ACCURACY, .classes = 6, .files = "trec/{train,test}.txt"},
    .label = {"0|DESC", "1|ENTY", "2|ABBR", "3|HUM", "4|LOC", "5|NUM"},
    .source = sources,
    .texts = 1,
    .mask_template = "*cls**mask*:*+sent_0**sep+*",
    .mask_word = {"Description", "Entity", "Expression", "Human", "Location", "Number"},
    .first_limit = 110,
};
