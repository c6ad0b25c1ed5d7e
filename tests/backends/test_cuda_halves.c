/* test_cuda_halves.c: gradients at weights of 16 bits on the CUDA backend under tests/shim: those of the processor, and of f32 weights that are the same
 * numbers; and steps with masters, which end where the processor's do. */
#include "tests/cuda_sides.h"
#include "tests/halves.h"
#include "tests/suite.h"

START_TEST(sides_agree)
{
    double worst = 0.0, losses = 0.0;
    for (int way = 0; way < 4; way++) {
        bool second = way % 2 == 1;
        zo_storage storage = way / 2 == 0 ? ZO_STORAGE_BF16 : ZO_STORAGE_F16;
        double loss[3], most = 0.0;
        int64_t size;
        uint64_t grown;
        float *cpu = half_gradient(backend_of(CPU), _i, second, storage, storage, ZO_F32, second, &loss[0], &size, &grown);
        float *cuda = half_gradient(backend_of(CUDA), _i, second, storage, storage, ZO_F32, second, &loss[1], &size, &grown);
        float *full = half_gradient(backend_of(CUDA), _i, second, ZO_STORAGE_F32, storage, ZO_F32, second, &loss[2], &size, &grown);
        for (int64_t i = 0; i < size; i++) {
            most = fmax(most, fabs((double)cpu[i]));
        }
        for (int64_t i = 0; i < size; i++) {
            worst = fmax(worst, fmax(fabs((double)cpu[i] - cuda[i]), fabs((double)cuda[i] - full[i])) / most);
        }
        losses = fmax(losses, fmax(fabs(loss[0] - loss[1]), fabs(loss[1] - loss[2])));
        zo_free(cpu);
        zo_free(cuda);
        zo_free(full);
    }
    printf("measured: %s, %s: losses differ by %.1e, gradients by %.1e of the largest\n", families[halves[_i].family], halves[_i].tune, losses, worst);
    ck_assert(losses < 5e-6 && worst < 5e-5);
}
END_TEST

START_TEST(steps_agree)
{
    static const char *const options[] = {"{\"momentum\": 0.9, \"weight_decay\": 0.1}", "{\"momentum\": 0.9, \"mode\": \"inplace\"}", "{\"master\": false}"};
    for (int way = 0; way < 3; way++) {
        result r[SIDES];
        for (int side = 0; side < SIDES; side++) {
            setting s = {.optimizer = "fo-sgd", .options = options[way], .family = held_family[_i], .storage = way == 1 ? ZO_STORAGE_F16 : ZO_STORAGE_BF16, .lr = 1e-2, .steps = 4};
            r[side] = run_of(backend_of(side), &s);
            ck_assert_msg(r[side].status == ZO_OK, "%s", storage_err.text);
        }
        int64_t apart = 0;
        double most = 0.0;
        for (int64_t i = 0; i < r[CPU].size; i++) {
            apart += r[CPU].weights[i] != r[CUDA].weights[i];
            most = fmax(most, fabs((double)r[CPU].weights[i] - r[CUDA].weights[i]) / fmax(fabs((double)r[CPU].weights[i]), 1e-3));
        }
        printf("measured: %s %s: after 4 steps %.2g %% of the weights moved, %lld of %lld stand on the two sides of a switch of the rounding\n", families[held_family[_i]],
               options[way], 100.0 * (double)r[CPU].moved / (double)r[CPU].size, (long long)apart, (long long)r[CPU].size);
        ck_assert(r[CPU].moved > r[CPU].size / 20 && apart <= r[CPU].size / 500 && most < 0x1p-6 && fabs(r[CPU].settled - r[CUDA].settled) < 2e-4);
        ck_assert(r[CPU].sets[ZO_TAG_GRADS] == r[CUDA].sets[ZO_TAG_GRADS] && r[CPU].sets[ZO_TAG_OPT_STATE] == r[CUDA].sets[ZO_TAG_OPT_STATE]);
        for (int side = 0; side < SIDES; side++) {
            zo_free(r[side].weights);
            zo_free(r[side].before);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_halves");
    TCase *tests = tcase_create("cuda_halves");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, sides_agree, 0, HALVES);
    tcase_add_loop_test(tests, steps_agree, 0, HELD_FAMILIES);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
