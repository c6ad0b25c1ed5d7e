/* gemm.cu: matrix products by cuBLASLt, with our workspace. A plan (descriptors and the algorithm that the library ranks first) is
 * made at the first use of a shape and kept; told to choose by time, a plan has several algorithms, which run on the operands of the first
 * product that is played outside a capture, and the fastest stays. A product that adds to what is there can run once only and takes the first. Packed batches have another number of tokens each, so plans are made for that number rounded
 * up: few are asked for (some 50 us each), and which algorithm a product gets depends on its own shape alone, never on what ran before. A
 * size for which the library refuses that algorithm gets a plan of its own. f32 products are f32 throughout, never TF32; all sums are f32.
 * Split sums that depend on the schedule are not allowed, so the same product gives the same bits.
 *
 * The library is opened at run time, so that the program starts where it is missing. It works on column-major matrices: a row-major
 * C = A B is read as C^T = B^T A^T, so the operands change places and a bias along a row of C is one along a column. */
#include <cublasLt.h>
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/device.cuh"

enum { WORKSPACE_BYTES = 32 << 20, PLANS = 1024 /* kept at once; then all are dropped */, CANDIDATES = 8, RUNS = 3 /* timed, after one */ };

#define BLAS_LIST(X)                                                                                                       \
    X(cublasLtCreate) X(cublasLtDestroy) X(cublasLtMatmulDescCreate) X(cublasLtMatmulDescDestroy)                          \
    X(cublasLtMatmulDescSetAttribute) X(cublasLtMatrixLayoutCreate) X(cublasLtMatrixLayoutDestroy)                         \
    X(cublasLtMatrixLayoutSetAttribute) X(cublasLtMatmulPreferenceCreate) X(cublasLtMatmulPreferenceDestroy)               \
    X(cublasLtMatmulPreferenceSetAttribute) X(cublasLtMatmulAlgoGetHeuristic) X(cublasLtMatmul)

