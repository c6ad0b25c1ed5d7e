/* test_fetch.c: models and data sets from a server that this test starts itself: one process on two ports of this machine, the hub and another that it
 * redirects large files to. It cuts, lies about lengths, parts and checksums, wants a token, and names files that would leave the folder. What came must
 * be the same bytes under the right names, and what did not come must be one sentence, without the token in it. */
#include <arpa/inet.h>
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "models/files/fetch.h"
#include "models/files/hub.h"
#include "models/model.h"
#include "tasks/task.h"
#include "tests/suite.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define TOKEN "hf_right"
enum { HUB, OTHER, PORTS, LOG_MOST = 400, CUT_AT = 5000 };

/* What the server does wrong. */
typedef enum way {
    PLAIN,
    RELATIVE,     /* small files by a redirect on the same server */
    CUT,          /* large files break off every 5000 bytes */
    CUT_DEAD,     /* and the connection then fails */
    NO_RANGES,    /* broken off once; a range is answered with the whole */
    OTHER_PART,   /* broken off once; a range is answered with another one */
    TOO_LONG,     /* by Content-Length */
    TOO_SHORT,    /* by Content-Length */
    ENDLESS,      /* without Content-Length, more than named */
    OTHER_BYTES,  /* of the right length */
    TWO_SUMS,     /* list and headers differ */
    NO_SUM,       /* neither has one */
    HOSTILE_SUM,  /* the headers' one is a path, the list has none */
    TWO_SIZES,
    LOCKED,       /* 401 without the token */
    MISSING,
    BUSY,         /* 503 to the first two requests for a file's bytes */
    DOWN,         /* 503 to the list */
    LOOP,         /* redirects for ever */
    TO_A_FILE,    /* redirects to file:// */
    HTML,         /* the list is none */
    HOSTILE_SHA,  /* the commit is a path */
    HOSTILE_NAME, /* of a file in the list: shared->name */
    SHARDS,       /* weights in two files by an index */
    HOSTILE_SHARD,
    MADE_UP,      /* config.json of a family that is not here */
    NO_WEIGHTS
} way;

typedef struct request { int port, range; char line[300], authorization[60]; } request;

typedef struct common { way way; int port[PORTS], requests, busy, cuts; char name[40]; request log[LOG_MOST]; } common;
static common *shared; /* by both processes */
static pid_t server;
static char root[64];
static zo_err err;

/* ---- the server ----------------------------------------------------------------------------------------------------------------- */

typedef struct served { const char *name; const uint8_t *data; size_t bytes; bool large; } served;

static zo_map config_map, weights_map;
static served model_files[8], data_files[4];
static int models, datas;

static const char tokens[] = "[PAD]\n[UNK]\na\nb\n", readme[] = "# read me\n", rows[] = "{\"a\": 1}\n", odd_config[] = "{\"model_type\": \"made-up\"}\n";

static served text_file(const char *name, const char *text)
{
    return (served){name, (const uint8_t *)text, strlen(text), false};
}

static void hex(const uint8_t *digest, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++) {
        sprintf(out + 2 * i, "%02x", digest[i]);
    }
}

static void sum(const served *f, char out[65])
{
    uint8_t digest[SHA256_DIGEST_SIZE];
    if (f->large) {
        struct sha256_ctx c;
        sha256_init(&c);
        sha256_update(&c, f->bytes, f->data);
        sha256_digest(&c, SHA256_DIGEST_SIZE, digest);
        hex(digest, SHA256_DIGEST_SIZE, out);
        return;
    }
    struct sha1_ctx c;
    char head[40];
    int n = sprintf(head, "blob %zu", f->bytes) + 1;
    sha1_init(&c);
    sha1_update(&c, (size_t)n, (const uint8_t *)head);
    sha1_update(&c, f->bytes, f->data);
    sha1_digest(&c, SHA1_DIGEST_SIZE, digest);
    hex(digest, SHA1_DIGEST_SIZE, out);
}

