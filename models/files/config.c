/* config.c: config.json of a Hugging Face folder, read through the family registry and written back. */
#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "core/io.h"
#include "models/family.h"
#include "models/files/hub.h"
#include "models/list.h"

#define X(id) extern const zo_family zo_family_##id;
ZO_FAMILY_LIST(X)
#undef X

static const zo_family *const families[] = {
#define X(id) &zo_family_##id,
    ZO_FAMILY_LIST(X)
#undef X
};
#define FAMILIES ((int)(sizeof families / sizeof *families))
#define KEY_BYTES 64

const zo_family *zo_family_find(const char *name)
{
    for (int i = 0; i < FAMILIES; i++) {
        if (strcmp(families[i]->name, name) == 0) {
            return families[i];
        }
    }
    return NULL;
}

void zo_config_fail(zo_config *config, const char *format, ...)
{
    if (config->status != ZO_OK) {
        return;
    }
    char text[800];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    config->status = zo_fail(config->err, ZO_EUNSUPPORTED, "%s: %s", config->path, text);
}

/* The member under a key or another spelling of it ("n_embd|hidden_size"); where both stand the last counts, as in transformers (its
 * attribute_map). NULL when absent. */
static const cJSON *config_find(const zo_config *config, const char *key)
{
    const cJSON *found = NULL;
    for (const char *at = key; at != NULL; at = strchr(at, '|') != NULL ? strchr(at, '|') + 1 : NULL) {
        char name[KEY_BYTES];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "|"), at);
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(config->json, name);
        found = item != NULL ? item : found;
    }
    return found;
}

/* NULL when absent or null. */
static const cJSON *config_get(const zo_config *config, const char *key)
{
    const cJSON *item = config_find(config, key);
    return item == NULL || cJSON_IsNull(item) ? NULL : item;
}

bool zo_config_is_null(zo_config *config, const char *key)
{
    return cJSON_IsNull(config_find(config, key));
}

/* An item as short text for messages. */
static const char *item_text(const cJSON *item, char *out, int size)
{
    char *text = cJSON_PrintUnformatted(item);
    snprintf(out, (size_t)size, "%.*s%s", size - 4, text != NULL ? text : "?",
             text != NULL && (int)strlen(text) > size - 4 ? "..." : "");
    cJSON_free(text);
    return out;
}

static void config_wrong(zo_config *config, const char *key, const cJSON *item, const char *expected)
{
    char text[80];
    if (config->status == ZO_OK) {
        config->status = zo_fail(config->err, ZO_EINPUT, "%s: key \"%s\" is %s; expected %s", config->path,
                                 item->string != NULL ? item->string : key, item_text(item, text, sizeof text), expected);
    }
}

static int config_int_of(zo_config *config, const char *key, const cJSON *item, int fallback, int least, int most)
{
    double value = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    if (!(value >= least && value <= most) || value != floor(value)) {
        char expected[80];
        snprintf(expected, sizeof expected, "a whole number from %d to %d", least, most);
        config_wrong(config, key, item, expected);
        return fallback;
    }
    return (int)value;
}

int zo_config_int_or(zo_config *config, const char *key, int fallback, int least, int most)
{
    const cJSON *item = config_get(config, key);
    return item == NULL || config->status != ZO_OK ? fallback
                                                   : config_int_of(config, key, item, fallback, least, most);
}

double zo_config_real_or(zo_config *config, const char *key, double fallback, double least, double most)
{
    const cJSON *item = config_get(config, key);
    if (item == NULL || config->status != ZO_OK) {
        return fallback;
    }
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= least && item->valuedouble <= most)) {
        char expected[80];
        snprintf(expected, sizeof expected, "a number from %g to %g", least, most);
        config_wrong(config, key, item, expected);
        return fallback;
    }
    return item->valuedouble;
}

bool zo_config_bool_or(zo_config *config, const char *key, bool fallback)
{
    const cJSON *item = config_get(config, key);
    if (item == NULL || config->status != ZO_OK) {
        return fallback;
    }
    if (!cJSON_IsBool(item)) {
        config_wrong(config, key, item, "true or false");
        return fallback;
    }
    return cJSON_IsTrue(item);
}

