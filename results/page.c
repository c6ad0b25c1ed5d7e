/* page.c: see page.h. */
#include "results/page.h"

#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "results/table.h"

typedef struct escape { const char *what, *as; } escape; /* a text, and what stands for it; the last has no text */

static const escape of_html[] = {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {NULL, NULL}};
static const escape of_latex[] = {{"\\", "\\textbackslash{}"}, {"{", "\\{"}, {"}", "\\}"}, {"$", "\\$"}, {"&", "\\&"}, {"%", "\\%"}, {"#", "\\#"}, {"_", "\\_"},
                                  {"~", "\\textasciitilde{}"}, {"^", "\\textasciicircum{}"}, {"<", "\\textless{}"}, {">", "\\textgreater{}"},
                                  {"\"", "\\textquotedbl{}"}, {"\u00b1", "\\ensuremath{\\pm}"}, {"\u2265", "\\ensuremath{\\geq}"},
                                  {"\u2192", "\\ensuremath{\\to}"}, {"\u00d7", "\\ensuremath{\\times}"}, {NULL, NULL}};

static void print_escaped(FILE *out, const char *text, const escape *escapes)
{
    char *plain = zo_text_plain_copy(text);
    for (const char *c = plain; *c != '\0';) {
        const escape *e = escapes;
        while (e->what != NULL && strncmp(c, e->what, strlen(e->what)) != 0) {
            e++;
        }
        if (e->what != NULL) {
            fputs(e->as, out);
            c += strlen(e->what);
        } else {
            fputc(*c++, out);
        }
    }
    zo_free(plain);
}

void zo_page_escaped(FILE *out, const char *text)
{
    print_escaped(out, text, of_html);
}

void zo_latex_escaped(FILE *out, const char *text)
{
    print_escaped(out, text, of_latex);
}

void zo_page_title(const zo_page *page, int level, const char *text)
{
    if (page->as == ZO_TABLE_HTML) {
        fprintf(page->out, "<h%d>", level);
        zo_page_escaped(page->out, text);
        fprintf(page->out, "</h%d>\n", level);
    } else if (page->as == ZO_TABLE_LATEX) {
        fputs(level == 1 ? "\\section*{" : "\\subsection*{", page->out);
        zo_latex_escaped(page->out, text);
        fputs("}\n\n", page->out);
    } else {
        size_t size = strlen(text) + 8;
        char *line = zo_alloc(ZO_HOST, ZO_TAG_OTHER, size);
        snprintf(line, size, "%.*s %s", level, "######", text);
        zo_page_paragraph(page, line);
        zo_page_gap(page);
        zo_free(line);
    }
}

void zo_page_table(const zo_page *page, const struct cJSON *rows, bool scores)
{
    if (page->as == ZO_TABLE_LATEX && scores) {
        zo_table_print_scores(page->out, rows);
    } else {
        zo_table_print(page->out, rows, page->as, page->terminal);
    }
    if (page->as != ZO_TABLE_HTML) {
        fputc('\n', page->out);
    }
}

void zo_page_paragraph(const zo_page *page, const char *text)
{
    if (page->as == ZO_TABLE_HTML) {
        fputs("<p>", page->out);
        zo_page_escaped(page->out, text);
        fputs("</p>\n", page->out);
    } else if (page->as == ZO_TABLE_LATEX) {
        zo_latex_escaped(page->out, text);
        fputs("\n\n", page->out);
    } else {
        zo_paragraph_print(page->out, text, 0, page->terminal);
    }
}

void zo_page_gap(const zo_page *page)
{
    if (page->as == ZO_TABLE_MD) {
        fputc('\n', page->out);
    }
}
