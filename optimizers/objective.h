/* objective.h: all that an estimator can see. An estimator asks for losses at points and says which directions to apply; it never
 * loops over parameters, never touches a weight, never times, never prints. Two implementations: engine.c (a model on a backend)
 * and the closed-form functions of the tests, so that the same estimator file is tested against exact gradients. */
#ifndef ZO_OPTIMIZERS_OBJECTIVE_H
#define ZO_OPTIMIZERS_OBJECTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/rules.h"
#include "core/dir.h"
#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_which {
    ZO_BATCH_CURRENT, /* the step's mini-batch */
    ZO_BATCH_FULL     /* the whole training set, run in chunks of the batch size, chunk losses weighted by examples */
} zo_which;

struct zo_factor_spec;

typedef struct zo_objective {
    void *self;
    uint64_t seed;     /* of every direction of this run */
    int64_t ncoef;     /* numbers in a coefficient vector of the CP factors; 0 before make_factors */

    /* loss[p] at point[p], n points over the same batch. The objective decides how (one pass, or the weights moved from point to
     * point). ZO_EDIVERGED when a loss is not finite. Counts forwards. */
    zo_status (*losses)(struct zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err);
    /* weights <- weights * decay (decaying parameters) + sum of terms, each term rounded on its own, in order. */
    zo_status (*apply)(struct zo_objective *o, double decay, const zo_term *term, int n, zo_err *err);
    /* Remember the weights as ZO_BASE_SNAPSHOT (a stored copy, tag SNAPSHOT). */
    zo_status (*snapshot)(struct zo_objective *o, zo_err *err);
    /* Materialise a direction combination as a stored tensor set (tag OPT_STATE) that `apply_stored` can add again: what
     * MeZO-SVRG's released code does with its full-batch gradient. */
    zo_status (*store_terms)(struct zo_objective *o, const zo_term *term, int n, zo_err *err);
    zo_status (*apply_stored)(struct zo_objective *o, double coef, zo_err *err);

    /* CP factors (TeZO): rank 1..r_max per matrix, fixed or by the rank rule; see engine.h. Fills o->ncoef. */
    zo_status (*make_factors)(struct zo_objective *o, const struct zo_factor_spec *spec, zo_err *err);
    /* tau of a CP direction: (ncoef) host floats, the same numbers that the direction realises. */
    void (*draw_coefs)(struct zo_objective *o, const zo_dir *dir, float *tau);
    zo_status (*tezo_adam)(struct zo_objective *o, const float *m, const float *v, double lr, double eps, zo_err *err);

    /* First order: gradient of the loss at the weights into the objective's gradient store (made at the first call, tag GRADS). */
    zo_status (*gradient)(struct zo_objective *o, zo_which which, double *loss, double *norm, zo_err *err);
    /* One elementwise rule over weights, gradient scaled by `scale` (clipping) and moments (made at the first call that needs them,
     * tag OPT_STATE). */
    zo_status (*rule)(struct zo_objective *o, zo_rule_kind rule, const zo_rule_args *args, double scale, zo_err *err);
} zo_objective;

typedef struct zo_factor_spec {
    int rank;             /* > 0: fixed rank, min(rank, rows, cols); 0: the rank rule */
    int rank_max;         /* r_max of the rule */
    double threshold;     /* r_th: count of singular values >= r_th * sigma_1, least over the matrices of a block (recalled form) */
    double scale_power;   /* scale = rank^power: 0, -0.5, -1 */
    bool embeddings;      /* factor TABLE parameters too */
} zo_factor_spec;

#ifdef __cplusplus
}
#endif
#endif
