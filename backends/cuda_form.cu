/* cuda_form.cu: parameters formed at points, w + sum_d c_d z_d: z lives in registers, each direction is drawn once for up to four points,
 * each stored weight is read once. The bits are those of cpu_form.c. */
#include "backends/cuda_round.cuh"

enum { THREADS = 256, MOST = 4 }; /* points that one thread forms together */

/* Elements [4 index, 4 index + n) of a parameter at points first .. first + N - 1 to `to` (P, n). */
template <int N, class T>
static __global__ void __launch_bounds__(THREADS) form_kernel(zo_cuda_view view, zo_cuda_param p, int first, int64_t index, int64_t n, T *to)
{
    bool whole = n % 4 == 0;
    for (int64_t i = (int64_t)blockIdx.x * THREADS + threadIdx.x; 4 * i < n; i += (int64_t)gridDim.x * THREADS) {
        float w[N][4];
        zo_form4<N>(view, p, first, index + i, w);
#pragma unroll
        for (int k = 0; k < N; k++) {
            T *at = to + (first + k) * n + 4 * i;
            if (whole) {
                zo_write4(at, w[k]);
            } else {
#pragma unroll
                for (int l = 0; l < 4; l++) {
                    if (4 * i + l < n) {
                        zo_write1(at + l, w[k][l]);
                    }
                }
            }
        }
    }
}

template <int N, class T>
static void form_points(zo_backend *be, const zo_cuda_view &view, const zo_cuda_param &p, int first, int64_t index, int64_t n, void *to)
{
    unsigned grid = zo_cuda_grid((n + 3) / 4, THREADS);
    ZO_LAUNCH((form_kernel<N, T>), grid, THREADS, 0, zo_cuda_of(be)->stream, view, p, first, index, n, static_cast<T *>(to));
}

template <class T>
static void form_all(zo_backend *be, const zo_cuda_view &view, const zo_cuda_param &p, int64_t index, int64_t n, void *to)
{
    for (int first = 0; first < view.npoints;) {
        int rest = view.npoints - first;
        if (rest >= MOST) {
            form_points<MOST, T>(be, view, p, first, index, n, to);
            first += MOST;
        } else if (rest >= 2) {
            form_points<2, T>(be, view, p, first, index, n, to);
            first += 2;
        } else {
            form_points<1, T>(be, view, p, first, index, n, to);
            first += 1;
        }
    }
}

void zo_cuda_form_rows(zo_backend *be, const zo_view *view, int param, int64_t row, int64_t n, zo_precision precision, void *to)
{
    const zo_layout *layout = view->base[0]->layout;
    zo_cuda_param p = zo_cuda_param_of(layout, view->factors, param);
    int64_t first = row * p.cols;
    ZO_CHECK(first % 4 == 0, "rows from %lld of %s begin inside a block of four", (long long)row, layout->param[param].name);
    zo_cuda_view v = zo_cuda_view_of(be, view);
    zo_cuda_part(be, ZO_PART_FORM);
    if (precision == ZO_BF16) {
        form_all<zo_cuda_bf16>(be, v, p, first / 4, n * p.cols, to);
    } else if (precision == ZO_F16) {
        form_all<zo_cuda_f16>(be, v, p, first / 4, n * p.cols, to);
    } else {
        form_all<float>(be, v, p, first / 4, n * p.cols, to);
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
    return to;
}

/* Chosen rows begin anywhere: a thread forms the elements of one block of four that lie in its row. Grid: (blocks of a row, rows). */
template <int N>
static __global__ void __launch_bounds__(THREADS) chosen_kernel(zo_cuda_view view, zo_cuda_param p, int first, const int32_t *rows, int64_t n,
                                                                bool add, float *to)
{
    for (int64_t r = blockIdx.y; r < n; r += gridDim.y) {
        int64_t row = rows[r], begin = row * p.cols, end = begin + p.cols;
        for (int64_t i = begin / 4 + (int64_t)blockIdx.x * THREADS + threadIdx.x; 4 * i < end; i += (int64_t)gridDim.x * THREADS) {
            float w[N][4];
            zo_form4<N>(view, p, first, i, w);
#pragma unroll
            for (int k = 0; k < N; k++) {
                const float *side = view.side != nullptr && p.rank > 0 ? view.side + (int64_t)(first + k) * view.ncoef + p.coef_at : nullptr;
#pragma unroll
                for (int l = 0; l < 4; l++) {
                    int64_t e = 4 * i + l;
                    if (e >= begin && e < end) {
                        int64_t j = e - begin;
                        float *at = to + ((first + k) * n + r) * p.cols + j;
                        float value = side != nullptr ? w[k][l] + zo_lowrank_at(p.u + row * p.rank, p.v + j * p.rank, side, p.rank) : w[k][l];
                        *at = add ? *at + value : value;
                    }
                }
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
    for (int first = 0; first < v.npoints; first += 2) {
        if (v.npoints - first >= 2) {
            ZO_LAUNCH((chosen_kernel<2>), grid, THREADS, 0, zo_cuda_of(be)->stream, v, p, first, rows, n, add, to);
        } else {
            ZO_LAUNCH((chosen_kernel<1>), grid, THREADS, 0, zo_cuda_of(be)->stream, v, p, first, rows, n, add, to);
        }
    }
}
