/* test_lora.c: LoRA adapters against PEFT (golden/make_lora.py: folders that PEFT wrote, the logits, losses and gradients that it computes) and
 * against themselves: gradients and finite differences, many points and one, fresh adapters and the base model; folders written here against
 * PEFT's own; and what is wrong in a folder, in one sentence.
 *
 * With ZO_LORA_OUT=FOLDER the folders that are written stay there with their logits, for make_lora.py --check, where PEFT loads them. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/rng.h"
#include "models/files/adapter.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/model.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { Q = ZO_LINEAR_Q, K = ZO_LINEAR_K, V = ZO_LINEAR_V, O = ZO_LINEAR_O, GATE = ZO_LINEAR_GATE, UP = ZO_LINEAR_UP, DOWN = ZO_LINEAR_DOWN, ALL = ZO_LINEAR_ALL };

/* As make_lora.py has them; targets: what target_modules shall be when the folder is written here. */
typedef struct golden_case { const char *name, *family; bool lm; zo_lora lora; const char *targets, *heads; } golden_case;
static const golden_case cases[] = {
    {"bert-class", "bert", false, {2, 8, Q | V}, "query value", "classifier"},
    {"bert-lm", "bert", true, {3, 4, ALL}, "query key value output.dense intermediate.dense", ""},
    {"roberta-class", "roberta", false, {2, 4, Q | V}, "query value", "classifier"},
    {"roberta-lm", "roberta", true, {2, 5.656854249492381, K | UP}, "key intermediate.dense", ""}, /* rsLoRA: 4 / sqrt(2) = alpha / 2 */
    {"distilbert-class", "distilbert", false, {2, 4, Q | V | DOWN}, "q_lin v_lin lin2", "pre_classifier classifier"},
    {"gpt2-lm", "gpt2", true, {2, 4, O | UP | DOWN}, "c_proj c_fc", ""},
    {"opt-class", "opt", false, {2, 2, Q | V}, "q_proj v_proj", "score"},
    {"opt-lm", "opt", true, {2, 4, ALL}, "q_proj k_proj v_proj out_proj fc1 fc2", ""},
    {"opt-post-norm-lm", "opt-post-norm", true, {2, 4, K | UP}, "k_proj fc1", ""},
    {"llama-class", "llama", false, {3, 6, K | O | UP}, "k_proj o_proj up_proj", "score"},
    {"llama-lm", "llama", true, {2, 4, ALL}, "q_proj k_proj v_proj o_proj gate_proj up_proj down_proj", ""},
};
enum { CASES = sizeof cases / sizeof *cases, CLASSES = 3 };
static const char *const families[] = {"bert", "roberta", "distilbert", "gpt2", "opt", "opt-post-norm", "llama", "llama-tied", "gpt-neox"};
enum { FAMILIES = sizeof families / sizeof *families };

static zo_backend *be;
static zo_err err;
static char scratch[64];

static void open_all(void)
{
    ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK, "%s", err.text);
    snprintf(scratch, sizeof scratch, "/tmp/zo_lora_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(scratch));
}

static void close_all(void)
{
    be->close(be);
    folder_remove(scratch);
}

static const char *below(const char *name)
{
    static char path[4][4200];
    static int i;
    return zo_path_join(path[i = (i + 1) % 4], sizeof path[0], scratch, name);
}

/* ---- models ------------------------------------------------------------------------------------------------------------- */

/* As a config says it. */
static zo_tune view_of(zo_lora lora, const char *adapter)
{
    static const char *const word[] = {"q", "k", "v", "o", "gate", "up", "down"};
    char on[40] = "", text[400], from[300] = "";
    zo_tune tune;
    for (int i = 0; i < 7; i++) {
        snprintf(on + strlen(on), sizeof on - strlen(on), "%s%s", (lora.on >> i & 1) == 0 ? "" : on[0] != '\0' ? "," : "", lora.on >> i & 1 ? word[i] : "");
    }
    snprintf(from, sizeof from, "%s%s", adapter != NULL ? " from " : "", adapter != NULL ? adapter : "");
    snprintf(text, sizeof text, "lora rank %d alpha %.17g on %s%s", lora.rank, lora.alpha, lora.on == ALL ? "all" : on, from);
    ck_assert_msg(zo_tune_parse(text, "test", &tune, &err) == ZO_OK, "%s", err.text);
    return tune;
}

/* rank 0: the base model, all of it trained. adapter NULL: drawn. On failure NULL. */
static zo_model *try_model(const char *family, zo_lora lora, zo_head head, const char *adapter)
{
    char folder[128];
    zo_model *model;
    zo_tune tune;
    snprintf(folder, sizeof folder, "tests/golden/models/%s", family);
    zo_model_spec spec = {.folder = folder, .head = head, .classes = head == ZO_HEAD_CLASS ? CLASSES : 0, .seed = 5};
    if (lora.rank > 0) {
        tune = view_of(lora, adapter);
        spec.tune = &tune;
    }
    return zo_model_open(&model, &spec, be, &err) == ZO_OK ? model : NULL;
}

