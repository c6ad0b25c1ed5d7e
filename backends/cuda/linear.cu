/* linear.cu: linear layers and chosen rows at P points. The weight at all points is formed into workspace once (W + cZ) and one
 * batched product runs over the points; where all points share the stored W, one product runs over the tokens of all of them, and weights
 * that products of this precision can read are read where they stand. A low-rank side path is part of that product or a second one: see
 * cuda/linear.cuh. */
#include <string.h>

#include "backends/codes.h"
#include "backends/cuda/linear.cuh"
#include "backends/cuda/round.cuh"

enum { THREADS = 256, JOBS = 2 };

/* conversion ----------------------------------------------------------------------------------------------------------------------- */

/* to (rows, ld) = [a (rows, cols) | b (rows, rank) | zeros] in the type of a product. Counted in fours: those of a row, and all. */
struct pack_job {
    const void *a; /* held as `storage` */
    const float *b;
    int64_t cols, rank;
    uint32_t row_fours, fours;
    void *to;
    zo_storage storage;
    int unused; /* no padding */
};
struct pack_jobs { pack_job job[JOBS]; };

/* Grid: (blocks, jobs). */
template <class T>
static __global__ void __launch_bounds__(THREADS) pack_kernel(pack_jobs jobs)
{
    static_assert(JOBS == 2, "the kernel chooses between two"); /* an index would copy all to local memory */
    pack_job p = blockIdx.y == 0 ? jobs.job[0] : jobs.job[1];
    T *to = static_cast<T *>(p.to);
    const float *full = static_cast<const float *>(p.a);
    const uint16_t *half = static_cast<const uint16_t *>(p.a);
    bool is_full = p.storage == ZO_STORAGE_F32, wide = p.cols % 4 == 0 && (uintptr_t)p.a % (is_full ? 16 : 8) == 0;
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < p.fours) {
        int64_t row = (uint32_t)i / p.row_fours, j = 4 * ((uint32_t)i % p.row_fours);
        float w[4];
        if (wide && is_full && j < p.cols) {
            float4 v = *reinterpret_cast<const float4 *>(full + row * p.cols + j);
            w[0] = v.x;
            w[1] = v.y;
            w[2] = v.z;
            w[3] = v.w;
        } else if (wide && j < p.cols) {
            ushort4 v = *reinterpret_cast<const ushort4 *>(half + row * p.cols + j);
            w[0] = zo_half_to(p.storage, v.x);
            w[1] = zo_half_to(p.storage, v.y);
            w[2] = zo_half_to(p.storage, v.z);
            w[3] = zo_half_to(p.storage, v.w);
        } else {
#pragma unroll
            for (int l = 0; l < 4; l++) {
                int64_t s = j + l - p.cols, at = row * p.cols + j + l;
                float beside = p.b != nullptr && s >= 0 && s < p.rank ? p.b[row * p.rank + s] : 0.0f;
                w[l] = s >= 0 ? beside : is_full ? full[at] : zo_half_to(p.storage, half[at]);
            }
        }
        zo_write4(to + 4 * i, w);
    }
}

/* Rows of a matrix that is held as codes, at P points: to (P, rows, ld) = [scale x code (rows, cols) | b (rows, rank) | zeros]. ld a multiple of 4. */
struct codes_job {
    const uint8_t *codes; /* of its first row; row_bytes from row to row */
    const float *scales;  /* of its first row at the first point; (rows, groups) */
    const float *b;
    int64_t row_bytes, groups, group, stride, cols, rank, rows, ld;
    int64_t bits;
};

