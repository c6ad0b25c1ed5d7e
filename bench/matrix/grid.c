/* grid.c: from a config file to cells: products of lists, include and exclude. The keys of a cell stand in the table of bench/cell/keys.c, an optimizer's
 * own keys in its estimator's table; bench/cell/settings.c makes a cell of them. See grid.h for the rules. */
#include "bench/matrix/grid.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "bench/cell/keys.h"
#include "bench/matrix/tuning.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/tune.h"
#include "optimizers/plugins.h"
#include "results/labels.h"

#define CELLS_MOST 100000
#define KEYS_MOST 128

/* ---- keys --------------------------------------------------------------------------------------------------------------- */

/* Keys that were called otherwise. */
static const struct { const char *old, *now; } renamed[] = {
    {"select", "\"selection\": \"dev-metric\" (was \"accuracy\") or \"dev-loss\" (was \"loss\")"},
    {"data_seed", "\"train_split_seed\", and \"test_split_seed\" for the test rows"}};

/* Keys of a config that are not keys of a cell. */
static const char *const config_keys[] = {"optimizer", "include", "exclude", "name", "notes", "expect", "tuning"};

#define COUNT(list) ((int)(sizeof(list) / sizeof *(list)))

static bool is_one_of(const char *key, const char *const *list, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(key, list[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- one cell ----------------------------------------------------------------------------------------------------------- */

/* ---- what tells cells apart --------------------------------------------------------------------------------------------- */

/* Settings are compared among the cells of one optimizer: between optimizers they differ by its own defaults. */
void zo_grid_label(zo_grid *g)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *setting);
    for (int64_t i = 0; i < g->n; i++) {
        uint64_t optimizer = (uintptr_t)g->cell[i].estimator;
        setting[i] = (zo_setting){.value = g->cell[i].options, .cell = &g->cell[i], .frame = optimizer, .scope = optimizer};
    }
    char **label = zo_labels_make(&(zo_label_spec){.keys = zo_cell_keys(), .left_flags = ZO_KEY_LABELLED}, setting, g->n);
    for (int64_t i = 0; i < g->n; i++) {
        zo_free(g->cell[i].varied);
        g->cell[i].varied = label[i];
    }
    zo_free(label);
    zo_free(setting);
}

/* ---- products of lists -------------------------------------------------------------------------------------------------- */

/* The values of a key: the members of a list, or the value itself. Calls back with each combination as an object. */
typedef zo_status (*combine)(void *context, cJSON *object, zo_err *err);

static zo_status product(const cJSON *const *axis, int naxes, const char *path, combine each, void *context, zo_err *err)
{
    int64_t total = 1, values = 0;
    for (int i = 0; i < naxes; i++) {
        int n = cJSON_IsArray(axis[i]) ? cJSON_GetArraySize(axis[i]) : 1;
        if (n == 0) {
            return zo_fail(err, ZO_EINPUT, "%s: the list of \"%s\" is empty; give at least one value", path, axis[i]->string);
        }
        total *= n;
        values += n;
        if (total > CELLS_MOST) {
            return zo_fail(err, ZO_EINPUT, "%s: its lists multiply to more than %d cells; cut it in several configs", path, CELLS_MOST);
        }
    }
    /* The members of all lists, one axis after another: cJSON's own lists are walked from the front. */
    const cJSON **value = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(values + 1) * sizeof *value);
    int64_t *first = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(naxes + 1) * sizeof *first), at_value = 0;
    for (int i = 0; i < naxes; i++) {
        first[i] = at_value;
        for (const cJSON *v = cJSON_IsArray(axis[i]) ? axis[i]->child : axis[i]; v != NULL; v = cJSON_IsArray(axis[i]) ? v->next : NULL) {
            value[at_value++] = v;
        }
    }
    first[naxes] = at_value;
    zo_status status = ZO_OK;
    for (int64_t at = 0; at < total && status == ZO_OK; at++) {
        cJSON *object = cJSON_CreateObject();
        int64_t rest = at;
        for (int i = naxes - 1; i >= 0; i--) { /* the last axis runs fastest */
            int64_t n = first[i + 1] - first[i];
            cJSON_AddItemToObject(object, axis[i]->string, cJSON_Duplicate(value[first[i] + rest % n], true));
            rest /= n;
        }
        status = each(context, object, err);
        cJSON_Delete(object);
    }
    zo_free(value);
    zo_free(first);
    return status;
}

