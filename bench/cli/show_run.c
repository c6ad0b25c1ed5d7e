/* show_run.c: see show_run.h. */
#include "bench/cli/show_run.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/settings.h"
#include "core/conf.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"
#include "results/page.h"
#include "results/tries.h"

/* Columns of the view all_runs, by subject; what is NULL or empty is left out. */
static const struct { const char *title, *columns; } subjects[] = {
    {"Outcome", "status message marks fault_step metric metric_value selected best_step accuracy f1 macro_f1 matthews exact_match token_f1 pearson spearman dev_metric dev_loss note"},
    {"Work", "steps forwards work flops paper_queries examples sequences tokens weight_bytes_written normals drift_max"},
    {"Time", "began ended train_seconds eval_seconds load_seconds step_ms step_ms_median step_ms_q1 step_ms_q3 full_steps full_step_ms other_step_ms device_hours "
             "device_hours_total resumed checkpoint_ms cpu_seconds foreign_seconds steal_seconds load_average switches disturbed hours_error cpu_error"},
    {"Memory", "peak_bytes train_peak_bytes rss_peak_bytes memory_limit_bytes memory_error"},
    {"Model and data", "parameters trained_parameters context train_rows dev_rows test_rows cut_sequences decoder_used model_folder data_folder model_fingerprint "
                       "tokenizer_fingerprint rows_fingerprint task_fingerprint plugin_fingerprint"},
    {"Environment", "revision binary compiler flags host kernel device threads promise"}};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

/* Tables of their own, of one SELECT with the number of the run each. */
static const struct { const char *key, *title, *sql; } lists[] = {
    {"evaluations", "Evaluations",
     "SELECT e.step, e.split, e.examples, " ZO_EVALUATED " AS metric, e.loss, e.work, e.best FROM evaluations e JOIN tries t USING (run) JOIN cells c USING (cell) WHERE run = %lld ORDER BY e.step, e.split"},
    {"memory", "Bytes by tag, at the peak of each phase",
     "SELECT tag, max(CASE phase WHEN 'load' THEN bytes END) AS load, max(CASE phase WHEN 'train' THEN bytes END) AS train, max(CASE phase WHEN 'eval' THEN bytes END)"
     " AS eval, max(CASE phase WHEN 'overall' THEN bytes END) AS overall FROM memory WHERE run = %lld GROUP BY tag HAVING sum(bytes) > 0 ORDER BY 5 DESC, tag"},
    {"parts", "Where the time of training went", "SELECT part, seconds, ms AS ms_a_step FROM parts WHERE run = %lld AND seconds > 0 ORDER BY seconds DESC"},
    {"tries", "Tries of this cell",
     "SELECT run, status, run = (SELECT shown FROM cells WHERE cells.cell = tries.cell) AS counts, began, ended, steps, resumed, revision, message FROM tries"
     " WHERE cell = (SELECT cell FROM tries WHERE run = %lld) ORDER BY run"}};
enum { LISTS = sizeof lists / sizeof *lists };

/* "key value" rows of one subject. */
static cJSON *facts_of(const cJSON *run, const char *columns)
{
    char copy[1000], *rest = copy;
    cJSON *rows = cJSON_CreateArray();
    snprintf(copy, sizeof copy, "%s", columns);
    for (char *name; (name = strsep(&rest, " ")) != NULL;) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(run, name);
        if (value == NULL || cJSON_IsNull(value) || (cJSON_IsString(value) && value->valuestring[0] == '\0')) {
            continue;
        }
        cJSON *row = cJSON_CreateObject();
        cJSON_AddStringToObject(row, "column", name);
        cJSON_AddItemToObject(row, "value", cJSON_Duplicate(value, true));
        cJSON_AddItemToArray(rows, row);
    }
    return rows;
}

static void print_config(const char *config)
{
    cJSON *parsed = cJSON_Parse(config);
    char *text = parsed != NULL ? cJSON_Print(parsed) : NULL, *plain = text != NULL ? zo_text_plain_json(text) : NULL;
    printf("%s\n", plain != NULL ? plain : config);
    zo_free(plain);
    cJSON_free(text);
    cJSON_Delete(parsed);
}

