/* evaluate.h: all examples of a split at a cell's current weights. */
#ifndef ZO_BENCH_CELL_EVALUATE_H
#define ZO_BENCH_CELL_EVALUATE_H

#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_evaluation {
    int64_t examples;
    double metric[ZO_METRICS], loss, seconds;
    bool constant; /* one class was chosen on all rows (more than one) while fewer than 95 % of them have its label */
} zo_evaluation;
/* What came of single examples. The choice is the first largest of its scores: log-probabilities of classes; of options the mean over their tokens or,
 * calibrated, the difference of sums. */
typedef struct zo_samples {
    int32_t n;               /* 0: none are kept */
    int32_t *label, *choice; /* (n) */
    double *loss;            /* (n) */
    int64_t *first;          /* (n + 1): scores of example i are score[first[i]] to score[first[i + 1]] */
    double *score;
    int64_t room;            /* of score */
} zo_samples;

/* All examples of a split (dev or test) at the current weights. What it holds (its examples, what its batches take beyond training's) it
 * takes and gives back, so a training peak does not know of evaluations. correct: ((n + 7) / 8) of n rows, as
 * results/schema.sql has them; NULL = not wanted. *samples is filled, and given back by zo_samples_free; NULL = not wanted. */
void zo_setup_evaluate(zo_setup *setup, zo_split split, zo_evaluation *result, uint8_t *correct, zo_samples *samples);
void zo_samples_free(zo_samples *samples);

#ifdef __cplusplus
}
#endif
#endif
