/* adapter.c: see adapter.h. */
#include "models/files/adapter.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/io.h"
#include "models/files/names.h"

#define BEFORE "base_model.model."

/* The canonical name of the weight that an adapter's matrix stands beside, in `name`; of other parameters their own. */
static const char *adapted_name(const zo_param *p, char name[sizeof p->name])
{
    if (p->lora == ZO_LORA_NONE) {
        return p->name;
    }
    snprintf(name, sizeof p->name, "%.*s.weight", (int)(strstr(p->name, ".lora_") - p->name), p->name);
    return name;
}

static const char *ending_of(const zo_param *p)
{
    return p->lora == ZO_LORA_A ? ".lora_A.weight" : p->lora == ZO_LORA_B ? ".lora_B.weight" : NULL;
}

/* The table's row of a parameter that an adapter's folder holds, else NULL: what is trained. */
static const zo_name_row *saved_row(const zo_family *family, const zo_param *p, int *block, const char **ending)
{
    char name[sizeof p->name];
    if (p->frozen) {
        return NULL;
    }
    const zo_name_row *row = zo_name_row_of(family, adapted_name(p, name), block, ending);
    *ending = ending_of(p) != NULL ? ending_of(p) : *ending; /* which stands in p->name */
    return row;
}

static bool has_class_head(const zo_layout *layout)
{
    return zo_layout_find(layout, "class.out.weight") >= 0;
}

/* The linear layers of a block that are modules of their own, as the key "on" has them. */
static const char *modules_of_their_own(const zo_family *family, bool gated, char out[32])
{
    static const char *const layers[] = {"attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down"};
    out[0] = '\0';
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char name[40];
        int block;
        const char *ending;
        snprintf(name, sizeof name, "layer.0.%s.weight", layers[i]);
        if ((gated || strcmp(layers[i], "mlp.gate") != 0) && !zo_name_is_shared(family, zo_name_row_of(family, name, &block, &ending))) {
            snprintf(out + strlen(out), 32 - strlen(out), "%s%s", out[0] != '\0' ? "," : "", strchr(layers[i], '.') + 1);
        }
    }
    return out;
}

zo_status zo_adapter_check(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    ZO_CHECK(family != NULL && arch->lora.rank > 0, "an adapter of a model of family %s without adapters", arch->family);
    for (int i = 0; i < layout->n; i++) {
        int block;
        char apart[32];
        const char *ending;
        const zo_name_row *row = saved_row(family, &layout->param[i], &block, &ending);
        if (row != NULL && layout->param[i].lora != ZO_LORA_NONE && zo_name_is_shared(family, row)) {
            return zo_fail(err, ZO_EUNSUPPORTED, "%s: PEFT's format has no adapter on a part of a module, and in %s several layers are one (%s); use \"on\": \"%s\" for adapters that "
                           "are read or written", folder, family->name, row->theirs, modules_of_their_own(family, arch->gated, apart));
        }
    }
    return ZO_OK;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

/* Keys of adapter_config.json that must be absent, null or this: what they else turn on is not here. */
static const struct { const char *key, *value; } permitted[] = {
    {"peft_type", "\"LORA\""},   {"bias", "\"none\""},       {"use_dora", "false"},   {"lora_bias", "false"},           {"use_qalora", "false"},
    {"rank_pattern", "{}"},      {"alpha_pattern", "{}"},    {"layers_to_transform", "null"}, {"layer_replication", "null"}, {"target_parameters", "null"},
    {"use_bdlora", "null"},      {"arrow_config", "null"},   {"alora_invocation_tokens", "null"}, {"trainable_token_indices", "null"}};

/* Initialisations that leave the base weights as they are. */
static bool keeps_base(const cJSON *init)
{
    static const char *const names[] = {"gaussian", "eva", "orthogonal"};
    bool keeps = init == NULL || cJSON_IsNull(init) || cJSON_IsBool(init);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        keeps = keeps || (cJSON_IsString(init) && strcmp(init->valuestring, names[i]) == 0);
    }
    return keeps;
}

