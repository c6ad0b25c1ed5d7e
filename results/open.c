/* open.c: opening the database to write, alone, or to read; its schema's version; closing it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/database.h"
#include "results/migrate.h"

/* `path` in a file: URI of SQLite. */
static void uri_of(const char *path, char *uri, size_t size)
{
    size_t at = (size_t)snprintf(uri, size, "file:");
    for (; *path != '\0' && at + 20 < size; path++) {
        at += (size_t)snprintf(uri + at, size - at, strchr("?#%", *path) != NULL ? "%%%02X" : "%c", (unsigned char)*path);
    }
    snprintf(uri + at, size - at, "?immutable=1");
}

static zo_status check_version(zo_results *r, bool create, zo_err *err)
{
    bool ok;
    int64_t version = zo_db_number(r, "PRAGMA user_version", &ok);
    int64_t application = ok ? zo_db_number(r, "PRAGMA application_id", &ok) : 0;
    int64_t tables = ok ? zo_db_number(r, "SELECT count(*) FROM sqlite_master", &ok) : 0;
    if (!ok) {
        return zo_db_fail(r, err);
    }
    if (application == ZO_APPLICATION_ID && version == ZO_SCHEMA_VERSION) {
        return ZO_OK;
    }
    if (application == ZO_APPLICATION_ID && version > ZO_SCHEMA_VERSION) {
        return zo_fail(err, ZO_EINPUT, "%s: has schema version %lld, this program knows up to %d; use the newer program or another file",
                       r->path, (long long)version, ZO_SCHEMA_VERSION);
    }
    bool older = application == ZO_APPLICATION_ID ? version >= 3 && version < ZO_SCHEMA_VERSION : application == 0 && (version == 1 || version == 2) && zo_migrate_takes(r);
    if (older) {
        return r->reads ? zo_migrate_in_memory(r, version, err) : zo_migrate(r, version, err);
    }
    if (application != 0 || version != 0 || tables > 0 || !create) {
        return zo_fail(err, ZO_EINPUT, "%s: is an SQLite database, but not one of zo's; name another file with --db FILE", r->path);
    }
    /* Two programs may come here at once: the one that waits for the lock finds the work done. */
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    if (zo_db_number(r, "PRAGMA user_version", &ok) == 0) {
        status = zo_db_run(r, zo_schema_sql, err);
        status = status == ZO_OK ? zo_db_set_version(r, err) : status;
    }
    return zo_db_end(r, status, err);
}

static zo_results *new_results(const char *path)
{
    zo_results *r = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *r);
    r->lock = -1;
    snprintf(r->path, sizeof r->path, "%s", path);
    return r;
}

static zo_status check_path(const char *path, zo_err *err)
{
    if (path[0] == '\0' || strcmp(path, ":memory:") == 0) {
        return zo_fail(err, ZO_EINPUT, "--db \"%s\": names no file; expected one such as results/zo.db", path);
    }
    if (strlen(path) >= 4000) {
        return zo_fail(err, ZO_EINPUT, "--db: the path has %zu bytes; at most 4000 are permitted", strlen(path));
    }
    if (zo_path_is_dir(path)) {
        return zo_fail(err, ZO_EINPUT, "%s: is a folder; expected a database file such as %s/zo.db", path, path);
    }
    return zo_path_check_file(path, err);
}

/* Remembers which file `path` is now. */
static void note_file(zo_results *r)
{
    struct stat s;
    if (stat(r->path, &s) == 0) {
        r->device = s.st_dev;
        r->inode = s.st_ino;
    }
}

zo_status zo_results_check_file(const zo_results *r, zo_err *err)
{
    struct stat s;
    if (stat(r->path, &s) != 0) {
        return zo_fail(err, ZO_EIO, "%s: was removed while the run was working on it; what it held is lost, start again", r->path);
    }
    if (s.st_dev != r->device || s.st_ino != r->inode) {
        return zo_fail(err, ZO_EIO, "%s: was replaced by another file while the run was working on it; look which is the right one, then start "
                       "again", r->path);
    }
    return ZO_OK;
}

/* A damaged page is found before a night is written on it. */
static zo_status check_whole(zo_results *r, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "PRAGMA quick_check(1)", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    int code = sqlite3_step(b.s);
    const char *says = code == SQLITE_ROW ? (const char *)sqlite3_column_text(b.s, 0) : sqlite3_errmsg(r->db);
    if (code != SQLITE_ROW || strcmp(says, "ok") != 0) {
        char line[200];
        snprintf(line, sizeof line, "%s", says);
        status = zo_fail(err, ZO_EINPUT, "%s: is damaged (%s); name another file with --db FILE, or take what can be read of it: sqlite3 FILE .recover | sqlite3 NEW.db",
                         r->path, zo_text_plain(line));
    }
    sqlite3_finalize(b.s);
    return status;
}

