/* cuda_pair.h: one operation on the CPU backend and on the CUDA backend under the shim (tests/shim): the same inputs, every output buffer,
 * the weights, the gradients, what is counted and which parts of a step have time compared. The CUDA side runs twice, with blocks and
 * threads first to last and last to first, and must give the same bits (a difference is a race). A line is printed per comparison: slot,
 * shapes, largest difference. For tests/backends/test_cuda_*.c. */
#ifndef ZO_TESTS_CUDA_PAIR_H
#define ZO_TESTS_CUDA_PAIR_H

#include <check.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "tests/cuda_sides.h"

/* tests/shim/cuda_runtime.h, for C */
extern const bool zo_shim_present; /* false on a card: then only the comparison with the CPU is left */
extern bool zo_shim_reverse, zo_shim_no_epilogue;
extern int zo_shim_devices;
extern bool zo_shim_exact_only;
extern unsigned long zo_shim_asked, zo_shim_algorithm_runs[8], zo_shim_gelus;
extern int zo_shim_algorithms;
extern double zo_shim_algorithm_seconds[8];
int zo_shim_kernels(void);
const char *zo_shim_kernel(int i, unsigned long *launches, unsigned long *threads);

/* A small model on both sides: the matrix "w" (rows, cols), the table "table" (vocabulary, cols) and vectors. */
enum { P_W, P_TABLE, P_BIAS, P_TABLE_BIAS, P_NORM, P_NORM_BIAS, P_PARAMS };
typedef struct pair_side { zo_backend *be; zo_store *weights, *other, *grad; zo_factors *factors; } pair_side;
typedef struct pair {
    zo_layout layout;
    pair_side side[SIDES];
    float *weights, *other, *grad; /* (layout.size) host: what every run begins with */
    int64_t rows, cols, vocabulary;
} pair;

/* A buffer of an operation: its first contents and size; the comparison covers all of it. */
typedef struct pair_buffer { const float *init; int64_t n; } pair_buffer;
typedef void (*pair_op)(const pair *p, pair_side *side, float *const *buffer, const void *arg);

/* n normals, host; zo_free gives them back */
static inline float *pair_values(int64_t n, uint32_t tensor)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
    zo_normals((zo_stream){.seed = 77, .tensor = tensor, .role = ZO_ROLE_DATA}, 0, n, x);
    return x;
}

/* `arena` with values in the parameters and zeros in the padding, as in every store */
static inline float *pair_arena(const zo_layout *layout, uint32_t tensor, float scale)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->size * sizeof *x);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        zo_normals((zo_stream){.seed = 78, .tensor = tensor + (uint32_t)t, .role = ZO_ROLE_DATA}, 0, p->rows * p->cols, x + p->offset);
        for (int64_t i = 0; i < p->rows * p->cols; i++) {
            x[p->offset + i] *= scale;
        }
    }
    return x;
}

/* *p stays where it is: stores point at its layout. rank 0 = no factors (NULL). */
static inline void pair_new(pair *p, int64_t rows, int64_t cols, int64_t vocabulary, int rank)
{
    *p = (pair){.rows = rows, .cols = cols, .vocabulary = vocabulary};
    zo_layout_add(&p->layout, "w", ZO_PARAM_MATRIX, rows, cols, 0, true);
    zo_layout_add(&p->layout, "table", ZO_PARAM_TABLE, vocabulary, cols, -1, true);
    zo_layout_add(&p->layout, "bias", ZO_PARAM_VECTOR, 1, rows, 0, false);
    zo_layout_add(&p->layout, "table.bias", ZO_PARAM_VECTOR, 1, vocabulary, -1, false);
    zo_layout_add(&p->layout, "norm", ZO_PARAM_VECTOR, 1, cols, 0, false);
    zo_layout_add(&p->layout, "norm.bias", ZO_PARAM_VECTOR, 1, cols, 0, false);
    p->weights = pair_arena(&p->layout, 100, 0.3f);
    p->other = pair_arena(&p->layout, 200, 0.3f);
    p->grad = pair_arena(&p->layout, 300, 1.0f);
    for (int s = 0; s < SIDES; s++) {
        pair_side *side = &p->side[s];
        side->be = backend_of(s);
        side->weights = zo_store_new(side->be, &p->layout, ZO_TAG_PARAMS);
        side->other = zo_store_new(side->be, &p->layout, ZO_TAG_SNAPSHOT);
        side->grad = zo_store_new(side->be, &p->layout, ZO_TAG_GRADS);
        int ranks[P_PARAMS] = {rank, rank > 0 ? rank + 1 : 0};
        side->factors = rank > 0 ? zo_factors_new(side->be, &p->layout, ranks, -0.5, 11) : NULL;
        side->be->reserve(side->be, &p->layout, side->factors, ZO_F32, &(zo_largest){.points = 4, .tokens = 70});
    }
}

