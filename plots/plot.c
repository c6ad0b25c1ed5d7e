/* plot.c: runs the gnuplot scripts of plots/. A script is one file plots/NAME.gp whose head comment holds
 *     # title: what the picture shows          # needs: what a database must hold to fill it
 *     # caption: how it was made, in small print (may be absent)
 *     # sql: SELECT panel, series, x, y, ...   (continued on following lines that begin with "#      ")
 * and whose body draws from what this file prepares. Adding a plot is adding that one file; nothing here knows any plot by name.
 *
 * The SQL gives one row a point: panel (one frame of the picture each), series (one colour each, the same in every panel), x, then
 * one or more numbers. Text in the x column becomes positions 1, 2, 3 ... with tic labels. A view `shown` stands ready beside the
 * tables of results/schema.sql: the finished runs with a `label` that names the optimizer and just those settings that differ within one
 * cell, and `line` that names those that differ between batches and contexts too, where there are several learning rates those of the best
 * one (the table `chosen`); and `trained`, those of them that were evaluated (all, when none was), with `cell` as one text.
 * What the body sees: panels, panel_title[p], panel_data[p] (one index block a series), series, series_title[s], xtic_count[p],
 * xtic_text[p] (a string for `set xtics`), title_text, caption_text, and the functions and line styles of plots/prelude.gp. */
#include "plots/plot.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"

extern char **environ;

enum { SCRIPT_BYTES = 1 << 20, MOST_PANELS = 64, MOST_SERIES = 48, MOST_XTICS = 64, MOST_COLUMNS = 8, PATH_BYTES = 4096 };

typedef struct script {
    char name[64];
    char title[256], caption[256], needs[256];
    char *sql;  /* owned */
    char *path; /* owned */
} script;

typedef struct point {
    int panel, series;
    double value[MOST_COLUMNS]; /* x, then the numbers; NaN where NULL */
} point;

typedef struct table {
    int panels, series, columns; /* columns counts x and the numbers */
    char *panel[MOST_PANELS], *label[MOST_SERIES];
    int xtics;
    char *xtic[MOST_XTICS];
    point *points;
    int n, room;
} table;

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

static void table_free(table *t)
{
    for (int i = 0; i < t->panels; i++) {
        zo_free(t->panel[i]);
    }
    for (int i = 0; i < t->series; i++) {
        zo_free(t->label[i]);
    }
    for (int i = 0; i < t->xtics; i++) {
        zo_free(t->xtic[i]);
    }
    zo_free(t->points);
}

/* Index of `text` in the list, appended when new; -1 when the list is full. */
static int list_index(char **list, int *n, int most, const char *text)
{
    for (int i = 0; i < *n; i++) {
        if (!strcmp(list[i], text)) {
            return i;
        }
    }
    if (*n == most) {
        return -1;
    }
    list[*n] = zo_strdup(ZO_TAG_OTHER, text);
    return (*n)++;
}

static const char *column_text(sqlite3_stmt *row, int column)
{
    const unsigned char *text = sqlite3_column_text(row, column);
    return text ? (const char *)text : "";
}

static zo_status table_read(sqlite3 *db, const script *s, table *t, zo_err *err)
{
    memset(t, 0, sizeof *t);
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
        point p = {.panel = list_index(t->panel, &t->panels, MOST_PANELS, column_text(row, 0)),
                   .series = list_index(t->label, &t->series, MOST_SERIES, column_text(row, 1))};
        if (p.panel < 0 || p.series < 0) {
            continue; /* said by the caller: panels == MOST_PANELS */
        }
        for (int c = 0; c < t->columns; c++) {
            int type = sqlite3_column_type(row, c + 2);
            p.value[c] = type == SQLITE_NULL ? (double)NAN : sqlite3_column_double(row, c + 2);
            if (c == 0 && type == SQLITE_TEXT) {
                p.value[0] = 1 + list_index(t->xtic, &t->xtics, MOST_XTICS, column_text(row, 2));
            }
        }
        if (t->n == t->room) {
            t->room = t->room ? 2 * t->room : 1024;
            t->points = zo_realloc(t->points, ZO_HOST, ZO_TAG_OTHER, (size_t)t->room * sizeof *t->points);
        }
        t->points[t->n++] = p;
    }
    zo_status status = step == SQLITE_DONE ? ZO_OK : zo_fail(err, ZO_EIO, "%s: %s", s->path, sqlite3_errmsg(db));
    sqlite3_finalize(row);
    return status;
}

