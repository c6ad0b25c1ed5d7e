/* test_num.c: the functions of num.h against float64 libm over all exponents (a stride through all 2^32 floats), within the errors
 * that their comments state; bf16 and f16 exhaustively. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/num.h"
#include "tests/suite.h"

enum { STRIDE = 4099 }; /* a prime: about a million floats */

static double worst_of(double worst, double got, double want)
{
    return got == want ? worst : fmax(worst, fabs(got - want) / fabs(want));
}

static void bounded(const char *name, double worst, double limit)
{
    ck_assert_msg(worst <= limit, "%s: error %.3g, stated %.3g", name, worst, limit);
    printf("measured: %s error %.2g (stated %.2g)\n", name, worst, limit);
}

START_TEST(exponential)
{
    double worst = 0.0, denormal = 0.0;
    for (uint64_t b = 0; b < 1ull << 32; b += STRIDE) {
        float x = zo_bits_f32((uint32_t)b), y = zo_exp(x);
        double want = exp(x);
        if (isnan(x)) {
            ck_assert(isnan(y));
        } else if (want > 3.40282356e38) {
            ck_assert(isinf(y) && y > 0);
        } else if (want >= 1.17549435e-38) {
            worst = worst_of(worst, y, want);
        } else {
            denormal = fmax(denormal, fabs(y - want) / 0x1p-149);
        }
    }
    bounded("exp", worst, 9e-8);
    bounded("exp, denormal results, in units of 2^-149", denormal, 1.0);
    ck_assert(zo_exp(0.0f) == 1.0f && zo_exp(-INFINITY) == 0.0f && zo_exp(INFINITY) == INFINITY);
}
END_TEST

START_TEST(logarithm)
{
    double worst = 0.0, normal = 0.0;
    for (uint64_t b = 1; b < 0x7f800000ull; b += STRIDE / 2) {
        float x = zo_bits_f32((uint32_t)b);
        worst = worst_of(worst, zo_log(x), log(x));
        if (b >= 0x00800000) {
            normal = worst_of(normal, zo_log_normal(x), log(x));
        }
    }
    for (int32_t d = -200000; d < 200000; d++) { /* around 1, where the result is small */
        float x = zo_bits_f32(0x3f800000u + (uint32_t)d);
        worst = worst_of(worst, zo_log(x), log(x));
    }
    bounded("log", worst, 1.1e-7);
    bounded("log_normal", normal, 1.1e-7);
    ck_assert(zo_log(0.0f) == -INFINITY && zo_log(INFINITY) == INFINITY && zo_log(1.0f) == 0.0f);
    ck_assert(isnan(zo_log(-1.0f)) && isnan(zo_log(NAN)) && isnan(zo_log(-INFINITY)));
}
END_TEST

START_TEST(sine_and_cosine)
{
    double worst = 0.0;
    for (uint64_t b = 0; b < 1ull << 32; b += STRIDE) {
        float x = zo_bits_f32((uint32_t)b), s, c;
        if (!(fabsf(x) < 0x1p20f)) {
            continue;
        }
        zo_sincos2pi(x, &s, &c);
        double turn = (double)x - rint(x);
        worst = fmax(worst, fmax(fabs(s - sin(2 * M_PI * turn)), fabs(c - cos(2 * M_PI * turn))));
    }
    bounded("sin and cos of 2 pi u, absolute", worst, 1.2e-7);
    float s, c;
    zo_sincos2pi(0.25f, &s, &c);
    ck_assert(s == 1.0f && c == 0.0f);
    zo_sincos2pi(-0.5f, &s, &c);
    ck_assert(fabsf(s) == 0.0f && c == -1.0f);
}
END_TEST

START_TEST(sigmoids)
{
    double tangent = 0.0, error = 0.0, sigmoid = 0.0, cdf = 0.0, tail = 0.0;
    for (uint64_t b = 0; b < 1ull << 32; b += STRIDE) {
        float x = zo_bits_f32((uint32_t)b);
        if (isnan(x)) {
            ck_assert(isnan(zo_tanh(x)) && isnan(zo_erf(x)) && isnan(zo_sigmoid(x)) && isnan(zo_normal_cdf(x)));
            continue;
        }
        tangent = worst_of(tangent, zo_tanh(x), tanh(x));
        if (fabsf(x) > 1e-37f) {
            error = worst_of(error, zo_erf(x), erf(x));
        }
        double want = 1.0 / (1.0 + exp(-(double)x));
        if (want > 1.18e-38) {
            sigmoid = worst_of(sigmoid, zo_sigmoid(x), want);
        }
        want = 0.5 * erfc(-(double)x / sqrt(2.0));
        cdf = fmax(cdf, fabs(zo_normal_cdf(x) - want));
        if (x < 0.0f && x >= -6.0f) {
            tail = worst_of(tail, zo_normal_cdf(x), want);
        }
    }
    bounded("tanh", tangent, 1.5e-7);
    bounded("erf", error, 1.9e-7);
    bounded("sigmoid", sigmoid, 1.6e-7);
    bounded("normal distribution, absolute", cdf, 1e-7);
    bounded("normal distribution, relative on [-6, 0)", tail, 6e-6);
    ck_assert(zo_tanh(INFINITY) == 1.0f && zo_tanh(-INFINITY) == -1.0f && zo_erf(9.0f) == 1.0f && zo_erf(-9.0f) == -1.0f);
    ck_assert(zo_sigmoid(INFINITY) == 1.0f && zo_sigmoid(-INFINITY) == 0.0f && zo_sigmoid(0.0f) == 0.5f);
    ck_assert(1.0f / zo_tanh(-0.0f) == -INFINITY);
}
END_TEST

