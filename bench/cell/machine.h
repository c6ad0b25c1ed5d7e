/* machine.h: what else the machine does while steps run, and what memory a cell may take. */
#ifndef ZO_BENCH_CELL_MACHINE_H
#define ZO_BENCH_CELL_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Readings since the system (or the process) began. Differences of two of them are what happened between. */
typedef struct zo_load {
    double wall_seconds;
    double cpu_seconds;   /* processor time of this process, all threads */
    double busy_seconds;  /* of the processors that this process may use, by anybody; NaN = the system does not tell */
    double steal_seconds; /* that the hypervisor gave to others; NaN = the system does not tell */
    int64_t switches;     /* context switches that were forced on this process */
    int cores;            /* that this process may use */
} zo_load;
zo_load zo_load_read(void);
double zo_load_average(void); /* of the last minute; NaN = the system does not tell */

/* What others did between two readings. Disturbed: others took more than a tenth of the `threads` processors that this process works on, beyond
 * those that it leaves free, or steal was above 2 % of them; differences below the clock's own grain (30 ms) do not count. */
typedef struct zo_disturbance { double cpu_seconds, foreign_seconds, steal_seconds; int64_t switches; bool disturbed; } zo_disturbance;
zo_disturbance zo_load_between(const zo_load *from, const zo_load *to, int threads);

/* Bytes that a cell may allocate: what is free now, or what a control group leaves, a little kept for what the ledger does not see; or
 * $ZO_MEMORY_LIMIT, a number of bytes or one with K, M, G, T (powers of 1024; also KiB, and KB for powers of 1000). ZO_EINPUT for another word. */
zo_status zo_memory_limit(uint64_t *bytes, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
