/* table_markdown.c: a table as markdown, folded to a narrow terminal; and paragraphs beside it. */
#include <string.h>

#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"
#include "results/table.h"

/* Bytes of the next line of a text that is folded to `width` columns: at a blank where there is one, and all of it where it fits. */
static size_t next_line(const char *text, int width)
{
    size_t fits = zo_text_cut(text, width);
    if (text[fits] == '\0') {
        return fits;
    }
    size_t n = fits;
    while (n > 0 && text[n] != ' ') {
        n--;
    }
    if (n == 0) { /* one long word; a wide character that does not fit stands alone */
        n = fits > 0 ? fits : 1;
        while (((unsigned char)text[n] & 0xC0) == 0x80) {
            n++;
        }
    }
    return n;
}

static void print_field(FILE *out, const char *text, size_t bytes, int indent, int width, bool right)
{
    char *piece = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes + 1);
    memcpy(piece, text, bytes);
    int pad = width - indent - zo_text_width(piece);
    pad = pad > 0 ? pad : 0;
    fprintf(out, "| %*s%*s%s%*s ", indent, "", right ? pad : 0, "", piece, right ? 0 : pad, "");
    zo_free(piece);
}

#define FOLD_INDENT 2 /* of what is folded in the first column, so that rows are told apart */

/* Columns 0 and [from, to) of one row, folded to the columns' widths. */
static void print_row(FILE *out, const zo_text_table *t, const int *width, int row, int from, int to)
{
    size_t *at = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)t->columns + 1) * sizeof *at);
    bool more = true;
    for (int line = 0; more; line++) {
        more = false;
        for (int c = 0; c < to; c = c == 0 && from > 0 ? from : c + 1) {
            const char *text = zo_text_table_at(t, row, c) + at[c];
            int indent = c == 0 && line > 0 ? FOLD_INDENT : 0;
            size_t n = next_line(text, width[c] - indent);
            print_field(out, text, n, indent, width[c], t->numbers[c]);
            at[c] += n + strspn(text + n, " ");
            more = more || zo_text_table_at(t, row, c)[at[c]] != '\0';
        }
        fputs("|\n", out);
    }
    zo_free(at);
}

static void print_rule(FILE *out, const zo_text_table *t, const int *width, int from, int to)
{
    for (int c = 0; c < to; c = c == 0 && from > 0 ? from : c + 1) {
        fputc('|', out);
        for (int i = 0; i < width[c] + 2; i++) {
            fputc(t->numbers[c] && i == width[c] + 1 ? ':' : '-', out);
        }
    }
    fputs("|\n", out);
}

void zo_table_print_markdown(FILE *out, const zo_text_table *t, int columns)
{
    int whole = 1, *width = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)t->columns + 1) * sizeof *width);
    for (int c = 0; c < t->columns; c++) {
        width[c] = t->width[c];
        whole += width[c] + 3;
    }
    bool is_narrow = columns > 0 && whole > columns;
    for (int c = 0; c < t->columns && is_narrow; c++) {
        int most = c == 0 ? (t->columns > 1 ? columns / 2 : columns) - 4 : columns - width[0] - 7;
        most = most < 8 ? 8 : most;
        width[c] = width[c] > most ? most : width[c];
    }
    for (int from = 0; from < t->columns;) {
        int to = from == 0 ? 1 : from, used = 1 + width[0] + 3;
        do {
            used += to < t->columns ? width[to] + 3 : 0;
            to++;
        } while (to < t->columns && (!is_narrow || used + width[to] + 3 <= columns));
        to = to > t->columns ? t->columns : to;
        if (from > 0) {
            fputc('\n', out);
        }
        print_row(out, t, width, -1, from, to);
        print_rule(out, t, width, from, to);
        for (int r = 0; r < t->rows; r++) {
            print_row(out, t, width, r, from, to);
        }
        from = to;
    }
    zo_free(width);
}

void zo_paragraph_print(FILE *out, const char *text, int indent, int columns)
{
    char *safe = zo_text_plain_copy(text);
    bool is_first = true;
    for (const char *at = safe; *at != '\0' && columns > 0; is_first = false) {
        int before = is_first ? 0 : indent;
        size_t n = next_line(at, columns > before + 8 ? columns - before : 8);
        fprintf(out, "%*s%.*s\n", before, "", (int)n, at);
        at += n + strspn(at + n, " ");
    }
    if (columns == 0) {
        fprintf(out, "%s\n", safe);
    }
    zo_free(safe);
}
