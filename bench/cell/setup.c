/* setup.c: opening and closing a cell: see setup.h. */
#include "bench/cell/setup.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/answers.h"
#include "bench/cell/objective.h"
#include "bench/cell/probe.h"
#include "bench/cell/room.h"
#include "bench/synth/pretrain.h"
#include "bench/synth/shapes.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "optimizers/needs.h"
#include "text/tokenizer.h"

/* What the row says beside its figures; sentences stand behind each other. */
__attribute__((format(printf, 2, 3))) static void add_note(zo_setup *s, const char *format, ...)
{
    size_t at = strlen(s->note);
    va_list words;
    if (at > 0) {
        at += (size_t)snprintf(s->note + at, sizeof s->note - at, "; ");
    }
    va_start(words, format);
    if (at < sizeof s->note) {
        vsnprintf(s->note + at, sizeof s->note - at, format, words);
    }
    va_end(words);
}

static zo_needs needs_of(const zo_setup *s)
{
    static const zo_layout none;
    const zo_cell *c = s->cell;
    zo_extent extent = {.layout = &none, .realisation = (zo_realisation)c->realisation, .steps = c->steps};
    zo_needs needs;
    zo_err err = {0};
    zo_status status = zo_needs_of(c->estimator, c->options, &extent, &needs, &err);
    ZO_CHECK(status == ZO_OK, "options of a cell that has been read: %s", err.text);
    return needs;
}

const char *zo_setup_data_dir(const zo_setup_dirs *dirs)
{
    return dirs->data != NULL ? dirs->data : getenv("ZO_DATA");
}

zo_dataset_spec zo_setup_dataset_spec(const zo_cell *c, const zo_setup_dirs *dirs)
{
    return (zo_dataset_spec){.task = c->task,
                             .form = (zo_form)c->form,
                             .data_dir = zo_setup_data_dir(dirs),
                             .context = c->context,
                             .fill = c->fill,
                             .scheme = (zo_split_scheme)c->split,
                             .train_split_seed = (uint64_t)c->train_split_seed,
                             .test_split_seed = (uint64_t)c->test_split_seed,
                             .k = c->k,
                             .kshot_folder = c->kshot_folder,
                             .demonstrations = c->demonstrations,
                             .demonstrate_once = c->demonstration_sets == 1,
                             .calibration = (zo_calibration)c->calibration,
                             .identify = dirs->samples,
                             .evaluate_only = !zo_estimator_trains(c->estimator),
                             .writes_train = c->objective == ZO_AIM_F1,
                             .count = {[ZO_TRAIN] = c->train, [ZO_DEV] = c->dev, [ZO_TEST] = c->test}};
}

