/* test_core.c: errors, the ledger of bytes, files, options and JSON, the clock. */
#include <check.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <zlib.h>

#include "core/clock.h"
#include "core/conf.h"
#include "core/err.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64]; /* scratch, made by main and removed at the end */

static const char *scratch(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

static const char *put(const char *name, const void *data, size_t bytes)
{
    const char *path = scratch(name);
    zo_err err = {0};
    ck_assert_msg(zo_write_file(path, data, bytes, &err) == ZO_OK, "%s", err.text);
    return path;
}

static const char *put_text(const char *name, const char *text)
{
    return put(name, text, strlen(text));
}

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

/* ---- err -------------------------------------------------------------------------------------------------------------- */

START_TEST(fail_fills_and_returns)
{
    zo_err err = {0};
    ck_assert_int_eq(zo_fail(&err, ZO_EINPUT, "%s line %d", "x.tsv", 7), ZO_EINPUT);
    ck_assert_int_eq(err.status, ZO_EINPUT);
    ck_assert_str_eq(err.text, "x.tsv line 7");
    ck_assert_int_eq(zo_fail_in(&err, "sst2"), ZO_EINPUT);
    ck_assert_str_eq(err.text, "sst2: x.tsv line 7");
    zo_fail(&err, ZO_EINPUT, "label \"%s\"", "a\n\x1b[2Jb");
    ck_assert_str_eq(err.text, "label \"a??[2Jb\"");
    ck_assert_int_eq(zo_fail(NULL, ZO_EOOM, "nobody reads this"), ZO_EOOM);
}
END_TEST

/* Per RFC 3629 and XML 1.0; expected values written out by hand. */
START_TEST(plain_text)
{
    static const struct {
        const char *from, *to;
    } of[] = {{"", ""}, {"abc ~", "abc ~"}, {"a\nb\tc\r\x1b[31m\x7f\x01", "a?b?c??[31m??"},
              {"\xc3\xa9 \xe2\x82\xac \xf0\x9d\x84\x9e \xf4\x8f\xbf\xbd", "\xc3\xa9 \xe2\x82\xac \xf0\x9d\x84\x9e \xf4\x8f\xbf\xbd"},
              {"\x80\xbf", "??"},                          /* continuations alone */
              {"\xc3", "?"}, {"\xe2\x82", "??"}, {"\xe2\x82x", "??x"}, {"\xf0\x9d\x84", "???"},
              {"\xc0\xaf \xc1\xbf \xe0\x9f\xbf \xf0\x8f\xbf\xbf", "?? ?? ??? ????"}, /* longer than need be */
              {"\xe0\xa0\x80\xf0\x90\x80\x80\xc2\xa0", "\xe0\xa0\x80\xf0\x90\x80\x80\xc2\xa0"}, /* the least of each length that is shown */
              {"\xed\x9f\xbf \xed\xa0\x80 \xed\xbf\xbf \xee\x80\x80", "\xed\x9f\xbf ??? ??? \xee\x80\x80"}, /* surrogates */
              {"\xf4\x90\x80\x80 \xf5\x80\x80\x80 \xff\xfe", "???? ???? ??"},
              {"\xc2\x9b" "31m \xc2\x80 \xc2\x9f", "?31m ? ?"}, /* C1: a terminal's CSI in two bytes */
              {"\xe2\x80\xa8 \xe2\x80\xa9 \xe2\x80\xa7", "? ? \xe2\x80\xa7"},
              {"\xd8\x9c \xe2\x80\x8e \xe2\x80\x8f \xe2\x80\xaa \xe2\x80\xae \xe2\x80\xaf \xe2\x81\xa6 \xe2\x81\xa9", "? ? ? ? ? \xe2\x80\xaf ? ?"},
              {"\xef\xbf\xbd \xef\xbf\xbe \xef\xbf\xbf", "\xef\xbf\xbd ? ?"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char text[64];
        snprintf(text, sizeof text, "%s", of[i].from);
        ck_assert_ptr_eq(zo_text_plain(text), text);
        ck_assert_str_eq(text, of[i].to);
    }
    zo_err err = {0};
    zo_fail(&err, ZO_EINPUT, "name '%s'", "\xc2\x9b\x1b\xff");
    ck_assert_str_eq(err.text, "name '??" "?'");
    ck_assert_int_eq(zo_fail_in(&err, "a\nfile"), ZO_EINPUT);
    ck_assert_str_eq(err.text, "a?file: name '??" "?'");
}
END_TEST

START_TEST(fail_cuts_long_texts)
{
    struct {
        zo_err err;
        char guard[8];
    } box;
    memset(&box, 0x5a, sizeof box);
    char text[5000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    zo_fail(&box.err, ZO_EIO, "%s", text);
    ck_assert_uint_eq(strlen(box.err.text), sizeof box.err.text - 1);
    zo_fail_in(&box.err, "file");
    ck_assert_uint_eq(strlen(box.err.text), sizeof box.err.text - 1);
    ck_assert(strncmp(box.err.text, "file: aaa", 9) == 0);
    zo_fail_in(&box.err, text);
    ck_assert_uint_lt(strlen(box.err.text), sizeof box.err.text);
    for (size_t i = 0; i < sizeof box.guard; i++) {
        ck_assert_int_eq(box.guard[i], 0x5a);
    }
}
END_TEST

START_TEST(check_that_fails_dies)
{
    ZO_CHECK(1 + 1 == 3, "sums: %d", 2);
}
END_TEST

/* ---- mem -------------------------------------------------------------------------------------------------------------- */

static bool is_zero(const char *data, size_t bytes)
{
    return bytes == 0 || (data[0] == 0 && memcmp(data, data + 1, bytes - 1) == 0);
}

START_TEST(alloc_is_zeroed_aligned_and_counted)
{
    zo_peak before = zo_mem_live(ZO_HOST);
    size_t sizes[] = {0, 1, 63, 64, 65, 4096, (1 << 20) - 1, 1 << 20, 5 << 20};
    char *block[9];
    size_t sum = 0;
    for (int i = 0; i < 9; i++) {
        block[i] = zo_alloc(ZO_HOST, ZO_TAG_PARAMS, sizes[i]);
        ck_assert_ptr_nonnull(block[i]);
        ck_assert_uint_eq((uintptr_t)block[i] % 64, 0);
        ck_assert(is_zero(block[i], sizes[i]));
        memset(block[i], 1, sizes[i]);
        sum += sizes[i];
    }
    zo_peak now = zo_mem_live(ZO_HOST);
    ck_assert_uint_eq(now.total_bytes - before.total_bytes, sum);
    ck_assert_uint_eq(now.tag_bytes[ZO_TAG_PARAMS] - before.tag_bytes[ZO_TAG_PARAMS], sum);
    for (int i = 0; i < 9; i++) {
        zo_free(block[i]);
    }
    zo_free(NULL);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, before.total_bytes);
}
END_TEST

START_TEST(many_blocks_in_any_order)
{
    /* The table grows, and blocks leave it in an order unlike the one they came in. */
    enum { N = 20000 };
    void **block = calloc(N, sizeof *block);
    uint64_t start = zo_mem_live(ZO_HOST).total_bytes, sum = 0;
    for (int i = 0; i < N; i++) {
        block[i] = zo_alloc(ZO_HOST, (zo_tag)(i % ZO_TAGS), (size_t)(i % 37));
        sum += (uint64_t)(i % 37);
    }
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes - start, sum);
    for (long i = 0, at = 0; i < N; i++, at = (at + 7919) % N) {
        zo_free(block[at]);
    }
    zo_peak end = zo_mem_live(ZO_HOST);
    ck_assert_uint_eq(end.total_bytes, start);
    free(block);
}
END_TEST

START_TEST(threads_allocate_together)
{
    uint64_t start = zo_mem_live(ZO_HOST).total_bytes;
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < 4000; i++) {
        char *a = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)(1 + i % 100)), *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, 10);
        a[0] = b[0] = 1;
        zo_free(a);
        zo_free(b);
    }
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, start);
}
END_TEST

