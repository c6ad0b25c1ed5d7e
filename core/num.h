/* num.h: elementwise mathematics written once for both backends: exp, log, sincos(2 pi u), tanh, erf, sigmoid, and conversions to
 * and from bf16 and f16. Straight-line code (no branch, no table, no libm call but sqrtf and fmaf), so that gcc vectorises loops
 * over it and nvcc compiles it for the device with the same bits: every sum of a product is spelled fmaf. Errors stated per
 * function are against float64 libm over the whole float range named (tests/core/test_num.c). Polynomial coefficients are our own
 * weighted minimax fits. Rounding mode: to nearest, with denormals kept. */
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

ZO_INLINE uint32_t zo_f32_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

ZO_INLINE float zo_bits_f32(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The least multiple of `to` (> 0) that is not below n. */
ZO_INLINE uint64_t zo_round_up(uint64_t n, uint64_t to)
{
    return (n + to - 1) / to * to;
}

/* `yes` where mask is all ones, `no` where it is 0 (a select that no compiler turns into a branch). */
ZO_INLINE float zo_select(uint32_t mask, float yes, float no)
{
    return zo_bits_f32((zo_f32_bits(yes) & mask) | (zo_f32_bits(no) & ~mask));
}

#define ZO_ROUND_MAGIC 12582912.0f /* 1.5 * 2^23: x + magic - magic rounds |x| < 2^22 to an integer, which stands in the low bits */

/* e^r for |r| <= 0.347. Polynomials are summed in pairs (Estrin) where a loop would else wait for one chain of fmaf. */
ZO_INLINE float zo_exp_near(float r)
{
    float s = r * r;
    float a = fmaf(r, 0.166665196f, 0.49999994f), b = fmaf(r, 0.00836878084f, 0.0416683927f);
    float p = fmaf(fmaf(s, 0.00138144672f, b), s, a);
    return fmaf(p, s, r) + 1.0f;
}

/* e^x: relative error <= 9e-8 where the result is normal, 1 ulp of 2^-149 where it is denormal; inf above 88.72, 0 below -103.98;
 * NaN stays NaN. */
ZO_INLINE float zo_exp(float x)
{
    float c = x < -105.0f ? -105.0f : x; /* a NaN passes both comparisons */
    c = c > 89.0f ? 89.0f : c;
    float t = fmaf(c, 1.44269504f, ZO_ROUND_MAGIC);
    float n = t - ZO_ROUND_MAGIC;
    int32_t k = (int32_t)(zo_f32_bits(t) - 0x4B400000u);
    float r = fmaf(n, -0.693145752f, c);
    r = fmaf(n, -1.42860677e-6f, r);
    float p = zo_exp_near(r);
    int32_t half = k >> 1; /* in two factors: 2^k itself may lie outside the normal range */
    float a = zo_bits_f32((uint32_t)(half + 127) << 23), b = zo_bits_f32((uint32_t)(k - half + 127) << 23);
    return p * a * b;
}

/* log of a positive normal number (anything else gives nonsense, not a trap): relative error <= 1.1e-7. */
ZO_INLINE float zo_log_normal(float x)
{
    uint32_t shifted = zo_f32_bits(x) - 0x3F3504F3u; /* the mantissa to [sqrt(1/2), sqrt(2)) */
    float e = (float)((int32_t)shifted >> 23);
    float f = zo_bits_f32((shifted & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
    float s = f * f;
    float p0 = fmaf(f, -0.250013381f, 0.333339095f), p1 = fmaf(f, -0.16577585f, 0.199630633f);
    float p2 = fmaf(s, 0.0870043486f, fmaf(f, -0.142674863f, 0.149147689f));
    float p = fmaf(p2, s * s, fmaf(p1, s, p0));
    float q = fmaf(p, f, -0.5f);
    float low = fmaf(e, 1.42860677e-6f, s * q);
    return fmaf(e, 0.693145752f, low + f);
}

/* log x: relative error <= 1.1e-7; -inf at 0, NaN below, inf at inf; denormals are right. */
ZO_INLINE float zo_log(float x)
{
    uint32_t tiny = (uint32_t)(-(int32_t)(x < 1.17549435e-38f));
    float r = zo_log_normal(zo_select(tiny, x * 8388608.0f, x));
    r = zo_select(tiny, r - 15.9423847f, r);
    r = zo_select((uint32_t)(-(int32_t)(x == 0.0f)), -INFINITY, r);
    r = zo_select((uint32_t)(-(int32_t)(x < 0.0f)), NAN, r);
    return zo_select((uint32_t)(-(int32_t)(!(x < INFINITY))), x, r); /* inf and NaN */
}

/* sin and cos of 2 pi u for |u| < 2^20: absolute error <= 1.2e-7. */
ZO_INLINE void zo_sincos2pi(float u, float *sine, float *cosine)
{
    float t = fmaf(u, 4.0f, ZO_ROUND_MAGIC);
    uint32_t quadrant = zo_f32_bits(t);
    float a = fmaf(t - ZO_ROUND_MAGIC, -0.25f, u); /* exact, in [-1/8, 1/8] */
    float s2 = a * a, s4 = s2 * s2;
    float s = fmaf(fmaf(s2, -75.3915024f, 81.5923157f), s4, fmaf(s2, -41.3416595f, 6.28318548f)) * a;
    float c = fmaf(fmaf(s2, -83.6630859f, 64.9231796f), s4, fmaf(s2, -19.7391663f, 1.0f));
    uint32_t swap = 0u - (quadrant & 1u);
    float one = zo_select(swap, c, s), two = zo_select(swap, s, c);
    *sine = zo_bits_f32(zo_f32_bits(one) ^ (quadrant & 2u) << 30);
    *cosine = zo_bits_f32(zo_f32_bits(two) ^ ((quadrant + 1u) & 2u) << 30);
}

/* tanh x: relative error <= 1.5e-7. */
ZO_INLINE float zo_tanh(float x)
{
    float t = fabsf(x), s = x * x;
    float p = fmaf(s, 0.00212622713f, -0.00815955549f);
    p = fmaf(p, s, 0.0216936804f);
    p = fmaf(p, s, -0.053945519f);
    p = fmaf(p, s, 0.133331969f);
    p = fmaf(p, s, -0.333333313f);
    float near = fmaf(p * s, t, t);
    float far = 1.0f - 2.0f / (zo_exp(2.0f * t) + 1.0f);
    float r = zo_select((uint32_t)(-(int32_t)(t < 0.625f)), near, far);
    return zo_bits_f32(zo_f32_bits(r) | (zo_f32_bits(x) & 0x80000000u));
}

/* erf x: relative error <= 1.9e-7, for |x| > 1e-37. */
ZO_INLINE float zo_erf(float x)
{
    float t = fabsf(x), s = x * x;
    float p = fmaf(s, 7.85389129e-05f, -0.00080102036f);
    p = fmaf(p, s, 0.00518832915f);
    p = fmaf(p, s, -0.0268538129f);
    p = fmaf(p, s, 0.112835854f);
    p = fmaf(p, s, -0.37612626f);
    float near = fmaf(p, s, 1.12837911f) * t;
    float c = t > 4.0f ? 4.0f : t; /* erf(4) rounds to 1 */
    float q = fmaf(c, -2.16867575e-05f, 0.000441335229f);
    q = fmaf(q, c, -0.00420455588f);
    q = fmaf(q, c, 0.0252082404f);
    q = fmaf(q, c, -0.108418547f);
    q = fmaf(q, c, -0.633219898f);
    q = fmaf(q, c, -1.12957835f);
    q = fmaf(q, c, 0.000188036793f); /* log erfc */
    float far = 1.0f - zo_exp(q);
    float r = zo_select((uint32_t)(-(int32_t)(t < 1.0f)), near, far);
    return zo_bits_f32(zo_f32_bits(r) | (zo_f32_bits(x) & 0x80000000u));
}

/* The standard normal's distribution function, for GELU: x Phi(x). Relative error <= 6e-6 for x in [-6, 0), absolute error <= 1e-7
 * everywhere; decays to 2^-126 below -6, and stays there. */
ZO_INLINE float zo_normal_cdf(float x)
{
    float t = fabsf(x), c = t > 6.0f ? 6.0f : t;
    float c2 = c * c, c4 = c2 * c2;
    float p0 = fmaf(c, -1.15110707f, 6.29765822e-08f), p1 = fmaf(c, -0.0524881035f, -0.459201425f);
    float p2 = fmaf(c, -2.06408404e-05f, 0.00699630613f), p3 = fmaf(c, 8.25119714e-05f, -0.000282332156f);
    float p4 = fmaf(c, 1.35973983e-06f, -1.3471451e-05f), p5 = fmaf(c, 2.04526063e-09f, -7.92508601e-08f);
    float low = fmaf(p1, c2, p0), middle = fmaf(p3, c2, p2), high = fmaf(p5, c2, p4);
    float p = fmaf(fmaf(high, c4, middle), c4, low); /* log2(2 Phi(-t)) on [0, 6] */
    p = fmaf(c - t, 9.0f, p - 1.0f);
    p = p < -126.0f ? -126.0f : p;
    float whole = p + ZO_ROUND_MAGIC;
    float r = (p - (whole - ZO_ROUND_MAGIC)) * 0.693147181f;
    float q = zo_exp_near(r) * zo_bits_f32((zo_f32_bits(whole) - 0x4B400000u + 127u) << 23);
    return zo_select(0u - (zo_f32_bits(x) >> 31), q, 1.0f - q);
}

/* 1 / (1 + e^-x): relative error <= 1.6e-7 where the result is normal. */
ZO_INLINE float zo_sigmoid(float x)
{
    return 1.0f / (1.0f + zo_exp(-x));
}

/* f32 -> bf16, round to nearest even; NaN stays a quiet NaN. */
ZO_INLINE uint16_t zo_bf16_from(float x)
{
    uint32_t b = zo_f32_bits(x);
    uint32_t rounded = (b + 0x7FFFu + (b >> 16 & 1u)) >> 16, quiet = b >> 16 | 0x0040u;
    uint32_t nan = (uint32_t)(-(int32_t)((b & 0x7FFFFFFFu) > 0x7F800000u));
    return (uint16_t)((quiet & nan) | (rounded & ~nan));
}

/* bf16 -> f32, exact. */
ZO_INLINE float zo_bf16_to(uint16_t h)
{
    return zo_bits_f32((uint32_t)h << 16);
}

/* f16 -> f32, exact, denormals and infinities included. */
ZO_INLINE float zo_f16_to(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = (uint32_t)(h & 0x7FFFu) << 13;
    float scaled = zo_bits_f32(rest) * 5.19229686e+33f; /* 2^112 moves the exponent's bias from 15 to 127; exact */
    uint32_t special = (uint32_t)(-(int32_t)((h & 0x7C00u) == 0x7C00u));
    uint32_t bits = (zo_f32_bits(scaled) & ~special) | ((rest | 0x7F800000u) & special);
    return zo_bits_f32(bits | sign);
}

/* f32 -> f16, round to nearest even; above 65519.99 gives inf; NaN stays a quiet NaN. */
ZO_INLINE uint16_t zo_f16_from(float x)
{
    uint32_t b = zo_f32_bits(x), sign = b >> 16 & 0x8000u, a = b & 0x7FFFFFFFu;
    uint32_t normal = (a + 0xFFFu + (a >> 13 & 1u) - 0x38000000u) >> 13;
    uint32_t denormal = zo_f32_bits(zo_bits_f32(a) + 0.5f) - 0x3F000000u; /* 0.5 has an ulp of 2^-24: the adder rounds for us */
    uint32_t nan = (uint32_t)(-(int32_t)(a > 0x7F800000u)), big = (uint32_t)(-(int32_t)(a >= 0x477FF000u));
    uint32_t small = (uint32_t)(-(int32_t)(a < 0x38800000u));
    uint32_t h = (denormal & small) | (normal & ~small);
    h = (0x7C00u & big) | (h & ~big);
    h = (0x7E00u & nan) | (h & ~nan);
    return (uint16_t)(h | sign);
}

/* How numbers that stay are held. Computed with in f32 all the same: read exactly, rounded to nearest even where they are written. */
typedef enum zo_storage { ZO_STORAGE_F32, ZO_STORAGE_BF16, ZO_STORAGE_F16, ZO_STORAGES } zo_storage;

ZO_INLINE int zo_storage_bytes(zo_storage storage)
{
    return storage == ZO_STORAGE_F32 ? 4 : 2;
}

/* To and from the bits of a 16-bit storage. */
ZO_INLINE uint16_t zo_half_from(zo_storage storage, float x)
{
    return storage == ZO_STORAGE_BF16 ? zo_bf16_from(x) : zo_f16_from(x);
}

ZO_INLINE float zo_half_to(zo_storage storage, uint16_t h)
{
    return storage == ZO_STORAGE_BF16 ? zo_bf16_to(h) : zo_f16_to(h);
}

/* What is read again after x was written. */
ZO_INLINE float zo_storage_round(zo_storage storage, float x)
{
    return storage == ZO_STORAGE_F32 ? x : zo_half_to(storage, zo_half_from(storage, x));
}

/* sum over k < n of a[k * sa] b[k * sb] in their order, in float64, where a product of two floats is exact. */
ZO_INLINE double zo_dot_strided(const float *a, int64_t sa, const float *b, int64_t sb, int64_t n)
{
    double sum = 0.0;
    for (int64_t k = 0; k < n; k++) {
        sum += (double)a[k * sa] * (double)b[k * sb];
    }
    return sum;
}

#ifdef __cplusplus
}
#endif
#endif