static zo_model *open_model(const char *family, zo_lora lora, zo_head head, const char *adapter)
{
    zo_model *model = try_model(family, lora, head, adapter);
    ck_assert_msg(model != NULL, "%s", err.text);
    return model;
}

static zo_model *case_model(const golden_case *c, const char *adapter)
{
    return open_model(c->family, c->lora, c->lm ? ZO_HEAD_SPAN : ZO_HEAD_CLASS, adapter);
}

/* B other than zero, so that A matters */
static void draw_b(zo_model *model, float std)
{
    const zo_layout *layout = zo_model_layout(model);
    for (int i = 0; i < layout->n; i++) {
        if (layout->param[i].lora == ZO_LORA_B) {
            be->init_normal(be, zo_model_store(model), i, 9, std);
        }
    }
}

static double loss_of(zo_model *model, const zo_batch *b)
{
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    double loss;
    zo_model_losses(model, &view, b, &loss);
    return loss;
}

static float *logits_of(zo_model *model, const zo_batch *b, int64_t *n)
{
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    *n = (int64_t)b->rows * (b->scores > 0 ? zo_model_arch(model)->vocab : CLASSES);
    float *logits = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)*n * sizeof *logits);
    zo_model_logits(model, &view, b, logits);
    return logits;
}

/* ---- batches ------------------------------------------------------------------------------------------------------------ */

static int32_t *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n > 0 ? n : 1) * sizeof(int32_t));
}

typedef struct opened { zo_map map; zo_tensors tensors; } opened;

static void open_tensors(opened *o, const char *path)
{
    ck_assert_msg(zo_map_open(&o->map, path, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_tensors_parse(&o->tensors, o->map.data, o->map.bytes, path, &err) == ZO_OK, "%s", err.text);
}

static void close_tensors(opened *o)
{
    zo_tensors_close(&o->tensors);
    zo_map_close(&o->map);
}

static float *values_of(const opened *o, const char *name, int64_t *n)
{
    const zo_tensor *t = zo_tensors_find(&o->tensors, name);
    ck_assert_msg(t != NULL, "no tensor %s", name);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)t->count * sizeof *x);
    zo_tensor_floats(t, 0, t->count, x);
    *n = t->count;
    return x;
}

/* The batch of models/FAMILY/golden.safetensors. lm: one example with one option, a score wherever the file has a target. */
static zo_batch *batch_of(const char *family, bool causal, bool lm)
{
    enum { IDS, TYPES, LENGTHS, LABELS, TARGETS, LISTS };
    static const char *const names[LISTS] = {"ids", "types", "lengths", "labels", "targets"};
    char path[128];
    opened o;
    float *list[LISTS];
    int64_t n[LISTS];
    snprintf(path, sizeof path, "tests/golden/models/%s/golden.safetensors", family);
    open_tensors(&o, path);
    for (int i = 0; i < LISTS; i++) {
        list[i] = values_of(&o, names[i], &n[i]);
    }
    close_tensors(&o);
    int32_t seqs = (int32_t)n[LENGTHS], tokens = (int32_t)n[IDS], scores = 0, i = 0, t = 0;
    for (int32_t k = 0; k < tokens && lm; k++) {
        scores += list[TARGETS][k] >= 0;
    }
    int32_t examples = lm ? 1 : seqs, rows = lm ? scores : seqs;
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = examples, .tokens = tokens, .id = ints(tokens), .position = ints(tokens), .type = ints(tokens), .seqs = seqs, .start = ints(seqs + 1),
                    .parent = ints(seqs), .rows = rows, .row = ints(rows), .scores = scores, .at = ints(scores), .target = ints(scores), .options = lm,
                    .option_start = ints(2), .example_start = ints(examples + 1), .label = ints(examples)};
    for (int32_t s = 0; s < seqs; s++) {
        b->parent[s] = -1;
        b->start[s] = t;
        for (int32_t k = 0; k < (int32_t)list[LENGTHS][s]; k++, t++) {
            b->id[t] = (int32_t)list[IDS][t];
            b->type[t] = (int32_t)list[TYPES][t];
            b->position[t] = k;
            if (lm && list[TARGETS][t] >= 0) {
                b->row[i] = t;
                b->at[i] = i;
                b->target[i++] = (int32_t)list[TARGETS][t];
            }
        }
        b->start[s + 1] = t;
        if (!lm) {
            b->row[s] = causal ? t - 1 : b->start[s];
            b->label[s] = (int32_t)list[LABELS][s];
        }
    }
    b->option_start[1] = scores;
    b->example_start[examples] = lm;
    for (int k = 0; k < LISTS; k++) {
        zo_free(list[k]);
    }
    return b;
}

static zo_batch *model_batch(zo_model *model, const char *family, bool lm, int points, zo_backward backward)
{
    zo_batch *b = batch_of(family, zo_model_arch(model)->causal, lm);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, points, backward, NULL);
    return b;
}

