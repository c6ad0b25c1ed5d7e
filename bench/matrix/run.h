/* run.h: a grid run cell by cell, each in a process of its own, into one database. */
#ifndef ZO_BENCH_MATRIX_RUN_H
#define ZO_BENCH_MATRIX_RUN_H

#include "bench/cell/setup.h"
#include "bench/matrix/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_run_spec {
    const char *db;
    zo_setup_dirs dirs;
    const char *save; /* the weights of each cell that ends go to a folder of its own in here, named by its hash; NULL = nowhere */
    int64_t checkpoint_minutes, checkpoint_steps; /* how often a cell writes what it needs to go on; 0 = not by time, not by steps */
    double cell_limit_seconds; /* of training and evaluation of a cell: it ends with status time and keeps its checkpoint; 0 = none */
    double until;              /* zo_now() at which the run saves and ends, as when it is interrupted; 0 = never */
    const char *over;          /* what is said then, where cells are left; NULL = that --limit is over */
    const char *fail_on; /* "oom,dead": statuses and marks of cells, of this config and done or not, with which a run that went well ends 1; NULL = none */
    bool json;     /* one JSON object a cell on standard output */
    bool dry;      /* say what would run; run nothing, write nothing */
    bool goes_on;  /* of the checks: a cell that cannot be opened says why, and the others are checked; else it is an error */
    bool redo;     /* run cells again that are done; their rows are replaced */
} zo_run_spec;

/* ZO_EINPUT where a word of such a list is neither a status that counts as done nor a mark. NULL is none. */
zo_status zo_fail_on_check(const char *list, zo_err *err);

enum { ZO_RUN_OVER = 3 }; /* exit code: its time was over */

/* Runs the cells that the database does not have; 0, 1, 2 or ZO_RUN_OVER as `zo run`. Messages and the live line go to standard error. */
int zo_run_grid(const zo_grid *grid, const zo_run_spec *spec);

#ifdef __cplusplus
}
#endif
#endif
