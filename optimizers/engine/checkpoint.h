/* checkpoint.h: what the steps so far have made of an engine and an estimator, to a file and back, so that a run that was killed goes on and ends
 * with the bits of one that was not. Nothing is settled or rounded for it: a queue that waits for the next probe, and weights that stand at one,
 * are written as they are. An undisturbed run does not notice that it was written. */
#ifndef ZO_OPTIMIZERS_ENGINE_CHECKPOINT_H
#define ZO_OPTIMIZERS_ENGINE_CHECKPOINT_H

#include "core/archive.h"
#include "optimizers/engine/engine.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Between two steps. Loading wants an engine that has been started as the other was and has made no step: the same settings, weights (the frozen
 * ones are not in the file) and backend. Trained weights, sets, numbers, the log, what is queued, and the lengths to which scratch has grown, so that
 * the ledger is the same too. */
void zo_engine_archive(zo_engine *engine, zo_archive *a);

/* The estimator's state: its plain beginning, and what its `arrays` lists. Loading wants a state that was started. */
void zo_estimator_archive(const zo_estimator *estimator, void *state, zo_archive *a);

#ifdef __cplusplus
}
#endif
#endif
