/* run.c: the parent: checks, starts and watches the cells' processes, shows the live line, keeps their rows honest when they die. */
#include "bench/run.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/args.h"
#include "bench/cell.h"
#include "bench/cmd.h"
#include "bench/identity.h"
#include "bench/keys.h"
#include "bench/machine.h"
#include "bench/pretrain.h"
#include "core/build.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/hashmap.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/hub.h"

#define LIVE_SECONDS 0.2   /* on a terminal */
#define PLAIN_SECONDS 15.0 /* elsewhere */

extern char **environ;

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    interrupted = number;
}

/* ---- the live line ------------------------------------------------------------------------------------------------------ */

typedef struct live {
    bool terminal, shown;
    double start, said_at;
    int64_t done, todo;     /* cells of this invocation */
    char label[1200];
    const zo_cell *cell;
    /* last news */
    char phase[16];
    double step, fraction, loss, dev, forwards, tokens, seconds;
} live;

static void clear_line(live *l)
{
    if (l->terminal && l->shown) {
        fputs("\r\033[K", stderr);
    }
    l->shown = false;
}

static char *duration_text(double seconds, char *out, size_t size)
{
    long s = (long)(seconds + 0.5);
    if (s < 60) {
        snprintf(out, size, "%lds", s);
    } else if (s < 3600) {
        snprintf(out, size, "%ldm%02lds", s / 60, s % 60);
    } else {
        snprintf(out, size, "%ldh%02ldm", s / 3600, s / 60 % 60);
    }
    return out;
}

static char *rate_text(double rate, char *out, size_t size)
{
    if (rate >= 1e4) {
        snprintf(out, size, "%.1fk", rate / 1e3);
    } else {
        snprintf(out, size, rate >= 100 ? "%.0f" : "%.1f", rate);
    }
    return out;
}

/* The parts of the live line behind the label, in their order on it. */
enum { PART_STEP, PART_LOSS, PART_DEV, PART_FORWARDS, PART_TOKENS, PART_ETA, PARTS };

static void write_parts(const live *l, double t, char part[PARTS][64])
{
    char a[32];
    memset(part, 0, PARTS * sizeof *part);
    if (l->cell->steps > 0) {
        snprintf(part[PART_STEP], sizeof *part, " | %s step %.0f/%lld", l->phase, l->step, (long long)l->cell->steps);
    } else {
        snprintf(part[PART_STEP], sizeof *part, " | %s step %.0f", l->phase, l->step);
    }
    if (isfinite(l->loss)) {
        snprintf(part[PART_LOSS], sizeof *part, " | loss %.4f", l->loss);
    }
    if (isfinite(l->dev)) {
        snprintf(part[PART_DEV], sizeof *part, " | best dev %.3f", l->dev);
    }
    if (l->seconds > 0) {
        snprintf(part[PART_FORWARDS], sizeof *part, " | %s forwards/s", rate_text(l->forwards / l->seconds, a, sizeof a));
        snprintf(part[PART_TOKENS], sizeof *part, " | %s tokens/s", rate_text(l->tokens / l->seconds, a, sizeof a));
    }
    double done = ((double)l->done + l->fraction) / (double)l->todo;
    if (done > 0.002) {
        snprintf(part[PART_ETA], sizeof *part, " | ETA %s", duration_text((t - l->start) * (1 - done) / done, a, sizeof a));
    }
}

#define LABEL_LEAST 20 /* columns of a label that other parts of a line make room for */

/* A cell's label in at most so many columns: what does not fit goes out before the seed, and where not even the method fits, the model and the task
 * go out before it. */
