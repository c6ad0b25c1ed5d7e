/* transformer.c: the one forward and the one backward of every family, parametrised by zo_arch: where norms stand and of which kind,
 * activation, gate, positions (learned or rotary), grouped heads, causal or not. Transformer: Vaswani et al. 2017; pre-norm as in
 * GPT-2; RMSNorm, RoPE (Su et al., arXiv 2104.09864) and gated MLP as in LLaMA (arXiv 2302.13971).
 *
 * Tokens are packed; all points of a view run in one pass. After the last attention only the rows that a head reads go on.
 * The backward pass is written by hand in the mirror order (there is no graph), at one point, for what is trained: it ends at the lowest
 * stage of that. No dropout.
 * Keys and values of a forward pass may be kept, and asked by a later one (zo_cache).
 * It does not: know of heads and losses (head.c), generate text (generate.c). */
#include "models/transformer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "models/rope.h"

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* ---- where parameters stand --------------------------------------------------------------------------------------------- */

static int find(const zo_model *model, const char *name, bool wanted)
{
    int at = zo_layout_find(&model->layout, name);
    ZO_CHECK(at >= 0 || !wanted, "the layout of family %s lacks %s; zo_arch_layout and transformer.c disagree", model->arch.family, name);
    return wanted ? at : -1;
}

zo_pair zo_find_pair(const zo_model *model, const char *name, bool weight, bool bias)
{
    char full[160];
    snprintf(full, sizeof full, "%s.weight", name);
    zo_pair pair = {find(model, full, weight), -1, {-1, -1}, 0};
    snprintf(full, sizeof full, "%s.bias", name);
    pair.bias = find(model, full, bias);
    for (int i = 0; i < 2; i++) {
        snprintf(full, sizeof full, "%s.lora_%c.weight", name, "ab"[i]);
        pair.lora[i] = zo_layout_find(&model->layout, full);
    }
    return pair;
}

static zo_pair find_in_block(const zo_model *model, int layer, const char *name, bool weight, bool bias)
{
    char full[128];
    snprintf(full, sizeof full, "layer.%d.%s", layer, name);
    return zo_find_pair(model, full, weight, bias);
}

/* Parameters of a head are in the layout only where the objective uses them. */
static zo_pair find_optional(const zo_model *model, const char *name)
{
    char full[160];
    snprintf(full, sizeof full, "%s.weight", name);
    zo_pair pair = {zo_layout_find(&model->layout, full), -1, {-1, -1}, 0};
    snprintf(full, sizeof full, "%s.bias", name);
    pair.bias = zo_layout_find(&model->layout, full);
    return pair;
}

static bool is_trained(const zo_model *model, int param)
{
    return param >= 0 && !model->layout.param[param].frozen;
}

/* Does a gradient go on to what this layer reads? */
static bool goes_below(const zo_model *model, zo_pair pair)
{
    return zo_goes_below(model, model->layout.param[pair.weight].stage + pair.later);
}

/* The gradient of a layer's or norm's parameters is complete, unless an earlier place of the forward pass reads them too. */
static void pair_done(const zo_model *model, const zo_pass *pass, zo_pair pair)
{
    if (pair.later == 0) {
        zo_gradient_done(model, pass, pair.weight);
        zo_gradient_done(model, pass, pair.bias);
    }
}

/* Is the input of a linear layer read in the backward pass? Its adapter's A is, and from it what B reads is made again. */
static bool reads_input(const zo_model *model, zo_pair pair)
{
    return is_trained(model, pair.weight) || is_trained(model, pair.lora[0]) || is_trained(model, pair.lora[1]);
}

/* And the input of a norm? */
static bool reads_normed(const zo_model *model, zo_pair pair)
{
    return goes_below(model, pair) || is_trained(model, pair.weight);
}

static zo_keeps keeps_of(const zo_model *model, const zo_block_ids *b)
{
    bool pre = model->arch.norm_first, normed = pre && b->attn_norm.weight >= 0, parallel = model->arch.parallel, one_norm = model->arch.one_norm;
    bool key_value = reads_input(model, b->k) || reads_input(model, b->v);
    bool query = reads_input(model, b->q), in = normed ? reads_normed(model, b->attn_norm) || (parallel && !one_norm && reads_normed(model, b->mlp_norm)) : key_value;
    bool mlp = reads_input(model, b->up) || (b->gate.weight >= 0 && reads_input(model, b->gate));
    bool heads = model->arch.head_norm, post = model->arch.post_norm;
    return (zo_keeps){.raw_heads = !heads || reads_normed(model, b->q_norm) || reads_normed(model, b->k_norm),
                      .raw_o = !post || reads_normed(model, b->attn_post),
                      .raw_down = !post || reads_normed(model, b->mlp_post),
                      .in = in,
                      .h1 = !normed || key_value,
                      .query = query || (one_norm && mlp),
                      .heads = goes_below(model, b->o),
                      .a = goes_below(model, b->o) || reads_input(model, b->o),
                      .mid = parallel ? in : reads_normed(model, pre ? b->mlp_norm : b->attn_norm),
                      .h2 = mlp || (one_norm && query),
                      .up = goes_below(model, b->down),
                      .f = reads_input(model, b->down),
                      .out = pre || reads_normed(model, b->mlp_norm)};
}

/* Has the block's backward pass anything to do? */
static bool is_active(const zo_model *model, int layer)
{
    const zo_block_ids *b = &model->ids.block[layer];
    zo_pair last = model->arch.post_norm ? b->mlp_post : model->arch.norm_first ? b->down : b->mlp_norm;
    return zo_goes_below(model, model->layout.param[last.weight].stage + last.later + 1);
}

static int stage_of(const zo_model *model, zo_pair pair)
{
    return model->layout.param[pair.weight].stage;
}

/* A layer that reads the parameters of the one before it. */
static void read_again(const zo_model *model, zo_block_ids *b, const zo_block_ids *before)
{
    const zo_arch *a = &model->arch;
    zo_pair first = a->norm_first ? b->attn_norm : b->q, last = a->post_norm ? b->mlp_post : a->norm_first ? b->down : b->mlp_norm;
    int later = before->q.later + stage_of(model, last) - stage_of(model, first) + 1;
    zo_pair *const pairs[] = {&b->attn_norm, &b->q, &b->k, &b->v, &b->q_norm, &b->k_norm, &b->o, &b->attn_post, &b->mlp_norm, &b->gate, &b->up, &b->down, &b->mlp_post};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        pairs[i]->later = later;
    }
}

