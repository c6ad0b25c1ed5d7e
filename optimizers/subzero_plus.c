/* subzero_plus.c: SubZero+ (Yu et al., arXiv 2608.15665): SubZero's directions, many queries a step, and Adam between the factors. Read were notes of
 * its text. With Z_k = U S_k V^T on every matrix, S_k (r, r) ~ N(0, 1), U and V orthonormal, drawn every F steps:
 *
 *     rho_k = (L(w + eps Z_k) - L(w)) / eps, k = 1..K,   G = 1 / K sum rho_k S_k  (r, r)
 *     adam   M <- beta1 M + (1 - beta1) G,  N <- beta2 N + (1 - beta2) G^2,  w -= lr U (M' / (sqrt(N') + adam_eps)) V^T,  M' and N' corrected
 *     sgd    w -= lr U G V^T
 *
 * Columns of U and V get the signs of R's diagonal, so that they are uniform (Haar). Within a period that changes no law, neither of sgd nor of adam.
 * The listing carries M and N over to the next U and V as they are.
 *
 * Left open, and decided here: what has no factors gets a full Gaussian in the same probes, and its mean estimate the same rule;
 * tables count as matrices, as in SubZero's code; `align` has that code's mu in Z, and then in the step as well; lr, eps and adam_eps are ours. */
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/adam.h"
#include "optimizers/spsa.h"

enum { G, M, N, D, RULE_ADAM = 0, RULE_SGD, MOMENTS_KEEP = 0, MOMENTS_RESET };
static const int cores[] = {[RULE_ADAM] = D + 1, [RULE_SGD] = G + 1};

typedef struct state {
    int64_t queries, rank, period;
    int rule, refresh, embeddings;
    double beta1, beta2, adam_eps;
    bool align, haar;
    int64_t begun;    /* run: the first step of the moments */
    zo_set set[4];    /* run: G, M, N, and what a step takes off: cores */
    zo_probe *probe;  /* (queries) */
} state;

static const zo_opt options[] = {
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 99, .least = 1, .most = 1024,
     .help = "K: probes a step, beside the loss at w (paper: 99)"},
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(state, rank), .initial = 24, .least = 1, .most = 4096,
     .help = "r, at most a matrix's shorter side (paper: 24 in its ablation of K)"},
    {.key = "period", .type = ZO_OPT_INT, .offset = offsetof(state, period), .initial = 50, .least = 1, .most = 1000000000,
     .help = "F: steps for which U and V stay (paper: 50, 100)"},
    {.key = "rule", .type = ZO_OPT_CHOICE, .offset = offsetof(state, rule), .initial = RULE_ADAM, .choices = "adam|sgd", .help = "of the mean core"},
    ZO_ADAM_OPTIONS(state, 0.9, 0.95, 1e-20), /* M and N (paper: 0.9, 0.95) */
    {.key = "refresh", .type = ZO_OPT_CHOICE, .offset = offsetof(state, refresh), .initial = MOMENTS_KEEP, .choices = "keep|reset",
     .help = "M and N where U and V are drawn anew: kept (the paper's listing), or zeros again"},
    {.key = "haar", .type = ZO_OPT_BOOL, .offset = offsetof(state, haar), .initial = 1,
     .help = "U and V have the signs with which R's diagonal is positive; false: those that Householder's QR leaves"},
    {.key = "align", .type = ZO_OPT_BOOL, .offset = offsetof(state, align), .initial = 0, .help = "Z and the step are scaled by sqrt(rows cols) / r, as SubZero's code"},
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(state, embeddings), .initial = ZO_TABLES_FACTOR, .choices = "factor|rest",
     .help = "embedding tables: factors, or a full Gaussian"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"rule", "sgd", "steps are the mean of the estimates, without moments"}, {"align", "true", "Z has the variance of MeZO's z an entry"}, {.key = NULL}};
static const zo_sourced sources[] = {{"align", "true", ZO_SOURCE_RELEASED}, {.key = NULL}};

