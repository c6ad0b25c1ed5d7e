/* backward.c: gradients of linear layers, chosen rows, the language-model head and embeddings. Products are f32 whatever the
 * precision of the forward pass, and read weights of 16 bits as the numbers that these are. Work is cut into blocks that do not depend on the number of threads; a block of a gradient belongs
 * to one thread, which adds tokens in their order. */
#include <string.h>

#include "backends/act.h"
#include "backends/cpu/cpu.h"
#include "backends/sgemm.h"

enum { BLOCK = 64, TOKENS = 128, SUPER = 2048 }; /* rows of a weight, tokens of an input gradient, rows of the head at a time */

/* The three products of a linear layer inside a parallel region: dx (T,cols) = beta dx + scale dy W;
 * gw (rows,cols) += scale dy^T x; gb (rows) += sums of dy. W (rows, cols); dy has rows of `stride` floats. Each of dx, gw, gb may be NULL. Ends
 * without a barrier. */
static void linear_parts(const float *w, const float *x, const float *dy, int64_t stride, int64_t rows, int64_t cols, int64_t tokens,
                         float scale, float beta, float *dx, float *gw, float *gb)
{
    int64_t across = dx != NULL ? (tokens + TOKENS - 1) / TOKENS : 0, down = gw != NULL || gb != NULL ? (rows + BLOCK - 1) / BLOCK : 0;
#pragma omp for schedule(dynamic) nowait
    for (int64_t item = 0; item < across + down; item++) {
        if (item < across) {
            int64_t t = item * TOKENS, n = tokens - t < TOKENS ? tokens - t : TOKENS;
            zo_sgemm(false, false, n, cols, rows, scale, dy + t * stride, stride, w, cols, beta, dx + t * cols, cols);
            continue;
        }
        int64_t row = (item - across) * BLOCK, n = rows - row < BLOCK ? rows - row : BLOCK;
        if (gw != NULL) {
            zo_sgemm(true, false, n, cols, tokens, scale, dy + row, stride, x, cols, 1.0f, gw + row * cols, cols);
        }
        if (gb != NULL) {
            for (int64_t t = 0; t < tokens; t++) {
                for (int64_t i = row; i < row + n; i++) {
                    gb[i] += dy[t * stride + i];
                }
            }
        }
    }
}

