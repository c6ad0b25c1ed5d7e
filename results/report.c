/* report.c: runs and groups of seeds as objects, and the papers' table. A method's label is its name and what tells two settings of one model, task and
 * form apart (results/labels.h). */
#include "results/report.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/groups.h"
#include "results/keys.h"
#include "results/labels.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* ---- objects ------------------------------------------------------------------------------------------------------------ */

static const char *const averaged[] = {"metric_value",   "accuracy",      "f1",           "macro_f1",      "matthews",     "dev_metric",
                                       "dev_accuracy",   "dev_loss",      "best_step",    "steps",         "work",         "forwards",
                                       "paper_queries",  "flops",         "step_ms",      "step_ms_median", "step_ms_q1",  "step_ms_q3",
                                       "full_steps",     "full_step_ms",  "other_step_ms", "device_hours", "device_hours_total", "sequences",
                                       "tokens",         "cpu_seconds",   "foreign_seconds", "steal_seconds", "load_average", "switches"};
static const char *const largest[] = {"peak_bytes", "train_peak_bytes", "rss_peak_bytes", "parameters", "drift_max", "cut_sequences"};
static const char *const mark_names[] = {"diverged", "dead", "constant"};

static void add_copy(cJSON *to, const zo_grouped_run *run, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(run->row, key);
    cJSON_AddItemToObject(to, key, v != NULL ? cJSON_Duplicate(v, true) : cJSON_CreateNull());
}

static void add_number(cJSON *to, const char *key, double x)
{
    cJSON_AddItemToObject(to, key, isfinite(x) ? cJSON_CreateNumber(x) : cJSON_CreateNull());
}

/* The keys with this flag, each as a column of its name. */
static void add_keys(cJSON *to, const zo_grouped_run *run, const zo_opt *keys, zo_key_flag flag)
{
    for (const zo_opt *k = keys; k != NULL && k->key != NULL; k++) {
        if ((k->flags & flag) != 0) {
            add_copy(to, run, k->key);
        }
    }
}

static void add_settings(cJSON *to, const zo_grouped_run *run, const zo_opt *keys)
{
    add_keys(to, run, keys, ZO_KEY_PANEL);
    add_copy(to, run, "optimizer");
    const char *text = zo_run_text(run, "optimizer_options");
    cJSON *options = cJSON_Parse(text);
    cJSON_AddItemToObject(to, "optimizer_options", options != NULL ? options : cJSON_CreateObject());
    add_keys(to, run, keys, ZO_KEY_REPORTED);
}

static cJSON *run_object(const zo_grouped_run *run, const zo_opt *keys)
{
    cJSON *o = cJSON_CreateObject();
    add_settings(o, run, keys);
    static const char *const outcome[] = {"seed", "status", "marks", "meaning"};
    for (size_t k = 0; k < COUNT(outcome); k++) {
        add_copy(o, run, outcome[k]);
    }
    for (size_t k = 0; k < COUNT(averaged); k++) {
        add_copy(o, run, averaged[k]);
    }
    add_copy(o, run, "selected");
    add_copy(o, run, "disturbed");
    for (size_t k = 0; k < COUNT(largest); k++) {
        add_copy(o, run, largest[k]);
    }
    static const char *const rest[] = {"promise", "train", "dev", "test", "train_rows", "dev_rows", "test_rows", "fault_step", "message", "note", "hash",
                                       "identity", "try"};
    for (size_t k = 0; k < COUNT(rest); k++) {
        add_copy(o, run, rest[k]);
    }
    return o;
}

/* The one text of a group in this column, or "mixed". */
static const char *common_text(const zo_groups *g, int group, const char *column)
{
    const char *text = NULL;
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(g->run[g->member[k]].row, column);
        const char *one = cJSON_IsString(v) ? v->valuestring : "";
        if (text != NULL && strcmp(text, one) != 0) {
            return "mixed";
        }
        text = one;
    }
    return text;
}

static void count_up(cJSON *counts, const char *name)
{
    cJSON *count = cJSON_GetObjectItemCaseSensitive(counts, name);
    if (count != NULL) {
        cJSON_SetNumberValue(count, count->valuedouble + 1);
    } else {
        cJSON_AddNumberToObject(counts, name, 1);
    }
}

