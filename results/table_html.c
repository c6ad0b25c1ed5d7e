/* table_html.c: a table as HTML. */
#include "results/page.h"
#include "results/table.h"

void zo_table_print_html(FILE *out, const zo_text_table *t)
{
    fputs("<div class=\"table\"><table>\n", out);
    for (int r = -1; r < t->rows; r++) {
        fputs("<tr>", out);
        for (int c = 0; c < t->columns; c++) {
            const char *tag = r < 0 ? "th" : "td";
            fprintf(out, "<%s%s>", tag, t->numbers[c] ? " class=\"n\"" : "");
            zo_page_escaped(out, zo_text_table_at(t, r, c));
            fprintf(out, "</%s>", tag);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}
