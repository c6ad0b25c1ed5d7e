/* subzo.h: twins of SubZO (SubZero, arXiv 2410.08989; zimingyy/SubZero): Z = mu U S V^T, U and V orthonormal, made of normals every F steps, S ~
 * N(0, 1) of r x r at each step, mu = sqrt(rows cols) / r; what is no matrix gets a full Gaussian. w <- w - lr pg Z. And of SubZero+ (arXiv
 * 2608.15665): K one-sided queries, whose mean core is the gradient of SGD or Adam in r x r numbers. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_SUBZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_SUBZO_H

#include "tests/optimizers/twins/lozo.h"

/* Columns of x (n, r) made orthonormal, one after another: Q of x = Q R with R's diagonal above 0. */
static inline void orthonormal(double *x, int64_t n, int r)
{
    for (int s = 0; s < r; s++) {
        double norm = 0.0;
        for (int before = 0; before < s; before++) {
            double along = 0.0;
            for (int64_t i = 0; i < n; i++) {
                along += x[i * r + before] * x[i * r + s];
            }
            for (int64_t i = 0; i < n; i++) {
                x[i * r + s] -= along * x[i * r + before];
            }
        }
        for (int64_t i = 0; i < n; i++) {
            norm += x[i * r + s] * x[i * r + s];
        }
        for (int64_t i = 0; i < n; i++) {
            x[i * r + s] /= sqrt(norm);
        }
    }
}

/* Rank of a parameter, 0 = it has no factors. */
static inline int subzo_rank(const twin *t, const zo_param *p)
{
    return factored_rank(t, p, 8);
}

static inline void twin_subzo(twin *t)
{
    double z[SIZE];
    bool has[PARAMS];
    for (int k = 0; k < PARAMS; k++) {
        has[k] = subzo_rank(t, &t->net->layout.param[k]) > 0;
    }
    draw_on(t, t->step, 0, 0, has, z);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = subzo_rank(t, p);
        double u[VOCAB * LOZO_RANKS], v[VOCAB * LOZO_RANKS], core[LOZO_RANKS * LOZO_RANKS], us[VOCAB * LOZO_RANKS] = {0.0};
        if (r == 0) {
            continue;
        }
        lozo_factor(t, p, "U", lozo_period(t, t->step), 0, p->rows * r, u);
        lozo_factor(t, p, "V", lozo_period(t, t->step), 0, p->cols * r, v);
        lozo_factor(t, p, "S", wrong(t, "one S") ? 0 : t->step, 0, r * r, core);
        if (!wrong(t, "U and V are not orthonormal")) {
            orthonormal(u, p->rows, r);
            orthonormal(v, p->cols, r);
        }
        for (int64_t i = 0; i < p->rows * r; i++) {
            for (int s = 0; s < r; s++) {
                us[i] += u[i / r * r + s] * core[wrong(t, "S is transposed") ? i % r * r + s : s * r + i % r];
            }
        }
        bool aligned = flag(t, "align", true) != wrong(t, "the other scale");
        outer(p, r, aligned ? sqrt((double)(p->rows * p->cols)) / r : 1.0, us, v, z);
    }
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, z);
}

/* x (n, r) <- Q of x = Q R by Householder's reflections, with the signs that come of them: each reflection takes a column to the side that is away from
 * its own first number. */
static inline void householder(double *x, int64_t n, int r)
{
    double v[LOZO_RANKS][VOCAB] = {{0.0}}, q[VOCAB * LOZO_RANKS] = {0.0};
    for (int s = 0; s < r; s++) {
        double norm = 0.0, square = 0.0;
        for (int64_t i = s; i < n; i++) {
            v[s][i] = x[i * r + s];
            norm += v[s][i] * v[s][i];
        }
        v[s][s] += v[s][s] > 0.0 ? sqrt(norm) : -sqrt(norm);
        for (int64_t i = s; i < n; i++) {
            square += v[s][i] * v[s][i];
        }
        for (int k = s; k < r; k++) {
            double along = 0.0;
            for (int64_t i = s; i < n; i++) {
                along += 2.0 * v[s][i] * x[i * r + k] / square;
            }
            for (int64_t i = s; i < n; i++) {
                x[i * r + k] -= along * v[s][i];
            }
        }
        for (int64_t i = s; i < n; i++) {
            v[s][i] /= sqrt(square);
        }
    }
    for (int k = 0; k < r; k++) { /* Q = H_1 H_2 .. of unit vectors */
        q[k * r + k] = 1.0;
        for (int s = r - 1; s >= 0; s--) {
            double along = 0.0;
            for (int64_t i = s; i < n; i++) {
                along += 2.0 * v[s][i] * q[i * r + k];
            }
            for (int64_t i = s; i < n; i++) {
                q[i * r + k] -= along * v[s][i];
            }
        }
    }
    memcpy(x, q, (size_t)(n * r) * sizeof *x);
}

