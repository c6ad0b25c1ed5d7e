/* tokenizer.c: a tokenizer as a whole: added tokens, the pipeline, templates, special ids, tokens for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

#define MOST_TEXT_BYTES ((size_t)1 << 28)

/* ---- lists of ids ---- */

void zo_ids_clear(zo_ids *ids)
{
    ids->n = 0;
}

void zo_ids_free(zo_ids *ids)
{
    zo_free(ids->ids);
    zo_free(ids->types);
    *ids = (zo_ids){0};
}

void zo_ids_push(zo_ids *ids, int32_t id, uint8_t type)
{
    if (ids->n == ids->room) {
        ids->room = ids->room ? ids->room * 2 : 64;
        ids->ids = zo_realloc(ids->ids, ZO_HOST, ZO_TAG_DATA, (size_t)ids->room * sizeof *ids->ids);
        ids->types = zo_realloc(ids->types, ZO_HOST, ZO_TAG_DATA, (size_t)ids->room);
    }
    ids->ids[ids->n] = id;
    ids->types[ids->n++] = type;
}

/* ---- building ---- */

zo_norm *zo_tokenizer_push_norm(zo_tokenizer *t, zo_norm_kind kind)
{
    t->norms = zo_realloc(t->norms, ZO_HOST, ZO_TAG_DATA, ((size_t)t->norms_n + 1) * sizeof *t->norms);
    t->norms[t->norms_n].kind = kind;
    return &t->norms[t->norms_n++];
}

zo_pre *zo_tokenizer_push_pre(zo_tokenizer *t, zo_pre_kind kind)
{
    t->pres = zo_realloc(t->pres, ZO_HOST, ZO_TAG_DATA, ((size_t)t->pres_n + 1) * sizeof *t->pres);
    t->pres[t->pres_n].kind = kind;
    return &t->pres[t->pres_n++];
}

void zo_template_push(zo_template *form, zo_template_kind kind, int32_t id, uint8_t type)
{
    if (form->n == form->room) {
        form->room = form->room ? form->room * 2 : 8;
        form->parts = zo_realloc(form->parts, ZO_HOST, ZO_TAG_DATA, (size_t)form->room * sizeof *form->parts);
    }
    form->parts[form->n++] = (zo_template_part){kind, type, id};
}

void zo_tokenizer_set_bare(zo_tokenizer *t)
{
    zo_tokenizer_set_bos_eos(t, -1, -1);
}

void zo_tokenizer_set_bos_eos(zo_tokenizer *t, int32_t bos, int32_t eos)
{
    t->single.n = t->pair.n = 0;
    for (int f = 0; f < 2; f++) {
        zo_template *form = f == 0 ? &t->single : &t->pair;
        for (uint8_t side = 0; side <= f; side++) {
            if (bos >= 0) {
                zo_template_push(form, ZO_TEMPLATE_SPECIAL, bos, side);
            }
            zo_template_push(form, side == 0 ? ZO_TEMPLATE_A : ZO_TEMPLATE_B, 0, side);
            if (eos >= 0) {
                zo_template_push(form, ZO_TEMPLATE_SPECIAL, eos, side);
            }
        }
    }
}

void zo_tokenizer_set_cls_sep(zo_tokenizer *t, int32_t cls, int32_t sep, bool is_roberta)
{
    uint8_t second = is_roberta ? 0 : 1;
    t->special.cls = cls;
    t->special.sep = sep;
    t->single.n = t->pair.n = 0;
    zo_template_push(&t->single, ZO_TEMPLATE_SPECIAL, cls, 0);
    zo_template_push(&t->single, ZO_TEMPLATE_A, 0, 0);
    zo_template_push(&t->single, ZO_TEMPLATE_SPECIAL, sep, 0);
    zo_template_push(&t->pair, ZO_TEMPLATE_SPECIAL, cls, 0);
    zo_template_push(&t->pair, ZO_TEMPLATE_A, 0, 0);
    zo_template_push(&t->pair, ZO_TEMPLATE_SPECIAL, sep, 0);
    if (is_roberta) {
        zo_template_push(&t->pair, ZO_TEMPLATE_SPECIAL, sep, 0);
    }
    zo_template_push(&t->pair, ZO_TEMPLATE_B, 0, second);
    zo_template_push(&t->pair, ZO_TEMPLATE_SPECIAL, sep, second);
}

