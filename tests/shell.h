/* shell.h: tests that go by lines of shell: a scratch folder, the program beside the test in $ZO, its build in $BUILD, the tree in $ROOT. Test code only. */
#ifndef ZO_TESTS_SHELL_H
#define ZO_TESTS_SHELL_H

#include <check.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/err.h"
#include "core/io.h"
#include "tests/folder.h"

static char folder[64], build[3000]; /* of scratch files; of the program and the header */
static char said[1 << 18];            /* both streams of the last command */

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%.3000s\" lacks \"%s\"", (text), (part))

/* Runs a line of shell in the scratch folder, where $ZO, $ROOT (the tree) and $BUILD are set; returns its exit code. */
static int shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int shell(const char *format, ...)
{
    char line[6000];
    int at = snprintf(line, sizeof line, "cd %s && (", folder);
    va_list list;
    va_start(list, format);
    at += vsnprintf(line + at, sizeof line - (size_t)at, format, list);
    va_end(list);
    snprintf(line + at, sizeof line - (size_t)at, ") 2>&1");
    fflush(NULL);
    FILE *out = popen(line, "r");
    ZO_CHECK(out != NULL, "no shell");
    size_t n = fread(said, 1, sizeof said - 1, out);
    said[n] = '\0';
    int status = pclose(out);
    ZO_CHECK(WIFEXITED(status), "the shell died");
    return WEXITSTATUS(status);
}

#define MUST(...) ck_assert_msg(shell(__VA_ARGS__) == 0, "%.3000s", said)

static inline void put(const char *name, const char *text)
{
    char path[400];
    zo_err err = {0};
    ZO_CHECK(zo_write_file(zo_path_join(path, sizeof path, folder, name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* Before the first line; the folder is removed by folder_remove(folder). */
static inline bool shell_open(const char *test)
{
    char self[2800], root[2800], program[3100];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0 || getcwd(root, sizeof root) == NULL) {
        perror(test);
        return false;
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(build, sizeof build, "%s", self);
    snprintf(program, sizeof program, "%s/zo", build);
    snprintf(folder, sizeof folder, "build/%.40s.XXXXXX", test);
    if (mkdtemp(folder) == NULL || setenv("BUILD", build, 1) != 0 || setenv("ZO", program, 1) != 0 || setenv("ROOT", root, 1) != 0) {
        perror(folder);
        return false;
    }
    return true;
}

#endif
