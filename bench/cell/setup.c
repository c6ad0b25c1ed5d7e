/* setup.c: see setup.h. The loss that an engine sees is made here: the step's batch, or the whole training set in chunks of the batch
 * size, whose mean losses are weighted by their examples. Where a loss is a mean over tokens (copa: ZO_HEAD_SPAN) a chunk weighs by
 * its examples all the same, so the sum is not quite the mean over all tokens. */
#include "bench/cell/setup.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/probe.h"
#include "bench/synth/pretrain.h"
#include "bench/synth/shapes.h"
#include "core/clock.h"
#include "core/mem.h"
#include "models/files/hub.h"
#include "optimizers/needs.h"
#include "text/tokenizer.h"

/* ---- what the engine asks ----------------------------------------------------------------------------------------------- */

/* `plain`: of the batch. view NULL: a gradient. */
static void count(zo_setup *s, const zo_batch *batch, const zo_pass_sums *plain, const zo_view *view)
{
    uint64_t p = view != NULL ? (uint64_t)view->npoints : 1;
    zo_pass_sums_add(view != NULL ? &s->counts.forward : &s->counts.gradient, plain, view);
    s->counts.forwards += p;
    s->counts.examples += p * (uint64_t)batch->examples;
    s->counts.sequences += p * (uint64_t)batch->paper_sequences;
    s->counts.tokens += p * (uint64_t)batch->tokens;
    s->counts.paper_tokens += p * (uint64_t)batch->paper_tokens;
}

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

/* s->index <- the rows of mini-batch number `at` of the pool's order; returns how many. */
static int32_t rows_of(zo_setup *s, zo_setup_pool *pool, int64_t at)
{
    int32_t n = zo_batch_order((uint64_t)s->cell->seed, (int32_t)pool->rows, (int32_t)pool->batch, at, &pool->order, s->index);
    for (int32_t i = 0; i < n && pool->row != NULL; i++) {
        s->index[i] = pool->row[s->index[i]];
    }
    return n;
}

/* Packs the step's mini-batch of that number, in place of the one before. */
static void pack_batch(zo_setup *s, int number)
{
    double start = zo_now();
    if (s->batch != NULL) {
        zo_batch_free(s->batch);
    }
    int32_t n = rows_of(s, &s->pool[number % s->pools], s->first + number / s->pools);
    s->batch = zo_dataset_batch(s->dataset, ZO_TRAIN, s->index, n);
    s->plain = zo_pass_sums_of(zo_model_arch(s->model), s->batch);
    s->number = number;
    if (number >= s->drawn) {
        s->counts.batch_tokens += (uint64_t)s->batch->tokens;
        zo_pass_sums_add(&s->counts.batches, &s->plain, NULL);
        s->drawn = number + 1;
    }
    zo_part_add(ZO_PART_DATA, zo_now() - start);
}

static void turn_to(zo_setup *s, zo_which which)
{
    int number = zo_batch_number(which);
    ZO_CHECK(number < s->step_batches, "%s asks for mini-batch %d of a step, and its needs say %lld at most", s->cell->estimator->name, number + 1,
             (long long)s->step_batches);
    if (number != s->number) {
        pack_batch(s, number);
    }
}

/* s->index <- the chunk of the training set that begins with that row; returns how many. */
static int32_t chunk_rows(zo_setup *s, int64_t first)
{
    int64_t n = s->train_size - first < s->batch_size ? s->train_size - first : s->batch_size;
    for (int64_t i = 0; i < n; i++) {
        s->index[i] = (int32_t)(first + i);
    }
    return (int32_t)n;
}

/* Chunk number `chunk` of the whole training set, in file order; NULL after the last. */
static zo_batch *full_chunk(zo_setup *s, int64_t chunk)
{
    int64_t first = chunk * s->batch_size;
    if (first >= s->train_size) {
        return NULL;
    }
    int32_t n = chunk_rows(s, first);
    double start = zo_now();
    zo_batch *batch = zo_dataset_batch(s->dataset, ZO_TRAIN, s->index, n);
    zo_part_add(ZO_PART_DATA, zo_now() - start);
    return batch;
}

/* The choices of a batch at each point, behind the first `at`; *loss is made NaN where a loss is no number. */
static void choose(zo_setup *s, const zo_batch *batch, const zo_pass_sums *plain, const zo_view *view, int64_t at, double *loss)
{
    int32_t n = batch->examples;
    count(s, batch, plain, view);
    zo_model_predict(s->model, view, batch, s->chosen.part, s->chosen.nll);
    memcpy(s->chosen.label + at, batch->label, (size_t)n * sizeof *batch->label);
    for (int p = 0; p < view->npoints; p++) {
        memcpy(s->chosen.choice + p * s->chosen.room + at, s->chosen.part + (int64_t)p * n, (size_t)n * sizeof *s->chosen.choice);
        for (int32_t e = 0; e < n; e++) {
            loss[p] = isfinite(s->chosen.nll[(int64_t)p * n + e]) ? loss[p] : NAN;
        }
    }
}

