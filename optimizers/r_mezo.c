/* r_mezo.c: R-MeZO, the random mask that Sparse-MeZO's paper compares with (Liu et al., arXiv 2402.15751):
 *
 *     m_i = 1 with probability `share`, else 0,   pg = (L(w + eps m z) - L(w - eps m z)) / (2 eps),   w <- w - lr pg m z
 *
 * The ratio and whether the mask is drawn again were not to be read: options. Anew at each step is what ZO-Muon's repository runs under the name
 * SparseMeZO. Here m_i = 1 where a normal of its own is at most as large as the quantile that makes it `share`; it is kept as a set of zeros and
 * ones, in f32. What the mask leaves out is drawn, read and written all the same, multiplied by 0: the method saves no work here. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { QUERY_Z, QUERY_MASK };

typedef struct state {
    double share;
    int64_t refresh;
    int draw;
    zo_set mask;
} state;

static const zo_opt options[] = {
    {.key = "share", .type = ZO_OPT_REAL, .offset = offsetof(state, share), .initial = 0.25, .least = 0.0, .most = 1.0,
     .help = "the probability with which each weight moves"},
    {.key = "refresh", .type = ZO_OPT_INT, .offset = offsetof(state, refresh), .initial = 1, .least = 0, .most = 1e9,
     .help = "steps between masks; 0: one mask for the run"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"refresh", "0", "one mask for the run"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
    n->scales = 1;
    n->scales_written = ((const state *)options_read)->refresh > 0;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec = {.name = "mask", .tag = ZO_TAG_OPT_STATE, .in_points = true};
    return o->open(o, &spec, &s->mask, err);
}

/* The t with P(|N(0, 1)| <= t) = share, by halving; below 0 where no number is to be so small. */
static double quantile(double share)
{
    double low = 0.0, high = 40.0;
    for (int i = 0; i < 100; i++) {
        double t = 0.5 * (low + high);
        *(erf(t * sqrt(0.5)) < share ? &low : &high) = t;
    }
    return share <= 0.0 ? -1.0 : share >= 1.0 ? INFINITY : high;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_status status = ZO_OK;
    if (c->step == 0 || (s->refresh > 0 && c->step % s->refresh == 0)) {
        zo_term each = {.dir = zo_gauss(o, c->step, QUERY_MASK), .coef = 1.0};
        zo_rule_args args = {.eps = (float)quantile(s->share)};
        zo_operands x = {.over = s->mask, .term = &each, .terms = 1};
        status = o->rule(o, ZO_RULE_CHOSEN, &args, &x, err);
    }
    zo_probe probe = {.dir = {zo_scaled_dir(zo_dense(o, s->draw, c->step, QUERY_Z), s->mask, ZO_SCALING_TIMES)}, .ndirs = 1};
    status = status == ZO_OK ? zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move = {.dir = probe.dir[0], .coef = -c->lr * probe.projected};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);
}

const zo_estimator zo_estimator_r_mezo = {
    .name = "r-mezo",
    .title = "R-MeZO",
    .paper = "Liu et al., arXiv 2402.15751",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w + eps m z) of the step's batch, before the update",
    .losses_at = "w +- eps m z, m a random mask; applies m z",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.02,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
