/* objective.h: all that an estimator can see. An estimator asks for losses at points and says what to combine into sets; it never
 * loops over parameters, never touches a weight, never times, never prints. Two implementations: engine/ (a model on a backend)
 * and the closed-form functions of the tests, so that the same estimator file is tested against exact gradients. docs/seam.md says
 * which methods can be said with these verbs, and which not yet. */
#ifndef ZO_OPTIMIZERS_OBJECTIVE_H
#define ZO_OPTIMIZERS_OBJECTIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "backends/rules.h"
#include "core/dir.h"
#include "core/err.h"
#include "core/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_which {
    ZO_BATCH_CURRENT, /* the step's mini-batch */
    ZO_BATCH_FULL,    /* the whole training set, run in chunks of the batch size, chunk losses weighted by examples */
    ZO_BATCH_OTHERS,  /* the step's next ones, where a query has one of its own: see zo_batch_of */
    ZO_BATCH_LAST = 1 << 20
} zo_which;

/* Mini-batch number i of the step: 0 is the current one, and the others follow it in the order of the data. The next step begins behind the last that was
 * asked for. How many a step has at most stands in its needs, and so does from which rows they are where that is not all of them (zo_pool). */
static inline zo_which zo_batch_of(int i)
{
    return i == 0 ? ZO_BATCH_CURRENT : (zo_which)(ZO_BATCH_OTHERS + i - 1);
}

/* The other way; 0 of the whole training set. */
static inline int zo_batch_number(zo_which which)
{
    return which < ZO_BATCH_OTHERS ? 0 : (int)which - ZO_BATCH_OTHERS + 1;
}

typedef enum zo_shape {
    ZO_SHAPE_WHOLE, /* a number for each of the weights */
    ZO_SHAPE_LEFT,  /* of every factored matrix a left factor (rows, rank), and what has no factors as it is: a sum of FACTORS directions, of which it
                       takes the left factor, and of REST ones. Opened after open_factors, with factors that directions have themselves */
    ZO_SHAPE_CORE,  /* of every factored matrix a core (rank, rank), and what has no factors as it is: a sum of CORE directions, of which it takes S, and
                       of REST ones. Opened after open_factors, with orthonormal factors */
    ZO_SHAPE_RIGHT  /* of every factored matrix a right factor (cols, rank), and what has no factors as it is: a sum of SUBSPACE directions, of which it
                       takes V, and of REST ones. Opened after open_factors, with factors of a subspace */
} zo_shape;

typedef struct zo_set_spec {
    const char *name; /* for messages; lives as long as the objective */
    zo_tag tag;       /* of the ledger */
    bool copy;        /* it takes copies of the weights, in their type, and points may stand on it; else it takes sums of terms, in f32 */
    bool in_points;   /* a sum that points have as a term, or that scales one: refused at once where the objective cannot realise such points */
    double initial;   /* of a sum: what every value is before it is first written */
    zo_shape shape;
    bool beside;      /* a sum that keeps nothing of the old values is built beside them, and they are freed then: the peak holds both */
    unsigned linear;  /* not 0: a WHOLE set of the trained matrices of these linear layers alone (a sum of ZO_LINEAR_*, and of their adapters where there are
                         some), or of EVERY trained parameter. A sum takes the weights' distance to a copy; norms and place read it, and nothing else does */
} zo_set_spec;

/* What a rule reads and writes beside the weights: sums; 0 and NULL = the rule has no use for it. Moments that were never written begin
 * as zeros. */
typedef struct zo_operands {
    zo_set over;         /* a sum in place of the weights, whose values are the rule's w: weights that have yet to move by it move before. Operands are
                          * then sets of its shape, which is not LEFT */
    zo_set g, m, v;
    const zo_term *term; /* (terms) in place of g, of a rule of zo_rule_draws: g is their sum, or m and v are made of them, drawn on the way and stored nowhere;
                          * of a rule of zo_rule_pairs g is the first of two, and v the second. DENSE directions */
    int terms;
    bool of_scales;      /* over the scales of matrices that are held as codes alone (ZO_PARAM_SCALES); of a rule that reads no g, m or v */
    bool floor_by_size;  /* of ZO_RULE_FLOORED: the floor is args.floor / (2 sqrt(n)) for a parameter of n numbers */
    /* (ncoef) in place of m and v, of a rule that does not write them: m = scale U diag(m_numbers) V^T and
     * v = scale^2 (U.U) diag(v_numbers) (V.V)^T on every factored matrix, formed on the way. */
    const float *m_numbers, *v_numbers;
} zo_operands;

