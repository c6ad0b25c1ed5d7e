/* rng.c: Philox4x32-10 and Box-Muller normals in two forms that give the same bits: a scalar twin (one block at a time, the oracle)
 * and a wide form that runs 64 counters at a time as structure of arrays in plain loops, which gcc turns into vector code. */
#include "core/rng.h"

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

/* One round on words kept in 64-bit lanes: a product then needs no shuffling. Only the low half of a lane counts; what stands in the
 * high half is masked where it would matter. */
#define LOW 0xFFFFFFFFull
#define ROUND(k)                                                                           \
    do {                                                                                   \
        uint64_t p0 = 0xD2511F53ull * (c0 & LOW), p1 = 0xCD9E8D57ull * (c2 & LOW);         \
        c0 = (p1 >> 32) ^ c1 ^ (uint32_t)(k0 + 0x9E3779B9u * (uint32_t)(k));               \
        c2 = (p0 >> 32) ^ c3 ^ (uint32_t)(k1 + 0xBB67AE85u * (uint32_t)(k));               \
        c1 = p1;                                                                           \
        c3 = p0;                                                                           \
    } while (0)

/* The words of WIDE blocks from `index` on: lane l of block i in w[l][i]. */
static void philox_wide(zo_stream s, uint32_t index, uint32_t w[4][WIDE])
{
    uint32_t k0 = (uint32_t)s.seed, k1 = (uint32_t)(s.seed >> 32), tag = s.query | (uint32_t)s.role << 24;
    for (uint32_t i = 0; i < WIDE; i++) {
        uint64_t c0 = (uint32_t)(index + i), c1 = s.tensor, c2 = s.step, c3 = tag;
        ROUND(0);
        ROUND(1);
        ROUND(2);
        ROUND(3);
        ROUND(4);
        ROUND(5);
        ROUND(6);
        ROUND(7);
        ROUND(8);
        ROUND(9);
        w[0][i] = (uint32_t)c0;
        w[1][i] = (uint32_t)c1;
        w[2][i] = (uint32_t)c2;
        w[3][i] = (uint32_t)c3;
    }
}

static void normals_wide(zo_stream s, uint32_t index, float *out)
{
    uint32_t w[4][WIDE];
    float z[4][WIDE];
    philox_wide(s, index, w);
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

void zo_words(zo_stream stream, uint64_t first, long n, uint32_t *out)
{
    uint32_t w[4][WIDE];
    uint64_t at = first / 4, end = first + (uint64_t)n;
    for (; at * 4 < end; at += WIDE) {
        philox_wide(stream, (uint32_t)at, w);
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
