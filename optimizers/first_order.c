/* first_order.c: see first_order.h. */
#include "optimizers/first_order.h"

void zo_first_order_needs(const zo_first_order *options, zo_needs *needs)
{
    needs->gradient = true;
    needs->checkpoint = options->checkpoint;
    needs->masters = options->master;
}

zo_status zo_first_order_start(zo_first_order *common, zo_objective *o, zo_err *err)
{
    zo_set_spec spec = {.name = "gradient", .tag = ZO_TAG_GRADS};
    o->checkpoint = common->checkpoint;
    o->masters = common->master;
    return o->open(o, &spec, &common->gradient, err);
}

zo_status zo_open_moment(zo_objective *o, const char *name, zo_set *set, zo_err *err)
{
    zo_set_spec spec = {.name = name, .tag = ZO_TAG_OPT_STATE};
    return o->open(o, &spec, set, err);
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

zo_status zo_clipped_gradient(const zo_first_order *common, zo_objective *o, double *loss, zo_err *err)
{
    double norm = 0.0;
    zo_status status = o->gradient(o, ZO_BATCH_CURRENT, common->gradient, loss, common->clip > 0.0 ? &norm : NULL, err);
    double scale = common->clip / (norm + 1e-6);
    bool clips = common->clip > 0.0 && scale < 1.0;
    return status == ZO_OK && clips ? o->combine(o, common->gradient, scale, NULL, 0, err) : status;
}
