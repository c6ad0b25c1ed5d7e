/* prefix.c: see prefix.h. */
#include "models/prefix.h"

#include "core/rng.h"
#include "models/transformer.h"

/* The ids and positions of one sequence of `n` tokens of the vocabulary; gives it back as zo_batch_free does. */
static zo_batch *random_tokens(int32_t vocab, int32_t n, uint64_t seed)
{
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.tokens = n, .seqs = 1};
    b->id = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *b->id);
    b->position = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *b->position);
    b->start = zo_alloc(ZO_HOST, ZO_TAG_DATA, 2 * sizeof *b->start);
    b->start[1] = n;
    for (int32_t t = 0; t < n; t++) {
        b->id[t] = (int32_t)zo_below((zo_stream){.seed = seed, .tensor = zo_param_id("prefix"), .role = ZO_ROLE_INIT}, (uint64_t)t, (uint32_t)vocab);
        b->position[t] = t;
    }
    return b;
}

/* A pass that keeps what every layer makes, over random tokens and without the prefix, which has no values yet. What it takes is given back. */
static void draw_activations(zo_model *model, uint64_t seed)
{
    zo_backend *be = model->be;
    const zo_store *stored = model->store;
    zo_view view = zo_view_stored(&stored);
    int rows = model->arch.prefix;
    int64_t cols = (int64_t)model->arch.kv_heads * model->arch.head_dim;
    float *host = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(rows * cols) * sizeof *host);
    zo_batch *batch = random_tokens(model->arch.vocab, rows, seed);
    if (be->extra_begin) {
        be->extra_begin(be);
    }
    model->arch.prefix = 0;
    zo_model_reserve(model, rows, rows, 0, 1, ZO_BACKWARD, NULL);
    zo_pass pass;
    zo_pass_begin(model, &pass, &view, batch, ZO_BACKWARD, true, false);
    zo_transformer_forward(model, &pass, &view, batch, NULL);
    model->arch.prefix = rows;
    for (int l = 0; l < model->arch.layers; l++) {
        const float *made[] = {model->kept[l].k, model->kept[l].v};
        for (int i = 0; i < 2; i++) {
            be->download(be, host, made[i], (size_t)(rows * cols) * sizeof *host);
            zo_store_set(be, model->store, model->ids.block[l].prefix[i], host);
        }
    }
    zo_model_unreserve(model);
    if (be->extra_end) {
        be->extra_end(be);
    }
    zo_batch_free(batch);
    zo_free(host);
}

zo_status zo_prefix_draw(zo_model *model, zo_prefix_init how, uint64_t seed, zo_err *err)
{
    const zo_arch *a = &model->arch;
    if (how == ZO_PREFIX_ACTIVATIONS && a->prefix > a->positions) {
        return zo_fail(err, ZO_EINPUT, "a prefix of %d tokens begins as the activations of as many, and the model (%s) has %d positions; ask for fewer tokens, or "
                       "for \"init\": \"random\"", a->prefix, a->family, a->positions);
    }
    if (how == ZO_PREFIX_ACTIVATIONS) {
        draw_activations(model, seed);
        return ZO_OK;
    }
    for (int l = 0; l < a->layers; l++) {
        for (int i = 0; i < 2; i++) {
            model->be->init_normal(model->be, model->store, model->ids.block[l].prefix[i], seed, 1.0f);
        }
    }
    return ZO_OK;
}
