/* answers.c: see answers.h. */
#include "bench/cell/answers.h"

#include "core/mem.h"

bool zo_answers_write(zo_setup *s, zo_split split, const zo_view *view, zo_tokenizer *tokenizer, const int32_t *index, int32_t n,
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

zo_tokenizer *zo_answers_tokenizer(const zo_setup *s)
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
