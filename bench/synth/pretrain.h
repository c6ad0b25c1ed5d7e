/* pretrain.h: the models that zo makes itself: small BERT-family encoders over the synthetic language of tasks/synth.c, pretrained
 * with masked-token AdamW through the same forward and backward as everything else, kept under results/cache/HASH/ (or $ZO_CACHE)
 * as Hugging Face folders. */
#ifndef ZO_BENCH_SYNTH_PRETRAIN_H
#define ZO_BENCH_SYNTH_PRETRAIN_H

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

/* Is this a synthetic model that is not in the cache yet? */
bool zo_model_is_unmade(const char *name);
/* The folder of a model that is there; nothing is trained: a synthetic one that is not in the cache is an error that says what makes it.
 * A shape (bench/synth/shapes.h) is always there: its small folder is written. */
zo_status zo_model_find(const char *name, const char *models_dir, char folder[4096], zo_err *err);
/* The folder of a model by name: synthetic ones are made when they are not in the cache yet, others come from zo_hub_find. */
zo_status zo_model_folder(const char *name, const char *models_dir, zo_pretrain_progress progress, void *context, char folder[4096],
                          zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