static zo_added *find_added(const zo_tokenizer *t, const char *content)
{
    int32_t at = zo_vocab_find(&t->added_index, content, strlen(content));
    return at >= 0 ? &t->added[at] : NULL;
}

const zo_added *zo_tokenizer_find_added(const zo_tokenizer *t, const char *content)
{
    return find_added(t, content);
}

/* The next free id is counted, not looked up: the number of tokens of the vocabulary, or the largest added id + 1. */
static zo_status next_id(const zo_tokenizer *t, const char *content, int32_t *id, zo_err *err)
{
    int64_t next = (int64_t)t->model.vocab.used;
    next = t->added_end > next ? t->added_end : next;
    if (next >= ZO_TOKEN_ID_LIMIT) {
        return zo_fail(err, ZO_EINPUT, "the added token \"%.60s\" would have id %lld, but ids run from 0 to %d", content,
                       (long long)next, ZO_TOKEN_ID_LIMIT - 1);
    }
    *id = (int32_t)next;
    const zo_vocab *vocab = &t->model.vocab;
    if (*id < vocab->size && vocab->offset[*id] >= 0) {
        return zo_fail(err, ZO_EINPUT, "the added token \"%.60s\" gets id %d, the number of tokens before it, which belongs to "
                                       "\"%.60s\"; the ids of a vocabulary must have no gaps",
                       content, *id, vocab->pool + vocab->offset[*id]);
    }
    return ZO_OK;
}

static zo_added *entry_new(zo_tokenizer *t, const char *content, int32_t id)
{
    if (t->added_n == t->added_room) {
        t->added_room = t->added_room ? t->added_room * 2 : 16;
        t->added = zo_realloc(t->added, ZO_HOST, ZO_TAG_DATA, (size_t)t->added_room * sizeof *t->added);
    }
    ZO_CHECK(zo_vocab_add(&t->added_index, content, strlen(content), t->added_n, NULL) == ZO_OK, "more added tokens than ids");
    t->added[t->added_n] = (zo_added){.content = zo_strdup(ZO_TAG_DATA, content), .id = id};
    t->added_end = id >= t->added_end ? id + 1 : t->added_end;
    return &t->added[t->added_n++];
}

zo_status zo_tokenizer_add_token(zo_tokenizer *t, zo_added flags, const char *content, zo_err *err)
{
    if (*content == 0) {
        return ZO_OK;
    }
    zo_added *added = find_added(t, content);
    if (added == NULL) {
        int32_t id = zo_vocab_find(&t->model.vocab, content, strlen(content));
        zo_status status = id >= 0 ? ZO_OK : next_id(t, content, &id, err);
        if (status != ZO_OK) {
            return status;
        }
        added = entry_new(t, content, id);
    }
    added->single_word = flags.single_word;
    added->left_strip = flags.left_strip;
    added->right_strip = flags.right_strip;
    added->normalized = flags.normalized;
    added->special = flags.special;
    added->once_special = added->once_special || flags.special;
    return ZO_OK;
}

/* ---- added tokens in a text: leftmost, then longest ---- */

static int compare_finds(const void *left, const void *right, void *context)
{
    const zo_added *added = context;
    const zo_find *l = left, *r = right;
    uint8_t first_l = (uint8_t)l->text[0], first_r = (uint8_t)r->text[0];
    if (first_l != first_r) {
        return first_l < first_r ? -1 : 1;
    }
    if (l->n != r->n) {
        return l->n > r->n ? -1 : 1;
    }
    return added[l->added].id < added[r->added].id ? -1 : added[l->added].id > added[r->added].id;
}

static void finder_build(zo_finder *finder, const zo_tokenizer *t, bool normalized)
{
    int32_t n = 0;
    finder->entries = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)t->added_n + 1) * sizeof *finder->entries);
    for (int32_t i = 0; i < t->added_n; i++) {
        const zo_added *added = &t->added[i];
        zo_find find = {normalized ? added->pattern : added->content, 0, i};
        find.n = normalized ? added->pattern_n : (int64_t)strlen(added->content);
        if (added->normalized == normalized && find.n > 0) {
            finder->entries[n++] = find;
        }
    }
    qsort_r(finder->entries, (size_t)n, sizeof *finder->entries, compare_finds, t->added);
    int32_t at = 0;
    for (int b = 0; b < 256; b++) {
        finder->begin[b] = at;
        while (at < n && (uint8_t)finder->entries[at].text[0] == b) {
            at++;
        }
    }
    finder->begin[256] = n;
}

