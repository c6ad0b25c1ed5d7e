/* process.c: the process of one cell: the job from the parent, the news to it, and what happens when memory runs out. It dies with its parent. Its run
 * stands in run.h. */
#include "bench/cell/process.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bench/cell/machine.h"
#include "bench/cell/outcome.h"
#include "bench/cell/predict.h"
#include "bench/cell/run.h"
#include "bench/cell/setup.h"
#include "bench/synth/pretrain.h"
#include "core/build.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/files/safetensors.h"
#include "optimizers/plugins.h"

#define NEWS_SECONDS 0.1  /* at most ten lines a second */

static zo_cell_run current; /* one cell a process; the out-of-memory handler needs it */

/* ---- being asked to end --------------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t asked, can_stop;

static void on_stop(int number)
{
    (void)number;
    if (!can_stop) {
        _exit(ZO_CELL_STOPPED); /* a database and a checkpoint bear that at any moment */
    }
    asked = 1;
}

bool zo_cell_is_asked_to_stop(void)
{
    return asked != 0;
}

void zo_cell_can_stop(void)
{
    can_stop = 1;
}

void zo_cell_phase(zo_cell_run *r, const char *phase)
{
    char name[16]; /* as the system has room for */
    r->phase = phase;
    snprintf(name, sizeof name, "zo %s", phase);
    prctl(PR_SET_NAME, name);
}

/* ---- provenance --------------------------------------------------------------------------------------------------------- */

zo_host_row zo_host(const char *device, int threads, int64_t memory_limit_bytes)
{
    static struct utsname name;
    static char binary[17];
    static char kernel[sizeof name.sysname + sizeof name.release + sizeof name.machine + 4];
    uname(&name);
    if (binary[0] == '\0') {
        zo_map program;
        if (zo_map_open(&program, zo_python_library(), NULL) == ZO_OK) { /* mapped: the ledger is the cell's */
            snprintf(binary, sizeof binary, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, program.data, program.bytes));
            zo_map_close(&program);
        }
    }
    snprintf(kernel, sizeof kernel, "%s %s %s", name.sysname, name.release, name.machine);
    return (zo_host_row){.host = name.nodename,
                         .device = device,
                         .compiler = "gcc " __VERSION__,
                         .flags = zo_build_flags(),
                         .revision = zo_build_revision(),
                         .binary = binary[0] != '\0' ? binary : NULL,
                         .kernel = kernel,
                         .threads = threads,
                         .memory_limit_bytes = memory_limit_bytes};
}

/* ---- news to the parent ------------------------------------------------------------------------------------------------- */

static void send_news(cJSON *news)
{
    char *text = cJSON_PrintUnformatted(news);
    size_t n = strlen(text);
    text[n] = '\n'; /* in place of the NUL */
    for (size_t at = 0; at < n + 1;) {
        ssize_t w = write(ZO_CELL_NEWS_FD, text + at, n + 1 - at);
        if (w < 0 && errno != EINTR) {
            break; /* the parent is gone, and so shall we be */
        }
        at += w > 0 ? (size_t)w : 0;
    }
    cJSON_free(text);
    cJSON_Delete(news);
}

/* The fault of what the user gave: of what an estimator says in a step the row says that it failed. */
static bool is_input(const zo_err *err)
{
    return !current.step_failed && (err->status == ZO_EINPUT || err->status == ZO_EIO);
}

static void send_error(const zo_err *err)
{
    cJSON *news = cJSON_CreateObject();
    cJSON_AddStringToObject(news, "error", err->text);
    cJSON_AddBoolToObject(news, "input", is_input(err));
    cJSON_AddBoolToObject(news, "oom", err->status == ZO_EOOM);
    send_news(news);
}

void zo_cell_say(const char *text)
{
    cJSON *news = cJSON_CreateObject();
    cJSON_AddStringToObject(news, "said", text);
    send_news(news);
}

/* How much of the budget is used: the limit that is nearest. */
double zo_cell_fraction_done(const zo_cell_run *r)
{
    const zo_cell *c = &r->cell;
    double f = 0;
    if (c->steps > 0) {
        f = fmax(f, (double)r->step / (double)c->steps);
    }
    if (c->forwards > 0) {
        f = fmax(f, (double)r->setup.counts.forwards / (double)c->forwards);
    }
    if (c->work > 0) {
        f = fmax(f, zo_setup_work(&r->setup) / c->work);
    }
    if (c->seconds > 0) {
        f = fmax(f, r->train_seconds / c->seconds);
    }
    return f;
}