/* ---- against PEFT ------------------------------------------------------------------------------------------------------- */

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d; /* a NaN stays */
    }
    return most;
}

/* Largest |ours - theirs| of a gradient against its own largest entry, or a hundredth of the largest of all. What is trained is what PEFT trains. */
static double gradient_difference(const zo_model *model, const golden_case *c, const zo_store *grad, const char **worst)
{
    char folder[128];
    const zo_layout *layout = zo_model_layout(model);
    zo_store *wanted = zo_store_new(be, layout, ZO_TAG_GRADS);
    snprintf(folder, sizeof folder, "tests/golden/lora/%s/grad", c->name);
    ck_assert_msg(zo_adapter_read(folder, zo_model_arch(model), layout, be, wanted, NULL, &err) == ZO_OK, "%s", err.text);
    double all = 0.0, most = 0.0;
    for (int64_t i = 0; i < layout->trained_size; i++) {
        all = fmax(all, fabs((double)wanted->data[i]));
    }
    ck_assert_double_gt(all, 0.0);
    for (int p = 0; p < layout->n; p++) {
        int64_t n = layout->param[p].rows * layout->param[p].cols;
        const float *theirs = zo_set_values(wanted, p), *ours = zo_set_values(grad, p);
        double largest = 0.0;
        for (int64_t i = 0; i < n && theirs != NULL; i++) {
            largest = fmax(largest, fabs((double)theirs[i]));
        }
        ck_assert_msg(theirs == NULL || largest > 0.0, "%s: PEFT has no gradient of %s", c->name, layout->param[p].name);
        double d = theirs != NULL ? largest_difference(ours, theirs, n) / fmax(largest, 1e-2 * all) : 0.0;
        if (!(d <= most)) {
            most = d;
            *worst = layout->param[p].name;
        }
    }
    zo_store_free(be, wanted);
    return most;
}

START_TEST(adapters_match_peft)
{
    const golden_case *c = &cases[_i];
    char folder[128], path[160];
    opened golden;
    int64_t n, m;
    const char *worst = "";
    double gradient = 0.0, losses = 0.0;
    snprintf(folder, sizeof folder, "tests/golden/lora/%s", c->name);
    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    open_tensors(&golden, path);
    float *wanted = values_of(&golden, "logits", &n), *loss_wanted = values_of(&golden, "loss", &m);
    zo_model *model = case_model(c, folder);
    zo_batch *b = model_batch(model, c->family, c->lm, 1, ZO_BACKWARD);
    float *made = logits_of(model, b, &m);
    ck_assert_int_eq(m, n);
    double logits = largest_difference(made, wanted, n), largest = 1.0;
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs((double)wanted[i]));
    }
    logits /= largest;
    for (int checkpoint = 0; checkpoint < 2; checkpoint++) {
        zo_store *grad = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
        double loss;
        zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD, NULL);
        zo_model_grad(model, b, 1.0, checkpoint, grad, &loss);
        losses = fmax(losses, fabs(loss - (double)loss_wanted[0]));
        gradient = fmax(gradient, gradient_difference(model, c, grad, &worst));
        zo_store_free(be, grad);
    }
    losses = fmax(losses, fabs(loss_of(model, b) - (double)loss_wanted[0]));
    printf("measured: %-17s largest difference to PEFT: logits %.1e relative, loss %.1e, gradients %.1e relative (%s)\n", c->name, logits, losses, gradient, worst);
    fflush(stdout);
    ck_assert(logits <= 5e-6);
    ck_assert(losses <= 1e-5);
    ck_assert(gradient <= 1e-4);
    zo_free(made);
    zo_free(wanted);
    zo_free(loss_wanted);
    close_tensors(&golden);
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

/* ---- against itself ----------------------------------------------------------------------------------------------------- */