static cJSON *group_object(const zo_groups *g, int group, const zo_opt *keys)
{
    const zo_grouped_run *first = zo_groups_first(g, group);
    cJSON *o = cJSON_CreateObject();
    add_settings(o, first, keys);
    cJSON *seeds = cJSON_AddArrayToObject(o, "seed"), *statuses = cJSON_CreateObject(), *marks = cJSON_CreateObject();
    int marked = 0, disturbed = 0;
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        cJSON_AddItemToArray(seeds, cJSON_CreateNumber(zo_run_number(run, "seed")));
        count_up(statuses, zo_run_text(run, "status"));
        for (size_t m = 0; m < COUNT(mark_names); m++) {
            if (zo_run_is_marked(run, mark_names[m])) {
                count_up(marks, mark_names[m]);
            }
        }
        marked += zo_run_is_marked(run, NULL);
        disturbed += zo_run_number(run, "disturbed") > 0;
    }
    cJSON_AddStringToObject(o, "status", common_text(g, group, "status"));
    cJSON_AddItemToObject(o, "statuses", statuses);
    cJSON_AddNumberToObject(o, "marked", marked);
    cJSON_AddItemToObject(o, "marks", marks);
    add_copy(o, first, "meaning");
    for (size_t k = 0; k < COUNT(averaged); k++) {
        double std;
        int n;
        add_number(o, averaged[k], zo_group_mean(g, group, averaged[k], false, &std, &n));
        if (strcmp(averaged[k], "metric_value") == 0) {
            add_number(o, "metric_value_std", std);
            add_number(o, "metric_value_unmarked", zo_group_mean(g, group, averaged[k], true, NULL, NULL));
            cJSON_AddNumberToObject(o, "n", n);
        } else if (strcmp(averaged[k], "accuracy") == 0) {
            add_number(o, "accuracy_std", std);
        }
    }
    cJSON_AddStringToObject(o, "selected", common_text(g, group, "selected"));
    cJSON_AddNumberToObject(o, "disturbed", disturbed);
    for (size_t c = 0; c < COUNT(largest); c++) {
        double most = NAN;
        for (int k = g->start[group]; k < g->start[group + 1]; k++) {
            double x = zo_run_number(&g->run[g->member[k]], largest[c]);
            most = isfinite(x) && !(most >= x) ? x : most;
        }
        add_number(o, largest[c], most);
    }
    cJSON_AddStringToObject(o, "promise", common_text(g, group, "promise"));
    return o;
}

zo_status zo_report_rows(zo_results *results, const zo_report_spec *spec, struct cJSON **rows, zo_err *err)
{
    *rows = NULL;
    zo_groups g;
    zo_status status = zo_groups_read(results, spec, false, 0, &g, err);
    if (status != ZO_OK) {
        return status;
    }
    status = spec->best != NULL ? zo_groups_keep_best(&g, spec->best, err) : ZO_OK;
    if (status == ZO_OK) {
        *rows = cJSON_CreateArray();
        for (int i = 0; i < (spec->by_seed_group ? g.groups : g.n); i++) {
            cJSON_AddItemToArray(*rows, spec->by_seed_group ? group_object(&g, i, spec->keys) : run_object(&g.run[i], spec->keys));
        }
    }
    zo_groups_free(&g);
    return status;
}

/* ---- the papers' table: labels ----------------------------------------------------------------------------------------------- */

#define LABEL_BYTES 400

/* A list of distinct texts in the order of their coming. */
typedef struct texts { char **text; int n; zo_hashmap index; } texts;

static int text_index(texts *t, const char *text)
{
    bool is_new;
    int64_t *at = zo_hashmap_at(&t->index, zo_fnv1a(ZO_FNV_START, text, strlen(text)), &is_new);
    if (is_new) {
        if ((t->n & (t->n - 1)) == 0) {
            t->text = zo_realloc(t->text, ZO_HOST, ZO_TAG_OTHER, (size_t)(t->n > 0 ? 2 * t->n : 1) * sizeof *t->text);
        }
        t->text[t->n] = zo_strdup(ZO_TAG_OTHER, text);
        *at = t->n++;
    }
    return (int)*at;
}

