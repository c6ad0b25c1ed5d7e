/* tokenizer_folder.c: the files of a model's folder as transformers 5 reads them: which class, which pipeline, which tokens are
 * added, which are special, which stand around a text.
 *
 * The class is tokenizer_class of tokenizer_config.json, else of config.json, else the one that belongs to config.json's
 * model_type (transformers' AutoTokenizer). Tokens come from added_tokens_decoder of tokenizer_config.json; where that is
 * missing, from special_tokens_map.json, added_tokens.json and tokenizer.json's added_tokens. add_bos_token and add_eos_token
 * count only where there is no tokenizer.json, whose post-processor stands otherwise. Departures: a folder whose files name no
 * class, or none that fits its vocabulary, is read by its files (vocab.txt as BertTokenizer, vocab.json with merges.txt, or
 * OpenAI's names encoder.json with vocab.bpe, as GPT2Tokenizer or RobertaTokenizer); an OPT folder without a
 * tokenizer_config.json has OPT's "</s>" before texts; and an id that a file gives to an added token must be the one it gets. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "text/tokenizer_impl.h"

#define MOST_FILE_BYTES ((size_t)256 << 20)

typedef struct side_files {
    cJSON *config, *settings, *special_map, *added; /* NULL where the folder has no such file; settings = tokenizer_config.json */
} side_files;

/* The files beside the vocabulary, in the order of the members of side_files. */
static const char *const side_names[] = {"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
#define SIDES_N (int)(sizeof side_names / sizeof side_names[0])

static bool has_file(const char *folder, const char *name)
{
    char path[4096], packed[4096 + 4];
    zo_path_join(path, sizeof path, folder, name);
    snprintf(packed, sizeof packed, "%s.gz", path);
    return zo_path_exists(path) || zo_path_exists(packed);
}

/* Where a vocabulary may stand, in the order of preference. */
enum { FROM_JSON, FROM_VOCAB_MERGES, FROM_ENCODER_BPE, FROM_VOCAB_LINES, FROM_SPM, SOURCES = FROM_SPM + 4 };
static const char *const source_files[SOURCES][2] = {
    {"tokenizer.json", NULL},  {"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"},         {"vocab.txt", NULL},
    {"tokenizer.model", NULL}, {"spiece.model", NULL},       {"sentencepiece.bpe.model", NULL}, {"spm.model", NULL}}; /* SentencePiece's names */

static bool has_source(const char *folder, int source)
{
    return has_file(folder, source_files[source][0]) && (source_files[source][1] == NULL || has_file(folder, source_files[source][1]));
}

static zo_status read_side(const char *folder, const char *name, cJSON **json, zo_err *err)
{
    char path[4096];
    zo_path_join(path, sizeof path, folder, name);
    if (!zo_path_exists(path)) {
        return ZO_OK;
    }
    zo_status status = zo_json_read(path, json, err);
    return status != ZO_OK || cJSON_IsObject(*json) ? status : zo_fail(err, ZO_EINPUT, "%s: it is not a JSON object", path);
}

static zo_status side_open(side_files *side, const char *folder, zo_err *err)
{
    cJSON **const slots[] = {&side->config, &side->settings, &side->special_map, &side->added};
    zo_status status = ZO_OK;
    for (int i = 0; status == ZO_OK && i < SIDES_N; i++) {
        status = read_side(folder, side_names[i], slots[i], err);
    }
    return status;
}

static void side_close(side_files *side)
{
    cJSON_Delete(side->config);
    cJSON_Delete(side->settings);
    cJSON_Delete(side->special_map);
    cJSON_Delete(side->added);
}

static const cJSON *member_of(const cJSON *json, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(json, key);
}

static const char *side_string(const cJSON *json, const char *key)
{
    const cJSON *member = member_of(json, key);
    return cJSON_IsString(member) ? member->valuestring : "";
}

/* ---- tokens that files name ---- */

typedef struct token {
    const char *name;    /* the key of a model's own special token ("image_token"), else NULL */
    const char *content; /* borrowed from the file; NULL = none */
    const char *file;    /* where it stands, for messages */
    zo_added flags;
    bool is_text;        /* a bare string, whose flags are the usual ones of a special token */
    int64_t id;          /* that the file gives it; -1 = none */
} token;
typedef struct tokens {
    token *at; // (n)
    int n, room;
} tokens;

static void tokens_push(tokens *list, token item)
{
    if (list->n == list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->at = zo_realloc(list->at, ZO_HOST, ZO_TAG_DATA, (size_t)list->room * sizeof *list->at);
    }
    list->at[list->n++] = item;
}

static const zo_added text_flags = {.special = true};

/* A token stands as "text" or as {"content": "text", "lstrip": ...}; null is none. `special`: what it is where the object does not
 * say, or, with `always`, in any case. */
static zo_status token_read(const cJSON *json, const char *key, const char *file, bool special, bool always, token *out, zo_err *err)
{
    static const struct { const char *key; size_t offset; } flags[] = {
        {"single_word", offsetof(zo_added, single_word)}, {"lstrip", offsetof(zo_added, left_strip)},
        {"rstrip", offsetof(zo_added, right_strip)},      {"special", offsetof(zo_added, special)},
        {"normalized", offsetof(zo_added, normalized)}}; /* behind special, on which its default hangs */
    *out = (token){.file = file, .flags = text_flags, .is_text = true, .id = -1};
    if (json == NULL || cJSON_IsNull(json)) {
        return ZO_OK;
    }
    if (cJSON_IsString(json)) {
        out->content = json->valuestring;
        return ZO_OK;
    }
    const cJSON *content = member_of(json, "content");
    if (!cJSON_IsObject(json) || !cJSON_IsString(content)) {
        return zo_fail(err, ZO_EINPUT, "%s: %s is neither a token \"text\" nor {\"content\": \"text\", ...}", file, key);
    }
    out->content = content->valuestring;
    out->is_text = false;
    out->flags = (zo_added){.special = special};
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        const cJSON *flag = member_of(json, flags[i].key);
        bool *slot = (bool *)((char *)&out->flags + flags[i].offset);
        if (slot == &out->flags.normalized) {
            *slot = !out->flags.special;
        }
        if (flag == NULL || cJSON_IsNull(flag) || (always && slot == &out->flags.special)) {
            continue;
        }
        if (!cJSON_IsBool(flag)) {
            return zo_fail(err, ZO_EINPUT, "%s: %s: %s is not true or false", file, key, flags[i].key);
        }
        *slot = cJSON_IsTrue(flag);
    }
    return ZO_OK;
}

