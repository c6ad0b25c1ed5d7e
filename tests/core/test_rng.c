/* test_rng.c: Philox against Random123's known answers; the scalar and the wide generator agree on every bit at all alignments;
 * moments; a stored hash of a million normals; integers, uniforms, shuffles. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "tests/suite.h"

START_TEST(known_answers)
{
    /* kat_vectors of Random123, philox4x32 10 rounds: counter, key, block */
    static const uint32_t kat[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (size_t i = 0; i < sizeof kat / sizeof *kat; i++) {
        const uint32_t *k = kat[i];
        zo_block b = zo_philox(k[0], k[1], k[2], k[3], k[4], k[5]);
        ck_assert(memcmp(b.lane, k + 6, sizeof b.lane) == 0);
    }
    /* the third one through a stream, and through the wide form */
    zo_stream s = {.seed = 0x299f31d0a4093822ull, .tensor = 0x85a308d3, .step = 0x13198a2e, .query = 0x707344, .role = (zo_role)3};
    uint32_t w[4];
    zo_words(s, 4ull * 0x243f6a88, 4, w);
    ck_assert(memcmp(w, kat[2] + 6, sizeof w) == 0);
    ck_assert(memcmp(zo_stream_block(s, 0x243f6a88).lane, kat[2] + 6, sizeof w) == 0);
}
END_TEST

START_TEST(scalar_equals_wide)
{
    enum { MOST = 1500 };
    static float wide[MOST + 1], scalar[MOST + 1];
    zo_stream s = {.seed = 0x123456789abcdefull, .tensor = 77, .step = 5, .query = 0xfffffe, .role = ZO_ROLE_INIT};
    for (uint64_t first = 0; first < 9; first++) {
        for (long n = 0; n <= MOST; n += n < 12 ? 1 : 61) {
            wide[n] = scalar[n] = 12345.0f; /* nothing is written past the end */
            zo_normals(s, first, n, wide);
            zo_normals_scalar(s, first, n, scalar);
            ck_assert_msg(memcmp(wide, scalar, (size_t)(n + 1) * sizeof *wide) == 0, "first %llu, n %ld", (unsigned long long)first, n);
            ck_assert(wide[n] == 12345.0f);
        }
    }
    for (uint64_t first = 16000000000ull; first < 16000000004ull; first++) { /* far into a large tensor */
        zo_normals(s, first, MOST, wide);
        zo_normals_scalar(s, first, MOST, scalar);
        ck_assert(memcmp(wide, scalar, MOST * sizeof *wide) == 0);
    }
    /* pieces equal the whole */
    zo_normals(s, 3, MOST, wide);
    for (long at = 0, n; at < MOST; at += n) {
        n = (at * 7) % 300 + 1;
        n = n > MOST - at ? MOST - at : n;
        zo_normals(s, 3 + (uint64_t)at, n, scalar + at);
    }
    ck_assert(memcmp(wide, scalar, MOST * sizeof *wide) == 0);
}
END_TEST

START_TEST(words_at_all_alignments)
{
    uint32_t w[700];
    zo_stream s = {.seed = 9, .tensor = 1, .step = 2, .query = 3, .role = ZO_ROLE_DATA};
    for (uint64_t first = 0; first < 7; first++) {
        zo_words(s, first, 700, w);
        for (uint64_t e = first; e < first + 700; e++) {
            ck_assert_uint_eq(w[e - first], zo_stream_block(s, (uint32_t)(e / 4)).lane[e % 4]);
        }
    }
}
END_TEST

