/* pairs.c: see pairs.h. */
#include "results/pairs.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/database.h"
#include "results/tries.h"

enum { A = ZO_PAIR_A, B = ZO_PAIR_B, SIDES = ZO_PAIR_SIDES };

/* ---- the runs of a side -------------------------------------------------------------------------------------------------- */

/* What there is in place of the value that no run has. */
static zo_status no_run(const zo_pair_side *side, zo_err *err)
{
    char sql[300], has[600] = "";
    zo_binder b;
    if (side->column == NULL) {
        return zo_fail(err, ZO_EINPUT, "%s: has no finished run", side->results->path);
    }
    snprintf(sql, sizeof sql, "SELECT %s FROM all_runs WHERE status IN " ZO_FINISHED " GROUP BY 1 ORDER BY max(began) DESC, max(run) DESC LIMIT 8", side->column);
    zo_status status = zo_db_prepare(side->results, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    for (size_t at = 0; sqlite3_step(b.s) == SQLITE_ROW && at < sizeof has;) {
        const unsigned char *text = sqlite3_column_text(b.s, 0);
        at += (size_t)snprintf(has + at, sizeof has - at, "%s%s", at > 0 ? ", " : "", text != NULL ? (const char *)text : "(none)");
    }
    sqlite3_finalize(b.s);
    return zo_fail(err, ZO_EINPUT, "%s: no finished run has a %s that begins with \"%s\"; there are: %s", side->results->path, side->column, side->value,
                   has[0] != '\0' ? has : "none");
}

/* The view `report` of this handle becomes the side's runs. */
static zo_status choose_runs(const zo_pair_side *side, zo_err *err)
{
    char *sql = side->every
                    ? sqlite3_mprintf("CREATE TEMP VIEW report AS SELECT * FROM main.all_runs WHERE status <> 'running' AND run > %lld AND (%lld = 0 OR run <= %lld)",
                                      (long long)side->after, (long long)side->upto, (long long)side->upto)
                : side->column == NULL
                    ? sqlite3_mprintf("CREATE TEMP VIEW report AS SELECT * FROM main.runs WHERE status IN " ZO_FINISHED)
                    : sqlite3_mprintf("CREATE TEMP VIEW report AS SELECT * FROM main.all_runs WHERE run IN (SELECT run FROM (SELECT run, row_number() OVER (PARTITION BY cell "
                                      "ORDER BY began DESC, run DESC) AS nth FROM main.all_runs WHERE status IN " ZO_FINISHED " AND substr(\"%w\", 1, length(%Q)) = %Q) "
                                      "WHERE nth = 1)", side->column, side->value, side->value);
    bool ok;
    zo_status status = zo_db_run(side->results, sql, err);
    sqlite3_free(sql);
    if (status != ZO_OK) {
        return status;
    }
    int64_t runs = zo_db_number(side->results, "SELECT count(*) FROM temp.report", &ok);
    return !ok ? zo_db_fail(side->results, err) : runs == 0 && !side->every ? no_run(side, err) : ZO_OK;
}

/* ---- bits ---------------------------------------------------------------------------------------------------------------- */

/* Where two runs have other rows in what this statement lists, each row a step and then numbers: the step of the first that differs, -1 = none does. */
static zo_status first_difference(const zo_pair_side side[2], const char *sql, const int64_t run[2], int64_t *step, zo_err *err)
{
    zo_binder b[SIDES] = {{0}};
    zo_status status = ZO_OK;
    *step = -1;
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = zo_db_prepare(side[k].results, sql, &b[k], err);
        if (status == ZO_OK) {
            zo_put_int(&b[k], run[k]);
        }
    }
    for (bool more = status == ZO_OK; more && *step < 0;) {
        int code[SIDES];
        for (int k = A; k < SIDES; k++) {
            code[k] = sqlite3_step(b[k].s);
            status = status == ZO_OK && code[k] != SQLITE_ROW && code[k] != SQLITE_DONE ? zo_db_fail(side[k].results, err) : status;
        }
        more = status == ZO_OK && (code[A] == SQLITE_ROW || code[B] == SQLITE_ROW);
        if (more && code[A] != code[B]) {
            *step = sqlite3_column_int64(b[code[A] == SQLITE_ROW ? A : B].s, 0);
        }
        for (int c = 0; more && *step < 0 && c < sqlite3_column_count(b[A].s); c++) {
            bool same = sqlite3_column_type(b[A].s, c) == sqlite3_column_type(b[B].s, c) && sqlite3_column_double(b[A].s, c) == sqlite3_column_double(b[B].s, c);
            *step = same ? *step : sqlite3_column_int64(b[A].s, 0);
        }
    }
    sqlite3_finalize(b[A].s);
    sqlite3_finalize(b[B].s);
    return status;
}

