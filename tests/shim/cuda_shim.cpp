/* cuda_shim.cpp: the stand-in behind tests/shim/cuda_runtime.h: fibres, barriers, warps, streams and graphs, and device memory that the host
 * cannot touch. */
#include <cuda_runtime.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SHIM_ASAN 1
#else
#define SHIM_ASAN 0
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;
const bool zo_shim_present = true;
bool zo_shim_reverse;
int zo_shim_devices = 1;
thread_local uint64_t zo_shim_moves[2] = {UINT64_MAX, UINT64_MAX};
void zo_shim_say_moves(uint64_t read_bytes, uint64_t written_bytes)
{
    zo_shim_moves[0] = read_bytes;
    zo_shim_moves[1] = written_bytes;
}
bool zo_shim_idle;
zo_shim_totals zo_shim_total;
const char *zo_shim_misfit;

static void count_moves(uint64_t read_bytes, uint64_t written_bytes)
{
    zo_shim_total.read_bytes += read_bytes;
    zo_shim_total.written_bytes += written_bytes;
}
double zo_shim_seconds;
const char *zo_shim_refuse;
int zo_shim_refuse_with;

bool zo_shim_refuses(const char *call)
{
    return zo_shim_refuse != nullptr && strcmp(zo_shim_refuse, call) == 0;
}

static const char *kernel_name = "(no kernel)";

void zo_shim_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "shim: kernel %s, block (%u,%u,%u), thread (%u,%u,%u): ", kernel_name, blockIdx.x, blockIdx.y, blockIdx.z,
            threadIdx.x, threadIdx.y, threadIdx.z);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

/* fibres -------------------------------------------------------------------------------------------------------------------------- */

enum { THREADS = 1024, STACK_BYTES = 256 << 10 };
enum thread_state { NOT_STARTED, RUNNABLE, AT_BARRIER, IN_WARP, DONE };

struct fibre { void *sp; char *stack; int thread; void *fake_stack; };

/* Save the callee-saved registers and the stack pointer in *from, go on where `to` was saved. */
extern "C" void zo_shim_switch(void **from, void *to);
#if !defined(__x86_64__)
#error "tests/shim/cuda_shim.cpp switches stacks on x86-64 only"
#endif
__asm__(".text\n.globl zo_shim_switch\n.type zo_shim_switch,@function\nzo_shim_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size zo_shim_switch, .-zo_shim_switch\n");

struct warp { const char *what; unsigned mask, here; int waiting, parity; uint64_t slot[2][32]; };

static struct block {
    int threads, next, live, at_barrier;
    zo_shim_call call;
    const void *kernel;
    void *const *argument;
    char *shared;
    thread_state state[THREADS];
    int fibre_of[THREADS];
    warp warps[THREADS / 32];
} now;

static fibre fibres[THREADS];
static int idle[THREADS], nidle;   /* fibres without a thread */
static fibre *running;             /* NULL: the scheduler */
static void *scheduler_sp;
#if SHIM_ASAN
static void *scheduler_fake_stack;
static const void *scheduler_stack;
static size_t scheduler_stack_bytes;
#endif

static void to_fibre(fibre *f)
{
    running = f;
#if SHIM_ASAN
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, f->stack, STACK_BYTES);
#endif
    zo_shim_switch(&scheduler_sp, f->sp);
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, nullptr, nullptr);
#endif
    running = nullptr;
}

