/* run_checks.h: what `zo run` checks before anything runs: devices, models, data, and what memory training will take. */
#ifndef ZO_BENCH_MATRIX_RUN_CHECKS_H
#define ZO_BENCH_MATRIX_RUN_CHECKS_H

#include "bench/matrix/live.h"
#include "bench/matrix/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the check of a cell found. */
typedef struct zo_foreseen {
    uint64_t bytes[ZO_TAGS]; /* predicted peak of its training */
    double total;            /* their sum; 0 = not known */
    double limit;            /* bytes that a cell may take now; 0 = not known */
    int64_t dev, test;       /* rows to evaluate */
    bool oom;                /* opening it alone takes more memory than there is: `why` */
    bool wrong;              /* it cannot be opened for what the user gave: model, rows, settings */
    char why[1100];          /* it cannot be opened or run; "" = it can */
} zo_foreseen;

/* foreseen[i] is of cell i, all 0 where nothing is known; NULL = only check, where spec->goes_on is false. Cells with todo[i] false are left out, and in a dry run those
 * whose model would have to be made first. */
zo_status zo_run_check_cells(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, zo_live *l, zo_foreseen *foreseen, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
