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

/* ---- the runs of a side -------------------------------------------------------------------------------------------------- */

/* What there is in place of the value that no run has. */
static zo_status no_run(const zo_diff_side *side, zo_err *err)
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
static zo_status choose_runs(const zo_diff_side *side, zo_err *err)
{
    char *sql = side->column == NULL
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
    return !ok ? zo_db_fail(side->results, err) : runs == 0 ? no_run(side, err) : ZO_OK;
}

/* ---- one pair ------------------------------------------------------------------------------------------------------------ */

/* Where two runs have other rows in what this statement lists, each row a step and then numbers: the step of the first that differs, -1 = none does. */
static zo_status first_difference(const zo_diff_side side[2], const char *sql, const int64_t run[2], int64_t *step, zo_err *err)
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

static zo_status compare_bits(const zo_diff_side side[2], const int64_t run[2], int64_t *step, zo_err *err)
{
    static const char *const sql[] = {"SELECT step, loss, projected FROM steps WHERE run = ? ORDER BY step",
                                      "SELECT step, loss, accuracy, f1, macro_f1, matthews, exact_match, token_f1, pearson, spearman FROM evaluations WHERE run = ? "
                                      "ORDER BY step, split"};
    *step = -1;
    for (int i = 0; i < 2; i++) {
        int64_t found;
        zo_status status = first_difference(side, sql[i], run, &found, err);
        if (status != ZO_OK) {
            return status;
        }
        *step = found >= 0 && (*step < 0 || found < *step) ? found : *step;
    }
    return ZO_OK;
}

/* The best dev metric of a run, or the work at which it was first as good as `target`; NaN where there is none. */
static zo_status ask_dev(const zo_diff_side *side, int64_t run, const char *metric, const double *target, double *value, zo_err *err)
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
static zo_status add_numbers(const zo_diff_side *side, const char *sql, int64_t run, cJSON *sums, zo_err *err)
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

static zo_status add_run_pair(tally *s, const zo_diff_side side[2], const zo_grouped_run *const run[2], zo_err *err)
{
    const int64_t number[SIDES] = {(int64_t)zo_run_number(run[A], "run"), (int64_t)zo_run_number(run[B], "run")};
    const char *metric = zo_run_text(run[A], "metric");
    double best[SIDES], work[SIDES];
    int64_t step;
    zo_status status = compare_bits(side, number, &step, err);
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
    double mean = 0, squares = 0, half = NAN;
    for (int i = 0; i < f->n; i++) {
        mean += f->change[i] / f->n;
    }
    for (int i = 0; i < f->n; i++) {
        squares += (f->change[i] - mean) * (f->change[i] - mean);
    }
    if (f->n > 1) {
        half = zo_paired_half_width(sqrt(squares / (f->n - 1)), f->n, ZO_DIFF_COVER);
    }
    mean = f->n > 0 ? mean : NAN;
    add_number(to, name, f->n > 0 ? f->sum[A] / f->n / unit : NAN);
    snprintf(key, sizeof key, "%s_b", name);
    add_number(to, key, f->n > 0 ? f->sum[B] / f->n / unit : NAN);
    add_number(to, change_name, ratio ? exp(mean) : mean);
    snprintf(key, sizeof key, "%s_low", change_name);
    add_number(to, key, ratio ? exp(mean - half) : mean - half);
    snprintf(key, sizeof key, "%s_high", change_name);
    add_number(to, key, ratio ? exp(mean + half) : mean + half);
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

static char **labels_of(const zo_groups *g, const zo_opt *keys)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->groups + 1) * sizeof *setting);
    for (int i = 0; i < g->groups; i++) {
        const zo_grouped_run *run = zo_groups_first(g, i);
        uint64_t frame = zo_label_hash(ZO_FNV_START, zo_run_text(run, "optimizer"));
        setting[i] = (zo_setting){.value = run->flat, .name = zo_run_text(run, "optimizer"), .frame = frame, .scope = frame};
    }
    char **label = zo_labels_make(&(zo_label_spec){.keys = keys, .left = "model,task,form"}, setting, g->groups);
    zo_free(setting);
    return label;
}

static uint64_t identity_hash(const zo_grouped_run *run)
{
    return zo_label_hash(ZO_FNV_START, zo_run_text(run, "identity"));
}

