/* test_report.c: `zo report`'s rules over made-up rows whose means, marks and labels are known by hand: all runs of a group in one mean, and how many are
 * marked; rows of other meanings and of other files apart; choosing by dev. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/matrix/grid.h"
#include "core/embed.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/text.h"
#include "results/report.h"
#include "results/results.h"
#include "results/views.h"
#include "tests/folder.h"
#include "tests/suite.h"

ZO_EMBED(schema2_sql, "tests/golden/schema2.sql");

static char folder[64];

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))
#define ASSERT_LACKS(text, part) ck_assert_msg(strstr((text), (part)) == NULL, "\"%s\" has \"%s\"", (text), (part))

/* A finished run; what is not said is a plain one of task t by mezo with accuracy `value`. */
typedef struct made {
    const char *model, *task, *optimizer, *metric, *selection, *status, *marks, *selected;
    const char *model_files, *rows; /* fingerprints */
    double lr, value, dev_metric, dev_loss;
    int seed, split_seed, has_no_dev, cut;
    bool disturbed;
    double full_step_ms, other_step_ms, f1, scale /* of what it cost; 0 = 1 */;
} made;

static zo_results *open_new(void)
{
    static int turn;
    char name[40], path[100];
    snprintf(name, sizeof name, "%ld-%d.db", (long)getpid(), turn++); /* every test is a process of its own */
    zo_results *r;
    zo_err err = {0};
    ck_assert_msg(zo_results_open(&r, zo_path_join(path, sizeof path, folder, name), true, &err) == ZO_OK, "%s", err.text);
    return r;
}

static const char *or_else(const char *given, const char *otherwise)
{
    return given != NULL ? given : otherwise;
}