int zo_config_token(zo_config *config, const char *key, int fallback)
{
    const cJSON *item = config_find(config, key);
    if (cJSON_IsArray(item)) {
        item = cJSON_GetArrayItem(item, 0);
    }
    if (item == NULL || config->status != ZO_OK) {
        return fallback;
    }
    int id = cJSON_IsNull(item) ? -1 : config_int_of(config, key, item, fallback, INT_MIN, INT_MAX);
    return id < 0 ? -1 : id;
}

/* The first spelling of an activation is the one written. */
static const struct {
    const char *name;
    zo_act act;
} acts[] = {
    {"gelu", ZO_ACT_GELU},                  {"gelu_python", ZO_ACT_GELU},    {"gelu_new", ZO_ACT_GELU_TANH},
    {"gelu_pytorch_tanh", ZO_ACT_GELU_TANH}, {"gelu_fast", ZO_ACT_GELU_TANH}, {"gelu_accurate", ZO_ACT_GELU_TANH},
    {"gelu_python_tanh", ZO_ACT_GELU_TANH}, {"relu", ZO_ACT_RELU},           {"silu", ZO_ACT_SILU},
    {"swish", ZO_ACT_SILU},                 {"tanh", ZO_ACT_TANH}};
#define ACTS ((int)(sizeof acts / sizeof *acts))

const char *zo_act_name(zo_act act)
{
    for (int i = 0; i < ACTS; i++) {
        if (acts[i].act == act) {
            return acts[i].name;
        }
    }
    zo_die(__FILE__, __LINE__, "activation %d has no spelling in config.json", (int)act);
}

zo_act zo_config_act(zo_config *config, const char *key, zo_act fallback)
{
    const cJSON *item = config_get(config, key);
    if (item == NULL || config->status != ZO_OK) {
        return fallback;
    }
    for (int i = 0; i < ACTS && cJSON_IsString(item); i++) {
        if (strcmp(item->valuestring, acts[i].name) == 0) {
            return acts[i].act;
        }
    }
    char text[80], known[200] = "";
    for (int i = 0; i < ACTS; i++) {
        snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i == 0 ? "" : ", ", acts[i].name);
    }
    zo_config_fail(config, "key \"%s\" is %s, an activation that is not supported; supported are %s", key, item_text(item, text, sizeof text),
                   known);
    return fallback;
}

void zo_config_only_bool(zo_config *config, const char *key, bool value)
{
    if (zo_config_bool_or(config, key, value) != value) {
        zo_config_fail(config, "key \"%s\" is %s, which is not supported; use a model where it is %s", key,
                       value ? "false" : "true", value ? "true" : "false");
    }
}

void zo_config_heads_share(zo_config *config, zo_arch *arch)
{
    arch->head_dim = arch->hidden / arch->heads;
    if (zo_config_int_or(config, "head_dim", arch->head_dim, 1, 1 << 24) != arch->head_dim) {
        zo_config_fail(config, "key \"head_dim\" is not hidden_size / num_attention_heads, %d, which is not supported", arch->head_dim);
    }
}

void zo_config_only_text(zo_config *config, const char *key, const char *value)
{
    const cJSON *item = config_get(config, key);
    char text[80];
    if (item != NULL && !(cJSON_IsString(item) && strcmp(item->valuestring, value) == 0)) {
        zo_config_fail(config, "key \"%s\" is %s, which is not supported; use a model where it is \"%s\"", key,
                       item_text(item, text, sizeof text), value);
    }
}

void zo_config_only_empty(zo_config *config, const char *key)
{
    const cJSON *item = config_get(config, key);
    char text[80];
    bool empty = item == NULL || cJSON_IsFalse(item) ||
                 ((cJSON_IsObject(item) || cJSON_IsArray(item)) && item->child == NULL);
    if (!empty) {
        zo_config_fail(config, "key \"%s\" is %s, which is not supported; use a model without it", key,
                       item_text(item, text, sizeof text));
    }
}

