/* attention.cu: rotary positions and attention over packed sequences, forward and backward, in f32.
 *
 * Streaming softmax over tiles of keys (Milakov & Gimelshein, arXiv 1805.02867; FlashAttention, arXiv 2205.14135), so nothing of size
 * sequence x sequence exists; the backward pass makes the probabilities again from the log-sum-exp. As in cpu/attention.c the queries of
 * all heads that share a key head stand side by side as the lanes of one list, and what a query gets does not depend on what else is in
 * the batch. A block has 16 x 8 threads: a thread has R rows of a tile of scores and C of its columns. Two kernels in the backward pass,
 * one that owns queries (dq) and one that owns keys (dk, dv): no atomics, so bits do not depend on the schedule.
 * It does not: use tensor cores, drop out, mask padding (there is none), keep keys over calls. */
#include <string.h>

#include "backends/act.h"
#include "backends/cuda/access.cuh"

enum { THREADS = 128, DOWN = 16, ACROSS = 8, FILL = 32 }; /* THREADS = DOWN x ACROSS; see stage_work for FILL */

/* ---- rotary positions ---------------------------------------------------------------------------------------------------------- */

/* A block a row of x: heads * head_dim numbers of it. */
static __global__ void __launch_bounds__(THREADS) rope_rows(const float *cosine, const float *sine, const int32_t *position, int64_t tokens,
                                                            int heads, int head_dim, int half, bool interleaved, int64_t stride, float sign, bool wide,
                                                            float *x)
{
    const float *c = cosine + (int64_t)position[blockIdx.x % tokens] * half, *s = sine + (int64_t)position[blockIdx.x % tokens] * half;
    float *row = x + blockIdx.x * stride;
    int quads = (half + 3) / 4;
    for (int i = (int)threadIdx.x; i < heads * quads; i += THREADS) {
        float *low = row + (int64_t)(i / quads) * head_dim, *high = low + half, a[4], b[4], cx[4], sx[4], first[4], second[4];
        int d = 4 * (i % quads);
        if (interleaved) {
            zo_load4(low, 2 * d, 0, 2 * half, wide, first);
            zo_load4(low, 2 * d + 4, 0, 2 * half, wide, second);
#pragma unroll
            for (int l = 0; l < 4; l++) {
                a[l] = l < 2 ? first[2 * l] : second[2 * l - 4];
                b[l] = l < 2 ? first[2 * l + 1] : second[2 * l - 3];
            }
        } else {
            zo_load4(low, d, 0, half, wide, a);
            zo_load4(high, d, 0, half, wide, b);
        }
        zo_load4(c, d, 0, half, wide, cx);
        zo_load4(s, d, 0, half, wide, sx);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            float t = sign * sx[l];
            first[l] = fmaf(a[l], cx[l], -(b[l] * t));
            second[l] = fmaf(b[l], cx[l], a[l] * t);
        }
        if (interleaved) {
#pragma unroll
            for (int l = 0; l < 4; l++) {
                a[l] = l % 2 == 0 ? first[l / 2] : second[l / 2];
                b[l] = l % 2 == 0 ? first[2 + l / 2] : second[2 + l / 2];
            }
            zo_store4(low, 2 * d, 0, 2 * half, wide, a);
            zo_store4(low, 2 * d + 4, 0, 2 * half, wide, b);
        } else {
            zo_store4(low, d, 0, half, wide, first);
            zo_store4(high, d, 0, half, wide, second);
        }
    }
}

void zo_cuda_rope(zo_backend *be, const zo_rope *rope, const int32_t *position, int points, int64_t tokens, int heads, int64_t stride,
                  bool inverse, float *x)
{
    if (points == 0 || tokens == 0) {
        return;
    }
    zo_cuda_part(be, ZO_PART_ATTENTION);
    int half = rope->dims / 2;
    bool wide = half % 4 == 0 && rope->head_dim % 4 == 0 && zo_cuda_wide(x, stride) && zo_cuda_wide(rope->cos, half) && zo_cuda_wide(rope->sin, half);
    const int32_t *at = static_cast<const int32_t *>(zo_cuda_stage_kept(be, ZO_CUDA_POSITIONS, position, (size_t)tokens * sizeof *at));
    ZO_MOVES(8 * points * tokens * heads * half, 8 * points * tokens * heads * half);
    ZO_LAUNCH(rope_rows, zo_cuda_grid(points * tokens, 1), THREADS, 0, zo_cuda_of(be)->stream, rope->cos, rope->sin, at, tokens, heads,
              rope->head_dim, half, rope->interleaved, stride, inverse ? -1.0f : 1.0f, wide, x);
}

/* ---- who asks and who answers -------------------------------------------------------------------------------------------------- */

struct sequence {
    int32_t start, tokens;               /* own tokens */
    int32_t parent_start, parent_tokens; /* 0 tokens: no parent */
    int32_t first, queries;              /* rows of q, out and lse */
    int32_t parent;
};

enum { NOBODY = -1, PREFIX = -2 }; /* in the place of a sequence */

struct work { int32_t sequence, from; }; /* a block's first lane, or first key */

struct attention_args {
    const float *q, *k, *v, *out, *lse, *dout, *inner; /* inner (rows, heads): sum of dout * out, the softmax's own share */
    float *to_out, *to_lse, *dq, *dk, *dv;
    int64_t qs, ks, vs, rows, tokens; /* rows of q at a point */
    const sequence *seq;
    const work *list;
    const int32_t *row; /* (rows) tokens that ask, or NULL */
    const float *prefix_k, *prefix_v; /* (P, prefix, width_kv) */
    float *prefix_dk, *prefix_dv;     /* (prefix, width_kv) */
    int64_t width_kv;
    int nseqs, heads, group, head_dim, prefix;
    int reach; /* how many tokens before its last a query sees; INT32_MAX: all */
    int ahead; /* how many tokens behind itself it sees; INT32_MAX: all */
    float scale, softcap;
    bool wide;
};

