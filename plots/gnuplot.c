/* gnuplot.c: the private folder, the data files in it, the process, and the picture's way to where it was asked for. */
#include "plots/gnuplot.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"

enum { PATH_BYTES = 4096, PICTURE_BYTES = 1 << 30, LOG_BYTES = 1 << 24 };

static const char LOG[] = "gnuplot.log";

const char zo_gnuplot_format[ZO_GNUPLOT_FORMATS][4] = {"png", "svg", "pdf"};

/* terminal.gp: opens the picture, and has font_of(points) for texts of another size. Comes in with format, and width, height and font in points. PNG has 200
 * dots an inch. SVG's unit is a pixel of 1/96 inch. A font of n points is n / 72 inches in all of them: cairo's terminals reckon with 96 dots an inch. */
static const char TERMINAL[] =
    "set encoding utf8\n"
    "terminal_name = format eq \"svg\" ? \"svg\" : format.\"cairo\"\n"
    "if (strstrt(\" \".GPVAL_TERMINALS.\" \", \" \".terminal_name.\" \") == 0) {\n"
    "    exit error \"this gnuplot has no terminal \".terminal_name.\": leave \".format.\" out, or install the package gnuplot-nox, whose gnuplot has it\"\n"
    "}\n"
    "font_of(points) = \"DejaVu Sans,\".gprintf(\"%g\", format eq \"svg\" ? points * 96.0 / 72 : points)\n"
    "terminal_font = font_of(font)\n"
    "if (format eq \"svg\") {\n"
    "    set terminal svg size width * 96 / 72, height * 96 / 72 font terminal_font background \"white\" enhanced\n"
    "} else { if (format eq \"pdf\") {\n"
    "    set terminal pdfcairo size width / 72.0, height / 72.0 font terminal_font fontscale 72.0 / 96 linewidth 1.5 background \"white\" enhanced\n"
    "} else {\n"
    "    set terminal pngcairo size width * 200 / 72, height * 200 / 72 font terminal_font fontscale 200.0 / 96 linewidth 200.0 / 96 pointscale 200.0 / 96 "
    "background \"white\" enhanced\n"
    "} }\n"
    "set output \"picture\"\n";

const char *zo_gnuplot_format_of(const char *option, const char *path, zo_err *err)
{
    const char *end = strrchr(path, '.');
    for (int i = 0; i < ZO_GNUPLOT_FORMATS && end != NULL; i++) {
        if (strcmp(end + 1, zo_gnuplot_format[i]) == 0) {
            return zo_gnuplot_format[i];
        }
    }
    zo_fail(err, ZO_EINPUT, "%s is \"%.200s\"; expected a file that ends with .png, .svg or .pdf", option, path);
    return NULL;
}

/* ---- the process -------------------------------------------------------------------------------------------------------- */

/* What gnuplot gets of the environment: where programs, libraries and fonts are. Not GNUTERM, GNUPLOT_LIB, GNUPLOT_DRIVER_DIR and the like.
 * `room` has place for all of them; the strings are the process's own. */
static char *const *environment(char **room)
{
    static const char *const kept[] = {"PATH", "HOME", "LD_LIBRARY_PATH", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "XDG_CACHE_HOME", "XDG_CONFIG_HOME",
                                       "XDG_CONFIG_DIRS", "XDG_DATA_HOME", "XDG_DATA_DIRS"};
    int n = 0;
    for (char **variable = environ; *variable; variable++) {
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            size_t length = strlen(kept[i]);
            if (!strncmp(*variable, kept[i], length) && (*variable)[length] == '=' && n < (int)(sizeof kept / sizeof *kept)) {
                room[n++] = *variable;
            }
        }
    }
    room[n++] = (char *)"LC_ALL=C.UTF-8";
    room[n] = NULL;
    return room;
}

