/* cmd_step.c: `zo bench step`: the time of a training step on a model and rows of a task, where it goes, the memory that it takes, and what
 * share of the device's own best that is (bench/cell/roofline.h). It runs what a cell of `zo run` runs (bench/cell/setup.h), without evaluations and
 * without a database. Memory that does not suffice is a result: status "oom". */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/device_peaks.h"
#include "bench/cell/predict.h"
#include "bench/cell/setup.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/grid.h"
#include "core/conf.h"
#include "core/mem.h"
#include "core/text.h"

/* Steps before those that count: they make products and touch pages; where passes are gathered, also graphs for most shapes of batches. */
enum { WARM_UP = 2, WARM_UP_GATHERED = 10 };

typedef struct wish {
    const char *model, *task, *form, *optimizer, *precision, *realisation, *storage, *accumulate, *init, *device, *data, *models, *peaks, *algorithms;
    int64_t batch, context, steps, train, threads;
    bool json, fill, roofline;
} wish;

typedef struct timing {
    double *step_ms; /* (steps) */
    double part_ms[ZO_PARTS], other_ms, median_ms;
    zo_setup_counts counts;
    zo_counters counters;
    zo_passes passes; /* of the steps that count */
    zo_peak peak;
    zo_device_memory memory; /* after the steps */
    zo_work work;            /* of a step */
    double least_bytes;      /* of a step however it is realised */
    double plain_forwards;   /* zo_setup_work of a step, on average */
    double peak_flops, backward_peak_flops, peak_bytes; /* a second, of the device; 0 = not measured */
} timing;

/* The least milliseconds that the device's peaks allow for a step that moves so many bytes. */
static double roofline_ms(const timing *t, double bytes)
{
    double compute = t->work.flops / t->peak_flops;
    compute += t->work.backward_flops > 0 ? t->work.backward_flops / t->backward_peak_flops : 0;
    double traffic = bytes / t->peak_bytes;
    return 1e3 * (compute > traffic ? compute : traffic);
}

/* The one cell that the command line describes, through the same reader as a config file. */
static zo_status grid_of(const wish *w, zo_grid *grid, zo_err *err)
{
    cJSON *config = cJSON_CreateObject();
    cJSON *optimizer = w->optimizer[0] == '{' ? cJSON_Parse(w->optimizer) : cJSON_CreateString(w->optimizer);
    if (optimizer == NULL) {
        cJSON_Delete(config);
        return zo_fail(err, ZO_EINPUT, "--optimizer '%.200s' is not JSON; expected a name, or an object such as {\"name\": \"tezo\", \"rank\": 16}",
                       w->optimizer);
    }
    cJSON_AddItemToObject(config, "optimizer", optimizer);
    const struct { const char *key, *value; } texts[] = {{"model", w->model}, {"task", w->task}, {"form", w->form},
                                                         {"precision", w->precision}, {"realisation", w->realisation}, {"init", w->init},
                                                         {"storage", w->storage}, {"accumulate", w->accumulate}, {"device", w->device},
                                                         {"algorithms", w->algorithms}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        cJSON_AddStringToObject(config, texts[i].key, texts[i].value);
    }
    const struct { const char *key; int64_t value; } counts[] = {{"batch", w->batch}, {"context", w->context}, {"train", w->train}, {"dev", 0},
                                                                 {"test", 0}, {"threads", w->threads}, {"steps", w->steps + WARM_UP_GATHERED}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        cJSON_AddNumberToObject(config, counts[i].key, (double)counts[i].value);
    }
    cJSON_AddBoolToObject(config, "fill", w->fill);
    char *text = cJSON_PrintUnformatted(config);
    zo_status status = zo_grid_parse(grid, text, "zo bench step", err);
    cJSON_free(text);
    cJSON_Delete(config);
    return status;
}

