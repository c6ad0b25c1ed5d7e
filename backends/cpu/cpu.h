/* cpu.h: what the files of the CPU backend share: its state, scratch, formed tiles of parameters, single-threaded oneDNN products,
 * and the slots. Private to backends/cpu*.c. */
#ifndef ZO_BACKENDS_CPU_CPU_H
#define ZO_BACKENDS_CPU_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "backends/backend.h"
#include "core/clock.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cpu/attention.c: contracts in backend.h. OpenMP with be->threads; time goes to ZO_PART_ATTENTION or ZO_PART_BACKWARD. */
void zo_cpu_rope(zo_backend *be, const zo_rope *rope, const int32_t *position, int points, int64_t tokens, int heads, int64_t stride,
                 bool inverse, float *x);
void zo_cpu_attention(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, int64_t tokens, const float *q, int64_t qs,
                      const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse);
void zo_cpu_attention_backward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q, int64_t qs,
                               const float *k, int64_t ks, const float *v, int64_t vs, const float *out, const float *lse,
                               const float *dout, float *dq, float *dk, float *dv);

/* scratch (cpu.c) --------------------------------------------------------------------------------------------------------- */

/* The calling thread's scratch (a thread of a parallel region of be->threads threads): at least `bytes` bytes aligned to 64, valid
 * until the operation ends; a second call gives the same block. It grows to the largest request seen (tag WORKSPACE), so after the
 * first step nothing is allocated. */
void *zo_cpu_scratch(zo_backend *be, size_t bytes);

/* Scratch that all threads see, one block per purpose, the same rules; called outside parallel regions. */
typedef enum zo_cpu_shared {
    ZO_CPU_BIAS,    /* a bias or a norm's weights at all points */
    ZO_CPU_VECTOR,  /* a second one */
    ZO_CPU_INPUT,   /* the bf16 copy of a linear layer's input */
    ZO_CPU_SIDE,    /* (x V) . side */
    ZO_CPU_SCALES,  /* scales of a matrix that is held as codes, at all points */
    ZO_CPU_NUMBERS, /* the numbers of a matrix that is held as codes or in 16 bits, for a gradient's input */
    ZO_CPU_PARTIAL, /* partial sums of a reduction, one per fixed block */
    ZO_CPU_DIRS,    /* which directions act, and their coefficients */
    ZO_CPU_SHAREDS
} zo_cpu_shared;
void *zo_cpu_shared_of(zo_backend *be, zo_cpu_shared purpose, size_t bytes);

/* forming parameters (cpu/form.c) ------------------------------------------------------------------------------------------ */

/* x (n) <- numbers held as `storage`, and back with one rounding each. */
void zo_cpu_load(zo_storage storage, const void *from, int64_t n, float *x);
void zo_cpu_save(zo_storage storage, const float *x, int64_t n, void *to);

/* A parameter at P points: value_p = base_p + sum_d coef[p * ndirs + d] dir_d, every term one fmaf in the order of d. */
typedef struct zo_cpu_form {
    const zo_layout *layout;
    const zo_factors *factors;
    int param, npoints, ndirs; /* ndirs counts only directions that act on this parameter with a coefficient other than zero */
    int rank;                  /* 0 unless some of them are of low rank */
    int normals;               /* draws of normals for each element; in panels they are not counted, and this is 0 */
    const zo_dir **dir;        /* (ndirs) */
    float *coef;               /* (npoints, ndirs) */
    const void **base;         /* (npoints): first element of the parameter */
    zo_storage storage;        /* of the bases */
    bool each;                 /* decay and every term are rounded to `storage` on their own: a sweep over stored weights */
} zo_cpu_form;

/* Of the directions and coefficients of n terms, each array of them on a line of its own. */
static inline size_t zo_cpu_terms_bytes(int n)
{
    return zo_round_up((size_t)n * sizeof(zo_dir), 64) + zo_round_up((size_t)n * sizeof(float), 64);
}

/* `block` (zo_cpu_form_bytes) holds the arrays of the form. */
size_t zo_cpu_form_bytes(int npoints, int ndirs);
zo_cpu_form zo_cpu_form_of(const zo_view *view, int param, void *block);

/* Rows [row, row + n) at all points into to[p] (n, cols), as `type`. `scratch` has zo_cpu_form_scratch bytes. The bits do not depend on
 * how rows are cut into calls. decay multiplies the base first (1 = skip). to[p] may be the base itself where `type` is its storage. */
size_t zo_cpu_form_scratch(const zo_cpu_form *form);
void zo_cpu_form_rows(const zo_cpu_form *form, int64_t row, int64_t n, float decay, zo_storage type, void *const *to, void *scratch);
/* sum (count) = sum_k coef_k dir_k at elements [first, first + count) of a parameter that is not factored, from 0, every term one fmaf in the order
 * of k. z (count): scratch. Returns how many normals it drew. */
