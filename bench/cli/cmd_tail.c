/* cmd_tail.c: `zo tail`: what a run does now, and what it has ended, read from its database while it works. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/settings.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/live.h"
#include "core/conf.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"
#include "results/report.h"
#include "results/tries.h"

static const char USAGE[] = "zo tail [RUN] [--db FILE] [--last N] [--once] [--json]";

enum { LOOK_SECONDS = 1, PLAIN_LOOKS = 15 /* elsewhere than on a terminal a line about a cell comes every so many looks */ };

typedef struct tail {
    const char *db, *run; /* NULL = all */
    int64_t last;         /* ended tries that are shown at first */
    bool once, json, terminal;
    int columns, drawn;   /* lines that stand on the terminal and are drawn again */
    int64_t looks;
} tail;

/* What stands in the database at one moment. */
typedef struct look {
    cJSON *running, *ended, *count;
    bool works; /* a `zo run` is at work */
} look;

/* Running: how far, by the budget that is nearest to its end. An evaluation is a share of the time too. */
static const char running_sql[] =
    "SELECT t.run, c.hash, c.config, t.began, t.resumed, s.step, s.loss, s.forwards, s.work, s.train_seconds,"
    " (SELECT sum(seconds) FROM evaluations e WHERE e.run = t.run) AS eval_seconds,"
    " (SELECT " ZO_EVALUATED " FROM evaluations e WHERE e.run = t.run AND e.split = 'dev' AND e.best = 1 ORDER BY e.step DESC LIMIT 1) AS dev,"
    " c.steps_budget, c.forwards_budget, c.work_budget, c.seconds_budget"
    " FROM tries t JOIN cells c USING (cell) LEFT JOIN steps s ON s.run = t.run AND s.step = (SELECT max(step) FROM steps x WHERE x.run = t.run)"
    " WHERE t.status = 'running'%s ORDER BY t.run";
static const char ended_sql[] = "SELECT t.run, c.hash, c.config, t.status, t.message, t.marks, t.ended, c.metric, t.metric_value, t.step_ms, t.peak_bytes"
                                " FROM tries t JOIN cells c USING (cell) WHERE t.ended IS NOT NULL%s ORDER BY t.ended DESC, t.run DESC LIMIT %lld";
static const char count_sql[] = "SELECT status, count(*) AS cells FROM runs t JOIN cells c USING (cell) WHERE 1%s GROUP BY status ORDER BY cells DESC, status";

static void free_look(look *l)
{
    cJSON_Delete(l->running);
    cJSON_Delete(l->ended);
    cJSON_Delete(l->count);
}

static zo_status take_look(const tail *t, look *l, zo_err *err)
{
    zo_results *results;
    char only[200] = "", sql[2000];
    memset(l, 0, sizeof *l);
    if (t->run != NULL) { /* letters and digits: main has looked */
        snprintf(only, sizeof only, " AND (t.run || '' = '%s' OR c.hash = '%s')", t->run, t->run);
    }
    l->works = zo_results_is_worked_on(t->db);
    zo_status status = zo_results_open_read(&results, t->db, err);
    if (status != ZO_OK) {
        return status;
    }
    snprintf(sql, sizeof sql, running_sql, only);
    status = zo_results_select(results, sql, &l->running, err);
    snprintf(sql, sizeof sql, ended_sql, only, (long long)(t->once || t->json || t->last > 100 ? t->last : 100));
    status = status == ZO_OK ? zo_results_select(results, sql, &l->ended, err) : status;
    snprintf(sql, sizeof sql, count_sql, only);
    status = status == ZO_OK ? zo_results_select(results, sql, &l->count, err) : status;
    zo_results_close(results);
    if (status == ZO_OK && t->run != NULL && l->running->child == NULL && l->ended->child == NULL) {
        status = zo_fail(err, ZO_EINPUT, "there is no run %s in %s; `zo sql \"SELECT run, hash, status FROM tries JOIN cells USING (cell)\"` lists them", t->run, t->db);
    }
    if (status != ZO_OK) {
        free_look(l);
    }
    return status;
}

