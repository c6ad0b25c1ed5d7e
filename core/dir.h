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

typedef enum zo_dir_kind {
    ZO_DIR_GAUSS, /* z ~ N(0, I) on every parameter (MeZO, arXiv 2305.17333, Algorithm 1) */
    ZO_DIR_REST,  /* the same draw, on the parameters that the CP factors do not cover; zero elsewhere */
    ZO_DIR_CP,    /* scale * U diag(tau) V^T on every factored matrix, tau ~ N(0, I_r) drawn per step; zero elsewhere (TeZO,
                     arXiv 2501.19057); U, V are fixed for the run and belong to the zo_factors of the engine */
    ZO_DIR_SPAN   /* scale * U diag(span) V^T with explicit numbers `span` (for momentum): not a value, `span` is borrowed */
} zo_dir_kind;

typedef struct zo_dir {
    zo_dir_kind kind;
    uint64_t seed;        /* the run's seed */
    uint32_t step, query; /* query < 2^24 */
    const float *span;    /* ZO_DIR_SPAN only: (ncoef) host floats, borrowed until the call returns; else NULL */
} zo_dir;

typedef struct zo_term { zo_dir dir; double coef; } zo_term;

typedef enum zo_base {
    ZO_BASE_WEIGHTS, /* the current weights */
    ZO_BASE_SNAPSHOT /* the copy taken by the last snapshot() (MeZO-SVRG's stored anchor) */
} zo_base;

typedef struct zo_point {
    zo_base base;
    int n;               /* terms; 0 = the base itself */
    const zo_term *term; /* borrowed by whoever receives the point, for the length of the call */
} zo_point;

#ifdef __cplusplus
}
#endif
#endif
