/* layout.c: which parameters an objective needs, in the order in which the forward pass meets them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "models/arch.h"

/* A layout under way: what is added belongs to the stage, the block, the linear layer and the part that stand here. */
typedef struct builder {
    zo_layout *layout;
    const zo_arch *arch;
    int stage, block;
    unsigned linear;
    bool head;
} builder;

/* What stands in every parameter that is added. */
static zo_param *belong(builder *b, int at)
{
    zo_param *p = &b->layout->param[at];
    p->head = b->head;
    p->stage = b->stage;
    b->layout->stages = b->stage + 1;
    return p;
}

static void add(builder *b, zo_param_kind kind, int64_t rows, int64_t cols, bool bias, const char *format, ...) __attribute__((format(printf, 6, 7)));

static void add(builder *b, zo_param_kind kind, int64_t rows, int64_t cols, bool bias, const char *format, ...)
{
    char name[sizeof b->layout->param->name];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    int at = zo_layout_add(b->layout, name, kind, rows, cols, b->block, kind != ZO_PARAM_VECTOR); /* may move `param` */
    zo_param *p = belong(b, at);
    p->bias = bias;
    p->linear = kind == ZO_PARAM_MATRIX ? b->linear : 0;
}

/* stem.weight (1, cols) and, for LayerNorm, stem.bias */
static void add_norm(builder *b, int cols, const char *stem)
{
    add(b, ZO_PARAM_VECTOR, 1, cols, false, "%s.weight", stem);
    if (zo_arch_norm_bias(b->arch)) {
        add(b, ZO_PARAM_VECTOR, 1, cols, true, "%s.bias", stem);
    }
}

static void add_linear(builder *b, int rows, int cols, bool bias, const char *stem)
{
    const zo_quantised *q = &b->arch->quantised;
    if (b->block >= 0 && q->bits > 0) {
        char name[sizeof b->layout->param->name];
        snprintf(name, sizeof name, "%s.weight", stem);
        int at = zo_layout_add_codes(b->layout, name, rows, cols, b->block, q->bits, q->group);
        belong(b, at);
        belong(b, at + 1)->added = true;
    } else {
        add(b, ZO_PARAM_MATRIX, rows, cols, false, "%s.weight", stem);
    }
    if (bias) {
        add(b, ZO_PARAM_VECTOR, 1, rows, true, "%s.bias", stem);
    }
}

/* A linear layer of a block, which may have an adapter. */
static void add_adapted(builder *b, unsigned on, int rows, int cols, bool bias, const char *stem)
{
    const zo_lora *lora = &b->arch->lora;
    b->linear = on;
    add_linear(b, rows, cols, bias, stem);
    if (lora->rank == 0 || (lora->on & on) == 0) {
        b->linear = 0;
        return;
    }
    add(b, ZO_PARAM_MATRIX, lora->rank, cols, false, "%s.lora_a.weight", stem);
    add(b, ZO_PARAM_MATRIX, rows, lora->rank, false, "%s.lora_b.weight", stem);
    b->linear = 0;
    zo_param *pair = &b->layout->param[b->layout->n - 2];
    pair[0].lora = ZO_LORA_A;
    pair[1].lora = ZO_LORA_B;
    pair[0].added = pair[1].added = true;
    pair[1].scale = (float)(lora->alpha / lora->rank);
}

/* Norms of a side adapter are LayerNorms, whatever those of the model are. */
static void add_layer_norm(builder *b, int cols, const char *stem)
{
    add(b, ZO_PARAM_VECTOR, 1, cols, false, "%s.weight", stem);
    add(b, ZO_PARAM_VECTOR, 1, cols, true, "%s.bias", stem);
}