/* Where the lanes of a block read and write, and the last own token that each sees. */
template <int N>
struct lanes {
    int32_t at[N], head[N], sees[N];
    float lse[N], inner[N];
};

/* The last own token that query i of a sequence sees; a window may end behind the sequence. */
static __device__ __forceinline__ int last_seen(const attention_args &a, const sequence &s, int i)
{
    return a.ahead == INT32_MAX ? s.tokens - 1 : (a.row == nullptr ? i : a.row[s.first + i] - s.start) + a.ahead;
}

/* Lane l of a sequence and key head is query l % queries of head kv_head * group + l / queries. Lanes past the last have at = -1. */
template <int N>
static __device__ __forceinline__ void lanes_fill(const attention_args &a, const sequence &s, int kv_head, int from, lanes<N> *to)
{
    for (int l = (int)threadIdx.x; l < N; l += THREADS) {
        int lane = from + l, i = lane % s.queries;
        bool used = lane < s.queries * a.group;
        to->at[l] = used ? s.first + i : -1;
        to->head[l] = kv_head * a.group + lane / s.queries;
        to->sees[l] = last_seen(a, s, i);
        to->lse[l] = used && a.lse != nullptr ? a.lse[(int64_t)to->at[l] * a.heads + to->head[l]] : INFINITY; /* idle: probability 0 */
        to->inner[l] = used && a.inner != nullptr ? a.inner[(int64_t)to->at[l] * a.heads + to->head[l]] : 0.0f;
    }
}

/* Does a query whose last token is `sees` see the one at `place`? Both are counted from one token. */
static __device__ __forceinline__ bool is_seen(const attention_args &a, int sees, int place)
{
    return place <= sees && sees - place <= a.reach;
}

/* The least `sees` of lanes from .. from + n - 1. */
static __device__ __forceinline__ int sees_least(const attention_args &a, const sequence &s, int from, int n)
{
    int last = from + n < s.queries * a.group ? from + n - 1 : s.queries * a.group - 1;
    return last_seen(a, s, last / s.queries > from / s.queries ? 0 : from % s.queries);
}

/* The last own token that one of lanes from .. from + n - 1 sees, without looking at them all. */
static __device__ __forceinline__ int sees_most(const attention_args &a, const sequence &s, int from, int n)
{
    int last = from + n < s.queries * a.group ? from + n - 1 : s.queries * a.group - 1;
    int most = last_seen(a, s, last / s.queries > from / s.queries ? s.queries - 1 : last % s.queries);
    return most < s.tokens ? most : s.tokens - 1;
}

/* ---- tiles in shared memory: rows of D + 4 floats, zero where there is nothing ------------------------------------------------- */

/* to (N, D + 4): rows of the lanes, the first n, and zeros up to a multiple of four. */
template <int D, int N>
static __device__ __forceinline__ void load_lanes(const attention_args &a, const lanes<N> *l, int n, const float *from, int64_t stride,
                                                  float scale, float *to)
{
    for (int i = (int)threadIdx.x; i < (n + 3) / 4 * D; i += THREADS) {
        int r = i / (D / 4), d = 4 * (i % (D / 4));
        float x[4] = {0.0f, 0.0f, 0.0f, 0.0f};
        if (l->at[r] >= 0) {
            zo_load4(from + l->at[r] * stride + l->head[r] * a.head_dim, d, 0, a.head_dim, a.wide, x);
        }
        *reinterpret_cast<float4 *>(to + r * (D + 4) + d) = make_float4(x[0] * scale, x[1] * scale, x[2] * scale, x[3] * scale);
    }
}

/* to (N, D + 4): rows first .. first + n - 1 of keys or values, `from` being the head's first column. Rows after those up to a multiple of
 * four become zero, the rest stays what it was. */
template <int D>
static __device__ __forceinline__ void load_keys(const attention_args &a, const float *from, int64_t stride, int64_t first, int n, float *to)
{
    for (int i = (int)threadIdx.x; i < (n + 3) / 4 * D; i += THREADS) {
        int r = i / (D / 4), d = 4 * (i % (D / 4));
        float x[4];
        zo_load4(from + (first + (r < n ? r : 0)) * stride, d, 0, r < n ? a.head_dim : 0, a.wide, x);
        *reinterpret_cast<float4 *>(to + r * (D + 4) + d) = make_float4(x[0], x[1], x[2], x[3]);
    }
}

/* s[i][c] = x row (ty R + i) . y row (tx + 8 c), c < M, over `width` columns, in their order. */
template <int D, int R, int C, int M>
static __device__ __forceinline__ void products_of(const float *x, const float *y, int width, float s[R][C])
{
    int tx = (int)(threadIdx.x % ACROSS), ty = (int)(threadIdx.x / ACROSS);
#pragma unroll 2
    for (int d = 0; d < width; d += 4) {
        float4 one[R];
#pragma unroll
        for (int i = 0; i < R; i++) {
            one[i] = *reinterpret_cast<const float4 *>(x + (ty * R + i) * (D + 4) + d);
        }
#pragma unroll
        for (int c = 0; c < M; c++) {
            float4 two = *reinterpret_cast<const float4 *>(y + (tx + ACROSS * c) * (D + 4) + d);
#pragma unroll
            for (int i = 0; i < R; i++) {
                s[i][c] = fmaf(one[i].x, two.x, s[i][c]);
                s[i][c] = fmaf(one[i].y, two.y, s[i][c]);
                s[i][c] = fmaf(one[i].z, two.z, s[i][c]);
                s[i][c] = fmaf(one[i].w, two.w, s[i][c]);
            }
        }
    }
}

