/* head_fit.c: see head_fit.h. */
#include "optimizers/head_fit.h"

#include "core/mem.h"
#include "optimizers/logistic.h"

enum { ITERATIONS = 2000 }; /* of a regression, at most. The released code gives 5000 to L-BFGS, which takes more of them */
static const double least_fall = 2.2e-9; /* that of SciPy's L-BFGS */

const zo_head_fit zo_head_fit_defaults = {.folds = 5, .tolerance = 1e-4};

void zo_head_fit_needs(const zo_head_fit *how, const zo_extent *x, zo_needs *n)
{
    uint64_t rows = (uint64_t)x->feature_rows, solution = (uint64_t)x->feature_classes * (uint64_t)(x->feature_width + x->feature_bias) * sizeof(double);
    n->features = true;
    n->step_bytes[ZO_TAG_DATA] += rows * ((uint64_t)x->feature_width * sizeof(float) + sizeof(int32_t)) + (uint64_t)x->feature_classes * sizeof(int32_t);
    n->step_bytes[ZO_TAG_WORKSPACE] += solution + zo_logistic_fit_bytes(x->feature_rows, x->feature_width, x->feature_classes, x->feature_bias);
    n->step_bytes[ZO_TAG_WORKSPACE] += how->strength > 0.0 ? 0 : zo_logistic_choose_bytes(x->feature_rows, x->feature_width, x->feature_classes, x->feature_bias);
}

zo_status zo_head_fit_run(const zo_head_fit *how, zo_objective *o, double *loss, zo_err *err)
{
    zo_features f;
    zo_status status = o->features(o, &f, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_logistic q = {.n = f.n, .width = f.width, .classes = f.classes, .bias = f.bias, .x = f.x, .label = f.label, .strength = how->strength,
                     .tolerance = how->tolerance, .least_fall = least_fall, .iterations = ITERATIONS};
    double *w = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)zo_logistic_size(&q) * sizeof *w);
    status = f.classes >= 2 ? ZO_OK : zo_fail(err, ZO_EINPUT, "a linear probe tells classes apart, and the training rows have one answer: train on more rows");
    status = status == ZO_OK ? zo_logistic_check(&q, how->strength > 0.0 ? 0 : (int)how->folds, err) : status;
    status = status == ZO_OK && how->strength == 0.0 ? zo_logistic_choose(&q, (int)how->folds, &q.strength, err) : status;
    status = status == ZO_OK ? zo_logistic_fit(&q, w, err) : status;
    for (int64_t j = 0; j < zo_logistic_size(&q) && f.classes == 2 && how->two_classes == ZO_TWO_HALVED; j++) {
        w[j] /= 2.0;
    }
    *loss = status == ZO_OK ? zo_logistic_loss(&q, w, NULL) : 0.0;
    status = status == ZO_OK ? o->set_head(o, &f, w, err) : status;
    zo_free(w);
    zo_free(f.x);
    return status;
}