START_TEST(realloc_keeps_contents_and_zeroes_the_rest)
{
    uint64_t start = zo_mem_live(ZO_HOST).total_bytes;
    char *text = zo_realloc(NULL, ZO_HOST, ZO_TAG_DATA, 5);
    memcpy(text, "hello", 5);
    size_t sizes[] = {5, 3, 100, (size_t)3 << 20, 200, 0, 10};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        text = zo_realloc(text, ZO_HOST, ZO_TAG_DATA, sizes[i]);
        ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes - start, sizes[i]);
        if (sizes[i] >= 3 && i < 5) {
            ck_assert(memcmp(text, "hel", 3) == 0);
        }
        size_t kept = i < 1 ? 5 : 3;
        ck_assert_msg(sizes[i] < kept || is_zero(text + kept, sizes[i] - kept), "after a resize to %zu", sizes[i]);
    }
    text = zo_realloc(text, ZO_HOST, ZO_TAG_OTHER, 10); /* a new tag moves the bytes between tags */
    ck_assert_uint_ge(zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_OTHER], 10);
    zo_free(text);
    char *copy = zo_strdup(ZO_TAG_DATA, "name");
    ck_assert_str_eq(copy, "name");
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes - start, 5);
    zo_free(copy);
}
END_TEST

START_TEST(peaks_per_phase_with_breakdown)
{
    zo_mem_phase(ZO_PHASE_LOAD);
    void *params = zo_alloc(ZO_HOST, ZO_TAG_PARAMS, 1000);
    zo_mem_reset_peaks();
    ck_assert_uint_eq(zo_mem_peak(ZO_HOST, ZO_PHASE_LOAD).total_bytes, 1000);
    zo_mem_phase(ZO_PHASE_TRAIN);
    ck_assert_uint_eq(zo_mem_peak(ZO_HOST, ZO_PHASE_TRAIN).total_bytes, 1000);
    void *act = zo_alloc(ZO_HOST, ZO_TAG_ACTIVATIONS, 500), *work = zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, 70);
    zo_free(act);
    void *after = zo_alloc(ZO_HOST, ZO_TAG_OPT_STATE, 300); /* 1370 < 1570: no new peak */
    zo_mem_phase(ZO_PHASE_EVAL);
    void *eval = zo_alloc(ZO_HOST, ZO_TAG_ACTIVATIONS, 10);
    zo_mem_phase(ZO_PHASE_TRAIN); /* entered again: goes on */
    zo_peak train = zo_mem_peak(ZO_HOST, ZO_PHASE_TRAIN);
    ck_assert_uint_eq(train.total_bytes, 1570);
    ck_assert_uint_eq(train.tag_bytes[ZO_TAG_PARAMS], 1000);
    ck_assert_uint_eq(train.tag_bytes[ZO_TAG_ACTIVATIONS], 500);
    ck_assert_uint_eq(train.tag_bytes[ZO_TAG_WORKSPACE], 70);
    ck_assert_uint_eq(train.tag_bytes[ZO_TAG_OPT_STATE], 0);
    ck_assert_uint_eq(zo_mem_peak(ZO_HOST, ZO_PHASE_EVAL).total_bytes, 1380);
    ck_assert_uint_eq(zo_mem_peak(ZO_HOST, ZO_PHASE_LOAD).total_bytes, 1000);
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).total_bytes, 1570);
    uint64_t sum = 0;
    for (int i = 0; i < ZO_TAGS; i++) {
        sum += train.tag_bytes[i];
    }
    ck_assert_uint_eq(sum, train.total_bytes);
    zo_free(params);
    zo_free(work);
    zo_free(after);
    zo_free(eval);
    zo_mem_reset_peaks();
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).total_bytes, zo_mem_live(ZO_HOST).total_bytes);
}
END_TEST

START_TEST(limit_refuses_and_rolls_back)
{
    uint64_t start = zo_mem_live(ZO_HOST).total_bytes;
    zo_mem_limit(ZO_HOST, start + 100);
    void *a = zo_try_alloc(ZO_HOST, ZO_TAG_DATA, 60);
    ck_assert_ptr_nonnull(a);
    ck_assert_ptr_null(zo_try_alloc(ZO_HOST, ZO_TAG_DATA, 41));
    ck_assert_ptr_null(zo_try_alloc(ZO_HOST, ZO_TAG_DATA, SIZE_MAX));
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, start + 60);
    void *b = zo_try_alloc(ZO_HOST, ZO_TAG_DATA, 40);
    ck_assert_ptr_nonnull(b);
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).total_bytes, start + 100);
    zo_mem_limit(ZO_HOST, 0);
    ck_assert_ptr_null(zo_try_alloc(ZO_HOST, ZO_TAG_DATA, SIZE_MAX - 100)); /* the system refuses */
    ck_assert_ptr_null(zo_try_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)1 << 60));
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, start + 100);
    zo_free(a);
    zo_free(b);
}
END_TEST

