/* http.c: see http.h. */
#include "models/files/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

enum { HOPS_MOST = 6, ORIGIN_BYTES = 300, TOKEN_MOST = 4000, QUIET_SECONDS = 60, CONNECT_SECONDS = 30 };

/* What is used of libcurl. */
typedef struct library {
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *);
    void (*easy_reset)(CURL *);
    CURLcode (*easy_setopt)(CURL *, CURLoption, ...);
    CURLcode (*easy_perform)(CURL *);
    CURLcode (*easy_getinfo)(CURL *, CURLINFO, ...);
    const char *(*easy_strerror)(CURLcode);
    struct curl_slist *(*slist_append)(struct curl_slist *, const char *);
    void (*slist_free_all)(struct curl_slist *);
    CURLU *(*url)(void);
    void (*url_cleanup)(CURLU *);
    CURLUcode (*url_set)(CURLU *, CURLUPart, const char *, unsigned);
    CURLUcode (*url_get)(CURLU *, CURLUPart, char **, unsigned);
    void (*free_text)(void *);
} library;

struct zo_http {
    const library *curl;
    CURL *easy;
    char *base, *token;
    char origin[ORIGIN_BYTES];
};

/* One reply on its way. */
typedef struct transfer {
    zo_http_reply *reply;
    bool own;    /* of the base server */
    bool linked; /* the reply's tag is the file's own, whatever a later hop says of itself */
    bool stopped;
    zo_http_sink sink;
    void *context;
} transfer;

/* NULL where the machine has none. It stays loaded. */
static const library *load(void)
{
    static library l;
    static const struct { const char *name; void *at; } of[] = {
        {"curl_easy_init", &l.easy_init},         {"curl_easy_cleanup", &l.easy_cleanup},     {"curl_easy_reset", &l.easy_reset},
        {"curl_easy_setopt", &l.easy_setopt},     {"curl_easy_perform", &l.easy_perform},     {"curl_easy_getinfo", &l.easy_getinfo},
        {"curl_easy_strerror", &l.easy_strerror}, {"curl_slist_append", &l.slist_append},     {"curl_slist_free_all", &l.slist_free_all},
        {"curl_url", &l.url},                     {"curl_url_cleanup", &l.url_cleanup},       {"curl_url_set", &l.url_set},
        {"curl_url_get", &l.url_get},             {"curl_free", &l.free_text}};
    void *file = l.easy_init == NULL ? dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL) : NULL;
    for (size_t i = 0; file != NULL && i < sizeof of / sizeof *of; i++) {
        void *symbol = dlsym(file, of[i].name);
        if (symbol == NULL) {
            l.easy_init = NULL;
            return NULL;
        }
        memcpy(of[i].at, &symbol, sizeof symbol); /* a pointer to data is not one to a function in C */
    }
    return l.easy_init != NULL ? &l : NULL;
}

/* "https://host:443" of an address; false where it is none of http or https, or has a user in it. */
static bool read_origin(const library *l, const char *address, char origin[ORIGIN_BYTES])
{
    char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL;
    CURLU *u = l->url();
    bool good = u != NULL && l->url_set(u, CURLUPART_URL, address, 0) == CURLUE_OK && l->url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                l->url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && l->url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                l->url_get(u, CURLUPART_USER, &user, 0) != CURLUE_OK && (strcmp(scheme, "https") == 0 || strcmp(scheme, "http") == 0) &&
                snprintf(origin, ORIGIN_BYTES, "%s://%s:%s", scheme, host, port) < ORIGIN_BYTES;
    for (char *c = origin; good && *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    l->free_text(scheme);
    l->free_text(host);
    l->free_text(port);
    l->free_text(user);
    l->url_cleanup(u);
    return good;
}

zo_status zo_http_open(zo_http **http, const char *base, const char *token, zo_err *err)
{
    char origin[ORIGIN_BYTES];
    const library *l = load();
    if (l == NULL) {
        return zo_fail(err, ZO_EUNSUPPORTED, "this machine has no libcurl.so.4, by which files are fetched; install it (Debian: libcurl4), or fetch the files another way");
    }
    if (!read_origin(l, base, origin) || strpbrk(base, "?#") != NULL) {
        return zo_fail(err, ZO_EINPUT, "the server's address is none; expected one like https://huggingface.co, without user and query, in HF_ENDPOINT");
    }
    for (const char *c = token != NULL ? token : ""; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || c - token > TOKEN_MOST) {
            return zo_fail(err, ZO_EINPUT, "the token (HF_TOKEN or its file) is not one word of letters, digits and signs; give it as the server has shown it");
        }
    }
    zo_http *h = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *h);
    *h = (zo_http){.curl = l, .easy = l->easy_init(), .base = zo_strdup(ZO_TAG_OTHER, base)};
    for (size_t n = strlen(h->base); n > 0 && h->base[n - 1] == '/';) {
        h->base[--n] = '\0';
    }
    memcpy(h->origin, origin, sizeof origin);
    if (token != NULL && token[0] != '\0') {
        h->token = zo_strdup(ZO_TAG_OTHER, token);
    }
    if (h->easy == NULL) {
        zo_http_close(h);
        return zo_fail(err, ZO_EIO, "libcurl cannot begin");
    }
    *http = h;
    return ZO_OK;
}

