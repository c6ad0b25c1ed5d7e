/* test_quantised.c: matrices held as codes of 8 and 4 bits with a scale for each group of columns (backends/codes.h), on the CPU backend: the
 * quantiser by its definition, products against float64 sums over the codes' own numbers, whole models, steps on scales against their closed form,
 * and the weights that a run saves. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backends/codes.h"
#include "models/files/hub.h"
#include "tests/folder.h"
#include "tests/golden_models.h"
#include "tests/suite.h"

static zo_err err;

static zo_backend *backend(int threads)
{
    static zo_backend *open[8];
    if (open[threads] == NULL) {
        ck_assert_msg(zo_backend_open("cpu", threads, &open[threads], &err) == ZO_OK, "%s", err.text);
    }
    return open[threads];
}

/* ---- the quantiser -------------------------------------------------------------------------------------------------------- */

static const struct { int bits; int64_t group; zo_storage storage; } kinds[] = {
    {8, 64, ZO_STORAGE_F32}, {8, 10, ZO_STORAGE_F16}, {8, 2, ZO_STORAGE_BF16}, {8, 1000, ZO_STORAGE_F32},
    {4, 64, ZO_STORAGE_F32}, {4, 10, ZO_STORAGE_F16}, {4, 2, ZO_STORAGE_BF16}, {4, 1000, ZO_STORAGE_F16}};
enum { KINDS = sizeof kinds / sizeof *kinds, COLS = 131 };

/* The code of a column, unpacked by hand. */
static int code_of(const uint8_t *row, int bits, int64_t c)
{
    if (bits == 8) {
        return row[c] < 128 ? row[c] : row[c] - 256;
    }
    int half = c % 2 == 0 ? row[c / 2] % 16 : row[c / 2] / 16;
    return half < 8 ? half : half - 16;
}

START_TEST(codes_are_the_nearest_integers)
{
    int bits = kinds[_i].bits, most = bits == 8 ? 127 : 7;
    int64_t group = kinds[_i].group;
    for (int trial = 0; trial < 40; trial++) {
        float w[COLS], scales[COLS];
        uint8_t codes[COLS];
        zo_normals((zo_stream){.seed = 3, .step = (uint32_t)trial, .role = ZO_ROLE_DATA}, 0, COLS, w);
        for (int c = 0; c < COLS; c++) {
            w[c] *= powf(10.0f, (float)(trial % 8) - 6.0f); /* down to f16's denormal scales */
            w[c] = trial % 5 == 4 && c < 20 ? 0.0f : w[c];
        }
        zo_codes_make(w, COLS, bits, group, kinds[_i].storage, codes, scales);
        for (int64_t first = 0; first < COLS; first += group) {
            double largest = 0.0, scale = scales[first / group];
            ck_assert_double_eq(zo_storage_round(kinds[_i].storage, (float)scale), scale);
            for (int64_t c = first; c < COLS && c < first + group; c++) {
                int code = code_of(codes, bits, c);
                largest = fmax(largest, fabs((double)w[c]));
                ck_assert_int_le(abs(code), most);
                ck_assert_int_eq(code, zo_code_at(codes, bits, c));
                ck_assert_msg(fabs(w[c] - scale * code) <= 0.5 * scale * (1 + 1e-5), "%g is %g x %d", (double)w[c], scale, code);
            }
            /* no coarser than the definition, but for the rounding of the scale itself */
            double ulp = kinds[_i].storage == ZO_STORAGE_F32 ? 1e-6 : kinds[_i].storage == ZO_STORAGE_F16 ? 1e-3 : 8e-3;
            ck_assert_msg(fabs(scale * most - largest) <= ulp * largest + most * 1.2e-7, "%g x %d for %g", scale, most, largest);
            ck_assert(largest > 0.0 || scale == 0.0);
        }
    }
}
END_TEST