/* gnuplot in the private folder with one argument beside -d (no start-up files); what it says goes to LOG. */
static zo_status run(const zo_gnuplot *g, const char *argument, zo_err *err)
{
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, g->folder);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, LOG, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
    char *argv[] = {(char *)"gnuplot", (char *)"-d", (char *)argument, NULL}, *room[16];
    pid_t pid;
    int failed = posix_spawnp(&pid, "gnuplot", &actions, NULL, argv, environment(room)), state = 0;
    posix_spawn_file_actions_destroy(&actions);
    if (failed) {
        return zo_fail(err, ZO_EIO, "gnuplot cannot be started (%s); install it (Debian: gnuplot-nox)", strerror(failed));
    }
    while (waitpid(pid, &state, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(state) && WEXITSTATUS(state) == 0) {
        return ZO_OK;
    }
    char path[PATH_BYTES], how[64], *said = NULL;
    size_t bytes = 0;
    if (WIFSIGNALED(state)) {
        snprintf(how, sizeof how, "was ended by signal %d", WTERMSIG(state));
    } else {
        snprintf(how, sizeof how, "ended with code %d", WEXITSTATUS(state));
    }
    if (zo_read_file(zo_path_join(path, sizeof path, g->folder, LOG), LOG_BYTES, &said, &bytes, NULL)) {
        said = NULL;
    }
    while (bytes > 0 && said[bytes - 1] == '\n') {
        said[--bytes] = '\0';
    }
    const char *end = bytes ? strrchr(said, '\n') : NULL; /* the error is the last line, after warnings */
    zo_status status = zo_fail(err, ZO_EIO, "gnuplot %s: %.400s", how, end ? end + 1 : bytes ? said : "it said nothing");
    zo_free(said);
    return status;
}

zo_status zo_gnuplot_open(zo_gnuplot *g, zo_err *err)
{
    const char *set = getenv("TMPDIR"), *temporary = set && *set ? set : "/tmp";
    int n = snprintf(g->folder, sizeof g->folder - 64, "%s/zo-plot-XXXXXX", temporary); /* 64: a file's name in it */
    if (n < 0 || n >= (int)sizeof g->folder - 64) {
        g->folder[0] = '\0';
        return zo_fail(err, ZO_EIO, "$TMPDIR is a path of %zu bytes, which is too long: set it to a folder that can be written", strlen(temporary));
    }
    if (!mkdtemp(g->folder)) {
        zo_status status = zo_fail(err, ZO_EIO, "a temporary folder cannot be made in %s (%s): set $TMPDIR to a folder that can be written", temporary,
                                   strerror(errno));
        g->folder[0] = '\0';
        return status;
    }
    zo_status status = run(g, "--version", err);
    FILE *f = status ? NULL : zo_gnuplot_file(g, "terminal.gp", err);
    if (f) {
        fputs(TERMINAL, f);
    }
    status = status ? status : f ? zo_gnuplot_done(g, "terminal.gp", f, err) : ZO_EIO;
    if (status) {
        zo_gnuplot_close(g);
    }
    return status;
}

void zo_gnuplot_close(zo_gnuplot *g)
{
    DIR *dir = g->folder[0] ? opendir(g->folder) : NULL;
    if (dir) {
        for (struct dirent *entry; (entry = readdir(dir));) {
            unlinkat(dirfd(dir), entry->d_name, 0); /* "." and ".." are refused */
        }
        closedir(dir);
        rmdir(g->folder);
    }
    g->folder[0] = '\0';
}

/* ---- files of the private folder ------------------------------------------------------------------------------------------ */

FILE *zo_gnuplot_file(const zo_gnuplot *g, const char *name, zo_err *err)
{
    char path[PATH_BYTES];
    FILE *f = fopen(zo_path_join(path, sizeof path, g->folder, name), "we");
    if (!f) {
        zo_fail(err, ZO_EIO, "%s cannot be written (%s)", path, strerror(errno));
    }
    return f;
}

zo_status zo_gnuplot_done(const zo_gnuplot *g, const char *name, FILE *f, zo_err *err)
{
    bool bad = ferror(f) != 0;
    if (fclose(f) || bad) {
        return zo_fail(err, ZO_EIO, "%s/%s cannot be written (%s): is the disk full? $TMPDIR names another", g->folder, name, strerror(errno));
    }
    return ZO_OK;
}

