/* safetensors.c: see safetensors.h. The format: 8 bytes little-endian length N, N bytes of JSON
 * {"name": {"dtype": "F32", "shape": [..], "data_offsets": [begin, end]}, .., "__metadata__": {..}}, then the
 * data; offsets count from the end of the header, and the tensors cover the data without holes or overlaps. */
#include "models/files/safetensors.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/mem.h"
#include "core/num.h"
#include "text/tokenizer_impl.h" /* zo_utf8_valid */

#define HEADER_MOST_BYTES ((uint64_t)100000000) /* safetensors' own limit */
#define NAME_MOST_BYTES 512
#define SHARDS_MOST 4096

static const struct {
    const char *name;
    int bits;
} dtypes[ZO_DTYPES] = {
#define X(id, name, bits) {name, bits},
    ZO_DTYPE_LIST(X)
#undef X
};

const char *zo_dtype_name(zo_dtype dtype)
{
    return dtypes[dtype].name;
}

typedef struct span {
    uint64_t begin, end;
    const char *name;
} span;

static int span_order(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) {
        return x->begin < y->begin ? -1 : 1;
    }
    return x->end < y->end ? -1 : x->end > y->end;
}

static int tensor_order(const void *a, const void *b)
{
    return strcmp(((const zo_tensor *)a)->name, ((const zo_tensor *)b)->name);
}

/* A whole number in 0..2^53, the range in which a JSON number is exact. */
static bool whole_number(const cJSON *item, uint64_t *value)
{
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 9007199254740992.0) ||
        item->valuedouble != floor(item->valuedouble)) {
        return false;
    }
    *value = (uint64_t)item->valuedouble;
    return true;
}

/* One entry of the header into *t (name borrowed from the JSON) and *at. */
static zo_status parse_entry(const cJSON *item, uint64_t data_bytes, const char *path, zo_tensor *t, span *at,
                             zo_err *err)
{
    const char *name = item->string;
    if (name == NULL || name[0] == '\0' || strlen(name) > NAME_MOST_BYTES) {
        return zo_fail(err, ZO_EINPUT, "%s: a tensor's name in the header has %zu bytes; expected 1 to %d", path,
                       name != NULL ? strlen(name) : 0, NAME_MOST_BYTES);
    }
    const char *twice = zo_json_double_key(item);
    if (twice != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: the header's entry of tensor \"%.100s\" has the key \"%.40s\" twice; the file is damaged, fetch it again",
                       path, name, twice);
    }
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(item, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(item, "data_offsets");
    if (!cJSON_IsString(dtype) || !cJSON_IsArray(shape) || !cJSON_IsArray(offsets) ||
        cJSON_GetArraySize(offsets) != 2) {
        return zo_fail(err, ZO_EINPUT,
                       "%s: the header's entry of tensor \"%.100s\" lacks a proper dtype, shape or data_offsets; "
                       "the file is damaged, fetch it again",
                       path, name);
    }
    *t = (zo_tensor){.name = item->string, .count = 1};
    for (t->dtype = 0; t->dtype < ZO_DTYPES && strcmp(dtypes[t->dtype].name, dtype->valuestring) != 0;
         t->dtype++) {
    }
    if (t->dtype == ZO_DTYPES) {
        return zo_fail(err, ZO_EUNSUPPORTED,
                       "%s: tensor \"%.100s\" has dtype \"%.20s\", which is not known; expected F32, F16 or BF16",
                       path, name, dtype->valuestring);
    }
    for (const cJSON *dim = shape->child; dim != NULL; dim = dim->next) {
        uint64_t value;
        if (t->dims == ZO_TENSOR_DIMS || !whole_number(dim, &value)) {
            return zo_fail(err, ZO_EINPUT,
                           "%s: tensor \"%.100s\" has a shape that is not a list of at most %d sizes; the file is "
                           "damaged, fetch it again",
                           path, name, ZO_TENSOR_DIMS);
        }
        t->shape[t->dims++] = (int64_t)value;
        if (__builtin_mul_overflow(t->count, (int64_t)value, &t->count) || t->count > INT64_MAX / 64) {
            return zo_fail(err, ZO_EINPUT,
                           "%s: the sizes of tensor \"%.100s\" multiply to more than a file can hold; the file is "
                           "damaged, fetch it again",
                           path, name);
        }
    }
    if (!whole_number(offsets->child, &at->begin) || !whole_number(offsets->child->next, &at->end) ||
        at->begin > at->end) {
        return zo_fail(
            err, ZO_EINPUT,
            "%s: tensor \"%.100s\" has data_offsets that are not two whole numbers in order; the file is "
            "damaged, fetch it again",
            path, name);
    }
    uint64_t bits = (uint64_t)t->count * (uint64_t)dtypes[t->dtype].bits, expected = bits / 8;
    if (bits % 8 != 0) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%.100s\" has %lld numbers of %s, which do not end at a byte; the file is damaged, fetch it again",
                       path, name, (long long)t->count, dtypes[t->dtype].name);
    }
    if (at->end - at->begin != expected) {
        return zo_fail(
            err, ZO_EINPUT,
            "%s: tensor \"%.100s\" has %llu bytes by its offsets and %llu by its shape and dtype %s; the file "
            "is damaged, fetch it again",
            path, name, (unsigned long long)(at->end - at->begin), (unsigned long long)expected,
            dtypes[t->dtype].name);
    }
    if (at->end > data_bytes) {
        return zo_fail(
            err, ZO_EINPUT,
            "%s: tensor \"%.100s\" ends at byte %llu of the data, but the file holds only %llu: it was cut "
            "off, fetch it again",
            path, name, (unsigned long long)at->end, (unsigned long long)data_bytes);
    }
    at->name = t->name;
    return ZO_OK;
}

