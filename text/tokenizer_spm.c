/* tokenizer_spm.c: SentencePiece's model files (tokenizer.model, spiece.model), read as they are, and what a vocabulary of theirs becomes.
 *
 * A file is one protocol buffer, ModelProto of sentencepiece_model.proto. The few fields that encoding needs are read; others are passed over.
 * Training and encoding options that this program does not do are refused by name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

/* ---- protocol buffers ---- */

/* https://protobuf.dev/programming-guides/encoding: a field is a key (number << 3 | type), then a varint (0), 8 bytes (1), a length and as many bytes
 * (2), or 4 bytes (5). */
typedef struct field {
    uint32_t number;
    int type;
    uint64_t value;   /* of types 0, 1 and 5 */
    const char *data; /* (n): of type 2 */
    size_t n;
} field;
typedef struct message { const uint8_t *at, *end; } message;

static bool read_varint(message *m, uint64_t *out)
{
    *out = 0;
    for (int shift = 0; shift < 64 && m->at < m->end; shift += 7) {
        uint8_t byte = *m->at++;
        *out |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return true;
        }
    }
    return false;
}

static bool read_fixed(message *m, int bytes, uint64_t *out)
{
    *out = 0;
    if (m->end - m->at < bytes) {
        return false;
    }
    for (int i = 0; i < bytes; i++) {
        *out |= (uint64_t)*m->at++ << (8 * i);
    }
    return true;
}

/* The next field; false at the end, and where the bytes are none (m->at is then not the end). */
static bool next_field(message *m, field *f)
{
    const uint8_t *start = m->at;
    uint64_t key;
    *f = (field){0};
    if (m->at < m->end && read_varint(m, &key) && key >> 3 > 0 && key >> 3 < 1u << 29) {
        f->number = (uint32_t)(key >> 3);
        f->type = (int)(key & 7);
        uint64_t n;
        bool read = f->type == 0   ? read_varint(m, &f->value)
                    : f->type == 1 ? read_fixed(m, 8, &f->value)
                    : f->type == 5 ? read_fixed(m, 4, &f->value)
                                   : f->type == 2 && read_varint(m, &n) && n <= (uint64_t)(m->end - m->at);
        if (read && f->type == 2) {
            f->data = (const char *)m->at;
            f->n = (size_t)n;
            m->at += n;
        }
        if (read) {
            return true;
        }
    }
    m->at = start;
    return false;
}

static message message_of(const char *data, size_t n)
{
    return (message){(const uint8_t *)data, (const uint8_t *)data + n};
}

/* ---- the model ---- */

