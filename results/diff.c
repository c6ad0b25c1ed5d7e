/* diff.c: see diff.h. */
#include "results/diff.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/groups.h"
#include "results/statistics.h"
#include "results/tries.h"

enum { A, B, SIDES };

/* ---- one pair ------------------------------------------------------------------------------------------------------------ */

/* The best dev metric of a run, or the work at which it was first as good as `target`; NaN where there is none. */
static zo_status ask_dev(const zo_pair_side *side, int64_t run, const char *metric, const double *target, double *value, zo_err *err)
{
    char *sql = target == NULL ? sqlite3_mprintf("SELECT max(\"%w\") FROM evaluations WHERE run = ? AND split = 'dev'", metric)
                               : sqlite3_mprintf("SELECT min(work) FROM evaluations WHERE run = ? AND split = 'dev' AND \"%w\" >= ?", metric);
    zo_binder b;
    zo_status status = zo_db_prepare(side->results, sql, &b, err);
    sqlite3_free(sql);
    *value = NAN;
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, run);
    if (target != NULL) {
        zo_put_real(&b, *target);
    }
    int code = sqlite3_step(b.s);
    if (code == SQLITE_ROW && sqlite3_column_type(b.s, 0) != SQLITE_NULL) {
        *value = sqlite3_column_double(b.s, 0);
    }
    status = code == SQLITE_ROW ? ZO_OK : zo_db_fail(side->results, err);
    sqlite3_finalize(b.s);
    return status;
}

/* Name -> number of a run, added to `sums`. */
static zo_status add_numbers(const zo_pair_side *side, const char *sql, int64_t run, cJSON *sums, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(side->results, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, run);
    int code;
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(b.s, 0);
        cJSON *sum = cJSON_GetObjectItemCaseSensitive(sums, name);
        if (sum == NULL) {
            cJSON_AddNumberToObject(sums, name, sqlite3_column_double(b.s, 1));
        } else {
            cJSON_SetNumberValue(sum, sum->valuedouble + sqlite3_column_double(b.s, 1));
        }
    }
    status = code == SQLITE_DONE ? ZO_OK : zo_db_fail(side->results, err);
    sqlite3_finalize(b.s);
    return status;
}

/* ---- one setting --------------------------------------------------------------------------------------------------------- */

/* A figure over the pairs that have it on both sides. */
typedef struct figure { double sum[SIDES], *change; int n; } figure; /* change (pairs): the difference, or the logarithm of the ratio */

typedef struct tally {
    int pairs, unequal;
    int64_t first;
    figure score, time, memory, work;
    cJSON *parts[SIDES], *tags[SIDES];
    char outcome[80];
} tally;

/* Does the pair have it? */
static bool add_pair(figure *f, double a, double b, bool ratio)
{
    bool has = isfinite(a) && isfinite(b) && (!ratio || (a > 0 && b > 0));
    if (has) {
        f->sum[A] += a;
        f->sum[B] += b;
        f->change[f->n++] = ratio ? log(b / a) : b - a;
    }
    return has;
}

static zo_status add_run_pair(tally *s, const zo_pair_side side[2], const zo_grouped_run *const run[2], zo_err *err)
{
    const int64_t number[SIDES] = {(int64_t)zo_run_number(run[A], "run"), (int64_t)zo_run_number(run[B], "run")};
    const char *metric = zo_run_text(run[A], "metric");
    double best[SIDES], work[SIDES];
    int64_t step;
    zo_status status = zo_pair_bits(side, run, &step, err);
    s->pairs++;
    if (status == ZO_OK && step >= 0) {
        s->first = s->unequal++ == 0 || step < s->first ? step : s->first;
    }
    const char *ended[SIDES] = {zo_run_text(run[A], "status"), zo_run_text(run[B], "status")};
    if (strcmp(ended[A], ended[B]) != 0) {
        snprintf(s->outcome, sizeof s->outcome, "%s, %s", ended[A], ended[B]);
    }
    add_pair(&s->score, zo_run_number(run[A], "metric_value"), zo_run_number(run[B], "metric_value"), false);
    bool has_peaks = add_pair(&s->memory, zo_run_number(run[A], "train_peak_bytes"), zo_run_number(run[B], "train_peak_bytes"), true);
    bool quiet = zo_run_number(run[A], "disturbed") == 0 && zo_run_number(run[B], "disturbed") == 0;
    quiet = quiet && add_pair(&s->time, zo_run_number(run[A], "step_ms_median"), zo_run_number(run[B], "step_ms_median"), true);
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = ask_dev(&side[k], number[k], metric, NULL, &best[k], err);
        status = status == ZO_OK && quiet ? add_numbers(&side[k], "SELECT part, ms FROM parts WHERE run = ?", number[k], s->parts[k], err) : status;
        status = status == ZO_OK && has_peaks ? add_numbers(&side[k], "SELECT tag, bytes FROM memory WHERE phase = 'train' AND run = ?", number[k], s->tags[k], err) : status;
    }
    double target = status == ZO_OK ? fmin(best[A], best[B]) : NAN;
    for (int k = A; k < SIDES && status == ZO_OK && isfinite(best[A]) && isfinite(best[B]); k++) {
        status = ask_dev(&side[k], number[k], metric, &target, &work[k], err);
        if (k == B && status == ZO_OK) {
            add_pair(&s->work, work[A], work[B], true);
        }
    }
    return status;
}

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

