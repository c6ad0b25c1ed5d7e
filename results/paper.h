/* paper.h: the papers' table while it is made: which group of seeds stands in which panel, row and column. Private to results/. */
#ifndef ZO_RESULTS_PAPER_H
#define ZO_RESULTS_PAPER_H

#include "results/groups.h"
#include "results/page.h"
#include "results/report.h"
#include "results/texts.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_PAPER_TEXT_BYTES 400 /* of a title or the head of a column */

/* A row of the papers' tables is a method in a panel, an entry a group. */
typedef struct zo_paper_place { int panel, method, column, next /* group of the same method and panel, -1 = none */; } zo_paper_place;

typedef struct zo_paper {
    zo_groups g;
    const zo_report_spec *spec;
    zo_texts panels, methods, columns;
    char **label;          /* (groups) the methods' labels */
    zo_paper_place *place; /* (groups) */
} zo_paper;

/* The metric that a run is reported by; the column of its values. */
const char *zo_paper_metric(const zo_paper *paper, const zo_grouped_run *run);
const char *zo_paper_metric_column(const zo_paper *paper);
/* Is it of the meaning of this program? */
bool zo_run_is_current(const zo_grouped_run *run);

/* What a method costs: a column of the second table of a panel. */
typedef struct zo_paper_cost { const char *title, *column; double scale; int digits; bool is_time, of_each; /* step has it, where it is measured */ } zo_paper_cost;
enum { ZO_COST_FULL_STEP = 5, ZO_COST_OTHER_STEP, ZO_COST_MEDIAN, ZO_COST_TRAIN_PEAK = 10, ZO_COST_PEAK, ZO_COSTS };
extern const zo_paper_cost zo_paper_costs[ZO_COSTS];

/* Texts of the tables, each at most `size` bytes with its end.
 * entry: "85.3 ± 1.2 (3)", the mean of all runs that have a value; then how many are marked, and the mean without them in brackets; then those that
 * did not end well, or why there is no number.
 * cost: lowest and highest group mean of a column over one method's groups in one panel, beginning with `group`; with * where a disturbed run is
 * among them; "" = none has it.
 * lr: the learning rates of the same groups. */
void zo_paper_entry(const zo_paper *paper, int group, char *out, size_t size);
void zo_paper_cost_text(const zo_paper *paper, int group, const zo_paper_cost *cost, char *out, size_t size);
void zo_paper_lr(const zo_paper *paper, int group, char *out, size_t size);

/* Appends to a text that has room for `size` bytes. */
void zo_paper_append(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Panels of the meaning of this program, or of each older one under a title that says what was different; then what a reader must know. */
void zo_paper_print_panels(const zo_paper *paper, const zo_page *page);
void zo_paper_print_closing(const zo_paper *paper, const zo_page *page);

#ifdef __cplusplus
}
#endif
#endif
