/* cell.c: the process of one cell: the loop, the budget, the clock, evaluations, rows. It dies with its parent.
 *
 * Selection, as the papers do it: dev is evaluated every eval_every steps (or at each tenth of the budget) and after the last;
 * whenever it is better than ever before by the cell's `selection` (step 0 does not compete), test is evaluated at once, so
 * "test@best-dev" needs no second copy of the weights. Both stay outside the timed steps. bench/outcome.h has the rules. */
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
#include "bench/machine.h"
#include "bench/outcome.h"
#include "bench/predict.h"
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
    struct { double sum; int64_t n; } full, other; /* seconds of steps that read the whole training set, and of the others */
    double first_seconds;               /* of the first step; left out of the means when there are more than three */
    bool first_full;
    double paper_queries;               /* NaN once a step has none */
    zo_load load_start, load_end;       /* around the loop */
    uint64_t memory_limit;              /* of this process, bytes */
    /* evaluations */
    int64_t evaluated_at;               /* step of the last one; -1 = none */
    zo_candidate *candidate;            /* (candidates) */
    int64_t candidates, candidate_room;
    double score_best, dev_best;        /* score and dev metric of the best one so far; NaN = none */
    double drift;                       /* zo_setup_drift at the end */
    int64_t tenths;                     /* of the budget, at the last evaluation of ZO_EVAL_TENTHS */
    zo_watch watch;
    zo_fault fault;
    int64_t fault_step;                 /* -1 = none */
    bool is_constant;                   /* the headline is one class on all rows */
    int threads;
    /* news */
    double news_at, loss;
    const char *phase;
} run;

static run the; /* one cell a process; the out-of-memory handler needs it */

/* ---- provenance --------------------------------------------------------------------------------------------------------- */