/* Numbers of fields, from sentencepiece_model.proto. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum {
    TRAINER_MODEL_TYPE = 3, TRAINER_SUFFIX = 24, TRAINER_BYTE_FALLBACK = 35, TRAINER_UNK_ID = 40, TRAINER_BOS_ID, TRAINER_EOS_ID,
    TRAINER_UNK_PIECE = 45, TRAINER_BOS_PIECE, TRAINER_EOS_PIECE, TRAINER_DELIMITER = 53
};
enum { NORMALIZER_CHARSMAP = 2, NORMALIZER_DUMMY_PREFIX, NORMALIZER_EXTRA_SPACES, NORMALIZER_ESCAPE };

static zo_status bad_field(const char *what, const field *f, zo_err *err)
{
    return zo_fail(err, ZO_EINPUT, "field %u of %s is not of the type that SentencePiece gives it; the file is damaged or of another kind", f->number, what);
}

static zo_status copy_text(char **out, const char *what, const field *f, zo_err *err)
{
    if (f->type != 2) {
        return bad_field(what, f, err);
    }
    if (!zo_utf8_valid(f->data, (int64_t)f->n) || memchr(f->data, 0, f->n) != NULL) {
        return zo_fail(err, ZO_EINPUT, "the text of field %u of %s is not UTF-8, or holds a zero byte", f->number, what);
    }
    zo_free(*out);
    *out = zo_alloc(ZO_HOST, ZO_TAG_DATA, f->n + 1);
    memcpy(*out, f->data, f->n);
    return ZO_OK;
}

static zo_status read_piece(zo_spm *spm, const char *data, size_t n, zo_err *err)
{
    char what[32];
    zo_spm_piece piece = {.text = NULL, .type = ZO_SPM_NORMAL};
    zo_status status = ZO_OK;
    message m = message_of(data, n);
    field f;
    snprintf(what, sizeof what, "piece %d", spm->pieces_n);
    while (status == ZO_OK && next_field(&m, &f)) {
        if (f.number == PIECE_TEXT) {
            status = copy_text(&piece.text, what, &f, err);
        } else if (f.number == PIECE_SCORE && f.type == 5) {
            uint32_t bits = (uint32_t)f.value;
            memcpy(&piece.score, &bits, sizeof bits);
            status = isfinite(piece.score) ? ZO_OK : zo_fail(err, ZO_EINPUT, "the score of %s is not a number", what);
        } else if (f.number == PIECE_TYPE && f.type == 0) {
            piece.type = f.value >= ZO_SPM_NORMAL && f.value <= ZO_SPM_BYTE ? (zo_spm_type)f.value : ZO_SPM_NORMAL;
        } else if (f.number == PIECE_SCORE || f.number == PIECE_TYPE) {
            status = bad_field(what, &f, err);
        }
    }
    if (status == ZO_OK && m.at != m.end) {
        status = zo_fail(err, ZO_EINPUT, "%s is not a protocol buffer", what);
    }
    if (status == ZO_OK && (piece.text == NULL || *piece.text == 0)) {
        status = zo_fail(err, ZO_EINPUT, "%s has no text", what);
    }
    if (status == ZO_OK && spm->pieces_n >= ZO_TOKEN_ID_LIMIT) {
        status = zo_fail(err, ZO_EINPUT, "there are more than %d pieces", ZO_TOKEN_ID_LIMIT);
    }
    if (status != ZO_OK) {
        zo_free(piece.text);
        return status;
    }
    if (spm->pieces_n == spm->pieces_room) {
        spm->pieces_room = spm->pieces_room ? spm->pieces_room * 2 : 1024;
        spm->pieces = zo_realloc(spm->pieces, ZO_HOST, ZO_TAG_DATA, (size_t)spm->pieces_room * sizeof *spm->pieces);
    }
    spm->pieces[spm->pieces_n++] = piece;
    return ZO_OK;
}

static zo_status read_trainer(zo_spm *spm, const char *data, size_t n, zo_err *err)
{
    static const char *const what = "the trainer's settings";
    static const char *const kinds[] = {"", "unigram", "bpe", "word", "char"};
    zo_status status = ZO_OK;
    message m = message_of(data, n);
    field f;
    while (status == ZO_OK && next_field(&m, &f)) {
        int32_t *id = f.number == TRAINER_UNK_ID   ? &spm->unk_id
                      : f.number == TRAINER_BOS_ID ? &spm->bos_id
                      : f.number == TRAINER_EOS_ID ? &spm->eos_id
                                                   : NULL;
        char **text = f.number == TRAINER_UNK_PIECE   ? &spm->unk_piece
                      : f.number == TRAINER_BOS_PIECE ? &spm->bos_piece
                      : f.number == TRAINER_EOS_PIECE ? &spm->eos_piece
                                                      : NULL;
        bool is_number = id != NULL || f.number == TRAINER_MODEL_TYPE || f.number == TRAINER_SUFFIX || f.number == TRAINER_BYTE_FALLBACK;
        if (is_number && f.type != 0) {
            status = bad_field(what, &f, err);
        } else if (id != NULL) {
            *id = (int32_t)(uint32_t)f.value;
        } else if (text != NULL) {
            status = copy_text(text, what, &f, err);
        } else if (f.number == TRAINER_BYTE_FALLBACK) {
            spm->byte_fallback = f.value != 0;
        } else if (f.number == TRAINER_MODEL_TYPE && f.value != 1 && f.value != 2) {
            status = zo_fail(err, ZO_EUNSUPPORTED, "it is a model of type %s (%llu), and unigram and bpe are supported", f.value < 5 ? kinds[f.value] : "unknown",
                             (unsigned long long)f.value);
        } else if (f.number == TRAINER_MODEL_TYPE) {
            spm->kind = f.value == 1 ? ZO_MODEL_UNIGRAM : ZO_MODEL_BPE;
        } else if (f.number == TRAINER_SUFFIX && f.value != 0) {
            status = zo_fail(err, ZO_EUNSUPPORTED, "treat_whitespace_as_suffix is set, which is not supported");
        }
    }
    return status == ZO_OK && m.at != m.end ? zo_fail(err, ZO_EINPUT, "%s are not a protocol buffer", what) : status;
}

static zo_status read_normalizer(zo_spm *spm, const char *data, size_t n, zo_err *err)
{
    static const char *const what = "the normalizer's settings";
    zo_status status = ZO_OK;
    message m = message_of(data, n);
    field f;
    while (status == ZO_OK && next_field(&m, &f)) {
        bool *flag = f.number == NORMALIZER_DUMMY_PREFIX   ? &spm->add_dummy_prefix
                     : f.number == NORMALIZER_EXTRA_SPACES ? &spm->remove_extra_whitespaces
                     : f.number == NORMALIZER_ESCAPE       ? &spm->escape_whitespaces
                                                           : NULL;
        if ((flag != NULL && f.type != 0) || (f.number == NORMALIZER_CHARSMAP && f.type != 2)) {
            status = bad_field(what, &f, err);
        } else if (flag != NULL) {
            *flag = f.value != 0;
        } else if (f.number == NORMALIZER_CHARSMAP) {
            zo_charsmap_free(spm->charsmap);
            spm->charsmap = NULL;
            status = f.n > 0 ? zo_charsmap_read(&spm->charsmap, f.data, f.n, err) : ZO_OK;
        }
    }
    return status == ZO_OK && m.at != m.end ? zo_fail(err, ZO_EINPUT, "%s are not a protocol buffer", what) : status;
}

/* Llama 3's own tokenizer.model is lines of base64 and a rank (tiktoken). */
static bool is_tiktoken(const char *data, size_t n)
{
    size_t letters = 0;
    while (letters < n && ((data[letters] >= '0' && data[letters] <= '9') || (data[letters] >= 'A' && data[letters] <= 'Z') ||
                           (data[letters] >= 'a' && data[letters] <= 'z') || data[letters] == '+' || data[letters] == '/' || data[letters] == '=')) {
        letters++;
    }
    return letters >= 2 && letters + 1 < n && data[letters] == ' ' && data[letters + 1] >= '0' && data[letters + 1] <= '9';
}