static zo_factor_spec factors_of(const state *s)
{
    return (zo_factor_spec){.kind = ZO_FACTORS_ORTHONORMAL, .rank = (int)s->rank, .align = s->align, .tables = (zo_tables)s->embeddings, .raw_signs = !s->haar};
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_probe_needs(n, ZO_ONE_SIDED, s->queries, 2, 0);
    n->updates = 1;
    n->factored = true;
    n->factors = factors_of(s);
    n->cores = cores[s->rule];
    n->start_bytes[ZO_TAG_OTHER] = (uint64_t)s->queries * sizeof *s->probe;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_factor_spec spec = factors_of(s);
    static const char *const name[] = {"estimate", "first moment", "second moment", "step"};
    zo_status status = o->open_factors(o, &spec, err);
    for (int k = 0; k < cores[s->rule] && status == ZO_OK; k++) {
        zo_set_spec core = {.name = name[k], .tag = ZO_TAG_OPT_STATE, .shape = ZO_SHAPE_CORE};
        status = o->open(o, &core, &s->set[k], err);
    }
    s->probe = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->queries * sizeof *s->probe);
    return status;
}

/* d <- -M' / (sqrt(N') + adam_eps) */
static zo_status adam(state *s, zo_objective *o, int64_t step, zo_err *err)
{
    zo_rule_args args = zo_adam_args(1.0, s->beta1, s->beta2, s->adam_eps, (double)(step - s->begun) + 1.0);
    zo_operands x = {.over = s->set[D], .g = s->set[G], .m = s->set[M], .v = s->set[N]};
    zo_status status = o->combine(o, s->set[D], 0.0, NULL, 0, err);
    return status == ZO_OK ? o->rule(o, ZO_RULE_ADAMW, &args, &x, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    uint32_t period = (uint32_t)(c->step / s->period);
    for (int k = 0; k < n; k++) {
        zo_dir z = zo_gauss(o, c->step, k), rest = z;
        z.kind = ZO_DIR_CORE;
        z.period = period;
        rest.kind = ZO_DIR_REST;
        s->probe[k] = (zo_probe){.dir = {z, rest}, .ndirs = 2};
    }
    zo_status status = ZO_OK;
    bool again = s->refresh == MOMENTS_RESET && c->step % s->period == 0;
    s->begun = again ? c->step : s->begun;
    for (int k = 0; k < cores[s->rule] && status == ZO_OK; k++) { /* made before the first factors, so that the first step's memory is that of any other */
        status = c->step == 0 || (again && (k == M || k == N)) ? o->combine(o, s->set[k], 0.0, NULL, 0, err) : ZO_OK;
    }
    status = status == ZO_OK ? zo_probe_losses(o, ZO_BATCH_CURRENT, ZO_ONE_SIDED, c->eps, s->probe, n, err) : status;
    *r = (zo_step_report){.loss = s->probe[0].minus, .lr = c->lr, .paper_queries = n + 1.0};
    for (int k = 0; k < n && status == ZO_OK; k++) {
        double share = s->probe[k].projected / n;
        zo_term pull[2] = {{.dir = s->probe[k].dir[0], .coef = share}, {.dir = s->probe[k].dir[1], .coef = share}};
        status = o->combine(o, s->set[G], k == 0 ? 0.0 : 1.0, pull, 2, err);
        r->projected += share;
    }
    status = status == ZO_OK && s->rule == RULE_ADAM ? adam(s, o, c->step, err) : status;
    zo_term move = {.dir = {.kind = ZO_DIR_HELD, .set = s->set[cores[s->rule] - 1] /* D or G */, .seed = o->seed, .period = period},
                    .coef = s->rule == RULE_SGD ? -c->lr : c->lr};
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

static void stop(void *self)
{
    zo_free(((state *)self)->probe);
}

const zo_estimator zo_estimator_subzero_plus = {
    .name = "subzero-plus",
    .title = "SubZero+", .paper = "Yu et al., arXiv 2608.15665",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .sources = sources,
    .variants = variants,
    .loss_is = "L(w) of the step's batch, before the update",
    .queries_are = "forward passes of a batch: K + 1 a step (the paper gives budgets in forwards)",
    .losses_at = "w, and w + eps Z for K cores Z = U S V^T between one pair of factors; applies Adam of their mean core, between the same factors",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, probe),
    .lr = 1e-3, .eps = 1e-3,
    .descends_lr = 0.05,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
