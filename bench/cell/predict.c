/* predict.c: see predict.h. */
#include "bench/cell/predict.h"

#include <stdio.h>
#include <string.h>

#include "bench/cell/answers.h"

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Rows of looked-up tables that the largest batch may touch: no more than its tokens, and of tables that are smaller no more than all. */
static int64_t touched_rows(const zo_setup *s)
{
    const zo_layout *layout = zo_model_layout(s->model);
    int64_t sum = 0, positions = zo_model_arch(s->model)->positions, longest = zo_dataset_longest(s->dataset, ZO_TRAIN), tokens = 0;
    for (const zo_setup_pool *pool = s->pool; pool < s->pool + s->pools; pool++) {
        tokens = pool->largest.tokens > tokens && !(s->pools > 1 && pool->of.gradient) ? pool->largest.tokens : tokens;
    }
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        bool of_positions = p->rows >= positions && p->rows < positions + 8; /* some families have a few rows before the first position */
        sum += p->kind == ZO_PARAM_TABLE && !p->whole && !p->frozen ? min64(p->rows, of_positions ? longest : tokens) : 0;
    }
    return sum;
}

zo_extent zo_predict_extent(const zo_setup *s)
{
    const zo_cell *c = s->cell;
    return (zo_extent){.layout = zo_model_layout(s->model),
                       .realisation = (zo_realisation)c->realisation,
                       .accumulate = (zo_accumulate)c->accumulate,
                       .storage = (zo_storage)c->storage,
                       .reads_rest = s->be->reads_rest,
                       .steps = c->steps,
                       .batches_per_epoch = zo_setup_batches(s),
                       .touched_rows = s->answers.tokenizer == NULL ? touched_rows(s) : 0, /* what is written may be any token: whole tables move */
                       .feature_rows = s->feature_rows,
                       .feature_width = zo_model_feature_width(s->model),
                       .feature_classes = s->feature_classes,
                       .feature_bias = s->reads_features && zo_model_head_bias(s->model)};
}

void zo_predict_peak(const zo_setup *s, uint64_t bytes[ZO_TAGS])
{
    const zo_cell *c = s->cell;
    zo_peak live = zo_mem_live(s->be->space);
    memcpy(bytes, live.tag_bytes, sizeof live.tag_bytes);
    if (!zo_estimator_trains(c->estimator)) {
        return;
    }
    zo_err err = {0};
    zo_needs needs;
    zo_bytes start, steps;
    zo_extent extent = zo_predict_extent(s);
    zo_status status = zo_needs_of(c->estimator, c->options, &extent, &needs, &err);
    ZO_CHECK(status == ZO_OK, "options of a cell that has been read: %s", err.text);
    zo_needs_count(&needs, &extent, &start, &steps);
    bool on_host = s->be->space == ZO_HOST;
    zo_setup_writing(s, bytes);
    for (int t = 0; t < ZO_TAGS; t++) {
        bytes[t] += steps.backend[t] + (on_host ? steps.host[t] : 0);
    }
    if (on_host) { /* the step's batch, and where the whole set is read a chunk of it; the order of an epoch */
        bool steps_too = c->estimator->step != NULL;
        uint64_t batch = 0;
        for (const zo_setup_pool *pool = s->pool; pool < s->pool + s->pools; pool++) {
            uint64_t own = zo_batch_bytes(&pool->largest, pool->batch);
            batch = own > batch ? own : batch;
            bytes[ZO_TAG_DATA] += steps_too && pool->order.row == NULL ? (uint64_t)pool->rows * sizeof *pool->order.row : 0;
        }
        bool chunks = steps_too && s->answers.tokenizer == NULL && (c->estimator->full_batch || needs.features);
        bytes[ZO_TAG_DATA] += batch * (chunks ? 2 : 1);
    }
}

const char *zo_predict_text(const uint64_t bytes[ZO_TAGS], char *out, size_t size)
{
    uint64_t sum = 0;
    for (int t = 0; t < ZO_TAGS; t++) {
        sum += bytes[t];
    }
    size_t at = (size_t)snprintf(out, size, "%.1f MB", (double)sum / 1e6);
    const char *before = " (";
    for (int t = 0; t < ZO_TAGS && at < size; t++) {
        if (bytes[t] > 0) {
            at += (size_t)snprintf(out + at, size - at, "%s%s %.1f", before, zo_tag_name((zo_tag)t), (double)bytes[t] / 1e6);
            before = ", ";
        }
    }
    if (at < size) {
        snprintf(out + at, size - at, "%s", before[0] == ',' ? ")" : "");
    }
    return out;
}

void zo_predict_method(const zo_needs *needs, const zo_extent *extent, uint64_t bytes[ZO_TAGS])
{
    zo_bytes start, steps;
    zo_needs_count(needs, extent, &start, &steps);
    for (int t = 0; t < ZO_TAGS; t++) {
        bytes[t] = start.backend[t] + start.host[t] + steps.backend[t] + steps.host[t];
    }
}
