/* variants.h: twins of methods that make another step of MeZO's probes: momentum, signs, the best of three points, a kernel, one adaptive scale. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_VARIANTS_H
#define ZO_TESTS_OPTIMIZERS_TWINS_VARIANTS_H

#include "tests/optimizers/twins/twin.h"

enum { QUERIES = 8 }; /* most */

/* ZO-SGD-MMT of ZO-Bench (arXiv 2402.11592; torch.optim.SGD): m <- beta m + pg z; w <- w - lr m. */
static inline void twin_mezo_m(twin *t)
{
    double z[SIZE], *m = set(t, "momentum"), beta = real(t, "beta", 0.9), old[SIZE];
    draw(t, t->step, 0, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    memcpy(old, m, sizeof old);
    for (int i = 0; i < SIZE; i++) {
        m[i] = (wrong(t, "no momentum") ? 0.0 : beta) * m[i] + (wrong(t, "dampened") ? 1.0 - beta : 1.0) * pg * z[i];
    }
    add(t->w, wrong(t, "the other way") ? t->lr : -t->lr, wrong(t, "the old momentum") ? old : m);
}

/* ZO-signSGD. ZO-Bench's code: w <- w - lr sign(pg) z. The other reading: w <- w - lr sign(g), g the estimate, number by number. */
static inline void twin_zo_sign(twin *t)
{
    static double z[QUERIES][SIZE];
    double pg[QUERIES], g[SIZE] = {0};
    int n = (int)real(t, "queries", 1);
    bool element = is(t, "reading", "element", "scalar") != wrong(t, "the other reading");
    for (int j = 0; j < n; j++) {
        draw(t, t->step, n > 1 && wrong(t, "one z for all queries") ? 0 : j, z[j]);
        pg[j] = two_points(t, ZO_BATCH_CURRENT, t->w, z[j], NULL) / (2.0 * t->eps);
        add(g, pg[j] / n, z[j]);
    }
    double way = wrong(t, "the other way") ? t->lr : -t->lr;
    for (int j = 0; j < n && !element; j++) {
        add(t->w, way / n * (wrong(t, "pg, not its sign") ? pg[j] : (pg[j] > 0.0) - (pg[j] < 0.0)), z[j]);
    }
    for (int i = 0; i < SIZE && element; i++) {
        t->left_out[i] = t->left_out[i] || (g[i] != 0.0 && fabs(g[i]) < 1e-5);
        t->w[i] += way * ((g[i] > 0.0) - (g[i] < 0.0));
    }
}

/* ZO-SGD-Cons of ZO-Bench: of w, w - lr pg z and w + lr pg z the one with the least loss. */
static inline void twin_zo_cons(twin *t)
{
    double z[SIZE];
    draw(t, t->step, 0, z);
    double here = ask(t, ZO_BATCH_CURRENT, t->w), pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL);
    double back = wrong(t, "the trials are no step long") ? 0.0 : t->lr * pg;
    double down = ask_along(t, ZO_BATCH_CURRENT, t->w, -back, z), up = ask_along(t, ZO_BATCH_CURRENT, t->w, back, z);
    if (wrong(t, "the step is always taken")) {
        add(t->w, -t->lr * pg, z);
    } else if (down < here && (down <= up || wrong(t, "the other trial is not looked at"))) {
        add(t->w, -t->lr * pg, z);
    } else if (up < here && !wrong(t, "never up")) {
        add(t->w, t->lr * pg, z);
    }
}

/* KerZOO (arXiv 2505.18886): r ~ U[-1, 1]; g = K(r) (L(w + eps r z) - L(w - eps r z)) / (2 eps) z, K(r) = C 15/4 r (5 - 7 r^2): E r K = C,
 * E r^3 K = 0. */
static inline void twin_kerzoo(twin *t)
{
    static double z[QUERIES][SIZE];
    double coef[QUERIES], c = real(t, "c", 1.0);
    int n = (int)real(t, "queries", 1);
    for (int j = 0; j < n; j++) {
        bool once = is(t, "radius", "step", "query");
        zo_stream radius = {.seed = t->seed, .step = (uint32_t)t->step, .query = once ? 0 : (uint32_t)j, .role = ZO_ROLE_RADIUS};
        double r = 2.0 * zo_uniform(radius, 0) - 1.0, seven = wrong(t, "5 for 7 in the kernel") ? 5.0 : 7.0;
        double kernel = wrong(t, "no kernel") ? 1.0 : c * 15.0 / 4.0 * r * (5.0 - seven * r * r), away[SIZE] = {0};
        draw(t, t->step, j, z[j]);
        add(away, wrong(t, "probes without r") ? 1.0 : r, z[j]);
        coef[j] = kernel * spsa(t, ZO_BATCH_CURRENT, t->w, away, NULL);
    }
    for (int j = 0; j < n; j++) {
        add(t->w, (wrong(t, "the other way") ? t->lr : -t->lr) * coef[j] / (n > 1 && wrong(t, "a sum, no mean") ? 1 : n), z[j]);
    }
}

/* MEAZO (arXiv 2605.03869): v <- beta v + (1 - beta) pg^2; w <- w - lr / (sqrt(v / (1 - beta^t)) + zeta) pg z. */
static inline void twin_meazo(twin *t)
{
    double z[SIZE], *v = numbers(t, "(v)", 1), beta = real(t, "beta", 0.99), zeta = real(t, "zeta", 1e-8);
    draw(t, t->step, 0, z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL), old = *v;
    *v = beta * *v + (1.0 - beta) * (wrong(t, "v of |pg|") ? fabs(pg) : pg * pg);
    double hat = (t->step > 0 && wrong(t, "the old v") ? old : *v) / (wrong(t, "no correction") ? 1.0 : 1.0 - pow(beta, (double)t->step + 1));
    add(t->w, (wrong(t, "the other way") ? t->lr : -t->lr) * pg / (wrong(t, "no root") ? hat + zeta : sqrt(hat) + zeta), z);
}

#endif