/* Of text to text, or null: nothing here reads it, but safetensors' reader is as strict. */
static bool is_metadata(const cJSON *item)
{
    const cJSON *value;
    if (!cJSON_IsObject(item)) {
        return cJSON_IsNull(item);
    }
    cJSON_ArrayForEach(value, item)
    {
        if (!cJSON_IsString(value)) {
            return false;
        }
    }
    return true;
}

/* All entries of a parsed header appended to *tensors; the caller closes *tensors after an error. */
static zo_status parse_header(zo_tensors *tensors, const cJSON *json, const uint8_t *data, uint64_t data_bytes,
                              int file, const char *path, span *spans, zo_err *err)
{
    int n = 0;
    for (const cJSON *item = json->child; item != NULL; item = item->next) {
        if (item->string != NULL && strcmp(item->string, "__metadata__") == 0) {
            if (!is_metadata(item)) {
                return zo_fail(err, ZO_EINPUT, "%s: the header's __metadata__ is not an object of texts; the file is damaged, fetch it again", path);
            }
            continue;
        }
        zo_tensor t;
        zo_status status = parse_entry(item, data_bytes, path, &t, &spans[n], err);
        if (status != ZO_OK) {
            return status;
        }
        t.data = data + spans[n].begin;
        t.file = file;
        t.name = zo_strdup(ZO_TAG_DATA, t.name);
        tensors->tensor[tensors->n++] = t;
        n++;
    }
    qsort(spans, (size_t)n, sizeof *spans, span_order);
    uint64_t at = 0;
    for (int i = 0; i < n; i++) {
        if (spans[i].begin != at) {
            return zo_fail(
                err, ZO_EINPUT,
                "%s: the data of tensor \"%.100s\" begins at byte %llu where byte %llu was expected (a hole or "
                "an overlap); the file is damaged, fetch it again",
                path, spans[i].name, (unsigned long long)spans[i].begin, (unsigned long long)at);
        }
        at = spans[i].end;
    }
    if (at != data_bytes) {
        return zo_fail(
            err, ZO_EINPUT,
            "%s: the header accounts for %llu bytes of data and the file has %llu; the file is damaged, "
            "fetch it again",
            path, (unsigned long long)at, (unsigned long long)data_bytes);
    }
    return ZO_OK;
}