void zo_transformer_wire(zo_model *model)
{
    const zo_arch *a = &model->arch;
    zo_ids_of *ids = &model->ids;
    bool norm_bias = zo_arch_norm_bias(a);
    ids->token = find(model, "embed.token", true);
    ids->position = find(model, "embed.position", a->learned_positions);
    ids->type = find(model, "embed.type", a->types > 0);
    ids->embed_norm = zo_find_pair(model, "embed.norm", a->embed_norm, a->embed_norm && norm_bias);
    ids->in = zo_find_pair(model, "embed.in", zo_arch_projects_in(a), a->factorised);
    ids->out = zo_find_pair(model, "embed.out", zo_arch_projects_out(a), false);
    ids->final_norm = zo_find_pair(model, "final.norm", a->final_norm, a->final_norm && norm_bias);
    for (int l = 0; l < a->layers; l++) {
        zo_block_ids *b = &ids->block[l];
        bool attn_norm = !a->norm_first || zo_arch_reads_norm(a, zo_arch_block(a, l));
        b->attn_norm = find_in_block(model, zo_arch_block(a, l), "attn.norm", attn_norm, attn_norm && norm_bias);
        b->q = find_in_block(model, zo_arch_block(a, l), "attn.q", true, a->attn_bias);
        b->k = find_in_block(model, zo_arch_block(a, l), "attn.k", true, a->attn_bias);
        b->v = find_in_block(model, zo_arch_block(a, l), "attn.v", true, a->attn_bias);
        b->o = find_in_block(model, zo_arch_block(a, l), "attn.o", true, a->attn_out_bias);
        for (int i = 0; i < 2; i++) {
            char name[64];
            snprintf(name, sizeof name, "layer.%d.attn.prefix.%c", l, "kv"[i]);
            b->prefix[i] = find(model, name, a->prefix > 0);
        }
        b->q_norm = find_in_block(model, zo_arch_block(a, l), "attn.q_norm", a->head_norm, a->head_norm && norm_bias);
        b->k_norm = find_in_block(model, zo_arch_block(a, l), "attn.k_norm", a->head_norm, a->head_norm && norm_bias);
        b->attn_post = find_in_block(model, zo_arch_block(a, l), "attn.post_norm", a->post_norm, a->post_norm && norm_bias);
        b->mlp_post = find_in_block(model, zo_arch_block(a, l), "mlp.post_norm", a->post_norm, a->post_norm && norm_bias);
        b->mlp_norm = find_in_block(model, zo_arch_block(a, l), "mlp.norm", !a->one_norm, !a->one_norm && norm_bias);
        b->gate = find_in_block(model, zo_arch_block(a, l), "mlp.gate", a->gated, a->gated && a->mlp_bias);
        b->up = find_in_block(model, zo_arch_block(a, l), "mlp.up", true, a->mlp_bias);
        b->down = find_in_block(model, zo_arch_block(a, l), "mlp.down", true, a->mlp_bias);
        if (!zo_arch_begins_block(a, l)) {
            read_again(model, b, &ids->block[l - 1]);
        }
        b->keeps = keeps_of(model, b);
    }
    if (a->side.late > 0) {
        zo_side_wire(model);
    }
    ids->lm_dense = find_optional(model, "lm.dense");
    ids->lm_norm = find_optional(model, "lm.norm");
    ids->decoder = find_optional(model, "lm.decoder");
    if (a->tied) {
        ids->decoder.weight = ids->token;
    }
    ids->class_dense = find_optional(model, "class.dense");
    ids->class_out = find_optional(model, "class.out");
    int first = ids->class_dense.weight >= 0 ? ids->class_dense.weight : ids->lm_dense.weight >= 0 ? ids->lm_dense.weight : ids->class_out.weight;
    ids->head_stage = first >= 0 ? model->layout.param[first].stage : model->layout.stages - 1;
    model->width = zo_arch_projects_out(a) ? a->embed : a->hidden;
}

/* ---- buffers of a pass -------------------------------------------------------------------------------------------------- */

static float *take(zo_lay *l, int64_t floats)
{
    floats = (int64_t)zo_round_up((uint64_t)floats, 16);
    bool fits = floats <= l->size - l->used;
    float *base = fits ? l->base : l->more;
    int64_t *used = fits ? &l->used : &l->more_used, at = *used;
    *used += floats;
    return base ? base + at : NULL;
}

static float *offset(float *base, int64_t floats)
{
    return base ? base + floats : NULL;
}

/* What norms read that are made in place. */
static void in_place(zo_block_bufs *b)
{
    b->raw_q = b->q;
    b->raw_k = b->k;
    b->raw_o = b->o;
    b->raw_down = b->out;
}

/* Where in r, what is widest in a block, each part begins, in floats a token: of the attention q, k, v, then a where h still has the norm's output;
 * of the MLP what it reads and makes, in parallel blocks behind what the attention gave. */
typedef struct zo_wide { int64_t k, v, a, mlp, all; } zo_wide;

static zo_wide wide_of(const zo_arch *a)
{
    int64_t q = max64((int64_t)a->heads * a->head_dim, a->hidden), kv = (int64_t)a->kv_heads * a->head_dim, mlp = a->parallel ? a->hidden : 0;
    return (zo_wide){.k = q, .v = q + kv, .a = q + 2 * kv, .mlp = mlp,
                     .all = max64(q + 2 * kv + (a->parallel ? q : 0), mlp + (int64_t)a->ffn * (a->gated ? 2 : 1))};
}

/* Buffers of a side adapter, where there is one. */
static void lay_side(const zo_model *model, zo_pass *pass, zo_lay *l, float *spare, float *work)
{
    int64_t at_work;
    if (model->arch.side.late > 0) {
        zo_side_lay(model, pass, take(l, zo_side_lay(model, pass, NULL, NULL, NULL, &at_work)), spare, work, &at_work);
    }
}

/* Of what a head reads, and of what its dense layer makes. */
static int64_t widest_of_head(const zo_model *model)
{
    return max64(model->width, zo_arch_table_width(&model->arch));
}

/* One memory for many purposes: x is the residual stream, h what a norm or the attention makes, r the widest of a block. */
static void lay_forward(const zo_model *model, zo_pass *pass, zo_lay *l)
{
    const zo_arch *a = &model->arch;
    int64_t n = pass->points * pass->tokens, q = (int64_t)a->heads * a->head_dim, kv = (int64_t)a->kv_heads * a->head_dim;
    int64_t wide_q = max64(q, a->hidden);
    zo_wide wide = wide_of(a);
    float *x = take(l, n * a->hidden);
    float *h = take(l, n * max64(wide_q, a->embed));
    float *r = take(l, n * max64(wide.all, widest_of_head(model))), *f = offset(r, n * wide.mlp);
    pass->e = h;
    pass->x = x;
    pass->x0 = a->factorised ? h : x;
    pass->block = (zo_block_bufs){.in = x, .h1 = a->norm_first ? h : x, .in_rows = x, .h1_rows = a->norm_first ? h : x,
                                  .q = r, .k = offset(r, n * wide.k), .v = offset(r, n * wide.v), .a = a->parallel ? offset(r, n * wide.a) : h, .o = r,
                                  .mid = x, .h2 = a->norm_first ? h : x, .pre = a->gated ? offset(f, n * a->ffn) : NULL,
                                  .gate = a->gated ? f : NULL, .f = f, .out = a->parallel ? r : h, .y = x};
    in_place(&pass->block);
    pass->lora = a->lora.rank > 0 ? take(l, n * a->lora.rank) : NULL;
    for (int i = 0; i < 2 && a->prefix > 0; i++) {
        pass->prefix[i] = take(l, pass->points * a->prefix * kv);
    }
    lay_side(model, pass, l, r, NULL);
    pass->last = h;
    pass->hidden = zo_arch_projects_out(a) ? r : a->final_norm ? h : x;
    pass->head[0] = pass->head[1] = pass->head[2] = r; /* projected outputs (the other use of r) have no dense head */
}