static int64_t add(zo_results *r, made m)
{
    static const zo_host_row host = {.host = "here", .device = "cpu", .threads = 2};
    const char *model = or_else(m.model, "m"), *task = or_else(m.task, "t"), *optimizer = or_else(m.optimizer, "mezo"), *marks = or_else(m.marks, ""),
               *metric = or_else(m.metric, "accuracy"), *selection = or_else(m.selection, "dev-metric"), *status = or_else(m.status, "done");
    double lr = m.lr > 0 ? m.lr : 1e-3, scale = m.scale > 0 ? m.scale : 1;
    char config[1000];
    cJSON *text = cJSON_CreateString(model);
    char *quoted = cJSON_PrintUnformatted(text);
    snprintf(config, sizeof config, "{\"model\":%s,\"task\":\"%s\",\"form\":\"head\",\"batch\":16,\"lr\":%g,\"seed\":%d,\"train_split_seed\":%d,"
             "\"test_split_seed\":%d,\"metric\":\"%s\",\"selection\":\"%s\",\"optimizer\":{\"name\":\"%s\",\"rank\":4}}", quoted, task, lr, m.seed,
             m.split_seed, m.split_seed, metric, selection, optimizer);
    cJSON_free(quoted);
    cJSON_Delete(text);
    zo_cell settings;
    zo_err err = {0};
    text = cJSON_Parse(config);
    ck_assert_msg(zo_opt_read(zo_cell_keys(), text, "optimizer", "test", &settings, &err) == ZO_OK, "%s", err.text);
    cJSON_Delete(text);
    settings.context = 64;
    settings.steps = 10;
    settings.dev = m.has_no_dev ? 0 : 50;
    settings.test = 50;
    settings.eps = 0;
    zo_cell_row cell = {.config = config, .optimizer = optimizer, .optimizer_options = "{}", .keys = zo_cell_keys(), .settings = &settings};
    zo_identity identity = {.tokenizer = "2222222222222222", .task = "4444444444444444"};
    snprintf(identity.model, sizeof identity.model, "%s", or_else(m.model_files, "1111111111111111"));
    snprintf(identity.rows, sizeof identity.rows, "%s", or_else(m.rows, "3333333333333333"));
    snprintf(identity.hash, sizeof identity.hash, "%016llx", (unsigned long long)zo_fnv1a(ZO_FNV_START, config, strlen(config)));
    zo_run_end end = {.status = status, .marks = marks, .fault_step = -1, .accuracy = m.value, .f1 = m.f1 > 0 ? m.f1 : NAN, .macro_f1 = NAN,
                      .matthews = NAN, .metric_value = m.value, .selected = or_else(m.selected, "test@best-dev"), .dev_metric = m.dev_metric,
                      .dev_accuracy = NAN, .dev_loss = m.dev_loss, .dev_rows = m.has_no_dev ? 0 : 50, .context = 64, .cut_sequences = m.cut, .steps = 10,
                      .forwards = 20, .work = 20.53 * scale, .paper_queries = NAN, .step_ms = 4.25 * scale, .step_ms_median = 3, .step_ms_q1 = 2,
                      .step_ms_q3 = 5, .train_seconds = 36, .eval_seconds = 7.2, .peak_bytes = 3456000, .train_peak_bytes = 2345000, .drift_max = 1e-7 * scale,
                      .best_step = 5, .flops = 1e9, .disturbed = m.disturbed, .full_step_ms = m.full_step_ms > 0 ? m.full_step_ms : NAN,
                      .other_step_ms = m.other_step_ms > 0 ? m.other_step_ms : NAN, .promise = "bits", .switches = -1};
    int64_t run;
    ck_assert_msg(zo_results_begin(r, &cell, &identity, &host, &run, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_results_end(r, run, &end, &err) == ZO_OK, "%s", err.text);
    return run;
}

static void execute(zo_results *r, const char *sql)
{
    char *message = NULL;
    ck_assert_msg(sqlite3_exec(zo_results_handle(r), sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
}

static char *paper(zo_results *r, zo_report_spec spec)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    zo_err err = {0};
    spec.keys = zo_cell_keys();
    spec.columns = or_else(spec.columns, "task");
    ck_assert_msg(zo_report_paper(r, &spec, out, &err) == ZO_OK, "%s", err.text);
    fclose(out);
    char *kept = strdup(text);
    free(text);
    return kept;
}

static cJSON *objects(zo_results *r, bool grouped, const char *best)
{
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task", .by_seed_group = grouped, .best = best};
    cJSON *rows;
    zo_err err = {0};
    ck_assert_msg(zo_report_rows(r, &spec, &rows, &err) == ZO_OK, "%s", err.text);
    return rows;
}

static double in_row(const cJSON *rows, int i, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(rows, i), key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static const char *word(const cJSON *rows, int i, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(rows, i), key);
    return cJSON_IsString(v) ? v->valuestring : "";
}

/* What was put into a row stands in its object under the column's name; groups have means, and the largest of what is a peak. */
START_TEST(objects_say_what_rows_say)
{
    zo_results *r = open_new();
    add(r, (made){.seed = 1, .value = 0.8, .dev_metric = 0.7, .dev_loss = 0.5, .full_step_ms = 30, .other_step_ms = 2, .cut = 3, .disturbed = true});
    add(r, (made){.seed = 2, .value = 0.6, .dev_metric = 0.5, .dev_loss = 0.25, .full_step_ms = 30, .other_step_ms = 2, .cut = 1, .scale = 2});
    static const struct { const char *key; double of_run, of_group; } figure[] = {
        {"batch", 16, 16}, {"context", 64, 64}, {"lr", 1e-3, 1e-3}, {"meaning", ZO_MEANING, ZO_MEANING}, {"metric_value", 0.8, 0.7}, {"accuracy", 0.8, 0.7},
        {"dev_metric", 0.7, 0.6}, {"dev_loss", 0.5, 0.375}, {"best_step", 5, 5}, {"steps", 10, 10}, {"work", 20.53, 30.795}, {"forwards", 20, 20},
        {"flops", 1e9, 1e9}, {"step_ms", 4.25, 6.375}, {"step_ms_median", 3, 3}, {"step_ms_q1", 2, 2}, {"step_ms_q3", 5, 5}, {"full_step_ms", 30, 30},
        {"other_step_ms", 2, 2}, {"device_hours", 0.01, 0.01}, {"device_hours_total", 0.012, 0.012}, {"peak_bytes", 3456000, 3456000},
        {"train_peak_bytes", 2345000, 2345000}, {"drift_max", 1e-7, 2e-7}, {"cut_sequences", 3, 3}, {"disturbed", 1, 1}};
    cJSON *runs = objects(r, false, NULL), *groups = objects(r, true, NULL);
    ck_assert_int_eq(cJSON_GetArraySize(runs), 2);
    ck_assert_int_eq(cJSON_GetArraySize(groups), 1);
    for (size_t i = 0; i < sizeof figure / sizeof *figure; i++) {
        ck_assert_msg(fabs(in_row(runs, 0, figure[i].key) - figure[i].of_run) <= 1e-12 * figure[i].of_run, "%s", figure[i].key);
        ck_assert_msg(fabs(in_row(groups, 0, figure[i].key) - figure[i].of_group) <= 1e-12 * figure[i].of_group, "%s", figure[i].key);
    }
    static const struct { const char *key, *is; } text[] = {
        {"model", "m"}, {"task", "t"}, {"form", "head"}, {"optimizer", "mezo"}, {"precision", "f32"}, {"split", "drawn"}, {"metric", "accuracy"},
        {"selection", "dev-metric"}, {"status", "done"}, {"selected", "test@best-dev"}, {"promise", "bits"}};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        ck_assert_str_eq(word(runs, 0, text[i].key), text[i].is);
        ck_assert_str_eq(word(groups, 0, text[i].key), text[i].is);
    }
    ck_assert_double_eq(in_row(runs, 1, "seed"), 2);
    ck_assert_double_eq(in_row(runs, 1, "test_rows"), 0);
    ck_assert_uint_eq(strlen(word(runs, 0, "try")), 32);
    const cJSON *seeds = cJSON_GetObjectItem(cJSON_GetArrayItem(groups, 0), "seed");
    ck_assert_int_eq(cJSON_GetArraySize(seeds), 2);
    ck_assert_double_eq(cJSON_GetArrayItem(seeds, 1)->valuedouble, 2);
    cJSON_Delete(runs);
    cJSON_Delete(groups);
    zo_results_close(r);
}
END_TEST

/* What differs between settings of one method stands in its label; what the tasks differ in, where it was chosen, as a range. */
START_TEST(labels_and_ranges)
{
    zo_results *r = open_new();
    for (int k = 0; k < 3; k++) {
        static const double lr[] = {1e-3, 1e-2, 1e-1}, a[] = {0.9, 0.8, 0.1}, b[] = {0.1, 0.2, 0.9};
        add(r, (made){.task = "a", .lr = lr[k], .value = 0.5, .dev_metric = a[k], .scale = 1});
        add(r, (made){.task = "b", .lr = lr[k], .value = 0.6, .dev_metric = b[k], .scale = 10});
    }
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| mezo lr 0.001 | 50.0 | 60.0 |");
    ASSERT_HAS(text, "| mezo lr 0.1   | 50.0 | 60.0 |");
    ASSERT_HAS(text, "| mezo lr 0.01  | 0.01  | 10    | 20.53 to 205.3 | 20       | 4.25 to 42.5 |");
    free(text);
    text = paper(r, (zo_report_spec){.best = "lr"});
    ASSERT_HAS(text, "| mezo   | 50.0 | 60.0 |");
    ASSERT_HAS(text, "| mezo   | 0.001, 0.1 | 10 ");
    ASSERT_LACKS(text, "Beware");
    free(text);
    text = paper(r, (zo_report_spec){.columns = "lr", .where = "task = 'b'"});
    ASSERT_HAS(text, "## m, head, b\n\n| method | 0.001 | 0.01 | 0.1  |\n");
    ASSERT_HAS(text, "| mezo   | 60.0  | 60.0 | 60.0 |");
    free(text);
    zo_err err = {0};
    cJSON *rows;
    ck_assert_int_eq(zo_results_views(r, zo_cell_keys(), &err), ZO_OK);
    ck_assert_int_eq(zo_results_select(r, "SELECT lr, rivals FROM shown ORDER BY lr", &rows, &err), ZO_OK);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    ck_assert_double_eq(in_row(rows, 1, "lr"), 0.1);
    ck_assert_double_eq(in_row(rows, 1, "rivals"), 2);
    cJSON_Delete(rows);
    /* settings on other seeds are said to be */
    add(r, (made){.task = "a", .lr = 1e-2, .seed = 7, .value = 0.5, .dev_metric = 0.1});
    text = paper(r, (zo_report_spec){.best = "lr"});
    ASSERT_HAS(text, "Beware: mezo on a: the settings");
    free(text);
    add(r, (made){.task = "b", .lr = 1e-1, .seed = 7, .value = 0.5, .dev_metric = 0.9});
    text = paper(r, (zo_report_spec){.best = "lr"});
    ASSERT_HAS(text, "Beware: mezo on b and others: the settings");
    free(text);
    zo_results_close(r);
}
END_TEST

/* From the lowest to the highest mean, in whatever order the groups come. */
START_TEST(ranges_are_of_all_groups)
{
    static const double scale[] = {2, 3, 1, 2.5};
    zo_results *r = open_new();
    for (int k = 0; k < 4; k++) {
        const char task[] = {(char)('a' + k), '\0'};
        add(r, (made){.task = task, .value = 0.5, .dev_metric = 0.5, .scale = scale[k]});
    }
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| 20.53 to 61.59 | 20       | 4.25 to 12.8 |");
    free(text);
    zo_results_close(r);
}
END_TEST

/* 0.8, 0.9 and a run that diverged and keeps chance, 0.5: 73.3 with a sample deviation of 20.8, and 85.0 without it. */
START_TEST(marked_runs_stay_in_the_mean)
{
    zo_results *r = open_new();
    add(r, (made){.seed = 1, .value = 0.8, .dev_metric = 0.8});
    add(r, (made){.seed = 2, .value = 0.9, .dev_metric = 0.9});
    add(r, (made){.seed = 3, .value = 0.5, .dev_metric = NAN, .status = "diverged", .marks = "diverged", .selected = "chance"});
    add(r, (made){.optimizer = "one", .value = 0.5, .dev_metric = 0.5, .status = "dead", .marks = "dead,constant"});
    add(r, (made){.optimizer = "some", .seed = 1, .value = 0.6, .dev_metric = 0.5, .marks = "constant"});
    add(r, (made){.optimizer = "some", .seed = 2, .value = NAN, .dev_metric = NAN, .status = "oom"});
    add(r, (made){.optimizer = "all", .seed = 1, .value = 0.5, .dev_metric = 0.5, .marks = "constant"});
    add(r, (made){.optimizer = "all", .seed = 2, .value = 0.5, .dev_metric = 0.5, .marks = "constant"});
    add(r, (made){.optimizer = "late", .value = 0.5, .dev_metric = 0.5, .status = "time"});
    add(r, (made){.optimizer = "none", .value = NAN, .dev_metric = NAN, .status = "oom"});
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| mezo   | 73.3 ± 20.8 (3), 1 diverged [85.0] |");
    ASSERT_HAS(text, "| one    | 50.0, dead, constant ");
    ASSERT_HAS(text, "| some   | 60.0 (1), 1 constant, 1 oom ");
    ASSERT_HAS(text, "| all    | 50.0 ± 0.0 (2), 2 constant ");
    ASSERT_HAS(text, "| late   | 50.0, time ");
    ASSERT_HAS(text, "| none   | oom ");
    ASSERT_HAS(text, "Marked runs are in every mean");
    ASSERT_LACKS(text, "old definition");
    free(text);
    cJSON *rows = objects(r, true, NULL);
    ck_assert_double_eq_tol(in_row(rows, 0, "metric_value"), 2.2 / 3, 1e-12);
    ck_assert_double_eq_tol(in_row(rows, 0, "metric_value_std"), sqrt(0.13 / 3), 1e-12);
    ck_assert_double_eq_tol(in_row(rows, 0, "metric_value_unmarked"), 0.85, 1e-12);
    ck_assert_double_eq(in_row(rows, 0, "n"), 3);
    ck_assert_double_eq(in_row(rows, 0, "marked"), 1);
    ck_assert_double_eq(in_row(rows, 0, "meaning"), ZO_MEANING);
    ck_assert_double_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 1), "marks"), "constant")->valuedouble, 1);
    ck_assert_str_eq(word(rows, 0, "status"), "mixed");
    ck_assert_str_eq(word(rows, 1, "status"), "dead"); /* of its own runs alone */
    ck_assert_double_eq(cJSON_GetObjectItem(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "statuses"), "done")->valuedouble, 2);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* Each cell's own metric, said in the column's head where there are several; --metric overrides. */
