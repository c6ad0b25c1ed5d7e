/* cache.h: folders that zo makes itself and keeps: $ZO_CACHE, or results/cache. A folder is whole or not there: it is made under another
 * name and renamed. */
#ifndef ZO_BENCH_SYNTH_CACHE_H
#define ZO_BENCH_SYNTH_CACHE_H

#include <stdbool.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The folder NAME-HASH of the cache, made or not. The hash is of `recipe`, which says everything that the contents depend on but the
 * synthetic language, whose grammar is added here by its first sentences. */
zo_status zo_cache_place(const char *name, const char *recipe, char folder[4096], zo_err *err);

/* Is the folder there with all the bytes that it was made with? */
bool zo_cache_is_whole(const char *folder);

/* Makes it unless it is whole; what is damaged there is replaced. `make` fills an empty folder with files; when it fails, nothing is left
 * behind. What makers that were killed have left in the cache is removed. */
zo_status zo_cache_make(const char *folder, zo_status (*make)(const char *folder, void *context, zo_err *err), void *context, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
