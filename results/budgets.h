/* budgets.h: the table `budgets`: what a time has made of a table's cells. */
#ifndef ZO_RESULTS_BUDGETS_H
#define ZO_RESULTS_BUDGETS_H

#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_budget_row { const char *hash, *ran, *config, *why; } zo_budget_row; /* ran, config: NULL = the cell is not run */

/* Rows of a plan are written between begin and end: all of them or, with another status, none. */
zo_status zo_results_budget_begin(zo_results *results, zo_err *err);
zo_status zo_results_budget(zo_results *results, const char *plan, double seconds, const zo_budget_row *row, zo_err *err);
zo_status zo_results_budget_end(zo_results *results, zo_status status, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