static zo_status check_permitted(const cJSON *json, const char *path, zo_err *err)
{
    const cJSON *init = cJSON_GetObjectItemCaseSensitive(json, "init_lora_weights");
    for (size_t i = 0; i < sizeof permitted / sizeof *permitted; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, permitted[i].key);
        char *text = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
        bool fits = text == NULL || cJSON_IsNull(item) || strcmp(text, permitted[i].value) == 0;
        zo_status status = fits ? ZO_OK : zo_fail(err, ZO_EUNSUPPORTED, "%s: key \"%s\" is %.60s, which is not supported; use an adapter where it is %s", path,
                                                  permitted[i].key, text, permitted[i].value);
        cJSON_free(text);
        if (status != ZO_OK) {
            return status;
        }
    }
    return keeps_base(init) ? ZO_OK
                            : zo_fail(err, ZO_EUNSUPPORTED, "%s: key \"init_lora_weights\" is another than true, false, \"gaussian\", \"eva\" or \"orthogonal\", and may have changed the base "
                                      "weights; convert the adapter to plain LoRA with PEFT", path);
}

static zo_status check_config(const char *path, const zo_lora *lora, zo_err *err)
{
    cJSON *json = NULL;
    zo_status status = zo_json_read(path, &json, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_config c = {.json = json, .path = path, .status = ZO_OK, .err = err};
    zo_config_only_once(&c);
    int rank = zo_config_int_or(&c, "r", 8, 1, 1 << 20);
    double alpha = zo_config_real_or(&c, "lora_alpha", 8, -1e9, 1e9);
    bool root = zo_config_bool_or(&c, "use_rslora", false);
    double scale = root ? alpha / sqrt(rank) : alpha / rank, asked = lora->alpha / lora->rank;
    status = c.status == ZO_OK ? check_permitted(json, path, err) : c.status;
    if (status == ZO_OK && rank != lora->rank) {
        status = zo_fail(err, ZO_EINPUT, "%s: key \"r\" is %d, and the config's \"rank\" %d; say \"rank\": %d, or use another adapter", path, rank, lora->rank, rank);
    } else if (status == ZO_OK && fabs(scale - asked) > 1e-6 * fabs(asked)) {
        status = zo_fail(err, ZO_EINPUT, "%s: the adapter is scaled by %g (%s), and the config's alpha / rank is %g; say \"alpha\": %.9g", path, scale,
                         root ? "lora_alpha / sqrt(r)" : "lora_alpha / r", asked, scale * rank);
    }
    cJSON_Delete(json);
    return status;
}

static zo_status read_tensor(const zo_tensor *t, const char *path, const zo_param *p, zo_backend *be, zo_store *store, int param, zo_err *err)
{
    bool vector = p->kind == ZO_PARAM_VECTOR;
    if (t->dims != (vector ? 1 : 2) || t->shape[0] != (vector ? p->cols : p->rows) || t->shape[t->dims - 1] != p->cols) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%.150s\" has %d dimensions, the first of size %lld; expected (%lld, %lld) by the model and the config's \"rank\"", path,
                       t->name, t->dims, (long long)(t->dims > 0 ? t->shape[0] : 0), (long long)p->rows, (long long)p->cols);
    }
    if (t->dtype != ZO_DTYPE_F32 && t->dtype != ZO_DTYPE_F16 && t->dtype != ZO_DTYPE_BF16) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: tensor \"%.150s\" has dtype %s; expected F32, F16 or BF16", path, t->name, zo_dtype_name(t->dtype));
    }
    float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)t->count * sizeof *host);
    zo_tensor_floats(t, 0, t->count, host);
    zo_store_set(be, store, param, host);
    bool fits = true;
    for (int64_t i = 0; i < t->count; i++) {
        fits = fits && isfinite(host[i]) && (store->storage != ZO_STORAGE_F16 || isfinite(zo_f16_to(zo_f16_from(host[i]))));
    }
    zo_free(host);
    return fits ? ZO_OK : zo_fail(err, ZO_EINPUT, "%s: tensor \"%.150s\" has a value that is not finite%s", path, t->name,
                                  store->storage == ZO_STORAGE_F16 ? " in f16, whose largest is 65504; use \"storage\": \"bf16\" or \"f32\"" : "; the adapter has diverged, use another");
}

