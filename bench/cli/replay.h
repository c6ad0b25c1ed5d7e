/* replay.h: a zeroth-order run made again from the losses in its journal, without a forward. Directions are drawn again, and the weights move as they moved: in
 * place over the same rows, with the same rounding. So they end with the same bits. */
#ifndef ZO_BENCH_CLI_REPLAY_H
#define ZO_BENCH_CLI_REPLAY_H

#include "bench/cell/setup.h"
#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_replay zo_replay;
struct zo_replay {
    /* asked for */
    const char *db, *run;
    zo_setup_dirs dirs; /* data NULL: the folder that the run had */
    int64_t to;         /* steps; -1 = all that it made */
    /* called on the way, before step number `step` (from 0), after so many steps, and at the end; NULL = nothing */
    void *context;
    zo_status (*before)(zo_replay *replay, int64_t step, zo_err *err);
    zo_status (*after)(zo_replay *replay, int64_t steps, zo_err *err);
    zo_status (*ended)(zo_replay *replay, zo_err *err);
    void (*close)(zo_replay *replay); /* before setup and backend are closed, also after an error */
    /* there meanwhile */
    zo_run_facts facts;
    zo_cell cell;
    zo_backend *be;
    zo_setup setup;
    zo_tape tape;
    int64_t steps;      /* that are made */
};

/* Plays it. The database is only read, and closed before the first step. ZO_EINPUT where there is no such run, its files are others now, or its journal does
 * not fit; ZO_EUNSUPPORTED where its method has no journal. */
zo_status zo_replay_play(zo_replay *replay, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
