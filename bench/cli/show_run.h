/* show_run.h: all that a database says of one run: `zo show RUN`. */
#ifndef ZO_BENCH_CLI_SHOW_RUN_H
#define ZO_BENCH_CLI_SHOW_RUN_H

#include <stdbool.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `name`: the number of a run, or the hash of a cell, whose try that counts is meant. To standard output, as tables or (`json`) one object. ZO_EINPUT where the
 * database has no such run. */
zo_status zo_show_run(const char *name, const char *db, bool json, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
