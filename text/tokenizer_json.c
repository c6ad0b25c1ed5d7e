/* tokenizer_json.c: tokenizer.json into a zo_tokenizer.
 *
 * Every type and option that the `tokenizers` library writes is either done or refused with the key where it stands; truncation
 * and padding are left to text/batch.h. The ids of added tokens are those that the library gives, which overlooks an id in the
 * file that is another; here it is an error. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/conf.h"
#include "core/mem.h"
#include "text/tokenizer_impl.h"

#define WHERE_BYTES 160
#define MOST_STEPS 64

/* ---- reading members; `where` is the path of the object, as "pre_tokenizer.pretokenizers[1]" ---- */

static zo_status read_bool(const cJSON *object, const char *key, bool initial, const char *where, bool *out, zo_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    *out = initial;
    if (member == NULL || cJSON_IsNull(member)) {
        return ZO_OK;
    }
    if (!cJSON_IsBool(member)) {
        return zo_fail(err, ZO_EINPUT, "%s.%s is not true or false", where, key);
    }
    *out = cJSON_IsTrue(member);
    return ZO_OK;
}

/* NULL where absent or null. */
static zo_status read_string(const cJSON *object, const char *key, const char *where, const char **out, zo_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    *out = NULL;
    if (member == NULL || cJSON_IsNull(member)) {
        return ZO_OK;
    }
    if (!cJSON_IsString(member)) {
        return zo_fail(err, ZO_EINPUT, "%s.%s is not a string", where, key);
    }
    *out = member->valuestring;
    return ZO_OK;
}

static zo_status need_string(const cJSON *object, const char *key, const char *where, const char **out, zo_err *err)
{
    zo_status status = read_string(object, key, where, out, err);
    if (status == ZO_OK && *out == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s has no %s", where, key);
    }
    return status;
}

static bool read_id(const cJSON *item, int64_t *id)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) || item->valuedouble >= ZO_TOKEN_ID_LIMIT ||
        item->valuedouble != floor(item->valuedouble)) {
        return false;
    }
    *id = (int64_t)item->valuedouble;
    return true;
}

/* {"String": "..."} or {"Regex": "..."} */
static zo_status read_pattern(const cJSON *object, const char *where, zo_pattern *pattern, zo_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, "pattern");
    const cJSON *literal = cJSON_GetObjectItemCaseSensitive(member, "String");
    const cJSON *regex = cJSON_GetObjectItemCaseSensitive(member, "Regex");
    if (cJSON_IsString(literal)) {
        pattern->literal = zo_strdup(ZO_TAG_DATA, literal->valuestring);
        pattern->literal_n = (int64_t)strlen(literal->valuestring);
        return ZO_OK;
    }
    if (!cJSON_IsString(regex)) {
        return zo_fail(err, ZO_EINPUT, "%s.pattern is neither {\"String\": ...} nor {\"Regex\": ...}", where);
    }
    zo_status status = zo_regex_compile(&pattern->regex, regex->valuestring, err);
    if (status != ZO_OK) {
        char what[2 * WHERE_BYTES];
        snprintf(what, sizeof what, "%s.pattern.Regex \"%.120s\"", where, regex->valuestring);
        return zo_fail_in(err, what);
    }
    return ZO_OK;
}

/* Every name of `choices` ("A|B|C") has its place as number; -1 when `name` is none. */
static int choice_of(const char *name, const char *choices)
{
    size_t n = strlen(name);
    for (int i = 0;; i++) {
        const char *bar = strchr(choices, '|');
        size_t length = bar ? (size_t)(bar - choices) : strlen(choices);
        if (length == n && memcmp(choices, name, n) == 0) {
            return i;
        }
        if (bar == NULL) {
            return -1;
        }
        choices = bar + 1;
    }
}

static zo_status need_choice(const cJSON *object, const char *key, const char *initial, const char *choices, const char *where,
                             int *out, zo_err *err)
{
    const char *name;
    zo_status status = read_string(object, key, where, &name, err);
    if (status != ZO_OK) {
        return status;
    }
    name = name ? name : initial;
    if (name == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s has no %s; one of %s is expected", where, key, choices);
    }
    *out = choice_of(name, choices);
    return *out >= 0 ? ZO_OK
                     : zo_fail(err, ZO_EUNSUPPORTED, "%s.%s \"%.60s\" is not supported; these are: %s", where, key, name, choices);
}

