/* side.h: one row of zo_backend.mix, .gate and their gradients, the same for every backend. As it stands a thread has a row. A backend whose threads
 * share one defines first
 *
 *   SIDE_ROW                qualifiers of these functions
 *   SIDE_LANE, SIDE_LANES   which of how many threads this one is; each has the columns SIDE_LANE, SIDE_LANE + SIDE_LANES, ...
 *   side_dot(x, y, cols)    the sum of products of two rows, the same for all of them
 *   side_wait()             they see what the others wrote
 *
 * With features x_1 .. x_n, a guide x_0, scores s and similarities c_kj = x_k x_j / (|x_k| |x_j|), of which those below 0 count as 0 and c_kk is 1:
 *
 *     rho_k = sum_j c_kj,   r_k = relu(s_k) / rho_k,   a_k = r_k / sum_j r_j,   y = relu(x_0 + sum_k a_k x_k)
 *
 * as Guidance in SHERL's released code has it, its 1e-8 in each divisor included (arXiv 2407.07523, commit e78e0dd, VSE-infty). */
#ifndef ZO_BACKENDS_SIDE_H
#define ZO_BACKENDS_SIDE_H

#include "backends/act.h"
#include "backends/backend.h"

#define SIDE_TINY 1e-8f

#ifndef SIDE_ROW
#define SIDE_ROW ZO_INLINE
#define SIDE_LANE 0
#define SIDE_LANES 1

/* In 16 fixed lanes. */
SIDE_ROW float side_dot(const float *x, const float *y, int64_t cols)
{
    float sum[16] = {0};
    int64_t whole = cols / 16 * 16;
    for (int64_t i = 0; i < whole; i += 16) {
        for (int j = 0; j < 16; j++) {
            sum[j] = fmaf(x[i + j], y[i + j], sum[j]);
        }
    }
    for (int64_t i = whole; i < cols; i++) {
        sum[i - whole] = fmaf(x[i], y[i], sum[i - whole]);
    }
    for (int step = 8; step > 0; step /= 2) {
        for (int j = 0; j < step; j++) {
            sum[j] += sum[j + step];
        }
    }
    return sum[0];
}

SIDE_ROW void side_wait(void)
{
}
#endif

/* Feature k of row r; k = n: the guide. */
SIDE_ROW const float *side_feature(const zo_mix *m, int64_t rows, int64_t k, int64_t r)
{
    return m->x + (k * rows + r) * m->cols;
}

/* c_kj of two features, k != j; below 0 it is no similarity. */
SIDE_ROW float side_similarity(const zo_mix *m, int64_t rows, int64_t k, int64_t j, int64_t r)
{
    return side_dot(side_feature(m, rows, k, r), side_feature(m, rows, j, r), m->cols) * m->inverse[k * rows + r] * m->inverse[j * rows + r];
}

/* r_k */
SIDE_ROW float side_ratio(const zo_mix *m, int64_t rows, int64_t k, int64_t r)
{
    return zo_act_relu(m->score[k * rows + r]) / m->redundancy[k * rows + r];
}

SIDE_ROW float side_total(const zo_mix *m, int64_t rows, int64_t r)
{
    float total = SIDE_TINY;
    for (int64_t k = 0; k < m->n; k++) {
        total += side_ratio(m, rows, k, r);
    }
    return total;
}

SIDE_ROW void side_mix_row(const zo_mix *m, int64_t rows, int64_t r, float *y)
{
    for (int64_t k = 0; k < m->n; k++) {
        const float *x = side_feature(m, rows, k, r);
        float inverse = 1.0f / (sqrtf(side_dot(x, x, m->cols)) + SIDE_TINY);
        if (SIDE_LANE == 0) {
            m->inverse[k * rows + r] = inverse;
        }
    }
    side_wait();
    for (int64_t k = 0; k < m->n; k++) {
        float sum = 1.0f;
        for (int64_t j = 0; j < m->n; j++) {
            sum += j != k ? zo_act_relu(side_similarity(m, rows, k, j, r)) : 0.0f;
        }
        if (SIDE_LANE == 0) {
            m->redundancy[k * rows + r] = sum;
        }
    }
    side_wait();
    float total = side_total(m, rows, r);
    const float *guide = side_feature(m, rows, m->n, r);
    for (int64_t c = SIDE_LANE; c < m->cols; c += SIDE_LANES) {
        float sum = guide[c];
        for (int64_t k = 0; k < m->n; k++) {
            sum = fmaf(side_ratio(m, rows, k, r) / total, side_feature(m, rows, k, r)[c], sum);
        }
        y[r * m->cols + c] = zo_act_relu(sum);
    }
}

