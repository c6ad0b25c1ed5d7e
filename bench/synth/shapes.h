/* shapes.h: "shape:NAME" as a model: the published sizes of large models without their weights, for measurements on machines that have
 * neither. The folder has a config.json and the synthetic language's tokenizer; weights are drawn ("init": "random"), on the device. */
#ifndef ZO_BENCH_SYNTH_SHAPES_H
#define ZO_BENCH_SYNTH_SHAPES_H

#include <stdbool.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

int zo_shape_count(void);
const char *zo_shape_name(int i); /* "shape:opt-13b", ... */
const char *zo_shape_family(int i);

/* Does this name begin as a shape's does? */
bool zo_shape_is(const char *model);
/* Its folder in the cache, written when it is not there; an unknown shape is an error with a suggestion. */
zo_status zo_shape_folder(const char *model, char folder[4096], zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
