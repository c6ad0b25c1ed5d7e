/* descend.h: fo-sgd in mode `inplace` beside the same steps with stored gradients, on the small models of tests/golden and any backend. Test code only. */
#ifndef ZO_TESTS_DESCEND_H
#define ZO_TESTS_DESCEND_H

#include <cjson/cJSON.h>

#include "tests/golden_models.h"
#include "tests/suite.h"

/* Every family, and views that end the backward pass early, or have two tables or an adapter. */
static const struct { int family; const char *tune; } descents[] = {
    {0, "full"}, {1, "full"}, {2, "full"}, {3, "full"}, {4, "full"}, {5, "full"}, {6, "full"}, {7, "full"}, {8, "full"}, {9, "full"},
    {BERT, "bias"}, {BERT, "head"}, {LLAMA, "last layers 1"}, {GPT2, "pattern on layer.1.mlp.up.*,layer.0.attn.v.*,embed.position"},
    {BERT, "prefix tokens 3 init activations"}, {LLAMA, "prefix tokens 4 init activations"}, {GPT2, "lora rank 2 on o,up"}, {LLAMA, "lora rank 2 on q,v,gate"},
    {ALBERT, "pattern on layer.0.mlp.up.*,layer.0.attn.v.*"}, {ALBERT, "prefix tokens 3 init activations"}, {ALBERT, "lora rank 2 on q,v,o"}};
enum { DESCENTS = sizeof descents / sizeof *descents, DESCENT_STEPS = 6, DESCENT_PARAMS = 256 };

/* A run, and a sink between the model and the engine's that counts what is taken. */
typedef struct descent_run {
    golden_run golden;
    const zo_objective *o;
    zo_sink sink, *of_engine;
    int taken[DESCENT_PARAMS];
} descent_run;

static inline void descent_take(zo_sink *sink, int param)
{
    descent_run *r = (descent_run *)((char *)sink - offsetof(descent_run, sink));
    r->taken[param]++;
    r->of_engine->take(r->of_engine, param);
}

static inline zo_status descent_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)which, (void)err;
    descent_run *r = context;
    zo_model_grad(r->golden.model, r->golden.batch[r->golden.step % 2], 1.0, r->o->checkpoint, grad, loss);
    return ZO_OK;
}

static inline zo_status descent_descend(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err)
{
    (void)which, (void)err;
    descent_run *r = context;
    r->of_engine = sink;
    r->sink = (zo_sink){.room = sink->room, .take = descent_take};
    zo_model_descend(r->golden.model, r->golden.batch[r->golden.step % 2], r->o->checkpoint, &r->sink, loss);
    return ZO_OK;
}