/* Grid: (blocks of fours, points). */
template <class T>
static __global__ void __launch_bounds__(THREADS) codes_kernel(codes_job p, T *to)
{
    int64_t row_fours = p.ld / 4;
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < p.rows * row_fours) {
        int64_t row = i / row_fours, j = 4 * (i % row_fours);
        const uint8_t *codes = p.codes + row * p.row_bytes;
        const float *scales = p.scales + blockIdx.y * p.stride + row * p.groups;
        float w[4];
#pragma unroll
        for (int l = 0; l < 4; l++) {
            int64_t c = j + l, s = c - p.cols;
            float beside = p.b != nullptr && s >= 0 && s < p.rank ? p.b[row * p.rank + s] : 0.0f;
            w[l] = s >= 0 ? beside : scales[c / p.group] * (float)zo_code_at(codes, (int)p.bits, c);
        }
        zo_write4(to + (blockIdx.y * p.rows * row_fours + i) * 4, w);
    }
}

static bool is_half(zo_precision precision)
{
    return precision == ZO_BF16 || precision == ZO_F16;
}

/* How weights are held that products of this precision read where they stand. */
static zo_storage read_as(zo_precision precision)
{
    return precision == ZO_BF16 ? ZO_STORAGE_BF16 : precision == ZO_F16 ? ZO_STORAGE_F16 : ZO_STORAGE_F32;
}

static size_t element_bytes(zo_precision precision)
{
    return is_half(precision) ? sizeof(uint16_t) : sizeof(float);
}

/* ld a multiple of 8; b may be NULL */
static pack_job pack_job_of(const void *a, zo_storage storage, int64_t cols, const float *b, int64_t rank, int64_t rows, int64_t ld,
                            void *to)
{
    ZO_CHECK(rows * ld / 4 <= UINT32_MAX, "a block of (%lld, %lld) numbers is too large for one launch", (long long)rows, (long long)ld);
    pack_job p = {a, b, cols, rank, (uint32_t)(ld / 4), (uint32_t)(rows * ld / 4), to, storage, 0};
    return p;
}

/* n <= JOBS conversions by one launch */
static void pack(zo_backend *be, zo_precision precision, const pack_job *job, int n)
{
    pack_jobs jobs = {};
    int64_t most = 0, read = 0, written = 0;
    for (int i = 0; i < n; i++) {
        jobs.job[i] = job[i];
        most = most > job[i].fours ? most : job[i].fours;
        read += job[i].fours / job[i].row_fours * (job[i].cols * zo_storage_bytes(job[i].storage) + job[i].rank * 4);
        written += 4 * (int64_t)job[i].fours * (int64_t)element_bytes(precision);
    }
    dim3 grid(zo_cuda_grid(most, THREADS), (unsigned)n);
    cudaStream_t stream = zo_cuda_of(be)->stream;
    ZO_MOVES(read, written);
    if (precision == ZO_BF16) {
        ZO_LAUNCH((pack_kernel<zo_cuda_bf16>), grid, THREADS, 0, stream, jobs);
    } else if (precision == ZO_F16) {
        ZO_LAUNCH((pack_kernel<zo_cuda_f16>), grid, THREADS, 0, stream, jobs);
    } else {
        ZO_LAUNCH((pack_kernel<float>), grid, THREADS, 0, stream, jobs);
    }
}

static void make_numbers(zo_backend *be, zo_precision precision, const codes_job *job, int64_t points, void *to)
{
    dim3 grid(zo_cuda_grid(job->rows * job->ld / 4, THREADS), (unsigned)points);
    cudaStream_t stream = zo_cuda_of(be)->stream;
    ZO_MOVES(points * job->rows * (job->row_bytes + 4 * (job->groups + job->rank)), points * job->rows * job->ld * (int64_t)element_bytes(precision));
    if (precision == ZO_BF16) {
        ZO_LAUNCH((codes_kernel<zo_cuda_bf16>), grid, THREADS, 0, stream, *job, static_cast<zo_cuda_bf16 *>(to));
    } else if (precision == ZO_F16) {
        ZO_LAUNCH((codes_kernel<zo_cuda_f16>), grid, THREADS, 0, stream, *job, static_cast<zo_cuda_f16 *>(to));
    } else {
        ZO_LAUNCH((codes_kernel<float>), grid, THREADS, 0, stream, *job, static_cast<float *>(to));
    }
}

