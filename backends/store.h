/* store.h: parameters as one flat arena of f32 or of 16-bit numbers, the layout that names its parts, CP factors, and the view: "the
 * parameters at P points at once", which is what a forward pass reads instead of weights. */
#ifndef ZO_BACKENDS_STORE_H
#define ZO_BACKENDS_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/dir.h"
#include "core/err.h"
#include "core/mem.h"
#include "core/num.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_param_kind {
    ZO_PARAM_MATRIX, /* (rows = outputs, cols = inputs), row-major, used by linear; a tied language-model head is the TABLE */
    ZO_PARAM_TABLE,  /* (rows = vocabulary or positions, cols): rows are looked up; only touched rows are read */
    ZO_PARAM_VECTOR, /* (1, cols): bias or norm */
    ZO_PARAM_SCALES  /* (rows, groups of columns): those of the matrix before it, which is held as codes (codes.h). Never factored */
} zo_param_kind;

/* What a MATRIX is of a LoRA adapter. */
typedef enum zo_lora_part { ZO_LORA_NONE, ZO_LORA_A, ZO_LORA_B } zo_lora_part;

/* The linear layers of a transformer block, a bit each. */
enum {
    ZO_LINEAR_Q = 1,    /* attention's queries, keys, values and output */
    ZO_LINEAR_K = 2,
    ZO_LINEAR_V = 4,
    ZO_LINEAR_O = 8,
    ZO_LINEAR_GATE = 16, /* the feed-forward part's */
    ZO_LINEAR_UP = 32,
    ZO_LINEAR_DOWN = 64,
    ZO_LINEAR_ALL = 127,
    ZO_LINEAR_EVERY = 255 /* these, and every parameter that is none of them */
};

typedef struct zo_param {
    char name[128];      /* the canonical name inside this program's family table, e.g. "layer.3.attn.q.weight" */
    zo_param_kind kind;
    int64_t rows, cols;
    int64_t offset;      /* first element in the arena, a multiple of 16 */
    uint32_t id;         /* 32-bit hash of the name: the `tensor` word of every draw, so that z does not depend on what else is there */
    int block;           /* transformer block, -1 outside the blocks (TeZO's rank rule takes the minimum over a block) */
    bool whole;          /* TABLE that is also read whole (a tied head): a forward touches every row */
    bool decay;          /* weight decay applies (not for biases and norms) */
    bool added;          /* by a parameter view, or with codes (models/arch.h): no checkpoint of the model has it */
    float scale;         /* of a MATRIX: linear layers give scale x W^T; 1 but for the B of a LoRA adapter (alpha / rank) */
    unsigned linear;     /* of a MATRIX: the linear layer of its block that it is, or whose adapter it is, a bit; else 0 */
    zo_lora_part lora;   /* of an adapter: A and B stand behind the weight that they adapt (models/arch.h) */
    bool bias;           /* VECTOR that is added: of a linear layer or a norm */
    int a_token;         /* of a norm: how many of its rows a token has (heads); of a MATRIX: how many inputs; 0 = one */
    bool head;           /* of what an objective puts on the base model */
    int again;           /* how many more places of the forward pass read it, behind the first (layers that share their parameters): its gradient is a sum
                            over all of them, and is complete at the first */
    int stage;           /* place in the forward pass: parameters of one stage read one input, which those of lower stages make */
    bool frozen;         /* not trained: no direction acts on it, no set holds it, no gradient is made of it */
    int bits;            /* of a MATRIX that is held as codes of so many bits (8 or 4) in zo_store.codes: nothing writes it, and it has no place in the
                            arena. Its scales are the next parameter. 0 = it stands in the arena */
    int64_t group;       /* then: columns that share a scale; the last group of a row may have fewer */
    int64_t codes;       /* and the first byte of its codes */
} zo_param;

/* Whether a parameter belongs to some of the layers `linear`, a sum of ZO_LINEAR_*. */
static inline bool zo_param_in(const zo_param *param, unsigned linear)
{
    return linear == ZO_LINEAR_EVERY || (linear & param->linear) != 0;
}

/* Immutable once a store exists. Made by the model, freed by the model. Trained parameters come first in the arena, then frozen ones, both in the
 * order of `param`: what is kept of trained parameters alone (a set) is the arena's beginning. */
typedef struct zo_layout {
    int n;
    zo_param *param;      /* (n) */
    int64_t size;         /* elements of the arena, padding included */
    int64_t trained_size; /* of its beginning that is trained; `size` where nothing is frozen */
    int64_t codes;        /* bytes of all codes */
    int stages;           /* the decoder of a language-model head is the last */
    int lowest;           /* the lowest stage of which something is trained: the backward pass goes down to it */
    bool decays_whole;    /* every parameter decays, whatever its `decay` says */
} zo_layout;

