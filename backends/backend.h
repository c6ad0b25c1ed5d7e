/* backend.h: the seam. Where memory is and how operations run; one table of functions, implemented in cpu/ (and in cuda/).
 *
 * Conventions. T tokens of a batch are packed (no padding). P = view->npoints points run in one pass: every activation has shape
 * (P, T, width), row-major, f32, in the backend's memory. "view" operations read parameters at all P points, each weight once.
 * A parameter argument is an index into the layout; -1 = absent. A slot that a backend lacks is NULL; whoever is going to call one
 * asks zo_backend_has first, but for those marked optional. Operations are enqueued in order; results are read with `download`. An
 * operation never allocates: scratch is reserved by `reserve`. Arguments are checked by the caller (models/); a wrong shape here is a
 * bug and dies. */
#ifndef ZO_BACKENDS_BACKEND_H
#define ZO_BACKENDS_BACKEND_H

#include "backends/rules.h"
#include "backends/store.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Inputs of the matrix products of linear layers and of the language-model head; sums, results and everything else are f32. */
typedef enum zo_precision {
    ZO_F32,  /* f32 products, never TF32 */
    ZO_BF16, /* both inputs rounded to bf16, to nearest even */
    ZO_TF32, /* both inputs f32, of which the tensor cores read 10 bits of mantissa (rounded or cut: the library's choice); gradients too */
    ZO_F16,  /* both inputs rounded to IEEE half, to nearest even; above 65519 to infinity, so such a run ends `diverged` */
    ZO_PRECISIONS
} zo_precision;

typedef enum zo_act { ZO_ACT_NONE, ZO_ACT_GELU /* erf */, ZO_ACT_GELU_TANH, ZO_ACT_RELU, ZO_ACT_SILU, ZO_ACT_TANH } zo_act;
typedef enum zo_norm_kind { ZO_LAYERNORM, ZO_RMSNORM, ZO_RMSNORM_ONE /* its weights are what is added to 1 (Gemma, arXiv 2403.08295) */ } zo_norm_kind;
/* What a norm adds to its weights. */
ZO_INLINE float zo_norm_base(zo_norm_kind kind)
{
    return kind == ZO_RMSNORM_ONE ? 1.0f : 0.0f;
}

/* Sequences of a packed batch. Sequence s owns tokens [start[s], start[s+1]). A causal sequence may have a parent: its tokens
 * attend to all tokens of the parent and then to their own (options of one example share their prompt). Parents have no parent.
 * Tokens from start[n] on belong to no sequence: attention neither reads nor writes their rows. */
typedef struct zo_seqs {
    int n;
    const int32_t *start;  /* (n + 1) host */
    const int32_t *parent; /* (n) host; -1 = none; NULL = none has one; always parent[s] < s */
} zo_seqs;

/* Keys and values that every token of every sequence sees besides, before all others, causal or not (prefix tuning: Li and Liang, arXiv
 * 2101.00190; MeZO's prefix.py). They are no tokens: they stand at no position, and nothing rotates them. */
typedef struct zo_prefix {
    int64_t n;          /* 0 = none, and the rest is not read */
    const float *k, *v; /* (P,n,kv_heads*head_dim), rows without gaps */
    float *dk, *dv;     /* (n,kv_heads*head_dim): the backward pass ADDS their gradients, summed over sequences in order; NULL = not wanted */
} zo_prefix;

typedef struct zo_attention {
    int heads, kv_heads, head_dim; /* q (P,T,heads*head_dim); k, v (P,T,kv_heads*head_dim) */
    bool causal;
    float scale;                   /* of q k'; 1/sqrt(head_dim) in most families */
    /* A token sees itself and the window - 1 before it, those of its sequence's parent included, and the whole prefix; where it is not causal also the
     * window - 1 of its sequence behind it. 0 = all (sliding window: Beltagy et al., arXiv 2004.05150; Mistral, arXiv 2310.06825; both ways:
     * ModernBERT, arXiv 2412.13663). */
    int window;
    float softcap;                 /* scores become softcap tanh(score / softcap) (Gemma 2, arXiv 2408.00118); 0 = they stay */
    /* NULL: every token asks. Else the packed tokens that ask, ascending, the last perhaps repeated (host): q, out, lse, dout and dq then have nrows rows
     * instead of T (the last layer of a model whose head reads few rows). */
    const int32_t *row;
    int64_t nrows;
    zo_prefix prefix;
} zo_attention;

