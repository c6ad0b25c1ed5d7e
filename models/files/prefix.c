/* prefix.c: see prefix.h. */
#include "models/files/prefix.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/io.h"
#include "models/files/trained.h"
#include "models/rope.h"

static const char own_file[] = ZO_PREFIX_FILE, peft_config[] = "adapter_config.json", peft_file[] = "adapter_model.safetensors";
static const char peft_tensor[] = "prompt_embeddings"; /* (prefix, layers * 2 * kv_heads * head_dim): of each layer keys, then values */

/* Can what PEFT's prefix does to the positions of the tokens be undone by turning its keys? */
static bool peft_undoes(const zo_arch *a)
{
    return a->rope && a->rope_scaling != ZO_ROPE_LONG && a->window == 0;
}

static int64_t width_of(const zo_arch *a)
{
    return (int64_t)a->kv_heads * a->head_dim;
}

/* ---- PEFT's table --------------------------------------------------------------------------------------------------------- */

/* rows (n, kv_heads * head_dim) of keys turned by n positions, or back. As zo_backend.rope does. */
static void turn(const zo_arch *a, float *rows, bool back)
{
    int n = a->prefix, half = zo_arch_rope_dims(a) / 2, gap = a->rope_interleaved ? 1 : half, apart = a->rope_interleaved ? 2 : 1;
    float *cosine = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * (size_t)((n + 1) * half) * sizeof *cosine), *sine = cosine + (n + 1) * half;
    zo_rope_tables(a, n + 1, false, cosine, sine);
    float times = a->rope_attention > 0.0f ? a->rope_attention : 1.0f;
    for (int64_t i = 0; i < (int64_t)n * a->kv_heads; i++) {
        float *low = rows + i * a->head_dim, *high = low + gap;
        for (int d = 0; d < half; d++) {
            float c = cosine[n * half + d] / times, s = (back ? -sine[n * half + d] : sine[n * half + d]) / times, x = low[apart * d], y = high[apart * d];
            low[apart * d] = x * c - y * s;
            high[apart * d] = y * c + x * s;
        }
    }
    zo_free(cosine);
}

/* The table from the store, or the store from the table. */
static void move_table(const zo_arch *a, const zo_layout *layout, zo_backend *be, zo_store *to, const zo_store *from, float *table)
{
    int64_t width = width_of(a), wide = a->layers * 2 * width;
    float *rows = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(a->prefix * width) * sizeof *rows);
    for (int i = 0; i < 2 * a->layers; i++) {
        char name[64];
        snprintf(name, sizeof name, "layer.%d.attn.prefix.%c", i / 2, "kv"[i % 2]);
        int param = zo_layout_find(layout, name);
        ZO_CHECK(param >= 0, "the layout of a model with a prefix lacks %s", name);
        bool key = i % 2 == 0;
        if (from != NULL) {
            zo_store_get(be, from, param, rows);
            if (key) {
                turn(a, rows, false);
            }
        }
        for (int r = 0; r < a->prefix; r++) {
            float *there = table + r * wide + i * width, *here = rows + r * width;
            memcpy(from != NULL ? there : here, from != NULL ? here : there, (size_t)width * sizeof *rows);
        }
        if (to != NULL) {
            if (key) {
                turn(a, rows, true);
            }
            zo_store_set(be, to, param, rows);
        }
    }
    zo_free(rows);
}

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

static void fill_table(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    (void)entry;
    memcpy(out, (const float *)context + first, (size_t)count * sizeof *out);
}

static zo_status write_peft(const char *folder, const zo_arch *a, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err)
{
    int64_t width = width_of(a), wide = a->layers * 2 * width;
    char path[4096];
    float *table = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(a->prefix * wide) * sizeof *table);
    move_table(a, layout, be, NULL, store, table);
    zo_tensor_out entry = {.name = peft_tensor, .dims = 2, .shape = {a->prefix, wide}};
    zo_status status = zo_tensors_write(zo_path_join(path, sizeof path, folder, peft_file), &entry, 1, fill_table, table, err);
    zo_free(table);
    if (status != ZO_OK) {
        return status;
    }
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "peft_type", "PREFIX_TUNING");
    cJSON_AddStringToObject(json, "task_type", "CAUSAL_LM");
    cJSON_AddBoolToObject(json, "inference_mode", true);
    cJSON_AddNumberToObject(json, "num_virtual_tokens", a->prefix);
    cJSON_AddNumberToObject(json, "num_layers", a->layers);
    cJSON_AddNumberToObject(json, "num_attention_heads", a->kv_heads);
    cJSON_AddNumberToObject(json, "token_dim", (double)width);
    cJSON_AddNumberToObject(json, "encoder_hidden_size", (double)width);
    cJSON_AddNumberToObject(json, "num_transformer_submodules", 1);
    cJSON_AddBoolToObject(json, "prefix_projection", false);
    char *text = cJSON_Print(json);
    cJSON_Delete(json);
    status = zo_write_file(zo_path_join(path, sizeof path, folder, peft_config), text, strlen(text), err);
    cJSON_free(text);
    return status;
}