static const char *const special_keys[ZO_SPECIALS] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                                      "pad_token", "cls_token", "mask_token"};

static int special_index(const char *key)
{
    int i = 0;
    while (i < ZO_SPECIALS && strcmp(special_keys[i], key) != 0) {
        i++;
    }
    return i;
}

/* All tokens that are added, in the order of transformers. */
typedef struct plan {
    token special[ZO_SPECIALS];
    bool is_default[ZO_SPECIALS]; /* the class's, no file names it */
    tokens listed;                /* added_tokens_decoder and its elders, by id */
    tokens own;                   /* the model's own special tokens, by name */
    tokens extra;                 /* extra_special_tokens, once additional_special_tokens */
    bool extra_is_old;            /* `extra` was found under its old name at last */
    char **made;                  // (made_n): contents that no file holds
    int made_n;
} plan;

static void plan_free(plan *p)
{
    zo_free(p->listed.at);
    zo_free(p->own.at);
    zo_free(p->extra.at);
    for (int i = 0; i < p->made_n; i++) {
        zo_free(p->made[i]);
    }
    zo_free(p->made);
}

static void own_set(plan *p, token item)
{
    for (int i = 0; i < p->own.n; i++) {
        if (strcmp(p->own.at[i].name, item.name) == 0) {
            p->own.at[i] = item;
            return;
        }
    }
    tokens_push(&p->own, item);
}

static bool ends_in_token(const char *key)
{
    size_t n = strlen(key);
    return n > 6 && strcmp(key + n - 6, "_token") == 0;
}

/* The special tokens of tokenizer_config.json or special_tokens_map.json: the seven, and the model's own. */
static zo_status read_specials(plan *p, const cJSON *json, const char *file, bool is_map, zo_err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, json) {
        int which = special_index(item->string);
        bool is_own = which == ZO_SPECIALS && ends_in_token(item->string) && (cJSON_IsString(item) || member_of(item, "content") != NULL);
        token read;
        if (which == ZO_SPECIALS && !is_own) {
            continue;
        }
        zo_status status = token_read(item, item->string, file, is_map, is_map, &read, err);
        if (status != ZO_OK) {
            return status;
        }
        if (is_own) {
            read.name = item->string;
            own_set(p, read);
        } else {
            p->special[which] = read;
            p->is_default[which] = false;
        }
    }
    return ZO_OK;
}

/* A list of tokens, or an object name: token, whose tokens are the model's own. */
static zo_status read_extra(plan *p, const cJSON *json, const char *key, const char *file, bool is_map, zo_err *err)
{
    const cJSON *item;
    if (json != NULL && !cJSON_IsNull(json) && !cJSON_IsArray(json) && !cJSON_IsObject(json)) {
        return zo_fail(err, ZO_EINPUT, "%s: %s is not a list of tokens", file, key);
    }
    cJSON_ArrayForEach(item, json) {
        token read;
        zo_status status = token_read(item, key, file, is_map, is_map, &read, err);
        if (status != ZO_OK) {
            return status;
        }
        if (read.content == NULL) {
            continue;
        }
        if (cJSON_IsObject(json)) {
            read.name = item->string;
            own_set(p, read);
        } else {
            tokens_push(&p->extra, read);
        }
    }
    return ZO_OK;
}

/* How many <extra_id_N> T5Tokenizer has. */
static zo_status sentinels_of(const side_files *side, int *count, zo_err *err)
{
    const cJSON *given = member_of(side->settings, "extra_ids");
    *count = 100;
    if (given == NULL) {
        return ZO_OK;
    }
    *count = cJSON_IsNumber(given) ? given->valueint : -1;
    if (*count < 0 || *count > 100000 || *count != given->valuedouble) {
        *count = 0;
        return zo_fail(err, ZO_EINPUT, "%s: extra_ids is not a number of tokens", side_names[1]);
    }
    return ZO_OK;
}

/* T5's own: <extra_id_0> and so on, where `extra` has none. */
static zo_status add_sentinels(plan *p, const side_files *side, zo_err *err)
{
    int count;
    zo_status status = sentinels_of(side, &count, err);
    for (int i = 0; i < p->extra.n; i++) {
        count = strstr(p->extra.at[i].content, "<extra_id_") != NULL ? 0 : count;
    }
    p->made = zo_realloc(p->made, ZO_HOST, ZO_TAG_DATA, (size_t)(count + 1) * sizeof *p->made);
    for (int i = 0; status == ZO_OK && i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "<extra_id_%d>", i);
        p->made[p->made_n] = zo_strdup(ZO_TAG_DATA, name);
        tokens_push(&p->extra, (token){.content = p->made[p->made_n++], .flags = text_flags, .is_text = true, .id = -1});
    }
    return status;
}

/* Control and user-defined pieces. As transformers has it, a file as it stands looks for its user-defined pieces otherwise. */
static void push_spm_pieces(plan *p, const zo_spm *spm, bool is_file)
{
    for (int32_t i = 0; i < spm->pieces_n; i++) {
        const zo_spm_piece *piece = &spm->pieces[i];
        if (piece->type == ZO_SPM_CONTROL || (piece->type == ZO_SPM_USER_DEFINED && !is_file)) {
            tokens_push(&p->extra, (token){.content = piece->text, .flags = {.special = piece->type == ZO_SPM_CONTROL}, .id = -1});
        }
    }
}

