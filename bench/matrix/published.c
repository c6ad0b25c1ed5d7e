/* published.c: see published.h. */
#include "bench/matrix/published.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/keys.h"
#include "bench/matrix/budget.h"
#include "core/conf.h"
#include "core/hashmap.h"
#include "core/mem.h"

/* Where ours is, by figure, and what makes of it the figure's unit. */
static const struct { const char *column, *std; double scale; const char *other; } figure_of[ZO_PUBLISHED] = {
    [ZO_PUBLISHED_METRIC] = {"metric_value", "metric_value_std", 100, NULL},
    [ZO_PUBLISHED_MEMORY] = {"train_peak_bytes", NULL, 1e-9, "ours is the ledger's peak in training; theirs what their device or allocator says"},
    [ZO_PUBLISHED_STEP] = {"step_ms", NULL, 1e-3, "another device"},
    [ZO_PUBLISHED_HOURS] = {"device_hours", NULL, 1, "another device"},
    [ZO_PUBLISHED_RATIO] = {"train_peak_bytes", NULL, 1, "ours is of the ledger's peaks in training; theirs of what their device or allocator says"},
    [ZO_PUBLISHED_METRIC_RATIO] = {"metric_value", NULL, 1, "a ratio of scores, of which no spread is known"}};

typedef struct finder {
    const zo_grid *grid;
    cJSON **config;     /* (grid->n) as the config says them */
    char (*hash)[17];   /* (grid->n) of the cells that are run */
    char (*ran)[17];    /* (grid->n) of those that stand for them in a plan; "" = none does. NULL = there is no plan */
    char budget[24];    /* its time, "10m" */
    bool scaled;
    char said[160];     /* what was changed */
    zo_results *results;
} finder;

/* ---- the runs of a value -------------------------------------------------------------------------------------------------- */

static bool is_seed(const char *key)
{
    return strcmp(key, "seed") == 0 || strcmp(key, "train_split_seed") == 0 || strcmp(key, "test_split_seed") == 0;
}

static void add_key(char *list, size_t size, const char *key)
{
    size_t n = strlen(key), used = strlen(list);
    for (const char *at = list; (at = strstr(at, key)) != NULL; at += n) {
        if ((at == list || at[-1] == ',') && (at[n] == '\0' || at[n] == ',')) {
            return;
        }
    }
    snprintf(list + used, size - used, "%s%s", used > 0 ? "," : "", key);
}

/* Adds the keys by which two objects of one cell each differ, but for seeds. */
static void add_differing(char *list, size_t size, const cJSON *a, const cJSON *b)
{
    for (const cJSON *value = a->child; value != NULL; value = value->next) {
        const cJSON *other = cJSON_GetObjectItemCaseSensitive(b, value->string);
        if (strcmp(value->string, "optimizer") == 0 && cJSON_IsObject(other)) {
            add_differing(list, size, value, other);
        } else if (!is_seed(value->string) && !cJSON_Compare(value, other, true)) {
            add_key(list, size, value->string);
        }
    }
}

/* "hash IN ('..', ...)" of the cells that are the value, and the keys by which they differ. The caller frees it with zo_free. */
static char *condition_of(const finder *f, const zo_expected *e, char (*hash)[17], char *keys, size_t size)
{
    size_t room = (size_t)e->cells * 20 + 32;
    char *text = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room);
    size_t used = (size_t)snprintf(text, room, "hash IN (");
    const cJSON *first = NULL;
    keys[0] = '\0';
    for (int64_t i = 0; i < f->grid->n; i++) {
        if (hash[i][0] == '\0' || !zo_partial_matches(f->config[i], e->of)) {
            continue;
        }
        used += (size_t)snprintf(text + used, room - used, "%s'%s'", first != NULL ? "," : "", hash[i]);
        if (first != NULL) {
            add_differing(keys, size, first, f->config[i]);
        }
        first = first != NULL ? first : f->config[i];
    }
    snprintf(text + used, room - used, ")");
    return text;
}