static zo_status time_steps(zo_setup *setup, int64_t steps, timing *t, zo_err *err)
{
    zo_mem_phase(ZO_PHASE_TRAIN);
    int64_t warm_up = setup->be->pass_begin != NULL ? WARM_UP_GATHERED : WARM_UP;
    for (int64_t step = 0; step < steps + warm_up; step++) {
        if (step == warm_up) {
            t->passes = setup->be->passes;
            memset(&setup->counts, 0, sizeof setup->counts);
            memset(&setup->counters, 0, sizeof setup->counters);
        }
        zo_step_report report;
        double seconds;
        zo_status status = zo_setup_step(setup, step, &report, &seconds, err);
        if (status != ZO_OK) {
            return status;
        }
        if (step >= warm_up) {
            double rest = seconds;
            t->step_ms[step - warm_up] = 1e3 * seconds;
            for (int p = 0; p < ZO_PARTS; p++) {
                t->part_ms[p] += 1e3 * setup->part[p] / (double)steps;
                rest -= setup->part[p];
            }
            t->other_ms += 1e3 * rest / (double)steps;
        }
    }
    t->peak = zo_mem_peak(setup->be->space, ZO_PHASE_TRAIN);
    double *sorted = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)steps * sizeof *sorted); /* step_ms keeps the order of the steps */
    memcpy(sorted, t->step_ms, (size_t)steps * sizeof *sorted);
    t->median_ms = zo_median(sorted, steps);
    zo_free(sorted);
    t->counts = setup->counts;
    t->counters = setup->counters;
    t->passes = zo_passes_since(setup->be->passes, t->passes);
    return ZO_OK;
}

/* After the steps: what they had to do, and what memory they took. */
static void take_account(const zo_setup *setup, int64_t steps, timing *t)
{
    const zo_cell *c = setup->cell;
    zo_step_sums sums = {.forward = t->counts.forward, .gradient = t->counts.gradient,
                         .weight_bytes_written = (double)t->counters.weight_bytes_written, .rules = (double)steps};
    zo_needs needs;
    zo_err err = {0};
    zo_extent extent = zo_predict_extent(setup);
    zo_status status = zo_needs_of(c->estimator, c->options, &extent, &needs, &err);
    ZO_CHECK(status == ZO_OK, "options of a cell that has been read: %s", err.text);
    int weight_bytes = zo_storage_bytes((zo_storage)c->storage);
    zo_work all = zo_step_work(&sums, zo_model_arch(setup->model), zo_model_layout(setup->model), zo_dataset_head(setup->dataset),
                               zo_dataset_classes(setup->dataset), (zo_precision)c->precision, weight_bytes, needs.moments);
    t->work = (zo_work){all.flops / (double)steps, all.backward_flops / (double)steps, all.bytes / (double)steps};
    t->least_bytes = zo_least_bytes(&sums, (double)steps, zo_model_arch(setup->model), zo_model_layout(setup->model), zo_dataset_head(setup->dataset),
                                    zo_dataset_classes(setup->dataset), weight_bytes, zo_needs_read_bytes(&needs, &extent)) / (double)steps;
    t->plain_forwards = zo_setup_work(setup) / (double)steps;
    zo_device_peaks_of(setup->be)->memory(setup->be, &t->memory);
}

static void measure_peaks(zo_backend *be, zo_precision precision, timing *t)
{
    const zo_device_peaks *y = zo_device_peaks_of(be);
    zo_precision backward = precision == ZO_TF32 ? ZO_TF32 : ZO_F32;
    t->peak_flops = y->product_rate(be, precision, y->product_side);
    t->backward_peak_flops = t->work.backward_flops > 0 && backward != precision ? y->product_rate(be, backward, y->product_side) : t->peak_flops;
    t->peak_bytes = zo_copy_rate(be, y->copy_bytes);
}

