/* io.c: files, lines, maps and paths. Lengths that stand in a file (gzip's own size field too) are never used. */
#include "core/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <zlib.h>

#include "core/mem.h"

#define PATH_BYTES 4096

/* ---- whole files ------------------------------------------------------------------------------------------------------ */

static zo_status fail_open(zo_err *err, const char *path)
{
    return zo_fail(err, ZO_EIO, "%s: cannot be opened (%s); check the path and its permissions", path, strerror(errno));
}

/* What stands at a path in place of a file, or NULL for a regular file. */
static const char *no_file(const struct stat *st)
{
    return S_ISREG(st->st_mode)    ? NULL
           : S_ISDIR(st->st_mode)  ? "a folder"
           : S_ISFIFO(st->st_mode) ? "a named pipe"
           : S_ISSOCK(st->st_mode) ? "a socket"
                                   : "a device";
}

static zo_status fail_kind(zo_err *err, const char *path, const char *kind)
{
    return zo_fail(err, ZO_EIO, "%s: is %s, not a file; name a regular file", path, kind);
}

zo_status zo_path_check_file(const char *path, zo_err *err)
{
    struct stat st;
    const char *kind = stat(path, &st) == 0 ? no_file(&st) : NULL;
    return kind != NULL ? fail_kind(err, path, kind) : ZO_OK;
}

/* A pipe without a name: standard input, or what a shell's <(command) makes. Its writer is there already, so opening it waits for nobody. */
static bool is_nameless_pipe(const char *path)
{
    struct stat st;
    struct statfs system;
    return stat(path, &st) == 0 && S_ISFIFO(st.st_mode) && statfs(path, &system) == 0 && system.f_type == PIPEFS_MAGIC;
}

/* A descriptor open for reading a regular file, or with `pipes` a nameless pipe too; *st is filled. What could wait for ever, or do something
 * on being opened (pipes, devices), is not opened; what takes the file's place between looking and opening is caught after it, and
 * O_NONBLOCK lets nothing wait. */
static zo_status open_input(const char *path, bool pipes, int *fd, struct stat *st, zo_err *err)
{
    bool pipe = pipes && is_nameless_pipe(path);
    zo_status status = pipe ? ZO_OK : zo_path_check_file(path, err);
    if (status != ZO_OK) {
        return status;
    }
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (pipe ? 0 : O_NONBLOCK));
    if (*fd < 0) {
        return fail_open(err, path);
    }
    if (fstat(*fd, st) != 0) {
        close(*fd);
        return zo_fail(err, ZO_EIO, "%s: cannot be examined; name a file", path);
    }
    if (no_file(st) != NULL && !(pipe && S_ISFIFO(st->st_mode))) {
        close(*fd);
        return fail_kind(err, path, no_file(st));
    }
    return ZO_OK;
}

zo_status zo_file_open(const char *path, FILE **file, zo_err *err)
{
    int fd = -1;
    struct stat st;
    *file = NULL;
    zo_status status = open_input(path, true, &fd, &st, err);
    if (status != ZO_OK) {
        return status;
    }
    *file = fdopen(fd, "r");
    if (*file == NULL) {
        close(fd);
        return fail_open(err, path);
    }
    return ZO_OK;
}

static zo_status fail_size(zo_err *err, const char *path, const char *how, size_t found, size_t most_bytes)
{
    return zo_fail(err, ZO_EINPUT, "%s: %s %zu bytes, and at most %zu are read here; is it the right file?", path, how, found,
                   most_bytes);
}

