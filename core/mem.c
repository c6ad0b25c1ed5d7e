/* mem.c: the ledger of bytes.
 *
 * Every live block stands in one hash table (pointer -> bytes, space, tag), so that a block of any space is given back the same
 * way, nothing is read from memory that may not be ours, and a double free or a foreign pointer is told at once. One mutex
 * guards table and sums: allocation is not on any hot path (a step allocates nothing). The table's own memory is not counted. */
#include "core/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/err.h"

#define ALIGNMENT 64
/* From here on blocks are maps of their own: pages arrive zeroed, huge where the kernel can, and leave at once when freed, so
 * the process's RSS follows the ledger. AddressSanitizer needs to see them as heap. */
#define MAP_FROM_BYTES ((size_t)1 << 20)

typedef struct entry {
    uintptr_t key; /* ~pointer, 0 = empty: a leak checker must not take the table for an owner */
    size_t bytes;
    uint8_t space, tag;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *table; /* open addressing, linear probing; capacity is a power of two, at most half full */
static size_t capacity, used;

static zo_peak live[ZO_SPACES], peak[ZO_SPACES][ZO_PHASES], overall[ZO_SPACES];
static uint64_t limit[ZO_SPACES];
static zo_phase phase_now = ZO_PHASE_LOAD;
static zo_space_ops space_ops[ZO_SPACES];
static void (*oom_handler)(zo_space space, zo_tag tag, size_t bytes, void *context);
static void *oom_context;
static const char *refused; /* beside the ledger */

static const char *const tag_name[ZO_TAGS] = {
#define X(id, name) name,
    ZO_TAG_LIST(X)
#undef X
};
static const char *const phase_name[ZO_PHASES] = {"load", "train", "eval"};
static const char *const space_name[ZO_SPACES] = {"host", "pinned", "device"};

const char *zo_tag_name(zo_tag tag)
{
    return tag_name[tag];
}

const char *zo_phase_name(zo_phase phase)
{
    return phase_name[phase];
}

/* ---- host blocks ------------------------------------------------------------------------------------------------------ */

static bool is_mapped(size_t bytes)
{
#ifdef __SANITIZE_ADDRESS__
    (void)bytes;
    return false;
#else
    return bytes >= MAP_FROM_BYTES;
#endif
}

static void *host_allocate(size_t bytes)
{
    if (is_mapped(bytes)) {
        void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (map == MAP_FAILED) {
            return NULL;
        }
        (void)madvise(map, bytes, MADV_HUGEPAGE); /* a wish: refused where the kernel has no huge pages */
        return map;
    }
    void *block = NULL;
    if (posix_memalign(&block, ALIGNMENT, bytes > 0 ? bytes : 1) != 0) {
        return NULL;
    }
    return memset(block, 0, bytes > 0 ? bytes : 1);
}

static void host_release(void *block, size_t bytes)
{
    if (is_mapped(bytes)) {
        munmap(block, bytes);
    } else {
        free(block);
    }
}

/* ---- the table; the caller holds the lock ----------------------------------------------------------------------------- */

static size_t home_of(uintptr_t key)
{
    return (size_t)((key >> 4) * (uintptr_t)0x9E3779B97F4A7C15u >> 20) & (capacity - 1);
}

static entry *table_find(const void *block)
{
    uintptr_t key = ~(uintptr_t)block;
    if (capacity == 0) {
        return NULL;
    }
    for (size_t i = home_of(key);; i = (i + 1) & (capacity - 1)) {
        if (table[i].key == key) {
            return &table[i];
        }
        if (table[i].key == 0) {
            return NULL;
        }
    }
}

static void table_place(entry e)
{
    size_t i = home_of(e.key);
    while (table[i].key != 0) {
        i = (i + 1) & (capacity - 1);
    }
    table[i] = e;
}

static bool table_reserve(void)
{
    if (2 * (used + 1) <= capacity) {
        return true;
    }
    entry *old = table;
    size_t old_capacity = capacity, new_capacity = capacity > 0 ? 2 * capacity : 256;
    entry *fresh = calloc(new_capacity, sizeof *fresh);
    if (fresh == NULL) {
        return false;
    }
    table = fresh;
    capacity = new_capacity;
    for (size_t i = 0; i < old_capacity; i++) {
        if (old[i].key != 0) {
            table_place(old[i]);
        }
    }
    free(old);
    return true;
}

/* Close the gap so that no probe sequence is broken (no tombstones). */
static void table_remove(entry *e)
{
    size_t gap = (size_t)(e - table);
    for (size_t i = (gap + 1) & (capacity - 1); table[i].key != 0; i = (i + 1) & (capacity - 1)) {
        size_t home = home_of(table[i].key);
        if (((i - home) & (capacity - 1)) >= ((i - gap) & (capacity - 1))) {
            table[gap] = table[i];
            gap = i;
        }
    }
    table[gap].key = 0;
    used--;
}

static void raise_peaks(zo_space space)
{
    if (live[space].total_bytes > peak[space][phase_now].total_bytes) {
        peak[space][phase_now] = live[space];
    }
    if (live[space].total_bytes > overall[space].total_bytes) {
        overall[space] = live[space];
    }
}

/* ---- allocation ------------------------------------------------------------------------------------------------------- */

void *zo_try_alloc(zo_space space, zo_tag tag, size_t bytes)
{
    ZO_CHECK((unsigned)space < ZO_SPACES && (unsigned)tag < ZO_TAGS, "no such space (%d) or tag (%d)", (int)space, (int)tag);
    ZO_CHECK(space == ZO_HOST || space_ops[space].allocate != NULL,
             "no allocator for the %s space; a backend calls zo_mem_register before it allocates", space_name[space]);
    /* The bytes are booked before they are asked for, so that two threads cannot pass the limit together. */
    pthread_mutex_lock(&lock);
    bool fits = limit[space] == 0 || (live[space].total_bytes <= limit[space] && bytes <= limit[space] - live[space].total_bytes);
    if (fits) {
        live[space].total_bytes += bytes;
        live[space].tag_bytes[tag] += bytes;
    }
    pthread_mutex_unlock(&lock);
    if (!fits) {
        return NULL;
    }
    void *block = NULL;
    if (bytes <= (size_t)PTRDIFF_MAX) {
        block = space == ZO_HOST ? host_allocate(bytes) : space_ops[space].allocate(bytes > 0 ? bytes : 1);
    }
    pthread_mutex_lock(&lock);
    bool kept = block != NULL && table_reserve();
    if (kept) {
        table_place((entry){.key = ~(uintptr_t)block, .bytes = bytes, .space = (uint8_t)space, .tag = (uint8_t)tag});
        used++;
        raise_peaks(space);
    } else {
        live[space].total_bytes -= bytes;
        live[space].tag_bytes[tag] -= bytes;
    }
    pthread_mutex_unlock(&lock);
    if (!kept && block != NULL) {
        if (space == ZO_HOST) {
            host_release(block, bytes);
        } else {
            space_ops[space].release(block);
        }
        block = NULL;
    }
    return block;
}

static void out_of_memory(zo_space space, zo_tag tag, size_t bytes)
{
    if (oom_handler != NULL) {
        oom_handler(space, tag, bytes, oom_context);
        zo_die(__FILE__, __LINE__, "the out-of-memory handler returned; it must not");
    }
    zo_peak now = zo_mem_live(space);
    char parts[512];
    size_t at = 0;
    parts[0] = '\0';
    for (int i = 0; i < ZO_TAGS; i++) {
        if (now.tag_bytes[i] > 0 && at < sizeof parts) {
            at += (size_t)snprintf(parts + at, sizeof parts - at, "%s%s %.1f MB", at > 0 ? ", " : "", tag_name[i],
                                   1e-6 * (double)now.tag_bytes[i]);
        }
    }
    char request[200];
    zo_die(__FILE__, __LINE__, "out of %s memory: asked for %s, with %.1f MB held (%s) and a limit of %.1f MB (0 = none)", space_name[space],
           zo_mem_request(tag, bytes, request, sizeof request), 1e-6 * (double)now.total_bytes, parts, 1e-6 * (double)limit[space]);
}

void zo_mem_refused(zo_space space, const char *what)
{
    refused = what;
    out_of_memory(space, ZO_TAG_OTHER, 0);
    abort();
}

const char *zo_mem_request(zo_tag tag, size_t bytes, char *text, size_t size)
{
    if (refused != NULL) {
        snprintf(text, size, "%s", refused);
    } else {
        snprintf(text, size, "%.1f MB of %s", 1e-6 * (double)bytes, tag_name[tag]);
    }
    return text;
}

void *zo_alloc(zo_space space, zo_tag tag, size_t bytes)
{
    void *block = zo_try_alloc(space, tag, bytes);
    if (block == NULL) {
        out_of_memory(space, tag, bytes);
    }
    return block;
}

void zo_free(void *block)
{
    if (block == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    entry *found = table_find(block);
    entry e = {0};
    if (found != NULL) {
        e = *found;
        table_remove(found);
        live[e.space].total_bytes -= e.bytes;
        live[e.space].tag_bytes[e.tag] -= e.bytes;
    }
    pthread_mutex_unlock(&lock);
    ZO_CHECK(found != NULL, "zo_free(%p): not a live block of zo_alloc; freed twice, or taken from elsewhere", block);
    if (e.space == ZO_HOST) {
        host_release(block, e.bytes);
    } else {
        space_ops[e.space].release(block);
    }
}

void *zo_realloc(void *block, zo_space space, zo_tag tag, size_t bytes)
{
    ZO_CHECK(space == ZO_HOST, "zo_realloc moves host blocks only; allocate anew and copy through the backend");
    if (block == NULL) {
        return zo_alloc(space, tag, bytes);
    }
    pthread_mutex_lock(&lock);
    entry *found = table_find(block);
    entry e = found != NULL ? *found : (entry){0};
    pthread_mutex_unlock(&lock);
    ZO_CHECK(found != NULL && e.space == ZO_HOST, "zo_realloc(%p): not a live host block of zo_alloc", block);
    if (e.bytes == bytes && e.tag == (uint8_t)tag) {
        return block;
    }
    void *fresh = zo_alloc(space, tag, bytes);
    memcpy(fresh, block, bytes < e.bytes ? bytes : e.bytes);
    zo_free(block);
    return fresh;
}

char *zo_strdup(zo_tag tag, const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(zo_alloc(ZO_HOST, tag, bytes), text, bytes);
}

/* ---- settings and readings -------------------------------------------------------------------------------------------- */

void zo_mem_register(zo_space space, zo_space_ops ops)
{
    ZO_CHECK(space != ZO_HOST && (unsigned)space < ZO_SPACES, "the host space has its allocator in mem.c");
    space_ops[space] = ops;
}

void zo_mem_limit(zo_space space, uint64_t bytes)
{
    pthread_mutex_lock(&lock);
    limit[space] = bytes;
    pthread_mutex_unlock(&lock);
}

void zo_mem_on_oom(void (*handler)(zo_space space, zo_tag tag, size_t bytes, void *context), void *context)
{
    oom_handler = handler;
    oom_context = context;
}

void zo_mem_phase(zo_phase phase)
{
    pthread_mutex_lock(&lock);
    phase_now = phase;
    for (int s = 0; s < ZO_SPACES; s++) {
        raise_peaks((zo_space)s);
    }
    pthread_mutex_unlock(&lock);
}

zo_peak zo_mem_live(zo_space space)
{
    pthread_mutex_lock(&lock);
    zo_peak now = live[space];
    pthread_mutex_unlock(&lock);
    return now;
}

zo_peak zo_mem_peak(zo_space space, zo_phase phase)
{
    pthread_mutex_lock(&lock);
    zo_peak p = peak[space][phase];
    pthread_mutex_unlock(&lock);
    return p;
}

zo_peak zo_mem_peak_overall(zo_space space)
{
    pthread_mutex_lock(&lock);
    zo_peak p = overall[space];
    pthread_mutex_unlock(&lock);
    return p;
}

void zo_mem_raise(zo_space space, zo_phase phase, const zo_peak *reached, const zo_peak *most)
{
    pthread_mutex_lock(&lock);
    if (reached->total_bytes > peak[space][phase].total_bytes) {
        peak[space][phase] = *reached;
    }
    if (most->total_bytes > overall[space].total_bytes) {
        overall[space] = *most;
    }
    pthread_mutex_unlock(&lock);
}

void zo_mem_reset_peaks(void)
{
    pthread_mutex_lock(&lock);
    memset(peak, 0, sizeof peak);
    memset(overall, 0, sizeof overall);
    for (int s = 0; s < ZO_SPACES; s++) {
        raise_peaks((zo_space)s);
    }
    pthread_mutex_unlock(&lock);
}

static uint64_t status_bytes(const char *key)
{
    FILE *f = fopen("/proc/self/status", "re");
    if (f == NULL) {
        return 0;
    }
    char line[256];
    unsigned long long kib = 0;
    size_t n = strlen(key);
    while (fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, n) == 0 && line[n] == ':') {
            kib = strtoull(line + n + 1, NULL, 10);
            break;
        }
    }
    fclose(f);
    return (uint64_t)kib * 1024;
}

uint64_t zo_rss_peak_bytes(void)
{
    return status_bytes("VmHWM");
}

uint64_t zo_rss_bytes(void)
{
    return status_bytes("VmRSS");
}
