/* synth_entailment.c: does a second sentence follow from the first: hypernyms, synonyms, things left out; and
 * replaced words, negation and swapped arguments where it does not. The mask prompt is RTE's. */
#include "tasks/synth.h"

const zo_task zo_task_synth_entailment = {
    .info = {.name = "synth-entailment", .title = "Synthetic pairs: does the second sentence follow", .headline = ZO_ACCURACY, .classes = 2},
    .label = {"0", "1"},
    .generate = zo_synth_entailment_rows,
    .texts = 2,
    .mask_template = "*cls**sent-_0*?*mask*,*+sentl_1**sep+*",
    .mask_word = {"No", "Yes"},
    .prompt = "{0} does this mean that {1} ? yes or no ?",
    .option = {" no", " yes"},
};