/* 1 - the metric that is the objective: of the whole training set it is that of all its choices, and no mean over chunks. */
static void run_metrics(zo_setup *s, zo_which which, const zo_view *view, double *loss)
{
    memset(loss, 0, (size_t)view->npoints * sizeof *loss);
    int64_t n = which == ZO_BATCH_FULL ? s->train_size : s->batch->examples;
    if (which != ZO_BATCH_FULL) {
        choose(s, s->batch, &s->plain, view, 0, loss);
    }
    zo_batch *batch;
    for (int64_t chunk = 0; which == ZO_BATCH_FULL && (batch = full_chunk(s, chunk)) != NULL; chunk++) {
        zo_pass_sums plain = zo_pass_sums_of(zo_model_arch(s->model), batch);
        choose(s, batch, &plain, view, chunk * s->batch_size, loss);
        zo_batch_free(batch);
    }
    for (int p = 0; p < view->npoints; p++) {
        double metric[ZO_METRICS];
        zo_metrics(s->chosen.choice + p * s->chosen.room, s->chosen.label, (int32_t)n, zo_dataset_classes(s->dataset), metric);
        loss[p] = isnan(loss[p]) ? NAN : 1 - metric[s->cell->objective == ZO_AIM_F1 ? ZO_F1 : ZO_ACCURACY];
    }
}

/* ---- answers that the model writes ------------------------------------------------------------------------------------- */

/* The answers to the examples that the model writes, and what they are worth: credit (n). False where some scores were no numbers. `ran` as in
 * zo_generation, NULL = nobody asks. */
static bool write_answers(zo_setup *s, zo_split split, const zo_view *view, zo_tokenizer *tokenizer, const int32_t *index, int32_t n,
                          void (*ran)(void *context, const zo_batch *batch), void *context, zo_credit *credit)
{
    const int32_t *end;
    int ends = zo_dataset_answer_ends(s->dataset, &end);
    zo_generation g = {.most = zo_dataset_answer_tokens(s->dataset), .end = end, .ends = ends, .ran = ran, .context = context};
    int32_t *id = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * (size_t)(g.most + 1) * sizeof *id), *length = id + (int64_t)n * g.most;
    zo_batch *prompts = zo_dataset_prompts(s->dataset, split, index, n);
    bool numbers = zo_model_generate(s->model, view, prompts, &g, id, length);
    for (int32_t i = 0; i < n; i++) {
        char *answer = zo_tokenizer_decode(tokenizer, id + (int64_t)i * g.most, length[i]);
        credit[i] = zo_dataset_credit(s->dataset, split, index[i], answer);
        zo_free(answer);
    }
    zo_batch_free(prompts);
    zo_free(id);
    return numbers;
}

void zo_setup_writing(const zo_setup *s, uint64_t bytes[ZO_TAGS])
{
    if (s->answers.tokenizer == NULL) {
        return;
    }
    int64_t n = s->most_rows, answer = zo_dataset_answer_tokens(s->dataset), places = s->answers.places;
    bytes[ZO_TAG_KV_CACHE] += (uint64_t)zo_model_cache_bytes(zo_model_arch(s->model), places);
    if (s->be->space == ZO_HOST) {
        bytes[ZO_TAG_DATA] += zo_model_generate_bytes(n, places) + zo_prompts_bytes(places - n * answer, n) + (uint64_t)(n * (answer + 1)) * sizeof(int32_t) +
                              (uint64_t)n * sizeof(zo_credit);
    }
}

typedef struct pass_of { zo_setup *setup; const zo_view *view; } pass_of;

/* A pass of a generation: its FLOPs and tokens are the probe's, which is one forward whatever was written. */
static void count_written(void *context, const zo_batch *batch)
{
    pass_of *of = context;
    zo_setup *s = of->setup;
    zo_pass_sums plain = zo_pass_sums_of(zo_model_arch(s->model), batch);
    zo_pass_sums_add(&s->counts.forward, &plain, of->view);
    s->counts.tokens += (uint64_t)batch->tokens;
    s->counts.paper_tokens += (uint64_t)batch->tokens;
}

/* sum (npoints) += the F1 of what is written behind the n rows of s->index at each point; NaN where scores are no numbers. */
static void add_written(zo_setup *s, const zo_view *view, int32_t n, double *sum)
{
    zo_credit *credit = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *credit);
    for (int p = 0; p < view->npoints; p++) {
        zo_view at = zo_view_at(view, p);
        pass_of context = {.setup = s, .view = &at};
        bool numbers = write_answers(s, ZO_TRAIN, &at, s->answers.tokenizer, s->index, n, count_written, &context, credit);
        for (int32_t i = 0; i < n; i++) {
            sum[p] += zo_credit_f1(&credit[i]);
        }
        sum[p] = numbers ? sum[p] : NAN;
        s->counts.forwards++;
        s->counts.examples += (uint64_t)n;
        s->counts.sequences += (uint64_t)n;
    }
    zo_free(credit);
}

/* 1 - the mean F1 of what the model writes, at one point after the other. */
static void run_written(zo_setup *s, zo_which which, const zo_view *view, double *loss)
{
    memset(loss, 0, (size_t)view->npoints * sizeof *loss);
    int64_t n = which == ZO_BATCH_FULL ? s->train_size : s->batch->examples;
    if (which != ZO_BATCH_FULL) {
        rows_of(s, &s->pool[s->number % s->pools], s->first + s->number / s->pools); /* full passes have used the list */
        add_written(s, view, s->batch->examples, loss);
    }
    for (int64_t first = 0; which == ZO_BATCH_FULL && first < n; first += s->batch_size) {
        int32_t rows = chunk_rows(s, first);
        add_written(s, view, rows, loss);
    }
    for (int p = 0; p < view->npoints; p++) {
        loss[p] = 1 - loss[p] / (double)n;
    }
}

