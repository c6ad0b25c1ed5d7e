/* paper.c: the papers' table. A method's label is its name and what tells two settings of one model, task and form apart (results/labels.h). */
#include "results/paper.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "core/hashmap.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/keys.h"
#include "results/labels.h"

#define COUNT(list) (sizeof(list) / sizeof *(list))

const char *zo_paper_metric(const zo_paper *p, const zo_grouped_run *run)
{
    return p->spec->metric != NULL ? p->spec->metric : zo_run_text(run, "metric");
}

const char *zo_paper_metric_column(const zo_paper *p)
{
    return p->spec->metric != NULL ? p->spec->metric : "metric_value";
}

bool zo_run_is_current(const zo_grouped_run *run)
{
    return zo_run_number(run, "meaning") == ZO_MEANING;
}

/* A setting's value of the key that makes the columns. The caller gives it back with zo_free. */
static char *column_value(const zo_paper *p, const zo_grouped_run *run)
{
    const zo_opt *key = p->spec->keys != NULL ? zo_opt_find(p->spec->keys, p->spec->columns) : NULL;
    return zo_label_value(key, cJSON_GetObjectItemCaseSensitive(run->flat, p->spec->columns));
}

/* Settings are told apart where they would stand in one panel, method and column; a method has the same keys in all its labels, so that its entries
 * stand in one row. */
static void make_labels(zo_paper *p)
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
        frame = zo_label_hash(frame, column);
        setting[group] = (zo_setting){.value = run->flat, .name = zo_run_text(run, "optimizer"), .frame = frame, .scope = method};
        zo_free(column);
    }
    p->label = zo_labels_make(&(zo_label_spec){.keys = p->spec->keys, .left = p->spec->best}, setting, p->g.groups);
    zo_free(setting);
}

/* Do all groups have one metric? */
static bool is_one_metric(const zo_paper *p)
{
    for (int group = 1; group < p->g.groups; group++) {
        if (strcmp(zo_paper_metric(p, zo_groups_first(&p->g, group)), zo_paper_metric(p, zo_groups_first(&p->g, 0))) != 0) {
            return false;
        }
    }
    return true;
}

static void make_places(zo_paper *p)
{
    size_t groups = (size_t)p->g.groups;
    bool by_task = strcmp(p->spec->columns, "task") == 0, one_metric = is_one_metric(p);
    p->place = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (groups + 1) * sizeof *p->place);
    make_labels(p);
    for (int group = 0; group < p->g.groups; group++) {
        const zo_grouped_run *run = zo_groups_first(&p->g, group);
        char text[ZO_PAPER_TEXT_BYTES], *column = column_value(p, run);
        p->place[group].method = zo_texts_index(&p->methods, p->label[group]);
        snprintf(text, sizeof text, "%.300s%s%s%s", column, one_metric ? "" : " (", one_metric ? "" : zo_paper_metric(p, run), one_metric ? "" : ")");
        p->place[group].column = zo_texts_index(&p->columns, text);
        zo_free(column);
        /* the meaning stands in front, and is not printed: print_panels */
        snprintf(text, sizeof text, "%.0f:%.120s, %s%s%s", zo_run_number(run, "meaning"), zo_run_text(run, "model"), zo_run_text(run, "form"),
                 by_task ? "" : ", ", by_task ? "" : zo_run_text(run, "task"));
        p->place[group].panel = zo_texts_index(&p->panels, text);
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

static void free_paper(zo_paper *p)
{
    zo_texts_free(&p->panels);
    zo_texts_free(&p->methods);
    zo_texts_free(&p->columns);
    if (p->label != NULL) {
        zo_labels_free(p->label, p->g.groups);
    }
    zo_free(p->place);
    zo_groups_free(&p->g);
}

static zo_status check_spec(const zo_groups *g, const zo_report_spec *spec, zo_err *err)
{
    static const char *const metrics[] = {"accuracy", "f1", "macro_f1", "matthews", "exact_match", "token_f1", "pearson", "spearman", "dev_metric", "dev_accuracy"};
    bool known = spec->metric == NULL;
    for (size_t i = 0; i < COUNT(metrics) && !known; i++) {
        known = strcmp(spec->metric, metrics[i]) == 0;
    }
    if (!known) {
        return zo_fail(err, ZO_EINPUT, "--metric is \"%.40s\"; expected accuracy, f1, macro_f1, matthews, exact_match, token_f1, pearson, spearman, dev_metric or dev_accuracy", spec->metric);
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
    zo_paper p = {.spec = spec};
    const zo_page page = {.out = out, .as = spec->as, .terminal = spec->terminal};
    zo_report_spec shown = *spec;
    shown.without_trials = true;
    zo_status status = zo_groups_read(results, &shown, true, 0, &p.g, err);
    if (status != ZO_OK) {
        return status;
    }
    status = check_spec(&p.g, spec, err);
    status = status == ZO_OK && spec->best != NULL ? zo_groups_keep_best(&p.g, spec->best, err) : status;
    if (status == ZO_OK && p.g.groups == 0) {
        zo_page_paragraph(&page, "No finished cells.");
    } else if (status == ZO_OK) {
        make_places(&p);
        zo_paper_print_panels(&p, &page);
        zo_paper_print_closing(&p, &page);
    }
    free_paper(&p);
    return status;
}