void zo_cell_send_progress(zo_cell_run *r, bool now)
{
    double t = zo_now();
    if (!now && t - r->news_at < NEWS_SECONDS) {
        return;
    }
    r->news_at = t;
    cJSON *news = cJSON_CreateObject();
    cJSON_AddStringToObject(news, "phase", r->phase);
    cJSON_AddNumberToObject(news, "step", (double)r->step);
    cJSON_AddNumberToObject(news, "fraction", zo_cell_fraction_done(r));
    if (isfinite(r->loss)) {
        cJSON_AddNumberToObject(news, "loss", r->loss);
    }
    if (isfinite(r->dev_best)) {
        cJSON_AddNumberToObject(news, "dev", r->dev_best);
    }
    cJSON_AddNumberToObject(news, "forwards", (double)r->setup.counts.forwards);
    cJSON_AddNumberToObject(news, "tokens", (double)r->setup.counts.tokens);
    cJSON_AddNumberToObject(news, "seconds", r->train_seconds);
    send_news(news);
}

/* ---- out of memory -------------------------------------------------------------------------------------------------------- */

#define MORE_ROOM "a smaller batch or context, or a machine with more memory, may do"

/* Out of memory is a measurement: the row says what was held and what was asked for. */
static void on_oom(zo_space space, zo_tag tag, size_t bytes, void *context)
{
    (void)context;
    zo_peak live = zo_mem_live(space);
    char text[1000];
    char request[200];
    char held[400];
    snprintf(text, sizeof text, "out of memory: asked for %s beside %s; " MORE_ROOM, zo_mem_request(tag, bytes, request, sizeof request),
             zo_predict_text(live.tag_bytes, held, sizeof held));
    zo_mem_limit(ZO_HOST, 0); /* the words of the end need a few bytes more */
    zo_err err = {0};
    if (current.id == 0) { /* before there is a row, or in a check: the parent is told */
        cJSON *news = cJSON_CreateObject();
        cJSON_AddStringToObject(news, "error", text);
        cJSON_AddTrueToObject(news, "oom");
        send_news(news);
        _exit(ZO_CELL_FAILED);
    }
    if (zo_cell_end(&current, "oom", text, &err) != ZO_OK) {
        send_error(&err);
        _exit(ZO_CELL_INPUT);
    }
    zo_results_close(current.results);
    _exit(ZO_CELL_ENDED);
}

/* ---- the process -------------------------------------------------------------------------------------------------------- */

static cJSON *read_job(void)
{
    static char text[1 << 16];
    size_t n = fread(text, 1, sizeof text - 1, stdin);
    text[n] = '\0';
    return cJSON_Parse(text);
}

