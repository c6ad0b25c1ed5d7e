/* mezo.c: MeZO (Malladi et al., arXiv 2305.17333): Algorithm 1, and Algorithm 2 (n-SPSA) with queries > 1.
 *
 *     pg_j = (L(w + eps z_j) - L(w - eps z_j)) / (2 eps),   w <- w (1 - lr weight_decay) - (lr / n) sum_j pg_j z_j
 *
 * Algorithm 2 draws a batch for each query: "query_batches": "fresh". By default all use the step's batch, as the released code has it
 * (medium_models, zero_order_sample). z is Gaussian in the paper; "draw": "rademacher" is not of the paper. Other estimates in place of pg_j:
 *     one-sided   (L(w + eps z_j) - L(w)) / eps
 *     one-point   (L_t(w_t + eps z_t) - L_{t-1}(w_{t-1} + eps z_{t-1})) / eps (from memory), each query from its own; the first step rests
 * The appendix also lets the queries grow: n_t = max(1, floor(t / T n)), t from 0 (its RoBERTa code, zero_order_sample_scheduler linear). */
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/head_fit.h"
#include "optimizers/queries.h"

typedef struct state {
    double weight_decay;
    int64_t queries;
    int decay_on, draw, estimate, growth, batches, begins;
    zo_queries query; /* (queries) */
    double *before;  /* (queries) one-point: the losses of the last step */
} state;

enum { DECAY_MATRICES, DECAY_ALL, BATCHES_SHARED = 0, BATCHES_FRESH, BEGINS_PROBED = 1 };

static const zo_opt options[] = {
    {.key = "weight_decay", .type = ZO_OPT_REAL, .offset = offsetof(state, weight_decay), .initial = 0.0, .least = 0.0, .most = 1e3,
     .help = "decay: w *= 1 - lr * weight_decay at each step (the released code's L2 term); 0 in the paper's main runs"},
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 1, .least = 1, .most = 1024,
     .help = "n of n-SPSA: two-point estimates a step, averaged; 1 in the paper"},
    {.key = "decay_on", .type = ZO_OPT_CHOICE, .offset = offsetof(state, decay_on), .initial = DECAY_MATRICES, .choices = "matrices|all",
     .help = "matrices: biases and norms are spared (released code for OPT); all: nothing is (released code for RoBERTa)"},
    ZO_DRAW_OPTION(state),
    {.key = "estimate", .type = ZO_OPT_CHOICE, .offset = offsetof(state, estimate), .choices = "two-sided|one-sided|one-point", .younger = true,
     .help = "two-sided: 2 n forwards (the paper); one-sided: from the loss at w, n + 1; one-point: from the loss of the step before, n"},
    ZO_GROWTH_OPTION(state),
    {.key = "query_batches", .type = ZO_OPT_CHOICE, .offset = offsetof(state, batches), .choices = "shared|fresh", .younger = true,
     .help = "shared: all queries use the step's batch (the released code); fresh: each has a batch of its own (Algorithm 2)"},
    {.key = "start", .type = ZO_OPT_CHOICE, .offset = offsetof(state, begins), .choices = "model|probe", .younger = true,
     .help = "probe: the first step begins with a linear probe of the head, with its defaults (the paper's LP-MeZO)"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"queries", "4", "n-SPSA: the mean of four two-point estimates a step, eight forwards (Algorithm 2)"},
    {"decay_on", "all", "weight decay reaches biases and norms too, as the released code does for RoBERTa"},
    {"draw", "rademacher", "each number of z is -1 or +1 instead of normal: a bit to draw, and the length of z is always the same"},
    {"estimate", "one-sided", "the other loss is that at the weights: n + 1 forwards for n queries, and a bias of order eps"},
    {"estimate", "one-point", "the other loss is that of the step before: one forward a query, and more noise"},
    {"growth", "linear", "the queries of a step grow from 1 to n over the steps"},
    {"query_batches", "fresh", "each query of a step has a batch of its own: n batches a step (Algorithm 2)"}, {.key = NULL}};

