/* plugins.c: see plugins.h. */
#include "optimizers/plugins.h"

#include <cjson/cJSON.h>
#include <ctype.h>
#include <dlfcn.h>
#include <elf.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/io.h"
#include "core/mem.h"
#include "optimizers/plugin.h"

enum { OPTIONS_MOST = 256, NAME_MOST = 40 };

typedef struct loaded {
    zo_estimator estimator; /* a copy: what a younger program has more is zero */
    char *path;
    uint64_t print;
    struct loaded *next;
} loaded;

static loaded *first; /* reached until the process ends, as what dlopen has opened is */

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

bool zo_plugin_is(const char *name)
{
    return strchr(name, '/') != NULL || ends_with(name, ".so") || ends_with(name, ".py");
}

zo_status zo_plugin_fingerprint(const char *path, uint64_t *print, zo_err *err)
{
    zo_map file;
    zo_status status = zo_map_open(&file, path, err);
    if (status == ZO_OK) {
        *print = zo_fnv1a(ZO_FNV_START, file.data, file.bytes);
        zo_map_close(&file);
    }
    return status;
}

/* ---- the header that it was built with ------------------------------------------------------------------------------------ */

extern const char *const zo_plugin_seam; /* this program's (make/plugins.mk) */

/* Where this program's declaration of so many bytes "HOW NAME: " begins, behind HOW; NULL = there is none. */
static const char *own_line(const char *name, size_t n, const char **how)
{
    for (const char *line = zo_plugin_seam; *line != '\0'; line += strcspn(line, "\n") + 1) {
        const char *behind = strchr(line, ' ') + 1;
        if (strncmp(behind, name, n) == 0) {
            *how = line;
            return behind;
        }
    }
    return NULL;
}

static bool begins(const char *text, size_t n, const char *with, size_t m)
{
    return m <= n && strncmp(text, with, m) == 0;
}

/* Of an enumeration: without its last part, which may count the others. */
static size_t but_last(const char *text, size_t n)
{
    while (n > 0 && text[n - 1] != ',') {
        n--;
    }
    return n;
}

/* May a plug-in with `theirs` (n) run where `own` (m) is declared? */
static bool is_older(const char *how, const char *theirs, size_t n, const char *own, size_t m)
{
    bool same = n == m && strncmp(theirs, own, n) == 0;
    return same || (how[0] == 'g' && begins(own, m, theirs, n)) || (how[0] == 'c' && begins(own, m, theirs, but_last(theirs, n)));
}

static zo_status check_seam(const char *path, const char *seam, zo_err *err)
{
    for (const char *line = seam, *how; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t n = strcspn(line, "\n");
        const char *theirs = memchr(line, ' ', n), *colon = memchr(line, ':', n);
        if (theirs == NULL || colon == NULL || line[n] == '\0') {
            return zo_fail(err, ZO_EINPUT, "%s: its zo_plugin.seam is not that of a zo/plugin.h; leave it to ZO_PLUGIN(mine)", path);
        }
        n -= (size_t)(++theirs - line);
        const char *own = own_line(theirs, (size_t)(colon - theirs) + 1, &how);
        size_t m = own != NULL ? strcspn(own, "\n") : 0, at = 0;
        if (own == NULL || is_older(how, theirs, n, own, m)) {
            continue;
        }
        while (at < n && at < m && theirs[at] == own[at]) {
            at++;
        }
        while (at > (size_t)(colon - theirs) + 2 && strchr(";,:", theirs[at - 1]) == NULL) { /* the beginning of a part */
            at--;
        }
        at += at < n && theirs[at] == ' ';
        return zo_fail(err, ZO_EINPUT, "%s: was built with another zo/plugin.h, whose %.*s has \"%.*s\" where this zo has \"%.*s\"; build it again with the "
                       "header of this zo", path, (int)(colon - theirs), theirs, (int)(n <= at ? 0 : n - at < 60 ? n - at : 60), theirs + at,
                       (int)(m <= at ? 0 : m - at < 60 ? m - at : 60), own + at);
    }
    return ZO_OK;
}

