/* cuda.cu: the CUDA backend: its table of functions, opening a device, memory, staging of host data, and device time by part.
 *
 * Memory: cudaMalloc behind the ledger (spaces DEVICE and PINNED). What the context, the stream and the libraries take before the first
 * block is measured apart (zo_cuda_memory).
 *
 * Who waits for the device: download (the one read of a step's losses), upload, release, wait, a block of scratch that grows, and the
 * staging ring where a whole half of it is still on its way. Within a pass (cuda/graph.cu) these start what was gathered first.
 * Not here: several devices in one process at once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/cuda/device.cuh"

/* the ledger's allocators ---------------------------------------------------------------------------------------------------------- */

static void *device_allocate(size_t bytes)
{
    void *block = NULL;
    cudaError_t status = cudaMalloc(&block, bytes > 0 ? bytes : 1);
    if (status == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError(); /* the ledger tells it */
        return NULL;
    }
    CUDA_CHECK(status);
    CUDA_CHECK(cudaMemset(block, 0, bytes > 0 ? bytes : 1));
    CUDA_CHECK(cudaDeviceSynchronize()); /* the streams of backends do not wait for the default one */
    return block;
}

static void device_release(void *block)
{
    CUDA_CHECK(cudaFree(block));
}

static void *pinned_allocate(size_t bytes)
{
    void *block = NULL;
    cudaError_t status = cudaHostAlloc(&block, bytes > 0 ? bytes : 1, cudaHostAllocDefault);
    if (status == cudaErrorMemoryAllocation) {
        (void)cudaGetLastError();
        return NULL;
    }
    CUDA_CHECK(status);
    return memset(block, 0, bytes > 0 ? bytes : 1);
}

static void pinned_release(void *block)
{
    CUDA_CHECK(cudaFreeHost(block));
}

/* memory slots ----------------------------------------------------------------------------------------------------------------------- */

static void *cuda_alloc(zo_backend *be, zo_tag tag, size_t bytes)
{
    return zo_alloc(be->space, tag, bytes);
}

static void cuda_release(zo_backend *be, void *block)
{
    zo_cuda_pass_start(be);
    CUDA_CHECK(cudaStreamSynchronize(zo_cuda_of(be)->stream)); /* a kernel may still read it */
    zo_free(block);
}

static void cuda_upload(zo_backend *be, void *to, const void *host, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_pass_start(be);
    CUDA_CHECK(cudaMemcpyAsync(to, host, bytes, cudaMemcpyHostToDevice, cuda->stream));
    CUDA_CHECK(cudaStreamSynchronize(cuda->stream)); /* the host's bytes may change now */
}

static void cuda_download(zo_backend *be, void *host, const void *from, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_pass_start(be);
    CUDA_CHECK(cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, cuda->stream));
    CUDA_CHECK(cudaStreamSynchronize(cuda->stream));
}

struct copy_call { void *to; const void *from; size_t bytes; };
struct zero_call { void *block; size_t bytes; };

static void play_copy(cudaStream_t stream, const void *what)
{
    const copy_call *c = static_cast<const copy_call *>(what);
    CUDA_CHECK(cudaMemcpyAsync(c->to, c->from, c->bytes, cudaMemcpyDeviceToDevice, stream));
}

static void play_zero(cudaStream_t stream, const void *what)
{
    const zero_call *z = static_cast<const zero_call *>(what);
    CUDA_CHECK(cudaMemsetAsync(z->block, 0, z->bytes, stream));
}

static void cuda_copy(zo_backend *be, void *to, const void *from, size_t bytes)
{
    copy_call c = {to, from, bytes};
    zo_cuda_enqueue(zo_cuda_of(be)->stream, play_copy, &c, sizeof c);
}

static void cuda_zero(zo_backend *be, void *block, size_t bytes)
{
    zero_call z = {block, bytes};
    zo_cuda_enqueue(zo_cuda_of(be)->stream, play_zero, &z, sizeof z);
}

void *zo_cuda_shared_of(zo_backend *be, zo_cuda_shared purpose, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    if (cuda->shared[purpose].bytes < bytes) {
        auto *block = &cuda->shared[purpose];
        zo_cuda_pass_start(be);
        CUDA_CHECK(cudaStreamSynchronize(cuda->stream));
        if (cuda->extra && !block->extra) {
            block->kept = block->data;
            block->kept_bytes = block->bytes;
            block->extra = true;
        } else {
            zo_free(block->data);
        }
        cuda->shared[purpose].data = zo_alloc(ZO_DEVICE, ZO_TAG_WORKSPACE, bytes);
        cuda->shared[purpose].bytes = bytes;
    }
    return cuda->shared[purpose].data;
}

