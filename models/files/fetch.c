/* fetch.c: see fetch.h. What is asked of the server:
 *
 *   GET  /api/models/NAME/revision/main?blobs=true   the commit, and of each file its name, size and checksums ("datasets" for data sets)
 *   HEAD /NAME/resolve/COMMIT/FILE                    the file's checksum (X-Linked-Etag, ETag) and size (X-Linked-Size), which must be those of the list
 *   GET  the same                                     its bytes, perhaps from another server, by redirects (http.h); with Range after a cut */
#include "models/files/fetch.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "models/files/http.h"
#include "models/files/hub.h"
#include "models/files/tensors.h"
#include "text/tokenizer.h"

#define LIST_MOST_BYTES ((size_t)64 << 20)
#define FILES_MOST 10000
#define NAME_MOST 240
enum { SUM_BYTES = 65, TRIES_IN_VAIN = 5, PAUSE_MS = 250 };

typedef struct file {
    char name[NAME_MOST + 1];
    char sum[SUM_BYTES]; /* 64 hex digits: SHA-256; 40: git's SHA-1; "": not on the list */
    int64_t bytes;       /* -1: not on the list */
} file;

typedef struct getting {
    const zo_fetch *fetch;
    const char *kind; /* "model", "dataset" */
    zo_http *http;
    char repository[2600];
    char commit[SUM_BYTES];
    file *list; /* (files) what the server has */
    int files, *chosen, n; /* chosen (n): what is fetched */
    zo_err *err;
} getting;

/* ---- settings ------------------------------------------------------------------------------------------------------------------ */

/* The token, zo_free, or NULL. */
static char *read_token(void)
{
    static const struct { const char *variable, *below; } places[] = {{"HF_TOKEN_PATH", ""},
                                                                       {"HF_HOME", "/token"},
                                                                       {"XDG_CACHE_HOME", "/huggingface/token"},
                                                                       {"HOME", "/.cache/huggingface/token"}};
    const char *word = getenv("HF_TOKEN");
    char path[4096], *text = NULL;
    size_t bytes;
    if (word == NULL || word[0] == '\0') {
        const char *folder = NULL;
        size_t i = 0;
        while (i < sizeof places / sizeof *places && ((folder = getenv(places[i].variable)) == NULL || folder[0] == '\0')) {
            i++;
        }
        if (i == sizeof places / sizeof *places || snprintf(path, sizeof path, "%s%s", folder, places[i].below) >= (int)sizeof path || !zo_path_exists(path) ||
            zo_read_file(path, 1 << 16, &text, &bytes, NULL) != ZO_OK) {
            return NULL;
        }
        word = text;
    }
    word += strspn(word, " \t\r\n");
    size_t n = strcspn(word, " \t\r\n");
    char *token = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n + 1);
    memcpy(token, word, n);
    zo_free(text);
    if (n == 0) {
        zo_free(token);
        return NULL;
    }
    return token;
}

static zo_status open_server(getting *g)
{
    const char *base = getenv("HF_ENDPOINT"), *offline = getenv("HF_HUB_OFFLINE");
    if (offline != NULL && offline[0] != '\0' && strcmp(offline, "0") != 0) {
        return zo_fail(g->err, ZO_EINPUT, "HF_HUB_OFFLINE is set, so nothing is fetched; unset it");
    }
    char *token = read_token();
    zo_status status = zo_http_open(&g->http, base != NULL && base[0] != '\0' ? base : "https://huggingface.co", token, g->err);
    zo_free(token);
    return status;
}

/* ---- what the server has -------------------------------------------------------------------------------------------------------- */

static bool is_hex(const char *text, size_t n)
{
    return strlen(text) == n && strspn(text, "0123456789abcdef") == n;
}

static bool is_sum(const char *text)
{
    return is_hex(text, 40) || is_hex(text, 64);
}

/* A relative path whose parts are names, so that it stays below a folder, and can be shown. */
static bool is_safe(const char *name)
{
    size_t part = 0;
    for (const char *c = name;; c++) {
        if (*c == '/' || *c == '\0') {
            const char *begin = c - part;
            if (part == 0 || (begin[0] == '.' && (part == 1 || (part == 2 && begin[1] == '.')))) {
                return false;
            }
            part = 0;
            if (*c == '\0') {
                return c - name <= NAME_MOST;
            }
            continue;
        }
        if ((unsigned char)*c < ' ' || *c == 0x7f || *c == '\\') {
            return false;
        }
        part++;
    }
}

