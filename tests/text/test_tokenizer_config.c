/* test_tokenizer_config.c: what the files beside a vocabulary say of a tokenizer, against golden values of transformers 5
 * (tests/golden/make_tokenizer_configs.py); what is refused; and the fingerprint over all files. */
#include <cjson/cJSON.h>
#include <check.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "tests/folder.h"
#include "tests/suite.h"
#include "text/tokenizer.h"

static zo_err err;
static char scratch[64];

static void scratch_open(void)
{
    snprintf(scratch, sizeof scratch, "/tmp/zo-tokenizer-config-XXXXXX");
    ck_assert(mkdtemp(scratch) != NULL);
}

static void scratch_close(void)
{
    folder_remove(scratch);
}

static void put(const char *name, const char *text)
{
    char path[256];
    FILE *file = fopen(zo_path_join(path, sizeof path, scratch, name), "w"); /* zo_write_file would wait for the disk */
    ck_assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void drop(const char *name)
{
    char path[256];
    ck_assert(remove(zo_path_join(path, sizeof path, scratch, name)) == 0);
}

/* ---- golden values ---- */

static bool ids_equal(const cJSON *expected, const zo_ids *got, const uint8_t *types)
{
    int64_t i = 0;
    const cJSON *id;
    bool equal = got->n == cJSON_GetArraySize(expected);
    cJSON_ArrayForEach(id, expected) {
        equal = equal && (types ? types[i] : got->ids[i]) == id->valueint;
        i++;
    }
    return equal;
}

static void print_row(const cJSON *row, const char *what, const cJSON *expected, const zo_ids *got)
{
    const cJSON *files = cJSON_GetObjectItem(row, "files"), *file;
    char *text = cJSON_PrintUnformatted(expected);
    printf("class %s: \"%s\"\n  expected %s\n  got      [", cJSON_GetObjectItem(row, "class")->valuestring, what, text);
    free(text);
    for (int64_t i = 0; i < got->n; i++) {
        printf("%s%d", i ? "," : "", got->ids[i]);
    }
    printf("]\n");
    cJSON_ArrayForEach(file, files) {
        text = cJSON_IsString(file) ? NULL : cJSON_PrintUnformatted(file);
        printf("  %s %.600s\n", file->string, text ? text : "(text)");
        free(text);
    }
    fflush(stdout);
}

static int check_row(const cJSON *row, const cJSON *texts, const cJSON *pair)
{
    const cJSON *files = cJSON_GetObjectItem(row, "files"), *file, *text, *expected = cJSON_GetObjectItem(row, "ids")->child;
    cJSON_ArrayForEach(file, files) {
        char *content = cJSON_IsString(file) ? NULL : cJSON_PrintUnformatted(file);
        put(file->string, content ? content : file->valuestring);
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
            ck_assert(zo_tokenizer_encode(t, text->valuestring, strlen(text->valuestring), ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
            if (!ids_equal(expected, &ids, NULL) && wrong++ == 0) {
                print_row(row, text->valuestring, expected, &ids);
            }
            expected = expected->next;
        }
        const char *a = pair->child->valuestring, *b = pair->child->next->valuestring;
        zo_ids_clear(&ids);
        ck_assert(zo_tokenizer_encode_pair(t, a, strlen(a), b, strlen(b), ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
        bool equal = ids_equal(cJSON_GetObjectItem(row, "pair"), &ids, NULL) && ids_equal(cJSON_GetObjectItem(row, "types"), &ids, ids.types);
        if (!equal && wrong++ == 0) {
            print_row(row, "the pair", cJSON_GetObjectItem(row, "pair"), &ids);
        }
    }
    zo_ids_free(&ids);
    zo_tokenizer_close(t);
    cJSON_ArrayForEach(file, files) {
        drop(file->string);
    }
    return wrong > 0;
}

START_TEST(test_golden)
{
    char *text;
    size_t bytes;
    ck_assert_msg(zo_read_file("tests/golden/tokenizers/configs.jsonl.gz", (size_t)64 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
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
    ck_assert_int_ge(done, 150);
    ck_assert_int_eq(wrong, 0);
    cJSON_Delete(head);
    zo_free(text);
}
END_TEST

/* ---- refusals ---- */

#define WORDPIECE "{\"model\":{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3}}}"
#define BPE "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]}}"

#define UNIGRAM "{\"model\":{\"type\":\"Unigram\",\"vocab\":[[\"a\",-1]]}}"

START_TEST(test_refusals)
{
    static const struct { const char *json, *settings, *says; } cases[] = {
        {BPE, "{\"tokenizer_class\":\"BertTokenizerFast\"}", "tokenizer_class is BertTokenizer (WordPiece), but tokenizer.json is a vocabulary of BPE"},
        {WORDPIECE, "{\"tokenizer_class\":\"GPT2Tokenizer\"}", "tokenizer_class is GPT2Tokenizer (BPE), but tokenizer.json is a vocabulary of WordPiece"},
        {BPE, "{\"tokenizer_class\":\"XLNetTokenizerFast\"}", "tokenizer_class \"XLNetTokenizerFast\" is not supported"},
        {BPE, "{\"tokenizer_class\":\"T5TokenizerFast\"}", "tokenizer_class is T5Tokenizer (Unigram), but tokenizer.json is a vocabulary of BPE"},
        {UNIGRAM, "{\"tokenizer_class\":\"AlbertTokenizer\"}", "AlbertTokenizer has the unknown piece at id 1, but the vocabulary has 1 pieces"},
        {UNIGRAM, "{\"tokenizer_class\":\"DebertaV2Tokenizer\",\"unk_id\":7}", "unk_id is not an id of the vocabulary, which has 1 pieces"},
        {BPE, "{\"tokenizer_class\":3}", "tokenizer_config.json: tokenizer_class is not a string"},
        {WORDPIECE, "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":\"false\"}", "tokenizer_config.json: do_lower_case is not true or false"},
        {BPE, "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_prefix_space\":1}", "add_prefix_space is not true or false"},
        {BPE, "{\"add_bos_token\":\"yes\"}", "add_bos_token is not true or false"},
        {BPE, "{\"split_special_tokens\":\"yes\"}", "split_special_tokens is not true or false"},
        {BPE, "{\"bos_token\":7}", "tokenizer_config.json: bos_token is neither a token"},
        {BPE, "{\"bos_token\":{\"content\":\"a\",\"lstrip\":2}}", "bos_token: lstrip is not true or false"},
        {BPE, "{\"additional_special_tokens\":\"<x>\"}", "extra_special_tokens is not a list"},
        {BPE, "{\"extra_special_tokens\":[1]}", "extra_special_tokens is neither a token"},
        {BPE, "{\"added_tokens_decoder\":{\"2\":\"<x>\"}}", "added_tokens_decoder[\"2\"]"},
        {BPE, "{\"added_tokens_decoder\":{\"two\":{\"content\":\"<x>\"}}}", "\"<x>\" has no id from 0"},
        {BPE, "{\"added_tokens_decoder\":{\"-1\":{\"content\":\"<x>\"}}}", "\"<x>\" has no id from 0"},
        {BPE, "{\"added_tokens_decoder\":{\"9\":{\"content\":\"<x>\"}}}", "gives the added token \"<x>\" the id 9, but it gets, behind the vocabulary, 2"},
        {BPE, "{\"added_tokens_decoder\":{\"1\":{\"content\":\"a\"}}}", "gives the added token \"a\" the id 1, but it has in the vocabulary 0"},
        {WORDPIECE, "{\"tokenizer_class\":\"BertTokenizer\",\"unk_token\":\"[NO]\"}", "the vocabulary needs the unk_token \"[NO]\""},
        {WORDPIECE, "{\"tokenizer_class\":\"BertTokenizer\",\"cls_token\":null}", "the vocabulary needs the cls_token \"\""},
        {BPE, "{\"fast_tokenizer_files\":[\"tokenizer.json\",\"tokenizer.4.0.0.json\"]}", "fast_tokenizer_files names \"tokenizer.4.0.0.json\""},
        {BPE, "[]", "tokenizer_config.json: it is not a JSON object"},
        {"<html>", "{}", "is a web page (HTML or XML), not JSON"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put("tokenizer.json", cases[i].json);
        put("tokenizer_config.json", cases[i].settings);
        zo_tokenizer *t;
        ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) != ZO_OK && t == NULL, "%s was accepted", cases[i].settings);
        ck_assert_msg(strncmp(err.text, scratch, strlen(scratch)) == 0 && strstr(err.text, cases[i].says) != NULL, "%s gave: %s",
                      cases[i].settings, err.text);
    }
    drop("tokenizer.json");
    put("vocab.txt", "[UNK]\n");
    put("tokenizer_config.json", "{\"tokenizer_class\":\"RobertaTokenizer\"}");
    zo_tokenizer *t;
    ck_assert(zo_tokenizer_open(&t, scratch, &err) != ZO_OK);
    ck_assert_msg(strstr(err.text, "but vocab.txt is a vocabulary of WordPiece"), "%s", err.text);
    put("tokenizer_config.json", "{\"tokenizer_class\":\"LlamaTokenizer\"}");
    ck_assert(zo_tokenizer_open(&t, scratch, &err) != ZO_OK);
    ck_assert_msg(strstr(err.text, "tokenizer_class is LlamaTokenizer (BPE), but vocab.txt is a vocabulary of WordPiece"), "%s", err.text);
    drop("vocab.txt");
    put("vocab.json", "{\"a\":0}");
    put("merges.txt", "");
    ck_assert(zo_tokenizer_open(&t, scratch, &err) != ZO_OK);
    ck_assert_msg(strstr(err.text, "LlamaTokenizer, which is read from a tokenizer.json or a SentencePiece file; fetch one"), "%s", err.text);
}
END_TEST

/* ---- names of classes ---- */

/* Every class adds its own special tokens behind a vocabulary without them, so the number of tokens tells the class. */
static int size_of(const char *json, const char *config, const char *settings)
{
    zo_tokenizer *t;
    put("tokenizer.json", json);
    put("config.json", config);
    put("tokenizer_config.json", settings);
    ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) == ZO_OK, "%s", err.text);
    int size = zo_tokenizer_vocab_size(t);
    zo_tokenizer_close(t);
    return size;
}

START_TEST(test_class_names)
{
    static const struct { const char *name; bool is_bert; int added; } classes[] = {
        {"BertTokenizer", true, 2},       {"DistilBertTokenizer", true, 2},  {"ElectraTokenizer", true, 2},   {"LayoutLMTokenizer", true, 2},
        {"LxmertTokenizer", true, 2},     {"MobileBertTokenizer", true, 2},  {"SqueezeBertTokenizer", true, 2}, {"RobertaTokenizer", false, 5},
        {"BartTokenizer", false, 5},      {"LongformerTokenizer", false, 5}, {"LEDTokenizer", false, 5},      {"MvpTokenizer", false, 5},
        {"GPT2Tokenizer", false, 1},      {"CodeGenTokenizer", false, 1},    {"GPTNeoXTokenizer", false, 2},  {"Qwen2Tokenizer", false, 1},
        {"LlamaTokenizer", false, 3},     {"Phi3Tokenizer", false, 3},       {"PreTrainedTokenizer", false, 0}, {"TokenizersBackend", false, 0},
        {"GemmaTokenizer", false, 5},     {"BertTokenize", false, 0},        {"Fast", false, 0}};
    static const struct { const char *type; bool is_bert; int added; } models[] = {
        {"bert", true, 2},  {"distilbert", true, 2}, {"electra", true, 2}, {"roberta", false, 5},  {"gpt2", false, 1}, {"gpt_neo", false, 1},
        {"gptj", false, 1}, {"opt", false, 1},       {"llama", false, 0},  {"gpt_neox", false, 2}, {"", false, 0},
        {"phi", false, 1},  {"gemma", false, 5},     {"gemma2", false, 5},  {"qwen2", false, 1},    {"qwen3", false, 1}, {"mistral", false, 0}};
    char settings[100], config[100];
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        for (int fast = 0; fast < 2; fast++) {
            snprintf(settings, sizeof settings, "{\"tokenizer_class\":\"%s%s\"}", classes[i].name, fast ? "Fast" : "");
            int added = size_of(classes[i].is_bert ? WORDPIECE : BPE, "{}", settings) - (classes[i].is_bert ? 4 : 2);
            ck_assert_msg(added == classes[i].added, "%s added %d tokens", settings, added);
        }
    }
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        snprintf(config, sizeof config, "{\"model_type\":\"%s\"}", models[i].type);
        int added = size_of(models[i].is_bert ? WORDPIECE : BPE, config, "{}") - (models[i].is_bert ? 4 : 2);
        ck_assert_msg(added == models[i].added, "%s added %d tokens", config, added);
    }
    /* LlamaTokenizer of a byte-level file is read as the file stands, as transformers does */
    ck_assert_int_eq(size_of("{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1},\"merges\":[]},\"pre_tokenizer\":{\"type\":\"ByteLevel\"}}", "{}",
                             "{\"tokenizer_class\":\"LlamaTokenizerFast\"}"), 2);
    /* a type that takes no other class, and one whose own class wins */
    ck_assert_int_eq(size_of(BPE, "{\"model_type\":\"mistral\"}", "{\"tokenizer_class\":\"LlamaTokenizerFast\"}"), 2);
    ck_assert_int_eq(size_of(BPE, "{\"model_type\":\"phi3\"}", "{\"tokenizer_class\":\"LlamaTokenizer\"}"), 2);
    ck_assert_int_eq(size_of(BPE, "{\"model_type\":\"qwen2\"}", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}"), 3);
    ck_assert_int_eq(size_of(BPE, "{\"model_type\":\"qwen3\"}", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"}"), 2);
    static const char *const others[] = {"CamembertTokenizer", "XLNetTokenizerFast", "DebertaTokenizer", "MBartTokenizerFast", "BertweetTokenizer"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        zo_tokenizer *t;
        snprintf(settings, sizeof settings, "{\"tokenizer_class\":\"%s\"}", others[i]);
        put("tokenizer_config.json", settings);
        ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) == ZO_EUNSUPPORTED && strstr(err.text, others[i]), "%s: %s", others[i], err.text);
    }
}
END_TEST

