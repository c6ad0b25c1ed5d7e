/* cmd_report.c: `zo report` and `zo sql`: the database as tables. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/html.h"
#include "core/mem.h"
#include "core/text.h"
#include "optimizers/estimator.h"
#include "results/report.h"
#include "results/views.h"

static int fail(const char *command, const zo_err *err)
{
    fprintf(stderr, "zo %s: %s\n", command, err->text);
    return 2;
}

/* A report of all that `spec` leaves, and of those runs alone that are not older than a revision (NULL = any): *condition is spec->where then, and the caller's to free. */
static zo_status keep_since(zo_results *results, zo_report_spec *spec, const char *since, char **condition, zo_err *err)
{
    zo_status status = since != NULL ? zo_results_since(results, since, spec->where, condition, err) : ZO_OK;
    spec->where = *condition != NULL ? *condition : spec->where;
    return status;
}

/* Once, or every so many seconds until a signal ends it; what cannot be read meanwhile ends it too. */
static int write_html(const zo_report_spec *asked, const char *db, const char *times, const char *since, const char *html, int64_t every)
{
    for (bool first = true; first || every > 0; first = false) {
        zo_err err = {0};
        zo_results *results = NULL;
        if (!first) {
            sleep((unsigned)every);
        }
        zo_report_spec spec = *asked;
        char *condition = NULL;
        zo_status status = zo_results_open_read(&results, db, &err);
        status = status == ZO_OK && times != NULL ? zo_results_open_read(&spec.times, times, &err) : status;
        status = status == ZO_OK ? keep_since(results, &spec, since, &condition, &err) : status;
        status = status == ZO_OK ? zo_html_write(results, &spec, db, html, every, &err) : status;
        zo_results_close(results);
        zo_results_close(spec.times);
        zo_free(condition);
        if (status != ZO_OK) {
            return fail("report", &err);
        }
        if (first) {
            fprintf(stderr, "%s is written%s\n", html, every > 0 ? ", and again and again until this program is ended" : "");
        }
    }
    return 0;
}

int zo_cmd_report(int argc, char **argv)
{
    const char *db = "results/zo.db", *format = NULL, *group = NULL, *times = NULL, *html = NULL, *since = NULL;
    int64_t every = 0;
    bool json = false;
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task", .source = zo_source_named, .terminal = zo_terminal_columns(STDOUT_FILENO)};
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db},
                            {"--format", ZO_ARG_TEXT, &format},
                            {"--json", ZO_ARG_FLAG, &json},
                            {"--group", ZO_ARG_TEXT, &group},
                            {"--best", ZO_ARG_TEXT, &spec.best},
                            {"--by", ZO_ARG_TEXT, &spec.columns},
                            {"--metric", ZO_ARG_TEXT, &spec.metric},
                            {"--against", ZO_ARG_TEXT, &spec.against},
                            {"--times", ZO_ARG_TEXT, &times},
                            {"--where", ZO_ARG_TEXT, &spec.where},
                            {"--since", ZO_ARG_TEXT, &since},
                            {"--html", ZO_ARG_TEXT, &html},
                            {"--every", ZO_ARG_INT, &every},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_table_format as = ZO_TABLE_MD;
    if (zo_args_read(argc, argv, table, NULL, 0, 0, NULL, "zo report [--db FILE] [--format md|csv|json|latex] [--group seed] [--best lr] [--against METHOD [--times FILE]] [--since REV] [--html FILE [--every SECONDS]]", &err) ||
        zo_table_format_of(format != NULL ? format : json ? "json" : "md", &as, &err)) {
        return fail("report", &err);
    }
    if (group != NULL && strcmp(group, "seed") != 0) {
        zo_fail(&err, ZO_EINPUT, "--group is \"%.40s\"; expected seed", group);
        return fail("report", &err);
    }
    if ((spec.against != NULL && group != NULL) || (spec.against == NULL && times != NULL)) {
        zo_fail(&err, ZO_EINPUT, spec.against != NULL ? "--group: a row of --against is a mean over seeds already" : "--times is for --against METHOD");
        return fail("report", &err);
    }
    if (html != NULL ? format != NULL || json || group != NULL : every > 0) {
        zo_fail(&err, ZO_EINPUT, html != NULL ? "--html is a format of its own, for the report of methods by tasks; leave --format, --json and --group out"
                                              : "--every is for --html FILE, which is written again and again");
        return fail("report", &err);
    }
    spec.by_seed_group = group != NULL;
    if (html != NULL) {
        return write_html(&spec, db, times, since, html, every);
    }
    zo_results *results;
    if (zo_results_open_read(&results, db, &err) != ZO_OK) {
        return fail("report", &err);
    }
    zo_status status = times != NULL ? zo_results_open_read(&spec.times, times, &err) : ZO_OK;
    if (status != ZO_OK) {
        zo_results_close(results);
        return fail("report", &err);
    }
    char *condition = NULL;
    status = keep_since(results, &spec, since, &condition, &err);
    if (status != ZO_OK) {
    } else if (spec.against != NULL) {
        status = zo_report_against(results, &spec, as, stdout, &err);
    } else if ((as == ZO_TABLE_MD || as == ZO_TABLE_LATEX) && group == NULL) {
        spec.as = as;
        status = zo_report_paper(results, &spec, stdout, &err);
    } else {
        cJSON *rows;
        status = zo_report_rows(results, &spec, &rows, &err);
        if (status == ZO_OK) {
            zo_table_print(stdout, rows, as, zo_terminal_columns(STDOUT_FILENO));
            cJSON_Delete(rows);
        }
    }
    zo_free(condition);
    zo_results_close(results);
    zo_results_close(spec.times);
    return status == ZO_OK ? 0 : fail("report", &err);
}

int zo_cmd_sql(int argc, char **argv)
{
    const char *db = "results/zo.db", *format = NULL, *sql;
    bool json = false;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db},
                            {"--format", ZO_ARG_TEXT, &format},
                            {"--json", ZO_ARG_FLAG, &json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_table_format as = ZO_TABLE_MD;
    zo_results *results;
    if (zo_args_read(argc, argv, table, &sql, 1, 1, NULL, "zo sql --db FILE \"SELECT ...\" [--format md|csv|json|latex]", &err) ||
        zo_table_format_of(format != NULL ? format : json ? "json" : "md", &as, &err) || zo_results_open_read(&results, db, &err)) {
        return fail("sql", &err);
    }
    cJSON *rows;
    zo_status status = zo_results_select_views(results, zo_cell_keys(), sql, &rows, &err);
    if (status == ZO_OK) {
        zo_table_print(stdout, rows, as, zo_terminal_columns(STDOUT_FILENO));
        cJSON_Delete(rows);
    }
    zo_results_close(results);
    return status == ZO_OK ? 0 : fail("sql", &err);
}
