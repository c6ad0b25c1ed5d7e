/* elementwise.cu: activations, norms, sums, gathers and embeddings, forward and backward. Flat arrays and activations give the bits
 * of cpu/elementwise.c; norms sum a row by threads, in another order than its 16 lanes. Gradients of looked-up rows are added in the
 * order of the tokens, those of norms over groups of GROUP tokens and then over the groups, as there. */
#include "backends/act.h"
#include "backends/cuda/access.cuh"
#include "backends/cuda/linear.cuh"

enum {
    THREADS = 256,
    ROW_THREADS = 128,
    HELD = 8,   /* times four floats of a row that a thread keeps in registers */
    GROUP = 64  /* tokens whose gradients are summed first */
};

template <int ACT>
static __device__ __forceinline__ float act_of(float x)
{
    switch (ACT) {
#define X(id, function, slope) \
    case id:                   \
        return function(x);
        ZO_ACT_LIST(X)
#undef X
    }
    return x;
}

template <int ACT>
static __device__ __forceinline__ float slope_of(float x)
{
    switch (ACT) {
#define X(id, function, slope) \
    case id:                   \
        return slope(x);
        ZO_ACT_LIST(X)
#undef X
    }
    return 1.0f;
}

/* flat arrays ------------------------------------------------------------------------------------------------------------------------ */

/* An operation on IN numbers, and perhaps one for all, that gives OUT. Arrays of equal length; an output may be an input. */
struct op_add {
    enum { IN = 2, OUT = 1 };
    static __device__ __forceinline__ void at(const float *in, float, float *out)
    {
        out[0] = in[0] + in[1];
    }
};

struct op_scale { /* x -> by x */
    enum { IN = 1, OUT = 1 };
    static __device__ __forceinline__ void at(const float *in, float by, float *out)
    {
        out[0] = in[0] * by;
    }
};

struct op_softcap {
    enum { IN = 1, OUT = 1 };
    static __device__ __forceinline__ void at(const float *in, float cap, float *out)
    {
        out[0] = zo_softcap(in[0], cap);
    }
};

struct op_softcap_slope { /* y, dy -> dy times the slope where the cap gave y */
    enum { IN = 2, OUT = 1 };
    static __device__ __forceinline__ void at(const float *in, float cap, float *out)
    {
        out[0] = in[1] * zo_softcap_slope(in[0], cap);
    }
};

template <int ACT>
struct op_glu { /* gate, up -> act(gate) up */
    enum { IN = 2, OUT = 1 };
    static __device__ __forceinline__ void at(const float *in, float, float *out)
    {
        out[0] = act_of<ACT>(in[0]) * in[1];
    }
};

template <int ACT>
struct op_slope { /* pre, dy -> dy act'(pre) */
    enum { IN = 2, OUT = 1 };
    static __device__ __forceinline__ void at(const float *in, float, float *out)
    {
        out[0] = in[1] * slope_of<ACT>(in[0]);
    }
};

template <int ACT>
struct op_glu_backward { /* gate, up, dy -> dgate, dup */
    enum { IN = 3, OUT = 2 };
    static __device__ __forceinline__ void at(const float *in, float, float *out)
    {
        out[0] = in[2] * in[1] * slope_of<ACT>(in[0]);
        out[1] = in[2] * act_of<ACT>(in[0]);
    }
};

struct arrays {
    const float *in[3];
    float *out[2];
};

template <class Op>
static __global__ void __launch_bounds__(THREADS) flat(arrays a, float by, int64_t n, bool wide)
{
    if (int64_t e = 4 * ((int64_t)blockIdx.x * THREADS + threadIdx.x); e < n) {
        float in[Op::IN][4], out[Op::OUT][4];
#pragma unroll
        for (int i = 0; i < Op::IN; i++) {
            zo_load4(a.in[i], e, 0, n, wide, in[i]);
        }
#pragma unroll
        for (int l = 0; l < 4; l++) {
            float x[Op::IN], y[Op::OUT];
#pragma unroll
            for (int i = 0; i < Op::IN; i++) {
                x[i] = in[i][l];
            }
            Op::at(x, by, y);
#pragma unroll
            for (int i = 0; i < Op::OUT; i++) {
                out[i][l] = y[i];
            }
        }
#pragma unroll
        for (int i = 0; i < Op::OUT; i++) {
            zo_store4(a.out[i], e, 0, n, wide, out[i]);
        }
    }
}

