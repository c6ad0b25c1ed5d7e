/* cmd_profile.c: `zo profile`: drift, rank and cosine by layer along the way of a run, which is made again (bench/cli/replay.h). Nothing of the run changes. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/cell/profile.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/replay.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/model.h"
#include "optimizers/engine/engine.h"
#include "results/report.h"

typedef struct profile {
    int64_t every;                   /* steps; 0 = a tenth of the run's */
    bool no_cosine;
    float *start, *before, *now, *gradient; /* (size) of what is trained; `start` NULL before the first step */
    int64_t size;
    const zo_layout *layout;         /* of these; the engine's or the model's */
    int blocks;
    zo_cell cell;                    /* one step of plain descent at rate 1: its way is the gradient */
    zo_setup sgd;
    bool has_sgd;
    zo_profile_row *row;             /* (rows) */
    int64_t rows, room;
} profile;

static bool is_due(const zo_replay *a, const profile *p, int64_t steps)
{
    return steps % p->every == 0 || steps == a->steps;
}

/* What is trained, as the settled weights have it. */
static void read_weights(zo_setup *s, float *host)
{
    zo_store *sum = zo_engine_sum(s->engine);
    zo_store_read(s->be, sum, 0, sum->size, host);
    zo_store_free(s->be, sum);
}

/* What is not trained, too, is at the run's own point: rounded, where it is held in 16 bits. */
static void copy_frozen(zo_replay *a, profile *p)
{
    const zo_store *from = zo_model_store(a->setup.model);
    zo_store *to = zo_model_store(p->sgd.model);
    int64_t n = (from->size < to->size ? from->size : to->size) - p->size;
    if (n > 0) {
        float *host = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *host);
        zo_store_read(a->be, from, p->size, n, host);
        zo_store_write(a->be, to, p->size, n, host);
        zo_free(host);
    }
}

/* The cell that takes one step along the gradient of the run's own batch, on the same numbers in f32. */
static zo_status open_sgd(zo_replay *a, profile *p, zo_err *err)
{
    cJSON *config = cJSON_Parse(a->facts.config), *optimizer = cJSON_CreateObject();
    static const struct { const char *key, *value; } text[] = {{"realisation", "inplace"}, {"storage", "f32"}, {"accumulate", "weights"}, {"schedule", "constant"}};
    if (cJSON_HasObjectItem(config, "objective")) {
        cJSON_Delete(config);
        cJSON_Delete(optimizer);
        return zo_fail(err, ZO_EUNSUPPORTED, "run %s was told a metric, which has no gradient, so there is no cosine; leave it out with --no-cosine", a->run);
    }
    cJSON_AddStringToObject(optimizer, "name", zo_estimator_descent()->name);
    cJSON_DeleteItemFromObjectCaseSensitive(config, "optimizer");
    cJSON_AddItemToObject(config, "optimizer", optimizer);
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        zo_json_replace(config, text[i].key, cJSON_CreateString(text[i].value));
    }
    const struct { const char *key; double value; } number[] = {{"lr", 1}, {"eps", 0}, {"warmup", 0}, {"forwards", 0}, {"work", 0}, {"seconds", 0},
        {"steps", (double)(a->facts.steps * a->setup.step_batches)}}; /* as many batches as the run's steps had, so that there is room for each of them */
    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        zo_json_replace(config, number[i].key, cJSON_CreateNumber(number[i].value));
    }
    zo_status status = zo_cell_make(&p->cell, config, "profile", err);
    cJSON_Delete(config);
    if (status != ZO_OK) {
        zo_fail_in(err, "the gradient, without which there is no cosine (--no-cosine leaves it out)");
        return status;
    }
    status = zo_setup_open(&p->sgd, &p->cell, &a->dirs, a->be, err);
    p->has_sgd = status == ZO_OK;
    if (status != ZO_OK) {
        zo_cell_free(&p->cell);
        return zo_fail_in(err, "the gradient, without which there is no cosine (--no-cosine leaves it out)");
    }
    copy_frozen(a, p);
    return ZO_OK;
}

/* Can the figures be kept? Asked before the work, which may be long. */
static zo_status try_database(const zo_replay *a, zo_err *err)
{
    zo_results *results;
    zo_status status = zo_results_open_alone(&results, a->db, err);
    if (status == ZO_OK) {
        zo_results_close(results);
    }
    return status;
}

static zo_status begin(zo_replay *a, profile *p, zo_err *err)
{
    if (try_database(a, err) != ZO_OK) {
        return err->status;
    }
    zo_store *sum = zo_engine_sum(a->setup.engine);
    p->size = sum->size;
    p->layout = sum->layout;
    p->blocks = zo_profile_blocks(sum->layout);
    zo_store_free(a->be, sum);
    p->start = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 4 * (size_t)p->size * sizeof *p->start);
    p->before = p->start + p->size;
    p->now = p->before + p->size;
    p->gradient = p->now + p->size;
    p->every = p->every > 0 ? p->every : (a->steps + 9) / 10;
    read_weights(&a->setup, p->start);
    return p->no_cosine ? ZO_OK : open_sgd(a, p, err);
}

