/* cmd_merge.c: `zo merge` and `zo prune`: databases brought together, and made smaller. */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "results/merge.h"

enum { FROM_MOST = 1000 };

static int fail(const char *command, const zo_err *err)
{
    fprintf(stderr, "zo %s: %s\n", command, err->text);
    return 2;
}

static void say_merged(const char *from, const zo_merged *m, bool json)
{
    if (!json) {
        printf("%s: %lld tries are new, %lld had not come so far, %lld were there; %lld cells are new\n", from, (long long)m->added, (long long)m->renewed,
               (long long)m->known, (long long)m->cells);
        return;
    }
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "from", from);
    cJSON_AddNumberToObject(row, "added", (double)m->added);
    cJSON_AddNumberToObject(row, "renewed", (double)m->renewed);
    cJSON_AddNumberToObject(row, "known", (double)m->known);
    cJSON_AddNumberToObject(row, "cells", (double)m->cells);
    char *text = cJSON_PrintUnformatted(row);
    puts(text);
    cJSON_free(text);
    cJSON_Delete(row);
}

int zo_cmd_merge(int argc, char **argv)
{
    static const char *file[FROM_MOST + 1];
    bool json = false;
    int files;
    const zo_arg table[] = {{"--json", ZO_ARG_FLAG, &json}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_results *into, *from;
    if (zo_args_read(argc, argv, table, file, 2, FROM_MOST + 1, &files, "zo merge INTO.db FROM.db... [--json]", &err)) {
        return fail("merge", &err);
    }
    for (int i = 1; i < files; i++) { /* before anything is made */
        if (zo_results_open_read(&from, file[i], &err)) {
            return fail("merge", &err);
        }
        zo_results_close(from);
    }
    if (zo_results_open_alone(&into, file[0], &err)) {
        return fail("merge", &err);
    }
    zo_status status = ZO_OK;
    for (int i = 1; i < files && status == ZO_OK; i++) {
        zo_merged merged;
        status = zo_results_open_read(&from, file[i], &err);
        if (status == ZO_OK) {
            status = zo_results_merge(into, from, &merged, &err);
            zo_results_close(from);
        }
        if (status == ZO_OK) {
            say_merged(file[i], &merged, json);
        }
    }
    zo_results_close(into);
    return status == ZO_OK ? 0 : fail("merge", &err);
}

int zo_cmd_prune(int argc, char **argv)
{
    const char *db = "results/zo.db";
    bool older = false, remove = false, json = false;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db}, {"--older", ZO_ARG_FLAG, &older}, {"--remove", ZO_ARG_FLAG, &remove}, {"--json", ZO_ARG_FLAG, &json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_results *results;
    if (zo_args_read(argc, argv, table, NULL, 0, 0, NULL, "zo prune [--db FILE] [--older] [--remove] [--json]", &err) ||
        zo_results_open(&results, db, false, &err)) {
        return fail("prune", &err);
    }
    zo_results_close(results); /* it is there */
    if (zo_results_open_alone(&results, db, &err)) {
        return fail("prune", &err);
    }
    zo_pruned pruned;
    zo_status status = zo_results_prune(results, older, remove, &pruned, &err);
    zo_results_close(results);
    if (status != ZO_OK) {
        return fail("prune", &err);
    }
    if (json) {
        printf("{\"tries\":%lld,\"cells\":%lld,\"bytes\":%lld,\"removed\":%s}\n", (long long)pruned.tries, (long long)pruned.cells, (long long)pruned.bytes,
               remove ? "true" : "false");
    } else {
        printf("%s: %s %lld tries that no report reads", db, remove ? "removed" : "would remove", (long long)pruned.tries);
        if (older) {
            printf(", and %lld cells whose figures have an older definition", (long long)pruned.cells);
        }
        printf(remove ? "; the file is %.1f MB smaller\n" : "; --remove does it\n", (double)pruned.bytes / 1e6);
    }
    return 0;
}
