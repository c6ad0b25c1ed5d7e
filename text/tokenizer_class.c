/* tokenizer_class.c: the tokenizer classes of transformers.
 *
 * A class with a pipeline of its own takes vocabulary and merges from tokenizer.json and builds the rest anew by the flags of
 * tokenizer_config.json; what tokenizer.json says of normalizer, pre-tokenizer and the model's options is then not used. So does
 * transformers 5 (5.24.0: models/.../tokenization_*.py; tests/golden/make_tokenizer_configs.py makes the golden files). Flags that a class does
 * not have (do_lower_case of GPT2Tokenizer) change nothing there, nor here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

#define END "<|endoftext|>"
enum {
    ROW_FILE, ROW_BERT, ROW_ROBERTA, ROW_GPT2, ROW_GPT_NEOX, ROW_QWEN2, ROW_LLAMA, ROW_GEMMA, ROW_ALBERT, ROW_T5, ROW_XLM_ROBERTA, ROW_DEBERTA_V2
};
static const zo_class rows[] = {
    /* the specials are bos, eos, unk, sep, pad, cls, mask */
    {"PreTrainedTokenizerFast", ZO_CLASS_FILE, ZO_MODEL_BPE, {NULL}, true, 0},
    {"BertTokenizer", ZO_CLASS_BERT, ZO_MODEL_WORDPIECE, {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}, false, 0},
    {"RobertaTokenizer", ZO_CLASS_ROBERTA, ZO_MODEL_BPE, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}, false, 0},
    {"GPT2Tokenizer", ZO_CLASS_GPT2, ZO_MODEL_BPE, {END, END, END, NULL, NULL, NULL, NULL}, false, 0},
    {"GPTNeoXTokenizer", ZO_CLASS_GPT_NEOX, ZO_MODEL_BPE, {END, END, END, NULL, "<|padding|>", NULL, NULL}, false, 0},
    {"Qwen2Tokenizer", ZO_CLASS_QWEN2, ZO_MODEL_BPE, {NULL, END, END, NULL, END, NULL, NULL}, false, 0},
    {"LlamaTokenizer", ZO_CLASS_LLAMA, ZO_MODEL_BPE, {"<s>", "</s>", "<unk>", NULL, NULL, NULL, NULL}, true, 0},
    {"GemmaTokenizer", ZO_CLASS_GEMMA, ZO_MODEL_BPE, {"<bos>", "<eos>", "<unk>", NULL, "<pad>", NULL, "<mask>"}, true, 0},
    {"AlbertTokenizer", ZO_CLASS_ALBERT, ZO_MODEL_UNIGRAM, {"[CLS]", "[SEP]", "<unk>", "[SEP]", "<pad>", "[CLS]", "[MASK]"}, true, 1},
    {"T5Tokenizer", ZO_CLASS_T5, ZO_MODEL_UNIGRAM, {NULL, "</s>", "<unk>", NULL, "<pad>", NULL, NULL}, true, 2},
    {"XLMRobertaTokenizer", ZO_CLASS_XLM_ROBERTA, ZO_MODEL_UNIGRAM, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}, true, 3},
    {"DebertaV2Tokenizer", ZO_CLASS_DEBERTA_V2, ZO_MODEL_UNIGRAM, {"[CLS]", "[SEP]", "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}, true, -1}};

/* Names without "Fast". */
typedef struct class_name { const char *name; int row; } class_name;
static const class_name names[] = {
    {"BertTokenizer", ROW_BERT},         {"DistilBertTokenizer", ROW_BERT},  {"ElectraTokenizer", ROW_BERT},
    {"LayoutLMTokenizer", ROW_BERT},     {"LxmertTokenizer", ROW_BERT},      {"MobileBertTokenizer", ROW_BERT},
    {"SqueezeBertTokenizer", ROW_BERT},  {"RobertaTokenizer", ROW_ROBERTA},  {"BartTokenizer", ROW_ROBERTA},
    {"LongformerTokenizer", ROW_ROBERTA}, {"LEDTokenizer", ROW_ROBERTA},     {"MvpTokenizer", ROW_ROBERTA},
    {"GPT2Tokenizer", ROW_GPT2},         {"CodeGenTokenizer", ROW_GPT2},     {"GPTNeoXTokenizer", ROW_GPT_NEOX},
    {"Qwen2Tokenizer", ROW_QWEN2},       {"LlamaTokenizer", ROW_LLAMA},      {"Phi3Tokenizer", ROW_LLAMA},
    {"GemmaTokenizer", ROW_GEMMA},       {"AlbertTokenizer", ROW_ALBERT},    {"T5Tokenizer", ROW_T5},
    {"XLMRobertaTokenizer", ROW_XLM_ROBERTA}, {"DebertaV2Tokenizer", ROW_DEBERTA_V2}};

/* `wins`: over a class that the files name (transformers' MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS, and types that have no class of their own). */
typedef struct model_class { const char *type; int row; bool wins; } model_class;
static const model_class models[] = {
    {"bert", ROW_BERT, false},         {"distilbert", ROW_BERT, false},   {"electra", ROW_BERT, false},     {"roberta", ROW_ROBERTA, false},
    {"gpt2", ROW_GPT2, false},         {"gpt_neo", ROW_GPT2, false},      {"gptj", ROW_GPT2, false},        {"opt", ROW_GPT2, false},
    {"phi", ROW_GPT2, false},          {"gpt_neox", ROW_GPT_NEOX, false}, {"qwen2", ROW_QWEN2, true},       {"qwen3", ROW_QWEN2, false},
    {"gemma", ROW_GEMMA, false},       {"gemma2", ROW_GEMMA, false},      {"albert", ROW_ALBERT, false},    {"t5", ROW_T5, false},
    {"mt5", ROW_T5, false},            {"xlm-roberta", ROW_XLM_ROBERTA, false}, {"deberta-v2", ROW_DEBERTA_V2, false},
    {"mistral", ROW_FILE, true},       {"mixtral", ROW_FILE, true},       {"phi3", ROW_FILE, true},         {"modernbert", ROW_FILE, true}};

/* Other classes of transformers 5.24.0 that build pipelines of their own. */
static const char *const other_classes[] = {
    "BarthezTokenizer",    "BartphoTokenizer",      "BertGenerationTokenizer", "BertJapaneseTokenizer",
    "BertweetTokenizer",   "BigBirdTokenizer",    "BioGptTokenizer",       "BlenderbotSmallTokenizer", "BlenderbotTokenizer",
    "ByT5Tokenizer",       "CLIPTokenizer",       "CTRLTokenizer",         "CamembertTokenizer",      "CanineTokenizer",
    "CharacterTokenizer",  "CodeLlamaTokenizer",  "CohereTokenizer",       "ConvBertTokenizer",       "CpmAntTokenizer",
    "CpmTokenizer",        "DPRContextEncoderTokenizer", "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer", "DebertaTokenizer",
    "EsmTokenizer",        "EsmcTokenizer",         "FNetTokenizer",           "FSMTTokenizer",
    "FlaubertTokenizer",   "FunnelTokenizer",     "GPTNeoXJapaneseTokenizer", "GPTSw3Tokenizer",      "HerbertTokenizer",    "LayoutLMv2Tokenizer", "LayoutLMv3Tokenizer",   "LayoutXLMTokenizer",      "LukeTokenizer",
    "M2M100Tokenizer",     "MBart50Tokenizer",    "MBartTokenizer",        "MLukeTokenizer",          "MPNetTokenizer",
    "MarianTokenizer",     "MarkupLMTokenizer",   "MgpstrTokenizer",       "MyT5Tokenizer",           "NllbTokenizer",
    "NougatTokenizer",     "OpenAIGPTTokenizer",  "PLBartTokenizer",       "PegasusTokenizer",        "PerceiverTokenizer",
    "PhobertTokenizer",    "ProphetNetTokenizer", "Qwen3_5Tokenizer",      "ReformerTokenizer",       "RemBertTokenizer",
    "RoCBertTokenizer",    "RoFormerTokenizer",   "SeamlessM4TTokenizer",  "Siglip2Tokenizer",        "SiglipTokenizer",
    "SplinterTokenizer",   "TapasTokenizer",        "UdopTokenizer",           "WhisperTokenizer",
    "XGLMTokenizer",       "XLMTokenizer",          "XLNetTokenizer"};

#define COUNT(table) (int)(sizeof(table) / sizeof(table)[0])

static bool is_name(const char *name, size_t n, const char *of)
{
    return strlen(of) == n && memcmp(name, of, n) == 0;
}

zo_status zo_class_find(const char *name, const zo_class **found, zo_err *err)
{
    size_t n = strlen(name);
    n -= n > 4 && strcmp(name + n - 4, "Fast") == 0 ? 4 : 0;
    *found = &rows[ROW_FILE];
    for (int i = 0; i < COUNT(names); i++) {
        if (is_name(name, n, names[i].name)) {
            *found = &rows[names[i].row];
            return ZO_OK;
        }
    }
    for (int i = 0; i < COUNT(other_classes); i++) {
        if (is_name(name, n, other_classes[i])) {
            return zo_fail(err, ZO_EUNSUPPORTED,
                           "tokenizer_class \"%.60s\" is not supported; load the folder with transformers, save it with "
                           "save_pretrained, and set tokenizer_class to \"PreTrainedTokenizerFast\"",
                           name);
        }
    }
    return ZO_OK;
}

const zo_class *zo_class_of_model(const char *model_type, bool *wins)
{
    *wins = false;
    for (int i = 0; i < COUNT(models); i++) {
        if (strcmp(models[i].type, model_type) == 0) {
            *wins = models[i].wins;
            return &rows[models[i].row];
        }
    }
    return &rows[ROW_FILE];
}

/* ---- pipelines ---- */

/* null is as good as absent, as the classes that allow it have it. */
static zo_status read_flag(const cJSON *settings, const char *key, bool initial, bool *out, zo_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(settings, key);
    *out = initial;
    if (member == NULL || cJSON_IsNull(member)) {
        return ZO_OK;
    }
    if (!cJSON_IsBool(member)) {
        return zo_fail(err, ZO_EINPUT, "tokenizer_config.json: %s is not true or false", key);
    }
    *out = cJSON_IsTrue(member);
    return ZO_OK;
}

static zo_status build_bert(zo_tokenizer *t, const cJSON *settings, zo_err *err)
{
    t->model.prefix = zo_strdup(ZO_TAG_DATA, "##");
    t->model.most_chars = 100;
    zo_norm *norm = zo_tokenizer_push_norm(t, ZO_NORM_BERT);
    norm->clean_text = true;
    zo_status status = read_flag(settings, "tokenize_chinese_chars", true, &norm->chinese_chars, err);
    if (status == ZO_OK) {
        status = read_flag(settings, "do_lower_case", true, &norm->lowercase, err);
    }
    if (status == ZO_OK) { /* null means: as lowercase */
        status = read_flag(settings, "strip_accents", norm->lowercase, &norm->strip_accents, err);
    }
    zo_tokenizer_push_pre(t, ZO_PRE_WHITESPACE_SPLIT);
    zo_tokenizer_push_pre(t, ZO_PRE_PUNCTUATION)->behavior = ZO_ISOLATED;
    return status;
}

/* Qwen2's split, published in its tokenizer.json and in transformers' tokenization_qwen2.py. */
static const char qwen2_regex[] = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
                                  "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

static zo_status build_byte_level(zo_tokenizer *t, zo_class_kind kind, const cJSON *settings, zo_err *err)
{
    zo_status status = ZO_OK;
    if (kind == ZO_CLASS_GPT_NEOX || kind == ZO_CLASS_QWEN2) {
        zo_tokenizer_push_norm(t, ZO_NORM_NFC);
    }
    if (kind == ZO_CLASS_QWEN2) {
        zo_pre *split = zo_tokenizer_push_pre(t, ZO_PRE_SPLIT);
        split->behavior = ZO_ISOLATED;
        status = zo_regex_compile(&split->pattern.regex, qwen2_regex, err);
    }
    zo_pre *pre = zo_tokenizer_push_pre(t, ZO_PRE_BYTE_LEVEL);
    if (status == ZO_OK && kind != ZO_CLASS_QWEN2) {
        status = zo_regex_compile(&pre->pattern.regex, ZO_GPT2_REGEX, err);
    }
    return status != ZO_OK ? status : read_flag(settings, "add_prefix_space", false, &pre->prefix_space, err);
}

/* null is false, as in Python's `if`. */
static zo_status read_truth(const cJSON *settings, const char *key, bool initial, bool *out, zo_err *err)
{
    zo_status status = read_flag(settings, key, initial, out, err);
    *out = *out && !cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(settings, key));
    return status;
}

#define MARK "\xE2\x96\x81"

static zo_pre *push_metaspace(zo_tokenizer *t, zo_prepend prepend, bool split)
{
    zo_pre *pre = zo_tokenizer_push_pre(t, ZO_PRE_METASPACE);
    pre->content = zo_strdup(ZO_TAG_DATA, MARK);
    pre->content_n = (int64_t)strlen(MARK);
    pre->prepend = prepend;
    pre->split = split;
    return pre;
}

static zo_norm *push_replace(zo_tokenizer *t, const char *literal, const char *content)
{
    zo_norm *norm = zo_tokenizer_push_norm(t, ZO_NORM_REPLACE);
    norm->pattern.literal = literal ? zo_strdup(ZO_TAG_DATA, literal) : NULL;
    norm->pattern.literal_n = literal ? (int64_t)strlen(literal) : 0;
    norm->content = zo_strdup(ZO_TAG_DATA, content);
    norm->content_n = (int64_t)strlen(content);
    return norm;
}

static zo_status push_replace_regex(zo_tokenizer *t, const char *regex, const char *content, zo_err *err)
{
    zo_norm *norm = push_replace(t, NULL, content);
    return zo_regex_compile(&norm->pattern.regex, regex, err);
}

static void take_charsmap(zo_tokenizer *t)
{
    if (t->charsmap != NULL) {
        zo_tokenizer_push_norm(t, ZO_NORM_CHARSMAP)->charsmap = t->charsmap;
        t->charsmap = NULL;
    }
}

static zo_status build_llama(zo_tokenizer *t, const cJSON *settings, zo_err *err)
{
    bool add_prefix_space = true, legacy = false;
    zo_status status = read_flag(settings, "add_prefix_space", true, &add_prefix_space, err);
    if (status == ZO_OK) {
        status = read_flag(settings, "legacy", false, &legacy, err);
    }
    t->model.fuse_unk = t->model.byte_fallback = true;
    push_metaspace(t, !add_prefix_space ? ZO_PREPEND_NEVER : legacy ? ZO_PREPEND_ALWAYS : ZO_PREPEND_FIRST, false);
    return status;
}

static void build_gemma(zo_tokenizer *t)
{
    t->model.fuse_unk = t->model.byte_fallback = true;
    push_replace(t, " ", MARK);
    zo_pre *split = zo_tokenizer_push_pre(t, ZO_PRE_SPLIT);
    split->pattern.literal = zo_strdup(ZO_TAG_DATA, " ");
    split->pattern.literal_n = 1;
    split->behavior = ZO_MERGED_WITH_PREVIOUS;
}

/* ALBERT, T5 and XLM-R: words, each with a mark. */
static zo_status build_words(zo_tokenizer *t, zo_class_kind kind, const cJSON *settings, zo_err *err)
{
    bool keep_accents = true, lowercase = false, prefix = true;
    zo_status status = kind == ZO_CLASS_ALBERT ? read_truth(settings, "keep_accents", false, &keep_accents, err) : ZO_OK;
    if (status == ZO_OK && kind == ZO_CLASS_ALBERT) {
        status = read_truth(settings, "do_lower_case", true, &lowercase, err);
        push_replace(t, "``", "\"");
        push_replace(t, "''", "\"");
    }
    if (status == ZO_OK && kind != ZO_CLASS_T5) {
        status = read_truth(settings, "add_prefix_space", true, &prefix, err);
    }
    if (!keep_accents) {
        zo_tokenizer_push_norm(t, ZO_NORM_NFKD);
        zo_tokenizer_push_norm(t, ZO_NORM_STRIP_ACCENTS);
    }
    if (lowercase) {
        zo_tokenizer_push_norm(t, ZO_NORM_LOWERCASE);
    }
    take_charsmap(t);
    zo_tokenizer_push_pre(t, ZO_PRE_WHITESPACE_SPLIT);
    push_metaspace(t, prefix ? ZO_PREPEND_ALWAYS : ZO_PREPEND_NEVER, true);
    return status;
}

static zo_status build_deberta_v2(zo_tokenizer *t, const cJSON *settings, zo_err *err)
{
    bool lowercase = false, by_punctuation = false, prefix = true;
    zo_status status = read_truth(settings, "do_lower_case", false, &lowercase, err);
    if (status == ZO_OK) {
        status = read_truth(settings, "split_by_punct", false, &by_punctuation, err);
    }
    if (status == ZO_OK) {
        status = read_truth(settings, "add_prefix_space", true, &prefix, err);
    }
    if (lowercase) {
        zo_tokenizer_push_norm(t, ZO_NORM_LOWERCASE);
    }
    if (status == ZO_OK) {
        status = push_replace_regex(t, "\\s{2,}|[\\n\\r\\t]", " ", err);
    }
    zo_tokenizer_push_norm(t, ZO_NORM_NFC);
    zo_tokenizer_push_norm(t, ZO_NORM_STRIP)->right = true;
    if (by_punctuation) {
        zo_tokenizer_push_pre(t, ZO_PRE_PUNCTUATION)->behavior = ZO_ISOLATED;
    }
    push_metaspace(t, prefix ? ZO_PREPEND_ALWAYS : ZO_PREPEND_FIRST, true);
    return status;
}

zo_status zo_class_build(zo_tokenizer *t, const zo_class *class_, const cJSON *settings, zo_err *err)
{
    t->model.kind = class_->model;
    if (class_->model == ZO_MODEL_UNIGRAM && class_->unk >= 0) {
        t->model.unk = class_->unk;
        if (t->model.unk >= t->model.vocab.size) {
            return zo_fail(err, ZO_EINPUT, "%s has the unknown piece at id %d, but the vocabulary has %d pieces", class_->name, t->model.unk, t->model.vocab.size);
        }
    }
    switch (class_->kind) {
    case ZO_CLASS_BERT:
        return build_bert(t, settings, err);
    case ZO_CLASS_LLAMA:
        return build_llama(t, settings, err);
    case ZO_CLASS_GEMMA:
        build_gemma(t);
        return ZO_OK;
    case ZO_CLASS_ALBERT: case ZO_CLASS_T5: case ZO_CLASS_XLM_ROBERTA:
        return build_words(t, class_->kind, settings, err);
    case ZO_CLASS_DEBERTA_V2:
        return build_deberta_v2(t, settings, err);
    case ZO_CLASS_FILE:
        break;
    default:
        return build_byte_level(t, class_->kind, settings, err);
    }
    ZO_CHECK(false, "class %s has no pipeline of its own", class_->name);
}

/* ---- a SentencePiece file as it stands ---- */

/* Longer ones first, so that the longest is found; of one length in the order of ids. */
static int compare_lengths(const void *left, const void *right)
{
    const char *l = *(const char *const *)left, *r = *(const char *const *)right;
    size_t l_n = strlen(l), r_n = strlen(r);
    return l_n != r_n ? (l_n > r_n ? -1 : 1) : strcmp(l, r);
}

/* A regex of all the user's own pieces, which are never merged. */
static zo_status push_user_defined(zo_tokenizer *t, const zo_spm *spm, zo_err *err)
{
    const char **pieces = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)spm->pieces_n * sizeof *pieces);
    size_t n = 0;
    for (int32_t i = 0; i < spm->pieces_n; i++) {
        if (spm->pieces[i].type == ZO_SPM_USER_DEFINED) {
            pieces[n++] = zo_tokenizer_token(t, i);
        }
    }
    qsort(pieces, n, sizeof *pieces, compare_lengths);
    zo_text regex = {0};
    for (size_t i = 0; i < n; i++) {
        zo_text_append(&regex, "|", i > 0);
        for (const char *at = pieces[i]; *at; at++) {
            bool is_plain = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') || (*at & 0x80) != 0;
            char spelled[8];
            snprintf(spelled, sizeof spelled, "\\x{%02X}", (unsigned)(uint8_t)*at);
            zo_text_append(&regex, is_plain ? at : spelled, is_plain ? 1 : (int64_t)strlen(spelled));
        }
    }
    zo_text_append(&regex, "", 1);
    zo_status status = ZO_OK;
    if (n > 0) {
        zo_pre *split = zo_tokenizer_push_pre(t, ZO_PRE_SPLIT);
        split->behavior = ZO_ISOLATED;
        status = zo_regex_compile(&split->pattern.regex, regex.data, err);
        t->model.ignore_merges = t->model.kind == ZO_MODEL_BPE;
    }
    zo_text_free(&regex);
    zo_free(pieces);
    return status;
}

