/* plot.c: runs the gnuplot scripts of plots/. A script is one file plots/NAME.gp whose head comment holds
 *     # title: what the picture shows          # needs: what a database must hold to fill it
 *     # caption: how it was made, in small print (may be absent)
 *     # remarks: names in temp.remark that its caption ends with, where they apply (may be absent)
 *     # sql: SELECT panel, series, x, y, ...   (continued on following lines that begin with "#      ")
 * and whose body draws from what this file prepares. Adding a plot is adding that one file; nothing here knows any plot by name.
 *
 * The SQL gives one row a point: panel (one frame of the picture each), series (one colour each, the same in every panel), x, then
 * one or more numbers. Text in the x column becomes positions 1, 2, 3 ... with tic labels. It reads the tables of results/schema.sql and what
 * results/views.sql makes of them.
 * A series that stands in results/styles.sql, or begins with a method there, has its colour and mark, in every picture.
 * What the body sees: panels, panel_title[p], panel_data[p] (one index block a series), series, series_title[s], xtic_count, xtic_text[i],
 * title_text, caption_text, metric_text (the axis of scores), and the macros, functions and line styles of plots/prelude.gp. Texts come out of a database that may be somebody
 * else's: they are values that prelude.gp reads from data files, are drawn `noenhanced`, and must not be file names, formats or macros. */
#include "plots/plot.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "plots/gnuplot.h"

/* MOST_COUNTED: of what is not drawn, so many texts are told apart, to say how many there are. */
enum { SCRIPT_BYTES = 1 << 20, MOST_PANELS = 64, MOST_SERIES = 48, MOST_XTICS = 64, MOST_COUNTED = 4096, MOST_COLUMNS = 12, PATH_BYTES = 4096,
       LABEL_BYTES = 120, CAPTION_BYTES = 900 };

static const char FORMATS[][4] = {"png", "svg"};
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef struct script {
    char name[64];
    char title[256], caption[256], remarks[256], needs[256];
    char *sql;  /* owned */
    char *path; /* owned */
} script;

typedef struct point {
    int panel, series, row; /* row: its place among the rows of the SQL */
    double value[MOST_COLUMNS]; /* x, then the numbers; NaN where NULL or where no axis could hold it */
} point;

/* Texts in the order in which they came first: the first `most` are drawn, those after them are only counted. */
typedef struct names {
    char **text; /* owned */
    int n, room, most;
} names;

typedef struct table {
    names panel, series, xtic;
    int columns; /* x and the numbers */
    point *points;
    int n, room, beyond; /* beyond: numbers that no axis could hold */
} table;

/* How a series is drawn; turn: how many series before it have its colour. */
typedef struct look {
    char colour[8];
    int mark, turn;
} look;

typedef struct layout {
    int panel_lines, caption_lines; /* lines of the longest of these texts */
    look look[MOST_SERIES];
} layout;

/* Is the name an item of the comma-separated list? */
static bool is_listed(const char *list, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (!strncmp(at, name, length) && (at[length] == ',' || !at[length])) {
            return true;
        }
    }
    return false;
}

/* ---- scripts ------------------------------------------------------------------------------------------------------------ */

/* $ZO_PLOTS, or the plots folder that came with the program; prelude.gp tells it from any other. */
static zo_status script_folder(char *folder, size_t bytes, zo_err *err)
{
    char prelude[PATH_BYTES];
    const char *set = getenv("ZO_PLOTS");
    if (!set) {
        zo_status status = zo_share_find("plots/prelude.gp", prelude, sizeof prelude, err);
        if (status == ZO_OK) {
            *strrchr(prelude, '/') = 0;
            snprintf(folder, bytes, "%s", prelude);
        }
        return status;
    }
    if (!zo_path_exists(zo_path_join(prelude, sizeof prelude, set, "prelude.gp"))) {
        return zo_fail(err, ZO_EINPUT, "$ZO_PLOTS is '%s', which has no prelude.gp: set it to zo's plots folder or unset it", set);
    }
    snprintf(folder, bytes, "%s", set);
    return ZO_OK;
}

