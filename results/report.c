/* report.c: cells and groups of seeds as objects, and the papers' table. A "setting" is a cell's canonical config without its seed
 * (and without train_split_seed where that follows the seed); a method's label is its name and those keys that tell two settings of one
 * model, task and form apart. */
#include "results/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "core/mem.h"

typedef struct cell {
    const cJSON *row; /* of the SELECT; borrowed from `rows` */
    cJSON *flat;      /* config without optimizer.name, seed: key -> scalar; the optimizer's own keys stand beside the others */
    int group;        /* index into groups */
} cell;

typedef struct report {
    cJSON *rows; /* as selected */
    cell *cells;
    int n;
    int *first; /* (groups) first cell */
    int groups;
    char uneven[200]; /* of --best: a method whose settings ran on different seeds; "" = none */
    int uneven_n;     /* how many such */
} report;

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static const cJSON *value_of(const cell *c, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->flat, key);
    return v != NULL ? v : cJSON_GetObjectItemCaseSensitive(c->row, key);
}

static const char *string_of(const cell *c, const char *key)
{
    const cJSON *v = value_of(c, key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

static double number_of(const cell *c, const char *key) /* NaN where there is none */
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->row, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static bool same(const cell *a, const cell *b, const char *key)
{
    const cJSON *x = value_of(a, key), *y = value_of(b, key);
    return x == y || (x != NULL && y != NULL && cJSON_Compare(x, y, true));
}

static bool in_list(const char *list, const char *key) /* "lr,rank" */
{
    size_t n = strlen(key);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t m = strcspn(at, ",");
        if (m == n && memcmp(at, key, n) == 0) {
            return true;
        }
        at += m + (at[m] == ',');
    }
    return false;
}

static cJSON *flatten(const char *config)
{
    cJSON *json = cJSON_Parse(config);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return cJSON_CreateObject();
    }
    cJSON *optimizer = cJSON_DetachItemFromObjectCaseSensitive(json, "optimizer");
    cJSON_DeleteItemFromObjectCaseSensitive(json, "seed");
    for (cJSON *o = optimizer != NULL ? optimizer->child : NULL; o != NULL;) {
        cJSON *next = o->next;
        if (strcmp(o->string, "name") == 0) {
            cJSON_AddItemToObject(json, "optimizer", cJSON_Duplicate(o, true));
        } else if (!cJSON_HasObjectItem(json, o->string)) {
            cJSON_AddItemToObject(json, o->string, cJSON_Duplicate(o, true));
        } else {
            char key[ZO_OPT_STRING_BYTES];
            snprintf(key, sizeof key, "optimizer.%s", o->string);
            cJSON_AddItemToObject(json, key, cJSON_Duplicate(o, true));
        }
        o = next;
    }
    cJSON_Delete(optimizer);
    return json;
}

static bool is_split_seed(const cell *c, double seed)
{
    const cJSON *split_seed = cJSON_GetObjectItemCaseSensitive(c->flat, "train_split_seed");
    return cJSON_IsNumber(split_seed) && split_seed->valuedouble == seed;
}

/* train_split_seed becomes "seed" in cells where it follows the seed, so that they group: it equals theirs, and no cell of another seed on the
 * same model, task and split has it too. */
static void mark_following_split_seeds(report *r)
{
    bool *follows = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)r->n + 1);
    for (int i = 0; i < r->n; i++) {
        const cell *a = &r->cells[i];
        double seed = number_of(a, "seed");
        follows[i] = is_split_seed(a, seed);
        for (int j = 0; j < r->n && follows[i]; j++) {
            const cell *b = &r->cells[j];
            follows[i] = number_of(b, "seed") == seed || !is_split_seed(b, seed) || !same(a, b, "model") || !same(a, b, "task") ||
                         !same(a, b, "split");
        }
    }
    for (int i = 0; i < r->n; i++) {
        if (follows[i]) {
            cJSON_ReplaceItemInObjectCaseSensitive(r->cells[i].flat, "train_split_seed", cJSON_CreateString("seed"));
        }
    }
    zo_free(follows);
}