const float *zo_cuda_rows_of(zo_backend *be, const zo_store *store, int param, int64_t first, int64_t n, int64_t *ld)
{
    const zo_param *p = &store->layout->param[param];
    const void *from = zo_store_at(store, p->offset + first * p->cols);
    *ld = p->cols;
    if (store->storage == ZO_STORAGE_F32) {
        return static_cast<const float *>(from);
    }
    *ld = zo_round_up(p->cols, 8);
    float *to = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, (size_t)(n * *ld) * sizeof *to));
    pack_job job = pack_job_of(from, store->storage, p->cols, NULL, 0, n, *ld, to);
    pack(be, ZO_F32, &job, 1);
    return to;
}

const float *zo_cuda_vector_of(zo_backend *be, const zo_store *store, int param, zo_cuda_shared purpose)
{
    if (param < 0 || store->storage == ZO_STORAGE_F32) {
        return param < 0 ? NULL : store->data + store->layout->param[param].offset;
    }
    zo_view view = zo_view_stored(&store);
    return zo_cuda_form_vector(be, &view, param, purpose);
}

const float *zo_cuda_numbers_of(zo_backend *be, const zo_store *store, int weight, int64_t *ld)
{
    const zo_param *w = &store->layout->param[weight];
    if (w->bits == 0) {
        return zo_cuda_rows_of(be, store, weight, 0, w->rows, ld);
    }
    zo_view view = zo_view_stored(&store);
    const float *scales = store->storage == ZO_STORAGE_F32 ? static_cast<const float *>(zo_store_at(store, w[1].offset))
                                                           : zo_cuda_form_vector(be, &view, weight + 1, ZO_CUDA_SCALES);
    *ld = zo_round_up(w->cols, 8);
    float *to = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, (size_t)(w->rows * *ld) * sizeof *to));
    codes_job job = {zo_store_codes(store, w), scales, NULL, zo_codes_row_bytes(w->bits, w->cols), w[1].cols, w->group, 0, w->cols, 0, w->rows, *ld, w->bits};
    make_numbers(be, ZO_F32, &job, 1, to);
    return to;
}

uint64_t zo_cuda_drawn(const zo_view *view, int param)
{
    zo_acting acting = zo_view_acting(view, param, NULL);
    return acting.lowrank ? 0 : (uint64_t)acting.normals;
}

bool zo_cuda_one_base(const zo_view *view, int param)
{
    int64_t at = view->base[0]->layout->param[param].offset;
    for (int p = 1; p < view->npoints; p++) {
        if (zo_store_at(view->base[p], at) != zo_store_at(view->base[0], at)) {
            return false;
        }
    }
    return true;
}

/* a layer's operands ------------------------------------------------------------------------------------------------------------------- */

/* to[t * ld + s] = q[t * ldq + s] * side[p(t), s], s < rank; the same memory where T is float */
template <class T>
static __global__ void __launch_bounds__(THREADS) side_kernel(zo_cuda_view view, zo_cuda_param p, int64_t tokens, const float *q, int64_t ldq,
                                                              T *to, int64_t ld)
{
    int64_t n = view.npoints * tokens * p.rank;
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; i < n) {
        int64_t t = i / p.rank, s = i % p.rank;
        zo_write1(to + t * ld + s, q[t * ldq + s] * view.side[t / tokens * view.ncoef + p.coef_at + s]);
    }
}

