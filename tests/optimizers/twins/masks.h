/* masks.h: twins of Sparse-MeZO (arXiv 2402.15751) and of its control R-MeZO: MeZO along m z, m a mask of zeros and ones. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_MASKS_H
#define ZO_TESTS_OPTIMIZERS_TWINS_MASKS_H

#include "tests/optimizers/twins/twin.h"

static inline int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The k-th smallest magnitude of a parameter. */
static inline double magnitude_at(const twin *t, const zo_param *p, int64_t k)
{
    double sorted[SIZE];
    int64_t n = p->rows * p->cols;
    for (int64_t i = 0; i < n; i++) {
        sorted[i] = fabs(t->w[p->offset + i]);
    }
    qsort(sorted, (size_t)n, sizeof *sorted, compare_doubles);
    return sorted[k - 1];
}

/* pg along m z; w <- w - lr pg m z. */
static inline void masked_step(twin *t, const double *m)
{
    double z[SIZE], mz[SIZE];
    draw(t, t->step, 0, z);
    for (int i = 0; i < SIZE; i++) {
        mz[i] = m[i] * z[i];
    }
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, wrong(t, "the probe has no mask") ? z : mz, NULL);
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, wrong(t, "the update has no mask") ? z : mz);
}

static inline bool mask_is_due(twin *t)
{
    int64_t every = (int64_t)real(t, "refresh", 1);
    return t->step == 0 || (every > 0 && t->step % every == 0 && !wrong(t, "the mask stays"));
}

/* m = 1 on the share of a parameter's weights that have the least magnitude: |w| <= h, h found before the first step, or with each mask. */
static inline void twin_sparse_mezo(twin *t)
{
    double *m = set(t, "mask"), *h = numbers(t, "(thresholds)", PARAMS), share = real(t, "share", 0.25);
    for (int k = 0; k < PARAMS && mask_is_due(t); k++) {
        const zo_param *p = &t->net->layout.param[k];
        int64_t n = p->rows * p->cols;
        if (t->step == 0 || is(t, "threshold", "moving", "start") != wrong(t, "the other choice of when thresholds are found")) {
            h[k] = magnitude_at(t, p, (int64_t)(wrong(t, "a third of the share") ? ceil(share / 3.0 * (double)n) : ceil(share * (double)n)));
        }
        for (int64_t i = p->offset; i < p->offset + n && !p->frozen; i++) {
            double over = fabs(t->w[i]) - h[k];
            m[i] = (over <= 0.0) != wrong(t, "the largest weights, not the least");
            t->left_out[i] = t->left_out[i] || (over != 0.0 && fabs(over) < 1e-5);
        }
    }
    masked_step(t, m);
}

/* m = 1 with probability share: where a normal of its own is no longer than the half-normal's quantile. */
static inline void twin_r_mezo(twin *t)
{
    double *m = set(t, "mask"), g[SIZE], share = real(t, "share", 0.25), low = 0.0, high = 10.0;
    for (int round = 0; round < 100; round++) {
        *(erf((low + high) / 2.0 * M_SQRT1_2) < share ? &low : &high) = (low + high) / 2.0;
    }
    if (mask_is_due(t)) {
        draw_as(t, false, t->step > 0 && wrong(t, "the first step's mask") ? 0 : t->step, 1, 0, NULL, g);
        for (int i = 0; i < SIZE; i++) {
            m[i] = g[i] != 0.0 && fabs(g[i]) <= (wrong(t, "a smaller share") ? low / 2.0 : low);
            t->left_out[i] = t->left_out[i] || fabs(fabs(g[i]) - low) < 1e-5;
        }
    }
    masked_step(t, m);
}

#endif
