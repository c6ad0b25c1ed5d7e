/* adamezo.h: twin of AdaMeZO (arXiv 2605.00650): Adam's moments of the last h steps alone, m = sum_k (1 - b1) b1^k g_(t-k) and v of the squares,
 * each g = pg z drawn again; w <- w - lr m / sqrt(v + e). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_ADAMEZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_ADAMEZO_H

#include "tests/optimizers/twins/twin.h"

static inline void twin_adamezo(twin *t)
{
    double z[SIZE], m[SIZE] = {0}, v[SIZE] = {0}, *pg = numbers(t, "(pg)", STEPS), b1 = real(t, "beta1", 0.7), b2 = real(t, "beta2", 0.9);
    int64_t h = (int64_t)real(t, "history", 10) + (wrong(t, "one step more") ? 1 : 0), have = t->step + 1 < h ? t->step + 1 : h;
    double e = real(t, "adam_eps", 1e-8), n = (double)have;
    draw(t, t->step, 0, z);
    pg[t->step] = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    for (int64_t k = 0; k < have; k++) {
        draw(t, t->step - k, 0, z);
        double p1 = (1.0 - b1) * pow(b1, (double)k), p2 = (wrong(t, "v without 1 - beta2") ? 1.0 : 1.0 - b2) * pow(b2, (double)k);
        for (int i = 0; i < SIZE; i++) {
            double g = pg[wrong(t, "the new pg for all") ? t->step : t->step - k] * z[i];
            m[i] += p1 * g;
            v[i] += p2 * g * g;
        }
    }
    bool corrected = flag(t, "bias_correction", false) != wrong(t, "the other choice of the correction");
    double c1 = corrected ? 1.0 - pow(b1, n) : 1.0, c2 = corrected ? 1.0 - pow(b2, n) : 1.0;
    for (int i = 0; i < SIZE; i++) {
        double root = wrong(t, "e outside the root") ? sqrt(v[i] / c2) + e : sqrt(v[i] / c2 + e);
        t->w[i] -= v[i] == 0.0 ? 0.0 : (wrong(t, "the other way") ? -t->lr : t->lr) * (m[i] / c1) / root;
    }
}

#endif