static void print_text(const cJSON *run, cJSON *const list[LISTS])
{
    zo_page page = {.out = stdout, .as = ZO_TABLE_MD, .terminal = zo_terminal_columns(STDOUT_FILENO)};
    char title[1300], label[1200];
    zo_cell cell;
    zo_err ignored = {0};
    const char *config = zo_json_text(run, "config");
    if (zo_cell_parse(&cell, config, &ignored) == ZO_OK) {
        zo_cell_label(&cell, label, sizeof label);
        zo_cell_free(&cell);
    } else {
        snprintf(label, sizeof label, "cell %.16s", zo_json_text(run, "hash"));
    }
    snprintf(title, sizeof title, "Run %.0f: %s", zo_json_number(run, "run", 0), label);
    zo_page_title(&page, 1, title);
    snprintf(title, sizeof title, "Try %.32s of the cell %.16s, meaning %.0f.", zo_json_text(run, "try"), zo_json_text(run, "hash"), zo_json_number(run, "meaning", 0));
    zo_page_paragraph(&page, title);
    zo_page_gap(&page);
    for (int i = 0; i < SUBJECTS; i++) {
        cJSON *rows = facts_of(run, subjects[i].columns);
        if (rows->child != NULL) {
            zo_page_title(&page, 2, subjects[i].title);
            zo_page_table(&page, rows, false);
        }
        cJSON_Delete(rows);
    }
    for (int i = 0; i < LISTS; i++) {
        if (list[i]->child != NULL) {
            zo_page_title(&page, 2, lists[i].title);
            zo_page_table(&page, list[i], false);
        }
    }
    zo_page_title(&page, 2, "Config");
    print_config(config);
}

static void print_json(const cJSON *run, cJSON *const list[LISTS])
{
    cJSON *whole = cJSON_Duplicate(run, true), *config = cJSON_Parse(zo_json_text(run, "config"));
    if (config != NULL) {
        zo_json_replace(whole, "config", config);
    }
    for (int i = 0; i < LISTS; i++) {
        cJSON_AddItemToObject(whole, lists[i].key, cJSON_Duplicate(list[i], true));
    }
    zo_output_json(whole, true);
    cJSON_Delete(whole);
}

zo_status zo_show_run(const char *name, const char *db, bool json, zo_err *err)
{
    zo_results *results;
    cJSON *run = NULL, *list[LISTS] = {NULL};
    char sql[1400];
    bool is_number = name[0] != '\0' && strlen(name) <= 15 && strspn(name, "0123456789") == strlen(name);
    bool is_hash = strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
    if (!is_number && !is_hash) {
        return zo_fail(err, ZO_EINPUT, "\"%.60s\" names no run; expected its number (column `run`), or the 16 digits of a cell's hash. Rows of a task want a model too: "
                       "zo show TASK MODEL", name);
    }
    zo_status status = zo_results_open_read(&results, db, err);
    if (status != ZO_OK) {
        return status;
    }
    snprintf(sql, sizeof sql, is_number ? "SELECT * FROM all_runs WHERE run = %s" : "SELECT * FROM runs WHERE hash = '%s' ORDER BY run DESC LIMIT 1", name);
    status = zo_results_select(results, sql, &run, err);
    if (status == ZO_OK && run->child == NULL) {
        status = zo_fail(err, ZO_EINPUT, "there is no run %s in %s; `zo sql \"SELECT run, hash, status FROM runs\"` lists them", name, db);
    }
    long long number = status == ZO_OK ? (long long)zo_json_number(run->child, "run", 0) : 0;
    for (int i = 0; i < LISTS && status == ZO_OK; i++) {
        snprintf(sql, sizeof sql, lists[i].sql, number);
        status = zo_results_select(results, sql, &list[i], err);
    }
    if (status == ZO_OK && json) {
        print_json(run->child, list);
    } else if (status == ZO_OK) {
        print_text(run->child, list);
    }
    cJSON_Delete(run);
    for (int i = 0; i < LISTS; i++) {
        cJSON_Delete(list[i]);
    }
    zo_results_close(results);
    return status;
}
