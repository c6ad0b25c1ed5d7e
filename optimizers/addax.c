/* addax.c: Addax (Li et al., arXiv 2410.06441, ICLR 2025): probes on long rows, gradients in place on short ones, in one step.
 *
 *     g0 = (L(w + eps z; B0) - L(w - eps z; B0)) / (2 eps),   w <- w - lr (alpha g0 z + (1 - alpha) grad L(w; B1))
 *
 * B0 are K0 rows of more than L_T tokens, and B1 are K1 rows of at most L_T. Where no row is longer than L_T both come from all rows, each drawn for
 * itself (Addax-WA, without assignment). The gradient is that of in-place SGD: a parameter moves within the backward pass, and none is stored.
 *
 * Neither the paper's text nor its code was read. The formula is that of summaries, in which both estimates are at the same w. Reviews of the paper
 * name the order of its Algorithm 1: it draws both batches, probes, steps in place, and then draws z again from its seed. The README of the code says
 * where this stands in it. So the probes come first here, then the gradient at the w to which they have come back, and last the step along z. Left open are the default of
 * alpha, whether K1 is the run's batch, and whether a row's length counts all its options: here it is what a pass runs for it. */
#include <math.h>
#include <stddef.h>

#include "optimizers/first_order.h"
#include "optimizers/spsa.h"

enum { LONG_ROWS, SHORT_ROWS, POOLS };

typedef struct state {
    zo_first_order common; /* `checkpoint` and `master` alone: no gradient is stored */
    double alpha;
    int64_t length, batch;
    int draw;
} state;

static const zo_opt options[] = {
    {.key = "alpha", .type = ZO_OPT_REAL, .offset = offsetof(state, alpha), .initial = 1e-3, .least = 0.0, .most = 1.0,
     .help = "weight of the estimate along z; that of the gradient is 1 - alpha (its default is ours)"},
    {.key = "length", .type = ZO_OPT_INT, .offset = offsetof(state, length), .initial = 0, .least = 0, .most = 1 << 30,
     .help = "L_T, tokens: probes on longer rows, gradients on the others; 0, or no row is longer, which the note says: both on all rows (Addax-WA)"},
    {.key = "probe_batch", .type = ZO_OPT_INT, .offset = offsetof(state, batch), .initial = 0, .least = 0, .most = 1 << 30,
     .help = "K0, rows that are probed in a step; 0 = as many as `batch`, which is K1, the rows of the gradient"},
    ZO_DRAW_OPTION(state),
    ZO_CHECKPOINT_OPTION,
    ZO_MASTER_OPTION_OF(zo_first_order, 0), /* memory as MeZO's, which is what it is for, has no room for one */
    {.key = NULL}};

static const zo_variant variants[] = {
    {"length", "128", "rows of more than 128 tokens are probed, and gradients are of the others: activations are kept of short rows alone"},
    {"draw", "rademacher", "each number of z is -1 or +1 instead of normal"},
    ZO_FIRST_ORDER_CHECKPOINT,
    {"master", "true", "of weights of 16 bits: an f32 copy takes the updates, and the weights are that copy rounded"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    (void)extent;
    zo_first_order_needs(&s->common, n);
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
    n->descends = true;
    n->pool[LONG_ROWS] = (zo_pool){.above = s->length, .or_all = true, .batch = s->batch, .key = "length"};
    n->pool[SHORT_ROWS] = (zo_pool){.most = s->length, .gradient = true, .key = "length"};
    n->pools = POOLS;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)err;
    const state *s = self;
    o->checkpoint = s->common.checkpoint;
    o->masters = s->common.master;
    return ZO_OK;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_rule_args args = {.lr = (float)(c->lr * (1.0 - s->alpha))};
    zo_operands none = {.g = 0};
    double loss = NAN;
    zo_status status = zo_spsa(o, zo_batch_of(LONG_ROWS), c->eps, &probe, 1, err);
    status = status == ZO_OK ? o->descend(o, zo_batch_of(SHORT_ROWS), ZO_RULE_SGD, &args, &none, &loss, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = loss, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move = {.dir = probe.dir[0], .coef = -c->lr * s->alpha * probe.projected};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);
}

const zo_estimator zo_estimator_addax = {
    .name = "addax",
    .title = "Addax",
    .paper = "Li et al., arXiv 2410.06441",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w) of the step's short rows, before the update",
    .losses_at = "w +- eps z on long rows, and the gradient at w on short ones; applies both",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-3, .eps = 1e-3,
    .descends_lr = 0.01,
    .first_order = true,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
