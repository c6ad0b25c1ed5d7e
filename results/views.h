/* views.h: the temporary views of results/views.sql on a database that is open: what plots read, and what `zo sql` may. */
#ifndef ZO_RESULTS_VIEWS_H
#define ZO_RESULTS_VIEWS_H

#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Makes them anew from all runs with a result of this meaning. Labels are those of results/labels.h, and of settings that differ in the learning rate
 * alone `shown` has the one that `zo report --best lr` keeps. `keys`: the table of bench/cell/keys.h. Costs a pass over all runs. */
zo_status zo_results_views(zo_results *results, const zo_opt *keys, zo_err *err);

/* zo_results_select, with the views made first where the statement names a table that is not there without them. */
zo_status zo_results_select_views(zo_results *results, const zo_opt *keys, const char *sql, struct cJSON **rows, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
