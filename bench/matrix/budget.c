/* budget.c: see budget.h. */
#include "bench/matrix/budget.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/matrix/child.h"
#include "bench/matrix/expect.h"
#include "bench/matrix/plan.h"
#include "bench/matrix/tuning.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "results/budgets.h"
#include "results/report.h"

#define TIMING_SHARE 0.25 /* of the budget, that timed steps may take */
#define TIMING_ROWS 16
#define CELLS_SHARE 0.5   /* of the budget, that cells have at least */

/* ---- texts ----------------------------------------------------------------------------------------------------------------- */

zo_status zo_budget_parse(const char *option, const char *text, double *seconds, zo_err *err)
{
    char *end;
    double number = strtod(text, &end), unit = strcmp(end, "s") == 0 ? 1 : strcmp(end, "m") == 0 ? 60 : strcmp(end, "h") == 0 ? 3600 : 0;
    if (end == text || unit == 0 || !(number > 0 && number < 1e6)) {
        return zo_fail(err, ZO_EINPUT, "%s is \"%.40s\"; expected a time such as 90s, 10m or 2h", option, text);
    }
    *seconds = number * unit;
    return ZO_OK;
}

const char *zo_budget_text(double seconds, char out[24])
{
    double unit = seconds >= 3600 ? 3600 : seconds >= 60 ? 60 : 1;
    snprintf(out, 24, "%.6g%c", seconds / unit, unit == 3600 ? 'h' : unit == 60 ? 'm' : 's');
    return out;
}

void zo_budget_name(char (*hash)[17], int64_t n, double seconds, char name[17])
{
    uint64_t all = zo_fnv1a(ZO_FNV_START, &seconds, sizeof seconds);
    zo_hashmap seen = {0};
    for (int64_t i = 0; i < n; i++) {
        bool is_new;
        zo_hashmap_at(&seen, strtoull(hash[i], NULL, 16), &is_new);
        all = is_new ? zo_fnv1a(all, hash[i], 17) : all;
    }
    zo_hashmap_free(&seen);
    snprintf(name, 17, "%016llx", (unsigned long long)all);
}

/* ---- what may be cut ------------------------------------------------------------------------------------------------------- */

typedef struct item {
    uint64_t group;           /* the value, or what stands for one */
    int64_t setting, rank;    /* of the group's settings, from 0; by distance from the middle one */
    int64_t seed, task;       /* of the setting's seeds, and of all tasks, from 0 */
    double seconds, steps;    /* as the cell is */
    double step_seconds, least; /* of a step; fewest steps */
    double evaluations;       /* by `eval_every` steps; 0 = not by steps, or none */
    bool known;               /* it fits and was timed */
} item;

/* What is kept: settings of rank < settings, seeds < seeds, tasks that are not dropped. */
typedef struct cut { int64_t settings, seeds; bool *dropped; } cut;

static bool is_kept(const item *it, const cut *c)
{
    return it->known && it->rank < c->settings && it->seed < c->seeds && !c->dropped[it->task];
}

/* Steps of a cell that makes this share of them: a whole number of them between two evaluations. */
static double steps_of(const item *it, double share)
{
    double steps = floor(share * it->steps), every = it->evaluations > 0 ? it->evaluations : 1;
    steps = floor(steps / every) * every;
    return share >= 1 || it->least >= it->steps ? it->steps : fmax(steps, it->least);
}

static double seconds_of(const item *it, double share)
{
    return it->seconds - (it->steps - steps_of(it, share)) * it->step_seconds;
}

static double sum_seconds(const item *items, int64_t n, const cut *c, double share)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += is_kept(&items[i], c) ? seconds_of(&items[i], share) : 0;
    }
    return sum;
}

/* The task that takes longest of those that are left; -1 = one is left. */
static int64_t longest_task(const item *items, int64_t n, const cut *c, int64_t tasks)
{
    double most = -1;
    int64_t longest = -1, left = 0;
    for (int64_t t = 0; t < tasks; t++) {
        double sum = 0;
        bool any = false;
        for (int64_t i = 0; i < n; i++) {
            bool is = items[i].task == t && is_kept(&items[i], c);
            any = any || is;
            sum += is ? seconds_of(&items[i], 0) : 0;
        }
        left += any;
        if (any && sum > most) {
            most = sum;
            longest = t;
        }
    }
    return left > 1 ? longest : -1;
}

