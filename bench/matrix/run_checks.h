/* run_checks.h: what `zo run` checks before anything runs: devices, models, data, and what memory training will take. */
#ifndef ZO_BENCH_MATRIX_RUN_CHECKS_H
#define ZO_BENCH_MATRIX_RUN_CHECKS_H

#include "bench/matrix/live.h"
#include "bench/matrix/run.h"

#ifdef __cplusplus
extern "C" {
#endif

/* predicted[i] = bytes of cell i, 0 = not known; NULL = only check. Cells with todo[i] false are left out, and in a dry run those
 * whose model would have to be made first. */
zo_status zo_run_check_cells(const zo_grid *grid, const bool *todo, const zo_run_spec *spec, zo_live *l, double *predicted, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
