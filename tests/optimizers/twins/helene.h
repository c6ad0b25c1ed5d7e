/* helene.h: the twin of HELENE (arXiv 2411.10696), put together from reviews and summaries as the method is. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_HELENE_H
#define ZO_TESTS_OPTIMIZERS_TWINS_HELENE_H

#include "tests/optimizers/twins/twin.h"

/* HELENE: m <- b1 m + a g, a = b1 + (1 - b1) exp(-t / T); every k steps h <- b2 h + (1 - b2) s g^2; w <- w - lr m / (gamma max(h, lambda) + e). */
static inline void twin_helene(twin *t)
{
    double z[SIZE], *m = set(t, "momentum"), *h = set(t, "curvatures"), b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.99);
    double gamma = real(t, "gamma", 1.0), lambda = real(t, "lambda", 1.0), e = real(t, "helene_eps", 1e-8), anneal = real(t, "anneal", 1000.0);
    bool sized = is(t, "floors", "size", "equal"), batch = is(t, "curvature", "batch", "mean");
    draw(t, t->step, 0, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    double a = wrong(t, "a new estimate goes in by 1 - beta1") ? 1.0 - b1 : b1 + (1.0 - b1) * exp(-(double)t->step / anneal);
    if (anneal < 100.0 && wrong(t, "no annealing")) {
        a = 1.0;
    }
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int64_t n = p->rows * p->cols;
        double least = sized && !wrong(t, "one floor for all") ? lambda / (2.0 * sqrt((double)n)) : lambda;
        for (int64_t i = p->offset; i < p->offset + n && !p->frozen; i++) {
            double g = pg * z[i];
            m[i] = b1 * m[i] + a * g;
            if (t->step % (int64_t)real(t, "every", 10) == 0 || wrong(t, "curvatures at each step")) {
                double s = batch && !wrong(t, "the batch is not counted") ? BATCH : 1.0;
                h[i] = b2 * h[i] + (1.0 - b2) * s * (wrong(t, "g is not squared") ? fabs(g) : g * g);
            }
            double by = lambda < 0.1 && wrong(t, "curvatures have no floor") ? h[i] : fmax(h[i], least);
            t->w[i] -= t->lr * m[i] / (gamma * by + e);
        }
    }
}

#endif