static const char *text_in(const cJSON *job, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(job, key);
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

/* What a check found: the peak by tag that a plan says, the limit that it is seen against (none on a card), and how many rows there are. */
static void send_check(zo_cell_run *r)
{
    cJSON *news = cJSON_CreateObject();
    uint64_t bytes[ZO_TAGS];
    zo_predict_peak(&r->setup, bytes);
    bytes[ZO_TAG_OTHER] += zo_results_bytes();
    double tags[ZO_TAGS];
    for (int t = 0; t < ZO_TAGS; t++) {
        tags[t] = (double)bytes[t];
    }
    cJSON_AddItemToObject(news, "bytes", cJSON_CreateDoubleArray(tags, ZO_TAGS));
    cJSON_AddNumberToObject(news, "limit", r->space == ZO_HOST ? (double)r->memory_limit : 0);
    cJSON_AddNumberToObject(news, "dev", zo_dataset_size(r->setup.dataset, ZO_DEV));
    cJSON_AddNumberToObject(news, "test", zo_dataset_size(r->setup.dataset, ZO_TEST));
    send_news(news);
}

/* Records the peak that is predicted of training. ZO_EOOM with a sentence where the process may not take as much, by more than the prediction may be wrong. */
static zo_status foresee(zo_cell_run *r, zo_err *err)
{
    uint64_t bytes[ZO_TAGS];
    double sum = 0;
    char text[400];
    if (!zo_estimator_trains(r->cell.estimator) || r->cell.estimator->unmeasured != NULL) {
        return ZO_OK;
    }
    zo_predict_peak(&r->setup, bytes);
    for (int t = 0; t < ZO_TAGS; t++) {
        sum += (double)bytes[t];
    }
    zo_status status = zo_results_predict(r->results, r->id, "train_peak_bytes", sum, err);
    return status != ZO_OK || r->space != ZO_HOST || sum <= (1 + ZO_PREDICT_MARGIN) * (double)r->memory_limit
               ? status
               : zo_fail(err, ZO_EOOM, "not started: its training is predicted to take %s, and it may take %.1f MB; " MORE_ROOM,
                         zo_predict_text(bytes, text, sizeof text), (double)r->memory_limit / 1e6);
}

/* Model and data of the row. A folder that cannot be found or read is left to zo_setup_open, which says what is wrong with it. */
static zo_status record_source(zo_cell_run *r, const zo_setup_dirs *dirs, zo_err *err)
{
    char folder[4096];
    zo_err ignored = {0};
    zo_source_row source = {.data_folder = zo_setup_data_dir(dirs)};
    if (zo_model_folder(r->cell.model, dirs->models, NULL, NULL, folder, &ignored) == ZO_OK) {
        source.model_folder = folder;
    }
    return zo_results_source(r->results, r->id, &source, err);
}

static double number_in(const cJSON *job, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(job, key);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

/* The cell's identity, as the parent found it. */
static zo_identity job_identity(const cJSON *job, const zo_cell *cell)
{
    zo_identity identity = {0};
    const struct { const char *key; char *to; } part[] = {{"model_fingerprint", identity.model},
                                                          {"tokenizer_fingerprint", identity.tokenizer},
                                                          {"rows_fingerprint", identity.rows},
                                                          {"task_fingerprint", identity.task},
                                                          {"plugin_fingerprint", identity.plugin}};
    snprintf(identity.hash, sizeof identity.hash, "%s", cell->hash);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        const char *text = text_in(job, part[i].key);
        snprintf(part[i].to, sizeof identity.hash, "%s", text != NULL ? text : "");
    }
    return identity;
}

/* A row never says that it is of another plug-in than the one that ran. */
static zo_status check_plugin(const zo_cell *cell, const zo_identity *identity, zo_err *err)
{
    char loaded[17] = "";
    if (zo_plugin_path(cell->estimator) != NULL) {
        snprintf(loaded, sizeof loaded, "%016llx", (unsigned long long)zo_plugin_loaded(cell->estimator));
    }
    return strcmp(loaded, identity->plugin) == 0
               ? ZO_OK
               : zo_fail(err, ZO_EINPUT, "%s: has changed while its cell was started; start the same command again",
                         zo_plugin_path(cell->estimator) != NULL ? zo_plugin_path(cell->estimator) : cell->estimator->name);
}

/* The job, from the parse to the last row; whatever it opened stands in `r` and *be, and is given back by the caller. */
static zo_status do_job(zo_cell_run *r, const cJSON *job, zo_backend **be, zo_err *err)
{
    double start = zo_now();
    r->samples = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(job, "samples"));
    zo_setup_dirs dirs = {.data = text_in(job, "data"), .models = text_in(job, "models"), .samples = r->samples};
    zo_status status = zo_cell_parse(&r->cell, text_in(job, "config"), err);
    status = status == ZO_OK ? zo_backend_open(r->cell.device, (int)r->cell.threads, be, err) : status;
    status = status == ZO_OK ? zo_backend_choose(*be, (zo_algorithms)r->cell.algorithms, err) : status;
    if (status == ZO_EUNSUPPORTED && text_in(job, "db") == NULL) {
        err->status = status = ZO_EINPUT; /* a device that is not there is a mistake of the config */
    }
    if (status != ZO_OK || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(job, "device_only"))) {
        return status;
    }
    r->space = (*be)->space;
    if (text_in(job, "db") == NULL) {
        zo_cell_phase(r, "check");
        status = zo_setup_open(&r->setup, &r->cell, &dirs, *be, err);
        if (status == ZO_OK) {
            send_check(r);
        }
        return status;
    }
    zo_host_row host = zo_host((*be)->device, (*be)->threads, r->space == ZO_HOST ? (int64_t)r->memory_limit : -1);
    zo_cell_row row = zo_cell_to_row(&r->cell);
    r->identity = job_identity(job, &r->cell);
    snprintf(r->checkpoint.path, sizeof r->checkpoint.path, "%s.%s.checkpoint", text_in(job, "db"), r->cell.hash);
    r->checkpoint.every_seconds = 60 * number_in(job, "checkpoint_minutes");
    r->checkpoint.every_steps = (int64_t)number_in(job, "checkpoint_steps");
    r->limit_seconds = number_in(job, "limit_seconds");
    r->threads = (*be)->threads;
    status = check_plugin(&r->cell, &r->identity, err);
    status = status == ZO_OK ? zo_results_open(&r->results, text_in(job, "db"), false, err) : status; /* the parent has made it */
    status = status == ZO_OK ? zo_results_begin(r->results, &row, &r->identity, &host, &r->id, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_cell_send_progress(r, true);
    status = record_source(r, &dirs, err);
    status = status == ZO_OK ? zo_setup_open(&r->setup, &r->cell, &dirs, *be, err) : status;
    if (status == ZO_OK && text_in(job, "save") != NULL && zo_estimator_trains(r->cell.estimator)) {
        zo_path_join(r->save, sizeof r->save, text_in(job, "save"), r->cell.hash);
        status = zo_model_save_check(r->setup.model, text_in(job, "save"), err);
        status = status == ZO_EUNSUPPORTED ? ZO_EINPUT : status; /* --save is no part of the cell, which is run without it */
    }
    r->load_seconds = zo_now() - start;
    bool is_open = status == ZO_OK;
    status = is_open ? foresee(r, err) : status;
    if (status == ZO_EUNSUPPORTED || (is_open && status == ZO_EOOM)) {
        char message[sizeof err->text];
        snprintf(message, sizeof message, "%s", err->text);
        return zo_cell_end(r, status == ZO_EOOM ? "oom" : "unsupported", message, err);
    }
    if (status == ZO_OK) {
        if (zo_dataset_size(r->setup.dataset, ZO_DEV) == 0) { /* asked for, and there was none */
            r->cell.selection = zo_selection_without_dev((zo_selection)r->cell.selection);
        }
        status = zo_cell_loop(r, err);
        zo_cell_send_progress(r, true);
    }
    return status;
}

