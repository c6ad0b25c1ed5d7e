/* test_clock.c: the parts of a step's time: what is added, what moves from one to another and no more than is there, and rounding to
 * nanoseconds. */
#include <check.h>
#include <math.h>
#include <string.h>

#include "core/clock.h"
#include "tests/suite.h"

static void parts_are(double form, double gemm, double data)
{
    double seconds[ZO_PARTS], want[ZO_PARTS] = {[ZO_PART_FORM] = form, [ZO_PART_GEMM] = gemm, [ZO_PART_DATA] = data};
    zo_part_read(seconds);
    for (int p = 0; p < ZO_PARTS; p++) {
        ck_assert_msg(fabs(seconds[p] - want[p]) < 1e-12, "%s is %.12g, and should be %.12g", zo_part_name((zo_part)p), seconds[p], want[p]);
    }
}

START_TEST(parts_add_and_move)
{
    zo_part_reset();
    zo_part_add(ZO_PART_FORM, 2.0);
    zo_part_add(ZO_PART_FORM, 0.5);
    zo_part_add(ZO_PART_GEMM, 1.0);
    zo_part_add(ZO_PART_GEMM, 0.0);
    zo_part_add(ZO_PART_GEMM, -4.0); /* a clock that was set back books nothing */
    parts_are(2.5, 1.0, 0.0);
    zo_part_move(ZO_PART_FORM, ZO_PART_DATA, 0.75);
    parts_are(1.75, 1.0, 0.75);
    zo_part_move(ZO_PART_GEMM, ZO_PART_DATA, 9.0); /* more than is held: all of it, and no part falls below 0 */
    parts_are(1.75, 0.0, 1.75);
    zo_part_move(ZO_PART_FORM, ZO_PART_GEMM, -1.0);
    parts_are(1.75, 0.0, 1.75);
    zo_part_move(ZO_PART_DATA, ZO_PART_FORM, 1.75);
    parts_are(3.5, 0.0, 0.0);
    zo_part_reset();
    parts_are(0.0, 0.0, 0.0);
}
END_TEST

START_TEST(parts_are_nanoseconds)
{
    zo_part_reset();
    for (int i = 0; i < 1000; i++) {
        zo_part_add(ZO_PART_FORM, 1.6e-9); /* to the nearest: 2 each */
        zo_part_add(ZO_PART_GEMM, 0.4e-9);
    }
    parts_are(2e-6, 0.0, 0.0);
    zo_part_move(ZO_PART_FORM, ZO_PART_DATA, 1.4e-9);
    parts_are(2e-6 - 1e-9, 0.0, 1e-9);
}
END_TEST

START_TEST(time_goes_on)
{
    double first = zo_now(), last = first;
    for (int i = 0; i < 1000; i++) {
        double t = zo_now();
        ck_assert_double_ge(t, last);
        last = t;
    }
    while (last <= first) { /* it moves, in steps far below a millisecond */
        last = zo_now();
    }
    ck_assert_double_lt(last - first, 10.0);
    ck_assert_str_eq(zo_part_name(ZO_PART_ATTENTION), "attention");
    ck_assert_str_eq(zo_part_name(ZO_PART_DATA), "data");
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("clock");
    tcase_add_test(t, parts_add_and_move);
    tcase_add_test(t, parts_are_nanoseconds);
    tcase_add_test(t, time_goes_on);
    Suite *suite = suite_create("clock");
    suite_add_tcase(suite, t);
    return suite_run(suite) != 0;
}