/* A mixture of features of each row, of which one guides the others (backends/side.h has the formulas). */
typedef struct zo_mix {
    int64_t n, cols;             /* features beside the guide, n > 0; numbers of each */
    const float *x;              /* (n + 1,R,cols); the last is the guide */
    const float *score;          /* (n,R) what each feature is worth beside the guide; below 0 counts as 0 */
    float *inverse, *redundancy; /* (n,R) set by mix, read by its gradient: 1 / length, and how much of the others a feature repeats */
} zo_mix;

/* Rotary tables: (positions, dims/2) cos and sin in backend memory. Of each head the first `dims` numbers are turned, in pairs: number i with
 * i + dims/2 (as LLaMA and GPT-NeoX), or `interleaved` 2i with 2i + 1 (as GPT-J). The others stay. */
typedef struct zo_rope { const float *cos, *sin; int head_dim, dims; bool interleaved; } zo_rope;

/* Which rows of TABLE parameters a pass touches: for parameter `param`, `n` sorted unique rows. NULL list = every row. */
typedef struct zo_touched { int nparams; const int *param; const int32_t *const *row; const int32_t *n; } zo_touched;

/* How a product's algorithm is chosen among those that the device's library has: the first that the library proposes, or the fastest of
 * several, timed when the product comes first. Timed choices may differ from run to run, and with them the last bits. */
typedef enum zo_algorithms { ZO_ALGORITHMS_FIRST, ZO_ALGORITHMS_TIMED, ZO_ALGORITHMS_KINDS } zo_algorithms;

/* Since the backend was opened: shapes of products whose algorithms were timed, and those of them where another than the first was faster. */
typedef struct zo_choices { uint64_t timed, others; } zo_choices;

/* How gathered passes (zo_backend.pass_begin) were started: operation by operation; as a graph made for it; as a graph made before. And
 * graphs that were dropped to make room. */
typedef struct zo_passes { uint64_t played, captured, replayed, evicted; } zo_passes;
/* Those between two counts. */
ZO_INLINE zo_passes zo_passes_since(zo_passes now, zo_passes before)
{
    zo_passes since = {now.played - before.played, now.captured - before.captured, now.replayed - before.replayed, now.evicted - before.evicted};
    return since;
}

/* The largest pass of a model, for which scratch is reserved. */
typedef struct zo_largest {
    int points;
    int64_t tokens, rows; /* of a point, and of the output head's input in zo_backend.head_logprob; 0: that is not called */
    bool backward;        /* the backward slots are called too, */
    zo_storage storage;   /* with weights that are held so */
} zo_largest;

/* Raised where a slot is added, goes or comes to mean something else. */
enum { ZO_BACKEND_VERSION = 13 };

