/* device_peaks.cu: a large cuBLASLt product, cuRAND's normals, and the driver's figures of memory. cuRAND is opened at run time as cuBLASLt is,
 * and only here: zo draws its own numbers. */
#include <dlfcn.h>
#include <stdio.h>

#include "backends/cuda/device.cuh"
#include "backends/device_peaks.h"

enum { THREADS = 256 };

/* Numbers of either sign between 0.5 and 2 (f16: 0.5 and 1): `first` with random bits under `mask`. */
template <class T>
static __global__ void __launch_bounds__(THREADS) fill_operand(T *to, int64_t n, uint32_t first, uint32_t mask)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n) {
        uint32_t h = (uint32_t)i * 0x9E3779B9u;
        to[i] = (T)(first | ((h ^ h >> 15) & mask));
    }
}

static void *operand_new(zo_backend *be, zo_precision precision, int64_t n)
{
    cudaStream_t stream = zo_cuda_of(be)->stream;
    bool half = precision == ZO_BF16 || precision == ZO_F16;
    void *to = be->alloc(be, ZO_TAG_WORKSPACE, (size_t)n * (half ? sizeof(uint16_t) : sizeof(uint32_t)));
    if (half) {
        uint32_t first = precision == ZO_BF16 ? 0x3F00u : 0x3800u, mask = precision == ZO_BF16 ? 0x80FFu : 0x83FFu;
        ZO_MOVES(0, 2 * n);
        ZO_LAUNCH(fill_operand<uint16_t>, zo_cuda_grid(n, THREADS), THREADS, 0, stream, static_cast<uint16_t *>(to), n, first, mask);
    } else {
        ZO_MOVES(0, 4 * n);
        ZO_LAUNCH(fill_operand<uint32_t>, zo_cuda_grid(n, THREADS), THREADS, 0, stream, static_cast<uint32_t *>(to), n, 0x3F000000u, 0x80FFFFFFu);
    }
    return to;
}

struct multiplying { zo_cuda_gemm gemm; void *a, *b; float *c; };

static void multiply(zo_backend *be, void *context)
{
    const multiplying *m = static_cast<const multiplying *>(context);
    zo_cuda_product(be, &m->gemm, m->a, m->b, m->c);
}

static double product_rate(zo_backend *be, zo_precision precision, int64_t side)
{
    multiplying m = {};
    m.gemm.precision = precision;
    m.gemm.scale = 1.0f;
    m.gemm.tb = true; /* as y = x W^T */
    m.gemm.m = m.gemm.n = m.gemm.k = m.gemm.lda = m.gemm.ldb = m.gemm.ldc = side;
    m.a = operand_new(be, precision, side * side);
    m.b = operand_new(be, precision, side * side);
    m.c = static_cast<float *>(be->alloc(be, ZO_TAG_WORKSPACE, (size_t)(side * side) * sizeof(float)));
    double seconds = zo_work_seconds(be, multiply, &m);
    be->release(be, m.a);
    be->release(be, m.b);
    be->release(be, m.c);
    return 2.0 * (double)side * (double)side * (double)side / seconds;
}

/* cuRAND ------------------------------------------------------------------------------------------------------------------------------ */

enum { CURAND_PHILOX = 161 /* CURAND_RNG_PSEUDO_PHILOX4_32_10 */, CURAND_MAJOR = 10 };

struct curand {
    void *library, *generator;
    int (*create)(void **generator, int kind);
    int (*seed)(void *generator, unsigned long long seed);
    int (*on_stream)(void *generator, cudaStream_t stream);
    int (*normals)(void *generator, float *to, size_t n, float mean, float std);
    int (*destroy)(void *generator);
};

template <class Function>
static bool find(const curand *c, const char *name, Function *function)
{
    *function = reinterpret_cast<Function>(dlsym(c->library, name));
    return *function != NULL;
}

static zo_status curand_open(curand *c, cudaStream_t stream, zo_err *err)
{
    char name[64], path[256];
    const char *home = getenv("CUDA_HOME");
    snprintf(name, sizeof name, "libcurand.so.%d", CURAND_MAJOR);
    snprintf(path, sizeof path, "%.150s/lib64/%s", home != NULL ? home : "/usr/local/cuda", name);
    c->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    c->library = c->library != NULL ? c->library : dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (c->library == NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "cuRAND is not measured: %s is neither among the loader's paths nor at %s", name, path);
    }
    if (!find(c, "curandCreateGenerator", &c->create) || !find(c, "curandSetPseudoRandomGeneratorSeed", &c->seed) ||
        !find(c, "curandSetStream", &c->on_stream) || !find(c, "curandGenerateNormal", &c->normals) ||
        !find(c, "curandDestroyGenerator", &c->destroy)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "cuRAND is not measured: %s lacks one of the five functions that are needed", name);
    }
    int status = c->create(&c->generator, CURAND_PHILOX);
    status = status == 0 ? c->seed(c->generator, 42) : status;
    status = status == 0 ? c->on_stream(c->generator, stream) : status;
    return status == 0 ? ZO_OK : zo_fail(err, ZO_EUNSUPPORTED, "cuRAND is not measured: its generator gave status %d (curand.h)", status);
}

struct drawing { const curand *c; float *to; size_t n; int status; };

static void draw(zo_backend *be, void *context)
{
    (void)be;
    drawing *d = static_cast<drawing *>(context);
    int status = d->c->normals(d->c->generator, d->to, d->n, 0.0f, 1.0f);
    d->status = status != 0 ? status : d->status;
}

static zo_status normals_rate(zo_backend *be, int64_t n, double *rate, zo_err *err)
{
    curand c = {};
    zo_status status = curand_open(&c, zo_cuda_of(be)->stream, err);
    if (status == ZO_OK) {
        drawing d = {&c, static_cast<float *>(be->alloc(be, ZO_TAG_WORKSPACE, (size_t)n * sizeof(float))), (size_t)n, 0};
        *rate = (double)n / zo_work_seconds(be, draw, &d);
        be->release(be, d.to);
        if (d.status != 0) {
            status = zo_fail(err, ZO_EUNSUPPORTED, "cuRAND is not measured: curandGenerateNormal gave status %d (curand.h)", d.status);
        }
    }
    if (c.generator != NULL) {
        c.destroy(c.generator);
    }
    return status; /* the library stays: what its own runtime has allocated would leak */
}

static void memory(zo_backend *be, zo_device_memory *memory)
{
    zo_cuda_memory m;
    zo_cuda_memory_read(be, &m);
    memory->used_bytes = m.used_bytes;
    memory->context_bytes = m.context_bytes;
    memory->total_bytes = m.total_bytes;
}

extern "C" const zo_device_peaks zo_cuda_device_peaks;
const zo_device_peaks zo_cuda_device_peaks = {"cuda", 8192, (size_t)1 << 30, (int64_t)1 << 28, product_rate, normals_rate, memory};
