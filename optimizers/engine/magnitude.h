/* magnitude.h: order statistics of a parameter's magnitudes, for masks by a threshold (Sparse-MeZO, arXiv 2402.15751). Private to the engine. */
#ifndef ZO_OPTIMIZERS_ENGINE_MAGNITUDE_H
#define ZO_OPTIMIZERS_ENGINE_MAGNITUDE_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The k-th smallest |w| of a parameter, k from 1; below 0, so that none is as small, for k = 0. Exact: three readings through the host, 16 K
 * numbers at a time, and nothing is sorted. */
float zo_magnitude_at(zo_backend *be, const zo_store *store, int param, int64_t k);

#ifdef __cplusplus
}
#endif
#endif
