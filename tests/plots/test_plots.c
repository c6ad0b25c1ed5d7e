/* test_plots.c: pictures of databases that the tests write themselves, read back from the SVG. First what must never happen: text of a
 * database, of --out or of $TMPDIR that becomes a command. Then what the pictures say. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "plots/plot.h"
#include "results/results.h"
#include "results/views.h"
#include "tests/suite.h"

static char folder[64], canary[128];

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%.4000s\" lacks \"%s\"", (text), (part))
#define ASSERT_LACKS(text, part) ck_assert_msg(strstr((text), (part)) == NULL, "\"%.4000s\" has \"%s\"", (text), (part))

static const char *scratch(const char *name)
{
    static char path[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

/* ---- a database ----------------------------------------------------------------------------------------------------------- */

static zo_results *results;

static void execute(sqlite3 *db, const char *sql)
{
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &message) == SQLITE_OK, "%s: %s", message, sql);
}

/* As zo makes it, but for constraints that somebody else's need not have. */
static sqlite3 *new_db(void)
{
    zo_err err = {0};
    unlink(scratch("plots.db"));
    ck_assert_msg(zo_results_open(&results, scratch("plots.db"), true, &err) == ZO_OK, "%s", err.text);
    sqlite3 *db = zo_results_handle(results);
    return db;
}

/* Runs that are there already, of another rank, and of another period. */
static void change_rank(sqlite3 *db, int first, int second)
{
    char sql[300];
    snprintf(sql, sizeof sql, "UPDATE cells SET config = json_set(config, '$.optimizer.rank', 4) WHERE cell = %d; UPDATE cells SET config = json_set(config, '$.optimizer.period', 50) "
             "WHERE cell = %d", first, second);
    execute(db, sql);
}

static void close_db(void)
{
    zo_results_close(results);
    results = NULL;
}

/* A finished run without figures; `note` is an option of its optimizer, `seed` its seed. */
static void add_bare(sqlite3 *db, int run, const char *model, const char *task, const char *optimizer, const char *note, int batch, int context, int seed)
{
    cJSON *config = cJSON_CreateObject(), *options = cJSON_AddObjectToObject(config, "optimizer");
    cJSON_AddNumberToObject(config, "seed", seed);
    cJSON_AddStringToObject(options, "name", optimizer);
    cJSON_AddStringToObject(options, "note", note);
    cJSON_AddNumberToObject(options, "rank", 1);
    cJSON_AddNumberToObject(options, "period", 1);
    char *json = cJSON_PrintUnformatted(config);
    char *sql = sqlite3_mprintf(
        "INSERT INTO cells VALUES (%d, 'i%d', 'h%d', %d, '', '', '', '', '', %d, %Q, %Q, %Q, 'head', %Q, '{}', %d, %d, 20, 0, 0, 0, 0.001, 0.001, %d, 'f32', 'inplace',"
        " 'f32', 'weights', 'default', 'first', 'cpu', 'drawn', 0, 0, 0, '', 10, 'accuracy', 'dev-metric', 100, 50, 50, 'full');"
        "INSERT INTO tries (run, try, cell, status, began) VALUES (%d, 't%d', %d, 'done', 'now');",
        run, run, run, ZO_MEANING, run, json, model, task, optimizer, batch, context, seed, run, run, run);
    execute(db, "PRAGMA foreign_keys = OFF");
    execute(db, sql);
    sqlite3_free(sql);
    cJSON_free(json);
    cJSON_Delete(config);
}

/* The same with something for every picture. */
static void add_run(sqlite3 *db, int run, const char *model, const char *task, const char *optimizer, const char *note, int batch, int context)
{
    add_bare(db, run, model, task, optimizer, note, batch, context, 0);
    char *sql = sqlite3_mprintf(
        "UPDATE tries SET accuracy = 0.75, metric_value = 0.75, selected = 'test@best-dev', step_ms = 7, step_ms_median = 6.5, peak_bytes = 6000000,"
        " train_peak_bytes = 5000000, parameters = 1000 * run, trained_parameters = 1000 * run WHERE run = %d;"
        "INSERT INTO evaluations (run, step, split, examples, accuracy, forwards, work, train_seconds, best) VALUES (%d, 10, 'dev', 50, 0.5, 20, 21, 7.5, 1),"
        " (%d, 20, 'dev', 50, 0.625, 40, 42, 15, 1);"
        "INSERT INTO steps (run, step, loss, projected, lr, forwards, work, train_seconds) VALUES (%d, 1, 0.7, 3, 1e-3, 2, 2.1, 0.75),"
        " (%d, 2, 0.6, -2, 1e-3, 4, 4.2, 1.5);"
        "INSERT INTO memory VALUES (%d, 'train', 'params', 4000000), (%d, 'train', 'activations', 1000000);"
        "INSERT INTO parts VALUES (%d, 'gemm', 10, 6.5), (%d, 'other', 1, 0.5);"
        "INSERT INTO profile SELECT %d, s.value, f.value, l.value, 0.01 * (2 + l.value) * s.value FROM json_each('[10, 20]') s, json_each('[-1, 0, 1]') l,"
        " json_each('[\"drift\", \"rank\", \"cosine\"]') f;",
        run, run, run, run, run, run, run, run, run, run);
    execute(db, sql);
    sqlite3_free(sql);
}

static int times(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part)) {
        n++;
    }
    return n;
}

/* ---- pictures --------------------------------------------------------------------------------------------------------------- */

static cJSON *entry_of(const cJSON *report, const char *plot)
{
    cJSON *entry;
    cJSON_ArrayForEach(entry, report) {
        if (!strcmp(cJSON_GetObjectItem(entry, "plot")->valuestring, plot)) {
            return entry;
        }
    }
    ck_abort_msg("the report has no %s", plot);
    return NULL;
}

static const char *word_of(const cJSON *entry, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(entry, key);
    return item ? item->valuestring : NULL;
}

static void make_views(void)
{
    zo_err err = {0};
    ck_assert_msg(zo_results_views(results, zo_cell_keys(), &err) == ZO_OK, "%s", err.text);
}

/* Every plot, and none failed. The caller deletes the report. */
static cJSON *draw(sqlite3 *db, const char *out, const char *only, const char *formats)
{
    zo_plot_spec spec = {.db = db, .out = out, .only = only, .formats = formats};
    cJSON *report, *entry;
    zo_err err = {0};
    make_views();
    ck_assert_msg(zo_plot(&spec, &report, &err) == ZO_OK, "%s", err.text);
    cJSON_ArrayForEach(entry, report) {
        ck_assert_msg(!word_of(entry, "failed"), "%s", word_of(entry, "failed"));
    }
    return report;
}

/* What is drawn as text in out/plot.svg, one element a line; the caller frees it. All of it begins within the picture. */
static char *drawn_text(const char *out, const char *plot)
{
    char path[4200], name[96], *svg;
    size_t bytes;
    zo_err err = {0};
    snprintf(name, sizeof name, "%s.svg", plot);
    ck_assert_msg(zo_read_file(zo_path_join(path, sizeof path, out, name), 1 << 24, &svg, &bytes, &err) == ZO_OK, "%s", err.text);
    static const struct {
        const char *escape, plain;
    } of[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&#39;", '\''}, {"&#160;", ' '}};
    double width, height, x = -1, y = -1;
    const char *box = strstr(svg, "viewBox=\"0 0 ");
    ck_assert(box && sscanf(box, "viewBox=\"0 0 %lf %lf", &width, &height) == 2);
    char *to = svg;
    for (char *line = svg, *next; line; line = next) { /* line by line: a search would read the rest of the picture each time */
        next = strchr(line, '\n');
        if (next) {
            *next++ = '\0';
        }
        const char *moved = strstr(line, "translate("), *at = strstr(line, "<text");
        if (moved) {
            ck_assert_int_eq(sscanf(moved, "translate(%lf,%lf", &x, &y), 2);
        }
        if (!at) {
            continue;
        }
        ck_assert_msg(x >= 0 && x <= width && y >= 0 && y <= height, "%s: %.60s is outside of the picture", plot, at);
        const char *end = strstr(at, "</text>");
        ck_assert_ptr_nonnull(end);
        while (at < end) {
            if (*at == '<') {
                at = strchr(at, '>') + 1;
                continue;
            }
            size_t i = 0;
            while (i < sizeof of / sizeof *of && strncmp(at, of[i].escape, strlen(of[i].escape))) {
                i++;
            }
            ck_assert_msg(*at != '&' || i < sizeof of / sizeof *of, "an escape that is not known: %.10s", at);
            *to++ = *at == '&' ? of[i].plain : *at;
            at += *at == '&' ? strlen(of[i].escape) : 1;
        }
        *to++ = '\n';
    }
    *to = '\0';
    return svg;
}

static bool was_run(void)
{
    return zo_path_exists(canary);
}

/* Texts that some language between the database and the picture could take for its own. %s is the path of the canary. */
static const char *const hostile[] = {"`touch %s`", "$(touch %s)", "\"; system(\"touch %s\"); \"", "'; system('touch %s'); '", "\\\"`touch %s`\\\"", "|touch %s",
                                      "< touch %s", "@begin", "@title_text `touch %s`", "%%s%%n%%d%%T 100%% %%", "{/Symbol a}_1^2 &{x} ~a{.8-}", "\\n\\t\\101\\",
                                      "# comment", "</text><script>x</script>&amp;&#65;", "\"1\"2\\3\\n4 \\101", "NaN", "?", "-", "1e5", "a\nb\r\tc", "tab\tand \"quotes\" \"", "\"", "''", "",
                                      "\xff\xfe\xc3(\xe2\x82 latin", "\xc3\xa9\xe2\x82\xac\xf0\x9d\x84\x9e", "\x1b]0;title\x07\x1b[31m", "set output '%s'", "; touch %s ;", "!touch %s"};
enum { HOSTILE = sizeof hostile / sizeof *hostile, ALL_HOSTILE = HOSTILE + 5 };

/* The text number i, of at most 60 bytes where the canary's path is short: the hostile ones, then all bytes 1 to 255 in pieces of 51. */
static void make_hostile(int i, char *text, size_t bytes)
{
    if (i < HOSTILE) {
        snprintf(text, bytes, hostile[i], canary);
        return;
    }
    int n = 0;
    for (int c = 51 * (i - HOSTILE) + 1; n < 51; c++) {
        text[n++] = (char)c;
    }
    text[n] = '\0';
}

/* All white space left out: texts are folded. */
static char *squeezed(char *text)
{
    char *to = text;
    for (const char *at = text; *at; at++) {
        if (*at != ' ' && *at != '\n') {
            *to++ = *at;
        }
    }
    *to = '\0';
    return text;
}

static void assert_drawn(const char *text, const char *out, const char *plot)
{
    char plain[256], *all = drawn_text(out, plot);
    snprintf(plain, sizeof plain, "%s", text);
    squeezed(zo_text_plain(plain));
    squeezed(all);
    ck_assert_msg(strstr(all, plain) != NULL, "%s.svg lacks '%s': %s", plot, plain, all);
    zo_free(all);
}

/* Texts of every kind as model, task, optimizer and option, a third of them at a time. */
START_TEST(text_from_outside_is_drawn_and_nothing_else)
{
    sqlite3 *db = new_db();
    char text[256];
    int n = 0;
    for (int i = _i; i < ALL_HOSTILE; i += 3) {
        make_hostile(i, text, sizeof text);
        add_run(db, ++n, text, "t", "o", "x", 8, 32);
        add_run(db, ++n, text, "t", "o", "x", 16, 32);
        add_run(db, ++n, text, "t", "o", "x", 8, 64);
        add_run(db, ++n, text, "t", "o", "x", 8, 32);
        add_run(db, ++n, text, "t", "o", "x", 8, 32);
        change_rank(db, n - 1, n);
        add_run(db, ++n, "m", text, "o", "x", 8, 32);
        add_run(db, ++n, "m", "t", text, "x", 8, 32);
        add_run(db, ++n, "m", "t", "p", text, 8, 32);
    }
    cJSON *report = draw(db, scratch("out"), NULL, "svg"), *entry;
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "png"));
    ck_assert_msg(!was_run(), "a command was run");
    char *bars = drawn_text(scratch("out"), "accuracy_bars"), label[300];
    for (int i = _i; i < ALL_HOSTILE; i += 3) {
        make_hostile(i, text, sizeof text);
        cJSON_ArrayForEach(entry, report) {
            ck_assert_msg(!word_of(entry, "skipped"), "%s: %s (does add_run fill what it reads?)", word_of(entry, "plot"), word_of(entry, "skipped"));
            ck_assert_msg(!word_of(entry, "note"), "%s: %s", word_of(entry, "plot"), word_of(entry, "note"));
            if (strcmp(word_of(entry, "plot"), "memory_vs_parameters") != 0) { /* the model's name stands in every other picture */
                assert_drawn(text, scratch("out"), word_of(entry, "plot"));
            }
        }
        zo_text_plain(text);
        snprintf(label, sizeof label, "\np note %s\n", text);
        ASSERT_HAS(bars, label);
    }
    squeezed(bars); /* names along the axis are folded */
    for (int i = _i; i < ALL_HOSTILE; i += 3) {
        make_hostile(i, text, sizeof text);
        squeezed(zo_text_plain(text));
        ck_assert_msg(text[0] == '\0' || times(bars, text) >= 3, "'%s' is not a label of the axis and two of the legend: %.800s", text, bars);
    }
    zo_free(bars);
    cJSON_Delete(report);
    close_db();
}
END_TEST

