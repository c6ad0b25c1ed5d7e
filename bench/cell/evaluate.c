/* evaluate.c: see evaluate.h. */
#include "bench/cell/evaluate.h"

#include <math.h>
#include <string.h>

#include "bench/cell/answers.h"
#include "core/clock.h"
#include "core/mem.h"

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
    int64_t most = s->eval_batch[split];
    int32_t *index = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)most * sizeof *index);
    int32_t *choice = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *choice),
            *label = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *label);
    double *nll = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *nll);
    double *share = zo_dataset_scores(s->dataset) ? zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)n + 1) * sizeof *share) : NULL;
    const zo_view *view = zo_engine_settle(s->engine);
    bool writes = zo_dataset_answer_tokens(s->dataset) > 0;
    zo_credit *credit = zo_alloc(ZO_HOST, ZO_TAG_DATA, (writes ? (size_t)n : 0) * sizeof *credit);
    zo_tokenizer *tokenizer = writes ? zo_answers_tokenizer(s) : NULL;
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
            zo_answers_write(s, split, view, tokenizer, index, m, NULL, NULL, credit + first);
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