START_TEST(integers_come_back_exactly)
{
    int bits = kinds[_i].bits, most = bits == 8 ? 127 : 7;
    float w[COLS], scales[COLS];
    uint8_t codes[COLS];
    for (int c = 0; c < COLS; c++) { /* every group has the largest */
        int code = c % kinds[_i].group == 0 ? (c % 4 < 2 ? most : -most) : (c * 37) % (2 * most + 1) - most;
        w[c] = ldexpf((float)code, -9);
    }
    zo_codes_make(w, COLS, bits, kinds[_i].group, kinds[_i].storage, codes, scales);
    for (int c = 0; c < COLS; c++) {
        ck_assert_float_eq(scales[c / kinds[_i].group] * (float)code_of(codes, bits, c), w[c]);
    }
}
END_TEST

START_TEST(what_is_not_finite_is_seen)
{
    float w[4] = {1.0f, NAN, 2.0f, 3.0f}, scales[2];
    uint8_t codes[4];
    zo_codes_make(w, 4, 8, 2, ZO_STORAGE_F32, codes, scales);
    ck_assert(isnan(scales[0]));
    ck_assert_int_eq((int8_t)codes[3], 127);
    w[1] = 1e9f;
    zo_codes_make(w, 4, 8, 2, ZO_STORAGE_F16, codes, scales);
    ck_assert(isinf(scales[0]));
}
END_TEST

/* ---- products ------------------------------------------------------------------------------------------------------------- */

enum { ROWS = 150, TOKENS = 21 };

/* y = x W^T of two points, of which the second has other scales where `moved`; against float64 sums over the codes. */
static void check_product(int bits, int64_t group, zo_storage storage, zo_precision precision, bool moved, int threads)
{
    zo_backend *be = backend(threads);
    if (precision == ZO_BF16 && !be->bf16) {
        return;
    }
    zo_layout layout = {0};
    zo_layout_add(&layout, "before", ZO_PARAM_VECTOR, 1, 5, 0, false);
    int at = zo_layout_add_codes(&layout, "w", ROWS, COLS, 0, bits, group);
    zo_store *store = zo_store_new_as(be, &layout, storage, ZO_TAG_PARAMS);
    float *w = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ROWS * COLS * sizeof *w), *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * TOKENS * COLS * sizeof *x);
    float *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * TOKENS * ROWS * sizeof *y);
    zo_normals((zo_stream){.seed = 8, .role = ZO_ROLE_DATA}, 0, ROWS * COLS, w);
    zo_normals((zo_stream){.seed = 9, .role = ZO_ROLE_DATA}, 0, 2 * TOKENS * COLS, x);
    zo_store_set(be, store, at, w);
    int64_t groups = layout.param[at + 1].cols, wide = (COLS * bits + 7) / 8;
    ck_assert_int_eq(groups, (COLS + group - 1) / group);
    float *s = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(ROWS * groups) * sizeof *s), *z = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(ROWS * groups) * sizeof *z);
    zo_store_get(be, store, at + 1, s);
    zo_normals((zo_stream){.seed = 7, .tensor = layout.param[at + 1].id, .step = 2, .role = ZO_ROLE_Z}, 0, ROWS * groups, z);
    const zo_store *base[2] = {store, store};
    zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 2};
    float coef[2] = {0.0f, 0.05f};
    layout.param[at].frozen = layout.param[0].frozen = true;
    zo_view view = {.npoints = 2, .base = base, .ndirs = moved ? 1 : 0, .dir = &dir, .coef = coef};
    zo_largest most = {.points = 2, .tokens = TOKENS};
    be->reserve(be, &layout, NULL, precision, &most);
    uint64_t live = zo_mem_live(be->space).total_bytes;
    be->linear(be, &view, precision, at, -1, ZO_ACT_NONE, x, TOKENS, false, y, NULL);
    ck_assert_msg(zo_mem_live(be->space).total_bytes <= live + 4096, "a product took %llu bytes", (unsigned long long)(zo_mem_live(be->space).total_bytes - live));
    double within = precision == ZO_BF16 ? 2e-2 : 1e-5;
    for (int i = 0; i < 2 * TOKENS * ROWS; i++) {
        int64_t r = i % ROWS, t = i / ROWS;
        double sum = 0.0, size = 0.0;
        for (int64_t c = 0; c < COLS; c++) {
            int64_t g = r * groups + c / group;
            double scale = (double)s[g] + (moved && t >= TOKENS ? 0.05 * (double)z[g] : 0.0);
            double term = (double)x[t * COLS + c] * scale * code_of(store->codes + layout.param[at].codes + r * wide, bits, c);
            sum += term;
            size += fabs(term);
        }
        ck_assert_msg(fabs(y[i] - sum) <= within * size, "row %d of token %d: %.9g and not %.9g", (int)r, (int)t, (double)y[i], sum);
    }
    zo_free(w), zo_free(x), zo_free(y), zo_free(s), zo_free(z);
    zo_store_free(be, store);
    zo_layout_free(&layout);
}