/* The product of an object's lists. */
static zo_status product_of(const cJSON *entry, const char *path, combine each, void *context, zo_err *err)
{
    int n = cJSON_GetArraySize(entry), i = 0;
    const cJSON **axis = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(n + 1) * sizeof *axis);
    for (const cJSON *o = entry->child; o != NULL; o = o->next) {
        axis[i++] = o;
    }
    zo_status status = product(axis, n, path, each, context, err);
    zo_free(axis);
    return status;
}

typedef struct builder {
    zo_grid *grid;
    const char *path;
    int64_t room;
    cJSON *optimizers; /* of the config being expanded: concrete objects */
    const cJSON *exclude;
    int64_t *used;     /* (exclude entries) cells that each took out */
    zo_hashmap index;      /* of the cells, by hash */
} builder;

static zo_status add_optimizer(void *context, cJSON *object, zo_err *err)
{
    (void)err;
    cJSON_AddItemToArray(((builder *)context)->optimizers, cJSON_Duplicate(object, true));
    return ZO_OK;
}

/* One entry of `optimizer`: a string stays, an object becomes the product of its lists. */
static zo_status expand_optimizer(builder *b, const cJSON *entry, zo_err *err)
{
    if (!cJSON_IsObject(entry)) {
        cJSON_AddItemToArray(b->optimizers, cJSON_Duplicate(entry, true));
        return ZO_OK;
    }
    return product_of(entry, b->path, add_optimizer, b, err);
}

/* ---- views -------------------------------------------------------------------------------------------------------------- */

typedef struct views { const char *path; cJSON *texts; } views; /* (texts) one a view */

static zo_status add_view(void *context, cJSON *value, zo_err *err)
{
    views *v = context;
    char text[ZO_OPT_STRING_BYTES];
    zo_tune tune;
    zo_status status = zo_tune_read(value, v->path, &tune, err);
    if (status == ZO_OK) {
        cJSON_AddItemToArray(v->texts, cJSON_CreateString(zo_tune_text(&tune, text)));
    }
    return status;
}

/* Puts in place of "tune", a view or a list of them, their texts: an object is the product of its lists, as an optimizer is. */
static zo_status replace_views(cJSON *object, const char *path, zo_err *err)
{
    const cJSON *given = cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, "tune") : NULL;
    if (given == NULL) {
        return ZO_OK;
    }
    views v = {.path = path, .texts = cJSON_CreateArray()};
    zo_status status = ZO_OK;
    for (cJSON *view = cJSON_IsArray(given) ? given->child : (cJSON *)given; view != NULL && status == ZO_OK; view = cJSON_IsArray(given) ? view->next : NULL) {
        status = cJSON_IsObject(view) ? product_of(view, path, add_view, &v, err) : add_view(&v, view, err);
    }
    bool one = cJSON_GetArraySize(v.texts) == 1;
    zo_json_replace(object, "tune", one ? cJSON_DetachItemFromArray(v.texts, 0) : v.texts);
    if (one) {
        cJSON_Delete(v.texts);
    }
    return status;
}

/* The same in a part of a config and in its optimizers. */
static zo_status replace_views_of(cJSON *part, const char *path, zo_err *err)
{
    zo_status status = replace_views(part, path, err);
    cJSON *optimizer = cJSON_IsObject(part) ? cJSON_GetObjectItemCaseSensitive(part, "optimizer") : NULL, *list = cJSON_IsArray(optimizer) ? optimizer->child : NULL;
    status = status == ZO_OK ? replace_views(optimizer, path, err) : status;
    for (cJSON *o = list; o != NULL && status == ZO_OK; o = o->next) {
        status = replace_views(o, path, err);
    }
    return status;
}

