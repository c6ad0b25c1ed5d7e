/* test_version.c: what `zo` says of itself: its release, which CHANGELOG.md and CITATION.cff name too, its backends, and the libraries that it runs
 * with; and how main() finds a command. */
#include <check.h>
#include <cjson/cJSON.h>
#include <dnnl.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utf8proc.h>
#include <zlib.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "core/build.h"
#include "tests/suite.h"

#define main zo_main
#include "bench/cli/main.c"
#undef main

static char printed[65536]; /* by the last call of zo(), both streams */

/* The exit code of `zo WORDS...`, at most 7, with NULL behind the last. */
static int zo_of(const char *const *word)
{
    int n = 0;
    char *argv[9] = {(char *)"zo"};
    for (; word[n] != NULL; n++) {
        argv[n + 1] = (char *)word[n];
    }
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(fileno(file), 1);
        dup2(fileno(file), 2);
        int code = zo_main(n + 1, argv);
        fflush(NULL);
        _exit(code);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "zo died");
    rewind(file);
    printed[fread(printed, 1, sizeof printed - 1, file)] = '\0';
    fclose(file);
    return WEXITSTATUS(status);
}

/* The exit code of `zo WORD [OPTION]`. */
static int zo(const char *word, const char *option)
{
    return zo_of((const char *const[]){word, option, NULL});
}

static const char *text_of(const cJSON *o, const char *key)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    ck_assert_msg(text != NULL, "no \"%s\" in %s", key, printed);
    return text;
}

static const char *three(int major, int minor, int patch)
{
    static char text[64];
    snprintf(text, sizeof text, "%d.%d.%d", major, minor, patch);
    return text;
}

START_TEST(release_backends_and_libraries)
{
    ck_assert_int_eq(zo("version", "--json"), 0);
    cJSON *o = cJSON_Parse(printed);
    ck_assert_msg(o != NULL, "%s", printed);
    ck_assert_str_eq(text_of(o, "version"), ZO_VERSION);
    ck_assert_str_eq(text_of(o, "revision"), zo_build_revision());
    ck_assert_str_eq(text_of(o, "flags"), zo_build_flags());
    ck_assert_str_eq(text_of(o, "compiler"), __VERSION__);
    const cJSON *backends = cJSON_GetObjectItemCaseSensitive(o, "backends");
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(backends, 0)), "cpu");
#ifdef ZO_CUDA
    ck_assert_int_eq(cJSON_GetArraySize(backends), 2);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(backends, 1)), "cuda");
#else
    ck_assert_int_eq(cJSON_GetArraySize(backends), 1);
#endif
    /* what runs is what the headers are of: tests are built where they run */
    const cJSON *l = cJSON_GetObjectItemCaseSensitive(o, "libraries");
    ck_assert_str_eq(text_of(l, "oneDNN"), three(DNNL_VERSION_MAJOR, DNNL_VERSION_MINOR, DNNL_VERSION_PATCH));
    ck_assert_str_eq(text_of(l, "cJSON"), three(CJSON_VERSION_MAJOR, CJSON_VERSION_MINOR, CJSON_VERSION_PATCH));
    ck_assert_str_eq(text_of(l, "SQLite"), SQLITE_VERSION);
    ck_assert_int_eq(strncmp(text_of(l, "zlib"), ZLIB_VERSION, 3), 0);
    char pcre2[32];
    snprintf(pcre2, sizeof pcre2, "%d.%d ", PCRE2_MAJOR, PCRE2_MINOR);
    ck_assert_int_eq(strncmp(text_of(l, "PCRE2"), pcre2, strlen(pcre2)), 0);
    ck_assert_int_eq(atoi(text_of(l, "utf8proc")), UTF8PROC_VERSION_MAJOR);
    ck_assert_int_ge(atoi(text_of(l, "LAPACK")), 3);
    ck_assert_int_eq(cJSON_GetArraySize(l), 7);

    /* the text holds the same, the release in its first line */
    char first[200];
    snprintf(first, sizeof first, "zo %s (revision %s)\n", ZO_VERSION, zo_build_revision());
    static const char *const spellings[] = {"version", "--version"};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(zo(spellings[i], NULL), 0);
        ck_assert_msg(strncmp(printed, first, strlen(first)) == 0, "%s", printed);
        const cJSON *library;
        cJSON_ArrayForEach(library, l) {
            char both[100];
            snprintf(both, sizeof both, "%s %s", library->string, library->valuestring);
            ck_assert_msg(strstr(printed, both) != NULL, "no \"%s\" in %s", both, printed);
        }
        ck_assert_ptr_nonnull(strstr(printed, "backends   cpu"));
        ck_assert_ptr_nonnull(strstr(printed, zo_build_flags()));
    }
    cJSON_Delete(o);
    ck_assert_int_eq(zo("version", "--jsn"), 2);
    ck_assert_ptr_nonnull(strstr(printed, "--json"));
}
END_TEST