static zo_status check_header(const char *path, const zo_plugin_info *p, zo_err *err)
{
    if (p->version != ZO_PLUGIN_VERSION) {
        return zo_fail(err, ZO_EINPUT, "%s: was built with a zo/plugin.h of version %u, and this zo has version %d; build it again with the header of this zo",
                       path, p->version, ZO_PLUGIN_VERSION);
    }
    if (p->size < sizeof *p) {
        return zo_fail(err, ZO_EINPUT, "%s: its zo_plugin has %u bytes; expected %zu or more, which ZO_PLUGIN of zo/plugin.h gives it", path, p->size, sizeof *p);
    }
    if (p->estimator == NULL || p->seam == NULL || p->estimator_bytes == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: its zo_plugin has no estimator or no seam; write ZO_PLUGIN(mine), where `const zo_estimator mine` is", path);
    }
    zo_status status = check_seam(path, p->seam, err);
    if (status == ZO_OK && p->estimator_bytes > sizeof(zo_estimator)) {
        return zo_fail(err, ZO_EINPUT, "%s: its zo_estimator has %llu bytes, and that of this zo %zu; build it again with the header of this zo", path,
                       (unsigned long long)p->estimator_bytes, sizeof(zo_estimator));
    }
    return status;
}

/* ---- what it says of itself ------------------------------------------------------------------------------------------------ */

static bool is_name(const char *name)
{
    size_t n = name != NULL ? strlen(name) : 0;
    for (size_t i = 0; i < n; i++) {
        if (!islower((unsigned char)name[i]) && !isdigit((unsigned char)name[i]) && (i == 0 || strchr("-_.", name[i]) == NULL)) {
            return false;
        }
    }
    return n > 0 && n <= NAME_MOST;
}

static bool is_text(const char *text)
{
    return text != NULL && text[0] != '\0';
}

/* Can the option be read and written: what is wrong with it, or NULL. */
static const char *option_fault(const zo_opt *o, size_t state_bytes)
{
    static const size_t bytes[] = {[ZO_OPT_INT] = sizeof(int64_t), [ZO_OPT_REAL] = sizeof(double), [ZO_OPT_BOOL] = sizeof(bool),
                                   [ZO_OPT_STRING] = ZO_OPT_STRING_BYTES, [ZO_OPT_CHOICE] = sizeof(int)};
    if (!is_text(o->key) || strcmp(o->key, "name") == 0 || strcmp(o->key, "plugin") == 0 || strpbrk(o->key, "\"\\ ") != NULL) {
        return "has a key that a config cannot have";
    }
    if ((size_t)o->type >= sizeof bytes / sizeof *bytes) {
        return "has a type that is none of zo_opt_type";
    }
    if (o->offset > state_bytes || bytes[o->type] > state_bytes - o->offset) {
        return "does not lie within .state_bytes";
    }
    if (o->type == ZO_OPT_STRING) {
        return o->text == NULL || strlen(o->text) >= ZO_OPT_STRING_BYTES ? "has no default in .text, or one that is too long" : NULL;
    }
    if (o->type == ZO_OPT_CHOICE) {
        int n = 1;
        for (const char *c = o->choices != NULL ? o->choices : ""; *c != '\0'; c++) {
            n += *c == '|';
        }
        return !is_text(o->choices) ? "has no .choices" : !(o->initial >= 0 && o->initial < n) ? "has a default that is none of its choices" : NULL;
    }
    return o->type != ZO_OPT_BOOL && !(o->least <= o->initial && o->initial <= o->most) ? "has a default outside of .least to .most" : NULL;
}

static zo_status check_options(const char *path, const zo_estimator *e, zo_err *err)
{
    int n = 0;
    for (const zo_opt *o = e->options; o->key != NULL; o++) {
        const char *fault = option_fault(o, e->state_bytes);
        if (fault != NULL) {
            return zo_fail(err, ZO_EINPUT, "%s: its option %d, \"%.64s\", %s", path, n + 1, o->key, fault);
        }
        for (const zo_opt *other = e->options; other != o; other++) {
            if (strcmp(other->key, o->key) == 0) {
                return zo_fail(err, ZO_EINPUT, "%s: its option \"%.64s\" stands there twice; keep one", path, o->key);
            }
        }
        if (++n > OPTIONS_MOST) {
            return zo_fail(err, ZO_EINPUT, "%s: has more than %d options; end the table with {.key = NULL}", path, OPTIONS_MOST);
        }
    }
    return ZO_OK;
}