/* The added token that matches at text[at..n), or NULL. */
static const zo_find *finder_at(const zo_finder *finder, const char *text, int64_t at, int64_t n)
{
    uint8_t first = (uint8_t)text[at];
    for (int32_t i = finder->begin[first]; i < finder->begin[first + 1]; i++) {
        const zo_find *find = &finder->entries[i];
        if (find->n <= n - at && memcmp(text + at, find->text, (size_t)find->n) == 0) {
            return find;
        }
    }
    return NULL;
}

static bool is_single_word(const char *text, int64_t start, int64_t stop, int64_t n)
{
    int32_t c;
    if (start > 0) {
        zo_utf8_next(zo_utf8_before(text, text + start), &c);
        if (zo_is_word(c)) {
            return false;
        }
    }
    if (stop < n) {
        zo_utf8_next(text + stop, &c);
        return !zo_is_word(c);
    }
    return true;
}

static int64_t strip_left(const char *text, int64_t start)
{
    int32_t c;
    while (start > 0) {
        const char *before = zo_utf8_before(text, text + start);
        zo_utf8_next(before, &c);
        if (!zo_is_space(c)) {
            break;
        }
        start = before - text;
    }
    return start;
}

static int64_t strip_right(const char *text, int64_t stop, int64_t n)
{
    int32_t c;
    while (stop < n) {
        int length = zo_utf8_next(text + stop, &c);
        if (!zo_is_space(c)) {
            break;
        }
        stop += length;
    }
    return stop;
}

typedef zo_status (*span_encoder)(zo_tokenizer *t, const char *text, int64_t n, bool first, zo_ids *out, zo_err *err);

/* Push the ids of added tokens, and let `encode` do what stands between them. */
static zo_status encode_around_added(zo_tokenizer *t, const zo_finder *finder, const char *text, int64_t n, bool first,
                                     span_encoder encode, zo_ids *out, zo_err *err)
{
    int64_t done = 0;
    for (int64_t at = 0; at < n;) {
        const zo_find *find = finder_at(finder, text, at, n);
        if (find == NULL) {
            at++;
            continue;
        }
        const zo_added *added = &t->added[find->added];
        int64_t start = at, stop = at + find->n;
        at = stop;
        if ((t->split_specials && added->once_special) || (added->single_word && !is_single_word(text, start, stop, n))) {
            continue;
        }
        if (added->left_strip) {
            start = strip_left(text, start);
            start = start > done ? start : done;
        }
        if (added->right_strip) {
            stop = strip_right(text, stop, n);
        }
        if (done < start) {
            zo_status status = encode(t, text + done, start - done, first && done == 0, out, err);
            if (status != ZO_OK) {
                return status;
            }
        }
        if (t->rows > 0 && added->id >= t->rows) {
            return zo_fail(err, ZO_EINPUT, "a text holds the added token \"%.60s\", id %d, but the model's embedding has %d rows; "
                                           "tokenizer and weights are not of one model",
                           added->content, added->id, t->rows);
        }
        if (start < stop) { /* else a neighbour's stripping has swallowed it */
            zo_ids_push(out, added->id, 0);
        }
        done = stop;
    }
    return done < n ? encode(t, text + done, n - done, first && done == 0, out, err) : ZO_OK;
}

/* ---- the pipeline ---- */

static zo_status encode_pieces(zo_tokenizer *t, const char *text, int64_t n, bool first, zo_ids *out, zo_err *err)
{
    const char *cut;
    const zo_pieces *pieces;
    zo_status status = zo_pre_apply(t->pres, t->pres_n, &t->splitter, text, n, first, &cut, &pieces, err);
    for (int64_t i = 0; status == ZO_OK && i < pieces->n; i++) {
        status = zo_model_encode(&t->model, cut + pieces->at[i].start, pieces->at[i].n, out, err);
    }
    return status;
}

