/* helene.h: twin of HELENE (arXiv 2411.10696): g = pg z; m <- beta1 m + a_t g, a_t = beta1 + (1 - beta1) exp(-t / T); every k steps
 * h <- beta2 h + (1 - beta2) g^2 (or B g^2, B the examples of the batch); w <- w - lr m / (gamma max(h, lambda) + e). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_HELENE_H
#define ZO_TESTS_OPTIMIZERS_TWINS_HELENE_H

#include "tests/optimizers/twins/twin.h"

static inline void twin_helene(twin *t)
{
    double z[SIZE], *m = set(t, "momentum"), *h = set(t, "curvatures"), b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.99);
    double gamma = real(t, "gamma", 1.0), lambda = real(t, "lambda", 1.0), e = real(t, "helene_eps", 1e-8), T = real(t, "anneal", 1000);
    double share = wrong(t, "no annealing") ? 1.0 : b1 + (1.0 - b1) * exp(-(double)t->step / T);
    bool due = t->step % (int64_t)real(t, "every", 10) == 0 || wrong(t, "curvatures at each step"), batch = is(t, "curvature", "batch", "mean");
    draw(t, t->step, 0, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL), times = batch && !wrong(t, "not times the batch") ? BATCH : 1.0;
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        double n = (double)(p->rows * p->cols), floor = is(t, "floors", "size", "equal") ? lambda / (2.0 * sqrt(n)) : lambda;
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && !p->frozen; i++) {
            double g = pg * z[i];
            m[i] = b1 * m[i] + share * g;
            h[i] = !due ? h[i] : b2 * h[i] + (wrong(t, "h without 1 - beta2") ? 1.0 : 1.0 - b2) * times * g * g;
            double below = wrong(t, "no floor") ? h[i] : fmax(h[i], wrong(t, "twice the floor") ? 2.0 * floor : floor);
            t->w[i] -= (wrong(t, "the other way") ? -t->lr : t->lr) * (wrong(t, "g, not m") ? g : m[i]) / (gamma * below + e);
        }
    }
}

#endif
