/* first_order.h: twins of the forward gradient (arXiv 2402.11592), SGD (torch.optim.SGD) and AdamW (arXiv 1711.05101, Algorithm 2; torch.optim.AdamW) on the recorded gradients, with
 * torch's clip_grad_norm_ and transformers' linear schedule. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_FIRST_ORDER_H
#define ZO_TESTS_OPTIMIZERS_TWINS_FIRST_ORDER_H

#include "tests/optimizers/twins/masters.h"

/* The next gradient, of that batch, clipped; the step's lr. */
static inline void next_gradient(twin *t, zo_which which, double clip, double *g, double *lr)
{
    double here[SIZE], at[SIZE];
    t->net->step = t->step;
    rounded_weights(t, t->gradients, at);
    for (int k = 0; k < PARAMS; k++) { /* it is taken where the twin is: what moves weights in place leaves a little rounding there */
        const zo_param *p = &t->net->layout.param[k];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++) {
            double stored = t->tape->stored[t->gradients][i];
            t->apart = t->left_out[i] ? t->apart : fmax(t->apart, fabs(stored - at[i]));
            at[i] = stored;
        }
    }
    net_loss64(t->net, which, at, here);
    memset(g, 0, SIZE * sizeof *g);
    for (int64_t i = 0; i < t->net->layout.trained_size; i++) {
        g[i] = t->tape->gradient[t->gradients][i];
        t->apart = fmax(t->apart, fabs(g[i] - here[i]));
    }
    t->gradients++;
    double norm = sqrt(dot(g, g)), times = clip > 0.0 ? fmin(1.0, clip / (norm + 1e-6)) : 1.0;
    times = clip > 0.0 && wrong(t, "no clipping") ? 1.0 : times;
    for (int i = 0; i < SIZE; i++) {
        g[i] *= times;
    }
    memcpy(set(t, "gradient"), g, SIZE * sizeof *g);
    bool linear = is(t, "schedule", "linear", "constant");
    *lr = linear && !wrong(t, "no schedule") ? t->lr * (1.0 - (double)t->step / STEPS) : t->lr;
}

static inline bool decays(const twin *t, int i)
{
    const zo_layout *l = &t->net->layout;
    int k = 0;
    while (k < PARAMS - 1 && !(i >= l->param[k].offset && i < l->param[k].offset + l->param[k].rows * l->param[k].cols)) {
        k++;
    }
    return l->param[k].decay;
}

/* Forward-Grad of ZO-Bench (arXiv 2402.11592): w <- w - lr (g . v) v, v ~ N(0, I). */
static inline void twin_forward_grad(twin *t)
{
    double g[SIZE], v[SIZE], lr;
    next_gradient(t, ZO_BATCH_CURRENT, 0.0, g, &lr);
    draw(t, t->step, 0, v);
    memcpy(set(t, "direction"), v, sizeof v);
    double along = dot(g, v) * (wrong(t, "the other way") ? -1.0 : 1.0);
    if (wrong(t, "along the gradient")) {
        memcpy(v, g, sizeof v);
    }
    add(t->w, wrong(t, "a sign, no slope") ? -lr * (along > 0.0 ? 1.0 : -1.0) : -lr * along, v);
}

/* g <- g + wd w; b <- mu b + g; w <- w - lr b */
static inline void twin_fo_sgd(twin *t)
{
    double g[SIZE], lr, mu = real(t, "momentum", 0.0), wd = real(t, "weight_decay", 0.0), *b = mu > 0.0 ? set(t, "momentum") : NULL;
    next_gradient(t, ZO_BATCH_CURRENT, real(t, "clip", 0.0), g, &lr);
    for (int i = 0; i < t->net->layout.trained_size; i++) {
        if (wd > 0.0) {
            g[i] += wrong(t, "no decay") || (!decays(t, i) && !wrong(t, "biases decay")) ? 0.0 : wd * t->w[i];
        }
        if (mu > 0.0) {
            g[i] = b[i] = mu * b[i] + (wrong(t, "dampened") ? 1.0 - mu : 1.0) * g[i];
        }
        t->w[i] -= wrong(t, "the other way") ? -lr * g[i] : lr * g[i];
    }
}

/* w <- w (1 - lr wd); m, v as Adam; w <- w - lr m' / (sqrt(v') + e) */
static inline void twin_fo_adamw(twin *t)
{
    double g[SIZE], lr, *m = set(t, "first moment"), *v = set(t, "second moment"), wd = real(t, "weight_decay", 0.0), k = (double)t->step + 1;
    double b1 = real(t, "beta1", 0.9), b2 = real(t, "beta2", 0.999), e = real(t, "adam_eps", 1e-8);
    next_gradient(t, ZO_BATCH_CURRENT, real(t, "clip", 1.0), g, &lr);
    double c1 = wrong(t, "no correction of m") ? 1.0 : 1.0 - pow(b1, k), c2 = wrong(t, "no correction of v") ? 1.0 : 1.0 - pow(b2, k);
    for (int i = 0; i < t->net->layout.trained_size; i++) {
        if (wd > 0.0) {
            bool here = (decays(t, i) || wrong(t, "biases decay")) && !wrong(t, "no decay");
            if (here && wrong(t, "the decay goes through the moments")) {
                g[i] += wd * t->w[i];
            } else if (here) {
                t->w[i] *= 1.0 - lr * wd;
            }
        }
        m[i] = b1 * m[i] + (wrong(t, "m without 1 - beta1") ? 1.0 : 1.0 - b1) * g[i];
        v[i] = b2 * v[i] + (1.0 - b2) * (wrong(t, "v of |g|") ? fabs(g[i]) : g[i] * g[i]);
        t->w[i] -= lr * (m[i] / c1) / (sqrt(v[i] / c2) + e);
    }
}

#endif
