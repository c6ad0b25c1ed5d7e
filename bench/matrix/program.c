/* program.c: see program.h. */
#include "bench/matrix/program.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"

extern char **environ;

enum { LOG_BYTES = 1 << 26 };

static volatile pid_t running; /* 0 = nobody */
static volatile sig_atomic_t asked_to_end;

static void pass_on(int signal)
{
    asked_to_end = signal;
    if (running > 0) {
        kill(running, signal);
    }
}

/* Runs these words (NULL behind the last); both streams go to the file `log`. *code: its exit status, 128 and more = the signal that ended it. What asks
 * this program to end asks that one, which saves what it has; then this one ends by the same signal. */
static zo_status run_words(const char *file, const char *const word[], const char *log, int *code, zo_err *err)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
    enum { SIGNALS = sizeof signals / sizeof *signals };
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    struct sigaction action = {.sa_handler = pass_on}, before[SIGNALS];
    sigset_t held, usual;
    pid_t pid;
    int status;
    sigemptyset(&held);
    for (int s = 0; s < SIGNALS; s++) {
        sigaddset(&held, signals[s]);
    }
    sigprocmask(SIG_BLOCK, &held, &usual); /* until it is known whom to pass a signal on to */
    for (int s = 0; s < SIGNALS; s++) {
        sigaction(signals[s], NULL, &before[s]);
        if (before[s].sa_handler != SIG_IGN) { /* as nohup has it */
            sigaction(signals[s], &action, NULL);
        }
    }
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setsigmask(&attributes, &usual);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    int failed = posix_spawnp(&pid, file, &files, &attributes, (char *const *)word, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
    running = failed == 0 ? pid : 0;
    sigprocmask(SIG_SETMASK, &usual, NULL);
    while (failed == 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    running = 0;
    for (int s = 0; s < SIGNALS; s++) {
        sigaction(signals[s], &before[s], NULL);
    }
    if (asked_to_end != 0) {
        raise(asked_to_end);
    }
    if (failed != 0) {
        return zo_fail(err, ZO_EINPUT, "%.400s cannot be started, or %.400s not be written: %s", file, log, strerror(failed));
    }
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ZO_OK;
}

/* The last line of a log that says anything. */
static void last_line(const char *log, char *out, size_t size)
{
    char *text;
    size_t bytes;
    snprintf(out, size, "it said nothing");
    if (zo_read_file(log, LOG_BYTES, &text, &bytes, NULL) != ZO_OK) {
        return;
    }
    zo_lines lines = zo_lines_of(text, bytes);
    for (char *line; (line = zo_lines_next(&lines, NULL)) != NULL;) {
        if (line[strspn(line, " \t")] != '\0') {
            snprintf(out, size, "%.400s", zo_text_plain(line));
        }
    }
    zo_free(text);
}

/* A step of building; the log is read on success too: *said is its last line. */
static zo_status build_step(const char *const word[], const char *log, const char *what, char *said, size_t size, zo_err *err)
{
    int code;
    zo_status status = run_words(word[0], word, log, &code, err);
    if (status != ZO_OK) {
        return status;
    }
    last_line(log, said, size);
    return code == 0 ? ZO_OK : zo_fail(err, ZO_EINPUT, "%s (%s): %.400s", what, log, said);
}

/* What would have git work on another repository than that of the folder it is told of, as it does in a hook. */
static void forget_git(void)
{
    static const char *const words[] = {"GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
                                        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_NAMESPACE", "GIT_PREFIX", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE",
                                        "GIT_REPLACE_REF_BASE", "GIT_NO_REPLACE_OBJECTS"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        unsetenv(words[i]);
    }
}

/* The clone of this commit in this folder, checked out and built. Git is told the repository and the tree that it writes: where the folder has no
 * whole repository, it must not look for one in the folders above. */
static zo_status build_commit(const char *commit, const char *folder, const char *log, zo_err *err)
{
    char said[500], fresh[4096], git_dir[4096], work_tree[4096], broken[4300];
    snprintf(fresh, sizeof fresh, "%.4000s.new", folder);
    snprintf(git_dir, sizeof git_dir, "--git-dir=%.4000s/.git", folder);
    snprintf(work_tree, sizeof work_tree, "--work-tree=%.4000s", folder);
    snprintf(broken, sizeof broken, "git cannot check the revision out in %.4000s; where that is no whole clone, delete it", folder);
    const char *const discard[] = {"rm", "-rf", "--", fresh, NULL};
    const char *const clone[] = {"git", "clone", "--quiet", "--shared", "--no-checkout", ".", fresh, NULL};
    const char *const checkout[] = {"git", git_dir, work_tree, "checkout", "--quiet", "--detach", commit, NULL};
    const char *const make[] = {"make", "-C", folder, "zo", "CUDA=0", NULL};
    zo_status status = ZO_OK;
    if (!zo_path_exists(folder)) { /* it has its name when it is whole */
        status = build_step(discard, log, "the rest of a clone cannot be deleted", said, sizeof said, err);
        status = status == ZO_OK ? build_step(clone, log, "git cannot clone this tree", said, sizeof said, err) : status;
        if (status == ZO_OK && rename(fresh, folder) != 0) {
            status = zo_fail(err, ZO_EIO, "%.300s cannot become %.300s: %s", fresh, folder, strerror(errno));
        }
    }
    status = status == ZO_OK ? build_step(checkout, log, broken, said, sizeof said, err) : status;
    if (status == ZO_OK) {
        fprintf(stderr, "building %.12s in %s\n", commit, folder);
        status = build_step(make, log, "the revision does not build", said, sizeof said, err);
    }
    return status;
}

/* The program of this revision, and its commit. */
static zo_status build(zo_program *p, const char *ref, char commit[65], zo_err *err)
{
    char asked[300], revision[500], folder[100], what[400];
    static const char log[] = "build/regress/log";
    int lock;
    zo_status status = zo_program_lock("build/regress/lock", &lock, err);
    if (status != ZO_OK) {
        return status;
    }
    snprintf(asked, sizeof asked, "%.200s^{commit}", ref);
    snprintf(what, sizeof what, "--baseline %.200s is neither a file nor a git revision of the tree in this folder", ref);
    const char *const parse[] = {"git", "rev-parse", "--verify", "--quiet", "--end-of-options", asked, NULL};
    forget_git();
    status = build_step(parse, log, what, revision, sizeof revision, err);
    if (status == ZO_OK) {
        snprintf(commit, 65, "%.64s", revision);
        snprintf(folder, sizeof folder, "build/regress/%s", commit);
        snprintf(p->path, sizeof p->path, "%s/zo", folder);
        status = build_commit(commit, folder, log, err);
    }
    close(lock);
    return status;
}

zo_status zo_program_lock(const char *path, int *lock, zo_err *err)
{
    *lock = -1;
    zo_status status = zo_make_parent(path, err);
    if (status != ZO_OK) {
        return status;
    }
    *lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*lock < 0) {
        return zo_fail(err, ZO_EIO, "%.400s cannot be written: %s", path, strerror(errno));
    }
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        close(*lock);
        *lock = -1;
        return zo_fail(err, ZO_EINPUT, "%.400s is held: another `zo regress` is at work there; wait until it has ended", path);
    }
    return ZO_OK;
}

