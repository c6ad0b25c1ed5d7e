/* grid.c: from a config file to cells. The keys of a cell stand in the table of bench/keys.c; an optimizer's own keys stand in its
 * estimator's table. See grid.h for the rules of lists, include and exclude. */
#include "bench/grid.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/keys.h"
#include "core/io.h"
#include "core/hashmap.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/labels.h"

#define CELLS_MOST 100000
#define KEYS_MOST 128

/* ---- keys --------------------------------------------------------------------------------------------------------------- */

/* Keys that were called otherwise. */
static const struct { const char *old, *now; } renamed[] = {
    {"select", "\"selection\": \"dev-metric\" (was \"accuracy\") or \"dev-loss\" (was \"loss\")"},
    {"data_seed", "\"train_split_seed\", and \"test_split_seed\" for the test rows"}};
static const zo_opt no_keys[] = {{.key = NULL}};

/* Keys of a config that are not keys of a cell. */
static const char *const config_keys[] = {"optimizer", "include", "exclude", "name", "notes", "expect"};

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

static bool has_flag(const char *key, zo_key_flag flag)
{
    const zo_opt *k = zo_opt_find(zo_cell_keys(), key);
    return k != NULL && (k->flags & flag) != 0;
}

static const zo_opt *options_of(const zo_estimator *e)
{
    return e->options != NULL ? e->options : no_keys;
}

/* ---- one cell ----------------------------------------------------------------------------------------------------------- */

static zo_status fail_name(zo_err *err, const char *where, const char *what, const char *name, const char *const *names, int n)
{
    const char *near = zo_nearest(name, names, n);
    if (near != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: there is no %s \"%.64s\"; did you mean \"%s\"?", where, what, name, near);
    }
    return zo_fail(err, ZO_EINPUT, "%s: there is no %s \"%.64s\"; see `zo list %ss`", where, what, name, what);
}

static zo_status find_optimizer(const char *name, const char *where, const zo_estimator **estimator, zo_err *err)
{
    *estimator = zo_estimator_find(name);
    if (*estimator != NULL) {
        return ZO_OK;
    }
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    const char *names[256];
    n = n < 256 ? n : 256;
    for (int i = 0; i < n; i++) {
        names[i] = list[i]->name;
    }
    return fail_name(err, where, "optimizer", name, names, n);
}

static zo_status check_task(const zo_cell *c, const char *where, zo_task_info *task, zo_err *err)
{
    if (zo_task_info_of(c->task, task, err) != ZO_OK) {
        return zo_fail_in(err, where);
    }
    if (c->form == ZO_FORM_HEAD ? !task->has_head : !task->has_prompt) {
        return zo_fail(err, ZO_EINPUT, "%s: task \"%s\" has no %s form; say \"form\": \"%s\"", where, c->task,
                       c->form == ZO_FORM_HEAD ? "head" : "prompt", c->form == ZO_FORM_HEAD ? "prompt" : "head");
    }
    return ZO_OK;
}

/* A canonical config with every key; the caller deletes it. */
static cJSON *whole_config(const zo_cell *c)
{
    cJSON *config = cJSON_Parse(c->config);
    zo_opt_add_younger(zo_cell_keys(), config);
    zo_opt_add_younger(options_of(c->estimator), cJSON_GetObjectItemCaseSensitive(config, "optimizer"));
    return config;
}

