/* tuning.h: learning rates that are chosen on dev before a config's cells run. A config says
 *
 *     "tuning": {"seed": 7, "rates": 3, "factor": 3.16227766, "most": 7}
 *
 * Then the "lr" of each cell that trains is where a search begins. Tried are `rates` values about it, each `factor` times the one before, in two digits.
 * The best on dev stands in the shown cells (the smaller on a tie; best as in `zo report --best lr`). While it is the smallest or the largest tried,
 * the next value beyond it is tried too, up to `most`. A trial is the cell itself with the seed of the tuning and without test rows. So every method has
 * as many trials to begin with, test rows choose nothing, and the seed of the trials is none that is shown. Trials are rows of the same database. */
#ifndef ZO_BENCH_MATRIX_TUNING_H
#define ZO_BENCH_MATRIX_TUNING_H

#include "bench/matrix/run.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_TUNING_MOST = 25 };

/* What "tuning" says; it is checked against the cells: the seed is none of theirs, and they have dev rows. */
zo_status zo_tuning_read(zo_tuning *tuning, const struct cJSON *object, const zo_grid *grid, const char *path, zo_err *err);

/* The k-th value of a search that begins at `lr`, in two significant digits; k may be negative. */
double zo_tuning_rate(double lr, double factor, int k);

/* As zo_run_grid, of a grid with or without tuning: the trials, until no best is at an edge, then the cells with the rates that were chosen.
 * A dry run says what is known to be run. */
int zo_run_tuned(const zo_grid *grid, const zo_run_spec *spec);

#ifdef __cplusplus
}
#endif
#endif
