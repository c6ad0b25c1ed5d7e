/* Models against transformers (golden files made by golden/make_models.py: every family's hidden states, logits, losses and
 * gradients), and against themselves: packed or one by one, shared prompts or whole sequences, many points or one, checkpoints
 * or not, gradients or finite differences, bf16 or f32. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/rng.h"
#include "models/files/hub.h"
#include "models/files/safetensors.h"
#include "models/model.h"
#include "models/prefix.h"
#include "models/rope.h"
#include "models/transformer.h"
#include "tests/suite.h"

static const char *const families[] = {"bert", "roberta", "distilbert", "electra", "albert", "modernbert", "gpt2", "opt", "opt-post-norm", "llama", "llama-tied", "mistral", "qwen2", "gpt-neox", "qwen3",
                                       "gemma", "gemma2", "gptj", "phi", "phi3", "gpt-neo"};
enum { FAMILIES = sizeof families / sizeof families[0], BERT = 0, GPT2 = 6, LLAMA = 9 };

static zo_backend *be;
static zo_err err;
static int prefix; /* rows of the golden prefix that models are opened with, trained as all else is */

/* Loop tests over families, first without a prefix, then with one: sets `prefix` and returns the family. */
static int family_of(int i)
{
    prefix = i < FAMILIES ? 0 : 3;
    return i % FAMILIES;
}

static void open_backend(void)
{
    ck_assert_msg(zo_backend_open("cpu", 0, &be, &err) == ZO_OK, "%s", err.text);
}

static void close_backend(void)
{
    be->close(be);
}

static void folder_of(int family, const char *more, char folder[512])
{
    snprintf(folder, 512, "tests/golden/models/%s%s", families[family], more);
}

typedef struct golden_file { zo_map map; zo_tensors tensors; } golden_file;

static golden_file open_golden(const char *path)
{
    golden_file f;
    ck_assert_msg(zo_map_open(&f.map, path, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_tensors_parse(&f.tensors, f.map.data, f.map.bytes, path, &err) == ZO_OK, "%s", err.text);
    return f;
}

static void close_golden(golden_file *f)
{
    zo_tensors_close(&f->tensors);
    zo_map_close(&f->map);
}

static float *golden(const zo_tensors *tensors, const char *name, int64_t *n)
{
    const zo_tensor *t = zo_tensors_find(tensors, name);
    ck_assert_msg(t != NULL, "the golden file has no %s", name);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)t->count * sizeof(float));
    zo_tensor_floats(t, 0, t->count, x);
    if (n) {
        *n = t->count;
    }
    return x;
}

static void fill_prefix(zo_model *model, int family)
{
    char path[512];
    snprintf(path, sizeof path, "tests/golden/prefix/%s/prefix.safetensors", families[family]);
    golden_file f = open_golden(path);
    const zo_layout *layout = zo_model_layout(model);
    int filled = 0;
    for (int t = 0; t < layout->n; t++) {
        if (layout->param[t].added) {
            int64_t n;
            float *values = golden(&f.tensors, layout->param[t].name, &n);
            ck_assert_int_eq(n, layout->param[t].rows * layout->param[t].cols);
            zo_store_set(be, zo_model_store(model), t, values);
            zo_free(values);
            filled++;
        }
    }
    ck_assert_int_eq(filled, 2 * zo_model_arch(model)->layers);
    close_golden(&f);
}

static zo_model *open_model(int family, zo_head head, int classes, const int32_t *word, zo_precision precision)
{
    char folder[512];
    folder_of(family, "", folder);
    zo_arch arch;
    ck_assert_msg(zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    arch.prefix = prefix;
    zo_model_spec spec = {.folder = folder, .arch = &arch, .head = head, .classes = classes, .word = word, .precision = precision, .seed = 5};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    if (prefix > 0) {
        fill_prefix(model, family);
    }
    return model;
}

/* ---- batches made by hand ----------------------------------------------------------------------------------------------- */

static int32_t *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n > 0 ? n : 1) * sizeof(int32_t));
}

static zo_batch *new_batch(int32_t examples, int32_t tokens, int32_t seqs, int32_t rows, int32_t scores, int32_t options)
{
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    *b = (zo_batch){.examples = examples, .tokens = tokens, .id = ints(tokens), .position = ints(tokens), .type = ints(tokens),
                    .seqs = seqs, .start = ints(seqs + 1), .parent = ints(seqs), .rows = rows, .row = ints(rows), .scores = scores,
                    .at = ints(scores), .target = ints(scores), .options = options, .option_start = ints(options + 1),
                    .example_start = ints(examples + 1), .label = ints(examples)};
    for (int32_t s = 0; s < seqs; s++) {
        b->parent[s] = -1;
    }
    return b;
}

static uint32_t draw(uint64_t at, uint32_t bound)
{
    return zo_below((zo_stream){.seed = 77, .role = ZO_ROLE_DATA}, at, bound);
}

/* Sequences of these lengths with drawn tokens; CLASS and WORDS: one row a sequence (`last`: its last token, else its first). */
static zo_batch *class_batch(const int32_t *length, int32_t n, bool last, int vocab, int types, int classes, uint64_t seed)
{
    int32_t tokens = 0;
    for (int32_t s = 0; s < n; s++) {
        tokens += length[s];
    }
    zo_batch *b = new_batch(n, tokens, n, n, 0, 0);
    for (int32_t s = 0, t = 0; s < n; s++) {
        b->start[s] = t;
        for (int32_t i = 0; i < length[s]; i++, t++) {
            b->id[t] = (int32_t)draw(seed * 100000 + (uint64_t)t, (uint32_t)vocab);
            b->position[t] = i;
            b->type[t] = types > 1 && i > length[s] / 2;
        }
        b->start[s + 1] = t;
        b->row[s] = last ? t - 1 : b->start[s];
        b->label[s] = (int32_t)draw(seed * 100000 + 50000 + (uint64_t)s, (uint32_t)classes);
    }
    return b;
}

