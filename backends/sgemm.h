/* sgemm.h: products of matrices on the host, by the CPU's library. */
#ifndef ZO_BACKENDS_SGEMM_H
#define ZO_BACKENDS_SGEMM_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* C (m,n) = beta C + scale op(A) op(B), row-major, any sizes, f32, on the calling thread alone; it stands in a parallel region (of one thread or
 * more). */
void zo_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float scale, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
              int64_t ldc);

#ifdef __cplusplus
}
#endif
#endif
