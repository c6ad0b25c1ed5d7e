/* singular.c: see singular.h. Runs once per training run, before the first step.
 *
 * G = W^T W (or W W^T, of the shorter side) is made in f32, and the vectors of its largest eigenvalues by subspace iteration: multiply, make
 * orthonormal, and rotate to the best directions (Rayleigh-Ritz), which gives theta_1 >= theta_2 >= .. with theta_i <= lambda_i = sigma_i^2. That bounds
 * a count from below. What bounds it from above is a Cholesky factor. With t = threshold^2, k = #{theta_i >= t theta_1}, Q the k vectors and s, mu numbers:
 *
 *     mu I - G + Q diag(theta_i - mu + s) Q^T is positive definite
 *     =>  lambda_{k+1} < mu   and   lambda_1 < theta_1 + s
 *
 * so with mu = t theta_1, and s such that t (theta_1 + s) = theta_k, exactly k are counted. Where k reaches `most`, lambda_1 alone is asked for:
 * (theta_1 + s) I - G. Rounding is a margin on both sides, of the sizes that sums of f32 have (margin_of); what it leaves open goes to float64. */
#include "optimizers/engine/singular.h"

#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <string.h>

#include "backends/sgemm.h"
#include "core/rng.h"

enum { PANEL = 256, TILE = 256, FACTOR = 128, SPARE = 32, ROUNDS = 12 };

/* The Gram matrix in float64 ------------------------------------------------------------------------------------------------------- */

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

static void *room(int64_t n, size_t size)
{
    return zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)n * size);
}

int zo_singular_count_all(zo_backend *be, const zo_store *store, int param, double threshold, int most)
{
    const zo_param *p = &store->layout->param[param];
    bool tall = p->rows >= p->cols;
    int64_t n = tall ? p->cols : p->rows;
    int64_t panel_rows = tall && p->rows > PANEL ? PANEL : p->rows;
    float *panel = room(panel_rows * p->cols, sizeof *panel);
    double *gram = room(n * n, sizeof *gram), *value = room(n, sizeof *value);
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
    double *work = room(nwork, sizeof *work);
    lapack_int iwork;
    int info = (int)LAPACKE_dsyevd_work(LAPACK_COL_MAJOR, 'N', 'U', order, gram, order, value, work, nwork, &iwork, niwork);
    ZO_CHECK(info == 0, "dsyevd of the Gram matrix of %s failed with %d", p->name, info);
    int count = 0;
    for (int64_t i = 0; i < n && count < most; i++) { /* ascending eigenvalues = squared singular values */
        count += value[n - 1 - i] >= threshold * threshold * value[n - 1];
    }
    zo_free(panel);
    zo_free(gram);
    zo_free(value);
    zo_free(work);
    return count > 0 ? count : 1;
}

/* Products in f32 ------------------------------------------------------------------------------------------------------------------ */

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* c (m,n) = beta c + scale op(a) op(b), row-major, by tiles that do not depend on the number of threads. lower: tiles above the diagonal stay. */
static void product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, float scale, const float *a, int64_t lda, const float *b, int64_t ldb, float beta,
                    float *c, int64_t ldc, bool lower)
{
    int64_t across = (n + TILE - 1) / TILE, tiles = (m + TILE - 1) / TILE * across;
#pragma omp parallel for schedule(dynamic) if (tiles > 1)
    for (int64_t t = 0; t < tiles; t++) {
        int64_t i = t / across * TILE, j = t % across * TILE;
        if (!lower || j <= i) {
            zo_sgemm(ta, tb, min64(TILE, m - i), min64(TILE, n - j), k, scale, a + (ta ? i : i * lda), lda, b + (tb ? j * ldb : j), ldb, beta,
                     c + i * ldc + j, ldc);
        }
    }
}

/* (n,n), both triangles */
static float *gram_of(zo_backend *be, const zo_store *store, int param, int64_t n)
{
    const zo_param *p = &store->layout->param[param];
    float *gram = room(n * n, sizeof *gram);
    bool tall = n == p->cols;
    int64_t most = tall ? min64(p->rows, 4 * PANEL) : p->rows;
    float *panel = room(most * p->cols, sizeof *panel);
    for (int64_t at = 0; at < p->rows; at += most) {
        int64_t rows = min64(most, p->rows - at);
        zo_store_get_rows(be, store, param, at, rows, panel);
        product(tall, !tall, n, n, tall ? rows : p->cols, 1.0f, panel, p->cols, panel, p->cols, at > 0 ? 1.0f : 0.0f, gram, n, true);
    }
    zo_free(panel);
#pragma omp parallel for schedule(dynamic, 64)
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i + 1; j < n; j++) {
            gram[i * n + j] = gram[j * n + i];
        }
    }
    return gram;
}

