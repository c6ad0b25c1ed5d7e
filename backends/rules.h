/* rules.h: elementwise update rules, each one inline function compiled by gcc and by nvcc. Adding one: the function and one X line.
 * Sources: SGD, with momentum as torch.optim.SGD; AdamW (Loshchilov & Hutter, arXiv 1711.05101, decoupled decay, as torch.optim.AdamW);
 * quotient: Adam's step from moments that are kept elsewhere (TeZO-Adam, arXiv 2501.19057); sign: signSGD (Bernstein et al., arXiv 1802.04434);
 * rounded, corrected: low-precision SGLD (arXiv 2206.09909); positive: QZO (arXiv 2505.13430);
 * curvature: HiZOO's diagonal (arXiv 2402.15173); small, chosen: masks (Sparse-MeZO, arXiv 2402.15751); square, floored: HELENE (arXiv 2411.10696);
 * gather: weights read into a sum (DiZO, arXiv 2502.03304). */
#ifndef ZO_BACKENDS_RULES_H
#define ZO_BACKENDS_RULES_H

#include <stdbool.h>

#include "core/num.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_rule_args {
    float lr;
    float decay;         /* decoupled: w *= 1 - lr * decay, where the parameter decays */
    float beta1, beta2, eps;
    float correct1, correct2; /* 1 - beta^t, or 1 without bias correction */
    float gamma, floor;       /* of FLOORED; gamma of GATHER; of ROUNDED and CORRECTED the noise's variance, and the least number of the grid, whose steps are eps */
} zo_rule_args;

/* X(enumerator, function, name): functions take (args, decays, w, g, m, v) by pointer to one element; unused ones may be NULL. */
#define ZO_RULE_LIST(X)                                                                                     \
    X(ZO_RULE_SGD, zo_rule_sgd, "sgd") X(ZO_RULE_MOMENTUM, zo_rule_momentum, "momentum")                    \
    X(ZO_RULE_ADAMW, zo_rule_adamw, "adamw") X(ZO_RULE_QUOTIENT, zo_rule_quotient, "quotient")              \
    X(ZO_RULE_SIGN, zo_rule_sign, "sign") X(ZO_RULE_CURVATURE, zo_rule_curvature, "curvature") \
    X(ZO_RULE_ADAMU, zo_rule_adamu, "adamu") X(ZO_RULE_MOMENTS, zo_rule_moments, "moments")                  \
    X(ZO_RULE_WINDOW, zo_rule_window, "window") X(ZO_RULE_SMALL, zo_rule_small, "small")                  \
    X(ZO_RULE_CHOSEN, zo_rule_chosen, "chosen") X(ZO_RULE_SQUARE, zo_rule_square, "square")                 \
    X(ZO_RULE_FLOORED, zo_rule_floored, "floored") X(ZO_RULE_REPLAYED, zo_rule_replayed, "replayed")        \
    X(ZO_RULE_ROUNDED, zo_rule_rounded, "rounded") X(ZO_RULE_CORRECTED, zo_rule_corrected, "corrected") \
    X(ZO_RULE_POSITIVE, zo_rule_positive, "positive") X(ZO_RULE_GATHER, zo_rule_gather, "gather")

typedef enum zo_rule_kind {
#define X(id, function, name) id,
    ZO_RULE_LIST(X)
#undef X
    ZO_RULES
} zo_rule_kind;

/* Rules whose m and v are no stores where the rule draws: from 0, they are zo_rule_moments of each term in their order. */
static inline bool zo_rule_replays(zo_rule_kind rule)
{
    return rule == ZO_RULE_WINDOW || rule == ZO_RULE_REPLAYED;
}

/* Rules whose g and v are a draw each: of two terms the first and the second. */
ZO_INLINE bool zo_rule_pairs(zo_rule_kind rule)
{
    return rule == ZO_RULE_ROUNDED || rule == ZO_RULE_CORRECTED;
}