template <class Op>
static void run_flat(zo_backend *be, zo_part part, int64_t n, arrays a, float by = 0.0f)
{
    if (n == 0) {
        return;
    }
    zo_cuda_part(be, part);
    bool wide = true;
    for (int i = 0; i < Op::IN; i++) {
        wide = wide && zo_cuda_wide(a.in[i], 0);
    }
    for (int i = 0; i < Op::OUT; i++) {
        wide = wide && zo_cuda_wide(a.out[i], 0);
    }
    ZO_MOVES(Op::IN * n * 4, Op::OUT * n * 4);
    ZO_LAUNCH((flat<Op>), zo_cuda_grid(n, 4 * THREADS), THREADS, 0, zo_cuda_of(be)->stream, a, by, n, wide);
}

void zo_cuda_scale(zo_backend *be, float *x, int64_t n, float by)
{
    run_flat<op_scale>(be, ZO_PART_ELEMENTWISE, n, {{x}, {x}}, by);
}

void zo_cuda_softcap(zo_backend *be, float *x, int64_t n, float cap)
{
    run_flat<op_softcap>(be, ZO_PART_ELEMENTWISE, n, {{x}, {x}}, cap);
}

void zo_cuda_softcap_backward(zo_backend *be, float cap, const float *y, int64_t n, float *dy)
{
    run_flat<op_softcap_slope>(be, ZO_PART_BACKWARD, n, {{y, dy}, {dy}}, cap);
}

void zo_cuda_add(zo_backend *be, float *y, const float *x, int64_t n)
{
    run_flat<op_add>(be, ZO_PART_ELEMENTWISE, n, {{y, x}, {y}});
}

void zo_cuda_glu(zo_backend *be, zo_act act, const float *gate, const float *up, int64_t n, float *y)
{
    switch (act) {
#define X(id, function, slope)                                                    \
    case id:                                                                      \
        run_flat<op_glu<id>>(be, ZO_PART_ELEMENTWISE, n, {{gate, up}, {y}}); \
        break;
        ZO_ACT_LIST(X)
        X(ZO_ACT_NONE, , )
#undef X
    }
}

void zo_cuda_act_backward(zo_backend *be, zo_act act, const float *pre, int64_t n, float *dy)
{
    switch (act) {
#define X(id, function, slope)                                                  \
    case id:                                                                    \
        run_flat<op_slope<id>>(be, ZO_PART_BACKWARD, n, {{pre, dy}, {dy}}); \
        break;
        ZO_ACT_LIST(X)
#undef X
    case ZO_ACT_NONE:
        break;
    }
}

void zo_cuda_glu_backward(zo_backend *be, zo_act act, const float *gate, const float *up, const float *dy, int64_t n, float *dgate,
                          float *dup)
{
    switch (act) {
#define X(id, function, slope)                                                                        \
    case id:                                                                                          \
        run_flat<op_glu_backward<id>>(be, ZO_PART_BACKWARD, n, {{gate, up, dy}, {dgate, dup}}); \
        break;
        ZO_ACT_LIST(X)
        X(ZO_ACT_NONE, , )
#undef X
    }
}

/* the end of a linear layer ------------------------------------------------------------------------------------------------------------ */