zo_status zo_spm_read(zo_spm **out, const char *data, size_t bytes, zo_err *err)
{
    *out = NULL;
    if (is_tiktoken(data, bytes)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "it is a vocabulary of tiktoken, not of SentencePiece; fetch the tokenizer.json of the same model");
    }
    zo_spm *spm = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *spm);
    *spm = (zo_spm){.kind = ZO_MODEL_UNIGRAM, .bos_id = 1, .eos_id = 2, .add_dummy_prefix = true, .remove_extra_whitespaces = true, .escape_whitespaces = true};
    zo_status status = ZO_OK;
    message m = message_of(data, bytes);
    field f;
    while (status == ZO_OK && next_field(&m, &f)) {
        if (f.number < MODEL_PIECES || f.number > MODEL_NORMALIZER) {
            continue;
        }
        status = f.type != 2                     ? bad_field("the model", &f, err)
                 : f.number == MODEL_PIECES      ? read_piece(spm, f.data, f.n, err)
                 : f.number == MODEL_TRAINER     ? read_trainer(spm, f.data, f.n, err)
                                                 : read_normalizer(spm, f.data, f.n, err);
    }
    if (status == ZO_OK && m.at != m.end) {
        status = zo_fail(err, ZO_EINPUT, "it is not a SentencePiece model: at byte %zu no field of a protocol buffer begins; fetch the file again",
                         (size_t)(m.at - (const uint8_t *)data));
    }
    if (status == ZO_OK && spm->pieces_n == 0) {
        status = zo_fail(err, ZO_EINPUT, "it is not a SentencePiece model: it has no pieces; fetch the file again");
    }
    if (status == ZO_OK && (spm->unk_id < 0 || spm->unk_id >= spm->pieces_n)) {
        status = zo_fail(err, ZO_EINPUT, "the unknown piece has the id %d, but there are %d pieces", spm->unk_id, spm->pieces_n);
    }
    if (status != ZO_OK) {
        zo_spm_free(spm);
        return status;
    }
    spm->unk_piece = spm->unk_piece ? spm->unk_piece : zo_strdup(ZO_TAG_DATA, "<unk>");
    spm->bos_piece = spm->bos_piece ? spm->bos_piece : zo_strdup(ZO_TAG_DATA, "<s>");
    spm->eos_piece = spm->eos_piece ? spm->eos_piece : zo_strdup(ZO_TAG_DATA, "</s>");
    *out = spm;
    return ZO_OK;
}

