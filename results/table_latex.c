/* table_latex.c: a table as a LaTeX tabular with the rules of booktabs. */
#include <math.h>
#include <stdlib.h>

#include "results/page.h"
#include "results/table.h"

/* The number that an entry begins with; NaN where it begins with none. */
static double score_of(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    return end != text ? value : NAN;
}

/* How many entries of the column are better: 0 = the best (all of several that are equal). -1 = no number. */
static int rank_of(const zo_text_table *t, int row, int column)
{
    double mine = score_of(zo_text_table_at(t, row, column));
    int better = 0;
    for (int r = 0; r < t->rows; r++) {
        better += score_of(zo_text_table_at(t, r, column)) > mine;
    }
    return isnan(mine) ? -1 : better;
}

void zo_table_print_latex(FILE *out, const zo_text_table *t, bool scores)
{
    fputs("% \\usepackage{booktabs}\n\\begin{tabular}{", out);
    for (int c = 0; c < t->columns; c++) {
        fputc(t->numbers[c] ? 'r' : 'l', out);
    }
    fputs("}\n\\toprule\n", out);
    for (int r = -1; r < t->rows; r++) {
        for (int c = 0; c < t->columns; c++) {
            int rank = scores && r >= 0 && c > 0 && t->rows > 1 ? rank_of(t, r, c) : -1;
            fputs(c == 0 ? "" : " & ", out);
            fputs(rank == 0 ? "\\textbf{" : rank == 1 ? "\\underline{" : "", out);
            zo_latex_escaped(out, zo_text_table_at(t, r, c));
            fputs(rank == 0 || rank == 1 ? "}" : "", out);
        }
        fputs(r < 0 ? " \\\\\n\\midrule\n" : " \\\\\n", out);
    }
    fputs("\\bottomrule\n\\end{tabular}\n", out);
}
