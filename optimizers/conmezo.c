/* conmezo.c: ConMeZO (Behric et al., arXiv 2511.02757): the two-point estimate along directions of a cone about the momentum:
 *
 *     z' = cos(t) sqrt(d) m / |m| + sin(t) z,   pg = (L(w + eps z') - L(w - eps z')) / (2 eps)
 *     w <- w - lr pg z',   m <- b m + (1 - b) pg z'
 *
 * d is the number of trained weights, which is E|z|^2, so z' is about as long as z. Of the paper the abstract could be read, and its released code
 * (github.com/LejsDeen/ConMeZO, commit fbd895e). There are two forms in it, and they are the modes here:
 *   plain     synthetic-experiment/algorithms.py without warm-up: m begins at 0, and z' is z while |m| = 0; |m| is measured.
 *   released  opt/src/trainer.py: m begins as a draw of its own; |m| is not measured but carried on as what it would be if m and z were
 *             orthogonal, |m'|^2 = (b |m| + (1 - b) pg cos(t) sqrt(d))^2 + ((1 - b) pg sin(t))^2 d; and b is 0.1 up to step 200, then eases in
 *             to its value at step 2000.
 * That code keeps m in the weights' type and adds z to it for the time of a step; here it stays in f32, and z is drawn beside it.
 * Elsewhere it is said that the released code has sine and cosine the other way round. In this commit the cosine is the momentum's. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { MODE_PLAIN, MODE_RELEASED };
enum { QUERY_Z, QUERY_FIRST /* of the released code's first m */ };

typedef struct state {
    double theta, beta;
    int mode, draw;
    /* run */
    zo_set m;
    double norm; /* released: what |m| is taken for; 0 before the first step */
} state;

static const zo_opt options[] = {
    {.key = "theta", .type = ZO_OPT_REAL, .offset = offsetof(state, theta), .initial = 1.35, .least = 0.0, .most = 1.5707963267948966,
     .help = "half angle of the cone, from the momentum; pi/2 = MeZO's directions"},
    {.key = "beta", .type = ZO_OPT_REAL, .offset = offsetof(state, beta), .initial = 0.99, .least = 0.0, .most = 0.9999999,
     .help = "decay of the momentum (released scripts: 0.99 for OPT, 0.95 for RoBERTa)"},
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(state, mode), .initial = MODE_PLAIN, .choices = "plain|released",
     .help = "plain: m from 0, its norm measured; released: m from a draw, its norm estimated, beta warmed up, as the published trainer"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"mode", "released", "as the published trainer: the first momentum is a draw, its norm is estimated, and beta is 0.1 for 200 steps and eases in until 2000"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    zo_spsa_needs(n, 1, 2, 0);
    n->updates = 2;
    n->stored = 1;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec = {.name = "momentum", .tag = ZO_TAG_OPT_STATE, .in_points = true};
    return o->open(o, &spec, &s->m, err);
}

static double beta_at(const state *s, int64_t step)
{
    const double first = 0.1;
    if (s->mode == MODE_PLAIN || step > 2000) {
        return s->beta;
    }
    double p = step > 200 ? pow((double)(step - 200) / 1800.0, 1.8) : 0.0;
    return s->beta - (s->beta - first) / pow(1.0 + 8.0 * p, 3.0);
}

/* The norm of m before a step. */
static zo_status norm_of(state *s, zo_objective *o, int64_t step, double *norm, zo_err *err)
{
    if (s->mode == MODE_PLAIN) {
        return zo_set_norm(o, s->m, norm, err);
    }
    zo_status status = ZO_OK;
    if (s->norm == 0.0) {
        zo_term first = {.dir = zo_dense(o, s->draw, step, QUERY_FIRST), .coef = 1.0};
        status = o->combine(o, s->m, 0.0, &first, 1, err);
        s->norm = sqrt((double)o->size);
    }
    *norm = s->norm;
    return status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    double norm, length = sqrt((double)o->size);
    zo_status status = norm_of(s, o, c->step, &norm, err);
    if (status != ZO_OK) {
        return status;
    }
    bool cone = norm > 0.0;
    double times[2] = {cone ? sin(s->theta) : 1.0, cone ? cos(s->theta) * length / norm : 0.0}; /* of z, of m */
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, QUERY_Z), zo_set_dir(s->m)}, .times = times, .ndirs = cone ? 2 : 1};
    status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    double beta = beta_at(s, c->step), share = (1.0 - beta) * probe.projected;
    zo_term move[2] = {{.dir = probe.dir[0], .coef = -c->lr * probe.projected * times[0]}, {.dir = probe.dir[1], .coef = -c->lr * probe.projected * times[1]}};
    zo_term pull = {.dir = probe.dir[0], .coef = share * times[0]};
    status = o->combine(o, ZO_SET_WEIGHTS, 1.0, move, probe.ndirs, err);
    if (status == ZO_OK) {
        status = o->combine(o, s->m, beta + share * times[1], &pull, 1, err); /* m's own part of z' is a part of its decay */
    }
    s->norm = hypot((beta + share * times[1]) * norm, share * times[0] * length);
    return status;
}

const zo_estimator zo_estimator_conmezo = {
    .name = "conmezo",
    .title = "ConMeZO",
    .paper = "Behric et al., arXiv 2511.02757",
    .source = ZO_SOURCE_RELEASED,
    .variants = variants,
    .loss_is = "L(w + eps z') of the step's batch, before the update",
    .losses_at = "w +- eps z', z' in a cone about the momentum; applies z'",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-7,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