static const char *fit_label(const char *label, int columns, char *out, size_t size)
{
    if (zo_text_width(label) <= columns) {
        snprintf(out, size, "%s", label);
        return out;
    }
    const char *tail = strstr(label, " seed "), *next;
    while (tail != NULL && (next = strstr(tail + 1, " seed ")) != NULL) {
        tail = next;
    }
    tail = tail != NULL && zo_text_width(tail) + 4 <= columns ? tail : "";
    int room = columns - (int)strlen("..") - zo_text_width(tail);
    room = room < 0 ? 0 : room;
    for (int word = 0; word < 2; word++) { /* model, task, then the method */
        const char *end = label;
        for (int k = word; k < 3 && end != NULL; k++) {
            end = strchr(end + 1, ' ');
        }
        if (end == NULL || zo_text_cut(label, room) >= (size_t)(end - label)) {
            break;
        }
        label = strchr(label, ' ') + 1;
    }
    bool fits = zo_text_width(label) <= columns;
    snprintf(out, size, "%.*s%s%s", (int)zo_text_cut(label, fits ? columns : room), label, fits ? "" : "..", fits ? "" : tail);
    return out;
}

static void show_live(live *l, bool now)
{
    double t = zo_now();
    if (!now && t - l->said_at < (l->terminal ? LIVE_SECONDS : PLAIN_SECONDS)) {
        return;
    }
    l->said_at = t;
    char head[64], part[PARTS][64], label[sizeof l->label + 4];
    snprintf(head, sizeof head, "[%lld/%lld] ", (long long)l->done + 1, (long long)l->todo);
    write_parts(l, t, part);
    /* The last column stays free: a line that reaches it wraps on some terminals. */
    int room = (l->terminal ? zo_terminal_columns(STDERR_FILENO) - 1 : INT_MAX) - (int)strlen(head), rest = 0;
    for (int k = 0; k < PARTS; k++) {
        rest += (int)strlen(part[k]);
    }
    static const int dispensable[] = {PART_TOKENS, PART_FORWARDS, PART_DEV, PART_LOSS, PART_ETA, PART_STEP};
    int wanted = zo_text_width(l->label) < LABEL_LEAST ? zo_text_width(l->label) : LABEL_LEAST;
    for (size_t k = 0; k < sizeof dispensable / sizeof *dispensable && rest + wanted > room; k++) {
        rest -= (int)strlen(part[dispensable[k]]);
        part[dispensable[k]][0] = '\0';
    }
    fprintf(stderr, "%s%s%s", l->terminal ? "\r" : "", head, fit_label(l->label, room - rest, label, sizeof label));
    for (int k = 0; k < PARTS; k++) {
        fputs(part[k], stderr);
    }
    fputs(l->terminal ? "\033[K" : "\n", stderr);
    l->shown = l->terminal;
    fflush(stderr);
}

/* ---- a cell's process --------------------------------------------------------------------------------------------------- */

typedef struct child {
    pid_t pid;
    int news, complaints; /* read ends */
    char line[8192];
    size_t line_n;
    char last[2000];      /* tail of its standard error */
    size_t last_n;
    char error[1100];     /* what it said is wrong */
    bool input;           /* and that it is the input or the database */
    bool oom;             /* or that memory ran out before there was a row */
    cJSON *check;         /* answer of a check */
} child;

static void close_pair(int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

/* Starts `zo cell` and gives it its job. */
static zo_status start_child(child *c, const cJSON *job, zo_err *err)
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
    /* The link itself, not its target: it holds even when the program's file has been replaced meanwhile. */
    int code = posix_spawn(&c->pid, "/proc/self/exe", &files, &attributes, argv, environ);
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

static void take_line(child *c, live *l)
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
        show_live(l, false);
    }
    cJSON_Delete(news);
}

static bool read_news(child *c, live *l) /* false at the end */
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

static bool read_complaints(child *c)
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

/* Watches until the process has ended; returns its wait status. An interrupt kills it, and so does the loss of the database (NULL = none):
 * then *lost says so. */