void zo_config_only_once(zo_config *config)
{
    const char *twice = zo_json_double_key(config->json);
    if (twice != NULL && config->status == ZO_OK) {
        config->status = zo_fail(config->err, ZO_EINPUT, "%s: key \"%.64s\" stands there twice; keep one", config->path, twice);
    }
}

/* What holds for every family once its file has been read. */
static void check_arch(zo_config *config, const zo_arch *arch)
{
    if (config->status != ZO_OK) {
        return;
    }
    if (arch->heads * (int64_t)arch->head_dim != arch->hidden && arch->head_dim == arch->hidden / arch->heads) { /* else a size of its own */
        config->status = zo_fail(config->err, ZO_EINPUT,
                                 "%s: hidden size %d is not a multiple of %d attention heads", config->path,
                                 arch->hidden, arch->heads);
    } else if (arch->kv_heads < 1 || arch->heads % arch->kv_heads != 0) {
        config->status = zo_fail(
            config->err, ZO_EINPUT,
            "%s: key \"num_key_value_heads\" is %d; expected a divisor of the %d attention heads", config->path,
            arch->kv_heads, arch->heads);
    } else if (arch->rope && arch->head_dim % 2 != 0) {
        config->status = zo_fail(config->err, ZO_EINPUT,
                                 "%s: the head size is %d; rotary positions need an even one", config->path,
                                 arch->head_dim);
    } else if (arch->positions < 1) {
        config->status = zo_fail(config->err, ZO_EINPUT,
                                 "%s: key \"max_position_embeddings\" leaves %d positions after the offset of %d; "
                                 "expected at least 1",
                                 config->path, arch->positions, arch->position_offset);
    }
}

/* Special ids that no row of the token table has count as absent, as transformers reads such files; config.json's own are noted. */
static void drop_outside(const zo_config *config, zo_arch *arch)
{
    const struct { const char *key; int *id; } specials[] = {{"bos_token_id", &arch->bos}, {"eos_token_id", &arch->eos}, {"pad_token_id", &arch->pad}};
    char said[160] = "";
    int n = 0;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
        if (*specials[i].id < arch->vocab) {
            continue;
        }
        if (config_get(config, specials[i].key) != NULL) {
            snprintf(said + strlen(said), sizeof said - strlen(said), "%s%s %d", n++ == 0 ? "" : ", ", specials[i].key, *specials[i].id);
        }
        *specials[i].id = -1;
    }
    if (n > 0) {
        snprintf(arch->note, sizeof arch->note, "%s outside the vocabulary of %d count%s as absent", said, arch->vocab, n == 1 ? "s" : "");
    }
}

/* Architectures that are asked for, and what of them no description says. */
static const struct { const char *name, *lacks; } absent[] = {
    {"deberta", "scores of attention that come of relative positions (disentangled attention)"},
    {"deberta-v2", "scores of attention that come of relative positions (disentangled attention)"}};

static const char *lack_of(const char *name)
{
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++) {
        if (strcmp(absent[i].name, name) == 0) {
            return absent[i].lacks;
        }
    }
    return NULL;
}

zo_status zo_arch_parse(const struct cJSON *json, const char *path, zo_arch *arch, zo_err *err)
{
    memset(arch, 0, sizeof *arch);
    if (!cJSON_IsObject(json)) {
        return zo_fail(err, ZO_EINPUT, "%s: expected a JSON object as Hugging Face's config.json has", path);
    }
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "model_type");
    const zo_family *family = cJSON_IsString(type) ? zo_family_find(type->valuestring) : NULL;
    if (family == NULL) {
        char known[200] = "";
        for (int i = 0; i < FAMILIES; i++) {
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", i == 0 ? "" : ", ",
                     families[i]->name);
        }
        if (!cJSON_IsString(type)) {
            return zo_fail(err, ZO_EINPUT, "%s: key \"model_type\" is missing; expected one of %s", path, known);
        }
        const char *lack = lack_of(type->valuestring);
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: key \"model_type\" is \"%.60s\", an architecture that is not supported%s%s; supported are %s", path,
                       type->valuestring, lack != NULL ? ", because it has " : "", lack != NULL ? lack : "", known);
    }
    snprintf(arch->family, sizeof arch->family, "%s", family->name);
    arch->mask = -1;
    zo_config config = {.json = json, .path = path, .status = ZO_OK, .err = err};
    zo_config_only_once(&config);
    zo_config_only_empty(&config, "quantization_config");
    zo_config_only_bool(&config, "add_cross_attention", false);
    zo_config_only_bool(&config, "is_encoder_decoder", false);
    zo_config_only_empty(&config, "pruned_heads");
    family->read(&config, arch);
    check_arch(&config, arch);
    drop_outside(&config, arch);
    return config.status;
}