static zo_status type_of(const cJSON *object, const char *choices, const char *where, int *out, zo_err *err)
{
    if (!cJSON_IsObject(object)) {
        return zo_fail(err, ZO_EINPUT, "%s is not an object", where);
    }
    return need_choice(object, "type", NULL, choices, where, out, err);
}

/* ---- normalizer ---- */

static zo_status read_norm(zo_tokenizer *t, const cJSON *object, const char *where, int depth, zo_err *err);

static zo_status read_steps(zo_tokenizer *t, const cJSON *object, const char *key, const char *where, int depth,
                            zo_status (*read)(zo_tokenizer *, const cJSON *, const char *, int, zo_err *), zo_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    if (!cJSON_IsArray(list)) {
        return zo_fail(err, ZO_EINPUT, "%s.%s is not a list", where, key);
    }
    int i = 0;
    cJSON_ArrayForEach(item, list) {
        char inner[WHERE_BYTES];
        snprintf(inner, sizeof inner, "%.80s.%s[%d]", where, key, i++);
        if (depth > 8) {
            return zo_fail(err, ZO_EUNSUPPORTED, "%s: sequences nest deeper than 8", inner);
        }
        zo_status status = read(t, item, inner, depth + 1, err);
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

static zo_status read_bert_norm(zo_tokenizer *t, const cJSON *object, const char *where, zo_err *err)
{
    zo_norm *norm = zo_tokenizer_push_norm(t, ZO_NORM_BERT);
    zo_status status = read_bool(object, "clean_text", true, where, &norm->clean_text, err);
    if (status == ZO_OK) {
        status = read_bool(object, "handle_chinese_chars", true, where, &norm->chinese_chars, err);
    }
    if (status == ZO_OK) {
        status = read_bool(object, "lowercase", true, where, &norm->lowercase, err);
    }
    if (status == ZO_OK) { /* null means: as lowercase */
        status = read_bool(object, "strip_accents", norm->lowercase, where, &norm->strip_accents, err);
    }
    return status;
}

static zo_status set_content(char **content, int64_t *content_n, const cJSON *object, const char *key, const char *where,
                             zo_err *err)
{
    const char *text;
    zo_status status = need_string(object, key, where, &text, err);
    if (status == ZO_OK) {
        *content = zo_strdup(ZO_TAG_DATA, text);
        *content_n = (int64_t)strlen(text);
    }
    return status;
}

static int base64_value(char c)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(letters, c) : NULL;
    return at ? (int)(at - letters) : -1;
}

/* RFC 4648 with its padding; false where it is something else. `out` has room for 3 bytes for each 4 of `text`. */
static bool base64_decode(const char *text, char *out, size_t *out_n)
{
    size_t n = strlen(text), pad = n >= 1 && text[n - 1] == '=' ? (n >= 2 && text[n - 2] == '=' ? 2 : 1) : 0;
    *out_n = 0;
    if (n % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i += 4) {
        uint32_t bits = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = i + j < n - pad ? base64_value(text[i + j]) : 0;
            if (value < 0) {
                return false;
            }
            bits = bits << 6 | (uint32_t)value;
        }
        for (size_t j = 0, bytes = i + 4 < n ? 3 : 3 - pad; j < bytes; j++) {
            out[(*out_n)++] = (char)(bits >> (16 - 8 * j));
        }
    }
    return true;
}

static zo_status read_charsmap(const cJSON *object, const char *where, zo_charsmap **out, zo_err *err)
{
    const char *text;
    zo_status status = need_string(object, "precompiled_charsmap", where, &text, err);
    if (status != ZO_OK) {
        return status;
    }
    size_t bytes;
    char *data = zo_alloc(ZO_HOST, ZO_TAG_DATA, strlen(text) / 4 * 3 + 1);
    status = base64_decode(text, data, &bytes) ? zo_charsmap_read(out, data, bytes, err) : zo_fail(err, ZO_EINPUT, "it is not base64");
    zo_free(data);
    if (status != ZO_OK) {
        char what[2 * WHERE_BYTES];
        snprintf(what, sizeof what, "%s.precompiled_charsmap", where);
        return zo_fail_in(err, what);
    }
    return ZO_OK;
}

