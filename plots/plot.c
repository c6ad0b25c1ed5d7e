/* plot.c: runs the gnuplot scripts of plots/. A script is one file plots/NAME.gp whose head comment holds
 *     # title: what the picture shows          # needs: what a database must hold to fill it
 *     # caption: how it was made, in small print (may be absent)
 *     # remarks: names in temp.remark that its caption ends with, where they apply (may be absent)
 *     # x: what the horizontal axes of all panels show; # y: the vertical ones ({metric} there is the axis of scores); each may be absent
 *     # bars: beside, where each text of the axis has a bar for every series (absent: one place for all of them)
 *     # sql: SELECT panel, series, x, y, ...   (continued on following lines that begin with "#      ")
 * and whose body draws from what this file prepares. Adding a plot is adding that one file; nothing here knows any plot by name.
 *
 * The SQL gives one row a point: panel (one frame of the picture each), series (one colour each, the same in every panel), x, then
 * one or more numbers, and last `runs`: the numbers of the runs that the point is made of, group_concat(run), or NULL where it stands for none. What the caption
 * says of runs is said of these. Text in the x column becomes places 1, 2, 3 ... from the top, written along the vertical axis. It reads the tables of results/schema.sql and what
 * results/views.sql makes of them.
 * A series that stands in results/styles.sql, or begins with a method there, has its colour, mark and dash, in every picture; no two of a picture share mark
 * and dash, so that they are told apart without colour. What all panels' names have in common stands in the caption, once.
 * What the body sees: panels, panel_title[p], panel_data[p] (one index block a series), series, series_title[s], xtic_count, xtic_text[i],
 * and the macros, functions and line styles of plots/prelude.gp. Texts come out of a database that may be somebody
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

/* DASHES, MARKS: gnuplot's dash types and point types that can be told apart. MOST_COUNTED: of what is not drawn, so many texts are told apart, to say how many there are. */
enum { SCRIPT_BYTES = 1 << 20, MOST_PANELS = 64, MOST_SERIES = 48, MOST_XTICS = 64, MOST_COUNTED = 4096, MOST_COLUMNS = 12, PATH_BYTES = 4096,
       LABEL_BYTES = 120, CAPTION_BYTES = 1200, DASHES = 5, MARKS = 13 };

/* The sizes of pictures: width and font in points, and how many panels stand in a row at most. column: a column of a page of two (ICML); text: the width of the
 * text of a page (NeurIPS, ICLR); slide: 10 inches. Heights follow from what is drawn. */
static const struct size {
    char name[8];
    double width, font;
    int columns;
} SIZES[] = {{"text", 397.0, 7.0, 3}, {"column", 234.0, 7.0, 2}, {"slide", 720.0, 12.0, 3}};
static const double EM = 0.62; /* width of a character over the size of its font, in the mean of those of long texts */

#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

typedef struct script {
    char name[64];
    char title[256], caption[256], remarks[256], needs[256], x[128], y[128];
    bool beside; /* bars of the series stand beside each other */
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
    int mark, dash, turn;
} look;

/* A text is cut in its middle where it has more than `most` bytes, and folded at `width` bytes. lines, longest: of all texts that were fitted so, the most lines,
 * and the most characters of a line. */
typedef struct fit {
    size_t most, width;
    int lines, longest;
} fit;