/* Whether a decay reaches the parameter. */
static inline bool zo_layout_decays(const zo_layout *layout, int param)
{
    return layout->decays_whole || layout->param[param].decay;
}

/* The 32-bit id of a name (FNV-1a folded); zo_layout_add dies on a collision. */
uint32_t zo_param_id(const char *name);
/* Append a parameter and return its index; grows `layout`. Call zo_layout_free at the end. */
int zo_layout_add(zo_layout *layout, const char *name, zo_param_kind kind, int64_t rows, int64_t cols, int block, bool decay);

/* What of a layout has trained numbers: the blocks, of those among the first ZO_DIR_BLOCKS, and whether something outside of blocks has. */
zo_blocks zo_trained_blocks(const zo_layout *layout);
/* Append a MATRIX that is held as codes, and behind it its scales, whose name is NAME + ".scales"; returns the index of the matrix. */
int zo_layout_add_codes(zo_layout *layout, const char *name, int64_t rows, int64_t cols, int block, int bits, int64_t group);
int zo_layout_find(const zo_layout *layout, const char *name); /* -1 when absent */
/* Freezes the parameters of which frozen (n) says so and trains the others: offsets are given anew. Before there is a store. */
void zo_layout_freeze(zo_layout *layout, const bool *frozen);
void zo_layout_free(zo_layout *layout);

/* Values of a layout, in the backend's memory. Weights, gradients, moments and snapshots are all stores. Weights hold every parameter; what is
 * kept beside them (a set) the trained ones alone. Weights may be held in 16 bits, and so is then a snapshot of them; everything else is f32. An
 * operation reads exactly, computes in f32, and rounds to nearest even where it writes. */
typedef struct zo_store {
    const zo_layout *layout;
    float *data;        /* (size), padding zero; NULL in a store of 16 bits */
    zo_storage storage; /* F32 unless said */
    uint16_t *half;     /* (size), padding zero; NULL in a store of f32 */
    int64_t size;       /* elements that it holds: the arena's first */
    uint8_t *codes;     /* (layout->codes) of weights: of matrices that are held so; NULL of any other store, and where there are none */
    const int64_t *place; /* (parameters) where each begins in `data`, of a set whose parameters do not stand as in the arena; NULL = at their offsets */
    const struct zo_store *below; /* a snapshot's, or a saved sum's: the weights, where parameters stand that it has not; borrowed. Else NULL */
} zo_store;

/* Where element `at` of the arena stands. */
static inline void *zo_store_at(const zo_store *store, int64_t at)
{
    const zo_store *holds = at < store->size || store->below == NULL ? store : store->below;
    return holds->storage == ZO_STORAGE_F32 ? (void *)(holds->data + at) : (void *)(holds->half + at);
}

/* The codes of a parameter that is held so; of a snapshot those of the weights, for nothing writes them. */
static inline const uint8_t *zo_store_codes(const zo_store *store, const zo_param *p)
{
    const zo_store *holds = store->codes == NULL && store->below != NULL ? store->below : store;
    return holds->codes + p->codes;
}

/* Where the values of a parameter stand in a set of f32 (a gradient); NULL where it is absent (-1) or frozen, so that the set has none. */
static inline float *zo_set_values(const zo_store *set, int param)
{
    return param < 0 || set->layout->param[param].frozen ? NULL : set->data + (set->place != NULL ? set->place[param] : set->layout->param[param].offset);
}

/* Room for gradients that are used as soon as they are complete. Places of parameters whose gradients are made one after another are one place, as long
 * as the longest of them needs; biases have another, for a layer's weight and bias are made together. A TABLE that is read whole has a place of its
 * own: a tied one's gradient is begun in the head and ends in the embeddings, and a prefix has two tables at a time. So has what several layers read:
 * its gradient is begun in the last of them and complete in the first. place (parameters), NULL = not asked for. Returns the floats of all places. */
int64_t zo_gradient_places(const zo_layout *layout, int64_t *place);

/* Who uses such gradients. */
typedef struct zo_sink {
    struct zo_store *room; /* f32, with places of zo_gradient_places; zeros, but for a gradient that is under way */
    void (*take)(struct zo_sink *sink, int param); /* that of `param` is complete, and nothing more of the pass reads its weights: uses it, and leaves zeros */
} zo_sink;

/* Shapes of low-rank directions, and CP factors of TeZO (arXiv 2501.19057): Z = scale_l * U_l diag(a) V_l^T with U (rows, rank), V (cols, rank)
 * ~ N(0, 1), drawn once per run from (seed, parameter id, ZO_ROLE_U / ZO_ROLE_V, step 0). Element (i, s) of U is element i * rank + s of its draw.
 * Where directions have factors of their own (zo_dir_has_factors) there are no such U and V, and two layouts in their stead: a factor is a store of
 * one, its matrix of the parameter NAME is called "NAME/U" or "NAME/V", and its draw is a DENSE direction on that store. */
