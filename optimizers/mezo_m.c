/* mezo_m.c: MeZO with momentum: torch.optim.SGD's momentum on the two-point estimate,
 *
 *     m <- beta m + pg z,   w <- w - lr m
 *
 * as ZO-Bench's released code has it (ZO-SGD-MMT; Zhang et al., arXiv 2402.11592): no dampening, no Nesterov, no decay, beta 0.9.
 * MeZO's README names an argument for momentum, and its code has none. m is a tensor here, in f32: a steady pull adds up to 1 / (1 - beta)
 * of itself, so lr is a tenth of MeZO's. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    double beta;
    int draw;
    zo_set m;
} state;

static const zo_opt options[] = {
    {.key = "beta", .type = ZO_OPT_REAL, .offset = offsetof(state, beta), .initial = 0.9, .least = 0.0, .most = 0.9999999,
     .help = "decay of the momentum (ZO-Bench's code: 0.9)"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
    n->stored = 1;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec = {.name = "momentum", .tag = ZO_TAG_OPT_STATE};
    return o->open(o, &spec, &s->m, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term pull = {.dir = probe.dir[0], .coef = probe.projected}, move = zo_set_term(s->m, -c->lr);
    status = o->combine(o, s->m, s->beta, &pull, 1, err);
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

const zo_estimator zo_estimator_mezo_m = {
    .name = "mezo-m",
    .title = "MeZO-m",
    .paper = "Zhang et al., arXiv 2402.11592 (ZO-SGD-MMT)",
    .source = ZO_SOURCE_RELEASED,
    .loss_is = "L(w + eps z) of the step's batch, before the update",
    .losses_at = "w +- eps z; applies the momentum of the estimates",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-7,
    .eps = 1e-3,
    .descends_lr = 0.001,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