static void send_bytes(int to, const void *data, size_t n)
{
    for (const char *at = data; n > 0;) {
        ssize_t sent = send(to, at, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        at += sent;
        n -= (size_t)sent;
    }
}

static void answer(int to, const char *status, const char *headers, const void *body, size_t bytes, bool head)
{
    char text[1500];
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n", status, headers, bytes);
    send_bytes(to, text, (size_t)n);
    if (!head) {
        send_bytes(to, body, bytes);
    }
}

static void answer_list(int to, const served *file, int n)
{
    static char text[20000];
    way w = shared->way;
    int used = snprintf(text, sizeof text, "{\"id\": \"x\", \"sha\": \"%s\", \"siblings\": [", w == HOSTILE_SHA ? "../../../evil" : COMMIT);
    for (int i = 0; i < n; i++) {
        char s[65];
        sum(&file[i], s);
        s[0] = w == TWO_SUMS ? (s[0] == '1' ? '2' : '1') : s[0];
        size_t bytes = file[i].bytes + (w == TWO_SIZES);
        bool none = w == NO_SUM || w == HOSTILE_SUM;
        used += snprintf(text + used, sizeof text - (size_t)used, "%s{\"rfilename\": \"%s\", \"size\": %zu", i > 0 ? ", " : "", file[i].name, bytes);
        used += none           ? 0
                : file[i].large ? snprintf(text + used, sizeof text - (size_t)used, ", \"blobId\": \"%.40s\", \"lfs\": {\"sha256\": \"%s\", \"size\": %zu, \"pointerSize\": 134}", s, s, bytes)
                                : snprintf(text + used, sizeof text - (size_t)used, ", \"blobId\": \"%s\"", s);
        used += snprintf(text + used, sizeof text - (size_t)used, "}");
    }
    if (w == HOSTILE_NAME) {
        used += snprintf(text + used, sizeof text - (size_t)used, ", {\"rfilename\": \"%s\", \"size\": 1}", shared->name);
    }
    used += snprintf(text + used, sizeof text - (size_t)used, "]}");
    if (w == HTML) {
        used = sprintf(text, "<html>not here</html>");
    }
    answer(to, w == DOWN ? "503 Busy" : "200 OK", "Content-Type: application/json\r\n", text, (size_t)used, false);
}

/* Bytes of a file from `range` on (-1: all). */
static void answer_bytes(int to, const served *f, int range, const char *more)
{
    way w = f->large ? shared->way : PLAIN;
    char text[1500];
    size_t from = range > 0 ? (size_t)range : 0, bytes = f->bytes - from, length = bytes;
    if (f->large && w == BUSY && shared->busy++ < 2) {
        answer(to, "503 Busy", "", "later", 5, false);
        return;
    }
    if (w == CUT_DEAD && shared->cuts > 0) {
        return;
    }
    if (w == NO_RANGES && range > 0) {
        range = -1;
        from = 0;
        bytes = length = f->bytes;
    }
    length += w == TOO_LONG ? 10 : 0;
    length -= w == TOO_SHORT ? 10 : 0;
    int n = snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\n%s", range > 0 ? "206 Partial" : "200 OK", more);
    if (w != ENDLESS) {
        n += snprintf(text + n, sizeof text - (size_t)n, "Content-Length: %zu\r\n", length);
    }
    if (range > 0) {
        size_t said = w == OTHER_PART ? from - 7 : from;
        n += snprintf(text + n, sizeof text - (size_t)n, "Content-Range: bytes %zu-%zu/%zu\r\n", said, f->bytes - 1, f->bytes);
    }
    n += snprintf(text + n, sizeof text - (size_t)n, "\r\n");
    send_bytes(to, text, (size_t)n);
    bool cut = w == CUT || w == CUT_DEAD || ((w == NO_RANGES || w == OTHER_PART) && shared->cuts == 0);
    if (cut) {
        shared->cuts++;
        bytes = bytes < CUT_AT ? bytes : CUT_AT;
    }
    if (w == OTHER_BYTES) {
        uint8_t *copy = malloc(f->bytes);
        memcpy(copy, f->data, f->bytes);
        copy[f->bytes / 2] ^= 1;
        send_bytes(to, copy + from, bytes);
        free(copy);
    } else {
        send_bytes(to, f->data + from, bytes < length ? bytes : length);
    }
    if (w == TOO_LONG || w == ENDLESS) {
        send_bytes(to, "and so on.", 10);
    }
}

static void answer_file(int to, const served *f, const char *path, int range, bool head)
{
    char s[65], headers[700];
    way w = shared->way;
    sum(f, s);
    const char *tag = w == NO_SUM ? "" : w == HOSTILE_SUM ? "../../../evil" : s;
    if (w == LOOP) {
        snprintf(headers, sizeof headers, "Location: %s\r\n", path);
        answer(to, "302 Found", headers, "", 0, head);
    } else if (w == TO_A_FILE) {
        answer(to, "302 Found", "Location: file:///etc/passwd\r\n", "", 0, head);
    } else if (f->large) {
        snprintf(headers, sizeof headers, "Location: http://127.0.0.1:%d/large/%s?signed=secret\r\n%s%s%sX-Linked-Size: %zu\r\nETag: \"of the pointer\"\r\n",
                 shared->port[OTHER], f->name, tag[0] != '\0' ? "X-Linked-Etag: \"" : "", tag, tag[0] != '\0' ? "\"\r\n" : "", f->bytes);
        answer(to, "302 Found", headers, "", 0, head);
    } else if (w == RELATIVE && strncmp(path, "/moved", 6) != 0) {
        snprintf(headers, sizeof headers, "Location: /moved%s\r\nETag: \"of the redirect\"\r\n", path);
        answer(to, "307 Moved", headers, "", 0, head);
    } else {
        snprintf(headers, sizeof headers, "%s%s%s", tag[0] != '\0' ? "ETag: W/\"" : "", tag, tag[0] != '\0' ? "\"\r\n" : "");
        if (head) {
            answer(to, "200 OK", headers, f->data, f->bytes, true);
        } else {
            answer_bytes(to, f, range, headers);
        }
    }
}

static const served *named(const served *file, int n, const char *name)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(file[i].name, name) == 0) {
            return &file[i];
        }
    }
    return NULL;
}

