/* tokenizer_model.c: the vocabulary, BPE and WordPiece, and the cache of words (Unigram: tokenizer_unigram.c).
 *
 * BPE (Sennrich, Haddow, Birch 2016, "Neural Machine Translation of Rare Words with Subword Units", Algorithm 1) merges the
 * pair of lowest rank, leftmost first, with a heap over the symbols of a piece: O(n log n). WordPiece (Wu et al. 2016) takes
 * the longest prefix in the vocabulary again and again. Dropout is not done. */
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

static uint64_t hash_bytes(const char *data, size_t n)
{
    uint64_t hash = 0x9E3779B97F4A7C15ull ^ n;
    while (n >= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        hash = (hash ^ word) * 0xD6E8FEB86659FD93ull;
        hash ^= hash >> 32;
        data += 8;
        n -= 8;
    }
    uint64_t tail = 0;
    memcpy(&tail, data, n);
    hash = (hash ^ tail) * 0xD6E8FEB86659FD93ull;
    hash ^= hash >> 29;
    hash *= 0xA0761D6478BD642Full;
    return hash ^ hash >> 32;
}

/* ---- vocabulary ---- */

static void vocab_index(zo_vocab *vocab, int32_t id)
{
    size_t mask = vocab->slots_n - 1;
    size_t slot = hash_bytes(vocab->pool + vocab->offset[id], vocab->bytes[id]) & mask;
    while (vocab->slots[slot] != 0) {
        slot = (slot + 1) & mask;
    }
    vocab->slots[slot] = id + 1;
    vocab->used++;
}

static void vocab_grow_slots(zo_vocab *vocab)
{
    if (vocab->slots_n > 0 && vocab->used * 2 < vocab->slots_n) {
        return;
    }
    zo_free(vocab->slots);
    vocab->slots_n = vocab->slots_n ? vocab->slots_n * 2 : 1024;
    vocab->slots = zo_alloc(ZO_HOST, ZO_TAG_DATA, vocab->slots_n * sizeof *vocab->slots);
    vocab->used = 0;
    for (int32_t id = 0; id < vocab->size; id++) {
        if (vocab->offset[id] >= 0) {
            vocab_index(vocab, id);
        }
    }
}

static void vocab_grow_ids(zo_vocab *vocab, int32_t id)
{
    if (id >= vocab->room) {
        int32_t room = vocab->room ? vocab->room : 1024;
        while (room <= id) {
            room *= 2;
        }
        vocab->offset = zo_realloc(vocab->offset, ZO_HOST, ZO_TAG_DATA, (size_t)room * sizeof *vocab->offset);
        vocab->bytes = zo_realloc(vocab->bytes, ZO_HOST, ZO_TAG_DATA, (size_t)room * sizeof *vocab->bytes);
        vocab->room = room;
    }
    for (; vocab->size <= id; vocab->size++) {
        vocab->offset[vocab->size] = -1;
    }
}

zo_status zo_vocab_add(zo_vocab *vocab, const char *token, size_t bytes, int64_t id, zo_err *err)
{
    if (id < 0 || id >= ZO_TOKEN_ID_LIMIT) {
        return zo_fail(err, ZO_EINPUT, "token \"%.60s\" has id %lld, but ids run from 0 to %d", token, (long long)id,
                       ZO_TOKEN_ID_LIMIT - 1);
    }
    int32_t there = zo_vocab_find(vocab, token, bytes);
    if (there >= 0) {
        return there == id ? ZO_OK
                           : zo_fail(err, ZO_EINPUT, "token \"%.60s\" stands twice, with ids %d and %lld", token, there,
                                     (long long)id);
    }
    if (id < vocab->size && vocab->offset[id] >= 0) {
        return zo_fail(err, ZO_EINPUT, "id %lld belongs to two tokens, \"%.60s\" and \"%.60s\"", (long long)id,
                       vocab->pool + vocab->offset[id], token);
    }
    vocab_grow_slots(vocab);
    vocab_grow_ids(vocab, (int32_t)id);
    if (vocab->pool_n + bytes + 1 > vocab->pool_room) {
        size_t room = vocab->pool_room ? vocab->pool_room : 16384;
        while (room < vocab->pool_n + bytes + 1) {
            room *= 2;
        }
        vocab->pool = zo_realloc(vocab->pool, ZO_HOST, ZO_TAG_DATA, room);
        vocab->pool_room = room;
    }
    memcpy(vocab->pool + vocab->pool_n, token, bytes);
    vocab->pool[vocab->pool_n + bytes] = 0;
    vocab->offset[id] = (int64_t)vocab->pool_n;
    vocab->bytes[id] = (uint32_t)bytes;
    vocab->pool_n += bytes + 1;
    if (bytes > vocab->longest_bytes) {
        vocab->longest_bytes = (uint32_t)bytes;
    }
    vocab_index(vocab, (int32_t)id);
    return ZO_OK;
}