/* Examples of a prompt and options (MeZO's form). shared: the prompt is a parent and the options hang on it; else every option is
 * a whole sequence. The last token of an option is not run. */
static zo_batch *option_batch(int32_t examples, bool shared, int vocab, uint64_t seed)
{
    enum { OPTIONS = 3 };
    static const int32_t option_length[OPTIONS] = {1, 4, 2};
    int32_t tokens = 0, scores = 0, seqs = 0;
    for (int32_t e = 0; e < examples; e++) {
        int32_t prompt = 3 + 5 * e;
        tokens += shared ? prompt : 0;
        seqs += shared;
        for (int o = 0; o < OPTIONS; o++) {
            tokens += option_length[o] - 1 + (shared ? 0 : prompt);
            scores += option_length[o];
            seqs++;
        }
    }
    zo_batch *b = new_batch(examples, tokens, seqs, scores, scores, examples * OPTIONS);
    int32_t t = 0, s = 0, i = 0, option = 0;
    for (int32_t e = 0; e < examples; e++) {
        int32_t prompt = 3 + 5 * e, parent = s, prompt_last = -1;
        uint64_t at = seed * 100000 + 1000 * (uint64_t)e;
        for (int o = -(int)shared; o < OPTIONS; o++) {
            b->start[s] = t;
            b->parent[s] = shared && o >= 0 ? parent : -1;
            if (o < 0 || !shared) {
                for (int32_t k = 0; k < prompt; k++, t++) {
                    b->id[t] = (int32_t)draw(at + (uint64_t)k, (uint32_t)vocab);
                    b->position[t] = k;
                }
                prompt_last = t - 1;
            }
            for (int32_t k = 0; o >= 0 && k < option_length[o]; k++) {
                int32_t token = (int32_t)draw(at + 500 + (uint64_t)(10 * o + k), (uint32_t)vocab);
                b->row[i] = k == 0 ? prompt_last : t - 1;
                b->at[i] = i;
                b->target[i++] = token;
                if (k < option_length[o] - 1) {
                    b->id[t] = token;
                    b->position[t++] = prompt + k;
                }
            }
            if (o >= 0) {
                b->option_start[++option] = i;
            }
            b->start[++s] = t;
        }
        b->example_start[e + 1] = option;
        b->label[e] = (int32_t)draw(at + 900, OPTIONS);
    }
    return b;
}

static void reserve(zo_model *model, const zo_batch *b, int points, zo_backward backward)
{
    zo_model_reserve(model, b->tokens, b->rows, b->scores, points, backward, NULL);
}

static double loss_at(zo_model *model, const zo_batch *b)
{
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    double loss;
    zo_model_losses(model, &view, b, &loss);
    return loss;
}

/* ---- golden ------------------------------------------------------------------------------------------------------------- */

static double largest_difference(const float *a, const float *b, int64_t n)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        most = d <= most ? most : d; /* a NaN stays */
    }
    return most;
}

/* A store with what the golden files have of the gradients: of a model's weights, or with a prefix of that alone. */
static zo_store *golden_gradient(zo_model *model, int family, bool lm, const zo_tensors *tensors)
{
    const zo_layout *layout = zo_model_layout(model);
    zo_store *wanted = zo_store_new(be, layout, ZO_TAG_GRADS);
    char folder[512], name[160];
    folder_of(family, lm ? "/grad-lm" : "/grad-class", folder);
    if (prefix == 0) {
        ck_assert_msg(zo_weights_read(folder, zo_model_arch(model), layout, be, wanted, 0, &err) == ZO_OK, "%s", err.text);
        return wanted;
    }
    for (int t = 0; t < layout->n; t++) {
        if (layout->param[t].added) {
            snprintf(name, sizeof name, "%s.%s", lm ? "lm" : "class", layout->param[t].name);
            float *values = golden(tensors, name, NULL);
            zo_store_set(be, wanted, t, values);
            zo_free(values);
        }
    }
    return wanted;
}

/* Largest |ours - theirs| of a parameter's gradient against the largest entry of that gradient (or a hundredth of the largest of
 * all: a key's bias has no gradient but rounding). */
static double gradient_difference(zo_model *model, const zo_store *wanted, const zo_store *grad, char worst[128])
{
    const zo_layout *layout = zo_model_layout(model);
    double all = 0.0, most = 0.0;
    for (int64_t i = 0; i < layout->size; i++) {
        all = fmax(all, fabs((double)wanted->data[i]));
    }
    ck_assert(all > 0.0);
    for (int p = 0; p < layout->n; p++) {
        int64_t n = layout->param[p].rows * layout->param[p].cols, at = layout->param[p].offset;
        double largest = 1e-2 * all;
        if (prefix > 0 && !layout->param[p].added) {
            continue;
        }
        for (int64_t i = 0; i < n; i++) {
            largest = fmax(largest, fabs((double)wanted->data[at + i]));
        }
        double d = largest_difference(grad->data + at, wanted->data + at, n) / largest;
        if (!(d <= most)) {
            most = d;
            strcpy(worst, layout->param[p].name);
        }
    }
    return most;
}

