/* rope.h: rotary positions: in config.json, and as tables of sines and cosines. Private to models/. */
#ifndef ZO_MODELS_ROPE_H
#define ZO_MODELS_ROPE_H

#include "models/family.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How a family has them. */
typedef struct zo_rope_keys {
    const char *theta; /* "rope_theta", "rotary_emb_base" */
    double base;       /* what transformers takes where no key has it */
    const char *share; /* "rotary_pct": the share of each head that is turned; NULL: all of it */
    double part;       /* what transformers takes */
    int original;      /* what it takes for original_max_position_embeddings beside the object, whatever the object says; 0 = the object counts */
    bool long_alone;   /* scaled by LongRoPE or not at all, and "su" and "yarn" are names of that (Phi-3) */
} zo_rope_keys;

/* Old files have these keys and rope_scaling, newer ones one object rope_parameters with all; where both objects stand, rope_scaling counts, as in
 * transformers. Called when head_dim and positions are known. */
void zo_rope_read(zo_config *config, zo_arch *arch, const zo_rope_keys *keys);
/* The same of a family whose layers with a window have frequencies of their own: the keys of the others, then of those. In the one object each kind of
 * layer has an object. Frequencies are not scaled. */
void zo_rope_read_apart(zo_config *config, zo_arch *arch, const zo_rope_keys *far, const zo_rope_keys *near);
/* As transformers 4 and 5 both read it. */
void zo_rope_write(const zo_arch *arch, const zo_rope_keys *keys, struct cJSON *json);

/* Rows of the tables for this many positions: one each, and with LongRoPE beyond the original positions first those of short texts, then those of long ones. */
int64_t zo_rope_rows(const zo_arch *arch, int64_t positions);
/* The row of a position in a text of `length` tokens. */
int32_t zo_rope_row(const zo_arch *arch, int32_t position, int32_t length);
/* cosine, sine (zo_rope_rows, zo_arch_rope_dims / 2), host. near: those of the layers with a window, of a model that has two (zo_arch_ropes). */
void zo_rope_tables(const zo_arch *arch, int64_t positions, bool near, float *cosine, float *sine);

#ifdef __cplusplus
}
#endif
#endif
