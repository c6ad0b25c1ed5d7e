/* page.c: see page.h. */
#include "results/page.h"

#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"

void zo_page_escaped(FILE *out, const char *text)
{
    char *plain = zo_text_plain_copy(text);
    for (const char *c = plain; *c != '\0'; c++) {
        switch (*c) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*c, out);
        }
    }
    zo_free(plain);
}

void zo_page_title(const zo_page *page, int level, const char *text)
{
    if (page->html) {
        fprintf(page->out, "<h%d>", level);
        zo_page_escaped(page->out, text);
        fprintf(page->out, "</h%d>\n", level);
        return;
    }
    size_t size = strlen(text) + 8;
    char *line = zo_alloc(ZO_HOST, ZO_TAG_OTHER, size);
    snprintf(line, size, "%.*s %s", level, "######", text);
    zo_page_paragraph(page, line);
    zo_page_gap(page);
    zo_free(line);
}

void zo_page_table(const zo_page *page, const struct cJSON *rows)
{
    zo_table_print(page->out, rows, page->html ? ZO_TABLE_HTML : ZO_TABLE_MD, page->terminal);
    zo_page_gap(page);
}

void zo_page_paragraph(const zo_page *page, const char *text)
{
    if (!page->html) {
        zo_paragraph_print(page->out, text, 0, page->terminal);
        return;
    }
    fputs("<p>", page->out);
    zo_page_escaped(page->out, text);
    fputs("</p>\n", page->out);
}

void zo_page_gap(const zo_page *page)
{
    if (!page->html) {
        fputc('\n', page->out);
    }
}
