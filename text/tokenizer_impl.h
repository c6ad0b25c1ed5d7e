/* tokenizer_impl.h: what the tokenizer*.c files share; nobody else includes it.
 *
 * The pipeline, in the order of the `tokenizers` library: added tokens are cut out of the raw text; what is left between them
 * is normalized; added tokens marked `normalized` are cut out of that; the rest is cut into pieces by the pre-tokenizers; each
 * piece becomes ids by BPE or WordPiece; the template puts special ids around one or two texts. */
#ifndef ZO_TEXT_TOKENIZER_IMPL_H
#define ZO_TEXT_TOKENIZER_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "text/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* No vocabulary is near this; an id above it is a broken file, not a table to allocate. */
#define ZO_TOKEN_ID_LIMIT (1 << 22)

/* ---- bytes and Unicode (tokenizer_text.c) ---- */

typedef struct zo_text {
    char *data; // (n), always valid UTF-8, not NUL-terminated
    int64_t n, room;
} zo_text;
void zo_text_append(zo_text *text, const char *data, int64_t n);
void zo_text_append_char(zo_text *text, int32_t code_point);
void zo_text_free(zo_text *text);

bool zo_utf8_valid(const char *data, int64_t n);
/* Append `data` with every maximal malformed part as one U+FFFD. */
void zo_utf8_repair(zo_text *out, const char *data, int64_t n);
/* The code point at `at` < end of VALID UTF-8; returns its length in bytes. */
int zo_utf8_next(const char *at, int32_t *code_point);
/* The start of the character that ends at `end`, for VALID UTF-8 and end > begin. */
const char *zo_utf8_before(const char *begin, const char *end);

/* Classes as the library has them (tokenizer_unicode.h), whatever the versions of PCRE2 and utf8proc. */
bool zo_is_space(int32_t code_point);       /* property White_Space */
bool zo_is_numeric(int32_t code_point);     /* categories N* */
bool zo_is_punctuation(int32_t code_point); /* ASCII punctuation and categories P* */
bool zo_is_word(int32_t code_point);        /* \w: Alphabetic, M*, Nd, Pc, joiners */
/* Whether no character is younger than Unicode 12.1 or has changed its category since: what every PCRE2 reads alike. */
bool zo_utf8_stable(const char *data, int64_t n);
/* Append `data` with stable characters for the others, of the same length in bytes and the category that the library's regexes see. */
void zo_utf8_stand_in(zo_text *out, const char *data, int64_t n);

/* The 256 characters by which the byte-level vocabularies spell bytes, as UTF-8 of 1 or 2 bytes. */
typedef struct zo_byte_chars {
    char utf8[256][3]; // NUL-terminated
    int16_t byte_of[512]; // code point -> byte, -1 where none
} zo_byte_chars;
const zo_byte_chars *zo_byte_chars_get(void);

/* ---- patterns: a literal or a regex (tokenizer_split.c) ---- */

typedef struct zo_regex zo_regex;
typedef struct zo_pattern {
    zo_regex *regex; /* NULL: the literal */
    char *literal;
    int64_t literal_n;
} zo_pattern;
/* Compile a regex in the Oniguruma (Ruby) dialect that tokenizer files use. */
zo_status zo_regex_compile(zo_regex **regex, const char *source, zo_err *err);
void zo_regex_free(zo_regex *regex);

/* What the pattern is to look at instead of `text`: as long, and the same to the library's regexes. Valid until the next call. */
const char *zo_pattern_view(const zo_pattern *pattern, const char *text, int64_t n);

typedef struct zo_cursor { int64_t at, last_end; } zo_cursor; /* start with {0, -1} */
/* The next match in text[0..n): *found false at the end. An error when the regex hits its limit on this text. */
zo_status zo_pattern_next(const zo_pattern *pattern, const char *text, int64_t n, zo_cursor *cursor, bool *found, int64_t *start,
                          int64_t *end, zo_err *err);

/* ---- charsmaps (tokenizer_charsmap.c) ---- */

typedef struct zo_charsmap zo_charsmap;
/* From the bytes of a "precompiled_charsmap". */
zo_status zo_charsmap_read(zo_charsmap **map, const char *data, size_t bytes, zo_err *err);
void zo_charsmap_free(zo_charsmap *map); /* NULL is allowed */
/* Append `in`, normalized as the library does it. */
void zo_charsmap_apply(const zo_charsmap *map, const char *in, int64_t n, zo_text *out);