/* And in all parts: the top level, what it includes and what it excludes. */
static zo_status replace_all_views(cJSON *config, const char *path, zo_err *err)
{
    static const char *const parts[] = {"include", "exclude"};
    zo_status status = replace_views_of(config, path, err);
    for (int i = 0; i < COUNT(parts) && cJSON_IsObject(config); i++) {
        cJSON *list = cJSON_GetObjectItemCaseSensitive(config, parts[i]);
        for (cJSON *e = cJSON_IsArray(list) ? list->child : NULL; e != NULL && status == ZO_OK; e = e->next) {
            status = replace_views_of(e, path, err);
        }
    }
    return status;
}

/* ---- exclude ------------------------------------------------------------------------------------------------------------ */

static bool same_value(const cJSON *a, const cJSON *wanted)
{
    if (cJSON_IsArray(wanted)) {
        for (const cJSON *w = wanted->child; w != NULL; w = w->next) {
            if (same_value(a, w)) {
                return true;
            }
        }
        return false;
    }
    const zo_opt *k = cJSON_IsNumber(a) && cJSON_IsString(wanted) ? zo_opt_find(zo_cell_keys(), a->string) : NULL;
    if (k != NULL && k->word != NULL && strcmp(wanted->valuestring, k->word) == 0) {
        return a->valuedouble == k->number;
    }
    return cJSON_Compare(a, wanted, true);
}

/* A plug-in is known by its estimator's name and by its path. */
static bool same_optimizer(const cJSON *optimizer, const cJSON *wanted)
{
    const cJSON *plugin = cJSON_GetObjectItemCaseSensitive(optimizer, "plugin");
    return same_value(cJSON_GetObjectItemCaseSensitive(optimizer, "name"), wanted) || (plugin != NULL && same_value(plugin, wanted));
}

bool zo_partial_matches(const cJSON *config, const cJSON *partial)
{
    const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(config, "optimizer");
    for (const cJSON *p = partial->child; p != NULL; p = p->next) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, p->string);
        if (strcmp(p->string, "optimizer") == 0) {
            /* a name, a list of names, or an object of the optimizer's keys and common ones */
            if (!cJSON_IsObject(p)) {
                if (!same_optimizer(optimizer, p)) {
                    return false;
                }
                continue;
            }
            for (const cJSON *o = p->child; o != NULL; o = o->next) {
                const cJSON *own = cJSON_GetObjectItemCaseSensitive(optimizer, o->string);
                own = own != NULL ? own : cJSON_GetObjectItemCaseSensitive(config, o->string);
                if (strcmp(o->string, "name") == 0 ? !same_optimizer(optimizer, o) : own == NULL || !same_value(own, o)) {
                    return false;
                }
            }
        } else if (value == NULL || !same_value(value, p)) {
            return false;
        }
    }
    return true;
}

/* ---- a config ----------------------------------------------------------------------------------------------------------- */

/* {"name": "./mine.so"} as {"name": "mine", "plugin": "./mine.so"}; what cannot be loaded stays as it is. */
static void name_plugin(cJSON *optimizer)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(optimizer, "name");
    const zo_estimator *e;
    zo_err ignored = {0};
    if (cJSON_IsString(name) && zo_plugin_is(name->valuestring) && zo_plugin_open(name->valuestring, &e, &ignored) == ZO_OK) {
        cJSON_AddStringToObject(optimizer, "plugin", name->valuestring);
        zo_json_replace(optimizer, "name", cJSON_CreateString(e->name));
    }
}

