/* tries.c: the identity of cells, and finding tries of a cell; see tries.h. */
#include "results/tries.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/io.h"

#define MEMBER(m) offsetof(zo_identity, m)
const zo_field zo_identity_fields[6] = {{"hash", ZO_FIELD_CHARS, MEMBER(hash)},
                                        {"model_fingerprint", ZO_FIELD_CHARS, MEMBER(model)},
                                        {"tokenizer_fingerprint", ZO_FIELD_CHARS, MEMBER(tokenizer)},
                                        {"rows_fingerprint", ZO_FIELD_CHARS, MEMBER(rows)},
                                        {"task_fingerprint", ZO_FIELD_CHARS, MEMBER(task)},
                                        {"plugin_fingerprint", ZO_FIELD_CHARS, MEMBER(plugin)}};
#undef MEMBER

const char *zo_meaning_was(int meaning)
{
    static const char *const was[ZO_MEANING] = {
        "", "the training peak held evaluation's activations, the step time was a median, F1 was macro-F1, test rows followed data_seed, BoolQ's passages "
            "kept their titles, the context of prompts was 128 by default, and there was no work"};
    return meaning > 0 && meaning < ZO_MEANING ? was[meaning] : "";
}

void zo_identity_text(const zo_identity *i, char text[17])
{
    char all[200];
    int n = snprintf(all, sizeof all, "%s %d %s %s %s %s %s", i->hash, ZO_MEANING, i->model, i->tokenizer, i->rows, i->task, i->plugin);
    snprintf(text, 17, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, all, (size_t)n));
}

static void take_text(zo_binder *b, int column, char *out, size_t size) /* NULL leaves it as it is */
{
    const unsigned char *text = sqlite3_column_text(b->s, column);
    if (text != NULL) {
        snprintf(out, size, "%s", (const char *)text);
    }
}

static double real_at(zo_binder *b, int column)
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
             " status IN " ZO_FINISHED ", coalesce(train_seconds, 0), coalesce(eval_seconds, 0), hash, model_fingerprint, tokenizer_fingerprint, rows_fingerprint, task_fingerprint, plugin_fingerprint"
             " FROM all_runs WHERE hash = ? AND %s ORDER BY run DESC", condition);
    zo_binder b;
    *found = none;
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_text(&b, identity->hash);
    int code;
    while (found->status[0] == '\0' && (code = sqlite3_step(b.s)) != SQLITE_DONE) {
        if (code != SQLITE_ROW) {
            status = zo_db_fail(r, err);
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
        row.train_seconds = sqlite3_column_double(b.s, 13);
        row.eval_seconds = sqlite3_column_double(b.s, 14);
        for (int i = 0; i < ZO_FIELDS(zo_identity_fields); i++) {
            take_text(&b, 15 + i, (char *)&row.identity + zo_identity_fields[i].offset, sizeof row.identity.hash);
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
    for (int i = 0; i < ZO_FIELDS(zo_identity_fields); i++) {
        const char *a = (const char *)&row->identity + zo_identity_fields[i].offset, *b = (const char *)identity + zo_identity_fields[i].offset;
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

#define THIS_MEANING "meaning = " ZO_NUMBER_TEXT(ZO_MEANING)

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
    return find_run(r, "run = shown AND status IN " ZO_FINISHED " AND " THIS_MEANING, identity, is_other, brief, err);
}

zo_status zo_results_older(zo_results *r, int64_t *cells, zo_err *err)
{
    bool ok;
    *cells = zo_db_number(r, "SELECT count(*) FROM runs WHERE status IN " ZO_FINISHED " AND NOT " THIS_MEANING, &ok);
    return ok ? ZO_OK : zo_db_fail(r, err);
}