/* A fresh adapter changes no bit of a loss: A is drawn within PEFT's bound, B is zeros. */
START_TEST(fresh_adapters_are_the_base_model)
{
    zo_lora lora = {4, 8, ALL};
    zo_model *base = open_model(families[_i], (zo_lora){0}, ZO_HEAD_CLASS, NULL), *model = open_model(families[_i], lora, ZO_HEAD_CLASS, NULL);
    zo_batch *b = model_batch(base, families[_i], false, 1, ZO_FORWARD_ONLY);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
    ck_assert_double_eq(loss_of(base, b), loss_of(model, b));
    const zo_layout *layout = zo_model_layout(model), *plain = zo_model_layout(base);
    int adapted = 0;
    double mean = 0.0, square = 0.0, most = 0.0, n = 0.0;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        const float *w = zo_model_store(model)->data + p->offset;
        double bound = 1.0 / sqrt((double)p->cols);
        for (int64_t e = 0; e < p->rows * p->cols && p->lora != ZO_LORA_NONE; e++) {
            ck_assert(p->lora == ZO_LORA_B ? w[e] == 0.0f : fabs((double)w[e]) <= bound);
            double u = p->lora == ZO_LORA_A ? (double)w[e] / bound : 0.0;
            most = fmax(most, fabs(u));
            mean += u;
            square += u * u;
            n += p->lora == ZO_LORA_A;
        }
        ck_assert_float_eq(p->scale, p->lora == ZO_LORA_B ? 2.0f : 1.0f);
        adapted += p->lora == ZO_LORA_A;
    }
    bool gated = zo_model_arch(model)->gated;
    ck_assert_int_eq(adapted, zo_model_arch(model)->layers * (gated ? 7 : 6));
    ck_assert_int_eq(layout->n, plain->n + 2 * adapted);
    ck_assert_double_le(fabs(mean / n), 4.0 / sqrt(3.0 * n)); /* of the uniform: 0, 1/3, 1 */
    ck_assert_double_le(fabs(square / n - 1.0 / 3.0), 4.0 * sqrt(4.0 / 45.0 / n));
    ck_assert_double_gt(most, 0.99);
    /* a draw does not depend on what else has an adapter, and does on the seed */
    zo_model *few = open_model(families[_i], (zo_lora){4, 8, V}, ZO_HEAD_CLASS, NULL);
    const zo_layout *some = zo_model_layout(few);
    int at = zo_layout_find(some, "layer.1.attn.v.lora_a.weight"), all = zo_layout_find(layout, "layer.1.attn.v.lora_a.weight");
    ck_assert(at >= 0 && all >= 0 && zo_layout_find(some, "layer.1.attn.q.lora_a.weight") < 0);
    size_t bytes = (size_t)(some->param[at].rows * some->param[at].cols) * sizeof(float);
    ck_assert_mem_eq(zo_model_store(few)->data + some->param[at].offset, zo_model_store(model)->data + layout->param[all].offset, bytes);
    int other = zo_layout_find(layout, "layer.0.attn.v.lora_a.weight");
    ck_assert_mem_ne(zo_model_store(model)->data + layout->param[other].offset, zo_model_store(model)->data + layout->param[all].offset, bytes);
    zo_batch_free(b);
    zo_model_close(base);
    zo_model_close(few);
    zo_model_close(model);
}
END_TEST

/* An adapter is its product in W: with W + scale B A the base model has the same losses. */
START_TEST(adapters_are_their_products)
{
    zo_lora lora = {3, 6, ALL};
    zo_model *model = open_model(families[_i], lora, ZO_HEAD_CLASS, NULL), *merged = open_model(families[_i], (zo_lora){0}, ZO_HEAD_CLASS, NULL);
    draw_b(model, 0.3f);
    const zo_layout *layout = zo_model_layout(model), *plain = zo_model_layout(merged);
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        if (p->lora != ZO_LORA_B) {
            continue;
        }
        char name[sizeof p->name];
        snprintf(name, sizeof name, "%.*s.weight", (int)(strstr(p->name, ".lora_b") - p->name), p->name);
        const zo_param *w = &plain->param[zo_layout_find(plain, name)], *a = &layout->param[i - 1];
        ck_assert(a->lora == ZO_LORA_A && w->rows == p->rows && w->cols == a->cols && a->rows == p->cols);
        float *to = zo_model_store(merged)->data + w->offset;
        const float *A = zo_model_store(model)->data + a->offset, *B = zo_model_store(model)->data + p->offset;
        for (int64_t r = 0; r < w->rows; r++) {
            for (int64_t c = 0; c < w->cols; c++) {
                double sum = to[r * w->cols + c];
                for (int64_t k = 0; k < p->cols; k++) {
                    sum += 2.0 * (double)B[r * p->cols + k] * (double)A[k * w->cols + c];
                }
                to[r * w->cols + c] = (float)sum;
            }
        }
    }
    zo_batch *b = model_batch(model, families[_i], false, 1, ZO_FORWARD_ONLY);
    zo_model_reserve(merged, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
    zo_model *base = open_model(families[_i], (zo_lora){0}, ZO_HEAD_CLASS, NULL);
    zo_model_reserve(base, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
    ck_assert_double_le(fabs(loss_of(model, b) - loss_of(merged, b)), 1e-5);
    ck_assert_double_gt(fabs(loss_of(model, b) - loss_of(base, b)), 1e-3);
    zo_batch_free(b);
    zo_model_close(base);
    zo_model_close(model);
    zo_model_close(merged);
}
END_TEST

/* One pass at three points gives what three passes do; and the gradient is the slope along a direction, checkpointed in the same bits. */
START_TEST(points_and_gradients)
{
    for (int lm = 0; lm < 2; lm++) {
        zo_model *model = open_model(families[_i], (zo_lora){4, 8, ALL}, lm ? ZO_HEAD_SPAN : ZO_HEAD_CLASS, NULL);
        draw_b(model, 0.3f);
        const zo_layout *layout = zo_model_layout(model);
        zo_batch *b = model_batch(model, families[_i], lm, 3, ZO_BACKWARD);
        zo_store *grad = zo_store_new(be, layout, ZO_TAG_GRADS), *again = zo_store_new(be, layout, ZO_TAG_GRADS), *z = zo_store_new(be, layout, ZO_TAG_SNAPSHOT);
        double loss, loss_again;
        zo_model_grad(model, b, 1.0, false, grad, &loss);
        zo_model_grad(model, b, 1.0, true, again, &loss_again);
        ck_assert_double_eq(loss, loss_again);
        ck_assert_mem_eq(grad->data, again->data, (size_t)layout->trained_size * sizeof(float));
        double norm = sqrt(be->dot(be, grad, grad));
        bool kinks = zo_model_arch(model)->act == ZO_ACT_RELU || zo_model_arch(model)->class_head == ZO_CLASS_DENSE_RELU;
        float h = kinks ? 1e-5f : 1e-4f, coef[3] = {h, -h, 0.01f};
        const zo_store *slot[3] = {zo_model_store(model), zo_model_store(model), zo_model_store(model)};
        for (uint32_t k = 0; k < 4; k++) {
            zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 21, .step = k};
            zo_term term = {.dir = dir, .coef = 1.0};
            be->zero(be, z->data, (size_t)layout->trained_size * sizeof(float));
            be->apply(be, z, NULL, 1.0, &term, 1, NULL);
            zo_view view = {.npoints = 3, .base = slot, .ndirs = 1, .dir = &dir, .coef = coef};
            double at[3];
            zo_model_losses(model, &view, b, at);
            double measured = (at[0] - at[1]) / (2.0 * (double)h), exact = be->dot(be, grad, z);
            ck_assert_msg(fabs(measured - exact) <= (kinks ? 4e-2 : 1e-2) * norm, "%s: slope %g by differences, %g by the gradient of norm %g", families[_i], measured, exact, norm);
            for (int p = 0; p < 3; p++) {
                zo_view one = {.npoints = 1, .base = slot, .ndirs = 1, .dir = &dir, .coef = coef + p};
                double alone;
                zo_model_losses(model, &one, b, &alone);
                ck_assert_double_le(fabs(alone - at[p]), 2e-6);
            }
        }
        zo_store_free(be, grad);
        zo_store_free(be, again);
        zo_store_free(be, z);
        zo_batch_free(b);
        zo_model_close(model);
    }
}
END_TEST

