/* cublas_shim.cpp: see cublasLt.h. D = epilogue(alpha op(A) op(B) + beta C), column-major, with float64 sums. Every operand is checked to
 * lie in device memory as a whole, and as aligned as the algorithm was told. */
#include <cublasLt.h>

#include "core/num.h"

bool zo_shim_no_epilogue, zo_shim_exact_only;
unsigned long zo_shim_asked;
int zo_shim_algorithms = 1;
double zo_shim_algorithm_seconds[ZO_SHIM_ALGORITHMS];
unsigned long zo_shim_algorithm_runs[ZO_SHIM_ALGORITHMS], zo_shim_gelus;

struct zo_shim_matmul {
    cublasComputeType_t compute;
    cublasOperation_t ta, tb;
    cublasLtEpilogue_t epilogue;
    const float *bias;
    int64_t bias_stride;
};
struct zo_shim_layout { cudaDataType_t type; int64_t rows, cols, ld, stride; int32_t batch; };
struct zo_shim_preference { uint32_t align_a, align_b, align_d; };

/* What an algorithm was asked for, in the bytes of a cublasLtMatmulAlgo_t. */
struct asked { int32_t m, n, k, type, compute, epilogue, algorithm; uint32_t align_a, align_b, align_d; };
static_assert(sizeof(asked) <= sizeof(cublasLtMatmulAlgo_t), "an algorithm holds what it was asked for");

