/* test_cuda_device_peaks.c: the peaks of the CUDA backend run: products in every precision, a copy, the driver's memory, and cuRAND or one
 * sentence why not. Under the shim the rates are nonsense; that work is done and memory given back is what is looked at. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "backends/device_peaks.h"
#include "tests/suite.h"

extern const zo_device_peaks zo_cuda_device_peaks;

START_TEST(rates)
{
    zo_backend *be;
    zo_err err = {0};
    ck_assert_msg(zo_cuda_open(-1, 1, &be, &err) == ZO_OK, "%s", err.text);
    for (int p = ZO_F32; p < ZO_PRECISIONS; p++) {
        if (zo_backend_check(be, (zo_precision)p, &err) == ZO_OK) {
            double rate = zo_cuda_device_peaks.product_rate(be, (zo_precision)p, 48);
            printf("product %s: %g FLOP/s\n", zo_precision_name((zo_precision)p), rate);
            ck_assert(rate > 0);
        }
    }
    ck_assert(zo_copy_rate(be, 1 << 16) > 0);
    uint64_t before = zo_mem_live(ZO_DEVICE).total_bytes;
    zo_device_memory memory;
    zo_cuda_device_peaks.memory(be, &memory);
    ck_assert_uint_ge(memory.used_bytes, before);
    ck_assert_uint_ge(memory.total_bytes, memory.used_bytes);
    double rate = 0;
    zo_status status = zo_cuda_device_peaks.normals_rate(be, 1 << 10, &rate, &err);
    printf("cuRAND: %s\n", status == ZO_OK ? "there" : err.text);
    ck_assert_msg(status == ZO_OK ? rate > 0 : status == ZO_EUNSUPPORTED && strstr(err.text, "cuRAND is not measured") != NULL, "%s", err.text);
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, before);
    be->close(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_device_peaks");
    TCase *tc = tcase_create("shim");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, rates);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