/* --out, $TMPDIR and $ZO_PLOTS are paths and nothing else: folders with these names, a third of them one in the other. */
START_TEST(paths_are_paths)
{
    char out[2048], temporary[2048], scripts[2048], to[2200], text[256], from[64], *gp;
    size_t bytes;
    zo_err err = {0};
    int n = snprintf(out, sizeof out, "%s/out", folder);
    for (int i = _i; i < ALL_HOSTILE; i += 3) {
        make_hostile(i, text, sizeof text);
        n += snprintf(out + n, sizeof out - (size_t)n, "/%s", text);
    }
    snprintf(temporary, sizeof temporary, "%s/tmp%s", folder, out + strlen(folder));
    snprintf(scripts, sizeof scripts, "%s/gp%s", folder, out + strlen(folder));
    ck_assert_int_eq(zo_make_dirs(temporary, &err), ZO_OK);
    ck_assert_int_eq(zo_make_dirs(scripts, &err), ZO_OK);
    static const char *const needed[] = {"prelude.gp", "accuracy_bars.gp"};
    for (int i = 0; i < 2; i++) {
        snprintf(from, sizeof from, "plots/%s", needed[i]);
        ck_assert_int_eq(zo_read_file(from, 1 << 20, &gp, &bytes, &err), ZO_OK);
        ck_assert_int_eq(zo_write_file(zo_path_join(to, sizeof to, scripts, needed[i]), gp, bytes, &err), ZO_OK);
        zo_free(gp);
    }
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    setenv("TMPDIR", temporary, 1);
    setenv("ZO_PLOTS", scripts, 1);
    cJSON_Delete(draw(db, out, NULL, "svg,png"));
    unsetenv("ZO_PLOTS");
    unsetenv("TMPDIR");
    ck_assert_msg(!was_run(), "a command in the path '%s' was run", out);
    assert_drawn("m, head, batch 8, context 16", out, "accuracy_bars");
    ck_assert_msg(rmdir(temporary) == 0, "the private folder was left in $TMPDIR");
    close_db();
}
END_TEST

/* Start-up files, search paths and a default terminal of the user's change nothing. */
START_TEST(the_users_gnuplot_settings_do_not_matter)
{
    zo_err err = {0};
    char text[512];
    ck_assert_int_eq(zo_make_dirs(scratch("home"), &err), ZO_OK);
    ck_assert_int_eq(zo_make_dirs(scratch("lib"), &err), ZO_OK);
    int n = snprintf(text, sizeof text, "system \"touch %s\"\n", canary);
    ck_assert_int_eq(zo_write_file(scratch("home/.gnuplot"), text, (size_t)n, &err), ZO_OK);
    ck_assert_int_eq(zo_write_file(scratch("lib/prelude.gp"), text, (size_t)n, &err), ZO_OK);
    ck_assert_int_eq(zo_write_file(scratch("lib/panel1.dat"), "1 1 0\n", 6, &err), ZO_OK);
    char *home = strdup(getenv("HOME") ? getenv("HOME") : "/");
    setenv("HOME", scratch("home"), 1);
    setenv("GNUPLOT_LIB", scratch("lib"), 1);
    setenv("GNUTERM", "no-such-terminal", 1);
    setenv("GNUPLOT_DRIVER_DIR", scratch("lib"), 1);
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg,png"));
    ck_assert(!was_run());
    assert_drawn("m, head, batch 8, context 16", scratch("out"), "accuracy_bars");
    setenv("HOME", home, 1);
    free(home);
    close_db();
}
END_TEST

/* ---- what goes wrong ------------------------------------------------------------------------------------------------------------ */

START_TEST(lists_are_read_whole)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    char many[2000] = "", names[3000] = "";
    while (strlen(many) < 1900) {
        strcat(many, "svg,");
    }
    while (strlen(names) < 2900) {
        strcat(names, "accuracy_bars,");
    }
    strcat(many, "eps");
    strcat(names, "accuracy_bar");
    const struct {
        const char *only, *formats, *says;
    } of[] = {{NULL, "", "--format names the format ''"}, {NULL, "svg,", "the format ''"},          {NULL, ",svg", "the format ''"},
              {NULL, "svg png", "'svg png'"},             {NULL, "SVG", "'SVG', which is not there: a list, without spaces, of some of png, svg, pdf"},
              {NULL, many, "'eps'"},                      {"", "svg", "--only names the plot ''"},  {"accuracy_bars,", "svg", "the plot ''"},
              {names, "svg", "'accuracy_bar'"},           {"prelude", "svg", "accuracy_bars, "}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_plot_spec spec = {.db = db, .out = scratch("out"), .only = of[i].only, .formats = of[i].formats};
        cJSON *report;
        zo_err err = {0};
        ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EINPUT);
        ck_assert_ptr_null(report);
        ASSERT_HAS(err.text, of[i].says);
    }
    zo_plot_spec sized = {.db = db, .out = scratch("out"), .formats = "svg", .size = "poster"};
    cJSON *report;
    zo_err err = {0};
    ck_assert_int_eq(zo_plot(&sized, &report, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "--size is 'poster'; one of column, text, slide is expected");
    ck_assert(!zo_path_exists(scratch("out")));
    close_db();
}
END_TEST

START_TEST(one_bad_picture_does_not_end_all)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    zo_err err = {0};
    ck_assert_int_eq(zo_make_dirs(scratch("out/accuracy_bars.svg"), &err), ZO_OK); /* a folder where the file should go */
    ck_assert_int_eq(symlink("/dev/full", scratch("out/loss_vs_step.svg")), 0);
    ck_assert_int_eq(symlink("elsewhere.svg", scratch("out/memory_by_tag.svg")), 0);
    ck_assert_int_eq(mkfifo(scratch("out/accuracy_vs_hours.svg"), 0666), 0); /* nobody reads */
    zo_plot_spec spec = {.db = db, .out = scratch("out"), .formats = "svg"};
    cJSON *report;
    ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EIO);
    ASSERT_HAS(err.text, "3 of ");
    ASSERT_HAS(err.text, "accuracy_bars.svg: cannot be written");
    ASSERT_HAS(word_of(entry_of(report, "accuracy_bars"), "failed"), "out/accuracy_bars.svg");
    ASSERT_HAS(word_of(entry_of(report, "loss_vs_step"), "failed"), "out/loss_vs_step.svg: cannot be written (No space left on device)");
    ASSERT_HAS(word_of(entry_of(report, "accuracy_vs_hours"), "failed"), "out/accuracy_vs_hours.svg: cannot be written");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(entry_of(report, "loss_vs_step"), "files")), 0);
    ck_assert_ptr_null(word_of(entry_of(report, "memory_by_tag"), "failed"));
    struct stat st;
    ck_assert(lstat(scratch("out/memory_by_tag.svg"), &st) == 0 && S_ISLNK(st.st_mode));
    ck_assert(stat(scratch("out/elsewhere.svg"), &st) == 0 && st.st_size > 1000); /* the link was followed */
    ck_assert(stat(scratch("out/step_time_by_part.svg"), &st) == 0 && st.st_size > 1000);
    cJSON_Delete(report);
    close_db();
}
END_TEST

/* Files of this and of gnuplot's process end at 8 kB, as on a disk that is full; a picture that is not whole is never stored. */
START_TEST(half_a_picture_is_no_picture)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        signal(SIGXFSZ, SIG_IGN);
        struct rlimit limit = {9000, 9000};
        setrlimit(RLIMIT_FSIZE, &limit);
        zo_plot_spec spec = {.db = db, .out = scratch("out"), .only = "accuracy_bars", .formats = "svg"};
        cJSON *report;
        zo_err err = {0};
        _exit(zo_plot(&spec, &report, &err) == ZO_EIO && strstr(err.text, "accuracy_bars") && !zo_path_exists(scratch("out/accuracy_bars.svg")) ? 0 : 1);
    }
    int state;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    close_db();
}
END_TEST

/* How a gnuplot ends that fails, and the last line of what it said. */
START_TEST(what_gnuplot_says_is_said)
{
    static const struct { const char *script, *says; } of[] = {
        {"echo first; echo; echo 'line 7: too bad' >&2; echo; exit 3", "gnuplot ended with code 3: line 7: too bad"},
        {"echo alone; exit 1", "gnuplot ended with code 1: alone"},
        {"exit 2", "gnuplot ended with code 2: it said nothing"},
        {"echo half; kill -9 $$", "gnuplot was ended by signal 9: half"},
    };
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    zo_err err = {0};
    char path[8000], text[200], *before = strdup(getenv("PATH"));
    snprintf(path, sizeof path, "%s:%s", scratch("fake"), before);
    ck_assert_int_eq(zo_make_dirs(scratch("fake"), &err), ZO_OK);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        int n = snprintf(text, sizeof text, "#!/bin/sh\n%s\n", of[i].script);
        ck_assert_int_eq(zo_write_file(scratch("fake/gnuplot"), text, (size_t)n, &err), ZO_OK);
        ck_assert_int_eq(chmod(scratch("fake/gnuplot"), 0700), 0);
        setenv("PATH", path, 1);
        zo_plot_spec spec = {.db = db, .out = scratch("out"), .only = "accuracy_bars", .formats = "svg"};
        cJSON *report = NULL;
        ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EIO);
        setenv("PATH", before, 1);
        ASSERT_HAS(err.text, of[i].says);
        cJSON_Delete(report);
    }
    free(before);
    close_db();
}
END_TEST

