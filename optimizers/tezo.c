/* tezo.c: TeZO (Sun et al., arXiv 2501.19057): the two-point estimate along directions of low rank whose factors are drawn once (cp.h):
 *
 *     w <- w - lr kappa Z */
#include "optimizers/cp.h"

static const zo_opt options[] = {ZO_CP_OPTIONS, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    zo_cp_needs(options_read, 0, n);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    return zo_cp_start(self, o, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    zo_probe p;
    zo_status status = zo_cp_probe(self, o, c, &p, r, err);
    return status == ZO_OK ? zo_cp_update(self, o, c, &p, &p.dir[0], -c->lr * p.projected, p.projected, err) : status;
}

const zo_estimator zo_estimator_tezo = {
    ZO_CP_ESTIMATOR,
    .name = "tezo",
    .title = "TeZO",
    .losses_at = "w +- eps Z, Z low-rank with fixed factors; applies Z",
    .options = options,
    .state_bytes = sizeof(zo_cp),
    .lr = 1e-6,
    .needs = needs,
    .start = start,
    .step = step,
};
