/* history.c: see history.h. */
#include "results/history.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "results/database.h"
#include "results/groups.h"
#include "results/statistics.h"
#include "results/tries.h"

/* ---- the metric ---------------------------------------------------------------------------------------------------------- */

/* A metric as an SQL expression over the columns of all_runs; the caller gives it back with sqlite3_free. */
typedef struct metric { char *sql; bool is_time; } metric;

static bool is_part(const char *name)
{
    bool found = strcmp(name, "other") == 0;
    for (int p = 0; p < ZO_PARTS; p++) {
        found = found || strcmp(name, zo_part_name((zo_part)p)) == 0;
    }
    return found;
}

static bool has_peak(zo_results *r, const char *name)
{
    bool ok;
    char *sql = sqlite3_mprintf("SELECT EXISTS (SELECT 1 FROM memory WHERE phase || ' ' || tag = %Q OR phase || ' peak' = %Q)", name, name);
    int64_t found = zo_db_number(r, sql, &ok);
    sqlite3_free(sql);
    return ok && found != 0;
}

/* The columns that are numbers, without those that number other things. */
static zo_status read_columns(zo_results *r, cJSON **columns, zo_err *err)
{
    return zo_results_select(r, "SELECT name FROM pragma_table_info('all_runs') WHERE type IN ('REAL', 'INTEGER') AND name NOT IN ('run', 'cell', 'shown', 'meaning')", columns, err);
}

static zo_status read_metric(zo_results *r, const char *name, metric *m, zo_err *err)
{
    cJSON *columns;
    zo_status status = read_columns(r, &columns, err);
    if (status != ZO_OK) {
        return status;
    }
    int n = 0;
    bool is_column = false;
    const char **names = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(columns) + ZO_PARTS + 2) * sizeof *names);
    for (const cJSON *row = columns->child; row != NULL; row = row->next) {
        names[n++] = zo_json_text(row, "name");
        is_column = is_column || strcmp(name, names[n - 1]) == 0;
    }
    for (int p = 0; p < ZO_PARTS; p++) {
        names[n++] = zo_part_name((zo_part)p);
    }
    names[n++] = "cpu";
    size_t length = strlen(name);
    if (strcmp(name, "cpu") == 0) {
        *m = (metric){sqlite3_mprintf("1e3 * cpu_seconds / steps"), true};
    } else if (is_part(name)) {
        *m = (metric){sqlite3_mprintf("(SELECT p.ms FROM main.parts p WHERE p.run = all_runs.run AND p.part = %Q)", name), true};
    } else if (is_column) {
        bool time = strncmp(name, "step_ms", 7) == 0 || strstr(name, "_hours") != NULL || (length > 8 && strcmp(name + length - 8, "_seconds") == 0) ||
                    (length > 8 && strcmp(name + length - 8, "_step_ms") == 0);
        *m = (metric){sqlite3_mprintf("\"%w\"", name), time};
    } else if (has_peak(r, name)) {
        *m = (metric){sqlite3_mprintf("(SELECT sum(p.bytes) FROM main.memory p WHERE p.run = all_runs.run AND (p.phase || ' ' || p.tag = %Q OR p.phase || ' peak' = %Q))", name, name), false};
    } else {
        const char *near = zo_nearest(name, names, n);
        status = zo_fail(err, ZO_EINPUT, "there is no metric \"%.60s\"%s%s%s. It is a column that is a number, as step_ms_median or metric_value; cpu; a part of a step, as gemm; or "
                         "a peak, as \"train peak\" or \"train activations\"", name, near != NULL ? "; the nearest is \"" : "", near != NULL ? near : "", near != NULL ? "\"" : "");
    }
    zo_free(names);
    cJSON_Delete(columns);
    return status;
}

/* ---- a series ------------------------------------------------------------------------------------------------------------ */

typedef struct try_of { const char *host, *revision, *began, *first; double value; bool counts; } try_of; /* first: when its revision first ran on this host */

static int by_series(const void *a, const void *b)
{
    const try_of *x = a, *y = b;
    int host = strcmp(x->host, y->host), first = strcmp(x->first, y->first), revision = strcmp(x->revision, y->revision);
    return host != 0 ? host : first != 0 ? first : revision != 0 ? revision : (x->value > y->value) - (x->value < y->value);
}

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(const double *value, int n)
{
    double *sorted = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *sorted);
    memcpy(sorted, value, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, by_value);
    double median = zo_quantile(sorted, n, 0.5);
    zo_free(sorted);
    return median;
}

/* Levels and steps of the n points of a series. */
static void mark_steps(cJSON *const *point, int n)
{
    double *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *y), before = NAN;
    cJSON **of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *of);
    int start[ZO_HISTORY_SEGMENTS], m = 0;
    for (int i = 0; i < n; i++) {
        y[m] = zo_json_number(point[i], "value", NAN);
        of[m] = point[i];
        m += isfinite(y[m]);
    }
    int segments = m > 0 ? zo_piecewise_fit(y, m, ZO_HISTORY_GRAIN * fabs(median_of(y, m)), ZO_HISTORY_SEGMENTS, start) : 0;
    for (int k = 0; k < segments; k++) {
        int end = k + 1 < segments ? start[k + 1] : m;
        double level = median_of(y + start[k], end - start[k]);
        for (int i = start[k]; i < end; i++) {
            add_number(of[i], "level", level);
            bool starts = i == start[k] && k > 0;
            cJSON_AddBoolToObject(of[i], "starts", starts);
            add_number(of[i], "rise", starts ? level - before : NAN);
            add_number(of[i], "step", starts && before > 0 ? level / before - 1 : NAN);
        }
        before = level;
    }
    zo_free(y);
    zo_free(of);
}

