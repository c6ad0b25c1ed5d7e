/* test_features.c: features of a head (zo_model_features) and heads that are set (zo_model_set_head), on the small models of every family: the last
 * product of the features gives the model's own logits, before a head is set and after. */
#include <stdlib.h>

#include "tests/golden_models.h"
#include "tests/suite.h"

enum { MOST_ROWS = 24, MOST_WIDTH = 64 };

static const int32_t word[CLASSES] = {5, 17, 3};
static zo_err err;

static zo_backend *backend(void)
{
    static zo_backend *open;
    if (open == NULL) {
        ck_assert_msg(zo_backend_open("cpu", 2, &open, &err) == ZO_OK, "%s", err.text);
    }
    return open;
}

typedef struct probed { zo_model *model; zo_batch *batch; zo_view view; const zo_store *stored; int64_t rows, width, outputs; bool second, options; } probed;

static probed probed_open(int family, bool second, const char *tune)
{
    static const int32_t length[] = {5, 2, 3, 7, 1, 2, 4, 3, 1};
    zo_tune view;
    ck_assert_msg(zo_tune_parse(tune, "test", &view, &err) == ZO_OK, "%s", err.text);
    probed p = {.second = second, .options = second && causal(family), .model = golden_model_of(backend(), family, second, ZO_F32, ZO_STORAGE_F32, &view)};
    const zo_arch *arch = zo_model_arch(p.model);
    p.batch = golden_batch(arch, p.options, 9, length, 4);
    p.rows = zo_model_feature_rows(p.model, p.batch);
    p.width = zo_model_feature_width(p.model);
    p.outputs = p.options ? arch->vocab : CLASSES;
    p.stored = zo_model_store(p.model);
    zo_model_reserve(p.model, p.batch->tokens, p.batch->rows, p.batch->scores, 1, ZO_FORWARD_ONLY, NULL);
    ck_assert(p.rows > 0 && p.rows <= MOST_ROWS && p.width <= MOST_WIDTH);
    return p;
}

/* Number `output` of the last product's weight row, and its bias at [width]: found by name. */
static void head_row(const probed *p, int output, float *row)
{
    const zo_layout *layout = zo_model_layout(p->model);
    bool tied = p->second && zo_model_decoder(p->model) == ZO_DECODER_TIED;
    int weight = zo_layout_find(layout, !p->second ? "class.out.weight" : tied ? "embed.token" : "lm.decoder.weight");
    int bias = zo_layout_find(layout, !p->second ? "class.out.bias" : "lm.decoder.bias"), at = p->second && !p->options ? word[output] : output;
    ck_assert_int_ge(weight, 0);
    ck_assert_int_eq(bias >= 0, zo_model_head_bias(p->model));
    zo_store_read(backend(), p->stored, layout->param[weight].offset + at * p->width, p->width, row);
    row[p->width] = 0.0f;
    if (bias >= 0) {
        zo_store_read(backend(), p->stored, layout->param[bias].offset + at, 1, row + p->width);
    }
}

static double product(const probed *p, const float *x, const float *row)
{
    double sum = (double)row[p->width];
    for (int64_t j = 0; j < p->width; j++) {
        sum += (double)x[j] * (double)row[j];
    }
    return sum;
}

/* The largest difference between the model's logits at the rows of `x` and the product; and what is right stands in the batch. */
static double check_logits(probed *p, const float *x, const int32_t *right)
{
    float *logits = calloc((size_t)(p->batch->rows * p->outputs), sizeof *logits), row[MOST_WIDTH + 1];
    double most = 0.0;
    p->view = zo_view_stored(&p->stored);
    zo_model_logits(p->model, &p->view, p->batch, logits);
    int64_t n = 0;
    for (int32_t e = 0; e < p->batch->examples; e++) {
        int32_t option = p->batch->example_start[e] + p->batch->label[e];
        int32_t from = p->options ? p->batch->option_start[option] : e, to = p->options ? p->batch->option_start[option + 1] : e + 1;
        for (int32_t i = from; i < to; i++, n++) {
            ck_assert_int_eq(right[n], p->options ? p->batch->target[i] : p->batch->label[e]);
            for (int k = 0; k < p->outputs; k++) {
                head_row(p, k, row);
                int32_t at = p->options ? p->batch->at[i] : e;
                double logit = product(p, x + n * p->width, row), cap = p->options ? (double)zo_model_arch(p->model)->final_softcap : 0.0;
                logit = cap > 0.0 ? cap * tanh(logit / cap) : logit;
                most = fmax(most, fabs(logit - (double)logits[at * p->outputs + k]));
            }
        }
    }
    ck_assert_int_eq(n, p->rows);
    free(logits);
    return most;
}

