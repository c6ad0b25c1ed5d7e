/* test_labels.c: what tells settings apart, in words: which keys stand in a label, in which order and how their values are written; and that `zo run`,
 * reports and plots name one setting alike. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/matrix/grid.h"
#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/labels.h"
#include "results/report.h"
#include "results/results.h"
#include "results/views.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

typedef struct options { int64_t one, two; char word[ZO_OPT_STRING_BYTES]; } options;
enum { APART = 1 };
static const zo_opt table[] = {{.key = "two", .type = ZO_OPT_INT, .offset = offsetof(options, two), .word = "all", .number = -1},
                               {.key = "one", .type = ZO_OPT_INT, .offset = offsetof(options, one), .flags = APART},
                               {.key = "word", .type = ZO_OPT_STRING, .offset = offsetof(options, word), .text = ""},
                               {.key = NULL}};

/* The labels of a JSON list of settings, "|" behind each; frame and scope are the members "F" and "S", which are not compared. */
static char *labels_of(const char *list, const char *left, unsigned left_flags)
{
    cJSON *json = cJSON_Parse(list);
    zo_setting setting[8] = {{0}};
    int n = 0;
    for (cJSON *object = json->child; object != NULL; object = object->next, n++) {
        cJSON *frame = cJSON_DetachItemFromObject(object, "F"), *scope = cJSON_DetachItemFromObject(object, "S");
        setting[n] = (zo_setting){.value = object, .name = "x", .frame = frame != NULL ? (uint64_t)frame->valuedouble : 0,
                                  .scope = scope != NULL ? (uint64_t)scope->valuedouble : 0};
        cJSON_Delete(frame);
        cJSON_Delete(scope);
    }
    char **label = zo_labels_make(&(zo_label_spec){.keys = table, .left = left, .left_flags = left_flags}, setting, n);
    static char all[1000];
    all[0] = '\0';
    for (int i = 0; i < n; i++) {
        strcat(strcat(all, label[i]), "|");
    }
    zo_labels_free(label, n);
    cJSON_Delete(json);
    return all;
}

START_TEST(keys_that_differ)
{
    /* in the order of the table, other keys behind; what is equal in all is left out */
    ck_assert_str_eq(labels_of("[{\"one\": 1, \"two\": 2, \"own\": 5, \"same\": 7}, {\"one\": 3, \"two\": -1, \"own\": 5, \"same\": 7}]", NULL, 0),
                     "x two 2 one 1|x two all one 3|");
    ck_assert_str_eq(labels_of("[{\"own\": true, \"word\": \"a b\"}, {\"own\": 1e-6, \"word\": \"\"}]", NULL, 0),
                     "x word a b own true|x word  own 1e-06|");
    ck_assert_str_eq(labels_of("[{\"own\": {\"a\": [1]}}, {\"own\": null}]", NULL, 0), "x own {\"a\":[1]}|x own null|");
    /* a key that only some have */
    ck_assert_str_eq(labels_of("[{\"two\": 1}, {\"two\": 1, \"own\": 4}, {}]", NULL, 0), "x two 1|x two 1 own 4|x|");
    /* the third differs from the first in another key than the second does */
    ck_assert_str_eq(labels_of("[{\"two\": 1, \"one\": 1}, {\"two\": 2, \"one\": 1}, {\"two\": 1, \"one\": 9}]", NULL, 0),
                     "x two 1 one 1|x two 2 one 1|x two 1 one 9|");
    ck_assert_str_eq(labels_of("[{\"two\": 1}]", NULL, 0), "x|");
    ck_assert_str_eq(labels_of("[]", NULL, 0), "");
    /* left out by name, the whole name, or by flag */
    ck_assert_str_eq(labels_of("[{\"one\": 1, \"two\": 1, \"own\": 1, \"on\": 1}, {\"one\": 2, \"two\": 2, \"own\": 2, \"on\": 2}]", "own,two", 0),
                     "x one 1 on 1|x one 2 on 2|");
    ck_assert_str_eq(labels_of("[{\"one\": 1, \"two\": 1}, {\"one\": 2, \"two\": 2}]", NULL, APART), "x two 1|x two 2|");
}
END_TEST

/* Settings of one frame are compared; all labels of a scope have the same keys. */
START_TEST(frames_and_scopes)
{
    ck_assert_str_eq(labels_of("[{\"F\": 1, \"S\": 1, \"two\": 1}, {\"F\": 2, \"S\": 2, \"two\": 2}]", NULL, 0), "x|x|");
    ck_assert_str_eq(labels_of("[{\"F\": 1, \"S\": 1, \"two\": 1}, {\"F\": 2, \"S\": 2, \"two\": 2}, {\"F\": 1, \"S\": 1, \"two\": 3}]", NULL, 0),
                     "x two 1|x|x two 3|");
    ck_assert_str_eq(labels_of("[{\"F\": 1, \"two\": 1}, {\"F\": 2, \"two\": 2}, {\"F\": 1, \"two\": 3}]", NULL, 0), "x two 1|x two 2|x two 3|");
}
END_TEST

