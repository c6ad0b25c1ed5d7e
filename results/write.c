/* write.c: the rows of a try, from its beginning to its end. Every statement is prepared where it is used, run in a short transaction, and its
 * failure is one sentence that names the file. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "results/fields.h"
#include "results/figures.h"
#include "results/tries.h"

#define MEMBER(m) offsetof(zo_cell_row, m)
static const zo_field cell_fields[] = {{"config", ZO_FIELD_TEXT, MEMBER(config)},
                                       {"optimizer", ZO_FIELD_TEXT, MEMBER(optimizer)},
                                       {"optimizer_options", ZO_FIELD_TEXT, MEMBER(optimizer_options)}};
#undef MEMBER

static void put_setting(zo_binder *b, const zo_opt *key, const void *settings)
{
    const void *member = zo_opt_member(key, settings);
    size_t n;
    switch (key->type) {
    case ZO_OPT_INT:
        zo_put_int(b, *(const int64_t *)member);
        break;
    case ZO_OPT_REAL:
        zo_put_real(b, *(const double *)member);
        break;
    case ZO_OPT_BOOL:
        zo_put_int(b, *(const bool *)member);
        break;
    case ZO_OPT_STRING:
        zo_put_text(b, member);
        break;
    case ZO_OPT_CHOICE:
        member = zo_opt_choice(key, settings, &n);
        sqlite3_bind_text(b->s, ++b->at, member, (int)n, SQLITE_TRANSIENT);
        break;
    }
}

#define MEMBER(m) offsetof(zo_host_row, m)
static const zo_field host_fields[] = {{"revision", ZO_FIELD_TEXT, MEMBER(revision)},
                                       {"binary", ZO_FIELD_TEXT, MEMBER(binary)},
                                       {"compiler", ZO_FIELD_TEXT, MEMBER(compiler)},
                                       {"flags", ZO_FIELD_TEXT, MEMBER(flags)},
                                       {"host", ZO_FIELD_TEXT, MEMBER(host)},
                                       {"kernel", ZO_FIELD_TEXT, MEMBER(kernel)},
                                       {"device", ZO_FIELD_TEXT, MEMBER(device)},
                                       {"driver", ZO_FIELD_TEXT, MEMBER(driver)},
                                       {"threads", ZO_FIELD_INT32, MEMBER(threads)},
                                       {"memory_limit_bytes", ZO_FIELD_KNOWN, MEMBER(memory_limit_bytes)}};
#undef MEMBER

/* The cell's number; it is inserted where it is new. */
static zo_status find_cell(zo_results *r, const zo_cell_row *c, const zo_identity *identity, int64_t *cell, zo_err *err)
{
    char text[17], sql[4096];
    zo_identity_text(identity, text);
    zo_binder b;
    zo_status status = zo_db_prepare(r, "SELECT cell FROM cells WHERE identity = ?", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_text(&b, text);
    bool found = sqlite3_step(b.s) == SQLITE_ROW;
    *cell = found ? sqlite3_column_int64(b.s, 0) : 0;
    sqlite3_finalize(b.s);
    if (found) {
        return ZO_OK;
    }
    snprintf(sql, sizeof sql, "INSERT INTO cells (identity, meaning, ");
    zo_list_columns(sql, sizeof sql, zo_identity_fields, ZO_FIELDS(zo_identity_fields), false);
    zo_list_columns(sql, sizeof sql, cell_fields, ZO_FIELDS(cell_fields), false);
    int settings = 0;
    for (const zo_opt *k = c->keys; k->key != NULL; k++) {
        if (k->column != NULL) {
            const zo_field setting = {.column = k->column};
            zo_list_columns(sql, sizeof sql, &setting, 1, false);
            settings++;
        }
    }
    zo_end_insert(sql, sizeof sql, 2 + ZO_FIELDS(zo_identity_fields) + ZO_FIELDS(cell_fields) + settings, NULL);
    status = zo_db_prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, text);
        zo_put_int(&b, ZO_MEANING);
        zo_put_fields(&b, zo_identity_fields, ZO_FIELDS(zo_identity_fields), identity);
        zo_put_fields(&b, cell_fields, ZO_FIELDS(cell_fields), c);
        for (const zo_opt *k = c->keys; k->key != NULL; k++) {
            if (k->column != NULL) {
                put_setting(&b, k, c->settings);
            }
        }
        status = zo_db_step_last(&b, err);
        *cell = sqlite3_last_insert_rowid(r->db);
    }
    return status;
}