/* Each sign is one bit of the words, at all alignments; nothing is written past the end. */
START_TEST(signs_are_bits_of_the_words)
{
    enum { MOST = 9000 }; /* more than a batch of counters has */
    static float sign[MOST + 1];
    static uint32_t w[MOST / 32 + 3];
    zo_stream s = {.seed = 0x123456789abcdefull, .tensor = 77, .step = 5, .query = 0xfffffe};
    static const uint64_t starts[] = {0, 1, 31, 32, 33, 127, 128, 200, 16000000003ull};
    for (size_t k = 0; k < sizeof starts / sizeof *starts; k++) {
        uint64_t first = starts[k];
        zo_words(s, first / 32, MOST / 32 + 3, w);
        for (long n = 0; n <= MOST; n += n < 70 ? 1 : 893) {
            sign[n] = 12345.0f;
            zo_signs(s, first, n, sign);
            for (long i = 0; i < n; i++) {
                uint64_t e = first + (uint64_t)i;
                float expected = w[e / 32 - first / 32] >> e % 32 & 1 ? -1.0f : 1.0f;
                ck_assert_msg(sign[i] == expected, "first %llu, n %ld: element %ld is %g", (unsigned long long)first, n, i, (double)sign[i]);
            }
            ck_assert(sign[n] == 12345.0f);
        }
    }
    float one[3], other[3];
    zo_numbers(ZO_DRAW_GAUSS, s, 5, 3, one);
    zo_normals(s, 5, 3, other);
    ck_assert(memcmp(one, other, sizeof one) == 0);
    zo_numbers(ZO_DRAW_RADEMACHER, s, 5, 3, one);
    zo_signs(s, 5, 3, other);
    ck_assert(memcmp(one, other, sizeof one) == 0);
}
END_TEST

enum { MILLION = 1 << 20 };
static float million[MILLION];

START_TEST(stored_hash)
{
    /* the same bits from every compiler, width of vectors and device: changing them changes every recorded run */
    zo_normals((zo_stream){.seed = 20250101, .tensor = 3, .step = 4, .query = 5}, 0, MILLION, million);
    uint64_t hash = 0xcbf29ce484222325ull;
    for (long i = 0; i < MILLION; i++) {
        hash = (hash ^ zo_f32_bits(million[i])) * 0x100000001b3ull;
    }
    ck_assert_msg(hash == 0x68737b9b6121ce96ull, "the hash of a million normals is 0x%016llx", (unsigned long long)hash);
}
END_TEST

START_TEST(moments)
{
    double mean = 0, two = 0, three = 0, four = 0, most = 0, lag = 0;
    zo_normals((zo_stream){.seed = 1, .tensor = 2, .step = 3}, 0, MILLION, million);
    for (long i = 0; i < MILLION; i++) {
        double z = million[i];
        mean += z / MILLION;
        two += z * z / MILLION;
        three += z * z * z / MILLION;
        four += z * z * z * z / MILLION;
        lag += i > 0 ? z * million[i - 1] / MILLION : 0;
        most = fmax(most, fabs(z));
    }
    /* five standard errors each */
    double se = 1.0 / sqrt(MILLION);
    ck_assert(fabs(mean) < 5 * se);
    ck_assert(fabs(two - 1) < 5 * sqrt(2.0) * se);
    ck_assert(fabs(three) < 5 * sqrt(15.0) * se);
    ck_assert(fabs(four - 3) < 5 * sqrt(96.0) * se);
    ck_assert(fabs(lag) < 5 * se);
    ck_assert(most > 4.5 && most < 6.8);
    /* the distribution itself: counts of 40 cells of [-4, 4] by chi squared, 39 degrees of freedom and the tails */
    double count[42] = {0}, chi = 0;
    for (long i = 0; i < MILLION; i++) {
        int cell = (int)floor((million[i] + 4.0) / 0.2) + 1;
        count[cell < 0 ? 0 : cell > 41 ? 41 : cell]++;
    }
    for (int c = 0; c < 42; c++) {
        double low = c == 0 ? -INFINITY : -4 + 0.2 * (c - 1), high = c == 41 ? INFINITY : -4 + 0.2 * c;
        double want = MILLION * 0.5 * (erfc(-high / sqrt(2.0)) - erfc(-low / sqrt(2.0)));
        chi += (count[c] - want) * (count[c] - want) / want;
    }
    ck_assert_msg(chi < 80, "chi squared %g of 41 degrees of freedom", chi);
}
END_TEST