/* The cells whose settings differ in nothing but `but` (comma-separated keys). */
static bool same_setting(const cell *a, const cell *b, const char *but)
{
    for (const cJSON *k = a->flat->child; k != NULL; k = k->next) {
        if (!in_list(but, k->string) && !same(a, b, k->string)) {
            return false;
        }
    }
    for (const cJSON *k = b->flat->child; k != NULL; k = k->next) {
        if (!in_list(but, k->string) && cJSON_GetObjectItemCaseSensitive(a->flat, k->string) == NULL) {
            return false;
        }
    }
    return true;
}

static void free_report(report *r)
{
    for (int i = 0; i < r->n; i++) {
        cJSON_Delete(r->cells[i].flat);
    }
    zo_free(r->cells);
    zo_free(r->first);
    cJSON_Delete(r->rows);
}

static void make_groups(report *r)
{
    r->groups = 0;
    r->first = zo_realloc(r->first, ZO_HOST, ZO_TAG_OTHER, ((size_t)r->n + 1) * sizeof *r->first);
    for (int i = 0; i < r->n; i++) {
        int g = 0;
        while (g < r->groups && !same_setting(&r->cells[r->first[g]], &r->cells[i], NULL)) {
            g++;
        }
        if (g == r->groups) {
            r->first[r->groups++] = i;
        }
        r->cells[i].group = g;
    }
}

/* Mean of a column over the cells of a group that have it; *std = sample standard deviation, NaN for n < 2. */
static double mean_of(const report *r, int group, const char *key, double *std, int *count)
{
    double sum = 0, squares = 0;
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        double x = r->cells[i].group == group ? number_of(&r->cells[i], key) : NAN;
        if (isfinite(x)) {
            sum += x;
            n++;
        }
    }
    double mean = n > 0 ? sum / n : NAN;
    for (int i = 0; i < r->n; i++) {
        double x = r->cells[i].group == group ? number_of(&r->cells[i], key) : NAN;
        if (isfinite(x)) {
            squares += (x - mean) * (x - mean);
        }
    }
    if (std != NULL) {
        *std = n > 1 ? sqrt(squares / (n - 1)) : NAN;
    }
    if (count != NULL) {
        *count = n;
    }
    return mean;
}

/* Does a cell count for --best? It does not where it did not end. */
static bool counts_for_best(const cell *c)
{
    const char *status = string_of(c, "status");
    return strcmp(status, "failed") != 0 && strcmp(status, "killed") != 0;
}

/* Score of a setting for --best: mean dev accuracy over its seeds; a seed that has none (it diverged before the first evaluation, or
 * ran out of memory) counts as 0, one that did not end (failed, killed) does not count. */
static double dev_score(const report *r, int group)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < r->n; i++) {
        if (r->cells[i].group == group && counts_for_best(&r->cells[i])) {
            double x = number_of(&r->cells[i], "dev_accuracy");
            sum += isfinite(x) ? x : 0;
            n++;
        }
    }
    return n > 0 ? sum / n : 0;
}

static bool has_seed(const report *r, int group, double seed)
{
    for (int i = 0; i < r->n; i++) {
        if (r->cells[i].group == group && counts_for_best(&r->cells[i]) && number_of(&r->cells[i], "seed") == seed) {
            return true;
        }
    }
    return false;
}

/* Every counting seed of group g is one of group h too. */
static bool seeds_within(const report *r, int g, int h)
{
    for (int i = 0; i < r->n; i++) {
        if (r->cells[i].group == g && counts_for_best(&r->cells[i]) && !has_seed(r, h, number_of(&r->cells[i], "seed"))) {
            return false;
        }
    }
    return true;
}

static bool smaller_setting(const cell *a, const cell *b, const char *keys)
{
    for (const cJSON *k = a->flat->child; k != NULL; k = k->next) {
        const cJSON *y = cJSON_GetObjectItemCaseSensitive(b->flat, k->string);
        if (in_list(keys, k->string) && cJSON_IsNumber(k) && cJSON_IsNumber(y) && k->valuedouble != y->valuedouble) {
            return k->valuedouble < y->valuedouble;
        }
    }
    return false;
}

