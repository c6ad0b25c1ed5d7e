/* html.c: see html.h. */
#include "bench/cli/html.h"

#include <cjson/cJSON.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/build.h"
#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "plots/plot.h"
#include "results/page.h"
#include "results/views.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>zo report</title>\n<style>\n"
    "body { font: 15px/1.5 system-ui, sans-serif; max-width: 1200px; margin: 0 auto; padding: 0 12px 40px; color: #1b1b1b; background: #fff; }\n"
    "h1 { font-size: 1.6em; } h2 { font-size: 1.25em; margin-top: 2em; border-bottom: 1px solid #ccc; } h3 { font-size: 1.05em; }\n"
    ".table { overflow-x: auto; margin: 0.9em 0; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9em; }\n"
    "th, td { text-align: left; padding: 2px 10px; border-bottom: 1px solid #e2e2e2; white-space: nowrap; } th { border-bottom: 2px solid #888; }\n"
    "td.n, th.n { text-align: right; } tr:hover td { background: #f0f4fa; }\n"
    "figure { margin: 1.5em 0; } figure object { width: 100%; max-width: 960px; background: #fff; } figcaption { color: #555; }\n"
    "pre { overflow-x: auto; background: #f6f6f6; padding: 8px; font-size: 0.85em; }\n"
    "@media (prefers-color-scheme: dark) { body { color: #e4e4e4; background: #16181c; } h2 { border-color: #444; } th, td { border-color: #333; }\n"
    "  tr:hover td { background: #23272e; } pre { background: #1f2228; } figcaption { color: #aaa; } }\n"
    "</style>\n";

/* ---- tables that are one SELECT each ------------------------------------------------------------------------------------- */

typedef struct section { const char *title, *sql, *says; } section; /* says: above the table */

static const section running = {
    "Running now",
    "SELECT t.began, c.model, c.task, c.optimizer, c.seed, (SELECT max(step) FROM steps s WHERE s.run = t.run) AS step, c.steps_budget AS of_steps, "
    "round((SELECT work FROM steps s WHERE s.run = t.run ORDER BY step DESC LIMIT 1), 1) AS work, c.work_budget AS of_work, "
    "(SELECT loss FROM steps s WHERE s.run = t.run ORDER BY step DESC LIMIT 1) AS loss FROM tries t JOIN cells c USING (cell) WHERE t.status = 'running' ORDER BY t.run",
    "A budget of 0 is none. A run whose process was killed stands here until the next zo run."};

static const section below[] = {
    {"What did not end well",
     "SELECT model, task, optimizer, optimizer_options AS options, lr, batch, context, seed, status, marks, message FROM runs WHERE status NOT IN ('done', 'running') "
     "OR marks <> '' ORDER BY run",
     "diverged, dead, oom, time and unsupported are results. failed and killed cells are run again by the next zo run."},
    {"Disturbed times",
     "SELECT model, task, optimizer, batch, context, count(*) AS runs, round(max(foreign_seconds / nullif(train_seconds + eval_seconds, 0)), 2) AS others_share, "
     "round(max(load_average), 1) AS load FROM runs WHERE disturbed = 1 GROUP BY 1, 2, 3, 4, 5 ORDER BY min(run)",
     "Other work took more than a tenth of the processors while these ran. Their times are too long; nothing else is."},
    {"Notes", "SELECT DISTINCT model, task, note FROM runs WHERE note <> '' ORDER BY 1, 2, 3", "Of datasets and models."},
    {"Where and by what",
     "SELECT revision, host, device, threads, compiler, flags, kernel, promise, count(*) AS runs, min(began) AS first, max(ended) AS last FROM all_runs "
     "GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY first",
     "promise bits: another run has the same figures in every bit on this kind of processor. pass: the same where the passes are the same."}};

/* Nothing at all where there are no rows. */
static zo_status print_section(const zo_page *page, zo_results *results, const section *s, zo_err *err)
{
    cJSON *rows;
    zo_status status = zo_results_select(results, s->sql, &rows, err);
    if (status != ZO_OK) {
        return status;
    }
    if (rows->child != NULL) {
        zo_page_title(page, 2, s->title);
        zo_page_paragraph(page, s->says);
        zo_page_table(page, rows, false);
    }
    cJSON_Delete(rows);
    return ZO_OK;
}