/* q = (x V) . side, beside x in 16 bits, else in ZO_CUDA_SIDE. In 16 bits V stands behind the f32 sums there. */
static void layer_side(zo_backend *be, zo_cuda_layer *l, const float *x, void *half)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_param p = zo_cuda_param_of(l->view->base[0]->layout, l->view->factors, l->weight);
    zo_cuda_view v = zo_cuda_view_of(be, l->view);
    int64_t rows = l->view->npoints * l->tokens, most = rows > cuda->most_rows ? rows : cuda->most_rows;
    int64_t padded = is_half(l->precision) ? zo_round_up(p.rank, 8) : p.rank;
    size_t sums = (size_t)(most * padded) * sizeof(float), factor_bytes = half != NULL ? (size_t)(p.cols * padded) * sizeof(uint16_t) : 0;
    float *q = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_SIDE, sums + factor_bytes));
    zo_cuda_gemm g = {};
    g.scale = 1.0f;
    g.precision = l->precision;
    g.m = rows;
    g.n = g.ldb = g.ldc = padded;
    g.k = p.cols;
    g.lda = l->ld;
    unsigned grid = zo_cuda_grid(rows * p.rank, THREADS);
    if (half == NULL) {
        zo_cuda_product(be, &g, x, p.v, q);
        ZO_MOVES(4 * rows * p.rank, 4 * rows * p.rank);
        ZO_LAUNCH((side_kernel<float>), grid, THREADS, 0, cuda->stream, v, p, l->tokens, q, padded, q, padded);
        l->q = q;
        l->ldq = padded;
        return;
    }
    void *factor = reinterpret_cast<char *>(q) + sums;
    pack_job job[] = {pack_job_of(x, ZO_STORAGE_F32, p.cols, NULL, 0, rows, l->ld, half),
                      pack_job_of(p.v, ZO_STORAGE_F32, p.rank, NULL, 0, p.cols, padded, factor)};
    pack(be, l->precision, job, 2);
    zo_cuda_product(be, &g, half, factor, q);
    ZO_MOVES(4 * rows * p.rank, 2 * rows * p.rank);
    uint16_t *beside = static_cast<uint16_t *>(half) + p.cols;
    if (l->precision == ZO_BF16) {
        ZO_LAUNCH((side_kernel<zo_cuda_bf16>), grid, THREADS, 0, cuda->stream, v, p, l->tokens, q, padded,
                  reinterpret_cast<zo_cuda_bf16 *>(beside), l->ld);
    } else {
        ZO_LAUNCH((side_kernel<zo_cuda_f16>), grid, THREADS, 0, cuda->stream, v, p, l->tokens, q, padded,
                  reinterpret_cast<zo_cuda_f16 *>(beside), l->ld);
    }
    l->q = beside;
    l->ldq = l->ld;
}

zo_cuda_layer zo_cuda_layer_of(zo_backend *be, const zo_view *view, zo_precision precision, int weight, const float *x, int64_t tokens)
{
    zo_cuda *cuda = zo_cuda_of(be);
    const zo_param *w = &view->base[0]->layout->param[weight];
    bool half = is_half(precision);
    zo_cuda_layer l = {};
    l.view = view;
    l.weight = weight;
    l.precision = precision;
    l.tokens = tokens;
    l.coded = w->bits > 0;
    int stands = weight + l.coded; /* of codes the scales say where */
    ZO_CHECK(!l.coded || zo_view_acting(view, weight, NULL).dirs == 0, "%s: a direction is added to codes: an objective refuses this", w->name);
    l.shared = zo_cuda_one_base(view, stands) && zo_view_acting(view, stands, NULL).dirs == 0;
    l.in_place = l.shared && view->base[0]->storage == read_as(precision) && !l.coded;
    l.rank = view->side != NULL ? view->factors->rank[weight] : 0;
    l.scale = w->scale;
    l.one = l.rank > 0 && l.shared && !l.in_place && half;
    l.ld = half ? zo_round_up(w->cols + l.rank, 8) : w->cols;
    l.ldw = (!l.shared && !l.coded) || l.in_place ? w->cols : l.one ? l.ld : zo_round_up(w->cols, 8);
    if (l.coded) {
        bool as_is = l.shared && view->base[0]->storage == ZO_STORAGE_F32;
        l.scales = as_is ? static_cast<const float *>(zo_store_at(view->base[0], w[1].offset)) : zo_cuda_form_vector(be, view, stands, ZO_CUDA_SCALES);
        l.stride = l.shared ? 0 : w[1].rows * w[1].cols;
    }
    l.x = x;
    void *to = NULL;
    if (half) {
        int64_t rows = view->npoints * tokens, most = rows > cuda->most_rows ? rows : cuda->most_rows;
        to = zo_cuda_shared_of(be, ZO_CUDA_INPUT, (size_t)(most * l.ld) * sizeof(uint16_t));
        l.x = to;
    }
    if (l.rank > 0) {
        layer_side(be, &l, x, to);
    } else if (half) {
        pack_job job = pack_job_of(x, ZO_STORAGE_F32, w->cols, NULL, 0, view->npoints * tokens, l.ld, to);
        pack(be, precision, &job, 1);
    }
    return l;
}