static void cuda_extra_begin(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    cuda->extra = true;
    cuda->kept_rows = cuda->most_rows;
    zo_cuda_pass_extra_begin(be);
}

static void cuda_extra_end(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    CUDA_CHECK(cudaStreamSynchronize(cuda->stream));
    zo_cuda_pass_extra_end(be);
    for (auto &block : cuda->shared) {
        if (block.extra) {
            zo_free(block.data);
            block.data = block.kept;
            block.bytes = block.kept_bytes;
            block.kept = NULL;
            block.extra = false;
        }
    }
    cuda->most_rows = cuda->kept_rows;
    cuda->extra = false;
    cuda->staged.key_bytes = 0; /* what was staged may stand in a block that is gone */
}

/* staging ------------------------------------------------------------------------------------------------------------------------------ */

enum { RING_BYTES = 1 << 20, STAGINGS = 8 };

void zo_cuda_refused(const char *what)
{
    static char text[160];
    snprintf(text, sizeof text, "memory of CUDA's own for %.*s", (int)(strcspn(what, "(") > 0 ? strcspn(what, "(") : 100), what);
    zo_mem_refused(ZO_DEVICE, text);
}

/* False where `allocate` gives NULL. */
static bool ring_open(zo_cuda *cuda, size_t half_bytes, void *(*allocate)(zo_space space, zo_tag tag, size_t bytes))
{
    cuda->ring.half_bytes = half_bytes;
    cuda->ring.at = cuda->ring.side = 0;
    cuda->ring.pinned = static_cast<char *>(allocate(ZO_PINNED, ZO_TAG_WORKSPACE, 2 * half_bytes));
    cuda->ring.device = static_cast<char *>(allocate(ZO_DEVICE, ZO_TAG_WORKSPACE, 2 * half_bytes));
    return cuda->ring.pinned != NULL && cuda->ring.device != NULL;
}

void zo_cuda_retire(zo_cuda *cuda, void *block)
{
    ZO_CHECK(cuda->nretired < (int)(sizeof cuda->retired / sizeof *cuda->retired), "staging grew %d times", cuda->nretired);
    cuda->retired[cuda->nretired++] = block;
}

/* `bytes` of the ring, in one half. Before a half is written anew, the copies out of it have happened. */
static size_t ring_take(zo_cuda *cuda, size_t bytes)
{
    size_t need = zo_round_up(bytes, 256), half = cuda->ring.half_bytes;
    if (need > half / STAGINGS) {
        zo_cuda_retire(cuda, cuda->ring.pinned);
        zo_cuda_retire(cuda, cuda->ring.device);
        while (half < need * STAGINGS) {
            half *= 2;
        }
        ring_open(cuda, half, zo_alloc);
    }
    if (cuda->ring.at + need > half) { /* on to the other half */
        CUDA_CHECK(cudaEventRecord(cuda->ring.left[cuda->ring.side], cuda->stream));
        cuda->ring.side = !cuda->ring.side;
        cuda->ring.at = 0;
        CUDA_CHECK(cudaEventSynchronize(cuda->ring.left[cuda->ring.side]));
    }
    size_t at = cuda->ring.side * half + cuda->ring.at;
    cuda->ring.at += need;
    return at;
}

/* Host bytes to `to` on the device, or to the ring's image of them when `to` is NULL. */
static void *stage(zo_backend *be, void *to, const void *host, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    size_t at = ring_take(cuda, bytes > 0 ? bytes : 1);
    void *device = to != NULL ? to : cuda->ring.device + at;
    if (bytes > 0) {
        memcpy(cuda->ring.pinned + at, host, bytes);
        CUDA_CHECK(cudaMemcpyAsync(device, cuda->ring.pinned + at, bytes, cudaMemcpyHostToDevice, cuda->stream));
    }
    return device;
}

void zo_cuda_send(zo_backend *be, void *to, const void *host, size_t bytes)
{
    stage(be, to, host, bytes);
}