static zo_status read_tensors(const zo_tensors *tensors, const char *path, const zo_family *family, bool class_head, const zo_layout *layout, zo_backend *be,
                              zo_store *store, bool *headless, zo_err *err)
{
    bool *read = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)tensors->n * sizeof *read + 1);
    zo_status status = ZO_OK;
    for (int i = 0; i < layout->n && status == ZO_OK; i++) {
        const zo_param *p = &layout->param[i];
        int block;
        const char *ending;
        if (saved_row(family, p, &block, &ending) == NULL) {
            continue;
        }
        char name[sizeof p->name];
        zo_stored stored;
        zo_tensor_name tried;
        const zo_tensor *t = zo_name_find(tensors, family, BEFORE, adapted_name(p, name), ending_of(p), &stored, tried);
        if (t != NULL) {
            read[t - tensors->tensor] = true;
            status = read_tensor(t, path, p, be, store, i, err);
        } else if (p->lora != ZO_LORA_NONE) {
            status = zo_fail(err, ZO_EINPUT, "%s: tensor \"%s\" is missing; the adapter is another model's, or has no adapter on a layer that the config's \"on\" names", path,
                             tried);
        } else {
            *headless = true;
        }
    }
    for (int i = 0; i < tensors->n && status == ZO_OK; i++) {
        const char *name = tensors->tensor[i].name, *own = strncmp(name, BEFORE, strlen(BEFORE)) == 0 ? name + strlen(BEFORE) : name;
        if (!read[i] && !zo_name_silent(family, own, class_head, !class_head)) {
            status = zo_fail(err, ZO_EINPUT, "%s: tensor \"%.150s\" belongs to no layer that the config's \"on\" names; name all that have an adapter there (of q, k, v, o, gate, up "
                             "and down: others are not supported)", path, name);
        }
    }
    zo_free(read);
    return status;
}

zo_status zo_adapter_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store, bool *headless, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    char path[4096];
    zo_map map;
    zo_tensors tensors;
    bool ignored;
    headless = headless != NULL ? headless : &ignored;
    *headless = false;
    zo_status status = zo_adapter_check(folder, arch, layout, err);
    status = status == ZO_OK ? check_config(zo_path_join(path, sizeof path, folder, "adapter_config.json"), &arch->lora, err) : status;
    status = status == ZO_OK ? zo_map_open(&map, zo_path_join(path, sizeof path, folder, "adapter_model.safetensors"), err) : status;
    if (status != ZO_OK) {
        return status;
    }
    status = zo_tensors_parse(&tensors, map.data, map.bytes, path, err);
    if (status == ZO_OK) {
        status = read_tensors(&tensors, path, family, has_class_head(layout), layout, be, store, headless, err);
        zo_tensors_close(&tensors);
    }
    zo_map_close(&map);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

/* Does PEFT take module `name` for one of the target `suffix`: are they equal, or is it behind a dot? */
static bool ends_with(const char *name, size_t length, const char *suffix, size_t n)
{
    return length >= n && memcmp(name + length - n, suffix, n) == 0 && (length == n || name[length - n - 1] == '.');
}

static size_t spelling(const char *theirs)
{
    return strcspn(theirs, "|&");
}

static void add_once(cJSON *list, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (strcmp(item->valuestring, text) == 0) {
            return;
        }
    }
    cJSON_AddItemToArray(list, cJSON_CreateString(text));
}

/* The shortest end of a row's modules that no module without an adapter has, or NULL. adapted (rows of the table). */
static const char *target_suffix(const zo_family *family, const zo_name_row *row, const bool *adapted)
{
    size_t length = spelling(row->theirs);
    const char *block = strchr(row->theirs, '#');
    for (const char *at = row->theirs + length - 1; at > block; at--) {
        bool only = at[-1] == '.';
        for (const zo_name_row *other = family->names; other->ours != NULL && only; other++) {
            only = adapted[other - family->names] || !ends_with(other->theirs, spelling(other->theirs), at, (size_t)(row->theirs + (ptrdiff_t)length - at));
        }
        if (only) {
            return at;
        }
    }
    return NULL;
}

