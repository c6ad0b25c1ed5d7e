/* run.c: the parent: which cells are to be run, running them one by one, and keeping their rows honest when their processes die. */
#include "bench/matrix/run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cell/machine.h"
#include "bench/cell/process.h"
#include "bench/matrix/child.h"
#include "bench/matrix/identity.h"
#include "bench/matrix/live.h"
#include "bench/matrix/run_checks.h"
#include "bench/synth/pretrain.h"
#include "core/build.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"
#include "results/labels.h"

static void on_signal(int number)
{
    zo_run_interrupted = number;
    zo_run_signals++;
}

/* What the exit code of an interrupted run is: SIGALRM is its own clock (zo_run_spec.until). */
static int interrupted_code(void)
{
    return zo_run_interrupted == SIGALRM ? ZO_RUN_OVER : 1;
}

/* on_signal as the clock says, or never more. */
static void set_clock(double until)
{
    double left = until - zo_now();
    left = until <= 0 ? 0 : left < 1e-3 ? 1e-3 : left;
    struct itimerval clock = {.it_value = {(time_t)left, (suseconds_t)(1e6 * (left - floor(left)))}};
    setitimer(ITIMER_REAL, &clock, NULL);
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

/* What stops the whole run. */
static int stop_run(zo_live *l, const zo_err *err)
{
    zo_live_clear(l);
    fprintf(stderr, "zo run: %s\n", err->text);
    return -1;
}

/* Was it --cell-limit that ended it? */
static bool is_limited(const zo_run_brief *brief)
{
    return strcmp(brief->status, "killed") == 0 && zo_key_in_list(brief->marks, ZO_MARK_LIMITED);
}

/* Runs one cell; returns 0, 1 or 2 and how it ended, or -1 when the whole run must stop. */
static int run_one(const zo_cell *cell, const zo_run_spec *spec, const zo_identity *identity, zo_results *results, zo_live *l, zo_run_brief *ended_as)
{
    zo_err err = {0}, lost = {0};
    zo_child c;
    l->cell = cell;
    zo_cell_label(cell, l->label, sizeof l->label);
    snprintf(l->phase, sizeof l->phase, "load");
    l->step = l->fraction = l->forwards = l->tokens = l->seconds = 0;
    l->loss = l->dev = NAN;
    if (l->terminal) {
        zo_live_show(l, true);
    }
    cJSON *job = zo_job_make(cell, spec, ZO_JOB_RUN, identity);
    zo_run_brief before, brief; /* the cell's own try comes after what was there */
    zo_status status = zo_results_check_file(results, &err);
    status = status == ZO_OK ? zo_results_try(results, identity, &before, &err) : status;
    status = status == ZO_OK ? zo_child_start(&c, job, &err) : status;
    cJSON_Delete(job);
    if (status != ZO_OK) {
        return stop_run(l, &err);
    }
    int ended = zo_child_watch(&c, l, results, &lost);
    if (lost.status == ZO_OK && zo_results_check_file(results, &lost) == ZO_OK && c.last_n > 0 && WIFEXITED(ended) &&
        WEXITSTATUS(ended) == ZO_CELL_ENDED) {
        zo_live_clear(l);
        zo_child_print_complaints(c.last, c.last_n);
    }
    if (lost.status != ZO_OK) {
        zo_live_clear(l);
        fprintf(stderr, "zo run: %s: %s\n", l->label, lost.text);
        return -1;
    }
    if (zo_results_try(results, identity, &brief, &err) != ZO_OK) {
        return stop_run(l, &err);
    }
    int code = 0;
    if (brief.run <= before.run || (!brief.finished && !is_limited(&brief))) { /* the cell could not say it, whatever its exit code */
        char text[1100];
        bool stopped = WIFEXITED(ended) && WEXITSTATUS(ended) == ZO_CELL_STOPPED, killed = zo_run_interrupted != 0 || stopped;
        if (killed) {
            char path[4200];
            snprintf(path, sizeof path, "%s.%s.checkpoint", spec->db, cell->hash);
            int n = zo_run_interrupted == SIGALRM ? snprintf(text, sizeof text, "the time of the run was over")
                                                  : snprintf(text, sizeof text, "interrupted by signal %d", zo_run_interrupted != 0 ? (int)zo_run_interrupted : SIGTERM);
            snprintf(text + n, sizeof text - (size_t)n, "%s", zo_path_exists(path) ? "; it goes on from its checkpoint" : "");
        } else {
            zo_child_death(&c, ended, text, sizeof text);
        }
        zo_cell_row row = zo_cell_to_row(cell);
        uint64_t limit;
        zo_host_row host = zo_host(NULL, 0, zo_memory_limit(&limit, &err) == ZO_OK ? (int64_t)limit : -1);
        if (zo_results_abandon(results, &row, identity, &host, killed ? "killed" : c.oom ? "oom" : "failed", text, &err) != ZO_OK) {
            zo_live_clear(l);
            fprintf(stderr, "zo run: %s: %s\nzo run: %s\n", l->label, text, err.text);
            return -1;
        }
        code = c.input ? 2 : c.oom ? 0 : 1;
        if (zo_results_try(results, identity, &brief, &err) != ZO_OK) {
            return stop_run(l, &err);
        }
    }
    zo_live_end(l, &brief);
    if (spec->json) {
        print_cell(cell, &brief, false);
    }
    *ended_as = brief;
    return code;
}

static const char unmade_note[] = "the model is not made yet; zo run makes it";

static void print_dry(const zo_grid *grid, const bool *todo, const zo_foreseen *foreseen, bool json)
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
            cJSON_AddItemToObject(o, "predicted_bytes", todo[i] && foreseen[i].total > 0 ? cJSON_CreateNumber(foreseen[i].total) : cJSON_CreateNull());
            if (todo[i] && zo_model_is_unmade(grid->cell[i].model)) {
                cJSON_AddStringToObject(o, "note", unmade_note);
            }
            cJSON_AddItemToObject(o, "config", cJSON_Parse(grid->cell[i].config));
            cJSON_AddItemToArray(list, o);
        } else if (todo[i]) {
            char size[32] = "not known";
            if (foreseen[i].total > 0) {
                snprintf(size, sizeof size, "%.1f MB", foreseen[i].total / 1e6);
            }
            bool is_unmade = foreseen[i].total <= 0 && zo_model_is_unmade(grid->cell[i].model);
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
    char what[40], model[2 * ZO_OPT_STRING_BYTES + 8];
    int64_t unsampled;    /* done, and --samples finds none of theirs */
    int64_t limited, longer; /* ended by --cell-limit: those that have no more now, and those that have */
    int64_t unsaved;      /* done, and --save has no folder of their weights */
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
    zo_run_brief brief, relative, last;
    zo_status status = zo_results_brief(results, &identity, &brief, err);
    if (status == ZO_OK && identity.model[0] == '\0' && brief.model_folder[0] != '\0') { /* its name leads nowhere now; the row says where it was */
        identity = zo_identity_of(ids, cell, brief.model_folder);
        status = zo_results_brief(results, &identity, &brief, err);
    }
    *todo = true;
    status = status == ZO_OK ? zo_results_try(results, &identity, &last, err) : status;
    if (status == ZO_OK && is_limited(&last) && (spec->redo || !brief.finished)) {
        *todo = spec->cell_limit_seconds <= 0 || spec->cell_limit_seconds > last.train_seconds + last.eval_seconds;
        k->longer += *todo;
        k->limited += !*todo;
        return ZO_OK;
    }
    if (status == ZO_OK && brief.finished) {
        bool oom = strcmp(brief.status, "oom") == 0, more = oom && has_more_memory(&brief);
        k->oom += oom && !more;
        k->retried += more;
        if (!more && !spec->redo && brief.revision[0] != '\0' && strcmp(brief.revision, zo_build_revision()) != 0 && k->revisions++ == 0) {
            memcpy(k->revision, brief.revision, sizeof k->revision);
            zo_text_plain(k->revision);
        }
        *todo = spec->redo || more;
        char saved[4400];
        bool saves = zo_estimator_trains(cell->estimator) && (strcmp(brief.status, "done") == 0 || strcmp(brief.status, "time") == 0); /* bench/cell/loop.c */
        k->unsaved += !*todo && spec->save != NULL && saves && !zo_path_exists(zo_path_join(saved, sizeof saved, spec->save, cell->hash));
        bool has = true;
        status = !*todo && spec->dirs.samples ? zo_results_has_samples(results, brief.run, &has, err) : status;
        k->unsampled += !has;
        return status;
    }
    status = status == ZO_OK ? zo_results_relative(results, &identity, &relative, err) : status;
    if (status == ZO_OK && relative.finished && k->changed++ == 0) {
        snprintf(k->what, sizeof k->what, "%s", zo_identity_difference(&relative.identity, &identity));
        zo_tune tune;
        zo_err ignored = {0};
        const char *from = zo_tune_parse(cell->tune, cell->model, &tune, &ignored) == ZO_OK ? zo_tune_from(&tune) : NULL;
        snprintf(k->model, sizeof k->model, "%s%s%s", cell->model, from != NULL ? " from " : "", from != NULL ? from : "");
        zo_text_plain(k->model);
    }
    return status;
}

