/* cmd_plot.c: `zo plot`: render what a database can fill, say what it cannot fill and why. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"
#include "plots/plot.h"
#include "results/report.h"
#include "results/views.h"

/* Some picture was made. */
static int any_file(const cJSON *report)
{
    int files = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, report) {
        files += cJSON_GetArraySize(cJSON_GetObjectItem(entry, "files"));
    }
    return files > 0;
}

static void print_report(const cJSON *report)
{
    const cJSON *entry, *file;
    cJSON_ArrayForEach(entry, report) {
        const char *name = cJSON_GetObjectItem(entry, "plot")->valuestring;
        const cJSON *skipped = cJSON_GetObjectItem(entry, "skipped"), *note = cJSON_GetObjectItem(entry, "note"),
                    *failed = cJSON_GetObjectItem(entry, "failed");
        if (skipped) {
            printf("%-20s not drawn: it %s\n", name, skipped->valuestring);
        }
        cJSON_ArrayForEach(file, cJSON_GetObjectItem(entry, "files")) {
            char *path = zo_text_plain_copy(file->valuestring);
            printf("%-20s %s\n", name, path);
            zo_free(path);
        }
        if (failed) {
            printf("%-20s failed: %s\n", name, failed->valuestring);
        }
        if (note) {
            printf("%-20s note: %s\n", name, note->valuestring);
        }
    }
}

/* Runs of another meaning are in no picture. */
static void print_older(zo_results *results)
{
    cJSON *rows = NULL;
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT count(*) AS n FROM report WHERE meaning <> %d", ZO_MEANING);
    if (zo_results_select(results, sql, &rows, NULL) == ZO_OK) {
        double n = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(rows, 0), "n")->valuedouble;
        if (n > 0) {
            fprintf(stderr, "%.0f runs are of an old definition and in no picture; `zo report` has them in a section of their own\n", n);
        }
    }
    cJSON_Delete(rows);
}

int zo_cmd_plot(int argc, char **argv)
{
    const char *db = "results/zo.db";
    zo_plot_spec spec = {.out = "results/plots", .formats = "png,svg,pdf"};
    bool json = false;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db}, {"--out", ZO_ARG_TEXT, &spec.out}, {"--only", ZO_ARG_TEXT, &spec.only},
                            {"--format", ZO_ARG_TEXT, &spec.formats}, {"--size", ZO_ARG_TEXT, &spec.size}, {"--json", ZO_ARG_FLAG, &json}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    if (zo_args_read(argc, argv, table, NULL, 0, 0, NULL, "zo plot [--db FILE] [--out DIR] [--only NAME,NAME] [--format png,svg,pdf] [--size column|text|slide] [--json]", &err) != ZO_OK) {
        fprintf(stderr, "zo plot: %s\n", err.text);
        return 2;
    }
    cJSON *report = NULL;
    zo_results *results;
    zo_status status = zo_results_open_read(&results, db, &err);
    if (status == ZO_OK) {
        spec.db = zo_results_handle(results);
        status = zo_results_views(results, zo_cell_keys(), &err);
        status = status == ZO_OK ? zo_plot(&spec, &report, &err) : status;
        print_older(results);
        zo_results_close(results);
    }
    if (status != ZO_OK) {
        fprintf(stderr, "zo plot: %s\n", err.text);
    }
    if (report && json) {
        zo_output_json(report, true);
    } else if (report) {
        print_report(report);
    }
    int code = status != ZO_OK ? 2 : any_file(report) ? 0 : 1;
    cJSON_Delete(report);
    return code;
}