/* What the groups of seeds of these runs are: none, one (in *row, which is to be deleted) or several. */
static zo_status find_group(const finder *f, const zo_expected *e, char (*hash)[17], zo_stand *s, cJSON **row, zo_err *err)
{
    char keys[400];
    char *condition = condition_of(f, e, hash, keys, sizeof keys);
    zo_report_spec spec = {.keys = zo_cell_keys(), .by_seed_group = true, .where = condition, .columns = "task"};
    cJSON *rows = NULL;
    *row = NULL;
    zo_status status = zo_report_rows(f->results, &spec, &rows, err);
    int groups = cJSON_GetArraySize(rows);
    for (const cJSON *r = rows != NULL ? rows->child : NULL; r != NULL; r = r->next) {
        s->runs += cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(r, "seed"));
    }
    if (status == ZO_OK && groups > 1 && keys[0] != '\0') {
        cJSON_Delete(rows);
        rows = NULL;
        spec.best = keys;
        status = zo_report_rows(f->results, &spec, &rows, err);
        snprintf(s->why, sizeof s->why, "best on dev of %d settings (%.200s)", groups, keys);
        if (status == ZO_EINPUT) { /* nothing to choose by */
            s->standing = ZO_STANDING_SEVERAL;
            snprintf(s->why, sizeof s->why, "%.200s", err->text);
            status = ZO_OK;
        }
        groups = cJSON_GetArraySize(rows);
    }
    zo_free(condition);
    if (status == ZO_OK && groups == 1) {
        *row = cJSON_DetachItemFromArray(rows, 0);
    } else if (status == ZO_OK && groups == 0 && s->standing != ZO_STANDING_SEVERAL) {
        s->standing = ZO_STANDING_NOT_RUN;
        snprintf(s->why, sizeof s->why, "none of %lld cells has a result", (long long)e->cells);
    } else if (status == ZO_OK && groups > 1) {
        s->standing = ZO_STANDING_SEVERAL;
        snprintf(s->why, sizeof s->why, "%d settings, made from other data, models or devices", groups);
    }
    cJSON_Delete(rows);
    return status;
}

/* ---- standing ------------------------------------------------------------------------------------------------------------- */

/* The last digit that a value was printed with: of 90.5 0.1, of 0.415 0.001. */
static double digit_of(double value)
{
    double digit = 1;
    for (int k = 0; k < 6 && fabs(value / digit - round(value / digit)) > 1e-6; k++) {
        digit /= 10;
    }
    return digit;
}

static void judge(const finder *f, const zo_expected *e, const cJSON *row, zo_stand *s)
{
    double scale = figure_of[e->figure].scale;
    s->mean = scale * zo_json_number(row, figure_of[e->figure].column, NAN);
    s->std = figure_of[e->figure].std != NULL ? scale * zo_json_number(row, figure_of[e->figure].std, NAN) : NAN;
    double rows = zo_json_number(row, "test_rows", NAN);
    s->rows = rows > 0 ? (int64_t)rows : 0;
    s->seeds = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(row, "seed"));
    if (isnan(s->mean)) {
        s->standing = ZO_STANDING_NOT_RUN;
        snprintf(s->why, sizeof s->why, "its runs have no %s", figure_of[e->figure].column);
    } else if (f->scaled || s->budget[0] != '\0') {
        s->standing = ZO_STANDING_SCALED;
        bool shrunk = s->budget[0] != '\0';
        snprintf(s->why, sizeof s->why, "%s%s%s%s", shrunk ? "budget " : "", s->budget, shrunk && f->said[0] != '\0' ? ", " : "", f->said);
    } else if (figure_of[e->figure].other != NULL) {
        s->standing = ZO_STANDING_DEFINITION;
        snprintf(s->why, sizeof s->why, "%s", figure_of[e->figure].other);
    } else {
        zo_side theirs = {.mean = e->value, .std = e->spread, .seeds = e->seeds, .rows = e->rows, .digit = digit_of(e->value)};
        zo_side ours = {.mean = s->mean, .std = s->std, .seeds = s->seeds, .rows = s->rows};
        s->judged = zo_judge(&theirs, &ours);
        if (s->judged.verdict == ZO_CANNOT_TELL && isnan(s->judged.low)) {
            snprintf(s->why, sizeof s->why, "no spread over seeds is known on either side");
        } else if (s->judged.borrowed && s->why[0] == '\0') {
            snprintf(s->why, sizeof s->why, "the spread of one side stands for the other's");
        }
    }
}

