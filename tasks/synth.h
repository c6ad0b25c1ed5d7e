/* synth.h: the synthetic language's sentences, as its three tasks use them. Private to tasks/; what it is: synth.c. */
#ifndef ZO_TASKS_SYNTH_H
#define ZO_TASKS_SYNTH_H

#include "tasks/task_impl.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Append the rows of a part (ZO_FILE_TRAIN or _VALIDATION) of each task, the same for ever: the "files" that splits are drawn from. No
 * text (or pair) stands twice in the two parts of a task, so no split holds a row of another. */
void zo_synth_sentiment_rows(zo_table *table, zo_file_part part);
void zo_synth_entailment_rows(zo_table *table, zo_file_part part);
void zo_synth_acceptability_rows(zo_table *table, zo_file_part part);

/* Some word of the language, the same for the same number; one token of its tokenizer. */
const char *zo_synth_word(uint32_t number);

#ifdef __cplusplus
}
#endif
#endif