/* gradient <- the way of one step of SGD at rate 1 from where the run is now, on the batch of its step. */
static zo_status take_gradient(zo_replay *a, profile *p, int64_t step, zo_err *err)
{
    zo_step_report report;
    double seconds;
    zo_store_write(a->be, zo_model_store(p->sgd.model), 0, p->size, p->before);
    p->sgd.counts.more_batches = a->setup.counts.more_batches;
    zo_status status = zo_setup_step(&p->sgd, step, &report, &seconds, err);
    if (status == ZO_OK) {
        read_weights(&p->sgd, p->gradient);
        for (int64_t i = 0; i < p->size; i++) {
            p->gradient[i] = p->before[i] - p->gradient[i];
        }
    }
    return status;
}

static zo_status before(zo_replay *a, int64_t step, zo_err *err)
{
    profile *p = a->context;
    zo_status status = p->start == NULL ? begin(a, p, err) : ZO_OK;
    if (status == ZO_OK && is_due(a, p, step + 1) && p->has_sgd) {
        read_weights(&a->setup, p->before);
        status = take_gradient(a, p, step, err);
    }
    return status;
}

static void add(profile *p, int64_t step, const char *figure, int layer, double value)
{
    if (isfinite(value)) {
        if (p->rows == p->room) {
            p->room = 2 * p->room + 64;
            p->row = zo_realloc(p->row, ZO_HOST, ZO_TAG_OTHER, (size_t)p->room * sizeof *p->row);
        }
        p->row[p->rows++] = (zo_profile_row){.step = step, .figure = figure, .layer = layer, .value = value};
    }
}

static zo_status after(zo_replay *a, int64_t steps, zo_err *err)
{
    profile *p = a->context;
    (void)err;
    if (is_due(a, p, steps)) {
        read_weights(&a->setup, p->now);
        for (int layer = ZO_PROFILE_ALL; layer < p->blocks; layer++) {
            add(p, steps, "drift", layer, zo_profile_drift(p->layout, layer, p->start, p->now));
            add(p, steps, "rank", layer, zo_profile_rank(p->layout, layer, p->start, p->now));
            if (p->has_sgd) {
                add(p, steps, "cosine", layer, zo_profile_cosine(p->layout, layer, p->before, p->now, p->gradient));
            }
        }
    }
    return ZO_OK;
}

static void close_sgd(zo_replay *a)
{
    profile *p = a->context;
    if (p->has_sgd) {
        zo_setup_close(&p->sgd);
        zo_cell_free(&p->cell);
    }
}

/* The rows, one object for a step and layer. */
static cJSON *objects_of(const profile *p, int64_t from)
{
    static const char *const figure[] = {"drift", "rank", "cosine"};
    cJSON *objects = cJSON_CreateArray(), *o = NULL;
    for (int64_t i = 0; i < p->rows; i++) {
        const zo_profile_row *row = &p->row[i];
        if (row->step < from) {
            continue;
        }
        if (o == NULL || i == 0 || p->row[i - 1].step != row->step || p->row[i - 1].layer != row->layer) {
            o = cJSON_CreateObject();
            cJSON_AddNumberToObject(o, "step", (double)row->step);
            cJSON_AddStringToObject(o, "layer", "all");
            if (row->layer != ZO_PROFILE_ALL) {
                zo_json_replace(o, "layer", cJSON_CreateNumber(row->layer));
            }
            for (size_t k = 0; k < sizeof figure / sizeof *figure - (p->no_cosine ? 1 : 0); k++) {
                cJSON_AddNullToObject(o, figure[k]);
            }
            cJSON_AddItemToArray(objects, o);
        }
        char text[40];
        double rounded = row->value;
        snprintf(text, sizeof text, "%.6g", row->value);
        (void)sscanf(text, "%lf", &rounded);
        zo_json_replace(o, row->figure, cJSON_CreateNumber(rounded));
    }
    return objects;
}

static zo_status keep(zo_replay *a, zo_err *err)
{
    const profile *p = a->context;
    zo_results *results;
    zo_status status = zo_results_open_alone(&results, a->db, err);
    if (status == ZO_OK) {
        status = zo_results_profile(results, a->facts.run, p->row, p->rows, err);
        zo_results_close(results);
    }
    return status;
}

int zo_cmd_profile(int argc, char **argv)
{
    zo_replay a = {.db = "results/zo.db", .to = -1, .before = before, .after = after, .ended = keep, .close = close_sgd};
    profile p = {.every = 0};
    bool json = false;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &a.db},
                            {"--every", ZO_ARG_INT, &p.every},
                            {"--no-cosine", ZO_ARG_FLAG, &p.no_cosine},
                            {"--json", ZO_ARG_FLAG, &json},
                            {"--data", ZO_ARG_TEXT, &a.dirs.data},
                            {"--models", ZO_ARG_TEXT, &a.dirs.models},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_status status = zo_args_read(argc, argv, table, &a.run, 1, 1, NULL, "zo profile RUN [--every N] [--no-cosine] [--db FILE] [--data DIR] [--models DIR] [--json]", &err);
    a.context = &p;
    status = status == ZO_OK ? zo_replay_play(&a, &err) : status;
    if (p.rows > 0) { /* also where they could not be kept */
        cJSON *objects = objects_of(&p, json ? 0 : a.steps);
        zo_table_print(stdout, objects, json ? ZO_TABLE_JSON : ZO_TABLE_MD, zo_terminal_columns(STDOUT_FILENO));
        cJSON_Delete(objects);
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo profile: %s\n", err.text);
    }
    zo_free(p.start);
    zo_free(p.row);
    return status == ZO_OK ? 0 : 2;
}
