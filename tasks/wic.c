/* wic.c: Words in Context (SuperGLUE): does a word mean the same in two sentences. */
#include "tasks/task_impl.h"

#define KEYS .label = "label", .field = {"word", "sentence1", "sentence2"}

static const zo_source sources[] = {
    ZO_EXPORT(0, "superglue/WiC", KEYS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_wic = {
    .info = {.name = "wic", .title = "WiC: does a word mean the same in two sentences", .headline = ZO_ACCURACY, .classes = 2,
             .files = "superglue/WiC/{train,val}.jsonl"},
    .label = {"false|0", "true|1"},
    .source = sources,
    .prompt = "Does the word \"{0}\" have the same meaning in these two sentences? Yes, No?\n{1}\n{2}\n",
    .option = {"No", "Yes"},
};