/* The same from a file. */
static zo_status read_peaks(const char *path, const zo_backend *be, zo_precision precision, timing *t, zo_err *err)
{
    cJSON *file;
    zo_status status = zo_json_read(path, &file, err);
    if (status != ZO_OK) {
        return status;
    }
    const cJSON *flops = cJSON_GetObjectItemCaseSensitive(file, "flops_per_second");
    const cJSON *forward = cJSON_GetObjectItemCaseSensitive(flops, zo_precision_name(precision));
    const cJSON *backward = cJSON_GetObjectItemCaseSensitive(flops, zo_precision_name(precision == ZO_TF32 ? ZO_TF32 : ZO_F32));
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(file, "bytes_per_second"), *device = cJSON_GetObjectItemCaseSensitive(file, "device");
    if (!cJSON_IsNumber(forward) || !cJSON_IsNumber(backward) || !cJSON_IsNumber(bytes) || !cJSON_IsString(device) ||
        !(forward->valuedouble > 0 && backward->valuedouble > 0 && bytes->valuedouble > 0)) {
        status = zo_fail(err, ZO_EINPUT, "%s: has no peaks for %s and f32; `zo bench peaks --json` writes them", path, zo_precision_name(precision));
    } else if (strcmp(device->valuestring, be->device) != 0) {
        status = zo_fail(err, ZO_EINPUT, "%s: has the peaks of %.100s, and this is %s; `zo bench peaks --json` writes its own", path,
                         device->valuestring, be->device);
    } else {
        t->peak_flops = forward->valuedouble;
        t->backward_peak_flops = backward->valuedouble;
        t->peak_bytes = bytes->valuedouble;
    }
    cJSON_Delete(file);
    return status;
}

/* Out of memory is a result: one row that says so. */
static void say_oom(const wish *w, const char *text)
{
    if (w->json) {
        cJSON *out = cJSON_CreateObject();
        cJSON_AddStringToObject(out, "status", "oom");
        cJSON_AddStringToObject(out, "model", w->model);
        cJSON_AddStringToObject(out, "optimizer", w->optimizer);
        cJSON_AddStringToObject(out, "message", text);
        char *line = cJSON_Print(out);
        puts(line);
        cJSON_free(line);
        cJSON_Delete(out);
    } else {
        char *model = zo_text_plain_copy(w->model), *optimizer = zo_text_plain_copy(w->optimizer);
        printf("%s, %s, batch %lld: %s\n", model, optimizer, (long long)w->batch, text);
        zo_free(model);
        zo_free(optimizer);
    }
    fflush(stdout);
}

static void on_oom(zo_space space, zo_tag tag, size_t bytes, void *context)
{
    char text[400], request[200];
    snprintf(text, sizeof text, "out of memory: asked for %s while %.1f MB were live", zo_mem_request(tag, bytes, request, sizeof request),
             1e-6 * (double)zo_mem_live(space).total_bytes);
    say_oom(context, text);
    _exit(0);
}

