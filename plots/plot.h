/* plot.h: `zo plot`: every script of plots/ that the database can fill, rendered by gnuplot as PNG, SVG and PDF. */
#ifndef ZO_PLOTS_PLOT_H
#define ZO_PLOTS_PLOT_H

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;
struct sqlite3;

typedef struct zo_plot_spec {
    struct sqlite3 *db;  /* borrowed: a results database with the temporary views of results/views.sql (results/views.h makes them) */
    const char *out;     /* folder for the pictures, made when absent */
    const char *only;    /* comma-separated names of plots, NULL = all; an empty list is refused, here and in `formats` */
    const char *formats; /* comma-separated, of png, svg and pdf; a terminal that gnuplot lacks is an error */
    const char *size;    /* column, text or slide, NULL = text: widths and fonts stand at the top of plot.c */
} zo_plot_spec;

/* Renders and reports: *report becomes an array of {"plot", "title", "files": [...]} with, for what is not in the picture, a "note", or {"plot",
 * "title", "skipped": "why"}, or, of a picture that could not be drawn or written, {..., "failed": "why"}; the caller deletes it. Every plot
 * is tried; the status is that of the first that failed. A plot that the data cannot fill is not an error. What keeps all from being drawn
 * (a wrong name in a list, a missing gnuplot or script folder) is an error with *report NULL. */
zo_status zo_plot(const zo_plot_spec *spec, struct cJSON **report, zo_err *err);

/* {"plot", "title", "needs"} of every script found, for `zo list plots`. */
zo_status zo_plot_list(struct cJSON **list, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
