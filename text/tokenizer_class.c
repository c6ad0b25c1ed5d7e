/* tokenizer_class.c: the tokenizer classes of transformers.
 *
 * A class with a pipeline of its own takes vocabulary and merges from tokenizer.json and builds the rest anew by the flags of
 * tokenizer_config.json; what tokenizer.json says of normalizer, pre-tokenizer and the model's options is then not used. So does
 * transformers 5 (5.24.0: models/.../tokenization_*.py; tests/golden/make_tokenizer_configs.py makes the golden files). Flags that a class does
 * not have (do_lower_case of GPT2Tokenizer) change nothing there, nor here. */
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

#define END "<|endoftext|>"
enum { ROW_FILE, ROW_BERT, ROW_ROBERTA, ROW_GPT2, ROW_GPT_NEOX, ROW_QWEN2, ROW_LLAMA };
static const zo_class rows[] = {
    /* the specials are bos, eos, unk, sep, pad, cls, mask */
    {"PreTrainedTokenizerFast", ZO_CLASS_FILE, ZO_MODEL_BPE, {NULL}},
    {"BertTokenizer", ZO_CLASS_BERT, ZO_MODEL_WORDPIECE, {NULL, NULL, "[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"}},
    {"RobertaTokenizer", ZO_CLASS_ROBERTA, ZO_MODEL_BPE, {"<s>", "</s>", "<unk>", "</s>", "<pad>", "<s>", "<mask>"}},
    {"GPT2Tokenizer", ZO_CLASS_GPT2, ZO_MODEL_BPE, {END, END, END, NULL, NULL, NULL, NULL}},
    {"GPTNeoXTokenizer", ZO_CLASS_GPT_NEOX, ZO_MODEL_BPE, {END, END, END, NULL, "<|padding|>", NULL, NULL}},
    {"Qwen2Tokenizer", ZO_CLASS_QWEN2, ZO_MODEL_BPE, {NULL, END, END, NULL, END, NULL, NULL}},
    {"LlamaTokenizer", ZO_CLASS_LLAMA, ZO_MODEL_BPE, {"<s>", "</s>", "<unk>", NULL, NULL, NULL, NULL}}};

/* Names without "Fast". */
typedef struct class_name { const char *name; int row; } class_name;
static const class_name names[] = {
    {"BertTokenizer", ROW_BERT},         {"DistilBertTokenizer", ROW_BERT},  {"ElectraTokenizer", ROW_BERT},
    {"LayoutLMTokenizer", ROW_BERT},     {"LxmertTokenizer", ROW_BERT},      {"MobileBertTokenizer", ROW_BERT},
    {"SqueezeBertTokenizer", ROW_BERT},  {"RobertaTokenizer", ROW_ROBERTA},  {"BartTokenizer", ROW_ROBERTA},
    {"LongformerTokenizer", ROW_ROBERTA}, {"LEDTokenizer", ROW_ROBERTA},     {"MvpTokenizer", ROW_ROBERTA},
    {"GPT2Tokenizer", ROW_GPT2},         {"CodeGenTokenizer", ROW_GPT2},     {"GPTNeoXTokenizer", ROW_GPT_NEOX},
    {"Qwen2Tokenizer", ROW_QWEN2},       {"LlamaTokenizer", ROW_LLAMA},      {"Phi3Tokenizer", ROW_LLAMA}};

static const class_name models[] = {{"bert", ROW_BERT},   {"distilbert", ROW_BERT}, {"roberta", ROW_ROBERTA},
                                    {"gpt2", ROW_GPT2},   {"gpt_neo", ROW_GPT2},    {"gptj", ROW_GPT2},
                                    {"opt", ROW_GPT2},    {"gpt_neox", ROW_GPT_NEOX}, {"electra", ROW_BERT}};

