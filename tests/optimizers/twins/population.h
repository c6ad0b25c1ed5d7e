/* population.h: twins of FZOO (arXiv 2506.09034; DKmiyan/FZOO) and BSZO (arXiv 2601.01452; AeonianQuill/BSZO): several probes from one side, and a
 * step that is weighed by their losses. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_POPULATION_H
#define ZO_TESTS_OPTIMIZERS_TWINS_POPULATION_H

#include "tests/optimizers/twins/twin.h"

enum { MEMBERS = 16 };

/* l_i = L(w + eps u_i), u_i of signs; g = 1 / N sum (l_i - l_0) u_i, over eps in the paper; w <- w - lr g / sigma, sigma the l_i's deviation: its
 * square has N below (code) or N - 1 (paper). */
static inline void twin_fzoo(twin *t)
{
    static double u[MEMBERS][SIZE];
    double l[MEMBERS], mean = 0.0, square = 0.0;
    int n = (int)real(t, "queries", 8);
    bool signs = !wrong(t, "normals for signs");
    double here = ask(t, ZO_BATCH_CURRENT, t->w);
    for (int i = 0; i < n; i++) {
        draw_as(t, signs, t->step, wrong(t, "one direction for all") ? 0 : i, 0, NULL, u[i]);
        l[i] = ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, u[i]);
        mean += l[i] / n;
    }
    for (int i = 0; i < n; i++) {
        double d = l[i] - (wrong(t, "the deviation is from l_0") ? here : mean);
        square += d * d;
    }
    bool less = is(t, "divisor", "n-1", "n") != wrong(t, "the other divisor");
    double sigma = sqrt(square / (less ? n - 1 : n)), over = flag(t, "over_eps", false) != wrong(t, "the other choice of eps below") ? t->eps : 1.0;
    for (int i = 0; i < n; i++) {
        double c = (l[i] - (wrong(t, "l_0 is not taken off") ? 0.0 : here)) / (wrong(t, "a sum, no mean") ? 1.0 : n) / over;
        add(t->w, (wrong(t, "the other way") ? t->lr : -t->lr) * c / (wrong(t, "not over sigma") ? 1.0 : sigma), u[i]);
    }
}

/* y_j = (L(w + eps z_j) - L(w)) / eps, j = 1..k: samples along d = e_j of a gradient in k numbers, mu and Sigma its belief, N(0, sigma^2 I) at first.
 * K = Sigma d / (d'Sigma d + noise |d|^2); mu <- mu + K (y - d'mu); Sigma <- Sigma - K d'Sigma. Samples beyond k take that y again whose variance
 * is the largest. The noise follows the squares of the residuals y - d'mu. w <- w - lr sum mu_i z_i. */
static inline void twin_bszo(twin *t)
{
    static double z[MEMBERS][SIZE];
    double y[MEMBERS], mu[MEMBERS] = {0}, var[MEMBERS], *noise = numbers(t, "(noise)", 1), d = 0.0;
    int k = (int)real(t, "k", 2), samples = (int)real(t, "samples", 3);
    for (int p = 0; p < PARAMS; p++) {
        const zo_param *of = &t->net->layout.param[p];
        d += of->frozen ? 0.0 : (double)(of->rows * of->cols);
    }
    double sigma = real(t, "sigma", 0.0), alpha = real(t, "alpha", 0.1);
    sigma = sigma > 0.0 ? sigma : sqrt(d / 1e6);
    if (t->step == 0) {
        *noise = sigma * sigma;
    }
    double here = ask(t, ZO_BATCH_CURRENT, t->w);
    for (int j = 0; j < k; j++) {
        draw(t, t->step, j, z[j]);
        y[j] = (ask_along(t, ZO_BATCH_CURRENT, t->w, t->eps, z[j]) - here) / (wrong(t, "over 2 eps") ? 2.0 * t->eps : t->eps);
        var[j] = sigma * sigma; /* Sigma stays diagonal where each d is a unit vector */
    }
    for (int s = 0; s < (samples > k ? samples : k); s++) {
        int j = s;
        if (s >= k) {
            j = 0;
            for (int i = 1; i < k; i++) {
                j = var[i] > var[j] ? i : j;
            }
            if (wrong(t, "no sample is taken again")) {
                break;
            }
        }
        double residual = y[j] - mu[j];
        double gain = var[j] / (var[j] + (wrong(t, "no noise in the gain") ? 0.0 : *noise));
        mu[j] += gain * residual;
        var[j] -= wrong(t, "Sigma stays") ? 0.0 : gain * var[j];
        if (!wrong(t, "the noise stays")) {
            *noise = (1.0 - alpha) * *noise + alpha * residual * residual;
        }
    }
    for (int j = 0; j < k; j++) {
        add(t->w, (wrong(t, "the other way") ? t->lr : -t->lr) * (wrong(t, "y, not mu") ? y[j] : mu[j]), z[j]);
    }
}

#endif
