/* transformer.h: what model.c, transformer.c and head.c share: the model itself, where each parameter stands, and the buffers of
 * one pass. Private to models/. */
#ifndef ZO_MODELS_TRANSFORMER_H
#define ZO_MODELS_TRANSFORMER_H

#include "models/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A linear layer or a norm: indices into the layout, -1 = absent. lora: A and B of an adapter. later: by how many stages this use of its parameters stands
 * behind their first (zo_param.again), where the stage of their layout is; > 0: their gradient is not complete here. */
typedef struct zo_pair { int weight, bias, lora[2], later; } zo_pair;

/* What the backward pass of a block reads of its buffers (zo_block_bufs), by what is trained: the input of a layer whose weight is, and what leads
 * the gradient down to the lowest stage that is. All are true where everything is trained. */
typedef struct zo_keeps {
    bool in;    /* pre-norm: its first norm's input; post-norm: the input of keys and values */
    bool h1;    /* pre-norm: the input of keys and values */
    bool query; /* the queries' input (with one norm the MLP's too): h1_rows */
    bool heads; /* q, k, v, lse: a gradient goes through the attention */
    bool raw_heads; /* head_norm: q and k before their norms */
    bool raw_o;     /* post_norm: what o made, before its norm */
    bool raw_down;  /* and down */
    bool a;
    bool mid;
    bool h2;
    bool up;    /* pre, gate */
    bool f;
    bool out;   /* post-norm: its last norm's input */
} zo_keeps;

typedef struct zo_block_ids {
    zo_pair attn_norm, q, k, v, q_norm, k_norm, o, attn_post, mlp_norm, gate, up, down, mlp_post;
    int prefix[2]; /* keys, values */
    zo_keeps keeps;
} zo_block_ids;

typedef struct zo_ids_of { /* where each parameter of arch.h's list stands in the layout */
    int token, position, type;
    zo_pair embed_norm, in, out, final_norm;
    zo_block_ids *block; /* (layers) */
    int head_stage;      /* of what reads the last hidden state: zo_param.stage */
    zo_pair lm_dense, lm_norm, decoder, class_dense, class_out;
    zo_pair *side_down, *side_norm; /* (zo_arch_side_block + 1) of a side adapter; NULL = there is none */
    zo_pair side_score, side_out, side_last;
    int side_gate;
} zo_ids_of;

/* Buffers of one block, in the backend's memory; T tokens, Q = the rows that go through it (T, but in the last block only the rows
 * that a head reads). In a forward-only pass most of them are the same memory and the leading dimension is P; in a gradient
 * pass (P = 1) each one that zo_keeps names is its own, for the backward pass, and the others are as in a forward-only pass. */
typedef struct zo_block_bufs {
    float *in;          // (T, hidden) the block's input
    float *h1, *stats1; // (T, hidden), (T, 2) pre-norm: norm of the input; post-norm: h1 is the input itself, no stats
    float *in_rows, *h1_rows; // (Q, hidden) the chosen rows of in and h1
    float *q, *k, *v;   // (Q, heads * head_dim), (T, kv_heads * head_dim) twice; rotated where the model has RoPE
    float *raw_q, *raw_k, *stats_q, *stats_k; // head_norm: q and k before their norms, which may stand in q and k; (Q, heads, 2), (T, kv_heads, 2)
    float *raw_o, *stats_o, *raw_down, *stats_down; // (Q, hidden), (Q, 2) post_norm: before those norms, perhaps in o and out
    float *a, *lse;     // (Q, heads * head_dim), (Q, heads) attention's output
    float *o;           // (Q, hidden) o(a) before it is added: mid itself, or apart where it is added to in_rows in place; parallel: out itself
    float *mid;         // (Q, hidden) in + o(a); parallel: in_rows itself
    float *h2, *stats2; // (Q, hidden), (Q, 2) norm of mid: what the MLP reads. Stats only where the norm's input is kept. One norm: h1_rows itself, no stats
    float *pre, *gate;  // (Q, ffn) up before its activation (NULL where nobody reads it); gate before its activation (gated only)
    float *f;           // (Q, ffn) what down reads
    float *out;         // (Q, hidden) h2 or mid + down(f); parallel: mid + o(a) + down(f)
    float *y, *stats3;  // (Q, hidden), (Q, 2) the block's output: pre-norm: out itself; post-norm: its norm
} zo_block_bufs;