static int watch_child(child *c, live *l, const zo_results *results, zo_err *lost)
{
    bool news = true, complaints = true;
    while (news || complaints) {
        struct pollfd fds[2] = {{.fd = news ? c->news : -1, .events = POLLIN}, {.fd = complaints ? c->complaints : -1, .events = POLLIN}};
        int n = poll(fds, 2, 500);
        if (interrupted || (results != NULL && lost->status == ZO_OK && zo_results_check_file(results, lost) != ZO_OK)) {
            kill(c->pid, SIGKILL);
        }
        if (n > 0 && fds[0].revents != 0) {
            news = read_news(c, l);
        }
        if (n > 0 && fds[1].revents != 0) {
            complaints = read_complaints(c);
        }
        if (l != NULL && l->terminal && n == 0) {
            show_live(l, false);
        }
    }
    close(c->news);
    close(c->complaints);
    int status;
    while (waitpid(c->pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

typedef enum job_kind { JOB_RUN, JOB_CHECK, JOB_CHECK_DEVICE } job_kind;

/* identity NULL: a check. */
static cJSON *make_job(const zo_cell *cell, const zo_run_spec *spec, job_kind kind, const zo_identity *identity)
{
    cJSON *job = cJSON_CreateObject();
    cJSON_AddStringToObject(job, "config", cell->config);
    cJSON_AddNumberToObject(job, "parent", (double)getpid());
    if (kind == JOB_RUN) {
        cJSON_AddStringToObject(job, "db", spec->db);
        cJSON_AddStringToObject(job, "model_fingerprint", identity->model);
        cJSON_AddStringToObject(job, "tokenizer_fingerprint", identity->tokenizer);
        cJSON_AddStringToObject(job, "rows_fingerprint", identity->rows);
        cJSON_AddStringToObject(job, "task_fingerprint", identity->task);
        cJSON_AddStringToObject(job, "plugin_fingerprint", identity->plugin);
    }
    if (kind == JOB_CHECK_DEVICE) {
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

/* One sentence on how a process ended that did not end well. */
static void death_text(const child *c, int status, char *out, size_t size)
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

/* ---- checks before anything runs ---------------------------------------------------------------------------------------- */

static bool show_pretraining(void *context, const char *model, int64_t step, int64_t steps, double loss, double seconds)
{
    live *l = context;
    double t = zo_now();
    bool last = step >= steps;
    if (interrupted || (!last && t - l->said_at < (l->terminal ? LIVE_SECONDS : PLAIN_SECONDS))) {
        return !interrupted;
    }
    l->said_at = t;
    char bar[41], eta[32], rest[120];
    duration_text(step > 0 ? seconds * (double)(steps - step) / (double)step : 0, eta, sizeof eta);
    snprintf(rest, sizeof rest, "%lld/%lld loss %.3f ETA %s", (long long)step, (long long)steps, loss, eta);
    int width = l->terminal ? zo_terminal_columns(STDERR_FILENO) - (int)(strlen("pretraining  [] ") + strlen(model) + strlen(rest)) - 1 : 40;
    width = width > 40 ? 40 : width < 0 ? 0 : width;
    int filled = steps > 0 ? (int)(width * step / steps) : 0;
    for (int i = 0; i < width; i++) {
        bar[i] = i < filled ? '#' : '.';
    }
    bar[width] = '\0';
    fprintf(stderr, "%spretraining %s [%s] %s%s", l->terminal ? "\r" : "", model, bar, rest,
            !l->terminal ? "\n" : last ? "\033[K\n" : "\033[K");
    fflush(stderr);
    l->shown = false;
    return true;
}

/* Opens the device, data and model of one cell in a process that ends again. A crash or lack of memory there is left to the cell itself. */
static zo_status check_cell(const zo_cell *cell, const zo_run_spec *spec, job_kind kind, cJSON **found, zo_err *err)
{
    child c;
    cJSON *job = make_job(cell, spec, kind, NULL);
    zo_status status = start_child(&c, job, err);
    cJSON_Delete(job);
    if (status != ZO_OK) {
        return status;
    }
    int ended = watch_child(&c, NULL, NULL, NULL);
    *found = c.check;
    if (WIFEXITED(ended) && WEXITSTATUS(ended) == ZO_CELL_INPUT && c.error[0] != '\0') {
        char label[1200];
        zo_fail(err, ZO_EINPUT, "%s", c.error);
        return zo_fail_in(err, zo_cell_label(cell, label, sizeof label));
    }
    return ZO_OK;
}

/* Every device that cells ask for is there: found before a model is made. */
static zo_status check_devices(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, zo_err *err)
{
    zo_status status = ZO_OK;
    const char *asked = "cpu"; /* cells of one device follow each other, mostly */
    for (int64_t i = 0; i < grid->n && status == ZO_OK && !interrupted; i++) {
        if (todo[i] && strcmp(grid->cell[i].device, asked) != 0) {
            cJSON *none = NULL;
            asked = grid->cell[i].device;
            status = check_cell(&grid->cell[i], spec, JOB_CHECK_DEVICE, &none, err);
            cJSON_Delete(none);
        }
    }
    return status;
}

/* predicted[i] = bytes of cell i, 0 = not known; NULL = only check. Cells with todo[i] false are left out, and in a dry run those
 * whose model would have to be made first. */
static zo_status check_cells(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, live *l, double *predicted, zo_err *err)
{
    zo_status status = check_devices(grid, todo, spec, err);
    cJSON **found = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *found);
    zo_hashmap checked = {0}; /* by what decides whether a cell can be opened: the first such cell */
    const char *asked = NULL; /* the model that was looked for last: cells of one model follow each other */
    for (int64_t i = 0; i < grid->n && status == ZO_OK && !interrupted; i++) {
        const zo_cell *cell = &grid->cell[i];
        if (!todo[i] || (spec->dry && zo_model_is_unmade(cell->model))) {
            continue;
        }
        if (asked == NULL || strcmp(asked, cell->model) != 0) {
            char folder[4096];
            asked = cell->model;
            status = zo_model_folder(cell->model, spec->dirs.models, show_pretraining, l, folder, err);
            if (status != ZO_OK) {
                zo_fail_in(err, grid->path);
                break;
            }
        }
        bool is_new;
        int64_t *same = zo_hashmap_at(&checked, zo_cell_opening(cell, predicted != NULL), &is_new);
        if (is_new) {
            *same = i;
            if (l->terminal) {
                char label[1200], fitted[sizeof label + 4];
                fprintf(stderr, "\rchecking %s\033[K", fit_label(zo_cell_label(cell, label, sizeof label), zo_terminal_columns(STDERR_FILENO) - 10, fitted,
                                                                 sizeof fitted));
                l->shown = true;
            }
            status = check_cell(cell, spec, JOB_CHECK, &found[i], err);
        }
        const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(found[*same], "bytes");
        if (predicted != NULL && cJSON_IsNumber(bytes)) {
            predicted[i] = bytes->valuedouble;
        }
    }
    clear_line(l);
    for (int64_t i = 0; i < grid->n; i++) {
        cJSON_Delete(found[i]);
    }
    zo_free(found);
    zo_hashmap_free(&checked);
    return status;
}

/* ---- running ------------------------------------------------------------------------------------------------------------ */

static void print_cell(const zo_cell *cell, const zo_run_brief *brief, bool skipped)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "hash", cell->hash);
    for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
        if ((k->flags & ZO_KEY_PANEL) != 0) {
            cJSON_AddItemToObject(o, k->key, zo_opt_value(k, cell));
        }
    }
    cJSON_AddStringToObject(o, "optimizer", cell->estimator->name);
    cJSON_AddNumberToObject(o, "lr", cell->lr);
    cJSON_AddNumberToObject(o, "seed", (double)cell->seed);
    cJSON_AddItemToObject(o, "config", cJSON_Parse(cell->config));
    cJSON_AddStringToObject(o, "status", brief->status);
    cJSON_AddBoolToObject(o, "skipped", skipped);
    if (isfinite(brief->metric_value)) {
        cJSON_AddNumberToObject(o, brief->metric, brief->metric_value);
    }
    if (brief->marks[0] != '\0') {
        cJSON_AddStringToObject(o, "marks", brief->marks);
    }
    if (isfinite(brief->step_ms)) {
        cJSON_AddNumberToObject(o, "step_ms", brief->step_ms);
    }
    if (brief->peak_bytes > 0) {
        cJSON_AddNumberToObject(o, "peak_bytes", (double)brief->peak_bytes);
    }
    if (brief->message[0] != '\0') {
        cJSON_AddStringToObject(o, "message", brief->message);
    }
    zo_output_json(o, false);
    cJSON_Delete(o);
}

static void say_end(live *l, const zo_run_brief *brief)
{
    clear_line(l);
    char head[64], metric[100] = "", time[40] = "", peak[40] = "", label[sizeof l->label + 4], message[sizeof brief->message];
    snprintf(head, sizeof head, "[%lld/%lld] ", (long long)l->done + 1, (long long)l->todo);
    if (isfinite(brief->metric_value)) {
        snprintf(metric, sizeof metric, ", %s %.3f%s", brief->metric, brief->metric_value, strstr(brief->marks, "constant") != NULL ? " (constant)" : "");
    }
    if (isfinite(brief->step_ms)) {
        snprintf(time, sizeof time, ", %.3g ms a step", brief->step_ms);
    }
    if (brief->peak_bytes > 0) {
        snprintf(peak, sizeof peak, ", peak %.1f MB", (double)brief->peak_bytes / 1e6);
    }
    snprintf(message, sizeof message, "%s", brief->message);
    zo_text_plain(message);
    /* One line of a terminal, but where a message makes it longer anyway. */
    int room = l->terminal && message[0] == '\0' ? zo_terminal_columns(STDERR_FILENO) : INT_MAX;
    char *const dispensable[] = {peak, time};
    for (int k = 0;; k++) {
        int rest = (int)(strlen(head) + strlen(": ") + strlen(brief->status) + strlen(metric) + strlen(time) + strlen(peak));
        if (k == 2 || rest + LABEL_LEAST <= room || rest + zo_text_width(l->label) <= room) {
            room -= rest;
            break;
        }
        dispensable[k][0] = '\0';
    }
    fprintf(stderr, "%s%s: %s%s%s%s%s%s\n", head, fit_label(l->label, room, label, sizeof label), brief->status, metric, time, peak,
            message[0] != '\0' ? ": " : "", message);
}

/* What a cell's process wrote to its standard error, line by line. */
static void print_complaints(char *text, size_t bytes)
{
    zo_lines lines = zo_lines_of(text, bytes);
    for (char *line; (line = zo_lines_next(&lines, NULL)) != NULL;) {
        fprintf(stderr, "%s\n", zo_text_plain(line));
    }
}

/* What stops the whole run. */
static int stop_run(live *l, const zo_err *err)
{
    clear_line(l);
    fprintf(stderr, "zo run: %s\n", err->text);
    return -1;
}

/* Runs one cell; returns 0, 1 or 2, or -1 when the whole run must stop. */
static int run_one(const zo_cell *cell, const zo_run_spec *spec, const zo_identity *identity, zo_results *results, live *l)
{
    zo_err err = {0}, lost = {0};
    child c;
    l->cell = cell;
    zo_cell_label(cell, l->label, sizeof l->label);
    snprintf(l->phase, sizeof l->phase, "load");
    l->step = l->fraction = l->forwards = l->tokens = l->seconds = 0;
    l->loss = l->dev = NAN;
    if (l->terminal) {
        show_live(l, true);
    }
    cJSON *job = make_job(cell, spec, JOB_RUN, identity);
    zo_run_brief before, brief; /* the cell's own try comes after what was there */
    zo_status status = zo_results_check_file(results, &err);
    status = status == ZO_OK ? zo_results_try(results, identity, &before, &err) : status;
    status = status == ZO_OK ? start_child(&c, job, &err) : status;
    cJSON_Delete(job);
    if (status != ZO_OK) {
        return stop_run(l, &err);
    }
    int ended = watch_child(&c, l, results, &lost);
    if (lost.status == ZO_OK && zo_results_check_file(results, &lost) == ZO_OK && c.last_n > 0 && WIFEXITED(ended) &&
        WEXITSTATUS(ended) == ZO_CELL_ENDED) {
        clear_line(l);
        print_complaints(c.last, c.last_n);
    }
    if (lost.status != ZO_OK) {
        clear_line(l);
        fprintf(stderr, "zo run: %s: %s\n", l->label, lost.text);
        return -1;
    }
    if (zo_results_try(results, identity, &brief, &err) != ZO_OK) {
        return stop_run(l, &err);
    }
    int code = 0;
    if (brief.run <= before.run || !brief.finished) { /* the cell could not say it, whatever its exit code */
        char text[1100];
        bool killed = interrupted != 0;
        if (killed) {
            snprintf(text, sizeof text, "interrupted by signal %d", (int)interrupted);
        } else {
            death_text(&c, ended, text, sizeof text);
        }
        zo_cell_row row = zo_cell_to_row(cell);
        uint64_t limit;
        zo_host_row host = zo_host(NULL, 0, zo_memory_limit(&limit, &err) == ZO_OK ? (int64_t)limit : -1);
        if (zo_results_abandon(results, &row, identity, &host, killed ? "killed" : c.oom ? "oom" : "failed", text, &err) != ZO_OK) {
            clear_line(l);
            fprintf(stderr, "zo run: %s: %s\nzo run: %s\n", l->label, text, err.text);
            return -1;
        }
        code = c.input ? 2 : c.oom ? 0 : 1;
        if (zo_results_try(results, identity, &brief, &err) != ZO_OK) {
            return stop_run(l, &err);
        }
    }
    say_end(l, &brief);
    if (spec->json) {
        print_cell(cell, &brief, false);
    }
    return code;
}

static const char unmade_note[] = "the model is not made yet; zo run makes it";

static void print_dry(const zo_grid *grid, const bool *todo, const double *predicted, bool json)
{
    cJSON *list = cJSON_CreateArray();
    int64_t left = 0;
    for (int64_t i = 0; i < grid->n; i++) {
        char label[1200];
        left += todo[i];
        if (json) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddStringToObject(o, "hash", grid->cell[i].hash);
            cJSON_AddBoolToObject(o, "done", !todo[i]);
            cJSON_AddItemToObject(o, "predicted_bytes", todo[i] && predicted[i] > 0 ? cJSON_CreateNumber(predicted[i]) : cJSON_CreateNull());
            if (todo[i] && zo_model_is_unmade(grid->cell[i].model)) {
                cJSON_AddStringToObject(o, "note", unmade_note);
            }
            cJSON_AddItemToObject(o, "config", cJSON_Parse(grid->cell[i].config));
            cJSON_AddItemToArray(list, o);
        } else if (todo[i]) {
            char size[32] = "not known";
            if (predicted[i] > 0) {
                snprintf(size, sizeof size, "%.1f MB", predicted[i] / 1e6);
            }
            bool is_unmade = predicted[i] <= 0 && zo_model_is_unmade(grid->cell[i].model);
            char *options = zo_text_plain_copy(grid->cell[i].options_text);
            printf("%s  %11s  %s  %s%s%s\n", grid->cell[i].hash, size, zo_cell_label(&grid->cell[i], label, sizeof label), options, is_unmade ? "; " : "", is_unmade ? unmade_note : "");
            zo_free(options);
        } else {
            printf("%s      done     %s\n", grid->cell[i].hash, zo_cell_label(&grid->cell[i], label, sizeof label));
        }
    }
    if (json) {
        zo_output_json(list, true);
    } else {
        printf("%lld cells, %lld to run, %lld equal to others, %lld excluded\n", (long long)grid->n, (long long)left, (long long)grid->merged,
               (long long)grid->excluded);
    }
    cJSON_Delete(list);
}