/* A mean over other seeds is another mean: names the kept settings that were compared with one of other seeds. */
static void note_uneven(report *r, const char *keys, const bool *drop)
{
    for (int g = 0; g < r->groups; g++) {
        bool uneven = false;
        const cell *a = &r->cells[r->first[g]];
        for (int h = 0; h < r->groups && !drop[g] && !uneven; h++) {
            uneven = drop[h] && same_setting(a, &r->cells[r->first[h]], keys) && !(seeds_within(r, g, h) && seeds_within(r, h, g));
        }
        if (uneven && r->uneven_n++ == 0) {
            snprintf(r->uneven, sizeof r->uneven, "%.60s on %.60s", string_of(a, "optimizer"), string_of(a, "task"));
        }
    }
}

/* drop (groups; the caller frees it): of settings that differ only in `keys`, all but the best by dev. Without dev examples there is
 * nothing to choose by, and all stay. */
static bool *mark_worse(const report *r, const char *keys)
{
    bool *drop = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)r->groups + 1);
    for (int g = 0; g < r->groups; g++) {
        for (int h = 0; h < r->groups && !drop[g]; h++) {
            const cell *a = &r->cells[r->first[g]], *b = &r->cells[r->first[h]];
            if (g != h && !drop[h] && number_of(a, "dev") != 0 && same_setting(a, b, keys)) {
                double mine = dev_score(r, g), other = dev_score(r, h);
                drop[g] = other > mine || (other == mine && smaller_setting(b, a, keys));
            }
        }
    }
    return drop;
}

static zo_status keep_best(report *r, const char *keys, zo_err *err)
{
    for (const char *at = keys; *at != '\0';) {
        char key[64];
        size_t m = strcspn(at, ",");
        snprintf(key, sizeof key, "%.*s", (int)m, at);
        bool known = false;
        for (int i = 0; i < r->n && !known; i++) {
            known = cJSON_HasObjectItem(r->cells[i].flat, key);
        }
        if (!known && r->n > 0) {
            return zo_fail(err, ZO_EINPUT, "--best: no cell here has a key \"%s\"; expected a key of the config such as lr", key);
        }
        at += m + (at[m] == ',');
    }
    for (int g = 0; g < r->groups; g++) {
        const cell *a = &r->cells[r->first[g]];
        if (number_of(a, "dev") != 0 || number_of(a, "test") == 0) { /* neither: a study of memory and time */
            continue;
        }
        for (int h = 0; h < g; h++) {
            if (same_setting(a, &r->cells[r->first[h]], keys)) {
                return zo_fail(err, ZO_EINPUT, "--best: %s on %s ran without dev examples, and test must not choose; run it with \"dev\" "
                               "above 0, or leave it out with --where", string_of(a, "optimizer"), string_of(a, "task"));
            }
        }
    }
    bool *drop = mark_worse(r, keys);
    note_uneven(r, keys, drop);
    int kept = 0;
    for (int i = 0; i < r->n; i++) {
        if (drop[r->cells[i].group]) {
            cJSON_Delete(r->cells[i].flat);
        } else {
            r->cells[kept++] = r->cells[i];
        }
    }
    r->n = kept;
    zo_free(drop);
    make_groups(r);
    return ZO_OK;
}

static zo_status read_report(zo_results *results, const zo_report_spec *spec, bool evaluated_only, report *r, zo_err *err)
{
    memset(r, 0, sizeof *r);
    char sql[2000];
    int n = snprintf(sql, sizeof sql, "SELECT *, (SELECT config FROM runs WHERE runs.run = report.run) AS config FROM report%s%s%s ORDER BY run",
                     spec->where != NULL ? " WHERE (" : "", spec->where != NULL ? spec->where : "", spec->where != NULL ? ")" : "");
    if (n >= (int)sizeof sql) {
        return zo_fail(err, ZO_EINPUT, "--where is longer than %zu bytes", sizeof sql - 150);
    }
    zo_status status = zo_results_select(results, sql, &r->rows, err);
    if (status != ZO_OK) {
        return status;
    }
    int count = cJSON_GetArraySize(r->rows);
    r->cells = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)count + 1) * sizeof *r->cells);
    for (const cJSON *row = r->rows->child; row != NULL; row = row->next) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(row, "config");
        r->cells[r->n++] = (cell){.row = row, .flat = flatten(cJSON_IsString(config) ? config->valuestring : "{}")};
    }
    if (evaluated_only) { /* studies of memory and time have no place in a table of accuracies */
        int kept = 0;
        for (int i = 0; i < r->n; i++) {
            if (number_of(&r->cells[i], "dev") == 0 && number_of(&r->cells[i], "test") == 0) {
                cJSON_Delete(r->cells[i].flat);
            } else {
                r->cells[kept++] = r->cells[i];
            }
        }
        r->n = kept;
    }
    mark_following_split_seeds(r);
    make_groups(r);
    if (spec->best != NULL) {
        status = keep_best(r, spec->best, err);
    }
    if (status != ZO_OK) {
        free_report(r);
    }
    return status;
}