/* Of the lists extra_special_tokens and additional_special_tokens (its old name) one counts, and the first hides the second, empty
 * or not. The map's additional_special_tokens takes the place of the settings'; the map's extra_special_tokens is joined to theirs. A class may
 * have tokens where there is no list, and a SentencePiece file has them in place of the map's old list. */
static zo_status read_extras(plan *p, const side_files *side, bool with_map, zo_class_kind kind, const zo_spm *spm, zo_err *err)
{
    static const char *const key = "extra_special_tokens", *const old_key = "additional_special_tokens";
    const cJSON *map = with_map ? side->special_map : NULL, *map_extra = member_of(map, key), *map_old = member_of(map, old_key);
    const cJSON *extra = member_of(side->settings, key), *old = member_of(side->settings, old_key);
    if (old != NULL && cJSON_GetArraySize(extra) == 0) {
        extra = old;
        old = NULL;
    }
    zo_status status = ZO_OK;
    if (cJSON_IsObject(extra)) {
        status = read_extra(p, extra, key, side_names[1], false, err);
        extra = NULL;
    }
    bool is_map = false, has_own = extra == NULL && map_extra == NULL && (spm != NULL || kind == ZO_CLASS_T5);
    if (status == ZO_OK && extra == NULL && map_extra == NULL) {
        is_map = map_old != NULL;
        p->extra_is_old = true;
        extra = spm != NULL ? NULL : is_map ? map_old : old;
    }
    if (status == ZO_OK) {
        status = read_extra(p, extra, key, side_names[is_map ? 2 : 1], is_map, err);
    }
    if (status == ZO_OK) {
        status = read_extra(p, map_extra, key, side_names[2], true, err);
    }
    if (status == ZO_OK && has_own && spm != NULL) {
        push_spm_pieces(p, spm, kind == ZO_CLASS_FILE);
    }
    return status == ZO_OK && has_own && kind == ZO_CLASS_T5 ? add_sentinels(p, side, err) : status;
}

static int compare_ids(const void *left, const void *right)
{
    const token *l = left, *r = right;
    return l->id != r->id ? (l->id < r->id ? -1 : 1) : 0;
}

/* A later token of the same id takes the place of the earlier one. */
static void listed_sort(tokens *list)
{
    for (int i = 0; i < list->n; i++) {
        list->at[i].id = list->at[i].id * list->n + i; /* qsort is not stable */
    }
    if (list->n > 0) {
        qsort(list->at, (size_t)list->n, sizeof *list->at, compare_ids);
    }
    int all = list->n, kept = 0;
    for (int i = 0; i < all; i++) {
        list->at[i].id /= all;
        kept -= kept > 0 && list->at[kept - 1].id == list->at[i].id;
        list->at[kept++] = list->at[i];
    }
    list->n = kept;
}

static zo_status need_id(int64_t *id, double value, const char *content, const char *file, zo_err *err)
{
    if (!(value >= 0 && value < ZO_TOKEN_ID_LIMIT) || value != (double)(int64_t)value) {
        return zo_fail(err, ZO_EINPUT, "%s: the token \"%.60s\" has no id from 0 to %d", file, content, ZO_TOKEN_ID_LIMIT - 1);
    }
    *id = (int64_t)value;
    return ZO_OK;
}

/* {"id": {"content": ...}} */
static zo_status read_decoder(plan *p, const cJSON *decoder, zo_err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, decoder) {
        token read;
        zo_status status = token_read(item, "added_tokens_decoder", side_names[1], false, false, &read, err);
        if (status == ZO_OK && read.is_text) {
            return zo_fail(err, ZO_EINPUT, "%s: added_tokens_decoder[\"%.20s\"] is not {\"content\": \"text\", ...}", side_names[1],
                           item->string);
        }
        char *end = NULL;
        double id = status == ZO_OK ? (double)strtoll(item->string, &end, 10) : 0;
        status = status != ZO_OK ? status : need_id(&read.id, end && *end == 0 && end > item->string ? id : -1, read.content,
                                                    side_names[1], err);
        if (status != ZO_OK) {
            return status;
        }
        tokens_push(&p->listed, read);
    }
    return ZO_OK;
}

/* Objects of tokenizer_config.json are not looked at, nor a list under its old name in the map. */
static bool names_special(const plan *p, const char *content)
{
    bool found = false;
    for (int i = 0; i < ZO_SPECIALS; i++) {
        const token *item = &p->special[i];
        found = found || (!p->is_default[i] && item->content && (item->is_text || item->file == side_names[2]) &&
                          strcmp(item->content, content) == 0);
    }
    for (int i = 0; i < p->extra.n; i++) {
        const token *item = &p->extra.at[i];
        found = found || ((item->is_text || item->file == side_names[2]) && !p->extra_is_old && strcmp(item->content, content) == 0);
    }
    return found;
}

/* added_tokens.json ({"text": id}), then the added_tokens of tokenizer.json. */
static zo_status read_elders(plan *p, const cJSON *added, const cJSON *root, zo_err *err)
{
    const cJSON *item;
    zo_status status = ZO_OK;
    cJSON_ArrayForEach(item, added) {
        token read = {.content = item->string, .file = side_names[3]};
        read.flags.special = names_special(p, item->string);
        read.flags.normalized = !read.flags.special;
        status = need_id(&read.id, cJSON_IsNumber(item) ? item->valuedouble : -1, item->string, side_names[3], err);
        if (status != ZO_OK) {
            return status;
        }
        tokens_push(&p->listed, read);
    }
    cJSON_ArrayForEach(item, member_of(root, "added_tokens")) {
        token read;
        status = token_read(item, "added_tokens", "tokenizer.json", false, false, &read, err);
        if (status == ZO_OK && read.is_text) {
            status = zo_fail(err, ZO_EINPUT, "tokenizer.json: an entry of added_tokens is not {\"content\": \"text\", ...}");
        }
        const cJSON *id = member_of(item, "id");
        status = status != ZO_OK ? status : need_id(&read.id, cJSON_IsNumber(id) ? id->valuedouble : -1, read.content,
                                                    "tokenizer.json", err);
        if (status != ZO_OK) {
            return status;
        }
        tokens_push(&p->listed, read);
    }
    return ZO_OK;
}

