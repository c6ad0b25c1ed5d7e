/* regress.c: see regress.h. */
#include "results/regress.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/database.h"
#include "results/statistics.h"

enum { A = ZO_PAIR_A, B = ZO_PAIR_B, SIDES = ZO_PAIR_SIDES };
enum { CPU, STEP, FIRST_PART, TIMES = FIRST_PART + ZO_PARTS };

static const char *time_name(int time)
{
    return time == CPU ? "cpu" : time == STEP ? "step" : zo_part_name((zo_part)(time - FIRST_PART));
}

/* ---- what a run has ------------------------------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds; NaN = not measured. */
static zo_status read_times(const zo_pair_side *side, const zo_grouped_run *run, double ms[TIMES], zo_err *err)
{
#define X(id, name) ", \"" name "\""
    static const char sql[] = "SELECT seconds" ZO_PART_LIST(X) " FROM steps WHERE run = ? AND step > 1";
#undef X
    zo_binder b;
    zo_status status = zo_db_prepare(side->results, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    double *value[TIMES] = {NULL};
    int64_t n = 0, room = 0;
    int code;
    zo_put_int(&b, (int64_t)zo_run_number(run, "run"));
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW) {
        room = n == room ? 2 * room + 64 : room;
        for (int t = STEP; t < TIMES; t++) {
            value[t] = zo_realloc(value[t], ZO_HOST, ZO_TAG_OTHER, (size_t)room * sizeof *value[t]);
            bool has = sqlite3_column_type(b.s, t - STEP) != SQLITE_NULL;
            value[t][n] = has ? 1e3 * sqlite3_column_double(b.s, t - STEP) : NAN;
        }
        n++;
    }
    status = code == SQLITE_DONE ? ZO_OK : zo_db_fail(side->results, err);
    sqlite3_finalize(b.s);
    ms[CPU] = 1e3 * zo_run_number(run, "cpu_seconds") / zo_run_number(run, "steps");
    for (int t = STEP; t < TIMES; t++) {
        bool known = n > 0 && !isnan(value[t][0]);
        if (known) {
            qsort(value[t], (size_t)n, sizeof *value[t], by_value);
        }
        ms[t] = known ? zo_quantile(value[t], n, 0.25) : NAN;
        zo_free(value[t]);
    }
    return status;
}

/* ---- one setting --------------------------------------------------------------------------------------------------------- */

/* A figure over the pairs that have it on both sides. */
typedef struct figure { double sum[SIDES], *change; int n; } figure; /* change (n): the difference, or the logarithm of the ratio */

typedef struct setting {
    int cells, unequal, disturbed; /* of the first pairs; pairs that do not count for times */
    bool timed;                    /* it makes steps on both sides, whose times are measured */
    int64_t first;                 /* step from which on bits differ */
    figure score, time[TIMES];
    cJSON *memory[SIDES];          /* "train activations" -> bytes, the largest of the pairs */
    double *row_sum;               /* (rows) of the first pairs that keep their test rows, row_pairs of them */
    int64_t rows;
    int row_pairs;
    char ended[SIDES][80];         /* of the first cell that ended otherwise; "" = none did */
    cJSON *hashes;
} setting;

static void add_pair(figure *f, double a, double b, bool ratio)
{
    if (isfinite(a) && isfinite(b) && (!ratio || (a > 0 && b > 0))) {
        f->sum[A] += a;
        f->sum[B] += b;
        f->change[f->n++] = ratio ? log(b / a) : b - a;
    }
}

static zo_status read_memory(const zo_pair_side *side, const zo_grouped_run *run, cJSON *memory, zo_err *err)
{
    zo_binder b;
    zo_status status = zo_db_prepare(side->results, "SELECT phase || ' ' || tag, bytes FROM memory WHERE run = ? AND phase <> 'overall' UNION ALL "
                                     "SELECT phase || ' peak', bytes FROM peaks WHERE run = ? AND phase <> 'overall'", &b, err);
    if (status != ZO_OK) {
        return status;
    }
    int code;
    zo_put_int(&b, (int64_t)zo_run_number(run, "run"));
    zo_put_int(&b, (int64_t)zo_run_number(run, "run"));
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(b.s, 0);
        double bytes = sqlite3_column_double(b.s, 1);
        cJSON *known = cJSON_GetObjectItemCaseSensitive(memory, name);
        if (known == NULL) {
            cJSON_AddNumberToObject(memory, name, bytes);
        } else {
            cJSON_SetNumberValue(known, fmax(known->valuedouble, bytes));
        }
    }
    status = code == SQLITE_DONE ? ZO_OK : zo_db_fail(side->results, err);
    sqlite3_finalize(b.s);
    return status;
}