static void free_texts(texts *t)
{
    for (int i = 0; i < t->n; i++) {
        zo_free(t->text[i]);
    }
    zo_free(t->text);
    zo_hashmap_free(&t->index);
}

/* A row of the papers' tables is a method in a panel, an entry a group. */
typedef struct place { int panel, method, column, next /* group of the same method and panel, -1 = none */; } place;

typedef struct paper {
    zo_groups g;
    const zo_report_spec *spec;
    texts panels, methods, columns;
    char **label;               /* (groups) the methods' labels */
    place *place;               /* (groups) */
} paper;

/* The metric that a run is reported by. */
static const char *metric_of(const paper *p, const zo_grouped_run *run)
{
    return p->spec->metric != NULL ? p->spec->metric : zo_run_text(run, "metric");
}

static const char *metric_column(const paper *p)
{
    return p->spec->metric != NULL ? p->spec->metric : "metric_value";
}

static bool is_new_meaning(const zo_grouped_run *run)
{
    return zo_run_number(run, "meaning") == ZO_MEANING;
}

/* A setting's value of the key that makes the columns. The caller gives it back with zo_free. */
static char *column_value(const paper *p, const zo_grouped_run *run)
{
    const zo_opt *key = p->spec->keys != NULL ? zo_opt_find(p->spec->keys, p->spec->columns) : NULL;
    return zo_label_value(key, cJSON_GetObjectItemCaseSensitive(run->flat, p->spec->columns));
}

/* Settings are told apart where they would stand in one panel, method and column; a method has the same keys in all its labels, so that its entries
 * stand in one row. */
static void make_labels(paper *p)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)p->g.groups + 1) * sizeof *setting);
    for (int group = 0; group < p->g.groups; group++) {
        const zo_grouped_run *run = zo_groups_first(&p->g, group);
        double meaning = zo_run_number(run, "meaning");
        uint64_t method = zo_label_hash(ZO_FNV_START, zo_run_text(run, "optimizer")), frame = zo_fnv1a(method, &meaning, sizeof meaning);
        for (const zo_opt *k = p->spec->keys; k != NULL && k->key != NULL; k++) {
            frame = zo_label_hash(frame, (k->flags & ZO_KEY_PANEL) != 0 ? zo_run_text(run, k->key) : "");
        }
        char *column = column_value(p, run);
        setting[group] = (zo_setting){.value = run->flat, .name = zo_run_text(run, "optimizer"), .frame = zo_label_hash(frame, column), .scope = method};
        zo_free(column);
    }
    p->label = zo_labels_make(&(zo_label_spec){.keys = p->spec->keys, .left = p->spec->best}, setting, p->g.groups);
    zo_free(setting);
}

/* Do all groups have one metric? */
static bool is_one_metric(const paper *p)
{
    for (int group = 1; group < p->g.groups; group++) {
        if (strcmp(metric_of(p, zo_groups_first(&p->g, group)), metric_of(p, zo_groups_first(&p->g, 0))) != 0) {
            return false;
        }
    }
    return true;
}

static void make_places(paper *p)
{
    size_t groups = (size_t)p->g.groups;
    bool by_task = strcmp(p->spec->columns, "task") == 0, one_metric = is_one_metric(p);
    p->place = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (groups + 1) * sizeof *p->place);
    make_labels(p);
    for (int group = 0; group < p->g.groups; group++) {
        const zo_grouped_run *run = zo_groups_first(&p->g, group);
        char text[LABEL_BYTES], *column = column_value(p, run);
        p->place[group].method = text_index(&p->methods, p->label[group]);
        snprintf(text, sizeof text, "%.300s%s%s%s", column, one_metric ? "" : " (", one_metric ? "" : metric_of(p, run), one_metric ? "" : ")");
        p->place[group].column = text_index(&p->columns, text);
        zo_free(column);
        /* the meaning stands in front, and is not printed: print_panels */
        snprintf(text, sizeof text, "%.0f:%.120s, %s%s%s", zo_run_number(run, "meaning"), zo_run_text(run, "model"), zo_run_text(run, "form"),
                 by_task ? "" : ", ", by_task ? "" : zo_run_text(run, "task"));
        p->place[group].panel = text_index(&p->panels, text);
    }
    /* chains of one panel and method, in their order */
    zo_hashmap last = {0};
    for (int group = 0; group < p->g.groups; group++) {
        uint64_t key = (uint64_t)p->place[group].panel << 32 | (uint64_t)p->place[group].method;
        bool is_new;
        int64_t *at = zo_hashmap_at(&last, key, &is_new);
        p->place[group].next = -1;
        if (!is_new) {
            p->place[*at].next = group;
        }
        *at = group;
    }
    zo_hashmap_free(&last);
}