/* The golden batch. lm: a score wherever the golden file has a target. */
static zo_batch *golden_batch(const zo_tensors *tensors, const zo_arch *arch, bool lm)
{
    int64_t tokens, seqs;
    float *id = golden(tensors, "ids", &tokens), *type = golden(tensors, "types", NULL), *target = golden(tensors, "targets", NULL);
    float *length = golden(tensors, "lengths", &seqs), *label = golden(tensors, "labels", NULL);
    int32_t scores = 0;
    for (int64_t t = 0; lm && t < tokens; t++) {
        scores += target[t] >= 0.0f;
    }
    int32_t n = (int32_t)seqs;
    zo_batch *b = new_batch(lm ? 1 : n, (int32_t)tokens, n, lm ? scores : n, scores, lm);
    for (int32_t s = 0, t = 0, i = 0; s < n; s++) {
        b->start[s] = t;
        for (int32_t k = 0; k < (int32_t)length[s]; k++, t++) {
            b->id[t] = (int32_t)id[t];
            b->type[t] = (int32_t)type[t];
            b->position[t] = k;
            if (lm && target[t] >= 0.0f) {
                b->row[i] = t;
                b->at[i] = i;
                b->target[i++] = (int32_t)target[t];
            }
        }
        b->start[s + 1] = t;
        if (!lm) {
            b->row[s] = arch->causal ? t - 1 : b->start[s];
            b->label[s] = (int32_t)label[s];
        }
    }
    if (lm) { /* one example with one option: the mean over all targets, as transformers' loss */
        b->option_start[1] = scores;
        b->example_start[1] = 1;
    }
    zo_free(id);
    zo_free(type);
    zo_free(target);
    zo_free(length);
    zo_free(label);
    return b;
}

typedef struct differences { double hidden, logits, loss, gradient; char worst[128]; } differences;

/* inputs: the family's golden file; outputs: the same, or that with a prefix. */
static void compare(int family, bool lm, bool checkpoint, const zo_tensors *inputs, const zo_tensors *outputs, differences *d)
{
    zo_model *model = open_model(family, lm ? ZO_HEAD_SPAN : ZO_HEAD_CLASS, lm ? 0 : 3, NULL, ZO_F32);
    zo_batch *b = golden_batch(inputs, zo_model_arch(model), lm);
    reserve(model, b, 1, checkpoint ? ZO_BACKWARD_CHECKPOINT : ZO_BACKWARD);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);

    int64_t n;
    float *wanted, *made;
    if (prefix == 0) {
        wanted = golden(outputs, "hidden", &n);
        ck_assert_int_eq(n, (int64_t)b->tokens * zo_model_width(model));
        made = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof(float));
        zo_model_hidden(model, &view, b, made);
        d->hidden = fmax(d->hidden, largest_difference(made, wanted, n));
        zo_free(made);
        zo_free(wanted);
    }
    wanted = golden(outputs, lm ? "lm_logits" : "class_logits", &n);
    ck_assert_int_eq(n, (int64_t)b->rows * (lm ? zo_model_arch(model)->vocab : 3));
    made = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof(float));
    zo_model_logits(model, &view, b, made);
    d->logits = fmax(d->logits, largest_difference(made, wanted, n));
    zo_free(made);
    zo_free(wanted);

    wanted = golden(outputs, lm ? "lm_loss" : "class_loss", &n);
    d->loss = fmax(d->loss, fabs(loss_at(model, b) - (double)wanted[0]));
    zo_store *grad = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS), *theirs = golden_gradient(model, family, lm, outputs);
    double loss;
    zo_model_grad(model, b, 1.0, checkpoint, grad, &loss);
    d->loss = fmax(d->loss, fabs(loss - (double)wanted[0]));
    char worst[128] = "";
    double gradient = gradient_difference(model, theirs, grad, worst);
    if (!(gradient <= d->gradient)) {
        d->gradient = gradient;
        strcpy(d->worst, worst);
    }
    zo_free(wanted);
    zo_store_free(be, grad);
    zo_store_free(be, theirs);
    zo_batch_free(b);
    zo_model_close(model);
}

START_TEST(families_match_transformers)
{
    int family = family_of(_i);
    char path[600];
    folder_of(family, "/golden.safetensors", path);
    golden_file inputs = open_golden(path), outputs = {0};
    if (prefix > 0) {
        snprintf(path, sizeof path, "tests/golden/prefix/%s/golden.safetensors", families[family]);
        outputs = open_golden(path);
    }
    differences d = {0};
    for (int way = 0; way < 4; way++) {
        compare(family, way % 2, way / 2, &inputs.tensors, prefix > 0 ? &outputs.tensors : &inputs.tensors, &d);
    }
    printf("measured: %-14s largest difference to %s: hidden %.1e, logits %.1e, loss %.1e, gradients %.1e relative (%s)\n", families[family],
           prefix > 0 ? "torch with a prefix" : "transformers", d.hidden, d.logits, d.loss, d.gradient, d.worst);
    fflush(stdout);
    ck_assert(d.hidden <= 2e-5);
    ck_assert(d.logits <= 2e-5);
    ck_assert(d.loss <= 1e-5);
    ck_assert(d.gradient <= 1e-4);
    close_golden(&inputs);
    if (prefix > 0) {
        close_golden(&outputs);
    }
}
END_TEST

/* ---- against itself ----------------------------------------------------------------------------------------------------- */

static const int32_t lengths[] = {7, 1, 23, 12, 31, 3};
enum { SEQS = sizeof lengths / sizeof lengths[0] };

static zo_batch *class_batch_of(const zo_model *model, const int32_t *length, int32_t n, uint64_t seed)
{
    const zo_arch *a = zo_model_arch(model);
    return class_batch(length, n, a->causal, a->vocab, a->types, 3, seed);
}

/* Sequence s of `b` alone. */
static zo_batch *alone(const zo_batch *b, int32_t s)
{
    int32_t from = b->start[s], n = b->start[s + 1] - from;
    zo_batch *one = new_batch(1, n, 1, 1, 0, 0);
    memcpy(one->id, b->id + from, (size_t)n * sizeof(int32_t));
    memcpy(one->position, b->position + from, (size_t)n * sizeof(int32_t));
    memcpy(one->type, b->type + from, (size_t)n * sizeof(int32_t));
    one->start[1] = n;
    one->row[0] = b->row[s] - from;
    one->label[0] = b->label[s];
    return one;
}