static inline void pair_free(pair *p)
{
    for (int s = 0; s < SIDES; s++) {
        zo_factors_free(p->side[s].be, p->side[s].factors);
        zo_store_free(p->side[s].be, p->side[s].weights);
        zo_store_free(p->side[s].be, p->side[s].other);
        zo_store_free(p->side[s].be, p->side[s].grad);
    }
    zo_free(p->weights);
    zo_free(p->other);
    zo_free(p->grad);
    zo_layout_free(&p->layout);
}

/* Views of every kind, the same on both sides. */
enum { VIEW_STORED, VIEW_GAUSS, VIEW_MIXED, VIEW_CP, VIEW_SIDE, VIEW_BASES, VIEW_SIDE_FORMED /* and formed weights */, VIEW_SCALED, VIEWS };
static const char *const pair_view_name[VIEWS] = {"stored", "gauss", "mixed", "cp", "side", "two bases", "side+gauss", "scaled"};
enum { PAIR_POINTS = 6 };
typedef struct pair_view {
    const zo_store *base[PAIR_POINTS];
    zo_dir dir[4];
    float coef[4 * PAIR_POINTS];
    float *side, *span;
    zo_view view;
} pair_view;

static inline void pair_view_new(pair_view *v, const pair_side *side, int kind, int points)
{
    int64_t ncoef = side->factors != NULL ? side->factors->ncoef : 0;
    memset(v, 0, sizeof *v);
    v->span = pair_values(ncoef + 1, 21);
    zo_dir gauss = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 3, .query = 1}, signs = gauss, part = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 4, .skip = {.in = 1}};
    signs.draw = ZO_DRAW_RADEMACHER;
    zo_dir rest = {.kind = ZO_DIR_REST, .seed = 7, .step = 3}, cp = {.kind = ZO_DIR_CP, .seed = 7, .step = 3, .query = 2};
    zo_dir span = {.kind = ZO_DIR_SPAN, .span = v->span};
    int n = 0;
    switch (kind) {
    case VIEW_BASES:
        v->dir[n++] = (zo_dir){.kind = ZO_DIR_SET, .values = side->grad};
        v->dir[n++] = gauss;
        break;
    case VIEW_SCALED:
        v->dir[n++] = gauss;
        for (int k = 0; k < 3; k++) {
            v->dir[n] = k == 1 ? part : k == 2 ? signs : gauss;
            v->dir[n].scale = 1;
            v->dir[n++].by = side->grad;
        }
        break;
    case VIEW_GAUSS:
        v->dir[n++] = gauss;
        break;
    case VIEW_MIXED:
        v->dir[n++] = gauss;
        v->dir[n++] = signs;
        v->dir[n++] = rest;
        v->dir[n++] = part;
        break;
    case VIEW_CP:
        v->dir[n++] = rest;
        v->dir[n++] = cp;
        v->dir[n++] = gauss;
        v->dir[n++] = span;
        break;
    case VIEW_SIDE:
    case VIEW_SIDE_FORMED:
        v->dir[n++] = kind == VIEW_SIDE ? rest : gauss;
        v->side = pair_values(points * ncoef + 1, 22);
        break;
    }
    for (int p = 0; p < points; p++) {
        v->base[p] = kind == VIEW_BASES && p % 2 == 1 ? side->other : side->weights;
        for (int d = 0; d < n; d++) {
            v->coef[p * n + d] = (p + d) % 3 == 2 ? 0.0f : (p % 2 ? -0.1f : 0.1f) * (float)(1 + d);
        }
    }
    v->view = (zo_view){.npoints = points, .base = v->base, .ndirs = n, .dir = v->dir, .coef = v->coef, .factors = side->factors,
                        .side = v->side};
}

static inline void pair_view_free(pair_view *v)
{
    zo_free(v->side);
    zo_free(v->span);
}

/* 32 bits of contents, printed beside what must be equal in every bit (FNV-1a, folded). */
static inline uint32_t pair_hash(const void *data, size_t bytes)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < bytes; i++) {
        h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3ull;
    }
    return (uint32_t)(h ^ h >> 32);
}

/* Largest difference over the largest value wanted; NaN and infinities must stand in the same places. */
static inline double pair_difference(const float *got, const float *want, int64_t n)
{
    double scale = 1e-30, worst = 0.0;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(want[i]) && isfinite(got[i])) {
            scale = fmax(scale, fabs((double)want[i]));
            worst = fmax(worst, fabs((double)got[i] - (double)want[i]));
        } else if (!(isnan(got[i]) && isnan(want[i])) && got[i] != want[i]) {
            return INFINITY;
        }
    }
    return worst / scale;
}

enum { PAIR_BUFFERS = 12 };

