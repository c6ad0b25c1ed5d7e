/* sparse_mezo.c: Sparse-MeZO (Liu et al., arXiv 2402.15751): MeZO's step on the weights of small magnitude alone:
 *
 *     m_i = 1 where |w_i| <= h, else 0,   pg = (L(w + eps m z) - L(w - eps m z)) / (2 eps),   w <- w - lr pg m z
 *
 * h is a percentile of each layer's magnitudes; a layer is taken to be a parameter, biases and norms too. Its code could not be read, and neither
 * could its percentiles by task (its range is 20 to 50 %) nor whether h moves with the weights: those are options. The paper makes the mask in the
 * forward, from weights that stand at a probe; there a probe can turn an element's mask over. Here it is made of the weights without the probe and
 * kept as a set of zeros and ones, in f32.
 * What the mask leaves out is drawn, read and written all the same, multiplied by 0: the method saves no work here. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { THRESHOLD_START, THRESHOLD_MOVING };

typedef struct state {
    double share;
    int64_t refresh;
    int threshold, draw;
    zo_set mask;
} state;

static const zo_opt options[] = {
    {.key = "share", .type = ZO_OPT_REAL, .offset = offsetof(state, share), .initial = 0.25, .least = 0.0, .most = 1.0,
     .help = "the share of each parameter's numbers that moves, those of least magnitude (paper: 0.2 to 0.5, by task); 1 = MeZO"},
    {.key = "refresh", .type = ZO_OPT_INT, .offset = offsetof(state, refresh), .initial = 1, .least = 0, .most = 1e9,
     .help = "steps between masks, each of the weights as they then are; 0: one mask for the run"},
    {.key = "threshold", .type = ZO_OPT_CHOICE, .offset = offsetof(state, threshold), .initial = THRESHOLD_START, .choices = "start|moving",
     .help = "start: a parameter's threshold is found before the first step and stays; moving: it is found anew with each mask"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"threshold", "moving", "the threshold is found anew with each mask, so that each has its share"},
    {"refresh", "0", "one mask for the run, of the weights before the first step"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->updates = 1;
    n->scales = 1;
    n->scales_written = ((const state *)options_read)->refresh > 0;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec = {.name = "mask", .tag = ZO_TAG_OPT_STATE, .in_points = true};
    return o->open(o, &spec, &s->mask, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_status status = ZO_OK;
    if (c->step == 0 || (s->refresh > 0 && c->step % s->refresh == 0)) {
        status = o->mask(o, s->mask, s->share, c->step == 0 || s->threshold == THRESHOLD_MOVING, err);
    }
    zo_probe probe = {.dir = {zo_scaled_dir(zo_dense(o, s->draw, c->step, 0), s->mask, ZO_SCALING_TIMES)}, .ndirs = 1};
    status = status == ZO_OK ? zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move = {.dir = probe.dir[0], .coef = -c->lr * probe.projected};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err);
}

const zo_estimator zo_estimator_sparse_mezo = {
    .name = "sparse-mezo",
    .title = "Sparse-MeZO",
    .paper = "Liu et al., arXiv 2402.15751",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w + eps m z) of the step's batch, before the update",
    .losses_at = "w +- eps m z, m a mask of the smallest weights; applies m z",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.02,
    .descends_with = "{\"threshold\": \"moving\"}", /* there the first weights are all 0: no threshold parts them */
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
