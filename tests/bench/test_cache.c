/* test_cache.c: folders that zo makes itself: made once, made again when anything of them is damaged, nothing left behind by makers that
 * fail or are killed, several makers at once. */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/synth/cache.h"
#include "core/io.h"
#include "core/mem.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char root[64], place[128]; /* place: a folder of the cache */

static void start(void)
{
    snprintf(root, sizeof root, "/tmp/zo_cache_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    snprintf(place, sizeof place, "%s/model-0123456789abcdef", root);
}

static void stop(void)
{
    folder_remove(root);
}

static const char *below(const char *folder, const char *name)
{
    static char paths[4][300];
    static int next;
    return zo_path_join(paths[next++ % 4], sizeof paths[0], folder, name);
}

static void put(const char *folder, const char *name, const char *text)
{
    zo_err err = {0};
    ck_assert_msg(zo_make_dirs(folder, &err) == ZO_OK && zo_write_file(below(folder, name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* How often it was made stands in a file, since the calls are in processes of their own. */
static zo_status make(const char *folder, void *context, zo_err *err)
{
    FILE *made = fopen(below(root, "made"), "a");
    fputc('x', made);
    fclose(made);
    put(folder, "weights", "some thousands of numbers");
    put(folder, "config.json", "{}");
    if (context != NULL) {
        return zo_fail(err, ZO_EIO, "on purpose");
    }
    return ZO_OK;
}

static long times_made(void)
{
    struct stat st;
    return stat(below(root, "made"), &st) == 0 ? (long)st.st_size : 0;
}

/* In a child, which knows nothing of what was looked through before; the status it came to. */
static int call(zo_status (*maker)(const char *, void *, zo_err *), void *context)
{
    pid_t child = fork();
    if (child == 0) {
        zo_err err = {0};
        zo_status status = zo_cache_make(place, maker, context, &err);
        _exit(status == ZO_OK && !zo_cache_is_whole(place) ? 99 : (int)status);
    }
    int how;
    ck_assert_int_eq(waitpid(child, &how, 0), child);
    ck_assert(WIFEXITED(how));
    return WEXITSTATUS(how);
}

static void assert_whole(void)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(below(place, "weights"), 1000, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(text, "some thousands of numbers");
    zo_free(text);
}

START_TEST(made_once_and_again_when_damaged)
{
    static const char *const damages[] = {
        "truncate -s 5 weights", "printf X | dd of=weights bs=1 seek=3 conv=notrunc 2>/dev/null", "rm weights", "rm weights && mkdir weights",
        "rm config.json && mkfifo config.json", ": > config.json", "rm zo-files", ": > zo-files", "sed -i s/weights/weight/ zo-files",
        "echo nothing > zo-files", "cd .. && rm -r model-0123456789abcdef && echo file > model-0123456789abcdef", "mkdir -p weights.d/e && rm weights"};
    ck_assert_int_eq(call(make, NULL), ZO_OK);
    ck_assert_int_eq(call(make, NULL), ZO_OK);
    ck_assert_int_eq(times_made(), 1);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        char command[300];
        snprintf(command, sizeof command, "cd %s && %s", place, damages[i]);
        ck_assert_int_eq(system(command), 0);
        ck_assert_msg(call(make, NULL) == ZO_OK && times_made() == (long)i + 2, "after \"%s\" it was made %ld times", damages[i], times_made());
        ck_assert(zo_path_exists(below(place, "weights")) && zo_path_exists(below(place, "config.json")));
    }
    assert_whole();
    put(place, "notes", "what somebody adds does no harm");
    ck_assert_int_eq(call(make, NULL), ZO_OK);
    ck_assert_int_eq(times_made(), (long)(sizeof damages / sizeof *damages) + 1);
}
END_TEST

static int entries(void)
{
    char command[200];
    snprintf(command, sizeof command, "exit $(ls -A %s | grep -c model-)", root);
    return WEXITSTATUS(system(command));
}

START_TEST(what_fails_leaves_nothing)
{
    ck_assert_int_eq(call(make, root), ZO_EIO);
    ck_assert_int_eq(entries(), 0);
    ck_assert_int_eq(call(make, NULL), ZO_OK);
    ck_assert_int_eq(entries(), 1);
}
END_TEST

static zo_status make_slowly(const char *folder, void *context, zo_err *err)
{
    zo_status status = make(folder, NULL, err);
    put(folder, "now", "");
    put(root, "now", "");
    sleep(context != NULL ? 60 : 0);
    return status;
}

START_TEST(what_killed_makers_left_is_removed)
{
    pid_t child = fork();
    if (child == 0) {
        zo_err err = {0};
        zo_cache_make(place, make_slowly, root, &err);
        _exit(0);
    }
    for (int i = 0; i < 1000 && !zo_path_exists(below(root, "now")); i++) {
        usleep(5000);
    }
    ck_assert_int_eq(entries(), 1);
    /* Another folder's maker, of which one is left and one is alive; and names that are none of ours. */
    char name[64];
    snprintf(name, sizeof name, "other-00000000deadbeef.%d", 4000000);
    put(below(root, name), "part", "x");
    put(below(below(root, name), "inner"), "part", "x");
    put(below(root, "other-00000000deadbeef.12"), "part", "x");
    put(below(root, "other-00000000deadbeef.old"), "part", "x");
    put(below(root, "notes.12"), "part", "x");
    put(below(root, "other-00000000deadbeeg.12"), "part", "x");
    int alive = open(below(root, "other-00000000deadbeef.12"), O_RDONLY | O_DIRECTORY);
    ck_assert_int_eq(flock(alive, LOCK_EX), 0);
    ck_assert_int_eq(call(make, NULL), ZO_OK); /* while the first one is at work: its folder stays */
    ck_assert_int_eq(entries(), 2);
    ck_assert(!zo_path_exists(below(root, name)));
    ck_assert(zo_path_exists(below(root, "other-00000000deadbeef.12")) && zo_path_exists(below(root, "other-00000000deadbeef.old")) &&
              zo_path_exists(below(root, "notes.12")) && zo_path_exists(below(root, "other-00000000deadbeeg.12")));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(alive);
    ck_assert_int_eq(call(make, NULL), ZO_OK); /* nothing to make, but to clear up */
    ck_assert_int_eq(entries(), 1);
    ck_assert(!zo_path_exists(below(root, "other-00000000deadbeef.12")));
    ck_assert_int_eq(times_made(), 2);
}
END_TEST

START_TEST(several_makers_at_once)
{
    enum { MAKERS = 6 };
    pid_t child[MAKERS];
    for (int turn = 0; turn < 40; turn++) {
        for (int i = 0; i < MAKERS; i++) {
            child[i] = fork();
            if (child[i] == 0) {
                zo_err err = {0};
                zo_status status = zo_cache_make(place, make, NULL, &err);
                _exit(status != ZO_OK ? 1 : !zo_cache_is_whole(place) ? 2 : 0);
            }
        }
        for (int i = 0; i < MAKERS; i++) {
            int how;
            ck_assert_int_eq(waitpid(child[i], &how, 0), child[i]);
            ck_assert_msg(WIFEXITED(how) && WEXITSTATUS(how) == 0, "maker %d ended with %d", i, how);
        }
        ck_assert_int_eq(entries(), 1);
        folder_remove(place);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cache");
    TCase *tests = tcase_create("cache");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, made_once_and_again_when_damaged);
    tcase_add_test(tests, what_fails_leaves_nothing);
    tcase_add_test(tests, what_killed_makers_left_is_removed);
    tcase_add_test(tests, several_makers_at_once);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
