/* cache.c: see cache.h. */
#include "bench/cache.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "tasks/task.h"

zo_status zo_cache_place(const char *name, const char *recipe, char folder[4096], zo_err *err)
{
    size_t bytes;
    char *sample = zo_synth_corpus(1, 5000, &bytes);
    uint64_t hash = zo_fnv1a(zo_fnv1a(ZO_FNV_START, recipe, strlen(recipe)), sample, bytes);
    zo_free(sample);
    const char *cache = getenv("ZO_CACHE");
    cache = cache != NULL && cache[0] != '\0' ? cache : "results/cache";
    if (strlen(cache) > 3900) {
        return zo_fail(err, ZO_EINPUT, "$ZO_CACHE has %zu bytes; at most 3900 are permitted", strlen(cache));
    }
    snprintf(folder, 4096, "%s/%.150s-%016llx", cache, name, (unsigned long long)hash);
    return ZO_OK;
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        char path[4096];
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            unlink(zo_path_join(path, sizeof path, folder, e->d_name));
        }
    }
    if (dir != NULL) {
        closedir(dir);
        rmdir(folder);
    }
}

zo_status zo_cache_make(const char *folder, zo_status (*make)(const char *folder, void *context, zo_err *err), void *context, zo_err *err)
{
    if (zo_path_is_dir(folder)) {
        return ZO_OK;
    }
    char made[4096 + 24];
    snprintf(made, sizeof made, "%s.%ld", folder, (long)getpid());
    zo_status status = zo_make_dirs(made, err);
    if (status != ZO_OK) {
        return status;
    }
    status = make(made, context, err);
    if (status == ZO_OK && rename(made, folder) != 0 && !zo_path_is_dir(folder)) {
        status = zo_fail(err, ZO_EIO, "%s: cannot be renamed to %s: %s", made, folder, strerror(errno));
    }
    remove_folder(made); /* gone already when it was renamed */
    return status;
}