const void *zo_cuda_stage(zo_backend *be, const void *host, size_t bytes)
{
    return zo_cuda_gathers(zo_cuda_of(be)) ? zo_cuda_pass_stage(be, host, bytes) : stage(be, NULL, host, bytes);
}

static void host_room(char **block, size_t *room, size_t bytes)
{
    if (*room < bytes) {
        *block = static_cast<char *>(zo_realloc(*block, ZO_HOST, ZO_TAG_WORKSPACE, bytes));
        *room = bytes;
    }
}

void *zo_cuda_host_of(zo_backend *be, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    host_room(&cuda->host.data, &cuda->host.room, bytes);
    return cuda->host.data;
}

const void *zo_cuda_stage_kept(zo_backend *be, zo_cuda_kept which, const void *host, size_t bytes)
{
    zo_cuda *cuda = zo_cuda_of(be);
    auto *kept = &cuda->kept[which];
    if (bytes > 0 && kept->bytes == bytes && memcmp(kept->host, host, bytes) == 0) {
        return kept->device;
    }
    host_room(&kept->host, &kept->room, bytes);
    if (bytes > 0) {
        memcpy(kept->host, host, bytes);
    }
    kept->bytes = bytes;
    if (zo_cuda_gathers(cuda)) {
        return kept->device = zo_cuda_pass_stage(be, host, bytes);
    }
    if (kept->own == NULL || kept->own_room < bytes) {
        CUDA_CHECK(cudaStreamSynchronize(cuda->stream));
        zo_free(kept->own);
        kept->own = zo_alloc(ZO_DEVICE, ZO_TAG_WORKSPACE, bytes);
        kept->own_room = bytes;
    }
    return kept->device = stage(be, kept->own, host, bytes);
}

/* views --------------------------------------------------------------------------------------------------------------------------------- */

zo_cuda_param zo_cuda_param_of(const zo_layout *layout, const zo_factors *factors, int param)
{
    const zo_param *p = &layout->param[param];
    zo_cuda_param q = {};
    q.rows = p->rows;
    q.cols = p->cols;
    q.offset = p->offset;
    q.id = p->id;
    q.block = p->block;
    q.frozen = p->frozen;
    if (factors != NULL && factors->rank[param] > 0) {
        q.rank = factors->rank[param];
        q.coef_at = factors->coef_at[param];
        q.scale = factors->scale[param];
        q.u = factors->u[param];
        q.v = factors->v[param];
    }
    if (factors != NULL && factors->left_at != NULL) {
        q.left_at = factors->left_at[param];
        q.right_at = factors->right_at[param];
    }
    return q;
}

/* Bytes appended to a growing host buffer; with NULL only counted. */
struct zo_cuda_writer { char *to; size_t at; };

static void put(zo_cuda_writer *w, const void *from, size_t bytes)
{
    if (w->to != NULL && bytes > 0) {
        memcpy(w->to + w->at, from, bytes);
    }
    w->at += bytes;
}

/* First element of the arena in which the frozen parameters of a base stand. */
static const void *below_of(const zo_store *base)
{
    return zo_store_at(base->below != NULL ? base->below : base, 0);
}

