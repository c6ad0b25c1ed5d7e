/* tuning.c: see tuning.h. */
#include "bench/matrix/tuning.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/keys.h"
#include "bench/matrix/identity.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/report.h"
#include "results/tries.h"

/* ---- what a config says -------------------------------------------------------------------------------------------------- */

#define MEMBER(m) offsetof(zo_tuning, m)
static const zo_opt keys[] = {{.key = "seed", .type = ZO_OPT_INT, .offset = MEMBER(seed), .initial = -1, .least = -1, .most = 9007199254740991.0},
                              {.key = "rates", .type = ZO_OPT_INT, .offset = MEMBER(rates), .initial = 3, .least = 2, .most = ZO_TUNING_MOST},
                              {.key = "most", .type = ZO_OPT_INT, .offset = MEMBER(most), .initial = 7, .least = 2, .most = ZO_TUNING_MOST},
                              {.key = "factor", .type = ZO_OPT_REAL, .offset = MEMBER(factor), .initial = 3.16227766, .least = 1.2, .most = 1000},
                              {.key = NULL}};
#undef MEMBER

zo_status zo_tuning_read(zo_tuning *t, const cJSON *object, const zo_grid *grid, const char *path, zo_err *err)
{
    char where[4200];
    snprintf(where, sizeof where, "%s: tuning", path);
    if (!cJSON_IsObject(object)) {
        return zo_fail(err, ZO_EINPUT, "%s: is %s; expected an object such as {\"seed\": 7}", where, zo_json_kind(object));
    }
    zo_status status = zo_opt_read(keys, object, NULL, where, t, err);
    if (status != ZO_OK) {
        return status;
    }
    if (t->seed < 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"seed\" is missing; give one that no cell has, so that no shown run has chosen its own rate", where);
    }
    if (t->most < t->rates) {
        return zo_fail(err, ZO_EINPUT, "%s: \"most\" is %lld, and \"rates\" %lld are tried to begin with", where, (long long)t->most, (long long)t->rates);
    }
    for (int64_t i = 0; i < grid->n; i++) {
        const zo_cell *c = &grid->cell[i];
        char label[1200];
        if (c->estimator->step == NULL) {
            continue;
        }
        zo_cell_label(c, label, sizeof label);
        if (c->seed == t->seed) {
            return zo_fail(err, ZO_EINPUT, "%s: \"seed\" %lld is also that of a cell (%s); give another one", where, (long long)t->seed, label);
        }
        if (c->dev == 0 || c->selection == ZO_SELECT_BEST_TEST) {
            return zo_fail(err, ZO_EINPUT, "%s: %s has %s, and rates are chosen on dev; %s", where, label, c->dev == 0 ? "no dev rows" : "\"selection\": \"best-test\"",
                           c->dev == 0 ? "give \"dev\"" : "say \"dev-metric\" or \"dev-loss\"");
        }
        if (c->lr <= 0) {
            return zo_fail(err, ZO_EINPUT, "%s: %s has \"lr\" 0, from which no search can begin; give a positive one", where, label);
        }
    }
    t->there = true;
    return ZO_OK;
}

double zo_tuning_rate(double lr, double factor, int k)
{
    char text[40];
    snprintf(text, sizeof text, "%.1e", lr * pow(factor, k));
    return strtod(text, NULL);
}

/* ---- searches ------------------------------------------------------------------------------------------------------------ */

/* The search of all cells that differ in the seed alone. */
typedef struct search {
    const zo_cell *cell; /* one of them */
    int first, last;     /* values that are tried: zo_tuning_rate of first .. last */
    bool has_all;        /* each has a row */
    int best;            /* of those with rows */
} search;

typedef struct searches {
    const zo_grid *grid;
    const zo_run_spec *spec;
    search *of; /* (n) */
    int n;
    int *of_cell; /* (grid->n), -1 = this one is not tuned */
} searches;

/* `cell` with this lr; trial: and with the seed of the tuning, without test rows. */
static zo_status cell_with(zo_cell *out, const zo_cell *cell, const zo_tuning *t, double lr, bool trial, zo_err *err)
{
    cJSON *config = cJSON_Parse(cell->config);
    zo_json_replace(config, "lr", cJSON_CreateNumber(lr));
    if (trial) {
        zo_json_replace(config, "seed", cJSON_CreateNumber((double)t->seed));
        zo_json_replace(config, "test", cJSON_CreateNumber(0));
    }
    zo_status status = zo_cell_make(out, config, "tuning", err);
    cJSON_Delete(config);
    return status;
}