zo_status zo_report_choose(zo_results *results, const char *keys, zo_err *err)
{
    report r;
    zo_report_spec all = {.where = NULL};
    zo_status status = read_report(results, &all, false, &r, err);
    if (status != ZO_OK) {
        return status;
    }
    bool *drop = mark_worse(&r, keys);
    sqlite3 *db = zo_results_handle(results);
    sqlite3_stmt *row = NULL;
    int code = sqlite3_exec(db, "DROP TABLE IF EXISTS temp.chosen; CREATE TEMP TABLE chosen (run INTEGER PRIMARY KEY, rivals INTEGER)", NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_prepare_v2(db, "INSERT INTO temp.chosen VALUES (?, ?)", -1, &row, NULL);
    }
    for (int i = 0; i < r.n && code == SQLITE_OK; i++) {
        const cell *c = &r.cells[i];
        int rivals = 0;
        for (int h = 0; h < r.groups; h++) {
            rivals += drop[h] && same_setting(c, &r.cells[r.first[h]], keys);
        }
        if (!drop[c->group]) {
            sqlite3_bind_int64(row, 1, (sqlite3_int64)number_of(c, "run"));
            sqlite3_bind_int(row, 2, rivals);
            code = sqlite3_step(row) == SQLITE_DONE ? sqlite3_reset(row) : SQLITE_ERROR;
        }
    }
    sqlite3_finalize(row);
    if (code != SQLITE_OK) {
        status = zo_fail(err, ZO_EIO, "the temporary table of chosen settings: SQLite says: %s", sqlite3_errmsg(db));
    }
    zo_free(drop);
    free_report(&r);
    return status;
}

/* ---- objects ------------------------------------------------------------------------------------------------------------ */

static const char *const identity[] = {"model", "task", "form", "optimizer"};
static const char *const settings[] = {"batch", "context", "precision", "realisation", "storage", "accumulate", "lr", "eps"};
static const char *const averaged[] = {"accuracy", "f1",           "matthews",           "dev_accuracy", "best_step", "steps",
                                       "step_ms",  "device_hours", "device_hours_total", "forwards",     "sequences", "tokens"};
static const char *const largest[] = {"peak_bytes", "train_peak_bytes", "rss_peak_bytes", "parameters"};
#define COUNT(list) (sizeof(list) / sizeof *(list))

static void add_copy(cJSON *to, const cell *c, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(c->row, key);
    cJSON_AddItemToObject(to, key, v != NULL ? cJSON_Duplicate(v, true) : cJSON_CreateNull());
}

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

static void add_options(cJSON *to, const cell *c)
{
    const cJSON *text = cJSON_GetObjectItemCaseSensitive(c->row, "optimizer_options");
    cJSON *options = cJSON_IsString(text) ? cJSON_Parse(text->valuestring) : NULL;
    cJSON_AddItemToObject(to, "optimizer_options", options != NULL ? options : cJSON_CreateObject());
}

static cJSON *cell_object(const cell *c)
{
    cJSON *o = cJSON_CreateObject();
    for (size_t k = 0; k < COUNT(identity); k++) {
        add_copy(o, c, identity[k]);
    }
    add_options(o, c);
    for (size_t k = 0; k < COUNT(settings); k++) {
        add_copy(o, c, settings[k]);
    }
    add_copy(o, c, "seed");
    add_copy(o, c, "status");
    for (size_t k = 0; k < COUNT(averaged); k++) {
        add_copy(o, c, averaged[k]);
    }
    add_copy(o, c, "selected");
    for (size_t k = 0; k < COUNT(largest); k++) {
        add_copy(o, c, largest[k]);
    }
    static const char *const rest[] = {"train", "dev", "test", "split", "message", "note", "hash"};
    for (size_t k = 0; k < COUNT(rest); k++) {
        add_copy(o, c, rest[k]);
    }
    return o;
}

