/* masks.h: twins of MeZO on a part of the weights: Sparse-MeZO and R-MeZO (arXiv 2402.15751). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_MASKS_H
#define ZO_TESTS_OPTIMIZERS_TWINS_MASKS_H

#include "tests/optimizers/twins/twin.h"

static inline int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* m = 1 on the `share` smallest |w| of each parameter, whose threshold is found now or was found before. Elements so near to it that f32 may see them
 * on its other side are left out from there on. */
static inline void smallest(twin *t, double share, bool anew, double *threshold, double *m)
{
    const double near = 1e-5;
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        int64_t n = p->frozen ? 0 : p->rows * p->cols, kept = (int64_t)ceil(share * (double)n), close = 0;
        double size[SIZE];
        for (int64_t i = 0; i < n; i++) {
            size[i] = fabs(t->w[p->offset + i]);
        }
        qsort(size, (size_t)n, sizeof *size, by_size);
        if (n > 0 && anew) {
            threshold[k] = wrong(t, "the threshold is a number too high") && kept < n ? size[kept] : size[kept - 1];
        }
        for (int64_t i = p->offset; i < p->offset + n; i++) {
            double far = fabs(fabs(t->w[i]) - threshold[k]);
            bool in = fabs(t->w[i]) <= threshold[k];
            m[i] = in != wrong(t, "the largest move, not the smallest") ? 1.0 : 0.0;
            bool unsure = t->step > 0 && far < near && !(anew && far == 0.0);
            t->left_out[i] = t->left_out[i] || unsure;
            close += unsure;
        }
        for (int64_t i = p->offset; close > 0 && i < p->offset + n; i++) {
            t->left_out[i] = t->left_out[i] || fabs(t->w[i]) == threshold[k];
        }
    }
}

/* pg along m z, and w <- w - lr pg m z */
static inline void masked_step(twin *t, const double *m)
{
    double z[SIZE], along[SIZE], all[SIZE];
    draw(t, t->step, 0, all);
    for (int i = 0; i < SIZE; i++) {
        along[i] = m[i] * all[i];
    }
    memcpy(z, along, sizeof z);
    double pg = spsa(t, ZO_BATCH_CURRENT, t->w, wrong(t, "the probe has no mask") ? all : z, NULL);
    add(t->w, wrong(t, "the other way") ? t->lr * pg : -t->lr * pg, wrong(t, "the update has no mask") ? all : along);
}

/* Sparse-MeZO: m z in place of z, m = 1 where |w| <= h of the parameter. */
static inline void twin_sparse_mezo(twin *t)
{
    double *m = set(t, "mask"), *threshold = numbers(t, "(thresholds)", PARAMS);
    int64_t refresh = (int64_t)real(t, "refresh", 1);
    bool moving = is(t, "threshold", "moving", "start");
    if (t->step == 0 || (refresh > 0 && t->step % refresh == 0 && !wrong(t, "the first mask stays"))) {
        smallest(t, real(t, "share", 0.25), t->step == 0 || moving != (refresh > 0 && wrong(t, "the other kind of threshold")), threshold, m);
    }
    masked_step(t, m);
}

/* R-MeZO: m = 1 where a normal's magnitude, of the step's second draw, is below the quantile of `share`. */
static inline void twin_r_mezo(twin *t)
{
    double *m = set(t, "mask"), share = real(t, "share", 0.25), low = 0.0, high = 10.0;
    int64_t refresh = (int64_t)real(t, "refresh", 1);
    for (int i = 0; i < 60; i++) {
        double middle = (low + high) / 2.0;
        if (erfc(middle / sqrt(2.0)) > 1.0 - share) {
            low = middle;
        } else {
            high = middle;
        }
    }
    if (t->step == 0 || (refresh > 0 && t->step % refresh == 0 && !wrong(t, "the first mask stays"))) {
        for (int k = 0; k < PARAMS; k++) {
            const zo_param *p = &t->net->layout.param[k];
            float normal[SIZE];
            int64_t n = p->frozen ? 0 : p->rows * p->cols;
            zo_normals_scalar((zo_stream){t->seed, p->id, (uint32_t)t->step, wrong(t, "z's own draw makes the mask") ? 0 : 1, ZO_ROLE_Z}, 0, n, normal);
            for (int64_t i = 0; i < n; i++) {
                m[p->offset + i] = (fabs((double)normal[i]) <= low) != wrong(t, "the others move") ? 1.0 : 0.0;
                t->left_out[p->offset + i] = t->left_out[p->offset + i] || fabs(fabs((double)normal[i]) - low) < 1e-6;
            }
        }
    }
    masked_step(t, m);
}

#endif
