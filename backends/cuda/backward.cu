/* backward.cu: gradients of linear layers and of chosen rows. Products are f32 whatever the precision of the forward pass, TF32 where
 * that was asked for; sums over tokens have a fixed order. */
#include "backends/cuda/device.cuh"
#include "backends/cuda/linear.cuh"

enum { THREADS = 256, ACROSS = 32, DOWN = 8 };

/* A block takes 32 columns; 8 threads a column take every eighth token, and their sums are added in their order. */
static __global__ void __launch_bounds__(ACROSS *DOWN) column_kernel(const float *x, int64_t stride, int64_t tokens, int64_t cols, float *grad)
{
    __shared__ float sum[DOWN][ACROSS];
    int64_t j = (int64_t)blockIdx.x * ACROSS + threadIdx.x;
    float s = 0.0f;
    for (int64_t t = threadIdx.y; t < tokens && j < cols; t += DOWN) {
        s += x[t * stride + j];
    }
    sum[threadIdx.y][threadIdx.x] = s;
    __syncthreads();
    if (threadIdx.y == 0 && j < cols) {
        for (int k = 1; k < DOWN; k++) {
            s += sum[k][threadIdx.x];
        }
        grad[j] += s;
    }
}

void zo_cuda_column_sums(zo_backend *be, const float *x, int64_t stride, int64_t tokens, int64_t cols, float *grad)
{
    ZO_MOVES(4 * (tokens + 1) * cols, 4 * cols);
    ZO_LAUNCH(column_kernel, zo_cuda_grid(cols, ACROSS), dim3(ACROSS, DOWN), 0, zo_cuda_of(be)->stream, x, stride, tokens, cols, grad);
}

void zo_cuda_linear_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, const float *x,
                             const float *dy, int64_t tokens, bool add, float *dx, zo_store *grad)
{
    const zo_param *w = &store->layout->param[weight];
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    if (tokens == 0 || (dx == NULL && gw == NULL && gb == NULL)) {
        return;
    }
    zo_cuda_part(be, ZO_PART_BACKWARD);
    if (dx != NULL) {
        zo_cuda_gemm in = {};
        in.precision = zo_cuda_gradient_precision(precision);
        in.scale = w->scale;
        in.add = add;
        in.m = tokens;
        in.k = in.lda = w->rows;
        in.n = in.ldb = in.ldc = w->cols;
        const float *weights = zo_cuda_numbers_of(be, store, weight, &in.ldb);
        zo_cuda_product(be, &in, dy, weights, dx);
    }
    if (gw != NULL) {
        zo_cuda_gemm out = {};
        out.precision = zo_cuda_gradient_precision(precision);
        out.scale = w->scale;
        out.ta = true;
        out.add = true;
        out.m = out.lda = w->rows;
        out.k = tokens;
        out.n = out.ldb = out.ldc = w->cols;
        zo_cuda_product(be, &out, dy, x, gw);
    }
    if (gb != NULL) {
        zo_cuda_column_sums(be, dy, w->rows, tokens, w->rows, gb);
    }
    zo_counters_add({0, 0, (uint64_t)(2 * ((dx != NULL) + (gw != NULL)) * tokens * w->rows * w->cols)});
}

/* chosen rows: few, perhaps the same one twice; a thread owns a column and goes through tokens and rows in their order ------------------ */

static __global__ void __launch_bounds__(THREADS) rows_grad_kernel(const float *x, const float *dy, const int32_t *rows, int32_t nrows,
                                                                   int64_t tokens, int64_t cols, float *gw, float *gb)
{
    int64_t j = (int64_t)blockIdx.x * THREADS + threadIdx.x;
    if (j < cols && gw != nullptr) {
        for (int64_t t = 0; t < tokens; t++) {
            float xt = x[t * cols + j];
            for (int32_t r = 0; r < nrows; r++) {
                float *g = gw + rows[r] * cols + j;
                *g = fmaf(dy[t * nrows + r], xt, *g);
            }
        }
    }
    if (j == 0 && gb != nullptr) {
        for (int64_t i = 0; i < tokens * nrows; i++) {
            gb[rows[i % nrows]] += dy[i];
        }
    }
}

/* w: the whole weight, held as S */
template <zo_storage S>
static __global__ void __launch_bounds__(THREADS) rows_input_kernel(const void *w, const float *dy, const int32_t *rows, int32_t nrows, int64_t tokens,
                                                                    int64_t cols, float *dx)
{
    const float *full = static_cast<const float *>(w);
    const uint16_t *half = static_cast<const uint16_t *>(w);
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < tokens * cols) {
        int64_t t = i / cols, j = i % cols;
        float sum = 0.0f;
        for (int32_t r = 0; r < nrows; r++) {
            int64_t at = rows[r] * cols + j;
            sum = fmaf(dy[t * nrows + r], S == ZO_STORAGE_F32 ? full[at] : zo_half_to(S, half[at]), sum);
        }
        dx[i] = sum;
    }
}

void zo_cuda_linear_rows_backward(zo_backend *be, const zo_store *store, int weight, int bias, const int32_t *rows, int32_t nrows,
                                  const float *x, const float *dy, int64_t tokens, float *dx, zo_store *grad)
{
    const zo_param *w = &store->layout->param[weight];
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    if (tokens == 0) {
        return;
    }
    cudaStream_t stream = zo_cuda_of(be)->stream;
    zo_cuda_part(be, ZO_PART_BACKWARD);
    const int32_t *at = static_cast<const int32_t *>(zo_cuda_stage(be, rows, (size_t)nrows * sizeof *rows));
    if (gw != NULL || gb != NULL) {
        ZO_MOVES(4 * (tokens + nrows) * (w->cols + 1), 4 * nrows * w->cols);
        ZO_LAUNCH(rows_grad_kernel, zo_cuda_grid(w->cols, THREADS), THREADS, 0, stream, x, dy, at, nrows, tokens, w->cols, gw, gb);
    }
    if (dx != NULL) {
        ZO_MOVES(nrows * (zo_storage_bytes(store->storage) * w->cols + 4 * tokens), 4 * tokens * w->cols);
        ZO_BY_STORAGE(store->storage, ZO_LAUNCH((rows_input_kernel<S>), zo_cuda_grid(tokens * w->cols, THREADS), THREADS, 0, stream,
                                                zo_store_at(store, w->offset), dy, at, nrows, tokens, w->cols, dx));
    }
}