/* ---- where transformers gives no answer, and what is special ---- */

static zo_tokenizer *open_scratch(void)
{
    zo_tokenizer *t;
    ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) == ZO_OK, "%s", err.text);
    return t;
}

/* The ids of a text, as "1 2 3". */
static const char *ids_of(zo_tokenizer *t, const char *text)
{
    static char out[200];
    zo_ids ids = {0};
    size_t n = 0;
    ck_assert_msg(zo_tokenizer_encode(t, text, strlen(text), ZO_WITH_SPECIALS, &ids, &err) == ZO_OK, "%s", err.text);
    out[0] = 0;
    for (int64_t i = 0; i < ids.n; i++) {
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%d", i ? " " : "", ids.ids[i]);
    }
    zo_ids_free(&ids);
    return out;
}

#define BPE_VOCAB "{\"<s>\":0,\"<pad>\":1,\"</s>\":2,\"a\":3,\"b\":4,\"ab\":5}"

START_TEST(test_fallbacks)
{
    /* an OPT folder that says nothing more: </s> before a text */
    put("vocab.json", BPE_VOCAB);
    put("merges.txt", "#version: 0.2\na b\n");
    put("config.json", "{\"model_type\":\"opt\"}");
    zo_tokenizer *t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb</s>"), "2 5 4 2");
    ck_assert_int_eq(zo_tokenizer_special(t).bos, 2);
    ck_assert_int_eq(zo_tokenizer_special(t).pad, 1);
    zo_tokenizer_close(t);
    /* with a tokenizer_config.json, as transformers: GPT2Tokenizer, whose bos is not there and is not added unless told */
    put("tokenizer_config.json", "{}");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "5 4");
    ck_assert_str_eq(ids_of(t, "<|endoftext|>"), "6");
    ck_assert_int_eq(zo_tokenizer_special(t).bos, 0); /* by its usual spelling, since no file and no vocabulary has the class's */
    zo_tokenizer_close(t);
    /* no class: RoBERTa by its <mask>, else GPT-2; vocab.txt beside it is of use to BERT alone */
    put("config.json", "{}");
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nab\n##b\n");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "5 4");
    zo_tokenizer_close(t);
    put("vocab.json", "{\"<s>\":0,\"<mask>\":1,\"</s>\":2,\"a\":3,\"b\":4,\"ab\":5}");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "0 5 4 2");
    zo_tokenizer_close(t);
    put("config.json", "{\"model_type\":\"bert\"}");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "1 3 4 2");
    zo_tokenizer_close(t);
    /* a model_type whose class is of another kind than tokenizer.json: the file as it stands */
    put("tokenizer.json", "{\"model\":{\"type\":\"BPE\",\"vocab\":" BPE_VOCAB ",\"merges\":[\"a b\"]}}");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "5 4");
    zo_tokenizer_close(t);
    /* the class of config.json counts where tokenizer_config.json names none; add_bos_token does not beside a tokenizer.json */
    put("config.json", "{\"model_type\":\"llama\",\"tokenizer_class\":\"RobertaTokenizer\"}");
    put("tokenizer_config.json", "{\"add_bos_token\":true}");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "0 5 4 2");
    zo_tokenizer_close(t);
    put("tokenizer_config.json", "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"add_bos_token\":true,\"bos_token\":\"<s>\"}");
    t = open_scratch();
    ck_assert_str_eq(ids_of(t, "abb"), "5 4");
    zo_tokenizer_close(t);
}
END_TEST

