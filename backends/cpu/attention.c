/* attention.c: rotary positions and attention over packed sequences, forward and backward.
 *
 * Streaming softmax over tiles of keys (Milakov & Gimelshein, arXiv 1805.02867; FlashAttention, arXiv 2205.14135), so nothing of
 * size sequence x sequence exists; the backward pass makes the probabilities again from the log-sum-exp. The queries of all
 * heads that share a key head stand side by side in vector lanes, 64 at most; keys and values are read as scalars that are
 * broadcast. So nothing is transposed but the block of queries, no sum runs across lanes, and what a query gets does not depend
 * on what else is in the batch: bits are the same packed or one by one. Tiles that no query of a block sees for its window are passed over whole, so
 * that the others begin where they would without.
 * Work is shared over (block of queries, point, sequence, key head); in the backward pass over (family of sequences, key head), and for the
 * gradients of a prefix, to which all sequences add, over key heads.
 * It does not: drop out, mask padding (there is none), cache keys over calls. */
#include <math.h>
#include <string.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "backends/act.h"
#include "backends/cpu/cpu.h"
#include "core/clock.h"
#include "core/num.h"

enum { LANES = 16, VECTORS = 4, BLOCK = LANES * VECTORS, TILE = 64 };

typedef float vec __attribute__((vector_size(64)));

static inline vec splat(float x)
{
    return (vec){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}

static inline vec multiply_add(vec a, vec b, vec c)
{
#ifdef __AVX512F__
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    for (int i = 0; i < LANES; i++) {
        c[i] = fmaf(a[i], b[i], c[i]);
    }
    return c;
#endif
}

/* c (m, nv vectors) = [c +] sum over k of a[i * am + k * ak] * b[k]; m and nv are constants where it is called, so that the sums
 * stay in registers. b and c have rows of ldb and ldc vectors. */
__attribute__((always_inline)) static inline void product_block(const int m, const int nv, int64_t n, const float *a, int64_t am,
                                                                int64_t ak, const vec *b, int64_t ldb, vec *c, int64_t ldc, bool add)
{
    vec sum[8][VECTORS];
#pragma GCC unroll 8
    for (int i = 0; i < m; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            sum[i][v] = add ? c[i * ldc + v] : splat(0.0f);
        }
    }
    for (int64_t k = 0; k < n; k++) {
#pragma GCC unroll 8
        for (int i = 0; i < m; i++) {
            vec one = splat(a[i * am + k * ak]);
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++) {
                sum[i][v] = multiply_add(one, b[k * ldb + v], sum[i][v]);
            }
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < m; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++) {
            c[i * ldc + v] = sum[i][v];
        }
    }
}

/* The same for any m and nv. The order of every sum is that of k, whatever the blocks. */
static void product(int64_t m, int64_t nv, int64_t n, const float *a, int64_t am, int64_t ak, const vec *b, int64_t ldb, vec *c,
                    int64_t ldc, bool add)
{
    for (; nv > VECTORS; nv -= VECTORS, b += VECTORS, c += VECTORS) {
        product(m, VECTORS, n, a, am, ak, b, ldb, c, ldc, add);
    }
    int64_t i = 0;
#define ROWS(count, vectors)                                                                                      \
    for (; i + (count) <= m; i += (count)) {                                                                      \
        product_block(count, vectors, n, a + i * am, am, ak, b, ldb, c + i * ldc, ldc, add);                      \
    }
    switch (nv) {
    case 1:
        ROWS(8, 1) ROWS(4, 1) ROWS(1, 1)
        break;
    case 2:
        ROWS(8, 2) ROWS(4, 2) ROWS(1, 2)
        break;
    case 3:
        ROWS(4, 3) ROWS(1, 3)
        break;
    case 4:
        ROWS(4, 4) ROWS(1, 4)
        break;
    default:
        break;
    }
#undef ROWS
}

/* ---- rotary positions --------------------------------------------------------------------------------------------------- */