static void run_losses(zo_setup *s, zo_which which, const zo_view *view, double *loss)
{
    ZO_CHECK(which != ZO_BATCH_FULL || s->cell->estimator->full_batch, "%s asks for the whole training set; its file must say .full_batch = true",
             s->cell->estimator->name);
    if (s->cell->objective != ZO_AIM_LOSS) {
        (s->answers.tokenizer != NULL ? run_written : run_metrics)(s, which, view, loss);
        return;
    }
    if (which != ZO_BATCH_FULL) {
        count(s, s->batch, &s->plain, view);
        zo_model_losses(s->model, view, s->batch, loss);
        return;
    }
    double *part = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)view->npoints * sizeof *part);
    memset(loss, 0, (size_t)view->npoints * sizeof *loss);
    zo_batch *batch;
    for (int64_t chunk = 0; (batch = full_chunk(s, chunk)) != NULL; chunk++) {
        zo_pass_sums plain = zo_pass_sums_of(zo_model_arch(s->model), batch);
        count(s, batch, &plain, view);
        zo_model_losses(s->model, view, batch, part);
        for (int p = 0; p < view->npoints; p++) {
            loss[p] += part[p] * batch->examples / (double)s->train_size;
        }
        zo_batch_free(batch);
    }
    zo_free(part);
}

static zo_status io_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    zo_setup *s = context;
    zo_tape *tape = s->tape;
    turn_to(s, which); /* of a run that is made again too: its next step begins behind it */
    size_t bytes = (size_t)view->npoints * sizeof *loss;
    if (tape != NULL && tape->plays) {
        if (tape->n - tape->at < view->npoints) {
            return zo_fail(err, ZO_EINPUT, "the journal of this run ends after %lld losses, before the step that is asked for", (long long)tape->n);
        }
        memcpy(loss, tape->loss + tape->at, bytes);
        tape->at += view->npoints;
        return ZO_OK;
    }
    run_losses(s, which, view, loss);
    if (tape != NULL && tape->room - tape->n >= view->npoints) {
        memcpy(tape->loss + tape->n, loss, bytes);
        tape->n += view->npoints;
    } else if (tape != NULL) {
        tape->torn = true;
    }
    return ZO_OK;
}

static zo_status io_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)err;
    zo_setup *s = context;
    ZO_CHECK(which != ZO_BATCH_FULL, "gradients of the whole training set are not made: no optimizer here asks for one");
    turn_to(s, which);
    count(s, s->batch, &s->plain, NULL);
    zo_model_grad(s->model, s->batch, 1.0, zo_engine_objective(s->engine)->checkpoint, grad, loss);
    return ZO_OK;
}

static int compare_tokens(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* output <- the distinct ones of right (n), ascending; returns how many. */
static int distinct(const int32_t *right, int64_t n, int32_t *output)
{
    int many = 0;
    memcpy(output, right, (size_t)n * sizeof *output);
    qsort(output, (size_t)n, sizeof *output, compare_tokens);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || output[i] != output[many - 1]) {
            output[many++] = output[i];
        }
    }
    return many;
}

/* Of options the outputs are tokens, and only the rows tell which. */
static zo_status io_features(void *context, const zo_view *view, zo_features *f, zo_err *err)
{
    (void)err;
    zo_setup *s = context;
    int64_t width = zo_model_feature_width(s->model), n = s->feature_rows;
    *f = (zo_features){.n = n, .width = (int)width, .classes = s->feature_classes, .bias = zo_model_head_bias(s->model)};
    f->x = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * ((size_t)width * sizeof *f->x + sizeof *f->label) + (size_t)f->classes * sizeof *f->output);
    f->label = (int32_t *)(f->x + n * width);
    f->output = f->label + n;
    zo_batch *batch;
    int64_t at = 0;
    for (int64_t chunk = 0; (batch = full_chunk(s, chunk)) != NULL; chunk++) {
        zo_pass_sums plain = zo_pass_sums_of(zo_model_arch(s->model), batch);
        count(s, batch, &plain, view);
        if (s->batch == NULL) {
            zo_pass_sums_add(&s->counts.batches, &plain, NULL);
        }
        zo_model_features(s->model, view, batch, f->x + at * width, f->label + at);
        at += zo_model_feature_rows(s->model, batch);
        zo_batch_free(batch);
    }
    for (int k = 0; k < f->classes; k++) {
        f->output[k] = zo_dataset_head(s->dataset) == ZO_HEAD_OPTIONS ? s->feature_output[k] : k;
    }
    for (int64_t i = 0; i < n; i++) {
        int k = 0;
        while (f->output[k] != f->label[i]) {
            k++;
        }
        f->label[i] = k;
    }
    return ZO_OK;
}

static zo_status io_set_head(void *context, const zo_features *f, const double *w, zo_err *err)
{
    zo_setup *s = context;
    return zo_model_set_head(s->model, f->output, f->classes, w, err);
}

static zo_status io_descend(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err)
{
    (void)err;
    zo_setup *s = context;
    ZO_CHECK(which != ZO_BATCH_FULL, "gradients of the whole training set are not made: no optimizer here asks for one");
    turn_to(s, which);
    count(s, s->batch, &s->plain, NULL);
    zo_model_descend(s->model, s->batch, zo_engine_objective(s->engine)->checkpoint, sink, loss);
    return ZO_OK;
}

