/* langevin.h: twins of SGLD (Welling & Teh, ICML 2011) and of its low-precision forms (arXiv 2206.09909: SGLDLP-L, naive and with Q^vc), on the recorded
 * gradients. Noise is sqrt(2 lr T) xi. Where the texts draw a uniform number, it is here as in the program the fraction of the second draw of a step, and
 * where they draw none but two are wanted the first is the fraction of the first. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_LANGEVIN_H
#define ZO_TESTS_OPTIMIZERS_TWINS_LANGEVIN_H

#include "tests/optimizers/twins/first_order.h"

/* Is x so close to y that f32 may stand on its other side? */
static inline bool is_close(double x, double y)
{
    return fabs(x - y) < 1e-5;
}

/* Q^vc(mu, v) with steps d; what it draws: xi, and uniform numbers u1, u2. *close: a number of it stands at a switch. */
static inline double corrected(twin *t, double mu, double v, double d, double xi, double u1, double u2, bool *close)
{
    double v0 = d * d / 4.0;
    if (v > v0) {
        double x = mu + sqrt(wrong(t, "all of the variance, and then rounded") ? v : v - v0) * xi, q = d * floor(x / d + 0.5), r = x - q;
        double up = (v0 + r * r + fabs(r) * d) / (2.0 * d * d), down = (v0 + r * r - fabs(r) * d) / (2.0 * d * d);
        bool back = wrong(t, "a step against the rest");
        *close = is_close(x / d + 0.5, floor(x / d + 1.0)) || is_close(u2, up) || is_close(u2, up + down);
        return q + ((r < 0.0) != back ? -1.0 : 1.0) * (u2 < up ? d : u2 < up + down ? -d : 0.0);
    }
    double q = d * floor(mu / d + u1), r = mu - q, away = fabs(r) / d;
    double made = (1.0 - away) * r * r + away * (d - fabs(r)) * (d - fabs(r)), rest = wrong(t, "rounding is no noise") ? v : v - made;
    double up = rest / (2.0 * d * d);
    *close = is_close(mu / d + u1, floor(mu / d + u1 + 0.5)) || is_close(u2, up) || is_close(u2, 2.0 * up);
    return q + (rest <= 0.0 || wrong(t, "nothing is added") ? 0.0 : u2 < up ? d : u2 < 2.0 * up ? -d : 0.0);
}

static inline void twin_sgld(twin *t)
{
    double g[SIZE], lr, xi[SIZE], more[SIZE], temperature = real(t, "temperature", 1e-3), d = pow(2.0, -real(t, "fraction", 3.0));
    double least = -d * pow(2.0, real(t, "bits", 8.0) - 1.0), most = -least - d;
    bool none = is(t, "quantiser", "none", "none"), naive = is(t, "quantiser", "naive", "none");
    next_gradient(t, ZO_BATCH_CURRENT, 0.0, g, &lr);
    draw(t, t->step, 0, xi);
    draw(t, t->step, none || wrong(t, "one draw for both") ? 0 : 1, more);
    double v = (wrong(t, "lr T, not 2 lr T") ? 1.0 : 2.0) * lr * temperature;
    for (int i = 0; i < t->net->layout.trained_size; i++) {
        double mu = t->w[i] - lr * g[i], x = mu + sqrt(v) * xi[i], u1 = xi[i] - floor(xi[i]), u2 = more[i] - floor(more[i]);
        bool close = false;
        if (none) {
            t->w[i] = wrong(t, "no noise") ? mu : x;
            continue;
        }
        if (naive) {
            close = is_close(x / d + u2, floor(x / d + u2 + 0.5));
            x = d * floor(x / d + (wrong(t, "rounded to the nearest") ? 0.5 : u2));
        } else {
            x = corrected(t, mu, v, d, xi[i], u1, u2, &close);
        }
        t->left_out[i] = t->left_out[i] || close;
        t->w[i] = wrong(t, "no clipping to the grid") ? x : fmin(fmax(x, least), most);
    }
}

#endif