START_TEST(test_special_ids)
{
    put("tokenizer.json", "{\"padding\":{\"pad_token\":\"b\"},\"model\":{\"type\":\"BPE\",\"vocab\":" BPE_VOCAB ",\"merges\":[\"a b\"]}}");
    put("config.json", "{\"model_type\":\"llama\",\"bos_token_id\":4,\"eos_token_id\":[5,2],\"mask_token_id\":6,\"sep_token_id\":-1}");
    put("tokenizer_config.json", "{\"bos_token\":\"a\",\"cls_token\":{\"content\":\"ab\"},\"unk_token\":null}");
    zo_tokenizer *t = open_scratch();
    zo_special_ids s = zo_tokenizer_special(t);
    ck_assert_int_eq(s.bos, 3);   /* a file's name before config.json's id */
    ck_assert_int_eq(s.eos, 5);   /* the first id of a list */
    ck_assert_int_eq(s.pad, 4);   /* padding of tokenizer.json */
    ck_assert_int_eq(s.cls, 5);
    ck_assert_int_eq(s.mask, -1); /* outside of the vocabulary */
    ck_assert_int_eq(s.sep, -1);
    ck_assert_int_eq(s.unk, -1);
    zo_tokenizer_close(t);
    put("special_tokens_map.json", "{\"bos_token\":\"<s>\",\"cls_token\":null}");
    t = open_scratch();
    ck_assert_int_eq(zo_tokenizer_special(t).bos, 0); /* the map before tokenizer_config.json */
    ck_assert_int_eq(zo_tokenizer_special(t).cls, -1);
    zo_tokenizer_close(t);
    put("tokenizer_config.json", "{\"bos_token\":\"a\",\"added_tokens_decoder\":{}}");
    t = open_scratch();
    ck_assert_int_eq(zo_tokenizer_special(t).bos, 3); /* with added_tokens_decoder the map does not count */
    zo_tokenizer_close(t);
}
END_TEST

