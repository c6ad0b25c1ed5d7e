/* compare.c: pairing runs of methods with those of one of them, and what follows from the pairs. See compare.h. */
#include "results/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/database.h"
#include "results/pairs.h"
#include "results/statistics.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- frames -------------------------------------------------------------------------------------------------------------- */

/* Keys whose values runs of one frame share, and the column that has the value where the config does not. From `budget` on they say nothing of a run
 * that does not train: such a run stands in every frame of its data. */
static const struct { const char *key, *column; bool budget; } shared[] = {
    {"model", "model", false}, {"task", "task", false}, {"form", "form", false}, {"context", "context_asked", false}, {"train", "train", false},
    {"dev", "dev", false}, {"test", "test", false}, {"split", "split", false}, {"train_split_seed", "train_split_seed", false},
    {"test_split_seed", "test_split_seed", false}, {"k", "k", false}, {"kshot_folder", "kshot_folder", false}, {"metric", "metric", false},
    {"fill", NULL, false}, {"init", NULL, false}, {"decoder", "decoder", false}, {"batch", "batch", true}, {"steps", "steps_budget", true},
    {"forwards", "forwards_budget", true}, {"work", "work_budget", true}, {"seconds", "seconds_budget", true}, {"selection", "selection", true}};

/* As JSON; the caller gives it back with cJSON_free. NULL = it has none. */
static char *shared_value(const zo_grouped_run *run, size_t k)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(run->flat, shared[k].key);
    v = v == NULL && shared[k].column != NULL ? cJSON_GetObjectItemCaseSensitive(run->row, shared[k].column) : v;
    return v != NULL ? cJSON_PrintUnformatted(v) : NULL;
}

static bool trains(const zo_grouped_run *run)
{
    return zo_run_number(run, "steps_budget") > 0 || zo_run_number(run, "forwards_budget") > 0 || zo_run_number(run, "work_budget") > 0 ||
           zo_run_number(run, "seconds_budget") > 0;
}

static uint64_t frame_hash(const zo_grouped_run *run, bool with_budget)
{
    uint64_t hash = ZO_FNV_START;
    for (size_t k = 0; k < COUNT(shared); k++) {
        char *value = !shared[k].budget || with_budget ? shared_value(run, k) : NULL;
        hash = zo_label_hash(zo_label_hash(hash, shared[k].key), value != NULL ? value : "");
        cJSON_free(value);
    }
    return hash;
}

/* The first key by which two runs are in different frames; NULL = they are in one. */
static const char *frame_difference(const zo_grouped_run *a, const zo_grouped_run *b)
{
    const char *found = NULL;
    for (size_t k = 0; k < COUNT(shared) && found == NULL; k++) {
        char *x = shared_value(a, k), *y = shared_value(b, k);
        bool counts = !shared[k].budget || (trains(a) && trains(b));
        found = counts && strcmp(x != NULL ? x : "", y != NULL ? y : "") != 0 ? shared[k].key : NULL;
        cJSON_free(x);
        cJSON_free(y);
    }
    return found;
}

/* ---- evaluations --------------------------------------------------------------------------------------------------------- */

/* One evaluation of a run: what selects, and what test had. */
typedef struct look {
    int64_t step, rows;
    double dev, test; /* the larger is the better; NaN = there is none */
    uint8_t *correct; /* ((rows + 7) / 8) of test; NULL = not known */
} look;

typedef struct looks { look *of; int n; } looks; /* (n) by step */

static void free_looks(looks *l)
{
    for (int i = 0; i < l->n; i++) {
        zo_free(l->of[i].correct);
    }
    zo_free(l->of);
    *l = (looks){0};
}