/* What a staged view is made of, by value. */
static size_t view_key(const zo_view *view, char *to)
{
    zo_cuda_writer w = {to, 0};
    const zo_factors *f = view->factors;
    size_t ncoef = f != NULL ? (size_t)f->ncoef : 0;
    const void *who[2] = {f, f != NULL ? f->layout : NULL};
    bool side = view->side != NULL;
    uint64_t seed = f != NULL ? f->seed : 0;
    put(&w, who, sizeof who);
    if (f != NULL) {
        put(&w, f->rank, (size_t)f->layout->n * sizeof *f->rank);
        put(&w, f->scale, (size_t)f->layout->n * sizeof *f->scale);
    }
    put(&w, &side, sizeof side);
    put(&w, &seed, sizeof seed);
    put(&w, &view->npoints, sizeof view->npoints);
    put(&w, &view->ndirs, sizeof view->ndirs);
    for (int p = 0; p < view->npoints; p++) {
        const void *arena = zo_store_at(view->base[p], 0), *frozen = below_of(view->base[p]);
        put(&w, &arena, sizeof arena);
        put(&w, &frozen, sizeof frozen);
        put(&w, &view->base[p]->storage, sizeof view->base[p]->storage);
    }
    put(&w, view->coef, (size_t)view->npoints * (size_t)view->ndirs * sizeof(float));
    for (int d = 0; d < view->ndirs; d++) {
        const zo_dir *dir = &view->dir[d];
        put(&w, &dir->kind, sizeof dir->kind);
        put(&w, &dir->seed, sizeof dir->seed);
        put(&w, &dir->step, sizeof dir->step);
        put(&w, &dir->query, sizeof dir->query);
        if (dir->kind == ZO_DIR_SPAN) {
            put(&w, dir->span, ncoef * sizeof(float));
        } else if (dir->kind == ZO_DIR_SET) {
            put(&w, &dir->values->data, sizeof dir->values->data);
        } else if (zo_dir_has_factors(dir->kind)) {
            put(&w, &dir->own, sizeof dir->own);
        } else {
            const float *by = dir->scale != 0 ? dir->by->data : nullptr;
            put(&w, &dir->draw, sizeof dir->draw);
            put(&w, &dir->skip.in, sizeof dir->skip.in);
            put(&w, &dir->skip.outside, sizeof dir->skip.outside);
            put(&w, &by, sizeof by);
            put(&w, &dir->scaling, sizeof dir->scaling);
        }
    }
    if (side) {
        put(&w, view->side, (size_t)view->npoints * ncoef * sizeof(float));
    }
    return w.at;
}

zo_cuda_view zo_cuda_view_of(zo_backend *be, const zo_view *view)
{
    zo_cuda *cuda = zo_cuda_of(be);
    size_t bytes = view_key(view, NULL);
    /* the candidate stands behind the key of the staged one */
    host_room(&cuda->staged.key, &cuda->staged.key_room, cuda->staged.key_bytes + bytes);
    char *fresh = cuda->staged.key + cuda->staged.key_bytes;
    view_key(view, fresh);
    if (cuda->staged.key_bytes == bytes && memcmp(cuda->staged.key, fresh, bytes) == 0) {
        return cuda->staged.view;
    }
    memmove(cuda->staged.key, fresh, bytes);
    cuda->staged.key_bytes = bytes;

    const zo_factors *f = view->factors;
    size_t ncoef = f != NULL ? (size_t)f->ncoef : 0, P = (size_t)view->npoints, D = (size_t)view->ndirs;
    bool snapshots = false; /* a base has another arena below */
    for (int p = 0; p < view->npoints; p++) {
        snapshots = snapshots || view->base[p]->below != NULL;
    }
    size_t base = 0, below = snapshots ? P * sizeof(void *) : 0, dir = zo_round_up(below + P * sizeof(void *), 16);
    size_t coef = dir + zo_round_up(D * sizeof(zo_cuda_dir), 16);
    size_t lowrank = 0;
    for (int d = 0; d < view->ndirs; d++) {
        lowrank += zo_dir_is_lowrank(view->dir[d].kind);
    }
    size_t amount = coef + zo_round_up(P * D * sizeof(float), 16), side = amount + zo_round_up(lowrank * ncoef * sizeof(float), 16);
    size_t total = side + (view->side != NULL ? zo_round_up(P * ncoef * sizeof(float), 16) : 0);
    host_room(&cuda->staged.image, &cuda->staged.image_room, total);
    char *image = cuda->staged.image;
    memset(image, 0, total);
    zo_cuda_view v = {};
    v.npoints = view->npoints;
    v.ncoef = (int)ncoef;
    v.storage = view->base[0]->storage;
    ZO_CHECK(view->rest == NULL, "a view with parameters of their own; zo_backend.reads_rest tells");
    for (int p = 0; p < view->npoints; p++) {
        ZO_CHECK(view->base[p]->storage == view->base[0]->storage, "a view over stores of two types");
        reinterpret_cast<const void **>(image + base)[p] = zo_store_at(view->base[p], 0);
        reinterpret_cast<const void **>(image + below)[p] = below_of(view->base[p]);
    }
    zo_cuda_dir *dirs = reinterpret_cast<zo_cuda_dir *>(image + dir);
    float *amounts = reinterpret_cast<float *>(image + amount), *coefs = reinterpret_cast<float *>(image + coef);
    int used = 0, amount_rows = 0;
    for (int d = 0; d < view->ndirs; d++) {
        used += zo_view_uses(view, d);
    }
    for (int d = 0; d < view->ndirs; d++) {
        const zo_dir *from = &view->dir[d];
        if (!zo_view_uses(view, d)) {
            continue;
        }
        zo_cuda_dir *to = &dirs[v.ndirs];
        to->kind = from->kind;
        to->seed = from->seed;
        to->step = from->step;
        to->query = from->query;
        to->skip = zo_dir_skip(from);
        if (from->kind == ZO_DIR_SET) {
            to->values = from->values->data;
        } else if (zo_dir_has_factors(from->kind)) {
            to->left = from->own.left;
            to->right = from->own.right;
        } else {
            to->draw = from->draw;
            to->values = from->scale != 0 ? from->by->data : nullptr;
            to->scaling = from->scaling;
        }
        for (int p = 0; p < view->npoints; p++) {
            coefs[p * used + v.ndirs] = view->coef[p * view->ndirs + d];
        }
        if (zo_dir_is_lowrank(from->kind)) {
            to->amount_row = amount_rows++;
            for (int t = 0; t < f->layout->n; t++) {
                float *a = amounts + (size_t)to->amount_row * ncoef + f->coef_at[t];
                if (f->rank[t] > 0) {
                    zo_dir_coefs(from, f, t, a);
                    for (int s = 0; s < f->rank[t]; s++) {
                        a[s] *= f->scale[t];
                    }
                }
            }
        }
        v.ndirs++;
    }
    for (int p = 0; p < view->npoints && view->side != NULL; p++) {
        for (int t = 0; t < f->layout->n; t++) {
            for (int64_t s = f->coef_at[t]; s < f->coef_at[t] + f->rank[t]; s++) {
                reinterpret_cast<float *>(image + side)[(size_t)p * ncoef + (size_t)s] = f->scale[t] * view->side[(size_t)p * ncoef + (size_t)s];
            }
        }
    }
    const char *device;
    if (zo_cuda_gathers(cuda)) {
        device = static_cast<const char *>(zo_cuda_pass_stage(be, image, total));
    } else {
        device = static_cast<const char *>(stage(be, zo_cuda_shared_of(be, ZO_CUDA_VIEW, total), image, total));
    }
    v.base = reinterpret_cast<const void *const *>(device + base);
    v.below = reinterpret_cast<const void *const *>(device + below);
    v.dir = reinterpret_cast<const zo_cuda_dir *>(device + dir);
    v.coef = reinterpret_cast<const float *>(device + coef);
    v.amount = reinterpret_cast<const float *>(device + amount);
    v.side = view->side != NULL ? reinterpret_cast<const float *>(device + side) : NULL;
    cuda->staged.view = v;
    return v;
}