/* PEFT's names of what has an adapter (a suffix for all blocks, or where that would fit others too each module), and of the trained head. */
static void add_modules(const zo_family *family, const zo_layout *layout, cJSON *json)
{
    cJSON *targets = cJSON_AddArrayToObject(json, "target_modules"), *heads = cJSON_CreateArray();
    int rows = 0, block;
    while (family->names[rows].ours != NULL) {
        rows++;
    }
    bool *adapted = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)rows * sizeof *adapted);
    const char *ending;
    for (int i = 0; i < layout->n; i++) {
        const zo_name_row *row = saved_row(family, &layout->param[i], &block, &ending);
        if (row != NULL && layout->param[i].lora != ZO_LORA_NONE) {
            adapted[row - family->names] = true;
        }
    }
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        const zo_name_row *row = saved_row(family, p, &block, &ending);
        zo_tensor_name text;
        if (row == NULL) {
            continue;
        }
        const char *suffix = p->lora != ZO_LORA_NONE ? target_suffix(family, row, adapted) : NULL;
        if (suffix != NULL) {
            snprintf(text, sizeof text, "%.*s", (int)spelling(suffix), suffix);
        } else {
            zo_name_spell(text, row->base ? family->prefixes[0] : "", row->theirs, 0, block, "");
        }
        if (p->lora == ZO_LORA_NONE) {
            text[strcspn(text, ".")] = '\0'; /* "classifier" of classifier.dense and classifier.out_proj */
        }
        add_once(p->lora != ZO_LORA_NONE ? targets : heads, text);
    }
    zo_free(adapted);
    if (cJSON_GetArraySize(heads) > 0) {
        cJSON_AddItemToObject(json, "modules_to_save", heads);
    } else {
        cJSON_AddNullToObject(json, "modules_to_save");
        cJSON_Delete(heads);
    }
}

static zo_status write_config(const char *folder, const zo_arch *arch, const char *base, const zo_family *family, const zo_layout *layout, zo_err *err)
{
    bool class = has_class_head(layout), conv = false;
    for (const zo_name_row *row = family->names; row->ours != NULL; row++) {
        conv = conv || row->stored == ZO_STORED_CONV1D;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "peft_type", "LORA");
    cJSON_AddItemToObject(json, "task_type", class ? cJSON_CreateString("SEQ_CLS") : arch->causal ? cJSON_CreateString("CAUSAL_LM") : cJSON_CreateNull());
    cJSON_AddStringToObject(json, "base_model_name_or_path", base);
    cJSON_AddNumberToObject(json, "r", arch->lora.rank);
    cJSON_AddNumberToObject(json, "lora_alpha", arch->lora.alpha);
    cJSON_AddNumberToObject(json, "lora_dropout", 0);
    add_modules(family, layout, json);
    cJSON_AddStringToObject(json, "bias", "none");
    cJSON_AddBoolToObject(json, "fan_in_fan_out", conv);
    cJSON_AddBoolToObject(json, "use_rslora", false);
    cJSON_AddBoolToObject(json, "use_dora", false);
    cJSON_AddBoolToObject(json, "init_lora_weights", true);
    cJSON_AddBoolToObject(json, "inference_mode", true);
    char path[4096], *text = cJSON_Print(json);
    cJSON_Delete(json);
    zo_status status = zo_write_file(zo_path_join(path, sizeof path, folder, "adapter_config.json"), text, strlen(text), err);
    cJSON_free(text);
    return status;
}

typedef struct source { const zo_layout *layout; const zo_store *store; zo_backend *be; } source;

static void fill(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    const source *s = context;
    const zo_param *p = entry->from;
    zo_store_read(s->be, s->store, p->offset + first, count, out);
}

zo_status zo_adapter_write(const char *folder, const zo_arch *arch, const char *base, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err)
{
    const zo_family *family = zo_family_find(arch->family);
    zo_status status = zo_adapter_check(folder, arch, layout, err);
    status = status == ZO_OK ? zo_make_dirs(folder, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_tensor_out *entry = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)layout->n * sizeof *entry);
    zo_tensor_name *name = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)layout->n * sizeof *name);
    int n = 0;
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        int block;
        const char *ending;
        const zo_name_row *row = saved_row(family, p, &block, &ending);
        if (row == NULL) {
            continue;
        }
        char before[64];
        snprintf(before, sizeof before, BEFORE "%s", row->base ? family->prefixes[0] : "");
        zo_name_spell(name[n], before, row->theirs, 0, block, ending);
        bool vector = p->kind == ZO_PARAM_VECTOR;
        entry[n] = (zo_tensor_out){.name = name[n], .dims = vector ? 1 : 2, .shape = {vector ? p->cols : p->rows, p->cols}, .from = p};
        n++;
    }
    char path[4096];
    source from = {.layout = layout, .store = store, .be = be};
    status = zo_tensors_write(zo_path_join(path, sizeof path, folder, "adapter_model.safetensors"), entry, n, fill, &from, err);
    zo_free(name);
    zo_free(entry);
    return status == ZO_OK ? write_config(folder, arch, base, family, layout, err) : status;
}
