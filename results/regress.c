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
#include "results/tries.h"

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
    int64_t n[TIMES] = {0}, rows = 0, room = 0;
    int code;
    zo_put_int(&b, (int64_t)zo_run_number(run, "run"));
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW) {
        room = rows == room ? 2 * room + 64 : room;
        for (int t = STEP; t < TIMES; t++) { /* a step that did not measure a part says nothing of it */
            value[t] = zo_realloc(value[t], ZO_HOST, ZO_TAG_OTHER, (size_t)room * sizeof *value[t]);
            if (sqlite3_column_type(b.s, t - STEP) != SQLITE_NULL) {
                value[t][n[t]++] = 1e3 * sqlite3_column_double(b.s, t - STEP);
            }
        }
        rows++;
    }
    status = code == SQLITE_DONE ? ZO_OK : zo_db_fail(side->results, err);
    sqlite3_finalize(b.s);
    ms[CPU] = 1e3 * zo_run_number(run, "cpu_seconds") / zo_run_number(run, "steps");
    for (int t = STEP; t < TIMES; t++) {
        if (n[t] > 0) {
            qsort(value[t], (size_t)n[t], sizeof *value[t], by_value);
        }
        ms[t] = n[t] > 0 ? zo_quantile(value[t], n[t], 0.25) : NAN;
        zo_free(value[t]);
    }
    return status;
}

/* ---- one setting --------------------------------------------------------------------------------------------------------- */

/* A figure over the pairs that have it on both sides. */
typedef struct figure { double sum[SIDES], *change; int n; } figure; /* change (n): the difference, or the logarithm of the ratio */

/* How a pair ended, the worse the greater. */
typedef enum end { END_SAME, END_BETTER, END_UNTOLD, END_WORSE } end;

typedef struct setting {
    int pairs, cells, unequal;     /* unequal: cells, in any of their pairs */
    int alone;                     /* runs of the first side without a partner */
    int disturbed;                 /* pairs that do not count for times */
    bool timed;                    /* it makes steps on both sides, whose times are measured */
    int64_t first;                 /* step from which on bits differ */
    figure score, time[TIMES];
    cJSON *memory[SIDES];          /* "train activations" -> bytes, the largest of the pairs */
    double *row_sum;               /* (rows) of the first pairs that keep their test rows, row_pairs of them */
    int64_t rows;
    int row_pairs;
    end end;                       /* of the worst pair, */
    char ended[SIDES][80];         /* and how it ended; of several the first. "" = all ended alike */
    int otherwise;                 /* pairs that did not end alike, or without a result */
    cJSON *hashes;                 /* of all cells, those without a pair too */
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
    bool used = false;
    zo_status status = zo_pair_rows(side, run, &s->row_sum, &s->rows, &used, err);
    s->row_pairs += used;
    s->cells++;
    add_pair(&s->score, zo_run_number(run[A], "metric_value"), zo_run_number(run[B], "metric_value"), false);
    return status;
}

/* The status comes first; of one status the marks, of which a new one is worse. Two runs without a result say nothing. */
static end end_of(const zo_grouped_run *const run[2])
{
    static const char good[] = "done";
    const char *a = zo_run_text(run[A], "status"), *b = zo_run_text(run[B], "status");
    if (strcmp(a, b) != 0) {
        return strcmp(a, good) == 0 ? END_WORSE : strcmp(b, good) == 0 ? END_BETTER : END_UNTOLD;
    }
    char quoted[100];
    snprintf(quoted, sizeof quoted, "'%.90s'", a);
    if (strstr(ZO_FINISHED, quoted) == NULL) {
        return END_UNTOLD;
    }
    bool more = false, less = false;
    for (size_t m = 0; m < sizeof zo_mark_names / sizeof *zo_mark_names; m++) {
        bool had = zo_run_is_marked(run[A], zo_mark_names[m]), has = zo_run_is_marked(run[B], zo_mark_names[m]);
        more = more || (has && !had);
        less = less || (had && !has);
    }
    return more ? END_WORSE : less ? END_BETTER : END_SAME;
}

