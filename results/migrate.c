/* migrate.c: older schemas; see migrate.h. */
#include "results/migrate.h"

#include <stdio.h>
#include <string.h>

#include "core/embed.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"

ZO_EMBED(zo_schema_sql, "results/schema.sql");

zo_status zo_db_set_version(zo_results *r, zo_err *err)
{
    return zo_db_run(r, "PRAGMA user_version = " ZO_NUMBER_TEXT(ZO_SCHEMA_VERSION)
                        "; PRAGMA application_id = " ZO_NUMBER_TEXT(ZO_APPLICATION_ID), err);
}

/* Every run of schemas before 4 that made a step trained all parameters. */
static zo_status end_migration(zo_results *r, zo_err *err)
{
    zo_status status = zo_db_run(r, "UPDATE tries SET trained_parameters = parameters WHERE steps > 0", err);
    return status == ZO_OK ? zo_db_set_version(r, err) : status;
}

/* The tables that the schema `version` had not, as results/schema.sql has them. */
static zo_status add_tables(zo_results *r, int64_t version, zo_err *err)
{
    static const struct { const char *text; int64_t since; } name[] = {{"CREATE TABLE plans (", 8}, {"CREATE TABLE budgets (", 8}, {"CREATE TABLE profile (", 9}};
    zo_status status = ZO_OK;
    for (size_t i = 0; i < sizeof name / sizeof *name && status == ZO_OK; i++) {
        if (version >= name[i].since) {
            continue;
        }
        const char *from = strstr(zo_schema_sql, name[i].text), *end = from != NULL ? strstr(from, "\n)") : NULL;
        ZO_CHECK(end != NULL, "results/schema.sql does not have %s...)", name[i].text);
        size_t n = (size_t)(end - from) + strcspn(end, ";") + 1;
        char *sql = zo_alloc(ZO_HOST, ZO_TAG_OTHER, n + 1);
        memcpy(sql, from, n);
        status = zo_db_run(r, sql, err);
        zo_free(sql);
    }
    return status;
}

/* Schemas 3 to 8 have all but some columns and tables. Inside a transaction. */
static zo_status migrate_3(zo_results *r, int64_t version, zo_err *err)
{
    const char *views = strstr(zo_schema_sql, "-- The views, ");
    ZO_CHECK(views != NULL, "results/schema.sql does not say where its views begin");
    zo_status status = zo_db_run(r, "DROP VIEW peaks; DROP VIEW report; DROP VIEW runs; DROP VIEW all_runs", err);
    if (status == ZO_OK && version == 3) {
        status = zo_db_run(r, "ALTER TABLE cells ADD COLUMN tune TEXT NOT NULL DEFAULT 'full'; ALTER TABLE tries ADD COLUMN trained_parameters INTEGER", err);
    }
    if (status == ZO_OK && version < 5) {
        status = zo_db_run(r, "ALTER TABLE tries ADD COLUMN resumed INTEGER NOT NULL DEFAULT 0; ALTER TABLE tries ADD COLUMN checkpoint_ms REAL", err);
    }
    if (status == ZO_OK && version < 6) {
        status = zo_db_run(r, "ALTER TABLE evaluations ADD COLUMN correct BLOB", err);
    }
    if (status == ZO_OK && version < 7) {
        status = zo_db_run(r, "ALTER TABLE tries ADD COLUMN exact_match REAL; ALTER TABLE tries ADD COLUMN token_f1 REAL;"
                              "ALTER TABLE tries ADD COLUMN pearson REAL; ALTER TABLE tries ADD COLUMN spearman REAL;"
                              "ALTER TABLE evaluations ADD COLUMN exact_match REAL; ALTER TABLE evaluations ADD COLUMN token_f1 REAL;"
                              "ALTER TABLE evaluations ADD COLUMN pearson REAL; ALTER TABLE evaluations ADD COLUMN spearman REAL;"
                              "ALTER TABLE samples ADD COLUMN correct INTEGER; ALTER TABLE samples ADD COLUMN scores TEXT;"
                              "ALTER TABLE samples ADD COLUMN source TEXT", err);
    }
    if (status == ZO_OK && version < 8) {
        status = zo_db_run(r, "ALTER TABLE tries ADD COLUMN memory_error REAL; ALTER TABLE tries ADD COLUMN hours_error REAL;"
                              "ALTER TABLE tries ADD COLUMN cpu_error REAL", err);
    }
    status = status == ZO_OK ? add_tables(r, version, err) : status;
    status = status == ZO_OK ? zo_db_run(r, views, err) : status;
    return status != ZO_OK ? status : version == 3 ? end_migration(r, err) : zo_db_set_version(r, err);
}