static void io_touched(void *context, zo_which which, zo_touched *touched)
{
    zo_setup *s = context;
    if (which != ZO_BATCH_FULL) {
        turn_to(s, which);
    }
    if (which != ZO_BATCH_FULL && s->answers.tokenizer == NULL) { /* what is written may be any token */
        zo_model_touched(s->model, s->batch, touched);
    } else {
        memset(touched, 0, sizeof *touched); /* every row */
    }
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

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

static int points_of(const zo_setup *s)
{
    zo_needs needs = needs_of(s);
    return zo_points_a_pass(s->cell->estimator, &needs, (zo_realisation)s->cell->realisation);
}

/* Rows of an evaluation's batch. */
static int64_t eval_batch(const zo_setup *s, zo_split split)
{
    int64_t wish = s->cell->eval_batch > 0 ? s->cell->eval_batch : s->cell->batch, rows = zo_dataset_size(s->dataset, split);
    return wish < rows ? wish : rows;
}

/* An estimator that fails says why; one that does not is told so. */
static void say_something(const zo_estimator *e, const char *slot, zo_status status, zo_err *err)
{
    if (status != ZO_OK && err->text[0] == '\0') {
        zo_fail(err, status, "%s failed in its %s with status %d and gave no reason; its file must say why, by zo_fail", e->name, slot, (int)status);
    }
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
    zo_needs needs = needs_of(s);
    zo_status status = ZO_OK;
    int64_t most = s->batch_size;
    s->pools = needs.pools > 0 ? needs.pools : 1;
    s->step_batches = needs.batches > s->pools ? needs.batches : s->pools;
    for (int p = 0; p < s->pools && status == ZO_OK && zo_estimator_trains(s->cell->estimator); p++) {
        zo_setup_pool *pool = &s->pool[p];
        *pool = (zo_setup_pool){.of = needs.pools > 0 ? needs.pool[p] : (zo_pool){.gradient = needs.gradient}, .order = {.number = (uint32_t)p}};
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
    zo_engine_spec spec = {.be = s->be,
                           .weights = zo_model_store(s->model),
                           .realisation = (zo_realisation)c->realisation,
                           .accumulate = (zo_accumulate)c->accumulate,
                           .seed = (uint64_t)c->seed,
                           .io = {.context = s,
                                  .losses = io_losses,
                                  .gradient = io_gradient,
                                  .descend = io_descend,
                                  .touched = io_touched,
                                  .features = io_features,
                                  .set_head = io_set_head,
                                  .most_points = points_of(s)}};
    s->engine = zo_engine_new(&spec);
    s->state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes > 0 ? e->state_bytes : 1);
    zo_status status = e->options != NULL ? zo_opt_read(e->options, c->options, NULL, e->name, s->state, err) : ZO_OK;
    if (status == ZO_OK && e->start != NULL) {
        *err = (zo_err){.status = ZO_OK};
        status = e->start(s->state, zo_engine_objective(s->engine), err);
        say_something(e, "start", status, err);
        s->started = true;
    }
    return status;
}

/* Chunks of a split in file order: evaluation, and the full batches of training. */
static void measure_chunks(zo_setup *s, zo_split split, int64_t size, zo_sizes *most)
{
    int64_t total = zo_dataset_size(s->dataset, split);
    int32_t *index = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)size * sizeof *index);
    for (int64_t first = 0; first < total; first += size) {
        int32_t n = (int32_t)(total - first < size ? total - first : size);
        for (int32_t i = 0; i < n; i++) {
            index[i] = (int32_t)first + i;
        }
        zo_dataset_measure(s->dataset, split, index, n, most);
    }
    zo_free(index);
}

/* *most is raised to the tokens of these rows' prompts and what the model writes behind them. */
static void raise_places(const zo_setup *s, zo_split split, const int32_t *index, int32_t n, int64_t *most)
{
    int64_t places = zo_dataset_prompt_tokens(s->dataset, split, index, n) + n * (int64_t)zo_dataset_answer_tokens(s->dataset);
    *most = places > *most ? places : *most;
}

static int by_length(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

/* The same of training, by the longest prompts of a pool, which may come in one batch. */
static void raise_worst_places(zo_setup *s, const zo_setup_pool *pool)
{
    int64_t *length = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)pool->rows * sizeof *length), places = pool->batch * zo_dataset_answer_tokens(s->dataset);
    for (int32_t i = 0; i < pool->rows; i++) {
        length[i] = zo_dataset_prompt_tokens(s->dataset, ZO_TRAIN, pool->row != NULL ? &pool->row[i] : &i, 1);
    }
    qsort(length, (size_t)pool->rows, sizeof *length, by_length);
    for (int64_t i = 0; i < pool->batch; i++) {
        places += length[i];
    }
    zo_free(length);
    s->answers.places = places > s->answers.places ? places : s->answers.places;
}