START_TEST(products_are_those_of_scale_times_code)
{
    for (int moved = 0; moved < 2; moved++) {
        check_product(kinds[_i].bits, kinds[_i].group, kinds[_i].storage, ZO_F32, moved, 1);
        check_product(kinds[_i].bits, kinds[_i].group, kinds[_i].storage, ZO_F32, moved, 3);
        check_product(kinds[_i].bits, kinds[_i].group, kinds[_i].storage, ZO_BF16, moved, 1);
    }
}
END_TEST

/* ---- models --------------------------------------------------------------------------------------------------------------- */

static const int family_of[] = {BERT, GPT2, OPT, LLAMA};
enum { HELD = sizeof family_of / sizeof *family_of };

/* tune: NULL = full. The folder's own model where bits is 0. */
static zo_model *open_model(int family, const zo_quantised *q, zo_storage storage, const char *tune)
{
    char folder[128];
    zo_tune view;
    zo_arch arch;
    snprintf(folder, sizeof folder, "tests/golden/models/%s", families[family]);
    ck_assert_msg(zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_tune_parse(tune != NULL ? tune : "full", "test", &view, &err) == ZO_OK, "%s", err.text);
    arch.quantised = *q;
    return golden_model_arch(backend(2), family, causal(family), ZO_F32, storage, &arch, &view);
}

static double loss_of(zo_model *model, const zo_store *at)
{
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    const zo_arch *arch = zo_model_arch(model);
    zo_batch *b = golden_batch(arch, arch->causal, arch->causal ? 6 : 2, length, 2);
    zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
    zo_view view = zo_view_stored(&at);
    double loss;
    zo_model_losses(model, &view, b, &loss);
    zo_batch_free(b);
    return loss;
}

START_TEST(a_model_computes_with_what_it_says_its_weights_are)
{
    int family = family_of[_i / 2];
    zo_quantised q = {.bits = _i % 2 ? 4 : 8, .group = 16}, none = {0};
    zo_model *coded = open_model(family, &q, ZO_STORAGE_F32, NULL), *plain = open_model(family, &none, ZO_STORAGE_F32, NULL);
    zo_backend *be = backend(2);
    const zo_layout *a = zo_model_layout(coded), *b = zo_model_layout(plain);
    zo_store *from = zo_model_store(coded), *to = zo_model_store(plain);
    double before = loss_of(plain, to), held = loss_of(coded, from);
    int matrices = 0;
    for (int t = 0; t < a->n; t++) {
        const zo_param *p = &a->param[t];
        int same = zo_layout_find(b, p->name);
        bool should = p->kind == ZO_PARAM_MATRIX && p->block >= 0;
        ck_assert_int_eq(p->bits, should ? q.bits : 0);
        ck_assert_int_eq(same < 0, p->kind == ZO_PARAM_SCALES);
        ck_assert(p->kind != ZO_PARAM_SCALES || p->frozen);
        matrices += should;
        if (same >= 0) {
            float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(p->rows * p->cols) * sizeof *x);
            zo_store_get(be, from, t, x);
            zo_store_set(be, to, same, x);
            zo_free(x);
        }
    }
    ck_assert_int_gt(matrices, 0);
    double rounded = loss_of(plain, to);
    ck_assert_msg(fabs(rounded - held) <= 1e-6 * fabs(rounded), "%.9g as codes, %.9g as their numbers", held, rounded);
    ck_assert_double_ne(before, held);
    ck_assert_msg(q.bits == 4 || fabs(before - held) <= 0.02 * before, "%g and %g", before, held); /* drawn weights: 4 bits are far off */
    zo_model_close(coded);
    zo_model_close(plain);
}
END_TEST

