/* cuda_runtime.h: a stand-in that lets g++ compile the CUDA files of the backend, so that every kernel runs in the ordinary tests on a
 * machine without a card. It is found before CUDA's own header because tests/shim stands first on the include path.
 *
 * Blocks run one after another, the threads of a block as fibres on the calling thread. A thread that waits at a barrier or in a warp
 * operation gives way; threads that wait for each other at different places are found and told. The order of threads and blocks can
 * be turned round (zo_shim_reverse): a result that changes has a race. Device memory cannot be touched between kernels (pages
 * without access; under AddressSanitizer poisoned heap blocks), so a host access to it is found as well, and copies check that their
 * ends are what they say.
 *
 * What is enqueued runs at once, or with zo_shim_lazy only when somebody waits for it (so a host buffer that is written too early, or read
 * too early, is found). A stream that is captured keeps it instead; a graph is the same list, run again with the same checks. What CUDA
 * forbids during a capture (allocating, freeing, waiting, events) is refused with its errors and breaks the capture.
 * Not modelled: time, concurrency of blocks, alignment faults (UBSan finds those), memory order. */
#ifndef ZO_TESTS_SHIM_CUDA_RUNTIME_H
#define ZO_TESTS_SHIM_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define __global__
#define __device__
#define __host__
#define __shared__ static /* one block at a time */
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

struct uint3 { unsigned x, y, z; };
struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
struct __align__(8) float2 { float x, y; };
struct __align__(16) float4 { float x, y, z, w; };
struct __align__(8) int2 { int x, y; };
struct __align__(16) int4 { int x, y, z, w; };
struct __align__(8) uint2 { unsigned x, y; };
struct __align__(16) uint4 { unsigned x, y, z, w; };
struct __align__(8) ushort4 { unsigned short x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
static inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
static inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
static inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z, unsigned short w) { return {x, y, z, w}; }

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

/* launches ------------------------------------------------------------------------------------------------------------------------ */

typedef struct zo_shim_stream *cudaStream_t;
extern "C" const bool zo_shim_present; /* true; false in programs linked with none.c */
extern bool zo_shim_reverse; /* run blocks and threads last first */

extern bool zo_shim_lazy; /* what is enqueued runs when somebody waits */

enum cudaError_t : int;
/* A kernel called with arguments that stand anywhere; one for each list of parameters. */
typedef void (*zo_shim_call)(const void *kernel, void *const *argument);
template <class... Parameters>
struct zo_shim_caller {
    template <size_t... I> struct numbers {};
    template <size_t N, size_t... I> struct up_to : up_to<N - 1, N - 1, I...> {};
    template <size_t... I> struct up_to<0, I...> { typedef numbers<I...> type; };
    template <size_t... I>
    static void call_at(void (*kernel)(Parameters...), void *const *argument, numbers<I...>)
    {
        kernel(*static_cast<Parameters *>(argument[I])...);
    }
    static void call(const void *kernel, void *const *argument)
    {
        call_at(reinterpret_cast<void (*)(Parameters...)>(const_cast<void *>(kernel)), argument, typename up_to<sizeof...(Parameters)>::type());
    }
};
/* cudaLaunchKernel: argument i stands at arguments + at[i], their end at at[n]. */
cudaError_t zo_shim_launch(const char *name, const void *kernel, zo_shim_call call, dim3 grid, dim3 block, const void *arguments, const uint32_t *at,
                           uint32_t n, size_t shared_bytes, const uint64_t moves[2], cudaStream_t stream);
void *zo_shim_shared_dynamic(void);
void zo_shim_say_moves(uint64_t read_bytes, uint64_t written_bytes); /* into the next; a call, for GCC's -fsanitize=null takes a store from a large function for one to null */
extern thread_local uint64_t zo_shim_moves[2]; /* of the next launch: bytes read, written; UINT64_MAX = not said */

/* A runtime that does nothing: device memory is addresses alone and as much as is asked for, no kernel, product, copy or fill happens, what is
 * read from the device is 0. What would have happened is counted. Set before the backend is opened. */