static void exit_with_7(zo_space space, zo_tag tag, size_t bytes, void *context)
{
    _exit(space == ZO_HOST && tag == ZO_TAG_SNAPSHOT && bytes == 1000 && *(int *)context == 5 ? 7 : 1);
}

START_TEST(oom_handler_gets_the_request)
{
    int context = 5;
    zo_mem_on_oom(exit_with_7, &context);
    zo_mem_limit(ZO_HOST, zo_mem_live(ZO_HOST).total_bytes + 999);
    zo_alloc(ZO_HOST, ZO_TAG_SNAPSHOT, 1000);
}
END_TEST

START_TEST(oom_without_handler_dies)
{
    zo_mem_limit(ZO_HOST, 1);
    zo_alloc(ZO_HOST, ZO_TAG_SNAPSHOT, 1000);
}
END_TEST

START_TEST(double_free_dies)
{
    void *volatile a = zo_alloc(ZO_HOST, ZO_TAG_DATA, 10);
    zo_free(a);
    zo_free(a);
}
END_TEST

START_TEST(foreign_pointer_dies)
{
    char *volatile a = zo_alloc(ZO_HOST, ZO_TAG_DATA, 10);
    zo_free(a + 1);
}
END_TEST

START_TEST(unregistered_space_dies)
{
    zo_alloc(ZO_DEVICE, ZO_TAG_PARAMS, 10);
}
END_TEST

static char arena[1000];
static int arena_live;
static void *arena_allocate(size_t bytes)
{
    return bytes <= sizeof arena && arena_live++ == 0 ? arena : NULL;
}
static void arena_release(void *block)
{
    ck_assert_ptr_eq(block, arena);
    arena_live--;
}

START_TEST(a_backend_registers_its_space)
{
    zo_mem_register(ZO_DEVICE, (zo_space_ops){.allocate = arena_allocate, .release = arena_release});
    uint64_t host = zo_mem_live(ZO_HOST).total_bytes;
    void *a = zo_alloc(ZO_DEVICE, ZO_TAG_PARAMS, 900);
    ck_assert_ptr_null(zo_try_alloc(ZO_DEVICE, ZO_TAG_PARAMS, 2000));
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, 900);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, host);
    zo_free(a);
    ck_assert_int_eq(arena_live, 0);
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_DEVICE).total_bytes, 900);
}
END_TEST

START_TEST(rss_follows_the_ledger)
{
    uint64_t start = zo_rss_bytes();
    ck_assert_uint_gt(start, 0);
    size_t bytes = (size_t)64 << 20;
    char *block = zo_alloc(ZO_HOST, ZO_TAG_PARAMS, bytes);
    memset(block, 1, bytes);
    uint64_t held = zo_rss_bytes();
    ck_assert_uint_ge(held, start + bytes - bytes / 16);
    ck_assert_uint_ge(zo_rss_peak_bytes(), held - (1 << 20));
    zo_free(block);
#ifndef __SANITIZE_ADDRESS__
    ck_assert_uint_le(zo_rss_bytes(), start + bytes / 4);
#endif
}
END_TEST

START_TEST(names_of_tags_and_phases)
{
    ck_assert_str_eq(zo_tag_name(ZO_TAG_PARAMS), "params");
    ck_assert_str_eq(zo_tag_name(ZO_TAG_OTHER), "other");
    ck_assert_str_eq(zo_phase_name(ZO_PHASE_LOAD), "load");
    ck_assert_str_eq(zo_phase_name(ZO_PHASE_EVAL), "eval");
}
END_TEST

/* ---- io --------------------------------------------------------------------------------------------------------------- */

/* gzip `bytes` of text into a new file; returns its path. */
static const char *put_gz(const char *name, const void *data, size_t bytes, const char *mode)
{
    const char *path = scratch(name);
    gzFile out = gzopen(path, mode);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(gzwrite(out, data, (unsigned)bytes), (int)bytes);
    ck_assert_int_eq(gzclose(out), Z_OK);
    return path;
}

static void assert_reads(const char *path, size_t most, const void *data, size_t bytes)
{
    char *text;
    size_t n;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(path, most, &text, &n, &err) == ZO_OK, "%s", err.text);
    ck_assert_uint_eq(n, bytes);
    ck_assert(memcmp(text, data, bytes) == 0);
    ck_assert_int_eq(text[n], 0);
    zo_free(text);
}

static void assert_refuses(const char *path, size_t most, zo_status status, const char *part)
{
    char *text = (char *)1;
    size_t n = 1;
    zo_err err = {0};
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    ck_assert_int_eq(zo_read_file(path, most, &text, &n, &err), status);
    ck_assert_int_eq(err.status, status);
    ck_assert_ptr_null(text);
    ck_assert_uint_eq(n, 0);
    ASSERT_HAS(err.text, path);
    ASSERT_HAS(err.text, part);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
}

START_TEST(read_plain)
{
    char data[10000];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)(i * 31);
    }
    size_t sizes[] = {0, 1, 2, 3, 4094, 4095, 4096, 4097, sizeof data};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *path = put("plain", data, sizes[i]);
        assert_reads(path, sizes[i], data, sizes[i]); /* exactly as much as permitted */
        assert_reads(path, SIZE_MAX, data, sizes[i]);
        if (sizes[i] > 0) {
            assert_refuses(path, sizes[i] - 1, ZO_EINPUT, "bytes, and at most");
        }
    }
}
END_TEST

START_TEST(read_gzip)
{
    size_t bytes = 300000;
    char *data = calloc(bytes, 1);
    for (size_t i = 0; i < bytes; i++) {
        data[i] = "abcdefg\n"[i * i % 8];
    }
    const char *path = put_gz("packed.gz", data, bytes, "wb");
    assert_reads(path, bytes, data, bytes);
    assert_reads(path, bytes + 1, data, bytes);
    assert_refuses(path, bytes - 1, ZO_EINPUT, "unpacks to");
    assert_reads(put_gz("none.gz", "", 0, "wb"), 10, "", 0);
    /* members after one another are one text, as gzip says */
    put_gz("members.gz", "one\n", 4, "wb");
    assert_reads(put_gz("members.gz", "two\n", 4, "ab"), 100, "one\ntwo\n", 8);
    free(data);
}
END_TEST

