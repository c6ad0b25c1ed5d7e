/* test_said.c: what `zo run` says of its cells: the line of one that has ended in a terminal of any width, the news that a cell's process
 * sends, how one died, and in what two cells of the same settings differ. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/matrix/child.h"
#include "bench/matrix/identity.h"
#include "core/text.h"
#include "tests/suite.h"

/* What zo_live_end prints in a terminal of so many columns. */
static const char *ended(zo_live *l, const zo_run_brief *brief, int columns)
{
    static char said[4000];
    int master = posix_openpt(O_RDWR | O_NOCTTY), before = dup(2);
    ck_assert(master >= 0 && before >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    ck_assert(terminal >= 0 && ioctl(terminal, TIOCSWINSZ, &size) == 0);
    dup2(terminal, 2);
    close(terminal);
    zo_live_end(l, brief);
    size_t n = 0;
    while (n == 0 || said[n - 1] != '\n') {
        ssize_t got = read(master, said + n, sizeof said - 1 - n);
        ck_assert_int_gt(got, 0);
        n += (size_t)got;
    }
    dup2(before, 2);
    close(before);
    close(master);
    said[n] = '\0';
    said[strcspn(said, "\r\n")] = '\0';
    return said;
}

/* It is whole where it fits, never wider than the terminal, and what goes first is the peak, then the time of a step, then part of the label. */
START_TEST(lines_of_ended_cells_fit)
{
    static const char label[] = "some-model synth-sentiment mezo lr 1e-6 eps 1e-3 batch 16 seed 3";
    static const char head[] = "[3/12] ", rest[] = ": done, accuracy 0.875", time[] = ", 12.3 ms a step", peak[] = ", peak 45.7 MB";
    zo_live l = {.terminal = true, .done = 2, .todo = 12};
    zo_run_brief brief = {.status = "done", .metric = "accuracy", .metric_value = 0.875, .step_ms = 12.3, .peak_bytes = 45678901};
    char whole[300];
    snprintf(l.label, sizeof l.label, "%s", label);
    snprintf(whole, sizeof whole, "%s%s%s%s%s", head, label, rest, time, peak);
    int full = (int)strlen(whole), bare = (int)(strlen(head) + strlen(rest)), times = 0, peaks = 0;
    for (int columns = bare + 10; columns < full + 10; columns++) {
        const char *line = ended(&l, &brief, columns);
        ck_assert_msg(zo_text_width(line) <= columns, "%d columns: %s", columns, line);
        ck_assert_msg((strcmp(line, whole) == 0) == (columns >= full), "%d columns, %d needed: %s", columns, full, line);
        ck_assert_msg(strstr(line, rest) != NULL && strncmp(line, head, strlen(head)) == 0, "%s", line);
        bool has_time = strstr(line, time) != NULL, has_peak = strstr(line, peak) != NULL;
        ck_assert_msg(has_time >= has_peak && has_time >= times && has_peak >= peaks, "%d columns: %s", columns, line); /* what has come stays */
        int taken = bare + (has_time ? (int)strlen(time) : 0) + (has_peak ? (int)strlen(peak) : 0);
        ck_assert_msg(!has_time || columns - taken >= 20, "%d columns, of which the label has less than 20: %s", columns, line);
        times = has_time;
        peaks = has_peak;
    }
    ck_assert(times && peaks);
    snprintf(brief.message, sizeof brief.message, "a message of some length, which is told whole where it is too wide for the terminal too");
    const char *line = ended(&l, &brief, 60);
    ck_assert_msg(strncmp(line, whole, strlen(whole)) == 0 && strcmp(line + strlen(whole) + 2, brief.message) == 0, "%s", line);
}
END_TEST

static useconds_t silence; /* microseconds before a process writes */

/* A process that has written `news` and `complaints`, and ended with code 3, as zo_child_watch sees it; its wait status. */
static int watch(zo_child *c, zo_live *l, const char *news, const char *complaints)
{
    int out[2], errors[2];
    ck_assert(pipe(out) == 0 && pipe(errors) == 0);
    *c = (zo_child){.pid = fork(), .news = out[0], .complaints = errors[0]};
    if (c->pid == 0) {
        usleep(silence);
        bool whole = write(out[1], news, strlen(news)) == (ssize_t)strlen(news) && write(errors[1], complaints, strlen(complaints)) == (ssize_t)strlen(complaints);
        _exit(whole ? 3 : 4);
    }
    close(out[1]);
    close(errors[1]);
    zo_err lost = {.status = ZO_OK};
    return zo_child_watch(c, l, NULL, &lost);
}

START_TEST(news_of_a_cell)
{
    zo_live l = {.said_at = 1e300, .loss = NAN, .dev = NAN}; /* nothing is drawn */
    zo_child c;
    int status = watch(&c, &l, "{\"phase\": \"train\", \"step\": 7, \"fraction\": 0.25, \"loss\": 1.5, \"dev\": 0.75, \"forwards\": 14, \"tokens\": 900, "
                       "\"seconds\": 2.5}\nno JSON\n{\"step\": 8}\n", "");
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
    ck_assert_str_eq(l.phase, "train");
    ck_assert(l.step == 8 && l.fraction == 0.25 && l.loss == 1.5 && l.dev == 0.75 && l.forwards == 14 && l.tokens == 900 && l.seconds == 2.5);
    ck_assert(c.error[0] == '\0' && !c.input && !c.oom && c.check == NULL);
    /* nobody looks at the progress of a check */
    watch(&c, NULL, "{\"phase\": \"load\", \"step\": 1}\n{\"bytes\": 1234}\n", "");
    ck_assert(c.check != NULL && cJSON_GetObjectItem(c.check, "bytes")->valuedouble == 1234);
    cJSON_Delete(c.check);
    watch(&c, NULL, "{\"error\": \"a file is not there\", \"input\": true, \"oom\": false}\n", "");
    ck_assert(strcmp(c.error, "a file is not there") == 0 && c.input && !c.oom);
    watch(&c, NULL, "{\"error\": \"memory ran out\", \"input\": false, \"oom\": true}\n", "");
    ck_assert(strcmp(c.error, "memory ran out") == 0 && !c.input && c.oom);
}
END_TEST

/* Of a process that is silent for longer than the watcher waits at once, be its progress shown or not. */
START_TEST(silent_cells)
{
    zo_live l = {.terminal = true, .said_at = 1e300};
    zo_child c;
    silence = 700000;
    for (int shown = 0; shown < 2; shown++) {
        int status = watch(&c, shown ? &l : NULL, "{\"bytes\": 5}\n", "a word\n");
        ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3 && c.check != NULL && c.last_n == strlen("a word\n"));
        cJSON_Delete(c.check);
    }
}
END_TEST

