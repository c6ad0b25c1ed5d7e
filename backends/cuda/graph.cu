/* graph.cu: passes started as a whole. Between pass_begin and pass_end everything that would go to the stream (kernels, products,
 * copies and fills on the device) is written into a log instead: which function, which grid, which argument bytes. pass_end looks for a
 * CUDA graph that was captured from the same log, byte for byte, and launches it; a log that came once before is captured from the
 * stream while it is played; a new one is played to the stream as it stands.
 *
 * So there is no description of a pass beside the pass itself, and no key that its caller could get wrong: the key of a graph is all that
 * its nodes are made of, addresses included, and whatever a kernel is given by value is in it. What may change from pass to pass under one
 * graph is what device memory holds: the weights, and what was staged. Staged data (token ids, rows, work lists, the view with its seed,
 * step and coefficients) stand in a block of the pass, in the order of the stagings, so that equal sizes give equal addresses; the block goes
 * to the device in one copy, in stream order, before the launch. The host's work per pass is that of calling the operations: no driver is
 * called before the end.
 *
 * A log is played where a graph would not pay or could not be: at its first coming (which also grows workspace, makes plans of products and
 * loads kernels, all of them forbidden or slow during a capture), and where an operation has to wait or free in the middle (what was gathered
 * is started then, and gathering goes on after it). Graphs are dropped least recently used first.
 *
 * What the driver keeps for a graph is in no ledger but in the device's own figure (zo_cuda_memory).
 * Not here: several streams, updates of a graph in place of a new capture, device time by part inside a graph (ZO_CUDA_GRAPHS=0 shows it). */
#include <stdlib.h>
#include <string.h>

#include "backends/cuda/device.cuh"

enum { ALIGN = 16, BLOCK_ALIGN = 256, ARGUMENTS = 32, BLOCK_BYTES = 64 << 10 };

/* One entry of a log; `bytes` of `what` follow, zeros up to a multiple of ALIGN. */
struct entry { zo_cuda_play play; size_t bytes; };

struct graph { uint64_t hash, used; unsigned char *log; size_t bytes; cudaGraphExec_t exec; };

struct zo_cuda_pass {
    unsigned char *log;
    size_t bytes, room;
    /* the block of staged data; [uploaded, staged) is not yet on the device */
    char *host, *device;
    size_t staged, uploaded, block;
    /* those before extra_begin, where others were made since: `apart` */
    char *kept_host, *kept_device;
    size_t kept_block;
    bool extra, apart;
    bool capturing;
    graph *graphs;  /* (most) */
    uint64_t *seen; /* (most) hashes of the last new logs, a ring */
    int most, ngraphs, nseen, next_seen;
    uint64_t clock;
};

/* The backend that gathers on this thread. */
static thread_local zo_cuda *gathering;

/* entries ---------------------------------------------------------------------------------------------------------------------------- */

void zo_cuda_enqueue(cudaStream_t stream, zo_cuda_play play, const void *what, size_t bytes)
{
    if (gathering == NULL || gathering->stream != stream) {
        play(stream, what);
        return;
    }
    zo_cuda_pass *p = gathering->pass;
    size_t all = sizeof(entry) + zo_round_up(bytes, ALIGN);
    if (p->bytes + all > p->room) {
        p->room = 2 * (p->bytes + all);
        p->log = static_cast<unsigned char *>(zo_realloc(p->log, ZO_HOST, ZO_TAG_WORKSPACE, p->room));
    }
    entry e = {play, bytes};
    unsigned char *at = p->log + p->bytes;
    memset(at + all - ALIGN, 0, ALIGN);
    memcpy(at, &e, sizeof e);
    memcpy(at + sizeof e, what, bytes);
    p->bytes += all;
}

void zo_cuda_play_call(cudaStream_t stream, const void *what)
{
    const zo_cuda_call *l = static_cast<const zo_cuda_call *>(what);
    unsigned char *first = const_cast<unsigned char *>(static_cast<const unsigned char *>(what)) + sizeof *l;
    dim3 grid(l->grid[0], l->grid[1], l->grid[2]), block(l->block[0], l->block[1], l->block[2]);
#ifdef __CUDACC__
    void *argument[ARGUMENTS];
    ZO_CHECK(l->arguments <= ARGUMENTS, "kernel %s takes %u arguments; raise ARGUMENTS", l->name, l->arguments);
    for (uint32_t i = 0; i < l->arguments; i++) {
        argument[i] = first + l->at[i];
    }
    cudaError_t status = cudaLaunchKernel(l->kernel, grid, block, argument, l->shared_bytes, stream);
#else
    cudaError_t status = zo_shim_launch(l->name, l->kernel, l->call, grid, block, first, l->at, l->arguments, l->shared_bytes, l->moves, stream);
#endif
    if (status == cudaErrorMemoryAllocation) { /* kernels are loaded when they are launched first */
        zo_cuda_refused(l->name);
    }
    ZO_CHECK(status == cudaSuccess, "CUDA: kernel %s, grid (%u,%u,%u), block (%u,%u,%u): %s (%s)", l->name, grid.x, grid.y, grid.z, block.x,
             block.y, block.z, cudaGetErrorString(status), cudaGetErrorName(status));
}

