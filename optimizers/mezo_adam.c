/* mezo_adam.c: MeZO-Adam (Malladi et al., arXiv 2305.17333, appendix B): Adam on the two-point estimate g = pg z:
 *
 *     m <- b1 m + (1 - b1) pg z,   v <- b2 v + (1 - b2) (pg z)^2,   w <- w - lr m' / (sqrt(v') + e)
 *
 * with m' and v' corrected for their start at 0, and a decoupled weight decay, as torch.optim.AdamW. pg z is drawn where the rule wants it and
 * stored nowhere, so two copies of the weights are kept, in f32. The paper's appendix can keep neither: it makes m and v again from all seeds and
 * losses so far, which costs a draw for each step that there was. Its released code (medium_models) keeps three copies, for there pg z is a
 * gradient's tensor. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    double beta1, beta2, adam_eps, weight_decay;
    int draw;
    zo_set m, v;
} state;

static const zo_opt options[] = {
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.9, .least = 0.0, .most = 0.9999999,
     .help = "decay of the first moment"},
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = 0.999, .least = 0.0, .most = 0.9999999,
     .help = "decay of the second moment"},
    {.key = "adam_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, adam_eps), .initial = 1e-8, .least = 0.0, .most = 1.0,
     .help = "added to the square root of the second moment"},
    {.key = "weight_decay", .type = ZO_OPT_REAL, .offset = offsetof(state, weight_decay), .initial = 0.0, .least = 0.0, .most = 1e3,
     .help = "decoupled decay, on all but biases and norms; 0 in the paper"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->moments = 2;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec m = {.name = "first moment", .tag = ZO_TAG_OPT_STATE}, v = {.name = "second moment", .tag = ZO_TAG_OPT_STATE};
    zo_status status = o->open(o, &m, &s->m, err);
    return status == ZO_OK ? o->open(o, &v, &s->v, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double t = (double)c->step + 1.0;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    /* The rule works with the betas as floats, and the corrections must be off with them. */
    float beta1 = (float)s->beta1, beta2 = (float)s->beta2;
    zo_rule_args args = {.lr = (float)c->lr,
                         .decay = (float)s->weight_decay,
                         .beta1 = beta1,
                         .beta2 = beta2,
                         .eps = (float)s->adam_eps,
                         .correct1 = (float)(1.0 - pow(beta1, t)),
                         .correct2 = (float)(1.0 - pow(beta2, t))};
    zo_term g = {.dir = probe.dir[0], .coef = probe.projected};
    zo_operands x = {.term = &g, .terms = 1, .m = s->m, .v = s->v};
    return o->rule(o, ZO_RULE_ADAMW, &args, &x, err);
}

const zo_estimator zo_estimator_mezo_adam = {
    .name = "mezo-adam",
    .title = "MeZO-Adam",
    .paper = "Malladi et al., arXiv 2305.17333",
    .source = ZO_SOURCE_PAPER,
    .loss_is = "L(w + eps z) of the step's batch, before the update",
    .losses_at = "w +- eps z; applies Adam's quotient of the estimates so far",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-5,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