static void add_end(setting *s, const zo_grouped_run *const run[2])
{
    end found = end_of(run);
    s->otherwise += found != END_SAME;
    if (found <= s->end) {
        return;
    }
    s->end = found;
    for (int k = A; k < SIDES; k++) {
        const char *marks = zo_run_text(run[k], "marks");
        snprintf(s->ended[k], sizeof s->ended[k], "%.30s%s%.40s", zo_run_text(run[k], "status"), marks[0] != '\0' ? ", " : "", marks);
    }
}

/* *unequal: the cell has had a pair with other bits. */
static zo_status add_pair_bits(setting *s, const zo_pair_side side[2], const zo_grouped_run *const run[2], bool *unequal, zo_err *err)
{
    int64_t step;
    zo_status status = zo_pair_bits(side, run, &step, err);
    if (status == ZO_OK && step >= 0) {
        s->first = s->unequal == 0 || step < s->first ? step : s->first;
        s->unequal += !*unequal;
        *unequal = true;
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
    const zo_grouped_run *run; /* of the setting, */
    const char *label;         /* and what it is called */
    const setting *s;
    cJSON *rows;
} judging;

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

static cJSON *add_row(const judging *j, const char *name, const char *unit, double a, double b, const char *verdict, const char *why)
{
    static const char *const words[] = {"model", "task", "form"};
    cJSON *row = cJSON_CreateObject();
    for (int i = 0; i < 3; i++) {
        cJSON_AddStringToObject(row, words[i], zo_run_text(j->run, words[i]));
    }
    cJSON_AddStringToObject(row, "method", j->label);
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
    static const char *const words[] = {[END_SAME] = "same", [END_BETTER] = "better", [END_UNTOLD] = "cannot tell", [END_WORSE] = "worse"};
    const setting *s = j->s;
    char why[400] = "", ended[280] = "";
    if (s->end != END_SAME) {
        snprintf(ended, sizeof ended, "%.79s → %.79s; %d of %d pairs", s->ended[A], s->ended[B], s->otherwise, s->pairs);
    }
    if (s->alone > 0) {
        snprintf(why, sizeof why, "%d run%s of A %s no partner in B%s%s", s->alone, s->alone > 1 ? "s" : "", s->alone > 1 ? "have" : "has", ended[0] != '\0' ? "; " : "", ended);
    }
    add_row(j, "outcome", "", NAN, NAN, s->alone > 0 ? "worse" : words[s->end], s->alone > 0 ? why : ended);
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
    if (j->s->row_pairs == f->n) { /* of the same cells as the mean */
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

/* The score of too few cells to be tested by their spread: by their test rows. */
static const char *judge_by_rows(const cJSON *row, const zo_regress_rule *rule, char *why, size_t size)
{
    double n = zo_json_number(row, "pairs", 0), low = zo_json_number(row, "rows_low", NAN), high = zo_json_number(row, "rows_high", NAN), change = zo_json_number(row, "change", NAN);
    bool kept = isfinite(low) && isfinite(high), large = is_large(row, "change", SCORES, rule);
    int at = n > 1 ? snprintf(why, size, "of %.0f cells", n) : snprintf(why, size, "of one cell");
    snprintf(why + at, size - (size_t)at, "%s", kept ? ", by the test rows" : " without test rows: no test possible");
    if (!kept) {
        return change == 0 ? "same" : "cannot tell";
    }
    if (large && (low > 0 || high < 0) && (low > 0) == (change > 0)) {
        return direction(SCORES, change);
    }
    return !large && !is_large(row, "rows_low", SCORES, rule) && !is_large(row, "rows_high", SCORES, rule) ? "same" : "cannot tell";
}

static void judge_tested(cJSON *row, tested what, const zo_regress_rule *rule)
{
    double n = zo_json_number(row, "pairs", 0), change = zo_json_number(row, "change", NAN);
    char why[100] = "";
    const char *verdict = "cannot tell";
    if (what == CHANGES_OF_TIME && n < ZO_REGRESS_LEAST) {
        snprintf(why, sizeof why, "%.0f pairs count%s; at least %d are wanted", n, zo_json_number(row, "disturbed", 0) > 0 ? ", others were disturbed" : "", ZO_REGRESS_LEAST);
    } else if (n < ZO_REGRESS_LEAST) {
        verdict = judge_by_rows(row, rule, why, sizeof why);
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
        p[i] = zo_json_number(row[i], "pairs", 0) >= ZO_REGRESS_LEAST ? zo_json_number(row[i], "p", NAN) : NAN;
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

/* The cells of these runs of a side, each once. */
static cJSON *hashes_of(const zo_groups *g, const int *member, int n)
{
    cJSON *hashes = cJSON_CreateArray();
    zo_hashmap seen = {0};
    for (int i = 0; i < n; i++) {
        bool is_new;
        const char *hash = zo_run_text(&g->run[member[i]], "hash");
        zo_hashmap_at(&seen, zo_label_hash(ZO_FNV_START, hash), &is_new);
        if (is_new) {
            cJSON_AddItemToArray(hashes, cJSON_CreateString(hash));
        }
    }
    zo_hashmap_free(&seen);
    return hashes;
}

static zo_status judge_setting(judging *j, int at, const zo_pair_side side[2], zo_err *err)
{
    const zo_pairs *p = j->pairs;
    const zo_groups *g = &p->g[A];
    int first = p->start[at], n = p->start[at + 1] - first, runs = g->start[at + 1] - g->start[at];
    double *change = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * (TIMES + 1) * sizeof *change);
    setting s = {.pairs = n, .alone = runs - n, .score.change = change, .memory = {cJSON_CreateObject(), cJSON_CreateObject()}};
    s.hashes = hashes_of(g, g->member + g->start[at], runs);
    zo_hashmap seen = {0}; /* cells: 1 = seen, 2 = with other bits */
    zo_status status = ZO_OK;
    for (int t = 0; t < TIMES; t++) {
        s.time[t].change = change + (size_t)n * (size_t)(t + 1);
    }
    for (int i = first; i < first + n && status == ZO_OK; i++) {
        bool is_new;
        int64_t *cell = zo_hashmap_at(&seen, zo_label_hash(ZO_FNV_START, zo_run_text(p->of[i][A], "identity")), &is_new);
        bool unequal = !is_new && *cell == 2;
        status = is_new ? add_cell(&s, side, p->of[i], err) : ZO_OK;
        status = status == ZO_OK ? add_pair_bits(&s, side, p->of[i], &unequal, err) : status;
        *cell = unequal ? 2 : 1;
        add_end(&s, p->of[i]);
        status = status == ZO_OK ? add_run_pair(&s, side, p->of[i], j->rule, err) : status;
    }
    j->run = zo_groups_first(g, at);
    j->label = p->label[at];
    j->s = &s;
    if (status == ZO_OK) {
        if (n > 0) {
            add_bits(j);
        }
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

/* A row for each setting of the second side with runs that have no partner. */
static void add_alone(judging *j, const zo_opt *keys)
{
    const zo_pairs *p = j->pairs;
    const zo_groups *g = &p->g[B];
    bool *paired = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *paired);
    int *alone = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *alone);
    char **label = zo_groups_labels(g, keys, "model,task,form");
    memset(paired, 0, ((size_t)g->n + 1) * sizeof *paired);
    for (int i = 0; i < p->start[p->settings]; i++) {
        paired[p->of[i][B] - g->run] = true;
    }
    for (int at = 0; at < g->groups; at++) {
        int n = 0;
        char why[200];
        for (int i = g->start[at]; i < g->start[at + 1]; i++) {
            alone[n] = g->member[i];
            n += !paired[g->member[i]];
        }
        if (n > 0) {
            setting s = {.hashes = hashes_of(g, alone, n)};
            snprintf(why, sizeof why, "%d run%s of B %s no partner in A: other config, seed, model, tokenizer, rows or task", n, n > 1 ? "s" : "", n > 1 ? "have" : "has");
            j->run = &g->run[alone[0]];
            j->label = label[at];
            j->s = &s;
            add_row(j, "outcome", "", NAN, NAN, "cannot tell", why);
            cJSON_Delete(s.hashes);
        }
    }
    zo_labels_free(label, g->groups);
    zo_free(alone);
    zo_free(paired);
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
    if (p.g[A].n == 0) {
        status = zo_fail(err, ZO_EINPUT, "%s: has no run that has ended", side[A].results->path);
    }
    for (int at = 0; at < p.settings && status == ZO_OK; at++) {
        status = judge_setting(&j, at, side, err);
    }
    if (status == ZO_OK) {
        add_alone(&j, keys);
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

static bool has_cell(const cJSON *row, const char *hash)
{
    const cJSON *cells = cJSON_GetObjectItemCaseSensitive(row, "cells");
    bool found = false;
    for (const cJSON *cell = cells != NULL ? cells->child : NULL; cell != NULL; cell = cell->next) {
        found = found || strcmp(cell->valuestring, hash) == 0;
    }
    return found;
}

/* A cell belongs to one setting. */
static bool is_one_setting(const cJSON *x, const cJSON *y)
{
    const cJSON *cells = cJSON_GetObjectItemCaseSensitive(x, "cells");
    bool found = false;
    for (const cJSON *cell = cells != NULL ? cells->child : NULL; cell != NULL; cell = cell->next) {
        found = found || has_cell(y, cell->valuestring);
    }
    return found;
}

static cJSON *same_figure(const cJSON *rows, const cJSON *as)
{
    for (cJSON *row = rows != NULL ? rows->child : NULL; row != NULL; row = row->next) {
        if (strcmp(zo_json_text(row, "figure"), zo_json_text(as, "figure")) == 0 && is_one_setting(row, as)) {
            return row;
        }
    }
    return NULL;
}

static bool has_enough(const cJSON *row)
{
    return row != NULL && zo_json_number(row, "pairs", 0) >= ZO_REGRESS_LEAST;
}

/* What is no time, and was the same in the first set, is what the second one says: outcome, and bits. */
static void take_over(cJSON *rows, const cJSON *again)
{
    for (cJSON *row = rows->child; row != NULL; row = row->next) {
        bool asked = (strcmp(zo_json_text(row, "figure"), "bits") == 0 || strcmp(zo_json_text(row, "figure"), "outcome") == 0) && has_verdict(row, "same");
        const cJSON *found = asked ? same_figure(again, row) : NULL;
        if (found != NULL && !has_verdict(found, "same")) {
            char why[500];
            snprintf(why, sizeof why, "in the second set of runs: %.400s", zo_json_text(found, "why"));
            set_text(row, "verdict", zo_json_text(found, "verdict"));
            set_text(row, "why", why);
        }
    }
}

void zo_regress_confirm(cJSON *rows, const cJSON *again, const zo_regress_rule *rule)
{
    cJSON **second = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)cJSON_GetArraySize(rows) + 1) * sizeof *second);
    cJSON *family = again != NULL ? cJSON_Duplicate(again, true) : NULL;
    int n = 0;
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        cJSON *found = zo_regress_is_suspected(row) ? same_figure(family, row) : NULL;
        if (has_enough(found)) {
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
        if (!has_enough(found)) {
            int at = snprintf(why, sizeof why, "%s by one set of runs; ", zo_json_text(row, "verdict"));
            if (found == NULL) {
                snprintf(why + at, sizeof why - (size_t)at, "there was no time for a second one");
            } else {
                snprintf(why + at, sizeof why - (size_t)at, "of the second %.0f pairs count, and at least %d are wanted", zo_json_number(found, "pairs", 0), ZO_REGRESS_LEAST);
            }
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
    take_over(rows, again);
    cJSON_Delete(family);
    zo_free(second);
}

bool zo_regress_is_worse(const cJSON *row, const zo_regress_rule *rule)
{
    return has_verdict(row, "worse") || (has_verdict(row, "other bits") && !rule->other_bits);
}

zo_regress_verdict zo_regress_overall(const cJSON *rows, const zo_regress_rule *rule)
{
    zo_regress_verdict verdict = ZO_REGRESS_SAME;
    bool compared = false; /* cells without a step or a score compare nothing, however alike they ended */
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        const char *name = zo_json_text(row, "figure");
        bool untold = strcmp(name, "cpu") == 0 ? !has_enough(row) : strcmp(name, "outcome") == 0 && has_verdict(row, "cannot tell");
        if (zo_regress_is_worse(row, rule)) {
            return ZO_REGRESS_WORSE;
        }
        compared = compared || strcmp(name, "cpu") == 0 || strcmp(name, "score") == 0;
        verdict = untold ? ZO_REGRESS_UNTOLD : verdict;
    }
    return compared ? verdict : ZO_REGRESS_UNTOLD;
}

const char *zo_regress_word(zo_regress_verdict verdict)
{
    return verdict == ZO_REGRESS_WORSE ? "worse" : verdict == ZO_REGRESS_UNTOLD ? "cannot tell" : "same or better";
}
