/* roofline.c: see roofline.h. The least that the step as it was run must do:
 *
 * FLOPs   products          2 T P n for each matrix of n numbers that T tokens at P points pass (in the last layer the queries, the output
 *                           and the MLP of the head's rows alone); the decoder at those rows: the whole vocabulary, or the label words
 *         attention         4 heads head_dim for each (query, key) pair: scores and their sum over values; a causal token's keys are
 *                           those before it, its option's prompt included, another's all of its sequence, as far as a layer's window reaches; a prefix's
 *                           keys are all tokens'
 *         gradients         a forward, then a backward product for each input below which something is trained, and one for each trained weight:
 *                           three times a forward where everything is trained; and x A^T of an adapter again, which B's gradient reads
 *         Not counted: normals, norms, activations, softmax, how alike a side adapter's features are, and what checkpointing runs again (work counts that: bench/cell/step.c).
 * bytes   weights           every number that a pass reads, once a pass whatever P is, at the size in which it is stored; of tables that
 *                           are looked up the rows of the tokens; twice where a gradient comes
 *         formed            W + cZ at each point, or W converted once, written and read as the products' operands are stored; nothing where
 *                           the stored weights are the operands
 *         activations       the input and the output of each product, and of the attention, once, f32; and once more for each backward product
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

#include "backends/codes.h"

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

/* Of so many tokens on one side of a query those that it sees; window 0: all. */
static int64_t seen_of(int64_t tokens, int window)
{
    return window > 0 && window - 1 < tokens ? window - 1 : tokens;
}

/* The same summed over n queries, of which each has one token more there than the one before, and the first `first`. */
static double seen_by(int64_t first, int64_t n, int window)
{
    int64_t grow = seen_of(first + n, window) - seen_of(first, window); /* queries that see one more than the one before */
    return (double)(grow * first) + (double)grow * (double)(grow - 1) / 2 + (double)((n - grow) * seen_of(first + n, window));
}

/* Keys that a token of sequence s at offset i reads. */
static double keys_of(const zo_arch *arch, const zo_batch *batch, int64_t s, int64_t i, int window)
{
    int64_t before = arch->causal ? batch->position[batch->start[s]] + i : i, behind = arch->causal ? 0 : batch->start[s + 1] - batch->start[s] - 1 - i;
    return (double)(arch->prefix + 1 + seen_of(before, window) + seen_of(behind, window));
}

/* (query, key) pairs of a sequence. Those behind the queries are as many as those before them. */
static double pairs_of(const zo_arch *arch, const zo_batch *batch, int64_t s, int window)
{
    int64_t n = batch->start[s + 1] - batch->start[s], first = arch->causal ? batch->position[batch->start[s]] : 0;
    return (double)(n * (arch->prefix + 1)) + (arch->causal ? 1 : 2) * seen_by(first, n, window);
}

zo_pass_sums zo_pass_sums_of(const zo_arch *arch, const zo_batch *batch)
{
    zo_pass_sums sums = {.passes = 1, .points = 1, .packed = batch->tokens, .tokens = batch->tokens, .rows = batch->rows};
    for (int32_t s = 0; s < batch->seqs; s++) {
        sums.pairs += pairs_of(arch, batch, s, 0);
        sums.near_pairs += pairs_of(arch, batch, s, arch->window);
        for (int layer = 0; layer < arch->layers && arch->causal && batch->parent[s] < 0; layer++) {
            int kept = batch->position[batch->start[s]], window = zo_arch_window(arch, layer);
            sums.kept += window > 0 && window - 1 < kept ? window - 1 : kept; /* the token itself is one of the window */
        }
    }
    for (int32_t r = 0; r < batch->rows; r++) {
        int64_t s = sequence_of(batch, batch->row[r]);
        sums.row_pairs += keys_of(arch, batch, s, batch->row[r] - batch->start[s], zo_arch_window(arch, arch->layers - 1));
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
    sums->near_pairs += points * of_batch->near_pairs;
    sums->row_pairs += points * of_batch->row_pairs;
    sums->kept += points * of_batch->kept;
}

/* How a pass uses one parameter; stage: of its product. */
typedef struct use { bool product, at_rows, looked_up; int64_t rows; int stage; } use;

/* A place of the pass that reads a parameter: its layer, and by how many stages it stands behind the first that does. */
typedef struct place { int layer, later; } place;

/* The k-th that reads it. Where layers share a block, each has stages of its own: so many as the block has, from its first layer on. */
static place place_of(const zo_arch *arch, const zo_layout *layout, const zo_param *p, int k)
{
    if (p->block < 0 || arch->groups == 0) {
        return (place){p->block < 0 ? 0 : p->block, 0};
    }
    int first = layout->stages, last = -1, layer = 0;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *other = &layout->param[i];
        bool of_layers = other->block == p->block && !other->added; /* what is added to one layer stands in the stages of that layer */
        first = of_layers && other->stage < first ? other->stage : first;
        last = of_layers && other->stage > last ? other->stage : last;
    }
    while (layer < arch->layers - 1 && zo_arch_block(arch, layer) != p->block) {
        layer++;
    }
    int stages = last - first + 1;
    return (place){layer + (p->stage - first) / stages + k, k * stages};
}