void zo_http_close(zo_http *http)
{
    if (http == NULL) {
        return;
    }
    if (http->easy != NULL) {
        http->curl->easy_cleanup(http->easy);
    }
    zo_free(http->base);
    zo_free(http->token);
    zo_free(http);
}

const char *zo_http_host(const zo_http *http)
{
    return http->origin;
}

bool zo_http_has_token(const zo_http *http)
{
    return http->token != NULL;
}

/* A whole number of at most 18 digits, or -1. */
static int64_t number_of(const char *text)
{
    int64_t value = -1;
    for (int digits = 0; *text >= '0' && *text <= '9'; text++, digits++) {
        if (digits == 18) {
            return -1;
        }
        value = (value < 0 ? 0 : value) * 10 + (*text - '0');
    }
    return value;
}

/* "W/\"abc\"" -> abc; what is too long is left out. */
static void read_etag(char out[136], const char *value)
{
    value += strncmp(value, "W/", 2) == 0 ? 2 : 0;
    value += *value == '"';
    size_t n = strcspn(value, "\"");
    if (n < 136) {
        memcpy(out, value, n);
        out[n] = '\0';
    }
}

static size_t take_header(char *line, size_t size, size_t n, void *context)
{
    transfer *t = context;
    zo_http_reply *r = t->reply;
    char text[1000];
    size_t bytes = size * n, length = bytes < sizeof text - 1 ? bytes : sizeof text - 1;
    memcpy(text, line, length);
    text[length] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    char *value = strchr(text, ':');
    if (value == NULL) {
        return bytes;
    }
    *value++ = '\0';
    value += strspn(value, " \t");
    if (t->own && strcasecmp(text, "x-linked-etag") == 0) {
        r->etag[0] = '\0';
        read_etag(r->etag, value);
        t->linked = true;
    } else if (t->own && strcasecmp(text, "etag") == 0 && !t->linked) {
        r->etag[0] = '\0';
        read_etag(r->etag, value);
    } else if (t->own && strcasecmp(text, "x-linked-size") == 0) {
        r->linked_bytes = number_of(value);
    } else if (strcasecmp(text, "content-length") == 0) {
        r->body_bytes = number_of(value);
    } else if (strcasecmp(text, "content-range") == 0 && strncasecmp(value, "bytes ", 6) == 0) {
        const char *of = strchr(value, '/');
        r->first = number_of(value + 6);
        r->of_bytes = of != NULL ? number_of(of + 1) : -1;
    }
    return bytes;
}

static size_t take_body(char *data, size_t size, size_t n, void *context)
{
    transfer *t = context;
    if (t->sink == NULL || (t->reply->status != 200 && t->reply->status != 206)) {
        return size * n; /* what an error's page says */
    }
    t->stopped = !t->sink(t->context, t->reply, (const uint8_t *)data, size * n);
    return t->stopped ? 0 : size * n;
}

/* The status is wanted before the body. */
static size_t take_status(char *line, size_t size, size_t n, void *context)
{
    transfer *t = context;
    if (size * n > 5 && strncmp(line, "HTTP/", 5) == 0) {
        const char *space = memchr(line, ' ', size * n);
        t->reply->status = space != NULL && space + 3 < line + size * n ? (int)number_of(space + 1) : 0;
        t->reply->body_bytes = t->reply->first = t->reply->of_bytes = -1;
        return size * n;
    }
    return take_header(line, size, n, context);
}

