/* zo_cons.c: ZO-SGD-Cons: MeZO's estimate, and of the step forth, the step back and none the one with the least loss on the step's batch:
 *
 *     L0 = L(w),   pg = (L(w + eps z) - L(w - eps z)) / (2 eps),   L1 = L(w - lr pg z),   L2 = L(w + lr pg z)
 *     w <- the w of min(L0, L1, L2)
 *
 * as ZO-Bench's released code has it (Zhang et al., arXiv 2402.11592): five forwards. What is first in this order is taken where two are equal;
 * the code was read for its rule, and not for that. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state { int draw; } state;

static const zo_opt options[] = {ZO_DRAW_OPTION(state), {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    n->points = 3;
    n->terms = 1;
    n->updates = 1;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_dir z = zo_dense(o, s->draw, c->step, 0);
    zo_term probe[2] = {{z, c->eps}, {z, -c->eps}};
    zo_point first[3] = {{.n = 0}, {.n = 1, .term = &probe[0]}, {.n = 1, .term = &probe[1]}};
    double loss[3], trial[2];
    zo_status status = o->losses(o, ZO_BATCH_CURRENT, first, 3, loss, err);
    if (status != ZO_OK) {
        return status;
    }
    double pg = (loss[1] - loss[2]) / (2.0 * c->eps);
    *r = (zo_step_report){.loss = loss[0], .projected = pg, .lr = c->lr, .paper_queries = 5.0};
    zo_term move[2] = {{z, -c->lr * pg}, {z, c->lr * pg}};
    zo_point then[2] = {{.n = 1, .term = &move[0]}, {.n = 1, .term = &move[1]}};
    status = o->losses(o, ZO_BATCH_CURRENT, then, 2, trial, err);
    if (status != ZO_OK) {
        return status;
    }
    int best = trial[1] < trial[0] ? 1 : 0;
    return trial[best] < loss[0] ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move[best], 1, err) : ZO_OK;
}

const zo_estimator zo_estimator_zo_cons = {
    .name = "zo-cons",
    .title = "ZO-Cons",
    .paper = "Zhang et al., arXiv 2402.11592 (ZO-SGD-Cons)",
    .source = ZO_SOURCE_RELEASED,
    .loss_is = "L(w) of the step's batch, before the update",
    .queries_are = "forward passes of a batch: 5 a step (ZO-Bench's released code)",
    .losses_at = "w, w +- eps z, w -+ lr pg z; applies the best of the last two, or nothing",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .step = step,
};
