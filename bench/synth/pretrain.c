/* pretrain.c: masked-token pretraining of the project's own small encoders (see pretrain.h; masking.h says which tokens), no next-sentence
 * task. Places of verdicts are chosen more often than others: a minute of pretraining must do what a web's worth of text does for real models.
 * AdamW with linear warm-up and linear decay, by the usual estimator of first order over the ordinary engine. The data do not repeat: the
 * corpus has one sentence for each use. */
#include "bench/synth/pretrain.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/synth/cache.h"
#include "bench/synth/masking.h"
#include "bench/synth/shapes.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "models/model.h"
#include "optimizers/engine/engine.h"
#include "optimizers/estimator.h"
#include "tasks/task.h"
#include "text/tokenizer.h"

/* One recipe is one model. Whatever is here goes into the name of its folder in the cache. */
typedef struct recipe {
    const char *name;
    int layers, hidden, heads, ffn;
    int64_t steps, warmup;
    int batch; /* sentences */
    double init_std, lr, weight_decay, mask_rate, salient_rate;
    uint64_t seed;
} recipe;

static const recipe recipes[] = {
    {"synth-small", 3, 128, 4, 512, 2000, 100, 32, 0.06, 1e-3, 0.01, 0.12, 0.8, 1},
    {"synth-tiny", 2, 64, 2, 256, 400, 40, 32, 0.08, 3e-3, 0.01, 0.12, 0.8, 1},
};
enum { RECIPES = sizeof recipes / sizeof *recipes, POSITIONS = 2048, RECIPE_VERSION = 1 };

int zo_synth_model_count(void)
{
    return RECIPES;
}

const char *zo_synth_model_name(int i)
{
    return recipes[i].name;
}

/* ---- data --------------------------------------------------------------------------------------------------------------- */

typedef struct corpus {
    int32_t *id;    /* all sentences one after another, special tokens included */
    int64_t *start; /* (sentences + 1) */
    int64_t sentences;
    int32_t vocab, stop, question; /* "." and "?" */
    zo_special_ids special;
    int64_t longest;
} corpus;

static zo_status read_corpus(corpus *c, const recipe *r, const char *folder, zo_err *err)
{
    zo_tokenizer *tokenizer;
    zo_status status = zo_tokenizer_open(&tokenizer, folder, err);
    if (status != ZO_OK) {
        return status;
    }
    int64_t most = r->steps * r->batch;
    size_t bytes;
    char *text = zo_synth_corpus(r->seed, most, &bytes);
    c->start = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(most + 1) * sizeof *c->start);
    c->vocab = zo_tokenizer_vocab_size(tokenizer);
    c->special = zo_tokenizer_special(tokenizer);
    c->stop = zo_tokenizer_id(tokenizer, ".");
    c->question = zo_tokenizer_id(tokenizer, "?");
    zo_ids ids = {0};
    zo_lines lines = zo_lines_of(text, bytes);
    size_t length;
    for (char *line; status == ZO_OK && c->sentences < most && (line = zo_lines_next(&lines, &length)) != NULL;) {
        status = zo_tokenizer_encode(tokenizer, line, length, ZO_WITH_SPECIALS, &ids, err);
        c->start[++c->sentences] = ids.n;
        int64_t n = ids.n - c->start[c->sentences - 1];
        c->longest = n > c->longest ? n : c->longest;
    }
    c->id = ids.ids; /* owned now */
    ids.ids = NULL;
    zo_ids_free(&ids);
    zo_free(text);
    zo_tokenizer_close(tokenizer);
    ZO_CHECK(status != ZO_OK || c->sentences == most, "the synthetic corpus has %lld sentences; %lld were asked for", (long long)c->sentences,
             (long long)most);
    return status;
}

static void free_corpus(corpus *c)
{
    zo_free(c->id);
    zo_free(c->start);
}

/* ---- training ----------------------------------------------------------------------------------------------------------- */

typedef struct trainer { zo_model *model; zo_batch *batch; } trainer;