/* The same for the first n rows of y; where they fit into half of a tile, only that half is made. What stands in s for others is nonsense. */
template <int D, int R, int C>
static __device__ __forceinline__ void products(const float *x, const float *y, int n, int width, float s[R][C])
{
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int c = 0; c < C; c++) {
            s[i][c] = 0.0f;
        }
    }
    if (2 * n <= ACROSS * C) {
        products_of<D, R, C, C / 2>(x, y, width, s);
    } else {
        products_of<D, R, C, C>(x, y, width, s);
    }
}

/* A thread's scores to its places in the tile (16 R, 8 C + 4). Rows are read only by the warp that wrote them. */
template <int R, int C>
static __device__ __forceinline__ void put_scores(const float s[R][C], float *score)
{
    int tx = (int)(threadIdx.x % ACROSS), ty = (int)(threadIdx.x / ACROSS);
    __syncwarp(); /* the last use of these rows is over */
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int c = 0; c < C; c++) {
            score[(ty * R + i) * (ACROSS * C + 4) + tx + ACROSS * c] = s[i][c];
        }
    }
    __syncwarp();
}

/* sum[i][4 c + l] += over k < n: score row (ty R + i) [k] * y row k, column 4 tx + 32 c + l, in the order of k. */
template <int D, int R, int C>
static __device__ __forceinline__ void accumulate(const float *score, const float *y, int n, int width, float sum[R][D / ACROSS])
{
    int tx = (int)(threadIdx.x % ACROSS), ty = (int)(threadIdx.x / ACROSS);
    for (int k = 0; k < n; k += 4) {
        float4 all[R];
#pragma unroll
        for (int i = 0; i < R; i++) {
            all[i] = *reinterpret_cast<const float4 *>(score + (ty * R + i) * (ACROSS * C + 4) + k);
        }
#pragma unroll
        for (int part = 0; part < 4; part++) {
#pragma unroll
            for (int c = 0; c < D / 32; c++) {
                if (32 * c < width) {
                    float4 value = *reinterpret_cast<const float4 *>(y + (k + part) * (D + 4) + 4 * tx + 32 * c);
#pragma unroll
                    for (int i = 0; i < R; i++) {
                        float p = part == 0 ? all[i].x : part == 1 ? all[i].y : part == 2 ? all[i].z : all[i].w;
                        sum[i][4 * c] = fmaf(p, value.x, sum[i][4 * c]);
                        sum[i][4 * c + 1] = fmaf(p, value.y, sum[i][4 * c + 1]);
                        sum[i][4 * c + 2] = fmaf(p, value.z, sum[i][4 * c + 2]);
                        sum[i][4 * c + 3] = fmaf(p, value.w, sum[i][4 * c + 3]);
                    }
                }
            }
        }
    }
}

/* One row of a thread's sums, times scale, to a row of head_dim floats, or added to it. */
template <int D>
static __device__ __forceinline__ void put_row(const attention_args &a, const float sum[D / ACROSS], float scale, bool add, float *to)
{
    int tx = (int)(threadIdx.x % ACROSS);
#pragma unroll
    for (int c = 0; c < D / 32; c++) {
        float x[4], before[4];
        if (add) {
            zo_load4(to, 4 * tx + 32 * c, 0, a.head_dim, a.wide, before);
        }
#pragma unroll
        for (int l = 0; l < 4; l++) {
            x[l] = sum[4 * c + l] * scale;
            x[l] = add ? before[l] + x[l] : x[l];
        }
        zo_store4(to, 4 * tx + 32 * c, 0, a.head_dim, a.wide, x);
    }
}

template <int D, int R>
static __device__ __forceinline__ void clear(float sum[R][D / ACROSS])
{
#pragma unroll
    for (int i = 0; i < R; i++) {
#pragma unroll
        for (int d = 0; d < D / ACROSS; d++) {
            sum[i][d] = 0.0f;
        }
    }
}

/* The tiles of N keys that a block sees: the prefix, the parent's tokens, then the sequence's own up to `most`. Those that no query sees for its
 * window are passed over whole, so that the others begin where they would without. */
struct tile {
    int64_t first; /* token, or row of the prefix */
    int n;
    bool prefix;
    int32_t at;    /* the first key, counted from the first of its kind */
    int32_t place; /* the same from the sequence's first token: the parent's are negative */
};

struct tiles { int prefix, parent, parent_from, own_from, n; }; /* their numbers; the first of a kind that is not passed over */

template <int N>
static __device__ __forceinline__ tiles tiles_of(const attention_args &a, const sequence &s, int least, int most)
{
    tiles t;
    int64_t first = (int64_t)least - a.reach, before = first + s.parent_tokens; /* the first key that a query sees, from the own and the parent's first */
    t.prefix = (a.prefix + N - 1) / N;
    t.parent = (s.parent_tokens + N - 1) / N;
    t.own_from = first > 0 ? (int)(first / N) : 0;
    t.parent_from = first > 0 ? t.parent : before > 0 ? (int)(before / N) : 0;
    t.parent -= t.parent_from;
    t.n = t.prefix + t.parent + (most + N) / N - t.own_from;
    return t;
}

template <int N>
static __device__ __forceinline__ tile tile_of(const attention_args &a, const sequence &s, const tiles &all, int most, int i)
{
    int before = all.prefix, own_at = before + all.parent;
    tile t;
    bool own = i >= own_at;
    t.prefix = i < before;
    t.at = N * (own ? i - own_at + all.own_from : t.prefix ? i : i - before + all.parent_from);
    t.place = own ? t.at : t.at - s.parent_tokens;
    int left = (own ? most + 1 : t.prefix ? a.prefix : s.parent_tokens) - t.at;
    t.first = (int64_t)(own ? s.start : t.prefix ? 0 : s.parent_start) + t.at;
    t.n = left < N ? left : N;
    return t;
}

