/* settings.c: one cell from a config: reading its keys, defaults that depend on other keys, rules that bind several, its canonical text. See
 * settings.h. */
#include "bench/cell/settings.h"

#include <cjson/cJSON.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/cell/keys.h"
#include "bench/cell/outcome.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "models/tune.h"
#include "optimizers/plugins.h"
#include "optimizers/unknown.h"

static bool has_flag(const char *key, zo_key_flag flag)
{
    const zo_opt *k = zo_opt_find(zo_cell_keys(), key);
    return k != NULL && (k->flags & flag) != 0;
}

static const zo_opt no_keys[] = {{.key = NULL}};

const zo_opt *zo_cell_options(const zo_estimator *e)
{
    return e->options != NULL ? e->options : no_keys;
}

static zo_status fail_name(zo_err *err, const char *where, const char *what, const char *name, const char *const *names, int n)
{
    const char *near = zo_nearest(name, names, n);
    if (near != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: there is no %s \"%.64s\"; did you mean \"%s\"?", where, what, name, near);
    }
    return zo_fail(err, ZO_EINPUT, "%s: there is no %s \"%.64s\"; see `zo list %ss`", where, what, name, what);
}

/* plugin: the path of its file where its name is not that; NULL = none. */
static zo_status find_optimizer(const char *name, const char *plugin, const char *where, const zo_estimator **estimator, zo_err *err)
{
    if (plugin != NULL || zo_plugin_is(name)) {
        zo_status status = zo_plugin_open(plugin != NULL ? plugin : name, estimator, err);
        if (status == ZO_OK && plugin != NULL && strcmp(name, (*estimator)->name) != 0) {
            status = zo_fail(err, ZO_EINPUT, "the optimizer of the plug-in %s is \"%s\", and \"name\" is \"%.64s\"; they must be the same", plugin,
                             (*estimator)->name, name);
        }
        return status == ZO_OK ? ZO_OK : zo_fail_in(err, where);
    }
    *estimator = zo_estimator_find(name);
    if (*estimator != NULL) {
        return ZO_OK;
    }
    const zo_unknown *unknown = zo_unknown_find(name);
    if (unknown != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: of %s no algorithm is known here; missing is %s", where, unknown->title, unknown->missing);
    }
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list);
    const zo_unknown *others; /* what is no method here is near a name too */
    int more = zo_unknown_list(&others);
    const char *names[256];
    ZO_CHECK(n + more <= 256, "more than 256 names of methods");
    for (int i = 0; i < n + more; i++) {
        names[i] = i < n ? list[i]->name : others[i - n].name;
    }
    return fail_name(err, where, "optimizer", name, names, n + more);
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