/* The first pair of its cell: what is the same in every run of one program. */
static zo_status add_cell(setting *s, const zo_pair_side side[2], const zo_grouped_run *const run[2], zo_err *err)
{
    int64_t step;
    bool used = false;
    zo_status status = zo_pair_bits(side, run, &step, err);
    status = status == ZO_OK ? zo_pair_rows(side, run, &s->row_sum, &s->rows, &used, err) : status;
    s->row_pairs += used;
    s->cells++;
    cJSON_AddItemToArray(s->hashes, cJSON_CreateString(zo_run_text(run[A], "hash")));
    if (status == ZO_OK && step >= 0) {
        s->first = s->unequal++ == 0 || step < s->first ? step : s->first;
    }
    add_pair(&s->score, zo_run_number(run[A], "metric_value"), zo_run_number(run[B], "metric_value"), false);
    char ended[SIDES][80];
    for (int k = A; k < SIDES; k++) {
        const char *marks = zo_run_text(run[k], "marks");
        snprintf(ended[k], sizeof ended[k], "%.30s%s%.40s", zo_run_text(run[k], "status"), marks[0] != '\0' ? ", " : "", marks);
    }
    if (s->ended[A][0] == '\0' && strcmp(ended[A], ended[B]) != 0) {
        memcpy(s->ended, ended, sizeof ended);
    }
    return status;
}

static zo_status add_run_pair(setting *s, const zo_pair_side side[2], const zo_grouped_run *const run[2], const zo_regress_rule *rule, zo_err *err)
{
    double ms[SIDES][TIMES];
    zo_status status = ZO_OK;
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = read_times(&side[k], run[k], ms[k], err);
        status = status == ZO_OK ? read_memory(&side[k], run[k], s->memory[k], err) : status;
    }
    bool quiet = rule->disturbed || (zo_run_number(run[A], "disturbed") == 0 && zo_run_number(run[B], "disturbed") == 0);
    s->disturbed += !quiet;
    s->timed = s->timed || (status == ZO_OK && isfinite(ms[A][CPU]) && isfinite(ms[B][CPU]));
    for (int t = 0; t < TIMES && status == ZO_OK && quiet; t++) {
        add_pair(&s->time[t], ms[A][t], ms[B][t], true);
    }
    return status;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

typedef struct judging {
    const zo_regress_rule *rule;
    const zo_pairs *pairs;
    int at; /* the setting */
    const setting *s;
    cJSON *rows;
} judging;

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

static cJSON *add_row(const judging *j, const char *name, const char *unit, double a, double b, const char *verdict, const char *why)
{
    const zo_grouped_run *first = zo_groups_first(&j->pairs->g[A], j->at);
    static const char *const words[] = {"model", "task", "form"};
    cJSON *row = cJSON_CreateObject();
    for (int i = 0; i < 3; i++) {
        cJSON_AddStringToObject(row, words[i], zo_run_text(first, words[i]));
    }
    cJSON_AddStringToObject(row, "method", j->pairs->label[j->at]);
    cJSON_AddItemToObject(row, "cells", cJSON_Duplicate(j->s->hashes, true));
    cJSON_AddStringToObject(row, "figure", name);
    cJSON_AddStringToObject(row, "unit", unit);
    add_number(row, "a", a);
    add_number(row, "b", b);
    cJSON_AddStringToObject(row, "verdict", verdict);
    cJSON_AddStringToObject(row, "why", why);
    cJSON_AddItemToArray(j->rows, row);
    return row;
}

/* The change with its interval and p; of logarithms as ratios less 1. */
static void add_change(cJSON *row, const figure *f, bool ratio)
{
    zo_paired p = zo_paired_of(f->change, f->n, ZO_REGRESS_COVER);
    add_number(row, "change", ratio ? expm1(p.mean) : p.mean);
    add_number(row, "low", ratio ? expm1(p.low) : p.low);
    add_number(row, "high", ratio ? expm1(p.high) : p.high);
    add_number(row, "p", p.p);
    cJSON_AddNumberToObject(row, "pairs", f->n);
}