/* device time -------------------------------------------------------------------------------------------------------------------------- */

enum { MARKS = 4096, GRAPHS = 64, ROUND_TO = 64 /* products are tiled by 64 or 128 rows anyway */ };

/* What stands between two marks took place after the first and belongs to its part. */
static void marks_settle(zo_cuda *cuda)
{
    if (cuda->nmarks == 0) {
        return;
    }
    if (cuda->mark[cuda->nmarks - 1].part != ZO_PARTS) {
        CUDA_CHECK(cudaEventRecord(cuda->mark[cuda->nmarks].event, cuda->stream));
        cuda->mark[cuda->nmarks++].part = ZO_PARTS;
    }
    CUDA_CHECK(cudaEventSynchronize(cuda->mark[cuda->nmarks - 1].event));
    for (int i = 0; i + 1 < cuda->nmarks; i++) {
        float ms;
        if (cuda->mark[i].part != ZO_PARTS) {
            CUDA_CHECK(cudaEventElapsedTime(&ms, cuda->mark[i].event, cuda->mark[i + 1].event));
            zo_part_add(cuda->mark[i].part, 1e-3 * ms);
        }
    }
    cuda->nmarks = 0;
}

void zo_cuda_part_now(zo_backend *be, zo_part part)
{
    zo_cuda *cuda = zo_cuda_of(be);
    if (cuda->nmarks > 0 && cuda->mark[cuda->nmarks - 1].part == part) {
        return;
    }
    if (cuda->nmarks + 1 == MARKS) {
        marks_settle(cuda);
    }
    CUDA_CHECK(cudaEventRecord(cuda->mark[cuda->nmarks].event, cuda->stream));
    cuda->mark[cuda->nmarks++].part = part;
}