/* ---- normalizers (tokenizer_text.c) ---- */

typedef enum zo_norm_kind {
    ZO_NORM_BERT, ZO_NORM_NFC, ZO_NORM_NFD, ZO_NORM_NFKC, ZO_NORM_NFKD, ZO_NORM_LOWERCASE, ZO_NORM_STRIP_ACCENTS,
    ZO_NORM_STRIP, ZO_NORM_REPLACE, ZO_NORM_PREPEND, ZO_NORM_BYTE_LEVEL, ZO_NORM_NMT, ZO_NORM_CHARSMAP
} zo_norm_kind;
typedef struct zo_norm {
    zo_norm_kind kind;
    bool clean_text, chinese_chars, strip_accents, lowercase; /* BERT */
    bool left, right;                                         /* STRIP */
    zo_pattern pattern;                                       /* REPLACE */
    char *content;                                            /* REPLACE, PREPEND */
    int64_t content_n;
    zo_charsmap *charsmap;                                    /* CHARSMAP */
} zo_norm;
/* out := the step applied to in. *lead is cleared when the step drops the first character. */
zo_status zo_norm_apply(const zo_norm *norm, const char *in, int64_t n, zo_text *out, bool *lead, zo_err *err);

/* ---- pre-tokenizers (tokenizer_split.c) ---- */

typedef enum zo_behavior {
    ZO_REMOVED, ZO_ISOLATED, ZO_MERGED_WITH_PREVIOUS, ZO_MERGED_WITH_NEXT, ZO_CONTIGUOUS
} zo_behavior;
typedef enum zo_pre_kind {
    ZO_PRE_BYTE_LEVEL, ZO_PRE_DIGITS, ZO_PRE_SPLIT, ZO_PRE_METASPACE, ZO_PRE_WHITESPACE, ZO_PRE_WHITESPACE_SPLIT,
    ZO_PRE_PUNCTUATION /* BertPreTokenizer is WHITESPACE_SPLIT, then PUNCTUATION */
} zo_pre_kind;
typedef enum zo_prepend { ZO_PREPEND_ALWAYS, ZO_PREPEND_FIRST, ZO_PREPEND_NEVER } zo_prepend;
typedef struct zo_pre {
    zo_pre_kind kind;
    zo_pattern pattern;   /* SPLIT, BYTE_LEVEL with use_regex */
    zo_behavior behavior; /* SPLIT, DIGITS, PUNCTUATION */
    bool invert;          /* SPLIT */
    bool prefix_space;    /* BYTE_LEVEL */
    bool split;           /* METASPACE: cut before each mark */
    zo_prepend prepend;   /* METASPACE */
    char *content;        /* METASPACE: the mark */
    int64_t content_n;
} zo_pre;

typedef struct zo_piece {
    int64_t start, n;
    bool first; /* begins at the first character of the whole text */
} zo_piece;
typedef struct zo_pieces {
    zo_piece *at;
    int64_t n, room;
} zo_pieces;
void zo_pieces_push(zo_pieces *pieces, int64_t start, int64_t n, bool first);

typedef struct zo_splitter {
    zo_pieces pieces[2];
    zo_text text[2];
    zo_pieces matches; /* `first` = is a match */
} zo_splitter;
/* Cut text[0..n) by all steps; *out_text and *out_pieces stay valid until the next call with the same splitter. */
zo_status zo_pre_apply(const zo_pre *pre, int pre_n, zo_splitter *splitter, const char *text, int64_t n, bool first,
                       const char **out_text, const zo_pieces **out_pieces, zo_err *err);
void zo_splitter_free(zo_splitter *splitter);
extern const char ZO_GPT2_REGEX[]; /* the split of the ByteLevel pre-tokenizer */

/* ---- vocabulary and models (tokenizer_model.c) ---- */

