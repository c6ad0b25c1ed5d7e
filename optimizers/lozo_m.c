/* lozo_m.c: LOZO-m (Chen et al., arXiv 2410.07698), as its released code has it (github.com/optsuite/LOZO, commit 5d1ade5, medium_models). Z and
 * the rest are those of uv.h; momentum is of the left factor alone, so it has the size of U:
 *
 *     pg = (L(w + eps Z) - L(w - eps Z)) / (2 eps)
 *     N <- beta1 N + (1 - beta1) pg U,   w <- w - lr N V^T
 *
 * and likewise M <- beta1 M + (1 - beta1) pg z, w <- w - lr M, where nothing is factored. The first N is pg U, and the first M pg z. Where V is drawn
 * anew, N <- N (V_old^T V_new) / cols comes first: the least-squares map of N V_old^T onto V_new, with V_new^T V_new taken for cols times the identity.
 * The two are independent, so about sqrt(r / cols) of N is left: momentum begins almost anew.
 *
 * Decided here: probe and momentum are of the same draws, also where V is drawn. In mode "released" they are not: see lozo.c. */
#include "optimizers/uv.h"

typedef struct state {
    zo_uv uv;
    double beta1;
    zo_set n; /* run: N and M */
} state;

static const zo_opt options[] = {
    ZO_UV_OPTIONS,
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.9, .least = 0.0, .most = 0.9999999,
     .help = "decay of the momentum (released script: 0.9)"},
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(state, uv.mode), .initial = ZO_UV_PLAIN, .choices = "plain|released", .younger = true,
     .help = "plain: the momentum takes the probe's draws; released: where V is drawn it takes other ones, as the published code"},
    {.key = NULL}};

static const zo_variant variants[] = {ZO_UV_RELEASED_VARIANT, ZO_UV_VARIANTS, {.key = NULL}};

static const zo_sourced sources[] = {{"mode", "released", ZO_SOURCE_RELEASED}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    zo_uv_needs(options_read, extent, 1, 1, n);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = zo_uv_start(&s->uv, o, err);
    zo_set_spec spec = {.name = "momentum", .tag = ZO_TAG_OPT_STATE, .shape = ZO_SHAPE_LEFT};
    return status == ZO_OK ? o->open(o, &spec, &s->n, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_probe p;
    zo_status status = zo_uv_probe(&s->uv, o, c, &p, r, err);
    bool first = c->step == 0;
    if (status == ZO_OK && !first && c->step % s->uv.period == 0) {
        zo_dir old = p.dir[0];
        old.period--;
        status = o->carry(o, s->n, &old, &p.dir[0], err);
    }
    if (status == ZO_OK) {
        double share = first ? p.projected : (1.0 - s->beta1) * p.projected;
        zo_dir along[2];
        zo_uv_update(&s->uv, o, c->step, along);
        zo_term pull[2] = {{.dir = along[0], .coef = share}, {.dir = along[1], .coef = share}};
        status = o->combine(o, s->n, first ? 0.0 : s->beta1, pull, 2, err);
    }
    zo_term move = {.dir = {.kind = ZO_DIR_HELD, .set = s->n, .seed = o->seed, .period = p.dir[0].period}, .coef = -c->lr};
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

const zo_estimator zo_estimator_lozo_m = {
    ZO_UV_ESTIMATOR,
    .name = "lozo-m",
    .title = "LOZO-m",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .sources = sources,
    .variants = variants,
    .losses_at = "w +- eps Z, Z = U V^T with U drawn at each step and V every nu steps; applies the average of past U, times V^T",
    .options = options,
    .state_bytes = sizeof(state),
    .descends_lr = 0.0015,
    .needs = needs,
    .start = start,
    .step = step,
};
