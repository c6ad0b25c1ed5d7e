/* device_peaks.h: what a device can do at best, measured now by its vendor's own means, and what its driver says of memory: the denominators
 * of `zo bench`. Never part of a step. One zo_device_peaks a backend of list.h: zo_cpu_device_peaks, zo_cuda_device_peaks.
 *
 * Each function allocates what it needs (tag WORKSPACE) and gives it back, and repeats its work until the least time has settled. */
#ifndef ZO_BACKENDS_DEVICE_PEAKS_H
#define ZO_BACKENDS_DEVICE_PEAKS_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_device_memory {
    uint64_t used_bytes;    /* a card: everybody's, now; on a card of one's own ours, context and libraries included. Else the process's peak */
    uint64_t context_bytes; /* of these before the backend's first block; 0 without a driver */
    uint64_t total_bytes;
} zo_device_memory;

typedef struct zo_device_peaks {
    const char *backend;
    int64_t product_side; /* large enough for the rates to be the device's best */
    size_t copy_bytes;
    int64_t normals;
    /* Floating-point operations a second of a product (side, side) x (side, side) whose operands are stored as `precision` says. */
    double (*product_rate)(zo_backend *be, zo_precision precision, int64_t side);
    /* Normals a second of the vendor's generator (Philox4x32-10) filling n floats; NULL = there is none. Where its library is not
     * there: ZO_EUNSUPPORTED and one sentence. */
    zo_status (*normals_rate)(zo_backend *be, int64_t n, double *rate, zo_err *err);
    void (*memory)(zo_backend *be, zo_device_memory *memory);
} zo_device_peaks;

const zo_device_peaks *zo_device_peaks_of(const zo_backend *be);

/* Bytes a second, read and written counted together, of be->copy within the device's memory. */
double zo_copy_rate(zo_backend *be, size_t bytes);

/* Seconds of one call of `work`, which enqueues: the least mean of a few calls in a row, after the first. */
double zo_work_seconds(zo_backend *be, void (*work)(zo_backend *be, void *context), void *context);

#ifdef __cplusplus
}
#endif
#endif
