/* test_cuda_quantised.c: matrices held as codes (backends/codes.h) on the CUDA backend, on a card or under tests/shim, against the CPU's: products in
 * every precision, with scales as they are and scales that directions move, beside a low-rank path; and steps of models. */
#include "models/files/hub.h"
#include "tests/cuda_sides.h"
#include "tests/golden_models.h"
#include "tests/suite.h"

extern bool zo_shim_reverse; /* tests/shim/cuda_runtime.h */

enum { ROWS = 75, COLS = 131, TOKENS = 9, POINTS = 2, RANK = 3, W = 1 };

typedef struct of { int bits; int64_t group; zo_storage storage; zo_precision precision; bool moved, side; } of;

/* y (P,T,ROWS), host; the caller frees it. */
static float *product_on(int side, const of *k)
{
    zo_backend *be = backend_of(side);
    zo_layout layout = {0};
    zo_layout_add(&layout, "before", ZO_PARAM_VECTOR, 1, 5, 0, false);
    ck_assert_int_eq(zo_layout_add_codes(&layout, "w", ROWS, COLS, 0, k->bits, k->group), W);
    bool frozen[] = {true, !k->side, !k->moved};
    zo_layout_freeze(&layout, frozen);
    zo_store *store = zo_store_new_as(be, &layout, k->storage, ZO_TAG_PARAMS);
    float *w = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ROWS * COLS * sizeof *w), *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, POINTS * TOKENS * COLS * sizeof *x);
    float *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, POINTS * TOKENS * ROWS * sizeof *y);
    zo_normals((zo_stream){.seed = 8, .role = ZO_ROLE_DATA}, 0, ROWS * COLS, w);
    zo_normals((zo_stream){.seed = 9, .role = ZO_ROLE_DATA}, 0, POINTS * TOKENS * COLS, x);
    zo_store_set(be, store, W, w);
    int ranks[] = {0, RANK, 0};
    zo_factors *factors = k->side ? zo_factors_new(be, &layout, ranks, 0.0, 11) : NULL;
    const zo_store *base[POINTS] = {store, store};
    zo_dir dir = {.kind = k->side ? ZO_DIR_REST : ZO_DIR_DENSE, .seed = 7, .step = 2};
    float coef[POINTS] = {0.01f, -0.02f}, beside[POINTS * RANK] = {0.1f, -0.2f, 0.3f, 0.0f, 0.5f, -0.1f};
    zo_view view = {.npoints = POINTS, .base = base, .ndirs = k->moved ? 1 : 0, .dir = &dir, .coef = coef, .factors = factors, .side = k->side ? beside : NULL};
    zo_largest most = {.points = POINTS, .tokens = TOKENS};
    be->reserve(be, &layout, factors, k->precision, &most);
    float *xs = be->alloc(be, ZO_TAG_ACTIVATIONS, POINTS * TOKENS * COLS * sizeof *xs), *ys = be->alloc(be, ZO_TAG_ACTIVATIONS, POINTS * TOKENS * ROWS * sizeof *ys);
    be->upload(be, xs, x, POINTS * TOKENS * COLS * sizeof *xs);
    be->linear(be, &view, k->precision, W, -1, ZO_ACT_NONE, xs, TOKENS, false, ys, NULL);
    be->download(be, y, ys, POINTS * TOKENS * ROWS * sizeof *ys);
    be->release(be, xs);
    be->release(be, ys);
    zo_factors_free(be, factors);
    zo_store_free(be, store);
    zo_layout_free(&layout);
    zo_free(w);
    zo_free(x);
    return y;
}

START_TEST(products)
{
    static const zo_precision precision[] = {ZO_F32, ZO_BF16, ZO_TF32, ZO_F16};
    double worst = 0.0;
    for (int k = 0; k < 64; k++) {
        of it = {.bits = k & 1 ? 4 : 8, .group = k & 2 ? 64 : 10, .storage = (zo_storage)(k % 3), .precision = precision[k >> 2 & 3], .moved = (k & 16) != 0,
                 .side = (k & 32) != 0};
        of exact = it;
        exact.precision = ZO_F32;
        zo_shim_reverse = k % 5 == 0;
        float *want = product_on(CPU, &exact), *got = product_on(CUDA, &it);
        double apart = 0.0, size = 0.0;
        for (int i = 0; i < POINTS * TOKENS * ROWS; i++) {
            apart = fmax(apart, fabs((double)want[i] - got[i]));
            size = fmax(size, fabs((double)want[i]));
        }
        ck_assert_msg(apart <= (it.precision == ZO_F32 ? 1e-5 : 2e-2) * size, "%d bits in groups of %d, scales %s, products %s%s%s: %g apart of %g", it.bits,
                      (int)it.group, zo_storage_name(it.storage), zo_precision_name(it.precision), it.moved ? ", moved" : "", it.side ? ", side path" : "", apart, size);
        worst = it.precision == ZO_F32 ? fmax(worst, apart / size) : worst;
        zo_free(want);
        zo_free(got);
    }
    zo_shim_reverse = false;
    printf("measured: products of codes in f32, CPU's and CUDA's: %.1e apart at most\n", worst);
}
END_TEST