/* Tokens of added_tokens.json are special where one of the other files names them: found as they are spelt. Others are lowered as the text is.
 * An object in tokenizer_config.json does not count, one in special_tokens_map.json does. The ids are those of AutoTokenizer of transformers 5.24.0 for
 * these folders: lowered, both spellings are the token, else "<mask>" is the words "<", "mask", ">" (7 9 8), and "<other>" likewise (7 10 8). */
START_TEST(test_added_tokens_json)
{
    static const char object[] = "{\"content\": \"<Mask>\", \"lstrip\": false, \"rstrip\": false, \"single_word\": false, \"normalized\": true}";
    static const struct { const char *config, *map; bool mask_lowered, other_lowered; } of[] = {
        {"", NULL, true, true},
        {", \"mask_token\": \"<Mask>\"", NULL, false, true},
        {", \"mask_token\": {\"__type\": \"AddedToken\", %O}", NULL, true, true},
        {"", "{\"mask_token\": \"<Mask>\"}", false, true},
        {"", "{\"mask_token\": {%O}}", false, true},
        {", \"additional_special_tokens\": [\"<Other>\"]", NULL, true, false}};
    put("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n<\n>\nmask\nother\n##>\nentry\n");
    put("config.json", "{\"model_type\": \"bert\"}");
    put("added_tokens.json", "{\"<Mask>\": 13, \"<Other>\": 14}");
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char text[2][600] = {"", ""};
        for (int file = 0; file < 2; file++) {
            const char *from = file == 0 ? of[i].config : of[i].map != NULL ? of[i].map : "", *mark = strstr(from, "%O");
            snprintf(text[file], sizeof text[file], "%s%.*s%.*s%s%s", file == 0 ? "{\"tokenizer_class\": \"BertTokenizer\", \"do_lower_case\": true" : "",
                     (int)(mark != NULL ? mark - from : (long)strlen(from)), from, mark != NULL ? (int)sizeof object - 3 : 0, object + 1,
                     mark != NULL ? mark + 2 : "", file == 0 ? "}" : "");
        }
        put("tokenizer_config.json", text[0]);
        if (of[i].map != NULL) {
            put("special_tokens_map.json", text[1]);
        }
        zo_tokenizer *t = open_scratch();
        ck_assert_str_eq(ids_of(t, "a <Mask> b"), "2 5 13 6 3");
        ck_assert_str_eq(ids_of(t, "a<Mask>b"), "2 5 13 6 3");
        ck_assert_str_eq(ids_of(t, "a <Other> b"), "2 5 14 6 3");
        ck_assert_msg(strcmp(ids_of(t, "a <mask> b"), of[i].mask_lowered ? "2 5 13 6 3" : "2 5 7 9 8 6 3") == 0, "%s, %s", text[0], text[1]);
        ck_assert_msg(strcmp(ids_of(t, "a <other> b"), of[i].other_lowered ? "2 5 14 6 3" : "2 5 7 10 8 6 3") == 0, "%s, %s", text[0], text[1]);
        zo_tokenizer_close(t);
        if (of[i].map != NULL) {
            drop("special_tokens_map.json");
        }
    }
}
END_TEST

