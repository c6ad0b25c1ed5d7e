/* tokenizer_folder.c: which files of a model's folder make its tokenizer, and which ids are special.
 *
 * Without a tokenizer.json the folder's vocabulary is read as transformers' tokenizer classes do: vocab.txt as BertTokenizer;
 * vocab.json + merges.txt (or OpenAI's names encoder.json + vocab.bpe) as GPT2Tokenizer or RobertaTokenizer. OPT's tokenizer is
 * a GPT2Tokenizer with add_bos_token, whose bos is "</s>" (id 2). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/tokenizer_impl.h"

#define MOST_FILE_BYTES ((size_t)256 << 20)

typedef struct side_files {
    cJSON *config, *tokenizer_config, *special_map, *added; /* NULL where the folder has no such file */
} side_files;

static bool has_file(const char *folder, const char *name)
{
    char path[4096], packed[4096 + 4];
    zo_path_join(path, sizeof path, folder, name);
    snprintf(packed, sizeof packed, "%s.gz", path);
    return zo_path_exists(path) || zo_path_exists(packed);
}

/* Where a vocabulary may stand, in the order of preference. */
enum { FROM_JSON, FROM_VOCAB_MERGES, FROM_ENCODER_BPE, FROM_VOCAB_LINES, SOURCES };
static const char *const source_files[SOURCES][2] = {
    {"tokenizer.json", NULL}, {"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}, {"vocab.txt", NULL}};

/* SOURCES where the folder has no vocabulary that can be read. */
static int find_source(const char *folder)
{
    int i = 0;
    while (i < SOURCES &&
           !(has_file(folder, source_files[i][0]) && (source_files[i][1] == NULL || has_file(folder, source_files[i][1])))) {
        i++;
    }
    return i;
}

static zo_status read_side(const char *folder, const char *name, cJSON **json, zo_err *err)
{
    char path[4096];
    zo_path_join(path, sizeof path, folder, name);
    return zo_path_exists(path) ? zo_json_read(path, json, err) : ZO_OK;
}

/* The files beside the vocabulary, in the order of the members of side_files. */
static const char *const side_names[] = {"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
#define SIDES_N (int)(sizeof side_names / sizeof side_names[0])

static zo_status side_open(side_files *side, const char *folder, zo_err *err)
{
    cJSON **const slots[] = {&side->config, &side->tokenizer_config, &side->special_map, &side->added};
    zo_status status = ZO_OK;
    for (int i = 0; status == ZO_OK && i < SIDES_N; i++) {
        status = read_side(folder, side_names[i], slots[i], err);
    }
    return status;
}

static void side_close(side_files *side)
{
    cJSON_Delete(side->config);
    cJSON_Delete(side->tokenizer_config);
    cJSON_Delete(side->special_map);
    cJSON_Delete(side->added);
}

static bool side_bool(const cJSON *json, const char *key, bool initial)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsBool(member) ? cJSON_IsTrue(member) : initial;
}

static const char *side_string(const cJSON *json, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsString(member) ? member->valuestring : "";
}

/* ---- special tokens ---- */

typedef struct special_name { const char *token_key, *id_key; size_t offset; } special_name;
#define SPECIAL(name) {#name "_token", #name "_token_id", offsetof(zo_special_ids, name)}
static const special_name special_names[] = {SPECIAL(bos), SPECIAL(eos), SPECIAL(pad), SPECIAL(cls),
                                             SPECIAL(sep), SPECIAL(mask), SPECIAL(unk)};
#define SPECIALS_N (int)(sizeof special_names / sizeof special_names[0])

static int32_t *special_slot(zo_special_ids *special, int which)
{
    return (int32_t *)((char *)special + special_names[which].offset);
}

/* A special token stands as "text" or as {"content": "text", "lstrip": ...}; NULL where the files do not name it. */
static const cJSON *named_token(const side_files *side, int which)
{
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(side->special_map, special_names[which].token_key);
    if (token == NULL || cJSON_IsNull(token)) {
        token = cJSON_GetObjectItemCaseSensitive(side->tokenizer_config, special_names[which].token_key);
    }
    return token && (cJSON_IsString(token) || cJSON_IsObject(token)) ? token : NULL;
}

static const char *token_content(const cJSON *token)
{
    return cJSON_IsString(token) ? token->valuestring : side_string(token, "content");
}

static zo_added token_flags(const cJSON *token)
{
    return (zo_added){.single_word = side_bool(token, "single_word", false),
                      .left_strip = side_bool(token, "lstrip", false),
                      .right_strip = side_bool(token, "rstrip", false),
                      .normalized = side_bool(token, "normalized", false),
                      .special = true};
}

static void resolve_specials(zo_tokenizer *t, const side_files *side)
{
    for (int i = 0; i < SPECIALS_N; i++) {
        int32_t *slot = special_slot(&t->special, i);
        const cJSON *token = named_token(side, i);
        int32_t named = token ? zo_tokenizer_id(t, token_content(token)) : -1;
        *slot = named >= 0 ? named : *slot;
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(side->config, special_names[i].id_key);
        id = cJSON_IsArray(id) ? id->child : id;
        if (*slot < 0 && cJSON_IsNumber(id) && id->valuedouble >= 0 && id->valuedouble < zo_tokenizer_vocab_size(t)) {
            *slot = (int32_t)id->valuedouble;
        }
    }
}

/* ---- folders without a tokenizer.json ---- */

static zo_status read_vocab_lines(zo_tokenizer *t, const char *path, zo_err *err)
{
    char *text, *line;
    size_t bytes, length;
    zo_status status = zo_read_file_or_gz(path, MOST_FILE_BYTES, &text, &bytes, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_lines lines = zo_lines_of(text, bytes);
    while (status == ZO_OK && (line = zo_lines_next(&lines, &length)) != NULL) {
        if (!zo_utf8_valid(line, (int64_t)length)) {
            status = zo_fail(err, ZO_EINPUT, "%s: line %ld is not UTF-8", path, lines.number);
        } else if (length > 0) {
            status = zo_vocab_add(&t->model.vocab, line, length, lines.number - 1, err);
            if (status != ZO_OK) {
                zo_fail_in(err, path);
            }
        }
    }
    zo_free(text);
    return status;
}

static zo_status read_vocab_object(zo_tokenizer *t, const char *path, zo_err *err)
{
    cJSON *json = NULL;
    const cJSON *item;
    zo_status status = zo_json_read(path, &json, err);
    if (status != ZO_OK) {
        return status;
    }
    if (!cJSON_IsObject(json)) {
        status = zo_fail(err, ZO_EINPUT, "%s: it is not an object of token: id", path);
    }
    cJSON_ArrayForEach(item, json) {
        if (status != ZO_OK) {
            break;
        }
        double id = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (item->string == NULL || !zo_utf8_valid(item->string, (int64_t)strlen(item->string))) {
            status = zo_fail(err, ZO_EINPUT, "%s: the token of id %.0f is not UTF-8", path, id);
        } else if (!(id >= 0 && id < ZO_TOKEN_ID_LIMIT)) {
            status = zo_fail(err, ZO_EINPUT, "%s: \"%.60s\" has no id from 0 to %d", path, item->string, ZO_TOKEN_ID_LIMIT - 1);
        } else {
            status = zo_vocab_add(&t->model.vocab, item->string, strlen(item->string), (int64_t)id, err);
            if (status != ZO_OK) {
                zo_fail_in(err, path);
            }
        }
    }
    cJSON_Delete(json);
    return status;
}

static zo_status read_merge_lines(zo_tokenizer *t, const char *path, zo_err *err)
{
    char *text, *line;
    size_t bytes, length;
    zo_status status = zo_read_file_or_gz(path, MOST_FILE_BYTES, &text, &bytes, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_lines lines = zo_lines_of(text, bytes);
    uint32_t rank = 0;
    while (status == ZO_OK && (line = zo_lines_next(&lines, &length)) != NULL) {
        if (length == 0 || strncmp(line, "#version", 8) == 0) {
            continue;
        }
        char *space = strchr(line, ' ');
        if (space == NULL || strchr(space + 1, ' ') != NULL || strlen(line) != length ||
            !zo_utf8_valid(line, (int64_t)length)) {
            status = zo_fail(err, ZO_EINPUT, "%s: line %ld is not a merge \"left right\" in UTF-8", path, lines.number);
            break;
        }
        status = zo_model_add_merge(&t->model, line, (size_t)(space - line), space + 1, strlen(space + 1), rank++, err);
        if (status != ZO_OK) {
            zo_fail_in(err, path);
        }
    }
    zo_free(text);
    return status;
}

/* The special tokens that a file names are cut out of texts, as transformers does. */
static zo_status push_named_specials(zo_tokenizer *t, const side_files *side, zo_err *err)
{
    zo_status status = ZO_OK;
    for (int i = 0; status == ZO_OK && i < SPECIALS_N; i++) {
        const cJSON *token = named_token(side, i);
        if (token != NULL && zo_tokenizer_id(t, token_content(token)) >= 0) {
            status = zo_tokenizer_push_added(t, token_flags(token), token_content(token), -1, err);
        }
    }
    return status;
}

/* The added tokens of tokenizer_config.json and added_tokens.json, then the special tokens. */
static zo_status push_named_added(zo_tokenizer *t, const side_files *side, zo_err *err)
{
    const cJSON *item, *decoder = cJSON_GetObjectItemCaseSensitive(side->tokenizer_config, "added_tokens_decoder");
    zo_status status = ZO_OK;
    cJSON_ArrayForEach(item, decoder) {
        char *end = item->string;
        long long id = item->string ? strtoll(item->string, &end, 10) : -1;
        if (status == ZO_OK && end != item->string && cJSON_IsObject(item)) {
            zo_added flags = token_flags(item);
            flags.special = side_bool(item, "special", false);
            status = zo_tokenizer_push_added(t, flags, side_string(item, "content"), id, err);
        }
    }
    cJSON_ArrayForEach(item, side->added) {
        if (status == ZO_OK && cJSON_IsNumber(item) && item->string) {
            status = zo_tokenizer_push_added(t, (zo_added){.normalized = true}, item->string, (int64_t)item->valuedouble, err);
        }
    }
    return status != ZO_OK ? status : push_named_specials(t, side, err);
}

/* The special tokens that a tokenizer class has without being told; left where the files say otherwise. */
static zo_status push_class_special(zo_tokenizer *t, const side_files *side, int which, const char *content, zo_err *err)
{
    int32_t id = zo_tokenizer_id(t, content);
    if (named_token(side, which) != NULL || id < 0) {
        return ZO_OK;
    }
    *special_slot(&t->special, which) = id;
    return zo_tokenizer_push_added(t, (zo_added){.special = true, .left_strip = strcmp(content, "<mask>") == 0}, content, id,
                                   err);
}

enum { BOS, EOS, PAD, CLS, SEP, MASK, UNK };
typedef struct class_special { int which; const char *content; } class_special;

static zo_status push_class_specials(zo_tokenizer *t, const side_files *side, const class_special *list, int n, zo_err *err)
{
    zo_status status = push_named_added(t, side, err);
    for (int i = 0; status == ZO_OK && i < n; i++) {
        status = push_class_special(t, side, list[i].which, list[i].content, err);
    }
    if (status == ZO_OK) {
        resolve_specials(t, side);
    }
    return status;
}

static zo_status read_bert_folder(zo_tokenizer *t, const char *folder, const side_files *side, zo_err *err)
{
    static const class_special specials[] = {{UNK, "[UNK]"}, {SEP, "[SEP]"}, {PAD, "[PAD]"}, {CLS, "[CLS]"}, {MASK, "[MASK]"}};
    char path[4096];
    zo_status status = read_vocab_lines(t, zo_path_join(path, sizeof path, folder, "vocab.txt"), err);
    if (status != ZO_OK) {
        return status;
    }
    t->model.kind = ZO_MODEL_WORDPIECE;
    t->model.prefix = zo_strdup(ZO_TAG_DATA, "##");
    t->model.most_chars = 100;
    zo_norm *norm = zo_tokenizer_push_norm(t, ZO_NORM_BERT);
    norm->clean_text = true;
    norm->chinese_chars = side_bool(side->tokenizer_config, "tokenize_chinese_chars", true);
    norm->lowercase = side_bool(side->tokenizer_config, "do_lower_case", true);
    norm->strip_accents = side_bool(side->tokenizer_config, "strip_accents", norm->lowercase);
    zo_tokenizer_push_pre(t, ZO_PRE_WHITESPACE_SPLIT);
    zo_tokenizer_push_pre(t, ZO_PRE_PUNCTUATION)->behavior = ZO_ISOLATED;
    status = push_class_specials(t, side, specials, 5, err);
    if (status != ZO_OK) {
        return zo_fail_in(err, folder);
    }
    if (t->special.cls < 0 || t->special.sep < 0 || t->special.unk < 0) {
        return zo_fail(err, ZO_EINPUT, "%s: a BERT vocabulary needs [UNK], [CLS] and [SEP]; %s is missing", path,
                       t->special.unk < 0 ? "[UNK]" : t->special.cls < 0 ? "[CLS]" : "[SEP]");
    }
    t->model.unk = t->special.unk;
    zo_tokenizer_set_cls_sep(t, t->special.cls, t->special.sep, false);
    return ZO_OK;
}

static void set_leading_bos(zo_tokenizer *t)
{
    t->single.n = t->pair.n = 0;
    zo_template_push(&t->single, ZO_TEMPLATE_SPECIAL, t->special.bos, 0);
    zo_template_push(&t->single, ZO_TEMPLATE_A, 0, 0);
    zo_template_push(&t->pair, ZO_TEMPLATE_SPECIAL, t->special.bos, 0);
    zo_template_push(&t->pair, ZO_TEMPLATE_A, 0, 0);
    zo_template_push(&t->pair, ZO_TEMPLATE_B, 0, 1);
}

static zo_status read_byte_level_folder(zo_tokenizer *t, const char *folder, const side_files *side, const char *const files[2],
                                        zo_err *err)
{
    static const class_special gpt2[] = {{BOS, "<|endoftext|>"}, {EOS, "<|endoftext|>"}, {UNK, "<|endoftext|>"}};
    static const class_special opt[] = {{BOS, "</s>"}, {EOS, "</s>"}, {PAD, "<pad>"}};
    static const class_special roberta[] = {{BOS, "<s>"},   {EOS, "</s>"},  {CLS, "<s>"},   {SEP, "</s>"},
                                            {UNK, "<unk>"}, {PAD, "<pad>"}, {MASK, "<mask>"}};
    char path[4096];
    zo_status status = read_vocab_object(t, zo_path_join(path, sizeof path, folder, files[0]), err);
    if (status == ZO_OK) {
        status = read_merge_lines(t, zo_path_join(path, sizeof path, folder, files[1]), err);
    }
    if (status != ZO_OK) {
        return status;
    }
    const char *type = side_string(side->config, "model_type");
    const char *class_name = side_string(side->tokenizer_config, "tokenizer_class");
    bool is_opt = strcmp(type, "opt") == 0;
    bool is_roberta = strcmp(type, "roberta") == 0 || strncmp(class_name, "Roberta", 7) == 0 ||
                      (*type == 0 && *class_name == 0 && zo_tokenizer_id(t, "<mask>") >= 0);
    bool add_bos = side_bool(side->tokenizer_config, "add_bos_token", is_opt);
    const class_special *specials = is_opt ? opt : is_roberta ? roberta : gpt2;
    int specials_n = is_roberta && !is_opt ? 7 : 3;
    zo_pre *pre = zo_tokenizer_push_pre(t, ZO_PRE_BYTE_LEVEL);
    pre->prefix_space = side_bool(side->tokenizer_config, "add_prefix_space", false);
    status = zo_regex_compile(&pre->pattern.regex, ZO_GPT2_REGEX, err);
    if (status == ZO_OK) {
        status = push_class_specials(t, side, specials, specials_n, err);
    }
    if (status != ZO_OK) {
        return zo_fail_in(err, folder);
    }
    if (is_roberta) {
        if (t->special.cls < 0 || t->special.sep < 0) {
            return zo_fail(err, ZO_EINPUT, "%s/%s: a RoBERTa vocabulary needs <s> and </s>", folder, files[0]);
        }
        zo_tokenizer_set_cls_sep(t, t->special.cls, t->special.sep, true);
    } else if (add_bos) {
        if (t->special.bos < 0) {
            return zo_fail(err, ZO_EINPUT, "%s: its tokenizer adds a bos token, but no file names one that the vocabulary has",
                           folder);
        }
        set_leading_bos(t);
    }
    return ZO_OK;
}

static zo_status read_tokenizer_json(zo_tokenizer *t, const char *folder, const side_files *side, zo_err *err)
{
    char path[4096], *text;
    size_t bytes;
    zo_path_join(path, sizeof path, folder, "tokenizer.json");
    zo_status status = zo_read_file_or_gz(path, MOST_FILE_BYTES, &text, &bytes, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_tokenizer_read_json(t, text, bytes, err);
    zo_free(text);
    if (status == ZO_OK) {
        status = push_named_specials(t, side, err);
    }
    if (status != ZO_OK) {
        return zo_fail_in(err, path);
    }
    resolve_specials(t, side);
    if (t->single.n == 0 && t->special.bos >= 0 && side_bool(side->tokenizer_config, "add_bos_token", false)) {
        set_leading_bos(t);
    }
    return ZO_OK;
}

static zo_status need_folder(const char *folder, int *source, zo_err *err)
{
    if (!zo_path_is_dir(folder)) {
        return zo_fail(err, ZO_EIO, "%s is not a folder; a model's folder with a tokenizer.json is expected", folder);
    }
    *source = find_source(folder);
    if (*source < SOURCES) {
        return ZO_OK;
    }
    return has_file(folder, "tokenizer.model")
               ? zo_fail(err, ZO_EUNSUPPORTED,
                         "%s has tokenizer.model only, which is not supported; a tokenizer.json is expected, and transformers' "
                         "AutoTokenizer.from_pretrained(...).save_pretrained(...) writes one",
                         folder)
               : zo_fail(err, ZO_EIO,
                         "%s has no tokenizer: tokenizer.json, vocab.txt, vocab.json with merges.txt, or encoder.json with "
                         "vocab.bpe is expected; fetch the missing file",
                         folder);
}

zo_status zo_tokenizer_read_folder(zo_tokenizer *t, const char *folder, zo_err *err)
{
    int source = SOURCES;
    zo_status status = need_folder(folder, &source, err);
    if (status != ZO_OK) {
        return status;
    }
    side_files side = {0};
    status = side_open(&side, folder, err);
    if (status == ZO_OK) {
        status = source == FROM_JSON          ? read_tokenizer_json(t, folder, &side, err)
                 : source == FROM_VOCAB_LINES ? read_bert_folder(t, folder, &side, err)
                                              : read_byte_level_folder(t, folder, &side, source_files[source], err);
    }
    side_close(&side);
    return status;
}

/* ---- the fingerprint ---- */

/* Chain a file's name, length and contents (unpacked) into *print. */
static zo_status hash_file(const char *folder, const char *name, uint64_t *print, zo_err *err)
{
    char path[4096], *text;
    size_t bytes;
    zo_status status = zo_read_file_or_gz(zo_path_join(path, sizeof path, folder, name), MOST_FILE_BYTES, &text, &bytes, err);
    if (status == ZO_OK) {
        uint64_t length = bytes;
        *print = zo_fnv1a(*print, name, strlen(name) + 1);
        *print = zo_fnv1a(*print, &length, sizeof length);
        *print = zo_fnv1a(*print, text, bytes);
        zo_free(text);
    }
    return status;
}

zo_status zo_tokenizer_fingerprint(const char *folder, uint64_t *print, zo_err *err)
{
    int source = SOURCES;
    uint64_t hash = ZO_FNV_START;
    zo_status status = need_folder(folder, &source, err);
    for (int i = 0; status == ZO_OK && i < 2; i++) {
        status = source_files[source][i] ? hash_file(folder, source_files[source][i], &hash, err) : ZO_OK;
    }
    for (int i = 0; status == ZO_OK && i < SIDES_N; i++) {
        char path[4096];
        bool is_there = zo_path_exists(zo_path_join(path, sizeof path, folder, side_names[i]));
        status = is_there ? hash_file(folder, side_names[i], &hash, err) : ZO_OK;
    }
    *print = status == ZO_OK ? hash : 0;
    return status;
}
