/* fo_adamw.c: AdamW (Loshchilov & Hutter, arXiv 1711.05101) as torch.optim.AdamW, the first-order baseline of MeZO, whose scripts run
 * it with schedule linear, clipping to norm 1 and no weight decay (the defaults of transformers 4.28). Dropout is off. */
#include <math.h>
#include <stddef.h>

#include "optimizers/adam.h"
#include "optimizers/first_order.h"

typedef struct state {
    zo_first_order common;
    double beta1, beta2, adam_eps;
    zo_set m, v;
} state;

static const zo_opt options[] = {
    ZO_ADAM_OPTIONS(state, 0.9, 0.999, 0.0),
    ZO_FIRST_ORDER_OPTIONS("decoupled decay, on all but biases and norms", 1.0),
    {.key = NULL}};

static const zo_variant variants[] = {ZO_FIRST_ORDER_CHECKPOINT, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    zo_first_order_needs(options_read, n);
    n->moments = 2;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = zo_first_order_start(&s->common, o, err);
    status = status == ZO_OK ? zo_open_moment(o, "first moment", &s->m, err) : status;
    return status == ZO_OK ? zo_open_moment(o, "second moment", &s->v, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double lr, loss;
    zo_status status = zo_schedule_lr(s->common.schedule, c, &lr, err);
    if (status == ZO_OK) {
        status = zo_clipped_gradient(&s->common, o, &loss, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = loss, .projected = NAN, .lr = lr, .paper_queries = NAN};
    zo_rule_args args = zo_adam_args(lr, s->beta1, s->beta2, s->adam_eps, (double)c->step + 1.0);
    args.decay = (float)s->common.weight_decay;
    zo_operands x = {.g = s->common.gradient, .m = s->m, .v = s->v};
    return o->rule(o, ZO_RULE_ADAMW, &args, &x, err);
}

const zo_estimator zo_estimator_fo_adamw = {
    .name = "fo-adamw",
    .title = "AdamW on gradients",
    .paper = "Loshchilov & Hutter, arXiv 1711.05101",
    .source = ZO_SOURCE_RELEASED,
    .variants = variants,
    .usual = true,
    .loss_is = "L(w) of the step's batch, before the update",
    .losses_at = "the gradient at w; applies Adam's quotient and a decoupled decay",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 5e-5,
    .descends_lr = 0.01,
    .first_order = true,
    .needs = needs,
    .start = start,
    .step = step,
};
