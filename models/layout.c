/* layout.c: which parameters an objective needs, in the order in which the forward pass meets them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/arch.h"

static void add(zo_layout *layout, zo_param_kind kind, int64_t rows, int64_t cols, int block, bool decay,
                const char *format, ...) __attribute__((format(printf, 7, 8)));

static void add(zo_layout *layout, zo_param_kind kind, int64_t rows, int64_t cols, int block, bool decay,
                const char *format, ...)
{
    char name[sizeof layout->param->name];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    zo_layout_add(layout, name, kind, rows, cols, block, decay);
}

/* stem.weight (1, cols) and, for LayerNorm, stem.bias */
static void add_norm(zo_layout *layout, const zo_arch *arch, int block, int cols, const char *stem)
{
    add(layout, ZO_PARAM_VECTOR, 1, cols, block, false, "%s.weight", stem);
    if (arch->norm == ZO_LAYERNORM) {
        add(layout, ZO_PARAM_VECTOR, 1, cols, block, false, "%s.bias", stem);
    }
}

static void add_linear(zo_layout *layout, int block, int rows, int cols, bool bias, const char *stem)
{
    add(layout, ZO_PARAM_MATRIX, rows, cols, block, true, "%s.weight", stem);
    if (bias) {
        add(layout, ZO_PARAM_VECTOR, 1, rows, block, false, "%s.bias", stem);
    }
}

/* A linear layer of a block, which may have an adapter. */
static void add_adapted(zo_layout *layout, const zo_arch *a, int block, unsigned on, int rows, int cols, bool bias, const char *stem)
{
    add_linear(layout, block, rows, cols, bias, stem);
    if (a->lora.rank == 0 || (a->lora.on & on) == 0) {
        return;
    }
    add(layout, ZO_PARAM_MATRIX, a->lora.rank, cols, block, true, "%s.lora_a.weight", stem);
    add(layout, ZO_PARAM_MATRIX, rows, a->lora.rank, block, true, "%s.lora_b.weight", stem);
    zo_param *lora = &layout->param[layout->n - 2];
    lora[0].lora = ZO_LORA_A;
    lora[1].lora = ZO_LORA_B;
    lora[0].added = lora[1].added = true;
    lora[1].scale = (float)(a->lora.alpha / a->lora.rank);
}

static void add_block(zo_layout *layout, const zo_arch *a, int block)
{
    char stem[64];
    int q = a->heads * a->head_dim, kv = a->kv_heads * a->head_dim;
#define STEM(text) (snprintf(stem, sizeof stem, "layer.%d." text, block), stem)
    if (a->norm_first) {
        add_norm(layout, a, block, a->hidden, STEM("attn.norm"));
    }
    add_adapted(layout, a, block, ZO_LORA_Q, q, a->hidden, a->attn_bias, STEM("attn.q"));
    add_adapted(layout, a, block, ZO_LORA_K, kv, a->hidden, a->attn_bias, STEM("attn.k"));
    add_adapted(layout, a, block, ZO_LORA_V, kv, a->hidden, a->attn_bias, STEM("attn.v"));
    add_adapted(layout, a, block, ZO_LORA_O, a->hidden, q, a->attn_out_bias, STEM("attn.o"));
    if (!a->norm_first) {
        add_norm(layout, a, block, a->hidden, STEM("attn.norm"));
    }
    if (a->norm_first) {
        add_norm(layout, a, block, a->hidden, STEM("mlp.norm"));
    }
    if (a->gated) {
        add_adapted(layout, a, block, ZO_LORA_GATE, a->ffn, a->hidden, a->mlp_bias, STEM("mlp.gate"));
    }
    add_adapted(layout, a, block, ZO_LORA_UP, a->ffn, a->hidden, a->mlp_bias, STEM("mlp.up"));
    add_adapted(layout, a, block, ZO_LORA_DOWN, a->hidden, a->ffn, a->mlp_bias, STEM("mlp.down"));
    if (!a->norm_first) {
        add_norm(layout, a, block, a->hidden, STEM("mlp.norm"));
    }
#undef STEM
}