/* The one status of a group, or "mixed". */
static const char *group_status(const report *r, int group)
{
    const char *status = NULL;
    for (int i = 0; i < r->n; i++) {
        if (r->cells[i].group == group) {
            const char *s = string_of(&r->cells[i], "status");
            if (status != NULL && strcmp(status, s) != 0) {
                return "mixed";
            }
            status = s;
        }
    }
    return status;
}

static cJSON *group_object(const report *r, int group)
{
    const cell *c = &r->cells[r->first[group]];
    cJSON *o = cJSON_CreateObject();
    for (size_t k = 0; k < COUNT(identity); k++) {
        add_copy(o, c, identity[k]);
    }
    add_options(o, c);
    for (size_t k = 0; k < COUNT(settings); k++) {
        add_copy(o, c, settings[k]);
    }
    cJSON *seeds = cJSON_AddArrayToObject(o, "seed");
    cJSON *statuses = cJSON_CreateObject();
    for (int i = 0; i < r->n; i++) {
        if (r->cells[i].group == group) {
            cJSON_AddItemToArray(seeds, cJSON_CreateNumber(number_of(&r->cells[i], "seed")));
            const char *s = string_of(&r->cells[i], "status");
            cJSON *count = cJSON_GetObjectItemCaseSensitive(statuses, s);
            if (count != NULL) {
                cJSON_SetNumberValue(count, count->valuedouble + 1);
            } else {
                cJSON_AddNumberToObject(statuses, s, 1);
            }
        }
    }
    cJSON_AddStringToObject(o, "status", group_status(r, group));
    cJSON_AddItemToObject(o, "statuses", statuses);
    for (size_t k = 0; k < COUNT(averaged); k++) {
        double std;
        int n;
        double mean = mean_of(r, group, averaged[k], &std, &n);
        add_number(o, averaged[k], mean);
        if (strcmp(averaged[k], "accuracy") == 0) {
            add_number(o, "accuracy_std", std);
            cJSON_AddNumberToObject(o, "n", n);
        }
    }
    for (size_t k = 0; k < COUNT(largest); k++) {
        double most = NAN;
        for (int i = 0; i < r->n; i++) {
            double x = r->cells[i].group == group ? number_of(&r->cells[i], largest[k]) : NAN;
            most = isfinite(x) && !(most >= x) ? x : most;
        }
        add_number(o, largest[k], most);
    }
    add_copy(o, c, "selected");
    return o;
}

zo_status zo_report_rows(zo_results *results, const zo_report_spec *spec, struct cJSON **rows, zo_err *err)
{
    *rows = NULL;
    report r;
    zo_status status = read_report(results, spec, false, &r, err);
    if (status != ZO_OK) {
        return status;
    }
    *rows = cJSON_CreateArray();
    for (int i = 0; i < (spec->by_seed_group ? r.groups : r.n); i++) {
        cJSON_AddItemToArray(*rows, spec->by_seed_group ? group_object(&r, i) : cell_object(&r.cells[i]));
    }
    free_report(&r);
    return ZO_OK;
}

/* ---- the papers' table -------------------------------------------------------------------------------------------------- */

#define LABEL_BYTES 400

/* A list of distinct texts in the order of their coming. */
typedef struct texts { char **text; int n; } texts;

static int text_index(texts *t, const char *text)
{
    for (int i = 0; i < t->n; i++) {
        if (strcmp(t->text[i], text) == 0) {
            return i;
        }
    }
    t->text = zo_realloc(t->text, ZO_HOST, ZO_TAG_OTHER, (size_t)(t->n + 1) * sizeof *t->text);
    t->text[t->n] = zo_strdup(ZO_TAG_OTHER, text);
    return t->n++;
}

static void free_texts(texts *t)
{
    for (int i = 0; i < t->n; i++) {
        zo_free(t->text[i]);
    }
    zo_free(t->text);
}

static char *key_text(const cell *c, const char *key, char *out, size_t size)
{
    const cJSON *v = value_of(c, key);
    if (cJSON_IsString(v)) {
        snprintf(out, size, "%s", v->valuestring);
    } else {
        char *text = v != NULL ? cJSON_PrintUnformatted(v) : NULL;
        snprintf(out, size, "%s", text != NULL ? text : "");
        cJSON_free(text);
    }
    return out;
}