static zo_status read_norm(zo_tokenizer *t, const cJSON *object, const char *where, int depth, zo_err *err)
{
    enum { SEQUENCE = ZO_NORM_CHARSMAP + 1 };
    int kind;
    zo_status status = type_of(object,
                               "BertNormalizer|NFC|NFD|NFKC|NFKD|Lowercase|StripAccents|Strip|Replace|Prepend|ByteLevel|Nmt|Precompiled|Sequence",
                               where, &kind, err);
    if (status != ZO_OK) {
        return status;
    }
    if (kind == SEQUENCE) {
        return read_steps(t, object, "normalizers", where, depth, read_norm, err);
    }
    if (t->norms_n >= MOST_STEPS) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: more than %d normalizers", where, MOST_STEPS);
    }
    if (kind == ZO_NORM_BERT) {
        return read_bert_norm(t, object, where, err);
    }
    zo_norm *norm = zo_tokenizer_push_norm(t, (zo_norm_kind)kind);
    if (kind == ZO_NORM_STRIP) {
        status = read_bool(object, "strip_left", true, where, &norm->left, err);
        return status != ZO_OK ? status : read_bool(object, "strip_right", true, where, &norm->right, err);
    }
    if (kind == ZO_NORM_REPLACE) {
        status = read_pattern(object, where, &norm->pattern, err);
        return status != ZO_OK ? status : set_content(&norm->content, &norm->content_n, object, "content", where, err);
    }
    if (kind == ZO_NORM_CHARSMAP) {
        return read_charsmap(object, where, &norm->charsmap, err);
    }
    if (kind == ZO_NORM_PREPEND) {
        return set_content(&norm->content, &norm->content_n, object, "prepend", where, err);
    }
    return ZO_OK;
}

/* ---- pre-tokenizer ---- */

static zo_status read_metaspace(zo_tokenizer *t, const cJSON *object, const char *where, zo_err *err)
{
    zo_pre *pre = zo_tokenizer_push_pre(t, ZO_PRE_METASPACE);
    zo_status status = set_content(&pre->content, &pre->content_n, object, "replacement", where, err);
    int32_t c;
    if (status == ZO_OK && (pre->content_n == 0 || zo_utf8_next(pre->content, &c) != pre->content_n)) {
        return zo_fail(err, ZO_EINPUT, "%s.replacement \"%.20s\" is not one character", where, pre->content);
    }
    int prepend = ZO_PREPEND_ALWAYS;
    bool old_form = true;
    if (status == ZO_OK) {
        status = read_bool(object, "add_prefix_space", true, where, &old_form, err);
    }
    if (status == ZO_OK) {
        status = need_choice(object, "prepend_scheme", old_form ? "always" : "never", "always|first|never", where, &prepend, err);
    }
    pre->prepend = (zo_prepend)prepend;
    return status != ZO_OK ? status : read_bool(object, "split", true, where, &pre->split, err);
}

#define BEHAVIORS "Removed|Isolated|MergedWithPrevious|MergedWithNext|Contiguous"

static zo_status read_behavior(const cJSON *object, const char *initial, const char *where, zo_pre *pre, zo_err *err)
{
    int behavior;
    zo_status status = need_choice(object, "behavior", initial, BEHAVIORS, where, &behavior, err);
    if (status == ZO_OK) {
        pre->behavior = (zo_behavior)behavior;
    }
    return status;
}

static zo_status read_byte_level(zo_tokenizer *t, const cJSON *object, const char *where, zo_err *err)
{
    zo_pre *pre = zo_tokenizer_push_pre(t, ZO_PRE_BYTE_LEVEL);
    bool use_regex;
    zo_status status = read_bool(object, "add_prefix_space", true, where, &pre->prefix_space, err);
    if (status == ZO_OK) {
        status = read_bool(object, "use_regex", true, where, &use_regex, err);
    }
    if (status == ZO_OK && use_regex) {
        status = zo_regex_compile(&pre->pattern.regex, ZO_GPT2_REGEX, err);
    }
    return status;
}