START_TEST(logits_are_products_of_features)
{
    int family = _i / 2;
    probed p = probed_open(family, _i % 2 == 1, "full");
    float x[MOST_ROWS * MOST_WIDTH], again[MOST_ROWS * MOST_WIDTH], row[MOST_WIDTH + 1], other[MOST_WIDTH + 1];
    int32_t right[MOST_ROWS], set[2] = {2, 0};
    double w[2 * (MOST_WIDTH + 1)], most;
    int64_t columns = p.width + zo_model_head_bias(p.model);
    p.view = zo_view_stored(&p.stored);
    zo_model_features(p.model, &p.view, p.batch, x, right);
    most = check_logits(&p, x, right);
    ck_assert_msg(most < 2e-5, "%s: %g apart", families[family], most);
    if (p.options) { /* tokens that no text here has, for a tied head's rows are inputs too */
        bool taken = true;
        for (int32_t t = 0; taken; t++) {
            taken = false;
            for (int32_t i = 0; i < p.batch->tokens; i++) {
                taken = taken || p.batch->id[i] == t;
            }
            set[0] = t;
        }
        set[1] = p.batch->id[p.batch->tokens - 1]; /* the last token of an option is not run */
    }
    for (int64_t j = 0; j < 2 * columns; j++) {
        w[j] = sin(1.0 + (double)j) / 8.0;
    }
    head_row(&p, 1, other);
    ck_assert_msg(zo_model_set_head(p.model, set, 2, w, &err) == ZO_OK, "%s", err.text);
    for (int k = 0; k < 2; k++) {
        head_row(&p, set[k], row);
        for (int64_t j = 0; j < columns; j++) {
            ck_assert(row[j] == (float)w[k * columns + j]);
        }
    }
    head_row(&p, 1, row);
    bool spared = !p.options || (set[0] != 1 && set[1] != 1);
    ck_assert(!spared || memcmp(row, other, (size_t)(p.width + 1) * sizeof *row) == 0);
    zo_model_features(p.model, &p.view, p.batch, again, right);
    bool tied = p.second && zo_model_decoder(p.model) == ZO_DECODER_TIED;
    ck_assert(tied || memcmp(x, again, (size_t)(p.rows * p.width) * sizeof *x) == 0);
    most = fmax(most, check_logits(&p, again, right));
    ck_assert_msg(most < 2e-5, "%s, after a head was set: %g apart", families[family], most);
    printf("measured: %s, %s: %d rows of %d features: logits %.0e apart, within 2e-5\n", families[family], p.options ? "options" : p.second ? "words" : "classes",
           (int)p.rows, (int)p.width, most);
    zo_batch_free(p.batch);
    zo_model_close(p.model);
}
END_TEST

START_TEST(frozen_heads_are_refused)
{
    static const struct { int family; bool second; const char *tune, *name; } views[] = {
        {BERT, false, "pattern on layer.*", "class.out.weight"}, {BERT, false, "pattern on class.out.weight", "class.out.bias"}, {OPT, true, "lora", "embed.token"}};
    probed p = probed_open(views[_i].family, views[_i].second, views[_i].tune);
    double w[2 * (MOST_WIDTH + 1)] = {0};
    int32_t set[2] = {0, 1};
    float before[MOST_WIDTH + 1], after[MOST_WIDTH + 1];
    head_row(&p, 0, before);
    ck_assert_int_eq(zo_model_set_head(p.model, set, 2, w, &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, views[_i].name) != NULL && strstr(err.text, "\"tune\"") != NULL, "%s", err.text);
    head_row(&p, 0, after);
    ck_assert_mem_eq(before, after, (size_t)(p.width + 1) * sizeof *before);
    zo_batch_free(p.batch);
    zo_model_close(p.model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("features");
    TCase *tests = tcase_create("features");
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, logits_are_products_of_features, 0, 2 * FAMILIES);
    tcase_add_loop_test(tests, frozen_heads_are_refused, 0, 3);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