/* Keys by which two groups of one optimizer, model, form, task (and column) differ: they belong into its labels. */
static texts varying_keys(const report *r, const zo_report_spec *spec, const cell *of)
{
    texts keys = {0};
    for (int i = 0; i < r->groups; i++) {
        const cell *a = &r->cells[r->first[i]];
        for (int j = 0; j < i && same(a, of, "optimizer"); j++) {
            const cell *b = &r->cells[r->first[j]];
            if (!same(a, b, "optimizer") || !same(a, b, "model") || !same(a, b, "form") || !same(a, b, "task") || !same(a, b, spec->columns)) {
                continue;
            }
            for (const cJSON *k = a->flat->child; k != NULL; k = k->next) {
                if (!same(a, b, k->string) && !in_list(spec->best, k->string)) {
                    text_index(&keys, k->string);
                }
            }
        }
    }
    return keys;
}

static void make_label(const report *r, const zo_report_spec *spec, int group, char label[LABEL_BYTES])
{
    const cell *c = &r->cells[r->first[group]];
    int at = snprintf(label, LABEL_BYTES, "%s", string_of(c, "optimizer"));
    texts keys = varying_keys(r, spec, c);
    for (int i = 0; i < keys.n && at < LABEL_BYTES; i++) {
        char value[100];
        at += snprintf(label + at, (size_t)(LABEL_BYTES - at), " %s=%s", keys.text[i], key_text(c, keys.text[i], value, sizeof value));
    }
    free_texts(&keys);
}

/* Text of one table entry: "85.3 ± 1.2 (3)", then ", 1 diverged" for seeds that did not end well, or why there is no number. */
static void entry_text(const report *r, const zo_report_spec *spec, int group, char *out, size_t size)
{
    double std;
    int n, cells = 0;
    double mean = mean_of(r, group, spec->metric, &std, &n);
    texts status = {0};
    int count[8] = {0}; /* of each; there are seven statuses beside done */
    for (int i = 0; i < r->n; i++) {
        if (r->cells[i].group == group) {
            const char *s = string_of(&r->cells[i], "status");
            cells++;
            if (strcmp(s, "done") != 0) {
                count[text_index(&status, s)]++;
            }
        }
    }
    int at = 0;
    if (n == 1 && cells == 1) {
        at = snprintf(out, size, "%.1f", 100 * mean);
    } else if (n == 1) {
        at = snprintf(out, size, "%.1f (1)", 100 * mean);
    } else if (n > 1) {
        at = snprintf(out, size, "%.1f ± %.1f (%d)", 100 * mean, 100 * std, n);
    } else if (status.n == 0) {
        at = snprintf(out, size, "no evaluation");
    }
    for (int k = 0; k < status.n && at < (int)size; k++) {
        const char *comma = at > 0 ? ", " : "";
        if (cells == 1) {
            at += snprintf(out + at, size - (size_t)at, "%s%s", comma, status.text[k]);
        } else {
            at += snprintf(out + at, size - (size_t)at, "%s%d %s", comma, count[k], status.text[k]);
        }
    }
    free_texts(&status);
}

static void range_text(double low, double high, const char *format, char *out, size_t size)
{
    if (!isfinite(low)) {
        snprintf(out, size, "-");
        return;
    }
    char a[40], b[40];
    snprintf(a, sizeof a, format, low);
    snprintf(b, sizeof b, format, high);
    if (strcmp(a, b) == 0) {
        snprintf(out, size, "%s", a);
    } else {
        snprintf(out, size, "%s to %s", a, b);
    }
}

/* Lowest and highest group mean of a column, over the groups of one method in one panel. */
static void cost_text(const report *r, const int *panel_of, const int *method_of, int panel, int method, const char *key, double scale,
                      const char *format, char *out, size_t size)
{
    double low = NAN, high = NAN;
    for (int g = 0; g < r->groups; g++) {
        if (panel_of[g] == panel && method_of[g] == method) {
            double x = scale * mean_of(r, g, key, NULL, NULL);
            low = isfinite(x) && !(low <= x) ? x : low;
            high = isfinite(x) && !(high >= x) ? x : high;
        }
    }
    range_text(low, high, format, out, size);
}