static void script_free(script *s)
{
    zo_free(s->sql);
    zo_free(s->path);
}

/* Append `text` to the growing string *all. */
static void text_add(char **all, const char *text)
{
    size_t have = *all ? strlen(*all) : 0, more = strlen(text);
    *all = zo_realloc(*all, ZO_HOST, ZO_TAG_OTHER, have + more + 2);
    memcpy(*all + have, text, more);
    memcpy(*all + have + more, "\n", 2);
}

static zo_status script_read(const char *path, const char *name, script *s, zo_err *err)
{
    char *text;
    size_t bytes;
    zo_status status = zo_read_file(path, SCRIPT_BYTES, &text, &bytes, err);
    if (status) {
        return status;
    }
    memset(s, 0, sizeof *s);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->path = zo_strdup(ZO_TAG_OTHER, path);
    zo_lines lines = zo_lines_of(text, bytes);
    bool in_sql = false;
    for (char *line; (line = zo_lines_next(&lines, NULL)) && line[0] == '#';) {
        if (!strncmp(line, "# title: ", 9)) {
            snprintf(s->title, sizeof s->title, "%s", line + 9);
        } else if (!strncmp(line, "# caption: ", 11)) {
            snprintf(s->caption, sizeof s->caption, "%s", line + 11);
        } else if (!strncmp(line, "# remarks: ", 11)) {
            snprintf(s->remarks, sizeof s->remarks, "%s", line + 11);
        } else if (!strncmp(line, "# needs: ", 9)) {
            snprintf(s->needs, sizeof s->needs, "%s", line + 9);
        } else if (!strncmp(line, "# sql: ", 7)) {
            in_sql = true;
            text_add(&s->sql, line + 7);
        } else if (in_sql && !strncmp(line, "#      ", 7)) {
            text_add(&s->sql, line + 7);
        }
    }
    zo_free(text);
    if (!s->title[0] || !s->needs[0] || !s->sql) {
        script_free(s);
        return zo_fail(err, ZO_EINPUT, "%s: the head comment lacks `# title:`, `# needs:` or `# sql:`: see the top of plots/plot.c", path);
    }
    return ZO_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const script *)a)->name, ((const script *)b)->name);
}

/* All scripts of the folder, sorted by name; the caller frees each and the array. */
static zo_status scripts_read(const char *folder, script **scripts, int *n, zo_err *err)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        return zo_fail(err, ZO_EIO, "%s: %s", folder, strerror(errno));
    }
    *scripts = NULL;
    *n = 0;
    zo_status status = ZO_OK;
    for (struct dirent *entry; !status && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 4 || strcmp(entry->d_name + length - 3, ".gp") || !strcmp(entry->d_name, "prelude.gp")) {
            continue;
        }
        char path[PATH_BYTES], name[64];
        snprintf(name, sizeof name, "%.*s", (int)length - 3, entry->d_name);
        *scripts = zo_realloc(*scripts, ZO_HOST, ZO_TAG_OTHER, (size_t)(*n + 1) * sizeof **scripts);
        status = script_read(zo_path_join(path, sizeof path, folder, entry->d_name), name, *scripts + *n, err);
        *n += status == ZO_OK;
    }
    closedir(dir);
    if (*n) {
        qsort(*scripts, (size_t)*n, sizeof **scripts, by_name);
    }
    return status;
}

static void scripts_free(script *scripts, int n)
{
    for (int i = 0; i < n; i++) {
        script_free(scripts + i);
    }
    zo_free(scripts);
}

/* ---- the data ----------------------------------------------------------------------------------------------------------- */

static void names_free(names *list)
{
    for (int i = 0; i < list->n; i++) {
        zo_free(list->text[i]);
    }
    zo_free(list->text);
}

static void table_free(table *t)
{
    names_free(&t->panel);
    names_free(&t->series);
    names_free(&t->xtic);
    zo_free(t->points);
}

static int drawn(const names *list)
{
    return list->n < list->most ? list->n : list->most;
}

