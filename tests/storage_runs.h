/* storage_runs.h: small models of tests/golden with weights held in any type, and short runs of an optimizer on them, on any backend. For
 * tests/test_storage.c and tests/test_cuda_storage.c. */
#ifndef ZO_TESTS_STORAGE_RUNS_H
#define ZO_TESTS_STORAGE_RUNS_H

#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/rng.h"
#include "models/model.h"
#include "optimizers/engine.h"

static zo_err storage_err;

static const char *const families[] = {"bert", "gpt2", "opt", "llama"};
enum { FAMILIES = sizeof families / sizeof families[0], BERT = 0, LLAMA = 3, CLASSES = 3 };

static inline zo_model *model_of(zo_backend *be, int family, zo_storage storage, zo_precision precision)
{
    char folder[128];
    snprintf(folder, sizeof folder, "tests/golden/models/%s", families[family]);
    zo_model_spec spec = {.folder = folder, .head = family == BERT ? ZO_HEAD_CLASS : ZO_HEAD_OPTIONS, .classes = family == BERT ? CLASSES : 0,
                          .seed = 5, .precision = precision, .storage = storage};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &storage_err) == ZO_OK, "%s", storage_err.text);
    return model;
}

/* The weights of a model as `storage` would hold them, in f32. */
static inline void round_weights(zo_model *model, zo_storage storage)
{
    zo_backend *be = zo_model_backend(model);
    zo_store *store = zo_model_store(model);
    int64_t n = store->layout->size;
    float *x = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *x);
    zo_store_read(be, store, 0, n, x);
    for (int64_t i = 0; i < n; i++) {
        x[i] = zo_storage_round(storage, x[i]);
    }
    zo_store_write(be, store, 0, n, x);
    zo_free(x);
}

static inline int32_t *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof(int32_t));
}

/* Two examples: of one sequence each, or of a prompt and two options that share it, every token of an option scored. */
static inline zo_batch *batch_of(const zo_model *model, int seed)
{
    const zo_arch *arch = zo_model_arch(model);
    bool options = arch->causal;
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    int32_t seqs = options ? 6 : 2, tokens = 0, scores = 0;
    for (int32_t s = 0; s < seqs; s++) {
        tokens += length[s];
        scores += options && s % 3 > 0 ? length[s] : 0;
    }
    int32_t rows = options ? scores : seqs, t = 0, i = 0, option = 0;
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = 2, .tokens = tokens, .id = ints(tokens), .position = ints(tokens), .type = ints(tokens), .seqs = seqs,
                    .start = ints(seqs + 1), .parent = ints(seqs), .rows = rows, .row = ints(rows), .scores = scores, .at = ints(rows),
                    .target = ints(rows), .options = options ? 4 : 0, .option_start = ints(5), .example_start = ints(3), .label = ints(2)};
    for (int32_t s = 0; s < seqs; s++) {
        bool child = options && s % 3 > 0;
        int32_t prompt = s / 3 * 3;
        b->parent[s] = child ? prompt : -1;
        for (int32_t k = 0; k < length[s]; k++, t++) {
            b->id[t] = (int32_t)zo_below((zo_stream){.seed = 91, .role = ZO_ROLE_DATA}, (uint64_t)(1000 * seed + t), (uint32_t)arch->vocab);
            b->position[t] = k + (child ? length[prompt] : 0);
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
            b->row[s] = b->start[s];
        }
    }
    b->example_start[1] = 2;
    b->example_start[2] = 4;
    b->label[1] = 1;
    return b;
}

enum { STEPS = 50 };

typedef struct run { zo_model *model; zo_batch *batch[2]; int step; } run;