START_TEST(headline_metric)
{
    zo_results *r = open_new();
    add(r, (made){.task = "a", .value = 0.7, .dev_metric = 0.7});
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| method | a    |");
    ASSERT_HAS(text, "accuracy in %");
    free(text);
    add(r, (made){.task = "b", .metric = "f1", .value = 0.6, .f1 = 0.6, .dev_metric = 0.7});
    text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| method | a (accuracy) | b (f1) |");
    ASSERT_HAS(text, "| mezo   | 70.0         | 60.0   |");
    ASSERT_HAS(text, "accuracy, f1 in %");
    free(text);
    text = paper(r, (zo_report_spec){.metric = "f1"});
    ASSERT_HAS(text, "| mezo   | no evaluation | 60.0 |");
    free(text);
    zo_report_spec wrong = {.columns = "task", .metric = "loss"};
    zo_err err = {0};
    ck_assert_int_eq(zo_report_paper(r, &wrong, stdout, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "macro_f1");
    zo_results_close(r);
}
END_TEST

static const char *a_source(const char *optimizer, const cJSON *options)
{
    ck_assert(cJSON_IsObject(options));
    return strcmp(optimizer, "mezo") == 0 ? "reconstructed" : "paper";
}

START_TEST(where_an_algorithm_was_read)
{
    zo_results *r = open_new();
    zo_err err = {0};
    cJSON *rows;
    add(r, (made){.seed = 1, .value = 0.8, .dev_metric = 0.8});
    char *text = paper(r, (zo_report_spec){.source = a_source});
    ASSERT_HAS(text, "| mezo (reconstructed) |");
    free(text);
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task", .source = a_source};
    for (int grouped = 0; grouped < 2; grouped++) {
        spec.by_seed_group = grouped;
        ck_assert_int_eq(zo_report_rows(r, &spec, &rows, &err), ZO_OK);
        ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(rows->child, "source")), "reconstructed");
        cJSON_Delete(rows);
    }
    zo_results_close(r);
}
END_TEST

START_TEST(costs_and_warnings)
{
    zo_results *r = open_new();
    add(r, (made){.seed = 1, .value = 0.8, .dev_metric = 0.8, .other_step_ms = 4.25}); /* no full-batch steps: that is the step's own */
    add(r, (made){.seed = 2, .value = 0.8, .dev_metric = 0.8, .other_step_ms = 4.25});
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| method | lr    | steps | work  | forwards | step ms | device-hours | with evaluation | training peak MB | overall peak MB |");
    ASSERT_HAS(text, "| mezo   | 0.001 | 10    | 20.53 | 20       | 4.25    | 0.01         | 0.012           | 2.345            | 3.456           |");
    ASSERT_LACKS(text, "Disturbed");
    ASSERT_LACKS(text, "cut");
    free(text);
    add(r, (made){.optimizer = "svrg", .value = 0.8, .dev_metric = 0.8, .disturbed = true, .full_step_ms = 30, .other_step_ms = 2, .cut = 7});
    add(r, (made){.optimizer = "svrg", .value = 0.8, .dev_metric = 0.8, .seed = 5, .cut = 9});
    text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "step ms | full-batch step ms | other step ms | device-hours |");
    ASSERT_HAS(text, "| svrg   | 0.001 | 10    | 20.53 | 20       | 4.25 *  | 30 *               | 2 *           | 0.01 *       | 0.012 *         | 2.345 ");
    ASSERT_HAS(text, "| mezo   | 0.001 | 10    | 20.53 | 20       | 4.25    | -                  | -             | 0.01         |");
    ASSERT_HAS(text, "* Disturbed: while 1 of the 4 runs trained");
    ASSERT_HAS(text, "in the run with the most: 9 of t at 64 tokens.");
    free(text);
    for (int columns = 40; columns <= 120; columns += 40) { /* nothing is wider than the terminal */
        text = paper(r, (zo_report_spec){.terminal = columns});
        for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
            ck_assert_msg(zo_text_width(line) <= columns, "%s", line);
        }
        free(text);
    }
    zo_results_close(r);
}
END_TEST