/* Memory of a gradient pass for what its backward pass does not read: as lay_forward's. NULL where everything is kept. */
typedef struct zo_shared { float *x, *h, *r; } zo_shared;

/* `rows`: those that go through the block. normed: its attention reads a norm of its input. in, y: see zo_block_bufs; y NULL = shared. */
static zo_block_bufs lay_block(const zo_arch *a, const zo_keeps *k, const zo_pass *pass, zo_lay *l, const zo_shared *s, bool normed, int64_t rows, float *in,
                               float *y)
{
    int64_t t = pass->tokens, q = (int64_t)a->heads * a->head_dim, kv = (int64_t)a->kv_heads * a->head_dim;
    zo_wide wide = wide_of(a);
    float *f = offset(s->r, t * wide.mlp);
    bool pre = a->norm_first, few = rows < t;
    zo_block_bufs b = {.in = in, .h1 = in, .y = y ? y : s->x};
#define OWN(kept, floats, shared) ((kept) ? take(l, floats) : (shared))
    if (normed) {
        b.h1 = OWN(k->h1 || (k->query && !few), t * a->hidden, s->h);
        b.stats1 = OWN(k->in, t * 2, NULL);
    }
    b.in_rows = few ? OWN(k->mid, rows * a->hidden, s->x) : b.in;
    b.h1_rows = !few ? b.h1 : normed ? OWN(k->query, rows * a->hidden, s->h) : b.in_rows;
    b.q = OWN(k->heads, rows * q, s->r);
    b.k = OWN(k->heads, t * kv, offset(s->r, t * wide.k));
    b.v = OWN(k->heads, t * kv, offset(s->r, t * wide.v));
    b.lse = OWN(k->heads, rows * a->heads, NULL);
    b.a = OWN(k->a, rows * q, a->parallel ? offset(s->r, t * wide.a) : s->h);
    b.mid = a->parallel ? b.in_rows : OWN(k->mid, rows * a->hidden, b.in_rows);
    b.stats2 = OWN(k->mid && !a->one_norm, rows * 2, NULL);
    b.h2 = a->one_norm ? b.h1_rows : OWN(k->h2, rows * a->hidden, pre ? s->h : s->x);
    b.pre = OWN(k->up, rows * a->ffn, a->gated ? offset(f, t * a->ffn) : NULL);
    b.gate = a->gated ? OWN(k->up, rows * a->ffn, f) : NULL;
    b.f = OWN(k->f, rows * a->ffn, f);
    b.out = pre ? (y ? y : a->parallel ? s->r : s->h) : OWN(k->out, rows * a->hidden, s->h);
    b.o = a->parallel ? b.out : k->mid ? b.mid : s->r;
    b.stats3 = pre ? NULL : OWN(k->out, rows * 2, NULL);
    in_place(&b);
    if (a->head_norm) {
        b.raw_q = OWN(k->raw_heads, rows * q, b.q);
        b.raw_k = OWN(k->raw_heads, t * kv, b.k);
        b.stats_q = OWN(k->raw_heads, rows * a->heads * 2, NULL);
        b.stats_k = OWN(k->raw_heads, t * a->kv_heads * 2, NULL);
    }
    if (a->post_norm) {
        b.raw_o = OWN(k->raw_o, rows * a->hidden, b.o);
        b.stats_o = OWN(k->raw_o, rows * 2, NULL);
        b.raw_down = OWN(k->raw_down, rows * a->hidden, b.out);
        b.stats_down = OWN(k->raw_down, rows * 2, NULL);
    }
#undef OWN
    return b;
}

static bool keeps_all(const zo_keeps *k)
{
    return k->in && k->h1 && k->query && k->heads && k->raw_heads && k->a && k->raw_o && k->mid && k->h2 && k->up && k->f && k->raw_down && k->out;
}

/* Is the block's input kept, of which `few` rows go on? */
static bool keeps_input(const zo_model *model, int layer, bool few)
{
    const zo_keeps *k = &model->ids.block[layer].keeps;
    return k->in || (!zo_arch_reads_norm(&model->arch, layer) && k->query && !few);
}

/* Every block keeps what its backward pass reads. */
static void lay_kept(zo_model *model, const zo_pass *pass, zo_lay *l, const zo_shared *s)
{
    const zo_arch *a = &model->arch;
    float *in = pass->x;
    for (int i = 0; i < a->layers; i++) {
        bool last = i == a->layers - 1;
        int64_t rows = last ? pass->rows : pass->tokens;
        bool kept = last || keeps_input(model, i + 1, i + 1 == a->layers - 1 && pass->rows < pass->tokens); /* the output; a head reads the last */
        float *y = kept ? take(l, rows * a->hidden) : NULL;
        model->kept[i] = lay_block(a, &model->ids.block[i].keeps, pass, l, s, zo_arch_reads_norm(a, i), rows, in, y);
        in = model->kept[i].y;
    }
}

/* Blocks with something to do keep their inputs; what one of them reads besides stands in buffers that all share. */
static void lay_checkpoints(zo_model *model, const zo_pass *pass, zo_lay *l, const zo_shared *s)
{
    const zo_arch *a = &model->arch;
    int64_t t = pass->tokens, rows = pass->rows;
    int lowest = a->layers; /* block with something to do */
    zo_keeps all = {.mid = true}, none = {0}; /* the input must stay: nothing is added to it in place */
    for (int i = a->layers - 1; i >= 0 && is_active(model, i); i--) {
        const zo_keeps *k = &model->ids.block[i].keeps;
        lowest = i;
        all = (zo_keeps){.in = all.in || k->in, .h1 = all.h1 || k->h1, .query = all.query || k->query, .heads = all.heads || k->heads,
                         .raw_heads = all.raw_heads || k->raw_heads, .a = all.a || k->a, .raw_o = all.raw_o || k->raw_o, .mid = true,
                         .h2 = all.h2 || k->h2, .up = all.up || k->up, .f = all.f || k->f, .raw_down = all.raw_down || k->raw_down,
                         .out = all.out || k->out};
    }
    bool several = lowest < a->layers - 1;
    zo_block_bufs b = {0};
    float *y = take(l, (several ? t : rows) * a->hidden), *in = pass->x;
    if (lowest < a->layers) {
        b = lay_block(a, &all, pass, l, s, zo_arch_reads_norm(a, a->layers - 1), several ? t : rows, pass->x, y);
    }
    if (several && rows < t) {
        b.in_rows = take(l, rows * a->hidden);
        b.h1_rows = !a->norm_first ? b.in_rows : all.query ? take(l, rows * a->hidden) : s->h;
    }
    for (int i = 0; i < a->layers; i++) {
        bool last = i == a->layers - 1, few = last && rows < t;
        float *next = last ? y : i + 1 >= lowest ? take(l, t * a->hidden) : NULL;
        if (i < lowest) {
            model->kept[i] = lay_block(a, &none, pass, l, s, zo_arch_reads_norm(a, i), last ? rows : t, in, next);
        } else {
            zo_block_bufs *k = &model->kept[i];
            *k = b;
            k->in = in;
            k->h1 = zo_arch_reads_norm(a, i) ? b.h1 : in;
            k->in_rows = few ? b.in_rows : in;
            k->h1_rows = few ? b.h1_rows : k->h1;
            k->y = next;
            k->out = a->norm_first ? next : b.out;
            k->o = a->parallel ? k->out : b.o;
            k->mid = a->parallel ? k->in_rows : b.mid;
            k->h2 = a->one_norm ? k->h1_rows : b.h2;
            k->raw_o = b.raw_o == b.o ? k->o : b.raw_o;
            k->raw_down = b.raw_down == b.out ? k->out : b.raw_down;
        }
        in = model->kept[i].y;
    }
}