/* Weights (size) of the end, host; loss (DESCENT_STEPS); bytes of gradients that the run took. The caller frees the weights. */
static inline float *descent_of(zo_backend *be, int at, bool second, const char *options, double *loss, uint64_t *bytes, int64_t *size)
{
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    int family = descents[at].family;
    bool choices = second && causal(family);
    zo_err err = {0};
    zo_tune tune;
    ck_assert_msg(zo_tune_parse(descents[at].tune, "test", &tune, &err) == ZO_OK, "%s", err.text);
    descent_run r = {.golden = {.model = golden_model_of(be, family, second, ZO_F32, ZO_STORAGE_F32, &tune)}};
    const zo_layout *layout = zo_model_layout(r.golden.model);
    zo_store *store = zo_model_store(r.golden.model);
    ck_assert_int_le(layout->n, DESCENT_PARAMS);
    for (int i = 0; i < 2; i++) {
        r.golden.batch[i] = golden_batch(zo_model_arch(r.golden.model), choices, choices ? 6 : 4, length, 2 + i);
    }
    zo_engine_spec spec = {.be = be, .weights = store, .realisation = ZO_INPLACE, .seed = 4,
                           .io = {.context = &r, .losses = golden_losses, .gradient = descent_gradient, .descend = descent_descend, .most_points = 1}};
    zo_engine *engine = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(engine);
    r.o = o;
    const zo_estimator *e = zo_estimator_find("fo-sgd");
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    cJSON *object = cJSON_Parse(options);
    ck_assert_msg(zo_opt_read(e->options, object, NULL, e->name, state, &err) == ZO_OK && e->start(state, o, &err) == ZO_OK, "%s", err.text);
    cJSON_Delete(object);
    const zo_batch *b = r.golden.batch[0];
    zo_model_reserve(r.golden.model, b->tokens, b->rows, b->scores, 1, o->checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
    bool inplace = strstr(options, "inplace") != NULL;
    uint64_t before = zo_mem_live(be->space).tag_bytes[ZO_TAG_GRADS];
    for (r.golden.step = 0; r.golden.step < DESCENT_STEPS; r.golden.step++) {
        zo_step_context c = {.step = r.golden.step, .steps = DESCENT_STEPS, .batches_per_epoch = 2, .lr = 0.05};
        zo_step_report report;
        memset(r.taken, 0, sizeof r.taken);
        ck_assert_msg(e->step(state, o, &c, &report, &err) == ZO_OK, "%s", err.text);
        loss[r.golden.step] = report.loss;
        for (int t = 0; t < layout->n && inplace; t++) {
            ck_assert_msg(r.taken[t] == !layout->param[t].frozen, "%s, %s: the gradient of %s is taken %d times", families[family], descents[at].tune,
                          layout->param[t].name, r.taken[t]);
        }
    }
    *bytes = zo_mem_live(be->space).tag_bytes[ZO_TAG_GRADS] - before;
    *size = layout->size;
    ck_assert_uint_eq(*bytes, (uint64_t)(inplace ? zo_gradient_places(layout, NULL) : layout->trained_size) * sizeof(float));
    zo_engine_settle(engine);
    float *weights = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->size * sizeof *weights);
    zo_store_read(be, store, 0, layout->size, weights);
    zo_free(state);
    zo_engine_free(engine);
    golden_close(&r.golden);
    return weights;
}

/* The same weights and losses to the bit, with both heads, blocks kept and run again, weight decay and momentum; and each parameter moves once a step. */
static inline void descents_agree(zo_backend *be, int at)
{
    static const char *const options[] = {"\"weight_decay\": 0.1", "\"checkpoint\": true", "\"momentum\": 0.9, \"weight_decay\": 0.1"};
    uint64_t most[2] = {0, 0};
    for (int way = 0; way < 2 * 3; way++) {
        double loss[2][DESCENT_STEPS];
        float *weights[2];
        int64_t size = 0;
        for (int inplace = 0; inplace < 2; inplace++) {
            char text[200];
            uint64_t bytes;
            snprintf(text, sizeof text, "{%s, \"mode\": \"%s\"}", options[way / 2], inplace ? "inplace" : "stored");
            weights[inplace] = descent_of(be, at, way % 2, text, loss[inplace], &bytes, &size);
            most[inplace] = bytes > most[inplace] ? bytes : most[inplace];
        }
        const char *what = options[way / 2];
        ck_assert_msg(memcmp(loss[0], loss[1], sizeof loss[0]) == 0, "%s, %s, %s: other losses", families[descents[at].family], descents[at].tune, what);
        ck_assert_msg(memcmp(weights[0], weights[1], (size_t)size * sizeof **weights) == 0, "%s, %s, %s: other weights", families[descents[at].family],
                      descents[at].tune, what);
        ck_assert_msg(loss[0][DESCENT_STEPS - 1] != loss[0][1], "%s, %s: nothing moved", families[descents[at].family], descents[at].tune);
        zo_free(weights[0]);
        zo_free(weights[1]);
    }
    ck_assert(most[1] < most[0] || strcmp(descents[at].tune, "full") != 0);
    printf("measured: %s, %s: gradients take %llu bytes stored, %llu in place; weights and losses of %d steps are the same bits\n", families[descents[at].family],
           descents[at].tune, (unsigned long long)most[0], (unsigned long long)most[1], DESCENT_STEPS);
}

#endif
