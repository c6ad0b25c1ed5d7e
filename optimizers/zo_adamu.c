/* zo_adamu.c: ZO-AdaMU: the probe itself has momentum, and the step is divided by the root of what the perturbations usually are:
 *
 *     z1 = sqrt(alpha) u1,   z2 = m + sqrt(1 - alpha) u2,   u1, u2 ~ N(0, I),   m <- b1 z1 + (1 - b1) z2
 *     pg = (L(w + eps m) - L(w - eps m)) / (2 eps),   v = b2 z1^2 + (1 - b2) z2^2,   w <- w - lr pg m / sqrt(v + 1e-8)
 *
 * Put together from a summary. It gives no values for alpha, b1 and b2, nor the three phases in which the paper moves them: options, and constant.
 * Its N(0, sqrt(alpha)) is read as the deviation, so that z1 and the noise of z2 have variances that add up to 1. v is made of this step alone, so
 * it is formed where the weights are written, z2 = (m - b1 z1) / (1 - b1), and only m is kept. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { QUERY_FIRST, QUERY_SECOND }; /* u1, u2 */

typedef struct state {
    double alpha, beta1, beta2, adam_eps;
    int draw;
    zo_set m;
} state;

static const zo_opt options[] = {
    {.key = "alpha", .type = ZO_OPT_REAL, .offset = offsetof(state, alpha), .initial = 0.5, .least = 0.0, .most = 1.0,
     .help = "variance of the first perturbation; the second one's noise has the rest; no value is known from the text"},
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.9, .least = 0.0, .most = 0.9999,
     .help = "share of the first perturbation in the momentum; no value is known from the text"},
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = 0.9, .least = 0.0, .most = 1.0,
     .help = "share of the first perturbation's square in v; no value is known from the text"},
    {.key = "adam_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, adam_eps), .initial = 1e-8, .least = 1e-30, .most = 1.0,
     .help = "added to v below the root"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->stored = 1;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec = {.name = "momentum of the probe", .tag = ZO_TAG_OPT_STATE, .in_points = true};
    return o->open(o, &spec, &s->m, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double first = sqrt(s->alpha), second = sqrt(1.0 - s->alpha);
    zo_term z1 = {.dir = zo_dense(o, s->draw, c->step, QUERY_FIRST), .coef = first};
    zo_term pull[2] = {{z1.dir, s->beta1 * first}, {zo_dense(o, s->draw, c->step, QUERY_SECOND), (1.0 - s->beta1) * second}};
    zo_probe probe = {.dir = {zo_set_dir(s->m)}, .ndirs = 1};
    zo_status status = o->combine(o, s->m, 1.0 - s->beta1, pull, 2, err);
    status = status == ZO_OK ? zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_rule_args args = {.lr = (float)(c->lr * probe.projected), .beta1 = (float)s->beta1, .beta2 = (float)s->beta2, .eps = (float)s->adam_eps};
    zo_operands x = {.term = &z1, .terms = 1, .m = s->m};
    return o->rule(o, ZO_RULE_ADAMU, &args, &x, err);
}

const zo_estimator zo_estimator_zo_adamu = {
    .name = "zo-adamu",
    .title = "ZO-AdaMU",
    .paper = "ZO-AdaMU (no number was noted)",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .loss_is = "L(w + eps m) of the step's batch, before the update",
    .losses_at = "w +- eps m, m the momentum of the perturbations; applies m over the root of their squares",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.005,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