void zo_cpu_rope(zo_backend *be, const zo_rope *rope, const int32_t *position, int points, int64_t tokens, int heads, int64_t stride,
                 bool inverse, float *x)
{
    int half = rope->dims / 2, gap = rope->interleaved ? 1 : half, apart = rope->interleaved ? 2 : 1;
    float sign = inverse ? -1.0f : 1.0f;
    double start = zo_now();
#pragma omp parallel num_threads(be->threads)
    {
#pragma omp for schedule(static) nowait
        for (int64_t i = 0; i < points * tokens; i++) {
            const float *restrict c = rope->cos + (int64_t)position[i % tokens] * half;
            const float *restrict s = rope->sin + (int64_t)position[i % tokens] * half;
            for (int h = 0; h < heads; h++) {
                float *restrict low = x + i * stride + (int64_t)h * rope->head_dim, *restrict high = low + gap;
                for (int d = 0; d < half; d++) {
                    float a = low[apart * d], b = high[apart * d], t = sign * s[d];
                    low[apart * d] = fmaf(a, c[d], -(b * t));
                    high[apart * d] = fmaf(b, c[d], a * t);
                }
            }
        }
    }
    zo_part_add(ZO_PART_ATTENTION, zo_now() - start);
}

/* ---- who asks and who answers ------------------------------------------------------------------------------------------- */

/* The queries of one sequence and one key head, as lanes: lane l is query l % n of head `head` + l / n. */
typedef struct asking {
    int64_t n;          /* queries of the sequence */
    int64_t first;      /* their first row in q, out, lse */
    int64_t lanes;      /* n * heads in the group */
    const int32_t *row; /* their tokens, or NULL: token = first + i */
    int64_t start;      /* first token of the sequence */
    int head;           /* first head of the group */
} asking;