/* Defaults that depend on the task, the form and the split. */
static zo_status complete_protocol(zo_cell *c, const zo_task_info *task, const char *where, zo_err *err)
{
    bool kshot = c->split == ZO_SPLIT_KSHOT, drawn = c->split != ZO_SPLIT_FIRST;
    int64_t *const count[] = {&c->train, &c->dev, &c->test};
    static const int64_t usual[] = {1000, 500, 1000};
    for (int i = 0; i < 3; i++) {
        *count[i] = *count[i] != ZO_KEY_ABSENT ? *count[i] : kshot ? -1 : usual[i];
    }
    c->train_split_seed = !drawn ? 0 : c->train_split_seed != ZO_KEY_ABSENT ? c->train_split_seed : kshot ? 13 : 0;
    c->test_split_seed = !drawn ? 0 : c->test_split_seed != ZO_KEY_ABSENT ? c->test_split_seed : kshot ? 42 : c->train_split_seed;
    if (!kshot && (c->k > 0 || c->kshot_folder[0] != '\0')) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" belongs to \"split\": \"kshot\"; say that too, or leave it out", where,
                       c->k > 0 ? "k" : "kshot_folder");
    }
    if (kshot && c->k == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"k\" is 0; give the examples of a class, such as 16 or 512", where);
    }
    if (c->split == ZO_SPLIT_MEZO && (c->train_split_seed > UINT32_MAX || c->test_split_seed > UINT32_MAX)) {
        return zo_fail(err, ZO_EINPUT, "%s: a split seed of \"mezo\" is above %u, the most that numpy's generator takes; give a smaller one", where,
                       UINT32_MAX);
    }
    c->k = !kshot ? 0 : c->k != ZO_KEY_ABSENT ? c->k : 16;
    if (kshot && c->kshot_folder[0] == '\0') {
        snprintf(c->kshot_folder, sizeof c->kshot_folder, "k-shot");
    }
    c->context = c->context != ZO_KEY_ABSENT ? c->context : c->form == ZO_FORM_PROMPT ? 0 : 128;
    if (c->context > 0 && c->context < 4) {
        return zo_fail(err, ZO_EINPUT, "%s: \"context\" is %lld; expected at least 4 tokens, or \"model\"", where, (long long)c->context);
    }
    c->metric = c->metric > 0 ? c->metric : 1 + (int)task->headline;
    if (c->metric == 1 + ZO_F1 && task->classes > 2) {
        return zo_fail(err, ZO_EINPUT, "%s: \"metric\": \"f1\" is that of class 1, and %s has %d classes; say \"macro_f1\"", where, c->task, task->classes);
    }
    if (c->selection == ZO_SELECT_BEST_TEST && c->test == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"selection\": \"best-test\" with \"test\" 0; ask for some test examples", where);
    }
    if (c->dev == 0 && (c->selection == ZO_SELECT_DEV_METRIC || c->selection == ZO_SELECT_DEV_LOSS)) {
        c->selection = ZO_SELECT_LAST; /* there is nothing to select by */
    }
    c->algorithms = strncmp(c->device, "cpu", 3) == 0 ? 0 : c->algorithms;
    return ZO_OK;
}

/* Keys that this optimizer never reads are brought to one value, so that a list over them makes no twins; then the rules that bind
 * several keys. */