static zo_status open_results(const char *db, zo_results **results, zo_err *err)
{
    zo_status status = zo_results_open_alone(results, db, err);
    return status == ZO_OK ? zo_results_sweep_running(*results, err) : status;
}

/* ---- what is done already ------------------------------------------------------------------------------------------------ */

/* Why cells are run or not, counted for the lines that say so. */
typedef struct known {
    int64_t revisions; /* done, by another revision, of which `revision` is one */
    char revision[64];
    int64_t oom, retried; /* ended oom; of them, those that are tried again */
    int64_t changed;      /* done with another `what`, of which `model` has one */
    char what[40], model[ZO_OPT_STRING_BYTES];
    int64_t older;        /* rows of another meaning in the database, whatever their settings: their texts differ too */
} known;

/* Is there more memory than a cell had that ran out of it? */
static bool has_more_memory(const zo_run_brief *brief)
{
    uint64_t limit = 0;
    zo_err ignored = {0};
    return brief->memory_limit_bytes > 0 && zo_memory_limit(&limit, &ignored) == ZO_OK && (double)limit > 1.1 * (double)brief->memory_limit_bytes;
}

/* *todo: is the cell to be run? */
static zo_status look_up(const zo_cell *cell, const zo_run_spec *spec, zo_results *results, zo_identities *ids, known *k, bool *todo, zo_err *err)
{
    zo_identity identity = zo_identity_of(ids, cell, NULL);
    zo_run_brief brief, relative;
    zo_status status = zo_results_brief(results, &identity, &brief, err);
    if (status == ZO_OK && identity.model[0] == '\0' && brief.model_folder[0] != '\0') { /* its name leads nowhere now; the row says where it was */
        identity = zo_identity_of(ids, cell, brief.model_folder);
        status = zo_results_brief(results, &identity, &brief, err);
    }
    *todo = true;
    if (status == ZO_OK && brief.finished) {
        bool oom = strcmp(brief.status, "oom") == 0, again = oom && has_more_memory(&brief);
        k->oom += oom && !again;
        k->retried += again;
        if (!again && !spec->redo && brief.revision[0] != '\0' && strcmp(brief.revision, zo_build_revision()) != 0 && k->revisions++ == 0) {
            memcpy(k->revision, brief.revision, sizeof k->revision);
            zo_text_plain(k->revision);
        }
        *todo = spec->redo || again;
        return ZO_OK;
    }
    status = status == ZO_OK ? zo_results_relative(results, &identity, &relative, err) : status;
    if (status == ZO_OK && relative.finished && k->changed++ == 0) {
        snprintf(k->what, sizeof k->what, "%s", zo_identity_difference(&relative.identity, &identity));
        memcpy(k->model, cell->model, sizeof k->model);
        zo_text_plain(k->model);
    }
    return status;
}

