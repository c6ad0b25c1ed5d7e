/* fuzz_db.c: libFuzzer over the bytes of a database, opened by readers (zo_results_open_read) and reported. A refusal is one sentence; no byte of
 * the ledger is lost. ZO_FUZZ_SEEDS=FOLDER writes the database that its mutations begin with: one finished try with steps and evaluations. */
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cell/keys.h"
#include "bench/matrix/grid.h"
#include "core/io.h"
#include "core/mem.h"
#include "results/report.h"
#include "results/results.h"

static char path[256]; /* in memory where there is /dev/shm: it is written before each reading */
static FILE *nowhere;

static void check_sentence(const zo_err *err)
{
    ZO_CHECK(err->status != ZO_OK && err->text[0] != '\0' && strpbrk(err->text, "\n\r\033") == NULL, "a refusal says \"%s\"", err->text);
}

static void run_sql(zo_results *results, const char *sql)
{
    ZO_CHECK(sqlite3_exec(zo_results_handle(results), sql, NULL, NULL, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(zo_results_handle(results)));
}

static void write_seed(const char *folder)
{
    char name[4096];
    zo_results *results;
    zo_err err = {0};
    zo_path_join(name, sizeof name, folder, "one_try.db");
    unlink(name);
    ZO_CHECK(zo_results_open(&results, name, true, &err) == ZO_OK, "%s", err.text);
    zo_grid grid;
    ZO_CHECK(zo_grid_parse(&grid, "{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"batch\": 8, \"context\": 64, \"steps\": 2, \"train\": 8,"
                           "\"dev\": 8, \"test\": 8}", "seed", &err) == ZO_OK, "%s", err.text);
    zo_cell_row cell = zo_cell_to_row(&grid.cell[0]);
    zo_identity identity = {.hash = "0123456789abcdef"};
    zo_host_row host = {.host = "h", .device = "cpu", .compiler = "c", .flags = "-O", .revision = "r", .kernel = "k", .threads = 2};
    int64_t run;
    ZO_CHECK(zo_results_begin(results, &cell, &identity, &host, &run, &err) == ZO_OK, "%s", err.text);
    for (int s = 1; s <= 2; s++) {
        zo_step_row step = {.step = s, .loss = 0.7, .projected = 0.1, .lr = 1e-3, .seconds = 0.01, .forwards = (uint64_t)(2 * s), .work = 2 * s,
            .train_seconds = 0.01 * s};
        zo_eval_row eval = {.step = s, .split = s == 1 ? "dev" : "test", .examples = 8, .accuracy = 0.5, .f1 = 0.5, .macro_f1 = 0.5,
            .matthews = 0, .loss = 0.7, .seconds = 0.1, .forwards = (uint64_t)(2 * s), .work = 2 * s, .train_seconds = 0.01 * s, .best = true};
        ZO_CHECK(zo_results_steps(results, run, &step, 1, &err) == ZO_OK && zo_results_eval(results, run, &eval, &err) == ZO_OK, "%s", err.text);
    }
    zo_run_end end = {.status = "done", .marks = "", .fault_step = -1, .accuracy = 0.5, .f1 = 0.5, .macro_f1 = 0.5, .metric_value = 0.5,
        .selected = "test at best dev", .best_step = 1, .dev_accuracy = 0.5, .dev_metric = 0.5, .dev_loss = 0.7, .steps = 2, .forwards = 4,
        .work = 4, .step_ms = 10, .step_ms_median = 10, .train_seconds = 0.02, .peak_bytes = 1000, .parameters = 10,
        .context = 64, .train_rows = 8, .dev_rows = 8, .test_rows = 8, .promise = "bits"};
    ZO_CHECK(zo_results_end(results, run, &end, &err) == ZO_OK, "%s", err.text);
    zo_grid_free(&grid);
    run_sql(results, "PRAGMA journal_mode = DELETE");
    run_sql(results, "PRAGMA page_size = 512");
    run_sql(results, "VACUUM");
    zo_results_close(results);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    const char *seeds = getenv("ZO_FUZZ_SEEDS");
    if (seeds != NULL) {
        write_seed(seeds);
    }
    snprintf(path, sizeof path, "%s/zo-fuzz-db-%ld", zo_path_is_dir("/dev/shm") ? "/dev/shm" : P_tmpdir, (long)getpid());
    nowhere = fopen("/dev/null", "w");
    ZO_CHECK(nowhere != NULL, "no /dev/null");
    return 0;
}

static void look(zo_results *results)
{
    zo_err err = {0};
    cJSON *rows = NULL;
    zo_report_spec spec = {.keys = zo_cell_keys(), .by_seed_group = true, .columns = "task", .metric = "accuracy"};
    if (zo_report_rows(results, &spec, &rows, &err) == ZO_OK) {
        zo_table_print(nowhere, rows, ZO_TABLE_MD, 80);
        cJSON_Delete(rows);
    } else {
        check_sentence(&err);
    }
    memset(&err, 0, sizeof err);
    if (zo_report_paper(results, &spec, nowhere, &err) != ZO_OK) {
        check_sentence(&err);
    }
    zo_identity identity = {.hash = "0123456789abcdef"};
    zo_run_brief brief;
    memset(&err, 0, sizeof err);
    if (zo_results_brief(results, &identity, &brief, &err) != ZO_OK || zo_results_relative(results, &identity, &brief, &err) != ZO_OK) {
        check_sentence(&err);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ZO_CHECK(file >= 0 && write(file, data, size) == (ssize_t)size, "%s cannot be written", path);
    close(file);
    zo_results *results;
    zo_err err = {0};
    if (zo_results_open_read(&results, path, &err) == ZO_OK) {
        look(results);
        zo_results_close(results);
    } else {
        check_sentence(&err);
        ZO_CHECK(strstr(err.text, path) != NULL, "a refusal without the file's name: %s", err.text);
    }
    unlink(path);
    ZO_CHECK(zo_mem_live(ZO_HOST).total_bytes == live, "bytes of the ledger are lost");
    return 0;
}