static void free_paper(paper *p)
{
    free_texts(&p->panels);
    free_texts(&p->methods);
    free_texts(&p->columns);
    if (p->label != NULL) {
        zo_labels_free(p->label, p->g.groups);
    }
    zo_free(p->place);
    zo_groups_free(&p->g);
}

/* ---- entries --------------------------------------------------------------------------------------------------------------- */

/* Appends to a text that has room for `size` bytes. */
static void append(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void append(char *out, size_t size, const char *format, ...)
{
    size_t at = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + at, size - at, format, args);
    va_end(args);
}

/* Text of one table entry: "85.3 ± 1.2 (3)", the mean of all runs that have a value; then how many are marked, and the mean without them in brackets;
 * then those that did not end well, or why there is no number. */
static void entry_text(const paper *p, int group, char *out, size_t size)
{
    const zo_groups *g = &p->g;
    int n, unmarked, runs = g->start[group + 1] - g->start[group], marked[COUNT(mark_names)] = {0}, any = 0;
    double std, mean = zo_group_mean(g, group, metric_column(p), false, &std, &n);
    double rest = zo_group_mean(g, group, metric_column(p), true, NULL, &unmarked);
    texts status = {0};
    int count[16] = {0}; /* of each; there are nine statuses */
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        const char *s = zo_run_text(run, "status");
        for (size_t m = 0; m < COUNT(mark_names); m++) {
            marked[m] += zo_run_is_marked(run, mark_names[m]);
        }
        any += zo_run_is_marked(run, NULL);
        if (strcmp(s, "done") != 0 && strcmp(s, "diverged") != 0 && strcmp(s, "dead") != 0) {
            count[text_index(&status, s)]++;
        }
    }
    out[0] = '\0';
    if (n == 1 && runs == 1) {
        append(out, size, "%.1f", 100 * mean);
    } else if (n == 1) {
        append(out, size, "%.1f (1)", 100 * mean);
    } else if (n > 1) {
        append(out, size, "%.1f ± %.1f (%d)", 100 * mean, 100 * std, n);
    } else if (status.n == 0 && any == 0) {
        append(out, size, "no evaluation");
    }
    for (size_t m = 0; m < COUNT(mark_names); m++) {
        if (marked[m] > 0 && runs == 1) {
            append(out, size, "%s%s", out[0] != '\0' ? ", " : "", mark_names[m]);
        } else if (marked[m] > 0) {
            append(out, size, "%s%d %s", out[0] != '\0' ? ", " : "", marked[m], mark_names[m]);
        }
    }
    if (any > 0 && unmarked > 0 && n > unmarked) {
        append(out, size, " [%.1f]", 100 * rest);
    }
    for (int k = 0; k < status.n; k++) {
        if (runs == 1) {
            append(out, size, "%s%s", out[0] != '\0' ? ", " : "", status.text[k]);
        } else {
            append(out, size, "%s%d %s", out[0] != '\0' ? ", " : "", count[k], status.text[k]);
        }
    }
    free_texts(&status);
}

/* Whole where it has at least so many digits before the point: 1016, 20.5, 0.00123. */
static void number_text(double x, int digits, char *out, size_t size)
{
    if (fabs(x) >= pow(10, digits - 1)) {
        snprintf(out, size, "%.0f", x);
    } else {
        snprintf(out, size, "%.*g", digits, x);
    }
}

