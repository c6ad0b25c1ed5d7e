/* synth_sentiment.c: the tone of one or two clauses, through negation and "but". The prompts are SST-2's. */
#include "tasks/synth.h"

const zo_task zo_task_synth_sentiment = {
    .info = {.name = "synth-sentiment", .title = "Synthetic reviews: their tone", .headline = ZO_ACCURACY, .classes = 2},
    .label = {"0", "1"},
    .generate = zo_synth_sentiment_rows,
    .texts = 1,
    .mask_template = "*cls**sent_0*_It_was*mask*.*sep+*",
    .mask_word = {"terrible", "great"},
    .prompt = "{0} it was",
    .option = {" terrible", " great"},
};