/* Nothing half-written stays of a file that was not there before (`existed`). `lock`: a descriptor that is given back with the database, -1 = none. */
static zo_status open_file(zo_results **results, const char *path, bool create, bool existed, int lock, zo_err *err)
{
    zo_results *r = new_results(path);
    r->lock = lock;
    zo_status status = ZO_OK;
    if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), NULL) != SQLITE_OK) {
        status = zo_db_fail(r, err);
    }
    if (status == ZO_OK) {
        sqlite3_busy_timeout(r->db, ZO_BUSY_MS);
        status = check_version(r, create, err);
    }
    if (status == ZO_OK) {
        status = zo_db_run(r, "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL", err);
    }
    if (status == ZO_OK && existed && lock >= 0) {
        status = check_whole(r, err);
    }
    if (status == ZO_OK) { /* may it be written to? */
        status = zo_db_run(r, "BEGIN IMMEDIATE; CREATE TABLE zo_probe (x); ROLLBACK", err);
        note_file(r);
    }
    if (status != ZO_OK) {
        zo_results_close(r);
        if (!existed) {
            unlink(path);
        }
        return status;
    }
    *results = r;
    return ZO_OK;
}

zo_status zo_results_open(zo_results **results, const char *path, bool create, zo_err *err)
{
    *results = NULL;
    zo_status status = check_path(path, err);
    bool existed = zo_path_exists(path);
    if (status == ZO_OK && !existed && !create) {
        status = zo_fail(err, ZO_EIO, "%s: there is no such database; `zo run CONFIG.json --db %s` makes one", path, path);
    }
    status = status == ZO_OK && create ? zo_make_parent(path, err) : status;
    return status == ZO_OK ? open_file(results, path, create, existed, -1, err) : status;
}

/* Takes the lock; where somebody has it, a look of zo_results_is_worked_on is waited for. */
static bool lock_file(int fd)
{
    for (int k = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; k++) {
        if (k == 10) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    return true;
}

bool zo_results_is_worked_on(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    if (fd >= 0) {
        close(fd);
    }
    return locked;
}

zo_status zo_results_open_alone(zo_results **results, const char *path, zo_err *err)
{
    *results = NULL;
    zo_status status = check_path(path, err);
    bool existed = zo_path_exists(path);
    status = status == ZO_OK ? zo_make_parent(path, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) {
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); name a file in a folder that you may write to with --db FILE", path, strerror(errno));
    }
    if (!lock_file(lock)) {
        close(lock);
        return zo_fail(err, ZO_EINPUT, "%s: another `zo run` is working on it; wait for that one, or name another file with --db FILE", path);
    }
    return open_file(results, path, true, existed, lock, err);
}

zo_status zo_results_open_read(zo_results **results, const char *path, zo_err *err)
{
    *results = NULL;
    zo_status status = check_path(path, err);
    if (status != ZO_OK) {
        return status;
    }
    if (!zo_path_exists(path)) {
        return zo_fail(err, ZO_EIO, "%s: there is no such database; `zo run CONFIG.json --db %s` makes one", path, path);
    }
    zo_results *r = new_results(path);
    r->reads = true;
    if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK) {
        status = zo_db_fail(r, err);
    }
    if (status == ZO_OK) {
        sqlite3_busy_timeout(r->db, ZO_BUSY_MS);
        bool ok;
        zo_db_number(r, "SELECT count(*) FROM sqlite_master", &ok);
        int code = sqlite3_errcode(r->db) & 0xff;
        if (!ok && (code == SQLITE_CANTOPEN || code == SQLITE_READONLY)) {
            /* WAL wants to make its -shm file beside it, which a read-only folder forbids: nobody else writes there either. */
            char uri[3 * sizeof r->path], beside[sizeof r->path + 8];
            uri_of(path, uri, sizeof uri);
            sqlite3_close(r->db);
            r->db = NULL;
            struct stat log;
            snprintf(beside, sizeof beside, "%s-wal", path);
            if (stat(beside, &log) == 0 && log.st_size > 0) {
                status = zo_fail(err, ZO_EIO, "%s: its last runs stand in %s, which cannot be read in a folder without write permission; copy "
                                 "both into one with it", path, beside);
            } else if (sqlite3_open_v2(uri, &r->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) != SQLITE_OK) {
                status = zo_db_fail(r, err);
            }
        }
    }
    if (status == ZO_OK) {
        note_file(r);
        status = check_version(r, false, err);
    }
    if (status != ZO_OK) {
        zo_results_close(r);
        return status;
    }
    *results = r;
    return ZO_OK;
}

size_t zo_results_bytes(void)
{
    return sizeof(zo_results);
}

void zo_results_close(zo_results *r)
{
    if (r == NULL) {
        return;
    }
    sqlite3_close(r->db);
    if (r->lock >= 0) {
        close(r->lock);
    }
    zo_free(r);
}

struct sqlite3 *zo_results_handle(zo_results *r)
{
    return r->db;
}