START_TEST(no_gnuplot_and_no_folder_are_said_once)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    zo_plot_spec spec = {.db = db, .out = scratch("out"), .formats = "svg"};
    cJSON *report;
    zo_err err = {0};
    char *path = strdup(getenv("PATH")), long_path[5000];
    setenv("PATH", folder, 1);
    ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EIO);
    setenv("PATH", path, 1);
    free(path);
    ASSERT_HAS(err.text, "gnuplot cannot be started");
    ck_assert_ptr_null(report);
    setenv("TMPDIR", "/no/such/folder", 1);
    ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EIO);
    ASSERT_HAS(err.text, "/no/such/folder");
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[sizeof long_path - 1] = '\0';
    setenv("TMPDIR", long_path, 1);
    ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EIO);
    ASSERT_HAS(err.text, "$TMPDIR is a path of 4999 bytes");
    setenv("TMPDIR", "", 1); /* as if it were not set */
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
    unsetenv("TMPDIR");
    spec.out = long_path;
    ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "--out is a path of 4999 bytes");
    execute(db, "DROP VIEW runs");
    ck_assert_int_eq(zo_results_views(results, zo_cell_keys(), &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "no such table: main.runs");
    close_db();
}
END_TEST

START_TEST(numbers_that_no_axis_holds_are_said)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    execute(db, "UPDATE steps SET loss = 1e308 WHERE step = 2");
    cJSON *report = draw(db, scratch("out"), NULL, "svg");
    ASSERT_HAS(word_of(entry_of(report, "loss_vs_step"), "note"), "numbers are too large to be drawn");
    ck_assert_ptr_null(word_of(entry_of(report, "accuracy_bars"), "note"));
    cJSON_Delete(report);
    close_db();
}
END_TEST

static void assert_caption(const char *plot, const char *has)
{
    char *text = squeezed(drawn_text(scratch("out"), plot));
    ASSERT_HAS(text, has);
    zo_free(text);
}

/* 70 methods: 64 labels of the axis, 48 of the legend, and a note that says so; 48 and 64 are drawn without one. */
START_TEST(what_is_left_out_is_said)
{
    for (int methods = 48; methods <= 70; methods += 22) {
        sqlite3 *db = new_db();
        for (int i = 1; i <= methods; i++) {
            char name[16];
            snprintf(name, sizeof name, "opt%03d", i);
            add_run(db, i, "m", "t", name, "x", 8, 16);
        }
        cJSON *report = draw(db, scratch("out"), "memory_by_tag,accuracy_bars", "svg");
        const char *axis = word_of(entry_of(report, "memory_by_tag"), "note"), *legend = word_of(entry_of(report, "accuracy_bars"), "note");
        char *text = drawn_text(scratch("out"), "memory_by_tag"), *keys = drawn_text(scratch("out"), "accuracy_bars");
        ASSERT_HAS(keys, "\nopt048\n");
        ASSERT_LACKS(keys, "opt049");
        zo_free(keys);
        if (methods == 48) {
            ck_assert_ptr_null(axis);
            ck_assert_ptr_null(legend);
        } else {
            ASSERT_HAS(axis, "64 of 70 labels of the axis are drawn");
            ASSERT_HAS(legend, "48 of 70 methods of the legend are drawn");
            ASSERT_HAS(text, "opt064\n");
            assert_caption("accuracy_bars", "48of70methodsofthelegendaredrawn");
            ASSERT_LACKS(text, "opt065");
        }
        zo_free(text);
        cJSON_Delete(report);
        close_db();
    }
}
END_TEST

/* Broken after each place between 40 and 80 bytes: nothing of the text is lost or changed, digits least of all. */
START_TEST(broken_lines_lose_nothing)
{
    sqlite3 *db = new_db();
    for (int i = 0; i < 40; i++) {
        char model[64];
        int n = snprintf(model, sizeof model, "%02d", i);
        memset(model + n, 'a', sizeof model - (size_t)n);
        model[n + i] = '\0';
        add_run(db, i + 1, model, "t1", "o", "x", 8, 16);
    }
    cJSON_Delete(draw(db, scratch("out"), "memory_by_tag", "svg"));
    char *text = squeezed(drawn_text(scratch("out"), "memory_by_tag"));
    for (int i = 0; i < 40; i++) {
        char model[64], want[128];
        int n = snprintf(model, sizeof model, "%02d", i);
        memset(model + n, 'a', sizeof model - (size_t)n);
        model[n + i] = '\0';
        snprintf(want, sizeof want, "%so", model); /* the panel's title and the first text of its axis */
        ASSERT_HAS(text, want);
    }
    ck_assert_int_eq(times(text, "t1,head,batch8,context16"), 1); /* what all panels share */
    zo_free(text);
    close_db();
}
END_TEST

/* Long names: as many as a legend has room for, the rest in the middle left out; the caption folded. */
START_TEST(long_texts_are_fitted)
{
    char model[3000], option[600];
    memset(model, 'a', sizeof model - 1);
    model[sizeof model - 1] = '\0';
    for (size_t i = 0; i + 3 < sizeof option; i += 3) {
        memcpy(option + i, "\xe2\x82\xac", 4); /* euro signs: cut between characters, never within */
    }
    memcpy(option + 594, "end", 4);
    sqlite3 *db = new_db();
    add_run(db, 1, model, "t", "o", option, 8, 16);
    add_run(db, 2, model, "t", "o", "x", 8, 16);
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg,png"));
    char *text = drawn_text(scratch("out"), "accuracy_bars");
    ASSERT_HAS(text, "aa...");
    char line[92] = "\n"; /* a name that has no space to be broken at, in lines of 89: the width of the text in a font of 7 points */
    memset(line + 1, 'a', 89);
    line[90] = '\n';
    ASSERT_HAS(text, line);
    line[90] = 'a';
    ASSERT_LACKS(text, line);
    ASSERT_HAS(text, "batch 8, context 16\n");
    squeezed(text);
    ASSERT_HAS(text, "\xe2\x82\xac...\xe2\x82\xac");
    const char *label = strstr(text, "onote\xe2\x82\xac");
    ck_assert_ptr_nonnull(label);
    long bytes = 2 + strstr(label, "end") + 3 - label; /* with its two spaces, what is left is as long as it may be: 120, less or more by what is left of a euro */
    ck_assert_msg(bytes > 120 - 3 && bytes < 120 + 3, "%ld bytes", bytes);
    ASSERT_LACKS(text, "?");
    zo_free(text);
    close_db();
}
END_TEST

/* ---- what the pictures say -------------------------------------------------------------------------------------------------------- */

/* One number of the temporary tables that the last picture was drawn from. */
static double number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row;
    ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &row, NULL) == SQLITE_OK, "%s: %s", sqlite3_errmsg(db), sql);
    ck_assert_int_eq(sqlite3_step(row), SQLITE_ROW);
    double x = sqlite3_column_double(row, 0);
    sqlite3_finalize(row);
    return x;
}

#define ASSERT_NEAR(x, y) ck_assert_double_eq_tol((x), (y), 1e-9)

/* Lines end after a space, where there is one near the end: this name is more than a line of 89. */
START_TEST(lines_end_between_words)
{
    static const char model[] = "seventy eightyfour nineteen thirteens seventy eightyfour nineteen thirteens seventy eightyfour nineteen";
    sqlite3 *db = new_db();
    add_run(db, 1, model, "t", "o", "x", 8, 16);
    add_run(db, 2, model, "t", "o2", "x", 8, 16);
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
    char *text = drawn_text(scratch("out"), "accuracy_bars");
    int found = 0, lines = 0;
    char *rest = strstr(text, "seventy");
    ck_assert_ptr_nonnull(rest);
    while (found < 11) { /* word by word, each whole on its line */
        static const char *const word[] = {"seventy", "eightyfour", "nineteen", "thirteens"};
        char *line = rest, *end = strchr(rest, '\n');
        *end = '\0';
        ck_assert_msg(strlen(line) <= 89, "%s", line);
        for (char *at = strtok(line, " "); at != NULL && found < 11; at = strtok(NULL, " ")) {
            ck_assert_int_eq(strncmp(at, word[found % 4], strlen(word[found % 4])), 0); /* a comma is behind the last */
            found++;
        }
        rest = end + 1;
        lines++;
    }
    ck_assert_int_gt(lines, 1);
    zo_free(text);
    close_db();
}
END_TEST

/* Pictures of one's own: what is wrong with a script is said, and the others are drawn. */
START_TEST(scripts_of_ones_own)
{
    static const struct { const char *name, *sql, *says; } script[] = {
        {"few", "SELECT 'p', 's', 1", "few.gp: its SQL gives 3 columns, the last called '1'; panel, series, x, 1 to 11 numbers and `runs` (group_concat(run)) are expected"},
        {"many", "SELECT 'p', 's', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, NULL AS runs", "many.gp: its SQL gives 16 columns"},
        {"most", "SELECT 'p', 's', 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, NULL AS runs", NULL},
        {"nameless", "SELECT 'p', 's', 1, 2, 3", "nameless.gp: its SQL gives 5 columns, the last called '3'"},
        {"least", "SELECT 'p', 's', 1, 2, NULL AS runs", NULL},
        {"wrong", "SELECT 'p' FROM nowhere", "wrong.gp: no such table: nowhere"}};
    zo_err err = {0};
    char text[600], here[2000], path[2100];
    ck_assert_ptr_nonnull(getcwd(here, sizeof here));
    ck_assert_int_eq(zo_make_dirs(scratch("share/plots"), &err), ZO_OK);
    snprintf(path, sizeof path, "%s/plots/prelude.gp", here);
    ck_assert_int_eq(symlink(path, scratch("share/plots/prelude.gp")), 0);
    for (size_t k = 0; k < sizeof script / sizeof *script; k++) {
        snprintf(path, sizeof path, "share/plots/%s.gp", script[k].name);
        snprintf(text, sizeof text, "# title: T\n# needs: something\n# sql: %s\n@begin\ndo for [panel = 1:panels] {\n    @frame\n    plot for [s = 1:series] panel_data[panel] "
                 "index s - 1 using 1:2\n}\n",
                 script[k].sql);
        ck_assert_int_eq(zo_write_file(scratch(path), text, strlen(text), &err), ZO_OK);
    }
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    setenv("ZO_SHARE", scratch("share"), 1);
    zo_plot_spec spec = {.db = db, .out = scratch("out"), .formats = "svg"};
    cJSON *report, *list;
    ck_assert_int_ne(zo_plot(&spec, &report, &err), ZO_OK);
    for (size_t k = 0; k < sizeof script / sizeof *script; k++) {
        const char *failed = word_of(entry_of(report, script[k].name), "failed");
        ck_assert_msg((failed == NULL) == (script[k].says == NULL), "%s: %s", script[k].name, failed);
        if (failed != NULL) {
            ASSERT_HAS(failed, script[k].says);
        }
    }
    cJSON_Delete(report);
    ck_assert_int_eq(zo_plot_list(&list, &err), ZO_OK); /* by name */
    ck_assert_int_eq(cJSON_GetArraySize(list), 6);
    ck_assert_str_eq(word_of(cJSON_GetArrayItem(list, 0), "plot"), "few");
    ck_assert_str_eq(word_of(cJSON_GetArrayItem(list, 5), "plot"), "wrong");
    ck_assert_str_eq(word_of(cJSON_GetArrayItem(list, 0), "title"), "T");
    ck_assert_str_eq(word_of(cJSON_GetArrayItem(list, 0), "needs"), "something");
    cJSON_Delete(list);
    unsetenv("ZO_SHARE");
    close_db();
}
END_TEST