static zo_status find_searches(searches *s, zo_err *err)
{
    const zo_tuning *t = &s->grid->tuning;
    zo_hashmap map = {0};
    zo_status status = ZO_OK;
    s->of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)s->grid->n + 1) * sizeof *s->of);
    s->of_cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)s->grid->n + 1) * sizeof *s->of_cell);
    for (int64_t i = 0; i < s->grid->n && status == ZO_OK; i++) {
        const zo_cell *cell = &s->grid->cell[i];
        zo_cell trial;
        s->of_cell[i] = -1;
        if (cell->estimator->step == NULL) {
            continue;
        }
        status = cell_with(&trial, cell, t, cell->lr, true, err);
        if (status == ZO_OK) {
            s->of_cell[i] = (int)zo_hashmap_number(&map, strtoull(trial.hash, NULL, 16));
            zo_cell_free(&trial);
        }
        if (status == ZO_OK && s->of_cell[i] == s->n) {
            int below = (int)t->rates / 2;
            s->of[s->n++] = (search){.cell = cell, .first = -below, .last = (int)t->rates - 1 - below};
        }
    }
    zo_hashmap_free(&map);
    return status;
}

/* ---- grids of their cells ------------------------------------------------------------------------------------------------ */

static zo_grid grid_like(const zo_grid *grid, int64_t room)
{
    zo_grid g = {.cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)room + 1) * sizeof *g.cell)};
    memcpy(g.path, grid->path, sizeof g.path);
    memcpy(g.name, grid->name, sizeof g.name);
    return g;
}

static void add_cell(zo_grid *g, zo_hashmap *map, zo_cell *cell)
{
    bool is_new;
    zo_hashmap_at(map, strtoull(cell->hash, NULL, 16), &is_new);
    if (is_new) {
        g->cell[g->n++] = *cell;
    } else {
        g->merged++;
        zo_cell_free(cell);
    }
}

static zo_status make_trials(const searches *s, zo_grid *g, zo_err *err)
{
    const zo_tuning *t = &s->grid->tuning;
    zo_hashmap map = {0};
    zo_status status = ZO_OK;
    *g = grid_like(s->grid, (int64_t)s->n * t->most);
    for (int i = 0; i < s->n; i++) {
        for (int k = s->of[i].first; k <= s->of[i].last && status == ZO_OK; k++) {
            zo_cell trial;
            status = cell_with(&trial, s->of[i].cell, t, zo_tuning_rate(s->of[i].cell->lr, t->factor, k), true, err);
            if (status == ZO_OK) {
                add_cell(g, &map, &trial);
            }
        }
    }
    zo_hashmap_free(&map);
    zo_grid_label(g);
    return status;
}