/* Append the tensors of one file's bytes. */
static zo_status parse_file(zo_tensors *tensors, const uint8_t *data, size_t bytes, int file, const char *path,
                            zo_err *err)
{
    if (bytes < 8) {
        return zo_fail(err, ZO_EINPUT, "%s: has %zu bytes, less than a safetensors header; fetch it again", path,
                       bytes);
    }
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--) {
        header_bytes = header_bytes << 8 | data[i];
    }
    if (header_bytes > HEADER_MOST_BYTES || header_bytes > bytes - 8) {
        bool pointer = bytes > 12 && memcmp(data, "version https://git-lfs", bytes < 23 ? bytes : 23) == 0;
        return zo_fail(err, ZO_EINPUT, "%s: %s", path,
                       pointer ? "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"
                               : "the first 8 bytes give a header longer than the file; it is no safetensors file "
                                 "or was cut off, fetch it again");
    }
    char *text = zo_alloc(ZO_HOST, ZO_TAG_DATA, header_bytes + 1); /* with a NUL behind it */
    memcpy(text, data + 8, header_bytes);
    bool plain = text[0] != '\xef' && zo_utf8_valid(text, (int64_t)header_bytes); /* no byte order mark, which cJSON passes over */
    cJSON *json = NULL;
    if (plain) {
        zo_json_parse(text, header_bytes, path, &json, NULL);
    }
    zo_free(text);
    if (!cJSON_IsObject(json)) {
        cJSON_Delete(json);
        return zo_fail(err, ZO_EINPUT, "%s: the header is not a JSON object; the file is damaged, fetch it again",
                       path);
    }
    int entries = cJSON_GetArraySize(json);
    if (tensors->n + entries > tensors->room) {
        tensors->room = tensors->n + entries;
        tensors->tensor = zo_realloc(tensors->tensor, ZO_HOST, ZO_TAG_DATA,
                                     (size_t)tensors->room * sizeof *tensors->tensor);
    }
    span *spans = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)entries * sizeof *spans);
    zo_status status = parse_header(tensors, json, data + 8 + header_bytes, bytes - 8 - header_bytes, file, path,
                                    spans, err);
    zo_free(spans);
    cJSON_Delete(json);
    return status;
}

/* Sort and refuse double names. */
static zo_status sort_names(zo_tensors *tensors, const char *path, zo_err *err)
{
    if (tensors->n > 1) {
        qsort(tensors->tensor, (size_t)tensors->n, sizeof *tensors->tensor, tensor_order);
    }
    for (int i = 1; i < tensors->n; i++) {
        if (strcmp(tensors->tensor[i - 1].name, tensors->tensor[i].name) == 0) {
            return zo_fail(err, ZO_EINPUT, "%s: tensor \"%.100s\" occurs twice; expected each name once", path,
                           tensors->tensor[i].name);
        }
    }
    return ZO_OK;
}

static void add_file(zo_tensors *tensors, const char *path)
{
    int n = tensors->files + 1;
    tensors->map = zo_realloc(tensors->map, ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *tensors->map);
    tensors->path = zo_realloc(tensors->path, ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *tensors->path);
    tensors->path[tensors->files] = zo_strdup(ZO_TAG_DATA, path);
    tensors->files = n;
}

zo_status zo_tensors_parse(zo_tensors *tensors, const uint8_t *data, size_t bytes, const char *path, zo_err *err)
{
    *tensors = (zo_tensors){0};
    add_file(tensors, path);
    zo_status status = parse_file(tensors, data, bytes, 0, path, err);
    if (status == ZO_OK) {
        status = sort_names(tensors, path, err);
    }
    if (status != ZO_OK) {
        zo_tensors_close(tensors);
    }
    return status;
}

static zo_status open_file(zo_tensors *tensors, const char *path, zo_err *err)
{
    add_file(tensors, path);
    int file = tensors->files - 1;
    zo_status status = zo_map_open(&tensors->map[file], path, err);
    if (status != ZO_OK) {
        return status;
    }
    return parse_file(tensors, tensors->map[file].data, tensors->map[file].bytes, file, path, err);
}

