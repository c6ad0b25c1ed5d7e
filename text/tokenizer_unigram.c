/* tokenizer_unigram.c: Unigram models (Kudo 2018, "Subword Regularization", section 3.2: the segmentation of highest probability, by Viterbi).
 *
 * A piece's score is its log-probability. Scores are added from the left in doubles, and of equal sums the piece that begins first
 * stays, as in the `tokenizers` library. A character that is no piece is unknown and costs 10 more than the worst piece; unknown characters in
 * a row are one token. Time is that of a text times its longest chain of pieces from one place. */
#include <math.h>
#include <string.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

#define UNKNOWN_PENALTY 10.0

/* ---- the trie of pieces, by bytes ---- */

#define NODE_BITS 28 /* more than the bytes of any file that is read */

static size_t trie_slot(const zo_trie *trie, int32_t node, uint8_t byte)
{
    uint64_t key = (uint64_t)node << 8 | byte, hash = key * 0x9E3779B97F4A7C15ull;
    size_t mask = trie->slots_n - 1, slot = (size_t)(hash >> 32) & mask;
    while (trie->slots[slot] != 0 && trie->slots[slot] >> NODE_BITS != key) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

/* The child of `node` by `byte`, or 0 (the root is nobody's child). */
static int32_t trie_child(const zo_trie *trie, int32_t node, uint8_t byte)
{
    return (int32_t)(trie->slots[trie_slot(trie, node, byte)] & ((1u << NODE_BITS) - 1));
}

static int32_t trie_new_node(zo_trie *trie)
{
    if (trie->nodes_n == trie->nodes_room) {
        trie->nodes_room = trie->nodes_room ? trie->nodes_room * 2 : 1024;
        trie->token = zo_realloc(trie->token, ZO_HOST, ZO_TAG_DATA, (size_t)trie->nodes_room * sizeof *trie->token);
    }
    ZO_CHECK(trie->nodes_n < 1 << NODE_BITS, "pieces of more than %d bytes", 1 << NODE_BITS);
    trie->token[trie->nodes_n] = -1;
    return trie->nodes_n++;
}

static void trie_grow(zo_trie *trie)
{
    if (trie->slots_n > 0 && (size_t)trie->nodes_n * 2 < trie->slots_n) {
        return;
    }
    uint64_t *old = trie->slots;
    size_t old_n = trie->slots_n;
    trie->slots_n = old_n ? old_n * 2 : 4096;
    trie->slots = zo_alloc(ZO_HOST, ZO_TAG_DATA, trie->slots_n * sizeof *trie->slots);
    for (size_t i = 0; i < old_n; i++) {
        uint64_t key = old[i] >> NODE_BITS;
        if (old[i] != 0) {
            trie->slots[trie_slot(trie, (int32_t)(key >> 8), (uint8_t)key)] = old[i];
        }
    }
    zo_free(old);
}

static void trie_add(zo_trie *trie, const char *piece, uint32_t bytes, int32_t id)
{
    int32_t node = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        trie_grow(trie);
        size_t slot = trie_slot(trie, node, (uint8_t)piece[i]);
        if (trie->slots[slot] == 0) {
            int32_t child = trie_new_node(trie);
            trie->slots[slot] = ((uint64_t)node << 8 | (uint8_t)piece[i]) << NODE_BITS | (uint64_t)child;
        }
        node = (int32_t)(trie->slots[slot] & ((1u << NODE_BITS) - 1));
    }
    trie->token[node] = id;
}

void zo_unigram_finish(zo_model *model)
{
    const zo_vocab *vocab = &model->vocab;
    zo_trie *trie = &model->trie;
    trie_new_node(trie);
    trie_grow(trie);
    double worst = INFINITY;
    for (int32_t id = 0; id < vocab->size; id++) {
        if (vocab->offset[id] >= 0) {
            trie_add(trie, vocab->pool + vocab->offset[id], vocab->bytes[id], id);
            worst = fmin(worst, model->scores[id]);
        }
    }
    trie->token[0] = -1; /* an empty piece is never met */
    model->unknown_score = worst - UNKNOWN_PENALTY;
}