/* A tile's keys or values to shared memory: `x` and `prefix` are those of the point and key head. */
template <int D>
static __device__ __forceinline__ void load_tile(const attention_args &a, const tile &t, const float *x, int64_t stride, const float *prefix,
                                                 float *to)
{
    load_keys<D>(a, t.prefix ? prefix : x, t.prefix ? a.width_kv : stride, t.first, t.n, to);
}

/* Sum and maximum over the threads that share rows: 8 lanes of a warp. */
static __device__ __forceinline__ float across_sum(float x)
{
#pragma unroll
    for (int step = ACROSS / 2; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xFFFFFFFFu, x, step);
    }
    return x;
}

static __device__ __forceinline__ float across_max(float x)
{
#pragma unroll
    for (int step = ACROSS / 2; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xFFFFFFFFu, x, step);
        x = other > x ? other : x;
    }
    return x;
}

/* ---- forward -------------------------------------------------------------------------------------------------------------------- */

/* blockIdx: work, key head, point. Shared: queries (16 R), keys or values (8 C), scores. */
template <int D, int R, int C>
struct forward_shape {
    enum { QUERIES = DOWN * R, KEYS = ACROSS * C, LD = D + 4, BYTES = 4 * (QUERIES * LD + KEYS * LD + QUERIES * (KEYS + 4)) };
};

template <int D, int R, int C>
static __global__ void __launch_bounds__(THREADS) attend(attention_args a)
{
    typedef forward_shape<D, R, C> shape;
    __shared__ lanes<shape::QUERIES> who;
    ZO_SHARED_DYNAMIC(float, query);
    float *other = query + shape::QUERIES * shape::LD, *score = other + shape::KEYS * shape::LD;
    int tx = (int)(threadIdx.x % ACROSS), ty = (int)(threadIdx.x / ACROSS), kv_head = (int)blockIdx.y;
    int64_t p = blockIdx.z;
    work item = a.list[blockIdx.x];
    if (item.sequence == NOBODY) {
        return;
    }
    sequence s = a.seq[item.sequence];
    const float *k = a.k + p * a.tokens * a.ks + kv_head * a.head_dim, *v = a.v + p * a.tokens * a.vs + kv_head * a.head_dim;
    const float *prefix_k = a.prefix_k + p * a.prefix * a.width_kv + kv_head * a.head_dim;
    const float *prefix_v = a.prefix_v + p * a.prefix * a.width_kv + kv_head * a.head_dim;
    lanes_fill(a, s, kv_head, item.from, &who);
    __syncthreads();
    load_lanes<D>(a, &who, shape::QUERIES, a.q + p * a.rows * a.qs, a.qs, a.scale, query);
    int last = sees_most(a, s, item.from, shape::QUERIES);
    tiles all_tiles = tiles_of<shape::KEYS>(a, s, sees_least(a, s, item.from, shape::QUERIES), last);
    float most[R], sum[R], answer[R][D / ACROSS];
    clear<D, R>(answer);
#pragma unroll
    for (int i = 0; i < R; i++) {
        most[i] = -INFINITY;
        sum[i] = 0.0f;
    }
    for (int at = 0; at < all_tiles.n; at++) {
        tile t = tile_of<shape::KEYS>(a, s, all_tiles, last, at);
        __syncthreads(); /* the last use of `other` is over */
        load_tile<D>(a, t, k, a.ks, prefix_k, other);
        __syncthreads();
        float now[R][C];
        products<D, R, C>(query, other, t.n, a.head_dim, now);
        __syncthreads();
        load_tile<D>(a, t, v, a.vs, prefix_v, other);
#pragma unroll
        for (int i = 0; i < R; i++) {
            int sees = who.sees[ty * R + i] - t.place; /* last key of the tile that is seen */
            float fresh = most[i];
#pragma unroll
            for (int c = 0; c < C; c++) {
                int key = tx + ACROSS * c;
                if (a.softcap > 0.0f) {
                    now[i][c] = zo_softcap(now[i][c], a.softcap);
                }
                now[i][c] = key < t.n && (t.prefix || is_seen(a, sees, key)) ? now[i][c] : -INFINITY;
                fresh = now[i][c] > fresh ? now[i][c] : fresh;
            }
            fresh = across_max(fresh);
            float known = fresh > -INFINITY ? fresh : 0.0f; /* no key was seen yet, and none is here: 0 is what comes of them */
            float shrink = zo_exp(most[i] - known); /* 0 at the first tile, where most is -inf */
            most[i] = fresh;
            sum[i] *= shrink;
#pragma unroll
            for (int c = 0; c < C; c++) {
                now[i][c] = ACROSS * c < t.n ? zo_exp(now[i][c] - known) : 0.0f;
                sum[i] += now[i][c];
            }
#pragma unroll
            for (int d = 0; d < D / ACROSS; d++) {
                answer[i][d] *= shrink;
            }
        }
        put_scores<R, C>(now, score);
        __syncthreads();
        accumulate<D, R, C>(score, other, t.n, a.head_dim, answer);
    }
#pragma unroll
    for (int i = 0; i < R; i++) {
        float all = across_sum(sum[i]);
        int64_t row = who.at[ty * R + i], head = who.head[ty * R + i];
        if (row >= 0) {
            row += p * a.rows;
            put_row<D>(a, answer[i], 1.0f / all, false, a.to_out + (row * a.heads + head) * a.head_dim);
            if (a.to_lse != nullptr && tx == 0) {
                a.to_lse[row * a.heads + head] = most[i] + zo_log(all);
            }
        }
    }
}

