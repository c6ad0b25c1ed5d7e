/* paper_print.c: the panels of the papers' table, and the lines below them; see paper.h. */
#include "results/paper.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <string.h>

#include "core/mem.h"

typedef struct panel { int *first; int n; } panel; /* (n) the first group of each method, in the order of their coming */

static panel find_panel(const zo_paper *p, int number)
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

/* A method's label, and where its algorithm was read if that is not the paper: "fzoo queries 4 (released)". */
static const char *method_text(const zo_paper *p, int group, char *out, size_t size)
{
    const zo_grouped_run *run = zo_groups_first(&p->g, group);
    cJSON *options = cJSON_Parse(zo_run_text(run, "optimizer_options"));
    const char *source = p->spec->source != NULL ? p->spec->source(zo_run_text(run, "optimizer"), options) : "";
    bool said = source[0] != '\0' && strcmp(source, "paper") != 0;
    snprintf(out, size, "%s%s%s%s", p->methods.text[p->place[group].method], said ? " (" : "", said ? source : "", said ? ")" : "");
    cJSON_Delete(options);
    return out;
}

static void print_scores(const zo_paper *p, const panel *of, const zo_page *page)
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
        char method[500];
        cJSON_AddStringToObject(row, "method", method_text(p, of->first[m], method, sizeof method));
        for (int c = 0; c < p->columns.n; c++) {
            char text[400] = "";
            for (int group = of->first[m]; group >= 0; group = p->place[group].next) {
                if (p->place[group].column == c) {
                    zo_paper_entry(p, group, text, sizeof text);
                }
            }
            if (has[c]) {
                cJSON_AddStringToObject(row, p->columns.text[c], text);
            }
        }
        cJSON_AddItemToArray(rows, row);
    }
    zo_page_table(page, rows, true);
    cJSON_Delete(rows);
    zo_free(has);
}

/* Columns that no row has are left out, and so are the overall peak where it is that of training in every row, the mean of the other steps where no
 * method has full-batch steps, and the median where there is a mean. */
static void print_costs(const zo_paper *p, const panel *of, const zo_page *page)
{
    cJSON *rows = cJSON_CreateArray();
    bool has[ZO_COSTS] = {false}, peaks_differ = false;
    for (int pass = 0; pass < 2; pass++) {
        bool shown[ZO_COSTS];
        memcpy(shown, has, sizeof shown);
        shown[ZO_COST_OTHER_STEP] = has[ZO_COST_FULL_STEP];
        shown[ZO_COST_MEDIAN] = has[ZO_COST_MEDIAN] && !has[ZO_COST_FULL_STEP - 1];
        shown[ZO_COST_PEAK] = has[ZO_COST_PEAK] && peaks_differ;
        for (int m = 0; m < of->n; m++) {
            char text[ZO_COSTS][200], lr[200];
            for (int k = 0; k < ZO_COSTS; k++) {
                zo_paper_cost_text(p, of->first[m], &zo_paper_costs[k], text[k], sizeof *text);
                has[k] = has[k] || text[k][0] != '\0';
            }
            peaks_differ = peaks_differ || strcmp(text[ZO_COST_TRAIN_PEAK], text[ZO_COST_PEAK]) != 0;
            if (pass == 0) {
                continue;
            }
            text[ZO_COST_OTHER_STEP][0] = text[ZO_COST_FULL_STEP][0] != '\0' ? text[ZO_COST_OTHER_STEP][0] : '\0'; /* it is the step's own */
            cJSON *row = cJSON_CreateObject();
            char method[500];
            cJSON_AddStringToObject(row, "method", method_text(p, of->first[m], method, sizeof method));
            zo_paper_lr(p, of->first[m], lr, sizeof lr);
            cJSON_AddStringToObject(row, "lr", lr);
            for (int k = 0; k < ZO_COSTS; k++) {
                if (shown[k]) {
                    cJSON_AddStringToObject(row, zo_paper_costs[k].title, text[k][0] != '\0' ? text[k] : "-");
                }
            }
            cJSON_AddItemToArray(rows, row);
        }
    }
    zo_page_table(page, rows, false);
    cJSON_Delete(rows);
}

/* What a reader of the panel must know: disturbed timings, cut sequences. */
static void print_warnings(const zo_paper *p, const panel *of, const zo_page *page)
{
    int runs = 0, disturbed = 0;
    zo_texts where = {0};
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
                    int before = where.n, at = zo_texts_index(&where, text);
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
        zo_paper_append(text, sizeof text, "* Disturbed: while %d of the %d runs trained, other work took processor time; their times are too long.", disturbed, runs);
        zo_page_paragraph(page, text);
        zo_page_gap(page);
    }
    if (where.n > 0) {
        snprintf(text, sizeof text, "Sequences cut to their context, in the run with the most:");
        for (int i = 0; i < where.n; i++) {
            zo_paper_append(text, sizeof text, "%s %.0f %s", i > 0 ? "," : "", cut[i], where.text[i]);
        }
        zo_paper_append(text, sizeof text, ".");
        zo_page_paragraph(page, text);
        zo_page_gap(page);
    }
    zo_texts_free(&where);
    zo_free(cut);
}