#define BLAS_CHECK(call)                                                                                                   \
    do {                                                                                                                   \
        cublasStatus_t blas_status_ = (call);                                                                              \
        if (blas_status_ == CUBLAS_STATUS_ALLOC_FAILED) {                                                                  \
            zo_cuda_refused(#call);                                                                                        \
        }                                                                                                                  \
        ZO_CHECK(blas_status_ == CUBLAS_STATUS_SUCCESS, "cuBLASLt: %s gave status %d (cublas_api.h)", #call, (int)blas_status_); \
    } while (0)

/* Everything that a plan depends on; all bytes are set, so that keys compare as bytes. */
struct plan_key {
    zo_cuda_gemm gemm; /* without the bias's address and the scale; strides are those of rows that follow each other, 0 for a shared operand */
    uint32_t align_a, align_b, align_c, align_bias; /* 0: no bias */
};

struct plan {
    plan_key key;
    bool possible, used, timed;
    int candidates, chosen;
    cublasLtMatmulDesc_t op;
    cublasLtMatrixLayout_t first, second, result;
    cublasLtMatmulAlgo_t algo[CANDIDATES];
};

struct zo_cuda_products {
    void *library;
#define X(name) decltype(&::name) name;
    BLAS_LIST(X)
#undef X
    cublasLtHandle_t handle;
    cublasLtMatmulPreference_t preference;
    zo_backend *be;     /* NULL: the first algorithm is taken */
    cudaEvent_t from, to; /* where `be` is set */
    plan *slot; /* (room) open addressing, room a power of two, at most half full */
    size_t n, most, room;
};

/* library ------------------------------------------------------------------------------------------------------------------------- */

static zo_status library_open(zo_cuda_products *all, zo_err *err)
{
#ifdef __CUDACC__
    char name[64], path[2][256] = {"", ""};
    const char *home = getenv("CUDA_HOME");
    snprintf(name, sizeof name, "libcublasLt.so.%d", CUBLAS_VER_MAJOR);
    snprintf(path[0], sizeof path[0], "%.150s/lib64/%s", home != NULL ? home : "/usr/local/cuda", name);
    all->library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (all->library == NULL) {
        all->library = dlopen(path[0], RTLD_NOW | RTLD_LOCAL);
    }
    if (all->library == NULL) {
        return zo_fail(err, ZO_EIO, "device \"cuda\": %s is neither among the loader's paths nor at %s; install cuBLAS of CUDA %d or "
                       "name its folder in LD_LIBRARY_PATH", name, path[0], CUBLAS_VER_MAJOR);
    }
#define X(function)                                                                                              \
    all->function = reinterpret_cast<decltype(&::function)>(dlsym(all->library, #function));                     \
    if (all->function == NULL) {                                                                                 \
        return zo_fail(err, ZO_EIO, "device \"cuda\": %s has no function %s; it is not cuBLAS of CUDA %d", name, #function, \
                       CUBLAS_VER_MAJOR);                                                                        \
    }
#else
    (void)err;
#define X(function) all->function = ::function;
#endif
    BLAS_LIST(X)
#undef X
    return ZO_OK;
}

zo_status zo_cuda_products_open(zo_cuda_products **products, zo_err *err)
{
    zo_cuda_products *all = static_cast<zo_cuda_products *>(zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *all));
    *products = NULL;
    zo_status status = library_open(all, err);
    if (status == ZO_OK) {
        cublasStatus_t created = all->cublasLtCreate(&all->handle);
        if (created != CUBLAS_STATUS_SUCCESS) {
            bool memory = created == CUBLAS_STATUS_ALLOC_FAILED || created == CUBLAS_STATUS_NOT_INITIALIZED;
            status = zo_fail(err, memory ? ZO_EOOM : ZO_EIO, "device \"cuda\": cublasLtCreate gave status %d (cublas_api.h)%s", (int)created,
                             memory ? ": the device has no memory left for the library; another process may hold it (nvidia-smi shows which)" : "");
        }
    }
    if (status != ZO_OK) {
        if (all->library != NULL) {
            dlclose(all->library);
        }
        zo_free(all);
        return status;
    }
    uint64_t workspace = WORKSPACE_BYTES;
    uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    BLAS_CHECK(all->cublasLtMatmulPreferenceCreate(&all->preference));
    BLAS_CHECK(all->cublasLtMatmulPreferenceSetAttribute(all->preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace));
    BLAS_CHECK(all->cublasLtMatmulPreferenceSetAttribute(all->preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes, sizeof schemes));
    all->most = PLANS;
    all->room = 256;
    all->slot = static_cast<plan *>(zo_alloc(ZO_HOST, ZO_TAG_OTHER, all->room * sizeof *all->slot));
    *products = all;
    return ZO_OK;
}

static void plan_free(const zo_cuda_products *all, plan *p)
{
    BLAS_CHECK(all->cublasLtMatrixLayoutDestroy(p->first));
    BLAS_CHECK(all->cublasLtMatrixLayoutDestroy(p->second));
    BLAS_CHECK(all->cublasLtMatrixLayoutDestroy(p->result));
    BLAS_CHECK(all->cublasLtMatmulDescDestroy(p->op));
}

static void plans_drop(zo_cuda_products *all)
{
    for (size_t i = 0; i < all->room; i++) {
        if (all->slot[i].used) {
            plan_free(all, &all->slot[i]);
        }
    }
    memset(all->slot, 0, all->room * sizeof *all->slot);
    all->n = 0;
}

static void events_destroy(zo_cuda_products *all)
{
    if (all->be != NULL) {
        CUDA_CHECK(cudaEventDestroy(all->from));
        CUDA_CHECK(cudaEventDestroy(all->to));
        all->be = NULL;
    }
}

void zo_cuda_choose(zo_backend *be, zo_algorithms how)
{
    zo_cuda_products *all = zo_cuda_of(be)->products;
    zo_cuda_pass_start(be);
    plans_drop(all);
    events_destroy(all);
    if (how == ZO_ALGORITHMS_TIMED) {
        CUDA_CHECK(cudaEventCreateWithFlags(&all->from, cudaEventDefault));
        CUDA_CHECK(cudaEventCreateWithFlags(&all->to, cudaEventDefault));
        all->be = be;
    }
}

void zo_cuda_set_plans(zo_backend *be, int most)
{
    zo_cuda_products *all = zo_cuda_of(be)->products;
    plans_drop(all);
    all->most = static_cast<size_t>(most);
}

void zo_cuda_products_close(zo_cuda_products *all)
{
    plans_drop(all);
    events_destroy(all);
    BLAS_CHECK(all->cublasLtMatmulPreferenceDestroy(all->preference));
    BLAS_CHECK(all->cublasLtDestroy(all->handle));
    if (all->library != NULL) {
        dlclose(all->library);
    }
    zo_free(all->slot);
    zo_free(all);
}

/* plans ----------------------------------------------------------------------------------------------------------------------------- */

/* Of an address, or of all that lie `stride` bytes apart from it. */
static uint32_t alignment_of(const void *at, int64_t stride_bytes)
{
    uintptr_t bits = reinterpret_cast<uintptr_t>(at) | static_cast<uintptr_t>(stride_bytes) | 256;
    return static_cast<uint32_t>(bits & (~bits + 1));
}

static cudaDataType_t type_of(zo_precision precision)
{
    return precision == ZO_BF16 ? CUDA_R_16BF : precision == ZO_F16 ? CUDA_R_16F : CUDA_R_32F;
}

/* Up to 64 and then to an eighth or less. */
static int64_t round_up(int64_t n)
{
    int64_t step = 64;
    while (16 * step <= n) {
        step *= 2;
    }
    return (int64_t)zo_round_up((uint64_t)n, (uint64_t)step);
}

static void layout_set(const zo_cuda_products *all, cublasLtMatrixLayout_t layout, int64_t rows, int64_t cols, int64_t stride)
{
    uint64_t r = static_cast<uint64_t>(rows), c = static_cast<uint64_t>(cols);
    BLAS_CHECK(all->cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_ROWS, &r, sizeof r));
    BLAS_CHECK(all->cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_COLS, &c, sizeof c));
    BLAS_CHECK(all->cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride));
}