static void play_log(zo_cuda *cuda)
{
    const zo_cuda_pass *p = cuda->pass;
    for (size_t at = 0; at < p->bytes;) {
        entry e;
        memcpy(&e, p->log + at, sizeof e);
        e.play(cuda->stream, p->log + at + sizeof e);
        at += sizeof e + zo_round_up(e.bytes, ALIGN);
    }
}

/* graphs ----------------------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const unsigned char *log, size_t bytes)
{
    uint64_t h = 0x9E3779B97F4A7C15ull, word;
    for (size_t i = 0; i < bytes; i += sizeof word) { /* a multiple of ALIGN */
        memcpy(&word, log + i, sizeof word);
        h = (h ^ word) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    return h;
}

static graph *graph_find(zo_cuda_pass *p, uint64_t hash)
{
    for (int i = 0; i < p->ngraphs; i++) {
        graph *g = &p->graphs[i];
        if (g->hash == hash && g->bytes == p->bytes && memcmp(g->log, p->log, p->bytes) == 0) {
            return g;
        }
    }
    return NULL;
}

/* The last one takes its place. */
static void graph_drop(zo_cuda_pass *p, int at)
{
    CUDA_CHECK(cudaGraphExecDestroy(p->graphs[at].exec));
    zo_free(p->graphs[at].log);
    p->graphs[at] = p->graphs[--p->ngraphs];
}

static graph *graph_capture(zo_backend *be, uint64_t hash)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_pass *p = cuda->pass;
    if (p->ngraphs == p->most) {
        int oldest = 0;
        for (int i = 1; i < p->ngraphs; i++) {
            oldest = p->graphs[i].used < p->graphs[oldest].used ? i : oldest;
        }
        CUDA_CHECK(cudaStreamSynchronize(cuda->stream)); /* it may still run */
        graph_drop(p, oldest);
        be->passes.evicted++;
    }
    graph *g = &p->graphs[p->ngraphs];
    cudaGraph_t captured;
    CUDA_CHECK(cudaStreamBeginCapture(cuda->stream, cudaStreamCaptureModeThreadLocal));
    p->capturing = true;
    play_log(cuda);
    p->capturing = false;
    CUDA_CHECK(cudaStreamEndCapture(cuda->stream, &captured));
    CUDA_CHECK(cudaGraphInstantiateWithFlags(&g->exec, captured, 0));
    CUDA_CHECK(cudaGraphDestroy(captured));
    g->hash = hash;
    g->bytes = p->bytes;
    g->log = static_cast<unsigned char *>(zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, p->bytes));
    memcpy(g->log, p->log, p->bytes);
    p->ngraphs++;
    return g;
}

/* Whether the log with this hash came lately; remembers it. */
static bool came_before(zo_cuda_pass *p, uint64_t hash)
{
    for (int i = 0; i < p->nseen; i++) {
        if (p->seen[i] == hash) {
            return true;
        }
    }
    p->seen[p->next_seen] = hash;
    p->next_seen = (p->next_seen + 1) % p->most;
    p->nseen += p->nseen < p->most;
    return false;
}

void zo_cuda_pass_start(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_pass *p = cuda->pass;
    if (gathering != cuda) {
        return;
    }
    if (p->staged > p->uploaded) {
        zo_cuda_send(be, p->device + p->uploaded, p->host + p->uploaded, p->staged - p->uploaded);
        p->uploaded = p->staged;
    }
    if (p->bytes == 0) {
        return;
    }
    uint64_t hash = hash_of(p->log, p->bytes);
    graph *g = graph_find(p, hash);
    if (g != NULL) {
        be->passes.replayed++;
    } else if (came_before(p, hash)) {
        g = graph_capture(be, hash);
        be->passes.captured++;
    } else {
        play_log(cuda);
        be->passes.played++;
    }
    if (g != NULL) {
        g->used = ++p->clock;
        zo_cuda_part_now(be, ZO_PARTS);
        CUDA_CHECK(cudaGraphLaunch(g->exec, cuda->stream));
    }
    p->bytes = 0;
}

/* staged data ------------------------------------------------------------------------------------------------------------------------ */

bool zo_cuda_gathers(const zo_cuda *cuda)
{
    return gathering == cuda;
}

bool zo_cuda_captures(const zo_cuda *cuda)
{
    return cuda->pass->capturing;
}