static void lr_text(const report *r, const int *panel_of, const int *method_of, int panel, int method, char *out, size_t size)
{
    int at = 0;
    out[0] = '\0';
    texts seen = {0};
    for (int g = 0; g < r->groups && at < (int)size; g++) {
        if (panel_of[g] != panel || method_of[g] != method) {
            continue;
        }
        char text[40];
        snprintf(text, sizeof text, "%g", number_of(&r->cells[r->first[g]], "lr"));
        int before = seen.n;
        if (text_index(&seen, text) == before) {
            at += snprintf(out + at, size - (size_t)at, "%s%s", before > 0 ? ", " : "", text);
        }
    }
    free_texts(&seen);
}

static void print_panel(const report *r, const zo_report_spec *spec, const int *panel_of, const int *method_of, const int *column_of,
                        const texts *methods, const texts *columns, int panel, FILE *out)
{
    cJSON *scores = cJSON_CreateArray(), *costs = cJSON_CreateArray();
    bool peaks_differ = false; /* in some row of this panel */
    for (int m = 0; m < methods->n; m++) {
        char training[100], overall[100];
        cost_text(r, panel_of, method_of, panel, m, "train_peak_bytes", 1e-6, "%.4g", training, sizeof training);
        cost_text(r, panel_of, method_of, panel, m, "peak_bytes", 1e-6, "%.4g", overall, sizeof overall);
        peaks_differ = peaks_differ || strcmp(training, overall) != 0;
    }
    for (int m = 0; m < methods->n; m++) {
        cJSON *score = cJSON_CreateObject();
        cJSON_AddStringToObject(score, "method", methods->text[m]);
        bool any = false;
        for (int c = 0; c < columns->n; c++) {
            bool in_panel = false;
            char text[200] = "";
            for (int g = 0; g < r->groups; g++) {
                in_panel = in_panel || (panel_of[g] == panel && column_of[g] == c);
                if (panel_of[g] == panel && method_of[g] == m && column_of[g] == c) {
                    entry_text(r, spec, g, text, sizeof text);
                    any = true;
                }
            }
            if (in_panel) {
                cJSON_AddStringToObject(score, columns->text[c], text);
            }
        }
        if (!any) {
            cJSON_Delete(score);
            continue;
        }
        cJSON_AddItemToArray(scores, score);
        cJSON *cost = cJSON_CreateObject();
        char text[200];
        cJSON_AddStringToObject(cost, "method", methods->text[m]);
        lr_text(r, panel_of, method_of, panel, m, text, sizeof text);
        cJSON_AddStringToObject(cost, "lr", text);
        static const struct { const char *title, *key, *format; double scale; } column[] = {
            {"steps", "steps", "%.0f", 1},
            {"forwards", "forwards", "%.0f", 1},
            {"step ms", "step_ms", "%.3g", 1},
            {"device-hours", "device_hours", "%.3g", 1},
            {"with evaluation", "device_hours_total", "%.3g", 1},
            {"training peak MB", "train_peak_bytes", "%.4g", 1e-6},
            {"overall peak MB", "peak_bytes", "%.4g", 1e-6}};
        for (size_t k = 0; k < COUNT(column) - !peaks_differ; k++) {
            cost_text(r, panel_of, method_of, panel, m, column[k].key, column[k].scale, column[k].format, text, sizeof text);
            cJSON_AddStringToObject(cost, column[k].title, text);
        }
        cJSON_AddItemToArray(costs, cost);
    }
    zo_table_print(out, scores, ZO_TABLE_MD, 0);
    fputc('\n', out);
    zo_table_print(out, costs, ZO_TABLE_MD, 0);
    fputc('\n', out);
    cJSON_Delete(scores);
    cJSON_Delete(costs);
}