static void print_json(const wish *w, const zo_cell *c, const zo_backend *be, const timing *t)
{
    double steps = (double)w->steps;
    cJSON *out = cJSON_CreateObject();
    cJSON_AddStringToObject(out, "status", "done");
    cJSON_AddStringToObject(out, "model", w->model);
    cJSON_AddStringToObject(out, "task", w->task);
    cJSON_AddStringToObject(out, "form", w->form);
    cJSON_AddStringToObject(out, "optimizer", c->estimator->name);
    cJSON_AddRawToObject(out, "options", c->options_text);
    cJSON_AddNumberToObject(out, "batch", (double)c->batch);
    cJSON_AddNumberToObject(out, "context", (double)c->context);
    cJSON_AddBoolToObject(out, "fill", c->fill);
    cJSON_AddNumberToObject(out, "train", (double)c->train);
    cJSON_AddStringToObject(out, "precision", w->precision);
    cJSON_AddStringToObject(out, "realisation", zo_realisation_name((zo_realisation)c->realisation));
    cJSON_AddStringToObject(out, "storage", w->storage);
    cJSON_AddStringToObject(out, "accumulate", w->accumulate);
    cJSON_AddStringToObject(out, "device", be->device);
    cJSON_AddStringToObject(out, "algorithms", zo_algorithms_name((zo_algorithms)c->algorithms));
    cJSON_AddNumberToObject(out, "algorithms_timed", (double)be->choices.timed);
    cJSON_AddNumberToObject(out, "algorithms_not_first", (double)be->choices.others);
    cJSON_AddNumberToObject(out, "threads", be->threads);
    cJSON_AddNumberToObject(out, "step_ms", t->median_ms);
    cJSON_AddItemToObject(out, "steps_ms", cJSON_CreateDoubleArray(t->step_ms, (int)w->steps));
    cJSON *parts = cJSON_AddObjectToObject(out, "parts_ms"); /* means over the steps */
    for (int p = 0; p < ZO_PARTS; p++) {
        cJSON_AddNumberToObject(parts, zo_part_name((zo_part)p), t->part_ms[p]);
    }
    cJSON_AddNumberToObject(parts, "other", t->other_ms); /* and what ran as graphs */
    cJSON *passes = cJSON_AddObjectToObject(out, "passes");
    cJSON_AddNumberToObject(passes, "played", (double)t->passes.played);
    cJSON_AddNumberToObject(passes, "captured", (double)t->passes.captured);
    cJSON_AddNumberToObject(passes, "replayed", (double)t->passes.replayed);
    cJSON_AddNumberToObject(passes, "evicted", (double)t->passes.evicted);
    cJSON_AddNumberToObject(out, "forwards", (double)t->counts.forwards / steps);
    cJSON_AddNumberToObject(out, "work", t->plain_forwards);
    cJSON_AddNumberToObject(out, "tokens", (double)t->counts.tokens / steps);
    cJSON_AddNumberToObject(out, "normals", (double)t->counters.normals / steps);
    cJSON_AddNumberToObject(out, "linear_flops", (double)t->counters.linear_flops / steps);
    cJSON_AddNumberToObject(out, "weight_bytes_written", (double)t->counters.weight_bytes_written / steps);
    cJSON_AddNumberToObject(out, "peak_bytes", (double)t->peak.total_bytes);
    cJSON *tags = cJSON_AddObjectToObject(out, "peak_by_tag");
    for (int tag = 0; tag < ZO_TAGS; tag++) {
        cJSON_AddNumberToObject(tags, zo_tag_name((zo_tag)tag), (double)t->peak.tag_bytes[tag]);
    }
    cJSON_AddNumberToObject(out, "used_bytes", (double)t->memory.used_bytes);
    cJSON_AddNumberToObject(out, "context_bytes", (double)t->memory.context_bytes);
    cJSON_AddNumberToObject(out, "batch_tokens", (double)t->counts.batch_tokens / steps);
    cJSON_AddNumberToObject(out, "tokens_per_second", 1e3 * (double)t->counts.batch_tokens / steps / t->median_ms);
    cJSON_AddNumberToObject(out, "flops", t->work.flops + t->work.backward_flops); /* at least: bench/cell/roofline.h */
    cJSON_AddNumberToObject(out, "bytes", t->work.bytes);
    cJSON_AddNumberToObject(out, "least_bytes", t->least_bytes); /* of the method, however it is realised */
    if (t->peak_flops > 0) {
        cJSON_AddNumberToObject(out, "peak_flops_per_second", t->peak_flops);
        cJSON_AddNumberToObject(out, "peak_backward_flops_per_second", t->backward_peak_flops);
        cJSON_AddNumberToObject(out, "peak_bytes_per_second", t->peak_bytes);
        cJSON_AddNumberToObject(out, "roofline_ms", roofline_ms(t, t->work.bytes));
        cJSON_AddNumberToObject(out, "roofline_share", roofline_ms(t, t->work.bytes) / t->median_ms);
        cJSON_AddNumberToObject(out, "least_roofline_ms", roofline_ms(t, t->least_bytes));
        cJSON_AddNumberToObject(out, "least_roofline_share", roofline_ms(t, t->least_bytes) / t->median_ms);
    }
    char *text = cJSON_Print(out);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(out);
}