START_TEST(packed_equals_one_by_one)
{
    int family = family_of(_i);
    zo_model *model = open_model(family, ZO_HEAD_CLASS, 3, NULL, ZO_F32);
    zo_batch *b = class_batch_of(model, lengths, SEQS, 1);
    reserve(model, b, 1, ZO_FORWARD_ONLY);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    int32_t choice[SEQS];
    double nll[SEQS], sum = 0.0;
    zo_model_predict(model, &view, b, choice, nll);
    for (int32_t s = 0; s < SEQS; s++) {
        zo_batch *one = alone(b, s);
        int32_t best;
        double loss;
        zo_model_predict(model, &view, one, &best, &loss);
        ck_assert_int_eq(best, choice[s]);
        ck_assert_double_le(fabs(loss - nll[s]), 2e-6);
        sum += nll[s];
        zo_batch_free(one);
    }
    ck_assert_double_le(fabs(loss_at(model, b) - sum / SEQS), 1e-12);
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

START_TEST(shared_prompts_equal_whole_sequences)
{
    int family = family_of(_i);
    for (zo_head head = ZO_HEAD_OPTIONS; head <= ZO_HEAD_SPAN; head++) {
        zo_model *model = open_model(family, head, 0, NULL, ZO_F32);
        if (!zo_model_arch(model)->causal) {
            zo_model_close(model);
            return;
        }
        const zo_layout *layout = zo_model_layout(model);
        zo_batch *b[2] = {option_batch(4, false, 96, 2), option_batch(4, true, 96, 2)};
        zo_store *grad[2] = {zo_store_new(be, layout, ZO_TAG_GRADS), zo_store_new(be, layout, ZO_TAG_GRADS)};
        double loss[2], nll[2][4];
        int32_t choice[2][4];
        float logprob[2][28];
        ck_assert_int_eq(b[0]->scores, 28);
        reserve(model, b[0], 1, ZO_BACKWARD);
        reserve(model, b[1], 1, ZO_BACKWARD);
        const zo_store *slot = zo_model_store(model);
        zo_view view = zo_view_stored(&slot);
        for (int i = 0; i < 2; i++) {
            zo_model_grad(model, b[i], 1.0, false, grad[i], &loss[i]);
            zo_model_predict(model, &view, b[i], choice[i], nll[i]);
            zo_model_logprobs(model, &view, b[i], logprob[i]);
            ck_assert_double_le(fabs(loss[i] - loss_at(model, b[i])), 1e-9);
        }
        ck_assert_double_le(fabs(loss[0] - loss[1]), 2e-6);
        ck_assert_mem_eq(choice[0], choice[1], sizeof choice[0]);
        ck_assert_double_le(largest_difference(logprob[0], logprob[1], 28), 1e-5);
        double largest = largest_difference(grad[0]->data, grad[1]->data, layout->size);
        for (int64_t i = 0; i < layout->size; i++) {
            ck_assert(isfinite(grad[0]->data[i]));
        }
        double most = sqrt(be->dot(be, grad[0], grad[0]));
        ck_assert_double_gt(most, 1e-3);
        ck_assert_double_le(largest, 1e-5 * most);
        for (int i = 0; i < 2; i++) {
            zo_store_free(be, grad[i]);
            zo_batch_free(b[i]);
        }
        zo_model_close(model);
    }
}
END_TEST

START_TEST(points_in_one_pass_equal_passes)
{
    int family = family_of(_i);
    enum { POINTS = 4, DIRS = 2 };
    zo_model *model = open_model(family, ZO_HEAD_CLASS, 3, NULL, ZO_F32);
    zo_batch *b = class_batch_of(model, lengths, SEQS, 3);
    reserve(model, b, POINTS, ZO_FORWARD_ONLY);
    const zo_store *slot[POINTS];
    for (int p = 0; p < POINTS; p++) {
        slot[p] = zo_model_store(model);
    }
    zo_dir dir[DIRS] = {{.kind = ZO_DIR_DENSE, .seed = 9, .step = 1}, {.kind = ZO_DIR_DENSE, .seed = 9, .step = 2}};
    float coef[POINTS * DIRS] = {0.01f, 0.0f, -0.01f, 0.0f, 0.0f, 0.0f, 0.02f, -0.03f};
    zo_view view = {.npoints = POINTS, .base = slot, .ndirs = DIRS, .dir = dir, .coef = coef};
    double loss[POINTS], one;
    zo_model_losses(model, &view, b, loss);
    for (int p = 0; p < POINTS; p++) {
        zo_view single = {.npoints = 1, .base = slot, .ndirs = DIRS, .dir = dir, .coef = coef + p * DIRS};
        zo_model_losses(model, &single, b, &one);
        ck_assert_double_le(fabs(one - loss[p]), 2e-6);
    }
    ck_assert_double_le(fabs(loss_at(model, b) - loss[2]), 2e-6);
    ck_assert_double_gt(fabs(loss[0] - loss[1]), 1e-5);
    /* The weights moved to the point by `apply`. */
    zo_term term[DIRS] = {{.dir = dir[0], .coef = 0.02f}, {.dir = dir[1], .coef = -0.03f}};
    be->apply(be, zo_model_store(model), NULL, 1.0, term, DIRS, NULL);
    ck_assert_double_le(fabs(loss_at(model, b) - loss[3]), 2e-6);
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

/* Only the rows that zo_model_touched lists are perturbed: the loss must not see the difference. */
static void check_touched(zo_model *model, const zo_batch *b)
{
    zo_store *weights = zo_model_store(model);
    zo_touched touched;
    zo_model_touched(model, b, &touched);
    zo_term term = {.dir = {.kind = ZO_DIR_DENSE, .seed = 4, .step = 8}, .coef = 0.05f};
    size_t bytes = (size_t)weights->layout->size * sizeof(float);
    float *kept = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
    memcpy(kept, weights->data, bytes);
    be->apply(be, weights, NULL, 1.0, &term, 1, NULL);
    double all = loss_at(model, b);
    memcpy(weights->data, kept, bytes);
    be->apply(be, weights, NULL, 1.0, &term, 1, &touched);
    ck_assert_double_eq(all, loss_at(model, b));
    memcpy(weights->data, kept, bytes);
    zo_free(kept);
}

/* d loss along a drawn direction, by the gradient and by central differences. */
static void check_gradient(zo_model *model, const zo_batch *b, const char *what)
{
    reserve(model, b, 2, ZO_BACKWARD_CHECKPOINT);
    reserve(model, b, 2, ZO_BACKWARD);
    const zo_layout *layout = zo_model_layout(model);
    zo_store *grad = zo_store_new(be, layout, ZO_TAG_GRADS), *again = zo_store_new(be, layout, ZO_TAG_GRADS);
    zo_store *z = zo_store_new(be, layout, ZO_TAG_OTHER);
    double loss, loss_again;
    zo_model_grad(model, b, 1.0, false, grad, &loss);
    zo_model_grad(model, b, 1.0, true, again, &loss_again);
    ck_assert_double_eq(loss, loss_again);
    ck_assert_msg(memcmp(grad->data, again->data, (size_t)layout->size * sizeof(float)) == 0, "%s: checkpointing changes bits", what);
    zo_model_grad(model, b, -3.0, false, again, &loss_again); /* added, scaled: now -2 gradients */
    double norm = sqrt(be->dot(be, grad, grad));
    for (int64_t i = 0; i < layout->size; i++) {
        ck_assert_double_le(fabs((double)again->data[i] + 2.0 * (double)grad->data[i]), 1e-5 * norm);
    }
    zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 21};
    const zo_store *slot[2] = {zo_model_store(model), zo_model_store(model)};
    /* ReLU has kinks: a step so small that few units cross theirs, and a wider bound for those that do. */
    const zo_arch *a = zo_model_arch(model);
    bool kinks = a->act == ZO_ACT_RELU || a->class_head == ZO_CLASS_DENSE_RELU;
    float h = kinks ? 2e-5f : 1e-4f, coef[2] = {h, -h};
    for (int k = 0; k < 4; k++) {
        dir.step = (uint32_t)k;
        zo_term term = {.dir = dir, .coef = 1.0};
        be->zero(be, z->data, (size_t)layout->size * sizeof(float));
        be->apply(be, z, NULL, 1.0, &term, 1, NULL);
        zo_view view = {.npoints = 2, .base = slot, .ndirs = 1, .dir = &dir, .coef = coef};
        double pair[2];
        zo_model_losses(model, &view, b, pair);
        double measured = (pair[0] - pair[1]) / (2.0 * (double)h), exact = be->dot(be, grad, z);
        ck_assert_msg(fabs(measured - exact) <= (kinks ? 4e-2 : 1e-2) * norm, "%s: slope %g by differences, %g by the gradient of norm %g", what,
                      measured, exact, norm);
    }
    check_touched(model, b);
    zo_store_free(be, grad);
    zo_store_free(be, again);
    zo_store_free(be, z);
}

START_TEST(gradients_match_differences)
{
    int family = family_of(_i);
    static const int32_t word[] = {17, 5, 80};
    for (zo_head head = ZO_HEAD_CLASS; head <= ZO_HEAD_SPAN; head++) {
        zo_model *model = open_model(family, head, 3, head == ZO_HEAD_WORDS ? word : NULL, ZO_F32);
        bool options = head == ZO_HEAD_OPTIONS || head == ZO_HEAD_SPAN;
        zo_batch *b = NULL;
        if (!options) {
            b = class_batch_of(model, lengths, SEQS, 6);
        } else if (zo_model_arch(model)->causal) {
            b = option_batch(3, true, 96, 6);
        }
        if (b) {
            char what[64];
            snprintf(what, sizeof what, "%s, head %d%s", families[family], (int)head, prefix > 0 ? ", with a prefix" : "");
            check_gradient(model, b, what);
            zo_batch_free(b);
        }
        zo_model_close(model);
    }
}
END_TEST

/* Sequences longer than a tile of keys or a block of queries. */
START_TEST(long_sequences)
{
    zo_arch arch = {.family = "llama", .layers = 2, .hidden = 48, .heads = 6, .kv_heads = 2, .head_dim = 8, .ffn = 64, .vocab = 50,
                    .positions = 1000, .embed = 48, .rope = true, .rope_theta = 10000.0, .rope_factor = 1.0, .causal = true,
                    .norm_first = true, .final_norm = true, .norm = ZO_RMSNORM, .norm_eps = 1e-5f, .act = ZO_ACT_SILU, .gated = true,
                    .tied = true, .class_head = ZO_CLASS_LAST_TOKEN, .init_std = 0.2f, .bos = -1, .eos = -1, .pad = -1, .mask = -1};
    static const int32_t length[] = {150, 64, 65, 1, 333};
    for (int causal = 0; causal < 2; causal++) {
        arch.causal = causal;
        zo_model_spec spec = {.arch = &arch, .random = true, .seed = 3, .head = ZO_HEAD_CLASS, .classes = 3};
        zo_model *model;
        ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
        zo_batch *b = class_batch(length, 5, causal, 50, 0, 3, 8);
        check_gradient(model, b, causal ? "long, causal" : "long, both ways");
        const zo_store *slot = zo_model_store(model);
        zo_view view = zo_view_stored(&slot);
        int32_t choice[5];
        double nll[5];
        zo_model_predict(model, &view, b, choice, nll);
        for (int32_t s = 0; s < 5; s++) {
            zo_batch *one = alone(b, s);
            int32_t best;
            double loss;
            zo_model_predict(model, &view, one, &best, &loss);
            ck_assert_double_le(fabs(loss - nll[s]), 2e-6);
            zo_batch_free(one);
        }
        zo_batch_free(b);
        zo_model_close(model);
    }
}
END_TEST

START_TEST(bf16_is_near)
{
    double loss[2];
    for (int p = 0; p < 2; p++) {
        zo_model *model = open_model(_i, ZO_HEAD_CLASS, 3, NULL, p ? ZO_BF16 : ZO_F32);
        zo_batch *b = class_batch_of(model, lengths, SEQS, 5);
        reserve(model, b, 1, ZO_FORWARD_ONLY);
        loss[p] = loss_at(model, b);
        zo_batch_free(b);
        zo_model_close(model);
    }
    ck_assert_double_le(fabs(loss[1] - loss[0]), 0.05);
    ck_assert_double_ne(loss[1], loss[0]);
}
END_TEST

/* After reserve no pass allocates; the arena of a forward pass does not grow with layers. */
START_TEST(passes_do_not_allocate)
{
    int family = family_of(_i);
    zo_model *model = open_model(family, ZO_HEAD_CLASS, 3, NULL, ZO_F32);
    zo_batch *b = class_batch_of(model, lengths, SEQS, 5);
    reserve(model, b, 1, ZO_BACKWARD);
    zo_store *grad = zo_store_new(be, zo_model_layout(model), ZO_TAG_GRADS);
    double loss;
    zo_model_grad(model, b, 1.0, false, grad, &loss);
    uint64_t before = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_ACTIVATIONS];
    zo_mem_reset_peaks();
    loss_at(model, b);
    zo_model_grad(model, b, 1.0, false, grad, &loss);
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).tag_bytes[ZO_TAG_ACTIVATIONS], before);
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).total_bytes, zo_mem_live(ZO_HOST).total_bytes);
    zo_plan plan;
    zo_model_plan(zo_model_arch(model), ZO_HEAD_CLASS, 3, zo_model_layout(model), b->tokens, b->rows, 1, ZO_BACKWARD, &plan);
    ck_assert_uint_eq(plan.tag_bytes[ZO_TAG_PARAMS], (uint64_t)zo_model_layout(model)->size * sizeof(float));
    ck_assert_uint_le(plan.tag_bytes[ZO_TAG_ACTIVATIONS], before);
    ck_assert_uint_ge(plan.tag_bytes[ZO_TAG_ACTIVATIONS] + 65536, before);
    zo_store_free(be, grad);
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