/* Means of both sides, and the mean change with its interval; of logarithms as ratios. `unit` is what a number is divided by. */
static void add_figure(cJSON *to, const figure *f, const char *name, const char *change_name, bool ratio, double unit)
{
    char key[60];
    zo_paired p = zo_paired_of(f->change, f->n, ZO_DIFF_COVER);
    add_number(to, name, f->n > 0 ? f->sum[A] / f->n / unit : NAN);
    snprintf(key, sizeof key, "%s_b", name);
    add_number(to, key, f->n > 0 ? f->sum[B] / f->n / unit : NAN);
    add_number(to, change_name, ratio ? exp(p.mean) : p.mean);
    snprintf(key, sizeof key, "%s_low", change_name);
    add_number(to, key, ratio ? exp(p.low) : p.low);
    snprintf(key, sizeof key, "%s_high", change_name);
    add_number(to, key, ratio ? exp(p.high) : p.high);
}

/* The name whose mean over n pairs changed most, and by how much. */
static void add_largest(cJSON *to, cJSON *const sums[2], int n, const char *name_key, const char *change_key, double unit)
{
    const char *name = NULL;
    double most = 0;
    for (int k = A; k < SIDES; k++) { /* what one side alone has counts too */
        for (const cJSON *x = sums[k]->child; x != NULL; x = x->next) {
            const cJSON *y = cJSON_GetObjectItemCaseSensitive(sums[1 - k], x->string);
            double other = y != NULL ? y->valuedouble : 0, change = k == A ? other - x->valuedouble : x->valuedouble - other;
            if (fabs(change) > fabs(most)) {
                most = change;
                name = x->string;
            }
        }
    }
    cJSON_AddItemToObject(to, name_key, name != NULL ? cJSON_CreateString(name) : cJSON_CreateNull());
    add_number(to, change_key, name != NULL ? most / n / unit : NAN);
}

static cJSON *setting_row(const tally *s, const zo_grouped_run *first, const char *method)
{
    cJSON *row = cJSON_CreateObject();
    static const char *const words[] = {"model", "task", "form"};
    for (int i = 0; i < 3; i++) {
        cJSON_AddStringToObject(row, words[i], zo_run_text(first, words[i]));
    }
    cJSON_AddStringToObject(row, "method", method);
    cJSON_AddNumberToObject(row, "pairs", s->pairs);
    cJSON_AddNumberToObject(row, "unequal", s->unequal);
    add_number(row, "first", s->unequal > 0 ? (double)s->first : NAN);
    add_figure(row, &s->score, "score", "score_difference", false, 1);
    cJSON_AddNumberToObject(row, "quiet", s->time.n);
    add_figure(row, &s->time, "step_ms", "step_ratio", true, 1);
    add_largest(row, s->parts, s->time.n, "part", "part_ms", 1);
    add_figure(row, &s->memory, "train_mb", "memory_ratio", true, 1e6);
    add_largest(row, s->tags, s->memory.n, "tag", "tag_mb", 1e6);
    add_figure(row, &s->work, "work", "work_ratio", true, 1);
    cJSON_AddStringToObject(row, "outcome", s->outcome);
    return row;
}

/* ---- all of them --------------------------------------------------------------------------------------------------------- */

static zo_status diff_setting(const zo_pair_side side[2], const zo_pairs *p, int setting, cJSON *rows, zo_diff_left *left, zo_err *err)
{
    size_t most = (size_t)(p->start[setting + 1] - p->start[setting]);
    if (most == 0) {
        return ZO_OK;
    }
    double *change = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 4 * most * sizeof *change);
    tally s = {.score.change = change, .time.change = change + most, .memory.change = change + 2 * most, .work.change = change + 3 * most};
    zo_status status = ZO_OK;
    for (int k = A; k < SIDES; k++) {
        s.parts[k] = cJSON_CreateObject();
        s.tags[k] = cJSON_CreateObject();
    }
    for (int i = p->start[setting]; i < p->start[setting + 1] && status == ZO_OK; i++) {
        status = add_run_pair(&s, side, p->of[i], err);
        left->outcome += strcmp(zo_run_text(p->of[i][A], "status"), zo_run_text(p->of[i][B], "status")) != 0;
    }
    if (status == ZO_OK) {
        cJSON_AddItemToArray(rows, setting_row(&s, zo_groups_first(&p->g[A], setting), p->label[setting]));
    }
    for (int k = A; k < SIDES; k++) {
        cJSON_Delete(s.parts[k]);
        cJSON_Delete(s.tags[k]);
    }
    zo_free(change);
    return status;
}

zo_status zo_diff(const zo_pair_side side[2], const zo_opt *keys, cJSON **rows, zo_diff_left *left, zo_err *err)
{
    zo_pairs p;
    *rows = NULL;
    *left = (zo_diff_left){{0}, 0};
    zo_status status = zo_pairs_read(side, keys, &p, err);
    if (status != ZO_OK) {
        return status;
    }
    cJSON *made = cJSON_CreateArray();
    for (int s = 0; s < p.settings && status == ZO_OK; s++) {
        status = diff_setting(side, &p, s, made, left, err);
    }
    for (int k = A; k < SIDES; k++) {
        left->alone[k] = p.alone[k];
    }
    zo_pairs_free(&p);
    if (status != ZO_OK) {
        cJSON_Delete(made);
        return status;
    }
    *rows = made;
    return ZO_OK;
}