START_TEST(refuse_a_gzip_bomb)
{
    size_t bytes = (size_t)64 << 20; /* of zeros: 65 kB packed */
    char *zeros = calloc(bytes, 1);
    const char *path = put_gz("bomb.gz", zeros, bytes, "wb9");
    free(zeros);
    zo_mem_reset_peaks();
    uint64_t start = zo_mem_live(ZO_HOST).total_bytes;
    assert_refuses(path, 1 << 20, ZO_EINPUT, "unpacks to");
    ck_assert_uint_le(zo_mem_peak_overall(ZO_HOST).total_bytes - start, 4 << 20);
}
END_TEST

START_TEST(refuse_damaged_gzip)
{
    char data[5000];
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (char)(i * i >> 3);
    }
    char *packed;
    size_t bytes;
    zo_err err = {0};
    put_gz("whole.gz", data, sizeof data, "wb");
    int fd = open(scratch("whole.gz"), O_RDONLY);
    packed = calloc(1, 20000);
    bytes = (size_t)read(fd, packed, 20000);
    close(fd);
    for (size_t cut = 2; cut < bytes; cut += cut < 40 ? 1 : 97) {
        assert_refuses(put("cut.gz", packed, cut), 1 << 20, ZO_EINPUT, "end too early");
    }
    packed[bytes / 2] ^= 0x40;
    char *text;
    size_t n;
    ck_assert_int_eq(zo_read_file(put("hurt.gz", packed, bytes), 1 << 20, &text, &n, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "gzip data");
    free(packed);
}
END_TEST

/* Every reader, at a path where nothing may be waited for: a sentence at once. */
static void assert_no_file(const char *path, const char *kind)
{
    char *text;
    size_t n;
    FILE *file;
    zo_map map;
    cJSON *json;
    zo_err err[5];
    ck_assert_int_eq(zo_read_file(path, 10, &text, &n, &err[0]), ZO_EIO);
    ck_assert_int_eq(zo_map_open(&map, path, &err[1]), ZO_EIO);
    ck_assert_int_eq(zo_file_open(path, &file, &err[2]), ZO_EIO);
    ck_assert_int_eq(zo_path_check_file(path, &err[3]), ZO_EIO);
    ck_assert_int_eq(zo_json_read(path, &json, &err[4]), ZO_EIO);
    ck_assert(text == NULL && file == NULL && json == NULL && map.bytes == 0);
    for (int i = 0; i < 5; i++) {
        ASSERT_HAS(err[i].text, kind);
        ASSERT_HAS(err[i].text, path);
    }
}

START_TEST(pipes_and_devices_are_not_waited_for)
{
    ck_assert_int_eq(mkfifo(scratch("pipe"), 0600), 0);
    assert_no_file(scratch("pipe"), "is a named pipe");
    ck_assert_int_eq(symlink(scratch("pipe"), scratch("link")), 0);
    assert_no_file(scratch("link"), "is a named pipe");
    assert_no_file("/dev/zero", "is a device");
    assert_no_file("/dev/tty", "is a device");
    assert_no_file(folder, "is a folder");
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", scratch("socket"));
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_no_file(scratch("socket"), "is a socket");
    close(fd);
    zo_err err = {0};
    FILE *file;
    char line[16];
    ck_assert_int_eq(zo_path_check_file(scratch("absent"), &err), ZO_OK);
    ck_assert_int_eq(zo_file_open(scratch("absent"), &file, &err), ZO_EIO);
    ck_assert_int_eq(zo_file_open(put_text("lines.txt", "one\ntwo"), &file, &err), ZO_OK);
    ck_assert_str_eq(fgets(line, sizeof line, file), "one\n");
    ck_assert_int_eq(fclose(file), 0);
}
END_TEST

START_TEST(refuse_what_is_not_a_file)
{
    assert_refuses(scratch("absent"), 10, ZO_EIO, "No such file");
    assert_refuses(folder, 10, ZO_EIO, "is a folder");
    char *text;
    size_t n;
    zo_err err = {0};
    ck_assert_int_eq(zo_read_file_or_gz(scratch("absent"), 10, &text, &n, &err), ZO_EIO);
    ASSERT_HAS(err.text, "absent nor ");
    ASSERT_HAS(err.text, "absent.gz");
}
END_TEST

/* A few kilobytes that unpack to many megabytes cost what may be read, not what they unpack to. */
START_TEST(packed_files_are_not_unpacked_beyond_the_limit)
{
    enum { PACKED_BYTES = 32 << 20, MOST = 10000 };
    char *zeros = calloc(1, PACKED_BYTES);
    put_gz("bomb.gz", zeros, PACKED_BYTES, "wb9");
    free(zeros);
    uint64_t before = zo_mem_live(ZO_HOST).total_bytes;
    zo_mem_reset_peaks();
    assert_refuses(scratch("bomb.gz"), MOST, ZO_EINPUT, "unpacks to at least 10001 bytes, and at most 10000 are read here");
    ck_assert_uint_le(zo_mem_peak_overall(ZO_HOST).total_bytes, before + 4 * MOST);
}
END_TEST

START_TEST(read_plain_or_packed)
{
    char *text;
    size_t n;
    zo_err err = {0};
    put_gz("rows.tsv.gz", "packed", 6, "wb");
    ck_assert_int_eq(zo_read_file_or_gz(scratch("rows.tsv"), 100, &text, &n, &err), ZO_OK);
    ck_assert_str_eq(text, "packed");
    zo_free(text);
    put_text("rows.tsv", "plain");
    ck_assert_int_eq(zo_read_file_or_gz(scratch("rows.tsv"), 100, &text, &n, &err), ZO_OK);
    ck_assert_str_eq(text, "plain");
    zo_free(text);
    unlink(scratch("rows.tsv"));
    /* gzip is known by its bytes, not by its name */
    const char *named_plain = put_gz("named.txt", "by magic", 8, "wb");
    assert_reads(named_plain, 100, "by magic", 8);
}
END_TEST

