/* side.c: a side adapter, the Multi-Tiered Sensing Adapter of SHERL (Diao et al., arXiv 2407.07523, ECCV 2024) as its released code has it
 * (github.com/Paranioar/SHERL, commit e78e0dd, VSE-infty/lib/adapter_for_transformer.py and encoders.py). With u_k what block k of the model would read,
 * k = 0 .. n, n the first of the late blocks, token by token:
 *
 *     x_k = LN(D_k u_k + d_k)                             side.k.down, side.k.norm
 *     s_k = w (x_k * x_n) + c, k < n                      side.score: what x_k is worth beside the guide x_n
 *     m   = relu(x_n + sum_k a_k x_k)                     backends/side.h: a_k of s_k, and of how much the others repeat x_k
 *     u   = LN(W m + b) + tanh(g / 0.1) u_n               side.out, side.norm, side.gate
 *
 * and the late blocks run on u as they are. Norms are LayerNorms with an eps of 1e-5 and, the last, 1e-12. There a dropout of 0.1 stands behind the last
 * norm, and here none. The gradient ends at D_k: no block in front of n has a backward pass, nor keeps anything. */
#include <stdio.h>
#include <string.h>

#include "models/transformer.h"

#define NORM_EPS 1e-5f
#define LAST_EPS 1e-12f
#define GATE_BY 10.0f /* 1 / 0.1 */

typedef struct sizes { int64_t n, width, hidden, tokens, rows; } sizes; /* rows: tokens at all points */

static sizes sizes_of(const zo_model *model, const zo_pass *pass)
{
    const zo_arch *a = &model->arch;
    return (sizes){zo_arch_side_block(a), zo_arch_side_width(a), a->hidden, pass->tokens, pass->points * pass->tokens};
}

void zo_side_wire(zo_model *model)
{
    zo_ids_of *ids = &model->ids;
    int taps = zo_arch_side_block(&model->arch) + 1;
    char name[64];
    ids->side_down = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * (size_t)taps * sizeof *ids->side_down);
    ids->side_norm = ids->side_down + taps;
    for (int k = 0; k < taps; k++) {
        snprintf(name, sizeof name, "side.%d.down", k);
        ids->side_down[k] = zo_find_pair(model, name, true, true);
        snprintf(name, sizeof name, "side.%d.norm", k);
        ids->side_norm[k] = zo_find_pair(model, name, true, true);
    }
    ids->side_score = zo_find_pair(model, "side.score", true, true);
    ids->side_out = zo_find_pair(model, "side.out", true, true);
    ids->side_last = zo_find_pair(model, "side.norm", true, true);
    ids->side_gate = zo_layout_find(&model->layout, "side.gate");
    for (int t = 0; t < model->layout.n; t++) { /* no gradient goes from the adapter into blocks */
        const zo_param *p = &model->layout.param[t];
        ZO_CHECK(p->stage >= model->layout.param[ids->side_down[0].weight].stage || p->frozen, "%s is trained below a side adapter", p->name);
    }
}

/* Places one after another from `base`, NULL = they are only measured. */
typedef struct places { float *base; int64_t used; } places;

static float *place(places *p, int64_t floats)
{
    float *at = p->base != NULL ? p->base + p->used : NULL;
    p->used += (int64_t)zo_round_up((uint64_t)floats, 16);
    return at;
}

int64_t zo_side_lay(const zo_model *model, zo_pass *pass, float *base, float *spare, float *work, int64_t *work_floats)
{
    sizes z = sizes_of(model, pass);
    places at = {.base = base}, later = {.base = work};
    zo_taps *t = &pass->taps;
    bool keeps = pass->keep != ZO_FORWARD_ONLY;
    t->y = place(&at, (z.n + 1) * z.rows * z.width);
    t->mixed = place(&at, z.rows * z.width);
    t->score = place(&at, z.n * z.rows);
    t->inverse = place(&at, z.n * z.rows);
    t->redundancy = place(&at, z.n * z.rows);
    t->gate = place(&at, z.rows);
    t->in = keeps ? place(&at, (z.n + 1) * z.rows * z.hidden) : NULL;
    t->raw = keeps ? place(&at, (z.n + 1) * z.rows * z.width) : t->y;
    t->stats = keeps ? place(&at, (z.n + 1) * z.rows * 2) : NULL;
    t->out = keeps ? place(&at, z.rows * z.hidden) : spare;
    t->out_stats = keeps ? place(&at, z.rows * 2) : NULL;
    t->normed = spare;
    t->product = t->mixed; /* which is made when the products have been read */
    if (keeps) {
        t->dy = place(&later, (z.n + 1) * z.rows * z.width);
        t->dscore = place(&later, z.n * z.rows);
        t->dmixed = place(&later, z.rows * z.width);
        t->dproduct = place(&later, z.rows * z.width);
        t->dgate = place(&later, z.rows);
    }
    *work_floats = later.used;
    return at.used;
}

static zo_mix mix_of(const zo_taps *t, const sizes *z)
{
    return (zo_mix){.n = z->n, .cols = z->width, .x = t->y, .score = t->score, .inverse = t->inverse, .redundancy = t->redundancy};
}

/* All tokens read row 0 of a table that has one. */
static const int32_t *row_zero(zo_model *model, int64_t tokens)
{
    memset(model->room.scratch_ids, 0, (size_t)tokens * sizeof *model->room.scratch_ids);
    return model->room.scratch_ids;
}

