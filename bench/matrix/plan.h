/* plan.h: what the cells of a config will take, said before they run: memory, by what estimators say of themselves, and hours, by a few timed steps. */
#ifndef ZO_BENCH_MATRIX_PLAN_H
#define ZO_BENCH_MATRIX_PLAN_H

#include "bench/matrix/hours.h"
#include "bench/matrix/run_checks.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

typedef struct zo_planned {
    zo_foreseen foreseen;
    zo_time time;   /* all NaN where it was not timed */
    bool fits;      /* in the memory that a cell may take, as far as that is known; and it can be run */
    char why[1200]; /* why not, one sentence; "" = it fits */
} zo_planned;

typedef struct zo_matrix_plan {
    int64_t n;
    int64_t right;        /* cells that nothing given keeps from being opened */
    zo_planned *of;       /* (n), cell by cell of the grid */
    zo_timings *timings;  /* NULL where nothing was timed */
    double limit;         /* most bytes that a cell may take; 0 = not known */
} zo_matrix_plan;

/* Opens one cell of each kind, and times the settings that fit: DB.hours beside spec->db (how NULL: times nothing). What it says of each cell is written to spec->db, for
 * the run that comes after: results/schema.sql, table plans. 0, 1 where some cell does not fit or could not be timed, 2; the caller frees it in each case. */
int zo_matrix_plan_make(zo_matrix_plan *plan, const zo_grid *grid, const zo_run_spec *spec, const zo_timing_spec *how);
void zo_matrix_plan_free(zo_matrix_plan *plan);

/* An array of objects, one for the cells that differ in the seed and the learning rate alone. The caller deletes it. */
struct cJSON *zo_matrix_plan_rows(const zo_matrix_plan *plan, const zo_grid *grid);

/* "12 cells, 2 of which do not fit in 4.1 GB; about 1.2 hours": a line. */
void zo_matrix_plan_sum(const zo_matrix_plan *plan, const zo_grid *grid, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
