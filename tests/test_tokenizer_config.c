/* test_tokenizer_config.c: what the files beside a vocabulary say of a tokenizer, and the fingerprint over all of them. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "models/tokenizer.h"
#include "tests/folder.h"

static zo_err err;
static char scratch[64];

static void scratch_open(void)
{
    snprintf(scratch, sizeof scratch, "/tmp/zo-tokenizer-config-XXXXXX");
    ck_assert(mkdtemp(scratch) != NULL);
}

static void scratch_close(void)
{
    folder_remove(scratch);
}

static void put(const char *name, const char *text)
{
    char path[256];
    zo_path_join(path, sizeof path, scratch, name);
    ck_assert_msg(zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void drop(const char *name)
{
    char path[256];
    ck_assert(remove(zo_path_join(path, sizeof path, scratch, name)) == 0);
}

/* ---- the fingerprint ---- */

static uint64_t fingerprint(void)
{
    uint64_t print = 1;
    ck_assert_msg(zo_tokenizer_fingerprint(scratch, &print, &err) == ZO_OK, "%s", err.text);
    return print;
}

START_TEST(test_fingerprint)
{
    uint64_t print = 1;
    ck_assert(zo_tokenizer_fingerprint("tests/no-such-folder", &print, &err) != ZO_OK && print == 0);
    ck_assert_msg(strstr(err.text, "tests/no-such-folder is not a folder"), "%s", err.text);
    ck_assert(zo_tokenizer_fingerprint(scratch, &print, &err) != ZO_OK && print == 0);
    ck_assert_msg(strstr(err.text, "has no tokenizer"), "%s", err.text);

    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\nb\n");
    uint64_t first = fingerprint();
    put("README.md", "not read\n");
    put("vocab.json", "{}"); /* not read without merges.txt */
    ck_assert(fingerprint() == first);
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nb\na\n");
    ck_assert(fingerprint() != first);
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\nb\n");
    ck_assert(fingerprint() == first);

    /* every side file counts, whatever is in it, and which one it is */
    static const char *const sides[] = {"config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
    uint64_t prints[4];
    for (int i = 0; i < 4; i++) {
        put(sides[i], "{}");
        prints[i] = fingerprint();
        ck_assert(prints[i] != first);
        put(sides[i], "{ }");
        ck_assert(fingerprint() != prints[i] && fingerprint() != first);
        drop(sides[i]);
        for (int j = 0; j < i; j++) {
            ck_assert(prints[j] != prints[i]);
        }
    }
    ck_assert(fingerprint() == first);

    /* what is read instead of vocab.txt is what counts */
    put("merges.txt", "a b\n");
    uint64_t merges = fingerprint();
    ck_assert(merges != first);
    put("vocab.txt", "[UNK]\n");
    ck_assert(fingerprint() == merges);
    put("merges.txt", "b a\n");
    ck_assert(fingerprint() != merges);
    put("tokenizer.json", "no JSON yet");
    uint64_t json = fingerprint();
    put("merges.txt", "a b\n");
    ck_assert(fingerprint() == json);
}
END_TEST

/* By hand: FNV-1a of "vocab.txt", NUL, the length in 8 bytes, the contents; packed or not. */
START_TEST(test_fingerprint_value)
{
    static const char bytes[] = "vocab.txt\0\2\0\0\0\0\0\0\0a\n";
    uint64_t expected = 0xcbf29ce484222325ull;
    for (size_t i = 0; i + 1 < sizeof bytes; i++) {
        expected = (expected ^ (uint8_t)bytes[i]) * 0x100000001b3ull;
    }
    put("vocab.txt", "a\n");
    ck_assert(fingerprint() == expected);
    char command[256];
    snprintf(command, sizeof command, "gzip %s/vocab.txt", scratch);
    ck_assert(system(command) == 0);
    ck_assert(fingerprint() == expected);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tokenizer_config");
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, scratch_open, scratch_close);
    tcase_add_test(files, test_fingerprint);
    tcase_add_test(files, test_fingerprint_value);
    suite_add_tcase(suite, files);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