template <class T>
static cublasStatus_t make(T **out)
{
    *out = static_cast<T *>(calloc(1, sizeof **out));
    return *out != nullptr ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

template <class T>
static cublasStatus_t take(T *to, const void *value, size_t bytes)
{
    if (bytes != sizeof *to) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    SHIM_MAY_REFUSE(cublasStatus_t, "cublasLtCreate")
    *handle = nullptr;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t) { return CUBLAS_STATUS_SUCCESS; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale)
{
    cublasStatus_t status = make(desc);
    if (status == CUBLAS_STATUS_SUCCESS) {
        (*desc)->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
        (*desc)->compute = compute;
    }
    bool known = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    return known && scale == CUDA_R_32F ? status : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc)
{
    free(desc);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attr, const void *value, size_t bytes)
{
    switch (attr) {
    case CUBLASLT_MATMUL_DESC_TRANSA: return take(&desc->ta, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB: return take(&desc->tb, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return take(&desc->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return take(&desc->bias, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: return take(&desc->bias_stride, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows, uint64_t cols, int64_t ld)
{
    cublasStatus_t status = make(layout);
    if (status == CUBLAS_STATUS_SUCCESS) {
        **layout = {type, (int64_t)rows, (int64_t)cols, ld, 0, 1};
    }
    return ld >= (int64_t)rows ? status : CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout)
{
    free(layout);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attr, const void *value,
                                                size_t bytes)
{
    switch (attr) {
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return take(&layout->rows, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_COLS: return take(&layout->cols, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return take(&layout->batch, value, bytes);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return take(&layout->stride, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) { return make(preference); }

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference)
{
    free(preference);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attr,
                                                    const void *value, size_t bytes)
{
    uint64_t workspace;
    uint32_t schemes;
    switch (attr) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return take(&workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return take(&schemes, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return take(&preference->align_a, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return take(&preference->align_b, value, bytes);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return take(&preference->align_d, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

static asked asked_of(const zo_shim_matmul *op, const zo_shim_layout *a, const zo_shim_layout *d)
{
    return {(int32_t)d->rows, (int32_t)d->cols, (int32_t)(op->ta == CUBLAS_OP_T ? a->rows : a->cols), a->type, op->compute, op->epilogue, 0, 0, 0, 0};
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t preference, int most,
                                              cublasLtMatmulHeuristicResult_t *found, int *n)
{
    bool possible = most > 0 && !(zo_shim_no_epilogue && op->epilogue != CUBLASLT_EPILOGUE_DEFAULT);
    zo_shim_asked++;
    *n = possible ? (most < zo_shim_algorithms ? most : zo_shim_algorithms) : 0;
    for (int i = 0; i < *n; i++) {
        asked what = asked_of(op, a, d);
        what.align_a = preference->align_a;
        what.align_b = preference->align_b;
        what.align_d = preference->align_d;
        what.algorithm = i;
        found[i] = {};
        memcpy(&found[i].algo, &what, sizeof what);
    }
    return possible ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

/* All matrices of an operand are as aligned as the algorithm wants them. */
static bool aligned(const void *at, const zo_shim_layout *l, uint32_t bytes)
{
    uintptr_t stride = (uintptr_t)(l->batch > 1 ? l->stride * (l->type == CUDA_R_32F ? 4 : 2) : 0);
    return (((uintptr_t)at | stride) & (bytes - 1)) == 0;
}

static void check(const char *what, const void *at, const zo_shim_layout *l)
{
    int64_t elements = (l->batch - 1) * l->stride + (l->cols - 1) * l->ld + l->rows;
    if (!zo_shim_is_device(at, (size_t)elements * (l->type == CUDA_R_32F ? 4 : 2))) {
        zo_shim_die("a product's operand %s (%lld, %lld) is not in one device block", what, (long long)l->rows, (long long)l->cols);
    }
}

static float element(const void *at, const zo_shim_layout *l, bool tf32, int64_t i)
{
    if (l->type != CUDA_R_32F) {
        uint16_t half = static_cast<const uint16_t *>(at)[i];
        return l->type == CUDA_R_16BF ? zo_bf16_to(half) : zo_f16_to(half);
    }
    float x = static_cast<const float *>(at)[i];
    return tf32 && isfinite(x) ? zo_bits_f32((zo_f32_bits(x) + 0x1000u) & ~0x1FFFu) : x;
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

/* A product as enqueued: the descriptors by value, for they may change before it runs. */
struct product {
    zo_shim_matmul op;
    zo_shim_layout a, b, d;
    float alpha, beta;
    const void *at_a, *at_b;
    void *at_d;
    int algorithm;
};

/* Of an operand; one that all products of a batch share counts once. */
static uint64_t bytes_of(const zo_shim_layout *l)
{
    return (uint64_t)(l->rows * l->cols * (l->batch > 1 && l->stride > 0 ? l->batch : 1) * (l->type == CUDA_R_32F ? 4 : 2));
}

static void run_product(const void *what);

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t op, const void *alpha, const void *a, cublasLtMatrixLayout_t la,
                              const void *b, cublasLtMatrixLayout_t lb, const void *beta, const void *c, cublasLtMatrixLayout_t lc, void *d,
                              cublasLtMatrixLayout_t ld, const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream)
{
    SHIM_MAY_REFUSE(cublasStatus_t, "cublasLtMatmul")
    int64_t m = op->ta == CUBLAS_OP_T ? la->cols : la->rows, k = op->ta == CUBLAS_OP_T ? la->rows : la->cols;
    int64_t n = op->tb == CUBLAS_OP_T ? lb->rows : lb->cols, kb = op->tb == CUBLAS_OP_T ? lb->cols : lb->rows;
    if (k != kb || lc->rows != m || lc->cols != n || ld->rows != m || ld->cols != n || la->type != lb->type || lc->type != CUDA_R_32F ||
        la->batch != lb->batch || la->batch != ld->batch || c != d) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    asked is = asked_of(op, la, ld), want;
    memcpy(&want, algo, sizeof want);
    if (want.type != is.type || want.compute != is.compute || want.epilogue != is.epilogue || !aligned(a, la, want.align_a) ||
        !aligned(b, lb, want.align_b) || !aligned(d, ld, want.align_d)) {
        zo_shim_die("a product (%d, %d, %d) runs an algorithm that was asked for another one", is.m, is.n, is.k);
    }
    if (zo_shim_exact_only && (want.m != is.m || want.n != is.n || want.k != is.k)) {
        return CUBLAS_STATUS_NOT_SUPPORTED;
    }
    check("A", a, la);
    check("B", b, lb);
    check("D", d, ld);
    bool biased = op->epilogue != CUBLASLT_EPILOGUE_DEFAULT;
    int64_t biases = biased ? (la->batch - 1) * op->bias_stride + m : 0;
    if (!zo_shim_is_device(workspace, workspace_bytes) || (biased && !zo_shim_is_device(op->bias, (size_t)biases * sizeof(float)))) {
        return CUBLAS_STATUS_INVALID_VALUE;
    }
    product p = {*op, *la, *lb, *ld, 0, 0, a, b, d, want.algorithm};
    memcpy(&p.alpha, alpha, sizeof p.alpha);
    memcpy(&p.beta, beta, sizeof p.beta);
    return zo_shim_enqueue(stream, run_product, &p, sizeof p) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static void run_product(const void *what)
{
    const product *call = static_cast<const product *>(what);
    const zo_shim_matmul *op = &call->op;
    const zo_shim_layout *la = &call->a, *lb = &call->b, *ld = &call->d;
    const void *a = call->at_a, *b = call->at_b;
    void *d = call->at_d;
    float al = call->alpha, be = call->beta;
    int64_t m = ld->rows, n = ld->cols, k = op->ta == CUBLAS_OP_T ? la->rows : la->cols;
    bool biased = op->epilogue != CUBLASLT_EPILOGUE_DEFAULT, tf32 = op->compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    check("A", a, la);
    check("B", b, lb);
    check("D", d, ld);
    zo_shim_total.products++;
    zo_shim_total.read_bytes += bytes_of(la) + bytes_of(lb) + (be != 0.0f ? bytes_of(ld) : 0);
    zo_shim_total.written_bytes += bytes_of(ld);
    if (zo_shim_idle) {
        return;
    }
    zo_shim_seconds += zo_shim_algorithm_seconds[call->algorithm];
    zo_shim_algorithm_runs[call->algorithm]++;
    zo_shim_gelus += op->epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;
    zo_shim_device_open();
    double *ka = static_cast<double *>(malloc((size_t)(k * m) * sizeof *ka)), *kb_ = static_cast<double *>(malloc((size_t)(k * n) * sizeof *kb_));
    for (int64_t p = 0; p < la->batch; p++) {
        for (int64_t i = 0; i < m; i++) { /* both with k innermost */
            for (int64_t l = 0; l < k; l++) {
                ka[i * k + l] = element(a, la, tf32, p * la->stride + (op->ta == CUBLAS_OP_T ? i * la->ld + l : l * la->ld + i));
            }
        }
        for (int64_t j = 0; j < n; j++) {
            for (int64_t l = 0; l < k; l++) {
                kb_[j * k + l] = element(b, lb, tf32, p * lb->stride + (op->tb == CUBLAS_OP_T ? l * lb->ld + j : j * lb->ld + l));
            }
        }
        for (int64_t j = 0; j < n; j++) {
            for (int64_t i = 0; i < m; i++) {
                double lane[8] = {0}, sum = 0;
                int64_t l = 0;
                for (; l + 8 <= k; l += 8) {
                    for (int q = 0; q < 8; q++) {
                        lane[q] += ka[i * k + l + q] * kb_[j * k + l + q];
                    }
                }
                for (; l < k; l++) {
                    sum += ka[i * k + l] * kb_[j * k + l];
                }
                for (double x : lane) {
                    sum += x;
                }
                float *at = static_cast<float *>(d) + p * ld->stride + j * ld->ld + i;
                double y = al * sum + (be != 0.0f ? be * (double)*at : 0.0);
                if (biased) {
                    y += op->bias[p * op->bias_stride + i];
                    y = op->epilogue == CUBLASLT_EPILOGUE_GELU_BIAS ? gelu_tanh(y) : y;
                }
                *at = (float)y;
            }
        }
    }
    free(ka);
    free(kb_);
    zo_shim_device_close();
}
