/* history_plot.c: see history_plot.h. */
#include "bench/cli/history_plot.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/mem.h"
#include "plots/gnuplot.h"

enum { PANELS_MOST = 12, PANEL_POINTS = 128, GAP_POINTS = 68, HEAD_POINTS = 30, FOOT_POINTS = 75, TICS_MOST = 24 };

bool zo_history_same_series(const cJSON *a, const cJSON *b)
{
    static const char *const words[] = {"model", "task", "form", "method", "host"};
    bool same = a != NULL && b != NULL;
    for (int i = 0; i < 5 && same; i++) {
        same = strcmp(zo_json_text(a, words[i]), zo_json_text(b, words[i])) == 0;
    }
    return same;
}

void zo_history_title(const cJSON *point, char *out, size_t size)
{
    snprintf(out, size, "%.60s %.60s %.20s %.200s on %.60s", zo_json_text(point, "model"), zo_json_text(point, "task"), zo_json_text(point, "form"), zo_json_text(point, "method"),
             zo_json_text(point, "host"));
}

static void put_number(FILE *f, const cJSON *row, const char *key)
{
    double x = zo_json_number(row, key, NAN);
    fprintf(f, isfinite(x) ? " %.9g" : " NaN", x);
}

/* The segments as lines, half a point wider than they are. */
static zo_status write_levels(const zo_gnuplot *g, int panel, const cJSON *first, const cJSON *end, zo_err *err)
{
    char name[40];
    snprintf(name, sizeof name, "levels%d.dat", panel);
    FILE *f = zo_gnuplot_file(g, name, err);
    if (f == NULL) {
        return err->status;
    }
    int at = 0;
    for (const cJSON *row = first; row != end; row = row->next, at++) {
        double level = zo_json_number(row, "level", NAN);
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "starts"))) {
            fputc('\n', f);
        }
        if (isfinite(level)) {
            fprintf(f, "%g %.9g\n%g %.9g\n", at - 0.5, level, at + 0.5, level);
        }
    }
    return zo_gnuplot_done(g, name, f, err);
}

/* Names of files are constants of this program: panel1.dat, ticks1.txt ... */
static zo_status write_panel(const zo_gnuplot *g, int panel, const cJSON *first, const cJSON *end, zo_err *err)
{
    char name[40], text[40], *tick[TICS_MOST + 1];
    int n = 0, ticks = 0;
    for (const cJSON *row = first; row != end; row = row->next) {
        n++;
    }
    int every = (n + TICS_MOST - 1) / TICS_MOST;
    snprintf(name, sizeof name, "panel%d.dat", panel);
    FILE *f = zo_gnuplot_file(g, name, err);
    if (f == NULL) {
        return err->status;
    }
    int at = 0;
    for (const cJSON *row = first; row != end; row = row->next, at++) {
        static const char *const keys[] = {"low", "value", "high", "level", "step", "rise"};
        fprintf(f, "%d", at);
        for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
            put_number(f, row, keys[i]);
        }
        fputc('\n', f);
        if (at % every == 0) {
            snprintf(text, sizeof text, "%.7s", zo_json_text(row, "revision")[0] != '\0' ? zo_json_text(row, "revision") : "?");
            tick[ticks++] = zo_strdup(ZO_TAG_OTHER, text);
        }
    }
    zo_status status = zo_gnuplot_done(g, name, f, err);
    snprintf(name, sizeof name, "ticks%d.txt", panel);
    status = status == ZO_OK ? zo_gnuplot_strings(g, name, tick, ticks, err) : status;
    for (int i = 0; i < ticks; i++) {
        zo_free(tick[i]);
    }
    return status;
}