/* "minilm-l6 sst2 mezo lr 1e-06 seed 1", as `zo run` has it. */
static void label_of(const cJSON *row, char *out, size_t size)
{
    zo_cell cell;
    zo_err ignored = {0};
    if (zo_cell_parse(&cell, zo_json_text(row, "config"), &ignored) == ZO_OK) {
        zo_cell_label(&cell, out, size);
        zo_cell_free(&cell);
    } else { /* an estimator of a file that is not here */
        snprintf(out, size, "cell %.16s", zo_json_text(row, "hash"));
    }
}

/* The share of its budget that a running cell has used; NaN = not known. */
static double fraction_of(const cJSON *row)
{
    static const char *const used[] = {"step", "forwards", "work", "train_seconds"}, *const budget[] = {"steps_budget", "forwards_budget", "work_budget", "seconds_budget"};
    double f = NAN;
    for (int i = 0; i < 4; i++) {
        double most = zo_json_number(row, budget[i], 0), share = zo_json_number(row, used[i], NAN) / most;
        f = most > 0 && isfinite(share) && !(share <= f) ? share : f;
    }
    return f > 1 ? 1 : f;
}

/* Seconds that a running cell will take until its budget is used, at the pace that it had; NaN = not known. */
static double left_of(const cJSON *row)
{
    double f = fraction_of(row), spent = zo_json_number(row, "train_seconds", NAN) + zo_json_number(row, "eval_seconds", 0);
    return f > 0 ? spent * (1 - f) / f : NAN;
}

static void write_running(const tail *t, const cJSON *row, char *out, size_t size)
{
    char label[1200], fitted[1204], rest[300], left[32];
    double step = zo_json_number(row, "step", NAN), steps = zo_json_number(row, "steps_budget", 0), loss = zo_json_number(row, "loss", NAN);
    double dev = zo_json_number(row, "dev", NAN), seconds = left_of(row), f = fraction_of(row);
    int n = isfinite(step) ? snprintf(rest, sizeof rest, " | step %.0f", step) : snprintf(rest, sizeof rest, " | no step yet");
    n += isfinite(step) && steps > 0 ? snprintf(rest + n, sizeof rest - (size_t)n, "/%.0f", steps) : 0;
    n += isfinite(step) && steps <= 0 && isfinite(f) ? snprintf(rest + n, sizeof rest - (size_t)n, ", %.0f %%", 100 * f) : 0;
    n += isfinite(loss) ? snprintf(rest + n, sizeof rest - (size_t)n, " | loss %.4f", loss) : 0;
    n += isfinite(dev) ? snprintf(rest + n, sizeof rest - (size_t)n, " | best dev %.3f", dev) : 0;
    if (isfinite(seconds)) {
        snprintf(rest + n, sizeof rest - (size_t)n, " | %s left", zo_live_duration(seconds, left, sizeof left));
    }
    label_of(row, label, sizeof label);
    int room = t->columns > 0 ? t->columns - 1 - (int)strlen(rest) : 10000;
    snprintf(out, size, "%s%s", zo_label_fit(label, room, fitted, sizeof fitted), rest);
}

static void print_ended(const cJSON *row)
{
    char label[1200], metric[100] = "";
    const char *status = zo_json_text(row, "status"), *message = zo_json_text(row, "message"), *marks = zo_json_text(row, "marks");
    double value = zo_json_number(row, "metric_value", NAN);
    if (isfinite(value)) {
        snprintf(metric, sizeof metric, ", %.40s %.3f", zo_json_text(row, "metric"), value);
    }
    label_of(row, label, sizeof label);
    char *plain = zo_text_plain_copy(message);
    printf("%s run %.0f %s: %s%s%s%s%s%s\n", zo_json_text(row, "ended"), zo_json_number(row, "run", 0), label, status, metric, marks[0] != '\0' ? ", marks " : "", marks, plain[0] != '\0' ? ": " : "", plain);
    zo_free(plain);
}