START_TEST(read_from_a_pipe)
{
    int end[2];
    ck_assert_int_eq(pipe(end), 0);
    ck_assert_int_eq((int)write(end[1], "from a pipe", 11), 11);
    close(end[1]);
    char path[64];
    snprintf(path, sizeof path, "/dev/fd/%d", end[0]);
    assert_reads(path, 100, "from a pipe", 11);
    close(end[0]);
}
END_TEST

START_TEST(lines_and_their_ends)
{
    char text[] = "one\ntwo\r\n\nfour\r\r\nlast";
    const char *expected[] = {"one", "two", "", "four\r", "last"};
    zo_lines lines = zo_lines_of(text, sizeof text - 1);
    for (long i = 0; i < 5; i++) {
        size_t n;
        char *line = zo_lines_next(&lines, &n);
        ck_assert_ptr_nonnull(line);
        ck_assert_str_eq(line, expected[i]);
        ck_assert_uint_eq(n, strlen(expected[i]));
        ck_assert_int_eq(lines.number, i + 1);
    }
    ck_assert_ptr_null(zo_lines_next(&lines, NULL));
    ck_assert_ptr_null(zo_lines_next(&lines, NULL));
    char ended[] = "a\n", empty[] = "", zero[] = "x\0y\nz";
    lines = zo_lines_of(ended, 2);
    ck_assert_str_eq(zo_lines_next(&lines, NULL), "a");
    ck_assert_ptr_null(zo_lines_next(&lines, NULL));
    lines = zo_lines_of(empty, 0);
    ck_assert_ptr_null(zo_lines_next(&lines, NULL));
    size_t n;
    lines = zo_lines_of(zero, 5);
    zo_lines_next(&lines, &n);
    ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(maps)
{
    zo_map map;
    zo_err err = {0};
    ck_assert_int_eq(zo_map_open(&map, put_text("mapped", "bytes"), &err), ZO_OK);
    ck_assert_uint_eq(map.bytes, 5);
    ck_assert(memcmp(map.data, "bytes", 5) == 0);
    zo_map_close(&map);
    ck_assert_uint_eq(map.bytes, 0);
    zo_map_close(&map);
    ck_assert_int_eq(zo_map_open(&map, put_text("mapped", ""), &err), ZO_OK);
    ck_assert_uint_eq(map.bytes, 0);
    ck_assert_ptr_nonnull(map.data);
    zo_map_close(&map);
    ck_assert_int_eq(zo_map_open(&map, scratch("absent"), &err), ZO_EIO);
    ASSERT_HAS(err.text, "absent");
    ck_assert_int_eq(zo_map_open(&map, folder, &err), ZO_EIO);
    ck_assert_int_eq(zo_map_open(&map, "/dev/null", &err), ZO_EIO);
}
END_TEST

static int count_entries(void)
{
    DIR *dir = opendir(folder);
    ck_assert_ptr_nonnull(dir);
    int n = 0;
    while (readdir(dir) != NULL) {
        n++;
    }
    closedir(dir);
    return n;
}

START_TEST(write_replaces_whole_or_not_at_all)
{
    zo_err err = {0};
    const char *path = put_text("out.json", "old");
    ck_assert_int_eq(zo_write_file(path, "new text", 8, &err), ZO_OK);
    assert_reads(path, 100, "new text", 8);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    mode_t mask = umask(0);
    umask(mask);
    ck_assert_uint_eq(st.st_mode & 0777, 0666 & ~mask);

    ck_assert_int_eq(zo_write_file(scratch("no/such/file"), "x", 1, &err), ZO_EIO);
    ASSERT_HAS(err.text, "no/such/file");

    /* A disk that is full (here: the largest file size permitted) leaves the old file and no other. */
    int entries = count_entries();
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit was, small;
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 4;
    setrlimit(RLIMIT_FSIZE, &small);
    zo_status status = zo_write_file(path, "longer than four", 16, &err);
    setrlimit(RLIMIT_FSIZE, &was);
    ck_assert_int_eq(status, ZO_EIO);
    ASSERT_HAS(err.text, "nothing was changed");
    ck_assert_int_eq(count_entries(), entries);
    assert_reads(path, 100, "new text", 8);

    ck_assert_int_eq(zo_make_dirs(scratch("taken"), &err), ZO_OK);
    ck_assert_int_eq(zo_write_file(scratch("taken"), "x", 1, &err), ZO_EIO); /* a folder stands there */
    ASSERT_HAS(err.text, "taken");
}
END_TEST

START_TEST(folders_and_paths)
{
    zo_err err = {0};
    ck_assert_int_eq(zo_make_dirs(scratch("a/b//c/"), &err), ZO_OK);
    ck_assert(zo_path_is_dir(scratch("a/b/c")));
    ck_assert_int_eq(zo_make_dirs(scratch("a/b/c"), &err), ZO_OK);
    put_text("a/file", "");
    ck_assert(zo_path_exists(scratch("a/file")));
    ck_assert(!zo_path_is_dir(scratch("a/file")));
    ck_assert(!zo_path_exists(scratch("a/none")));
    ck_assert_int_eq(zo_make_dirs(scratch("a/file/d"), &err), ZO_EIO);
    ASSERT_HAS(err.text, "a/file");
    ck_assert_int_eq(zo_make_dirs("", &err), ZO_EIO);
    char out[32];
    ck_assert_str_eq(zo_path_join(out, sizeof out, "a", "b"), "a/b");
    ck_assert_str_eq(zo_path_join(out, sizeof out, "a/", "b"), "a/b");
    ck_assert_str_eq(zo_path_join(out, sizeof out, "", "b"), "b");
    ck_assert_str_eq(zo_path_join(out, sizeof out, "/", "b"), "/b");
}
END_TEST

START_TEST(path_that_does_not_fit_dies)
{
    char out[4];
    zo_path_join(out, sizeof out, "abc", "d");
}
END_TEST

START_TEST(files_that_come_with_the_program)
{
    zo_err err = {0};
    char out[512];
    ck_assert_int_eq(zo_make_dirs(scratch("share/plots"), &err), ZO_OK);
    setenv("ZO_SHARE", scratch("share"), 1);
    ck_assert_int_eq(zo_share_find("plots", out, sizeof out, &err), ZO_OK);
    ck_assert_str_eq(out, scratch("share/plots"));
    ck_assert_int_eq(zo_share_find("no-such-thing", out, sizeof out, &err), ZO_EIO);
    ASSERT_HAS(err.text, "ZO_SHARE is ");
    unsetenv("ZO_SHARE");
    ck_assert_int_eq(zo_share_find("no-such-thing", out, sizeof out, &err), ZO_EIO);
    ASSERT_HAS(err.text, "no-such-thing");
}
END_TEST

START_TEST(fnv_known_answers)
{
    /* the reference vectors of FNV-1a, 64 bits */
    ck_assert_uint_eq(zo_fnv1a(ZO_FNV_START, "", 0), 0xcbf29ce484222325ull);
    ck_assert_uint_eq(zo_fnv1a(ZO_FNV_START, "a", 1), 0xaf63dc4c8601ec8cull);
    ck_assert_uint_eq(zo_fnv1a(ZO_FNV_START, "foobar", 6), 0x85944171f73967e8ull);
    ck_assert_uint_eq(zo_fnv1a(zo_fnv1a(ZO_FNV_START, "foo", 3), "bar", 3), 0x85944171f73967e8ull);
}
END_TEST

/* ---- conf ------------------------------------------------------------------------------------------------------------- */

typedef struct sample {
    int64_t rank;
    double eps;
    bool shared;
    char model[ZO_OPT_STRING_BYTES];
    int mode;
} sample;

static const zo_opt sample_table[] = {
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(sample, rank), .initial = 16, .least = 1, .most = 4096, .help = "CP rank"},
    {.key = "eps", .type = ZO_OPT_REAL, .offset = offsetof(sample, eps), .initial = 1e-3, .least = 0, .most = 1, .help = "radius"},
    {.key = "shared", .type = ZO_OPT_BOOL, .offset = offsetof(sample, shared), .initial = 1, .help = "one z for both"},
    {.key = "model", .type = ZO_OPT_STRING, .offset = offsetof(sample, model), .text = "tiny", .help = "folder or name"},
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(sample, mode), .initial = 2, .choices = "paper|released|replay"},
    {.key = NULL},
};

