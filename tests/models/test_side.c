/* test_side.c: a side adapter (models/side.c). Logits, losses and gradients are torch's on transformers' models of four blocks (golden/make_side.py);
 * gradients are differences on random models of five; sequences that share a prompt, packed ones and points in one pass are as one by one; a mixture's
 * sums and gradients are those of a twin in float64, written here; both orders go down; a folder is read again; what is wrong is one sentence. */
#include <check.h>
#include <stdlib.h>

#include "core/io.h"
#include "models/files/safetensors.h"
#include "models/transformer.h"
#include "tests/folder.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

static zo_backend *be;
static zo_err err;
static char scratch[64];

static void open_all(void)
{
    ck_assert_msg(zo_backend_open("cpu", 2, &be, &err) == ZO_OK, "%s", err.text);
    snprintf(scratch, sizeof scratch, "/tmp/zo_side_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void close_all(void)
{
    be->close(be);
    folder_remove(scratch);
}

static zo_tune view_of(const char *text)
{
    zo_tune tune;
    ck_assert_msg(zo_tune_parse(text, "test", &tune, &err) == ZO_OK, "%s", err.text);
    return tune;
}

/* ---- golden ------------------------------------------------------------------------------------------------------------- */

static const struct { const char *family, *tune; } adapters[] = {{"bert", "side downsample 2 late 1"},  {"gpt2", "side downsample 2 late 2"},
                                                                  {"opt-post-norm", "side downsample 3 late 1"}, {"llama", "side downsample 1 late 1"},
                                                                  {"gemma2", "side downsample 2 late 3"}, {"gptj", "side downsample 4 late 2"}};
enum { GOLDEN = sizeof adapters / sizeof adapters[0] };

typedef struct file { zo_map map; zo_tensors tensors; } file;

static file open_file(const char *format, const char *family)
{
    char path[200];
    file f;
    snprintf(path, sizeof path, format, family);
    ck_assert_msg(zo_map_open(&f.map, path, &err) == ZO_OK && zo_tensors_parse(&f.tensors, f.map.data, f.map.bytes, path, &err) == ZO_OK, "%s", err.text);
    return f;
}

static void close_file(file *f)
{
    zo_tensors_close(&f->tensors);
    zo_map_close(&f->map);
}

/* zo_free gives it back. */
static float *tensor(const file *f, const char *name, int64_t *n)
{
    const zo_tensor *t = zo_tensors_find(&f->tensors, name);
    ck_assert_msg(t != NULL, "the golden file has no %s", name);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)t->count * sizeof *x);
    zo_tensor_floats(t, 0, t->count, x);
    *n = t->count;
    return x;
}

/* The family's model with its two blocks run twice, and the golden adapter. */
static zo_model *four_blocks(int which, zo_head head)
{
    char folder[200], name[128];
    int classes = head == ZO_HEAD_CLASS ? CLASSES : 0;
    zo_tune tune = view_of(adapters[which].tune);
    snprintf(folder, sizeof folder, "tests/golden/models/%s", adapters[which].family);
    zo_model_spec two_spec = {.folder = folder, .head = head, .classes = classes};
    zo_model *two, *four;
    ck_assert_msg(zo_model_open(&two, &two_spec, be, &err) == ZO_OK, "%s", err.text);
    zo_arch arch = *zo_model_arch(two);
    arch.layers = 4;
    for (int l = 2; l < 4; l++) {
        if (zo_arch_window(&arch, l - 2) == 0) {
            zo_arch_sees_all(&arch, l);
        }
    }
    zo_model_spec spec = {.arch = &arch, .random = true, .head = head, .classes = classes, .tune = &tune};
    ck_assert_msg(zo_model_open(&four, &spec, be, &err) == ZO_OK, "%s", err.text);
    file f = open_file("tests/golden/side/%s/side.safetensors", adapters[which].family);
    const zo_layout *layout = zo_model_layout(four), *from = zo_model_layout(two);
    int added = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        int64_t n = p->rows * p->cols;
        float *x;
        if (p->added) {
            x = tensor(&f, p->name, &n);
            added++;
        } else {
            snprintf(name, sizeof name, "%s", p->name);
            if (p->block >= 0) {
                name[strlen("layer.")] = (char)('0' + p->block % 2);
            }
            int at = zo_layout_find(from, name);
            ck_assert_msg(at >= 0, "%s", name);
            x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
            zo_store_get(be, zo_model_store(two), at, x);
        }
        ck_assert_int_eq(n, p->rows * p->cols);
        zo_store_set(be, zo_model_store(four), t, x);
        zo_free(x);
    }
    ck_assert_int_eq(added, f.tensors.n);
    close_file(&f);
    zo_model_close(two);
    return four;
}