/* Keys and values of a generation's sequences, in the backend's memory: sequence s owns the places [start[s], start[s + 1]), and has filled so many of
 * them as it has tokens. */
typedef struct zo_cache {
    int64_t places;
    float *k, *v;        // (layers, places, kv_heads * head_dim), rotated where the model has RoPE
    int32_t seqs;
    const int32_t *start; // (seqs + 1) host
    /* Of the pass at hand: */
    int32_t *run, *to, *n; // (runs) tokens [run, run + n) of the pass go to the places from `to` on; host
    int32_t runs;
    bool reads;            // its tokens, each the place `to` of its sequence, ask the cache; else each other, as in any pass
} zo_cache;

/* Buffers of a side adapter, in the backend's memory, with n = zo_arch_side_block features beside the guide, each of W numbers; T tokens. Those that a
 * gradient pass keeps have P = 1. */
typedef struct zo_taps {
    float *in;              // (n + 1, T, hidden) gradient pass: what the blocks would have read; else NULL
    float *raw, *stats;     // (n + 1, P, T, W), (n + 1, T, 2) before their norms: y itself in a forward-only pass, which keeps no stats
    float *y;               // (n + 1, P, T, W) the features
    float *product;         // (P, T, W) of a feature and the guide
    float *score, *inverse, *redundancy; // (n, P, T) see zo_mix
    float *mixed;           // (P, T, W)
    float *out, *out_stats; // (P, T, hidden), (T, 2) back at the model's width, before the norm
    float *normed;          // (P, T, hidden) behind it; out itself in a forward-only pass
    float *gate;            // (P, T)
    float *dy, *dscore, *dmixed, *dproduct, *dgate; // gradient pass: (n + 1, T, W), (n, T), (T, W), (T, W), (T)
} zo_taps;

/* Buffers of one pass. Made by zo_pass_lay. */
typedef struct zo_pass {
    int points;
    int64_t tokens, rows; /* T; R = rows of the last hidden state that are made (0 < R <= T) */
    int64_t head_rows, scores; /* R, or 0 when no head runs; token scores */
    zo_backward keep;
    float *x0, *e, *x, *stats0; // embeddings before their norm (T, zo_arch_table_width); what embed.in reads (T, embed): the tokens' rows, factorised all
                                // of it behind the norm; what the first block reads (T, hidden); (T, 2)
    zo_block_bufs block;       // the buffers of every block of a forward-only pass
    float *prefix[2];          // (prefix, kv_heads * head_dim) keys and values of the prefix of the block at hand, at the points
    float *last, *last_stats;  // (R, hidden), (R, 2) the final norm of the blocks' output `y`
    float *hidden;             // (R, width) what the head reads
    float *head[3], *head_stats; // (R, width; factorised: embed): dense before and after its activation, norm; (R, 2)
    float *logits, *dlogits;   // (R, classes)
    float *logprob;            // (scores)
    float *dx, *t1, *t2, *r;   // gradient pass: (T, hidden), (T, widest), (T, hidden), (T, the widest of a block)
    float *side;               // gradient pass of parallel blocks: (Q, hidden) that of what the MLP reads, while dx is still the block's output's
    float *dhead;              // (R, width)
    zo_sink *sink;             // gradient pass: who uses each parameter's gradient as it is complete; NULL = nobody
    zo_cache *cache;           // forward pass at one point: where its keys and values are kept; NULL = nowhere
    zo_taps taps;              // of a side adapter
    float *lora, *dlora;       // (T, rank) x A^T of the adapter at hand; gradient pass: its gradient
} zo_pass;

