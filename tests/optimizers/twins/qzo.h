/* qzo.h: twin of QZO (arXiv 2505.13430, as summaries have it): MeZO's step with the projected gradient cut to -C..C. That scales do not fall below 0 is
 * held in tests/backends/test_quantised.c: this network has none. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_QZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_QZO_H

#include "tests/optimizers/twins/twin.h"

static inline void twin_qzo(twin *t)
{
    double z[SIZE], most = real(t, "clip", 100.0);
    draw(t, t->step, 0, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    if (most > 0.0 && fabs(pg) > most && !wrong(t, "no clip")) {
        pg = wrong(t, "clipped to +C alone") || pg > 0.0 ? most : -most;
    }
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, z);
}

#endif
