/* test_tokenizer.c: token for token against golden files of the `tokenizers` library (tests/golden/make_tokenizers.py): small
 * tokenizers of every kind, one per feature, and the real ones where they are on this machine; special ids; errors that name
 * their place; and mutated tokenizers and texts, which may be refused but never crash. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cli/unquote.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "tests/fuzz.h"
#include "tests/suite.h"
#include "tests/tokenizer_golden.h"
#include "text/tokenizer.h"
#include "text/tokenizer_impl.h"

#define GOLDEN "tests/golden/tokenizers/"
#define CORPUS GOLDEN "corpus.jsonl.gz"

static const char *const kinds[] = {"gpt2",   "roberta", "roberta-slow",      "opt-slow",       "llama", "llama-metaspace",
                                    "llama3", "smollm", "modernbert", "wordpiece-uncased", "wordpiece-cased"};
#define KINDS (int)(sizeof kinds / sizeof kinds[0])

START_TEST(test_kind)
{
    char folder[256], golden[256];
    snprintf(folder, sizeof folder, GOLDEN "%s", kinds[_i]);
    snprintf(golden, sizeof golden, GOLDEN "%s/ids.gz", kinds[_i]);
    compare(kinds[_i], folder, CORPUS, golden);
}
END_TEST

/* name, then the folder below $ZO_TEST_MODELS */
static const char *const real[][2] = {{"gpt2", "tokenizers/gpt2"},
                                      {"roberta-base", "tokenizers/roberta-base"},
                                      {"bert-base-uncased", "tokenizers/bert-base-uncased"},
                                      {"babyberta-8k", "tokenizers/babyberta-8k"},
                                      {"stories260K", "stories260K"},
                                      {"minilm-l6", "minilm-l6"},
                                      {"smollm2-135m", "smollm2-135m"}};
#define REAL (int)(sizeof real / sizeof real[0])

START_TEST(test_real)
{
    const char *root = getenv("ZO_TEST_MODELS");
    char folder[4096], golden[256];
    zo_path_join(folder, sizeof folder, root ? root : "../shared/models", real[_i][1]);
    snprintf(golden, sizeof golden, GOLDEN "real/%s.gz", real[_i][0]);
    if (!zo_path_is_dir(folder)) {
        printf("skipped: %s is not there (ZO_TEST_MODELS names the folder of real models)\n", folder);
        return;
    }
    compare(real[_i][0], folder, CORPUS, golden);
}
END_TEST

/* ---- one tokenizer per feature ---- */

static int check_feature(const cJSON *row, const cJSON *texts)
{
    const char *name = cJSON_GetObjectItem(row, "name")->valuestring;
    char *json = cJSON_PrintUnformatted(cJSON_GetObjectItem(row, "tokenizer"));
    const cJSON *text, *expected = cJSON_GetObjectItem(row, "ids")->child, *id;
    zo_tokenizer *t;
    ck_assert_msg(zo_tokenizer_parse(&t, json, strlen(json), name, &err) == ZO_OK, "%s", err.text);
    zo_ids ids = {0};
    int wrong = 0;
    cJSON_ArrayForEach(text, texts) {
        zo_ids_clear(&ids);
        ck_assert_msg(zo_tokenizer_encode(t, text->valuestring, strlen(text->valuestring), ZO_WITH_SPECIALS, &ids, &err) == ZO_OK,
                      "%s: %s", name, err.text);
        int64_t i = 0;
        bool equal = ids.n == cJSON_GetArraySize(expected);
        cJSON_ArrayForEach(id, expected) {
            equal = equal && ids.ids[i] == id->valueint;
            i++;
        }
        if (!equal) {
            char *want = cJSON_PrintUnformatted(expected);
            print_mismatch(name, 0, text->valuestring, want, &ids);
            free(want);
            wrong++;
        }
        expected = expected->next;
    }
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
    free(json);
    return wrong;
}

