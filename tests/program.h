/* program.h: a scratch folder, and commands of the program run in a process of their own with what they print. Test code only. */
#ifndef ZO_TESTS_PROGRAM_H
#define ZO_TESTS_PROGRAM_H

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "tests/folder.h"

static char program_folder[64];
static char program_said[1 << 16]; /* by the last command, on both streams */

#define ASSERT_SAID(part) ck_assert_msg(strstr(program_said, (part)) != NULL, "\"%s\" lacks \"%s\"", program_said, (part))

static inline void program_begin(const char *name)
{
    snprintf(program_folder, sizeof program_folder, "%s/zo-%s-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
    ZO_CHECK(mkdtemp(program_folder) != NULL, "no scratch folder");
}

/* A path in the folder; eight are valid at once. */
static inline const char *below(const char *name)
{
    static char path[8][300];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], program_folder, name);
}

/* A file of the folder, with the folders that it stands in. */
static inline void put(const char *name, const char *text)
{
    char parent[300];
    zo_err err = {0};
    snprintf(parent, sizeof parent, "%s", below(name));
    *strrchr(parent, '/') = '\0';
    ZO_CHECK(zo_make_dirs(parent, &err) == ZO_OK && zo_write_file(below(name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* Runs `entry` with these words, NULL behind the last, in a child; its exit code. */
static inline int command(int (*entry)(int, char **), const char *const word[])
{
    int argc = 0, status;
    while (word[argc] != NULL) {
        argc++;
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int out = open(below("said"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(out, 1);
        dup2(out, 2);
        int end = entry(argc, (char **)word);
        fflush(NULL);
        _exit(end);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(WIFEXITED(status) && zo_read_file(below("said"), sizeof program_said - 1, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    memcpy(program_said, text, bytes + 1);
    zo_free(text);
    return WEXITSTATUS(status);
}
#define COMMAND(entry, ...) command(entry, (const char *const[]){__VA_ARGS__, NULL})

#endif