/* What the files say; `specials` are the class's own. root is tokenizer.json or NULL. */
static zo_status plan_read(plan *p, const side_files *side, const char *const specials[ZO_SPECIALS], zo_class_kind kind, const cJSON *root,
                           const zo_spm *spm, zo_err *err)
{
    bool keeps_pad = kind == ZO_CLASS_GPT2;
    const char *pad = side_string(member_of(root, "padding"), "pad_token");
    for (int i = 0; i < ZO_SPECIALS; i++) {
        const char *content = specials[i] == NULL && i == ZO_PAD && !keeps_pad && *pad ? pad : specials[i];
        p->special[i] = (token){.content = content, .flags = text_flags, .is_text = true, .id = -1};
        p->is_default[i] = true;
    }
    const cJSON *decoder = member_of(side->settings, "added_tokens_decoder");
    bool with_map = decoder == NULL;
    zo_status status = read_specials(p, side->settings, side_names[1], false, err);
    if (status == ZO_OK && with_map) {
        status = read_specials(p, side->special_map, side_names[2], true, err);
    }
    if (status == ZO_OK) {
        status = read_extras(p, side, with_map, kind, spm, err);
    }
    if (status == ZO_OK) {
        status = decoder != NULL ? read_decoder(p, decoder, err) : read_elders(p, side->added, root, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    listed_sort(&p->listed);
    for (int i = 0; i < ZO_SPECIALS; i++) { /* a named token that is listed has the flags of the list */
        for (int j = p->listed.n - 1; j >= 0 && !p->is_default[i] && p->special[i].content != NULL; j--) {
            if (strcmp(p->listed.at[j].content, p->special[i].content) == 0) {
                p->special[i].flags = p->listed.at[j].flags;
                p->special[i].is_text = false;
                break;
            }
        }
    }
    return ZO_OK;
}

/* The flags of a token to add: it is special, too, where it is named so. */
static zo_added flags_of(const plan *p, const token *item, bool is_named)
{
    zo_added flags = item->flags;
    flags.special = flags.special || is_named;
    for (int i = 0; i < ZO_SPECIALS && !flags.special; i++) {
        flags.special = p->special[i].content && strcmp(p->special[i].content, item->content) == 0;
    }
    for (int i = 0; i < p->own.n && !flags.special; i++) {
        flags.special = p->own.at[i].content && strcmp(p->own.at[i].content, item->content) == 0;
    }
    return flags;
}

static bool same_flags(const zo_added *a, const zo_added *b)
{
    return a->single_word == b->single_word && a->left_strip == b->left_strip && a->right_strip == b->right_strip &&
           a->normalized == b->normalized && a->special == b->special;
}

/* Queue the tokens of a list that are neither added nor listed; a content that comes again with other flags is queued again. */
static void queue_new(const zo_tokenizer *t, const plan *p, const token *list, int n, bool is_named, tokens *queue)
{
    int from = p->listed.n;
    for (int i = 0; i < n; i++) {
        const token *item = &list[i];
        bool is_there = item->content == NULL || zo_tokenizer_find_added(t, item->content) != NULL;
        for (int j = 0; !is_there && j < queue->n; j++) {
            const token *other = &queue->at[j];
            is_there = strcmp(other->content, item->content) == 0 &&
                       (j < from || (other->is_text == item->is_text && same_flags(&other->flags, &item->flags)));
        }
        if (!is_there) {
            tokens_push(queue, *item);
            queue->at[queue->n - 1].name = is_named ? "" : NULL;
        }
    }
}

static zo_status check_listed_ids(const zo_tokenizer *t, const plan *p, zo_err *err)
{
    for (int i = 0; i < p->listed.n; i++) {
        const token *item = &p->listed.at[i];
        const zo_added *added = zo_tokenizer_find_added(t, item->content);
        if (added != NULL && added->id != item->id) {
            bool in_vocab = zo_vocab_find(&t->model.vocab, item->content, strlen(item->content)) >= 0;
            return zo_fail(err, ZO_EINPUT, "%s gives the added token \"%.60s\" the id %lld, but it %s %d; correct the id or the vocabulary",
                           item->file, item->content, (long long)item->id,
                           in_vocab ? "has in the vocabulary" : "gets, behind the vocabulary,", added->id);
        }
    }
    return ZO_OK;
}

static zo_status plan_apply(zo_tokenizer *t, const plan *p, zo_err *err)
{
    tokens queue = {0};
    for (int i = 0; i < p->listed.n; i++) {
        tokens_push(&queue, p->listed.at[i]);
        queue.at[i].name = NULL;
    }
    queue_new(t, p, p->special, ZO_SPECIALS, true, &queue);
    queue_new(t, p, p->own.at, p->own.n, true, &queue);
    queue_new(t, p, p->extra.at, p->extra.n, false, &queue);
    zo_status status = ZO_OK;
    for (int i = 0; status == ZO_OK && i < queue.n; i++) {
        const token *item = &queue.at[i];
        status = zo_tokenizer_add_token(t, flags_of(p, item, item->name != NULL), item->content, err);
    }
    zo_free(queue.at);
    return status == ZO_OK ? check_listed_ids(t, p, err) : status;
}

/* Qwen2Tokenizer adds its special tokens once more, as plain special tokens. */
static zo_status add_specials_again(zo_tokenizer *t, const plan *p, zo_err *err)
{
    const tokens all[] = {{(token *)p->special, ZO_SPECIALS, 0}, p->own, p->extra};
    zo_status status = ZO_OK;
    for (int list = 0; list < 3; list++) {
        for (int i = 0; status == ZO_OK && i < all[list].n; i++) {
            const char *content = all[list].at[i].content;
            status = content ? zo_tokenizer_add_token(t, text_flags, content, err) : ZO_OK;
        }
    }
    return status;
}

/* ---- special ids ---- */

static int32_t *special_slot(zo_special_ids *special, int which)
{
    int32_t *const slots[ZO_SPECIALS] = {&special->bos, &special->eos, &special->unk, &special->sep,
                                         &special->pad, &special->cls, &special->mask};
    return slots[which];
}

/* -1 for a token that is the class's own and that neither the vocabulary nor a file has. */
static int32_t special_id(const zo_tokenizer *t, const plan *p, int which)
{
    const char *content = p->special[which].content;
    bool is_known = content != NULL && (!p->is_default[which] || zo_vocab_find(&t->model.vocab, content, strlen(content)) >= 0);
    for (int i = 0; content != NULL && !is_known && i < p->listed.n; i++) {
        is_known = strcmp(p->listed.at[i].content, content) == 0;
    }
    return is_known ? zo_tokenizer_id(t, content) : -1;
}

/* What the files name, else the class's own, else config.json's id. */
static void resolve_specials(zo_tokenizer *t, const plan *p, const cJSON *config)
{
    for (int i = 0; i < ZO_SPECIALS; i++) {
        int32_t *slot = special_slot(&t->special, i), named = special_id(t, p, i);
        *slot = named >= 0 ? named : *slot;
        char key[32];
        snprintf(key, sizeof key, "%s_id", special_keys[i]);
        const cJSON *id = member_of(config, key);
        id = cJSON_IsArray(id) ? id->child : id;
        if (*slot < 0 && cJSON_IsNumber(id) && id->valuedouble >= 0 && id->valuedouble < zo_tokenizer_vocab_size(t)) {
            *slot = (int32_t)id->valuedouble;
        }
    }
}

/* ---- vocabularies that are no tokenizer.json ---- */

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

static zo_status read_vocab_files(zo_tokenizer *t, const char *folder, int source, zo_err *err)
{
    char path[4096];
    zo_path_join(path, sizeof path, folder, source_files[source][0]);
    if (source == FROM_VOCAB_LINES) {
        return read_vocab_lines(t, path, err);
    }
    zo_status status = read_vocab_object(t, path, err);
    return status != ZO_OK ? status : read_merge_lines(t, zo_path_join(path, sizeof path, folder, source_files[source][1]), err);
}

/* ---- the class ---- */

typedef struct choice {
    const zo_class *class_;
    bool is_named; /* by a file, not only by the model_type */
    bool is_opt;   /* an OPT folder that says nothing more */
} choice;

/* transformers takes the tokenizer.X.Y.Z.json of the newest version that is not above its own. */
static zo_status refuse_versions(const side_files *side, zo_err *err)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, member_of(side->settings, "fast_tokenizer_files")) {
        if (!cJSON_IsString(item) || strcmp(item->valuestring, source_files[FROM_JSON][0]) != 0) {
            return zo_fail(err, ZO_EUNSUPPORTED, "%s: fast_tokenizer_files names \"%.60s\", and only tokenizer.json is read; rename the file that "
                                                 "transformers takes and delete the key",
                           side_names[1], cJSON_IsString(item) ? item->valuestring : "");
        }
    }
    return ZO_OK;
}

