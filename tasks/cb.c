/* cb.c: CommitmentBank (SuperGLUE): does the writer commit to a clause. */
#include "tasks/task_impl.h"

#define KEYS .label = "label", .field = {"premise", "hypothesis"}

static const zo_source sources[] = {
    ZO_EXPORT(0, "superglue/CB", KEYS),
    {.format = ZO_FORMAT_END},
};

const zo_task zo_task_cb = {
    .info = {.name = "cb", .title = "CB: does a clause follow from a text", .headline = ZO_ACCURACY, .classes = 3, .files = "superglue/CB/{train,val}.jsonl"},
    .label = {"entailment|0", "contradiction|1", "neutral|2"},
    .source = sources,
    .texts = 2,
    .prompt = "Suppose {0} Can we infer that \"{1}\"? Yes, No, or Maybe?\n",
    .option = {"Yes", "No", "Maybe"},
};
