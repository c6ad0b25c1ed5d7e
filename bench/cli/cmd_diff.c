/* cmd_diff.c: `zo diff`: two databases, or two revisions or hosts of one, cell by cell. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "core/conf.h"
#include "core/io.h"
#include "core/text.h"
#include "results/diff.h"
#include "results/page.h"

static const char USAGE[] = "zo diff A B [--db FILE] [--by revision|binary|host|device|compiler|kernel] [--format md|csv|json|latex]";

static const char *const columns[] = {"revision", "binary", "host", "device", "compiler", "kernel"}; /* of the view all_runs */

/* "6.72 -> 6.9" */
static void add_sides(cJSON *to, const char *title, const cJSON *row, const char *key, double times, const char *format)
{
    char other[60], a[40], text[100] = "";
    snprintf(other, sizeof other, "%s_b", key);
    if (isfinite(zo_json_number(row, key, NAN))) {
        snprintf(a, sizeof a, format, times * zo_json_number(row, key, NAN));
        snprintf(other, sizeof other, format, times * zo_json_number(row, other, NAN));
        snprintf(text, sizeof text, strcmp(a, other) == 0 ? "%s" : "%s → %s", a, other);
    }
    cJSON_AddStringToObject(to, title, text);
}

/* The change with its interval: "+1.2 [-0.3, +2.7]", a ratio as percent. */
static void add_change(cJSON *to, const char *title, const cJSON *row, const char *key, bool ratio)
{
    char low[60], high[60], text[100] = "";
    snprintf(low, sizeof low, "%s_low", key);
    snprintf(high, sizeof high, "%s_high", key);
    double less = ratio ? 1 : 0;
    const char *unit = ratio ? " %" : "";
    if (isfinite(zo_json_number(row, key, NAN))) {
        int n = snprintf(text, sizeof text, "%+.1f%s", 100 * (zo_json_number(row, key, NAN) - less), unit);
        if (isfinite(zo_json_number(row, low, NAN))) {
            snprintf(text + n, sizeof text - (size_t)n, " [%+.1f, %+.1f]", 100 * (zo_json_number(row, low, NAN) - less), 100 * (zo_json_number(row, high, NAN) - less));
        }
    }
    cJSON_AddStringToObject(to, title, text);
}

static void add_largest(cJSON *to, const char *title, const cJSON *row, const char *name, const char *change)
{
    char text[100] = "";
    if (zo_json_text(row, name)[0] != '\0') {
        snprintf(text, sizeof text, "%.40s %+.3g", zo_json_text(row, name), zo_json_number(row, change, NAN));
    }
    cJSON_AddStringToObject(to, title, text);
}

static cJSON *shown_row(const cJSON *row)
{
    static const char *const words[] = {"model", "task", "form", "method"};
    char text[80];
    cJSON *o = cJSON_CreateObject();
    for (int i = 0; i < 4; i++) {
        cJSON_AddStringToObject(o, words[i], zo_json_text(row, words[i]));
    }
    cJSON_AddNumberToObject(o, "pairs", zo_json_number(row, "pairs", NAN));
    snprintf(text, sizeof text, "same");
    if (zo_json_number(row, "unequal", NAN) > 0) {
        snprintf(text, sizeof text, "%.0f differ, from step %.0f", zo_json_number(row, "unequal", NAN), zo_json_number(row, "first", NAN));
    }
    cJSON_AddStringToObject(o, "losses", text);
    add_sides(o, "score", row, "score", 100, "%.1f");
    add_change(o, "points", row, "score_difference", false);
    add_sides(o, "step ms", row, "step_ms", 1, "%.3g");
    add_change(o, "time", row, "step_ratio", true);
    add_largest(o, "most of it, ms", row, "part", "part_ms");
    add_sides(o, "train MB", row, "train_mb", 1, "%.4g");
    add_change(o, "memory", row, "memory_ratio", true);
    add_largest(o, "most of it, MB", row, "tag", "tag_mb");
    add_change(o, "work to target", row, "work_ratio", true);
    double loud = zo_json_number(row, "pairs", NAN) - zo_json_number(row, "quiet", NAN);
    snprintf(text, sizeof text, "%s%.60s", zo_json_text(row, "outcome")[0] != '\0' ? "ended " : "", zo_json_text(row, "outcome"));
    if (loud > 0) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%stimes of %.0f pairs", text[0] != '\0' ? "; " : "", zo_json_number(row, "quiet", NAN));
    }
    cJSON_AddStringToObject(o, "note", text);
    return o;
}