typedef struct zo_vocab {
    char *pool;      /* NUL-terminated spellings */
    size_t pool_n, pool_room;
    int64_t *offset; // (size): into pool, -1 where no token has the id
    uint32_t *bytes; // (size)
    int32_t size;    /* largest id + 1 */
    int32_t room;
    int32_t *slots;  // (slots_n), a power of two: id + 1 or 0
    size_t slots_n, used; /* `used` is the number of tokens */
    uint32_t longest_bytes;
} zo_vocab;
zo_status zo_vocab_add(zo_vocab *vocab, const char *token, size_t bytes, int64_t id, zo_err *err);
int32_t zo_vocab_find(const zo_vocab *vocab, const char *token, size_t bytes); /* -1 when absent */
void zo_vocab_free(zo_vocab *vocab);

typedef struct zo_merge { uint64_t pair; uint32_t rank; int32_t id; } zo_merge; /* id < 0: an empty slot */
typedef enum zo_model_kind { ZO_MODEL_BPE, ZO_MODEL_WORDPIECE, ZO_MODEL_UNIGRAM } zo_model_kind;

typedef struct zo_word { uint64_t hash; uint32_t key, key_n, ids, ids_n; } zo_word; /* hash 0: an empty slot */
typedef struct zo_symbol { int32_t id, before, after, live; } zo_symbol;
typedef struct zo_candidate { uint32_t rank; int32_t at, id; } zo_candidate;

typedef struct zo_trie {
    uint64_t *slots; // (slots_n), a power of two: parent << 36 | byte << 28 | child, or 0
    size_t slots_n;
    int32_t *token; // (nodes_n): the id that ends at a node, or -1; node 0 is the root
    int32_t nodes_n, nodes_room;
} zo_trie;
typedef struct zo_unigram_node {
    double score;
    int32_t start, id; /* of the last piece of the best way to here; start < 0: no way yet */
    int32_t end;       /* of the piece that begins here, on the best way to the end */
} zo_unigram_node;

typedef struct zo_model {
    zo_model_kind kind;
    zo_vocab vocab;
    /* BPE */
    zo_merge *merges; // (merges_n), a power of two
    size_t merges_n, merges_used;
    char *prefix, *suffix; /* continuing_subword_prefix ("##" for WordPiece), end_of_word_suffix; NULL = none */
    bool byte_fallback, fuse_unk, ignore_merges;
    int32_t byte_id[256];  /* <0xNN>, -1 where absent */
    int32_t char_id[1024]; /* ids of one-character tokens, -1 where absent */
    /* all */
    int32_t unk; /* -1: characters outside the vocabulary vanish (BPE), or are an error (Unigram) */
    /* WordPiece */
    int64_t most_chars;
    /* Unigram */
    double *scores; // (vocab.size)
    int32_t scores_room;
    double unknown_score;
    zo_trie trie;
    zo_unigram_node *path; // (bytes of a text + 1)
    int64_t path_room;
    /* the cache of words and scratch */
    zo_word *words; // (words_n), a power of two
    size_t words_n, words_used;
    zo_text keys;
    zo_ids word_ids;
    zo_symbol *symbols;
    int64_t symbols_n, symbols_room;
    zo_candidate *heap;
    int64_t heap_n, heap_room;
    zo_text scratch;
} zo_model;
void zo_model_reserve_merges(zo_model *model, size_t n);
/* Merge of rank `rank`; errors say which of left, right, left+right the vocabulary lacks. */
zo_status zo_model_add_merge(zo_model *model, const char *left, size_t left_n, const char *right, size_t right_n, uint32_t rank,
                             zo_err *err);
void zo_model_finish(zo_model *model); /* after vocabulary, merges, prefix and suffix are set */
zo_status zo_model_encode(zo_model *model, const char *piece, int64_t n, zo_ids *out, zo_err *err);
void zo_model_free(zo_model *model);

/* ---- Unigram (tokenizer_unigram.c) ---- */

void zo_unigram_set_score(zo_model *model, int32_t id, double score); /* of each piece of the vocabulary */
void zo_unigram_finish(zo_model *model);
zo_status zo_unigram_encode(zo_model *model, const char *text, int64_t n, zo_ids *out, zo_err *err);
void zo_unigram_free(zo_model *model);

/* ---- the whole ---- */

typedef struct zo_added {
    char *content;
    char *pattern; /* the normalized content, where it is searched in normalized text */
    int64_t pattern_n;
    int32_t id;
    bool single_word, left_strip, right_strip, normalized, special; /* as given last */
    bool once_special;                                              /* was special at least once */
} zo_added;
typedef struct zo_find { const char *text; int64_t n; int32_t added; } zo_find; /* `text` is borrowed */
typedef struct zo_finder {
    zo_find *entries;    // (n), by first byte, then longest first, then by id
    int32_t begin[257];  /* range of `entries` per first byte */
} zo_finder;