/* What TABLE parameters get where the other matrices get factors; TeZO's paper is silent. */
typedef enum zo_tables {
    ZO_TABLES_FACTOR, /* as any other matrix */
    ZO_TABLES_REST,   /* full Gaussian, with ZO_DIR_REST */
    ZO_TABLES_FREEZE  /* neither: they get factors of rank 1 and scale 0 */
} zo_tables;

/* Whose the factors of low-rank directions are. */
typedef enum zo_factor_kind {
    ZO_FACTORS_FIXED, /* U and V are drawn once in a run: directions are CP and SPAN */
    ZO_FACTORS_OWN,   /* a direction has its own, a value of its integers: FACTORS */
    ZO_FACTORS_ORTHONORMAL, /* the same, orthonormal ones: CORE. By modified Gram-Schmidt of normal numbers, in float64 and one order, on the host */
    ZO_FACTORS_SUBSPACE /* U as one of those, V drawn: SUBSPACE */
} zo_factor_kind;

typedef struct zo_factor_spec {
    zo_factor_kind kind;
    int rank;             /* > 0: fixed rank, min(rank, rows, cols); 0: the rank rule (rank_rule.h) */
    int rank_max;         /* r_max of the rule */
    double threshold;     /* r_th: count of singular values >= r_th * sigma_1, least over the matrices of a block (recalled form) */
    double scale_power;   /* scale = rank^power: 0, -0.5, -1 */
    bool align;           /* scale = sqrt(rows cols) / rank in its stead: SubZero's norm alignment */
    bool raw_signs;       /* of ORTHONORMAL: columns have the signs that a QR decomposition by Householder's reflections leaves, as LAPACK's; else those
                             with which R's diagonal is above 0, so that of normal numbers they are uniform (Haar) */
    zo_tables tables;
} zo_factor_spec;

/* What the head's last product reads, at the weights, in one pass over the training set in file order; and which of its outputs is right there. One block
 * begins at x; the caller gives it back with zo_free. */
typedef struct zo_features {
    int64_t n;        /* rows: one an example; of options one for each token of each right option */
    int width;        /* of a row */
    int classes;      /* outputs that are fitted: all classes, or of options the tokens that are right somewhere */
    bool bias;        /* the product has one */
    float *x;         /* (n, width) */
    int32_t *label;   /* (n) 0 .. classes - 1 */
    int32_t *output;  /* (classes) for set_head */
} zo_features;