/* last: the fibre's frames are gone for good */
static void to_scheduler(fibre *f, bool last)
{
#if SHIM_ASAN
    __sanitizer_start_switch_fiber(last ? nullptr : &f->fake_stack, scheduler_stack, scheduler_stack_bytes);
#else
    (void)last;
#endif
    zo_shim_switch(&f->sp, scheduler_sp);
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(f->fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

static void set_thread(int t)
{
    int at = zo_shim_reverse ? now.threads - 1 - t : t;
    threadIdx = {(unsigned)at % blockDim.x, (unsigned)at / blockDim.x % blockDim.y, (unsigned)at / (blockDim.x * blockDim.y)};
}

/* Position of thread t (in the order of running) in the block. */
static int index_of(int t)
{
    return zo_shim_reverse ? now.threads - 1 - t : t;
}

/* A fibre takes one thread after another until one waits (then it stays with that one) or none is left. */
static void fibre_main(void)
{
    fibre *f = running;
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
#endif
    while (now.next < now.threads) {
        int t = now.next++;
        f->thread = t;
        now.fibre_of[t] = (int)(f - fibres);
        now.state[t] = RUNNABLE;
        set_thread(t);
        now.call(now.kernel, now.argument);
        now.state[f->thread] = DONE;
        now.live--;
    }
    idle[nidle++] = (int)(f - fibres);
    to_scheduler(f, true);
    abort();
}

static void fibre_start(fibre *f)
{
    if (f->stack == nullptr) {
        void *map = mmap(nullptr, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) {
            zo_shim_die("no memory for the stack of a thread");
        }
        f->stack = static_cast<char *>(map);
    }
    void **top = reinterpret_cast<void **>(f->stack + STACK_BYTES) - 8;
    memset(top, 0, 8 * sizeof *top);
    top[6] = reinterpret_cast<void *>(fibre_main);
    f->sp = top;
}

static void give_way(thread_state state)
{
    fibre *f = running;
    if (f == nullptr) {
        zo_shim_die("a barrier outside a kernel");
    }
    now.state[f->thread] = state;
    to_scheduler(f, false);
    set_thread(f->thread);
}

static void release_barrier(void)
{
    if (now.at_barrier > 0 && now.at_barrier == now.live) {
        for (int t = 0; t < now.threads; t++) {
            now.state[t] = now.state[t] == AT_BARRIER ? RUNNABLE : now.state[t];
        }
        now.at_barrier = 0;
    }
}

void zo_shim_barrier(void)
{
    now.at_barrier++;
    if (now.next == now.threads && now.at_barrier == now.live) {
        release_barrier(); /* the last to come need not wait */
        return;
    }
    give_way(AT_BARRIER);
}

int zo_shim_lane(void)
{
    return index_of(running->thread) % 32;
}

const uint64_t *zo_shim_meet(const char *what, unsigned mask, uint64_t value)
{
    int at = index_of(running->thread), lane = at % 32;
    warp *w = &now.warps[at / 32];
    int lanes = now.threads - at / 32 * 32 < 32 ? now.threads - at / 32 * 32 : 32;
    unsigned all = lanes == 32 ? 0xFFFFFFFFu : (1u << lanes) - 1;
    if ((mask & all) != all) {
        zo_shim_die("%s with mask %#x; whole warps only", what, mask);
    }
    if (w->here != 0 && w->what != what && strcmp(w->what, what) != 0) {
        zo_shim_die("lanes of one warp are in %s and in %s", w->what, what);
    }
    int parity = w->parity;
    w->what = what;
    w->here |= 1u << lane;
    w->slot[parity][lane] = value;
    if (w->here == all) {
        w->here = 0;
        w->parity = !parity;
        for (int l = 0; l < lanes; l++) {
            int t = index_of(at / 32 * 32 + l);
            now.state[t] = now.state[t] == IN_WARP ? RUNNABLE : now.state[t];
        }
    } else {
        give_way(IN_WARP);
    }
    return w->slot[parity];
}

/* Next thread that can run, from t on; -1 when none. */
static int next_runnable(int t)
{
    for (int i = 0; i < now.threads; i++) {
        int at = t + i < now.threads ? t + i : t + i - now.threads;
        if (now.state[at] == RUNNABLE) {
            return at;
        }
    }
    return -1;
}

static void run_block(void)
{
    now.next = now.at_barrier = 0;
    now.live = now.threads;
    memset(now.state, 0, sizeof now.state);
    memset(now.warps, 0, sizeof now.warps);
    nidle = 0;
    for (int i = THREADS - 1; i >= 0; i--) {
        idle[nidle++] = i;
    }
    int t = 0;
    while (now.live > 0) {
        if (now.next < now.threads) {
            fibre *f = &fibres[idle[--nidle]];
            fibre_start(f);
            to_fibre(f);
            continue;
        }
        release_barrier();
        t = next_runnable(t);
        if (t < 0) {
            int waiting = 0, in_warp = 0;
            for (int i = 0; i < now.threads; i++) {
                waiting += now.state[i] == AT_BARRIER;
                in_warp += now.state[i] == IN_WARP;
            }
            zo_shim_die("%d threads wait at __syncthreads and %d in warp operations for others that do not come", waiting, in_warp);
        }
        to_fibre(&fibres[now.fibre_of[t]]);
        t = t + 1 < now.threads ? t + 1 : 0;
    }
}

void *zo_shim_shared_dynamic(void)
{
    return now.shared;
}

/* launches ------------------------------------------------------------------------------------------------------------------------ */

enum { KERNELS = 512, SHARED_DEFAULT = 48 << 10, SHARED_MOST = 227 << 10 };
static struct { const char *name; unsigned long launches, threads, most_columns; } kernels[KERNELS];
static struct { const void *kernel; int bytes; } allowed[KERNELS];
static int nkernels, nallowed;

int zo_shim_kernels(void)
{
    return nkernels;
}

const char *zo_shim_kernel(int i, unsigned long *launches, unsigned long *threads, unsigned long *most_columns)
{
    *launches = kernels[i].launches;
    *threads = kernels[i].threads;
    *most_columns = kernels[i].most_columns;
    return kernels[i].name;
}

cudaError_t zo_shim_func_attribute(const void *kernel, cudaFuncAttribute attr, int value)
{
    int i = 0;
    while (i < nallowed && allowed[i].kernel != kernel) {
        i++;
    }
    if (attr != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value > SHARED_MOST || i == KERNELS) {
        return cudaErrorInvalidValue;
    }
    nallowed += i == nallowed;
    allowed[i] = {kernel, value};
    return cudaSuccess;
}

static size_t shared_limit(const void *kernel)
{
    int most = SHARED_DEFAULT;
    for (int i = 0; i < nallowed; i++) {
        most = allowed[i].kernel == kernel && allowed[i].bytes > most ? allowed[i].bytes : most;
    }
    return (size_t)most;
}

static void count(const char *name, unsigned long threads, unsigned long columns)
{
    int i = 0;
    while (i < nkernels && strcmp(kernels[i].name, name) != 0) {
        i++;
    }
    if (i < KERNELS) {
        nkernels += i == nkernels;
        kernels[i].name = name;
        kernels[i].launches++;
        kernels[i].threads += threads;
        kernels[i].most_columns = columns > kernels[i].most_columns ? columns : kernels[i].most_columns;
    }
}

static void run_kernel(const char *name, const void *kernel, zo_shim_call call, dim3 grid, dim3 block, void *const *argument, size_t shared_bytes)
{
    unsigned long threads = (unsigned long)block.x * block.y * block.z, blocks = (unsigned long)grid.x * grid.y * grid.z;
    kernel_name = name;
    gridDim = grid;
    blockDim = block;
    if (running != nullptr) {
        zo_shim_die("launched from inside a kernel");
    }
    if (blocks == 0 || threads == 0 || threads > THREADS || block.z > 64 || grid.y > 65535 || grid.z > 65535 || grid.x > 0x7FFFFFFFu) {
        zo_shim_die("a grid of (%u,%u,%u) blocks of (%u,%u,%u) threads is not allowed", grid.x, grid.y, grid.z, block.x, block.y, block.z);
    }
    if (shared_bytes > shared_limit(kernel)) {
        zo_shim_die("%zu bytes of dynamic shared memory, %zu allowed; see cudaFuncSetAttribute", shared_bytes, shared_limit(kernel));
    }
    count(name, blocks * threads, grid.x);
    now.threads = (int)threads;
    now.call = call;
    now.kernel = kernel;
    now.argument = argument;
    /* exactly this many bytes, so that AddressSanitizer sees its end; aligned to 16 as on the device */
    void *shared = nullptr;
    if (posix_memalign(&shared, 16, shared_bytes > 0 ? shared_bytes : 1) != 0) {
        zo_shim_die("no memory");
    }
    now.shared = static_cast<char *>(shared);
    zo_shim_device_open();
    for (unsigned long i = 0; i < blocks; i++) {
        unsigned long at = zo_shim_reverse ? blocks - 1 - i : i;
        blockIdx = {(unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / ((unsigned long)grid.x * grid.y))};
        memset(shared, 0xFF, shared_bytes); /* NaN: nothing may rely on what it holds at first */
        run_block();
    }
    zo_shim_device_close();
    free(shared);
    kernel_name = "(no kernel)";
}

/* streams and graphs --------------------------------------------------------------------------------------------------------------- */

bool zo_shim_lazy;

/* What is to run, in order: each entry's function and its bytes. */
struct entry { void (*run)(const void *); size_t bytes; };
struct list { char *data; size_t bytes, room; };
struct zo_shim_stream { bool live, capturing, broken; list pending, captured; };
struct zo_shim_graph { list captured; };
struct zo_shim_exec { list all; };
enum { STREAMS = 64, ARGUMENTS = 32 };
static zo_shim_stream streams[STREAMS];

static size_t round16(size_t bytes)
{
    return (bytes + 15) / 16 * 16;
}

static char *list_room(list *l, size_t bytes)
{
    if (l->bytes + bytes > l->room) {
        l->room = 2 * (l->bytes + bytes);
        l->data = static_cast<char *>(realloc(l->data, l->room));
        if (l->data == nullptr) {
            zo_shim_die("no memory");
        }
    }
    l->bytes += bytes;
    return l->data + l->bytes - bytes;
}

static void list_add(list *l, void (*run)(const void *), const void *what, size_t bytes)
{
    entry e = {run, bytes};
    char *at = list_room(l, sizeof e + round16(bytes));
    memcpy(at, &e, sizeof e);
    memcpy(at + sizeof e, what, bytes);
}

/* Device memory stays open from the first to the last: no code of the host runs between them. */
static void list_run(const list *l)
{
    if (l->bytes == 0) {
        return;
    }
    zo_shim_device_open();
    for (size_t at = 0; at < l->bytes;) {
        entry e;
        memcpy(&e, l->data + at, sizeof e);
        e.run(l->data + at + sizeof e);
        at += sizeof e + round16(e.bytes);
    }
    zo_shim_device_close();
}

static void list_free(list *l)
{
    free(l->data);
    *l = {};
}

static void drain(void)
{
    for (zo_shim_stream &s : streams) {
        list_run(&s.pending);
        s.pending.bytes = 0;
    }
}

/* What may not be done while a stream is captured: the capture is broken, as CUDA does it. */
static bool forbidden(void)
{
    bool any = false;
    for (zo_shim_stream &s : streams) {
        any = any || s.capturing;
        s.broken = s.broken || s.capturing;
    }
    return any;
}

cudaError_t zo_shim_enqueue(cudaStream_t stream, void (*run)(const void *), const void *what, size_t bytes)
{
    if (stream == nullptr || !stream->live) {
        zo_shim_die("a stream that is not open");
    }
    zo_shim_total.launches += !stream->capturing;
    if (stream->capturing) {
        list_add(&stream->captured, run, what, bytes);
    } else if (zo_shim_lazy) {
        list_add(&stream->pending, run, what, bytes);
    } else {
        drain(); /* from before zo_shim_lazy was turned off */
        run(what);
    }
    return cudaSuccess;
}

struct alignas(16) launch { /* the arguments stand behind it */
    const char *name;
    const void *kernel;
    zo_shim_call call;
    const uint32_t *at;
    uint32_t n;
    dim3 grid, block;
    size_t shared_bytes;
    uint64_t moves[2];
};

static void run_launch(const void *what)
{
    const launch *l = static_cast<const launch *>(what);
    zo_shim_total.kernels++;
    if (l->moves[0] == UINT64_MAX) {
        zo_shim_total.unsaid++;
    } else {
        count_moves(l->moves[0], l->moves[1]);
    }
    if (zo_shim_idle) {
        uint64_t threads = (uint64_t)l->grid.x * l->grid.y * l->grid.z * l->block.x * l->block.y * l->block.z, bytes = l->moves[0] + l->moves[1];
        if ((threads > 1 << 17 && 8 * (threads - threads / 64) > bytes) || (threads < 1 << 14 && bytes > 32000000)) { /* a last block may be part idle */
            zo_shim_misfit = l->name;
        }
        return;
    }
    char *first = const_cast<char *>(static_cast<const char *>(what)) + sizeof *l;
    void *argument[ARGUMENTS];
    for (uint32_t i = 0; i < l->n; i++) {
        argument[i] = first + l->at[i];
    }
    run_kernel(l->name, l->kernel, l->call, l->grid, l->block, argument, l->shared_bytes);
}

cudaError_t zo_shim_launch(const char *name, const void *kernel, zo_shim_call call, dim3 grid, dim3 block, const void *arguments, const uint32_t *at,
                           uint32_t n, size_t shared_bytes, const uint64_t moves[2], cudaStream_t stream)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaLaunchKernel")
    alignas(16) char what[sizeof(launch) + 4096];
    if (n > ARGUMENTS || at[n] > 4096) {
        return cudaErrorInvalidValue;
    }
    launch l = {name, kernel, call, at, n, grid, block, shared_bytes, {moves[0], moves[1]}};
    memcpy(what, &l, sizeof l);
    memcpy(what + sizeof l, arguments, at[n]);
    return zo_shim_enqueue(stream, run_launch, what, sizeof l + at[n]);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaStreamCreateWithFlags")
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    for (zo_shim_stream &s : streams) {
        if (!s.live) {
            s.live = true;
            *stream = &s;
            return cudaSuccess;
        }
    }
    return cudaErrorMemoryAllocation;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream)
{
    if (stream->capturing) {
        stream->broken = true;
        return cudaErrorStreamCaptureUnsupported;
    }
    list_run(&stream->pending);
    stream->pending.bytes = 0;
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    drain();
    return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    drain();
    list_free(&stream->pending);
    list_free(&stream->captured);
    *stream = {};
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    if (stream->capturing) {
        return cudaErrorInvalidValue;
    }
    stream->capturing = true;
    stream->broken = false;
    stream->captured = {};
    return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = nullptr;
    if (!stream->capturing) {
        return cudaErrorInvalidValue;
    }
    stream->capturing = false;
    if (stream->broken) {
        list_free(&stream->captured);
        return cudaErrorStreamCaptureInvalidated;
    }
    *graph = static_cast<zo_shim_graph *>(calloc(1, sizeof **graph));
    (*graph)->captured = stream->captured;
    stream->captured = {};
    return cudaSuccess;
}

cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaGraphInstantiateWithFlags")
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    *exec = static_cast<zo_shim_exec *>(calloc(1, sizeof **exec));
    memcpy(list_room(&(*exec)->all, graph->captured.bytes), graph->captured.data, graph->captured.bytes);
    return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    zo_shim_total.graphs++;
    if (zo_shim_lazy) {
        memcpy(list_room(&stream->pending, exec->all.bytes), exec->all.data, exec->all.bytes);
    } else {
        drain();
        list_run(&exec->all);
    }
    return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec)
{
    list_free(&exec->all);
    free(exec);
    return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph)
{
    list_free(&graph->captured);
    free(graph);
    return cudaSuccess;
}

