/* test_cuda_descend.c: fo-sgd in mode `inplace` on the CUDA backend under tests/shim, where the updates stand in the graph of the backward pass: the same
 * bits as with stored gradients. */
#include "tests/cuda_sides.h"
#include "tests/descend.h"

START_TEST(in_place_is_stored)
{
    if (suite_takes(_i, 3, 6)) {
        descents_agree(backend_of(CUDA), _i);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_descend");
    TCase *tests = tcase_create("cuda_descend");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, in_place_is_stored, 0, DESCENTS);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
