/* hours.h: how long a config's cells will take, said before they start. */
#ifndef ZO_BENCH_MATRIX_HOURS_H
#define ZO_BENCH_MATRIX_HOURS_H

#include "bench/matrix/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Times a few steps of each setting of the grid (what differs in the seed and the learning rate is one setting), as cells of a database beside the
 * other: DB.hours. Says on standard error how many hours the cells will take from them, trials of a tuning with one extension of each search, and how
 * the sum was made. What is done already counts too. *hours is for whoever has a limit. 0, 1 or 2 as zo_run_grid. */
int zo_hours_say(const zo_grid *grid, const zo_run_spec *spec, double *hours);

/* Steps that a cell makes of its budgets where `timed` steps had this many forwards, work and seconds: the smallest of its budgets, rounded up. */
double zo_hours_steps(const zo_cell *cell, double timed, double forwards, double work, double seconds);

#ifdef __cplusplus
}
#endif
#endif