static void say_known(const known *k, const zo_grid *grid, int64_t todo)
{
    if (todo < grid->n) {
        fprintf(stderr, "%lld of %lld cells are done already\n", (long long)(grid->n - todo), (long long)grid->n);
    }
    if (k->changed > 0) {
        fprintf(stderr, "%lld cells were done with %s than there is now (%s): they are run as cells of their own, and the earlier rows stay\n",
                (long long)k->changed, k->what, k->model);
    }
    if (k->older > 0 && todo > 0) {
        fprintf(stderr, "%lld rows of this database are from when keys or figures meant something else: they are never taken for done, and stay under "
                        "\"old definition\"\n", (long long)k->older);
    }
    if (k->retried > 0) {
        fprintf(stderr, "%lld cells ended oom, and more memory is free now: they are tried again\n", (long long)k->retried);
    }
    if (k->oom > 0) {
        fprintf(stderr, "%lld cells ended oom, with about as much memory as is free now; --redo tries them again\n", (long long)k->oom);
    }
    if (k->revisions > 0) {
        fprintf(stderr, "%lld cells were done by another revision (%s, now %s); --redo runs all cells again, --db with another name keeps both\n",
                (long long)k->revisions, k->revision, zo_build_revision());
    }
}

/* A cell that is done, as a line of --json. */
static zo_status print_done(const zo_cell *cell, zo_results *results, zo_identities *ids, zo_err *err)
{
    zo_identity identity = zo_identity_of(ids, cell, NULL);
    zo_run_brief brief;
    zo_status status = zo_results_brief(results, &identity, &brief, err);
    if (status == ZO_OK) {
        print_cell(cell, &brief, true);
    }
    return status;
}

