/* test_verdict.c: verdicts of made-up sides whose answer is known. Intervals are computed apart: quantiles of t from tables (Abramowitz and Stegun,
 * 26.10), degrees of freedom by hand. */
#include <check.h>
#include <math.h>

#include "results/verdict.h"
#include "tests/suite.h"

static zo_side side(double mean, double std, int64_t seeds, int64_t rows, double digit)
{
    return (zo_side){.mean = mean, .std = std, .seeds = seeds, .rows = rows, .digit = digit};
}

START_TEST(intervals_by_hand)
{
    /* only seeds: 1^2 / 5 on both sides, so the variance is 0.4 with 8 degrees of freedom: t(0.975, 8) = 2.306004 */
    zo_side theirs = side(90, 1, 5, 0, 0), ours = side(90.5, 1, 5, 0, 0);
    zo_judged j = zo_judge(&theirs, &ours);
    ck_assert_double_eq_tol(j.difference, 0.5, 1e-12);
    ck_assert_double_eq_tol(j.high - j.difference, 2.306004 * sqrt(0.4), 1e-5);
    ck_assert_double_eq_tol(j.difference - j.low, 2.306004 * sqrt(0.4), 1e-5);
    ck_assert(!j.borrowed);
    /* Welch: 4 / 4 = 1 with 3 and 1 / 10 with 9: 1.1^2 / (1 / 3 + 0.01 / 9) = 3.617940; t(0.975, 3.617940) lies between t(3) and t(4) */
    theirs = side(80, 2, 4, 0, 0);
    ours = side(80, 1, 10, 0, 0);
    j = zo_judge(&theirs, &ours);
    double t = (j.high - j.low) / 2 / sqrt(1.1);
    ck_assert(t > 2.776445 && t < 3.182446);
    /* test sets: 50 of 100 rows is 25 on a side; without spread of seeds on one side the other's stands there */
    theirs = side(50, NAN, 1, 100, 0);
    ours = side(50, 0, 5, 100, 0);
    j = zo_judge(&theirs, &ours);
    ck_assert(j.borrowed);
    ck_assert_double_eq_tol(j.high, 1.959964 * sqrt(50), 1e-4);
    /* rounding alone: 0.1^2 / 12 */
    theirs = side(50, 0, 5, 0, 0.1);
    ours = side(50, 0, 5, 0, 0);
    j = zo_judge(&theirs, &ours);
    ck_assert_double_eq_tol(j.high, 1.959964 * 0.1 / sqrt(12), 1e-6);
}
END_TEST

START_TEST(verdicts)
{
    static const struct { zo_side theirs, ours; zo_verdict verdict; } of[] = {
        {{90, 0.5, 5, 0, 0}, {90.4, 0.5, 5, 0, 0}, ZO_AGREES},      /* 0.4 + 1.86 x 0.316 < 2 */
        {{90, 0.5, 5, 0, 0}, {95, 0.5, 5, 0, 0}, ZO_DIFFERS},
        {{95, 0.5, 5, 0, 0}, {90, 0.5, 5, 0, 0}, ZO_DIFFERS},       /* either way */
        {{90, 0.1, 5, 0, 0}, {91.5, 0.1, 5, 0, 0}, ZO_AGREES},      /* it excludes 0, and is within 2 points */
        {{90, 0.1, 5, 0, 0}, {92.0, 0.1, 5, 0, 0}, ZO_CANNOT_TELL}, /* on the margin: neither within it nor beyond it */
        {{90, 5, 5, 0, 0}, {91, 5, 5, 0, 0}, ZO_CANNOT_TELL},       /* too wide */
        {{90, 5, 5, 0, 0}, {95, 5, 5, 0, 0}, ZO_CANNOT_TELL},       /* 5 +- 7.3 */
        {{90, NAN, 1, 1000, 0.1}, {95, NAN, 1, 1000, 0}, ZO_CANNOT_TELL}, /* nobody knows a spread */
        {{90, NAN, 0, 1000, 0.1}, {99, 0.4, 3, 1000, 0}, ZO_DIFFERS},     /* ours stands for theirs */
        {{90, 0.5, 5, 50, 0.1}, {90, 0.5, 5, 50, 0}, ZO_CANNOT_TELL},     /* 50 test rows decide nothing within 2 points */
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_judged j = zo_judge(&of[k].theirs, &of[k].ours);
        ck_assert_msg(j.verdict == of[k].verdict, "%zu: %d, %g [%g, %g]", k, (int)j.verdict, j.difference, j.low, j.high);
    }
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("verdict");
    tcase_add_test(t, intervals_by_hand);
    tcase_add_test(t, verdicts);
    Suite *suite = suite_create("verdict");
    suite_add_tcase(suite, t);
    return suite_run(suite) != 0;
}
