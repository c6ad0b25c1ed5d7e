/* gemm.c: matrix products by oneDNN, compiled once per shape for ONE thread, so that threads of ours run them side by side on
 * tiles and the bits of a product do not depend on the number of threads. No allocation in a run: memory objects and the scratchpad
 * stand ready.
 *
 * bf16 products are oneDNN's where the processor has instructions for them, but for inner sizes that its AMX kernel cannot do: those, and all
 * on a processor without, are f32 products of the same rounded numbers. A product of two bf16 numbers is exact in f32 and sums are f32 either
 * way, so only the order of a sum differs, as it does between processors. */
#include <dnnl.h>
#include <omp.h>
#include <stdbool.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "backends/sgemm.h"

#define DNNL_CHECK(call)                                                                                          \
    do {                                                                                                          \
        dnnl_status_t status_ = (call);                                                                           \
        ZO_CHECK(status_ == dnnl_success, "oneDNN: %s gave status %d (dnnl_types.h)", #call, (int)status_);       \
    } while (0)

typedef struct lane { dnnl_memory_t a, b, c, scratch; } lane; /* of one thread */

struct zo_cpu_product {
    zo_cpu_gemm gemm;
    bool widened;          /* bf16 inputs are copied to f32, in the scratch behind the library's own, and multiplied there */
    dnnl_primitive_t primitive;
    size_t scratch_bytes;  /* of the library */
    dnnl_stream_t *stream; /* (threads), borrowed */
    lane *lane;            /* (threads) */
};

typedef struct table { /* open addressing, room a power of two, at most half full */
    zo_cpu_product **slot; /* (room) */
    size_t n, room;
} table;

struct zo_cpu_products {
    int threads;
    dnnl_engine_t engine;
    dnnl_stream_t *stream; /* (threads) */
    table made, extra;     /* extra.room 0: nothing stands apart */
};

static void table_open(table *t)
{
    t->n = 0;
    t->room = 256;
    t->slot = zo_alloc(ZO_HOST, ZO_TAG_OTHER, t->room * sizeof(zo_cpu_product *));
}

static void product_free(zo_cpu_product *p, int threads)
{
    for (int t = 0; t < threads; t++) {
        dnnl_memory_destroy(p->lane[t].a);
        dnnl_memory_destroy(p->lane[t].b);
        dnnl_memory_destroy(p->lane[t].c);
        dnnl_memory_destroy(p->lane[t].scratch);
    }
    dnnl_primitive_destroy(p->primitive);
    zo_free(p->lane);
    zo_free(p);
}

static void table_close(table *t, int threads)
{
    for (size_t i = 0; i < t->room; i++) {
        if (t->slot[i] != NULL) {
            product_free(t->slot[i], threads);
        }
    }
    zo_free(t->slot);
    *t = (table){0};
}

zo_cpu_products *zo_cpu_products_open(int threads)
{
    zo_cpu_products *all = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *all);
    all->threads = threads;
    table_open(&all->made);
    all->stream = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)threads * sizeof *all->stream);
    DNNL_CHECK(dnnl_engine_create(&all->engine, dnnl_cpu, 0));
    for (int t = 0; t < threads; t++) {
        DNNL_CHECK(dnnl_stream_create(&all->stream[t], all->engine, dnnl_stream_default_flags));
    }
    return all;
}

void zo_cpu_products_close(zo_cpu_products *all)
{
    table_close(&all->made, all->threads);
    table_close(&all->extra, all->threads);
    for (int t = 0; t < all->threads; t++) {
        dnnl_stream_destroy(all->stream[t]);
    }
    dnnl_engine_destroy(all->engine);
    zo_free(all->stream);
    zo_free(all);
}

void zo_cpu_products_extra_begin(zo_cpu_products *all)
{
    table_open(&all->extra);
}

void zo_cpu_products_extra_end(zo_cpu_products *all)
{
    table_close(&all->extra, all->threads);
}

static bool gemm_equal(const zo_cpu_gemm *x, const zo_cpu_gemm *y)
{
    return x->precision == y->precision && x->across == y->across && x->add == y->add && x->m == y->m && x->n == y->n &&
           x->k == y->k && x->lda == y->lda && x->ldb == y->ldb && x->ldc == y->ldc;
}

