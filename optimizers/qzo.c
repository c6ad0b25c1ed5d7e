/* qzo.c: QZO (arXiv 2505.13430): MeZO's step on the scales of a model whose matrices are held as integers, with a projected gradient that is clipped
 * and scales that stay at 0 or above:
 *
 *     pg = (L(s + eps z) - L(s - eps z)) / (2 eps),   pg' = min(max(pg, -C), C),   s <- max(s - lr pg' z, 0)
 *
 * Its repository held no code when it was read, so summaries were followed. They give C = 100 (50 to 200 works), lr 1e-7 and eps 1e-3, for codes of 4 bits. A weight
 * moves by eps times its code, so codes of 8 bits want an eps that is some 18 times smaller. What is trained is the view's ("tune": "scales" are the paper's): on
 * other parameters nothing is kept above 0, and the step is MeZO's with a clip. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    double clip;
    int draw;
} state;

static const zo_opt options[] = {
    {.key = "clip", .type = ZO_OPT_REAL, .offset = offsetof(state, clip), .initial = 100.0, .least = 0.0, .most = 1e30,
     .help = "C: the projected gradient is cut to -C..C before the update; 0 = not at all"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"clip", "0", "the projected gradient is not clipped: MeZO's step, and scales that stay at 0 or above"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    double clipped = s->clip > 0.0 ? fmin(fmax(probe.projected, -s->clip), s->clip) : probe.projected;
    zo_term move = {.dir = probe.dir[0], .coef = -c->lr * clipped};
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    status = o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);
    zo_operands scales = {.of_scales = true};
    return status == ZO_OK ? o->rule(o, ZO_RULE_POSITIVE, &(zo_rule_args){.lr = 0.0f}, &scales, err) : status;
}

const zo_estimator zo_estimator_qzo = {
    .name = "qzo",
    .title = "QZO",
    .paper = "arXiv 2505.13430",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(s + eps z) of the step's batch, before the update",
    .losses_at = "s +- eps z, of the scales; applies z, and keeps them at 0 or above",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-7,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .step = step,
};
