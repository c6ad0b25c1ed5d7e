/* form.cu: parameters formed at points, w + sum_d c_d z_d: z lives in registers, each direction is drawn once for up to four points,
 * each stored weight is read once. The bits are those of cpu/form.c. */
#include "backends/cuda/access.cuh"
#include "backends/cuda/linear.cuh"
#include "backends/cuda/round.cuh"

enum { THREADS = 256, MOST = 4 }; /* points that one thread forms together */

/* Elements [4 index, 4 index + n) of a parameter at points first .. first + N - 1 to `to` (P, n); n a multiple of 4. */
template <int N, class T, zo_storage S>
static __global__ void __launch_bounds__(THREADS) form_kernel(zo_cuda_view view, zo_cuda_param p, int first, int64_t index, int64_t n, T *to)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; 4 * i < n) {
        float w[N][4];
        zo_form4<N, S>(view, p, first, index + i, w);
#pragma unroll
        for (int k = 0; k < N; k++) {
            zo_write4(to + (first + k) * n + 4 * i, w[k]);
        }
    }
}

/* The same of point `first` alone for any n, an element at a time. */
template <class T, zo_storage S>
static __global__ void __launch_bounds__(THREADS) form_ragged(zo_cuda_view view, zo_cuda_param p, int first, int64_t index, int64_t n, T *to)
{
    if (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; 4 * i < n) {
        float w[1][4];
        zo_form4<1, S>(view, p, first, index + i, w);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            if (4 * i + l < n) {
                zo_write1(to + first * n + 4 * i + l, w[0][l]);
            }
        }
    }
}

/* one_base: all points read the same stored weights. */
template <class T, zo_storage S>
static void form_stored(zo_backend *be, const zo_cuda_view &view, const zo_cuda_param &p, bool one_base, int64_t index, int64_t n, T *to)
{
    unsigned grid = zo_cuda_grid((n + 3) / 4, THREADS);
    cudaStream_t stream = zo_cuda_of(be)->stream;
    for (int first = 0, together; first < view.npoints; first += together) {
        int rest = view.npoints - first;
        together = n % 4 != 0 ? 1 : rest >= MOST ? MOST : rest >= 2 ? 2 : 1;
        ZO_MOVES(n * zo_storage_bytes(S) * (one_base ? 1 : together), n * (int64_t)sizeof(T) * together);
        if (n % 4 != 0) {
            ZO_LAUNCH((form_ragged<T, S>), grid, THREADS, 0, stream, view, p, first, index, n, to);
        } else if (together == MOST) {
            ZO_LAUNCH((form_kernel<MOST, T, S>), grid, THREADS, 0, stream, view, p, first, index, n, to);
        } else if (together == 2) {
            ZO_LAUNCH((form_kernel<2, T, S>), grid, THREADS, 0, stream, view, p, first, index, n, to);
        } else {
            ZO_LAUNCH((form_kernel<1, T, S>), grid, THREADS, 0, stream, view, p, first, index, n, to);
        }
    }
}

template <class T>
static void form_all(zo_backend *be, const zo_cuda_view &view, const zo_cuda_param &p, bool one_base, int64_t index, int64_t n, void *to)
{
    ZO_BY_STORAGE(view.storage, form_stored<T, S>(be, view, p, one_base, index, n, static_cast<T *>(to)));
}

void zo_cuda_form_rows(zo_backend *be, const zo_view *view, int param, int64_t row, int64_t n, zo_precision precision, void *to)
{
    const zo_layout *layout = view->base[0]->layout;
    zo_cuda_param p = zo_cuda_param_of(layout, view->factors, param);
    int64_t first = row * p.cols;
    ZO_CHECK(first % 4 == 0, "rows from %lld of %s begin inside a block of four", (long long)row, layout->param[param].name);
    zo_cuda_view v = zo_cuda_view_of(be, view);
    bool one = zo_cuda_one_base(view, param);
    zo_cuda_part(be, ZO_PART_FORM);
    if (precision == ZO_BF16) {
        form_all<zo_cuda_bf16>(be, v, p, one, first / 4, n * p.cols, to);
    } else if (precision == ZO_F16) {
        form_all<zo_cuda_f16>(be, v, p, one, first / 4, n * p.cols, to);
    } else {
        form_all<float>(be, v, p, one, first / 4, n * p.cols, to);
    }
}