typedef struct zo_backend {
    int version;                /* ZO_BACKEND_VERSION of the header that it was compiled with; first in every version */
    const char *name;           /* "cpu" */
    char device[128];           /* model name of the device, for the results */
    zo_space space;             /* where `alloc` allocates */
    int threads;
    bool bf16, tf32, f16;       /* this precision can run here; see zo_backend_check */
    bool bf16_widened;          /* bf16 products run as f32 ones of the same rounded numbers: right, but no faster than f32 */
    bool reads_rest;            /* views may have `rest` */
    bool reads_codes;           /* `linear` reads matrices that are held as codes (codes.h) */
    void *self;                 /* the backend's own state */
    zo_passes passes;           /* since the backend was opened */
    zo_choices choices;         /* of algorithms; zeros where there is nothing to choose */
    /* Models round the tokens of a forward pass up to a multiple of this, head rows and scores to one of its quarter, so that batches of
     * about one length make passes of one shape; 0 = not at all. What is added are copies of the last, which nobody reads. */
    int round_to;

    /* memory ------------------------------------------------------------------------------------------------------------- */
    void *(*alloc)(struct zo_backend *be, zo_tag tag, size_t bytes); /* zero-filled; zo_alloc's rules; given back with release */
    void (*release)(struct zo_backend *be, void *block);
    void (*upload)(struct zo_backend *be, void *to, const void *host, size_t bytes);
    void (*download)(struct zo_backend *be, void *host, const void *from, size_t bytes); /* waits for what was enqueued */
    void (*copy)(struct zo_backend *be, void *to, const void *from, size_t bytes);
    void (*zero)(struct zo_backend *be, void *block, size_t bytes);

    /* Optional. Scratch that has to grow between these two gets a block beside the old one, and the second gives back all that grew (and what
     * was compiled): what an evaluation takes beyond training's scratch is not kept, and training's stays where it is. */
    void (*extra_begin)(struct zo_backend *be);
    void (*extra_end)(struct zo_backend *be);

    /* Called once per model before the first step with the largest pass, the layout and the precision of its products: reserve scratch
     * (tag WORKSPACE) for all operations below, so that no step allocates. May be called again with larger sizes. */
    void (*reserve)(struct zo_backend *be, const zo_layout *layout, const zo_factors *factors, zo_precision precision, const zo_largest *most);

    /* Optional: NULL where there is nothing to choose. From here on products are chosen so; ZO_ALGORITHMS_FIRST until told. Ask through
     * zo_backend_choose. */
    void (*choose)(struct zo_backend *be, zo_algorithms how);

    /* Optional, both or neither. Operations between them may be gathered instead of started, so that a pass made of the same operations
     * on the same addresses and sizes as one before starts as a whole (a CUDA graph); results have the same bits. Host arguments are
     * copied by each operation as ever. pass_end starts what was gathered, and so does everything that waits, frees or reads. Passes do not
     * nest; one belongs to the thread that began it. */
    void (*pass_begin)(struct zo_backend *be);
    void (*pass_end)(struct zo_backend *be);

    /* forward, at all points of a view ------------------------------------------------------------------------------------ */
    /* x[p,t,:] = table[ids[t]] at point p (set), or added when `add`. ids (T) host. */
    void (*embed)(struct zo_backend *be, const zo_view *view, int table, const int32_t *ids, int64_t tokens, bool add, float *x);
    /* y (P,T,rows) = act([y +] scale x (P,T,cols) W^T + b). weight: MATRIX or TABLE (rows, cols), scale its own (zo_param); bias -1 = none;
     * with `add` what stands in y is added before `act`. When `pre` is not NULL the value before `act` is kept there (P,T,rows) for the
     * backward pass. y is not x. */
    void (*linear)(struct zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, zo_act act,
                   const float *x, int64_t tokens, bool add, float *y, float *pre);
    /* As linear without activation, for `nrows` chosen rows of the weight (host): y (P,T,nrows). For label words and small heads. */
    void (*linear_rows)(struct zo_backend *be, const zo_view *view, int weight, int bias, const int32_t *rows, int32_t nrows,
                        const float *x, int64_t tokens, float *y);
    /* y = norm(x [+ residual]) * (zo_norm_base + weight) + bias over `cols`; when residual is not NULL, x becomes x + residual in place first
     * (so that the sum is kept). stats (P,T,2) = mean and 1/std, or NULL. bias -1 for RMSNorm. y may be x or residual. */
    void (*norm)(struct zo_backend *be, const zo_view *view, zo_norm_kind kind, float eps, int weight, int bias, float *x,
                 const float *residual, int64_t tokens, int64_t cols, float *y, float *stats);
    /* Language-model head at scored rows: logprob (P,n)[i] = log softmax(x[at[i]] W^T + b)[target[i]], the logits l capped as
     * softcap tanh(l / softcap) where softcap is not 0; x (P,R,cols), at (n) row
     * indices into 0..R-1 and target (n), both host. Several scores may share a row, whose logits are made once. Streaming over
     * row blocks of W: logits are never all in memory. argmax (P,R) host or NULL: index of the largest logit of each row. */
    void (*head_logprob)(struct zo_backend *be, const zo_view *view, zo_precision precision, int weight, int bias, float softcap, const float *x,
                         int64_t rows, const int32_t *at, const int32_t *target, int64_t n, float *logprob, int32_t *argmax);

    /* forward, no parameters ---------------------------------------------------------------------------------------------- */
    void (*add)(struct zo_backend *be, float *y, const float *x, int64_t n);                     /* y += x */
    void (*scale)(struct zo_backend *be, float *x, int64_t n, float by);                         /* x *= by */
    void (*softcap)(struct zo_backend *be, float *x, int64_t n, float cap);                      /* x = cap tanh(x / cap) */
    void (*glu)(struct zo_backend *be, zo_act act, const float *gate, const float *up, int64_t n, float *y); /* act(gate) * up; y may be gate */
    void (*rope)(struct zo_backend *be, const zo_rope *rope, const int32_t *position, int points, int64_t tokens, int heads,
                 int64_t stride, bool inverse, float *x); /* in place on x (P,T,stride), heads * head_dim of each row; position (T) host */
    /* out (P,T,heads*head_dim). q, k, v rows have strides qs, ks, vs (floats), so a fused qkv matrix needs no copy. lse (P,T,heads)
     * = log-sum-exp of each row of scores for the backward pass, or NULL. No buffer of sequence length squared for the batch. */
    void (*attention)(struct zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, int64_t tokens, const float *q,
                      int64_t qs, const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse);
    /* y (R,cols) = relu(guide + the mixture). A row is a token at a point. */
    void (*mix)(struct zo_backend *be, const zo_mix *m, int64_t rows, float *y);
    void (*gate)(struct zo_backend *be, float by, const float *g, const float *y, int64_t rows, int64_t cols, float *x); /* x (R,cols) = tanh(by g) x + y; g (R) */
    /* y (P,R,cols) = x[:, rows, :]; rows (R) host. */
    void (*gather)(struct zo_backend *be, const float *x, int points, int64_t tokens, int64_t cols, const int32_t *rows, int64_t n,
                   float *y);

    /* backward: P = 1, parameters are the stored weights of `store`, f32 or of 16 bits, whose numbers are read exactly; gradients are f32, and are ADDED
     * into `grad`, a set of the same layout; none is made of frozen parameters. dx NULL = not needed. x is read for the gradient of a trained weight (and by norm_backward for dx, by
     * head_backward always), else it may be NULL.
     * Products of the gradients are f32 whatever `precision` says, but TF32 where it says that --------------------------------- */
    void (*linear_backward)(struct zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias,
                            const float *x, const float *dy, int64_t tokens, bool add, float *dx /* set, or with `add` added to */, zo_store *grad);
    void (*linear_rows_backward)(struct zo_backend *be, const zo_store *store, int weight, int bias, const int32_t *rows,
                                 int32_t nrows, const float *x, const float *dy, int64_t tokens, float *dx, zo_store *grad);
    void (*act_backward)(struct zo_backend *be, zo_act act, const float *pre, int64_t n, float *dy); /* dy *= act'(pre) in place */
    void (*softcap_backward)(struct zo_backend *be, float cap, const float *y /* capped */, int64_t n, float *dy); /* in place */
    void (*glu_backward)(struct zo_backend *be, zo_act act, const float *gate, const float *up, const float *dy, int64_t n,
                         float *dgate, float *dup); /* dgate may be dy */
    void (*mix_backward)(struct zo_backend *be, const zo_mix *m, int64_t rows, const float *y, const float *dy, float *dx, float *dscore); /* as m->x and m->score; set */
    void (*gate_backward)(struct zo_backend *be, float by, const float *g, const float *x /* before */, const float *dy, int64_t rows, int64_t cols, float *dg /* set */);
    void (*norm_backward)(struct zo_backend *be, const zo_store *store, zo_norm_kind kind, int weight, int bias,
                          const float *x /* the input after the residual was added */, const float *stats /* read with x */, const float *dy,
                          int64_t tokens, int64_t cols, float *dx /* set; may be dy */, zo_store *grad);
    void (*attention_backward)(struct zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q,
                               int64_t qs, const float *k, int64_t ks, const float *v, int64_t vs, const float *out, const float *lse,
                               const float *dout, float *dq, float *dk, float *dv /* strides as q, k, v; set */);
    void (*embed_backward)(struct zo_backend *be, int table, const int32_t *ids, int64_t tokens, int64_t cols, const float *dx,
                           zo_store *grad);
    /* dx (R,cols) set and gradients added, for loss = -sum_i amount[i] * logprob[i]; at, target, amount (n) host as head_logprob. */
    void (*head_backward)(struct zo_backend *be, const zo_store *store, zo_precision precision, int weight, int bias, float softcap,
                          const float *x, int64_t rows, const int32_t *at, const int32_t *target, const float *amount, int64_t n,
                          float *dx, zo_store *grad);
    void (*scatter_add)(struct zo_backend *be, const float *dy, int64_t cols, const int32_t *rows, int64_t n, float *dx); /* dx[rows] += dy */

    /* updates: each a sweep over what is trained of the arena, elementwise rules of rules.h ------------------------------------------ */
    /* For each element, in this order and each rounded on its own, to the store's type: w *= decay (where the parameter decays; 1 =
     * skip), then for k = 0..n-1: w = fmaf(coef[k], dir_k, w). One read and one write of w, whatever n is. touched: TABLE rows outside
     * it are skipped (NULL = everything). Terms of low rank use `factors`. A SET's values, those that scale a direction, and factors of
     * a term's own, are read where they stand. */
    void (*apply)(struct zo_backend *be, zo_store *store, const zo_factors *factors, double decay, const zo_term *term, int n,
                  const zo_touched *touched);
    /* One rule over all trained elements: see rules.h. g, m and v are f32; NULL where the rule does not use them. */
    void (*rule)(struct zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_store *g, zo_store *m, zo_store *v);
    /* The same of the rules of zo_rule_draws with g = sum of n > 0 terms, each DENSE or a SET, formed in f32 on the way: from 0,
     * every term one fmaf in their order, which are the bits of a store that they were applied to. Of the rules of zo_rule_pairs n is 2, g is the first
     * term and v, which is no store then, the second. */
    void (*rule_drawn)(struct zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_term *term, int n, zo_store *m,
                       zo_store *v);
    /* rule on factored matrices alone, of a rule that reads no g and writes w alone (ZO_RULE_QUOTIENT): its m is scale U diag(m) V^T and its
     * v scale^2 (U.U) diag(v) (V.V)^T, formed on the way; m, v (ncoef) host. A matrix of scale 0 is frozen: it is neither read nor written. */
    void (*rule_lowrank)(struct zo_backend *be, zo_rule_kind rule, const zo_rule_args *args, zo_store *w, const zo_factors *factors, const float *m,
                         const float *v);
    void (*draw_factors)(struct zo_backend *be, zo_factors *factors); /* allocates (OPT_STATE) and fills u and v from seed and rank */
    void (*init_normal)(struct zo_backend *be, zo_store *store, int param, uint64_t seed, float std); /* N(0, std^2), role INIT */
    /* Matrix by matrix, the first of each layout with the first and so on, as many as c has: C = A B, or where `across` C = A^T B / rows of A (a mean over
     * the rows). All f32; each number a sum in float64, in order (zo_dot_strided). c is neither a nor b. */
    void (*multiply)(struct zo_backend *be, const zo_store *a, bool across, const zo_store *b, zo_store *c);
    double (*dot)(struct zo_backend *be, const zo_store *a, const zo_store *b); /* both f32; in fixed blocks, float64 sums, index order */
    bool (*finite)(struct zo_backend *be, const zo_store *a);

    void (*wait)(struct zo_backend *be);    /* until all that was enqueued is done */
    void (*close)(struct zo_backend *be);   /* frees everything and `be` itself */
} zo_backend;

