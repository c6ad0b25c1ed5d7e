/* outcome.h: what a run came to: whether it has left (diverged) or stands still (dead), and which of its evaluations it is reported by. No
 * clock, no files: the rules alone, so that they are tested by hand-made courses of losses. */
#ifndef ZO_BENCH_CELL_OUTCOME_H
#define ZO_BENCH_CELL_OUTCOME_H

#include "bench/cell/evaluate.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- faults --------------------------------------------------------------------------------------------------------------- */

typedef enum zo_fault { ZO_FAULT_NONE, ZO_FAULT_DIVERGED, ZO_FAULT_DEAD } zo_fault;

/* {0} at first. A loss is far when it is above ten times its start; the start is the first logged loss, 0.1 at least. */
typedef struct zo_watch {
    double start, dev_start;         /* 0 = none yet */
    int64_t rows, far, far_since;    /* logged rows; of them the last so many were far, from this step on */
    int64_t dev_far, dev_far_since;  /* the last so many dev evaluations were far, from this step on */
    int64_t still, still_since;      /* the last so many steps had a projected gradient of exactly 0 */
    bool ties;                       /* set by the owner: two points often have one value, as a metric's do, and a run goes on behind many of them */
} zo_watch;

/* A row of the table steps: the mean loss of the steps that end with `step` (from 1). */
void zo_watch_loss(zo_watch *watch, int64_t step, double loss);
/* A dev evaluation after `step` steps (0: before training). */
void zo_watch_dev(zo_watch *watch, int64_t step, double loss);
/* Every step. `projected` NaN: a method that has none. */
void zo_watch_step(zo_watch *watch, int64_t step, double projected);

/* While the run goes on: DIVERGED after 20 far rows or two far dev evaluations in a row (a batch without loss among far ones hides nothing), DEAD after
 * max(50, 5 % of `planned` steps) still steps in a row, but not where `ties`. At its end (`ended`, `planned` = the steps done) also where the last rows are
 * far, 3 at least, or the last dev evaluation is; and where at least half of the steps, 5 at least, are still ones at the end. *since = the step at which
 * it began. */
zo_fault zo_watch_fault(const zo_watch *watch, double planned, bool ended, int64_t *since);

/* ---- the headline --------------------------------------------------------------------------------------------------------- */

/* An evaluation that may become the headline. examples 0 = not evaluated. */
typedef struct zo_candidate { int64_t step; zo_evaluation dev, test; } zo_candidate;

/* What selects where there are no dev rows, asked for or found: there is nothing to select by, so the last evaluation does. */
zo_selection zo_selection_without_dev(zo_selection selection);
/* By this the best is found; larger is better, NaN never is. */
double zo_selection_score(zo_selection selection, zo_metric metric, const zo_candidate *candidate);
/* Of n candidates in the order of their steps the one that is reported: the first of equal ones (LAST: the last with a test, or a dev where there is no
 * test). Only steps in [from, before) compete. -1 = none. */
int64_t zo_select_candidate(zo_selection selection, zo_metric metric, const zo_candidate *candidate, int64_t n, int64_t from, int64_t before);
/* "test@best-dev", ...: results/schema.sql, column selected. */
const char *zo_selected_name(zo_selection selection, const zo_candidate *candidate);

#ifdef __cplusplus
}
#endif
#endif
