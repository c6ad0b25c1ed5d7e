/* cache.c: see cache.h. */
#include "bench/synth/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
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

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

/* A file or a folder with all that is in it; true when nothing is left there. */
static bool remove_all(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    return access(path, F_OK) != 0 && errno == ENOENT;
}

/* ---- whole or not --------------------------------------------------------------------------------------------------------------- */

#define LIST "zo-files" /* a line a file: FNV-1a of its bytes, their number, its name */
#define LIST_MOST_BYTES ((size_t)1 << 20)

static zo_status print_of(const char *folder, const char *name, uint64_t *print, uint64_t *bytes, zo_err *err)
{
    char path[4096];
    zo_map map;
    zo_status status = zo_map_open(&map, zo_path_join(path, sizeof path, folder, name), err);
    if (status == ZO_OK) {
        *print = zo_fnv1a(ZO_FNV_START, map.data, map.bytes);
        *bytes = map.bytes;
        zo_map_close(&map);
    }
    return status;
}

/* Writes the list of a folder's files. */
static zo_status write_list(const char *folder, zo_err *err)
{
    char text[1 << 13] = "", path[4096];
    DIR *dir = opendir(folder);
    zo_status status = ZO_OK;
    size_t used = 0;
    for (struct dirent *e; dir != NULL && status == ZO_OK && (e = readdir(dir)) != NULL;) {
        uint64_t print, bytes;
        if (e->d_name[0] == '.') {
            continue;
        }
        status = print_of(folder, e->d_name, &print, &bytes, err);
        if (status == ZO_OK) {
            used += (size_t)snprintf(text + used, sizeof text - used, "%016" PRIx64 " %" PRIu64 " %s\n", print, bytes, e->d_name);
            ZO_CHECK(used < sizeof text, "%s holds more files than its list has room for", folder);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return status == ZO_OK ? zo_write_file(zo_path_join(path, sizeof path, folder, LIST), text, used, err) : status;
}

static bool has_all_files(const char *folder)
{
    char path[4096], *text, *line;
    size_t bytes;
    if (zo_read_file(zo_path_join(path, sizeof path, folder, LIST), LIST_MOST_BYTES, &text, &bytes, NULL) != ZO_OK) {
        return false;
    }
    zo_lines lines = zo_lines_of(text, bytes);
    bool whole = bytes > 0;
    while (whole && (line = zo_lines_next(&lines, NULL)) != NULL) {
        uint64_t listed_print, listed_bytes, print, size;
        int name = 0;
        whole = sscanf(line, "%16" SCNx64 " %" SCNu64 " %n", &listed_print, &listed_bytes, &name) == 2 && line[name] != '\0' &&
                strchr(line + name, '/') == NULL && print_of(folder, line + name, &print, &size, NULL) == ZO_OK && print == listed_print &&
                size == listed_bytes;
    }
    zo_free(text);
    return whole;
}

bool zo_cache_is_whole(const char *folder)
{
    static char known[8][4096]; /* looked through once a process */
    static int next;
    enum { KNOWN = sizeof known / sizeof *known };
    for (int i = 0; i < KNOWN; i++) {
        if (strcmp(known[i], folder) == 0) {
            return zo_path_is_dir(folder);
        }
    }
    bool whole = has_all_files(folder);
    if (whole) {
        snprintf(known[next++ % KNOWN], sizeof known[0], "%s", folder);
    }
    return whole;
}

/* ---- making ----------------------------------------------------------------------------------------------------------------------- */

/* NAME-HASH.PID, as a folder is called while it is made? */
static bool is_being_made(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot == NULL || dot - name < 18 || dot[1] == '\0' || dot[1 + strspn(dot + 1, "0123456789")] != '\0' || dot[-17] != '-') {
        return false;
    }
    return strspn(dot - 16, "0123456789abcdef") == 16;
}

/* A lock of a folder, held until the descriptor is closed; -1: `wait` is false and somebody else has it, or it is no folder. Where a file
 * system knows no locks, those who `wait` go on without, and nobody clears up. */
static int lock_folder(const char *folder, bool wait)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), got = -1;
    while (fd >= 0 && (got = flock(fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB)) != 0 && errno == EINTR) {
    }
    if (fd >= 0 && got != 0 && !wait) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void unlock_folder(int lock)
{
    if (lock >= 0) {
        close(lock);
    }
}

/* The folder that all the cache's folders are in. Who holds its lock may make, rename and remove folders in it. */
static void cache_of(const char *folder, char cache[4096])
{
    snprintf(cache, 4096, "%s", folder);
    *strrchr(cache, '/') = '\0';
}

/* Removes what killed processes left in the cache: a folder being made whose lock nobody holds. */
static void remove_left_over(const char *cache)
{
    char path[4096];
    int all = lock_folder(cache, true);
    DIR *dir = opendir(cache);
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        if (is_being_made(e->d_name) && strlen(cache) + strlen(e->d_name) + 2 < sizeof path) {
            int lock = lock_folder(zo_path_join(path, sizeof path, cache, e->d_name), false);
            if (lock >= 0) {
                remove_all(path);
                close(lock);
            }
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    unlock_folder(all);
}

/* An empty folder of this process's own; *lock is its lock, which the maker holds as long as it lives. */
static zo_status open_made(const char *cache, const char *made, int *lock, zo_err *err)
{
    int all = lock_folder(cache, true);
    zo_status status = zo_make_dirs(made, err);
    *lock = status == ZO_OK ? lock_folder(made, true) : -1;
    unlock_folder(all);
    return status;
}

/* Gives what was made its name, unless somebody else has made it meanwhile. */
static zo_status name_made(const char *cache, const char *made, const char *folder, zo_err *err)
{
    zo_status status = ZO_OK;
    int all = lock_folder(cache, true);
    if (!zo_cache_is_whole(folder)) {
        if (zo_path_exists(folder) && !remove_all(folder)) {
            status = zo_fail(err, ZO_EIO, "%s: is damaged and cannot be removed (%s); remove it", folder, strerror(errno));
        } else if (rename(made, folder) != 0) {
            status = zo_fail(err, ZO_EIO, "%s: cannot be renamed to %s: %s", made, folder, strerror(errno));
        }
    }
    unlock_folder(all);
    return status;
}

zo_status zo_cache_make(const char *folder, zo_status (*make)(const char *folder, void *context, zo_err *err), void *context, zo_err *err)
{
    char cache[4096], made[4096 + 24];
    int lock = -1;
    cache_of(folder, cache);
    remove_left_over(cache);
    if (zo_cache_is_whole(folder)) {
        return ZO_OK;
    }
    snprintf(made, sizeof made, "%s.%ld", folder, (long)getpid());
    zo_status status = zo_make_dirs(cache, err);
    status = status == ZO_OK ? open_made(cache, made, &lock, err) : status;
    status = status == ZO_OK ? make(made, context, err) : status;
    status = status == ZO_OK ? write_list(made, err) : status;
    status = status == ZO_OK ? name_made(cache, made, folder, err) : status;
    remove_all(made); /* gone already when it was renamed */
    unlock_folder(lock);
    return status;
}