static zo_status make_shown(const searches *s, zo_grid *g, zo_err *err)
{
    zo_hashmap map = {0};
    zo_status status = ZO_OK;
    *g = grid_like(s->grid, s->grid->n);
    g->excluded = s->grid->excluded;
    g->merged = s->grid->merged;
    for (int64_t i = 0; i < s->grid->n && status == ZO_OK; i++) {
        const zo_cell *cell = &s->grid->cell[i];
        const search *of = s->of_cell[i] >= 0 ? &s->of[s->of_cell[i]] : NULL;
        zo_cell shown;
        double lr = of != NULL && of->has_all ? zo_tuning_rate(of->cell->lr, s->grid->tuning.factor, of->best) : cell->lr;
        status = cell_with(&shown, cell, &s->grid->tuning, lr, false, err);
        if (status == ZO_OK) {
            add_cell(g, &map, &shown);
        }
    }
    zo_hashmap_free(&map);
    zo_grid_label(g);
    return status;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------ */

/* Which of the values that were tried is the best: the rule of reports, over the rows of these trials. */
static zo_status choose(search *of, const searches *s, zo_identities *ids, zo_results *results, zo_err *err)
{
    const zo_tuning *t = &s->grid->tuning;
    char where[ZO_TUNING_MOST * 24 + 40 + sizeof " AND status IN " ZO_FINISHED] = "identity IN (''";
    zo_status status = ZO_OK;
    for (int k = of->first; k <= of->last && status == ZO_OK; k++) {
        zo_cell trial;
        status = cell_with(&trial, of->cell, t, zo_tuning_rate(of->cell->lr, t->factor, k), true, err);
        if (status == ZO_OK) {
            char text[17];
            zo_identity identity = zo_identity_of(ids, &trial, NULL);
            zo_identity_text(&identity, text);
            snprintf(where + strlen(where), sizeof where - strlen(where), ", '%s'", text);
            zo_cell_free(&trial);
        }
    }
    snprintf(where + strlen(where), sizeof where - strlen(where), ") AND status IN " ZO_FINISHED);
    cJSON *tried = NULL, *kept = NULL;
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task", .where = where};
    status = status == ZO_OK ? zo_report_rows(results, &spec, &tried, err) : status;
    spec.best = "lr";
    status = status == ZO_OK ? zo_report_rows(results, &spec, &kept, err) : status;
    of->has_all = status == ZO_OK && cJSON_GetArraySize(tried) == of->last - of->first + 1;
    if (status == ZO_OK && of->has_all) {
        const cJSON *lr = cJSON_GetArraySize(kept) == 1 ? cJSON_GetObjectItemCaseSensitive(kept->child, "lr") : NULL;
        of->best = of->last + 1;
        for (int k = of->first; k <= of->last && cJSON_IsNumber(lr); k++) {
            of->best = lr->valuedouble == zo_tuning_rate(of->cell->lr, t->factor, k) ? k : of->best;
        }
        char label[1200];
        status = of->best <= of->last ? ZO_OK
                                      : zo_fail(err, ZO_EINPUT, "tuning: no one best rate was found for %s; look at its trials with `zo report --format csv --where "
                                                "\"seed = %lld\"`", zo_cell_label(of->cell, label, sizeof label), (long long)t->seed);
    }
    cJSON_Delete(tried);
    cJSON_Delete(kept);
    return status;
}

/* Chooses in every search, and where the best is at an edge has the next value tried too: *more says that there is one. */
static zo_status choose_all(searches *s, bool *more, zo_err *err)
{
    const zo_tuning *t = &s->grid->tuning;
    zo_results *results = NULL;
    *more = false;
    if (!zo_path_exists(s->spec->db)) {
        return ZO_OK;
    }
    zo_identities *ids = zo_identities_new(&s->spec->dirs);
    zo_status status = zo_results_open_read(&results, s->spec->db, err);
    for (int i = 0; i < s->n && status == ZO_OK; i++) {
        search *of = &s->of[i];
        status = choose(of, s, ids, results, err);
        bool edge = status == ZO_OK && of->has_all && (of->best == of->first || of->best == of->last);
        if (edge && of->last - of->first + 1 < t->most) {
            of->first -= of->best == of->first;
            of->last += of->best == of->last;
            of->has_all = false;
            *more = true;
        }
    }
    zo_results_close(results);
    zo_identities_free(ids);
    return status;
}

static void print_chosen(const searches *s)
{
    int waiting = 0, at_edge = 0;
    for (int i = 0; i < s->n; i++) {
        waiting += !s->of[i].has_all;
        at_edge += s->of[i].has_all && (s->of[i].best == s->of[i].first || s->of[i].best == s->of[i].last);
    }
    if (waiting > 0) {
        fprintf(stderr, "the rates of %d of %d settings are not chosen yet: their cells stand here with the rate at which tuning begins\n", waiting, s->n);
    }
    if (at_edge > 0) {
        fprintf(stderr, "of %d settings, %d have their best rate at the edge of all %lld that may be tried\n", s->n, at_edge, (long long)s->grid->tuning.most);
    }
}

/* Goes on with every search as far as there are rows; *waits: some have values without a row. */
static zo_status go_on(searches *s, bool *waits, zo_err *err)
{
    bool more = true;
    zo_status status = ZO_OK;
    while (more && status == ZO_OK) {
        status = choose_all(s, &more, err);
    }
    *waits = false;
    for (int i = 0; i < s->n; i++) {
        *waits = *waits || !s->of[i].has_all;
    }
    return status;
}

static int run_trials(searches *s)
{
    zo_run_spec spec = *s->spec;
    zo_err err = {0};
    bool waits = true, ended = false;
    spec.save = NULL;
    spec.fail_on = NULL; /* a rate that is too large is no fault */
    spec.redo = false; /* trials stay: a rate is chosen once */
    int code = go_on(s, &waits, &err) == ZO_OK ? 0 : 2;
    while (code == 0 && waits && !ended) {
        zo_grid trials;
        code = make_trials(s, &trials, &err) != ZO_OK ? 2 : spec.dry && spec.json ? 0 : zo_run_grid(&trials, &spec);
        zo_grid_free(&trials);
        code = code == 0 && go_on(s, &waits, &err) != ZO_OK ? 2 : code;
        ended = spec.dry;
    }
    if (err.status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
    }
    return code;
}

int zo_run_tuned(const zo_grid *grid, const zo_run_spec *spec)
{
    if (!grid->tuning.there) {
        return zo_run_grid(grid, spec);
    }
    searches s = {.grid = grid, .spec = spec};
    zo_err err = {0};
    zo_grid shown = {0};
    int code = find_searches(&s, &err) == ZO_OK ? run_trials(&s) : 2;
    if (code == 0 && make_shown(&s, &shown, &err) == ZO_OK) {
        print_chosen(&s);
        code = zo_run_grid(&shown, spec);
    }
    if (err.status != ZO_OK) {
        fprintf(stderr, "zo run: %s\n", err.text);
        code = 2;
    }
    zo_grid_free(&shown);
    zo_free(s.of);
    zo_free(s.of_cell);
    return code;
}