static zo_status read_looks(zo_results *r, const zo_grouped_run *run, const char *metric, looks *l, zo_err *err)
{
    bool by_loss = strcmp(zo_run_text(run, "selection"), "dev-loss") == 0;
    static const char *const known[] = {"accuracy", "f1", "macro_f1", "matthews", "exact_match", "token_f1", "pearson", "spearman"};
    char sql[300];
    zo_binder b;
    *l = (looks){0};
    const char *column = "accuracy";
    for (size_t i = 0; i < COUNT(known); i++) {
        column = strcmp(metric, known[i]) == 0 ? known[i] : column;
    }
    snprintf(sql, sizeof sql, "SELECT step, split, examples, %s, loss, correct FROM evaluations WHERE run = ? ORDER BY step, split", column);
    zo_status status = zo_db_prepare(r, sql, &b, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_put_int(&b, (int64_t)zo_run_number(run, "run"));
    int code;
    while ((code = sqlite3_step(b.s)) == SQLITE_ROW) {
        int64_t step = sqlite3_column_int64(b.s, 0);
        if (l->n == 0 || l->of[l->n - 1].step != step) {
            l->of = zo_realloc(l->of, ZO_HOST, ZO_TAG_OTHER, (size_t)(l->n + 1) * sizeof *l->of);
            l->of[l->n++] = (look){.step = step, .dev = NAN, .test = NAN};
        }
        look *e = &l->of[l->n - 1];
        double value = sqlite3_column_type(b.s, 3) == SQLITE_NULL ? NAN : sqlite3_column_double(b.s, 3);
        if (strcmp((const char *)sqlite3_column_text(b.s, 1), "dev") == 0) {
            e->dev = by_loss ? -sqlite3_column_double(b.s, 4) : value;
            continue;
        }
        e->test = value;
        e->rows = sqlite3_column_int64(b.s, 2);
        const void *bits = sqlite3_column_blob(b.s, 5);
        int bytes = sqlite3_column_bytes(b.s, 5);
        if (bits != NULL && bytes == (e->rows + 7) / 8) {
            e->correct = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)bytes + 1);
            memcpy(e->correct, bits, (size_t)bytes);
        }
    }
    status = code == SQLITE_DONE ? ZO_OK : zo_db_fail(r, err);
    sqlite3_finalize(b.s);
    if (status != ZO_OK) {
        free_looks(l);
    }
    return status;
}

static const look *look_at(const looks *l, double step)
{
    for (int i = 0; i < l->n; i++) {
        if ((double)l->of[i].step == step) {
            return &l->of[i];
        }
    }
    return NULL;
}

/* The test score that a run would have been reported by, had it ended after `steps`; NaN where nothing had been selected by then. */
static double score_by(const looks *l, const zo_grouped_run *run, double steps)
{
    double fault = zo_run_number(run, "fault_step"), best = -INFINITY, score = NAN;
    for (int i = 0; i < l->n; i++) {
        const look *e = &l->of[i];
        bool competes = e->step > 0 && (double)e->step <= steps && (!isfinite(fault) || (double)e->step < fault);
        if (competes && e->dev > best) {
            best = e->dev;
            score = e->test;
        }
    }
    return score;
}

/* ---- a frame ------------------------------------------------------------------------------------------------------------- */

typedef struct comparison {
    zo_results *results;
    const zo_report_spec *spec;
    zo_groups g;     /* of runs with test rows */
    zo_groups trial; /* of runs without: where a rate was chosen */
    zo_groups times; /* of another database, where step times are taken from; 0 groups = there is none */
    char **label;    /* (g.groups) */
    looks *look;     /* (g.n) */
    cJSON *rows;
    zo_texts *left;
} comparison;

static const char *metric_of(const comparison *c, const zo_grouped_run *run)
{
    return c->spec->metric != NULL ? c->spec->metric : zo_run_text(run, "metric");
}

static double score_of(const comparison *c, const zo_grouped_run *run)
{
    return zo_run_number(run, c->spec->metric != NULL ? c->spec->metric : "metric_value");
}

static void say(comparison *c, const char *format, const char *a, const char *b, const char *d)
{
    char text[1000];
    snprintf(text, sizeof text, format, a, b, d);
    zo_texts_index(c->left, text);
}

