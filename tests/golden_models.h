/* golden_models.h: the small models of tests/golden on any backend, batches of tokens drawn for them, and steps of an estimator on two
 * such batches. Golden values are not read here (tests/models/test_models.c does). Test code only. */
#ifndef ZO_TESTS_GOLDEN_MODELS_H
#define ZO_TESTS_GOLDEN_MODELS_H

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/rng.h"
#include "models/model.h"
#include "optimizers/engine/engine.h"
#include "tests/few_queries.h"
#include "tests/fold_side.h"

static const char *const families[] = {"bert", "roberta", "distilbert", "electra", "albert", "modernbert", "gpt2", "opt", "opt-post-norm", "llama", "llama-tied", "mistral", "qwen2", "gpt-neox", "qwen3",
                                       "gemma", "gemma2", "gptj", "phi", "phi3", "gpt-neo"};
enum { FAMILIES = sizeof families / sizeof families[0], BERT = 0, ALBERT = 4, MODERNBERT = 5, GPT2 = 6, OPT = 7, LLAMA = 9, CLASSES = 3 };

static inline bool causal(int family)
{
    return family >= GPT2;
}

/* arch NULL: that of the folder. The first head of a family is classes; the second, options scored token by token, or the logits of label words at a row. */
static inline zo_model *golden_model_arch(zo_backend *be, int family, bool second, zo_precision precision, zo_storage storage, const zo_arch *arch,
                                          const zo_tune *tune)
{
    static const int32_t word[CLASSES] = {5, 17, 3};
    zo_err err = {0};
    zo_head head = !second ? ZO_HEAD_CLASS : causal(family) ? ZO_HEAD_OPTIONS : ZO_HEAD_WORDS;
    char folder[128];
    snprintf(folder, sizeof folder, "tests/golden/models/%s", families[family]);
    zo_model_spec spec = {.folder = folder, .arch = arch, .head = head, .classes = head == ZO_HEAD_OPTIONS ? 0 : CLASSES, .word = word, .seed = 5,
                          .precision = precision, .storage = storage, .tune = tune};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    return model;
}

static inline zo_model *golden_model_of(zo_backend *be, int family, bool second, zo_precision precision, zo_storage storage, const zo_tune *tune)
{
    return golden_model_arch(be, family, second, precision, storage, NULL, tune);
}

static inline zo_model *golden_model(zo_backend *be, int family, bool second, zo_precision precision, zo_storage storage)
{
    return golden_model_of(be, family, second, precision, storage, NULL);
}

/* n zeros, host; zo_free gives them back */
static inline int32_t *golden_ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n > 0 ? n : 1) * sizeof(int32_t));
}

static inline int32_t golden_draw(int64_t at, int bound)
{
    return (int32_t)zo_below((zo_stream){.seed = 91, .role = ZO_ROLE_DATA}, (uint64_t)at, (uint32_t)bound);
}

/* length (seqs). Without options: a sequence and a row an example. With: three sequences an example, a prompt and two options that share
 * it, every token of an option scored at the one before. Tokens, types, labels depend on `seed`. zo_batch_free gives it back. */
static inline zo_batch *golden_batch(const zo_arch *arch, bool options, int32_t seqs, const int32_t *length, int seed)
{
    int32_t examples = options ? seqs / 3 : seqs, tokens = 0, scores = 0;
    for (int32_t s = 0; s < seqs; s++) {
        tokens += length[s];
        scores += options && s % 3 > 0 ? length[s] : 0;
    }
    int32_t rows = options ? scores : seqs, t = 0, i = 0, option = 0;
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = examples, .tokens = tokens, .id = golden_ints(tokens), .position = golden_ints(tokens),
                    .type = golden_ints(tokens), .seqs = seqs, .start = golden_ints(seqs + 1), .parent = golden_ints(seqs), .rows = rows,
                    .row = golden_ints(rows), .scores = scores, .at = golden_ints(scores), .target = golden_ints(scores),
                    .options = options ? 2 * examples : 0, .option_start = golden_ints(2 * examples + 1),
                    .example_start = golden_ints(examples + 1), .label = golden_ints(examples)};
    for (int32_t s = 0; s < seqs; s++) {
        bool child = options && s % 3 > 0;
        int32_t prompt = s / 3 * 3;
        b->parent[s] = child ? prompt : -1;
        for (int32_t k = 0; k < length[s]; k++, t++) {
            b->id[t] = golden_draw(1000 * seed + t, arch->vocab);
            b->position[t] = k + (child ? length[prompt] : 0);
            b->type[t] = arch->types > 1 && (t + seed) % 3 == 0;
            if (child) {
                b->row[i] = k == 0 ? b->start[prompt] + length[prompt] - 1 : t - 1;
                b->at[i] = i;
                b->target[i++] = b->id[t];
            }
        }
        b->start[s + 1] = t;
        if (child) {
            b->option_start[++option] = i;
        } else if (!options) {
            b->row[s] = arch->causal ? t - 1 : b->start[s];
        }
    }
    for (int32_t e = 0; e < examples; e++) {
        b->example_start[e + 1] = 2 * (e + 1);
        b->label[e] = options ? (e + seed) % 2 : golden_draw(1000 * seed + 500 + e, CLASSES);
    }
    return b;
}

