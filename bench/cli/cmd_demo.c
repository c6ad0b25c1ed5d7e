/* cmd_demo.c: `zo demo`: the embedded default. The three configs are those of paper_configs/demo, built into the program: the matrix,
 * the memory sweep, and the short form of both. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/grid.h"
#include "bench/matrix/run.h"
#include "core/clock.h"
#include "core/embed.h"
#include "core/text.h"
#include "plots/plot.h"
#include "results/report.h"
#include "results/views.h"

#include <cjson/cJSON.h>

ZO_EMBED(zo_demo_matrix, "paper_configs/demo/matrix.json");
ZO_EMBED(zo_demo_memory, "paper_configs/demo/memory.json");
ZO_EMBED(zo_demo_short, "paper_configs/demo/short.json");

static int run_text(const char *text, const char *name, const char *db)
{
    zo_grid grid;
    zo_err err = {0};
    if (zo_grid_parse(&grid, text, name, &err) != ZO_OK) {
        fprintf(stderr, "zo demo: %s\n", err.text);
        return 2;
    }
    zo_run_spec spec = {.db = db};
    int code = zo_run_grid(&grid, &spec);
    zo_grid_free(&grid);
    return code;
}

static int show(const char *db, const char *out)
{
    zo_err err = {0};
    zo_results *results;
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task", .terminal = zo_terminal_columns(STDOUT_FILENO)};
    zo_status status = zo_results_open_read(&results, db, &err);
    if (status == ZO_OK) {
        status = zo_report_paper(results, &spec, stdout, &err);
    }
    cJSON *drawn = NULL;
    if (status == ZO_OK) {
        status = zo_results_views(results, zo_cell_keys(), &err);
    }
    if (status == ZO_OK) {
        fflush(stdout);
        zo_plot_spec plots = {.db = zo_results_handle(results), .out = out, .formats = "png,svg,pdf"};
        status = zo_plot(&plots, &drawn, &err);
    }
    zo_results_close(results);
    if (status != ZO_OK) {
        fprintf(stderr, "zo demo: %s\n", err.text);
        cJSON_Delete(drawn);
        return 2;
    }
    int pictures = 0;
    for (const cJSON *p = drawn->child; p != NULL; p = p->next) {
        const cJSON *skipped = cJSON_GetObjectItemCaseSensitive(p, "skipped");
        pictures += skipped == NULL;
        if (cJSON_IsString(skipped)) {
            printf("not drawn: %s, which %s\n", cJSON_GetObjectItemCaseSensitive(p, "plot")->valuestring, skipped->valuestring);
        }
    }
    cJSON_Delete(drawn);
    char closing[4000];
    snprintf(closing, sizeof closing, "%d plots in %s, all numbers in %s (`zo report --db %s`, `zo sql --db %s \"SELECT ...\"`)", pictures, out, db, db, db);
    putchar('\n');
    zo_paragraph_print(stdout, closing, 0, zo_terminal_columns(STDOUT_FILENO));
    return 0;
}

int zo_cmd_demo(int argc, char **argv)
{
    const char *db = NULL, *out = NULL;
    bool quick = false;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db}, {"--out", ZO_ARG_TEXT, &out}, {"--short", ZO_ARG_FLAG, &quick}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    if (zo_args_read(argc, argv, table, NULL, 0, 0, NULL, "zo demo [--short] [--db FILE] [--out DIR]", &err) != ZO_OK) {
        fprintf(stderr, "zo demo: %s\n", err.text);
        return 2;
    }
    db = db != NULL ? db : quick ? "results/demo-short.db" : "results/demo.db";
    out = out != NULL ? out : quick ? "results/demo-short" : "results/demo";
    double start = zo_now();
    int code = quick ? run_text(zo_demo_short, "paper_configs/demo/short.json", db) : run_text(zo_demo_matrix, "paper_configs/demo/matrix.json", db);
    if (code < 2 && !quick) {
        int memory = run_text(zo_demo_memory, "paper_configs/demo/memory.json", db);
        code = memory > code ? memory : code;
    }
    if (code < 2) {
        int shown = show(db, out);
        code = shown > code ? shown : code;
        printf("%.0f s\n", zo_now() - start);
    }
    return code;
}