/* The golden inputs of a family; with `lm` a score wherever they have a target. */
static zo_batch *inputs_of(const char *family, bool causal, bool lm)
{
    file f = open_file("tests/golden/models/%s/golden.safetensors", family);
    int64_t tokens, seqs, n;
    float *id = tensor(&f, "ids", &tokens), *type = tensor(&f, "types", &n), *target = tensor(&f, "targets", &n), *length = tensor(&f, "lengths", &seqs);
    float *label = tensor(&f, "labels", &n);
    int32_t scores = 0, s = (int32_t)seqs;
    for (int64_t t = 0; t < tokens; t++) {
        scores += lm && target[t] >= 0.0f;
    }
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = lm ? 1 : s, .tokens = (int32_t)tokens, .id = golden_ints(tokens), .position = golden_ints(tokens), .type = golden_ints(tokens), .seqs = s,
                    .start = golden_ints(seqs + 1), .rows = lm ? scores : s, .row = golden_ints(lm ? scores : s), .scores = scores, .at = golden_ints(scores),
                    .target = golden_ints(scores), .options = lm, .option_start = golden_ints(2), .example_start = golden_ints(s + 1), .label = golden_ints(s)};
    for (int32_t q = 0, t = 0, i = 0; q < s; q++) {
        for (int32_t k = 0; k < (int32_t)length[q]; k++, t++) {
            b->id[t] = (int32_t)id[t];
            b->type[t] = (int32_t)type[t];
            b->position[t] = k;
            if (lm && target[t] >= 0.0f) {
                b->row[i] = t;
                b->at[i] = i;
                b->target[i++] = (int32_t)target[t];
            }
        }
        b->start[q + 1] = t;
        if (!lm) {
            b->row[q] = causal ? t - 1 : b->start[q];
            b->label[q] = (int32_t)label[q];
        }
    }
    b->option_start[1] = scores;
    b->example_start[1] = 1;
    float *const all[] = {id, type, target, length, label};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        zo_free(all[i]);
    }
    close_file(&f);
    return b;
}

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d; /* a NaN stays */
    }
    return most;
}

/* Largest difference of an adapter's gradient, against the largest entry of that gradient or a hundredth of the largest of all. */
static double gradient_difference(const zo_layout *layout, const zo_store *grad, const file *f, const char *head)
{
    double all = 0.0, most = 0.0;
    for (int round = 0; round < 2; round++) {
        for (int t = 0; t < layout->n; t++) {
            const zo_param *p = &layout->param[t];
            if (!p->added) {
                continue;
            }
            char name[160];
            int64_t n;
            snprintf(name, sizeof name, "%s.%s", head, p->name);
            float *wanted = tensor(f, name, &n);
            double largest = 1e-2 * all;
            for (int64_t i = 0; i < n; i++) {
                largest = fmax(largest, fabs((double)wanted[i]));
            }
            if (round == 0) {
                all = fmax(all, largest);
            } else {
                most = fmax(most, largest_difference(zo_set_values(grad, t), wanted, n) / largest);
            }
            zo_free(wanted);
        }
    }
    ck_assert_double_gt(all, 1e-3);
    return most;
}

START_TEST(families_match_torch)
{
    double logits_differ = 0.0, loss_differs = 0.0, gradients_differ = 0.0;
    for (int way = 0; way < 4; way++) {
        bool lm = way % 2, checkpoint = way / 2;
        const char *family = adapters[_i].family;
        zo_model *model = four_blocks(_i, lm ? ZO_HEAD_SPAN : ZO_HEAD_CLASS);
        zo_batch *b = inputs_of(family, zo_model_arch(model)->causal, lm);
        file f = open_file("tests/golden/side/%s/golden.safetensors", family);
        zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
        const zo_store *slot = zo_model_store(model);
        zo_view view = zo_view_stored(&slot);
        int64_t n, one;
        float *wanted = tensor(&f, lm ? "lm_logits" : "class_logits", &n), *loss_wanted = tensor(&f, lm ? "lm_loss" : "class_loss", &one);
        ck_assert_int_eq(n, (int64_t)b->rows * (lm ? zo_model_arch(model)->vocab : CLASSES));
        float *made = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *made);
        zo_model_logits(model, &view, b, made);
        logits_differ = fmax(logits_differ, largest_difference(made, wanted, n));
        zo_store *grad = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
        double loss;
        zo_model_losses(model, &view, b, &loss);
        loss_differs = fmax(loss_differs, fabs(loss - (double)loss_wanted[0]));
        zo_model_grad(model, b, 1.0, checkpoint, grad, &loss);
        loss_differs = fmax(loss_differs, fabs(loss - (double)loss_wanted[0]));
        gradients_differ = fmax(gradients_differ, gradient_difference(zo_model_layout(model), grad, &f, lm ? "lm" : "class"));
        zo_free(made);
        zo_free(wanted);
        zo_free(loss_wanted);
        zo_store_free(be, grad);
        close_file(&f);
        zo_batch_free(b);
        zo_model_close(model);
    }
    printf("measured: %-14s largest difference to torch with a side adapter: logits %.1e, loss %.1e, gradients %.1e relative\n", adapters[_i].family, logits_differ,
           loss_differs, gradients_differ);
    fflush(stdout);
    ck_assert_double_le(logits_differ, 2e-5);
    ck_assert_double_le(loss_differs, 1e-5);
    ck_assert_double_le(gradients_differ, 1e-4);
}
END_TEST