/* *out: `text` after all normalizers, in one of the two scratch texts or `text` itself. */
static zo_status normalize(zo_tokenizer *t, const char **text, int64_t *n, bool *lead, zo_err *err)
{
    for (int i = 0; *n > 0 && i < t->norms_n; i++) {
        zo_text *out = &t->norm_text[i % 2];
        zo_status status = zo_norm_apply(&t->norms[i], *text, *n, out, lead, err);
        if (status != ZO_OK) {
            return status;
        }
        *text = out->data;
        *n = out->n;
    }
    return ZO_OK;
}

static zo_status encode_normalized(zo_tokenizer *t, const char *text, int64_t n, bool first, zo_ids *out, zo_err *err)
{
    zo_status status = normalize(t, &text, &n, &first, err);
    return status != ZO_OK ? status : encode_around_added(t, &t->normal, text, n, first, encode_pieces, out, err);
}

static zo_status encode_side(zo_tokenizer *t, const char *text, size_t bytes, zo_ids *out, zo_err *err)
{
    out->n = 0;
    if (bytes > MOST_TEXT_BYTES) {
        return zo_fail(err, ZO_EINPUT, "a text of %zu bytes is too long to tokenize at once; at most %zu are expected", bytes,
                       MOST_TEXT_BYTES);
    }
    int64_t n = (int64_t)bytes;
    if (!zo_utf8_valid(text, n)) {
        t->repaired.n = 0;
        zo_utf8_repair(&t->repaired, text, n);
        text = t->repaired.data;
        n = t->repaired.n;
    }
    return encode_around_added(t, &t->raw, text, n, true, encode_normalized, out, err);
}

static void fill(const zo_template *form, bool specials, const int32_t *a, int64_t a_n, const int32_t *b, int64_t b_n,
                 zo_ids *out)
{
    for (int32_t i = 0; i < form->n; i++) {
        zo_template_part part = form->parts[i];
        const int32_t *ids = part.kind == ZO_TEMPLATE_A ? a : part.kind == ZO_TEMPLATE_B ? b : &part.id;
        int64_t n = part.kind == ZO_TEMPLATE_A ? a_n : part.kind == ZO_TEMPLATE_B ? b_n : specials ? 1 : 0;
        for (int64_t j = 0; j < n; j++) {
            zo_ids_push(out, ids[j], part.type);
        }
    }
}

zo_status zo_tokenizer_encode(zo_tokenizer *t, const char *text, size_t bytes, zo_specials specials, zo_ids *out, zo_err *err)
{
    zo_status status = encode_side(t, text, bytes, &t->side[0], err);
    if (status == ZO_OK) {
        fill(&t->single, specials == ZO_WITH_SPECIALS, t->side[0].ids, t->side[0].n, NULL, 0, out);
    }
    return status;
}

zo_status zo_tokenizer_encode_pair(zo_tokenizer *t, const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                                   zo_specials specials, zo_ids *out, zo_err *err)
{
    zo_status status = encode_side(t, a, a_bytes, &t->side[0], err);
    if (status == ZO_OK) {
        status = encode_side(t, b, b_bytes, &t->side[1], err);
    }
    if (status == ZO_OK) {
        fill(&t->pair, specials == ZO_WITH_SPECIALS, t->side[0].ids, t->side[0].n, t->side[1].ids, t->side[1].n, out);
    }
    return status;
}

void zo_tokenizer_wrap(const zo_tokenizer *t, const int32_t *a, int64_t a_n, const int32_t *b, int64_t b_n, zo_ids *out)
{
    fill(b ? &t->pair : &t->single, true, a, a_n, b, b_n, out);
}

int zo_tokenizer_wrap_count(const zo_tokenizer *t, bool pair)
{
    const zo_template *form = pair ? &t->pair : &t->single;
    int count = 0;
    for (int32_t i = 0; i < form->n; i++) {
        count += form->parts[i].kind == ZO_TEMPLATE_SPECIAL;
    }
    return count;
}

/* ---- asking ---- */

zo_special_ids zo_tokenizer_special(const zo_tokenizer *t)
{
    return t->special;
}

void zo_tokenizer_set_bos(zo_tokenizer *t, int32_t id)
{
    zo_template *forms[2] = {&t->single, &t->pair};
    for (int f = 0; f < 2; f++) {
        for (int32_t i = 0; i < forms[f]->n; i++) {
            zo_template_part *part = &forms[f]->parts[i];
            if (part->kind == ZO_TEMPLATE_SPECIAL && part->id == t->special.bos) {
                part->id = id;
            }
        }
    }
    t->special.bos = id;
}