/* This try counts from now on, unless another one of its cell has a result and it has none. */
static zo_status show_try(zo_results *r, int64_t run, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r,
                               "UPDATE cells SET shown = ?1 WHERE cell = (SELECT cell FROM tries WHERE run = ?1) AND (shown IS NULL OR"
                               " (SELECT status FROM tries WHERE run = ?1) IN " ZO_FINISHED " OR"
                               " (SELECT status FROM tries WHERE run = shown) NOT IN " ZO_FINISHED ")",
                               &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        status = zo_db_step_last(&b, err);
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
    static const zo_field began = {.column = "began"};
    unsigned char bits[16];
    char name[33], sql[2048] = "INSERT INTO tries (try, cell, status, ";
    if (getentropy(bits, sizeof bits) != 0) {
        return zo_fail(err, ZO_EIO, "the system gives no random bits for the name of a try: %s", strerror(errno));
    }
    for (size_t i = 0; i < sizeof bits; i++) {
        snprintf(name + 2 * i, 3, "%02x", bits[i]);
    }
    zo_list_columns(sql, sizeof sql, host_fields, ZO_FIELDS(host_fields), false);
    zo_list_columns(sql, sizeof sql, &began, 1, false);
    zo_end_insert(sql, sizeof sql, 3 + ZO_FIELDS(host_fields), "strftime('%Y-%m-%dT%H:%M:%SZ', 'now')");
    zo_binder b;
    status = zo_db_prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, name);
        zo_put_int(&b, cell);
        zo_put_text(&b, "running");
        zo_put_fields(&b, host_fields, ZO_FIELDS(host_fields), h);
        status = zo_db_step_last(&b, err);
        *run = sqlite3_last_insert_rowid(r->db);
    }
    return status == ZO_OK ? show_try(r, *run, err) : status;
}