/* Rows of an older meaning have a section of their own, and no part in means and choices. */
START_TEST(old_definition)
{
    zo_results *r = open_new();
    add(r, (made){.seed = 1, .lr = 1e-3, .value = 0.2, .dev_metric = 0.9});
    execute(r, "UPDATE cells SET meaning = 1");
    add(r, (made){.seed = 2, .lr = 1e-3, .value = 0.8, .dev_metric = 0.5});
    add(r, (made){.seed = 2, .lr = 1e-2, .value = 0.6, .dev_metric = 0.6});
    char *text = paper(r, (zo_report_spec){.best = "lr"});
    ASSERT_HAS(text, "| mezo   | 60.0 |");
    char *old = strstr(text, "# old definition\n\nRows of meaning 1, in no mean with the others: the training peak held evaluation's activations");
    ck_assert_ptr_nonnull(old);
    ASSERT_HAS(old, "## m, head");
    ASSERT_HAS(old, "| mezo   | 20.0 |");
    ASSERT_LACKS(old, "60.0");
    free(text);
    cJSON *rows = objects(r, true, NULL);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 3);
    ck_assert_double_eq(in_row(rows, 0, "meaning"), 1);
    ck_assert_double_eq(in_row(rows, 1, "meaning"), 2);
    ck_assert_double_eq(in_row(rows, 0, "n"), 1);
    cJSON_Delete(rows);
    zo_err err = {0};
    ck_assert_int_eq(zo_results_views(r, zo_cell_keys(), &err), ZO_OK);
    rows = NULL;
    ck_assert_int_eq(zo_results_select(r, "SELECT group_concat(100 * metric_value, ' ') AS v, rivals FROM shown", &rows, &err), ZO_OK);
    ck_assert_str_eq(cJSON_GetArrayItem(rows, 0)->child->valuestring, "60.0");
    ck_assert_double_eq(in_row(rows, 0, "rivals"), 1);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* The same through a file of schema 2, which a reader brings to this schema in memory. */
START_TEST(database_of_schema_2)
{
    char path[100];
    sqlite3 *db;
    char *message = NULL;
    zo_path_join(path, sizeof path, folder, "schema2.db");
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, schema2_sql, NULL, NULL, &message) == SQLITE_OK, "%s", message);
    ck_assert_msg(sqlite3_exec(db,
                               "INSERT INTO runs (run, hash, config, status, model, task, form, optimizer, optimizer_options, batch, context, steps_budget,"
                               " forwards_budget, seconds_budget, lr, eps, seed, precision, realisation, storage, accumulate, device_kind, split,"
                               " eval_every, selection, train, dev, test, began, accuracy, f1, dev_accuracy, steps, step_ms, peak_bytes,"
                               " train_peak_bytes, selected) SELECT value, 'hash' || value, json_object('task', 't', 'lr', 0.001, 'seed', value, 'data_seed', value), iif(value = 3,"
                               " 'diverged', 'done'), 'm', 't', 'head', 'mezo', '{}', 16, 128, 10, 0, 0, 1e-3, 1e-3, value, 'f32', 'inplace', 'f32',"
                               " 'weights', 'cpu', 'drawn', -1, 'loss', 100, 50, 50, 'then', iif(value = 3, NULL, value / 4.0), 0.6, 0.7, 10, 4, 100, 90,"
                               " 'test@best-dev-loss' FROM json_each('[1, 2, 3]'); PRAGMA user_version = 2; PRAGMA journal_mode = WAL",
                               NULL, NULL, &message) == SQLITE_OK, "%s", message);
    sqlite3_close(db);
    zo_results *r;
    zo_err err = {0};
    ck_assert_msg(zo_results_open_read(&r, path, &err) == ZO_OK, "%s", err.text);
    char *text = paper(r, (zo_report_spec){.best = "lr"});
    ck_assert_msg(strncmp(text, "# old definition\n", 17) == 0, "%s", text);
    ASSERT_HAS(text, "37.5 ± 17.7 (2), 1 diverged"); /* 0.25 and 0.5; the third has no value, as it was then */
    ASSERT_HAS(text, "left out of the mean and of (n)");
    ASSERT_HAS(text, "| median step ms |");
    ASSERT_LACKS(text, "| step ms ");
    ASSERT_LACKS(text, "| work ");
    ASSERT_LACKS(text, "Step ms is the mean");
    free(text);
    ck_assert_int_eq(zo_results_views(r, zo_cell_keys(), &err), ZO_OK);
    cJSON *rows;
    ck_assert_int_eq(zo_results_select(r, "SELECT count(*) AS n FROM every", &rows, &err), ZO_OK);
    ck_assert_double_eq(in_row(rows, 0, "n"), 0);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* Runs of one config that were made from other files are in means of their own, and the labels say which. */
