/* predict.h: what a method keeps beside the weights, for predictions of memory (dry runs, `zo inspect`). Measured rows do not use it. */
#ifndef ZO_BENCH_PREDICT_H
#define ZO_BENCH_PREDICT_H

#include "core/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* Whole copies of the weight arena by tag at a method's peak: {"params": 0, "grads": 1, "opt_state": 2} for fo-adamw. `options` are the
 * optimizer's own keys (NULL = defaults). Things smaller than a copy (factors, scalars) are not in it. */
typedef struct zo_method_copies { int copies[ZO_TAGS]; } zo_method_copies;
zo_method_copies zo_method_copies_of(const char *optimizer, const struct cJSON *options);

#ifdef __cplusplus
}
#endif
#endif
