/* live.c: the lines of a run; see live.h. */
#include "bench/matrix/live.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/matrix/child.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/text.h"

#define LIVE_SECONDS 0.2   /* on a terminal */
#define PLAIN_SECONDS 15.0 /* elsewhere */

void zo_live_clear(zo_live *l)
{
    if (l->terminal && l->shown) {
        fputs("\r\033[K", stderr);
    }
    l->shown = false;
}

const char *zo_live_duration(double seconds, char *out, size_t size)
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

static void write_parts(const zo_live *l, double t, char part[PARTS][64])
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
        snprintf(part[PART_ETA], sizeof *part, " | ETA %s", zo_live_duration((t - l->start) * (1 - done) / done, a, sizeof a));
    }
}

#define LABEL_LEAST 20 /* columns of a label that other parts of a line make room for */

const char *zo_label_fit(const char *label, int columns, char *out, size_t size)
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

void zo_live_show(zo_live *l, bool now)
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
    fprintf(stderr, "%s%s%s", l->terminal ? "\r" : "", head, zo_label_fit(l->label, room - rest, label, sizeof label));
    for (int k = 0; k < PARTS; k++) {
        fputs(part[k], stderr);
    }
    fputs(l->terminal ? "\033[K" : "\n", stderr);
    l->shown = l->terminal;
    fflush(stderr);
}

bool zo_live_pretraining(void *context, const char *model, int64_t step, int64_t steps, double loss, double seconds)
{
    zo_live *l = context;
    double t = zo_now();
    bool last = step >= steps;
    if (zo_run_interrupted || (!last && t - l->said_at < (l->terminal ? LIVE_SECONDS : PLAIN_SECONDS))) {
        return !zo_run_interrupted;
    }
    l->said_at = t;
    char bar[41], eta[32], rest[120];
    zo_live_duration(step > 0 ? seconds * (double)(steps - step) / (double)step : 0, eta, sizeof eta);
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

void zo_live_say(zo_live *l, const char *text)
{
    zo_live_clear(l);
    char *plain = zo_text_plain_copy(text);
    fprintf(stderr, "zo run: %s: %s\n", l->label, plain);
    zo_free(plain);
}

void zo_live_end(zo_live *l, const zo_run_brief *brief)
{
    zo_live_clear(l);
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
    fprintf(stderr, "%s%s: %s%s%s%s%s%s\n", head, zo_label_fit(l->label, room, label, sizeof label), brief->status, metric, time, peak,
            message[0] != '\0' ? ": " : "", message);
}