static size_t gemm_hash(const zo_cpu_gemm *g)
{
    int64_t word[] = {g->precision, g->across, g->add, g->m, g->n, g->k, g->lda, g->ldb, g->ldc};
    uint64_t h = 0x9E3779B97F4A7C15ull;
    for (size_t i = 0; i < sizeof word / sizeof *word; i++) {
        h = (h ^ (uint64_t)word[i]) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    return (size_t)h;
}

static bool has_isa(dnnl_cpu_isa_t isa)
{
    return (dnnl_get_effective_cpu_isa() & isa) == (unsigned)isa;
}

bool zo_cpu_has_bf16(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_bf16);
}

static bool has_amx(void)
{
    return has_isa(dnnl_cpu_isa_avx512_core_amx);
}

/* oneDNN 2.6's AMX kernel of a bf16 product whose inner size is no multiple of 32 runs into an illegal instruction. */
bool zo_cpu_bf16_widens(bool has_bf16, bool amx, int64_t k)
{
    return !has_bf16 || (amx && k % 32 != 0);
}

static zo_cpu_product *product_make(const zo_cpu_products *all, const zo_cpu_gemm *g)
{
    bool widened = g->precision == ZO_BF16 && zo_cpu_bf16_widens(zo_cpu_has_bf16(), has_amx(), g->k);
    dnnl_data_type_t type = g->precision == ZO_BF16 && !widened ? dnnl_bf16 : dnnl_f32;
    int64_t lda = widened ? g->k : g->lda, ldb = !widened ? g->ldb : g->across ? g->k : g->n;
    dnnl_memory_desc_t a, b, c;
    DNNL_CHECK(dnnl_memory_desc_init_by_strides(&a, 2, (dnnl_dims_t){g->m, g->k}, type, (dnnl_dims_t){lda, 1}));
    DNNL_CHECK(dnnl_memory_desc_init_by_strides(&b, 2, (dnnl_dims_t){g->k, g->n}, type,
                                                g->across ? (dnnl_dims_t){1, ldb} : (dnnl_dims_t){ldb, 1}));
    DNNL_CHECK(dnnl_memory_desc_init_by_strides(&c, 2, (dnnl_dims_t){g->m, g->n}, dnnl_f32, (dnnl_dims_t){g->ldc, 1}));
    dnnl_primitive_attr_t attr;
    DNNL_CHECK(dnnl_primitive_attr_create(&attr));
    DNNL_CHECK(dnnl_primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user));
    if (g->add) {
        dnnl_post_ops_t ops;
        DNNL_CHECK(dnnl_post_ops_create(&ops));
        DNNL_CHECK(dnnl_post_ops_append_sum(ops, 1.0f));
        DNNL_CHECK(dnnl_primitive_attr_set_post_ops(attr, ops));
        dnnl_post_ops_destroy(ops);
    }
    dnnl_matmul_desc_t desc;
    DNNL_CHECK(dnnl_matmul_desc_init(&desc, &a, &b, NULL, &c));
    zo_cpu_product *p = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *p);
    dnnl_primitive_desc_t pd;
    int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* oneDNN plans for the threads it sees here: one */
    DNNL_CHECK(dnnl_primitive_desc_create(&pd, &desc, attr, all->engine, NULL));
    DNNL_CHECK(dnnl_primitive_create(&p->primitive, pd));
    omp_set_num_threads(threads);
    const dnnl_memory_desc_t *scratch = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    p->gemm = *g;
    p->widened = widened;
    p->scratch_bytes = dnnl_memory_desc_get_size(scratch);
    p->stream = all->stream;
    p->lane = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)all->threads * sizeof *p->lane);
    for (int t = 0; t < all->threads; t++) {
        DNNL_CHECK(dnnl_memory_create(&p->lane[t].a, &a, all->engine, DNNL_MEMORY_NONE));
        DNNL_CHECK(dnnl_memory_create(&p->lane[t].b, &b, all->engine, DNNL_MEMORY_NONE));
        DNNL_CHECK(dnnl_memory_create(&p->lane[t].c, &c, all->engine, DNNL_MEMORY_NONE));
        DNNL_CHECK(dnnl_memory_create(&p->lane[t].scratch, scratch, all->engine, DNNL_MEMORY_NONE));
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    return p;
}

