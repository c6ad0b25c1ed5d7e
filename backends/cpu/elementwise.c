/* elementwise.c: activations, norms, sums and gathers, forward and backward. Rows in parallel; each row's sums in 16 fixed lanes. */
#include <string.h>

#include "backends/act.h"
#include "backends/cpu/cpu.h"

enum { PIECE = 4096, SMALL = 32768 }; /* elements a piece of work; below SMALL a thread team costs more than it gives */

/* activations --------------------------------------------------------------------------------------------------------------- */

void zo_cpu_act(zo_act act, const float *x, int64_t n, float *y)
{
    switch (act) {
    case ZO_ACT_NONE:
        if (x != y) {
            memcpy(y, x, (size_t)n * sizeof *y);
        }
        break;
#define X(id, function, slope)                \
    case id:                                  \
        _Pragma("omp simd")                   \
        for (int64_t i = 0; i < n; i++) {     \
            y[i] = function(x[i]);            \
        }                                     \
        break;
        ZO_ACT_LIST(X)
#undef X
    }
}

/* y[t * stride + i] = act(x[t * n + i] + b[i]) for one width n, a constant where the compiler can use it. */
#define FINISH(function)                                                            \
    for (int64_t t = 0; t < rows; t++) {                                            \
        const float *from = x + t * n;                                              \
        float *to = y + t * stride;                                                 \
        _Pragma("omp simd")                                                         \
        for (int64_t i = 0; i < n; i++) {                                           \
            to[i] = function(from[i] + b[i]);                                       \
        }                                                                           \
    }

ZO_INLINE float same(float x)
{
    return x;
}

static inline __attribute__((always_inline)) void finish(zo_act act, const float *restrict x, const float *restrict b, int64_t rows,
                                                         int64_t n, float *restrict y, int64_t stride)
{
    switch (act) {
    case ZO_ACT_NONE:
        FINISH(same);
        break;
#define X(id, function, slope) \
    case id:                   \
        FINISH(function);      \
        break;
        ZO_ACT_LIST(X)
#undef X
    }
}

void zo_cpu_finish(zo_act act, const float *x, const float *b, int64_t rows, int64_t n, float *y, int64_t stride)
{
    if (n == 64) { /* nearly every block */
        finish(act, x, b, rows, 64, y, stride);
    } else {
        finish(act, x, b, rows, n, y, stride);
    }
}

void zo_cpu_act_slope(zo_act act, const float *x, int64_t n, float *d)
{
    switch (act) {
    case ZO_ACT_NONE:
        break;
#define X(id, function, slope)                \
    case id:                                  \
        _Pragma("omp simd")                   \
        for (int64_t i = 0; i < n; i++) {     \
            d[i] *= slope(x[i]);              \
        }                                     \
        break;
        ZO_ACT_LIST(X)
#undef X
    }
}

/* pieces of flat arrays ------------------------------------------------------------------------------------------------------- */

static int64_t piece_n(int64_t i, int64_t n)
{
    return n - i * PIECE < PIECE ? n - i * PIECE : PIECE;
}

/* The expression of x[i], and of y[i] where there is one, in place of x[i] and in parallel. */
#define IN_PLACE(part, expression)                                             \
    double start = zo_now();                                                   \
    _Pragma("omp parallel for num_threads(be->threads) schedule(static) if (n > SMALL)") \
    for (int64_t i = 0; i < n; i++) {                                          \
        x[i] = (expression);                                                   \
    }                                                                          \
    zo_part_add(part, zo_now() - start)

void zo_cpu_scale(zo_backend *be, float *x, int64_t n, float by)
{
    IN_PLACE(ZO_PART_ELEMENTWISE, x[i] * by);
}

void zo_cpu_softcap(zo_backend *be, float *x, int64_t n, float cap)
{
    IN_PLACE(ZO_PART_ELEMENTWISE, zo_softcap(x[i], cap));
}

void zo_cpu_softcap_backward(zo_backend *be, float cap, const float *y, int64_t n, float *x)
{
    IN_PLACE(ZO_PART_BACKWARD, x[i] * zo_softcap_slope(y[i], cap));
}

void zo_cpu_add(zo_backend *be, float *y, const float *x, int64_t n)
{
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (n > SMALL)
    {
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < (n + PIECE - 1) / PIECE; i++) {
            float *to = y + i * PIECE;
            const float *from = x + i * PIECE;
#pragma omp simd
            for (int64_t j = 0; j < piece_n(i, n); j++) {
                to[j] += from[j];
            }
        }
    }
    zo_part_add(ZO_PART_ELEMENTWISE, zo_now() - start);
}