typedef struct layout {
    const struct size *size;
    int columns; /* panels in a row */
    fit title, shared, caption, x, y, panel, series, xtic;
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
    const struct {
        const char *key;
        char *to;
        size_t bytes;
    } head[] = {{"# title: ", s->title, sizeof s->title}, {"# caption: ", s->caption, sizeof s->caption}, {"# remarks: ", s->remarks, sizeof s->remarks},
                {"# needs: ", s->needs, sizeof s->needs}, {"# x: ", s->x, sizeof s->x}, {"# y: ", s->y, sizeof s->y}};
    for (char *line; (line = zo_lines_next(&lines, NULL)) && line[0] == '#';) {
        bool known = false;
        for (size_t i = 0; i < sizeof head / sizeof *head && !known; i++) {
            size_t length = strlen(head[i].key);
            known = !strncmp(line, head[i].key, length);
            if (known) {
                snprintf(head[i].to, head[i].bytes, "%s", line + length);
            }
        }
        if (!strcmp(line, "# bars: beside")) {
            s->beside = true;
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

/* Writes the runs of a row, where it has some, to temp.drawn. A code of SQLite. */
static int add_runs(sqlite3_stmt *insert, sqlite3_stmt *row, int column)
{
    if (sqlite3_column_type(row, column) == SQLITE_NULL) {
        return SQLITE_OK;
    }
    sqlite3_bind_value(insert, 1, sqlite3_column_value(row, column));
    int code = sqlite3_step(insert);
    sqlite3_reset(insert);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

static zo_status table_read(sqlite3 *db, const script *s, table *t, zo_err *err)
{
    *t = (table){.panel.most = MOST_PANELS, .series.most = MOST_SERIES, .xtic.most = MOST_XTICS};
    sqlite3_stmt *row;
    if (sqlite3_prepare_v2(db, s->sql, -1, &row, NULL) != SQLITE_OK) {
        return zo_fail(err, ZO_EINPUT, "%s: %s", s->path, sqlite3_errmsg(db));
    }
    int columns = sqlite3_column_count(row);
    if (columns < 5 || columns > 3 + MOST_COLUMNS || strcmp(sqlite3_column_name(row, columns - 1), "runs") != 0) {
        zo_status bad = zo_fail(err, ZO_EINPUT, "%s: its SQL gives %d columns, the last called '%.60s'; panel, series, x, 1 to %d numbers and `runs` (group_concat(run)) are expected",
                                s->path, columns, columns > 0 ? sqlite3_column_name(row, columns - 1) : "", MOST_COLUMNS - 1);
        sqlite3_finalize(row);
        return bad;
    }
    t->columns = columns - 3;
    sqlite3_stmt *runs = NULL;
    int step = sqlite3_exec(db, "DELETE FROM temp.drawn", NULL, NULL, NULL);
    step = step == SQLITE_OK ? sqlite3_prepare_v2(db, "INSERT OR IGNORE INTO temp.drawn VALUES (?)", -1, &runs, NULL) : step;
    while (step == SQLITE_OK && (step = sqlite3_step(row)) == SQLITE_ROW) {
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
        step = SQLITE_OK;
        if (shown) {
            table_add(t, &p);
            step = add_runs(runs, row, columns - 1);
        }
    }
    zo_status status = step == SQLITE_DONE ? ZO_OK : zo_fail(err, ZO_EIO, "%s: %s", s->path, sqlite3_errmsg(db));
    sqlite3_finalize(row);
    sqlite3_finalize(runs);
    if (t->n) {
        qsort(t->points, (size_t)t->n, sizeof *t->points, by_place);
    }
    return status;
}

/* ---- one picture -------------------------------------------------------------------------------------------------------- */

/* The texts of the axis that a panel has data for, or else its series: of each in turn its place among them, from 1, and 0 for one that is not there. */
typedef enum side { OF_TEXTS, OF_SERIES } side;

static void find_places(const table *t, int panel, side of, int *place)
{
    int n = drawn(of == OF_TEXTS ? &t->xtic : &t->series);
    memset(place, 0, (size_t)n * sizeof *place);
    for (int i = 0; i < t->n && n > 0; i++) { /* n is 0 where the axis has numbers */
        if (t->points[i].panel == panel) {
            place[of == OF_TEXTS ? (int)t->points[i].value[0] - 1 : t->points[i].series] = 1;
        }
    }
    for (int i = 0, at = 0; i < n; i++) {
        place[i] = place[i] ? ++at : 0;
    }
}

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
    int place[MOST_XTICS];
    find_places(t, panel, OF_TEXTS, place);
    for (int s = 0; s < drawn(&t->series); s++) {
        bool any = false;
        for (; *at < t->n && t->points[*at].panel == panel && t->points[*at].series == s; ++*at) {
            any = true;
            for (int c = 0; c < t->columns; c++) {
                double value = t->points[*at].value[c];
                value = c == 0 && t->xtic.n > 0 ? place[(int)value - 1] : value;
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
    *l = (look){.mark = sqlite3_column_int(styles, 1), .dash = sqlite3_column_int(styles, 2)};
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

/* Has one of the n looks that mark, and that dash (0: any)? */
static bool has_mark(const look *l, int n, int mark, int dash)
{
    for (int i = 0; i < n; i++) {
        if (l[i].mark == mark && (dash == 0 || l[i].dash == dash)) {
            return true;
        }
    }
    return false;
}

/* Marks in a circle in which neighbours have different shapes, the open triangles last: they look full where they are small. */
static const int circle[MARKS] = {9, 5, 7, 13, 11, 1, 2, 3, 4, 6, 12, 8, 10};

/* No series before s has its mark and its dash: where one has, it gets the next mark of the circle that none of (n) has, or else the next that none has with that dash. */
static void make_distinct(look *l, int s, int n)
{
    int own = 0;
    while (circle[own] != l[s].mark) {
        own++;
    }
    for (int dash = 0; dash <= DASHES && has_mark(l, s, l[s].mark, l[s].dash); dash++) {
        for (int i = 1; i <= MARKS; i++) {
            int mark = circle[(own + i) % MARKS];
            if (!has_mark(l, n, mark, dash)) {
                l[s].mark = mark;
                l[s].dash = dash ? dash : l[s].dash;
                break;
            }
        }
    }
}

/* The looks of (n) series: fixed where temp.style has the name, or a method that the name begins with; the others get spare colours, one a first word, and those
 * first that no fixed one has. */
static zo_status find_looks(sqlite3 *db, char *const *series, int n, look *l, zo_err *err)
{
    sqlite3_stmt *named = NULL, *spare = NULL;
    if (sqlite3_prepare_v2(db, "SELECT colour, mark, dash FROM temp.style WHERE colour IS NOT NULL AND kind <> 'spare' AND (printed = ?1 OR "
                               "kind = 'method' AND substr(?1, 1, length(printed) + 1) = printed || ' ') ORDER BY length(printed) DESC, place", -1, &named, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(db, "SELECT colour, mark, dash FROM temp.style WHERE kind = 'spare' ORDER BY place", -1, &spare, NULL) != SQLITE_OK) {
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
        make_distinct(l, s, n);
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

static int count_characters(const char *text, size_t bytes)
{
    int n = 0;
    for (size_t i = 0; i < bytes; i++) {
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    }
    return n;
}

/* How many bytes of `text`, which has more than `width`, stand on its first line: up to the last space or else the last of these signs in the line's second half, as far as it goes where there is
 * none. A sign that a comma follows keeps it. */
static size_t first_line(const char *text, size_t width)
{
    static const char *const after[] = {" ", "_-/"};
    for (int i = 0; i < 2; i++) {
        for (size_t n = width; n > width / 2; n--) {
            if (strchr(after[i], text[n - 1]) != NULL && text[n] != ',') {
                return n;
            }
        }
    }
    return cut_before(text, width);
}

/* `text`, made plain and fitted, its lines broken where words end if one does; owned by the caller. */
static char *fitted(const char *text, fit *f)
{
    char *whole = zo_text_plain(zo_strdup(ZO_TAG_OTHER, text));
    size_t n = strlen(whole), most = f->most;
    if (n > most) {
        size_t head = cut_before(whole, most * 3 / 5), tail = cut_before(whole, n - (most - most * 3 / 5) + 3);
        memcpy(whole + head, "...", 3);
        memmove(whole + head + 3, whole + tail, n - tail + 1);
        n = strlen(whole);
    }
    char *out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * n + 1), *to = out;
    int count = n > 0;
    for (const char *at = whole; *at;) {
        size_t take = strlen(at);
        take = take > f->width ? first_line(at, f->width) : take;
        int characters = count_characters(at, take);
        f->longest = characters > f->longest ? characters : f->longest;
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
    f->lines = count > f->lines ? count : f->lines;
    return out;
}

static zo_status write_strings(const zo_gnuplot *g, const char *name, char *const *text, int n, fit *f, zo_err *err)
{
    char **line = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *line);
    for (int i = 0; i < n; i++) {
        line[i] = fitted(text[i], f);
    }
    zo_status status = zo_gnuplot_strings(g, name, line, n, err);
    for (int i = 0; i < n; i++) {
        zo_free(line[i]);
    }
    zo_free(line);
    return status;
}

static size_t part_length(const char *text)
{
    const char *end = strstr(text, ", ");
    return end ? (size_t)(end - text) : strlen(text);
}

/* Is the part (length) one of those that commas join in `text`? */
static bool has_part(const char *text, const char *part, size_t length)
{
    for (const char *at = text;; at += part_length(at) + 2) {
        if (part_length(at) == length && !memcmp(at, part, length)) {
            return true;
        }
        if (!at[part_length(at)]) {
            return false;
        }
    }
}

/* text: of `bytes`, enough for the part too. */
static void join_part(char *text, size_t bytes, const char *part, size_t length)
{
    size_t n = strlen(text);
    snprintf(text + n, bytes - n, "%s%.*s", n ? ", " : "", (int)length, part);
}

/* own (n; owned by the caller): the names without the parts that all of them have, which become *shared (owned). Of one name all is shared. */
static void share_parts(char *const *name, int n, char **own, char **shared)
{
    size_t most = strlen(name[0]) + 3;
    *shared = zo_alloc(ZO_HOST, ZO_TAG_OTHER, most);
    **shared = '\0';
    for (int p = 0; p < n; p++) {
        size_t bytes = strlen(name[p]) + 3;
        own[p] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
        *own[p] = '\0';
        for (const char *at = name[p]; *at; at += part_length(at) + (at[part_length(at)] ? 2 : 0)) {
            bool all = true;
            for (int q = 0; q < n && all; q++) {
                all = has_part(name[q], at, part_length(at));
            }
            if (!all) {
                join_part(own[p], bytes, at, part_length(at));
            } else if (p == 0) {
                join_part(*shared, most, at, part_length(at));
            }
        }
    }
}

/* {metric} in the name of an axis is that of the scores. Owned by the caller. */
static char *axis_name(const char *text, const char *metric)
{
    const char *at = strstr(text, "{metric}");
    size_t bytes = strlen(text) + strlen(metric) + 1;
    char *out = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
    snprintf(out, bytes, "%.*s%s%s", at ? (int)(at - text) : (int)strlen(text), text, at ? metric : "", at ? at + strlen("{metric}") : "");
    return out;
}

static fit fit_of(size_t most, double points, double font)
{
    return (fit){.most = most, .width = (size_t)fmax(points / (EM * font), 8)};
}

/* The texts of the picture, folded so that they fit its size. */
static zo_status write_texts(const zo_gnuplot *g, const script *s, const table *t, const char *caption, const char *metric, layout *l, zo_err *err)
{
    double width = l->size->width, font = l->size->font, small = 0.9 * font; /* the caption's, in prelude.gp; its title's is 1.2 font */
    int panels = drawn(&t->panel);
    l->title = fit_of(sizeof s->title, width - font, 1.2 * font);
    l->caption = fit_of(CAPTION_BYTES, width - font, small);
    l->shared = fit_of(300, width - font, font);
    l->x = fit_of(sizeof s->x + 100, width - 3 * font, font);
    l->y = fit_of(sizeof s->y + 100, 17.5 * font, font); /* as high as a panel */
    l->xtic = fit_of(LABEL_BYTES, fmin(0.3 * width, 16 * font), font);
    l->series = fit_of(LABEL_BYTES, width - 6 * font, font);
    char *own[MOST_PANELS], *shared, *x = axis_name(s->x, metric), *y = axis_name(s->y, metric);
    share_parts(t->panel.text, panels, own, &shared);
    zo_status status = write_strings(g, "xtics.txt", t->xtic.text, drawn(&t->xtic), &l->xtic, err);
    /* bars want room beside the texts of their axis */
    int fitting = t->xtic.n > 0 ? (int)(width / (l->xtic.longest * EM * font + 12 * font)) : l->size->columns;
    l->columns = (int)fmax(1, fmin(fitting, fmin(panels, l->size->columns)));
    l->panel = fit_of(300, width / l->columns - 3 * font, font);
    status = status ? status : write_strings(g, "panels.txt", own, panels, &l->panel, err);
    status = status ? status : write_strings(g, "series.txt", t->series.text, drawn(&t->series), &l->series, err);
    status = status ? status : write_strings(g, "title.txt", (char *[]){(char *)s->title}, 1, &l->title, err);
    status = status ? status : write_strings(g, "shared.txt", &shared, 1, &l->shared, err);
    status = status ? status : write_strings(g, "caption.txt", (char *[]){(char *)caption}, 1, &l->caption, err);
    status = status ? status : write_strings(g, "x.txt", &x, 1, &l->x, err);
    status = status ? status : write_strings(g, "y.txt", &y, 1, &l->y, err);
    for (int p = 0; p < panels; p++) {
        zo_free(own[p]);
    }
    zo_free(shared);
    zo_free(x);
    zo_free(y);
    return status;
}

/* All that gnuplot reads but the driver, which depends on the format. */
static zo_status write_data(const zo_gnuplot *g, const char *folder, const script *s, const table *t, zo_err *err)
{
    char prelude[PATH_BYTES];
    zo_status status = zo_gnuplot_copy(g, "prelude.gp", zo_path_join(prelude, sizeof prelude, folder, "prelude.gp"), err);
    status = status ? status : zo_gnuplot_copy(g, "plot.gp", s->path, err);
    for (int p = 0, at = 0; p < drawn(&t->panel) && !status; p++) {
        status = write_panel(g, t, p, &at, err);
    }
    return status;
}

/* Points of the longest curve. */
static int longest_curve(const table *t)
{
    int longest = 0;
    for (int i = 0, n = 0; i < t->n; i++) {
        n = i > 0 && t->points[i].panel == t->points[i - 1].panel && t->points[i].series == t->points[i - 1].series ? n + 1 : 1;
        longest = n > longest ? n : longest;
    }
    return longest;
}

static zo_status write_driver(const zo_gnuplot *g, const script *of, const table *t, const layout *l, const char *format, zo_err *err)
{
    FILE *f = zo_gnuplot_file(g, "driver.gp", err);
    if (!f) {
        return ZO_EIO;
    }
    fprintf(f, "format = \"%s\"\nwidth = %.1f\nfont = %.1f\nem = %.3f\ncolumns = %d\n", format, l->size->width, l->size->font, EM * l->size->font, l->columns);
    fprintf(f, "panels = %d\nseries = %d\nxtic_count = %d\nmost_points = %d\nbeside = %d\n", drawn(&t->panel), drawn(&t->series), drawn(&t->xtic), longest_curve(t),
            of->beside);
    fprintf(f, "title_lines = %d\nshared_lines = %d\ncaption_lines = %d\nx_lines = %d\ny_lines = %d\npanel_lines = %d\n", l->title.lines, l->shared.lines, l->caption.lines, l->x.lines, l->y.lines, l->panel.lines);
    fprintf(f, "xtic_lines = %d\nxtic_longest = %d\nseries_lines = %d\nseries_longest = %d\n", l->xtic.lines, l->xtic.longest, l->series.lines, l->series.longest);
    fprintf(f, "array series_colour[series]\narray series_mark[series]\narray series_dash[series]\narray series_turn[series]\n");
    for (int s = 0; s < drawn(&t->series); s++) {
        const look *k = &l->look[s];
        fprintf(f, "series_colour[%d] = \"%s\"; series_mark[%d] = %d; series_dash[%d] = %d; series_turn[%d] = %d\n", s + 1, k->colour, s + 1, k->mark, s + 1, k->dash, s + 1, k->turn);
    }
    fputs("array panel_texts[panels]\narray panel_slots[panels]\n", f); /* of each: texts of its axis by number; the place of each series among its own */
    for (int p = 0; p < drawn(&t->panel); p++) {
        int text[MOST_XTICS], slot[MOST_SERIES];
        find_places(t, p, OF_TEXTS, text);
        find_places(t, p, OF_SERIES, slot);
        fprintf(f, "panel_texts[%d] = \"", p + 1);
        for (int i = 0; i < drawn(&t->xtic); i++) {
            if (text[i]) {
                fprintf(f, "%d ", i + 1);
            }
        }
        fprintf(f, "\"\npanel_slots[%d] = \"", p + 1);
        for (int s = 0; s < drawn(&t->series); s++) {
            fprintf(f, "%d ", slot[s]);
        }
        fputs("\"\n", f);
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
static const char ALWAYS[] = "runs chosen old";

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

/* NULL: there is none of that name. */
static const struct size *spec_size(const zo_plot_spec *spec)
{
    for (int i = 0; i < (int)(sizeof SIZES / sizeof *SIZES); i++) {
        if (!spec->size || !strcmp(spec->size, SIZES[i].name)) {
            return &SIZES[i];
        }
    }
    return NULL;
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
        left_out(&t, note, sizeof note);
        snprintf(caption + strlen(caption), sizeof caption - strlen(caption), "%s%s", note[0] && caption[0] ? "; " : "", note);
        add_remarks(db, "metric", metric, sizeof metric);
        layout l = {.size = spec_size(spec)};
        status = find_looks(db, t.series.text, drawn(&t.series), l.look, err);
        status = status ? status : write_data(g, folder, s, &t, err);
        status = status ? status : write_texts(g, s, &t, caption, metric, &l, err);
        cJSON *files = cJSON_AddArrayToObject(entry, "files");
        for (int f = 0; f < ZO_GNUPLOT_FORMATS && !status; f++) {
            const char *format = zo_gnuplot_format[f];
            char path[PATH_BYTES], name[96];
            snprintf(name, sizeof name, "%s.%s", s->name, format);
            zo_path_join(path, sizeof path, spec->out, name);
            if (is_listed(spec->formats, format)) {
                status = write_driver(g, s, &t, &l, format, err);
                status = status ? status : zo_gnuplot_draw(g, "driver.gp", "picture", format, path, err);
                if (!status) {
                    cJSON_AddItemToArray(files, cJSON_CreateString(path));
                }
            }
        }
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
    zo_status status = check_list("--format", spec->formats, "format", zo_gnuplot_format[0], sizeof zo_gnuplot_format[0], ZO_GNUPLOT_FORMATS, err);
    if (!status && !spec_size(spec)) {
        status = zo_fail(err, ZO_EINPUT, "--size is '%.100s'; one of column, text, slide is expected", spec->size);
    }
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