static double mean_of(const figure *f, int side)
{
    return f->n > 0 ? f->sum[side] / f->n : NAN;
}

static void add_bits(const judging *j)
{
    char why[100] = "";
    if (j->s->unequal > 0) {
        snprintf(why, sizeof why, "%d of %d cells, from step %lld", j->s->unequal, j->s->cells, (long long)j->s->first);
    }
    add_row(j, "bits", "", NAN, NAN, j->s->unequal > 0 ? "other bits" : "same", why);
}

static void add_outcome(const judging *j)
{
    static const char good[] = "done";
    char why[200] = "";
    const char *a = j->s->ended[A], *b = j->s->ended[B];
    const char *verdict = strcmp(a, b) == 0 ? "same" : strcmp(a, good) == 0 ? "worse" : strcmp(b, good) == 0 ? "better" : "cannot tell";
    if (strcmp(a, b) != 0) {
        snprintf(why, sizeof why, "%s → %s", a, b);
    }
    add_row(j, "outcome", "", NAN, NAN, verdict, why);
}

static void add_score(const judging *j)
{
    const figure *f = &j->s->score;
    if (f->n == 0) {
        return;
    }
    cJSON *row = add_row(j, "score", "", mean_of(f, A), mean_of(f, B), "", ""); /* verdicts follow when all p are known */
    add_change(row, f, false);
    double low = NAN, high = NAN;
    if (j->s->row_pairs > 0) {
        zo_bootstrap(j->s->row_sum, j->s->rows, ZO_REGRESS_SAMPLES, ZO_REGRESS_SEED, ZO_REGRESS_COVER, &low, &high);
    }
    add_number(row, "rows_low", low / j->s->row_pairs);
    add_number(row, "rows_high", high / j->s->row_pairs);
}

static void add_times(const judging *j)
{
    for (int t = 0; t < TIMES && j->s->timed; t++) {
        const figure *f = &j->s->time[t];
        double of_step = fmax(mean_of(f, A) / mean_of(&j->s->time[STEP], A), mean_of(f, B) / mean_of(&j->s->time[STEP], B));
        if (t < FIRST_PART || of_step >= ZO_REGRESS_PART_SHARE) {
            cJSON *row = add_row(j, time_name(t), "ms", mean_of(f, A), mean_of(f, B), "", "");
            add_change(row, f, true);
            cJSON_AddNumberToObject(row, "disturbed", j->s->disturbed);
        }
    }
}

static void add_memory(const judging *j)
{
    cJSON *const *memory = j->s->memory;
    for (int k = A; k < SIDES; k++) { /* what B alone has comes last */
        for (const cJSON *x = memory[k]->child; x != NULL; x = x->next) {
            bool again = k == B && cJSON_HasObjectItem(memory[A], x->string);
            char peak[60];
            snprintf(peak, sizeof peak, "%.*s peak", (int)strcspn(x->string, " "), x->string);
            double a = k == A ? x->valuedouble : 0, b = k == B ? x->valuedouble : zo_json_number(memory[B], x->string, 0), whole = zo_json_number(memory[A], peak, 0);
            bool counts = fabs(b - a) > ZO_REGRESS_PEAK_SHARE * whole;
            if (again || (a == 0 && b == 0)) {
                continue;
            }
            double factor = (1 + j->rule->memory) * (1 - 1e-12); /* just as much more is enough */
            const char *verdict = counts && b >= a * factor ? "worse" : counts && a >= b * factor ? "better" : "same";
            cJSON *row = add_row(j, x->string, "bytes", a, b, verdict, "");
            add_number(row, "change", b / a - 1);
        }
    }
}

/* ---- verdicts on what is tested ------------------------------------------------------------------------------------------ */

typedef enum tested { SCORES, CHANGES_OF_TIME } tested;

static bool is_of(const cJSON *row, tested what)
{
    bool score = strcmp(zo_json_text(row, "figure"), "score") == 0, time = strcmp(zo_json_text(row, "unit"), "ms") == 0;
    return what == SCORES ? score : time;
}

/* A change for the better is below 0 of a time, above it of a score. */
static const char *direction(tested what, double change)
{
    return (change > 0) == (what == SCORES) ? "better" : "worse";
}

static double log_change(const cJSON *row, const char *key)
{
    return log1p(zo_json_number(row, key, NAN));
}