/* Other classes of transformers 5.24.0 that build pipelines of their own. */
static const char *const other_classes[] = {
    "AlbertTokenizer",     "BarthezTokenizer",    "BartphoTokenizer",      "BertGenerationTokenizer", "BertJapaneseTokenizer",
    "BertweetTokenizer",   "BigBirdTokenizer",    "BioGptTokenizer",       "BlenderbotSmallTokenizer", "BlenderbotTokenizer",
    "ByT5Tokenizer",       "CLIPTokenizer",       "CTRLTokenizer",         "CamembertTokenizer",      "CanineTokenizer",
    "CharacterTokenizer",  "CodeLlamaTokenizer",  "CohereTokenizer",       "ConvBertTokenizer",       "CpmAntTokenizer",
    "CpmTokenizer",        "DPRContextEncoderTokenizer", "DPRQuestionEncoderTokenizer", "DPRReaderTokenizer", "DebertaTokenizer",
    "DebertaV2Tokenizer",  "EsmTokenizer",        "EsmcTokenizer",         "FNetTokenizer",           "FSMTTokenizer",
    "FlaubertTokenizer",   "FunnelTokenizer",     "GPTNeoXJapaneseTokenizer", "GPTSw3Tokenizer",      "GemmaTokenizer",
    "HerbertTokenizer",    "LayoutLMv2Tokenizer", "LayoutLMv3Tokenizer",   "LayoutXLMTokenizer",      "LukeTokenizer",
    "M2M100Tokenizer",     "MBart50Tokenizer",    "MBartTokenizer",        "MLukeTokenizer",          "MPNetTokenizer",
    "MarianTokenizer",     "MarkupLMTokenizer",   "MgpstrTokenizer",       "MyT5Tokenizer",           "NllbTokenizer",
    "NougatTokenizer",     "OpenAIGPTTokenizer",  "PLBartTokenizer",       "PegasusTokenizer",        "PerceiverTokenizer",
    "PhobertTokenizer",    "ProphetNetTokenizer", "Qwen3_5Tokenizer",      "ReformerTokenizer",       "RemBertTokenizer",
    "RoCBertTokenizer",    "RoFormerTokenizer",   "SeamlessM4TTokenizer",  "Siglip2Tokenizer",        "SiglipTokenizer",
    "SplinterTokenizer",   "T5Tokenizer",         "TapasTokenizer",        "UdopTokenizer",           "WhisperTokenizer",
    "XGLMTokenizer",       "XLMRobertaTokenizer", "XLMTokenizer",          "XLNetTokenizer"};

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

const zo_class *zo_class_of_model(const char *model_type)
{
    for (int i = 0; i < COUNT(models); i++) {
        if (strcmp(models[i].name, model_type) == 0) {
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

static zo_status build_llama(zo_tokenizer *t, const cJSON *settings, zo_err *err)
{
    bool add_prefix_space = true, legacy = false;
    zo_status status = read_flag(settings, "add_prefix_space", true, &add_prefix_space, err);
    if (status == ZO_OK) {
        status = read_flag(settings, "legacy", false, &legacy, err);
    }
    t->model.fuse_unk = t->model.byte_fallback = true;
    zo_pre *pre = zo_tokenizer_push_pre(t, ZO_PRE_METASPACE);
    pre->content = zo_strdup(ZO_TAG_DATA, "\xE2\x96\x81");
    pre->content_n = 3;
    pre->prepend = !add_prefix_space ? ZO_PREPEND_NEVER : legacy ? ZO_PREPEND_ALWAYS : ZO_PREPEND_FIRST;
    return status;
}

zo_status zo_class_build(zo_tokenizer *t, const zo_class *class_, const cJSON *settings, zo_err *err)
{
    t->model.kind = class_->model;
    switch (class_->kind) {
    case ZO_CLASS_BERT:
        return build_bert(t, settings, err);
    case ZO_CLASS_LLAMA:
        return build_llama(t, settings, err);
    case ZO_CLASS_FILE:
        break;
    default:
        return build_byte_level(t, class_->kind, settings, err);
    }
    ZO_CHECK(false, "class %s has no pipeline of its own", class_->name);
}