static zo_status read_pre(zo_tokenizer *t, const cJSON *object, const char *where, int depth, zo_err *err)
{
    enum { SEQUENCE, BYTE_LEVEL, DIGITS, SPLIT, METASPACE, BERT, WHITESPACE, WHITESPACE_SPLIT, PUNCTUATION };
    int kind;
    zo_status status = type_of(object,
                               "Sequence|ByteLevel|Digits|Split|Metaspace|BertPreTokenizer|Whitespace|WhitespaceSplit|Punctuation",
                               where, &kind, err);
    if (status != ZO_OK) {
        return status;
    }
    if (t->pres_n >= MOST_STEPS) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: more than %d pre-tokenizers", where, MOST_STEPS);
    }
    zo_pre *pre;
    bool individual;
    switch (kind) {
    case SEQUENCE:
        return read_steps(t, object, "pretokenizers", where, depth, read_pre, err);
    case BYTE_LEVEL:
        return read_byte_level(t, object, where, err);
    case DIGITS:
        pre = zo_tokenizer_push_pre(t, ZO_PRE_DIGITS);
        status = read_bool(object, "individual_digits", false, where, &individual, err);
        pre->behavior = status == ZO_OK && individual ? ZO_ISOLATED : ZO_CONTIGUOUS;
        return status;
    case SPLIT:
        pre = zo_tokenizer_push_pre(t, ZO_PRE_SPLIT);
        status = read_pattern(object, where, &pre->pattern, err);
        if (status == ZO_OK) {
            status = read_behavior(object, NULL, where, pre, err);
        }
        return status != ZO_OK ? status : read_bool(object, "invert", false, where, &pre->invert, err);
    case METASPACE:
        return read_metaspace(t, object, where, err);
    case BERT:
        zo_tokenizer_push_pre(t, ZO_PRE_WHITESPACE_SPLIT);
        zo_tokenizer_push_pre(t, ZO_PRE_PUNCTUATION)->behavior = ZO_ISOLATED;
        return ZO_OK;
    case WHITESPACE:
        zo_tokenizer_push_pre(t, ZO_PRE_WHITESPACE);
        return ZO_OK;
    case WHITESPACE_SPLIT:
        zo_tokenizer_push_pre(t, ZO_PRE_WHITESPACE_SPLIT);
        return ZO_OK;
    default:
        return read_behavior(object, "Isolated", where, zo_tokenizer_push_pre(t, ZO_PRE_PUNCTUATION), err);
    }
}

/* ---- model ---- */

static zo_status read_vocab(zo_model *model, const cJSON *object, zo_err *err)
{
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(object, "vocab"), *item;
    if (!cJSON_IsObject(vocab)) {
        return zo_fail(err, ZO_EINPUT, "model.vocab is not an object of token: id");
    }
    cJSON_ArrayForEach(item, vocab) {
        int64_t id;
        if (!read_id(item, &id)) {
            return zo_fail(err, ZO_EINPUT, "model.vocab[\"%.60s\"] is not an id from 0 to %d", item->string,
                           ZO_TOKEN_ID_LIMIT - 1);
        }
        zo_status status = zo_vocab_add(&model->vocab, item->string, strlen(item->string), id, err);
        if (status != ZO_OK) {
            return zo_fail_in(err, "model.vocab");
        }
    }
    return ZO_OK;
}

/* A merge is "left right" or ["left", "right"]. */
static zo_status read_merge(zo_model *model, const cJSON *item, uint32_t rank, zo_err *err)
{
    if (cJSON_IsString(item)) {
        const char *text = item->valuestring, *space = strchr(text, ' ');
        if (space != NULL && strchr(space + 1, ' ') == NULL) {
            return zo_model_add_merge(model, text, (size_t)(space - text), space + 1, strlen(space + 1), rank, err);
        }
    } else if (cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2) {
        const cJSON *left = item->child, *right = left->next;
        if (cJSON_IsString(left) && cJSON_IsString(right)) {
            return zo_model_add_merge(model, left->valuestring, strlen(left->valuestring), right->valuestring,
                                      strlen(right->valuestring), rank, err);
        }
    }
    return zo_fail(err, ZO_EINPUT, "entry %u is neither \"left right\" nor [\"left\", \"right\"]", rank);
}

