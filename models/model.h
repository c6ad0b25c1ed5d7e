/* model.h: weights in, per-example losses out. A model is a zo_arch, a layout, a store of weights, and the three passes below. It
 * does not know of optimizers; it reads parameters only through views. */
#ifndef ZO_MODELS_MODEL_H
#define ZO_MODELS_MODEL_H

#include "backends/backend.h"
#include "models/arch.h"
#include "models/tune.h"
#include "text/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_model_spec {
    const char *folder;    /* a Hugging Face folder (see hub.h), or NULL with `arch` given */
    const zo_arch *arch;   /* NULL: read from the folder's config.json */
    bool random;           /* "init": "random": weights from `seed`, no safetensors read */
    uint64_t seed;         /* of the random weights and of a fresh classification head */
    zo_head head;
    int classes;           /* CLASS and WORDS; CLASS with 0: no head at all, for zo_model_hidden alone */
    const int32_t *word;   /* WORDS: token ids of the label words (classes), copied */
    zo_precision precision;
    zo_storage storage;    /* of the weights: rounded once, when they are read or drawn; gradients need F32 */
    zo_decoder decoder;    /* of a language-model head; see zo_model_decoder for what became of it */
    const zo_tune *tune;   /* which parameters are trained; NULL = every one. Read while the model is opened */
} zo_model_spec;

typedef struct zo_model zo_model;

/* Builds the layout (only the parameters that the objective uses), allocates and fills the weights. */
zo_status zo_model_open(zo_model **model, const zo_model_spec *spec, zo_backend *be, zo_err *err);
void zo_model_close(zo_model *model);

const zo_arch *zo_model_arch(const zo_model *model);
const zo_layout *zo_model_layout(const zo_model *model);
zo_store *zo_model_store(zo_model *model);
zo_backend *zo_model_backend(zo_model *model);
/* What was resolved: TIED or UNTIED; DEFAULT where the objective has no decoder. */
zo_decoder zo_model_decoder(const zo_model *model);
/* What a reader of the results should know of how the folder was read, in sentences without a full stop at the end, joined by "; ": tensors
 * of the checkpoint that nothing reads, a stored head used in place of tied embeddings, special ids outside the vocabulary. Empty where
 * there is nothing to say. The model's own. */
const char *zo_model_note(const zo_model *model);
void zo_model_add_note(zo_model *model, const char *sentence); /* one more, as above */

/* What the gradient pass keeps: nothing (there is none), all that the backward pass reads, or only each block's input. A bool fits
 * in C: true = ZO_BACKWARD. */
typedef enum zo_backward { ZO_FORWARD_ONLY = 0, ZO_BACKWARD = 1, ZO_BACKWARD_CHECKPOINT = 2 } zo_backward;

/* Reserve activations and scratch for passes of up to `tokens` packed tokens (in any number of sequences), `rows` head rows,
 * `scores` token scores and `points` points; `backward` adds what the gradient pass keeps. After this no pass allocates. May be called
 * again: what is reserved is then enough for both calls. */
void zo_model_reserve(zo_model *model, int64_t tokens, int32_t rows, int32_t scores, int points, zo_backward backward,
                      const zo_factors *factors);

/* Around an evaluation: forward passes at one point, of up to these sizes. What they take beyond what is reserved (buffers, lists, the
 * backend's scratch and products) is allocated between the two calls and given back by the second; what is reserved stays where it is.
 * Nothing else of the model is used between them. */
void zo_model_evaluation_begin(zo_model *model, int64_t tokens, int32_t rows, int32_t scores, const zo_factors *factors);
void zo_model_evaluation_end(zo_model *model);

/* Rows of trained TABLE parameters that a pass over this batch reads (tables that are read whole are not listed). The lists belong to the
 * model and live until the next call; zo_model_reserve has sized them. */
void zo_model_touched(zo_model *model, const zo_batch *batch, zo_touched *touched);

/* Loss at every point of the view: loss (P) = mean over the batch as the head defines; sums are float64 in index order. */
void zo_model_losses(zo_model *model, const zo_view *view, const zo_batch *batch, double *loss);

/* choice (P, examples): predicted class / option of each example, at each point; nll (P, examples): its loss (NULL allowed). */
void zo_model_predict(zo_model *model, const zo_view *view, const zo_batch *batch, int32_t *choice, double *nll);

/* How many scores zo_model_rank gives of a batch: a class or option each. */
int64_t zo_model_ranked(const zo_model *model, const zo_batch *batch);
/* The same at one point, and what the choice is made from: score (zo_model_ranked) = of class c of example e, at e * classes + c, its log-probability among
 * the classes; of an option the SUM of its tokens' log-probabilities (which the choice divides by their number), 0 where it has none. choice and nll NULL:
 * not wanted, and options may then be without tokens. */
void zo_model_rank(zo_model *model, const zo_view *view, const zo_batch *batch, int32_t *choice, double *nll, double *score);

/* Gradient of the loss at the stored weights by what is trained, ADDED into grad (a set of the layout) times `scale`; *loss = the loss. With `checkpoint`
 * only each block's input is kept and blocks are run again in the backward pass (activation checkpointing). */