/* ---- against itself ----------------------------------------------------------------------------------------------------- */

/* Random models of five blocks: causal, with norms before and grouped heads; and an encoder with norms behind. */
static zo_model *five_blocks(bool causal, zo_head head, const char *tune)
{
    zo_arch llama = {.family = "llama", .layers = 5, .hidden = 48, .heads = 6, .kv_heads = 2, .head_dim = 8, .ffn = 64, .vocab = 50, .positions = 100, .embed = 48,
                     .rope = true, .rope_theta = 10000.0, .rope_factor = 1.0, .causal = true, .norm_first = true, .final_norm = true, .norm = ZO_RMSNORM,
                     .norm_eps = 1e-5f, .act = ZO_ACT_SILU, .gated = true, .tied = true, .class_head = ZO_CLASS_LAST_TOKEN, .init_std = 0.2f, .bos = -1, .eos = -1,
                     .pad = -1, .mask = -1};
    zo_arch bert = {.family = "bert", .layers = 5, .hidden = 48, .heads = 4, .kv_heads = 4, .head_dim = 12, .ffn = 64, .vocab = 50, .positions = 100, .embed = 48, .types = 2,
                    .learned_positions = true, .norm = ZO_LAYERNORM, .norm_eps = 1e-12f, .embed_norm = true, .act = ZO_ACT_GELU, .attn_bias = true, .attn_out_bias = true,
                    .mlp_bias = true, .tied = true, .head_transform = true, .head_act = ZO_ACT_GELU, .head_bias = true, .class_head = ZO_CLASS_POOLER, .init_std = 0.2f,
                    .bos = -1, .eos = -1, .pad = -1, .mask = -1};
    zo_tune view = view_of(tune);
    zo_model_spec spec = {.arch = causal ? &llama : &bert, .random = true, .seed = 3, .head = head, .classes = head == ZO_HEAD_CLASS ? CLASSES : 0, .tune = &view};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    int gate = zo_layout_find(zo_model_layout(model), "side.gate");
    zo_store_set(be, zo_model_store(model), gate, (const float[]){0.03f}); /* so that the guide's way is seen too */
    return model;
}

static const int32_t lengths[] = {7, 3, 2, 12, 5, 4};
enum { SEQS = sizeof lengths / sizeof lengths[0] };

static zo_batch *drawn_batch(const zo_model *model, bool options)
{
    return golden_batch(zo_model_arch(model), options, SEQS, lengths, 4);
}

static const char *const tunes[] = {"side downsample 2 late 1", "side downsample 3 late 2", "side downsample 1 late 4"};

