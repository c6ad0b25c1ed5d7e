/* mezo.h: twins of MeZO's family: MeZO (arXiv 2305.17333, Algorithms 1 and 2), MeZO-Adam (its appendix B), LeZO (2410.09823) and ConMeZO
 * (2511.02757). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_MEZO_H
#define ZO_TESTS_OPTIMIZERS_TWINS_MEZO_H

#include "tests/optimizers/twins/twin.h"

/* MeZO. Algorithm 2 (n-SPSA): pg_j = (L(w + eps z_j) - L(w - eps z_j)) / 2 eps, each over a batch of its own, or all over the step's;
 * w <- w - lr / n sum_j pg_j z_j. Algorithm 1 is n = 1.
 * The released code's decay: w <- w - lr (pg z + wd w), not on biases and norms, or on everything. */
static inline void twin_mezo(twin *t)
{
    enum { MOST = 8 };
    static double z[MOST][SIZE];
    double pg[MOST], wd = real(t, "weight_decay", 0.0);
    int n = (int)real(t, "queries", 1);
    ck_assert_int_le(n, MOST);
    for (int j = 0; j < n; j++) {
        draw(t, t->step, n > 1 && wrong(t, "one z for all queries") ? 0 : j, z[j]);
        bool fresh = is(t, "query_batches", "fresh", "shared");
        zo_which own = !fresh || wrong(t, "all queries over one batch") ? ZO_BATCH_CURRENT : zo_batch_of(j);
        pg[j] = spsa(t, own, t->w, z[j], NULL);
    }
    if (wd > 0.0) {
        bool all = is(t, "decay_on", "all", "matrices") != wrong(t, "the decay reaches the others");
        decay(t, wrong(t, "no decay") ? 1.0 : 1.0 - t->lr * wd, all);
    }
    for (int j = 0; j < n; j++) {
        double scale = n > 1 && wrong(t, "a sum over queries, no mean") ? t->lr : t->lr / n;
        if (!(n > 1 && j == n - 1 && wrong(t, "the last query is dropped"))) {
            add(t->w, wrong(t, "the other way") ? scale * pg[j] : -scale * pg[j], z[j]);
        }
    }
}

/* The journal of appendix B.2: m and v of the step's past alone, all of it or the last `history` steps, each z drawn again from its seed. */
static inline double twin_past(twin *t, double pg, double b1, double b2, double *m, double *v)
{
    double z[SIZE], *of = numbers(t, "(pg)", STEPS);
    int64_t h = (int64_t)real(t, "history", 0), have = t->step + 1;
    of[t->step] = pg;
    have = h > 0 && h < have && !wrong(t, "all of the past") ? h : have;
    for (int64_t k = have - 1; k >= 0; k--) {
        draw(t, t->step - (t->step > 0 && wrong(t, "the new z for all") ? 0 : k), 0, z);
        for (int i = 0; i < SIZE; i++) {
            double g = of[t->step - k] * z[i];
            m[i] = b1 * m[i] + (1.0 - b1) * g;
            v[i] = b2 * v[i] + (1.0 - b2) * g * g;
        }
    }
    return (double)(wrong(t, "corrected for one step more") ? have + 1 : have);
}

/* Adam on pg z (arXiv 1412.6980, Algorithm 1), decoupled decay. Released (medium_models): AdamW of transformers, whose e meets the root of v before it
 * is corrected, and which decays last; pg z stands in a gradient. */
static inline void twin_mezo_adam(twin *t)
{
    bool replay = is(t, "mode", "replay", "states"), released = is(t, "mode", "released", "states");
    double z[SIZE], past[2][SIZE] = {{0}}, *m = replay ? past[0] : set(t, "first moment"), *v = replay ? past[1] : set(t, "second moment");
    double b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.999), e = real(t, "adam_eps", 1e-8), wd = real(t, "weight_decay", 0.0);
    draw(t, t->step, 0, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL), k = (double)t->step + 1;
    if (replay) {
        k = twin_past(t, pg, b1, b2, m, v);
    }
    bool squares = is(t, "draw", "rademacher", "gauss") || replay || !wrong(t, "v of pg^2, not of (pg z)^2"); /* of signs they are one */
    double c1 = wrong(t, "no correction of m") ? 1.0 : 1.0 - pow(b1, k), c2 = wrong(t, "no correction of v") ? 1.0 : 1.0 - pow(b2, k);
    double shrink = wd == 0.0 || wrong(t, "no decay") ? 1.0 : wrong(t, "the decay is not times lr") ? 1.0 - wd : 1.0 - t->lr * wd;
    if (wd > 0.0 && !released) {
        decay(t, shrink, wrong(t, "biases decay"));
    }
    e = released && !wrong(t, "e meets the corrected v") ? e / sqrt(c2) : e;
    for (int i = 0; i < SIZE; i++) {
        double g = pg * z[i], m_old = m[i];
        if (released) {
            set(t, "gradient")[i] = g;
        }
        if (!replay) {
            m[i] = b1 * m[i] + (wrong(t, "m without 1 - beta1") ? 1.0 : 1.0 - b1) * g;
            v[i] = b2 * v[i] + (1.0 - b2) * (squares ? g * g : pg * pg);
        }
        double top = !replay && wrong(t, "the old m") ? m_old : m[i];
        t->w[i] -= t->lr * (top / c1) / (wrong(t, "no root of v") ? v[i] / c2 + e : sqrt(v[i] / c2) + e);
    }
    if (wd > 0.0 && released) {
        decay(t, shrink, wrong(t, "biases decay"));
    }
}