/* Whether U is converted into workspace by itself, behind the weight. */
static bool layer_own_factor(const zo_cuda_layer *l)
{
    return l->rank > 0 && !l->one && is_half(l->precision);
}

size_t zo_cuda_layer_row_bytes(const zo_cuda_layer *l)
{
    int64_t elements = l->in_place ? 0 : (l->shared ? 1 : l->view->npoints) * l->ldw;
    return (size_t)(elements + (layer_own_factor(l) ? zo_round_up(l->rank, 8) : 0)) * element_bytes(l->precision);
}

zo_cuda_rows zo_cuda_layer_rows(zo_backend *be, const zo_cuda_layer *l, int64_t first, int64_t n, int64_t most)
{
    const zo_store *store = l->view->base[0];
    const zo_param *w = &store->layout->param[l->weight];
    const void *weights = l->coded ? NULL : zo_store_at(store, w->offset + first * w->cols);
    const float *u = l->rank > 0 ? l->view->factors->u[l->weight] + first * l->rank : NULL;
    zo_cuda_rows rows = {first, n, weights, u};
    size_t bytes = (size_t)most * zo_cuda_layer_row_bytes(l);
    char *to = bytes > 0 ? static_cast<char *>(zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, bytes)) : NULL;
    if (bytes > 0) {
        zo_cuda_part(be, ZO_PART_FORM);
    }
    if (layer_own_factor(l)) { /* first, so that both are aligned */
        pack_job job = pack_job_of(u, ZO_STORAGE_F32, l->rank, NULL, 0, n, zo_round_up(l->rank, 8), to);
        pack(be, l->precision, &job, 1);
        rows.u = to;
        to += (size_t)(most * zo_round_up(l->rank, 8)) * sizeof(uint16_t);
    }
    if (l->coded) {
        int64_t wide = zo_codes_row_bytes(w->bits, w->cols), groups = w[1].cols, rank = l->one ? l->rank : 0;
        codes_job job = {zo_store_codes(store, w) + first * wide, l->scales + first * groups, l->one ? u : NULL, wide, groups, w->group, l->stride,
                         w->cols, rank, n, l->ldw, w->bits};
        make_numbers(be, l->precision, &job, l->shared ? 1 : l->view->npoints, to);
        rows.w = to;
    } else if (!l->in_place && l->shared) { /* one copy serves all points */
        pack_job job = pack_job_of(weights, store->storage, w->cols, l->one ? u : NULL, l->one ? l->rank : 0, n, l->ldw, to);
        pack(be, l->precision, &job, 1);
        rows.w = to;
    } else if (!l->in_place) {
        zo_cuda_form_rows(be, l->view, l->weight, first, n, l->precision, to);
        rows.w = to;
    }
    return rows;
}