cJSON *zo_cell_whole_config(const zo_cell *c)
{
    cJSON *config = cJSON_Parse(c->config);
    zo_opt_add_younger(zo_cell_keys(), config);
    zo_opt_add_younger(zo_cell_options(c->estimator), cJSON_GetObjectItemCaseSensitive(config, "optimizer"));
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
    if (zo_metric_fault((zo_metric)(c->metric - 1), task) != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: \"metric\": \"%s\" is %s; %s has %s (zo list tasks)", where, zo_metric_name((zo_metric)(c->metric - 1)),
                       zo_metric_fault((zo_metric)(c->metric - 1), task), c->task, zo_metric_name(task->headline));
    }
    if (c->metric == 1 + ZO_F1 && task->classes > 2) {
        return zo_fail(err, ZO_EINPUT, "%s: \"metric\": \"f1\" is that of class 1, and %s has %d classes; say \"macro_f1\"", where, c->task, task->classes);
    }
    if (c->objective == ZO_AIM_F1 && task->classes > 2) {
        return zo_fail(err, ZO_EINPUT, "%s: \"objective\": \"f1\" is that of class 1, and %s has %d classes; say \"accuracy\"", where, c->task, task->classes);
    }
    if (c->selection == ZO_SELECT_BEST_TEST && c->test == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"selection\": \"best-test\" with \"test\" 0; ask for some test examples", where);
    }
    if (c->dev == 0) {
        c->selection = zo_selection_without_dev((zo_selection)c->selection);
    }
    if (c->quantised_group % 2 != 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"quantised_group\" is %lld; expected an even number, for two codes of 4 bits share a byte", where,
                       (long long)c->quantised_group);
    }
    c->quantised_group = c->quantised == 0 ? zo_opt_find(zo_cell_keys(), "quantised_group")->initial : c->quantised_group;
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
    if (c->demonstrations > 0 && (e->step != NULL || e->fit != NULL)) {
        return zo_fail(err, ZO_EINPUT, "%s: %s trains, and \"demonstrations\" are for a model as it is; give them to an optimizer that does not train, as %s in \"include\"",
                       where, e->name, "{\"demonstrations\": 32, ...}");
    }
    if (c->calibration > 0 && (e->step != NULL || e->fit != NULL)) {
        return zo_fail(err, ZO_EINPUT, "%s: %s trains, and \"calibration\" is for a model as it is; give it to an optimizer that does not train, as %s in \"include\"",
                       where, e->name, "{\"calibration\": \"sfc\", ...}");
    }
    if (c->calibration == ZO_CALIBRATE_ICL_SFC && c->demonstrations == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"calibration\": \"icl_sfc\" keeps demonstrations, and \"demonstrations\" is 0; say \"sfc\", or give a number", where);
    }
    c->demonstration_sets = c->demonstrations > 0 ? c->demonstration_sets : 0;
    if (e->step == NULL) { /* does not train */
        c->steps = c->forwards = c->eval_every = c->log_every = 0; /* train stays: it decides which rows dev gets */
        c->selection = ZO_SELECT_LAST;
        c->work = c->seconds = c->lr = c->eps = c->warmup = 0;
        c->schedule = ZO_CELL_CONSTANT;
        c->objective = ZO_AIM_LOSS;
        c->realisation = ZO_INPLACE;
        c->accumulate = ZO_ACCUMULATE_WEIGHTS;
        zo_tune tune;
        if (e->fit == NULL && zo_tune_parse(c->tune, where, &tune, err) == ZO_OK && zo_tune_from(&tune) == NULL) { /* what is read from a folder is evaluated with the model */
            snprintf(c->tune, sizeof c->tune, "full");
        }
        if (e->fit != NULL && c->train == 0) {
            return zo_fail(err, ZO_EINPUT, "%s: \"train\" is 0, and %s trains; give a number of examples or \"all\"", where, e->name);
        }
        if (e->fit == NULL && c->dev == 0 && c->test == 0) {
            return zo_fail(err, ZO_EINPUT, "%s: %s only evaluates, and \"dev\" and \"test\" are both 0; ask for some examples", where, e->name);
        }
        return ZO_OK;
    }
    c->lr = c->lr < 0 ? e->lr : c->lr;
    c->eps = !zo_estimator_probes(e) ? 0 : c->eps < 0 ? e->eps : c->eps;
    c->realisation = !zo_estimator_probes(e) ? ZO_INPLACE : c->realisation;
    if (e->first_order && c->accumulate != ZO_ACCUMULATE_WEIGHTS) {
        return zo_fail(err, ZO_EINPUT, "%s: %s makes gradients at weights that are updated where they stand, not with \"accumulate\": \"log\"; take the pair out with "
                       "\"exclude\": [{\"optimizer\": \"%s\", \"accumulate\": \"log\"}]", where, e->name, e->name);
    }
    if (e->first_order && c->objective != ZO_AIM_LOSS) {
        const char *value = c->objective == ZO_AIM_F1 ? "f1" : "accuracy";
        return zo_fail(err, ZO_EINPUT, "%s: %s goes along gradients of the loss, and \"objective\": \"%s\" has none; take the pair out with \"exclude\": "
                       "[{\"optimizer\": \"%s\", \"objective\": \"%s\"}]", where, e->name, value, e->name, value);
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
    if ((c->schedule != ZO_CELL_CONSTANT || c->warmup > 0) && c->steps == 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"%s\" needs a budget in \"steps\", to know where it ends, and this has none; give \"steps\", or leave it out",
                       where, c->schedule != ZO_CELL_CONSTANT ? "schedule" : "warmup");
    }
    if (c->eval_every == ZO_EVAL_TENTHS && c->forwards == 0 && c->work == 0) {
        c->eval_every = c->steps > 0 ? (c->steps + 9) / 10 : 100;
    }
    if (zo_estimator_probes(e) && c->eps > 0 && (float)c->eps < FLT_MIN) {
        return zo_fail(err, ZO_EINPUT, "%s: \"eps\" %g is below %g, the smallest normal number of f32: every probe would be the weights themselves; "
                       "raise it", where, c->eps, (double)FLT_MIN);
    }
    if (zo_estimator_probes(e) && c->eps == 0) {
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

/* An optimizer may have a schedule of its own, from before there was one for all: two at once are refused. */
static zo_status check_schedules(const zo_cell *c, const void *options, const char *where, zo_err *err)
{
    const zo_opt *own = zo_opt_find(zo_cell_options(c->estimator), "schedule");
    size_t n = 0;
    const char *word = own != NULL ? zo_opt_choice(own, options, &n) : "";
    if (own == NULL || strncmp(word, "constant", n) == 0 || (c->schedule == ZO_CELL_CONSTANT && c->warmup == 0)) {
        return ZO_OK;
    }
    return zo_fail(err, ZO_EINPUT, "%s: %s has \"schedule\": \"%.*s\" of its own, and the config has one for every method; give one of them", where,
                   c->estimator->name, (int)n, word);
}

zo_quantised zo_cell_quantised(const zo_cell *c)
{
    static const int bits[] = {0, 8, 4}; /* of the key's choices */
    return (zo_quantised){.bits = bits[c->quantised], .group = c->quantised > 0 ? (int)c->quantised_group : 0};
}

/* What an optimizer's keys cannot be together, or with this budget. */
static zo_status check_options(const zo_cell *c, const void *options, const char *where, zo_err *err)
{
    zo_status status = c->estimator->check != NULL ? c->estimator->check(options, c->steps, err) : ZO_OK;
    if (status != ZO_OK) {
        char place[4400];
        snprintf(place, sizeof place, "%s: %s", where, c->estimator->name);
        zo_fail_in(err, place);
    }
    return status;
}

double zo_cell_schedule(const zo_cell *c, int64_t step)
{
    double steps = (double)c->steps, warm = ceil(c->warmup * steps), t = (double)step;
    if (t < warm) {
        return t / warm;
    }
    double done = c->schedule == ZO_CELL_CONSTANT ? 0 : steps > warm ? fmin((t - warm) / (steps - warm), 1) : 1;
    return c->schedule == ZO_CELL_COSINE ? 0.5 * (1 + cos(3.14159265358979323846 * done)) : 1 - done;
}

/* The canonical form: fixed order, every default filled in but those of younger keys; parsing it again gives the same text. */
static void write_cell(zo_cell *c, const void *options)
{
    static char config[1 << 16], own[1 << 15];
    size_t n = zo_opt_print(zo_cell_options(c->estimator), options, own, sizeof own);
    ZO_CHECK(n < sizeof own, "the options of %s have more than %zu bytes", c->estimator->name, sizeof own);
    config[0] = '{';
    size_t at = 1 + zo_opt_print(zo_cell_keys(), c, config + 1, sizeof config / 2);
    ZO_CHECK(at < sizeof config / 2, "a cell's text has more than %zu bytes", sizeof config / 2);
    const char *plugin = zo_plugin_path(c->estimator);
    cJSON *path = plugin != NULL ? cJSON_CreateString(plugin) : NULL; /* it may have what JSON escapes */
    char *text = path != NULL ? cJSON_PrintUnformatted(path) : NULL;
    snprintf(config + at, sizeof config - at, ",\"optimizer\":{\"name\":\"%s\"%s%s%s%s}}", c->estimator->name, text != NULL ? ",\"plugin\":" : "",
             text != NULL ? text : "", n > 0 ? "," : "", own);
    cJSON_free(text);
    cJSON_Delete(path);
    c->config = zo_strdup(ZO_TAG_OTHER, config);
    snprintf(config, sizeof config, "{%s}", own);
    c->options_text = zo_strdup(ZO_TAG_OTHER, config);
    snprintf(c->hash, sizeof c->hash, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, c->config, strlen(c->config)));
}

