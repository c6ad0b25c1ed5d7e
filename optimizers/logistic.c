/* logistic.c: see logistic.h. Truncated Newton: Nocedal and Wright, Numerical Optimization, Algorithm 7.1, with a backtracking search. A product with
 * the Hessian reads the rows once forward and once back, and so does a gradient. */
#include "optimizers/logistic.h"

#include <math.h>
#include <string.h>

#include "core/mem.h"

enum { LANES = 8, STRENGTHS = 10 };

typedef struct solver {
    const zo_logistic *of;
    int64_t size;                      /* of a solution */
    double *g, *step, *left, *along, *product, *scale; /* (size) `scale`: the inverse of the Hessian's diagonal */
    double *z, *moved, *p, *s;         /* (n, classes) W x; of a step or of `along`; softmax; what goes back */
} solver;

static int columns(const zo_logistic *q)
{
    return q->width + q->bias;
}

int64_t zo_logistic_size(const zo_logistic *q)
{
    return (int64_t)q->classes * columns(q);
}

static bool is_fitted(const zo_logistic *q, int64_t row)
{
    return q->fold == NULL || q->fold[row] != q->without;
}

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

/* A sum in lanes: one order, and the compiler may run them side by side. */
static double dot_row(const float *x, const double *w, int n)
{
    double lane[LANES] = {0}, sum = 0.0;
    int i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            lane[k] += (double)x[i + k] * w[i + k];
        }
    }
    for (; i < n; i++) {
        lane[i % LANES] += (double)x[i] * w[i];
    }
    for (int k = 0; k < LANES; k++) {
        sum += lane[k];
    }
    return sum;
}

/* z (n, classes) = W x_i + b */
static void forward(const zo_logistic *q, const double *w, double *z)
{
    for (int64_t i = 0; i < q->n; i++) {
        for (int k = 0; k < q->classes; k++) {
            const double *row = w + (int64_t)k * columns(q);
            z[i * q->classes + k] = dot_row(q->x + i * q->width, row, q->width) + (q->bias ? row[q->width] : 0.0);
        }
    }
}

/* out = C sum_i s_i x_i^T over the fitted rows, and + w where there is an L2 term. */
static void backward(const zo_logistic *q, const double *s, const double *w, double *out)
{
    for (int64_t j = 0; j < zo_logistic_size(q); j++) {
        out[j] = j % columns(q) < q->width ? w[j] : 0.0;
    }
    for (int64_t i = 0; i < q->n; i++) {
        const float *x = q->x + i * q->width;
        for (int k = 0; k < q->classes && is_fitted(q, i); k++) {
            double *row = out + (int64_t)k * columns(q), a = q->strength * s[i * q->classes + k];
            for (int j = 0; j < q->width; j++) {
                row[j] += a * (double)x[j];
            }
            if (q->bias) {
                row[q->width] += a;
            }
        }
    }
}

/* p (classes) = softmax(z + t moved), the second NULL = without it; returns -log p[label]. */
static double softmax(const zo_logistic *q, int64_t row, const double *z, const double *moved, double t, double *p)
{
    double most = -INFINITY, sum = 0.0;
    for (int k = 0; k < q->classes; k++) {
        int64_t at = row * q->classes + k;
        p[k] = z[at] + (moved != NULL ? t * moved[at] : 0.0);
        most = p[k] > most ? p[k] : most;
    }
    double right = p[q->label[row]];
    for (int k = 0; k < q->classes; k++) {
        p[k] = exp(p[k] - most);
        sum += p[k];
    }
    for (int k = 0; k < q->classes; k++) {
        p[k] /= sum;
    }
    return log(sum) - (right - most);
}

/* Squares of W, without b: w w, or w v. */
static double penalty(const zo_logistic *q, const double *w, const double *v)
{
    double sum = 0.0;
    for (int k = 0; k < q->classes; k++) {
        sum += dot(w + (int64_t)k * columns(q), v + (int64_t)k * columns(q), q->width);
    }
    return sum;
}

