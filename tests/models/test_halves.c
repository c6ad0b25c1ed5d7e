/* test_halves.c: gradients at weights of 16 bits have the bits of those at f32 weights that are the same numbers, in every family, with both heads, blocks
 * kept and run again, views, and products in f32 and bf16; and they are the slope of the loss there. Passes allocate nothing beyond what was reserved. */
#include "tests/halves.h"
#include "tests/suite.h"

static zo_backend *backend(void)
{
    static zo_backend *be;
    if (be == NULL) {
        ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &storage_err), ZO_OK);
    }
    return be;
}

START_TEST(bits_are_those_of_f32)
{
    int compared = 0;
    for (int way = 0; way < 2 * 2 * 2 * 2; way++) {
        bool second = way % 2 == 1, checkpoint = way / 2 % 2 == 1;
        zo_storage storage = way / 4 % 2 == 0 ? ZO_STORAGE_BF16 : ZO_STORAGE_F16;
        zo_precision precision = way / 8 == 0 ? ZO_F32 : ZO_BF16;
        double loss[2];
        int64_t size;
        uint64_t grown; /* in a first pass by what batches of that size make once */
        float *full = half_gradient(backend(), _i, second, ZO_STORAGE_F32, storage, precision, checkpoint, &loss[1], &size, &grown);
        float *half = half_gradient(backend(), _i, second, storage, storage, precision, checkpoint, &loss[0], &size, &grown);
        ck_assert_msg(grown == 0, "%s, %s: the pass allocates %llu bytes that were not reserved", families[halves[_i].family], halves[_i].tune, (unsigned long long)grown);
        double length = 0.0;
        for (int64_t i = 0; i < size; i++) {
            length += (double)half[i] * half[i];
        }
        ck_assert(length > 0.0 && isfinite(length));
        ck_assert_msg(loss[0] == loss[1] && memcmp(half, full, (size_t)size * sizeof *half) == 0, "%s, %s, %s, products in %s%s: other bits", families[halves[_i].family],
                      halves[_i].tune, zo_storage_name(storage), zo_precision_name(precision), checkpoint ? ", checkpoints" : "");
        compared++;
        zo_free(half);
        zo_free(full);
    }
    printf("measured: %s, %s: %d gradients at 16 bits have the bits of f32\n", families[halves[_i].family], halves[_i].tune, compared);
}
END_TEST

/* (L(w + h g) - L(w - h g)) / 2h = |g|^2 up to h^2, at weights that are rounded. */
START_TEST(they_are_slopes)
{
    static const int held_at[] = {BERT, GPT2, OPT, LLAMA}; /* the first of `halves` are the families */
    static const double within = 5e-3;
    zo_backend *be = backend();
    zo_storage storage = _i % 2 == 0 ? ZO_STORAGE_BF16 : ZO_STORAGE_F16;
    double loss, moved[2], square = 0.0;
    int64_t size;
    uint64_t grown;
    float *g = half_gradient(be, held_at[_i / 2], false, storage, storage, ZO_F32, false, &loss, &size, &grown), *w = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)size * sizeof *w);
    for (int64_t i = 0; i < size; i++) {
        g[i] *= 2.0f; /* of half the loss */
        square += (double)g[i] * g[i];
    }
    double h = 2e-2 / square;
    for (int side = 0; side < 2; side++) {
        static const int32_t length[] = {7, 3, 4, 5};
        zo_model *model = golden_model(be, held_family[_i / 2], false, ZO_F32, ZO_STORAGE_F32);
        zo_batch *b = golden_batch(zo_model_arch(model), false, 4, length, 3);
        const zo_store *slot = zo_model_store(model);
        zo_view view = zo_view_stored(&slot);
        round_weights(model, storage);
        zo_store_read(be, slot, 0, size, w);
        for (int64_t i = 0; i < size; i++) {
            w[i] += (float)(side == 0 ? h : -h) * g[i];
        }
        zo_store_write(be, zo_model_store(model), 0, size, w);
        zo_model_reserve(model, b->tokens, b->rows, b->scores, 1, ZO_FORWARD_ONLY, NULL);
        zo_model_losses(model, &view, b, &moved[side]);
        zo_batch_free(b);
        zo_model_close(model);
    }
    double slope = (moved[0] - moved[1]) / (2.0 * h);
    printf("measured: %s, %s: the slope along the gradient is %.5f, its square %.5f, within %g\n", families[held_family[_i / 2]], zo_storage_name(storage), slope, square, within);
    ck_assert(fabs(slope / square - 1.0) < within);
    zo_free(g);
    zo_free(w);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("halves");
    TCase *tests = tcase_create("halves");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, bits_are_those_of_f32, 0, HALVES);
    tcase_add_loop_test(tests, they_are_slopes, 0, 2 * HELD_FAMILIES);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
