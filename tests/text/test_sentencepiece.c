/* test_sentencepiece.c: SentencePiece models, token for token against golden files of `tokenizers`, `sentencepiece` and transformers
 * (tests/golden/make_sentencepiece.py): Unigram models of a tokenizer.json, their charsmaps, and model files as the trainer writes them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fuzz.h"
#include "tests/suite.h"
#include "tests/tokenizer_golden.h"
#include "text/tokenizer.h"
#include "text/tokenizer_impl.h"

#define GOLDEN "tests/golden/sentencepiece/"
#define CORPUS GOLDEN "corpus.jsonl.gz"

static const char *const kinds[] = {"unigram-nfkc", "unigram-accents", "unigram-bytes", "unigram-bare"};
#define KINDS (int)(sizeof kinds / sizeof kinds[0])

START_TEST(test_kind)
{
    char folder[256], golden[256];
    snprintf(folder, sizeof folder, GOLDEN "%s", kinds[_i]);
    snprintf(golden, sizeof golden, GOLDEN "%s/ids.gz", kinds[_i]);
    compare(kinds[_i], folder, CORPUS, golden);
}
END_TEST

/* Grapheme clusters of every class of characters, under a charsmap that shows where they end. */
START_TEST(test_clusters)
{
    compare("clusters", GOLDEN "clusters", GOLDEN "clusters.jsonl.gz", GOLDEN "clusters/ids.gz");
}
END_TEST

/* ---- refusals ---- */

#define MODEL "\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"u\",0],[\"a\",-1.5]]}"
#define CHARSMAP(text) "{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"" text "\"}}"

START_TEST(test_refusals)
{
    static const struct { const char *json, *says; } cases[] = {
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":{\"a\":0}}}", "model.vocab is not a list of [piece, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\"]]}}", "model.vocab[0] is not [piece, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1],[\"b\",\"c\"]]}}", "model.vocab[1] is not [piece, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1,2]]}}", "model.vocab[0] is not [piece, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1e999]]}}", "model.vocab[0] is not [piece, score]"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1],[\"a\",-2]]}}", "model.vocab: token \"a\" stands twice, with ids 0 and 1"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"unk_id\":1}}", "model.unk_id is not an id of model.vocab, which has 1 pieces"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[],\"unk_id\":0}}", "model.unk_id is not an id of model.vocab, which has 0 pieces"},
        {"{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]],\"byte_fallback\":1}}", "model.byte_fallback is not true or false"},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Precompiled\"}}", "normalizer has no precompiled_charsmap"},
        {CHARSMAP("AAA"), "normalizer.precompiled_charsmap: it is not base64"},
        {CHARSMAP("A=AA"), "normalizer.precompiled_charsmap: it is not base64"},
        {CHARSMAP("A-AA"), "normalizer.precompiled_charsmap: it is not base64"},
        {CHARSMAP(""), "the charsmap has 0 bytes, which are no length, double array of that length and texts"},
        {CHARSMAP("BAAAAA=="), "the charsmap has 4 bytes"},
        {CHARSMAP("AgAAAAUAAAA="), "the charsmap has 8 bytes"},
        {CHARSMAP("CAAAAAUAAAA="), "the charsmap has 8 bytes"},
        {CHARSMAP("BAAAAAUAAAD/"), "the texts of the charsmap are not UTF-8"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zo_tokenizer *t;
        ck_assert_msg(zo_tokenizer_parse(&t, cases[i].json, strlen(cases[i].json), "t.json", &err) != ZO_OK && t == NULL, "%s was accepted", cases[i].json);
        ck_assert_msg(strncmp(err.text, "t.json: ", 8) == 0 && strstr(err.text, cases[i].says) != NULL, "%s gave: %s", cases[i].json, err.text);
    }
}
END_TEST