/* U and V of a matrix at this step's period. */
static inline void subzero_plus_basis(twin *t, const zo_param *p, int r, double *u, double *v)
{
    lozo_factor(t, p, "U", lozo_period(t, t->step), 0, p->rows * r, u);
    lozo_factor(t, p, "V", lozo_period(t, t->step), 0, p->cols * r, v);
    bool haar = flag(t, "haar", true) != wrong(t, "the other signs of U and V");
    haar ? orthonormal(u, p->rows, r) : householder(u, p->rows, r);
    haar ? orthonormal(v, p->cols, r) : householder(v, p->cols, r);
}

/* U C V^T of every matrix, scaled; C of the parameter k stands at core[k]. On the rest its numbers in `rest`. */
static inline void between(twin *t, double (*core)[LOZO_RANKS * LOZO_RANKS], const double *rest, double *z)
{
    memcpy(z, rest, SIZE * sizeof *z);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = factored_rank(t, p, 24);
        double u[VOCAB * LOZO_RANKS], v[VOCAB * LOZO_RANKS], uc[VOCAB * LOZO_RANKS] = {0.0};
        if (r == 0) {
            continue;
        }
        subzero_plus_basis(t, p, r, u, v);
        for (int64_t i = 0; i < p->rows * r; i++) {
            for (int s = 0; s < r; s++) {
                uc[i] += u[i / r * r + s] * core[k][s * r + i % r];
            }
        }
        bool aligned = flag(t, "align", false) != wrong(t, "the other scale");
        outer(p, r, aligned ? sqrt((double)(p->rows * p->cols)) / r : 1.0, uc, v, z);
    }
}

/* Numbers of a set: the cores, and behind them what has none. */
typedef struct cores { double core[PARAMS][LOZO_RANKS * LOZO_RANKS], rest[SIZE]; } cores;
enum { CORE_NUMBERS = sizeof(cores) / sizeof(double) };

static inline void twin_subzero_plus(twin *t)
{
    static cores s, g, m, n, d, zero; /* and all as (CORE_NUMBERS) doubles */
    double *of_s = (double *)&s, *of_g = (double *)&g, *of_m = (double *)&m, *of_n = (double *)&n, *of_d = (double *)&d, z[SIZE];
    int queries = (int)real(t, "queries", 99);
    bool adam = is(t, "rule", "adam", "adam"), has[PARAMS];
    int64_t period = (int64_t)real(t, "period", 50), *begun = (int64_t *)numbers(t, "(begun)", 1);
    for (int k = 0; k < PARAMS; k++) {
        has[k] = factored_rank(t, &t->net->layout.param[k], 24) > 0;
    }
    g = d = zero;
    double here = ask(t, ZO_BATCH_CURRENT, t->w);
    for (int j = 0; j < queries; j++) {
        s = zero;
        draw_on(t, t->step, j, 0, has, s.rest);
        for (int k = 0; k < PARAMS; k++) {
            const zo_param *p = &t->net->layout.param[k];
            int r = factored_rank(t, p, 24);
            if (r > 0) {
                lozo_factor(t, p, "S", t->step, wrong(t, "one S for all queries") ? 0 : j, r * r, s.core[k]);
            }
        }
        between(t, s.core, s.rest, z);
        double rho = (ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, z) - here) / (wrong(t, "over 2 eps") ? 2.0 * t->eps : t->eps);
        for (int i = 0; i < CORE_NUMBERS; i++) {
            of_g[i] += rho * of_s[i] / (wrong(t, "a sum, no mean") ? 1 : queries);
        }
    }
    if (t->step == 0 || (adam && is(t, "refresh", "reset", "keep") != wrong(t, "the other fate of the moments") && t->step % period == 0)) {
        m = n = zero;
        *begun = t->step;
    }
    double b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.95), e = real(t, "adam_eps", 1e-8), age = (double)(t->step - *begun) + 1.0;
    double c1 = adam && wrong(t, "M is not corrected") ? 1.0 : 1.0 - pow(b1, age), c2 = adam && wrong(t, "N is not corrected") ? 1.0 : 1.0 - pow(b2, age);
    for (int i = 0; i < CORE_NUMBERS && adam; i++) {
        of_m[i] = b1 * of_m[i] + (1.0 - b1) * of_g[i];
        of_n[i] = b2 * of_n[i] + (1.0 - b2) * of_g[i] * (wrong(t, "N of |G|") ? copysign(1.0, of_g[i]) : of_g[i]);
        of_d[i] = -of_m[i] / c1 / (sqrt(of_n[i] / c2) + e);
    }
    between(t, adam ? d.core : g.core, adam ? d.rest : g.rest, z);
    add(t->w, (adam ? t->lr : -t->lr) * (wrong(t, "the other way") ? -1.0 : 1.0), z);
    between(t, g.core, g.rest, set(t, "estimate")); /* sets are compared between the last U and V */
    if (adam) {
        between(t, m.core, m.rest, set(t, "first moment"));
        between(t, n.core, n.rest, set(t, "second moment"));
        between(t, d.core, d.rest, set(t, "step"));
    }
}

#endif