/* Gradients of adapters beside codes are those beside the same numbers. */
START_TEST(gradients_go_through_codes)
{
    int family = family_of[_i / 2];
    zo_quantised q = {.bits = _i % 2 ? 4 : 8, .group = 10}, none = {0};
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    zo_model *model[2];
    zo_store *grad[2];
    double loss[2];
    zo_backend *be = backend(2);
    for (int k = 0; k < 2; k++) {
        model[k] = open_model(family, k == 0 ? &q : &none, ZO_STORAGE_F32, "lora rank 4 on o,up,down");
    }
    const zo_layout *a = zo_model_layout(model[0]), *b = zo_model_layout(model[1]);
    for (int t = 0; t < a->n; t++) {
        const zo_param *p = &a->param[t];
        int64_t n = p->rows * p->cols;
        float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
        zo_store_get(be, zo_model_store(model[0]), t, x);
        if (p->lora == ZO_LORA_B) { /* which begins as zeros: nothing would go through A */
            zo_normals((zo_stream){.seed = 6, .tensor = p->id, .role = ZO_ROLE_DATA}, 0, n, x);
            zo_store_set(be, zo_model_store(model[0]), t, x);
        }
        if (p->kind != ZO_PARAM_SCALES) {
            zo_store_set(be, zo_model_store(model[1]), zo_layout_find(b, p->name), x);
        }
        zo_free(x);
    }
    for (int k = 0; k < 2; k++) {
        const zo_arch *arch = zo_model_arch(model[k]);
        zo_batch *batch = golden_batch(arch, arch->causal, arch->causal ? 6 : 2, length, 2);
        zo_model_reserve(model[k], batch->tokens, batch->rows, batch->scores, 1, ZO_BACKWARD, NULL);
        grad[k] = zo_store_new(be, zo_model_layout(model[k]), ZO_TAG_GRADS);
        zo_model_grad(model[k], batch, 1.0, false, grad[k], &loss[k]);
        zo_batch_free(batch);
    }
    ck_assert_double_eq_tol(loss[0], loss[1], 1e-6 * fabs(loss[1]));
    double apart = 0.0, size = 0.0;
    for (int t = 0; t < a->n; t++) {
        if (!a->param[t].frozen) {
            const float *x = zo_set_values(grad[0], t), *y = zo_set_values(grad[1], zo_layout_find(b, a->param[t].name));
            for (int64_t i = 0; i < a->param[t].rows * a->param[t].cols; i++) {
                apart = fmax(apart, fabs((double)x[i] - y[i]));
                size = fmax(size, fabs((double)y[i]));
            }
        }
    }
    ck_assert_msg(size > 0.0 && apart <= 2e-5 * size, "gradients are %g apart of %g", apart, size);
    for (int k = 0; k < 2; k++) {
        zo_store_free(be, grad[k]);
        zo_model_close(model[k]);
    }
}
END_TEST

START_TEST(what_is_saved_is_scale_times_code)
{
    int family = family_of[_i];
    zo_quantised q = {.bits = 4, .group = 16};
    char folder[64] = "/tmp/zo_test_quantised_XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    zo_model *coded = open_model(family, &q, ZO_STORAGE_F16, "scales"), *again;
    ck_assert_msg(zo_model_save(coded, folder, &err) == ZO_OK, "%s", err.text);
    zo_arch arch;
    ck_assert_msg(zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(arch.quantised.bits, 0);
    zo_model_spec spec = {.folder = folder, .head = causal(family) ? ZO_HEAD_OPTIONS : ZO_HEAD_CLASS, .classes = causal(family) ? 0 : CLASSES, .seed = 5};
    ck_assert_msg(zo_model_open(&again, &spec, backend(2), &err) == ZO_OK, "%s", err.text);
    double held = loss_of(coded, zo_model_store(coded)), read = loss_of(again, zo_model_store(again));
    ck_assert_msg(fabs(held - read) <= 1e-6 * fabs(held), "%.9g, and %.9g from the folder", held, read);
    zo_model_close(coded);
    zo_model_close(again);
    folder_remove(folder);
}
END_TEST

/* ---- steps on scales ------------------------------------------------------------------------------------------------------ */

static double losses[64];
static int asked;

static zo_status noted_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *e)
{
    zo_status status = golden_losses(context, which, view, loss, e);
    for (int p = 0; p < view->npoints; p++) {
        losses[asked++ % 64] = loss[p];
    }
    return status;
}

