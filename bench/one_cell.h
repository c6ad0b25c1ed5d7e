/* one_cell.h: one cell from the keys that a config gives it, normalised; and its texts. What grid.c needs beyond grid.h. */
#ifndef ZO_BENCH_ONE_CELL_H
#define ZO_BENCH_ONE_CELL_H

#include "bench/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `object` holds a value for each key that is given, `optimizer` among them (an object with a name, or a string); words in it become numbers. `path`
 * stands in messages. The caller gives the cell back with zo_cell_free; there is nothing to give back after an error. */
zo_status zo_cell_make(zo_cell *cell, struct cJSON *object, const char *path, zo_err *err);

/* A canonical config with every key; the caller deletes it. */
struct cJSON *zo_cell_whole_config(const zo_cell *cell);

/* The optimizer's own keys; a table without rows where it has none. */
const zo_opt *zo_cell_options(const zo_estimator *estimator);

/* Puts a value, which it takes over, in place of the key's, or adds it. */
void zo_json_replace(struct cJSON *object, const char *key, struct cJSON *value);

#ifdef __cplusplus
}
#endif
#endif