/* One point of tries that are sorted by value. */
static cJSON *make_point(const zo_grouped_run *first, const char *label, const try_of *t, int n)
{
    static const char *const words[] = {"model", "task", "form"};
    double *value = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *value);
    int counted = 0;
    for (int i = 0; i < n; i++) {
        value[counted] = t[i].value;
        counted += t[i].counts;
    }
    cJSON *o = cJSON_CreateObject();
    for (int i = 0; i < 3; i++) {
        cJSON_AddStringToObject(o, words[i], zo_run_text(first, words[i]));
    }
    cJSON_AddStringToObject(o, "method", label);
    cJSON_AddStringToObject(o, "host", t->host);
    cJSON_AddStringToObject(o, "revision", t->revision);
    cJSON_AddStringToObject(o, "began", t->first);
    cJSON_AddNumberToObject(o, "n", counted);
    cJSON_AddNumberToObject(o, "disturbed", n - counted);
    add_number(o, "value", zo_quantile(value, counted, 0.5));
    add_number(o, "low", zo_quantile(value, counted, 0.25));
    add_number(o, "high", zo_quantile(value, counted, 0.75));
    zo_free(value);
    return o;
}

static zo_status add_setting(const zo_groups *g, int group, const char *label, bool quiet_only, cJSON *rows, zo_err *err)
{
    int most = g->start[group + 1] - g->start[group], n = 0;
    try_of *t = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)most + 1) * sizeof *t);
    for (int i = g->start[group]; i < g->start[group + 1]; i++) {
        const zo_grouped_run *run = &g->run[g->member[i]];
        t[n] = (try_of){.host = zo_run_text(run, "host"), .revision = zo_run_text(run, "revision"), .began = zo_run_text(run, "began"), .value = zo_run_number(run, "history_value")};
        t[n].counts = !quiet_only || zo_run_number(run, "disturbed") == 0;
        n += isfinite(t[n].value);
    }
    for (int i = 0; i < n; i++) {
        t[i].first = t[i].began;
        for (int k = 0; k < n; k++) {
            bool one = strcmp(t[k].host, t[i].host) == 0 && strcmp(t[k].revision, t[i].revision) == 0;
            t[i].first = one && strcmp(t[k].began, t[i].first) < 0 ? t[k].began : t[i].first;
        }
    }
    qsort(t, (size_t)n, sizeof *t, by_series);
    cJSON **point = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *point);
    zo_status status = ZO_OK;
    for (int i = 0, points = 0; i < n && status == ZO_OK;) {
        int end = i;
        while (end < n && strcmp(t[end].host, t[i].host) == 0 && strcmp(t[end].revision, t[i].revision) == 0) {
            end++;
        }
        point[points] = make_point(zo_groups_first(g, group), label, t + i, end - i);
        cJSON_AddItemToArray(rows, point[points++]);
        if (end == n || strcmp(t[end].host, t[i].host) != 0) {
            status = points > ZO_HISTORY_POINTS ? zo_fail(err, ZO_EINPUT, "a series has %d revisions, and at most %d are looked at; leave some out with --where", points, ZO_HISTORY_POINTS) : ZO_OK;
            if (status == ZO_OK) {
                mark_steps(point, points);
            }
            points = 0;
        }
        i = end;
    }
    zo_free(point);
    zo_free(t);
    return status;
}

zo_status zo_history(zo_results *results, const zo_history_spec *spec, cJSON **rows, zo_err *err)
{
    metric m = {NULL, false};
    zo_groups g;
    zo_report_spec part = {.keys = spec->keys, .columns = "task", .where = spec->where};
    *rows = NULL;
    zo_status status = read_metric(results, spec->metric, &m, err);
    if (status != ZO_OK) {
        return status;
    }
    char *sql = sqlite3_mprintf("CREATE TEMP VIEW report AS SELECT all_runs.*, %s AS history_value FROM main.all_runs WHERE status IN " ZO_FINISHED, m.sql);
    sqlite3_free(m.sql);
    status = zo_db_run(results, sql, err);
    sqlite3_free(sql);
    status = status == ZO_OK ? zo_groups_read(results, &part, false, ZO_MEANING, &g, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    cJSON *made = cJSON_CreateArray();
    char **label = zo_groups_labels(&g, spec->keys, "model,task,form");
    for (int i = 0; i < g.groups && status == ZO_OK; i++) {
        status = add_setting(&g, i, label[i], m.is_time && !spec->disturbed, made, err);
    }
    zo_labels_free(label, g.groups);
    zo_groups_free(&g);
    if (status == ZO_OK && cJSON_GetArraySize(made) == 0) {
        status = zo_fail(err, ZO_EINPUT, "%s: no run%s has a %s", results->path, spec->where != NULL ? " that --where leaves" : "", spec->metric);
    }
    if (status != ZO_OK) {
        cJSON_Delete(made);
        return status;
    }
    *rows = made;
    return ZO_OK;
}
