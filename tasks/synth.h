/* synth.h: the synthetic language's sentences, as its three tasks use them. Private to tasks/; what it is: synth.c. */
#ifndef ZO_TASKS_SYNTH_H
#define ZO_TASKS_SYNTH_H

#include "tasks/task_impl.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_SYNTH_TRAIN_ROWS = 4096, ZO_SYNTH_VALIDATION_ROWS = 2048 };

/* Row `index` of a part of each task, the same for ever: the "files" that splits are drawn from. */
void zo_synth_sentiment_row(zo_table *table, zo_file_part part, int64_t index);
void zo_synth_entailment_row(zo_table *table, zo_file_part part, int64_t index);
void zo_synth_acceptability_row(zo_table *table, zo_file_part part, int64_t index);

#ifdef __cplusplus
}
#endif
#endif