/* What the model writes behind a split's prompts: the tokens of a batch's prompts and answers, at most. */
static int64_t measure_places(const zo_setup *s, zo_split split, int64_t size)
{
    int64_t total = zo_dataset_size(s->dataset, split), most = 0, answer = zo_dataset_answer_tokens(s->dataset);
    int32_t *index = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)size * sizeof *index);
    for (int64_t first = 0; first < total && answer > 0; first += size) {
        int32_t n = (int32_t)(total - first < size ? total - first : size);
        for (int32_t i = 0; i < n; i++) {
            index[i] = (int32_t)first + i;
        }
        raise_places(s, split, index, n, &most);
    }
    zo_free(index);
    return most;
}

/* How many rows and outputs the features of the training set will have. */
static zo_status measure_features(zo_setup *s, zo_err *err)
{
    zo_head head = zo_dataset_head(s->dataset);
    s->reads_features = needs_of(s).features;
    if (s->reads_features && zo_dataset_scores(s->dataset)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a linear probe tells classes apart, and %s has scores: train the head by steps, for instance \"fo-adamw\" with "
                       "\"tune\": \"head\"", s->cell->task);
    }
    if (!s->reads_features || head == ZO_HEAD_CLASS || head == ZO_HEAD_WORDS) {
        s->feature_rows = s->train_size;
        s->feature_classes = zo_dataset_classes(s->dataset);
        return ZO_OK;
    }
    if (head == ZO_HEAD_SPAN) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a linear probe tells the answers of a classification apart, and %s trains on the text of one: train the head by steps, "
                       "for instance \"fo-adamw\" with \"tune\": \"head\"", s->cell->task);
    }
    int32_t *token = NULL;
    zo_batch *batch;
    for (int64_t chunk = 0; (batch = full_chunk(s, chunk)) != NULL; chunk++) {
        int64_t rows = zo_model_feature_rows(s->model, batch);
        token = zo_realloc(token, ZO_HOST, ZO_TAG_DATA, (size_t)(s->feature_rows + rows) * sizeof *token);
        zo_model_feature_targets(batch, token + s->feature_rows);
        s->feature_rows += rows;
        zo_batch_free(batch);
    }
    s->feature_output = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)s->feature_rows * sizeof *token);
    s->feature_classes = distinct(token, s->feature_rows, s->feature_output);
    s->feature_output = zo_realloc(s->feature_output, ZO_HOST, ZO_TAG_DATA, (size_t)s->feature_classes * sizeof *token);
    zo_free(token);
    return ZO_OK;
}

/* The batches of training are known where the number of steps is: no batch has fewer than one forward. With a budget in seconds
 * alone, and where there are too many to be looked at, the worst batch that could be drawn. */
static void measure_pools(zo_setup *s)
{
    enum { LOOKED_AT = 1 << 20 }; /* under a second */
    const zo_cell *c = s->cell;
    if (c->estimator->step == NULL) {
        measure_chunks(s, ZO_TRAIN, s->batch_size, &s->pool[0].largest);
        return;
    }
    int64_t each = s->step_batches, batches = c->steps * each;
    batches = c->forwards > 0 && (batches == 0 || c->forwards + each - 1 < batches) ? c->forwards + each - 1 : batches;
    const zo_layout *layout = zo_model_store(s->model)->layout;
    bool short_backward = c->estimator->first_order && layout->trained_size < layout->size;
    double least = short_backward ? 1 : 2; /* no batch has less than two forwards, or one where a gradient ends early */
    bool writes = s->answers.tokenizer != NULL; /* where an answer ends at once, a probe is less work than a forward */
    if (c->work > 0 && c->work < LOOKED_AT && s->pools == 1 && !writes && /* of a pool's batches the least work is not known */ (batches == 0 || c->work / least + (double)each < (double)batches)) {
        batches = (int64_t)(c->work / least) + each;
    }
    bool known = batches > 0 && batches <= LOOKED_AT;
    for (zo_setup_pool *pool = s->pool; pool < s->pool + s->pools; pool++) {
        if (!known) {
            pool->largest = zo_dataset_bounds_of(s->dataset, ZO_TRAIN, pool->row, (int32_t)pool->rows, (int32_t)pool->batch);
            if (writes) {
                raise_worst_places(s, pool);
            }
        }
        for (int64_t at = 0; known && at < (batches + s->pools - 1) / s->pools; at++) {
            int32_t n = rows_of(s, pool, at);
            zo_dataset_measure(s->dataset, ZO_TRAIN, s->index, n, &pool->largest);
            if (writes) {
                raise_places(s, ZO_TRAIN, s->index, n, &s->answers.places);
            }
        }
    }
    if (known && (c->estimator->full_batch || s->reads_features)) {
        measure_chunks(s, ZO_TRAIN, s->batch_size, &s->pool[0].largest);
        int64_t places = writes ? measure_places(s, ZO_TRAIN, s->batch_size) : 0;
        s->answers.places = places > s->answers.places ? places : s->answers.places;
    }
}

/* Room for the passes over a pool's batches. */
static void reserve_pool(zo_setup *s, const zo_setup_pool *pool)
{
    const zo_sizes *most = &pool->largest;
    if (s->answers.tokenizer != NULL) { /* nothing but what is written is run, at one point after the other */
        int64_t tokens = most->tokens > s->answers.places ? most->tokens : s->answers.places; /* a right answer may be longer */
        zo_model_reserve(s->model, tokens, (int32_t)s->most_rows, (int32_t)s->most_rows, 1, ZO_FORWARD_ONLY, zo_engine_factors(s->engine));
        return;
    }
    bool alone = s->pools > 1 && pool->of.gradient; /* no losses at points */
    zo_backward backward = !pool->of.gradient ? ZO_FORWARD_ONLY : zo_engine_objective(s->engine)->checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD;
    zo_model_reserve(s->model, most->tokens, (int32_t)most->rows, (int32_t)most->scores, alone ? 1 : points_of(s), backward, zo_engine_factors(s->engine));
}