typedef struct cost { const char *title, *column; double scale; int digits; bool is_time; } cost;
static const cost costs[] = {{"steps", "steps", 1, 4, false},
                             {"work", "work", 1, 4, false},
                             {"forwards", "forwards", 1, 4, false},
                             {"paper's queries", "paper_queries", 1, 4, false},
                             {"step ms", "step_ms", 1, 3, true},
                             {"full-batch step ms", "full_step_ms", 1, 3, true},
                             {"other step ms", "other_step_ms", 1, 3, true},
                             {"median step ms", "step_ms_median", 1, 3, true},
                             {"device-hours", "device_hours", 1, 3, true},
                             {"with evaluation", "device_hours_total", 1, 3, true},
                             {"training peak MB", "train_peak_bytes", 1e-6, 4, false},
                             {"overall peak MB", "peak_bytes", 1e-6, 4, false}};
enum { COST_FULL_STEP = 5, COST_OTHER_STEP, COST_MEDIAN, COST_TRAIN_PEAK = 10, COST_PEAK, COSTS };

/* Lowest and highest group mean of a column over one method's groups in one panel, beginning with `group`; with * where a disturbed run is among
 * them. "" = none has it. */
static void cost_text(const paper *p, int group, const cost *c, char *out, size_t size)
{
    double low = NAN, high = NAN;
    bool is_disturbed = false;
    for (; group >= 0; group = p->place[group].next) {
        double x = c->scale * zo_group_mean(&p->g, group, c->column, false, NULL, NULL);
        low = isfinite(x) && !(low <= x) ? x : low;
        high = isfinite(x) && !(high >= x) ? x : high;
        for (int k = p->g.start[group]; k < p->g.start[group + 1]; k++) {
            is_disturbed = is_disturbed || zo_run_number(&p->g.run[p->g.member[k]], "disturbed") > 0;
        }
    }
    out[0] = '\0';
    if (isfinite(low)) {
        char a[40], b[40];
        number_text(low, c->digits, a, sizeof a);
        number_text(high, c->digits, b, sizeof b);
        bool is_one = strcmp(a, b) == 0;
        append(out, size, "%s%s%s%s", a, is_one ? "" : " to ", is_one ? "" : b, c->is_time && is_disturbed ? " *" : "");
    }
}

static void lr_text(const paper *p, int group, char *out, size_t size)
{
    texts seen = {0};
    out[0] = '\0';
    for (; group >= 0; group = p->place[group].next) {
        char text[40];
        snprintf(text, sizeof text, "%g", zo_run_number(zo_groups_first(&p->g, group), "lr"));
        int before = seen.n;
        if (text_index(&seen, text) == before) {
            append(out, size, "%s%s", before > 0 ? ", " : "", text);
        }
    }
    free_texts(&seen);
}

/* ---- panels ---------------------------------------------------------------------------------------------------------------- */

typedef struct panel { int *first; int n; } panel; /* (n) the first group of each method, in the order of their coming */

static panel find_panel(const paper *p, int number)
{
    panel found = {.first = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)p->g.groups + 1) * sizeof(int))};
    bool *is_next = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)p->g.groups + 1);
    for (int group = 0; group < p->g.groups; group++) {
        if (p->place[group].panel == number) {
            if (!is_next[group]) {
                found.first[found.n++] = group;
            }
            if (p->place[group].next >= 0) {
                is_next[p->place[group].next] = true;
            }
        }
    }
    zo_free(is_next);
    return found;
}

static void print_scores(const paper *p, const panel *of, FILE *out)
{
    bool *has = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)p->columns.n + 1);
    for (int m = 0; m < of->n; m++) {
        for (int group = of->first[m]; group >= 0; group = p->place[group].next) {
            has[p->place[group].column] = true;
        }
    }
    cJSON *rows = cJSON_CreateArray();
    for (int m = 0; m < of->n; m++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "method", p->methods.text[p->place[of->first[m]].method]);
        for (int c = 0; c < p->columns.n; c++) {
            char text[400] = "";
            for (int group = of->first[m]; group >= 0; group = p->place[group].next) {
                if (p->place[group].column == c) {
                    entry_text(p, group, text, sizeof text);
                }
            }
            if (has[c]) {
                cJSON_AddStringToObject(row, p->columns.text[c], text);
            }
        }
        cJSON_AddItemToArray(rows, row);
    }
    zo_table_print(out, rows, ZO_TABLE_MD, p->spec->terminal);
    fputc('\n', out);
    cJSON_Delete(rows);
    zo_free(has);
}

