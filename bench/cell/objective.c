/* objective.c: see objective.h. The loss that an engine sees is made here: the step's batch, or the whole training set in chunks of the batch
 * size, whose mean losses are weighted by their examples. Where a loss is a mean over tokens (copa: ZO_HEAD_SPAN) a chunk weighs by
 * its examples all the same, so the sum is not quite the mean over all tokens. */
#include "bench/cell/objective.h"

#include <math.h>
#include <string.h>

#include "bench/cell/answers.h"
#include "core/clock.h"
#include "core/mem.h"

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

int32_t zo_setup_rows(zo_setup *s, zo_setup_pool *pool, int64_t at)
{
    int32_t n = zo_batch_order((uint64_t)s->cell->seed, (int32_t)pool->rows, (int32_t)pool->batch, at, &pool->order, s->index);
    for (int32_t i = 0; i < n && pool->row != NULL; i++) {
        s->index[i] = pool->row[s->index[i]];
    }
    return n;
}

void zo_setup_pack(zo_setup *s, int number)
{
    double start = zo_now();
    if (s->batch != NULL) {
        zo_batch_free(s->batch);
    }
    int32_t n = zo_setup_rows(s, &s->pool[number % s->pools], s->first + number / s->pools);
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
        zo_setup_pack(s, number);
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

zo_batch *zo_setup_chunk(zo_setup *s, int64_t chunk)
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
    for (int64_t chunk = 0; which == ZO_BATCH_FULL && (batch = zo_setup_chunk(s, chunk)) != NULL; chunk++) {
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
        bool numbers = zo_answers_write(s, ZO_TRAIN, &at, s->answers.tokenizer, s->index, n, count_written, &context, credit);
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
        zo_setup_rows(s, &s->pool[s->number % s->pools], s->first + s->number / s->pools); /* full passes have used the list */
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
    for (int64_t chunk = 0; (batch = zo_setup_chunk(s, chunk)) != NULL; chunk++) {
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
    for (int64_t chunk = 0; (batch = zo_setup_chunk(s, chunk)) != NULL; chunk++) {
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

zo_engine_io zo_setup_io(zo_setup *s)
{
    return (zo_engine_io){.context = s,
                          .losses = io_losses,
                          .gradient = io_gradient,
                          .descend = io_descend,
                          .touched = io_touched,
                          .features = io_features,
                          .set_head = io_set_head,
                          .most_points = s->points};
}
