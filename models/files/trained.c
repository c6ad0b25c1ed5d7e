/* trained.c: see trained.h. */
#include "models/files/trained.h"

#include <inttypes.h>

#include "core/io.h"

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

typedef struct writer { const zo_store *store; zo_backend *be; } writer;

static void fill_param(const zo_tensor_out *entry, int64_t first, int64_t count, float *out, void *context)
{
    const writer *w = context;
    const zo_param *p = entry->from;
    zo_store_read(w->be, w->store, p->offset + first, count, out);
}

static int dims_of(const zo_param *p)
{
    return p->kind == ZO_PARAM_VECTOR ? 1 : 2;
}

zo_status zo_trained_write(const char *folder, const char *file, const zo_layout *layout, zo_backend *be, const zo_store *store, zo_err *err)
{
    zo_status status = zo_make_dirs(folder, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_tensor_out *entry = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)layout->n * sizeof *entry);
    int n = 0;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        if (!p->frozen) {
            int dims = dims_of(p);
            entry[n++] = (zo_tensor_out){.name = p->name, .dims = dims, .shape = {dims == 1 ? p->cols : p->rows, dims == 1 ? 0 : p->cols}, .from = p};
        }
    }
    writer w = {.store = store, .be = be};
    char path[4096];
    status = zo_tensors_write(zo_path_join(path, sizeof path, folder, file), entry, n, fill_param, &w, err);
    zo_free(entry);
    return status;
}

/* ---- reading -------------------------------------------------------------------------------------------------------------- */

zo_status zo_trained_open(zo_trained_file *f, const char *folder, const char *file, zo_err *err)
{
    zo_status status = zo_map_open(&f->map, zo_path_join(f->path, sizeof f->path, folder, file), err);
    if (status == ZO_OK) {
        status = zo_tensors_parse(&f->tensors, f->map.data, f->map.bytes, f->path, err);
        if (status != ZO_OK) {
            zo_map_close(&f->map);
        }
    }
    return status;
}

void zo_trained_close(zo_trained_file *f)
{
    zo_tensors_close(&f->tensors);
    zo_map_close(&f->map);
}

static bool is_float(const zo_tensor *t)
{
    return t->dtype == ZO_DTYPE_F32 || t->dtype == ZO_DTYPE_F16 || t->dtype == ZO_DTYPE_BF16;
}

zo_status zo_trained_tensor(const zo_trained_file *f, const char *name, int dims, int64_t rows, int64_t cols, float **out, zo_err *err)
{
    const zo_tensor *t = zo_tensors_find(&f->tensors, name);
    if (t == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%s\" is missing among its %d; expected a file written by a run that trains the same of the same model",
                       f->path, name, f->tensors.n);
    }
    int64_t first = dims == 1 ? cols : rows;
    if (!is_float(t) || t->dims != dims || t->shape[0] != first || (dims == 2 && t->shape[1] != cols)) {
        return zo_fail(err, ZO_EINPUT, "%s: tensor \"%s\" is %s, the first of its %d dimensions %" PRId64 "; expected F32, F16 or BF16 and %" PRId64
                       " x %" PRId64 ", as \"tune\" and the model have it", f->path, name, zo_dtype_name(t->dtype), t->dims,
                       t->dims > 0 ? t->shape[0] : 0, dims == 1 ? 1 : rows, cols);
    }
    *out = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)t->count * sizeof **out);
    zo_tensor_floats(t, 0, t->count, *out);
    return ZO_OK;
}

zo_status zo_trained_fits(const char *folder, const char *what, zo_backend *be, const zo_store *store, zo_err *err)
{
    if (store->storage != ZO_STORAGE_F16 || be->finite(be, store)) {
        return ZO_OK;
    }
    return zo_fail(err, ZO_EINPUT, "%s: the %s has a value that is not finite in f16, whose largest is 65504; use \"storage\": \"bf16\" or \"f32\"", folder, what);
}

zo_status zo_trained_read(const char *folder, const char *file, const char *what, const zo_layout *layout, zo_backend *be, zo_store *store, zo_err *err)
{
    zo_trained_file f;
    zo_status status = zo_trained_open(&f, folder, file, err);
    if (status != ZO_OK) {
        return status;
    }
    int wanted = 0;
    for (int t = 0; t < layout->n && status == ZO_OK; t++) {
        const zo_param *p = &layout->param[t];
        float *values = NULL;
        if (!p->frozen) {
            status = zo_trained_tensor(&f, p->name, dims_of(p), p->rows, p->cols, &values, err);
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
    zo_trained_close(&f);
    return status == ZO_OK ? zo_trained_fits(folder, what, be, store, err) : status;
}