void zo_json_replace(cJSON *object, const char *key, cJSON *value)
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
            zo_json_replace(object, k->key, cJSON_CreateNumber(k->number));
        } else if ((k->flags & ZO_KEY_SEED) != 0 && strcmp(given->valuestring, "seed") == 0) {
            const cJSON *seed = cJSON_GetObjectItemCaseSensitive(object, "seed");
            zo_json_replace(object, k->key, seed != NULL ? cJSON_Duplicate(seed, true) : cJSON_CreateNumber(0));
        }
    }
}

/* A view may be given as an object; its text stands in its place. */
static zo_status replace_view(cJSON *object, const char *path, zo_err *err)
{
    const cJSON *given = cJSON_GetObjectItemCaseSensitive(object, "tune");
    char text[ZO_OPT_STRING_BYTES];
    zo_tune tune;
    zo_status status = given != NULL ? zo_tune_read(given, path, &tune, err) : ZO_OK;
    if (status == ZO_OK && given != NULL) {
        zo_json_replace(object, "tune", cJSON_CreateString(zo_tune_text(&tune, text)));
    }
    return status;
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
        if (zo_opt_find(zo_cell_options(e), o->string) == NULL && has_flag(o->string, ZO_KEY_OVERRIDE)) {
            zo_json_replace(common, o->string, cJSON_Duplicate(o, true));
        } else if (strcmp(o->string, "name") != 0 && strcmp(o->string, "plugin") != 0) {
            cJSON_AddItemToObject(own, o->string, cJSON_Duplicate(o, true));
        }
    }
    replace_words(common);
    return common;
}