static zo_status read_merges(zo_model *model, const cJSON *object, zo_err *err)
{
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(object, "merges"), *item;
    if (!cJSON_IsArray(merges)) {
        return zo_fail(err, ZO_EINPUT, "model.merges is not a list");
    }
    zo_model_reserve_merges(model, (size_t)cJSON_GetArraySize(merges));
    uint32_t rank = 0;
    cJSON_ArrayForEach(item, merges) {
        zo_status status = read_merge(model, item, rank++, err);
        if (status != ZO_OK) {
            return zo_fail_in(err, "model.merges");
        }
    }
    return ZO_OK;
}

static zo_status read_bpe(zo_tokenizer *t, const cJSON *object, zo_err *err)
{
    zo_model *model = &t->model;
    model->kind = ZO_MODEL_BPE;
    const cJSON *dropout = cJSON_GetObjectItemCaseSensitive(object, "dropout");
    if (cJSON_IsNumber(dropout) && dropout->valuedouble != 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "model.dropout is %g; only null (no dropout) is supported", dropout->valuedouble);
    }
    const char *prefix, *suffix, *unk;
    zo_status status = read_string(object, "continuing_subword_prefix", "model", &prefix, err);
    if (status == ZO_OK) {
        status = read_string(object, "end_of_word_suffix", "model", &suffix, err);
    }
    if (status == ZO_OK) {
        status = read_string(object, "unk_token", "model", &unk, err);
    }
    if (status == ZO_OK) {
        status = read_bool(object, "fuse_unk", false, "model", &model->fuse_unk, err);
    }
    if (status == ZO_OK) {
        status = read_bool(object, "byte_fallback", false, "model", &model->byte_fallback, err);
    }
    if (status == ZO_OK) {
        status = read_bool(object, "ignore_merges", false, "model", &model->ignore_merges, err);
    }
    if (status == ZO_OK) {
        status = read_vocab(model, object, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    model->prefix = prefix && *prefix ? zo_strdup(ZO_TAG_DATA, prefix) : NULL;
    model->suffix = suffix && *suffix ? zo_strdup(ZO_TAG_DATA, suffix) : NULL;
    model->unk = unk ? zo_vocab_find(&model->vocab, unk, strlen(unk)) : -1;
    if (unk && model->unk < 0) {
        return zo_fail(err, ZO_EINPUT, "model.unk_token \"%.60s\" is not in model.vocab", unk);
    }
    return read_merges(model, object, err);
}

static zo_status read_wordpiece(zo_tokenizer *t, const cJSON *object, zo_err *err)
{
    zo_model *model = &t->model;
    model->kind = ZO_MODEL_WORDPIECE;
    const char *prefix, *unk;
    zo_status status = read_vocab(model, object, err);
    if (status == ZO_OK) {
        status = read_string(object, "continuing_subword_prefix", "model", &prefix, err);
    }
    if (status == ZO_OK) {
        status = read_string(object, "unk_token", "model", &unk, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    model->prefix = zo_strdup(ZO_TAG_DATA, prefix ? prefix : "##");
    unk = unk ? unk : "[UNK]";
    model->unk = zo_vocab_find(&model->vocab, unk, strlen(unk));
    if (model->unk < 0) {
        return zo_fail(err, ZO_EINPUT, "model.unk_token \"%.60s\" is not in model.vocab", unk);
    }
    const cJSON *most = cJSON_GetObjectItemCaseSensitive(object, "max_input_chars_per_word");
    model->most_chars = 100;
    if (most != NULL && !read_id(most, &model->most_chars)) {
        return zo_fail(err, ZO_EINPUT, "model.max_input_chars_per_word is not a count of characters");
    }
    return ZO_OK;
}

/* [[piece, score], ...]; ids are places. */
static zo_status read_pieces(zo_model *model, const cJSON *object, zo_err *err)
{
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(object, "vocab"), *item;
    if (!cJSON_IsArray(vocab)) {
        return zo_fail(err, ZO_EINPUT, "model.vocab is not a list of [piece, score]");
    }
    int64_t id = 0;
    cJSON_ArrayForEach(item, vocab) {
        const cJSON *piece = cJSON_IsArray(item) ? item->child : NULL, *score = piece ? piece->next : NULL;
        if (!cJSON_IsString(piece) || !cJSON_IsNumber(score) || !isfinite(score->valuedouble) || score->next != NULL) {
            return zo_fail(err, ZO_EINPUT, "model.vocab[%lld] is not [piece, score]", (long long)id);
        }
        zo_status status = zo_vocab_add(&model->vocab, piece->valuestring, strlen(piece->valuestring), id, err);
        if (status != ZO_OK) {
            return zo_fail_in(err, "model.vocab");
        }
        zo_unigram_set_score(model, (int32_t)id++, score->valuedouble);
    }
    return ZO_OK;
}

static zo_status read_unigram(zo_tokenizer *t, const cJSON *object, zo_err *err)
{
    zo_model *model = &t->model;
    model->kind = ZO_MODEL_UNIGRAM;
    const cJSON *unk = cJSON_GetObjectItemCaseSensitive(object, "unk_id");
    zo_status status = read_pieces(model, object, err);
    if (status == ZO_OK) {
        status = read_bool(object, "byte_fallback", false, "model", &model->byte_fallback, err);
    }
    if (status != ZO_OK || unk == NULL || cJSON_IsNull(unk)) {
        return status;
    }
    int64_t id;
    if (!read_id(unk, &id) || id >= model->vocab.size) {
        return zo_fail(err, ZO_EINPUT, "model.unk_id is not an id of model.vocab, which has %d pieces", model->vocab.size);
    }
    model->unk = (int32_t)id;
    return ZO_OK;
}

static zo_status need_model(const cJSON *root, const cJSON **object, zo_err *err)
{
    *object = cJSON_GetObjectItemCaseSensitive(root, "model");
    return cJSON_IsObject(*object) ? ZO_OK : zo_fail(err, ZO_EINPUT, "it has no object \"model\", so it is no tokenizer.json");
}

zo_status zo_tokenizer_json_kind(const cJSON *root, zo_model_kind *kind, zo_err *err)
{
    const cJSON *object;
    zo_status status = need_model(root, &object, err);
    if (status != ZO_OK) {
        return status;
    }
    /* files of old versions leave the type out */
    const char *guess = cJSON_HasObjectItem(object, "merges")                                       ? "BPE"
                        : cJSON_HasObjectItem(object, "max_input_chars_per_word")                   ? "WordPiece"
                        : cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(object, "vocab"))          ? "Unigram"
                                                                                                    : NULL;
    int choice;
    status = need_choice(object, "type", guess, "BPE|WordPiece|Unigram", "model", &choice, err);
    *kind = (zo_model_kind)choice;
    return status;
}

/* The first Precompiled of the normalizers, for a class that builds its own. */
static zo_status read_first_charsmap(zo_tokenizer *t, const cJSON *root, zo_err *err)
{
    const cJSON *normalizer = cJSON_GetObjectItemCaseSensitive(root, "normalizer");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(normalizer, "normalizers");
    for (const cJSON *item = list ? list->child : normalizer; item != NULL; item = list ? item->next : NULL) {
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "type");
        if (cJSON_IsString(type) && strcmp(type->valuestring, "Precompiled") == 0) {
            return read_charsmap(item, "normalizer", &t->charsmap, err);
        }
    }
    return ZO_OK;
}

zo_status zo_tokenizer_json_vocab(zo_tokenizer *t, const cJSON *root, zo_err *err)
{
    const cJSON *object;
    zo_status status = need_model(root, &object, err);
    if (status == ZO_OK) {
        status = t->model.kind == ZO_MODEL_UNIGRAM ? read_pieces(&t->model, object, err) : read_vocab(&t->model, object, err);
    }
    if (status == ZO_OK && t->model.kind == ZO_MODEL_UNIGRAM) {
        status = read_first_charsmap(t, root, err);
    }
    return status == ZO_OK && t->model.kind == ZO_MODEL_BPE ? read_merges(&t->model, object, err) : status;
}

static zo_status read_model(zo_tokenizer *t, const cJSON *root, zo_err *err)
{
    const cJSON *object;
    zo_model_kind kind;
    zo_status status = need_model(root, &object, err);
    if (status == ZO_OK) {
        status = zo_tokenizer_json_kind(root, &kind, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    return kind == ZO_MODEL_BPE         ? read_bpe(t, object, err)
           : kind == ZO_MODEL_WORDPIECE ? read_wordpiece(t, object, err)
                                        : read_unigram(t, object, err);
}

/* ---- added tokens ---- */

static zo_status read_added_token(zo_tokenizer *t, const cJSON *item, const char *where, zo_err *err)
{
    zo_added flags = {0};
    const char *content = NULL;
    int64_t id;
    if (!cJSON_IsObject(item) || !read_id(cJSON_GetObjectItemCaseSensitive(item, "id"), &id)) {
        return zo_fail(err, ZO_EINPUT, "%s has no id from 0 to %d", where, ZO_TOKEN_ID_LIMIT - 1);
    }
    zo_status status = need_string(item, "content", where, &content, err);
    if (status == ZO_OK) {
        status = read_bool(item, "single_word", false, where, &flags.single_word, err);
    }
    if (status == ZO_OK) {
        status = read_bool(item, "lstrip", false, where, &flags.left_strip, err);
    }
    if (status == ZO_OK) {
        status = read_bool(item, "rstrip", false, where, &flags.right_strip, err);
    }
    if (status == ZO_OK) {
        status = read_bool(item, "normalized", true, where, &flags.normalized, err);
    }
    if (status == ZO_OK) {
        status = read_bool(item, "special", false, where, &flags.special, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    status = zo_tokenizer_add_token(t, flags, content, err);
    const zo_added *added = zo_tokenizer_find_added(t, content); /* NULL: the content is empty */
    if (status == ZO_OK && added != NULL && added->id != id) {
        status = zo_fail(err, ZO_EINPUT, "\"%.60s\" has id %lld here and %d %s", content, (long long)id, added->id,
                         zo_vocab_find(&t->model.vocab, content, strlen(content)) >= 0
                             ? "in model.vocab"
                             : "by its place: added tokens take the next ids behind the vocabulary");
    }
    return status == ZO_OK ? ZO_OK : zo_fail_in(err, where);
}

static zo_status read_added(zo_tokenizer *t, const cJSON *root, zo_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "added_tokens"), *item;
    if (list == NULL || cJSON_IsNull(list)) {
        return ZO_OK;
    }
    if (!cJSON_IsArray(list)) {
        return zo_fail(err, ZO_EINPUT, "added_tokens is not a list");
    }
    int i = 0;
    zo_status status = ZO_OK;
    cJSON_ArrayForEach(item, list) {
        char where[WHERE_BYTES];
        snprintf(where, sizeof where, "added_tokens[%d]", i++);
        status = status == ZO_OK ? read_added_token(t, item, where, err) : status;
    }
    return status;
}

/* ---- post-processor ---- */

/* ["[SEP]", 102] */
static zo_status read_token_pair(const cJSON *object, const char *key, const char *where, int32_t *id, zo_err *err)
{
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(object, key);
    int64_t value;
    if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2 || !read_id(pair->child->next, &value)) {
        return zo_fail(err, ZO_EINPUT, "%s.%s is not [token, id]", where, key);
    }
    *id = (int32_t)value;
    return ZO_OK;
}

static zo_status read_cls_sep(zo_tokenizer *t, const cJSON *object, const char *where, bool is_roberta, zo_err *err)
{
    int32_t cls = -1, sep = -1;
    zo_status status = read_token_pair(object, "cls", where, &cls, err);
    if (status == ZO_OK) {
        status = read_token_pair(object, "sep", where, &sep, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    zo_tokenizer_set_cls_sep(t, cls, sep, is_roberta);
    return ZO_OK;
}

static zo_status push_special_part(zo_template *form, const cJSON *specials, const char *name, uint8_t type, const char *where,
                                   zo_err *err)
{
    const cJSON *ids = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(specials, name), "ids"), *item;
    if (!cJSON_IsArray(ids)) {
        return zo_fail(err, ZO_EINPUT, "%s names \"%.60s\", which post_processor.special_tokens does not define", where, name);
    }
    cJSON_ArrayForEach(item, ids) {
        int64_t id;
        if (!read_id(item, &id)) {
            return zo_fail(err, ZO_EINPUT, "post_processor.special_tokens[\"%.60s\"].ids holds something that is no id", name);
        }
        zo_template_push(form, ZO_TEMPLATE_SPECIAL, (int32_t)id, type);
    }
    return ZO_OK;
}

static zo_status read_form(zo_template *form, const cJSON *object, const char *key, const char *where, zo_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, key), *item;
    const cJSON *specials = cJSON_GetObjectItemCaseSensitive(object, "special_tokens");
    if (!cJSON_IsArray(list)) {
        return zo_fail(err, ZO_EINPUT, "%s.%s is not a list", where, key);
    }
    int i = 0;
    cJSON_ArrayForEach(item, list) {
        char inner[WHERE_BYTES];
        snprintf(inner, sizeof inner, "%.100s.%s[%d]", where, key, i++);
        const cJSON *special = cJSON_GetObjectItemCaseSensitive(item, "SpecialToken");
        const cJSON *sequence = cJSON_GetObjectItemCaseSensitive(item, "Sequence");
        const cJSON *body = special ? special : sequence;
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(body, "id");
        const cJSON *type = cJSON_GetObjectItemCaseSensitive(body, "type_id");
        int64_t type_id;
        if (!cJSON_IsString(name) || !read_id(type, &type_id) || type_id > 255) {
            return zo_fail(err, ZO_EINPUT, "%s is neither a SpecialToken nor a Sequence with id and type_id", inner);
        }
        if (special != NULL) {
            zo_status status = push_special_part(form, specials, name->valuestring, (uint8_t)type_id, inner, err);
            if (status != ZO_OK) {
                return status;
            }
        } else if (strcmp(name->valuestring, "A") == 0 || strcmp(name->valuestring, "B") == 0) {
            zo_template_push(form, name->valuestring[0] == 'A' ? ZO_TEMPLATE_A : ZO_TEMPLATE_B, 0, (uint8_t)type_id);
        } else {
            return zo_fail(err, ZO_EINPUT, "%s.Sequence.id is \"%.20s\"; A or B is expected", inner, name->valuestring);
        }
    }
    return ZO_OK;
}

static zo_status read_post(zo_tokenizer *t, const cJSON *object, const char *where, int depth, zo_err *err)
{
    enum { SEQUENCE, TEMPLATE, BERT, ROBERTA, BYTE_LEVEL };
    int kind;
    zo_status status = type_of(object, "Sequence|TemplateProcessing|BertProcessing|RobertaProcessing|ByteLevel", where, &kind,
                               err);
    if (status != ZO_OK) {
        return status;
    }
    if (kind == SEQUENCE) {
        return read_steps(t, object, "processors", where, depth, read_post, err);
    }
    if (kind == BYTE_LEVEL) { /* moves offsets only */
        return ZO_OK;
    }
    if (t->single.n > 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: a second processor that adds tokens is not supported", where);
    }
    if (kind != TEMPLATE) {
        return read_cls_sep(t, object, where, kind == ROBERTA, err);
    }
    status = read_form(&t->single, object, "single", where, err);
    return status != ZO_OK ? status : read_form(&t->pair, object, "pair", where, err);
}

static zo_status read_optional(zo_tokenizer *t, const cJSON *root, const char *key,
                               zo_status (*read)(zo_tokenizer *, const cJSON *, const char *, int, zo_err *), zo_err *err)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, key);
    return object == NULL || cJSON_IsNull(object) ? ZO_OK : read(t, object, key, 0, err);
}

zo_status zo_tokenizer_json_post(zo_tokenizer *t, const cJSON *root, zo_err *err)
{
    return read_optional(t, root, "post_processor", read_post, err);
}

zo_status zo_tokenizer_json_all(zo_tokenizer *t, const cJSON *root, zo_err *err)
{
    zo_status status = read_model(t, root, err);
    if (status == ZO_OK) {
        status = read_optional(t, root, "normalizer", read_norm, err);
    }
    if (status == ZO_OK) {
        status = read_optional(t, root, "pre_tokenizer", read_pre, err);
    }
    if (status == ZO_OK) {
        status = read_added(t, root, err);
    }
    if (status == ZO_OK) {
        status = zo_tokenizer_json_post(t, root, err);
    }
    return status;
}

zo_status zo_tokenizer_json_parse(const char *text, size_t bytes, const char *name, cJSON **root, zo_err *err)
{
    zo_status status = zo_json_parse(text, bytes, name, root, err);
    if (status == ZO_OK && !zo_utf8_valid(text, (int64_t)bytes)) {
        cJSON_Delete(*root);
        *root = NULL;
        return zo_fail(err, ZO_EINPUT, "%s: it is not UTF-8 throughout, as JSON must be", name);
    }
    return status;
}
