/* test_masking.c: which tokens pretraining masks and what becomes of them: the shares of the papers (bench/synth/masking.h) in each place of a
 * batch, within five standard deviations of a binomial, and lists that agree with the sentences. */
#include <check.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "bench/synth/masking.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/suite.h"

enum { CLS, SEP, MASK, STOP, QUESTION, FIRST_WORD, VOCAB = 200, SENTENCES = 8, LONGEST = 40, STEPS = 3000 };

static const zo_masking masking = {.seed = 3, .rate = 0.12, .salient_rate = 0.8, .vocab = VOCAB, .cls = CLS, .sep = SEP, .mask = MASK,
                                   .full_stop = STOP, .question = QUESTION};

/* Sentences e of 10 + 4 e tokens: [CLS] words [SEP]; the even ones end with a full stop, and the odd ones have a question mark in the middle. */
static void sentences(int32_t *id, int64_t *start)
{
    start[0] = 5; /* they may begin anywhere */
    for (int e = 0; e < SENTENCES; e++) {
        int64_t n = 10 + 4 * e, from = start[e];
        start[e + 1] = from + n;
        for (int64_t t = 0; t < n; t++) {
            id[from + t] = FIRST_WORD + (int32_t)zo_below((zo_stream){.seed = 9, .tensor = (uint32_t)e}, (uint64_t)t, VOCAB - FIRST_WORD);
        }
        id[from] = CLS;
        id[from + n - 1] = SEP;
        id[from + (e % 2 == 0 ? n - 2 : n / 2)] = e % 2 == 0 ? STOP : QUESTION;
    }
}

static void expect(const char *what, int e, int64_t got, int64_t of, double share)
{
    double sigma = sqrt(share * (1 - share) / (double)of), has = (double)got / (double)of;
    ck_assert_msg(of > 100 && fabs(has - share) < 5 * sigma, "sentence %d, %s: %g of %lld, expected %g with a deviation of %g", e, what, has, (long long)of,
                  share, sigma);
}

START_TEST(shares)
{
    int32_t id[SENTENCES * LONGEST + 5];
    int64_t start[SENTENCES + 1], chosen[SENTENCES] = {0}, salient[SENTENCES] = {0}, masked[SENTENCES] = {0}, stays[SENTENCES] = {0};
    int64_t others = 0, below = 0, rows = 0, same = 0;
    sentences(id, start);
    int32_t before[SENTENCES * LONGEST];
    for (int64_t step = 0; step < STEPS; step++) {
        zo_batch *b = zo_masked_batch(&masking, id, start, SENTENCES, step), *again = zo_masked_batch(&masking, id, start, SENTENCES, step);
        ck_assert(b->tokens == start[SENTENCES] - start[0] && again->rows == b->rows);
        ck_assert(memcmp(again->id, b->id, (size_t)b->tokens * sizeof *b->id) == 0);
        for (int e = 0; e < SENTENCES; e++) {
            int64_t from = start[e] - start[0], to = start[e + 1] - start[0], place = e % 2 == 0 ? to - 3 : from + (to - from) / 2 + 1;
            ck_assert(b->start[e] == from && b->parent[e] == -1 && b->example_start[e] == e && b->option_start[e + 1] > b->option_start[e]);
            for (int32_t k = b->option_start[e]; k < b->option_start[e + 1]; k++) {
                int32_t t = b->row[k], was = id[start[0] + t], is = b->id[t];
                ck_assert(b->at[k] == k && b->target[k] == was && t > from && t < to - 1 && (k == b->option_start[e] || t > b->row[k - 1]));
                salient[e] += t == place;
                chosen[e] += t != place;
                masked[e] += is == MASK;
                stays[e] += is == was;
                if (is != MASK && is != was) {
                    ck_assert(is >= 0 && is < VOCAB);
                    others++;
                    below += is < VOCAB / 4;
                }
            }
        }
        for (int64_t t = 0, k = 0; t < b->tokens; t++) {
            bool is_chosen = k < b->rows && b->row[k] == t;
            ck_assert(is_chosen || b->id[t] == id[start[0] + t]);
            k += is_chosen;
            ck_assert(b->position[t] == 0 || b->position[t] == b->position[t - 1] + 1);
            same += is_chosen && step > 0 && before[t] == step - 1;
            before[t] = is_chosen ? (int32_t)step : -1;
        }
        rows += b->rows;
        ck_assert(b->start[SENTENCES] == b->tokens && b->option_start[SENTENCES] == b->rows && b->scores == b->rows && b->paper_tokens == b->tokens);
        zo_batch_free(again);
        zo_batch_free(b);
    }
    for (int e = 0; e < SENTENCES; e++) {
        /* one token of each sentence is chosen whatever the rate, each as often as others */
        int64_t words = start[e + 1] - start[e] - 2, all = chosen[e] + salient[e];
        double sure = 1.0 / (double)words;
        expect("salient", e, salient[e], STEPS, masking.salient_rate + (1 - masking.salient_rate) * sure);
        expect("chosen", e, chosen[e], STEPS * (words - 1), masking.rate + (1 - masking.rate) * sure);
        expect("masked", e, masked[e], all, 0.8 + 0.1 / VOCAB);
        expect("left", e, stays[e], all, 0.1 + 0.1 / VOCAB);
    }
    expect("below a quarter", -1, below, others, 0.25);
    double share = (double)rows / STEPS / (double)(start[SENTENCES] - start[0]); /* of all tokens; those of the step before are others */
    ck_assert_msg((double)same < 2.5 * share * (double)rows, "%lld of %lld were chosen in the step before", (long long)same, (long long)rows);
    /* another seed is another choice */
    zo_masking other = masking;
    other.seed++;
    zo_batch *a = zo_masked_batch(&masking, id, start, SENTENCES, 0), *b = zo_masked_batch(&other, id, start, SENTENCES, 0);
    ck_assert(memcmp(a->id, b->id, (size_t)a->tokens * sizeof *a->id) != 0);
    zo_batch_free(a);
    zo_batch_free(b);
}
END_TEST

/* A sentence of one word, and of none but the full stop. */
START_TEST(short_sentences)
{
    static const int32_t id[] = {CLS, FIRST_WORD, SEP, CLS, STOP, SEP, CLS, FIRST_WORD, STOP, SEP};
    static const int64_t start[] = {0, 3, 6, 10};
    for (int64_t step = 0; step < 200; step++) {
        zo_batch *b = zo_masked_batch(&masking, id, start, 3, step);
        ck_assert(b->option_start[1] == 1 && b->option_start[2] == 2 && b->option_start[3] >= 3 && b->row[0] == 1 && b->row[1] == 4);
        for (int i = 0; i < 10; i++) {
            ck_assert((id[i] != CLS && id[i] != SEP) || b->id[i] == id[i]);
        }
        zo_batch_free(b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("masking");
    TCase *tests = tcase_create("masking");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, shares);
    tcase_add_test(tests, short_sentences);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