/* C times the sum of the fitted rows' losses at z + t moved; p (n, classes) their softmax. */
static double data_loss(const zo_logistic *q, const double *z, const double *moved, double t, double *p)
{
    double sum = 0.0;
    for (int64_t i = 0; i < q->n; i++) {
        double loss = softmax(q, i, z, moved, t, p + i * q->classes);
        sum += is_fitted(q, i) ? loss : 0.0;
    }
    return q->strength * sum;
}

/* From s->p the gradient at w. */
static void gradient(const solver *s, const double *w)
{
    const zo_logistic *q = s->of;
    for (int64_t i = 0; i < q->n; i++) {
        for (int k = 0; k < q->classes; k++) {
            s->s[i * q->classes + k] = s->p[i * q->classes + k] - (k == q->label[i]);
        }
    }
    backward(q, s->s, w, s->g);
}

/* s->product = the Hessian times v: per row (diag(p) - p p^T) z', z' = V x. */
static void hessian(const solver *s, const double *v)
{
    const zo_logistic *q = s->of;
    forward(q, v, s->moved);
    for (int64_t i = 0; i < q->n; i++) {
        const double *p = s->p + i * q->classes, *z = s->moved + i * q->classes;
        double mean = dot(p, z, q->classes);
        for (int k = 0; k < q->classes; k++) {
            s->s[i * q->classes + k] = p[k] * (z[k] - mean);
        }
    }
    backward(q, s->s, v, s->product);
}

/* s->scale from s->p. Some features are a hundred times as long as others, in every language model; with this no iterations go into that. */
static void precondition(const solver *s)
{
    const zo_logistic *q = s->of;
    for (int64_t j = 0; j < s->size; j++) {
        s->scale[j] = j % columns(q) < q->width ? 1.0 : 1e-300;
    }
    for (int64_t i = 0; i < q->n; i++) {
        const float *x = q->x + i * q->width;
        for (int k = 0; k < q->classes && is_fitted(q, i); k++) {
            double *row = s->scale + (int64_t)k * columns(q), p = s->p[i * q->classes + k], a = q->strength * p * (1.0 - p);
            for (int j = 0; j < q->width; j++) {
                row[j] += a * ((double)x[j] * (double)x[j]);
            }
            if (q->bias) {
                row[q->width] += a;
            }
        }
    }
    for (int64_t j = 0; j < s->size; j++) {
        s->scale[j] = 1.0 / s->scale[j];
    }
}

static double dot_scaled(const double *a, const double *b, const double *scale, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += a[i] * b[i] * scale[i];
    }
    return sum;
}

/* s->step solves Hessian step = -g to `share` of the gradient's scaled norm; uses up `left` iterations. */
static void newton_step(const solver *s, double share, int64_t *left)
{
    int64_t n = s->size;
    precondition(s);
    double squares = dot_scaled(s->g, s->g, s->scale, n), norm = sqrt(squares);
    for (int64_t j = 0; j < n; j++) {
        s->step[j] = 0.0;
        s->left[j] = -s->g[j];
        s->along[j] = s->scale[j] * s->left[j];
    }
    while (*left > 0 && sqrt(squares) > share * norm) {
        --*left;
        hessian(s, s->along);
        double curvature = dot(s->along, s->product, n);
        if (!(curvature > 0.0)) {
            return; /* rounding: what there is goes down */
        }
        double far = squares / curvature, before = squares;
        for (int64_t j = 0; j < n; j++) {
            s->step[j] += far * s->along[j];
            s->left[j] -= far * s->product[j];
        }
        squares = dot_scaled(s->left, s->left, s->scale, n);
        for (int64_t j = 0; j < n; j++) {
            s->along[j] = s->scale[j] * s->left[j] + squares / before * s->along[j];
        }
    }
}