/* ---- backward ------------------------------------------------------------------------------------------------------------------- */

/* inner (rows, heads): a warp a sum of head_dim products. */
static __global__ void __launch_bounds__(THREADS) inner_rows(const float *out, const float *dout, int64_t n, int head_dim, float *inner)
{
    int64_t i = (int64_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32;
    if (i >= n) {
        return; /* with its whole warp */
    }
    float sum = 0.0f;
    for (int d = (int)(threadIdx.x % 32); d < head_dim; d += 32) {
        sum = fmaf(dout[i * head_dim + d], out[i * head_dim + d], sum);
    }
    sum = zo_warp_sum(sum);
    if (threadIdx.x % 32 == 0) {
        inner[i] = sum;
    }
}

/* Shared: queries and their slopes (16 R each), values or keys (8 C), scores. */
template <int D, int R, int C>
struct query_shape {
    enum { QUERIES = DOWN * R, KEYS = ACROSS * C, LD = D + 4, BYTES = 4 * (2 * QUERIES * LD + KEYS * LD + QUERIES * (KEYS + 4)) };
};

template <int D, int R, int C>
static __global__ void __launch_bounds__(THREADS) attend_backward_queries(attention_args a)
{
    typedef query_shape<D, R, C> shape;
    __shared__ lanes<shape::QUERIES> who;
    ZO_SHARED_DYNAMIC(float, query);
    float *slope = query + shape::QUERIES * shape::LD, *other = slope + shape::QUERIES * shape::LD, *score = other + shape::KEYS * shape::LD;
    int tx = (int)(threadIdx.x % ACROSS), ty = (int)(threadIdx.x / ACROSS), kv_head = (int)blockIdx.y;
    work item = a.list[blockIdx.x];
    sequence s = a.seq[item.sequence];
    const float *k = a.k + kv_head * a.head_dim, *v = a.v + kv_head * a.head_dim;
    const float *prefix_k = a.prefix_k + kv_head * a.head_dim, *prefix_v = a.prefix_v + kv_head * a.head_dim;
    lanes_fill(a, s, kv_head, item.from, &who);
    __syncthreads();
    load_lanes<D>(a, &who, shape::QUERIES, a.q, a.qs, a.scale, query);
    load_lanes<D>(a, &who, shape::QUERIES, a.dout, (int64_t)a.heads * a.head_dim, 1.0f, slope);
    int last = sees_most(a, s, item.from, shape::QUERIES);
    float sum[R][D / ACROSS];
    clear<D, R>(sum);
    tiles all_tiles = tiles_of<shape::KEYS>(a, s, sees_least(a, s, item.from, shape::QUERIES), last);
    for (int at = 0; at < all_tiles.n; at++) {
        tile t = tile_of<shape::KEYS>(a, s, all_tiles, last, at);
        float now[R][C], steep[R][C];
        __syncthreads();
        load_tile<D>(a, t, v, a.vs, prefix_v, other);
        __syncthreads();
        products<D, R, C>(slope, other, t.n, a.head_dim, steep);
        __syncthreads();
        load_tile<D>(a, t, k, a.ks, prefix_k, other);
        __syncthreads();
        products<D, R, C>(query, other, t.n, a.head_dim, now);
#pragma unroll
        for (int i = 0; i < R; i++) {
            int sees = who.sees[ty * R + i] - t.place;
            float lse = who.lse[ty * R + i], inner = who.inner[ty * R + i];
#pragma unroll
            for (int c = 0; c < C; c++) {
                int key = tx + ACROSS * c;
                bool seen = key < t.n && (t.prefix || is_seen(a, sees, key));
                float capped = a.softcap > 0.0f ? zo_softcap(now[i][c], a.softcap) : now[i][c];
                now[i][c] = seen ? zo_exp(capped - lse) * (steep[i][c] - inner) : 0.0f;
                if (seen && a.softcap > 0.0f) {
                    now[i][c] *= zo_softcap_slope(capped, a.softcap);
                }
            }
        }
        put_scores<R, C>(now, score);
        accumulate<D, R, C>(score, other, t.n, a.head_dim, sum);
    }
#pragma unroll
    for (int i = 0; i < R; i++) {
        int64_t row = who.at[ty * R + i], head = who.head[ty * R + i];
        if (row >= 0) {
            put_row<D>(a, sum[i], a.scale, false, a.dq + row * a.qs + head * a.head_dim);
        }
    }
}

/* Shared: keys and values (16 R each), queries and their slopes (8 C each), scores. */
template <int D, int R, int C>
struct key_shape {
    enum { KEYS = DOWN * R, QUERIES = ACROSS * C, LD = D + 4, BYTES = 4 * (2 * KEYS * LD + 2 * QUERIES * LD + KEYS * (QUERIES + 4)) };
};

/* The sequence's own queries ask its keys, and those of its children, in their order. All queries ask the prefix, whose gradients are added to
 * what is there. */
template <int D, int R, int C>
static __global__ void __launch_bounds__(THREADS) attend_backward_keys(attention_args a)
{
    typedef key_shape<D, R, C> shape;
    __shared__ lanes<shape::QUERIES> who;
    ZO_SHARED_DYNAMIC(float, key);
    float *value = key + shape::KEYS * shape::LD, *query = value + shape::KEYS * shape::LD;
    float *slope = query + shape::QUERIES * shape::LD, *score = slope + shape::QUERIES * shape::LD;
    int tx = (int)(threadIdx.x % ACROSS), ty = (int)(threadIdx.x / ACROSS), kv_head = (int)blockIdx.y;
    work item = a.list[blockIdx.x];
    bool prefix = item.sequence == PREFIX;
    tile t;
    t.prefix = prefix;
    t.n = (prefix ? a.prefix : a.seq[item.sequence].tokens) - item.from;
    t.n = t.n < shape::KEYS ? t.n : shape::KEYS;
    t.first = (int64_t)(prefix ? 0 : a.seq[item.sequence].start) + item.from;
    load_tile<D>(a, t, a.k + kv_head * a.head_dim, a.ks, a.prefix_k + kv_head * a.head_dim, key);
    load_tile<D>(a, t, a.v + kv_head * a.head_dim, a.vs, a.prefix_v + kv_head * a.head_dim, value);
    float dk[R][D / ACROSS], dv[R][D / ACROSS];
    clear<D, R>(dk);
    clear<D, R>(dv);
    for (int j = prefix ? 0 : item.sequence; j < a.nseqs; j++) {
        sequence s = a.seq[j];
        bool child = j != item.sequence;
        if (child && !prefix && s.parent != item.sequence) {
            continue;
        }
        int all = s.queries * a.group, place = child ? item.from - s.parent_tokens : item.from; /* of the first key, from the queries' first token */
        for (int from = 0; from < all; from += shape::QUERIES) {
            int n = all - from < shape::QUERIES ? all - from : shape::QUERIES;
            if (!prefix && (sees_most(a, s, from, n) < place || (int64_t)sees_least(a, s, from, n) - a.reach > place + t.n - 1)) {
                continue;
            }
            __syncthreads();
            lanes_fill(a, s, kv_head, from, &who);
            __syncthreads();
            load_lanes<D>(a, &who, n, a.q, a.qs, a.scale, query);
            load_lanes<D>(a, &who, n, a.dout, (int64_t)a.heads * a.head_dim, 1.0f, slope);
            __syncthreads();
            float now[R][C], steep[R][C];
            products<D, R, C>(key, query, n, a.head_dim, now);
            products<D, R, C>(value, slope, n, a.head_dim, steep);
#pragma unroll
            for (int c = 0; c < C; c++) {
                int l = tx + ACROSS * c, sees = who.sees[l] - place;
                float lse = who.lse[l], inner = who.inner[l];
#pragma unroll
                for (int i = 0; i < R; i++) {
                    bool seen = l < n && (prefix || is_seen(a, sees, ty * R + i));
                    float capped = a.softcap > 0.0f ? zo_softcap(now[i][c], a.softcap) : now[i][c];
                    now[i][c] = seen ? zo_exp(capped - lse) : 0.0f;
                    steep[i][c] = now[i][c] * (steep[i][c] - inner);
                    if (seen && a.softcap > 0.0f) {
                        steep[i][c] *= zo_softcap_slope(capped, a.softcap);
                    }
                }
            }
            put_scores<R, C>(now, score);
            accumulate<D, R, C>(score, slope, n, a.head_dim, dv);
            put_scores<R, C>(steep, score);
            accumulate<D, R, C>(score, query, n, a.head_dim, dk);
        }
    }
#pragma unroll
    for (int i = 0; i < R; i++) {
        if (ty * R + i < t.n) {
            int64_t row = t.first + ty * R + i;
            put_row<D>(a, dk[i], 1.0f, prefix, (prefix ? a.prefix_dk + row * a.width_kv : a.dk + row * a.ks) + kv_head * a.head_dim);
            put_row<D>(a, dv[i], 1.0f, prefix, (prefix ? a.prefix_dv + row * a.width_kv : a.dv + row * a.vs) + kv_head * a.head_dim);
        }
    }
}

/* ---- on the host ------------------------------------------------------------------------------------------------------------------ */

/* The sequences and two lists of work on the device: blocks of 16 `rows` lanes, late ones first (they see most keys), and blocks of
 * `keys_each` keys (0: none). A list of queries without one of keys is filled up with items of NOBODY, so that batches of about one length
 * have lists of one length (cuda/graph.cu). */
struct staged {
    const sequence *seq;
    const work *queries, *keys;
    int64_t nqueries, nkeys;
    int rows; /* the one of `choice` that was taken */
};

static int64_t blocks_of(int64_t n, int64_t each)
{
    return each > 0 ? (n + each - 1) / each : 0;
}

/* choice (nchoice): rows of a tile that a thread may have. Where sequences are short, or few of their tokens ask, small tiles waste less;
 * a block costs its lanes and, so the estimate, 16 more for what does not depend on them. What a lane gets does not depend on it. */
static staged stage_work(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, const int *choice, int nchoice, int keys_each)
{
    int64_t group = a->heads / a->kv_heads, longest = 0, row = 0, prefix = a->prefix.n > 0 && a->prefix.dk != NULL ? a->prefix.n : 0;
    staged w = {};
    size_t head = zo_round_up((size_t)seqs->n * sizeof(sequence), 16);
    w.nqueries = FILL + (a->row != NULL ? blocks_of(a->nrows * group, DOWN) : 0); /* a row that is repeated asks each time */
    w.nkeys = blocks_of(prefix, keys_each);
    for (int s = 0; s < seqs->n; s++) {
        w.nqueries += blocks_of((seqs->start[s + 1] - seqs->start[s]) * group, DOWN); /* at most */
        w.nkeys += blocks_of(seqs->start[s + 1] - seqs->start[s], keys_each);
    }
    char *block = static_cast<char *>(zo_cuda_host_of(be, head + (size_t)(w.nqueries + w.nkeys) * sizeof(work)));
    memset(block, 0, head); /* the gap before the lists is compared too */
    sequence *seq = reinterpret_cast<sequence *>(block);
    work *item = reinterpret_cast<work *>(block + head);
    w.nqueries = w.nkeys = 0;
    for (int64_t i = 0; i < blocks_of(prefix, keys_each); i++) { /* first, since all queries ask them */
        item[w.nkeys].sequence = PREFIX;
        item[w.nkeys++].from = (int32_t)(i * keys_each);
    }
    for (int s = 0; s < seqs->n; s++) {
        int parent = seqs->parent != NULL ? seqs->parent[s] : -1;
        sequence *q = &seq[s];
        q->start = q->first = seqs->start[s];
        q->tokens = q->queries = seqs->start[s + 1] - seqs->start[s];
        q->parent = parent;
        q->parent_start = parent >= 0 ? seqs->start[parent] : 0;
        q->parent_tokens = parent >= 0 ? seqs->start[parent + 1] - seqs->start[parent] : 0;
        if (a->row != NULL) {
            for (; row < a->nrows && a->row[row] < seqs->start[s]; row++) {
            }
            q->first = (int32_t)row;
            for (; row < a->nrows && a->row[row] < seqs->start[s + 1]; row++) {
            }
            q->queries = (int32_t)row - q->first;
        }
        longest = longest > q->queries * group ? longest : q->queries * group;
        for (int64_t i = 0; i < blocks_of(q->tokens, keys_each); i++) {
            item[w.nkeys].sequence = s;
            item[w.nkeys++].from = (int32_t)(i * keys_each);
        }
    }
    int64_t least = INT64_MAX;
    for (int c = 0; c < nchoice; c++) {
        int64_t lanes_each = DOWN * choice[c], cost = 0;
        for (int s = 0; s < seqs->n; s++) {
            cost += blocks_of(seq[s].queries * group, lanes_each) * (lanes_each + 16);
        }
        if (cost < least) {
            least = cost;
            w.rows = choice[c];
        }
    }
    int64_t lanes_each = DOWN * w.rows;
    for (int64_t from = blocks_of(longest, lanes_each) * lanes_each - lanes_each; from >= 0; from -= lanes_each) {
        for (int s = 0; s < seqs->n; s++) {
            if (from < seq[s].queries * group) {
                item[w.nkeys + w.nqueries].sequence = s;
                item[w.nkeys + w.nqueries++].from = (int32_t)from;
            }
        }
    }
    while (keys_each == 0 && w.nqueries % FILL != 0) {
        item[w.nkeys + w.nqueries].sequence = NOBODY;
        item[w.nkeys + w.nqueries++].from = 0;
    }
    const char *on_device = static_cast<const char *>(
        zo_cuda_stage_kept(be, ZO_CUDA_SEQUENCES, block, head + (size_t)(w.nqueries + w.nkeys) * sizeof(work)));
    w.seq = reinterpret_cast<const sequence *>(on_device);
    w.keys = reinterpret_cast<const work *>(on_device + head);
    w.queries = w.keys + w.nkeys;
    return w;
}

static attention_args args_of(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q, int64_t qs,
                              const float *k, int64_t ks, const float *v, int64_t vs, const void *out)
{
    attention_args args = {};
    args.q = q;
    args.k = k;
    args.v = v;
    args.qs = qs;
    args.ks = ks;
    args.vs = vs;
    args.rows = a->row != NULL ? a->nrows : tokens;
    args.tokens = tokens;
    args.nseqs = seqs->n;
    args.heads = a->heads;
    args.group = a->heads / a->kv_heads;
    args.head_dim = a->head_dim;
    args.scale = a->scale;
    args.softcap = a->softcap;
    args.ahead = a->causal ? 0 : a->window > 0 ? a->window - 1 : INT32_MAX;
    args.reach = a->window == 0 ? INT32_MAX : a->window - 1 + args.ahead;
    args.width_kv = (int64_t)a->kv_heads * a->head_dim;
    args.prefix = (int)a->prefix.n;
    args.prefix_k = a->prefix.n > 0 ? a->prefix.k : k; /* else any address: never read */
    args.prefix_v = a->prefix.n > 0 ? a->prefix.v : v;
    args.prefix_dk = a->prefix.n > 0 ? a->prefix.dk : NULL;
    args.prefix_dv = a->prefix.n > 0 ? a->prefix.dv : NULL;
    args.wide = a->head_dim % 4 == 0 && zo_cuda_wide(q, qs) && zo_cuda_wide(k, ks) && zo_cuda_wide(v, vs) && zo_cuda_wide(out, 0) &&
                zo_cuda_wide(args.prefix_k, 0) && zo_cuda_wide(args.prefix_v, 0);
    if (a->row != NULL && a->nrows > 0) {
        args.row = static_cast<const int32_t *>(zo_cuda_stage_kept(be, ZO_CUDA_ASKING, a->row, (size_t)a->nrows * sizeof *a->row));
    }
    return args;
}

/* More than 48 KiB of shared memory must be asked for. */
template <class Kernel>
static void allow_shared(Kernel *kernel, int bytes)
{
    if (bytes > 48 << 10) {
        CUDA_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes));
    }
}