zo_status zo_setup_tokenizer(const zo_cell *c, const zo_arch *arch, const char *folder, zo_tokenizer **tokenizer, int64_t *context, zo_err *err)
{
    if (c->context > arch->positions) {
        return zo_fail(err, ZO_EINPUT, "a \"context\" of %lld tokens is longer than the %d positions of %s; lower it", (long long)c->context,
                       arch->positions, c->model);
    }
    *context = c->context > 0 ? c->context : arch->positions;
    zo_status status = zo_tokenizer_open(tokenizer, folder, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_tokenizer_set_rows(*tokenizer, arch->vocab, err);
    if (status != ZO_OK) {
        zo_tokenizer_close(*tokenizer);
        return zo_fail_in(err, folder);
    }
    if (strcmp(arch->family, "opt") == 0 && c->form == ZO_FORM_PROMPT) {
        zo_tokenizer_set_bos(*tokenizer, 0); /* MeZO's code sets bos_token_id = 0, so prompts begin with <s> where OPT's files say </s> */
    }
    return ZO_OK;
}

static zo_status open_dataset(zo_setup *s, const zo_setup_dirs *dirs, const zo_arch *arch, zo_err *err)
{
    const zo_cell *c = s->cell;
    zo_tokenizer *tokenizer;
    zo_status status = zo_setup_tokenizer(c, arch, s->folder, &tokenizer, &s->context, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_dataset_spec spec = zo_setup_dataset_spec(c, dirs);
    spec.tokenizer = tokenizer;
    spec.causal = arch->causal;
    spec.context = s->context;
    status = zo_dataset_open(&s->dataset, &spec, err);
    zo_tokenizer_close(tokenizer);
    if (status != ZO_OK) {
        return status;
    }
    s->train_size = zo_dataset_size(s->dataset, ZO_TRAIN);
    s->batch_size = c->batch < s->train_size ? c->batch : s->train_size;
    if (zo_estimator_trains(c->estimator) && s->train_size == 0) {
        return zo_fail(err, ZO_EINPUT, "%s trains, and task %s has no training examples in this split; raise \"train\"", c->estimator->name, c->task);
    }
    return ZO_OK;
}

static zo_status open_model(zo_setup *s, const zo_arch *arch, zo_err *err)
{
    const zo_cell *c = s->cell;
    zo_tune tune;
    zo_status status = zo_tune_parse(c->tune, c->model, &tune, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_model_spec spec = {.folder = s->folder,
                          .arch = arch,
                          .random = c->init == ZO_INIT_RANDOM,
                          .seed = (uint64_t)c->seed,
                          .head = zo_dataset_head(s->dataset),
                          .classes = zo_dataset_classes(s->dataset),
                          .word = zo_dataset_words(s->dataset),
                          .precision = (zo_precision)c->precision,
                          .storage = (zo_storage)c->storage,
                          .decoder = (zo_decoder)c->decoder,
                          .tune = &tune};
    return zo_model_open(&s->model, &spec, s->be, err);
}

/* Matrices that are held as codes are never written. */
static zo_status check_codes(const zo_setup *s, zo_err *err)
{
    const zo_cell *c = s->cell;
    const zo_layout *layout = zo_model_layout(s->model);
    bool beside = c->realisation == ZO_SIDEPATH && c->accumulate == ZO_ACCUMULATE_LOG;
    for (int t = 0; t < layout->n && c->estimator->step != NULL && !beside; t++) {
        if (layout->param[t].bits > 0 && !layout->param[t].frozen) {
            return zo_fail(err, ZO_EINPUT, "\"tune\" \"%s\" trains %s, which \"quantised\" holds as codes that no step writes; train \"scales\", or what stands "
                           "beside them (\"lora\", \"prefix\", \"side\", \"head\", \"bias\"), or say \"realisation\": \"sidepath\" and \"accumulate\": \"log\"", c->tune,
                           layout->param[t].name);
        }
    }
    for (int t = 0; t < layout->n && c->estimator->first_order; t++) {
        if (layout->param[t].kind == ZO_PARAM_SCALES && !layout->param[t].frozen) {
            return zo_fail(err, ZO_EINPUT, "\"tune\" \"%s\" trains %s, of which no gradient is made, and %s steps along gradients; use a zeroth-order method, or train "
                           "what stands beside codes (\"lora\", \"prefix\", \"side\", \"head\", \"bias\")", c->tune, layout->param[t].name, c->estimator->name);
        }
    }
    return ZO_OK;
}

/* Which training rows are of a pool. */
static zo_status open_pool(zo_setup *s, zo_setup_pool *pool, zo_err *err)
{
    const zo_pool *of = &pool->of;
    int64_t wish = of->batch > 0 ? of->batch : s->cell->batch, least = INT64_MAX;
    bool all = of->above == 0 && of->most == 0;
    pool->row = all ? NULL : zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)s->train_size * sizeof *pool->row);
    pool->rows = all ? s->train_size : 0;
    for (int32_t i = 0; i < s->train_size && !all; i++) {
        int64_t tokens = zo_dataset_tokens(s->dataset, ZO_TRAIN, i);
        least = tokens < least ? tokens : least;
        if (tokens > of->above && (of->most == 0 || tokens <= of->most)) {
            pool->row[pool->rows++] = i;
        }
    }
    if (pool->rows == 0 && of->or_all) {
        add_note(s, "no training row has more than %lld tokens, so the batches that \"%s\" is about are of all rows", (long long)of->above, of->key);
        zo_free(pool->row);
        pool->row = NULL;
        pool->rows = s->train_size;
    } else if (pool->rows == 0) {
        return zo_fail(err, ZO_EINPUT, "%s steps along training rows of %s %lld tokens, and of the %lld rows of %s none is so: they have %lld to %lld tokens; give "
                       "another \"%s\"", s->cell->estimator->name, of->most > 0 ? "at most" : "more than", (long long)(of->most > 0 ? of->most : of->above),
                       (long long)s->train_size, s->cell->task, (long long)least, (long long)zo_dataset_longest(s->dataset, ZO_TRAIN), of->key);
    }
    if (pool->row != NULL) {
        pool->row = zo_realloc(pool->row, ZO_HOST, ZO_TAG_DATA, (size_t)pool->rows * sizeof *pool->row);
    }
    pool->batch = wish < pool->rows ? wish : pool->rows;
    return ZO_OK;
}

/* Of one that asks for no rows by their length all are one pool. */
static zo_status open_pools(zo_setup *s, zo_err *err)
{
    const zo_needs *needs = &s->needs;
    zo_status status = ZO_OK;
    int64_t most = s->batch_size;
    s->pools = needs->pools > 0 ? needs->pools : 1;
    s->step_batches = needs->batches > s->pools ? needs->batches : s->pools;
    for (int p = 0; p < s->pools && status == ZO_OK && zo_estimator_trains(s->cell->estimator); p++) {
        zo_setup_pool *pool = &s->pool[p];
        *pool = (zo_setup_pool){.of = needs->pools > 0 ? needs->pool[p] : (zo_pool){.gradient = needs->gradient}, .order = {.number = (uint32_t)p}};
        status = open_pool(s, pool, err);
        most = pool->batch > most ? pool->batch : most;
    }
    s->most_rows = most;
    s->index = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)most * sizeof *s->index);
    return status;
}