/* Columns that no row has are left out, and so are the overall peak where it is that of training in every row, the mean of the other steps where no
 * method has full-batch steps, and the median where there is a mean. */
static void print_costs(const paper *p, const panel *of, FILE *out)
{
    cJSON *rows = cJSON_CreateArray();
    bool has[COSTS] = {false}, peaks_differ = false;
    for (int pass = 0; pass < 2; pass++) {
        bool shown[COSTS];
        memcpy(shown, has, sizeof shown);
        shown[COST_OTHER_STEP] = has[COST_FULL_STEP];
        shown[COST_MEDIAN] = has[COST_MEDIAN] && !has[COST_FULL_STEP - 1];
        shown[COST_PEAK] = has[COST_PEAK] && peaks_differ;
        for (int m = 0; m < of->n; m++) {
            char text[COSTS][200], lr[200];
            for (int k = 0; k < COSTS; k++) {
                cost_text(p, of->first[m], &costs[k], text[k], sizeof *text);
                has[k] = has[k] || text[k][0] != '\0';
            }
            peaks_differ = peaks_differ || strcmp(text[COST_TRAIN_PEAK], text[COST_PEAK]) != 0;
            if (pass == 0) {
                continue;
            }
            text[COST_OTHER_STEP][0] = text[COST_FULL_STEP][0] != '\0' ? text[COST_OTHER_STEP][0] : '\0'; /* it is the step's own */
            cJSON *row = cJSON_CreateObject();
            cJSON_AddStringToObject(row, "method", p->methods.text[p->place[of->first[m]].method]);
            lr_text(p, of->first[m], lr, sizeof lr);
            cJSON_AddStringToObject(row, "lr", lr);
            for (int k = 0; k < COSTS; k++) {
                if (shown[k]) {
                    cJSON_AddStringToObject(row, costs[k].title, text[k][0] != '\0' ? text[k] : "-");
                }
            }
            cJSON_AddItemToArray(rows, row);
        }
    }
    zo_table_print(out, rows, ZO_TABLE_MD, p->spec->terminal);
    fputc('\n', out);
    cJSON_Delete(rows);
}

/* What a reader of the panel must know: disturbed timings, cut sequences. */
static void print_warnings(const paper *p, const panel *of, FILE *out)
{
    int runs = 0, disturbed = 0;
    texts where = {0};
    double *cut = NULL; /* (where) most of any run */
    for (int m = 0; m < of->n; m++) {
        for (int group = of->first[m]; group >= 0; group = p->place[group].next) {
            for (int k = p->g.start[group]; k < p->g.start[group + 1]; k++) {
                const zo_grouped_run *run = &p->g.run[p->g.member[k]];
                double n = zo_run_number(run, "cut_sequences");
                runs++;
                disturbed += zo_run_number(run, "disturbed") > 0;
                if (n > 0) {
                    char text[200];
                    snprintf(text, sizeof text, "of %.100s at %.0f tokens", zo_run_text(run, "task"), zo_run_number(run, "context"));
                    int before = where.n, at = text_index(&where, text);
                    if (at == before) {
                        cut = zo_realloc(cut, ZO_HOST, ZO_TAG_OTHER, (size_t)(at + 1) * sizeof *cut);
                    }
                    cut[at] = n > cut[at] ? n : cut[at];
                }
            }
        }
    }
    char text[2000] = "";
    if (disturbed > 0) {
        append(text, sizeof text, "* Disturbed: while %d of the %d runs trained, other work took processor time; their times are too long.", disturbed, runs);
        zo_paragraph_print(out, text, 0, p->spec->terminal);
        fputc('\n', out);
    }
    if (where.n > 0) {
        snprintf(text, sizeof text, "Sequences cut to their context, in the run with the most:");
        for (int i = 0; i < where.n; i++) {
            append(text, sizeof text, "%s %.0f %s", i > 0 ? "," : "", cut[i], where.text[i]);
        }
        append(text, sizeof text, ".");
        zo_paragraph_print(out, text, 0, p->spec->terminal);
        fputc('\n', out);
    }
    free_texts(&where);
    zo_free(cut);
}