struct part_call { zo_backend *be; uint64_t part; };

static void play_part(cudaStream_t, const void *what)
{
    const part_call *c = static_cast<const part_call *>(what);
    if (!zo_cuda_captures(zo_cuda_of(c->be))) {
        zo_cuda_part_now(c->be, static_cast<zo_part>(c->part));
    }
}

void zo_cuda_part(zo_backend *be, zo_part part)
{
    part_call c = {be, static_cast<uint64_t>(part)};
    zo_cuda_enqueue(zo_cuda_of(be)->stream, play_part, &c, sizeof c);
}

static void cuda_wait(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    zo_cuda_pass_start(be);
    CUDA_CHECK(cudaStreamSynchronize(cuda->stream));
    marks_settle(cuda);
}

/* opening and closing -------------------------------------------------------------------------------------------------------------------- */

/* Gives back what is there: all, or what an opening that failed had made. */
static void cuda_free(zo_backend *be)
{
    zo_cuda *cuda = zo_cuda_of(be);
    if (cuda->products != NULL) {
        zo_cuda_products_close(cuda->products);
    }
    for (int s = 0; s < ZO_CUDA_SHAREDS; s++) {
        zo_free(cuda->shared[s].data);
    }
    for (int i = 0; i < cuda->nretired; i++) {
        zo_free(cuda->retired[i]);
    }
    zo_free(cuda->ring.pinned);
    zo_free(cuda->ring.device);
    zo_free(cuda->staged.key);
    zo_free(cuda->staged.image);
    zo_free(cuda->host.data);
    for (int i = 0; i < ZO_CUDA_KEPTS; i++) {
        zo_free(cuda->kept[i].host);
        zo_free(cuda->kept[i].own);
    }
    for (int i = 0; i < MARKS && cuda->mark[i].event != NULL; i++) {
        CUDA_CHECK(cudaEventDestroy(cuda->mark[i].event));
    }
    for (int half = 0; half < 2 && cuda->ring.left[half] != NULL; half++) {
        CUDA_CHECK(cudaEventDestroy(cuda->ring.left[half]));
    }
    zo_free(cuda->mark);
    if (cuda->stream != NULL) {
        CUDA_CHECK(cudaStreamDestroy(cuda->stream));
    }
    zo_free(cuda);
    zo_free(be);
}

static void cuda_close(zo_backend *be)
{
    cuda_wait(be);
    zo_cuda_pass_close(be);
    cuda_free(be);
}

static void cuda_reserve(zo_backend *be, const zo_layout *layout, const zo_factors *factors, zo_precision precision, const zo_largest *most)
{
    (void)precision; /* scratch is in f32, whatever the products read */
    zo_cuda_reserve(be, layout, factors, most->points, most->tokens);
    zo_cuda_pass_reserve(be, most->points, most->tokens, factors != NULL && factors->layout != NULL ? factors->ncoef : 0);
}

void zo_cuda_set_tile(zo_backend *be, size_t bytes)
{
    zo_cuda_of(be)->tile_bytes = bytes;
}

void zo_cuda_memory_read(zo_backend *be, zo_cuda_memory *memory)
{
    size_t free_bytes, total_bytes;
    CUDA_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
    memory->context_bytes = zo_cuda_of(be)->context_bytes;
    memory->used_bytes = total_bytes - free_bytes;
    memory->total_bytes = total_bytes;
    memory->ledger_bytes = zo_mem_live(ZO_DEVICE).total_bytes;
}