/* What a status other than success means. */
static zo_status fail_status(const getting *g, int status, const char *what)
{
    const char *host = zo_http_host(g->http), *name = g->fetch->name;
    bool token = zo_http_has_token(g->http);
    if (status == 401 || status == 403) {
        return zo_fail(g->err, ZO_EIO, "%s: gives %s %s to nobody without permission (HTTP %d)%s; %s", host, g->kind, name, status,
                       token ? ", and the token that it got does not help" : ", or has none of that name",
                       token ? "ask for access on its page there, or give another token in HF_TOKEN" : "look at the name, and give a token in HF_TOKEN");
    }
    if (status == 404) {
        return zo_fail(g->err, ZO_EIO, "%s: has no %s of %s %s (HTTP 404); expected a name such as %s", host, what, g->kind, name,
                       g->fetch->reads != NULL ? "datasets/SetFit/sst2" : "facebook/opt-125m; a data set is datasets/NAME");
    }
    return zo_fail(g->err, ZO_EIO, "%s: answers HTTP %d for the %s of %s %s; try again later, or another HF_ENDPOINT", host, status, what, g->kind, name);
}

typedef struct text { char *data; size_t bytes; } text;

static bool take_text(void *context, const zo_http_reply *reply, const uint8_t *data, size_t n)
{
    (void)reply;
    text *t = context;
    if (n > LIST_MOST_BYTES - t->bytes) {
        return false;
    }
    t->data = zo_realloc(t->data, ZO_HOST, ZO_TAG_DATA, t->bytes + n + 1);
    memcpy(t->data + t->bytes, data, n);
    t->bytes += n;
    return true;
}

static zo_status fail_list(const getting *g, const char *what)
{
    return zo_fail(g->err, ZO_EIO, "%s: its list of %s %s %s; is HF_ENDPOINT a hub?", zo_http_host(g->http), g->kind, g->fetch->name, what);
}

/* One entry: {"rfilename": .., "size": .., "blobId": .., "lfs": {"sha256": .., "size": ..}}, of which the name must be there. */
static zo_status read_entry(const getting *g, const cJSON *item, file *f)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(item, "rfilename"), *lfs = cJSON_GetObjectItemCaseSensitive(item, "lfs");
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(cJSON_IsObject(lfs) ? lfs : item, "size");
    const cJSON *sum = cJSON_IsObject(lfs) ? cJSON_GetObjectItemCaseSensitive(lfs, "sha256") : cJSON_GetObjectItemCaseSensitive(item, "blobId");
    if (!cJSON_IsString(name)) {
        return fail_list(g, "has a file without a name");
    }
    if (!is_safe(name->valuestring)) {
        return zo_fail(g->err, ZO_EIO, "%s: its list of %s %s has the file name \"%.100s\", which would leave the folder or cannot be shown; nothing is fetched",
                       zo_http_host(g->http), g->kind, g->fetch->name, name->valuestring);
    }
    *f = (file){.bytes = -1};
    snprintf(f->name, sizeof f->name, "%s", name->valuestring);
    if (cJSON_IsNumber(size) && size->valuedouble >= 0 && size->valuedouble < 9e15) {
        f->bytes = (int64_t)size->valuedouble;
    }
    if (cJSON_IsString(sum) && is_sum(sum->valuestring)) {
        snprintf(f->sum, sizeof f->sum, "%s", sum->valuestring);
    }
    return ZO_OK;
}

