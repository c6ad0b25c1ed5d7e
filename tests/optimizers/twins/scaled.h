/* scaled.h: twins of methods along directions that a set scales: HiZOO (arXiv 2402.15173, the rule of its released code). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_SCALED_H
#define ZO_TESTS_OPTIMIZERS_TWINS_SCALED_H

#include "tests/optimizers/twins/twin.h"

/* x = 1 on every trained parameter. */
static inline void ones(const twin *t, double *x)
{
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen; i++) {
            x[i] = 1.0;
        }
    }
}

/* HiZOO: H from 1. L+- at w +- eps z / sqrt(H), L0 at w; H <- (1 - a) H + a |L+ + L- - 2 L0| / (2 eps^2) H z^2; w <- w - lr pg z / sqrt(H), the new H. */
static inline void twin_hizoo(twin *t)
{
    double z[SIZE], along[SIZE] = {0}, *h = set(t, "curvatures"), a = real(t, "smooth", 1e-8);
    if (t->step == 0) {
        ones(t, h);
    }
    draw(t, t->step, 0, z);
    for (int i = 0; i < SIZE; i++) {
        along[i] = h[i] > 0.0 ? z[i] / (wrong(t, "no root of H") ? h[i] : sqrt(h[i])) : 0.0;
    }
    double plus = ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, along), minus = ask_along(t, ZO_BATCH_CURRENT, t->w, -t->eps, along);
    double at = ask(t, ZO_BATCH_CURRENT, t->w), pg = (plus - minus) / (2.0 * t->eps);
    double second = fabs(plus + minus - (wrong(t, "L0 once, not twice") ? at : 2.0 * at)) / (2.0 * t->eps * t->eps);
    second *= wrong(t, "a difference over eps^2, not 2 eps^2") ? 2.0 : 1.0;
    for (int i = 0; i < SIZE; i++) {
        double old = h[i], square = wrong(t, "z^2 is left out") ? 1.0 : z[i] * z[i];
        h[i] = (wrong(t, "the old H stays whole") ? 1.0 : 1.0 - a) * old + a * second * (wrong(t, "z^2 without H") ? 1.0 : old) * square;
        double by = wrong(t, "the update takes the old H") ? old : h[i];
        t->w[i] -= old > 0.0 ? t->lr * pg * (wrong(t, "z is applied as it is") ? z[i] : z[i] / sqrt(by)) : 0.0;
        h[i] = old > 0.0 ? h[i] : 0.0; /* what is frozen, and gaps */
    }
}

#endif
