/* http.h: getting a file from a web server, by libcurl, which is loaded when it is first wanted: no run of a model has it in memory. Redirects are followed
 * here, one by one, so that the token goes to the server that it is for (scheme, host and port of the base), and to no other. Neither the token
 * nor the query of an address, which may sign it, stands in a message. Private to models/files/. */
#ifndef ZO_MODELS_FILES_HTTP_H
#define ZO_MODELS_FILES_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_http zo_http;

/* base: "https://huggingface.co"; token: NULL or its text, copied. ZO_EINPUT for a base that is no http(s) address or has a user in it, and for a token that
 * is no word; ZO_EUNSUPPORTED where the machine has no libcurl. */
zo_status zo_http_open(zo_http **http, const char *base, const char *token, zo_err *err);
void zo_http_close(zo_http *http); /* NULL is allowed */

/* Texts are empty where a server does not send them, numbers -1. */
typedef struct zo_http_reply {
    int status;              /* of the last reply: 200, 206, 404, ... */
    char etag[136];          /* of the base server: X-Linked-Etag, else ETag; without quotes */
    int64_t linked_bytes;    /* X-Linked-Size of the base server */
    int64_t body_bytes;      /* Content-Length of the last reply */
    int64_t first, of_bytes; /* Content-Range of the last reply: its first byte, and the whole file's */
    bool cut;                /* the connection failed or ended early: asking again may help */
} zo_http_reply;

/* Takes n bytes of a body whose status is 200 or 206; false ends the transfer. */
typedef bool (*zo_http_sink)(void *context, const zo_http_reply *reply, const uint8_t *data, size_t n);

/* path, an absolute one with its query, of the base server; bytes from `first` on (0: all). sink NULL asks for the headers alone, and does
 * not go to another server for them. ZO_OK with any status, ZO_EIO where no whole reply came, with reply->cut. */
zo_status zo_http_get(zo_http *http, const char *path, int64_t first, zo_http_sink sink, void *context, zo_http_reply *reply, zo_err *err);
const char *zo_http_host(const zo_http *http);    /* "https://huggingface.co:443" */
bool zo_http_has_token(const zo_http *http);

#ifdef __cplusplus
}
#endif
#endif
