/* mem.h: the ledger. Every byte that the program keeps goes through zo_alloc with a space and a tag, and the peak is raised
 * inside the allocation, so a peak is a property of the allocator and not of a sampling thread.
 *
 * Definition of "peak_bytes" (printed with every number): the largest sum of live zo_alloc bytes in the space where the model
 * lives (HOST for the CPU backend), over the phase named. Program text, stacks, libraries' own small allocations and the page
 * cache are not in it; VmHWM (zo_rss_peak_bytes) is recorded beside it as a cross-check. */
#ifndef ZO_CORE_MEM_H
#define ZO_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_space { ZO_HOST, ZO_PINNED, ZO_DEVICE, ZO_SPACES } zo_space;

/* X(enumerator suffix, name in tables and JSON) */
#define ZO_TAG_LIST(X)                                                                                         \
    X(PARAMS, "params") X(GRADS, "grads") X(OPT_STATE, "opt_state") X(SNAPSHOT, "snapshot")                    \
    X(ACTIVATIONS, "activations") X(KV_CACHE, "kv_cache") X(WORKSPACE, "workspace") X(DATA, "data") X(OTHER, "other")
typedef enum zo_tag {
#define X(id, name) ZO_TAG_##id,
    ZO_TAG_LIST(X)
#undef X
    ZO_TAGS
} zo_tag;

typedef enum zo_phase { ZO_PHASE_LOAD, ZO_PHASE_TRAIN, ZO_PHASE_EVAL, ZO_PHASES } zo_phase;

typedef struct zo_peak {
    uint64_t total_bytes;         /* the peak */
    uint64_t tag_bytes[ZO_TAGS];  /* the breakdown at the moment of that peak; sums to total_bytes */
} zo_peak;

const char *zo_tag_name(zo_tag tag);
const char *zo_phase_name(zo_phase phase);

/* `bytes` zero-filled bytes, aligned to 64. Never returns NULL: when the limit of zo_mem_limit would be passed or the system
 * refuses, it calls the handler of zo_mem_on_oom. The caller owns the block and gives it back with zo_free (any thread).
 * zero bytes give a valid pointer. Only space ZO_HOST is allocated here; a backend registers allocators for the others. */
void *zo_alloc(zo_space space, zo_tag tag, size_t bytes);
/* The same, but NULL where zo_alloc would call the handler. */
void *zo_try_alloc(zo_space space, zo_tag tag, size_t bytes);
void *zo_realloc(void *block, zo_space space, zo_tag tag, size_t bytes); /* block may be NULL; contents kept, new bytes zero */
char *zo_strdup(zo_tag tag, const char *text);
void zo_free(void *block); /* NULL is allowed */

typedef struct zo_space_ops {
    void *(*allocate)(size_t bytes); /* NULL when out of memory; zero-filled */
    void (*release)(void *block);
} zo_space_ops;
void zo_mem_register(zo_space space, zo_space_ops ops);

/* Limit of live bytes in a space; 0 = none. The bench sets HOST to the memory that the machine has free at start. */
void zo_mem_limit(zo_space space, uint64_t bytes);
/* Called with the request that failed; must not return (a cell's process writes its `oom` row and exits). Default: zo_die with
 * the breakdown. */
void zo_mem_on_oom(void (*handler)(zo_space space, zo_tag tag, size_t bytes, void *context), void *context);

/* For what a driver or library takes beside the ledger (`what` in words, static): calls the handler with 0 bytes of OTHER. */
void zo_mem_refused(zo_space space, const char *what) __attribute__((noreturn));
/* What the handler was called for, in words: "12.3 MB of activations", or what zo_mem_refused was told. Returns `text`. */
const char *zo_mem_request(zo_tag tag, size_t bytes, char *text, size_t size);

/* Begin a phase: its peak is at least the bytes live now. Peaks of all phases are kept; a phase entered again goes on. */
void zo_mem_phase(zo_phase phase);
zo_peak zo_mem_live(zo_space space);
zo_peak zo_mem_peak(zo_space space, zo_phase phase);
zo_peak zo_mem_peak_overall(zo_space space);
/* A peak that was reached before, in another process: the phase's is at least that, and the overall one is at least `overall`. */
void zo_mem_raise(zo_space space, zo_phase phase, const zo_peak *reached, const zo_peak *overall);
void zo_mem_reset_peaks(void); /* tests and sweeps inside one process */

/* VmHWM and VmRSS of this process in bytes, from /proc/self/status; 0 where that is absent. */
uint64_t zo_rss_peak_bytes(void);
uint64_t zo_rss_bytes(void);

#ifdef __cplusplus
}
#endif
#endif
