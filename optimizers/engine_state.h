/* engine_state.h: what an engine is made of, for the files that it is written in: engine.c and checkpoint.c. Private to them. */
#ifndef ZO_OPTIMIZERS_ENGINE_STATE_H
#define ZO_OPTIMIZERS_ENGINE_STATE_H

#include "optimizers/engine.h"
#include "optimizers/moves.h"
#include "optimizers/own_factors.h"
#include "optimizers/term_log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A set that the estimator opened. */
typedef struct zo_opened {
    zo_set_spec spec;
    zo_store *store;  /* NULL before it is written, and beside a log */
    zo_moves moves;   /* of a copy: INPLACE its store is moved from point to point as the weights are */
    zo_log_mark mark; /* beside a log: what a copy is, */
    zo_term *term;    /* (terms) and what a sum is: terms are values, and kept as such */
    int terms;
    zo_layout *part;  /* where its spec has `linear`: those parameters, named as they are; else NULL */
    int *part_of;     /* (part->n) their indices among the weights */
    float *threshold; /* (parameters) of a mask: the largest |w| that is in it; NULL before there is one */
} zo_opened;

/* What steps change is in a checkpoint: a new member of that sort stands in checkpoint.c too. */
struct zo_engine {
    zo_engine_spec spec;
    zo_objective objective;
    zo_layout_parts parts;
    zo_moves weights;                  /* of the masters, where there are some */
    zo_store *masters;                 /* of weights of 16 bits, of what is trained, in f32; NULL = there are none, or not yet */
    zo_opened *set;                    /* (sets): zo_set k is set[k - 1] */
    int sets;
    zo_term_log log;                   /* ZO_ACCUMULATE_LOG: the dense updates */
    zo_store *rest;                    /* the same: what the factors do not cover, in f32 beside weights of 16 bits */
    zo_layout rest_layout;
    zo_layout sum_layout;              /* of zo_engine_sum, where matrices that are held as codes are trained beside them */
    int *rest_of;                      /* (parameters) zo_view.rest_of */
    zo_factors *factors;
    zo_own_factors own;                /* of directions that have their own */
    zo_store *gradients;               /* room for gradients that are used at once; NULL before the first; zeros between steps */
    float **numbers;                   /* (arrays) each (ncoef) */
    int arrays;
    float *tau, *span;                 /* (ncoef) a drawn direction; a queued update's numbers */
    bool span_queued;
    double *side;                      /* (ncoef) SIDEPATH and ZO_ACCUMULATE_LOG: accumulated low-rank coefficients */
    /* a pass of at most io.most_points points; all grow to what the estimator asks */
    const zo_store **base;             /* (points) */
    float *coef, *side_coef;           /* (points, dirs), (points, ncoef) */
    zo_dir *dir;
    int dir_room;
    int64_t coef_room;
    float *side_sum;                   /* (ncoef) side, rounded */
    const zo_store *settled_base;
    zo_view settled;
    zo_term probe[ZO_PROBE_TERMS];     /* INPLACE: zo_engine_last_probe */
    int probe_terms;
    zo_term *resolved;                 /* (terms) of a point that has sets, with their values; as long as the longest such point */
    int resolved_room;
};

/* Of a set's values. */
const zo_layout *zo_engine_layout_of(const zo_engine *engine, const zo_opened *set);

/* The store of a set that has none yet; a copy's is yet to be copied into. */
void zo_engine_make_store(zo_engine *engine, zo_opened *set);

/* The masters, which have yet to be there, as the weights are. Nothing is queued. */
void zo_engine_make_masters(zo_engine *engine);

/* A direction as a backend reads it: with what is borrowed from the engine's sets and factors put in. */
zo_dir zo_engine_resolve(zo_engine *engine, const zo_dir *dir);

#ifdef __cplusplus
}
#endif
#endif
