/* addax.h: twin of Addax (arXiv 2410.06441): a step along a probe of one batch and the gradient of another, both at the w of before the step. */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_ADDAX_H
#define ZO_TESTS_OPTIMIZERS_TWINS_ADDAX_H

#include "tests/optimizers/twins/first_order.h"

/* g0 = (L(w + eps z; B0) - L(w - eps z; B0)) / 2 eps; w <- w - lr (alpha g0 z + (1 - alpha) grad L(w; B1)). B0 is the step's first batch, and B1 the
 * second. */
static inline void twin_addax(twin *t)
{
    double z[SIZE], g[SIZE], at[SIZE], lr, alpha = real(t, "alpha", 1e-3);
    bool swapped = wrong(t, "the batches are swapped"), one = wrong(t, "both of one batch");
    draw(t, t->step, wrong(t, "another z") ? 1 : 0, z);
    rounded_weights(t, t->gradients, at);
    double pg = spsa(t, zo_batch_of(swapped ? 1 : 0), at, z, NULL), along = wrong(t, "the other way along z") ? t->lr * alpha * pg : -t->lr * alpha * pg;
    along = wrong(t, "alpha is of the gradient") ? -t->lr * (1.0 - alpha) * pg : wrong(t, "z is not applied") ? 0.0 : along;
    if (wrong(t, "the gradient is behind the step along z")) {
        add(t->w, along, z);
        along = 0.0;
    }
    next_gradient(t, zo_batch_of(swapped || one ? 0 : 1), 0.0, g, &lr);
    add(t->w, wrong(t, "the gradient is whole") ? -lr : -lr * (1.0 - alpha), g);
    add(t->w, along, z);
}

#endif