static zo_status read_list(getting *g)
{
    char path[700];
    text t = {0};
    zo_http_reply reply;
    snprintf(path, sizeof path, "/api/%ss/%s/revision/main?blobs=true", g->kind, g->fetch->name);
    zo_status status = zo_http_get(g->http, path, 0, take_text, &t, &reply, g->err);
    if (status == ZO_OK && reply.status != 200) {
        status = fail_status(g, reply.status, "list");
    }
    cJSON *json = NULL;
    if (status == ZO_OK && (t.data == NULL || zo_json_parse(t.data, t.bytes, path, &json, NULL) != ZO_OK)) {
        status = fail_list(g, "is no JSON, or too long");
    }
    zo_free(t.data);
    const cJSON *sha = cJSON_GetObjectItemCaseSensitive(json, "sha"), *files = cJSON_GetObjectItemCaseSensitive(json, "siblings"), *item;
    if (status == ZO_OK && (!cJSON_IsString(sha) || !is_hex(sha->valuestring, 40) || !cJSON_IsArray(files) || cJSON_GetArraySize(files) > FILES_MOST)) {
        status = fail_list(g, "has no commit in 40 hexadecimal digits (sha), or no files (siblings)");
    }
    if (status == ZO_OK) {
        snprintf(g->commit, sizeof g->commit, "%s", sha->valuestring);
        g->list = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)cJSON_GetArraySize(files) * sizeof *g->list);
        g->chosen = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)cJSON_GetArraySize(files) * sizeof *g->chosen);
        cJSON_ArrayForEach(item, files)
        {
            status = status == ZO_OK ? read_entry(g, item, &g->list[g->files]) : status;
            g->files += status == ZO_OK;
        }
    }
    cJSON_Delete(json);
    return status;
}