/* w and s->z move along s->step as far as the objective falls; false where it falls nowhere. *value is the new one. */
static bool search(const solver *s, double *w, double *value)
{
    const zo_logistic *q = s->of;
    double slope = dot(s->g, s->step, s->size), ww = penalty(q, w, w), ws = penalty(q, w, s->step), ss = penalty(q, s->step, s->step);
    forward(q, s->step, s->moved);
    for (double t = 1.0; t > 1e-10; t /= 2.0) {
        double there = data_loss(q, s->z, s->moved, t, s->p) + 0.5 * (ww + 2.0 * t * ws + t * t * ss);
        if (there <= *value + 1e-4 * t * slope + 1e-13 * fabs(*value)) { /* at the end all there is between two values is rounding */
            for (int64_t j = 0; j < s->size; j++) {
                w[j] += t * s->step[j];
            }
            for (int64_t j = 0; j < q->n * q->classes; j++) {
                s->z[j] += t * s->moved[j];
            }
            *value = there;
            return true;
        }
    }
    return false;
}

static double largest(const double *x, int64_t n)
{
    double most = 0.0;
    for (int64_t j = 0; j < n; j++) {
        most = fmax(most, fabs(x[j]));
    }
    return most;
}

static int64_t numbers(int64_t n, int width, int classes, bool bias)
{
    return 6 * (int64_t)classes * (width + bias) + 4 * n * classes;
}

uint64_t zo_logistic_fit_bytes(int64_t n, int width, int classes, bool bias)
{
    return (uint64_t)numbers(n, width, classes, bias) * sizeof(double);
}

/* The same number added to every class's b changes nothing; of all those the one whose mean is 0 is taken. */
static void center(const zo_logistic *q, double *w)
{
    double mean = 0.0;
    for (int k = 0; k < q->classes && q->bias; k++) {
        mean += w[(int64_t)k * columns(q) + q->width] / q->classes;
    }
    for (int k = 0; k < q->classes && q->bias; k++) {
        w[(int64_t)k * columns(q) + q->width] -= mean;
    }
}

static zo_status solve(const solver *s, double *w, zo_err *err)
{
    const zo_logistic *q = s->of;
    int64_t left = q->iterations;
    double first = 0.0;
    forward(q, w, s->z);
    double value = data_loss(q, s->z, NULL, 0.0, s->p) + 0.5 * penalty(q, w, w);
    for (;;) {
        gradient(s, w);
        double most = largest(s->g, s->size), norm = sqrt(dot(s->g, s->g, s->size));
        if (!isfinite(value) || !isfinite(norm)) {
            return zo_fail(err, ZO_EDIVERGED, "a logistic regression's objective is %g: the features are not finite", value);
        }
        if (most <= q->tolerance || left == 0) {
            break;
        }
        double before = value;
        first = first == 0.0 ? norm : first;
        newton_step(s, fmin(0.5, sqrt(norm / first) / 2.0), &left);
        if (!search(s, w, &value) || before - value <= q->least_fall * fmax(fabs(before), 1.0)) {
            break;
        }
    }
    center(q, w);
    return ZO_OK;
}

zo_status zo_logistic_fit(const zo_logistic *q, double *w, zo_err *err)
{
    int64_t size = zo_logistic_size(q), of_rows = q->n * q->classes;
    double *all = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)numbers(q->n, q->width, q->classes, q->bias) * sizeof *all), *rows = all + 6 * size;
    solver s = {q, size, all, all + size, all + 2 * size, all + 3 * size, all + 4 * size, all + 5 * size, rows, rows + of_rows, rows + 2 * of_rows, rows + 3 * of_rows};
    zo_status status = solve(&s, w, err);
    zo_free(all);
    return status;
}

double zo_logistic_loss(const zo_logistic *q, const double *w, double *g)
{
    int64_t of_rows = q->n * q->classes;
    double *all = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)of_rows * 3 * sizeof *all), sum = 0.0;
    solver s = {.of = q, .size = zo_logistic_size(q), .g = g, .z = all, .p = all + of_rows, .s = all + 2 * of_rows};
    forward(q, w, s.z);
    for (int64_t i = 0; i < q->n; i++) {
        sum += softmax(q, i, s.z, NULL, 0.0, s.p + i * q->classes);
    }
    if (g != NULL) {
        gradient(&s, w);
    }
    zo_free(all);
    return sum / (double)q->n;
}