bool zo_cuda_layer_product(zo_backend *be, const zo_cuda_layer *l, const zo_cuda_rows *rows, bool single, const float *bias, int64_t stride,
                           bool gelu_tanh, float *y)
{
    int64_t P = l->view->npoints, cols = l->view->base[0]->layout->param[l->weight].cols;
    if (l->rank > 0 && !l->one) {
        zo_cuda_gemm g = {};
        g.scale = l->scale;
        g.precision = l->precision;
        g.tb = true;
        g.add = l->add;
        g.m = P * l->tokens;
        g.n = g.ldc = rows->n;
        g.k = l->rank;
        g.lda = l->ldq;
        g.ldb = is_half(l->precision) ? zo_round_up(l->rank, 8) : l->rank;
        zo_cuda_product(be, &g, l->q, rows->u, y);
    }
    zo_cuda_gemm g = {};
    g.scale = l->scale;
    g.precision = l->precision;
    g.tb = true;
    g.add = l->add || (l->rank > 0 && !l->one);
    g.m = single ? P * l->tokens : l->tokens;
    g.n = g.ldc = rows->n;
    g.k = l->one ? l->ld : cols;
    g.lda = l->ld;
    g.ldb = l->ldw;
    g.batch = single ? 1 : P;
    g.stride_a = l->tokens * l->ld;
    g.stride_b = l->shared ? 0 : rows->n * l->ldw;
    g.stride_c = l->tokens * rows->n;
    g.bias = bias;
    g.stride_bias = stride;
    g.gelu_tanh = gelu_tanh;
    if (zo_cuda_product(be, &g, l->x, rows->w, y)) {
        return true;
    }
    g.bias = NULL;
    g.gelu_tanh = false;
    zo_cuda_product(be, &g, l->x, rows->w, y);
    return false;
}

uint64_t zo_cuda_layer_flops(const zo_cuda_layer *l)
{
    const zo_param *w = &l->view->base[0]->layout->param[l->weight];
    return (uint64_t)(2 * l->view->npoints * l->tokens * w->rows * (w->cols + l->rank));
}

/* linear ---------------------------------------------------------------------------------------------------------------------------------- */

/* Whether one product over the tokens of all points, with a bias of their own added in a pass over y, moves fewer bytes than a product a
 * point, which reads the weight once a point. */
static bool pass_is_cheaper(const zo_cuda_layer *l)
{
    int64_t P = l->view->npoints;
    return 2 * P * l->tokens * (int64_t)sizeof(float) <= (P - 1) * l->ldw * (int64_t)element_bytes(l->precision);
}

void zo_cuda_linear(zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, zo_act act, const float *x,
                    int64_t tokens, bool add, float *y, float *pre)
{
    if (tokens == 0) {
        return;
    }
    const zo_store *store = view->base[0];
    const zo_param *w = &store->layout->param[weight];
    int P = view->npoints;
    bool bias_shared = bias < 0 || (zo_cuda_one_base(view, bias) && zo_view_acting(view, bias, NULL).dirs == 0);
    bool bias_stands = bias_shared && store->storage == ZO_STORAGE_F32;
    const float *b = bias < 0 ? NULL : bias_stands ? static_cast<const float *>(zo_store_at(store, store->layout->param[bias].offset))
                                                   : zo_cuda_form_vector(be, view, bias, ZO_CUDA_BIAS);
    zo_cuda_part(be, ZO_PART_GEMM);
    zo_cuda_layer layer = zo_cuda_layer_of(be, view, precision, weight, x, tokens);
    layer.add = add;
    zo_cuda_rows rows = zo_cuda_layer_rows(be, &layer, 0, w->rows, w->rows);
    /* the library's GELU is the tanh form, of an accuracy that it does not state: not where products are f32 */
    bool gelu_tanh = b != NULL && act == ZO_ACT_GELU_TANH && pre == NULL && precision != ZO_F32, pass = !gelu_tanh && (act != ZO_ACT_NONE || pre != NULL);
    bool single = layer.shared && (bias_shared || pass || pass_is_cheaper(&layer));
    bool fused = bias_shared || !single; /* the bias is the product's */
    zo_cuda_part(be, ZO_PART_GEMM);
    fused = zo_cuda_layer_product(be, &layer, &rows, single, fused ? b : NULL, bias_shared ? 0 : w->rows, fused && gelu_tanh, y) && fused;
    if (!fused || pass) {
        const float *biases = fused || b == NULL ? NULL : bias_stands ? zo_cuda_form_vector(be, view, bias, ZO_CUDA_BIAS) : b;
        zo_cuda_part(be, ZO_PART_ELEMENTWISE);
        zo_cuda_finish(be, act, biases, P, tokens, w->rows, y, pre);
    }
    zo_counters_add({zo_cuda_drawn(view, weight) * (uint64_t)(w->rows * w->cols), 0, zo_cuda_layer_flops(&layer)});
}