/* Counters kept by the backend for the results (reset by the harness). */
typedef struct zo_counters { uint64_t normals, weight_bytes_written, linear_flops; } zo_counters;
void zo_counters_read(zo_counters *counters);
void zo_counters_reset(void);
void zo_counters_add(zo_counters more); /* for backends; thread-safe */

/* "cpu", "cuda", "cuda:N", or "auto": the GPU where this build has the backend and the machine one, else the processor. An unknown name is
 * ZO_EINPUT; a device that is not there is ZO_EUNSUPPORTED, one that is there and cannot be opened ZO_EIO, one without memory for that
 * ZO_EOOM: one sentence each, and never another device in its stead. threads 0 = all cores this process may use. */
zo_status zo_backend_open(const char *device, int threads, zo_backend **be, zo_err *err);

const char *zo_precision_name(zo_precision precision); /* as configs spell it */

/* Slots by what asks for them. */
typedef enum zo_slots {
    ZO_SLOTS_FORWARD,      /* a forward pass, and stores */
    ZO_SLOTS_SWEEPS,       /* directions added to stores */
    ZO_SLOTS_LOWRANK,      /* factors */
    ZO_SLOTS_RULES,        /* elementwise rules on stores */
    ZO_SLOTS_DRAWN_RULES,  /* and on gradients that are drawn on the way */
    ZO_SLOTS_LOWRANK_RULES, /* and on moments of low rank */
    ZO_SLOTS_PRODUCTS,     /* products of stores, matrix by matrix */
    ZO_SLOTS_NORMS,        /* dot products of stores */
    ZO_SLOTS_BACKWARD,     /* gradients */
    ZO_SLOTS_SIDE          /* a side adapter, forward and backward */
} zo_slots;