/* Panels of the meaning of this program, or of each older one under a title that says what was different. */
static void print_panels(const paper *p, FILE *out)
{
    for (int old = 0; old < 2; old++) {
        double titled = ZO_MEANING;
        for (int number = 0; number < p->panels.n; number++) {
            panel of = find_panel(p, number);
            const zo_grouped_run *run = zo_groups_first(&p->g, of.first[0]);
            double meaning = zo_run_number(run, "meaning");
            if (is_new_meaning(run) == (old == 0)) {
                if (meaning != titled) {
                    char text[1000];
                    titled = meaning;
                    fprintf(out, "# %s definition\n\n", meaning > ZO_MEANING ? "newer" : "old");
                    snprintf(text, sizeof text, "Rows of meaning %.0f, in no mean with the others%s%s.", meaning,
                             zo_meaning_was((int)meaning)[0] != '\0' ? ": " : "", zo_meaning_was((int)meaning));
                    zo_paragraph_print(out, text, 0, p->spec->terminal);
                    fputc('\n', out);
                }
                char title[LABEL_BYTES + 4];
                snprintf(title, sizeof title, "## %s", strchr(p->panels.text[number], ':') + 1);
                zo_paragraph_print(out, title, 0, p->spec->terminal);
                fputc('\n', out);
                print_scores(p, &of, out);
                print_costs(p, &of, out);
                print_warnings(p, &of, out);
            }
            zo_free(of.first);
        }
    }
}

/* ---- the closing lines -------------------------------------------------------------------------------------------------------- */

typedef struct seen { bool marked, unvalued, by_loss, by_metric, fingerprints, is_new; texts metrics, how; } seen;

static seen look_over(const paper *p)
{
    seen s = {0};
    for (int i = 0; i < p->g.n; i++) {
        const zo_grouped_run *run = &p->g.run[i];
        const char *selected = zo_run_text(run, "selected");
        bool is_marked = zo_run_is_marked(run, NULL), is_old = !is_new_meaning(run);
        bool by_loss = !is_old && strcmp(zo_run_text(run, "selection"), "dev-loss") == 0;
        s.is_new = s.is_new || !is_old;
        s.marked = s.marked || is_marked;
        s.unvalued = s.unvalued || (is_marked && !isfinite(zo_run_number(run, metric_column(p))));
        s.by_loss = s.by_loss || by_loss;
        s.by_metric = s.by_metric || !by_loss;
        s.fingerprints = s.fingerprints || cJSON_GetObjectItemCaseSensitive(run->flat, "model_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "tokenizer_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "task_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "plugin_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "rows_fingerprint") != NULL;
        text_index(&s.metrics, metric_of(p, run));
        if (selected[0] != '\0' && strcmp(selected, "chance") != 0) {
            text_index(&s.how, selected);
        }
    }
    return s;
}