zo_status zo_arch_read(const char *folder, zo_arch *arch, zo_err *err)
{
    char path[4096];
    zo_path_join(path, sizeof path, folder, "config.json");
    cJSON *json = NULL;
    zo_status status = zo_json_read(path, &json, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_arch_parse(json, path, arch, err);
    cJSON_Delete(json);
    return status;
}

/* The item of a float. */
static cJSON *float_item(float value)
{
    char text[40];
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value) {
            break;
        }
    }
    if (value == truncf(value) && fabsf(value) < 1e6f) { /* transformers 5 takes no int where a float belongs */
        snprintf(text, sizeof text, "%.1f", (double)value);
        return cJSON_CreateRaw(text);
    }
    return cJSON_CreateNumber(strtod(text, NULL));
}

void zo_config_add_float(struct cJSON *json, const char *key, float value)
{
    cJSON_AddItemToObject(json, key, float_item(value));
}

void zo_config_add_floats(struct cJSON *json, const char *key, const float *value, int n)
{
    cJSON *list = cJSON_AddArrayToObject(json, key);
    for (int i = 0; i < n; i++) {
        cJSON_AddItemToArray(list, float_item(value[i]));
    }
}

static void add_token(cJSON *json, const char *key, int id)
{
    if (id >= 0) {
        cJSON_AddNumberToObject(json, key, id);
    } else {
        cJSON_AddNullToObject(json, key);
    }
}

struct cJSON *zo_arch_write(const zo_arch *arch, const zo_layout *layout)
{
    const zo_family *family = zo_family_find(arch->family);
    ZO_CHECK(family != NULL, "family %s is not in models/list.h", arch->family);
    int out = zo_layout_find(layout, "class.out.weight");
    bool decoder = arch->tied || zo_layout_find(layout, "lm.decoder.weight") >= 0;
    bool lm = zo_layout_find(layout, "lm.dense.weight") >= 0 || (arch->causal && out < 0 && decoder);
    cJSON *json = cJSON_CreateObject();
    cJSON *architectures = cJSON_AddArrayToObject(json, "architectures");
    cJSON_AddItemToArray(architectures, cJSON_CreateString(out >= 0 ? family->class_architecture
                                                           : lm     ? family->lm_architecture
                                                                    : family->base_architecture));
    cJSON_AddStringToObject(json, "model_type", family->name);
    cJSON_AddStringToObject(json, "torch_dtype", "float32");
    cJSON_AddNumberToObject(json, "vocab_size", arch->vocab);
    cJSON_AddBoolToObject(json, "tie_word_embeddings", arch->tied);
    add_token(json, "bos_token_id", arch->bos);
    add_token(json, "eos_token_id", arch->eos);
    add_token(json, "pad_token_id", arch->pad_skips ? arch->position_offset - 1 : arch->pad); /* the offset is of it, also outside the vocabulary */
    family->write(arch, json);
    if (out >= 0) {
        cJSON *id2label = cJSON_AddObjectToObject(json, "id2label"),
              *label2id = cJSON_AddObjectToObject(json, "label2id");
        for (int i = 0; i < layout->param[out].rows; i++) {
            char id[16], label[32];
            snprintf(id, sizeof id, "%d", i);
            snprintf(label, sizeof label, "LABEL_%d", i);
            cJSON_AddStringToObject(id2label, id, label);
            cJSON_AddNumberToObject(label2id, label, i);
        }
    }
    return json;
}