/* ---- folders ------------------------------------------------------------------------------------------------------------ */

static void check_words(const cJSON *list, const char *words, const char *what)
{
    char copy[200], *save = NULL;
    int n = 0;
    snprintf(copy, sizeof copy, "%s", words);
    for (const char *word = strtok_r(copy, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save), n++) {
        bool found = false;
        const cJSON *item;
        cJSON_ArrayForEach(item, list) {
            found = found || strcmp(item->valuestring, word) == 0;
        }
        ck_assert_msg(found, "%s: no %s", what, word);
    }
    ck_assert_msg(cJSON_GetArraySize(list) == n, "%s: %d modules, not %d", what, cJSON_GetArraySize(list), n);
}

/* What is written is what PEFT wrote: the same tensors with the same bits; and it is read again. */
START_TEST(folders_are_peft_s)
{
    const golden_case *c = &cases[_i];
    const char *keep = getenv("ZO_LORA_OUT");
    char folder[128], made[4096], path[4200];
    snprintf(folder, sizeof folder, "tests/golden/lora/%s", c->name);
    zo_path_join(made, sizeof made, keep != NULL ? keep : scratch, c->name);
    zo_model *model = case_model(c, folder);
    ck_assert_msg(zo_model_save(model, made, &err) == ZO_OK, "%s", err.text);
    opened ours, theirs;
    open_tensors(&ours, zo_path_join(path, sizeof path, made, "adapter_model.safetensors"));
    open_tensors(&theirs, zo_path_join(path, sizeof path, folder, "adapter_model.safetensors"));
    ck_assert_int_eq(ours.tensors.n, theirs.tensors.n);
    for (int i = 0; i < ours.tensors.n; i++) {
        const zo_tensor *a = &ours.tensors.tensor[i], *b = &theirs.tensors.tensor[i]; /* both sorted by name */
        ck_assert_str_eq(a->name, b->name);
        ck_assert(a->dtype == ZO_DTYPE_F32 && a->dims == b->dims && memcmp(a->shape, b->shape, (size_t)a->dims * sizeof *a->shape) == 0);
        ck_assert_mem_eq(a->data, b->data, (size_t)a->count * sizeof(float));
    }
    cJSON *config;
    ck_assert_msg(zo_json_read(zo_path_join(path, sizeof path, made, "adapter_config.json"), &config, &err) == ZO_OK, "%s", err.text);
    check_words(cJSON_GetObjectItem(config, "target_modules"), c->targets, c->name);
    const cJSON *heads = cJSON_GetObjectItem(config, "modules_to_save");
    ck_assert(c->heads[0] != '\0' || cJSON_IsNull(heads));
    check_words(heads, c->heads, c->name);
    ck_assert_int_eq(cJSON_GetObjectItem(config, "r")->valueint, c->lora.rank);
    ck_assert_double_eq_tol(cJSON_GetObjectItem(config, "lora_alpha")->valuedouble, c->lora.alpha, 1e-12);
    ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(config, "fan_in_fan_out")), strcmp(c->family, "gpt2") == 0);
    static const struct { const char *key, *value; } fixed[] = {
        {"peft_type", "\"LORA\""}, {"lora_dropout", "0"}, {"bias", "\"none\""}, {"use_rslora", "false"}, {"use_dora", "false"}, {"init_lora_weights", "true"},
        {"inference_mode", "true"}};
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        char *value = cJSON_PrintUnformatted(cJSON_GetObjectItemCaseSensitive(config, fixed[i].key));
        ck_assert_msg(value != NULL && strcmp(value, fixed[i].value) == 0, "%s: %s is %s, and should be %s", c->name, fixed[i].key, value, fixed[i].value);
        cJSON_free(value);
    }
    cJSON_Delete(config);
    close_tensors(&ours);
    close_tensors(&theirs);
    zo_model *again = case_model(c, made);
    ck_assert_mem_eq(zo_model_store(again)->data, zo_model_store(model)->data, (size_t)zo_model_layout(model)->size * sizeof(float));
    if (keep != NULL) {
        int64_t n;
        zo_batch *b = model_batch(model, c->family, c->lm, 1, ZO_FORWARD_ONLY);
        float *logits = logits_of(model, b, &n);
        ck_assert_msg(zo_make_dirs(made, &err) == ZO_OK, "%s", err.text);
        FILE *f = fopen(zo_path_join(path, sizeof path, made, "logits.f32"), "wb");
        ck_assert(f != NULL && fwrite(logits, sizeof *logits, (size_t)n, f) == (size_t)n && fclose(f) == 0);
        zo_free(logits);
        zo_batch_free(b);
    }
    zo_model_close(again);
    zo_model_close(model);
}
END_TEST