/* Subspace iteration ----------------------------------------------------------------------------------------------------------------- */

typedef struct subspace {
    int64_t n, b;
    const float *gram;    /* (n,n) */
    float *q, *y, *spare; /* (b,n): orthonormal rows, in the order of theta; q G; the next ones */
    float *h, *theta;     /* (b,b); (b), falling */
    float *tau, *work;    /* of LAPACK */
    lapack_int nwork;
} subspace;

static void subspace_open(subspace *s, const float *gram, int64_t n, int64_t b)
{
    *s = (subspace){.n = n, .b = b, .gram = gram, .nwork = (lapack_int)(64 * b)};
    s->q = room(b * n, sizeof *s->q);
    s->y = room(b * n, sizeof *s->y);
    s->spare = room(b * n, sizeof *s->spare);
    s->h = room(b * b, sizeof *s->h);
    s->theta = room(b, sizeof *s->theta);
    s->tau = room(b, sizeof *s->tau);
    s->work = room(s->nwork, sizeof *s->work);
    zo_normals((zo_stream){.seed = 1, .role = ZO_ROLE_DATA}, 0, (long)(b * n), s->q);
}

static void subspace_close(subspace *s)
{
    float *all[] = {s->q, s->y, s->spare, s->h, s->theta, s->tau, s->work};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        zo_free(all[i]);
    }
}

/* x (b,n): rows made orthonormal, each against those before it. By columns that is a matrix (n,b). */
static void orthonormalise(subspace *s, float *x)
{
    lapack_int n = (lapack_int)s->n, b = (lapack_int)s->b;
    int first = (int)LAPACKE_sgeqrf_work(LAPACK_COL_MAJOR, n, b, x, n, s->tau, s->work, s->nwork);
    int second = (int)LAPACKE_sorgqr_work(LAPACK_COL_MAJOR, n, b, b, x, n, s->tau, s->work, s->nwork);
    ZO_CHECK(first == 0 && second == 0, "sgeqrf and sorgqr failed with %d and %d", first, second);
}

static void multiply(const subspace *s, const float *x, float *y)
{
    product(false, false, s->b, s->n, s->n, 1.0f, x, s->n, s->gram, s->n, 0.0f, y, s->n, false);
}

/* y (b,n) = h x */
static void rotate(const subspace *s, const float *x, float *y)
{
    product(false, false, s->b, s->n, s->b, 1.0f, s->h, s->b, x, s->n, 0.0f, y, s->n, false);
}

/* One more round: the span of q, multiplied twice, then y, theta and q anew. */
static void subspace_round(subspace *s)
{
    int64_t n = s->n, b = s->b;
    multiply(s, s->q, s->y);
    multiply(s, s->y, s->spare);
    orthonormalise(s, s->spare);
    multiply(s, s->spare, s->y);
    product(false, true, b, b, n, 1.0f, s->spare, n, s->y, n, 0.0f, s->h, b, false);
    lapack_int order = (lapack_int)b;
    int info = (int)LAPACKE_ssyev_work(LAPACK_COL_MAJOR, 'V', 'U', order, s->h, order, s->theta, s->work, s->nwork);
    ZO_CHECK(info == 0, "ssyev failed with %d", info);
    for (int64_t i = 0; i < b / 2; i++) { /* rising to falling; eigenvector i is row i of h */
        float theta = s->theta[i];
        s->theta[i] = s->theta[b - 1 - i];
        s->theta[b - 1 - i] = theta;
        for (int64_t j = 0; j < b; j++) {
            float x = s->h[i * b + j];
            s->h[i * b + j] = s->h[(b - 1 - i) * b + j];
            s->h[(b - 1 - i) * b + j] = x;
        }
    }
    rotate(s, s->spare, s->q);
    rotate(s, s->y, s->spare);
    float *y = s->y;
    s->y = s->spare;
    s->spare = y;
}

/* sum over the first k of |G q_i - theta_i q_i|^2 */
static double residual(const subspace *s, int64_t k)
{
    double sum = 0.0;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < s->n; j++) {
            double r = s->y[i * s->n + j] - (double)s->theta[i] * s->q[i * s->n + j];
            sum += r * r;
        }
    }
    return sum;
}

