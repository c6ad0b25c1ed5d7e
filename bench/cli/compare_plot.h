/* compare_plot.h: the picture of `zo compare --plot`: published values with their spread, and ours beside them. */
#ifndef ZO_BENCH_CLI_COMPARE_PLOT_H
#define ZO_BENCH_CLI_COMPARE_PLOT_H

#include "bench/matrix/published.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_comparison { char *name; double theirs, spread, ours, std; } zo_comparison; /* NaN = there is none */

/* {0} is an empty one; zo_picture_free gives back what was added. */
typedef struct zo_picture { zo_comparison *value; int n, room; zo_published figure; } zo_picture;

/* stand NULL: the published value alone. ZO_EINPUT where it is another figure than those before: one axis has one unit. */
zo_status zo_picture_add(zo_picture *picture, const zo_expected *expected, const zo_stand *stand, zo_err *err);
/* Draws it with gnuplot; PATH ends with .png, .svg or .pdf. */
zo_status zo_picture_draw(const zo_picture *picture, const char *path, zo_err *err);
void zo_picture_free(zo_picture *picture);

#ifdef __cplusplus
}
#endif
#endif