/* ---- gnuplot ------------------------------------------------------------------------------------------------------------ */

/* `text` as a gnuplot double-quoted string; for text to be drawn, the marks of gnuplot's enhanced text are made plain. */
static void put_string(FILE *f, const char *text, bool drawn)
{
    fputc('"', f);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            fputc('\\', f);
        } else if (drawn && strchr("_^{}@&~", *text)) {
            fputs("\\\\", f);
        }
        fputc(*text == '\n' ? ' ' : *text, f);
    }
    fputc('"', f);
}

static void put_strings(FILE *f, const char *name, char *const *text, int n)
{
    fprintf(f, "array %s[%d]\n", name, n > 0 ? n : 1);
    for (int i = 0; i < n; i++) {
        fprintf(f, "%s[%d] = ", name, i + 1);
        put_string(f, text[i], true);
        fputc('\n', f);
    }
}

/* One file a panel: an index block a series, so that `index s-1` is series s everywhere; an empty one holds one NaN row. */
static zo_status write_panel(const table *t, int panel, const char *path, zo_err *err)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        return zo_fail(err, ZO_EIO, "%s: %s", path, strerror(errno));
    }
    for (int s = 0; s < t->series; s++) {
        bool any = false;
        for (int i = 0; i < t->n; i++) {
            const point *p = t->points + i;
            if (p->panel != panel || p->series != s) {
                continue;
            }
            any = true;
            for (int c = 0; c < t->columns; c++) {
                if (isnan(p->value[c])) {
                    fputs("NaN ", f);
                } else {
                    fprintf(f, "%.9g ", p->value[c]);
                }
            }
            fputc('\n', f);
        }
        if (!any) {
            for (int c = 0; c < t->columns; c++) {
                fputs("NaN ", f);
            }
            fputc('\n', f);
        }
        fputs("\n\n", f);
    }
    bool bad = ferror(f) != 0;
    if (fclose(f) || bad) {
        return zo_fail(err, ZO_EIO, "%s: writing failed: %s; is the disk full?", path, strerror(errno));
    }
    return ZO_OK;
}

static zo_status write_driver(const char *path, const char *folder, const char *work, const script *s, const table *t, const char *caption,
                              const char *format, const char *picture, zo_err *err)
{
    FILE *f = fopen(path, "w");
    if (!f) {
        return zo_fail(err, ZO_EIO, "%s: %s", path, strerror(errno));
    }
    fprintf(f, "panels = %d\nseries = %d\nxtic_count = %d\nformat = \"%s\"\n", t->panels, t->series, t->xtics, format);
    fputs("title_text = ", f);
    put_string(f, s->title, true);
    fputs("\ncaption_text = ", f);
    put_string(f, caption, true);
    fputs("\nout = ", f);
    put_string(f, picture, false);
    fputc('\n', f);
    put_strings(f, "panel_title", t->panel, t->panels);
    put_strings(f, "series_title", t->label, t->series);
    put_strings(f, "xtic_text", t->xtic, t->xtics);
    fprintf(f, "array panel_data[%d]\n", t->panels);
    for (int p = 0; p < t->panels; p++) {
        fprintf(f, "panel_data[%d] = \"%s/panel%d.dat\"\n", p + 1, work, p + 1);
    }
    fprintf(f, "load \"%s/prelude.gp\"\nload \"%s\"\nunset multiplot\nunset output\n", folder, s->path);
    if (fclose(f)) {
        return zo_fail(err, ZO_EIO, "%s: %s", path, strerror(errno));
    }
    return ZO_OK;
}