/* Added tokens may lie beyond the model's embedding as long as no text holds them; vocabulary and forms may not. */
START_TEST(test_rows)
{
    zo_tokenizer *t;
    zo_ids ids = {0};
    put("tokenizer.json", WORDPIECE);
    put("tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\",\"additional_special_tokens\":[\"<x>\"]}");
    ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(zo_tokenizer_vocab_size(t), 7); /* [PAD], [MASK] and <x> behind the four */
    ck_assert(zo_tokenizer_set_rows(t, 3, &err) == ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "has 4 tokens, its embedding only 3 rows"), "%s", err.text);
    ck_assert(zo_tokenizer_set_rows(t, 4, &err) == ZO_OK);
    ck_assert(zo_tokenizer_encode(t, "a", 1, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK && ids.n == 3);
    ck_assert(zo_tokenizer_encode(t, "a <x>", 5, ZO_WITH_SPECIALS, &ids, &err) == ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "\"<x>\", id 6, but the model's embedding has 4 rows"), "%s", err.text);
    ck_assert(zo_tokenizer_set_rows(t, 7, &err) == ZO_OK);
    ck_assert(zo_tokenizer_encode(t, "a <x>", 5, ZO_WITH_SPECIALS, &ids, &err) == ZO_OK);
    zo_tokenizer_close(t);
    put("tokenizer_config.json", "{\"tokenizer_class\":\"BertTokenizer\",\"cls_token\":\"<c>\"}"); /* stands before every text */
    ck_assert_msg(zo_tokenizer_open(&t, scratch, &err) == ZO_OK, "%s", err.text);
    ck_assert(zo_tokenizer_set_rows(t, 4, &err) == ZO_EINPUT);
    zo_tokenizer_close(t);
    zo_ids_free(&ids);
}
END_TEST