zo_status zo_gnuplot_strings(const zo_gnuplot *g, const char *name, char *const *text, int n, zo_err *err)
{
    FILE *f = zo_gnuplot_file(g, name, err);
    if (!f) {
        return ZO_EIO;
    }
    for (int i = 0; i < n; i++) {
        fputc('"', f);
        for (const char *at = text[i]; *at; at++) {
            /* a quoted string of a data file ends at the next quote or line end; gnuplot reads \0ooo, four digits at most, in it as a byte */
            fprintf(f, strchr("\"\\\n", *at) ? "\\0%03o" : "%c", *at);
        }
        fputs("\"\n", f);
    }
    return zo_gnuplot_done(g, name, f, err);
}

zo_status zo_gnuplot_copy(const zo_gnuplot *g, const char *name, const char *path, zo_err *err)
{
    char *text;
    size_t bytes;
    zo_status status = zo_read_file(path, 1 << 20, &text, &bytes, err);
    if (status) {
        return status;
    }
    FILE *f = zo_gnuplot_file(g, name, err);
    if (f) {
        fwrite(text, 1, bytes, f);
        status = zo_gnuplot_done(g, name, f, err);
    }
    zo_free(text);
    return f ? status : ZO_EIO;
}

/* ---- pictures ------------------------------------------------------------------------------------------------------------- */

/* Does it end as a whole picture of this format ends? gnuplot says nothing where its disk is full. */
static bool is_whole(const char *data, size_t bytes, const char *format)
{
    static const char png[] = "\0\0\0\0IEND\xae\x42\x60\x82", svg[] = "</svg>\n", pdf[] = "%%EOF\n";
    const char *end = !strcmp(format, "png") ? png : !strcmp(format, "pdf") ? pdf : svg;
    size_t length = end == png ? sizeof png - 1 : strlen(end);
    while (end == svg && bytes > length && data[bytes - 1] == '\n' && data[bytes - 2] == '\n') {
        bytes--;
    }
    return bytes >= length && !memcmp(data + bytes - length, end, length);
}

/* As zo_write_file, but what stands at `path` already and is no plain file (a link, a device) is written through, not replaced. */
static zo_status store(const char *path, const char *data, size_t bytes, zo_err *err)
{
    struct stat st;
    if (lstat(path, &st) || S_ISREG(st.st_mode)) {
        return zo_write_file(path, data, bytes, err);
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK | O_CLOEXEC, 0666); /* a pipe that nobody reads is an error, not a wait */
    if (fd >= 0) {
        fcntl(fd, F_SETFL, 0);
    }
    bool good = fd >= 0;
    for (size_t at = 0; good && at < bytes;) {
        ssize_t n = write(fd, data + at, bytes - at);
        good = n > 0 || (n < 0 && errno == EINTR);
        at += n > 0 ? (size_t)n : 0;
    }
    good = good && (!fsync(fd) || errno == EINVAL || errno == EROFS); /* a device or a pipe has nothing to bring to a disk */
    int why = errno;
    if (fd >= 0 && close(fd) && good) {
        good = false;
        why = errno;
    }
    return good ? ZO_OK : zo_fail(err, ZO_EIO, "%s: cannot be written (%s)", path, strerror(why));
}

zo_status zo_gnuplot_draw(const zo_gnuplot *g, const char *driver, const char *picture, const char *format, const char *path, zo_err *err)
{
    char drawn[PATH_BYTES], *data;
    unlink(zo_path_join(drawn, sizeof drawn, g->folder, picture));
    zo_status status = run(g, driver, err);
    if (status) {
        return status;
    }
    size_t bytes;
    status = zo_read_file(drawn, PICTURE_BYTES, &data, &bytes, err);
    if (status) {
        return status;
    }
    if (is_whole(data, bytes, format)) {
        status = store(path, data, bytes, err);
    } else {
        status = zo_fail(err, ZO_EIO, "gnuplot left half a picture of %zu bytes in %s: is that disk full? $TMPDIR names another", bytes, g->folder);
    }
    zo_free(data);
    return status;
}
