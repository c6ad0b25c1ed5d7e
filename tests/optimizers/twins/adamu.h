/* adamu.h: twin of ZO-AdaMU, as far as its text goes: z1 = sqrt(alpha) n1, z2 = m + sqrt(1 - alpha) n2; m <- b1 z1 + (1 - b1) z2; pg along the new m;
 * v = b2 z1^2 + (1 - b2) z2^2; w <- w - lr pg m / sqrt(v + e). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_ADAMU_H
#define ZO_TESTS_OPTIMIZERS_TWINS_ADAMU_H

#include "tests/optimizers/twins/twin.h"

static inline void twin_zo_adamu(twin *t)
{
    double z1[SIZE], z2[SIZE], v[SIZE], *m = set(t, "momentum of the probe"), alpha = real(t, "alpha", 0.5);
    double b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.9), e = real(t, "adam_eps", 1e-8);
    draw(t, t->step, 0, z1);
    draw(t, t->step, wrong(t, "one draw for both") ? 0 : 1, z2);
    for (int i = 0; i < SIZE; i++) {
        z1[i] *= wrong(t, "no root of alpha") ? alpha : sqrt(alpha);
        z2[i] = z2[i] * sqrt(1.0 - alpha) + (wrong(t, "the second one is not about m") ? 0.0 : m[i]);
        m[i] = b1 * z1[i] + (1.0 - b1) * z2[i];
        v[i] = b2 * z1[i] * z1[i] + (1.0 - b2) * z2[i] * z2[i];
    }
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, wrong(t, "probes along the first one") ? z1 : m, NULL);
    for (int i = 0; i < SIZE; i++) {
        double along = m[i] / (wrong(t, "no division") ? 1.0 : wrong(t, "no root of v") ? v[i] + e : sqrt(v[i] + e));
        t->w[i] -= (wrong(t, "the other way") ? -t->lr : t->lr) * pg * along;
    }
}

#endif
