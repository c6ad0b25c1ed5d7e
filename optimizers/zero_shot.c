/* zero_shot.c: the model as it is. It does not train: the harness only evaluates. */
#include <stddef.h>

#include "optimizers/estimator.h"

typedef struct state { char none; } state;

static const zo_opt options[] = {{.key = NULL}};

const zo_estimator zo_estimator_zero_shot = {
    .name = "zero-shot",
    .title = "no training",
    .loss_is = "there are no steps",
    .losses_at = "asks for nothing, applies nothing",
    .options = options,
    .state_bytes = sizeof(state),
};