zo_host_row zo_host(const char *device, int threads, int64_t memory_limit_bytes)
{
    static struct utsname name;
    static char binary[17];
    static char kernel[sizeof name.sysname + sizeof name.release + sizeof name.machine + 4];
    uname(&name);
    if (binary[0] == '\0') {
        zo_map program;
        if (zo_map_open(&program, "/proc/self/exe", NULL) == ZO_OK) { /* mapped: the ledger is the cell's */
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

static void send_error(const zo_err *err)
{
    cJSON *news = cJSON_CreateObject();
    cJSON_AddStringToObject(news, "error", err->text);
    cJSON_AddBoolToObject(news, "input", err->status == ZO_EINPUT || err->status == ZO_EIO);
    cJSON_AddBoolToObject(news, "oom", err->status == ZO_EOOM);
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
    if (c->work > 0) {
        f = fmax(f, zo_setup_work(&r->setup) / c->work);
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
    g->work = zo_setup_work(&r->setup);
    g->train_seconds = r->train_seconds;
    zo_watch_loss(&r->watch, g->step, g->loss);
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
    g->full_steps += report->full_batch;
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

static void record_time(run *r, const zo_step_report *report, double seconds)
{
    if (r->step == 1) {
        r->first_seconds = seconds;
        r->first_full = report->full_batch;
    }
    if (r->step == 4) { /* more than three: the first one, which warms caches, is left out */
        memmove(r->step_seconds, r->step_seconds + 1, 2 * sizeof *r->step_seconds);
        r->timed--;
    }
    r->step_seconds[r->timed % TIMES_MOST] = seconds;
    r->timed++;
    if (report->full_batch) {
        r->full.sum += seconds;
        r->full.n++;
    } else {
        r->other.sum += seconds;
        r->other.n++;
    }
    r->paper_queries += report->paper_queries;
}

/* Value at the share `q` of n sorted ones, between its neighbours (as numpy's default); NaN for n = 0. */
static double quantile(const double *sorted, int64_t n, double q)
{
    if (n == 0) {
        return NAN;
    }
    double at = q * (double)(n - 1);
    int64_t low = (int64_t)at, high = low + 1 < n ? low + 1 : low;
    return sorted[low] + (at - (double)low) * (sorted[high] - sorted[low]);
}

static void take_times(run *r, zo_run_end *end)
{
    int64_t n = r->timed < TIMES_MOST ? r->timed : TIMES_MOST;
    end->step_ms_median = 1e3 * zo_median(r->step_seconds, n); /* sorts */
    end->step_ms_q1 = 1e3 * quantile(r->step_seconds, n, 0.25);
    end->step_ms_q3 = 1e3 * quantile(r->step_seconds, n, 0.75);
    end->full_steps = r->full.n;
    double full = r->full.sum, other = r->other.sum;
    int64_t full_n = r->full.n, other_n = r->other.n;
    if (r->step > 3) {
        full -= r->first_full ? r->first_seconds : 0;
        other -= r->first_full ? 0 : r->first_seconds;
        full_n -= r->first_full;
        other_n -= !r->first_full;
    }
    end->step_ms = full_n + other_n > 0 ? 1e3 * (full + other) / (double)(full_n + other_n) : NAN;
    end->full_step_ms = full_n > 0 ? 1e3 * full / (double)full_n : NAN;
    end->other_step_ms = other_n > 0 ? 1e3 * other / (double)other_n : NAN;
}

/* ---- the end of a run --------------------------------------------------------------------------------------------------- */

static void add_note(char *note, size_t size, const char *text)
{
    size_t at = strlen(note);
    if (text != NULL && text[0] != '\0') {
        snprintf(note + at, size - at, "%s%s", at > 0 ? "; " : "", text);
    }
}

static const char *decoder_text(zo_decoder decoder)
{
    return decoder == ZO_DECODER_TIED ? "tied" : decoder == ZO_DECODER_UNTIED ? "untied" : NULL;
}

/* The evaluation that the run is reported by; chance where a fault has left none. Not `counts`: a run that was cut off is reported by none. */
static void take_headline(run *r, zo_run_end *end, bool counts)
{
    const zo_cell *c = &r->cell;
    zo_metric metric = (zo_metric)(c->metric - 1);
    zo_dataset *dataset = r->setup.dataset;
    double value[ZO_METRICS];
    for (int m = 0; m < ZO_METRICS; m++) {
        value[m] = NAN;
    }
    end->best_step = -1;
    end->dev_accuracy = end->dev_metric = end->dev_loss = NAN;
    bool has_test = dataset != NULL && zo_dataset_size(dataset, ZO_TEST) > 0;
    int64_t before = !counts ? 0 : r->fault_step >= 0 ? r->fault_step : INT64_MAX;
    int64_t best = zo_select_candidate((zo_selection)c->selection, metric, r->candidate, r->candidates, c->estimator->step != NULL, before);
    const zo_candidate *chosen = best >= 0 && (!has_test || r->candidate[best].test.examples > 0) ? &r->candidate[best] : NULL;
    if (chosen != NULL) {
        const zo_evaluation *e = chosen->test.examples > 0 ? &chosen->test : &chosen->dev;
        memcpy(value, e->metric, sizeof value);
        end->selected = zo_selected_name((zo_selection)c->selection, chosen);
        end->best_step = chosen->step;
        r->is_constant = e->constant;
        if (chosen->dev.examples > 0) {
            end->dev_accuracy = chosen->dev.metric[ZO_ACCURACY];
            end->dev_metric = chosen->dev.metric[metric];
            end->dev_loss = chosen->dev.loss;
        }
    } else if (r->fault != ZO_FAULT_NONE && dataset != NULL && (has_test || zo_dataset_size(dataset, ZO_DEV) > 0)) {
        zo_split split = has_test ? ZO_TEST : ZO_DEV;
        int32_t n = zo_dataset_size(dataset, split), *label = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *label);
        zo_dataset_fetch(dataset, split);
        for (int32_t i = 0; i < n; i++) {
            label[i] = zo_dataset_label(dataset, split, i);
        }
        zo_chance(label, n, zo_dataset_classes(dataset), value);
        zo_free(label);
        end->selected = "chance";
    }
    end->accuracy = value[ZO_ACCURACY];
    end->f1 = value[ZO_F1];
    end->macro_f1 = value[ZO_MACRO_F1];
    end->matthews = value[ZO_MATTHEWS];
    end->metric_value = value[metric];
}

static const char *list_marks(const run *r, char *out, size_t size)
{
    static const char *const name[] = {"", "diverged", "dead"};
    snprintf(out, size, "%s%s%s", name[r->fault], r->fault != ZO_FAULT_NONE && r->is_constant ? "," : "", r->is_constant ? "constant" : "");
    return out;
}

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
    bool is_open = s->model != NULL && s->dataset != NULL;
    char note[2400] = "", marks[64];
    zo_run_end end = {.status = status_text,
                      .message = message,
                      .fault_step = r->fault_step,
                      .steps = r->step,
                      .forwards = s->counts.forwards,
                      .sequences = s->counts.sequences,
                      .tokens = s->counts.tokens,
                      .paper_tokens = s->counts.paper_tokens,
                      .examples = s->counts.examples,
                      .flops = s->engine != NULL && is_open ? zo_setup_flops(s) : NAN,
                      .work = s->engine != NULL && is_open ? zo_setup_work(s) : NAN,
                      .paper_queries = r->paper_queries,
                      .drift_max = r->drift,
                      .weight_bytes_written = s->counters.weight_bytes_written,
                      .normals = s->counters.normals,
                      .train_seconds = r->train_seconds,
                      .eval_seconds = r->eval_seconds,
                      .load_seconds = r->load_seconds,
                      .cpu_seconds = NAN,
                      .foreign_seconds = NAN,
                      .steal_seconds = NAN,
                      .load_average = zo_load_average(),
                      .switches = -1,
                      .peak_bytes = zo_mem_peak_overall(r->space).total_bytes,
                      .train_peak_bytes = zo_mem_peak(r->space, ZO_PHASE_TRAIN).total_bytes,
                      .rss_peak_bytes = zo_rss_peak_bytes(),
                      .context = s->context > 0 ? s->context : -1,
                      .train_rows = is_open ? zo_dataset_size(s->dataset, ZO_TRAIN) : -1,
                      .dev_rows = is_open ? zo_dataset_size(s->dataset, ZO_DEV) : -1,
                      .test_rows = is_open ? zo_dataset_size(s->dataset, ZO_TEST) : -1,
                      .cut_sequences = is_open ? zo_dataset_truncated(s->dataset) : -1,
                      .decoder_used = s->model != NULL ? decoder_text(zo_model_decoder(s->model)) : NULL,
                      .parameters = s->model != NULL ? 0 : -1,
                      .promise = r->space == ZO_HOST && r->cell.precision == ZO_F32 ? "bits" : "pass"};
    take_times(r, &end);
    take_headline(r, &end, strcmp(status_text, "oom") != 0);
    end.marks = list_marks(r, marks, sizeof marks);
    if (r->load_end.wall_seconds > r->load_start.wall_seconds) {
        zo_disturbance d = zo_load_between(&r->load_start, &r->load_end, r->threads);
        end.cpu_seconds = d.cpu_seconds;
        end.foreign_seconds = d.foreign_seconds;
        end.steal_seconds = d.steal_seconds;
        end.switches = d.switches;
        end.disturbed = d.disturbed;
    }
    if (s->model != NULL) {
        const zo_layout *layout = zo_model_layout(s->model);
        for (int i = 0; i < layout->n; i++) {
            end.parameters += layout->param[i].rows * layout->param[i].cols;
        }
        add_note(note, sizeof note, zo_model_note(s->model));
        add_note(note, sizeof note, zo_setup_note(s));
    }
    if (is_open && r->cell.estimator->step != NULL && r->cell.batch > end.train_rows) {
        char all[100];
        snprintf(all, sizeof all, "a batch holds all %lld training rows, not %lld", (long long)end.train_rows, (long long)r->cell.batch);
        add_note(note, sizeof note, all);
    }
    if (s->dataset != NULL) {
        char cut[100] = "";
        add_note(note, sizeof note, zo_dataset_note(s->dataset));
        if (zo_dataset_truncated(s->dataset) > 0) {
            snprintf(cut, sizeof cut, "%lld sequences were cut to %lld tokens", (long long)zo_dataset_truncated(s->dataset), (long long)s->context);
        }
        add_note(note, sizeof note, cut);
    }
    if (s->be != NULL && s->be->choices.timed > 0) {
        char timed[120];
        snprintf(timed, sizeof timed, "%llu shapes of products were timed, and for %llu another algorithm than the first is used",
                 (unsigned long long)s->be->choices.timed, (unsigned long long)s->be->choices.others);
        add_note(note, sizeof note, timed);
    }
    end.note = note[0] ? note : NULL;
    memcpy(end.part, r->part, sizeof end.part);
    return zo_results_end(r->results, r->id, &end, err);
}

/* Out of memory is a measurement: the row says what was held and what was asked for. */
static void on_oom(zo_space space, zo_tag tag, size_t bytes, void *context)
{
    (void)context;
    zo_peak live = zo_mem_live(space);
    char text[1000];
    char request[200];
    int at = snprintf(text, sizeof text, "out of memory: asked for %s while %.1f MB were live (", zo_mem_request(tag, bytes, request, sizeof request),
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
    if (the.id == 0) { /* before there is a row, or in a check: the parent is told */
        cJSON *news = cJSON_CreateObject();
        cJSON_AddStringToObject(news, "error", text);
        cJSON_AddTrueToObject(news, "oom");
        send_news(news);
        _exit(ZO_CELL_FAILED);
    }
    if (end_run(&the, "oom", text, &err) != ZO_OK) {
        send_error(&err);
        _exit(ZO_CELL_INPUT);
    }
    zo_results_close(the.results);
    _exit(ZO_CELL_ENDED);
}

/* ---- evaluation --------------------------------------------------------------------------------------------------------- */

/* One split at the current weights, in the candidate; its row is written by write_evaluation. */
static zo_status evaluate_split(run *r, zo_split split, zo_evaluation *e, zo_err *err)
{
    const char *name = split == ZO_DEV ? "dev" : "test";
    zo_setup_evaluate(&r->setup, split, e);
    r->eval_seconds += e->seconds;
    if (isfinite(e->loss)) {
        return ZO_OK;
    }
    e->examples = 0; /* choices from such numbers are no accuracy */
    r->fault = ZO_FAULT_DIVERGED;
    r->fault_step = r->step;
    return r->step > 0 ? zo_fail(err, ZO_EDIVERGED, "the loss on %s after %lld steps is %g: the run has diverged; a smaller lr may help",
                                 name, (long long)r->step, e->loss)
                       : zo_fail(err, ZO_EDIVERGED, "the loss on %s before any training is %g: the model itself gives it; look at its "
                                 "weights%s", name, e->loss, r->cell.precision != ZO_F32 ? ", or try \"precision\": \"f32\"" : "");
}

static zo_status write_evaluation(run *r, zo_split split, const zo_evaluation *e, bool best, zo_err *err)
{
    if (e->examples == 0) {
        return ZO_OK;
    }
    zo_eval_row row = {.step = r->step,
                       .split = split == ZO_DEV ? "dev" : "test",
                       .examples = e->examples,
                       .accuracy = e->metric[ZO_ACCURACY],
                       .f1 = e->metric[ZO_F1],
                       .macro_f1 = e->metric[ZO_MACRO_F1],
                       .matthews = e->metric[ZO_MATTHEWS],
                       .loss = e->loss,
                       .constant = e->constant,
                       .seconds = e->seconds,
                       .forwards = r->setup.counts.forwards,
                       .work = zo_setup_work(&r->setup),
                       .train_seconds = r->train_seconds,
                       .best = best};
    return zo_results_eval(r->results, r->id, &row, err);
}

static zo_candidate *new_candidate(run *r)
{
    if (r->candidates == r->candidate_room) {
        r->candidate_room = r->candidate_room > 0 ? 2 * r->candidate_room : 64;
        r->candidate = zo_realloc(r->candidate, ZO_HOST, ZO_TAG_OTHER, (size_t)r->candidate_room * sizeof *r->candidate);
    }
    zo_candidate *c = &r->candidate[r->candidates++];
    *c = (zo_candidate){.step = r->step};
    return c;
}

/* Both splits as the selection wants them: dev, and test where this may become the headline. `last`: training is over. */
static zo_status evaluate_splits(run *r, zo_candidate *c, bool has_dev, bool has_test, bool last, zo_err *err)
{
    zo_selection selection = (zo_selection)r->cell.selection;
    zo_metric metric = (zo_metric)(r->cell.metric - 1);
    bool competes = r->step > 0 || r->cell.estimator->step == NULL, best = selection == ZO_SELECT_LAST && last;
    zo_status status = has_dev ? evaluate_split(r, ZO_DEV, &c->dev, err) : ZO_OK;
    if (status == ZO_OK && has_dev) {
        zo_watch_dev(&r->watch, r->step, c->dev.loss);
        if (selection == ZO_SELECT_DEV_METRIC || selection == ZO_SELECT_DEV_LOSS) {
            best = competes && !(zo_selection_score(selection, metric, c) <= r->score_best);
        }
    }
    if (status == ZO_OK && has_test && (best || (selection == ZO_SELECT_BEST_TEST && competes))) {
        status = evaluate_split(r, ZO_TEST, &c->test, err);
        if (status == ZO_OK && selection == ZO_SELECT_BEST_TEST) {
            best = !(zo_selection_score(selection, metric, c) <= r->score_best);
        }
    }
    if (status == ZO_OK && best) {
        r->score_best = zo_selection_score(selection, metric, c);
        r->dev_best = c->dev.examples > 0 ? c->dev.metric[metric] : NAN;
    }
    zo_err ignored = {0};
    zo_status written = write_evaluation(r, ZO_DEV, &c->dev, best, status == ZO_OK ? err : &ignored);
    written = written == ZO_OK ? write_evaluation(r, ZO_TEST, &c->test, best, status == ZO_OK ? err : &ignored) : written;
    return status != ZO_OK ? status : written;
}

/* Where there is no dev set, test is evaluated at the end only, unless it selects. */
static zo_status evaluate(run *r, bool last, zo_err *err)
{
    bool has_dev = zo_dataset_size(r->setup.dataset, ZO_DEV) > 0, has_test = zo_dataset_size(r->setup.dataset, ZO_TEST) > 0;
    bool looks = has_dev || (has_test && (last || (r->cell.selection == ZO_SELECT_BEST_TEST && r->step > 0)));
    if (r->evaluated_at == r->step) {
        return ZO_OK;
    }
    r->evaluated_at = r->step;
    zo_candidate *c = new_candidate(r); /* there or not: the ledger of training does not depend on what is evaluated */
    if (!looks) {
        return ZO_OK;
    }
    zo_mem_phase(ZO_PHASE_EVAL);
    r->phase = "eval";
    send_progress(r, true);
    zo_status status = evaluate_splits(r, c, has_dev, has_test, last, err);
    zo_mem_phase(ZO_PHASE_TRAIN);
    r->phase = "train";
    return status;
}

/* ---- the loop ----------------------------------------------------------------------------------------------------------- */

/* 0 = go on, else why not: 's' the budget is used, 't' time ended before another budget did. */
static char budget_end(const run *r)
{
    const zo_cell *c = &r->cell;
    if ((c->steps > 0 && r->step >= c->steps) || (c->forwards > 0 && r->setup.counts.forwards >= (uint64_t)c->forwards) ||
        (c->work > 0 && zo_setup_work(&r->setup) >= c->work * (1 - 1e-9))) { /* a sum of quotients: 300 steps of 2 may be a hair less than 600 */
        return 's';
    }
    if (c->seconds > 0 && r->train_seconds >= c->seconds) {
        return c->steps > 0 || c->forwards > 0 || c->work > 0 ? 't' : 's';
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
    int64_t tenths = c->forwards > 0 ? 10 * (int64_t)r->setup.counts.forwards / c->forwards : 0, by_steps = c->steps > 0 ? 10 * r->step / c->steps : 0,
            by_work = c->work > 0 ? (int64_t)(10 * zo_setup_work(&r->setup) / c->work) : 0;
    tenths = by_steps > tenths ? by_steps : tenths;
    tenths = by_work > tenths ? by_work : tenths;
    bool due = tenths > r->tenths;
    r->tenths = tenths;
    return due;
}

/* Has the run left, or does it stand still? ZO_EDIVERGED with a sentence. */
static zo_status check_fault(run *r, bool ended, zo_err *err)
{
    double done = fraction_done(r);
    double planned = ended ? (double)r->step : r->cell.steps > 0 ? (double)r->cell.steps : done > 0 ? (double)r->step / done : 0;
    int64_t since;
    r->fault = zo_watch_fault(&r->watch, planned, ended, &since);
    if (r->fault == ZO_FAULT_NONE) {
        return ZO_OK;
    }
    r->fault_step = since;
    return r->fault == ZO_FAULT_DIVERGED
               ? zo_fail(err, ZO_EDIVERGED, "the loss is above ten times its start since step %lld: the run has diverged; a smaller lr may help",
                         (long long)since)
               : zo_fail(err, ZO_EDIVERGED, "the projected gradient is exactly 0 since step %lld: both probes have one loss, and nothing moves; a smaller "
                         "lr or a larger eps may help", (long long)since);
}

/* Brings the weights to the base point within the step that has just been made: *seconds and its parts grow by that. */
static void settle_step(run *r, double *seconds)
{
    double part[ZO_PARTS], more;
    memcpy(part, r->setup.part, sizeof part);
    zo_setup_settle(&r->setup, &more);
    for (int k = 0; k < ZO_PARTS; k++) {
        r->setup.part[k] += part[k];
    }
    r->train_seconds += more;
    *seconds += more;
}

/* Steps until the budget is used; *ended says why it is. */
static zo_status train(run *r, char *ended, zo_err *err)
{
    while ((*ended = budget_end(r)) == 0) {
        zo_step_report report;
        double seconds;
        zo_status status = zo_setup_step(&r->setup, r->step, &report, &seconds, err);
        r->train_seconds += seconds;
        if (status == ZO_EDIVERGED) {
            char text[sizeof err->text];
            snprintf(text, sizeof text, "%s", err->text);
            r->fault = ZO_FAULT_DIVERGED;
            r->fault_step = r->step + 1;
            return zo_fail(err, ZO_EDIVERGED, "step %lld: %.900s", (long long)r->step + 1, text);
        }
        if (status != ZO_OK) {
            return status;
        }
        r->step++;
        bool due = evaluation_due(r);
        if (due || budget_end(r) != 0) { /* an evaluation comes, or the end: an update that was put off is this step's, and training's */
            settle_step(r, &seconds);
        }
        r->loss = report.loss;
        record_time(r, &report, seconds);
        zo_watch_step(&r->watch, r->step, report.projected);
        status = record_step(r, &report, seconds, err);
        status = status == ZO_OK ? check_fault(r, false, err) : status;
        if (status == ZO_OK && due && budget_end(r) == 0) {
            status = evaluate(r, false, err);
        }
        if (status != ZO_OK) {
            return status;
        }
        send_progress(r, false);
    }
    return ZO_OK;
}

static zo_status run_cell(run *r, zo_err *err)
{
    bool trains = r->cell.estimator->step != NULL;
    zo_mem_phase(ZO_PHASE_TRAIN);
    char ended = 's';
    zo_status status = evaluate(r, !trains, err);
    if (status == ZO_OK && trains) {
        r->load_start = zo_load_read();
        status = train(r, &ended, err);
        r->load_end = zo_load_read();
        if (status == ZO_OK) {
            status = evaluate(r, true, err);
        }
        if (status == ZO_OK) {
            close_gathered(r);
            status = check_fault(r, true, err);
        }
        if (status == ZO_OK) { /* looked at after the last step, outside its time and training's memory */
            zo_mem_phase(ZO_PHASE_EVAL);
            r->drift = zo_setup_drift(&r->setup);
        }
    }
    if (status == ZO_EDIVERGED || status == ZO_EUNSUPPORTED) {
        char message[sizeof err->text];
        snprintf(message, sizeof message, "%s", err->text);
        return end_run(r, status == ZO_EUNSUPPORTED ? "unsupported" : r->fault == ZO_FAULT_DEAD ? "dead" : "diverged", message, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    return end_run(r, ended == 't' ? "time" : "done", ended == 't' ? "the budget in seconds ended before the other one" : NULL, err);
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

/* What a check found: the peak that a dry run says. */
static void send_check(run *r)
{
    cJSON *news = cJSON_CreateObject();
    uint64_t bytes[ZO_TAGS], sum = 0;
    zo_predict_peak(&r->setup, bytes);
    for (int t = 0; t < ZO_TAGS; t++) {
        sum += bytes[t];
    }
    cJSON_AddNumberToObject(news, "bytes", (double)sum);
    send_news(news);
}

/* Model and data of the row. A folder that cannot be found or read is left to zo_setup_open, which says what is wrong with it. */
static zo_status record_source(run *r, const zo_setup_dirs *dirs, zo_err *err)
{
    char folder[4096];
    zo_err ignored = {0};
    zo_source_row source = {.data_folder = zo_setup_data_dir(dirs)};
    if (zo_model_folder(r->cell.model, dirs->models, NULL, NULL, folder, &ignored) == ZO_OK) {
        source.model_folder = folder;
    }
    return zo_results_source(r->results, r->id, &source, err);
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

/* The job, from the parse to the last row; whatever it opened stands in `r` and *be, and is given back by the caller. */
static zo_status do_job(run *r, const cJSON *job, zo_backend **be, zo_err *err)
{
    double start = zo_now();
    zo_setup_dirs dirs = {.data = text_in(job, "data"), .models = text_in(job, "models")};
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
    if (text_in(job, "db") == NULL) { /* a check */
        status = zo_setup_open(&r->setup, &r->cell, &dirs, *be, err);
        if (status == ZO_OK) {
            send_check(r);
        }
        return status;
    }
    zo_host_row host = zo_host((*be)->device, (*be)->threads, r->space == ZO_HOST ? (int64_t)r->memory_limit : -1);
    zo_cell_row row = zo_cell_to_row(&r->cell);
    zo_identity identity = job_identity(job, &r->cell);
    r->threads = (*be)->threads;
    status = zo_results_open(&r->results, text_in(job, "db"), false, err); /* the parent has made it */
    status = status == ZO_OK ? zo_results_begin(r->results, &row, &identity, &host, &r->id, err) : status;
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
    r->dev_best = r->drift = r->score_best = r->loss = NAN;
    r->evaluated_at = r->fault_step = -1;
    r->phase = "load";
    zo_err err = {0};
    zo_backend *be = NULL;
    int code = ZO_CELL_ENDED;
    zo_status status = zo_memory_limit(&r->memory_limit, &err);
    zo_mem_limit(ZO_HOST, r->memory_limit);
    zo_mem_on_oom(on_oom, NULL);
    r->step_seconds = zo_alloc(ZO_HOST, ZO_TAG_OTHER, TIMES_MOST * sizeof *r->step_seconds);
    status = status == ZO_OK ? do_job(r, job, &be, &err) : status;
    if (status != ZO_OK) { /* the parent writes the row's status */
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
    zo_free(r->candidate);
    cJSON_Delete(job);
    return code;
}