typedef struct zo_objective {
    void *self;
    uint64_t seed;     /* of every direction of this run */
    int blocks;        /* transformer blocks of the model, which directions can leave out (zo_dir.skip), */
    zo_blocks trained; /* and what has trained numbers: of blocks, those among the first ZO_DIR_BLOCKS */
    int64_t size;      /* trained numbers: the dimension of the space in which points are */
    int64_t ncoef;     /* numbers of a direction of low rank: sum of the factors' ranks; 0 before open_factors */
    /* Wishes that an estimator states once, in its start(): */
    bool decay_all;    /* the weights' decay reaches biases and norms too, which the layout exempts */
    bool checkpoint;   /* the gradient pass keeps block inputs only and runs blocks again (read by the owner of the model) */

    /* loss[p] at point[p], n points over the same batch. The objective decides how (one pass, or the weights moved from point to
     * point). Terms are directions, scaled by a sum or not, and sets that are sums. ZO_EDIVERGED when a loss is not finite. Counts forwards. */
    zo_status (*losses)(struct zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err);
    /* A new set, in start(). It takes no memory and has no values before the first verb that writes it; reading it before is a bug,
     * but where its spec has `initial`. */
    zo_status (*open)(struct zo_objective *o, const zo_set_spec *spec, zo_set *set, zo_err *err);
    /* set <- decay * set + sum of terms, each rounded on its own to the set's type, in order. Of the weights only decaying parameters
     * decay (and see decay_all); a set decays whole. Terms are
     *   of the weights   directions, scaled by a sum or not, and sets that are sums (SET; HELD where their shape is another than WHOLE);
     *   of a sum         directions; where its shape is LEFT: FACTORS and REST; where it is CORE: CORE and REST; where RIGHT: SUBSPACE and REST;
     *                    where its spec has `linear`, with decay 0: the weights, with coefficient 1, and perhaps a copy of the same parameters, with -1;
     *   of a copy        one: the weights, with coefficient 1 and decay 0.
     * ZO_EUNSUPPORTED for others, and where the objective cannot keep what is asked for. */
    zo_status (*combine)(struct zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err);

    /* set (shape LEFT) <- on every factored matrix set (V_from^T V_to) / cols, with the V of two directions: the least-squares map of
     * set V_from^T onto V_to, where V_to^T V_to is taken for cols times the identity. What has no factors stays. Each product is rounded to f32. */
    zo_status (*carry)(struct zo_objective *o, zo_set set, const zo_dir *from, const zo_dir *to, zo_err *err);

    /* dot = sum over all values of a times b, of two sums of one shape, in float64 and a fixed order; a = b: the squared norm. A set that was never written
     * has zeros. */
    zo_status (*dot)(struct zo_objective *o, zo_set a, zo_set b, double *dot, zo_err *err);

    /* The factors U, V of directions of low rank, once in start(): their ranks and scales, and where they are fixed for the run their draws from the
     * seed. Sets o->ncoef. ZO_EUNSUPPORTED where the objective cannot realise such directions. */
    zo_status (*open_factors)(struct zo_objective *o, const zo_factor_spec *spec, zo_err *err);
    /* A named array of the estimator, in start() after open_factors: (ncoef) host floats, zeros, owned by the objective, tag OPT_STATE. */
    float *(*open_numbers)(struct zo_objective *o, const char *name);
    /* x (ncoef) <- the numbers that a CP direction realises. */
    void (*numbers_of)(struct zo_objective *o, const zo_dir *dir, float *x);

    /* First order: set <- gradient of the loss at the weights. norm = its Euclidean norm; NULL = not needed. ZO_EDIVERGED when loss or
     * norm is not finite. */
    zo_status (*gradient)(struct zo_objective *o, zo_which which, zo_set set, double *loss, double *norm, zo_err *err);
    /* One rule of backends/rules.h over all elements of the weights, or over those of the factored matrices alone where its moments are
     * numbers. ZO_EUNSUPPORTED where the objective cannot keep what the rule makes. */
    zo_status (*rule)(struct zo_objective *o, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, zo_err *err);
    /* A mask: set <- 1 on the `share` of each parameter's numbers that have the least magnitude, 0 on the others, of the weights as they are without a
     * probe. The share is rounded up to whole numbers, and equal magnitudes go together. anew: each parameter's threshold is found now; else it is
     * that of this set's last mask. ZO_EUNSUPPORTED where the objective keeps no such set. */
    zo_status (*mask)(struct zo_objective *o, zo_set set, double share, bool anew, zo_err *err);
    /* The features of the whole training set, for set_head. Counts forwards. ZO_EUNSUPPORTED where the objective has no such head, or does not write
     * weights. */
    zo_status (*features)(struct zo_objective *o, zo_features *features, zo_err *err);
    /* Rows of the last product's weight, and numbers of its bias, become w (classes, width + bias), which stand behind each other in a row; other rows
     * stay. ZO_EUNSUPPORTED where they are not trained. */
    zo_status (*set_head)(struct zo_objective *o, const zo_features *features, const double *w, zo_err *err);
    /* How many parameters a set has whose spec has `linear`; they are in the order of the layout. */
    int (*tensors)(struct zo_objective *o, zo_set set);
    /* norm (tensors) = the Euclidean norm of each parameter of such a sum. */
    zo_status (*norms)(struct zo_objective *o, zo_set set, double *norm, zo_err *err);
    /* weights <- anchor + coef[l] offset on each parameter l of such a sum, rounded once; others stay. anchor: a copy of the same parameters, or
     * ZO_SET_WEIGHTS: zeros. coef (tensors). Exact however often: nothing is made of the weights that stood there. */
    zo_status (*place)(struct zo_objective *o, zo_set anchor, zo_set offset, const double *coef, zo_err *err);
    /* First order, in place: weights <- one rule of the gradient at them, a parameter at a time within the backward pass, as soon as its gradient is
     * complete. No set of gradients is kept. x has moments alone (m, v). The bits are those of `gradient`, then `rule`. ZO_EDIVERGED when the loss is not
     * finite; the weights are as they were then. */
    zo_status (*descend)(struct zo_objective *o, zo_which which, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, double *loss, zo_err *err);
    /* set (shape RIGHT) <- on every factored matrix the orthogonal factor of its N (cols, rank), nearly: with X = N / |N|, so many times
     * X <- a X + X (b A + c A^2), A = X^T X, the quintic Newton-Schulz iteration of Muon (a, b, c = 3.4445, -4.7750, 2.0315), which takes singular
     * values to about 1. Zeros stay. Products are those of the backend (float64 sums, rounded to f32). What has no factors stays. */
    zo_status (*orthogonalise)(struct zo_objective *o, zo_set set, int iterations, zo_err *err);
    /* A third wish (see decay_all): weights of 16 bits have a master copy in f32, which begins as they are. What moves the weights moves the master, and
     * then each weight is its master, rounded. Weights of f32 are their own masters. A copy of the weights, a mask, a head that is set and place are
     * not for such runs. */
    bool masters;
} zo_objective;

#ifdef __cplusplus
}
#endif
#endif
