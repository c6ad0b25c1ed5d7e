/* report_rows.c: runs and groups of seeds as JSON objects. */
#include "results/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "results/figures.h"
#include "results/groups.h"
#include "results/keys.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

static void add_copy(cJSON *to, const zo_grouped_run *run, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(run->row, key);
    cJSON_AddItemToObject(to, key, v != NULL ? cJSON_Duplicate(v, true) : cJSON_CreateNull());
}

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

/* The keys with this flag, each as a column of its name. */
static void add_keys(cJSON *to, const zo_grouped_run *run, const zo_opt *keys, zo_key_flag flag)
{
    for (const zo_opt *k = keys; k != NULL && k->key != NULL; k++) {
        if ((k->flags & flag) != 0 && (k->column != NULL || cJSON_HasObjectItem(run->row, k->key))) {
            add_copy(to, run, k->key);
        } else if ((k->flags & flag) != 0) { /* of the config alone */
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(run->flat, k->key);
            cJSON_AddItemToObject(to, k->key, v != NULL ? cJSON_Duplicate(v, true) : cJSON_CreateNull());
        }
    }
}

static void add_settings(cJSON *to, const zo_grouped_run *run, const zo_report_spec *spec)
{
    add_keys(to, run, spec->keys, ZO_KEY_PANEL);
    add_copy(to, run, "optimizer");
    const char *text = zo_run_text(run, "optimizer_options");
    cJSON *options = cJSON_Parse(text);
    cJSON_AddItemToObject(to, "optimizer_options", options != NULL ? options : cJSON_CreateObject());
    if (spec->source != NULL) {
        cJSON_AddStringToObject(to, "source", spec->source(zo_run_text(run, "optimizer"), options));
    }
    add_keys(to, run, spec->keys, ZO_KEY_REPORTED);
}

static cJSON *run_object(const zo_grouped_run *run, const zo_report_spec *spec)
{
    cJSON *o = cJSON_CreateObject();
    add_settings(o, run, spec);
    static const char *const outcome[] = {"seed", "status", "marks", "meaning"};
    for (size_t k = 0; k < COUNT(outcome); k++) {
        add_copy(o, run, outcome[k]);
    }
    for (int k = 0; k < ZO_FIGURES; k++) {
        if (zo_figures[k].kind != ZO_FIGURE_ELSEWHERE) {
            add_copy(o, run, zo_figures[k].field.column);
        }
    }
    static const char *const rest[] = {"train", "dev", "test", "hash", "identity", "try"};
    for (size_t k = 0; k < COUNT(rest); k++) {
        add_copy(o, run, rest[k]);
    }
    return o;
}

/* The one text of a group in this column, or "mixed". */
static const char *common_text(const zo_groups *g, int group, const char *column)
{
    const char *text = NULL;
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(g->run[g->member[k]].row, column);
        const char *one = cJSON_IsString(v) ? v->valuestring : "";
        if (text != NULL && strcmp(text, one) != 0) {
            return "mixed";
        }
        text = one;
    }
    return text;
}

static void count_up(cJSON *counts, const char *name)
{
    cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, name);
    if (count != NULL) {
        cJSON_SetNumberValue(count, count->valuedouble + 1);
    } else {
        cJSON_AddNumberToObject(counts, name, 1);
    }
}

/* A mean, with what else is said of the scores. */
static void add_mean(cJSON *to, const zo_groups *g, int group, const char *column)
{
    double std;
    int n;
    add_number(to, column, zo_group_mean(g, group, column, false, &std, &n));
    if (strcmp(column, "metric_value") == 0) {
        add_number(to, "metric_value_std", std);
        add_number(to, "metric_value_unmarked", zo_group_mean(g, group, column, true, NULL, NULL));
        cJSON_AddNumberToObject(to, "n", n);
    } else if (strcmp(column, "accuracy") == 0) {
        add_number(to, "accuracy_std", std);
    }
}

/* What a group has of one figure of its runs. */
static void add_figure(cJSON *to, const zo_groups *g, int group, const zo_figure *figure)
{
    double most = NAN, count = 0;
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        double x = zo_run_number(&g->run[g->member[k]], figure->field.column);
        most = isfinite(x) && !(most >= x) ? x : most;
        count += x > 0;
    }
    switch (figure->kind) {
    case ZO_FIGURE_MEAN:
        add_mean(to, g, group, figure->field.column);
        break;
    case ZO_FIGURE_LARGEST:
        add_number(to, figure->field.column, most);
        break;
    case ZO_FIGURE_COUNT:
        cJSON_AddNumberToObject(to, figure->field.column, count);
        break;
    case ZO_FIGURE_COMMON:
        cJSON_AddStringToObject(to, figure->field.column, common_text(g, group, figure->field.column));
        break;
    case ZO_FIGURE_ELSEWHERE:
    case ZO_FIGURE_ALONE:
        break;
    }
}

static cJSON *group_object(const zo_groups *g, int group, const zo_report_spec *spec)
{
    const zo_grouped_run *first = zo_groups_first(g, group);
    cJSON *o = cJSON_CreateObject();
    add_settings(o, first, spec);
    cJSON *seeds = cJSON_AddArrayToObject(o, "seed"), *statuses = cJSON_CreateObject(), *marks = cJSON_CreateObject();
    int marked = 0;
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        cJSON_AddItemToArray(seeds, cJSON_CreateNumber(zo_run_number(run, "seed")));
        count_up(statuses, zo_run_text(run, "status"));
        for (size_t m = 0; m < COUNT(zo_mark_names); m++) {
            if (zo_run_is_marked(run, zo_mark_names[m])) {
                count_up(marks, zo_mark_names[m]);
            }
        }
        marked += zo_run_is_marked(run, NULL);
    }
    cJSON_AddStringToObject(o, "status", common_text(g, group, "status"));
    cJSON_AddItemToObject(o, "statuses", statuses);
    cJSON_AddNumberToObject(o, "marked", marked);
    cJSON_AddItemToObject(o, "marks", marks);
    add_copy(o, first, "meaning");
    for (int k = 0; k < ZO_FIGURES; k++) {
        add_figure(o, g, group, &zo_figures[k]);
    }
    return o;
}

zo_status zo_report_rows(zo_results *results, const zo_report_spec *spec, struct cJSON **rows, zo_err *err)
{
    *rows = NULL;
    zo_groups g;
    zo_status status = zo_groups_read(results, spec, false, 0, &g, err);
    if (status != ZO_OK) {
        return status;
    }
    status = spec->best != NULL ? zo_groups_keep_best(&g, spec->best, err) : ZO_OK;
    if (status == ZO_OK) {
        *rows = cJSON_CreateArray();
        for (int i = 0; i < (spec->by_seed_group ? g.groups : g.n); i++) {
            cJSON_AddItemToArray(*rows, spec->by_seed_group ? group_object(&g, i, spec) : run_object(&g.run[i], spec));
        }
    }
    zo_groups_free(&g);
    return status;
}