/* One request. *next: the absolute address of a redirect, zo_free, or NULL. */
static zo_status request(zo_http *h, const char *address, const char *origin, int64_t first, transfer *t, char **next, zo_err *err)
{
    const library *l = h->curl;
    char range[40], *header = NULL;
    struct curl_slist *list = l->slist_append(NULL, "Accept-Encoding: identity");
    t->own = strcmp(origin, h->origin) == 0;
    if (t->own && !t->linked) {
        t->reply->etag[0] = '\0';
    }
    if (t->own && h->token != NULL) {
        size_t room = strlen(h->token) + 40;
        header = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room);
        snprintf(header, room, "Authorization: Bearer %s", h->token);
        list = l->slist_append(list, header);
    }
    l->easy_reset(h->easy);
    l->easy_setopt(h->easy, CURLOPT_URL, address);
    l->easy_setopt(h->easy, CURLOPT_HTTPHEADER, list);
    l->easy_setopt(h->easy, CURLOPT_USERAGENT, "zo");
    l->easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
    l->easy_setopt(h->easy, CURLOPT_NOBODY, t->sink == NULL ? 1L : 0L);
    l->easy_setopt(h->easy, CURLOPT_FOLLOWLOCATION, 0L);
    l->easy_setopt(h->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    l->easy_setopt(h->easy, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    l->easy_setopt(h->easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    l->easy_setopt(h->easy, CURLOPT_LOW_SPEED_TIME, (long)QUIET_SECONDS);
    l->easy_setopt(h->easy, CURLOPT_HEADERFUNCTION, take_status);
    l->easy_setopt(h->easy, CURLOPT_HEADERDATA, t);
    l->easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, take_body);
    l->easy_setopt(h->easy, CURLOPT_WRITEDATA, t);
    if (first > 0) {
        snprintf(range, sizeof range, "%lld-", (long long)first);
        l->easy_setopt(h->easy, CURLOPT_RANGE, range);
    }
    CURLcode code = l->easy_perform(h->easy);
    char *redirect = NULL;
    *next = NULL;
    if (code == CURLE_OK && l->easy_getinfo(h->easy, CURLINFO_REDIRECT_URL, &redirect) == CURLE_OK && redirect != NULL) {
        *next = zo_strdup(ZO_TAG_OTHER, redirect);
    }
    l->slist_free_all(list);
    zo_free(header);
    if (code == CURLE_OK || t->stopped) {
        return ZO_OK;
    }
    t->reply->cut = true;
    return zo_fail(err, ZO_EIO, "%s: %s", origin, l->easy_strerror(code));
}

zo_status zo_http_get(zo_http *http, const char *path, int64_t first, zo_http_sink sink, void *context, zo_http_reply *reply, zo_err *err)
{
    *reply = (zo_http_reply){.linked_bytes = -1, .body_bytes = -1, .first = -1, .of_bytes = -1};
    transfer t = {.reply = reply, .sink = sink, .context = context};
    size_t room = strlen(http->base) + strlen(path) + 1;
    char *address = zo_alloc(ZO_HOST, ZO_TAG_OTHER, room), *next = NULL, origin[ORIGIN_BYTES];
    snprintf(address, room, "%s%s", http->base, path);
    zo_status status = ZO_OK;
    for (int hop = 0; status == ZO_OK && address != NULL; hop++) {
        if (hop == HOPS_MOST) {
            status = zo_fail(err, ZO_EIO, "%s: redirects more than %d times; try another HF_ENDPOINT", http->origin, HOPS_MOST - 1);
        } else if (!read_origin(http->curl, address, origin) || (strncmp(http->origin, "https:", 6) == 0 && strncmp(origin, "https:", 6) != 0)) {
            status = zo_fail(err, ZO_EIO, "%s: redirects to an address that is not %s; nothing is fetched from there", http->origin,
                             strncmp(http->origin, "https:", 6) == 0 ? "https" : "http or https");
        } else if (sink == NULL && strcmp(origin, http->origin) != 0) {
            break; /* the base server has said what it knows */
        } else {
            status = request(http, address, origin, first, &t, &next, err);
            zo_free(address);
            address = next;
            next = NULL;
        }
    }
    zo_free(address);
    return status;
}
