/* page.h: titles, tables and paragraphs, one after another: as markdown for terminals and files, as parts of an HTML page, or as parts of a LaTeX
 * document. What a report says is written once. Private to results/, but for what results/report.h declares, and pages that are made of it. */
#ifndef ZO_RESULTS_PAGE_H
#define ZO_RESULTS_PAGE_H

#include <stdio.h>

#include "results/report.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_page {
    FILE *out;
    zo_table_format as; /* MD, HTML, LATEX */
    int terminal;       /* columns of the terminal that markdown goes to; 0 = it goes elsewhere */
} zo_page;

void zo_page_title(const zo_page *page, int level, const char *text); /* 1 is the highest */
/* As zo_table_print. `scores`: behind the first column an entry begins with a number, the larger the better; LaTeX has the best of a column in bold, the
 * second underlined. */
void zo_page_table(const zo_page *page, const struct cJSON *rows, bool scores);
void zo_page_paragraph(const zo_page *page, const char *text);
void zo_page_gap(const zo_page *page); /* a blank line, in markdown, whose paragraphs have none by themselves */

/* Text as it is: what HTML or LaTeX would read as something else is written otherwise, and nothing drives a terminal. */
void zo_page_escaped(FILE *out, const char *text);
void zo_latex_escaped(FILE *out, const char *text);

#ifdef __cplusplus
}
#endif
#endif
