/* num.h: elementwise mathematics written once for both backends: exp, log, sincos(2 pi u), tanh, erf, sigmoid, and conversions to
 * and from bf16 and f16. Straight-line code (no branch, no table, no libm call but sqrtf and fmaf), so that gcc vectorises loops
 * over it and nvcc compiles it for the device with the same bits: every sum of a product is spelled fmaf. Errors stated per
 * function are against float64 libm over the whole float range named. */
#ifndef ZO_CORE_NUM_H
#define ZO_CORE_NUM_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __CUDACC__
#define ZO_INLINE static inline __host__ __device__
#else
#define ZO_INLINE static inline
#endif

#ifdef __cplusplus
extern "C" {
#endif
/* to be filled: zo_bits_f32, zo_f32_bits, zo_exp, zo_log, zo_sincos2pi, zo_tanh, zo_erf, zo_sigmoid, zo_bf16_from, zo_bf16_to,
 * zo_f16_from, zo_f16_to */
#ifdef __cplusplus
}
#endif
#endif
