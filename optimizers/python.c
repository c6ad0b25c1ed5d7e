/* python.c: estimators in Python: what a file says of itself is asked of a process of Python (python/zo), and a cell of it is such a process. See plugins.h. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/build.h"
#include "core/mem.h"
#include "core/text.h"
#include "optimizers/needs.h"
#include "optimizers/plugins.h"
#include "optimizers/spsa.h"

extern char **environ;

enum { FILES_MOST = 16, SAID_MOST = 1 << 20 };

static zo_python_loader loader;
static const char *library;

void zo_python_serve(zo_python_loader python_loader, const char *python_library)
{
    loader = python_loader;
    library = python_library;
}

const char *zo_python_library(void)
{
    return library != NULL ? library : "/proc/self/exe";
}

/* ---- what a file says of itself, to a process that is no Python -------------------------------------------------------------------- */

static struct { cJSON *says; const zo_opt *options; } described[FILES_MOST]; /* as long as the process */
static int files;

static double number_in(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(value) ? value->valuedouble : cJSON_IsTrue(value);
}

static const char *text_in(const cJSON *object, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

/* With the defaults of its options: a process of Python, which predicts and runs its cells, knows the others. */
static void needs_of(int file, zo_needs *n)
{
    const cJSON *needs = cJSON_GetObjectItemCaseSensitive(described[file].says, "needs");
    n->points = (int64_t)number_in(needs, "points");
    n->terms = (int64_t)number_in(needs, "terms");
    n->updates = (int64_t)number_in(needs, "updates");
    n->stored = (int)number_in(needs, "stored");
    n->anchors = (int)number_in(needs, "anchors");
    n->moments = (int)number_in(needs, "moments");
}

/* Slots have no context: a function for each file. */
#define EACH_FILE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)
#define NEEDS(file)                                                                            \
    static void needs_##file(const void *options, const zo_extent *extent, zo_needs *needs)    \
    {                                                                                          \
        (void)options;                                                                         \
        (void)extent;                                                                          \
        needs_of(file, needs);                                                                 \
    }
EACH_FILE(NEEDS)
#define NAME(file) needs_##file,
static void (*const needs[FILES_MOST])(const void *, const zo_extent *, zo_needs *) = {EACH_FILE(NAME)};

static zo_status step(void *state, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    (void)state, (void)o, (void)c, (void)r;
    return zo_fail(err, ZO_EUNSUPPORTED, "an estimator in Python runs in a process of Python: `zo run` starts one, and `python3 -m zo bench step` is one");
}

static const zo_opt *options_of(const cJSON *list)
{
    static const char *const types[] = {"int", "real", "bool", "string", "choice"};
    zo_opt *table = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(list) + 1) * sizeof *table), *o = table;
    const cJSON *each;
    cJSON_ArrayForEach(each, list) {
        const char *type = text_in(each, "type");
        int at = 0;
        while (at < 5 && (type == NULL || strcmp(types[at], type) != 0)) {
            at++;
        }
        *o++ = (zo_opt){.key = text_in(each, "key"), .type = (zo_opt_type)at, .offset = (size_t)number_in(each, "offset"), .initial = number_in(each, "initial"),
                        .least = number_in(each, "least"), .most = number_in(each, "most"), .choices = text_in(each, "choices"), .help = text_in(each, "help")};
    }
    return table;
}

