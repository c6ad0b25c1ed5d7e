/* folder.h: what tests put into their scratch folders: a small tokenizer; and the end of such a folder. Test code only. */
#ifndef ZO_TESTS_FOLDER_H
#define ZO_TESTS_FOLDER_H

#include <ftw.h>
#include <stdio.h>

static inline int folder_remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

/* The folder with all that is in it. */
static inline void folder_remove(const char *path)
{
    nftw(path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* A tokenizer.json that gives a token a byte: ids are those of the `n` special tokens, then space, line feed, '!' .. '~'. Texts begin with
 * special[bos]; -1 = with nothing. Returns its length; text has room for 8192 bytes. */
static inline size_t folder_byte_tokenizer(char *text, const char *const *special, int n, int bos)
{
    size_t at = (size_t)sprintf(text, "{\"version\": \"1.0\", \"added_tokens\": [");
    for (int k = 0; k < n; k++) {
        at += (size_t)sprintf(text + at, "%s{\"id\": %d, \"content\": \"%s\", \"special\": true, \"single_word\": false, \"lstrip\": false, "
                              "\"rstrip\": false, \"normalized\": false}", k ? ", " : "", k, special[k]);
    }
    at += (size_t)sprintf(text + at, "], \"normalizer\": null, \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                          "\"trim_offsets\": true, \"use_regex\": true}, \"post_processor\": ");
    if (bos < 0) {
        at += (size_t)sprintf(text + at, "null");
    } else {
        at += (size_t)sprintf(text + at, "{\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"%s\", \"type_id\": 0}}, "
                              "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"pair\": [{\"SpecialToken\": {\"id\": \"%s\", \"type_id\": 0}}, "
                              "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": \"%s\", \"type_id\": 1}}, "
                              "{\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}], \"special_tokens\": {\"%s\": {\"id\": \"%s\", \"ids\": [%d], "
                              "\"tokens\": [\"%s\"]}}}", special[bos], special[bos], special[bos], special[bos], special[bos], bos, special[bos]);
    }
    at += (size_t)sprintf(text + at, ", \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, \"vocab\": {");
    for (int k = 0; k < n; k++) {
        at += (size_t)sprintf(text + at, "\"%s\": %d, ", special[k], k);
    }
    at += (size_t)sprintf(text + at, "\"\\u0120\": %d, \"\\u010a\": %d", n, n + 1);
    for (int c = '!'; c <= '~'; c++) {
        at += (size_t)sprintf(text + at, ", \"%s%c\": %d", c == '"' || c == '\\' ? "\\" : "", c, n + 2 + c - '!');
    }
    return at + (size_t)sprintf(text + at, "}, \"merges\": []}}");
}

#endif