/* ---- the strength ------------------------------------------------------------------------------------------------------- */

/* Rows in the order of their classes, and the classes in that of their first rows, are dealt out to the folds in turn. So a fold gets as many of a
 * class as it is dealt, and these are that class's next rows. */
void zo_logistic_folds(const int32_t *label, int64_t n, int folds, int32_t *fold)
{
    int64_t dealt = 0;
    for (int64_t i = 0; i < n; i++) {
        fold[i] = -1;
    }
    for (int64_t first = 0; first < n; first++) {
        int64_t rows = 0, at = first;
        for (int64_t i = first; i < n && fold[first] < 0; i++) {
            rows += label[i] == label[first];
        }
        for (int f = 0; f < folds && rows > 0; f++) {
            int64_t turn = (f - dealt % folds + folds) % folds;
            for (int64_t share = rows > turn ? (rows - turn + folds - 1) / folds : 0; share > 0; at++) {
                fold[at] = label[at] == label[first] ? f : fold[at];
                share -= label[at] == label[first];
            }
        }
        dealt += rows;
    }
}

static double accuracy(const zo_logistic *q, const double *w, double *z)
{
    int64_t right = 0, n = 0;
    forward(q, w, z);
    for (int64_t i = 0; i < q->n; i++) {
        const double *of = z + i * q->classes;
        int best = 0;
        for (int k = 1; k < q->classes; k++) {
            best = of[k] > of[best] ? k : best;
        }
        right += !is_fitted(q, i) && best == q->label[i];
        n += !is_fitted(q, i);
    }
    return n > 0 ? (double)right / (double)n : 0.0;
}

uint64_t zo_logistic_choose_bytes(int64_t n, int width, int classes, bool bias)
{
    return (uint64_t)n * sizeof(int32_t) + (uint64_t)(n * classes + (int64_t)classes * (width + bias)) * sizeof(double);
}

zo_status zo_logistic_check(const zo_logistic *q, int folds, zo_err *err)
{
    int least = folds > 0 ? 2 : 1;
    if (q->n < folds) {
        return zo_fail(err, ZO_EINPUT, "%lld training rows are less than %d folds of cross-validation: train on more rows, or give a \"strength\"",
                       (long long)q->n, folds);
    }
    for (int k = 0; k < q->classes; k++) {
        int64_t rows = 0;
        for (int64_t i = 0; i < q->n; i++) {
            rows += q->label[i] == k;
        }
        if (rows < least) {
            return zo_fail(err, ZO_EINPUT, "class %d has %lld training rows, and a logistic regression needs %d at least%s: train on more rows%s", k,
                           (long long)rows, least, folds > 0 ? " for cross-validation" : "", folds > 0 ? ", or give a \"strength\"" : "");
        }
    }
    return ZO_OK;
}

zo_status zo_logistic_choose(const zo_logistic *problem, int folds, double *strength, zo_err *err)
{
    zo_logistic q = *problem;
    zo_status status = ZO_OK;
    int32_t *fold = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)q.n * sizeof *fold);
    int64_t size = zo_logistic_size(&q);
    double *w = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(size + q.n * q.classes) * sizeof *w), mean[STRENGTHS] = {0};
    int best = 0;
    zo_logistic_folds(q.label, q.n, folds, fold);
    q.fold = fold;
    for (q.without = 0; q.without < folds && status == ZO_OK; q.without++) {
        memset(w, 0, (size_t)size * sizeof *w);
        for (int c = 0; c < STRENGTHS && status == ZO_OK; c++) { /* from the solution of the strength before */
            q.strength = pow(10.0, -4.0 + 8.0 * c / (STRENGTHS - 1));
            status = zo_logistic_fit(&q, w, err);
            mean[c] += accuracy(&q, w, w + size) / folds;
        }
    }
    for (int c = 1; c < STRENGTHS; c++) {
        best = mean[c] > mean[best] ? c : best;
    }
    *strength = pow(10.0, -4.0 + 8.0 * best / (STRENGTHS - 1));
    zo_free(w);
    zo_free(fold);
    return status;
}