static void lay_gradient(zo_model *model, zo_pass *pass, zo_lay *l)
{
    const zo_arch *a = &model->arch;
    const zo_ids_of *ids = &model->ids;
    int64_t t = pass->tokens, rows = pass->rows;
    int64_t q = (int64_t)a->heads * a->head_dim, kv = (int64_t)a->kv_heads * a->head_dim, wide_q = max64(q, a->hidden);
    zo_wide wide_r = wide_of(a);
    bool project = zo_arch_projects_in(a), checkpoint = pass->keep == ZO_BACKWARD_CHECKPOINT, shares = false;
    bool keep_x0 = !a->embed_norm || reads_normed(model, ids->embed_norm), keep_e = project && reads_input(model, ids->in);
    bool keep_x = checkpoint ? is_active(model, 0) : keeps_input(model, 0, a->layers == 1 && rows < t);
    for (int i = 0; i < a->layers; i++) {
        shares = shares || !keeps_all(&ids->block[i].keeps);
    }
    shares = shares || !keep_x0 || (project && !keep_e);

    /* What the backward pass works in, from the last block down, where only some rows may have a gradient; and in the same memory what the
     * forward pass makes and nobody reads again. The block at hand may be run again while dx is read. */
    bool active = is_active(model, a->layers - 1);
    int64_t wide = max64(max64(wide_q, a->embed), widest_of_head(model)), n = active && ids->block[a->layers - 1].keeps.heads ? t : rows, begin, end;
    pass->dx = take(l, zo_goes_below(model, ids->head_stage) ? n * a->hidden : 0);
    begin = l->used;
    pass->t1 = take(l, n * wide);
    pass->t2 = take(l, active ? n * wide : 0);
    pass->r = take(l, active ? n * max64(q + 2 * kv, a->ffn * (a->gated ? 2 : 1)) : 0);
    pass->side = take(l, active && a->parallel ? n * a->hidden : 0);
    end = l->used;
    l->used = begin;
    zo_shared s = {0};
    if (shares) {
        s.x = take(l, t * a->hidden);
        s.h = take(l, t * max64(wide_q, a->embed));
        s.r = take(l, t * max64(wide_r.all, widest_of_head(model)));
    }
    l->used = max64(l->used, end);
    end = l->used;
    l->used = begin;
    float *work = NULL; /* of a side adapter, whose backward pass begins when that of the blocks has ended */
    if (a->side.late > 0) {
        int64_t floats;
        zo_side_lay(model, pass, NULL, NULL, NULL, &floats);
        work = take(l, floats);
    }
    l->used = max64(l->used, end);
    lay_side(model, pass, l, s.r, work);

    pass->x = keep_x ? take(l, t * a->hidden) : s.x;
    pass->x0 = !a->embed_norm ? pass->x : keep_x0 ? take(l, t * zo_arch_table_width(a)) : a->factorised ? s.h : s.x;
    pass->e = keep_e ? take(l, t * a->embed) : s.h;
    pass->stats0 = a->embed_norm && keep_x0 ? take(l, t * 2) : NULL;
    (checkpoint ? lay_checkpoints : lay_kept)(model, pass, l, &s);
    float *y = model->kept[a->layers - 1].y;
    pass->last = a->final_norm ? take(l, rows * a->hidden) : y;
    pass->last_stats = a->final_norm ? take(l, rows * 2) : NULL;
    pass->hidden = zo_arch_projects_out(a) ? take(l, rows * model->width) : pass->last;
    for (int i = 0; i < 3; i++) {
        pass->head[i] = take(l, rows * widest_of_head(model));
    }
    pass->head_stats = take(l, rows * 2);
    pass->dlogits = take(l, pass->head_rows * model->classes);
    pass->dhead = take(l, rows * model->width);
    pass->lora = a->lora.rank > 0 ? take(l, t * a->lora.rank) : NULL;
    pass->dlora = a->lora.rank > 0 ? take(l, t * a->lora.rank) : NULL;
    for (int i = 0; i < 2 && a->prefix > 0; i++) {
        pass->prefix[i] = take(l, a->prefix * kv);
    }
}

void zo_pass_lay(zo_model *model, zo_pass *pass, zo_lay *l)
{
    l->used = l->more_used = 0;
    if (pass->keep == ZO_FORWARD_ONLY) {
        lay_forward(model, pass, l);
    } else {
        ZO_CHECK(pass->points == 1, "a gradient pass runs at one point, not at %d", pass->points);
        lay_gradient(model, pass, l);
    }
    pass->logits = take(l, pass->points * pass->head_rows * model->classes);
    pass->logprob = take(l, pass->points * pass->scores);
}

/* ---- forward ------------------------------------------------------------------------------------------------------------ */

zo_seqs zo_seqs_of(const zo_batch *batch)
{
    return (zo_seqs){.n = batch->seqs, .start = batch->start, .parent = batch->parent};
}

static void norm(zo_model *model, const zo_view *view, zo_pair pair, float *x, const float *residual, int64_t tokens, float *y,
                 float *stats)
{
    model->be->norm(model->be, view, model->arch.norm, model->arch.norm_eps, pair.weight, pair.bias, x, residual, tokens,
                    model->arch.hidden, y, stats);
}

/* Of each head of x (tokens, heads * head_dim); y may be x. */
static void head_norm(zo_model *model, const zo_view *view, zo_pair pair, float *x, int64_t tokens, int heads, float *y, float *stats)
{
    const zo_arch *a = &model->arch;
    model->be->norm(model->be, view, a->norm, a->norm_eps, pair.weight, pair.bias, x, NULL, tokens * heads, a->head_dim, y, stats);
}

/* With an adapter y begins as scale (x A^T) B^T, to which the layer's own product is added; with `add` all of it is added to what stands in y.
 * y is not x. */