/* Cuts as little as the seconds allow; the share of their steps that the cells make. Negative: the least that there can be takes so many seconds. */
static double make_cut(const item *items, int64_t n, double seconds, int64_t tasks, cut *c)
{
    c->settings = c->seeds = 1;
    for (int64_t i = 0; i < n; i++) {
        c->settings = items[i].rank >= c->settings ? items[i].rank + 1 : c->settings;
        c->seeds = items[i].seed >= c->seeds ? items[i].seed + 1 : c->seeds;
    }
    while (sum_seconds(items, n, c, 0) > seconds) {
        int64_t task;
        if (c->settings > 1) {
            c->settings--;
        } else if (c->seeds > 1) {
            c->seeds--;
        } else if ((task = longest_task(items, n, c, tasks)) >= 0) {
            c->dropped[task] = true;
        } else {
            return -sum_seconds(items, n, c, 0);
        }
    }
    double low = 0, high = 1;
    if (sum_seconds(items, n, c, 1) <= seconds) {
        return 1;
    }
    for (int k = 0; k < 50; k++) {
        double middle = 0.5 * (low + high);
        *(sum_seconds(items, n, c, middle) <= seconds ? &low : &high) = middle;
    }
    return low;
}

/* ---- cells to items -------------------------------------------------------------------------------------------------------- */

static uint64_t hash_without(const zo_cell *cell, const char *const *key, int keys)
{
    cJSON *config = zo_cell_whole_config(cell);
    for (int k = 0; k < keys; k++) {
        cJSON_DeleteItemFromObjectCaseSensitive(config, key[k]);
    }
    char *text = cJSON_PrintUnformatted(config);
    uint64_t hash = zo_fnv1a(ZO_FNV_START, text, strlen(text));
    cJSON_free(text);
    cJSON_Delete(config);
    return hash;
}

