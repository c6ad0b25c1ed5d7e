/* dizo.h: what DiZO's two files share (arXiv 2502.03304): its steps are in dizo.c, its search for distances in dizo_search.c. */
#ifndef ZO_OPTIMIZERS_DIZO_H
#define ZO_OPTIMIZERS_DIZO_H

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_DIZO_START, ZO_DIZO_PREVIOUS, ZO_DIZO_ZERO, ZO_DIZO_NONE };

typedef struct zo_dizo_matrix { double norm, distance, draw; } zo_dizo_matrix; /* |D|, g, u */
typedef struct zo_dizo {
    int64_t kappa, iterations;
    double radius, rate, tau;
    int anchor, on;
    zo_set at, d; /* run: the anchor, and how far the weights are from it */
    int n;        /* matrices */
    zo_dizo_matrix *x;    /* (n) */
    double *times; /* (n) */
} zo_dizo;

/* Step number `turn` (from 0) of a search, of dizo->iterations. The first finds how far the weights are from the anchor; after the last they stay where the
 * search ends, after others where they were, to rounding. *r is filled in. */
zo_status zo_dizo_search(zo_dizo *dizo, zo_objective *o, const zo_step_context *c, int64_t turn, zo_step_report *r, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
