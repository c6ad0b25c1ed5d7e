/* own_factors.h: the factors of directions that have their own (zo_dir_has_factors), realised in the backend's memory: the last SLOTS of each side,
 * so that the way back from a probe and the next probe are one sweep. A factor is a value, and what is thrown out is drawn again. Private to
 * the engine. */
#ifndef ZO_OPTIMIZERS_ENGINE_OWN_FACTORS_H
#define ZO_OPTIMIZERS_ENGINE_OWN_FACTORS_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* U, of (step, query), or U S of (step, query, period), or U of a period; V, of a period, or of (step, query). */
typedef enum zo_own_side { ZO_SIDE_LEFT, ZO_SIDE_RIGHT, ZO_SIDES } zo_own_side;
enum { ZO_OWN_SLOTS = 2 }; /* of a side: so many may be read by one sweep, or one pass */
enum { ZO_OWN_SUMS = 32 };

typedef struct zo_own_slot {
    zo_store *store; /* f32, of zo_factors.left or .right, tag OPT_STATE */
    zo_dir of;
    uint64_t used;   /* when it was asked for last; 0 = it holds nothing */
} zo_own_slot;

/* Beside a log: what directions of one V have added up to, B V^T. */
typedef struct zo_own_sum {
    zo_dir of;    /* V's draw, as a slot has it */
    zo_store *left, *right; /* f32: B, of zo_factors.left; V */
} zo_own_sum;

typedef struct zo_own_factors {
    zo_backend *be;
    const zo_factors *factors;
    zo_dir_kind kind; /* of the directions: FACTORS, CORE or SUBSPACE */
    zo_own_slot slot[ZO_SIDES][ZO_OWN_SLOTS];
    zo_store *core; /* (rank, rank) of every factored matrix, for the time of an operation; NULL before zo_own_open_core */
    zo_own_slot basis; /* U of a period, where factors are orthonormal; else its store is NULL */
    bool raw_signs;    /* their columns have Householder's signs */
    zo_own_slot formed; /* of zo_factors.held: what the set `of.set` of cores makes with U of `of.period`, or that U beside right factors; its store is NULL
                           before zo_own_open_formed */
    zo_store *power, *diagonal; /* as `core`, and */
    float *host;                /* (core.size) of zo_own_orthogonalise; NULL before zo_own_open_orthogonal */
    uint64_t clock;
    zo_own_sum sum[ZO_OWN_SUMS]; /* (sums) */
    int sums;
} zo_own_factors;

void zo_own_open(zo_own_factors *own, zo_backend *be, const zo_factors *factors, zo_dir_kind kind); /* all slots are allocated here */
void zo_own_open_core(zo_own_factors *own);
void zo_own_open_orthonormal(zo_own_factors *own); /* of CORE directions */
void zo_own_open_orthogonal(zo_own_factors *own);
void zo_own_close(zo_own_factors *own);
void zo_own_open_formed(zo_own_factors *own);
/* Its factor where it is realised already, else NULL. */
zo_own_slot *zo_own_find(zo_own_factors *own, zo_own_side side, const zo_dir *dir);
/* The slot that was asked for longest ago: nobody may read it any more when it is made the direction's. */
zo_own_slot *zo_own_oldest(zo_own_factors *own, zo_own_side side);
void zo_own_make(zo_own_factors *own, zo_own_slot *slot, zo_own_side side, const zo_dir *dir);
/* The sum of all directions whose V is the slot's, zeros at first; NULL where there are ZO_OWN_SUMS others. */
zo_own_sum *zo_own_sum_of(zo_own_factors *own, const zo_own_slot *right);
void zo_own_sum_open(zo_own_factors *own, zo_own_sum *sum); /* allocates it */
void zo_own_sum_add(zo_own_factors *own, zo_own_sum *sum, const zo_store *left, double coef); /* B += coef left, which may be longer */
/* formed <- of a HELD direction on a set with these values: U C of every factored matrix, or U where `basis` is the slot that holds it and the set has
 * right factors; and the rest as it is. */
void zo_own_form(zo_own_factors *own, const zo_dir *dir, const zo_store *values, const zo_own_slot *basis);
/* The right factors of x: see zo_objective.orthogonalise. By way of `scratch`, a right slot, which then holds nothing. */
void zo_own_orthogonalise(zo_own_factors *own, zo_store *x, zo_own_slot *scratch, int iterations);
/* x <- x (V_from^T V_to) / cols for x's left factors, by way of `scratch`, a left slot, which then holds nothing. */
void zo_own_carry(zo_own_factors *own, const zo_own_slot *from, const zo_own_slot *to, zo_own_slot *scratch, zo_store *x);

#ifdef __cplusplus
}
#endif
#endif
