/* lezo.c: LeZO (Wang et al., arXiv 2410.09823): MeZO's step along a z that is zero on a share rho of the transformer blocks, drawn anew at
 * each step:
 *
 *     z' = z on the blocks that are kept, 0 on the others,   pg = (L(w + eps z') - L(w - eps z')) / (2 eps),   w <- w - lr pg z'
 *
 * Blocks that are left out are neither drawn nor moved nor written, and that is what the method saves; its forwards are MeZO's.
 * The paper's code is not public, so its algorithm alone is followed. Embeddings, the last norm and the head are in no block and always kept, as
 * its reviews say. Of a view that trains some blocks only, rho is a share of those; where it is no whole number of blocks, it is rounded down.
 * rho = 0.75 is from memory, not read. The learning rate is not scaled by the share that is kept. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    double sparsity;
    int draw;
} state;

static const zo_opt options[] = {
    {.key = "sparsity", .type = ZO_OPT_REAL, .offset = offsetof(state, sparsity), .initial = 0.75, .least = 0.0, .most = 1.0,
     .help = "rho: the share of the transformer blocks that a step leaves out, rounded down to whole blocks; 0 = MeZO"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"draw", "rademacher", "each number of z is -1 or +1 instead of normal, on the blocks that are kept"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
}

static zo_status direction(const state *s, const zo_objective *o, int64_t step, zo_dir *z, zo_err *err)
{
    *z = zo_dense(o, s->draw, step, 0);
    return zo_leave_out(o, s->sparsity, z, err);
}

/* A model of too many blocks is refused here, and one of which no block would ever be left out: that would be MeZO by another name. */
static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    const state *s = self;
    zo_dir z;
    zo_status status = direction(s, o, 0, &z, err);
    if (status == ZO_OK && s->sparsity > 0.0 && z.skip.in == 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "lezo: nothing that is trained here would be left out, for a share of %g of its transformer blocks is less than one: train more of "
                       "them, or use \"mezo\"", s->sparsity);
    }
    return status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    zo_probe probe = {.ndirs = 1};
    zo_status status = direction(self, o, c->step, &probe.dir[0], err);
    status = status == ZO_OK ? zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move = {.dir = probe.dir[0], .coef = -c->lr * probe.projected};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);
}

const zo_estimator zo_estimator_lezo = {
    .name = "lezo",
    .title = "LeZO",
    .paper = "Wang et al., arXiv 2410.09823",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w + eps z') of the step's batch, before the update",
    .losses_at = "w +- eps z', z' of a part of the blocks; applies z'",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
