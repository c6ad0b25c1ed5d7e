/* archive.h: a file of plain values in a fixed order, written whole or not at all, and read only when its checksum is right. One function
 * goes both ways, so what is written and what is read stand in one text. Values have this machine's own byte order and layout: an archive is
 * for the program that wrote it. */
#ifndef ZO_CORE_ARCHIVE_H
#define ZO_CORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_archive {
    bool loads;      /* else it is written */
    FILE *file;
    uint64_t sum;    /* 64-bit FNV-1a of the bytes so far */
    uint64_t left;   /* loading: bytes of values that are still to come */
    zo_err err;      /* the first thing that went wrong; nothing is read or written after it */
    char path[4096]; /* of the file, */
    char fresh[4096 + 16]; /* and of the temporary one beside it */
} zo_archive;

/* Begins a file that takes the place of `path` when it is closed. ZO_EIO where it cannot be made. */
zo_status zo_archive_create(zo_archive *a, const char *path, zo_err *err);
/* Opens one and reads it once for its checksum: ZO_EINPUT where it is none, is cut off, or was changed. */
zo_status zo_archive_open(zo_archive *a, const char *path, zo_err *err);

/* `bytes` bytes of `data`, to the file or from it. After an error, and behind the end of the file, it reads zeros. */
void zo_archive_bytes(zo_archive *a, void *data, size_t bytes);
#define ZO_ARCHIVE(a, value) zo_archive_bytes(a, &(value), sizeof(value))
/* A count, or another number whose bounds are known: outside [least, most] the file is refused, and the value is `least`. */
void zo_archive_int(zo_archive *a, int *value, int least, int most);
void zo_archive_int64(zo_archive *a, int64_t *value, int64_t least, int64_t most);
/* Refuses the file for a reason of the caller's, unless it was before. */
void zo_archive_refuse(zo_archive *a, const char *why);

/* The end, with the first error if there was one. A written file is on the disk then and has taken its place; after an error nothing was
 * changed. A file that has more values than were read is refused. */
zo_status zo_archive_close(zo_archive *a, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