/* Is it as large as the rule wants? A ratio is compared as it is multiplied: 5 % more, or as much less that 5 % more brings it back. */
static bool is_large(const cJSON *row, const char *key, tested what, const zo_regress_rule *rule)
{
    return what == SCORES ? fabs(zo_json_number(row, key, NAN)) > rule->points : fabs(log_change(row, key)) > log1p(rule->effect);
}

static void set_text(cJSON *row, const char *key, const char *text)
{
    cJSON_ReplaceItemInObjectCaseSensitive(row, key, cJSON_CreateString(text));
}

static void judge_tested(cJSON *row, tested what, const zo_regress_rule *rule)
{
    double n = zo_json_number(row, "pairs", 0), change = zo_json_number(row, "change", NAN);
    bool has_interval = isfinite(zo_json_number(row, "low", NAN));
    char why[100] = "";
    const char *verdict = "cannot tell";
    if (what == CHANGES_OF_TIME && n < ZO_REGRESS_LEAST) {
        snprintf(why, sizeof why, "%.0f pairs count%s; at least %d are wanted", n, zo_json_number(row, "disturbed", 0) > 0 ? ", others were disturbed" : "", ZO_REGRESS_LEAST);
    } else if (!has_interval) {
        double low_rows = zo_json_number(row, "rows_low", NAN), high_rows = zo_json_number(row, "rows_high", NAN);
        bool sure = low_rows > 0 || high_rows < 0;
        verdict = change == 0 ? "same" : sure && is_large(row, "change", what, rule) ? direction(what, change) : verdict;
        snprintf(why, sizeof why, "of one cell%s", isfinite(low_rows) ? ", by its test rows" : "");
    } else if (zo_json_number(row, "p_holm", NAN) < rule->level && is_large(row, "change", what, rule)) {
        verdict = direction(what, change);
    } else if (!is_large(row, "low", what, rule) && !is_large(row, "high", what, rule)) {
        verdict = "same";
    }
    set_text(row, "verdict", verdict);
    set_text(row, "why", why);
}

/* A family of tests: Holm's correction over the n rows of this kind, and their verdicts. */
static void judge_family(cJSON *const *row, int n, tested what, const zo_regress_rule *rule)
{
    double *p = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *p);
    for (int i = 0; i < n; i++) {
        bool enough = what == SCORES || zo_json_number(row[i], "pairs", 0) >= ZO_REGRESS_LEAST;
        p[i] = enough ? zo_json_number(row[i], "p", NAN) : NAN;
    }
    zo_holm(p, n);
    for (int i = 0; i < n; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(row[i], "p_holm");
        add_number(row[i], "p_holm", p[i]);
        judge_tested(row[i], what, rule);
    }
    zo_free(p);
}

static void judge_all(cJSON *rows, tested what, const zo_regress_rule *rule)
{
    cJSON **row = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(rows) + 1) * sizeof *row);
    int n = 0;
    for (cJSON *x = rows->child; x != NULL; x = x->next) {
        if (is_of(x, what)) {
            row[n++] = x;
        }
    }
    judge_family(row, n, what, rule);
    zo_free(row);
}

/* ---- all of them --------------------------------------------------------------------------------------------------------- */

static zo_status judge_setting(judging *j, const zo_pair_side side[2], zo_err *err)
{
    const zo_pairs *p = j->pairs;
    int first = p->start[j->at], n = p->start[j->at + 1] - first;
    if (n == 0) {
        return ZO_OK;
    }
    double *change = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * (TIMES + 1) * sizeof *change);
    setting s = {.score.change = change, .memory = {cJSON_CreateObject(), cJSON_CreateObject()}, .hashes = cJSON_CreateArray()};
    zo_hashmap seen = {0};
    zo_status status = ZO_OK;
    for (int t = 0; t < TIMES; t++) {
        s.time[t].change = change + (size_t)n * (size_t)(t + 1);
    }
    for (int i = first; i < first + n && status == ZO_OK; i++) {
        bool is_new;
        zo_hashmap_at(&seen, zo_label_hash(ZO_FNV_START, zo_run_text(p->of[i][A], "identity")), &is_new);
        status = is_new ? add_cell(&s, side, p->of[i], err) : ZO_OK;
        status = status == ZO_OK ? add_run_pair(&s, side, p->of[i], j->rule, err) : status;
    }
    j->s = &s;
    if (status == ZO_OK) {
        add_bits(j);
        add_outcome(j);
        add_score(j);
        add_times(j);
        add_memory(j);
    }
    for (int k = A; k < SIDES; k++) {
        cJSON_Delete(s.memory[k]);
    }
    cJSON_Delete(s.hashes);
    zo_free(s.row_sum);
    zo_hashmap_free(&seen);
    zo_free(change);
    return status;
}

