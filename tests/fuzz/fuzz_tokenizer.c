/* fuzz_tokenizer.c: libFuzzer over a tokenizer's files. Bytes up to a NUL are a file each, in the order below; an empty one is not there. A
 * single file is read as a tokenizer.json alone. A refusal is one sentence; what is accepted encodes texts into ids that it has.
 * $ZO_FUZZ_SEEDS names a folder for seeds: pieces of every kind, alone and joined with what may stand around them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "tests/folder.h"
#include "text/tokenizer.h"

static const char *const names[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "config.json",
                                    "vocab.txt",      "vocab.json",            "merges.txt"};
enum { FILES = sizeof names / sizeof names[0] };

static char folder[] = "/dev/shm/zo-fuzz-tokenizer-XXXXXX";

static void folder_leave(void)
{
    folder_remove(folder);
}

static void put(const char *name, const char *data, size_t bytes)
{
    char path[128];
    zo_path_join(path, sizeof path, folder, name);
    if (bytes == 0) {
        (void)unlink(path);
        return;
    }
    FILE *file = fopen(path, "wb");
    ZO_CHECK(file != NULL && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0, "%s cannot be written", path);
}

static void check_sentence(const zo_err *err)
{
    ZO_CHECK(err->status != ZO_OK && err->text[0] != '\0' && strpbrk(err->text, "\n\r\033") == NULL, "a refusal says \"%s\"", err->text);
}

static void encode(zo_tokenizer *t)
{
    static const char *const texts[] = {"", " The  tide, don't\n12 345 <s>x</s> [MASK] <ent>", "\xC3\x89t\xC3\xA9 e\xCC\x81 \xE6\x9D\xB1\xE4\xBA\xAC \xF0\x9F\x98\x80 \xF0\x9E\xA5\x8B \xFF"};
    zo_ids ids = {0};
    zo_err err = {0};
    char shown[24];
    int32_t size = zo_tokenizer_vocab_size(t);
    for (int i = 0; i < 3; i++) {
        zo_ids_clear(&ids);
        if (zo_tokenizer_encode_pair(t, texts[i], strlen(texts[i]), texts[1], strlen(texts[1]), ZO_WITH_SPECIALS, &ids, &err) != ZO_OK) {
            check_sentence(&err);
            continue;
        }
        for (int64_t j = 0; j < ids.n; j++) {
            ZO_CHECK(ids.ids[j] >= 0 && ids.ids[j] < size, "id %d of %d", ids.ids[j], size);
            zo_tokenizer_show(t, ids.ids[j], shown, sizeof shown);
        }
    }
    zo_special_ids s = zo_tokenizer_special(t);
    const int32_t all[] = {s.bos, s.eos, s.pad, s.cls, s.sep, s.mask, s.unk};
    for (int i = 0; i < 7; i++) {
        ZO_CHECK(all[i] >= -1 && all[i] < size, "special id %d of %d", all[i], size);
    }
    if (zo_tokenizer_set_rows(t, size / 2, &err) != ZO_OK) {
        check_sentence(&err);
    }
    zo_ids_free(&ids);
}

/* ---- seeds ---- */

#define ADDED "\"added_tokens\":[{\"id\":7,\"content\":\"<s>\",\"special\":true,\"lstrip\":true},{\"id\":2,\"content\":\"ab\",\"single_word\":true}],"
#define BPE "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2,\"\xC4\xA0\":3,\"\xE2\x96\x81\":4,\"<0x41>\":5,\"u\":6},\"merges\":[\"a b\"],\"unk_token\":\"u\"," \
            "\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merges\":true}"
#define WORDPIECE "\"model\":{\"type\":\"WordPiece\",\"vocab\":{\"[UNK]\":0,\"[CLS]\":1,\"[SEP]\":2,\"a\":3,\"##b\":4,\"the\":5,\"e\":6},\"unk_token\":\"[UNK]\"," \
                  "\"continuing_subword_prefix\":\"##\",\"max_input_chars_per_word\":9}"
#define STEP(kind, list) "\"" kind "\":{\"type\":\"Sequence\",\"" list "\":["

static const char *const pieces[] = {
    "",
    STEP("normalizer", "normalizers") "{\"type\":\"NFKC\"},{\"type\":\"NFD\"},{\"type\":\"StripAccents\"},{\"type\":\"Lowercase\"},{\"type\":\"Strip\",\"strip_left\":true}]},",
    STEP("normalizer", "normalizers") "{\"type\":\"Prepend\",\"prepend\":\"\xE2\x96\x81\"},{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xE2\x96\x81\"}]},",
    "\"normalizer\":{\"type\":\"BertNormalizer\",\"strip_accents\":null,\"lowercase\":true},",
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true},",
    STEP("pre_tokenizer", "pretokenizers") "{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"Punctuation\",\"behavior\":\"Isolated\"},{\"type\":\"Whitespace\"}]},",
    "\"pre_tokenizer\":{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(?i:'s)|[^\\\\s\\\\p{L}]?\\\\p{L}+|\\\\w{1,3}|\\\\s+(?!\\\\S)\"},\"behavior\":\"MergedWithNext\",\"invert\":false},",
    "\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xE2\x96\x81\",\"prepend_scheme\":\"first\",\"split\":true},",
    ("\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"<s>\",\"type_id\":0}},{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
    "\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"Sequence\":{\"id\":\"B\",\"type_id\":1}}],\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[7]}}},"),
    "\"post_processor\":{\"type\":\"RobertaProcessing\",\"sep\":[\"b\",1],\"cls\":[\"a\",0]},"};
