/* room.c: see room.h. */
#include "bench/cell/room.h"

#include <stdlib.h>
#include <string.h>

#include "bench/cell/objective.h"
#include "core/mem.h"

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
    s->reads_features = s->needs.features;
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
    for (int64_t chunk = 0; (batch = zo_setup_chunk(s, chunk)) != NULL; chunk++) {
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
            int32_t n = zo_setup_rows(s, pool, at);
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
    zo_model_reserve(s->model, most->tokens, (int32_t)most->rows, (int32_t)most->scores, alone ? 1 : s->points, backward, zo_engine_factors(s->engine));
}

zo_status zo_setup_reserve(zo_setup *s, zo_err *err)
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
        int64_t wish = c->eval_batch > 0 ? c->eval_batch : c->batch, rows = zo_dataset_size(s->dataset, (zo_split)split);
        s->eval_batch[split] = wish < rows ? wish : rows;
        measure_chunks(s, (zo_split)split, s->eval_batch[split], &s->eval[split]);
        s->places[split] = measure_places(s, (zo_split)split, s->eval_batch[split]);
        status = zo_dataset_put_away(s->dataset, (zo_split)split, err);
    }
    return status;
}