static int run_todo(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, zo_results *results, zo_identities *ids, live *l)
{
    int worst = 0;
    int64_t bad = 0;
    for (int64_t i = 0; i < grid->n && !interrupted; i++) {
        const zo_cell *cell = &grid->cell[i];
        zo_err err = {0};
        int code = 0;
        if (todo[i]) {
            zo_identities *now = zo_identities_new(&spec->dirs); /* files may have changed since the first look */
            zo_identity identity = zo_identity_of(now, cell, NULL);
            zo_identities_free(now);
            code = run_one(cell, spec, &identity, results, l);
            l->done++;
        } else if (spec->json && print_done(cell, results, ids, &err) != ZO_OK) {
            code = stop_run(l, &err);
        }
        if (code < 0) {
            return 2;
        }
        worst = code > worst ? code : worst;
        bad += code != 0;
    }
    clear_line(l);
    if (interrupted) {
        fprintf(stderr, "zo run: interrupted; start the same command again to go on\n");
        return 1;
    }
    if (bad > 0) {
        fprintf(stderr, "zo run: %lld of %lld cells failed; start the same command again to try them again\n", (long long)bad,
                (long long)l->todo);
    }
    return worst;
}

int zo_run_grid(const zo_grid *grid, const zo_run_spec *spec)
{
    zo_err err = {0};
    live l = {.terminal = isatty(STDERR_FILENO) != 0, .start = zo_now()};
    bool *todo = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid->n * sizeof *todo);
    double *predicted = spec->dry ? zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid->n * sizeof *predicted) : NULL;
    zo_identities *ids = zo_identities_new(&spec->dirs);
    known k = {0};
    zo_results *results = NULL;
    interrupted = 0;
    struct sigaction action = {.sa_handler = on_signal}, old[3];
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    for (int s = 0; s < 3; s++) {
        sigaction(signals[s], NULL, &old[s]);
        if (old[s].sa_handler != SIG_IGN) { /* as nohup has it */
            sigaction(signals[s], &action, NULL);
        }
    }
    uint64_t limit;
    zo_status status = zo_memory_limit(&limit, &err);
    /* A database that is there says what is done; a new one is made when all checks have passed. */
    if (status == ZO_OK && zo_path_exists(spec->db)) {
        status = spec->dry ? zo_results_open_read(&results, spec->db, &err) : open_results(spec->db, &results, &err);
    }
    if (status == ZO_OK && results != NULL) {
        status = zo_results_older(results, &k.older, &err);
    }
    for (int64_t i = 0; i < grid->n && status == ZO_OK; i++) {
        todo[i] = true;
        if (results != NULL) {
            status = look_up(&grid->cell[i], spec, results, ids, &k, &todo[i], &err);
        }
        l.todo += todo[i];
    }
    if (status == ZO_OK) {
        status = check_cells(grid, todo, spec, &l, predicted, &err);
    }
    if (status == ZO_OK && results == NULL && !spec->dry && !interrupted) {
        status = open_results(spec->db, &results, &err);
    }
    int code = 0;
    if (status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
        code = interrupted ? 1 : 2;
    } else if (spec->dry) {
        print_dry(grid, todo, predicted, spec->json);
    } else if (interrupted) {
        code = 1;
    }
    if (status == ZO_OK && !interrupted) {
        say_known(&k, grid, spec->dry ? grid->n : l.todo);
    }
    if (status == ZO_OK && !spec->dry && !interrupted) {
        l.start = zo_now();
        l.said_at = 0;
        code = run_todo(grid, todo, spec, results, ids, &l);
    }
    for (int s = 0; s < 3; s++) {
        sigaction(signals[s], &old[s], NULL);
    }
    zo_results_close(results);
    zo_identities_free(ids);
    zo_free(todo);
    zo_free(predicted);
    return code;
}

int zo_cmd_run(int argc, char **argv)
{
    zo_run_spec spec = {.db = "results/zo.db"};
    const char *config, *device = NULL;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &spec.db},
                            {"--device", ZO_ARG_TEXT, &device},
                            {"--data", ZO_ARG_TEXT, &spec.dirs.data},
                            {"--models", ZO_ARG_TEXT, &spec.dirs.models},
                            {"--dry-run", ZO_ARG_FLAG, &spec.dry},
                            {"--redo", ZO_ARG_FLAG, &spec.redo},
                            {"--json", ZO_ARG_FLAG, &spec.json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_grid grid = {0};
    if (zo_args_read(argc, argv, table, &config, 1, 1, NULL,
                     "zo run CONFIG.json [--db FILE] [--device NAME] [--data DIR] [--models DIR] [--dry-run] [--redo] [--json]", &err) ||
        zo_grid_read(&grid, config, device, &err)) {
        fprintf(stderr, "zo run: %s\n", err.text);
        return 2;
    }
    int code = zo_run_grid(&grid, &spec);
    zo_grid_free(&grid);
    return code;
}