/* Without an unknown piece a text of pieces is read, and another is an error, also the second time. */
START_TEST(test_no_unknown_piece)
{
    static const char json[] = "{\"model\":{\"vocab\":[[\"a\",-1],[\"ab\",-3],[\"b\",-1]]}}";
    zo_tokenizer *t;
    zo_ids ids = {0};
    ck_assert_msg(zo_tokenizer_parse(&t, json, strlen(json), "t.json", &err) == ZO_OK, "%s", err.text);
    ck_assert(zo_tokenizer_encode(t, "aba", 3, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
    ck_assert(ids.n == 3 && ids.ids[0] == 0 && ids.ids[1] == 2 && ids.ids[2] == 0);
    for (int i = 0; i < 2; i++) {
        ck_assert(zo_tokenizer_encode(t, "a\u00e9", 3, ZO_WITH_SPECIALS, &ids, &err) == ZO_EINPUT);
        ck_assert_msg(strstr(err.text, "U+00E9, which is no piece of the vocabulary, and model.unk_id is missing") != NULL, "%s", err.text);
    }
    zo_ids_clear(&ids);
    ck_assert(zo_tokenizer_encode(t, "ab", 2, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
    ck_assert(ids.n == 2 && ids.ids[0] == 0 && ids.ids[1] == 2);
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
}
END_TEST

/* ---- mutation ---- */

static uint64_t random_state = 1;

/* A charsmap of any bytes is refused or applied, and what comes out of text is text. */
START_TEST(test_mutated_charsmaps)
{
    zo_text made = {0};
    corpus *c = calloc(1, sizeof *c);
    corpus_open(c, CORPUS);
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    int accepted = 0;
    enum { ROUNDS = 4000, UNITS = 64 };
    for (int i = 0; i < ROUNDS; i++) {
        uint8_t data[4 + UNITS * 4 + 40 + 64] = {0};
        data[0] = (uint8_t)(UNITS * 4), data[1] = (uint8_t)(UNITS * 4 >> 8);
        for (size_t at = 4; at < 4 + UNITS * 4; at += 4) { /* units that lead on to others, with letters of the corpus for labels */
            uint32_t label = (uint8_t) "\0abeth \xE2\x96\x81\xC3\xA9\xCC\x81"[fuzz_below(&random_state, 14)];
            uint32_t unit = (uint32_t)fuzz_below(&random_state, 512) << 10 | (uint32_t)fuzz_below(&random_state, 2) << 8 | label;
            unit = fuzz_below(&random_state, 4) == 0 ? (uint32_t)fuzz_below(&random_state, 48) | 1u << 31 : unit;
            memcpy(data + at, &unit, 4);
        }
        memcpy(data + 4 + UNITS * 4, "A\0b\0\xC3\xA9\0cde\0\xF0\x9F\x98\x80\0f\0gh\0ijklmnopqrst123456", 40);
        size_t n = 4 + UNITS * 4 + 40;
        n = i % 2 ? fuzz_mutate(fuzz_next(&random_state), (char *)data, n, sizeof data) : n;
        char *exact = zo_alloc(ZO_HOST, ZO_TAG_DATA, n + (n == 0)); /* of its very length, so that a reader beyond it is seen */
        memcpy(exact, data, n);
        zo_charsmap *map;
        zo_status status = zo_charsmap_read(&map, exact, n, &err);
        zo_free(exact);
        if (status != ZO_OK) {
            ck_assert(map == NULL && strstr(err.text, "charsmap") != NULL);
            continue;
        }
        accepted++;
        for (int j = 0; j < 3; j++) {
            int line = (int)fuzz_below(&random_state, (size_t)c->n);
            zo_text text = {0};
            zo_utf8_repair(&text, c->line[line], (int64_t)c->bytes[line]);
            made.n = 0;
            zo_charsmap_apply(map, text.data, text.n, &made);
            ck_assert(zo_utf8_valid(made.data, made.n));
            zo_text_free(&text);
        }
        zo_charsmap_free(map);
    }
    printf("%d of %d mutated charsmaps accepted\n", accepted, ROUNDS);
    ck_assert_int_gt(accepted, ROUNDS / 4);
    zo_text_free(&made);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
    zo_free(c->text);
    free(c);
}
END_TEST

/* Time is linear in the text: 16 times as much would take 256 times as long if it were quadratic. */
START_TEST(test_linear)
{
    static const char *const units[] = {"a", " ", "the ", "e\u0301", "\u0301", "<unk>", "\u2581", "\U0001F469\u200D"};
    zo_tokenizer *t;
    ck_assert_msg(zo_tokenizer_open(&t, GOLDEN "unigram-bytes", &err) == ZO_OK, "%s", err.text);
    zo_ids ids = {0};
    for (size_t u = 0; u < sizeof units / sizeof units[0]; u++) {
        double took[2];
        for (int k = 0; k < 2; k++) {
            size_t unit = strlen(units[u]), n = (k ? 320000 : 20000) / unit * unit;
            char *text = malloc(n);
            for (size_t i = 0; i < n; i += unit) {
                memcpy(text + i, units[u], unit);
            }
            took[k] = 1e9;
            for (int turn = 0; turn < 3; turn++) {
                zo_ids_clear(&ids);
                clock_t start = clock(); /* of the processor, as others may run beside */
                ck_assert(zo_tokenizer_encode(t, text, n, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
                double now = (double)(clock() - start) / CLOCKS_PER_SEC;
                took[k] = now < took[k] ? now : took[k];
            }
            free(text);
        }
        ck_assert_msg(took[1] < 100 * took[0] + 0.02, "\"%s\": %.2f ms, and %.2f ms for 16 times as much", units[u], took[0] * 1e3, took[1] * 1e3);
    }
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sentencepiece");
    TCase *kinds_case = tcase_create("kinds"), *rest = tcase_create("rest");
    tcase_set_timeout(kinds_case, 60);
    tcase_set_timeout(rest, 60);
    tcase_add_loop_test(kinds_case, test_kind, 0, KINDS);
    tcase_add_test(rest, test_clusters);
    tcase_add_test(rest, test_refusals);
    tcase_add_test(rest, test_no_unknown_piece);
    tcase_add_test(rest, test_mutated_charsmaps);
    tcase_add_test(rest, test_linear);
    suite_add_tcase(suite, kinds_case);
    suite_add_tcase(suite, rest);
    return suite_run(suite) != 0;
}
