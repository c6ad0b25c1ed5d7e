/* tensors.c: see tensors.h. Which files of a folder hold its weights, and what every format has in common. */
#include "models/files/tensors.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/mem.h"
#include "core/num.h"
#include "models/files/safetensors.h"
#include "models/files/torch_file.h"
#include "models/files/trained.h"

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

int zo_dtype_bits(zo_dtype dtype)
{
    return dtypes[dtype].bits;
}

static int tensor_order(const void *a, const void *b)
{
    return strcmp(((const zo_tensor *)a)->name, ((const zo_tensor *)b)->name);
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

void zo_tensors_add(zo_tensors *tensors, const zo_tensor *tensor)
{
    if (tensors->n == tensors->room) {
        tensors->room = tensors->room > 0 ? 2 * tensors->room : 64;
        tensors->tensor = zo_realloc(tensors->tensor, ZO_HOST, ZO_TAG_DATA, (size_t)tensors->room * sizeof *tensors->tensor);
    }
    tensors->tensor[tensors->n] = *tensor;
    tensors->tensor[tensors->n++].name = zo_strdup(ZO_TAG_DATA, tensor->name);
}

bool zo_is_lfs_pointer(const uint8_t *data, size_t bytes)
{
    return bytes > 12 && memcmp(data, "version https://git-lfs", bytes < 23 ? bytes : 23) == 0;
}

zo_status zo_tensors_of(zo_tensors *tensors, zo_tensors_reader reader, const uint8_t *data, size_t bytes, const char *path, zo_err *err)
{
    *tensors = (zo_tensors){0};
    add_file(tensors, path);
    zo_status status = reader(tensors, data, bytes, 0, path, err);
    if (status == ZO_OK) {
        status = sort_names(tensors, path, err);
    }
    if (status != ZO_OK) {
        zo_tensors_close(tensors);
    }
    return status;
}

static zo_status open_file(zo_tensors *tensors, zo_tensors_reader reader, const char *path, zo_err *err)
{
    add_file(tensors, path);
    int file = tensors->files - 1;
    zo_status status = zo_map_open(&tensors->map[file], path, err);
    if (status != ZO_OK) {
        return status;
    }
    return reader(tensors, tensors->map[file].data, tensors->map[file].bytes, file, path, err);
}

/* Every file that the index names, once; then every name of the index must be in the file that it says. */
static zo_status open_shards(zo_tensors *tensors, zo_tensors_reader reader, const char *folder, const char *index, const cJSON *json, zo_err *err)
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
        zo_status status = open_file(tensors, reader, path, err);
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

/* The formats, in the order in which they are looked for (transformers' own). */
static const struct {
    zo_tensors_format name;
    zo_tensors_reader read;
    bool ends; /* names stand at the end of a file, not at its beginning */
} formats[] = {{{"model.safetensors", "model.safetensors.index.json", "model-", ".safetensors"}, zo_safetensors_read, false},
               {{"pytorch_model.bin", "pytorch_model.bin.index.json", "pytorch_model-", ".bin"}, zo_torch_read, true}};
#define FORMATS (sizeof formats / sizeof *formats)

zo_tensors_format zo_tensors_format_at(int i)
{
    return i < (int)FORMATS ? formats[i].name : (zo_tensors_format){NULL, NULL, NULL, NULL};
}

/* What a folder has in place of weights that are read. */
static const struct {
    const char *file;
    bool weights;
    const char *says;
} others[] = {
    {"adapter_model.safetensors", false, "it has adapter_model.safetensors, a PEFT adapter, so merge that into its base model with peft's "
                                         "merge_and_unload and save the result"},
    {"adapter_model.bin", false, "it has adapter_model.bin, a PEFT adapter, so merge that into its base model with peft's merge_and_unload and save the "
                                 "result"},
    {"tf_model.h5", true, "it has TensorFlow's tf_model.h5, so load that with transformers (from_tf=True) and save it again"},
    {"flax_model.msgpack", true, "it has Flax's flax_model.msgpack, so load that with transformers (from_flax=True) and save it again"},
};

static bool is_there(const char *folder, const char *name)
{
    char path[4096];
    return zo_path_exists(zo_path_join(path, sizeof path, folder, name));
}

/* One of several files of weights, for a folder that lacks their index: its name, and its format or -1. */
static int find_shard(const char *folder, char name[256])
{
    DIR *dir = opendir(folder);
    int found = -1;
    for (struct dirent *e; dir != NULL && found < 0 && (e = readdir(dir)) != NULL;) {
        size_t length = strlen(e->d_name);
        for (int i = 0; i < (int)FORMATS && found < 0; i++) {
            size_t start = strlen(formats[i].name.start), end = strlen(formats[i].name.end);
            if (length > start + end && strncmp(e->d_name, formats[i].name.start, start) == 0 && strcmp(e->d_name + length - end, formats[i].name.end) == 0) {
                snprintf(name, 256, "%s", e->d_name);
                found = i;
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return found;
}

bool zo_tensors_there(const char *folder)
{
    char name[256];
    bool any = find_shard(folder, name) >= 0;
    for (size_t i = 0; i < FORMATS; i++) {
        any = any || is_there(folder, formats[i].name.single) || is_there(folder, formats[i].name.index);
    }
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        any = any || (others[i].weights && is_there(folder, others[i].file));
    }
    return any;
}

static zo_status fail_no_weights(const char *folder, zo_err *err)
{
    char shard[256];
    int format = find_shard(folder, shard);
    if (format >= 0) {
        return zo_fail(err, ZO_EIO, "%s: has %s, but not %s, which says what is in which file; fetch that too", folder, shard, formats[format].name.index);
    }
    const char *says = "fetch the weights, or say \"init\": \"random\" for random ones";
    for (size_t i = sizeof others / sizeof *others; i-- > 0;) {
        says = is_there(folder, others[i].file) ? others[i].says : says;
    }
    return zo_fail(err, ZO_EIO, "%s: has neither model.safetensors nor pytorch_model.bin, nor the index of either in pieces; %s", folder, says);
}

zo_status zo_tensors_open(zo_tensors *tensors, const char *folder, zo_err *err)
{
    *tensors = (zo_tensors){0};
    char path[4096];
    size_t i = 0;
    while (i < FORMATS && !is_there(folder, formats[i].name.single) && !is_there(folder, formats[i].name.index)) {
        i++;
    }
    if (i == FORMATS) {
        return fail_no_weights(folder, err);
    }
    zo_status status;
    if (is_there(folder, formats[i].name.single)) {
        zo_path_join(path, sizeof path, folder, formats[i].name.single);
        status = open_file(tensors, formats[i].read, path, err);
        if (status == ZO_OK) {
            status = sort_names(tensors, path, err);
        }
    } else {
        cJSON *json;
        zo_path_join(path, sizeof path, folder, formats[i].name.index);
        status = zo_json_read(path, &json, err);
        if (status == ZO_OK) {
            status = open_shards(tensors, formats[i].read, folder, path, json, err);
            cJSON_Delete(json);
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
#define PRINT_END_BYTES ((uint64_t)1 << 16)

typedef enum print_of { PRINT_WHOLE, PRINT_HEADER, PRINT_ENDS } print_of;

/* Name and size, and of the bytes: all, those of a small file; or a weights file's header, or its first and last bytes; and pieces of the rest. */
static zo_status add_print(uint64_t *print, const char *folder, const char *name, print_of of, zo_err *err)
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
    head = head <= ZO_SAFETENSORS_HEADER_MOST ? head + 8 : 8;
    head = of == PRINT_ENDS ? PRINT_END_BYTES : head;
    head = of == PRINT_WHOLE || head > bytes ? bytes : head;
    *print = zo_fnv1a(*print, map.data, (size_t)head);
    if (of == PRINT_ENDS && head < bytes) {
        uint64_t tail = bytes - head < PRINT_END_BYTES ? bytes - head : PRINT_END_BYTES;
        *print = zo_fnv1a(*print, map.data + bytes - tail, (size_t)tail);
    }
    for (uint64_t i = 0; i < PRINT_PIECES && head < bytes; i++) {
        uint64_t at = head + (bytes - head) / PRINT_PIECES * i, left = bytes - at;
        *print = zo_fnv1a(*print, map.data + at, (size_t)(left < PRINT_PIECE_BYTES ? left : PRINT_PIECE_BYTES));
    }
    zo_map_close(&map);
    return ZO_OK;
}

static zo_status add_shard_prints(uint64_t *print, const char *folder, const char *index, print_of of, zo_err *err)
{
    char path[4096];
    cJSON *json;
    zo_status status = zo_json_read(zo_path_join(path, sizeof path, folder, index), &json, err);
    if (status != ZO_OK) {
        return status;
    }
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(json, "weight_map");
    const char *last = "";
    for (const cJSON *item = names != NULL ? names->child : NULL; item != NULL && status == ZO_OK; item = item->next) {
        const char *file = cJSON_IsString(item) ? item->valuestring : "";
        if (strcmp(file, last) != 0 && strchr(file, '/') == NULL && is_there(folder, file)) { /* what is wrong, opening it says */
            status = add_print(print, folder, file, of, err);
            last = file;
        }
    }
    cJSON_Delete(json);
    return status;
}

zo_status zo_model_fingerprint(const char *folder, uint64_t *print, zo_err *err)
{
    *print = ZO_FNV_START;
    zo_status status = add_print(print, folder, "config.json", PRINT_WHOLE, err);
    for (size_t i = 0; i < FORMATS && status == ZO_OK; i++) {
        print_of of = formats[i].ends ? PRINT_ENDS : PRINT_HEADER;
        if (is_there(folder, formats[i].name.single)) {
            return add_print(print, folder, formats[i].name.single, of, err);
        }
        if (is_there(folder, formats[i].name.index)) {
            status = add_print(print, folder, formats[i].name.index, PRINT_WHOLE, err);
            return status == ZO_OK ? add_shard_prints(print, folder, formats[i].name.index, of, err) : status;
        }
    }
    return status;
}

zo_status zo_adapter_fingerprint(const char *folder, uint64_t *print, zo_err *err)
{
    static const char *const file[] = {ZO_PREFIX_FILE, ZO_SIDE_FILE, "adapter_config.json", "adapter_model.safetensors"};
    zo_status status = ZO_OK;
    for (size_t i = 0; i < sizeof file / sizeof *file && status == ZO_OK; i++) {
        status = is_there(folder, file[i]) ? add_print(print, folder, file[i], PRINT_WHOLE, err) : ZO_OK; /* a step of LeZO moves a part of it */
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

static void plain_floats(zo_dtype dtype, const uint8_t *from, int64_t n, float *out)
{
    if (dtype == ZO_DTYPE_F32) {
        memcpy(out, from, (size_t)n * 4);
        return;
    }
    bool brain = dtype == ZO_DTYPE_BF16;
    for (int64_t i = 0; i < n; i++) {
        uint16_t half = (uint16_t)(from[2 * i] | from[2 * i + 1] << 8);
        out[i] = brain ? zo_bf16_to(half) : zo_f16_to(half);
    }
}

/* Element by element, with the place in each dimension counted like the digits of a number. */
static void strided_floats(const zo_tensor *t, int64_t first, int64_t n, float *out)
{
    int64_t place[ZO_TENSOR_DIMS], at = 0, size = zo_dtype_bits(t->dtype) / 8;
    if (n == 0) {
        return;
    }
    for (int d = t->dims - 1; d >= 0; d--) {
        place[d] = first % t->shape[d];
        first /= t->shape[d];
        at += place[d] * t->stride[d];
    }
    for (int64_t i = 0; i < n; i++) {
        plain_floats(t->dtype, t->data + at * size, 1, out + i);
        for (int d = t->dims - 1; d >= 0; d--) {
            at += t->stride[d];
            if (++place[d] < t->shape[d]) {
                break;
            }
            at -= place[d] * t->stride[d];
            place[d] = 0;
        }
    }
}

void zo_tensor_floats(const zo_tensor *tensor, int64_t first, int64_t n, float *out)
{
    ZO_CHECK(first >= 0 && n >= 0 && first + n <= tensor->count,
             "elements %lld to %lld of tensor %s, which has %lld", (long long)first, (long long)(first + n),
             tensor->name, (long long)tensor->count);
    ZO_CHECK(tensor->dtype == ZO_DTYPE_F32 || tensor->dtype == ZO_DTYPE_F16 || tensor->dtype == ZO_DTYPE_BF16,
             "tensor %s of dtype %s read as floats", tensor->name, dtypes[tensor->dtype].name);
    if (tensor->strided) {
        strided_floats(tensor, first, n, out);
    } else {
        plain_floats(tensor->dtype, tensor->data + first * (zo_dtype_bits(tensor->dtype) / 8), n, out);
    }
}

void zo_tensors_drop(const zo_tensors *tensors, const zo_tensor *tensor, int64_t first, int64_t n)
{
    if (tensors->map[tensor->file].bytes == 0) {
        return; /* the caller's memory */
    }
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), size = (uintptr_t)dtypes[tensor->dtype].bits / 8;
    if (tensor->strided) {
        if (first + n < tensor->count) {
            return; /* its elements lie anywhere between its first and its last */
        }
        first = 0;
        n = 1;
        for (int d = 0; d < tensor->dims; d++) {
            n += (tensor->shape[d] - 1) * tensor->stride[d];
        }
    }
    uintptr_t begin = (uintptr_t)tensor->data + (uintptr_t)first * size, end = begin + (uintptr_t)n * size;
    begin = (uintptr_t)zo_round_up(begin, page);
    end = end / page * page;
    if (begin < end) {
        madvise((void *)begin, end - begin, MADV_DONTNEED);
    }
}