static zo_status take_description(const char *path, cJSON *says, zo_estimator *e, zo_err *err)
{
    const char *revision = text_in(says, "revision"), *source = text_in(says, "source");
    if (revision == NULL || strcmp(revision, zo_build_revision()) != 0) {
        return zo_fail(err, ZO_EINPUT, "%s: the libzo of its Python is of revision %.40s, and this zo of %.40s; make both of one (make && make python, and pip install ./python again where that was done)", path,
                       revision != NULL ? revision : "unknown", zo_build_revision());
    }
    if (files == FILES_MOST) {
        return zo_fail(err, ZO_EINPUT, "%s: is one of more than %d files of Python; cut the config in several", path, FILES_MOST);
    }
    described[files].says = says;
    described[files].options = options_of(cJSON_GetObjectItemCaseSensitive(says, "options"));
    *e = (zo_estimator){.name = text_in(says, "name"), .title = text_in(says, "title"), .paper = text_in(says, "paper"),
                        .loss_is = text_in(says, "loss_is"), .queries_are = text_in(says, "queries_are"), .losses_at = text_in(says, "losses_at"),
                        .options = described[files].options, .state_bytes = (size_t)number_in(says, "state_bytes"),
                        .lr = number_in(says, "lr"), .eps = number_in(says, "eps"), .descends_lr = number_in(says, "descends_lr"),
                        .full_batch = number_in(says, "full_batch") != 0, .allows = zo_allows_dense, .needs = needs[files], .step = step};
    for (int s = ZO_SOURCE_NONE; s <= ZO_SOURCE_RECONSTRUCTED; s++) {
        e->source = source != NULL && strcmp(source, zo_text_source_name((zo_text_source)s)) == 0 ? (zo_text_source)s : e->source;
    }
    files++;
    return ZO_OK;
}

/* What `PYTHON -m zo describe PATH` says, both streams; *n bytes and a NUL. The caller frees it with zo_free. */
static zo_status ask(const char *python, const char *path, char **said, size_t *n, zo_err *err)
{
    int pair[2];
    pid_t pid;
    if (pipe2(pair, O_CLOEXEC) != 0) {
        return zo_fail(err, ZO_EIO, "%s: a pipe cannot be made: %s", path, strerror(errno));
    }
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pair[1], STDERR_FILENO);
    char *const words[] = {(char *)python, "-m", "zo", "describe", (char *)path, NULL};
    int code = posix_spawnp(&pid, python, &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    if (code != 0) {
        close(pair[0]);
        return zo_fail(err, ZO_EINPUT, "%s: wants Python, and %s cannot be started (%s); install python3, or name it in $ZO_PYTHON", path, python, strerror(code));
    }
    *said = zo_alloc(ZO_HOST, ZO_TAG_OTHER, SAID_MOST);
    *n = 0;
    for (ssize_t got = 1; got != 0 && *n < SAID_MOST - 1;) {
        got = read(pair[0], *said + *n, SAID_MOST - 1 - *n);
        if (got < 0 && errno != EINTR) {
            break;
        }
        *n += got > 0 ? (size_t)got : 0;
    }
    close(pair[0]);
    while (waitpid(pid, &code, 0) < 0 && errno == EINTR) {
    }
    return ZO_OK;
}

zo_status zo_python_open(const char *path, zo_estimator *e, zo_err *err)
{
    if (loader != NULL) {
        char why[800] = "";
        const zo_estimator *its = loader(path, why, sizeof why);
        return its != NULL ? (*e = *its, ZO_OK) : zo_fail(err, ZO_EINPUT, "%s: %s", path, why);
    }
    const char *python = getenv("ZO_PYTHON");
    char *said = NULL;
    size_t n = 0;
    zo_status status = ask(python != NULL && python[0] != '\0' ? python : "python3", path, &said, &n, err);
    if (status != ZO_OK) {
        return status;
    }
    while (n > 0 && (said[n - 1] == '\n' || said[n - 1] == ' ')) {
        said[--n] = '\0';
    }
    const char *last = strrchr(said, '\n') != NULL ? strrchr(said, '\n') + 1 : said;
    cJSON *says = cJSON_Parse(last);
    if (text_in(says, "error") != NULL) {
        status = zo_fail(err, ZO_EINPUT, "%s: %s", path, text_in(says, "error"));
    } else if (!cJSON_IsObject(says)) {
        status = zo_fail(err, ZO_EINPUT, "%s: zo-py did not describe it: %.200s; install it from zo's folder (make python, then pip install ./python), or name "
                         "its Python in $ZO_PYTHON", path, last);
    } else {
        status = take_description(path, says, e, err);
    }
    if (status != ZO_OK) {
        cJSON_Delete(says);
    }
    zo_free(said);
    return status;
}
