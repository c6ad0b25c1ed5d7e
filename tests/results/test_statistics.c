/* test_statistics.c: the statistics of paired comparisons against tables, closed forms and a second way to compute them. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "results/statistics.h"
#include "tests/suite.h"

/* P(|T| >= t) by Simpson's rule over the density: another way than the fraction. */
static double by_integral(double t, double df)
{
    int n = 200000;
    double front = exp(lgamma((df + 1) / 2) - lgamma(df / 2)) / sqrt(df * 3.14159265358979323846), h = t / n, sum = 0;
    for (int i = 0; i <= n; i++) {
        double x = i * h, weight = i == 0 || i == n ? 1 : i % 2 == 1 ? 4 : 2;
        sum += weight * front * pow(1 + x * x / df, -(df + 1) / 2);
    }
    return 1 - 2 * sum * h / 3;
}

START_TEST(students_t)
{
    /* the usual table, three decimals */
    static const struct { double p, df, t; } table[] = {{0.975, 1, 12.706}, {0.975, 4, 2.776}, {0.975, 9, 2.262}, {0.95, 9, 1.833}, {0.995, 9, 3.250},
                                                        {0.8, 9, 0.883},   {0.9995, 9, 4.781}, {0.975, 30, 2.042}, {0.995, 4, 4.604}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        ck_assert_double_eq_tol(zo_t_quantile(table[i].p, table[i].df), table[i].t, 6e-4);
        ck_assert_double_eq_tol(zo_t_quantile(1 - table[i].p, table[i].df), -table[i].t, 6e-4);
        ck_assert_double_eq_tol(zo_t_two_sided(zo_t_quantile(table[i].p, table[i].df), table[i].df), 2 * (1 - table[i].p), 1e-9);
    }
    /* one degree of freedom is Cauchy's distribution, two have a closed form */
    for (double t = 0.1; t < 40; t *= 2.3) {
        ck_assert_double_eq_tol(zo_t_two_sided(t, 1), 1 - 2 * atan(t) / 3.14159265358979323846, 1e-12);
        ck_assert_double_eq_tol(zo_t_two_sided(-t, 2), 1 - t / sqrt(2 + t * t), 1e-12);
        for (double df = 3; df < 40; df += 6) {
            ck_assert_double_eq_tol(zo_t_two_sided(t, df), by_integral(t, df), 1e-9);
        }
    }
    ck_assert_double_eq(zo_t_two_sided(0, 5), 1);
    ck_assert_double_eq_tol(zo_t_quantile(0.5, 5), 0, 1e-12);
    ck_assert_double_eq(zo_t_two_sided(INFINITY, 5), 0);
}
END_TEST

/* Five differences 1, 2, 3, 4, 5: mean 3, deviation sqrt(2.5), standard error sqrt(0.5), t = 4.2426 with 4 degrees: p = 0.0132 (R: t.test(1:5)). */
START_TEST(paired_differences)
{
    double std = sqrt(2.5);
    ck_assert_double_eq_tol(zo_paired_p(3, std, 5), 0.01324, 5e-6);
    ck_assert_double_eq_tol(3 - zo_paired_half_width(std, 5, 0.95), 1.036757, 5e-6);
    ck_assert_double_eq_tol(zo_paired_detectable(std, 5, 0.05, 0.8), (2.776445 + 0.940965) * sqrt(0.5), 5e-6);
    ck_assert_double_eq_tol(zo_paired_detectable(std, 5, 0.05 / 10, 0.8), (5.597568 + 0.940965) * sqrt(0.5), 5e-6);
    ck_assert_double_eq(zo_paired_p(0, 0, 5), 1);
    ck_assert_double_eq(zo_paired_p(0.1, 0, 5), 0);
}
END_TEST

/* Four tests, one that is none: 0.01 x 4; 0.02 x 3; 0.03 x 2 is no less than the one before; 0.9 x 1. Two that are equal get one value. */
START_TEST(holms_order)
{
    double p[] = {0.03, 0.9, NAN, 0.01, 0.02}, equal[] = {0.02, 0.02, 0.6}, large[] = {0.5, 0.6};
    static const double is[] = {0.06, 0.9, NAN, 0.04, 0.06};
    zo_holm(p, 5);
    for (int i = 0; i < 5; i++) {
        ck_assert_msg(i == 2 ? isnan(p[i]) : fabs(p[i] - is[i]) < 1e-12, "%d: %g", i, p[i]);
    }
    zo_holm(equal, 3);
    ck_assert_double_eq_tol(equal[0], 0.06, 1e-12);
    ck_assert_double_eq_tol(equal[1], 0.06, 1e-12);
    ck_assert_double_eq_tol(equal[2], 0.6, 1e-12);
    zo_holm(large, 2);
    ck_assert_double_eq(large[0], 1);
    ck_assert_double_eq(large[1], 1);
}
END_TEST

/* The mean of drawn rows has a known deviation, sqrt(variance / n), and nearly a normal distribution: 1.96 of them on each side. Without spread there is
 * no width, and the seed decides. */
START_TEST(rows_drawn_again)
{
    enum { N = 400 };
    double value[N], low, high, again_low, again_high;
    for (int i = 0; i < N; i++) {
        value[i] = i % 4 == 0; /* a quarter ones */
    }
    zo_bootstrap(value, N, 20000, 1, 0.95, &low, &high);
    double sigma = sqrt(0.25 * 0.75 / N);
    ck_assert_double_eq_tol(low, 0.25 - 1.96 * sigma, 0.1 * sigma);
    ck_assert_double_eq_tol(high, 0.25 + 1.96 * sigma, 0.1 * sigma);
    zo_bootstrap(value, N, 20000, 1, 0.95, &again_low, &again_high);
    ck_assert(low == again_low && high == again_high);
    zo_bootstrap(value, N, 200, 2, 0.95, &again_low, &again_high);
    ck_assert(low != again_low || high != again_high);
    double same[3] = {0.5, 0.5, 0.5}, row[2] = {0, 1};
    zo_bootstrap(same, 3, 50, 1, 0.95, &low, &high);
    ck_assert(low == 0.5 && high == 0.5);
    zo_bootstrap(row, 2, 4000, 1, 0.95, &low, &high); /* each row is drawn: all of one with probability 1/4 */
    ck_assert(low == 0 && high == 1);
    zo_bootstrap(row, 2, 4000, 1, 0.4, &low, &high); /* the middle half is one of each */
    ck_assert(low == 0.5 && high == 0.5);
}
END_TEST

