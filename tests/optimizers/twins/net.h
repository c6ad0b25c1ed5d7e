/* net.h: a small network with residual blocks on the CPU backend, and its loss and gradient in float64, written out. Header only.
 *
 *     x = E[id];  for each block: x += gelu(norm(x) A^T + a) B^T + b;  logits = norm(x) H^T + c;  cross-entropy
 *
 * An example is a token with a label; a step's batch is BATCH of them, and its next ones are those of the next steps. One parameter is frozen. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_NET_H
#define ZO_TESTS_OPTIMIZERS_TWINS_NET_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizers/engine/engine.h"
#include "tests/into_sink.h"

enum { VOCAB = 24, WIDTH = 8, HIDDEN = 12, CLASSES = 3, BLOCKS = 3, EXAMPLES = 24, BATCH = 6, POINTS = 4, SIZE = 1280 };
/* Parameters: the table, then of each block norm weight and bias, A, a, B, b, then the norm before the head, H, c. */
enum { EMBED, BLOCK, NORM_W = 0, NORM_B, A_W, A_B, B_W, B_B, OF_BLOCK, LAST_W = BLOCK + BLOCKS * OF_BLOCK, LAST_B, HEAD_W, HEAD_B, PARAMS };

typedef struct net {
    zo_backend *be;
    zo_layout layout;
    zo_store *store;
    float start[SIZE];
    int32_t id[EXAMPLES], label[EXAMPLES];
    int64_t step;              /* chooses the current batch */
    float *seen;               /* (SIZE) where not NULL: the next pass leaves here what its base holds */
    float x[POINTS * EXAMPLES * WIDTH], n[POINTS * EXAMPLES * WIDTH], h[POINTS * EXAMPLES * HIDDEN], y[POINTS * EXAMPLES * CLASSES];
    int table[1];
    int32_t rows[EXAMPLES], nrows[1];
    const int32_t *row_list[1];
} net;

static inline int of_block(int block, int which)
{
    return BLOCK + block * OF_BLOCK + which;
}

static inline void net_open(net *m)
{
    static const struct { const char *name; zo_param_kind kind; int64_t rows, cols; unsigned linear; } of[OF_BLOCK] = { /* A and B as if keys and values */
        {"norm.weight", ZO_PARAM_VECTOR, 1, WIDTH, 0}, {"norm.bias", ZO_PARAM_VECTOR, 1, WIDTH, 0}, {"a.weight", ZO_PARAM_MATRIX, HIDDEN, WIDTH, ZO_LINEAR_K},
        {"a.bias", ZO_PARAM_VECTOR, 1, HIDDEN, 0}, {"b.weight", ZO_PARAM_MATRIX, WIDTH, HIDDEN, ZO_LINEAR_V}, {"b.bias", ZO_PARAM_VECTOR, 1, WIDTH, 0}};
    zo_err err = {0};
    memset(m, 0, sizeof *m);
    ck_assert_int_eq(zo_backend_open("cpu", 1, &m->be, &err), ZO_OK);
    zo_layout_add(&m->layout, "embed.token", ZO_PARAM_TABLE, VOCAB, WIDTH, -1, true);
    for (int b = 0; b < BLOCKS; b++) {
        for (int k = 0; k < OF_BLOCK; k++) {
            char name[64];
            snprintf(name, sizeof name, "layer.%d.%s", b, of[k].name);
            int at = zo_layout_add(&m->layout, name, of[k].kind, of[k].rows, of[k].cols, b, of[k].kind == ZO_PARAM_MATRIX);
            m->layout.param[at].linear = of[k].linear;
        }
    }
    zo_layout_add(&m->layout, "norm.weight", ZO_PARAM_VECTOR, 1, WIDTH, -1, false);
    zo_layout_add(&m->layout, "norm.bias", ZO_PARAM_VECTOR, 1, WIDTH, -1, false);
    zo_layout_add(&m->layout, "head.weight", ZO_PARAM_MATRIX, CLASSES, WIDTH, -1, true);
    zo_layout_add(&m->layout, "head.bias", ZO_PARAM_VECTOR, 1, CLASSES, -1, false);
    bool frozen[PARAMS] = {false};
    frozen[of_block(1, NORM_B)] = true;
    zo_layout_freeze(&m->layout, frozen);
    ck_assert(m->layout.n == PARAMS && m->layout.size <= SIZE);
    m->store = zo_store_new_as(m->be, &m->layout, ZO_STORAGE_F32, ZO_TAG_PARAMS);
    for (int t = 0; t < PARAMS; t++) {
        const zo_param *p = &m->layout.param[t];
        m->be->init_normal(m->be, m->store, t, 3, 0.3f);
        for (int64_t i = 0; i < p->cols && strstr(p->name, "norm.weight") != NULL; i++) {
            m->store->data[p->offset + i] += 1.0f;
        }
    }
    memcpy(m->start, m->store->data, (size_t)m->layout.size * sizeof *m->start);
    for (int e = 0; e < EXAMPLES; e++) {
        m->id[e] = (int32_t)zo_below((zo_stream){.seed = 8, .role = ZO_ROLE_DATA}, (uint64_t)e, VOCAB);
        m->label[e] = (m->id[e] + e / 8) % CLASSES;
    }
    m->be->reserve(m->be, &m->layout, NULL, ZO_F32, &(zo_largest){.points = POINTS, .tokens = EXAMPLES});
}

