/* tokenizer_golden.h: a tokenizer's folder against the golden ids of tests/golden/make_tokenizers.py and make_sentencepiece.py. Test code only. */
#ifndef ZO_TESTS_TOKENIZER_GOLDEN_H
#define ZO_TESTS_TOKENIZER_GOLDEN_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cli/unquote.h"
#include "core/io.h"
#include "core/mem.h"
#include "text/tokenizer.h"

#define PAIRS 100
#define MOST_BYTES ((size_t)64 << 20)

static zo_err err;

typedef struct corpus {
    char *text;
    char *line[4096]; /* into text */
    size_t bytes[4096];
    int n;
} corpus;

static inline void corpus_open(corpus *c, const char *path)
{
    size_t bytes, length;
    memset(c, 0, sizeof *c);
    ck_assert_msg(zo_read_file(path, MOST_BYTES, &c->text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_lines lines = zo_lines_of(c->text, bytes);
    for (char *line; (line = zo_lines_next(&lines, &length)) != NULL && c->n < 4096;) {
        ck_assert_msg(zo_line_unquote(line, &length, &err) == ZO_OK, "corpus line %ld %s", lines.number, err.text);
        c->line[c->n] = line;
        c->bytes[c->n++] = length;
    }
    ck_assert_msg(c->n >= 500, "the corpus has %d lines", c->n);
}

/* "1 2 3" or "1 2 3 | 0 0 1": whether `got` is that. */
static inline bool ids_equal(const char *expected, const zo_ids *got)
{
    char *end;
    bool with_types = strchr(expected, '|') != NULL;
    for (int64_t i = 0; i < got->n; i++) {
        if (strtol(expected, &end, 10) != got->ids[i] || end == expected) {
            return false;
        }
        expected = end;
    }
    expected += strspn(expected, " |");
    for (int64_t i = 0; with_types && i < got->n; i++) {
        if (strtol(expected, &end, 10) != got->types[i] || end == expected) {
            return false;
        }
        expected = end;
    }
    return *expected == 0;
}

static inline void print_mismatch(const char *name, int line, const char *text, const char *expected, const zo_ids *got)
{
    printf("%s: line %d \"%.200s\"\n  expected %.400s\n  got     ", name, line, text, expected);
    for (int64_t i = 0; i < got->n && i < 80; i++) {
        printf(" %d", got->ids[i]);
    }
    printf("\n");
}

/* Encode without special tokens, then wrap: the same ids as with them. */
static inline void check_wrap(zo_tokenizer *t, const corpus *c, int i, const zo_ids *expected)
{
    zo_ids bare = {0}, wrapped = {0};
    ck_assert(zo_tokenizer_encode(t, c->line[i], c->bytes[i], ZO_WITHOUT_SPECIALS, &bare, &err) == ZO_OK);
    zo_tokenizer_wrap(t, bare.ids, bare.n, NULL, 0, &wrapped);
    ck_assert_int_eq(wrapped.n, expected->n);
    ck_assert_int_eq(wrapped.n, bare.n + zo_tokenizer_wrap_count(t, false));
    ck_assert(wrapped.n == 0 || memcmp(wrapped.ids, expected->ids, (size_t)wrapped.n * sizeof *wrapped.ids) == 0);
    zo_ids_free(&bare);
    zo_ids_free(&wrapped);
}

/* The tokenizer of `folder` over the corpus at `path`, with the ids of `golden`: a line each, then the pairs. */
static inline void compare(const char *name, const char *folder, const char *path, const char *golden)
{
    corpus *c = calloc(1, sizeof *c);
    corpus_open(c, path);
    char *text;
    size_t bytes;
    ck_assert_msg(zo_read_file(golden, MOST_BYTES, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_tokenizer *t;
    ck_assert_msg(zo_tokenizer_open(&t, folder, &err) == ZO_OK, "%s: %s", name, err.text);
    zo_lines lines = zo_lines_of(text, bytes);
    zo_ids ids = {0};
    int wrong = 0, done = 0;
    for (int i = 0; i < c->n + PAIRS; i++) {
        char *expected = zo_lines_next(&lines, NULL);
        ck_assert_msg(expected != NULL, "%s ends at line %d", golden, i);
        zo_ids_clear(&ids);
        int a = i < c->n ? i : 2 * (i - c->n), b = a + 1;
        zo_status status = i < c->n ? zo_tokenizer_encode(t, c->line[a], c->bytes[a], ZO_WITH_SPECIALS, &ids, &err)
                                    : zo_tokenizer_encode_pair(t, c->line[a], c->bytes[a], c->line[b], c->bytes[b],
                                                               ZO_WITH_SPECIALS, &ids, &err);
        ck_assert_msg(status == ZO_OK, "%s: line %d: %s", name, i + 1, err.text);
        if (!ids_equal(expected, &ids) && wrong++ < 5) {
            print_mismatch(name, i + 1, c->line[a], expected, &ids);
        }
        if (i < c->n) {
            check_wrap(t, c, i, &ids);
        }
        done++;
    }
    printf("%-18s %d of %d lines and pairs equal\n", name, done - wrong, done);
    ck_assert_msg(wrong == 0, "%s: %d of %d differ", name, wrong, done);
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
    zo_free(text);
    zo_free(c->text);
    free(c);
}

#endif
