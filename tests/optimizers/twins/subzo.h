/* subzo.h: twin of SubZO (SubZero, arXiv 2410.08989; zimingyy/SubZero): Z = mu U S V^T, U and V orthonormal, made of normals every F steps, S ~
 * N(0, 1) of r x r at each step, mu = sqrt(rows cols) / r; what is no matrix gets a full Gaussian. w <- w - lr pg Z. */
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

#endif
