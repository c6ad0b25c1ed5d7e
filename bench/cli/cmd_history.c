/* cmd_history.c: `zo history`: a figure over the revisions of a database. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/history_plot.h"
#include "core/conf.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/history.h"
#include "results/page.h"
#include "results/report.h"

static const char USAGE[] = "zo history METRIC [--db FILE] [--where SQL] [--since REV] [--disturbed] [--plot FILE] [--format md|csv|json|latex | --json]";

enum { CHART = 40 }; /* columns */

/* From `least` to `most`: "    --o--:  ", the band, the median, and the level. */
static void draw_chart(char out[CHART + 1], const cJSON *row, double least, double most)
{
    static const char *const keys[] = {"low", "high", "level", "value"};
    int at[4];
    memset(out, ' ', CHART);
    out[CHART] = '\0';
    for (int i = 0; i < 4; i++) {
        double x = zo_json_number(row, keys[i], NAN);
        if (!isfinite(x)) {
            return;
        }
        at[i] = most > least ? (int)lround((x - least) / (most - least) * (CHART - 1)) : CHART / 2;
        at[i] = at[i] < 0 ? 0 : at[i] >= CHART ? CHART - 1 : at[i];
    }
    memset(out + at[0], '-', (size_t)(at[1] - at[0] + 1));
    out[at[2]] = ':';
    out[at[3]] = 'o';
}

static cJSON *shown_row(const cJSON *row, double least, double most)
{
    static const char *const numbers[] = {"value", "low", "high"};
    char text[100], chart[CHART + 1];
    cJSON *o = cJSON_CreateObject();
    snprintf(text, sizeof text, "%.12s", zo_json_text(row, "revision"));
    cJSON_AddStringToObject(o, "revision", text);
    snprintf(text, sizeof text, "%.10s", zo_json_text(row, "began"));
    cJSON_AddStringToObject(o, "first run", text);
    cJSON_AddNumberToObject(o, "n", zo_json_number(row, "n", 0));
    for (int i = 0; i < 3; i++) {
        double x = zo_json_number(row, numbers[i], NAN);
        snprintf(text, sizeof text, isfinite(x) ? "%.5g" : "", x);
        cJSON_AddStringToObject(o, numbers[i], text);
    }
    draw_chart(chart, row, least, most);
    cJSON_AddStringToObject(o, "----- low, median, level and high", chart);
    double step = zo_json_number(row, "step", NAN), rise = zo_json_number(row, "rise", NAN), disturbed = zo_json_number(row, "disturbed", 0);
    text[0] = '\0';
    if (isfinite(step)) {
        snprintf(text, sizeof text, "step: %+.1f %%", 100 * step);
    } else if (isfinite(rise)) { /* from a level of 0 or less, of which there is no share */
        snprintf(text, sizeof text, "step: %+.4g", rise);
    } else if (disturbed > 0) {
        snprintf(text, sizeof text, "%.0f disturbed", disturbed);
    }
    cJSON_AddStringToObject(o, "note", text);
    return o;
}

/* A table a series. */
static void print(const cJSON *rows, const char *metric, const zo_page *page)
{
    char text[700];
    for (const cJSON *first = rows->child, *row; first != NULL; first = row) {
        double least = INFINITY, most = -INFINITY;
        for (row = first; row == first || zo_history_same_series(first, row); row = row->next) {
            least = fmin(least, zo_json_number(row, "low", least));
            most = fmax(most, zo_json_number(row, "high", most));
        }
        const cJSON *end = row;
        cJSON *shown = cJSON_CreateArray();
        for (row = first; row != end; row = row->next) {
            cJSON_AddItemToArray(shown, shown_row(row, least, most));
        }
        zo_history_title(first, text, sizeof text - 100);
        snprintf(text + strlen(text), sizeof text - strlen(text), ": %.60s", metric);
        zo_page_title(page, 2, text);
        zo_page_table(page, shown, false);
        cJSON_Delete(shown);
    }
    zo_page_paragraph(page, "A row is a revision, in the order in which they first ran: the median o of all its runs and seeds, the quartiles at the ends of ---, and the level : "
                      "between two steps. A step is where a piecewise constant fit is better with it, by more than it costs (results/statistics.h); it wants two points.");
}

static bool has_values(const cJSON *rows)
{
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        if (isfinite(zo_json_number(row, "value", NAN))) {
            return true;
        }
    }
    return false;
}

static int fail(const zo_err *err)
{
    fprintf(stderr, "zo history: %s\n", err->text);
    return 2;
}

int zo_cmd_history(int argc, char **argv)
{
    const char *db = "results/zo.db", *format = "md", *plot = NULL, *since = NULL;
    bool json = false;
    zo_history_spec spec = {.keys = zo_cell_keys()};
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db}, {"--where", ZO_ARG_TEXT, &spec.where}, {"--since", ZO_ARG_TEXT, &since}, {"--disturbed", ZO_ARG_FLAG, &spec.disturbed}, {"--plot", ZO_ARG_TEXT, &plot},
                            {"--format", ZO_ARG_TEXT, &format}, {"--json", ZO_ARG_FLAG, &json}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_table_format as = ZO_TABLE_MD;
    zo_results *results;
    cJSON *rows = NULL;
    if (zo_args_read(argc, argv, table, &spec.metric, 1, 1, NULL, USAGE, &err) || zo_table_format_of(json ? "json" : format, &as, &err) ||
        zo_results_open_read(&results, db, &err)) {
        return fail(&err);
    }
    char *condition = NULL;
    zo_status status = since != NULL ? zo_results_since(results, since, spec.where, &condition, &err) : ZO_OK;
    spec.where = condition != NULL ? condition : spec.where;
    status = status != ZO_OK ? status : zo_history(results, &spec, &rows, &err);
    zo_results_close(results);
    zo_free(condition);
    if (status == ZO_OK && plot != NULL && !has_values(rows)) {
        status = zo_fail(&err, ZO_EINPUT, "%s cannot be drawn: other work disturbed all runs that have %.60s; --disturbed counts them too", plot, spec.metric);
    }
    status = status == ZO_OK && plot != NULL ? zo_history_draw(rows, spec.metric, plot, &err) : status;
    if (status != ZO_OK) {
        cJSON_Delete(rows);
        return fail(&err);
    }
    int columns = zo_terminal_columns(STDOUT_FILENO);
    if (as == ZO_TABLE_MD || as == ZO_TABLE_LATEX) {
        print(rows, spec.metric, &(zo_page){.out = stdout, .as = as, .terminal = columns});
    } else {
        zo_table_print(stdout, rows, as, columns);
    }
    cJSON_Delete(rows);
    return 0;
}