START_TEST(an_empty_database_fills_nothing_and_fails_nowhere)
{
    sqlite3 *db = new_db();
    cJSON *report = draw(db, scratch("out"), NULL, "svg"), *entry;
    ck_assert_int_ge(cJSON_GetArraySize(report), 12);
    cJSON_ArrayForEach(entry, report) {
        ASSERT_HAS(word_of(entry, "skipped"), "needs ");
        ASSERT_LACKS(word_of(entry, "skipped"), "left out");
    }
    cJSON_Delete(report);
    close_db();
}
END_TEST

START_TEST(scores_are_those_of_the_metric)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "u", "o", "x", 8, 16);
    execute(db, "UPDATE cells SET metric = 'f1'; UPDATE tries SET metric_value = 0.3;"
                "UPDATE evaluations SET f1 = 0.2, macro_f1 = 0.8, matthews = -0.25 WHERE step = 10; UPDATE evaluations SET f1 = 0.4 WHERE step = 20");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    static const char *const dev[] = {"accuracy_vs_work", "accuracy_vs_forwards", "accuracy_vs_hours"};
    for (int i = 0; i < 3; i++) {
        char *text = drawn_text(scratch("out"), dev[i]);
        ASSERT_HAS(text, "\ndev F1 of class 1 (%)\n");
        ASSERT_LACKS(text, "accuracy");
        ASSERT_LACKS(text, "\nt, F1");
        zo_free(text);
    }
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 10"), 20);
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 20"), 40);
    ASSERT_NEAR(number(db, "SELECT work FROM dev_points WHERE step = 20"), 42);
    ASSERT_NEAR(number(db, "SELECT forwards FROM dev_points WHERE step = 20"), 40);
    execute(db, "UPDATE cells SET metric = 'matthews' WHERE cell = 2; UPDATE tries SET metric_value = -0.5 WHERE run = 2");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE panel LIKE 'm, u, %, Matthews correlation' AND step = 10"), -25);
    char *bars = drawn_text(scratch("out"), "accuracy_bars"), *curve = drawn_text(scratch("out"), "accuracy_vs_work");
    ASSERT_HAS(bars, "\nF1 of class 1\n");
    ASSERT_HAS(bars, "\nMatthews correlation\n");
    ASSERT_HAS(bars, "\nm, head, batch 8, context 16\n");
    ASSERT_HAS(bars, "\nmetric (%)\n");
    ASSERT_HAS(bars, "-"); /* of the axis: the bar below 0 */
    ASSERT_HAS(curve, "\nu, Matthews correlation\n");
    ASSERT_HAS(curve, "\nwork in plain forwards of the mean batch (log scale)\n");
    zo_free(bars);
    zo_free(curve);
    execute(db, "UPDATE cells SET metric = 'macro_f1'");
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 10"), 80);
    close_db();
}
END_TEST

/* How often the SVG of the plot has the colour, spaces apart. */
static int count_colour(const char *plot, const char *rgb)
{
    char name[64], *text, *to;
    size_t bytes;
    zo_err err = {0};
    snprintf(name, sizeof name, "out/%s.svg", plot);
    ck_assert_msg(zo_read_file(scratch(name), 1 << 22, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    to = text;
    for (const char *at = text; *at; at++) {
        *to = *at;
        to += *at != ' ';
    }
    *to = '\0';
    int count = 0;
    for (const char *at = text; (at = strstr(at, rgb)) != NULL; at++) {
        count++;
    }
    zo_free(text);
    return count;
}

/* Whoever stands beside it, a method has its colour of results/styles.sql and its printed name; one without a row there gets a colour that no other
 * method of the picture has, in all its settings. */
START_TEST(a_method_has_one_colour)
{
    static const char tezo[] = "rgb(0,158,115)", mezo[] = "rgb(0,114,178)", svrg[] = "rgb(213,94,0)";
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "sst2", "tezo", "x", 8, 16);
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars,accuracy_vs_work", "svg"));
    ck_assert_int_gt(count_colour("accuracy_bars", tezo), 0);
    ck_assert_int_gt(count_colour("accuracy_vs_work", tezo), 0);
    ck_assert_int_eq(count_colour("accuracy_bars", mezo), 0);
    add_run(db, 2, "m", "sst2", "foo", "x", 8, 16); /* the first spare colour is mezo's: there is none of mezo here */
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
    ck_assert_int_gt(count_colour("accuracy_bars", mezo), 0);
    add_run(db, 3, "m", "sst2", "mezo", "x", 8, 16);
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
    ck_assert_int_gt(count_colour("accuracy_bars", mezo), 0);
    ck_assert_int_gt(count_colour("accuracy_bars", tezo), 0);
    ck_assert_int_gt(count_colour("accuracy_bars", svrg), 0); /* the second is svrg's, and foo has it */
    char *text = drawn_text(scratch("out"), "accuracy_bars");
    ASSERT_HAS(text, "\nTeZO\n");
    ASSERT_HAS(text, "\nMeZO\n");
    ASSERT_HAS(text, "\nfoo\n");
    ASSERT_HAS(text, "\nSST-2\n");
    zo_free(text);
    int before = count_colour("accuracy_bars", svrg);
    add_run(db, 4, "m", "sst2", "foo", "y", 8, 16); /* and another setting of it */
    cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
    ck_assert_int_gt(count_colour("accuracy_bars", svrg), before);
    text = drawn_text(scratch("out"), "accuracy_bars");
    ASSERT_HAS(text, "\nfoo note x\n");
    ASSERT_HAS(text, "\nfoo note y\n");
    zo_free(text);
    close_db();
}
END_TEST

/* Three seeds: one lives, one diverges at step 25 and has no evaluation after 20, one is dead from step 30 on but is still evaluated. */
START_TEST(curves_say_who_is_alive)
{
    sqlite3 *db = new_db();
    for (int seed = 1; seed <= 3; seed++) {
        add_bare(db, seed, "m", "t", "o", "x", 8, 16, seed);
        for (int step = 10; step <= (seed == 2 ? 20 : 40); step += 10) {
            char sql[600];
            snprintf(sql, sizeof sql, "INSERT INTO evaluations (run, step, split, examples, accuracy, forwards, work, train_seconds, best) VALUES (%d, %d, 'dev', 50, %g, %d, %d, %d, 0);"
                     "INSERT INTO steps (run, step, loss, forwards, work, train_seconds) VALUES (%d, %d, %g, %d, %d, %d)",
                     seed, step, 0.5 + 0.1 * seed, 2 * step, 2 * step + seed, step, seed, step, 0.7 * seed, 2 * step, 2 * step + seed, step);
            execute(db, sql);
        }
    }
    execute(db, "UPDATE tries SET accuracy = 0.6, metric_value = 0.6, selected = 'test@best-dev';"
                "UPDATE tries SET status = 'diverged', marks = 'diverged', fault_step = 25 WHERE run = 2;"
                "UPDATE tries SET status = 'dead', marks = 'dead,constant', fault_step = 30 WHERE run = 3");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    static const int alive[] = {3, 3, 1, 1};
    for (int i = 0; i < 4; i++) {
        char sql[200];
        snprintf(sql, sizeof sql, "SELECT alive FROM dev_points WHERE step = %d", 10 * i + 10);
        ck_assert_int_eq((int)number(db, sql), alive[i]);
        snprintf(sql, sizeof sql, "SELECT alive FROM loss_points WHERE step = %d", 10 * i + 10);
        ck_assert_int_eq((int)number(db, sql), alive[i]);
        snprintf(sql, sizeof sql, "SELECT y FROM dev_points WHERE step = %d AND seeds = 3", 10 * i + 10);
        ASSERT_NEAR(number(db, sql), 70); /* of seeds 1, 2, 3 and of 1, 3 */
    }
    ASSERT_NEAR(number(db, "SELECT low FROM dev_points WHERE step = 20"), 60);
    ASSERT_NEAR(number(db, "SELECT high FROM dev_points WHERE step = 40"), 80);
    ASSERT_NEAR(number(db, "SELECT work FROM dev_points WHERE step = 40"), 82);
    static const char *const plots[] = {"accuracy_vs_work", "accuracy_vs_forwards", "accuracy_vs_hours", "loss_vs_work", "loss_vs_step", "loss_vs_hours"};
    for (int i = 0; i < 6; i++) {
        char *text = drawn_text(scratch("out"), plots[i]), *flat;
        ck_assert_int_eq(times(text, "\n×1/3\n"), 1);
        ck_assert_int_eq(times(text, "\n×\n"), 1); /* where the curve ends */
        ck_assert_int_eq(times(text, "/3\n"), 1);
        flat = squeezed(text);
        ASSERT_HAS(flat, "×markedruns,2of3:1diverged,1dead(nogradient),1constant(oneclass)");
        ASSERT_HAS(flat, "n/m:nofmseedsalivefromthereon");
        zo_free(text);
    }
    char *bars = drawn_text(scratch("out"), "accuracy_bars");
    ck_assert_int_eq(times(bars, "\n×\n"), 1);
    zo_free(bars);
    execute(db, "UPDATE tries SET marks = '', fault_step = NULL, status = 'done'");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    for (int i = 0; i < 6; i++) {
        char *text = drawn_text(scratch("out"), plots[i]);
        ASSERT_LACKS(text, "×");
        ck_assert_int_eq(times(text, "\n2/3\n"), 1); /* one seed has fewer evaluations, for whatever reason */
        zo_free(text);
    }
    close_db();
}
END_TEST

/* Of two methods one was timed beside other load. */
START_TEST(disturbed_timings_are_starred)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "p", "x", 8, 16);
    execute(db, "UPDATE tries SET disturbed = 0");
    for (int disturbed = 0; disturbed < 2; disturbed++) {
        cJSON *report = draw(db, scratch("out"), NULL, "svg"), *entry;
        cJSON_ArrayForEach(entry, report) {
            const char *plot = word_of(entry, "plot");
            if (word_of(entry, "skipped")) {
                continue;
            }
            char *text = drawn_text(scratch("out"), plot);
            bool timed = strstr(plot, "hours") || strstr(plot, "step_time");
            ck_assert_msg(times(text, "\n*\n") == (timed && disturbed), "%s: %s", plot, text);
            ck_assert_msg((strstr(squeezed(text), "*disturbedtimings:1of2runssharedtheirprocessors") != NULL) == (timed && disturbed), "%s: %s", plot, text);
            zo_free(text);
        }
        cJSON_Delete(report);
        execute(db, "UPDATE tries SET disturbed = 1 WHERE run = 2");
    }
    close_db();
}
END_TEST

START_TEST(old_definitions_are_left_out_and_counted)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "o", "x", 8, 16);
    add_run(db, 3, "m", "t", "old", "x", 8, 16);
    execute(db, "UPDATE cells SET meaning = 1 WHERE cell > 1; UPDATE evaluations SET accuracy = 0.1 WHERE run > 1");
    cJSON *report = draw(db, scratch("out"), NULL, "svg"), *entry;
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 10"), 50);
    cJSON_ArrayForEach(entry, report) {
        if (!word_of(entry, "skipped")) {
            char *text = drawn_text(scratch("out"), word_of(entry, "plot"));
            ASSERT_LACKS(text, "\nold\n");
            ASSERT_HAS(squeezed(text), "leftout:2runsofanolddefinition");
            zo_free(text);
        }
    }
    cJSON_Delete(report);
    execute(db, "UPDATE cells SET meaning = 1");
    report = draw(db, scratch("out"), NULL, "svg");
    cJSON_ArrayForEach(entry, report) {
        ASSERT_HAS(word_of(entry, "skipped"), "left out: 3 runs of an old definition");
    }
    cJSON_Delete(report);
    close_db();
}
END_TEST