/* What passes of up to some sizes need: buffers, and lists on the host. */
typedef struct zo_room {
    float *arena;
    int64_t arena_floats;
    float *more;              /* of an evaluation: where a buffer stands that has no place left in the arena */
    int64_t more_floats;
    float *rope_cos, *rope_sin; // (zo_arch_ropes, zo_rope_rows, half of the turned numbers) backend memory, one block
    int64_t rope_positions;
    int64_t max_tokens, max_rows, max_scores;
    int max_points;
    /* host: */
    int32_t *scratch_ids;     /* (max_tokens) table rows of the tokens */
    int32_t *row, *row_of;    /* (max_tokens) ascending distinct rows that the head reads; (max_tokens) token -> index in `row` */
    int32_t *turn_row;        /* (max_tokens) see zo_turn_rows; NULL where they are the positions */
    int32_t *row_turn_row;    /* (max_tokens) those of `row` */
    int32_t *at;              /* (max_scores) rows of the scores, as indices into `row` */
    int32_t *filled[4];       /* (max_tokens) ids, positions and types, (max_scores) targets of a pass rounded up */
    float *host;              /* (max_points * max(max_scores, max_rows * classes)) */
    float *amount;            /* (max(max_scores, max_rows * classes)) */
    double *value;            /* (max_scores) one an option */
} zo_room;

struct zo_model {
    zo_arch arch;
    zo_layout layout;
    zo_backend *be;
    zo_store *store;
    zo_head head;
    int classes;
    int32_t *word; /* (classes) WORDS */
    int32_t *prefix_row; /* (arch.prefix) 0, 1, ...: all rows, for the backend's look-up */
    zo_precision precision;
    char note[1000]; /* zo_model_note */
    char folder[4096]; /* where it was read, "" = nowhere */
    zo_ids_of ids;
    int width;     /* of what the head reads: embed where the model projects its output, else hidden */

    zo_room room;             /* of the passes now */
    zo_room reserved;         /* during an evaluation: what zo_model_reserve made, of which `room` borrows what is large enough */
    bool evaluates;
    zo_block_bufs *kept;      /* (layers) of the gradient pass */
    uint8_t *mark;            /* one a row of the largest table */
    int32_t *touched_rows[4]; /* (max_tokens + classes) rows of the token, position and type tables and of an untied decoder */
    int touched_param[4];
    const int32_t *touched_list[4];
    int32_t touched_n[4];
};

/* model.c: gives back what zo_model_reserve made, as if it had not been called. */
void zo_model_unreserve(zo_model *model);

/* Chooses the rows of the last hidden state that a head reads (every row with `all`) and lays out the buffers. Returns the rows for the transformer,
 * NULL = all. A forward pass to a head is rounded up (zo_backend.round_to) where `round`. */
const int32_t *zo_pass_begin(zo_model *model, zo_pass *pass, const zo_view *view, const zo_batch *batch, zo_backward keep, bool all, bool round);

/* transformer.c ----------------------------------------------------------------------------------------------------------- */
/* Find every parameter that the arch asks for in the layout; dies when one is missing (the layout was made from the same arch). */
void zo_transformer_wire(zo_model *model);
/* Where buffers are laid: one after another from `base` (size), and what has no place there from `more`. NULL: only measured. */
typedef struct zo_lay {
    float *base, *more;
    int64_t size;            /* floats at base */
    int64_t used, more_used; /* out */
} zo_lay;
/* Lay out the buffers of a pass (points, tokens, rows, scores, keep are set). */
void zo_pass_lay(zo_model *model, zo_pass *pass, zo_lay *lay);
/* Run the blocks. `row` (rows, ascending) are the tokens whose last hidden state is wanted, NULL = all (then pass->rows = tokens);
 * fills pass->hidden (points, rows, width). */