zo_status zo_cell_make(zo_cell *c, cJSON *object, const char *path, zo_err *err)
{
    memset(c, 0, sizeof *c);
    const cJSON *optimizer = cJSON_GetObjectItemCaseSensitive(object, "optimizer");
    const cJSON *name = cJSON_IsObject(optimizer) ? cJSON_GetObjectItemCaseSensitive(optimizer, "name") : optimizer;
    if (!cJSON_IsString(name)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"optimizer\" is %s; expected a name, an object such as {\"name\": \"mezo\"}, or a list of them", path,
                       optimizer == NULL ? "missing" : cJSON_IsObject(optimizer) ? "an object without \"name\"" : "no name");
    }
    const cJSON *plugin = cJSON_IsObject(optimizer) ? cJSON_GetObjectItemCaseSensitive(optimizer, "plugin") : NULL;
    if (plugin != NULL && !cJSON_IsString(plugin)) {
        return zo_fail(err, ZO_EINPUT, "%s: \"plugin\" is %s; expected the path of a shared object, such as \"./mine.so\"", path, zo_json_kind(plugin));
    }
    zo_status status = find_optimizer(name->valuestring, plugin != NULL ? plugin->valuestring : NULL, path, &c->estimator, err);
    if (status != ZO_OK) {
        return status;
    }
    cJSON *own = cJSON_CreateObject(), *common = cJSON_IsObject(optimizer) ? override_keys_of(c->estimator, object, optimizer, own) : NULL;
    replace_words(object);
    status = replace_view(object, path, err);
    status = status == ZO_OK && common != NULL ? replace_view(common, path, err) : status;
    status = status == ZO_OK ? zo_opt_read(zo_cell_keys(), object, "optimizer", path, c, err) : status; /* a value that is not used is checked all the same */
    status = status == ZO_OK && common != NULL ? zo_opt_read(zo_cell_keys(), common, "optimizer", path, c, err) : status;
    void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, c->estimator->state_bytes);
    if (status == ZO_OK) {
        char where[4400], also[1000];
        snprintf(where, sizeof where, "%s: optimizer %s", path, c->estimator->name);
        /* The overrides are named so that a suggestion may be one of them. */
        status = zo_opt_read(zo_cell_options(c->estimator), own, zo_cell_keys_with(ZO_KEY_OVERRIDE, also, sizeof also), where, state, err);
    }
    status = status == ZO_OK ? complete_cell(c, path, err) : status;
    status = status == ZO_OK ? check_schedules(c, state, path, err) : status;
    status = status == ZO_OK ? check_options(c, state, path, err) : status;
    if (status == ZO_OK) {
        c->options = zo_opt_write(zo_cell_options(c->estimator), state);
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
        const char *plugin = zo_plugin_path(cell->estimator), *name = plugin != NULL ? plugin : cell->estimator->name;
        hash = zo_fnv1a(hash, name, strlen(name));
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

zo_status zo_cell_with(const zo_cell *cell, const cJSON *keys, zo_cell *other, zo_err *err)
{
    cJSON *config = zo_cell_whole_config(cell);
    for (const cJSON *value = keys->child; value != NULL; value = value->next) {
        zo_json_replace(config, value->string, cJSON_Duplicate(value, true));
    }
    zo_status status = zo_cell_make(other, config, "cell", err);
    cJSON_Delete(config);
    return status;
}

zo_status zo_cell_parse(zo_cell *cell, const char *config, zo_err *err)
{
    memset(cell, 0, sizeof *cell);
    cJSON *json = cJSON_Parse(config);
    if (json == NULL) {
        return zo_fail(err, ZO_EINPUT, "the cell's configuration is not JSON");
    }
    zo_status status = zo_cell_make(cell, json, "cell", err);
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
