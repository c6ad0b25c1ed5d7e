/* hours.c: see hours.h. */
#include "bench/matrix/hours.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/matrix/child.h"
#include "core/clock.h"
#include "core/conf.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/report.h"

#define FIRST_STEPS 6     /* three rounds of a method whose every second step reads the whole training set */
#define ENOUGH_SECONDS 1.0 /* of steps: where the first took less, more are timed */
#define START_SECONDS 0.1 /* of a process, beside the loading that its row has */
#define TEST_LOOKS 0.5    /* share of evaluations that are the best so far, at which test is evaluated too */

/* What was seen of one setting. */
typedef struct timing {
    bool there;
    double step_seconds, forwards, work, seconds, cpu; /* of a step */
    double row_seconds, load_seconds, train_seconds;   /* of an evaluated row; the last: of all training of one that makes no steps (a linear probe) */
    double whole_seconds;                              /* of training and evaluations */
    char why[300];
} timing;

const zo_timing_spec zo_timing_usual = {.rows = 64};

struct zo_timings {
    int64_t rows;       /* that are evaluated */
    double most_seconds; /* of the steps of a setting; 0 = no limit */
    double spent;
    zo_hashmap of_hash; /* of the cell of the first steps: 1 + its place */
    timing *of;         /* (n) */
    int64_t n;
};

double zo_hours_steps(const zo_cell *c, double timed, double forwards, double work, double seconds)
{
    double steps = c->steps > 0 ? (double)c->steps : INFINITY;
    steps = c->forwards > 0 && forwards > 0 ? fmin(steps, ceil((double)c->forwards * timed / forwards)) : steps;
    steps = c->work > 0 && work > 0 ? fmin(steps, ceil(c->work * timed / work)) : steps;
    steps = c->seconds > 0 && seconds > 0 ? fmin(steps, ceil(c->seconds * timed / seconds)) : steps;
    return isfinite(steps) ? steps : 0;
}

static double least_rows(int64_t rows, int64_t most)
{
    return rows < 0 || rows > most ? (double)most : (double)rows;
}

/* A cell of so many steps and a few rows to evaluate; one that makes no steps is trained whole. */
static zo_status timed_cell(zo_cell *out, const zo_timings *t, const zo_cell *cell, int64_t steps, zo_err *err)
{
    const struct { const char *key; double value; bool of_steps; } set[] = {{"seed", 0, false}, {"dev", least_rows(cell->dev, t->rows), false}, {"test", least_rows(cell->test, t->rows), false},
        {"steps", (double)steps, true}, {"forwards", 0, true}, {"work", 0, true}, {"seconds", t->most_seconds, true}, {"warmup", 0, true}, {"eval_every", 0, true}};
    cJSON *config = cJSON_Parse(cell->config);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        if (set[i].of_steps && cell->estimator->step == NULL) {
            continue;
        }
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

static zo_grid like(const zo_grid *grid)
{
    zo_grid g = {.n = 0};
    memcpy(g.path, grid->path, sizeof g.path);
    memcpy(g.name, grid->name, sizeof g.name);
    g.cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *g.cell);
    return g;
}

/* The cells of the first steps, in `g`: one a setting, in the order of t->of. */
static zo_status make_first(const zo_grid *grid, const bool *leave_out, zo_grid *g, zo_timings *t, zo_err *err)
{
    zo_status status = ZO_OK;
    *g = like(grid);
    for (int64_t i = 0; i < grid->n && status == ZO_OK; i++) {
        zo_cell timed;
        if (leave_out != NULL && leave_out[i]) {
            continue;
        }
        status = timed_cell(&timed, t, &grid->cell[i], FIRST_STEPS, err);
        if (status != ZO_OK) {
            break;
        }
        bool is_new;
        int64_t *place = zo_hashmap_at(&t->of_hash, strtoull(timed.hash, NULL, 16), &is_new);
        if (is_new) {
            g->cell[g->n++] = timed;
            *place = g->n;
        } else {
            zo_cell_free(&timed);
        }
    }
    t->n = g->n;
    zo_grid_label(g);
    return status;
}