static void table_fill(zo_backend *be)
{
    be->version = ZO_BACKEND_VERSION;
    be->name = "cuda";
    be->space = ZO_DEVICE;
    be->round_to = ROUND_TO;
    be->reads_codes = true;
    be->bf16 = be->tf32 = be->f16 = true; /* from compute capability 8.0 on, asked for at opening */
    be->alloc = cuda_alloc;
    be->release = cuda_release;
    be->upload = cuda_upload;
    be->download = cuda_download;
    be->copy = cuda_copy;
    be->zero = cuda_zero;
    be->extra_begin = cuda_extra_begin;
    be->extra_end = cuda_extra_end;
    be->reserve = cuda_reserve;
    be->choose = zo_cuda_choose;
    be->pass_begin = zo_cuda_pass_begin;
    be->pass_end = zo_cuda_pass_end;
    be->embed = zo_cuda_embed;
    be->linear = zo_cuda_linear;
    be->linear_rows = zo_cuda_linear_rows;
    be->norm = zo_cuda_norm;
    be->head_logprob = zo_cuda_head_logprob;
    be->add = zo_cuda_add;
    be->scale = zo_cuda_scale;
    be->softcap = zo_cuda_softcap;
    be->softcap_backward = zo_cuda_softcap_backward;
    be->glu = zo_cuda_glu;
    be->rope = zo_cuda_rope;
    be->attention = zo_cuda_attention;
    be->gather = zo_cuda_gather;
    be->linear_backward = zo_cuda_linear_backward;
    be->linear_rows_backward = zo_cuda_linear_rows_backward;
    be->act_backward = zo_cuda_act_backward;
    be->glu_backward = zo_cuda_glu_backward;
    be->mix = zo_cuda_mix;
    be->mix_backward = zo_cuda_mix_backward;
    be->gate = zo_cuda_gate;
    be->gate_backward = zo_cuda_gate_backward;
    be->norm_backward = zo_cuda_norm_backward;
    be->attention_backward = zo_cuda_attention_backward;
    be->embed_backward = zo_cuda_embed_backward;
    be->head_backward = zo_cuda_head_backward;
    be->scatter_add = zo_cuda_scatter_add;
    be->apply = zo_cuda_apply;
    be->rule = zo_cuda_rule;
    be->rule_drawn = zo_cuda_rule_drawn;
    be->rule_lowrank = zo_cuda_rule_lowrank;
    be->draw_factors = zo_cuda_draw_factors;
    be->init_normal = zo_cuda_init_normal;
    be->multiply = zo_cuda_multiply;
    be->dot = zo_cuda_dot;
    be->finite = zo_cuda_finite;
    be->wait = cuda_wait;
    be->close = cuda_close;
}

/* How many graphs to keep: ZO_CUDA_GRAPHS, where it is set. */
static zo_status graphs_wanted(int *most, zo_err *err)
{
    const char *text = getenv("ZO_CUDA_GRAPHS");
    *most = GRAPHS;
    if (text != NULL) {
        char *end;
        long n = strtol(text, &end, 10);
        if (end == text || *end != '\0' || n < 0 || n > 100000) {
            return zo_fail(err, ZO_EINPUT, "ZO_CUDA_GRAPHS is \"%s\"; it says how many CUDA graphs to keep, from 0 (none) to 100000; unset it "
                           "for %d", text, GRAPHS);
        }
        *most = (int)n;
    }
    return ZO_OK;
}

/* Whether a driver of the vendor's is installed, whatever its version. */
static bool driver_is_there(void)
{
    return access("/proc/driver/nvidia/version", F_OK) == 0 || access("/dev/nvidiactl", F_OK) == 0 || access("/dev/dxg", F_OK) == 0;
}

/* What CUDA says of a device that is there and does not open. */
static zo_status not_opened(int at, const char *call, cudaError_t status, zo_err *err)
{
    (void)cudaGetLastError();
    if (status == cudaErrorMemoryAllocation) {
        return zo_fail(err, ZO_EOOM, "device \"cuda:%d\": out of memory while it was opened (%s); another process holds it, nvidia-smi shows "
                       "which", at, call);
    }
    return zo_fail(err, ZO_EIO, "device \"cuda:%d\" cannot be opened: %s says \"%s\" (%s); see what nvidia-smi says of it, or use "
                   "\"device\": \"cpu\"", at, call, cudaGetErrorString(status), cudaGetErrorName(status));
}