/* Whether m (n,n), of which the lower triangle is read and overwritten, has a Cholesky factor in f32. */
static bool is_positive(float *m, int64_t n)
{
    float *inverse = room(FACTOR * FACTOR, sizeof *inverse), *below = room(n * FACTOR, sizeof *below);
    bool positive = true;
    for (int64_t j = 0; j < n && positive; j += FACTOR) {
        int64_t nb = min64(FACTOR, n - j), rest = n - j - nb;
        for (int64_t i = 0; i < nb; i++) { /* by columns the upper triangle */
            for (int64_t l = 0; l < nb; l++) {
                inverse[i * nb + l] = l <= i ? m[(j + i) * n + j + l] : 0.0f;
            }
        }
        lapack_int order = (lapack_int)nb;
        positive = LAPACKE_spotrf_work(LAPACK_COL_MAJOR, 'U', order, inverse, order) == 0;
        if (positive && rest > 0) {
            positive = LAPACKE_strtri_work(LAPACK_COL_MAJOR, 'U', 'N', order, inverse, order) == 0;
            product(false, true, rest, nb, nb, 1.0f, m + (j + nb) * n + j, n, inverse, nb, 0.0f, below, nb, false);
            product(false, true, rest, rest, nb, -1.0f, below, nb, below, nb, 1.0f, m + (j + nb) * n + j + nb, n, true);
        }
    }
    zo_free(inverse);
    zo_free(below);
    return positive;
}

/* mu I - G + Q diag(theta_i - mu + s) Q^T for the first k vectors: see the head. */
static bool is_below(const subspace *v, int64_t k, double mu, double s)
{
    int64_t n = v->n;
    float *m = room(n * n, sizeof *m);
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < n; j++) {
            v->spare[i * n + j] = (float)(v->theta[i] - mu + s) * v->q[i * n + j];
        }
    }
#pragma omp parallel for
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j <= i; j++) {
            m[i * n + j] = (float)((i == j ? mu : 0.0) - v->gram[i * n + j]);
        }
    }
    if (k > 0) {
        product(true, false, n, n, k, 1.0f, v->q, n, v->spare, n, 1.0f, m, n, true);
    }
    bool below = is_positive(m, n);
    zo_free(m);
    return below;
}

/* By how much an eigenvalue may be off. A sum of f32 is off by about 2^-24 of the sum of its magnitudes, and errors of n^2 sums that know nothing of each
 * other make a matrix of norm 2 sqrt(n) times one of them: the first part, of G, four times over. The second is that of the later steps. */
static double margin_of(const subspace *s)
{
    double trace = 0.0;
    for (int64_t i = 0; i < s->n; i++) {
        trace += s->gram[i * (s->n + 1)];
    }
    return FLT_EPSILON * (4.0 * trace / sqrt((double)s->n) + 32.0 * s->theta[0]);
}

int zo_singular_count(zo_backend *be, const zo_store *store, int param, double threshold, int most, bool *all)
{
    const zo_param *p = &store->layout->param[param];
    int64_t n = min64(p->rows, p->cols), b = (int64_t)most + SPARE;
    bool known = false, ignored;
    int64_t k = 0;
    all = all != NULL ? all : &ignored;
    *all = 2 * b > n;
    if (*all || threshold == 0.0) {
        return threshold == 0.0 ? (int)min64(n, most) : zo_singular_count_all(be, store, param, threshold, most);
    }
    subspace s;
    float *gram = gram_of(be, store, param, n);
    subspace_open(&s, gram, n, b);
    double t = threshold * threshold;
    for (int round = 0; round < ROUNDS && !known; round++) {
        subspace_round(&s);
        double top = s.theta[0], margin = margin_of(&s);
        if (!(top > FLT_MIN / FLT_EPSILON) || !isfinite(top)) {
            break; /* out of the range of squares in f32 */
        }
        for (k = 1; k < most && s.theta[k] >= t * top; k++) {
        }
        double slack = k == 1 ? top : (s.theta[k - 1] - margin) / t - margin - top; /* the first one counts whatever it is */
        double mu = t * (top - margin) - margin;
        if (k == most) {
            known = slack * slack > residual(&s, 1) && slack > 0.0 && is_below(&s, 0, top + slack, 0.0);
        } else {
            known = slack > 0.0 && slack * (mu - s.theta[k]) > 2.0 * residual(&s, k) && mu > s.theta[k] && is_below(&s, k, mu, slack);
        }
    }
    subspace_close(&s);
    zo_free(gram);
    *all = !known;
    return known ? (int)k : zo_singular_count_all(be, store, param, threshold, most);
}
