/* tokenizer.h: text to token ids as the Hugging Face `tokenizers` library makes them, read from a model's folder.
 *
 * Reads tokenizer.json; or a SentencePiece file (tokenizer.model, spiece.model, sentencepiece.bpe.model, spm.model: BPE or Unigram); or vocab.txt
 * (WordPiece); or vocab.json + merges.txt or encoder.json + vocab.bpe (byte-level BPE). Class, flags,
 * added and special tokens come from tokenizer_config.json, special_tokens_map.json, added_tokens.json and config.json, read as
 * transformers 5 reads them (tokenizer_folder.c says where not); special ids still unknown, by the usual spellings.
 * Byte-level BPE (GPT-2, RoBERTa, OPT, Llama 3, SmolLM2), BPE with byte fallback (LLaMA 1/2), WordPiece (BERT, DistilBERT) and Unigram
 * (T5, ALBERT, XLM-R, DeBERTa 3).
 * What a file asks for and this program cannot do is an error that names file, key and feature.
 * It does not: truncate or pad (text/batch.h), train vocabularies. */
#ifndef ZO_TEXT_TOKENIZER_H
#define ZO_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_tokenizer zo_tokenizer;

/* -1 where the tokenizer has no such token. */
typedef struct zo_special_ids {
    int32_t bos, eos, pad, cls, sep, mask, unk;
} zo_special_ids;

/* A growing list of ids. Start with {0} (all zero); the encode functions APPEND; give back with zo_ids_free. */
typedef struct zo_ids {
    int32_t *ids;   // (n)
    uint8_t *types; // (n) token types: 0, or 1 in the second text of a BERT pair (RoBERTa: all 0)
    int64_t n, room;
} zo_ids;
void zo_ids_clear(zo_ids *ids); /* n = 0, room kept */
void zo_ids_free(zo_ids *ids);
void zo_ids_push(zo_ids *ids, int32_t id, uint8_t type);

/* Whether the tokenizer adds its special tokens ([CLS] .. [SEP], <s> .. </s>, a leading bos), as add_special_tokens does. */
typedef enum zo_specials { ZO_WITHOUT_SPECIALS = 0, ZO_WITH_SPECIALS = 1 } zo_specials;

/* `folder` is a model's folder. The caller closes what was opened; on failure *tokenizer is NULL. */
zo_status zo_tokenizer_open(zo_tokenizer **tokenizer, const char *folder, zo_err *err);
/* From the text of a tokenizer.json alone (`name` stands for the file in messages). */
zo_status zo_tokenizer_parse(zo_tokenizer **tokenizer, const char *text, size_t bytes, const char *name, zo_err *err);
void zo_tokenizer_close(zo_tokenizer *tokenizer); /* NULL is allowed */
/* Whether a folder's file of this name is one that zo_tokenizer_open may read. */
bool zo_tokenizer_reads(const char *file);
/* What tells a changed tokenizer: 64-bit FNV-1a over name, length and contents (unpacked where gzip) of every file in
 * `folder` that zo_tokenizer_open may read, config.json among them; of the vocabularies only tokenizer.json where it is there. Errors
 * as zo_tokenizer_open's for files that cannot be read; *print is 0 then. */
zo_status zo_tokenizer_fingerprint(const char *folder, uint64_t *print, zo_err *err);

/* Append the ids of `bytes` bytes of UTF-8 (NULs allowed; a malformed sequence reads as U+FFFD) to `out`. Special-token
 * strings inside the text become their ids in both modes, as in transformers. A tokenizer is not changed by encoding as far as
 * callers see, but it keeps a cache: one thread at a time. */
zo_status zo_tokenizer_encode(zo_tokenizer *tokenizer, const char *text, size_t bytes, zo_specials specials, zo_ids *out,
                              zo_err *err);
/* The pair form: BERT [CLS] a [SEP] b [SEP] with types 0 and 1, RoBERTa <s> a </s></s> b </s>; models without a pair template
 * give a then b, each with its own bos where the file says so. */
zo_status zo_tokenizer_encode_pair(zo_tokenizer *tokenizer, const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                                   zo_specials specials, zo_ids *out, zo_err *err);
/* Wrap ids that were encoded ZO_WITHOUT_SPECIALS (so that a caller may truncate them first) into the single or pair form with
 * special tokens. `b` may be NULL (single form). */
void zo_tokenizer_wrap(const zo_tokenizer *tokenizer, const int32_t *a, int64_t a_n, const int32_t *b, int64_t b_n, zo_ids *out);
/* How many tokens zo_tokenizer_wrap adds to a single text (pair = false) or to a pair. */
int zo_tokenizer_wrap_count(const zo_tokenizer *tokenizer, bool pair);

zo_special_ids zo_tokenizer_special(const zo_tokenizer *tokenizer);
/* Make `id` the bos, also where the single and pair forms add one. For released code that sets tokenizer.bos_token_id after
 * loading: MeZO prepends 0 (<s>) to every OPT prompt, where OPT's own tokenizer prepends 2 (</s>). */
void zo_tokenizer_set_bos(zo_tokenizer *tokenizer, int32_t id);
/* Say how many rows the model's embedding has, so that a text with an added token beyond them is an error of the encode functions. An
 * error if the vocabulary itself, or what stands around texts, lies beyond. Added tokens may, as in transformers, where every class has
 * special tokens that it adds behind a vocabulary without them. */
zo_status zo_tokenizer_set_rows(zo_tokenizer *tokenizer, int32_t rows, zo_err *err);
/* Largest id + 1, added tokens included. A model's embedding may have more rows. */
int32_t zo_tokenizer_vocab_size(const zo_tokenizer *tokenizer);
/* The id of a token as it is spelled in the vocabulary (byte-level pieces in their printable form); -1 when absent. */
int32_t zo_tokenizer_id(const zo_tokenizer *tokenizer, const char *token);
/* The vocabulary's spelling of an id; NULL when there is none. Valid as long as the tokenizer. */
const char *zo_tokenizer_token(const zo_tokenizer *tokenizer, int32_t id);
/* The text that `ids` (n) stand for, without special tokens, as the library decodes it (without its cleaning up of spaces):
 * bytes that are no UTF-8 together are U+FFFD. zo_alloc'd (DATA); the caller zo_frees it. */
char *zo_tokenizer_decode(const zo_tokenizer *tokenizer, const int32_t *ids, int64_t n);
/* The text of one token for people: byte-level and Metaspace spellings undone, "##" kept, bytes that are no UTF-8 as \xNN.
 * Writes at most `size` bytes with the NUL, cutting at the end; returns out. */
char *zo_tokenizer_show(const zo_tokenizer *tokenizer, int32_t id, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