void zo_side_tap(zo_model *model, const zo_pass *pass, const zo_view *view, int layer, const float *x)
{
    zo_backend *be = model->be;
    const zo_taps *t = &pass->taps;
    sizes z = sizes_of(model, pass);
    zo_pair down = model->ids.side_down[layer], norm = model->ids.side_norm[layer];
    float *raw = t->raw + layer * z.rows * z.width, *stats = t->stats != NULL ? t->stats + layer * z.rows * 2 : NULL;
    if (t->in != NULL) {
        be->copy(be, t->in + layer * z.rows * z.hidden, x, (size_t)(z.rows * z.hidden) * sizeof *x);
    }
    be->linear(be, view, model->precision, down.weight, down.bias, ZO_ACT_NONE, x, z.tokens, false, raw, NULL);
    be->norm(be, view, ZO_LAYERNORM, NORM_EPS, norm.weight, norm.bias, raw, NULL, z.tokens, z.width, t->y + layer * z.rows * z.width, stats);
}

void zo_side_forward(zo_model *model, const zo_pass *pass, const zo_view *view, float *x)
{
    zo_backend *be = model->be;
    const zo_ids_of *ids = &model->ids;
    const zo_taps *t = &pass->taps;
    sizes z = sizes_of(model, pass);
    int64_t feature = z.rows * z.width;
    for (int64_t k = 0; k < z.n; k++) {
        be->glu(be, ZO_ACT_NONE, t->y + k * feature, t->y + z.n * feature, feature, t->product);
        be->linear(be, view, model->precision, ids->side_score.weight, ids->side_score.bias, ZO_ACT_NONE, t->product, z.tokens, false, t->score + k * z.rows,
                   NULL);
    }
    zo_mix mix = mix_of(t, &z);
    be->mix(be, &mix, z.rows, t->mixed);
    be->linear(be, view, model->precision, ids->side_out.weight, ids->side_out.bias, ZO_ACT_NONE, t->mixed, z.tokens, false, t->out, NULL);
    be->norm(be, view, ZO_LAYERNORM, LAST_EPS, ids->side_last.weight, ids->side_last.bias, t->out, NULL, z.tokens, z.hidden, t->normed, t->out_stats);
    be->embed(be, view, ids->side_gate, row_zero(model, z.tokens), z.tokens, false, t->gate);
    be->gate(be, GATE_BY, t->gate, t->normed, z.rows, z.hidden, x);
}

static void linear_backward(zo_model *model, const zo_pass *pass, zo_pair pair, const float *x, const float *dy, float *dx, zo_store *grad)
{
    model->be->linear_backward(model->be, model->store, model->precision, pair.weight, pair.bias, x, dy, pass->tokens, false, dx, grad);
}

static void norm_backward(zo_model *model, const zo_pass *pass, zo_pair pair, const float *x, const float *stats, int64_t cols, float *dx, zo_store *grad)
{
    model->be->norm_backward(model->be, model->store, ZO_LAYERNORM, pair.weight, pair.bias, x, stats, dx, pass->tokens, cols, dx, grad);
    zo_gradient_done(model, pass, pair.weight);
    zo_gradient_done(model, pass, pair.bias);
}

static void pair_done(const zo_model *model, const zo_pass *pass, zo_pair pair)
{
    zo_gradient_done(model, pass, pair.weight);
    zo_gradient_done(model, pass, pair.bias);
}

void zo_side_backward(zo_model *model, const zo_pass *pass, zo_store *grad)
{
    zo_backend *be = model->be;
    const zo_ids_of *ids = &model->ids;
    const zo_taps *t = &pass->taps;
    sizes z = sizes_of(model, pass);
    int64_t feature = z.rows * z.width;
    float *guide = t->y + z.n * feature, *dguide = t->dy + z.n * feature;

    be->gate_backward(be, GATE_BY, t->gate, t->in + z.n * z.rows * z.hidden, pass->dx, z.rows, z.hidden, t->dgate);
    be->embed_backward(be, ids->side_gate, row_zero(model, z.tokens), z.tokens, 1, t->dgate, grad);
    zo_gradient_done(model, pass, ids->side_gate);
    norm_backward(model, pass, ids->side_last, t->out, t->out_stats, z.hidden, pass->dx, grad);
    linear_backward(model, pass, ids->side_out, t->mixed, pass->dx, t->dmixed, grad);
    pair_done(model, pass, ids->side_out);

    zo_mix mix = mix_of(t, &z);
    be->mix_backward(be, &mix, z.rows, t->mixed, t->dmixed, t->dy, t->dscore);
    for (int64_t k = 0; k < z.n; k++) {
        float *y = t->y + k * feature, *dy = t->dy + k * feature;
        be->glu(be, ZO_ACT_NONE, y, guide, feature, t->product); /* again: `mixed` is read no more */
        linear_backward(model, pass, ids->side_score, t->product, t->dscore + k * z.rows, t->dproduct, grad);
        be->glu_backward(be, ZO_ACT_NONE, y, guide, t->dproduct, feature, t->dproduct, t->product);
        be->add(be, dy, t->dproduct, feature);
        be->add(be, dguide, t->product, feature);
    }
    pair_done(model, pass, ids->side_score);
    for (int64_t k = 0; k <= z.n; k++) {
        float *dy = t->dy + k * feature;
        norm_backward(model, pass, ids->side_norm[k], t->raw + k * feature, t->stats + k * z.rows * 2, z.width, dy, grad);
        linear_backward(model, pass, ids->side_down[k], t->in + k * z.rows * z.hidden, dy, NULL, grad);
        pair_done(model, pass, ids->side_down[k]);
    }
}