/* gnuplot on one file; its complaints go to `log`. */
static zo_status run_gnuplot(const char *driver, const char *log, zo_err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    char *argv[] = {(char *)"gnuplot", (char *)driver, NULL};
    pid_t pid;
    int failed = posix_spawnp(&pid, "gnuplot", &actions, NULL, argv, environ), state = 0;
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        return zo_fail(err, ZO_EIO, "gnuplot cannot be started (%s): `make deps` installs the package gnuplot-nox", strerror(failed));
    }
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) {
        return ZO_OK;
    }
    char *said = NULL;
    size_t bytes = 0;
    if (zo_read_file(log, 1 << 16, &said, &bytes, NULL)) {
        said = NULL;
    }
    zo_status status = zo_fail(err, ZO_EIO, "gnuplot failed on %s: %.400s", driver, said ? said : "(it said nothing)");
    zo_free(said);
    return status;
}

static zo_status render(const char *folder, const char *work, const script *s, const table *t, const char *caption,
                        const char *out, const char *format, cJSON *files, zo_err *err)
{
    char picture[PATH_BYTES], driver[PATH_BYTES], log[PATH_BYTES], name[96];
    snprintf(name, sizeof name, "%s.%s", s->name, format);
    zo_path_join(picture, sizeof picture, out, name);
    zo_path_join(driver, sizeof driver, work, "driver.gp");
    zo_path_join(log, sizeof log, work, "gnuplot.log");
    zo_status status = write_driver(driver, folder, work, s, t, caption, format, picture, err);
    status = status ? status : run_gnuplot(driver, log, err);
    if (!status) {
        cJSON_AddItemToArray(files, cJSON_CreateString(picture));
    }
    return status;
}

static void clean_work(const char *work, int panels)
{
    char path[PATH_BYTES], name[32];
    for (int p = 0; p < panels; p++) {
        snprintf(name, sizeof name, "panel%d.dat", p + 1);
        unlink(zo_path_join(path, sizeof path, work, name));
    }
    unlink(zo_path_join(path, sizeof path, work, "driver.gp"));
    unlink(zo_path_join(path, sizeof path, work, "gnuplot.log"));
}

/* Was there a learning rate to choose by dev? */
static bool lr_was_chosen(sqlite3 *db)
{
    sqlite3_stmt *row;
    bool chosen = sqlite3_prepare_v2(db, "SELECT 1 FROM shown JOIN chosen USING (run) WHERE rivals > 0", -1, &row, NULL) == SQLITE_OK &&
                  sqlite3_step(row) == SQLITE_ROW;
    sqlite3_finalize(row);
    return chosen;
}

static zo_status plot_one(sqlite3 *db, const char *folder, const char *work, const script *s, const zo_plot_spec *spec, cJSON *report, zo_err *err)
{
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddItemToArray(report, entry);
    cJSON_AddStringToObject(entry, "plot", s->name);
    cJSON_AddStringToObject(entry, "title", s->title);
    table t;
    zo_status status = table_read(db, s, &t, err);
    if (!status && t.n == 0) {
        char why[320];
        snprintf(why, sizeof why, "needs %s", s->needs);
        cJSON_AddStringToObject(entry, "skipped", why);
    } else if (!status) {
        cJSON *files = cJSON_AddArrayToObject(entry, "files");
        for (int p = 0; p < t.panels && !status; p++) {
            char path[PATH_BYTES], name[32];
            snprintf(name, sizeof name, "panel%d.dat", p + 1);
            status = write_panel(&t, p, zo_path_join(path, sizeof path, work, name), err);
        }
        bool chosen = lr_was_chosen(db);
        char caption[400], formats[64];
        snprintf(caption, sizeof caption, "%s%s%s", s->caption, s->caption[0] && chosen ? "; " : "",
                 chosen ? "of several learning rates the best on dev" : "");
        snprintf(formats, sizeof formats, "%s", spec->formats);
        char *rest = formats;
        for (char *format; !status && (format = strtok_r(rest, ",", &rest));) {
            if (strcmp(format, "png") && strcmp(format, "svg")) {
                status = zo_fail(err, ZO_EINPUT, "--format names '%s'; png, svg or both (png,svg) are known", format);
            } else {
                status = render(folder, work, s, &t, caption, spec->out, format, files, err);
            }
        }
        if (t.panels == MOST_PANELS || t.series == MOST_SERIES) {
            cJSON_AddStringToObject(entry, "note", "more panels or series than one picture holds; the rest is left out: narrow the database with a config");
        }
        clean_work(work, t.panels);
    }
    table_free(&t);
    return status;
}