template <int D, int R, int C>
static void forward_tiles(zo_backend *be, const zo_attention *a, int points, const staged &w, const attention_args &args)
{
    typedef forward_shape<D, R, C> shape;
    static_assert(shape::BYTES <= 96 << 10, "more shared memory than every card has");
    if (w.rows == R && w.nqueries > 0) {
        allow_shared(attend<D, R, C>, shape::BYTES);
        int64_t asked = args.rows * a->heads, keys = 2 * (args.tokens + args.prefix) * a->kv_heads; /* rows of head_dim: of q and out, of k and v */
        ZO_MOVES(4 * points * (asked + keys) * a->head_dim, 4 * points * asked * a->head_dim);
        ZO_LAUNCH((attend<D, R, C>), dim3((unsigned)w.nqueries, (unsigned)a->kv_heads, (unsigned)points), THREADS, shape::BYTES,
                  zo_cuda_of(be)->stream, args);
    }
}

/* The columns of a tile do not depend on the choice of rows, and so no bit does. */
template <int D, int MOST, int C>
static void forward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, attention_args args)
{
    static const int choice[] = {MOST, MOST / 2, 1};
    staged w = stage_work(be, a, seqs, choice, MOST > 2 ? 3 : 2, 0);
    args.seq = w.seq;
    args.list = w.queries;
    forward_tiles<D, MOST, C>(be, a, points, w, args);
    if (MOST > 2) {
        forward_tiles<D, MOST / 2, C>(be, a, points, w, args);
    }
    forward_tiles<D, 1, C>(be, a, points, w, args);
}