/* Mean 0 and covariance I: means, and products of elements that are a bit, a word, a block and a batch apart; five standard errors each. */
START_TEST(moments_of_signs)
{
    static const int lag[] = {1, 32, 128, 8192};
    double mean = 0, se = 1.0 / sqrt(MILLION);
    zo_signs((zo_stream){.seed = 1, .tensor = 2, .step = 3}, 0, MILLION, million);
    for (long i = 0; i < MILLION; i++) {
        ck_assert(fabsf(million[i]) == 1.0f);
        mean += (double)million[i] / MILLION;
    }
    ck_assert(fabs(mean) < 5 * se);
    for (int k = 0; k < 4; k++) {
        double sum = 0;
        for (long i = lag[k]; i < MILLION; i++) {
            sum += (double)million[i] * million[i - lag[k]] / MILLION;
        }
        ck_assert_msg(fabs(sum) < 5 * se, "signs %d apart: covariance %g", lag[k], sum);
    }
    for (int bit = 0; bit < 32; bit++) {
        double sum = 0;
        for (long i = bit; i < MILLION; i += 32) {
            sum += 32.0 * (double)million[i] / MILLION;
        }
        ck_assert_msg(fabs(sum) < 5 * sqrt(32.0) * se, "bit %d: mean %g", bit, sum);
    }
}
END_TEST

START_TEST(streams_differ)
{
    /* each coordinate alone makes another draw; correlation is that of independent draws */
    zo_stream base = {.seed = 1, .tensor = 2, .step = 3, .query = 4, .role = ZO_ROLE_Z}, other[6];
    for (int i = 0; i < 6; i++) {
        other[i] = base;
    }
    other[0].seed ^= 1;
    other[1].seed ^= 1ull << 63;
    other[2].tensor++;
    other[3].step++;
    other[4].query++;
    other[5].role = ZO_ROLE_U;
    enum { N = 65536 };
    static float a[N], b[N];
    zo_normals(base, 0, N, a);
    for (int i = 0; i < 6; i++) {
        double dot = 0;
        zo_normals(other[i], 0, N, b);
        for (int j = 0; j < N; j++) {
            dot += (double)a[j] * b[j] / N;
        }
        ck_assert_msg(fabs(dot) < 5 / sqrt(N), "stream %d: correlation %g", i, dot);
    }
}
END_TEST

START_TEST(integers_and_shuffles)
{
    zo_stream s = {.seed = 4, .role = ZO_ROLE_DATA};
    int count[7] = {0};
    for (uint64_t i = 0; i < 70000; i++) {
        uint32_t k = zo_below(s, i, 7);
        ck_assert_uint_lt(k, 7);
        count[k]++;
        double u = zo_uniform(s, i);
        ck_assert(u >= 0.0 && u < 1.0 && (uint32_t)(u * 7) == k);
    }
    for (int k = 0; k < 7; k++) {
        ck_assert(abs(count[k] - 10000) < 500);
    }
    ck_assert_uint_eq(zo_below(s, 3, 1), 0);
    int32_t order[1000];
    char seen[1000] = {0};
    for (int i = 0; i < 1000; i++) {
        order[i] = i;
    }
    zo_shuffle(s, order, 1000);
    int fixed = 0;
    for (int i = 0; i < 1000; i++) {
        ck_assert(order[i] >= 0 && order[i] < 1000 && !seen[order[i]]);
        seen[order[i]] = 1;
        fixed += order[i] == i;
    }
    ck_assert(fixed < 10);
    zo_shuffle(s, order, 1);
    zo_shuffle(s, order, 0);
    /* all 6 orders of 3 are about as frequent */
    int orders[27] = {0};
    for (uint32_t i = 0; i < 6000; i++) {
        int32_t three[3] = {0, 1, 2};
        zo_shuffle((zo_stream){.seed = 8, .step = i, .role = ZO_ROLE_DATA}, three, 3);
        orders[three[0] * 9 + three[1] * 3 + three[2]]++;
    }
    for (int i = 0; i < 27; i++) {
        ck_assert(orders[i] == 0 || abs(orders[i] - 1000) < 150);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rng");
    TCase *tc = tcase_create("all");
    tcase_add_test(tc, known_answers);
    tcase_add_test(tc, scalar_equals_wide);
    tcase_add_test(tc, words_at_all_alignments);
    tcase_add_test(tc, signs_are_bits_of_the_words);
    tcase_add_test(tc, stored_hash);
    tcase_add_test(tc, moments);
    tcase_add_test(tc, moments_of_signs);
    tcase_add_test(tc, streams_differ);
    tcase_add_test(tc, integers_and_shuffles);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
