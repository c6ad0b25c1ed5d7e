/* test_sentencepiece.c: SentencePiece models, token for token against golden files of `tokenizers`, `sentencepiece` and transformers
 * (tests/golden/make_sentencepiece.py): Unigram models of a tokenizer.json, their charsmaps, and model files as the trainer writes them. */
#include <cjson/cJSON.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/folder.h"
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

/* LLaMA 2's own file, below $ZO_TEST_MODELS. */
START_TEST(test_real)
{
    const char *root = getenv("ZO_TEST_MODELS");
    char folder[4096];
    zo_path_join(folder, sizeof folder, root ? root : "../shared/models", "tokenizers/llama2");
    if (!zo_path_is_dir(folder)) {
        printf("skipped: %s is not there (ZO_TEST_MODELS names the folder of real models)\n", folder);
        return;
    }
    compare("llama2", folder, CORPUS, GOLDEN "real/llama2.gz");
}
END_TEST

/* Grapheme clusters of every class of characters, under a charsmap that shows where they end. */
START_TEST(test_clusters)
{
    compare("clusters", GOLDEN "clusters", GOLDEN "clusters.jsonl.gz", GOLDEN "clusters/ids.gz");
}
END_TEST

/* ---- model files, with what stands beside them ---- */

static char scratch[64];
static uint64_t random_state = 1;

static void scratch_open(void)
{
    snprintf(scratch, sizeof scratch, "/tmp/zo-sentencepiece-XXXXXX");
    ck_assert(mkdtemp(scratch) != NULL);
}

static void scratch_close(void)
{
    folder_remove(scratch);
}

static void put(const char *name, const char *data, size_t n)
{
    char path[256];
    FILE *file = fopen(zo_path_join(path, sizeof path, scratch, name), "wb");
    ck_assert(file != NULL && fwrite(data, 1, n, file) == n && fclose(file) == 0);
}

static void drop(const char *name)
{
    char path[256];
    (void)remove(zo_path_join(path, sizeof path, scratch, name));
}

static void read_model(const char *kind, char **data, size_t *bytes)
{
    char path[256];
    snprintf(path, sizeof path, GOLDEN "models/%s/tokenizer.model.gz", kind);
    ck_assert_msg(zo_read_file(path, MOST_BYTES, data, bytes, &err) == ZO_OK, "%s", err.text);
}

static bool is_list(const cJSON *expected, const zo_ids *got, bool types)
{
    int64_t i = 0;
    const cJSON *id;
    bool equal = got->n == cJSON_GetArraySize(expected);
    cJSON_ArrayForEach(id, expected) {
        equal = equal && (types ? got->types[i] : got->ids[i]) == id->valueint;
        i++;
    }
    return equal;
}

static void print_row(const cJSON *row, const char *what, const cJSON *expected, const zo_ids *got)
{
    const cJSON *file;
    char *want = cJSON_PrintUnformatted(expected);
    const cJSON *model = cJSON_GetObjectItem(row, "model");
    printf("class %s, model %s: \"%s\"\n  expected %s\n  got      [", cJSON_GetObjectItem(row, "class")->valuestring,
           cJSON_IsString(model) ? model->valuestring : "of tokenizer.json", what, want);
    free(want);
    for (int64_t i = 0; i < got->n; i++) {
        printf("%s%d", i ? "," : "", got->ids[i]);
    }
    printf("]\n");
    cJSON_ArrayForEach(file, cJSON_GetObjectItem(row, "files")) {
        char *text = cJSON_PrintUnformatted(file);
        printf("  %s %.600s\n", file->string, text);
        free(text);
    }
    fflush(stdout);
}