/* Longer ones of those whose first steps were soon done, in `g`; at[k]: the setting of its k-th. */
static zo_status make_longer(const zo_grid *first, const zo_timings *t, zo_grid *g, int64_t *at, zo_err *err)
{
    static const int64_t lengths[] = {10, 20, 50, 100, 200};
    zo_status status = ZO_OK;
    *g = like(first);
    for (int64_t i = 0; i < first->n && status == ZO_OK; i++) {
        size_t k = 0;
        double enough = t->most_seconds > 0 ? fmin(ENOUGH_SECONDS, t->most_seconds) : ENOUGH_SECONDS;
        while (k + 1 < sizeof lengths / sizeof *lengths && (double)lengths[k] * t->of[i].step_seconds < enough) {
            k++;
        }
        if (first->cell[i].estimator->step != NULL && t->of[i].there && t->of[i].step_seconds * FIRST_STEPS < enough) {
            at[g->n] = i;
            status = timed_cell(&g->cell[g->n], t, &first->cell[i], lengths[k], err);
            g->n += status == ZO_OK;
        }
    }
    zo_grid_label(g);
    return status;
}

static timing read_timing(const cJSON *row)
{
    timing t = {.load_seconds = zo_json_number(row, "load_seconds", 0), .step_seconds = zo_json_number(row, "step_ms", 0) / 1e3};
    double steps = zo_json_number(row, "steps", 0), train = zo_json_number(row, "train_seconds", 0), looked = zo_json_number(row, "looked", 0);
    t.train_seconds = train;
    t.whole_seconds = train + zo_json_number(row, "eval_seconds", 0);
    t.row_seconds = looked > 0 ? zo_json_number(row, "eval_seconds", 0) / looked : 0;
    if (steps > 0) {
        t.forwards = zo_json_number(row, "forwards", 0) / steps;
        t.work = zo_json_number(row, "work", 0) / steps;
        t.seconds = train / steps;
        t.cpu = train > 0 ? zo_json_number(row, "cpu_seconds", 0) / train * t.step_seconds : 0; /* without the first step's share, as step_ms */
    }
    const char *status = zo_json_text(row, "status");
    t.there = strcmp(status, "oom") != 0 && strcmp(status, "unsupported") != 0 && strcmp(status, "failed") != 0 && strcmp(status, "killed") != 0;
    if (!t.there) {
        snprintf(t.why, sizeof t.why, "%s: %.250s", status, zo_json_text(row, "message"));
    }
    return t;
}