/* A thread has four columns of every gridDim.y-th token; blockIdx.z is the point. */
template <int ACT>
static __global__ void __launch_bounds__(ROW_THREADS) finish_rows(const float *bias, int64_t tokens, int64_t rows, bool wide, float *y,
                                                                  float *pre)
{
    int64_t j = 4 * ((int64_t)blockIdx.x * ROW_THREADS + threadIdx.x), p = blockIdx.z;
    if (j >= rows) {
        return;
    }
    float b[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    if (bias != nullptr) {
        zo_load4(bias + p * rows, j, 0, rows, wide, b);
    }
    for (int64_t t = blockIdx.y; t < tokens; t += gridDim.y) {
        int64_t at = (p * tokens + t) * rows;
        float x[4];
        zo_load4(y + at, j, 0, rows, wide, x);
        if (bias != nullptr) { /* -0 + 0 would lose its sign */
#pragma unroll
            for (int l = 0; l < 4; l++) {
                x[l] += b[l];
            }
        }
        if (pre != nullptr) {
            zo_store4(pre + at, j, 0, rows, wide, x);
        }
#pragma unroll
        for (int l = 0; l < 4; l++) {
            x[l] = act_of<ACT>(x[l]);
        }
        zo_store4(y + at, j, 0, rows, wide, x);
    }
}

void zo_cuda_finish(zo_backend *be, zo_act act, const float *bias, int points, int64_t tokens, int64_t rows, float *y, float *pre)
{
    if (points == 0 || tokens == 0 || (act == ZO_ACT_NONE && bias == NULL && pre == NULL)) {
        return;
    }
    bool wide = zo_cuda_wide(y, rows) && zo_cuda_wide(bias, rows) && zo_cuda_wide(pre, rows);
    int64_t across = (rows + 4 * ROW_THREADS - 1) / (4 * ROW_THREADS), down = (tokens + 3) / 4 < 65535 ? (tokens + 3) / 4 : 65535;
    dim3 grid((unsigned)across, (unsigned)down, (unsigned)points);
    ZO_MOVES(4 * points * rows * (tokens + (bias != NULL)), 4 * points * rows * tokens * (1 + (pre != NULL)));
    switch (act) {
#define X(id, function, slope)                                                                                           \
    case id:                                                                                                             \
        ZO_LAUNCH((finish_rows<id>), grid, ROW_THREADS, 0, zo_cuda_of(be)->stream, bias, tokens, rows, wide, y, pre); \
        break;
        ZO_ACT_LIST(X)
        X(ZO_ACT_NONE, , )
#undef X
    }
}

/* rows ----------------------------------------------------------------------------------------------------------------------------- */

void zo_cuda_embed(zo_backend *be, const zo_view *view, int table, const int32_t *ids, int64_t tokens, bool add, float *x)
{
    if (tokens == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_FORM);
    const int32_t *rows = static_cast<const int32_t *>(zo_cuda_stage(be, ids, (size_t)tokens * sizeof *rows));
    zo_cuda_form_chosen(be, view, table, rows, tokens, add, x);
    zo_counters counters = {};
    counters.normals = zo_cuda_drawn(view, table) * (uint64_t)(tokens * view->base[0]->layout->param[table].cols);
    zo_counters_add(counters);
}

/* y (P,n,cols) = x (P,tokens,cols) at rows (n): a block a row. */
static __global__ void __launch_bounds__(ROW_THREADS) gather_rows(const float *x, int64_t tokens, int64_t cols, const int32_t *rows, int64_t n,
                                                                  bool wide, float *y)
{
    int64_t p = blockIdx.y, r = blockIdx.x;
    const float *from = x + (p * tokens + rows[r]) * cols;
    float *to = y + (p * n + r) * cols;
    for (int64_t j = 4 * (int64_t)threadIdx.x; j < cols; j += 4 * ROW_THREADS) {
        float v[4];
        zo_load4(from, j, 0, cols, wide, v);
        zo_store4(to, j, 0, cols, wide, v);
    }
}

void zo_cuda_gather(zo_backend *be, const float *x, int points, int64_t tokens, int64_t cols, const int32_t *rows, int64_t n, float *y)
{
    if (points == 0 || n == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_ELEMENTWISE);
    const int32_t *at = static_cast<const int32_t *>(zo_cuda_stage(be, rows, (size_t)n * sizeof *at));
    ZO_MOVES(4 * points * n * cols, 4 * points * n * cols);
    ZO_LAUNCH(gather_rows, dim3((unsigned)n, (unsigned)points), ROW_THREADS, 0, zo_cuda_of(be)->stream, x, tokens, cols, at, n,
              zo_cuda_wide(x, cols) && zo_cuda_wide(y, cols), y);
}

/* to[row[t]] += from[t] for t = 0 .. n-1, in this order for every row, without atomics: the block of the first token with a row's number
 * finds the others, ROW_THREADS at a time, and the blocks of those do nothing. A thread has four columns. */
static __global__ void __launch_bounds__(ROW_THREADS) add_to_rows(const float *from, const int32_t *row, int64_t n, int64_t cols, bool wide,
                                                                  float *to)
{
    __shared__ int earlier;
    __shared__ unsigned same[ROW_THREADS / 32];
    int64_t t = blockIdx.x, j = 4 * ((int64_t)blockIdx.y * ROW_THREADS + threadIdx.x);
    int32_t id = row[t];
    if (threadIdx.x == 0) {
        earlier = 0;
    }
    __syncthreads();
    for (int64_t s = threadIdx.x; s < t; s += ROW_THREADS) {
        if (row[s] == id) {
            atomicOr(&earlier, 1);
            break;
        }
    }
    __syncthreads();
    if (earlier) {
        return;
    }
    float sum[4];
    zo_load4(to + id * cols, j, 0, cols, wide, sum);
    for (int64_t s = t; s < n; s += ROW_THREADS) {
        unsigned votes = __ballot_sync(0xFFFFFFFFu, s + threadIdx.x < n && row[s + threadIdx.x] == id);
        __syncthreads(); /* `same` was read */
        if (threadIdx.x % 32 == 0) {
            same[threadIdx.x / 32] = votes;
        }
        __syncthreads();
        for (int w = 0; w < ROW_THREADS / 32; w++) {
            for (unsigned left = same[w]; left != 0; left &= left - 1) {
                float x[4];
                zo_load4(from + (s + 32 * w + __ffs((int)left) - 1) * cols, j, 0, cols, wide, x);
#pragma unroll
                for (int l = 0; l < 4; l++) {
                    sum[l] += x[l];
                }
            }
        }
    }
    zo_store4(to + id * cols, j, 0, cols, wide, sum);
}

static void add_rows(zo_backend *be, const float *from, const int32_t *rows, int64_t n, int64_t cols, float *to)
{
    if (n == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_BACKWARD);
    const int32_t *at = static_cast<const int32_t *>(zo_cuda_stage(be, rows, (size_t)n * sizeof *at));
    dim3 grid((unsigned)n, (unsigned)((cols + 4 * ROW_THREADS - 1) / (4 * ROW_THREADS)));
    ZO_MOVES(8 * n * cols, 4 * n * cols);
    ZO_LAUNCH(add_to_rows, grid, ROW_THREADS, 0, zo_cuda_of(be)->stream, from, at, n, cols,
              zo_cuda_wide(from, cols) && zo_cuda_wide(to, cols), to);
}

void zo_cuda_scatter_add(zo_backend *be, const float *dy, int64_t cols, const int32_t *rows, int64_t n, float *dx)
{
    add_rows(be, dy, rows, n, cols, dx);
}

void zo_cuda_embed_backward(zo_backend *be, int table, const int32_t *ids, int64_t tokens, int64_t cols, const float *dx, zo_store *grad)
{
    float *g = zo_set_values(grad, table);
    if (g != NULL) {
        add_rows(be, dx, ids, tokens, cols, g);
    }
}

/* norms ------------------------------------------------------------------------------------------------------------------------------ */

/* A row belongs to WARPS warps: one of four in a block, or the whole block. Each thread holds 4 HELD of its numbers at most. */
template <int WARPS>
struct team {
    enum { THREADS_OF = WARPS == 1 ? ROW_THREADS : 32 * WARPS, ROWS = WARPS == 1 ? ROW_THREADS / 32 : 1, SIZE = 32 * WARPS };
    static __device__ __forceinline__ int64_t row(void)
    {
        return WARPS == 1 ? (int64_t)blockIdx.x * ROWS + threadIdx.x / 32 : (int64_t)blockIdx.x;
    }
    static __device__ __forceinline__ int64_t column(int k)
    {
        return 4 * ((int64_t)k * SIZE + threadIdx.x % SIZE);
    }
    static __device__ __forceinline__ float sum(float x, float *partial)
    {
        return WARPS == 1 ? zo_warp_sum(x) : zo_block_sum(x, partial);
    }
};

struct norm_args {
    const float *w, *b, *residual;
    float *x, *y, *stats;
    int64_t tokens, total, cols; /* total = P tokens */
    int64_t step;                /* floats from a point's w and b to the next one's */
    float eps, base;             /* base: added to w */
    bool centred, wide;
};

template <int WARPS>
static __global__ void __launch_bounds__(team<WARPS>::THREADS_OF) norm_rows(norm_args a)
{
    __shared__ float partial[32];
    typedef team<WARPS> mine;
    int64_t t = mine::row(), cols = a.cols;
    if (t >= a.total) {
        return; /* with its whole team */
    }
    const float *w = a.w + t / a.tokens * a.step, *b = a.b != nullptr ? a.b + t / a.tokens * a.step : nullptr;
    float v[HELD][4], sum = 0.0f;
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int64_t j = mine::column(k);
        zo_load4(a.x + t * cols, j, 0, cols, a.wide, v[k]);
        if (a.residual != nullptr && j < cols) {
            float more[4];
            zo_load4(a.residual + t * cols, j, 0, cols, a.wide, more);
#pragma unroll
            for (int l = 0; l < 4; l++) {
                v[k][l] += more[l];
            }
            zo_store4(a.x + t * cols, j, 0, cols, a.wide, v[k]);
        }
#pragma unroll
        for (int l = 0; l < 4; l++) {
            sum += v[k][l];
        }
    }
    float mean = a.centred ? mine::sum(sum, partial) / (float)cols : 0.0f, square = 0.0f;
#pragma unroll
    for (int k = 0; k < HELD; k++) {
#pragma unroll
        for (int l = 0; l < 4; l++) {
            float d = mine::column(k) + l < cols ? v[k][l] - mean : 0.0f;
            square = fmaf(d, d, square);
        }
    }
    float inverse = 1.0f / sqrtf(mine::sum(square, partial) / (float)cols + a.eps);
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int64_t j = mine::column(k);
        if (j < cols) {
            float weight[4], shift[4], out[4];
            zo_load4(w, j, 0, cols, a.wide, weight);
            if (b != nullptr) {
                zo_load4(b, j, 0, cols, a.wide, shift);
            }
#pragma unroll
            for (int l = 0; l < 4; l++) {
                float norm = (v[k][l] - mean) * inverse;
                out[l] = b != nullptr ? fmaf(norm, weight[l], shift[l]) : norm * (a.base + weight[l]);
            }
            zo_store4(a.y + t * cols, j, 0, cols, a.wide, out);
        }
    }
    if (a.stats != nullptr && threadIdx.x % mine::SIZE == 0) {
        a.stats[2 * t] = mean;
        a.stats[2 * t + 1] = inverse;
    }
}