/* Of a value's cells, those that the plan has kept. */
static int64_t cells_left(const finder *f, const zo_expected *e)
{
    int64_t left = 0;
    for (int64_t i = 0; i < f->grid->n; i++) {
        left += f->ran[i][0] != '\0' && zo_partial_matches(f->config[i], e->of);
    }
    return left;
}

/* A ratio's mean is of what it is divided by too, found as the other was. */
static zo_status divide(const finder *f, const zo_expected *e, zo_stand *s, zo_err *err)
{
    zo_expected over = *e;
    zo_stand other = {.standing = ZO_STANDING_JUDGED, .cells = 0, .mean = NAN, .std = NAN};
    cJSON *row;
    over.of = e->over;
    over.cells = f->grid->n;
    zo_status status = find_group(f, &over, s->budget[0] != '\0' ? f->ran : f->hash, &other, &row, err);
    double below = row != NULL ? zo_json_number(row, figure_of[e->figure].column, NAN) : NAN;
    s->runs += other.runs;
    s->mean /= below;
    if (status == ZO_OK && !(below > 0)) {
        s->standing = other.standing == ZO_STANDING_SEVERAL ? ZO_STANDING_SEVERAL : ZO_STANDING_NOT_RUN;
        s->mean = NAN;
        snprintf(s->why, sizeof s->why, "what it is divided by: %.200s", other.why[0] != '\0' ? other.why : "none of its cells has a result");
    }
    cJSON_Delete(row);
    return status;
}

static zo_status stand_of(const finder *f, const zo_expected *e, zo_stand *s, zo_err *err)
{
    *s = (zo_stand){.standing = ZO_STANDING_JUDGED, .cells = e->cells, .mean = NAN, .std = NAN};
    if (e->not_run != NULL) {
        s->standing = ZO_STANDING_NOT_RUN;
        snprintf(s->why, sizeof s->why, "%s", e->not_run);
        return ZO_OK;
    }
    cJSON *row;
    zo_status status = find_group(f, e, f->hash, s, &row, err);
    if (status == ZO_OK && s->standing == ZO_STANDING_NOT_RUN && f->ran != NULL) { /* not as the table has it: as the plan has it */
        int64_t left = cells_left(f, e);
        *s = (zo_stand){.standing = ZO_STANDING_JUDGED, .cells = e->cells, .mean = NAN, .std = NAN};
        memcpy(s->budget, f->budget, sizeof s->budget);
        if (left == 0) {
            s->standing = ZO_STANDING_BUDGET;
            snprintf(s->why, sizeof s->why, "none of its %lld cells is kept in a budget of %s", (long long)e->cells, f->budget);
            return ZO_OK;
        }
        status = find_group(f, e, f->ran, s, &row, err);
    }
    if (row != NULL && s->budget[0] == '\0' && f->ran != NULL && cells_left(f, e) < e->cells && s->runs <= cells_left(f, e)) {
        memcpy(s->budget, f->budget, sizeof s->budget); /* some of its cells, as the table has them, and no others have run */
    }
    if (row != NULL) {
        judge(f, e, row, s);
        cJSON_Delete(row);
    }
    return status == ZO_OK && e->over != NULL && isfinite(s->mean) ? divide(f, e, s, err) : status;
}

/* What `with` changes, in words; "" = nothing. */
static void say_change(finder *f, const cJSON *with)
{
    for (const cJSON *value = with != NULL ? with->child : NULL; value != NULL; value = value->next) {
        size_t used = strlen(f->said);
        char *text = cJSON_IsString(value) ? NULL : cJSON_PrintUnformatted(value);
        snprintf(f->said + used, sizeof f->said - used, "%s%s %s", used > 0 ? ", " : "", value->string, text != NULL ? text : value->valuestring);
        cJSON_free(text);
    }
}

