/* fo_sgd.c: stochastic gradient descent with momentum and L2 decay as torch.optim.SGD, the first-order baseline of MeZO-SVRG
 * (no momentum, no decay there).
 *
 *     g <- gradient (clipped) + weight_decay w;   m <- momentum m + g;   w <- w - lr m
 *
 * It has no Nesterov form and no dampening. In mode `inplace` each parameter moves within the backward pass, as soon as its gradient is complete, and no
 * set of gradients is kept (LOMO, Lv et al., arXiv 2306.09782: not read here, the idea is common): the same steps to the bit, without clipping, which
 * needs the norm of all gradients first. What is kept is room for the longest gradient, for that of tied embeddings, and the momentum where there is one. */
#include <math.h>
#include <stddef.h>

#include "optimizers/first_order.h"

enum { STORED, IN_PLACE };

typedef struct state {
    zo_first_order common;
    double momentum;
    int mode;
    zo_set m;
} state;

static const zo_opt options[] = {
    {.key = "momentum", .type = ZO_OPT_REAL, .offset = offsetof(state, momentum), .initial = 0.0, .least = 0.0, .most = 0.9999999,
     .help = "momentum; above 0 it keeps one more copy of the weights"},
    ZO_FIRST_ORDER_OPTIONS("L2 term, on all but biases and norms", 0.0),
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(state, mode), .initial = STORED, .choices = "stored|inplace", .younger = true,
     .help = "inplace: each parameter moves within the backward pass, and no set of gradients is kept; without clipping"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"momentum", "0.9", "heavy ball: one stored moment"},
    ZO_FIRST_ORDER_CHECKPOINT,
    ZO_MASTER_VARIANT,
    {"mode", "inplace", "each parameter moves within the backward pass as soon as its gradient is complete, which is then forgotten: the same steps"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_first_order_needs(&s->common, n);
    n->moments = s->momentum > 0.0;
    n->descends = s->mode == IN_PLACE;
}

static zo_status check(const void *options_read, int64_t steps, zo_err *err)
{
    (void)steps;
    const state *s = options_read;
    return s->mode != IN_PLACE || s->common.clip == 0.0
               ? ZO_OK
               : zo_fail(err, ZO_EINPUT, "fo-sgd has \"clip\": %g, which reads the norm of the whole gradient, and mode \"inplace\" never has that: use \"clip\": 0 or "
                         "\"mode\": \"stored\"", s->common.clip);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = ZO_OK;
    if (s->mode == STORED) {
        status = zo_first_order_start(&s->common, o, err);
    } else {
        o->checkpoint = s->common.checkpoint;
        o->masters = s->common.master;
    }
    return status == ZO_OK && s->momentum > 0.0 ? zo_open_moment(o, "momentum", &s->m, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double lr, loss = NAN;
    zo_status status = zo_schedule_lr(s->common.schedule, c, &lr, err);
    if (status == ZO_OK && s->mode == STORED) {
        status = zo_clipped_gradient(&s->common, o, &loss, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    zo_rule_args args = {.lr = (float)lr,
                         .decay = (float)s->common.weight_decay,
                         .beta1 = (float)s->momentum,
                         .correct1 = 1.0f,
                         .correct2 = 1.0f};
    zo_rule_kind rule = s->momentum > 0.0 ? ZO_RULE_MOMENTUM : ZO_RULE_SGD;
    zo_operands x = {.g = s->common.gradient, .m = s->m};
    status = s->mode == STORED ? o->rule(o, rule, &args, &x, err) : o->descend(o, ZO_BATCH_CURRENT, rule, &args, &x, &loss, err);
    *r = (zo_step_report){.loss = loss, .projected = NAN, .lr = lr, .paper_queries = (double)c->examples};
    return status;
}

const zo_estimator zo_estimator_fo_sgd = {
    .name = "fo-sgd",
    .title = "SGD on gradients",
    .variants = variants,
    .loss_is = "L(w) of the step's batch, before the update",
    .queries_are = "examples, n a step of n, as MeZO-SVRG's released code counts its first-order baseline",
    .losses_at = "the gradient at w; applies it",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-3,
    .descends_lr = 0.01,
    .first_order = true,
    .is_descent = true,
    .needs = needs,
    .start = start,
    .step = step,
    .check = check,
};