/* Index of `text` in the list, appended when new; -1 when it is not drawn. */
static int names_index(names *list, const char *text)
{
    for (int i = list->n; i-- > 0;) { /* rows are sorted, so the last is the likeliest */
        if (!strcmp(list->text[i], text)) {
            return i < list->most ? i : -1;
        }
    }
    if (list->n == MOST_COUNTED) {
        return -1;
    }
    if (list->n == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->text = zo_realloc(list->text, ZO_HOST, ZO_TAG_OTHER, (size_t)list->room * sizeof *list->text);
    }
    list->text[list->n++] = zo_strdup(ZO_TAG_OTHER, text);
    return list->n <= list->most ? list->n - 1 : -1;
}

static const char *column_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    return text ? (const char *)text : "";
}

static int by_place(const void *a, const void *b)
{
    const point *p = a, *q = b;
    return p->panel != q->panel ? p->panel - q->panel : p->series != q->series ? p->series - q->series : p->row - q->row;
}

static void table_add(table *t, const point *p)
{
    if (t->n == t->room) {
        t->room = t->room ? 2 * t->room : 1024;
        t->points = zo_realloc(t->points, ZO_HOST, ZO_TAG_OTHER, (size_t)t->room * sizeof *t->points);
    }
    t->points[t->n] = *p;
    t->points[t->n].row = t->n;
    t->n++;
}

static zo_status table_read(sqlite3 *db, const script *s, table *t, zo_err *err)
{
    *t = (table){.panel.most = MOST_PANELS, .series.most = MOST_SERIES, .xtic.most = MOST_XTICS};
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(db, s->sql, -1, &row, NULL) != SQLITE_OK) {
        return zo_fail(err, ZO_EINPUT, "%s: %s", s->path, sqlite3_errmsg(db));
    }
    int columns = sqlite3_column_count(row);
    if (columns < 4 || columns > 2 + MOST_COLUMNS) {
        sqlite3_finalize(row);
        return zo_fail(err, ZO_EINPUT, "%s: its SQL gives %d columns; panel, series, x and 1 to %d numbers are expected", s->path, columns, MOST_COLUMNS - 1);
    }
    t->columns = columns - 2;
    int step;
    while ((step = sqlite3_step(row)) == SQLITE_ROW) {
        point p = {.panel = names_index(&t->panel, column_text(row, 0)), .series = names_index(&t->series, column_text(row, 1))};
        bool shown = p.panel >= 0 && p.series >= 0;
        for (int c = 0; c < t->columns; c++) {
            int type = sqlite3_column_type(row, c + 2);
            p.value[c] = type == SQLITE_NULL ? (double)NAN : sqlite3_column_double(row, c + 2);
            if (c == 0 && type == SQLITE_TEXT) {
                int place = names_index(&t->xtic, column_text(row, 2));
                shown = shown && place >= 0;
                p.value[0] = 1 + place;
            }
            if (fabs(p.value[c]) > 1e300) { /* gnuplot gives up on a range beyond the doubles */
                p.value[c] = NAN;
                t->beyond += shown;
            }
        }
        if (shown) {
            table_add(t, &p);
        }
    }
    zo_status status = step == SQLITE_DONE ? ZO_OK : zo_fail(err, ZO_EIO, "%s: %s", s->path, sqlite3_errmsg(db));
    sqlite3_finalize(row);
    if (t->n) {
        qsort(t->points, (size_t)t->n, sizeof *t->points, by_place);
    }
    return status;
}

/* ---- one picture -------------------------------------------------------------------------------------------------------- */

/* One file a panel: an index block a series, so that `index s-1` is series s everywhere; an empty one holds one NaN row. *at: the first point of the
 * panel, moved behind its last. */
static zo_status write_panel(const zo_gnuplot *g, const table *t, int panel, int *at, zo_err *err)
{
    char name[32];
    snprintf(name, sizeof name, "panel%d.dat", panel + 1);
    FILE *f = zo_gnuplot_file(g, name, err);
    if (!f) {
        return ZO_EIO;
    }
    for (int s = 0; s < drawn(&t->series); s++) {
        bool any = false;
        for (; *at < t->n && t->points[*at].panel == panel && t->points[*at].series == s; ++*at) {
            any = true;
            for (int c = 0; c < t->columns; c++) {
                double value = t->points[*at].value[c];
                fprintf(f, isnan(value) ? "NaN " : "%.9g ", value);
            }
            fputc('\n', f);
        }
        for (int c = 0; c < t->columns && !any; c++) {
            fputs("NaN ", f);
        }
        fputs("\n\n\n", f);
    }
    return zo_gnuplot_done(g, name, f, err);
}

