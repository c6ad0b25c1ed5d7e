/* child.c: the process of a cell; see child.h. */
#include "bench/matrix/child.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "optimizers/plugins.h"

extern char **environ;

volatile sig_atomic_t zo_run_interrupted, zo_run_signals;

static void close_pair(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

zo_status zo_child_start(zo_child *c, const cJSON *job, zo_err *err)
{
    memset(c, 0, sizeof *c);
    int in[2], news[2], complaints[2];
    if (pipe2(in, O_CLOEXEC) != 0) {
        return zo_fail(err, ZO_EIO, "a pipe cannot be made: %s", strerror(errno));
    }
    if (pipe2(news, O_CLOEXEC) != 0) {
        close_pair(in);
        return zo_fail(err, ZO_EIO, "a pipe cannot be made: %s", strerror(errno));
    }
    if (pipe2(complaints, O_CLOEXEC) != 0) {
        close_pair(in);
        close_pair(news);
        return zo_fail(err, ZO_EIO, "a pipe cannot be made: %s", strerror(errno));
    }
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&files, complaints[1], STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&files, news[1], ZO_CELL_NEWS_FD);
    posix_spawnattr_init(&attributes);
    /* A group of its own: Ctrl-C reaches the parent alone, which ends the cell and says so in its row. */
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    posix_spawnattr_setpgroup(&attributes, 0);
    char *const argv[] = {"zo", "cell", NULL};
    const cJSON *python = cJSON_GetObjectItemCaseSensitive(job, "python");
    char *const python_argv[] = {cJSON_IsString(python) ? python->valuestring : "", "-m", "zo", "cell", NULL};
    /* The link itself, not its target: it holds even when the program's file has been replaced meanwhile. */
    int code = cJSON_IsString(python) ? posix_spawnp(&c->pid, python_argv[0], &files, &attributes, python_argv, environ)
                                      : posix_spawn(&c->pid, "/proc/self/exe", &files, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    close(in[0]);
    close(news[1]);
    close(complaints[1]);
    c->news = news[0];
    c->complaints = complaints[0];
    if (code != 0) {
        close(in[1]);
        close(c->news);
        close(c->complaints);
        return zo_fail(err, ZO_EIO, "the process of a cell cannot be started: %s", strerror(code));
    }
    char *text = cJSON_PrintUnformatted(job);
    for (size_t at = 0, n = strlen(text); at < n;) {
        ssize_t w = write(in[1], text + at, n - at);
        if (w < 0 && errno != EINTR) {
            break; /* it died at once: its end says why */
        }
        at += w > 0 ? (size_t)w : 0;
    }
    cJSON_free(text);
    close(in[1]);
    return ZO_OK;
}

static void take_line(zo_child *c, zo_live *l)
{
    cJSON *news = cJSON_Parse(c->line);
    const cJSON *error = cJSON_GetObjectItemCaseSensitive(news, "error");
    if (cJSON_IsString(error)) {
        snprintf(c->error, sizeof c->error, "%s", error->valuestring);
        c->input = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(news, "input"));
        c->oom = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(news, "oom"));
    } else if (cJSON_HasObjectItem(news, "bytes")) {
        c->check = news;
        return;
    } else if (cJSON_HasObjectItem(news, "said") && l != NULL) {
        zo_live_say(l, cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(news, "said")));
    } else if (news != NULL && l != NULL) {
        static const char *const keys[] = {"step", "fraction", "loss", "dev", "forwards", "tokens", "seconds"};
        double *const to[] = {&l->step, &l->fraction, &l->loss, &l->dev, &l->forwards, &l->tokens, &l->seconds};
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(news, keys[i]);
            if (cJSON_IsNumber(v)) {
                *to[i] = v->valuedouble;
            }
        }
        const cJSON *phase = cJSON_GetObjectItemCaseSensitive(news, "phase");
        if (cJSON_IsString(phase)) {
            snprintf(l->phase, sizeof l->phase, "%s", phase->valuestring);
        }
        zo_live_show(l, false);
    }
    cJSON_Delete(news);
}

static bool read_news(zo_child *c, zo_live *l) /* false at the end */
{
    char block[4096];
    ssize_t n = read(c->news, block, sizeof block);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (block[i] == '\n') {
            c->line[c->line_n] = '\0';
            take_line(c, l);
            c->line_n = 0;
        } else if (c->line_n < sizeof c->line - 1) {
            c->line[c->line_n++] = block[i];
        }
    }
    return true;
}

static bool read_complaints(zo_child *c)
{
    char block[1000];
    ssize_t n = read(c->complaints, block, sizeof block);
    if (n <= 0) {
        return n < 0 && errno == EINTR;
    }
    size_t room = sizeof c->last - 1;
    if (c->last_n + (size_t)n > room) { /* keep the tail */
        size_t drop = c->last_n + (size_t)n - room;
        memmove(c->last, c->last + drop, c->last_n - drop);
        c->last_n -= drop;
    }
    memcpy(c->last + c->last_n, block, (size_t)n);
    c->last_n += (size_t)n;
    c->last[c->last_n] = '\0';
    return true;
}

