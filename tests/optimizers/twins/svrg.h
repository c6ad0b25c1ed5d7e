/* svrg.h: twin of MeZO-SVRG (arXiv 2404.08080, Algorithms 1 and 4; the released code amazon-science/mezo_svrg).
 *
 *     t mod q = 0:  g <- pg z of the whole training set at w;  anchor <- w;  w <- w - eta1 g
 *     else:         w <- w - eta2 (SPSA_I(w) - SPSA_I(anchor) + g)
 *
 * The released anchor is an alias of the weights, which the first of its three moves has changed. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_SVRG_H
#define ZO_TESTS_OPTIMIZERS_TWINS_SVRG_H

#include "tests/optimizers/twins/twin.h"

/* Mean of n losses, the last of them `skip` before step t. */
static inline double window_mean(const twin *t, int n, int skip)
{
    double sum = 0.0;
    for (int i = 1; i <= n; i++) {
        sum += t->past[t->step - skip - i];
    }
    return sum / n;
}

/* Algorithm 4: once a window the mean loss is compared with that of the window before; released: with the one before that, from a later step on,
 * and with floors. */
static inline void svrg_anneal(twin *t, double *eta)
{
    bool as_mode = is(t, "rule", "mode", "mode");
    bool released = is(t, "rule", "released", "mode") || (as_mode && is(t, "mode", "released", "paper"));
    int n = (int)real(t, "window", 0);
    n = n > 0 ? n : EPOCH;
    double by = real(t, "anneal", 5.0);
    if (is(t, "rule", "off", "mode") || t->step % n != 0 || (released ? t->step <= 4 * n : t->step < 2 * n)) {
        return;
    }
    bool two_back = released != wrong(t, "the other window is compared");
    if (two_back && t->step < 3 * n) {
        return;
    }
    double ratio = window_mean(t, n, 0) / window_mean(t, n, two_back ? 2 * n : n);
    if (ratio > real(t, "kappa", 1.05) && !wrong(t, "no annealing")) {
        eta[0] = released ? fmax(eta[0] / by, 1e-5) : eta[0] / by;
        eta[1] = released ? fmax(eta[1] / by, 1e-6) : eta[1] / by;
    }
}

static inline void twin_mezo_svrg(twin *t)
{
    double z[SIZE], other[SIZE], unused;
    bool released = is(t, "mode", "released", "paper"), replay = is(t, "mode", "replay", "paper");
    bool fresh = released || is(t, "z", "fresh", "shared");
    double *anchor = released || replay ? numbers(t, "(anchor)", SIZE) : set(t, "anchor");
    double *g = replay ? numbers(t, "(gradient)", SIZE) : set(t, "full gradient"), *eta = numbers(t, "(eta)", 2);
    if (t->step == 0) {
        eta[0] = t->lr;
        eta[1] = real(t, "eta2", 1e-6);
    }
    svrg_anneal(t, eta);
    draw(t, t->step, 0, z);
    if (t->step % (int64_t)real(t, "q", 2) == 0) {
        double pg = spsa(t, wrong(t, "a mini-batch for the full gradient") ? ZO_BATCH_CURRENT : ZO_BATCH_FULL, t->w, z, &t->past[t->step]);
        memset(g, 0, SIZE * sizeof *g);
        add(g, pg, z);
        if (released || !wrong(t, "the anchor is taken after the step")) {
            memcpy(anchor, t->w, SIZE * sizeof *anchor);
        }
        add(t->w, wrong(t, "the full step has eta2") ? -eta[1] : -eta[0], g);
        if (!released && wrong(t, "the anchor is taken after the step")) {
            memcpy(anchor, t->w, SIZE * sizeof *anchor);
        }
        return;
    }
    draw(t, t->step, 1, other);
    const double *second_z = fresh != wrong(t, "the other choice of the second z") ? other : z;
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, &t->past[t->step]), second;
    if (released && !wrong(t, "the anchor of the paper")) {
        add(t->w, -eta[1] * pg, z);
        second = spsa(t, ZO_BATCH_CURRENT, t->w, second_z, &unused);
    } else {
        second = spsa(t, ZO_BATCH_CURRENT, anchor, second_z, &unused);
        add(t->w, -eta[1] * pg, z);
    }
    add(t->w, wrong(t, "the second estimate is added, not taken off") ? -eta[1] * second : eta[1] * second, second_z);
    add(t->w, wrong(t, "no full gradient in the mini step") ? 0.0 : -eta[1], g);
}

#endif
