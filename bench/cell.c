/* cell.c: the process of one cell: the loop, the budget, the clock, evaluations, rows. It dies with its parent.
 *
 * Selection, as the papers do it: dev is evaluated every eval_every steps (or at each tenth of the budget) and after the last;
 * whenever dev accuracy (or, with `select` loss, dev loss) is better than ever before (step 0 does not compete), test is evaluated
 * at once, so "test@best-dev" needs no second copy of the weights. Both stay outside the timed steps. */
#include "bench/cell.h"

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

#include "bench/cmd.h"
#include "bench/pretrain.h"
#include "bench/setup.h"
#include "core/build.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/safetensors.h"

#define NEWS_SECONDS 0.1  /* at most ten lines a second */
#define WRITE_SECONDS 2.0 /* step rows are written at least this often */
#define ROWS_MOST 256
#define TIMES_MOST 4096   /* the median is over the last so many steps */
#define EVERY_STEP 500    /* rows of every step up to here, then one each step/500 steps */

typedef struct run {
    zo_cell cell;
    zo_results *results;
    int64_t id;
    zo_setup setup;
    zo_space space;                     /* where the model lives: its ledger is the one that is recorded */
    double load_seconds, train_seconds, eval_seconds;
    double part[ZO_PARTS];
    int64_t step;                       /* steps done */
    /* rows of steps not yet written, and the one being gathered */
    zo_step_row row[ROWS_MOST];
    int rows;
    zo_step_row gather;
    int64_t gathered;
    double written_at;
    double *step_seconds;               /* (TIMES_MOST) ring */
    int64_t timed;
    /* evaluations */
    int64_t evaluated_at;               /* step of the last dev evaluation; -1 = none */
    double dev_best, score_best;        /* dev accuracy and the score (selection_score) of the selected evaluation; NaN = none */
    int64_t tenths;                     /* of the budget, at the last evaluation of ZO_EVAL_TENTHS */
    int64_t best_step;
    double headline[ZO_METRICS];
    const char *selected;
    /* news */
    double news_at, loss;
    const char *phase;
} run;

static run the; /* one cell a process; the out-of-memory handler needs it */

/* ---- provenance --------------------------------------------------------------------------------------------------------- */