/* Which value each cell is, by its hash with the keys of `with`: 1 + its number. */
static zo_status find_values(const char *path, const cJSON *with, zo_hashmap *value_of, zo_err *err)
{
    zo_grid published;
    zo_expectation e;
    bool is_new;
    zo_status status = zo_grid_read(&published, path, NULL, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_expect_read(path, &published, &e, err);
    for (int64_t i = 0; i < published.n && status == ZO_OK; i++) {
        const zo_cell *cell = &published.cell[i];
        cJSON *config = zo_cell_whole_config(cell);
        zo_cell other;
        uint64_t hash = strtoull(cell->hash, NULL, 16);
        if (with != NULL && (status = zo_cell_with(cell, with, &other, err)) == ZO_OK) {
            hash = strtoull(other.hash, NULL, 16);
            zo_cell_free(&other);
        }
        for (int64_t v = 0; v < e.n && status == ZO_OK; v++) {
            if (e.value[v].not_run == NULL && zo_partial_matches(config, e.value[v].of)) {
                *zo_hashmap_at(value_of, hash, &is_new) = 1 + v;
                break;
            }
        }
        cJSON_Delete(config);
    }
    if (status == ZO_OK) {
        zo_expect_free(&e);
    }
    zo_grid_free(&published);
    return status;
}

static int64_t rank_of(int64_t setting, int64_t settings)
{
    int64_t from = llabs(2 * setting - (settings - 1)), rank = 0;
    for (int64_t k = 0; k < settings; k++) {
        int64_t other = llabs(2 * k - (settings - 1));
        rank += other < from || (other == from && k < setting);
    }
    return rank;
}

/* Groups, settings, seeds and tasks are numbered; *tasks: how many. */
static void number_items(const zo_grid *grid, zo_hashmap *value_of, item *items, int64_t *tasks)
{
    static const char *const seeds[] = {"seed", "train_split_seed", "test_split_seed", "lr"};
    zo_hashmap settings = {0}, counts = {0}, seeds_of = {0}, task_of = {0};
    bool is_new;
    for (int64_t i = 0; i < grid->n; i++) {
        const zo_cell *c = &grid->cell[i];
        int64_t value = *zo_hashmap_at(value_of, strtoull(c->hash, NULL, 16), &is_new);
        items[i].group = value > 0 ? (uint64_t)value : hash_without(c, seeds, 4);
        uint64_t setting = hash_without(c, seeds, 3), both = zo_fnv1a(items[i].group ^ ZO_FNV_START, &setting, sizeof setting);
        int64_t *number = zo_hashmap_at(&settings, both, &is_new);
        if (is_new) {
            bool is_first;
            int64_t *count = zo_hashmap_at(&counts, items[i].group, &is_first);
            *number = (*count)++;
        }
        items[i].setting = *number;
        items[i].seed = (*zo_hashmap_at(&seeds_of, both, &is_new))++;
        items[i].task = zo_hashmap_number(&task_of, zo_fnv1a(ZO_FNV_START, c->task, strlen(c->task)));
    }
    for (int64_t i = 0; i < grid->n; i++) {
        items[i].rank = rank_of(items[i].setting, *zo_hashmap_at(&counts, items[i].group, &is_new));
    }
    *tasks = task_of.n;
    zo_hashmap_free(&settings);
    zo_hashmap_free(&counts);
    zo_hashmap_free(&seeds_of);
    zo_hashmap_free(&task_of);
}

static void time_item(item *it, const zo_cell *c, const zo_planned *p)
{
    it->known = p->fits && isfinite(p->time.seconds);
    it->seconds = p->time.seconds;
    it->steps = it->least = p->time.steps;
    it->step_seconds = p->time.step_seconds;
    if (!it->known || c->estimator->step == NULL || !(p->time.forwards > 0)) {
        return;
    }
    it->evaluations = c->eval_every > 0 ? ceil(it->steps / (double)c->eval_every) : 0;
    double every = it->evaluations > 0 ? it->evaluations : 1, least = ceil(ZO_BUDGET_FORWARDS / p->time.forwards);
    least = c->eval_every == ZO_EVAL_TENTHS ? fmax(least, 10) : least;
    it->least = fmin(it->steps, ceil(least / every) * every);
}

/* ---- the plan ---------------------------------------------------------------------------------------------------------------- */

/* The cell with so many steps, and the evaluations that it had. */
static zo_status shorten(const zo_cell *cell, const item *it, double steps, zo_cell *other, zo_err *err)
{
    cJSON *keys = cJSON_CreateObject();
    static const char *const budget[] = {"forwards", "work", "seconds"};
    for (size_t k = 0; k < sizeof budget / sizeof *budget && steps < it->steps; k++) {
        cJSON_AddNumberToObject(keys, budget[k], 0);
    }
    if (steps < it->steps) {
        cJSON_AddNumberToObject(keys, "steps", steps);
    }
    if (steps < it->steps && it->evaluations > 0) {
        cJSON_AddNumberToObject(keys, "eval_every", steps / it->evaluations);
    }
    zo_status status = zo_cell_with(cell, keys, other, err);
    cJSON_Delete(keys);
    return status;
}

static void say_why(const item *it, const zo_planned *p, const cut *c, double steps, char *why, size_t size)
{
    why[0] = '\0';
    if (!it->known) {
        snprintf(why, size, "not run: %.400s", p->why);
    } else if (c->dropped[it->task]) {
        snprintf(why, size, "not run (budget): its task is left out");
    } else if (it->rank >= c->settings) {
        snprintf(why, size, "not run (budget): %lld of the settings of its grid %s kept", (long long)c->settings, c->settings == 1 ? "is" : "are");
    } else if (it->seed >= c->seeds) {
        snprintf(why, size, "not run (budget): %lld of its seeds %s kept", (long long)c->seeds, c->seeds == 1 ? "is" : "are");
    } else if (steps < it->steps) {
        snprintf(why, size, "%.0f steps of %.0f", steps, it->steps);
    }
}

/* One row of the plan, and what is predicted of its cell. */
static zo_status write_row(zo_results *r, const char *name, double seconds, const zo_cell *cell, const zo_cell *ran, const zo_planned *p, zo_timings *timings,
                           const char *why, zo_err *err)
{
    zo_budget_row row = {.hash = cell->hash, .ran = ran != NULL ? ran->hash : NULL, .config = ran != NULL ? ran->config : NULL, .why = why};
    zo_status status = zo_results_budget(r, name, seconds, &row, err);
    if (status == ZO_OK && ran != NULL) {
        zo_time time = zo_timings_of(timings, ran, p->foreseen.dev, p->foreseen.test, false);
        status = isfinite(time.hours) && time.hours > 0 ? zo_results_plan(r, ran->hash, "device_hours_total", time.hours, err) : status;
        status = status == ZO_OK && isfinite(time.cpu_seconds) && time.cpu_seconds > 0 ? zo_results_plan(r, ran->hash, "cpu_seconds", time.cpu_seconds, err) : status;
    }
    return status;
}

static zo_status write_plan(const zo_grid *grid, const zo_matrix_plan *plan, const item *items, const cut *c, double share, const char *name, double seconds,
                            const char *db, zo_err *err)
{
    zo_results *r;
    zo_status status = zo_results_open_alone(&r, db, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_results_budget_begin(r, err);
    zo_status written = status;
    for (int64_t i = 0; i < grid->n && written == ZO_OK; i++) {
        zo_cell ran;
        char why[500];
        bool kept = is_kept(&items[i], c);
        double steps = kept ? steps_of(&items[i], share) : 0;
        written = kept ? shorten(&grid->cell[i], &items[i], steps, &ran, err) : ZO_OK;
        if (written == ZO_OK) {
            say_why(&items[i], &plan->of[i], c, steps, why, sizeof why);
            written = write_row(r, name, seconds, &grid->cell[i], kept ? &ran : NULL, &plan->of[i], plan->timings, why, err);
        }
        if (kept && written == ZO_OK) {
            zo_cell_free(&ran);
        }
    }
    status = status == ZO_OK ? zo_results_budget_end(r, written, err) : status;
    zo_results_close(r);
    return status;
}

/* 0, 1 (interrupted) or 2. */
static int make_plan(const char *path, const zo_grid *grid, const cJSON *with, const zo_run_spec *spec, const char *name, double seconds)
{
    zo_err err = {0};
    zo_hashmap value_of = {0};
    zo_matrix_plan plan = {.n = 0};
    int64_t tasks = 0;
    zo_timing_spec timing = {.rows = TIMING_ROWS, .total_seconds = TIMING_SHARE * seconds};
    zo_status status = find_values(path, with, &value_of, &err);
    int code = status == ZO_OK ? zo_matrix_plan_make(&plan, grid, spec, &timing) : 2;
    if (code < 2 && zo_run_interrupted) {
        code = 1;
    } else if (code < 2) {
        item *items = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *items);
        number_items(grid, &value_of, items, &tasks);
        for (int64_t i = 0; i < grid->n; i++) {
            time_item(&items[i], &grid->cell[i], &plan.of[i]);
        }
        cut c = {.dropped = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)tasks + 1)};
        double left = fmax(seconds - zo_timings_spent(plan.timings), CELLS_SHARE * seconds), share = make_cut(items, grid->n, left, tasks, &c);
        int64_t kept = 0, first = -1; /* that cannot be run */
        for (int64_t i = 0; i < grid->n; i++) {
            kept += items[i].known;
            first = items[i].known || first >= 0 ? first : i;
        }
        status = kept == 0 ? zo_fail(&err, ZO_EINPUT, "no cell of the table can be run now, the first of them because: %.300s", plan.of[first].why[0] != '\0' ? plan.of[first].why : "its steps could not be timed")
                 : share < 0 ? zo_fail(&err, ZO_EINPUT, "the least that this table can be shrunk to takes about %.0f s, and %.0f s of the budget are left; give a longer "
                                     "--budget, or a smaller --model", ceil(-share), floor(left))
                           : write_plan(grid, &plan, items, &c, share, name, seconds, spec->db, &err);
        code = status == ZO_OK ? 0 : 2;
        if (code == 0 && first >= 0) {
            fprintf(stderr, "%lld of %lld cells cannot be run here, the first because: %s\n", (long long)(grid->n - kept), (long long)grid->n, plan.of[first].why);
        }
        zo_free(c.dropped);
        zo_free(items);
    }
    if (err.status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
    }
    zo_hashmap_free(&value_of);
    zo_matrix_plan_free(&plan);
    return code;
}

