/* fold_side.h: the weights that an engine's view stands for, in one store: the sums that a side path keeps beside the weights are
 * added to them, so that a test can compare them with those of another realisation. The engine must not step afterwards. */
#ifndef ZO_TESTS_FOLD_SIDE_H
#define ZO_TESTS_FOLD_SIDE_H

#include "optimizers/engine/engine.h"

static inline void fold_side(zo_engine *engine, zo_backend *be, zo_store *weights)
{
    const zo_view *view = zo_engine_settle(engine);
    if (view->side != NULL) {
        zo_term term = {.dir = {.kind = ZO_DIR_SPAN, .seed = view->factors->seed, .span = view->side}, .coef = 1.0};
        be->apply(be, weights, view->factors, 1.0, &term, 1, NULL);
    }
}

#endif