/* d loss along drawn directions, by the gradient and by differences; checkpoints change no bit, and a view's gradient is none of what is frozen. */
START_TEST(gradients_match_differences)
{
    bool causal = _i % 3 > 0, options = _i % 3 == 2;
    zo_model *model = five_blocks(causal, options ? ZO_HEAD_OPTIONS : ZO_HEAD_CLASS, tunes[_i / 3]);
    zo_batch *b = drawn_batch(model, options);
    for (int checkpoint = 1; checkpoint >= 0; checkpoint--) {
        zo_model_reserve(model, b->tokens, b->rows, b->scores, 2, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
    }
    const zo_layout *layout = zo_model_layout(model);
    zo_store *grad = zo_store_new(be, layout, ZO_TAG_GRADS), *again = zo_store_new(be, layout, ZO_TAG_GRADS), *z = zo_store_new(be, layout, ZO_TAG_OTHER);
    double loss, loss_again;
    zo_model_grad(model, b, 1.0, false, grad, &loss);
    zo_model_grad(model, b, 1.0, true, again, &loss_again);
    ck_assert_double_eq(loss, loss_again);
    ck_assert_int_eq(memcmp(grad->data, again->data, (size_t)grad->size * sizeof(float)), 0);
    double norm = sqrt(be->dot(be, grad, grad));
    for (int t = 0; t < layout->n; t++) { /* everything of the adapter has a gradient */
        const float *g = zo_set_values(grad, t);
        double most = 0.0;
        for (int64_t i = 0; g != NULL && i < layout->param[t].rows * layout->param[t].cols; i++) {
            most = fmax(most, fabs((double)g[i]));
        }
        bool slopes = g != NULL && !(strstr(layout->param[t].name, ".score.") != NULL && _i / 3 == 2); /* of one feature the share is 1, whatever its score */
        ck_assert_msg((g != NULL) == !layout->param[t].frozen && (!slopes || most > 1e-5 * norm), "%s: %g", layout->param[t].name, most);
    }
    const zo_store *slot[2] = {zo_model_store(model), zo_model_store(model)};
    zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 21};
    float h = 2e-5f, coef[2] = {h, -h}; /* small: the mixture has kinks */
    for (int k = 0; k < 4; k++) {
        dir.step = (uint32_t)k;
        zo_term term = {.dir = dir, .coef = 1.0};
        be->zero(be, z->data, (size_t)z->size * sizeof(float));
        be->apply(be, z, NULL, 1.0, &term, 1, NULL);
        zo_view view = {.npoints = 2, .base = slot, .ndirs = 1, .dir = &dir, .coef = coef};
        double pair[2];
        zo_model_losses(model, &view, b, pair);
        double measured = (pair[0] - pair[1]) / (2.0 * (double)h), exact = be->dot(be, grad, z);
        ck_assert_msg(fabs(measured - exact) <= 4e-2 * norm, "%s: slope %g by differences, %g by the gradient of norm %g", tunes[_i / 3], measured, exact, norm);
    }
    zo_store_free(be, grad);
    zo_store_free(be, again);
    zo_store_free(be, z);
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

/* Each option with its prompt before it, whole, in place of prompts that two options share. */
static zo_batch *whole(const zo_batch *shared)
{
    int32_t options = shared->options, tokens = 0, scores = shared->scores;
    for (int32_t s = 0; s < shared->seqs; s++) {
        int32_t parent = shared->parent[s];
        tokens += parent >= 0 ? shared->start[s + 1] - shared->start[s] + shared->start[parent + 1] - shared->start[parent] : 0;
    }
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = shared->examples, .tokens = tokens, .id = golden_ints(tokens), .position = golden_ints(tokens), .type = golden_ints(tokens),
                    .seqs = options, .start = golden_ints(options + 1), .rows = scores, .row = golden_ints(scores), .scores = scores, .at = golden_ints(scores),
                    .target = golden_ints(scores), .options = options, .option_start = golden_ints(options + 1), .example_start = golden_ints(shared->examples + 1),
                    .label = golden_ints(shared->examples)};
    memcpy(b->option_start, shared->option_start, (size_t)(options + 1) * sizeof *b->option_start);
    memcpy(b->example_start, shared->example_start, (size_t)(shared->examples + 1) * sizeof *b->example_start);
    memcpy(b->label, shared->label, (size_t)shared->examples * sizeof *b->label);
    memcpy(b->target, shared->target, (size_t)scores * sizeof *b->target);
    for (int32_t s = 0, t = 0, o = 0, i = 0; s < shared->seqs; s++) {
        if (shared->parent[s] < 0) {
            continue;
        }
        for (int part = 0; part < 2; part++) {
            int32_t from = part == 0 ? shared->parent[s] : s;
            for (int32_t k = shared->start[from]; k < shared->start[from + 1]; k++, t++) {
                b->id[t] = shared->id[k];
                b->position[t] = shared->position[k];
                if (part == 1) {
                    b->at[i] = i;
                    b->row[i++] = t - 1;
                }
            }
        }
        b->start[++o] = t;
    }
    return b;
}

/* What a parent's tokens read is shared by its children, and its gradient is the sum of theirs. */
START_TEST(shared_prompts_equal_whole_sequences)
{
    zo_model *model = five_blocks(true, ZO_HEAD_OPTIONS, tunes[_i]);
    zo_batch *b[2];
    b[0] = drawn_batch(model, true);
    b[1] = whole(b[0]);
    double loss[2];
    zo_store *grad[2];
    for (int i = 1; i >= 0; i--) {
        zo_model_reserve(model, b[i]->tokens, b[i]->rows, b[i]->scores, 1, ZO_BACKWARD, NULL);
    }
    for (int i = 0; i < 2; i++) {
        grad[i] = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
        zo_model_grad(model, b[i], 1.0, false, grad[i], &loss[i]);
        zo_batch_free(b[i]);
    }
    ck_assert_double_le(fabs(loss[0] - loss[1]), 2e-6);
    double norm = sqrt(be->dot(be, grad[0], grad[0]));
    ck_assert_double_gt(norm, 1e-3);
    ck_assert_double_le(largest_difference(grad[0]->data, grad[1]->data, grad[0]->size), 1e-5 * norm);
    zo_store_free(be, grad[0]);
    zo_store_free(be, grad[1]);
    zo_model_close(model);
}
END_TEST

