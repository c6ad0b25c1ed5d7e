/* uv.c: see uv.h. */
#include "optimizers/uv.h"

static zo_factor_spec factors_of(const zo_uv *uv)
{
    return (zo_factor_spec){.kind = ZO_FACTORS_OWN,
                            .rank = (int)uv->rank,
                            .scale_power = uv->scale == ZO_UV_SCALE_SQRT ? -0.5 : 0.0,
                            .tables = (zo_tables)uv->embeddings};
}

enum { QUERY_PROBE, QUERY_OTHER /* of the released code's update where V is drawn */ };

static void draw_pair(const zo_uv *uv, const zo_objective *o, int64_t step, int query, zo_dir dir[2])
{
    dir[0] = dir[1] = zo_gauss(o, step, query);
    dir[0].kind = ZO_DIR_FACTORS;
    dir[0].period = (uint32_t)(step / uv->period);
    dir[1].kind = ZO_DIR_REST;
}

void zo_uv_update(const zo_uv *uv, const zo_objective *o, int64_t step, zo_dir dir[2])
{
    draw_pair(uv, o, step, uv->mode == ZO_UV_RELEASED && step % uv->period == 0 ? QUERY_OTHER : QUERY_PROBE, dir);
}

void zo_uv_needs(const zo_uv *uv, const zo_extent *extent, int updates, int lefts, zo_needs *n)
{
    zo_spsa_needs(n, 1, 2, 0);
    n->updates = updates;
    n->lefts = lefts;
    n->factored = true;
    n->factors = factors_of(uv);
    n->rights = zo_needs_periods(extent, uv->period);
}

zo_status zo_uv_start(const zo_uv *uv, zo_objective *o, zo_err *err)
{
    zo_factor_spec spec = factors_of(uv);
    return o->open_factors(o, &spec, err);
}

zo_status zo_uv_probe(const zo_uv *uv, zo_objective *o, const zo_step_context *c, zo_probe *p, zo_step_report *r, zo_err *err)
{
    *p = (zo_probe){.ndirs = 2};
    draw_pair(uv, o, c->step, QUERY_PROBE, p->dir);
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, p, 1, err);
    *r = (zo_step_report){.loss = p->plus, .projected = p->projected, .lr = c->lr, .paper_queries = NAN};
    return status;
}