/* The plan's descriptors for the sizes of a product. */
static void plan_set(const zo_cuda_products *all, const plan *p, const zo_cuda_gemm *g)
{
    layout_set(all, p->first, g->tb ? g->k : g->n, g->tb ? g->n : g->k, g->stride_b);
    layout_set(all, p->second, g->ta ? g->m : g->k, g->ta ? g->k : g->m, g->stride_a);
    layout_set(all, p->result, g->n, g->m, g->stride_c);
    if (g->bias != NULL) {
        BLAS_CHECK(all->cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &g->bias, sizeof g->bias));
        BLAS_CHECK(all->cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE, &g->stride_bias, sizeof g->stride_bias));
    }
}

static cublasLtMatrixLayout_t layout_make(const zo_cuda_products *all, cudaDataType_t type, int64_t rows, int64_t ld, int64_t batch)
{
    cublasLtMatrixLayout_t layout;
    int32_t count = static_cast<int32_t>(batch);
    BLAS_CHECK(all->cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows), 1, ld));
    BLAS_CHECK(all->cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    return layout;
}

static void plan_make(zo_cuda_products *all, const plan_key *key, const void *bias, plan *p)
{
    zo_cuda_gemm g = key->gemm;
    cudaDataType_t type = type_of(g.precision);
    cublasComputeType_t compute = g.precision == ZO_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    cublasOperation_t first = g.tb ? CUBLAS_OP_T : CUBLAS_OP_N, second = g.ta ? CUBLAS_OP_T : CUBLAS_OP_N;
    p->key = *key;
    p->used = true;
    BLAS_CHECK(all->cublasLtMatmulDescCreate(&p->op, compute, CUDA_R_32F));
    BLAS_CHECK(all->cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof first));
    BLAS_CHECK(all->cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof second));
    if (key->align_bias > 0) {
        cublasLtEpilogue_t epilogue = g.gelu_tanh ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_BIAS;
        BLAS_CHECK(all->cublasLtMatmulDescSetAttribute(p->op, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue));
        g.bias = static_cast<const float *>(bias);
    }
    p->first = layout_make(all, type, g.tb ? g.k : g.n, g.ldb, g.batch);
    p->second = layout_make(all, type, g.ta ? g.m : g.k, g.lda, g.batch);
    p->result = layout_make(all, CUDA_R_32F, g.n, g.ldc, g.batch);
    plan_set(all, p, &g);
    const struct { cublasLtMatmulPreferenceAttributes_t attribute; uint32_t bytes; } align[] = {
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, key->align_b}, /* operands change places */
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, key->align_a},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, key->align_c},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, key->align_c}};
    for (const auto &a : align) {
        BLAS_CHECK(all->cublasLtMatmulPreferenceSetAttribute(all->preference, a.attribute, &a.bytes, sizeof a.bytes));
    }
    cublasLtMatmulHeuristicResult_t found[CANDIDATES];
    int n = 0;
    cublasStatus_t status = all->cublasLtMatmulAlgoGetHeuristic(all->handle, p->op, p->first, p->second, p->result, p->result, all->preference,
                                                                all->be != NULL && !g.add ? CANDIDATES : 1, found, &n);
    p->possible = status == CUBLAS_STATUS_SUCCESS && n > 0;
    p->timed = n < 2;
    for (int i = 0; p->possible && i < n; i++) {
        p->algo[p->candidates++] = found[i].algo;
    }
}