/* The next row of `styles` as a look; false at the end. */
static bool next_look(sqlite3_stmt *styles, look *l)
{
    if (sqlite3_step(styles) != SQLITE_ROW) {
        return false;
    }
    *l = (look){.mark = sqlite3_column_int(styles, 1)};
    snprintf(l->colour, sizeof l->colour, "%s", column_text(styles, 0));
    return true;
}

static int count_colour(const look *l, int n, const char *colour)
{
    int count = 0;
    for (int i = 0; i < n; i++) {
        count += strcmp(l[i].colour, colour) == 0;
    }
    return count;
}

/* The colour and mark of an earlier series whose name has the same first word: the method, where it has no row in temp.style. */
static bool find_kin(char *const *series, const look *l, int s, look *kin)
{
    size_t word = strcspn(series[s], " ");
    for (int other = 0; other < s; other++) {
        if (strcspn(series[other], " ") == word && strncmp(series[other], series[s], word) == 0) {
            *kin = l[other];
            return true;
        }
    }
    return false;
}

/* The looks of (n) series: fixed where temp.style has the name, or a method that the name begins with; the others get spare colours, one a first word, and those
 * first that no fixed one has. */
static zo_status find_looks(sqlite3 *db, char *const *series, int n, look *l, zo_err *err)
{
    sqlite3_stmt *named = NULL, *spare = NULL;
    if (sqlite3_prepare_v2(db, "SELECT colour, mark FROM temp.style WHERE colour IS NOT NULL AND kind <> 'spare' AND (printed = ?1 OR "
                               "kind = 'method' AND substr(?1, 1, length(printed) + 1) = printed || ' ') ORDER BY length(printed) DESC, place", -1, &named, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT colour, mark FROM temp.style WHERE kind = 'spare' ORDER BY place", -1, &spare, NULL) != SQLITE_OK) {
        sqlite3_finalize(named);
        return zo_fail(err, ZO_EINPUT, "the styles of plots: SQLite says: %s", sqlite3_errmsg(db));
    }
    for (int s = 0; s < n; s++) {
        sqlite3_bind_text(named, 1, series[s], -1, SQLITE_STATIC);
        if (!next_look(named, &l[s])) {
            l[s] = (look){.mark = 0};
        }
        sqlite3_reset(named);
    }
    bool reuse = false; /* of a colour that is in the picture already */
    for (int s = 0; s < n; s++) {
        while (l[s].mark == 0 && !find_kin(series, l, s, &l[s])) {
            look other;
            if (!next_look(spare, &other)) {
                sqlite3_reset(spare);
                reuse = true;
            } else if (reuse || count_colour(l, n, other.colour) == 0) {
                l[s] = other;
            }
        }
        l[s].turn = count_colour(l, s, l[s].colour);
    }
    sqlite3_finalize(named);
    sqlite3_finalize(spare);
    return ZO_OK;
}

/* Where a text may be cut at `at` or before it: not within a character of UTF-8. */
static size_t cut_before(const char *text, size_t at)
{
    while (at > 0 && ((unsigned char)text[at] & 0xc0) == 0x80) {
        at--;
    }
    return at;
}

/* `text`, made plain, with its middle left out where it has more than `most` bytes, in lines of about `width` bytes, broken after a space where one is
 * near; owned by the caller. *lines is raised to their number. */
static char *fitted(const char *text, size_t most, size_t width, int *lines)
{
    char *whole = zo_text_plain(zo_strdup(ZO_TAG_OTHER, text));
    size_t n = strlen(whole);
    if (n > most) {
        size_t head = cut_before(whole, most * 3 / 5), tail = cut_before(whole, n - (most - most * 3 / 5) + 3);
        memcpy(whole + head, "...", 3);
        memmove(whole + head + 3, whole + tail, n - tail + 1);
        n = strlen(whole);
    }
    char *out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * n + 1), *to = out;
    int count = 1;
    for (const char *at = whole; *at;) {
        size_t take = strlen(at);
        if (take > width) {
            size_t space = width;
            while (space > width / 2 && at[space - 1] != ' ') {
                space--;
            }
            take = at[space - 1] == ' ' ? space : cut_before(at, width);
        }
        memcpy(to, at, take);
        to += take;
        at += take;
        if (*at) {
            *to++ = '\n';
            count++;
        }
    }
    *to = '\0';
    zo_free(whole);
    *lines = count > *lines ? count : *lines;
    return out;
}

