/* test_text.c: text that is safe to show, as Unicode has it: what is replaced, what is kept, how wide it is; error sentences and tables built from
 * hostile names. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"
#include "tests/suite.h"

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

/* UTF-8 spelled out in bytes, so that this file itself holds nothing strange. */
static const struct { const char *text, *safe, *json; } character[] = {
    {"plain ~", "plain ~", "plain ~"},
    {"\x1b[31m", "?[31m", "\\u001b[31m"},                         /* escape */
    {"a\nb\tc\rd", "a?b?c?d", NULL},                              /* line ends and tabulators */
    {"\x7f", "?", "\\u007f"},                                     /* delete */
    {"\xc2\x9b" "1m", "?1m", "\\u009b1m"},                        /* U+009B: an escape of 8 bits */
    {"\xe2\x80\xae" "fdp.exe", "?fdp.exe", "\\u202efdp.exe"},     /* U+202E: right to left from here on */
    {"\xe2\x81\xa6x\xe2\x81\xa9", "?x?", "\\u2066x\\u2069"},      /* isolates */
    {"\xd8\x9c", "?", "\\u061c"},                                 /* arabic letter mark */
    {"\xe2\x80\xa8", "?", "\\u2028"},                             /* line separator */
    {"\xff\xfe", "??", "\\ufffd\\ufffd"},                         /* no UTF-8 */
    {"\xc0\xaf", "??", "\\ufffd\\ufffd"},                         /* longer than it needs to be */
    {"\xe2\x82", "??", "\\ufffd\\ufffd"},                         /* cut off */
    {"\xed\xa0\x80", "???", "\\ufffd\\ufffd\\ufffd"},             /* a surrogate */
    {"na\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97", "na\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97", "na\xc3\xafve \xe6\xbc\xa2\xe5\xad\x97"},
    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"}, /* an emoji */
};
enum { CHARACTERS = sizeof character / sizeof *character };

START_TEST(replaced)
{
    char text[100];
    snprintf(text, sizeof text, "%s", character[_i].text);
    ck_assert_str_eq(zo_text_plain(text), character[_i].safe);
    zo_err err = {0};
    zo_fail(&err, ZO_EINPUT, "%s", character[_i].text);
    ck_assert_str_eq(err.text, character[_i].safe);
    zo_fail(&err, ZO_EINPUT, "wrong");
    zo_fail_in(&err, character[_i].text);
    ASSERT_HAS(err.text, character[_i].safe);
    ASSERT_HAS(err.text, ": wrong");
    if (character[_i].json != NULL) {
        char *json = zo_text_plain_json(character[_i].text);
        ck_assert_str_eq(json, character[_i].json);
        zo_free(json);
    }
}
END_TEST

START_TEST(made_valid)
{
    char *text = zo_text_utf8("a\xff\x1b\xe6\xbc\xa2\xe6");
    ck_assert_str_eq(text, "a\xef\xbf\xbd\x1b\xe6\xbc\xa2\xef\xbf\xbd");
    zo_free(text);
}
END_TEST

START_TEST(widths)
{
    ck_assert_int_eq(zo_text_width(""), 0);
    ck_assert_int_eq(zo_text_width("abc"), 3);
    ck_assert_int_eq(zo_text_width("\xe6\xbc\xa2\xe5\xad\x97"), 4); /* two wide characters */
    ck_assert_int_eq(zo_text_width("e\xcc\x81"), 1);               /* e and an accent above it */
    ck_assert_uint_eq(zo_text_cut("abc", 2), 2);
    ck_assert_uint_eq(zo_text_cut("abc", 3), 3);
    ck_assert_uint_eq(zo_text_cut("\xe6\xbc\xa2\xe5\xad\x97", 3), 3); /* half a character is none */
    ck_assert_uint_eq(zo_text_cut("e\xcc\x81x", 1), 3);               /* the accent belongs to its letter */
    ck_assert_uint_eq(zo_text_cut("a", 0), 0);
}
END_TEST

/* Folded at blanks, further lines indented, none wider than the terminal; elsewhere one line. */
START_TEST(paragraphs)
{
    static const struct { const char *text; int indent, columns; const char *is; } of[] = {
        {"aa bb cc dd", 0, 10, "aa bb cc\ndd\n"},
        {"aa bb cc dd", 0, 11, "aa bb cc dd\n"},
        {"aa bb cc dd ee ff", 2, 11, "aa bb cc dd\n  ee ff\n"},
        {"aa bb cc dd ee ff gg h", 2, 11, "aa bb cc dd\n  ee ff gg\n  h\n"}, /* 9 are left, and "ee ff gg h" has 10 */
        {"abcdefghijkl", 0, 9, "abcdefghi\njkl\n"},
        {"\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2", 0, 9, "\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\xe6\xbc\xa2\n\xe6\xbc\xa2\n"},
        {"a\x1b bb", 4, 0, "a? bb\n"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        char *text;
        size_t n;
        FILE *out = open_memstream(&text, &n);
        zo_paragraph_print(out, of[i].text, of[i].indent, of[i].columns);
        fclose(out);
        ck_assert_str_eq(text, of[i].is);
        free(text);
    }
}
END_TEST

static char *printed(const cJSON *rows, zo_table_format format, int columns)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    zo_table_print(out, rows, format, columns);
    fclose(out);
    return text;
}

