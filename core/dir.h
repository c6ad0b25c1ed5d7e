/* dir.h: a direction is a value, a point is a value (the project's two central ideas).
 *
 * A zo_dir can be regenerated element by element, on any backend, in any order, by anyone who holds it. A zo_point is a base plus
 * a sum of (coefficient x direction). Nobody "perturbs the model and remembers to restore it".
 *
 * A direction is a product: a draw (how its numbers are made), a shape (its kind), a subset (the blocks that it leaves out) and a scale (1, or the
 * values of a set). What reads a set is a value only as long as nobody writes that set. */
#ifndef ZO_CORE_DIR_H
#define ZO_CORE_DIR_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/rng.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A set: named values of every trained parameter, kept by an objective (optimizers/objective.h). The weights are one. */
typedef int32_t zo_set;
enum { ZO_SET_WEIGHTS = 0 };

typedef enum zo_dir_kind {
    ZO_DIR_DENSE, /* a number of its own for each element of a trained parameter (MeZO, arXiv 2305.17333, Algorithm 1) */
    ZO_DIR_REST,  /* the same numbers, on the trained parameters that the CP factors do not cover; zero elsewhere */
    ZO_DIR_CP,    /* scale * U diag(tau) V^T on every factored matrix (all are trained), tau ~ N(0, I_r) drawn per step; zero elsewhere (TeZO,
                     arXiv 2501.19057); U, V are fixed for the run and belong to the zo_factors of the engine */
    ZO_DIR_SPAN,  /* scale * U diag(span) V^T with explicit numbers `span` (for momentum): not a value, `span` is borrowed */
    ZO_DIR_FACTORS, /* scale * U V^T on every factored matrix, with factors of its own: U ~ N(0, 1) drawn at (step, query), V ~ N(0, 1) drawn at
                     `period` (LOZO, arXiv 2410.07698); zero elsewhere */
    ZO_DIR_CORE,  /* scale * U S V^T on every factored matrix, S (rank, rank) ~ N(0, 1) drawn at (step, query), U and V orthonormal, of what is drawn at
                     `period` (SubZero, arXiv 2410.08989); zero elsewhere */
    ZO_DIR_SUBSPACE, /* scale * U V^T on every factored matrix, U orthonormal, of what is drawn at `period`, V ~ N(0, 1) drawn at (step, query) (ZO-Muon,
                        arXiv 2602.17155); zero elsewhere */
    ZO_DIR_HELD,  /* scale * N V^T on every factored matrix, N the left factors that `set` holds, V as that of FACTORS (LOZO-m's momentum); or scale *
                     U C V^T, C the cores that it holds, U and V as those of CORE (SubZero+'s step); or scale * U N^T, N the right factors that it holds, U as
                     that of SUBSPACE (ZO-Muon's); the set's own values elsewhere: not a value */
    ZO_DIR_SET    /* the values of `set` when the term is read: not a value */
} zo_dir_kind;

/* Parts of a model: transformer blocks, and what stands outside of all of them (embeddings, the last norm, the head). */
enum { ZO_DIR_BLOCKS = 64 }; /* that can be named: the first ones of a model */
typedef struct zo_blocks {
    uint64_t in;  /* bit b: transformer block b */
    bool outside;
} zo_blocks;

/* Whether `block` is one of them (-1: of no block). */
ZO_INLINE bool zo_blocks_have(zo_blocks blocks, int block)
{
    return block < 0 ? blocks.outside : block < (int)ZO_DIR_BLOCKS && (blocks.in >> block & 1) != 0;
}

/* Whether there is any. */
static inline bool zo_blocks_any(zo_blocks blocks)
{
    return blocks.in != 0 || blocks.outside;
}

/* How a set scales a direction, element by element. */
typedef enum zo_scaling {
    ZO_SCALING_TIMES,   /* z s: a mask */
    ZO_SCALING_PER_ROOT /* z / sqrt(s): a curvature (HiZOO, arXiv 2402.15173) */
} zo_scaling;