/* The text after `before` at the beginning of a line of the file, up to a blank, a comma, a quote or the line's end. */
static void word_after(const char *path, const char *before, char *word, size_t room)
{
    FILE *file = fopen(path, "r");
    ck_assert_msg(file != NULL, "%s is not there: tests run in the root of the tree", path);
    char line[1000];
    word[0] = '\0';
    while (word[0] == '\0' && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, before, strlen(before)) == 0) {
            snprintf(word, room, "%.*s", (int)strcspn(line + strlen(before), " ,\"\n"), line + strlen(before));
        }
    }
    fclose(file);
}

START_TEST(release_of_changelog_and_citation)
{
    char word[100];
    word_after("CHANGELOG.md", "## ", word, sizeof word);
    word[strcspn(word, ":")] = '\0';
    ck_assert_str_eq(word, ZO_VERSION);
    word_after("CITATION.cff", "version: \"", word, sizeof word);
    ck_assert_str_eq(word, ZO_VERSION);
}
END_TEST

START_TEST(commands_are_found)
{
    ck_assert_int_eq(zo(NULL, NULL), 2);
    ck_assert_ptr_nonnull(strstr(printed, "  zo run "));
    static const char *const help[] = {"help", "--help", "-h"};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(zo(help[i], NULL), 0);
        ck_assert_ptr_nonnull(strstr(printed, "  zo version "));
        ck_assert_msg(strstr(printed, "zo cell") == NULL, "the cell's own process is no command for people: %s", printed);
    }
    /* the help of a command, asked for before or after its name */
    static const char *const asked[][2] = {{"help", "report"}, {"report", "--help"}, {"report", "-h"}};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(zo(asked[i][0], asked[i][1]), 0);
        ck_assert_int_eq(strncmp(printed, "usage: zo report ", 17), 0);
    }
    ck_assert_int_eq(zo("help", "run"), 0);
    ck_assert_ptr_nonnull(strstr(printed, "\n  storage* "));
    ck_assert_ptr_nonnull(strstr(printed, "\n  work** "));
    /* wrong names */
    ck_assert_int_eq(zo("reprot", NULL), 2);
    ck_assert_str_eq(printed, "zo: there is no command \"reprot\"; did you mean \"zo report\"?\n");
    ck_assert_int_eq(zo("xyzzyxyzzy", NULL), 2);
    ck_assert_str_eq(printed, "zo: there is no command \"xyzzyxyzzy\"; `zo help` lists them\n");
    ck_assert_int_eq(zo("help", "reprot"), 2);
    ck_assert_str_eq(printed, "zo: there is no command \"reprot\"; did you mean \"zo report\"?\n");
}
END_TEST

/* Each command says how many words it takes, and of one too many which that is. */
START_TEST(words_are_counted)
{
    static const struct { const char *command, *first; int least, most; } of[] = {
        {"run", NULL, 1, 1}, {"report", NULL, 0, 0}, {"sql", NULL, 1, 1}, {"plot", NULL, 0, 0}, {"list", NULL, 1, 1}, {"inspect", NULL, 1, 1},
        {"tokenize", NULL, 1, 2}, {"score", NULL, 1, 2}, {"demo", NULL, 0, 0}, {"version", NULL, 0, 0}, {"bench", "step", 1, 1}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        for (int few = 0; few < 2; few++) {
            const char *word[8] = {of[k].command};
            int at = 1, words = few ? of[k].least - 1 : of[k].most + 1;
            if (of[k].first != NULL) {
                word[at++] = of[k].first;
            }
            for (int i = 0; i < words; i++) {
                word[at++] = i == words - 1 ? "last" : "no-such-word";
            }
            if (words < 0) {
                continue;
            }
            ck_assert_msg(zo_of(word) == 2, "zo %s with %d words ended well", of[k].command, words);
            ck_assert_msg(strstr(printed, few ? "something is missing; usage: zo " : "\"last\" is one word too many; usage: zo ") != NULL,
                          "zo %s with %d words says: %s", of[k].command, words, printed);
        }
    }
}
END_TEST

int main(void)
{
    setenv("GOMP_SPINCOUNT", "1000", 1); /* else main() starts its program once more, and that would be this test */
    Suite *suite = suite_create("version");
    TCase *tcase = tcase_create("version");
    tcase_add_test(tcase, release_backends_and_libraries);
    tcase_add_test(tcase, release_of_changelog_and_citation);
    tcase_add_test(tcase, commands_are_found);
    tcase_add_test(tcase, words_are_counted);
    suite_add_tcase(suite, tcase);
    return suite_run(suite) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