static size_t key_hash(const plan_key *key)
{
    uint64_t h = 0x9E3779B97F4A7C15ull;
    const unsigned char *byte = reinterpret_cast<const unsigned char *>(key);
    for (size_t i = 0; i < sizeof *key; i++) {
        h = (h ^ byte[i]) * 0x100000001b3ull;
    }
    return static_cast<size_t>(h ^ h >> 32);
}

static plan *find(plan *slot, size_t room, const plan_key *key)
{
    size_t i = key_hash(key) & (room - 1);
    while (slot[i].used && memcmp(&slot[i].key, key, sizeof *key) != 0) {
        i = (i + 1) & (room - 1);
    }
    return &slot[i];
}

static plan *plan_of(zo_cuda_products *all, const plan_key *key, const void *bias)
{
    plan *at = find(all->slot, all->room, key);
    if (at->used) {
        return at;
    }
    if (all->n >= all->most) {
        plans_drop(all);
        at = find(all->slot, all->room, key);
    } else if (2 * (all->n + 1) > all->room) {
        size_t room = 2 * all->room;
        plan *fresh = static_cast<plan *>(zo_alloc(ZO_HOST, ZO_TAG_OTHER, room * sizeof *fresh));
        for (size_t i = 0; i < all->room; i++) {
            if (all->slot[i].used) {
                *find(fresh, room, &all->slot[i].key) = all->slot[i];
            }
        }
        zo_free(all->slot);
        all->slot = fresh;
        all->room = room;
        at = find(fresh, room, key);
    }
    plan_make(all, key, bias, at);
    all->n++;
    return at;
}

/* A product as enqueued; its plan is found again when it is played. All bytes are set. */
struct product_call {
    zo_cuda_products *all;
    zo_cuda_gemm gemm; /* batch at least 1; strides 0 where they are not read */
    const void *a, *b;
    float *c;
    void *workspace;
};

static plan_key key_of(const product_call *call, bool exact)
{
    plan_key key;
    memset(&key, 0, sizeof key);
    zo_cuda_gemm *k = &key.gemm;
    memcpy(k, &call->gemm, sizeof *k);
    int64_t size = k->precision == ZO_BF16 || k->precision == ZO_F16 ? 2 : 4;
    key.align_a = alignment_of(call->a, k->stride_a * size);
    key.align_b = alignment_of(call->b, k->stride_b * size);
    key.align_c = alignment_of(call->c, k->stride_c * (int64_t)sizeof(float));
    key.align_bias = k->bias != NULL ? alignment_of(k->bias, k->stride_bias * (int64_t)sizeof(float)) : 0;
    int64_t *tokens = k->ta ? &k->k : &k->m;
    *tokens = exact ? *tokens : round_up(*tokens);
    k->bias = NULL;
    k->scale = 1.0f;
    k->stride_a = k->stride_a > 0 ? (k->ta ? k->k : k->m) * k->lda : 0;
    k->stride_b = k->stride_b > 0 ? (k->tb ? k->n : k->k) * k->ldb : 0;
    k->stride_c = k->stride_c > 0 ? k->m * k->ldc : 0;
    k->stride_bias = k->stride_bias > 0 ? k->n : 0;
    return key;
}

static cublasStatus_t play_plan(cudaStream_t stream, const product_call *call, const plan *p, int algorithm)
{
    const zo_cuda_products *all = call->all;
    const float scale = call->gemm.scale, beta = call->gemm.add ? 1.0f : 0.0f;
    plan_set(all, p, &call->gemm);
    return all->cublasLtMatmul(all->handle, p->op, &scale, call->b, p->first, call->a, p->second, &beta, call->c, p->result, call->c, p->result,
                               &p->algo[algorithm], call->workspace, WORKSPACE_BYTES, stream);
}