static zo_status no_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)context;
    (void)which;
    (void)view;
    (void)loss;
    return zo_fail(err, ZO_EUNSUPPORTED, "pretraining has gradients only");
}

static zo_status batch_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)which;
    (void)err;
    trainer *t = context;
    zo_model_grad(t->model, t->batch, 1.0, false, grad, loss);
    return ZO_OK;
}

static double scheduled_lr(const recipe *r, int64_t step)
{
    double up = (double)(step + 1) / (double)r->warmup, down = (double)(r->steps - step) / (double)(r->steps - r->warmup);
    return r->lr * fmin(1.0, fmin(up, down));
}

static zo_status train(const recipe *r, const corpus *c, zo_model *model, zo_pretrain_progress progress, void *context, zo_err *err)
{
    const zo_estimator *adamw = zo_estimator_usual(true);
    trainer t = {.model = model};
    zo_engine_spec spec = {.be = zo_model_backend(model),
                           .weights = zo_model_store(model),
                           .realisation = ZO_INPLACE,
                           .seed = r->seed,
                           .io = {.context = &t, .losses = no_losses, .gradient = batch_gradient, .most_points = 1}};
    zo_engine *engine = zo_engine_new(&spec);
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, adamw->state_bytes);
    cJSON *options = cJSON_CreateObject();
    cJSON_AddNumberToObject(options, "weight_decay", r->weight_decay);
    cJSON_AddNumberToObject(options, "beta2", 0.98);
    zo_status status = zo_opt_read(adamw->options, options, NULL, "pretraining", state, err);
    cJSON_Delete(options);
    if (status == ZO_OK && adamw->start != NULL) {
        status = adamw->start(state, zo_engine_objective(engine), err);
    }
    const zo_special_ids *s = &c->special;
    zo_masking masking = {r->seed, r->mask_rate, r->salient_rate, c->vocab, s->cls, s->sep, s->mask, c->stop, c->question};
    double begin = zo_now(), said = 0, loss = NAN;
    for (int64_t step = 0; step < r->steps && status == ZO_OK; step++) {
        t.batch = zo_masked_batch(&masking, c->id, c->start + step * r->batch, r->batch, step);
        zo_step_context at = {.step = step, .steps = r->steps, .lr = scheduled_lr(r, step)};
        zo_step_report report;
        status = adamw->step(state, zo_engine_objective(engine), &at, &report, err);
        zo_batch_free(t.batch);
        loss = step == 0 ? report.loss : loss + 0.05 * (report.loss - loss);
        if (progress != NULL && status == ZO_OK && (zo_now() - said > 0.5 || step + 1 == r->steps)) {
            said = zo_now();
            if (!progress(context, r->name, step + 1, r->steps, loss, said - begin)) {
                status = zo_fail(err, ZO_ETIME, "the pretraining of %s was interrupted", r->name);
            }
        }
    }
    zo_engine_settle(engine);
    if (adamw->stop != NULL) {
        adamw->stop(state);
    }
    zo_free(state);
    zo_engine_free(engine);
    return status;
}

/* ---- the folder --------------------------------------------------------------------------------------------------------- */

static zo_status describe(const recipe *r, int32_t vocab, zo_arch *arch, zo_err *err)
{
    char text[600];
    snprintf(text, sizeof text,
             "{\"model_type\": \"bert\", \"architectures\": [\"BertForMaskedLM\"], \"vocab_size\": %d, \"hidden_size\": %d, "
             "\"num_hidden_layers\": %d, \"num_attention_heads\": %d, \"intermediate_size\": %d, \"hidden_act\": \"gelu\", "
             "\"max_position_embeddings\": %d, \"type_vocab_size\": 2, \"initializer_range\": %g, \"layer_norm_eps\": 1e-12, "
             "\"pad_token_id\": 0}",
             vocab, r->hidden, r->layers, r->heads, r->ffn, POSITIONS, r->init_std);
    cJSON *json = cJSON_Parse(text);
    zo_status status = zo_arch_parse(json, r->name, arch, err);
    cJSON_Delete(json);
    return status;
}