START_TEST(bf16_exhaustive)
{
    for (uint32_t h = 0; h < 65536; h++) { /* every bf16 survives; between two neighbours: nearest, ties to even */
        float x = zo_bf16_to((uint16_t)h);
        if (isnan(x)) {
            ck_assert(isnan(zo_bf16_to(zo_bf16_from(x))));
            continue;
        }
        ck_assert_uint_eq(zo_bf16_from(x), h);
        if (isinf(x) || (h & 0x7fff) == 0x7f7f) {
            continue;
        }
        uint32_t bits = h << 16;
        ck_assert_uint_eq(zo_bf16_from(zo_bits_f32(bits + 0x7fff)), h);
        ck_assert_uint_eq(zo_bf16_from(zo_bits_f32(bits + 0x8000)), h + (h & 1));
        ck_assert_uint_eq(zo_bf16_from(zo_bits_f32(bits + 0x8001)), h + 1);
    }
    ck_assert_uint_eq(zo_bf16_from(3.4028235e38f), 0x7f80);
    ck_assert(isnan(zo_bf16_to(zo_bf16_from(zo_bits_f32(0x7f800001))))); /* a NaN whose payload would be cut off */
}
END_TEST

/* The value of an f16 by its definition. */
static double f16_value(uint32_t h)
{
    int exponent = (int)(h >> 10 & 31), mantissa = (int)(h & 1023);
    double v = exponent == 31 ? (mantissa ? NAN : INFINITY) : exponent == 0 ? ldexp(mantissa, -24) : ldexp(1024 + mantissa, exponent - 25);
    return h & 0x8000 ? -v : v;
}

START_TEST(f16_exhaustive)
{
    for (uint32_t h = 0; h < 65536; h++) {
        double want = f16_value(h);
        float got = zo_f16_to((uint16_t)h);
        if (isnan(want)) {
            ck_assert(isnan(got) && isnan(zo_f16_to(zo_f16_from(got))));
            continue;
        }
        ck_assert(got == want && !signbit(got) == !signbit(want));
        ck_assert_uint_eq(zo_f16_from(got), h);
        if (isinf(want) || (h & 0x7fff) == 0x7bff) {
            continue;
        }
        double next = f16_value(h + 1), middle = 0.5 * (want + next); /* exact in f32 */
        float m = (float)middle;
        ck_assert_uint_eq(zo_f16_from(m), h + (h & 1));
        ck_assert_uint_eq(zo_f16_from(zo_bits_f32(zo_f32_bits(m) - 1)), h);
        ck_assert_uint_eq(zo_f16_from(zo_bits_f32(zo_f32_bits(m) + 1)), h + 1);
    }
    ck_assert_uint_eq(zo_f16_from(65519.99f), 0x7bff);
    ck_assert_uint_eq(zo_f16_from(65520.0f), 0x7c00);
    ck_assert_uint_eq(zo_f16_from(1e30f), 0x7c00);
    ck_assert_uint_eq(zo_f16_from(-INFINITY), 0xfc00);
    ck_assert_uint_eq(zo_f16_from(1e-30f), 0);
    ck_assert_uint_eq(zo_f16_from(-1e-40f), 0x8000);
}
END_TEST

START_TEST(rounding_up)
{
    for (uint64_t to = 1; to < 70; to++) {
        for (uint64_t n = 0; n < 300; n++) {
            uint64_t up = n;
            while (up % to != 0) {
                up++;
            }
            ck_assert_uint_eq(zo_round_up(n, to), up);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("num");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, exponential);
    tcase_add_test(tc, logarithm);
    tcase_add_test(tc, sine_and_cosine);
    tcase_add_test(tc, sigmoids);
    tcase_add_test(tc, bf16_exhaustive);
    tcase_add_test(tc, f16_exhaustive);
    tcase_add_test(tc, rounding_up);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