void zo_unigram_set_score(zo_model *model, int32_t id, double score)
{
    if (id >= model->scores_room) {
        int32_t room = model->scores_room ? model->scores_room : 1024;
        while (room <= id) {
            room *= 2;
        }
        model->scores = zo_realloc(model->scores, ZO_HOST, ZO_TAG_DATA, (size_t)room * sizeof *model->scores);
        model->scores_room = room;
    }
    model->scores[id] = score;
}

void zo_unigram_free(zo_model *model)
{
    zo_free(model->scores);
    zo_free(model->trie.slots);
    zo_free(model->trie.token);
    zo_free(model->path);
}

/* ---- Viterbi ---- */

/* A way to path[end] that ends in the piece from `start`. */
static void offer(zo_unigram_node *path, int64_t start, int64_t end, int32_t id, double score)
{
    zo_unigram_node *to = &path[end];
    double sum = score + path[start].score;
    if (to->start < 0 || sum > to->score) {
        *to = (zo_unigram_node){.score = sum, .start = (int32_t)start, .id = id};
    }
}

static bool push_bytes(const zo_model *model, const char *text, int64_t n, zo_ids *out)
{
    for (int64_t i = 0; i < n; i++) {
        if (model->byte_id[(uint8_t)text[i]] < 0) {
            return false;
        }
    }
    for (int64_t i = 0; i < n; i++) {
        zo_ids_push(out, model->byte_id[(uint8_t)text[i]], 0);
    }
    return true;
}

/* Unknown characters in a row, or a piece. A row may spell a token when the text itself spells the unknown one. */
static void push_span(const zo_model *model, const char *text, int64_t n, int32_t id, zo_ids *out)
{
    id = id == model->unk ? zo_vocab_find(&model->vocab, text, (size_t)n) : id;
    if (id >= 0) {
        zo_ids_push(out, id, 0);
    } else if (!(model->byte_fallback && push_bytes(model, text, n, out))) {
        zo_ids_push(out, model->unk, 0);
    }
}

zo_status zo_unigram_encode(zo_model *model, const char *text, int64_t n, zo_ids *out, zo_err *err)
{
    if (n + 1 > model->path_room) {
        int64_t room = model->path_room ? model->path_room : 256;
        while (room < n + 1) {
            room *= 2;
        }
        model->path = zo_realloc(model->path, ZO_HOST, ZO_TAG_DATA, (size_t)room * sizeof *model->path);
        model->path_room = room;
    }
    zo_unigram_node *path = model->path;
    for (int64_t i = 0; i <= n; i++) {
        path[i] = (zo_unigram_node){.start = -1};
    }
    for (int64_t at = 0; at < n;) {
        int32_t c;
        int length = zo_utf8_next(text + at, &c);
        bool has_single = false;
        int32_t node = 0;
        for (int64_t i = at; i < n && (node = trie_child(&model->trie, node, (uint8_t)text[i])) != 0; i++) {
            int32_t id = model->trie.token[node];
            if (id >= 0) {
                offer(path, at, i + 1, id, model->scores[id]);
                has_single = has_single || i + 1 == at + length;
            }
        }
        if (!has_single) {
            if (model->unk < 0) {
                return zo_fail(err, ZO_EINPUT, "a text has the character U+%04X, which is no piece of the vocabulary, and model.unk_id is missing", (unsigned)c);
            }
            offer(path, at, at + length, model->unk, model->unknown_score);
        }
        at += length;
    }
    for (int64_t end = n, start; end > 0; end = start) { /* each piece's end where it begins */
        start = path[end].start;
        path[start].end = (int32_t)end;
    }
    for (int64_t at = 0; at < n;) {
        int64_t end = path[at].end;
        int32_t id = path[end].id;
        while (id == model->unk && end < n && path[path[end].end].id == id) {
            end = path[end].end;
        }
        push_span(model, text + at, end - at, id, out);
        at = end;
    }
    return ZO_OK;
}