typedef enum zo_template_kind { ZO_TEMPLATE_A, ZO_TEMPLATE_B, ZO_TEMPLATE_SPECIAL } zo_template_kind;
typedef struct zo_template_part { zo_template_kind kind; uint8_t type; int32_t id; } zo_template_part;
typedef struct zo_template {
    zo_template_part *parts;
    int32_t n, room;
} zo_template;
void zo_template_push(zo_template *form, zo_template_kind kind, int32_t id, uint8_t type);

struct zo_tokenizer {
    zo_norm *norms;
    int norms_n;
    zo_charsmap *charsmap; /* of the vocabulary's file, until a class takes it; NULL = none */
    zo_pre *pres;
    int pres_n;
    zo_model model;
    zo_added *added; // (added_n)
    int32_t added_n, added_room, added_end; /* added_end: largest id of an added token + 1 */
    zo_vocab added_index;                   /* content -> index into added */
    zo_finder raw, normal;
    zo_template single, pair;
    zo_special_ids special;
    bool byte_level;     /* spellings are byte-level characters */
    bool split_specials; /* special tokens in a text are read as ordinary text */
    int32_t rows;        /* of the model's embedding; 0 = not told */
    char *mark;      /* Metaspace's mark, or NULL */
    zo_text repaired, norm_text[2];
    zo_ids side[2];
    zo_splitter splitter;
};

zo_norm *zo_tokenizer_push_norm(zo_tokenizer *t, zo_norm_kind kind);
zo_pre *zo_tokenizer_push_pre(zo_tokenizer *t, zo_pre_kind kind);
/* Add a token as the library's add_tokens does: one that the vocabulary has keeps its id, another gets the next id behind vocabulary
 * and added tokens; one that was added before takes the new flags. An empty content is passed over. */
zo_status zo_tokenizer_add_token(zo_tokenizer *t, zo_added flags, const char *content, zo_err *err);
const zo_added *zo_tokenizer_find_added(const zo_tokenizer *t, const char *content); /* NULL when absent */
/* Forms that add nothing: A, and A B with types 0 and 1. */
void zo_tokenizer_set_bare(zo_tokenizer *t);
/* <cls> A <sep> and <cls> A <sep> B <sep> (RoBERTa: <sep><sep> between, all types 0). */
void zo_tokenizer_set_cls_sep(zo_tokenizer *t, int32_t cls, int32_t sep, bool is_roberta);
/* [bos] A [eos] and [bos] A [eos] [bos] B [eos] with types 0 and 1; an id below 0 is left out. */
void zo_tokenizer_set_bos_eos(zo_tokenizer *t, int32_t bos, int32_t eos);

/* ---- tokenizer.json (tokenizer_json.c) ---- */

/* The text (with a NUL behind it) as JSON; the caller calls cJSON_Delete. Errors begin with `name`. */
zo_status zo_tokenizer_json_parse(const char *text, size_t bytes, const char *name, struct cJSON **root, zo_err *err);
zo_status zo_tokenizer_json_kind(const struct cJSON *root, zo_model_kind *kind, zo_err *err);
/* Vocabulary, merges and a Unigram model's charsmap alone, with the options of the model that are set in `t` already. */
zo_status zo_tokenizer_json_vocab(zo_tokenizer *t, const struct cJSON *root, zo_err *err);
zo_status zo_tokenizer_json_post(zo_tokenizer *t, const struct cJSON *root, zo_err *err); /* nothing where it has no post-processor */
zo_status zo_tokenizer_json_all(zo_tokenizer *t, const struct cJSON *root, zo_err *err);

/* ---- SentencePiece's model files (tokenizer_spm.c) ---- */

