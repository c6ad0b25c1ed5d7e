/* zo_svrg.c: ZO-SVRG (Liu et al., arXiv 1805.10367) with stored gradients, as MeZO-SVRG's repository has it beside its own method
 * (amazon-science/mezo_svrg, training_step_ZO_SVRG; nothing there calls it so that it runs):
 *
 *     t mod q == 0:   g <- SPSA_full(w),  anchor <- w,  w <- w - lr c(g) g          c(g) = min(1, max_norm / |g|), 1 where max_norm is 0
 *     else:           d <- SPSA_I(w) - SPSA_I(anchor),  w <- w - eta2 (d + g)
 *
 * Each SPSA is the mean over `queries` directions. MeZO-SVRG's modes never have the gradients as tensors; here g and d are, and the anchor is a copy:
 * three sets beside the weights. That code has d as two tensors, which is one more. Its anneal rule differs from MeZO-SVRG's and is left out; its
 * max_norm (18000 at first) grows to the largest norm of the first two epochs, and here it stays. Whether its two estimates share z was not noted: an
 * option. The original paper was not read. Losses that are reported are means of both sides at the current weights. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/queries.h"

enum { Z_SHARED, Z_FRESH };

typedef struct state {
    int64_t q, queries;
    double eta2, max_norm;
    int z, draw;
    zo_set anchor, gradient, difference;
    zo_queries query; /* (2 queries) at the weights, then at the anchor */
} state;

static const zo_opt options[] = {
    {.key = "q", .type = ZO_OPT_INT, .offset = offsetof(state, q), .initial = 2, .least = 1, .most = 100000,
     .help = "every q-th step is a full-batch step"},
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 1, .least = 1, .most = 1024,
     .help = "directions of each estimate, averaged"},
    {.key = "eta2", .type = ZO_OPT_REAL, .offset = offsetof(state, eta2), .initial = 1e-6, .least = 0.0, .most = 1e3,
     .help = "learning rate of mini-batch steps; lr is that of full-batch steps"},
    {.key = "max_norm", .type = ZO_OPT_REAL, .offset = offsetof(state, max_norm), .initial = 0.0, .least = 0.0, .most = 1e30,
     .help = "largest norm of a full-batch step's gradient; 0 = no clipping (that code begins with 18000)"},
    {.key = "z", .type = ZO_OPT_CHOICE, .offset = offsetof(state, z), .initial = Z_FRESH, .choices = "shared|fresh",
     .help = "whether the two mini-batch estimates share their directions"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"z", "shared", "both mini-batch estimates stand along the same directions, so their noise is shared"},
    {"max_norm", "1", "a full-batch step is no longer than lr times this"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    bool mini = s->q > 1 && extent->steps != 1;
    zo_spsa_needs(n, (mini ? 2 : 1) * s->queries, 1, 0);
    n->updates = mini ? 2 : 1;
    n->anchors = 1;
    n->stored = mini ? 2 : 1;
    n->stored_terms = s->queries * (1 + (mini ? s->z == Z_FRESH ? 2 : 1 : 0));
    n->start_bytes[ZO_TAG_OTHER] = zo_queries_bytes(2 * s->queries);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_queries_start(&s->query, 2 * s->queries);
    zo_set_spec anchor = {.name = "anchor", .tag = ZO_TAG_SNAPSHOT, .copy = true};
    zo_set_spec gradient = {.name = "full gradient", .tag = ZO_TAG_OPT_STATE}, difference = {.name = "difference", .tag = ZO_TAG_OPT_STATE};
    zo_status status = o->open(o, &anchor, &s->anchor, err);
    status = status == ZO_OK ? o->open(o, &gradient, &s->gradient, err) : status;
    return status == ZO_OK ? o->open(o, &difference, &s->difference, err) : status;
}

static zo_status full_step(state *s, zo_objective *o, double lr, int n, zo_err *err)
{
    zo_term here = zo_set_term(ZO_SET_WEIGHTS, 1.0);
    double norm = 0.0;
    for (int j = 0; j < n; j++) {
        s->query.term[j] = (zo_term){.dir = s->query.probe[j].dir[0], .coef = s->query.probe[j].projected / n};
    }
    zo_status status = o->combine(o, s->anchor, 0.0, &here, 1, err);
    status = status == ZO_OK ? o->combine(o, s->gradient, 0.0, s->query.term, n, err) : status;
    status = status == ZO_OK && s->max_norm > 0.0 ? zo_set_norm(o, s->gradient, &norm, err) : status;
    zo_term move = zo_set_term(s->gradient, norm > s->max_norm ? -lr * s->max_norm / norm : -lr);
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

static zo_status mini_step(state *s, zo_objective *o, double lr, int n, zo_err *err)
{
    int terms = s->z == Z_SHARED ? n : 2 * n;
    for (int j = 0; j < 2 * n; j++) {
        double share = s->query.probe[j].projected / n;
        if (j < terms) {
            s->query.term[j] = (zo_term){.dir = s->query.probe[j].dir[0], .coef = j < n ? share : -share};
        } else {
            s->query.term[j - n].coef -= share;
        }
    }
    zo_status status = o->combine(o, s->difference, 0.0, s->query.term, terms, err);
    zo_term move[2] = {zo_set_term(s->difference, -lr), zo_set_term(s->gradient, -lr)};
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, move, 2, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    bool full = c->step % s->q == 0;
    for (int j = 0; j < 2 * n; j++) {
        zo_dir dir = zo_dense(o, s->draw, c->step, s->z == Z_SHARED ? j % n : j);
        s->query.probe[j] = (zo_probe){.base = j < n ? ZO_SET_WEIGHTS : s->anchor, .dir = {dir}, .ndirs = 1};
    }
    zo_status status = zo_spsa(o, full ? ZO_BATCH_FULL : ZO_BATCH_CURRENT, c->eps, s->query.probe, full ? n : 2 * n, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.lr = full ? c->lr : zo_scheduled(c, s->eta2), .full_batch = full, .paper_queries = NAN};
    for (int j = 0; j < n; j++) {
        r->loss += 0.5 * (s->query.probe[j].plus + s->query.probe[j].minus) / n;
        r->projected += s->query.probe[j].projected / n;
    }
    return full ? full_step(s, o, r->lr, n, err) : mini_step(s, o, r->lr, n, err);
}

static void stop(void *self)
{
    zo_queries_stop(&((state *)self)->query);
}

const zo_estimator zo_estimator_zo_svrg = {
    .name = "zo-svrg",
    .title = "ZO-SVRG",
    .paper = "Liu et al., arXiv 1805.10367",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "mean of the losses at w + eps z and w - eps z before the update: over the whole training set on full-batch steps, else the batch",
    .losses_at = "w +- eps z and anchor +- eps z; every q-th step the whole training set at w +- eps z; applies stored gradients",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .lr = 1e-4,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .descends_with = "{\"eta2\": 0.002}",
    .full_batch = true,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