static void linear_add(zo_model *model, const zo_pass *pass, const zo_view *view, zo_pair pair, zo_act act, const float *x, int64_t tokens, bool add,
                       float *y, float *pre)
{
    zo_backend *be = model->be;
    bool adapted = pair.lora[0] >= 0;
    if (adapted) {
        be->linear(be, view, model->precision, pair.lora[0], -1, ZO_ACT_NONE, x, tokens, false, pass->lora, NULL);
        be->linear(be, view, model->precision, pair.lora[1], -1, ZO_ACT_NONE, pass->lora, tokens, add, y, NULL);
    }
    be->linear(be, view, model->precision, pair.weight, pair.bias, act, x, tokens, add || adapted, y, pre);
}

static void linear(zo_model *model, const zo_pass *pass, const zo_view *view, zo_pair pair, zo_act act, const float *x, int64_t tokens, float *y,
                   float *pre)
{
    linear_add(model, pass, view, pair, act, x, tokens, false, y, pre);
}

static void rotate(zo_model *model, const zo_pass *pass, int layer, const int32_t *turn_row, int64_t tokens, int heads, bool inverse, float *x)
{
    const zo_arch *a = &model->arch;
    bool near = zo_arch_ropes(a) > 1 && zo_arch_window(a, layer) > 0;
    int64_t table = near ? zo_rope_rows(a, model->room.rope_positions) * (zo_arch_rope_dims(a) / 2) : 0;
    zo_rope rope = {.cos = model->room.rope_cos + table, .sin = model->room.rope_sin + table, .head_dim = a->head_dim, .dims = zo_arch_rope_dims(a),
                    .interleaved = a->rope_interleaved};
    model->be->rope(model->be, &rope, turn_row, pass->points, tokens, heads, (int64_t)heads * rope.head_dim, inverse, x);
}

/* Keys and values of the block's prefix at the points, into the pass. */
static void form_prefix(zo_model *model, const zo_pass *pass, const zo_view *view, int layer)
{
    for (int i = 0; i < 2 && model->arch.prefix > 0; i++) {
        model->be->embed(model->be, view, model->ids.block[layer].prefix[i], model->prefix_row, model->arch.prefix, false, pass->prefix[i]);
    }
}

/* The block's attention, with its prefix as form_prefix has formed it. grad NULL in the forward part. */
static zo_attention attention_of(const zo_model *model, const zo_pass *pass, int layer, const int32_t *row, int64_t rows, zo_store *grad)
{
    const zo_arch *a = &model->arch;
    zo_attention attention = {.heads = a->heads, .kv_heads = a->kv_heads, .head_dim = a->head_dim, .causal = a->causal,
                              .scale = (float)(a->attn_scale > 0.0 ? a->attn_scale : 1.0 / sqrt((double)a->head_dim)),
                              .window = zo_arch_window(a, layer), .softcap = a->attn_softcap, .row = row,
                              .nrows = row ? rows : 0};
    const int *ids = model->ids.block[layer].prefix;
    if (a->prefix > 0) {
        attention.prefix = (zo_prefix){.n = a->prefix, .k = pass->prefix[0], .v = pass->prefix[1],
                                       .dk = grad ? zo_set_values(grad, ids[0]) : NULL, .dv = grad ? zo_set_values(grad, ids[1]) : NULL};
    }
    return attention;
}

/* Rows of the table that the tokens read: positions, or segments. */
static const int32_t *position_rows(zo_model *model, const zo_batch *batch)
{
    zo_arch_position_rows(&model->arch, batch, model->room.scratch_ids);
    return model->room.scratch_ids;
}

static const int32_t *type_rows(zo_model *model, const zo_batch *batch)
{
    for (int32_t t = 0; t < batch->tokens; t++) {
        model->room.scratch_ids[t] = batch->type && model->arch.types > 1 ? batch->type[t] : 0;
    }
    return model->room.scratch_ids;
}

static void embed(zo_model *model, const zo_pass *pass, const zo_view *view, const zo_batch *batch)
{
    zo_backend *be = model->be;
    const zo_ids_of *ids = &model->ids;
    bool project = ids->in.weight >= 0 && !model->arch.factorised;
    be->embed(be, view, ids->token, batch->id, pass->tokens, false, project ? pass->e : pass->x0);
    if (model->arch.embed_scale > 0.0) {
        be->scale(be, project ? pass->e : pass->x0, pass->points * pass->tokens * model->arch.embed, (float)model->arch.embed_scale);
    }
    if (project) {
        linear(model, pass, view, ids->in, ZO_ACT_NONE, pass->e, pass->tokens, pass->x0, NULL);
    }
    if (ids->type >= 0) {
        be->embed(be, view, ids->type, type_rows(model, batch), pass->tokens, true, pass->x0);
    }
    if (ids->position >= 0) {
        be->embed(be, view, ids->position, position_rows(model, batch), pass->tokens, true, pass->x0);
    }
    if (ids->embed_norm.weight >= 0) {
        be->norm(be, view, model->arch.norm, model->arch.norm_eps, ids->embed_norm.weight, ids->embed_norm.bias, pass->x0, NULL, pass->tokens,
                 zo_arch_table_width(&model->arch), model->arch.factorised ? pass->e : pass->x, pass->stats0);
    }
    if (model->arch.factorised) {
        linear(model, pass, view, ids->in, ZO_ACT_NONE, pass->e, pass->tokens, pass->x, NULL);
    }
}

/* The rows of x to `to`, which may be x itself: then by way of `through`. */
static void gather_rows(zo_backend *be, const zo_pass *pass, const float *x, int64_t tokens, int64_t cols, const int32_t *row, float *through, float *to)
{
    float *first = to == x ? through : to;
    be->gather(be, x, pass->points, tokens, cols, row, pass->rows, first);
    if (first != to) {
        be->copy(be, to, first, (size_t)(pass->points * pass->rows * cols) * sizeof(float));
    }
}

/* The pass's keys and values of a layer to their places in the cache. */
static void keep_keys(zo_model *model, const zo_cache *cache, int layer, const zo_block_bufs *b)
{
    zo_backend *be = model->be;
    int64_t kv = (int64_t)model->arch.kv_heads * model->arch.head_dim, first = layer * cache->places * kv;
    for (int32_t i = 0; i < cache->runs; i++) {
        int64_t from = cache->run[i] * kv, to = first + cache->to[i] * kv;
        size_t bytes = (size_t)(cache->n[i] * kv) * sizeof(float);
        be->copy(be, cache->k + to, b->k + from, bytes);
        be->copy(be, cache->v + to, b->v + from, bytes);
    }
}