START_TEST(captions_count_cut_sequences_and_name_the_choice)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "p", "x", 8, 16);
    add_run(db, 3, "m", "t", "o", "x", 8, 16);
    execute(db, "UPDATE tries SET cut_sequences = 7 * (run - 1), dev_metric = 1.0 / run;"
                "UPDATE cells SET config = json_set(config, '$.lr', cell / 100.0) WHERE optimizer = 'o'");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    static const char *const plots[] = {"accuracy_bars", "accuracy_vs_work", "loss_vs_step"};
    for (int i = 0; i < 3; i++) {
        char *text = squeezed(drawn_text(scratch("out"), plots[i]));
        ASSERT_HAS(text, "7sequenceswerecutatthecontext,in1of2runs");
        ASSERT_HAS(text, "ofseverallearningratesthebestondev");
        zo_free(text);
    }
    char *text = drawn_text(scratch("out"), "accuracy_bars");
    ASSERT_HAS(text, "taken as test@best-dev");
    zo_free(text);
    close_db();
}
END_TEST

/* Steps that read the whole training set stand apart; without any, their names are absent. */
START_TEST(full_batch_steps_stand_apart)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "p", "x", 8, 16);
    execute(db, "UPDATE tries SET full_steps = 0, other_step_ms = step_ms");
    cJSON_Delete(draw(db, scratch("out"), "step_time", "svg"));
    char *text = drawn_text(scratch("out"), "step_time");
    ASSERT_HAS(text, "\nmean\n");
    ASSERT_HAS(text, "\nmedian and quartiles\n");
    ASSERT_LACKS(text, "full-batch");
    ASSERT_LACKS(text, "the other steps");
    ASSERT_LACKS(text, "1000\n");
    zo_free(text);
    execute(db, "UPDATE tries SET full_steps = 3, full_step_ms = 730, other_step_ms = 5 WHERE run = 2");
    cJSON_Delete(draw(db, scratch("out"), "step_time", "svg"));
    text = drawn_text(scratch("out"), "step_time");
    ASSERT_HAS(text, "\nmean of full-batch steps\n");
    ASSERT_HAS(text, "\nmean of the other steps\n");
    ASSERT_HAS(text, "1000\n"); /* the axis reaches them */
    zo_free(text);
    close_db();
}
END_TEST

/* A loss that explodes leaves the frame; the other curves can still be read. */
START_TEST(a_frame_ends_near_the_first_losses)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "p", "x", 8, 16);
    execute(db, "UPDATE steps SET loss = 2e6 WHERE run = 2 AND step = 2");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    ASSERT_NEAR(number(db, "SELECT max(most) FROM loss_points"), 2.1);
    static const char *const plots[] = {"loss_vs_step", "loss_vs_work", "loss_vs_hours"};
    for (int i = 0; i < 3; i++) {
        char *text = drawn_text(scratch("out"), plots[i]);
        ASSERT_HAS(text, " 0.8\n");
        ASSERT_LACKS(text, "e+06");
        zo_free(text);
    }
    double points = number(db, "SELECT count(*) FROM loss_points");
    execute(db, "UPDATE cells SET config = json_set(config, '$.objective', 'accuracy') WHERE cell = (SELECT cell FROM tries WHERE run = 2)");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    ASSERT_NEAR(number(db, "SELECT count(*) FROM loss_points"), points / 2); /* losses of another unit */
    close_db();
}
END_TEST

/* Two runs of one config from other tokenizer files: two curves, named. Runs that differ in the seed alone: one. */
START_TEST(runs_from_other_files_are_not_averaged)
{
    sqlite3 *db = new_db();
    for (int i = 1; i <= 3; i++) {
        add_run(db, i, "m", "t", "o", "x", 8, 16);
    }
    execute(db, "UPDATE cells SET hash = 'h', tokenizer_fingerprint = 'aaaaaaaabbbbbbbb'; UPDATE cells SET tokenizer_fingerprint = 'ccccccccdddddddd' WHERE cell = 2;"
                "UPDATE cells SET seed = 5 WHERE cell = 3; UPDATE cells SET config = json_set(config, '$.seed', seed)");
    cJSON_Delete(draw(db, scratch("out"), "accuracy_vs_work", "svg"));
    char *text = drawn_text(scratch("out"), "accuracy_vs_work");
    ASSERT_HAS(text, "\no tokenizer_fingerprint aaaaaaaa\n");
    ASSERT_HAS(text, "\no tokenizer_fingerprint cccccccc\n");
    ck_assert_int_eq((int)number(db, "SELECT seeds FROM dev_points WHERE label = 'o tokenizer_fingerprint aaaaaaaa'"), 2);
    ck_assert_int_eq((int)number(db, "SELECT seeds FROM dev_points WHERE label = 'o tokenizer_fingerprint cccccccc'"), 1);
    zo_free(text);
    execute(db, "UPDATE cells SET tokenizer_fingerprint = '', seed = cell; UPDATE cells SET config = json_set(config, '$.seed', seed)");
    cJSON_Delete(draw(db, scratch("out"), "accuracy_vs_work", "svg"));
    ck_assert_int_eq((int)number(db, "SELECT seeds FROM dev_points WHERE label = 'o'"), 3);
    close_db();
}
END_TEST

/* ---- what a paper wants ----------------------------------------------------------------------------------------------------------- */

/* A gnuplot before the true one, which runs `before` in the private folder and writes to out/said what gnuplot warns of, but of a series that a panel lacks. */
static void wrap_gnuplot(const char *before)
{
    zo_err err = {0};
    char text[1500];
    ck_assert_int_eq(zo_make_dirs(scratch("wrap"), &err), ZO_OK);
    ck_assert_int_eq(zo_make_dirs(scratch("out"), &err), ZO_OK);
    int n = snprintf(text, sizeof text, "#!/bin/sh\nout=%s/out\n%s\nPATH=${PATH#*:}\ngnuplot \"$@\" > said 2>&1\ncode=$?\n"
                     "[ \"$2\" = --version ] || grep -E 'warning|error' said | grep -v 'no valid points' >> $out/said\ncat said\nexit $code\n", folder, before);
    ck_assert_int_eq(zo_write_file(scratch("wrap/gnuplot"), text, (size_t)n, &err), ZO_OK);
    ck_assert_int_eq(chmod(scratch("wrap/gnuplot"), 0700), 0);
    char path[8000];
    snprintf(path, sizeof path, "%s:%s", scratch("wrap"), getenv("PATH"));
    setenv("PATH", path, 1);
}

/* Advance widths of DejaVu Sans in thousandths of the font's size, from ' ' to '~', as its file has them. */
static const short advance[] = {318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838,
                                838, 531, 1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390,
                                337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592,
                                525, 636, 337, 636, 838};

typedef struct box {
    double left, right, top, bottom;
    bool turned, starts; /* starts: its place is its left end, as that of a name in the legend */
    char text[200];
} box;