START_TEST(other_files_are_other_means)
{
    zo_results *r = open_new();
    for (int seed = 1; seed <= 3; seed++) {
        add(r, (made){.seed = seed, .value = 0.5, .dev_metric = 0.5, .rows = seed < 3 ? "aaaaaaaaaaaaaaaa" : "bbbbbbbbbbbbbbbb"});
    }
    add(r, (made){.task = "u", .seed = 1, .value = 0.5, .dev_metric = 0.5});
    add(r, (made){.task = "u", .seed = 1, .value = 0.7, .dev_metric = 0.5, .model_files = "cccccccccccccccc"});
    add(r, (made){.task = "u", .seed = 2, .value = 0.9, .dev_metric = 0.5, .model_files = ""}); /* not known: it stands with the first that fits */
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| mezo rows_fingerprint aaaaaaaa  | 50.0 ± 0.0 (2) |");
    ASSERT_HAS(text, "| mezo rows_fingerprint bbbbbbbb  | 50.0           |");
    ASSERT_HAS(text, "| mezo model_fingerprint 11111111 |                | 70.0 ± 28.3 (2) |");
    ASSERT_HAS(text, "| mezo model_fingerprint cccccccc |                | 70.0            |");
    ASSERT_HAS(text, "Labels with a fingerprint");
    free(text);
    zo_results_close(r);
    /* rows that follow the seed differ from seed to seed, and are one mean; those of the changed data are another */
    r = open_new();
    for (int seed = 1; seed <= 3; seed++) {
        char rows[17];
        snprintf(rows, sizeof rows, "%016d", seed);
        add(r, (made){.seed = seed, .split_seed = seed, .value = 0.1 * seed, .dev_metric = 0.5, .rows = rows});
    }
    add(r, (made){.seed = 2, .split_seed = 2, .value = 0.8, .dev_metric = 0.5, .rows = "dddddddddddddddd"});
    add(r, (made){.seed = 3, .split_seed = 3, .value = 0.8, .dev_metric = 0.5, .rows = "eeeeeeeeeeeeeeee"});
    cJSON *rows = objects(r, true, NULL);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    ck_assert_double_eq_tol(in_row(rows, 0, "metric_value"), 0.2, 1e-12);
    ck_assert_double_eq(in_row(rows, 0, "n"), 3);
    ck_assert_double_eq_tol(in_row(rows, 1, "metric_value"), 0.8, 1e-12);
    ck_assert_double_eq(in_row(rows, 1, "n"), 2);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* The split seeds 1 and 2 with the seeds 1 and 2 are two settings with two seeds each, never one whose split seed follows its seed, even where a report
 * has nothing but the two runs in which they are equal. */
START_TEST(split_seeds_are_settings)
{
    zo_results *r = open_new();
    for (int k = 0; k < 4; k++) {
        add(r, (made){.seed = 1 + k % 2, .split_seed = 1 + k / 2, .value = 0.1 * (k + 1), .dev_metric = 0.5});
    }
    char *text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| mezo train_split_seed 1 test_split_seed 1 | 15.0 ± 7.1 (2) |");
    ASSERT_HAS(text, "| mezo train_split_seed 2 test_split_seed 2 | 35.0 ± 7.1 (2) |");
    free(text);
    text = paper(r, (zo_report_spec){.where = "seed = train_split_seed"});
    ASSERT_HAS(text, "| mezo train_split_seed 1 test_split_seed 1 | 10.0 |");
    ASSERT_HAS(text, "| mezo train_split_seed 2 test_split_seed 2 | 40.0 |");
    free(text);
    execute(r, "UPDATE tries SET status = 'failed' WHERE run IN (2, 3)"); /* what else tells them apart has no result */
    cJSON *rows;
    zo_err err = {0};
    ck_assert_int_eq(zo_results_views(r, zo_cell_keys(), &err), ZO_OK);
    ck_assert_int_eq(zo_results_select(r, "SELECT label, count(*) AS n FROM shown GROUP BY label", &rows, &err), ZO_OK);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    ck_assert_str_eq(word(rows, 0, "label"), "MeZO train_split_seed 1 test_split_seed 1");
    cJSON_Delete(rows);
    zo_results_close(r);
    /* one seed alone follows nothing: the numbers stand in the labels */
    r = open_new();
    add(r, (made){.seed = 1, .split_seed = 1, .value = 0.1, .dev_metric = 0.5});
    add(r, (made){.seed = 1, .split_seed = 2, .value = 0.2, .dev_metric = 0.5});
    text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| mezo train_split_seed 1 test_split_seed 1 | 10.0 |");
    ASSERT_HAS(text, "| mezo train_split_seed 2 test_split_seed 2 | 20.0 |");
    free(text);
    zo_results_close(r);
    /* split seeds that follow are one setting, beside one that stands still */
    r = open_new();
    for (int seed = 1; seed <= 3; seed++) {
        add(r, (made){.seed = seed, .split_seed = seed, .value = 0.1 * seed, .dev_metric = 0.5});
        add(r, (made){.seed = seed, .split_seed = 9, .value = 0.6, .dev_metric = 0.5});
    }
    text = paper(r, (zo_report_spec){0});
    ASSERT_HAS(text, "| mezo train_split_seed seed test_split_seed seed | 20.0 ± 10.0 (3) |");
    ASSERT_HAS(text, "| mezo train_split_seed 9 test_split_seed 9       | 60.0 ± 0.0 (3)  |");
    free(text);
    zo_results_close(r);
}
END_TEST

/* Settings of other files are not compared with each other. */
START_TEST(best_among_equals)
{
    zo_results *r = open_new();
    add(r, (made){.lr = 1e-3, .value = 0.1, .dev_metric = 0.5, .rows = "aaaaaaaaaaaaaaaa"});
    add(r, (made){.lr = 1e-2, .value = 0.2, .dev_metric = 0.6, .rows = "aaaaaaaaaaaaaaaa"});
    add(r, (made){.lr = 1e-3, .value = 0.3, .dev_metric = 0.9, .rows = "bbbbbbbbbbbbbbbb"});
    cJSON *rows = objects(r, true, "lr");
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    ck_assert_double_eq(in_row(rows, 0, "metric_value"), 0.2);
    ck_assert_double_eq(in_row(rows, 1, "metric_value"), 0.3);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* By the metric or by the loss on dev, as the cells' selection says; marked runs count with what they keep. */
START_TEST(best_by_selection)
{
    static const struct {
        const char *selection;
        double metric[2], loss[2]; /* on dev, of lr 0.001 and 0.01 */
        const char *chance;        /* of the second: a fault left it chance, 0.5 */
        double chosen;
        const char *says;
    } of[] = {
        {"dev-metric", {0.8, 0.7}, {0.9, 0.1}, NULL, 1e-3, "best mean dev metric of"},
        {"dev-loss", {0.8, 0.7}, {0.9, 0.1}, NULL, 1e-2, "lowest mean dev loss of"},
        {"dev-metric", {0.4, NAN}, {0.9, NAN}, "chance", 1e-2, "best mean dev metric of"},
        {"dev-metric", {0.6, NAN}, {0.9, NAN}, "chance", 1e-3, "best mean dev metric of"},
        {"dev-loss", {0.6, NAN}, {9, NAN}, "chance", 1e-3, "lowest mean dev loss of"}, /* no dev loss comes behind any */
        {"dev-metric", {0.7, 0.7}, {0.9, 0.1}, NULL, 1e-3, "best mean dev metric of"}, /* a tie: the smaller */
        {"last", {0.6, 0.7}, {0.1, 0.9}, NULL, 1e-2, "best mean dev metric of"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_results *r = open_new();
        for (int k = 0; k < 2; k++) {
            bool chance = k == 1 && of[i].chance != NULL;
            add(r, (made){.lr = k == 0 ? 1e-3 : 1e-2, .selection = of[i].selection, .value = 0.5, .dev_metric = of[i].metric[k], .dev_loss = of[i].loss[k],
                          .selected = chance ? "chance" : NULL, .marks = chance ? "dead" : NULL, .status = chance ? "dead" : NULL});
        }
        cJSON *rows = objects(r, true, "lr");
        ck_assert_int_eq(cJSON_GetArraySize(rows), 1);
        ck_assert_msg(in_row(rows, 0, "lr") == of[i].chosen, "%zu: %g", i, in_row(rows, 0, "lr"));
        cJSON_Delete(rows);
        char *text = paper(r, (zo_report_spec){.best = "lr"});
        ASSERT_HAS(text, of[i].says);
        free(text);
        zo_results_close(r);
    }
    zo_results *r = open_new();
    add(r, (made){.value = 0.5, .dev_metric = 0.5});
    static const char *const wrong[] = {"selection", "lr,metric"};
    for (int i = 0; i < 2; i++) {
        zo_report_spec spec = {.columns = "task", .best = wrong[i]};
        cJSON *rows;
        zo_err err = {0};
        ck_assert_int_eq(zo_report_rows(r, &spec, &rows, &err), ZO_EINPUT);
        ASSERT_HAS(err.text, "cannot be chosen");
    }
    zo_results_close(r);
}
END_TEST

/* Names from a database that somebody else made. */
/* ---- against one method ---------------------------------------------------------------------------------------------------- */

static cJSON *against(zo_results *r, zo_report_spec spec, const char *fails)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    zo_err err = {0};
    spec.keys = zo_cell_keys();
    spec.columns = "task";
    spec.against = or_else(spec.against, "mezo");
    zo_status status = zo_report_against(r, &spec, ZO_TABLE_JSON, out, &err);
    fclose(out);
    ck_assert_msg((status == ZO_OK) == (fails == NULL), "%s", err.text);
    if (fails != NULL) {
        ASSERT_HAS(err.text, fails);
    }
    cJSON *rows = cJSON_Parse(text);
    free(text);
    return rows;
}

static char *against_text(zo_results *r)
{
    char *text = NULL;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    zo_err err = {0};
    zo_report_spec spec = {.keys = zo_cell_keys(), .columns = "task", .against = "mezo"};
    ck_assert_msg(zo_report_against(r, &spec, ZO_TABLE_MD, out, &err) == ZO_OK, "%s", err.text);
    fclose(out);
    return text;
}

/* Which row is this method's? */
static int row_of(const cJSON *rows, const char *task, const char *method)
{
    for (int i = 0; i < cJSON_GetArraySize(rows); i++) {
        if (strcmp(word(rows, i, "method"), method) == 0 && strcmp(word(rows, i, "task"), task) == 0) {
            return i;
        }
    }
    ck_abort_msg("there is no row of %s on %s", method, task);
}

/* Differences of 1 to 5 points: mean 3, deviation sqrt(2.5), t = 4.2426 with 4 degrees of freedom, p = 0.01324, and half of the interval 1.96324 points. With
 * two tests Holm doubles the smaller p, and at level 0.025 a difference of (3.49541 + 0.940965) sqrt(0.5) points is seen with probability 0.8. */
START_TEST(paired_by_seed)
{
    static const double reference[] = {0.5, 0.6, 0.55, 0.52, 0.58}, even[] = {0.05, -0.05, 0.03, -0.03, 0};
    zo_results *r = open_new();
    for (int s = 4; s >= 0; s--) { /* in whatever order they come */
        add(r, (made){.optimizer = "one", .seed = s, .value = reference[s] + 0.01 * (s + 1), .dev_metric = 0.5});
    }
    for (int s = 0; s < 5; s++) {
        add(r, (made){.seed = s, .value = reference[s], .dev_metric = 0.5});
        add(r, (made){.optimizer = "two", .seed = s, .value = reference[s] + even[s], .dev_metric = 0.5});
        add(r, (made){.task = "short", .seed = s, .value = 0.5, .dev_metric = 0.5});
        if (s != 1 && s != 3) {
            add(r, (made){.task = "short", .optimizer = "some", .seed = s, .value = 0.5 + 0.1 * s, .dev_metric = 0.5});
        }
    }
    execute(r, "UPDATE tries SET steps = 60");
    add(r, (made){.optimizer = "few", .seed = 0, .value = 0.7, .dev_metric = 0.5});
    add(r, (made){.optimizer = "few", .seed = 1, .value = 0.7, .dev_metric = 0.5});
    cJSON *rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 6);
    int one = row_of(rows, "t", "one"), two = row_of(rows, "t", "two"), few = row_of(rows, "t", "few"), some = row_of(rows, "short", "some"), mezo = row_of(rows, "t", "mezo");
    static const struct { const char *key; double is; } of_one[] = {{"n", 5}, {"pairs", 5}, {"tests", 2}, {"score", 0.58}, {"difference", 0.03}, {"low", 0.0103676},
                                                                    {"high", 0.0496324}, {"p", 0.0132356}, {"p_holm", 0.0264712}, {"detectable", 0.0313699}};
    for (size_t i = 0; i < sizeof of_one / sizeof *of_one; i++) {
        ck_assert_msg(fabs(in_row(rows, one, of_one[i].key) - of_one[i].is) < 2e-6, "%s: %.8g", of_one[i].key, in_row(rows, one, of_one[i].key));
    }
    ck_assert_double_eq_tol(in_row(rows, two, "difference"), 0, 1e-12);
    ck_assert_double_eq_tol(in_row(rows, two, "p_holm"), 1, 1e-9);
    ck_assert_double_eq_tol(in_row(rows, two, "detectable"), 0.0313699 * sqrt(0.0068 / 4) / sqrt(2.5e-4), 2e-6);
    /* under 30 steps there is a difference and no test; the reference has neither */
    ck_assert_double_eq_tol(in_row(rows, few, "difference"), 0.15, 1e-12);
    ck_assert(isnan(in_row(rows, few, "p")) && isnan(in_row(rows, few, "low")) && isnan(in_row(rows, few, "detectable")));
    ck_assert_str_eq(word(rows, few, "note"), "not tested at this budget: 10 steps");
    ck_assert_str_eq(word(rows, few, "missing_seeds"), "2, 3, 4");
    ck_assert(isnan(in_row(rows, mezo, "difference")) && isnan(in_row(rows, mezo, "p")));
    /* seeds 0, 2 and 4 have partners: differences 0, 0.2, 0.4, t = sqrt(3) with 2 degrees of freedom: p = 1 - sqrt(3 / 5) */
    ck_assert_double_eq(in_row(rows, some, "pairs"), 3);
    ck_assert_str_eq(word(rows, some, "missing_seeds"), "1, 3");
    ck_assert_double_eq_tol(in_row(rows, some, "p_holm"), 1 - sqrt(0.6), 1e-9);
    cJSON_Delete(rows);
    char *text = against_text(r);
    ASSERT_HAS(text, "## m, t, head, steps 10: accuracy against mezo");
    ASSERT_HAS(text, "| one    | 58.0 ± 4.8 (5) | +3.0       | +1.0 to +5.0 |         | 0.026 | 3.1 ");
    ASSERT_HAS(text, "some lacks a score for seeds 1, 3, so it has 3 pairs.");
    ASSERT_HAS(text, "2 tests in this table.");
    free(text);
    zo_results_close(r);
}
END_TEST

/* Eight rows: the method has all right in both seeds, the reference half of them. Over rows drawn again the difference is binomial, 8 of 1/2: of it 0.4 % are 0
 * and 3.5 % at most 1/8. */
START_TEST(paired_by_row)
{
    static const uint8_t all = 0xff, half = 0x0f;
    zo_results *r = open_new();
    zo_err err = {0};
    for (int s = 0; s < 2; s++) {
        for (int m = 0; m < 2; m++) {
            int64_t run = add(r, (made){.optimizer = m == 0 ? "mezo" : "one", .seed = s, .value = m == 0 ? 0.5 : 1, .dev_metric = 0.5});
            zo_eval_row e = {.step = 5, .split = "test", .examples = 8, .accuracy = m == 0 ? 0.5 : 1, .f1 = NAN, .macro_f1 = NAN, .matthews = NAN, .correct = m == 0 ? &half : &all};
            ck_assert_int_eq(zo_results_eval(r, run, &e, &err), ZO_OK);
            e.step = 4; /* not the headline */
            e.correct = m == 0 ? &all : &half;
            ck_assert_int_eq(zo_results_eval(r, run, &e, &err), ZO_OK);
        }
    }
    execute(r, "UPDATE tries SET steps = 60");
    cJSON *rows = against(r, (zo_report_spec){0}, NULL);
    int one = row_of(rows, "t", "one");
    ck_assert_double_eq(in_row(rows, one, "rows_low"), 0.125);
    ck_assert_double_eq(in_row(rows, one, "rows_high"), 0.875);
    ck_assert_double_eq(in_row(rows, one, "rows_seeds"), 2);
    cJSON_Delete(rows);
    /* the last row alone: binomial, 8 of 1/8, of which 34 % are 0, 93.3 % at most 2 and 98.9 % at most 3 */
    execute(r, "UPDATE evaluations SET correct = x'00'; UPDATE evaluations SET correct = x'80' WHERE step = 5 AND run IN (SELECT run FROM runs WHERE optimizer = 'one')");
    rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_double_eq(in_row(rows, one, "rows_low"), 0);
    ck_assert_double_eq(in_row(rows, one, "rows_high"), 0.375);
    cJSON_Delete(rows);
    execute(r, "UPDATE evaluations SET correct = NULL WHERE run = 1"); /* of an older schema: the other seed is left */
    rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_double_eq(in_row(rows, one, "rows_seeds"), 1);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* What may not be paired is said, and never paired. */
START_TEST(what_is_not_paired)
{
    zo_results *r = open_new();
    for (int s = 0; s < 2; s++) {
        add(r, (made){.seed = s, .value = 0.5, .dev_metric = 0.5});
        add(r, (made){.optimizer = "files", .seed = s, .rows = "5555555555555555", .value = 0.6, .dev_metric = 0.5});
        add(r, (made){.optimizer = "model", .seed = s, .model_files = "5555555555555555", .value = 0.6, .dev_metric = 0.5});
        add(r, (made){.optimizer = "rows", .seed = s, .split_seed = 3, .value = 0.6, .dev_metric = 0.5});
        add(r, (made){.optimizer = "work", .seed = s, .value = 0.6, .dev_metric = 0.5});
        add(r, (made){.task = "alone", .optimizer = "one", .seed = s, .value = 0.6, .dev_metric = 0.5});
    }
    execute(r, "UPDATE tries SET steps = 60; UPDATE cells SET work_budget = 7 WHERE optimizer = 'work'");
    char *text = against_text(r);
    ASSERT_HAS(text, "files on t was run with other data than the one it is compared with, so nothing of it is paired.");
    ASSERT_HAS(text, "model on t was run with another model than");
    ASSERT_HAS(text, "rows on t has another \"train_split_seed\" than any mezo, so its runs are not paired.");
    ASSERT_HAS(text, "work on t has another \"work\" than any mezo");
    ASSERT_HAS(text, "one on alone: there is no mezo on this model and task to pair it with.");
    ASSERT_LACKS(text, "| files");
    ASSERT_LACKS(text, "| work ");
    free(text);
    cJSON_Delete(against(r, (zo_report_spec){.against = "never"}, "--against never: there is nothing to compare"));
    add(r, (made){.seed = 0, .lr = 1e-2, .value = 0.5, .dev_metric = 0.6});
    add(r, (made){.seed = 1, .lr = 1e-2, .value = 0.5, .dev_metric = 0.6});
    cJSON_Delete(against(r, (zo_report_spec){0}, "there are 2 settings of it on t, such as \"mezo lr 0.01\""));
    cJSON *rows = against(r, (zo_report_spec){.against = "mezo lr 0.01"}, NULL);
    ck_assert_str_eq(word(rows, 0, "method"), "mezo lr 0.01");
    cJSON_Delete(rows);
    rows = against(r, (zo_report_spec){.best = "lr"}, NULL);
    ck_assert_double_eq(in_row(rows, 0, "lr"), 1e-2);
    cJSON_Delete(rows);
    execute(r, "UPDATE cells SET config = replace(config, '\"rank\":4', '\"rank\":8') WHERE lr = 1e-2"); /* a rate is no name where there is another one */
    rows = against(r, (zo_report_spec){.against = "mezo rank 8"}, NULL);
    ck_assert_str_eq(word(rows, 0, "method"), "mezo rank 8");
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* Trials begin at a dev loss of 1, and the best comes to 0.3: what comes to 0.65 works. That is so from 1 to 100, which is two decades; below and above it a
 * rate was tried, so the range is closed. */
START_TEST(rates_that_work)
{
    static const struct { double lr, loss; const char *marks; } trial[] = {{0.1, 0.95, ""}, {1, 0.64, ""}, {10, 0.3, ""}, {100, 0.5, ""}, {1000, 0.2, "diverged"}, {1e4, 0.6, ""}};
    zo_results *r = open_new();
    for (int s = 0; s < 2; s++) {
        add(r, (made){.seed = s, .lr = 10, .value = 0.5, .dev_metric = 0.5});
        add(r, (made){.optimizer = "other", .seed = s, .lr = 10, .value = 0.5, .dev_metric = 0.5});
    }
    for (size_t i = 0; i < sizeof trial / sizeof *trial; i++) {
        int64_t run = add(r, (made){.seed = 7, .lr = trial[i].lr, .dev_metric = 0.5, .dev_loss = trial[i].loss, .marks = trial[i].marks, .rows = "6666666666666666"});
        zo_eval_row e = {.step = 0, .split = "dev", .examples = 8, .loss = 1};
        zo_err err = {0};
        ck_assert_int_eq(zo_results_eval(r, run, &e, &err), ZO_OK);
    }
    execute(r, "UPDATE cells SET test = 0 WHERE seed = 7; UPDATE tries SET steps = 60");
    cJSON *rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 2);
    ck_assert_double_eq(in_row(rows, 0, "rates_tried"), 6);
    ck_assert_double_eq(in_row(rows, 0, "rates_low"), 1);
    ck_assert_double_eq(in_row(rows, 0, "rates_high"), 100);
    ck_assert_double_eq_tol(in_row(rows, 0, "rates_decades"), 2, 1e-12);
    ck_assert(cJSON_IsFalse(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "rates_open")));
    ck_assert_double_eq(in_row(rows, 1, "rates_tried"), 0);
    cJSON_Delete(rows);
    execute(r, "UPDATE tries SET dev_loss = 0.6 WHERE dev_loss = 0.95");
    rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_double_eq(in_row(rows, 0, "rates_low"), 0.1);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "rates_open")));
    cJSON_Delete(rows);
    execute(r, "UPDATE tries SET dev_loss = 0.95 WHERE cell IN (SELECT cell FROM cells WHERE seed = 7 AND lr = 0.1);"
               "UPDATE tries SET dev_loss = 0.4, marks = '' WHERE cell IN (SELECT cell FROM cells WHERE seed = 7 AND lr = 1000)");
    rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_double_eq(in_row(rows, 0, "rates_low"), 1);
    ck_assert_double_eq(in_row(rows, 0, "rates_high"), 1e4);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(cJSON_GetArrayItem(rows, 0), "rates_open")));
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

