/* eggroll.h: twin of an EGGROLL-like population (arXiv 2511.16652): member i stands at w + eps E_i, E_i = A_i B_i^T / sqrt(r) on matrices and
 * normals on the rest; antithetic members come in pairs, +E and -E. f_i = (l_i - mean) / deviation, or (l_i - mean) / eps; w <- w - lr / N sum f_i
 * E_i. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_EGGROLL_H
#define ZO_TESTS_OPTIMIZERS_TWINS_EGGROLL_H

#include "tests/optimizers/twins/lozo.h"

enum { CROWD = 16 }; /* most */

/* E of one draw; `n` members have numbers of their own for B, step by step. */
static inline void member(twin *t, int n, int query, double *z)
{
    bool has[PARAMS];
    for (int k = 0; k < PARAMS; k++) {
        has[k] = factored_rank(t, &t->net->layout.param[k], 1) > 0;
    }
    draw_on(t, t->step, query, 0, has, z);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int r = factored_rank(t, p, 1);
        double a[VOCAB * LOZO_RANKS], b[VOCAB * LOZO_RANKS];
        if (r > 0) {
            lozo_factor(t, p, "U", t->step, query, p->rows * r, a);
            lozo_factor(t, p, "V", (wrong(t, "B of the first step") ? 0 : t->step * n) + query, 0, p->cols * r, b);
            outer(p, r, r > 1 && wrong(t, "not over the root of r") ? 1.0 : 1.0 / sqrt(r), a, b, z);
        }
    }
}

static inline void twin_eggroll(twin *t)
{
    static double z[CROWD][SIZE];
    double l[CROWD], mean = 0.0, square = 0.0;
    bool pairs = flag(t, "antithetic", true), scored = is(t, "scores", "z", "z");
    int n = 2 * (int)real(t, "pairs", 4);
    for (int i = 0; i < n; i++) {
        member(t, n, pairs ? i / 2 : i, z[i]);
        for (int k = 0; k < SIZE && pairs && i % 2 == 1; k++) {
            z[i][k] = -z[i][k];
        }
        l[i] = ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, z[i]);
        mean += l[i] / n;
    }
    for (int i = 0; i < n; i++) {
        square += (l[i] - mean) * (l[i] - mean) / (scored && wrong(t, "N - 1 in the deviation") ? n - 1 : n);
    }
    double below = scored != wrong(t, "the other scores") ? sqrt(square) : t->eps;
    for (int i = 0; i < n; i++) {
        double f = (l[i] - (pairs ? mean : wrong(t, "the mean is not taken off") ? 0.0 : mean)) / below;
        add(t->w, (wrong(t, "the other way") ? t->lr : -t->lr) * f / (wrong(t, "a sum, no mean") ? 1 : n), z[i]);
    }
}

#endif
