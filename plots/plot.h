/* plot.h: `zo plot`: every script of plots/ that the database can fill, rendered by gnuplot as PNG and SVG. */
#ifndef ZO_PLOTS_PLOT_H
#define ZO_PLOTS_PLOT_H

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;
struct sqlite3;

typedef struct zo_plot_spec {
    struct sqlite3 *db;  /* borrowed: a results database, as zo_results_open_read opens it, with the temporary table `chosen` (run,
                            rivals): the runs that may be shown, and with how many other learning rates theirs was compared
                            (results/report.h makes it); more temporary tables are made in it */
    const char *out;     /* folder for the pictures, made when absent */
    const char *only;    /* comma-separated names of plots, NULL = all */
    const char *formats; /* "png,svg" */
} zo_plot_spec;

/* Renders and reports: *report becomes an array of {"plot", "title", "files": [...]} or {"plot", "title", "skipped": "why"}; the
 * caller deletes it. A plot that the data cannot fill is not an error; a missing gnuplot, database or script folder is. */
zo_status zo_plot(const zo_plot_spec *spec, struct cJSON **report, zo_err *err);

/* {"plot", "title", "needs"} of every script found, for `zo list plots`. */
zo_status zo_plot_list(struct cJSON **list, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
