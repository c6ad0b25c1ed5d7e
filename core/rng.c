/* rng.c: Philox4x32-10 and Box-Muller normals in two forms that give the same bits: a scalar twin (one block at a time, the oracle)
 * and a wide form that runs 64 counters at a time as structure of arrays, which gcc turns into vector code. */
#include "core/rng.h"

#include <string.h>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "core/err.h"

enum { WIDE = 64 }; /* counters a batch: 256 normals */

void zo_normals_scalar(zo_stream stream, uint64_t first, long n, float *out)
{
    uint64_t end = first + (uint64_t)n;
    for (uint64_t block = first / 4; block * 4 < end; block++) {
        zo_block w = zo_stream_block(stream, (uint32_t)block);
        float z[4];
        zo_normal_pair(w.lane[0], w.lane[1], &z[0], &z[1]);
        zo_normal_pair(w.lane[2], w.lane[3], &z[2], &z[3]);
        for (int lane = 0; lane < 4; lane++) {
            uint64_t e = block * 4 + (uint64_t)lane;
            if (e >= first && e < end) {
                out[e - first] = z[lane];
            }
        }
    }
}

/* Eight words in 64-bit lanes (a vector type of gcc and clang, on any machine): a product then needs no shuffling. Only the low half
 * of a lane counts. GROUPS of them run side by side, so that one waits for its product while another computes. */
typedef uint64_t lanes __attribute__((vector_size(64)));
typedef uint32_t words __attribute__((vector_size(32)));

/* Products of the low halves. */
#ifdef __AVX512F__
enum { GROUPS = 4 };
#define MULTIPLY(a, b) ((lanes)_mm512_mul_epu32((__m512i)(a), (__m512i)(b))) /* gcc 12 makes slower, full products of the other form */
#else
enum { GROUPS = 1 }; /* more would not fit the registers */
#define MULTIPLY(a, b) ((0xFFFFFFFFull & (a)) * (0xFFFFFFFFull & (b)))
#endif

/* The words of n blocks from `index` on (of more, up to WIDE): lane l of block i in w[l][i]. */
static inline void philox_wide(zo_stream s, uint32_t index, uint32_t n, uint32_t w[4][WIDE])
{
    const lanes zero = {0}, count = {0, 1, 2, 3, 4, 5, 6, 7};
    const lanes m0 = zero + 0xD2511F53ull, m1 = zero + 0xCD9E8D57ull;
    uint32_t tag = s.query | (uint32_t)s.role << 24;
    for (uint32_t i = 0; i < n; i += 8 * GROUPS) {
        lanes c[4][GROUPS];
        for (uint32_t g = 0; g < GROUPS; g++) {
            c[0][g] = zero + (uint64_t)(index + i + 8 * g) + count; /* a carry into the high half does not count either */
            c[1][g] = zero + s.tensor;
            c[2][g] = zero + s.step;
            c[3][g] = zero + tag;
        }
        uint32_t k0 = (uint32_t)s.seed, k1 = (uint32_t)(s.seed >> 32);
#pragma GCC unroll 10
        for (int round = 0; round < 10; round++) {
#pragma GCC unroll 4
            for (int g = 0; g < GROUPS; g++) {
                lanes p0 = MULTIPLY(m0, c[0][g]), p1 = MULTIPLY(m1, c[2][g]);
                c[0][g] = (p1 >> 32) ^ c[1][g] ^ (uint64_t)k0;
                c[2][g] = (p0 >> 32) ^ c[3][g] ^ (uint64_t)k1;
                c[1][g] = p1;
                c[3][g] = p0;
            }
            k0 += 0x9E3779B9u;
            k1 += 0xBB67AE85u;
        }
        for (uint32_t g = 0; g < GROUPS; g++) {
            for (int l = 0; l < 4; l++) {
                words low = __builtin_convertvector(c[l][g], words);
                memcpy(&w[l][i + 8 * g], &low, sizeof low);
            }
        }
    }
}