static zo_status check_spec(const report *r, const zo_report_spec *spec, zo_err *err)
{
    static const char *const metrics[] = {"accuracy", "f1", "matthews", "dev_accuracy"};
    bool known = false;
    for (size_t i = 0; i < COUNT(metrics); i++) {
        known = known || strcmp(spec->metric, metrics[i]) == 0;
    }
    if (!known) {
        return zo_fail(err, ZO_EINPUT, "--metric is \"%.40s\"; expected accuracy, f1, matthews or dev_accuracy", spec->metric);
    }
    if (strcmp(spec->columns, "seed") == 0) {
        return zo_fail(err, ZO_EINPUT, "--by seed: an entry of this table is a mean over seeds; --format csv has one row for each seed");
    }
    bool is_key = r->n == 0;
    for (int i = 0; i < r->n && !is_key; i++) {
        is_key = cJSON_HasObjectItem(r->cells[i].flat, spec->columns);
    }
    if (!is_key) {
        return zo_fail(err, ZO_EINPUT, "--by: the cells have no key \"%.40s\"; expected a key of the config such as task or batch", spec->columns);
    }
    return ZO_OK;
}

zo_status zo_report_paper(zo_results *results, const zo_report_spec *spec, FILE *out, zo_err *err)
{
    report r;
    zo_status status = read_report(results, spec, true, &r, err);
    if (status != ZO_OK) {
        return status;
    }
    status = check_spec(&r, spec, err);
    if (status != ZO_OK) {
        free_report(&r);
        return status;
    }
    size_t bytes = ((size_t)r.groups + 1) * sizeof(int);
    int *panel_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes), *method_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes),
        *column_of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
    texts panels = {0}, methods = {0}, columns = {0};
    bool by_task = strcmp(spec->columns, "task") == 0;
    for (int g = 0; g < r.groups; g++) {
        const cell *c = &r.cells[r.first[g]];
        char text[LABEL_BYTES];
        make_label(&r, spec, g, text);
        method_of[g] = text_index(&methods, text);
        column_of[g] = text_index(&columns, key_text(c, spec->columns, text, sizeof text));
        snprintf(text, sizeof text, "%.120s, %s%s%s", string_of(c, "model"), string_of(c, "form"), by_task ? "" : ", ",
                 by_task ? "" : string_of(c, "task"));
        panel_of[g] = text_index(&panels, text);
    }
    for (int p = 0; p < panels.n; p++) {
        fprintf(out, "## %s\n\n", panels.text[p]);
        print_panel(&r, spec, panel_of, method_of, column_of, &methods, &columns, p, out);
    }
    if (r.groups == 0) {
        fprintf(out, "No finished cells.\n");
    } else {
        texts how = {0};
        for (int i = 0; i < r.n; i++) {
            if (string_of(&r.cells[i], "selected")[0] != '\0') {
                text_index(&how, string_of(&r.cells[i], "selected"));
            }
        }
        fprintf(out, "%s in %%, mean ± standard deviation over (n) seeds", spec->metric);
        for (int i = 0; i < how.n && strcmp(spec->metric, "dev_accuracy") != 0; i++) {
            fprintf(out, "%s%s", i == 0 ? "; taken as " : ", ", how.text[i]);
        }
        if (spec->best != NULL) {
            fprintf(out, "; %s chosen by the best mean dev accuracy of the settings in the database", spec->best);
        }
        fprintf(out, ".\n");
        bool diverged = false;
        for (int i = 0; i < r.n; i++) {
            diverged = diverged || strcmp(string_of(&r.cells[i], "status"), "diverged") == 0;
        }
        if (diverged) {
            fprintf(out, "A diverged seed enters the mean with its best evaluation before it diverged; one without any is left out of the mean "
                         "and of (n)%s.\n", spec->best != NULL ? ", but counts as 0 on dev in the choice above" : "");
        }
        if (r.uneven_n > 0) {
            fprintf(out, "Beware: %s%s: the settings compared were run on different sets of seeds, so the choice is not like against like.\n",
                    r.uneven, r.uneven_n > 1 ? " and others" : "");
        }
        fprintf(out, "A forward is one batch through the model at one point. Device-hours are of optimizer steps, then with evaluation."
                     " Peak MB (10^6 bytes): largest sum of live bytes in the ledger, in training; overall counts loading and evaluation too"
                     " and stands where it differs.\n");
        free_texts(&how);
    }
    free_texts(&panels);
    free_texts(&methods);
    free_texts(&columns);
    zo_free(panel_of);
    zo_free(method_of);
    zo_free(column_of);
    free_report(&r);
    return ZO_OK;
}
