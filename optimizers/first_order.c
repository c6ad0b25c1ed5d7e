/* first_order.c: see first_order.h. */
#include "optimizers/first_order.h"

void zo_first_order_needs(const zo_first_order *options, zo_needs *needs)
{
    needs->gradient = true;
    needs->checkpoint = options->checkpoint;
    needs->clips = options->clip > 0.0;
}

zo_status zo_first_order_start(void *state, zo_objective *o, zo_err *err)
{
    (void)err;
    o->checkpoint = ((const zo_first_order *)state)->checkpoint;
    return ZO_OK;
}

zo_status zo_schedule_lr(int schedule, const zo_step_context *c, double *lr, zo_err *err)
{
    *lr = c->lr;
    if (schedule == ZO_SCHEDULE_CONSTANT) {
        return ZO_OK;
    }
    if (c->steps <= 0) {
        return zo_fail(err, ZO_EINPUT, "schedule \"linear\" needs a budget in \"steps\", to know where it ends: give \"steps\" or use "
                       "\"constant\"");
    }
    *lr = c->step < c->steps ? c->lr * (1.0 - (double)c->step / (double)c->steps) : 0.0;
    return ZO_OK;
}

zo_status zo_clipped_gradient(zo_objective *o, double most, double *loss, double *scale, zo_err *err)
{
    double norm = 0.0;
    zo_status status = o->gradient(o, ZO_BATCH_CURRENT, loss, most > 0.0 ? &norm : NULL, err);
    double wanted = most / (norm + 1e-6);
    *scale = most > 0.0 && wanted < 1.0 ? wanted : 1.0;
    return status;
}
