/* regress_print.c: see regress_print.h. */
#include "bench/cli/regress_print.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/text.h"

enum { LINE = 4096 }; /* bytes of what a row is of */

static bool is(const cJSON *row, const char *key, const char *text)
{
    return strcmp(zo_json_text(row, key), text) == 0;
}

static bool is_score(const cJSON *row)
{
    return is(row, "figure", "score");
}

/* A mean as people read it: points, ms, MB. */
static void write_value(char *out, size_t size, const cJSON *row, const char *key)
{
    double x = zo_json_number(row, key, NAN);
    bool bytes = is(row, "unit", "bytes");
    out[0] = '\0';
    if (isfinite(x)) {
        snprintf(out, size, is_score(row) ? "%.1f" : "%.4g", is_score(row) ? 100 * x : bytes ? x / 1e6 : x);
    }
}

/* "+10.2 % [+9.8, +10.6]", of scores in points. */
static void write_change(char *out, size_t size, const cJSON *row)
{
    double change = zo_json_number(row, "change", NAN), low = zo_json_number(row, "low", NAN), high = zo_json_number(row, "high", NAN);
    out[0] = '\0';
    if (isfinite(change)) {
        int n = snprintf(out, size, "%+.1f%s", 100 * change, is_score(row) ? "" : " %");
        if (isfinite(low)) {
            snprintf(out + n, size - (size_t)n, " [%+.1f, %+.1f]", 100 * low, 100 * high);
        }
    }
}

/* What a row is of, in a line: model, task, form and method. */
static void write_setting(char *out, size_t size, const cJSON *row)
{
    snprintf(out, size, "%s %s %s %s", zo_json_text(row, "model"), zo_json_text(row, "task"), zo_json_text(row, "form"), zo_json_text(row, "method"));
}

/* One sentence: "mezo cpu: worse, +10.2 % [+9.8, +10.6]; why". */
static void write_finding(char *out, size_t size, const cJSON *row)
{
    char change[100], setting[LINE];
    write_change(change, sizeof change, row);
    write_setting(setting, sizeof setting, row);
    snprintf(out, size, "%s, %s: %s%s%s%s%s", setting, zo_json_text(row, "figure"), zo_json_text(row, "verdict"), change[0] != '\0' ? ", " : "", change,
             zo_json_text(row, "why")[0] != '\0' ? "; " : "", zo_json_text(row, "why"));
}

static cJSON *shown_row(const cJSON *row)
{
    static const char *const words[] = {"model", "task", "form", "method", "figure"};
    char text[100], unit[80];
    cJSON *o = cJSON_CreateObject();
    for (int i = 0; i < 4; i++) {
        cJSON_AddStringToObject(o, words[i], zo_json_text(row, words[i]));
    }
    const char *of = is(row, "unit", "bytes") ? "MB" : is_score(row) ? "%" : zo_json_text(row, "unit");
    snprintf(unit, sizeof unit, "%.50s%s%.10s", zo_json_text(row, "figure"), of[0] != '\0' ? ", " : "", of);
    cJSON_AddStringToObject(o, "figure", unit);
    write_value(text, sizeof text, row, "a");
    cJSON_AddStringToObject(o, "A", text);
    write_value(text, sizeof text, row, "b");
    cJSON_AddStringToObject(o, "B", text);
    write_change(text, sizeof text, row);
    cJSON_AddStringToObject(o, "change", text);
    text[0] = '\0';
    if (is(row, "unit", "ms")) {
        snprintf(text, sizeof text, "%.0f", zo_json_number(row, "pairs", 0));
    }
    cJSON_AddStringToObject(o, "pairs", text);
    cJSON_AddStringToObject(o, "verdict", zo_json_text(row, "verdict"));
    cJSON_AddStringToObject(o, "why", zo_json_text(row, "why"));
    return o;
}

static bool is_shown(const cJSON *row)
{
    static const char *const always[] = {"bits", "score", "cpu", "step", "train peak"};
    bool shown = !is(row, "verdict", "same");
    for (size_t i = 0; i < sizeof always / sizeof *always; i++) {
        shown = shown || is(row, "figure", always[i]);
    }
    return shown;
}

static int count(const cJSON *rows, const zo_regress_rule *rule, const char *verdict)
{
    int n = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        n += verdict != NULL ? is(row, "verdict", verdict) : zo_regress_is_worse(row, rule);
    }
    return n;
}

