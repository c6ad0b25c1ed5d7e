/* registry.c: all estimators, and one by name. */
#include <string.h>

#include "optimizers/estimator.h"
#include "optimizers/list.h"

#define X(suffix) extern const zo_estimator zo_estimator_##suffix;
ZO_ESTIMATOR_LIST(X)
#undef X

static const zo_estimator *const estimators[] = {
#define X(suffix) &zo_estimator_##suffix,
    ZO_ESTIMATOR_LIST(X)
#undef X
};

int zo_estimator_list(const zo_estimator *const **list)
{
    *list = estimators;
    return (int)(sizeof estimators / sizeof *estimators);
}

const zo_estimator *zo_estimator_find(const char *name)
{
    for (size_t i = 0; i < sizeof estimators / sizeof *estimators; i++) {
        if (strcmp(estimators[i]->name, name) == 0) {
            return estimators[i];
        }
    }
    return NULL;
}