void zo_cpu_glu(zo_backend *be, zo_act act, const float *gate, const float *up, int64_t n, float *y)
{
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (n > SMALL)
    {
        float piece[PIECE];
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < (n + PIECE - 1) / PIECE; i++) {
            int64_t m = piece_n(i, n);
            const float *u = up + i * PIECE;
            float *to = y + i * PIECE;
            zo_cpu_act(act, gate + i * PIECE, m, piece);
#pragma omp simd
            for (int64_t j = 0; j < m; j++) {
                to[j] = piece[j] * u[j];
            }
        }
    }
    zo_part_add(ZO_PART_ELEMENTWISE, zo_now() - start);
}

void zo_cpu_act_backward(zo_backend *be, zo_act act, const float *pre, int64_t n, float *dy)
{
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (n > SMALL)
    {
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < (n + PIECE - 1) / PIECE; i++) {
            zo_cpu_act_slope(act, pre + i * PIECE, piece_n(i, n), dy + i * PIECE);
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
}

void zo_cpu_glu_backward(zo_backend *be, zo_act act, const float *gate, const float *up, const float *dy, int64_t n, float *dgate,
                         float *dup)
{
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (n > SMALL)
    {
        float value[PIECE], slope[PIECE];
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < (n + PIECE - 1) / PIECE; i++) {
            int64_t m = piece_n(i, n);
            const float *g = gate + i * PIECE, *u = up + i * PIECE, *d = dy + i * PIECE;
            float *dg = dgate + i * PIECE, *du = dup + i * PIECE;
            for (int64_t j = 0; j < m; j++) {
                slope[j] = 1.0f;
            }
            zo_cpu_act(act, g, m, value);
            zo_cpu_act_slope(act, g, m, slope);
#pragma omp simd
            for (int64_t j = 0; j < m; j++) {
                float dj = d[j], uj = u[j];
                du[j] = dj * value[j];
                dg[j] = dj * uj * slope[j];
            }
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
}

void zo_cpu_gather(zo_backend *be, const float *x, int points, int64_t tokens, int64_t cols, const int32_t *rows, int64_t n, float *y)
{
    double start = zo_now();
    for (int p = 0; p < points; p++) {
        for (int64_t r = 0; r < n; r++) {
            memcpy(y + (p * n + r) * cols, x + (p * tokens + rows[r]) * cols, (size_t)cols * sizeof *y);
        }
    }
    zo_part_add(ZO_PART_ELEMENTWISE, zo_now() - start);
    (void)be;
}

void zo_cpu_scatter_add(zo_backend *be, const float *dy, int64_t cols, const int32_t *rows, int64_t n, float *dx)
{
    double start = zo_now();
    for (int64_t r = 0; r < n; r++) {
        float *to = dx + rows[r] * cols;
        const float *from = dy + r * cols;
#pragma omp simd
        for (int64_t j = 0; j < cols; j++) {
            to[j] += from[j];
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
    (void)be;
}

/* norms ------------------------------------------------------------------------------------------------------------------- */

enum { LANES = 16 };

static float lanes_sum(float *sum)
{
    for (int step = LANES / 2; step > 0; step /= 2) {
        for (int j = 0; j < step; j++) {
            sum[j] += sum[j + step];
        }
    }
    return sum[0];
}

static float row_sum(const float *x, int64_t n)
{
    float sum[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            sum[j] += x[i + j];
        }
    }
    for (int64_t i = whole; i < n; i++) {
        sum[i - whole] += x[i];
    }
    return lanes_sum(sum);
}

/* sum of (x - mean)^2 */
static float row_square(const float *x, float mean, int64_t n)
{
    float sum[LANES] = {0};
    int64_t whole = n / LANES * LANES;
    for (int64_t i = 0; i < whole; i += LANES) {
        for (int j = 0; j < LANES; j++) {
            sum[j] = fmaf(x[i + j] - mean, x[i + j] - mean, sum[j]);
        }
    }
    for (int64_t i = whole; i < n; i++) {
        sum[i - whole] = fmaf(x[i] - mean, x[i] - mean, sum[i - whole]);
    }
    return lanes_sum(sum);
}

void zo_cpu_norm(zo_backend *be, const zo_view *view, zo_norm_kind kind, float eps, int weight, int bias, float *x,
                 const float *residual, int64_t tokens, int64_t cols, float *y, float *stats)
{
    const float *w = zo_cpu_form_vector(be, view, weight, ZO_CPU_BIAS), *b = zo_cpu_form_vector(be, view, bias, ZO_CPU_VECTOR);
    int64_t total = view->npoints * tokens;
    float base = zo_norm_base(kind);
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (total * cols > SMALL)
    {
#pragma omp for schedule(static) nowait
        for (int64_t t = 0; t < total; t++) {
            float *row = x + t * cols, *out = y + t * cols;
            const float *wp = w + t / tokens * cols, *bp = b != NULL ? b + t / tokens * cols : NULL;
            if (residual != NULL) {
                const float *more = residual + t * cols;
#pragma omp simd
                for (int64_t j = 0; j < cols; j++) {
                    row[j] += more[j];
                }
            }
            float mean = kind == ZO_LAYERNORM ? row_sum(row, cols) / (float)cols : 0.0f;
            float inverse = 1.0f / sqrtf(row_square(row, mean, cols) / (float)cols + eps);
            if (bp != NULL) {
#pragma omp simd
                for (int64_t j = 0; j < cols; j++) {
                    out[j] = fmaf((row[j] - mean) * inverse, wp[j], bp[j]); /* LayerNorm's: nothing is added to w */
                }
            } else {
#pragma omp simd
                for (int64_t j = 0; j < cols; j++) {
                    out[j] = (row[j] - mean) * inverse * (base + wp[j]);
                }
            }
            if (stats != NULL) {
                stats[2 * t] = mean;
                stats[2 * t + 1] = inverse;
            }
        }
    }
    zo_part_add(ZO_PART_ELEMENTWISE, zo_now() - start);
}

/* With n = (x - mean) / std and g = dy * w: dx = (g - mean(g) - n mean(g n)) / std, where RMSNorm lacks the mean(g) term. The
 * gradients of w and b are summed over fixed groups of tokens, then over the groups in their order. */
enum { GROUP = 64 };

size_t zo_cpu_norm_backward_bytes(int64_t tokens, int64_t cols)
{
    return (size_t)((tokens + GROUP - 1) / GROUP * 2 * cols) * sizeof(float);
}

void zo_cpu_norm_backward(zo_backend *be, const zo_store *store, zo_norm_kind kind, int weight, int bias, const float *x,
                          const float *stats, const float *dy, int64_t tokens, int64_t cols, float *dx, zo_store *grad)
{
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    float base = zo_norm_base(kind);
    bool reads = dx != NULL || gw != NULL; /* else the sums of dy alone are made */
    int64_t groups = (tokens + GROUP - 1) / GROUP;
    if (!reads && gb == NULL) {
        return;
    }
    float *part = zo_cpu_shared_of(be, ZO_CPU_PARTIAL, zo_cpu_norm_backward_bytes(tokens, cols)); /* (groups, 2, cols) */
    const float *w = zo_cpu_vector_of(be, store, weight, ZO_CPU_VECTOR);
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (tokens * cols > SMALL)
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < groups; i++) {
            float *dw = part + i * 2 * cols, *db = dw + cols;
            memset(dw, 0, (size_t)(2 * cols) * sizeof *dw);
            for (int64_t t = i * GROUP; t < tokens && t < (i + 1) * GROUP; t++) {
                const float *dr = dy + t * cols;
                if (!reads) {
                    for (int64_t j = 0; j < cols; j++) {
                        db[j] += dr[j];
                    }
                    continue;
                }
                const float *xr = x + t * cols;
                float mean = stats[2 * t], inverse = stats[2 * t + 1], sum[LANES] = {0}, dot[LANES] = {0};
                for (int64_t j = 0; j < cols; j += LANES) {
                    int n = cols - j < LANES ? (int)(cols - j) : LANES;
                    for (int l = 0; l < n; l++) {
                        float norm = (xr[j + l] - mean) * inverse, g = dr[j + l] * (base + w[j + l]);
                        dw[j + l] = fmaf(dr[j + l], norm, dw[j + l]);
                        db[j + l] += dr[j + l];
                        sum[l] += g;
                        dot[l] = fmaf(g, norm, dot[l]);
                    }
                }
                float shift = kind == ZO_LAYERNORM ? lanes_sum(sum) / (float)cols : 0.0f, tilt = lanes_sum(dot) / (float)cols;
                if (dx == NULL) {
                    continue;
                }
                float *out = dx + t * cols;
#pragma omp simd
                for (int64_t j = 0; j < cols; j++) {
                    float norm = (xr[j] - mean) * inverse, g = dr[j] * (base + w[j]);
                    out[j] = (fmaf(-norm, tilt, g) - shift) * inverse;
                }
            }
        }
#pragma omp single nowait
        for (int64_t i = 0; i < groups; i++) {
            for (int64_t j = 0; j < cols && gw != NULL; j++) {
                gw[j] += part[i * 2 * cols + j];
            }
            for (int64_t j = 0; j < cols && gb != NULL; j++) {
                gb[j] += part[(i * 2 + 1) * cols + j];
            }
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
}