static zo_status write_strings(const zo_gnuplot *g, const char *name, char *const *text, int n, size_t most, size_t width, int *lines, zo_err *err)
{
    char **fit = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *fit);
    for (int i = 0; i < n; i++) {
        fit[i] = fitted(text[i], most, width, lines);
    }
    zo_status status = zo_gnuplot_strings(g, name, fit, n, err);
    for (int i = 0; i < n; i++) {
        zo_free(fit[i]);
    }
    zo_free(fit);
    return status;
}

/* All that gnuplot reads but the driver, which depends on the format. */
static zo_status write_data(const zo_gnuplot *g, const char *folder, const script *s, const table *t, const char *caption, const char *metric,
                            layout *l, zo_err *err)
{
    char prelude[PATH_BYTES];
    zo_status status = zo_gnuplot_copy(g, "prelude.gp", zo_path_join(prelude, sizeof prelude, folder, "prelude.gp"), err);
    status = status ? status : zo_gnuplot_copy(g, "plot.gp", s->path, err);
    for (int p = 0, at = 0; p < drawn(&t->panel) && !status; p++) {
        status = write_panel(g, t, p, &at, err);
    }
    char *words[] = {(char *)s->title, (char *)caption, (char *)metric};
    int one = 1;
    status = status ? status : write_strings(g, "panels.txt", t->panel.text, drawn(&t->panel), 300, 62, &l->panel_lines, err);
    status = status ? status : write_strings(g, "series.txt", t->series.text, drawn(&t->series), LABEL_BYTES, LABEL_BYTES, &one, err);
    status = status ? status : write_strings(g, "xtics.txt", t->xtic.text, drawn(&t->xtic), LABEL_BYTES, LABEL_BYTES, &one, err);
    return status ? status : write_strings(g, "words.txt", words, COUNT(words), CAPTION_BYTES, 130, &l->caption_lines, err);
}

static zo_status write_driver(const zo_gnuplot *g, const table *t, const layout *l, const char *format, zo_err *err)
{
    FILE *f = zo_gnuplot_file(g, "driver.gp", err);
    if (!f) {
        return ZO_EIO;
    }
    fprintf(f, "panels = %d\nseries = %d\nxtic_count = %d\npanel_lines = %d\ncaption_lines = %d\nformat = \"%s\"\n", drawn(&t->panel),
            drawn(&t->series), drawn(&t->xtic), l->panel_lines, l->caption_lines, format);
    fprintf(f, "array series_colour[series]\narray series_mark[series]\narray series_turn[series]\n");
    for (int s = 0; s < drawn(&t->series); s++) {
        const look *k = &l->look[s];
        fprintf(f, "series_colour[%d] = \"%s\"; series_mark[%d] = %d; series_turn[%d] = %d\n", s + 1, k->colour, s + 1, k->mark, s + 1, k->turn);
    }
    fputs("load \"prelude.gp\"\nload \"plot.gp\"\nunset multiplot\nunset output\n", f);
    return zo_gnuplot_done(g, "driver.gp", f, err);
}

