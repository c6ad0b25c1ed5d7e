/* process.h: one cell in a process of its own. The parent (run.c) starts `zo cell`, writes one JSON object (zo_cell_job) to its standard
 * input and reads lines of JSON (zo_cell_news) from its descriptor ZO_CELL_NEWS_FD; the cell writes its rows to the database itself. */
#ifndef ZO_BENCH_CELL_PROCESS_H
#define ZO_BENCH_CELL_PROCESS_H

#include "bench/cell/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_CELL_NEWS_FD 3

/* Exit codes of the cell's process; anything else is a crash. */
enum { ZO_CELL_ENDED = 0, /* the row says how */
       ZO_CELL_FAILED = 1,
       ZO_CELL_INPUT = 2, /* the input or the database is wrong */
       ZO_CELL_STOPPED = 3 /* asked to end: its checkpoint, if any, is where the cell goes on */ };

/* Hidden command. */
int zo_cmd_cell(int argc, char **argv);

/* What this machine is, for rows. `device` and `threads` come from the backend when it is open (else NULL, 0); `memory_limit_bytes` is what the
 * cell may take, -1 = not known (on a card). */
zo_host_row zo_host(const char *device, int threads, int64_t memory_limit_bytes);

#ifdef __cplusplus
}
#endif
#endif
