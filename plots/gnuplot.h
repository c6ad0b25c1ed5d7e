/* gnuplot.h: gnuplot as a helper that is given nothing but numbers and data files. It runs in a private folder, under file names that are
 * fixed in the sources, without the user's start-up files and with few environment variables; text from elsewhere (names, options, paths,
 * a database of somebody else) reaches it as strings in data files alone, never in a script, so none of it is ever a command. The picture is
 * written in the private folder too, looked at whether it is whole, and stored by this program under the name that was asked for. */
#ifndef ZO_PLOTS_GNUPLOT_H
#define ZO_PLOTS_GNUPLOT_H

#include <stdio.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_GNUPLOT_FORMATS = 3 };
extern const char zo_gnuplot_format[ZO_GNUPLOT_FORMATS][4]; /* png, svg, pdf */

typedef struct zo_gnuplot {
    char folder[4096]; /* the private folder; empty = none */
} zo_gnuplot;

/* The format of a picture's file by its ending; NULL and *err (ZO_EINPUT) where that is no format's. `option` is what named the file. */
const char *zo_gnuplot_format_of(const char *option, const char *path, zo_err *err);

/* Makes the private folder in $TMPDIR, or /tmp where that is unset or empty, and sees that gnuplot can be started. Its file terminal.gp opens the picture: a driver
 * sets `format` to one of zo_gnuplot_format, `width`, `height` and `font` to points, and loads it; font_of(points) is the font in another size then. Errors: ZO_EIO. On
 * success zo_gnuplot_close takes the folder away with all that is in it. */
zo_status zo_gnuplot_open(zo_gnuplot *g, zo_err *err);
void zo_gnuplot_close(zo_gnuplot *g);

/* A new file of the private folder, to be given to zo_gnuplot_done; NULL and *err filled where it cannot be made. `name` is a constant
 * of the caller. zo_gnuplot_done says whether all of it was written. */
FILE *zo_gnuplot_file(const zo_gnuplot *g, const char *name, zo_err *err);
zo_status zo_gnuplot_done(const zo_gnuplot *g, const char *name, FILE *f, zo_err *err);

/* A file of n strings, one a line, for stringcolumn(1); a line end in a string becomes one in gnuplot's. */
zo_status zo_gnuplot_strings(const zo_gnuplot *g, const char *name, char *const *text, int n, zo_err *err);
/* A copy of the file at `path` (scripts are read from the private folder too). */
zo_status zo_gnuplot_copy(const zo_gnuplot *g, const char *name, const char *path, zo_err *err);

/* Runs the script `driver` of the private folder, which writes the file `picture` there, in the format that `format` names; stores the picture as
 * `path`: a file is replaced whole or not at all, a link is followed, a device written to. */
zo_status zo_gnuplot_draw(const zo_gnuplot *g, const char *driver, const char *picture, const char *format, const char *path, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