static void answer_one(int to, int port)
{
    char text[4000], path[300], *at;
    size_t n = 0;
    while (n < sizeof text - 1) {
        ssize_t got = recv(to, text + n, sizeof text - 1 - n, 0);
        if (got <= 0) {
            return;
        }
        n += (size_t)got;
        text[n] = '\0';
        if (strstr(text, "\r\n\r\n") != NULL) {
            break;
        }
    }
    request *r = &shared->log[shared->requests++ % LOG_MOST];
    *r = (request){.port = port, .range = -1};
    snprintf(r->line, sizeof r->line, "%.*s", (int)strcspn(text, "\r"), text);
    if ((at = strstr(text, "Authorization: ")) != NULL) {
        snprintf(r->authorization, sizeof r->authorization, "%.*s", (int)strcspn(at + 15, "\r"), at + 15);
    }
    if ((at = strstr(text, "Range: bytes=")) != NULL) {
        r->range = atoi(at + 13);
    }
    bool head = strncmp(text, "HEAD", 4) == 0;
    if (sscanf(text, "%*s %299s", path) != 1) {
        return;
    }
    const char *name = strrchr(path, '/') + 1;
    if (port == OTHER) {
        path[strcspn(path, "?")] = '\0';
        const served *f = named(model_files, models, name);
        if (f != NULL) {
            answer_bytes(to, f, r->range, "ETag: \"0000\"\r\n");
        }
    } else if (shared->way == LOCKED && strcmp(r->authorization, "Bearer " TOKEN) != 0) {
        answer(to, "401 Unauthorized", "", "no", 2, head);
    } else if (strcmp(path, "/api/models/org/tiny/revision/main?blobs=true") == 0) {
        answer_list(to, model_files, models);
    } else if (strcmp(path, "/api/datasets/org/rows/revision/main?blobs=true") == 0) {
        answer_list(to, data_files, datas);
    } else {
        const char *below = strstr(path, "/resolve/" COMMIT "/");
        below = below != NULL ? below + strlen("/resolve/" COMMIT "/") : "";
        bool data = strncmp(path, "/datasets/org/rows/", 19) == 0;
        const served *f = data ? named(data_files, datas, strcmp(below, "sub%20folder/dev.tsv") == 0 ? "sub folder/dev.tsv" : below) : named(model_files, models, below);
        if (f != NULL) {
            answer_file(to, f, path, r->range, head);
        } else {
            answer(to, "404 Not Found", "", "no", 2, head);
        }
    }
}

