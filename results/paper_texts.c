/* paper_texts.c: the entries of the papers' tables; see paper.h. */
#include "results/paper.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

void zo_paper_append(char *out, size_t size, const char *format, ...)
{
    size_t at = strlen(out);
    va_list args;
    va_start(args, format);
    vsnprintf(out + at, size - at, format, args);
    va_end(args);
}

void zo_paper_entry(const zo_paper *p, int group, char *out, size_t size)
{
    const zo_groups *g = &p->g;
    int n, unmarked, runs = g->start[group + 1] - g->start[group], marked[COUNT(zo_mark_names)] = {0}, any = 0;
    double std, mean = zo_group_mean(g, group, zo_paper_metric_column(p), false, &std, &n);
    double rest = zo_group_mean(g, group, zo_paper_metric_column(p), true, NULL, &unmarked);
    zo_texts status = {0};
    int count[16] = {0}; /* of each; there are nine statuses */
    for (int k = g->start[group]; k < g->start[group + 1]; k++) {
        const zo_grouped_run *run = &g->run[g->member[k]];
        const char *s = zo_run_text(run, "status");
        for (size_t m = 0; m < COUNT(zo_mark_names); m++) {
            marked[m] += zo_run_is_marked(run, zo_mark_names[m]);
        }
        any += zo_run_is_marked(run, NULL);
        if (strcmp(s, "done") != 0 && strcmp(s, "diverged") != 0 && strcmp(s, "dead") != 0) {
            count[zo_texts_index(&status, s)]++;
        }
    }
    out[0] = '\0';
    if (n == 1 && runs == 1) {
        zo_paper_append(out, size, "%.1f", 100 * mean);
    } else if (n == 1) {
        zo_paper_append(out, size, "%.1f (1)", 100 * mean);
    } else if (n > 1) {
        zo_paper_append(out, size, "%.1f ± %.1f (%d)", 100 * mean, 100 * std, n);
    } else if (status.n == 0 && any == 0) {
        zo_paper_append(out, size, "no evaluation");
    }
    for (size_t m = 0; m < COUNT(zo_mark_names); m++) {
        if (marked[m] > 0 && runs == 1) {
            zo_paper_append(out, size, "%s%s", out[0] != '\0' ? ", " : "", zo_mark_names[m]);
        } else if (marked[m] > 0) {
            zo_paper_append(out, size, "%s%d %s", out[0] != '\0' ? ", " : "", marked[m], zo_mark_names[m]);
        }
    }
    if (any > 0 && unmarked > 0 && n > unmarked) {
        zo_paper_append(out, size, " [%.1f]", 100 * rest);
    }
    for (int k = 0; k < status.n; k++) {
        if (runs == 1) {
            zo_paper_append(out, size, "%s%s", out[0] != '\0' ? ", " : "", status.text[k]);
        } else {
            zo_paper_append(out, size, "%s%d %s", out[0] != '\0' ? ", " : "", count[k], status.text[k]);
        }
    }
    zo_texts_free(&status);
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

const zo_paper_cost zo_paper_costs[ZO_COSTS] = {{"steps", "steps", 1, 4, false, false},
                                                {"work", "work", 1, 4, false, false},
                                                {"forwards", "forwards", 1, 4, false, false},
                                                {"paper's queries", "paper_queries", 1, 4, false, false},
                                                {"step ms", "step_ms", 1, 3, true, true},
                                                {"full-batch step ms", "full_step_ms", 1, 3, true, false},
                                                {"other step ms", "other_step_ms", 1, 3, true, false},
                                                {"median step ms", "step_ms_median", 1, 3, true, true},
                                                {"device-hours", "device_hours", 1, 3, true, true},
                                                {"with evaluation", "device_hours_total", 1, 3, true, true},
                                                {"training peak MB", "train_peak_bytes", 1e-6, 4, false, true},
                                                {"overall peak MB", "peak_bytes", 1e-6, 4, false, true}};

void zo_paper_cost_text(const zo_paper *p, int group, const zo_paper_cost *c, char *out, size_t size)
{
    double low = NAN, high = NAN;
    bool is_disturbed = false, is_unmeasured = false;
    for (; group >= 0; group = p->place[group].next) {
        double x = c->scale * zo_group_mean(&p->g, group, c->column, false, NULL, NULL);
        low = isfinite(x) && !(low <= x) ? x : low;
        high = isfinite(x) && !(high >= x) ? x : high;
        for (int k = p->g.start[group]; k < p->g.start[group + 1]; k++) {
            const zo_grouped_run *run = &p->g.run[p->g.member[k]];
            is_disturbed = is_disturbed || zo_run_number(run, "disturbed") > 0;
            is_unmeasured = is_unmeasured || (zo_run_is_current(run) && zo_run_number(run, "steps") > 0 && !isfinite(zo_run_number(run, "device_hours")));
        }
    }
    out[0] = '\0';
    if (isfinite(low)) {
        char a[40], b[40];
        number_text(low, c->digits, a, sizeof a);
        number_text(high, c->digits, b, sizeof b);
        bool is_one = strcmp(a, b) == 0;
        zo_paper_append(out, size, "%s%s%s%s", a, is_one ? "" : " to ", is_one ? "" : b, c->is_time && is_disturbed ? " *" : "");
    } else if (is_unmeasured && c->of_each) {
        zo_paper_append(out, size, "not measured");
    }
}

void zo_paper_lr(const zo_paper *p, int group, char *out, size_t size)
{
    zo_texts seen = {0};
    out[0] = '\0';
    for (; group >= 0; group = p->place[group].next) {
        char text[40];
        snprintf(text, sizeof text, "%g", zo_run_number(zo_groups_first(&p->g, group), "lr"));
        int before = seen.n;
        if (zo_texts_index(&seen, text) == before) {
            zo_paper_append(out, size, "%s%s", before > 0 ? ", " : "", text);
        }
    }
    zo_texts_free(&seen);
}