/* Is this a value of the option with this key? */
static zo_status check_value(const char *path, const zo_estimator *e, const char *what, const char *key, const char *value, zo_err *err)
{
    if (!is_text(value)) {
        return zo_fail(err, ZO_EINPUT, "%s: its %s of \"%.64s\" has no .value", path, what, key);
    }
    const zo_variant as = {.key = key, .value = value};
    cJSON *options = zo_variant_options(&as);
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    char where[400];
    snprintf(where, sizeof where, "%.300s: its %s", path, what);
    zo_status status = zo_opt_read(e->options, options, NULL, where, state, err);
    zo_free(state);
    cJSON_Delete(options);
    return status;
}

static zo_status check_variants(const char *path, const zo_estimator *e, zo_err *err)
{
    zo_status status = ZO_OK;
    for (const zo_variant *v = e->variants; v != NULL && v->key != NULL && status == ZO_OK; v++) {
        status = is_text(v->says) ? check_value(path, e, "variant", v->key, v->value, err)
                                  : zo_fail(err, ZO_EINPUT, "%s: its variant of \"%.64s\" has no .says", path, v->key);
    }
    for (const zo_sourced *s = e->sources; s != NULL && s->key != NULL && status == ZO_OK; s++) {
        status = check_value(path, e, "source", s->key, s->value, err);
    }
    return status;
}

static zo_status check_estimator(const char *path, const zo_estimator *e, zo_err *err)
{
    if (!is_name(e->name)) {
        return zo_fail(err, ZO_EINPUT, "%s: its .name is \"%.64s\"; expected 1 to %d small letters, digits, and - _ . behind the first", path,
                       e->name != NULL ? e->name : "", NAME_MOST);
    }
    if (zo_estimator_find(e->name) != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: its .name is \"%s\", which a method of this program has; give it another", path, e->name);
    }
    const struct { const char *member; bool there; } must[] = {{"title", is_text(e->title)},     {"loss_is", is_text(e->loss_is)},
                                                               {"losses_at", is_text(e->losses_at)}, {"options", e->options != NULL},
                                                               {"state_bytes", e->state_bytes > 0}, {"needs", e->needs != NULL},
                                                               {"step", e->step != NULL}};
    for (size_t i = 0; i < sizeof must / sizeof *must; i++) {
        if (!must[i].there) {
            return zo_fail(err, ZO_EINPUT, "%s: its estimator %s has no .%s, which a plug-in must have (estimator.h in zo/plugin.h says what it is)", path,
                           e->name, must[i].member);
        }
    }
    if (!(e->lr > 0 && isfinite(e->lr)) || (!e->first_order && !(e->eps > 0 && isfinite(e->eps)))) {
        return zo_fail(err, ZO_EINPUT, "%s: its estimator %s has .lr %g and .eps %g, which runs get that name none; expected numbers above 0", path, e->name,
                       e->lr, e->eps);
    }
    if (e->usual) {
        return zo_fail(err, ZO_EINPUT, "%s: its estimator %s says .usual, and no plug-in is taken where a user names no method; leave it out", path, e->name);
    }
    if (e->plain_bytes > e->state_bytes) {
        return zo_fail(err, ZO_EINPUT, "%s: its estimator %s has .plain_bytes %zu, more than its .state_bytes %zu", path, e->name, e->plain_bytes, e->state_bytes);
    }
    if ((unsigned)e->source > ZO_SOURCE_RECONSTRUCTED) {
        return zo_fail(err, ZO_EINPUT, "%s: its estimator %s has a .source that is none of zo_text_source", path, e->name);
    }
    zo_status status = check_options(path, e, err);
    return status == ZO_OK ? check_variants(path, e, err) : status;
}

/* ---- loading ----------------------------------------------------------------------------------------------------------------- */