static void print_text(const wish *w, const zo_cell *c, const zo_backend *be, const timing *t)
{
    double steps = (double)w->steps;
    char *model = zo_text_plain_copy(w->model);
    printf("%s, %s %s, %s, batch %lld, %s, %s, weights in %s%s, %d threads of %s\n", model, w->task, w->form, c->estimator->name,
           (long long)c->batch, w->precision, zo_realisation_name((zo_realisation)c->realisation), w->storage,
           c->accumulate == ZO_ACCUMULATE_LOG ? " and a log" : "", be->threads, be->device);
    zo_free(model);
    printf("%.2f ms a step (median of %lld); per step: work of %.2f, %.1f forwards, %.0f tokens, %.1f M normals, %.1f GFLOP in linear layers, %.1f MB of "
           "weights written\n",
           t->median_ms, (long long)w->steps, t->plain_forwards, (double)t->counts.forwards / steps, (double)t->counts.tokens / steps,
           1e-6 * (double)t->counters.normals / steps, 1e-9 * (double)t->counters.linear_flops / steps,
           1e-6 * (double)t->counters.weight_bytes_written / steps);
    for (int p = 0; p < ZO_PARTS; p++) {
        if (t->part_ms[p] >= 0.005) {
            printf("  %-12s %8.2f ms\n", zo_part_name((zo_part)p), t->part_ms[p]);
        }
    }
    printf("  %-12s %8.2f ms\n", "other", t->other_ms);
    uint64_t as_graphs = t->passes.captured + t->passes.replayed;
    if (as_graphs > 0) {
        printf("  %llu of %llu passes ran as CUDA graphs, %llu of them known before; their parts are not told apart and count as other "
               "(ZO_CUDA_GRAPHS=0 tells them apart)\n", (unsigned long long)as_graphs, (unsigned long long)(as_graphs + t->passes.played),
               (unsigned long long)t->passes.replayed);
    }
    printf("peak %.1f MB:", 1e-6 * (double)t->peak.total_bytes);
    for (int tag = 0; tag < ZO_TAGS; tag++) {
        if (t->peak.tag_bytes[tag] > 0) {
            printf(" %s %.1f", zo_tag_name((zo_tag)tag), 1e-6 * (double)t->peak.tag_bytes[tag]);
        }
    }
    printf("\nthe %s says %.1f MB; %.0f tokens of batches a second; at least %.1f GFLOP and %.1f MB of memory traffic a step\n",
           t->memory.context_bytes > 0 ? "driver" : "process's peak", 1e-6 * (double)t->memory.used_bytes, 1e3 * (double)t->counts.batch_tokens / steps / t->median_ms,
           1e-9 * (t->work.flops + t->work.backward_flops), 1e-6 * t->work.bytes);
    if (t->peak_flops > 0) {
        double ms = roofline_ms(t, t->work.bytes), least = roofline_ms(t, t->least_bytes);
        printf("%.1f %% of the roofline: %.2f ms at %.2f TFLOP/s and %.1f GB/s, both measured here; %.1f %% of the method's, %.2f ms, whose least "
               "traffic is %.1f MB\n", 100 * ms / t->median_ms, ms, 1e-12 * t->peak_flops, 1e-9 * t->peak_bytes, 100 * least / t->median_ms, least,
               1e-6 * t->least_bytes);
    }
}

static zo_status run(const wish *w, zo_err *err)
{
    zo_grid grid;
    zo_backend *be = NULL;
    zo_setup setup;
    zo_status status = grid_of(w, &grid, err);
    if (status != ZO_OK) {
        return status;
    }
    const zo_cell *cell = &grid.cell[0];
    zo_setup_dirs dirs = {.data = w->data, .models = w->models};
    const char *limit = getenv("ZO_MEMORY_LIMIT"); /* bytes, as for a cell of `zo run` */
    zo_mem_limit(ZO_HOST, limit != NULL ? strtoull(limit, NULL, 10) : 0);
    zo_mem_on_oom(on_oom, (void *)(uintptr_t)w);
    if (grid.n != 1 || cell->estimator->step == NULL) {
        status = zo_fail(err, ZO_EINPUT, "zo bench step times the steps of one optimizer that trains; \"%.100s\" %s", w->optimizer,
                         grid.n != 1 ? "stands for several" : "has none");
    }
    if (status == ZO_OK && cell->estimator->unmeasured != NULL) {
        status = zo_fail(err, ZO_EINPUT, "the time and memory of \"%s\" are not measured: %s; name another method", cell->estimator->name, cell->estimator->unmeasured);
    }
    status = status == ZO_OK ? zo_backend_open(cell->device, (int)cell->threads, &be, err) : status;
    if (status == ZO_EOOM) { /* of the device, before the first block */
        say_oom(w, err->text);
        zo_grid_free(&grid);
        return ZO_OK;
    }
    status = status == ZO_OK ? zo_backend_choose(be, (zo_algorithms)cell->algorithms, err) : status;
    status = status == ZO_OK ? zo_setup_open(&setup, cell, &dirs, be, err) : status;
    if (status == ZO_OK) {
        timing t = {.step_ms = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)w->steps * sizeof(double))};
        status = time_steps(&setup, w->steps, &t, err);
        if (status == ZO_OK) {
            take_account(&setup, w->steps, &t);
        }
        zo_setup_close(&setup); /* room for the peaks' large matrices */
        if (status == ZO_OK && w->peaks != NULL) {
            status = read_peaks(w->peaks, be, (zo_precision)cell->precision, &t, err);
        } else if (status == ZO_OK && w->roofline) {
            measure_peaks(be, (zo_precision)cell->precision, &t);
        }
        if (status == ZO_OK) {
            (w->json ? print_json : print_text)(w, cell, be, &t);
        }
        zo_free(t.step_ms);
    }
    if (be != NULL) {
        be->close(be);
    }
    zo_grid_free(&grid);
    return status;
}

