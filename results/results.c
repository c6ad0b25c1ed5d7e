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

ZO_EMBED(zo_schema_sql, "results/schema.sql");

#define BUSY_MS 20000

struct zo_results {
    sqlite3 *db;
    bool reads; /* opened by zo_results_open_read */
    int lock; /* descriptor that holds the flock; -1 = none. Closed after the database, since closing it drops SQLite's locks too */
    char path[4096];
};

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

/* The statement that makes the view `report`, from the schema's text. */
static void report_view(const char *create, char *sql, size_t size)
{
    const char *from = strstr(zo_schema_sql, "CREATE VIEW report AS");
    ZO_CHECK(from != NULL && strchr(from, ';') != NULL, "results/schema.sql has no view `report`");
    from += strlen("CREATE VIEW");
    snprintf(sql, size, "%s%.*s", create, (int)(strchr(from, ';') + 1 - from), from);
}

/* Version 1 had no columns `storage` and `accumulate`: every run was what their defaults say. */
static zo_status upgrade(zo_results *r, zo_err *err)
{
    static const char *const column[] = {"storage TEXT NOT NULL DEFAULT 'f32'", "accumulate TEXT NOT NULL DEFAULT 'weights'"};
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    bool ok;
    if (read_number(r, "PRAGMA user_version", &ok) == 1) { /* else another program was faster */
        char sql[4096];
        for (size_t i = 0; i < sizeof column / sizeof *column && status == ZO_OK; i++) {
            snprintf(sql, sizeof sql, "ALTER TABLE runs ADD COLUMN %s", column[i]);
            status = run_sql(r, sql, err);
        }
        report_view("DROP VIEW report; CREATE VIEW", sql, sizeof sql);
        status = status == ZO_OK ? run_sql(r, sql, err) : status;
        status = status == ZO_OK ? run_sql(r, "PRAGMA user_version = 2", err) : status;
    }
    return end_transaction(r, status, err);
}

/* The same for a reader, in views that stand before the tables for this connection alone. */
static zo_status show_upgraded(zo_results *r, zo_err *err)
{
    char sql[4096];
    zo_status status = run_sql(r, "CREATE TEMP VIEW runs AS SELECT *, 'f32' AS storage, 'weights' AS accumulate FROM main.runs", err);
    report_view("CREATE TEMP VIEW", sql, sizeof sql);
    return status == ZO_OK ? run_sql(r, sql, err) : status;
}