extern "C" bool zo_shim_idle;
typedef struct zo_shim_totals {
    uint64_t kernels, products, fills, copies; /* run on the device, by themselves or in a graph; copies of all kinds */
    uint64_t launches, graphs;                 /* calls that the host made to start those one by one, and to start a graph */
    uint64_t read_bytes, written_bytes;        /* of device memory: what launches said, operands and results of products, copies, fills */
    uint64_t unsaid;                           /* kernels that did not say what they move */
} zo_shim_totals;
extern "C" zo_shim_totals zo_shim_total;
/* Of that runtime: the last kernel of more than 2^17 threads with more than one for 8 bytes that it moves, most of them idle then; or of less
 * than 2^14 threads for more than 32 MB, too few for a card. NULL = none. */
extern "C" const char *zo_shim_misfit;
/* Runs `run` on a copy of `what` in stream order: for whatever else stands in for an asynchronous call. */
cudaError_t zo_shim_enqueue(cudaStream_t stream, void (*run)(const void *), const void *what, size_t bytes);
/* Kernels launched so far, by name (as written in the launch), for the list that the suite prints; the most blocks that a grid had in x. */
extern "C" int zo_shim_kernels(void);
extern "C" const char *zo_shim_kernel(int i, unsigned long *launches, unsigned long *threads, unsigned long *most_columns);

/* barriers and warps ---------------------------------------------------------------------------------------------------------------- */

void zo_shim_barrier(void);
/* All lanes of the warp meet; `value` of lane l is in the returned array at l (8 bytes each). `what` must be the same in all lanes. */
const uint64_t *zo_shim_meet(const char *what, unsigned mask, uint64_t value);
int zo_shim_lane(void);
[[noreturn]] void zo_shim_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void __syncthreads(void) { zo_shim_barrier(); }
static inline void __syncwarp(unsigned mask = 0xFFFFFFFFu) { zo_shim_meet("__syncwarp", mask, 0); }
static inline void __threadfence(void) {}
static inline void __threadfence_block(void) {}

template <class T>
static inline T zo_shim_exchange(const char *what, unsigned mask, T value, int from)
{
    static_assert(sizeof(T) <= 8, "shuffles move 4 or 8 bytes");
    uint64_t bits = 0;
    memcpy(&bits, &value, sizeof value);
    const uint64_t *all = zo_shim_meet(what, mask, bits);
    T result;
    memcpy(&result, &all[from], sizeof result);
    return result;
}
template <class T>
static inline T __shfl_sync(unsigned mask, T value, int from, int width = 32)
{
    int lane = zo_shim_lane();
    return zo_shim_exchange("__shfl_sync", mask, value, (lane & ~(width - 1)) + (from & (width - 1)));
}
template <class T>
static inline T __shfl_xor_sync(unsigned mask, T value, int with, int width = 32)
{
    int lane = zo_shim_lane(), other = lane ^ with;
    return zo_shim_exchange("__shfl_xor_sync", mask, value, (lane & ~(width - 1)) + width > other ? other : lane);
}
template <class T>
static inline T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int lane = zo_shim_lane(), other = lane + (int)by;
    return zo_shim_exchange("__shfl_down_sync", mask, value, other < (lane & ~(width - 1)) + width ? other : lane);
}
template <class T>
static inline T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    int lane = zo_shim_lane(), other = lane - (int)by;
    return zo_shim_exchange("__shfl_up_sync", mask, value, other >= (lane & ~(width - 1)) ? other : lane);
}
static inline unsigned __ballot_sync(unsigned mask, int predicate)
{
    const uint64_t *all = zo_shim_meet("__ballot_sync", mask, predicate != 0);
    unsigned votes = 0;
    for (int l = 0; l < 32; l++) {
        votes |= (unsigned)(all[l] != 0 && (mask >> l & 1u) != 0) << l;
    }
    return votes;
}
static inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
static inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, !predicate) == 0; }

/* atomics: one thread runs at a time */
template <class T> static inline T atomicAdd(T *at, T x) { T old = *at; *at = old + x; return old; }
template <class T> static inline T atomicMax(T *at, T x) { T old = *at; *at = old < x ? x : old; return old; }
template <class T> static inline T atomicMin(T *at, T x) { T old = *at; *at = x < old ? x : old; return old; }
template <class T> static inline T atomicOr(T *at, T x) { T old = *at; *at = old | x; return old; }
template <class T> static inline T atomicExch(T *at, T x) { T old = *at; *at = x; return old; }
template <class T> static inline T atomicCAS(T *at, T expected, T x) { T old = *at; *at = old == expected ? x : old; return old; }