/* As AutoTokenizer does; `has_byte_level`: tokenizer.json speaks of ByteLevel, which LlamaTokenizer has not. */
static zo_status choose_class(choice *out, const side_files *side, bool has_byte_level, zo_err *err)
{
    const char *type = side_string(side->config, "model_type"), *name = side_string(side->settings, "tokenizer_class");
    const cJSON *given = member_of(side->settings, "tokenizer_class");
    if (given != NULL && !cJSON_IsNull(given) && !cJSON_IsString(given)) {
        return zo_fail(err, ZO_EINPUT, "%s: tokenizer_class is not a string", side_names[1]);
    }
    name = *name ? name : side_string(side->config, "tokenizer_class");
    out->is_named = *name != 0;
    out->is_opt = strcmp(type, "opt") == 0 && side->settings == NULL;
    bool wins;
    out->class_ = zo_class_of_model(type, &wins);
    out->is_named = out->is_named && !wins;
    if (!out->is_named) {
        return ZO_OK;
    }
    zo_status status = zo_class_find(name, &out->class_, err);
    if (status == ZO_OK && has_byte_level && strncmp(name, "LlamaTokenizer", 14) == 0) {
        status = zo_class_find("PreTrainedTokenizerFast", &out->class_, err);
    }
    return status;
}

static const char *kind_name(zo_model_kind kind)
{
    return kind == ZO_MODEL_BPE ? "BPE" : kind == ZO_MODEL_WORDPIECE ? "WordPiece" : "Unigram";
}

/* Where class and vocabulary are of different kinds: an error if a file names the class, else the vocabulary decides. */
static zo_status fit_class(choice *c, const zo_tokenizer *t, const char *folder, int source, zo_model_kind kind, zo_err *err)
{
    const zo_class *class_ = c->class_;
    bool is_spm = source >= FROM_SPM, fits = class_->model == kind && (source == FROM_JSON || class_->reads_spm == is_spm);
    if (class_->kind == ZO_CLASS_FILE ? source == FROM_JSON || is_spm : fits) {
        return ZO_OK;
    }
    if (c->is_named && class_->model == kind && class_->reads_spm) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: its tokenizer_class is %s, which is read from a tokenizer.json or a SentencePiece file; fetch one", folder,
                       class_->name);
    }
    if (c->is_named && class_->kind != ZO_CLASS_FILE) {
        return zo_fail(err, ZO_EINPUT, "%s: its tokenizer_class is %s (%s), but %s is a vocabulary of %s; correct tokenizer_class or the file",
                       folder, class_->name, kind_name(class_->model), source_files[source][0], kind_name(kind));
    }
    const char *name = source == FROM_JSON || is_spm           ? "PreTrainedTokenizerFast"
                       : kind == ZO_MODEL_WORDPIECE            ? "BertTokenizer"
                       : zo_tokenizer_id(t, "<mask>") >= 0 ? "RobertaTokenizer"
                                                               : "GPT2Tokenizer";
    return zo_class_find(name, &c->class_, err);
}