START_TEST(points_in_one_pass_and_packed_sequences)
{
    enum { POINTS = 3 };
    zo_model *model = five_blocks(_i, ZO_HEAD_CLASS, tunes[0]);
    zo_batch *b = drawn_batch(model, false);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, POINTS, ZO_FORWARD_ONLY, NULL);
    const zo_store *slot[POINTS] = {zo_model_store(model), zo_model_store(model), zo_model_store(model)};
    zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 9, .step = 1};
    float coef[POINTS] = {0.02f, 0.0f, -0.02f};
    zo_view view = {.npoints = POINTS, .base = slot, .ndirs = 1, .dir = &dir, .coef = coef};
    double loss[POINTS], one;
    zo_model_losses(model, &view, b, loss);
    for (int p = 0; p < POINTS; p++) {
        zo_view single = {.npoints = 1, .base = slot, .ndirs = 1, .dir = &dir, .coef = coef + p};
        zo_model_losses(model, &single, b, &one);
        ck_assert_double_le(fabs(one - loss[p]), 2e-6);
    }
    ck_assert_double_gt(fabs(loss[0] - loss[2]), 1e-5);
    double sum = 0.0;
    for (int32_t s = 0; s < SEQS; s++) { /* a sequence by itself */
        int32_t from = b->start[s], n = b->start[s + 1] - from;
        zo_batch alone = {.examples = 1, .tokens = n, .id = b->id + from, .position = b->position + from, .type = b->type + from, .seqs = 1, .start = (int32_t[]){0, n},
                          .rows = 1, .row = (int32_t[]){b->row[s] - from}, .example_start = (int32_t[]){0, 0}, .label = b->label + s};
        zo_view single = {.npoints = 1, .base = slot};
        zo_model_losses(model, &single, &alone, &one);
        sum += one / SEQS;
    }
    ck_assert_double_le(fabs(sum - loss[1]), 2e-6);
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

/* A gradient pass keeps no block in front of the adapter: another eight of them take what the adapter keeps of each, and no more. */
START_TEST(early_blocks_keep_nothing)
{
    enum { T = 64, H = 48, W = 24 };
    zo_plan plan[2];
    for (int i = 0; i < 2; i++) {
        zo_arch arch = {.family = "llama", .layers = i == 0 ? 4 : 12, .hidden = H, .heads = 6, .kv_heads = 2, .head_dim = 8, .ffn = 64, .vocab = 50, .positions = 100,
                        .embed = H, .rope = true, .rope_theta = 10000.0, .causal = true, .norm_first = true, .final_norm = true, .norm = ZO_RMSNORM, .tied = true,
                        .gated = true, .act = ZO_ACT_SILU, .class_head = ZO_CLASS_LAST_TOKEN};
        zo_tune tune = view_of("side");
        zo_layout layout = {0};
        ck_assert(zo_tune_extend(&tune, &arch, &err) == ZO_OK);
        zo_arch_layout(&arch, ZO_HEAD_CLASS, 2, &layout);
        ck_assert(zo_tune_apply(&tune, &arch, ZO_HEAD_CLASS, &layout, &err) == ZO_OK);
        zo_model_plan(&arch, ZO_HEAD_CLASS, 2, &layout, T, T, 1, ZO_BACKWARD, &plan[i]);
        zo_layout_free(&layout);
    }
    /* of each: what it would have read, the feature before and behind its norm, stats, its score and two sums; and what the backward pass works in, which has grown
     * beyond what one forward pass takes */
    int64_t kept = T * (H + 2 * W + 2 + 3), grown = (int64_t)(plan[1].tag_bytes[ZO_TAG_ACTIVATIONS] - plan[0].tag_bytes[ZO_TAG_ACTIVATIONS]) / (int64_t)sizeof(float);
    ck_assert_int_ge(grown, 8 * kept);
    ck_assert_int_le(grown, 8 * (kept + T * (W + 1)));
}
END_TEST

/* ---- the mixture -------------------------------------------------------------------------------------------------------- */

/* relu(x_n + sum_k a_k x_k), weighed with `toward` and summed, in float64, from the formulas of backends/side.h. */
static double mixed64(int n, int cols, const double *x, const double *score, const double *toward, double *y)
{
    double ratio[8], total = 1e-8, sum = 0.0;
    for (int k = 0; k < n; k++) {
        double redundancy = 1.0;
        for (int j = 0; j < n; j++) {
            double dot = 0.0, own = 0.0, other = 0.0;
            for (int c = 0; c < cols; c++) {
                dot += x[k * cols + c] * x[j * cols + c];
                own += x[k * cols + c] * x[k * cols + c];
                other += x[j * cols + c] * x[j * cols + c];
            }
            redundancy += j != k && dot > 0.0 ? dot / ((sqrt(own) + 1e-8) * (sqrt(other) + 1e-8)) : 0.0;
        }
        ratio[k] = (score[k] > 0.0 ? score[k] : 0.0) / redundancy;
        total += ratio[k];
    }
    for (int c = 0; c < cols; c++) {
        y[c] = x[n * cols + c];
        for (int k = 0; k < n; k++) {
            y[c] += ratio[k] / total * x[k * cols + c];
        }
        y[c] = y[c] > 0.0 ? y[c] : 0.0;
        sum += toward[c] * y[c];
    }
    return sum;
}