void zo_cpu_linear_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, const float *x,
                            const float *dy, int64_t tokens, bool add, float *dx, zo_store *grad)
{
    (void)precision;
    const zo_param *p = &store->layout->param[weight];
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    if (tokens == 0 || (dx == NULL && gw == NULL && gb == NULL)) {
        return;
    }
    double start = zo_now();
    const float *w = dx != NULL ? zo_cpu_numbers_of(be, store, weight) : NULL;
#pragma omp parallel num_threads(be->threads)
    {
        linear_parts(w, x, dy, p->rows, p->rows, p->cols, tokens, p->scale, add ? 1.0f : 0.0f, dx, gw, gb);
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
    zo_counters_add((zo_counters){.linear_flops = (uint64_t)(2 * ((dx != NULL) + (gw != NULL)) * tokens * p->rows * p->cols)});
}

void zo_cpu_linear_rows_backward(zo_backend *be, const zo_store *store, int weight, int bias, const int32_t *rows, int32_t nrows,
                                 const float *x, const float *dy, int64_t tokens, float *dx, zo_store *grad)
{
    double start = zo_now();
    int64_t cols = store->layout->param[weight].cols, offset = store->layout->param[weight].offset;
    float *widened = store->storage != ZO_STORAGE_F32 && dx != NULL ? zo_cpu_shared_of(be, ZO_CPU_NUMBERS, (size_t)(nrows * cols) * sizeof *widened) : NULL;
    for (int32_t r = 0; r < nrows && widened != NULL; r++) {
        zo_cpu_load(store->storage, zo_store_at(store, offset + rows[r] * cols), cols, widened + r * cols);
    }
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    for (int64_t t = 0; t < tokens; t++) {
        if (dx != NULL) {
            memset(dx + t * cols, 0, (size_t)cols * sizeof *dx);
        }
        for (int32_t r = 0; r < nrows; r++) {
            float d = dy[t * nrows + r];
            const float *w = widened != NULL ? widened + r * cols : store->data + offset + rows[r] * cols;
            for (int64_t j = 0; j < cols && gw != NULL; j++) {
                gw[rows[r] * cols + j] = fmaf(d, x[t * cols + j], gw[rows[r] * cols + j]);
            }
            for (int64_t j = 0; j < cols && dx != NULL; j++) {
                dx[t * cols + j] = fmaf(d, w[j], dx[t * cols + j]);
            }
            if (gb != NULL) {
                gb[rows[r]] += d;
            }
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
}

void zo_cpu_embed_backward(zo_backend *be, int table, const int32_t *ids, int64_t tokens, int64_t cols, const float *dx,
                           zo_store *grad)
{
    float *g = zo_set_values(grad, table);
    int64_t parts = (cols + BLOCK - 1) / BLOCK; /* by columns: a row may be hit by many tokens */
    if (g == NULL) {
        return;
    }
    double start = zo_now();
#pragma omp parallel num_threads(be->threads) if (tokens * cols > 32768)
    {
#pragma omp for schedule(static) nowait
        for (int64_t part = 0; part < parts; part++) {
            int64_t c = part * BLOCK, n = cols - c < BLOCK ? cols - c : BLOCK;
            for (int64_t t = 0; t < tokens; t++) {
                float *to = g + ids[t] * cols + c;
                const float *from = dx + t * cols + c;
                for (int64_t j = 0; j < n; j++) {
                    to[j] += from[j];
                }
            }
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
}

int64_t zo_cpu_head_rows(int64_t vocabulary)
{
    return vocabulary < SUPER ? vocabulary : SUPER;
}

size_t zo_cpu_head_backward_bytes(int64_t rows, int64_t vocabulary)
{
    return (size_t)(rows * (zo_cpu_head_rows(vocabulary) + 3)) * sizeof(float);
}

/* Row r of capped logits l (m), from `first` on of the vocabulary, to the slopes of those before the cap. tilt (m) is scratch. */
static void capped_slopes(float *l, int64_t m, int64_t first, float softcap, float scale, float top, int64_t r, const int32_t *at, const int32_t *target,
                          const float *amount, int64_t n, float *tilt)
{
    for (int64_t v = 0; v < m; v++) {
        tilt[v] = zo_softcap_slope(l[v], softcap);
        l[v] = scale * zo_exp(l[v] - top);
    }
    for (int64_t i = 0; i < n; i++) {
        if (at[i] == r && target[i] >= first && target[i] < first + m) {
            l[target[i] - first] -= amount[i];
        }
    }
    for (int64_t v = 0; v < m; v++) {
        l[v] *= tilt[v];
    }
}

/* d loss / d logit[r,v] = A_r softmax[r,v] - sum of the amounts at (r, v), where A_r = sum of the amounts at row r; times the cap's slope there. The vocabulary is
 * taken SUPER rows at a time, in two passes: log-sum-exp of every row, then the logits again. */
void zo_cpu_head_backward(zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, float softcap, const float *x,
                          int64_t rows, const int32_t *at, const int32_t *target, const float *amount, int64_t n, float *dx,
                          zo_store *grad)
{
    (void)precision;
    const zo_param *p = &store->layout->param[weight];
    int64_t vocabulary = p->rows, cols = p->cols, wide = zo_cpu_head_rows(vocabulary);
    float *gw = zo_set_values(grad, weight), *gb = zo_set_values(grad, bias);
    if (dx == NULL && gw == NULL && gb == NULL) {
        return;
    }
    float *logit = zo_cpu_shared_of(be, ZO_CPU_PARTIAL, zo_cpu_head_backward_bytes(rows, vocabulary)); /* (R, wide) */
    float *most = logit + rows * wide, *sum = most + rows, *total = sum + rows;
    /* of 16 bits the rows at hand, (wide, cols) */
    float *widened = store->storage != ZO_STORAGE_F32 ? zo_cpu_shared_of(be, ZO_CPU_NUMBERS, (size_t)(wide * cols) * sizeof *widened) : NULL;
    const float *b = zo_cpu_vector_of(be, store, bias, ZO_CPU_BIAS);
    for (int64_t r = 0; r < rows; r++) {
        most[r] = -INFINITY;
        sum[r] = total[r] = 0.0f;
    }
    for (int64_t i = 0; i < n; i++) {
        total[at[i]] += amount[i];
    }
    double start = zo_now();
#pragma omp parallel num_threads(be->threads)
    {
        for (int pass = 0; pass < 2; pass++) {
            for (int64_t first = 0; first < vocabulary; first += wide) {
                int64_t m = vocabulary - first < wide ? vocabulary - first : wide;
                const float *w = widened != NULL ? widened : store->data + p->offset + first * cols;
#pragma omp for schedule(dynamic)
                for (int64_t v = 0; v < m; v += BLOCK) {
                    int64_t k = m - v < BLOCK ? m - v : BLOCK;
                    if (widened != NULL) {
                        zo_cpu_load(store->storage, zo_store_at(store, p->offset + (first + v) * cols), k * cols, widened + v * cols);
                    }
                    zo_sgemm(false, true, rows, k, cols, 1.0f, x, cols, w + v * cols, cols, 0.0f, logit + v, wide);
                }
#pragma omp for schedule(static)
                for (int64_t r = 0; r < rows; r++) {
                    float *l = logit + r * wide;
                    for (int64_t v = 0; v < m && b != NULL; v++) {
                        l[v] += b[first + v];
                    }
                    for (int64_t v = 0; v < m && softcap > 0.0f; v++) {
                        l[v] = zo_softcap(l[v], softcap);
                    }
                    if (pass == 0) {
                        float top = most[r], s = 0.0f;
                        for (int64_t v = 0; v < m; v++) {
                            top = l[v] > top ? l[v] : top;
                        }
                        for (int64_t v = 0; v < m; v++) {
                            s += zo_exp(l[v] - top);
                        }
                        sum[r] = fmaf(sum[r], zo_exp(most[r] - top), s);
                        most[r] = top;
                    } else {
                        float scale = total[r] / sum[r], top = most[r];
                        if (softcap > 0.0f) {
                            capped_slopes(l, m, first, softcap, scale, top, r, at, target, amount, n, zo_cpu_scratch(be, SUPER * sizeof(float)));
                            continue;
                        }
                        for (int64_t v = 0; v < m; v++) {
                            l[v] = scale * zo_exp(l[v] - top);
                        }
                    }
                }
                if (pass == 1) {
#pragma omp single
                    for (int64_t i = 0; i < (softcap > 0.0f ? 0 : n); i++) {
                        if (target[i] >= first && target[i] < first + m) {
                            logit[at[i] * wide + target[i] - first] -= amount[i];
                        }
                    }
                    linear_parts(w, x, logit, wide, m, cols, rows, 1.0f, first == 0 ? 0.0f : 1.0f, dx,
                                 gw != NULL ? gw + first * cols : NULL, gb != NULL ? gb + first : NULL);
#pragma omp barrier
                }
            }
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
    zo_counters_add((zo_counters){.linear_flops = (uint64_t)(2 * (2 + (dx != NULL) + (gw != NULL)) * rows * vocabulary * cols)});
}
