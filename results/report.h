/* report.h: what the database says, as tables: one object a cell or a group of seeds, the papers' table of methods by tasks, and
 * any SELECT. Reads the database only. */
#ifndef ZO_RESULTS_REPORT_H
#define ZO_RESULTS_REPORT_H

#include <stdbool.h>
#include <stdio.h>

#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

typedef enum zo_table_format { ZO_TABLE_MD, ZO_TABLE_CSV, ZO_TABLE_JSON, ZO_TABLE_LATEX, ZO_TABLE_HTML } zo_table_format;
/* "md", "csv", "json" or "latex". HTML is of pages alone. */
zo_status zo_table_format_of(const char *name, zo_table_format *format, zo_err *err);
/* An array of objects with scalar members (objects inside are printed as JSON): columns are the keys of all rows, in the order in
 * which they come. JSON prints the array as it is. `columns`: of the terminal that it goes to, 0 = it goes elsewhere; on a narrow one the columns of a
 * markdown table are spread over several, and texts are folded. No text in it drives a terminal (core/text.h): markdown has '?' there, JSON
 * escapes; CSV keeps what is text, but on a terminal. LaTeX: a tabular with
 * the rules of booktabs. HTML: a <table> alone, for a page. */
void zo_table_print(FILE *out, const struct cJSON *rows, zo_table_format format, int columns);
/* A line of text, folded at blanks on a terminal; its further lines begin with `indent` blanks. */
void zo_paragraph_print(FILE *out, const char *text, int indent, int columns);

typedef struct zo_report_spec {
    const zo_opt *keys;   /* of the configs (bench/cell/keys.h): which of them are columns, which say what a panel is; NULL = none but the optimizer */
    bool by_seed_group;   /* mean and standard deviation over seeds instead of one object a cell */
    const char *best;     /* "lr" or "lr,rank": of the cells that differ only in these keys and the seed, keep the setting that is best on dev, by mean
                             metric or mean loss as the cells' selection says (the smaller value on a tie); NULL = keep all */
    bool without_trials;  /* leaves out trials: runs with dev rows alone beside runs of the same model, task and form with test rows; learning rates are chosen by
                             such. The papers' table leaves them out in any case: no dev score stands beside test scores */
    const char *columns;  /* key whose values are the paper table's columns; "task" */
    const char *metric;   /* accuracy, f1, macro_f1, matthews, dev_metric, dev_accuracy: what stands in the paper table; NULL = each cell's own */
    const char *where;    /* an SQL condition on the columns of the view `report`; NULL = all */
    /* Where the algorithm of an optimizer with these options was read: "paper", "released", "reconstructed"; "" = there is no such text. Rows have it
     * in `source`, the papers' table behind the method where it is not the paper. NULL = it is not said. */
    const char *(*source)(const char *optimizer, const struct cJSON *options);
    const char *against;  /* zo_report_against: the method that the others are compared with, by its label or its optimizer's name */
    zo_results *times;    /* and the database that has the times of steps (of runs that differ in budget, rows, seed and lr); NULL = the runs' own */
    int terminal;         /* columns of the terminal that the paper table goes to; 0 = it goes elsewhere */
    zo_table_format as;   /* of zo_report_paper: MD, LATEX (parts of a document) or HTML (parts of a page) */
} zo_report_spec;

/* Objects of runs, or of groups of seeds (results/groups.h): settings, seed, status, marks, meaning, and the columns of results/schema.sql; groups have
 * means in these columns, counts in `marks` and `disturbed`, metric_value_std, metric_value_unmarked (the mean without marked runs), n, and the list of
 * seeds. The caller deletes *rows. */
zo_status zo_report_rows(zo_results *results, const zo_report_spec *spec, struct cJSON **rows, zo_err *err);
/* The papers' table: methods by `columns`, in percent, mean and standard deviation over seeds (n) of all runs with how many of them are
 * marked, then what it cost. Rows of an older meaning stand in a section of their own. Cells without dev and test examples are left out. */
zo_status zo_report_paper(zo_results *results, const zo_report_spec *spec, FILE *out, zo_err *err);

/* Methods against one of them, over paired runs (results/compare.h): differences, their intervals over seeds and over test rows, what Holm leaves of
 * their significance, the smallest difference that could have been seen, where rates work, and scores at equal seconds. markdown, LaTeX, HTML: a table a frame.
 * csv, json: the objects. ZO_EINPUT where nothing can be paired. */
zo_status zo_report_against(zo_results *results, const zo_report_spec *spec, zo_table_format format, FILE *out, zo_err *err);

/* One read-only statement. The caller deletes *rows. */
zo_status zo_results_select(zo_results *results, const char *sql, struct cJSON **rows, zo_err *err);

/* *condition: `where` (NULL = all) and that a run began when the first one of this revision of the program did, or later; for `where` of a report or a history. The
 * caller frees it (zo_free); NULL after an error. `revision`: what it begins with. ZO_EINPUT where no run is of it. */
zo_status zo_results_since(zo_results *results, const char *revision, const char *where, char **condition, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