void zo_model_grad(zo_model *model, const zo_batch *batch, double scale, bool checkpoint, zo_store *grad, double *loss);
/* The same gradient, of which nothing is kept: the sink takes each trained parameter's once, when it is complete, and may write its weights then. Where the
 * loss is not finite it takes none. */
void zo_model_descend(zo_model *model, const zo_batch *batch, bool checkpoint, zo_sink *sink, double *loss);

/* What the head's last product reads (behind a dense layer and a norm, where the family has them), and what is right there: x (rows,
 * zo_model_feature_width), right (rows), host, of the batch's zo_model_feature_rows. CLASS and WORDS: a row an example, in order, and its label. OPTIONS: a row for each token of
 * each right option, and that token. */
int64_t zo_model_feature_rows(const zo_model *model, const zo_batch *batch);
int zo_model_feature_width(const zo_model *model);
void zo_model_features(zo_model *model, const zo_view *view, const zo_batch *batch, float *x, int32_t *right);
/* Of OPTIONS: right alone, without a pass. */
void zo_model_feature_targets(const zo_batch *batch, int32_t *right);
/* Whether the last product has a bias. */
bool zo_model_head_bias(const zo_model *model);
/* Rows of the last product's weight, and numbers of its bias, become w (n, width + bias), rounded to the storage: row[i] (n) is a class, or of a
 * language-model head a token. ZO_EUNSUPPORTED where the view has frozen what would be written. */
zo_status zo_model_set_head(zo_model *model, const int32_t *row, int n, const double *w, zo_err *err);

/* The last hidden state as transformers' base model returns it: hidden (T, zo_model_width) host. For `zo score` and the golden
 * tests. The width is arch->hidden, but for OPT-350M, whose output is projected to arch->embed. */
int zo_model_width(const zo_model *model);
void zo_model_hidden(zo_model *model, const zo_view *view, const zo_batch *batch, float *hidden);
/* Logits at the batch's `row`s: CLASS (rows, classes), WORDS (rows, words), else (rows, vocab); host. Golden tests; the only pass
 * that may allocate. */
void zo_model_logits(zo_model *model, const zo_view *view, const zo_batch *batch, float *logits);
/* Log-probabilities of the batch's scores: (scores) host. `zo score`. */
void zo_model_logprobs(zo_model *model, const zo_view *view, const zo_batch *batch, float *logprob);

/* Greedy generation. */
typedef struct zo_generation {
    int32_t most;       /* tokens after each prompt, at most; > 0 */
    const int32_t *end; /* (ends) a sequence ends where one of these is the likeliest token */
    int ends;
    bool without_cache; /* every pass runs all tokens again: as a check, and for nothing else */
    void (*ran)(void *context, const zo_batch *batch); /* told of each pass, behind it: what it ran, a sequence for each text that goes on, from the position where it
                                                          stands: tokens before that are kept. NULL = nobody asks */
    void *context;
} zo_generation;

/* After each sequence of `prompts` (its tokens and sequences are read, none has a parent) the tokens that are the likeliest one after the other, of equal ones
 * the first in the vocabulary: id (seqs, most), n (seqs) how many, without the one that ended it. What a sequence gets does not depend on the others.
 * False where a text ended because the scores behind it were no numbers. A language-model head of a causal model, one point. The model is reserved, or in an
 * evaluation, for as many tokens as the prompts and `most` for each together, and for seqs rows and scores. Keys and values of these tokens are held meanwhile:
 * zo_model_cache_bytes of tag KV_CACHE; and lists on the host: zo_model_generate_bytes of tag DATA. */
bool zo_model_generate(zo_model *model, const zo_view *view, const zo_batch *prompts, const zo_generation *generation, int32_t *id, int32_t *n);
int64_t zo_model_cache_bytes(const zo_arch *arch, int64_t tokens);
uint64_t zo_model_generate_bytes(int64_t seqs, int64_t tokens);

/* Write the weights as a Hugging Face folder (config.json + model.safetensors, F32), so that transformers can load it; of a model with LoRA
 * adapters, these and a classification head, as PEFT's folder; of one with a prefix, what is trained (models/files/prefix.h). */
zo_status zo_model_save(zo_model *model, const char *folder, zo_err *err);
/* The same with the values of another store of its layout. */
zo_status zo_model_save_as(const zo_model *model, const zo_store *values, const char *folder, zo_err *err);
/* Makes `folder`, in which there will be such folders, and says whether what the model holds can be written so. */
zo_status zo_model_save_check(const zo_model *model, const char *folder, zo_err *err);

/* Predicted bytes by tag from the arch and its layout alone (zo_arch_layout, zo_tune_apply), before anything is allocated: PARAMS in f32 (weights held in 16 bits take half of that) and codes, and
 * ACTIVATIONS of one pass. GRADS, OPT_STATE and SNAPSHOT are copies of PARAMS, which the caller adds; WORKSPACE is the backend's.
 * layers_bytes: the weights inside the blocks. For `zo inspect` and the planner. */
typedef struct zo_plan { int64_t parameters, trained, layers_bytes; uint64_t tag_bytes[ZO_TAGS]; } zo_plan;
void zo_model_plan(const zo_arch *arch, zo_head head, int classes, const zo_layout *layout, int64_t tokens, int32_t rows, int points,
                   zo_backward backward, zo_plan *plan);

#ifdef __cplusplus
}
#endif
#endif
