/* zo_svrg.h: twin of ZO-SVRG with stored gradients, as amazon-science/mezo_svrg has it beside MeZO-SVRG: g <- the whole training set's estimate,
 * clipped, anchor <- w, w <- w - lr g; else v = SPSA_I(w) - SPSA_I(anchor) + g, w <- w - eta2 v. An estimate is the mean over its queries. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_ZO_SVRG_H
#define ZO_TESTS_OPTIMIZERS_TWINS_ZO_SVRG_H

#include "tests/optimizers/twins/twin.h"

static inline void estimate(twin *t, zo_which which, const double *base, int first, int n, double *g)
{
    double z[SIZE];
    memset(g, 0, SIZE * sizeof *g);
    for (int j = 0; j < n; j++) {
        draw(t, t->step, first + j, z);
        double pg = spsa(t, which, base, z, NULL);
        add(g, pg / (n > 1 && wrong(t, "a sum over queries") ? 1 : n), z);
    }
}

static inline void twin_zo_svrg(twin *t)
{
    int n = (int)real(t, "queries", 1);
    double *anchor = set(t, "anchor"), *g = set(t, "full gradient"), then[SIZE], *v = set(t, "difference");
    double most = real(t, "max_norm", 0.0), eta2 = real(t, "eta2", 1e-6);
    if (t->step % (int64_t)real(t, "q", 2) == 0) {
        estimate(t, ZO_BATCH_FULL, t->w, 0, n, g);
        double norm = sqrt(dot(g, g)), times = most > 0.0 && norm > most && !wrong(t, "no clipping") ? most / norm : 1.0;
        memcpy(anchor, t->w, SIZE * sizeof *anchor);
        add(t->w, wrong(t, "the full step has eta2") ? -eta2 * times : -t->lr * times, g);
        return;
    }
    bool fresh = is(t, "z", "fresh", "fresh") != wrong(t, "the other choice of the second z");
    estimate(t, ZO_BATCH_CURRENT, t->w, 0, n, v);
    estimate(t, ZO_BATCH_CURRENT, wrong(t, "no anchor") ? t->w : anchor, fresh ? n : 0, n, then);
    add(v, wrong(t, "the anchor's estimate is added") ? 1.0 : -1.0, then);
    add(t->w, wrong(t, "the other way") ? eta2 : -eta2, v);
    add(t->w, wrong(t, "no full gradient in the mini step") ? 0.0 : -eta2, g);
}

#endif
