/* mezo.c: MeZO (Malladi et al., arXiv 2305.17333): Algorithm 1, and Algorithm 2 (n-SPSA) with queries > 1.
 *
 *     pg_j = (L(w + eps z_j) - L(w - eps z_j)) / (2 eps),   w <- w (1 - lr weight_decay) - (lr / n) sum_j pg_j z_j
 *
 * The learning rate is constant, as in the released code. All queries of a step use the step's batch, where Algorithm 2 draws a
 * batch for each. It has no momentum and no Adam. z is Gaussian in the paper; "draw": "rademacher" is not of the paper. */
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/spsa.h"

typedef struct state {
    double weight_decay;
    int64_t queries;
    int decay_on, draw;
    zo_probe *probe; /* (queries) */
    zo_term *term;   /* (queries) */
} state;

enum { DECAY_MATRICES, DECAY_ALL };

static const zo_opt options[] = {
    {.key = "weight_decay", .type = ZO_OPT_REAL, .offset = offsetof(state, weight_decay), .initial = 0.0, .least = 0.0, .most = 1e3,
     .help = "decay: w *= 1 - lr * weight_decay at each step (the released code's L2 term); 0 in the paper's main runs"},
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 1, .least = 1, .most = 1024,
     .help = "n of n-SPSA: two-point estimates a step, averaged; 1 in the paper"},
    {.key = "decay_on", .type = ZO_OPT_CHOICE, .offset = offsetof(state, decay_on), .initial = DECAY_MATRICES,
     .choices = "matrices|all",
     .help = "matrices: biases and norms are spared (released code for OPT); all: nothing is (released code for RoBERTa)"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"queries", "4", "n-SPSA: the mean of four two-point estimates a step, eight forwards (Algorithm 2)"},
    {"decay_on", "all", "weight decay reaches biases and norms too, as the released code does for RoBERTa"},
    {"draw", "rademacher", "each number of z is -1 or +1 instead of normal: a bit to draw, and the length of z is always the same"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_spsa_needs(n, s->queries, 1, 0);
    n->updates = s->queries;
    n->start_bytes[ZO_TAG_OTHER] = (uint64_t)s->queries * (sizeof *s->probe + sizeof *s->term);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)err;
    state *s = self;
    o->decay_all = s->decay_on == DECAY_ALL;
    s->probe = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->queries * sizeof *s->probe);
    s->term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->queries * sizeof *s->term);
    return ZO_OK;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    for (int j = 0; j < n; j++) {
        s->probe[j] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, j)}, .ndirs = 1};
    }
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, s->probe, n, err);
    if (status != ZO_OK) {
        return status;
    }
    double loss = 0.0, projected = 0.0;
    for (int j = 0; j < n; j++) {
        s->term[j] = (zo_term){.dir = s->probe[j].dir[0], .coef = -c->lr / n * s->probe[j].projected};
        loss += s->probe[j].plus / n;
        projected += s->probe[j].projected / n;
    }
    *r = (zo_step_report){.loss = loss, .projected = projected, .lr = c->lr, .paper_queries = 2.0 * n};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0 - c->lr * s->weight_decay, s->term, n, err);
}

static void stop(void *self)
{
    state *s = self;
    zo_free(s->probe);
    zo_free(s->term);
}

const zo_estimator zo_estimator_mezo = {
    .name = "mezo",
    .title = "MeZO",
    .paper = "Malladi et al., arXiv 2305.17333",
    .variants = variants,
    .usual = true,
    .loss_is = "L(w + eps z) of the step's batch, before the update, as the released code logs (mean over queries)",
    .queries_are = "forward passes of a batch: 2 an estimate (its ablations have a budget of 10,000 of them)",
    .losses_at = "w +- eps z; applies z",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, probe),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