/* Between -2 and 2. */
static double drawn(zo_stream stream, int at)
{
    return 4.0 * zo_uniform(stream, (uint64_t)at) - 2.0;
}

/* Rows of drawn numbers; of row 1 all scores are below 0, of row 2 a feature is zeros, of row 3 two features are the same. */
START_TEST(a_mixture_is_its_twin)
{
    enum { ROWS = 6, MOST = 6 * 40 };
    static const int ns[] = {1, 2, 5}, widths[] = {1, 7, 40};
    int n = ns[_i % 3], cols = widths[_i / 3];
    float x[6 * ROWS * 40], dx[6 * ROWS * 40], score[5 * ROWS], dscore[5 * ROWS], inverse[5 * ROWS], redundancy[5 * ROWS], y[ROWS * 40], dy[ROWS * 40];
    zo_stream stream = {.seed = 5, .step = (uint32_t)_i};
    for (int i = 0; i < (n + 1) * ROWS * cols; i++) {
        x[i] = (float)drawn(stream, i);
    }
    for (int i = 0; i < n * ROWS; i++) {
        score[i] = (float)(i % ROWS == 1 ? -1.0 : 0.3 + drawn(stream, 50000 + i));
    }
    for (int i = 0; i < ROWS * cols; i++) {
        dy[i] = (float)drawn(stream, 90000 + i);
    }
    memset(x + 2 * cols, 0, (size_t)cols * sizeof *x);
    if (n > 1) {
        memcpy(x + (ROWS + 3) * cols, x + 3 * cols, (size_t)cols * sizeof *x);
    }
    zo_mix mix = {.n = n, .cols = cols, .x = x, .score = score, .inverse = inverse, .redundancy = redundancy};
    be->mix(be, &mix, ROWS, y);
    be->mix_backward(be, &mix, ROWS, y, dy, dx, dscore);
    double worst = 0.0;
    for (int r = 0; r < ROWS; r++) {
        double twin[MOST], s[5], toward[40], made[40], none[40], scale = 0.0;
        for (int k = 0; k <= n; k++) {
            for (int c = 0; c < cols; c++) {
                twin[k * cols + c] = (double)x[(k * ROWS + r) * cols + c];
            }
            s[k < n ? k : 0] = k < n ? (double)score[k * ROWS + r] : s[0];
        }
        for (int c = 0; c < cols; c++) {
            toward[c] = (double)dy[r * cols + c];
            scale += fabs(toward[c]);
        }
        mixed64(n, cols, twin, s, toward, made);
        for (int c = 0; c < cols; c++) {
            ck_assert_double_le(fabs(made[c] - (double)y[r * cols + c]), 2e-6 * (1.0 + fabs(made[c])));
        }
        for (int i = 0; i < (n + 1) * cols + n; i++) {
            bool of_score = i >= (n + 1) * cols;
            double *at = of_score ? &s[i - (n + 1) * cols] : &twin[i], was = *at, h = 1e-6, pair[2];
            float gradient = of_score ? dscore[(i - (n + 1) * cols) * ROWS + r] : dx[((i / cols) * ROWS + r) * cols + i % cols];
            if (r == 2 && i < cols) { /* where a feature is zeros its direction has no slope */
                ck_assert(isfinite(gradient));
                continue;
            }
            for (int side = 0; side < 2; side++) {
                *at = was + (side == 0 ? h : -h);
                pair[side] = mixed64(n, cols, twin, s, toward, none);
            }
            *at = was;
            worst = fmax(worst, fabs((pair[0] - pair[1]) / (2.0 * h) - (double)gradient) / scale);
        }
    }
    ck_assert_msg(worst <= 1e-5, "%d features of %d: a gradient is %g of the largest it can be away", n, cols, worst);
}
END_TEST