/* kernel<warps> for rows of `cols`, launched over `total` rows */
#define LAUNCH_ROWS(be, kernel, total, cols, args)                                                                                     \
    do {                                                                                                                               \
        if ((cols) <= 4 * HELD * 32) {                                                                                                 \
            ZO_LAUNCH((kernel<1>), zo_cuda_grid(total, team<1>::ROWS), team<1>::THREADS_OF, 0, zo_cuda_of(be)->stream, args);          \
        } else if ((cols) <= 4 * HELD * 256) {                                                                                         \
            ZO_LAUNCH((kernel<8>), zo_cuda_grid(total, 1), team<8>::THREADS_OF, 0, zo_cuda_of(be)->stream, args);                      \
        } else {                                                                                                                       \
            ZO_CHECK((cols) <= 4 * HELD * 1024, "a norm over %lld numbers; this backend's go up to %d", (long long)(cols), 4 * HELD * 1024); \
            ZO_LAUNCH((kernel<32>), zo_cuda_grid(total, 1), team<32>::THREADS_OF, 0, zo_cuda_of(be)->stream, args);                    \
        }                                                                                                                              \
    } while (0)

void zo_cuda_norm(zo_backend *be, const zo_view *view, zo_norm_kind kind, float eps, int weight, int bias, float *x,
                  const float *residual, int64_t tokens, int64_t cols, float *y, float *stats)
{
    if (tokens == 0) {
        return;
    }
    norm_args a = {};
    const zo_store *store = view->base[0];
    bool weight_stands = zo_cuda_one_base(view, weight) && zo_view_acting(view, weight, NULL).dirs == 0;
    if (store->storage == ZO_STORAGE_F32 && weight_stands && (bias < 0 || (zo_cuda_one_base(view, bias) && zo_view_acting(view, bias, NULL).dirs == 0))) {
        /* the stored vectors serve all points */
        a.w = static_cast<const float *>(zo_store_at(store, store->layout->param[weight].offset));
        a.b = bias >= 0 ? static_cast<const float *>(zo_store_at(store, store->layout->param[bias].offset)) : NULL;
    } else {
        a.w = zo_cuda_form_vector(be, view, weight, ZO_CUDA_BIAS);
        a.b = zo_cuda_form_vector(be, view, bias, ZO_CUDA_VECTOR);
        a.step = cols;
    }
    zo_cuda_part(be, ZO_PART_ELEMENTWISE);
    a.residual = residual;
    a.x = x;
    a.y = y;
    a.stats = stats;
    a.tokens = tokens;
    a.total = view->npoints * tokens;
    a.cols = cols;
    a.eps = eps;
    a.base = zo_norm_base(kind);
    a.centred = kind == ZO_LAYERNORM;
    a.wide = zo_cuda_wide(a.w, cols) && zo_cuda_wide(a.b, cols) && zo_cuda_wide(x, cols) && zo_cuda_wide(residual, cols) &&
             zo_cuda_wide(y, cols);
    int64_t rows_bytes = 4 * a.total * cols * (residual != NULL ? 2 : 1); /* the sum is kept */
    ZO_MOVES(rows_bytes, rows_bytes);
    LAUNCH_ROWS(be, norm_rows, a.total, cols, a);
}