/* The last stage of the blocks: what stands in a higher one reads the head's rows alone. */
static int last_stage(const zo_arch *arch, const zo_layout *layout)
{
    int stage = 0;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        int at = p->stage + place_of(arch, layout, p, p->again).later;
        stage = p->block >= 0 && at > stage ? at : stage;
    }
    return stage;
}

static bool ends_block(const zo_arch *arch, const zo_param *p, int layer)
{
    return layer == arch->layers - 1 && strstr(p->name, ".attn.k.") == NULL && strstr(p->name, ".attn.v.") == NULL;
}

/* layer: that reads it here. later: by how many stages that is behind the first place that does. */
static use use_of(const zo_arch *arch, const zo_layout *layout, const zo_param *p, zo_head head, int classes, int layer, int later)
{
    bool decoder = strcmp(p->name, arch->tied ? "embed.token" : "lm.decoder.weight") == 0;
    use u = {.rows = p->rows, .looked_up = p->kind == ZO_PARAM_TABLE && !p->whole, .stage = p->stage + later};
    if (p->kind == ZO_PARAM_VECTOR) {
        return u;
    }
    if (decoder) {
        u.product = head != ZO_HEAD_CLASS;
        u.at_rows = true;
        u.stage = layout->stages - 1;
        u.rows = head == ZO_HEAD_WORDS ? classes : p->rows;
    } else if (p->kind == ZO_PARAM_MATRIX) {
        u.product = true;
        u.at_rows = p->block >= 0 ? ends_block(arch, p, layer) : p->stage > last_stage(arch, layout);
    }
    return u;
}

static void add_product(zo_products *to, const use *u, const zo_param *p, double times)
{
    times *= p->a_token > 0 ? p->a_token : 1;
    *(u->at_rows ? &to->row_numbers : &to->token_numbers) += times * (double)u->rows * (double)p->cols;
    *(u->at_rows ? &to->row_widths : &to->token_widths) += times * (double)(u->rows + p->cols);
}

static void add_attention(zo_products *to, bool last, bool near, double times)
{
    *(last ? &to->last : near ? &to->near_layers : &to->layers) += times;
}

/* The first layer with something trained, in it or below; `layers` where there is none. */
static int lowest_layer(const zo_arch *arch, const zo_layout *layout)
{
    int lowest = arch->layers;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        for (int k = 0; p->block >= 0 && k <= p->again; k++) {
            place at = place_of(arch, layout, p, k);
            lowest = at.layer < lowest && p->stage + at.later >= layout->lowest ? at.layer : lowest;
        }
    }
    return lowest;
}

/* The k-th place that reads parameter i; weights are read from memory once. */
static void add_place(zo_pass_terms *t, const zo_arch *arch, const zo_layout *layout, zo_head head, int classes, int lowest, int i, int k)
{
    const zo_param *p = &layout->param[i];
    place at = place_of(arch, layout, p, k);
    use u = use_of(arch, layout, p, head, classes, at.layer, at.later);
    bool goes_on = u.stage > layout->lowest || (p->lora == ZO_LORA_B && !layout->param[i - 1].frozen);
    bool above = p->block >= 0 ? at.layer >= lowest : lowest == 0 || (lowest < arch->layers && u.stage > last_stage(arch, layout));
    if (u.product) {
        add_product(&t->forward, &u, p, 1);
        add_product(&t->backward, &u, p, goes_on + !p->frozen + (p->lora == ZO_LORA_A && !layout->param[i + 1].frozen));
        add_product(&t->again, &u, p, above);
    }
    if (p->block >= 0 && p->kind == ZO_PARAM_MATRIX && strstr(p->name, ".attn.o.weight") != NULL) { /* what an output projection reads is attention's */
        bool last = at.layer == arch->layers - 1, near = zo_arch_window(arch, at.layer) > 0;
        add_attention(&t->forward, last, near, 1);
        add_attention(&t->backward, last, near, u.stage > layout->lowest ? 2 : 0);
        add_attention(&t->again, last, near, above);
    }
}

