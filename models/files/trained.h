/* trained.h: what a run trains as one safetensors file in a folder: every trained parameter under its canonical name (models/arch.h), F32. So are
 * views kept that add to a model what no other program knows. */
#ifndef ZO_MODELS_FILES_TRAINED_H
#define ZO_MODELS_FILES_TRAINED_H

#include "models/arch.h"
#include "models/files/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_PREFIX_FILE "prefix.safetensors"
#define ZO_SIDE_FILE "side.safetensors"

/* Into `folder`, made if need be; a file of that name there is replaced. */
zo_status zo_trained_write(const char *folder, const char *file, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err);
/* The trained parameters of `store` from that file. ZO_EINPUT with one sentence where it is of another model or of other parameters, or, with `what` it
 * holds, where f16 cannot hold it. */
zo_status zo_trained_read(const char *folder, const char *file, const char *what, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err);
/* That last alone: are all of the store's values finite in its type? */
zo_status zo_trained_fits(const char *folder, const char *what, zo_backend *be, const zo_store *store, zo_err *err);

/* A safetensors file that is open. */
typedef struct zo_trained_file { char path[4096]; zo_map map; zo_tensors tensors; } zo_trained_file;
zo_status zo_trained_open(zo_trained_file *f, const char *folder, const char *file, zo_err *err); /* on failure nothing is open */
void zo_trained_close(zo_trained_file *f);
/* A tensor of it as floats (zo_free gives them back) where it has that shape; dims 1: cols alone. ZO_EINPUT where not. */
zo_status zo_trained_tensor(const zo_trained_file *f, const char *name, int dims, int64_t rows, int64_t cols, float **out, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
