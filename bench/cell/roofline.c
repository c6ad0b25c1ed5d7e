/* roofline.c: see roofline.h. The least that the step as it was run must do:
 *
 * FLOPs   products          2 T P n for each matrix of n numbers that T tokens at P points pass (in the last layer the queries, the output
 *                           and the MLP of the head's rows alone); the decoder at those rows: the whole vocabulary, or the label words
 *         attention         4 heads head_dim for each (query, key) pair: scores and their sum over values; a causal token's keys are
 *                           those before it, its option's prompt included; a prefix's keys are all tokens'
 *         gradients         three times a forward: one backward product for the input, one for the weight
 *         Not counted: normals, norms, activations, softmax, and what checkpointing runs again.
 * bytes   weights           every number that a pass reads, once a pass whatever P is, at the size in which it is stored; of tables that
 *                           are looked up the rows of the tokens; twice in a pass with gradients
 *         formed            W + cZ at each point, or W converted once, written and read as the products' operands are stored; nothing where
 *                           the stored weights are the operands
 *         activations       the input and the output of each product, and of the attention, once, f32; three times with gradients
 *         updates           weights that sweeps wrote (the backend counts them), read and written; gradients written and read; the state of
 *                           a rule (moments) read and written
 *         Not counted: logits, elementwise passes between products, caches' help.
 *
 * least   of the method   what any realisation of these steps must move: the weights that are not looked up are read once a step, at all
 *                           points together, and written no more than once (nor more than was written: a log writes none); twice read
 *                           with gradients, which are used where they are made; a batch's rows of tables once; copies that the method
 *                           keeps, once; activations as above. Nothing is formed.
 *
 * A step takes at least max(FLOPs / peak FLOP rate of their precision, bytes / peak bandwidth). The peaks are measured (backends/device_peaks.h). */
#include "bench/cell/roofline.h"

#include <stdio.h>
#include <string.h>

static int64_t sequence_of(const zo_batch *batch, int32_t token)
{
    int32_t low = 0, high = batch->seqs - 1; /* the first sequence that ends behind the token */
    while (low < high) {
        int32_t s = low + (high - low) / 2;
        if (token >= batch->start[s + 1]) {
            low = s + 1;
        } else {
            high = s;
        }
    }
    return low;
}

/* Keys that a token of sequence s at offset i reads. */
static double keys_of(const zo_arch *arch, const zo_batch *batch, int64_t s, int64_t i)
{
    int64_t own = batch->start[s + 1] - batch->start[s], parent = batch->parent != NULL ? batch->parent[s] : -1;
    int64_t before = parent >= 0 ? batch->start[parent + 1] - batch->start[parent] : 0;
    return (double)(arch->prefix + (arch->causal ? before + i + 1 : own));
}

zo_pass_sums zo_pass_sums_of(const zo_arch *arch, const zo_batch *batch)
{
    zo_pass_sums sums = {.passes = 1, .points = 1, .packed = batch->tokens, .tokens = batch->tokens, .rows = batch->rows};
    for (int32_t s = 0; s < batch->seqs; s++) {
        int64_t n = batch->start[s + 1] - batch->start[s];
        sums.pairs += (double)n * (keys_of(arch, batch, s, 0) + (arch->causal ? (double)(n - 1) / 2 : 0.0));
    }
    for (int32_t r = 0; r < batch->rows; r++) {
        int64_t s = sequence_of(batch, batch->row[r]);
        sums.row_pairs += keys_of(arch, batch, s, batch->row[r] - batch->start[s]);
    }
    return sums;
}

void zo_pass_sums_add(zo_pass_sums *sums, const zo_pass_sums *of_batch, const zo_view *view)
{
    double points = view != NULL ? view->npoints : 1, formed = 0.0, numbers = 0.0;
    const zo_layout *layout = view != NULL && view->ndirs > 0 ? view->base[0]->layout : NULL;
    for (int t = 0; layout != NULL && t < layout->n; t++) {
        double n = layout->param[t].kind == ZO_PARAM_MATRIX ? (double)layout->param[t].rows * (double)layout->param[t].cols : 0.0;
        formed += zo_view_acting(view, t, NULL).dirs > 0 ? n : 0.0;
        numbers += n;
    }
    sums->passes += 1;
    sums->points += points;
    sums->formed += numbers > 0.0 ? points * formed / numbers : 0.0;
    sums->packed += of_batch->packed;
    sums->tokens += points * of_batch->tokens;
    sums->rows += points * of_batch->rows;
    sums->pairs += points * of_batch->pairs;
    sums->row_pairs += points * of_batch->row_pairs;
}

/* How a pass uses one parameter. */
typedef struct use { bool product, at_rows, looked_up; int64_t rows; } use;

static bool ends_block(const zo_arch *arch, const zo_param *p)
{
    return p->block == arch->layers - 1 && strstr(p->name, ".attn.k.") == NULL && strstr(p->name, ".attn.v.") == NULL;
}

