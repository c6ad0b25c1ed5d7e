/* device_peaks.c: a large oneDNN product, each thread multiplying rows of its own. */
#include <omp.h>
#include <string.h>
#include <unistd.h>

#include "backends/cpu/cpu.h"
#include "backends/device_peaks.h"

typedef struct multiplying {
    const zo_cpu_product *product;
    char *a, *b;      /* (side, side) each */
    float *c;         /* (side, side) */
    int64_t side, rows; /* rows of a thread */
    size_t element_bytes;
} multiplying;

static void multiply(zo_backend *be, void *context)
{
    const multiplying *m = context;
    size_t scratch = zo_cpu_product_scratch(m->product);
#pragma omp parallel num_threads(be->threads)
    {
        int64_t at = omp_get_thread_num() * m->rows * m->side;
        void *room = zo_cpu_scratch(be, scratch > 0 ? scratch : 1);
        zo_cpu_product_run(m->product, m->a + (size_t)at * m->element_bytes, m->b, m->c + at, room);
    }
}

/* Numbers of either sign between 0.5 and 2. */
static void fill(void *to, int64_t n, zo_precision precision)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits = 0x3F000000u | ((uint32_t)i * 0x9E3779B9u & 0x80FFFFFFu);
        uint16_t half = (uint16_t)(bits >> 16);
        if (precision == ZO_BF16) {
            memcpy((uint16_t *)to + i, &half, sizeof half);
        } else {
            memcpy((float *)to + i, &bits, sizeof bits);
        }
    }
}

static double product_rate(zo_backend *be, zo_precision precision, int64_t side)
{
    ZO_CHECK(precision == ZO_F32 || precision == ZO_BF16, "the processor has no products in %s", zo_precision_name(precision));
    multiplying m = {.side = side, .rows = side / be->threads, .element_bytes = precision == ZO_BF16 ? sizeof(uint16_t) : sizeof(float)};
    ZO_CHECK(m.rows > 0, "a product of %lld rows on %d threads", (long long)side, be->threads);
    size_t elements = (size_t)(side * side);
    m.a = be->alloc(be, ZO_TAG_WORKSPACE, elements * m.element_bytes);
    m.b = be->alloc(be, ZO_TAG_WORKSPACE, elements * m.element_bytes);
    m.c = be->alloc(be, ZO_TAG_WORKSPACE, elements * sizeof *m.c);
    fill(m.a, side * side, precision);
    fill(m.b, side * side, precision);
    zo_cpu_gemm gemm = {.precision = precision, .across = true, .m = m.rows, .n = side, .k = side, .lda = side, .ldb = side, .ldc = side};
    m.product = zo_cpu_product_of(be, &gemm);
    double seconds = zo_work_seconds(be, multiply, &m);
    be->release(be, m.a);
    be->release(be, m.b);
    be->release(be, m.c);
    return 2.0 * (double)(m.rows * be->threads) * (double)side * (double)side / seconds;
}

static void memory(zo_backend *be, zo_device_memory *memory)
{
    (void)be;
    memory->used_bytes = zo_rss_peak_bytes();
    memory->context_bytes = 0;
    memory->total_bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
}

const zo_device_peaks zo_cpu_device_peaks = {
    .backend = "cpu",
    .product_side = 1024,
    .copy_bytes = (size_t)64 << 20,
    .normals = 1 << 22,
    .product_rate = product_rate,
    .memory = memory,
};
