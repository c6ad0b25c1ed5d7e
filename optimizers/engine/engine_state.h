/* engine_state.h: what an engine is made of, and what the files that it is written in ask of each other. Private to this folder; tests may look. */
#ifndef ZO_OPTIMIZERS_ENGINE_ENGINE_STATE_H
#define ZO_OPTIMIZERS_ENGINE_ENGINE_STATE_H

#include "optimizers/engine/engine.h"
#include "optimizers/engine/moves.h"
#include "optimizers/engine/own_factors.h"
#include "optimizers/engine/term_log.h"

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

static inline bool zo_engine_is_logged(const zo_engine *e)
{
    return e->spec.accumulate == ZO_ACCUMULATE_LOG;
}

/* Whether directions of low rank have factors of their own. */
static inline bool zo_engine_has_own(const zo_engine *e)
{
    return e->factors != NULL && e->factors->left_at != NULL;
}

/* Whether weights of 16 bits have masters in f32, made or not yet. */
static inline bool zo_engine_has_masters(const zo_engine *e)
{
    return e->objective.masters && e->spec.weights->storage != ZO_STORAGE_F32;
}

/* directions.c ------------------------------------------------------------------------------------------------------------ */

/* A direction as a backend reads it: with what is borrowed from the engine's sets and factors put in. */
zo_dir zo_engine_resolve(zo_engine *engine, const zo_dir *dir);

/* Terms, the same; until the next call. Those without anything borrowed come back as they are. */
const zo_term *zo_engine_resolve_terms(zo_engine *engine, const zo_term *term, int n);

/* Room for n terms; until the next call of this or of zo_engine_resolve_terms. */
zo_term *zo_engine_resolved_terms(zo_engine *engine, int n);

/* The unscaled numbers of a low-rank direction without factors of its own: (ncoef), until the next call. */
const float *zo_engine_direction_coefs(zo_engine *engine, const zo_dir *dir);

/* A factor of a direction that has its own, drawn or found; until as many others were asked for as a side has slots. */
zo_own_slot *zo_engine_realise(zo_engine *engine, zo_own_side side, const zo_dir *dir);

/* The slot that was asked for longest ago, when what reads it is done. */
zo_own_slot *zo_engine_spare_slot(zo_engine *engine, zo_own_side side);

/* How many directions with factors of their own stand among the terms, and ZO_EUNSUPPORTED where those are more than are realised at a time. */
int zo_engine_count_own(const zo_term *term, int n);
zo_status zo_engine_too_many_own(int own, zo_err *err);

/* Products of draw, shape, subset and scale that no estimator asks for are not built: ZO_EUNSUPPORTED. */
zo_status zo_engine_check_terms(const zo_engine *engine, const zo_term *term, int n, zo_err *err);

/* losses.c ---------------------------------------------------------------------------------------------------------------- */

/* ZO_EDIVERGED where one of (n) losses is not finite. */
zo_status zo_engine_check_losses(const double *loss, int n, zo_err *err);

/* Room for the directions of a pass, and for (points, directions) coefficients. What was there stays. */
void zo_engine_reserve_dirs(zo_engine *engine, int n);
void zo_engine_reserve_coefs(zo_engine *engine, int64_t n);

/* Into the view and engine->dir: the log's directions, each in the column of its term, and the sum of its low-rank terms, which stands beside W
 * (SIDEPATH) or in the column after them; of directions with factors of their own there is one for each V, a column each. Returns how many columns are
 * the log's own. */
int zo_engine_log_dirs(zo_engine *engine, zo_view *view);

/* The coefficient of such a column at a base. The low-rank sum has 1: no copy is taken of it. */
double zo_engine_log_coef(const zo_engine *engine, zo_set base, int column);

/* updates.c --------------------------------------------------------------------------------------------------------------- */

/* What is queued is swept; settle_moves takes the pending probe back before. Masters are rounded to the weights where they moved. */
void zo_engine_flush(zo_engine *engine, zo_moves *moves);
void zo_engine_settle_moves(zo_engine *engine, zo_moves *moves);
void zo_engine_settle_weights(zo_engine *engine);