static void print_known(const known *k, const zo_grid *grid, int64_t todo)
{
    int64_t done = grid->n - todo - k->limited;
    if (done > 0) {
        fprintf(stderr, "%lld of %lld cells are done already\n", (long long)done, (long long)grid->n);
    }
    if (k->unsaved > 0) {
        fprintf(stderr, "%lld cells were done without this --save, so their weights are gone; --redo trains them again and saves them\n", (long long)k->unsaved);
    }
    if (k->unsampled > 0) {
        fprintf(stderr, "%lld cells were done without --samples, so what came of their examples is not known; --redo runs them again and keeps it\n",
                (long long)k->unsampled);
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
    if (k->longer > 0) {
        fprintf(stderr, "%lld cells were ended by --cell-limit and have more time now: they go on\n", (long long)k->longer);
    }
    if (k->revisions > 0) {
        fprintf(stderr, "%lld cells were done by another revision (%s, now %s); --redo runs all cells again, --db with another name keeps both\n",
                (long long)k->revisions, k->revision, zo_build_revision());
    }
}

/* A cell that is done. */
static zo_status look_at_done(const zo_cell *cell, zo_results *results, zo_identities *ids, zo_run_brief *brief, zo_err *err)
{
    zo_identity identity = zo_identity_of(ids, cell, NULL);
    return zo_results_brief(results, &identity, brief, err);
}

/* What --fail-on may name. */
static const char *const faults[] = {"oom", "diverged", "dead", "time", "unsupported", "constant"};

zo_status zo_fail_on_check(const char *list, zo_err *err)
{
    for (const char *at = list; at != NULL && *at != '\0';) {
        char word[40];
        size_t n = strcspn(at, ",");
        bool is_one = false;
        snprintf(word, sizeof word, "%.*s", (int)n, at);
        for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
            is_one = is_one || strcmp(word, faults[i]) == 0;
        }
        if (!is_one) {
            return zo_fail(err, ZO_EINPUT, "--fail-on has \"%s\"; expected a list such as oom,diverged of oom, diverged, dead, time, unsupported and constant", word);
        }
        at += n + (at[n] == ',');
    }
    return ZO_OK;
}

