/* cp.h: what the estimators of one fixed set of CP factors share (Sun et al., arXiv 2501.19057):
 *
 *     Z_t = scale U diag(tau_t) V^T on every factored matrix, U and V drawn once, tau_t ~ N(0, I_r) drawn at each step
 *     kappa = (L(w + eps Z) - L(w - eps Z)) / (2 eps)
 *
 * Of the paper's body only secondary sources could be read, so every choice on which they are silent is an option whose value is recorded.
 * What is not factored (biases, norms, tables if so wished) gets a full Gaussian z in the same probe, with the one kappa, and
 * w -= rest_lr kappa z. There is no weight decay.
 *
 * Ranks are layer-wise (the paper's "rank propagation"): r_l = min(least count of large singular values over the matrices of l's block, r_max), of the
 * weights before the first step (rank_rule.h). That there is such a rule, with a threshold and an r_max, was read; its form is recalled, with little
 * confidence, and the two values are ours. */
#ifndef ZO_OPTIMIZERS_CP_H
#define ZO_OPTIMIZERS_CP_H

#include <stddef.h>

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Options. The state of each such estimator begins with a field `cp` of this type. */
typedef struct zo_cp {
    int64_t rank, rank_max;
    double threshold;
    int scale, embeddings, rest; /* choices of ZO_CP_OPTIONS */
    double rest_lr;
} zo_cp;

enum { ZO_CP_TRAIN, ZO_CP_FREEZE }; /* zo_cp.rest */

#define ZO_CP_OPTIONS                                                                                                                 \
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(zo_cp, rank), .initial = 0, .least = 0, .most = 4096,                      \
     .help = "CP rank of every matrix (at most its shorter side); 0 = the rank rule, layer by layer, as the paper"},                  \
    {.key = "rank_max", .type = ZO_OPT_INT, .offset = offsetof(zo_cp, rank_max), .initial = 64, .least = 1, .most = 4096,             \
     .help = "r_max of the rank rule (the paper's is not known; its mean rank on OPT-13B is said to be 31.5)"},                       \
    {.key = "threshold", .type = ZO_OPT_REAL, .offset = offsetof(zo_cp, threshold), .initial = 0.25, .least = 0.0, .most = 1.0,       \
     .help = "r_th of the rank rule: singular values >= r_th * the largest are counted, the least count of a block holds (recalled)"},\
    {.key = "scale", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_cp, scale), .initial = 1, .choices = "none|sqrt|rank",              \
     .help = "scale of Z: 1, 1/sqrt(r) (unit variance an entry, so lr and eps compare with MeZO's) or 1/r"},                          \
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_cp, embeddings), .initial = ZO_TABLES_FACTOR,                  \
     .choices = "factor|rest|freeze", .help = "embedding tables: CP factors, a full Gaussian, or not trained (the paper is silent)"}, \
    {.key = "rest", .type = ZO_OPT_CHOICE, .offset = offsetof(zo_cp, rest), .initial = ZO_CP_TRAIN, .choices = "train|freeze",        \
     .help = "what is not factored: trained with a full Gaussian, or frozen (the paper is silent)"},                                  \
    {.key = "rest_lr", .type = ZO_OPT_REAL, .offset = offsetof(zo_cp, rest_lr), .initial = 0.0, .least = 0.0, .most = 1e3,            \
     .help = "learning rate of what is not factored; 0 = lr"}
/* Row of an option table: the decay of a first moment; `state` has a double `beta1`. */
#define ZO_CP_BETA1(state)                                                                                                            \
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.9, .least = 0.0, .most = 0.9999999,          \
     .help = "decay of the first moment"}

/* What the description of each has in common. */
#define ZO_CP_ESTIMATOR                                                                                                               \
    .paper = "Sun et al., arXiv 2501.19057", .source = ZO_SOURCE_RECONSTRUCTED, .variants = zo_cp_variants,                           \
    .loss_is = "L(w + eps Z) of the step's batch, before the update",                                                                 \
    .eps = 1e-3, .descends_lr = 0.01
extern const zo_variant zo_cp_variants[];

/* Of an estimator that keeps `coefs` arrays of a number a coefficient. */
void zo_cp_needs(const zo_cp *cp, int coefs, zo_needs *n);

/* Opens the factors. ZO_EUNSUPPORTED where there would be nothing to train. */
zo_status zo_cp_start(const zo_cp *cp, zo_objective *o, zo_err *err);

/* The probe: CP directions on factored matrices and, unless frozen, a Gaussian on the rest; *r is filled in. */
zo_status zo_cp_probe(const zo_cp *cp, zo_objective *o, const zo_step_context *c, zo_probe *p, zo_step_report *r, zo_err *err);

/* w += coef * factored and, with the probe's own z, -rest_lr kappa_rest z on the rest. factored = NULL: only the rest. */
zo_status zo_cp_update(const zo_cp *cp, zo_objective *o, const zo_step_context *c, const zo_probe *p, const zo_dir *factored, double coef,
                       double kappa_rest, zo_err *err);

/* ema <- beta ema + (1 - beta) scale x, or of (scale x)^2; (n) each, in float64, rounded once. */
void zo_cp_average(float *ema, double beta, const float *x, double scale, bool squared, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