/* Schemas 1 and 2 had one table `runs`: each row becomes a cell of meaning 1 and its one try. Inside a transaction, foreign keys off. */
static zo_status migrate_2(zo_results *r, int64_t version, zo_err *err)
{
    static const char *const table[] = {"runs", "steps", "evaluations", "memory", "parts"};
    char sql[4096];
    zo_status status = zo_db_run(r, "DROP VIEW report; DROP VIEW peaks; DROP INDEX IF EXISTS runs_by_cell", err);
    for (size_t i = 0; i < sizeof table / sizeof *table && status == ZO_OK; i++) {
        snprintf(sql, sizeof sql, "ALTER TABLE %s RENAME TO old_%s", table[i], table[i]);
        status = zo_db_run(r, sql, err);
    }
    status = status == ZO_OK ? zo_db_run(r, zo_schema_sql, err) : status;
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
    status = zo_db_run(r, sql, err);
    status = status == ZO_OK
                 ? zo_db_run(r,
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
    status = status == ZO_OK ? zo_db_run(r,
                                       "INSERT INTO steps (run, step, loss, projected, lr, seconds, form, gemm, attention, elementwise, head, backward,"
                                       " \"update\", data, forwards, train_seconds) SELECT * FROM old_steps;"
                                       "INSERT INTO evaluations (run, step, split, examples, accuracy, macro_f1, matthews, loss, seconds, forwards,"
                                       " train_seconds, best) SELECT * FROM old_evaluations;"
                                       "INSERT INTO memory SELECT * FROM old_memory; INSERT INTO parts SELECT * FROM old_parts;"
                                       "DROP TABLE old_steps; DROP TABLE old_evaluations; DROP TABLE old_memory; DROP TABLE old_parts;"
                                       "DROP TABLE old_runs",
                                       err)
                             : status;
    return status == ZO_OK ? end_migration(r, err) : status;
}

bool zo_migrate_takes(zo_results *r)
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
    zo_binder b;
    zo_status status = zo_db_prepare(r, "VACUUM INTO ?", &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, copy);
        status = zo_db_step_last(&b, err);
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

zo_status zo_migrate(zo_results *r, int64_t version, zo_err *err)
{
    bool ok;
    zo_status status = r->reads ? ZO_OK : keep_copy(r, version, err);
    status = status == ZO_OK ? zo_db_run(r, "PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON", err) : status;
    status = status == ZO_OK ? zo_db_begin(r, err) : status;
    if (status == ZO_OK) {
        bool mine = zo_db_number(r, "PRAGMA user_version", &ok) == version; /* else another program was faster */
        status = zo_db_end(r, !mine ? ZO_OK : version < 3 ? migrate_2(r, version, err) : migrate_3(r, version, err), err);
    }
    zo_status after = zo_db_run(r, "PRAGMA legacy_alter_table = OFF", status == ZO_OK ? err : NULL);
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
               : zo_db_fail(r, err);
}

/* Readers change nothing: the older database is copied into memory and brought to this schema there. */
zo_status zo_migrate_in_memory(zo_results *r, int64_t version, zo_err *err)
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
        zo_status status = zo_db_fail(r, err);
        sqlite3_close(memory);
        return status;
    }
    sqlite3_close(r->db);
    r->db = memory;
    zo_status status = zo_migrate(r, version, err);
    return status == ZO_OK ? reopen_read_only(r, err) : status;
}
