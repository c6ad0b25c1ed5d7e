/* fuzz_torch_file.c: libFuzzer over the bytes of a file of torch.save. A refusal is one sentence; what is accepted lies within the file, and is read. */
#include <string.h>

#include "core/mem.h"
#include "models/files/torch_file.h"

static void check_tensor(const zo_tensor *t, const uint8_t *file, size_t size)
{
    int64_t count = 1, last = 0;
    for (int d = 0; d < t->dims; d++) {
        count *= t->shape[d];
        last += t->strided ? (t->shape[d] - 1) * t->stride[d] : 0;
    }
    last = t->strided ? last : count - 1;
    size_t bytes = (size_t)zo_dtype_bits(t->dtype) / 8;
    ZO_CHECK(count == t->count, "tensor %s is not of its shape", t->name);
    ZO_CHECK(t->data >= file && (count == 0 || (size_t)(t->data - file) + (size_t)(last + 1) * bytes <= size), "tensor %s is not within the file", t->name);
    if (t->dtype == ZO_DTYPE_F32 || t->dtype == ZO_DTYPE_F16 || t->dtype == ZO_DTYPE_BF16) {
        float piece[100];
        for (int64_t at = 0; at < count && at < 10000; at += 100) { /* a stride of 0 makes any number of elements */
            zo_tensor_floats(t, at, count - at < 100 ? count - at : 100, piece);
        }
        zo_tensor_floats(t, count > 0 ? count - 1 : 0, count > 0, piece);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    zo_tensors tensors;
    zo_err err = {0};
    if (zo_tensors_of(&tensors, zo_torch_read, data, size, "x.bin", &err) == ZO_OK) {
        for (int i = 0; i < tensors.n; i++) {
            check_tensor(&tensors.tensor[i], data, size);
        }
        zo_tensors_close(&tensors);
    } else {
        ZO_CHECK((err.status == ZO_EINPUT || err.status == ZO_EUNSUPPORTED) && err.text[0] != '\0' && strpbrk(err.text, "\n\r\033") == NULL,
                 "a refusal says \"%s\"", err.text);
    }
    ZO_CHECK(zo_mem_live(ZO_HOST).total_bytes == live, "bytes of the ledger are lost");
    return 0;
}