START_TEST(a_gate_is_its_formula)
{
    enum { ROWS = 5, COLS = 19 };
    float x[ROWS * COLS], was[ROWS * COLS], y[ROWS * COLS], g[ROWS] = {0.0f, 0.05f, -0.1f, 0.3f, -2.0f}, dg[ROWS];
    for (int i = 0; i < ROWS * COLS; i++) {
        was[i] = x[i] = (float)sin(i);
        y[i] = (float)cos(2 * i);
    }
    be->gate(be, 10.0f, g, y, ROWS, COLS, x);
    be->gate_backward(be, 10.0f, g, was, y, ROWS, COLS, dg);
    for (int r = 0; r < ROWS; r++) {
        double t = tanh(10.0 * (double)g[r]), dot = 0.0;
        for (int c = 0; c < COLS; c++) {
            ck_assert_double_le(fabs((double)x[r * COLS + c] - (t * (double)was[r * COLS + c] + (double)y[r * COLS + c])), 1e-6);
            dot += (double)y[r * COLS + c] * (double)was[r * COLS + c];
        }
        ck_assert_double_le(fabs((double)dg[r] - 10.0 * (1.0 - t * t) * dot), 1e-5);
    }
}
END_TEST

/* ---- estimators and files ------------------------------------------------------------------------------------------------- */

static double settled(const char *optimizer, int family, double lr, int steps)
{
    setting s = {.optimizer = optimizer, .family = family, .tune = "side downsample 2 late 1", .lr = lr, .steps = steps};
    result r = run_of(be, &s);
    ck_assert_msg(r.status == ZO_OK, "%s", storage_err.text);
    zo_free(r.weights);
    zo_free(r.before);
    return r.settled;
}

/* Both orders go down on an adapter. Every method runs on it in test_tune.c. */
START_TEST(both_orders_go_down)
{
    static const char *const method[] = {"mezo", "tezo", "fo-sgd", "fo-adamw"};
    static const int family[] = {LLAMA, BERT};
    for (size_t i = 0; i < sizeof method / sizeof *method; i++) {
        const zo_estimator *e = zo_estimator_find(method[i]);
        double before = settled(method[i], family[_i], 0.0, 0), after = settled(method[i], family[_i], e->descends_lr, STEPS);
        ck_assert_msg(after < before - 1e-2, "%s: the loss goes from %.6f to %.6f", method[i], before, after);
    }
}
END_TEST

/* On failure NULL. */
static zo_model *try_model(int family, const char *tune, zo_storage storage)
{
    char folder[128];
    zo_tune view;
    zo_model *model;
    snprintf(folder, sizeof folder, "tests/golden/models/%s", families[family]);
    if (zo_tune_parse(tune, "test", &view, &err) != ZO_OK) {
        return NULL;
    }
    zo_model_spec spec = {.folder = folder, .head = ZO_HEAD_CLASS, .classes = CLASSES, .seed = 5, .storage = storage, .tune = &view};
    return zo_model_open(&model, &spec, be, &err) == ZO_OK ? model : NULL;
}

static float *trained_of(zo_model *model, int64_t *n)
{
    *n = zo_model_layout(model)->trained_size;
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)*n * sizeof *x);
    zo_store_read(be, zo_model_store(model), 0, *n, x);
    return x;
}

/* An adapter begins as torch's layers do, and one that has moved is read again bit for bit. */
START_TEST(what_is_written_is_read_again)
{
    char tune[200], folder[100], whole_model[200];
    int64_t n, m;
    snprintf(folder, sizeof folder, "%s/saved", scratch);
    zo_model *model = try_model(_i ? LLAMA : BERT, "side", ZO_STORAGE_F32);
    ck_assert_msg(model != NULL, "%s", err.text);
    const zo_layout *layout = zo_model_layout(model);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (!p->added) {
            continue;
        }
        float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(p->rows * p->cols) * sizeof *x), least = 1e9f, most = -1e9f;
        zo_store_get(be, zo_model_store(model), t, x);
        for (int64_t i = 0; i < p->rows * p->cols; i++) {
            least = fminf(least, x[i]);
            most = fmaxf(most, x[i]);
        }
        zo_free(x);
        bool linear = strstr(p->name, ".down.") != NULL || strstr(p->name, ".score.") != NULL || strstr(p->name, ".out.") != NULL;
        double bound = 1.0 / sqrt((double)(p->bias && linear ? layout->param[t - 1].cols : p->cols)), value = strstr(p->name, "norm.weight") != NULL;
        if (linear) {
            ck_assert_msg(most <= (float)bound && least >= -(float)bound && (p->rows * p->cols < 100 || (most > 0.7 * bound && least < -0.7 * bound)), "%s: %g to %g",
                          p->name, least, most);
        } else {
            ck_assert_msg(least == (float)value && most == (float)value, "%s: %g to %g", p->name, least, most);
        }
    }
    zo_term term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 9, .step = 1}, .coef = 0.5};
    be->apply(be, zo_model_store(model), NULL, 1.0, &term, 1, NULL);
    ck_assert_msg(zo_model_save(model, folder, &err) == ZO_OK, "%s", err.text);
    snprintf(tune, sizeof tune, "side from %s", folder);
    zo_model *again = try_model(_i ? LLAMA : BERT, tune, ZO_STORAGE_F32);
    ck_assert_msg(again != NULL, "%s", err.text);
    float *was = trained_of(model, &n), *is = trained_of(again, &m);
    ck_assert_int_eq(n, m);
    ck_assert_mem_eq(was, is, (size_t)n * sizeof *was);
    zo_free(was);
    zo_free(is);
    snprintf(whole_model, sizeof whole_model, "%s/model.safetensors", folder);
    ck_assert(!zo_path_exists(whole_model)); /* nothing that transformers would take for the model */
    uint64_t print[2] = {1, 1};
    ck_assert_int_eq(zo_adapter_fingerprint(folder, &print[0], &err), ZO_OK);
    ck_assert(print[0] != print[1]);
    zo_model_close(model);
    zo_model_close(again);
}
END_TEST