enum { STEPS = 4 };

/* Each scale after STEPS steps is that of the formulas, in float64 from the losses; no code changes. */
static void check_steps(int family, int bits, zo_realisation realisation, double lr, double clip, bool *fell, bool *clipped)
{
    zo_quantised q = {.bits = bits, .group = 16};
    golden_run r = {.model = open_model(family, &q, ZO_STORAGE_F32, "scales")};
    zo_backend *be = backend(2);
    zo_store *store = zo_model_store(r.model);
    const zo_layout *layout = store->layout;
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    const zo_arch *arch = zo_model_arch(r.model);
    int64_t size = layout->trained_size;
    double eps = 1e-4, *s = calloc((size_t)size, sizeof *s);
    float *host = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->size * sizeof *host), *z = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)size * sizeof *z);
    float *before = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->size * sizeof *before);
    uint8_t *codes = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)layout->codes);
    memcpy(codes, store->codes, (size_t)layout->codes);
    zo_store_read(be, store, 0, layout->size, before);
    for (int64_t i = 0; i < size; i++) {
        s[i] = before[i];
    }
    for (int i = 0; i < 2; i++) {
        r.batch[i] = golden_batch(arch, arch->causal, arch->causal ? 6 : 2, length, 2 + i);
    }
    zo_engine_spec spec = {.be = be, .weights = store, .realisation = realisation, .seed = 4,
                           .io = {.context = &r, .losses = noted_losses, .touched = golden_touched, .most_points = 2}};
    zo_engine *engine = zo_engine_new(&spec);
    const zo_estimator *e = zo_estimator_find("qzo");
    char text[64];
    snprintf(text, sizeof text, "{\"clip\": %g}", clip);
    cJSON *options = cJSON_Parse(text);
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    ck_assert(zo_opt_read(e->options, options, NULL, e->name, state, &err) == ZO_OK);
    cJSON_Delete(options);
    zo_model_reserve(r.model, r.batch[0]->tokens, r.batch[0]->rows, r.batch[0]->scores, 2, ZO_FORWARD_ONLY, NULL);
    asked = 0;
    for (r.step = 0; r.step < STEPS; r.step++) {
        zo_step_context c = {.step = r.step, .steps = STEPS, .lr = lr, .eps = eps};
        zo_step_report report;
        ck_assert_msg(e->step(state, zo_engine_objective(engine), &c, &report, &err) == ZO_OK, "%s", err.text);
        double pg = (losses[2 * r.step] - losses[2 * r.step + 1]) / (2 * eps);
        ck_assert_double_eq_tol(report.projected, pg, 1e-12 * fabs(pg));
        double cut = clip > 0 ? fmax(-clip, fmin(pg, clip)) : pg;
        *clipped = *clipped || cut != pg;
        for (int t = 0; t < layout->n; t++) {
            const zo_param *p = &layout->param[t];
            if (p->kind == ZO_PARAM_SCALES) {
                zo_normals_scalar((zo_stream){.seed = 4, .tensor = p->id, .step = (uint32_t)r.step, .role = ZO_ROLE_Z}, 0, p->rows * p->cols, z);
                for (int64_t i = 0; i < p->rows * p->cols; i++) {
                    double x = s[p->offset + i] - lr * cut * (double)z[i];
                    *fell = *fell || x < 0.0;
                    s[p->offset + i] = fmax(x, 0.0);
                }
            }
        }
    }
    zo_engine_settle(engine);
    zo_store_read(be, store, 0, layout->size, host);
    double moved = 0.0;
    for (int64_t i = 0; i < size; i++) {
        ck_assert_msg(fabs(host[i] - s[i]) <= 2e-6 * fabs(s[i]) + 3e-8, "scale %d: %.9g and not %.9g", (int)i, (double)host[i], s[i]);
        moved = fmax(moved, fabs((double)host[i] - before[i]));
        ck_assert_float_ge(host[i], 0.0f);
    }
    ck_assert_double_gt(moved, 1e-5);
    ck_assert_mem_eq(host + size, before + size, (size_t)(layout->size - size) * sizeof *host);
    ck_assert_mem_eq(codes, store->codes, (size_t)layout->codes);
    free(s);
    zo_free(host), zo_free(before), zo_free(z), zo_free(codes), zo_free(state);
    zo_engine_free(engine);
    golden_close(&r);
}