const float *zo_cuda_form_vector(zo_backend *be, const zo_view *view, int param, zo_cuda_shared purpose)
{
    if (param < 0) {
        return NULL;
    }
    const zo_param *p = &view->base[0]->layout->param[param];
    float *to = static_cast<float *>(zo_cuda_shared_of(be, purpose, (size_t)(view->npoints * p->rows * p->cols) * sizeof *to));
    zo_cuda_form_rows(be, view, param, 0, p->rows, ZO_F32, to);
    zo_counters_add({zo_cuda_drawn(view, param) * (uint64_t)(p->rows * p->cols), 0, 0});
    return to;
}

/* Four elements j .. j + 3 of a row with the side path's term, of a point whose coefficients are `side` (NULL: none). */
static __device__ __forceinline__ void add_side(const zo_cuda_param &p, const float *side, int64_t row, int64_t j, float w[4])
{
    for (int l = 0; side != nullptr && l < 4; l++) {
        w[l] += j + l >= 0 && j + l < p.cols ? zo_lowrank_at(p.u + row * p.rank, p.v + (j + l) * p.rank, side, p.rank) : 0.0f;
    }
}

/* A thread forms the elements of one block of four that lie in its row. Where rows are whole blocks (`wide`, and `to` is aligned to 16)
 * they are written so; else rows begin anywhere. Grid: (blocks of a row, rows). */
template <int N, zo_storage S>
static __global__ void __launch_bounds__(THREADS) chosen_kernel(zo_cuda_view view, zo_cuda_param p, int first, const int32_t *rows, int64_t n,
                                                                bool add, bool wide, float *to)
{
    for (int64_t r = blockIdx.y; r < n; r += gridDim.y) {
        int64_t row = rows[r], begin = row * p.cols, end = begin + p.cols;
        if (int64_t i = begin / 4 + (int64_t)blockIdx.x * THREADS + threadIdx.x; 4 * i < end) {
            float w[N][4];
            zo_form4<N, S>(view, p, first, i, w);
#pragma unroll
            for (int k = 0; k < N; k++) {
                int64_t j = 4 * i - begin;
                float *at = to + ((first + k) * n + r) * p.cols, sum[4] = {0.0f};
                add_side(p, view.side != nullptr && p.rank > 0 ? view.side + (int64_t)(first + k) * view.ncoef + p.coef_at : nullptr, row, j, w[k]);
                if (add) {
                    zo_load4(at, j, 0, p.cols, wide, sum);
                }
#pragma unroll
                for (int l = 0; l < 4; l++) {
                    sum[l] = add ? sum[l] + w[k][l] : w[k][l];
                }
                zo_store4(at, j, 0, p.cols, wide, sum);
            }
        }
    }
}

void zo_cuda_form_chosen(zo_backend *be, const zo_view *view, int param, const int32_t *rows, int64_t n, bool add, float *to)
{
    if (n == 0) {
        return;
    }
    zo_cuda_param p = zo_cuda_param_of(view->base[0]->layout, view->factors, param);
    zo_cuda_view v = zo_cuda_view_of(be, view);
    dim3 grid(zo_cuda_grid(p.cols / 4 + 2, THREADS), (unsigned)(n < 65535 ? n : 65535));
    zo_cuda_part(be, ZO_PART_FORM);
    bool wide = zo_cuda_wide(to, p.cols);
    cudaStream_t stream = zo_cuda_of(be)->stream;
    for (int first = 0; first < v.npoints; first += 2) {
        int together = v.npoints - first >= 2 ? 2 : 1;
        int64_t formed = n * p.cols * together;
        ZO_MOVES(formed * zo_storage_bytes(v.storage) + (add ? 4 * formed : 0), 4 * formed);
        if (together == 2) {
            ZO_BY_STORAGE(v.storage, ZO_LAUNCH((chosen_kernel<2, S>), grid, THREADS, 0, stream, v, p, first, rows, n, add, wide, to));
        } else {
            ZO_BY_STORAGE(v.storage, ZO_LAUNCH((chosen_kernel<1, S>), grid, THREADS, 0, stream, v, p, first, rows, n, add, wide, to));
        }
    }
}
