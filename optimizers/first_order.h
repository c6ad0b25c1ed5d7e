/* first_order.h: what fo_sgd.c and fo_adamw.c share: the learning-rate schedule and the clipping of the gradient. */
#ifndef ZO_OPTIMIZERS_FIRST_ORDER_H
#define ZO_OPTIMIZERS_FIRST_ORDER_H

#include "optimizers/estimator.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_schedule { ZO_SCHEDULE_CONSTANT, ZO_SCHEDULE_LINEAR } zo_schedule;

/* lr of a step: constant, or lr (1 - step / steps) (linear decay to 0 without warm-up, as transformers does). ZO_EINPUT where the
 * budget is not in steps. */
zo_status zo_schedule_lr(int schedule, const zo_step_context *c, double *lr, zo_err *err);

/* The gradient of the step's batch, and the factor that clips its norm to `most` (0 = no clipping), as torch's clip_grad_norm_. */
zo_status zo_clipped_gradient(zo_objective *o, double most, double *loss, double *scale, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