static zo_status add_cell(void *context, cJSON *object, zo_err *err)
{
    builder *b = context;
    zo_grid *g = b->grid;
    zo_cell cell;
    zo_status status = zo_cell_make(&cell, object, b->path, err);
    bool excludes = cJSON_GetArraySize(b->exclude) > 0;
    cJSON *config = status == ZO_OK && excludes ? zo_cell_whole_config(&cell) : cJSON_CreateObject();
    /* An impossible pair may be one that `exclude` takes out: compare what was asked for then. */
    if (status != ZO_OK && excludes) {
        cJSON_Delete(config);
        config = cJSON_Duplicate(object, true);
        const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(config, "optimizer");
        if (cJSON_IsString(optimizer)) {
            cJSON *named = cJSON_CreateObject();
            cJSON_AddStringToObject(named, "name", optimizer->valuestring);
            zo_json_replace(config, "optimizer", named);
        }
        name_plugin(cJSON_GetObjectItemCaseSensitive(config, "optimizer"));
    }
    int at = 0;
    for (const cJSON *e = b->exclude != NULL ? b->exclude->child : NULL; e != NULL; e = e->next, at++) {
        if (zo_partial_matches(config, e)) {
            b->used[at]++;
            g->excluded++;
            cJSON_Delete(config);
            if (status == ZO_OK) {
                zo_cell_free(&cell);
            }
            return ZO_OK;
        }
    }
    cJSON_Delete(config);
    if (status != ZO_OK) {
        return status;
    }
    bool is_new;
    int64_t *index = zo_hashmap_at(&b->index, strtoull(cell.hash, NULL, 16), &is_new);
    if (!is_new) {
        g->merged++;
        zo_cell_free(&cell);
        return ZO_OK;
    }
    if (g->n == CELLS_MOST) {
        zo_cell_free(&cell);
        return zo_fail(err, ZO_EINPUT, "%s: more than %d cells; cut it in several configs", b->path, CELLS_MOST);
    }
    *index = g->n;
    if (g->n == b->room) {
        b->room = b->room > 0 ? 2 * b->room : 16;
        g->cell = zo_realloc(g->cell, ZO_HOST, ZO_TAG_OTHER, (size_t)b->room * sizeof *g->cell);
    }
    g->cell[g->n++] = cell;
    return ZO_OK;
}

static zo_status expand(builder *b, const cJSON *config, zo_err *err)
{
    b->optimizers = cJSON_CreateArray();
    const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(config, "optimizer");
    zo_status status = ZO_OK;
    if (cJSON_IsArray(optimizer)) {
        for (const cJSON *o = optimizer->child; o != NULL && status == ZO_OK; o = o->next) {
            status = expand_optimizer(b, o, err);
        }
    } else if (optimizer != NULL) {
        status = expand_optimizer(b, optimizer, err);
    }
    if (status == ZO_OK) {
        const cJSON **axis = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(config) + 1) * sizeof *axis);
        int n = 0;
        const cJSON *seed = NULL;
        for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, k->key);
            if (value != NULL && strcmp(k->key, "seed") == 0) {
                seed = value;
            } else if (value != NULL) {
                axis[n++] = value;
            }
        }
        cJSON *holder = cJSON_CreateObject(); /* gives the list of optimizers its key */
        if (optimizer != NULL) {
            cJSON_AddItemToObject(holder, "optimizer", b->optimizers);
            axis[n++] = b->optimizers;
        } else {
            cJSON_Delete(b->optimizers);
        }
        if (seed != NULL) {
            axis[n++] = seed;
        }
        status = product(axis, n, b->path, add_cell, b, err);
        zo_free(axis);
        cJSON_Delete(holder);
    } else {
        cJSON_Delete(b->optimizers);
    }
    b->optimizers = NULL;
    return status;
}

