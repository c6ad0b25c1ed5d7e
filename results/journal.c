/* journal.c: the losses that a run's method was told, what else makes the run again, and what is found on the way then. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "results/tries.h"

zo_status zo_results_journal(zo_results *r, int64_t run, int64_t step, const double *loss, int64_t n, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "INSERT INTO journal (run, step, entry) VALUES (?, ?, ?)", &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        zo_put_int(&b, step);
        sqlite3_bind_blob64(b.s, ++b.at, loss, (sqlite3_uint64)n * sizeof *loss, SQLITE_STATIC);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

zo_status zo_results_journal_read(zo_results *r, int64_t run, double **loss, int64_t *n, zo_err *err)
{
    zo_binder b;
    *loss = NULL;
    *n = 0;
    zo_status status = zo_db_prepare(r, "SELECT entry FROM journal WHERE run = ? ORDER BY step", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, run);
    int code;
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW && status == ZO_OK) {
        const void *entry = sqlite3_column_blob(b.s, 0);
        int64_t more = sqlite3_column_bytes(b.s, 0) / (int64_t)sizeof **loss;
        if (more > 0) {
            *loss = zo_realloc(*loss, ZO_HOST, ZO_TAG_DATA, (size_t)(*n + more) * sizeof **loss);
            memcpy(*loss + *n, entry, (size_t)more * sizeof **loss);
            *n += more;
        }
    }
    status = code == SQLITE_DONE ? ZO_OK : zo_db_fail(r, err);
    sqlite3_finalize(b.s);
    return status;
}

zo_status zo_results_profile(zo_results *r, int64_t run, const zo_profile_row *row, int64_t n, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_db_prepare(r, "DELETE FROM profile WHERE run = ?", &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        status = zo_db_step_last(&b, err);
    }
    for (int64_t i = 0; i < n && status == ZO_OK; i++) {
        status = zo_db_prepare(r, "INSERT INTO profile (run, step, figure, layer, value) VALUES (?, ?, ?, ?, ?)", &b, err);
        if (status == ZO_OK) {
            zo_put_int(&b, run);
            zo_put_int(&b, row[i].step);
            zo_put_text(&b, row[i].figure);
            zo_put_int(&b, row[i].layer);
            zo_put_real(&b, row[i].value);
            status = zo_db_step_last(&b, err);
        }
    }
    return zo_db_end(r, status, err);
}

static void take(zo_binder *b, int column, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(b->s, column);
    snprintf(out, size, "%s", text != NULL ? (const char *)text : "");
}

zo_status zo_results_facts(zo_results *r, const char *name, zo_run_facts *facts, zo_err *err)
{
    bool is_hash = strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16, is_number = strlen(name) < 16 && name[0] != '\0' && strspn(name, "0123456789") == strlen(name);
    char sql[600];
    zo_binder b;
    memset(facts, 0, sizeof *facts);
    if (!is_hash && !is_number) {
        return zo_fail(err, ZO_EINPUT, "\"%.60s\" names no run; expected its number (column `run`), or the 16 digits of a cell's hash", name);
    }
    snprintf(sql, sizeof sql,
             "SELECT run, coalesce(steps, -1), config, status, binary, revision, data_folder, meaning, hash, model_fingerprint, tokenizer_fingerprint, rows_fingerprint,"
             " task_fingerprint, plugin_fingerprint FROM all_runs WHERE %s ORDER BY run DESC LIMIT 1", is_hash ? "run = shown AND hash = ?" : "run = ?");
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    if (is_hash) {
        zo_put_text(&b, name);
    } else {
        zo_put_int(&b, strtoll(name, NULL, 10));
    }
    int code = sqlite3_step(b.s);
    if (code == SQLITE_ROW && sqlite3_column_int64(b.s, 7) != ZO_MEANING) {
        status = zo_fail(err, ZO_EINPUT, "run %s is from when keys or figures meant something else, and is not made again", name);
    } else if (code == SQLITE_ROW) {
        facts->run = sqlite3_column_int64(b.s, 0);
        facts->steps = sqlite3_column_int64(b.s, 1);
        facts->config = zo_strdup(ZO_TAG_OTHER, (const char *)sqlite3_column_text(b.s, 2));
        take(&b, 3, facts->status, sizeof facts->status);
        take(&b, 4, facts->binary, sizeof facts->binary);
        take(&b, 5, facts->revision, sizeof facts->revision);
        take(&b, 6, facts->data_folder, sizeof facts->data_folder);
        for (int i = 0; i < ZO_FIELDS(zo_identity_fields); i++) {
            take(&b, 8 + i, (char *)&facts->identity + zo_identity_fields[i].offset, sizeof facts->identity.hash);
        }
    } else {
        status = code == SQLITE_DONE ? zo_fail(err, ZO_EINPUT, "there is no run %s in this database; `zo sql \"SELECT run, hash, status FROM runs\"` lists them", name)
                                     : zo_db_fail(r, err);
    }
    sqlite3_finalize(b.s);
    return status;
}