static void serve(const int *listening)
{
    for (;;) {
        struct pollfd p[PORTS] = {{listening[0], POLLIN, 0}, {listening[1], POLLIN, 0}};
        poll(p, PORTS, -1);
        for (int i = 0; i < PORTS; i++) {
            int to = (p[i].revents & POLLIN) != 0 ? accept(listening[i], NULL, NULL) : -1;
            if (to >= 0) {
                answer_one(to, i);
                shutdown(to, SHUT_WR);
                close(to);
            }
        }
    }
}

static void files_of(way w)
{
    static const char index[] = "{\"weight_map\": {\"a\": \"pytorch_model-1.bin\", \"b\": \"pytorch_model-2.bin\"}}",
                      hostile[] = "{\"weight_map\": {\"a\": \"../../evil.bin\"}}";
    models = datas = 0;
    model_files[models++] = (served){"config.json", config_map.data, config_map.bytes, false};
    if (w == MADE_UP) {
        model_files[0] = text_file("config.json", odd_config);
    }
    model_files[models++] = text_file("README.md", readme);
    model_files[models++] = text_file("vocab.txt", tokens);
    model_files[models++] = text_file("training_args.bin", readme);
    if (w == SHARDS || w == HOSTILE_SHARD) {
        model_files[models++] = text_file("pytorch_model.bin.index.json", w == SHARDS ? index : hostile);
        model_files[models++] = (served){"pytorch_model-1.bin", weights_map.data, 100, true};
        model_files[models++] = (served){"pytorch_model-2.bin", weights_map.data, 200, true};
    } else if (w != NO_WEIGHTS) {
        model_files[models++] = (served){"pytorch_model.bin", weights_map.data, weights_map.bytes, true};
    }
    data_files[datas++] = text_file("train.jsonl", rows);
    data_files[datas++] = text_file("sub folder/dev.tsv", tokens);
    data_files[datas++] = text_file("README.md", readme);
}

/* Begins to serve in this way; the counts begin anew. */
static void begin(way w)
{
    int listening[PORTS];
    memset(shared, 0, sizeof *shared);
    shared->way = w;
    files_of(w);
    for (int i = 0; i < PORTS; i++) {
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof at;
        listening[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert(listening[i] >= 0 && bind(listening[i], (struct sockaddr *)&at, n) == 0 && listen(listening[i], 20) == 0 &&
                  getsockname(listening[i], (struct sockaddr *)&at, &n) == 0);
        shared->port[i] = ntohs(at.sin_port);
    }
    fflush(NULL);
    server = fork();
    ck_assert_int_ge(server, 0);
    if (server == 0) {
        serve(listening);
        _exit(0);
    }
    char endpoint[60];
    for (int i = 0; i < PORTS; i++) {
        close(listening[i]);
    }
    snprintf(endpoint, sizeof endpoint, "http://127.0.0.1:%d/", shared->port[HUB]);
    setenv("HF_ENDPOINT", endpoint, 1);
}

static void end(void)
{
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
        server = 0;
    }
}

