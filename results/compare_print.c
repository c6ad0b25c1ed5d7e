/* compare_print.c: a comparison as tables in markdown; see compare.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "results/compare.h"
#include "results/paper.h"

enum { TEXT_BYTES = 200 };

static void add(cJSON *to, const char *title, const char *format, double x)
{
    char out[TEXT_BYTES] = "";
    if (isfinite(x)) {
        snprintf(out, sizeof out, format, x);
    }
    cJSON_AddStringToObject(to, title, out);
}

static void add_interval(cJSON *to, const char *title, double low, double high)
{
    char out[TEXT_BYTES] = "";
    if (isfinite(low) && isfinite(high)) {
        snprintf(out, sizeof out, "%+.1f to %+.1f", 100 * low, 100 * high);
    }
    cJSON_AddStringToObject(to, title, out);
}

static void add_score(cJSON *to, const cJSON *row)
{
    char out[TEXT_BYTES] = "";
    double n = zo_json_number(row, "n", NAN), marked = zo_json_number(row, "marked", NAN);
    if (isfinite(zo_json_number(row, "score", NAN))) {
        snprintf(out, sizeof out, "%.1f", 100 * zo_json_number(row, "score", NAN));
    }
    if (n > 1) {
        zo_paper_append(out, sizeof out, " ± %.1f (%.0f)", 100 * zo_json_number(row, "score_std", NAN), n);
    }
    if (marked > 0) {
        zo_paper_append(out, sizeof out, ", %.0f marked", marked);
    }
    cJSON_AddStringToObject(to, "score", out);
}

static void add_rates(cJSON *to, const cJSON *row)
{
    char out[TEXT_BYTES] = "";
    double low = zo_json_number(row, "rates_low", NAN), high = zo_json_number(row, "rates_high", NAN), tried = zo_json_number(row, "rates_tried", NAN);
    if (isfinite(low)) {
        bool open = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "rates_open"));
        snprintf(out, sizeof out, "%s%.1f: %.2g to %.2g, of %.0f", open ? "≥ " : "", zo_json_number(row, "rates_decades", NAN), low, high, tried);
    } else if (tried > 0) {
        snprintf(out, sizeof out, "none of %.0f", tried);
    }
    cJSON_AddStringToObject(to, "decades of rates that work", out);
}

static cJSON *method_row(const cJSON *row)
{
    cJSON *o = cJSON_CreateObject();
    char title[TEXT_BYTES], method[500];
    const char *source = zo_json_text(row, "source");
    bool said = source[0] != '\0' && strcmp(source, "paper") != 0;
    snprintf(method, sizeof method, "%.400s%s%s%s", zo_json_text(row, "method"), said ? " (" : "", said ? source : "", said ? ")" : "");
    cJSON_AddStringToObject(o, "method", method);
    add_score(o, row);
    add(o, "difference", "%+.1f", 100 * zo_json_number(row, "difference", NAN));
    add_interval(o, "by seeds", zo_json_number(row, "low", NAN), zo_json_number(row, "high", NAN));
    add_interval(o, "by rows", zo_json_number(row, "rows_low", NAN), zo_json_number(row, "rows_high", NAN));
    add(o, "p", zo_json_number(row, "p_holm", NAN) < 0.001 ? "< 0.001" : "%.3f", zo_json_number(row, "p_holm", NAN));
    add(o, "could be seen", "%.1f", 100 * zo_json_number(row, "detectable", NAN));
    add(o, "lr", "%.2g", zo_json_number(row, "lr", NAN));
    add_rates(o, row);
    add(o, "steps", "%.4g", zo_json_number(row, "steps", NAN));
    add(o, "step ms", cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "step_disturbed")) ? "%.3g*" : "%.3g", zo_json_number(row, "step_ms", NAN));
    snprintf(title, sizeof title, "after %.3g s", zo_json_number(row, "seconds", NAN));
    add(o, title, "%.1f", 100 * zo_json_number(row, "score_at_seconds", NAN));
    add(o, "train MB", "%.4g", zo_json_number(row, "train_peak_bytes", NAN) / 1e6);
    cJSON_AddStringToObject(o, "note", zo_json_text(row, "note"));
    return o;
}

static bool same_frame(const cJSON *a, const cJSON *b)
{
    static const char *const words[] = {"model", "task", "form", "against", "metric"}, *const numbers[] = {"steps_budget", "forwards_budget", "work_budget", "seconds_budget", "seconds"};
    bool same = true;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        same = same && strcmp(zo_json_text(a, words[i]), zo_json_text(b, words[i])) == 0;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        double x = zo_json_number(a, numbers[i], NAN), y = zo_json_number(b, numbers[i], NAN);
        same = same && (x == y || (isnan(x) && isnan(y)));
    }
    return same;
}

static void print_title(const cJSON *row, const zo_page *page)
{
    static const struct { const char *key, *says; } budget[] = {{"work_budget", "work"}, {"forwards_budget", "forwards"}, {"steps_budget", "steps"}, {"seconds_budget", "seconds"}};
    char title[1000];
    snprintf(title, sizeof title, "%.200s, %.200s, %s", zo_json_text(row, "model"), zo_json_text(row, "task"), zo_json_text(row, "form"));
    for (size_t i = 0; i < sizeof budget / sizeof *budget; i++) {
        if (zo_json_number(row, budget[i].key, NAN) > 0) {
            zo_paper_append(title, sizeof title, ", %s %g", budget[i].says, zo_json_number(row, budget[i].key, NAN));
        }
    }
    zo_paper_append(title, sizeof title, ": %s against %.200s", zo_json_text(row, "metric"), zo_json_text(row, "against"));
    zo_page_title(page, 2, title);
}

/* Seeds without a partner, and what a star means. */
static void print_below(const cJSON *rows, int first, int end, const zo_page *page)
{
    char line[1000];
    bool disturbed = false;
    for (int i = first; i < end; i++) {
        const cJSON *row = cJSON_GetArrayItem(rows, i);
        disturbed = disturbed || cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "step_disturbed"));
        if (zo_json_text(row, "missing_seeds")[0] != '\0') {
            snprintf(line, sizeof line, "%.400s lacks a score for seeds %s, so it has %.0f pairs.", zo_json_text(row, "method"),
                     zo_json_text(row, "missing_seeds"), zo_json_number(row, "pairs", NAN));
            zo_page_paragraph(page, line);
        }
    }
    if (disturbed) {
        zo_page_paragraph(page, "* In every run of it other work took processor time: its step is too long, and its score at equal seconds that of too few steps.");
    }
    const cJSON *last = cJSON_GetArrayItem(rows, end - 1);
    snprintf(line, sizeof line, "%.0f tests in this table.", zo_json_number(last, "tests", NAN));
    zo_page_paragraph(page, line);
    zo_page_gap(page);
}