static void normals_wide(zo_stream s, uint32_t index, float *out)
{
    uint32_t w[4][WIDE];
    float z[4][WIDE];
    philox_wide(s, index, WIDE, w);
    for (int i = 0; i < WIDE; i++) {
        zo_normal_pair(w[0][i], w[1][i], &z[0][i], &z[1][i]);
    }
    for (int i = 0; i < WIDE; i++) {
        zo_normal_pair(w[2][i], w[3][i], &z[2][i], &z[3][i]);
    }
    for (int i = 0; i < WIDE; i++) {
        out[4 * i] = z[0][i];
        out[4 * i + 1] = z[1][i];
        out[4 * i + 2] = z[2][i];
        out[4 * i + 3] = z[3][i];
    }
}

void zo_normals(zo_stream stream, uint64_t first, long n, float *out)
{
    float part[4 * WIDE];
    uint32_t index = (uint32_t)(first / 4);
    long skip = (long)(first % 4);
    if (skip > 0 && n > 0) {
        normals_wide(stream, index, part);
        long m = 4 * WIDE - skip < n ? 4 * WIDE - skip : n;
        memcpy(out, part + skip, (size_t)m * sizeof *out);
        out += m;
        n -= m;
        index += WIDE;
    }
    for (; n >= 4 * WIDE; n -= 4 * WIDE, out += 4 * WIDE, index += WIDE) {
        normals_wide(stream, index, out);
    }
    if (n > 0) {
        normals_wide(stream, index, part);
        memcpy(out, part, (size_t)n * sizeof *out);
    }
}

/* A block of 128 signs is a counter's four words. */
void zo_signs(zo_stream stream, uint64_t first, long n, float *out)
{
    enum { WORD = 32, BLOCK = 4 * WORD };
    uint32_t w[4][WIDE];
    uint64_t end = first + (uint64_t)n, blocks = (end + BLOCK - 1) / BLOCK;
    for (uint64_t at = first / BLOCK; at < blocks && n > 0; at += WIDE) {
        uint32_t count = blocks - at < WIDE ? (uint32_t)(blocks - at) : WIDE;
        philox_wide(stream, (uint32_t)at, count, w);
        for (uint32_t i = 0; i < 4 * count; i++) {
            uint32_t word = w[i % 4][i / 4];
            uint64_t e = at * BLOCK + (uint64_t)i * WORD;
            uint32_t low = e >= first ? 0 : first - e < WORD ? (uint32_t)(first - e) : WORD;
            uint32_t high = e + WORD <= end ? WORD : e < end ? (uint32_t)(end - e) : 0;
            if (high - low == WORD) { /* of a length that the compiler knows */
                float *to = out + (e - first);
                for (uint32_t bit = 0; bit < WORD; bit++) {
                    to[bit] = zo_sign_of(word, bit);
                }
            } else {
                for (uint32_t bit = low; bit < high; bit++) {
                    out[e + bit - first] = zo_sign_of(word, bit);
                }
            }
        }
    }
}

void zo_numbers(zo_draw draw, zo_stream stream, uint64_t first, long n, float *out)
{
    (draw == ZO_DRAW_RADEMACHER ? zo_signs : zo_normals)(stream, first, n, out);
}

void zo_words(zo_stream stream, uint64_t first, long n, uint32_t *out)
{
    uint32_t w[4][WIDE];
    uint64_t at = first / 4, end = first + (uint64_t)n;
    for (; at * 4 < end; at += WIDE) {
        philox_wide(stream, (uint32_t)at, WIDE, w);
        for (uint64_t e = at * 4 > first ? at * 4 : first; e < end && e < (at + WIDE) * 4; e++) {
            out[e - first] = w[e % 4][e / 4 - at];
        }
    }
}

static uint32_t word_at(zo_stream stream, uint64_t at)
{
    return zo_stream_block(stream, (uint32_t)(at / 4)).lane[at % 4];
}

uint32_t zo_below(zo_stream stream, uint64_t at, uint32_t bound)
{
    return (uint32_t)((uint64_t)word_at(stream, at) * bound >> 32);
}

double zo_uniform(zo_stream stream, uint64_t at)
{
    return word_at(stream, at) * 0x1p-32;
}

void zo_shuffle(zo_stream stream, int32_t *order, int32_t n)
{
    ZO_CHECK(n >= 0, "a shuffle of %d elements", n);
    for (int32_t i = n - 1; i > 0; i--) {
        int32_t j = (int32_t)zo_below(stream, (uint64_t)i, (uint32_t)i + 1);
        int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
