/* rank_rule.h: TeZO's layer-wise rank (arXiv 2501.19057, "rank propagation"): how many singular values of a weight are at least
 * `threshold` times the largest. The form is recalled, not read: see zo_factor_spec in objective.h. */
#ifndef ZO_OPTIMIZERS_ENGINE_RANK_RULE_H
#define ZO_OPTIMIZERS_ENGINE_RANK_RULE_H

#include "backends/backend.h"
#include "optimizers/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the shape alone says of a parameter's rank: 0 = it gets no factors; by the rule it is at most that, else it is that. */
int zo_rank_most(const zo_param *p, const zo_factor_spec *spec);

/* rank (n of the layout) for every parameter as `spec` says: 0 for vectors, for tables that get the rest direction and for what is frozen. */
void zo_rank_choose(zo_backend *be, const zo_store *store, const zo_factor_spec *spec, int *rank);

#ifdef __cplusplus
}
#endif
#endif