/* Each token of the pass asks its sequence in the cache, itself the last: a place behind it is not seen, because attention is causal. */
static void ask_cache(zo_model *model, const zo_pass *pass, int layer, const zo_block_bufs *b)
{
    zo_backend *be = model->be;
    const zo_cache *cache = pass->cache;
    int64_t q = (int64_t)model->arch.heads * model->arch.head_dim, kv = (int64_t)model->arch.kv_heads * model->arch.head_dim;
    int64_t first = layer * cache->places * kv;
    zo_attention attention = attention_of(model, pass, layer, cache->to, pass->tokens, NULL);
    zo_seqs seqs = {.n = cache->seqs, .start = cache->start, .parent = NULL};
    be->attention(be, &attention, &seqs, 1, cache->places, b->q, q, cache->k + first, kv, cache->v + first, kv, b->a, NULL);
}

/* One block. *pending (pre-norm) is what must still be added to b->in, which its first norm does in passing; on return it is what
 * must still be added to b->y. `row` is not NULL in the last block when fewer rows than tokens go on. With `again` the block is
 * run for its backward pass: what only the next block reads is not made. */
static void block_forward(zo_model *model, const zo_pass *pass, const zo_view *view, const zo_batch *batch, int layer,
                          const zo_block_bufs *b, const int32_t *row, bool again, const float **pending)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    const zo_block_ids *ids = &model->ids.block[layer];
    int64_t t = pass->tokens, rows = row ? pass->rows : t;
    int64_t q = (int64_t)a->heads * a->head_dim, kv = (int64_t)a->kv_heads * a->head_dim;

    if (zo_arch_reads_norm(a, layer)) {
        norm(model, view, ids->attn_norm, b->in, *pending, t, b->h1, b->stats1);
    }
    linear(model, pass, view, ids->k, ZO_ACT_NONE, b->h1, t, b->raw_k, NULL);
    linear(model, pass, view, ids->v, ZO_ACT_NONE, b->h1, t, b->v, NULL);
    if (row) {
        gather_rows(be, pass, b->in, t, a->hidden, row, b->o, b->in_rows); /* o is free until it is made */
        if (b->h1 != b->in) {
            gather_rows(be, pass, b->h1, t, a->hidden, row, b->o, b->h1_rows);
        }
    }
    linear(model, pass, view, ids->q, ZO_ACT_NONE, b->h1_rows, rows, b->raw_q, NULL);
    if (a->head_norm) {
        head_norm(model, view, ids->q_norm, b->raw_q, rows, a->heads, b->q, b->stats_q);
        head_norm(model, view, ids->k_norm, b->raw_k, t, a->kv_heads, b->k, b->stats_k);
    }
    if (a->rope) {
        rotate(model, pass, layer, row ? model->room.row_turn_row : zo_turn_rows(model, batch), rows, a->heads, false, b->q);
        rotate(model, pass, layer, zo_turn_rows(model, batch), t, a->kv_heads, false, b->k);
    }
    form_prefix(model, pass, view, layer);
    if (pass->cache != NULL) {
        keep_keys(model, pass->cache, layer, b);
    }
    if (pass->cache != NULL && pass->cache->reads) {
        ask_cache(model, pass, layer, b);
    } else {
        zo_attention attention = attention_of(model, pass, layer, row, rows, NULL);
        zo_seqs seqs = zo_seqs_of(batch);
        be->attention(be, &attention, &seqs, pass->points, t, b->q, q, b->k, kv, b->v, kv, b->a, b->lse);
    }

    /* mid = in + o(a): beside the stream where it is kept, else added into it. Parallel: o(a) waits in `out` for what the MLP adds. */
    if (!a->parallel || !again) {
        linear(model, pass, view, ids->o, ZO_ACT_NONE, b->a, rows, b->raw_o, NULL);
    }
    if (a->post_norm) {
        norm(model, view, ids->attn_post, b->raw_o, NULL, rows, b->o, b->stats_o);
    }
    if (!a->parallel) {
        norm(model, view, a->norm_first ? ids->mlp_norm : ids->attn_norm, b->mid, b->mid == b->o ? b->in_rows : b->o, rows, b->h2, b->stats2);
    } else if (!a->one_norm) {
        norm(model, view, ids->mlp_norm, b->mid, NULL, rows, b->h2, b->stats2);
    }

    if (a->gated) {
        linear(model, pass, view, ids->gate, ZO_ACT_NONE, b->h2, rows, b->gate, NULL);
        linear(model, pass, view, ids->up, ZO_ACT_NONE, b->h2, rows, b->pre, NULL);
        be->glu(be, a->act, b->gate, b->pre, pass->points * rows * a->ffn, b->f);
    } else {
        linear(model, pass, view, ids->up, a->act, b->h2, rows, b->f, b->pre);
    }
    bool kept = b->stats3 != NULL; /* out, the last norm's input */
    if (again && !kept && b->stats_down == NULL) {
        return;
    }
    linear_add(model, pass, view, ids->down, ZO_ACT_NONE, b->f, rows, a->parallel, b->raw_down, NULL);
    if (a->post_norm) { /* run again, it writes where nobody reads any more: its stats are wanted */
        norm(model, view, ids->mlp_post, b->raw_down, NULL, rows, b->out, b->stats_down);
    }
    if (a->norm_first) {
        *pending = b->out == b->y ? b->mid : b->out;
    } else {
        norm(model, view, ids->mlp_norm, kept ? b->out : b->h2, kept ? b->h2 : b->out, rows, b->y, b->stats3);
    }
}

static zo_block_bufs block_bufs(const zo_model *model, const zo_pass *pass, int layer)
{
    zo_block_bufs b = pass->keep == ZO_FORWARD_ONLY ? pass->block : model->kept[layer];
    if (pass->keep == ZO_FORWARD_ONLY && !zo_arch_reads_norm(&model->arch, layer)) {
        b.h1 = b.in;
        b.h1_rows = b.in_rows;
    }
    return b;
}

/* What a side adapter reads in front of a block, and in front of the last such what it makes. The block's input is completed here. */
static void read_side(zo_model *model, const zo_pass *pass, const zo_view *view, int layer, const zo_block_bufs *b, const float **pending)
{
    if (*pending != NULL) {
        model->be->add(model->be, b->in, *pending, pass->points * pass->tokens * model->arch.hidden);
        *pending = NULL;
    }
    zo_side_tap(model, pass, view, layer, b->in);
    if (layer == zo_arch_side_block(&model->arch)) {
        zo_side_forward(model, pass, view, b->in);
    }
}

void zo_transformer_forward(zo_model *model, zo_pass *pass, const zo_view *view, const zo_batch *batch, const int32_t *row)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    embed(model, pass, view, batch);
    const float *pending = NULL;
    zo_block_bufs b;
    for (int l = 0; l < a->layers; l++) {
        b = block_bufs(model, pass, l);
        if (a->side.late > 0 && l <= zo_arch_side_block(a)) {
            read_side(model, pass, view, l, &b, &pending);
        }
        block_forward(model, pass, view, batch, l, &b, l == a->layers - 1 ? row : NULL, false, &pending);
    }
    float *y = b.y;
    if (a->final_norm) {
        norm(model, view, model->ids.final_norm, y, pending, pass->rows, pass->last, pass->last_stats);
        y = pass->last;
    } else if (pending) {
        be->add(be, y, pending, pass->points * pass->rows * a->hidden);
    }
    if (model->ids.out.weight >= 0) {
        linear(model, pass, view, model->ids.out, ZO_ACT_NONE, y, pass->rows, pass->hidden, NULL);
    }
}