void zo_transformer_forward(zo_model *model, zo_pass *pass, const zo_view *view, const zo_batch *batch, const int32_t *row);
/* Is something trained below this stage, so that a gradient goes on to what its parameters read? */
static inline bool zo_goes_below(const zo_model *model, int stage)
{
    return model->layout.lowest < stage;
}
/* Whatever has completed the gradient of a parameter says so: no operation after that reads its weights in this pass. -1 = there is none. */
static inline void zo_gradient_done(const zo_model *model, const zo_pass *pass, int param)
{
    if (pass->sink != NULL && param >= 0 && !model->layout.param[param].frozen) {
        pass->sink->take(pass->sink, param);
    }
}
/* After a forward with keep: dhidden (rows, width) = pass->dhead -> gradients of what is trained below the head, added into grad. Only where
 * something is. */
void zo_transformer_backward(zo_model *model, zo_pass *pass, const zo_batch *batch, const int32_t *row, zo_store *grad);
/* A layer's parameters by name, which are there where they are wanted (it dies else). */
zo_pair zo_find_pair(const zo_model *model, const char *name, bool weight, bool bias);
zo_seqs zo_seqs_of(const zo_batch *batch);
/* The row of RoPE's tables for each token of the pass. */
static inline const int32_t *zo_turn_rows(const zo_model *model, const zo_batch *batch)
{
    return model->room.turn_row != NULL ? model->room.turn_row : batch->position;
}

/* side.c: a side adapter; nothing of it is called where there is none ------------------------------------------------------ */
/* Finds its parameters, of which all are trained and nothing below them is. */
void zo_side_wire(zo_model *model);
/* Lays its buffers at `base` (NULL: they are only measured), in memory of which `spare` (points, tokens, hidden) is used besides, and of a gradient pass
 * what the backward pass works in at `work`. Returns the floats at base; *work_floats those at work. */
int64_t zo_side_lay(const zo_model *model, zo_pass *pass, float *base, float *spare, float *work, int64_t *work_floats);
/* Keeps what block `layer`, up to zo_arch_side_block, would have read: x (points, tokens, hidden), complete. */
void zo_side_tap(zo_model *model, const zo_pass *pass, const zo_view *view, int layer, const float *x);
/* When all have been kept: x, the input of block zo_arch_side_block, becomes what the adapter makes. */
void zo_side_forward(zo_model *model, const zo_pass *pass, const zo_view *view, float *x);
/* From pass->dx, the gradient of that, to those of the adapter's parameters, added into grad. It goes no further. pass->dx is lost. */
void zo_side_backward(zo_model *model, const zo_pass *pass, zo_store *grad);

/* head.c ------------------------------------------------------------------------------------------------------------------ */
/* From pass->hidden to what the objective scores: CLASS and WORDS: pass->logits (points, rows, classes); else pass->logprob
 * (points, scores). argmax is not made here. */
void zo_head_forward(zo_model *model, zo_pass *pass, const zo_view *view, const zo_batch *batch);
/* Loss of point p from the downloaded logits (rows, classes) or logprobs (scores); choice, nll (examples) may be NULL. When
 * `slope` is not NULL: d loss / d logits, or -d loss / d logprob, times scale. */
double zo_head_loss(zo_model *model, const zo_batch *batch, const float *host, int32_t *choice, double *nll, double scale, float *slope);
void zo_head_scores(zo_model *model, const zo_batch *batch, const float *host, double *score); /* as zo_model_rank */
/* From slope (host) to pass->dhead, where something is trained below; gradients of what is trained of the head added. */
void zo_head_backward(zo_model *model, zo_pass *pass, const zo_batch *batch, const float *slope, zo_store *grad);
/* What the head's last product reads, (points, rows, width) in the pass: the hidden rows, behind a dense layer (and a norm) where the family has them. */
const float *zo_head_features(zo_model *model, zo_pass *pass, const zo_view *view);
/* (rows, vocab) logits of a language-model head, host. */
void zo_head_vocab_logits(zo_model *model, zo_pass *pass, const zo_view *view, float *logits);

#ifdef __cplusplus
}
#endif
#endif
