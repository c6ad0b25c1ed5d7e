/* cmd_best.c: `zo best`: the settings whose learning rate was best, as a config that `zo run` reads. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "core/conf.h"
#include "core/mem.h"
#include "results/report.h"
#include "results/views.h"

/* The cell among `cells` that differs from this one in the seed alone; NULL = there is none. */
static cJSON *like(cJSON *cells, const cJSON *cell)
{
    for (cJSON *other = cells->child; other != NULL; other = other->next) {
        bool same = cJSON_GetArraySize(other) == cJSON_GetArraySize(cell);
        for (const cJSON *v = cell->child; v != NULL && same; v = v->next) {
            same = strcmp(v->string, "seed") == 0 || cJSON_Compare(v, cJSON_GetObjectItemCaseSensitive(other, v->string), true);
        }
        if (same) {
            return other;
        }
    }
    return NULL;
}

/* Cells of `rows` ({config}), those that differ in the seed alone as one, with a list of them. */
static cJSON *cells_of(const cJSON *rows)
{
    cJSON *cells = cJSON_CreateArray();
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        cJSON *cell = cJSON_Parse(zo_json_text(row, "config"));
        zo_opt_add_younger(zo_cell_keys(), cell); /* below "include" what is absent is that of the first cell */
        cJSON *twin = like(cells, cell);
        cJSON *seed = cJSON_DetachItemFromObject(cell, "seed");
        if (twin != NULL) {
            cJSON_AddItemToArray(cJSON_GetObjectItem(twin, "seed"), seed);
            cJSON_Delete(cell);
        } else {
            cJSON_AddItemToArray(cJSON_AddArrayToObject(cell, "seed"), seed);
            cJSON_AddItemToArray(cells, cell);
        }
    }
    return cells;
}

/* The first cell with its keys at the top, the others below "include" with what they have otherwise. */
static cJSON *config_of(cJSON *cells, const char *db)
{
    char notes[600];
    cJSON *first = cJSON_DetachItemFromArray(cells, 0), *config = cJSON_CreateObject(), *include = cJSON_CreateArray();
    snprintf(notes, sizeof notes, "The settings of %.500s with the best learning rate by dev, as zo best wrote them.", db);
    cJSON_AddStringToObject(config, "name", "best");
    cJSON_AddStringToObject(config, "notes", notes);
    for (cJSON *cell; (cell = cJSON_DetachItemFromArray(cells, 0)) != NULL; cJSON_AddItemToArray(include, cell)) {
        for (const cJSON *v = first->child; v != NULL; v = v->next) {
            if (cJSON_Compare(v, cJSON_GetObjectItemCaseSensitive(cell, v->string), true)) {
                cJSON_DeleteItemFromObjectCaseSensitive(cell, v->string);
            }
        }
    }
    for (cJSON *v; (v = first->child) != NULL;) {
        char key[100];
        snprintf(key, sizeof key, "%s", v->string);
        cJSON_AddItemToObject(config, key, cJSON_DetachItemViaPointer(first, v));
    }
    cJSON_Delete(first);
    cJSON_AddItemToObject(config, "include", include);
    return config;
}

/* These in place of the seeds of every cell: "0,1,2". */
static zo_status set_seeds(cJSON *cells, const char *text, zo_err *err)
{
    cJSON *seeds = cJSON_CreateArray();
    for (const char *at = text; at != NULL; at = at[0] == ',' ? at + 1 : NULL) {
        char *end;
        long long seed = strtoll(at, &end, 10);
        if (end == at || seed < 0 || (*end != ',' && *end != '\0')) {
            cJSON_Delete(seeds);
            return zo_fail(err, ZO_EINPUT, "--seeds is \"%.100s\"; expected numbers with commas between them, such as 0,1,2", text);
        }
        cJSON_AddItemToArray(seeds, cJSON_CreateNumber((double)seed));
        at = end;
    }
    for (cJSON *cell = cells->child; cell != NULL; cell = cell->next) {
        cJSON_ReplaceItemInObjectCaseSensitive(cell, "seed", cJSON_Duplicate(seeds, true));
    }
    cJSON_Delete(seeds);
    return ZO_OK;
}

int zo_cmd_best(int argc, char **argv)
{
    const char *db = "results/zo.db", *where = NULL, *seeds = NULL;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db}, {"--where", ZO_ARG_TEXT, &where}, {"--seeds", ZO_ARG_TEXT, &seeds}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_results *results = NULL;
    cJSON *rows = NULL;
    char sql[4000];
    zo_status status = zo_args_read(argc, argv, table, NULL, 0, 0, NULL, "zo best [--db FILE] [--where SQL] [--seeds LIST]", &err);
    if (status == ZO_OK && where != NULL && strlen(where) > sizeof sql - 400) {
        status = zo_fail(&err, ZO_EINPUT, "--where has %zu bytes; at most %zu are permitted", strlen(where), sizeof sql - 400);
    }
    /* trials have no test rows */
    snprintf(sql, sizeof sql, "SELECT config FROM shown WHERE (test > 0 OR NOT EXISTS (SELECT 1 FROM shown WHERE test > 0)) AND (%.3600s) ORDER BY run", where != NULL ? where : "1");
    status = status == ZO_OK ? zo_results_open_read(&results, db, &err) : status;
    status = status == ZO_OK ? zo_results_select_views(results, zo_cell_keys(), sql, &rows, &err) : status;
    if (status == ZO_OK && rows->child == NULL) {
        status = zo_fail(&err, ZO_EINPUT, "%s has no run with a result%s; `zo report` shows what it has", db, where != NULL ? " for which --where holds" : "");
    }
    cJSON *cells = status == ZO_OK ? cells_of(rows) : NULL;
    status = status == ZO_OK && seeds != NULL ? set_seeds(cells, seeds, &err) : status;
    if (status == ZO_OK) {
        cJSON *config = config_of(cells, db);
        char *text = cJSON_Print(config);
        puts(text);
        cJSON_free(text);
        cJSON_Delete(config);
    } else {
        fprintf(stderr, "zo best: %s\n", err.text);
    }
    cJSON_Delete(cells);
    cJSON_Delete(rows);
    zo_results_close(results);
    return status == ZO_OK ? 0 : 2;
}