/* Run `op` on both sides and compare. tolerance 0: every bit. `shapes` is printed. */
static inline void pair_compare(pair *p, const char *slot, const char *shapes, pair_op op, const void *arg, const pair_buffer *buffer, int n,
                                double tolerance)
{
    float *result[3][PAIR_BUFFERS + 2]; /* CPU, CUDA, CUDA reversed; buffers, weights, grad */
    zo_counters counted[3];
    int booked[3] = {0}; /* bit p: part p has time */
    int64_t size[PAIR_BUFFERS + 2];
    ck_assert_int_le(n, PAIR_BUFFERS);
    for (int i = 0; i < n + 2; i++) {
        size[i] = i < n ? buffer[i].n : p->layout.size;
    }
    for (int run = 0; run < 3; run++) {
        pair_side *side = &p->side[run == 0 ? CPU : CUDA];
        zo_backend *be = side->be;
        float *at[PAIR_BUFFERS] = {NULL};
        zo_shim_reverse = run == 2;
        be->upload(be, side->weights->data, p->weights, (size_t)p->layout.size * sizeof(float));
        be->upload(be, side->other->data, p->other, (size_t)p->layout.size * sizeof(float));
        be->upload(be, side->grad->data, p->grad, (size_t)p->layout.size * sizeof(float));
        for (int i = 0; i < n; i++) {
            at[i] = be->alloc(be, ZO_TAG_ACTIVATIONS, (size_t)size[i] * sizeof(float));
            be->upload(be, at[i], buffer[i].init, (size_t)size[i] * sizeof(float));
        }
        be->wait(be);
        zo_part_reset();
        zo_counters_reset();
        op(p, side, at, arg);
        be->wait(be);
        double seconds[ZO_PARTS];
        zo_part_read(seconds);
        for (int part = 0; part < ZO_PARTS; part++) {
            booked[run] |= (seconds[part] > 0) << part;
        }
        zo_counters_read(&counted[run]);
        for (int i = 0; i < n + 2; i++) {
            result[run][i] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)size[i] * sizeof(float));
            be->download(be, result[run][i], i < n ? at[i] : i == n ? side->weights->data : side->grad->data, (size_t)size[i] * sizeof(float));
        }
        for (int i = 0; i < n; i++) {
            be->release(be, at[i]);
        }
    }
    zo_shim_reverse = false;
    int either = booked[0] | booked[1], apart = booked[0] ^ booked[1], product = 1 << ZO_PART_GEMM | 1 << ZO_PART_HEAD;
    if (either & product) { /* how weights are formed for a product, and where a bias is added, is each backend's own */
        apart &= ~(1 << ZO_PART_GEMM | 1 << ZO_PART_FORM | 1 << ZO_PART_ELEMENTWISE);
    }
    for (int part = 0; part < ZO_PARTS; part++) {
        ck_assert_msg((apart >> part & 1) == 0, "%s %s: the %s alone books time as %s", slot, shapes, booked[0] >> part & 1 ? "CPU" : "GPU",
                      zo_part_name((zo_part)part));
    }
    ck_assert_msg(memcmp(&counted[0], &counted[1], sizeof *counted) == 0,
                  "%s %s: the CPU counts %llu normals, %llu bytes, %llu operations, the GPU %llu, %llu, %llu", slot, shapes,
                  (unsigned long long)counted[0].normals, (unsigned long long)counted[0].weight_bytes_written,
                  (unsigned long long)counted[0].linear_flops, (unsigned long long)counted[1].normals,
                  (unsigned long long)counted[1].weight_bytes_written, (unsigned long long)counted[1].linear_flops);
    double worst = 0.0;
    uint32_t hash = 0;
    for (int i = 0; i < n + 2; i++) {
        size_t bytes = (size_t)size[i] * sizeof(float);
        ck_assert_msg(memcmp(result[1][i], result[2][i], bytes) == 0, "%s %s: output %d depends on the order of threads", slot, shapes, i);
        worst = fmax(worst, pair_difference(result[1][i], result[0][i], size[i]));
        if (tolerance == 0.0) {
            ck_assert_msg(memcmp(result[0][i], result[1][i], bytes) == 0, "%s %s: output %d differs from the CPU's by %g of its scale", slot,
                          shapes, i, pair_difference(result[1][i], result[0][i], size[i]));
        }
        hash = hash * 31u + pair_hash(result[1][i], bytes);
    }
    if (tolerance == 0.0) {
        printf("%-22s %-44s equal bits, hash %08x\n", slot, shapes, hash);
    } else {
        printf("%-22s %-44s largest difference %.1e\n", slot, shapes, worst);
    }
    ck_assert_msg(worst <= tolerance, "%s %s: largest difference %g, allowed %g", slot, shapes, worst, tolerance);
    for (int run = 0; run < 3; run++) {
        for (int i = 0; i < n + 2; i++) {
            zo_free(result[run][i]);
        }
    }
}

/* printf into a small static buffer, for `shapes` */
static inline const char *pair_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline const char *pair_text(const char *format, ...)
{
    static char text[160];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return text;
}

#endif