static inline zo_status run_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *e)
{
    (void)e;
    run *r = context;
    double part[2][8];
    for (int i = 0; i < 2; i++) {
        if (which == ZO_BATCH_FULL || i == r->step % 2) {
            zo_model_losses(r->model, view, r->batch[i], part[i]);
        }
    }
    for (int p = 0; p < view->npoints; p++) {
        loss[p] = which == ZO_BATCH_FULL ? 0.5 * (part[0][p] + part[1][p]) : part[r->step % 2][p];
    }
    return ZO_OK;
}

static inline void run_touched(void *context, zo_which which, zo_touched *touched)
{
    run *r = context;
    memset(touched, 0, sizeof *touched);
    if (which == ZO_BATCH_CURRENT) {
        zo_model_touched(r->model, r->batch[r->step % 2], touched);
    }
}

typedef struct setting {
    const char *optimizer, *options;
    int family;
    zo_precision precision;
    zo_realisation realisation;
    zo_storage storage;      /* of the weights, */
    zo_storage rounded;      /* which begin as numbers of this type */
    zo_accumulate accumulate;
    double lr;
    int steps;
} setting;

typedef struct result {
    double loss[STEPS], settled; /* of each step, and of the point where the run ends */
    float *weights;              /* (size) host: what is stored at the end */
    int64_t size, moved;         /* of how many elements differ from the beginning */
    zo_status status;
} result;

static inline result run_of(zo_backend *be, const setting *s)
{
    result out = {.status = ZO_OK};
    run r = {.model = model_of(be, s->family, s->storage, s->precision)};
    zo_store *store = zo_model_store(r.model);
    if (s->storage == ZO_STORAGE_F32 && s->rounded != ZO_STORAGE_F32) {
        round_weights(r.model, s->rounded);
    }
    for (int i = 0; i < 2; i++) {
        r.batch[i] = batch_of(r.model, 2 + i);
    }
    out.size = store->layout->size;
    float *before = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)out.size * sizeof *before);
    out.weights = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)out.size * sizeof *before);
    zo_store_read(be, store, 0, out.size, before);
    zo_engine_spec spec = {.be = be, .weights = store, .realisation = s->realisation, .accumulate = s->accumulate, .seed = 4,
                           .io = {.context = &r, .losses = run_losses, .touched = run_touched, .most_points = 2}};
    zo_engine *engine = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(engine);
    const zo_estimator *e = zo_estimator_find(s->optimizer);
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    cJSON *options = s->options != NULL ? cJSON_Parse(s->options) : NULL;
    ck_assert_msg(e->options == NULL || zo_opt_read(e->options, options, NULL, e->name, state, &storage_err) == ZO_OK, "%s", storage_err.text);
    cJSON_Delete(options);
    ck_assert(e->start == NULL || e->start(state, o, &storage_err) == ZO_OK);
    zo_model_reserve(r.model, r.batch[0]->tokens, r.batch[0]->rows, r.batch[0]->scores, 2, ZO_FORWARD_ONLY, zo_engine_factors(engine));
    for (r.step = 0; r.step < s->steps && out.status == ZO_OK; r.step++) {
        zo_step_context c = {.step = r.step, .steps = s->steps, .batches_per_epoch = 2, .lr = s->lr, .eps = 1e-3};
        zo_step_report report = {.loss = NAN};
        out.status = e->step(state, o, &c, &report, &storage_err);
        out.loss[r.step % STEPS] = report.loss;
    }
    if (out.status == ZO_OK) {
        r.step = 0;
        ck_assert_int_eq(run_losses(&r, ZO_BATCH_FULL, zo_engine_settle(engine), &out.settled, &storage_err), ZO_OK);
    }
    zo_store_read(be, store, 0, out.size, out.weights);
    for (int64_t i = 0; i < out.size; i++) {
        out.moved += out.weights[i] != before[i];
    }
    if (e->stop != NULL) {
        e->stop(state);
    }
    zo_free(state);
    zo_free(before);
    zo_engine_free(engine);
    zo_batch_free(r.batch[0]);
    zo_batch_free(r.batch[1]);
    zo_model_close(r.model);
    return out;
}

#endif