/* RoBERTa's mask prompts: the decoder is a copy of the token table that is trained apart. At the start the losses are those of the tied model,
 * and the two gradients add up to that of the tied table. */
START_TEST(an_untied_decoder_begins_as_the_table)
{
    static const int32_t word[] = {5, 17, 3};
    for (int random = 0; random < 2; random++) {
        zo_model *model[2];
        zo_store *grad[2];
        double loss[2];
        zo_batch *b = NULL;
        for (int tied = 0; tied < 2; tied++) {
            zo_model_spec spec = {.folder = "tests/golden/models/roberta", .head = ZO_HEAD_WORDS, .classes = 3, .word = word, .seed = 5,
                                  .random = random, .decoder = tied ? ZO_DECODER_TIED : ZO_DECODER_DEFAULT};
            ck_assert_msg(zo_model_open(&model[tied], &spec, be, &err) == ZO_OK, "%s", err.text);
            ck_assert_str_eq(zo_model_note(model[tied]), "");
            ck_assert_int_eq(zo_model_decoder(model[tied]), tied ? ZO_DECODER_TIED : ZO_DECODER_UNTIED);
            b = b ? b : class_batch_of(model[tied], lengths, SEQS, 5);
            reserve(model[tied], b, 1, ZO_BACKWARD);
            grad[tied] = zo_store_new(be, zo_model_layout(model[tied]), ZO_TAG_GRADS);
            zo_model_grad(model[tied], b, 1.0, false, grad[tied], &loss[tied]);
        }
        ck_assert_double_eq_tol(loss[0], loss[1], 1e-7);
        const zo_layout *apart = zo_model_layout(model[0]), *one = zo_model_layout(model[1]);
        int table = zo_layout_find(apart, "embed.token"), decoder = zo_layout_find(apart, "lm.decoder.weight");
        ck_assert_int_ge(decoder, 0);
        int64_t n = one->param[zo_layout_find(one, "embed.token")].rows * one->param[zo_layout_find(one, "embed.token")].cols;
        ck_assert_int_eq(apart->size, one->size + n);
        const float *g_table = grad[0]->data + apart->param[table].offset, *g_decoder = grad[0]->data + apart->param[decoder].offset,
                    *g_one = grad[1]->data + one->param[zo_layout_find(one, "embed.token")].offset;
        double both = 0, most = 0;
        for (int64_t i = 0; i < n; i++) {
            ck_assert_double_eq_tol((double)g_table[i] + (double)g_decoder[i], (double)g_one[i], 1e-5);
            both = fmax(both, fmin(fabs((double)g_table[i]), fabs((double)g_decoder[i])));
            most = fmax(most, fabs((double)g_decoder[i]));
        }
        ck_assert(most > 0 && (both > 0 || random)); /* some row is both read and asked for: the test can tell the two apart */
        zo_touched touched; /* of the decoder the label words' rows alone */
        zo_model_touched(model[0], b, &touched);
        int lists = 0;
        for (int i = 0; i < touched.nparams; i++) {
            if (touched.param[i] == decoder) {
                static const int32_t words[] = {3, 5, 17};
                ck_assert_int_eq(touched.n[i], 3);
                ck_assert_mem_eq(touched.row[i], words, sizeof words);
                lists++;
            }
        }
        ck_assert_int_eq(lists, 1);
        const float *w = zo_model_store(model[0])->data;
        ck_assert_mem_eq(w + apart->param[table].offset, w + apart->param[decoder].offset, (size_t)n * sizeof *w);
        for (int tied = 0; tied < 2; tied++) {
            zo_store_free(be, grad[tied]);
            zo_model_close(model[tied]);
        }
        zo_batch_free(b);
    }
}
END_TEST