static zo_status diff_group(const zo_diff_side side[2], const zo_groups g[2], zo_hashmap *of_b, int group, const char *method, cJSON *rows, zo_diff_left *left,
                            zo_err *err)
{
    size_t most = (size_t)(g[A].start[group + 1] - g[A].start[group]);
    double *change = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 4 * most * sizeof *change);
    tally s = {.score.change = change, .time.change = change + most, .memory.change = change + 2 * most, .work.change = change + 3 * most};
    zo_status status = ZO_OK;
    for (int k = A; k < SIDES; k++) {
        s.parts[k] = cJSON_CreateObject();
        s.tags[k] = cJSON_CreateObject();
    }
    for (int i = g[A].start[group]; i < g[A].start[group + 1] && status == ZO_OK; i++) {
        bool is_new;
        const zo_grouped_run *run = &g[A].run[g[A].member[i]];
        int64_t *partner = zo_hashmap_at(of_b, identity_hash(run), &is_new); /* 1 + its place; 0 = none, negative = it has been met */
        if (*partner <= 0) {
            left->alone[A]++;
            continue;
        }
        const zo_grouped_run *const pair[SIDES] = {run, &g[B].run[*partner - 1]};
        *partner = -*partner;
        status = add_run_pair(&s, side, pair, err);
        left->outcome += strcmp(zo_run_text(pair[A], "status"), zo_run_text(pair[B], "status")) != 0;
    }
    if (status == ZO_OK && s.pairs > 0) {
        cJSON_AddItemToArray(rows, setting_row(&s, zo_groups_first(&g[A], group), method));
    }
    for (int k = A; k < SIDES; k++) {
        cJSON_Delete(s.parts[k]);
        cJSON_Delete(s.tags[k]);
    }
    zo_free(change);
    return status;
}

static zo_status diff_groups(const zo_diff_side side[2], const zo_groups g[2], const zo_opt *keys, cJSON *rows, zo_diff_left *left, zo_err *err)
{
    zo_hashmap of_b = {0};
    zo_status status = ZO_OK;
    bool is_new;
    for (int i = 0; i < g[B].n; i++) {
        *zo_hashmap_at(&of_b, identity_hash(&g[B].run[i]), &is_new) = i + 1;
    }
    char **label = labels_of(&g[A], keys);
    for (int i = 0; i < g[A].groups && status == ZO_OK; i++) {
        status = diff_group(side, g, &of_b, i, label[i], rows, left, err);
    }
    for (int i = 0; i < g[B].n; i++) {
        left->alone[B] += *zo_hashmap_at(&of_b, identity_hash(&g[B].run[i]), &is_new) > 0;
    }
    zo_labels_free(label, g[A].groups);
    zo_hashmap_free(&of_b);
    return status == ZO_OK && cJSON_GetArraySize(rows) == 0
               ? zo_fail(err, ZO_EINPUT, "%s and %s have no cell in common: %lld and %lld cells stand alone. Cells are the same where config, seed, model, tokenizer, "
                         "rows and task are", side[A].name, side[B].name, (long long)left->alone[A], (long long)left->alone[B])
               : status;
}

zo_status zo_diff(const zo_diff_side side[2], const zo_opt *keys, cJSON **rows, zo_diff_left *left, zo_err *err)
{
    zo_groups g[SIDES] = {{0}};
    zo_report_spec spec = {.keys = keys, .columns = "task"};
    zo_status status = ZO_OK;
    int read = 0;
    *rows = NULL;
    *left = (zo_diff_left){{0}, 0};
    for (int k = A; k < SIDES && status == ZO_OK; k++) {
        status = choose_runs(&side[k], err);
        status = status == ZO_OK ? zo_groups_read(side[k].results, &spec, false, ZO_MEANING, &g[k], err) : status;
        read += status == ZO_OK;
    }
    cJSON *made = cJSON_CreateArray();
    status = status == ZO_OK ? diff_groups(side, g, keys, made, left, err) : status;
    for (int k = A; k < read; k++) {
        zo_groups_free(&g[k]);
    }
    if (status != ZO_OK) {
        cJSON_Delete(made);
        return status;
    }
    *rows = made;
    return ZO_OK;
}