uint64_t zo_cpu_sum_terms(const zo_param *p, const zo_term *term, int n, int64_t first, int64_t count, float *z, float *sum);
/* A vector parameter at all points into the shared block `purpose` (P, cols); NULL when param is -1. */
const float *zo_cpu_form_vector(zo_backend *be, const zo_view *view, int param, zo_cpu_shared purpose);

/* matrices that are held as codes (cpu/codes.c) ----------------------------------------------------------------------------- */

/* The scales of a matrix at all points, (rows, groups) each; point p's begin at p * *stride: 0 where all points have the same. Valid until the next
 * call. Called outside parallel regions. */
const float *zo_cpu_scales_of(zo_backend *be, const zo_view *view, int scales, int64_t *stride);
/* Rows [row, row + n) of the matrix p: scale x code into to (n, cols), as `type`. codes and scales are those of the whole matrix; `room` has
 * zo_cpu_form_scratch bytes of any form. */
void zo_cpu_codes_rows(const zo_param *p, const uint8_t *codes, const float *scales, int64_t row, int64_t n, zo_storage type, void *to, float *room);

/* All of the matrix `weight` (rows, cols), f32, for a backward pass: where it stands, or in ZO_CPU_NUMBERS; until the next call. Called outside parallel
 * regions. */
const float *zo_cpu_numbers_of(zo_backend *be, const zo_store *store, int weight);
/* The same of a vector, into `purpose`; NULL when param is -1. */
const float *zo_cpu_vector_of(zo_backend *be, const zo_store *store, int param, zo_cpu_shared purpose);

/* z (n, ZO_CPU_PANEL) = sum_s (a[s] u[i, s]) vt[s], in the order of s. u (n, rank), vt (rank, ZO_CPU_PANEL); `room` (n, rank) is
 * written. */
enum { ZO_CPU_PANEL = 64 };
void zo_cpu_lowrank(const float *u, const float *a, const float *vt, int64_t n, int rank, float *room, float *z);

/* products (cpu/gemm.c) ----------------------------------------------------------------------------------------------------- */

/* C (m,n) [+]= A (m,k) B; B is (n,k) row-major when `across` (a weight: y = x W^T), else (k,n). Strides in elements. */
typedef struct zo_cpu_gemm {
    zo_precision precision; /* of A and B; C is f32 */
    bool across, add;
    int64_t m, n, k, lda, ldb, ldc;
} zo_cpu_gemm;
typedef struct zo_cpu_product zo_cpu_product;
/* The compiled product, made at its first use and kept (outside parallel regions only). */
const zo_cpu_product *zo_cpu_product_of(zo_backend *be, const zo_cpu_gemm *gemm);
size_t zo_cpu_product_scratch(const zo_cpu_product *product);
/* Run it on the calling thread alone, in a parallel region (of one thread or more). */
void zo_cpu_product_run(const zo_cpu_product *product, const void *a, const void *b, float *c, void *scratch);
bool zo_cpu_has_bf16(void); /* the machine has AVX512-BF16, and oneDNN was not told to leave it */
/* Whether a bf16 product of inner size k runs as an f32 one of the same rounded numbers, on a processor with or without bf16 and AMX. */
bool zo_cpu_bf16_widens(bool has_bf16, bool amx, int64_t k);
typedef struct zo_cpu_products zo_cpu_products; /* all that were made */
zo_cpu_products *zo_cpu_products_open(int threads);
void zo_cpu_products_close(zo_cpu_products *products);
/* Products made from here on stand apart; and these are given back. */
void zo_cpu_products_extra_begin(zo_cpu_products *products);
void zo_cpu_products_extra_end(zo_cpu_products *products);

/* activations (cpu/elementwise.c): y[i] = act(x[i]), y may be x ------------------------------------------------------------- */
void zo_cpu_act(zo_act act, const float *x, int64_t n, float *y);
/* y[t * stride + i] = act(x[t * n + i] + b[i]): a product's tile (rows, n) finished into its place; b (n). */
void zo_cpu_finish(zo_act act, const float *x, const float *b, int64_t rows, int64_t n, float *y, int64_t stride);
/* d[i] *= act'(x[i]) */
void zo_cpu_act_slope(zo_act act, const float *x, int64_t n, float *d);

/* the backend's state (cpu.c) ----------------------------------------------------------------------------------------------- */

/* `data` is an extra one, and `kept` stands again at the end, where `extra` (zo_backend.extra_begin) */
struct zo_cpu_block { void *data, *kept; size_t bytes, kept_bytes; bool extra; };

typedef struct zo_cpu {
    zo_cpu_products *products;
    struct zo_cpu_block *scratch; /* (threads) */
    struct zo_cpu_block shared[ZO_CPU_SHAREDS];
    bool extra; /* between extra_begin and extra_end */
} zo_cpu;

