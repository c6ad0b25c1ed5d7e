/* cuda_linear.cu: linear layers and chosen rows at P points. The weight at all points is formed into workspace once (W + cZ, f32 or bf16),
 * then one batched product runs over the points; stored f32 weights are read where they stand. A low-rank side path runs as two thin
 * products beside the untouched weight. */
#include <string.h>

#include "backends/cuda_device.cuh"
#include "backends/cuda_linear.cuh"

enum { THREADS = 256 };

/* inputs --------------------------------------------------------------------------------------------------------------------------- */

static __global__ void __launch_bounds__(THREADS) bf16_kernel(const float *x, int64_t n, uint16_t *y)
{
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; 4 * i < n; i += (int64_t)gridDim.x * THREADS) {
        if (4 * i + 4 <= n && (uintptr_t)x % 16 == 0) {
            float4 v = *reinterpret_cast<const float4 *>(x + 4 * i);
            *reinterpret_cast<ushort4 *>(y + 4 * i) = make_ushort4(zo_bf16_from(v.x), zo_bf16_from(v.y), zo_bf16_from(v.z), zo_bf16_from(v.w));
        } else {
            for (int64_t j = 4 * i; j < 4 * i + 4 && j < n; j++) {
                y[j] = zo_bf16_from(x[j]);
            }
        }
    }
}

void zo_cuda_to_bf16(zo_backend *be, const float *x, int64_t n, uint16_t *y)
{
    ZO_LAUNCH(bf16_kernel, zo_cuda_grid((n + 3) / 4, THREADS), THREADS, 0, zo_cuda_of(be)->stream, x, n, y);
}

uint64_t zo_cuda_drawn(const zo_view *view, int param)
{
    bool factored = view->factors != NULL && view->factors->rank[param] > 0;
    uint64_t n = 0;
    for (int d = 0; d < view->ndirs; d++) {
        bool used = false;
        for (int p = 0; p < view->npoints; p++) {
            used = used || view->coef[p * view->ndirs + d] != 0.0f;
        }
        if (used && factored && (view->dir[d].kind == ZO_DIR_CP || view->dir[d].kind == ZO_DIR_SPAN)) {
            return 0;
        }
        n += used && (view->dir[d].kind == ZO_DIR_GAUSS || (view->dir[d].kind == ZO_DIR_REST && !factored));
    }
    return n;
}

const void *zo_cuda_input(zo_backend *be, zo_precision precision, const float *x, int64_t rows, int64_t cols)
{
    if (precision == ZO_F32) {
        return x;
    }
    zo_cuda *cuda = zo_cuda_of(be);
    int64_t most = rows > cuda->most_rows ? rows : cuda->most_rows;
    uint16_t *y = static_cast<uint16_t *>(zo_cuda_shared_of(be, ZO_CUDA_INPUT, (size_t)(most * cols) * sizeof *y));
    zo_cuda_to_bf16(be, x, rows * cols, y);
    return y;
}

/* the side path -------------------------------------------------------------------------------------------------------------------------- */

/* q[p,t,s] *= side[p,s] */
static __global__ void __launch_bounds__(THREADS) side_kernel(zo_cuda_view view, zo_cuda_param p, int64_t tokens, float *q)
{
    int64_t n = view.npoints * tokens * p.rank;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n; i += (int64_t)gridDim.x * THREADS) {
        int64_t point = i / (tokens * p.rank), s = i % p.rank;
        q[i] *= view.side[point * view.ncoef + p.coef_at + s];
    }
}

const float *zo_cuda_side(zo_backend *be, const zo_view *view, int weight, const float *x, int64_t tokens)
{
    if (view->side == NULL || view->factors->rank[weight] == 0) {
        return NULL;
    }
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_param p = zo_cuda_param_of(view->base[0]->layout, view->factors, weight);
    zo_cuda_view v = zo_cuda_view_of(be, view);
    int64_t rows = view->npoints * tokens, most = rows > cuda->most_rows ? rows : cuda->most_rows;
    float *q = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_SIDE, (size_t)(most * p.rank) * sizeof *q));
    zo_cuda_gemm g = {};
    g.m = rows;
    g.n = g.ldb = g.ldc = p.rank;
    g.k = g.lda = p.cols;
    zo_cuda_product(be, &g, x, p.v, q);
    ZO_LAUNCH(side_kernel, zo_cuda_grid(rows * p.rank, THREADS), THREADS, 0, cuda->stream, v, p, tokens, q);
    return q;
}