zo_status zo_program_open(zo_program *p, const char *ref, const char *db, zo_err *err)
{
    char commit[65] = "";
    *p = (zo_program){.before = 0};
    if (strlen(db) >= sizeof p->db - 40) {
        return zo_fail(err, ZO_EINPUT, "--db has %zu bytes; at most %zu are permitted", strlen(db), sizeof p->db - 40);
    }
    zo_status status = zo_make_parent(db, err);
    if (status != ZO_OK) {
        return status;
    }
    snprintf(p->name, sizeof p->name, "%.4000s", ref != NULL ? ref : "this program");
    if (ref == NULL) {
        snprintf(p->path, sizeof p->path, "/proc/self/exe");
    } else if (zo_path_exists(ref) && !zo_path_is_dir(ref)) {
        snprintf(p->path, sizeof p->path, "%s%.4090s", strchr(ref, '/') == NULL ? "./" : "", ref);
    } else {
        status = build(p, ref, commit, err);
    }
    snprintf(p->db, sizeof p->db, "%.4060s%s%.12s", db, commit[0] != '\0' ? "." : "", commit);
    snprintf(p->log, sizeof p->log, "%.4080s.log", p->db);
    return status == ZO_OK ? zo_program_last(p, &p->before, err) : status;
}

zo_status zo_program_last(const zo_program *p, int64_t *run, zo_err *err)
{
    zo_results *results;
    cJSON *rows = NULL;
    *run = 0;
    if (!zo_path_exists(p->db)) {
        return ZO_OK;
    }
    zo_status status = zo_results_open_read(&results, p->db, err);
    if (status == ZO_OK) {
        status = zo_results_select(results, "SELECT coalesce(max(run), 0) AS run FROM tries", &rows, err);
        *run = status == ZO_OK ? (int64_t)zo_json_number(rows->child, "run", 0) : 0;
        cJSON_Delete(rows);
        zo_results_close(results);
    }
    return status;
}

zo_status zo_program_touch(const zo_program *p, zo_err *err)
{
    zo_results *results;
    if (zo_path_exists(p->db)) {
        return ZO_OK;
    }
    zo_status status = zo_results_open(&results, p->db, true, err);
    if (status == ZO_OK) {
        zo_results_close(results);
    }
    return status;
}

zo_status zo_program_run(const zo_program *p, const zo_cell *cell, const zo_setup_dirs *dirs, int *killed, zo_err *err)
{
    char config[4200], said[500];
    int code;
    *killed = 0;
    snprintf(config, sizeof config, "%.4080s.cell.json", p->db);
    zo_status status = zo_write_file(config, cell->config, strlen(cell->config), err);
    if (status != ZO_OK) {
        return status;
    }
    const char *word[12] = {"zo", "run", config, "--redo", "--db", p->db};
    int n = 6;
    if (dirs->data != NULL) {
        word[n++] = "--data";
        word[n++] = dirs->data;
    }
    if (dirs->models != NULL) {
        word[n++] = "--models";
        word[n++] = dirs->models;
    }
    status = run_words(p->path, word, p->log, &code, err);
    unlink(config);
    if (status == ZO_OK && code > 1) { /* 1: a cell failed, which its row says */
        last_line(p->log, said, sizeof said);
        *killed = code > 128 ? code - 128 : 0;
        return zo_fail(err, ZO_EINPUT, "%.300s %s %d (%.300s): %.300s", p->path, code > 128 ? "was ended by signal" : "ended with code", code > 128 ? code - 128 : code, p->log, said);
    }
    return status;
}