/* What a plan has said of its cell. */
static zo_status take_plan(zo_results *r, const char *hash, int64_t run, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "INSERT INTO predictions (run, figure, predicted) SELECT ?, figure, predicted FROM plans WHERE hash = ?", &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        zo_put_text(&b, hash);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

zo_status zo_results_begin(zo_results *r, const zo_cell_row *cell, const zo_identity *identity, const zo_host_row *host, int64_t *run, zo_err *err)
{
    zo_status status = zo_db_begin(r, err);
    if (status == ZO_OK) {
        status = insert_try(r, cell, identity, host, run, err);
        status = status == ZO_OK ? take_plan(r, identity->hash, *run, err) : status;
        status = zo_db_end(r, status, err);
    }
    return status;
}

zo_status zo_results_predict(zo_results *r, int64_t run, const char *figure, double predicted, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "INSERT OR IGNORE INTO predictions (run, figure, predicted) VALUES (?, ?, ?)", &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        zo_put_text(&b, figure);
        zo_put_real(&b, predicted);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

zo_status zo_results_plan(zo_results *r, const char *hash, const char *figure, double predicted, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "INSERT OR REPLACE INTO plans (hash, figure, predicted) VALUES (?, ?, ?)", &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, hash);
        zo_put_text(&b, figure);
        zo_put_real(&b, predicted);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

/* predicted / measured - 1; NaN where nothing was predicted, or nothing measured. */
static zo_status error_of(zo_results *r, int64_t run, const char *figure, double measured, double *error, zo_err *err)
{
    zo_binder b;
    *error = NAN;
    zo_status status = zo_db_prepare(r, "SELECT predicted FROM predictions WHERE run = ? AND figure = ?", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, run);
    zo_put_text(&b, figure);
    if (sqlite3_step(b.s) == SQLITE_ROW && isfinite(measured) && measured > 0) {
        *error = sqlite3_column_double(b.s, 0) / measured - 1;
    }
    sqlite3_finalize(b.s);
    return ZO_OK;
}

/* A run that was cut off has measured nothing that was predicted. */
static zo_status take_errors(zo_results *r, int64_t run, zo_run_end *end, zo_err *err)
{
    bool whole = strcmp(end->status, "done") == 0 || strcmp(end->status, "time") == 0;
    zo_status status = error_of(r, run, "train_peak_bytes", whole ? (double)end->train_peak_bytes : 0, &end->memory_error, err);
    status = status == ZO_OK ? error_of(r, run, "device_hours_total", whole ? end->device_hours_total : 0, &end->hours_error, err) : status;
    return status == ZO_OK ? error_of(r, run, "cpu_seconds", whole ? end->cpu_seconds : 0, &end->cpu_error, err) : status;
}

zo_status zo_results_source(zo_results *r, int64_t run, const zo_source_row *source, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "UPDATE tries SET model_folder = ?, data_folder = ? WHERE run = ?", &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, source->model_folder);
        zo_put_text(&b, source->data_folder);
        zo_put_int(&b, run);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

zo_status zo_results_steps(zo_results *r, int64_t run, const zo_step_row *row, int n, zo_err *err)
{
#define MEMBER(m) offsetof(zo_step_row, m)
    static const zo_field fields[] = {{"step", ZO_FIELD_INT, MEMBER(step)},
                                      {"loss", ZO_FIELD_REAL, MEMBER(loss)},
                                      {"projected", ZO_FIELD_REAL, MEMBER(projected)},
                                      {"lr", ZO_FIELD_REAL, MEMBER(lr)},
                                      {"full_steps", ZO_FIELD_INT, MEMBER(full_steps)},
                                      {"seconds", ZO_FIELD_REAL, MEMBER(seconds)},
                                      {"form", ZO_FIELD_REAL, MEMBER(part[ZO_PART_FORM])},
                                      {"gemm", ZO_FIELD_REAL, MEMBER(part[ZO_PART_GEMM])},
                                      {"attention", ZO_FIELD_REAL, MEMBER(part[ZO_PART_ATTENTION])},
                                      {"elementwise", ZO_FIELD_REAL, MEMBER(part[ZO_PART_ELEMENTWISE])},
                                      {"head", ZO_FIELD_REAL, MEMBER(part[ZO_PART_HEAD])},
                                      {"backward", ZO_FIELD_REAL, MEMBER(part[ZO_PART_BACKWARD])},
                                      {"\"update\"", ZO_FIELD_REAL, MEMBER(part[ZO_PART_UPDATE])},
                                      {"data", ZO_FIELD_REAL, MEMBER(part[ZO_PART_DATA])},
                                      {"forwards", ZO_FIELD_UNSIGNED, MEMBER(forwards)},
                                      {"work", ZO_FIELD_REAL, MEMBER(work)},
                                      {"train_seconds", ZO_FIELD_REAL, MEMBER(train_seconds)}};
#undef MEMBER
    if (n == 0) {
        return ZO_OK;
    }
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    char sql[1000] = "INSERT INTO steps (run, ";
    zo_list_columns(sql, sizeof sql, fields, ZO_FIELDS(fields), false);
    zo_end_insert(sql, sizeof sql, 1 + ZO_FIELDS(fields), NULL);
    zo_binder b;
    status = zo_db_prepare(r, sql, &b, err);
    for (int i = 0; i < n && status == ZO_OK; i++) {
        zo_put_int(&b, run);
        zo_put_fields(&b, fields, ZO_FIELDS(fields), &row[i]);
        status = zo_db_step(&b, err);
    }
    sqlite3_finalize(b.s);
    return zo_db_end(r, status, err);
}

zo_status zo_results_eval(zo_results *r, int64_t run, const zo_eval_row *row, zo_err *err)
{
#define MEMBER(m) offsetof(zo_eval_row, m)
    static const zo_field fields[] = {{"step", ZO_FIELD_INT, MEMBER(step)},
                                      {"split", ZO_FIELD_TEXT, MEMBER(split)},
                                      {"examples", ZO_FIELD_INT, MEMBER(examples)},
                                      {"accuracy", ZO_FIELD_REAL, MEMBER(accuracy)},
                                      {"f1", ZO_FIELD_REAL, MEMBER(f1)},
                                      {"macro_f1", ZO_FIELD_REAL, MEMBER(macro_f1)},
                                      {"matthews", ZO_FIELD_REAL, MEMBER(matthews)},
                                      {"exact_match", ZO_FIELD_REAL, MEMBER(exact_match)},
                                      {"token_f1", ZO_FIELD_REAL, MEMBER(token_f1)},
                                      {"pearson", ZO_FIELD_REAL, MEMBER(pearson)},
                                      {"spearman", ZO_FIELD_REAL, MEMBER(spearman)},
                                      {"loss", ZO_FIELD_REAL, MEMBER(loss)},
                                      {"constant", ZO_FIELD_FLAG, MEMBER(constant)},
                                      {"seconds", ZO_FIELD_REAL, MEMBER(seconds)},
                                      {"forwards", ZO_FIELD_UNSIGNED, MEMBER(forwards)},
                                      {"work", ZO_FIELD_REAL, MEMBER(work)},
                                      {"train_seconds", ZO_FIELD_REAL, MEMBER(train_seconds)},
                                      {"best", ZO_FIELD_FLAG, MEMBER(best)}};
#undef MEMBER
    char sql[1000] = "INSERT OR REPLACE INTO evaluations (run, correct, ";
    zo_list_columns(sql, sizeof sql, fields, ZO_FIELDS(fields), false);
    zo_end_insert(sql, sizeof sql, 2 + ZO_FIELDS(fields), NULL);
    zo_binder b;
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        sqlite3_bind_blob64(b.s, ++b.at, row->correct, (sqlite3_uint64)(row->examples + 7) / 8, SQLITE_STATIC); /* NULL is bound as NULL */
        zo_put_fields(&b, fields, ZO_FIELDS(fields), row);
        status = zo_db_step_last(&b, err);
    }
    return status;
}

zo_status zo_results_memory(zo_results *r, int64_t run, zo_phase phase, const zo_peak *peak, zo_err *err)
{
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_binder b;
    status = zo_db_prepare(r, "INSERT OR REPLACE INTO memory (run, phase, tag, bytes) VALUES (?, ?, ?, ?)", &b, err);
    for (int tag = 0; tag < ZO_TAGS && status == ZO_OK; tag++) {
        zo_put_int(&b, run);
        zo_put_text(&b, phase < ZO_PHASES ? zo_phase_name(phase) : "overall");
        zo_put_text(&b, zo_tag_name((zo_tag)tag));
        zo_put_int(&b, (int64_t)peak->tag_bytes[tag]);
        status = zo_db_step(&b, err);
    }
    sqlite3_finalize(b.s);
    return zo_db_end(r, status, err);
}

static zo_status insert_part(zo_results *r, int64_t run, const char *name, double seconds, int64_t steps, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(r, "INSERT OR REPLACE INTO parts (run, part, seconds, ms) VALUES (?, ?, ?, ?)", &b, err);
    if (status == ZO_OK) {
        zo_put_int(&b, run);
        zo_put_text(&b, name);
        zo_put_real(&b, seconds);
        zo_put_real(&b, 1e3 * seconds / (double)steps);
        status = zo_db_step_last(&b, err);
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
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_run_end end = *e;
    end.device_hours = e->train_seconds / 3600;
    end.device_hours_total = (e->train_seconds + e->eval_seconds) / 3600;
    status = take_errors(r, run, &end, err);
    char sql[4096] = "UPDATE tries SET ";
    for (int k = 0; k < ZO_FIGURES; k++) {
        zo_list_columns(sql, sizeof sql, &zo_figures[k].field, 1, true);
    }
    strncat(sql, ", ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE run = ?", sizeof sql - strlen(sql) - 1);
    zo_binder b = {0};
    status = status == ZO_OK ? zo_db_prepare(r, sql, &b, err) : status;
    if (status == ZO_OK) {
        for (int k = 0; k < ZO_FIGURES; k++) {
            zo_put_fields(&b, &zo_figures[k].field, 1, &end);
        }
        zo_put_int(&b, run);
        status = zo_db_step_last(&b, err);
    }
    if (status == ZO_OK && e->steps > 0 && isfinite(e->train_seconds)) {
        status = insert_parts(r, run, e, err);
    }
    status = status == ZO_OK ? show_try(r, run, err) : status;
    return zo_db_end(r, status, err);
}

zo_status zo_results_sweep_running(zo_results *r, zo_err *err)
{
    return zo_db_run(r,
                   "UPDATE tries SET status = 'killed', message = 'the program was ended before the cell was done', "
                   "ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE status = 'running'",
                   err);
}

/* Ends the try of this cell that is running; *run = 0 where there is none. */
static zo_status mark_running(zo_results *r, const zo_identity *identity, const char *status_text, const char *message, int64_t *run, zo_err *err)
{
    char text[17];
    zo_identity_text(identity, text);
    zo_binder b;
    *run = 0;
    zo_status status = zo_db_prepare(r, "SELECT run FROM tries JOIN cells USING (cell) WHERE identity = ? AND status = 'running'", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_text(&b, text);
    if (sqlite3_step(b.s) == SQLITE_ROW) {
        *run = sqlite3_column_int64(b.s, 0);
    }
    sqlite3_finalize(b.s);
    if (*run == 0) {
        return ZO_OK;
    }
    status = zo_db_prepare(r, "UPDATE tries SET status = ?, message = ?, ended = strftime('%Y-%m-%dT%H:%M:%SZ', 'now') WHERE run = ?", &b, err);
    if (status == ZO_OK) {
        zo_put_text(&b, status_text);
        zo_put_text(&b, message);
        zo_put_int(&b, *run);
        status = zo_db_step_last(&b, err);
    }
    return status == ZO_OK ? show_try(r, *run, err) : status;
}

zo_status zo_results_abandon(zo_results *r, const zo_cell_row *cell, const zo_identity *identity, const zo_host_row *host, const char *status_text,
                             const char *message, zo_err *err)
{
    zo_status status = zo_db_begin(r, err);
    if (status != ZO_OK) {
        return status;
    }
    int64_t run;
    status = mark_running(r, identity, status_text, message, &run, err);
    if (status == ZO_OK && run == 0) {
        status = insert_try(r, cell, identity, host, &run, err);
        status = status == ZO_OK ? mark_running(r, identity, status_text, message, &run, err) : status;
    }
    return zo_db_end(r, status, err);
}