struct norm_backward_args {
    const float *w, *x, *stats, *dy;
    float *dx;
    int64_t total, cols;
    float base; /* added to w */
    bool centred, wide;
};

/* With n = (x - mean) / std and g = dy w: dx = (g - mean(g) - n mean(g n)) / std; RMSNorm lacks the mean(g) term. */
template <int WARPS>
static __global__ void __launch_bounds__(team<WARPS>::THREADS_OF) norm_backward_rows(norm_backward_args a)
{
    __shared__ float partial[32];
    typedef team<WARPS> mine;
    int64_t t = mine::row(), cols = a.cols;
    if (t >= a.total) {
        return;
    }
    float mean = a.stats[2 * t], inverse = a.stats[2 * t + 1], norm[HELD][4], g[HELD][4], sum = 0.0f, dot = 0.0f;
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int64_t j = mine::column(k);
        float w[4];
        zo_load4(a.x + t * cols, j, 0, cols, a.wide, norm[k]);
        zo_load4(a.dy + t * cols, j, 0, cols, a.wide, g[k]);
        zo_load4(a.w, j, 0, cols, a.wide, w);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            norm[k][l] = (norm[k][l] - mean) * inverse;
            g[k][l] *= a.base + w[l]; /* 0 past the end of the row */
            sum += g[k][l];
            dot = fmaf(g[k][l], norm[k][l], dot);
        }
    }
    float shift = a.centred ? mine::sum(sum, partial) / (float)cols : 0.0f, tilt = mine::sum(dot, partial) / (float)cols;