static void start(void)
{
    static const char *const unset[] = {"HF_TOKEN_PATH", "HF_HUB_CACHE", "XDG_CACHE_HOME", "HF_HUB_OFFLINE", "http_proxy", "https_proxy", "all_proxy", "ALL_PROXY", "ZO_MODELS"};
    err = (zo_err){0};
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ck_assert(shared != MAP_FAILED);
    snprintf(root, sizeof root, "/tmp/zo_fetch_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(root));
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) {
        unsetenv(unset[i]);
    }
    setenv("HF_HOME", root, 1);
    setenv("HF_TOKEN", TOKEN, 1);
    ck_assert(zo_map_open(&config_map, "tests/golden/torch/opt-zip-f16/config.json", &err) == ZO_OK &&
              zo_map_open(&weights_map, "tests/golden/torch/opt-zip-f16/pytorch_model.bin", &err) == ZO_OK);
}

static void stop(void)
{
    char command[128];
    end();
    zo_map_close(&config_map);
    zo_map_close(&weights_map);
    snprintf(command, sizeof command, "rm -r %s", root);
    ck_assert_int_eq(system(command), 0);
}

/* ---- what is asked --------------------------------------------------------------------------------------------------------------- */

static char folder[4096];

static zo_status get(const char *name, bool data)
{
    zo_fetch fetch = {.name = name, .reads = data ? zo_task_reads : NULL};
    err = (zo_err){0};
    return zo_fetch_files(&fetch, folder, &err);
}

static void assert_says(zo_status status, const char *part)
{
    ck_assert_msg(status != ZO_OK, "fetched; expected \"%s\"", part);
    ck_assert_msg(strstr(err.text, part) != NULL && strpbrk(err.text, "\n\r\033") == NULL, "\"%s\" does not say \"%s\"", err.text, part);
    ck_assert_msg(strstr(err.text, TOKEN) == NULL && strstr(err.text, "secret") == NULL, "%s", err.text);
}

/* Entries of a folder of the cache's repository; -1 without it. */
static int entries(const char *below)
{
    char path[300];
    snprintf(path, sizeof path, "%s/hub/%s", root, below);
    DIR *dir = opendir(path);
    int n = dir != NULL ? 0 : -1;
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        n += e->d_name[0] != '.';
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n;
}

static int asked(int port, const char *begins)
{
    int n = 0;
    for (int i = 0; i < shared->requests; i++) {
        n += shared->log[i].port == port && strncmp(shared->log[i].line, begins, strlen(begins)) == 0;
    }
    return n;
}

/* The token went to the hub with each request, and to the other server with none. */
static void assert_tokens(void)
{
    ck_assert_int_lt(shared->requests, LOG_MOST);
    for (int i = 0; i < shared->requests; i++) {
        ck_assert_str_eq(shared->log[i].authorization, shared->log[i].port == HUB ? "Bearer " TOKEN : "");
    }
}

static void assert_same(const char *name, const uint8_t *data, size_t bytes)
{
    char path[4400];
    zo_map map;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    ck_assert_msg(zo_map_open(&map, path, &err) == ZO_OK, "%s", err.text);
    ck_assert(map.bytes == bytes && memcmp(map.data, data, bytes) == 0);
    zo_map_close(&map);
}

/* What coreutils say of a command's first word. */
static void assert_prints(const char *command, const char *wanted)
{
    char made[200] = "";
    FILE *out = popen(command, "r");
    ck_assert(out != NULL && fscanf(out, "%199s", made) == 1);
    pclose(out);
    ck_assert_str_eq(made, wanted);
}

