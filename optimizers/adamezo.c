/* adamezo.c: AdaMeZO (arXiv 2605.00650): Adam's step on the two-point estimates of the last h steps, whose moments are made anew at each step from
 * h seeds and numbers, and stored nowhere:
 *
 *     m = v = 0;  for k = t - h + 1 .. t:  m <- b1 m + (1 - b1) pg_k z_k,  v <- b2 v + (1 - b2) (pg_k z_k)^2;   w <- w - lr m / sqrt(v + e)
 *
 * Nothing of the weights' size is kept, and each step draws h directions where MeZO draws one. Put together from summaries: h, b1 and b2 are those of
 * its example for OPT-1.3B (10, 0.7, 0.9); e has no value there, and whether m and v are corrected for their start at 0 is not shown: options. */
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/adam.h"
#include "optimizers/last_terms.h"
#include "optimizers/spsa.h"

typedef struct state {
    int64_t history;
    double beta1, beta2, adam_eps;
    bool correct;
    int draw;
    int64_t n;     /* run: terms in the window */
    zo_term *term; /* (history) pg_k z_k, the oldest first */
} state;

static const zo_opt options[] = {
    {.key = "history", .type = ZO_OPT_INT, .offset = offsetof(state, history), .initial = 10, .least = 1, .most = 1024,
     .help = "h: steps that the moments are made of, and directions that a step draws"},
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.7, .least = 0.0, .most = 0.9999999,
     .help = "decay of the first moment"},
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = 0.9, .least = 0.0, .most = 0.9999999,
     .help = "decay of the second moment"},
    {.key = "adam_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, adam_eps), .initial = 1e-8, .least = 1e-30, .most = 1.0,
     .help = "added to the second moment, below the root; no value is known from the text"},
    {.key = "bias_correction", .type = ZO_OPT_BOOL, .offset = offsetof(state, correct), .initial = 0,
     .help = "divide the moments by 1 - beta^n, n the steps in the window; not shown in the text"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_spsa_needs(n, 1, 1, 0);
    n->start_bytes[ZO_TAG_OTHER] = (uint64_t)s->history * sizeof *s->term;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    (void)o;
    (void)err;
    state *s = self;
    s->term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->history * sizeof *s->term);
    return ZO_OK;
}

static int arrays(void *self, zo_kept array[ZO_KEPT_MOST])
{
    const state *s = self;
    array[0] = (zo_kept){s->term, (size_t)s->history * sizeof *s->term};
    return 1;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_last_terms_add(s->term, &s->n, s->history, &(zo_term){.dir = probe.dir[0], .coef = probe.projected});
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_rule_args args = zo_adam_args(c->lr, s->beta1, s->beta2, s->adam_eps, (double)s->n);
    if (!s->correct) {
        args.correct1 = args.correct2 = 1.0f;
    }
    zo_operands x = {.term = s->term, .terms = (int)s->n};
    return o->rule(o, ZO_RULE_WINDOW, &args, &x, err);
}

static void stop(void *self)
{
    state *s = self;
    zo_free(s->term);
}

const zo_estimator zo_estimator_adamezo = {
    .name = "adamezo",
    .title = "AdaMeZO",
    .paper = "arXiv 2605.00650",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .loss_is = "L(w + eps z) of the step's batch, before the update",
    .losses_at = "w +- eps z; applies Adam's quotient of the last h estimates, which are drawn again",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, term),
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