/* The old block on the device stays until close: operations under way have addresses in it. */
static void block_grow(zo_backend *be, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_pass *p = cuda->pass;
    zo_cuda_pass_start(be);
    if (p->extra && !p->apart) {
        p->kept_host = p->host;
        p->kept_device = p->device;
        p->kept_block = p->block;
        p->apart = true;
        p->host = NULL;
    } else if (p->device != NULL) {
        zo_cuda_retire(cuda, p->device);
    }
    p->block = p->block > BLOCK_BYTES ? p->block : (size_t)BLOCK_BYTES;
    while (p->block < bytes) {
        p->block *= 2;
    }
    zo_free(p->host);
    p->host = static_cast<char *>(zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, p->block));
    p->device = static_cast<char *>(zo_alloc(ZO_DEVICE, ZO_TAG_WORKSPACE, p->block));
    p->staged = p->uploaded = 0;
}

const void *zo_cuda_pass_stage(zo_backend *be, const void *host, size_t bytes)
{
    zo_cuda_pass *p = zo_cuda_of(be)->pass;
    size_t need = zo_round_up(bytes > 0 ? bytes : 1, BLOCK_ALIGN), at;
    if (p->staged + need > p->block) {
        block_grow(be, 2 * (p->staged + need));
    }
    at = p->staged;
    if (bytes > 0) {
        memcpy(p->host + at, host, bytes);
    }
    p->staged += need;
    return p->device + at;
}

void zo_cuda_pass_extra_begin(zo_backend *be)
{
    zo_cuda_of(be)->pass->extra = true;
}

void zo_cuda_pass_extra_end(zo_backend *be)
{
    zo_cuda_pass *p = zo_cuda_of(be)->pass;
    if (p->apart) {
        zo_free(p->host);
        zo_free(p->device);
        p->host = p->kept_host;
        p->device = p->kept_device;
        p->block = p->kept_block;
        p->staged = p->uploaded = 0;
    }
    p->extra = p->apart = false;
}

/* A pass's stagings of 32-bit numbers per token (ids, positions, rows, scores, work lists), and a view's coefficients. */
void zo_cuda_pass_reserve(zo_backend *be, int points, int64_t tokens, int64_t ncoef)
{
    zo_cuda_pass *p = zo_cuda_of(be)->pass;
    size_t bytes = BLOCK_BYTES + (size_t)(16 * tokens + (4 + points) * ncoef) * sizeof(float);
    if (p->most > 0 && p->block < bytes) {
        ZO_CHECK(gathering != zo_cuda_of(be), "reserve between pass_begin and pass_end");
        CUDA_CHECK(cudaStreamSynchronize(zo_cuda_of(be)->stream));
        if (!p->extra || p->apart) {
            zo_free(p->device);
            p->device = NULL;
        }
        block_grow(be, bytes);
    }
}

/* passes ----------------------------------------------------------------------------------------------------------------------------- */

/* What was staged before stands elsewhere, or will be overwritten. */
static void forget_staged(zo_cuda *cuda)
{
    cuda->staged.key_bytes = 0;
    for (int i = 0; i < ZO_CUDA_KEPTS; i++) {
        cuda->kept[i].bytes = 0;
    }
    cuda->pass->staged = cuda->pass->uploaded = 0;
}

void zo_cuda_pass_begin(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    ZO_CHECK(gathering == NULL, "a pass begins inside a pass");
    if (cuda->pass->most > 0) {
        forget_staged(cuda);
        cuda->pass->bytes = 0;
        gathering = cuda;
    }
}

void zo_cuda_pass_end(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    if (gathering == cuda) {
        zo_cuda_pass_start(be);
        gathering = NULL;
        forget_staged(cuda);
    }
}

void zo_cuda_set_graphs(zo_backend *be, int most)
{
    zo_cuda_pass *p = zo_cuda_of(be)->pass;
    ZO_CHECK(most >= 0 && gathering != zo_cuda_of(be), "%d graphs", most);
    CUDA_CHECK(cudaStreamSynchronize(zo_cuda_of(be)->stream));
    while (p->ngraphs > 0) {
        graph_drop(p, p->ngraphs - 1);
    }
    zo_free(p->graphs);
    zo_free(p->seen);
    p->graphs = static_cast<graph *>(zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)most * sizeof *p->graphs));
    p->seen = static_cast<uint64_t *>(zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, (size_t)most * sizeof *p->seen));
    p->most = most;
    p->nseen = p->next_seen = 0;
}

void zo_cuda_pass_open(zo_backend *be, int most)
{
    zo_cuda_of(be)->pass = static_cast<zo_cuda_pass *>(zo_alloc(ZO_HOST, ZO_TAG_WORKSPACE, sizeof(zo_cuda_pass)));
    zo_cuda_set_graphs(be, most);
}

void zo_cuda_pass_close(zo_backend *be)
{
    zo_cuda_pass *p = zo_cuda_of(be)->pass;
    zo_cuda_set_graphs(be, 0);
    zo_free(p->graphs);
    zo_free(p->seen);
    zo_free(p->log);
    zo_free(p->host);
    zo_free(p->device);
    zo_free(p);
}