/* The first step of an opening that fails ends it. */
#define OPEN_CHECK(call)                                      \
    do {                                                      \
        cudaError_t open_status_ = (call);                    \
        if (open_status_ != cudaSuccess) {                    \
            return not_opened(at, #call, open_status_, err);  \
        }                                                     \
    } while (0)

/* The device's number, and what it is. */
static zo_status device_find(int ordinal, int *found, cudaDeviceProp *prop, zo_err *err)
{
    int devices = 0, at = ordinal < 0 ? 0 : ordinal;
    cudaError_t status = cudaGetDeviceCount(&devices);
    bool old_driver = status == cudaErrorInsufficientDriver && driver_is_there();
    if (old_driver) {
        (void)cudaGetLastError();
        return zo_fail(err, ZO_EIO, "device \"cuda:%d\": the NVIDIA driver of this machine is older than this program's CUDA; update the driver, "
                       "or use \"device\": \"cpu\"", at);
    }
    bool none = status == cudaErrorNoDevice || status == cudaErrorInsufficientDriver || (status == cudaSuccess && devices == 0);
    if (none) {
        (void)cudaGetLastError();
        char name[32] = "cuda";
        if (ordinal >= 0) {
            snprintf(name, sizeof name, "cuda:%d", ordinal);
        }
        return zo_fail(err, ZO_EUNSUPPORTED, "device \"%s\": this machine has no CUDA device (%s); use a machine with a GPU and its "
                       "driver, or \"device\": \"cpu\"", name, status == cudaErrorInsufficientDriver ? "no NVIDIA driver"
                       : status == cudaSuccess                                                     ? "none found"
                                                                                                   : cudaGetErrorString(status));
    }
    OPEN_CHECK(status);
    if (at >= devices) {
        return zo_fail(err, ZO_EUNSUPPORTED, "device \"cuda:%d\": this machine has %d CUDA device%s; give a number below that", at, devices,
                       devices == 1 ? "" : "s");
    }
    OPEN_CHECK(cudaGetDeviceProperties(prop, at));
    if (prop->major < 8) {
        return zo_fail(err, ZO_EUNSUPPORTED, "device \"cuda:%d\": %s has compute capability %d.%d; this program is built for 8.0 and later", at,
                       prop->name, prop->major, prop->minor);
    }
    *found = at;
    return ZO_OK;
}

/* Context, library, stream, events and the first blocks of ours. */
static zo_status device_open(zo_cuda *cuda, zo_err *err)
{
    int at = cuda->ordinal;
    size_t free_bytes, total_bytes;
    OPEN_CHECK(cudaSetDevice(at));
    zo_status status = zo_cuda_products_open(&cuda->products, err);
    if (status != ZO_OK) {
        return status;
    }
    OPEN_CHECK(cudaStreamCreateWithFlags(&cuda->stream, cudaStreamNonBlocking));
    for (int i = 0; i < MARKS; i++) {
        OPEN_CHECK(cudaEventCreateWithFlags(&cuda->mark[i].event, cudaEventDefault));
    }
    for (int half = 0; half < 2; half++) {
        OPEN_CHECK(cudaEventCreateWithFlags(&cuda->ring.left[half], cudaEventDisableTiming));
        OPEN_CHECK(cudaEventRecord(cuda->ring.left[half], cuda->stream));
    }
    OPEN_CHECK(cudaMemGetInfo(&free_bytes, &total_bytes));
    cuda->context_bytes = total_bytes - free_bytes; /* on a card of one's own: context, stream, library, events */
    return ring_open(cuda, RING_BYTES, zo_try_alloc) ? ZO_OK : not_opened(at, "the staging ring", cudaErrorMemoryAllocation, err);
}

zo_status zo_cuda_open(int ordinal, int threads, zo_backend **be, zo_err *err)
{
    int at = 0, graphs;
    cudaDeviceProp prop;
    *be = NULL;
    zo_status status = graphs_wanted(&graphs, err);
    status = status == ZO_OK ? device_find(ordinal, &at, &prop, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_space_ops device = {device_allocate, device_release}, pinned = {pinned_allocate, pinned_release};
    zo_mem_register(ZO_DEVICE, device);
    zo_mem_register(ZO_PINNED, pinned);
    zo_backend *b = static_cast<zo_backend *>(zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *b));
    zo_cuda *cuda = static_cast<zo_cuda *>(zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *cuda));
    table_fill(b);
    snprintf(b->device, sizeof b->device, "%.127s", prop.name);
    b->threads = threads > 0 ? threads : 1;
    b->self = cuda;
    cuda->ordinal = at;
    cuda->multiprocessors = prop.multiProcessorCount;
    cuda->tile_bytes = (size_t)256 << 20;
    cuda->mark = static_cast<zo_cuda_mark *>(zo_alloc(ZO_HOST, ZO_TAG_OTHER, MARKS * sizeof *cuda->mark));
    status = device_open(cuda, err);
    if (status != ZO_OK) {
        cuda_free(b);
        return status;
    }
    zo_cuda_pass_open(b, graphs);
    *be = b;
    return ZO_OK;
}
