/* fuzz_safetensors.c: libFuzzer over the bytes of a weights file. A refusal is one sentence; what is accepted lies within the file, tensor by
 * tensor, without holes and overlaps, and is read. */
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "models/files/safetensors.h"

static int place_order(const void *a, const void *b)
{
    const zo_tensor *x = *(const zo_tensor *const *)a, *y = *(const zo_tensor *const *)b;
    return x->data != y->data ? (x->data < y->data ? -1 : 1) : (x->count > y->count) - (x->count < y->count);
}

/* The bytes of a tensor's data, where its numbers end at a byte. */
static size_t bytes_of(const zo_tensor *t)
{
    static const int bits[ZO_DTYPES] = {
#define X(id, name, bits) bits,
        ZO_DTYPE_LIST(X)
#undef X
    };
    return (size_t)t->count * (size_t)bits[t->dtype] / 8;
}

static void check_tensors(const zo_tensors *tensors, const uint8_t *file, size_t size)
{
    size_t n = (size_t)tensors->n;
    const zo_tensor **order = zo_alloc(ZO_HOST, ZO_TAG_DATA, (n + 1) * sizeof *order);
    for (int i = 0; i < tensors->n; i++) {
        const zo_tensor *t = order[i] = &tensors->tensor[i];
        int64_t count = 1;
        for (int d = 0; d < t->dims; d++) {
            count *= t->shape[d];
        }
        ZO_CHECK(count == t->count && zo_tensors_find(tensors, t->name) == t, "tensor %s is not found, or not of its shape", t->name);
        if (t->dtype == ZO_DTYPE_F32 || t->dtype == ZO_DTYPE_F16 || t->dtype == ZO_DTYPE_BF16) {
            float *value = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)t->count * sizeof *value + 1);
            zo_tensor_floats(t, 0, t->count, value);
            zo_free(value);
        }
    }
    qsort(order, n, sizeof *order, place_order);
    const uint8_t *at = n > 0 ? order[0]->data : file + size;
    for (size_t i = 0; i < n; i++) {
        ZO_CHECK(order[i]->data == at, "tensor %s overlaps, or leaves a hole", order[i]->name);
        at += bytes_of(order[i]);
    }
    ZO_CHECK(at == file + size, "the tensors end %td bytes from the file's end", file + size - at);
    zo_free(order);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    zo_tensors tensors;
    zo_err err = {0};
    if (zo_tensors_parse(&tensors, data, size, "x.safetensors", &err) == ZO_OK) {
        check_tensors(&tensors, data, size);
        zo_tensors_close(&tensors);
    } else {
        ZO_CHECK((err.status == ZO_EINPUT || err.status == ZO_EUNSUPPORTED) && err.text[0] != '\0' && strpbrk(err.text, "\n\r\033") == NULL,
                 "a refusal says \"%s\"", err.text);
    }
    ZO_CHECK(zo_mem_live(ZO_HOST).total_bytes == live, "bytes of the ledger are lost");
    return 0;
}