/* ---- backward ----------------------------------------------------------------------------------------------------------- */

/* x A^T of an adapter is made again, `rank` numbers a token, and not kept. dx NULL = nothing below is trained. */
static void linear_backward(zo_model *model, const zo_pass *pass, zo_pair pair, const float *x, const float *dy, int64_t tokens, float *dx, zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_store *stored = model->store;
    bool adapted = pair.lora[0] >= 0, goes_on = dx != NULL || is_trained(model, pair.lora[0]);
    if (adapted && is_trained(model, pair.lora[1])) {
        zo_view view = zo_view_stored(&stored);
        be->linear(be, &view, model->precision, pair.lora[0], -1, ZO_ACT_NONE, x, tokens, false, pass->lora, NULL);
    }
    if (adapted) {
        be->linear_backward(be, stored, model->precision, pair.lora[1], -1, pass->lora, dy, tokens, false, goes_on ? pass->dlora : NULL, grad);
        zo_gradient_done(model, pass, pair.later == 0 ? pair.lora[1] : -1);
    }
    if (adapted && goes_on) {
        be->linear_backward(be, stored, model->precision, pair.lora[0], -1, x, pass->dlora, tokens, false, dx, grad);
        zo_gradient_done(model, pass, pair.later == 0 ? pair.lora[0] : -1);
    }
    be->linear_backward(be, stored, model->precision, pair.weight, pair.bias, x, dy, tokens, adapted, dx, grad);
    pair_done(model, pass, pair);
}

/* dy: the gradient of the norm's output (tokens, cols); where one goes on, dx, which may be dy: that of its input. Returns whether one does. */
static bool norm_backward_to(zo_model *model, const zo_pass *pass, zo_pair pair, const float *x, const float *stats, const float *dy, int64_t tokens,
                             int64_t cols, float *dx, zo_store *grad)
{
    bool below = goes_below(model, pair);
    model->be->norm_backward(model->be, model->store, model->arch.norm, pair.weight, pair.bias, x, stats, dy, tokens, cols, below ? dx : NULL, grad);
    pair_done(model, pass, pair);
    return below;
}

/* The same of `hidden` numbers, in place. */
static bool norm_backward(zo_model *model, const zo_pass *pass, zo_pair pair, const float *x, const float *stats, int64_t tokens, float *dx, zo_store *grad)
{
    return norm_backward_to(model, pass, pair, x, stats, dx, tokens, model->arch.hidden, dx, grad);
}

/* rows of `x` (rows, hidden) spread over zeros (tokens, hidden), through `other` */
static void spread(zo_model *model, const zo_pass *pass, const int32_t *row, float *x, float *other)
{
    size_t bytes = (size_t)(pass->tokens * model->arch.hidden) * sizeof(float);
    model->be->zero(model->be, other, bytes);
    model->be->scatter_add(model->be, x, model->arch.hidden, row, pass->rows, other);
    model->be->copy(model->be, x, other, bytes);
}

/* From pass->dx, the gradient of what down makes, to that of the MLP's input: dh2 (rows, hidden), pass->t1 or another. Returns whether there is one. */
static bool mlp_backward(zo_model *model, const zo_pass *pass, const zo_block_ids *ids, const zo_block_bufs *b, int64_t rows, float *dh2, zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    bool inside = goes_below(model, ids->down), below = goes_below(model, ids->up);
    float *df = pass->r, *to = below ? dh2 : NULL, *t2 = below ? pass->t2 : NULL;
    const float *dout = pass->dx;
    if (a->post_norm) {
        if (!norm_backward_to(model, pass, ids->mlp_post, b->raw_down, b->stats_down, dout, rows, a->hidden, pass->t1, grad)) {
            return false;
        }
        dout = pass->t1;
    }
    linear_backward(model, pass, ids->down, b->f, dout, rows, inside ? df : NULL, grad);
    if (!inside) {
        return false;
    }
    if (!a->gated) {
        be->act_backward(be, a->act, b->pre, rows * a->ffn, df);
        linear_backward(model, pass, ids->up, b->h2, df, rows, to, grad);
        return below;
    }
    float *dup = pass->r + rows * a->ffn;
    be->glu_backward(be, a->act, b->gate, b->pre, df, rows * a->ffn, df, dup);
    linear_backward(model, pass, ids->gate, b->h2, df, rows, to, grad);
    linear_backward(model, pass, ids->up, b->h2, dup, rows, t2, grad);
    if (below) {
        be->add(be, to, t2, rows * a->hidden);
    }
    return below;
}

/* pass->dx: gradient of mid (rows, hidden) in; of the block's input (tokens, hidden) out. Returns whether there is one. Of a parallel block dx is at
 * first the gradient of its output, and pass->side that of what the MLP reads: of h1, or through the MLP's own norm of the input. */
static bool attention_backward(zo_model *model, const zo_pass *pass, const zo_batch *batch, int layer, const zo_block_bufs *b, const int32_t *row,
                               zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    const zo_block_ids *ids = &model->ids.block[layer];
    int64_t t = pass->tokens, rows = row ? pass->rows : t;
    int64_t q = (int64_t)a->heads * a->head_dim, kv = (int64_t)a->kv_heads * a->head_dim;
    float *dx = pass->dx, *t1 = pass->t1, *t2 = pass->t2;
    bool inside = goes_below(model, ids->o), below = goes_below(model, ids->q), normed = zo_arch_reads_norm(a, layer);

    const float *dout = dx;
    if (a->post_norm) {
        if (!norm_backward_to(model, pass, ids->attn_post, b->raw_o, b->stats_o, dx, rows, a->hidden, t2, grad)) {
            return false;
        }
        dout = t2;
    }
    linear_backward(model, pass, ids->o, b->a, dout, rows, inside ? t1 : NULL, grad);
    if (!inside) {
        return false;
    }
    const zo_store *stored = model->store;
    zo_view view = zo_view_stored(&stored);
    form_prefix(model, pass, &view, layer); /* the pass has that of the last block */
    zo_attention attention = attention_of(model, pass, layer, row, rows, grad);
    zo_seqs seqs = zo_seqs_of(batch);
    float *dq = pass->r, *dk = dq + rows * q, *dv = dk + t * kv;
    be->attention_backward(be, &attention, &seqs, t, b->q, q, b->k, kv, b->v, kv, b->a, b->lse, t1, dq, dk, dv);
    zo_gradient_done(model, pass, ids->prefix[0]);
    zo_gradient_done(model, pass, ids->prefix[1]);
    if (a->rope) {
        rotate(model, pass, layer, row ? model->room.row_turn_row : zo_turn_rows(model, batch), rows, a->heads, true, dq);
        rotate(model, pass, layer, zo_turn_rows(model, batch), t, a->kv_heads, true, dk);
    }
    if (a->head_norm) {
        bool goes_on = norm_backward_to(model, pass, ids->q_norm, b->raw_q, b->stats_q, dq, rows * a->heads, a->head_dim, dq, grad);
        norm_backward_to(model, pass, ids->k_norm, b->raw_k, b->stats_k, dk, t * a->kv_heads, a->head_dim, dk, grad);
        if (!goes_on) {
            return false;
        }
    }
    /* With a norm t2 gathers the gradient of h1, which the norm then leads to dx. Without h1 is the input, so dx itself. */
    float *dh1 = normed ? t2 : dx;
    linear_backward(model, pass, ids->q, b->h1_rows, dq, rows, !below ? NULL : dh1 == dx ? t1 : t2, grad);
    if (!below) {
        linear_backward(model, pass, ids->k, b->h1, dk, t, NULL, grad);
        linear_backward(model, pass, ids->v, b->h1, dv, t, NULL, grad);
        return false;
    }
    if (!normed) {
        be->add(be, dx, t1, rows * a->hidden);
    } else if (a->one_norm) {
        be->add(be, t2, pass->side, rows * a->hidden);
    } else if (a->parallel && goes_below(model, ids->mlp_norm)) {
        be->add(be, dx, pass->side, rows * a->hidden);
    }
    if (row) {
        spread(model, pass, row, dx, t1);
        if (normed) {
            spread(model, pass, row, t2, t1);
        }
    }
    linear_backward(model, pass, ids->k, b->h1, dk, t, t1, grad);
    be->add(be, dh1, t1, t * a->hidden);
    linear_backward(model, pass, ids->v, b->h1, dv, t, t1, grad);
    be->add(be, dh1, t1, t * a->hidden);
    if (normed && norm_backward(model, pass, ids->attn_norm, b->in, b->stats1, t, t2, grad)) {
        be->add(be, dx, t2, t * a->hidden);
    }
    return goes_below(model, normed ? ids->attn_norm : ids->q);
}

