/* side.cu: a side adapter's mixture and gate: a warp a row, whose lanes share its columns. Sums over a row are another order than the CPU's lanes. */
#include "backends/cuda/access.cuh"

enum { THREADS = 128 };

#define SIDE_ROW static __device__ __forceinline__
#define SIDE_LANE ((int64_t)(threadIdx.x % 32))
#define SIDE_LANES 32

SIDE_ROW float side_dot(const float *x, const float *y, int64_t cols)
{
    float sum = 0.0f;
    for (int64_t c = SIDE_LANE; c < cols; c += SIDE_LANES) {
        sum = fmaf(x[c], y[c], sum);
    }
    return zo_warp_sum(sum);
}

SIDE_ROW void side_wait(void)
{
    __syncwarp();
}

#include "backends/side.h"

SIDE_ROW int64_t row_of(void)
{
    return (int64_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32;
}

static __global__ void __launch_bounds__(THREADS) mix_rows(zo_mix m, int64_t rows, float *y)
{
    int64_t r = row_of();
    if (r < rows) { /* with its whole warp */
        side_mix_row(&m, rows, r, y);
    }
}

static __global__ void __launch_bounds__(THREADS) mix_backward_rows(zo_mix m, int64_t rows, const float *y, const float *dy, float *dx, float *dscore)
{
    int64_t r = row_of();
    if (r < rows) {
        side_mix_backward_row(&m, rows, r, y, dy, dx, dscore);
    }
}

static __global__ void __launch_bounds__(THREADS) gate_rows(float by, const float *g, const float *y, int64_t rows, int64_t cols, float *x)
{
    int64_t r = row_of();
    if (r < rows) {
        side_gate_row(by, g, y, r, cols, x);
    }
}

static __global__ void __launch_bounds__(THREADS) gate_backward_rows(float by, const float *g, const float *x, const float *dy, int64_t rows, int64_t cols, float *dg)
{
    int64_t r = row_of();
    if (r < rows) {
        side_gate_backward_row(by, g, x, dy, r, cols, dg);
    }
}

void zo_cuda_mix(zo_backend *be, const zo_mix *m, int64_t rows, float *y)
{
    if (rows == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_ELEMENTWISE);
    ZO_MOVES(4 * rows * ((m->n + 1) * m->cols + m->n), 4 * rows * (m->cols + 2 * m->n));
    ZO_LAUNCH(mix_rows, zo_cuda_grid(rows, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, *m, rows, y);
}

void zo_cuda_mix_backward(zo_backend *be, const zo_mix *m, int64_t rows, const float *y, const float *dy, float *dx, float *dscore)
{
    if (rows == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_BACKWARD);
    ZO_MOVES(4 * rows * ((m->n + 2) * m->cols + 3 * m->n), 4 * rows * ((m->n + 1) * m->cols + m->n));
    ZO_LAUNCH(mix_backward_rows, zo_cuda_grid(rows, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, *m, rows, y, dy, dx, dscore);
}

void zo_cuda_gate(zo_backend *be, float by, const float *g, const float *y, int64_t rows, int64_t cols, float *x)
{
    if (rows == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_ELEMENTWISE);
    ZO_MOVES(4 * rows * (2 * cols + 1), 4 * rows * cols);
    ZO_LAUNCH(gate_rows, zo_cuda_grid(rows, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, by, g, y, rows, cols, x);
}

void zo_cuda_gate_backward(zo_backend *be, float by, const float *g, const float *x, const float *dy, int64_t rows, int64_t cols, float *dg)
{
    if (rows == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_BACKWARD);
    ZO_MOVES(4 * rows * (2 * cols + 1), 4 * rows);
    ZO_LAUNCH(gate_backward_rows, zo_cuda_grid(rows, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, by, g, x, dy, rows, cols, dg);
}