/* The remarks of these names (space-separated) that apply, "; " before each but the first in `text`, put after what stands there. */
static void add_remarks(sqlite3 *db, const char *which, char *text, size_t bytes)
{
    char name[256];
    snprintf(name, sizeof name, "%s", which);
    char *rest = name;
    for (char *one; (one = strtok_r(rest, " ", &rest));) {
        sqlite3_stmt *row;
        if (sqlite3_prepare_v2(db, "SELECT text FROM temp.remark WHERE name = ?", -1, &row, NULL) == SQLITE_OK) {
            sqlite3_bind_text(row, 1, one, -1, SQLITE_STATIC);
            size_t at = strlen(text);
            if (sqlite3_step(row) == SQLITE_ROW && at < bytes) {
                snprintf(text + at, bytes - at, "%s%s", at ? "; " : "", column_text(row, 0));
            }
        }
        sqlite3_finalize(row);
    }
}

/* Those of every picture. */
static const char ALWAYS[] = "chosen old";

/* What is not in the picture, one sentence or more; empty where nothing is missing. */
static void left_out(const table *t, char *note, size_t bytes)
{
    const struct {
        const names *list;
        const char *what;
    } of[] = {{&t->panel, "panels"}, {&t->series, "methods of the legend"}, {&t->xtic, "labels of the axis"}};
    int at = 0;
    note[0] = '\0';
    for (size_t i = 0; i < sizeof of / sizeof *of && at < (int)bytes; i++) {
        if (of[i].list->n > of[i].list->most) {
            at += snprintf(note + at, bytes - (size_t)at, "%s%d of %s%d %s are drawn", at ? "; " : "", of[i].list->most,
                           of[i].list->n == MOST_COUNTED ? "more than " : "", of[i].list->n, of[i].what);
        }
    }
    if (at && at < (int)bytes) {
        at += snprintf(note + at, bytes - (size_t)at, ", the rest is left out: narrow the database with a config");
    }
    if (t->beyond && at < (int)bytes) {
        snprintf(note + at, bytes - (size_t)at, "%s%d numbers are too large to be drawn (above 1e300)", at ? "; " : "", t->beyond);
    }
}

static zo_status plot_one(sqlite3 *db, const zo_gnuplot *g, const char *folder, const script *s, const zo_plot_spec *spec, cJSON *entry, zo_err *err)
{
    table t;
    zo_status status = table_read(db, s, &t, err);
    if (!status && t.n == 0) {
        char why[400];
        snprintf(why, sizeof why, "needs %s", s->needs);
        add_remarks(db, "old", why, sizeof why);
        cJSON_AddStringToObject(entry, "skipped", why);
    } else if (!status) {
        char caption[CAPTION_BYTES], metric[100] = "", note[400];
        snprintf(caption, sizeof caption, "%s", s->caption);
        add_remarks(db, s->remarks, caption, sizeof caption);
        add_remarks(db, ALWAYS, caption, sizeof caption);
        add_remarks(db, "metric", metric, sizeof metric);
        layout l = {.panel_lines = 1, .caption_lines = 1};
        status = find_looks(db, t.series.text, drawn(&t.series), l.look, err);
        status = status ? status : write_data(g, folder, s, &t, caption, metric, &l, err);
        cJSON *files = cJSON_AddArrayToObject(entry, "files");
        for (int f = 0; f < COUNT(FORMATS) && !status; f++) {
            char path[PATH_BYTES], name[96];
            snprintf(name, sizeof name, "%s.%s", s->name, FORMATS[f]);
            zo_path_join(path, sizeof path, spec->out, name);
            if (is_listed(spec->formats, FORMATS[f])) {
                status = write_driver(g, &t, &l, FORMATS[f], err);
                status = status ? status : zo_gnuplot_draw(g, "driver.gp", "picture", FORMATS[f], path, err);
                if (!status) {
                    cJSON_AddItemToArray(files, cJSON_CreateString(path));
                }
            }
        }
        left_out(&t, note, sizeof note);
        if (note[0]) {
            cJSON_AddStringToObject(entry, "note", note);
        }
    }
    table_free(&t);
    return status;
}

/* ---- the public functions ----------------------------------------------------------------------------------------------- */