static const zo_sourced sources[] = {{"estimate", "one-sided", ZO_SOURCE_NONE}, {"estimate", "one-point", ZO_SOURCE_RECONSTRUCTED},
                                     {"start", "probe", ZO_SOURCE_RELEASED}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    int64_t most = zo_queries_at(s->growth, s->queries, extent->steps - 1, extent->steps);
    n->batches = s->batches == BATCHES_FRESH ? most : 1;
    zo_probe_needs(n, s->estimate, most / n->batches, 1, 0);
    n->updates = most;
    if (s->begins == BEGINS_PROBED) {
        zo_head_fit_needs(&zo_head_fit_defaults, extent, n);
    }
    n->start_bytes[ZO_TAG_OTHER] = zo_queries_bytes(s->queries) + (uint64_t)s->queries * sizeof *s->before;
}

static zo_status check(const void *options_read, int64_t steps, zo_err *err)
{
    const state *s = options_read;
    zo_status status = zo_growth_check(s->growth, steps, err);
    return status != ZO_OK || s->growth == ZO_GROWTH_CONSTANT || s->estimate != ZO_ONE_POINT ? status
           : zo_fail(err, ZO_EINPUT, "\"estimate\": \"one-point\" goes from the loss that each query had in the step before, and \"growth\": \"linear\" adds "
                     "queries that had none: give \"constant\"");
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)err;
    state *s = self;
    o->decay_all = s->decay_on == DECAY_ALL;
    zo_queries_start(&s->query, s->queries);
    s->before = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->queries * sizeof *s->before);
    return ZO_OK;
}

static int arrays(void *self, zo_kept array[ZO_KEPT_MOST])
{
    const state *s = self;
    array[0] = (zo_kept){s->before, (size_t)s->queries * sizeof *s->before};
    return 1;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)zo_queries_at(s->growth, s->queries, c->step, c->steps);
    for (int j = 0; j < n; j++) {
        s->query.probe[j] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, j)}, .ndirs = 1};
    }
    bool fresh = s->batches == BATCHES_FRESH, fits = s->begins == BEGINS_PROBED && c->step == 0;
    double fitted;
    zo_status status = fits ? zo_head_fit_run(&zo_head_fit_defaults, o, &fitted, err) : ZO_OK;
    for (int j = 0; j < (fresh ? n : 1) && status == ZO_OK; j++) {
        status = zo_probe_losses(o, zo_batch_of(j), s->estimate, c->eps, &s->query.probe[j], fresh ? 1 : n, err);
    }
    *r = (zo_step_report){.lr = c->lr, .paper_queries = s->estimate == ZO_ONE_POINT ? n : s->estimate == ZO_ONE_SIDED && !fresh ? n + 1.0 : 2.0 * n};
    for (int j = 0; j < n && status == ZO_OK; j++) {
        zo_probe *p = &s->query.probe[j];
        if (s->estimate == ZO_ONE_POINT) {
            p->projected = c->step > 0 ? (p->plus - s->before[j]) / c->eps : 0.0;
            s->before[j] = p->plus;
        }
        s->query.term[j] = (zo_term){.dir = p->dir[0], .coef = -c->lr / n * p->projected};
        r->loss += p->plus / n;
        r->projected += p->projected / n;
    }
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0 - c->lr * s->weight_decay, s->query.term, n, err) : status;
}

static void stop(void *self)
{
    state *s = self;
    zo_queries_stop(&s->query);
    zo_free(s->before);
}

const zo_estimator zo_estimator_mezo = {
    .name = "mezo",
    .title = "MeZO", .paper = "Malladi et al., arXiv 2305.17333",
    .source = ZO_SOURCE_PAPER,
    .sources = sources,
    .variants = variants,
    .usual = true,
    .loss_is = "L(w + eps z) of the step's batch, before the update, as the released code logs (mean over queries)",
    .queries_are = "forward passes of a batch: 2 an estimate, n + 1 one-sided over one batch, n of one point (its ablations have a budget of 10,000 of them)",
    .losses_at = "w +- eps z; applies z",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .arrays = arrays,
    .lr = 1e-6, .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
    .check = check,
};