/* The same from structs, whose keys the table describes, beside options of their own. */
START_TEST(structs)
{
    options a = {.one = 1, .two = -1, .word = "a"}, b = {.one = 1, .two = 4, .word = "b"};
    cJSON *p = cJSON_Parse("{\"rank\": 8, \"z\": \"new\"}"), *q = cJSON_Parse("{\"rank\": 9, \"z\": \"new\"}");
    zo_setting setting[] = {{.value = p, .cell = &a}, {.value = q, .cell = &b}};
    char **label = zo_labels_make(&(zo_label_spec){.keys = table}, setting, 2);
    ck_assert_str_eq(label[0], " two all word a rank 8");
    ck_assert_str_eq(label[1], " two 4 word b rank 9");
    zo_labels_free(label, 2);
    cJSON_Delete(p);
    cJSON_Delete(q);
}
END_TEST

/* 100,000 settings that all differ: no comparison of each with each. */
START_TEST(many)
{
    enum { N = 100000 };
    options *cell = zo_alloc(ZO_HOST, ZO_TAG_OTHER, N * sizeof *cell);
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, N * sizeof *setting);
    for (int i = 0; i < N; i++) {
        cell[i].two = i;
        setting[i] = (zo_setting){.cell = &cell[i], .frame = (uint64_t)i % 50000, .scope = (uint64_t)i % 50000};
    }
    double start = zo_now();
    char **label = zo_labels_make(&(zo_label_spec){.keys = table}, setting, N);
    ck_assert_double_lt(zo_now() - start, 20);
    ck_assert_str_eq(label[99999], " two 99999");
    zo_labels_free(label, N);
    zo_free(cell);
    zo_free(setting);
}
END_TEST

/* One config with lists: what `zo run` says of its cells, what the report calls them and what plots call them. */
START_TEST(one_name_everywhere)
{
    static const char config[] = "{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 10, \"lr\": 0.5, \"train\": [\"all\", 100],"
                                 "\"realisation\": [\"streamed\", \"sidepath\"],"
                                 "\"optimizer\": {\"name\": \"tezo\", \"rank\": [2, 4]}}";
    zo_grid grid;
    zo_err err = {0};
    ck_assert_msg(zo_grid_parse(&grid, config, "test", &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(grid.n, 8);
    char path[100];
    zo_results *r;
    ck_assert_msg(zo_results_open(&r, zo_path_join(path, sizeof path, folder, "names.db"), true, &err) == ZO_OK, "%s", err.text);
    for (int64_t i = 0; i < grid.n; i++) {
        zo_cell_row row = zo_cell_to_row(&grid.cell[i]);
        zo_identity identity = {0};
        zo_host_row host = {.host = "here", .device = "cpu"};
        zo_run_end end = {.status = "done", .marks = "", .accuracy = 0.5, .metric_value = 0.5, .dev_metric = 0.5, .dev_rows = 50,
                          .fault_step = -1, .best_step = -1};
        int64_t run;
        snprintf(identity.hash, sizeof identity.hash, "%s", grid.cell[i].hash);
        ck_assert_msg(zo_results_begin(r, &row, &identity, &host, &run, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_results_end(r, run, &end, &err) == ZO_OK, "%s", err.text);
    }
    char *report = NULL;
    size_t bytes;
    FILE *out = open_memstream(&report, &bytes);
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task"};
    ck_assert_msg(zo_report_paper(r, &spec, out, &err) == ZO_OK, "%s", err.text);
    fclose(out);
    cJSON *rows;
    ck_assert_msg(zo_results_select_views(r, zo_cell_keys(), "SELECT label FROM every ORDER BY run", &rows, &err) == ZO_OK, "%s", err.text);
    for (int64_t i = 0; i < grid.n; i++) {
        char progress[300], name[300];
        snprintf(name, sizeof name, "tezo%s", grid.cell[i].varied);
        snprintf(progress, sizeof progress, "m sst2 tezo lr 0.5%s seed 0", grid.cell[i].varied);
        char label[300], entry[310];
        ck_assert_str_eq(zo_cell_label(&grid.cell[i], label, sizeof label), progress);
        snprintf(entry, sizeof entry, "TeZO%s", grid.cell[i].varied); /* pictures have the papers' spelling */
        ck_assert_str_eq(cJSON_GetArrayItem(rows, (int)i)->child->valuestring, entry);
        snprintf(entry, sizeof entry, "| %s ", name);
        ASSERT_HAS(report, entry);
    }
    ASSERT_HAS(report, "| tezo realisation streamed train all rank 2 ");
    cJSON_Delete(rows);
    free(report);
    zo_results_close(r);
    zo_grid_free(&grid);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_labels.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    Suite *suite = suite_create("labels");
    TCase *t = tcase_create("labels");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, keys_that_differ);
    tcase_add_test(t, frames_and_scopes);
    tcase_add_test(t, structs);
    tcase_add_test(t, many);
    tcase_add_test(t, one_name_everywhere);
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