static zo_status open_estimator(zo_setup *s, zo_err *err)
{
    const zo_cell *c = s->cell;
    const zo_estimator *e = c->estimator;
    if (check_codes(s, err) != ZO_OK) {
        return ZO_EINPUT;
    }
    s->needs = needs_of(s);
    s->points = zo_points_a_pass(e, &s->needs, (zo_realisation)c->realisation);
    zo_engine_spec spec = {.be = s->be,
                           .weights = zo_model_store(s->model),
                           .realisation = (zo_realisation)c->realisation,
                           .accumulate = (zo_accumulate)c->accumulate,
                           .seed = (uint64_t)c->seed,
                           .io = zo_setup_io(s)};
    s->engine = zo_engine_new(&spec);
    s->state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes > 0 ? e->state_bytes : 1);
    zo_status status = e->options != NULL ? zo_opt_read(e->options, c->options, NULL, e->name, s->state, err) : ZO_OK;
    if (status == ZO_OK && e->start != NULL) {
        *err = (zo_err){.status = ZO_OK};
        status = e->start(s->state, zo_engine_objective(s->engine), err);
        zo_setup_reason(e, "start", status, err);
        s->started = true;
    }
    return status;
}

/* Room for the choices that an objective is made of. */
static zo_status open_metrics(zo_setup *s, zo_err *err)
{
    const zo_cell *c = s->cell;
    if (c->objective == ZO_AIM_LOSS) {
        return ZO_OK;
    }
    if (zo_dataset_scores(s->dataset)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s has scores, and an objective of choices knows classes alone: give \"objective\": \"loss\"", c->task);
    }
    bool writes = zo_dataset_answer_tokens(s->dataset) > 0;
    if (writes && c->objective == ZO_AIM_F1) {
        s->answers.tokenizer = zo_answers_tokenizer(s);
        return ZO_OK;
    }
    if (writes) {
        return zo_fail(err, ZO_EUNSUPPORTED, "the model writes the answers of %s and chooses among nothing: give \"objective\": \"f1\", of the words it writes, or \"loss\"", c->task);
    }
    if (zo_dataset_head(s->dataset) == ZO_HEAD_SPAN) {
        return zo_fail(err, ZO_EUNSUPPORTED, "training batches of %s hold the right option alone, so nothing is chosen there: give \"objective\": \"loss\"", c->task);
    }
    size_t points = (size_t)s->points, batch = (size_t)s->most_rows, room = c->estimator->full_batch ? (size_t)s->train_size : batch;
    s->chosen.room = (int64_t)room;
    s->chosen.choice = zo_alloc(ZO_HOST, ZO_TAG_DATA, points * room * sizeof *s->chosen.choice);
    s->chosen.label = zo_alloc(ZO_HOST, ZO_TAG_DATA, room * sizeof *s->chosen.label);
    s->chosen.part = zo_alloc(ZO_HOST, ZO_TAG_DATA, points * batch * sizeof *s->chosen.part);
    s->chosen.nll = zo_alloc(ZO_HOST, ZO_TAG_DATA, points * batch * sizeof *s->chosen.nll);
    return ZO_OK;
}

/* An eps with which nothing is probed. It is refused where no product with a direction is a normal number, and said where the sum with
 * a weight is nearly always the weight: a probe is then rounding, and its projected gradient 0 or noise. */
static void note_eps(zo_setup *s)
{
    const zo_cell *c = s->cell;
    if (!zo_estimator_probes(c->estimator)) {
        return;
    }
    zo_storage type = c->realisation == ZO_INPLACE ? (zo_storage)c->storage : ZO_STORAGE_F32;
    double moved = zo_probe_moved(s->be, zo_model_store(s->model), (uint64_t)c->seed, c->eps, type,
                                  c->realisation == ZO_SIDEPATH ? ZO_F32 : (zo_precision)c->precision);
    if (moved < 0.05) {
        bool by_storage = type != ZO_STORAGE_F32;
        add_note(s, "eps %g is lost in the rounding of weights to %s: a probe changes %.2g %% of the matrices' numbers, so projected gradients are 0 or noise",
                 c->eps, by_storage ? zo_storage_name(type) : zo_precision_name((zo_precision)c->precision), 100 * moved);
    }
}