/* The texts of the picture with the room that they take; how many. */
static int find_boxes(const char *plot, box *b, int most, double *width, double *height)
{
    char name[96], *svg;
    size_t bytes;
    zo_err err = {0};
    snprintf(name, sizeof name, "out/%s.svg", plot);
    ck_assert_msg(zo_read_file(scratch(name), 1 << 24, &svg, &bytes, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(sscanf(strstr(svg, "viewBox="), "viewBox=\"0 0 %lf %lf", width, height), 2);
    int n = 0;
    char *end;
    for (char *at = svg; (at = strstr(at, "<g transform=\"translate(")) != NULL; at = end) {
        double x, y, font, turn = 0, wide = 0;
        end = strstr(at, "</text>");
        ck_assert(n < most && end != NULL && sscanf(at, "<g transform=\"translate(%lf,%lf) rotate(%lf", &x, &y, &turn) >= 2);
        const char *size = strstr(at, "font-size=\""), *anchor = strstr(at, "text-anchor=\"");
        ck_assert(size != NULL && anchor != NULL && sscanf(size, "font-size=\"%lf", &font) == 1);
        size_t length = 0;
        for (const char *c = strstr(at, "<text>"); c < end; c++) {
            if (*c == '<') {
                c = strchr(c, '>');
            } else if (*c >= ' ' && *c <= '~' && length + 1 < sizeof b[n].text) {
                b[n].text[length++] = *c;
                wide += advance[*c - ' '] * font / 1000;
            } else if (((unsigned char)*c & 0xc0) != 0x80) {
                wide += font; /* of any other sign: not more */
            }
        }
        b[n].text[length] = '\0';
        b[n].starts = strncmp(anchor + 13, "start", 5) == 0;
        double shift = b[n].starts ? 0 : strncmp(anchor + 13, "end", 3) == 0 ? wide : wide / 2;
        b[n].turned = turn != 0;
        if (b[n].turned) {
            b[n].left = x - 0.8 * font, b[n].right = x + 0.2 * font, b[n].top = y - wide + shift, b[n].bottom = y + shift;
        } else {
            b[n].left = x - shift, b[n].right = x - shift + wide, b[n].top = y - 0.75 * font, b[n].bottom = y + 0.2 * font;
        }
        n += strspn(b[n].text, " ") != length;
    }
    zo_free(svg);
    return n;
}

/* Every plot that there is, in each size and format: gnuplot has nothing to warn of, no text leaves the picture or stands on another, and the legend is below the
 * panels, where it takes none of their width. */
START_TEST(every_plot_fits_every_size)
{
    static const char *const size[] = {"column", "text", "slide"};
    static const double points[] = {234, 397, 720};
    static const char *const method[] = {"mezo", "mezo-svrg", "tezo-adam", "lozo", "fo-adamw"}, *const task[] = {"sst2", "mnli", "multirc", "a-task-with-a-longer-name"};
    if (!suite_takes(_i, 1, 3)) {
        return;
    }
    sqlite3 *db = new_db();
    int run = 0;
    for (int m = 0; m < 5; m++) {
        for (int t = 0; t < 4; t++) {
            for (int batch = 4; batch <= 16; batch *= 2) {
                add_run(db, ++run, "roberta-large", task[t], method[m], "x", batch, t == 0 ? 4 * batch : 64);
            }
        }
        add_run(db, ++run, "roberta-large", "sst2", method[m], "x", 8, 128);
        add_run(db, ++run, "roberta-large", "sst2", method[m], "x", 8, 32768);
        for (int i = 0; i < 2; i++) {
            add_run(db, ++run, i == 0 ? "opt-125m" : "roberta-large", i == 0 ? "mnli" : "sst2", method[m], "x", 8, 64);
            add_run(db, ++run, "roberta-large", "sst2", method[m], "x", 8, 64);
            change_rank(db, i == 0 ? run : 0, i == 1 ? run : 0);
        }
        add_run(db, ++run, "roberta-large", "sst2", method[m], "a setting that takes a good deal of room in a legend", 8, 128);
    }
    execute(db, "UPDATE steps SET loss = loss * 1e-6;"
                "UPDATE tries SET device = 'NVIDIA H200', step_ms = 7 + 100 * (run % 3), full_steps = run % 2, full_step_ms = 730, other_step_ms = 5;"
                "UPDATE memory SET bytes = bytes * (1 + run % 7) * 40; INSERT INTO predictions SELECT run, 'dev_chance', 0.5 FROM tries;"
                "INSERT INTO evaluations (run, step, split, examples, accuracy, forwards, work, train_seconds, best) SELECT run, 0, 'dev', 50, 0.4, 0, 0, 0, 0 FROM tries");
    make_views();
    wrap_gnuplot("");
    zo_plot_spec spec = {.db = db, .out = scratch("out"), .formats = "svg,png,pdf", .size = size[_i]};
    cJSON *report, *entry;
    zo_err err = {0};
    ck_assert_msg(zo_plot(&spec, &report, &err) == ZO_OK, "%s", err.text);
    char *text, name[96];
    size_t bytes;
    ck_assert_int_eq(zo_read_file(scratch("out/said"), 1 << 20, &text, &bytes, &err), ZO_OK);
    ck_assert_msg(bytes == 0, "gnuplot said: %.500s", text);
    zo_free(text);
    cJSON_ArrayForEach(entry, report) {
        const char *plot = word_of(entry, "plot");
        ck_assert_msg(word_of(entry, "skipped") == NULL, "%s: %s", plot, word_of(entry, "skipped"));
        ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(entry, "files")), 3);
        snprintf(name, sizeof name, "out/%s.pdf", plot);
        ck_assert_int_eq(zo_read_file(scratch(name), 1 << 24, &text, &bytes, &err), ZO_OK);
        ck_assert_int_eq(strncmp(text, "%PDF-", 5), 0);
        double page = 0;
        for (size_t i = 0; i + 30 < bytes && page == 0; i++) {
            ck_assert(memcmp(text + i, "MediaBox", 8) != 0 || sscanf(text + i, "MediaBox [ 0 0 %lf", &page) == 1);
        }
        ck_assert_double_eq_tol(page, points[_i], 1);
        zo_free(text);
        enum { MOST = 2000 };
        box *b = zo_alloc(ZO_HOST, ZO_TAG_OTHER, MOST * sizeof *b);
        double width, height, lowest = 0; /* lowest: what stands below all panels but the legend */
        int n = find_boxes(plot, b, MOST, &width, &height), legend = 0;
        ck_assert_double_eq_tol(width, points[_i] * 96 / 72, 1.5);
        for (int i = 0; i < n; i++) {
            ck_assert_msg(b[i].left >= 0 && b[i].right <= width && b[i].top >= 0 && b[i].bottom <= height, "%s: '%s' takes %g to %g of %g, %g to %g of %g", plot, b[i].text,
                          b[i].left, b[i].right, width, b[i].top, b[i].bottom, height);
            for (int k = 0; k < i; k++) {
                double wide = fmin(b[i].right, b[k].right) - fmax(b[i].left, b[k].left), high = fmin(b[i].bottom, b[k].bottom) - fmax(b[i].top, b[k].top);
                ck_assert_msg(wide <= 0 || high <= 0, "%s: '%s' stands on '%s', by %g x %g", plot, b[i].text, b[k].text, wide, high);
            }
            lowest = fmax(lowest, b[i].starts || b[i].turned ? 0 : b[i].bottom);
        }
        for (int i = 0; i < n; i++) {
            legend += b[i].starts;
            ck_assert_msg(!b[i].starts || b[i].top >= lowest - 1, "%s: '%s' of the legend at %g, panels end at %g", plot, b[i].text, b[i].top, lowest);
        }
        ck_assert_msg(legend >= 2, "%s has a legend of %d", plot, legend);
        zo_free(b);
    }
    cJSON_Delete(report);
    if (system("pdftotext -v > /dev/null 2>&1") != 0) {
        printf("skipped: the size of print in a PDF wants pdftotext\n");
    } else { /* the first word of a title in a font of 1.2 times 7 or 12 points */
        char command[300];
        snprintf(command, sizeof command, "pdftotext -bbox %s/out/accuracy_bars.pdf %s/words", folder, folder);
        ck_assert_int_eq(system(command), 0);
        ck_assert_int_eq(zo_read_file(scratch("words"), 1 << 20, &text, &bytes, &err), ZO_OK);
        double left, right, font = 1.2 * (points[_i] > 700 ? 12 : 7), want = 0;
        const char *word = strstr(text, "<word ");
        ck_assert(word != NULL && strstr(word, ">Final</word>") == strchr(word, '>') && sscanf(word, "<word xMin=\"%lf\" yMin=\"%*f\" xMax=\"%lf", &left, &right) == 2);
        for (const char *c = "Final"; *c != '\0'; c++) {
            want += advance[*c - ' '] * font / 1000;
        }
        ck_assert_double_eq_tol(right - left, want, 0.05 * want);
        zo_free(text);
    }
    close_db();
}
END_TEST

/* Marks and dashes of the series of the last picture that was drawn with driver.gp copied to out/driver. */
static int find_marks(int *mark, int *dash)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_int_eq(zo_read_file(scratch("out/driver"), 1 << 20, &text, &bytes, &err), ZO_OK);
    int n = 0;
    for (const char *at = text; (at = strstr(at, "series_mark[")) != NULL; at++) {
        int s;
        if (sscanf(at, "series_mark[%d] = %d; series_dash[%*d] = %d", &s, &mark[n], &dash[n]) == 3) {
            ck_assert_int_eq(s, ++n);
        }
    }
    zo_free(text);
    return n;
}

/* In grey: no two methods have mark and dash in common, by their rows in results/styles.sql, and no two of 48 lines of a picture, methods or settings of one. */
START_TEST(lines_are_told_apart_without_colour)
{
    sqlite3 *db = new_db();
    for (int i = 1; i <= 48; i++) {
        char note[16];
        snprintf(note, sizeof note, "%03d", i);
        add_run(db, i, "m", "t", i % 3 ? "lozo" : i % 2 ? "mezo" : "unheard-of", note, 8, 16);
    }
    wrap_gnuplot("cp driver.gp $out/driver 2>/dev/null");
    cJSON_Delete(draw(db, scratch("out"), "accuracy_vs_work", "svg"));
    ck_assert_int_gt((int)number(db, "SELECT count(*) FROM temp.style WHERE kind = 'method'"), 30);
    ck_assert_int_eq((int)number(db, "SELECT count(*) FROM (SELECT 1 FROM temp.style WHERE kind = 'method' GROUP BY mark, dash HAVING count(*) > 1)"), 0);
    int mark[64], dash[64], n = find_marks(mark, dash);
    ck_assert_int_eq(n, 48);
    for (int i = 0; i < n; i++) {
        ck_assert(mark[i] >= 1 && mark[i] <= 13 && dash[i] >= 1 && dash[i] <= 5);
        for (int k = 0; k < i; k++) {
            ck_assert_msg(mark[i] != mark[k] || dash[i] != dash[k], "lines %d and %d have mark %d and dash %d", k + 1, i + 1, mark[i], dash[i]);
        }
    }
    close_db();
}
END_TEST

/* Seven settings of a method and MeZO-SVRG have eight shapes: an open triangle and a full one look alike where they are small. The first has the method's own mark, and MeZO-SVRG
 * keeps its own, which is the second of the circle. */
START_TEST(settings_have_shapes_of_their_own)
{
    sqlite3 *db = new_db();
    for (int i = 1; i <= 7; i++) {
        char note[16];
        snprintf(note, sizeof note, "%d", i);
        add_run(db, i, "m", "t", "fzoo", note, 8, 16);
    }
    add_run(db, 8, "m", "t", "mezo-svrg", "1", 8, 16);
    wrap_gnuplot("cp driver.gp $out/driver 2>/dev/null");
    cJSON_Delete(draw(db, scratch("out"), "accuracy_vs_work", "svg"));
    int mark[64], dash[64], n = find_marks(mark, dash);
    ck_assert_int_eq(n, 8);
    ck_assert_int_eq(mark[0], 9);
    ck_assert_int_eq(mark[7], 5);
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < i; k++) { /* 4 and 5 are squares, and so on to 12 and 13 */
            ck_assert_msg((mark[i] < 4 ? mark[i] : mark[i] / 2 + 10) != (mark[k] < 4 ? mark[k] : mark[k] / 2 + 10), "lines %d and %d have marks %d and %d", k + 1, i + 1, mark[k], mark[i]);
        }
    }
    close_db();
}
END_TEST

/* Nor have two parts of a stack a hatch in common; and what a plot of points alone tells apart has a mark of its own, for its dash is not seen. */
START_TEST(bars_and_points_are_told_apart_without_colour)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "mezo-svrg", "x", 8, 16);
    execute(db, "DELETE FROM memory; UPDATE tries SET full_steps = 2, full_step_ms = 20, other_step_ms = 5, step_ms_q1 = 6, step_ms_q3 = 8");
    for (int t = 0; t < ZO_TAGS; t++) {
        char sql[100];
        snprintf(sql, sizeof sql, "INSERT INTO memory VALUES (1, 'train', '%s', 1000000)", zo_tag_name((zo_tag)t));
        execute(db, sql);
    }
    wrap_gnuplot("cp driver.gp $out/driver 2>/dev/null");
    cJSON_Delete(draw(db, scratch("out"), "memory_by_tag", "svg"));
    char *text, *hatch[4 * ZO_TAGS];
    size_t bytes, length[4 * ZO_TAGS];
    zo_err err = {0};
    int n = 0, all = 0;
    ck_assert_int_eq(zo_read_file(scratch("out/memory_by_tag.svg"), 1 << 22, &text, &bytes, &err), ZO_OK);
    for (char *at = text; (at = strstr(at, "<pattern ")) != NULL && n < 4 * ZO_TAGS; all++) {
        char *begin = strchr(at, '>') + 1, *end = strstr(begin, "</pattern>");
        bool is_new = true;
        for (int k = 0; k < n; k++) {
            is_new = is_new && (length[k] != (size_t)(end - begin) || memcmp(hatch[k], begin, length[k]) != 0);
        }
        if (is_new) {
            hatch[n] = begin;
            length[n++] = (size_t)(end - begin);
        }
        at = end;
    }
    zo_free(text);
    ck_assert_int_eq(n, ZO_TAGS);
    ck_assert_int_eq(all, 2 * ZO_TAGS); /* and in the legend */
    cJSON_Delete(draw(db, scratch("out"), "step_time", "svg"));
    int mark[64], dash[64];
    n = find_marks(mark, dash);
    ck_assert_int_eq(n, 4);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < i; k++) {
            ck_assert_int_ne(mark[i], mark[k]);
        }
    }
    close_db();
}
END_TEST

/* Two seeds whose first tenth of the work ends at another step, and one that was also looked at before training: the means are over what came first, and so on. */
START_TEST(a_point_is_a_turn)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "o", "x", 8, 16);
    execute(db, "UPDATE cells SET seed = cell, hash = optimizer, config = json_set(config, '$.seed', cell);"
                "UPDATE evaluations SET step = 11, work = 23, accuracy = 0.75 WHERE run = 2 AND step = 10;"
                "INSERT INTO evaluations (run, step, split, examples, accuracy, forwards, work, train_seconds, best) VALUES (2, 0, 'dev', 50, 0.25, 0, 0, 0, 0)");
    make_views();
    ck_assert_int_eq((int)number(db, "SELECT count(*) FROM dev_points"), 3);
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 10.5 AND alive = 2"), 62.5);
    ASSERT_NEAR(number(db, "SELECT work FROM dev_points WHERE step = 10.5"), 22);
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 20 AND alive = 2"), 62.5);
    ASSERT_NEAR(number(db, "SELECT y FROM dev_points WHERE step = 0 AND alive = 1"), 25);
    close_db();
}
END_TEST

