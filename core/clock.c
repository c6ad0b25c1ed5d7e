/* clock.c: the clock, and one atomic count of nanoseconds per part of a step. */
#include "core/clock.h"

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

static const char *const part_name[ZO_PARTS] = {
#define X(id, name) name,
    ZO_PART_LIST(X)
#undef X
};

static _Atomic uint64_t part_ns[ZO_PARTS];

double zo_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

const char *zo_part_name(zo_part part)
{
    return part_name[part];
}

void zo_part_add(zo_part part, double seconds)
{
    if (seconds > 0) {
        atomic_fetch_add_explicit(&part_ns[part], (uint64_t)(seconds * 1e9 + 0.5), memory_order_relaxed);
    }
}

void zo_part_move(zo_part from, zo_part to, double seconds)
{
    uint64_t held = atomic_load_explicit(&part_ns[from], memory_order_relaxed), ns = seconds > 0 ? (uint64_t)(seconds * 1e9 + 0.5) : 0;
    ns = ns < held ? ns : held;
    atomic_fetch_sub_explicit(&part_ns[from], ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&part_ns[to], ns, memory_order_relaxed);
}

void zo_part_read(double seconds[ZO_PARTS])
{
    for (int i = 0; i < ZO_PARTS; i++) {
        seconds[i] = 1e-9 * (double)atomic_load_explicit(&part_ns[i], memory_order_relaxed);
    }
}

void zo_part_reset(void)
{
    for (int i = 0; i < ZO_PARTS; i++) {
        atomic_store_explicit(&part_ns[i], 0, memory_order_relaxed);
    }
}