static const char *const settings[] = {
    "{\"tokenizer_class\":\"GPT2Tokenizer\",\"add_prefix_space\":true,\"bos_token\":{\"content\":\"<s>\",\"__type\":\"AddedToken\"},\"extra_special_tokens\":{\"x\":\"<ent>\"}}",
    "{\"tokenizer_class\":\"LlamaTokenizerFast\",\"legacy\":true,\"added_tokens_decoder\":{\"7\":{\"content\":\"<s>\",\"special\":true,\"rstrip\":true}}}",
    "{\"tokenizer_class\":\"BertTokenizer\",\"do_lower_case\":false,\"strip_accents\":true,\"additional_special_tokens\":[\"<ent>\"]}",
    "{\"add_bos_token\":true,\"add_eos_token\":true,\"split_special_tokens\":true,\"pad_token\":null,\"image_token\":\"<i>\"}"};

static void write_seed(const char *to, const char *const *parts, int n)
{
    static int count;
    char path[4200], name[32];
    snprintf(name, sizeof name, "%d", ++count);
    FILE *file = fopen(zo_path_join(path, sizeof path, to, name), "wb");
    ZO_CHECK(file != NULL, "%s cannot be written", path);
    for (int i = 0; i < n; i++) {
        fwrite(parts[i], 1, strlen(parts[i]) + (i + 1 < n), file); /* with the NUL between */
    }
    fclose(file);
}

static void write_seeds(const char *to)
{
    enum { PIECES = sizeof pieces / sizeof pieces[0], SETTINGS = sizeof settings / sizeof settings[0] };
    static const char *const map = "{\"additional_special_tokens\":[\"<ent>\"],\"mask_token\":{\"content\":\"<m>\",\"lstrip\":true}}";
    char json[4000];
    for (int i = 0; i < 2 * PIECES; i++) {
        const char *model = i % 2 ? WORDPIECE : BPE;
        snprintf(json, sizeof json, "{%s%s%s}", i % 2 ? "" : ADDED, pieces[i / 2], model);
        const char *const alone[] = {json}, *const all[] = {json, settings[i % SETTINGS], map, "", "{\"model_type\":\"gpt2\",\"bos_token_id\":1}"};
        write_seed(to, alone, 1);
        write_seed(to, all, 5);
    }
    for (int i = 0; i < SETTINGS; i++) {
        const char *const lines[] = {"", settings[i], "", "{\"<n>\":6}", "{\"model_type\":\"bert\"}", "[UNK]\n[CLS]\n[SEP]\na\n##b\nthe\n"};
        const char *const merges[] = {"", settings[i], map, "", "{\"model_type\":\"opt\"}", "", "{\"a\":0,\"b\":1,\"ab\":2,\"</s>\":3}", "#version: 0.2\na b\n"};
        write_seed(to, lines, 6);
        write_seed(to, merges, 8);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    if (getenv("ZO_FUZZ_SEEDS") != NULL) {
        write_seeds(getenv("ZO_FUZZ_SEEDS"));
    }
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes, print;
    const char *at = (const char *)data, *end = at + size;
    zo_tokenizer *t = NULL;
    zo_err err = {0};
    zo_status status;
    if (size == 0 || memchr(data, 0, size) == NULL) {
        char *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, size + 1); /* of its very length, so that a reader beyond it is seen */
        memcpy(text, data, size);
        status = zo_tokenizer_parse(&t, text, size, "tokenizer.json", &err);
        zo_free(text);
    } else {
        if (strcmp(folder + sizeof folder - 7, "XXXXXX") == 0) {
            ZO_CHECK(mkdtemp(folder) != NULL, "no folder in /dev/shm");
            atexit(folder_leave);
        }
        for (int i = 0; i < FILES; i++) {
            const char *stop = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
            stop = stop ? stop : end;
            put(names[i], at, (size_t)(stop - at));
            at = stop < end ? stop + 1 : end;
        }
        status = zo_tokenizer_open(&t, folder, &err);
        zo_err other = {0};
        if (zo_tokenizer_fingerprint(folder, &print, &other) != ZO_OK) {
            ZO_CHECK(status != ZO_OK, "a tokenizer was opened that has no fingerprint");
            check_sentence(&other);
        }
    }
    if (status == ZO_OK) {
        encode(t);
        zo_tokenizer_close(t);
    } else {
        ZO_CHECK(t == NULL, "a tokenizer was refused and given");
        check_sentence(&err);
    }
    ZO_CHECK(zo_mem_live(ZO_HOST).total_bytes == live, "bytes of the ledger are lost");
    return 0;
}
