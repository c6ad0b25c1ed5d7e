/* bszo.c: BSZO (arXiv 2601.01452): the gradient along k directions, as a Kalman filter believes it after one-sided quotients:
 *
 *     y_j = (L(w + eps z_j) - L(w)) / eps,   prior mu = 0, S = sigma^2 I,   a sample (d, y):  K = S d / (d'S d + e^2 |d|^2),
 *     mu <- mu + K (y - d'mu),   S <- S - K d'S,   e^2 <- (1 - alpha) e^2 + alpha (y - d'mu)^2,   w <- w - lr sum_j mu_j z_j
 *
 * e begins at sigma and goes on from step to step; mu and S begin anew. The first k samples are the k directions. A further one is that of the
 * largest variance, whose quotient is there already: the released code's third version takes it again, its fourth forwards it again. As S begins
 * diagonal and each d is an axis, S stays diagonal, and both versions see the same number (derived); so a step is k + 1 forwards here, and the
 * filter k numbers. Put together from summaries of paper and code (github.com/AeonianQuill/BSZO). They leave open which n stands in
 * sigma = sqrt(n / 1e6) (here the trained weights; option), and whether e^2 moves before or after a sample's K (here after). BSZO-B is nowhere
 * described. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/queries.h"

typedef struct state {
    int64_t k, samples;
    double sigma, alpha;
    int draw;
    double noise;    /* run: e^2; 0 before the first step */
    zo_queries query; /* (k) */
    double *belief;  /* (2 k) mu, and the diagonal of S */
} state;

static const zo_opt options[] = {
    {.key = "k", .type = ZO_OPT_INT, .offset = offsetof(state, k), .initial = 2, .least = 1, .most = 64,
     .help = "directions a step (released code: 2)"},
    {.key = "samples", .type = ZO_OPT_INT, .offset = offsetof(state, samples), .initial = 3, .least = 1, .most = 1024,
     .help = "samples of the filter; those beyond k take the quotient of the largest variance again (released code: 3); fewer than k count as k"},
    {.key = "sigma", .type = ZO_OPT_REAL, .offset = offsetof(state, sigma), .initial = 0.0, .least = 0.0, .most = 1e9,
     .help = "deviation of the prior, and first of the noise; 0 = sqrt(n / 1e6), n the trained weights"},
    {.key = "alpha", .type = ZO_OPT_REAL, .offset = offsetof(state, alpha), .initial = 0.1, .least = 0.0, .most = 1.0,
     .help = "how fast the noise follows the residuals' squares (released code: 0.1)"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_probe_needs(n, ZO_ONE_SIDED, s->k, 1, 0);
    n->updates = s->k;
    n->start_bytes[ZO_TAG_OTHER] = zo_queries_bytes(s->k) + (uint64_t)s->k * 2 * sizeof *s->belief;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)err;
    state *s = self;
    s->sigma = s->sigma > 0.0 ? s->sigma : sqrt((double)o->size / 1e6);
    zo_queries_start(&s->query, s->k);
    s->belief = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * (size_t)s->k * sizeof *s->belief);
    return ZO_OK;
}

/* What the filter makes of the quotients: mu. */
static const double *believe(state *s)
{
    double *mu = s->belief, *variance = s->belief + s->k;
    for (int64_t j = 0; j < s->k; j++) {
        mu[j] = 0.0;
        variance[j] = s->sigma * s->sigma;
    }
    for (int64_t i = 0; i < s->samples || i < s->k; i++) {
        int64_t at = i < s->k ? i : 0;
        for (int64_t j = 0; j < s->k && i >= s->k; j++) {
            at = variance[j] > variance[at] ? j : at;
        }
        double gain = variance[at] > 0.0 ? variance[at] / (variance[at] + s->noise) : 0.0, residual = s->query.probe[at].projected - mu[at];
        mu[at] += gain * residual;
        variance[at] *= 1.0 - gain;
        s->noise += s->alpha * (residual * residual - s->noise);
    }
    return mu;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int k = (int)s->k;
    for (int j = 0; j < k; j++) {
        s->query.probe[j] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, j)}, .ndirs = 1};
    }
    zo_status status = zo_probe_losses(o, ZO_BATCH_CURRENT, ZO_ONE_SIDED, c->eps, s->query.probe, k, err);
    if (status != ZO_OK) {
        return status;
    }
    s->noise = s->noise > 0.0 ? s->noise : s->sigma * s->sigma;
    const double *mu = believe(s);
    *r = (zo_step_report){.loss = s->query.probe[0].minus, .lr = c->lr, .paper_queries = NAN};
    for (int j = 0; j < k; j++) {
        s->query.term[j] = (zo_term){.dir = s->query.probe[j].dir[0], .coef = -c->lr * mu[j]};
        r->projected += s->query.probe[j].projected / k;
    }
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, s->query.term, k, err);
}

static void stop(void *self)
{
    state *s = self;
    zo_queries_stop(&s->query);
    zo_free(s->belief);
}

const zo_estimator zo_estimator_bszo = {
    .name = "bszo",
    .title = "BSZO",
    .paper = "arXiv 2601.01452",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .loss_is = "L(w) of the step's batch, before the update",
    .losses_at = "w, and w + eps z for k directions; applies them by what the filter believes",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .lr = 1e-7,
    .eps = 1e-4,
    .descends_lr = 0.02,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