START_TEST(a_model_comes_whole)
{
    char wanted[300], found[4096], path[4500], target[300], command[5000];
    begin(_i == 0 ? PLAIN : _i == 1 ? RELATIVE : LOCKED);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    snprintf(wanted, sizeof wanted, "%s/hub/models--org--tiny/snapshots/" COMMIT, root);
    ck_assert_str_eq(folder, wanted);
    assert_same("config.json", config_map.data, config_map.bytes);
    assert_same("pytorch_model.bin", weights_map.data, weights_map.bytes);
    assert_same("vocab.txt", (const uint8_t *)tokens, strlen(tokens));
    ck_assert_int_eq(entries("models--org--tiny/snapshots/" COMMIT), 3); /* no README.md, no training_args.bin */
    ck_assert_int_eq(entries("models--org--tiny/blobs"), 3);
    ck_assert_int_eq(entries("models--org--tiny/snapshots"), 1);
    ck_assert_int_eq(asked(HUB, "GET /org/tiny/resolve/" COMMIT "/README"), 0);
    assert_tokens();
    ck_assert_int_eq(asked(OTHER, "GET /large/pytorch_model.bin?signed=secret"), 1);
    /* links of blobs by their checksums, as other programs compute them */
    snprintf(path, sizeof path, "%s/pytorch_model.bin", folder);
    ssize_t n = readlink(path, target, sizeof target - 1);
    ck_assert_int_gt(n, 0);
    target[n] = '\0';
    ck_assert(strncmp(target, "../../blobs/", 12) == 0);
    snprintf(command, sizeof command, "sha256sum %s", path);
    assert_prints(command, target + 12);
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    n = readlink(path, target, sizeof target - 1);
    ck_assert_int_gt(n, 0);
    target[n] = '\0';
    snprintf(command, sizeof command, "{ printf 'blob %zu\\0'; cat %s; } | sha1sum", strlen(tokens), path);
    assert_prints(command, target + 12);
    /* a config that names it finds it, and it is a model */
    ck_assert_msg(zo_hub_find("org/tiny", NULL, found, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(found, folder);
    zo_backend *be;
    zo_model *model;
    ck_assert_msg(zo_backend_open("cpu", 1, &be, &err) == ZO_OK, "%s", err.text);
    zo_model_spec spec = {.folder = found, .head = ZO_HEAD_SPAN, .precision = ZO_F32};
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    zo_model_close(model);
    be->close(be);
    /* once more: nothing but questions */
    int large = asked(OTHER, "GET"), small = asked(HUB, "GET /org");
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(asked(OTHER, "GET"), large);
    ck_assert_int_eq(asked(HUB, "GET /org"), small);
    ck_assert_int_eq(asked(OTHER, "HEAD"), 0);
}
END_TEST

START_TEST(cuts_go_on)
{
    begin(CUT);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    assert_same("pytorch_model.bin", weights_map.data, weights_map.bytes);
    int pieces = (int)((weights_map.bytes + CUT_AT - 1) / CUT_AT), n = 0;
    ck_assert_int_eq(asked(OTHER, "GET"), pieces);
    for (int i = 0; i < shared->requests; i++) {
        if (shared->log[i].port == OTHER) {
            ck_assert_int_eq(shared->log[i].range, n == 0 ? -1 : n * CUT_AT);
            n++;
        }
    }
    assert_tokens();
    ck_assert_int_eq(entries("models--org--tiny/blobs"), 3);
}
END_TEST

START_TEST(another_command_goes_on)
{
    begin(CUT_DEAD);
    assert_says(get("org/tiny", false), "pytorch_model.bin broke off at byte 5000 of 22195");
    ck_assert_int_eq(entries("models--org--tiny/refs"), 0);
    ck_assert_int_eq(entries("models--org--tiny/snapshots"), 0);
    ck_assert_msg(zo_hub_find("org/tiny", NULL, folder, &err) != ZO_OK, "found in halves");
    ck_assert_msg(strstr(err.text, "fetch it with `zo get org/tiny`") != NULL, "%s", err.text);
    end();
    begin(PLAIN);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    assert_same("pytorch_model.bin", weights_map.data, weights_map.bytes);
    int ranged = 0;
    for (int i = 0; i < shared->requests; i++) {
        ranged += shared->log[i].port == OTHER && shared->log[i].range == CUT_AT;
    }
    ck_assert(ranged == 1 && asked(OTHER, "GET") == 1);
    ck_assert_int_eq(entries("models--org--tiny/blobs"), 3);
}
END_TEST

START_TEST(a_server_without_ranges_begins_anew)
{
    begin(NO_RANGES);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    assert_same("pytorch_model.bin", weights_map.data, weights_map.bytes);
    ck_assert_int_eq(asked(OTHER, "GET"), 2);
    end();
    begin(BUSY);
    char command[200];
    snprintf(command, sizeof command, "rm -r %s/hub", root);
    ck_assert_int_eq(system(command), 0);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    assert_same("pytorch_model.bin", weights_map.data, weights_map.bytes);
    ck_assert_int_eq(asked(OTHER, "GET"), 3);
}
END_TEST

/* Nothing of it is found afterwards, nothing half stays where it is wrong, and nothing is outside the cache. */
START_TEST(lies_are_refused)
{
    static const struct { way way; const char *says; int blobs; } of[] = {
        {OTHER_PART, "sends another part than it was asked for", 2},
        {TOO_LONG, "sends another number of bytes than it has named", 2},
        {TOO_SHORT, "sends another number of bytes than it has named", 2},
        {ENDLESS, "sends more bytes than it has named", 2},
        {OTHER_BYTES, "has the checksum", 2},
        {TWO_SUMS, "says two checksums or sizes of config.json", 0},
        {TWO_SIZES, "says two checksums or sizes of config.json", 0},
        {NO_SUM, "names no checksum of config.json", 0},
        {HOSTILE_SUM, "names no checksum of config.json", 0},
        {LOOP, "redirects more than 5 times", 0},
        {TO_A_FILE, "redirects to an address that is not http or https", 0},
        {HTML, "is no JSON", -1},
        {DOWN, "answers HTTP 503 for the list", -1},
        {HOSTILE_SHA, "has no commit in 40 hexadecimal digits", -1},
        {HOSTILE_SHARD, "names the file \"../../evil.bin\", which is not beside it", 2},
        {MADE_UP, "org/tiny: config.json: ", 1},
        {NO_WEIGHTS, "has weights in no form that zo reads", 1}};
    char path[200];
    begin(of[_i].way);
    assert_says(get("org/tiny", false), of[_i].says);
    ck_assert_int_eq(entries("models--org--tiny/blobs"), of[_i].blobs);
    ck_assert_int_le(entries("models--org--tiny/snapshots"), 0);
    ck_assert_int_le(entries("models--org--tiny/refs"), 0);
    snprintf(path, sizeof path, "%s/evil", root);
    ck_assert(!zo_path_exists(path) && entries("") <= 1 && entries("..") <= 1);
    assert_tokens();
}
END_TEST

START_TEST(hostile_names_are_refused)
{
    static const char *const name[] = {"../evil", "/tmp/evil", "a/../../evil", "..", ".", "", "a//b", "a/", "a\\\\evil", "a\\nevil", "\\u001b[2J", "a/./b"};
    begin(HOSTILE_NAME);
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        snprintf(shared->name, sizeof shared->name, "%s", name[i]);
        assert_says(get("org/tiny", false), "which would leave the folder or cannot be shown; nothing is fetched");
        ck_assert_int_eq(entries(""), -1);
    }
    snprintf(shared->name, sizeof shared->name, "a..b/..c/.d");
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
}
END_TEST

START_TEST(pieces_by_their_index)
{
    begin(SHARDS);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(entries("models--org--tiny/snapshots/" COMMIT), 5);
    assert_same("pytorch_model-1.bin", weights_map.data, 100);
    assert_same("pytorch_model-2.bin", weights_map.data, 200);
}
END_TEST

START_TEST(permission)
{
    begin(LOCKED);
    setenv("HF_TOKEN", "hf_wrong", 1);
    assert_says(get("org/tiny", false), "HTTP 401), and the token that it got does not help");
    ck_assert_ptr_null(strstr(err.text, "hf_wrong"));
    unsetenv("HF_TOKEN");
    assert_says(get("org/tiny", false), "give a token in HF_TOKEN");
    setenv("HF_TOKEN", "two words\r\nX-Other: 1", 1);
    assert_says(get("org/tiny", false), "HTTP 401"); /* the first word alone */
    setenv("HF_TOKEN", "caf\xc3\xa9", 1);
    assert_says(get("org/tiny", false), "is not one word");
    unsetenv("HF_TOKEN");
    char path[200];
    snprintf(path, sizeof path, "%s/token", root);
    ck_assert_int_eq(zo_write_file(path, TOKEN "\n", strlen(TOKEN) + 1, &err), ZO_OK);
    ck_assert_msg(get("org/tiny", false) == ZO_OK, "%s", err.text);
    setenv("HF_TOKEN_PATH", "/nowhere", 1);
    assert_says(get("org/tiny", false), "HTTP 401");
    end();
    begin(MISSING);
    assert_says(get("org/none", false), "has no list of model org/none (HTTP 404)");
    setenv("HF_HUB_OFFLINE", "1", 1);
    assert_says(get("org/tiny", false), "HF_HUB_OFFLINE is set");
    unsetenv("HF_HUB_OFFLINE");
    static const char *const base[] = {"ftp://127.0.0.1", "http://name:word@127.0.0.1", "http://127.0.0.1/?x", "nothing at all", "file:///tmp"};
    for (size_t i = 0; i < sizeof base / sizeof *base; i++) {
        setenv("HF_ENDPOINT", base[i], 1);
        assert_says(get("org/tiny", false), "the server's address is none");
    }
    setenv("HF_ENDPOINT", "http://127.0.0.1:1", 1);
    assert_says(get("org/tiny", false), "http://127.0.0.1:1: ");
    static const char *const name[] = {"", "a/b/c", "../a", "a b"};
    for (size_t i = 0; i < 4; i++) {
        assert_says(get(name[i], false), "is no name of a hub");
    }
}
END_TEST

START_TEST(data_sets)
{
    begin(PLAIN);
    ck_assert_msg(get("org/rows", true) == ZO_OK, "%s", err.text);
    assert_same("train.jsonl", (const uint8_t *)rows, strlen(rows));
    assert_same("sub folder/dev.tsv", (const uint8_t *)tokens, strlen(tokens));
    ck_assert_int_eq(entries("datasets--org--rows/snapshots/" COMMIT), 2);
    ck_assert_int_eq(entries("datasets--org--rows/refs"), 1);
    assert_tokens();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fetch");
    TCase *tests = tcase_create("fetch");
    tcase_add_checked_fixture(tests, start, stop);
    tcase_set_timeout(tests, 60);
    tcase_add_loop_test(tests, a_model_comes_whole, 0, 3);
    tcase_add_test(tests, cuts_go_on);
    tcase_add_test(tests, another_command_goes_on);
    tcase_add_test(tests, a_server_without_ranges_begins_anew);
    tcase_add_loop_test(tests, lies_are_refused, 0, 17);
    tcase_add_test(tests, hostile_names_are_refused);
    tcase_add_test(tests, pieces_by_their_index);
    tcase_add_test(tests, permission);
    tcase_add_test(tests, data_sets);
    suite_add_tcase(suite, tests);
    return suite_run(suite) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