/* Every item of the comma-separated list must be one of the n names at `name`, each `stride` bytes after the other. */
static zo_status check_list(const char *option, const char *list, const char *what, const char *name, size_t stride, int n, zo_err *err)
{
    for (const char *at = list, *end; at; at = *end ? end + 1 : NULL) {
        end = at + strcspn(at, ",");
        bool known = false;
        char all[1000] = "";
        for (int i = 0; i < n; i++) {
            const char *one = name + (size_t)i * stride;
            known = known || (strlen(one) == (size_t)(end - at) && !strncmp(one, at, (size_t)(end - at)));
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", one);
        }
        if (!known) {
            return zo_fail(err, ZO_EINPUT, "%s names the %s '%.*s', which is not there: a list, without spaces, of some of %s is expected", option, what,
                           (int)(end - at > 100 ? 100 : end - at), at, all);
        }
    }
    return ZO_OK;
}

/* Tries every picture, whatever became of those before it; *err tells of the first that failed, and how many did. */
static zo_status plot_all(const zo_gnuplot *g, const char *folder, const script *scripts, int n, const zo_plot_spec *spec, cJSON *report, zo_err *err)
{
    zo_status first = ZO_OK;
    int failed = 0, tried = 0;
    char text[700] = "";
    for (int i = 0; i < n; i++) {
        if (spec->only && !is_listed(spec->only, scripts[i].name)) {
            continue;
        }
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddItemToArray(report, entry);
        cJSON_AddStringToObject(entry, "plot", scripts[i].name);
        cJSON_AddStringToObject(entry, "title", scripts[i].title);
        zo_err one = {0};
        zo_status status = plot_one(spec->db, g, folder, scripts + i, spec, entry, &one);
        tried++;
        if (status) {
            cJSON_AddStringToObject(entry, "failed", one.text);
            first = first ? first : status;
            if (failed++ == 0) {
                snprintf(text, sizeof text, "%s: %.600s", scripts[i].name, one.text);
            }
        }
    }
    return first ? zo_fail(err, first, "%d of %d plots could not be drawn; the first is %s", failed, tried, text) : ZO_OK;
}

zo_status zo_plot(const zo_plot_spec *spec, cJSON **report, zo_err *err)
{
    *report = NULL;
    char folder[PATH_BYTES];
    script *scripts = NULL;
    int n = 0;
    zo_gnuplot g = {{0}};
    zo_status status = check_list("--format", spec->formats, "format", FORMATS[0], sizeof FORMATS[0], COUNT(FORMATS), err);
    status = status ? status : script_folder(folder, sizeof folder, err);
    status = status ? status : scripts_read(folder, &scripts, &n, err);
    status = status ? status : check_list("--only", spec->only, "plot", n ? scripts[0].name : "", sizeof *scripts, n, err);
    if (!status && strlen(spec->out) > PATH_BYTES - 100) {
        status = zo_fail(err, ZO_EINPUT, "--out is a path of %zu bytes; at most %d are permitted", strlen(spec->out), PATH_BYTES - 100);
    }
    status = status ? status : zo_make_dirs(spec->out, err);
    status = status ? status : zo_gnuplot_open(&g, err);
    if (!status) {
        *report = cJSON_CreateArray();
        status = plot_all(&g, folder, scripts, n, spec, *report, err);
    }
    zo_gnuplot_close(&g);
    scripts_free(scripts, n);
    return status;
}

zo_status zo_plot_list(cJSON **list, zo_err *err)
{
    char folder[PATH_BYTES];
    script *scripts = NULL;
    int n = 0;
    *list = NULL;
    zo_status status = script_folder(folder, sizeof folder, err);
    status = status ? status : scripts_read(folder, &scripts, &n, err);
    if (!status) {
        *list = cJSON_CreateArray();
        for (int i = 0; i < n; i++) {
            cJSON *entry = cJSON_CreateObject();
            cJSON_AddStringToObject(entry, "plot", scripts[i].name);
            cJSON_AddStringToObject(entry, "title", scripts[i].title);
            cJSON_AddStringToObject(entry, "needs", scripts[i].needs);
            cJSON_AddItemToArray(*list, entry);
        }
    }
    scripts_free(scripts, n);
    return status;
}