/* Tokens that see the keys and values which others make see those others: a prefix of activations, with the tokens behind its positions, is
 * the longer sequence. */
START_TEST(a_prefix_of_activations_is_the_tokens_before)
{
    enum { ROWS = 4, SEED = 7 };
    static const int32_t length[] = {ROWS + 9};
    prefix = 0;
    zo_model *plain = open_model(_i, ZO_HEAD_CLASS, 3, NULL, ZO_F32);
    zo_arch arch = *zo_model_arch(plain);
    arch.window = 0; /* the tokens before would leave it, and a prefix does not */
    zo_model_close(plain);
    char folder[512];
    folder_of(_i, "", folder);
    zo_model_spec spec = {.folder = folder, .arch = &arch, .head = ZO_HEAD_CLASS, .classes = 3, .seed = 5};
    zo_model *model;
    ck_assert_msg(zo_model_open(&plain, &spec, be, &err) == ZO_OK, "%s", err.text);
    arch.prefix = ROWS;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    uint64_t before = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_ACTIVATIONS], workspace = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_WORKSPACE];
    ck_assert_msg(zo_prefix_draw(model, ZO_PREFIX_ACTIVATIONS, SEED, &err) == ZO_OK, "%s", err.text);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_ACTIVATIONS], before);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_WORKSPACE], workspace);
    zo_batch *whole = class_batch_of(plain, length, 1, 5), *rest = alone(whole, 0);
    for (int32_t t = 0; t < ROWS; t++) {
        whole->id[t] = (int32_t)zo_below((zo_stream){.seed = SEED, .tensor = zo_param_id("prefix"), .role = ZO_ROLE_INIT}, (uint64_t)t, (uint32_t)arch.vocab);
    }
    rest->tokens = rest->start[1] = length[0] - ROWS;
    memmove(rest->id, rest->id + ROWS, (size_t)rest->tokens * sizeof(int32_t));
    memmove(rest->position, rest->position + ROWS, (size_t)rest->tokens * sizeof(int32_t));
    rest->row[0] -= ROWS;
    float logits[2][3];
    zo_model *const models[] = {plain, model};
    const zo_batch *const batches[] = {whole, rest};
    for (int i = 0; i < 2; i++) {
        reserve(models[i], whole, 1, ZO_FORWARD_ONLY);
        const zo_store *slot = zo_model_store(models[i]);
        zo_view view = zo_view_stored(&slot);
        zo_model_logits(models[i], &view, batches[i], logits[i]);
    }
    ck_assert_double_le(largest_difference(logits[0], logits[1], 3), 1e-5);
    rest->position[3]--; /* the test notices where a token stands */
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    zo_model_logits(model, &view, rest, logits[1]);
    ck_assert_double_gt(largest_difference(logits[0], logits[1], 3), 1e-3);
    zo_batch_free(whole);
    zo_batch_free(rest);
    zo_model_close(model);
    zo_model_close(plain);
}
END_TEST