zo_status zo_class_build_spm(zo_tokenizer *t, const zo_spm *spm, const cJSON *settings, zo_err *err)
{
    bool legacy;
    zo_status status = read_truth(settings, "legacy", true, &legacy, err);
    t->model.kind = spm->kind;
    t->model.byte_fallback = spm->byte_fallback;
    t->model.fuse_unk = true;
    t->model.unk = spm->kind == ZO_MODEL_UNIGRAM ? spm->unk_id : zo_tokenizer_id(t, spm->unk_piece);
    take_charsmap(t);
    if (status == ZO_OK && spm->remove_extra_whitespaces) {
        status = push_replace_regex(t, "\\A +| +\\z", "", err);
        status = status != ZO_OK ? status : push_replace_regex(t, " {2,}", " ", err);
    }
    if (spm->escape_whitespaces) {
        push_replace(t, " ", MARK);
    }
    if (spm->add_dummy_prefix && legacy && status == ZO_OK) { /* Metaspace adds none before a mark of the text, SentencePiece does */
        status = push_replace_regex(t, "\\A" MARK, MARK MARK, err);
    }
    if (spm->add_dummy_prefix) {
        push_metaspace(t, legacy ? ZO_PREPEND_ALWAYS : ZO_PREPEND_FIRST, false);
    }
    return status != ZO_OK ? status : push_user_defined(t, spm, err);
}