static void check_head(const zo_attention *a)
{
    ZO_CHECK(a->head_dim > 0 && a->head_dim <= 256, "attention heads of %d; this backend's go up to 256", a->head_dim);
}

void zo_cuda_attention(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int points, int64_t tokens, const float *q, int64_t qs,
                       const float *k, int64_t ks, const float *v, int64_t vs, float *out, float *lse)
{
    if (points == 0 || tokens == 0) {
        return;
    }
    check_head(a);
    zo_cuda_part(be, ZO_PART_ATTENTION);
    attention_args args = args_of(be, a, seqs, tokens, q, qs, k, ks, v, vs, out);
    args.to_out = out;
    args.to_lse = lse;
    if (a->head_dim <= 32) {
        forward<32, 4, 8>(be, a, seqs, points, args);
    } else if (a->head_dim <= 64) {
        forward<64, 4, 8>(be, a, seqs, points, args);
    } else if (a->head_dim <= 128) {
        forward<128, 4, 8>(be, a, seqs, points, args);
    } else {
        forward<256, 2, 4>(be, a, seqs, points, args);
    }
}

/* RQ, CQ: the kernel that owns queries; RK, CK: the one that owns keys. At most 96 KiB of dynamic shared memory each. */
template <int D, int RQ, int CQ, int RK, int CK>
static void backward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, attention_args args)
{
    typedef query_shape<D, RQ, CQ> queries;
    typedef key_shape<D, RK, CK> keys;
    static_assert(queries::BYTES <= 96 << 10 && keys::BYTES <= 96 << 10, "more shared memory than every card has");
    cudaStream_t stream = zo_cuda_of(be)->stream;
    const int rows = RQ;
    int64_t asked = args.rows * a->heads, both = 2 * args.tokens * a->kv_heads; /* rows of head_dim: of q and dout, of k and v */
    int64_t prefix = 2 * args.prefix * a->kv_heads, to_prefix = args.prefix_dk != NULL ? prefix : 0;
    staged w = stage_work(be, a, seqs, &rows, 1, keys::KEYS);
    args.seq = w.seq;
    args.list = w.queries;
    if (w.nqueries > 0) {
        allow_shared(attend_backward_queries<D, RQ, CQ>, queries::BYTES);
        ZO_MOVES(4 * (2 * asked + both + prefix) * a->head_dim, 4 * asked * a->head_dim);
        ZO_LAUNCH((attend_backward_queries<D, RQ, CQ>), dim3((unsigned)w.nqueries, (unsigned)a->kv_heads), THREADS, queries::BYTES, stream,
                  args);
    }
    args.list = w.keys;
    if (w.nkeys > 0) {
        allow_shared(attend_backward_keys<D, RK, CK>, keys::BYTES);
        ZO_MOVES(4 * (2 * asked + both + 2 * to_prefix) * a->head_dim, 4 * (both + to_prefix) * a->head_dim);
        ZO_LAUNCH((attend_backward_keys<D, RK, CK>), dim3((unsigned)w.nkeys, (unsigned)a->kv_heads), THREADS, keys::BYTES, stream, args);
    }
}

