/* adam.h: what the methods share that divide a moment by the root of another, as Adam (Kingma & Ba, arXiv 1412.6980) does. */
#ifndef ZO_OPTIMIZERS_ADAM_H
#define ZO_OPTIMIZERS_ADAM_H

#include <math.h>

#include "optimizers/estimator.h"

/* Rows of an option table; `state` has doubles beta1, beta2, adam_eps. `least` of the last one is 0 where the moments are full. */
#define ZO_ADAM_OPTIONS(state, first, second, least_eps)                                                                                   \
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = (first), .least = 0.0, .most = 0.9999999,          \
     .help = "decay of the first moment"},                                                                                                \
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = (second), .least = 0.0, .most = 0.9999999,         \
     .help = "decay of the second moment"},                                                                                               \
    {.key = "adam_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, adam_eps), .initial = 1e-8, .least = (least_eps), .most = 1.0,      \
     .help = "added to the square root of the second moment"}

/* What ZO_RULE_ADAMW and its kin take at the t-th estimate, t from 1: no decay, and both corrections for a start at 0. The rule works with the
 * betas as floats: 1 - 0.999f is 5e-5 off 0.001, and the corrections are off with it. */
static inline zo_rule_args zo_adam_args(double lr, double first, double second, double adam_eps, double t)
{
    float beta1 = (float)first, beta2 = (float)second;
    return (zo_rule_args){.lr = (float)lr, .beta1 = beta1, .beta2 = beta2, .eps = (float)adam_eps,
                          .correct1 = (float)(1.0 - pow(beta1, t)), .correct2 = (float)(1.0 - pow(beta2, t))};
}

#endif
