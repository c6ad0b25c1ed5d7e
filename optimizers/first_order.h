/* first_order.h: what methods of first order share: options, the learning-rate schedule and the clipping of the gradient. */
#ifndef ZO_OPTIMIZERS_FIRST_ORDER_H
#define ZO_OPTIMIZERS_FIRST_ORDER_H

#include <stddef.h>

#include "optimizers/needs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_schedule { ZO_SCHEDULE_CONSTANT, ZO_SCHEDULE_LINEAR } zo_schedule;

/* Begins the state of a first-order optimizer, which may have a part of its options. */
typedef struct zo_first_order {
    double weight_decay, clip;
    int schedule;
    bool checkpoint, master;
    /* run */
    zo_set gradient;
} zo_first_order;

/* Of a zo_first_order at offset 0: how the gradient pass keeps its activations. */
#define ZO_CHECKPOINT_OPTION                                                                                                          \
    {.key = "checkpoint", .type = ZO_OPT_BOOL, .offset = offsetof(zo_first_order, checkpoint), .initial = 0,                          \
     .help = "activation checkpointing: keep block inputs only, run blocks again in the backward pass"}

/* Of a state with a bool `master`: where updates of weights of 16 bits go, with its default. */
#define ZO_MASTER_OPTION_OF(state, first)                                                                                              \
    {.key = "master", .type = ZO_OPT_BOOL, .offset = offsetof(state, master), .initial = (first), .younger = true,                    \
     .help = "beside weights of 16 bits: an f32 copy takes the updates, and the weights are that copy rounded; false: they are rounded to the weights"}
#define ZO_MASTER_OPTION(state) ZO_MASTER_OPTION_OF(state, 1)

/* Rows of its option table: where zo_first_order stands at offset 0. */
#define ZO_FIRST_ORDER_OPTIONS(decay_help, clip_initial)                                                                              \
    {.key = "weight_decay", .type = ZO_OPT_REAL, .offset = offsetof(zo_first_order, weight_decay), .initial = 0.0, .least = 0.0,      \
     .most = 1e3, .help = decay_help},                                                                                                \
    {.key = "clip", .type = ZO_OPT_REAL, .offset = offsetof(zo_first_order, clip), .initial = (clip_initial), .least = 0.0,           \
     .most = 1e9, .help = "largest norm of the gradient; 0 = no clipping"},                                                           \
    {.key = "schedule", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_first_order, schedule), .initial = ZO_SCHEDULE_CONSTANT,         \
     .choices = "constant|linear", .help = "learning rate over the steps; linear falls to 0 at the last"},                            \
    ZO_CHECKPOINT_OPTION, ZO_MASTER_OPTION(zo_first_order)

/* A row of its variants. */
#define ZO_FIRST_ORDER_CHECKPOINT {"checkpoint", "true", "the gradient keeps each block's input alone and runs the blocks again: less memory, work 4 in place of 3"}

/* And of weights of 16 bits. */
#define ZO_MASTER_VARIANT {"master", "false", "of weights of 16 bits: they take the updates themselves, and what is less than half a step between them is lost"}

/* What its gradients take, added to `needs`. */
void zo_first_order_needs(const zo_first_order *options, zo_needs *needs);

/* Opens the gradient. */
zo_status zo_first_order_start(zo_first_order *common, zo_objective *o, zo_err *err);
/* Opens a moment: a sum that begins as zeros, tag OPT_STATE. */
zo_status zo_open_moment(zo_objective *o, const char *name, zo_set *set, zo_err *err);

/* lr of a step: constant, or lr (1 - step / steps) (linear decay to 0 without warm-up, as transformers does). ZO_EINPUT where the
 * budget is not in steps. */
zo_status zo_schedule_lr(int schedule, const zo_step_context *c, double *lr, zo_err *err);

/* The gradient of the step's batch, its norm clipped to common->clip (0 = no clipping) as torch's clip_grad_norm_ does. */
zo_status zo_clipped_gradient(const zo_first_order *common, zo_objective *o, double *loss, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