static zo_model_kind kind_of_source(int source) /* of all but tokenizer.json and SentencePiece's files */
{
    return source == FROM_VOCAB_LINES ? ZO_MODEL_WORDPIECE : ZO_MODEL_BPE;
}

/* tokenizer.json, else the vocabulary that fits the class, else the first; SOURCES where there is none. */
static int find_source(const char *folder, const zo_class *class_)
{
    int first = SOURCES;
    for (int i = SOURCES - 1; i >= 0; i--) {
        if (has_source(folder, i)) {
            bool fits = first == SOURCES || i == FROM_JSON || class_->kind == ZO_CLASS_FILE ||
                        (i >= FROM_SPM ? class_->reads_spm : class_->model == kind_of_source(i));
            first = fits ? i : first;
        }
    }
    return first;
}

/* ---- the whole ---- */

/* Vocabulary and pipeline of all but SentencePiece's files. */
static zo_status read_pipeline(zo_tokenizer *t, const char *folder, int source, const cJSON *root, const side_files *side, choice *c,
                               zo_err *err)
{
    zo_model_kind kind = kind_of_source(source);
    zo_status status = root ? zo_tokenizer_json_kind(root, &kind, err) : ZO_OK;
    t->model.kind = kind;
    if (status == ZO_OK && root == NULL) {
        status = read_vocab_files(t, folder, source, err);
    }
    if (status == ZO_OK) {
        status = fit_class(c, t, folder, source, kind, err);
    }
    if (status == ZO_OK && c->class_->kind == ZO_CLASS_FILE) {
        return zo_tokenizer_json_all(t, root, err);
    }
    if (status == ZO_OK && root != NULL) {
        status = zo_tokenizer_json_vocab(t, root, err);
    }
    return status != ZO_OK ? status : zo_class_build(t, c->class_, side->settings, err);
}

/* ---- SentencePiece's files ---- */

