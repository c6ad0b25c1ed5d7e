/* tensors.h: the tensors of a model's folder by name, whatever the format of its files: model.safetensors, or its shards by
 * model.safetensors.index.json (safetensors.h); else pytorch_model.bin, or its shards by pytorch_model.bin.index.json (torch_file.h). Files are
 * mapped, and nothing in them is trusted: what is handed out lies within the file. */
#ifndef ZO_MODELS_FILES_TENSORS_H
#define ZO_MODELS_FILES_TENSORS_H

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
int zo_dtype_bits(zo_dtype dtype);

#define ZO_TENSOR_DIMS 16
#define ZO_TENSOR_NAME_BYTES 512 /* the most */
typedef struct zo_tensor {
    char *name;
    zo_dtype dtype;
    int dims;
    int64_t shape[ZO_TENSOR_DIMS];
    int64_t count; /* product of shape */
    bool strided; /* elements do not follow each other in the order of the shape, but lie `stride` elements apart */
    int64_t stride[ZO_TENSOR_DIMS]; /* (dims), none negative; unused where not strided */
    const uint8_t *data; /* the first element, in the map; not aligned */
    int file; /* index into zo_tensors.path */
} zo_tensor;

typedef struct zo_tensors {
    int n, room;
    zo_tensor *tensor; /* (n) sorted by name, names unique; two may share bytes where the format lets them */
    int files;
    zo_map *map; /* (files) */
    char **path; /* (files) */
} zo_tensors;

/* All tensors of a folder. On failure *tensors needs no close. */
zo_status zo_tensors_open(zo_tensors *tensors, const char *folder, zo_err *err);
void zo_tensors_close(zo_tensors *tensors);
/* Whether the folder has files of weights, of any format: also of those, and parts of those, that are not read. */
bool zo_tensors_there(const char *folder);
/* The i-th format in the order in which they are looked for: the file of all weights, or the index of several, whose names begin and end so. single
 * is NULL past the last. */
typedef struct zo_tensors_format { const char *single, *index, *start, *end; } zo_tensors_format;
zo_tensors_format zo_tensors_format_at(int i);
const zo_tensor *zo_tensors_find(const zo_tensors *tensors, const char *name); /* NULL when absent */
/* Elements [first, first + n), in the order of the shape, as float; F32, F16 and BF16 only (ZO_CHECKed). */
void zo_tensor_floats(const zo_tensor *tensor, int64_t first, int64_t n, float *out);
/* The pages of these elements may leave this process's memory (they stay in the page cache): what was read once
 * and copied need not count in VmHWM. Reading them again is allowed. Nothing happens where the bytes are not a
 * mapped file, and with a strided tensor before its last element. */
void zo_tensors_drop(const zo_tensors *tensors, const zo_tensor *tensor, int64_t first, int64_t n);

/* 64-bit FNV-1a over a model folder: config.json, the index where there is one, and of every weights file its name, size, header (of pytorch_model.bin
 * the first and last 64 KB: names and checksums stand at a zip archive's end) and 16 pieces of 4 KB spread over its data. Cheap, so it tells other weights from these, not a single altered number. Without weights
 * (random ones): config.json alone. */
zo_status zo_model_fingerprint(const char *folder, uint64_t *print, zo_err *err);
/* Goes on from *print with the files of an adapter's folder that are there, each whole: prefix.safetensors, adapter_config.json,
 * adapter_model.safetensors. */
zo_status zo_adapter_fingerprint(const char *folder, uint64_t *print, zo_err *err);

/* A format: appends the tensors of one file's bytes, which outlive *tensors, by zo_tensors_add; `file` is their index, `path` stands in messages.
 * After a failure the caller closes *tensors. */
typedef zo_status (*zo_tensors_reader)(zo_tensors *tensors, const uint8_t *data, size_t bytes, int file, const char *path, zo_err *err);
/* Appends a tensor; its name is copied. */
void zo_tensors_add(zo_tensors *tensors, const zo_tensor *tensor);
/* The tensors of one file's bytes. On failure *tensors needs no close. */
zo_status zo_tensors_of(zo_tensors *tensors, zo_tensors_reader reader, const uint8_t *data, size_t bytes, const char *path, zo_err *err);
/* Whether these bytes are what Git LFS leaves in place of a file; a refusal then says so. */
bool zo_is_lfs_pointer(const uint8_t *data, size_t bytes);
#define ZO_LFS_POINTER_SAYS "is a Git LFS pointer, not the file itself; fetch it with `git lfs pull`"

#ifdef __cplusplus
}
#endif
#endif