/* MeZO's released code for RoBERTa loads the decoder as a copy of the embeddings and trains it untied (unless told --tie_emb): the model has
 * vocab x hidden more trained numbers, each direction perturbs the two apart, and its memory is that much larger. */
void zo_arch_set_decoder(zo_arch *arch, zo_head head, zo_decoder decoder)
{
    if (head == ZO_HEAD_CLASS) {
        return;
    }
    bool mezo = decoder == ZO_DECODER_DEFAULT && head == ZO_HEAD_WORDS && strcmp(arch->family, "roberta") == 0;
    arch->decoder_copy = arch->tied && (mezo || decoder == ZO_DECODER_UNTIED);
    arch->tied = (arch->tied && !arch->decoder_copy) || decoder == ZO_DECODER_TIED;
}

void zo_arch_position_rows(const zo_arch *arch, const zo_batch *batch, int32_t *row)
{
    int32_t sequence = 0, counted = 0;
    for (int32_t t = 0; t < batch->tokens; t++) {
        for (; sequence < batch->seqs && batch->start[sequence] == t; sequence++) {
            counted = 0; /* the last of several that begin here has tokens */
        }
        if (!arch->pad_skips) {
            row[t] = batch->position[t] + arch->position_offset;
        } else if (t >= batch->start[batch->seqs]) {
            row[t] = row[t - 1];
        } else {
            row[t] = batch->id[t] == arch->pad ? arch->position_offset - 1 : counted++ + arch->position_offset;
        }
    }
}

void zo_arch_layout(const zo_arch *arch, zo_head head, int classes, zo_layout *layout)
{
    const zo_arch *a = arch;
    bool lm = head != ZO_HEAD_CLASS;
    add(layout, ZO_PARAM_TABLE, a->vocab, a->embed, -1, true, "embed.token");
    /* A tied head reads rows that are no ids of the batch (other words, label words). */
    layout->param[layout->n - 1].whole = lm && a->tied;
    if (a->learned_positions) {
        add(layout, ZO_PARAM_TABLE, a->positions + a->position_offset, a->hidden, -1, true, "embed.position");
    }
    if (a->types > 0) {
        add(layout, ZO_PARAM_TABLE, a->types, a->hidden, -1, true, "embed.type");
    }
    if (a->embed_norm) {
        add_norm(layout, a, -1, a->hidden, "embed.norm");
    }
    if (a->embed != a->hidden) {
        add_linear(layout, -1, a->hidden, a->embed, false, "embed.in");
    }
    for (int i = 0; i < a->layers; i++) {
        add_block(layout, a, i);
    }
    if (a->final_norm) {
        add_norm(layout, a, -1, a->hidden, "final.norm");
    }
    if (a->embed != a->hidden) {
        add_linear(layout, -1, a->embed, a->hidden, false, "embed.out");
    }
    if (lm) {
        if (a->head_transform) {
            add_linear(layout, -1, a->hidden, a->hidden, true, "lm.dense");
            add_norm(layout, a, -1, a->hidden, "lm.norm");
        }
        if (!a->tied) {
            /* Label words are rows that are looked up: no other row is ever read, so none is moved. */
            add(layout, head == ZO_HEAD_WORDS ? ZO_PARAM_TABLE : ZO_PARAM_MATRIX, a->vocab, a->embed, -1, true, "lm.decoder.weight");
        }
        if (a->head_bias) {
            add(layout, ZO_PARAM_VECTOR, 1, a->vocab, -1, false, "lm.decoder.bias");
        }
    } else if (classes > 0) {
        bool last = a->class_head == ZO_CLASS_LAST_TOKEN;
        if (!last) {
            add_linear(layout, -1, a->hidden, a->hidden, true, "class.dense");
        }
        add_linear(layout, -1, classes, a->embed, !last, "class.out");
    }
}