zo_status zo_read_file(const char *path, size_t most_bytes, char **text, size_t *bytes, zo_err *err)
{
    *text = NULL;
    *bytes = 0;
    if (most_bytes > (size_t)PTRDIFF_MAX - 1) {
        most_bytes = (size_t)PTRDIFF_MAX - 1;
    }
    int fd = -1;
    struct stat st;
    zo_status status = open_input(path, true, &fd, &st, err);
    if (status != ZO_OK) {
        return status;
    }
    gzFile in = gzdopen(fd, "rb"); /* passes plain bytes through */
    if (in == NULL) {
        close(fd);
        return zo_fail(err, ZO_EIO, "%s: cannot be read: out of memory in zlib", path);
    }
    (void)gzbuffer(in, 1 << 18);
    bool plain = gzdirect(in) != 0;
    size_t on_disk = st.st_size > 0 ? (size_t)st.st_size : 0;
    if (plain && on_disk > most_bytes) {
        gzclose(in);
        return fail_size(err, path, "has", on_disk, most_bytes);
    }
    /* One byte for the NUL and one to notice a file that is longer than allowed or than it was. */
    size_t room = (plain ? on_disk : 4 * on_disk) + 2;
    if (room < 4096) {
        room = 4096;
    }
    if (room > most_bytes + 2) {
        room = most_bytes + 2;
    }
    char *block = zo_alloc(ZO_HOST, ZO_TAG_DATA, room);
    size_t n = 0;
    for (;;) {
        if (n + 1 == room) {
            if (n > most_bytes) {
                break;
            }
            room = room > most_bytes / 2 ? most_bytes + 2 : 2 * room;
            block = zo_realloc(block, ZO_HOST, ZO_TAG_DATA, room);
        }
        size_t want = room - 1 - n;
        int got = gzread(in, block + n, want > (1u << 30) ? 1u << 30 : (unsigned)want);
        if (got <= 0) {
            break;
        }
        n += (size_t)got;
    }
    int code = Z_OK;
    (void)gzerror(in, &code);
    int read_errno = errno, closed = gzclose(in);
    if (n > most_bytes) {
        status = fail_size(err, path, plain ? "has more than" : "unpacks to at least", plain ? most_bytes : n, most_bytes);
    } else if (code == Z_ERRNO) {
        status = zo_fail(err, ZO_EIO, "%s: cannot be read (%s) after %zu bytes", path, strerror(read_errno), n);
    } else if (code == Z_BUF_ERROR || closed == Z_BUF_ERROR) {
        status = zo_fail(err, ZO_EINPUT, "%s: the gzip data end too early, after %zu unpacked bytes; fetch or pack it again", path, n);
    } else if (code != Z_OK && code != Z_STREAM_END) {
        status = zo_fail(err, ZO_EINPUT, "%s: the gzip data are damaged, after %zu unpacked bytes; fetch or pack it again", path, n);
    }
    if (status != ZO_OK) {
        zo_free(block);
        return status;
    }
    if (room > n + n / 2 + 4096) {
        block = zo_realloc(block, ZO_HOST, ZO_TAG_DATA, n + 1);
    }
    block[n] = '\0';
    *text = block;
    *bytes = n;
    return ZO_OK;
}

zo_status zo_read_file_or_gz(const char *path, size_t most_bytes, char **text, size_t *bytes, zo_err *err)
{
    if (zo_path_exists(path)) {
        return zo_read_file(path, most_bytes, text, bytes, err);
    }
    *text = NULL;
    *bytes = 0;
    char packed[PATH_BYTES];
    int n = snprintf(packed, sizeof packed, "%s.gz", path);
    if (n < 0 || (size_t)n >= sizeof packed) {
        return zo_fail(err, ZO_EIO, "%.200s...: a path of %d bytes; at most %d are permitted", path, n, PATH_BYTES - 1);
    }
    if (!zo_path_exists(packed)) {
        return zo_fail(err, ZO_EIO, "neither %s nor %s is there; check the folder given with --data or --models", path, packed);
    }
    return zo_read_file(packed, most_bytes, text, bytes, err);
}

/* ---- lines ------------------------------------------------------------------------------------------------------------ */

zo_lines zo_lines_of(char *text, size_t bytes)
{
    return (zo_lines){.at = text, .end = text + bytes, .number = 0};
}

char *zo_lines_next(zo_lines *lines, size_t *length)
{
    if (lines->at >= lines->end) {
        return NULL;
    }
    char *line = lines->at, *stop = memchr(line, '\n', (size_t)(lines->end - line));
    size_t n;
    if (stop == NULL) {
        n = (size_t)(lines->end - line);
        lines->at = lines->end;
    } else {
        lines->at = stop + 1;
        if (stop > line && stop[-1] == '\r') {
            stop--;
        }
        *stop = '\0';
        n = (size_t)(stop - line);
    }
    lines->number++;
    if (length != NULL) {
        *length = n;
    }
    return line;
}

/* ---- maps ------------------------------------------------------------------------------------------------------------- */

static const uint8_t nothing[1]; /* what an empty file maps to */

zo_status zo_map_open(zo_map *map, const char *path, zo_err *err)
{
    *map = (zo_map){.data = nothing, .bytes = 0};
    int fd = -1;
    struct stat st;
    zo_status status = open_input(path, false, &fd, &st, err);
    if (status != ZO_OK) {
        return status;
    }
    if (st.st_size > 0) {
        void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED) {
            int why = errno;
            close(fd);
            return zo_fail(err, ZO_EIO, "%s: cannot be mapped (%s)", path, strerror(why));
        }
        *map = (zo_map){.data = data, .bytes = (size_t)st.st_size};
    }
    close(fd);
    return ZO_OK;
}