/* 60 steps of 10 ms and 60 of 20 ms: at 0.6 s the slower one has made 30, and of its evaluations those of steps 10 and 30. A disturbed time does not count
 * where there is another. Times of another database stand in their place. */
START_TEST(equal_seconds)
{
    static const struct { int step; double dev, test; } look[] = {{10, 0.5, 0.4}, {30, 0.7, 0.6}, {40, 0.6, NAN}, {50, 0.9, 0.8}};
    zo_results *r = open_new(), *times = open_new();
    zo_err err = {0};
    for (int s = 0; s < 2; s++) {
        for (int m = 0; m < 2; m++) {
            int64_t run = add(r, (made){.optimizer = m == 0 ? "mezo" : "slow", .seed = s, .value = 0.8, .dev_metric = 0.9, .disturbed = s == 1});
            for (size_t i = 0; i < sizeof look / sizeof *look; i++) {
                zo_eval_row e = {.step = look[i].step, .split = "dev", .examples = 8, .accuracy = look[i].dev, .loss = 1};
                ck_assert_int_eq(zo_results_eval(r, run, &e, &err), ZO_OK);
                e.split = "test";
                e.accuracy = look[i].test;
                if (isfinite(look[i].test)) {
                    ck_assert_int_eq(zo_results_eval(r, run, &e, &err), ZO_OK);
                }
            }
        }
    }
    execute(r, "UPDATE tries SET steps = 60, step_ms_median = iif(disturbed, 1, 10);"
               "UPDATE tries SET step_ms_median = 20 WHERE NOT disturbed AND cell IN (SELECT cell FROM cells WHERE optimizer = 'slow')");
    cJSON *rows = against(r, (zo_report_spec){0}, NULL);
    ck_assert_str_eq(word(rows, 1, "method"), "slow");
    ck_assert_double_eq_tol(in_row(rows, 1, "seconds"), 0.6, 1e-12);
    ck_assert_double_eq(in_row(rows, 1, "steps_at_seconds"), 30);
    ck_assert_double_eq_tol(in_row(rows, 1, "score_at_seconds"), 0.6, 1e-12);
    ck_assert_double_eq_tol(in_row(rows, 0, "score_at_seconds"), 0.8, 1e-12);
    cJSON_Delete(rows);
    add(times, (made){.seed = 3, .lr = 7, .value = 0, .dev_metric = 0});
    add(times, (made){.optimizer = "slow", .seed = 3, .lr = 7, .value = 0, .dev_metric = 0});
    execute(times, "UPDATE tries SET step_ms_median = 10; UPDATE tries SET step_ms_median = 50 WHERE cell IN (SELECT cell FROM cells WHERE optimizer = 'slow')");
    rows = against(r, (zo_report_spec){.times = times}, NULL);
    ck_assert_double_eq(in_row(rows, 1, "step_ms"), 50);
    ck_assert_double_eq(in_row(rows, 1, "steps_at_seconds"), 12);
    ck_assert_double_eq_tol(in_row(rows, 1, "score_at_seconds"), 0.4, 1e-12);
    cJSON_Delete(rows);
    zo_results_close(r);
    zo_results_close(times);
}
END_TEST