void zo_paper_print_panels(const zo_paper *p, const zo_page *page)
{
    for (int old = 0; old < 2; old++) {
        double titled = ZO_MEANING;
        for (int number = 0; number < p->panels.n; number++) {
            panel of = find_panel(p, number);
            const zo_grouped_run *run = zo_groups_first(&p->g, of.first[0]);
            double meaning = zo_run_number(run, "meaning");
            if (zo_run_is_current(run) == (old == 0)) {
                if (meaning != titled) {
                    char text[1000];
                    titled = meaning;
                    zo_page_title(page, 1, meaning > ZO_MEANING ? "newer definition" : "old definition");
                    snprintf(text, sizeof text, "Rows of meaning %.0f, in no mean with the others%s%s.", meaning,
                             zo_meaning_was((int)meaning)[0] != '\0' ? ": " : "", zo_meaning_was((int)meaning));
                    zo_page_paragraph(page, text);
                    zo_page_gap(page);
                }
                zo_page_title(page, 2, strchr(p->panels.text[number], ':') + 1);
                print_scores(p, &of, page);
                print_costs(p, &of, page);
                print_warnings(p, &of, page);
            }
            zo_free(of.first);
        }
    }
}

typedef struct seen { bool marked, unvalued, by_loss, by_metric, fingerprints, is_new; zo_texts metrics, how; } seen;

static seen look_over(const zo_paper *p)
{
    seen s = {0};
    for (int i = 0; i < p->g.n; i++) {
        const zo_grouped_run *run = &p->g.run[i];
        const char *selected = zo_run_text(run, "selected");
        bool is_marked = zo_run_is_marked(run, NULL), is_old = !zo_run_is_current(run);
        bool by_loss = !is_old && strcmp(zo_run_text(run, "selection"), "dev-loss") == 0;
        s.is_new = s.is_new || !is_old;
        s.marked = s.marked || is_marked;
        s.unvalued = s.unvalued || (is_marked && !isfinite(zo_run_number(run, zo_paper_metric_column(p))));
        s.by_loss = s.by_loss || by_loss;
        s.by_metric = s.by_metric || !by_loss;
        s.fingerprints = s.fingerprints || cJSON_GetObjectItemCaseSensitive(run->flat, "model_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "tokenizer_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "task_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "plugin_fingerprint") != NULL ||
                         cJSON_GetObjectItemCaseSensitive(run->flat, "rows_fingerprint") != NULL;
        zo_texts_index(&s.metrics, zo_paper_metric(p, run));
        if (selected[0] != '\0' && strcmp(selected, "chance") != 0) {
            zo_texts_index(&s.how, selected);
        }
    }
    return s;
}

void zo_paper_print_closing(const zo_paper *p, const zo_page *page)
{
    const zo_report_spec *spec = p->spec;
    char text[2000] = "";
    seen s = look_over(p);
    for (int i = 0; i < s.metrics.n; i++) {
        zo_paper_append(text, sizeof text, "%s%s", i > 0 ? ", " : "", s.metrics.text[i]);
    }
    zo_paper_append(text, sizeof text, " in %%, mean ± standard deviation over (n) seeds");
    bool of_dev = spec->metric != NULL && strncmp(spec->metric, "dev_", 4) == 0;
    for (int i = 0; i < s.how.n && !of_dev; i++) {
        zo_paper_append(text, sizeof text, "%s%s", i == 0 ? "; taken as " : ", ", s.how.text[i]);
    }
    if (spec->best != NULL) {
        zo_paper_append(text, sizeof text, "; %s chosen by the %s of the settings in the database; a marked run counts with the dev value that it keeps, %s",
               spec->best, !s.by_loss ? "best mean dev metric" : !s.by_metric ? "lowest mean dev loss"
                                                                              : "best mean dev metric or the lowest mean dev loss, as `selection` says",
               !s.by_loss ? "one without any with chance, or 0 where it ran out of something"
                          : "and a setting with fewer runs that have a dev loss comes behind");
    }
    zo_paper_append(text, sizeof text, ".");
    zo_page_paragraph(page, text);
    if (s.marked) {
        snprintf(text, sizeof text, "Marked runs are in every mean with the value that their protocol gives, the best evaluation before the fault, else "
                                    "chance%s: diverged (a loss was not finite, or stayed above ten times its start), dead (the projected gradient stayed "
                                    "0), constant (one class on all rows). In [ ] the mean without them.",
                 s.unvalued ? " (one that has no value is left out of the mean and of (n))" : "");
        zo_page_paragraph(page, text);
    }
    if (s.fingerprints) {
        zo_page_paragraph(page, "Labels with a fingerprint are of runs of one config that were made from different files: their means are apart.");
    }
    if (p->g.trials > 0) {
        snprintf(text, sizeof text, "Left out: %d %s with dev rows alone, as those by which learning rates are chosen; `--where \"test = 0\"` shows them.", p->g.trials,
                 p->g.trials == 1 ? "run" : "runs");
        zo_page_paragraph(page, text);
    }
    if (p->g.uneven_n > 0) {
        snprintf(text, sizeof text, "Beware: %s%s: the settings compared were run on different sets of seeds, so the choice is not like against like.",
                 p->g.uneven, p->g.uneven_n > 1 ? " and others" : "");
        zo_page_paragraph(page, text);
    }
    snprintf(text, sizeof text, "%sA forward is one batch through the model at one point. %sDevice-hours are of optimizer steps, then with evaluation. Peak MB "
             "(10^6 bytes): largest sum of live bytes in the ledger, in training; overall counts loading and evaluation too and stands where it differs.",
             s.is_new ? "Work: FLOPs of training in units of one plain forward over the run's mean batch. " : "",
             s.is_new ? "The paper's queries are what the method's paper counts (zo list optimizers). Step ms is the mean. " : "");
    zo_page_paragraph(page, text);
    zo_texts_free(&s.metrics);
    zo_texts_free(&s.how);
}
