/* eggroll.c: a population of low rank, as EGGROLL has it (arXiv 2511.16652). Read were summaries of it and of its released code (HyperscaleES), which
 * say how members are drawn and weighed; here that is followed by plain steps, where the code may put any optimizer. N members a step:
 *
 *     E_i = A_i B_i^T / sqrt(r) on every matrix, A_i (rows, r) and B_i (cols, r) ~ N(0, 1) drawn for each; a full Gaussian on the rest
 *     L_i = L(w + eps E_i);   antithetic: every second member is the one before with the other sign
 *     w += lr / N sum f_i E_i,   f_i the z-scores of -L_i among the step's members: (mean - L_i) / deviation
 *
 * scores "raw": f_i = (mean - L_i) / eps, with which antithetic pairs are the mean of two-point estimates.
 *
 * Decided here: the deviation is that of N, not N - 1; where all losses are equal nothing moves. lr and eps (sigma there) are no constants of the
 * text. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { SCORES_Z, SCORES_RAW };

typedef struct state {
    int64_t pairs, rank;
    bool antithetic;
    int scores, embeddings;
} state;

static const zo_opt options[] = {
    {.key = "pairs", .type = ZO_OPT_INT, .offset = offsetof(state, pairs), .initial = 4, .least = 1, .most = 4096,
     .help = "half the members of a step: N = 2 pairs"},
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(state, rank), .initial = 1, .least = 1, .most = 4096,
     .help = "r, at most a matrix's shorter side"},
    {.key = "antithetic", .type = ZO_OPT_BOOL, .offset = offsetof(state, antithetic), .initial = 1,
     .help = "members come in pairs w + eps E, w - eps E; false: each has draws of its own"},
    {.key = "scores", .type = ZO_OPT_CHOICE, .offset = offsetof(state, scores), .initial = SCORES_Z, .choices = "z|raw",
     .help = "z: the losses of a step by their mean and deviation; raw: by their mean and eps"},
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(state, embeddings), .initial = ZO_TABLES_FACTOR, .choices = "factor|rest",
     .help = "embedding tables: factors, or a full Gaussian"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"antithetic", "false", "each member has draws of its own"},
    {"scores", "raw", "losses are weighed by their distance from the mean, over eps"},
    {.key = NULL}};

static zo_factor_spec factors_of(const state *s)
{
    return (zo_factor_spec){.kind = ZO_FACTORS_OWN, .rank = (int)s->rank, .scale_power = -0.5, .tables = (zo_tables)s->embeddings};
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    zo_spsa_needs(n, s->pairs, 2, 0); /* 2 points of 2 terms for each pair */
    n->updates = 2;
    n->factored = true;
    n->factors = factors_of(s);
    n->rights = extent->steps > 0 ? (s->antithetic ? 1 : 2) * s->pairs * extent->steps : INT64_MAX;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    zo_factor_spec spec = factors_of(self);
    return o->open_factors(o, &spec, err);
}

/* What member (or pair) j of a step draws. */
static void draws_of(const state *s, const zo_objective *o, int64_t step, int j, zo_dir dir[2])
{
    dir[0] = dir[1] = zo_gauss(o, step, j);
    dir[0].kind = ZO_DIR_FACTORS;
    dir[0].period = (uint32_t)(step * 2 * s->pairs + j);
    dir[1].kind = ZO_DIR_REST;
}

/* loss (n) -> score */
static void scores_of(const state *s, double eps, double mean, double *loss, int n)
{
    double square = 0.0;
    for (int i = 0; i < n; i++) {
        square += (loss[i] - mean) * (loss[i] - mean) / n;
    }
    double by = s->scores == SCORES_RAW ? eps : sqrt(square);
    for (int i = 0; i < n; i++) {
        loss[i] = by > 0.0 ? (mean - loss[i]) / by : 0.0;
    }
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    int n = (int)(2 * s->pairs), draws = s->antithetic ? n / 2 : n, each = n / draws;
    zo_point *point = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *point);
    zo_term *term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * (size_t)n * sizeof *term);
    double *loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *loss), mean = 0.0;
    for (int i = 0; i < n; i++) {
        zo_dir dir[2];
        draws_of(s, o, c->step, i / each, dir);
        for (int k = 0; k < 2; k++) {
            term[2 * i + k] = (zo_term){.dir = dir[k], .coef = i % each == 0 ? c->eps : -c->eps};
        }
        point[i] = (zo_point){.n = 2, .term = term + 2 * i};
    }
    zo_status status = o->losses(o, ZO_BATCH_CURRENT, point, n, loss, err);
    for (int i = 0; i < n && status == ZO_OK; i++) {
        mean += loss[i] / n;
    }
    *r = (zo_step_report){.loss = mean, .projected = s->antithetic ? (loss[0] - loss[1]) / (2.0 * c->eps) : (loss[0] - mean) / c->eps, .lr = c->lr,
                          .paper_queries = n};
    scores_of(s, c->eps, mean, loss, status == ZO_OK ? n : 0);
    for (int j = 0; j < draws && status == ZO_OK; j++) {
        double score = each == 2 ? loss[2 * j] - loss[2 * j + 1] : loss[j];
        zo_term move[2] = {{.dir = term[2 * each * j].dir, .coef = c->lr / n * score}, {.dir = term[2 * each * j + 1].dir, .coef = c->lr / n * score}};
        status = o->combine(o, ZO_SET_WEIGHTS, 1.0, move, 2, err);
    }
    zo_free(point);
    zo_free(term);
    zo_free(loss);
    return status;
}

const zo_estimator zo_estimator_eggroll = {
    .name = "eggroll",
    .title = "EGGROLL-like",
    .paper = "arXiv 2511.16652",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "mean of the members' losses over the step's batch, before the update",
    .queries_are = "forward passes of a batch: one a member",
    .losses_at = "w + eps E of N members, E = A B^T / sqrt(r); applies their mean by z-scores",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-4,
    .eps = 1e-3,
    .descends_lr = 0.05,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
