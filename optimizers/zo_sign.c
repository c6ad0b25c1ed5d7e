/* zo_sign.c: ZO-sign: the two-point estimate gives a direction, and not how far to go. There are two readings of it:
 *
 *     scalar    w <- w - lr / n sum_j sign(pg_j) z_j           a step along z of one length
 *     element   w <- w - lr sign(1/n sum_j pg_j z_j)           signSGD (Bernstein et al., arXiv 1802.04434) on the estimate, element by element
 *
 * The released code of ZO-Bench (ZO-SGD-Sign; Zhang et al., arXiv 2402.11592) has the scalar with n = 1; its line for elements is commented out.
 * That the paper means elements is from memory, not read, and so is the mean over n of either reading.
 * The sum of the element reading is drawn where the sign is taken, and stored nowhere. sign(0) = 0. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/queries.h"

enum { READING_SCALAR, READING_ELEMENT };

typedef struct state {
    int64_t queries;
    int reading, draw;
    zo_queries query; /* (queries) */
} state;

static const zo_opt options[] = {
    {.key = "reading", .type = ZO_OPT_CHOICE, .offset = offsetof(state, reading), .initial = READING_SCALAR, .choices = "scalar|element",
     .help = "scalar: the sign of the projected gradient, times z (ZO-Bench's code); element: the sign of each number of the estimate"},
    {.key = "queries", .type = ZO_OPT_INT, .offset = offsetof(state, queries), .initial = 1, .least = 1, .most = 1024,
     .help = "two-point estimates a step"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"reading", "element", "signSGD: each weight goes lr up or down, by the sign of the estimate there"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"reading", "element", ZO_SOURCE_RECONSTRUCTED}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_spsa_needs(n, s->queries, 1, 0);
    n->updates = s->reading == READING_SCALAR ? s->queries : 0;
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

static double sign(double x)
{
    return (x > 0.0) - (x < 0.0);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int n = (int)s->queries;
    for (int j = 0; j < n; j++) {
        s->query.probe[j] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, j)}, .ndirs = 1};
    }
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, s->query.probe, n, err);
    if (status != ZO_OK) {
        return status;
    }
    bool scalar = s->reading == READING_SCALAR;
    *r = (zo_step_report){.lr = c->lr, .paper_queries = NAN};
    for (int j = 0; j < n; j++) {
        double pg = s->query.probe[j].projected;
        s->query.term[j] = (zo_term){.dir = s->query.probe[j].dir[0], .coef = scalar ? -c->lr / n * sign(pg) : pg / n};
        r->loss += s->query.probe[j].plus / n;
        r->projected += pg / n;
    }
    if (scalar) {
        return o->combine(o, ZO_SET_WEIGHTS, 1.0, s->query.term, n, err);
    }
    zo_rule_args args = {.lr = (float)c->lr};
    zo_operands x = {.term = s->query.term, .terms = n};
    return o->rule(o, ZO_RULE_SIGN, &args, &x, err);
}

static void stop(void *self)
{
    zo_queries_stop(&((state *)self)->query);
}

const zo_estimator zo_estimator_zo_sign = {
    .name = "zo-sign",
    .title = "ZO-sign",
    .paper = "Zhang et al., arXiv 2402.11592 (ZO-SGD-Sign)",
    .source = ZO_SOURCE_RELEASED,
    .sources = sources,
    .variants = variants,
    .loss_is = "L(w + eps z) of the step's batch, before the update (mean over queries)",
    .losses_at = "w +- eps z; applies z by the sign of what they say, or the sign of each number",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