/* device memory ------------------------------------------------------------------------------------------------------------------- */

/* Without AddressSanitizer blocks are pages of one range that has no access rights between kernels (blocks from LARGE bytes on stand
 * outside it: changing their rights takes long); with it they are heap blocks, poisoned between kernels. A block begins at a multiple of
 * 256 and is filled with NaN. */
enum { BLOCKS = 65536, PAGE = 4096, LARGE = 16 << 20 };
static const size_t DEVICE_BYTES = (size_t)8 << 30, IDLE_BYTES = (size_t)4 << 40;

static size_t device_bytes(void)
{
    return zo_shim_idle ? IDLE_BYTES : DEVICE_BYTES;
}

static struct { char *at; size_t bytes; } blocks[BLOCKS];
static int nblocks, opened;
static size_t live_bytes;
#if !SHIM_ASAN
static const size_t RANGE_BYTES = (size_t)1 << 36; /* of addresses */
static char *range;
static size_t range_used;
#endif

static void rights(bool open)
{
    if (zo_shim_idle) {
        return;
    }
#if SHIM_ASAN
    for (int i = 0; i < nblocks; i++) {
        if (open) {
            ASAN_UNPOISON_MEMORY_REGION(blocks[i].at, blocks[i].bytes);
        } else {
            ASAN_POISON_MEMORY_REGION(blocks[i].at, blocks[i].bytes);
        }
    }
#else
    if (range_used > 0 && mprotect(range, range_used, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) {
        zo_shim_die("mprotect: %s", strerror(errno));
    }
#endif
}

void zo_shim_device_open(void)
{
    if (opened++ == 0) {
        rights(true);
    }
}

void zo_shim_device_close(void)
{
    if (--opened == 0) {
        rights(false);
    }
}

bool zo_shim_is_device(const void *at, size_t bytes)
{
    const char *p = static_cast<const char *>(at);
    for (int i = 0; i < nblocks; i++) {
        if (p >= blocks[i].at && p + bytes <= blocks[i].at + blocks[i].bytes) {
            return true;
        }
    }
    return false;
}

cudaError_t cudaMalloc(void **block, size_t bytes)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaMalloc")
    size_t size = bytes > 0 ? bytes : 1;
    char *at = nullptr;
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    if (nblocks == BLOCKS || live_bytes + size > device_bytes()) {
        return cudaErrorMemoryAllocation;
    }
    if (zo_shim_idle) { /* addresses without pages */
        void *map = mmap(nullptr, (size + PAGE - 1) / PAGE * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) {
            return cudaErrorMemoryAllocation;
        }
        blocks[nblocks++] = {static_cast<char *>(map), size};
        live_bytes += size;
        *block = map;
        return cudaSuccess;
    }
#if SHIM_ASAN
    void *heap = nullptr;
    if (posix_memalign(&heap, 256, size) != 0) {
        return cudaErrorMemoryAllocation;
    }
    at = static_cast<char *>(heap);
#else
    size_t pages = (size + PAGE - 1) / PAGE * PAGE;
    if (size >= LARGE) {
        void *map = mmap(nullptr, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) {
            return cudaErrorMemoryAllocation;
        }
        at = static_cast<char *>(map);
        pages = 0;
    } else if (range == nullptr) {
        void *map = mmap(nullptr, RANGE_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (map == MAP_FAILED) {
            return cudaErrorMemoryAllocation;
        }
        range = static_cast<char *>(map);
    }
    if (range_used + pages > RANGE_BYTES) {
        return cudaErrorMemoryAllocation;
    }
    at = pages > 0 ? range + range_used : at;
    range_used += pages;
#endif
    blocks[nblocks++] = {at, size};
    zo_shim_device_open();
    memset(at, 0xFF, size);
    live_bytes += size;
    zo_shim_device_close();
    *block = at;
    return cudaSuccess;
}

cudaError_t cudaFree(void *block)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    drain(); /* cudaFree waits */
    if (block == nullptr) {
        return cudaSuccess;
    }
    for (int i = 0; i < nblocks; i++) {
        if (blocks[i].at == block) {
            live_bytes -= blocks[i].bytes;
            if (zo_shim_idle) {
                munmap(block, (blocks[i].bytes + PAGE - 1) / PAGE * PAGE);
                blocks[i] = blocks[--nblocks];
                return cudaSuccess;
            }
#if SHIM_ASAN
            ASAN_UNPOISON_MEMORY_REGION(block, blocks[i].bytes);
            free(block);
#else
            size_t pages = (blocks[i].bytes + PAGE - 1) / PAGE * PAGE;
            (void)(blocks[i].bytes >= LARGE ? munmap(block, pages) : madvise(block, pages, MADV_DONTNEED)); /* addresses are not used again */
#endif
            blocks[i] = blocks[--nblocks];
            return cudaSuccess;
        }
    }
    return cudaErrorInvalidValue;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *total_bytes = device_bytes();
    *free_bytes = device_bytes() - live_bytes;
    return cudaSuccess;
}

