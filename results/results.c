/* results.c: writing the database. Every statement is prepared where it is used, run in a short transaction, and its failure is
 * one sentence that names the file. Readers (reports, plots, sql) use zo_results_open_read. */
#include "results/results.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/embed.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"

ZO_EMBED(zo_schema_sql, "results/schema.sql");

#define BUSY_MS 20000

struct zo_results {
    sqlite3 *db;
    dev_t device; /* of the file that was opened */
    ino_t inode;
    bool reads; /* opened by zo_results_open_read */
    int lock; /* descriptor that holds the flock; -1 = none. Closed after the database, since closing it drops SQLite's locks too */
    char path[4096];
};

const char *zo_meaning_was(int meaning)
{
    static const char *const was[ZO_MEANING] = {
        "", "the training peak held evaluation's activations, the step time was a median, F1 was macro-F1, test rows followed data_seed, BoolQ's passages "
            "kept their titles, the context of prompts was 128 by default, and there was no work"};
    return meaning > 0 && meaning < ZO_MEANING ? was[meaning] : "";
}

/* ---- errors ----------------------------------------------------------------------------------------------------------- */

static zo_status fail_sql(zo_results *r, zo_err *err)
{
    int code = sqlite3_errcode(r->db) & 0xff;
    const char *cause = sqlite3_errmsg(r->db);
    switch (code) {
    case SQLITE_FULL:
        return zo_fail(err, ZO_EIO, "%s: no space is left on its disk; free some and start the same command again (finished cells are kept)",
                       r->path);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_CANTOPEN:
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); name a file in a folder that you may write to with --db FILE", r->path,
                       cause);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return zo_fail(err, ZO_EINPUT, "%s: is not an intact SQLite database (%s); name another file with --db FILE", r->path, cause);
    case SQLITE_BUSY:
        return zo_fail(err, ZO_EIO, "%s: another program has held it locked for %d s; close that program and start again", r->path,
                       BUSY_MS / 1000);
    case SQLITE_IOERR:
        return zo_fail(err, ZO_EIO, "%s: reading or writing failed (%s, system error %d); is its disk full or its size limited?", r->path,
                       cause, sqlite3_system_errno(r->db));
    default:
        return zo_fail(err, ZO_EIO, "%s: SQLite says: %s", r->path, cause);
    }
}

static zo_status run_sql(zo_results *r, const char *sql, zo_err *err)
{
    return sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ZO_OK : fail_sql(r, err);
}

