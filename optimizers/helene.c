/* helene.c: HELENE (arXiv 2411.10696): momentum over a second moment of the two-point estimate g = pg z that is kept away from 0:
 *
 *     m <- b1 m + a_t g,  a_t = b1 + (1 - b1) exp(-t / T);   every k steps  h <- b2 h + (1 - b2) s g^2
 *     w <- w - lr m / (gamma max(h, lambda) + e)
 *
 * Put together from summaries and reviews, for neither its algorithm nor code could be read. They leave open:
 *   s        1 (a second moment of the estimate, as its reviewers call it), or the examples of the batch (Sophia's Gauss-Newton estimate);
 *   lambda   a number a layer: here the same for all, or lambda / (2 sqrt(numbers of the parameter)), the form that is told of it;
 *   k, b1, b2, lambda, gamma, e and T, which have no default of the paper: all of them are options, and the values here are ours.
 * Its per-example form of the curvature wants losses of examples, which no objective gives. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { CURVATURE_MEAN, CURVATURE_BATCH };
enum { FLOORS_EQUAL, FLOORS_SIZE };

typedef struct state {
    double beta1, beta2, gamma, lambda, helene_eps, anneal;
    int64_t every;
    int curvature, floors, draw;
    zo_set m, h;
} state;

static const zo_opt options[] = {
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.9, .least = 0.0, .most = 0.9999999,
     .help = "decay of the momentum, and the share of a new estimate in it at the end of the annealing"},
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = 0.99, .least = 0.0, .most = 0.9999999,
     .help = "decay of the curvatures"},
    {.key = "gamma", .type = ZO_OPT_REAL, .offset = offsetof(state, gamma), .initial = 1.0, .least = 1e-12, .most = 1e12,
     .help = "times the curvatures, where they divide"},
    {.key = "lambda", .type = ZO_OPT_REAL, .offset = offsetof(state, lambda), .initial = 1.0, .least = 0.0, .most = 1e12,
     .help = "no curvature divides as a smaller one than this"},
    {.key = "helene_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, helene_eps), .initial = 1e-8, .least = 0.0, .most = 1e12,
     .help = "added to the divisor"},
    {.key = "anneal", .type = ZO_OPT_REAL, .offset = offsetof(state, anneal), .initial = 1000.0, .least = 1e-3, .most = 1e12,
     .help = "T, in steps: a new estimate goes into the momentum by beta1 + (1 - beta1) exp(-t / T)"},
    {.key = "every", .type = ZO_OPT_INT, .offset = offsetof(state, every), .initial = 10, .least = 1, .most = 1e9,
     .help = "k, steps between estimates of the curvatures"},
    {.key = "curvature", .type = ZO_OPT_CHOICE, .offset = offsetof(state, curvature), .initial = CURVATURE_MEAN, .choices = "mean|batch",
     .help = "mean: the square of the estimate; batch: times the examples of the batch"},
    {.key = "floors", .type = ZO_OPT_CHOICE, .offset = offsetof(state, floors), .initial = FLOORS_EQUAL, .choices = "equal|size",
     .help = "equal: lambda everywhere; size: lambda / (2 sqrt(the parameter's numbers))"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"floors", "size", "each parameter has a lambda of its own, over twice the root of its size"},
    {"curvature", "batch", "curvatures are times the examples of the batch, as in Sophia"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 1, 0);
    n->moments = 2;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec m = {.name = "momentum", .tag = ZO_TAG_OPT_STATE}, h = {.name = "curvatures", .tag = ZO_TAG_OPT_STATE};
    zo_status status = o->open(o, &m, &s->m, err);
    return status == ZO_OK ? o->open(o, &h, &s->h, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    double share = s->beta1 + (1.0 - s->beta1) * exp(-(double)c->step / s->anneal);
    double times = s->curvature == CURVATURE_BATCH ? sqrt((double)c->examples) : 1.0;
    zo_term pull = {.dir = probe.dir[0], .coef = share * probe.projected}, seen = {.dir = probe.dir[0], .coef = times * probe.projected};
    zo_rule_args args = {.lr = (float)c->lr, .beta2 = (float)s->beta2, .eps = (float)s->helene_eps, .gamma = (float)s->gamma, .floor = (float)s->lambda};
    zo_operands square = {.over = s->h, .term = &seen, .terms = 1}, divide = {.m = s->m, .v = s->h, .floor_by_size = s->floors == FLOORS_SIZE};
    status = o->combine(o, s->m, s->beta1, &pull, 1, err);
    if (status == ZO_OK && c->step % s->every == 0) {
        status = o->rule(o, ZO_RULE_SQUARE, &args, &square, err);
    }
    return status == ZO_OK ? o->rule(o, ZO_RULE_FLOORED, &args, &divide, err) : status;
}

const zo_estimator zo_estimator_helene = {
    .name = "helene",
    .title = "HELENE",
    .paper = "arXiv 2411.10696",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w + eps z) of the step's batch, before the update",
    .losses_at = "w +- eps z; applies the momentum over curvatures that have a floor",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 5e-4,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