/* The run of a group with this seed, or -1. */
static int run_of_seed(const zo_groups *g, int group, double seed)
{
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        if (zo_run_number(&g->run[g->member[k]], "seed") == seed) {
            return g->member[k];
        }
    }
    return -1;
}

/* May these two runs of one seed be paired? What differs, in words; NULL = nothing. Of rows a fingerprint has what a run used: one that does not train has
 * no training rows in it, and is known by its settings alone. */
static const char *files_difference(const zo_grouped_run *a, const zo_grouped_run *b)
{
    static const struct { const char *column, *says; } part[] = {{"model_fingerprint", "another model than the one it is compared with"},
                                                                 {"tokenizer_fingerprint", "another tokenizer than the one it is compared with"},
                                                                 {"rows_fingerprint", "other data than the one it is compared with"},
                                                                 {"task_fingerprint", "other texts of the task than the one it is compared with"}};
    for (size_t i = 0; i < COUNT(part); i++) {
        const cJSON *x = cJSON_GetObjectItemCaseSensitive(a->row, part[i].column), *y = cJSON_GetObjectItemCaseSensitive(b->row, part[i].column);
        bool counts = strcmp(part[i].column, "rows_fingerprint") != 0 || trains(a) == trains(b);
        if (counts && strcmp(cJSON_IsString(x) ? x->valuestring : "", cJSON_IsString(y) ? y->valuestring : "") != 0) {
            return part[i].says;
        }
    }
    return NULL;
}

typedef struct pairs {
    double *difference; /* (n) score - that of the reference */
    int n;
    zo_paired of;       /* them */
    char missing[200];  /* seeds that the reference has and this method has not */
} pairs;

/* Pairs by seed; NULL in *why, or what forbids it. */
static pairs make_pairs(const comparison *c, int group, int against, const char **why)
{
    const zo_groups *g = &c->g;
    pairs p = {.difference = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *p.difference)};
    *why = NULL;
    for (int k = g->start[against]; k < g->start[against + 1] && *why == NULL; k++) {
        const zo_grouped_run *reference = &g->run[g->member[k]];
        double seed = zo_run_number(reference, "seed");
        int at = run_of_seed(g, group, seed);
        double difference = at >= 0 ? score_of(c, &g->run[at]) - score_of(c, reference) : NAN;
        *why = at >= 0 ? files_difference(&g->run[at], reference) : NULL;
        if (isfinite(difference)) {
            p.difference[p.n++] = difference;
        } else {
            size_t used = strlen(p.missing);
            snprintf(p.missing + used, sizeof p.missing - used, "%s%.0f", used > 0 ? ", " : "", seed);
        }
    }
    p.of = zo_paired_of(p.difference, p.n, ZO_COMPARE_COVER);
    return p;
}

/* The interval of rows: the seeds held as they are. Of accuracy, whatever the metric, since a bit says whether a row was right. *seeds: how many pairs have
 * their rows. */
static void row_interval(const comparison *c, int group, int against, double *low, double *high, int *seeds)
{
    const zo_groups *g = &c->g;
    double *sum = NULL;
    int64_t rows = 0;
    *low = *high = NAN;
    *seeds = 0;
    for (int k = g->start[against]; k < g->start[against + 1]; k++) {
        int other = g->member[k], mine = run_of_seed(g, group, zo_run_number(&g->run[other], "seed"));
        const look *a = mine >= 0 ? look_at(&c->look[mine], zo_run_number(&g->run[mine], "best_step")) : NULL;
        const look *b = look_at(&c->look[other], zo_run_number(&g->run[other], "best_step"));
        if (a == NULL || b == NULL || a->correct == NULL || b->correct == NULL || a->rows != b->rows || (rows > 0 && a->rows != rows)) {
            continue;
        }
        rows = a->rows;
        sum = sum != NULL ? sum : zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)rows + 1) * sizeof *sum);
        zo_pair_add_rows(sum, rows, b->correct, a->correct);
        ++*seeds;
    }
    if (*seeds > 0) {
        zo_bootstrap(sum, rows, ZO_COMPARE_SAMPLES, ZO_COMPARE_SEED, ZO_COMPARE_COVER, low, high);
        *low /= *seeds;
        *high /= *seeds;
    }
    zo_free(sum);
}

