/* test_core_fuzz.c: files, JSON and options under deterministic mutations. Whatever the bytes: no crash, no byte of the ledger
 * lost, a status of tier 2 and one sentence that names the file; what is accepted survives a round trip. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "tests/fuzz.h"
#include "tests/suite.h"

enum { ROOM = 4096, MOST = 3000, ROUNDS = 8000 };

static int file = -1; /* a file in memory: sixteen thousand rewrites are no work for a disk */
static char path[64]; /* its name */

static void put(const char *data, size_t bytes)
{
    if (ftruncate(file, 0) != 0 || pwrite(file, data, bytes, 0) != (ssize_t)bytes) {
        ck_abort_msg("the file in memory cannot be written");
    }
}

static void assert_sentence(const zo_err *err, uint64_t seed)
{
    ck_assert_msg(err->status == ZO_EINPUT && strstr(err->text, path) != NULL && strpbrk(err->text, "\n\r\033") == NULL,
                  "seed %llu: status %d, \"%s\"", (unsigned long long)seed, err->status, err->text);
}

/* Bytes as gzip of a text: packed once, then damaged. */
static size_t packed_seed(char *data)
{
    char text[600];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = "it 's a charming , often affecting journey .\n"[i * i % 45];
    }
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)text;
    z.avail_in = sizeof text;
    z.next_out = (Bytef *)data;
    z.avail_out = ROOM;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

START_TEST(damaged_gzip_files)
{
    char whole[ROOM], data[ROOM];
    size_t n = packed_seed(whole), taken = 0;
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        memcpy(data, whole, n);
        put(data, fuzz_mutate(seed, data, n, ROOM));
        char *text;
        size_t bytes;
        zo_err err = {0};
        if (zo_read_file(path, MOST, &text, &bytes, &err) == ZO_OK) {
            ck_assert_uint_le(bytes, MOST);
            ck_assert_int_eq(text[bytes], 0);
            size_t seen = 0, newlines = 0;
            for (size_t i = 0; i < bytes; i++) {
                newlines += text[i] == '\n';
            }
            newlines += bytes > 0 && text[bytes - 1] != '\n';
            zo_lines lines = zo_lines_of(text, bytes);
            size_t length;
            while (zo_lines_next(&lines, &length) != NULL) {
                seen += length + 1;
            }
            ck_assert_int_eq(lines.number, (long)newlines);
            ck_assert_uint_le(seen, bytes + 1);
            zo_free(text);
            taken++;
        } else {
            assert_sentence(&err, seed);
        }
        ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_lt(taken, ROUNDS);
}
END_TEST

typedef struct options {
    int64_t steps;
    double lr;
    bool shared;
    char model[ZO_OPT_STRING_BYTES];
    int form;
} options;

static const zo_opt table[] = {
    {.key = "steps", .type = ZO_OPT_INT, .offset = offsetof(options, steps), .initial = 100, .least = 0, .most = 1e9},
    {.key = "lr", .type = ZO_OPT_REAL, .offset = offsetof(options, lr), .initial = 1e-6, .least = 0, .most = 10},
    {.key = "shared", .type = ZO_OPT_BOOL, .offset = offsetof(options, shared)},
    {.key = "model", .type = ZO_OPT_STRING, .offset = offsetof(options, model), .text = ""},
    {.key = "form", .type = ZO_OPT_CHOICE, .offset = offsetof(options, form), .choices = "head|prompt"},
    {.key = NULL},
};

START_TEST(damaged_json_options)
{
    static const char whole[] = "{\"steps\": 2000, \"lr\": 1e-5,\n \"shared\": true, \"model\": \"roberta\\u002dlarge\",\n"
                                " \"form\": \"prompt\", \"note\": [1, {\"a\": null}]}\n";
    char data[ROOM];
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    size_t parsed = 0, taken = 0;
    for (uint64_t seed = 0; seed < ROUNDS; seed++) {
        memcpy(data, whole, sizeof whole - 1);
        put(data, fuzz_mutate(seed, data, sizeof whole - 1, ROOM));
        cJSON *json;
        zo_err err = {0};
        if (zo_json_read(path, &json, &err) != ZO_OK) {
            assert_sentence(&err, seed);
            ck_assert_ptr_null(json);
            continue;
        }
        parsed++;
        options first, again;
        memset(&first, 0, sizeof first);
        memset(&again, 0, sizeof again);
        if (zo_opt_read(table, json, "note", path, &first, &err) == ZO_OK) {
            cJSON *written = zo_opt_write(table, &first);
            ck_assert_int_eq(zo_opt_read(table, written, NULL, path, &again, &err), ZO_OK);
            ck_assert_msg(memcmp(&first, &again, sizeof first) == 0, "seed %llu", (unsigned long long)seed);
            cJSON_Delete(written);
            taken++;
        } else {
            assert_sentence(&err, seed);
        }
        cJSON_Delete(json);
    }
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_gt(parsed, taken);
}
END_TEST

int main(void)
{
    file = memfd_create("fuzz", MFD_CLOEXEC);
    if (file < 0) {
        perror("memfd_create");
        return 1;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    Suite *s = suite_create("core_fuzz");
    TCase *t = tcase_create("mutations");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, damaged_gzip_files);
    tcase_add_test(t, damaged_json_options);
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
