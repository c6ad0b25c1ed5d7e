/* hizoo.c: HiZOO (Zhao et al., arXiv 2402.15173), as its released code has it: SPSA along z / sqrt(H), where H is a diagonal of curvatures that
 * the same losses and one more estimate:
 *
 *     L+- = L(w +- eps z / sqrt(H)),  L0 = L(w),  pg = (L+ - L-) / (2 eps)
 *     H <- (1 - a) H + a |L+ + L- - 2 L0| / (2 eps^2) H z^2,   w <- w - lr pg z / sqrt(H), with the new H
 *
 * H begins at 1, where the first step is MeZO's. The mean of its factor is 1 - a + a |curvature|, so H follows how curved the loss is along
 * z / sqrt(H). Released code (Yanjun-Zhao/HiZOO, commit 3113cee) keeps H in the weights' type; here it is f32. It runs a fourth forward after the update,
 * for its log alone; that one is left out. Its commit 34e8d14 has another form, which is not here: z sqrt(H) in place of z / sqrt(H), and z^2 / H in
 * place of H z^2, so that H is both a variance and a mean of curvatures. Whether the paper's own rule has a further term was not read, so this is no
 * variant `paper`. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

typedef struct state {
    double smooth;
    zo_set h;
} state;

static const zo_opt options[] = {
    {.key = "smooth", .type = ZO_OPT_REAL, .offset = offsetof(state, smooth), .initial = 1e-8, .least = 0.0, .most = 0.9999999,
     .help = "a, the share of the new estimate in the curvatures (released: 1e-8, constant)"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)options_read;
    (void)extent;
    n->points = 3;
    n->terms = 1;
    n->updates = 1;
    n->scales = 1;
    n->scales_written = true;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec = {.name = "curvatures", .tag = ZO_TAG_OPT_STATE, .in_points = true, .initial = 1.0};
    return o->open(o, &spec, &s->h, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_dir z = zo_gauss(o, c->step, 0), along = zo_scaled_dir(z, s->h, ZO_SCALING_PER_ROOT);
    zo_term plus = {.dir = along, .coef = c->eps}, minus = {.dir = along, .coef = -c->eps};
    zo_point point[3] = {{.n = 1, .term = &plus}, {.n = 1, .term = &minus}, {.n = 0}}; /* w last: in place that is the way back */
    double loss[3];
    zo_status status = o->losses(o, ZO_BATCH_CURRENT, point, 3, loss, err);
    if (status != ZO_OK) {
        return status;
    }
    double projected = (loss[0] - loss[1]) / (2.0 * c->eps), curvature = fabs(loss[0] + loss[1] - 2.0 * loss[2]) / (2.0 * c->eps * c->eps);
    *r = (zo_step_report){.loss = loss[2], .projected = projected, .lr = c->lr, .paper_queries = NAN};
    zo_term seen = {.dir = z, .coef = sqrt(s->smooth * curvature)}, move = {.dir = along, .coef = -c->lr * projected};
    zo_rule_args args = {.lr = (float)s->smooth};
    zo_operands x = {.over = s->h, .term = &seen, .terms = 1};
    status = o->rule(o, ZO_RULE_CURVATURE, &args, &x, err);
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

const zo_estimator zo_estimator_hizoo = {
    .name = "hizoo",
    .title = "HiZOO",
    .paper = "Zhao et al., arXiv 2402.15173",
    .source = ZO_SOURCE_RELEASED,
    .loss_is = "L(w) of the step's batch, before the update",
    .losses_at = "w +- eps z / sqrt(H) and w; applies z / sqrt(H) with the H that these losses made",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
};
