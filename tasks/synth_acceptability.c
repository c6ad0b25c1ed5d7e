/* synth_acceptability.c: agreement, word order, missing and doubled words. The mask prompt is CoLA's. */
#include "tasks/synth.h"

const zo_task zo_task_synth_acceptability = {
    .info = {.name = "synth-acceptability", .title = "Synthetic sentences: is one well formed", .headline = ZO_MATTHEWS, .classes = 2},
    .label = {"0", "1"},
    .generate = zo_synth_acceptability_rows,
    .texts = 1,
    .mask_template = "*cls**sent_0*_This_is*mask*.*sep+*",
    .mask_word = {"incorrect", "correct"},
    .prompt = "{0} this is",
    .option = {" incorrect", " correct"},
};