static int32_t largest_template_id(const zo_tokenizer *t)
{
    const zo_template *forms[2] = {&t->single, &t->pair};
    int32_t largest = -1;
    for (int f = 0; f < 2; f++) {
        for (int32_t i = 0; i < forms[f]->n; i++) {
            bool is_larger = forms[f]->parts[i].kind == ZO_TEMPLATE_SPECIAL && forms[f]->parts[i].id > largest;
            largest = is_larger ? forms[f]->parts[i].id : largest;
        }
    }
    return largest;
}

zo_status zo_tokenizer_set_rows(zo_tokenizer *t, int32_t rows, zo_err *err)
{
    int32_t needed = largest_template_id(t) + 1;
    needed = t->model.vocab.size > needed ? t->model.vocab.size : needed;
    if (needed > rows) {
        return zo_fail(err, ZO_EINPUT, "its tokenizer has %d tokens, its embedding only %d rows; tokenizer and weights are not of one model",
                       needed, rows);
    }
    t->rows = rows;
    return ZO_OK;
}

int32_t zo_tokenizer_vocab_size(const zo_tokenizer *t)
{
    return t->added_end > t->model.vocab.size ? t->added_end : t->model.vocab.size;
}

int32_t zo_tokenizer_id(const zo_tokenizer *t, const char *token)
{
    int32_t id = zo_vocab_find(&t->model.vocab, token, strlen(token));
    const zo_added *added = id < 0 ? find_added(t, token) : NULL;
    return added ? added->id : id;
}

static const zo_added *added_of(const zo_tokenizer *t, int32_t id)
{
    for (int32_t i = 0; i < t->added_n; i++) {
        if (t->added[i].id == id) {
            return &t->added[i];
        }
    }
    return NULL;
}

const char *zo_tokenizer_token(const zo_tokenizer *t, int32_t id)
{
    const zo_vocab *vocab = &t->model.vocab;
    if (id >= 0 && id < vocab->size && vocab->offset[id] >= 0) {
        return vocab->pool + vocab->offset[id];
    }
    const zo_added *added = added_of(t, id);
    return added ? added->content : NULL;
}

/* The bytes that `token` stands for; *is_bytes when they come from a byte spelling. */
static void token_bytes(const zo_tokenizer *t, const char *token, zo_text *out)
{
    size_t n = strlen(token);
    if (t->byte_level) {
        const zo_byte_chars *chars = zo_byte_chars_get();
        int32_t c;
        for (const char *at = token; *at; at += zo_utf8_next(at, &c)) {
            int length = zo_utf8_next(at, &c);
            char byte = c < 512 && chars->byte_of[c] >= 0 ? (char)chars->byte_of[c] : 0;
            bool known = c < 512 && chars->byte_of[c] >= 0;
            zo_text_append(out, known ? &byte : at, known ? 1 : length);
        }
        return;
    }
    if (t->model.byte_fallback && n == 6 && strncmp(token, "<0x", 3) == 0) {
        char byte = (char)strtol(token + 3, NULL, 16);
        zo_text_append(out, &byte, 1);
        return;
    }
    size_t mark_n = t->mark ? strlen(t->mark) : 0;
    for (const char *at = token; *at;) {
        if (mark_n > 0 && strncmp(at, t->mark, mark_n) == 0) {
            zo_text_append(out, " ", 1);
            at += mark_n;
        } else {
            zo_text_append(out, at++, 1);
        }
    }
}

char *zo_tokenizer_decode(const zo_tokenizer *t, const int32_t *ids, int64_t n)
{
    zo_text bytes = {0}, text = {0};
    for (int64_t i = 0; i < n; i++) {
        const zo_added *added = added_of(t, ids[i]);
        const char *token = zo_tokenizer_token(t, ids[i]);
        if (added != NULL && !added->special) {
            zo_text_append(&bytes, added->content, (int64_t)strlen(added->content));
        } else if (added == NULL && token != NULL) {
            token_bytes(t, token, &bytes);
        }
    }
    zo_utf8_repair(&text, bytes.data, bytes.n);
    char *out = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)text.n + 1);
    if (text.n > 0) { /* an empty text has no data */
        memcpy(out, text.data, (size_t)text.n);
    }
    zo_text_free(&bytes);
    zo_text_free(&text);
    return out;
}