static zo_status check_version(zo_results *r, bool create, zo_err *err)
{
    bool ok;
    int64_t version = read_number(r, "PRAGMA user_version", &ok);
    if (!ok) {
        return fail_sql(r, err);
    }
    if (version == ZO_SCHEMA_VERSION) {
        return ZO_OK;
    }
    if (version == 1) {
        return r->reads ? show_upgraded(r, err) : upgrade(r, err);
    }
    if (version > ZO_SCHEMA_VERSION) {
        return zo_fail(err, ZO_EINPUT, "%s: has schema version %lld, this program knows up to %d; use the newer program or another file",
                       r->path, (long long)version, ZO_SCHEMA_VERSION);
    }
    int64_t tables = read_number(r, "SELECT count(*) FROM sqlite_master", &ok);
    if (!ok) {
        return fail_sql(r, err);
    }
    if (tables > 0 || !create) {
        return zo_fail(err, ZO_EINPUT, "%s: is an SQLite database, but not one of zo's; name another file with --db FILE", r->path);
    }
    /* Two programs may come here at once: the one that waits for the lock finds the work done. */
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    if (read_number(r, "PRAGMA user_version", &ok) == 0) {
        status = run_sql(r, zo_schema_sql, err);
        if (status == ZO_OK) {
            char sql[64];
            snprintf(sql, sizeof sql, "PRAGMA user_version = %d", ZO_SCHEMA_VERSION);
            status = run_sql(r, sql, err);
        }
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

zo_status zo_results_open(zo_results **results, const char *path, bool create, zo_err *err)
{
    *results = NULL;
    if (strlen(path) >= 4000) {
        return zo_fail(err, ZO_EINPUT, "--db: the path has %zu bytes; at most 4000 are permitted", strlen(path));
    }
    if (!create && !zo_path_exists(path)) {
        return zo_fail(err, ZO_EIO, "%s: there is no such database; `zo run CONFIG.json --db %s` makes one", path, path);
    }
    if (zo_path_is_dir(path)) {
        return zo_fail(err, ZO_EINPUT, "%s: is a folder; expected a database file such as %s/zo.db", path, path);
    }
    zo_status status = zo_path_check_file(path, err);
    status = status == ZO_OK && create ? make_parent(path, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_results *r = new_results(path);
    bool existed = zo_path_exists(path);
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
    }
    if (status != ZO_OK) {
        zo_results_close(r);
        if (!existed && create) {
            unlink(path); /* nothing half-written */
        }
        return status;
    }
    *results = r;
    return ZO_OK;
}

zo_status zo_results_open_read(zo_results **results, const char *path, zo_err *err)
{
    *results = NULL;
    if (!zo_path_exists(path)) {
        return zo_fail(err, ZO_EIO, "%s: there is no such database; `zo run CONFIG.json --db %s` makes one", path, path);
    }
    zo_status status = zo_path_check_file(path, err);
    if (status != ZO_OK) {
        return status;
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

zo_status zo_results_lock(zo_results *r, zo_err *err)
{
    r->lock = open(r->path, O_RDONLY | O_CLOEXEC);
    if (r->lock < 0) {
        return zo_fail(err, ZO_EIO, "%s: cannot be opened: %s", r->path, strerror(errno));
    }
    if (flock(r->lock, LOCK_EX | LOCK_NB) != 0) {
        /* The descriptor stays open: closing it would drop SQLite's own locks on the file. */
        return zo_fail(err, ZO_EINPUT, "%s: another `zo run` is working on it; wait for that one, or name another file with --db FILE",
                       r->path);
    }
    return ZO_OK;
}

/* ---- runs ------------------------------------------------------------------------------------------------------------- */

bool zo_results_has(zo_results *r, const char *hash)
{
    binder b;
    if (prepare(r, "SELECT 1 FROM runs WHERE hash = ? AND status IN ('done', 'diverged', 'oom', 'time', 'unsupported')", &b, NULL) !=
        ZO_OK) {
        return false;
    }
    put_text(&b, hash);
    bool has = sqlite3_step(b.s) == SQLITE_ROW;
    sqlite3_finalize(b.s);
    return has;
}

zo_status zo_results_forget(zo_results *r, const char *hash, zo_err *err)
{
    binder b;
    zo_status status = prepare(r, "DELETE FROM runs WHERE hash = ?", &b, err);
    if (status == ZO_OK) {
        put_text(&b, hash);
        status = step_and_finish(&b, err);
    }
    return status;
}

static zo_status insert_run(zo_results *r, const zo_cell_row *c, const zo_host_row *h, int64_t *run, zo_err *err)
{
    binder b;
    zo_status status = prepare(r, "DELETE FROM runs WHERE hash = ? AND status IN ('running', 'failed', 'killed')", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    put_text(&b, c->hash);
    status = step_and_finish(&b, err);
    if (status != ZO_OK) {
        return status;
    }
    status = prepare(r,
                     "INSERT INTO runs (hash, config, status, model, task, form, optimizer, optimizer_options, batch, context,"
                     " steps_budget, forwards_budget, seconds_budget, lr, eps, seed, precision, realisation, storage, accumulate, device_kind, split,"
                     " eval_every, selection, train, dev, test, revision, compiler, flags, host, kernel, device, driver, threads, began)"
                     " VALUES (?, ?, 'running', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
                     " strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                     &b, err);
    if (status != ZO_OK) {
        return status;
    }
    put_text(&b, c->hash);
    put_text(&b, c->config);
    put_text(&b, c->model);
    put_text(&b, c->task);
    put_text(&b, c->form);
    put_text(&b, c->optimizer);
    put_text(&b, c->optimizer_options);
    put_int(&b, c->batch);
    put_int(&b, c->context);
    put_int(&b, c->steps);
    put_int(&b, c->forwards);
    put_real(&b, c->seconds);
    put_real(&b, c->lr);
    put_real(&b, c->eps);
    put_int(&b, c->seed);
    put_text(&b, c->precision);
    put_text(&b, c->realisation);
    put_text(&b, c->storage);
    put_text(&b, c->accumulate);
    put_text(&b, c->device_kind);
    put_text(&b, c->split);
    put_int(&b, c->eval_every);
    put_text(&b, c->selection);
    put_int(&b, c->train);
    put_int(&b, c->dev);
    put_int(&b, c->test);
    put_text(&b, h->revision);
    put_text(&b, h->compiler);
    put_text(&b, h->flags);
    put_text(&b, h->host);
    put_text(&b, h->kernel);
    put_text(&b, h->device);
    put_text(&b, h->driver);
    put_int(&b, h->threads);
    status = step_and_finish(&b, err);
    *run = sqlite3_last_insert_rowid(r->db);
    return status;
}

zo_status zo_results_begin(zo_results *r, const zo_cell_row *cell, const zo_host_row *host, int64_t *run, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status == ZO_OK) {
        status = end_transaction(r, insert_run(r, cell, host, run, err), err);
    }
    return status;
}

zo_status zo_results_source(zo_results *r, int64_t run, const zo_source_row *source, zo_err *err)
{
    binder b;
    zo_status status = prepare(r, "UPDATE runs SET model_folder = ?, model_fingerprint = ?, data_folder = ? WHERE run = ?", &b, err);
    if (status == ZO_OK) {
        put_text(&b, source->model_folder);
        put_text(&b, source->model_fingerprint);
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
                     "INSERT INTO steps (run, step, loss, projected, lr, seconds, form, gemm, attention, elementwise, head, backward,"
                     " \"update\", data, forwards, train_seconds) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                     &b, err);
    for (int i = 0; i < n && status == ZO_OK; i++) {
        put_int(&b, run);
        put_int(&b, row[i].step);
        put_real(&b, row[i].loss);
        put_real(&b, row[i].projected);
        put_real(&b, row[i].lr);
        put_real(&b, row[i].seconds);
        static const zo_part column[] = {ZO_PART_FORM, ZO_PART_GEMM,     ZO_PART_ATTENTION, ZO_PART_ELEMENTWISE,
                                         ZO_PART_HEAD, ZO_PART_BACKWARD, ZO_PART_UPDATE,    ZO_PART_DATA};
        for (size_t k = 0; k < sizeof column / sizeof *column; k++) {
            put_real(&b, row[i].part[column[k]]);
        }
        put_int(&b, (int64_t)row[i].forwards);
        put_real(&b, row[i].train_seconds);
        status = step_once(&b, err);
    }
    sqlite3_finalize(b.s);
    return end_transaction(r, status, err);
}

zo_status zo_results_eval(zo_results *r, int64_t run, const zo_eval_row *row, zo_err *err)
{
    binder b;
    zo_status status = prepare(r,
                               "INSERT OR REPLACE INTO evaluations (run, step, split, examples, accuracy, f1, matthews, loss, seconds,"
                               " forwards, train_seconds, best) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                               &b, err);
    if (status != ZO_OK) {
        return status;
    }
    put_int(&b, run);
    put_int(&b, row->step);
    put_text(&b, row->split);
    put_int(&b, row->examples);
    put_real(&b, row->accuracy);
    put_real(&b, row->f1);
    put_real(&b, row->matthews);
    put_real(&b, row->loss);
    put_real(&b, row->seconds);
    put_int(&b, (int64_t)row->forwards);
    put_real(&b, row->train_seconds);
    put_int(&b, row->best);
    return step_and_finish(&b, err);
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
        status = insert_part(r, run, zo_part_name((zo_part)part), e->part[part], e->steps_done, err);
    }
    return status != ZO_OK ? status : insert_part(r, run, "other", rest > 0 ? rest : 0, e->steps_done, err);
}

zo_status zo_results_end(zo_results *r, int64_t run, const zo_run_end *e, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    binder b;
    status = prepare(r,
                     "UPDATE runs SET status = ?, message = ?, accuracy = ?, f1 = ?, matthews = ?, selected = ?, best_step = ?,"
                     " dev_accuracy = ?, steps = ?, forwards = ?, sequences = ?, tokens = ?, paper_tokens = ?, examples = ?,"
                     " weight_bytes_written = ?, normals = ?, train_seconds = ?, eval_seconds = ?, load_seconds = ?, step_ms = ?,"
                     " device_hours = ?, device_hours_total = ?, peak_bytes = ?, train_peak_bytes = ?, rss_peak_bytes = ?, parameters = ?,"
                     " note = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE run = ?",
                     &b, err);
    if (status == ZO_OK) {
        put_text(&b, e->status);
        put_text(&b, e->message);
        put_real(&b, e->accuracy);
        put_real(&b, e->f1);
        put_real(&b, e->matthews);
        put_text(&b, e->selected);
        put_int(&b, e->best_step);
        put_real(&b, e->dev_accuracy);
        put_int(&b, e->steps_done);
        put_int(&b, (int64_t)e->forwards);
        put_int(&b, (int64_t)e->sequences);
        put_int(&b, (int64_t)e->tokens);
        put_int(&b, (int64_t)e->paper_tokens);
        put_int(&b, (int64_t)e->examples);
        put_int(&b, (int64_t)e->weight_bytes_written);
        put_int(&b, (int64_t)e->normals);
        put_real(&b, e->train_seconds);
        put_real(&b, e->eval_seconds);
        put_real(&b, e->load_seconds);
        put_real(&b, e->step_ms_median);
        put_real(&b, e->train_seconds / 3600);
        put_real(&b, (e->train_seconds + e->eval_seconds) / 3600);
        put_int(&b, (int64_t)e->peak_bytes);
        put_int(&b, (int64_t)e->train_peak_bytes);
        put_int(&b, (int64_t)e->rss_peak_bytes);
        put_int(&b, e->parameters);
        put_text(&b, e->note);
        put_int(&b, run);
        status = step_and_finish(&b, err);
    }
    if (status == ZO_OK && e->steps_done > 0) {
        status = insert_parts(r, run, e, err);
    }
    return end_transaction(r, status, err);
}

zo_status zo_results_sweep_running(zo_results *r, zo_err *err)
{
    return run_sql(r,
                   "UPDATE runs SET status = 'killed', message = 'the program was ended before the cell was done', "
                   "ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE status = 'running'",
                   err);
}

static zo_status mark_running(zo_results *r, const char *hash, const char *status_text, const char *message, int *changed, zo_err *err)
{
    binder b;
    zo_status status = prepare(r,
                               "UPDATE runs SET status = ?, message = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now')"
                               " WHERE hash = ? AND status = 'running'",
                               &b, err);
    if (status == ZO_OK) {
        put_text(&b, status_text);
        put_text(&b, message);
        put_text(&b, hash);
        status = step_and_finish(&b, err);
        *changed = sqlite3_changes(r->db);
    }
    return status;
}

zo_status zo_results_abandon(zo_results *r, const zo_cell_row *cell, const zo_host_row *host, const char *status_text,
                             const char *message, zo_err *err)
{
    zo_status status = begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    int changed = 0;
    status = mark_running(r, cell->hash, status_text, message, &changed, err);
    if (status == ZO_OK && changed == 0) {
        int64_t run;
        status = insert_run(r, cell, host, &run, err);
        if (status == ZO_OK) {
            status = mark_running(r, cell->hash, status_text, message, &changed, err);
        }
    }
    return end_transaction(r, status, err);
}

static void take_text(binder *b, int column, char *out, size_t size) /* NULL leaves it as it is */
{
    const unsigned char *text = sqlite3_column_text(b->s, column);
    if (text != NULL) {
        snprintf(out, size, "%s", (const char *)text);
    }
}

zo_run_brief zo_results_brief(zo_results *r, const char *hash)
{
    zo_run_brief brief = {.accuracy = NAN, .step_ms = NAN};
    binder b;
    if (prepare(r, "SELECT status, message, accuracy, step_ms, peak_bytes, revision, model_folder, model_fingerprint FROM runs WHERE hash = ?", &b, NULL) !=
        ZO_OK) {
        return brief;
    }
    put_text(&b, hash);
    if (sqlite3_step(b.s) == SQLITE_ROW) {
        take_text(&b, 0, brief.status, sizeof brief.status);
        take_text(&b, 1, brief.message, sizeof brief.message);
        if (sqlite3_column_type(b.s, 2) == SQLITE_FLOAT) {
            brief.accuracy = sqlite3_column_double(b.s, 2);
        }
        if (sqlite3_column_type(b.s, 3) == SQLITE_FLOAT) {
            brief.step_ms = sqlite3_column_double(b.s, 3);
        }
        brief.peak_bytes = (uint64_t)sqlite3_column_int64(b.s, 4);
        take_text(&b, 5, brief.revision, sizeof brief.revision);
        take_text(&b, 6, brief.model_folder, sizeof brief.model_folder);
        take_text(&b, 7, brief.model_fingerprint, sizeof brief.model_fingerprint);
    }
    sqlite3_finalize(b.s);
    return brief;
}