/* Does it carry what --fail-on names? */
static bool is_unwanted(const char *fail_on, const zo_run_brief *brief)
{
    bool found = false;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        bool has = strcmp(brief->status, faults[i]) == 0 || zo_key_in_list(brief->marks, faults[i]);
        found = found || (has && zo_key_in_list(fail_on, faults[i]));
    }
    return found;
}

/* limited: cells that --cell-limit has ended before and that are not to be run. */
static int run_todo(const zo_grid *grid, const bool *todo, int64_t limited, const zo_run_spec *spec, zo_results *results, zo_identities *ids, zo_live *l)
{
    int worst = 0;
    int64_t bad = 0, unwanted = 0, left = l->todo;
    for (int64_t i = 0; i < grid->n && !zo_run_interrupted; i++) {
        const zo_cell *cell = &grid->cell[i];
        zo_err err = {0};
        zo_run_brief brief = {.run = 0};
        int code = 0;
        if (todo[i]) {
            zo_identities *now = zo_identities_new(&spec->dirs); /* files may have changed since the first look */
            zo_identity identity = zo_identity_of(now, cell, NULL);
            zo_identities_free(now);
            code = run_one(cell, spec, &identity, results, l, &brief);
            l->done++;
            left -= code >= 0 && brief.finished;
            limited += code >= 0 && is_limited(&brief);
        } else if ((spec->json || spec->fail_on != NULL) && look_at_done(cell, results, ids, &brief, &err) != ZO_OK) {
            code = stop_run(l, &err);
        } else if (spec->json) {
            print_cell(cell, &brief, true);
        }
        if (code < 0) {
            return 2;
        }
        worst = code > worst ? code : worst;
        bad += code != 0;
        unwanted += code == 0 && is_unwanted(spec->fail_on, &brief);
    }
    zo_live_clear(l);
    if (zo_run_interrupted && left > 0) {
        const char *over = spec->over != NULL ? spec->over : "the time that --limit gives is over; start the same command again to go on";
        fprintf(stderr, "zo run: %s\n", zo_run_interrupted == SIGALRM ? over : "interrupted; start the same command again to go on");
        return interrupted_code();
    }
    if (limited > 0) {
        fprintf(stderr, "zo run: %lld of %lld cells were ended by --cell-limit; with a larger one, or none, they go on\n", (long long)limited, (long long)grid->n);
        worst = worst > 0 ? worst : 1;
    }
    if (bad > 0) {
        fprintf(stderr, "zo run: %lld of %lld cells failed; start the same command again to try them again\n", (long long)bad,
                (long long)l->todo);
    }
    if (unwanted > 0) {
        fprintf(stderr, "zo run: %lld of %lld cells ended as --fail-on %s has it\n", (long long)unwanted, (long long)grid->n, spec->fail_on);
    }
    return worst == 0 && unwanted > 0 ? 1 : worst;
}