static inline void net_close(net *m)
{
    zo_store_free(m->be, m->store);
    zo_layout_free(&m->layout);
    m->be->close(m->be);
}

static inline void net_range(const net *m, zo_which which, int *first, int *n)
{
    *first = which == ZO_BATCH_FULL ? 0 : (int)((m->step + zo_batch_number(which)) * BATCH % EXAMPLES);
    *n = which == ZO_BATCH_FULL ? EXAMPLES : BATCH;
}

static inline double cross_entropy(const double *logit, int label)
{
    double most = fmax(logit[0], fmax(logit[1], logit[2])), sum = 0.0;
    for (int c = 0; c < CLASSES; c++) {
        sum += exp(logit[c] - most);
    }
    return most + log(sum) - logit[label];
}

static inline zo_status net_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)err;
    net *m = context;
    zo_backend *be = m->be;
    int first, n;
    net_range(m, which, &first, &n);
    if (m->seen != NULL) {
        ck_assert_int_eq(view->ndirs, 0);
        memcpy(m->seen, view->base[0]->data, (size_t)m->layout.trained_size * sizeof *m->seen);
    }
    be->embed(be, view, EMBED, m->id + first, n, false, m->x);
    for (int b = 0; b < BLOCKS; b++) {
        be->norm(be, view, ZO_LAYERNORM, 1e-5f, of_block(b, NORM_W), of_block(b, NORM_B), m->x, NULL, n, WIDTH, m->n, NULL);
        be->linear(be, view, ZO_F32, of_block(b, A_W), of_block(b, A_B), ZO_ACT_GELU, m->n, n, false, m->h, NULL);
        be->linear(be, view, ZO_F32, of_block(b, B_W), of_block(b, B_B), ZO_ACT_NONE, m->h, n, true, m->x, NULL);
    }
    be->norm(be, view, ZO_LAYERNORM, 1e-5f, LAST_W, LAST_B, m->x, NULL, n, WIDTH, m->n, NULL);
    be->linear(be, view, ZO_F32, HEAD_W, HEAD_B, ZO_ACT_NONE, m->n, n, false, m->y, NULL);
    for (int p = 0; p < view->npoints; p++) {
        loss[p] = 0.0;
        for (int i = 0; i < n; i++) {
            double logit[CLASSES];
            for (int c = 0; c < CLASSES; c++) {
                logit[c] = m->y[(p * n + i) * CLASSES + c];
            }
            loss[p] += cross_entropy(logit, m->label[first + i]) / n;
        }
    }
    return ZO_OK;
}

