/* table.h: an array of JSON objects as rows of texts, for the formats that it is printed in: one file each. Private to results/. */
#ifndef ZO_RESULTS_TABLE_H
#define ZO_RESULTS_TABLE_H

#include <stdbool.h>
#include <stdio.h>

struct cJSON;

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_text_table {
    int columns, rows;
    char **name;   /* (columns) owned */
    char **text;   /* (rows, columns) owned */
    int *width;    /* (columns) of the widest text */
    bool *numbers; /* (columns) nothing but numbers: they stand right */
} zo_text_table;

const char *zo_text_table_at(const zo_text_table *table, int row, int column); /* row -1 = the head */

void zo_table_print_csv(FILE *out, const zo_text_table *table);
/* On a terminal of `columns` (0: any) that is too narrow the first column and as many others as fit make a table, then it and the next ones
 * another; texts that are too wide even so are folded. */
void zo_table_print_markdown(FILE *out, const zo_text_table *table, int columns);
/* A table in a box that scrolls by itself, where a page is narrower than it. */
void zo_table_print_html(FILE *out, const zo_text_table *table);
/* scores: as zo_page_table's (results/page.h). */
void zo_table_print_latex(FILE *out, const zo_text_table *table, bool scores);
/* Rows as zo_table_print has them, in LaTeX with `scores`. */
void zo_table_print_scores(FILE *out, const struct cJSON *rows);
void zo_table_print_json(FILE *out, const struct cJSON *rows);

#ifdef __cplusplus
}
#endif
#endif
