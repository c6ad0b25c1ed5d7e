/* cmd_plan.c: `zo plan`: what a config's cells will take, before they run. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <unistd.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/child.h"
#include "bench/matrix/plan.h"
#include "core/text.h"
#include "results/report.h"

int zo_cmd_plan(int argc, char **argv)
{
    zo_run_spec spec = {.db = "results/zo.db"};
    const char *config, *device = NULL, *model = NULL, *with_text = NULL, *only = NULL, *format_name = "md";
    bool memory = false, json = false;
    cJSON *with = NULL;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &spec.db},
                            {"--device", ZO_ARG_TEXT, &device},
                            {"--model", ZO_ARG_TEXT, &model},
                            {"--with", ZO_ARG_TEXT, &with_text},
                            {"--data", ZO_ARG_TEXT, &spec.dirs.data},
                            {"--models", ZO_ARG_TEXT, &spec.dirs.models},
                            {"--only", ZO_ARG_TEXT, &only},
                            {"--memory", ZO_ARG_FLAG, &memory},
                            {"--format", ZO_ARG_TEXT, &format_name},
                            {"--json", ZO_ARG_FLAG, &json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    char fitted[200];
    zo_err err = {0};
    zo_grid grid = {0};
    zo_table_format format = ZO_TABLE_MD;
    if (zo_args_read(argc, argv, table, &config, 1, 1, NULL,
                     "zo plan CONFIG.json [--memory] [--db FILE] [--device NAME] [--model NAME] [--with KEYS] [--data DIR] [--models DIR] [--only CELL]"
                     " [--format md|csv|json|latex | --json]", &err) ||
        zo_table_format_of(json ? "json" : format_name, &format, &err) || zo_with_of(with_text, model, device, &with, &err) || zo_with_fit(with, config, fitted, sizeof fitted, &err) ||
        zo_grid_read(&grid, config, with, &err) || (only != NULL && zo_grid_keep(&grid, only, &err))) {
        fprintf(stderr, "zo plan: %s\n", err.text);
        cJSON_Delete(with);
        zo_grid_free(&grid);
        return 2;
    }
    cJSON_Delete(with);
    if (fitted[0] != '\0') {
        fprintf(stderr, "%s\n", fitted);
    }
    zo_matrix_plan plan;
    int code = zo_matrix_plan_make(&plan, &grid, &spec, memory ? NULL : &zo_timing_usual);
    if (zo_run_interrupted) {
        fprintf(stderr, "zo plan: interrupted; what was timed is kept, and the same command goes on\n");
        code = 1;
    } else if (code < 2 && plan.right == 0) { /* what is wrong is of all of them, then: a folder, a name */
        char label[1200];
        fprintf(stderr, "zo plan: none of the cells can be opened, the first of them because: %s: %s\n", zo_cell_label(&grid.cell[0], label, sizeof label), plan.of[0].why);
        code = 2;
    } else if (code < 2) {
        char sum[400];
        cJSON *rows = zo_matrix_plan_rows(&plan, &grid);
        int columns = zo_terminal_columns(STDOUT_FILENO);
        zo_table_print(stdout, rows, format, columns);
        zo_matrix_plan_sum(&plan, &grid, sum, sizeof sum);
        if (format == ZO_TABLE_MD) {
            putchar('\n');
            zo_paragraph_print(stdout, sum, 0, columns);
        } else {
            fprintf(stderr, "%s\n", sum);
        }
        cJSON_Delete(rows);
    }
    zo_matrix_plan_free(&plan);
    zo_grid_free(&grid);
    return code;
}