/* Rules whose g may be drawn on the way (zo_backend.rule_drawn). */
static inline bool zo_rule_draws(zo_rule_kind rule)
{
    return rule == ZO_RULE_ADAMW || rule == ZO_RULE_SIGN || rule == ZO_RULE_CURVATURE || rule == ZO_RULE_ADAMU ||
           zo_rule_replays(rule) || zo_rule_pairs(rule) || rule == ZO_RULE_CHOSEN || rule == ZO_RULE_SQUARE;
}

ZO_INLINE void zo_rule_sgd(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)m;
    (void)v;
    float shrunk = *w * (1.0f - a->lr * a->decay * decays);
    *w = fmaf(-a->lr, *g, shrunk);
}

/* torch.optim.SGD with momentum beta1: the decay is an L2 term inside the momentum. */
ZO_INLINE void zo_rule_momentum(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)v;
    float sum = fmaf(a->beta1, *m, fmaf(a->decay * decays, *w, *g));
    *m = sum;
    *w = fmaf(-a->lr, sum, *w);
}

/* Adam's moments alone: w is neither read nor written. */
ZO_INLINE void zo_rule_moments(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)w;
    *m = fmaf(1.0f - a->beta1, *g - *m, *m);
    *v = fmaf(1.0f - a->beta2, fmaf(*g, *g, -*v), *v);
}

/* AdamW's step from moments that are there: g is not read, m and v are not written. See zo_rule_replays. */
ZO_INLINE void zo_rule_replayed(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)g;
    float shrunk = *w * (1.0f - a->lr * a->decay * decays);
    *w = fmaf(-a->lr, (*m / a->correct1) / (sqrtf(*v / a->correct2) + a->eps), shrunk);
}

ZO_INLINE void zo_rule_adamw(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    zo_rule_moments(a, decays, w, g, m, v);
    zo_rule_replayed(a, decays, w, g, m, v);
}

/* sign(0) = 0. */
ZO_INLINE void zo_rule_sign(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)m;
    (void)v;
    float shrunk = *w * (1.0f - a->lr * a->decay * decays), sign = (float)((*g > 0.0f) - (*g < 0.0f));
    *w = fmaf(-a->lr, sign, shrunk);
}

/* Of ZO-AdaMU, without decay: g is the first perturbation, m = beta1 g + (1 - beta1) z2 is read and not written, and the weights move by
 * -lr m / sqrt(beta2 g^2 + (1 - beta2) z2^2 + eps). */
ZO_INLINE void zo_rule_adamu(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)v;
    float second = fmaf(-a->beta1, *g, *m) / (1.0f - a->beta1);
    float square = fmaf(a->beta2 * *g, *g, (1.0f - a->beta2) * second * second);
    *w = fmaf(-a->lr, *m / sqrtf(square + a->eps), *w);
}

/* AdaMeZO's step, without decay; g is not read, m and v are not written. See zo_rule_replays. */
ZO_INLINE void zo_rule_window(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)g;
    *w = fmaf(-a->lr, (*m / a->correct1) / sqrtf(*v / a->correct2 + a->eps), *w);
}

/* Without decay; g is not read, and m and v are not written, so they may be formed on the way (zo_backend.rule_lowrank). */
ZO_INLINE void zo_rule_quotient(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)g;
    *w = fmaf(-a->lr, *m / (sqrtf(*v) + a->eps), *w);
}

/* Of a set of curvatures: w <- (1 - lr) w + g^2 w, where g^2 = lr |L+ + L- - 2 L0| / (2 eps^2) z^2 (the released code of HiZOO). */
ZO_INLINE void zo_rule_curvature(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)m;
    (void)v;
    *w = fmaf(fmaf(*g, *g, -a->lr), *w, *w);
}

/* m <- 1 where |w| <= eps, else 0; w stays. */
ZO_INLINE void zo_rule_small(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)g;
    (void)v;
    *m = fabsf(*w) <= a->eps ? 1.0f : 0.0f;
}