/* linear ---------------------------------------------------------------------------------------------------------------------------------- */

bool zo_cuda_one_base(const zo_view *view)
{
    for (int p = 1; p < view->npoints; p++) {
        if (view->base[p]->data != view->base[0]->data) {
            return false;
        }
    }
    return true;
}

void zo_cuda_linear(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, zo_act act, const float *x,
                    int64_t tokens, float *y, float *pre)
{
    if (tokens == 0) {
        return;
    }
    const zo_store *store = view->base[0];
    const zo_param *w = &store->layout->param[weight];
    int P = view->npoints;
    bool one = zo_cuda_one_base(view), formed = zo_cuda_acts(view, weight), shared = one && !formed;
    bool bias_shared = bias < 0 || (one && !zo_cuda_acts(view, bias));
    const float *b = bias < 0 ? NULL : bias_shared ? store->data + store->layout->param[bias].offset
                                                   : zo_cuda_form_vector(be, view, bias, ZO_CUDA_BIAS);
    const void *weights = store->data + w->offset;
    if (!shared || precision == ZO_BF16) {
        size_t bytes = (size_t)((shared ? 1 : P) * w->rows * w->cols) * (precision == ZO_BF16 ? sizeof(uint16_t) : sizeof(float));
        void *to = zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, bytes);
        if (shared) { /* one bf16 copy serves all points */
            zo_cuda_part(be, ZO_PART_FORM);
            zo_cuda_to_bf16(be, store->data + w->offset, w->rows * w->cols, static_cast<uint16_t *>(to));
        } else {
            zo_cuda_form_rows(be, view, weight, 0, w->rows, precision, to);
        }
        weights = to;
    }
    zo_cuda_part(be, ZO_PART_GEMM);
    const void *input = zo_cuda_input(be, precision, x, P * tokens, w->cols);
    const float *side = zo_cuda_side(be, view, weight, x, tokens);
    int rank = side != NULL ? view->factors->rank[weight] : 0;
    if (side != NULL) {
        zo_cuda_gemm g = {};
        g.tb = true;
        g.m = P * tokens;
        g.n = g.ldc = w->rows;
        g.k = g.lda = g.ldb = rank;
        zo_cuda_product(be, &g, side, view->factors->u[weight], y);
    }
    zo_cuda_gemm g = {};
    g.precision = precision;
    g.tb = true;
    g.add = side != NULL;
    g.n = g.ldc = w->rows;
    g.k = g.lda = g.ldb = w->cols;
    bool single = shared && bias_shared;
    g.m = single ? P * tokens : tokens;
    g.batch = single ? 1 : P;
    g.stride_a = tokens * w->cols;
    g.stride_b = shared ? 0 : w->rows * w->cols;
    g.stride_c = tokens * w->rows;
    g.bias = b;
    g.stride_bias = bias_shared ? 0 : w->rows;
    g.gelu_tanh = b != NULL && act == ZO_ACT_GELU_TANH && pre == NULL;
    if (zo_cuda_product(be, &g, input, weights, y)) {
        if (!g.gelu_tanh && (act != ZO_ACT_NONE || pre != NULL)) {
            zo_cuda_part(be, ZO_PART_ELEMENTWISE);
            zo_cuda_finish(be, act, NULL, P, tokens, w->rows, y, pre);
        }
    } else {
        g.bias = NULL;
        g.gelu_tanh = false;
        zo_cuda_product(be, &g, input, weights, y);
        zo_cuda_part(be, ZO_PART_ELEMENTWISE);
        zo_cuda_finish(be, act, bias_shared ? zo_cuda_form_vector(be, view, bias, ZO_CUDA_BIAS) : b, P, tokens, w->rows, y, pre);
    }
    zo_counters_add({zo_cuda_drawn(view, weight) * (uint64_t)(w->rows * w->cols), 0,
                     (uint64_t)(2 * P * tokens * w->rows * (w->cols + rank))});
}