typedef struct zo_factors {
    const zo_layout *layout;
    uint64_t seed;
    int *rank;          /* (n) 0 = this parameter is not factored (it gets ZO_DIR_REST, or is frozen) */
    int64_t *coef_at;   /* (n) first coefficient of the parameter in a coefficient vector */
    int64_t ncoef;      /* sum of ranks */
    float *scale;       /* (n) the scale switch: 1, 1/sqrt(rank) or 1/rank */
    float **u, **v;     /* (n) backend memory; U (rows, rank), V (cols, rank), NULL where rank is 0. Where directions have their own: those of
                           the direction that a pass runs beside the weights, borrowed */
    /* Of directions with factors of their own, else empty: U of every factored matrix, V of every one, in the order of the parameters. */
    zo_layout left, right;
    zo_layout core;              /* a matrix of (rank, rank) "NAME/S" for each of them */
    zo_layout held, held_core, held_right; /* `left`, `core` and `right`, which borrow their `param`, and behind each what has no factors, as it is */
    int64_t *left_at, *right_at; /* (n) where the parameter's U (or values, in `held`) and V begin in their arenas. NULL where there are none */
} zo_factors;

/* The unscaled coefficients of a low-rank direction on one factored parameter, coef (rank) host: of CP tau drawn at (seed, parameter
 * id, step, query, ZO_ROLE_TAU), element s for component s; of SPAN the parameter's slice of `span`; of those with factors of their own ones. */
void zo_dir_coefs(const zo_dir *dir, const zo_factors *factors, int param, float *coef);

/* U (rows, rank) and V (cols, rank) of a low-rank direction on one factored parameter, in the backend's memory. */
static inline const float *zo_dir_u(const zo_dir *dir, const zo_factors *factors, int param)
{
    return zo_dir_has_factors(dir->kind) ? dir->own.left + factors->left_at[param] : factors->u[param];
}
static inline const float *zo_dir_v(const zo_dir *dir, const zo_factors *factors, int param)
{
    return zo_dir_has_factors(dir->kind) ? dir->own.right + factors->right_at[param] : factors->v[param];
}
/* Where the numbers of a direction stand whose numbers on the parameter are stored (zo_dir_is_stored). */
static inline const float *zo_dir_values(const zo_dir *dir, const zo_factors *factors, const zo_layout *layout, int param)
{
    return dir->kind == ZO_DIR_SET ? dir->values->data + layout->param[param].offset : dir->own.left + factors->left_at[param];
}

/* How many directions act on a parameter: with a coefficient that is not 0, and other than zero there. None does on a frozen one. */
typedef struct zo_acting {
    int dirs;
    int normals;  /* draws of normals for each of its elements: equal draws that stand beside each other are one */
    int sets;     /* sets whose values are read: stored numbers (zo_dir_is_stored), and those that scale a direction */
    bool lowrank; /* some are of low rank: then all are formed in panels */
    bool scaled;  /* a set scales some; never beside one of low rank */
} zo_acting;

/* The parameters at P points. Built by the engine, read by the backend's `view` operations; a value, borrowed for a call.
 * Parameter t at point p is  base[p][t] + sum_d coef[p * ndirs + d] * dir[d][t]  (+ the low-rank term of side, see below). */
typedef struct zo_view {
    int npoints;
    const zo_store *const *base;  /* (npoints), all of one storage */
    int ndirs;                    /* 0 = the stored weights themselves: no scratch, no draw */
    const zo_dir *dir;            /* (ndirs) */
    const float *coef;            /* (npoints, ndirs) */
    const zo_factors *factors;    /* NULL when there are none */
    /* Not NULL: trained parameters that `factors` do not cover are read here and not in `base`: f32, the same at all points. Its layout has them
     * alone; rest_of (parameters) = their index there, -1 of the others. Where zo_backend.reads_rest. */
    const zo_store *rest;
    const int *rest_of;
    const float *side;            /* (npoints, ncoef) host; not NULL: factored matrices run as x W^T + ((x V) . side) scale U^T and W is not written */
} zo_view;

/* Whether some point has direction d with a coefficient that is not 0. */
bool zo_view_uses(const zo_view *view, int d);
/* What acts on a parameter (index into the layout of view->base), and which: `acting` (ndirs) gets them in their order, NULL = not asked for. */
zo_acting zo_view_acting(const zo_view *view, int param, const zo_dir **acting);

#ifdef __cplusplus
}
#endif
#endif
