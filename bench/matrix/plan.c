/* plan.c: see plan.h. */
#include "bench/matrix/plan.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/predict.h"
#include "core/clock.h"
#include "bench/matrix/child.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"

/* Does the cell fit? Else *p says why not. */
static void judge(zo_planned *p)
{
    const zo_foreseen *f = &p->foreseen;
    char text[400];
    if (f->why[0] != '\0') {
        snprintf(p->why, sizeof p->why, "%s", f->why);
    } else if (f->limit > 0 && f->total > (1 + ZO_PREDICT_MARGIN) * f->limit) {
        snprintf(p->why, sizeof p->why, "its training takes %s, and a cell may take %.1f MB", zo_predict_text(f->bytes, text, sizeof text), f->limit / 1e6);
    }
    p->fits = p->why[0] == '\0';
}

static zo_status write_figure(zo_results *r, const char *hash, const char *figure, double value, zo_err *err)
{
    return isfinite(value) && value > 0 ? zo_results_plan(r, hash, figure, value, err) : ZO_OK;
}

static zo_status write_plan(const zo_matrix_plan *plan, const zo_grid *grid, const char *db, zo_err *err)
{
    zo_results *r;
    zo_status status = zo_results_open_alone(&r, db, err);
    if (status != ZO_OK) {
        return status;
    }
    for (int64_t i = 0; i < plan->n && status == ZO_OK; i++) {
        const zo_planned *p = &plan->of[i];
        const char *hash = grid->cell[i].hash;
        double bytes = zo_estimator_trains(grid->cell[i].estimator) && grid->cell[i].estimator->unmeasured == NULL ? p->foreseen.total : 0;
        status = write_figure(r, hash, "train_peak_bytes", bytes, err);
        status = status == ZO_OK ? write_figure(r, hash, "device_hours_total", p->time.hours, err) : status;
        status = status == ZO_OK ? write_figure(r, hash, "cpu_seconds", p->time.cpu_seconds, err) : status;
    }
    zo_results_close(r);
    return status;
}

static const zo_time not_timed = {.steps = NAN, .forwards = NAN, .step_seconds = NAN, .hours = NAN, .cpu_seconds = NAN, .seconds = NAN};

/* Times what fits. */
static int time_plan(zo_matrix_plan *plan, const zo_grid *grid, const zo_run_spec *spec, const zo_timing_spec *how, const bool *leave_out)
{
    int code = zo_timings_take(&plan->timings, grid, spec, how, leave_out);
    for (int64_t i = 0; i < plan->n && plan->timings != NULL; i++) {
        zo_planned *p = &plan->of[i];
        if (p->fits) {
            p->time = zo_timings_of(plan->timings, &grid->cell[i], p->foreseen.dev, p->foreseen.test, false);
            snprintf(p->why, sizeof p->why, "%s", p->time.why);
            p->fits = p->why[0] == '\0';
        }
    }
    return code == 2 ? 2 : 0;
}

int zo_matrix_plan_make(zo_matrix_plan *plan, const zo_grid *grid, const zo_run_spec *spec, const zo_timing_spec *how)
{
    zo_err err = {0};
    zo_live l = {.terminal = isatty(STDERR_FILENO) != 0, .start = zo_now()};
    *plan = (zo_matrix_plan){.n = grid->n, .of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *plan->of)};
    bool *todo = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid->n + 1), *leave_out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)grid->n + 1);
    zo_foreseen *foreseen = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *foreseen);
    zo_run_spec every = *spec; /* another model may have no words for a task, or a machine not all files */
    every.goes_on = true;
    memset(todo, true, (size_t)grid->n);
    zo_status status = zo_run_check_cells(grid, todo, &every, &l, foreseen, &err);
    for (int64_t i = 0; i < grid->n && status == ZO_OK; i++) {
        zo_planned *p = &plan->of[i];
        p->foreseen = foreseen[i];
        p->time = not_timed;
        judge(p);
        leave_out[i] = !p->fits;
        plan->right += !p->foreseen.wrong;
        plan->limit = fmax(plan->limit, p->foreseen.limit);
    }
    int code = status != ZO_OK ? 2 : how != NULL ? time_plan(plan, grid, spec, how, leave_out) : 0;
    if (code == 0 && zo_run_interrupted == 0 && write_plan(plan, grid, spec->db, &err) != ZO_OK) {
        code = 2;
    }
    if (err.status != ZO_OK) {
        fprintf(stderr, "zo plan: %s\n", err.text);
    }
    for (int64_t i = 0; i < plan->n && code == 0; i++) {
        code = plan->of[i].fits ? 0 : 1;
    }
    zo_free(todo);
    zo_free(leave_out);
    zo_free(foreseen);
    return code;
}

void zo_matrix_plan_free(zo_matrix_plan *plan)
{
    zo_timings_free(plan->timings);
    zo_free(plan->of);
    *plan = (zo_matrix_plan){.n = 0};
}

