/* cb.c: CommitmentBank (SuperGLUE): does the writer commit to a clause. */
#include "tasks/task_impl.h"

#define KEYS .format = ZO_FORMAT_JSONL, .label = "label", .field = {"premise", "hypothesis"}

static const zo_source sources[] = {
    {.part = ZO_FILE_TRAIN, .path = "superglue/CB/train.jsonl", KEYS},
    {.part = ZO_FILE_VALIDATION, .path = "superglue/CB/val.jsonl", KEYS},
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_cb = {
    .info = {.name = "cb", .title = "CB: does a clause follow from a text", .headline = ZO_ACCURACY, .classes = 3, .files = "superglue/CB/{train,val}.jsonl"},
    .label = {"entailment", "contradiction", "neutral"},
    .source = sources,
    .texts = 2,
    .prompt = "Suppose {0} Can we infer that \"{1}\"? Yes, No, or Maybe?\n",
    .option = {"Yes", "No", "Maybe"},
};
