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

#ifdef __cplusplus
}
#endif
#endif
