/* keys.h: the table of a cell's keys, each described once: its type, range, default and help text, its place in zo_cell, its column in the database
 * and what else is true of it (results/keys.h). A new key is a member of zo_cell, a row here and, where it has a column, a line of
 * results/schema.sql; then whoever acts on it reads the member. */
#ifndef ZO_BENCH_CELL_KEYS_H
#define ZO_BENCH_CELL_KEYS_H

#include "core/conf.h"
#include "results/keys.h"

#ifdef __cplusplus
extern "C" {
#endif

/* In canonical order, that of the text that is hashed: a new row stands at the end, before the seed, and is `younger`. Options of a zo_cell
 * (settings.h). */
const zo_opt *zo_cell_keys(void);

/* A default that depends on other keys: zo_cell_keys has it where the help text says what absence means. */
#define ZO_KEY_ABSENT (-2)

/* "batch context steps ...": the keys with this flag. */
const char *zo_cell_keys_with(zo_key_flag flag, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
