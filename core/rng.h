/* rng.h: the one generator of the project, Philox4x32-10 (Salmon et al., SC 2011), as a pure function of coordinates: no state,
 * no order, no launch geometry. Element e of a tensor's draw is lane e % 4 of the block whose counter is
 *     { e / 4, tensor id, step, query | role << 24 }      and whose key is the 64-bit seed (low word first).
 * Normals: lanes (0,1) and (2,3) are Box-Muller pairs with the logarithm and sine/cosine of num.h; every sum of a product is an
 * explicit fmaf, so scalar, AVX2, AVX-512 and CUDA code give the same bits.
 * Signs take one bit each: element e is -1 where bit e % 32 of word e / 32 is set (the words of zo_words), else +1. */
#ifndef ZO_CORE_RNG_H
#define ZO_CORE_RNG_H

#include <stdint.h>

#include "core/num.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_role {
    ZO_ROLE_Z = 0,  /* dense direction */
    ZO_ROLE_U,      /* CP factor of rows */
    ZO_ROLE_V,      /* CP factor of columns */
    ZO_ROLE_TAU,    /* CP temporal factor */
    ZO_ROLE_INIT,   /* random initial weights */
    ZO_ROLE_DATA,   /* shuffles, splits, synthetic text */
    ZO_ROLE_MASK,
    ZO_ROLE_RADIUS  /* of a probe, drawn (KerZOO) */
} zo_role;

/* How the numbers of a direction are drawn; both have mean 0 and covariance I. */
typedef enum zo_draw {
    ZO_DRAW_GAUSS,      /* N(0, 1) */
    ZO_DRAW_RADEMACHER, /* -1 or +1, each with probability 1/2 */
    ZO_DRAWS
} zo_draw;

/* A stream of draws: everything of the counter but the element. A value; copy it freely. */
typedef struct zo_stream {
    uint64_t seed;
    uint32_t tensor, step, query; /* query < 2^24 */
    zo_role role;
} zo_stream;

typedef struct zo_block { uint32_t lane[4]; } zo_block;

/* One Philox4x32-10 block. Oracle: Random123's known answers, cuRAND's curand_Philox4x32_10. */
ZO_INLINE zo_block zo_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, uint32_t k0, uint32_t k1)
{
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    zo_block b = {{c0, c1, c2, c3}};
    return b;
}

ZO_INLINE zo_block zo_stream_block(zo_stream s, uint32_t index)
{
    return zo_philox(index, s.tensor, s.step, s.query | (uint32_t)s.role << 24, (uint32_t)s.seed, (uint32_t)(s.seed >> 32));
}

/* Words (a, b) of a block -> two normals: radius sqrt(-2 log u), u = (a + 1/2) / 2^32 in (0, 1], angle b / 2^32 turns. */
ZO_INLINE void zo_normal_pair(uint32_t a, uint32_t b, float *one, float *two)
{
    float u = fmaf((float)a, 2.32830644e-10f, 1.16415322e-10f);
    float radius = sqrtf(-2.0f * zo_log_normal(u));
    float sine, cosine;
    zo_sincos2pi((float)(int32_t)b * 2.32830644e-10f, &sine, &cosine);
    *one = radius * cosine;
    *two = radius * sine;
}

/* The sign of bit `bit` of a word, as +-1. */
ZO_INLINE float zo_sign_of(uint32_t word, uint32_t bit)
{
    return zo_bits_f32(0x3F800000u | (word >> bit) << 31);
}

/* Standard normals of elements [first, first + n): any alignment, any n. The wide form (64 counters at a time, in
 * vectors); bit-equal to zo_normals_scalar. Elements are limited to 2^34 a tensor. */
void zo_normals(zo_stream stream, uint64_t first, long n, float *out);
/* The scalar twin, one block at a time: the oracle. */
void zo_normals_scalar(zo_stream stream, uint64_t first, long n, float *out);

/* Signs of elements [first, first + n): any alignment, any n. */
void zo_signs(zo_stream stream, uint64_t first, long n, float *out);
/* Normals or signs, as `draw` says. */
void zo_numbers(zo_draw draw, zo_stream stream, uint64_t first, long n, float *out);

/* Uniform 32-bit words of elements [first, first + n), and a fair integer in [0, bound) of element `at` (by 64-bit multiply). */
void zo_words(zo_stream stream, uint64_t first, long n, uint32_t *out);
uint32_t zo_below(zo_stream stream, uint64_t at, uint32_t bound);
double zo_uniform(zo_stream stream, uint64_t at); /* in [0, 1), 32 bits */
/* Fisher-Yates permutation of 0..n-1 drawn from the stream. */
void zo_shuffle(zo_stream stream, int32_t *order, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