/* Names of keys at the top level, in an `include` or in an `exclude` entry. */
static zo_status check_keys(const cJSON *object, bool top, const char *where, zo_err *err)
{
    if (!cJSON_IsObject(object)) {
        return zo_fail(err, ZO_EINPUT, "%s: is not an object; expected {\"model\": ..., \"task\": ..., \"optimizer\": ...}", where);
    }
    for (const cJSON *o = object->child; o != NULL; o = o->next) {
        for (const cJSON *other = object->child; other != o; other = other->next) {
            if (strcmp(other->string, o->string) == 0) {
                return zo_fail(err, ZO_EINPUT, "%s: \"%.64s\" stands there twice; keep one", where, o->string);
            }
        }
        if (zo_opt_find(zo_cell_keys(), o->string) != NULL || strcmp(o->string, "optimizer") == 0 ||
            (top && is_one_of(o->string, config_keys, COUNT(config_keys)))) {
            continue;
        }
        for (int i = 0; i < COUNT(renamed); i++) {
            if (strcmp(o->string, renamed[i].old) == 0) {
                return zo_fail(err, ZO_EINPUT, "%s: the key \"%s\" is now %s", where, o->string, renamed[i].now);
            }
        }
        const char *names[KEYS_MOST + COUNT(config_keys)];
        int n = 0;
        for (const zo_opt *k = zo_cell_keys(); k->key != NULL && n < KEYS_MOST; k++) { /* more would only lose suggestions */
            names[n++] = k->key;
        }
        for (int i = 0; i < (top ? COUNT(config_keys) : 1); i++) {
            names[n++] = config_keys[i];
        }
        const char *near = zo_nearest(o->string, names, n);
        if (near != NULL) {
            return zo_fail(err, ZO_EINPUT, "%s: there is no key \"%.64s\"; did you mean \"%s\"?", where, o->string, near);
        }
        const zo_estimator *const *list;
        int ne = zo_estimator_list(&list);
        for (int i = 0; i < ne; i++) {
            if (zo_opt_find(zo_cell_options(list[i]), o->string) != NULL) {
                return zo_fail(err, ZO_EINPUT, "%s: \"%.64s\" is a key of the optimizer; write \"optimizer\": {\"name\": \"%s\", \"%.64s\": ...}",
                               where, o->string, list[i]->name, o->string);
            }
        }
        return zo_fail(err, ZO_EINPUT, "%s: there is no key \"%.64s\"; see `zo help run` for all of them", where, o->string);
    }
    return ZO_OK;
}

zo_status zo_partial_read(cJSON *partial, const char *where, zo_err *err)
{
    zo_status status = replace_views_of(partial, where, err);
    return status == ZO_OK ? check_keys(partial, false, where, err) : status;
}

static zo_status check_list(const cJSON *config, const char *key, const char *path, zo_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, key);
    if (list != NULL && !cJSON_IsArray(list)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is not a list; expected a list of partial cells, [{...}, ...]", path, key);
    }
    int at = 1;
    for (const cJSON *e = list != NULL ? list->child : NULL; e != NULL; e = e->next, at++) {
        char where[4200];
        snprintf(where, sizeof where, "%s: %s %d", path, key, at);
        zo_status status = check_keys(e, false, where, err);
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

static zo_status expand_include(builder *b, const cJSON *config, const cJSON *entry, zo_err *err)
{
    cJSON *merged = cJSON_Duplicate(config, true);
    for (int i = 0; i < COUNT(config_keys); i++) {
        if (strcmp(config_keys[i], "optimizer") != 0) {
            cJSON_DeleteItemFromObjectCaseSensitive(merged, config_keys[i]);
        }
    }
    for (const cJSON *o = entry->child; o != NULL; o = o->next) {
        zo_json_replace(merged, o->string, cJSON_Duplicate(o, true));
    }
    zo_status status = expand(b, merged, err);
    cJSON_Delete(merged);
    return status;
}

static zo_status expand_config(builder *b, const cJSON *config, zo_err *err)
{
    zo_status status = check_keys(config, true, b->path, err);
    status = status == ZO_OK ? check_list(config, "include", b->path, err) : status;
    status = status == ZO_OK ? check_list(config, "exclude", b->path, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    const cJSON *include = cJSON_GetObjectItemCaseSensitive(config, "include");
    b->exclude = cJSON_GetObjectItemCaseSensitive(config, "exclude");
    b->used = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(b->exclude) + 1) * sizeof *b->used);
    /* A top level that is no cell on its own is a base for `include`. */
    bool base = cJSON_HasObjectItem(config, "model") && cJSON_HasObjectItem(config, "task") && cJSON_HasObjectItem(config, "optimizer");
    if (base || include == NULL) {
        status = expand(b, config, err);
    }
    for (const cJSON *e = include != NULL ? include->child : NULL; e != NULL && status == ZO_OK; e = e->next) {
        status = expand_include(b, config, e, err);
    }
    for (int i = 0; status == ZO_OK && i < cJSON_GetArraySize(b->exclude); i++) {
        if (b->used[i] == 0) {
            status = zo_fail(err, ZO_EINPUT, "%s: exclude %d matches no cell; mend or delete it", b->path, i + 1);
        }
    }
    zo_free(b->used);
    if (status == ZO_OK && b->grid->n == 0) {
        status = zo_fail(err, ZO_EINPUT, "%s: no cell is left after \"exclude\"", b->path);
    }
    return status;
}

