/* halves.h: gradients at weights of 16 bits, beside those at weights of f32 that are the same numbers, on the small models of tests/golden and any
 * backend. Those of f32 are tested against transformers (tests/models/test_models.c). Test code only. */
#ifndef ZO_TESTS_HALVES_H
#define ZO_TESTS_HALVES_H

#include "tests/storage_runs.h"

/* Every family, and views that end the backward pass early, or have tables or an adapter. */
static const struct { int family; const char *tune; } halves[] = {
    {0, "full"}, {1, "full"}, {2, "full"}, {3, "full"}, {4, "full"}, {5, "full"}, {6, "full"}, {7, "full"}, {8, "full"}, {9, "full"},
    {BERT, "bias"}, {BERT, "head"}, {LLAMA, "last layers 1"}, {BERT, "pattern on embed.norm.*,layer.1.attn.norm.weight"},
    {BERT, "prefix tokens 3 init activations"}, {LLAMA, "prefix tokens 4 init activations"}, {GPT2, "lora rank 2 on o,up"}, {LLAMA, "lora rank 2 on q,v,gate"},
    {ALBERT, "pattern on layer.0.mlp.up.*,layer.0.attn.v.*"}, {ALBERT, "prefix tokens 3 init activations"}, {ALBERT, "lora rank 2 on q,v,o"}};
enum { HALVES = sizeof halves / sizeof *halves };

/* A gradient (*size, host; zo_free gives it back). `second`: with the family's other head. *grown: bytes that the pass allocated. */
static inline float *half_gradient(zo_backend *be, int at, bool second, zo_storage storage, zo_storage rounded, zo_precision precision, bool checkpoint, double *loss,
                                   int64_t *size, uint64_t *grown)
{
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    bool options = second && causal(halves[at].family);
    zo_tune tune;
    ck_assert_msg(zo_tune_parse(halves[at].tune, "test", &tune, &storage_err) == ZO_OK, "%s", storage_err.text);
    zo_model *model = golden_model_of(be, halves[at].family, second, precision, storage, &tune);
    if (storage == ZO_STORAGE_F32) {
        round_weights(model, rounded);
    }
    zo_batch *b = golden_batch(zo_model_arch(model), options, options ? 6 : 4, length, 3);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
    zo_store *g = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
    uint64_t before = zo_mem_live(be->space).total_bytes;
    zo_model_grad(model, b, 0.5, checkpoint, g, loss);
    *grown = zo_mem_live(be->space).total_bytes - before;
    *size = g->size;
    float *host = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)g->size * sizeof *host);
    zo_store_read(be, g, 0, g->size, host);
    zo_store_free(be, g);
    zo_batch_free(b);
    zo_model_close(model);
    return host;
}

#endif
