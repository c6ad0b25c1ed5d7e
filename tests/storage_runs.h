/* storage_runs.h: small models of tests/golden with weights held in any type, and short runs of an optimizer on them, on any backend. For
 * tests/backends/test_storage.c and tests/backends/test_cuda_storage.c. */
#ifndef ZO_TESTS_STORAGE_RUNS_H
#define ZO_TESTS_STORAGE_RUNS_H

#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/golden_models.h"

static zo_err storage_err;

static const int held_family[] = {BERT, GPT2, OPT, LLAMA};
enum { HELD_FAMILIES = sizeof held_family / sizeof held_family[0] };

/* tune: the text of a view; NULL = full. */
static inline zo_model *model_of(zo_backend *be, int family, zo_storage storage, zo_precision precision, const char *tune)
{
    zo_tune view;
    ck_assert_msg(zo_tune_parse(tune != NULL ? tune : "full", "test", &view, &storage_err) == ZO_OK, "%s", storage_err.text);
    return golden_model_of(be, family, causal(family), precision, storage, &view);
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

/* Two examples: of one sequence each, or of a prompt and two options. */
static inline zo_batch *batch_of(const zo_model *model, int seed)
{
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    const zo_arch *arch = zo_model_arch(model);
    return golden_batch(arch, arch->causal, arch->causal ? 6 : 2, length, seed);
}

enum { STEPS = 50 };

typedef struct setting {
    const char *optimizer, *options, *tune;
    int family;
    zo_precision precision;
    zo_realisation realisation;
    zo_storage storage;      /* of the weights, */
    zo_storage rounded;      /* which begin as numbers of this type */
    zo_accumulate accumulate;
    double lr;
    int steps;
    bool no_gradients;       /* the run has none to give */
} setting;

typedef struct result {
    double loss[STEPS], settled; /* of each step, and of the point where the run ends */
    float *weights, *before;     /* (size) host: what is stored at the end, and at the beginning */
    int64_t size, moved;         /* of how many elements differ from the beginning */
    uint64_t sets[ZO_TAGS];      /* bytes that the run has beside the model and its passes, by tag */
    zo_status status;
} result;

static inline result run_of(zo_backend *be, const setting *s)
{
    result out = {.status = ZO_OK};
    golden_run r = {.model = model_of(be, s->family, s->storage, s->precision, s->tune)};
    zo_peak begun = zo_mem_live(be->space);
    zo_store *store = zo_model_store(r.model);
    if (s->storage == ZO_STORAGE_F32 && s->rounded != ZO_STORAGE_F32) {
        round_weights(r.model, s->rounded);
    }
    for (int i = 0; i < 2; i++) {
        r.batch[i] = batch_of(r.model, 2 + i);
    }
    out.size = store->layout->size;
    out.before = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)out.size * sizeof *out.before);
    out.weights = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)out.size * sizeof *out.weights);
    zo_store_read(be, store, 0, out.size, out.before);
    zo_engine_spec spec = {.be = be, .weights = store, .realisation = s->realisation, .accumulate = s->accumulate, .seed = 4,
                           .io = {.context = &r, .losses = golden_losses, .gradient = s->no_gradients ? NULL : golden_gradient, .descend = golden_descend, .touched = golden_touched, .most_points = 2}};
    zo_engine *engine = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(engine);
    const zo_estimator *e = zo_estimator_find(s->optimizer);
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    cJSON *options = few_queries(e, s->options != NULL ? cJSON_Parse(s->options) : NULL);
    ck_assert_msg(e->options == NULL || zo_opt_read(e->options, options, NULL, e->name, state, &storage_err) == ZO_OK, "%s", storage_err.text);
    cJSON_Delete(options);
    out.status = e->start != NULL ? e->start(state, o, &storage_err) : ZO_OK;
    zo_model_reserve(r.model, r.batch[0]->tokens, r.batch[0]->rows, r.batch[0]->scores, 2, e->first_order ? ZO_BACKWARD : ZO_FORWARD_ONLY, zo_engine_factors(engine));
    for (r.step = 0; r.step < s->steps && out.status == ZO_OK; r.step++) {
        zo_step_context c = {.step = r.step, .steps = s->steps, .batches_per_epoch = 2, .lr = s->lr, .eps = 1e-3};
        zo_step_report report = {.loss = NAN};
        out.status = e->step(state, o, &c, &report, &storage_err);
        out.loss[r.step % STEPS] = report.loss;
    }
    if (out.status == ZO_OK) {
        r.step = 0;
        ck_assert_int_eq(golden_losses(&r, ZO_BATCH_FULL, zo_engine_settle(engine), &out.settled, &storage_err), ZO_OK);
    }
    zo_store_read(be, store, 0, out.size, out.weights);
    for (int64_t i = 0; i < out.size; i++) {
        out.moved += out.weights[i] != out.before[i];
    }
    zo_peak live = zo_mem_live(be->space);
    for (int t = 0; t < ZO_TAGS; t++) {
        out.sets[t] = live.tag_bytes[t] - begun.tag_bytes[t];
    }
    if (e->stop != NULL) {
        e->stop(state);
    }
    zo_free(state);
    zo_engine_free(engine);
    golden_close(&r);
    return out;
}

#endif