/* Does an ELF file end before what its header says is loaded? dlopen maps that, and reading behind the end would end the process. */
static bool is_cut_off(const zo_map *file)
{
    Elf64_Ehdr head;
    Elf64_Phdr part;
    if (file->bytes < sizeof head || memcmp(file->data, ELFMAG, SELFMAG) != 0 || file->data[EI_CLASS] != ELFCLASS64) {
        return false; /* dlopen says what it is */
    }
    memcpy(&head, file->data, sizeof head);
    bool whole = head.e_phoff <= file->bytes && head.e_phnum <= (file->bytes - head.e_phoff) / sizeof part;
    for (int i = 0; i < head.e_phnum && whole; i++) {
        memcpy(&part, file->data + head.e_phoff + (size_t)i * sizeof part, sizeof part);
        whole = part.p_type != PT_LOAD || (part.p_filesz <= file->bytes && part.p_offset <= file->bytes - part.p_filesz);
    }
    return !whole;
}

static zo_status check_whole(const char *path, zo_err *err)
{
    zo_map file;
    zo_status status = zo_map_open(&file, path, err);
    if (status == ZO_OK) {
        bool cut_off = is_cut_off(&file);
        zo_map_close(&file);
        status = cut_off ? zo_fail(err, ZO_EINPUT, "%s: cannot be loaded as a plug-in: the file is cut off; build or copy it again", path) : ZO_OK;
    }
    return status;
}

static zo_status load(const char *path, zo_estimator *e, zo_err *err)
{
    if (ends_with(path, ".py")) {
        zo_status status = zo_python_open(path, e, err);
        return status == ZO_OK ? check_estimator(path, e, err) : status;
    }
    zo_status status = check_whole(path, err);
    if (status != ZO_OK) {
        return status;
    }
    char file[4200];
    snprintf(file, sizeof file, "%s%s", strchr(path, '/') == NULL ? "./" : "", path); /* dlopen looks for a bare name elsewhere */
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        size_t n = strlen(file);
        why += strncmp(why, file, n) == 0 && strncmp(why + n, ": ", 2) == 0 ? n + 2 : 0;
        return zo_fail(err, ZO_EINPUT, "%s: cannot be loaded as a plug-in: %s", path, why);
    }
    const zo_plugin_info *p = dlsym(library, "zo_plugin");
    if (p == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: exports no zo_plugin; write ZO_PLUGIN(mine) of zo/plugin.h in one of its files", path);
    }
    status = check_header(path, p, err);
    if (status == ZO_OK) {
        memcpy(e, p->estimator, p->estimator_bytes);
        status = check_estimator(path, e, err);
    }
    return status;
}

zo_status zo_plugin_open(const char *path, const zo_estimator **estimator, zo_err *err)
{
    for (loaded *l = first; l != NULL; l = l->next) {
        if (strcmp(l->path, path) == 0) {
            *estimator = &l->estimator;
            return ZO_OK;
        }
    }
    uint64_t print;
    zo_estimator e = {.name = NULL};
    zo_status status = zo_plugin_fingerprint(path, &print, err);
    status = status == ZO_OK ? load(path, &e, err) : status;
    if (status == ZO_OK) {
        loaded *l = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *l);
        *l = (loaded){.estimator = e, .path = zo_strdup(ZO_TAG_OTHER, path), .print = print, .next = first};
        first = l;
        *estimator = &l->estimator;
    }
    return status;
}

static const loaded *find(const zo_estimator *estimator)
{
    const loaded *l = first;
    while (l != NULL && &l->estimator != estimator) {
        l = l->next;
    }
    return l;
}

const char *zo_plugin_path(const zo_estimator *estimator)
{
    const loaded *l = find(estimator);
    return l != NULL ? l->path : NULL;
}

const char *zo_plugin_python(const zo_estimator *estimator)
{
    const char *path = zo_plugin_path(estimator), *python = getenv("ZO_PYTHON");
    return path == NULL || !ends_with(path, ".py") ? NULL : python != NULL && python[0] != '\0' ? python : "python3";
}

uint64_t zo_plugin_loaded(const zo_estimator *estimator)
{
    const loaded *l = find(estimator);
    return l != NULL ? l->print : 0;
}