typedef char hash_text[17];

/* ---- running it ---------------------------------------------------------------------------------------------------------------- */

static zo_status read_plan(const char *db, const char *name, cJSON **rows, zo_err *err)
{
    zo_results *r;
    char sql[200];
    *rows = NULL;
    if (!zo_path_exists(db)) {
        return ZO_OK;
    }
    snprintf(sql, sizeof sql, "SELECT hash, ran, config, why FROM budgets WHERE plan = '%s'", name);
    zo_status status = zo_results_open_read(&r, db, err);
    if (status == ZO_OK) {
        status = zo_results_select(r, sql, rows, err);
        zo_results_close(r);
    }
    return status;
}

static const char *text_of(const cJSON *row, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, key));
}

/* The plan's cells in the order of the table, each once; what is not run is said. */
static zo_status read_cells(const zo_grid *grid, const cJSON *rows, bool json, zo_grid *g, int64_t *shorter, zo_err *err)
{
    zo_hashmap at = {0}, there = {0};
    bool is_new;
    zo_status status = ZO_OK;
    memcpy(g->path, grid->path, sizeof g->path);
    memcpy(g->name, grid->name, sizeof g->name);
    g->cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *g->cell);
    const cJSON **row_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *row_of);
    for (int64_t i = 0; i < grid->n; i++) {
        *zo_hashmap_at(&at, strtoull(grid->cell[i].hash, NULL, 16), &is_new) = 1 + i;
    }
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        int64_t i = *zo_hashmap_at(&at, strtoull(text_of(row, "hash"), NULL, 16), &is_new);
        if (i > 0 && !is_new) {
            row_of[i - 1] = row;
        }
    }
    for (int64_t i = 0; i < grid->n && status == ZO_OK; i++) {
        const char *config = row_of[i] != NULL ? text_of(row_of[i], "config") : NULL, *why = row_of[i] != NULL ? text_of(row_of[i], "why") : "";
        if (config == NULL && json) {
            cJSON *o = cJSON_CreateObject();
            cJSON_AddStringToObject(o, "hash", grid->cell[i].hash);
            cJSON_AddStringToObject(o, "status", "not run (budget)");
            cJSON_AddStringToObject(o, "message", why);
            zo_output_json(o, false);
            cJSON_Delete(o);
        }
        if (config == NULL) {
            continue;
        }
        *shorter += why[0] != '\0';
        zo_hashmap_at(&there, strtoull(text_of(row_of[i], "ran"), NULL, 16), &is_new);
        if (is_new) {
            status = zo_cell_parse(&g->cell[g->n], config, err);
            g->n += status == ZO_OK;
        }
    }
    zo_hashmap_free(&at);
    zo_hashmap_free(&there);
    zo_free(row_of);
    zo_grid_label(g);
    return status;
}