#pragma unroll
    for (int k = 0; k < HELD; k++) {
        int64_t j = mine::column(k);
        if (j < cols) {
            float out[4];
#pragma unroll
            for (int l = 0; l < 4; l++) {
                out[l] = (fmaf(-norm[k][l], tilt, g[k][l]) - shift) * inverse;
            }
            zo_store4(a.dx + t * cols, j, 0, cols, a.wide, out);
        }
    }
}

/* part (groups, 2, cols): the sums over GROUP tokens of dy n and of dy. A thread has a column, blockIdx.y counts groups. */
static __global__ void __launch_bounds__(ROW_THREADS) norm_parts(const float *x, const float *stats, const float *dy, int64_t tokens,
                                                                 int64_t cols, float *part)
{
    int64_t j = (int64_t)blockIdx.x * ROW_THREADS + threadIdx.x;
    if (j >= cols) {
        return;
    }
    for (int64_t i = blockIdx.y; i * GROUP < tokens; i += gridDim.y) {
        int64_t end = (i + 1) * GROUP < tokens ? (i + 1) * GROUP : tokens;
        float dw = 0.0f, db = 0.0f;
#pragma unroll 4
        for (int64_t t = i * GROUP; t < end; t++) {
            float d = dy[t * cols + j];
            dw = fmaf(d, (x[t * cols + j] - stats[2 * t]) * stats[2 * t + 1], dw);
            db += d;
        }
        part[2 * i * cols + j] = dw;
        part[(2 * i + 1) * cols + j] = db;
    }
}

