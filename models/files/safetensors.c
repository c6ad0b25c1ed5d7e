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
#include <unistd.h>

#include "core/conf.h"
#include "core/mem.h"
#include "core/num.h"
#include "text/tokenizer_impl.h" /* zo_utf8_valid */

#define NAME_MOST_BYTES ZO_TENSOR_NAME_BYTES

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
    for (t->dtype = 0; t->dtype < ZO_DTYPES && strcmp(zo_dtype_name(t->dtype), dtype->valuestring) != 0;
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
    uint64_t bits = (uint64_t)t->count * (uint64_t)zo_dtype_bits(t->dtype), expected = bits / 8;
    if (bits % 8 != 0) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%.100s\" has %lld numbers of %s, which do not end at a byte; the file is damaged, fetch it again",
                       path, name, (long long)t->count, zo_dtype_name(t->dtype));
    }
    if (at->end - at->begin != expected) {
        return zo_fail(
            err, ZO_EINPUT,
            "%s: tensor \"%.100s\" has %llu bytes by its offsets and %llu by its shape and dtype %s; the file "
            "is damaged, fetch it again",
            path, name, (unsigned long long)(at->end - at->begin), (unsigned long long)expected,
            zo_dtype_name(t->dtype));
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
        zo_tensors_add(tensors, &t);
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

zo_status zo_safetensors_read(zo_tensors *tensors, const uint8_t *data, size_t bytes, int file, const char *path, zo_err *err)
{
    if (bytes < 8) {
        return zo_fail(err, ZO_EINPUT, "%s: has %zu bytes, less than a safetensors header; fetch it again", path,
                       bytes);
    }
    uint64_t header_bytes = 0;
    for (int i = 7; i >= 0; i--) {
        header_bytes = header_bytes << 8 | data[i];
    }
    if (header_bytes > ZO_SAFETENSORS_HEADER_MOST || header_bytes > bytes - 8) {
        return zo_fail(err, ZO_EINPUT, "%s: %s", path,
                       zo_is_lfs_pointer(data, bytes) ? ZO_LFS_POINTER_SAYS
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
    span *spans = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)entries * sizeof *spans);
    zo_status status = parse_header(tensors, json, data + 8 + header_bytes, bytes - 8 - header_bytes, file, path,
                                    spans, err);
    zo_free(spans);
    cJSON_Delete(json);
    return status;
}

zo_status zo_tensors_parse(zo_tensors *tensors, const uint8_t *data, size_t bytes, const char *path, zo_err *err)
{
    return zo_tensors_of(tensors, zo_safetensors_read, data, bytes, path, err);
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