/* Every file that the index names, once; then every name of the index must be in the file that it says. */
static zo_status open_shards(zo_tensors *tensors, const char *folder, const char *index, const cJSON *json,
                             zo_err *err)
{
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    if (!cJSON_IsObject(names) || names->child == NULL) {
        return zo_fail(err, ZO_EINPUT,
                       "%s: key \"weight_map\" is missing or empty; expected an object from tensor names to files",
                       index);
    }
    const char *twice = zo_json_double_key(names);
    if (twice != NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%.100s\" stands there twice; expected each name once", index, twice);
    }
    char path[4096];
    for (const cJSON *item = names->child; item != NULL; item = item->next) {
        const char *file = cJSON_IsString(item) ? item->valuestring : "";
        if (file[0] == '\0' || strchr(file, '/') != NULL || strlen(file) > 255) {
            return zo_fail(
                err, ZO_EINPUT,
                "%s: tensor \"%.100s\" is said to be in \"%.100s\"; expected the name of a file in the same "
                "folder",
                index, item->string, file);
        }
        zo_path_join(path, sizeof path, folder, file);
        int known = 0;
        while (known < tensors->files && strcmp(tensors->path[known], path) != 0) {
            known++;
        }
        if (known < tensors->files) {
            continue;
        }
        if (tensors->files == SHARDS_MOST) {
            return zo_fail(err, ZO_EINPUT, "%s: names more than %d files; expected the shards of one model", index,
                           SHARDS_MOST);
        }
        if (!zo_path_exists(path)) {
            return zo_fail(err, ZO_EIO,
                           "%s: names the shard \"%.100s\", which is not in the folder; fetch the missing file",
                           index, file);
        }
        zo_status status = open_file(tensors, path, err);
        if (status != ZO_OK) {
            return status;
        }
    }
    zo_status status = sort_names(tensors, index, err);
    for (const cJSON *item = names->child; item != NULL && status == ZO_OK; item = item->next) {
        const zo_tensor *t = zo_tensors_find(tensors, item->string);
        zo_path_join(path, sizeof path, folder, item->valuestring);
        if (t == NULL || strcmp(tensors->path[t->file], path) != 0) {
            status = zo_fail(
                err, ZO_EINPUT,
                "%s: tensor \"%.100s\" is not in the file \"%.100s\" that the index names; index and shards "
                "are of different models, fetch them again",
                index, item->string, item->valuestring);
        }
    }
    return status;
}

/* What a folder has in place of weights that are read. */
static const struct { const char *file, *says; } others[] = {
    {"pytorch_model.bin", "it has pytorch_model.bin, so save it again with transformers' save_pretrained (safe_serialization=True)"},
    {"pytorch_model.bin.index.json", "it has pytorch_model.bin in pieces, so save it again with transformers' save_pretrained "
                                     "(safe_serialization=True)"},
    {"adapter_model.safetensors", "it has adapter_model.safetensors, a PEFT adapter, so merge that into its base model with peft's "
                                  "merge_and_unload and save the result"},
    {"adapter_model.bin", "it has adapter_model.bin, a PEFT adapter, so merge that into its base model with peft's merge_and_unload and save the "
                          "result"},
    {"tf_model.h5", "it has TensorFlow's tf_model.h5, so load that with transformers (from_tf=True) and save it again"},
    {"flax_model.msgpack", "it has Flax's flax_model.msgpack, so load that with transformers (from_flax=True) and save it again"},
};

static zo_status fail_no_weights(const char *folder, zo_err *err)
{
    const char *says = "fetch the weights, or say \"init\": \"random\" for random ones";
    for (size_t i = sizeof others / sizeof *others; i-- > 0;) {
        char path[4096];
        says = zo_path_exists(zo_path_join(path, sizeof path, folder, others[i].file)) ? others[i].says : says;
    }
    return zo_fail(err, ZO_EIO, "%s: has neither model.safetensors nor model.safetensors.index.json; %s", folder, says);
}

zo_status zo_tensors_open(zo_tensors *tensors, const char *folder, zo_err *err)
{
    *tensors = (zo_tensors){0};
    char path[4096];
    zo_path_join(path, sizeof path, folder, "model.safetensors");
    zo_status status;
    if (zo_path_exists(path)) {
        status = open_file(tensors, path, err);
        if (status == ZO_OK) {
            status = sort_names(tensors, path, err);
        }
    } else {
        zo_path_join(path, sizeof path, folder, "model.safetensors.index.json");
        if (zo_path_exists(path)) {
            cJSON *json;
            status = zo_json_read(path, &json, err);
            if (status == ZO_OK) {
                status = open_shards(tensors, folder, path, json, err);
                cJSON_Delete(json);
            }
        } else {
            status = fail_no_weights(folder, err);
        }
    }
    if (status != ZO_OK) {
        zo_tensors_close(tensors);
    }
    return status;
}

/* ---- fingerprint ---------------------------------------------------------------------------------------------------------- */

#define PRINT_PIECES 16
#define PRINT_PIECE_BYTES 4096