/* slots ------------------------------------------------------------------------------------------------------------------- */
void zo_cpu_reserve(zo_backend *be, const zo_layout *layout, const zo_factors *factors, zo_precision precision,
                    const zo_largest *most); /* cpu/linear.c */
void zo_cpu_embed(zo_backend *be, const zo_view *view, int table, const int32_t *ids, int64_t tokens, bool add, float *x);
void zo_cpu_linear(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, zo_act act, const float *x,
                   int64_t tokens, bool add, float *y, float *pre);
void zo_cpu_linear_rows(zo_backend *be, const zo_view *view, int weight, int bias, const int32_t *rows, int32_t nrows, const float *x,
                        int64_t tokens, float *y);
void zo_cpu_norm(zo_backend *be, const zo_view *view, zo_norm_kind kind, float eps, int weight, int bias, float *x,
                 const float *residual, int64_t tokens, int64_t cols, float *y, float *stats);
void zo_cpu_head_logprob(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, float softcap, const float *x,
                         int64_t rows, const int32_t *at, const int32_t *target, int64_t n, float *logprob, int32_t *argmax);
void zo_cpu_add(zo_backend *be, float *y, const float *x, int64_t n);
void zo_cpu_scale(zo_backend *be, float *x, int64_t n, float by);
void zo_cpu_softcap(zo_backend *be, float *x, int64_t n, float cap);
void zo_cpu_softcap_backward(zo_backend *be, float cap, const float *y, int64_t n, float *x);
void zo_cpu_glu(zo_backend *be, zo_act act, const float *gate, const float *up, int64_t n, float *y);
void zo_cpu_gather(zo_backend *be, const float *x, int points, int64_t tokens, int64_t cols, const int32_t *rows, int64_t n, float *y);
void zo_cpu_linear_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, const float *x,
                            const float *dy, int64_t tokens, bool add, float *dx, zo_store *grad);
void zo_cpu_linear_rows_backward(zo_backend *be, const zo_store *store, int weight, int bias, const int32_t *rows, int32_t nrows,
                                 const float *x, const float *dy, int64_t tokens, float *dx, zo_store *grad);
void zo_cpu_act_backward(zo_backend *be, zo_act act, const float *pre, int64_t n, float *dy);
void zo_cpu_glu_backward(zo_backend *be, zo_act act, const float *gate, const float *up, const float *dy, int64_t n, float *dgate,
                         float *dup);
void zo_cpu_mix(zo_backend *be, const zo_mix *m, int64_t rows, float *y);
void zo_cpu_mix_backward(zo_backend *be, const zo_mix *m, int64_t rows, const float *y, const float *dy, float *dx, float *dscore);
void zo_cpu_gate(zo_backend *be, float by, const float *g, const float *y, int64_t rows, int64_t cols, float *x);
void zo_cpu_gate_backward(zo_backend *be, float by, const float *g, const float *x, const float *dy, int64_t rows, int64_t cols, float *dg);
void zo_cpu_norm_backward(zo_backend *be, const zo_store *store, zo_norm_kind kind, int weight, int bias, const float *x,
                          const float *stats, const float *dy, int64_t tokens, int64_t cols, float *dx, zo_store *grad);
void zo_cpu_embed_backward(zo_backend *be, int table, const int32_t *ids, int64_t tokens, int64_t cols, const float *dx,
                           zo_store *grad);
void zo_cpu_head_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, float softcap, const float *x,
                          int64_t rows, const int32_t *at, const int32_t *target, const float *amount, int64_t n, float *dx,
                          zo_store *grad);
void zo_cpu_scatter_add(zo_backend *be, const float *dy, int64_t cols, const int32_t *rows, int64_t n, float *dx);
void zo_cpu_apply(zo_backend *be, zo_store *store, const zo_factors *factors, double decay, const zo_term *term, int n,
                  const zo_touched *touched);
void zo_cpu_rule(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_store *g, zo_store *m, zo_store *v);
void zo_cpu_rule_drawn(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_term *term, int n, zo_store *m, zo_store *v);
size_t zo_cpu_rule_lowrank_scratch(int rank); /* of a thread */
size_t zo_cpu_norm_backward_bytes(int64_t tokens, int64_t cols);
size_t zo_cpu_head_backward_bytes(int64_t rows, int64_t vocabulary);
int64_t zo_cpu_head_rows(int64_t vocabulary); /* rows of the head at a time */
void zo_cpu_rule_lowrank(zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_factors *factors, const float *m,
                         const float *v);
void zo_cpu_draw_factors(zo_backend *be, zo_factors *factors);
void zo_cpu_init_normal(zo_backend *be, zo_store *store, int param, uint64_t seed, float std);
void zo_cpu_multiply(zo_backend *be, const zo_store *a, bool across, const zo_store *b, zo_store *c);
double zo_cpu_dot(zo_backend *be, const zo_store *a, const zo_store *b);
bool zo_cpu_finite(zo_backend *be, const zo_store *a);

#ifdef __cplusplus
}
#endif
#endif
