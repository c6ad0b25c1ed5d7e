/* safetensors.h: the safetensors file format, read through a memory map and written in a stream. One file, or a
 * folder's model.safetensors, or its shards by model.safetensors.index.json. Nothing in a header is trusted:
 * sizes, offsets, overlaps, holes, types and shapes are checked against each other and against the file before any
 * tensor is handed out. What safetensors' own reader refuses is refused, what it takes is taken, but for a name that stands twice, is empty or
 * has a zero byte, and more than 16 dimensions (tests/golden/safetensors_cases.json). */
#ifndef ZO_MODELS_FILES_SAFETENSORS_H
#define ZO_MODELS_FILES_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "core/err.h"
#include "core/io.h"

#ifdef __cplusplus
extern "C" {
#endif

/* X(enumerator suffix, name in files, bits) */
#define ZO_DTYPE_LIST(X)                                                                                         \
    X(F32, "F32", 32) X(F16, "F16", 16) X(BF16, "BF16", 16) X(F64, "F64", 64) X(BOOL, "BOOL", 8) X(U8, "U8", 8)  \
    X(I8, "I8", 8) X(F8_E5M2, "F8_E5M2", 8) X(F8_E4M3, "F8_E4M3", 8) X(F8_E8M0, "F8_E8M0", 8)                    \
    X(F8_E5M2FNUZ, "F8_E5M2FNUZ", 8) X(F8_E4M3FNUZ, "F8_E4M3FNUZ", 8) X(F6_E2M3, "F6_E2M3", 6)                   \
    X(F6_E3M2, "F6_E3M2", 6) X(F4, "F4", 4) X(I16, "I16", 16) X(U16, "U16", 16) X(I32, "I32", 32) X(U32, "U32", 32) X(I64, "I64", 64) X(U64, "U64", 64) X(C64, "C64", 64)
typedef enum zo_dtype {
#define X(id, name, bits) ZO_DTYPE_##id,
    ZO_DTYPE_LIST(X)
#undef X
    ZO_DTYPES
} zo_dtype;
const char *zo_dtype_name(zo_dtype dtype);

#define ZO_TENSOR_DIMS 16
typedef struct zo_tensor {
    char *name;
    zo_dtype dtype;
    int dims;
    int64_t shape[ZO_TENSOR_DIMS];
    int64_t count; /* product of shape */
    const uint8_t *data; /* in the map; not aligned */
    int file; /* index into zo_tensors.path */
} zo_tensor;

typedef struct zo_tensors {
    int n, room;
    zo_tensor *tensor; /* (n) sorted by name, names unique */
    int files;
    zo_map *map; /* (files) */
    char **path; /* (files) */
} zo_tensors;

/* model.safetensors of a folder, or the shards that its index names. On failure *tensors needs no close. */
zo_status zo_tensors_open(zo_tensors *tensors, const char *folder, zo_err *err);
void zo_tensors_close(zo_tensors *tensors);
/* From the bytes of one file, which must outlive *tensors; `path` stands in messages. */
zo_status zo_tensors_parse(zo_tensors *tensors, const uint8_t *data, size_t bytes, const char *path, zo_err *err);
const zo_tensor *zo_tensors_find(const zo_tensors *tensors, const char *name); /* NULL when absent */
/* Elements [first, first + n) as float; F32, F16 and BF16 only (ZO_CHECKed). */
void zo_tensor_floats(const zo_tensor *tensor, int64_t first, int64_t n, float *out);
/* The pages of these elements may leave this process's memory (they stay in the page cache): what was read once
 * and copied need not count in VmHWM. Reading them again is allowed. Nothing happens where the bytes are not a
 * mapped file. */
void zo_tensors_drop(const zo_tensors *tensors, const zo_tensor *tensor, int64_t first, int64_t n);

/* 64-bit FNV-1a over a model folder: config.json, the index where there is one, and of every weights file its name, size, header and
 * 16 pieces of 4 KB spread over its data. Cheap, so it tells other weights from these, not a single altered number. Without weights
 * (random ones): config.json alone. */
zo_status zo_model_fingerprint(const char *folder, uint64_t *print, zo_err *err);
/* Goes on from *print with the files of an adapter's folder that are there, each whole: prefix.safetensors, adapter_config.json,
 * adapter_model.safetensors. */
zo_status zo_adapter_fingerprint(const char *folder, uint64_t *print, zo_err *err);

/* Writing: F32 tensors. `fill` is called for each entry in turn with pieces [first, first + n) in order. The file
 * appears under its name only when it is whole. */
typedef struct zo_tensor_out {
    const char *name;
    int dims;
    int64_t shape[ZO_TENSOR_DIMS];
    const void *from;
} zo_tensor_out;
zo_status zo_tensors_write(const char *path, const zo_tensor_out *entry, int n,
                           void (*fill)(const zo_tensor_out *entry, int64_t first, int64_t count, float *out,
                                        void *context),
                           void *context, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
