/* safetensors.h: the safetensors file format, read through a memory map and written in a stream. Nothing in a header is trusted:
 * sizes, offsets, overlaps, holes, types and shapes are checked against each other and against the file before any
 * tensor is handed out. What safetensors' own reader refuses is refused, what it takes is taken, but for a name that stands twice, is empty or
 * has a zero byte, and more than 16 dimensions (tests/golden/safetensors_cases.json). */
#ifndef ZO_MODELS_FILES_SAFETENSORS_H
#define ZO_MODELS_FILES_SAFETENSORS_H

#include "models/files/tensors.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_SAFETENSORS_HEADER_MOST ((uint64_t)100000000) /* bytes; safetensors' own limit */
zo_status zo_safetensors_read(zo_tensors *tensors, const uint8_t *data, size_t bytes, int file, const char *path, zo_err *err); /* zo_tensors_reader */
/* From the bytes of one file, which must outlive *tensors; `path` stands in messages. On failure *tensors needs no close. */
zo_status zo_tensors_parse(zo_tensors *tensors, const uint8_t *data, size_t bytes, const char *path, zo_err *err);

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