static void print(const cJSON *rows, const zo_diff_left *left, const zo_pair_side side[2], const zo_page *page)
{
    cJSON *shown = cJSON_CreateArray();
    char text[600];
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        cJSON_AddItemToArray(shown, shown_row(row));
    }
    zo_page_table(page, shown, false);
    cJSON_Delete(shown);
    snprintf(text, sizeof text, "A is %.200s, B is %.200s. %lld cells of A alone and %lld of B alone stand in no row; %lld pairs ended otherwise.", side[0].name, side[1].name,
             (long long)left->alone[0], (long long)left->alone[1], (long long)left->outcome);
    zo_page_paragraph(page, text);
    zo_page_paragraph(page, "A pair is a run of each side of one cell: same config, seed, model, data and definitions. Losses: every logged loss, projected gradient and "
                      "evaluation, bit for bit. In brackets Student's 95 % interval over the pairs. Times: medians of steps, of pairs that nothing disturbed. Work to "
                      "target: until the dev metric was as good as the best of the side where that is worse.");
}

static int fail(const zo_err *err)
{
    fprintf(stderr, "zo diff: %s\n", err->text);
    return 2;
}

int zo_cmd_diff(int argc, char **argv)
{
    const char *db = NULL, *by = NULL, *format = "md", *name[2];
    bool json = false, known = false;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db}, {"--by", ZO_ARG_TEXT, &by}, {"--format", ZO_ARG_TEXT, &format}, {"--json", ZO_ARG_FLAG, &json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_table_format as = ZO_TABLE_MD;
    if (zo_args_read(argc, argv, table, name, 2, 2, NULL, USAGE, &err) || zo_table_format_of(json ? "json" : format, &as, &err)) {
        return fail(&err);
    }
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) {
        known = known || (by != NULL && strcmp(by, columns[i]) == 0);
    }
    if (by != NULL && !known) {
        zo_fail(&err, ZO_EINPUT, "--by is \"%.40s\"; expected revision, binary, host, device, compiler or kernel", by);
        return fail(&err);
    }
    bool there[2] = {zo_path_exists(name[0]), zo_path_exists(name[1])}, files = by == NULL && db == NULL && there[0] && there[1];
    if (by == NULL && db == NULL && there[0] != there[1]) {
        zo_fail(&err, ZO_EINPUT, "%.400s: there is no such file, and %.400s is one; give two databases, or --db FILE and two revisions", name[there[0]], name[there[1]]);
        return fail(&err);
    }
    if (name[0][0] == '\0' || name[1][0] == '\0') {
        zo_fail(&err, ZO_EINPUT, "a side is an empty text; expected a database, or what a %s begins with", by != NULL ? by : columns[0]);
        return fail(&err);
    }
    db = db != NULL ? db : "results/zo.db";
    zo_pair_side side[2];
    zo_status status = ZO_OK;
    int opened = 0;
    for (int k = 0; k < 2 && status == ZO_OK; k++) {
        side[k] = (zo_pair_side){.column = files ? NULL : by != NULL ? by : columns[0], .value = name[k], .name = name[k]};
        status = zo_results_open_read(&side[k].results, files ? name[k] : db, &err);
        opened += status == ZO_OK;
    }
    cJSON *rows = NULL;
    zo_diff_left left;
    status = status == ZO_OK ? zo_diff(side, zo_cell_keys(), &rows, &left, &err) : status;
    for (int k = 0; k < opened; k++) {
        zo_results_close(side[k].results);
    }
    if (status != ZO_OK) {
        return fail(&err);
    }
    if (as == ZO_TABLE_MD || as == ZO_TABLE_LATEX) {
        print(rows, &left, side, &(zo_page){.out = stdout, .as = as, .terminal = zo_terminal_columns(STDOUT_FILENO)});
    } else {
        zo_table_print(stdout, rows, as, zo_terminal_columns(STDOUT_FILENO));
    }
    cJSON_Delete(rows);
    return 0;
}