static inline float __uint_as_float(unsigned bits) { float x; memcpy(&x, &bits, 4); return x; }
static inline unsigned __float_as_uint(float x) { unsigned bits; memcpy(&bits, &x, 4); return bits; }
template <class T> static inline T __ldg(const T *at) { return *at; }
template <class T> static inline void __stwb(T *at, T x) { *at = x; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __clz(int x) { return x != 0 ? __builtin_clz((unsigned)x) : 32; }
static inline int __ffs(int x) { return __builtin_ffs(x); }
#define ZO_SHIM_MINMAX(T)                                        \
    static inline T min(T a, T b) { return b < a ? b : a; }      \
    static inline T max(T a, T b) { return a < b ? b : a; }
ZO_SHIM_MINMAX(int) ZO_SHIM_MINMAX(unsigned) ZO_SHIM_MINMAX(long) ZO_SHIM_MINMAX(unsigned long)
ZO_SHIM_MINMAX(long long) ZO_SHIM_MINMAX(unsigned long long) ZO_SHIM_MINMAX(float) ZO_SHIM_MINMAX(double)
#undef ZO_SHIM_MINMAX

/* the runtime ----------------------------------------------------------------------------------------------------------------------- */

enum cudaError_t : int {
    cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2, cudaErrorInsufficientDriver = 35,
    cudaErrorDevicesUnavailable = 46, cudaErrorNoDevice = 100, cudaErrorInvalidDevice = 101, cudaErrorStreamCaptureUnsupported = 900, cudaErrorStreamCaptureInvalidated = 901
};
typedef enum cudaMemcpyKind {
    cudaMemcpyHostToHost, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice, cudaMemcpyDefault
} cudaMemcpyKind;
typedef enum cudaDeviceAttr {
    cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75, cudaDevAttrComputeCapabilityMinor = 76,
    cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
} cudaDeviceAttr;
typedef enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 } cudaFuncAttribute;
typedef struct zo_shim_event *cudaEvent_t;
typedef struct zo_shim_graph *cudaGraph_t;
typedef struct zo_shim_exec *cudaGraphExec_t;
typedef enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed
} cudaStreamCaptureMode;
typedef struct cudaDeviceProp { char name[256]; int major, minor, multiProcessorCount; size_t totalGlobalMem; } cudaDeviceProp;
enum { cudaStreamNonBlocking = 1, cudaEventDefault = 0, cudaEventDisableTiming = 2, cudaHostAllocDefault = 0 };

extern double zo_shim_seconds; /* added to the clock of events */
extern int zo_shim_devices; /* how many there are: 1; a test sets 0 */
/* A test: every call of this function fails with this status (a cudaError_t, or of cuBLASLt a cublasStatus_t); NULL = none. */
extern "C" const char *zo_shim_refuse;
extern "C" int zo_shim_refuse_with;
bool zo_shim_refuses(const char *call);
#define SHIM_MAY_REFUSE(type, call)                  \
    if (zo_shim_refuses(call)) {                     \
        return static_cast<type>(zo_shim_refuse_with); \
    }

const char *cudaGetErrorString(cudaError_t status);
const char *cudaGetErrorName(cudaError_t status);
cudaError_t cudaGetLastError(void);
cudaError_t cudaGetDeviceCount(int *n);
cudaError_t cudaSetDevice(int ordinal);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int ordinal);
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int ordinal);
cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes);
cudaError_t cudaMalloc(void **block, size_t bytes);
cudaError_t cudaFree(void *block);
cudaError_t cudaHostAlloc(void **block, size_t bytes, unsigned flags);
cudaError_t cudaFreeHost(void *block);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *block, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemset(void *block, int value, size_t bytes);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaDeviceSynchronize(void);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t zo_shim_func_attribute(const void *kernel, cudaFuncAttribute attr, int value);
template <class Kernel>
static inline cudaError_t cudaFuncSetAttribute(Kernel *kernel, cudaFuncAttribute attr, int value)
{
    return zo_shim_func_attribute(reinterpret_cast<const void *>(kernel), attr, value);
}

/* Device memory may be touched between these (kernels and products do it themselves). They nest. */
void zo_shim_device_open(void);
void zo_shim_device_close(void);
/* Whether [at, at + bytes) lies in one live device block. */
bool zo_shim_is_device(const void *at, size_t bytes);

#endif