void zo_cuda_attention_backward(zo_backend *be, const zo_attention *a, const zo_seqs *seqs, int64_t tokens, const float *q, int64_t qs,
                                const float *k, int64_t ks, const float *v, int64_t vs, const float *out, const float *lse,
                                const float *dout, float *dq, float *dk, float *dv)
{
    if (tokens == 0) {
        return;
    }
    check_head(a);
    zo_cuda_part(be, ZO_PART_BACKWARD);
    attention_args args = args_of(be, a, seqs, tokens, q, qs, k, ks, v, vs, dout);
    args.wide = args.wide && zo_cuda_wide(dq, 0) && zo_cuda_wide(dk, 0) && zo_cuda_wide(dv, 0) && zo_cuda_wide(args.prefix_dk, 0) &&
                zo_cuda_wide(args.prefix_dv, 0);
    int64_t n = args.rows * a->heads;
    float *inner = static_cast<float *>(zo_cuda_shared_of(be, ZO_CUDA_ATTENTION, (size_t)n * sizeof(float)));
    if (n > 0) {
        ZO_MOVES(8 * n * a->head_dim, 4 * n);
        ZO_LAUNCH(inner_rows, zo_cuda_grid(n, THREADS / 32), THREADS, 0, zo_cuda_of(be)->stream, out, dout, n, a->head_dim, inner);
    }
    args.lse = lse;
    args.inner = inner;
    args.dout = dout;
    args.dq = dq;
    args.dk = dk;
    args.dv = dv;
    if (a->head_dim <= 32) {
        backward<32, 4, 8, 4, 8>(be, a, seqs, args);
    } else if (a->head_dim <= 64) {
        backward<64, 4, 8, 4, 8>(be, a, seqs, args);
    } else if (a->head_dim <= 128) {
        backward<128, 2, 8, 2, 4>(be, a, seqs, args);
    } else {
        backward<256, 1, 4, 1, 2>(be, a, seqs, args);
    }
}
