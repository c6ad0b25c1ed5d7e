/* io.h: a bounded reader of whole files (gzip read transparently), lines, memory maps, and paths.
 * No length that stands in a file is trusted by any caller; these functions are fuzzed through their users. */
#ifndef ZO_CORE_IO_H
#define ZO_CORE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Regular files are read, and nameless pipes (standard input, a shell's <(command)); a folder, a named pipe, a socket or a device is one
 * sentence at once, so that nothing here waits for somebody who may never come. */

/* Read `path` whole; gzip (by its magic bytes) is unpacked. On success *text is a NUL-terminated block of *bytes bytes (the NUL
 * not counted) tagged DATA that the caller gives back with zo_free. A file of more than `most_bytes` after unpacking is an error
 * that names both sizes. */
zo_status zo_read_file(const char *path, size_t most_bytes, char **text, size_t *bytes, zo_err *err);

/* As zo_read_file with `path`, or `path`.gz when `path` is absent. The error names both. */
zo_status zo_read_file_or_gz(const char *path, size_t most_bytes, char **text, size_t *bytes, zo_err *err);

/* A file for reading piece by piece; the caller calls fclose. */
zo_status zo_file_open(const char *path, FILE **file, zo_err *err);

/* ZO_OK where `path` is a regular file or nothing is there: for files that a library opens (SQLite waits for a pipe too). */
zo_status zo_path_check_file(const char *path, zo_err *err);

/* Iterate over lines of a text in place. A line ends at \n; a \r before it is dropped; the last line may lack its \n.
 * zo_lines_next writes NULs into the text. */
typedef struct zo_lines { char *at, *end; long number; /* 1-based number of the line last returned */ } zo_lines;
zo_lines zo_lines_of(char *text, size_t bytes);
char *zo_lines_next(zo_lines *lines, size_t *length); /* NULL at the end; length may be NULL */

/* A read-only map of a file (not in the ledger: pages of the page cache). */
typedef struct zo_map { const uint8_t *data; size_t bytes; } zo_map;
zo_status zo_map_open(zo_map *map, const char *path, zo_err *err);
void zo_map_close(zo_map *map);

/* Write `bytes` bytes to `path` through a temporary file in the same folder and rename(), so no half-written file is ever seen. */
zo_status zo_write_file(const char *path, const void *data, size_t bytes, zo_err *err);

bool zo_path_exists(const char *path);
bool zo_path_is_dir(const char *path);
zo_status zo_make_dirs(const char *path, zo_err *err); /* mkdir -p */
zo_status zo_make_parent(const char *path, zo_err *err); /* the folders above a file that is to be written */
/* "a/b": writes into out (of `size` bytes) and returns out; dies when it does not fit 4096 */
char *zo_path_join(char *out, size_t size, const char *folder, const char *name);

/* Where a file or folder that comes with the program is ("plots", "paper_configs/smoke"): under $ZO_SHARE when that is set, else
 * in the tree that this program was built in, else in PREFIX/share/zo beside PREFIX/bin. The error names the places. */
zo_status zo_share_find(const char *name, char *out, size_t size, zo_err *err);

/* SHA-free content hash: 64-bit FNV-1a, chained through `hash` (start with ZO_FNV_START). */
#define ZO_FNV_START 0xcbf29ce484222325ull
uint64_t zo_fnv1a(uint64_t hash, const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