/* ---- learning rates ------------------------------------------------------------------------------------------------------ */

/* Of trials of one setting: those rates, next to each other and to the best, that work. */
typedef struct range { double low, high, best; int tried; bool open; /* the range, or the best, ends where nothing further was tried */ } range;

typedef struct rate { double lr, loss, start; bool marked; } rate;

static int by_lr(const void *a, const void *b)
{
    double x = ((const rate *)a)->lr, y = ((const rate *)b)->lr;
    return (x > y) - (x < y);
}

/* A rate works where its trial carries no mark, and takes off at least half of the dev loss that the best takes off. */
static zo_status rate_range(const comparison *c, int group, range *out, zo_err *err)
{
    static const char but[] = "lr,test,rows_fingerprint,task_fingerprint,model_fingerprint,tokenizer_fingerprint,plugin_fingerprint";
    const zo_groups *t = &c->trial;
    uint64_t hash = zo_groups_setting(zo_groups_first(&c->g, group), but);
    rate *of = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)t->n + 1) * sizeof *of);
    int n = 0, best = -1;
    zo_status status = ZO_OK;
    for (int i = 0; i < t->n && status == ZO_OK; i++) {
        const zo_grouped_run *run = &t->run[i];
        if (zo_groups_setting(run, but) != hash) {
            continue;
        }
        zo_binder b;
        status = zo_db_prepare(c->results, "SELECT loss FROM evaluations WHERE run = ? AND step = 0 AND split = 'dev'", &b, err);
        if (status == ZO_OK) {
            zo_put_int(&b, (int64_t)zo_run_number(run, "run"));
            double start = sqlite3_step(b.s) == SQLITE_ROW ? sqlite3_column_double(b.s, 0) : NAN;
            sqlite3_finalize(b.s);
            of[n++] = (rate){.lr = zo_run_number(run, "lr"), .loss = zo_run_number(run, "dev_loss"), .start = start, .marked = zo_run_is_marked(run, NULL)};
        }
    }
    qsort(of, (size_t)n, sizeof *of, by_lr);
    for (int i = 0; i < n; i++) {
        best = isfinite(of[i].loss) && !of[i].marked && (best < 0 || of[i].loss < of[best].loss) ? i : best;
    }
    *out = (range){.low = NAN, .high = NAN, .best = best >= 0 ? of[best].lr : NAN, .tried = n};
    if (best >= 0 && of[best].loss < of[best].start) {
        double most = of[best].start - 0.5 * (of[best].start - of[best].loss);
        int first = best, last = best;
        while (first > 0 && !of[first - 1].marked && of[first - 1].loss <= most) {
            first--;
        }
        while (last + 1 < n && !of[last + 1].marked && of[last + 1].loss <= most) {
            last++;
        }
        *out = (range){.low = of[first].lr, .high = of[last].lr, .best = of[best].lr, .tried = n, .open = first == 0 || last == n - 1};
    }
    zo_free(of);
    return status;
}

/* ---- step times ---------------------------------------------------------------------------------------------------------- */

/* The median time of a step, of the quietest run: the least over those that nothing disturbed, else over all (*disturbed). NaN = there is none. */
static double quiet_ms(const comparison *c, int group, bool *disturbed)
{
    static const char but[] = "lr,seed,steps,forwards,work,seconds,dev,test,train,eval_every,selection,schedule,warmup,rows_fingerprint,task_fingerprint,model_fingerprint,"
                              "tokenizer_fingerprint,plugin_fingerprint";
    const zo_groups *g = c->times.groups > 0 ? &c->times : &c->g;
    uint64_t hash = zo_groups_setting(zo_groups_first(&c->g, group), but);
    double least[2] = {NAN, NAN};
    for (int i = 0; i < g->n; i++) {
        const zo_grouped_run *run = &g->run[i];
        bool mine = g == &c->g ? run->group == group : zo_groups_setting(run, but) == hash;
        double ms = mine ? zo_run_number(run, "step_ms_median") : NAN;
        double *of = &least[zo_run_number(run, "disturbed") > 0];
        *of = ms > 0 && !(*of <= ms) ? ms : *of;
    }
    *disturbed = isnan(least[0]) && isfinite(least[1]);
    return *disturbed ? least[1] : least[0];
}

