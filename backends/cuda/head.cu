/* head.cu: the language-model head at scored rows, forward and backward, streaming over blocks of the vocabulary: the logits of a block
 * exist, never all of them. A block is formed at all points (or read where it stands), one batched product makes its logits, and every
 * row's running maximum and sum are brought up to date. Backward: two passes, log-sum-exp, then the logits again. */
#include <string.h>

#include "backends/act.h"
#include "backends/cuda/device.cuh"
#include "backends/cuda/linear.cuh"

enum { THREADS = 256, LEAST_ROWS = 64 };

struct running { float most, sum; int32_t argmax, unused; };

static __global__ void __launch_bounds__(THREADS) start_kernel(running *r, int64_t n)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n) {
        r[i].most = -INFINITY;
        r[i].sum = 0.0f;
        r[i].argmax = -1;
    }
}

/* The larger value and, among equals, the smaller index. */
static __device__ __forceinline__ void better(float &value, int32_t &at, float other, int32_t other_at)
{
    if (other > value || (other == value && other_at >= 0 && (at < 0 || other_at < at))) {
        value = other;
        at = other_at;
    }
}

/* A block per row of logits (rows, n), whose first column is `first` of the vocabulary; bias (points, all) or NULL is added and
 * the cap laid on in place. */
static __global__ void __launch_bounds__(THREADS) running_kernel(float *logit, int64_t n, int64_t first, const float *bias, int64_t all,
                                                                 int64_t rows_of_point, float softcap, running *state)
{
    __shared__ float partial[32], most_of[THREADS / 32];
    __shared__ int32_t at_of[THREADS / 32];
    int64_t row = blockIdx.x;
    float *l = logit + row * n;
    const float *b = bias != nullptr ? bias + row / rows_of_point * all + first : nullptr;
    running r = state[row];
    float most = -INFINITY;
    int32_t at = -1;
    for (int64_t v = threadIdx.x; v < n; v += THREADS) {
        if (b != nullptr) {
            l[v] += b[v];
        }
        if (softcap > 0.0f) {
            l[v] = zo_softcap(l[v], softcap);
        }
        better(most, at, l[v], (int32_t)(first + v));
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xFFFFFFFFu, most, step);
        int32_t other_at = __shfl_xor_sync(0xFFFFFFFFu, at, step);
        better(most, at, other, other_at);
    }
    if (threadIdx.x % 32 == 0) {
        most_of[threadIdx.x / 32] = most;
        at_of[threadIdx.x / 32] = at;
    }
    __syncthreads();
    for (int w = 0; w < THREADS / 32; w++) {
        better(most, at, most_of[w], at_of[w]);
    }
    float top = r.most > most ? r.most : most, sum = 0.0f;
    for (int64_t v = threadIdx.x; v < n; v += THREADS) {
        sum += zo_exp(l[v] - top);
    }
    sum = zo_block_sum(sum, partial);
    if (threadIdx.x == 0) {
        running next;
        next.most = top;
        next.sum = fmaf(r.sum, zo_exp(r.most - top), sum);
        next.argmax = most > r.most ? at : r.argmax;
        next.unused = 0;
        state[row] = next;
    }
}

/* logprob[p,i] = the logit of target i where it stands in this block */
static __global__ void __launch_bounds__(THREADS) pick_kernel(const float *logit, int64_t m, int64_t first, int points, int64_t rows,
                                                              const int32_t *at, const int32_t *target, int64_t n, float *logprob)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < points * n) {
        int64_t p = i / n, k = i % n;
        if (target[k] >= first && target[k] < first + m) {
            logprob[i] = logit[(p * rows + at[k]) * m + target[k] - first];
        }
    }
}

static __global__ void __launch_bounds__(THREADS) logprob_kernel(const running *state, int points, int64_t rows, const int32_t *at, int64_t n,
                                                                 float *logprob)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < points * n) {
        const running *r = &state[i / n * rows + at[i % n]];
        logprob[i] = logprob[i] - r->most - zo_log(r->sum);
    }
}