static int64_t read_number(zo_results *r, const char *sql, bool *ok)
{
    sqlite3_stmt *s = NULL;
    int64_t number = 0;
    *ok = sqlite3_prepare_v2(r->db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW;
    if (*ok) {
        number = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return number;
}

/* ---- binding ---------------------------------------------------------------------------------------------------------- */

/* The statement's values one after another; the order is that of the ? in its text. */
typedef struct binder { zo_results *r; sqlite3_stmt *s; int at; } binder;

static zo_status prepare(zo_results *r, const char *sql, binder *b, zo_err *err)
{
    *b = (binder){.r = r, .s = NULL, .at = 0};
    return sqlite3_prepare_v2(r->db, sql, -1, &b->s, NULL) == SQLITE_OK ? ZO_OK : fail_sql(r, err);
}

static void put_text(binder *b, const char *text)
{
    if (text == NULL) {
        sqlite3_bind_null(b->s, ++b->at);
    } else {
        sqlite3_bind_text(b->s, ++b->at, text, -1, SQLITE_TRANSIENT);
    }
}

static void put_int(binder *b, int64_t x)
{
    sqlite3_bind_int64(b->s, ++b->at, x);
}

static void put_real(binder *b, double x) /* not finite = NULL */
{
    if (isfinite(x)) {
        sqlite3_bind_double(b->s, ++b->at, x);
    } else {
        sqlite3_bind_null(b->s, ++b->at);
    }
}

static zo_status step_once(binder *b, zo_err *err) /* and be ready for the next row */
{
    int code = sqlite3_step(b->s);
    zo_status status = code == SQLITE_DONE || code == SQLITE_ROW ? ZO_OK : fail_sql(b->r, err);
    sqlite3_reset(b->s);
    b->at = 0;
    return status;
}

static zo_status step_and_finish(binder *b, zo_err *err)
{
    zo_status status = step_once(b, err);
    sqlite3_finalize(b->s);
    return status;
}

static zo_status begin(zo_results *r, zo_err *err)
{
    return run_sql(r, "BEGIN IMMEDIATE", err);
}

static zo_status end_transaction(zo_results *r, zo_status status, zo_err *err)
{
    if (status == ZO_OK) {
        status = run_sql(r, "COMMIT", err);
    }
    if (status != ZO_OK && !sqlite3_get_autocommit(r->db)) {
        sqlite3_exec(r->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------- */

/* `path` in a file: URI of SQLite. */
static void uri_of(const char *path, char *uri, size_t size)
{
    size_t at = (size_t)snprintf(uri, size, "file:");
    for (; *path != '\0' && at + 20 < size; path++) {
        at += (size_t)snprintf(uri + at, size - at, strchr("?#%", *path) != NULL ? "%%%02X" : "%c", (unsigned char)*path);
    }
    snprintf(uri + at, size - at, "?immutable=1");
}

#define APPLICATION_ID 0x7a6f2d64 /* "zo-d" */
#define STRING_OF(x) #x
#define NUMBER_TEXT(x) STRING_OF(x)

static zo_status set_version(zo_results *r, zo_err *err)
{
    return run_sql(r, "PRAGMA user_version = " NUMBER_TEXT(ZO_SCHEMA_VERSION) "; PRAGMA application_id = " NUMBER_TEXT(APPLICATION_ID), err);
}

/* Schemas 1 and 2 had one table `runs`: each row becomes a cell of meaning 1 and its one try. Inside a transaction, foreign keys off. */
static zo_status migrate(zo_results *r, int64_t version, zo_err *err)
{
    static const char *const table[] = {"runs", "steps", "evaluations", "memory", "parts"};
    char sql[4096];
    zo_status status = run_sql(r, "DROP VIEW report; DROP VIEW peaks; DROP INDEX IF EXISTS runs_by_cell", err);
    for (size_t i = 0; i < sizeof table / sizeof *table && status == ZO_OK; i++) {
        snprintf(sql, sizeof sql, "ALTER TABLE %s RENAME TO old_%s", table[i], table[i]);
        status = run_sql(r, sql, err);
    }
    status = status == ZO_OK ? run_sql(r, zo_schema_sql, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    const char *storage = version == 1 ? "'f32'" : "storage", *accumulate = version == 1 ? "'weights'" : "accumulate";
    snprintf(sql, sizeof sql,
             "INSERT INTO cells (cell, identity, hash, meaning, model_fingerprint, tokenizer_fingerprint, rows_fingerprint, task_fingerprint,"
             " plugin_fingerprint, shown, config, model, task, form, optimizer, optimizer_options, batch, context_asked, steps_budget,"
             " forwards_budget, work_budget, seconds_budget, lr, eps, seed, precision, realisation, storage, accumulate, decoder, algorithms,"
             " device_kind, split, train_split_seed, test_split_seed, k, kshot_folder, eval_every, metric, selection, train, dev, test)"
             " SELECT run, hash || ':1', hash, 1, coalesce(model_fingerprint, ''), '', '', '', '', run, config, model, task, form, optimizer,"
             " optimizer_options, batch, context, steps_budget, forwards_budget, 0, seconds_budget, lr, eps, seed, precision, realisation, %s,"
             " %s, 'tied', 'first', device_kind, split, coalesce(json_extract(config, '$.data_seed'), 0),"
             " coalesce(json_extract(config, '$.data_seed'), 0), iif(split = 'kshot', 16, 0), iif(split = 'kshot', 'k-shot', ''), eval_every,"
             " 'accuracy', iif(selection = 'loss', 'dev-loss', 'dev-metric'), train, dev, test FROM old_runs",
             storage, accumulate);
    status = run_sql(r, sql, err);
    status = status == ZO_OK
                 ? run_sql(r,
                           "INSERT INTO tries (run, try, cell, status, message, revision, compiler, flags, host, kernel, device, driver, threads,"
                           " model_folder, data_folder, began, ended, context, accuracy, macro_f1, matthews, metric_value, selected, best_step,"
                           " dev_accuracy, dev_metric, steps, forwards, sequences, tokens, paper_tokens, examples, weight_bytes_written, normals,"
                           " train_seconds, eval_seconds, load_seconds, step_ms_median, device_hours, device_hours_total, peak_bytes,"
                           " train_peak_bytes, rss_peak_bytes, parameters, note)"
                           " SELECT run, lower(hex(randomblob(16))), run, status, message, revision, compiler, flags, host, kernel, device, driver,"
                           " threads, model_folder, data_folder, began, ended, context, accuracy, f1, matthews, accuracy, selected, best_step,"
                           " dev_accuracy, dev_accuracy, steps, forwards, sequences, tokens, paper_tokens, examples, weight_bytes_written, normals,"
                           " train_seconds, eval_seconds, load_seconds, step_ms, device_hours, device_hours_total, peak_bytes, train_peak_bytes,"
                           " rss_peak_bytes, parameters, note FROM old_runs",
                           err)
                 : status;
    status = status == ZO_OK ? run_sql(r,
                                       "INSERT INTO steps (run, step, loss, projected, lr, seconds, form, gemm, attention, elementwise, head, backward,"
                                       " \"update\", data, forwards, train_seconds) SELECT * FROM old_steps;"
                                       "INSERT INTO evaluations (run, step, split, examples, accuracy, macro_f1, matthews, loss, seconds, forwards,"
                                       " train_seconds, best) SELECT * FROM old_evaluations;"
                                       "INSERT INTO memory SELECT * FROM old_memory; INSERT INTO parts SELECT * FROM old_parts;"
                                       "DROP TABLE old_steps; DROP TABLE old_evaluations; DROP TABLE old_memory; DROP TABLE old_parts;"
                                       "DROP TABLE old_runs",
                                       err)
                             : status;
    return status == ZO_OK ? set_version(r, err) : status;
}

/* Is everything there that an older schema's migration reads? Another program's file may have the same user_version. */
static bool is_older_schema(zo_results *r)
{
    return sqlite3_exec(r->db, "SELECT hash, optimizer_options, step_ms FROM runs LIMIT 0; SELECT run, projected FROM steps LIMIT 0;"
                               "SELECT run, best FROM evaluations LIMIT 0; SELECT tag FROM memory LIMIT 0; SELECT part FROM parts LIMIT 0",
                        NULL, NULL, NULL) == SQLITE_OK;
}

/* A copy of the file as it is: FILE.schema2, or FILE.schema2.1 and so on where that is taken. */
static zo_status keep_copy(zo_results *r, int64_t version, zo_err *err)
{
    char copy[sizeof r->path + 32];
    snprintf(copy, sizeof copy, "%s.schema%lld", r->path, (long long)version);
    for (int n = 1; zo_path_exists(copy); n++) {
        snprintf(copy, sizeof copy, "%s.schema%lld.%d", r->path, (long long)version, n);
    }
    binder b;
    zo_status status = prepare(r, "VACUUM INTO ?", &b, err);
    if (status == ZO_OK) {
        put_text(&b, copy);
        status = step_and_finish(&b, err);
    }
    if (status != ZO_OK) {
        return zo_fail_in(err, "the copy of the older database before it is changed");
    }
    char *from = zo_text_plain_copy(r->path), *to = zo_text_plain_copy(copy);
    fprintf(stderr, "%s: brought from schema %lld to %d; the database as it was is kept as %s\n", from, (long long)version, ZO_SCHEMA_VERSION, to);
    zo_free(from);
    zo_free(to);
    return ZO_OK;
}

static zo_status upgrade(zo_results *r, int64_t version, zo_err *err)
{
    bool ok;
    zo_status status = r->reads ? ZO_OK : keep_copy(r, version, err);
    status = status == ZO_OK ? run_sql(r, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON", err) : status;
    status = status == ZO_OK ? begin(r, err) : status;
    if (status == ZO_OK) {
        bool mine = read_number(r, "PRAGMA user_version", &ok) == version; /* else another program was faster */
        status = end_transaction(r, mine ? migrate(r, version, err) : ZO_OK, err);
    }
    zo_status after = run_sql(r, "PRAGMA legacy_alter_table = OFF", status == ZO_OK ? err : NULL);
    return status == ZO_OK ? after : status;
}

/* The database in memory once more, not to be written to; temporary tables beside it are (query_only would forbid these too). */
static zo_status reopen_read_only(zo_results *r, zo_err *err)
{
    sqlite3_int64 bytes = 0;
    sqlite3 *memory = NULL;
    unsigned char *image = sqlite3_serialize(r->db, "main", &bytes, 0);
    if (image == NULL || bytes < 100 || sqlite3_open(":memory:", &memory) != SQLITE_OK) {
        sqlite3_free(image);
        sqlite3_close(memory);
        return zo_fail(err, ZO_EIO, "%s: there is no memory to read this older database", r->path);
    }
    image[18] = image[19] = 1; /* the file format's read and write version: 2, WAL, is none that memory can have */
    sqlite3_close(r->db);
    r->db = memory;
    return sqlite3_deserialize(memory, "main", image, bytes, bytes, SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_READONLY) == SQLITE_OK
               ? ZO_OK
               : fail_sql(r, err);
}

/* Readers change nothing: the older database is copied into memory and brought to this schema there. */
static zo_status upgrade_in_memory(zo_results *r, int64_t version, zo_err *err)
{
    sqlite3 *memory = NULL;
    if (sqlite3_open(":memory:", &memory) != SQLITE_OK) {
        sqlite3_close(memory);
        return zo_fail(err, ZO_EIO, "%s: there is no memory to read this older database", r->path);
    }
    sqlite3_backup *backup = sqlite3_backup_init(memory, "main", r->db, "main");
    int code = backup != NULL ? sqlite3_backup_step(backup, -1) : SQLITE_ERROR;
    sqlite3_backup_finish(backup);
    if (code != SQLITE_DONE) {
        zo_status status = fail_sql(r, err);
        sqlite3_close(memory);
        return status;
    }
    sqlite3_close(r->db);
    r->db = memory;
    zo_status status = upgrade(r, version, err);
    return status == ZO_OK ? reopen_read_only(r, err) : status;
}

static zo_status check_version(zo_results *r, bool create, zo_err *err)
{
    bool ok;
    int64_t version = read_number(r, "PRAGMA user_version", &ok);
    int64_t application = ok ? read_number(r, "PRAGMA application_id", &ok) : 0;
    int64_t tables = ok ? read_number(r, "SELECT count(*) FROM sqlite_master", &ok) : 0;
    if (!ok) {
        return fail_sql(r, err);
    }
    if (application == APPLICATION_ID && version == ZO_SCHEMA_VERSION) {
        return ZO_OK;
    }
    if (application == APPLICATION_ID && version > ZO_SCHEMA_VERSION) {
        return zo_fail(err, ZO_EINPUT, "%s: has schema version %lld, this program knows up to %d; use the newer program or another file",
                       r->path, (long long)version, ZO_SCHEMA_VERSION);
    }
    if (application == 0 && (version == 1 || version == 2) && is_older_schema(r)) {
        return r->reads ? upgrade_in_memory(r, version, err) : upgrade(r, version, err);
    }
    if (application != 0 || version != 0 || tables > 0 || !create) {
        return zo_fail(err, ZO_EINPUT, "%s: is an SQLite database, but not one of zo's; name another file with --db FILE", r->path);
    }
    /* Two programs may come here at once: the one that waits for the lock finds the work done. */
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    if (read_number(r, "PRAGMA user_version", &ok) == 0) {
        status = run_sql(r, zo_schema_sql, err);
        status = status == ZO_OK ? set_version(r, err) : status;
    }
    return end_transaction(r, status, err);
}

static zo_results *new_results(const char *path)
{
    zo_results *r = zo_alloc(ZO_HOST, ZO_TAG_OTHER, sizeof *r);
    r->lock = -1;
    snprintf(r->path, sizeof r->path, "%s", path);
    return r;
}

static zo_status make_parent(const char *path, zo_err *err)
{
    char folder[4096];
    snprintf(folder, sizeof folder, "%s", path);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) {
        return ZO_OK;
    }
    *slash = '\0';
    return zo_make_dirs(folder, err);
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

/* Nothing half-written stays of a file that was not there before (`existed`). `lock`: a descriptor that is given back with the database, -1 = none. */
static zo_status open_file(zo_results **results, const char *path, bool create, bool existed, int lock, zo_err *err)
{
    zo_results *r = new_results(path);
    r->lock = lock;
    zo_status status = ZO_OK;
    if (sqlite3_open_v2(path, &r->db, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), NULL) != SQLITE_OK) {
        status = fail_sql(r, err);
    }
    if (status == ZO_OK) {
        sqlite3_busy_timeout(r->db, BUSY_MS);
        status = check_version(r, create, err);
    }
    if (status == ZO_OK) {
        status = run_sql(r, "PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON; PRAGMA synchronous = NORMAL", err);
    }
    if (status == ZO_OK) { /* may it be written to? */
        status = run_sql(r, "BEGIN IMMEDIATE; CREATE TABLE zo_probe (x); ROLLBACK", err);
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
    status = status == ZO_OK && create ? make_parent(path, err) : status;
    return status == ZO_OK ? open_file(results, path, create, existed, -1, err) : status;
}

zo_status zo_results_open_alone(zo_results **results, const char *path, zo_err *err)
{
    *results = NULL;
    zo_status status = check_path(path, err);
    bool existed = zo_path_exists(path);
    status = status == ZO_OK ? make_parent(path, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock < 0) {
        return zo_fail(err, ZO_EIO, "%s: cannot be written (%s); name a file in a folder that you may write to with --db FILE", path, strerror(errno));
    }
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
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
        status = fail_sql(r, err);
    }
    if (status == ZO_OK) {
        sqlite3_busy_timeout(r->db, BUSY_MS);
        bool ok;
        read_number(r, "SELECT count(*) FROM sqlite_master", &ok);
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
                status = fail_sql(r, err);
            }
        }
    }
    if (status == ZO_OK) {
        status = check_version(r, false, err);
    }
    if (status != ZO_OK) {
        zo_results_close(r);
        return status;
    }
    *results = r;
    return ZO_OK;
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

/* ---- rows as tables of fields ------------------------------------------------------------------------------------------- */

/* A column and the member of a struct that fills it. */
typedef enum field_type { TEXT, CHARS, INT, UNSIGNED, INT32, KNOWN, FLAG, REAL } field_type; /* CHARS: char[]; KNOWN: int64_t, negative = NULL */
typedef struct field { const char *column; field_type type; size_t offset; } field;

static void put_field(binder *b, const field *f, const void *row)
{
    const char *at = (const char *)row + f->offset;
    switch (f->type) {
    case TEXT:
        put_text(b, *(const char *const *)at);
        break;
    case CHARS:
        put_text(b, at);
        break;
    case INT:
    case UNSIGNED:
        put_int(b, *(const int64_t *)at);
        break;
    case INT32:
        put_int(b, *(const int *)at);
        break;
    case KNOWN:
        if (*(const int64_t *)at < 0) {
            put_text(b, NULL);
        } else {
            put_int(b, *(const int64_t *)at);
        }
        break;
    case FLAG:
        put_int(b, *(const bool *)at);
        break;
    case REAL:
        put_real(b, *(const double *)at);
        break;
    }
}

static void put_fields(binder *b, const field *f, int n, const void *row)
{
    for (int i = 0; i < n; i++) {
        put_field(b, &f[i], row);
    }
}

/* Appends "a, b, c", or with `each` "a = ?, b = ?", behind a comma where the text does not end in a blank. */
static void list_columns(char *sql, size_t size, const field *f, int n, bool each)
{
    size_t at = strlen(sql);
    for (int i = 0; i < n && at < size; i++) {
        at += (size_t)snprintf(sql + at, size - at, "%s%s%s", at > 0 && sql[at - 1] != ' ' ? ", " : "", f[i].column, each ? " = ?" : "");
    }
    ZO_CHECK(at < size, "the statement has more than %zu bytes", size);
}

/* Closes "INSERT INTO table (columns" with a ? for each of n columns and, where not NULL, a column more whose value is the text `last`. */
static void end_insert(char *sql, size_t size, int n, const char *last)
{
    size_t at = strlen(sql);
    at += (size_t)snprintf(sql + at, size - at, ") VALUES (");
    for (int i = 0; i < n && at < size; i++) {
        at += (size_t)snprintf(sql + at, size - at, "%s?", i > 0 ? ", " : "");
    }
    at += at < size ? (size_t)snprintf(sql + at, size - at, "%s%s)", last != NULL ? ", " : "", last != NULL ? last : "") : 0;
    ZO_CHECK(at < size, "the statement has more than %zu bytes", size);
}

#define FIELDS(list) ((int)(sizeof(list) / sizeof *(list)))

#define MEMBER(m) offsetof(zo_cell_row, m)
static const field cell_fields[] = {{"config", TEXT, MEMBER(config)},
                                    {"optimizer", TEXT, MEMBER(optimizer)},
                                    {"optimizer_options", TEXT, MEMBER(optimizer_options)}};
#undef MEMBER

static void put_setting(binder *b, const zo_opt *key, const void *settings)
{
    const void *member = zo_opt_member(key, settings);
    size_t n;
    switch (key->type) {
    case ZO_OPT_INT:
        put_int(b, *(const int64_t *)member);
        break;
    case ZO_OPT_REAL:
        put_real(b, *(const double *)member);
        break;
    case ZO_OPT_BOOL:
        put_int(b, *(const bool *)member);
        break;
    case ZO_OPT_STRING:
        put_text(b, member);
        break;
    case ZO_OPT_CHOICE:
        member = zo_opt_choice(key, settings, &n);
        sqlite3_bind_text(b->s, ++b->at, member, (int)n, SQLITE_TRANSIENT);
        break;
    }
}

#define MEMBER(m) offsetof(zo_host_row, m)
static const field host_fields[] = {{"revision", TEXT, MEMBER(revision)}, {"binary", TEXT, MEMBER(binary)}, {"compiler", TEXT, MEMBER(compiler)},
                                    {"flags", TEXT, MEMBER(flags)},       {"host", TEXT, MEMBER(host)},     {"kernel", TEXT, MEMBER(kernel)},
                                    {"device", TEXT, MEMBER(device)},     {"driver", TEXT, MEMBER(driver)}, {"threads", INT32, MEMBER(threads)},
                                    {"memory_limit_bytes", KNOWN, MEMBER(memory_limit_bytes)}};
#undef MEMBER

#define MEMBER(m) offsetof(zo_identity, m)
static const field identity_fields[] = {{"hash", CHARS, MEMBER(hash)},
                                        {"model_fingerprint", CHARS, MEMBER(model)},
                                        {"tokenizer_fingerprint", CHARS, MEMBER(tokenizer)},
                                        {"rows_fingerprint", CHARS, MEMBER(rows)},
                                        {"task_fingerprint", CHARS, MEMBER(task)},
                                        {"plugin_fingerprint", CHARS, MEMBER(plugin)}};
#undef MEMBER

#define MEMBER(m) offsetof(zo_run_end, m)
static const field end_fields[] = {{"status", TEXT, MEMBER(status)},
                                   {"message", TEXT, MEMBER(message)},
                                   {"marks", TEXT, MEMBER(marks)},
                                   {"fault_step", KNOWN, MEMBER(fault_step)},
                                   {"promise", TEXT, MEMBER(promise)},
                                   {"context", KNOWN, MEMBER(context)},
                                   {"train_rows", KNOWN, MEMBER(train_rows)},
                                   {"dev_rows", KNOWN, MEMBER(dev_rows)},
                                   {"test_rows", KNOWN, MEMBER(test_rows)},
                                   {"cut_sequences", KNOWN, MEMBER(cut_sequences)},
                                   {"decoder_used", TEXT, MEMBER(decoder_used)},
                                   {"accuracy", REAL, MEMBER(accuracy)},
                                   {"f1", REAL, MEMBER(f1)},
                                   {"macro_f1", REAL, MEMBER(macro_f1)},
                                   {"matthews", REAL, MEMBER(matthews)},
                                   {"metric_value", REAL, MEMBER(metric_value)},
                                   {"selected", TEXT, MEMBER(selected)},
                                   {"best_step", KNOWN, MEMBER(best_step)},
                                   {"dev_accuracy", REAL, MEMBER(dev_accuracy)},
                                   {"dev_metric", REAL, MEMBER(dev_metric)},
                                   {"dev_loss", REAL, MEMBER(dev_loss)},
                                   {"steps", INT, MEMBER(steps)},
                                   {"forwards", UNSIGNED, MEMBER(forwards)},
                                   {"flops", REAL, MEMBER(flops)},
                                   {"work", REAL, MEMBER(work)},
                                   {"paper_queries", REAL, MEMBER(paper_queries)},
                                   {"sequences", UNSIGNED, MEMBER(sequences)},
                                   {"tokens", UNSIGNED, MEMBER(tokens)},
                                   {"paper_tokens", UNSIGNED, MEMBER(paper_tokens)},
                                   {"examples", UNSIGNED, MEMBER(examples)},
                                   {"weight_bytes_written", UNSIGNED, MEMBER(weight_bytes_written)},
                                   {"normals", UNSIGNED, MEMBER(normals)},
                                   {"drift_max", REAL, MEMBER(drift_max)},
                                   {"train_seconds", REAL, MEMBER(train_seconds)},
                                   {"eval_seconds", REAL, MEMBER(eval_seconds)},
                                   {"load_seconds", REAL, MEMBER(load_seconds)},
                                   {"step_ms", REAL, MEMBER(step_ms)},
                                   {"step_ms_median", REAL, MEMBER(step_ms_median)},
                                   {"step_ms_q1", REAL, MEMBER(step_ms_q1)},
                                   {"step_ms_q3", REAL, MEMBER(step_ms_q3)},
                                   {"full_steps", INT, MEMBER(full_steps)},
                                   {"full_step_ms", REAL, MEMBER(full_step_ms)},
                                   {"other_step_ms", REAL, MEMBER(other_step_ms)},
                                   {"cpu_seconds", REAL, MEMBER(cpu_seconds)},
                                   {"foreign_seconds", REAL, MEMBER(foreign_seconds)},
                                   {"steal_seconds", REAL, MEMBER(steal_seconds)},
                                   {"load_average", REAL, MEMBER(load_average)},
                                   {"switches", KNOWN, MEMBER(switches)},
                                   {"disturbed", FLAG, MEMBER(disturbed)},
                                   {"peak_bytes", UNSIGNED, MEMBER(peak_bytes)},
                                   {"train_peak_bytes", UNSIGNED, MEMBER(train_peak_bytes)},
                                   {"rss_peak_bytes", UNSIGNED, MEMBER(rss_peak_bytes)},
                                   {"parameters", KNOWN, MEMBER(parameters)},
                                   {"note", TEXT, MEMBER(note)}};
#undef MEMBER

/* ---- cells and tries ------------------------------------------------------------------------------------------------------ */

#define FINISHED "('done', 'diverged', 'dead', 'oom', 'time', 'unsupported')"

/* 64 bits over all that makes the cell what it is. */
static void identity_text(const zo_identity *i, char text[17])
{
    char all[200];
    int n = snprintf(all, sizeof all, "%s %d %s %s %s %s %s", i->hash, ZO_MEANING, i->model, i->tokenizer, i->rows, i->task, i->plugin);
    snprintf(text, 17, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, all, (size_t)n));
}

static void take_text(binder *b, int column, char *out, size_t size) /* NULL leaves it as it is */
{
    const unsigned char *text = sqlite3_column_text(b->s, column);
    if (text != NULL) {
        snprintf(out, size, "%s", (const char *)text);
    }
}

static double real_at(binder *b, int column)
{
    return sqlite3_column_type(b->s, column) == SQLITE_NULL ? NAN : sqlite3_column_double(b->s, column);
}

/* The last row of all_runs with this hash that `condition` and `fits` take. */
static zo_status find_run(zo_results *r, const char *condition, const zo_identity *identity,
                          bool (*fits)(const zo_run_brief *, const zo_identity *), zo_run_brief *found, zo_err *err)
{
    const zo_run_brief none = {.metric_value = NAN, .step_ms = NAN};
    char sql[1000];
    snprintf(sql, sizeof sql,
             "SELECT run, status, message, marks, metric, metric_value, step_ms, peak_bytes, revision, model_folder, meaning, memory_limit_bytes,"
             " status IN " FINISHED ", hash, model_fingerprint, tokenizer_fingerprint, rows_fingerprint, task_fingerprint, plugin_fingerprint"
             " FROM all_runs WHERE hash = ? AND %s ORDER BY run DESC", condition);
    binder b;
    *found = none;
    zo_status status = prepare(r, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    put_text(&b, identity->hash);
    int code;
    while (found->status[0] == '\0' && (code = sqlite3_step(b.s)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            status = fail_sql(r, err);
            break;
        }
        zo_run_brief row = none;
        row.run = sqlite3_column_int64(b.s, 0);
        take_text(&b, 1, row.status, sizeof row.status);
        take_text(&b, 2, row.message, sizeof row.message);
        take_text(&b, 3, row.marks, sizeof row.marks);
        take_text(&b, 4, row.metric, sizeof row.metric);
        row.metric_value = real_at(&b, 5);
        row.step_ms = real_at(&b, 6);
        row.peak_bytes = (uint64_t)sqlite3_column_int64(b.s, 7);
        take_text(&b, 8, row.revision, sizeof row.revision);
        take_text(&b, 9, row.model_folder, sizeof row.model_folder);
        row.meaning = sqlite3_column_int64(b.s, 10);
        row.memory_limit_bytes = (uint64_t)sqlite3_column_int64(b.s, 11);
        row.finished = sqlite3_column_int(b.s, 12) != 0;
        for (int i = 0; i < FIELDS(identity_fields); i++) {
            take_text(&b, 13 + i, (char *)&row.identity + identity_fields[i].offset, sizeof row.identity.hash);
        }
        if (fits(&row, identity)) {
            *found = row;
        }
    }
    sqlite3_finalize(b.s);
    return status;
}

static bool is_same(const zo_run_brief *row, const zo_identity *identity)
{
    for (int i = 0; i < FIELDS(identity_fields); i++) {
        const char *a = (const char *)&row->identity + identity_fields[i].offset, *b = (const char *)identity + identity_fields[i].offset;
        if (a[0] != '\0' && b[0] != '\0' && strcmp(a, b) != 0) {
            return false;
        }
    }
    return true;
}

static bool is_exact(const zo_run_brief *row, const zo_identity *identity)
{
    return memcmp(&row->identity, identity, sizeof *identity) == 0; /* texts that fill their arrays, or are empty */
}

static bool is_other(const zo_run_brief *row, const zo_identity *identity)
{
    return !is_same(row, identity);
}

#define THIS_MEANING "meaning = " NUMBER_TEXT(ZO_MEANING)

zo_status zo_results_brief(zo_results *r, const zo_identity *identity, zo_run_brief *brief, zo_err *err)
{
    return find_run(r, "run = shown AND " THIS_MEANING, identity, is_same, brief, err);
}

zo_status zo_results_try(zo_results *r, const zo_identity *identity, zo_run_brief *brief, zo_err *err)
{
    return find_run(r, THIS_MEANING, identity, is_exact, brief, err);
}

zo_status zo_results_relative(zo_results *r, const zo_identity *identity, zo_run_brief *brief, zo_err *err)
{
    return find_run(r, "run = shown AND status IN " FINISHED " AND " THIS_MEANING, identity, is_other, brief, err);
}

zo_status zo_results_older(zo_results *r, int64_t *cells, zo_err *err)
{
    bool ok;
    *cells = read_number(r, "SELECT count(*) FROM runs WHERE status IN " FINISHED " AND NOT " THIS_MEANING, &ok);
    return ok ? ZO_OK : fail_sql(r, err);
}

/* The cell's number; it is inserted where it is new. */
static zo_status find_cell(zo_results *r, const zo_cell_row *c, const zo_identity *identity, int64_t *cell, zo_err *err)
{
    char text[17], sql[4096];
    identity_text(identity, text);
    binder b;
    zo_status status = prepare(r, "SELECT cell FROM cells WHERE identity = ?", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    put_text(&b, text);
    bool found = sqlite3_step(b.s) == SQLITE_ROW;
    *cell = found ? sqlite3_column_int64(b.s, 0) : 0;
    sqlite3_finalize(b.s);
    if (found) {
        return ZO_OK;
    }
    snprintf(sql, sizeof sql, "INSERT INTO cells (identity, meaning, ");
    list_columns(sql, sizeof sql, identity_fields, FIELDS(identity_fields), false);
    list_columns(sql, sizeof sql, cell_fields, FIELDS(cell_fields), false);
    int settings = 0;
    for (const zo_opt *k = c->keys; k->key != NULL; k++) {
        if (k->column != NULL) {
            const field setting = {.column = k->column};
            list_columns(sql, sizeof sql, &setting, 1, false);
            settings++;
        }
    }
    end_insert(sql, sizeof sql, 2 + FIELDS(identity_fields) + FIELDS(cell_fields) + settings, NULL);
    status = prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        put_text(&b, text);
        put_int(&b, ZO_MEANING);
        put_fields(&b, identity_fields, FIELDS(identity_fields), identity);
        put_fields(&b, cell_fields, FIELDS(cell_fields), c);
        for (const zo_opt *k = c->keys; k->key != NULL; k++) {
            if (k->column != NULL) {
                put_setting(&b, k, c->settings);
            }
        }
        status = step_and_finish(&b, err);
        *cell = sqlite3_last_insert_rowid(r->db);
    }
    return status;
}

/* This try counts from now on, unless another one of its cell has a result and it has none. */
static zo_status show_try(zo_results *r, int64_t run, zo_err *err)
{
    binder b;
    zo_status status = prepare(r,
                               "UPDATE cells SET shown = ?1 WHERE cell = (SELECT cell FROM tries WHERE run = ?1) AND (shown IS NULL OR"
                               " (SELECT status FROM tries WHERE run = ?1) IN " FINISHED " OR"
                               " (SELECT status FROM tries WHERE run = shown) NOT IN " FINISHED ")",
                               &b, err);
    if (status == ZO_OK) {
        put_int(&b, run);
        status = step_and_finish(&b, err);
    }
    return status;
}

static zo_status insert_try(zo_results *r, const zo_cell_row *c, const zo_identity *identity, const zo_host_row *h, int64_t *run, zo_err *err)
{
    int64_t cell;
    zo_status status = find_cell(r, c, identity, &cell, err);
    if (status != ZO_OK) {
        return status;
    }
    static const field began = {.column = "began"};
    unsigned char bits[16];
    char name[33], sql[2048] = "INSERT INTO tries (try, cell, status, ";
    if (getentropy(bits, sizeof bits) != 0) {
        return zo_fail(err, ZO_EIO, "the system gives no random bits for the name of a try: %s", strerror(errno));
    }
    for (size_t i = 0; i < sizeof bits; i++) {
        snprintf(name + 2 * i, 3, "%02x", bits[i]);
    }
    list_columns(sql, sizeof sql, host_fields, FIELDS(host_fields), false);
    list_columns(sql, sizeof sql, &began, 1, false);
    end_insert(sql, sizeof sql, 3 + FIELDS(host_fields), "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')");
    binder b;
    status = prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        put_text(&b, name);
        put_int(&b, cell);
        put_text(&b, "running");
        put_fields(&b, host_fields, FIELDS(host_fields), h);
        status = step_and_finish(&b, err);
        *run = sqlite3_last_insert_rowid(r->db);
    }
    return status == ZO_OK ? show_try(r, *run, err) : status;
}

zo_status zo_results_begin(zo_results *r, const zo_cell_row *cell, const zo_identity *identity, const zo_host_row *host, int64_t *run, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status == ZO_OK) {
        status = end_transaction(r, insert_try(r, cell, identity, host, run, err), err);
    }
    return status;
}

zo_status zo_results_source(zo_results *r, int64_t run, const zo_source_row *source, zo_err *err)
{
    binder b;
    zo_status status = prepare(r, "UPDATE tries SET model_folder = ?, data_folder = ? WHERE run = ?", &b, err);
    if (status == ZO_OK) {
        put_text(&b, source->model_folder);
        put_text(&b, source->data_folder);
        put_int(&b, run);
        status = step_and_finish(&b, err);
    }
    return status;
}

zo_status zo_results_steps(zo_results *r, int64_t run, const zo_step_row *row, int n, zo_err *err)
{
    if (n == 0) {
        return ZO_OK;
    }
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    binder b;
    status = prepare(r,
                     "INSERT INTO steps (run, step, loss, projected, lr, full_steps, seconds, form, gemm, attention, elementwise, head, backward,"
                     " \"update\", data, forwards, work, train_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     &b, err);
    for (int i = 0; i < n && status == ZO_OK; i++) {
        put_int(&b, run);
        put_int(&b, row[i].step);
        put_real(&b, row[i].loss);
        put_real(&b, row[i].projected);
        put_real(&b, row[i].lr);
        put_int(&b, row[i].full_steps);
        put_real(&b, row[i].seconds);
        static const zo_part column[] = {ZO_PART_FORM, ZO_PART_GEMM,     ZO_PART_ATTENTION, ZO_PART_ELEMENTWISE,
                                         ZO_PART_HEAD, ZO_PART_BACKWARD, ZO_PART_UPDATE,    ZO_PART_DATA};
        for (size_t k = 0; k < sizeof column / sizeof *column; k++) {
            put_real(&b, row[i].part[column[k]]);
        }
        put_int(&b, (int64_t)row[i].forwards);
        put_real(&b, row[i].work);
        put_real(&b, row[i].train_seconds);
        status = step_once(&b, err);
    }
    sqlite3_finalize(b.s);
    return end_transaction(r, status, err);
}

zo_status zo_results_eval(zo_results *r, int64_t run, const zo_eval_row *row, zo_err *err)
{
#define MEMBER(m) offsetof(zo_eval_row, m)
    static const field fields[] = {{"step", INT, MEMBER(step)},
                                   {"split", TEXT, MEMBER(split)},
                                   {"examples", INT, MEMBER(examples)},
                                   {"accuracy", REAL, MEMBER(accuracy)},
                                   {"f1", REAL, MEMBER(f1)},
                                   {"macro_f1", REAL, MEMBER(macro_f1)},
                                   {"matthews", REAL, MEMBER(matthews)},
                                   {"loss", REAL, MEMBER(loss)},
                                   {"constant", FLAG, MEMBER(constant)},
                                   {"seconds", REAL, MEMBER(seconds)},
                                   {"forwards", UNSIGNED, MEMBER(forwards)},
                                   {"work", REAL, MEMBER(work)},
                                   {"train_seconds", REAL, MEMBER(train_seconds)},
                                   {"best", FLAG, MEMBER(best)}};
#undef MEMBER
    char sql[1000] = "INSERT OR REPLACE INTO evaluations (run, ";
    list_columns(sql, sizeof sql, fields, FIELDS(fields), false);
    end_insert(sql, sizeof sql, 1 + FIELDS(fields), NULL);
    binder b;
    zo_status status = prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        put_int(&b, run);
        put_fields(&b, fields, FIELDS(fields), row);
        status = step_and_finish(&b, err);
    }
    return status;
}

zo_status zo_results_memory(zo_results *r, int64_t run, zo_phase phase, const zo_peak *peak, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    binder b;
    status = prepare(r, "INSERT OR REPLACE INTO memory (run, phase, tag, bytes) VALUES (?, ?, ?, ?)", &b, err);
    for (int tag = 0; tag < ZO_TAGS && status == ZO_OK; tag++) {
        put_int(&b, run);
        put_text(&b, phase < ZO_PHASES ? zo_phase_name(phase) : "overall");
        put_text(&b, zo_tag_name((zo_tag)tag));
        put_int(&b, (int64_t)peak->tag_bytes[tag]);
        status = step_once(&b, err);
    }
    sqlite3_finalize(b.s);
    return end_transaction(r, status, err);
}

static zo_status insert_part(zo_results *r, int64_t run, const char *name, double seconds, int64_t steps, zo_err *err)
{
    binder b;
    zo_status status = prepare(r, "INSERT OR REPLACE INTO parts (run, part, seconds, ms) VALUES (?, ?, ?, ?)", &b, err);
    if (status == ZO_OK) {
        put_int(&b, run);
        put_text(&b, name);
        put_real(&b, seconds);
        put_real(&b, 1e3 * seconds / (double)steps);
        status = step_and_finish(&b, err);
    }
    return status;
}

static zo_status insert_parts(zo_results *r, int64_t run, const zo_run_end *e, zo_err *err)
{
    zo_status status = ZO_OK;
    double rest = e->train_seconds;
    for (int part = 0; part < ZO_PARTS && status == ZO_OK; part++) {
        rest -= e->part[part];
        status = insert_part(r, run, zo_part_name((zo_part)part), e->part[part], e->steps, err);
    }
    return status != ZO_OK ? status : insert_part(r, run, "other", rest > 0 ? rest : 0, e->steps, err);
}

zo_status zo_results_end(zo_results *r, int64_t run, const zo_run_end *e, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    char sql[4096] = "UPDATE tries SET ";
    list_columns(sql, sizeof sql, end_fields, FIELDS(end_fields), true);
    strncat(sql, ", device_hours = ?, device_hours_total = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE run = ?",
            sizeof sql - strlen(sql) - 1);
    binder b;
    status = prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        put_fields(&b, end_fields, FIELDS(end_fields), e);
        put_real(&b, e->train_seconds / 3600);
        put_real(&b, (e->train_seconds + e->eval_seconds) / 3600);
        put_int(&b, run);
        status = step_and_finish(&b, err);
    }
    if (status == ZO_OK && e->steps > 0) {
        status = insert_parts(r, run, e, err);
    }
    status = status == ZO_OK ? show_try(r, run, err) : status;
    return end_transaction(r, status, err);
}

zo_status zo_results_sweep_running(zo_results *r, zo_err *err)
{
    return run_sql(r,
                   "UPDATE tries SET status = 'killed', message = 'the program was ended before the cell was done', "
                   "ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE status = 'running'",
                   err);
}

/* Ends the try of this cell that is running; *run = 0 where there is none. */
static zo_status mark_running(zo_results *r, const zo_identity *identity, const char *status_text, const char *message, int64_t *run, zo_err *err)
{
    char text[17];
    identity_text(identity, text);
    binder b;
    *run = 0;
    zo_status status = prepare(r, "SELECT run FROM tries JOIN cells USING (cell) WHERE identity = ? AND status = 'running'", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    put_text(&b, text);
    if (sqlite3_step(b.s) == SQLITE_ROW) {
        *run = sqlite3_column_int64(b.s, 0);
    }
    sqlite3_finalize(b.s);
    if (*run == 0) {
        return ZO_OK;
    }
    status = prepare(r, "UPDATE tries SET status = ?, message = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE run = ?", &b, err);
    if (status == ZO_OK) {
        put_text(&b, status_text);
        put_text(&b, message);
        put_int(&b, *run);
        status = step_and_finish(&b, err);
    }
    return status == ZO_OK ? show_try(r, *run, err) : status;
}

zo_status zo_results_abandon(zo_results *r, const zo_cell_row *cell, const zo_identity *identity, const zo_host_row *host, const char *status_text,
                             const char *message, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    int64_t run;
    status = mark_running(r, identity, status_text, message, &run, err);
    if (status == ZO_OK && run == 0) {
        status = insert_try(r, cell, identity, host, &run, err);
        status = status == ZO_OK ? mark_running(r, identity, status_text, message, &run, err) : status;
    }
    return end_transaction(r, status, err);
}