static zo_cpu_product **find(const table *t, const zo_cpu_gemm *g)
{
    size_t i = gemm_hash(g) & (t->room - 1);
    while (t->slot[i] != NULL && !gemm_equal(&t->slot[i]->gemm, g)) {
        i = (i + 1) & (t->room - 1);
    }
    return &t->slot[i];
}

static void table_grow(table *t)
{
    table old = *t;
    t->room *= 2;
    t->slot = zo_alloc(ZO_HOST, ZO_TAG_OTHER, t->room * sizeof *t->slot);
    for (size_t i = 0; i < old.room; i++) {
        if (old.slot[i] != NULL) {
            *find(t, &old.slot[i]->gemm) = old.slot[i];
        }
    }
    zo_free(old.slot);
}

const zo_cpu_product *zo_cpu_product_of(zo_backend *be, const zo_cpu_gemm *gemm)
{
    zo_cpu_products *all = ((zo_cpu *)be->self)->products;
    zo_cpu_product **at = find(&all->made, gemm);
    table *t = &all->made;
    if (*at == NULL && all->extra.room > 0) {
        t = &all->extra;
        at = find(t, gemm);
    }
    if (*at == NULL) {
        if (2 * (t->n + 1) > t->room) {
            table_grow(t);
            at = find(t, gemm);
        }
        *at = product_make(all, gemm);
        t->n++;
    }
    return *at;
}

void zo_sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float scale, const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
              int64_t ldc)
{
    omp_set_num_threads(1); /* as below */
    DNNL_CHECK(dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, scale, a, lda, b, ldb, beta, c, ldc));
}

size_t zo_cpu_product_scratch(const zo_cpu_product *product)
{
    const zo_cpu_gemm *g = &product->gemm;
    size_t a = zo_round_up((size_t)(g->m * g->k) * sizeof(float), 64), b = zo_round_up((size_t)(g->k * g->n) * sizeof(float), 64);
    return zo_round_up(product->scratch_bytes, 64) + (product->widened ? a + b : 0);
}

/* to (rows, n) f32 <- from, bf16 with rows `stride` apart */
static void widen(const uint16_t *from, int64_t stride, int64_t rows, int64_t n, float *to)
{
    for (int64_t r = 0; r < rows; r++) {
        const uint16_t *x = from + r * stride;
        float *y = to + r * n;
#pragma omp simd
        for (int64_t i = 0; i < n; i++) {
            y[i] = zo_bf16_to(x[i]);
        }
    }
}

void zo_cpu_product_run(const zo_cpu_product *product, const void *a, const void *b, float *c, void *scratch)
{
    int t = omp_get_thread_num();
    omp_set_num_threads(1); /* of this region's task only: a product of a one-thread region would else make a team of its own */
    lane *l = &product->lane[t];
    if (product->widened) {
        const zo_cpu_gemm *g = &product->gemm;
        float *wide_a = (float *)((char *)scratch + zo_round_up(product->scratch_bytes, 64));
        float *wide_b = (float *)((char *)wide_a + zo_round_up((size_t)(g->m * g->k) * sizeof(float), 64));
        widen(a, g->lda, g->m, g->k, wide_a);
        widen(b, g->ldb, g->across ? g->n : g->k, g->across ? g->k : g->n, wide_b);
        a = wide_a;
        b = wide_b;
    }
    dnnl_stream_t stream = product->stream[t];
    DNNL_CHECK(dnnl_memory_set_data_handle_v2(l->a, (void *)(uintptr_t)a, stream));
    DNNL_CHECK(dnnl_memory_set_data_handle_v2(l->b, (void *)(uintptr_t)b, stream));
    DNNL_CHECK(dnnl_memory_set_data_handle_v2(l->c, c, stream));
    DNNL_CHECK(dnnl_memory_set_data_handle_v2(l->scratch, scratch, stream));
    dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, l->a}, {DNNL_ARG_WEIGHTS, l->b}, {DNNL_ARG_DST, l->c}, {DNNL_ARG_SCRATCHPAD, l->scratch}};
    DNNL_CHECK(dnnl_primitive_execute(product->primitive, stream, 4, args));
}