START_TEST(an_absent_terminal_is_said)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    make_views();
    wrap_gnuplot("sed -i 's/GPVAL_TERMINALS/\"dumb svg pngcairo\"/' terminal.gp");
    zo_plot_spec spec = {.db = db, .out = scratch("out"), .only = "accuracy_bars", .formats = "svg,png"};
    cJSON *report;
    zo_err err = {0};
    ck_assert_msg(zo_plot(&spec, &report, &err) == ZO_OK, "%s", err.text);
    cJSON_Delete(report);
    spec.formats = "pdf";
    ck_assert_int_eq(zo_plot(&spec, &report, &err), ZO_EIO);
    ASSERT_HAS(err.text, "this gnuplot has no terminal pdfcairo: leave pdf out, or install the package gnuplot-nox");
    ck_assert(!zo_path_exists(scratch("out/accuracy_bars.pdf")));
    cJSON_Delete(report);
    close_db();
}
END_TEST

/* Two methods that begin at 43 %, one of them the mean of two seeds: the line before training, and that of chance; n and the device below the title. Where one begins
 * elsewhere there is no line, which the caption says. */
START_TEST(chance_and_what_was_before_training)
{
    sqlite3 *db = new_db();
    for (int i = 1; i <= 3; i++) {
        add_run(db, i, "m", "t", i == 3 ? "p" : "o", "x", 8, 16);
    }
    execute(db, "UPDATE cells SET seed = cell, hash = optimizer, config = json_set(config, '$.seed', cell); UPDATE tries SET device = 'card ' || (run % 2);"
                "INSERT INTO evaluations (run, step, split, examples, accuracy, forwards, work, train_seconds, best) SELECT run, 0, 'dev', 50, CASE run WHEN 2 THEN 0.46 WHEN 3 THEN 0.43 ELSE 0.4 END, 0, 0, 0, 0 "
                "FROM tries");
    static const char *const dev[] = {"accuracy_vs_work", "accuracy_vs_forwards", "accuracy_vs_hours"};
    for (int told = 0; told < 2; told++) {
        cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
        ASSERT_NEAR(number(db, "SELECT min(y) FROM dev_levels WHERE label = 'before training'"), 43);
        ASSERT_NEAR(number(db, "SELECT min(work) FROM dev_levels WHERE label = 'before training'"), 21);
        ASSERT_NEAR(number(db, "SELECT max(work) FROM dev_levels WHERE label = 'before training'"), 42);
        for (int i = 0; i < 3; i++) {
            char *text = drawn_text(scratch("out"), dev[i]);
            ck_assert_int_eq(times(text, "\nbefore training\n"), 1);
            ck_assert_int_eq(times(text, "\nchance\n"), told);
            ASSERT_HAS(squeezed(text), "n=1to2runsavalue,oncard0andcard1");
            ASSERT_LACKS(text, "nolinebefore");
            zo_free(text);
        }
        execute(db, "INSERT OR IGNORE INTO predictions SELECT run, 'dev_chance', 0.25 FROM tries; INSERT OR IGNORE INTO predictions SELECT run, 'train_peak_bytes', 0.75 FROM tries");
    }
    ASSERT_NEAR(number(db, "SELECT avg(y) FROM dev_levels WHERE label = 'chance'"), 25);
    execute(db, "UPDATE evaluations SET accuracy = 0.4375 WHERE run = 3 AND step = 0");
    cJSON_Delete(draw(db, scratch("out"), "accuracy_vs_work,accuracy_vs_forwards,accuracy_vs_hours", "svg"));
    for (int i = 0; i < 3; i++) {
        char *text = drawn_text(scratch("out"), dev[i]);
        ASSERT_LACKS(text, "\nbefore training\n");
        ck_assert_int_eq(times(text, "\nchance\n"), 1);
        ASSERT_HAS(squeezed(text), "nolinebeforetrainingwheremethodsbeginatdifferentscores");
        zo_free(text);
    }
    close_db();
}
END_TEST

/* The numbers of a panel as gnuplot read them: rows of a series, and three ends of lines behind each. wrap_gnuplot(KEEP_PANELS) is before. */
#define KEEP_PANELS "cp panel*.dat $out/ 2>/dev/null"