static zo_status complete_cell(zo_cell *c, const char *where, zo_err *err)
{
    const zo_estimator *e = c->estimator;
    if (c->model[0] == '\0' || c->task[0] == '\0') {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" is missing; say for instance \"%s\"", where, c->model[0] == '\0' ? "model" : "task",
                       c->model[0] == '\0' ? "model\": \"synth-small" : "task\": \"sst2");
    }
    zo_task_info task;
    zo_status status = check_task(c, where, &task, err);
    status = status == ZO_OK ? complete_protocol(c, &task, where, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    c->eval_batch = c->eval_batch == c->batch ? 0 : c->eval_batch;
    if (e->step == NULL) { /* does not train */
        c->steps = c->forwards = c->eval_every = c->log_every = 0; /* train stays: it decides which rows dev gets */
        c->selection = ZO_SELECT_LAST;
        c->work = c->seconds = c->lr = c->eps = 0;
        c->realisation = ZO_INPLACE;
        c->accumulate = ZO_ACCUMULATE_WEIGHTS;
        if (c->dev == 0 && c->test == 0) {
            return zo_fail(err, ZO_EINPUT, "%s: %s only evaluates, and \"dev\" and \"test\" are both 0; ask for some examples", where, e->name);
        }
        return ZO_OK;
    }
    c->lr = c->lr < 0 ? e->lr : c->lr;
    c->eps = e->first_order ? 0 : c->eps < 0 ? e->eps : c->eps;
    c->realisation = e->first_order ? ZO_INPLACE : c->realisation;
    if (e->first_order && (c->storage != ZO_STORAGE_F32 || c->accumulate != ZO_ACCUMULATE_WEIGHTS)) {
        const char *key = c->storage != ZO_STORAGE_F32 ? "storage" : "accumulate";
        const char *value = c->storage != ZO_STORAGE_F32 ? zo_storage_name((zo_storage)c->storage) : "log";
        return zo_fail(err, ZO_EINPUT, "%s: %s makes gradients at weights that are held and updated in f32, not with \"%s\": \"%s\"; take the pair "
                       "out with \"exclude\": [{\"optimizer\": \"%s\", \"%s\": \"%s\"}]", where, e->name, key, value, e->name, key, value);
    }
    if (c->accumulate == ZO_ACCUMULATE_LOG && c->realisation == ZO_INPLACE) {
        return zo_fail(err, ZO_EINPUT, "%s: \"accumulate\": \"log\" never writes the weights, which \"realisation\": \"inplace\" moves; say \"streamed\" "
                       "or \"sidepath\", or take the pair out with \"exclude\": [{\"realisation\": \"inplace\", \"accumulate\": \"log\"}]", where);
    }
    /* a method whose directions the side path cannot run is dense: its log grows by one draw of every parameter a step, at least */
    if (c->accumulate == ZO_ACCUMULATE_LOG && e->allows != NULL && !e->allows(ZO_SIDEPATH) && c->steps > ZO_LOG_MOST) {
        return zo_fail(err, ZO_EINPUT, "%s: %s with \"accumulate\": \"log\" draws one more direction a step for every pass, and %d are the most; give at "
                       "most %d \"steps\", not %lld, or \"accumulate\": \"weights\"", where, e->name, ZO_LOG_MOST, ZO_LOG_MOST, (long long)c->steps);
    }
    if (c->steps == 0 && c->forwards == 0 && c->work == 0 && c->seconds == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: %s has no budget; give \"steps\", \"forwards\", \"work\" or \"seconds\"", where, e->name);
    }
    if (c->eval_every == ZO_EVAL_TENTHS && c->forwards == 0 && c->work == 0) {
        c->eval_every = c->steps > 0 ? (c->steps + 9) / 10 : 100;
    }
    if (!e->first_order && c->eps > 0 && (float)c->eps < FLT_MIN) {
        return zo_fail(err, ZO_EINPUT, "%s: \"eps\" %g is below %g, the smallest normal number of f32: every probe would be the weights themselves; "
                       "raise it", where, c->eps, (double)FLT_MIN);
    }
    if (!e->first_order && c->eps == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: %s divides by \"eps\", which is 0; give a radius such as 1e-3", where, e->name);
    }
    if (e->allows != NULL && !e->allows(c->realisation)) {
        return zo_fail(err, ZO_EINPUT, "%s: %s cannot be realised as \"%s\"; take the pair out with \"exclude\": [{\"optimizer\": \"%s\", \"realisation\": \"%s\"}]",
                       where, e->name, zo_realisation_name((zo_realisation)c->realisation), e->name,
                       zo_realisation_name((zo_realisation)c->realisation));
    }
    if (c->train == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"train\" is 0, and %s trains; give a number of examples or \"all\"", where, e->name);
    }
    return ZO_OK;
}

/* The canonical form: fixed order, every default filled in but those of younger keys; parsing it again gives the same text. */
static void write_cell(zo_cell *c, const void *options)
{
    static char config[1 << 16], own[1 << 15];
    size_t n = zo_opt_print(options_of(c->estimator), options, own, sizeof own);
    ZO_CHECK(n < sizeof own, "the options of %s have more than %zu bytes", c->estimator->name, sizeof own);
    config[0] = '{';
    size_t at = 1 + zo_opt_print(zo_cell_keys(), c, config + 1, sizeof config / 2);
    ZO_CHECK(at < sizeof config / 2, "a cell's text has more than %zu bytes", sizeof config / 2);
    snprintf(config + at, sizeof config - at, ",\"optimizer\":{\"name\":\"%s\"%s%s}}", c->estimator->name, n > 0 ? "," : "", own);
    c->config = zo_strdup(ZO_TAG_OTHER, config);
    snprintf(config, sizeof config, "{%s}", own);
    c->options_text = zo_strdup(ZO_TAG_OTHER, config);
    snprintf(c->hash, sizeof c->hash, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, c->config, strlen(c->config)));
}