static zo_status print_configs(const zo_page *page, zo_results *results, zo_err *err)
{
    cJSON *rows;
    zo_status status = zo_results_select(results, "SELECT json_remove(config, '$.seed') AS config, model, task, optimizer, group_concat(DISTINCT seed) AS seeds FROM runs "
                                         "GROUP BY 1 ORDER BY min(run)", &rows, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_page_title(page, 2, "Configs");
    zo_page_paragraph(page, "Every key of every setting, defaults filled in. zo run reads them as they are.");
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        static const char *const words[] = {"model", "task", "optimizer", "seeds"};
        fputs("<details><summary>", page->out);
        for (int i = 0; i < 4; i++) {
            const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, words[i]);
            fputs(i == 0 ? "" : i == 3 ? ", seeds " : " ", page->out);
            zo_page_escaped(page->out, cJSON_IsString(v) ? v->valuestring : "");
        }
        fputs("</summary><pre>", page->out);
        cJSON *config = cJSON_Parse(cJSON_GetObjectItemCaseSensitive(row, "config")->valuestring);
        char *text = config != NULL ? cJSON_Print(config) : NULL;
        for (char *line = text, *end; line != NULL; line = end) { /* escaped texts have no line ends */
            end = strchr(line, '\n');
            if (end != NULL) {
                *end++ = '\0';
            }
            zo_page_escaped(page->out, line);
            fputc('\n', page->out);
        }
        fputs("</pre></details>\n", page->out);
        cJSON_free(text);
        cJSON_Delete(config);
    }
    cJSON_Delete(rows);
    return ZO_OK;
}

/* ---- pictures ------------------------------------------------------------------------------------------------------------ */

static void print_base64(FILE *out, const unsigned char *data, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned three = (unsigned)data[i] << 16 | (i + 1 < n ? (unsigned)data[i + 1] << 8 : 0) | (i + 2 < n ? data[i + 2] : 0);
        fputc(digit[three >> 18], out);
        fputc(digit[three >> 12 & 63], out);
        fputc(i + 1 < n ? digit[three >> 6 & 63] : '=', out);
        fputc(i + 2 < n ? digit[three & 63] : '=', out);
    }
}

/* Curves get thicker under the pointer, and have their names as titles from the scripts. As a document of its own, so that no two pictures share names. */
static zo_status print_picture(const zo_page *page, const char *file, const char *title, const char *note, zo_err *err)
{
    static const char style[] = "<style>g[id^='gnuplot_plot_']:hover { stroke-width: 4px; } g[id^='gnuplot_plot_']:hover path { stroke-width: 4px; }</style>";
    char *svg;
    size_t n;
    zo_status status = zo_read_file(file, 1 << 26, &svg, &n, err);
    if (status != ZO_OK) {
        return status;
    }
    const char *root = strstr(svg, "<svg"), *inside = root != NULL ? strchr(root, '>') : NULL;
    if (inside == NULL) {
        status = zo_fail(err, ZO_EIO, "%s: is no SVG picture", file);
        zo_free(svg);
        return status;
    }
    size_t before = (size_t)(inside + 1 - svg);
    char *styled = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n + sizeof style);
    memcpy(styled, svg, before);
    memcpy(styled + before, style, sizeof style - 1);
    memcpy(styled + before + sizeof style - 1, svg + before, n - before);
    fputs("<figure><object type=\"image/svg+xml\" data=\"data:image/svg+xml;base64,", page->out);
    print_base64(page->out, (const unsigned char *)styled, n + sizeof style - 1);
    fputs("\">", page->out);
    zo_page_escaped(page->out, title);
    fputs("</object><figcaption>", page->out);
    zo_page_escaped(page->out, note);
    fputs("</figcaption></figure>\n", page->out);
    zo_free(styled);
    zo_free(svg);
    return ZO_OK;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