static void assert_panel(int panel, const char *want)
{
    char name[40], *text;
    size_t bytes;
    zo_err err = {0};
    snprintf(name, sizeof name, "out/panel%d.dat", panel);
    ck_assert_msg(zo_read_file(scratch(name), 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(text, want);
    zo_free(text);
}

/* Of the two steps looked at the drift and rank of the last, by layer, and of all layers the cosine of both: means of 1 and 3 times 0.01 (2 + layer) step. */
START_TEST(layers_along_the_way)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "m", "t", "o", "x", 8, 16);
    add_run(db, 2, "m", "t", "o", "x", 8, 16);
    execute(db, "UPDATE cells SET seed = cell, hash = optimizer, config = json_set(config, '$.seed', cell); UPDATE profile SET value = 3 * value WHERE run = 2");
    wrap_gnuplot(KEEP_PANELS);
    static const struct { const char *plot, *panel; } of[] = {{"drift_by_layer", "0 0.8 0.4 1.2 \n1 1.2 0.6 1.8 \n\n\n\n"}, {"rank_profile", "0 0.8 0.4 1.2 \n1 1.2 0.6 1.8 \n\n\n\n"},
                                                              {"cosine_vs_step", "10 0.2 0.1 0.3 \n20 0.4 0.2 0.6 \n\n\n\n"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        cJSON_Delete(draw(db, scratch("out"), of[i].plot, "svg"));
        assert_panel(1, of[i].panel);
    }
    close_db();
}
END_TEST

/* Models a, b, c of 1, 4 and 16 million parameters. b was run in both storages, a in f32 alone (two seeds), c in bf16 alone; a and c once more as a study. No line joins
 * two storages, nor what was evaluated and what was not. */
START_TEST(settings_are_told_apart_over_models)
{
    static const struct {
        const char *model, *storage;
        int study, seed, parameters, bytes; /* both in millions */
    } of[] = {{"a", "f32", 0, 0, 1, 5}, {"b", "f32", 0, 0, 4, 20}, {"b", "bf16", 0, 0, 4, 10}, {"c", "bf16", 0, 0, 16, 30}, {"a", "f32", 1, 0, 1, 3},
              {"c", "f32", 1, 0, 16, 25}, {"a", "f32", 0, 1, 1, 7}};
    sqlite3 *db = new_db();
    for (int i = 0; i < (int)(sizeof of / sizeof *of); i++) {
        add_run(db, i + 1, of[i].model, "t", "o", "x", 8, 16);
        char *sql = sqlite3_mprintf("UPDATE cells SET config = json_set(config, '$.storage', %Q, '$.seed', %d), seed = %d WHERE cell = %d;"
                                    "UPDATE tries SET parameters = 1000000 * %d, step_ms = 10 * run, disturbed = run = 3 WHERE run = %d;"
                                    "UPDATE memory SET bytes = CASE tag WHEN 'params' THEN 1000000 * %d ELSE 0 END WHERE run = %d",
                                    of[i].storage, of[i].seed, of[i].seed, i + 1, of[i].parameters, i + 1, of[i].bytes, i + 1);
        execute(db, sql);
        sqlite3_free(sql);
        if (of[i].study) {
            sql = sqlite3_mprintf("UPDATE cells SET dev = 0, test = 0 WHERE cell = %d; UPDATE tries SET metric_value = NULL WHERE run = %d; DELETE FROM evaluations WHERE run = %d",
                                  i + 1, i + 1, i + 1);
            execute(db, sql);
            sqlite3_free(sql);
        }
    }
    wrap_gnuplot(KEEP_PANELS);
    cJSON_Delete(draw(db, scratch("out"), "memory_vs_parameters", "svg"));
    assert_panel(1, "1 3 \n16 25 \n\n\n\nNaN NaN \n\n\nNaN NaN \n\n\n"); /* the study; bf16 and f32 are of the other panel */
    assert_panel(2, "NaN NaN \n\n\n4 10 \n16 30 \n\n\n\n1 6 \n4 20 \n\n\n\n");
    assert_caption("memory_vs_parameters", "n=1to2runsavalue");
    char *text = drawn_text(scratch("out"), "memory_vs_parameters");
    ASSERT_HAS(text, "\no storage f32\n");
    ASSERT_HAS(text, "\no storage bf16\n");
    ASSERT_HAS(text, "evaluated\n");
    zo_free(text);
    cJSON_Delete(draw(db, scratch("out"), "memory_bars", "svg"));
    assert_panel(1, "1 6 \n2 20 \n\n\n\n2 10 \n3 30 \n\n\n\n"); /* f32, bf16 */
    assert_caption("memory_bars", "n=1to2runsavalue");
    cJSON_Delete(draw(db, scratch("out"), "step_time_bars", "svg"));
    assert_panel(1, "1 40 0 \n2 20 0 \n\n\n\n2 30 1 \n3 40 0 \n\n\n\n");
    assert_caption("step_time_bars", "n=1to2runsavalue");
    execute(db, "UPDATE tries SET parameters = 4000000 WHERE run IN (1, 7)"); /* two models of one size are no line */
    cJSON_Delete(draw(db, scratch("out"), "memory_vs_parameters", "svg"));
    assert_panel(1, "1 3 \n16 25 \n\n\n\nNaN NaN \n\n\n");
    assert_panel(2, "NaN NaN \n\n\n4 10 \n16 30 \n\n\n\n");
    close_db();
}
END_TEST

/* Of the runs in the picture, and of no others: three that were evaluated, on one device, beside a study of two batches on another. */
START_TEST(captions_speak_of_what_is_drawn)
{
    sqlite3 *db = new_db();
    for (int run = 1; run <= 5; run++) {
        add_run(db, run, "m", "t", "o", "x", run == 5 ? 16 : 8, 16);
    }
    execute(db, "UPDATE cells SET seed = cell, config = json_set(config, '$.seed', cell) WHERE cell <= 3; UPDATE cells SET dev = 0, test = 0 WHERE cell > 3;"
                "UPDATE tries SET metric_value = NULL WHERE run > 3; DELETE FROM evaluations WHERE run > 3;"
                "UPDATE tries SET device = CASE WHEN run > 3 THEN 'studied' ELSE 'scored' END");
    cJSON_Delete(draw(db, scratch("out"), NULL, "svg"));
    assert_caption("memory_vs_batch", "n=1runavalue,onstudied");
    assert_caption("memory_bars", "n=3runsavalue,onscored");
    assert_caption("accuracy_bars", "n=3runsavalue,onscored");
    close_db();
}
END_TEST

/* Marks at points and bars: an x, alone or before how many are alive. */
static int count_crosses(const char *text)
{
    int n = times(text, "\n×\n");
    for (const char *at = text; (at = strstr(at, "\n×")) != NULL; at++) {
        n += at[3] >= '0' && at[3] <= '9';
    }
    return n;
}

/* Ranks 1 and 4 of one method, two seeds each, one of them marked; another method of one rank is in no picture of ranks. The same for periods. Whatever plot explains the x
 * has one, and whatever has one explains it. */
START_TEST(marked_runs_are_marked)
{
    static const char *const key[] = {"rank", "period"};
    for (int k = 0; k < 2; k++) {
        sqlite3 *db = new_db();
        for (int run = 1; run <= 5; run++) {
            add_run(db, run, "m", "t", run == 5 ? "p" : "o", "x", 8, 16);
        }
        char *sql = sqlite3_mprintf("UPDATE cells SET seed = cell %% 2, config = json_set(config, '$.seed', cell %% 2);"
                                    "UPDATE cells SET config = json_set(config, '$.optimizer.%s', 4) WHERE cell IN (3, 4);"
                                    "UPDATE tries SET metric_value = CASE run WHEN 1 THEN 0.5 WHEN 2 THEN 0.75 WHEN 3 THEN 0.625 ELSE 0.875 END;"
                                    "UPDATE tries SET marks = 'diverged' WHERE run >= 4", key[k]);
        execute(db, sql);
        sqlite3_free(sql);
        char plot[40];
        snprintf(plot, sizeof plot, "score_vs_%s", key[k]);
        wrap_gnuplot(KEEP_PANELS);
        cJSON_Delete(draw(db, scratch("out"), plot, "svg"));
        assert_panel(1, "1 62.5 50 75 0 \n4 75 62.5 87.5 1 \n\n\n\n");
        assert_caption(plot, "×markedruns,1of4:1diverged");
        assert_caption(plot, "n=2runsavalue");
        for (int marked = 2; marked > 0; marked--) {
            cJSON *report = draw(db, scratch("out"), NULL, "svg"), *entry;
            int explained = 0;
            cJSON_ArrayForEach(entry, report) {
                if (word_of(entry, "skipped") == NULL) {
                    char *text = drawn_text(scratch("out"), word_of(entry, "plot"));
                    int crosses = count_crosses(text);
                    bool explains = strstr(squeezed(text), "×markedruns") != NULL;
                    ck_assert_msg((crosses > 0) == explains, "%s has %d of ×, and %s", word_of(entry, "plot"), crosses, text);
                    explained += explains;
                    zo_free(text);
                }
            }
            cJSON_Delete(report);
            ck_assert_int_eq(explained, marked == 2 ? 8 : 7); /* bars, six curves, and the scores against the key while its own method has a mark */
            execute(db, "UPDATE tries SET marks = '' WHERE run = 4");
        }
        close_db();
    }
}
END_TEST

/* Names that fill no line whole: they are folded after a sign that parts words, and no comma begins a line. */
START_TEST(names_are_folded_at_their_signs)
{
    sqlite3 *db = new_db();
    add_run(db, 1, "meta_llama_3_8b_instruct_finetuned_on_something_v2", "sst2", "a-method-whose-name-is-too-long-for-a-line", "x", 8, 16);
    add_run(db, 2, "meta_llama_3_8b_instruct_finetuned_on_something_v2", "rte", "o", "x", 8, 16);
    cJSON_Delete(draw(db, scratch("out"), "step_time,memory_by_tag", "svg"));
    static const char *const plot[] = {"step_time", "memory_by_tag"};
    for (int i = 0; i < 2; i++) {
        char *text = drawn_text(scratch("out"), plot[i]);
        ASSERT_HAS(text, "\na-method-whose-name-is-\n");
        ASSERT_LACKS(text, "\n,");
        zo_free(text);
    }
    execute(db, "UPDATE cells SET model = cell || '_llama_3_8b_instruct_finetuned_on_something_v2'");
    for (int i = 0; i < 2; i++) {
        cJSON_Delete(draw(db, scratch("out"), plot[i], "svg"));
        char *text = drawn_text(scratch("out"), plot[i]);
        ASSERT_HAS(text, "\n1_llama_3_8b_instruct_finetuned_on_");
        ASSERT_LACKS(text, "\n,");
        zo_free(text);
    }
    close_db();
}
END_TEST

/* Hours, work and times of steps over eleven decades, in three panels: the numbers of an axis stand beside each other and within the picture. */
START_TEST(wide_axes_have_room)
{
    static const char *const plot[] = {"accuracy_vs_hours", "accuracy_vs_work", "loss_vs_hours", "loss_vs_work", "step_time"}, *const task[] = {"sst2", "rte", "copa"};
    static const char *const size[] = {"column", "text"};
    sqlite3 *db = new_db();
    for (int i = 0; i < 6; i++) {
        add_run(db, i + 1, "m", task[i % 3], i < 3 ? "o" : "p", "x", 8, 16);
    }
    execute(db, "UPDATE tries SET step_ms = 0.0002 * pow(10, 11 * (run > 3)), step_ms_median = NULL;"
                "UPDATE steps SET train_seconds = step * 0.0036 * pow(10, 10 * (run > 3)), work = step * 0.7 * pow(10, 10 * (run > 3));"
                "UPDATE evaluations SET train_seconds = step * 0.00036 * pow(10, 10 * (run > 3)), work = step * 0.07 * pow(10, 10 * (run > 3))");
    make_views();
    for (int z = 0; z < 2; z++) {
        zo_plot_spec spec = {.db = db, .out = scratch("out"), .only = "accuracy_vs_hours,accuracy_vs_work,loss_vs_hours,loss_vs_work,step_time", .formats = "svg", .size = size[z]};
        cJSON *report;
        zo_err err = {0};
        ck_assert_msg(zo_plot(&spec, &report, &err) == ZO_OK, "%s", err.text);
        cJSON_Delete(report);
        for (int p = 0; p < 5; p++) {
            enum { MOST = 500 };
            box *b = zo_alloc(ZO_HOST, ZO_TAG_OTHER, MOST * sizeof *b);
            double width, height;
            int n = find_boxes(plot[p], b, MOST, &width, &height);
            for (int i = 0; i < n; i++) {
                ck_assert_msg(b[i].left >= 0 && b[i].right <= width, "%s: '%s' takes %g to %g of %g", plot[p], b[i].text, b[i].left, b[i].right, width);
                for (int k = 0; k < i; k++) {
                    double wide = fmin(b[i].right, b[k].right) - fmax(b[i].left, b[k].left), high = fmin(b[i].bottom, b[k].bottom) - fmax(b[i].top, b[k].top);
                    ck_assert_msg(wide <= 0 || high <= 0, "%s, %s: '%s' stands on '%s', by %g x %g", plot[p], size[z], b[i].text, b[k].text, wide, high);
                }
            }
            zo_free(b);
        }
    }
    close_db();
}
END_TEST

/* Scores of 0, 50 % and -50 %: the mark is white on its bar, and where no bar is under it, it has the colour of the method. */
START_TEST(marks_are_seen_beside_short_bars)
{
    sqlite3 *db = new_db();
    double at[3], zero = 0;
    for (int i = 0; i < 3; i++) {
        execute(db, "DELETE FROM cells; DELETE FROM tries");
        add_bare(db, 1, "m", "t", "mezo", "x", 8, 16, 0);
        char sql[200];
        snprintf(sql, sizeof sql, "UPDATE tries SET metric_value = %g, selected = 'test@best-dev'", i == 0 ? 0.0 : i == 1 ? 0.5 : -0.5);
        execute(db, sql);
        cJSON_Delete(draw(db, scratch("out"), "accuracy_bars", "svg"));
        char *svg;
        size_t bytes;
        zo_err err = {0};
        int r, g, b;
        ck_assert_int_eq(zo_read_file(scratch("out/accuracy_bars.svg"), 1 << 22, &svg, &bytes, &err), ZO_OK);
        const char *use = strstr(svg, "<use xlink:href='#gpPt"), *translate = strstr(use, "translate("), *colour = strstr(use, "color='rgb(");
        ck_assert_int_eq(sscanf(translate, "translate(%lf", &at[i]), 1);
        ck_assert_int_eq(sscanf(colour, "color='rgb( %d, %d, %d", &r, &g, &b), 3);
        ck_assert_msg((r == 255 && g == 255 && b == 255) == (i > 0), "the mark of bar %d is rgb(%d, %d, %d)", i, r, g, b);
        if (i == 2) { /* the 0 of the axis */
            box *t = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 500 * sizeof *t);
            double width, height;
            int n = find_boxes("accuracy_bars", t, 500, &width, &height);
            for (int k = 0; k < n; k++) {
                zero = strcmp(t[k].text + strspn(t[k].text, " "), "0") == 0 ? (t[k].left + t[k].right) / 2 : zero;
            }
            zo_free(t);
            ck_assert_msg(zero > at[i], "the mark is at %g, right of 0 at %g", at[i], zero);
        }
        zo_free(svg);
    }
    close_db();
}
END_TEST

static void begin(void)
{
    snprintf(folder, sizeof folder, "/tmp/zo-test-plots-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(canary, sizeof canary, "%s/PWNED", folder);
}

static void end(void)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    ck_assert_int_eq(system(command), 0);
}

int main(void)
{
    unsetenv("TMPDIR");
    unsetenv("ZO_PLOTS");
    bool have_gnuplot = system("gnuplot --version > /dev/null 2>&1") == 0;
    if (!have_gnuplot) {
        printf("skipped: pictures want gnuplot\n");
        return 0;
    }
    Suite *suite = suite_create("plots");
    TCase *t = tcase_create("plots");
    tcase_add_checked_fixture(t, begin, end);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, text_from_outside_is_drawn_and_nothing_else, 0, 3);
    tcase_add_loop_test(t, paths_are_paths, 0, 3);
    tcase_add_loop_test(t, every_plot_fits_every_size, 0, 3);
    tcase_add_test(t, lines_are_told_apart_without_colour);
    tcase_add_test(t, settings_have_shapes_of_their_own);
    tcase_add_test(t, bars_and_points_are_told_apart_without_colour);
    tcase_add_test(t, a_point_is_a_turn);
    tcase_add_test(t, names_are_folded_at_their_signs);
    tcase_add_test(t, wide_axes_have_room);
    tcase_add_test(t, marks_are_seen_beside_short_bars);
    tcase_add_test(t, layers_along_the_way);
    tcase_add_test(t, an_absent_terminal_is_said);
    tcase_add_test(t, chance_and_what_was_before_training);
    tcase_add_test(t, settings_are_told_apart_over_models);
    tcase_add_test(t, captions_speak_of_what_is_drawn);
    tcase_add_test(t, marked_runs_are_marked);
    tcase_add_test(t, the_users_gnuplot_settings_do_not_matter);
    tcase_add_test(t, lists_are_read_whole);
    tcase_add_test(t, one_bad_picture_does_not_end_all);
    tcase_add_test(t, half_a_picture_is_no_picture);
    tcase_add_test(t, what_gnuplot_says_is_said);
    tcase_add_test(t, no_gnuplot_and_no_folder_are_said_once);
    tcase_add_test(t, numbers_that_no_axis_holds_are_said);
    tcase_add_test(t, what_is_left_out_is_said);
    tcase_add_test(t, broken_lines_lose_nothing);
    tcase_add_test(t, long_texts_are_fitted);
    tcase_add_test(t, lines_end_between_words);
    tcase_add_test(t, scripts_of_ones_own);
    tcase_add_test(t, an_empty_database_fills_nothing_and_fails_nowhere);
    tcase_add_test(t, scores_are_those_of_the_metric);
    tcase_add_test(t, a_method_has_one_colour);
    tcase_add_test(t, curves_say_who_is_alive);
    tcase_add_test(t, disturbed_timings_are_starred);
    tcase_add_test(t, old_definitions_are_left_out_and_counted);
    tcase_add_test(t, captions_count_cut_sequences_and_name_the_choice);
    tcase_add_test(t, full_batch_steps_stand_apart);
    tcase_add_test(t, a_frame_ends_near_the_first_losses);
    tcase_add_test(t, runs_from_other_files_are_not_averaged);
    suite_add_tcase(suite, t);
    return suite_run(suite) != 0;
}