static use use_of(const zo_arch *arch, const zo_param *p, zo_head head, int classes)
{
    bool decoder = strcmp(p->name, arch->tied ? "embed.token" : "lm.decoder.weight") == 0;
    use u = {.rows = p->rows, .looked_up = p->kind == ZO_PARAM_TABLE && !p->whole};
    if (p->kind == ZO_PARAM_VECTOR) {
        return u;
    }
    if (decoder) {
        u.product = head != ZO_HEAD_CLASS;
        u.at_rows = true;
        u.rows = head == ZO_HEAD_WORDS ? classes : p->rows;
    } else if (p->kind == ZO_PARAM_MATRIX) {
        u.product = true;
        u.at_rows = p->block >= 0 ? ends_block(arch, p) : strncmp(p->name, "embed.in", 8) != 0;
    }
    return u;
}

zo_pass_terms zo_pass_terms_of(const zo_arch *arch, const zo_layout *layout, zo_head head, int classes)
{
    zo_pass_terms t = {0};
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        use u = use_of(arch, p, head, classes);
        double n = (double)u.rows * (double)p->cols;
        t.numbers += (double)p->rows * (double)p->cols;
        if (u.product) {
            *(u.at_rows ? &t.row_numbers : &t.token_numbers) += n;
            *(u.at_rows ? &t.row_widths : &t.token_widths) += (double)(u.rows + p->cols);
        }
        if (u.looked_up) {
            t.row_reads += (double)p->cols;
        } else {
            t.read_numbers += n;
        }
    }
    return t;
}

double zo_forward_flops(const zo_pass_sums *s, const zo_pass_terms *t, const zo_arch *arch)
{
    double width = (double)arch->heads * arch->head_dim, layers = arch->layers;
    double products = 2 * (s->tokens * t->token_numbers + s->rows * t->row_numbers);
    double attention = 4 * width * ((layers - 1) * s->pairs + s->row_pairs);
    return products + attention;
}

static double activation_bytes(const zo_pass_sums *s, const zo_pass_terms *t, const zo_arch *arch)
{
    double width = (double)arch->heads * arch->head_dim, kv = (double)arch->kv_heads * arch->head_dim;
    return (double)sizeof(float) * (s->tokens * t->token_widths + s->rows * t->row_widths + arch->layers * s->tokens * (2 * width + 2 * kv));
}

static zo_work pass_work(const zo_pass_sums *s, const zo_pass_terms *t, const zo_arch *arch, zo_precision precision, int weight_bytes, bool backward)
{
    double flops = zo_forward_flops(s, t, arch);
    bool half = precision == ZO_BF16 || precision == ZO_F16;
    double operand = half ? 2 : 4, converted = half && weight_bytes != 2 && s->points > 0 ? s->passes * (1 - s->formed / s->points) : 0;
    double formed = 2 * operand * (t->token_numbers + t->row_numbers) * (s->formed + converted);
    zo_work w = {.flops = flops, .backward_flops = backward ? 2 * flops : 0};
    w.bytes = weight_bytes * (t->read_numbers * s->passes + t->row_reads * s->packed) * (backward ? 2 : 1) + formed +
              activation_bytes(s, t, arch) * (backward ? 3 : 1);
    return w;
}

zo_work zo_step_work(const zo_step_sums *sums, const zo_arch *arch, const zo_layout *layout, zo_head head, int classes, zo_precision precision,
                     int weight_bytes, int moments)
{
    zo_pass_terms t = zo_pass_terms_of(arch, layout, head, classes);
    zo_work forward = pass_work(&sums->forward, &t, arch, precision, weight_bytes, false);
    zo_work gradient = pass_work(&sums->gradient, &t, arch, precision, weight_bytes, true);
    double updates = 2 * sums->weight_bytes_written + t.numbers * sizeof(float) * (2 * sums->gradient.passes + 2 * moments * sums->rules);
    return (zo_work){.flops = forward.flops + gradient.flops,
                     .backward_flops = gradient.backward_flops,
                     .bytes = forward.bytes + gradient.bytes + updates};
}

double zo_least_bytes(const zo_step_sums *sums, double steps, const zo_arch *arch, const zo_layout *layout, zo_head head, int classes, int weight_bytes,
                      double copy_bytes)
{
    zo_pass_terms t = zo_pass_terms_of(arch, layout, head, classes);
    const zo_pass_sums *f = &sums->forward, *g = &sums->gradient;
    bool gradient = g->passes > 0;
    double passes = f->passes + g->passes, rows = passes > 0 ? steps * t.row_reads * (f->packed + g->packed) / passes : 0;
    double once = weight_bytes * (steps * t.read_numbers + rows), written = sums->weight_bytes_written < once ? sums->weight_bytes_written : once;
    return once * (gradient ? 2 : 1) + written + steps * copy_bytes * t.read_numbers * (gradient ? 2 : 1) + activation_bytes(f, &t, arch) +
           3 * activation_bytes(g, &t, arch);
}