/* Those that have ended since the last look, the oldest first. */
static void print_events(tail *t, const look *l)
{
    int n = cJSON_GetArraySize(l->ended), news = 0;
    static char newest[64]; /* "ended run" of the last one that was printed */
    for (const cJSON *row = l->ended->child; row != NULL; row = row->next, news++) {
        char name[64];
        snprintf(name, sizeof name, "%.30s %.0f", zo_json_text(row, "ended"), zo_json_number(row, "run", 0));
        if (t->looks > 0 ? strcmp(name, newest) == 0 : news >= t->last) {
            break;
        }
    }
    for (int i = (news < n ? news : n) - 1; i >= 0; i--) {
        print_ended(cJSON_GetArrayItem(l->ended, i));
    }
    if (n > 0) {
        snprintf(newest, sizeof newest, "%.30s %.0f", zo_json_text(l->ended->child, "ended"), zo_json_number(l->ended->child, "run", 0));
    }
}

static void print_counts(const look *l)
{
    for (const cJSON *row = l->count->child; row != NULL; row = row->next) {
        printf("%s%.0f %s", row == l->count->child ? "cells: " : ", ", zo_json_number(row, "cells", 0), zo_json_text(row, "status"));
    }
    printf("%s\n", l->works ? "" : l->count->child == NULL ? "no cells; no zo run is at work" : "; no zo run is at work");
}

static void print_look(tail *t, const look *l)
{
    char line[1600];
    if (t->drawn > 0) {
        printf("\033[%dA\033[J", t->drawn);
        t->drawn = 0;
    }
    print_events(t, l);
    bool shows = t->terminal || t->once || t->looks % PLAIN_LOOKS == 0 || !l->works;
    if (shows) {
        for (const cJSON *row = l->running->child; row != NULL && (l->works || t->once); row = row->next) {
            write_running(t, row, line, sizeof line);
            printf("%s\n", line);
            t->drawn++;
        }
        print_counts(l);
        t->drawn++;
    }
    if (!t->terminal || t->once) {
        t->drawn = 0;
    }
    fflush(stdout);
}

static void print_json(const look *l)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddBoolToObject(o, "working", l->works);
    for (cJSON *row = l->running->child; row != NULL; row = row->next) {
        double fraction = fraction_of(row), left = left_of(row);
        cJSON_AddItemToObject(row, "fraction", isfinite(fraction) ? cJSON_CreateNumber(fraction) : cJSON_CreateNull());
        cJSON_AddItemToObject(row, "seconds_left", isfinite(left) ? cJSON_CreateNumber(left) : cJSON_CreateNull());
    }
    cJSON_AddItemReferenceToObject(o, "running", l->running);
    cJSON_AddItemReferenceToObject(o, "ended", l->ended);
    cJSON_AddItemReferenceToObject(o, "cells", l->count);
    zo_output_json(o, true);
    cJSON_Delete(o);
}

int zo_cmd_tail(int argc, char **argv)
{
    tail t = {.db = "results/zo.db", .last = 5, .columns = zo_terminal_columns(STDOUT_FILENO)};
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &t.db}, {"--last", ZO_ARG_INT, &t.last}, {"--once", ZO_ARG_FLAG, &t.once}, {"--json", ZO_ARG_FLAG, &t.json}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, &t.run, 0, 1, NULL, USAGE, &err);
    if (status == ZO_OK && t.run != NULL && (t.run[0] == '\0' || strlen(t.run) > 16 || strspn(t.run, "0123456789abcdef") != strlen(t.run))) {
        status = zo_fail(&err, ZO_EINPUT, "\"%.60s\" names no run; expected its number (column `run`), or the 16 digits of a cell's hash", t.run);
    }
    t.terminal = t.columns > 0;
    for (bool goes_on = true; status == ZO_OK && goes_on; t.looks++) {
        look l;
        status = take_look(&t, &l, &err);
        if (status != ZO_OK) {
            break;
        }
        if (t.json) {
            print_json(&l);
        } else {
            print_look(&t, &l);
        }
        goes_on = l.works && !t.once && !t.json && !(t.run != NULL && l.running->child == NULL);
        free_look(&l);
        if (goes_on) {
            sleep(LOOK_SECONDS);
        }
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo tail: %s\n", err.text);
    }
    return status == ZO_OK ? 0 : 2;
}