static zo_status make_model(const recipe *r, const char *folder, zo_pretrain_progress progress, void *context, zo_err *err)
{
    corpus c = {.id = NULL};
    zo_arch arch;
    zo_backend *be = NULL;
    zo_model *model = NULL;
    zo_status status = zo_synth_write_tokenizer(folder, err);
    status = status == ZO_OK ? read_corpus(&c, r, folder, err) : status;
    status = status == ZO_OK ? describe(r, c.vocab, &arch, err) : status;
    status = status == ZO_OK ? zo_backend_open("cpu", 0, &be, err) : status;
    if (status == ZO_OK) {
        zo_model_spec spec = {.arch = &arch, .random = true, .seed = r->seed, .head = ZO_HEAD_SPAN};
        status = zo_model_open(&model, &spec, be, err);
    }
    if (status == ZO_OK) {
        int64_t tokens = c.longest * r->batch;
        zo_model_reserve(model, tokens, (int32_t)tokens, (int32_t)tokens, 1, ZO_BACKWARD, NULL);
        status = train(r, &c, model, progress, context, err);
    }
    status = status == ZO_OK ? zo_model_save(model, folder, err) : status;
    zo_model_close(model);
    if (be != NULL) {
        be->close(be);
    }
    free_corpus(&c);
    return status;
}

/* Where a synthetic model lies in the cache, made or not. */
static zo_status place_synth(const recipe *r, char folder[4096], zo_err *err)
{
    char text[400];
    snprintf(text, sizeof text, "%d %s %d %d %d %d %lld %lld %d %.17g %.17g %.17g %.17g %.17g %llu", RECIPE_VERSION, r->name, r->layers, r->hidden,
             r->heads, r->ffn, (long long)r->steps, (long long)r->warmup, r->batch, r->init_std, r->lr, r->weight_decay, r->mask_rate,
             r->salient_rate, (unsigned long long)r->seed);
    return zo_cache_place(r->name, text, folder, err);
}

typedef struct making { const recipe *recipe; zo_pretrain_progress progress; void *context; } making;

static zo_status make_folder(const char *folder, void *context, zo_err *err)
{
    making *m = context;
    return make_model(m->recipe, folder, m->progress, m->context, err);
}

static zo_status synth_folder(const recipe *r, zo_pretrain_progress progress, void *context, char folder[4096], zo_err *err)
{
    making m = {r, progress, context};
    zo_status status = place_synth(r, folder, err);
    return status == ZO_OK ? zo_cache_make(folder, make_folder, &m, err) : status;
}

static const recipe *find_recipe(const char *name)
{
    for (int i = 0; i < RECIPES; i++) {
        if (strcmp(recipes[i].name, name) == 0) {
            return &recipes[i];
        }
    }
    return NULL;
}

bool zo_model_is_unmade(const char *name)
{
    const recipe *r = find_recipe(name);
    char folder[4096];
    return r != NULL && place_synth(r, folder, NULL) == ZO_OK && !zo_cache_is_whole(folder);
}

zo_status zo_model_find(const char *name, const char *models_dir, char folder[4096], zo_err *err)
{
    const recipe *r = find_recipe(name);
    if (r == NULL) {
        return zo_shape_is(name) ? zo_shape_folder(name, folder, err) : zo_hub_find(name, models_dir, folder, err);
    }
    zo_status status = place_synth(r, folder, err);
    if (status == ZO_OK && !zo_cache_is_whole(folder)) {
        status = zo_fail(err, ZO_EINPUT, "%s is not made yet (%s is not there or not whole); `zo run` on a config with \"model\": \"%s\" makes it", name,
                         folder, name);
    }
    return status;
}

zo_status zo_model_folder(const char *name, const char *models_dir, zo_pretrain_progress progress, void *context, char folder[4096],
                          zo_err *err)
{
    const recipe *r = find_recipe(name);
    return r != NULL ? synth_folder(r, progress, context, folder, err) : zo_model_find(name, models_dir, folder, err);
}