/* ZO_EUNSUPPORTED with one sentence that names the device and the slot where the backend lacks one. */
zo_status zo_backend_has(const zo_backend *be, zo_slots slots, zo_err *err);

/* ZO_EUNSUPPORTED with one clear sentence where the backend's slots are of another version or those of a forward pass are not all there, or
 * where the device has no instructions for `precision`; ask before the first step. An operation called with it all the same dies; nothing
 * falls back in silence. */
zo_status zo_backend_check(const zo_backend *be, zo_precision precision, zo_err *err);

const char *zo_algorithms_name(zo_algorithms how); /* "first", "timed": as configs spell it */

/* Once after opening, before the first product. ZO_EUNSUPPORTED with one clear sentence where `how` is TIMED and the device has nothing to
 * choose. be->choices says what came of it. */
zo_status zo_backend_choose(zo_backend *be, zo_algorithms how, zo_err *err);

/* Helpers over the slots, the same for every backend. */
const char *zo_storage_name(zo_storage storage); /* as configs spell it */
zo_store *zo_store_new(zo_backend *be, const zo_layout *layout, zo_tag tag); /* a set: f32, of the trained parameters */
zo_store *zo_store_new_as(zo_backend *be, const zo_layout *layout, zo_storage storage, zo_tag tag); /* of all of them */
/* A snapshot: as `weights` hold them, of the trained parameters; frozen ones are read below, in `weights`, which lives as long. */
zo_store *zo_store_new_beside(zo_backend *be, const zo_store *weights, zo_tag tag);
zo_store *zo_store_new_places(zo_backend *be, const zo_layout *layout, zo_tag tag); /* a zo_sink's room, with zeros */
void zo_store_free(zo_backend *be, zo_store *store);
void zo_store_get(zo_backend *be, const zo_store *store, int param, float *host);       /* (rows, cols) row-major */
void zo_store_set(zo_backend *be, zo_store *store, int param, const float *host);
/* The same of rows [row, row + n) alone. Of a matrix that is held as codes, get gives scale x code, and set makes codes and scales of the numbers. */
void zo_store_get_rows(zo_backend *be, const zo_store *store, int param, int64_t row, int64_t n, float *host);
void zo_store_set_rows(zo_backend *be, zo_store *store, int param, int64_t row, int64_t n, const float *host);
/* Elements [first, first + n) of the arena to and from host floats. */
void zo_store_read(zo_backend *be, const zo_store *store, int64_t first, int64_t n, float *host);
void zo_store_write(zo_backend *be, zo_store *store, int64_t first, int64_t n, const float *host);
/* A view of stored weights at one point. The view borrows *slot, which must live as long. */
zo_view zo_view_stored(const zo_store *const *slot);
/* Point p of a view alone, borrowed from it. */
zo_view zo_view_at(const zo_view *view, int p);
/* Factors for a layout: rank[t] given (0 = not factored), scale_power 0, -0.5 or -1 (scale = rank^power). U, V are drawn. */
zo_factors *zo_factors_new(zo_backend *be, const zo_layout *layout, const int *rank, double scale_power, uint64_t seed);
/* The same shapes for directions with factors of their own: nothing is drawn. */
zo_factors *zo_factors_new_own(const zo_layout *layout, const int *rank, double scale_power, uint64_t seed);
void zo_factors_free(zo_backend *be, zo_factors *factors);

#ifdef __cplusplus
}
#endif
#endif