static int check_row(const cJSON *row, const cJSON *texts, const cJSON *pair)
{
    const cJSON *files = cJSON_GetObjectItem(row, "files"), *file, *text, *expected = cJSON_GetObjectItem(row, "ids")->child;
    const char *name = cJSON_GetObjectItem(row, "file")->valuestring;
    if (*name) {
        char *data;
        size_t bytes;
        read_model(cJSON_GetObjectItem(row, "model")->valuestring, &data, &bytes);
        put(name, data, bytes);
        zo_free(data);
    }
    cJSON_ArrayForEach(file, files) {
        char *content = cJSON_PrintUnformatted(file);
        put(file->string, content, strlen(content));
        free(content);
    }
    zo_tokenizer *t;
    zo_ids ids = {0};
    int wrong = 0;
    if (zo_tokenizer_open(&t, scratch, &err) != ZO_OK) {
        print_row(row, err.text, expected, &ids);
        wrong++;
    } else {
        cJSON_ArrayForEach(text, texts) {
            zo_ids_clear(&ids);
            ck_assert_msg(zo_tokenizer_encode(t, text->valuestring, strlen(text->valuestring), ZO_WITH_SPECIALS, &ids, &err) == ZO_OK, "%s", err.text);
            if (!is_list(expected, &ids, false) && wrong++ == 0) {
                print_row(row, text->valuestring, expected, &ids);
            }
            expected = expected->next;
        }
        const char *a = pair->child->valuestring, *b = pair->child->next->valuestring;
        zo_ids_clear(&ids);
        ck_assert(zo_tokenizer_encode_pair(t, a, strlen(a), b, strlen(b), ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
        bool equal = is_list(cJSON_GetObjectItem(row, "pair"), &ids, false) && is_list(cJSON_GetObjectItem(row, "types"), &ids, true);
        if (!equal && wrong++ == 0) {
            print_row(row, "the pair", cJSON_GetObjectItem(row, "pair"), &ids);
        }
    }
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
    if (*name) {
        drop(name);
    }
    cJSON_ArrayForEach(file, files) {
        drop(file->string);
    }
    return wrong > 0;
}

/* What transformers makes of a model file, a class, and the settings and tokens beside it. */
START_TEST(test_configs)
{
    char *text;
    size_t bytes;
    ck_assert_msg(zo_read_file(GOLDEN "configs.jsonl.gz", MOST_BYTES, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    zo_lines lines = zo_lines_of(text, bytes);
    cJSON *head = cJSON_Parse(zo_lines_next(&lines, NULL));
    int wrong = 0, done = 0;
    for (char *line; (line = zo_lines_next(&lines, NULL)) != NULL; done++) {
        cJSON *row = cJSON_Parse(line);
        ck_assert(row != NULL);
        wrong += check_row(row, cJSON_GetObjectItem(head, "texts"), cJSON_GetObjectItem(head, "pair"));
        cJSON_Delete(row);
    }
    printf("%d folders, %d wrong\n", done, wrong);
    fflush(stdout);
    ck_assert_int_ge(done, 100);
    ck_assert_int_eq(wrong, 0);
    cJSON_Delete(head);
    zo_free(text);
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

/* Model files that are none, byte by byte. */
START_TEST(test_file_refusals)
{
#define PIECE "\x0A\x05\x0A\x03<u>"
    static const struct { const char *data; size_t n; const char *says; } cases[] = {
        {"", 0, "it is not a SentencePiece model: it has no pieces"},
        {"\x0A", 1, "at byte 0 no field of a protocol buffer begins"},
        {PIECE "\x0A\x7F", 9, "at byte 7 no field of a protocol buffer begins"},
        {PIECE "\x0F", 8, "at byte 7 no field"},                                               /* type 7 */
        {PIECE "\x02\x00", 9, "at byte 7 no field"},                                           /* number 0 */
        {"\x08\x01", 2, "field 1 of the model is not of the type"},
        {"\x0A\x02\x0A\x05", 4, "piece 0 is not a protocol buffer"},
        {"\x0A\x02\x18\x01", 4, "piece 0 has no text"},
        {"\x0A\x03\x0A\x01\xFF", 5, "the text of field 1 of piece 0 is not UTF-8"},
        {"\x0A\x04\x0A\x02" "a\0", 6, "the text of field 1 of piece 0 is not UTF-8, or holds a zero byte"},
        {"\x0A\x05\x0A\x01" "a\x10\x01", 7, "field 2 of piece 0 is not of the type"},
        {"\x0A\x08\x0A\x01" "a\x15\x00\x00\xC0\x7F", 10, "the score of piece 0 is not a number"},
        {PIECE "\x12\x02\x18\x03", 11, "it is a model of type word (3), and unigram and bpe are supported"},
        {PIECE "\x12\x02\x18\x09", 11, "it is a model of type unknown (9)"},
        {PIECE "\x12\x03\xC0\x01\x01", 12, "treat_whitespace_as_suffix is set, which is not supported"},
        {PIECE "\x12\x03\xC0\x02\x05", 12, "the unknown piece has the id 5, but there are 1 pieces"},
        {PIECE "\x12\x01\x18", 10, "the trainer's settings are not a protocol buffer"},
        {PIECE "\x1A\x03\x12\x01x", 12, "the charsmap has 1 bytes"},
        {PIECE "\x1A\x02\x1A\x00", 11, "field 3 of the normalizer's settings is not of the type"},
        {PIECE PIECE, 14, "token \"<u>\" stands twice, with ids 0 and 1"},
        {"IQ== 0\nIg== 1\n", 14, "it is a vocabulary of tiktoken, not of SentencePiece; fetch the tokenizer.json of the same model"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        zo_tokenizer *t;
        put("tokenizer.model", cases[i].data, cases[i].n);
        ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) != ZO_OK && t == NULL, "case %zu was accepted", i);
        ck_assert_msg(strncmp(err.text, scratch, strlen(scratch)) == 0 && strstr(err.text, cases[i].says) != NULL, "case %zu gave: %s", i, err.text);
    }
    put("tokenizer.model", PIECE, 7); /* all defaults: a Unigram model of one piece, the unknown one */
    zo_tokenizer *t;
    zo_ids ids = {0};
    ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) == ZO_OK, "%s", err.text);
    ck_assert(zo_tokenizer_encode(t, "a b", 3, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK && ids.n == 1 && ids.ids[0] == 0);
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
}
END_TEST

/* Model files with damaged bytes are refused in one sentence, or encode into ids that they have. */
START_TEST(test_mutated_files)
{
    static const char *const models[] = {"llama", "bpe-user", "t5", "unigram-user"};
    static const char *const settings[] = {"{}", "{\"tokenizer_class\":\"LlamaTokenizer\"}", "{\"tokenizer_class\":\"T5Tokenizer\",\"extra_ids\":3}",
                                           "{\"tokenizer_class\":\"XLMRobertaTokenizer\"}", "{\"added_tokens_decoder\":{\"0\":{\"content\":\"<r>\"}}}"};
    static const char text[] = "The  film ing <sep>\xC3\xA9\xEF\xBC\xA1 \xF0\x9F\x98\x80\n<s>";
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    int accepted = 0, tried = 0;
    for (int m = 0; m < 4; m++) {
        char *data;
        size_t bytes;
        read_model(models[m], &data, &bytes);
        char *copy = malloc(bytes + 256);
        for (int i = 0; i < 60; i++, tried++) {
            memcpy(copy, data, bytes);
            size_t n = bytes;
            for (int turn = 0; turn < i % 4; turn++) { /* single bytes leave most lengths as they are */
                copy[fuzz_below(&random_state, n)] = (char)fuzz_next(&random_state);
            }
            n = i % 4 == 0 ? fuzz_mutate(fuzz_next(&random_state), copy, n, bytes + 256) : n;
            put("tokenizer.model", copy, n);
            put("tokenizer_config.json", settings[i % 5], strlen(settings[i % 5]));
            zo_tokenizer *t;
            if (zo_tokenizer_open(&t, scratch, &err) != ZO_OK) {
                ck_assert(t == NULL && strlen(err.text) > strlen(scratch) + 4 && strchr(err.text, '\n') == NULL);
                continue;
            }
            accepted++;
            zo_ids ids = {0};
            if (zo_tokenizer_encode_pair(t, text, strlen(text), "b", 1, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK) {
                for (int64_t j = 0; j < ids.n; j++) {
                    ck_assert(ids.ids[j] >= 0 && ids.ids[j] < zo_tokenizer_vocab_size(t));
                }
            }
            zo_ids_free(&ids);
            zo_tokenizer_close(t);
        }
        free(copy);
        zo_free(data);
    }
    printf("%d of %d mutated model files accepted\n", accepted, tried);
    ck_assert_int_gt(accepted, tried / 8);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
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
            size_t unit = strlen(units[u]), n = (k ? 160000 : 10000) / unit * unit;
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
    TCase *kinds_case = tcase_create("kinds"), *files_case = tcase_create("files"), *rest = tcase_create("rest");
    tcase_add_checked_fixture(files_case, scratch_open, scratch_close);
    tcase_set_timeout(files_case, 300);
    tcase_add_test(files_case, test_configs);
    tcase_add_test(files_case, test_file_refusals);
    tcase_add_test(files_case, test_mutated_files);
    tcase_set_timeout(kinds_case, 300);
    tcase_set_timeout(rest, 300);
    tcase_add_loop_test(kinds_case, test_kind, 0, KINDS);
    tcase_add_test(kinds_case, test_real);
    tcase_add_test(rest, test_clusters);
    tcase_add_test(rest, test_refusals);
    tcase_add_test(rest, test_no_unknown_piece);
    tcase_add_test(rest, test_mutated_charsmaps);
    tcase_add_test(rest, test_linear);
    suite_add_tcase(suite, kinds_case);
    suite_add_tcase(suite, files_case);
    suite_add_tcase(suite, rest);
    return suite_run(suite) != 0;
}
