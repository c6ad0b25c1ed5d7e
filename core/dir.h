/* dir.h: a direction is a value, a point is a value (the project's two central ideas).
 *
 * A zo_dir can be regenerated element by element, on any backend, in any order, by anyone who holds it. A zo_point is a base plus
 * a sum of (coefficient x direction). Nobody "perturbs the model and remembers to restore it". */
#ifndef ZO_CORE_DIR_H
#define ZO_CORE_DIR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A set: named values of every parameter, kept by an objective (optimizers/objective.h). The weights are one. */
typedef int32_t zo_set;
enum { ZO_SET_WEIGHTS = 0 };

typedef enum zo_dir_kind {
    ZO_DIR_GAUSS, /* z ~ N(0, I) on every parameter (MeZO, arXiv 2305.17333, Algorithm 1) */
    ZO_DIR_REST,  /* the same draw, on the parameters that the CP factors do not cover; zero elsewhere */
    ZO_DIR_CP,    /* scale * U diag(tau) V^T on every factored matrix, tau ~ N(0, I_r) drawn per step; zero elsewhere (TeZO,
                     arXiv 2501.19057); U, V are fixed for the run and belong to the zo_factors of the engine */
    ZO_DIR_SPAN,  /* scale * U diag(span) V^T with explicit numbers `span` (for momentum): not a value, `span` is borrowed */
    ZO_DIR_SET    /* the values of `set` when the term is read: not a value. Objectives know it, backends do not */
} zo_dir_kind;

typedef struct zo_dir {
    zo_dir_kind kind;
    zo_set set;           /* ZO_DIR_SET only; else 0 */
    uint64_t seed;        /* the run's seed */
    uint32_t step, query; /* query < 2^24 */
    const float *span;    /* ZO_DIR_SPAN only: (ncoef) host floats, borrowed until the call returns; else NULL */
} zo_dir;

typedef struct zo_term { zo_dir dir; double coef; } zo_term;

typedef struct zo_point {
    zo_set base;         /* the weights, or a copy of them (MeZO-SVRG's stored anchor) */
    int n;               /* terms; 0 = the base itself */
    const zo_term *term; /* borrowed by whoever receives the point, for the length of the call */
} zo_point;

#ifdef __cplusplus
}
#endif
#endif