/* The longest plan that has shrunk the cells with these hashes, of those that have a run if there are any. */
static zo_status find_plan(finder *f, zo_err *err)
{
    cJSON *plans = NULL, *rows = NULL;
    zo_status status = zo_results_select(f->results, "SELECT plan, seconds FROM budgets GROUP BY plan ORDER BY max(ran IN (SELECT hash FROM report)) DESC, seconds DESC", &plans, err);
    for (const cJSON *p = plans != NULL ? plans->child : NULL; p != NULL && status == ZO_OK && f->ran == NULL; p = p->next) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(p, "plan"));
        double seconds = zo_json_number(p, "seconds", NAN);
        char mine[17], sql[160];
        zo_budget_name(f->hash, f->grid->n, seconds, mine);
        if (name == NULL || strcmp(name, mine) != 0) {
            continue;
        }
        f->ran = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)f->grid->n + 1) * sizeof *f->ran);
        zo_budget_text(seconds, f->budget);
        snprintf(sql, sizeof sql, "SELECT hash, ran FROM budgets WHERE plan = '%s' AND ran IS NOT NULL", mine);
        status = zo_results_select(f->results, sql, &rows, err);
        zo_hashmap at = {0};
        bool is_new;
        for (int64_t i = 0; i < f->grid->n; i++) {
            *zo_hashmap_at(&at, strtoull(f->hash[i], NULL, 16), &is_new) = 1 + i;
        }
        for (const cJSON *r = rows != NULL ? rows->child : NULL; r != NULL; r = r->next) {
            const char *hash = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r, "hash")), *ran = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r, "ran"));
            int64_t i = hash != NULL && ran != NULL ? *zo_hashmap_at(&at, strtoull(hash, NULL, 16), &is_new) - 1 : -1;
            if (i >= 0) {
                snprintf(f->ran[i], sizeof f->ran[i], "%s", ran);
            }
        }
        zo_hashmap_free(&at);
        cJSON_Delete(rows);
    }
    cJSON_Delete(plans);
    return status;
}

zo_status zo_published_stand(const zo_grid *grid, const zo_expectation *expectation, const cJSON *with, zo_results *results, zo_stand **stand, zo_err *err)
{
    finder f = {.grid = grid, .results = results};
    zo_status status = ZO_OK;
    f.config = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *f.config);
    f.hash = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)grid->n + 1) * sizeof *f.hash);
    for (int64_t i = 0; i < grid->n && status == ZO_OK; i++) {
        f.config[i] = zo_cell_whole_config(&grid->cell[i]);
        memcpy(f.hash[i], grid->cell[i].hash, sizeof f.hash[i]);
        zo_cell other;
        if (with != NULL && (status = zo_cell_with(&grid->cell[i], with, &other, err)) == ZO_OK) {
            f.scaled = f.scaled || strcmp(f.hash[i], other.hash) != 0;
            memcpy(f.hash[i], other.hash, sizeof f.hash[i]);
            zo_cell_free(&other);
        }
    }
    say_change(&f, with);
    status = status == ZO_OK ? find_plan(&f, err) : status;
    *stand = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)expectation->n + 1) * sizeof **stand);
    for (int64_t i = 0; i < expectation->n && status == ZO_OK; i++) {
        status = stand_of(&f, &expectation->value[i], &(*stand)[i], err);
    }
    for (int64_t i = 0; i < grid->n; i++) {
        cJSON_Delete(f.config[i]);
    }
    zo_free(f.config);
    zo_free(f.hash);
    zo_free(f.ran);
    if (status != ZO_OK) {
        zo_free(*stand);
        *stand = NULL;
    }
    return status;
}

const char *zo_stand_word(const zo_stand *s)
{
    static const char *const verdict[] = {[ZO_AGREES] = "agrees", [ZO_DIFFERS] = "differs", [ZO_CANNOT_TELL] = "cannot tell"};
    static const char *const word[] = {[ZO_STANDING_NOT_RUN] = "not run", [ZO_STANDING_BUDGET] = "not run (budget)", [ZO_STANDING_SCALED] = "scaled", [ZO_STANDING_DEFINITION] = "other definition",
                                       [ZO_STANDING_SEVERAL] = "several settings"};
    return s->standing == ZO_STANDING_JUDGED ? verdict[s->judged.verdict] : word[s->standing];
}
