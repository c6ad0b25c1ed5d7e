/* fzoo.c: FZOO (arXiv 2506.09034): N probes of one side along signs, and a step that is as long as their losses spread little:
 *
 *     l_0 = L(w),   l_i = L(w + eps u_i), u_i in {-1, 1}^d,   g = 1 / (eps N) sum_i (l_i - l_0) u_i,   w <- w - lr g / std(l_1 .. l_N)
 *
 * as its released code has it (github.com/DKmiyan/FZOO), which leaves out 1 / eps (lr absorbs it) and divides by N in std; its branch that would
 * use losses again is never reached, so a step is N + 1 forwards. That the paper divides by N - 1 and keeps 1 / eps is second hand. Where all l_i are
 * equal there is no step. The paper's batched scheme, which its main runs did not use, is "batched": all N + 1 points in one pass, where the weights
 * are not moved from point to point; its losses are those of two points a pass but for rounding. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/queries.h"

enum { DIVISOR_N, DIVISOR_N_1 };

typedef struct state {
    int64_t queries;
    int divisor;
    bool over_eps, batched;
    zo_queries query; /* (queries) */
} state;

static const zo_opt options[] = {
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 8, .least = 2, .most = 1024,
     .help = "N: probes a step (released code: 8)"},
    {.key = "divisor", .type = ZO_OPT_CHOICE, .offset = offsetof(state, divisor), .initial = DIVISOR_N, .choices = "n|n-1",
     .help = "of the losses' variance: n (released code), n-1 (the paper, second hand)"},
    {.key = "over_eps", .type = ZO_OPT_BOOL, .offset = offsetof(state, over_eps), .initial = 0,
     .help = "true: g has the 1 / eps of a difference quotient, so lr is eps times as large as without (the paper, second hand)"},
    {.key = "batched", .type = ZO_OPT_BOOL, .offset = offsetof(state, batched), .initial = 0,
     .help = "true: all N + 1 points share one pass (streamed alone), with activations of all; false: two of them"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"divisor", "n-1", "the losses' deviation has N - 1 below, so steps are a little shorter"},
    {"over_eps", "true", "the step has the difference quotients' 1 / eps, which the released code leaves to lr"},
    {"batched", "true", "all points of a step share one pass where weights are streamed: more activations, fewer passes"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"divisor", "n-1", ZO_SOURCE_RECONSTRUCTED}, {"over_eps", "true", ZO_SOURCE_RECONSTRUCTED}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_probe_needs(n, ZO_ONE_SIDED, s->queries, 1, 0);
    n->pass = s->batched ? n->points : 0;
    n->updates = s->queries;
    n->start_bytes[ZO_TAG_OTHER] = zo_queries_bytes(s->queries);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)o;
    (void)err;
    state *s = self;
    zo_queries_start(&s->query, s->queries);
    return ZO_OK;
}

static double deviation(const state *s, int n)
{
    double mean = 0.0, squares = 0.0;
    for (int i = 0; i < n; i++) {
        mean += s->query.probe[i].plus / n;
    }
    for (int i = 0; i < n; i++) {
        squares += (s->query.probe[i].plus - mean) * (s->query.probe[i].plus - mean);
    }
    return sqrt(squares / (s->divisor == DIVISOR_N ? n : n - 1));
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    for (int i = 0; i < n; i++) {
        s->query.probe[i] = (zo_probe){.dir = {zo_rademacher(o, c->step, i)}, .ndirs = 1};
    }
    zo_status status = zo_probe_losses(o, ZO_BATCH_CURRENT, ZO_ONE_SIDED, c->eps, s->query.probe, n, err);
    if (status != ZO_OK) {
        return status;
    }
    double spread = deviation(s, n), scale = spread > 0.0 ? c->lr / n / spread * (s->over_eps ? 1.0 : c->eps) : 0.0;
    *r = (zo_step_report){.loss = s->query.probe[0].minus, .lr = c->lr, .paper_queries = n + 1.0};
    for (int i = 0; i < n; i++) {
        s->query.term[i] = (zo_term){.dir = s->query.probe[i].dir[0], .coef = -scale * s->query.probe[i].projected};
        r->projected += s->query.probe[i].projected / n;
    }
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, s->query.term, n, err);
}

static void stop(void *self)
{
    zo_queries_stop(&((state *)self)->query);
}

const zo_estimator zo_estimator_fzoo = {
    .name = "fzoo",
    .title = "FZOO",
    .paper = "arXiv 2506.09034",
    .source = ZO_SOURCE_RELEASED,
    .sources = sources,
    .variants = variants,
    .loss_is = "L(w) of the step's batch, before the update",
    .queries_are = "forward passes of a batch: N + 1 a step (the paper gives budgets in forwards)",
    .losses_at = "w, and w + eps u for N directions of signs; applies them by their losses",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .lr = 5e-5,
    .eps = 1e-4,
    .descends_lr = 0.02,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