/* Trials are in no table of scores and no picture, and are counted, those of a method too that has no run with test rows yet; --where brings all back. Another task, which
 * has none with test rows, stays. */
START_TEST(trials_are_left_out)
{
    zo_results *r = open_new();
    add(r, (made){.lr = 1e-3, .value = 0.9, .dev_metric = 0.9, .seed = 7});
    add(r, (made){.lr = 1e-2, .value = 0.8, .dev_metric = 0.8, .seed = 7});
    add(r, (made){.optimizer = "lozo", .lr = 1e-2, .value = 0.95, .dev_metric = 0.95, .seed = 7});
    add(r, (made){.task = "u", .lr = 1e-2, .value = 0.85, .dev_metric = 0.85, .seed = 7});
    execute(r, "UPDATE cells SET test = 0, config = json_set(config, '$.test', 0), rows_fingerprint = 'trial'");
    add(r, (made){.lr = 1e-3, .value = 0.6, .dev_metric = 0.7, .seed = 1});
    add(r, (made){.lr = 1e-3, .value = 0.7, .dev_metric = 0.7, .seed = 2});
    execute(r, "UPDATE cells SET config = json_set(config, '$.test', 50) WHERE test <> 0");
    char *text = paper(r, (zo_report_spec){.best = NULL});
    ASSERT_HAS(text, "| 65.0 ± 7.1 (2)");
    ASSERT_HAS(text, "85.0 ");
    ASSERT_LACKS(text, "95.0");
    ASSERT_LACKS(text, "90.0");
    ASSERT_LACKS(text, "80.0");
    ASSERT_HAS(text, "Left out: 3 runs with dev rows alone, as those by which learning rates are chosen");
    free(text);
    text = paper(r, (zo_report_spec){.where = "test = 0"});
    ASSERT_HAS(text, "90.0");
    ASSERT_HAS(text, "80.0");
    ASSERT_LACKS(text, "Left out");
    free(text);
    cJSON *rows = objects(r, false, NULL);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 6); /* as rows, all stand there */
    cJSON_Delete(rows);
    zo_err err = {0};
    ck_assert_int_eq(zo_results_select_views(r, zo_cell_keys(), "SELECT count(*) AS n, sum(test = 0) AS trials, count(DISTINCT label) AS labels, (SELECT trials FROM current) AS left_out FROM shown",
                                             &rows, &err), ZO_OK);
    ck_assert_int_eq((int)in_row(rows, 0, "n"), 3);
    ck_assert_int_eq((int)in_row(rows, 0, "trials"), 1);
    ck_assert_int_eq((int)in_row(rows, 0, "labels"), 1);
    ck_assert_int_eq((int)in_row(rows, 0, "left_out"), 3);
    cJSON_Delete(rows);
    zo_results_close(r);
}
END_TEST