static zo_status grid_of(zo_grid *grid, cJSON *config, const char *path, zo_err *err)
{
    memset(grid, 0, sizeof *grid);
    snprintf(grid->path, sizeof grid->path, "%s", path);
    builder b = {.grid = grid, .path = grid->path};
    zo_status status = replace_all_views(config, grid->path, err);
    status = status == ZO_OK ? expand_config(&b, config, err) : status;
    zo_hashmap_free(&b.index);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(config, "name");
    if (status == ZO_OK && name != NULL && (!cJSON_IsString(name) || strlen(name->valuestring) >= sizeof grid->name)) {
        status = zo_fail(err, ZO_EINPUT, "%s: \"name\" is not a string of at most %zu bytes", path, sizeof grid->name - 1);
    }
    const cJSON *tuning = cJSON_GetObjectItemCaseSensitive(config, "tuning");
    status = status == ZO_OK && tuning != NULL ? zo_tuning_read(&grid->tuning, tuning, grid, grid->path, err) : status;
    if (status != ZO_OK) {
        zo_grid_free(grid);
        return status;
    }
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    snprintf(grid->name, sizeof grid->name, "%.*s", (int)strcspn(file, "."), file);
    if (name != NULL) {
        snprintf(grid->name, sizeof grid->name, "%s", name->valuestring);
    }
    zo_grid_label(grid);
    return ZO_OK;
}

static void forget_key(cJSON *part, const char *key)
{
    cJSON_DeleteItemFromObjectCaseSensitive(part, key);
    cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(part, "optimizer");
    cJSON_DeleteItemFromObjectCaseSensitive(cJSON_IsObject(optimizer) ? optimizer : NULL, key);
    for (cJSON *o = cJSON_IsArray(optimizer) ? optimizer->child : NULL; o != NULL; o = o->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(cJSON_IsObject(o) ? o : NULL, key);
    }
}

/* As if the config said this, and none of its parts something else. What is no object is left to the checks. */
static void set_key(cJSON *config, const cJSON *value)
{
    cJSON *include = cJSON_GetObjectItemCaseSensitive(config, "include");
    forget_key(config, value->string);
    for (cJSON *e = cJSON_IsArray(include) ? include->child : NULL; e != NULL; e = e->next) {
        forget_key(e, value->string);
    }
    if (cJSON_IsObject(config)) {
        cJSON_AddItemToObject(config, value->string, cJSON_Duplicate(value, true));
    }
}

zo_status zo_with_of(const char *keys, const char *model, const char *device, cJSON **with, zo_err *err)
{
    *with = keys != NULL ? cJSON_Parse(keys) : model != NULL || device != NULL ? cJSON_CreateObject() : NULL;
    zo_status status = keys != NULL && !cJSON_IsObject(*with)
                           ? zo_fail(err, ZO_EINPUT, "--with is no JSON object; expected keys of a cell, such as {\"model\": \"synth-small\"}") : ZO_OK;
    if (status == ZO_OK && model != NULL) {
        cJSON_AddStringToObject(*with, "model", model);
    }
    if (status == ZO_OK && device != NULL) {
        cJSON_AddStringToObject(*with, "device", device);
    }
    status = status == ZO_OK && *with != NULL ? check_keys(*with, false, "--with", err) : status;
    for (const cJSON *value = status == ZO_OK && *with != NULL ? (*with)->child : NULL; value != NULL && status == ZO_OK; value = value->next) {
        if (cJSON_IsArray(value) || strcmp(value->string, "optimizer") == 0 || strcmp(value->string, "seed") == 0) {
            status = zo_fail(err, ZO_EINPUT, "--with has %s, which makes other cells of the config; it takes single values of keys but optimizer and seed",
                             cJSON_IsArray(value) ? "a list" : value->string);
        }
    }
    if (status != ZO_OK) {
        cJSON_Delete(*with);
        *with = NULL;
    }
    return status;
}