zo_status zo_prefix_write(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err)
{
    zo_status status = zo_trained_write(folder, own_file, layout, be, store, err);
    bool alone = true; /* nothing but the prefix is trained */
    for (int t = 0; t < layout->n; t++) {
        alone = alone && (layout->param[t].frozen || layout->param[t].added);
    }
    return status == ZO_OK && peft_undoes(arch) && alone ? write_peft(folder, arch, layout, be, store, err) : status;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

/* A number of PEFT's config that has to be the model's. */
static zo_status check_number(const cJSON *json, const char *path, const char *key, int64_t expected, zo_err *err)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNumber(value) && value->valuedouble == (double)expected
               ? ZO_OK
               : zo_fail(err, ZO_EINPUT, "%s: \"%s\" is not %" PRId64 ", which the model or \"tokens\" asks for; the adapter is of another model or length", path,
                         key, expected);
}

static zo_status check_config(const cJSON *json, const char *path, const zo_arch *a, zo_err *err)
{
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(json, "peft_type");
    if (!cJSON_IsString(type) || strcmp(type->valuestring, "PREFIX_TUNING") != 0) {
        return zo_fail(err, ZO_EINPUT, "%s: \"peft_type\" is not \"PREFIX_TUNING\"; a prefix can only begin as a prefix", path);
    }
    if (a->window > 0) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: PEFT counts the prefix's tokens in the sliding window of this model (%s), and here every token sees them; use "
                       "prefix.safetensors of a run of zo", path, a->family);
    }
    if (!peft_undoes(a)) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: PEFT shifts the positions of the tokens by the prefix's length, which this model (%s), whose positions %s, "
                       "cannot undo; use a prefix.safetensors", path, a->family, a->rope ? "are of LongRoPE" : "are learned");
    }
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "prefix_projection"))) {
        return zo_fail(err, ZO_EUNSUPPORTED, "%s: \"prefix_projection\" is true, and a network that makes the prefix is not supported; save the adapter for "
                       "inference", path);
    }
    const struct { const char *key; int64_t expected; } numbers[] = {
        {"num_virtual_tokens", a->prefix}, {"num_layers", a->layers}, {"num_attention_heads", a->kv_heads}, {"token_dim", width_of(a)}};
    zo_status status = ZO_OK;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers && status == ZO_OK; i++) {
        status = check_number(json, path, numbers[i].key, numbers[i].expected, err);
    }
    return status;
}

static zo_status read_peft(const char *folder, const zo_arch *a, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err)
{
    char path[4096];
    cJSON *json;
    zo_status status = zo_json_read(zo_path_join(path, sizeof path, folder, peft_config), &json, err);
    if (status != ZO_OK) {
        return status;
    }
    status = check_config(json, path, a, err);
    cJSON_Delete(json);
    zo_trained_file f;
    if (status != ZO_OK || (status = zo_trained_open(&f, folder, peft_file, err)) != ZO_OK) {
        return status;
    }
    float *table = NULL;
    status = zo_trained_tensor(&f, peft_tensor, 2, a->prefix, a->layers * 2 * width_of(a), &table, err);
    if (status == ZO_OK) {
        move_table(a, layout, be, store, NULL, table);
    }
    zo_free(table);
    zo_trained_close(&f);
    return status;
}

zo_status zo_prefix_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err)
{
    char path[4096];
    bool own = zo_path_exists(zo_path_join(path, sizeof path, folder, own_file));
    if (!own && !zo_path_exists(zo_path_join(path, sizeof path, folder, peft_config))) {
        return zo_fail(err, ZO_EINPUT, "%s has neither %s nor %s; expected a folder that a run on a prefix has saved, or PEFT's", folder, own_file, peft_config);
    }
    if (own) {
        return zo_trained_read(folder, own_file, "prefix", layout, be, store, err);
    }
    zo_status status = read_peft(folder, arch, layout, be, store, err);
    return status == ZO_OK ? zo_trained_fits(folder, "prefix", be, store, err) : status;
}