void zo_compare_print(const cJSON *rows, const zo_texts *left, const zo_page *page)
{
    int n = cJSON_GetArraySize(rows);
    for (int first = 0, end; first < n; first = end) {
        cJSON *table = cJSON_CreateArray();
        for (end = first; end < n && same_frame(cJSON_GetArrayItem(rows, first), cJSON_GetArrayItem(rows, end)); end++) {
            cJSON_AddItemToArray(table, method_row(cJSON_GetArrayItem(rows, end)));
        }
        print_title(cJSON_GetArrayItem(rows, first), page);
        zo_page_table(page, table, false);
        print_below(rows, first, end, page);
        cJSON_Delete(table);
    }
    for (int i = 0; i < left->n; i++) {
        zo_page_paragraph(page, left->text[i]);
    }
    char line[1500];
    snprintf(line, sizeof line,
             "Score: mean ± standard deviation over (n) seeds, in %%, marked runs among them. Difference: mean of the differences of one seed: same data, head, batch "
             "order and test rows. By seeds: Student's %.0f %% interval of that. By rows: the same seeds over test rows drawn again (%d times), of accuracy. p: "
             "two-sided, by Holm over the tests of the table. Could be seen: the difference that is found with probability %.0f %% at level %g / tests, which is "
             "Holm's first. Rates that work take off at least half of the dev loss that the best takes off, and carry no mark; ≥: up to the last one tried. Step: "
             "the median of the quietest run. After as many seconds as the quickest method has of training: what was selected by then. Under %d steps "
             "there is no test.",
             100 * ZO_COMPARE_COVER, ZO_COMPARE_SAMPLES, 100 * ZO_COMPARE_POWER, ZO_COMPARE_LEVEL, ZO_COMPARE_LEAST);
    zo_page_paragraph(page, line);
}

zo_status zo_report_against(zo_results *results, const zo_report_spec *spec, zo_table_format format, FILE *out, zo_err *err)
{
    zo_texts left = {0};
    cJSON *rows;
    zo_status status = zo_compare(results, spec, &rows, &left, err);
    if (status == ZO_OK && (format == ZO_TABLE_MD || format == ZO_TABLE_LATEX || format == ZO_TABLE_HTML)) {
        zo_compare_print(rows, &left, &(zo_page){.out = out, .as = format, .terminal = spec->terminal});
    } else if (status == ZO_OK) {
        zo_table_print(out, rows, format, spec->terminal);
        for (int i = 0; i < left.n; i++) {
            fprintf(stderr, "zo report: %s\n", left.text[i]);
        }
    }
    cJSON_Delete(status == ZO_OK ? rows : NULL);
    zo_texts_free(&left);
    return status;
}