/* numpy.quantile([1, 2, 4, 8], [0, 0.25, 0.5, 0.9, 1]) */
START_TEST(quantiles)
{
    static const double sorted[] = {1, 2, 4, 8}, q[] = {0, 0.25, 0.5, 0.9, 1}, is[] = {1, 1.75, 3, 6.8, 8};
    for (int i = 0; i < 5; i++) {
        ck_assert_double_eq_tol(zo_quantile(sorted, 4, q[i]), is[i], 1e-12);
    }
    ck_assert(isnan(zo_quantile(sorted, 0, 0.5)));
}
END_TEST

/* The same criterion by brute force: every cut of n points. */
static double cost_of(const double *y, int from, int end)
{
    double sum = INFINITY; /* the least over all levels that are points */
    for (int m = from; m < end; m++) {
        double s = 0;
        for (int i = from; i < end; i++) {
            s += fabs(y[i] - y[m]);
        }
        sum = fmin(sum, s);
    }
    return sum;
}

static double best_of_all(const double *y, int n, double grain, int *segments)
{
    double least = INFINITY;
    for (unsigned cuts = 0; cuts < 1u << (n - 1); cuts++) { /* bit i: a segment begins at i + 1 */
        double sum = 0;
        int from = 0, k = 0;
        bool permitted = true;
        for (int i = 1; i <= n; i++) {
            if (i == n || (cuts >> (i - 1) & 1) != 0) {
                permitted = permitted && i - from >= ZO_FIT_LEAST;
                sum += cost_of(y, from, i);
                from = i;
                k++;
            }
        }
        double criterion = n * log(fmax(sum, n * grain) / n) + 4 * k * log(n);
        if (permitted && criterion < least) {
            least = criterion;
            *segments = k;
        }
    }
    return least;
}

static double noise(uint32_t *state)
{
    double sum = 0;
    for (int i = 0; i < 4; i++) {
        *state = *state * 1664525u + 1013904223u;
        sum += (double)(*state >> 8) / (1 << 24) - 0.5;
    }
    return sum; /* of standard deviation 0.58 */
}

START_TEST(steps_of_series)
{
    double y[200];
    int start[10], k, wanted;
    uint32_t state = 7;
    for (int trial = 0; trial < 60; trial++) { /* short ones, against every cut */
        int n = 2 + trial % 11;
        for (int i = 0; i < n; i++) {
            y[i] = 10 + 0.1 * noise(&state) + (i >= n / 3 && trial % 2 == 1 ? 4 : 0) + (i >= 2 * n / 3 && trial % 3 == 1 ? 3 : 0);
        }
        double least = best_of_all(y, n, 1e-3, &wanted), sum = 0;
        k = zo_piecewise_fit(y, n, 1e-3, 10, start);
        ck_assert_int_eq(start[0], 0);
        for (int s = 0; s < k; s++) {
            sum += cost_of(y, start[s], s + 1 < k ? start[s + 1] : n);
        }
        double got = n * log(fmax(sum, n * 1e-3) / n) + 4 * k * log(n);
        ck_assert_msg(k == wanted && fabs(got - least) < 1e-9, "trial %d: %d segments of criterion %g, not %d of %g", trial, k, got, wanted, least);
    }
    /* long ones, with steps at known places and one point far off, which is no step */
    for (int trial = 0; trial < 20; trial++) {
        for (int i = 0; i < 200; i++) {
            y[i] = 100 + (i >= 60 ? 5 : 0) - (i >= 150 ? 3 : 0) + noise(&state);
        }
        y[30] = 140;
        ck_assert_int_eq(zo_piecewise_fit(y, 200, 1e-2, 10, start), 3);
        ck_assert_msg(abs(start[1] - 60) <= 1 && abs(start[2] - 150) <= 1, "%d, %d", start[1], start[2]);
    }
    for (int trial = 0; trial < 200; trial++) { /* no steps at all */
        for (int i = 0; i < 100; i++) {
            y[i] = 100 + noise(&state);
        }
        ck_assert_int_eq(zo_piecewise_fit(y, 100, 1e-2, 10, start), 1);
    }
    for (int i = 0; i < 8; i++) { /* without noise: a step, and one that is below the grain */
        y[i] = i < 5 ? 1000 : 1060;
    }
    ck_assert_int_eq(zo_piecewise_fit(y, 8, 1, 10, start), 2);
    ck_assert_int_eq(start[1], 5);
    ck_assert_int_eq(zo_piecewise_fit(y, 8, 100, 10, start), 1);
    ck_assert_int_eq(zo_piecewise_fit(y, 1, 1, 10, start), 1);
    ck_assert_int_eq(start[0], 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("statistics");
    TCase *t = tcase_create("statistics");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, students_t);
    tcase_add_test(t, paired_differences);
    tcase_add_test(t, holms_order);
    tcase_add_test(t, rows_drawn_again);
    tcase_add_test(t, quantiles);
    tcase_add_test(t, steps_of_series);
    suite_add_tcase(suite, t);
    return suite_run(suite) != 0;
}