static int find(const getting *g, const char *name)
{
    for (int i = 0; i < g->files; i++) {
        if (strcmp(g->list[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

static void choose(getting *g, int i)
{
    for (int k = 0; k < g->n; k++) {
        if (g->chosen[k] == i) {
            return;
        }
    }
    g->chosen[g->n++] = i;
}

/* ---- one file ------------------------------------------------------------------------------------------------------------------ */

/* A place of the cache. */
static const char *place(const getting *g, const char *folder, const char *name, char out[4096])
{
    ZO_CHECK(snprintf(out, 4096, "%s/%s/%s", g->repository, folder, name) < 4096, "a path of the cache is longer than 4096");
    return out;
}

static void file_path(const getting *g, const file *f, char out[1400])
{
    int used = snprintf(out, 1400, "%s/%s/resolve/%s/", g->fetch->reads != NULL ? "/datasets" : "", g->fetch->name, g->commit);
    for (const char *c = f->name; *c != '\0'; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr("-_.~/", *c) != NULL;
        used += snprintf(out + used, (size_t)(1400 - used), plain ? "%c" : "%%%02X", (unsigned char)*c);
    }
}

/* Sum and size by the file's own headers; what the list says too must be the same. */
static zo_status ask_about(getting *g, file *f)
{
    char path[1400];
    zo_http_reply reply;
    file_path(g, f, path);
    zo_status status = zo_http_get(g->http, path, 0, NULL, NULL, &reply, g->err);
    if (status != ZO_OK) {
        return status;
    }
    if (reply.status != 200 && (reply.status < 300 || reply.status > 399)) {
        return fail_status(g, reply.status, f->name);
    }
    int64_t bytes = reply.linked_bytes >= 0 ? reply.linked_bytes : reply.status == 200 ? reply.body_bytes : -1;
    const char *sum = is_sum(reply.etag) ? reply.etag : f->sum;
    if ((f->sum[0] != '\0' && strcmp(sum, f->sum) != 0) || (f->bytes >= 0 && bytes >= 0 && bytes != f->bytes)) {
        return zo_fail(g->err, ZO_EIO, "%s: says two checksums or sizes of %s; it has changed meanwhile, try again", zo_http_host(g->http), f->name);
    }
    if (sum[0] == '\0') {
        return zo_fail(g->err, ZO_EIO, "%s: names no checksum of %s (ETag, X-Linked-Etag); expected SHA-256 or git's SHA-1, without which nothing is kept",
                       zo_http_host(g->http), f->name);
    }
    memmove(f->sum, sum, strlen(sum) + 1);
    f->bytes = f->bytes >= 0 ? f->bytes : bytes;
    return f->bytes >= 0 ? ZO_OK : zo_fail(g->err, ZO_EIO, "%s: does not say how long %s is", zo_http_host(g->http), f->name);
}

typedef struct writing {
    const getting *g;
    const file *f;
    FILE *out;
    int64_t had;
    bool begun, full; /* full: the disk, or a limit */
    const char *wrong; /* what the server did, or NULL */
} writing;

/* Bytes of the body behind those that are there; all from the start where the server knows no ranges. */
static bool take_piece(void *context, const zo_http_reply *reply, const uint8_t *data, size_t n)
{
    writing *w = context;
    if (!w->begun) {
        w->begun = true;
        if (reply->status == 206 && (reply->first != w->had || (reply->of_bytes >= 0 && reply->of_bytes != w->f->bytes))) {
            w->wrong = "sends another part than it was asked for";
            return false;
        }
        if (reply->status == 200 && w->had > 0) {
            w->had = 0;
            if (fflush(w->out) != 0 || ftruncate(fileno(w->out), 0) != 0 || fseek(w->out, 0, SEEK_SET) != 0) {
                w->full = true;
                return false;
            }
        }
        if (reply->body_bytes >= 0 && reply->body_bytes != w->f->bytes - w->had) {
            w->wrong = "sends another number of bytes than it has named";
            return false;
        }
    }
    if ((int64_t)n > w->f->bytes - w->had) {
        w->wrong = "sends more bytes than it has named";
        return false;
    }
    if (fwrite(data, 1, n, w->out) != n) {
        w->full = true;
        return false;
    }
    w->had += (int64_t)n;
    if (w->g->fetch->say != NULL && w->had < w->f->bytes) {
        w->g->fetch->say(w->g->fetch->context, w->f->name, (uint64_t)w->had, (uint64_t)w->f->bytes);
    }
    return true;
}

/* Goes on until the file is there: a cut that brought bytes counts anew. */
static zo_status take_all(writing *w)
{
    const getting *g = w->g;
    char path[1400];
    zo_http_reply reply;
    file_path(g, w->f, path);
    for (int vain = 0; w->had < w->f->bytes;) {
        int64_t before = w->had;
        w->begun = false;
        zo_status status = zo_http_get(g->http, path, w->had, take_piece, w, &reply, g->err);
        if (w->full) {
            return zo_fail(g->err, ZO_EIO, "%s: %s cannot be written: %s", g->repository, w->f->name, strerror(errno));
        }
        if (w->wrong != NULL) {
            return zo_fail(g->err, ZO_EIO, "%s: %s of %s; expected %lld bytes, so nothing of it is kept", zo_http_host(g->http), w->wrong, w->f->name,
                           (long long)w->f->bytes);
        }
        bool busy = status == ZO_OK && (reply.status == 429 || reply.status >= 500);
        if (status == ZO_OK && !busy && reply.status != 200 && reply.status != 206) {
            return fail_status(g, reply.status, w->f->name);
        }
        if (w->had == w->f->bytes) {
            break;
        }
        vain = w->had > before ? 0 : vain + 1;
        if (vain == TRIES_IN_VAIN) {
            return busy ? fail_status(g, reply.status, w->f->name)
                        : zo_fail(g->err, ZO_EIO, "%s: %s broke off at byte %lld of %lld, and %d tries brought no more; the same command goes on from there",
                                  zo_http_host(g->http), w->f->name, (long long)w->had, (long long)w->f->bytes, TRIES_IN_VAIN);
        }
        if (vain > 0) {
            long ms = (long)PAUSE_MS << (vain - 1);
            nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
        }
    }
    return ZO_OK;
}

static void hex_of(const uint8_t *digest, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        snprintf(out + 2 * i, 3, "%02x", digest[i]);
    }
}

/* The sum of a written file in the form of `like`: SHA-256, or SHA-1 of "blob SIZE", a zero byte and the contents, as git has it. */
static bool sum_of(const char *path, const char *like, int64_t bytes, char out[SUM_BYTES])
{
    struct sha1_ctx one;
    struct sha256_ctx two;
    char head[40];
    int n = snprintf(head, sizeof head, "blob %lld", (long long)bytes) + 1;
    sha1_init(&one);
    sha256_init(&two);
    sha1_update(&one, (size_t)n, (const uint8_t *)head);
    bool large = strlen(like) == 64;
    FILE *in = fopen(path, "rb");
    uint8_t *piece = zo_alloc(ZO_HOST, ZO_TAG_DATA, 1 << 16), digest[SHA256_DIGEST_SIZE];
    for (size_t got = 1; in != NULL && got > 0;) {
        got = fread(piece, 1, 1 << 16, in);
        large ? sha256_update(&two, got, piece) : sha1_update(&one, got, piece);
    }
    bool good = in != NULL && ferror(in) == 0;
    if (in != NULL) {
        fclose(in);
    }
    zo_free(piece);
    if (large) {
        sha256_digest(&two, SHA256_DIGEST_SIZE, digest);
    } else {
        sha1_digest(&one, SHA1_DIGEST_SIZE, digest);
    }
    hex_of(digest, large ? SHA256_DIGEST_SIZE : SHA1_DIGEST_SIZE, out);
    return good;
}

/* Into blobs/SUM, unless it is there. */
static zo_status fetch_blob(getting *g, file *f)
{
    char blob[4096], part[4096 + 16], made[SUM_BYTES];
    zo_status status = ask_about(g, f);
    if (status != ZO_OK) {
        return status;
    }
    place(g, "blobs", f->sum, blob);
    struct stat there;
    if (g->fetch->say != NULL) {
        g->fetch->say(g->fetch->context, f->name, stat(blob, &there) == 0 ? (uint64_t)f->bytes : 0, (uint64_t)f->bytes);
    }
    if (stat(blob, &there) == 0 && there.st_size == f->bytes) {
        return ZO_OK; /* under this name since its sum was looked at */
    }
    snprintf(part, sizeof part, "%s.incomplete", blob);
    int fd = open(part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    FILE *out = fd >= 0 ? fdopen(fd, "r+b") : NULL;
    if (out == NULL) {
        return zo_fail(g->err, ZO_EIO, "%s: cannot be written: %s", part, strerror(errno));
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        fclose(out);
        return zo_fail(g->err, ZO_EIO, "%s: another command is fetching %s; wait until it is done", g->repository, f->name);
    }
    writing w = {.g = g, .f = f, .out = out};
    if (fstat(fd, &there) == 0 && there.st_size <= f->bytes) {
        w.had = there.st_size;
    }
    bool good = ftruncate(fd, (off_t)w.had) == 0 && fseek(out, (long)w.had, SEEK_SET) == 0;
    status = good ? take_all(&w) : zo_fail(g->err, ZO_EIO, "%s: cannot be written: %s", part, strerror(errno));
    if (fflush(out) != 0 && status == ZO_OK) {
        status = zo_fail(g->err, ZO_EIO, "%s: cannot be written: %s", part, strerror(errno));
    }
    if (status == ZO_OK && (!sum_of(part, f->sum, f->bytes, made) || strcmp(made, f->sum) != 0)) {
        w.wrong = "";
        status = zo_fail(g->err, ZO_EIO, "%s: %s of %s %s has the checksum %.16s.. and the server has named %.16s..; nothing of it is kept, try again",
                         zo_http_host(g->http), f->name, g->kind, g->fetch->name, made, f->sum);
    }
    if (status == ZO_OK && rename(part, blob) != 0) {
        status = zo_fail(g->err, ZO_EIO, "%s: cannot be written: %s", blob, strerror(errno));
    }
    if (w.wrong != NULL) {
        remove(part);
    }
    fclose(out);
    if (status == ZO_OK && g->fetch->say != NULL) {
        g->fetch->say(g->fetch->context, f->name, (uint64_t)f->bytes, (uint64_t)f->bytes);
    }
    return status;
}

/* ---- a model's files ------------------------------------------------------------------------------------------------------------ */

/* A fetched file's JSON. */
static zo_status read_blob(const getting *g, const file *f, cJSON **json)
{
    char path[4096];
    zo_status status = zo_json_read(place(g, "blobs", f->sum, path), json, NULL);
    return status == ZO_OK ? ZO_OK : zo_fail(g->err, ZO_EIO, "%s: %s of model %s is no JSON; nothing more is fetched", zo_http_host(g->http), f->name, g->fetch->name);
}

/* The files that an index names. */
static zo_status choose_shards(getting *g, int index)
{
    cJSON *json = NULL;
    zo_status status = fetch_blob(g, &g->list[index]);
    status = status == ZO_OK ? read_blob(g, &g->list[index], &json) : status;
    const cJSON *map = cJSON_GetObjectItemCaseSensitive(json, "weight_map"), *item;
    if (status == ZO_OK && !cJSON_IsObject(map)) {
        status = zo_fail(g->err, ZO_EIO, "%s: %s of model %s has no object \"weight_map\"; nothing more is fetched", zo_http_host(g->http), g->list[index].name,
                         g->fetch->name);
    }
    for (item = status == ZO_OK ? map->child : NULL; item != NULL; item = item->next) {
        const char *name = cJSON_IsString(item) ? item->valuestring : "";
        int i = find(g, name);
        if (i < 0 || strchr(name, '/') != NULL) {
            status = zo_fail(g->err, ZO_EIO, "%s: %s of model %s names the file \"%.100s\", which is not beside it; nothing more is fetched", zo_http_host(g->http),
                             g->list[index].name, g->fetch->name, name);
            break;
        }
        choose(g, i);
    }
    cJSON_Delete(json);
    return status;
}

/* config.json comes first: what zo has no family for is refused before its weights are fetched. */
static zo_status choose_model(getting *g)
{
    int config = find(g, "config.json");
    if (config < 0) {
        return zo_fail(g->err, ZO_EUNSUPPORTED, "%s: model %s has no config.json among its %d files, so it is no folder that zo reads%s", zo_http_host(g->http),
                       g->fetch->name, g->files, find(g, "adapter_config.json") >= 0 ? "; it is a PEFT adapter" : "");
    }
    cJSON *json = NULL;
    choose(g, config);
    zo_status status = fetch_blob(g, &g->list[config]);
    status = status == ZO_OK ? read_blob(g, &g->list[config], &json) : status;
    if (status == ZO_OK) {
        zo_arch *arch = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *arch);
        status = zo_arch_parse(json, "config.json", arch, g->err);
        zo_free(arch);
        if (status != ZO_OK) {
            zo_fail_in(g->err, g->fetch->name);
        }
    }
    cJSON_Delete(json);
    if (status != ZO_OK) {
        return status;
    }
    for (int i = 0; i < g->files; i++) {
        if (zo_tokenizer_reads(g->list[i].name)) {
            choose(g, i);
        }
    }
    for (int k = 0;; k++) {
        zo_tensors_format format = zo_tensors_format_at(k);
        if (format.single == NULL) {
            return zo_fail(g->err, ZO_EUNSUPPORTED, "%s: model %s has weights in no form that zo reads; expected %s or %s, whole or in pieces", zo_http_host(g->http),
                           g->fetch->name, zo_tensors_format_at(0).single, zo_tensors_format_at(1).single);
        }
        int single = find(g, format.single), index = find(g, format.index);
        if (single >= 0) {
            choose(g, single);
            return ZO_OK;
        }
        if (index >= 0) {
            choose(g, index);
            return choose_shards(g, index);
        }
    }
}

static zo_status choose_data(getting *g)
{
    bool parquet = false;
    for (int i = 0; i < g->files; i++) {
        size_t n = strlen(g->list[i].name);
        parquet = parquet || (n > 8 && strcmp(g->list[i].name + n - 8, ".parquet") == 0);
        if (g->fetch->reads(g->list[i].name)) {
            choose(g, i);
        }
    }
    return g->n > 0 ? ZO_OK
                    : zo_fail(g->err, ZO_EUNSUPPORTED, "%s: data set %s has no file that zo reads (tsv, csv, jsonl, json) among its %d%s", zo_http_host(g->http),
                              g->fetch->name, g->files,
                              parquet ? "; its parquet files become some by Python's datasets: load_dataset(NAME)[\"train\"].to_json(\"train.jsonl\")" : "");
}

/* ---- the snapshot -------------------------------------------------------------------------------------------------------------- */

static zo_status check_room(const getting *g)
{
    struct statvfs disk;
    double wanted = 0;
    for (int k = 0; k < g->n; k++) {
        const file *f = &g->list[g->chosen[k]];
        char blob[4096];
        struct stat there;
        bool known = f->sum[0] != '\0' && stat(place(g, "blobs", f->sum, blob), &there) == 0;
        wanted += !known && f->bytes > 0 ? (double)f->bytes : 0;
    }
    if (statvfs(g->repository, &disk) == 0 && (double)disk.f_bavail * (double)disk.f_frsize < wanted) {
        return zo_fail(g->err, ZO_EIO, "%s: %s %s takes %.1f MB more, and the disk has %.1f MB; make room, or set HF_HOME to another disk", g->repository, g->kind,
                       g->fetch->name, wanted / 1e6, (double)disk.f_bavail * (double)disk.f_frsize / 1e6);
    }
    return ZO_OK;
}

/* A link that takes the place of what is there. */
static zo_status link_file(const getting *g, const char *folder, const file *f)
{
    char path[4096], part[4096 + 40], target[1024];
    zo_path_join(path, sizeof path, folder, f->name);
    int up = 2, used = 0;
    for (const char *c = f->name; *c != '\0'; c++) {
        up += *c == '/';
    }
    for (; up > 0; up--) { /* NAME_MOST / 2 + 2 of them at most */
        used += snprintf(target + used, sizeof target - (size_t)used, "../");
    }
    snprintf(target + used, sizeof target - (size_t)used, "blobs/%s", f->sum);
    char *slash = strrchr(path, '/');
    *slash = '\0';
    zo_status status = zo_make_dirs(path, g->err);
    *slash = '/';
    snprintf(part, sizeof part, "%s.part.%ld", path, (long)getpid());
    remove(part);
    if (status == ZO_OK && (symlink(target, part) != 0 || rename(part, path) != 0)) {
        status = zo_fail(g->err, ZO_EIO, "%s: cannot be made a link: %s", path, strerror(errno));
        remove(part);
    }
    return status;
}

static zo_status make_folders(const getting *g)
{
    static const char *const below[] = {"blobs", "refs", "snapshots"};
    char path[4096];
    zo_status status = ZO_OK;
    for (int i = 0; i < 3 && status == ZO_OK; i++) {
        status = zo_make_dirs(zo_path_join(path, sizeof path, g->repository, below[i]), g->err);
    }
    return status;
}

static zo_status fetch_all(getting *g, char folder[4096])
{
    zo_status status = open_server(g);
    status = status == ZO_OK ? read_list(g) : status;
    status = status == ZO_OK ? make_folders(g) : status;
    if (status == ZO_OK) {
        status = g->fetch->reads != NULL ? choose_data(g) : choose_model(g);
    }
    status = status == ZO_OK ? check_room(g) : status;
    for (int k = 0; k < g->n && status == ZO_OK; k++) {
        status = fetch_blob(g, &g->list[g->chosen[k]]);
    }
    if (status == ZO_OK) {
        place(g, "snapshots", g->commit, folder);
    }
    for (int k = 0; k < g->n && status == ZO_OK; k++) {
        status = link_file(g, folder, &g->list[g->chosen[k]]);
    }
    char path[4096];
    return status == ZO_OK ? zo_write_file(place(g, "refs", "main", path), g->commit, strlen(g->commit), g->err) : status;
}

zo_status zo_fetch_files(const zo_fetch *fetch, char folder[4096], zo_err *err)
{
    getting g = {.fetch = fetch, .kind = fetch->reads != NULL ? "dataset" : "model", .err = err};
    if (!zo_hub_is_name(fetch->name) || fetch->name[0] == '\0') {
        return zo_fail(err, ZO_EINPUT, "\"%.200s\" is no name of a hub; expected one such as facebook/opt-125m, or datasets/SetFit/sst2", fetch->name);
    }
    if (!zo_hub_repository(g.kind, fetch->name, g.repository, sizeof g.repository)) {
        return zo_fail(err, ZO_EINPUT, "there is no folder for what is fetched, or its path is too long; set HF_HOME to one");
    }
    zo_status status = fetch_all(&g, folder);
    zo_http_close(g.http);
    zo_free(g.list);
    zo_free(g.chosen);
    return status;
}