/* ---- the fingerprint ---- */

static uint64_t fingerprint(void)
{
    uint64_t print = 1;
    ck_assert_msg(zo_tokenizer_fingerprint(scratch, &print, &err) == ZO_OK, "%s", err.text);
    return print;
}

START_TEST(test_fingerprint)
{
    uint64_t print = 1;
    ck_assert(zo_tokenizer_fingerprint("tests/no-such-folder", &print, &err) != ZO_OK && print == 0);
    ck_assert_msg(strstr(err.text, "tests/no-such-folder is not a folder"), "%s", err.text);
    ck_assert(zo_tokenizer_fingerprint(scratch, &print, &err) != ZO_OK && print == 0);
    ck_assert_msg(strstr(err.text, "has no tokenizer"), "%s", err.text);

    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\nb\n");
    uint64_t first = fingerprint();
    put("README.md", "not read\n");
    put("vocab.json", "{}"); /* not read without merges.txt */
    ck_assert(fingerprint() == first);
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nb\na\n");
    ck_assert(fingerprint() != first);
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\nb\n");
    ck_assert(fingerprint() == first);

    /* every side file counts, whatever is in it, and which one it is */
    static const char *const sides[] = {"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
    uint64_t prints[4];
    for (int i = 0; i < 4; i++) {
        put(sides[i], "{}");
        prints[i] = fingerprint();
        ck_assert(prints[i] != first);
        put(sides[i], "{ }");
        ck_assert(fingerprint() != prints[i] && fingerprint() != first);
        drop(sides[i]);
        for (int j = 0; j < i; j++) {
            ck_assert(prints[j] != prints[i]);
        }
    }
    ck_assert(fingerprint() == first);

    /* the class chooses between vocabularies, so all of them count; beside a tokenizer.json none does */
    put("merges.txt", "a b\n");
    uint64_t merges = fingerprint();
    ck_assert(merges != first);
    put("merges.txt", "b a\n");
    ck_assert(fingerprint() != merges);
    put("merges.txt", "a b\n");
    ck_assert(fingerprint() == merges);
    put("vocab.txt", "[UNK]\n");
    ck_assert(fingerprint() != merges);
    put("tokenizer.json", "no JSON yet");
    uint64_t json = fingerprint();
    put("merges.txt", "b a\n");
    put("vocab.txt", "[UNK]\nb\n");
    ck_assert(fingerprint() == json);
}
END_TEST

/* By hand: FNV-1a of "vocab.txt", NUL, the length in 8 bytes, the contents; packed or not. */
START_TEST(test_fingerprint_value)
{
    static const char bytes[] = "vocab.txt\0\2\0\0\0\0\0\0\0a\n";
    uint64_t expected = 0xcbf29ce484222325ull;
    for (size_t i = 0; i + 1 < sizeof bytes; i++) {
        expected = (expected ^ (uint8_t)bytes[i]) * 0x100000001b3ull;
    }
    put("vocab.txt", "a\n");
    ck_assert(fingerprint() == expected);
    char command[256];
    snprintf(command, sizeof command, "gzip %s/vocab.txt", scratch);
    ck_assert(system(command) == 0);
    ck_assert(fingerprint() == expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_config");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, scratch_open, scratch_close);
    tcase_set_timeout(files, 60);
    tcase_add_test(files, test_golden);
    tcase_add_test(files, test_refusals);
    tcase_add_test(files, test_class_names);
    tcase_add_test(files, test_fallbacks);
    tcase_add_test(files, test_special_ids);
    tcase_add_test(files, test_added_tokens_json);
    tcase_add_test(files, test_rows);
    tcase_add_test(files, test_fingerprint);
    tcase_add_test(files, test_fingerprint_value);
    suite_add_tcase(suite, files);
    int failed = suite_run(suite);
    return failed != 0;
}