/* pass->dx: gradient of the block's output (rows, hidden) in, of its input (tokens, hidden) out. Returns whether there is one: whether something
 * is trained below the block. */
static bool block_backward(zo_model *model, const zo_pass *pass, const zo_batch *batch, int layer, const zo_block_bufs *b,
                           const int32_t *row, zo_store *grad)
{
    const zo_block_ids *ids = &model->ids.block[layer];
    int64_t rows = row ? pass->rows : pass->tokens, n = rows * model->arch.hidden;
    if (model->arch.parallel) { /* what is trained stands in stages that both branches share: the one ends where the other does */
        bool below = mlp_backward(model, pass, ids, b, rows, pass->side, grad);
        if (below && !model->arch.one_norm) {
            norm_backward(model, pass, ids->mlp_norm, b->mid, b->stats2, rows, pass->side, grad);
        }
    } else if (model->arch.norm_first) {
        if (!mlp_backward(model, pass, ids, b, rows, pass->t1, grad) || !norm_backward(model, pass, ids->mlp_norm, b->mid, b->stats2, rows, pass->t1, grad)) {
            return false;
        }
        model->be->add(model->be, pass->dx, pass->t1, n);
    } else {
        if (!norm_backward(model, pass, ids->mlp_norm, b->out, b->stats3, rows, pass->dx, grad) || !mlp_backward(model, pass, ids, b, rows, pass->t1, grad)) {
            return false;
        }
        model->be->add(model->be, pass->dx, pass->t1, n);
        if (!norm_backward(model, pass, ids->attn_norm, b->mid, b->stats2, rows, pass->dx, grad)) {
            return false;
        }
    }
    return attention_backward(model, pass, batch, layer, b, row, grad);
}

/* From dx, the gradient of the first block's input, to the tables. */
static void embed_backward(zo_model *model, const zo_pass *pass, const zo_batch *batch, zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    const zo_ids_of *ids = &model->ids;
    int64_t width = zo_arch_table_width(a);
    float *de = pass->dx;
    if (a->factorised) {
        de = goes_below(model, ids->in) ? pass->t1 : NULL;
        linear_backward(model, pass, ids->in, pass->e, pass->dx, pass->tokens, de, grad);
        if (de == NULL) {
            return;
        }
    }
    if (ids->embed_norm.weight >= 0 && !norm_backward_to(model, pass, ids->embed_norm, pass->x0, pass->stats0, de, pass->tokens, width, de, grad)) {
        return;
    }
    if (is_trained(model, ids->position)) {
        be->embed_backward(be, ids->position, position_rows(model, batch), pass->tokens, width, de, grad);
        zo_gradient_done(model, pass, ids->position);
    }
    if (is_trained(model, ids->type)) {
        be->embed_backward(be, ids->type, type_rows(model, batch), pass->tokens, width, de, grad);
        zo_gradient_done(model, pass, ids->type);
    }
    if (ids->in.weight >= 0 && !a->factorised) {
        de = goes_below(model, ids->in) ? pass->t1 : NULL;
        linear_backward(model, pass, ids->in, pass->e, pass->dx, pass->tokens, de, grad);
    }
    if (is_trained(model, ids->token)) {
        if (a->embed_scale > 0.0) {
            be->scale(be, de, pass->tokens * a->embed, (float)a->embed_scale);
        }
        be->embed_backward(be, ids->token, batch->id, pass->tokens, a->embed, de, grad);
        zo_gradient_done(model, pass, ids->token);
    }
}

void zo_transformer_backward(zo_model *model, zo_pass *pass, const zo_batch *batch, const int32_t *row, zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_arch *a = &model->arch;
    const zo_ids_of *ids = &model->ids;
    const zo_store *stored = model->store;
    zo_view view = zo_view_stored(&stored);
    zo_block_bufs b = block_bufs(model, pass, a->layers - 1);

    if (ids->out.weight >= 0) {
        linear_backward(model, pass, ids->out, pass->last, pass->dhead, pass->rows, goes_below(model, ids->out) ? pass->dx : NULL, grad);
        if (!goes_below(model, ids->out)) {
            return;
        }
    } else {
        be->copy(be, pass->dx, pass->dhead, (size_t)(pass->rows * a->hidden) * sizeof(float));
    }
    if (a->final_norm && !norm_backward(model, pass, ids->final_norm, b.y, pass->last_stats, pass->rows, pass->dx, grad)) {
        return;
    }
    for (int l = a->layers - 1; l >= 0; l--) {
        const int32_t *some = l == a->layers - 1 ? row : NULL;
        b = block_bufs(model, pass, l);
        if (pass->keep == ZO_BACKWARD_CHECKPOINT && l < a->layers - 1) {
            const float *pending = NULL; /* the block's input was completed when the next operation first read it */
            block_forward(model, pass, &view, batch, l, &b, NULL, true, &pending);
        }
        if (!block_backward(model, pass, batch, l, &b, some, grad)) {
            return;
        }
        if (a->side.late > 0 && l == zo_arch_side_block(a)) {
            zo_side_backward(model, pass, grad);
            return;
        }
    }
    embed_backward(model, pass, batch, grad);
}