/* Of a set: w <- 1 where |g| <= eps, else 0. */
ZO_INLINE void zo_rule_chosen(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)m;
    (void)v;
    *w = fabsf(*g) <= a->eps ? 1.0f : 0.0f;
}

/* Of a set: w <- beta2 w + (1 - beta2) g^2. */
ZO_INLINE void zo_rule_square(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)m;
    (void)v;
    *w = fmaf(1.0f - a->beta2, fmaf(*g, *g, -*w), *w);
}

/* m <- beta1 m + gamma w; w stays. */
ZO_INLINE void zo_rule_gather(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)g;
    (void)v;
    *m = fmaf(a->gamma, *w, a->beta1 * *m);
}

/* w <- w - lr m / (gamma max(v, floor) + eps); m and v stay. */
ZO_INLINE void zo_rule_floored(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    (void)g;
    float least = *v > a->floor ? *v : a->floor;
    *w = fmaf(-a->lr, *m / fmaf(a->gamma, least, a->eps), *w);
}

/* A uniform number in [0, 1) from a normal one: the fraction of a standard normal has a density within 1 +- 6e-9. */
ZO_INLINE float zo_fraction(float normal)
{
    return normal - floorf(normal);
}

/* The numbers of `bits` bits are eps times -2^(bits-1) to 2^(bits-1) - 1: `floor` to -floor - eps. */
ZO_INLINE float zo_clip_to_grid(const zo_rule_args *a, float x)
{
    float most = -a->floor - a->eps;
    return x < a->floor ? a->floor : x > most ? most : x;
}

/* Langevin's step, without decay, rounded to the grid at random: w <- Q(w - lr m + sqrt(gamma) g), where Q goes up with the probability that keeps the
 * mean. m is the gradient and stays; g and v are two normals. */
ZO_INLINE void zo_rule_rounded(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    float x = fmaf(sqrtf(a->gamma), *g, fmaf(-a->lr, *m, *w));
    *w = zo_clip_to_grid(a, a->eps * floorf(x / a->eps + zo_fraction(*v)));
}

/* The same step by the quantiser whose result has mean mu = w - lr m and variance gamma, rounding included. Where gamma is above that of a number
 * half-way between two of the grid, a part of it is normal noise before rounding to the nearest, and a step up or down makes up for the rest; else
 * rounding at random makes a part of it. A variance that rounding alone exceeds stays above gamma. */
ZO_INLINE void zo_rule_corrected(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)decays;
    float d = a->eps, square = d * d, most = 0.25f * square, mu = fmaf(-a->lr, *m, *w), u = zo_fraction(*v), q, step;
    if (a->gamma > most) {
        float x = fmaf(sqrtf(a->gamma - most), *g, mu);
        q = d * floorf(x / d + 0.5f);
        float r = x - q, away = fabsf(r), sum = (most + away * away) / (2.0f * square), lean = away / (2.0f * d);
        step = u < sum + lean ? d : u < 2.0f * sum ? -d : 0.0f;
        step = r < 0.0f ? -step : step;
    } else {
        q = d * floorf(mu / d + zo_fraction(*g));
        float away = fabsf(mu - q), other = d - away, share = away / d;
        float made = (1.0f - share) * away * away + share * other * other, half = (a->gamma - made) / (2.0f * square);
        step = u < half ? d : u < 2.0f * half ? -d : 0.0f;
    }
    *w = zo_clip_to_grid(a, q + step);
}

/* w <- max(w, 0): of scales. */
ZO_INLINE void zo_rule_positive(const zo_rule_args *a, float decays, float *w, const float *g, float *m, float *v)
{
    (void)a;
    (void)decays;
    (void)g;
    (void)m;
    (void)v;
    *w = *w > 0.0f ? *w : 0.0f;
}

#ifdef __cplusplus
}
#endif
#endif