static void note_precision(zo_setup *s)
{
    if (s->cell->precision == ZO_BF16 && s->be->bf16_widened) {
        add_note(s, "bf16 products are f32 products of numbers rounded to bf16: this processor has no instructions for them, so their times say nothing of bf16");
    }
}

/* Model and data. What this program does not read in a file is wrong input, as what is wrong in it; ZO_EUNSUPPORTED is for settings. */
static zo_status open_files(zo_setup *s, const zo_setup_dirs *dirs, zo_err *err)
{
    const zo_cell *c = s->cell;
    zo_arch arch;
    zo_status status = zo_model_folder(c->model, dirs->models, NULL, NULL, s->folder, err);
    if (status == ZO_OK && zo_shape_is(c->model) && c->init != ZO_INIT_RANDOM) {
        status = zo_fail(err, ZO_EINPUT, "%s is a size without weights; say \"init\": \"random\"", c->model);
    }
    status = status == ZO_OK ? zo_arch_read(s->folder, &arch, err) : status;
    arch.quantised = zo_cell_quantised(c);
    status = status == ZO_OK ? open_dataset(s, dirs, &arch, err) : status;
    status = status == ZO_OK ? open_model(s, &arch, err) : status;
    if (status == ZO_EUNSUPPORTED) {
        err->status = status = ZO_EINPUT;
    }
    return status;
}

/* FLOPs of a plain forward over as many rows as the cell's batch has, of the training set's mean length. */
static double mean_forward(zo_setup *s)
{
    zo_pass_sums all = {0};
    zo_batch *batch;
    for (int64_t chunk = 0; (batch = zo_setup_chunk(s, chunk)) != NULL; chunk++) {
        zo_pass_sums plain = zo_pass_sums_of(zo_model_arch(s->model), batch);
        zo_pass_sums_add(&all, &plain, NULL);
        zo_batch_free(batch);
    }
    return zo_products_flops(&all, &s->terms.forward, zo_model_arch(s->model)) * (double)s->batch_size / (double)s->train_size;
}

zo_status zo_setup_open(zo_setup *s, const zo_cell *cell, const zo_setup_dirs *dirs, zo_backend *be, zo_err *err)
{
    memset(s, 0, sizeof *s);
    s->cell = cell;
    s->be = be;
    s->drift = NAN;
    zo_status status = zo_backend_check(be, (zo_precision)cell->precision, err);
    status = status == ZO_OK ? zo_backend_choose(be, (zo_algorithms)cell->algorithms, err) : status;
    status = status == ZO_OK ? open_files(s, dirs, err) : status;
    if (status == ZO_OK) {
        note_eps(s);
        note_precision(s);
    }
    status = status == ZO_OK ? open_estimator(s, err) : status;
    if (status == ZO_OK) {
        status = open_pools(s, err);
    }
    if (status == ZO_OK) {
        s->terms = zo_pass_terms_of(zo_model_arch(s->model), zo_model_layout(s->model), zo_dataset_head(s->dataset), zo_dataset_classes(s->dataset));
        status = open_metrics(s, err);
        status = status == ZO_OK ? zo_setup_reserve(s, err) : status;
        s->unit = s->pools > 1 && status == ZO_OK ? mean_forward(s) : 0;
    }
    if (status != ZO_OK) {
        zo_setup_close(s);
    }
    return status;
}

void zo_setup_close(zo_setup *s)
{
    if (s->started && s->cell->estimator->stop != NULL) {
        s->cell->estimator->stop(s->state);
    }
    zo_engine_free(s->engine);
    zo_model_close(s->model);
    if (s->dataset != NULL) {
        zo_dataset_close(s->dataset);
    }
    if (s->batch != NULL) {
        zo_batch_free(s->batch);
    }
    zo_free(s->state);
    zo_free(s->index);
    for (int p = 0; p < s->pools; p++) {
        zo_free(s->pool[p].row);
        zo_free(s->pool[p].order.row);
    }
    zo_free(s->feature_output);
    zo_free(s->chosen.choice);
    zo_free(s->chosen.label);
    zo_free(s->chosen.part);
    zo_free(s->chosen.nll);
    zo_tokenizer_close(s->answers.tokenizer);
    memset(s, 0, sizeof *s);
}
