/* fetch.h: a model or data set from a hub-shaped server into the cache as huggingface_hub lays it out, where zo_hub_find and Python's libraries find it:
 *
 *   models--org--name/blobs/CHECKSUM               each file once; CHECKSUM.incomplete while it is fetched, which the next try goes on with
 *                     snapshots/COMMIT/FILE        links to them
 *                     refs/main                    COMMIT; written last, so that what is not whole is found by nobody
 *
 * The server is HF_ENDPOINT (https://huggingface.co); the token HF_TOKEN, or the first word of the file HF_TOKEN_PATH, else of
 * HF_HOME/token (~/.cache/huggingface/token).
 * Lists, names, sizes and checksums of a server are not trusted: names cannot leave the folder, and each file must have the length and the checksum
 * that the server has named before (SHA-256 of large files, git's SHA-1 of others). */
#ifndef ZO_MODELS_FILES_FETCH_H
#define ZO_MODELS_FILES_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_fetch {
    const char *name;                /* "org/name" or "name" */
    bool (*reads)(const char *file); /* a data set: which of its files are fetched; NULL: a model, of which config.json, weights of one format and the tokenizer's */
    /* Called when a file has begun (had bytes are there already), has come further, and is whole (had == bytes). NULL: nobody is told. */
    void (*say)(void *context, const char *file, uint64_t had, uint64_t bytes);
    void *context;
} zo_fetch;

/* ZO_OK: `folder` is the snapshot. ZO_EINPUT for a name or setting that is wrong, ZO_EUNSUPPORTED for a model that zo has no family for (before its weights are
 * fetched) and a data set without a file that zo reads, ZO_EIO for everything that the server or the disk does. */
zo_status zo_fetch_files(const zo_fetch *fetch, char folder[4096], zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
