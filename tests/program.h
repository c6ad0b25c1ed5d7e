/* program.h: a scratch folder, commands of the program in a process of their own with what they print, and changes to its databases. Test code only. */
#ifndef ZO_TESTS_PROGRAM_H
#define ZO_TESTS_PROGRAM_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "tests/folder.h"

static char program_folder[64];
static char program_said[1 << 16];       /* by the last command: of `command` both streams, of `program` standard output */
static char program_complained[1 << 16]; /* and of `program` standard error */

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))
#define ASSERT_SAID(part) ASSERT_HAS(program_said, part)

static inline void program_begin(const char *name)
{
    snprintf(program_folder, sizeof program_folder, "%s/zo-%s-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
    ZO_CHECK(mkdtemp(program_folder) != NULL, "no scratch folder");
}

/* A path in the folder; the last 64 are valid at once. */
static inline const char *below(const char *name)
{
    static char path[64][300];
    static int turn;
    turn = (turn + 1) % 64;
    return zo_path_join(path[turn], sizeof path[turn], program_folder, name);
}

/* A file of the folder, with the folders that it stands in. */
static inline void put(const char *name, const char *text)
{
    zo_err err = {0};
    ZO_CHECK(zo_make_parent(below(name), &err) == ZO_OK && zo_write_file(below(name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* What the file of this name has now, into `to`. */
static inline void program_read(const char *name, char *to, size_t size)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file(below(name), size - 1, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    memcpy(to, text, bytes + 1);
    zo_free(text);
}

/* Both streams of this process go to such files from now on. */
static inline void program_redirect(const char *out, const char *wrong)
{
    dup2(open(below(out), O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
    dup2(strcmp(out, wrong) == 0 ? 1 : open(below(wrong), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
}

/* Runs `entry` with these words, NULL behind the last, in a child; its exit code, 128 and more: the signal that ended it. */
static inline int command(int (*entry)(int, char **), const char *const word[])
{
    int argc = 0, status;
    while (word[argc] != NULL) {
        argc++;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        program_redirect("said", "said");
        signal(SIGINT, SIG_DFL); /* Check's handlers end all of its processes */
        signal(SIGTERM, SIG_DFL);
        int end = entry(argc, (char **)word);
        fflush(NULL);
        _exit(end);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    program_read("said", program_said, sizeof program_said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
#define COMMAND(entry, ...) command(entry, (const char *const[]){__VA_ARGS__, NULL})

/* The same by this program started anew, whose main takes a command in word[1]. */
static inline int program(const char *const word[])
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        program_redirect("said", "complained");
        execv("/proc/self/exe", (char *const *)word);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    program_read("said", program_said, sizeof program_said);
    program_read("complained", program_complained, sizeof program_complained);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Statements on a database of the folder. */
static inline void change(const char *db, const char *sql)
{
    sqlite3 *handle;
    char *why = NULL;
    ck_assert_int_eq(sqlite3_open(below(db), &handle), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(handle, sql, NULL, NULL, &why) == SQLITE_OK, "%s: %s", sql, why);
    sqlite3_close(handle);
}

#endif
