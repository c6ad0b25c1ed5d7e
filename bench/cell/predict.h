/* predict.h: the memory that training will take, said before the first step. It reads what estimators say of themselves (optimizers/needs.h);
 * measured rows do not use it. */
#ifndef ZO_BENCH_CELL_PREDICT_H
#define ZO_BENCH_CELL_PREDICT_H

#include "bench/cell/setup.h"
#include "optimizers/needs.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The run of a setup that is open, as its estimator is asked about it. */
zo_extent zo_predict_extent(const zo_setup *setup);

/* What `train_peak_bytes` of its row will be: the bytes by tag that a setup holds which is open and has made no step, and what the steps add.
 * In the space where the model lives. */
void zo_predict_peak(const zo_setup *setup, uint64_t bytes[ZO_TAGS]);

/* "84.0 MB (params 60.0, activations 24.0)": the sum, and the tags that have any. `of` <= size, NUL-terminated; allocates nothing. */
const char *zo_predict_text(const uint64_t bytes[ZO_TAGS], char *out, size_t size);

/* What is predicted is held to this share of what is measured. A cell whose training is predicted to take more than its limit by more than this is
 * not started. */
#define ZO_PREDICT_MARGIN 0.03

/* The same figure for a layout alone, before anything is opened: what start() and the steps add to weights and passes, by tag, with the model
 * in the host's memory. */
void zo_predict_method(const zo_needs *needs, const zo_extent *extent, uint64_t bytes[ZO_TAGS]);

#ifdef __cplusplus
}
#endif
#endif