static int64_t lower_bound(const int32_t *row, int64_t n, int32_t token)
{
    int64_t low = 0;
    while (n > 0) {
        int64_t half = n / 2;
        if (row[low + half] < token) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

static asking asking_of(const zo_attention *a, const zo_seqs *seqs, int s, int kv_head)
{
    int group = a->heads / a->kv_heads;
    asking q = {.first = seqs->start[s], .n = seqs->start[s + 1] - seqs->start[s], .start = seqs->start[s], .head = kv_head * group};
    if (a->row) {
        q.first = lower_bound(a->row, a->nrows, seqs->start[s]);
        q.n = lower_bound(a->row, a->nrows, seqs->start[s + 1]) - q.first;
        q.row = a->row + q.first;
    }
    q.lanes = q.n * group;
    return q;
}

/* One block of lanes: where each reads and writes, and from which own token up to which it sees. */
typedef struct block {
    int nv, count;             /* vectors; lanes in use */
    int64_t at[BLOCK];         /* row of q, out, lse */
    int head[BLOCK];
    int32_t sees[BLOCK];       /* last own token seen, counted from the sequence's first; a window may end behind the sequence */
    int32_t sees_all, sees_most; /* the least and the largest of them */
    int32_t reach;             /* how many before its last a lane sees; INT32_MAX: all */
} block;

/* Does lane l see the token that stands at `place`, counted from the sequence's first (its parent's are negative)? */
static inline bool lane_sees(const block *b, int l, int32_t place)
{
    return place <= b->sees[l] && b->sees[l] - place <= b->reach;
}

static void block_of(const asking *q, int64_t from, const zo_attention *a, int64_t own_tokens, block *b)
{
    bool all = !a->causal && a->window == 0;
    int32_t ahead = a->causal || all ? 0 : a->window - 1;
    b->count = (int)(q->lanes - from < BLOCK ? q->lanes - from : BLOCK);
    b->nv = (b->count + LANES - 1) / LANES;
    b->reach = a->window > 0 ? a->window - 1 + ahead : INT32_MAX;
    b->sees_all = INT32_MAX;
    b->sees_most = 0;
    int64_t i = from % q->n;
    int head = q->head + (int)(from / q->n);
    for (int l = 0; l < b->nv * LANES; l++) { /* lanes without a query repeat the last */
        b->at[l] = q->first + i;
        b->head[l] = head;
        b->sees[l] = all ? (int32_t)own_tokens - 1 : (int32_t)(q->row ? q->row[i] - q->start : i) + ahead;
        b->sees_all = b->sees[l] < b->sees_all ? b->sees[l] : b->sees_all;
        b->sees_most = b->sees[l] > b->sees_most ? b->sees[l] : b->sees_most;
        if (l + 1 < b->count && ++i == q->n) {
            i = 0;
            head++;
        }
    }
}

/* 16 rows of 16 become columns: four rounds of exchanging halves, quarters, ... between pairs of rows. The elements are named one by one,
 * since clang shuffles by constants only. */
#define PICK16(...) __VA_ARGS__
#define EXCHANGE(distance, low, high)                                   \
    _Pragma("GCC unroll 16")                                            \
    for (int i = 0; i < LANES; i++) {                                   \
        if ((i & (distance)) == 0) {                                    \
            vec a = x[i], b = x[i | (distance)];                        \
            x[i] = __builtin_shufflevector(a, b, low);                  \
            x[i | (distance)] = __builtin_shufflevector(a, b, high);    \
        }                                                               \
    }
static inline void transpose(vec x[LANES])
{
    EXCHANGE(1, PICK16(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30), PICK16(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
    EXCHANGE(2, PICK16(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29), PICK16(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    EXCHANGE(4, PICK16(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27), PICK16(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    EXCHANGE(8, PICK16(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23), PICK16(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
}

static inline vec load(const float *x)
{
    vec y;
    memcpy(&y, x, sizeof y);
    return y;
}

static const float *lane_row(const block *b, int l, const float *x, int64_t stride, int width)
{
    return x + b->at[l] * stride + (int64_t)b->head[l] * width;
}

/* Rows of the lanes (row-major, stride floats) to columns (width, nv vectors), times scale. */
static void to_lanes(const block *b, const float *x, int64_t stride, int width, float scale, vec *out)
{
    int w = b->nv * LANES, whole = width / LANES * LANES;
    for (int v = 0; v < b->nv; v++) {
        for (int d = 0; d < whole; d += LANES) {
            vec square[LANES];
            for (int l = 0; l < LANES; l++) {
                square[l] = load(lane_row(b, v * LANES + l, x, stride, width) + d) * splat(scale);
            }
            transpose(square);
            for (int i = 0; i < LANES; i++) {
                out[(d + i) * b->nv + v] = square[i];
            }
        }
    }
    for (int l = 0; whole < width && l < w; l++) {
        const float *from = lane_row(b, l, x, stride, width);
        for (int d = whole; d < width; d++) {
            ((float *)out)[d * w + l] = from[d] * scale;
        }
    }
}

/* Columns (width, nv vectors) times scale (nv vectors) to the rows of the lanes in use. */
static void from_lanes(const block *b, const vec *x, const vec *scale, int width, int64_t stride, float *out)
{
    int w = b->nv * LANES, whole = width / LANES * LANES;
    for (int v = 0; v < b->nv; v++) {
        int lanes = b->count - v * LANES < LANES ? b->count - v * LANES : LANES;
        for (int d = 0; d < whole; d += LANES) {
            vec square[LANES];
            for (int i = 0; i < LANES; i++) {
                square[i] = x[(d + i) * b->nv + v] * scale[v];
            }
            transpose(square);
            for (int l = 0; l < lanes; l++) {
                int lane = v * LANES + l;
                memcpy(out + b->at[lane] * stride + (int64_t)b->head[lane] * width + d, &square[l], sizeof(vec));
            }
        }
    }
    for (int l = 0; whole < width && l < b->count; l++) {
        float *to = out + b->at[l] * stride + (int64_t)b->head[l] * width;
        for (int d = whole; d < width; d++) {
            to[d] = ((const float *)x)[d * w + l] * ((const float *)scale)[l];
        }
    }
}

/* The keys that a block sees, a tile at a time: the prefix, the parent's tokens, all of them, then the sequence's own. */
enum { PREFIX, PARENT, OWN, PARTS };
typedef struct tiles { int64_t next[PARTS], end[PARTS], own; } tiles; /* own: the sequence's first token */
typedef struct tile { int64_t first; int n, part; int32_t place; } tile; /* first: row of the prefix, or token; place: of that token, from `own` on */

static tiles tiles_of(const zo_attention *a, const zo_seqs *seqs, int s, const block *b)
{
    int parent = seqs->parent ? seqs->parent[s] : -1;
    tiles t = {.end[PREFIX] = a->prefix.n, .next[OWN] = seqs->start[s], .end[OWN] = seqs->start[s] + b->sees_most + 1, .own = seqs->start[s]};
    t.end[OWN] = t.end[OWN] < seqs->start[s + 1] ? t.end[OWN] : seqs->start[s + 1];
    if (parent >= 0) {
        t.next[PARENT] = seqs->start[parent];
        t.end[PARENT] = seqs->start[parent + 1];
    }
    int64_t least = (int64_t)b->sees_all - b->reach; /* the first token that a lane sees */
    t.next[OWN] += least > 0 ? least / TILE * TILE : 0;
    least += t.end[PARENT] - t.next[PARENT];
    t.next[PARENT] += least > 0 ? least / TILE * TILE : 0;
    return t;
}

static bool next_tile(tiles *t, tile *out)
{
    for (int part = 0; part < PARTS; part++) {
        int64_t left = t->end[part] - t->next[part];
        if (left > 0) {
            *out = (tile){.first = t->next[part], .n = (int)(left < TILE ? left : TILE), .part = part};
            out->place = (int32_t)(out->first - (part == PARENT ? t->end[PARENT] : t->own));
            t->next[part] += out->n;
            return true;
        }
    }
    return false;
}

/* A head's columns of the tile's first key and value; strides as the rows there have them. */
typedef struct tile_rows { const float *k, *v; int64_t ks, vs; } tile_rows;

static tile_rows rows_of(const zo_attention *a, const tile *t, int kv_head, const float *k, int64_t ks, const float *v, int64_t vs)
{
    tile_rows r = {k, v, ks, vs};
    if (t->part == PREFIX) {
        r = (tile_rows){a->prefix.k, a->prefix.v, (int64_t)a->kv_heads * a->head_dim, (int64_t)a->kv_heads * a->head_dim};
    }
    r.k += t->first * r.ks + (int64_t)kv_head * a->head_dim;
    r.v += t->first * r.vs + (int64_t)kv_head * a->head_dim;
    return r;
}

/* The tile's scores are capped, and those of keys that a lane does not see become -inf. */
static void cap_and_hide(const zo_attention *a, const block *b, const tile *t, float *score)
{
    int w = b->nv * LANES;
    for (int i = 0; a->softcap > 0.0f && i < t->n * w; i++) {
        score[i] = zo_softcap(score[i], a->softcap);
    }
    if (t->part == PREFIX || (t->place + t->n - 1 <= b->sees_all && b->sees_most - t->place <= b->reach)) {
        return;
    }
    for (int j = 0; j < t->n; j++) {
        for (int l = 0; l < w; l++) {
            score[j * w + l] = lane_sees(b, l, t->place + j) ? score[j * w + l] : -INFINITY;
        }
    }
}

/* ---- forward ------------------------------------------------------------------------------------------------------------ */

/* The tile's scores to exp(score - most), the running maximum and sum of every lane brought up to date; `shrink` is what sums of
 * earlier tiles must be multiplied with. */
static void softmax_tile(int n, int w, float *restrict score, float *restrict most, float *restrict sum, float *restrict shrink)
{
    float fresh[BLOCK];
    memcpy(fresh, most, (size_t)w * sizeof(float));
    for (int j = 0; j < n; j++) {
        for (int l = 0; l < w; l++) {
            fresh[l] = score[j * w + l] > fresh[l] ? score[j * w + l] : fresh[l];
        }
    }
    for (int l = 0; l < w; l++) {
        float known = fresh[l] > -INFINITY ? fresh[l] : 0.0f; /* no key was seen yet, and none is here: 0 is what comes of them */
        shrink[l] = zo_exp(most[l] - known); /* 0 at the first tile, where most is -inf */
        sum[l] *= shrink[l];
        most[l] = fresh[l];
        fresh[l] = known;
    }
    for (int j = 0; j < n; j++) {
        for (int l = 0; l < w; l++) {
            float e = zo_exp(score[j * w + l] - fresh[l]);
            score[j * w + l] = e;
            sum[l] += e;
        }
    }
}

typedef struct forward_scratch {
    vec score[TILE * VECTORS];
    float most[BLOCK], sum[BLOCK], shrink[BLOCK];
    block b;
} forward_scratch;

static size_t forward_bytes(const zo_attention *a)
{
    return sizeof(forward_scratch) + 2 * (size_t)a->head_dim * VECTORS * sizeof(vec);
}

static void attend(const zo_attention *a, const zo_seqs *seqs, int s, int kv_head, int64_t from, const asking *asks, const float *q,
                   int64_t qs, const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse, void *scratch)
{
    forward_scratch *f = scratch;
    vec *query = (vec *)(f + 1), *answer = query + (size_t)a->head_dim * VECTORS; // (head_dim, nv)
    block *b = &f->b;
    block_of(asks, from, a, seqs->start[s + 1] - seqs->start[s], b);
    int nv = b->nv, w = nv * LANES, width = a->head_dim;
    to_lanes(b, q, qs, width, a->scale, query);
    for (int l = 0; l < w; l++) {
        f->most[l] = -INFINITY;
        f->sum[l] = 0.0f;
    }
    tiles rest = tiles_of(a, seqs, s, b);
    tile t;
    for (bool first = true; next_tile(&rest, &t); first = false) {
        tile_rows r = rows_of(a, &t, kv_head, k, ks, v, vs);
        product(t.n, nv, width, r.k, r.ks, 1, query, nv, f->score, nv, false);
        cap_and_hide(a, b, &t, (float *)f->score);
        softmax_tile(t.n, w, (float *)f->score, f->most, f->sum, f->shrink);
        for (int d = 0; !first && d < width; d++) {
            for (int i = 0; i < nv; i++) {
                answer[d * nv + i] *= load(f->shrink + i * LANES);
            }
        }
        product(width, nv, t.n, r.v, 1, r.vs, f->score, nv, answer, nv, !first);
    }
    vec scale[VECTORS];
    for (int i = 0; i < nv; i++) {
        scale[i] = splat(1.0f) / load(f->sum + i * LANES);
    }
    from_lanes(b, answer, scale, width, (int64_t)a->heads * width, out);
    for (int l = 0; lse && l < b->count; l++) {
        lse[b->at[l] * a->heads + b->head[l]] = f->most[l] + zo_log(f->sum[l]);
    }
}

/* With the prefix of that point. */
static zo_attention at_point(const zo_attention *a, int64_t point)
{
    zo_attention here = *a;
    if (a->prefix.n > 0) {
        here.prefix.k += point * a->prefix.n * a->kv_heads * a->head_dim;
        here.prefix.v += point * a->prefix.n * a->kv_heads * a->head_dim;
    }
    return here;
}

/* Ask for the rows that the next head will read; a row of one head is too short for the processor to foresee the next. */
static void prefetch(const float *x, int64_t stride, int64_t n, int width)
{
    for (int64_t i = 0; i < n && i < TILE; i++) {
        for (int d = 0; d < width; d += LANES) {
            __builtin_prefetch(x + i * stride + d);
        }
    }
}

static int64_t longest(const zo_seqs *seqs)
{
    int64_t most = 0;
    for (int s = 0; s < seqs->n; s++) {
        int64_t n = seqs->start[s + 1] - seqs->start[s];
        most = n > most ? n : most;
    }
    return most;
}

void zo_cpu_attention(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, int64_t tokens, const float *q, int64_t qs,
                      const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse)
{
    int64_t rows = a->row ? a->nrows : tokens, group = a->heads / a->kv_heads;
    int64_t blocks = (longest(seqs) * group + BLOCK - 1) / BLOCK, each = (int64_t)points * seqs->n * a->kv_heads;
    /* Where there is enough work, a thread takes all heads of a sequence: their numbers lie side by side. */
    int chunk = blocks * each >= (int64_t)8 * be->threads * a->kv_heads ? a->kv_heads : 1;
    double start = zo_now();
#pragma omp parallel num_threads(be->threads)
    {
        void *scratch = zo_cpu_scratch(be, forward_bytes(a));
#pragma omp for schedule(dynamic, chunk) nowait
        for (int64_t i = 0; i < blocks * each; i++) {
            int64_t from = (blocks - 1 - i / each) * BLOCK; /* late queries see most keys: the longest work first */
            int64_t p = i % each / (seqs->n * a->kv_heads);
            int s = (int)(i / a->kv_heads % seqs->n), kv_head = (int)(i % a->kv_heads);
            asking asks = asking_of(a, seqs, s, kv_head);
            if (from < asks.lanes) {
                if (kv_head + 1 < a->kv_heads) {
                    int width = a->head_dim, next = kv_head + 1;
                    int64_t n = seqs->start[s + 1] - seqs->start[s], at = p * tokens + seqs->start[s];
                    prefetch(q + (p * rows + asks.first) * qs + (asks.head + group) * width, qs, asks.n, (int)group * width);
                    prefetch(k + at * ks + next * width, ks, n, width);
                    prefetch(v + at * vs + next * width, vs, n, width);
                }
                zo_attention here = at_point(a, p);
                attend(&here, seqs, s, kv_head, from, &asks, q + p * rows * qs, qs, k + p * tokens * ks, ks, v + p * tokens * vs, vs,
                       out + p * rows * a->heads * a->head_dim, lse ? lse + p * rows * a->heads : NULL, scratch);
            }
        }
    }
    zo_part_add(ZO_PART_ATTENTION, zo_now() - start);
}

/* ---- backward ----------------------------------------------------------------------------------------------------------- */

typedef struct backward_scratch {
    vec score[TILE * VECTORS], slope[TILE * VECTORS];
    float lse[BLOCK], inner[BLOCK]; /* inner = sum of dout * out, the softmax's own share */
    block b;
} backward_scratch;

/* A row of head_dim floats in whole vectors. */
static int row_vectors(const zo_attention *a)
{
    return (a->head_dim + LANES - 1) / LANES;
}

static size_t backward_bytes(const zo_attention *a)
{
    return sizeof(backward_scratch) +
           (3 * (size_t)a->head_dim * VECTORS + (2 * BLOCK + TILE) * (size_t)row_vectors(a)) * sizeof(vec);
}

static void add_rows(const vec *from, int ld, int n, int width, float *to, int64_t stride)
{
    for (int j = 0; j < n; j++) {
        const float *restrict x = (const float *)(from + j * ld);
        float *restrict y = to + j * stride;
        for (int d = 0; d < width; d++) {
            y[d] += x[d];
        }
    }
}

/* What zo_cpu_attention_backward is given: see its slot in backend.h. */
typedef struct gradient_args {
    const zo_attention *a;
    const zo_seqs *seqs;
    const float *q, *k, *v;
    int64_t qs, ks, vs;
    const float *out, *lse, *dout;
    float *dq, *dk, *dv;
} gradient_args;

/* The block of queries of one sequence and key head that begins at lane `from`: dq is written, dk and dv of the batch's tokens are added to.
 * With to_prefix: those of the prefix are added to, and nothing else. */
static void attend_backward(const gradient_args *g, int s, int kv_head, int64_t from, const asking *asks, bool to_prefix, void *scratch)
{
    const zo_attention *a = g->a;
    const zo_seqs *seqs = g->seqs;
    int64_t qs = g->qs, ks = g->ks, vs = g->vs;
    backward_scratch *f = scratch;
    block *b = &f->b;
    int width = a->head_dim, rv = row_vectors(a);
    int64_t os = (int64_t)a->heads * width;
    vec *query = (vec *)(f + 1), *slopes = query + (size_t)width * VECTORS, *dquery = slopes + (size_t)width * VECTORS;
    vec *query_row = dquery + (size_t)width * VECTORS, *slope_row = query_row + BLOCK * (size_t)rv; // (lane, rv)
    vec *made = slope_row + BLOCK * (size_t)rv;                                                       // (TILE, rv)
    block_of(asks, from, a, seqs->start[s + 1] - seqs->start[s], b);
    int nv = b->nv, w = nv * LANES;
    to_lanes(b, g->q, qs, width, a->scale, query);
    to_lanes(b, g->dout, os, width, 1.0f, slopes);
    memset(query_row, 0, 2 * BLOCK * (size_t)rv * sizeof(vec));
    for (int l = 0; l < w; l++) {
        int64_t at = b->at[l] * os + (int64_t)b->head[l] * width;
        const float *ql = g->q + b->at[l] * qs + (int64_t)b->head[l] * width, *dl = g->dout + at, *ol = g->out + at;
        float *q_to = (float *)(query_row + l * rv), *d_to = (float *)(slope_row + l * rv), inner = 0.0f;
        for (int d = 0; d < width; d++) {
            q_to[d] = ql[d] * a->scale;
            d_to[d] = dl[d];
            inner = fmaf(dl[d], ol[d], inner);
        }
        f->inner[l] = inner;
        f->lse[l] = l < b->count ? g->lse[b->at[l] * a->heads + b->head[l]] : INFINITY; /* idle lanes: probability 0 */
    }
    tiles rest = tiles_of(a, seqs, s, b);
    if (to_prefix) {
        rest.end[PARENT] = rest.end[OWN] = 0;
    }
    tile t;
    for (bool first = true; next_tile(&rest, &t); first = false) {
        tile_rows r = rows_of(a, &t, kv_head, g->k, ks, g->v, vs);
        float *score = (float *)f->score, *slope = (float *)f->slope;
        product(t.n, nv, width, r.k, r.ks, 1, query, nv, f->score, nv, false);
        cap_and_hide(a, b, &t, score);
        product(t.n, nv, width, r.v, r.vs, 1, slopes, nv, f->slope, nv, false);
        for (int j = 0; j < t.n; j++) {
            for (int l = 0; l < w; l++) {
                float capped = score[j * w + l], p = zo_exp(capped - f->lse[l]);
                score[j * w + l] = p;
                slope[j * w + l] = p * (slope[j * w + l] - f->inner[l]);
                if (a->softcap > 0.0f && capped > -INFINITY) {
                    slope[j * w + l] *= zo_softcap_slope(capped, a->softcap);
                }
            }
        }
        if (!to_prefix) {
            product(width, nv, t.n, r.k, 1, r.ks, f->slope, nv, dquery, nv, !first);
        }
        if ((t.part == PREFIX) == to_prefix) {
            float *dk = to_prefix ? a->prefix.dk : g->dk, *dv = to_prefix ? a->prefix.dv : g->dv;
            product(t.n, rv, w, score, w, 1, slope_row, rv, made, rv, false);
            add_rows(made, rv, t.n, width, dv + t.first * r.vs + (int64_t)kv_head * width, r.vs);
            product(t.n, rv, w, slope, w, 1, query_row, rv, made, rv, false);
            add_rows(made, rv, t.n, width, dk + t.first * r.ks + (int64_t)kv_head * width, r.ks);
        }
    }
    if (!to_prefix) {
        vec scale[VECTORS] = {splat(a->scale), splat(a->scale), splat(a->scale), splat(a->scale)};
        from_lanes(b, dquery, scale, width, qs, g->dq);
    }
}

static void sequence_backward(const gradient_args *g, int s, int kv_head, bool to_prefix, void *scratch)
{
    asking asks = asking_of(g->a, g->seqs, s, kv_head);
    for (int64_t from = 0; from < asks.lanes; from += BLOCK) {
        attend_backward(g, s, kv_head, from, &asks, to_prefix, scratch);
    }
}

void zo_cpu_attention_backward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q, int64_t qs,
                               const float *k, int64_t ks, const float *v, int64_t vs, const float *out, const float *lse,
                               const float *dout, float *dq, float *dk, float *dv)
{
    (void)tokens;
    const gradient_args args = {.a = a, .seqs = seqs, .q = q, .k = k, .v = v, .qs = qs, .ks = ks, .vs = vs, .out = out, .lse = lse, .dout = dout,
                                .dq = dq, .dk = dk, .dv = dv};
    int width = a->head_dim, prefix_heads = a->prefix.n > 0 && a->prefix.dk != NULL ? a->kv_heads : 0;
    double start = zo_now();
#pragma omp parallel num_threads(be->threads)
    {
        void *scratch = zo_cpu_scratch(be, backward_bytes(a));
#pragma omp for schedule(dynamic) nowait
        for (int64_t i = 0; i < (int64_t)seqs->n * a->kv_heads; i++) {
            int root = (int)(i / a->kv_heads), kv_head = (int)(i % a->kv_heads);
            if (seqs->parent && seqs->parent[root] >= 0) {
                continue; /* with its parent, whose keys it adds to */
            }
            for (int s = root; s < (seqs->parent ? seqs->n : root + 1); s++) {
                if (s != root && seqs->parent[s] != root) {
                    continue;
                }
                for (int64_t t = seqs->start[s]; t < seqs->start[s + 1]; t++) {
                    memset(dk + t * ks + (int64_t)kv_head * width, 0, (size_t)width * sizeof(float));
                    memset(dv + t * vs + (int64_t)kv_head * width, 0, (size_t)width * sizeof(float));
                }
                sequence_backward(&args, s, kv_head, false, scratch);
            }
        }
        /* Every sequence adds to the prefix: a thread has a key head, and goes through them in their order. */
#pragma omp for schedule(dynamic) nowait
        for (int kv_head = 0; kv_head < prefix_heads; kv_head++) {
            for (int s = 0; s < seqs->n; s++) {
                sequence_backward(&args, s, kv_head, true, scratch);
            }
        }
    }
    zo_part_add(ZO_PART_BACKWARD, zo_now() - start);
}