static zo_status write_driver(const zo_gnuplot *g, int panels, const char *format, zo_err *err)
{
    FILE *f = zo_gnuplot_file(g, "driver.gp", err);
    if (f == NULL) {
        return err->status;
    }
    int height = HEAD_POINTS + FOOT_POINTS + panels * PANEL_POINTS + (panels - 1) * GAP_POINTS;
    fprintf(f, "panels = %d\nformat = \"%s\"\nwidth = 675.0\nheight = %d.0\nfont = 8.0\nload \"terminal.gp\"\n", panels, format, height);
    fprintf(f, "most = %d\nset multiplot layout panels, 1 margins 0.1, 0.96, %d / height, 1 - %d / height spacing 0, %d / height\n", TICS_MOST, FOOT_POINTS,
            HEAD_POINTS, GAP_POINTS);
    fputs("array title_of[panels]\narray metric[1]\n"
          "set datafile commentschars \"\"\n"
          "stats \"titles.txt\" using (title_of[int(column(0)) + 1] = stringcolumn(1), 1) nooutput\n"
          "stats \"metric.txt\" using (metric[1] = stringcolumn(1), 1) nooutput\n"
          "set datafile missing \"NaN\"\nset border 3 linecolor rgb \"#666666\"\nset tics nomirror\nset grid ytics linecolor rgb \"#dddddd\"\n"
          "set offsets 0, 0, graph 0.15, graph 0.1\n"
          "do for [p = 1:panels] {\n"
          "  file = \"panel\".p.\".dat\"\n"
          "  stats file using 1 nooutput\n"
          "  last = STATS_max\n"
          "  every = int((last + most) / most)\n"
          "  set xrange [-0.5:last + 0.5]\n  set xtics () rotate by -30 noenhanced\n"
          "  stats \"ticks\".p.\".txt\" using (tick = stringcolumn(1), 1) nooutput\n"
          "  array text[int(STATS_records)]\n"
          "  stats \"ticks\".p.\".txt\" using (text[int(column(0)) + 1] = stringcolumn(1), 1) nooutput\n"
          "  do for [i = 1:|text|] { set xtics add (text[i] (i - 1) * every) }\n"
          "  set title title_of[p] noenhanced\n  set ylabel metric[1] noenhanced\n"
          "  if (p == panels) { set key at screen 0.53, 4 / height center bottom horizontal } else { unset key }\n"
          "  plot file using 1:2:4 with filledcurves fillcolor rgb \"#c6dbef\" notitle, \\\n"
          "       file using 1:3:2:4 with yerrorbars pt 7 ps 0.8 lc rgb \"#1f4e79\" title \"median of the runs, and their middle half\", \\\n"
          "       \"levels\".p.\".dat\" using 1:2 with lines lw 2 lc rgb \"#d62728\" title \"level, and how large a step is\", \\\n"
          "       file using ($1 - 0.3):5:($6 == $6 ? gprintf(\"%+.1f\", 100 * $6).\" %\" : $7 == $7 ? gprintf(\"%+.4g\", $7) : \"\") with labels offset 0, 0.9 tc rgb \"#d62728\" notitle\n"
          "  undefine text\n"
          "}\nunset multiplot\nunset output\n", f);
    return zo_gnuplot_done(g, "driver.gp", f, err);
}

zo_status zo_history_draw(const cJSON *rows, const char *metric, const char *path, zo_err *err)
{
    char *title[PANELS_MOST], text[500], *name[1];
    int panels = 0;
    const char *format = zo_gnuplot_format_of("--plot", path, err);
    if (format == NULL) {
        return err->status;
    }
    zo_gnuplot g = {{0}};
    zo_status status = zo_gnuplot_open(&g, err);
    for (const cJSON *first = rows->child, *next; first != NULL && status == ZO_OK; first = next) {
        next = first->next;
        while (zo_history_same_series(first, next)) {
            next = next->next;
        }
        if (panels == PANELS_MOST) {
            status = zo_fail(err, ZO_EINPUT, "--plot draws at most %d series; choose some with --where", PANELS_MOST);
            break;
        }
        zo_history_title(first, text, sizeof text);
        title[panels++] = zo_strdup(ZO_TAG_OTHER, text);
        status = write_panel(&g, panels, first, next, err);
        status = status == ZO_OK ? write_levels(&g, panels, first, next, err) : status;
    }
    name[0] = zo_strdup(ZO_TAG_OTHER, metric);
    status = status == ZO_OK ? zo_gnuplot_strings(&g, "titles.txt", title, panels, err) : status;
    status = status == ZO_OK ? zo_gnuplot_strings(&g, "metric.txt", name, 1, err) : status;
    status = status == ZO_OK ? write_driver(&g, panels, format, err) : status;
    status = status == ZO_OK ? zo_gnuplot_draw(&g, "driver.gp", "picture", format, path, err) : status;
    zo_gnuplot_close(&g);
    zo_free(name[0]);
    for (int i = 0; i < panels; i++) {
        zo_free(title[i]);
    }
    return status;
}
