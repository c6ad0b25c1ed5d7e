/* cpu.h: what the files of the CPU backend share: its state, slots that stand in files of their own, per-thread scratch, and the
 * single-threaded oneDNN products. Private to backends/cpu*.c. */
#ifndef ZO_BACKENDS_CPU_H
#define ZO_BACKENDS_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cpu_attention.c: contracts in backend.h. OpenMP with be->threads; time goes to ZO_PART_ATTENTION or ZO_PART_BACKWARD. */
void zo_cpu_rope(zo_backend *be, const zo_rope *rope, const int32_t *position, int points, int64_t tokens, int heads, int64_t stride,
                 bool inverse, float *x);
void zo_cpu_attention(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, int64_t tokens, const float *q, int64_t qs,
                      const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse);
void zo_cpu_attention_backward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q, int64_t qs,
                               const float *k, int64_t ks, const float *v, int64_t vs, const float *out, const float *lse,
                               const float *dout, float *dq, float *dk, float *dv);

/* The calling thread's scratch (inside a parallel region of at most be->threads threads): at least `bytes` bytes aligned to 64,
 * valid until the operation ends. Outside a step (in `reserve` sizes) it grows; it dies when asked for more than ZO_CPU_SCRATCH. */
void *zo_cpu_scratch(zo_backend *be, size_t bytes);
#define ZO_CPU_SCRATCH ((size_t)3 << 20) /* bytes of scratch a thread */

#ifdef __cplusplus
}
#endif
#endif
