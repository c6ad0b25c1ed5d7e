/* figures.h: the figures of a try, each stated once: its column in the table `tries`, its member of zo_run_end, and what a report makes of it over a
 * group of seeds. The statement that ends a try and the columns of reports follow from this table. Private to results/. */
#ifndef ZO_RESULTS_FIGURES_H
#define ZO_RESULTS_FIGURES_H

#include "results/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_figure_kind {
    ZO_FIGURE_ELSEWHERE, /* no column of its own in reports */
    ZO_FIGURE_MEAN,
    ZO_FIGURE_LARGEST,
    ZO_FIGURE_COUNT,  /* in how many runs it is above 0 */
    ZO_FIGURE_COMMON, /* the one text of all, or "mixed" */
    ZO_FIGURE_ALONE   /* of a run; a group has none */
} zo_figure_kind;

typedef struct zo_figure { zo_field field; zo_figure_kind kind; } zo_figure;

#define ZO_FIGURES 66
extern const zo_figure zo_figures[ZO_FIGURES]; /* in the order of reports */

#ifdef __cplusplus
}
#endif
#endif
