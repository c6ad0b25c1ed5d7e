/* archive.c: see archive.h. The file: a mark of 16 bytes, the values, their checksum. */
#include "core/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io.h"

static const char mark[16] = "zo archive 1\n\n\n";

zo_status zo_archive_create(zo_archive *a, const char *path, zo_err *err)
{
    *a = (zo_archive){.sum = ZO_FNV_START};
    int n = snprintf(a->path, sizeof a->path, "%s", path);
    if (n < 0 || (size_t)n >= sizeof a->path) {
        return zo_fail(err, ZO_EIO, "%.200s...: a path of %d bytes; at most %zu are permitted", path, n, sizeof a->path - 1);
    }
    snprintf(a->fresh, sizeof a->fresh, "%s.new", path); /* what a killed program left there is written over */
    a->file = fopen(a->fresh, "wbe");
    if (a->file == NULL) {
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); check that the folder exists and is writable", path, strerror(errno));
    }
    if (fwrite(mark, 1, sizeof mark, a->file) != sizeof mark) {
        zo_fail(&a->err, ZO_EIO, "%s: cannot be written (%s)", path, strerror(errno));
    }
    return ZO_OK;
}

static zo_status refuse(zo_archive *a, const char *why, zo_err *err)
{
    fclose(a->file);
    a->file = NULL;
    return zo_fail(err, ZO_EINPUT, "%s: %s", a->path, why);
}

zo_status zo_archive_open(zo_archive *a, const char *path, zo_err *err)
{
    static unsigned char block[1 << 16];
    *a = (zo_archive){.loads = true, .sum = ZO_FNV_START};
    snprintf(a->path, sizeof a->path, "%s", path);
    zo_status status = zo_file_open(path, &a->file, err);
    if (status != ZO_OK) {
        return status;
    }
    struct stat about;
    char begins[sizeof mark];
    uint64_t sum;
    if (fstat(fileno(a->file), &about) != 0 || about.st_size < (off_t)(sizeof mark + sizeof sum) ||
        fread(begins, 1, sizeof begins, a->file) != sizeof begins || memcmp(begins, mark, sizeof mark) != 0) {
        return refuse(a, "this is no archive of this program", err);
    }
    a->left = (uint64_t)about.st_size - sizeof mark - sizeof sum;
    for (uint64_t left = a->left; left > 0;) {
        size_t n = left < sizeof block ? (size_t)left : sizeof block;
        if (fread(block, 1, n, a->file) != n) {
            return refuse(a, "it cannot be read to its end", err);
        }
        a->sum = zo_fnv1a(a->sum, block, n);
        left -= n;
    }
    if (fread(&sum, 1, sizeof sum, a->file) != sizeof sum || sum != a->sum) {
        return refuse(a, "it is damaged: its checksum is not that of what it holds", err);
    }
    return fseek(a->file, sizeof mark, SEEK_SET) == 0 ? ZO_OK : refuse(a, "it cannot be read from its beginning", err);
}

void zo_archive_bytes(zo_archive *a, void *data, size_t bytes)
{
    if (a->loads) {
        if (a->err.status == ZO_OK && (bytes > a->left || fread(data, 1, bytes, a->file) != bytes)) {
            zo_archive_refuse(a, "it ends before its last value");
        }
        if (a->err.status != ZO_OK) {
            memset(data, 0, bytes);
        } else {
            a->left -= bytes;
        }
    } else if (a->err.status == ZO_OK) {
        a->sum = zo_fnv1a(a->sum, data, bytes);
        if (fwrite(data, 1, bytes, a->file) != bytes) {
            zo_fail(&a->err, ZO_EIO, "%s: cannot be written (%s)", a->path, strerror(errno));
        }
    }
}

void zo_archive_int64(zo_archive *a, int64_t *value, int64_t least, int64_t most)
{
    ZO_ARCHIVE(a, *value);
    if (a->loads && (*value < least || *value > most)) {
        zo_archive_refuse(a, "a number in it is out of its bounds");
        *value = least;
    }
}

void zo_archive_int(zo_archive *a, int *value, int least, int most)
{
    int64_t wide = *value;
    zo_archive_int64(a, &wide, least, most);
    *value = (int)wide;
}

void zo_archive_refuse(zo_archive *a, const char *why)
{
    if (a->err.status == ZO_OK) {
        zo_fail(&a->err, ZO_EINPUT, "%s: %s", a->path, why);
    }
}

/* The folder of a file that was renamed: its entry is on the disk too. Where a file system has none of this, there is nothing to be done. */
static void sync_folder(const char *path)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        slash[slash == folder] = '\0';
    }
    int fd = open(slash != NULL ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
}

zo_status zo_archive_close(zo_archive *a, zo_err *err)
{
    if (a->loads) {
        if (a->left > 0) {
            zo_archive_refuse(a, "it has more values than this program reads");
        }
        fclose(a->file);
    } else {
        bool good = a->err.status == ZO_OK && fwrite(&a->sum, 1, sizeof a->sum, a->file) == sizeof a->sum && fflush(a->file) == 0 &&
                    fsync(fileno(a->file)) == 0;
        int why = errno;
        good = fclose(a->file) == 0 && good;
        if (good && rename(a->fresh, a->path) != 0) {
            good = false;
            why = errno;
        }
        if (good) {
            sync_folder(a->path);
        } else {
            unlink(a->fresh);
            if (a->err.status == ZO_OK) {
                zo_fail(&a->err, ZO_EIO, "%s: cannot be written (%s)", a->path, strerror(why));
            }
        }
    }
    a->file = NULL;
    return a->err.status == ZO_OK ? ZO_OK : zo_fail(err, a->err.status, "%s", a->err.text);
}