static __global__ void __launch_bounds__(THREADS) argmax_kernel(const running *state, int64_t n, int32_t *to)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n) {
        to[i] = state[i].argmax;
    }
}

/* Rows of the vocabulary a block: a multiple of 64 within the tile's bytes for formed rows and for logits. */
static int64_t block_rows(const zo_backend *be, int64_t vocabulary, size_t row_bytes, size_t logit_bytes)
{
    size_t tile = static_cast<const zo_cuda *>(be->self)->tile_bytes, most = row_bytes > logit_bytes ? row_bytes : logit_bytes;
    int64_t n = (int64_t)(tile / (most > 0 ? most : 1)) / LEAST_ROWS * LEAST_ROWS;
    n = n < LEAST_ROWS ? (int64_t)LEAST_ROWS : n;
    return n < vocabulary ? n : vocabulary;
}

/* Logits and the rows' state are made for as many scored rows as the last reserve named tokens, at most. */
static running *state_of(zo_backend *be, int64_t total)
{
    running *state = static_cast<running *>(zo_cuda_shared_of(be, ZO_CUDA_ROWS, (size_t)total * sizeof *state));
    ZO_MOVES(0, total * (int64_t)sizeof *state);
    ZO_LAUNCH(start_kernel, zo_cuda_grid(total, THREADS), THREADS, 0, zo_cuda_of(be)->stream, state, total);
    return state;
}

void zo_cuda_head_logprob(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, float softcap, const float *x,
                          int64_t rows, const int32_t *at, const int32_t *target, int64_t n, float *logprob, int32_t *argmax)
{
    if (rows == 0) {
        return;
    }
    const zo_param *w = &view->base[0]->layout->param[weight];
    cudaStream_t stream = zo_cuda_of(be)->stream;
    int P = view->npoints;
    int64_t total = P * rows;
    const float *b = zo_cuda_form_vector(be, view, bias, ZO_CUDA_BIAS);
    zo_cuda_part(be, ZO_PART_HEAD);
    zo_cuda_layer layer = zo_cuda_layer_of(be, view, precision, weight, x, rows);
    const int32_t *at_d = static_cast<const int32_t *>(zo_cuda_stage(be, at, (size_t)n * sizeof *at));
    const int32_t *target_d = static_cast<const int32_t *>(zo_cuda_stage(be, target, (size_t)n * sizeof *target));
    running *state = state_of(be, total);
    int64_t block = block_rows(be, w->rows, zo_cuda_layer_row_bytes(&layer), (size_t)total * sizeof(float));
    float *logit = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_LOGIT, (size_t)(total * block) * sizeof *logit));
    for (int64_t first = 0; first < w->rows; first += block) {
        int64_t m = w->rows - first < block ? w->rows - first : block;
        zo_cuda_rows part = zo_cuda_layer_rows(be, &layer, first, m, block);
        zo_cuda_part(be, ZO_PART_HEAD);
        zo_cuda_layer_product(be, &layer, &part, layer.shared, NULL, 0, false, logit);
        ZO_MOVES(4 * total * m, 4 * total * m);
        ZO_LAUNCH(running_kernel, (unsigned)total, THREADS, 0, stream, logit, m, first, b, w->rows, rows, softcap, state);
        if (n > 0) {
            ZO_MOVES(4 * P * n, 4 * P * n);
            ZO_LAUNCH(pick_kernel, zo_cuda_grid(P * n, THREADS), THREADS, 0, stream, logit, m, first, P, rows, at_d, target_d, n, logprob);
        }
    }
    if (n > 0) {
        ZO_MOVES(P * n * (4 + (int64_t)sizeof *state), 4 * P * n);
        ZO_LAUNCH(logprob_kernel, zo_cuda_grid(P * n, THREADS), THREADS, 0, stream, state, P, rows, at_d, n, logprob);
    }
    if (argmax != NULL) {
        int32_t *to = static_cast<int32_t *>(zo_cuda_shared_of(be, ZO_CUDA_PARTIAL, (size_t)total * sizeof *to));
        ZO_MOVES(total * (int64_t)sizeof *state, 4 * total);
        ZO_LAUNCH(argmax_kernel, zo_cuda_grid(total, THREADS), THREADS, 0, stream, state, total, to);
        be->download(be, argmax, to, (size_t)total * sizeof *to);
    }
    zo_counters_add({zo_cuda_drawn(view, weight) * (uint64_t)(w->rows * w->cols), 0, zo_cuda_layer_flops(&layer)});
}