zo_host_row zo_host(const char *device, int threads)
{
    static struct utsname name;
    static char kernel[sizeof name.sysname + sizeof name.release + sizeof name.machine + 4];
    uname(&name);
    snprintf(kernel, sizeof kernel, "%s %s %s", name.sysname, name.release, name.machine);
    return (zo_host_row){.host = name.nodename,
                         .device = device,
                         .compiler = "gcc " __VERSION__,
                         .flags = zo_build_flags(),
                         .revision = zo_build_revision(),
                         .kernel = kernel,
                         .threads = threads};
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

static void send_error(const zo_err *err)
{
    cJSON *news = cJSON_CreateObject();
    cJSON_AddStringToObject(news, "error", err->text);
    cJSON_AddBoolToObject(news, "input", err->status == ZO_EINPUT || err->status == ZO_EIO);
    send_news(news);
}

/* How much of the budget is used: the limit that is nearest. */
static double fraction_done(const run *r)
{
    const zo_cell *c = &r->cell;
    double f = 0;
    if (c->steps > 0) {
        f = fmax(f, (double)r->step / (double)c->steps);
    }
    if (c->forwards > 0) {
        f = fmax(f, (double)r->setup.counts.forwards / (double)c->forwards);
    }
    if (c->seconds > 0) {
        f = fmax(f, r->train_seconds / c->seconds);
    }
    return f;
}

static void send_progress(run *r, bool now)
{
    double t = zo_now();
    if (!now && t - r->news_at < NEWS_SECONDS) {
        return;
    }
    r->news_at = t;
    cJSON *news = cJSON_CreateObject();
    cJSON_AddStringToObject(news, "phase", r->phase);
    cJSON_AddNumberToObject(news, "step", (double)r->step);
    cJSON_AddNumberToObject(news, "fraction", fraction_done(r));
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

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

static zo_status write_rows(run *r, zo_err *err)
{
    zo_status status = zo_results_steps(r->results, r->id, r->row, r->rows, err);
    r->rows = 0;
    r->written_at = zo_now();
    return status;
}

static void close_gathered(run *r)
{
    if (r->gathered == 0) {
        return;
    }
    double n = (double)r->gathered;
    zo_step_row *g = &r->gather;
    g->loss /= n;
    g->seconds /= n;
    for (int k = 0; k < ZO_PARTS; k++) {
        g->part[k] /= n;
    }
    g->step = r->step;
    g->forwards = r->setup.counts.forwards;
    g->train_seconds = r->train_seconds;
    r->row[r->rows++] = *g;
    memset(g, 0, sizeof *g);
    r->gathered = 0;
}

static zo_status record_step(run *r, const zo_step_report *report, double seconds, zo_err *err)
{
    zo_step_row *g = &r->gather;
    g->loss += report->loss;
    g->projected = report->projected;
    g->lr = report->lr;
    g->seconds += seconds;
    for (int k = 0; k < ZO_PARTS; k++) {
        g->part[k] += r->setup.part[k];
        r->part[k] += r->setup.part[k];
    }
    r->gathered++;
    int64_t every = r->cell.log_every > 0 ? r->cell.log_every : r->step <= EVERY_STEP ? 1 : r->step / EVERY_STEP;
    if (r->gathered >= every) {
        close_gathered(r);
    }
    if (r->rows == ROWS_MOST || (r->rows > 0 && zo_now() - r->written_at > WRITE_SECONDS)) {
        return write_rows(r, err);
    }
    return ZO_OK;
}

static double median_step_ms(const run *r)
{
    int64_t n = r->timed < TIMES_MOST ? r->timed : TIMES_MOST;
    return 1e3 * zo_median(r->step_seconds, n);
}

static void record_time(run *r, double seconds)
{
    if (r->step == 4) { /* more than three: the first one, which warms caches, is left out */
        memmove(r->step_seconds, r->step_seconds + 1, 2 * sizeof *r->step_seconds);
        r->timed--;
    }
    r->step_seconds[r->timed % TIMES_MOST] = seconds;
    r->timed++;
}

/* ---- the end of a run --------------------------------------------------------------------------------------------------- */

static zo_status end_run(run *r, const char *status_text, const char *message, zo_err *err)
{
    zo_status status = ZO_OK;
    close_gathered(r);
    status = write_rows(r, err);
    for (int phase = 0; phase <= ZO_PHASES && status == ZO_OK; phase++) {
        zo_peak peak = phase < ZO_PHASES ? zo_mem_peak(r->space, (zo_phase)phase) : zo_mem_peak_overall(r->space);
        if (peak.total_bytes > 0) {
            status = zo_results_memory(r->results, r->id, (zo_phase)phase, &peak, err);
        }
    }
    if (status != ZO_OK) {
        return status;
    }
    zo_setup *s = &r->setup;
    int64_t parameters = 0;
    if (s->model != NULL) {
        const zo_layout *layout = zo_model_layout(s->model);
        for (int i = 0; i < layout->n; i++) {
            parameters += layout->param[i].rows * layout->param[i].cols;
        }
    }
    char note[1200] = "";
    if (s->dataset != NULL) {
        const char *text = zo_dataset_note(s->dataset);
        int64_t cut = zo_dataset_truncated(s->dataset);
        snprintf(note, sizeof note, "%.1000s", text != NULL ? text : "");
        if (cut > 0) {
            snprintf(note + strlen(note), sizeof note - strlen(note), "%s%lld sequences were cut to %lld tokens", note[0] ? "; " : "",
                     (long long)cut, (long long)r->cell.context);
        }
    }
    zo_run_end end = {.status = status_text,
                      .message = message,
                      .accuracy = r->headline[ZO_ACCURACY],
                      .f1 = r->headline[ZO_F1],
                      .matthews = r->headline[ZO_MATTHEWS],
                      .selected = r->selected,
                      .best_step = r->best_step,
                      .dev_accuracy = r->dev_best,
                      .steps_done = r->step,
                      .forwards = s->counts.forwards,
                      .sequences = s->counts.sequences,
                      .tokens = s->counts.tokens,
                      .paper_tokens = s->counts.paper_tokens,
                      .examples = s->counts.examples,
                      .weight_bytes_written = s->counters.weight_bytes_written,
                      .normals = s->counters.normals,
                      .train_seconds = r->train_seconds,
                      .eval_seconds = r->eval_seconds,
                      .load_seconds = r->load_seconds,
                      .step_ms_median = median_step_ms(r),
                      .peak_bytes = zo_mem_peak_overall(r->space).total_bytes,
                      .train_peak_bytes = zo_mem_peak(r->space, ZO_PHASE_TRAIN).total_bytes,
                      .rss_peak_bytes = zo_rss_peak_bytes(),
                      .parameters = parameters,
                      .note = note[0] ? note : NULL};
    memcpy(end.part, r->part, sizeof end.part);
    return zo_results_end(r->results, r->id, &end, err);
}

/* Out of memory is a measurement: the row says what was held and what was asked for. */
static void on_oom(zo_space space, zo_tag tag, size_t bytes, void *context)
{
    (void)context;
    zo_peak live = zo_mem_live(space);
    char text[1000];
    int at = snprintf(text, sizeof text, "out of memory: asked for %.1f MB of %s while %.1f MB were live (", (double)bytes / 1e6, zo_tag_name(tag),
                      (double)live.total_bytes / 1e6);
    bool first = true;
    for (int t = 0; t < ZO_TAGS && at < (int)sizeof text; t++) {
        if (live.tag_bytes[t] > 0) {
            at += snprintf(text + at, sizeof text - (size_t)at, "%s%s %.1f", first ? "" : ", ", zo_tag_name((zo_tag)t),
                           (double)live.tag_bytes[t] / 1e6);
            first = false;
        }
    }
    snprintf(text + (at < 900 ? at : 900), 100, "); a smaller batch or context, or a machine with more memory, may do");
    zo_mem_limit(ZO_HOST, 0); /* the words of the end need a few bytes more */
    zo_err err = {0};
    if (the.id == 0) { /* a check: no row */
        _exit(ZO_CELL_ENDED);
    }
    if (end_run(&the, "oom", text, &err) != ZO_OK) {
        send_error(&err);
        _exit(ZO_CELL_INPUT);
    }
    zo_results_close(the.results);
    _exit(ZO_CELL_ENDED);
}

/* ---- evaluation --------------------------------------------------------------------------------------------------------- */

static void set_headline(run *r, const zo_evaluation *e, const char *selected)
{
    memcpy(r->headline, e->metric, sizeof r->headline);
    r->selected = selected;
    r->best_step = r->step;
}

/* The last update, where it was put off, is training and not evaluation. */
static void settle(run *r)
{
    if (r->step == 0) {
        return;
    }
    double seconds;
    zo_setup_settle(&r->setup, &seconds);
    r->train_seconds += seconds;
    for (int k = 0; k < ZO_PARTS; k++) {
        r->part[k] += r->setup.part[k];
    }
}

/* What the best dev evaluation has most of. */
static double selection_score(const zo_cell *c, const zo_evaluation *e)
{
    return c->select == ZO_SELECT_LOSS ? -e->loss : e->metric[ZO_ACCURACY];
}

/* One split at the current weights, and its row. *best: dev is better than ever before (in), or test stands for such a dev (test). */
static zo_status evaluate_split(run *r, zo_split split, bool *best, zo_evaluation *e, zo_err *err)
{
    const char *name = split == ZO_DEV ? "dev" : "test";
    zo_setup_evaluate(&r->setup, split, e);
    r->eval_seconds += e->seconds;
    if (!isfinite(e->loss)) { /* choices from such numbers are no accuracy */
        return r->step > 0 ? zo_fail(err, ZO_EDIVERGED, "the loss on %s after %lld steps is %g: the run has diverged; a smaller lr may help",
                                     name, (long long)r->step, e->loss)
                           : zo_fail(err, ZO_EDIVERGED, "the loss on %s before any training is %g: the model itself gives it; look at its "
                                     "weights%s", name, e->loss, r->cell.precision != ZO_F32 ? ", or try \"precision\": \"f32\"" : "");
    }
    if (split == ZO_DEV) {
        bool competes = r->step > 0 || r->cell.estimator->step == NULL;
        *best = competes && !(selection_score(&r->cell, e) <= r->score_best);
    }
    zo_eval_row row = {.step = r->step,
                       .split = name,
                       .examples = e->examples,
                       .accuracy = e->metric[ZO_ACCURACY],
                       .f1 = e->metric[ZO_F1],
                       .matthews = e->metric[ZO_MATTHEWS],
                       .loss = e->loss,
                       .seconds = e->seconds,
                       .forwards = r->setup.counts.forwards,
                       .train_seconds = r->train_seconds,
                       .best = *best};
    return zo_results_eval(r->results, r->id, &row, err);
}

/* `last`: training is over. Where there is no dev set, test is evaluated at the end only. */
static zo_status evaluate(run *r, bool last, zo_err *err)
{
    bool has_dev = zo_dataset_size(r->setup.dataset, ZO_DEV) > 0, has_test = zo_dataset_size(r->setup.dataset, ZO_TEST) > 0;
    if (r->evaluated_at == r->step || (!has_dev && !(has_test && last))) {
        return ZO_OK;
    }
    r->evaluated_at = r->step;
    settle(r);
    zo_mem_phase(ZO_PHASE_EVAL);
    r->phase = "eval";
    send_progress(r, true);
    zo_evaluation e;
    bool best = false;
    zo_status status = evaluate_split(r, has_dev ? ZO_DEV : ZO_TEST, &best, &e, err);
    if (status == ZO_OK && !has_dev) {
        set_headline(r, &e, "last-test");
    } else if (status == ZO_OK && best) {
        bool by_loss = r->cell.select == ZO_SELECT_LOSS;
        r->dev_best = e.metric[ZO_ACCURACY];
        r->score_best = selection_score(&r->cell, &e);
        set_headline(r, &e, by_loss ? "best-dev-loss" : "best-dev");
        if (has_test) {
            status = evaluate_split(r, ZO_TEST, &best, &e, err);
            set_headline(r, &e, by_loss ? "test@best-dev-loss" : "test@best-dev");
        }
    }
    zo_mem_phase(ZO_PHASE_TRAIN);
    r->phase = "train";
    return status;
}

/* ---- the loop ----------------------------------------------------------------------------------------------------------- */

/* 0 = go on, else why not: 's' the budget is used, 't' time ended before another budget did. */
static char budget_end(const run *r)
{
    const zo_cell *c = &r->cell;
    if ((c->steps > 0 && r->step >= c->steps) || (c->forwards > 0 && r->setup.counts.forwards >= (uint64_t)c->forwards)) {
        return 's';
    }
    if (c->seconds > 0 && r->train_seconds >= c->seconds) {
        return c->steps > 0 || c->forwards > 0 ? 't' : 's';
    }
    return 0;
}

/* Is there an evaluation after this step? By tenths, of the budget that is nearest to its end: as many for a method of two forwards a
 * step as for one that reads the whole training set. */
static bool evaluation_due(run *r)
{
    const zo_cell *c = &r->cell;
    if (c->eval_every >= 0) {
        return c->eval_every > 0 && r->step % c->eval_every == 0;
    }
    int64_t tenths = 10 * (int64_t)r->setup.counts.forwards / c->forwards, by_steps = c->steps > 0 ? 10 * r->step / c->steps : 0;
    tenths = by_steps > tenths ? by_steps : tenths;
    bool due = tenths > r->tenths;
    r->tenths = tenths;
    return due;
}

/* Steps until the budget is used; *ended says why it is. */
static zo_status train(run *r, char *ended, zo_err *err)
{
    while ((*ended = budget_end(r)) == 0) {
        zo_step_report report;
        double seconds;
        zo_status status = zo_setup_step(&r->setup, r->step, &report, &seconds, err);
        r->train_seconds += seconds;
        if (status != ZO_OK) {
            return status;
        }
        r->step++;
        r->loss = report.loss;
        record_time(r, seconds);
        status = record_step(r, &report, seconds, err);
        if (status == ZO_OK && evaluation_due(r) && budget_end(r) == 0) {
            status = evaluate(r, false, err);
        }
        if (status != ZO_OK) {
            return status;
        }
        send_progress(r, false);
    }
    settle(r);
    return ZO_OK;
}

static zo_status run_cell(run *r, zo_err *err)
{
    bool trains = r->cell.estimator->step != NULL;
    zo_mem_phase(ZO_PHASE_TRAIN);
    zo_status status = evaluate(r, !trains, err);
    if (status == ZO_EDIVERGED) { /* no step has to do with it */
        char message[sizeof err->text];
        snprintf(message, sizeof message, "%s", err->text);
        return end_run(r, "diverged", message, err);
    }
    char ended = 's';
    if (status == ZO_OK && trains) {
        status = train(r, &ended, err);
        if (status == ZO_OK) {
            status = evaluate(r, true, err);
        }
    }
    if (status == ZO_EDIVERGED) {
        char message[1100];
        snprintf(message, sizeof message, "step %lld: %s", (long long)r->step + 1, err->text);
        return end_run(r, "diverged", message, err);
    }
    if (status == ZO_EUNSUPPORTED) {
        return end_run(r, "unsupported", err->text, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    return end_run(r, ended == 't' ? "time" : "done", ended == 't' ? "the budget in seconds ended before the other one" : NULL, err);
}

/* ---- the process -------------------------------------------------------------------------------------------------------- */

/* What may be allocated: the memory that is free now, or what a control group leaves, or $ZO_MEMORY_LIMIT in bytes; a little is kept
 * for what the ledger does not see. */
static uint64_t read_bytes(const char *path, const char *key)
{
    char *text;
    size_t n;
    uint64_t bytes = 0;
    if (zo_read_file(path, 1 << 20, &text, &n, NULL) != ZO_OK) {
        return 0;
    }
    const char *at = key != NULL ? strstr(text, key) : text;
    if (at != NULL) {
        at += key != NULL ? strlen(key) : 0;
        bytes = strtoull(at, NULL, 10); /* "max" reads as 0 = none */
    }
    zo_free(text);
    return bytes;
}

static void limit_memory(void)
{
    const char *wish = getenv("ZO_MEMORY_LIMIT");
    uint64_t limit = 1024 * read_bytes("/proc/meminfo", "MemAvailable:");
    uint64_t group = read_bytes("/sys/fs/cgroup/memory.max", NULL), used = read_bytes("/sys/fs/cgroup/memory.current", NULL);
    if (group > used && (limit == 0 || group - used < limit)) {
        limit = group - used;
    }
    limit = limit > 200u << 20 ? limit - (128u << 20) : limit;
    if (wish != NULL && strtoull(wish, NULL, 10) > 0) {
        limit = strtoull(wish, NULL, 10);
    }
    zo_mem_limit(ZO_HOST, limit);
    zo_mem_on_oom(on_oom, NULL);
}

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

/* What a check found: sizes for the dry run. */
static void send_check(run *r)
{
    cJSON *news = cJSON_CreateObject();
    zo_peak live = zo_mem_live(r->space);
    const zo_store *weights = zo_model_store(r->setup.model);
    cJSON_AddNumberToObject(news, "arena_bytes", (double)weights->layout->size * 4); /* gradients, moments, stored directions are f32 */
    cJSON_AddNumberToObject(news, "snapshot_bytes", (double)(weights->layout->size * zo_storage_bytes(weights->storage)));
    cJSON *tags = cJSON_AddObjectToObject(news, "bytes");
    for (int t = 0; t < ZO_TAGS; t++) {
        cJSON_AddNumberToObject(tags, zo_tag_name((zo_tag)t), (double)live.tag_bytes[t]);
    }
    send_news(news);
}

/* Model and data of the row. A folder that cannot be found or read is left to zo_setup_open, which says what is wrong with it. */
static zo_status record_source(run *r, const zo_setup_dirs *dirs, zo_err *err)
{
    char folder[4096], text[17];
    uint64_t print;
    zo_err ignored = {0};
    zo_source_row source = {.data_folder = zo_setup_data_dir(dirs)};
    if (zo_model_folder(r->cell.model, dirs->models, NULL, NULL, folder, &ignored) == ZO_OK) {
        source.model_folder = folder;
        if (zo_model_fingerprint(folder, &print, &ignored) == ZO_OK) {
            snprintf(text, sizeof text, "%016llx", (unsigned long long)print);
            source.model_fingerprint = text;
        }
    }
    return zo_results_source(r->results, r->id, &source, err);
}

/* The job, from the parse to the last row; whatever it opened stands in `r` and *be, and is given back by the caller. */
static zo_status do_job(run *r, const cJSON *job, zo_backend **be, zo_err *err)
{
    double start = zo_now();
    zo_setup_dirs dirs = {.data = text_in(job, "data"), .models = text_in(job, "models")};
    zo_status status = zo_cell_parse(&r->cell, text_in(job, "config"), err);
    status = status == ZO_OK ? zo_backend_open(r->cell.device, (int)r->cell.threads, be, err) : status;
    if (status == ZO_EUNSUPPORTED && text_in(job, "db") == NULL) {
        err->status = status = ZO_EINPUT; /* a device that is not there is a mistake of the config */
    }
    if (status != ZO_OK || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(job, "device_only"))) {
        return status;
    }
    r->space = (*be)->space;
    if (text_in(job, "db") == NULL) { /* a check */
        status = zo_setup_open(&r->setup, &r->cell, &dirs, *be, err);
        if (status == ZO_OK) {
            send_check(r);
        }
        return status;
    }
    zo_host_row host = zo_host((*be)->device, (*be)->threads);
    zo_cell_row row = zo_cell_to_row(&r->cell);
    status = zo_results_open(&r->results, text_in(job, "db"), true, err);
    status = status == ZO_OK ? zo_results_begin(r->results, &row, &host, &r->id, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    send_progress(r, true);
    status = record_source(r, &dirs, err);
    status = status == ZO_OK ? zo_setup_open(&r->setup, &r->cell, &dirs, *be, err) : status;
    r->load_seconds = zo_now() - start;
    if (status == ZO_EUNSUPPORTED) {
        char message[sizeof err->text];
        snprintf(message, sizeof message, "%s", err->text);
        return end_run(r, "unsupported", message, err);
    }
    if (status == ZO_OK) {
        status = run_cell(r, err);
        send_progress(r, true);
    }
    return status;
}

int zo_cmd_cell(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
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
    run *r = &the;
    zo_mem_phase(ZO_PHASE_LOAD);
    limit_memory();
    r->dev_best = r->score_best = r->loss = NAN;
    for (int m = 0; m < ZO_METRICS; m++) {
        r->headline[m] = NAN;
    }
    r->evaluated_at = -1;
    r->phase = "load";
    r->step_seconds = zo_alloc(ZO_HOST, ZO_TAG_OTHER, TIMES_MOST * sizeof *r->step_seconds);
    zo_err err = {0};
    zo_backend *be = NULL;
    int code = ZO_CELL_ENDED;
    if (do_job(r, job, &be, &err) != ZO_OK) { /* the parent writes the row's status */
        send_error(&err);
        code = err.status == ZO_EINPUT || err.status == ZO_EIO ? ZO_CELL_INPUT : ZO_CELL_FAILED;
    }
    zo_setup_close(&r->setup);
    if (be != NULL) {
        be->close(be);
    }
    zo_results_close(r->results);
    zo_cell_free(&r->cell);
    zo_free(r->step_seconds);
    cJSON_Delete(job);
    return code;
}