/* ---- the public functions ----------------------------------------------------------------------------------------------- */

/* The runs that plots show. Nothing is averaged but runs that differ in the seed alone (and in train_split_seed where that follows the seed):
 * every key of the config by which runs of one optimizer in one cell of the plots differ stands in the label, a key by which they differ
 * in any batch or context in `line`, the label of the sweeps over these. A cell is model, task, form, batch, context, fill, and whether
 * there was anything to evaluate (`study`: neither dev nor test). The learning rate is chosen by dev and by nothing else, as
 * `zo report --best lr` does it (the table `chosen`). Where there is no dev set it stands in the label. */
static const char SHOWN_SQL[] =
    "CREATE TEMP TABLE finished AS SELECT *, count(*) OVER (PARTITION BY optimizer, model, task, form, study, fill, batch, context) AS cellmates,"
    " count(*) OVER (PARTITION BY optimizer, model, task, form, study, fill) AS linemates FROM (SELECT *, dev = 0 AND test = 0 AS study,"
    " coalesce(json_extract(config, '$.fill'), 0) AS fill, json_extract(config, '$.train_split_seed') AS train_split_seed FROM main.runs"
    " WHERE status IN ('done', 'time', 'diverged', 'oom'));"
    "CREATE TEMP VIEW given AS"
    " SELECT f.*, k.id AS place, k.key AS name, k.value AS value FROM finished f, json_each(f.config) k"
    " WHERE k.key NOT IN ('seed', 'train_split_seed', 'model', 'task', 'form', 'batch', 'context', 'fill', 'lr', 'optimizer')"
    " UNION ALL SELECT f.*, o.id - 1000, o.key, o.value FROM finished f, json_each(f.config, '$.optimizer') o WHERE o.key <> 'name'"
    " UNION ALL SELECT f.*, 1000, 'lr', f.lr FROM finished f WHERE f.dev = 0"
    " UNION ALL SELECT f.*, 1001, 'train_split_seed', CASE WHEN f.train_split_seed = f.seed AND NOT EXISTS (SELECT 1 FROM finished g WHERE g.seed <> f.seed"
    " AND g.train_split_seed = f.seed AND g.model = f.model AND g.task = f.task AND g.split = f.split) THEN 'seed' ELSE f.train_split_seed END FROM finished f;"
    "CREATE TEMP TABLE setting AS SELECT run, place,"
    " CASE WHEN name IN ('mode', 'realisation', 'precision', 'device') THEN ' ' || value WHEN name = 'rank' THEN ' r' || value"
    " WHEN name IN ('train', 'dev', 'test') AND value = -1 THEN ' ' || name || ' all' ELSE ' ' || name || ' ' || value END AS words,"
    " min(value) OVER c <> max(value) OVER c OR count(value) OVER c < cellmates AS in_label,"
    " min(value) OVER l <> max(value) OVER l OR count(value) OVER l < linemates AS in_line FROM given"
    " WINDOW c AS (PARTITION BY optimizer, model, task, form, study, fill, batch, context, place < 0, name),"
    " l AS (PARTITION BY optimizer, model, task, form, study, fill, place < 0, name);"
    "DELETE FROM setting WHERE NOT in_line OR words IS NULL; CREATE INDEX temp.setting_of ON setting (run, place);"
    "CREATE TEMP TABLE labelled AS SELECT *, optimizer || coalesce((SELECT group_concat(words, '') FROM (SELECT words FROM setting s"
    " WHERE s.run = f.run AND in_label ORDER BY place)), '') AS label,"
    " optimizer || coalesce((SELECT group_concat(words, '') FROM (SELECT words FROM setting s WHERE s.run = f.run ORDER BY place)), '') AS line,"
    " CASE WHEN fill THEN ', filled' ELSE '' END AS filled FROM finished f;"
    "CREATE TEMP TABLE shown AS SELECT * FROM labelled WHERE run IN (SELECT run FROM chosen);"
    "CREATE TEMP VIEW trained AS SELECT *, model || ', ' || task || ', ' || form || filled || ', batch ' || batch || ', context ' || context AS cell"
    " FROM shown WHERE study = (SELECT min(study) FROM shown)"
    " AND (accuracy IS NOT NULL OR NOT EXISTS (SELECT 1 FROM shown WHERE accuracy IS NOT NULL));";