int zo_budget_run(const char *path, const zo_grid *grid, const cJSON *with, const zo_run_spec *spec, double seconds)
{
    zo_err err = {0};
    zo_grid g = {.n = 0};
    cJSON *rows = NULL;
    char name[17], text[24];
    int64_t shorter = 0;
    hash_text *hash = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *hash);
    for (int64_t i = 0; i < grid->n; i++) {
        memcpy(hash[i], grid->cell[i].hash, sizeof hash[i]);
    }
    zo_budget_name(hash, grid->n, seconds, name);
    zo_free(hash);
    zo_status status = read_plan(spec->db, name, &rows, &err);
    bool is_old = cJSON_GetArraySize(rows) > 0;
    if (status == ZO_OK && !is_old) {
        int code = make_plan(path, grid, with, spec, name, seconds);
        cJSON_Delete(rows);
        rows = NULL;
        if (code != 0) {
            return code;
        }
        status = read_plan(spec->db, name, &rows, &err);
    }
    status = status == ZO_OK ? read_cells(grid, rows, spec->json, &g, &shorter, &err) : status;
    cJSON_Delete(rows);
    int code = 2;
    if (status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
    } else {
        fprintf(stderr, "budget %s: %lld of %lld cells are run, %lld of them with fewer steps; the others are not run (budget)%s\n", zo_budget_text(seconds, text),
                (long long)g.n, (long long)grid->n, (long long)shorter, is_old ? "; as planned before" : "");
        code = zo_run_grid(&g, spec);
    }
    zo_grid_free(&g);
    return code;
}
