/* views.c: the labels of all runs and the choice among learning rates, as a temporary table under the views of results/views.sql. */
#include "results/views.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "core/embed.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/groups.h"
#include "results/keys.h"
#include "results/labels.h"
#include "results/report.h"

ZO_EMBED(zo_styles_sql, "results/styles.sql");
ZO_EMBED(zo_views_sql, "results/views.sql");

/* The views have runs with something to show; `unsupported` has nothing, `failed` and `killed` are run again. */
#define HAS_RESULT "status IN ('done', 'time', 'diverged', 'dead', 'oom')"
#define BEST "lr"

/* The flags of the keys that label, line and over_models of temp.setting leave out. */
enum { LABELS = 3 };
static const unsigned label_but[LABELS] = {0, ZO_KEY_AXIS, ZO_KEY_MODEL};

/* What makes the frame of a plot, without the keys that have the flag `but`: a run's key as it came out, else as it was asked for. */
static uint64_t frame_of(const zo_grouped_run *run, const zo_opt *keys, unsigned but)
{
    bool is_study = zo_run_number(run, "dev") == 0 && zo_run_number(run, "test") == 0;
    uint64_t hash = zo_label_hash(zo_label_hash(ZO_FNV_START, is_study ? "study" : ""), zo_run_text(run, "optimizer"));
    for (const zo_opt *k = keys; k->key != NULL; k++) {
        if ((k->flags & (ZO_KEY_PANEL | ZO_KEY_TITLE)) != 0 && (k->flags & but) == 0) {
            const cJSON *value = cJSON_GetObjectItemCaseSensitive(run->row, k->key);
            char *text = zo_label_value(NULL, value != NULL ? value : cJSON_GetObjectItemCaseSensitive(run->flat, k->key));
            hash = zo_label_hash(hash, text);
            zo_free(text);
        }
    }
    return hash;
}

/* (runs) the labels within frames that differ in a key with the flag `but` too. */
static char **labels_of(const zo_groups *g, const zo_opt *keys, unsigned but)
{
    zo_setting *setting = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)g->n + 1) * sizeof *setting);
    for (int i = 0; i < g->n; i++) {
        uint64_t frame = frame_of(&g->run[i], keys, but);
        setting[i] = (zo_setting){.value = g->run[i].flat, .name = zo_run_text(&g->run[i], "optimizer"), .frame = frame, .scope = frame};
    }
    char **label = zo_labels_make(&(zo_label_spec){.keys = keys, .left_flags = but}, setting, g->n);
    zo_free(setting);
    return label;
}

/* label: those of temp.setting's columns behind `rivals`, in their order. */
static int insert_settings(sqlite3 *db, const zo_groups *g, const int *rank, char **const label[LABELS])
{
    sqlite3_stmt *row;
    int code = sqlite3_prepare_v2(db, "INSERT INTO temp.setting VALUES (?, ?, ?, ?, ?)", -1, &row, NULL);
    for (int i = 0; i < g->n && code == SQLITE_OK; i++) {
        sqlite3_bind_int64(row, 1, (sqlite3_int64)zo_run_number(&g->run[i], "run"));
        if (rank[g->run[i].group] >= 0) {
            sqlite3_bind_int(row, 2, rank[g->run[i].group]);
        } else {
            sqlite3_bind_null(row, 2);
        }
        for (int k = 0; k < LABELS; k++) {
            sqlite3_bind_text(row, 3 + k, label[k][i], -1, SQLITE_STATIC);
        }
        code = sqlite3_step(row) == SQLITE_DONE ? sqlite3_reset(row) : SQLITE_ERROR;
    }
    sqlite3_finalize(row);
    return code;
}

zo_status zo_results_views(zo_results *results, const zo_opt *keys, zo_err *err)
{
    zo_groups g;
    zo_report_spec spec = {.keys = keys, .best = BEST, .where = HAS_RESULT, .without_trials = true};
    zo_status status = zo_groups_read(results, &spec, false, ZO_MEANING, &g, err);
    if (status != ZO_OK) {
        return status;
    }
    int *rank = zo_groups_rank(&g, BEST);
    for (int i = 0; i < g.n; i++) {
        if (zo_run_has_dev(&g.run[i])) { /* dev chooses it */
            cJSON_DeleteItemFromObjectCaseSensitive(g.run[i].flat, BEST);
        }
    }
    char **label[LABELS], first[400];
    for (int k = 0; k < LABELS; k++) {
        label[k] = labels_of(&g, keys, label_but[k]);
    }
    snprintf(first, sizeof first,
             "DROP TABLE IF EXISTS temp.current; CREATE TEMP TABLE current AS SELECT %d AS meaning, %d AS trials; DROP TABLE IF EXISTS temp.setting;"
             "CREATE TEMP TABLE setting (run INTEGER PRIMARY KEY, rivals INTEGER, label TEXT, line TEXT, over_models TEXT)", ZO_MEANING, g.trials);
    sqlite3 *db = zo_results_handle(results);
    if (sqlite3_exec(db, first, NULL, NULL, NULL) != SQLITE_OK || insert_settings(db, &g, rank, label) != SQLITE_OK ||
        sqlite3_exec(db, zo_styles_sql, NULL, NULL, NULL) != SQLITE_OK || sqlite3_exec(db, zo_views_sql, NULL, NULL, NULL) != SQLITE_OK) {
        status = zo_fail(err, ZO_EINPUT, "the views of the database: SQLite says: %s: is it one written by zo?", sqlite3_errmsg(db));
    }
    for (int k = 0; k < LABELS; k++) {
        zo_labels_free(label[k], g.n);
    }
    zo_free(rank);
    zo_groups_free(&g);
    return status;
}

zo_status zo_results_select_views(zo_results *results, const zo_opt *keys, const char *sql, cJSON **rows, zo_err *err)
{
    sqlite3 *db = zo_results_handle(results);
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);
    sqlite3_finalize(statement);
    static const char absent[] = "no such table: ";
    zo_status status = ZO_OK;
    *rows = NULL;
    if (code != SQLITE_OK && strncmp(sqlite3_errmsg(db), absent, sizeof absent - 1) == 0) {
        status = zo_results_views(results, keys, err);
    }
    return status == ZO_OK ? zo_results_select(results, sql, rows, err) : status;
}
