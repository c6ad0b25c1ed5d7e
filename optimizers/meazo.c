/* meazo.c: MEAZO (arXiv 2605.03869): MeZO's step, divided by a running size of the projected gradient, which is one number:
 *
 *     v <- beta v + (1 - beta) pg^2,   w <- w - lr pg z / (sqrt(v / (1 - beta^t)) + zeta)
 *
 * Put together from a summary: it names the one second moment and zeta; beta and zeta have no values there (options), and v is taken to be
 * corrected for its start at 0 as Adam's is. Nothing is kept beside the weights. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    double beta, zeta;
    int draw;
    double v; /* run: second moment */
} state;

static const zo_opt options[] = {
    {.key = "beta", .type = ZO_OPT_REAL, .offset = offsetof(state, beta), .initial = 0.99, .least = 0.0, .most = 0.9999999,
     .help = "decay of the second moment; the summary gives no value"},
    {.key = "zeta", .type = ZO_OPT_REAL, .offset = offsetof(state, zeta), .initial = 1e-8, .least = 0.0, .most = 1e6,
     .help = "added to its square root; the summary gives no value"},
    ZO_DRAW_OPTION(state),
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
    state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    double pg = probe.projected;
    s->v = s->beta * s->v + (1.0 - s->beta) * pg * pg;
    double size = sqrt(s->v / (1.0 - pow(s->beta, (double)c->step + 1.0))) + s->zeta;
    *r = (zo_step_report){.loss = probe.plus, .projected = pg, .lr = c->lr, .paper_queries = NAN};
    zo_term move = {.dir = probe.dir[0], .coef = size > 0.0 ? -c->lr * pg / size : 0.0}; /* both are 0 with zeta 0 and equal losses */
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);
}

const zo_estimator zo_estimator_meazo = {
    .name = "meazo",
    .title = "MEAZO",
    .paper = "arXiv 2605.03869",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .loss_is = "L(w + eps z) of the step's batch, before the update",
    .losses_at = "w +- eps z; applies z, its coefficient divided by what is usual",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.02,
    .allows = zo_allows_dense,
    .needs = needs,
    .step = step,
};
