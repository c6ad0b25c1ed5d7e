/* logistic.h: multinomial logistic regression with an L2 term, solved in float64 on the host:
 *
 *     minimise over W, b:   C sum_i -log softmax(W x_i + b)[y_i]  +  1/2 |W|^2
 *
 * C is the strength of the data (scikit-learn's C), and b has no L2 term. By Newton's method, whose steps are made by conjugate gradients. The objective
 * is convex, every sum has one order, and so the solution is the same on every machine with the same C library. */
#ifndef ZO_OPTIMIZERS_LOGISTIC_H
#define ZO_OPTIMIZERS_LOGISTIC_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_logistic {
    int64_t n;            /* rows */
    int width, classes;   /* of a row; at least 2 */
    bool bias;            /* there is a b */
    const float *x;       /* (n, width) */
    const int32_t *label; /* (n) 0 .. classes - 1 */
    double strength;      /* C > 0 */
    double tolerance;     /* > 0: it ends where no component of the gradient is larger, */
    double least_fall;    /* or where a Newton step lowers the objective by no larger share of it (0: nowhere) */
    int64_t iterations;   /* conjugate-gradient iterations, at most: then what there is is the solution */
    const int32_t *fold;  /* (n) from zo_logistic_folds; NULL = all rows are fitted, */
    int32_t without;      /* else all but those of this fold */
} zo_logistic;

/* Numbers of a solution: W and b, (classes, width + bias), b behind each row of W. */
int64_t zo_logistic_size(const zo_logistic *problem);
/* What zo_logistic_fit takes while it works, bytes of the host's WORKSPACE; zo_logistic_choose takes the second more, and holds both. */
uint64_t zo_logistic_fit_bytes(int64_t n, int width, int classes, bool bias);
uint64_t zo_logistic_choose_bytes(int64_t n, int width, int classes, bool bias);

/* w (zo_logistic_size): where it begins, and the solution. ZO_EDIVERGED where a row is not finite. */
zo_status zo_logistic_fit(const zo_logistic *problem, double *w, zo_err *err);

/* The mean of -log softmax(W x_i + b)[y_i] over all rows, and the gradient of the whole objective at w over the fitted ones: g (zo_logistic_size),
 * NULL = not wanted. */
double zo_logistic_loss(const zo_logistic *problem, const double *w, double *g);

/* fold (n): which of `folds` parts each row is left out in: stratified, in the order of the rows, without a draw, as scikit-learn's StratifiedKFold. */
void zo_logistic_folds(const int32_t *label, int64_t n, int folds, int32_t *fold);

/* Are there rows enough: one a class, or where the strength is chosen over `folds` (0 = it is not) two a class and one a fold? ZO_EINPUT where not. */
zo_status zo_logistic_check(const zo_logistic *problem, int folds, zo_err *err);

/* The strength of ten, 1e-4 to 1e4 in equal steps of their logarithm, with the best mean accuracy over the folds that are left out, the first of equal
 * ones: scikit-learn's LogisticRegressionCV. problem->strength, fold and without are not read. Of rows that zo_logistic_check finds enough. */
zo_status zo_logistic_choose(const zo_logistic *problem, int folds, double *strength, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
