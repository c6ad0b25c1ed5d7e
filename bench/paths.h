/* paths.h: where the program's own files are: the tree it was built in, or PREFIX/share/zo. */
#ifndef ZO_BENCH_PATHS_H
#define ZO_BENCH_PATHS_H

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The first that exists of ./NAME, NAME beside the program, two folders above it (build/cpu-release/zo), ../share/zo/NAME. */
zo_status zo_find_shared(const char *name, char path[4096], zo_err *err);
/* /proc/self/exe; dies when that cannot be read. */
void zo_program_path(char path[4096]);

#ifdef __cplusplus
}
#endif
#endif
