/* page.h: titles, tables and paragraphs, one after another: as markdown for terminals and files, or as parts of an HTML page. What a report says is written
 * once. Private to results/, but for results/report.h's tables and paragraphs. */
#ifndef ZO_RESULTS_PAGE_H
#define ZO_RESULTS_PAGE_H

#include <stdbool.h>
#include <stdio.h>

struct cJSON;

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_page {
    FILE *out;
    bool html;
    int terminal; /* columns of the terminal that markdown goes to; 0 = it goes elsewhere */
} zo_page;

void zo_page_title(const zo_page *page, int level, const char *text); /* 1 is the highest */
/* As zo_table_print (results/report.h). */
void zo_page_table(const zo_page *page, const struct cJSON *rows);
void zo_page_paragraph(const zo_page *page, const char *text);
void zo_page_gap(const zo_page *page); /* a blank line, where paragraphs are no elements of their own */
/* Text as it is, its characters that HTML reads as something else written otherwise, and none that drives a terminal. */
void zo_page_escaped(FILE *out, const char *text);

#ifdef __cplusplus
}
#endif
#endif