/* Every line of a markdown table has the same number of columns and the same width; none is wider than `most` (0: any). */
static void check_table(const char *text, int most)
{
    int width = 0, bars = 0;
    for (const char *line = text; *line != '\0';) {
        char copy[2000];
        size_t n = strcspn(line, "\n");
        ck_assert_uint_lt(n, sizeof copy);
        snprintf(copy, sizeof copy, "%.*s", (int)n, line);
        int count = 0;
        for (const char *c = copy; *c != '\0'; c++) {
            count += *c == '|';
        }
        ck_assert_msg(width == 0 || n == 0 || (zo_text_width(copy) == width && count == bars), "%s", text);
        ck_assert_msg(most == 0 || zo_text_width(copy) <= most, "%s", text);
        width = n == 0 ? 0 : zo_text_width(copy);
        bars = count;
        line += n + (line[n] == '\n');
    }
}

START_TEST(tables_of_hostile_names)
{
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; i < CHARACTERS; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "a|\x1b" "b\xff", character[i].text);
        cJSON_AddStringToObject(row, "x", "l|r");
        cJSON_AddNumberToObject(row, "n", 0.1234567890123);
        cJSON_AddItemToArray(rows, row);
    }
    char *md = printed(rows, ZO_TABLE_MD, 0), *csv = printed(rows, ZO_TABLE_CSV, 0), *json = printed(rows, ZO_TABLE_JSON, 0);
    char *shown = printed(rows, ZO_TABLE_CSV, 80);
    check_table(md, 0);
    ASSERT_HAS(md, "a\xc2\xa6?b?");
    ck_assert_int_eq(strpbrk(md, "\x1b\x7f\r\t") == NULL, 1);
    ASSERT_HAS(csv, "\x1b[31m,l|r,0.1234567890123\n"); /* its content, in full */
    ASSERT_HAS(csv, "\"a\nb\tc\rd\",");
    ck_assert_ptr_null(strstr(csv, "\xff"));
    ck_assert_ptr_null(strpbrk(shown, "\x1b\x7f\r\t"));
    ck_assert_ptr_null(strstr(shown, "\xe2\x80\xae"));
    ck_assert_ptr_null(strpbrk(json, "\x1b\x7f\xff"));
    cJSON *back = cJSON_Parse(json);
    ck_assert_str_eq(cJSON_GetArrayItem(back, 1)->child->valuestring, character[1].text);
    ck_assert_str_eq(cJSON_GetArrayItem(back, 5)->child->valuestring, character[5].text);
    ck_assert_str_eq(cJSON_GetArrayItem(back, 7)->child->valuestring, character[7].text);
    cJSON_Delete(back);
    cJSON_Delete(rows);
    free(md);
    free(csv);
    free(json);
    free(shown);
}
END_TEST

/* On a narrow terminal nothing is lost and nothing is wider than it. */
START_TEST(narrow_tables)
{
    cJSON *rows = cJSON_CreateArray();
    for (int i = 0; i < 3; i++) {
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "method", i == 1 ? "a method whose name is longer than half of a line" : i == 2 ? "m\xe6\xbc\xa2" : "m");
        for (int c = 0; c < 9; c++) {
            char name[20];
            snprintf(name, sizeof name, "column %d", c);
            cJSON_AddNumberToObject(row, name, 100 * i + c);
        }
        cJSON_AddStringToObject(row, "message", i == 0 ? "many words that go on and on until no line of this terminal could hold all of them at once" : "");
        cJSON_AddItemToArray(rows, row);
    }
    static const int columns[] = {40, 60, 80, 120, 400};
    for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) {
        char *text = printed(rows, ZO_TABLE_MD, columns[k]);
        check_table(text, columns[k]);
        for (int c = 0; c < 9; c++) {
            char name[20];
            snprintf(name, sizeof name, "column %d", c);
            ASSERT_HAS(text, name);
            snprintf(name, sizeof name, " %d |", 200 + c);
            ASSERT_HAS(text, name);
        }
        ASSERT_HAS(text, "at once");
        ck_assert_int_eq(strstr(text, "\n\n") != NULL, columns[k] < 300); /* several tables, or one */
        free(text);
    }
    char *whole = printed(rows, ZO_TABLE_MD, 0), *wide = printed(rows, ZO_TABLE_MD, 400);
    ck_assert_str_eq(whole, wide);
    free(whole);
    free(wide);
    cJSON_Delete(rows);
    rows = cJSON_CreateArray();
    char *none = printed(rows, ZO_TABLE_MD, 80);
    ck_assert_str_eq(none, "");
    free(none);
    cJSON_Delete(rows);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("text");
    tcase_add_loop_test(t, replaced, 0, CHARACTERS);
    tcase_add_test(t, made_valid);
    tcase_add_test(t, widths);
    tcase_add_test(t, paragraphs);
    tcase_add_test(t, tables_of_hostile_names);
    tcase_add_test(t, narrow_tables);
    Suite *s = suite_create("text");
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
