/* head_fit.h: a linear probe: the head's last product becomes the logistic regression on its features, which are those of the whole training set at the
 * weights as they are. As MeZO's code (Malladi et al., arXiv 2305.17333: linearhead_trainer.py for RoBERTa, trainer.py for OPT), which asks scikit-learn's
 * LogisticRegressionCV: five stratified folds, ten strengths from 1e-4 to 1e4, L2 on all but the bias, no bias where the head has none.
 *
 * Of two classes scikit-learn keeps one row of coefficients, which are those of class 1; those of class 0 are their negatives. MeZO's code writes half of
 * each. So the difference of the two logits is half of the fitted one: the choices are those of the regression, and the loss is not. "two_classes" says.
 *
 * Where it differs: rows keep their file's order, by which the folds go, and are shuffled there; and the solver is not L-BFGS. A regression ends where
 * scikit-learn's does: by its gradient, or where a step lowers the objective by less than SciPy's share, or after so many iterations. */
#ifndef ZO_OPTIMIZERS_HEAD_FIT_H
#define ZO_OPTIMIZERS_HEAD_FIT_H

#include <stddef.h>

#include "optimizers/needs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_head_fit {
    double strength;     /* C; 0 = by cross-validation */
    int64_t folds;
    double tolerance;
    int two_classes;     /* ZO_TWO_HALVED, ZO_TWO_WHOLE */
} zo_head_fit;
enum { ZO_TWO_HALVED, ZO_TWO_WHOLE };

/* Rows of an option table whose struct begins with it. */
#define ZO_HEAD_FIT_OPTIONS                                                                                                           \
    {.key = "strength", .type = ZO_OPT_REAL, .offset = offsetof(zo_head_fit, strength), .initial = 0.0, .least = 0.0, .most = 1e9,    \
     .help = "C: the weight of the data's loss beside |W|^2 / 2; 0: the best of ten by cross-validation (the released code)"},        \
    {.key = "folds", .type = ZO_OPT_INT, .offset = offsetof(zo_head_fit, folds), .initial = 5, .least = 2, .most = 1000,              \
     .help = "of the cross-validation; 5 in the released code"},                                                                      \
    {.key = "tolerance", .type = ZO_OPT_REAL, .offset = offsetof(zo_head_fit, tolerance), .initial = 1e-4, .least = 1e-12,            \
     .most = 1.0, .help = "a regression ends where no component of its gradient is larger; 1e-4 in the released code"},               \
    {.key = "two_classes", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_head_fit, two_classes), .choices = "halved|whole",            \
     .help = "of two classes: halved: half of the coefficients is written (the released code); whole: all of them"}

extern const zo_head_fit zo_head_fit_defaults;

/* Asks for the features, fits, and sets the head; *loss = the mean log loss over the training rows of the head as it is then. ZO_EINPUT where there are
 * not two classes, or too few rows of one to choose the strength. */
zo_status zo_head_fit_run(const zo_head_fit *how, zo_objective *o, double *loss, zo_err *err);

/* What that takes, added to `needs`. */
void zo_head_fit_needs(const zo_head_fit *how, const zo_extent *extent, zo_needs *needs);

#ifdef __cplusplus
}
#endif
#endif