/* chosen rows ------------------------------------------------------------------------------------------------------------------------------ */

/* y[p,t,r] = x[p,t,:] . w[p,r,:] + bias[p,rows[r]]: a warp an output. */
static __global__ void __launch_bounds__(THREADS) rows_kernel(const float *x, const float *w, const float *bias, const int32_t *rows, int64_t all,
                                                              int points, int64_t tokens, int64_t nrows, int64_t cols, float *y)
{
    int64_t n = points * tokens * nrows, lane = threadIdx.x % 32;
    for (int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) / 32; i < n; i += (int64_t)gridDim.x * (THREADS / 32)) {
        int64_t t = i / nrows, r = i % nrows, p = t / tokens;
        float sum = 0.0f;
        for (int64_t j = lane; j < cols; j += 32) {
            sum = fmaf(x[t * cols + j], w[(p * nrows + r) * cols + j], sum);
        }
        sum = zo_warp_sum(sum);
        if (lane == 0) {
            y[i] = bias != nullptr ? sum + bias[p * all + rows[r]] : sum;
        }
    }
}

void zo_cuda_linear_rows(zo_backend *be, const zo_view *view, int weight, int bias, const int32_t *rows, int32_t nrows, const float *x,
                         int64_t tokens, float *y)
{
    const zo_param *w = &view->base[0]->layout->param[weight];
    int P = view->npoints;
    if (tokens == 0 || nrows == 0) {
        return;
    }
    const float *b = zo_cuda_form_vector(be, view, bias, ZO_CUDA_BIAS);
    const int32_t *at = static_cast<const int32_t *>(zo_cuda_stage(be, rows, (size_t)nrows * sizeof *rows));
    float *formed = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, (size_t)(P * nrows * w->cols) * sizeof *formed));
    zo_cuda_form_chosen(be, view, weight, at, nrows, false, formed);
    zo_cuda_part(be, ZO_PART_HEAD);
    ZO_LAUNCH(rows_kernel, zo_cuda_grid(P * tokens * nrows, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, x, formed, b, at, w->rows, P, tokens,
              (int64_t)nrows, w->cols, y);
    zo_counters_add({zo_cuda_drawn(view, weight) * (uint64_t)(nrows * w->cols), 0, (uint64_t)(2 * P * tokens * nrows * w->cols)});
}

/* Blocks that depend on the layout alone are made here; those that depend on precision or on the realisation grow in the first step, to
 * the largest batch told here. */
void zo_cuda_reserve(zo_backend *be, const zo_layout *layout, const zo_factors *factors, int points, int64_t tokens)
{
    zo_cuda *cuda = zo_cuda_of(be);
    int64_t vector = 1, matrix = 1;
    int rank = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (p->kind == ZO_PARAM_VECTOR) {
            vector = vector > p->cols ? vector : p->cols;
        } else if (p->kind == ZO_PARAM_MATRIX) {
            matrix = matrix > p->rows * p->cols ? matrix : p->rows * p->cols;
        }
        if (factors != NULL && factors->layout != NULL && t < factors->layout->n) {
            rank = rank > factors->rank[t] ? rank : factors->rank[t];
        }
    }
    cuda->most_rows = points * tokens > cuda->most_rows ? points * tokens : cuda->most_rows;
    zo_cuda_shared_of(be, ZO_CUDA_BIAS, (size_t)(vector * points) * sizeof(float));
    zo_cuda_shared_of(be, ZO_CUDA_VECTOR, (size_t)(vector * points) * sizeof(float));
    if (points > 1 && rank == 0) { /* streamed: bf16 at least */
        zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, (size_t)(matrix * points) * sizeof(uint16_t));
    }
    if (rank > 0) {
        zo_cuda_shared_of(be, ZO_CUDA_SIDE, (size_t)(cuda->most_rows * rank) * sizeof(float));
    }
}