START_TEST(steps_on_scales_are_qzos)
{
    bool fell = false, clipped = false;
    for (int family = 0; family < HELD; family++) {
        for (int bits = 4; bits <= 8; bits += 4) {
            check_steps(family_of[family], bits, _i == 0 ? ZO_INPLACE : ZO_STREAMED, 1e-3, 0.0, &fell, &clipped);
            check_steps(family_of[family], bits, _i == 0 ? ZO_INPLACE : ZO_STREAMED, 1e-2, 1.0, &fell, &clipped);
        }
    }
    ck_assert_msg(fell && clipped, "no scale reached 0 (%d), or nothing was clipped (%d): this shows nothing", fell, clipped);
}
END_TEST

/* A log of directions with factors of their own is formed with the weights, and codes are not. */
START_TEST(a_log_of_own_factors_wants_numbers)
{
    zo_quantised q = {.bits = 8, .group = 16}, none = {0};
    for (int coded = 0; coded < 2; coded++) {
        for (int kind = ZO_FACTORS_FIXED; kind <= ZO_FACTORS_ORTHONORMAL; kind++) {
            zo_model *model = open_model(LLAMA, coded ? &q : &none, ZO_STORAGE_F32, NULL);
            zo_engine_spec spec = {.be = backend(2), .weights = zo_model_store(model), .realisation = ZO_SIDEPATH, .accumulate = ZO_ACCUMULATE_LOG, .seed = 4,
                                   .io = {.losses = noted_losses, .most_points = 2}};
            zo_engine *e = zo_engine_new(&spec);
            zo_objective *o = zo_engine_objective(e);
            zo_factor_spec factors = {.kind = (zo_factor_kind)kind, .rank = 2};
            bool refused = coded && kind != ZO_FACTORS_FIXED;
            ck_assert_int_eq(o->open_factors(o, &factors, &err), (refused ? ZO_EUNSUPPORTED : ZO_OK));
            ck_assert(!refused || strstr(err.text, "held as codes") != NULL);
            zo_engine_free(e);
            zo_model_close(model);
        }
    }
}
END_TEST

START_TEST(a_view_of_scales_wants_codes)
{
    zo_tune view;
    zo_model *model;
    ck_assert_int_eq(zo_tune_parse("scales", "test", &view, &err), ZO_OK);
    zo_model_spec spec = {.folder = "tests/golden/models/bert", .head = ZO_HEAD_CLASS, .classes = 2, .tune = &view};
    ck_assert_int_eq(zo_model_open(&model, &spec, backend(1), &err), ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "\"quantised\": \"int8\"") != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("quantised");
    TCase *group = tcase_create("quantised");
    tcase_set_timeout(group, 300);
    tcase_add_loop_test(group, codes_are_the_nearest_integers, 0, KINDS);
    tcase_add_loop_test(group, integers_come_back_exactly, 0, KINDS);
    tcase_add_test(group, what_is_not_finite_is_seen);
    tcase_add_loop_test(group, products_are_those_of_scale_times_code, 0, KINDS);
    tcase_add_loop_test(group, a_model_computes_with_what_it_says_its_weights_are, 0, 2 * HELD);
    tcase_add_loop_test(group, gradients_go_through_codes, 0, 2 * HELD);
    tcase_add_loop_test(group, what_is_saved_is_scale_times_code, 0, HELD);
    tcase_add_loop_test(group, steps_on_scales_are_qzos, 0, 2);
    tcase_add_test(group, a_view_of_scales_wants_codes);
    tcase_add_test(group, a_log_of_own_factors_wants_numbers);
    suite_add_tcase(suite, group);
    return suite_run(suite);
}