zo_pass_terms zo_pass_terms_of(const zo_arch *arch, const zo_layout *layout, zo_head head, int classes)
{
    zo_pass_terms t = {.read_numbers = 0};
    int lowest = lowest_layer(arch, layout);
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        place last = place_of(arch, layout, p, p->again);
        use u = use_of(arch, layout, p, head, classes, last.layer, last.later);
        double n = (double)u.rows * (double)p->cols;
        t.trained_numbers += p->frozen ? 0.0 : (double)p->rows * (double)p->cols;
        if (u.looked_up) {
            t.row_reads += (double)p->cols;
            t.row_reads_back += p->frozen ? 0.0 : (double)p->cols;
        } else if (p->bits > 0) {
            t.coded_numbers += n * (p->again + 1); /* each use makes them numbers */
            t.code_bytes += (double)(p->rows * zo_codes_row_bytes(p->bits, p->cols));
        } else {
            t.read_numbers += n;
            t.read_numbers_back += u.stage >= layout->lowest ? n : 0.0;
            t.trained_reads += p->frozen ? 0.0 : n;
        }
        for (int k = 0; k <= p->again; k++) {
            add_place(&t, arch, layout, head, classes, lowest, i, k);
        }
    }
    return t;
}

double zo_products_flops(const zo_pass_sums *s, const zo_products *p, const zo_arch *arch)
{
    double width = (double)arch->heads * arch->head_dim;
    double products = 2 * (s->tokens * p->token_numbers + s->rows * p->row_numbers);
    double attention = 4 * width * (p->layers * s->pairs + p->near_layers * s->near_pairs + p->last * s->row_pairs);
    return products + attention;
}

static double activation_bytes(const zo_pass_sums *s, const zo_products *p, const zo_arch *arch)
{
    double width = (double)arch->heads * arch->head_dim, kv = (double)arch->kv_heads * arch->head_dim;
    double attention = (p->layers + p->near_layers + p->last) * s->tokens * (2 * width + 2 * kv) + 2 * kv * s->kept;
    return (double)sizeof(float) * (s->tokens * p->token_widths + s->rows * p->row_widths + attention);
}

static zo_work pass_work(const zo_pass_sums *s, const zo_pass_terms *t, const zo_arch *arch, zo_precision precision, int weight_bytes, bool backward)
{
    bool half = precision == ZO_BF16 || precision == ZO_F16;
    double operand = half ? 2 : 4, converted = half && weight_bytes != 2 && s->points > 0 ? s->passes * (1 - s->formed / s->points) : 0;
    double products = t->forward.token_numbers + t->forward.row_numbers; /* codes become numbers at each pass */
    double formed = 2 * operand * (products * s->formed + (products - t->coded_numbers) * converted + t->coded_numbers * s->passes);
    double read = t->read_numbers + (backward ? t->read_numbers_back : 0), looked_up = t->row_reads + (backward ? t->row_reads_back : 0);
    zo_work w = {.flops = zo_products_flops(s, &t->forward, arch), .backward_flops = backward ? zo_products_flops(s, &t->backward, arch) : 0};
    w.bytes = weight_bytes * (read * s->passes + looked_up * s->packed) + t->code_bytes * s->passes + formed + activation_bytes(s, &t->forward, arch) +
              (backward ? activation_bytes(s, &t->backward, arch) : 0);
    return w;
}

zo_work zo_step_work(const zo_step_sums *sums, const zo_arch *arch, const zo_layout *layout, zo_head head, int classes, zo_precision precision,
                     int weight_bytes, int moments)
{
    zo_pass_terms t = zo_pass_terms_of(arch, layout, head, classes);
    zo_work forward = pass_work(&sums->forward, &t, arch, precision, weight_bytes, false);
    zo_work gradient = pass_work(&sums->gradient, &t, arch, precision, weight_bytes, true);
    double updates = 2 * sums->weight_bytes_written + t.trained_numbers * sizeof(float) * (2 * sums->gradient.passes + 2 * moments * sums->rules);
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
    double passes = f->passes + g->passes, looked_up = passes > 0 ? steps * (f->packed + g->packed) / passes : 0;
    double once = weight_bytes * (steps * t.read_numbers + looked_up * t.row_reads) + steps * t.code_bytes;
    double back = gradient ? weight_bytes * (steps * t.read_numbers_back + looked_up * t.row_reads_back) : 0;
    double written = sums->weight_bytes_written < once ? sums->weight_bytes_written : once;
    return once + back + written + steps * copy_bytes * t.trained_reads * (gradient ? 2 : 1) + activation_bytes(f, &t.forward, arch) +
           activation_bytes(g, &t.forward, arch) + activation_bytes(g, &t.backward, arch);
}
