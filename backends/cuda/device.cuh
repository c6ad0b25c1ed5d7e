/* device.cuh: what the CUDA files share: the one way to launch, errors, the backend's state, scratch and staging, directions and
 * parameters as kernels read them, and parameters formed in registers.
 *
 * The same files compile three ways: by nvcc for the device, by nvcc's host pass, and by g++ with tests/shim in front of the include
 * path, where blocks run one after another and the threads of a block as fibres. So: every launch through ZO_LAUNCH, dynamic shared
 * memory through ZO_SHARED_DYNAMIC, no inline assembly, no textures, no cooperative groups. Bits: no fused product but a spelled fmaf
 * (nvcc -fmad=false), no approximate division or root.
 *
 * Order and races: one stream; a kernel may rely on all earlier ones. No float atomics: the order of a sum never depends on the
 * schedule. Sums over threads go through zo_block_sum, whose tree is fixed. */
#ifndef ZO_BACKENDS_CUDA_DEVICE_CUH
#define ZO_BACKENDS_CUDA_DEVICE_CUH

#include <cuda_runtime.h>
#include <string.h>

#include "backends/cuda/cuda.h"
#include "core/clock.h"
#include "core/rng.h"

/* Where CUDA itself, beside the ledger, has no memory left for `what` (a call, a kernel): ends as every lack of memory does. */
[[noreturn]] void zo_cuda_refused(const char *what);
/* Tier 1: dies with the call, its place and CUDA's own words; but lack of memory is an outcome. */
#define CUDA_CHECK(call)                                                                                              \
    do {                                                                                                              \
        cudaError_t cuda_status_ = (call);                                                                            \
        if (cuda_status_ == cudaErrorMemoryAllocation) {                                                              \
            zo_cuda_refused(#call);                                                                                   \
        }                                                                                                             \
        ZO_CHECK(cuda_status_ == cudaSuccess, "CUDA: %s: %s (%s)", #call, cudaGetErrorString(cuda_status_),           \
                 cudaGetErrorName(cuda_status_));                                                                     \
    } while (0)

/* ZO_LAUNCH((kernel<2>), grid, block, shared_bytes, stream, arguments...): put a kernel with template arguments in parentheses. grid and
 * block are dim3 or int. A grid of zero blocks is a bug of the caller. Within a pass a launch is written into the pass's log
 * (cuda/graph.cu), argument bytes and all. */
#define ZO_LAUNCH(kernel, grid, block, shared_bytes, stream, ...) zo_cuda_launch(#kernel, kernel, grid, block, shared_bytes, stream, __VA_ARGS__)
/* ZO_MOVES(read, written): the bytes of arrays in device memory that the next launch reads and writes, each once, whatever caches hold; short
 * lists (ids, rows, work) are left out. The shim counts them (tests/backends/test_cuda_launches.c) and every launch says them. */
#define ZO_MOVES(read, written) zo_cuda_moves((uint64_t)(read), (uint64_t)(written))
static inline void zo_cuda_moves(uint64_t read_bytes, uint64_t written_bytes)
{
#ifdef __CUDACC__
    (void)read_bytes;
    (void)written_bytes;
#else
    zo_shim_say_moves(read_bytes, written_bytes);
#endif
}
/* ZO_BY_STORAGE(storage, statement): the statement with S, a constant, in the place of `storage`. A kernel that reads or writes an arena is
 * a template on how the arena is held: where it asks instead, the compiler merges the stores of all branches, one element each. */
#define ZO_BY_STORAGE(storage, ...)                                                            \
    switch (storage) {                                                                         \
    case ZO_STORAGE_F32: { constexpr zo_storage S = ZO_STORAGE_F32; __VA_ARGS__; break; }      \
    case ZO_STORAGE_BF16: { constexpr zo_storage S = ZO_STORAGE_BF16; __VA_ARGS__; break; }    \
    case ZO_STORAGE_F16: { constexpr zo_storage S = ZO_STORAGE_F16; __VA_ARGS__; break; }      \
    case ZO_STORAGES: break;                                                                   \
    }
/* type *name = this block's dynamic shared memory, 16-byte aligned. */
#ifdef __CUDACC__
#define ZO_SHARED_DYNAMIC(type, name)                                                          \
    extern __shared__ __align__(16) unsigned char zo_shared_dynamic_[];                        \
    type *name = reinterpret_cast<type *>(zo_shared_dynamic_)
#else
#define ZO_SHARED_DYNAMIC(type, name) type *name = static_cast<type *>(zo_shim_shared_dynamic())
#endif

/* What goes to a stream ----------------------------------------------------------------------------------------------------------- */

/* Something that goes to the stream, done: `what` is as it was enqueued, aligned to 16. Calls CUDA only to enqueue. */
typedef void (*zo_cuda_play)(cudaStream_t stream, const void *what);
/* Plays it at once, or within a pass when the pass is started: everything that goes to the stream but copies from and to the host. The
 * bytes of `what` are copied; they say all that is done (a graph is found by them), so they have no padding that is not zero. */
void zo_cuda_enqueue(cudaStream_t stream, zo_cuda_play play, const void *what, size_t bytes);

/* A launch as enqueued; the arguments stand behind it, argument i at `at[i]`. */
struct alignas(16) zo_cuda_call {
    const char *name;
    const void *kernel;
    const uint32_t *at; /* (arguments) static */
#ifndef __CUDACC__
    zo_shim_call call;
    uint64_t moves[2]; /* see ZO_MOVES */
#endif
    uint64_t shared_bytes;
    uint32_t grid[3], block[3], arguments;
};
void zo_cuda_play_call(cudaStream_t stream, const void *what);

/* Where the arguments of a kernel stand behind its zo_cuda_call. */
template <class... Parameters>
struct zo_cuda_arguments {
    struct places { uint32_t at[sizeof...(Parameters) + 1]; }; /* the last: their end */
    static constexpr places make()
    {
        places p = {};
        uint32_t at = 0, i = 0;
        ((at = (at + alignof(Parameters) - 1) / alignof(Parameters) * alignof(Parameters), p.at[i++] = at, at += sizeof(Parameters)), ...);
        p.at[i] = at;
        return p;
    }
    static constexpr places PLACES = make();
};

template <class T>
static inline void zo_cuda_put(unsigned char *to, T value)
{
    __builtin_clear_padding(&value);
    memcpy(to, &value, sizeof value);
}

template <class T> struct zo_cuda_same { typedef T type; }; /* arguments are converted to the parameters, not deduced */

template <class... Parameters>
static inline void zo_cuda_launch(const char *name, void (*kernel)(Parameters...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                                  typename zo_cuda_same<Parameters>::type... arguments)
{
    typedef zo_cuda_arguments<Parameters...> layout;
    alignas(16) unsigned char record[sizeof(zo_cuda_call) + layout::PLACES.at[sizeof...(Parameters)]];
    zo_cuda_call call = {};
    call.name = name;
    call.kernel = reinterpret_cast<const void *>(kernel);
    call.at = layout::PLACES.at;
#ifndef __CUDACC__
    call.call = zo_shim_caller<Parameters...>::call;
    memcpy(call.moves, zo_shim_moves, sizeof call.moves);
    zo_shim_moves[0] = zo_shim_moves[1] = UINT64_MAX;
#endif
    call.shared_bytes = shared_bytes;
    call.grid[0] = grid.x;
    call.grid[1] = grid.y;
    call.grid[2] = grid.z;
    call.block[0] = block.x;
    call.block[1] = block.y;
    call.block[2] = block.z;
    call.arguments = sizeof...(Parameters);
    memset(record, 0, sizeof record);
    zo_cuda_put(record, call);
    uint32_t i = 0;
    (zo_cuda_put(record + sizeof call + layout::PLACES.at[i++], arguments), ...);
    zo_cuda_enqueue(stream, zo_cuda_play_call, record, sizeof record);
}

/* parameters and directions as kernels read them ---------------------------------------------------------------------------------- */

struct zo_cuda_param {
    int64_t rows, cols, offset; /* as zo_param */
    int64_t coef_at;            /* first of its `rank` coefficients */
    const float *u, *v;         /* (rows,rank), (cols,rank) device: of the run, or lent to a pass on the side path */
    int64_t left_at, right_at;  /* in a run whose directions have their own, where these begin in their arenas */
    uint32_t id;
    int block;                  /* transformer block, -1 outside */
    int rank;                   /* 0 = not factored */
    float scale;
    int frozen;                 /* no direction moves it */
};

struct zo_cuda_dir {
    uint64_t seed;
    uint32_t step, query;
    zo_blocks skip; /* what it leaves out */
    const float *values; /* of a SET, or of the set that scales it: the arena of the values, device; else NULL */
    const float *left, *right; /* with factors of its own: their arenas, device; of HELD `left` has values too */
    zo_dir_kind kind;
    zo_draw draw;
    zo_scaling scaling;
    int amount_row; /* of low rank */
};

/* A view on the device. Directions whose coefficients are all zero are left out. Everything that changes from step to step (seed, step,
 * coefficients) is read from device memory, never a kernel argument. */
struct zo_cuda_view {
    int npoints, ndirs, ncoef;
    zo_storage storage;        /* of all bases */
    const void *const *base;   /* (npoints) first element of each arena, */
    const void *const *below;  /* (npoints) and of those in which frozen parameters stand */
    const zo_cuda_dir *dir;    /* (ndirs) */
    const float *coef;         /* (npoints, ndirs) */
    const float *amount;       /* (directions of low rank, ncoef): their coefficients times the parameter's scale */
    const float *side;         /* (npoints, ncoef): view->side times the parameter's scale; NULL without */
};

/* state -------------------------------------------------------------------------------------------------------------------------- */

/* Device scratch, one block per purpose (tag WORKSPACE). zo_cuda_reserve makes them large enough for every operation, so that no step
 * allocates; a block that is too small all the same grows once, after the stream is empty. */
typedef enum zo_cuda_shared {
    ZO_CUDA_BIAS,      /* a bias or a norm's weights at all points */
    ZO_CUDA_VECTOR,    /* a second one */
    ZO_CUDA_WEIGHT,    /* a formed matrix, or a block of its rows, at all points */
    ZO_CUDA_INPUT,     /* the bf16 copy of a linear layer's input */
    ZO_CUDA_SIDE,      /* (x V) . side */
    ZO_CUDA_SCALES,    /* scales of a matrix that is held as codes, at all points */
    ZO_CUDA_LOGIT,     /* a block of logits */
    ZO_CUDA_ROWS,      /* per-row state of the head */
    ZO_CUDA_PARTIAL,   /* partial sums, one per fixed block */
    ZO_CUDA_ATTENTION, /* sums of dout * out, work lists */
    ZO_CUDA_VIEW,      /* the staged view, see zo_cuda_view_of */
    ZO_CUDA_BLAS,      /* cuBLASLt's workspace */
    ZO_CUDA_SHAREDS
} zo_cuda_shared;

/* Host data that comes again layer after layer. */
typedef enum zo_cuda_kept { ZO_CUDA_POSITIONS, ZO_CUDA_SEQUENCES, ZO_CUDA_ASKING, ZO_CUDA_KEPTS } zo_cuda_kept;

struct zo_cuda_products; /* cuda/gemm.cu */
struct zo_cuda_pass;     /* cuda/graph.cu */
struct zo_cuda_mark { cudaEvent_t event; zo_part part; };

struct zo_cuda {
    int ordinal, multiprocessors;
    cudaStream_t stream;
    size_t context_bytes;
    zo_cuda_products *products;
    zo_cuda_pass *pass;
    /* `data` is an extra one, and `kept` stands again at the end, where `extra` (zo_backend.extra_begin) */
    struct { void *data, *kept; size_t bytes, kept_bytes; bool extra; } shared[ZO_CUDA_SHAREDS];
    bool extra;           /* between extra_begin and extra_end */
    int64_t kept_rows;    /* most_rows before */
    int64_t most_rows;    /* points * tokens of the last reserve: what depends on them is made for so many at once */
    size_t tile_bytes;    /* see zo_cuda_set_tile */
    /* staging: a pinned ring and its image on the device, in two halves; grown rings stay until close, copies may be under way */
    struct { char *pinned, *device; size_t half_bytes, side, at; cudaEvent_t left[2]; } ring;
    void *retired[64];
    int nretired;
    /* the staged view: what it was made of, and what kernels get */
    struct { char *key, *image; size_t key_bytes, key_room, image_room; zo_cuda_view view; } staged;
    /* device time by part */
    zo_cuda_mark *mark;
    int nmarks;
    struct { char *data; size_t room; } host; /* see zo_cuda_host_of */
    /* see zo_cuda_stage_kept; what `host` says stands at `device`, the block `own` or within a pass the pass's */
    struct { char *host; void *own; const void *device; size_t bytes, room, own_room; } kept[ZO_CUDA_KEPTS];
};
static inline zo_cuda *zo_cuda_of(zo_backend *be)
{
    return static_cast<zo_cuda *>(be->self);
}
void *zo_cuda_shared_of(zo_backend *be, zo_cuda_shared purpose, size_t bytes);

/* The same in a block of its own for each `which`; nothing is copied where it holds these bytes already. Valid until the next call for
 * this `which`. */
const void *zo_cuda_stage_kept(zo_backend *be, zo_cuda_kept which, const void *host, size_t bytes);

/* Host scratch where an operation makes what it stages: one block, valid until the next call. */
void *zo_cuda_host_of(zo_backend *be, size_t bytes);

/* A copy of host data on the device, in stream order: for ids, rows, tables of an operation. Valid for kernels launched by this operation
 * (at most 8 stagings each). 16-byte aligned. The host data may change as soon as this returns. */
const void *zo_cuda_stage(zo_backend *be, const void *host, size_t bytes);

/* From here on the device's time belongs to `part` (core/clock.h); resolved by be->wait. Cheap where the part does not change. What runs as
 * a graph belongs to no part. */
void zo_cuda_part(zo_backend *be, zo_part part);
/* The same, now, whether or not a pass is open; ZO_PARTS = no part. */
void zo_cuda_part_now(zo_backend *be, zo_part part);
/* Host data to a block on the device, in stream order, through the ring; now, whether or not a pass is open. */
void zo_cuda_send(zo_backend *be, void *to, const void *host, size_t bytes);
/* A device block that operations under way may still read: freed when the backend is closed. */
void zo_cuda_retire(zo_cuda *cuda, void *block);

/* passes: cuda/graph.cu. begin and end are the slots of backend.h ----------------------------------------------------------------- */

void zo_cuda_pass_open(zo_backend *be, int most); /* `most` graphs are kept; 0 = every operation is enqueued when it is called */
void zo_cuda_pass_close(zo_backend *be);
void zo_cuda_pass_begin(zo_backend *be);
void zo_cuda_pass_end(zo_backend *be);
void zo_cuda_pass_reserve(zo_backend *be, int points, int64_t tokens, int64_t ncoef);
/* The block of staged data that grows between the two stands apart, and the one before it comes back (zo_backend.extra_begin). */
void zo_cuda_pass_extra_begin(zo_backend *be);
void zo_cuda_pass_extra_end(zo_backend *be);
/* Starts what this pass has gathered so far: before the host waits, reads, writes or frees. Nothing outside a pass. */
void zo_cuda_pass_start(zo_backend *be);
/* Whether a pass is open on this thread; whether its log is being captured. */
bool zo_cuda_gathers(const zo_cuda *cuda);
bool zo_cuda_captures(const zo_cuda *cuda);
/* Room in the pass's block, filled; valid to the end of the pass. 256-byte aligned. */
const void *zo_cuda_pass_stage(zo_backend *be, const void *host, size_t bytes);

/* Blocks for n items at `each` items a block, at least 1. */
static inline unsigned zo_cuda_grid(int64_t n, int64_t each)
{
    int64_t blocks = (n + each - 1) / each;
    ZO_CHECK(blocks <= 0x7FFFFFFF, "a grid of %lld blocks, and CUDA's largest has 2^31 - 1", (long long)blocks);
    return (unsigned)(blocks < 1 ? 1 : blocks);
}

/* parameters, views, products ----------------------------------------------------------------------------------------------------- */

zo_cuda_param zo_cuda_param_of(const zo_layout *layout, const zo_factors *factors /* or NULL */, int param);

/* Staged once and reused while the same view comes again (compared by value). Valid until another view is staged. */
zo_cuda_view zo_cuda_view_of(zo_backend *be, const zo_view *view);

/* A vector parameter at all points, (P, cols) f32 in the block `purpose`; where nothing acts and all points share a base, the stored
 * vector itself is copied per point all the same. NULL when param is -1. */
const float *zo_cuda_form_vector(zo_backend *be, const zo_view *view, int param, zo_cuda_shared purpose);
/* Rows [row, row + n) of a parameter at all points into `to` (P, n, cols), as products of `precision` read them. row * cols is a multiple
 * of 4. side is not added. */
void zo_cuda_form_rows(zo_backend *be, const zo_view *view, int param, int64_t row, int64_t n, zo_precision precision, void *to);
/* Chosen rows of a parameter at all points, to (P, n, cols) f32 set, or added when `add`; rows (n) on the device. With side, as embed
 * and linear_rows want it. */
void zo_cuda_form_chosen(zo_backend *be, const zo_view *view, int param, const int32_t *rows, int64_t n, bool add, float *to);

/* A product of row-major matrices: C (m,n) = scale op(A) op(B) [+ C], `batch` of them. op(A) is A (m,k), or A^T with A (k,m) when ta;
 * op(B) is B (k,n), or B^T with B (n,k) when tb. A and B as `precision` says, C f32; sums are f32. Strides in elements. */
struct zo_cuda_gemm {
    zo_precision precision;
    bool ta, tb, add;
    float scale;                 /* not 0 */
    bool gelu_tanh;              /* y = gelu_tanh(.) in the product's epilogue; only with bias */
    int64_t m, n, k, lda, ldb, ldc;
    int64_t batch, stride_a, stride_b, stride_c, stride_bias; /* batch 0 or 1: one, and strides are not read */
    const float *bias;           /* (n) a row, added to every row of C, or NULL */
};
/* False, and nothing done, where cuBLASLt has no algorithm for it: then ask without bias and finish with zo_cuda_finish. Dies when
 * there is none for a product without an epilogue. */
bool zo_cuda_product(zo_backend *be, const zo_cuda_gemm *gemm, const void *a, const void *b, float *c);
zo_status zo_cuda_products_open(zo_cuda_products **products, zo_err *err); /* loads the library */
void zo_cuda_products_close(zo_cuda_products *products);

/* device functions ----------------------------------------------------------------------------------------------------------------- */

/* The normals of elements 4 index .. 4 index + 3, the bits of zo_normals. */
static __device__ __forceinline__ void zo_normal4(zo_stream stream, uint32_t index, float z[4])
{
    zo_block w = zo_stream_block(stream, index);
    zo_normal_pair(w.lane[0], w.lane[1], &z[0], &z[1]);
    zo_normal_pair(w.lane[2], w.lane[3], &z[2], &z[3]);
}

static __device__ __forceinline__ zo_stream zo_stream_of(const zo_cuda_dir &dir, uint32_t id, zo_role role)
{
    zo_stream s;
    s.seed = dir.seed;
    s.tensor = id;
    s.step = dir.step;
    s.query = dir.query;
    s.role = role;
    return s;
}

/* Element (i, j) of U diag(amount) V^T, summed in the order of the components: the bits of zo_cpu_lowrank. u at row i, v at row j. */
static __device__ __forceinline__ float zo_lowrank_at(const float *u, const float *v, const float *amount, int rank)
{
    float sum = 0.0f;
    for (int s = 0; s < rank; s++) {
        sum = fmaf(amount[s] * u[s], v[s], sum);
    }
    return sum;
}

/* U and V of a low-rank direction on a factored parameter. */
static __device__ __forceinline__ const float *zo_u_of(const zo_cuda_param &p, const zo_cuda_dir &dir)
{
    return zo_dir_has_factors(dir.kind) ? dir.left + p.left_at : p.u;
}
static __device__ __forceinline__ const float *zo_v_of(const zo_cuda_param &p, const zo_cuda_dir &dir)
{
    return zo_dir_has_factors(dir.kind) ? dir.right + p.right_at : p.v;
}

/* Where the numbers of a direction stand whose numbers on the parameter are stored. */
static __device__ __forceinline__ const float *zo_values_of(const zo_cuda_param &p, const zo_cuda_dir &dir)
{
    return dir.kind == ZO_DIR_SET ? dir.values + p.offset : dir.left + p.left_at;
}

/* What is drawn for a DENSE or REST direction at elements 4 index .. 4 index + 3 of a parameter, the bits of zo_numbers. A block of four signs
 * lies in one word. */
static __device__ __forceinline__ void zo_drawn4(const zo_cuda_param &p, const zo_cuda_dir &dir, uint32_t index, float z[4])
{
    zo_stream stream = zo_stream_of(dir, p.id, ZO_ROLE_Z);
    if (dir.draw == ZO_DRAW_GAUSS) {
        zo_normal4(stream, index, z);
        return;
    }
    zo_block w = zo_stream_block(stream, index / 32);
    uint32_t lane = index / 8 % 4, word = lane == 0 ? w.lane[0] : lane == 1 ? w.lane[1] : lane == 2 ? w.lane[2] : w.lane[3];
#pragma unroll
    for (uint32_t l = 0; l < 4; l++) {
        z[l] = zo_sign_of(word, 4 * (index % 8) + l);
    }
}

/* Whether two directions, neither of them a SET, have the same numbers. */
static __device__ __forceinline__ bool zo_same_draw(const zo_cuda_dir &a, const zo_cuda_dir &b)
{
    return a.draw == b.draw && a.seed == b.seed && a.step == b.step && a.query == b.query && a.values == b.values && a.scaling == b.scaling;
}

/* Elements at .. at + 3 of an arena, at a multiple of 4. */
template <zo_storage S>
static __device__ __forceinline__ void zo_stored4(const void *arena, int64_t at, float w[4])
{
    if (S == ZO_STORAGE_F32) {
        float4 x = *reinterpret_cast<const float4 *>(static_cast<const float *>(arena) + at);
        w[0] = x.x;
        w[1] = x.y;
        w[2] = x.z;
        w[3] = x.w;
    } else {
        ushort4 x = *reinterpret_cast<const ushort4 *>(static_cast<const uint16_t *>(arena) + at);
        w[0] = zo_half_to(S, x.x);
        w[1] = zo_half_to(S, x.y);
        w[2] = zo_half_to(S, x.z);
        w[3] = zo_half_to(S, x.w);
    }
}

/* The numbers of a DENSE or REST direction there, scaled as it says. Arenas are padded to 16 floats, so a set's may be read whole. */
static __device__ __forceinline__ void zo_numbers4(const zo_cuda_param &p, const zo_cuda_dir &dir, uint32_t index, float z[4])
{
    zo_drawn4(p, dir, index, z);
    if (dir.values != nullptr) {
        float s[4];
        zo_stored4<ZO_STORAGE_F32>(dir.values, p.offset + 4 * (int64_t)index, s);
#pragma unroll
        for (int l = 0; l < 4; l++) {
            z[l] = zo_scaled(dir.scaling, z[l], s[l]);
        }
    }
}

/* A direction's four elements 4 index .. 4 index + 3 of a parameter (elements past the end are nonsense and must not be used). */
static __device__ __forceinline__ void zo_direction4(const zo_cuda_param &p, const zo_cuda_dir &dir, const float *amount, int64_t index,
                                                     float z[4])
{
    if (zo_dir_is_stored(dir.kind, p.rank)) {
        zo_stored4<ZO_STORAGE_F32>(zo_values_of(p, dir), 4 * index, z);
        return;
    }
    if (!zo_dir_is_lowrank(dir.kind)) {
        zo_numbers4(p, dir, (uint32_t)index, z);
        return;
    }
    int64_t e = 4 * index, i = e / p.cols, j = e % p.cols;
    const float *u = zo_u_of(p, dir), *v = zo_v_of(p, dir);
#pragma unroll
    for (int l = 0; l < 4; l++) {
        z[l] = i < p.rows ? zo_lowrank_at(u + i * p.rank, v + j * p.rank, amount + p.coef_at, p.rank) : 0.0f;
        j++;
        if (j == p.cols) {
            j = 0;
            i++;
        }
    }
}

/* w[p][l] = element 4 index + l of the parameter at points first .. first + N - 1, which all exist: each direction drawn once for
 * all N. Arenas are padded to 16 floats, so the last four may be read whole. */
template <int N, zo_storage S>
static __device__ __forceinline__ void zo_form4(const zo_cuda_view &view, const zo_cuda_param &p, int first, int64_t index, float w[N][4])
{
#pragma unroll
    for (int n = 0; n < N; n++) {
        zo_stored4<S>((p.frozen ? view.below : view.base)[first + n], p.offset + 4 * index, w[n]);
    }
    for (int d = 0; d < view.ndirs; d++) {
        zo_cuda_dir dir = view.dir[d];
        if (p.frozen || !zo_dir_acts(dir.kind, dir.skip, p.block, p.rank)) {
            continue;
        }
        float z[4];
        zo_direction4(p, dir, view.amount + (int64_t)dir.amount_row * view.ncoef, index, z);
#pragma unroll
        for (int n = 0; n < N; n++) {
            float c = view.coef[(first + n) * view.ndirs + d];
#pragma unroll
            for (int l = 0; l < 4; l++) {
                w[n][l] = fmaf(c, z[l], w[n][l]);
            }
        }
    }
}

/* Sum over the threads of a block (a multiple of 32, at most 1024), the same in all threads; the order is fixed by the tree alone. Every
 * thread must call it. `partial` is __shared__ float[32]; it may be used again at once. */
static __device__ __forceinline__ float zo_warp_sum(float x)
{
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        x += __shfl_xor_sync(0xFFFFFFFFu, x, step);
    }
    return x;
}

static __device__ __forceinline__ float zo_block_sum(float x, float *partial)
{
    int lane = (int)(threadIdx.x % 32), warp = (int)(threadIdx.x / 32), warps = (int)((blockDim.x + 31) / 32);
    x = zo_warp_sum(x);
    __syncthreads(); /* the last use of `partial` is over */
    if (lane == 0) {
        partial[warp] = x;
    }
    __syncthreads();
    return zo_warp_sum(lane < warps ? partial[lane] : 0.0f);
}

static __device__ __forceinline__ float zo_warp_max(float x)
{
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
        float other = __shfl_xor_sync(0xFFFFFFFFu, x, step);
        x = other > x ? other : x;
    }
    return x;
}

#endif