ZO_INLINE float zo_scaled(zo_scaling scaling, float z, float s)
{
    return scaling == ZO_SCALING_TIMES ? z * s : z / sqrtf(s);
}

struct zo_store;

typedef struct zo_dir {
    zo_dir_kind kind;
    union {
        zo_draw draw;     /* of DENSE and REST */
        zo_set set;       /* of SET and HELD */
    };
    uint64_t seed;        /* the run's seed */
    uint32_t step, query; /* query < 2^24 */
    uint32_t period;      /* of FACTORS, CORE, SUBSPACE and HELD: the step of the slower draw */
    union {
        zo_blocks skip;    /* of DENSE and REST: what is left out; z is zero there */
        const float *span; /* of SPAN: (ncoef) host floats, borrowed until the call returns */
        const struct zo_store *values; /* of SET: f32, of the layout of the weights; an objective puts them in for its backend */
        struct { const float *left, *right; } own; /* of FACTORS, CORE (U S) and HELD, the same: arenas of the backend's memory, see zo_factors.left_at */
    };
    zo_set scale;              /* of DENSE: this set scales it, as its values are when the term is read; 0 = none does */
    zo_scaling scaling;
    const struct zo_store *by; /* its values, as those of SET */
} zo_dir;

/* Whether a direction of this kind that leaves out `skip` (nothing where the kind has none) is other than zero on a parameter of `block` (-1: of no
 * block) and CP rank `rank` (0 = not factored). */
ZO_INLINE bool zo_dir_acts(zo_dir_kind kind, zo_blocks skip, int block, int rank)
{
    return !zo_blocks_have(skip, block) && (kind == ZO_DIR_DENSE || kind == ZO_DIR_SET || kind == ZO_DIR_HELD || (kind == ZO_DIR_REST ? rank == 0 : rank > 0));
}

/* What it leaves out. */
static inline zo_blocks zo_dir_skip(const zo_dir *dir)
{
    zo_blocks none = {0, false};
    return dir->kind == ZO_DIR_DENSE || dir->kind == ZO_DIR_REST || dir->kind == ZO_DIR_CP ? dir->skip : none;
}

/* Low rank: on a factored parameter a product of two factors, with a coefficient for each component. */
ZO_INLINE bool zo_dir_is_lowrank(zo_dir_kind kind)
{
    return kind == ZO_DIR_CP || kind == ZO_DIR_SPAN || kind == ZO_DIR_FACTORS || kind == ZO_DIR_CORE || kind == ZO_DIR_SUBSPACE ||
           kind == ZO_DIR_HELD;
}

/* Whether its numbers are made of those of a set. */
static inline bool zo_dir_reads(const zo_dir *dir, zo_set set)
{
    return dir->kind == ZO_DIR_SET || dir->kind == ZO_DIR_HELD ? dir->set == set : dir->scale != 0 && dir->scale == set;
}

/* Whether its factors are its own, and not those of the run. */
ZO_INLINE bool zo_dir_has_factors(zo_dir_kind kind)
{
    return kind == ZO_DIR_FACTORS || kind == ZO_DIR_CORE || kind == ZO_DIR_SUBSPACE || kind == ZO_DIR_HELD;
}

/* Whether its numbers on a parameter of that rank are stored ones, which are read. */
ZO_INLINE bool zo_dir_is_stored(zo_dir_kind kind, int rank)
{
    return kind == ZO_DIR_SET || (kind == ZO_DIR_HELD && rank == 0);
}

/* Whether two directions, neither with factors of its own, have the same numbers: then one draw serves both. */
static inline bool zo_dir_same_draw(const zo_dir *a, const zo_dir *b)
{
    return a->kind != ZO_DIR_SET && b->kind != ZO_DIR_SET && a->draw == b->draw && a->seed == b->seed && a->step == b->step && a->query == b->query &&
           a->scale == b->scale && (a->scale == 0 || a->scaling == b->scaling);
}

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
