/* cmd_compare.c: `zo compare`: published tables and what the database has of them. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cli/args.h"
#include "bench/cli/cmd.h"
#include "bench/cli/compare_plot.h"
#include "bench/matrix/published.h"
#include "core/mem.h"
#include "core/text.h"

static const char USAGE[] = "zo compare TABLE.json... [--db FILE] [--model NAME] [--device NAME] [--with KEYS] [--values] [--format md|csv|json|latex] [--plot FILE]";

enum { TABLES_MOST = 200 };

typedef struct tally {
    int64_t values, by_confidence[ZO_CONFIDENCES];
    int64_t agree, differ, differ_read, cannot, other;
} tally;

/* 2 decimals of a percentage or an hour, 3 of seconds and small GB. */
static void write_number(char *out, size_t size, double value, zo_published figure)
{
    if (isnan(value)) {
        out[0] = '\0';
        return;
    }
    snprintf(out, size, figure == ZO_PUBLISHED_METRIC ? "%.1f" : "%.3g", value);
}

static void add_side(cJSON *row, const char *key, double mean, double std, zo_published figure)
{
    char text[64], spread[24], value[24];
    write_number(value, sizeof value, mean, figure);
    write_number(spread, sizeof spread, std, figure);
    snprintf(text, sizeof text, "%s%s%s", value, spread[0] != '\0' ? " \u00b1 " : "", spread);
    cJSON_AddStringToObject(row, key, text);
}

static void add_number(cJSON *row, const char *key, double value)
{
    cJSON_AddItemToObject(row, key, isfinite(value) ? cJSON_CreateNumber(value) : cJSON_CreateNull());
}

/* For people; stand NULL: the values alone. */
static cJSON *shown_row(const zo_expected *e, const zo_stand *s)
{
    char text[80] = "";
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "row", e->name);
    cJSON_AddStringToObject(row, "column", e->column_name);
    add_side(row, "published", e->value, e->spread, e->figure);
    cJSON_AddStringToObject(row, "confidence", zo_confidence_name(e->confidence));
    if (s == NULL) {
        cJSON_AddStringToObject(row, "not run", e->not_run != NULL ? e->not_run : "");
        return row;
    }
    add_side(row, "ours", s->mean, s->std, e->figure);
    if (s->seeds > 0) {
        snprintf(text, sizeof text, "%lld", (long long)s->seeds);
    }
    cJSON_AddStringToObject(row, "seeds", text);
    text[0] = '\0';
    if (s->standing == ZO_STANDING_JUDGED) {
        snprintf(text, sizeof text, isnan(s->judged.low) ? "%+.1f" : "%+.1f [%+.1f, %+.1f]", s->judged.difference, s->judged.low, s->judged.high);
    }
    cJSON_AddStringToObject(row, "difference", text);
    cJSON_AddStringToObject(row, "verdict", zo_stand_word(s));
    cJSON_AddStringToObject(row, "why", s->why);
    return row;
}

/* Everything, for programs. */
static cJSON *whole_row(const zo_grid *grid, const zo_expected *e, const zo_stand *s)
{
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "table", grid->name);
    cJSON_AddStringToObject(row, "row", e->name);
    cJSON_AddStringToObject(row, "column", e->column_name);
    cJSON_AddStringToObject(row, "figure", zo_published_name(e->figure));
    cJSON_AddStringToObject(row, "unit", zo_published_unit(e->figure));
    cJSON_AddStringToObject(row, "source", e->source);
    cJSON_AddStringToObject(row, "confidence", zo_confidence_name(e->confidence));
    add_number(row, "published", e->value);
    add_number(row, "published_std", e->spread);
    add_number(row, "published_seeds", e->seeds > 0 ? (double)e->seeds : NAN);
    add_number(row, "published_rows", e->rows > 0 ? (double)e->rows : NAN);
    cJSON_AddNumberToObject(row, "cells", (double)e->cells);
    if (s == NULL) {
        cJSON_AddStringToObject(row, "why", e->not_run != NULL ? e->not_run : "");
        return row;
    }
    bool judged = s->standing == ZO_STANDING_JUDGED;
    cJSON_AddNumberToObject(row, "runs", (double)s->runs);
    add_number(row, "ours", s->mean);
    add_number(row, "ours_std", s->std);
    add_number(row, "ours_seeds", s->seeds > 0 ? (double)s->seeds : NAN);
    add_number(row, "ours_rows", s->rows > 0 ? (double)s->rows : NAN);
    add_number(row, "difference", judged ? s->judged.difference : NAN);
    add_number(row, "low", judged ? s->judged.low : NAN);
    add_number(row, "high", judged ? s->judged.high : NAN);
    cJSON_AddStringToObject(row, "verdict", zo_stand_word(s));
    cJSON_AddStringToObject(row, "budget", s->budget);
    cJSON_AddStringToObject(row, "why", s->why);
    return row;
}

static void count(tally *t, const zo_expected *e, const zo_stand *s)
{
    t->values++;
    t->by_confidence[e->confidence]++;
    if (s == NULL || s->standing != ZO_STANDING_JUDGED) {
        t->other++;
        return;
    }
    t->agree += s->judged.verdict == ZO_AGREES;
    t->differ += s->judged.verdict == ZO_DIFFERS;
    t->cannot += s->judged.verdict == ZO_CANNOT_TELL;
    t->differ_read += s->judged.verdict == ZO_DIFFERS && e->confidence == ZO_CONFIDENCE_READ;
}