/* backward ----------------------------------------------------------------------------------------------------------------------------------- */

/* l = amount softmax(l) - amounts of this row's targets, each times the cap's slope there: a block per row; tilt (n) is scratch. item lists the scores of row r at [begin[r], begin[r+1]). */
static __global__ void __launch_bounds__(THREADS) slope_kernel(float *logit, int64_t n, int64_t first, const float *bias, const running *state,
                                                               const float *row_amount, const int32_t *begin, const int32_t *target,
                                                               const float *amount, float softcap, float *tilt)
{
    int64_t row = blockIdx.x;
    float *l = logit + row * n, top = state[row].most, scale = row_amount[row] / state[row].sum;
    if (softcap > 0.0f && threadIdx.x == 0) { /* before the logits are gone; a target stands in one block */
        for (int32_t i = begin[row]; i < begin[row + 1]; i++) {
            if (target[i] >= first && target[i] < first + n) {
                float value = bias != nullptr ? l[target[i] - first] + bias[target[i]] : l[target[i] - first];
                tilt[i] = zo_softcap_slope(zo_softcap(value, softcap), softcap);
            }
        }
    }
    __syncthreads();
    for (int64_t v = threadIdx.x; v < n; v += THREADS) {
        float value = bias != nullptr ? l[v] + bias[first + v] : l[v];
        float capped = softcap > 0.0f ? zo_softcap(value, softcap) : value;
        l[v] = scale * zo_exp(capped - top) * (softcap > 0.0f ? zo_softcap_slope(capped, softcap) : 1.0f);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int32_t i = begin[row]; i < begin[row + 1]; i++) {
            if (target[i] >= first && target[i] < first + n) {
                l[target[i] - first] -= softcap > 0.0f ? amount[i] * tilt[i] : amount[i];
            }
        }
    }
}

/* The scores in the order of their rows, on the host: begin (rows + 1), then target and amount (n), then the rows' sums. */
struct scores { int32_t *begin, *target; float *amount, *sum; void *block; };

static scores scores_of(int64_t rows, const int32_t *at, const int32_t *target, const float *amount, int64_t n)
{
    scores s;
    size_t ints = (size_t)(rows + 1 + n), floats = (size_t)(n + rows);
    s.block = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ints * sizeof(int32_t) + floats * sizeof(float));
    s.begin = static_cast<int32_t *>(s.block);
    s.target = s.begin + rows + 1;
    s.amount = reinterpret_cast<float *>(s.target + n);
    s.sum = s.amount + n;
    for (int64_t i = 0; i < n; i++) {
        s.begin[at[i] + 1]++;
        s.sum[at[i]] += amount[i];
    }
    for (int64_t r = 0; r < rows; r++) {
        s.begin[r + 1] += s.begin[r];
    }
    for (int64_t i = 0; i < n; i++) { /* begin[r] runs to the end of row r, then is put back */
        int32_t to = s.begin[at[i]]++;
        s.target[to] = target[i];
        s.amount[to] = amount[i];
    }
    for (int64_t r = rows; r > 0; r--) {
        s.begin[r] = s.begin[r - 1];
    }
    s.begin[0] = 0;
    return s;
}