/* chosen rows ------------------------------------------------------------------------------------------------------------------------------ */

/* y[p,t,r] = x[p,t,:] . w[p,r,:] + bias[p,rows[r]]: a warp an output. */
static __global__ void __launch_bounds__(THREADS) rows_kernel(const float *x, const float *w, const float *bias, const int32_t *rows, int64_t all,
                                                              int points, int64_t tokens, int64_t nrows, int64_t cols, float *y)
{
    int64_t n = points * tokens * nrows, lane = threadIdx.x % 32;
    if (int64_t i = ((int64_t)blockIdx.x * THREADS + threadIdx.x) / 32; i < n) {
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
    ZO_MOVES(4 * P * (tokens + nrows) * w->cols, 4 * P * tokens * nrows);
    ZO_LAUNCH(rows_kernel, zo_cuda_grid(P * tokens * nrows, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, x, formed, b, at, w->rows, P, tokens,
              (int64_t)nrows, w->cols, y);
    zo_counters_add({zo_cuda_drawn(view, weight) * (uint64_t)(nrows * w->cols), 0, (uint64_t)(2 * P * tokens * nrows * w->cols)});
}

/* Blocks that depend on the layout alone are made here; those that depend on precision or on the realisation grow in the first step, to
 * the largest batch told here. */
void zo_cuda_reserve(zo_backend *be, const zo_layout *layout, const zo_factors *factors, int points, int64_t tokens)
{
    zo_cuda *cuda = zo_cuda_of(be);
    int64_t vector = 1, matrix = points, rank = 0, side_cols = 0, scales = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (p->kind == ZO_PARAM_SCALES) {
            scales = scales > p->rows * p->cols ? scales : p->rows * p->cols;
        } else if (p->kind == ZO_PARAM_VECTOR) {
            vector = vector > p->cols ? vector : p->cols;
        } else if (p->kind == ZO_PARAM_MATRIX) {
            bool frozen = p->bits > 0 ? p[1].frozen : p->frozen;
            int64_t formed = p->rows * p->cols * (frozen ? 1 : points); /* what is frozen is the same at all points */
            matrix = matrix > formed ? matrix : formed;
        }
        if (factors != NULL && factors->layout != NULL && t < factors->layout->n && factors->rank[t] > 0) {
            rank = rank > factors->rank[t] ? rank : factors->rank[t];
            side_cols = side_cols > p->cols ? side_cols : p->cols;
        }
    }
    cuda->most_rows = points * tokens > cuda->most_rows ? points * tokens : cuda->most_rows;
    zo_cuda_shared_of(be, ZO_CUDA_VIEW, 1024); /* of a few dense directions; with low rank it grows once */
    zo_cuda_shared_of(be, ZO_CUDA_BIAS, (size_t)(vector * points) * sizeof(float));
    zo_cuda_shared_of(be, ZO_CUDA_VECTOR, (size_t)(vector * points) * sizeof(float));
    if (scales > 0) {
        zo_cuda_shared_of(be, ZO_CUDA_SCALES, (size_t)(scales * points) * sizeof(float));
    }
    if (points > 1 && rank == 0) { /* streamed: bf16 at least */
        zo_cuda_shared_of(be, ZO_CUDA_WEIGHT, (size_t)matrix * sizeof(uint16_t));
    }
    if (rank > 0) {
        rank = zo_round_up(rank, 8);
        zo_cuda_shared_of(be, ZO_CUDA_SIDE, (size_t)(cuda->most_rows * rank) * sizeof(float) + (size_t)(side_cols * rank) * sizeof(uint16_t));
    }
}