static void replace(cJSON *object, const char *key, cJSON *value)
{
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    cJSON_AddItemToObject(object, key, value);
}

/* Puts numbers in place of the words that stand for them, and the seed in place of "seed". */
static void replace_words(cJSON *object)
{
    for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
        const cJSON *given = cJSON_GetObjectItemCaseSensitive(object, k->key);
        if (!cJSON_IsString(given)) {
            continue;
        }
        if (k->word != NULL && strcmp(given->valuestring, k->word) == 0) {
            replace(object, k->key, cJSON_CreateNumber(k->number));
        } else if ((k->flags & ZO_KEY_SEED) != 0 && strcmp(given->valuestring, "seed") == 0) {
            const cJSON *seed = cJSON_GetObjectItemCaseSensitive(object, "seed");
            replace(object, k->key, seed != NULL ? cJSON_Duplicate(seed, true) : cJSON_CreateNumber(0));
        }
    }
}

/* Cuts the optimizer's object in its own keys (`own`) and those that stand in place of the cell's; returns a copy of `object` with these. */
static cJSON *override_keys_of(const zo_estimator *e, const cJSON *object, const cJSON *optimizer, cJSON *own)
{
    cJSON *common = cJSON_Duplicate(object, true);
    for (const cJSON *o = optimizer->child; o != NULL; o = o->next) {
        if (has_flag(o->string, ZO_KEY_BUDGET)) { /* a budget of its own replaces the common one */
            for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
                if ((k->flags & ZO_KEY_BUDGET) != 0) {
                    cJSON_DeleteItemFromObjectCaseSensitive(common, k->key);
                }
            }
            break;
        }
    }
    for (const cJSON *o = optimizer->child; o != NULL; o = o->next) {
        if (zo_opt_find(options_of(e), o->string) == NULL && has_flag(o->string, ZO_KEY_OVERRIDE)) {
            replace(common, o->string, cJSON_Duplicate(o, true));
        } else if (strcmp(o->string, "name") != 0) {
            cJSON_AddItemToObject(own, o->string, cJSON_Duplicate(o, true));
        }
    }
    replace_words(common);
    return common;
}

/* `object` holds a value for each key that is given, `optimizer` among them (an object with a name, or a string); words in it become numbers. */
static zo_status make_cell(zo_cell *c, cJSON *object, const char *path, zo_err *err)
{
    memset(c, 0, sizeof *c);
    const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(object, "optimizer");
    const cJSON *name = cJSON_IsObject(optimizer) ? cJSON_GetObjectItemCaseSensitive(optimizer, "name") : optimizer;
    if (!cJSON_IsString(name)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"optimizer\" is %s; expected a name, an object such as {\"name\": \"mezo\"}, or a list of them", path,
                       optimizer == NULL ? "missing" : cJSON_IsObject(optimizer) ? "an object without \"name\"" : "no name");
    }
    zo_status status = find_optimizer(name->valuestring, path, &c->estimator, err);
    if (status != ZO_OK) {
        return status;
    }
    cJSON *own = cJSON_CreateObject(), *common = cJSON_IsObject(optimizer) ? override_keys_of(c->estimator, object, optimizer, own) : NULL;
    replace_words(object);
    status = zo_opt_read(zo_cell_keys(), object, "optimizer", path, c, err); /* a value that is not used is checked all the same */
    status = status == ZO_OK && common != NULL ? zo_opt_read(zo_cell_keys(), common, "optimizer", path, c, err) : status;
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, c->estimator->state_bytes);
    if (status == ZO_OK) {
        char where[4400], also[1000];
        snprintf(where, sizeof where, "%s: optimizer %s", path, c->estimator->name);
        /* The overrides are named so that a suggestion may be one of them. */
        status = zo_opt_read(options_of(c->estimator), own, zo_cell_keys_with(ZO_KEY_OVERRIDE, also, sizeof also), where, state, err);
    }
    status = status == ZO_OK ? complete_cell(c, path, err) : status;
    if (status == ZO_OK) {
        c->options = zo_opt_write(options_of(c->estimator), state);
        write_cell(c, state);
    } else {
        zo_cell_free(c);
    }
    zo_free(state);
    cJSON_Delete(own);
    cJSON_Delete(common);
    return status;
}