/* A sentence with the last line of what it wrote, unless it has said itself what is wrong. */
START_TEST(deaths)
{
    static const struct { const char *news, *complaints; int signal; const char *says; } of[] = {
        {"", "", 0, "its process ended with code 3"},
        {"", "one line", 0, "its process ended with code 3: one line"},
        {"", "first\nthe last line \n\n", 0, "its process ended with code 3: the last line"},
        {"", "\n \n", 0, "its process ended with code 3"},
        {"{\"error\": \"it said\"}\n", "first\nlast\n", 0, "it said"},
        {"", "first\nlast\n", SIGSEGV, "its process was ended by signal 11 (Segmentation fault): last"},
        {"", "", SIGKILL, "its process was ended by signal 9 (Killed), which the system also does when memory runs out"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_child c;
        char out[1000];
        int status = watch(&c, NULL, of[i].news, of[i].complaints);
        zo_child_death(&c, of[i].signal != 0 ? of[i].signal : status, out, sizeof out);
        ck_assert_str_eq(out, of[i].says);
    }
    /* of much only the end is kept */
    char much[9000];
    for (size_t i = 0; i < sizeof much - 1; i++) {
        much[i] = i % 50 == 49 ? '\n' : 'a' + i / 50 % 26;
    }
    much[sizeof much - 1] = '\0';
    memcpy(much + sizeof much - 10, "\nthe end\n", 10);
    zo_child c;
    char out[1000];
    int status = watch(&c, NULL, "", much);
    zo_child_death(&c, status, out, sizeof out);
    ck_assert_str_eq(out, "its process ended with code 3: the end");
}
END_TEST

START_TEST(differences_of_identities)
{
    const zo_identity all = {.model = "m", .tokenizer = "t", .rows = "r", .task = "k", .plugin = "p"};
    static const char *const says[] = {"another model", "another tokenizer", "other data", "another description of the task", "another plug-in"};
    ck_assert_str_eq(zo_identity_difference(&all, &all), "");
    for (int i = 0; i < 5; i++) {
        zo_identity other = all;
        char *const part[] = {other.model, other.tokenizer, other.rows, other.task, other.plugin};
        part[i][0] = 'x';
        ck_assert_str_eq(zo_identity_difference(&all, &other), says[i]);
        ck_assert_str_eq(zo_identity_difference(&other, &all), says[i]);
        part[4][0] = 'x'; /* of several the first is named */
        ck_assert_str_eq(zo_identity_difference(&all, &other), says[i]);
        part[4][0] = 'p';
        part[i][0] = '\0'; /* what is not known differs from nothing */
        ck_assert_str_eq(zo_identity_difference(&all, &other), "");
        ck_assert_str_eq(zo_identity_difference(&other, &all), "");
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("said");
    TCase *tests = tcase_create("said");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, lines_of_ended_cells_fit);
    tcase_add_test(tests, news_of_a_cell);
    tcase_add_test(tests, silent_cells);
    tcase_add_test(tests, deaths);
    tcase_add_test(tests, differences_of_identities);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