zo_status zo_grid_read(zo_grid *grid, const char *path, const cJSON *with, zo_err *err)
{
    memset(grid, 0, sizeof *grid);
    cJSON *config;
    zo_status status = zo_json_read(path, &config, err);
    if (status == ZO_OK) {
        for (const cJSON *value = with != NULL ? with->child : NULL; value != NULL; value = value->next) {
            set_key(config, value);
        }
        status = grid_of(grid, config, path, err);
        cJSON_Delete(config);
    }
    return status;
}

/* Whether a device is not without that precision; of one that cannot be opened whoever runs the cell says why. */
static bool has_precision(const char *device, zo_precision precision)
{
    zo_backend *be;
    zo_err ignored;
    if (zo_backend_open(device, 1, &be, &ignored) != ZO_OK) {
        return true;
    }
    bool has = zo_backend_check(be, precision, &ignored) == ZO_OK;
    be->close(be);
    return has;
}

zo_status zo_with_fit(cJSON *with, const char *path, char *said, size_t size, zo_err *err)
{
    zo_grid grid;
    said[0] = '\0';
    if (!cJSON_HasObjectItem(with, "model") || cJSON_HasObjectItem(with, "precision")) {
        return ZO_OK;
    }
    zo_status status = zo_grid_read(&grid, path, with, err);
    for (int64_t i = 0; i < grid.n && status == ZO_OK; i++) {
        const zo_cell *c = &grid.cell[i], *before = &grid.cell[i > 0 ? i - 1 : 0];
        bool asked = i > 0 && c->precision == before->precision && strcmp(c->device, before->device) == 0;
        if (c->precision != ZO_F32 && !asked && !has_precision(c->device, (zo_precision)c->precision)) {
            snprintf(said, size, "products in %s need a GPU, and device \"%s\" is none here: with another model this table's are made in f32",
                     zo_precision_name((zo_precision)c->precision), c->device);
            cJSON_AddStringToObject(with, "precision", zo_precision_name(ZO_F32));
            break;
        }
    }
    if (status == ZO_OK) {
        zo_grid_free(&grid);
    }
    return status;
}

zo_status zo_grid_parse(zo_grid *grid, const char *text, const char *path, zo_err *err)
{
    memset(grid, 0, sizeof *grid);
    cJSON *config = cJSON_Parse(text);
    if (config == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: is not JSON near \"%.20s\"", path, cJSON_GetErrorPtr() != NULL ? cJSON_GetErrorPtr() : "");
    }
    zo_status status = grid_of(grid, config, path, err);
    cJSON_Delete(config);
    return status;
}

zo_status zo_grid_keep(zo_grid *g, const char *partial, zo_err *err)
{
    cJSON *wanted = cJSON_Parse(partial);
    zo_status status = wanted != NULL ? zo_partial_read(wanted, "--only", err) : zo_fail(err, ZO_EINPUT, "--only is not JSON; expected a partial cell such as {\"task\": \"sst2\"}");
    bool was_read = status == ZO_OK;
    int64_t kept = 0;
    for (int64_t i = 0; i < g->n && was_read; i++) {
        cJSON *config = zo_cell_whole_config(&g->cell[i]);
        if (zo_partial_matches(config, wanted)) {
            g->cell[kept++] = g->cell[i];
        } else {
            zo_cell_free(&g->cell[i]);
        }
        cJSON_Delete(config);
    }
    cJSON_Delete(wanted);
    if (status == ZO_OK && kept == 0) {
        status = zo_fail(err, ZO_EINPUT, "--only %.200s matches none of the %lld cells of %s", partial, (long long)g->n, g->path);
    }
    g->n = was_read ? kept : g->n;
    return status;
}

void zo_grid_free(zo_grid *grid)
{
    for (int64_t i = 0; i < grid->n; i++) {
        zo_cell_free(&grid->cell[i]);
    }
    zo_free(grid->cell);
    grid->cell = NULL;
    grid->n = 0;
}
