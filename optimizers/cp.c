/* cp.c: see cp.h. */
#include "optimizers/cp.h"

#include <math.h>

const zo_variant zo_cp_variants[] = {
    {"rank", "8", "one rank for all matrices: no singular values are counted before the first step"},
    {"embeddings", "rest", "embedding tables are probed with a full Gaussian and have no factors"},
    {"embeddings", "freeze", "embedding tables are not trained"},
    {"rest", "freeze", "biases, norms and all else without factors are not trained"},
    {.key = NULL}};

static zo_factor_spec factors_of(const zo_cp *cp)
{
    static const double power[] = {0.0, -0.5, -1.0}; /* none, sqrt, rank */
    return (zo_factor_spec){.rank = (int)cp->rank,
                            .rank_max = (int)cp->rank_max,
                            .threshold = cp->threshold,
                            .scale_power = power[cp->scale],
                            .tables = (zo_tables)cp->embeddings};
}

void zo_cp_needs(const zo_cp *cp, int coefs, zo_needs *n)
{
    zo_spsa_needs(n, 1, cp->rest == ZO_CP_TRAIN ? 2 : 1, 0);
    n->updates = 2;
    n->factored = true;
    n->factors = factors_of(cp);
    n->coefs = coefs;
}

zo_status zo_cp_start(const zo_cp *cp, zo_objective *o, zo_err *err)
{
    zo_factor_spec spec = factors_of(cp);
    zo_status status = o->open_factors(o, &spec, err);
    if (status == ZO_OK && o->ncoef == 0 && cp->rest == ZO_CP_FREEZE) {
        return zo_fail(err, ZO_EUNSUPPORTED, "with \"rest\": \"freeze\" the factored matrices alone are trained, and \"tune\" trains none of them: use "
                       "\"rest\": \"train\" or another \"tune\"");
    }
    return status;
}

zo_status zo_cp_probe(const zo_cp *cp, zo_objective *o, const zo_step_context *c, zo_probe *p, zo_step_report *r, zo_err *err)
{
    zo_dir factored = zo_gauss(o, c->step, 0), rest = factored;
    factored.kind = ZO_DIR_CP;
    rest.kind = ZO_DIR_REST;
    *p = (zo_probe){.dir = {factored, rest}, .ndirs = cp->rest == ZO_CP_TRAIN ? 2 : 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, p, 1, err);
    *r = (zo_step_report){.loss = p->plus, .projected = p->projected, .lr = c->lr, .paper_queries = NAN};
    return status;
}

zo_status zo_cp_update(const zo_cp *cp, zo_objective *o, const zo_step_context *c, const zo_probe *p, const zo_dir *factored, double coef,
                       double kappa_rest, zo_err *err)
{
    zo_term term[2];
    int n = 0;
    if (factored != NULL) {
        term[n++] = (zo_term){.dir = *factored, .coef = coef};
    }
    if (p->ndirs == 2) {
        term[n++] = (zo_term){.dir = p->dir[1], .coef = -(cp->rest_lr > 0.0 ? zo_scheduled(c, cp->rest_lr) : c->lr) * kappa_rest};
    }
    return n > 0 ? o->combine(o, ZO_SET_WEIGHTS, 1.0, term, n, err) : ZO_OK;
}

void zo_cp_average(float *ema, double beta, const float *x, double scale, bool squared, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double value = scale * x[i];
        ema[i] = (float)(beta * ema[i] + (1.0 - beta) * (squared ? value * value : value));
    }
}