/* LeZO: MeZO's step with z' = 0 on a share of the blocks, other ones at each step. Which they are is zo_leave_out's (spsa.h). */
static inline void twin_lezo(twin *t)
{
    double z[SIZE];
    uint64_t trained = (1u << BLOCKS) - 1;
    zo_objective o = {.seed = t->seed, .blocks = BLOCKS, .trained = {.in = trained}};
    zo_draw how = is(t, "draw", "rademacher", "gauss") ? ZO_DRAW_RADEMACHER : ZO_DRAW_GAUSS;
    zo_dir dir = zo_dense(&o, how, wrong(t, "the first step's blocks") ? 0 : t->step, 0);
    zo_err err;
    ck_assert_int_eq(zo_leave_out(&o, real(t, "sparsity", 0.75), &dir, &err), ZO_OK);
    draw_on(t, t->step, 0, wrong(t, "all blocks") ? 0 : dir.skip.in, NULL, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    if (wrong(t, "the update reaches all blocks")) {
        draw(t, t->step, 0, z);
    }
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, z);
}

/* ConMeZO: z' = cos(theta) sqrt(d) m / |m| + sin(theta) z; w <- w - lr pg z'; m <- beta m + (1 - beta) pg z'. The released trainer begins with a
 * draw for m, has an estimate for |m|, and warms beta up: 0.1 for 200 steps, then easing in until step 2000. */
static inline void twin_conmezo(twin *t)
{
    double z[SIZE], along[SIZE] = {0}, *m = set(t, "momentum"), *norm = numbers(t, "(norm)", 1);
    double theta = real(t, "theta", 1.35), beta = real(t, "beta", 0.99), d = 0.0;
    bool released = is(t, "mode", "released", "plain");
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        d += p->frozen && (released || !wrong(t, "d counts what is frozen")) ? 0.0 : (double)(p->rows * p->cols);
    }
    if (released) {
        double ease = t->step <= 200 ? 0.0 : pow(((double)t->step - 200) / 1800.0, 1.8);
        double warm = beta - (beta - 0.1) / pow(1.0 + 8.0 * ease, 3);
        beta = t->step > 2000 || wrong(t, "no warm-up") ? beta : warm;
        if (t->step == 0) {
            draw(t, 0, 1, m);
            *norm = sqrt(d);
        }
    } else {
        *norm = sqrt(dot(m, m));
    }
    draw(t, t->step, 0, z);
    double in_z = *norm > 0.0 ? sin(theta) : 1.0, in_m = *norm > 0.0 ? cos(theta) : 0.0;
    if (*norm > 0.0 && wrong(t, "sine and cosine are swapped")) {
        in_z = cos(theta);
        in_m = sin(theta);
    }
    add(along, in_z, z);
    add(along, *norm > 0.0 ? in_m * (wrong(t, "m is not scaled to z's length") ? 1.0 : sqrt(d) / *norm) : 0.0, m);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, along, NULL);
    if (released && !wrong(t, "the estimate of |m| stays")) {
        double m_in_m = beta * *norm / sqrt(d) + (1.0 - beta) * pg * cos(theta), z_in_m = (1.0 - beta) * pg * sin(theta);
        *norm = sqrt(d * (m_in_m * m_in_m + z_in_m * z_in_m));
    }
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, wrong(t, "z is applied, not z'") ? z : along);
    for (int i = 0; i < SIZE; i++) {
        m[i] = beta * m[i] + (wrong(t, "m without 1 - beta") ? 1.0 : 1.0 - beta) * pg * (wrong(t, "m takes z, not z'") ? z[i] : along[i]);
    }
}

#endif