/* Scales after four steps, and the losses. */
static float *steps_on(int side, int family, int bits, int realisation, double loss[4], int64_t *size)
{
    char folder[128];
    zo_err err = {0};
    zo_tune view;
    zo_arch arch;
    snprintf(folder, sizeof folder, "tests/golden/models/%s", families[family]);
    ck_assert_msg(zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_tune_parse("scales", "test", &view, &err) == ZO_OK, "%s", err.text);
    arch.quantised = (zo_quantised){.bits = bits, .group = 16};
    golden_run r = {.model = golden_model_arch(backend_of(side), family, causal(family), ZO_F32, ZO_STORAGE_F32, &arch, &view)};
    static const int32_t length[] = {7, 3, 4, 5, 2, 6};
    for (int i = 0; i < 2; i++) {
        r.batch[i] = golden_batch(&arch, arch.causal, arch.causal ? 6 : 2, length, 2 + i);
    }
    return golden_steps(&r, zo_estimator_find("qzo"), realisation, 4, loss, size);
}

START_TEST(models)
{
    static const int family[] = {BERT, GPT2, OPT, LLAMA};
    for (int k = 0; k < 4; k++) {
        double loss[SIDES][4], apart = 0.0, moved = 0.0;
        int64_t size;
        float *x[SIDES];
        for (int side = 0; side < SIDES; side++) {
            x[side] = steps_on(side, family[_i], k & 1 ? 4 : 8, k & 2 ? ZO_STREAMED : ZO_INPLACE, loss[side], &size);
        }
        for (int64_t i = 0; i < size; i++) {
            apart = fmax(apart, fabs((double)x[CPU][i] - x[CUDA][i]));
        }
        for (int i = 0; i < 4; i++) {
            ck_assert_double_eq_tol(loss[CPU][i], loss[CUDA][i], 1e-4 * fabs(loss[CPU][i]));
            moved = fmax(moved, fabs(loss[CPU][i] - loss[CPU][0]));
        }
        ck_assert_msg(apart <= 1e-5, "scales are %g apart", apart);
        ck_assert_double_gt(moved, 0.0);
        zo_free(x[CPU]);
        zo_free(x[CUDA]);
    }
}
END_TEST

/* A layer's input gradient. */
START_TEST(gradients)
{
    for (int k = 0; k < 6; k++) {
        float dx[SIDES][TOKENS * COLS], w[ROWS * COLS], dy[TOKENS * ROWS];
        zo_normals((zo_stream){.seed = 8, .role = ZO_ROLE_DATA}, 0, ROWS * COLS, w);
        zo_normals((zo_stream){.seed = 9, .role = ZO_ROLE_DATA}, 0, TOKENS * ROWS, dy);
        for (int side = 0; side < SIDES; side++) {
            zo_backend *be = backend_of(side);
            zo_layout layout = {0};
            int at = zo_layout_add_codes(&layout, "w", ROWS, COLS, 0, k & 1 ? 4 : 8, 10);
            zo_layout_add(&layout, "trained", ZO_PARAM_VECTOR, 1, 3, 0, false);
            zo_layout_freeze(&layout, (const bool[]){true, true, false});
            zo_store *store = zo_store_new_as(be, &layout, (zo_storage)(k / 2), ZO_TAG_PARAMS), *grad = zo_store_new(be, &layout, ZO_TAG_GRADS);
            zo_store_set(be, store, at, w);
            zo_largest most = {.points = 1, .tokens = TOKENS, .backward = true};
            be->reserve(be, &layout, NULL, ZO_F32, &most);
            float *from = be->alloc(be, ZO_TAG_ACTIVATIONS, sizeof dy), *to = be->alloc(be, ZO_TAG_ACTIVATIONS, sizeof dx[0]);
            be->upload(be, from, dy, sizeof dy);
            be->linear_backward(be, store, ZO_F32, at, -1, NULL, from, TOKENS, false, to, grad);
            be->download(be, dx[side], to, sizeof dx[side]);
            if (side == CPU) { /* itself against float64 */
                float held[ROWS * COLS];
                zo_store_get(be, store, at, held);
                for (int i = 0; i < TOKENS * COLS; i++) {
                    double sum = 0.0, size = 0.0;
                    for (int r = 0; r < ROWS; r++) {
                        double term = (double)dy[i / COLS * ROWS + r] * (double)held[r * COLS + i % COLS];
                        sum += term;
                        size += fabs(term);
                    }
                    ck_assert_msg(fabs(dx[CPU][i] - sum) <= 1e-5 * size, "%g and not %g", (double)dx[CPU][i], sum);
                }
            }
            be->release(be, from);
            be->release(be, to);
            zo_store_free(be, store);
            zo_store_free(be, grad);
            zo_layout_free(&layout);
        }
        for (int i = 0; i < TOKENS * COLS; i++) {
            ck_assert_msg(fabsf(dx[CPU][i] - dx[CUDA][i]) <= 1e-4f, "%g and %g", (double)dx[CPU][i], (double)dx[CUDA][i]);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_quantised");
    TCase *group = tcase_create("cuda_quantised");
    tcase_set_timeout(group, 300);
    tcase_add_test(group, products);
    tcase_add_test(group, gradients);
    tcase_add_loop_test(group, models, 0, 4);
    suite_add_tcase(suite, group);
    return suite_run(suite);
}