static zo_status read_sample(const char *text, sample *out, zo_err *err)
{
    cJSON *json = cJSON_Parse(text);
    ck_assert_msg(json != NULL, "%s", text);
    *err = (zo_err){0};
    zo_status status = zo_opt_read(sample_table, json, "name seed", "optimizer tezo", out, err);
    cJSON_Delete(json);
    return status;
}

START_TEST(options_defaults_and_values)
{
    sample s;
    zo_err err = {0};
    memset(&s, 0xff, sizeof s);
    ck_assert_int_eq(zo_opt_read(sample_table, NULL, NULL, "x", &s, &err), ZO_OK);
    ck_assert_int_eq(s.rank, 16);
    ck_assert_double_eq(s.eps, 1e-3);
    ck_assert(s.shared);
    ck_assert_str_eq(s.model, "tiny");
    ck_assert_int_eq(s.mode, 2);
    ck_assert_int_eq(read_sample("{\"name\": [1], \"seed\": {}, \"rank\": 64, \"eps\": 0.5, \"shared\": false, \"model\": \"m\\u00e9\","
                                 " \"mode\": \"paper\"}", &s, &err), ZO_OK);
    ck_assert_int_eq(s.rank, 64);
    ck_assert_double_eq(s.eps, 0.5);
    ck_assert(!s.shared);
    ck_assert_str_eq(s.model, "m\xc3\xa9");
    ck_assert_int_eq(s.mode, 0);
    cJSON *json = zo_opt_write(sample_table, &s);
    char *text = cJSON_PrintUnformatted(json);
    ck_assert_str_eq(text, "{\"rank\":64,\"eps\":0.5,\"shared\":false,\"model\":\"m\xc3\xa9\",\"mode\":\"paper\"}");
    sample again;
    ck_assert_int_eq(zo_opt_read(sample_table, json, NULL, "x", &again, &err), ZO_OK);
    ck_assert_int_eq(again.rank, s.rank);
    ck_assert_double_eq(again.eps, s.eps);
    ck_assert_str_eq(again.model, s.model);
    ck_assert_int_eq(again.mode, s.mode);
    cJSON_free(text);
    cJSON_Delete(json);
}
END_TEST