/* gw, gb (cols) += the groups' sums, in their order; gb may be NULL. */
static __global__ void __launch_bounds__(ROW_THREADS) norm_sums(const float *part, int64_t groups, int64_t cols, float *gw, float *gb)
{
    int64_t j = (int64_t)blockIdx.x * ROW_THREADS + threadIdx.x;
    if (j >= cols) {
        return;
    }
    float w = gw[j], b = gb != nullptr ? gb[j] : 0.0f;
#pragma unroll 4
    for (int64_t i = 0; i < groups; i++) {
        w += part[2 * i * cols + j];
        b += part[(2 * i + 1) * cols + j];
    }
    gw[j] = w;
    if (gb != nullptr) {
        gb[j] = b;
    }
}

void zo_cuda_norm_backward(zo_backend *be, const zo_store *store, zo_norm_kind kind, int weight, int bias, const float *x,
                           const float *stats, const float *dy, int64_t tokens, int64_t cols, float *dx, zo_store *grad)
{
    if (tokens == 0) {
        return;
    }
    const float *w = dx != NULL ? zo_cuda_vector_of(be, store, weight, ZO_CUDA_BIAS) : NULL;
    zo_cuda_part(be, ZO_PART_BACKWARD);
    cudaStream_t stream = zo_cuda_of(be)->stream;
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    /* before dx, which may lie over dy */
    if (gw != NULL) {
        int64_t groups = (tokens + GROUP - 1) / GROUP;
        float *part = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_PARTIAL, (size_t)(groups * 2 * cols) * sizeof(float)));
        unsigned across = zo_cuda_grid(cols, ROW_THREADS);
        ZO_MOVES(8 * tokens * cols, 8 * groups * cols);
        ZO_LAUNCH(norm_parts, dim3(across, (unsigned)(groups < 65535 ? groups : 65535)), ROW_THREADS, 0, stream, x, stats, dy, tokens, cols,
                  part);
        ZO_MOVES(8 * (groups + 1) * cols, 8 * cols);
        ZO_LAUNCH(norm_sums, across, ROW_THREADS, 0, stream, static_cast<const float *>(part), groups, cols, gw, gb);
    } else if (gb != NULL) {
        zo_cuda_column_sums(be, dy, cols, tokens, cols, gb);
    }
    if (dx == NULL) {
        return;
    }
    norm_backward_args a = {};
    a.w = w;
    a.x = x;
    a.stats = stats;
    a.dy = dy;
    a.dx = dx;
    a.total = tokens;
    a.cols = cols;
    a.base = zo_norm_base(kind);
    a.centred = kind == ZO_LAYERNORM;
    a.wide = zo_cuda_wide(a.w, cols) && zo_cuda_wide(x, cols) && zo_cuda_wide(dy, cols) && zo_cuda_wide(dx, cols);
    ZO_MOVES(8 * tokens * cols, 4 * tokens * cols);
    LAUNCH_ROWS(be, norm_backward_rows, a.total, cols, a);
}