static void print_closing(const paper *p, FILE *out)
{
    const zo_report_spec *spec = p->spec;
    char text[2000] = "";
    seen s = look_over(p);
    for (int i = 0; i < s.metrics.n; i++) {
        append(text, sizeof text, "%s%s", i > 0 ? ", " : "", s.metrics.text[i]);
    }
    append(text, sizeof text, " in %%, mean ± standard deviation over (n) seeds");
    bool of_dev = spec->metric != NULL && strncmp(spec->metric, "dev_", 4) == 0;
    for (int i = 0; i < s.how.n && !of_dev; i++) {
        append(text, sizeof text, "%s%s", i == 0 ? "; taken as " : ", ", s.how.text[i]);
    }
    if (spec->best != NULL) {
        append(text, sizeof text, "; %s chosen by the %s of the settings in the database; a marked run counts with the dev value that it keeps, %s",
               spec->best, !s.by_loss ? "best mean dev metric" : !s.by_metric ? "lowest mean dev loss"
                                                                              : "best mean dev metric or the lowest mean dev loss, as `selection` says",
               !s.by_loss ? "one without any with chance, or 0 where it ran out of something"
                          : "and a setting with fewer runs that have a dev loss comes behind");
    }
    append(text, sizeof text, ".");
    zo_paragraph_print(out, text, 0, spec->terminal);
    if (s.marked) {
        snprintf(text, sizeof text, "Marked runs are in every mean with the value that their protocol gives, the best evaluation before the fault, else "
                                    "chance%s: diverged (a loss was not finite, or stayed above ten times its start), dead (the projected gradient stayed "
                                    "0), constant (one class on all rows). In [ ] the mean without them.",
                 s.unvalued ? " (one that has no value is left out of the mean and of (n))" : "");
        zo_paragraph_print(out, text, 0, spec->terminal);
    }
    if (s.fingerprints) {
        zo_paragraph_print(out, "Labels with a fingerprint are of runs of one config that were made from different files: their means are apart.", 0,
                           spec->terminal);
    }
    if (p->g.uneven_n > 0) {
        snprintf(text, sizeof text, "Beware: %s%s: the settings compared were run on different sets of seeds, so the choice is not like against like.",
                 p->g.uneven, p->g.uneven_n > 1 ? " and others" : "");
        zo_paragraph_print(out, text, 0, spec->terminal);
    }
    snprintf(text, sizeof text, "%sA forward is one batch through the model at one point. %sDevice-hours are of optimizer steps, then with evaluation. Peak MB "
             "(10^6 bytes): largest sum of live bytes in the ledger, in training; overall counts loading and evaluation too and stands where it differs.",
             s.is_new ? "Work: FLOPs of training in units of one plain forward over the run's mean batch. " : "",
             s.is_new ? "The paper's queries are what the method's paper counts (zo list optimizers). Step ms is the mean. " : "");
    zo_paragraph_print(out, text, 0, spec->terminal);
    free_texts(&s.metrics);
    free_texts(&s.how);
}

static zo_status check_spec(const zo_groups *g, const zo_report_spec *spec, zo_err *err)
{
    static const char *const metrics[] = {"accuracy", "f1", "macro_f1", "matthews", "dev_metric", "dev_accuracy"};
    bool known = spec->metric == NULL;
    for (size_t i = 0; i < COUNT(metrics) && !known; i++) {
        known = strcmp(spec->metric, metrics[i]) == 0;
    }
    if (!known) {
        return zo_fail(err, ZO_EINPUT, "--metric is \"%.40s\"; expected accuracy, f1, macro_f1, matthews, dev_metric or dev_accuracy", spec->metric);
    }
    if (strcmp(spec->columns, "seed") == 0) {
        return zo_fail(err, ZO_EINPUT, "--by seed: an entry of this table is a mean over seeds; --format csv has one row for each seed");
    }
    bool is_key = g->n == 0;
    for (int i = 0; i < g->n && !is_key; i++) {
        is_key = cJSON_GetObjectItemCaseSensitive(g->run[i].flat, spec->columns) != NULL;
    }
    if (!is_key) {
        return zo_fail(err, ZO_EINPUT, "--by: the cells have no key \"%.40s\"; expected a key of the config such as task or batch", spec->columns);
    }
    return ZO_OK;
}

zo_status zo_report_paper(zo_results *results, const zo_report_spec *spec, FILE *out, zo_err *err)
{
    paper p = {.spec = spec};
    zo_status status = zo_groups_read(results, spec, true, 0, &p.g, err);
    if (status != ZO_OK) {
        return status;
    }
    status = check_spec(&p.g, spec, err);
    status = status == ZO_OK && spec->best != NULL ? zo_groups_keep_best(&p.g, spec->best, err) : status;
    if (status == ZO_OK && p.g.groups == 0) {
        fprintf(out, "No finished cells.\n");
    } else if (status == ZO_OK) {
        make_places(&p);
        print_panels(&p, out);
        print_closing(&p, out);
    }
    free_paper(&p);
    return status;
}
