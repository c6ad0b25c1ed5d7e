/* side.c: a side adapter's mixture and gate: rows in parallel, each by one thread, sums in 16 fixed lanes. */
#include "backends/side.h"

#include "backends/cpu/cpu.h"

enum { SMALL = 32768 }; /* numbers, from which on threads pay */

#define ROWS(part, statement)                                                                             \
    double start = zo_now();                                                                              \
    _Pragma("omp parallel for num_threads(be->threads) schedule(static) if (rows * cols > SMALL)")        \
    for (int64_t r = 0; r < rows; r++) {                                                                  \
        statement;                                                                                        \
    }                                                                                                     \
    zo_part_add(part, zo_now() - start)

void zo_cpu_mix(zo_backend *be, const zo_mix *m, int64_t rows, float *y)
{
    int64_t cols = m->cols;
    ROWS(ZO_PART_ELEMENTWISE, side_mix_row(m, rows, r, y));
}

void zo_cpu_mix_backward(zo_backend *be, const zo_mix *m, int64_t rows, const float *y, const float *dy, float *dx, float *dscore)
{
    int64_t cols = m->cols;
    ROWS(ZO_PART_BACKWARD, side_mix_backward_row(m, rows, r, y, dy, dx, dscore));
}

void zo_cpu_gate(zo_backend *be, float by, const float *g, const float *y, int64_t rows, int64_t cols, float *x)
{
    ROWS(ZO_PART_ELEMENTWISE, side_gate_row(by, g, y, r, cols, x));
}

void zo_cpu_gate_backward(zo_backend *be, float by, const float *g, const float *x, const float *dy, int64_t rows, int64_t cols, float *dg)
{
    ROWS(ZO_PART_BACKWARD, side_gate_backward_row(by, g, x, dy, r, cols, dg));
}
