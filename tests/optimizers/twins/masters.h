/* masters.h: weights of 16 bits of a twin, with a master copy of the weights in full or without one. As in mixed precision (Micikevicius et al., arXiv
 * 1710.03740: an f32 master takes the updates, and passes read it rounded), and as in code that has 16 bits alone. Header only. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_MASTERS_H
#define ZO_TESTS_OPTIMIZERS_TWINS_MASTERS_H

#include "tests/optimizers/twins/twin.h"

/* The nearest number with so many bits, of equally near ones the even one. *close: x stands where f32 may have gone to the other. */
static inline double nearest(twin *t, double x, bool *close)
{
    int bits = t->storage == ZO_STORAGE_BF16 ? 8 : 11, least = t->storage == ZO_STORAGE_BF16 ? -126 : -14;
    int exponent = x == 0.0 || ilogb(x) < least ? least : ilogb(x);
    double spacing = ldexp(1.0, exponent - bits + 1), steps = x / spacing;
    *close = fabs(steps - floor(steps) - 0.5) < 2e-3;
    return spacing * (wrong(t, "rounded towards zero") ? trunc(steps) : nearbyint(steps));
}

/* at (SIZE) <- the weights that a pass reads, which is number `gradient` of the tape. */
static inline void rounded_weights(twin *t, int gradient, double *at)
{
    memcpy(at, t->w, sizeof t->w);
    for (int64_t i = 0; i < t->net->layout.size && t->storage != ZO_STORAGE_F32; i++) {
        bool close;
        double to = nearest(t, t->w[i], &close);
        at[i] = close ? t->tape->stored[gradient][i] : to;
        t->left_out[i] = close && gradient == STEPS;
    }
}

/* Behind a step. */
static inline void end_of_step(twin *t)
{
    bool master = flag(t, "master", true);
    if (t->storage == ZO_STORAGE_F32) {
        return;
    }
    if (master) {
        memcpy(set(t, "masters"), t->w, sizeof t->w);
    }
    if (master ? wrong(t, "the master is rounded") : !wrong(t, "there is a master")) {
        rounded_weights(t, t->gradients, t->w);
    }
    if (t->step == STEPS - 1) {
        rounded_weights(t, STEPS, t->w);
    }
}

#endif
