/* subzo.c: SubZO, called SubZero by its authors (Yu et al., arXiv 2410.08989). Read was its released code (github.com/zimingyy/SubZero); of the paper
 * what others quote. With k = floor(t / F):
 *
 *     Z_t = mu U_k S_t V_k^T on every matrix, S_t (r, r) ~ N(0, 1) drawn at each step; U_k (rows, r) and V_k (cols, r) orthonormal, of normal numbers
 *     drawn every F steps; mu = sqrt(rows cols) / r
 *     pg = (L(w + eps Z) - L(w - eps Z)) / (2 eps),   w -= lr pg Z
 *
 * With mu ("norm alignment") an entry of Z has variance 1 over all draws, so lr and eps compare with MeZO's. Tables count as matrices in the code;
 * biases and norms get a full Gaussian in the same probe, and w -= lr pg z.
 *
 * Decided here: every matrix keeps its shape. The code views those of adapters and of a prefix as nearly square ones. Its QR is of f32 and any signs,
 * here of float64 and a positive diagonal of R, which changes no law: S has any signs itself. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    int64_t rank, period;
    bool align;
    int embeddings;
} state;

static const zo_opt options[] = {
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(state, rank), .initial = 8, .least = 1, .most = 4096,
     .help = "r, at most a matrix's shorter side (released default 8; the authors' grids: 24 and 48 for OPT-1.3B, 32 to 256 for OPT-13B)"},
    {.key = "period", .type = ZO_OPT_INT, .offset = offsetof(state, period), .initial = 2000, .least = 1, .most = 1000000000,
     .help = "F: steps for which U and V stay (released default 2000; the authors' grid: 500, 1000, 2000)"},
    {.key = "align", .type = ZO_OPT_BOOL, .offset = offsetof(state, align), .initial = 1,
     .help = "norm alignment: Z is scaled by mu, as the released code; false: mu = 1"},
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(state, embeddings), .initial = ZO_TABLES_FACTOR, .choices = "factor|rest",
     .help = "embedding tables: factors, as the released code, or a full Gaussian"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"align", "false", "Z is not scaled: its entries are smaller by sqrt(rows cols) / r"},
    {"embeddings", "rest", "embedding tables are probed with a full Gaussian and have no factors"},
    {.key = NULL}};

static zo_factor_spec factors_of(const state *s)
{
    return (zo_factor_spec){.kind = ZO_FACTORS_ORTHONORMAL, .rank = (int)s->rank, .align = s->align, .tables = (zo_tables)s->embeddings};
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    zo_spsa_needs(n, 1, 2, 0);
    n->updates = 2;
    n->factored = true;
    n->factors = factors_of(options_read);
    n->rights = zo_needs_periods(extent, ((const state *)options_read)->period);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    zo_factor_spec spec = factors_of(self);
    return o->open_factors(o, &spec, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_dir z = zo_gauss(o, c->step, 0), rest = z;
    z.kind = ZO_DIR_CORE;
    z.period = (uint32_t)(c->step / s->period);
    rest.kind = ZO_DIR_REST;
    zo_probe p = {.dir = {z, rest}, .ndirs = 2};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &p, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = p.plus, .projected = p.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move[2] = {{.dir = z, .coef = -c->lr * p.projected}, {.dir = rest, .coef = -c->lr * p.projected}};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, move, 2, err);
}

const zo_estimator zo_estimator_subzo = {
    .name = "subzo",
    .title = "SubZO",
    .paper = "Yu et al., arXiv 2410.08989",
    .source = ZO_SOURCE_RELEASED,
    .variants = variants,
    .loss_is = "L(w + eps Z) of the step's batch, before the update",
    .losses_at = "w +- eps Z, Z = mu U S V^T with S drawn at each step, U and V orthonormal and drawn every F steps; applies Z",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .needs = needs,
    .start = start,
    .step = step,
};
