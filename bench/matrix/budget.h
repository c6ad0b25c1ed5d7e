/* budget.h: a table that is shrunk to a time (`zo run TABLE.json --budget 10m`). What every cell will take is known from timed steps (hours.h). Then
 *
 *     1. of the grid of each published value fewer settings are kept, those in the middle, down to one
 *     2. of each setting fewer seeds, the first ones, down to one
 *     3. fewer tasks; the longest goes first
 *
 * no more of it than is needed for all that is left to make 200 forwards a cell. What time is left then goes to longer cells: all make the same share of
 * their steps, and none fewer than those forwards. A cell keeps as many evaluations as it had. The grid of a value is all of its cells that differ in
 * more than seeds; of cells that are no value, those that differ in the learning rate.
 *
 * The plan stands in the database (results/schema.sql, table budgets) and stays as it was made: a second start goes on with it. */
#ifndef ZO_BENCH_MATRIX_BUDGET_H
#define ZO_BENCH_MATRIX_BUDGET_H

#include "bench/matrix/run.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

enum { ZO_BUDGET_FORWARDS = 200 }; /* fewest of a cell */

/* "90s", "10m", "1.5h". ZO_EINPUT for another text, which names the option. */
zo_status zo_budget_parse(const char *option, const char *text, double *seconds, zo_err *err);
/* The same as a text, "10m". */
const char *zo_budget_text(double seconds, char out[24]);

/* The name of the plan that shrinks the n cells with these hashes to that time. Cells that are one count once. */
void zo_budget_name(char (*hash)[17], int64_t n, double seconds, char name[17]);

/* Plans, or reads the plan that is there, and runs its cells. `grid` is the config at `path` with the keys `with`. The timed steps are a part of the
 * budget; where they take more than half of it, the cells have half. 0, 1 or 2 as zo_run_grid; 2 also where the least that there can be takes longer. */
int zo_budget_run(const char *path, const zo_grid *grid, const struct cJSON *with, const zo_run_spec *spec, double seconds);

#ifdef __cplusplus
}
#endif
#endif