static zo_status open_spm(zo_spm **spm, const char *folder, int source, zo_err *err)
{
    char path[4096], *data;
    size_t bytes;
    zo_path_join(path, sizeof path, folder, source_files[source][0]);
    zo_status status = zo_read_file_or_gz(path, MOST_FILE_BYTES, &data, &bytes, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_spm_read(spm, data, bytes, err);
    zo_free(data);
    return status != ZO_OK ? zo_fail_in(err, path) : ZO_OK;
}

/* What the settings name a piece of that id, where no other piece has this name and keeps it; else the piece's own text. */
static const char *piece_name(const plan *p, const zo_spm *spm, int32_t id)
{
    const char *name = NULL;
    for (int i = 0; i < p->listed.n; i++) {
        name = p->listed.at[i].id == id ? p->listed.at[i].content : name;
    }
    for (int32_t other = 0; name != NULL && other < spm->pieces_n; other++) {
        bool keeps = strcmp(spm->pieces[other].text, name) == 0;
        for (int i = 0; keeps && i < p->listed.n; i++) {
            keeps = p->listed.at[i].id != other;
        }
        name = keeps ? NULL : name;
    }
    return name ? name : spm->pieces[id].text;
}

/* Names of transformers' classes stand before, behind or in place of a file's pieces. */
static zo_status add_pieces(zo_tokenizer *t, const plan *p, const side_files *side, zo_class_kind kind, const zo_spm *spm, zo_err *err)
{
    static const int first[] = {ZO_BOS, ZO_PAD, ZO_EOS, ZO_UNK};
    zo_status status = ZO_OK;
    bool is_xlm = kind == ZO_CLASS_XLM_ROBERTA;
    for (int i = 0; status == ZO_OK && is_xlm && i < 4; i++) {
        const char *name = p->special[first[i]].content;
        status = zo_spm_add_piece(t, name ? name : "None", 0.0, err);
    }
    for (int32_t id = is_xlm ? 3 : 0; status == ZO_OK && id < spm->pieces_n; id++) {
        const char *name = kind == ZO_CLASS_FILE && spm->kind == ZO_MODEL_BPE && p->listed.n > 0 ? piece_name(p, spm, id) : spm->pieces[id].text;
        status = zo_spm_add_piece(t, name, spm->pieces[id].score, err);
    }
    if (status == ZO_OK && is_xlm) {
        status = zo_spm_add_piece(t, p->special[ZO_MASK].content ? p->special[ZO_MASK].content : "None", 0.0, err);
    }
    int sentinels = 0;
    if (status == ZO_OK && kind == ZO_CLASS_T5) {
        status = sentinels_of(side, &sentinels, err);
    }
    while (status == ZO_OK && sentinels-- > 0) {
        char name[32];
        snprintf(name, sizeof name, "<extra_id_%d>", sentinels);
        status = zo_spm_add_piece(t, name, 0.0, err);
    }
    return status;
}

static zo_status build_spm(zo_tokenizer *t, plan *p, const side_files *side, const zo_class *class_, zo_spm *spm, zo_err *err)
{
    bool is_file = class_->kind == ZO_CLASS_FILE;
    t->model.kind = spm->kind;
    zo_status status = add_pieces(t, p, side, class_->kind, spm, err);
    if (status == ZO_OK && spm->kind == ZO_MODEL_BPE) {
        status = zo_spm_add_merges(t, spm, is_file, err);
    }
    t->charsmap = spm->charsmap;
    spm->charsmap = NULL;
    if (status != ZO_OK || !is_file) {
        return status != ZO_OK ? status : zo_class_build(t, class_, side->settings, err);
    }
    for (int i = 0; spm->add_dummy_prefix && i < p->listed.n; i++) { /* looked for in the raw text, so that each part between gets its prefix */
        p->listed.at[i].flags.normalized = false;
    }
    return zo_class_build_spm(t, spm, side->settings, err);
}

static zo_status need_special(const zo_tokenizer *t, const plan *p, int which, int32_t *id, zo_err *err)
{
    *id = p->special[which].content ? zo_tokenizer_id(t, p->special[which].content) : -1;
    return *id >= 0 ? ZO_OK
                    : zo_fail(err, ZO_EINPUT, "the vocabulary needs the %s \"%s\", which is missing", special_keys[which],
                              p->special[which].content ? p->special[which].content : "");
}

static zo_status read_flag(const side_files *side, const char *key, bool initial, bool *out, zo_err *err)
{
    const cJSON *member = member_of(side->settings, key);
    *out = cJSON_IsBool(member) ? cJSON_IsTrue(member) : initial;
    return member == NULL || cJSON_IsNull(member) || cJSON_IsBool(member)
               ? ZO_OK
               : zo_fail(err, ZO_EINPUT, "%s: %s is not true or false", side_names[1], key);
}

/* [bos] and [eos] by add_bos_token and add_eos_token. */
static void set_bos_eos(zo_tokenizer *t, const plan *p, bool add_bos, bool add_eos)
{
    const char *bos_text = p->special[ZO_BOS].content, *eos_text = p->special[ZO_EOS].content;
    int32_t bos = bos_text ? zo_tokenizer_id(t, bos_text) : -1, eos = eos_text ? zo_tokenizer_id(t, eos_text) : -1;
    zo_tokenizer_set_bos_eos(t, add_bos ? bos : -1, add_eos ? eos : -1);
}

/* Classes that put the same around texts whatever the files say; *done: `kind` is one of them. */
static zo_status read_class_forms(zo_tokenizer *t, zo_class_kind kind, const plan *p, bool *done, zo_err *err)
{
    bool by_ends = kind == ZO_CLASS_XLM_ROBERTA || kind == ZO_CLASS_T5;
    *done = by_ends || kind == ZO_CLASS_BERT || kind == ZO_CLASS_ROBERTA || kind == ZO_CLASS_DEBERTA_V2;
    if (!*done) {
        return ZO_OK;
    }
    int32_t first = -1, last = -1;
    zo_status status = kind == ZO_CLASS_T5 ? ZO_OK : need_special(t, p, by_ends ? ZO_BOS : ZO_CLS, &first, err);
    status = status != ZO_OK ? status : need_special(t, p, by_ends ? ZO_EOS : ZO_SEP, &last, err);
    if (status != ZO_OK) {
        return status;
    }
    if (kind == ZO_CLASS_T5) {
        zo_tokenizer_set_bos_eos(t, -1, last);
        for (int32_t i = 0; i < t->pair.n; i++) {
            t->pair.parts[i].type = 0;
        }
    } else {
        zo_tokenizer_set_cls_sep(t, first, last, kind == ZO_CLASS_ROBERTA || kind == ZO_CLASS_XLM_ROBERTA);
    }
    return ZO_OK;
}

/* What stands around texts. */
static zo_status read_forms(zo_tokenizer *t, const cJSON *root, const side_files *side, const choice *c, const plan *p, zo_err *err)
{
    zo_class_kind kind = c->class_->kind;
    bool done, add_bos, add_eos;
    zo_status status = read_class_forms(t, kind, p, &done, err);
    if (status != ZO_OK || done) {
        return status;
    }
    status = read_flag(side, "add_bos_token", c->is_opt && root == NULL, &add_bos, err);
    if (status == ZO_OK) {
        status = read_flag(side, "add_eos_token", false, &add_eos, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    bool is_told = root == NULL && (member_of(side->settings, "add_bos_token") || member_of(side->settings, "add_eos_token"));
    bool has_post = root != NULL && member_of(root, "post_processor") != NULL && !cJSON_IsNull(member_of(root, "post_processor"));
    if (kind == ZO_CLASS_ALBERT && !is_told && !has_post) {
        int32_t cls, sep;
        status = need_special(t, p, ZO_CLS, &cls, err);
        status = status != ZO_OK ? status : need_special(t, p, ZO_SEP, &sep, err);
        if (status == ZO_OK) {
            zo_tokenizer_set_cls_sep(t, cls, sep, false);
        }
        return status;
    }
    if (root == NULL) {
        set_bos_eos(t, p, add_bos, add_eos);
    } else if (kind == ZO_CLASS_GPT_NEOX) {
        zo_tokenizer_set_bare(t);
    } else if (kind != ZO_CLASS_FILE) {
        status = zo_tokenizer_json_post(t, root, err);
    }
    return status;
}

/* DeBERTa's unknown piece is where its name stands with a score of 0, else where unk_id says. */
static zo_status find_unknown(zo_tokenizer *t, const plan *p, const side_files *side, const zo_spm *spm, zo_err *err)
{
    const char *name = p->special[ZO_UNK].content;
    int32_t named = name ? zo_vocab_find(&t->model.vocab, name, strlen(name)) : -1;
    const cJSON *given = member_of(side->settings, "unk_id");
    double id = named >= 0 && t->model.scores[named] == 0.0 ? named : spm != NULL ? spm->unk_id : cJSON_IsNumber(given) ? given->valuedouble : 1;
    if (!(id >= 0 && id < t->model.vocab.size) || id != (double)(int32_t)id) {
        return zo_fail(err, ZO_EINPUT, "%s: unk_id is not an id of the vocabulary, which has %d pieces", side_names[1], t->model.vocab.size);
    }
    t->model.unk = (int32_t)id;
    return ZO_OK;
}

/* What a class takes from the special tokens for its model. */
static zo_status read_unknown(zo_tokenizer *t, const plan *p, const side_files *side, zo_class_kind kind, const zo_spm *spm, zo_err *err)
{
    const char *name = p->special[ZO_UNK].content;
    switch (kind) {
    case ZO_CLASS_BERT:
        return need_special(t, p, ZO_UNK, &t->model.unk, err);
    case ZO_CLASS_DEBERTA_V2:
        return find_unknown(t, p, side, spm, err);
    case ZO_CLASS_GEMMA:
        t->model.unk = name ? zo_vocab_find(&t->model.vocab, name, strlen(name)) : -1;
        return ZO_OK;
    default:
        return ZO_OK;
    }
}

static zo_status read_all(zo_tokenizer *t, const char *folder, int source, const cJSON *root, const side_files *side, choice *c,
                          zo_err *err)
{
    static const char *const opt_specials[ZO_SPECIALS] = {"</s>", "</s>", NULL, NULL, "<pad>", NULL, NULL};
    const char *spm_specials[ZO_SPECIALS] = {NULL};
    plan p = {0};
    zo_spm *spm = NULL;
    zo_status status = source >= FROM_SPM ? open_spm(&spm, folder, source, err) : read_pipeline(t, folder, source, root, side, c, err);
    if (status == ZO_OK && spm != NULL) {
        status = fit_class(c, t, folder, source, spm->kind, err);
        spm_specials[ZO_BOS] = spm->bos_id >= 0 ? spm->bos_piece : NULL;
        spm_specials[ZO_EOS] = spm->eos_id >= 0 ? spm->eos_piece : NULL;
        spm_specials[ZO_UNK] = spm->unk_piece;
    }
    if (status == ZO_OK) {
        const char *const *specials = c->is_opt && root == NULL                             ? opt_specials
                                      : spm != NULL && c->class_->kind == ZO_CLASS_FILE ? spm_specials
                                                                                            : c->class_->specials;
        status = plan_read(&p, side, specials, c->class_->kind, root, spm, err);
    }
    if (status == ZO_OK && spm != NULL) {
        status = build_spm(t, &p, side, c->class_, spm, err);
    }
    if (status == ZO_OK) {
        status = read_unknown(t, &p, side, c->class_->kind, spm, err);
    }
    if (status == ZO_OK) {
        status = plan_apply(t, &p, err);
    }
    if (status == ZO_OK && c->class_->kind == ZO_CLASS_QWEN2) {
        status = add_specials_again(t, &p, err);
    }
    if (status == ZO_OK) {
        status = read_forms(t, root, side, c, &p, err);
    }
    if (status == ZO_OK) {
        status = read_flag(side, "split_special_tokens", false, &t->split_specials, err);
    }
    if (status == ZO_OK) {
        resolve_specials(t, &p, side->config);
    }
    plan_free(&p);
    zo_spm_free(spm);
    return status;
}

/* tokenizer.json; *has_byte_level: whether it speaks of ByteLevel anywhere. */
static zo_status read_root(const char *folder, cJSON **root, bool *has_byte_level, zo_err *err)
{
    char path[4096], *text;
    size_t bytes;
    zo_path_join(path, sizeof path, folder, source_files[FROM_JSON][0]);
    zo_status status = zo_read_file_or_gz(path, MOST_FILE_BYTES, &text, &bytes, err);
    if (status != ZO_OK) {
        return status;
    }
    *has_byte_level = strstr(text, "\"ByteLevel\"") != NULL;
    status = zo_tokenizer_json_parse(text, bytes, path, root, err);
    zo_free(text);
    return status;
}

static zo_status need_folder(const char *folder, zo_err *err)
{
    if (!zo_path_is_dir(folder)) {
        return zo_fail(err, ZO_EIO, "%s is not a folder; a model's folder with a tokenizer.json is expected", folder);
    }
    for (int i = 0; i < SOURCES; i++) {
        if (has_source(folder, i)) {
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EIO,
                   "%s has no tokenizer: tokenizer.json, tokenizer.model (spiece.model, sentencepiece.bpe.model, spm.model), vocab.txt, vocab.json with "
                   "merges.txt, or encoder.json with vocab.bpe is expected; fetch the missing file",
                   folder);
}

zo_status zo_tokenizer_read_folder(zo_tokenizer *t, const char *folder, zo_err *err)
{
    zo_status status = need_folder(folder, err);
    if (status != ZO_OK) {
        return status;
    }
    side_files side = {0};
    cJSON *root = NULL;
    bool has_byte_level = false;
    choice c = {0};
    status = side_open(&side, folder, err);
    if (status == ZO_OK && has_source(folder, FROM_JSON)) {
        status = refuse_versions(&side, err);
    }
    if (status == ZO_OK && has_source(folder, FROM_JSON)) {
        status = read_root(folder, &root, &has_byte_level, err);
    }
    if (status == ZO_OK) {
        status = choose_class(&c, &side, has_byte_level, err);
    }
    if (status == ZO_OK) {
        status = read_all(t, folder, find_source(folder, c.class_), root, &side, &c, err);
    }
    if (status != ZO_OK && err != NULL && strncmp(err->text, folder, strlen(folder)) != 0) {
        zo_fail_in(err, folder);
    }
    cJSON_Delete(root);
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

bool zo_tokenizer_reads(const char *file)
{
    for (int i = 0; i < 2 * SOURCES; i++) {
        const char *name = source_files[i / 2][i % 2];
        if (name != NULL && strcmp(file, name) == 0) {
            return true;
        }
    }
    for (int i = 0; i < SIDES_N; i++) {
        if (strcmp(file, side_names[i]) == 0) {
            return true;
        }
    }
    return false;
}

zo_status zo_tokenizer_fingerprint(const char *folder, uint64_t *print, zo_err *err)
{
    uint64_t hash = ZO_FNV_START;
    zo_status status = need_folder(folder, err);
    bool has_json = status == ZO_OK && has_source(folder, FROM_JSON);
    for (int i = 0; status == ZO_OK && i < (has_json ? 1 : SOURCES); i++) {
        for (int j = 0; status == ZO_OK && j < 2 && has_source(folder, i); j++) {
            status = source_files[i][j] ? hash_file(folder, source_files[i][j], &hash, err) : ZO_OK;
        }
    }
    for (int i = 0; status == ZO_OK && i < SIDES_N; i++) {
        char path[4096];
        bool is_there = zo_path_exists(zo_path_join(path, sizeof path, folder, side_names[i]));
        status = is_there ? hash_file(folder, side_names[i], &hash, err) : ZO_OK;
    }
    *print = status == ZO_OK ? hash : 0;
    return status;
}