void zo_cuda_head_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, float softcap, const float *x,
                           int64_t rows, const int32_t *at, const int32_t *target, const float *amount, int64_t n, float *dx,
                           zo_store *grad)
{
    const zo_param *w = &store->layout->param[weight];
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    if (rows == 0 || (dx == NULL && gw == NULL && gb == NULL)) {
        return;
    }
    cudaStream_t stream = zo_cuda_of(be)->stream;
    const float *b = zo_cuda_vector_of(be, store, bias, ZO_CUDA_BIAS);
    zo_cuda_part(be, ZO_PART_BACKWARD);
    scores s = scores_of(rows, at, target, amount, n);
    const int32_t *begin_d = static_cast<const int32_t *>(zo_cuda_stage(be, s.begin, (size_t)(rows + 1) * sizeof *s.begin));
    const int32_t *target_d = static_cast<const int32_t *>(zo_cuda_stage(be, s.target, (size_t)n * sizeof *s.target));
    const float *amount_d = static_cast<const float *>(zo_cuda_stage(be, s.amount, (size_t)n * sizeof *s.amount));
    const float *sum_d = static_cast<const float *>(zo_cuda_stage(be, s.sum, (size_t)rows * sizeof *s.sum));
    zo_free(s.block);
    float *tilt = softcap > 0.0f ? static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_PARTIAL, (size_t)n * sizeof *tilt)) : NULL; /* within a launch */
    running *state = state_of(be, rows);
    size_t row_bytes = store->storage != ZO_STORAGE_F32 ? (size_t)zo_round_up(w->cols, 8) * sizeof(float) : 0;
    int64_t block = block_rows(be, w->rows, row_bytes, (size_t)rows * sizeof(float));
    float *logit = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_LOGIT, (size_t)(rows * block) * sizeof *logit));
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t first = 0; first < w->rows; first += block) {
            int64_t m = w->rows - first < block ? w->rows - first : block;
            zo_cuda_gemm g = {};
            g.scale = 1.0f;
            g.precision = zo_cuda_gradient_precision(precision);
            g.tb = true;
            g.m = rows;
            g.n = g.ldc = m;
            g.k = g.lda = w->cols;
            const float *weights = zo_cuda_rows_of(be, store, weight, first, m, &g.ldb);
            zo_cuda_product(be, &g, x, weights, logit);
            if (pass == 0) {
                ZO_MOVES(4 * rows * m, 4 * rows * m);
                ZO_LAUNCH(running_kernel, (unsigned)rows, THREADS, 0, stream, logit, m, first, b, w->rows, rows, softcap, state);
                continue;
            }
            ZO_MOVES(4 * rows * m, 4 * rows * m);
            ZO_LAUNCH(slope_kernel, (unsigned)rows, THREADS, 0, stream, logit, m, first, b, state, sum_d, begin_d, target_d, amount_d, softcap,
                      tilt);
            if (dx != NULL) {
                zo_cuda_gemm in = {};
                in.precision = g.precision;
                in.scale = 1.0f;
                in.m = rows;
                in.k = in.lda = m;
                in.n = in.ldc = w->cols;
                in.ldb = g.ldb;
                in.add = first > 0;
                zo_cuda_product(be, &in, logit, weights, dx);
            }
            if (gw != NULL) {
                zo_cuda_gemm out = {};
                out.precision = g.precision;
                out.scale = 1.0f;
                out.ta = true;
                out.add = true;
                out.m = out.lda = m;
                out.k = rows;
                out.n = out.ldb = out.ldc = w->cols;
                zo_cuda_product(be, &out, logit, x, gw + first * w->cols);
            }
            if (gb != NULL) {
                zo_cuda_column_sums(be, logit, m, rows, m, gb + first);
            }
        }
    }
    zo_counters_add({0, 0, (uint64_t)(2 * (2 + (dx != NULL) + (gw != NULL)) * rows * w->rows * w->cols)});
}