static inline int compare_rows(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

static inline void net_touched(void *context, zo_which which, zo_touched *touched)
{
    net *m = context;
    int first, n, kept = 0;
    net_range(m, which, &first, &n);
    memcpy(m->rows, m->id + first, (size_t)n * sizeof *m->rows);
    qsort(m->rows, (size_t)n, sizeof *m->rows, compare_rows);
    for (int i = 0; i < n; i++) {
        if (i == 0 || m->rows[i] != m->rows[kept - 1]) {
            m->rows[kept++] = m->rows[i];
        }
    }
    m->table[0] = EMBED;
    m->row_list[0] = m->rows;
    m->nrows[0] = kept;
    *touched = (zo_touched){.nparams = 1, .param = m->table, .row = m->row_list, .n = m->nrows};
}

/* ---- float64 -------------------------------------------------------------------------------------------------------------- */

/* y = normal[i] weight[i] + bias[i], normal = (x - mean) / std; returns 1 / std. */
static inline double norm64(const double *x, const double *weight, const double *bias, double *normal, double *y)
{
    double mean = 0.0, var = 0.0;
    for (int i = 0; i < WIDTH; i++) {
        mean += x[i] / WIDTH;
    }
    for (int i = 0; i < WIDTH; i++) {
        var += (x[i] - mean) * (x[i] - mean) / WIDTH;
    }
    for (int i = 0; i < WIDTH; i++) {
        normal[i] = (x[i] - mean) / sqrt(var + 1e-5);
        y[i] = normal[i] * weight[i] + bias[i];
    }
    return 1.0 / sqrt(var + 1e-5);
}

/* dx += what comes back through the norm; gradients of its weight and bias are added. */
static inline void norm_back64(double inverse, const double *weight, const double *normal, const double *dy, double *dx, double *dweight,
                               double *dbias)
{
    double mean = 0.0, along = 0.0;
    for (int i = 0; i < WIDTH; i++) {
        dweight[i] += dy[i] * normal[i];
        dbias[i] += dy[i];
        mean += dy[i] * weight[i] / WIDTH;
        along += dy[i] * weight[i] * normal[i] / WIDTH;
    }
    for (int i = 0; i < WIDTH; i++) {
        dx[i] += inverse * (dy[i] * weight[i] - mean - normal[i] * along);
    }
}

/* y (rows) = W x + b */
static inline void linear64(const double *w, const double *b, const double *x, int rows, int cols, double *y)
{
    for (int r = 0; r < rows; r++) {
        y[r] = b[r];
        for (int c = 0; c < cols; c++) {
            y[r] += w[r * cols + c] * x[c];
        }
    }
}

/* dx (cols) = W^T dy; gradients of W and b are added. */
static inline void linear_back64(const double *w, const double *x, const double *dy, int rows, int cols, double *dx, double *dw, double *db)
{
    memset(dx, 0, (size_t)cols * sizeof *dx);
    for (int r = 0; r < rows; r++) {
        db[r] += dy[r];
        for (int c = 0; c < cols; c++) {
            dx[c] += w[r * cols + c] * dy[r];
            dw[r * cols + c] += dy[r] * x[c];
        }
    }
}

/* The loss over the batch `which` at weights w (layout.size); with g not NULL its gradient is left there, 0 where nothing is trained. */
static inline double net_loss64(const net *m, zo_which which, const double *w, double *g)
{
    int first, n;
    double loss = 0.0, at[SIZE] = {0};
    net_range(m, which, &first, &n);
#define OF(array, of) ((array) + m->layout.param[of].offset)
    for (int e = first; e < first + n; e++) {
        double x[BLOCKS + 1][WIDTH], normal[BLOCKS + 1][WIDTH], y[BLOCKS + 1][WIDTH], inverse[BLOCKS + 1];
        double pre[BLOCKS][HIDDEN], h[BLOCKS][HIDDEN], logit[CLASSES];
        memcpy(x[0], OF(w, EMBED) + m->id[e] * WIDTH, sizeof x[0]);
        for (int b = 0; b < BLOCKS; b++) {
            inverse[b] = norm64(x[b], OF(w, of_block(b, NORM_W)), OF(w, of_block(b, NORM_B)), normal[b], y[b]);
            linear64(OF(w, of_block(b, A_W)), OF(w, of_block(b, A_B)), y[b], HIDDEN, WIDTH, pre[b]);
            for (int i = 0; i < HIDDEN; i++) {
                h[b][i] = 0.5 * pre[b][i] * (1.0 + erf(pre[b][i] * M_SQRT1_2));
            }
            linear64(OF(w, of_block(b, B_W)), OF(w, of_block(b, B_B)), h[b], WIDTH, HIDDEN, x[b + 1]);
            for (int i = 0; i < WIDTH; i++) {
                x[b + 1][i] += x[b][i];
            }
        }
        inverse[BLOCKS] = norm64(x[BLOCKS], OF(w, LAST_W), OF(w, LAST_B), normal[BLOCKS], y[BLOCKS]);
        linear64(OF(w, HEAD_W), OF(w, HEAD_B), y[BLOCKS], CLASSES, WIDTH, logit);
        double own = cross_entropy(logit, m->label[e]);
        loss += own / n;
        if (g == NULL) {
            continue;
        }
        double dlogit[CLASSES], dx[WIDTH] = {0}, dy[WIDTH], dh[HIDDEN];
        for (int c = 0; c < CLASSES; c++) {
            dlogit[c] = (exp(logit[c] - logit[m->label[e]] - own) - (c == m->label[e])) / n;
        }
        linear_back64(OF(w, HEAD_W), y[BLOCKS], dlogit, CLASSES, WIDTH, dy, OF(at, HEAD_W), OF(at, HEAD_B));
        norm_back64(inverse[BLOCKS], OF(w, LAST_W), normal[BLOCKS], dy, dx, OF(at, LAST_W), OF(at, LAST_B));
        for (int b = BLOCKS - 1; b >= 0; b--) {
            linear_back64(OF(w, of_block(b, B_W)), h[b], dx, WIDTH, HIDDEN, dh, OF(at, of_block(b, B_W)), OF(at, of_block(b, B_B)));
            for (int i = 0; i < HIDDEN; i++) { /* gelu' = Phi(p) + p phi(p) */
                double p = pre[b][i];
                dh[i] *= 0.5 * (1.0 + erf(p * M_SQRT1_2)) + p * exp(-0.5 * p * p) / sqrt(2.0 * M_PI);
            }
            linear_back64(OF(w, of_block(b, A_W)), y[b], dh, HIDDEN, WIDTH, dy, OF(at, of_block(b, A_W)), OF(at, of_block(b, A_B)));
            norm_back64(inverse[b], OF(w, of_block(b, NORM_W)), normal[b], dy, dx, OF(at, of_block(b, NORM_W)), OF(at, of_block(b, NORM_B)));
        }
        double *row = OF(at, EMBED) + m->id[e] * WIDTH;
        for (int i = 0; i < WIDTH; i++) {
            row[i] += dx[i];
        }
    }
#undef OF
    if (g != NULL) {
        memset(at + m->layout.trained_size, 0, (SIZE - (size_t)m->layout.trained_size) * sizeof *at);
        memcpy(g, at, sizeof at);
    }
    return loss;
}

/* What the engine asks for: the gradient at the stored weights, added. */
static inline zo_status net_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)err;
    const net *m = context;
    double w[SIZE] = {0}, g[SIZE];
    float stored[SIZE];
    zo_store_read(m->be, m->store, 0, m->layout.size, stored);
    for (int64_t i = 0; i < m->layout.size; i++) {
        w[i] = stored[i];
    }
    *loss = net_loss64(m, which, w, g);
    for (int64_t i = 0; i < m->layout.trained_size; i++) {
        grad->data[i] += (float)g[i];
    }
    return ZO_OK;
}

/* The same into a sink, from the last parameter to the first. */
static inline zo_status net_descend(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err)
{
    const net *m = context;
    float values[SIZE] = {0};
    zo_store all = {.layout = &m->layout, .data = values, .size = m->layout.trained_size};
    zo_status status = net_gradient(context, which, &all, loss, err);
    into_sink(sink, &m->layout, values);
    return status;
}

#endif