char *zo_tokenizer_show(const zo_tokenizer *t, int32_t id, char *out, size_t size)
{
    const char *token = zo_tokenizer_token(t, id);
    if (size == 0) {
        return out;
    }
    if (token == NULL) {
        snprintf(out, size, "<no token %d>", id);
        return out;
    }
    zo_text bytes = {0};
    if (added_of(t, id) != NULL) {
        zo_text_append(&bytes, token, (int64_t)strlen(token));
    } else {
        token_bytes(t, token, &bytes);
    }
    size_t done = 0;
    for (int64_t i = 0; i < bytes.n;) {
        char part[8];
        int length = 0;
        for (int units = 4; units > 0 && length == 0; units--) { /* the whole character that begins here, if there is one */
            length = i + units <= bytes.n && (uint8_t)bytes.data[i] >= 0x20 && zo_utf8_valid(bytes.data + i, units) ? units : 0;
            while (length > 1 && zo_utf8_valid(bytes.data + i, length - 1)) {
                length--;
            }
        }
        if (length > 0) {
            memcpy(part, bytes.data + i, (size_t)length);
            part[length] = 0;
            i += length;
        } else {
            snprintf(part, sizeof part, "\\x%02X", (uint8_t)bytes.data[i++]);
        }
        size_t part_n = strlen(part);
        if (done + part_n + 1 > size) {
            break;
        }
        memcpy(out + done, part, part_n);
        done += part_n;
    }
    out[done] = 0;
    zo_text_free(&bytes);
    return out;
}

/* ---- opening and closing ---- */

static int32_t first_known(const zo_tokenizer *t, const char *const *names)
{
    int32_t id = -1;
    for (; id < 0 && *names; names++) {
        id = zo_tokenizer_id(t, *names);
    }
    return id;
}

void zo_tokenizer_guess_specials(zo_tokenizer *t)
{
    zo_special_ids *s = &t->special;
    static const char *const bos[] = {"<s>", "<|begin_of_text|>", "<|endoftext|>", NULL};
    static const char *const eos[] = {"</s>", "<|end_of_text|>", "<|endoftext|>", NULL};
    static const char *const pad[] = {"[PAD]", "<pad>", NULL};
    static const char *const mask[] = {"[MASK]", "<mask>", NULL};
    static const char *const unk[] = {"[UNK]", "<unk>", NULL};
    static const char *const cls[] = {"[CLS]", NULL};
    static const char *const sep[] = {"[SEP]", NULL};
    s->bos = s->bos < 0 ? first_known(t, bos) : s->bos;
    s->eos = s->eos < 0 ? first_known(t, eos) : s->eos;
    s->pad = s->pad < 0 ? first_known(t, pad) : s->pad;
    s->mask = s->mask < 0 ? first_known(t, mask) : s->mask;
    s->unk = s->unk < 0 ? t->model.unk : s->unk;
    s->unk = s->unk < 0 ? first_known(t, unk) : s->unk;
    s->cls = s->cls < 0 ? first_known(t, cls) : s->cls;
    s->sep = s->sep < 0 ? first_known(t, sep) : s->sep;
}

/* What can only be known when all is read: patterns, finders, forms, how tokens are spelled. */
static zo_status finish(zo_tokenizer *t, zo_err *err)
{
    zo_model_finish(&t->model);
    for (int32_t i = 0; i < t->added_n; i++) {
        zo_added *added = &t->added[i];
        const char *text = added->content;
        int64_t n = (int64_t)strlen(text);
        bool lead = true;
        zo_status status = added->normalized ? normalize(t, &text, &n, &lead, err) : ZO_OK;
        if (status != ZO_OK) {
            return status;
        }
        added->pattern = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n + 1);
        memcpy(added->pattern, text ? text : "", (size_t)n);
        added->pattern_n = n;
    }
    finder_build(&t->raw, t, false);
    finder_build(&t->normal, t, true);
    if (t->single.n == 0 && t->pair.n == 0) {
        zo_tokenizer_set_bare(t);
    }
    if (largest_template_id(t) >= zo_tokenizer_vocab_size(t)) {
        return zo_fail(err, ZO_EINPUT, "the post-processor adds id %d, but the vocabulary ends at %d", largest_template_id(t),
                       zo_tokenizer_vocab_size(t) - 1);
    }
    for (int i = 0; i < t->pres_n; i++) {
        t->byte_level = t->byte_level || t->pres[i].kind == ZO_PRE_BYTE_LEVEL;
        if (t->pres[i].kind == ZO_PRE_METASPACE && t->mark == NULL) {
            t->mark = zo_strdup(ZO_TAG_DATA, t->pres[i].content);
        }
    }
    for (int i = 0; i < t->norms_n; i++) {
        const zo_norm *norm = &t->norms[i];
        t->byte_level = t->byte_level || norm->kind == ZO_NORM_BYTE_LEVEL;
        bool marks = norm->kind == ZO_NORM_REPLACE && norm->pattern.literal && strcmp(norm->pattern.literal, " ") == 0;
        if (marks && norm->content_n > 0 && t->mark == NULL) {
            t->mark = zo_strdup(ZO_TAG_DATA, norm->content);
        }
    }
    zo_tokenizer_guess_specials(t);
    return ZO_OK;
}