void zo_map_close(zo_map *map)
{
    if (map->bytes > 0) {
        munmap((void *)(uintptr_t)map->data, map->bytes);
    }
    *map = (zo_map){.data = nothing, .bytes = 0};
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        data += n;
        bytes -= (size_t)n;
    }
    return true;
}

zo_status zo_write_file(const char *path, const void *data, size_t bytes, zo_err *err)
{
    char fresh[PATH_BYTES];
    int n = snprintf(fresh, sizeof fresh, "%s.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof fresh) {
        return zo_fail(err, ZO_EIO, "%.200s...: a path of %d bytes; at most %d are permitted", path, n, PATH_BYTES - 8);
    }
    int fd = mkostemp(fresh, O_CLOEXEC);
    if (fd < 0) {
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); check that the folder exists and is writable", path, strerror(errno));
    }
    mode_t mask = umask(0);
    umask(mask);
    bool good = write_all(fd, data, bytes) && fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
    int why = errno;
    if (close(fd) != 0 && good) {
        good = false;
        why = errno;
    }
    if (good && rename(fresh, path) != 0) {
        good = false;
        why = errno;
    }
    if (!good) {
        unlink(fresh);
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); nothing was changed", path, strerror(why));
    }
    return ZO_OK;
}

/* ---- paths ------------------------------------------------------------------------------------------------------------ */

bool zo_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

bool zo_path_is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

zo_status zo_make_dirs(const char *path, zo_err *err)
{
    char part[PATH_BYTES];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof part) {
        return zo_fail(err, ZO_EIO, "a folder's path of %zu bytes; 1 to %d are permitted", n, PATH_BYTES - 1);
    }
    memcpy(part, path, n + 1);
    for (size_t i = 1; i <= n; i++) {
        if (part[i] != '/' && part[i] != '\0') {
            continue;
        }
        char kept = part[i];
        part[i] = '\0';
        if (mkdir(part, 0777) != 0) {
            int why = errno;
            if (!zo_path_is_dir(part)) {
                return zo_fail(err, ZO_EIO, "%s: the folder cannot be made (%s); choose a place that is writable", part,
                               strerror(why));
            }
        }
        part[i] = kept;
    }
    return ZO_OK;
}

zo_status zo_make_parent(const char *path, zo_err *err)
{
    char folder[PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) {
        return ZO_OK;
    }
    *slash = '\0';
    return zo_make_dirs(folder, err);
}

char *zo_path_join(char *out, size_t size, const char *folder, const char *name)
{
    size_t n = strlen(folder);
    const char *slash = n == 0 || folder[n - 1] == '/' ? "" : "/";
    size_t most = size < PATH_BYTES ? size : PATH_BYTES;
    int wrote = snprintf(out, most, "%s%s%s", folder, slash, name);
    ZO_CHECK(wrote >= 0 && (size_t)wrote < most, "the path %.100s.../%.100s does not fit %zu bytes; use a shorter one", folder, name,
             most);
    return out;
}

zo_status zo_share_find(const char *name, char *out, size_t size, zo_err *err)
{
    const char *set = getenv("ZO_SHARE");
    if (set != NULL && set[0] != '\0') {
        zo_path_join(out, size, set, name);
        return zo_path_exists(out) ? ZO_OK
                                   : zo_fail(err, ZO_EIO, "%s is not there; ZO_SHARE is %s, set it to the folder that holds %s", out, set, name);
    }
    char self[PATH_BYTES];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        return zo_fail(err, ZO_EIO, "%s is not found: /proc/self/exe cannot be read; set ZO_SHARE to the folder that holds it", name);
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    /* The program stands in build/<kind>/ of its tree (its tests one deeper), or in PREFIX/bin. */
    static const char *const beside[] = {"../..", "../../..", "../share/zo"};
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        char base[PATH_BYTES];
        zo_path_join(base, sizeof base, self, beside[i]);
        zo_path_join(out, size, base, name);
        if (zo_path_exists(out)) {
            return ZO_OK;
        }
    }
    return zo_fail(err, ZO_EIO, "%s is not found in the tree of %s nor in ../share/zo beside it; set ZO_SHARE to the folder that holds it",
                   name, self);
}

uint64_t zo_fnv1a(uint64_t hash, const void *data, size_t bytes)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++) {
        hash = (hash ^ at[i]) * 0x100000001b3ull;
    }
    return hash;
}