void zo_spm_free(zo_spm *spm)
{
    if (spm == NULL) {
        return;
    }
    for (int32_t i = 0; i < spm->pieces_n; i++) {
        zo_free(spm->pieces[i].text);
    }
    zo_free(spm->pieces);
    zo_free(spm->unk_piece);
    zo_free(spm->bos_piece);
    zo_free(spm->eos_piece);
    zo_charsmap_free(spm->charsmap);
    zo_free(spm);
}

/* ---- its vocabulary ---- */

zo_status zo_spm_add_piece(zo_tokenizer *t, const char *text, double score, zo_err *err)
{
    int64_t id = (int64_t)t->model.vocab.used;
    zo_status status = zo_vocab_add(&t->model.vocab, text, strlen(text), id, err);
    if (status == ZO_OK && t->model.kind == ZO_MODEL_UNIGRAM) {
        zo_unigram_set_score(&t->model, (int32_t)id, score);
    }
    return status;
}

static int compare_scores(const void *left, const void *right, void *context)
{
    const zo_spm_piece *pieces = context;
    int32_t l = *(const int32_t *)left, r = *(const int32_t *)right;
    if (pieces[l].score != pieces[r].score) {
        return pieces[l].score > pieces[r].score ? -1 : 1;
    }
    return l < r ? -1 : l > r;
}

/* Whether text[0..n) is a token, and, with `normal`, of a normal piece. */
static bool is_part(const zo_model *model, const zo_spm *normal, const char *text, size_t n)
{
    int32_t id = zo_vocab_find(&model->vocab, text, n);
    return id >= 0 && (normal == NULL || (id < normal->pieces_n && normal->pieces[id].type == ZO_SPM_NORMAL));
}

zo_status zo_spm_add_merges(zo_tokenizer *t, const zo_spm *spm, bool by_score, zo_err *err)
{
    zo_model *model = &t->model;
    int32_t *order = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)spm->pieces_n * sizeof *order);
    for (int32_t i = 0; i < spm->pieces_n; i++) {
        order[i] = i;
    }
    if (by_score) {
        qsort_r(order, (size_t)spm->pieces_n, sizeof *order, compare_scores, spm->pieces);
    }
    zo_status status = ZO_OK;
    uint32_t rank = 0;
    for (int32_t i = 0; i < spm->pieces_n; i++) {
        const char *text = model->vocab.pool + model->vocab.offset[order[i]];
        size_t n = model->vocab.bytes[order[i]];
        if (by_score && spm->pieces[order[i]].type != ZO_SPM_NORMAL) {
            continue;
        }
        int32_t c;
        for (size_t cut = (size_t)zo_utf8_next(text, &c); status == ZO_OK && cut < n; cut += (size_t)zo_utf8_next(text + cut, &c)) {
            const zo_spm *normal = by_score ? spm : NULL;
            if (is_part(model, normal, text, cut) && is_part(model, normal, text + cut, n - cut)) {
                status = zo_model_add_merge(model, text, cut, text + cut, n - cut, rank++, err);
            }
        }
    }
    zo_free(order);
    return status;
}