/* A whole small file (`whole`), or name, size, header and pieces of a weights file. */
static zo_status add_print(uint64_t *print, const char *folder, const char *name, bool whole, zo_err *err)
{
    char path[4096];
    zo_map map;
    zo_status status = zo_map_open(&map, zo_path_join(path, sizeof path, folder, name), err);
    if (status != ZO_OK) {
        return status;
    }
    uint64_t bytes = map.bytes, head = 0;
    *print = zo_fnv1a(*print, name, strlen(name) + 1);
    *print = zo_fnv1a(*print, &bytes, sizeof bytes);
    for (int i = 0; i < 8 && bytes >= 8; i++) {
        head |= (uint64_t)map.data[i] << (8 * i);
    }
    head = head <= HEADER_MOST_BYTES ? head + 8 : 8;
    head = whole || head > bytes ? bytes : head;
    *print = zo_fnv1a(*print, map.data, (size_t)head);
    for (uint64_t i = 0; i < PRINT_PIECES && head < bytes; i++) {
        uint64_t at = head + (bytes - head) / PRINT_PIECES * i, left = bytes - at;
        *print = zo_fnv1a(*print, map.data + at, (size_t)(left < PRINT_PIECE_BYTES ? left : PRINT_PIECE_BYTES));
    }
    zo_map_close(&map);
    return ZO_OK;
}

static bool is_there(const char *folder, const char *name)
{
    char path[4096];
    return zo_path_exists(zo_path_join(path, sizeof path, folder, name));
}

static zo_status add_shard_prints(uint64_t *print, const char *folder, zo_err *err)
{
    char path[4096];
    cJSON *json;
    zo_status status = zo_json_read(zo_path_join(path, sizeof path, folder, "model.safetensors.index.json"), &json, err);
    if (status != ZO_OK) {
        return status;
    }
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    const char *last = "";
    for (const cJSON *item = names != NULL ? names->child : NULL; item != NULL && status == ZO_OK; item = item->next) {
        const char *file = cJSON_IsString(item) ? item->valuestring : "";
        if (strcmp(file, last) != 0 && strchr(file, '/') == NULL && is_there(folder, file)) { /* what is wrong, opening it says */
            status = add_print(print, folder, file, false, err);
            last = file;
        }
    }
    cJSON_Delete(json);
    return status;
}

zo_status zo_model_fingerprint(const char *folder, uint64_t *print, zo_err *err)
{
    *print = ZO_FNV_START;
    zo_status status = add_print(print, folder, "config.json", true, err);
    if (status == ZO_OK && is_there(folder, "model.safetensors")) {
        status = add_print(print, folder, "model.safetensors", false, err);
    } else if (status == ZO_OK && is_there(folder, "model.safetensors.index.json")) {
        status = add_print(print, folder, "model.safetensors.index.json", true, err);
        status = status == ZO_OK ? add_shard_prints(print, folder, err) : status;
    }
    return status;
}

zo_status zo_adapter_fingerprint(const char *folder, uint64_t *print, zo_err *err)
{
    static const char *const file[] = {"prefix.safetensors", "adapter_config.json", "adapter_model.safetensors"};
    zo_status status = ZO_OK;
    for (size_t i = 0; i < sizeof file / sizeof *file && status == ZO_OK; i++) {
        status = is_there(folder, file[i]) ? add_print(print, folder, file[i], true, err) : ZO_OK; /* a step of LeZO moves a part of it */
    }
    return status;
}

void zo_tensors_close(zo_tensors *tensors)
{
    for (int i = 0; i < tensors->n; i++) {
        zo_free(tensors->tensor[i].name);
    }
    for (int i = 0; i < tensors->files; i++) {
        if (tensors->map[i].data != NULL) {
            zo_map_close(&tensors->map[i]);
        }
        zo_free(tensors->path[i]);
    }
    zo_free(tensors->tensor);
    zo_free(tensors->map);
    zo_free(tensors->path);
    *tensors = (zo_tensors){0};
}

