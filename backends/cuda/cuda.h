/* cuda.h: the slots of the CUDA backend, with C linkage and the argument order of cpu.h. Contracts in backend.h; what the files share on
 * the device's side stands in cuda/device.cuh. Private to backends/cuda/ and its tests. No CUDA type appears here. */
#ifndef ZO_BACKENDS_CUDA_CUDA_H
#define ZO_BACKENDS_CUDA_CUDA_H

#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cuda.cu: memory, streams, opening. ordinal -1 = the first device. An absent device or driver is ZO_EUNSUPPORTED, one clear sentence. */
zo_status zo_cuda_open(int ordinal, int threads, zo_backend **be, zo_err *err);

/* What the ledger does not hold, and the driver's own figures beside it. */
typedef struct zo_cuda_memory {
    uint64_t context_bytes;     /* taken by context, stream and libraries before the first block of ours */
    uint64_t used_bytes;        /* cudaMemGetInfo now: total - free, everybody's */
    uint64_t total_bytes;
    uint64_t ledger_bytes;      /* live zo_alloc bytes in ZO_DEVICE */
} zo_cuda_memory;
void zo_cuda_memory_read(zo_backend *be, zo_cuda_memory *memory);
/* The head's blocks of formed rows, and of logits, take at most this much each (64 rows at least). 256 MiB unless told; tests lower it. */
void zo_cuda_set_tile(zo_backend *be, size_t bytes);
/* The slot `choose`: drops the plans of products, which are made anew (cuda/gemm.cu). */
void zo_cuda_choose(zo_backend *be, zo_algorithms how);
/* Drops the plans of products that were kept (cuda/gemm.cu) and keeps at most so many from here on; for tests. */
void zo_cuda_set_plans(zo_backend *be, int most);
/* Drops all graphs and keeps at most this many from now on; 0 = passes are not gathered. ZO_CUDA_GRAPHS, else 64, unless told; tests do. */
void zo_cuda_set_graphs(zo_backend *be, int most);

/* products and what is built on them: cuda/linear.cu, cuda/head.cu, cuda/backward.cu --------------------------------------------- */
void zo_cuda_reserve(zo_backend *be, const zo_layout *layout, const zo_factors *factors, int points, int64_t tokens);
void zo_cuda_linear(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, zo_act act, const float *x,
                    int64_t tokens, bool add, float *y, float *pre);
void zo_cuda_linear_rows(zo_backend *be, const zo_view *view, int weight, int bias, const int32_t *rows, int32_t nrows, const float *x,
                         int64_t tokens, float *y);
void zo_cuda_head_logprob(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, float softcap, const float *x,
                          int64_t rows, const int32_t *at, const int32_t *target, int64_t n, float *logprob, int32_t *argmax);
void zo_cuda_linear_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, const float *x,
                             const float *dy, int64_t tokens, bool add, float *dx, zo_store *grad);
void zo_cuda_linear_rows_backward(zo_backend *be, const zo_store *store, int weight, int bias, const int32_t *rows, int32_t nrows,
                                  const float *x, const float *dy, int64_t tokens, float *dx, zo_store *grad);
void zo_cuda_head_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, float softcap, const float *x,
                           int64_t rows, const int32_t *at, const int32_t *target, const float *amount, int64_t n, float *dx,
                           zo_store *grad);

/* elementwise, norms, rows: cuda/elementwise.cu -------------------------------------------------------------------------------- */
/* y (P,T,rows) = act(y + bias), bias (P,rows) device or NULL; the value before `act` goes to pre when it is not NULL. */
void zo_cuda_finish(zo_backend *be, zo_act act, const float *bias, int points, int64_t tokens, int64_t rows, float *y, float *pre);
void zo_cuda_embed(zo_backend *be, const zo_view *view, int table, const int32_t *ids, int64_t tokens, bool add, float *x);
void zo_cuda_norm(zo_backend *be, const zo_view *view, zo_norm_kind kind, float eps, int weight, int bias, float *x,
                  const float *residual, int64_t tokens, int64_t cols, float *y, float *stats);
void zo_cuda_add(zo_backend *be, float *y, const float *x, int64_t n);
void zo_cuda_scale(zo_backend *be, float *x, int64_t n, float by);
void zo_cuda_softcap(zo_backend *be, float *x, int64_t n, float cap);
void zo_cuda_softcap_backward(zo_backend *be, float cap, const float *y, int64_t n, float *dy);
void zo_cuda_glu(zo_backend *be, zo_act act, const float *gate, const float *up, int64_t n, float *y);
void zo_cuda_gather(zo_backend *be, const float *x, int points, int64_t tokens, int64_t cols, const int32_t *rows, int64_t n, float *y);
void zo_cuda_act_backward(zo_backend *be, zo_act act, const float *pre, int64_t n, float *dy);
void zo_cuda_glu_backward(zo_backend *be, zo_act act, const float *gate, const float *up, const float *dy, int64_t n, float *dgate,
                          float *dup);
void zo_cuda_mix(zo_backend *be, const zo_mix *m, int64_t rows, float *y);
void zo_cuda_mix_backward(zo_backend *be, const zo_mix *m, int64_t rows, const float *y, const float *dy, float *dx, float *dscore);
void zo_cuda_gate(zo_backend *be, float by, const float *g, const float *y, int64_t rows, int64_t cols, float *x);
void zo_cuda_gate_backward(zo_backend *be, float by, const float *g, const float *x, const float *dy, int64_t rows, int64_t cols, float *dg);
void zo_cuda_norm_backward(zo_backend *be, const zo_store *store, zo_norm_kind kind, int weight, int bias, const float *x,
                           const float *stats, const float *dy, int64_t tokens, int64_t cols, float *dx, zo_store *grad);
void zo_cuda_embed_backward(zo_backend *be, int table, const int32_t *ids, int64_t tokens, int64_t cols, const float *dx,
                            zo_store *grad);
void zo_cuda_scatter_add(zo_backend *be, const float *dy, int64_t cols, const int32_t *rows, int64_t n, float *dx);

/* attention: cuda/attention.cu --------------------------------------------------------------------------------------------------- */
void zo_cuda_rope(zo_backend *be, const zo_rope *rope, const int32_t *position, int points, int64_t tokens, int heads, int64_t stride,
                  bool inverse, float *x);
void zo_cuda_attention(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, int64_t tokens, const float *q, int64_t qs,
                       const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse);
void zo_cuda_attention_backward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q, int64_t qs,
                                const float *k, int64_t ks, const float *v, int64_t vs, const float *out, const float *lse,
                                const float *dout, float *dq, float *dk, float *dv);

/* sweeps over the arena: cuda/update.cu ------------------------------------------------------------------------------------------ */
void zo_cuda_apply(zo_backend *be, zo_store *store, const zo_factors *factors, double decay, const zo_term *term, int n,
                   const zo_touched *touched);
void zo_cuda_rule(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_store *g, zo_store *m, zo_store *v);
void zo_cuda_rule_drawn(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_term *term, int n, zo_store *m, zo_store *v);
void zo_cuda_rule_lowrank(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_factors *factors, const float *m,
                          const float *v);
void zo_cuda_draw_factors(zo_backend *be, zo_factors *factors);
void zo_cuda_init_normal(zo_backend *be, zo_store *store, int param, uint64_t seed, float std);
void zo_cuda_multiply(zo_backend *be, const zo_store *a, bool across, const zo_store *b, zo_store *c);
double zo_cuda_dot(zo_backend *be, const zo_store *a, const zo_store *b);
bool zo_cuda_finite(zo_backend *be, const zo_store *a);

#ifdef __cplusplus
}
#endif
#endif