static zo_tokenizer *tokenizer_new(void)
{
    zo_tokenizer *t = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *t);
    t->special = (zo_special_ids){-1, -1, -1, -1, -1, -1, -1};
    t->model.unk = -1;
    return t;
}

static zo_status hand_over(zo_tokenizer *t, zo_status status, zo_tokenizer **out)
{
    if (status != ZO_OK) {
        zo_tokenizer_close(t);
        t = NULL;
    }
    *out = t;
    return status;
}

zo_status zo_tokenizer_parse(zo_tokenizer **tokenizer, const char *text, size_t bytes, const char *name, zo_err *err)
{
    *tokenizer = NULL;
    struct cJSON *root = NULL;
    char *ended = zo_alloc(ZO_HOST, ZO_TAG_DATA, bytes + 1);
    memcpy(ended, text, bytes);
    zo_status status = zo_tokenizer_json_parse(ended, bytes, name, &root, err);
    zo_free(ended);
    if (status != ZO_OK) {
        return status;
    }
    zo_tokenizer *t = tokenizer_new();
    status = zo_tokenizer_json_all(t, root, err);
    cJSON_Delete(root);
    if (status == ZO_OK) {
        status = finish(t, err);
    }
    if (status != ZO_OK) {
        zo_fail_in(err, name);
    }
    return hand_over(t, status, tokenizer);
}

zo_status zo_tokenizer_open(zo_tokenizer **tokenizer, const char *folder, zo_err *err)
{
    zo_tokenizer *t = tokenizer_new();
    zo_status status = zo_tokenizer_read_folder(t, folder, err);
    if (status == ZO_OK) {
        status = finish(t, err);
        if (status != ZO_OK) {
            zo_fail_in(err, folder);
        }
    }
    return hand_over(t, status, tokenizer);
}

static void pattern_free(zo_pattern *pattern)
{
    zo_regex_free(pattern->regex);
    zo_free(pattern->literal);
}

void zo_tokenizer_close(zo_tokenizer *t)
{
    if (t == NULL) {
        return;
    }
    for (int i = 0; i < t->norms_n; i++) {
        pattern_free(&t->norms[i].pattern);
        zo_free(t->norms[i].content);
        zo_charsmap_free(t->norms[i].charsmap);
    }
    for (int i = 0; i < t->pres_n; i++) {
        pattern_free(&t->pres[i].pattern);
        zo_free(t->pres[i].content);
    }
    for (int32_t i = 0; i < t->added_n; i++) {
        zo_free(t->added[i].content);
        zo_free(t->added[i].pattern);
    }
    zo_free(t->norms);
    zo_charsmap_free(t->charsmap);
    zo_free(t->pres);
    zo_free(t->added);
    zo_vocab_free(&t->added_index);
    zo_free(t->raw.entries);
    zo_free(t->normal.entries);
    zo_free(t->single.parts);
    zo_free(t->pair.parts);
    zo_free(t->mark);
    zo_text_free(&t->repaired);
    for (int i = 0; i < 2; i++) {
        zo_text_free(&t->norm_text[i]);
        zo_ids_free(&t->side[i]);
    }
    zo_splitter_free(&t->splitter);
    zo_model_free(&t->model);
    zo_free(t);
}