START_TEST(what_is_wrong_is_one_sentence)
{
    char saved[100];
    snprintf(saved, sizeof saved, "%s/wrong", scratch);
    zo_model *model = try_model(BERT, "side", ZO_STORAGE_F32);
    zo_term term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 9, .step = 1}, .coef = 1e5};
    be->apply(be, zo_model_store(model), NULL, 1.0, &term, 1, NULL);
    ck_assert_msg(zo_model_save(model, saved, &err) == ZO_OK, "%s", err.text);
    zo_model_close(model);
    const struct { int family; const char *tune; zo_storage storage; const char *says; } of[] = {
        {BERT, "side late 2", ZO_STORAGE_F32,
         "\"tune\" \"side\": \"late\" is 2, and the model has 2 blocks, of which one at least has to stand in front of the adapter; ask for fewer"},
        {BERT, "side downsample 33", ZO_STORAGE_F32, "\"tune\" \"side\": \"downsample\" is 33, and a token of the model has 32 numbers; ask for less"},
        {BERT, "side late 0", ZO_STORAGE_F32, "test: \"tune\" side: \"late\" is 0; expected 1 to 1000"},
        {BERT, "side from SAVED/none", ZO_STORAGE_F32, "SAVED/none/side.safetensors: "},
        {BERT, "side downsample 4 from SAVED", ZO_STORAGE_F32,
         "SAVED/side.safetensors: tensor \"side.0.down.weight\" is F32, the first of its 2 dimensions 16; expected F32, F16 or BF16 and 8 x 32, as \"tune\" and the model have it"},
        {BERT, "side from SAVED", ZO_STORAGE_F16, "SAVED: the side adapter has a value that is not finite in f16, whose largest is 65504; use \"storage\": \"bf16\" or \"f32\""}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char text[2][400];
        const char *from[] = {of[i].tune, of[i].says};
        for (int k = 0; k < 2; k++) { /* SAVED stands for the folder */
            const char *at = strstr(from[k], "SAVED");
            snprintf(text[k], sizeof text[k], "%.*s%s%s", at != NULL ? (int)(at - from[k]) : 300, from[k], at != NULL ? saved : "", at != NULL ? at + 5 : "");
        }
        err = (zo_err){0};
        ck_assert_msg(try_model(of[i].family, text[0], of[i].storage) == NULL, "%s is taken", text[0]);
        ck_assert_msg(strncmp(err.text, text[1], strlen(text[1])) == 0, "\"%s\" is not \"%s\"", err.text, text[1]);
        ck_assert(strchr(err.text, '\n') == NULL);
    }
    /* a backend without the operations says so */
    void (*mix)(zo_backend *, const zo_mix *, int64_t, float *) = be->mix;
    be->mix = NULL;
    ck_assert_ptr_null(try_model(BERT, "side", ZO_STORAGE_F32));
    ck_assert_msg(err.status == ZO_EUNSUPPORTED && strstr(err.text, "mix") != NULL, "%s", err.text);
    be->mix = mix;
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("side");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, open_all, close_all);
    tcase_add_loop_test(t, families_match_torch, 0, GOLDEN);
    tcase_add_loop_test(t, gradients_match_differences, 0, 9);
    tcase_add_loop_test(t, shared_prompts_equal_whole_sequences, 0, 3);
    tcase_add_loop_test(t, points_in_one_pass_and_packed_sequences, 0, 2);
    tcase_add_test(t, early_blocks_keep_nothing);
    tcase_add_loop_test(t, a_mixture_is_its_twin, 0, 9);
    tcase_add_test(t, a_gate_is_its_formula);
    tcase_add_loop_test(t, both_orders_go_down, 0, 2);
    tcase_add_loop_test(t, what_is_written_is_read_again, 0, 2);
    tcase_add_test(t, what_is_wrong_is_one_sentence);
    Suite *s = suite_create("side");
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