int zo_child_watch(zo_child *c, zo_live *l, const zo_results *results, zo_err *lost)
{
    bool news = true, complaints = true, asked = false;
    sig_atomic_t signals = 0;
    double until = 0;
    while (news || complaints) {
        struct pollfd fds[2] = {{.fd = news ? c->news : -1, .events = POLLIN}, {.fd = complaints ? c->complaints : -1, .events = POLLIN}};
        int n = poll(fds, 2, 500);
        if (results != NULL && lost->status == ZO_OK && zo_results_check_file(results, lost) != ZO_OK) {
            kill(c->pid, SIGKILL);
        }
        if (zo_run_interrupted && !asked) {
            asked = true;
            signals = zo_run_signals;
            until = zo_now() + ZO_CHILD_GRACE_SECONDS;
            kill(c->pid, SIGTERM);
        } else if (asked && (zo_run_signals != signals || zo_now() > until)) {
            kill(c->pid, SIGKILL);
        }
        if (n > 0 && fds[0].revents != 0) {
            news = read_news(c, l);
        }
        if (n > 0 && fds[1].revents != 0) {
            complaints = read_complaints(c);
        }
        if (l != NULL && l->terminal && n == 0) {
            zo_live_show(l, false);
        }
    }
    close(c->news);
    close(c->complaints);
    int status;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

cJSON *zo_job_make(const zo_cell *cell, const zo_run_spec *spec, zo_job_kind kind, const zo_identity *identity)
{
    cJSON *job = cJSON_CreateObject();
    cJSON_AddStringToObject(job, "config", cell->config);
    cJSON_AddNumberToObject(job, "parent", (double)getpid());
    if (zo_plugin_python(cell->estimator) != NULL) {
        cJSON_AddStringToObject(job, "python", zo_plugin_python(cell->estimator));
    }
    if (kind == ZO_JOB_RUN) {
        cJSON_AddStringToObject(job, "db", spec->db);
        cJSON_AddStringToObject(job, "model_fingerprint", identity->model);
        cJSON_AddStringToObject(job, "tokenizer_fingerprint", identity->tokenizer);
        cJSON_AddStringToObject(job, "rows_fingerprint", identity->rows);
        cJSON_AddStringToObject(job, "task_fingerprint", identity->task);
        cJSON_AddStringToObject(job, "plugin_fingerprint", identity->plugin);
        cJSON_AddNumberToObject(job, "checkpoint_minutes", (double)spec->checkpoint_minutes);
        cJSON_AddNumberToObject(job, "checkpoint_steps", (double)spec->checkpoint_steps);
        cJSON_AddNumberToObject(job, "limit_seconds", spec->cell_limit_seconds);
        if (spec->save != NULL) {
            cJSON_AddStringToObject(job, "save", spec->save);
        }
        cJSON_AddBoolToObject(job, "samples", spec->dirs.samples);
    }
    if (kind == ZO_JOB_CHECK_DEVICE) {
        cJSON_AddTrueToObject(job, "device_only");
    }
    if (spec->dirs.data != NULL) {
        cJSON_AddStringToObject(job, "data", spec->dirs.data);
    }
    if (spec->dirs.models != NULL) {
        cJSON_AddStringToObject(job, "models", spec->dirs.models);
    }
    return job;
}

void zo_child_death(const zo_child *c, int status, char *out, size_t size)
{
    /* the last line of what it wrote */
    char tail[600] = "";
    const char *end = c->last + c->last_n;
    while (end > c->last && (end[-1] == '\n' || end[-1] == ' ')) {
        end--;
    }
    const char *start = end;
    while (start > c->last && start[-1] != '\n') {
        start--;
    }
    snprintf(tail, sizeof tail, "%s%.*s", end > start ? ": " : "", (int)(end - start), start);
    if (c->error[0] != '\0') {
        snprintf(out, size, "%s", c->error);
    } else if (WIFSIGNALED(status)) {
        snprintf(out, size, "its process was ended by signal %d (%s)%s%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
                 WTERMSIG(status) == SIGKILL ? ", which the system also does when memory runs out" : "", tail);
    } else {
        snprintf(out, size, "its process ended with code %d%s", WEXITSTATUS(status), tail);
    }
}

void zo_child_print_complaints(char *text, size_t bytes)
{
    zo_lines lines = zo_lines_of(text, bytes);
    for (char *line; (line = zo_lines_next(&lines, NULL)) != NULL;) {
        fprintf(stderr, "%s\n", zo_text_plain(line));
    }
}
