/* hours.c: see hours.h. */
#include "bench/matrix/hours.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/report.h"

#define TIMED_STEPS 6     /* three rounds of a method whose every second step reads the whole training set */
#define START_SECONDS 0.1 /* of a process, beside the loading that its row has */
#define TEST_LOOKS 0.5    /* share of evaluations that are the best so far, at which test is evaluated too */

/* What was seen of one setting. */
typedef struct timing { double step_seconds, forwards, work, seconds, load_seconds; } timing;

double zo_hours_steps(const zo_cell *c, double timed, double forwards, double work, double seconds)
{
    double steps = c->steps > 0 ? (double)c->steps : INFINITY;
    steps = c->forwards > 0 && forwards > 0 ? fmin(steps, ceil((double)c->forwards * timed / forwards)) : steps;
    steps = c->work > 0 && work > 0 ? fmin(steps, ceil(c->work * timed / work)) : steps;
    steps = c->seconds > 0 && seconds > 0 ? fmin(steps, ceil(c->seconds * timed / seconds)) : steps;
    return isfinite(steps) ? steps : 0;
}

/* A cell of a few steps and nothing to evaluate; one that does not train evaluates instead, as it is. */
static zo_status timed_cell(zo_cell *out, const zo_cell *cell, zo_err *err)
{
    static const struct { const char *key; double value; } set[] = {{"seed", 0}, {"steps", TIMED_STEPS}, {"forwards", 0}, {"work", 0}, {"seconds", 0},
                                                                    {"warmup", 0}, {"eval_every", 0}, {"dev", 0}, {"test", 0}};
    cJSON *config = cJSON_Parse(cell->config);
    for (size_t i = 0; i < (cell->estimator->step != NULL ? sizeof set / sizeof *set : 1); i++) {
        zo_json_replace(config, set[i].key, cJSON_CreateNumber(set[i].value));
    }
    if (cell->estimator->step != NULL) { /* steps at another rate take as long */
        zo_json_replace(config, "lr", cJSON_CreateNumber(cell->estimator->lr));
        zo_json_replace(config, "schedule", cJSON_CreateString("constant"));
    }
    zo_status status = zo_cell_make(out, config, "timing", err);
    cJSON_Delete(config);
    return status;
}

static double number(const cJSON *row, const char *column)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, column);
    return cJSON_IsNumber(v) ? v->valuedouble : 0;
}

/* (grid->n; the caller frees it) for each cell the row of its timed cell in `g`, into which those go. */
static zo_status make_timed(const zo_grid *grid, zo_grid *g, int64_t *of_cell, zo_err *err)
{
    zo_hashmap map = {0};
    zo_status status = ZO_OK;
    memcpy(g->path, grid->path, sizeof g->path);
    memcpy(g->name, grid->name, sizeof g->name);
    g->cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *g->cell);
    for (int64_t i = 0; i < grid->n && status == ZO_OK; i++) {
        zo_cell timed;
        status = timed_cell(&timed, &grid->cell[i], err);
        of_cell[i] = status == ZO_OK ? zo_hashmap_number(&map, strtoull(timed.hash, NULL, 16)) : -1;
        if (status == ZO_OK && of_cell[i] == g->n) {
            g->cell[g->n++] = timed;
        } else if (status == ZO_OK) {
            zo_cell_free(&timed);
        }
    }
    zo_hashmap_free(&map);
    zo_grid_label(g);
    return status;
}

