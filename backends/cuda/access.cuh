/* access.cuh: four numbers at a time, in one access of 16 bytes (8, where they are held in 16 bits) where that is possible. __stwb is an
 * ordinary store that stays one: an assignment of a float4 the compiler may take apart, and it does beside the stores of a ragged end. */
#ifndef ZO_BACKENDS_CUDA_ACCESS_CUH
#define ZO_BACKENDS_CUDA_ACCESS_CUH

#include "backends/cuda/device.cuh"

/* Elements e .. e + 3 of data; only those in [first, end) are touched, the others are 0. wide: data + e is 16-byte aligned. */
static __device__ __forceinline__ void zo_load4(const float *data, int64_t e, int64_t first, int64_t end, bool wide, float x[4])
{
    if (wide && e >= first && e + 4 <= end) {
        float4 all = *reinterpret_cast<const float4 *>(data + e);
        x[0] = all.x;
        x[1] = all.y;
        x[2] = all.z;
        x[3] = all.w;
        return;
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
        x[l] = e + l >= first && e + l < end ? data[e + l] : 0.0f;
    }
}

static __device__ __forceinline__ void zo_store4(float *data, int64_t e, int64_t first, int64_t end, bool wide, const float x[4])
{
    if (wide && e >= first && e + 4 <= end) {
        __stwb(reinterpret_cast<float4 *>(data + e), make_float4(x[0], x[1], x[2], x[3]));
        return;
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
        if (e + l >= first && e + l < end) {
            data[e + l] = x[l];
        }
    }
}

/* The same for an arena that holds its numbers as S; offset counts elements. */
template <zo_storage S>
static __device__ __forceinline__ void zo_load4(const void *arena, int64_t offset, int64_t e, int64_t first, int64_t end, bool wide, float x[4])
{
    if (S == ZO_STORAGE_F32) {
        zo_load4(static_cast<const float *>(arena) + offset, e, first, end, wide, x);
        return;
    }
    const uint16_t *half = static_cast<const uint16_t *>(arena) + offset;
    if (wide && e >= first && e + 4 <= end) {
        zo_stored4<S>(half, e, x);
        return;
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
        x[l] = e + l >= first && e + l < end ? zo_half_to(S, half[e + l]) : 0.0f;
    }
}

template <zo_storage S>
static __device__ __forceinline__ void zo_store4(void *arena, int64_t offset, int64_t e, int64_t first, int64_t end, bool wide,
                                                 const float x[4])
{
    if (S == ZO_STORAGE_F32) {
        zo_store4(static_cast<float *>(arena) + offset, e, first, end, wide, x);
        return;
    }
    uint16_t *half = static_cast<uint16_t *>(arena) + offset;
    if (wide && e >= first && e + 4 <= end) {
        __stwb(reinterpret_cast<ushort4 *>(half + e), make_ushort4(zo_half_from(S, x[0]), zo_half_from(S, x[1]), zo_half_from(S, x[2]), zo_half_from(S, x[3])));
        return;
    }
#pragma unroll
    for (int l = 0; l < 4; l++) {
        if (e + l >= first && e + l < end) {
            half[e + l] = zo_half_from(S, x[l]);
        }
    }
}

/* Whether rows of `stride` floats from x on can be read four at a time. NULL is as good as aligned. */
static inline bool zo_cuda_wide(const void *x, int64_t stride)
{
    return ((uintptr_t)x & 15) == 0 && stride % 4 == 0;
}

#endif