int zo_cmd_bench_step(int argc, char **argv)
{
    wish w = {.task = "sst2", .form = "head", .optimizer = zo_estimator_usual(false)->name, .precision = "f32", .realisation = "streamed", .init = "pretrained", .device = "cpu",
              .storage = "f32", .accumulate = "weights", .algorithms = "first", .batch = 16, .context = 128, .steps = 20, .train = 1000};
    const zo_arg table[] = {{"--task", ZO_ARG_TEXT, &w.task},           {"--form", ZO_ARG_TEXT, &w.form},
                            {"--optimizer", ZO_ARG_TEXT, &w.optimizer}, {"--precision", ZO_ARG_TEXT, &w.precision},
                            {"--realisation", ZO_ARG_TEXT, &w.realisation}, {"--init", ZO_ARG_TEXT, &w.init},
                            {"--storage", ZO_ARG_TEXT, &w.storage},     {"--accumulate", ZO_ARG_TEXT, &w.accumulate},
                            {"--batch", ZO_ARG_INT, &w.batch},          {"--context", ZO_ARG_INT, &w.context},
                            {"--steps", ZO_ARG_INT, &w.steps},          {"--train", ZO_ARG_INT, &w.train},
                            {"--threads", ZO_ARG_INT, &w.threads},      {"--device", ZO_ARG_TEXT, &w.device},
                            {"--fill", ZO_ARG_FLAG, &w.fill},           {"--roofline", ZO_ARG_FLAG, &w.roofline},
                            {"--peaks", ZO_ARG_TEXT, &w.peaks},         {"--algorithms", ZO_ARG_TEXT, &w.algorithms},
                            {"--data", ZO_ARG_TEXT, &w.data},           {"--models", ZO_ARG_TEXT, &w.models},
                            {"--json", ZO_ARG_FLAG, &w.json},           {NULL, ZO_ARG_FLAG, NULL}};
    static const char usage[] =
        "zo bench step MODEL [--task sst2] [--form head|prompt] [--optimizer NAME|JSON] [--batch N] [--context N] [--precision f32|bf16|tf32|f16] "
        "[--realisation inplace|streamed|sidepath] [--storage f32|bf16|f16] [--accumulate weights|log] [--algorithms first|timed] [--steps N] [--train N] [--init pretrained|random] [--fill] [--roofline | --peaks FILE] [--threads N] [--device cpu|cuda[:N]|auto] [--data DIR] "
        "[--models DIR] [--json]";
    zo_err err = {0};
    int words;
    argv[0] = (char *)"bench step"; /* for messages */
    zo_status status = zo_args_read(argc, argv, table, &w.model, 1, 1, &words, usage, &err);
    if (status == ZO_OK && (w.steps < 1 || w.steps > 1000000)) {
        status = zo_fail(&err, ZO_EINPUT, "--steps is %lld; expected 1 to 1000000", (long long)w.steps);
    }
    status = status == ZO_OK ? run(&w, &err) : status;
    if (status != ZO_OK) {
        /* what the reader of configs says begins so already */
        fprintf(stderr, "%s%s\n", strncmp(err.text, "zo bench step", 13) == 0 ? "" : "zo bench step: ", err.text);
    }
    return status == ZO_OK ? 0 : status == ZO_EINPUT || status == ZO_EIO ? 2 : 1;
}
