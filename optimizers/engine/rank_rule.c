/* rank_rule.c: see rank_rule.h. */
#include "optimizers/engine/rank_rule.h"

#include "optimizers/engine/singular.h"

static bool is_factored(const zo_param *p, const zo_factor_spec *spec)
{
    return !p->frozen && (p->kind == ZO_PARAM_MATRIX || (p->kind == ZO_PARAM_TABLE && spec->tables != ZO_TABLES_REST));
}

static bool is_frozen(const zo_param *p, const zo_factor_spec *spec)
{
    return p->kind == ZO_PARAM_TABLE && spec->tables == ZO_TABLES_FREEZE;
}

int zo_rank_most(const zo_param *p, const zo_factor_spec *spec)
{
    int64_t side = p->rows < p->cols ? p->rows : p->cols;
    int wish = is_frozen(p, spec) ? 1 : spec->rank > 0 ? spec->rank : spec->rank_max;
    return !is_factored(p, spec) ? 0 : wish < side ? wish : (int)side;
}

void zo_rank_choose(zo_backend *be, const zo_store *store, const zo_factor_spec *spec, int *rank)
{
    const zo_layout *layout = store->layout;
    for (int t = 0; t < layout->n; t++) {
        rank[t] = zo_rank_most(&layout->param[t], spec);
    }
    for (int t = 0; t < layout->n && spec->rank == 0; t++) {
        const zo_param *p = &layout->param[t];
        if (!is_factored(p, spec) || is_frozen(p, spec)) {
            continue;
        }
        rank[t] = zo_singular_count(be, store, t, spec->threshold, rank[t], NULL);
        for (int s = 0; p->kind == ZO_PARAM_MATRIX && p->block >= 0 && s < layout->n; s++) { /* the least of a block; those after it need not count further */
            const zo_param *other = &layout->param[s];
            bool together = other->block == p->block && other->kind == ZO_PARAM_MATRIX && rank[s] > 0;
            rank[s] = together && rank[t] < rank[s] ? rank[t] : rank[s];
        }
    }
}
