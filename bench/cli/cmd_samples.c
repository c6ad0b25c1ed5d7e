/* cmd_samples.c: `zo samples`: what came of single examples in a run that kept them (zo run --samples). */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"
#include "results/views.h"

typedef struct samples_args {
    const char *run, *db, *rows, *step, *format;
    bool wrong, json;
} samples_args;

static zo_status select_samples(zo_results *results, const samples_args *a, int64_t run, cJSON **rows, zo_err *err)
{
    char sql[800], step[100], split[40] = "";
    snprintf(step, sizeof step, "(SELECT best_step FROM tries WHERE run = %lld)", (long long)run);
    if (a->rows != NULL) {
        snprintf(split, sizeof split, " AND split = '%s'", a->rows);
    }
    snprintf(sql, sizeof sql, "SELECT split, step, row, correct, label, choice, loss, scores, source, text FROM samples WHERE run = %lld AND step = %s%s%s ORDER BY split, row",
             (long long)run, a->step != NULL ? a->step : step, split, a->wrong ? " AND correct = 0" : "");
    zo_status status = zo_results_select_views(results, zo_cell_keys(), sql, rows, err);
    if (status != ZO_OK || cJSON_GetArraySize(*rows) > 0) {
        return status;
    }
    if (a->wrong) { /* was nothing wrong, or nothing kept? */
        samples_args all = *a;
        cJSON *kept;
        all.wrong = false;
        status = select_samples(results, &all, run, &kept, err);
        cJSON_Delete(kept);
        return status;
    }
    cJSON_Delete(*rows);
    *rows = NULL;
    return zo_fail(err, ZO_EINPUT, "run %s kept no samples%s; `zo run` with its config, --redo and --samples keeps them", a->run,
                   a->step != NULL || a->rows != NULL ? " of that evaluation" : "");
}

int zo_cmd_samples(int argc, char **argv)
{
    samples_args a = {.db = "results/zo.db"};
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &a.db},
                            {"--rows", ZO_ARG_TEXT, &a.rows},
                            {"--step", ZO_ARG_TEXT, &a.step},
                            {"--wrong", ZO_ARG_FLAG, &a.wrong},
                            {"--format", ZO_ARG_TEXT, &a.format},
                            {"--json", ZO_ARG_FLAG, &a.json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_table_format as = ZO_TABLE_MD;
    zo_results *results = NULL;
    zo_run_facts facts = {0};
    cJSON *rows = NULL;
    zo_status status = zo_args_read(argc, argv, table, &a.run, 1, 1, NULL,
                                    "zo samples RUN [--rows dev|test] [--step N] [--wrong] [--db FILE] [--format md|csv|json|latex | --json]", &err);
    status = status == ZO_OK ? zo_table_format_of(a.format != NULL ? a.format : a.json ? "json" : "md", &as, &err) : status;
    if (status == ZO_OK && a.rows != NULL && strcmp(a.rows, "dev") != 0 && strcmp(a.rows, "test") != 0) {
        status = zo_fail(&err, ZO_EINPUT, "--rows is \"%.40s\"; expected dev or test", a.rows);
    }
    if (status == ZO_OK && a.step != NULL && (a.step[0] == '\0' || strlen(a.step) > 15 || strspn(a.step, "0123456789") != strlen(a.step))) {
        status = zo_fail(&err, ZO_EINPUT, "--step is \"%.40s\"; expected the step of an evaluation, a number from 0 on", a.step);
    }
    status = status == ZO_OK ? zo_results_open_read(&results, a.db, &err) : status;
    status = status == ZO_OK ? zo_results_facts(results, a.run, &facts, &err) : status;
    status = status == ZO_OK ? select_samples(results, &a, facts.run, &rows, &err) : status;
    if (status == ZO_OK) {
        zo_table_print(stdout, rows, as, zo_terminal_columns(STDOUT_FILENO));
    } else {
        fprintf(stderr, "zo samples: %s\n", err.text);
    }
    cJSON_Delete(rows);
    zo_free(facts.config);
    zo_results_close(results);
    return status == ZO_OK ? 0 : 2;
}