/* ---- rows ---------------------------------------------------------------------------------------------------------------- */

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

/* Mean over the paired seeds of what both had after `seconds`; NaN where one of them had nothing. */
static double early_mean(const comparison *c, int group, int against, double seconds, double step_ms)
{
    const zo_groups *g = &c->g;
    double sum = 0;
    int n = 0;
    for (int k = g->start[against]; k < g->start[against + 1]; k++) {
        int at = run_of_seed(g, group, zo_run_number(&g->run[g->member[k]], "seed"));
        if (at >= 0) {
            sum += score_by(&c->look[at], &g->run[at], floor(1e3 * seconds / step_ms + 1e-9));
            n++;
        }
    }
    return n > 0 ? sum / n : NAN;
}

static zo_status add_row(comparison *c, int group, int against, double seconds, zo_err *err)
{
    const zo_grouped_run *run = zo_groups_first(&c->g, group);
    cJSON *row = cJSON_CreateObject();
    static const char *const panel[] = {"model", "task", "form"}, *const budget[] = {"steps_budget", "forwards_budget", "work_budget", "seconds_budget"};
    for (size_t i = 0; i < COUNT(panel); i++) {
        cJSON_AddStringToObject(row, panel[i], zo_run_text(run, panel[i]));
    }
    for (size_t i = 0; i < COUNT(budget); i++) {
        add_number(row, budget[i], zo_run_number(zo_groups_first(&c->g, against), budget[i]));
    }
    cJSON_AddStringToObject(row, "against", c->label[against]);
    cJSON_AddStringToObject(row, "method", c->label[group]);
    cJSON *options = cJSON_Parse(zo_run_text(run, "optimizer_options"));
    cJSON_AddStringToObject(row, "source", c->spec->source != NULL ? c->spec->source(zo_run_text(run, "optimizer"), options) : "");
    cJSON_Delete(options);
    cJSON_AddStringToObject(row, "metric", metric_of(c, run));
    const char *why;
    pairs p = make_pairs(c, group, against, &why);
    if (why != NULL) {
        say(c, "%s on %s was run with %s, so nothing of it is paired.", c->label[group], zo_run_text(run, "task"), why);
        zo_free(p.difference);
        cJSON_Delete(row);
        return ZO_OK;
    }
    int n, marked = 0, rows_seeds = 0;
    const char *column = c->spec->metric != NULL ? c->spec->metric : "metric_value";
    double std, mean = zo_group_mean(&c->g, group, column, false, &std, &n), steps = zo_group_mean(&c->g, group, "steps", false, NULL, NULL);
    for (int k = c->g.start[group]; k < c->g.start[group + 1]; k++) {
        marked += zo_run_is_marked(&c->g.run[c->g.member[k]], NULL);
    }
    bool tested = group != against && trains(run) && steps >= ZO_COMPARE_LEAST && p.n > 1;
    double low = NAN, high = NAN;
    if (tested) {
        row_interval(c, group, against, &low, &high, &rows_seeds);
    }
    bool disturbed;
    range rates = {.low = NAN, .high = NAN, .best = NAN};
    zo_status status = trains(run) ? rate_range(c, group, &rates, err) : ZO_OK;
    double ms = quiet_ms(c, group, &disturbed);
    cJSON_AddNumberToObject(row, "n", n);
    cJSON_AddNumberToObject(row, "pairs", p.n);
    cJSON_AddStringToObject(row, "missing_seeds", p.missing);
    cJSON_AddNumberToObject(row, "marked", marked);
    add_number(row, "score", mean);
    add_number(row, "score_std", std);
    add_number(row, "difference", group != against ? p.of.mean : NAN);
    add_number(row, "low", tested ? p.of.low : NAN);
    add_number(row, "high", tested ? p.of.high : NAN);
    add_number(row, "rows_low", low);
    add_number(row, "rows_high", high);
    cJSON_AddNumberToObject(row, "rows_seeds", rows_seeds);
    add_number(row, "p", tested ? p.of.p : NAN);
    add_number(row, "difference_std", tested ? p.of.std : NAN); /* p_holm and detectable follow when the frame is whole */
    add_number(row, "lr", trains(run) ? zo_run_number(run, "lr") : NAN);
    add_number(row, "rates_tried", rates.tried);
    add_number(row, "rates_low", rates.low);
    add_number(row, "rates_high", rates.high);
    add_number(row, "rates_decades", log10(rates.high / rates.low));
    cJSON_AddBoolToObject(row, "rates_open", rates.open);
    add_number(row, "steps", steps);
    add_number(row, "work", zo_group_mean(&c->g, group, "work", false, NULL, NULL));
    add_number(row, "step_ms", ms);
    cJSON_AddBoolToObject(row, "step_disturbed", disturbed);
    add_number(row, "seconds", seconds);
    add_number(row, "steps_at_seconds", trains(run) && isfinite(ms) ? fmin(steps, floor(1e3 * seconds / ms + 1e-9)) : NAN);
    add_number(row, "score_at_seconds", trains(run) ? early_mean(c, group, against, seconds, ms) : NAN);
    add_number(row, "train_peak_bytes", zo_group_mean(&c->g, group, "train_peak_bytes", false, NULL, NULL));
    char note[200] = "";
    if (trains(run) && steps < ZO_COMPARE_LEAST) {
        snprintf(note, sizeof note, "not tested at this budget: %.3g steps", steps);
    }
    cJSON_AddStringToObject(row, "note", note);
    cJSON_AddItemToArray(c->rows, row);
    zo_free(p.difference);
    return status;
}

