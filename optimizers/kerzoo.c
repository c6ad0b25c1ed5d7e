/* kerzoo.c: KerZOO (arXiv 2505.18886): the two-point estimate at a radius that is drawn, and weighted by a kernel of it:
 *
 *     r ~ U[-1, 1],   pg = (L(w + eps r z) - L(w - eps r z)) / (2 eps) K(r),   K(r) = C 15/4 r (5 - 7 r^2),   w <- w - lr / n sum_j pg_j z_j
 *
 * E[r K(r)] = C and E[r^3 K(r)] = 0, so the bias of order eps^2 is gone, and a linear loss has C times its gradient in the mean. K is up to 7.5 C, so
 * the estimate spreads more than MeZO's. Put together from a summary: the paper was not read and no code is known. It leaves open whether r is
 * drawn for each of the n queries or once a step, and n and C: options. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/queries.h"

enum { RADIUS_QUERY, RADIUS_STEP };

typedef struct state {
    int64_t queries;
    double c;
    int radius, draw;
    zo_queries query; /* (queries) */
    double *r;       /* (queries) */
} state;

static const zo_opt options[] = {
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 1, .least = 1, .most = 1024,
     .help = "n: two-point estimates a step, averaged; the summary names no number"},
    {.key = "c", .type = ZO_OPT_REAL, .offset = offsetof(state, c), .initial = 1.0, .least = 1e-6, .most = 1e6,
     .help = "C of the kernel; 1: the gradient of a linear loss is met in the mean"},
    {.key = "radius", .type = ZO_OPT_CHOICE, .offset = offsetof(state, radius), .initial = RADIUS_QUERY, .choices = "query|step",
     .help = "r is drawn for each query, or once a step"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_spsa_needs(n, s->queries, 1, 0);
    n->updates = s->queries;
    n->start_bytes[ZO_TAG_OTHER] = zo_queries_bytes(s->queries) + (uint64_t)s->queries * sizeof *s->r;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)o;
    (void)err;
    state *s = self;
    zo_queries_start(&s->query, s->queries);
    s->r = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->queries * sizeof *s->r);
    return ZO_OK;
}

static double kernel(double c, double r)
{
    return c * 3.75 * r * (5.0 - 7.0 * r * r);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *report, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    for (int j = 0; j < n; j++) {
        zo_stream stream = {.seed = o->seed, .step = (uint32_t)c->step, .query = s->radius == RADIUS_QUERY ? (uint32_t)j : 0, .role = ZO_ROLE_RADIUS};
        s->r[j] = 2.0 * zo_uniform(stream, 0) - 1.0;
        s->query.probe[j] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, j)}, .times = &s->r[j], .ndirs = 1};
    }
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, s->query.probe, n, err);
    if (status != ZO_OK) {
        return status;
    }
    *report = (zo_step_report){.lr = c->lr, .paper_queries = NAN};
    for (int j = 0; j < n; j++) {
        double pg = s->query.probe[j].projected * kernel(s->c, s->r[j]);
        s->query.term[j] = (zo_term){.dir = s->query.probe[j].dir[0], .coef = -c->lr / n * pg};
        report->loss += s->query.probe[j].plus / n;
        report->projected += pg / n;
    }
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, s->query.term, n, err);
}

static void stop(void *self)
{
    state *s = self;
    zo_queries_stop(&s->query);
    zo_free(s->r);
}

const zo_estimator zo_estimator_kerzoo = {
    .name = "kerzoo",
    .title = "KerZOO",
    .paper = "arXiv 2505.18886",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .loss_is = "L(w + eps r z) of the step's batch, before the update (mean over queries)",
    .losses_at = "w +- eps r z, r drawn; applies z",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.002,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