/* ---- what is said of it ---------------------------------------------------------------------------------------------------- */

/* The same for cells that differ in the seed and the learning rate alone. */
static uint64_t group_of(const zo_cell *cell)
{
    cJSON *config = cJSON_Parse(cell->config);
    zo_json_replace(config, "seed", cJSON_CreateNumber(0));
    zo_json_replace(config, "lr", cJSON_CreateNumber(0));
    char *text = cJSON_PrintUnformatted(config);
    uint64_t hash = zo_fnv1a(ZO_FNV_START, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(config);
    return hash;
}

static void add_number(cJSON *row, const char *key, double value)
{
    cJSON_AddItemToObject(row, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

/* To so many digits, as JSON prints it short. */
static double rounded(double value, int digits)
{
    char text[40];
    double read = value;
    snprintf(text, sizeof text, "%.*g", digits, value);
    return sscanf(text, "%lf", &read) == 1 ? read : value;
}

static cJSON *row_of(const zo_planned *p, const zo_cell *c, const bool *has, int64_t cells)
{
    cJSON *row = cJSON_CreateObject();
    char method[700], name[40];
    snprintf(method, sizeof method, "%s%s", c->estimator->name, c->varied != NULL ? c->varied : "");
    cJSON_AddStringToObject(row, "model", c->model);
    cJSON_AddStringToObject(row, "task", c->task);
    cJSON_AddStringToObject(row, "method", method);
    cJSON_AddNumberToObject(row, "cells", (double)cells);
    bool known = p->foreseen.total > 0;
    add_number(row, "MB", known ? rounded(p->foreseen.total / 1e6, 5) : NAN);
    for (int t = 0; t < ZO_TAGS; t++) {
        if (has[t]) {
            snprintf(name, sizeof name, "%s", zo_tag_name((zo_tag)t));
            add_number(row, name, known ? rounded((double)p->foreseen.bytes[t] / 1e6, 4) : NAN);
        }
    }
    add_number(row, "steps", p->time.steps);
    add_number(row, "step_ms", rounded(1e3 * p->time.step_seconds, 4));
    add_number(row, "hours", rounded(p->time.hours, 3));
    add_number(row, "cpu_hours", rounded(p->time.cpu_seconds / 3600, 3));
    add_number(row, "all_hours", rounded((double)cells * p->time.seconds / 3600, 3));
    cJSON_AddStringToObject(row, "fits", p->fits ? "yes" : "no");
    cJSON_AddStringToObject(row, "why", p->why);
    return row;
}

cJSON *zo_matrix_plan_rows(const zo_matrix_plan *plan, const zo_grid *grid)
{
    bool has[ZO_TAGS] = {false};
    zo_hashmap groups = {0};
    int64_t *first = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)plan->n + 1) * sizeof *first);
    int64_t *cells = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)plan->n + 1) * sizeof *cells), n = 0;
    for (int64_t i = 0; i < plan->n; i++) {
        int64_t group = zo_hashmap_number(&groups, group_of(&grid->cell[i]));
        first[group] = group == n ? i : first[group];
        n += group == n;
        cells[group]++;
        for (int t = 0; t < ZO_TAGS; t++) {
            has[t] = has[t] || plan->of[i].foreseen.bytes[t] > 0;
        }
    }
    cJSON *rows = cJSON_CreateArray();
    for (int64_t g = 0; g < n; g++) {
        cJSON_AddItemToArray(rows, row_of(&plan->of[first[g]], &grid->cell[first[g]], has, cells[g]));
    }
    zo_hashmap_free(&groups);
    zo_free(first);
    zo_free(cells);
    return rows;
}

void zo_matrix_plan_sum(const zo_matrix_plan *plan, const zo_grid *grid, char *out, size_t size)
{
    int64_t unfit = 0, searches = 0;
    double seconds = 0;
    for (int64_t i = 0; i < plan->n; i++) {
        unfit += !plan->of[i].fits;
        seconds += isfinite(plan->of[i].time.seconds) ? plan->of[i].time.seconds : 0;
    }
    char limit[60] = "", hours[160] = "";
    if (plan->limit > 0) {
        snprintf(limit, sizeof limit, "; a cell may take %.1f MB", plan->limit / 1e6);
    }
    if (plan->timings != NULL) {
        double trials = zo_timings_trials(plan->timings, grid, &searches);
        int at = snprintf(hours, sizeof hours, "; about %.3g hours for those that run", seconds / 3600);
        if (grid->tuning.there) {
            snprintf(hours + at, sizeof hours - (size_t)at, ", and %.3g for the trials of %lld searches", trials / 3600, (long long)searches);
        }
    }
    snprintf(out, size, "%lld cells, %lld of which do not fit or cannot be run%s%s", (long long)plan->n, (long long)unfit, limit, hours);
}