/* down alone has no name of its own in BERT's modules, where output.dense is also what ends attention.output.dense: each module is named. */
START_TEST(ambiguous_modules_are_named_whole)
{
    char path[4200];
    cJSON *config;
    zo_model *model = open_model("bert", (zo_lora){2, 2, DOWN}, ZO_HEAD_SPAN, NULL);
    ck_assert_msg(zo_model_save(model, below("down"), &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_json_read(zo_path_join(path, sizeof path, below("down"), "adapter_config.json"), &config, &err) == ZO_OK, "%s", err.text);
    check_words(cJSON_GetObjectItem(config, "target_modules"), "bert.encoder.layer.0.output.dense bert.encoder.layer.1.output.dense", "down");
    cJSON_Delete(config);
    zo_model_close(model);
}
END_TEST

/* What a view of adapters trains: they, and the classification head that PEFT saves, which has no pooler. */
START_TEST(adapters_and_the_head_are_trained)
{
    static const struct { const char *family, *trained; zo_head head; } of[] = {
        {"bert", "layer.0.attn.v.lora_a.weight layer.0.attn.v.lora_b.weight layer.1.attn.v.lora_a.weight layer.1.attn.v.lora_b.weight class.out.weight class.out.bias ", ZO_HEAD_CLASS},
        {"distilbert", "layer.0.attn.v.lora_a.weight layer.0.attn.v.lora_b.weight layer.1.attn.v.lora_a.weight layer.1.attn.v.lora_b.weight class.dense.weight class.dense.bias "
         "class.out.weight class.out.bias ", ZO_HEAD_CLASS},
        {"roberta", "layer.0.attn.v.lora_a.weight layer.0.attn.v.lora_b.weight layer.1.attn.v.lora_a.weight layer.1.attn.v.lora_b.weight ", ZO_HEAD_SPAN},
        {"llama", "layer.0.attn.v.lora_a.weight layer.0.attn.v.lora_b.weight layer.1.attn.v.lora_a.weight layer.1.attn.v.lora_b.weight ", ZO_HEAD_SPAN}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_model *model = open_model(of[i].family, (zo_lora){2, 2, V}, of[i].head, NULL);
        const zo_layout *layout = zo_model_layout(model);
        char have[1000] = "";
        for (int t = 0; t < layout->n; t++) {
            snprintf(have + strlen(have), sizeof have - strlen(have), "%s%s", layout->param[t].frozen ? "" : layout->param[t].name, layout->param[t].frozen ? "" : " ");
        }
        ck_assert_str_eq(have, of[i].trained);
        zo_model_close(model);
    }
}
END_TEST

/* ---- what is wrong ------------------------------------------------------------------------------------------------------ */

/* Opening must fail with these words in its sentence. */
static void refuses(const char *family, zo_lora lora, const char *adapter, const char *one, const char *two)
{
    zo_model *model = try_model(family, lora, ZO_HEAD_CLASS, adapter);
    ck_assert_msg(model == NULL, "%s was taken", adapter != NULL ? adapter : family);
    ck_assert_msg(strstr(err.text, one) != NULL && strstr(err.text, two) != NULL, "\"%s\" lacks \"%s\" or \"%s\"", err.text, one, two);
}

/* The folder of bert-class with another text in its config. */
static const char *changed(const char *name, const char *from, const char *to)
{
    char path[4200], *text, *data, out[4000];
    size_t bytes;
    const char *folder = below(name);
    ck_assert(zo_make_dirs(folder, &err) == ZO_OK);
    ck_assert(zo_read_file("tests/golden/lora/bert-class/adapter_config.json", 1 << 20, &text, &bytes, &err) == ZO_OK);
    char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "no %s", from);
    snprintf(out, sizeof out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    ck_assert(zo_write_file(zo_path_join(path, sizeof path, folder, "adapter_config.json"), out, strlen(out), &err) == ZO_OK);
    zo_free(text);
    ck_assert(zo_read_file("tests/golden/lora/bert-class/adapter_model.safetensors", 1 << 20, &data, &bytes, &err) == ZO_OK);
    ck_assert(zo_write_file(zo_path_join(path, sizeof path, folder, "adapter_model.safetensors"), data, bytes, &err) == ZO_OK);
    zo_free(data);
    return folder;
}

START_TEST(wrong_options_are_told)
{
    static const struct { const char *text, *says; } of[] = {
        {"lora on q,x", "f.json: \"tune\" \"lora\": \"on\" names \"x\"; expected some of q, k, v, o, gate, up and down with commas between, or all"},
        {"lora on query", "names \"query\""},
        {"lora rank 0", "\"rank\""},
        {"lora alpha 0", "\"alpha\""},
        {"lora alpah 8", "did you mean \"alpha\"?"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_tune tune;
        ck_assert_int_eq(zo_tune_parse(of[i].text, "f.json", &tune, &err), ZO_EINPUT);
        ck_assert_msg(strstr(err.text, of[i].says) != NULL, "\"%s\" lacks \"%s\"", err.text, of[i].says);
    }
    char text[ZO_OPT_STRING_BYTES];
    zo_tune tune;
    ck_assert(zo_tune_parse("lora", "f.json", &tune, &err) == ZO_OK);
    ck_assert_str_eq(zo_tune_text(&tune, text), "lora rank 8 alpha 16 on q,v"); /* MeZO's */
    ck_assert_ptr_null(zo_tune_from(&tune));
    ck_assert(zo_tune_parse("lora from some/folder", "f.json", &tune, &err) == ZO_OK);
    ck_assert_str_eq(zo_tune_from(&tune), "some/folder");
}
END_TEST

START_TEST(wrong_folders_are_told)
{
    static const char fits[] = "tests/golden/lora/bert-class";
    refuses("bert", (zo_lora){4, 16, Q | V}, fits, "\"r\" is 2", "\"rank\": 2");
    refuses("bert", (zo_lora){2, 4, Q | V}, fits, "scaled by 4", "\"alpha\": 8");
    refuses("bert", (zo_lora){2, 8, Q | K | V}, fits, "attention.self.key.lora_A.weight", "missing");
    refuses("bert", (zo_lora){2, 8, Q}, fits, "attention.self.value.lora_A.weight", "\"on\"");
    refuses("opt", (zo_lora){2, 8, Q | V}, fits, "self_attn.q_proj.lora_A.weight", "missing");
    refuses("bert", (zo_lora){2, 8, Q | V}, below("none"), "adapter_config.json", "none");
    refuses("gpt2", (zo_lora){2, 8, Q | V}, fits, "c_attn", "\"on\": \"o,up,down\"");
    refuses("phi3", (zo_lora){2, 8, Q | V}, fits, "qkv_proj", "\"on\": \"o,down\"");
    refuses("phi3", (zo_lora){2, 8, O | UP}, fits, "gate_up_proj", "\"on\": \"o,down\"");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("ia3", "\"LORA\"", "\"IA3\""), "peft_type", "\"LORA\"");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("dora", "\"use_dora\": false", "\"use_dora\": true"), "use_dora", "false");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("bias", "\"none\"", "\"all\""), "bias", "\"none\"");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("ranks", "\"rank_pattern\": {}", "\"rank_pattern\": {\"query\": 4}"), "rank_pattern", "{}");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("pissa", "\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\""), "init_lora_weights", "base weights");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("twice", "\"r\": 2", "\"r\": 2, \"r\": 3"), "\"r\"", "twice");
    refuses("bert", (zo_lora){2, 8, Q | V}, changed("word", "\"r\": 2", "\"r\": \"2\""), "\"r\"", "whole number");
    refuses("bert", (zo_lora){3, 8, Q | V}, changed("three", "\"r\": 2", "\"r\": 3"), "lora_A.weight", "(3, 32)");
    char gone[4200];
    const char *folder = changed("gone", "\"r\": 2", "\"r\": 2");
    ck_assert_int_eq(unlink(zo_path_join(gone, sizeof gone, folder, "adapter_model.safetensors")), 0);
    refuses("bert", (zo_lora){2, 8, Q | V}, folder, "adapter_model.safetensors", "gone");
    refuses("bert", (zo_lora){2, 8, Q | GATE}, NULL, "names gate", "bert");
    zo_model *model;
    for (int rank = 1; rank <= 2; rank++) { /* may be trained, but not written, and that is known before */
        model = open_model("gpt2", (zo_lora){rank, 8, Q | V}, ZO_HEAD_CLASS, NULL);
        ck_assert_int_eq(zo_model_save_check(model, below("fused"), &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(zo_model_save(model, below("fused"), &err), ZO_EUNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(err.text, "c_attn"));
        ck_assert(!zo_path_exists(below("fused")));
        zo_model_close(model);
    }
    model = open_model("bert", (zo_lora){2, 8, Q | V}, ZO_HEAD_CLASS, changed("fits", "\"r\": 2", "\"r\": 2")); /* the copy itself is right */
    zo_model_close(model);
}
END_TEST

/* Numbers that are none, and those that f16 cannot hold. */
START_TEST(numbers_that_do_not_fit_are_told)
{
    zo_lora lora = {2, 8, Q};
    for (int infinite = 0; infinite < 2; infinite++) {
        zo_model *model = open_model("bert", lora, ZO_HEAD_SPAN, NULL);
        const zo_layout *layout = zo_model_layout(model);
        zo_model_store(model)->data[layout->param[zo_layout_find(layout, "layer.1.attn.q.lora_b.weight")].offset + 3] = infinite ? INFINITY : 70000.0f;
        ck_assert_msg(zo_model_save(model, below("large"), &err) == ZO_OK, "%s", err.text);
        zo_model_close(model);
        for (int half = 0; half < 2; half++) {
            zo_tune tune = view_of(lora, below("large"));
            zo_model_spec spec = {.folder = "tests/golden/models/bert", .head = ZO_HEAD_SPAN, .seed = 5, .tune = &tune, .storage = half ? ZO_STORAGE_F16 : ZO_STORAGE_F32};
            zo_status status = zo_model_open(&model, &spec, be, &err);
            ck_assert_int_eq(status, infinite || half ? ZO_EINPUT : ZO_OK);
            ck_assert(status == ZO_OK || (strstr(err.text, "layer.1.attention.self.query.lora_B.weight") != NULL && strstr(err.text, half ? "65504" : "diverged") != NULL));
            zo_model_close(model);
        }
    }
}
END_TEST

/* A classifier on an adapter without a head says so, and keeps its own. */
START_TEST(a_head_that_is_not_there_is_noted)
{
    zo_lora lora = {3, 4, ALL};
    zo_model *model = open_model("bert", lora, ZO_HEAD_CLASS, "tests/golden/lora/bert-lm"), *fresh = open_model("bert", lora, ZO_HEAD_CLASS, NULL);
    ck_assert_ptr_nonnull(strstr(zo_model_note(model), "the adapter has no classification head, which begins as without it"));
    ck_assert_ptr_null(strstr(zo_model_note(fresh), "adapter"));
    const zo_param *p = &zo_model_layout(model)->param[zo_layout_find(zo_model_layout(model), "class.out.weight")];
    ck_assert_mem_eq(zo_model_store(model)->data + p->offset, zo_model_store(fresh)->data + p->offset, (size_t)(p->rows * p->cols) * sizeof(float));
    zo_model_close(model);
    zo_model_close(fresh);
    model = open_model("bert", (zo_lora){2, 8, Q | V}, ZO_HEAD_CLASS, "tests/golden/lora/bert-class");
    ck_assert_ptr_null(strstr(zo_model_note(model), "adapter"));
    zo_model_close(model);
}
END_TEST

/* The classification head of a sequence classifier's adapter is none of a language model's. */
START_TEST(another_task_s_head_is_passed_over)
{
    zo_model *model = open_model("bert", (zo_lora){2, 8, Q | V}, ZO_HEAD_SPAN, "tests/golden/lora/bert-class");
    ck_assert_ptr_null(strstr(zo_model_note(model), "adapter"));
    zo_model_close(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("lora");
    TCase *tc = tcase_create("lora");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, open_all, close_all);
    tcase_add_loop_test(tc, adapters_match_peft, 0, CASES);
    tcase_add_loop_test(tc, fresh_adapters_are_the_base_model, 0, FAMILIES);
    tcase_add_loop_test(tc, adapters_are_their_products, 0, FAMILIES);
    tcase_add_loop_test(tc, points_and_gradients, 0, FAMILIES);
    tcase_add_loop_test(tc, folders_are_peft_s, 0, CASES);
    tcase_add_test(tc, ambiguous_modules_are_named_whole);
    tcase_add_test(tc, adapters_and_the_head_are_trained);
    tcase_add_test(tc, wrong_options_are_told);
    tcase_add_test(tc, wrong_folders_are_told);
    tcase_add_test(tc, numbers_that_do_not_fit_are_told);
    tcase_add_test(tc, a_head_that_is_not_there_is_noted);
    tcase_add_test(tc, another_task_s_head_is_passed_over);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