static double number_in(const cJSON *row, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

/* Of the rows from `first` on, a frame's: what depends on how many tests it has. */
static void end_frame(comparison *c, int first)
{
    int n = cJSON_GetArraySize(c->rows) - first, tests = 0;
    double *p = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)n + 1) * sizeof *p);
    for (int i = 0; i < n; i++) {
        p[i] = number_in(cJSON_GetArrayItem(c->rows, first + i), "p");
        tests += !isnan(p[i]);
    }
    zo_holm(p, n);
    for (int i = 0; i < n; i++) {
        cJSON *row = cJSON_GetArrayItem(c->rows, first + i);
        double std = number_in(row, "difference_std"), n_pairs = number_in(row, "pairs");
        cJSON_AddNumberToObject(row, "tests", tests);
        add_number(row, "p_holm", p[i]);
        add_number(row, "detectable", isnan(std) ? NAN : zo_paired_detectable(std, (int)n_pairs, ZO_COMPARE_LEVEL / tests, ZO_COMPARE_POWER));
    }
    zo_free(p);
}

/* The seconds that are equal: the least, over methods that are tested and the reference, of steps times the time of a step. All of them have a score then. */
static double equal_seconds(const comparison *c, const bool *in_frame)
{
    double least = NAN;
    for (int group = 0; group < c->g.groups; group++) {
        bool disturbed;
        double steps = zo_group_mean(&c->g, group, "steps", false, NULL, NULL);
        double seconds = in_frame[group] && trains(zo_groups_first(&c->g, group)) && steps >= ZO_COMPARE_LEAST ? steps * quiet_ms(c, group, &disturbed) / 1e3 : NAN;
        least = seconds > 0 && !(least <= seconds) ? seconds : least;
    }
    return least;
}

/* Is this group what --against names: by its label, or by its optimizer's name? */
static bool is_named(const comparison *c, int group, bool by_label)
{
    return strcmp(by_label ? c->label[group] : zo_run_text(zo_groups_first(&c->g, group), "optimizer"), c->spec->against) == 0;
}

