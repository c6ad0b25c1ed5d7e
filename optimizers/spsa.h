/* spsa.h: what the zeroth-order estimators share: the two-point estimate (SPSA)
 *
 *     projected = (L(centre + eps z) - L(centre - eps z)) / (2 eps),   centre = base + sum of terms,   z = sum of directions
 *
 * its kin of one side and of one point, and the directions that MeZO's family draws. */
#ifndef ZO_OPTIMIZERS_SPSA_H
#define ZO_OPTIMIZERS_SPSA_H

#include "optimizers/needs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_probe {
    zo_set base;
    const zo_term *centre;         /* (ncentre); NULL when there are none */
    int ncentre;
    zo_dir dir[2];                 /* z is their sum, */
    const double *times;           /* (ndirs) each times such a number; NULL = 1 */
    int ndirs;
    double plus, minus, projected; /* out: the two losses and the projected gradient */
} zo_probe;

typedef enum zo_sides {
    ZO_TWO_SIDED, /* plus and minus of each probe: 2 n losses */
    ZO_ONE_SIDED, /* the loss at the base, which is each one's minus, and plus of each: n + 1 losses; projected = (plus - minus) / eps */
    ZO_ONE_POINT  /* plus of each alone: n losses; minus and projected are NaN */
} zo_sides;

/* All losses of n probes over one batch, in one request and in this order. Those of one side have no centre, and one base. */
zo_status zo_probe_losses(zo_objective *o, zo_which which, zo_sides sides, double eps, zo_probe *probe, int n, zo_err *err);
/* What that asks for, added to `needs`: n probes of ndirs directions each, one of them with a centre of ncentre terms. */
void zo_probe_needs(zo_needs *needs, zo_sides sides, int64_t n, int ndirs, int64_t ncentre);

/* Both of ZO_TWO_SIDED. */
zo_status zo_spsa(zo_objective *o, zo_which which, double eps, zo_probe *probe, int n, zo_err *err);
void zo_spsa_needs(zo_needs *needs, int64_t n, int ndirs, int64_t ncentre);

/* z of a step, a number of its own for each element; `query` tells the draws of one step apart. */
zo_dir zo_dense(const zo_objective *o, zo_draw draw, int64_t step, int query);
/* The same, of normals: z ~ N(0, I). */
zo_dir zo_gauss(const zo_objective *o, int64_t step, int query);
/* The same, of signs: each element of z is -1 or +1. */
zo_dir zo_rademacher(const zo_objective *o, int64_t step, int query);

/* Row of an option table: how an estimator draws its z; `state` has an int `draw`. */
#define ZO_DRAW_OPTION(state)                                                                                                         \
    {.key = "draw", .type = ZO_OPT_CHOICE, .offset = offsetof(state, draw), .initial = ZO_DRAW_GAUSS, .choices = "gauss|rademacher",  \
     .younger = true, .help = "numbers of z: gauss: N(0, 1); rademacher: -1 and +1, a bit each"}

/* Leaves out of `dir` (DENSE) a share of the transformer blocks that have trained numbers, rounded down: drawn without replacement from the
 * direction's seed, step and query, so anew for each step. What stands outside the blocks (embeddings, head) stays. The blocks are then a part
 * of the direction's value: probe and update skip them, and so does whoever replays it. ZO_EUNSUPPORTED where the model has more blocks than a
 * direction can name. */
zo_status zo_leave_out(const zo_objective *o, double share, zo_dir *dir, zo_err *err);

/* A dense direction, scaled by a sum, element by element. */
zo_dir zo_scaled_dir(zo_dir dir, zo_set scale, zo_scaling scaling);

/* ZO_EUNSUPPORTED where the model has more blocks than a direction can name. */
zo_status zo_can_leave_out(const zo_objective *o, zo_err *err);

/* The values of a set as a direction; coef times them as a term. */
zo_dir zo_set_dir(zo_set set);
zo_term zo_set_term(zo_set set, double coef);
/* The Euclidean norm of a sum; 0 where none was written. */
zo_status zo_set_norm(zo_objective *o, zo_set set, double *norm, zo_err *err);

/* `allows` of estimators whose directions are dense, or are added to the weights: all but the side path. */
bool zo_allows_dense(int realisation);

#ifdef __cplusplus
}
#endif
#endif