zo_status zo_pair_bits(const zo_pair_side side[2], const zo_grouped_run *const run[2], int64_t *step, zo_err *err)
{
    static const char *const sql[] = {"SELECT step, loss, projected FROM steps WHERE run = ? ORDER BY step",
                                      "SELECT step, loss, accuracy, f1, macro_f1, matthews, exact_match, token_f1, pearson, spearman FROM evaluations WHERE run = ? "
                                      "ORDER BY step, split"};
    const int64_t number[SIDES] = {(int64_t)zo_run_number(run[A], "run"), (int64_t)zo_run_number(run[B], "run")};
    *step = -1;
    for (int i = 0; i < 2; i++) {
        int64_t found;
        zo_status status = first_difference(side, sql[i], number, &found, err);
        if (status != ZO_OK) {
            return status;
        }
        *step = found >= 0 && (*step < 0 || found < *step) ? found : *step;
    }
    return ZO_OK;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

void zo_pair_add_rows(double *sum, int64_t rows, const uint8_t *a, const uint8_t *b)
{
    for (int64_t i = 0; i < rows; i++) {
        sum[i] += (b[i / 8] >> i % 8 & 1) - (a[i / 8] >> i % 8 & 1);
    }
}

zo_status zo_pair_rows(const zo_pair_side side[2], const zo_grouped_run *const run[2], double **sum, int64_t *rows, bool *used, zo_err *err)
{
    zo_binder b[SIDES] = {{0}};
    int64_t n[SIDES] = {0};
    const uint8_t *bits[SIDES] = {NULL};
    zo_status status = ZO_OK;
    *used = false;
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = zo_db_prepare(side[k].results, "SELECT examples, correct FROM evaluations WHERE run = ? AND split = 'test' AND step = ?", &b[k], err);
        if (status != ZO_OK) {
            break;
        }
        zo_put_int(&b[k], (int64_t)zo_run_number(run[k], "run"));
        zo_put_real(&b[k], zo_run_number(run[k], "best_step"));
        int code = sqlite3_step(b[k].s);
        status = code == SQLITE_ROW || code == SQLITE_DONE ? ZO_OK : zo_db_fail(side[k].results, err);
        n[k] = code == SQLITE_ROW ? sqlite3_column_int64(b[k].s, 0) : 0;
        bits[k] = code == SQLITE_ROW ? sqlite3_column_blob(b[k].s, 1) : NULL;
        bits[k] = sqlite3_column_bytes(b[k].s, 1) == (n[k] + 7) / 8 ? bits[k] : NULL;
    }
    if (status == ZO_OK && bits[A] != NULL && bits[B] != NULL && n[A] == n[B] && n[A] > 0 && (*sum == NULL || n[A] == *rows)) {
        *rows = n[A];
        *sum = *sum != NULL ? *sum : zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)*rows * sizeof **sum);
        zo_pair_add_rows(*sum, *rows, bits[A], bits[B]);
        *used = true;
    }
    sqlite3_finalize(b[A].s);
    sqlite3_finalize(b[B].s);
    return status;
}

/* ---- pairing ------------------------------------------------------------------------------------------------------------- */

static uint64_t identity_hash(const zo_grouped_run *run)
{
    return zo_label_hash(ZO_FNV_START, zo_run_text(run, "identity"));
}

/* Runs of a side by identity, each list in the order of the database: `first` has 1 + the run that is next, 0 or less = none is left. */
typedef struct by_identity { zo_hashmap first; int64_t *next; } by_identity;

static by_identity by_identity_of(const zo_groups *g)
{
    by_identity by = {{0}, zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *by.next)};
    for (int i = g->n - 1; i >= 0; i--) {
        bool is_new;
        int64_t *first = zo_hashmap_at(&by.first, identity_hash(&g->run[i]), &is_new);
        by.next[i] = *first;
        *first = i + 1;
    }
    return by;
}

static void pair_runs(zo_pairs *p)
{
    by_identity of_b = by_identity_of(&p->g[B]);
    int n = 0;
    p->settings = p->g[A].groups;
    p->start = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)p->settings + 1) * sizeof *p->start);
    p->of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)p->g[A].n + 1) * sizeof *p->of);
    for (int s = 0; s < p->settings; s++) {
        p->start[s] = n;
        for (int i = p->g[A].start[s]; i < p->g[A].start[s + 1]; i++) {
            bool is_new;
            const zo_grouped_run *run = &p->g[A].run[p->g[A].member[i]];
            int64_t *next = zo_hashmap_at(&of_b.first, identity_hash(run), &is_new);
            if (*next == 0) {
                p->alone[A]++;
                continue;
            }
            p->of[n][A] = run;
            p->of[n++][B] = &p->g[B].run[*next - 1];
            *next = of_b.next[*next - 1];
        }
    }
    p->start[p->settings] = n;
    p->alone[B] = p->g[B].n - n;
    zo_hashmap_free(&of_b.first);
    zo_free(of_b.next);
}

zo_status zo_pairs_read(const zo_pair_side side[2], const zo_opt *keys, zo_pairs *p, zo_err *err)
{
    zo_report_spec spec = {.keys = keys, .columns = "task"};
    zo_status status = ZO_OK;
    int read = 0;
    *p = (zo_pairs){.settings = 0};
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = choose_runs(&side[k], err);
        status = status == ZO_OK ? zo_groups_read(side[k].results, &spec, false, ZO_MEANING, &p->g[k], err) : status;
        read += status == ZO_OK;
    }
    if (status != ZO_OK) {
        if (read > 0) {
            zo_groups_free(&p->g[A]);
        }
        return status;
    }
    pair_runs(p);
    p->label = zo_groups_labels(&p->g[A], keys, "model,task,form");
    if (p->start[p->settings] == 0 && !side[A].every) {
        zo_fail(err, ZO_EINPUT, "%s and %s have no cell in common: %lld and %lld cells stand alone. Cells are the same where config, seed, model, tokenizer, "
                "rows and task are", side[A].name, side[B].name, (long long)p->alone[A], (long long)p->alone[B]);
        zo_pairs_free(p);
        return ZO_EINPUT;
    }
    return ZO_OK;
}

void zo_pairs_free(zo_pairs *p)
{
    zo_labels_free(p->label, p->settings);
    zo_free(p->start);
    zo_free(p->of);
    for (int k = A; k < SIDES; k++) {
        zo_groups_free(&p->g[k]);
    }
    *p = (zo_pairs){.settings = 0};
}