uint64_t zo_cell_opening(const zo_cell *cell, bool fine)
{
    uint64_t hash = ZO_FNV_START;
    for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
        if ((k->flags & (ZO_KEY_LATER | (fine ? 0 : ZO_KEY_MEMORY))) == 0) {
            hash = zo_opt_hash(k, cell, hash);
        }
    }
    if (fine) {
        hash = zo_fnv1a(hash, cell->estimator->name, strlen(cell->estimator->name));
        hash = zo_fnv1a(hash, cell->options_text, strlen(cell->options_text));
    }
    return hash;
}

void zo_cell_free(zo_cell *c)
{
    cJSON_Delete(c->options);
    zo_free(c->options_text);
    zo_free(c->config);
    zo_free(c->varied);
    c->options = NULL;
    c->options_text = c->config = c->varied = NULL;
}

zo_status zo_cell_parse(zo_cell *cell, const char *config, zo_err *err)
{
    memset(cell, 0, sizeof *cell);
    cJSON *json = cJSON_Parse(config);
    if (json == NULL) {
        return zo_fail(err, ZO_EINPUT, "the cell's configuration is not JSON");
    }
    zo_status status = make_cell(cell, json, "cell", err);
    cJSON_Delete(json);
    if (status == ZO_OK) { /* whole pages: a cell's memory is the same whatever the length of its numbers */
        cell->config = zo_realloc(cell->config, ZO_HOST, ZO_TAG_OTHER, (strlen(cell->config) / 4096 + 1) * 4096);
    }
    return status;
}

zo_cell_row zo_cell_to_row(const zo_cell *c)
{
    return (zo_cell_row){.config = c->config, .optimizer = c->estimator->name, .optimizer_options = c->options_text, .keys = zo_cell_keys(), .settings = c};
}

/* What is behind the last slash, if anything is. */
static const char *last_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

char *zo_cell_label(const zo_cell *c, char *out, size_t size)
{
    int at = snprintf(out, size, "%s %s %s", last_name(c->model), last_name(c->task), c->estimator->name);
    if (c->estimator->step != NULL && at < (int)size) {
        at += snprintf(out + at, size - (size_t)at, " lr %g", c->lr);
    }
    if (at < (int)size) {
        snprintf(out + at, size - (size_t)at, "%s seed %lld", c->varied != NULL ? c->varied : "", (long long)c->seed);
    }
    return zo_text_plain(out);
}

/* ---- what tells cells apart --------------------------------------------------------------------------------------------- */

/* Settings are compared among the cells of one optimizer: between optimizers they differ by its own defaults. */
static void label_cells(zo_grid *g)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *setting);
    for (int64_t i = 0; i < g->n; i++) {
        uint64_t optimizer = (uintptr_t)g->cell[i].estimator;
        setting[i] = (zo_setting){.value = g->cell[i].options, .cell = &g->cell[i], .frame = optimizer, .scope = optimizer};
    }
    char **label = zo_labels_make(&(zo_label_spec){.keys = zo_cell_keys(), .left_flags = ZO_KEY_LABELLED}, setting, g->n);
    for (int64_t i = 0; i < g->n; i++) {
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
    int n = cJSON_GetArraySize(entry), i = 0;
    const cJSON **axis = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(n + 1) * sizeof *axis);
    for (const cJSON *o = entry->child; o != NULL; o = o->next) {
        axis[i++] = o;
    }
    zo_status status = product(axis, n, b->path, add_optimizer, b, err);
    zo_free(axis);
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