static zo_status read_timings(const zo_grid *g, const char *db, timing *of, zo_err *err)
{
    zo_results *results;
    cJSON *rows = NULL;
    zo_status status = zo_results_open_read(&results, db, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_results_select(results, "SELECT hash, steps, step_ms, forwards, work, train_seconds, load_seconds, eval_seconds FROM runs", &rows, err);
    zo_hashmap map = {0};
    bool is_new;
    for (int64_t i = 0; i < g->n; i++) {
        *zo_hashmap_at(&map, strtoull(g->cell[i].hash, NULL, 16), &is_new) = 1 + i;
    }
    for (const cJSON *row = rows != NULL ? rows->child : NULL; row != NULL; row = row->next) {
        const cJSON *hash = cJSON_GetObjectItemCaseSensitive(row, "hash");
        int64_t i = cJSON_IsString(hash) ? *zo_hashmap_at(&map, strtoull(hash->valuestring, NULL, 16), &is_new) - 1 : -1;
        double steps = number(row, "steps");
        if (i >= 0 && !is_new) { /* one that trains has nothing to evaluate, one that does not has no steps */
            of[i] = (timing){.step_seconds = number(row, "step_ms") / 1e3, .load_seconds = number(row, "load_seconds") + number(row, "eval_seconds")};
            if (steps > 0) {
                of[i].forwards = number(row, "forwards") / steps;
                of[i].work = number(row, "work") / steps;
                of[i].seconds = number(row, "train_seconds") / steps;
            }
        }
    }
    zo_hashmap_free(&map);
    cJSON_Delete(rows);
    zo_results_close(results);
    return status;
}

/* Seconds of one cell; trial: without test rows. forward_seconds: of a batch. */
static double cell_seconds(const zo_cell *c, const timing *t, double forward_seconds, bool trial)
{
    double seconds = START_SECONDS + t->load_seconds;
    if (c->estimator->step == NULL) {
        return seconds;
    }
    double steps = zo_hours_steps(c, 1, t->forwards, t->work, t->seconds);
    double looks = 1 + (c->eval_every == ZO_EVAL_TENTHS ? fmin(10, steps) : c->eval_every > 0 ? ceil(steps / (double)c->eval_every) : 1);
    double dev = c->dev >= 0 ? (double)c->dev : 1000, test = trial ? 0 : c->test >= 0 ? (double)c->test : 1000;
    return seconds + steps * t->step_seconds + looks * (dev + TEST_LOOKS * test) / (double)c->batch * forward_seconds;
}

static bool same_pass(const zo_cell *a, const zo_cell *b)
{
    return a->estimator->step != NULL && b->estimator->step != NULL && strcmp(a->model, b->model) == 0 && strcmp(a->task, b->task) == 0 &&
           a->form == b->form && a->batch == b->batch && a->context == b->context && a->precision == b->precision && strcmp(a->device, b->device) == 0;
}

/* Seconds of a plain forward: of the method that takes the least for one. */
static double forward_seconds(const zo_grid *g, const timing *of, const zo_cell *cell)
{
    double least = 0;
    for (int64_t i = 0; i < g->n; i++) {
        double one = of[i].work > 0 ? of[i].step_seconds / of[i].work : 0;
        if (one > 0 && same_pass(&g->cell[i], cell) && (least == 0 || one < least)) {
            least = one;
        }
    }
    return least;
}

static double sum_hours(const zo_grid *grid, const zo_grid *g, const timing *of, const int64_t *of_cell)
{
    const zo_tuning *t = &grid->tuning;
    double shown = 0, trials = 0;
    int64_t tried = 0;
    bool *is_tried = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)g->n + 1);
    for (int64_t i = 0; i < grid->n; i++) {
        const zo_cell *c = &grid->cell[i];
        double forward = forward_seconds(g, of, c);
        shown += cell_seconds(c, &of[of_cell[i]], forward, false);
        if (t->there && c->estimator->step != NULL && !is_tried[of_cell[i]]) {
            is_tried[of_cell[i]] = true;
            tried++;
            trials += (double)(t->rates + 1) * cell_seconds(c, &of[of_cell[i]], forward, true);
        }
    }
    zo_free(is_tried);
    fprintf(stderr, "about %.2f hours for %lld cells", shown / 3600, (long long)grid->n);
    if (t->there) {
        fprintf(stderr, ", and %.2f for the trials of %lld searches", trials / 3600, (long long)tried);
    }
    fprintf(stderr, ", by %d timed steps of each of %lld settings\n", TIMED_STEPS, (long long)g->n);
    return (shown + trials) / 3600;
}

int zo_hours_say(const zo_grid *grid, const zo_run_spec *spec, double *hours)
{
    zo_err err = {0};
    zo_grid g = {0};
    char db[4200];
    int64_t *of_cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *of_cell);
    timing *of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *of);
    zo_run_spec timed = {.db = db, .dirs = spec->dirs};
    snprintf(db, sizeof db, "%s.hours", spec->db);
    int code = make_timed(grid, &g, of_cell, &err) == ZO_OK ? zo_run_grid(&g, &timed) : 2;
    if (code == 0 && read_timings(&g, db, of, &err) == ZO_OK) {
        *hours = sum_hours(grid, &g, of, of_cell);
    }
    if (err.status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
        code = 2;
    }
    zo_grid_free(&g);
    zo_free(of_cell);
    zo_free(of);
    return code;
}