static zo_status add_frame(comparison *c, const bool *in_frame, int against, zo_err *err)
{
    int first = cJSON_GetArraySize(c->rows);
    double seconds = equal_seconds(c, in_frame);
    zo_status status = add_row(c, against, against, seconds, err);
    for (int group = 0; group < c->g.groups && status == ZO_OK; group++) {
        if (in_frame[group] && group != against) {
            status = add_row(c, group, against, seconds, err);
        }
    }
    end_frame(c, first);
    return status;
}

/* Why a group stands in no frame with a reference: the nearest reference's first difference. */
static void say_left(comparison *c, int group)
{
    const zo_grouped_run *run = zo_groups_first(&c->g, group);
    const char *difference = NULL;
    for (int other = 0; other < c->g.groups && difference == NULL; other++) {
        const zo_grouped_run *reference = zo_groups_first(&c->g, other);
        if ((is_named(c, other, true) || is_named(c, other, false)) && strcmp(zo_run_text(run, "model"), zo_run_text(reference, "model")) == 0 &&
            strcmp(zo_run_text(run, "task"), zo_run_text(reference, "task")) == 0) {
            difference = frame_difference(run, reference);
        }
    }
    char text[300];
    if (difference != NULL) {
        snprintf(text, sizeof text, "has another \"%.60s\" than any %.100s", difference, c->spec->against);
        say(c, "%s on %s %s, so its runs are not paired.", c->label[group], zo_run_text(run, "task"), text);
    } else {
        say(c, "%s on %s: there is no %s on this model and task to pair it with.", c->label[group], zo_run_text(run, "task"), c->spec->against);
    }
}

static zo_status compare_all(comparison *c, zo_err *err)
{
    const zo_groups *g = &c->g;
    uint64_t *frame = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->groups + 1) * sizeof *frame), *data = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->groups + 1) * sizeof *data);
    bool *in_frame = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)g->groups + 1), *is_done = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)g->groups + 1);
    for (int i = 0; i < g->groups; i++) {
        frame[i] = frame_hash(zo_groups_first(g, i), true);
        data[i] = frame_hash(zo_groups_first(g, i), false);
    }
    zo_status status = ZO_OK;
    for (int i = 0; i < g->groups && status == ZO_OK; i++) {
        if (!trains(zo_groups_first(g, i)) || is_done[i]) {
            continue;
        }
        int named[2] = {0}, against[2] = {-1, -1};
        for (int k = 0; k < g->groups; k++) {
            bool trained = trains(zo_groups_first(g, k));
            in_frame[k] = trained ? frame[k] == frame[i] : data[k] == data[i];
            for (int by = 0; by < 2 && in_frame[k]; by++) {
                named[by] += is_named(c, k, by == 0);
                against[by] = is_named(c, k, by == 0) ? k : against[by];
            }
        }
        int by = named[0] > 0 ? 0 : 1;
        if (named[by] > 1) {
            status = zo_fail(err, ZO_EINPUT, "--against %.100s: there are %d settings of it on %.100s, such as \"%.200s\"; name one of them so, or leave others out "
                             "with --where", c->spec->against, named[by], zo_run_text(zo_groups_first(g, i), "task"), c->label[against[by]]);
        } else if (named[by] == 1) {
            status = add_frame(c, in_frame, against[by], err);
        }
        for (int k = 0; k < g->groups && status == ZO_OK; k++) {
            if (in_frame[k] && named[by] == 0 && trains(zo_groups_first(g, k))) {
                say_left(c, k);
            }
            is_done[k] = is_done[k] || (in_frame[k] && trains(zo_groups_first(g, k)));
        }
    }
    zo_free(frame);
    zo_free(data);
    zo_free(in_frame);
    zo_free(is_done);
    return status;
}

