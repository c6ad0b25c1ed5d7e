/* table_csv.c: a table as CSV (RFC 4180, with line feeds). */
#include <string.h>

#include "results/table.h"

static void print_csv_field(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') {
            fputc('"', out);
        }
        fputc(*text, out);
    }
    fputc('"', out);
}

void zo_table_print_csv(FILE *out, const zo_text_table *t)
{
    for (int r = -1; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++) {
            print_csv_field(out, zo_text_table_at(t, r, c));
            fputc(c + 1 < t->columns ? ',' : '\n', out);
        }
    }
}