/* What an engine's callbacks see: the batches take turns, and "full" is the mean of both. */
typedef struct golden_run { zo_model *model; zo_batch *batch[2]; int step; } golden_run;

static inline zo_status golden_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)err;
    golden_run *r = context;
    double part[8];
    if (which == ZO_BATCH_CURRENT) {
        zo_model_losses(r->model, view, r->batch[r->step % 2], loss);
        return ZO_OK;
    }
    ck_assert_int_le(view->npoints, 8);
    memset(loss, 0, (size_t)view->npoints * sizeof *loss);
    for (int i = 0; i < 2; i++) {
        zo_model_losses(r->model, view, r->batch[i], part);
        for (int p = 0; p < view->npoints; p++) {
            loss[p] += 0.5 * part[p];
        }
    }
    return ZO_OK;
}

static inline zo_status golden_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)err;
    (void)which;
    golden_run *r = context;
    zo_model_grad(r->model, r->batch[r->step % 2], 1.0, false, grad, loss);
    return ZO_OK;
}

static inline zo_status golden_descend(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err)
{
    (void)err;
    (void)which;
    golden_run *r = context;
    zo_model_descend(r->model, r->batch[r->step % 2], false, sink, loss);
    return ZO_OK;
}

static inline void golden_touched(void *context, zo_which which, zo_touched *touched)
{
    golden_run *r = context;
    memset(touched, 0, sizeof *touched);
    if (which == ZO_BATCH_CURRENT) {
        zo_model_touched(r->model, r->batch[r->step % 2], touched);
    }
}

static inline void golden_close(golden_run *r)
{
    zo_batch_free(r->batch[0]);
    zo_batch_free(r->batch[1]);
    zo_model_close(r->model);
}

/* Whether an estimator steps in a realisation; those on gradients alone are run once. */
static inline bool golden_steps_in(const zo_estimator *e, int realisation)
{
    return e->step != NULL && (e->allows == NULL || e->allows((zo_realisation)realisation)) && (zo_estimator_probes(e) || realisation == 0);
}

/* The weights (*size, host; zo_free gives them back) after `steps` (2 or more) with the options' defaults (but see few_queries.h), what a side path keeps beside
 * them added; loss (steps). Steps after the second may not allocate. The run is closed. NULL: what is trained has none of the layers that a set of the
 * method is of. */
static inline float *golden_steps(golden_run *r, const zo_estimator *e, int realisation, int steps, double *loss, int64_t *size)
{
    zo_err err = {0};
    zo_backend *be = zo_model_backend(r->model);
    zo_store *store = zo_model_store(r->model);
    zo_engine_spec spec = {.be = be, .weights = store, .realisation = (zo_realisation)realisation, .seed = 4,
                           .io = {.context = r, .losses = golden_losses, .gradient = golden_gradient, .descend = golden_descend, .touched = golden_touched,
                                  .most_points = 2}};
    zo_engine *engine = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(engine);
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes > 0 ? e->state_bytes : 1);
    cJSON *options = few_queries(e, NULL);
    ck_assert(e->options == NULL || zo_opt_read(e->options, options, NULL, e->name, state, &err) == ZO_OK);
    cJSON_Delete(options);
    zo_status started = e->start == NULL ? ZO_OK : e->start(state, o, &err);
    if (started == ZO_EUNSUPPORTED && strstr(err.text, "nothing that is trained here belongs to the linear layers") != NULL) {
        zo_free(state);
        zo_engine_free(engine);
        golden_close(r);
        *size = 0;
        return NULL;
    }
    ck_assert_msg(started == ZO_OK, "%s", err.text);
    for (int i = 0; i < 2; i++) {
        const zo_batch *b = r->batch[i];
        zo_model_reserve(r->model, b->tokens, b->rows, b->scores, 2, e->first_order ? ZO_BACKWARD : ZO_FORWARD_ONLY,
                         zo_engine_factors(engine));
    }
    uint64_t after_second = 0;
    for (r->step = 0; r->step < steps; r->step++) {
        zo_step_context c = {.step = r->step, .steps = steps, .batches_per_epoch = 2, .lr = e->lr, .eps = e->eps};
        zo_step_report report = {.loss = NAN};
        ck_assert_msg(e->step(state, o, &c, &report, &err) == ZO_OK, "%s", err.text);
        loss[r->step] = report.loss;
        after_second = r->step == 1 ? zo_mem_live(be->space).total_bytes : after_second;
    }
    ck_assert_uint_eq(zo_mem_live(be->space).total_bytes, after_second);
    fold_side(engine, be, store);
    *size = store->layout->size;
    float *weights = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)*size * sizeof *weights);
    zo_store_read(be, store, 0, *size, weights);
    if (e->stop != NULL) {
        e->stop(state);
    }
    zo_free(state);
    zo_engine_free(engine);
    golden_close(r);
    return weights;
}

#endif
