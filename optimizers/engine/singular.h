/* singular.h: how many singular values of a weight are large. */
#ifndef ZO_OPTIMIZERS_ENGINE_SINGULAR_H
#define ZO_OPTIMIZERS_ENGINE_SINGULAR_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* min(most, #{i : sigma_i(W) >= threshold * sigma_1(W)}) of one MATRIX or TABLE, most >= 1; at least 1. In f32 with bounds on both sides; where they leave
 * the count open (a singular value within some 1e-5 of the threshold), and where a matrix is small, as below. all = whether that was so (NULL = not
 * asked). The same whatever the number of threads. */
int zo_singular_count(zo_backend *be, const zo_store *store, int param, double threshold, int most, bool *all);

/* The same by all eigenvalues of the Gram matrix of the shorter side, in float64: singular values below about 1e-7 sigma_1 are not resolved. Hours for
 * the matrices of a large model. */
int zo_singular_count_all(zo_backend *be, const zo_store *store, int param, double threshold, int most);

#ifdef __cplusplus
}
#endif
#endif