/* ModelProto.SentencePiece.Type */
typedef enum zo_spm_type { ZO_SPM_NORMAL = 1, ZO_SPM_UNKNOWN, ZO_SPM_CONTROL, ZO_SPM_USER_DEFINED, ZO_SPM_UNUSED, ZO_SPM_BYTE } zo_spm_type;
typedef struct zo_spm_piece {
    char *text; /* owned, UTF-8 */
    float score;
    zo_spm_type type;
} zo_spm_piece;
typedef struct zo_spm {
    zo_model_kind kind;   /* BPE or UNIGRAM */
    zo_spm_piece *pieces; // (pieces_n): by id
    int32_t pieces_n, pieces_room;
    bool byte_fallback, add_dummy_prefix, remove_extra_whitespaces, escape_whitespaces;
    int32_t unk_id, bos_id, eos_id; /* bos and eos may be below 0: none */
    char *unk_piece, *bos_piece, *eos_piece;
    zo_charsmap *charsmap; /* NULL: none */
} zo_spm;
/* From a file's bytes. *spm is NULL on failure. */
zo_status zo_spm_read(zo_spm **spm, const char *data, size_t bytes, zo_err *err);
void zo_spm_free(zo_spm *spm); /* NULL is allowed */
/* The next id of the vocabulary, with its score where the model has scores. */
zo_status zo_spm_add_piece(zo_tokenizer *t, const char *text, double score, zo_err *err);
/* Every pair of tokens that makes a token is a merge (BPE). `by_score`: higher scores first, and of normal pieces alone, as SentencePiece
 * encodes; else in the order of ids, of all pieces, as transformers builds its classes. Ids are those of the pieces. */
zo_status zo_spm_add_merges(zo_tokenizer *t, const zo_spm *spm, bool by_score, zo_err *err);

/* ---- transformers' tokenizer classes (tokenizer_class.c) ---- */

/* In the order of transformers' SPECIAL_TOKENS_ATTRIBUTES, which is the order in which they are added. */
enum { ZO_BOS, ZO_EOS, ZO_UNK, ZO_SEP, ZO_PAD, ZO_CLS, ZO_MASK, ZO_SPECIALS };

typedef enum zo_class_kind {
    ZO_CLASS_FILE, /* PreTrainedTokenizerFast: tokenizer.json as it stands */
    ZO_CLASS_BERT, ZO_CLASS_ROBERTA, ZO_CLASS_GPT2, ZO_CLASS_GPT_NEOX, ZO_CLASS_QWEN2, ZO_CLASS_LLAMA, ZO_CLASS_GEMMA, ZO_CLASS_ALBERT,
    ZO_CLASS_T5, ZO_CLASS_XLM_ROBERTA, ZO_CLASS_DEBERTA_V2
} zo_class_kind;
typedef struct zo_class {
    const char *name;
    zo_class_kind kind;
    zo_model_kind model;                  /* of all but FILE */
    const char *specials[ZO_SPECIALS];    /* what it has without being told; NULL = none */
    bool reads_spm;                       /* SentencePiece's model files */
    int32_t unk;                          /* Unigram: id of the unknown piece, whatever files say; -1: the caller finds it */
} zo_class;
/* The class of a name, with or without "Fast"; FILE for names that transformers does not know either. An error for a class that
 * builds a pipeline which this program does not have. */
zo_status zo_class_find(const char *name, const zo_class **found, zo_err *err);
/* The class that transformers takes for a config.json's model_type; FILE where it has none. *wins: even if a file names another. */
const zo_class *zo_class_of_model(const char *model_type, bool *wins);
/* Normalizers, pre-tokenizers and the model's options of a class other than FILE, by the flags of tokenizer_config.json (`settings`;
 * NULL = none). The vocabulary and WordPiece's unknown token are the caller's. */
zo_status zo_class_build(zo_tokenizer *t, const zo_class *class_, const struct cJSON *settings, zo_err *err);

/* The same for a SentencePiece file whose class is FILE, as transformers builds it by the file's own settings; the vocabulary's pieces have their ids. */
zo_status zo_class_build_spm(zo_tokenizer *t, const zo_spm *spm, const struct cJSON *settings, zo_err *err);

/* ---- a folder (tokenizer_folder.c) ---- */

/* A folder's tokenizer.json, or its older files; then what the folder's other files say. */
zo_status zo_tokenizer_read_folder(zo_tokenizer *t, const char *folder, zo_err *err);
/* Ids still unknown, by their usual spellings. */
void zo_tokenizer_guess_specials(zo_tokenizer *t);

#ifdef __cplusplus
}
#endif
#endif