START_TEST(test_features)
{
    char *text;
    size_t bytes;
    ck_assert_msg(zo_read_file(GOLDEN "features.jsonl.gz", MOST_BYTES, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_lines lines = zo_lines_of(text, bytes);
    cJSON *texts = cJSON_Parse(zo_lines_next(&lines, NULL));
    int wrong = 0, done = 0;
    for (char *line; (line = zo_lines_next(&lines, NULL)) != NULL; done++) {
        cJSON *row = cJSON_Parse(line);
        ck_assert(row != NULL);
        wrong += check_feature(row, texts);
        cJSON_Delete(row);
    }
    printf("%d features, %d texts each, %d wrong\n", done, cJSON_GetArraySize(texts), wrong);
    ck_assert_int_ge(done, 90);
    ck_assert_int_eq(wrong, 0);
    cJSON_Delete(texts);
    zo_free(text);
}
END_TEST

/* ---- every character ---- */

/* The 256 characters of a block (surrogates and NUL left out) as UTF-8; returns its length in bytes. */
static size_t block_text(int block, const char *between, char text[static 256 * 8])
{
    size_t n = 0;
    for (uint32_t c = (uint32_t)block * 256; c < (uint32_t)block * 256 + 256; c++) {
        if (c == 0 || (c >= 0xD800 && c < 0xE000)) {
            continue;
        }
        n += n > 0 ? (size_t)sprintf(text + n, "%s", between) : 0;
        int bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        for (int i = bytes - 1, rest = (int)c; i >= 0; i--, rest >>= 6) {
            static const uint8_t lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
            text[n + (size_t)i] = (char)(i > 0 ? 0x80 | (rest & 0x3F) : lead[bytes] | rest);
        }
        n += (size_t)bytes;
    }
    return n;
}

/* What a tokenizer makes of the characters of a block, as the script's checksum. */
static uint32_t block_sum(zo_tokenizer *t, int block, const char *between)
{
    char text[256 * 8];
    size_t n = block_text(block, between, text);
    zo_ids ids = {0};
    ck_assert_msg(zo_tokenizer_encode(t, text, n, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK, "block %X: %s", block, err.text);
    uint32_t sum = 0;
    for (int64_t i = 0; i < ids.n; i++) {
        sum += (uint32_t)(ids.ids[i] + 1) * (uint32_t)(i + 1);
    }
    zo_ids_free(&ids);
    return sum;
}

/* Letters, numbers, marks, case and normal forms of every block do not hang on the versions of PCRE2 and utf8proc. */
START_TEST(test_unicode)
{
    char *text;
    size_t bytes;
    ck_assert_msg(zo_read_file(GOLDEN "unicode.jsonl.gz", MOST_BYTES, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_lines lines = zo_lines_of(text, bytes);
    cJSON *head = cJSON_Parse(zo_lines_next(&lines, NULL));
    int wrong = 0, done = 0;
    for (char *line; (line = zo_lines_next(&lines, NULL)) != NULL; done++) {
        cJSON *row = cJSON_Parse(line);
        const char *name = cJSON_GetObjectItem(row, "name")->valuestring, *between = cJSON_GetObjectItem(row, "between")->valuestring;
        char *json = cJSON_PrintUnformatted(cJSON_GetObjectItem(row, "tokenizer"));
        zo_tokenizer *t;
        ck_assert_msg(zo_tokenizer_parse(&t, json, strlen(json), name, &err) == ZO_OK, "%s", err.text);
        const cJSON *sum = cJSON_GetObjectItem(row, "sums")->child, *block;
        int blocks_wrong = 0;
        cJSON_ArrayForEach(block, cJSON_GetObjectItem(head, "blocks")) {
            if (block_sum(t, block->valueint, between) != (uint32_t)sum->valuedouble && blocks_wrong++ < 8) {
                printf("%s: block U+%X00 differs\n", name, (unsigned)block->valueint);
            }
            sum = sum->next;
        }
        wrong += blocks_wrong;
        zo_tokenizer_close(t);
        free(json);
        cJSON_Delete(row);
    }
    printf("%d parts of the library, %d blocks each, %d wrong\n", done, cJSON_GetArraySize(cJSON_GetObjectItem(head, "blocks")), wrong);
    fflush(stdout);
    ck_assert_int_ge(done, 24);
    ck_assert_int_eq(wrong, 0);
    cJSON_Delete(head);
    zo_free(text);
}
END_TEST

static bool is_stable(int32_t c)
{
    zo_text text = {0};
    zo_text_append_char(&text, c);
    bool stable = zo_utf8_stable(text.data, text.n);
    zo_text_free(&text);
    return stable;
}

/* A class keeps its characters of a text, a normal form is applied to it, a view stands in for it: each makes a text of a text. */
static const struct part {
    const char *name; /* as the golden file has them, in its order */
    bool (*has)(int32_t code_point);
    void (*view)(zo_text *out, const char *data, int64_t n);
    zo_norm norm;
} parts[] = {
    {.name = "space", .has = zo_is_space},
    {.name = "numeric", .has = zo_is_numeric},
    {.name = "punctuation", .has = zo_is_punctuation},
    {.name = "word", .has = zo_is_word},
    {.name = "stable", .has = is_stable},
    {.name = "stand_in", .view = zo_utf8_stand_in},
    {.name = "lower", .norm = {.kind = ZO_NORM_LOWERCASE}},
    {.name = "marks", .norm = {.kind = ZO_NORM_STRIP_ACCENTS}},
    {.name = "marks_bert", .norm = {.kind = ZO_NORM_BERT, .strip_accents = true}},
    {.name = "dropped", .norm = {.kind = ZO_NORM_BERT, .clean_text = true}},
    {.name = "chinese", .norm = {.kind = ZO_NORM_BERT, .chinese_chars = true}},
    {.name = "lower_bert", .norm = {.kind = ZO_NORM_BERT, .lowercase = true}},
};
#define PARTS (int)(sizeof parts / sizeof parts[0])

/* What a part makes of the characters of a block, as the script's checksum: 0 where it leaves them as they are. */
static uint32_t part_sum(const struct part *part, int block, zo_text *out)
{
    char text[256 * 8];
    int64_t n = (int64_t)block_text(block, "", text);
    int32_t c;
    bool lead = true;
    out->n = 0;
    if (part->has != NULL) {
        for (const char *at = text; at < text + n;) {
            at += zo_utf8_next(at, &c);
            if (part->has(c)) {
                zo_text_append_char(out, c);
            }
        }
    } else if (part->view != NULL) {
        part->view(out, text, n);
    } else {
        ck_assert_msg(zo_norm_apply(&part->norm, text, n, out, &lead, &err) == ZO_OK, "block %X: %s", block, err.text);
    }
    if (out->n == n && (n == 0 || memcmp(out->data, text, (size_t)n) == 0)) {
        return 0;
    }
    uint32_t sum = 0, i = 0;
    for (const char *at = out->data; at < out->data + out->n;) {
        at += zo_utf8_next(at, &c);
        sum += ((uint32_t)c + 1) * ++i;
    }
    return sum;
}

/* Each class, case and stand-in of each of the 1114112 characters: no entry of the tables is wrong, not even where today's PCRE2 and
 * utf8proc know no better. */
START_TEST(test_classes)
{
    char *text;
    size_t bytes;
    ck_assert_msg(zo_read_file(GOLDEN "classes.jsonl.gz", MOST_BYTES, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_lines lines = zo_lines_of(text, bytes);
    zo_text out = {0};
    int wrong = 0;
    for (int i = 0; i < PARTS; i++) {
        cJSON *row = cJSON_Parse(zo_lines_next(&lines, NULL));
        ck_assert_str_eq(cJSON_GetObjectItem(row, "name")->valuestring, parts[i].name);
        const cJSON *sums = cJSON_GetObjectItem(row, "sums"), *sum;
        ck_assert_int_eq(cJSON_GetArraySize(sums), 0x1100);
        int block = 0, blocks_wrong = 0;
        cJSON_ArrayForEach(sum, sums) {
            if (part_sum(&parts[i], block, &out) != (uint32_t)sum->valuedouble && blocks_wrong++ < 8) {
                printf("%s: block U+%X00 differs\n", parts[i].name, (unsigned)block);
            }
            block++;
        }
        wrong += blocks_wrong;
        cJSON_Delete(row);
    }
    fflush(stdout);
    ck_assert_int_eq(wrong, 0);
    zo_text_free(&out);
    zo_free(text);
}
END_TEST

/* What a regex looks at is not what comes out: characters that are stood in for are kept, before, between and behind its matches. */
START_TEST(test_replaced_around)
{
    static const struct {
        const char *source, *content, *in, *want;
    } rows[] = {
        {"\\s+", "_", "\U0001DF00 \u0870\u0870  \U0001DF00", "\U0001DF00_\u0870\u0870_\U0001DF00"},
        {"\\p{L}+", "w", "1\U0001DF002 \u0870", "1w2 w"},
        {"[^\\p{L}\\s]", "", "\u0870 - \U0001DF00!", "\u0870  \U0001DF00"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        zo_norm norm = {.kind = ZO_NORM_REPLACE, .content = (char *)rows[i].content, .content_n = (int64_t)strlen(rows[i].content)};
        zo_text out = {0};
        bool lead = true;
        ck_assert_msg(zo_regex_compile(&norm.pattern.regex, rows[i].source, &err) == ZO_OK, "%s", err.text);
        ck_assert(zo_norm_apply(&norm, rows[i].in, (int64_t)strlen(rows[i].in), &out, &lead, &err) == ZO_OK);
        ck_assert_msg((size_t)out.n == strlen(rows[i].want) && memcmp(out.data, rows[i].want, (size_t)out.n) == 0,
                      "%s: \"%s\" becomes \"%.*s\", not \"%s\"", rows[i].source, rows[i].in, (int)out.n, out.data, rows[i].want);
        zo_regex_free(norm.pattern.regex);
        zo_text_free(&out);
    }
}
END_TEST

/* ---- ids, spellings, special ids ---- */

static zo_tokenizer *open_kind(const char *kind)
{
    char folder[256];
    zo_tokenizer *t;
    snprintf(folder, sizeof folder, GOLDEN "%s", kind);
    ck_assert_msg(zo_tokenizer_open(&t, folder, &err) == ZO_OK, "%s", err.text);
    return t;
}

static void check_special(const char *kind, zo_special_ids expected)
{
    zo_tokenizer *t = open_kind(kind);
    zo_special_ids got = zo_tokenizer_special(t);
    ck_assert_msg(memcmp(&got, &expected, sizeof got) == 0, "%s: bos %d eos %d pad %d cls %d sep %d mask %d unk %d", kind, got.bos,
                  got.eos, got.pad, got.cls, got.sep, got.mask, got.unk);
    zo_tokenizer_close(t);
}

START_TEST(test_special_ids)
{
    check_special("gpt2", (zo_special_ids){0, 0, -1, -1, -1, -1, -1});
    check_special("roberta", (zo_special_ids){0, 2, 1, 0, 2, 4, 3});
    check_special("roberta-slow", (zo_special_ids){0, 2, 1, 0, 2, 4, 3});
    check_special("opt-slow", (zo_special_ids){2, 2, 1, -1, -1, 4, 2});
    check_special("llama", (zo_special_ids){1, 2, -1, -1, -1, -1, 0});
    check_special("wordpiece-cased", (zo_special_ids){-1, -1, 0, 2, 3, 4, 1});
    check_special("wordpiece-uncased", (zo_special_ids){-1, -1, 0, 2, 3, 4, 1});
}
END_TEST

START_TEST(test_set_bos)
{
    zo_tokenizer *t = open_kind("opt-slow");
    zo_ids ids = {0};
    ck_assert(zo_tokenizer_encode(t, "the", 3, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
    ck_assert_int_eq(ids.ids[0], 2);
    zo_tokenizer_set_bos(t, 0);
    zo_ids_clear(&ids);
    ck_assert(zo_tokenizer_encode(t, "the", 3, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
    ck_assert_int_eq(ids.ids[0], 0);
    ck_assert_int_eq(zo_tokenizer_special(t).bos, 0);
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
}
END_TEST

START_TEST(test_spellings)
{
    char shown[64];
    zo_tokenizer *t = open_kind("gpt2");
    int32_t space = zo_tokenizer_id(t, "Ġ");
    ck_assert_int_ge(space, 0);
    ck_assert_str_eq(zo_tokenizer_token(t, space), "Ġ");
    ck_assert_str_eq(zo_tokenizer_show(t, space, shown, sizeof shown), " ");
    ck_assert_str_eq(zo_tokenizer_show(t, zo_tokenizer_id(t, "Ċ"), shown, sizeof shown), "\\x0A");
    ck_assert_str_eq(zo_tokenizer_show(t, zo_tokenizer_id(t, "Ã"), shown, sizeof shown), "\\xC3");
    ck_assert_str_eq(zo_tokenizer_show(t, 0, shown, sizeof shown), "<|endoftext|>");
    ck_assert_str_eq(zo_tokenizer_show(t, 0, shown, 4), "<|e");
    ck_assert_int_eq(zo_tokenizer_id(t, "no such token"), -1);
    ck_assert_ptr_null(zo_tokenizer_token(t, zo_tokenizer_vocab_size(t)));
    ck_assert_ptr_null(zo_tokenizer_token(t, -1));
    zo_tokenizer_close(t);
    t = open_kind("llama");
    ck_assert_str_eq(zo_tokenizer_show(t, zo_tokenizer_id(t, "<0xE2>"), shown, sizeof shown), "\\xE2");
    ck_assert_str_eq(zo_tokenizer_show(t, zo_tokenizer_id(t, "▁the"), shown, sizeof shown), " the");
    zo_tokenizer_close(t);
}
END_TEST

/* A malformed sequence reads as U+FFFD, one for each maximal part. */
START_TEST(test_malformed_utf8)
{
    static const struct { const char *bad, *good; } cases[] = {
        {"a\xFF" "b", "a\xEF\xBF\xBD" "b"},         {"\xC3", "\xEF\xBF\xBD"},
        {"\xE2\x82", "\xEF\xBF\xBD"},               {"\xE2\x82" "a", "\xEF\xBF\xBD" "a"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"}, {"\xF0\x9F\x98", "\xEF\xBF\xBD"},
        {"\xC0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD"},   {"\xF5", "\xEF\xBF\xBD"}};
    zo_tokenizer *t = open_kind("gpt2");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zo_ids bad = {0}, good = {0};
        ck_assert(zo_tokenizer_encode(t, cases[i].bad, strlen(cases[i].bad), ZO_WITH_SPECIALS, &bad, &err) == ZO_OK);
        ck_assert(zo_tokenizer_encode(t, cases[i].good, strlen(cases[i].good), ZO_WITH_SPECIALS, &good, &err) == ZO_OK);
        ck_assert_msg(bad.n == good.n && memcmp(bad.ids, good.ids, (size_t)bad.n * sizeof *bad.ids) == 0, "case %zu", i);
        zo_ids_free(&bad);
        zo_ids_free(&good);
    }
    zo_tokenizer_close(t);
}
END_TEST

/* ---- refusals ---- */

#define MODEL "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\"]]}"

START_TEST(test_refusals)
{
    static const struct { const char *json, *says; } cases[] = {
        {"", "is empty where JSON was expected; write it or fetch it again"},
        {"{", "not JSON from here on"},
        {" \n<!DOCTYPE html><html>", "fetch"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"},
        {"{} x", "not JSON from here on"},
        {"{\"a\":\"\xFF\"}", "not UTF-8"},
        {"{\"a\":\"\\u0000\"}", "zero byte"},
        {"[]", "no object \"model\""},
        {"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{}}}", "model.type \"WordLevel\" is not supported"},
        {"{\"model\":{\"vocab\":{\"a\":0}}}", "model has no type"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":-1},\"merges\":[]}}", "model.vocab[\"a\"]"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":1e9},\"merges\":[]}}", "model.vocab[\"a\"]"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":0},\"merges\":[]}}", "id 0 belongs to two tokens"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a b\"]}}", "needs the token \"b\""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[\"a\"]}}", "entry 0 is neither"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"unk_token\":\"u\"}}", "model.unk_token \"u\""},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0},\"merges\":[],\"dropout\":0.1}}", "model.dropout"},
        {"{\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"a\":0}}}", "model.unk_token \"[UNK]\""},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"},{\"type\":\"Unknown\"}]}}",
         "normalizer.normalizers[1].type \"Unknown\" is not supported"},
        {"{" MODEL ",\"normalizer\":{\"type\":\"Replace\",\"pattern\":3,\"content\":\"\"}}", "normalizer.pattern"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\"}}", "replacement \"\" is not one character"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"ab\"}}", "replacement \"ab\" is not one character"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"UnicodeScripts\"}}", "pre_tokenizer.type \"UnicodeScripts\""},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(\"},\"behavior\":\"Isolated\"}}", "pre_tokenizer.pattern.Regex"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a[b]]\"},\"behavior\":\"Isolated\"}}", "inside a character class"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[\\\\W]\"},\"behavior\":\"Isolated\"}}", "\\W inside a character class"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"[a\\\\H]\"},\"behavior\":\"Isolated\"}}", "\\H inside a character class"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"a{1,2}+\"},\"behavior\":\"Isolated\"}}", "{n,m}+"},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Glued\"}}", "behavior \"Glued\""},
        {"{" MODEL ",\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":3}}", "pre_tokenizer.add_prefix_space is not true or false"},
        {"{" MODEL ",\"added_tokens\":[{\"id\":1,\"content\":\"c\"}]}", "\"c\" has id 1 here and 3 by its place"},
        {"{" MODEL ",\"added_tokens\":[{\"id\":4,\"content\":\"c\"}]}", "\"c\" has id 4 here and 3 by its place"},
        {"{" MODEL ",\"added_tokens\":[{\"id\":3,\"content\":\"b\"}]}", "\"b\" has id 3 here and 1 in model.vocab"},
        {"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":2},\"merges\":[]},\"added_tokens\":[{\"id\":3,\"content\":\"c\"}]}", "must have no gaps"},
        {"{" MODEL ",\"added_tokens\":[{\"content\":\"c\"}]}", "added_tokens[0] has no id"},
        {"{" MODEL ",\"post_processor\":{\"type\":\"BertProcessing\",\"sep\":[\"s\",99],\"cls\":[\"c\",98]}}", "adds id 99"},
        {"{" MODEL ",\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}],"
         "\"pair\":[],\"special_tokens\":{}}}", "names \"x\""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zo_tokenizer *t;
        zo_status status = zo_tokenizer_parse(&t, cases[i].json, strlen(cases[i].json), "t.json", &err);
        ck_assert_msg(status != ZO_OK && t == NULL, "%s was accepted", cases[i].json);
        ck_assert_msg(strncmp(err.text, "t.json: ", 8) == 0 && strstr(err.text, cases[i].says) != NULL, "%s gave: %s", cases[i].json,
                      err.text);
    }
    zo_tokenizer *t;
    ck_assert(zo_tokenizer_open(&t, "tests/golden", &err) != ZO_OK);
    ck_assert_msg(strstr(err.text, "has no tokenizer") != NULL, "%s", err.text);
    ck_assert(zo_tokenizer_open(&t, "tests/no-such-folder", &err) != ZO_OK);
    ck_assert_msg(strstr(err.text, "is not a folder") != NULL, "%s", err.text);
}
END_TEST

/* An added token without text is none, as in the tokenizers library 0.23.3, whatever its id: the next one takes that. */
START_TEST(test_added_token_without_text)
{
    for (int id = 1; id <= 3; id += 2) {
        char json[400];
        snprintf(json, sizeof json, "{" MODEL ",\"added_tokens\":[{\"id\":%d,\"content\":\"\"},{\"id\":3,\"content\":\"x\"}]}", id);
        zo_tokenizer *t;
        zo_ids ids = {0};
        ck_assert_msg(zo_tokenizer_parse(&t, json, strlen(json), "t.json", &err) == ZO_OK, "%s", err.text);
        ck_assert_int_eq(zo_tokenizer_vocab_size(t), 4);
        ck_assert(zo_tokenizer_encode(t, "axb", 3, 0, &ids, &err) == ZO_OK);
        ck_assert(ids.n == 3 && ids.ids[0] == 0 && ids.ids[1] == 3 && ids.ids[2] == 1);
        zo_ids_free(&ids);
        zo_tokenizer_close(t);
    }
}
END_TEST

/* A character whose bytes are not all tokens is unknown, and its neighbours are not looked at: ids of the tokenizers library 0.23.3. */
START_TEST(test_some_bytes_are_tokens)
{
    static const char json[] = "{\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"u\",\"vocab\":{\"u\":0,\"a\":1,\"<0xC3>\":2,\"<0xA9>\":3,"
                               "\"b\":4,\"<0xC2>\":5},\"merges\":[]}}";
    static const struct { const char *text; int n; int32_t id[5]; } of[] = {
        {"a\u00e9b", 4, {1, 2, 3, 4}}, {"a\u00df", 2, {1, 0}}, {"\u00e9", 2, {2, 3}}, {"\u00e9b", 3, {2, 3, 4}}, {"a\u00e9\u00dfb", 5, {1, 2, 3, 0, 4}}};
    zo_tokenizer *t;
    ck_assert_msg(zo_tokenizer_parse(&t, json, strlen(json), "t.json", &err) == ZO_OK, "%s", err.text);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_ids ids = {0};
        ck_assert(zo_tokenizer_encode(t, of[k].text, strlen(of[k].text), 0, &ids, &err) == ZO_OK);
        ck_assert_msg(ids.n == of[k].n && memcmp(ids.ids, of[k].id, (size_t)of[k].n * sizeof *of[k].id) == 0, "%s: %d ids", of[k].text, (int)ids.n);
        zo_ids_free(&ids);
    }
    zo_tokenizer_close(t);
}
END_TEST

START_TEST(test_unquote)
{
    char line[] = " \"a\\u0000\\n\\\"\\u00e9\\ud83d\\ude00\\ud800x\" ";
    size_t length = strlen(line);
    ck_assert(zo_line_unquote(line, &length, &err) == ZO_OK);
    static const char expected[] = "a\0\n\"\xC3\xA9\xF0\x9F\x98\x80\xEF\xBF\xBDx";
    ck_assert_int_eq((int)length, (int)sizeof expected - 1);
    ck_assert(memcmp(line, expected, length) == 0);
    static const char *const bad[] = {"", "a", "\"", "\"a", "\"a\"b\"", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u\"", "\"a\tb\""};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char copy[16];
        length = strlen(bad[i]);
        memcpy(copy, bad[i], length + 1);
        ck_assert_msg(zo_line_unquote(copy, &length, &err) == ZO_EINPUT, "%s was accepted", bad[i]);
    }
}
END_TEST

/* ---- vocabulary ---- */

/* Ids come in any order and with gaps, which later tokens fill. IDS is prime, so that none comes twice. */
START_TEST(vocabulary_of_any_order)
{
    enum { IDS = 9973, FIRST = 4000 };
    zo_vocab vocab = {0};
    char token[32];
    for (int turn = 0; turn < 2; turn++) {
        int n = turn == 0 ? FIRST : IDS;
        for (int i = turn == 0 ? 0 : FIRST; i < n; i++) {
            int bytes = snprintf(token, sizeof token, "token %d", i);
            ck_assert_msg(zo_vocab_add(&vocab, token, (size_t)bytes, (int64_t)i * 7919 % IDS, &err) == ZO_OK, "%s: %s", token, err.text);
        }
        for (int i = 0; i < IDS; i++) {
            int bytes = snprintf(token, sizeof token, "token %d", i);
            ck_assert_int_eq(zo_vocab_find(&vocab, token, (size_t)bytes), i < n ? i * 7919 % IDS : -1);
        }
        ck_assert_int_eq((int)vocab.used, n);
    }
    ck_assert_int_eq(vocab.size, IDS);
    ck_assert(zo_vocab_add(&vocab, "token 5", 7, 5 * 7919 % IDS, &err) == ZO_OK);
    ck_assert(zo_vocab_add(&vocab, "token 5", 7, IDS, &err) == ZO_EINPUT && strstr(err.text, "stands twice") != NULL);
    ck_assert(zo_vocab_add(&vocab, "new", 3, 5, &err) == ZO_EINPUT && strstr(err.text, "id 5 belongs to two tokens") != NULL);
    zo_vocab_free(&vocab);
}
END_TEST

/* ---- mutation ---- */

static uint64_t random_state = 1;

static void try_texts(zo_tokenizer *t, const corpus *c)
{
    zo_ids ids = {0};
    char text[512], shown[32];
    for (int i = 0; i < 4; i++) {
        int line = (int)fuzz_below(&random_state, (size_t)c->n);
        size_t n = c->bytes[line] < 256 ? c->bytes[line] : 256;
        memcpy(text, c->line[line], n);
        n = fuzz_mutate(fuzz_next(&random_state), text, n, sizeof text);
        zo_ids_clear(&ids);
        if (zo_tokenizer_encode_pair(t, text, n, c->line[line], n < c->bytes[line] ? n : c->bytes[line], ZO_WITH_SPECIALS, &ids,
                                     &err) != ZO_OK) {
            ck_assert_int_gt((int)strlen(err.text), 0);
            continue;
        }
        for (int64_t j = 0; j < ids.n; j++) {
            ck_assert(ids.ids[j] >= 0 && ids.ids[j] < zo_tokenizer_vocab_size(t));
            zo_tokenizer_show(t, ids.ids[j], shown, sizeof shown);
        }
    }
    zo_ids_free(&ids);
}

static int fuzz_one(const char *json, size_t bytes, int rounds, const corpus *c)
{
    int accepted = 0;
    char *copy = malloc(bytes + 256);
    for (int i = 0; i < rounds; i++) {
        memcpy(copy, json, bytes);
        size_t n = fuzz_mutate(fuzz_next(&random_state), copy, bytes, bytes + 256);
        zo_tokenizer *t;
        if (zo_tokenizer_parse(&t, copy, n, "mutated", &err) == ZO_OK) {
            accepted++;
            try_texts(t, c);
            zo_tokenizer_close(t);
        } else {
            ck_assert_ptr_null(t);
            ck_assert_msg(strncmp(err.text, "mutated: ", 9) == 0 && strlen(err.text) > 12, "%s", err.text);
        }
    }
    free(copy);
    return accepted;
}

START_TEST(test_mutated)
{
    corpus *c = calloc(1, sizeof *c);
    corpus_open(c, CORPUS);
    char *text, path[256];
    size_t bytes, length;
    double started = zo_now();
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    int accepted = 0, tried = 0;
    ck_assert(zo_read_file(GOLDEN "features.jsonl.gz", MOST_BYTES, &text, &bytes, &err) == ZO_OK);
    zo_lines lines = zo_lines_of(text, bytes);
    zo_lines_next(&lines, NULL);
    for (char *line; (line = zo_lines_next(&lines, &length)) != NULL; tried += 20) {
        char *from = strstr(line, "\"tokenizer\":"), *to = strstr(line, ",\"ids\":[[");
        ck_assert(from != NULL && to != NULL);
        from += strlen("\"tokenizer\":");
        accepted += fuzz_one(from, (size_t)(to - from), 20, c);
    }
    zo_free(text);
    static const char *const whole[] = {"roberta", "llama-metaspace", "llama3", "wordpiece-uncased"};
    for (int i = 0; i < 4; i++, tried += 20) {
        snprintf(path, sizeof path, GOLDEN "%s/tokenizer.json.gz", whole[i]);
        ck_assert(zo_read_file(path, MOST_BYTES, &text, &bytes, &err) == ZO_OK);
        accepted += fuzz_one(text, bytes, 20, c);
        zo_free(text);
    }
    printf("%d mutated tokenizers, %d accepted, %.1f s\n", tried, accepted, zo_now() - started);
    ck_assert_msg(zo_mem_live(ZO_HOST).total_bytes == live, "%llu bytes leaked",
                  (unsigned long long)(zo_mem_live(ZO_HOST).total_bytes - live));
    zo_free(c->text);
    free(c);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer");
    TCase *kinds_case = tcase_create("kinds"), *real_case = tcase_create("real"), *rest = tcase_create("rest");
    tcase_set_timeout(kinds_case, 60);
    tcase_set_timeout(real_case, 60);
    tcase_set_timeout(rest, 120);
    tcase_add_loop_test(kinds_case, test_kind, 0, KINDS);
    tcase_add_loop_test(real_case, test_real, 0, REAL);
    tcase_add_test(rest, test_features);
    tcase_add_test(rest, test_unicode);
    tcase_add_test(rest, test_classes);
    tcase_add_test(rest, test_replaced_around);
    tcase_add_test(rest, test_special_ids);
    tcase_add_test(rest, test_set_bos);
    tcase_add_test(rest, test_spellings);
    tcase_add_test(rest, test_malformed_utf8);
    tcase_add_test(rest, test_refusals);
    tcase_add_test(rest, test_added_token_without_text);
    tcase_add_test(rest, test_some_bytes_are_tokens);
    tcase_add_test(rest, test_unquote);
    tcase_add_test(rest, vocabulary_of_any_order);
    tcase_add_test(rest, test_mutated);
    suite_add_tcase(suite, kinds_case);
    suite_add_tcase(suite, real_case);
    suite_add_tcase(suite, rest);
    int failed = suite_run(suite);
    return failed != 0;
}