START_TEST(options_that_are_wrong)
{
    char deep[ZO_OPT_STRING_BYTES + 32];
    snprintf(deep, sizeof deep, "{\"model\": \"%0*d\"}", ZO_OPT_STRING_BYTES, 0);
    const struct {
        const char *json, *part, *also;
    } wrong[] = {
        {"{\"rnak\": 3}", "\"rnak\"", "did you mean \"rank\"?"},
        {"{\"Rank\": 3}", "\"Rank\"", "did you mean \"rank\"?"},
        {"{\"sed\": 3}", "\"sed\"", "did you mean \"seed\"?"},
        {"{\"temperature\": 3}", "\"temperature\"", "its keys are: rank eps shared model mode name seed"},
        {"{\"rank\": 1, \"rank\": 2}", "\"rank\"", "twice"},
        {"{\"rank\": 1.5}", "1.5", "whole number"},
        {"{\"rank\": 0}", "\"rank\" is 0", "expected 1 to 4096"},
        {"{\"rank\": 5000}", "5000", "1 to 4096"},
        {"{\"rank\": 1e300}", "rank", "whole number"},
        {"{\"eps\": -0.1}", "-0.1", "0 to 1"},
        {"{\"eps\": 1e999}", "eps", "finite"},
        {"{\"rank\": \"16\"}", "a string", "a whole number (CP rank)"},
        {"{\"eps\": null}", "null", "a number"},
        {"{\"eps\": [1]}", "a list", "a number"},
        {"{\"shared\": 1}", "a number", "true or false"},
        {"{\"model\": {}}", "an object", "a string"},
        {deep, "256 bytes", "at most 255"},
        {"{\"mode\": \"pape\"}", "\"pape\"", "one of paper|released|replay"},
        {"{\"mode\": \"\"}", "\"\"", "one of paper|released|replay"},
        {"{\"mode\": 1}", "a number", "one of paper|released|replay in quotes"},
        {"[]", "a list", "an object of options"},
        {"3", "a number", "an object of options"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sample s;
        zo_err err;
        ck_assert_msg(read_sample(wrong[i].json, &s, &err) == ZO_EINPUT, "%s was taken", wrong[i].json);
        ck_assert(strncmp(err.text, "optimizer tezo: ", 16) == 0);
        ASSERT_HAS(err.text, wrong[i].part);
        ASSERT_HAS(err.text, wrong[i].also);
    }
    sample s;
    zo_err err;
    ck_assert_int_eq(read_sample("{\"rank\": 4096, \"eps\": 1}", &s, &err), ZO_OK); /* ranges are inclusive */
    ck_assert_int_eq(read_sample("{\"rank\": 1, \"eps\": 0}", &s, &err), ZO_OK);
}
END_TEST

START_TEST(nearest_name)
{
    const char *names[] = {"zero-shot", "mezo", "mezo-svrg", "tezo", "tezo-m", "tezo-adam", "fo-sgd", "fo-adamw", "lr"};
    int n = sizeof names / sizeof *names;
    const struct {
        const char *typed, *nearest;
    } pairs[] = {{"mezo", "mezo"},     {"mzeo", "mezo"},     {"MeZO", "mezo"},   {"tezo_adam", "tezo-adam"}, {"fo-adam", "fo-adamw"},
                 {"adamw", NULL},      {"mezosvrg", "mezo-svrg"}, {"l", "lr"},           {"rl", "lr"},
                 {"", NULL},           {"completely-else", NULL}, {"zeroshot", "zero-shot"},
                 {"xlr", "lr"},        {"lrx", "lr"},        {"ezo-svrg", "mezo-svrg"}, {"mezo-svr", "mezo-svrg"}, {"xxmezo-svrg", "mezo-svrg"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *found = zo_nearest(pairs[i].typed, names, n);
        ck_assert_msg(found == pairs[i].nearest || (found != NULL && pairs[i].nearest != NULL && strcmp(found, pairs[i].nearest) == 0),
                      "%s: %s", pairs[i].typed, found != NULL ? found : "(none)");
    }
    char endless[300];
    memset(endless, 'm', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    ck_assert_ptr_null(zo_nearest(endless, names, n));
    char other[66] = "";
    const char *const one[] = {other};
    for (int k = 64; k <= 65; k++) { /* 64 bytes are the most, of what is typed and of what there is */
        memset(other, 'm', (size_t)k);
        other[64] = k == 64 ? '\0' : 'm';
        ck_assert_ptr_eq(zo_nearest(endless + 299 - 64, one, 1), k == 64 ? other : NULL);
        other[63] = '\0';
        ck_assert_ptr_eq(zo_nearest(endless + 299 - k, one, 1), k == 64 ? other : NULL);
    }
    ck_assert_ptr_null(zo_nearest("x", names, 0));
    const char *const alike[] = {"", "bat", "cat", "sat"};
    ck_assert_str_eq(zo_nearest("hat", alike, 4), "bat"); /* of several as near the first */
}
END_TEST

START_TEST(numbers_are_said_in_full)
{
    static const zo_opt table[] = {
        {.key = "seed", .type = ZO_OPT_INT, .offset = offsetof(sample, rank), .most = 9007199254740991.0, .help = "a seed"},
        {.key = "eps", .type = ZO_OPT_REAL, .offset = offsetof(sample, eps), .least = 1e-30, .most = 0.1, .help = "a step"}, {.key = NULL}};
    static const struct { const char *text, *says; } wrong[] = {
        {"{\"seed\": 9007199254740992}", "\"seed\" is 9007199254740992; expected 0 to 9007199254740991"},
        {"{\"seed\": -1}", "\"seed\" is -1; expected 0 to 9007199254740991"},
        {"{\"seed\": 123456789012.5}", "\"seed\" is 123456789012.5; expected a whole number"},
        {"{\"seed\": 1e300}", "\"seed\" is 1e+300; expected a whole number"},
        {"{\"eps\": 0.10000000000000002}", "\"eps\" is 0.10000000000000002; expected 1e-30 to 0.1"},
        {"{\"eps\": 1e-31}", "\"eps\" is 1e-31; expected 1e-30 to 0.1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sample got;
        zo_err err = {0};
        cJSON *json = cJSON_Parse(wrong[i].text);
        ck_assert_int_eq(zo_opt_read(table, json, NULL, "x", &got, &err), ZO_EINPUT);
        ASSERT_HAS(err.text, wrong[i].says);
        cJSON_Delete(json);
    }
}
END_TEST

START_TEST(double_keys_are_found)
{
    static const struct { const char *text, *twice; } rows[] = {
        {"{}", NULL}, {"{\"a\": 1}", NULL}, {"{\"a\": 1, \"A\": 1, \"b\": {\"a\": 2}}", NULL}, {"[1, 1]", NULL},
        {"{\"b\": 1, \"a\": 2, \"b\": 1}", "b"}, {"{\"\": 1, \"a\": 2, \"\": 1}", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cJSON *json = cJSON_Parse(rows[i].text);
        const char *twice = zo_json_double_key(json);
        ck_assert_msg(rows[i].twice == NULL ? twice == NULL : twice != NULL && strcmp(twice, rows[i].twice) == 0, "%s", rows[i].text);
        cJSON_Delete(json);
    }
}
END_TEST

START_TEST(json_files)
{
    cJSON *json;
    zo_err err = {0};
    ck_assert_int_eq(zo_json_read(put_text("good.json", " {\"a\": [1, 2.5, \"\\u00e9\"]} \r\n"), &json, &err), ZO_OK);
    ck_assert_double_eq(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "a"), 1)->valuedouble, 2.5);
    cJSON_Delete(json);
    put_gz("packed.json", "[7]", 3, "wb");
    ck_assert_int_eq(zo_json_read(scratch("packed.json"), &json, &err), ZO_OK);
    cJSON_Delete(json);
    const struct {
        const char *text, *where;
    } wrong[] = {
        {"", "is empty"},
        {" \n", "is empty"},
        {"\n <!DOCTYPE html><html>", "is a web page (HTML or XML), not JSON: a download gave the page in place of the file; fetch it again"},
        {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"},
        {"Entry not found", "no such file"},
        {"PK\003\004\024", "zip archive"},
        {"\377\376{\001", "UTF-16"},
        {"{\"a\": 1,\n \"b\" 2}", "line 2, column 6"},
        {"{\"a\": 1}\n}", "line 2, column 1"},
        {"[1, 2", "line 1, column"},
        {"{\"a\": 01x}", "line 1"},
        {"// no\n{}", "line 1, column 1"},
        {"\"open", "line 1"},
        {"nul", "line 1, column 1"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *path = put_text("bad.json", wrong[i].text);
        json = (cJSON *)1;
        ck_assert_msg(zo_json_read(path, &json, &err) == ZO_EINPUT, "%s", wrong[i].text);
        ck_assert_ptr_null(json);
        ASSERT_HAS(err.text, path);
        ASSERT_HAS(err.text, wrong[i].where);
    }
    ck_assert_int_eq(zo_json_read(put("zero.json", "{\"a\0b\": 1}", 10), &json, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "column 4");
    char deep[5000];
    memset(deep, '[', sizeof deep);
    ck_assert_int_eq(zo_json_read(put("deep.json", deep, sizeof deep), &json, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "line 1, column 1001: lists and objects are nested 1000 deep here, and at most 999 are read");
    char quoted[2200] = "[\""; /* brackets in a string are no nesting, nor does an escaped quote end it */
    memset(quoted + 2, '[', 2000);
    quoted[3] = '\\';
    quoted[4] = '"';
    memcpy(quoted + 2002, "\", 1", 5);
    ck_assert_int_eq(zo_json_read(put_text("quoted.json", quoted), &json, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "not JSON from here on");
    deep[1000] = '\0'; /* 1000 open brackets and the end: nothing is too deep */
    ck_assert_int_eq(zo_json_read(put_text("open.json", deep), &json, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "not JSON from here on");
    ck_assert_int_eq(zo_json_read(scratch("absent.json"), &json, &err), ZO_EIO);
}
END_TEST

/* ---- clock ------------------------------------------------------------------------------------------------------------ */

START_TEST(clock_and_parts)
{
    double a = zo_now(), b = zo_now();
    ck_assert_double_ge(b, a);
    zo_part_reset();
#pragma omp parallel for num_threads(4)
    for (int i = 0; i < 1000; i++) {
        zo_part_add(ZO_PART_GEMM, 0.001);
        zo_part_add(ZO_PART_FORM, 0.002);
    }
    zo_part_add(ZO_PART_DATA, -1); /* a clock never runs backwards; ignored */
    double seconds[ZO_PARTS];
    zo_part_read(seconds);
    ck_assert_double_eq_tol(seconds[ZO_PART_GEMM], 1.0, 1e-9);
    ck_assert_double_eq_tol(seconds[ZO_PART_FORM], 2.0, 1e-9);
    ck_assert_double_eq(seconds[ZO_PART_DATA], 0);
    zo_part_reset();
    zo_part_read(seconds);
    ck_assert_double_eq(seconds[ZO_PART_GEMM], 0);
    ck_assert_str_eq(zo_part_name(ZO_PART_FORM), "form");
    ck_assert_str_eq(zo_part_name(ZO_PART_DATA), "data");
}
END_TEST

/* ---- all -------------------------------------------------------------------------------------------------------------- */

static Suite *suite(void)
{
    Suite *s = suite_create("core");
    TCase *t = tcase_create("err");
    tcase_add_test(t, fail_fills_and_returns);
    tcase_add_test(t, fail_cuts_long_texts);
    tcase_add_test(t, plain_text);
    tcase_add_test_raise_signal(t, check_that_fails_dies, SIGABRT);
    suite_add_tcase(s, t);

    t = tcase_create("mem");
    tcase_add_test(t, alloc_is_zeroed_aligned_and_counted);
    tcase_add_test(t, many_blocks_in_any_order);
    tcase_add_test(t, threads_allocate_together);
    tcase_add_test(t, realloc_keeps_contents_and_zeroes_the_rest);
    tcase_add_test(t, peaks_per_phase_with_breakdown);
    tcase_add_test(t, limit_refuses_and_rolls_back);
    tcase_add_exit_test(t, oom_handler_gets_the_request, 7);
    tcase_add_test_raise_signal(t, oom_without_handler_dies, SIGABRT);
    tcase_add_test_raise_signal(t, double_free_dies, SIGABRT);
    tcase_add_test_raise_signal(t, foreign_pointer_dies, SIGABRT);
    tcase_add_test_raise_signal(t, unregistered_space_dies, SIGABRT);
    tcase_add_test(t, a_backend_registers_its_space);
    tcase_add_test(t, rss_follows_the_ledger);
    tcase_add_test(t, names_of_tags_and_phases);
    suite_add_tcase(s, t);

    t = tcase_create("io");
    tcase_add_test(t, read_plain);
    tcase_add_test(t, read_gzip);
    tcase_add_test(t, refuse_a_gzip_bomb);
    tcase_add_test(t, refuse_damaged_gzip);
    tcase_add_test(t, refuse_what_is_not_a_file);
    tcase_add_test(t, pipes_and_devices_are_not_waited_for);
    tcase_add_test(t, packed_files_are_not_unpacked_beyond_the_limit);
    tcase_add_test(t, read_plain_or_packed);
    tcase_add_test(t, read_from_a_pipe);
    tcase_add_test(t, lines_and_their_ends);
    tcase_add_test(t, maps);
    tcase_add_test(t, write_replaces_whole_or_not_at_all);
    tcase_add_test(t, folders_and_paths);
    tcase_add_test_raise_signal(t, path_that_does_not_fit_dies, SIGABRT);
    tcase_add_test(t, files_that_come_with_the_program);
    tcase_add_test(t, fnv_known_answers);
    suite_add_tcase(s, t);

    t = tcase_create("conf");
    tcase_add_test(t, options_defaults_and_values);
    tcase_add_test(t, options_that_are_wrong);
    tcase_add_test(t, nearest_name);
    tcase_add_test(t, json_files);
    tcase_add_test(t, numbers_are_said_in_full);
    tcase_add_test(t, double_keys_are_found);
    suite_add_tcase(s, t);

    t = tcase_create("clock");
    tcase_add_test(t, clock_and_parts);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/zo-core-XXXXXX", base != NULL ? base : P_tmpdir);
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    int failed = suite_run(suite());
    folder_remove(folder);
    return failed != 0;
}