/* Do two settings of one frame have one label? */
static bool has_twins(const comparison *c, const zo_setting *setting)
{
    zo_hashmap map = {0};
    bool is_new = true;
    for (int i = 0; i < c->g.groups && is_new; i++) {
        zo_hashmap_at(&map, zo_label_hash(setting[i].frame, c->label[i]), &is_new);
    }
    zo_hashmap_free(&map);
    return !is_new;
}

/* The learning rate has a column of its own, and stands in labels only where nothing else tells two of them apart. */
static void make_labels(comparison *c)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)c->g.groups + 1) * sizeof *setting);
    for (int i = 0; i < c->g.groups; i++) {
        const zo_grouped_run *run = zo_groups_first(&c->g, i);
        uint64_t method = zo_label_hash(ZO_FNV_START, zo_run_text(run, "optimizer")), hash = frame_hash(run, true);
        setting[i] = (zo_setting){.value = run->flat, .name = zo_run_text(run, "optimizer"), .frame = zo_fnv1a(method, &hash, sizeof hash), .scope = method};
    }
    char left[300];
    snprintf(left, sizeof left, "lr%s%.200s", c->spec->best != NULL ? "," : "", c->spec->best != NULL ? c->spec->best : "");
    c->label = zo_labels_make(&(zo_label_spec){.keys = c->spec->keys, .left = left}, setting, c->g.groups);
    if (has_twins(c, setting)) {
        zo_labels_free(c->label, c->g.groups);
        c->label = zo_labels_make(&(zo_label_spec){.keys = c->spec->keys, .left = c->spec->best}, setting, c->g.groups);
    }
    zo_free(setting);
}

zo_status zo_compare(zo_results *results, const zo_report_spec *spec, cJSON **rows, zo_texts *left, zo_err *err)
{
    comparison c = {.results = results, .spec = spec, .left = left};
    char with[1900], without[1900];
    zo_report_spec part = *spec;
    const char *where = spec->where != NULL ? spec->where : "1";
    *rows = NULL;
    if (snprintf(with, sizeof with, "(%s) AND test <> 0", where) >= (int)sizeof with ||
        snprintf(without, sizeof without, "(%s) AND test = 0 AND dev <> 0", where) >= (int)sizeof without) {
        return zo_fail(err, ZO_EINPUT, "--where is longer than %zu bytes", sizeof with - 40);
    }
    part.where = with;
    zo_status status = zo_groups_read(results, &part, true, ZO_MEANING, &c.g, err);
    if (status != ZO_OK) {
        return status;
    }
    part.where = without;
    part.best = NULL;
    status = zo_groups_read(results, &part, true, ZO_MEANING, &c.trial, err);
    part.where = NULL;
    status = status == ZO_OK && spec->times != NULL ? zo_groups_read(spec->times, &part, false, ZO_MEANING, &c.times, err) : status;
    status = status == ZO_OK && spec->best != NULL ? zo_groups_keep_best(&c.g, spec->best, err) : status;
    if (status == ZO_OK) {
        c.rows = cJSON_CreateArray();
        make_labels(&c);
        c.look = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)c.g.n + 1) * sizeof *c.look);
        for (int i = 0; i < c.g.n && status == ZO_OK; i++) {
            status = read_looks(results, &c.g.run[i], metric_of(&c, &c.g.run[i]), &c.look[i], err);
        }
        status = status == ZO_OK ? compare_all(&c, err) : status;
        for (int i = 0; i < c.g.n; i++) {
            free_looks(&c.look[i]);
        }
        zo_free(c.look);
        zo_labels_free(c.label, c.g.groups);
    }
    if (status == ZO_OK && cJSON_GetArraySize(c.rows) == 0) {
        status = zo_fail(err, ZO_EINPUT, "--against %.100s: there is nothing to compare%s%.500s", spec->against, left->n > 0 ? ": " : "; runs of it with test rows are missing",
                         left->n > 0 ? left->text[0] : "");
    }
    zo_groups_free(&c.g);
    zo_groups_free(&c.trial);
    zo_groups_free(&c.times);
    if (status == ZO_OK) {
        *rows = c.rows;
    } else {
        cJSON_Delete(c.rows);
    }
    return status;
}
