/* zo_muon.c: ZO-Muon (arXiv 2602.17155), as its released code has it (OPTML-Group/ZO-Muon), from notes of it:
 *
 *     Z_i = P Psi_i on every matrix, P (rows, r) orthonormal and uniform (Haar), drawn every 100 steps; Psi_i (r, cols) ~ N(0, 1), i = 1..N
 *     c_i = (L(w + eps Z_i) - L(w)) / eps,   w -= lr P msign(1 / N sum c_i Psi_i)
 *
 * msign by 5 iterations of Newton and Schulz, from what is divided by its norm (zo_objective.orthogonalise): singular values become about 1, whatever the
 * losses, so lr alone is the length of a step. A step is N + 1 forwards, which that code calls N queries.
 *
 * What is one-dimensional gets a full Gaussian in the same probes and w -= rest_lr 1 / N sum c_i z_i; 1e-7 stands in the code. Left open, and decided
 * here: tables count as matrices; no momentum, no factor of the matrix's shape in the step; eps is ours. The products are sums in float64 on every
 * backend (its slot `multiply`), so its bits are the same on all, and slower than a library's where r is large. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/spsa.h"

typedef struct state {
    int64_t queries, rank, period, iterations;
    double rest_lr;
    int embeddings;
    zo_set step;     /* run: mean Psi, and then its orthogonal factor */
    zo_probe *probe; /* (queries) */
    zo_term *term;   /* (queries + 1) */
} state;

static const zo_opt options[] = {
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 4, .least = 1, .most = 1024,
     .help = "N: probes a step, beside the loss at w (released example: 4; also 8, 16)"},
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(state, rank), .initial = 64, .least = 1, .most = 4096,
     .help = "r, at most a matrix's shorter side (released example: 64; also 128)"},
    {.key = "period", .type = ZO_OPT_INT, .offset = offsetof(state, period), .initial = 100, .least = 1, .most = 1000000000, .help = "steps for which P stays"},
    {.key = "iterations", .type = ZO_OPT_INT, .offset = offsetof(state, iterations), .initial = 5, .least = 1, .most = 100, .help = "of Newton and Schulz"},
    {.key = "rest_lr", .type = ZO_OPT_REAL, .offset = offsetof(state, rest_lr), .initial = 1e-7, .least = 0.0, .most = 1e3,
     .help = "learning rate of what has no factors (released code: 1e-7)"},
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(state, embeddings), .initial = ZO_TABLES_FACTOR, .choices = "factor|rest",
     .help = "embedding tables: factors, or a full Gaussian and rest_lr"},
    {.key = NULL}};

static zo_factor_spec factors_of(const state *s)
{
    return (zo_factor_spec){.kind = ZO_FACTORS_SUBSPACE, .rank = (int)s->rank, .tables = (zo_tables)s->embeddings};
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_probe_needs(n, ZO_ONE_SIDED, s->queries, 2, 0);
    n->updates = s->queries + 1;
    n->factored = true;
    n->factors = factors_of(s);
    n->right_sets = 1;
    n->start_bytes[ZO_TAG_OTHER] = (uint64_t)s->queries * sizeof *s->probe + (uint64_t)(s->queries + 1) * sizeof *s->term;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_factor_spec factors = factors_of(s);
    zo_set_spec spec = {.name = "step", .tag = ZO_TAG_OPT_STATE, .shape = ZO_SHAPE_RIGHT};
    s->probe = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->queries * sizeof *s->probe);
    s->term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(s->queries + 1) * sizeof *s->term);
    zo_status status = o->open_factors(o, &factors, err);
    return status == ZO_OK ? o->open(o, &spec, &s->step, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    uint32_t period = (uint32_t)(c->step / s->period);
    for (int k = 0; k < n; k++) {
        zo_dir z = zo_gauss(o, c->step, k), rest = z;
        z.kind = ZO_DIR_SUBSPACE;
        z.period = period;
        rest.kind = ZO_DIR_REST;
        s->probe[k] = (zo_probe){.dir = {z, rest}, .ndirs = 2};
    }
    /* made before the first factors, so that the first step's memory is that of any other */
    zo_status status = c->step == 0 ? o->combine(o, s->step, 0.0, NULL, 0, err) : ZO_OK;
    status = status == ZO_OK ? zo_probe_losses(o, ZO_BATCH_CURRENT, ZO_ONE_SIDED, c->eps, s->probe, n, err) : status;
    *r = (zo_step_report){.loss = s->probe[0].minus, .lr = c->lr, .paper_queries = n};
    for (int k = 0; k < n; k++) {
        s->term[k] = (zo_term){.dir = s->probe[k].dir[0], .coef = s->probe[k].projected / n};
        r->projected += s->probe[k].projected / n;
    }
    status = status == ZO_OK ? o->combine(o, s->step, 0.0, s->term, n, err) : status;
    status = status == ZO_OK ? o->orthogonalise(o, s->step, (int)s->iterations, err) : status;
    double rest_lr = zo_scheduled(c, s->rest_lr);
    for (int k = 0; k < n; k++) {
        s->term[k] = (zo_term){.dir = s->probe[k].dir[1], .coef = -rest_lr * s->probe[k].projected / n};
    }
    s->term[n] = (zo_term){.dir = {.kind = ZO_DIR_HELD, .set = s->step, .seed = o->seed, .period = period}, .coef = -c->lr};
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, s->term, n + 1, err) : status;
}

static void stop(void *self)
{
    state *s = self;
    zo_free(s->probe);
    zo_free(s->term);
}

const zo_estimator zo_estimator_zo_muon = {
    .name = "zo-muon",
    .title = "ZO-Muon",
    .paper = "arXiv 2602.17155",
    .source = ZO_SOURCE_RELEASED,
    .loss_is = "L(w) of the step's batch, before the update",
    .queries_are = "queries as the released code counts them: N a step, of N + 1 forwards",
    .losses_at = "w, and w + eps P Psi for N draws of Psi, P orthonormal and drawn every 100 steps; applies P msign(their mean)",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, probe),
    .lr = 1e-2,
    .eps = 1e-3,
    .descends_lr = 0.02,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
