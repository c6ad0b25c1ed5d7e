/* lora.h: LoRA's adapters (models/arch.h) as they begin. */
#ifndef ZO_MODELS_LORA_H
#define ZO_MODELS_LORA_H

#include "models/arch.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Draws the adapters of a store as PEFT begins them by default: A uniform in +-1 / sqrt(in) (Kaiming with a = sqrt(5)), B zeros, so the model is
 * the base model. Draws are of (seed, name), role INIT: the distribution is PEFT's, the numbers are not those of torch's generator. */
void zo_lora_init(const zo_layout *layout, zo_backend *be, zo_store *store, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
