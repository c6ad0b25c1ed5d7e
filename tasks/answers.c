/* answers.c: see answers.h. */
#include "tasks/answers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "core/mem.h"
#include "tasks/task_impl.h"

/* Is a character one of Python's \w? (`_` is punctuation, which has gone.) */
static bool is_word(utf8proc_int32_t c)
{
    utf8proc_category_t category = utf8proc_category(c);
    return (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) || (category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO);
}

/* The character at `at` of n bytes, and its length; a byte that is none stands for itself. */
static utf8proc_int32_t character(const char *text, size_t n, size_t at, size_t *length)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t bytes = utf8proc_iterate((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)(n - at), &c);
    *length = bytes > 0 ? (size_t)bytes : 1;
    return bytes > 0 ? c : (utf8proc_int32_t)(unsigned char)text[at];
}

static bool is_article(const char *word, size_t n)
{
    return (n == 1 && word[0] == 'a') || (n == 2 && memcmp(word, "an", 2) == 0) || (n == 3 && memcmp(word, "the", 3) == 0);
}

/* Runs of word characters that are an article become a space; in place. */
static void drop_articles(char *text)
{
    size_t n = strlen(text), length;
    char *to = text;
    for (size_t at = 0; at < n;) {
        size_t end = at;
        while (end < n && is_word(character(text, n, end, &length))) {
            end += length;
        }
        if (end == at) {
            character(text, n, at, &length);
            memmove(to, text + at, length);
            to += length;
            at += length;
        } else if (is_article(text + at, end - at)) {
            *to++ = ' ';
            at = end;
        } else {
            memmove(to, text + at, end - at);
            to += end - at;
            at = end;
        }
    }
    *to = '\0';
}

/* The next word apart by white space, of *n bytes; NULL at the end. *rest moves behind it. */
static const char *next_word(const char **rest, size_t *n)
{
    size_t left = strlen(*rest), length;
    zo_strip_left(rest, &left);
    const char *word = *rest;
    for (*n = 0; *n < left; *n += length) {
        const char *at = word + *n;
        size_t bytes = left - *n;
        character(word, left, *n, &length);
        zo_strip_left(&at, &bytes);
        if (at != word + *n) {
            break;
        }
    }
    *rest = word + *n;
    return *n > 0 ? word : NULL;
}

char *zo_answer_normal(const char *text)
{
    zo_table storage = {.n = 0};
    char *out = zo_alloc(ZO_HOST, ZO_TAG_DATA, 2 * strlen(text) + 1), *to = out;
    for (const char *at = zo_text_lower(&storage, text, strlen(text)); *at; at++) {
        if ((unsigned char)*at >= 0x80 || !ispunct((unsigned char)*at)) {
            *to++ = *at;
        }
    }
    *to = '\0';
    zo_table_free(&storage);
    drop_articles(out);
    const char *rest = out, *word;
    size_t n;
    to = out;
    while ((word = next_word(&rest, &n)) != NULL) {
        if (to > out) {
            *to++ = ' ';
        }
        memmove(to, word, n);
        to += n;
    }
    *to = '\0';
    return out;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The words of a normal text, in order of their bytes; the text is cut apart. */
static char **sorted_words(char *text, int32_t *n)
{
    char **word = zo_alloc(ZO_HOST, ZO_TAG_DATA, (strlen(text) / 2 + 1) * sizeof *word), *kept = NULL;
    *n = 0;
    for (char *at = strtok_r(text, " ", &kept); at != NULL; at = strtok_r(NULL, " ", &kept)) {
        word[(*n)++] = at;
    }
    qsort(word, (size_t)*n, sizeof *word, by_text);
    return word;
}

static int32_t count_shared(char *const *a, int32_t na, char *const *b, int32_t nb)
{
    int32_t shared = 0;
    for (int32_t i = 0, j = 0; i < na && j < nb;) {
        int order = strcmp(a[i], b[j]);
        shared += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return shared;
}

zo_credit zo_answer_credit(const char *answer, const char *const *gold, int n)
{
    zo_credit best = {.words = 1};
    char *text = zo_answer_normal(answer), *whole = zo_answer_normal(answer);
    int32_t words, gold_words;
    char **word = sorted_words(text, &words);
    for (int g = 0; g < n; g++) {
        char *right = zo_answer_normal(gold[g]);
        best.exact = best.exact || strcmp(whole, right) == 0;
        char **gold_word = sorted_words(right, &gold_words);
        zo_credit here = {.shared = count_shared(word, words, gold_word, gold_words), .words = words + gold_words};
        if ((int64_t)here.shared * best.words > (int64_t)best.shared * here.words) {
            best.shared = here.shared;
            best.words = here.words;
        }
        zo_free(gold_word);
        zo_free(right);
    }
    zo_free(word);
    zo_free(text);
    zo_free(whole);
    return best;
}

double zo_credit_f1(const zo_credit *credit)
{
    return credit->shared > 0 ? 2.0 * credit->shared / credit->words : 0;
}
