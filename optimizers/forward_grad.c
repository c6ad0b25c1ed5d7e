/* forward_grad.c: the forward gradient (Baydin et al., arXiv 2202.08587) as ZO-Bench has it (Zhang et al., arXiv 2402.11592: Forward-Grad):
 *
 *     w <- w - lr (g . z) z,   g the gradient at w, z ~ N(0, I)
 *
 * g . z is what a two-point probe tends to as eps goes to 0. Released code has it by one forward pass of value and derivative (a JVP), with z stored for
 * all parameters, and never has g. Here g comes from a backward pass and is stored beside z: the step is the same to rounding, and neither its time nor
 * its memory is the method's. So these are not measured. Work counts what is run here, a backward pass. */
#include <math.h>
#include <stddef.h>

#include "optimizers/first_order.h"
#include "optimizers/spsa.h"

typedef struct state {
    int draw;
    bool master;
    zo_set gradient, z;
} state;

static const zo_opt options[] = {ZO_DRAW_OPTION(state), ZO_MASTER_OPTION(state), {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    n->masters = ((const state *)options_read)->master;
    n->gradient = true;
    n->stored = 1;
    n->updates = 1;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec gradient = {.name = "gradient", .tag = ZO_TAG_GRADS}, z = {.name = "direction", .tag = ZO_TAG_OPT_STATE};
    o->masters = s->master;
    zo_status status = o->open(o, &gradient, &s->gradient, err);
    return status == ZO_OK ? o->open(o, &z, &s->z, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double loss, along;
    zo_term z = {.dir = zo_dense(o, s->draw, c->step, 0), .coef = 1.0};
    zo_status status = o->gradient(o, ZO_BATCH_CURRENT, s->gradient, &loss, NULL, err);
    status = status == ZO_OK ? o->combine(o, s->z, 0.0, &z, 1, err) : status;
    status = status == ZO_OK ? o->dot(o, s->gradient, s->z, &along, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    if (!isfinite(along)) {
        return zo_fail(err, ZO_EDIVERGED, "the gradient along the step's direction is %g: the run has diverged; a smaller lr may help", along);
    }
    *r = (zo_step_report){.loss = loss, .projected = along, .lr = c->lr, .paper_queries = NAN};
    z.coef = -c->lr * along;
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &z, 1, err);
}

const zo_estimator zo_estimator_forward_grad = {
    .name = "forward-grad",
    .title = "Forward gradient",
    .paper = "Zhang et al., arXiv 2402.11592 (Forward-Grad)",
    .source = ZO_SOURCE_RELEASED,
    .loss_is = "L(w) of the step's batch, before the update",
    .losses_at = "the gradient at w; applies z by its slope along z",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 5e-7,
    .descends_lr = 0.01,
    .first_order = true,
    .needs = needs,
    .start = start,
    .step = step,
    .unmeasured = "the gradient comes from a backward pass, where the method has a forward pass with derivatives",
};
