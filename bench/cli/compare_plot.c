/* compare_plot.c: see compare_plot.h. One line a value: theirs above, ours below, each with its standard deviation over seeds. */
#include "bench/cli/compare_plot.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "plots/gnuplot.h"

enum { VALUES_MOST = 400, LINE_POINTS = 20 };

zo_status zo_picture_add(zo_picture *p, const zo_expected *e, const zo_stand *s, zo_err *err)
{
    if (p->n > 0 && e->figure != p->figure) {
        return zo_fail(err, ZO_EINPUT, "--plot draws one figure, and these tables have \"%s\" and \"%s\"; give tables of one figure", zo_published_name(p->figure),
                       zo_published_name(e->figure));
    }
    if (p->n == VALUES_MOST) {
        return zo_fail(err, ZO_EINPUT, "--plot draws at most %d values; give fewer tables", VALUES_MOST);
    }
    if (p->n == p->room) {
        p->room = p->room > 0 ? 2 * p->room : 64;
        p->value = zo_realloc(p->value, ZO_HOST, ZO_TAG_OTHER, (size_t)p->room * sizeof *p->value);
    }
    size_t size = strlen(e->name) + strlen(e->column_name) + 3;
    zo_comparison *v = &p->value[p->n++];
    p->figure = e->figure;
    *v = (zo_comparison){.name = zo_alloc(ZO_HOST, ZO_TAG_OTHER, size), .theirs = e->value, .spread = e->spread, .ours = s != NULL ? s->mean : NAN, .std = s != NULL ? s->std : NAN};
    snprintf(v->name, size, "%s%s%s", e->name, e->column_name[0] != '\0' ? ", " : "", e->column_name);
    return ZO_OK;
}

void zo_picture_free(zo_picture *p)
{
    for (int i = 0; i < p->n; i++) {
        zo_free(p->value[i].name);
    }
    zo_free(p->value);
    *p = (zo_picture){.n = 0};
}

static void put_side(FILE *f, double mean, double spread)
{
    fprintf(f, isnan(mean) ? " NaN 0" : " %.9g %.9g", mean, isnan(spread) ? 0 : spread);
}

static zo_status write_points(const zo_gnuplot *g, const zo_picture *p, zo_err *err)
{
    FILE *f = zo_gnuplot_file(g, "points.dat", err);
    if (f == NULL) {
        return err->status;
    }
    for (int i = 0; i < p->n; i++) {
        fprintf(f, "%d", p->n - i);
        put_side(f, p->value[i].theirs, p->value[i].spread);
        put_side(f, p->value[i].ours, p->value[i].std);
        fputc('\n', f);
    }
    return zo_gnuplot_done(g, "points.dat", f, err);
}

static zo_status write_driver(const zo_gnuplot *g, const zo_picture *p, const char *format, zo_err *err)
{
    FILE *f = zo_gnuplot_file(g, "driver.gp", err);
    if (f == NULL) {
        return err->status;
    }
    fprintf(f, "n = %d\nformat = \"%s\"\nwidth = 675.0\nheight = %d.0\nfont = 9.0\nload \"terminal.gp\"\n", p->n, format, 80 + LINE_POINTS * p->n);
    fputs("array name[n]\nset datafile commentschars \"\"\n"
          "stats \"names.txt\" using (name[int(column(0)) + 1] = stringcolumn(1), 1) nooutput\n"
          "set datafile missing \"NaN\"\nset ytics () noenhanced\n"
          "do for [i = 1:n] { set ytics add (name[i] n - i + 1) }\n"
          "set yrange [0.4:n + 0.6]\nset grid xtics\nset key outside top center horizontal\nset border 3\nset tics nomirror\n", f);
    fprintf(f, "set xlabel \"%s (%s)\" noenhanced\n", zo_published_name(p->figure), zo_published_unit(p->figure));
    fputs("plot \"points.dat\" using 2:($1 + 0.14):3 with xerrorbars pt 7 lc rgb \"#606060\" title \"published\", \\\n"
          "     \"points.dat\" using 4:($1 - 0.14):5 with xerrorbars pt 5 lc rgb \"#1f77b4\" title \"ours\"\nunset output\n", f);
    return zo_gnuplot_done(g, "driver.gp", f, err);
}

zo_status zo_picture_draw(const zo_picture *p, const char *path, zo_err *err)
{
    const char *format = zo_gnuplot_format_of("--plot", path, err);
    if (format == NULL) {
        return err->status;
    }
    zo_gnuplot g = {{0}};
    char **names = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)p->n + 1) * sizeof *names);
    for (int i = 0; i < p->n; i++) {
        names[i] = p->value[i].name;
    }
    zo_status status = zo_gnuplot_open(&g, err);
    status = status == ZO_OK ? zo_gnuplot_strings(&g, "names.txt", names, p->n, err) : status;
    status = status == ZO_OK ? write_points(&g, p, err) : status;
    status = status == ZO_OK ? write_driver(&g, p, format, err) : status;
    status = status == ZO_OK ? zo_gnuplot_draw(&g, "driver.gp", "picture", format, path, err) : status;
    zo_gnuplot_close(&g);
    zo_free(names);
    return status;
}