int zo_run_grid(const zo_grid *grid, const zo_run_spec *spec)
{
    zo_err err = {0};
    zo_live l = {.terminal = isatty(STDERR_FILENO) != 0, .start = zo_now()};
    bool *todo = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid->n * sizeof *todo);
    zo_foreseen *foreseen = spec->dry ? zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid->n * sizeof *foreseen) : NULL;
    zo_identities *ids = zo_identities_new(&spec->dirs);
    known k = {0};
    zo_results *results = NULL;
    zo_run_interrupted = zo_run_signals = 0;
    static const int signals[] = {SIGALRM, SIGINT, SIGTERM, SIGHUP, SIGUSR1}; /* its own clock; ...; what a batch system sends before a job's time ends */
    enum { SIGNALS = sizeof signals / sizeof *signals };
    struct sigaction action = {.sa_handler = on_signal}, old[SIGNALS];
    for (int s = 0; s < SIGNALS; s++) {
        sigaction(signals[s], NULL, &old[s]);
        if (old[s].sa_handler != SIG_IGN) { /* as nohup has it */
            sigaction(signals[s], &action, NULL);
        }
    }
    set_clock(spec->dry ? 0 : spec->until);
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
        status = zo_run_check_cells(grid, todo, spec, &l, foreseen, &err);
    }
    if (status == ZO_OK && results == NULL && !spec->dry && !zo_run_interrupted) {
        status = open_results(spec->db, &results, &err);
    }
    int code = 0;
    if (status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
        code = zo_run_interrupted ? interrupted_code() : 2;
    } else if (spec->dry) {
        print_dry(grid, todo, foreseen, spec->json);
    } else if (zo_run_interrupted) {
        code = interrupted_code();
    }
    if (status == ZO_OK && !zo_run_interrupted) {
        print_known(&k, grid, spec->dry ? grid->n : l.todo);
    }
    if (status == ZO_OK && !spec->dry && !zo_run_interrupted) {
        l.start = zo_now();
        l.said_at = 0;
        code = run_todo(grid, todo, k.limited, spec, results, ids, &l);
    }
    set_clock(0);
    for (int s = 0; s < SIGNALS; s++) {
        sigaction(signals[s], &old[s], NULL);
    }
    zo_results_close(results);
    zo_identities_free(ids);
    zo_free(todo);
    zo_free(foreseen);
    return code;
}
