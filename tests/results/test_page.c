/* test_page.c: parts of a page in markdown, HTML and LaTeX: texts that would drive something, the best and the second of a column. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "results/page.h"
#include "tests/suite.h"

static char *made; /* what was printed last */
static size_t made_n;

static zo_page page_as(zo_table_format as)
{
    free(made);
    made = NULL;
    FILE *out = open_memstream(&made, &made_n);
    ck_assert_ptr_nonnull(out);
    return (zo_page){.out = out, .as = as};
}

static void table(zo_table_format as, const char *json, bool scores)
{
    cJSON *rows = cJSON_Parse(json);
    ck_assert_ptr_nonnull(rows);
    zo_page page = page_as(as);
    zo_page_table(&page, rows, scores);
    fclose(page.out);
    cJSON_Delete(rows);
}

static const char three[] = "[{\"method\": \"a_b\", \"x\": \"81.5 ± 0.3 (5)\", \"y\": \"9.5\", \"z\": 1}, {\"method\": \"50 % & {c}\", \"x\": \"100.0 ± 1.0 (5)\", \"y\": \"\", \"z\": 2}, "
                            "{\"method\": \"d\", \"x\": \"81.5 ± 0.1 (5)\", \"y\": \"9.4 (1)\", \"z\": 3}]";

START_TEST(latex_tables)
{
    table(ZO_TABLE_LATEX, three, true);
    ck_assert_str_eq(made, "% \\usepackage{booktabs}\n\\begin{tabular}{lllr}\n\\toprule\nmethod & x & y & z \\\\\n\\midrule\n"
                           "a\\_b & \\underline{81.5 \\ensuremath{\\pm} 0.3 (5)} & \\textbf{9.5} & 1 \\\\\n"
                           "50 \\% \\& \\{c\\} & \\textbf{100.0 \\ensuremath{\\pm} 1.0 (5)} &  & \\underline{2} \\\\\n"
                           "d & \\underline{81.5 \\ensuremath{\\pm} 0.1 (5)} & \\underline{9.4 (1)} & \\textbf{3} \\\\\n"
                           "\\bottomrule\n\\end{tabular}\n\n");
    table(ZO_TABLE_LATEX, three, false);
    ck_assert_ptr_null(strstr(made, "textbf"));
    table(ZO_TABLE_LATEX, "[{\"m\": \"a\", \"x\": \"1\"}]", true); /* one alone is no best */
    ck_assert_ptr_null(strstr(made, "textbf"));
}
END_TEST

START_TEST(texts_are_texts)
{
    static const char hostile[] = "\\input{x} $y$ #1 ~^ <b>\"&\x1b[2J % \\";
    zo_page page = page_as(ZO_TABLE_LATEX);
    zo_page_paragraph(&page, hostile);
    fclose(page.out);
    ck_assert_str_eq(made, "\\textbackslash{}input\\{x\\} \\$y\\$ \\#1 \\textasciitilde{}\\textasciicircum{} \\textless{}b\\textgreater{}\\textquotedbl{}\\&?[2J \\% \\textbackslash{}\n\n");
    page = page_as(ZO_TABLE_HTML);
    zo_page_title(&page, 2, hostile);
    fclose(page.out);
    ck_assert_str_eq(made, "<h2>\\input{x} $y$ #1 ~^ &lt;b&gt;&quot;&amp;?[2J % \\</h2>\n");
    page = page_as(ZO_TABLE_MD);
    zo_page_title(&page, 2, "a");
    zo_page_paragraph(&page, "b");
    zo_page_gap(&page);
    fclose(page.out);
    ck_assert_str_eq(made, "## a\n\nb\n\n");
    page = page_as(ZO_TABLE_LATEX);
    zo_page_title(&page, 2, "a_b");
    zo_page_gap(&page);
    fclose(page.out);
    ck_assert_str_eq(made, "\\subsection*{a\\_b}\n\n");
    table(ZO_TABLE_HTML, three, true);
    ck_assert_ptr_nonnull(strstr(made, "<td>50 % &amp; {c}</td><td>100.0 ± 1.0 (5)</td><td></td><td class=\"n\">2</td>"));
}
END_TEST

START_TEST(formats_by_name)
{
    static const struct { const char *name; zo_table_format as; } of[] = {{"md", ZO_TABLE_MD}, {"csv", ZO_TABLE_CSV}, {"json", ZO_TABLE_JSON}, {"latex", ZO_TABLE_LATEX}};
    zo_table_format as;
    zo_err err = {0};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        ck_assert_int_eq(zo_table_format_of(of[i].name, &as, &err), ZO_OK);
        ck_assert_int_eq(as, of[i].as);
    }
    ck_assert_int_eq(zo_table_format_of("html", &as, &err), ZO_EINPUT);
    ck_assert_str_eq(err.text, "--format is \"html\"; expected md, csv, json or latex");
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("page");
    tcase_add_test(t, latex_tables);
    tcase_add_test(t, texts_are_texts);
    tcase_add_test(t, formats_by_name);
    Suite *suite = suite_create("page");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    free(made);
    return failed != 0;
}