START_TEST(hostile_names)
{
    zo_results *r = open_new();
    add(r, (made){.model = "m\x1b]0;title\x07\nnext|\xe2\x80\xae", .task = "a|b", .value = 0.5, .dev_metric = 0.5, .cut = 1});
    char *text = paper(r, (zo_report_spec){0});
    ck_assert_ptr_null(strpbrk(text, "\x1b\x07"));
    ASSERT_LACKS(text, "\xe2\x80\xae");
    ASSERT_HAS(text, "## m?]0;title??next|?, head\n");
    ASSERT_HAS(text, "| method | a\xc2\xa6" "b  |\n");
    free(text);
    zo_results_close(r);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_report.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    TCase *t = tcase_create("report");
    tcase_add_test(t, objects_say_what_rows_say);
    tcase_add_test(t, labels_and_ranges);
    tcase_add_test(t, ranges_are_of_all_groups);
    tcase_add_test(t, marked_runs_stay_in_the_mean);
    tcase_add_test(t, headline_metric);
    tcase_add_test(t, where_an_algorithm_was_read);
    tcase_add_test(t, costs_and_warnings);
    tcase_add_test(t, old_definition);
    tcase_add_test(t, database_of_schema_2);
    tcase_add_test(t, other_files_are_other_means);
    tcase_add_test(t, split_seeds_are_settings);
    tcase_add_test(t, best_among_equals);
    tcase_add_test(t, best_by_selection);
    tcase_add_test(t, trials_are_left_out);
    tcase_add_test(t, hostile_names);
    tcase_add_test(t, paired_by_seed);
    tcase_add_test(t, paired_by_row);
    tcase_add_test(t, what_is_not_paired);
    tcase_add_test(t, rates_that_work);
    tcase_add_test(t, equal_seconds);
    Suite *s = suite_create("report");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