int zo_cmd_cell(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigaction(SIGTERM, &(struct sigaction){.sa_handler = on_stop, .sa_flags = SA_RESTART}, NULL);
    cJSON *job = read_job();
    if (text_in(job, "config") == NULL || fcntl(ZO_CELL_NEWS_FD, F_GETFD) < 0) {
        fprintf(stderr, "zo cell: is started by `zo run`, not by hand\n");
        cJSON_Delete(job);
        return ZO_CELL_INPUT;
    }
    const cJSON *parent = cJSON_GetObjectItemCaseSensitive(job, "parent");
    if (cJSON_IsNumber(parent) && getppid() != (pid_t)parent->valuedouble) {
        cJSON_Delete(job);
        return ZO_CELL_FAILED; /* it died before prctl could bind us to it */
    }
    zo_cell_run *r = &current;
    zo_mem_phase(ZO_PHASE_LOAD);
    r->dev_best = r->drift = r->score_best = r->loss = NAN;
    r->evaluated_at = r->fault_step = -1;
    zo_cell_phase(r, "load");
    zo_err err = {0};
    zo_backend *be = NULL;
    int code = ZO_CELL_ENDED;
    zo_status status = zo_memory_limit(&r->memory_limit, &err);
    zo_mem_limit(ZO_HOST, r->memory_limit);
    zo_mem_on_oom(on_oom, NULL);
    r->candidate_room = ZO_CELL_CANDIDATES; /* before a check looks at what is held */
    r->candidate = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ZO_CELL_CANDIDATES * sizeof *r->candidate);
    r->step_seconds = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ZO_CELL_TIMES * sizeof *r->step_seconds);
    status = status == ZO_OK ? do_job(r, job, &be, &err) : status;
    if (status != ZO_OK) { /* the parent writes the row's status */
        send_error(&err);
        code = is_input(&err) ? ZO_CELL_INPUT : ZO_CELL_FAILED;
    } else if (r->stopped) {
        code = ZO_CELL_STOPPED;
    }
    zo_setup_close(&r->setup);
    if (be != NULL) {
        be->close(be);
    }
    zo_results_close(r->results);
    zo_cell_free(&r->cell);
    zo_free(r->step_seconds);
    zo_free(r->candidate);
    cJSON_Delete(job);
    return code;
}