static zo_status print_pictures(const zo_page *page, zo_results *results, const zo_opt *keys, zo_err *err)
{
    const char *tmp = getenv("TMPDIR");
    char folder[4096];
    cJSON *drawn = NULL;
    zo_err why = {0};
    snprintf(folder, sizeof folder, "%s/zo-report-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return zo_fail(err, ZO_EIO, "%s: no folder for pictures can be made there; set TMPDIR to one that you may write to", folder);
    }
    zo_page_title(page, 2, "Pictures");
    zo_plot_spec spec = {.db = zo_results_handle(results), .out = folder, .formats = "svg"};
    zo_status status = zo_results_views(results, keys, err);
    zo_status plotted = status == ZO_OK ? zo_plot(&spec, &drawn, &why) : ZO_OK;
    if (plotted != ZO_OK && drawn == NULL) {
        zo_page_paragraph(page, why.text);
    }
    for (const cJSON *entry = drawn != NULL ? drawn->child : NULL; entry != NULL && status == ZO_OK; entry = entry->next) {
        const cJSON *file = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(entry, "files"), 0);
        if (file != NULL) {
            status = print_picture(page, file->valuestring, zo_json_text(entry, "title"), zo_json_text(entry, "note"), err);
        }
    }
    bool any = false;
    for (const cJSON *entry = drawn != NULL ? drawn->child : NULL; entry != NULL && status == ZO_OK; entry = entry->next) {
        const char *skipped = zo_json_text(entry, "skipped"), *failed = zo_json_text(entry, "failed");
        if (skipped[0] != '\0' || failed[0] != '\0') {
            fputs(any ? "<br>" : "<details><summary>Not drawn</summary><p>", page->out);
            any = true;
            zo_page_escaped(page->out, zo_json_text(entry, "plot"));
            fputs(skipped[0] != '\0' ? ": it " : " failed: ", page->out);
            zo_page_escaped(page->out, skipped[0] != '\0' ? skipped : failed);
            fputc('\n', page->out);
        }
    }
    fputs(any ? "</p></details>\n" : "", page->out);
    cJSON_Delete(drawn);
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    return status;
}

/* ---- the page ------------------------------------------------------------------------------------------------------------ */

static void print_summary(const zo_page *page, zo_results *results, const char *db)
{
    cJSON *rows = NULL;
    char now[32], text[4400];
    time_t seconds = time(NULL);
    struct tm utc;
    strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&seconds, &utc));
    snprintf(text, sizeof text, "%s, as of %s, by zo %.80s.", db, now, zo_build_revision());
    zo_page_paragraph(page, text);
    if (zo_results_select(results, "SELECT status, count(*) AS cells FROM runs GROUP BY 1 ORDER BY 2 DESC", &rows, NULL) == ZO_OK) {
        zo_page_table(page, rows, false);
    }
    cJSON_Delete(rows);
}

static zo_status print_page(const zo_page *page, zo_results *results, const zo_report_spec *spec, const char *db, int64_t again, zo_err *err)
{
    zo_report_spec parts = *spec;
    parts.as = ZO_TABLE_HTML;
    parts.terminal = 0;
    fputs(head, page->out);
    if (again > 0) {
        fprintf(page->out, "<meta http-equiv=\"refresh\" content=\"%lld\">\n", (long long)again);
    }
    fputs("</head>\n<body>\n", page->out);
    zo_page_title(page, 1, "zo report");
    print_summary(page, results, db);
    zo_status status = print_section(page, results, &running, err);
    if (status == ZO_OK && spec->against != NULL) {
        status = zo_report_against(results, &parts, ZO_TABLE_HTML, page->out, err);
    }
    status = status == ZO_OK ? zo_report_paper(results, &parts, page->out, err) : status;
    status = status == ZO_OK ? print_pictures(page, results, spec->keys, err) : status;
    for (size_t i = 0; i < sizeof below / sizeof *below && status == ZO_OK; i++) {
        status = print_section(page, results, &below[i], err);
    }
    status = status == ZO_OK ? print_configs(page, results, err) : status;
    fputs("</body>\n</html>\n", page->out);
    return status;
}

zo_status zo_html_write(zo_results *results, const zo_report_spec *spec, const char *db, const char *path, int64_t again, zo_err *err)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    ZO_CHECK(out != NULL, "no memory for a page");
    zo_status status = print_page(&(zo_page){.out = out, .as = ZO_TABLE_HTML}, results, spec, db, again, err);
    fclose(out);
    status = status == ZO_OK ? zo_write_file(path, text, n, err) : status;
    free(text);
    return status;
}