/* Values of a prefix's first layer, drawn; zo_free gives them back. */
static float *drawn_prefix(zo_prefix_init how, uint64_t seed, zo_storage storage, int rows, int64_t *n)
{
    zo_arch arch;
    ck_assert_msg(zo_arch_read("tests/golden/models/bert", &arch, &err) == ZO_OK, "%s", err.text);
    arch.prefix = rows;
    zo_model_spec spec = {.folder = "tests/golden/models/bert", .arch = &arch, .head = ZO_HEAD_CLASS, .classes = 3, .storage = storage};
    zo_model *model;
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_prefix_draw(model, how, seed, &err) == ZO_OK, "%s", err.text);
    int param = zo_layout_find(zo_model_layout(model), "layer.1.attn.prefix.v");
    const zo_param *p = &zo_model_layout(model)->param[param];
    *n = p->rows * p->cols;
    float *values = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)*n * sizeof *values);
    zo_store_get(be, zo_model_store(model), param, values);
    zo_model_close(model);
    return values;
}

START_TEST(prefixes_are_drawn_by_seed)
{
    int64_t n;
    for (zo_prefix_init how = ZO_PREFIX_ACTIVATIONS; how <= ZO_PREFIX_RANDOM; how++) {
        float *one = drawn_prefix(how, 3, ZO_STORAGE_F32, 5, &n), *again = drawn_prefix(how, 3, ZO_STORAGE_F32, 5, &n), *other = drawn_prefix(how, 4, ZO_STORAGE_F32, 5, &n);
        float *half = drawn_prefix(how, 3, ZO_STORAGE_BF16, 5, &n);
        double most = 0.0;
        for (int64_t i = 0; i < n; i++) {
            most = fmax(most, fabs((double)one[i]));
        }
        ck_assert_mem_eq(one, again, (size_t)n * sizeof *one);
        ck_assert_double_gt(largest_difference(one, other, n), 0.1 * most);
        ck_assert_double_le(largest_difference(one, half, n), most / 64.0);
        ck_assert_double_gt(largest_difference(one, half, n), 0.0);
        float *const all[] = {one, again, other, half};
        for (int i = 0; i < 4; i++) {
            zo_free(all[i]);
        }
    }
    float *many = drawn_prefix(ZO_PREFIX_RANDOM, 3, ZO_STORAGE_F32, 300, &n); /* also more rows than the model has positions */
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += (double)many[i];
        squares += (double)many[i] * (double)many[i];
    }
    ck_assert_double_le(fabs(sum / (double)n), 0.05);
    ck_assert_double_le(fabs(squares / (double)n - 1.0), 0.06); /* 9600 numbers: four standard deviations */
    zo_free(many);
}
END_TEST