/* Between the blocks: every stage below is that of blocks in front of it. */
static void add_side(builder *b)
{
    const zo_arch *a = b->arch;
    int first = b->layout->n, width = zo_arch_side_width(a), taps = zo_arch_side_block(a) + 1;
    char stem[64];
    b->stage++;
    for (int k = 0; k < taps; k++) {
        snprintf(stem, sizeof stem, "side.%d.down", k);
        add_linear(b, width, a->hidden, true, stem);
    }
    b->stage++;
    for (int k = 0; k < taps; k++) {
        snprintf(stem, sizeof stem, "side.%d.norm", k);
        add_layer_norm(b, width, stem);
    }
    b->stage++;
    add_linear(b, 1, width, true, "side.score");
    b->layout->param[b->layout->n - 2].a_token = taps - 1;
    b->stage++;
    add_linear(b, a->hidden, width, true, "side.out");
    b->stage++;
    add_layer_norm(b, a->hidden, "side.norm");
    add(b, ZO_PARAM_TABLE, 1, 1, false, "side.gate");
    b->layout->param[b->layout->n - 1].whole = true; /* every pass reads it */
    for (int t = first; t < b->layout->n; t++) {
        b->layout->param[t].added = true;
    }
}

/* Keys and values that a layer's tokens see besides. */
static void add_prefix(builder *b, int layer)
{
    const zo_arch *a = b->arch;
    for (int i = 0; i < 2 && a->prefix > 0; i++) {
        add(b, ZO_PARAM_TABLE, a->prefix, a->kv_heads * a->head_dim, false, "layer.%d.attn.prefix.%c", layer, "kv"[i]);
        zo_param *p = &b->layout->param[b->layout->n - 1];
        p->whole = p->added = true; /* every pass reads every row */
    }
}

/* A layer that reads the parameters of the one before it again, in stages of its own. `stages`: of a layer. */
static void add_again(builder *b, int layer, int stages)
{
    int first = b->stage;
    for (int i = 0; i < b->layout->n; i++) {
        zo_param *p = &b->layout->param[i];
        p->again += p->block == zo_arch_block(b->arch, layer) && strstr(p->name, ".prefix.") == NULL;
    }
    b->block = zo_arch_block(b->arch, layer);
    b->stage += 1 + b->arch->norm_first; /* that of queries, keys and values */
    add_prefix(b, layer);
    b->block = -1;
    b->stage = first + stages;
}

static void add_block(builder *b, int block, int layer)
{
    const zo_arch *a = b->arch;
    char stem[64];
    int q = a->heads * a->head_dim, kv = a->kv_heads * a->head_dim;
#define STEM(text) (snprintf(stem, sizeof stem, "layer.%d." text, block), stem)
    b->block = block;
    if (zo_arch_reads_norm(a, block)) {
        b->stage++;
        add_norm(b, a->hidden, STEM("attn.norm"));
    }
    b->stage++;
    add_adapted(b, ZO_LINEAR_Q, q, a->hidden, a->attn_bias, STEM("attn.q"));
    add_adapted(b, ZO_LINEAR_K, kv, a->hidden, a->attn_bias, STEM("attn.k"));
    add_adapted(b, ZO_LINEAR_V, kv, a->hidden, a->attn_bias, STEM("attn.v"));
    add_prefix(b, layer);
    if (a->head_norm) {
        b->stage++;
        add_norm(b, a->head_dim, STEM("attn.q_norm"));
        b->layout->param[b->layout->n - 1].a_token = a->heads;
        add_norm(b, a->head_dim, STEM("attn.k_norm"));
        b->layout->param[b->layout->n - 1].a_token = a->kv_heads;
    }
    b->stage++;
    add_adapted(b, ZO_LINEAR_O, a->hidden, q, a->attn_out_bias, STEM("attn.o"));
    if (a->post_norm) {
        b->stage++;
        add_norm(b, a->hidden, STEM("attn.post_norm"));
    }
    b->stage += a->parallel ? -2 : 1; /* side by side: norm beside norm, and so on */
    if (!a->one_norm) {
        add_norm(b, a->hidden, a->norm_first ? STEM("mlp.norm") : STEM("attn.norm"));
    }
    b->stage++;
    if (a->gated) {
        add_adapted(b, ZO_LINEAR_GATE, a->ffn, a->hidden, a->mlp_bias, STEM("mlp.gate"));
    }
    add_adapted(b, ZO_LINEAR_UP, a->ffn, a->hidden, a->mlp_bias, STEM("mlp.up"));
    b->stage++;
    add_adapted(b, ZO_LINEAR_DOWN, a->hidden, a->ffn, a->mlp_bias, STEM("mlp.down"));
    if (!a->norm_first) {
        b->stage++;
        add_norm(b, a->hidden, STEM("mlp.norm"));
    }
    if (a->post_norm) {
        b->stage++;
        add_norm(b, a->hidden, STEM("mlp.post_norm"));
    }
    b->block = -1;
#undef STEM
}