void zo_regress_print(const cJSON *rows, const zo_regress_rule *rule, const zo_regress_heard *heard, const zo_page *page)
{
    cJSON *shown = cJSON_CreateArray();
    char text[1000];
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        if (is_shown(row)) {
            cJSON_AddItemToArray(shown, shown_row(row));
        }
    }
    zo_page_table(page, shown, false);
    cJSON_Delete(shown);
    zo_regress_verdict overall = zo_regress_overall(rows, rule);
    int worse = count(rows, rule, NULL), all = cJSON_GetArraySize(rows), untold = count(rows, rule, "cannot tell") + count(rows, rule, "unconfirmed");
    snprintf(text, sizeof text, "%s: %d of %d figures worse, %d better, %d cannot be told, %d settings with other bits. A is %.300s, B is %.300s. It took %.0f s.",
             overall == ZO_REGRESS_WORSE ? "A regression" : overall == ZO_REGRESS_UNTOLD ? "Cannot tell" : "Same or better", worse, all, count(rows, rule, "better"), untold, count(rows, rule, "other bits"), heard->name[0], heard->name[1], heard->seconds);
    zo_page_paragraph(page, text);
    for (int i = 0; i < heard->notes; i++) {
        zo_page_paragraph(page, heard->note[i]);
    }
    snprintf(text, sizeof text, "cpu is processor time a step, step and its parts are lower quartiles of wall time; both in ms. A time is worse where its mean ratio is above 1 + %.3g, "
             "Student's t over the pairs says so (p < %.3g by Holm over all times), and a second set of runs does too. Memory is exact: worse from %.3g %% on. "
             "docs/measuring.md says more.", rule->effect, rule->level, 100 * rule->memory);
    zo_page_paragraph(page, text);
}

/* NULL after an error. */
static FILE *junit_begin(const char *path, const char *suite, zo_err *err)
{
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        zo_fail(err, ZO_EIO, "--junit %.300s cannot be written: %s", path, strerror(errno));
        return NULL;
    }
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"", f);
    zo_page_escaped(f, suite);
    return f;
}

static zo_status junit_end(FILE *f, const char *path, zo_err *err)
{
    fputs("  </testsuite>\n</testsuites>\n", f);
    bool bad = ferror(f) != 0;
    return fclose(f) != 0 || bad ? zo_fail(err, ZO_EIO, "--junit %.300s cannot be written: %s", path, strerror(errno)) : ZO_OK;
}

zo_status zo_regress_junit(const cJSON *rows, const zo_regress_rule *rule, const zo_regress_heard *heard, const char *path, zo_err *err)
{
    char text[2 * LINE], setting[LINE];
    FILE *f = junit_begin(path, heard->suite, err);
    if (f == NULL) {
        return ZO_EIO;
    }
    fprintf(f, "\" tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\" time=\"%.1f\">\n", cJSON_GetArraySize(rows), count(rows, rule, NULL),
            count(rows, rule, "cannot tell") + count(rows, rule, "unconfirmed"), heard->seconds);
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        write_setting(setting, sizeof setting, row);
        write_finding(text, sizeof text, row);
        fputs("    <testcase classname=\"", f);
        zo_page_escaped(f, setting);
        fputs("\" name=\"", f);
        zo_page_escaped(f, zo_json_text(row, "figure"));
        const char *kind = zo_regress_is_worse(row, rule) ? "failure" : is(row, "verdict", "cannot tell") || is(row, "verdict", "unconfirmed") ? "skipped" : NULL;
        if (kind == NULL) {
            fputs("\"/>\n", f);
            continue;
        }
        fprintf(f, "\">\n      <%s message=\"", kind);
        zo_page_escaped(f, text);
        fputs("\"/>\n    </testcase>\n", f);
    }
    return junit_end(f, path, err);
}

zo_status zo_regress_junit_error(const char *suite, const char *why, const char *path, zo_err *err)
{
    FILE *f = junit_begin(path, suite, err);
    if (f == NULL) {
        return ZO_EIO;
    }
    fputs("\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n    <testcase classname=\"", f);
    zo_page_escaped(f, suite);
    fputs("\" name=\"comparison\">\n      <error message=\"", f);
    zo_page_escaped(f, why);
    fputs("\"/>\n    </testcase>\n", f);
    return junit_end(f, path, err);
}

/* A workflow command's text: percent signs and line ends are escaped. */
static void put_command(FILE *out, const char *kind, const char *text)
{
    fprintf(out, "::%s title=zo regress::", kind);
    for (const char *at = text; *at != '\0'; at++) {
        if (strchr("%\r\n", *at) != NULL) {
            fprintf(out, "%%%02X", *at);
        } else {
            fputc(*at, out);
        }
    }
    fputc('\n', out);
}

void zo_regress_github(const cJSON *rows, const zo_regress_rule *rule, FILE *out)
{
    char text[2 * LINE];
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        bool worse = zo_regress_is_worse(row, rule);
        write_finding(text, sizeof text, row);
        zo_text_plain(text);
        if (worse || is(row, "verdict", "unconfirmed") || is(row, "verdict", "other bits")) {
            put_command(out, worse ? "error" : "warning", text);
        }
    }
}