/* Of cell k of the grid the timing at[k]; at NULL: k. */
static zo_status read_timings(const zo_grid *g, const char *db, const int64_t *at, zo_timings *t, zo_err *err)
{
    zo_results *results;
    cJSON *rows = NULL;
    zo_status status = zo_results_open_read(&results, db, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_results_select(results, "SELECT hash, status, message, steps, step_ms, forwards, work, train_seconds, load_seconds, eval_seconds, cpu_seconds,"
                                        " (SELECT sum(examples) FROM evaluations e WHERE e.run = runs.run) AS looked FROM runs", &rows, err);
    zo_hashmap map = {0};
    bool is_new;
    for (int64_t i = 0; i < g->n; i++) {
        *zo_hashmap_at(&map, strtoull(g->cell[i].hash, NULL, 16), &is_new) = 1 + i;
    }
    for (const cJSON *row = rows != NULL ? rows->child : NULL; row != NULL; row = row->next) {
        int64_t i = *zo_hashmap_at(&map, strtoull(zo_json_text(row, "hash"), NULL, 16), &is_new) - 1;
        if (i >= 0 && !is_new) {
            timing *of = &t->of[at != NULL ? at[i] : i];
            *of = read_timing(row);
            t->spent += START_SECONDS + of->load_seconds + of->whole_seconds;
        }
    }
    zo_hashmap_free(&map);
    cJSON_Delete(rows);
    zo_results_close(results);
    return status;
}

/* Runs the cells, as far as the time for it goes, and reads what came of them. */
static int time_cells(const zo_grid *g, const zo_run_spec *spec, const int64_t *at, zo_timings *t, zo_err *err)
{
    int code = g->n > 0 ? zo_run_grid(g, spec) : 0;
    if (code == ZO_RUN_OVER) {
        code = zo_run_interrupted = 0;
    }
    return code < 2 && g->n > 0 && !zo_run_interrupted && zo_path_exists(spec->db) && read_timings(g, spec->db, at, t, err) != ZO_OK ? 2 : code;
}

int zo_timings_take(zo_timings **timings, const zo_grid *grid, const zo_run_spec *spec, const zo_timing_spec *how, const bool *leave_out)
{
    zo_err err = {0};
    zo_grid first = {0}, longer = {0};
    char db[4200];
    zo_timings *t = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *t);
    zo_run_spec timed = {.db = db, .dirs = spec->dirs, .until = how->total_seconds > 0 ? zo_now() + how->total_seconds : 0,
                         .over = "the part of the budget that timing may take is over; what has not been timed is not run"};
    snprintf(db, sizeof db, "%s.hours", spec->db);
    t->of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *t->of);
    int64_t *at = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *at);
    t->rows = how->rows;
    zo_status status = make_first(grid, leave_out, &first, t, &err);
    if (status == ZO_OK && how->total_seconds > 0 && t->n > 0) { /* how many share the time is known now */
        t->most_seconds = fmax(0.01, round(100 * how->total_seconds / (double)t->n) / 100);
        zo_grid_free(&first);
        zo_hashmap_free(&t->of_hash);
        status = make_first(grid, leave_out, &first, t, &err);
    }
    int code = status == ZO_OK ? time_cells(&first, &timed, NULL, t, &err) : 2;
    if (code < 2 && !zo_run_interrupted) {
        int more = make_longer(&first, t, &longer, at, &err) == ZO_OK ? time_cells(&longer, &timed, at, t, &err) : 2;
        code = more > code ? more : code;
    }
    if (err.status != ZO_OK) {
        fprintf(stderr, "zo: %s\n", err.text);
    }
    zo_grid_free(&first);
    zo_grid_free(&longer);
    zo_free(at);
    if (code == 2) {
        zo_timings_free(t);
        t = NULL;
    }
    *timings = t;
    return code;
}

void zo_timings_free(zo_timings *t)
{
    if (t != NULL) {
        zo_hashmap_free(&t->of_hash);
        zo_free(t->of);
        zo_free(t);
    }
}

/* How often the splits are evaluated: before the first step, between steps, and after the last. */
typedef struct looks { double dev, test, between_dev, between_test; } looks;

static looks count_looks(const zo_cell *c, double steps, bool has_dev, bool has_test)
{
    double during = c->eval_every == ZO_EVAL_TENTHS ? fmin(10, steps) : c->eval_every > 0 ? ceil(steps / (double)c->eval_every) : 1;
    looks l = {.dev = has_dev ? 1 + during : 0, .between_dev = has_dev ? during - 1 : 0};
    if (has_test && c->selection == ZO_SELECT_BEST_TEST) {
        l.test = during;
    } else if (has_test) {
        l.test = !has_dev || c->selection == ZO_SELECT_LAST ? 1 : fmax(1, TEST_LOOKS * during);
    }
    l.between_test = has_test && l.test > 1 ? l.test * (during - 1) / during : 0;
    return l;
}

/* NULL = its setting was not timed. */
static const timing *find(zo_timings *timings, const zo_cell *c)
{
    zo_cell first;
    zo_err err = {0};
    bool is_new = true;
    if (timed_cell(&first, timings, c, FIRST_STEPS, &err) != ZO_OK) {
        return NULL;
    }
    int64_t place = *zo_hashmap_at(&timings->of_hash, strtoull(first.hash, NULL, 16), &is_new);
    zo_cell_free(&first);
    return place > 0 ? &timings->of[place - 1] : NULL;
}