cudaError_t cudaHostAlloc(void **block, size_t bytes, unsigned)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaHostAlloc")
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    return posix_memalign(block, 64, bytes > 0 ? bytes : 1) == 0 ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *block)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    drain();
    free(block);
    return cudaSuccess;
}

struct copying { void *to; const void *from; size_t bytes; cudaMemcpyKind kind; };

static void check_copy(const copying *c)
{
    bool to_device = c->kind == cudaMemcpyHostToDevice || c->kind == cudaMemcpyDeviceToDevice;
    bool from_device = c->kind == cudaMemcpyDeviceToHost || c->kind == cudaMemcpyDeviceToDevice;
    if (c->bytes > 0 && (zo_shim_is_device(c->to, c->bytes) != to_device || zo_shim_is_device(c->from, c->bytes) != from_device)) {
        zo_shim_die("a copy of %zu bytes whose ends are not where its kind (%d) says", c->bytes, (int)c->kind);
    }
}

static void run_copy(const void *what)
{
    const copying *c = static_cast<const copying *>(what);
    check_copy(c);
    zo_shim_total.copies++;
    count_moves(c->kind == cudaMemcpyHostToDevice ? 0 : c->bytes, c->kind == cudaMemcpyDeviceToHost ? 0 : c->bytes);
    if (zo_shim_idle) {
        if (c->kind == cudaMemcpyDeviceToHost) {
            memset(c->to, 0, c->bytes);
        }
        return;
    }
    zo_shim_device_open();
    memmove(c->to, c->from, c->bytes);
    zo_shim_device_close();
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream)
{
    copying c = {to, from, bytes, kind};
    check_copy(&c);
    return zo_shim_enqueue(stream, run_copy, &c, sizeof c);
}

