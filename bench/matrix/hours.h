/* hours.h: how long cells will take, said before they start: from a few timed steps of each setting. */
#ifndef ZO_BENCH_MATRIX_HOURS_H
#define ZO_BENCH_MATRIX_HOURS_H

#include "bench/matrix/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What timed steps have shown of the settings of a grid. What differs in the seed, the learning rate, the budget or the rows that are evaluated is one
 * setting. */
typedef struct zo_timings zo_timings;

/* How much is timed. */
typedef struct zo_timing_spec {
    int64_t rows;         /* that are evaluated of each split */
    double total_seconds; /* that it may take: settings share it, and those that it does not come to are not timed; 0 = as long as it takes */
} zo_timing_spec;
extern const zo_timing_spec zo_timing_usual;

/* Times them, as cells of a database beside the other: DB.hours. What is there already is not timed again, so the same database gives the same answers.
 * First a few steps, then, where these took less than a second, more of them. leave_out (grid->n): cells that are not timed; NULL = none.
 * 0, 1 or 2 as zo_run_grid; 1 is when some cell could not be timed, and then too *timings is the caller's to free. NULL after 2. */
int zo_timings_take(zo_timings **timings, const zo_grid *grid, const zo_run_spec *spec, const zo_timing_spec *how, const bool *leave_out);
/* What timing took, seconds of all processes; the same where it was done before. */
double zo_timings_spent(const zo_timings *timings);
void zo_timings_free(zo_timings *timings); /* NULL is allowed */

/* What a cell will take. NaN = not known. */
typedef struct zo_time {
    double steps;         /* that its budget allows */
    double forwards;      /* of a step */
    double step_seconds;  /* wall time */
    double hours;         /* of steps and evaluations: device_hours_total */
    double cpu_seconds;   /* from the first step to the last with the evaluations between them: cpu_seconds */
    double seconds;       /* of all of it, with loading */
    char why[300];        /* why nothing is known; "" = it is */
} zo_time;

/* Of a cell that has a timed setting: one of the grid, or one that differs from such a one in what makes no other setting. dev, test: rows that are
 * evaluated; -1 = as the cell says, 1000 where that is all. How often test is evaluated hangs on how often dev is the best so far: half of the times
 * is taken. trial: without test rows. */
zo_time zo_timings_of(zo_timings *timings, const zo_cell *cell, int64_t dev, int64_t test, bool trial);

/* Seconds of the trials of a config's "tuning", with one extension of each search; 0 where it has none. */
double zo_timings_trials(zo_timings *timings, const zo_grid *grid, int64_t *searches);

/* Times the settings of the grid, and says on standard error how many hours the cells will take, trials of a tuning with one extension of each search,
 * and how the sum was made. What is done already counts too. *hours is for whoever has a limit. 0, 1 or 2 as zo_run_grid. */
int zo_hours_say(const zo_grid *grid, const zo_run_spec *spec, double *hours);

/* Steps that a cell makes of its budgets where `timed` steps had this many forwards, work and seconds: the smallest of its budgets, rounded up. */
double zo_hours_steps(const zo_cell *cell, double timed, double forwards, double work, double seconds);

#ifdef __cplusplus
}
#endif
#endif