/* With dm the gradient of the sum: d a_k = dm x_k; d r_k = (d a_k - sum_j a_j d a_j) / sum_j r_j; d s_k = d r_k / rho_k where s_k > 0;
 * d rho_k = -r_k d s_k; and of a similarity above 0, d c_kj = d rho_k + d rho_j, d x_k += d c_kj (x_j / (|x_k| |x_j|) - c_kj x_k / |x_k|^2). */
SIDE_ROW void side_mix_backward_row(const zo_mix *m, int64_t rows, int64_t r, const float *y, const float *dy, float *dx, float *dscore)
{
    int64_t cols = m->cols, n = m->n;
    float *dm = dx + (n * rows + r) * cols; /* the guide's */
    for (int64_t c = SIDE_LANE; c < cols; c += SIDE_LANES) {
        dm[c] = dy[r * cols + c] * zo_act_relu_slope(y[r * cols + c]);
    }
    float total = side_total(m, rows, r), inner = 0.0f;
    for (int64_t k = 0; k < n; k++) {
        inner = fmaf(side_ratio(m, rows, k, r) / total, side_dot(dm, side_feature(m, rows, k, r), cols), inner);
    }
    for (int64_t k = 0; k < n; k++) {
        float slope = (side_dot(dm, side_feature(m, rows, k, r), cols) - inner) / total / m->redundancy[k * rows + r];
        if (SIDE_LANE == 0) {
            dscore[k * rows + r] = m->score[k * rows + r] > 0.0f ? slope : 0.0f;
        }
    }
    side_wait();
    for (int64_t k = 0; k < n; k++) {
        const float *x = side_feature(m, rows, k, r);
        float *d = dx + (k * rows + r) * cols, share = side_ratio(m, rows, k, r) / total, inverse = m->inverse[k * rows + r];
        for (int64_t c = SIDE_LANE; c < cols; c += SIDE_LANES) {
            d[c] = share * dm[c];
        }
        for (int64_t j = 0; j < n; j++) {
            float alike = j != k ? side_similarity(m, rows, k, j, r) : 0.0f;
            if (alike > 0.0f) {
                const float *other = side_feature(m, rows, j, r);
                float slope = -side_ratio(m, rows, k, r) * dscore[k * rows + r] - side_ratio(m, rows, j, r) * dscore[j * rows + r];
                float across = slope * inverse * m->inverse[j * rows + r], along = slope * alike * inverse * inverse;
                for (int64_t c = SIDE_LANE; c < cols; c += SIDE_LANES) {
                    d[c] = fmaf(across, other[c], fmaf(-along, x[c], d[c]));
                }
            }
        }
    }
}

/* x = tanh(by g) x + y of row r */
SIDE_ROW void side_gate_row(float by, const float *g, const float *y, int64_t r, int64_t cols, float *x)
{
    float open = zo_tanh(by * g[r]);
    for (int64_t c = SIDE_LANE; c < cols; c += SIDE_LANES) {
        x[r * cols + c] = fmaf(open, x[r * cols + c], y[r * cols + c]);
    }
}

SIDE_ROW void side_gate_backward_row(float by, const float *g, const float *x, const float *dy, int64_t r, int64_t cols, float *dg)
{
    float slope = side_dot(dy + r * cols, x + r * cols, cols) * zo_act_tanh_slope(by * g[r]) * by;
    if (SIDE_LANE == 0) {
        dg[r] = slope;
    }
}

#endif