static bool wanted(const char *only, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (!strncmp(at, name, length) && (at[length] == ',' || !at[length])) {
            return true;
        }
    }
    return !only;
}

/* Every name in `only` must be a script. */
static zo_status check_only(const char *only, const script *scripts, int n, zo_err *err)
{
    char names[1024];
    snprintf(names, sizeof names, "%s", only ? only : "");
    char *rest = names;
    for (char *name; (name = strtok_r(rest, ",", &rest));) {
        bool known = false;
        char all[1024] = "";
        for (int i = 0; i < n; i++) {
            known |= !strcmp(scripts[i].name, name);
            snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", scripts[i].name);
        }
        if (!known) {
            return zo_fail(err, ZO_EINPUT, "--only names the plot '%s', which is not there: the plots are %s", name, all);
        }
    }
    return ZO_OK;
}

static zo_status plot_all(sqlite3 *db, const char *folder, const script *scripts, int n, const zo_plot_spec *spec, cJSON *report, zo_err *err)
{
    char *message = NULL;
    if (sqlite3_exec(db, SHOWN_SQL, NULL, NULL, &message) != SQLITE_OK) {
        zo_status status = zo_fail(err, ZO_EINPUT, "the database: %s: is it one written by zo?", message ? message : sqlite3_errmsg(db));
        sqlite3_free(message);
        return status;
    }
    zo_status status = zo_make_dirs(spec->out, err);
    const char *temporary = getenv("TMPDIR");
    char work[PATH_BYTES];
    snprintf(work, sizeof work, "%s/zo-plot-XXXXXX", temporary ? temporary : "/tmp");
    if (!status && !mkdtemp(work)) {
        return zo_fail(err, ZO_EIO, "a temporary folder cannot be made as %s: %s: set $TMPDIR to a folder that can be written", work, strerror(errno));
    }
    for (int i = 0; i < n && !status; i++) {
        if (wanted(spec->only, scripts[i].name)) {
            status = plot_one(db, folder, work, scripts + i, spec, report, err);
        }
    }
    rmdir(work);
    return status;
}

zo_status zo_plot(const zo_plot_spec *spec, cJSON **report, zo_err *err)
{
    *report = NULL;
    char folder[PATH_BYTES];
    script *scripts = NULL;
    int n = 0;
    zo_status status = script_folder(folder, sizeof folder, err);
    status = status ? status : scripts_read(folder, &scripts, &n, err);
    status = status ? status : check_only(spec->only, scripts, n, err);
    if (!status) {
        *report = cJSON_CreateArray();
        status = plot_all(spec->db, folder, scripts, n, spec, *report, err);
    }
    if (status) {
        cJSON_Delete(*report);
        *report = NULL;
    }
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
