/* pretrain.h: the models that zo makes itself: small BERT-family encoders over the synthetic language of tasks/synth.c, pretrained
 * with masked-token AdamW through the same forward and backward as everything else, kept under results/cache/HASH/ (or $ZO_CACHE)
 * as Hugging Face folders. */
#ifndef ZO_BENCH_PRETRAIN_H
#define ZO_BENCH_PRETRAIN_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

int zo_synth_model_count(void);
const char *zo_synth_model_name(int i); /* "synth-small", "synth-tiny" */

/* Progress of a pretraining: called about twice a second and at the end; false = stop (ZO_ETIME, nothing is left behind). */
typedef bool (*zo_pretrain_progress)(void *context, const char *model, int64_t step, int64_t steps, double loss, double seconds);

/* The folder of a model by name: synthetic ones are made when they are not in the cache yet, others come from zo_hub_find. */
zo_status zo_model_folder(const char *name, const char *models_dir, zo_pretrain_progress progress, void *context, char folder[4096],
                          zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