/* One table, printed where that is for people; else its rows go behind `all`. */
static zo_status compare_table(const char *path, const cJSON *with, zo_results *results, zo_table_format format, cJSON *all, tally *t, zo_picture *picture, zo_err *err)
{
    zo_grid grid;
    zo_expectation expectation;
    zo_stand *stand = NULL;
    zo_status status = zo_grid_read(&grid, path, NULL, err);
    if (status != ZO_OK) {
        return status;
    }
    status = zo_expect_read(path, &grid, &expectation, err);
    if (status == ZO_OK && expectation.n == 0) {
        status = zo_fail(err, ZO_EINPUT, "%s: there is no \"expect\"; a published table has its values there", path);
        zo_expect_free(&expectation);
    }
    if (status != ZO_OK) {
        zo_grid_free(&grid);
        return status;
    }
    char fitted[200];
    cJSON *keys = with != NULL ? cJSON_Duplicate(with, true) : NULL; /* as `zo run` has them on this machine */
    status = zo_with_fit(keys, path, fitted, sizeof fitted, err);
    if (status == ZO_OK && fitted[0] != '\0') {
        fprintf(stderr, "%s\n", fitted);
    }
    status = status == ZO_OK && results != NULL ? zo_published_stand(&grid, &expectation, keys, results, &stand, err) : status;
    cJSON_Delete(keys);
    cJSON *shown = cJSON_CreateArray();
    bool is_page = format == ZO_TABLE_MD || format == ZO_TABLE_LATEX; /* for people: a table a config */
    for (int64_t i = 0; i < expectation.n && status == ZO_OK; i++) {
        const zo_expected *e = &expectation.value[i];
        const zo_stand *s = stand != NULL ? &stand[i] : NULL;
        count(t, e, s);
        status = picture != NULL ? zo_picture_add(picture, e, s, err) : ZO_OK;
        cJSON_AddItemToArray(is_page ? shown : all, is_page ? shown_row(e, s) : whole_row(&grid, e, s));
    }
    if (status == ZO_OK && is_page) {
        char *title = zo_text_plain_copy(grid.name);
        const char *budget = "";
        for (int64_t i = 0; i < expectation.n && stand != NULL; i++) {
            budget = stand[i].budget[0] != '\0' ? stand[i].budget : budget;
        }
        printf("%s %s%s%s%s: %s\n%s", format == ZO_TABLE_LATEX ? "%" : "##", title, budget[0] != '\0' ? " (shrunk to a budget of " : "", budget, budget[0] != '\0' ? ")" : "", expectation.value[0].source, format == ZO_TABLE_LATEX ? "" : "\n");
        zo_free(title);
        zo_table_print(stdout, shown, format, format == ZO_TABLE_MD ? zo_terminal_columns(STDOUT_FILENO) : 0);
        printf("\n");
    }
    cJSON_Delete(shown);
    zo_free(stand);
    zo_expect_free(&expectation);
    zo_grid_free(&grid);
    return status;
}

static void print_tally(const tally *t, bool judged)
{
    printf("%lld values:", (long long)t->values);
    for (int c = 0; c < ZO_CONFIDENCES; c++) {
        printf("%s %lld %s", c > 0 ? "," : "", (long long)t->by_confidence[c], zo_confidence_name((zo_confidence)c));
    }
    printf(".\n");
    if (judged) {
        printf("Verdicts: %lld agree, %lld differ, %lld cannot tell, %lld without.\n", (long long)t->agree, (long long)t->differ, (long long)t->cannot, (long long)t->other);
    }
}

int zo_cmd_compare(int argc, char **argv)
{
    const char *db = "results/zo.db", *model = NULL, *device = NULL, *keys = NULL, *format = NULL, *plot = NULL, *path[TABLES_MOST];
    bool values = false;
    int tables = 0;
    const zo_arg table[] = {{"--db", ZO_ARG_TEXT, &db},         {"--model", ZO_ARG_TEXT, &model},   {"--device", ZO_ARG_TEXT, &device}, {"--with", ZO_ARG_TEXT, &keys},
                            {"--values", ZO_ARG_FLAG, &values}, {"--format", ZO_ARG_TEXT, &format}, {"--plot", ZO_ARG_TEXT, &plot}, {NULL, ZO_ARG_FLAG, NULL}};
    zo_err err = {0};
    zo_table_format as = ZO_TABLE_MD;
    cJSON *with = NULL, *all = cJSON_CreateArray();
    zo_results *results = NULL;
    tally t = {0};
    zo_picture picture = {.n = 0};
    zo_status status = zo_args_read(argc, argv, table, path, 1, TABLES_MOST, &tables, USAGE, &err);
    status = status == ZO_OK ? zo_table_format_of(format != NULL ? format : "md", &as, &err) : status;
    status = status == ZO_OK ? zo_with_of(keys, model, device, &with, &err) : status;
    status = status == ZO_OK && !values ? zo_results_open_read(&results, db, &err) : status;
    for (int i = 0; i < tables && status == ZO_OK; i++) {
        status = compare_table(path[i], with, results, as, all, &t, plot != NULL ? &picture : NULL, &err);
    }
    status = status == ZO_OK && plot != NULL ? zo_picture_draw(&picture, plot, &err) : status;
    zo_picture_free(&picture);
    if (status == ZO_OK && as == ZO_TABLE_MD) {
        print_tally(&t, !values);
    } else if (status == ZO_OK && as != ZO_TABLE_LATEX) {
        zo_table_print(stdout, all, as, zo_terminal_columns(STDOUT_FILENO));
    }
    cJSON_Delete(all);
    cJSON_Delete(with);
    zo_results_close(results);
    if (status != ZO_OK) {
        fprintf(stderr, "zo compare: %s\n", err.text);
        return 2;
    }
    return t.differ_read > 0 ? 1 : 0;
}
