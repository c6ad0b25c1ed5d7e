/* history_plot.h: the picture of `zo history --plot`: a panel a series. */
#ifndef ZO_BENCH_CLI_HISTORY_PLOT_H
#define ZO_BENCH_CLI_HISTORY_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* rows: those of results/history.h. Draws medians, bands, levels, and how large each step is, with gnuplot; PATH ends with .png, .svg or .pdf. */
zo_status zo_history_draw(const struct cJSON *rows, const char *metric, const char *path, zo_err *err);

/* Are these two points of one series? */
bool zo_history_same_series(const struct cJSON *a, const struct cJSON *b);
/* "synth-tiny synth-sentiment prompt mezo on HOST" */
void zo_history_title(const struct cJSON *point, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
