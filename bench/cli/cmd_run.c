/* cmd_run.c: `zo run`: a config's cells, into a database. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/budget.h"
#include "bench/matrix/hours.h"
#include "bench/matrix/tuning.h"
#include "core/clock.h"

int zo_cmd_run(int argc, char **argv)
{
    zo_run_spec spec = {.db = "results/zo.db", .checkpoint_minutes = 10};
    const char *config, *device = NULL, *model = NULL, *with_text = NULL, *only = NULL, *budget = NULL, *cell_limit = NULL, *limit = NULL;
    cJSON *with = NULL;
    int64_t minutes = 0;
    double seconds = 0, until = 0, start = zo_now();
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &spec.db},
                            {"--device", ZO_ARG_TEXT, &device},
                            {"--model", ZO_ARG_TEXT, &model},
                            {"--with", ZO_ARG_TEXT, &with_text},
                            {"--data", ZO_ARG_TEXT, &spec.dirs.data},
                            {"--models", ZO_ARG_TEXT, &spec.dirs.models},
                            {"--save", ZO_ARG_TEXT, &spec.save},
                            {"--samples", ZO_ARG_FLAG, &spec.dirs.samples},
                            {"--checkpoint", ZO_ARG_INT, &spec.checkpoint_minutes},
                            {"--checkpoint-steps", ZO_ARG_INT, &spec.checkpoint_steps},
                            {"--only", ZO_ARG_TEXT, &only},
                            {"--fail-on", ZO_ARG_TEXT, &spec.fail_on},
                            {"--minutes", ZO_ARG_INT, &minutes},
                            {"--budget", ZO_ARG_TEXT, &budget},
                            {"--cell-limit", ZO_ARG_TEXT, &cell_limit},
                            {"--limit", ZO_ARG_TEXT, &limit},
                            {"--dry-run", ZO_ARG_FLAG, &spec.dry},
                            {"--redo", ZO_ARG_FLAG, &spec.redo},
                            {"--again", ZO_ARG_FLAG, &spec.redo},
                            {"--json", ZO_ARG_FLAG, &spec.json},
                            {NULL, ZO_ARG_FLAG, NULL}};
    char fitted[200];
    zo_err err = {0};
    zo_grid grid = {0};
    enum { SAVE_BYTES = 4000 }; /* a cell's folder fits behind it */
    if (zo_args_read(argc, argv, table, &config, 1, 1, NULL,
                     "zo run CONFIG.json [--db FILE] [--device NAME] [--model NAME] [--with KEYS] [--data DIR] [--models DIR] [--save DIR] [--samples] [--checkpoint MINUTES] [--checkpoint-steps N] [--only CELL] [--minutes MOST] [--budget TIME] [--cell-limit TIME] [--limit TIME] [--fail-on LIST] [--dry-run] [--redo] [--json]", &err) ||
        (minutes > 0 && spec.dry && zo_fail(&err, ZO_EINPUT, "--minutes times some steps, and --dry-run runs nothing; give one of them")) ||
        (budget != NULL && zo_budget_parse("--budget", budget, &seconds, &err)) ||
        (cell_limit != NULL && zo_budget_parse("--cell-limit", cell_limit, &spec.cell_limit_seconds, &err)) || (limit != NULL && zo_budget_parse("--limit", limit, &until, &err)) ||
        (budget != NULL && (minutes > 0 || spec.dry || only != NULL || spec.redo) &&
         zo_fail(&err, ZO_EINPUT, "--budget plans the whole table and runs its plan; take %s away", minutes > 0 ? "--minutes" : spec.dry ? "--dry-run" : spec.redo ? "--redo" : "--only")) ||
        zo_fail_on_check(spec.fail_on, &err) || zo_with_of(with_text, model, device, &with, &err) || zo_with_fit(with, config, fitted, sizeof fitted, &err) || zo_grid_read(&grid, config, with, &err) || (only != NULL && zo_grid_keep(&grid, only, &err)) ||
        (spec.save != NULL && strlen(spec.save) > SAVE_BYTES && zo_fail(&err, ZO_EINPUT, "--save has %zu bytes; at most %d are permitted", strlen(spec.save), SAVE_BYTES))) {
        fprintf(stderr, "zo run: %s\n", err.text);
        cJSON_Delete(with);
        zo_grid_free(&grid);
        return 2;
    }
    if (fitted[0] != '\0') {
        fprintf(stderr, "%s\n", fitted);
    }
    spec.until = limit != NULL ? start + until : 0;
    if (budget != NULL && grid.tuning.there) {
        fprintf(stderr, "zo run: %s: has a \"tuning\", which --budget cannot shrink; give the table's own grid\n", config);
        cJSON_Delete(with);
        zo_grid_free(&grid);
        return 2;
    }
    if (budget != NULL && limit != NULL) {
        fprintf(stderr, "zo run: --budget plans a run that ends by itself, so --limit does not go with it; give one of the two\n");
        cJSON_Delete(with);
        zo_grid_free(&grid);
        return 2;
    }
    if (budget != NULL) {
        int code = zo_budget_run(config, &grid, with, &spec, seconds);
        cJSON_Delete(with);
        zo_grid_free(&grid);
        return code;
    }
    cJSON_Delete(with);
    double hours = 0;
    int code = minutes > 0 ? zo_hours_say(&grid, &spec, &hours) : 0;
    if (code == 0 && 60 * hours > (double)minutes) {
        fprintf(stderr, "zo run: that is more than the %lld minutes of --minutes; cut the config in several, or give more\n", (long long)minutes);
        code = 1;
    }
    code = code == 0 ? zo_run_tuned(&grid, &spec) : code;
    zo_grid_free(&grid);
    return code;
}
