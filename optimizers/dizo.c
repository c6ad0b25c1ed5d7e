/* dizo.c: DiZO (arXiv 2502.03304), as its released code has it (Skilteee/DiZO), from notes of both: MeZO's steps, and every kappa of them the matrices
 * l that are anchored are moved along their own way since the anchor, D_l = w_l - anchor_l, to a distance g_l that a search finds:
 *
 *     g_l = |D_l| at first; then 10 times, each on the next batch:  u_l ~ N(0, 1), one number a matrix, at most tau / r |D_l| large
 *         G = (L(anchor + (g + r u) / |D| D) - L(anchor + (g - r u) / |D| D)) / (2 r)
 *         g_l <- g_l - s |D_l| G u_l, between (1 - tau) |D_l| and (1 + tau) |D_l|
 *     w_l <- anchor_l + g_l / |D_l| D_l
 *
 * An iteration of the search is a step here: it takes a batch and two forwards as any other, so of kappa + 10 steps kappa are MeZO's. The paper says that
 * queries and values are anchored, the code does so with keys and values: `on`. `anchor` has the four of the authors' rebuttal. Where w_l stands at its
 * anchor it stays. The code multiplies and divides weights of 16 bits, which drift; here each point is made of the anchor and D. It also keeps every z
 * without reading it, and leaves the token table out of MeZO's steps: neither is done. Its variant that learns g by backpropagation is not here. */
#include <math.h>
#include <stddef.h>

#include "backends/store.h"
#include "core/mem.h"
#include "optimizers/dizo.h"

static const unsigned linear_of[] = {ZO_LINEAR_K | ZO_LINEAR_V, ZO_LINEAR_Q | ZO_LINEAR_V, ZO_LINEAR_ALL, ZO_LINEAR_EVERY};

typedef zo_dizo state;

static const zo_opt options[] = {
    {.key = "kappa", .type = ZO_OPT_INT, .offset = offsetof(state, kappa), .initial = 50, .least = 1, .most = 1000000000,
     .help = "steps of MeZO between two searches (released default 50; its grid: 50, 100, 200, 400)"},
    {.key = "iterations", .type = ZO_OPT_INT, .offset = offsetof(state, iterations), .initial = 10, .least = 1, .most = 1000000,
     .help = "iterations of a search, a step each (released code: 10)"},
    {.key = "radius", .type = ZO_OPT_REAL, .offset = offsetof(state, radius), .initial = 0.1, .least = 1e-9, .most = 1e6,
     .help = "r: how far a search probes (released default 0.1; 0.05)"},
    {.key = "rate", .type = ZO_OPT_REAL, .offset = offsetof(state, rate), .initial = 2.0, .least = 0.0, .most = 1e6, .help = "s: the search's step (released default 2; 1)"},
    {.key = "tau", .type = ZO_OPT_REAL, .offset = offsetof(state, tau), .initial = 0.2, .least = 0.0, .most = 1.0,
     .help = "largest change of a distance, of the distance (released default 0.2; 0.1, 0.3)"},
    {.key = "on", .type = ZO_OPT_CHOICE, .offset = offsetof(state, on), .initial = 0, .choices = "kv|qv|linear|all",
     .help = "what is anchored: keys and values (released code), queries and values (the paper), the linear layers of all blocks, every trained parameter"},
    {.key = "anchor", .type = ZO_OPT_CHOICE, .offset = offsetof(state, anchor), .initial = ZO_DIZO_START, .choices = "start|previous|zero|none",
     .help = "weights of the beginning, before the last step, zeros, or none: MeZO"},
    {.key = NULL}};

static const zo_variant variants[] = {{"on", "qv", "queries and values are anchored, as the paper says"},
                                      {"anchor", "previous", "the search is along the last step alone"},
                                      {.key = NULL}};

static const zo_sourced sources[] = {{"on", "qv", ZO_SOURCE_RECONSTRUCTED}, {"on", "linear", ZO_SOURCE_RECONSTRUCTED}, {"on", "all", ZO_SOURCE_RECONSTRUCTED},
                                     {"anchor", "previous", ZO_SOURCE_RECONSTRUCTED}, {"anchor", "zero", ZO_SOURCE_RECONSTRUCTED}, {.key = NULL}};

static bool keeps_anchor(const state *s)
{
    return s->anchor == ZO_DIZO_START || s->anchor == ZO_DIZO_PREVIOUS;
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
    n->linear = linear_of[s->on];
    bool ends_before = extent->steps > 0 && extent->steps <= s->kappa; /* the first search */
    n->part_copies = keeps_anchor(s) && (s->anchor == ZO_DIZO_START || !ends_before || extent->steps == s->kappa);
    n->part_sums = s->anchor != ZO_DIZO_NONE && !ends_before;
    for (int t = 0; t < extent->layout->n && s->anchor != ZO_DIZO_NONE; t++) {
        const zo_param *p = &extent->layout->param[t];
        n->start_bytes[ZO_TAG_OTHER] += !p->frozen && zo_param_in(p, n->linear) ? sizeof *s->x + sizeof *s->times : 0;
    }
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec anchor = {.name = "anchor", .tag = ZO_TAG_SNAPSHOT, .copy = true, .linear = linear_of[s->on]};
    zo_set_spec offset = {.name = "offset", .tag = ZO_TAG_OPT_STATE, .linear = linear_of[s->on]};
    zo_status status = ZO_OK;
    if (keeps_anchor(s)) {
        status = o->open(o, &anchor, &s->at, err);
    }
    if (status == ZO_OK && s->anchor != ZO_DIZO_NONE) {
        status = o->open(o, &offset, &s->d, err);
        s->n = status == ZO_OK ? o->tensors(o, s->d) : 0;
        s->x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->n * sizeof *s->x);
        s->times = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->n * sizeof *s->times);
    }
    return status;
}

static int arrays(void *self, zo_kept array[ZO_KEPT_MOST])
{
    state *s = self;
    array[0] = (zo_kept){s->x, (size_t)s->n * sizeof *s->x};
    return s->x != NULL;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int64_t turn = s->anchor == ZO_DIZO_NONE ? -1 : c->step % (s->kappa + s->iterations) - s->kappa;
    if (turn >= 0) {
        return zo_dizo_search(s, o, c, turn, r, err);
    }
    zo_status status = ZO_OK;
    if ((s->anchor == ZO_DIZO_START && c->step == 0) || (s->anchor == ZO_DIZO_PREVIOUS && turn == -1)) {
        zo_term here = zo_set_term(ZO_SET_WEIGHTS, 1.0);
        status = o->combine(o, s->at, 0.0, &here, 1, err);
    }
    zo_probe p = {.dir = {zo_gauss(o, c->step, 0)}, .ndirs = 1};
    status = status == ZO_OK ? zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &p, 1, err) : status;
    *r = (zo_step_report){.loss = p.plus, .projected = p.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move = {.dir = p.dir[0], .coef = -c->lr * p.projected};
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

static void stop(void *self)
{
    state *s = self;
    zo_free(s->x);
    zo_free(s->times);
}

const zo_estimator zo_estimator_dizo = {
    .name = "dizo",
    .title = "DiZO",
    .paper = "arXiv 2502.03304",
    .source = ZO_SOURCE_RELEASED,
    .sources = sources,
    .variants = variants,
    .loss_is = "L(w + eps z) of the step's batch, before the update; of a search L(anchor + (g + r u) / |D| D)",
    .losses_at = "w +- eps z; after each kappa steps ten times at other distances of some matrices from their anchor",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, x),
    .arrays = arrays,
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