struct filling { void *block; int value; size_t bytes; };

static void run_fill(const void *what)
{
    const filling *f = static_cast<const filling *>(what);
    if (f->bytes > 0 && !zo_shim_is_device(f->block, f->bytes)) {
        zo_shim_die("a fill of %zu bytes that are not in one device block", f->bytes);
    }
    zo_shim_total.fills++;
    count_moves(0, f->bytes);
    if (zo_shim_idle) {
        return;
    }
    zo_shim_device_open();
    memset(f->block, f->value, f->bytes);
    zo_shim_device_close();
}

cudaError_t cudaMemsetAsync(void *block, int value, size_t bytes, cudaStream_t stream)
{
    filling f = {block, value, bytes};
    return zo_shim_enqueue(stream, run_fill, &f, sizeof f);
}

/* On the default stream, which those of the backends do not wait for. */
cudaError_t cudaMemset(void *block, int value, size_t bytes)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    filling f = {block, value, bytes};
    run_fill(&f);
    return cudaSuccess;
}

/* the rest of the runtime: one device --------------------------------------------------------------- */

struct zo_shim_event { double seconds; };

const char *cudaGetErrorName(cudaError_t status)
{
    switch (status) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorDevicesUnavailable: return "cudaErrorDevicesUnavailable";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    }
    return "?";
}