/* Milliseconds of RUNS products by one of the plan's algorithms; infinity where it refuses. They leave what one would. */
static float product_ms(cudaStream_t stream, const product_call *call, const plan *p, int algorithm)
{
    const zo_cuda_products *all = call->all;
    float ms = INFINITY;
    for (int run = 0; run <= RUNS; run++) {
        if (run == 1) {
            CUDA_CHECK(cudaEventRecord(all->from, stream));
        }
        cublasStatus_t status = play_plan(stream, call, p, algorithm);
        if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) {
            return INFINITY;
        }
        BLAS_CHECK(status);
    }
    CUDA_CHECK(cudaEventRecord(all->to, stream));
    CUDA_CHECK(cudaEventSynchronize(all->to));
    CUDA_CHECK(cudaEventElapsedTime(&ms, all->from, all->to));
    return ms;
}

static void plan_time(cudaStream_t stream, const product_call *call, plan *p)
{
    zo_backend *be = call->all->be;
    float least = INFINITY;
    if (be == NULL || p->timed || zo_cuda_captures(zo_cuda_of(be))) {
        return;
    }
    for (int i = 0; i < p->candidates; i++) {
        float ms = product_ms(stream, call, p, i);
        if (ms < least) {
            least = ms;
            p->chosen = i;
        }
    }
    p->timed = true;
    be->choices.timed++;
    be->choices.others += p->chosen > 0;
}

static cublasStatus_t play_best(cudaStream_t stream, const product_call *call, plan *p)
{
    plan_time(stream, call, p);
    return play_plan(stream, call, p, p->chosen);
}

static void play_product(cudaStream_t stream, const void *what)
{
    const product_call *call = static_cast<const product_call *>(what);
    plan_key key = key_of(call, false);
    cublasStatus_t status = play_best(stream, call, plan_of(call->all, &key, call->gemm.bias));
    if (status == CUBLAS_STATUS_NOT_SUPPORTED || status == CUBLAS_STATUS_INVALID_VALUE) { /* nothing was started */
        key = key_of(call, true);
        plan *p = plan_of(call->all, &key, call->gemm.bias);
        status = p->possible ? play_best(stream, call, p) : CUBLAS_STATUS_NOT_SUPPORTED;
    }
    const zo_cuda_gemm *g = &call->gemm;
    if (status != CUBLAS_STATUS_SUCCESS && (status == CUBLAS_STATUS_ALLOC_FAILED || cudaGetLastError() == cudaErrorMemoryAllocation)) {
        zo_cuda_refused("cublasLtMatmul");
    }
    ZO_CHECK(status == CUBLAS_STATUS_SUCCESS, "cuBLASLt: cublasLtMatmul of a product (%lld, %lld, %lld) of %s gave status %d (cublas_api.h)",
             (long long)g->m, (long long)g->n, (long long)g->k, zo_precision_name(g->precision), (int)status);
}

bool zo_cuda_product(zo_backend *be, const zo_cuda_gemm *gemm, const void *a, const void *b, float *c)
{
    zo_cuda *cuda = zo_cuda_of(be);
    ZO_CHECK(gemm->scale != 0.0f, "a product without its scale");
    product_call call;
    memset(&call, 0, sizeof call); /* padding too */
    zo_cuda_gemm *g = &call.gemm;
    g->precision = gemm->precision;
    g->ta = gemm->ta;
    g->tb = gemm->tb;
    g->add = gemm->add;
    g->gelu_tanh = gemm->gelu_tanh;
    g->scale = gemm->scale;
    g->m = gemm->m;
    g->n = gemm->n;
    g->k = gemm->k;
    g->lda = gemm->lda;
    g->ldb = gemm->ldb;
    g->ldc = gemm->ldc;
    g->bias = gemm->bias;
    g->batch = gemm->batch > 1 ? gemm->batch : 1;
    if (g->batch > 1) {
        g->stride_a = gemm->stride_a;
        g->stride_b = gemm->stride_b;
        g->stride_c = gemm->stride_c;
        g->stride_bias = gemm->bias != NULL ? gemm->stride_bias : 0;
    }
    call.all = cuda->products;
    call.a = a;
    call.b = b;
    call.c = c;
    plan_key key = key_of(&call, false);
    if (!plan_of(call.all, &key, gemm->bias)->possible) {
        ZO_CHECK(gemm->bias != NULL, "cuBLASLt has no algorithm for a product (%lld, %lld, %lld) of %s", (long long)g->m, (long long)g->n,
                 (long long)g->k, zo_precision_name(g->precision));
        return false;
    }
    call.workspace = zo_cuda_shared_of(be, ZO_CUDA_BLAS, WORKSPACE_BYTES);
    zo_cuda_enqueue(cuda->stream, play_product, &call, sizeof call);
    return true;
}