zo_time zo_timings_of(zo_timings *timings, const zo_cell *c, int64_t dev, int64_t test, bool trial)
{
    zo_time time = {.steps = NAN, .forwards = NAN, .step_seconds = NAN, .hours = NAN, .cpu_seconds = NAN, .seconds = NAN};
    const timing *t = find(timings, c);
    if (t == NULL || !t->there) {
        snprintf(time.why, sizeof time.why, "%s", t == NULL ? "it was not timed" : t->why[0] != '\0' ? t->why : "it was not timed: the part of the budget for that was over");
        return time;
    }
    double dev_rows = dev >= 0 ? (double)dev : c->dev >= 0 ? (double)c->dev : 1000, test_rows = test >= 0 ? (double)test : c->test >= 0 ? (double)c->test : 1000;
    test_rows = trial ? 0 : test_rows;
    if (c->estimator->step == NULL) {
        double looks_at_dev = c->estimator->fit != NULL ? 2 : 1; /* what is fitted is evaluated before, too */
        double seconds = t->train_seconds + (looks_at_dev * dev_rows + test_rows) * t->row_seconds;
        time.steps = time.forwards = time.step_seconds = 0;
        time.hours = seconds / 3600;
        time.seconds = START_SECONDS + t->load_seconds + seconds;
        return time;
    }
    time.steps = zo_hours_steps(c, 1, t->forwards, t->work, t->seconds);
    time.forwards = t->forwards;
    time.step_seconds = t->step_seconds;
    looks l = count_looks(c, time.steps, dev_rows > 0, test_rows > 0);
    double steps = time.steps * t->step_seconds, evaluations = (l.dev * dev_rows + l.test * test_rows) * t->row_seconds;
    time.hours = (steps + evaluations) / 3600;
    time.seconds = START_SECONDS + t->load_seconds + steps + evaluations;
    if (t->cpu > 0) { /* an evaluation keeps as many processors busy as a step */
        time.cpu_seconds = t->cpu * (time.steps + (l.between_dev * dev_rows + l.between_test * test_rows) * t->row_seconds / t->step_seconds);
    }
    return time;
}

double zo_timings_spent(const zo_timings *t)
{
    return t->spent;
}

double zo_timings_trials(zo_timings *timings, const zo_grid *grid, int64_t *searches)
{
    const zo_tuning *t = &grid->tuning;
    double seconds = 0;
    zo_hashmap tried = {0};
    *searches = 0;
    for (int64_t i = 0; i < grid->n; i++) {
        const zo_cell *c = &grid->cell[i];
        zo_cell first;
        zo_err err = {0};
        if (t->there && c->estimator->step != NULL && timed_cell(&first, timings, c, FIRST_STEPS, &err) == ZO_OK) {
            if (zo_hashmap_number(&tried, strtoull(first.hash, NULL, 16)) == *searches) {
                (*searches)++;
                seconds += (double)(t->rates + 1) * zo_timings_of(timings, c, -1, -1, true).seconds;
            }
            zo_cell_free(&first);
        }
    }
    zo_hashmap_free(&tried);
    return seconds;
}

int zo_hours_say(const zo_grid *grid, const zo_run_spec *spec, double *hours)
{
    zo_timings *timings;
    int code = zo_timings_take(&timings, grid, spec, &zo_timing_usual, NULL);
    if (code != 0) {
        zo_timings_free(timings);
        return code;
    }
    int64_t searches;
    double shown = 0, trials = zo_timings_trials(timings, grid, &searches);
    for (int64_t i = 0; i < grid->n; i++) {
        shown += zo_timings_of(timings, &grid->cell[i], -1, -1, false).seconds;
    }
    fprintf(stderr, "about %.2f hours for %lld cells", shown / 3600, (long long)grid->n);
    if (grid->tuning.there) {
        fprintf(stderr, ", and %.2f for the trials of %lld searches", trials / 3600, (long long)searches);
    }
    fprintf(stderr, ", by timed steps of each of %lld settings\n", (long long)timings->n);
    *hours = (shown + trials) / 3600;
    zo_timings_free(timings);
    return 0;
}