const char *cudaGetErrorString(cudaError_t status)
{
    return status == cudaErrorNoDevice ? "no CUDA-capable device is detected" : cudaGetErrorName(status);
}

cudaError_t cudaGetLastError(void) { return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int *n)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaGetDeviceCount")
    *n = zo_shim_devices;
    return zo_shim_devices > 0 ? cudaSuccess : cudaErrorNoDevice;
}

static cudaError_t known(int ordinal)
{
    return ordinal >= 0 && ordinal < zo_shim_devices ? cudaSuccess : cudaErrorInvalidDevice;
}

cudaError_t cudaSetDevice(int ordinal)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaSetDevice")
    return known(ordinal);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *prop, int ordinal)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaGetDeviceProperties")
    memset(prop, 0, sizeof *prop);
    snprintf(prop->name, sizeof prop->name, "shim");
    prop->major = 9;
    prop->multiProcessorCount = 3;
    prop->totalGlobalMem = DEVICE_BYTES;
    return known(ordinal);
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attr, int ordinal)
{
    switch (attr) {
    case cudaDevAttrMultiProcessorCount: *value = 3; break;
    case cudaDevAttrComputeCapabilityMajor: *value = 9; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = SHARED_MOST; break;
    }
    return known(ordinal);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned)
{
    SHIM_MAY_REFUSE(cudaError_t, "cudaEventCreateWithFlags")
    *event = static_cast<zo_shim_event *>(calloc(1, sizeof **event));
    return *event != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

/* A capture may record events, but not for the host to read: the backend's marks do not belong into one. */
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t)
{
    if (forbidden()) {
        return cudaErrorStreamCaptureUnsupported;
    }
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    event->seconds = zo_shim_seconds + (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
    return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaDeviceSynchronize(); }

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to)
{
    *ms = (float)(1e3 * (to->seconds - from->seconds));
    return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event)
{
    free(event);
    return cudaSuccess;
}