/* What moves when the weights do: they, or their masters, which are made when they are first asked for. */
zo_store *zo_engine_movable(zo_engine *engine);

/* The masters, which have yet to be there, as the weights are. Nothing is queued. */
void zo_engine_make_masters(zo_engine *engine);

/* w <- master, rounded; the same of all weights, where there are masters. */
void zo_engine_round_to(zo_backend *be, zo_store *w, const zo_store *master);
void zo_engine_round_masters(zo_engine *engine);

/* ZO_EUNSUPPORTED, by the name of what is asked, where weights are made of masters. */
zo_status zo_engine_check_no_masters(const zo_engine *engine, const char *what, zo_err *err);

/* Decay reaches every parameter where the estimator wishes so. */
void zo_engine_decay_as_wished(zo_engine *engine);

/* The values of one parameter, as a store of the layout that has it alone. Borrowed. */
zo_store zo_engine_part_of(const zo_layout *alone, float *values);

/* weights <- decay weights + terms, wherever this run's updates go. */
zo_status zo_engine_combine_weights(zo_engine *engine, double decay, const zo_term *term, int n, zo_err *err);

/* sets.c ------------------------------------------------------------------------------------------------------------------ */

/* A set that was opened; never the weights. */
zo_opened *zo_engine_set_of(const zo_engine *engine, zo_set set);

/* Of a set's values. */
const zo_layout *zo_engine_layout_of(const zo_engine *engine, const zo_opened *set);

/* The store of a set that has none yet; a copy's is yet to be copied into. */
void zo_engine_make_store(zo_engine *engine, zo_opened *set);

/* The values of a sum of that shape, which was written or begins with values. */
const zo_store *zo_engine_summed(zo_engine *engine, zo_set set, zo_shape shape);

/* A sum's store to write, which begins as zeros or as its spec says. What reads its old values is done. */
zo_store *zo_engine_operand(zo_engine *engine, zo_set set, zo_shape shape);

/* ZO_EUNSUPPORTED where points cannot have the set as a term. */
zo_status zo_engine_check_set_in_points(const zo_engine *engine, zo_set set, zo_err *err);

/* What zo_objective asks (optimizers/objective.h) ------------------------------------------------------------------------- */

zo_status zo_engine_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err);
zo_status zo_engine_open(zo_objective *o, const zo_set_spec *spec, zo_set *set, zo_err *err);
zo_status zo_engine_carry(zo_objective *o, zo_set set, const zo_dir *from, const zo_dir *to, zo_err *err);
int zo_engine_tensors(zo_objective *o, zo_set set);
zo_status zo_engine_norms(zo_objective *o, zo_set set, double *norm, zo_err *err);
zo_status zo_engine_place(zo_objective *o, zo_set anchor, zo_set offset, const double *coef, zo_err *err);
zo_status zo_engine_orthogonalise(zo_objective *o, zo_set set, int iterations, zo_err *err);
zo_status zo_engine_combine(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err);
zo_status zo_engine_dot(zo_objective *o, zo_set a, zo_set b, double *dot, zo_err *err);
zo_status zo_engine_open_factors(zo_objective *o, const zo_factor_spec *spec, zo_err *err);
float *zo_engine_open_numbers(zo_objective *o, const char *name);
void zo_engine_numbers_of(zo_objective *o, const zo_dir *dir, float *x);
zo_status zo_engine_gradient(zo_objective *o, zo_which which, zo_set set, double *loss, double *norm, zo_err *err);
zo_status zo_engine_descend(zo_objective *o, zo_which which, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, double *loss, zo_err *err);
zo_status zo_engine_rule(zo_objective *o, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, zo_err *err);
zo_status zo_engine_mask(zo_objective *o, zo_set set, double share, bool anew, zo_err *err);
zo_status zo_engine_features(zo_objective *o, zo_features *features, zo_err *err);
zo_status zo_engine_set_head(zo_objective *o, const zo_features *features, const double *w, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