zo_status zo_regress_judge(const zo_pair_side side[2], const zo_regress_rule *rule, const zo_opt *keys, cJSON **rows, zo_err *err)
{
    zo_pairs p;
    *rows = NULL;
    zo_status status = zo_pairs_read(side, keys, &p, err);
    if (status != ZO_OK) {
        return status;
    }
    judging j = {.rule = rule, .pairs = &p, .rows = cJSON_CreateArray()};
    for (j.at = 0; j.at < p.settings && status == ZO_OK; j.at++) {
        status = judge_setting(&j, side, err);
    }
    zo_pairs_free(&p);
    if (status != ZO_OK) {
        cJSON_Delete(j.rows);
        return status;
    }
    judge_all(j.rows, SCORES, rule);
    judge_all(j.rows, CHANGES_OF_TIME, rule);
    *rows = j.rows;
    return ZO_OK;
}

/* ---- a second set of runs ------------------------------------------------------------------------------------------------ */

static bool has_verdict(const cJSON *row, const char *verdict)
{
    return strcmp(zo_json_text(row, "verdict"), verdict) == 0;
}

bool zo_regress_is_suspected(const cJSON *row)
{
    return is_of(row, CHANGES_OF_TIME) && (has_verdict(row, "worse") || has_verdict(row, "better"));
}

/* The first of the row's cells; a cell belongs to one setting. */
static const char *first_cell(const cJSON *row)
{
    const cJSON *cells = cJSON_GetObjectItemCaseSensitive(row, "cells");
    return cells != NULL && cells->child != NULL ? cells->child->valuestring : "";
}

static cJSON *same_figure(const cJSON *rows, const cJSON *as)
{
    for (cJSON *row = rows != NULL ? rows->child : NULL; row != NULL; row = row->next) {
        if (strcmp(first_cell(row), first_cell(as)) == 0 && strcmp(zo_json_text(row, "figure"), zo_json_text(as, "figure")) == 0) {
            return row;
        }
    }
    return NULL;
}

void zo_regress_confirm(cJSON *rows, const cJSON *again, const zo_regress_rule *rule)
{
    cJSON **second = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(rows) + 1) * sizeof *second);
    cJSON *family = again != NULL ? cJSON_Duplicate(again, true) : NULL;
    int n = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        cJSON *found = zo_regress_is_suspected(row) ? same_figure(family, row) : NULL;
        if (found != NULL) {
            second[n++] = found;
        }
    }
    judge_family(second, n, CHANGES_OF_TIME, rule);
    for (cJSON *row = rows->child; row != NULL; row = row->next) {
        const cJSON *found = zo_regress_is_suspected(row) ? same_figure(family, row) : NULL;
        char why[200];
        if (!zo_regress_is_suspected(row)) {
            continue;
        }
        if (found == NULL) {
            snprintf(why, sizeof why, "%s by one set of runs; there was no time for a second one", zo_json_text(row, "verdict"));
            set_text(row, "verdict", "unconfirmed");
        } else {
            bool holds = has_verdict(found, zo_json_text(row, "verdict"));
            snprintf(why, sizeof why, "a second set of runs %s: %+.1f %% [%+.1f, %+.1f]", holds ? "says so too" : "does not say so", 100 * zo_json_number(found, "change", NAN),
                     100 * zo_json_number(found, "low", NAN), 100 * zo_json_number(found, "high", NAN));
            add_number(row, "second_change", zo_json_number(found, "change", NAN));
            add_number(row, "second_p_holm", zo_json_number(found, "p_holm", NAN));
            set_text(row, "verdict", holds ? zo_json_text(row, "verdict") : has_verdict(found, "same") ? "same" : "cannot tell");
        }
        set_text(row, "why", why);
    }
    cJSON_Delete(family);
    zo_free(second);
}

bool zo_regress_is_worse(const cJSON *row, const zo_regress_rule *rule)
{
    return has_verdict(row, "worse") || (has_verdict(row, "other bits") && !rule->other_bits);
}
