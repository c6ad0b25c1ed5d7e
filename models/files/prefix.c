/* prefix.c: see prefix.h. */
#include "models/files/prefix.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/conf.h"
#include "core/io.h"
#include "models/files/safetensors.h"
#include "models/rope.h"

static const char own_file[] = "prefix.safetensors", peft_config[] = "adapter_config.json", peft_file[] = "adapter_model.safetensors";
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
    zo_rope_tables(a, n + 1, cosine, sine);
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

typedef struct writer { const zo_layout *layout; const zo_store *store; zo_backend *be; const float *table; } writer;

static void fill_param(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    const writer *w = context;
    const zo_param *p = entry->from;
    zo_store_read(w->be, w->store, p->offset + first, count, out);
}

static void fill_table(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    (void)entry;
    memcpy(out, ((const writer *)context)->table + first, (size_t)count * sizeof *out);
}

static zo_status write_peft(const char *folder, const zo_arch *a, writer *w, zo_err *err)
{
    int64_t width = width_of(a), wide = a->layers * 2 * width;
    char path[4096];
    float *table = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(a->prefix * wide) * sizeof *table);
    move_table(a, w->layout, w->be, NULL, w->store, table);
    w->table = table;
    zo_tensor_out entry = {.name = peft_tensor, .dims = 2, .shape = {a->prefix, wide}};
    zo_status status = zo_tensors_write(zo_path_join(path, sizeof path, folder, peft_file), &entry, 1, fill_table, w, err);
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
    zo_status status = zo_make_dirs(folder, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_tensor_out *entry = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)layout->n * sizeof *entry);
    int n = 0;
    bool alone = true; /* nothing but the prefix is trained */
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (!p->frozen) {
            bool vector = p->kind == ZO_PARAM_VECTOR;
            entry[n++] = (zo_tensor_out){.name = p->name, .dims = vector ? 1 : 2, .shape = {vector ? p->cols : p->rows, vector ? 0 : p->cols}, .from = p};
            alone = alone && p->added;
        }
    }
    writer w = {.layout = layout, .store = store, .be = be};
    char path[4096];
    status = zo_tensors_write(zo_path_join(path, sizeof path, folder, own_file), entry, n, fill_param, &w, err);
    zo_free(entry);
    return status == ZO_OK && peft_undoes(arch) && alone ? write_peft(folder, arch, &w, err) : status;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

typedef struct file { char path[4096]; zo_map map; zo_tensors tensors; } file;

static zo_status open_file(file *f, const char *folder, const char *name, zo_err *err)
{
    zo_status status = zo_map_open(&f->map, zo_path_join(f->path, sizeof f->path, folder, name), err);
    if (status == ZO_OK) {
        status = zo_tensors_parse(&f->tensors, f->map.data, f->map.bytes, f->path, err);
        if (status != ZO_OK) {
            zo_map_close(&f->map);
        }
    }
    return status;
}

static void close_file(file *f)
{
    zo_tensors_close(&f->tensors);
    zo_map_close(&f->map);
}

static bool is_float(const zo_tensor *t)
{
    return t->dtype == ZO_DTYPE_F32 || t->dtype == ZO_DTYPE_F16 || t->dtype == ZO_DTYPE_BF16;
}

/* The tensor as floats (zo_free gives them back) where it has that shape; dims 1: cols alone. */
static zo_status read_tensor(const file *f, const char *name, int dims, int64_t rows, int64_t cols, float **out, zo_err *err)
{
    const zo_tensor *t = zo_tensors_find(&f->tensors, name);
    if (t == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%s\" is missing among its %d; expected a file written by a run that trains the same of the same model",
                       f->path, name, f->tensors.n);
    }
    int64_t first = dims == 1 ? cols : rows;
    if (!is_float(t) || t->dims != dims || t->shape[0] != first || (dims == 2 && t->shape[1] != cols)) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%s\" is %s, the first of its %d dimensions %" PRId64 "; expected F32, F16 or BF16 and %" PRId64
                       " x %" PRId64 ", as \"tokens\" and the model have it", f->path, name, zo_dtype_name(t->dtype), t->dims,
                       t->dims > 0 ? t->shape[0] : 0, dims == 1 ? 1 : rows, cols);
    }
    *out = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)t->count * sizeof **out);
    zo_tensor_floats(t, 0, t->count, *out);
    return ZO_OK;
}

static zo_status read_own(const char *folder, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err)
{
    file f;
    zo_status status = open_file(&f, folder, own_file, err);
    if (status != ZO_OK) {
        return status;
    }
    int wanted = 0;
    for (int t = 0; t < layout->n && status == ZO_OK; t++) {
        const zo_param *p = &layout->param[t];
        float *values = NULL;
        if (!p->frozen) {
            status = read_tensor(&f, p->name, p->kind == ZO_PARAM_VECTOR ? 1 : 2, p->rows, p->cols, &values, err);
            wanted++;
        }
        if (values != NULL) {
            zo_store_set(be, store, t, values);
            zo_free(values);
        }
    }
    if (status == ZO_OK && f.tensors.n != wanted) {
        status = zo_fail(err, ZO_EINPUT, "%s has %d tensors, and this run trains %d parameters; expected a file written by a run that trains the same", f.path,
                         f.tensors.n, wanted);
    }
    close_file(&f);
    return status;
}

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
    file f;
    if (status != ZO_OK || (status = open_file(&f, folder, peft_file, err)) != ZO_OK) {
        return status;
    }
    float *table = NULL;
    status = read_tensor(&f, peft_tensor, 2, a->prefix, a->layers * 2 * width_of(a), &table, err);
    if (status == ZO_OK) {
        move_table(a, layout, be, store, NULL, table);
    }
    zo_free(table);
    close_file(&f);
    return status;
}

zo_status zo_prefix_read(const char *folder, const zo_arch *arch, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err)
{
    char path[4096];
    bool own = zo_path_exists(zo_path_join(path, sizeof path, folder, own_file));
    if (!own && !zo_path_exists(zo_path_join(path, sizeof path, folder, peft_config))) {
        return zo_fail(err, ZO_EINPUT, "%s has neither %s nor %s; expected a folder that a run on a prefix has saved, or PEFT's", folder, own_file, peft_config);
    }
    zo_status status = own ? read_own(folder, layout, be, store, err) : read_peft(folder, arch, layout, be, store, err);
    if (status == ZO_OK && store->storage == ZO_STORAGE_F16 && !be->finite(be, store)) {
        status = zo_fail(err, ZO_EINPUT, "%s: the prefix has a value that is not finite in f16, whose largest is 65504; use \"storage\": \"bf16\" or \"f32\"", folder);
    }
    return status;
}
