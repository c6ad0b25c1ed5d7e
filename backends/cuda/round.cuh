/* round.cuh: the element types of products (f32, bf16, f16), stored from f32 with one rounding to nearest even (core/num.h), one or
 * four at a time. TF32 products read f32. */
#ifndef ZO_BACKENDS_CUDA_ROUND_CUH
#define ZO_BACKENDS_CUDA_ROUND_CUH

#include "backends/cuda/device.cuh"

struct zo_cuda_bf16 { uint16_t bits; };
struct zo_cuda_f16 { uint16_t bits; };

static __device__ __forceinline__ float zo_rounded(float, float w)
{
    return w;
}

static __device__ __forceinline__ zo_cuda_bf16 zo_rounded(zo_cuda_bf16 to, float w)
{
    to.bits = zo_bf16_from(w);
    return to;
}

static __device__ __forceinline__ zo_cuda_f16 zo_rounded(zo_cuda_f16 to, float w)
{
    to.bits = zo_f16_from(w);
    return to;
}

template <class T>
static __device__ __forceinline__ void zo_write1(T *to, float w)
{
    *to = zo_rounded(T(), w);
}

/* `to` is aligned to four elements. */
static __device__ __forceinline__ void zo_write4(float *to, const float w[4])
{
    __stwb(reinterpret_cast<float4 *>(to), make_float4(w[0], w[1], w[2], w[3])); /* see cuda/access.cuh */
}

template <class T>
static __device__ __forceinline__ void zo_write4(T *to, const float w[4])
{
    __stwb(reinterpret_cast<ushort4 *>(to),
           make_ushort4(zo_rounded(T(), w[0]).bits, zo_rounded(T(), w[1]).bits, zo_rounded(T(), w[2]).bits, zo_rounded(T(), w[3]).bits));
}

#endif