const zo_tensor *zo_tensors_find(const zo_tensors *tensors, const char *name)
{
    int low = 0, high = tensors->n;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(tensors->tensor[middle].name, name);
        if (order == 0) {
            return &tensors->tensor[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

void zo_tensor_floats(const zo_tensor *tensor, int64_t first, int64_t n, float *out)
{
    ZO_CHECK(first >= 0 && n >= 0 && first + n <= tensor->count,
             "elements %lld to %lld of tensor %s, which has %lld", (long long)first, (long long)(first + n),
             tensor->name, (long long)tensor->count);
    ZO_CHECK(tensor->dtype == ZO_DTYPE_F32 || tensor->dtype == ZO_DTYPE_F16 || tensor->dtype == ZO_DTYPE_BF16,
             "tensor %s of dtype %s read as floats", tensor->name, dtypes[tensor->dtype].name);
    if (tensor->dtype == ZO_DTYPE_F32) {
        memcpy(out, tensor->data + first * 4, (size_t)n * 4);
        return;
    }
    const uint8_t *from = tensor->data + first * 2;
    bool brain = tensor->dtype == ZO_DTYPE_BF16;
    for (int64_t i = 0; i < n; i++) {
        uint16_t half = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
        out[i] = brain ? zo_bf16_to(half) : zo_f16_to(half);
    }
}

void zo_tensors_drop(const zo_tensors *tensors, const zo_tensor *tensor, int64_t first, int64_t n)
{
    if (tensors->map[tensor->file].bytes == 0) {
        return; /* the caller's memory */
    }
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), size = (uintptr_t)dtypes[tensor->dtype].bits / 8;
    uintptr_t begin = (uintptr_t)tensor->data + (uintptr_t)first * size, end = begin + (uintptr_t)n * size;
    begin = (uintptr_t)zo_round_up(begin, page);
    end = end / page * page;
    if (begin < end) {
        madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

/* The header as JSON text padded with spaces to a multiple of 8; cJSON_free it. */
static char *header_text(const zo_tensor_out *entry, int n, size_t *bytes)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *meta = cJSON_AddObjectToObject(json, "__metadata__");
    cJSON_AddStringToObject(meta, "format", "pt");
    double at = 0;
    for (int i = 0; i < n; i++) {
        cJSON *item = cJSON_AddObjectToObject(json, entry[i].name);
        cJSON_AddStringToObject(item, "dtype", "F32");
        cJSON *shape = cJSON_AddArrayToObject(item, "shape"),
              *offsets = cJSON_AddArrayToObject(item, "data_offsets");
        double size = 4;
        for (int d = 0; d < entry[i].dims; d++) {
            cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)entry[i].shape[d]));
            size *= (double)entry[i].shape[d];
        }
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber(at));
        cJSON_AddItemToArray(offsets, cJSON_CreateNumber(at += size));
    }
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    *bytes = strlen(text);
    return text;
}

zo_status zo_tensors_write(const char *path, const zo_tensor_out *entry, int n,
                           void (*fill)(const zo_tensor_out *entry, int64_t first, int64_t count, float *out,
                                        void *context),
                           void *context, zo_err *err)
{
    enum { PIECE = 1 << 16 };
    char part[4096];
    ZO_CHECK(strlen(path) + 32 < sizeof part, "the path %s is too long", path);
    snprintf(part, sizeof part, "%s.part.%ld", path, (long)getpid());
    FILE *file = fopen(part, "wb");
    if (file == NULL) {
        return zo_fail(err, ZO_EIO, "%s: cannot be written: %s", part, strerror(errno));
    }
    size_t text_bytes;
    char *text = header_text(entry, n, &text_bytes);
    size_t padded = zo_round_up(text_bytes, 8);
    uint8_t length[8];
    for (int i = 0; i < 8; i++) {
        length[i] = (uint8_t)(padded >> 8 * i);
    }
    bool good = fwrite(length, 8, 1, file) == 1 && fwrite(text, text_bytes, 1, file) == 1 &&
                fwrite("        ", 1, padded - text_bytes, file) == padded - text_bytes;
    cJSON_free(text);
    float *piece = zo_alloc(ZO_HOST, ZO_TAG_DATA, PIECE * sizeof *piece);
    for (int i = 0; i < n && good; i++) {
        int64_t count = 1;
        for (int d = 0; d < entry[i].dims; d++) {
            count *= entry[i].shape[d];
        }
        for (int64_t at = 0; at < count && good; at += PIECE) {
            int64_t here = count - at < PIECE ? count - at : PIECE;
            fill(&entry[i], at, here, piece, context);
            good = fwrite(piece, sizeof *piece, (size_t)here, file) == (size_t)here;
        }
    }
    zo_free(piece);
    int cause = errno;
    good = fclose(file) == 0 && good;
    if (good && rename(part, path) == 0) {
        return ZO_OK;
    }
    cause = good ? errno : cause;
    remove(part);
    return zo_fail(err, ZO_EIO, "%s: cannot be written: %s", path, strerror(cause));
}
