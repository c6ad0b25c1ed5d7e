/* fo_sgd.c: stochastic gradient descent with momentum and L2 decay as torch.optim.SGD, the first-order baseline of MeZO-SVRG
 * (no momentum, no decay there).
 *
 *     g <- gradient (clipped) + weight_decay w;   m <- momentum m + g;   w <- w - lr m
 *
 * It has no Nesterov form and no dampening. */
#include <math.h>
#include <stddef.h>

#include "optimizers/first_order.h"

typedef struct state {
    double momentum, weight_decay, clip;
    int schedule;
    bool checkpoint;
} state;

static const zo_opt options[] = {
    {.key = "momentum", .type = ZO_OPT_REAL, .offset = offsetof(state, momentum), .initial = 0.0, .least = 0.0, .most = 0.9999999,
     .help = "momentum; above 0 it keeps one more copy of the weights"},
    {.key = "weight_decay", .type = ZO_OPT_REAL, .offset = offsetof(state, weight_decay), .initial = 0.0, .least = 0.0, .most = 1e3,
     .help = "L2 term, on all but biases and norms"},
    {.key = "clip", .type = ZO_OPT_REAL, .offset = offsetof(state, clip), .initial = 0.0, .least = 0.0, .most = 1e9,
     .help = "largest norm of the gradient; 0 = no clipping"},
    {.key = "schedule", .type = ZO_OPT_CHOICE, .offset = offsetof(state, schedule), .initial = ZO_SCHEDULE_CONSTANT,
     .choices = "constant|linear", .help = "learning rate over the steps; linear falls to 0 at the last"},
    {.key = "checkpoint", .type = ZO_OPT_BOOL, .offset = offsetof(state, checkpoint), .initial = 0,
     .help = "activation checkpointing: keep block inputs only, run blocks again in the backward pass"},
    {.key = NULL}};

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)err;
    o->checkpoint = ((const state *)self)->checkpoint;
    return ZO_OK;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double lr, scale, loss;
    zo_status status = zo_schedule_lr(s->schedule, c, &lr, err);
    if (status == ZO_OK) {
        status = zo_clipped_gradient(o, s->clip, &loss, &scale, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = loss, .projected = NAN, .lr = lr};
    zo_rule_args args = {.lr = (float)lr,
                         .decay = (float)s->weight_decay,
                         .beta1 = (float)s->momentum,
                         .correct1 = 1.0f,
                         .correct2 = 1.0f};
    return o->rule(o, s->momentum > 0.0 ? ZO_RULE_MOMENTUM : ZO_RULE_SGD, &args, scale, err);
}

const zo_estimator zo_estimator_fo_sgd = {
    .name = "fo-sgd",
    .title = "SGD on gradients (first order)",
    .loss_is = "L(w) of the step's batch, before the update",
    .losses_at = "the gradient at w; applies it",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-3,
    .first_order = true,
    .start = start,
    .step = step,
};
