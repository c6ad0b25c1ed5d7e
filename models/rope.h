/* rope.h: rotary positions in config.json. Private to models/. */
#ifndef ZO_MODELS_ROPE_H
#define ZO_MODELS_ROPE_H

#include "models/family.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Old files have rope_theta and rope_scaling, newer ones one object rope_parameters with both; where both stand, rope_scaling counts, as in
 * transformers. Called when the positions are known. theta: what transformers takes where no key has it. */
void zo_rope_read(zo_config *config, zo_arch *arch, double theta);
/* As transformers 4 and 5 both read it. */
void zo_rope_write(const zo_arch *arch, struct cJSON *json);

/* A family whose keys beside that object are others, or that turns a part of each head alone. */
typedef struct zo_rope_keys {
    const char *theta; /* "rotary_emb_base" */
    double base;       /* what transformers takes where no key has it */
    const char *share; /* "rotary_pct": the share of each head that is turned; NULL: all of it */
    double part;       /* what transformers takes */
} zo_rope_keys;
void zo_rope_read_keys(zo_config *config, zo_arch *arch, const zo_rope_keys *keys);
void zo_rope_write_keys(const zo_arch *arch, const zo_rope_keys *keys, struct cJSON *json);

#ifdef __cplusplus
}
#endif
#endif
