/* prefix.h: values of a prefix, the keys and values that each layer has of its own (zo_arch.prefix): Li and Liang, arXiv 2101.00190, without
 * the network that makes them there (MeZO's --no_reparam). Positions of the tokens do not shift, and the keys stand as attention reads them:
 * where positions are rotary they are not rotated again. So has MeZO's released code (prefix.py, commit 6acfd0b) for OPT and RoBERTa. */
#ifndef ZO_MODELS_PREFIX_H
#define ZO_MODELS_PREFIX_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_prefix_init {
    ZO_PREFIX_ACTIVATIONS, /* keys and values that the model itself makes of random tokens, one sequence of them at positions 0, 1, ...
                              (MeZO's --prefix_init_by_real_act) */
    ZO_PREFIX_RANDOM       /* N(0, 1) */
} zo_prefix_init;

/* Draws the prefix from `seed`. The model has its weights and nothing is reserved yet. ZO_EINPUT where it has not as many positions as tokens
 * are asked for. */
zo_status zo_prefix_draw(zo_model *model, zo_prefix_init how, uint64_t seed, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