int32_t zo_vocab_find(const zo_vocab *vocab, const char *token, size_t bytes)
{
    if (vocab->slots_n == 0 || bytes > vocab->longest_bytes) {
        return -1;
    }
    size_t mask = vocab->slots_n - 1;
    for (size_t slot = hash_bytes(token, bytes) & mask; vocab->slots[slot] != 0; slot = (slot + 1) & mask) {
        int32_t id = vocab->slots[slot] - 1;
        if (vocab->bytes[id] == bytes && memcmp(vocab->pool + vocab->offset[id], token, bytes) == 0) {
            return id;
        }
    }
    return -1;
}

void zo_vocab_free(zo_vocab *vocab)
{
    zo_free(vocab->pool);
    zo_free(vocab->offset);
    zo_free(vocab->bytes);
    zo_free(vocab->slots);
    *vocab = (zo_vocab){0};
}

/* ---- merges ---- */

static uint64_t pair_of(int32_t left, int32_t right)
{
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

static size_t pair_slot(const zo_model *model, uint64_t pair)
{
    size_t mask = model->merges_n - 1;
    uint64_t hash = pair * 0x9E3779B97F4A7C15ull;
    size_t slot = (size_t)(hash ^ hash >> 31) & mask;
    while (model->merges[slot].id >= 0 && model->merges[slot].pair != pair) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

static const zo_merge *merge_find(const zo_model *model, int32_t left, int32_t right)
{
    if (model->merges_n == 0) {
        return NULL;
    }
    const zo_merge *merge = &model->merges[pair_slot(model, pair_of(left, right))];
    return merge->id >= 0 ? merge : NULL;
}

void zo_model_reserve_merges(zo_model *model, size_t n)
{
    size_t room = 64;
    while (room < n * 2 + 2) {
        room *= 2;
    }
    if (room <= model->merges_n) {
        return;
    }
    zo_merge *old = model->merges;
    size_t old_n = model->merges_n;
    model->merges = zo_alloc(ZO_HOST, ZO_TAG_DATA, room * sizeof *model->merges);
    model->merges_n = room;
    for (size_t i = 0; i < room; i++) {
        model->merges[i].id = -1;
    }
    for (size_t i = 0; i < old_n; i++) {
        if (old[i].id >= 0) {
            model->merges[pair_slot(model, old[i].pair)] = old[i];
        }
    }
    zo_free(old);
}

zo_status zo_model_add_merge(zo_model *model, const char *left, size_t left_n, const char *right, size_t right_n, uint32_t rank,
                             zo_err *err)
{
    int32_t left_id = zo_vocab_find(&model->vocab, left, left_n);
    int32_t right_id = zo_vocab_find(&model->vocab, right, right_n);
    size_t skip = model->prefix ? strlen(model->prefix) : 0;
    skip = skip < right_n ? skip : right_n;
    model->scratch.n = 0;
    zo_text_append(&model->scratch, left, (int64_t)left_n);
    zo_text_append(&model->scratch, right + skip, (int64_t)(right_n - skip));
    int32_t id = zo_vocab_find(&model->vocab, model->scratch.data ? model->scratch.data : "", (size_t)model->scratch.n);
    if (left_id < 0 || right_id < 0 || id < 0) {
        const char *lacks = left_id < 0 ? left : right_id < 0 ? right : model->scratch.data;
        size_t lacks_n = left_id < 0 ? left_n : right_id < 0 ? right_n : (size_t)model->scratch.n;
        return zo_fail(err, ZO_EINPUT, "merge %u (\"%.*s\" + \"%.*s\") needs the token \"%.*s\", which the vocabulary lacks",
                       rank, (int)(left_n < 60 ? left_n : 60), left, (int)(right_n < 60 ? right_n : 60), right,
                       (int)(lacks_n < 120 ? lacks_n : 120), lacks ? lacks : "");
    }
    zo_model_reserve_merges(model, model->merges_used + 1);
    zo_merge *merge = &model->merges[pair_slot(model, pair_of(left_id, right_id))];
    model->merges_used += merge->id < 0;
    *merge = (zo_merge){.pair = pair_of(left_id, right_id), .rank = rank, .id = id};
    return ZO_OK;
}

void zo_model_finish(zo_model *model)
{
    char name[8];
    for (int b = 0; b < 256; b++) {
        snprintf(name, sizeof name, "<0x%02X>", b);
        model->byte_id[b] = zo_vocab_find(&model->vocab, name, 6);
    }
    for (int32_t c = 0; c < 1024; c++) {
        zo_text text = {0};
        zo_text_append_char(&text, c);
        model->char_id[c] = zo_vocab_find(&model->vocab, text.data, (size_t)text.n);
        zo_text_free(&text);
    }
    if (model->kind == ZO_MODEL_UNIGRAM) {
        zo_unigram_finish(model);
    }
}

/* ---- BPE ---- */

static bool candidate_less(zo_candidate a, zo_candidate b)
{
    return a.rank != b.rank ? a.rank < b.rank : a.at < b.at;
}

static void heap_push(zo_model *model, zo_candidate candidate)
{
    if (model->heap_n == model->heap_room) {
        model->heap_room = model->heap_room ? model->heap_room * 2 : 64;
        model->heap = zo_realloc(model->heap, ZO_HOST, ZO_TAG_DATA, (size_t)model->heap_room * sizeof *model->heap);
    }
    int64_t hole = model->heap_n++;
    while (hole > 0 && candidate_less(candidate, model->heap[(hole - 1) / 2])) {
        model->heap[hole] = model->heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    model->heap[hole] = candidate;
}

static zo_candidate heap_pop(zo_model *model)
{
    zo_candidate top = model->heap[0], last = model->heap[--model->heap_n];
    int64_t hole = 0, n = model->heap_n;
    for (;;) {
        int64_t child = hole * 2 + 1;
        if (child >= n) {
            break;
        }
        if (child + 1 < n && candidate_less(model->heap[child + 1], model->heap[child])) {
            child++;
        }
        if (!candidate_less(model->heap[child], last)) {
            break;
        }
        model->heap[hole] = model->heap[child];
        hole = child;
    }
    model->heap[hole] = last;
    return top;
}

static void symbol_push(zo_model *model, int32_t id)
{
    if (model->symbols_n == model->symbols_room) {
        model->symbols_room = model->symbols_room ? model->symbols_room * 2 : 64;
        model->symbols = zo_realloc(model->symbols, ZO_HOST, ZO_TAG_DATA,
                                    (size_t)model->symbols_room * sizeof *model->symbols);
    }
    int32_t at = (int32_t)model->symbols_n++;
    model->symbols[at] = (zo_symbol){.id = id, .before = at - 1, .after = at + 1, .live = 1};
}

/* The id of the character from `at` to `next`, with the prefix of inner and the suffix of last characters; *spelling is what
 * was looked up. */
static int32_t char_token(zo_model *model, const char *at, const char *next, bool is_first, bool is_last, const char **spelling,
                          int64_t *spelling_n)
{
    const char *prefix = !is_first && model->prefix ? model->prefix : "";
    const char *suffix = is_last && model->suffix ? model->suffix : "";
    *spelling = at;
    *spelling_n = next - at;
    if (*prefix == 0 && *suffix == 0) {
        int32_t c;
        zo_utf8_next(at, &c);
        return c < 1024 ? model->char_id[c] : zo_vocab_find(&model->vocab, at, (size_t)(next - at));
    }
    model->scratch.n = 0;
    zo_text_append(&model->scratch, prefix, (int64_t)strlen(prefix));
    zo_text_append(&model->scratch, at, next - at);
    zo_text_append(&model->scratch, suffix, (int64_t)strlen(suffix));
    *spelling = model->scratch.data;
    *spelling_n = model->scratch.n;
    return zo_vocab_find(&model->vocab, model->scratch.data, (size_t)model->scratch.n);
}

static bool push_byte_tokens(zo_model *model, const char *spelling, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (model->byte_id[(uint8_t)spelling[i]] < 0) {
            return false;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        symbol_push(model, model->byte_id[(uint8_t)spelling[i]]);
    }
    return true;
}

static void push_candidate(zo_model *model, int32_t at, int32_t after)
{
    const zo_merge *merge = merge_find(model, model->symbols[at].id, model->symbols[after].id);
    if (merge != NULL) {
        heap_push(model, (zo_candidate){merge->rank, at, merge->id});
    }
}

static void bpe_encode(zo_model *model, const char *piece, int64_t n, zo_ids *out)
{
    model->symbols_n = model->heap_n = 0;
    bool unk_waits = false; /* an unknown not yet pushed, so that fuse_unk may swallow the next */
    for (const char *at = piece, *end = piece + n; at < end;) {
        int32_t c;
        const char *next = at + zo_utf8_next(at, &c), *spelling;
        int64_t spelling_n;
        int32_t id = char_token(model, at, next, at == piece, next == end, &spelling, &spelling_n);
        at = next;
        if (id >= 0) {
            if (unk_waits) {
                symbol_push(model, model->unk);
                unk_waits = false;
            }
            symbol_push(model, id);
        } else if (!(model->byte_fallback && push_byte_tokens(model, spelling, spelling_n)) && model->unk >= 0) {
            if (unk_waits && !model->fuse_unk) {
                symbol_push(model, model->unk);
            }
            unk_waits = true;
        }
    }
    if (unk_waits) {
        symbol_push(model, model->unk);
    }
    int32_t count = (int32_t)model->symbols_n;
    zo_symbol *symbols = model->symbols;
    for (int32_t i = 0; i + 1 < count; i++) {
        push_candidate(model, i, i + 1);
    }
    while (model->heap_n > 0) {
        zo_candidate top = heap_pop(model);
        zo_symbol *left = &symbols[top.at];
        if (!left->live || left->after >= count) {
            continue;
        }
        zo_symbol *right = &symbols[left->after];
        const zo_merge *merge = merge_find(model, left->id, right->id);
        if (merge == NULL || merge->id != top.id) {
            continue; /* one of the two has been merged since */
        }
        left->id = top.id;
        right->live = 0;
        left->after = right->after;
        if (right->after < count) {
            symbols[right->after].before = top.at;
            push_candidate(model, top.at, right->after);
        }
        if (left->before >= 0) {
            push_candidate(model, left->before, top.at);
        }
    }
    for (int32_t i = 0; i < count; i = symbols[i].after) {
        zo_ids_push(out, symbols[i].id, 0);
    }
}

/* ---- WordPiece ---- */

static void wordpiece_encode(zo_model *model, const char *word, int64_t n, zo_ids *out)
{
    int64_t chars = 0;
    for (int64_t i = 0; i < n; i++) {
        chars += ((uint8_t)word[i] & 0xC0) != 0x80;
    }
    int64_t out_n = out->n, prefix_n = model->prefix ? (int64_t)strlen(model->prefix) : 0;
    if (chars > model->most_chars) {
        zo_ids_push(out, model->unk, 0);
        return;
    }
    for (int64_t start = 0; start < n;) {
        int64_t skip = start > 0 ? prefix_n : 0;
        model->scratch.n = 0;
        zo_text_append(&model->scratch, model->prefix ? model->prefix : "", skip);
        zo_text_append(&model->scratch, word + start, n - start);
        const char *begin = model->scratch.data, *first = begin + skip, *end = begin + model->scratch.n;
        int32_t id = -1;
        while (end > first && (id = zo_vocab_find(&model->vocab, begin, (size_t)(end - begin))) < 0) {
            end = zo_utf8_before(first, end);
        }
        if (id < 0) {
            out->n = out_n;
            zo_ids_push(out, model->unk, 0);
            return;
        }
        zo_ids_push(out, id, 0);
        start += end - first;
    }
}

/* ---- the cache of words ---- */

#define MOST_CACHED_BYTES 64
#define MOST_CACHED_WORDS (1u << 17)

static zo_word *word_slot(zo_model *model, uint64_t hash, const char *piece, uint32_t n)
{
    size_t mask = model->words_n - 1, slot = hash & mask;
    for (; model->words[slot].hash != 0; slot = (slot + 1) & mask) {
        const zo_word *word = &model->words[slot];
        if (word->hash == hash && word->key_n == n && memcmp(model->keys.data + word->key, piece, n) == 0) {
            break;
        }
    }
    return &model->words[slot];
}

static void words_grow(zo_model *model)
{
    if (model->words_used >= MOST_CACHED_WORDS) { /* begin anew */
        memset(model->words, 0, model->words_n * sizeof *model->words);
        model->words_used = 0;
        model->keys.n = model->word_ids.n = 0;
    }
    if (model->words_n > 0 && model->words_used * 2 < model->words_n) {
        return;
    }
    zo_word *old = model->words;
    size_t old_n = model->words_n;
    model->words_n = old_n ? old_n * 2 : 4096;
    model->words = zo_alloc(ZO_HOST, ZO_TAG_DATA, model->words_n * sizeof *model->words);
    for (size_t i = 0; i < old_n; i++) {
        if (old[i].hash != 0) {
            *word_slot(model, old[i].hash, model->keys.data + old[i].key, old[i].key_n) = old[i];
        }
    }
    zo_free(old);
}

static zo_status encode_word(zo_model *model, const char *piece, int64_t n, zo_ids *out, zo_err *err)
{
    switch (model->kind) {
    case ZO_MODEL_WORDPIECE:
        wordpiece_encode(model, piece, n, out);
        return ZO_OK;
    case ZO_MODEL_UNIGRAM:
        return zo_unigram_encode(model, piece, n, out, err);
    case ZO_MODEL_BPE:
        break;
    }
    if (model->ignore_merges) {
        int32_t id = zo_vocab_find(&model->vocab, piece, (size_t)n);
        if (id >= 0) {
            zo_ids_push(out, id, 0);
            return ZO_OK;
        }
    }
    bpe_encode(model, piece, n, out);
    return ZO_OK;
}

zo_status zo_model_encode(zo_model *model, const char *piece, int64_t n, zo_ids *out, zo_err *err)
{
    if (n > MOST_CACHED_BYTES) {
        return encode_word(model, piece, n, out, err);
    }
    words_grow(model);
    uint64_t hash = hash_bytes(piece, (size_t)n) | 1;
    zo_word *word = word_slot(model, hash, piece, (uint32_t)n);
    if (word->hash == 0) {
        zo_word fresh = {hash, (uint32_t)model->keys.n, (uint32_t)n, (uint32_t)model->word_ids.n, 0};
        zo_status status = encode_word(model, piece, n, &model->word_ids, err);
        if (status != ZO_OK) {
            model->word_ids.n = fresh.ids;
            return status;
        }
        zo_text_append(&model->keys, piece, n);
        fresh.ids_n = (uint32_t)(model->word_ids.n - fresh.ids);
        *word = fresh;
        model->words_used++;
    }
    for (uint32_t i = 0; i < word->ids_n; i++) {
        zo_ids_push(out, model->word_ids.ids[word->ids + i], 0);
    }
    return ZO_OK;
}

void zo_model_free(zo_model *model)
{
    zo_vocab_free(&model->vocab);
    zo_unigram_free(model);
    zo_free(model->merges);
    zo_free(model->prefix);
    zo_free(model->suffix);
    zo_free(model->words);
    zo_text_free(&model->keys);
    zo_ids_free(&model->word_ids);
    zo_free(model->symbols);
    zo_free(model->heap);
    zo_text_free(&model->scratch);
    *model = (zo_model){0};
}