/* Llama 3.1's frequencies, written by wavelengths as its authors write them, for a head that has them of all three kinds. */
START_TEST(frequencies_of_llama_3)
{
    enum { HEAD = 128, POSITIONS = 3 };
    static float cosine[POSITIONS * HEAD / 2], sine[POSITIONS * HEAD / 2];
    const zo_arch a = {.head_dim = HEAD, .rope_theta = 500000, .rope_scaling = ZO_ROPE_LLAMA3, .rope_factor = 8, .rope_low_freq = 1, .rope_high_freq = 4,
                       .rope_original_positions = 8192};
    zo_rope_tables(&a, POSITIONS, false, cosine, sine);
    int kinds[3] = {0};
    for (int i = 0; i < HEAD / 2; i++) {
        double frequency = pow(500000, -2.0 * i / HEAD), wave = 2 * acos(-1.0) / frequency;
        int kind = wave < 8192.0 / 4 ? 0 : wave > 8192.0 / 1 ? 1 : 2;
        kinds[kind]++;
        double smooth = (8192 / wave - 1) / (4 - 1), blended = (1 - smooth) * frequency / 8 + smooth * frequency;
        double want = kind == 0 ? frequency : kind == 1 ? frequency / 8 : blended;
        for (int p = 0; p < POSITIONS; p++) {
            double c = (double)cosine[p * HEAD / 2 + i] - cos(p * want), s = (double)sine[p * HEAD / 2 + i] - sin(p * want);
            ck_assert_msg(fabs(c) < 1e-6 && fabs(s) < 1e-6, "frequency %d at %d: off by %g and %g", i, p, c, s);
        }
        ck_assert_double_eq_tol((double)sine[HEAD / 2 + i] / want, sin(want) / want, 1e-6); /* small ones to as many digits */
    }
    ck_assert_msg(kinds[0] > 0 && kinds[1] > 0 && kinds[2] > 1, "%d short, %d long, %d between", kinds[0], kinds[1], kinds[2]);
}
END_TEST

/* Regression by two words: the KL divergence from shares, in float64 from the words' log-probabilities, and its gradient by differences. */
START_TEST(shares_of_two_words)
{
    static const int32_t word[] = {17, 5};
    zo_model *model = open_model(BERT, ZO_HEAD_WORDS, 2, word, ZO_F32);
    zo_batch *b = class_batch_of(model, lengths, SEQS, 6);
    b->share = zo_alloc(ZO_HOST, ZO_TAG_DATA, SEQS * sizeof *b->share);
    for (int e = 0; e < SEQS; e++) {
        b->label[e] = e % 2;
        b->share[e] = (float)(e % 5) / 4; /* 0, ..., 1 */
    }
    reserve(model, b, 1, ZO_FORWARD_ONLY);
    const zo_store *slot = zo_model_store(model);
    zo_view view = zo_view_stored(&slot);
    int32_t choice[SEQS];
    double nll[SEQS], score[2 * SEQS], sum = 0;
    ck_assert_int_eq(zo_model_ranked(model, b), 2 * SEQS);
    zo_model_rank(model, &view, b, choice, nll, score);
    for (int e = 0; e < SEQS; e++) {
        double loss = 0;
        for (int c = 0; c < 2; c++) {
            double t = c == 1 ? (double)b->share[e] : 1 - (double)b->share[e];
            loss += t > 0 ? t * (log(t) - score[2 * e + c]) : 0;
        }
        ck_assert_double_eq_tol(nll[e], loss, 1e-12);
        ck_assert_int_eq(choice[e], score[2 * e + 1] > score[2 * e]);
        ck_assert_double_eq_tol(exp(score[2 * e]) + exp(score[2 * e + 1]), 1, 1e-12);
        sum += loss;
    }
    ck_assert_double_eq_tol(loss_at(model, b), sum / SEQS, 1e-12);
    check_gradient(model, b, "shares of two words");
    zo_batch_free(b);
    zo_model_close(model);
}
END_TEST

START_TEST(wrong_specs_are_told)
{
    int32_t word[] = {1, 96};
    zo_model_spec spec = {.folder = "tests/golden/models/bert", .head = ZO_HEAD_WORDS, .classes = 2, .word = word};
    zo_model *model;
    ck_assert_int_eq(zo_model_open(&model, &spec, be, &err), ZO_EINPUT);
    ck_assert_ptr_nonnull(strstr(err.text, "96"));
    ck_assert_ptr_null(model);
    spec.head = ZO_HEAD_CLASS;
    spec.classes = 1;
    ck_assert_int_eq(zo_model_open(&model, &spec, be, &err), ZO_EINPUT);
    spec.folder = "tests/golden/models/none";
    ck_assert_int_ne(zo_model_open(&model, &spec, be, &err), ZO_OK);
    ck_assert_ptr_null(model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("models");
    TCase *tc = tcase_create("models");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, open_backend, close_backend);
    tcase_add_loop_test(tc, families_match_transformers, 0, 2 * FAMILIES);
    tcase_add_loop_test(tc, packed_equals_one_by_one, 0, 2 * FAMILIES);
    tcase_add_loop_test(tc, shared_prompts_equal_whole_sequences, GPT2, 2 * FAMILIES);
    tcase_add_loop_test(tc, points_in_one_pass_equal_passes, 0, 2 * FAMILIES);
    tcase_add_loop_test(tc, gradients_match_differences, 0, 2 * FAMILIES);
    tcase_add_test(tc, long_sequences);
    tcase_add_loop_test(tc, bf16_is_near, 0, FAMILIES);
    tcase_add_loop_test(tc, passes_do_not_allocate, 0, 2 * FAMILIES);
    tcase_add_test(tc, an_untied_decoder_begins_as_the_table);
    tcase_add_loop_test(tc, a_prefix_of_activations_is_the_tokens_before, GPT2, FAMILIES);
    tcase_add_test(tc, prefixes_are_drawn_by_seed);
    tcase_add_test(tc, frequencies_of_llama_3);
    tcase_add_test(tc, shares_of_two_words);
    tcase_add_test(tc, wrong_specs_are_told);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
