/* scaled.h: twins of methods that scale z element by element: HiZOO (arXiv 2402.15173; Yanjun-Zhao/HiZOO). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_SCALED_H
#define ZO_TESTS_OPTIMIZERS_TWINS_SCALED_H

#include "tests/optimizers/twins/twin.h"

/* u = z / sqrt(H) */
static inline void per_root(const double *z, const double *h, double *u)
{
    for (int i = 0; i < SIZE; i++) {
        u[i] = h[i] > 0.0 ? z[i] / sqrt(h[i]) : 0.0;
    }
}

/* L0 = L(w), L+- = L(w +- eps u), u = z / sqrt(H); H <- (1 - a) H + a |L+ + L- - 2 L0| / (2 eps^2) H z^2; w <- w - lr pg z / sqrt(H), with the new H.
 * H, the inverse covariance's diagonal, begins as ones. */
static inline void twin_hizoo(twin *t)
{
    double z[SIZE], u[SIZE], *h = set(t, "curvatures"), a = real(t, "smooth", 1e-8), old[SIZE];
    for (int64_t i = 0; i < t->net->layout.trained_size && t->step == 0; i++) {
        h[i] = 1.0;
    }
    draw(t, t->step, 0, z);
    per_root(z, h, u);
    double plus = ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, wrong(t, "probes along z") ? z : u);
    double minus = ask_along(t, ZO_BATCH_CURRENT, t->w, -t->eps, u), here = ask(t, ZO_BATCH_CURRENT, t->w), pg = (plus - minus) / (2.0 * t->eps);
    double bend = (plus + minus - (wrong(t, "L0 once") ? 1.0 : 2.0) * here) / ((wrong(t, "eps^2, not 2 eps^2") ? 1.0 : 2.0) * t->eps * t->eps);
    memcpy(old, h, sizeof old);
    for (int i = 0; i < SIZE; i++) {
        double more = (wrong(t, "no absolute value") ? bend : fabs(bend)) * (wrong(t, "without H on the right") ? 1.0 : old[i]);
        h[i] = (wrong(t, "H without 1 - a") ? 1.0 : 1.0 - a) * old[i] + a * more * (wrong(t, "H takes no z^2") ? 1.0 : z[i] * z[i]);
    }
    per_root(z, wrong(t, "the old H in the update") ? old : h, u);
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, wrong(t, "z is applied") ? z : u);
}

#endif
