/* tezo_m.c: TeZO-m (Sun et al., arXiv 2501.19057): momentum of the numbers of low rank; the factors are those of cp.h:
 *
 *     M <- beta1 M + (1 - beta1) kappa tau,   w <- w - lr scale U diag(M) V^T
 *
 * What is not factored has no momentum: that of a dense direction is a copy of the weights, which the method is there to spare. So it moves by
 * the step's own kappa z, while the factors move by their average. */
#include "optimizers/cp.h"

typedef struct state {
    zo_cp cp;
    double beta1;
    float *tau, *m; /* (ncoef) */
} state;

static const zo_opt options[] = {ZO_CP_OPTIONS, ZO_CP_BETA1(state), {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    zo_cp_needs(options_read, 2, n);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = zo_cp_start(&s->cp, o, err);
    if (status == ZO_OK) {
        s->tau = o->open_numbers(o, "tau");
        s->m = o->open_numbers(o, "m");
    }
    return status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe p;
    zo_status status = zo_cp_probe(&s->cp, o, c, &p, r, err);
    if (status != ZO_OK) {
        return status;
    }
    o->numbers_of(o, &p.dir[0], s->tau);
    zo_cp_average(s->m, s->beta1, s->tau, p.projected, false, o->ncoef);
    zo_dir momentum = {.kind = ZO_DIR_SPAN, .seed = o->seed, .step = (uint32_t)c->step, .span = s->m};
    return zo_cp_update(&s->cp, o, c, &p, &momentum, -c->lr, p.projected, err);
}

const zo_estimator zo_estimator_tezo_m = {
    ZO_CP_ESTIMATOR,
    .name = "tezo-m",
    .title = "TeZO-m",
    .losses_at = "w +- eps Z, Z low-rank with fixed factors; applies the average of past Z, r numbers a matrix",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, tau),
    .lr = 1e-6,
    .needs = needs,
    .start = start,
    .step = step,
};