/* Room for the largest batch of training: after this no step allocates activations. Of evaluations only the sizes are noted, and their
 * examples put away. */
static zo_status reserve(zo_setup *s, zo_err *err)
{
    const zo_cell *c = s->cell;
    zo_status status = ZO_OK;
    if (zo_estimator_trains(c->estimator)) {
        status = measure_features(s, err);
        if (status != ZO_OK) {
            return status;
        }
        measure_pools(s);
        for (int forward = 0; forward < 2; forward++) { /* gradients first: what they keep goes by their own rows, and what a pass has by the largest so far */
            for (const zo_setup_pool *pool = s->pool; pool < s->pool + s->pools; pool++) {
                if (pool->of.gradient != forward) {
                    reserve_pool(s, pool);
                }
            }
        }
    }
    for (int split = ZO_DEV; split <= ZO_TEST && status == ZO_OK; split++) {
        measure_chunks(s, (zo_split)split, eval_batch(s, (zo_split)split), &s->eval[split]);
        s->places[split] = measure_places(s, (zo_split)split, eval_batch(s, (zo_split)split));
        status = zo_dataset_put_away(s->dataset, (zo_split)split, err);
    }
    return status;
}

/* The model's tokenizer once more: between evaluations it takes no memory, but where training reads it. */
static zo_tokenizer *tokenizer_again(const zo_setup *s)
{
    if (s->answers.tokenizer != NULL) {
        return s->answers.tokenizer;
    }
    zo_tokenizer *tokenizer;
    int64_t context;
    zo_err err = {0};
    zo_status status = zo_setup_tokenizer(s->cell, zo_model_arch(s->model), s->folder, &tokenizer, &context, &err);
    ZO_CHECK(status == ZO_OK, "the tokenizer that encoded the rows cannot be read again: %s", err.text);
    return tokenizer;
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
        s->answers.tokenizer = tokenizer_again(s);
        return ZO_OK;
    }
    if (writes) {
        return zo_fail(err, ZO_EUNSUPPORTED, "the model writes the answers of %s and chooses among nothing: give \"objective\": \"f1\", of the words it writes, or \"loss\"", c->task);
    }
    if (zo_dataset_head(s->dataset) == ZO_HEAD_SPAN) {
        return zo_fail(err, ZO_EUNSUPPORTED, "training batches of %s hold the right option alone, so nothing is chosen there: give \"objective\": \"loss\"", c->task);
    }
    size_t points = (size_t)points_of(s), batch = (size_t)s->most_rows, room = c->estimator->full_batch ? (size_t)s->train_size : batch;
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
    for (int64_t chunk = 0; (batch = full_chunk(s, chunk)) != NULL; chunk++) {
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
        status = status == ZO_OK ? reserve(s, err) : status;
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

/* ---- running ------------------------------------------------------------------------------------------------------------ */

static void start_parts(void)
{
    zo_part_reset();
    zo_counters_reset();
}

static void take_parts(zo_setup *s)
{
    zo_part_read(s->part);
    zo_counters counters;
    zo_counters_read(&counters);
    s->counters.normals += counters.normals;
    s->counters.weight_bytes_written += counters.weight_bytes_written;
    s->counters.linear_flops += counters.linear_flops;
}

int64_t zo_setup_batches(const zo_setup *s)
{
    return s->batch_size > 0 ? (s->train_size + s->batch_size - 1) / s->batch_size : 0;
}

zo_status zo_setup_step(zo_setup *s, int64_t step, zo_step_report *report, double *seconds, zo_err *err)
{
    const zo_cell *c = s->cell;
    start_parts();
    double start = zo_now();
    s->first = step + (int64_t)s->counts.more_batches;
    s->drawn = 0;
    pack_batch(s, 0);
    zo_step_context context = {.step = step,
                               .steps = c->steps,
                               .batches_per_epoch = zo_setup_batches(s),
                               .examples = s->batch->examples,
                               .train_examples = s->train_size,
                               .lr = c->lr * zo_cell_schedule(c, step),
                               .eps = c->eps,
                               .scheduled = true,
                               .run_lr = c->lr,
                               .share = zo_cell_schedule(c, step)};
    *report = (zo_step_report){.loss = NAN, .projected = NAN, .lr = context.lr, .paper_queries = NAN};
    *err = (zo_err){.status = ZO_OK};
    zo_status status = c->estimator->step(s->state, zo_engine_objective(s->engine), &context, report, err);
    say_something(c->estimator, "step", status, err);
    s->be->wait(s->be);
    *seconds = zo_now() - start;
    zo_batch_free(s->batch);
    s->batch = NULL;
    s->counts.more_batches += (uint64_t)((s->drawn - 1) / s->pools);
    take_parts(s);
    return status;
}

zo_status zo_setup_fit(zo_setup *s, zo_step_report *report, double *seconds, zo_err *err)
{
    const zo_estimator *e = s->cell->estimator;
    start_parts();
    double start = zo_now();
    *report = (zo_step_report){.loss = NAN, .projected = NAN, .lr = NAN, .full_batch = true, .paper_queries = NAN};
    *err = (zo_err){.status = ZO_OK};
    zo_status status = e->fit(s->state, zo_engine_objective(s->engine), report, err);
    say_something(e, "fit", status, err);
    s->be->wait(s->be);
    *seconds = zo_now() - start;
    take_parts(s);
    return status;
}

double zo_setup_flops(const zo_setup *s)
{
    if (s->engine == NULL) {
        return 0;
    }
    const zo_arch *arch = zo_model_arch(s->model);
    const zo_pass_terms *t = &s->terms;
    const zo_pass_sums *gradient = &s->counts.gradient;
    double again = zo_engine_objective(s->engine)->checkpoint ? zo_products_flops(gradient, &t->again, arch) : 0;
    return zo_products_flops(&s->counts.forward, &t->forward, arch) + zo_products_flops(gradient, &t->forward, arch) +
           zo_products_flops(gradient, &t->backward, arch) + again;
}

double zo_setup_work(const zo_setup *s)
{
    const zo_pass_sums *b = &s->counts.batches;
    if (s->unit > 0) {
        return zo_setup_flops(s) / s->unit;
    }
    return b->passes > 0 ? zo_setup_flops(s) / (zo_products_flops(b, &s->terms.forward, zo_model_arch(s->model)) / b->passes) : 0;
}

const char *zo_setup_note(const zo_setup *s)
{
    return s->note[0] != '\0' ? s->note : NULL;
}

double zo_setup_drift(zo_setup *s)
{
    zo_term term[ZO_PROBE_TERMS];
    int n = s->engine != NULL ? zo_engine_last_probe(s->engine, term) : 0;
    if (n > 0) {
        zo_engine_settle(s->engine);
        s->drift = fmax(s->drift, zo_probe_drift(s->be, zo_model_store(s->model), zo_engine_factors(s->engine), term, n));
    }
    return s->drift;
}

void zo_setup_settle(zo_setup *s, double *seconds)
{
    start_parts();
    double start = zo_now();
    zo_engine_settle(s->engine);
    s->be->wait(s->be);
    *seconds = zo_now() - start;
    take_parts(s);
}

zo_status zo_setup_save(zo_setup *s, const char *folder, zo_err *err)
{
    const zo_view *view = zo_engine_settle(s->engine);
    if (view->ndirs == 0 && view->side == NULL && view->rest == NULL) {
        return zo_model_save(s->model, folder, err);
    }
    zo_store *sum = zo_engine_sum(s->engine);
    zo_status status = zo_model_save_as(s->model, sum, folder, err);
    zo_store_free(s->be, sum);
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double zo_median(double *value, int64_t n)
{
    if (n == 0) {
        return NAN;
    }
    qsort(value, (size_t)n, sizeof *value, by_value);
    return n % 2 == 1 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

static bool is_constant(const int32_t *choice, const int32_t *label, int32_t n)
{
    int32_t right = 0;
    for (int32_t i = 0; i < n; i++) {
        if (choice[i] != choice[0]) {
            return false;
        }
        right += label[i] == choice[0];
    }
    return n > 1 && 100 * (int64_t)right < 95 * (int64_t)n;
}

/* Means of what written answers are worth, in place of metrics of choices. */
static void written_metrics(const zo_credit *credit, int32_t n, double metric[ZO_METRICS])
{
    for (int m = 0; m < ZO_METRICS; m++) {
        metric[m] = n > 0 && (m == ZO_EXACT_MATCH || m == ZO_TOKEN_F1) ? 0 : NAN;
    }
    for (int32_t i = 0; i < n; i++) {
        metric[ZO_EXACT_MATCH] += credit[i].exact / (double)n;
        metric[ZO_TOKEN_F1] += zo_credit_f1(&credit[i]) / n;
    }
}

void zo_samples_free(zo_samples *samples)
{
    zo_free(samples->label);
    zo_free(samples->choice);
    zo_free(samples->loss);
    zo_free(samples->first);
    zo_free(samples->score);
    *samples = (zo_samples){.n = 0};
}

/* Scores of a batch behind those of the examples before. */
static void keep_scores(zo_samples *samples, const zo_batch *batch, const double *score, int64_t ranked)
{
    int64_t at = samples->first[samples->n];
    if (at + ranked > samples->room) {
        samples->room = 2 * (at + ranked);
        samples->score = zo_realloc(samples->score, ZO_HOST, ZO_TAG_DATA, (size_t)samples->room * sizeof *samples->score);
    }
    memcpy(samples->score + at, score, (size_t)ranked * sizeof *score);
    for (int32_t e = 0; e < batch->examples; e++) {
        bool options = batch->options > 0;
        int64_t n = options ? batch->example_start[e + 1] - batch->example_start[e] : ranked / batch->examples;
        samples->n++;
        samples->first[samples->n] = samples->first[samples->n - 1] + n;
    }
}

/* What options have behind a prompt without content is taken off their sums, and the first best of each example chosen. */
static void calibrate(zo_setup *s, const zo_view *view, zo_split split, const int32_t *index, const zo_batch *batch, int32_t *choice, double *score)
{
    zo_batch *without = zo_dataset_free_batch(s->dataset, split, index, batch->examples);
    double *less = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)batch->options * sizeof *less);
    if (without != NULL) {
        zo_model_rank(s->model, view, without, NULL, NULL, less);
        zo_batch_free(without);
    }
    for (int32_t e = 0; e < batch->examples; e++) {
        const int32_t first = batch->example_start[e];
        choice[e] = 0;
        for (int32_t o = first; o < batch->example_start[e + 1]; o++) {
            score[o] -= less[o];
            choice[e] = score[o] > score[first + choice[e]] ? o - first : choice[e];
        }
    }
    zo_free(less);
}

/* The examples of a batch: choice and nll of each, its scores, and of regression the share of word 1, else NULL. */
static void rank_batch(zo_setup *s, const zo_view *view, zo_split split, const int32_t *index, int32_t n, int32_t *choice, double *nll, double *share,
                       zo_samples *samples)
{
    zo_batch *batch = zo_dataset_batch(s->dataset, split, index, n);
    bool calibrated = s->cell->calibration != ZO_CALIBRATE_NONE;
    if (!calibrated && samples == NULL && share == NULL) {
        zo_model_predict(s->model, view, batch, choice, nll);
        zo_batch_free(batch);
        return;
    }
    int64_t ranked = zo_model_ranked(s->model, batch);
    double *score = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)ranked * sizeof *score);
    zo_model_rank(s->model, view, batch, choice, nll, score);
    for (int32_t o = 0; !calibrated && o < batch->options; o++) {
        score[o] /= batch->option_start[o + 1] - batch->option_start[o];
    }
    if (calibrated) {
        calibrate(s, view, split, index, batch, choice, score);
    }
    for (int32_t e = 0; share != NULL && e < n; e++) {
        share[e] = exp(score[2 * e + 1]);
    }
    if (samples != NULL) {
        keep_scores(samples, batch, score, ranked);
    }
    zo_free(score);
    zo_batch_free(batch);
}