static bool matches(const cJSON *config, const cJSON *partial)
{
    const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(config, "optimizer");
    for (const cJSON *p = partial->child; p != NULL; p = p->next) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, p->string);
        if (strcmp(p->string, "optimizer") == 0) {
            /* a name, a list of names, or an object of the optimizer's keys and common ones */
            if (!cJSON_IsObject(p)) {
                if (!same_value(cJSON_GetObjectItemCaseSensitive(optimizer, "name"), p)) {
                    return false;
                }
                continue;
            }
            for (const cJSON *o = p->child; o != NULL; o = o->next) {
                const cJSON *own = cJSON_GetObjectItemCaseSensitive(optimizer, o->string);
                own = own != NULL ? own : cJSON_GetObjectItemCaseSensitive(config, o->string);
                if (own == NULL || !same_value(own, o)) {
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

static zo_status add_cell(void *context, cJSON *object, zo_err *err)
{
    builder *b = context;
    zo_grid *g = b->grid;
    zo_cell cell;
    zo_status status = make_cell(&cell, object, b->path, err);
    bool excludes = cJSON_GetArraySize(b->exclude) > 0;
    cJSON *config = status == ZO_OK && excludes ? whole_config(&cell) : cJSON_CreateObject();
    /* An impossible pair may be one that `exclude` takes out: compare what was asked for then. */
    if (status != ZO_OK && excludes) {
        cJSON_Delete(config);
        config = cJSON_Duplicate(object, true);
        const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(config, "optimizer");
        if (cJSON_IsString(optimizer)) {
            cJSON *named = cJSON_CreateObject();
            cJSON_AddStringToObject(named, "name", optimizer->valuestring);
            replace(config, "optimizer", named);
        }
    }
    int at = 0;
    for (const cJSON *e = b->exclude != NULL ? b->exclude->child : NULL; e != NULL; e = e->next, at++) {
        if (matches(config, e)) {
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
            if (zo_opt_find(options_of(list[i]), o->string) != NULL) {
                return zo_fail(err, ZO_EINPUT, "%s: \"%.64s\" is a key of the optimizer; write \"optimizer\": {\"name\": \"%s\", \"%.64s\": ...}",
                               where, o->string, list[i]->name, o->string);
            }
        }
        return zo_fail(err, ZO_EINPUT, "%s: there is no key \"%.64s\"; see `zo help run` for all of them", where, o->string);
    }
    return ZO_OK;
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
        replace(merged, o->string, cJSON_Duplicate(o, true));
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

static zo_status grid_of(zo_grid *grid, const cJSON *config, const char *path, zo_err *err)
{
    memset(grid, 0, sizeof *grid);
    snprintf(grid->path, sizeof grid->path, "%s", path);
    builder b = {.grid = grid, .path = grid->path};
    zo_status status = expand_config(&b, config, err);
    zo_hashmap_free(&b.index);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(config, "name");
    if (status == ZO_OK && name != NULL && (!cJSON_IsString(name) || strlen(name->valuestring) >= sizeof grid->name)) {
        status = zo_fail(err, ZO_EINPUT, "%s: \"name\" is not a string of at most %zu bytes", path, sizeof grid->name - 1);
    }
    if (status != ZO_OK) {
        zo_grid_free(grid);
        return status;
    }
    const char *slash = strrchr(path, '/'), *file = slash != NULL ? slash + 1 : path;
    snprintf(grid->name, sizeof grid->name, "%.*s", (int)strcspn(file, "."), file);
    if (name != NULL) {
        snprintf(grid->name, sizeof grid->name, "%s", name->valuestring);
    }
    label_cells(grid);
    return ZO_OK;
}

/* As if every part of the config said it. What is no object is left to the checks. */
static void set_device(cJSON *config, const char *device)
{
    if (!cJSON_IsObject(config)) {
        return;
    }
    replace(config, "device", cJSON_CreateString(device));
    const cJSON *include = cJSON_GetObjectItemCaseSensitive(config, "include");
    for (cJSON *e = include != NULL ? include->child : NULL; e != NULL; e = e->next) {
        cJSON_DeleteItemFromObjectCaseSensitive(e, "device");
    }
}

zo_status zo_grid_read(zo_grid *grid, const char *path, const char *device, zo_err *err)
{
    memset(grid, 0, sizeof *grid);
    cJSON *config;
    zo_status status = zo_json_read(path, &config, err);
    if (status == ZO_OK) {
        if (device != NULL) {
            set_device(config, device);
        }
        status = grid_of(grid, config, path, err);
        cJSON_Delete(config);
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

void zo_grid_free(zo_grid *grid)
{
    for (int64_t i = 0; i < grid->n; i++) {
        zo_cell_free(&grid->cell[i]);
    }
    zo_free(grid->cell);
    grid->cell = NULL;
    grid->n = 0;
}
