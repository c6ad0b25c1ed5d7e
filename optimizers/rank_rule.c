/* rank_rule.c: see rank_rule.h. Runs once per training run, before the first step. */
#include "optimizers/rank_rule.h"

#include <lapacke.h>

enum { PANEL = 256 }; /* rows read from the backend at a time */

/* gram (cols, cols) lower triangle += panel^T panel, panel (rows, cols) */
static void gram_of_columns(const float *panel, int64_t rows, int64_t cols, double *gram)
{
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < cols; i++) {
        double *out = gram + i * cols;
        for (int64_t r = 0; r < rows; r++) {
            const float *w = panel + r * cols;
            double wi = w[i];
            for (int64_t j = 0; j <= i; j++) {
                out[j] += wi * w[j];
            }
        }
    }
}

/* gram (rows, rows) lower triangle = w w^T, w (rows, cols) */
static void gram_of_rows(const float *w, int64_t rows, int64_t cols, double *gram)
{
#pragma omp parallel for schedule(dynamic, 8)
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j <= i; j++) {
            const float *a = w + i * cols, *b = w + j * cols;
            double sum = 0.0;
            for (int64_t k = 0; k < cols; k++) {
                sum += (double)a[k] * b[k];
            }
            gram[i * rows + j] = sum;
        }
    }
}

int zo_rank_count(zo_backend *be, const zo_store *store, int param, double threshold)
{
    const zo_param *p = &store->layout->param[param];
    bool tall = p->rows >= p->cols;
    int64_t n = tall ? p->cols : p->rows;
    int64_t panel_rows = tall && p->rows > PANEL ? PANEL : p->rows;
    float *panel = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(panel_rows * p->cols) * sizeof *panel);
    double *gram = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(n * n) * sizeof *gram);
    double *value = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)n * sizeof *value);
    for (int64_t at = 0; at < p->rows; at += panel_rows) {
        int64_t rows = p->rows - at < panel_rows ? p->rows - at : panel_rows;
        zo_store_get_rows(be, store, param, at, rows, panel);
        if (tall) {
            gram_of_columns(panel, rows, p->cols, gram);
        } else {
            gram_of_rows(panel, rows, p->cols, gram);
        }
    }
    /* The lower triangle by rows is the upper one by columns, which LAPACK takes as it is: no copy of n x n, and work space of ours. */
    lapack_int order = (lapack_int)n, nwork = 2 * order + 1, niwork = 1; /* what 'N' needs */
    double *work = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)nwork * sizeof *work);
    lapack_int iwork;
    int info = (int)LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'N', 'U', order, gram, order, value, work, nwork, &iwork, niwork);
    ZO_CHECK(info == 0, "dsyevd of the Gram matrix of %s failed with %d", p->name, info);
    int count = 0;
    for (int64_t i = 0; i < n; i++) { /* ascending eigenvalues = squared singular values */
        count += value[i] >= threshold * threshold * value[n - 1];
    }
    zo_free(panel);
    zo_free(gram);
    zo_free(value);
    zo_free(work);
    return count > 0 ? count : 1;
}

static bool is_factored(const zo_param *p, const zo_factor_spec *spec)
{
    return !p->frozen && (p->kind == ZO_PARAM_MATRIX || (p->kind == ZO_PARAM_TABLE && spec->tables != ZO_TABLES_REST));
}

static bool is_frozen(const zo_param *p, const zo_factor_spec *spec)
{
    return p->kind == ZO_PARAM_TABLE && spec->tables == ZO_TABLES_FREEZE;
}

int zo_rank_most(const zo_param *p, const zo_factor_spec *spec)
{
    int64_t side = p->rows < p->cols ? p->rows : p->cols;
    int wish = is_frozen(p, spec) ? 1 : spec->rank > 0 ? spec->rank : spec->rank_max;
    return !is_factored(p, spec) ? 0 : wish < side ? wish : (int)side;
}

void zo_rank_choose(zo_backend *be, const zo_store *store, const zo_factor_spec *spec, int *rank)
{
    const zo_layout *layout = store->layout;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        bool ruled = spec->rank == 0 && is_factored(p, spec) && !is_frozen(p, spec);
        rank[t] = ruled ? zo_rank_count(be, store, t, spec->threshold) : zo_rank_most(p, spec);
    }
    if (spec->rank > 0) {
        return;
    }
    /* the least of a block; parameters outside the blocks keep their own; then r_max */
    for (int t = 0; t < layout->n; t++) {
        int block = layout->param[t].block;
        if (layout->param[t].kind != ZO_PARAM_MATRIX || rank[t] == 0 || block < 0) {
            continue;
        }
        for (int s = 0; s < layout->n; s++) {
            if (layout->param[s].block == block && layout->param[s].kind == ZO_PARAM_MATRIX && rank[s] > 0 && rank[s] < rank[t]) {
                rank[t] = rank[s];
            }
        }
    }
    for (int t = 0; t < layout->n; t++) {
        rank[t] = rank[t] < spec->rank_max ? rank[t] : spec->rank_max;
    }
}