void zo_setup_evaluate(zo_setup *s, zo_split split, zo_evaluation *result, uint8_t *correct, zo_samples *samples)
{
    double start = zo_now();
    int32_t n = zo_dataset_size(s->dataset, split);
    int64_t most = eval_batch(s, split);
    int32_t *index = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)most * sizeof *index);
    int32_t *choice = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *choice),
            *label = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *label);
    double *nll = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *nll);
    double *share = zo_dataset_scores(s->dataset) ? zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *share) : NULL;
    const zo_view *view = zo_engine_settle(s->engine);
    bool writes = zo_dataset_answer_tokens(s->dataset) > 0;
    zo_credit *credit = zo_alloc(ZO_HOST, ZO_TAG_DATA, (writes ? (size_t)n : 0) * sizeof *credit);
    zo_tokenizer *tokenizer = writes ? tokenizer_again(s) : NULL;
    double sum = 0;
    if (samples != NULL) {
        *samples = (zo_samples){.first = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *samples->first)};
    }
    if (n > 0) {
        const zo_sizes *size = &s->eval[split];
        int64_t places = s->places[split], rows = writes ? most : 0;
        zo_dataset_fetch(s->dataset, split);
        zo_model_evaluation_begin(s->model, size->tokens > places ? size->tokens : places, (int32_t)(size->rows > rows ? size->rows : rows),
                                  (int32_t)(size->scores > rows ? size->scores : rows), zo_engine_factors(s->engine));
    }
    for (int64_t first = 0; first < n; first += most) {
        int32_t m = (int32_t)(n - first < most ? n - first : most);
        for (int32_t i = 0; i < m; i++) {
            index[i] = (int32_t)first + i;
            label[first + i] = zo_dataset_label(s->dataset, split, index[i]);
        }
        rank_batch(s, view, split, index, m, choice + first, nll + first, share ? share + first : NULL, samples);
        if (writes) {
            write_answers(s, split, view, tokenizer, index, m, NULL, NULL, credit + first);
        }
    }
    if (tokenizer != s->answers.tokenizer) {
        zo_tokenizer_close(tokenizer);
    }
    if (n > 0) {
        zo_model_evaluation_end(s->model);
    }
    for (int32_t i = 0; i < n; i++) {
        sum += nll[i];
    }
    if (correct != NULL) {
        memset(correct, 0, ((size_t)n + 7) / 8);
        for (int32_t i = 0; i < n; i++) {
            correct[i / 8] |= (uint8_t)((writes ? credit[i].exact : zo_dataset_right(s->dataset, split, i, choice[i])) << i % 8);
        }
    }
    if (writes) {
        written_metrics(credit, n, result->metric);
    } else {
        zo_dataset_metrics(s->dataset, split, choice, share, result->metric);
    }
    zo_free(credit);
    if (n > 0) {
        zo_err ignored; /* nothing is written a second time */
        zo_dataset_put_away(s->dataset, split, &ignored);
    }
    result->constant = share != NULL ? n > 1 && isnan(result->metric[ZO_PEARSON]) : zo_dataset_classes(s->dataset) > 0 && is_constant(choice, label, n);
    zo_free(share);
    result->examples = n;
    result->loss = n > 0 ? sum / n : NAN;
    result->seconds = zo_now() - start;
    zo_free(index);
    if (samples != NULL) {
        samples->choice = choice;
        samples->label = label;
        samples->loss = nll;
        return;
    }
    zo_free(choice);
    zo_free(label);
    zo_free(nll);
}