zo_status zo_arch_check_head(const zo_arch *arch, zo_head head, int classes, zo_err *err)
{
    if (head == ZO_HEAD_CLASS && classes > 0 && arch->class_mean) {
        return zo_fail(err, ZO_EUNSUPPORTED, "a classification head of this model (%s) reads the mean of all tokens (\"classifier_pooling\" in config.json), which is not "
                       "here; use \"form\": \"prompt\", or a config.json that says \"cls\"", arch->family);
    }
    return ZO_OK;
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

static void add_head(builder *b, zo_head head, int classes)
{
    const zo_arch *a = b->arch;
    b->head = true;
    b->stage++;
    bool class = head == ZO_HEAD_CLASS, transform = class ? a->class_head == ZO_CLASS_TRANSFORM : a->head_transform;
    if (transform) {
        add_linear(b, zo_arch_table_width(a), a->hidden, !a->head_plain, "lm.dense");
        b->stage++;
        add_norm(b, zo_arch_table_width(a), "lm.norm");
        b->stage++;
    }
    if (class) {
        bool last = a->class_head == ZO_CLASS_LAST_TOKEN;
        if (!transform && !last) {
            add_linear(b, a->hidden, a->hidden, true, "class.dense");
            b->stage++;
        }
        add_linear(b, classes, a->factorised ? a->hidden : a->embed, !last, "class.out");
        return;
    }
    if (!a->tied) {
        /* Label words are rows that are looked up: no other row is ever read, so none is moved. */
        add(b, head == ZO_HEAD_WORDS ? ZO_PARAM_TABLE : ZO_PARAM_MATRIX, a->vocab, a->embed, false, "lm.decoder.weight");
    }
    if (a->head_bias) {
        add(b, ZO_PARAM_VECTOR, 1, a->vocab, true, "lm.decoder.bias");
    }
    b->layout->stages = b->stage + 1; /* the decoder's, also where it is the token table */
}

void zo_arch_layout(const zo_arch *arch, zo_head head, int classes, zo_layout *layout)
{
    const zo_arch *a = arch;
    builder b = {.layout = layout, .arch = arch, .block = -1};
    add(&b, ZO_PARAM_TABLE, a->vocab, a->embed, false, "embed.token");
    /* A tied head reads rows that are no ids of the batch (other words, label words). */
    layout->param[layout->n - 1].whole = head != ZO_HEAD_CLASS && a->tied;
    b.stage++; /* what is added to the projected tokens */
    if (a->learned_positions) {
        add(&b, ZO_PARAM_TABLE, a->positions + a->position_offset, zo_arch_table_width(a), false, "embed.position");
    }
    if (a->types > 0) {
        add(&b, ZO_PARAM_TABLE, a->types, zo_arch_table_width(a), false, "embed.type");
    }
    if (a->embed_norm) {
        b.stage++;
        add_norm(&b, zo_arch_table_width(a), "embed.norm");
    }
    if (a->factorised) {
        b.stage++;
        add_linear(&b, a->hidden, a->embed, true, "embed.in");
    } else if (zo_arch_projects_in(a)) {
        b.stage -= a->embed_norm; /* beside the positions */
        add_linear(&b, a->hidden, a->embed, false, "embed.in");
        b.stage += a->embed_norm;
    }
    for (int l = 0, stages = 0; l < a->layers; l++) {
        if (a->side.late > 0 && l == zo_arch_side_block(a)) {
            add_side(&b);
        }
        int first = b.stage;
        if (zo_arch_begins_block(a, l)) {
            add_block(&b, zo_arch_block(a, l), l);
            stages = b.stage - first;
        } else {
            add_again(&b, l, stages);
        }
    }
    b.stage++;
    if (a->final_norm) {
        add_norm(&b, a->hidden, "final.norm");
        b.stage++;
    }
    if (zo_arch_projects_out(a)) {
        add_linear(&b, a->embed, a->hidden, false, "embed.out");
    }
    if (head != ZO_HEAD_CLASS || classes > 0) {
        add_head(&b, head, classes);
    }
}
