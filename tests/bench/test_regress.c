/* test_regress.c: `zo regress`. Verdicts on databases that are made up: tries are copies of one run's, with figures that are known, so that every number and
 * verdict is known by hand. Then the command itself, whose two programs are this one, of which one adds to what its runs took. */
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>

#include "bench/cell/keys.h"
#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "bench/matrix/program.h"
#include "core/conf.h"
#include "core/output.h"
#include "results/regress.h"
#include "results/statistics.h"
#include "tests/program.h"
#include "tests/suite.h"

static const char config[] = "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, "
                             "\"context\": 16, \"batch\": 4, \"steps\": 4, \"eval_every\": 2, \"threads\": 1, \"seed\": [0, 1, 2, 3], \"optimizer\": \"mezo\"}";
static const zo_regress_rule usual = {.effect = 0.05, .memory = 0.05, .points = 0.01, .level = 0.05};
enum { TRIES = 3 }; /* of each of the four cells */

/* Of the last four runs a copy of all their rows, with 4 more in their numbers. */
static const char again[] = "CREATE TEMP TABLE t AS SELECT * FROM tries WHERE run > (SELECT max(run) FROM tries) - 4; UPDATE t SET run = run + 4, try = hex(randomblob(16));"
                            "INSERT INTO tries SELECT * FROM t; DROP TABLE t;"
                            "CREATE TEMP TABLE t AS SELECT * FROM steps WHERE run > (SELECT max(run) FROM tries) - 8; UPDATE t SET run = run + 4; INSERT INTO steps SELECT * FROM t; DROP TABLE t;"
                            "CREATE TEMP TABLE t AS SELECT * FROM evaluations WHERE run > (SELECT max(run) FROM tries) - 8; UPDATE t SET run = run + 4; INSERT INTO evaluations SELECT * FROM t;"
                            "DROP TABLE t; CREATE TEMP TABLE t AS SELECT * FROM memory WHERE run > (SELECT max(run) FROM tries) - 8; UPDATE t SET run = run + 4;"
                            "INSERT INTO memory SELECT * FROM t; DROP TABLE t;";

static void copy(const char *from, const char *to)
{
    char *bytes;
    size_t n;
    zo_err err = {0};
    ck_assert(zo_read_file(below(from), 1 << 24, &bytes, &n, &err) == ZO_OK && zo_write_file(below(to), bytes, n, &err) == ZO_OK);
    zo_free(bytes);
}

/* base.db: twelve runs. A step takes 10 ms, of which gemm is 5, attention 2 and head 0.5; processor time is 12 ms a step. */
static void make_base(void)
{
    put("c.json", config);
    ck_assert_msg(COMMAND(zo_cmd_run, "run", below("c.json"), "--db", below("base.db")) == 0, "%s", program_said);
    for (int i = 1; i < TRIES; i++) {
        change("base.db", again);
    }
    change("base.db", "UPDATE tries SET disturbed = 0, cpu_seconds = 0.012 * steps, metric_value = 0.5, marks = '', status = 'done';"
                   "UPDATE steps SET seconds = 0.01, form = 0, gemm = 0.005, attention = 0.002, elementwise = 0, head = 0.0005, backward = 0, \"update\" = 0, data = 0;"
                   "UPDATE memory SET bytes = 0; UPDATE memory SET bytes = 1000000 WHERE phase = 'train' AND tag = 'params';"
                   "UPDATE memory SET bytes = 500000 WHERE phase = 'train' AND tag = 'activations'; UPDATE memory SET bytes = 1000 WHERE phase = 'train' AND tag = 'other';"
                   "PRAGMA wal_checkpoint(TRUNCATE)");
}

/* a.db and b.db are both that. */
static void begin(void)
{
    static const char *const more[] = {"a.db-wal", "a.db-shm", "b.db-wal", "b.db-shm"};
    for (int i = 0; i < 4; i++) {
        unlink(below(more[i]));
    }
    copy("base.db", "a.db");
    copy("base.db", "b.db");
}

/* The verdicts on a.db and b.db; the caller deletes them. */
static cJSON *judge(const zo_regress_rule *rule)
{
    zo_pair_side side[2] = {{.every = true, .name = "a"}, {.every = true, .name = "b"}};
    zo_err err = {0};
    cJSON *rows;
    ck_assert_msg(zo_results_open_read(&side[0].results, below("a.db"), &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_results_open_read(&side[1].results, below("b.db"), &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_regress_judge(side, rule, zo_cell_keys(), &rows, &err) == ZO_OK, "%s", err.text);
    zo_results_close(side[0].results);
    zo_results_close(side[1].results);
    return rows;
}

static cJSON *row_of(cJSON *rows, const char *figure)
{
    cJSON *row = rows->child;
    while (row != NULL && strcmp(zo_json_text(row, "figure"), figure) != 0) {
        row = row->next;
    }
    return row;
}

#define OF(row, key) zo_json_number(row, key, NAN)
#define IS(row, key, value) ck_assert_msg(fabs(OF(row, key) - (value)) < 1e-9 * (1 + fabs((double)(value))), "%s is %.12g, not %.12g", key, OF(row, key), (double)(value))
#define VERDICT(rows, figure, verdict) ck_assert_str_eq(zo_json_text(row_of(rows, figure), "verdict"), verdict)
#define WHY(rows, figure, text) ASSERT_HAS(zo_json_text(row_of(rows, figure), "why"), text)

START_TEST(what_is_the_same)
{
    begin();
    cJSON *rows = judge(&usual);
    for (const cJSON *row = rows->child; row != NULL; row = row->next) {
        ck_assert_msg(strcmp(zo_json_text(row, "verdict"), "same") == 0, "%s: %s", zo_json_text(row, "figure"), zo_json_text(row, "verdict"));
        ck_assert(!zo_regress_is_worse(row, &usual) && !zo_regress_is_suspected(row));
    }
    IS(row_of(rows, "cpu"), "pairs", 12);
    IS(row_of(rows, "cpu"), "a", 12);
    IS(row_of(rows, "step"), "b", 10);
    IS(row_of(rows, "gemm"), "a", 5);
    IS(row_of(rows, "train peak"), "a", 1501000);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(rows->child, "cells")), 4);
    ck_assert(row_of(rows, "head") == NULL && row_of(rows, "form") == NULL && row_of(rows, "train grads") == NULL); /* half a tenth of the step; nothing */
    cJSON_Delete(rows);
    change("b.db", "UPDATE steps SET gemm = NULL WHERE step = 2"); /* a step that did not measure a part is left out of it */
    rows = judge(&usual);
    IS(row_of(rows, "gemm"), "b", 5);
    IS(row_of(rows, "gemm"), "pairs", 12);
    cJSON_Delete(rows);
    change("b.db", "DELETE FROM memory"); /* nothing else is read of where there are no rows */
    change("b.db", "DELETE FROM steps WHERE step > 1");
    rows = judge(&usual);
    VERDICT(rows, "cpu", "same");
    VERDICT(rows, "step", "cannot tell");
    WHY(rows, "step", "0 pairs count; at least 4");
    cJSON_Delete(rows);
    change("b.db", "UPDATE tries SET cpu_seconds = NULL"); /* as where nothing was run: there is no time to compare */
    rows = judge(&usual);
    ck_assert(row_of(rows, "cpu") == NULL && row_of(rows, "step") == NULL && row_of(rows, "score") != NULL);
    cJSON_Delete(rows);
}
END_TEST

/* Processor time, step and parts by known ratios. */
START_TEST(times_by_hand)
{
    begin();
    /* pairs k = 0 .. 11: cpu is 10 % more, times exp(+-0.01) in turn; step 4 % more by +-0.001; gemm 20 % more by +-0.02; attention 6 % more by +-0.3. Of the
     * head, too little of the step to be judged, ten times as much. The first step, and dearer steps than the lower quartile's, do not count. */
    change("b.db", "UPDATE tries SET cpu_seconds = cpu_seconds * 1.1 * exp(CASE run % 2 WHEN 0 THEN 0.01 ELSE -0.01 END);"
                   "UPDATE steps SET seconds = seconds * 1.04 * exp(CASE run % 2 WHEN 0 THEN 0.001 ELSE -0.001 END), gemm = gemm * 1.2 * exp(CASE run % 2 WHEN 0 THEN 0.02 ELSE -0.02 END),"
                   "attention = attention * 1.06 * exp(CASE run % 2 WHEN 0 THEN 0.3 ELSE -0.3 END), head = head * 1.9;"
                   "UPDATE steps SET seconds = 5, gemm = 5 WHERE step IN (1, 4)");
    cJSON *rows = judge(&usual);
    const double t975 = 2.200985160082949, std = 0.01 * sqrt(12.0 / 11); /* Student's, 11 degrees of freedom */
    cJSON *row = row_of(rows, "cpu");
    IS(row, "change", 0.1);
    IS(row, "low", 1.1 * exp(-t975 * std / sqrt(12)) - 1);
    IS(row, "high", 1.1 * exp(t975 * std / sqrt(12)) - 1);
    IS(row, "p", zo_t_two_sided(log(1.1) / (std / sqrt(12)), 11));
    IS(row, "b", 12 * 1.1 * (exp(0.01) + exp(-0.01)) / 2);
    VERDICT(rows, "cpu", "worse");
    VERDICT(rows, "step", "same");
    IS(row_of(rows, "step"), "change", 0.04);
    VERDICT(rows, "gemm", "worse");
    VERDICT(rows, "attention", "cannot tell");
    ck_assert_ptr_null(row_of(rows, "head"));
    ck_assert(zo_regress_is_suspected(row) && zo_regress_is_worse(row, &usual) && !zo_regress_is_suspected(row_of(rows, "bits")));
    double smallest = fmin(OF(row, "p"), OF(row_of(rows, "gemm"), "p")), at_step = OF(row_of(rows, "step"), "p");
    IS(OF(row, "p") < OF(row_of(rows, "gemm"), "p") ? row : row_of(rows, "gemm"), "p_holm", fmin(1, (at_step < smallest ? 3 : 4) * smallest)); /* of four times */
    IS(row_of(rows, "attention"), "p_holm", OF(row_of(rows, "attention"), "p"));
    cJSON_Delete(rows);
    /* what is not larger than the effect is no change, however sure */
    zo_regress_rule rule = usual;
    rule.effect = 0.25;
    rows = judge(&rule);
    VERDICT(rows, "cpu", "same");
    VERDICT(rows, "gemm", "same");
    cJSON_Delete(rows);
    /* and what is not sure is none, however large: a p of about 0.03 is not below a level of 0.01 */
    change("b.db", "UPDATE tries SET cpu_seconds = 0.012 * steps * 1.1 * exp(CASE run % 2 WHEN 0 THEN 0.13 ELSE -0.13 END)");
    rows = judge(&usual);
    ck_assert(OF(row_of(rows, "cpu"), "p") > 0.01 && OF(row_of(rows, "cpu"), "p") < 0.05); /* two tests are enough to take it away */
    VERDICT(rows, "cpu", "cannot tell");
    cJSON_Delete(rows);
    /* the other way round */
    begin();
    change("b.db", "UPDATE tries SET cpu_seconds = cpu_seconds / 1.1 * exp(CASE run % 2 WHEN 0 THEN 0.01 ELSE -0.01 END)");
    rows = judge(&usual);
    VERDICT(rows, "cpu", "better");
    ck_assert(zo_regress_is_suspected(row_of(rows, "cpu")) && !zo_regress_is_worse(row_of(rows, "cpu"), &usual));
    cJSON_Delete(rows);
}
END_TEST

START_TEST(disturbed_runs_do_not_count)
{
    begin();
    change("b.db", "UPDATE tries SET cpu_seconds = 2 * cpu_seconds, disturbed = 1 WHERE run > 5");
    cJSON *rows = judge(&usual);
    IS(row_of(rows, "cpu"), "pairs", 5);
    IS(row_of(rows, "cpu"), "disturbed", 7);
    VERDICT(rows, "cpu", "same");
    cJSON_Delete(rows);
    change("a.db", "UPDATE tries SET disturbed = 1 WHERE run IN (2, 3)"); /* on either side */
    rows = judge(&usual);
    IS(row_of(rows, "cpu"), "pairs", 3);
    VERDICT(rows, "cpu", "cannot tell");
    WHY(rows, "cpu", "3 pairs count, others were disturbed; at least 4 are wanted");
    cJSON_Delete(rows);
    zo_regress_rule rule = usual;
    rule.disturbed = true;
    rows = judge(&rule);
    IS(row_of(rows, "cpu"), "pairs", 12);
    IS(row_of(rows, "cpu"), "change", pow(2, 7.0 / 12) - 1);
    cJSON_Delete(rows);
}
END_TEST

START_TEST(memory_is_exact)
{
    begin();
    /* 6 % more activations are 2 % of the peak; `other` is twice as large, and nothing */
    change("b.db", "UPDATE memory SET bytes = 530000 WHERE phase = 'train' AND tag = 'activations'; UPDATE memory SET bytes = 2000 WHERE phase = 'train' AND tag = 'other'");
    cJSON *rows = judge(&usual);
    VERDICT(rows, "train activations", "worse");
    VERDICT(rows, "train peak", "same");
    VERDICT(rows, "train other", "same");
    VERDICT(rows, "train params", "same");
    IS(row_of(rows, "train activations"), "change", 0.06);
    ck_assert(!zo_regress_is_suspected(row_of(rows, "train activations")) && zo_regress_is_worse(row_of(rows, "train activations"), &usual));
    cJSON_Delete(rows);
    change("b.db", "UPDATE memory SET bytes = 525000 WHERE phase = 'train' AND tag = 'activations'"); /* 5 %, and a byte less */
    rows = judge(&usual);
    VERDICT(rows, "train activations", "worse");
    cJSON_Delete(rows);
    change("b.db", "UPDATE memory SET bytes = 524999 WHERE phase = 'train' AND tag = 'activations'");
    rows = judge(&usual);
    VERDICT(rows, "train activations", "same");
    cJSON_Delete(rows);
    /* one of twelve runs takes more: the largest counts. A tag that was not there; a peak that is smaller */
    change("b.db", "UPDATE memory SET bytes = 1080000 WHERE phase = 'train' AND tag = 'params' AND run = 7; UPDATE memory SET bytes = 100000 WHERE phase = 'eval' AND tag = 'workspace';"
                   "UPDATE memory SET bytes = 100 WHERE phase = 'train' AND tag = 'activations'");
    rows = judge(&usual);
    VERDICT(rows, "train params", "worse");
    VERDICT(rows, "eval workspace", "worse");
    VERDICT(rows, "train activations", "better");
    VERDICT(rows, "train peak", "better");
    cJSON_Delete(rows);
}
END_TEST

START_TEST(bits_and_outcomes)
{
    begin();
    change("b.db", "UPDATE steps SET loss = loss * (1 + 1e-15) WHERE step = 3 AND run = 2");
    cJSON *rows = judge(&usual);
    VERDICT(rows, "bits", "other bits");
    WHY(rows, "bits", "1 of 4 cells, from step 3");
    zo_regress_rule rule = usual;
    rule.other_bits = true;
    ck_assert(zo_regress_is_worse(row_of(rows, "bits"), &usual) && !zo_regress_is_worse(row_of(rows, "bits"), &rule));
    ck_assert_int_eq(zo_regress_overall(rows, &usual), ZO_REGRESS_WORSE);
    ck_assert_int_eq(zo_regress_overall(rows, &rule), ZO_REGRESS_SAME);
    cJSON_Delete(rows);
    change("b.db", "UPDATE steps SET loss = 7 WHERE run IN (6, 10, 11) AND step = 2"); /* later tries of the second and third cell */
    rows = judge(&usual);
    WHY(rows, "bits", "2 of 4 cells, from step 2");
    cJSON_Delete(rows);
    /* each pair is asked, and the worst is said */
    static const struct { const char *a, *b; const char *verdict, *why; } end[] = {
        {"", "status = 'oom' WHERE run = 2", "worse", "done → oom; 1 of 12 pairs"},
        {"", "status = 'oom' WHERE run IN (7, 8)", "worse", "done → oom; 2 of 12 pairs"},                   /* later tries */
        {"marks = 'diverged' WHERE run = 1", "marks = 'constant' WHERE run = 3", "worse", "done → done, constant; 2 of 12"}, /* better first, then worse */
        {"marks = 'diverged' WHERE run = 1", "marks = '' WHERE run = 3", "better", "done, diverged → done; 1 of 12"},
        {"marks = 'constant'", "marks = 'constant,dead' WHERE run = 3", "worse", "done, constant → done, constant,dead"},    /* a new mark; fewer in the others */
        {"marks = 'constant' WHERE run = 3", "marks = 'dead' WHERE run = 3", "worse", "done, constant → done, dead"},        /* another one is new too */
        {"status = 'time', marks = 'constant' WHERE run = 3", "marks = 'constant' WHERE run = 3", "better", "time, constant → done, constant"},
        {"marks = 'constant' WHERE run = 3", "status = 'time' WHERE run = 3", "worse", "done, constant → time"},
        {"status = 'oom' WHERE run = 3", "status = 'time' WHERE run = 3", "cannot tell", "oom → time"},
        {"status = 'failed' WHERE run = 3", "status = 'failed' WHERE run = 3", "cannot tell", "failed → failed; 1 of 12"}, /* no result */
        {"status = 'oom' WHERE run = 3", "status = 'oom' WHERE run = 3", "same", ""}};
    for (size_t i = 0; i < sizeof end / sizeof *end; i++) {
        char sql[300];
        begin();
        snprintf(sql, sizeof sql, "UPDATE tries SET %s", end[i].a[0] != '\0' ? end[i].a : "marks = ''");
        change("a.db", sql);
        snprintf(sql, sizeof sql, "UPDATE tries SET %s", end[i].b);
        change("b.db", sql);
        rows = judge(&usual);
        VERDICT(rows, "outcome", end[i].verdict);
        WHY(rows, "outcome", end[i].why);
        cJSON_Delete(rows);
    }
}
END_TEST

/* What one side alone has run is not left out. */
START_TEST(runs_without_a_partner)
{
    begin();
    change("b.db", "DELETE FROM tries WHERE run IN (2, 6)");
    change("b.db", "UPDATE tries SET status = 'oom' WHERE run = 3");
    cJSON *rows = judge(&usual);
    VERDICT(rows, "outcome", "worse");
    WHY(rows, "outcome", "2 runs of A have no partner in B; done → oom; 1 of 10 pairs");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(row_of(rows, "outcome"), "cells")), 4);
    IS(row_of(rows, "cpu"), "pairs", 10);
    cJSON_Delete(rows);
    change("b.db", "DELETE FROM tries WHERE run <> 4; UPDATE tries SET status = 'running'"); /* all of them: nothing is paired */
    rows = judge(&usual);
    ck_assert_int_eq(cJSON_GetArraySize(rows), 1);
    VERDICT(rows, "outcome", "worse");
    WHY(rows, "outcome", "12 runs of A have no partner in B");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(rows->child, "cells")), 4);
    ck_assert_int_eq(zo_regress_overall(rows, &usual), ZO_REGRESS_WORSE);
    cJSON_Delete(rows);
    begin();
    change("a.db", "DELETE FROM tries WHERE run IN (4, 8, 12)"); /* the fourth cell */
    rows = judge(&usual);
    ck_assert_int_eq(zo_regress_overall(rows, &usual), ZO_REGRESS_UNTOLD);
    VERDICT(rows, "outcome", "same");
    cJSON *last = cJSON_GetArrayItem(rows, cJSON_GetArraySize(rows) - 1);
    ck_assert_str_eq(zo_json_text(last, "figure"), "outcome");
    ck_assert_str_eq(zo_json_text(last, "verdict"), "cannot tell");
    ck_assert_str_eq(zo_json_text(last, "why"), "3 runs of B have no partner in A: other config, seed, model, tokenizer, rows or task");
    ck_assert_str_eq(zo_json_text(last, "method"), "mezo");
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(last, "cells")), 1);
    cJSON_Delete(rows);
}
END_TEST

START_TEST(scores)
{
    cJSON *rows;
    begin();
    /* of the four seeds: 2.85 to 3.15 points less; the same in a spread that says nothing; more; less than a point */
    static const struct { const char *by; const char *verdict; double change; } score[] = {
        {"0.03 - 0.001 * (run - 2.5)", "worse", -0.03}, {"0.03 + 0.02 * (run - 2.5)", "cannot tell", -0.03}, {"-0.03 - 0.001 * (run - 2.5)", "better", 0.03},
        {"0.005 + 0.0001 * (run - 2.5)", "same", -0.005}};
    for (size_t i = 0; i < sizeof score / sizeof *score; i++) {
        char sql[300];
        snprintf(sql, sizeof sql, "UPDATE tries SET metric_value = 0.5 - (%s) WHERE run <= 4; UPDATE tries SET metric_value = 0 WHERE run > 4", score[i].by);
        change("b.db", sql);
        rows = judge(&usual);
        VERDICT(rows, "score", score[i].verdict);
        IS(row_of(rows, "score"), "change", score[i].change);
        IS(row_of(rows, "score"), "pairs", 4);
        cJSON_Delete(rows);
    }
    /* two seeds that lose the same: without spread, and nobody knows how sure that is */
    change("b.db", "UPDATE tries SET metric_value = 0.4; DELETE FROM tries WHERE (run - 1) % 4 > 1; DELETE FROM evaluations");
    rows = judge(&usual);
    VERDICT(rows, "score", "cannot tell");
    WHY(rows, "score", "of 2 cells without test rows: no test possible");
    ck_assert(isnan(OF(row_of(rows, "score"), "p_holm")));
    cJSON_Delete(rows);
    static const char kept[] = "DELETE FROM evaluations; INSERT INTO evaluations (run, step, split, examples, correct, best) VALUES (1, 4, 'test', 8, %s, 1); UPDATE tries SET best_step = 4";
    for (int k = 0; k < 2; k++) { /* the rows of one of the two are not those of the mean */
        char sql[300];
        snprintf(sql, sizeof sql, kept, k == 0 ? "x'FF'" : "x'03'");
        change(k == 0 ? "a.db" : "b.db", sql);
    }
    rows = judge(&usual);
    VERDICT(rows, "score", "cannot tell");
    WHY(rows, "score", "of 2 cells without test rows: no test possible");
    cJSON_Delete(rows);
    change("a.db", "DELETE FROM evaluations");
    change("b.db", "DELETE FROM evaluations; DELETE FROM memory; DELETE FROM steps; DELETE FROM tries WHERE run NOT IN (1, 5)"); /* one cell alone */
    rows = judge(&usual);
    VERDICT(rows, "score", "cannot tell");
    WHY(rows, "score", "of one cell without test rows: no test possible");
    cJSON_Delete(rows);
    /* with its test rows: of eight, the other side has two more wrong, and then six more; none, though its metric is less; none, and as large a metric within a point */
    static const struct { const char *bits; double metric; const char *verdict; } one[] = {
        {"x'3F'", 0.4, "cannot tell"}, {"x'03'", 0.4, "worse"}, {"x'FF'", 0.4, "cannot tell"}, {"x'FF'", 0.495, "same"}, {"x'3F'", 0.5, "cannot tell"}};
    static const double lost[][8] = {{0, 0, 0, 0, 0, 0, -1, -1}, {0, 0, -1, -1, -1, -1, -1, -1}, {0}, {0}, {0, 0, 0, 0, 0, 0, -1, -1}};
    for (size_t i = 0; i < sizeof one / sizeof *one; i++) {
        char sql[400];
        change("a.db", "DELETE FROM evaluations WHERE run IN (1, 5); INSERT INTO evaluations (run, step, split, examples, correct, best) VALUES (1, 4, 'test', 8, x'FF', 1);"
                       "UPDATE tries SET best_step = 4");
        snprintf(sql, sizeof sql, "DELETE FROM evaluations; INSERT INTO evaluations (run, step, split, examples, correct, best) VALUES (1, 4, 'test', 8, %s, 1);"
                 "UPDATE tries SET best_step = 4, metric_value = %g", one[i].bits, one[i].metric);
        change("b.db", sql);
        rows = judge(&usual);
        VERDICT(rows, "score", one[i].verdict);
        WHY(rows, "score", "of one cell, by the test rows");
        double low, high;
        zo_bootstrap(lost[i], 8, ZO_REGRESS_SAMPLES, ZO_REGRESS_SEED, ZO_REGRESS_COVER, &low, &high);
        IS(row_of(rows, "score"), "rows_low", low);
        IS(row_of(rows, "score"), "rows_high", high);
        cJSON_Delete(rows);
    }
}
END_TEST

static cJSON *suspicion(const char *figure, double change_of, double half, double p, double pairs, const char *verdict)
{
    cJSON *row = cJSON_CreateObject();
    static const char *const cell[] = {"00ff"};
    cJSON_AddStringToObject(row, "figure", figure);
    cJSON_AddStringToObject(row, "unit", strcmp(figure, "train peak") == 0 ? "bytes" : strcmp(figure, "bits") == 0 || strcmp(figure, "outcome") == 0 ? "" : "ms");
    cJSON_AddItemToObject(row, "cells", cJSON_CreateStringArray(cell, 1));
    cJSON_AddNumberToObject(row, "change", change_of);
    cJSON_AddNumberToObject(row, "low", change_of - half);
    cJSON_AddNumberToObject(row, "high", change_of + half);
    cJSON_AddNumberToObject(row, "p", p);
    cJSON_AddNumberToObject(row, "pairs", pairs);
    cJSON_AddStringToObject(row, "verdict", verdict);
    cJSON_AddStringToObject(row, "why", "");
    return row;
}

START_TEST(a_second_set_confirms)
{
    cJSON *rows = cJSON_CreateArray(), *second = cJSON_CreateArray();
    static const struct { const char *figure; double first, second, half, p, pairs; const char *was, *verdict, *why; } of[] = {
        {"cpu", 0.1, 0.09, 0.01, 1e-4, 8, "worse", "worse", "a second set of runs says so too: +9.0 % [+8.0, +10.0]"},
        {"step", 0.1, 0.01, 0.01, 1e-4, 8, "worse", "same", "does not say so: +1.0 %"},
        {"gemm", 0.1, 0.09, 0.08, 0.03, 8, "worse", "cannot tell", "does not say so: +9.0 %"}, /* the two that are least sure: 0.03 x 2 is above the level */
        {"elementwise", 0.1, 0.09, 0.08, 0.03, 8, "worse", "cannot tell", "does not say so: +9.0 %"},
        {"form", 0.1, -0.1, 0.01, 1e-4, 8, "worse", "cannot tell", "does not say so: -10.0 %"}, /* the other way round */
        {"head", -0.1, -0.1, 0.01, 1e-4, 8, "better", "better", "says so too"},
        {"data", 0.1, 0.1, 0.01, 1e-4, 3, "worse", "unconfirmed", "worse by one set of runs; of the second 3 pairs count, and at least 4 are wanted"},
        {"attention", 0.0, 0.5, 0.01, 1e-4, 8, "same", "same", ""},                   /* nothing was suspected */
        {"train peak", 0.1, 0.0, 0.01, 1e-4, 8, "worse", "worse", ""}};               /* exact, and not asked again */
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        cJSON_AddItemToArray(rows, suspicion(of[i].figure, of[i].first, 0.01, 1e-4, 8, of[i].was));
        cJSON_AddItemToArray(second, suspicion(of[i].figure, of[i].second, of[i].half, of[i].p, of[i].pairs, "same"));
    }
    static const struct { const char *figure, *first, *second; } other[] = {{"bits", "same", "other bits"}, {"outcome", "worse", "same"}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        cJSON_AddItemToArray(rows, suspicion(other[i].figure, 0, 0, 1, 8, other[i].first));
        cJSON_AddItemToArray(second, suspicion(other[i].figure, 0, 0, 1, 8, other[i].second));
    }
    cJSON *alone = cJSON_Duplicate(rows, true);
    zo_regress_confirm(rows, second, &usual);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        ck_assert_msg(strcmp(zo_json_text(row_of(rows, of[i].figure), "verdict"), of[i].verdict) == 0, "%s: %s", of[i].figure, zo_json_text(row_of(rows, of[i].figure), "verdict"));
        WHY(rows, of[i].figure, of[i].why);
    }
    VERDICT(rows, "bits", "other bits"); /* what the first set did not have; and what it had stays */
    WHY(rows, "bits", "in the second set of runs: ");
    VERDICT(rows, "outcome", "worse");
    zo_regress_confirm(alone, NULL, &usual);
    VERDICT(alone, "cpu", "unconfirmed");
    WHY(alone, "cpu", "worse by one set of runs; there was no time for a second one");
    VERDICT(alone, "attention", "same");
    VERDICT(alone, "train peak", "worse");
    ck_assert(!zo_regress_is_worse(row_of(alone, "cpu"), &usual));
    cJSON_Delete(rows);
    cJSON_Delete(second);
    cJSON_Delete(alone);
}
END_TEST

/* ---- the command --------------------------------------------------------------------------------------------------------- */

static void put_script(const char *name, const char *text)
{
    put(name, text);
    chmod(below(name), 0700);
}

/* A program of this name in the folder: this one, after whose runs the last row is changed by these statements. first: shell, before it. */
static void put_program(const char *name, const char *self, const char *first, const char *sql)
{
    char text[2000];
    snprintf(text, sizeof text, "#!/bin/sh\n%s\nexec %s sql \"%s\" \"$@\"\n", first, self, sql);
    put_script(name, text);
}
#define LAST "run = (SELECT max(run) FROM tries)"

/* Two programs: this one, and one whose runs are told to have taken half as much again. */
static void make_programs(char self[300])
{
    ssize_t n = readlink("/proc/self/exe", self, 299);
    ck_assert_int_gt(n, 0);
    self[n] = '\0';
    put_program("slow", self, "", "UPDATE tries SET cpu_seconds = 1.5 * cpu_seconds, disturbed = 0 WHERE " LAST "; UPDATE memory SET bytes = 2 * bytes WHERE tag = 'params' AND " LAST);
}

static int run_and_change(const char *sql, int argc, char **argv)
{
    int code = zo_cmd_run(argc, argv);
    sqlite3 *db;
    bool ok = sqlite3_open(argv[4], &db) == SQLITE_OK && sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK;
    sqlite3_close(db);
    return ok ? code : 3;
}

static const char one_cell[] = "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 0, \"test\": 4, "
                               "\"context\": 16, \"batch\": 4, \"steps\": 4, \"threads\": 1, \"optimizer\": \"mezo\"}";

START_TEST(the_command)
{
    char self[300], text[1 << 16];
    make_programs(self);
    put("suite.json", "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, "
                      "\"context\": 16, \"batch\": 4, \"steps\": 4, \"threads\": 1, \"optimizer\": [\"mezo\", \"zero-shot\"]}");
    ck_assert_msg(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("suite.json"), "--program", below("slow"), "--db", below("slow.db"), "--pairs", "4", "--disturbed",
                          "--effect", "20", "--level", "0.4", "--junit", below("junit.xml"), "--github") == 1, "%s", program_said);
    ASSERT_SAID("A regression: ");
    ASSERT_SAID("::error title=zo regress::shape:opt-tiny synth-lengths head mezo, train params: worse, +100.0 %25");
    ASSERT_SAID("mezo, cpu: worse, +");
    ASSERT_SAID("a second set of runs says so too");
    program_read("junit.xml", text, sizeof text);
    ASSERT_HAS(text, "<testsuite name=\"suite\" tests=\"");
    ASSERT_HAS(text, "<testcase classname=\"shape:opt-tiny synth-lengths head mezo\" name=\"train params\">\n      <failure message=\"");
    ASSERT_HAS(text, "name=\"bits\"/>\n");
    ASSERT_HAS(text, "  </testsuite>\n</testsuites>\n");
    /* other runs are left alone: a second comparison in the same file knows its own */
    ck_assert_msg(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("suite.json"), "--program", self, "--db", below("slow.db"), "--pairs", "4", "--disturbed", "--effect",
                          "400", "--json") == 0, "%s", program_said);
    cJSON *said = cJSON_Parse(program_said);
    ck_assert_str_eq(zo_json_text(said, "verdict"), "same or better");
    IS(row_of(cJSON_GetObjectItem(said, "rows"), "cpu"), "pairs", 4);
    ck_assert_double_gt(OF(cJSON_GetObjectItem(said, "program"), "after"), 4);
    cJSON_Delete(said);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", below("slow.db.baseline"), below("slow.db")), 0); /* what was run is kept */
    ASSERT_SAID("| same ");
}
END_TEST

/* Each cell has both orders, though a pass has an even number of them; and what is suspected to be worse has its second runs before what may be better. */
START_TEST(the_order_of_runs)
{
    char self[300], text[1000];
    static const char said[] = "if grep -q zo-sign $2; then c=0 f=%s; else c=1 f=%s; fi; printf %s$c >>%s/order";
    static const char sql[] = "UPDATE tries SET disturbed = 0, cpu_seconds = steps * $f WHERE " LAST;
    make_programs(self);
    put("suite.json", "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 0, \"test\": 4, "
                      "\"context\": 16, \"batch\": 4, \"steps\": 4, \"threads\": 1, \"optimizer\": [\"zo-sign\", \"mezo\"]}");
    snprintf(text, sizeof text, said, "0.01", "0.01", "A", program_folder);
    put_program("a", self, text, sql);
    snprintf(text, sizeof text, said, "0.001", "0.1", "B", program_folder); /* better, worse */
    put_program("b", self, text, sql);
    ck_assert_msg(COMMAND(zo_cmd_regress, "regress", "--baseline", below("a"), "--program", below("b"), below("suite.json"), "--db", below("o.db"), "--pairs", "4", "--disturbed",
                          "--effect", "400", "--memory", "500", "--json") == 1, "%s", program_said);
    program_read("order", text, sizeof text);
    ck_assert_str_eq(text, "A0B0B1A1" "B0A0A1B1" "A0B0B1A1" "B0A0A1B1" /* passes of the first set */
                           "B1A1" "A1B1" "B1A1" "A1B1" "A0B0" "B0A0" "A0B0" "B0A0");
}
END_TEST

/* Runs that are all disturbed say nothing of times, which is not the same as being the same. */
START_TEST(what_cannot_be_told)
{
    char self[300], text[1 << 14];
    make_programs(self);
    put_program("busy", self, "", "UPDATE tries SET disturbed = 1 WHERE " LAST);
    put("suite.json", one_cell);
    ck_assert_msg(COMMAND(zo_cmd_regress, "regress", "--baseline", self, "--program", below("busy"), below("suite.json"), "--db", below("u.db"), "--pairs", "4", "--junit",
                          below("u.xml")) == 3, "%s", program_said);
    ASSERT_SAID("Cannot tell: 0 of ");
    program_read("u.xml", text, sizeof text);
    ASSERT_HAS(text, "errors=\"0\"");
    ASSERT_HAS(text, "0 pairs count, others were disturbed; at least 4 are wanted");
    ck_assert_str_eq(zo_regress_word(ZO_REGRESS_UNTOLD), "cannot tell");
}
END_TEST

/* A signal that ends the program is a worse outcome, and one that ends the baseline is no comparison. */
START_TEST(a_program_that_is_killed)
{
    char self[300];
    make_programs(self);
    put("suite.json", one_cell);
    put_script("dies", "#!/bin/sh\nkill -SEGV $$\n");
    ck_assert_msg(COMMAND(zo_cmd_regress, "regress", "--baseline", self, "--program", below("dies"), below("suite.json"), "--db", below("d.db"), "--pairs", "4") == 1, "%s", program_said);
    ASSERT_SAID("dies was ended by signal 11");
    ASSERT_SAID("1 run of A has no partner in B");
    ASSERT_SAID("A regression: 1 of 1 figures worse");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("dies"), "--program", self, below("suite.json"), "--db", below("e.db"), "--pairs", "4"), 2);
    ASSERT_SAID("dies was ended by signal 11");
}
END_TEST

START_TEST(what_is_refused)
{
    char self[300];
    make_programs(self);
    put("suite.json", config);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", below("suite.json")), 2);
    ASSERT_SAID("--baseline is missing: the path of another zo program, or a git revision");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("none.json")), 2);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("suite.json"), "--pairs", "3"), 2);
    ASSERT_SAID("--pairs is 3; expected 4 to 1000");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("suite.json"), "--effect", "-1"), 2);
    ASSERT_SAID("--effect is \"-1\"; expected a number from 0.1 to 1000");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("suite.json"), "--budget", "5"), 2);
    ASSERT_SAID("expected a time such as 90s");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", "/bin/true", below("suite.json"), "--db", below("r.db")), 2);
    ASSERT_SAID("r.db");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", "/bin/false", "--program", self, below("suite.json"), "--db", below("r.db")), 2);
    put("bad", "#!/bin/sh\necho '  this is why'\nexit 5\n");
    chmod(below("bad"), 0700);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("bad"), below("suite.json"), "--db", below("r.db")), 2);
    ASSERT_SAID("ended with code 5");
    ASSERT_SAID("this is why");
    /* a report of it, which is there before anything is run, and says so */
    char text[4000];
    put("r.xml", "of the night before");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("bad"), below("suite.json"), "--db", below("r.db"), "--junit", below("r.xml")), 2);
    program_read("r.xml", text, sizeof text);
    ASSERT_HAS(text, "<testsuite name=\"suite\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n");
    ASSERT_HAS(text, "this is why\"/>\n    </testcase>\n  </testsuite>\n</testsuites>\n");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("bad"), below("suite.json"), "--db", below("r.db"), "--junit", below("none/r.xml")), 2);
    ASSERT_SAID("r.xml cannot be written");
    /* two commands in one database */
    int lock;
    zo_err err = {0};
    ck_assert_int_eq(zo_program_lock(below("r.db.lock"), &lock, &err), ZO_OK);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("bad"), below("suite.json"), "--db", below("r.db"), "--junit", below("r.xml")), 2);
    ASSERT_SAID("r.db.lock is held: another `zo regress` is at work there");
    close(lock);
    /* a baseline that calls the cells something else, and two that say nothing */
    put("suite.json", one_cell);
    put_program("other", self, "", "UPDATE cells SET hash = 'x' || hash");
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("other"), "--program", self, below("suite.json"), "--db", below("h.db")), 2);
    ASSERT_SAID("other, or what it is compared with, names the cells of mezo otherwise");
    put("suite.json", config);
    /* a limit that leaves cells out */
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", self, below("suite.json"), "--program", self, "--db", below("r.db"), "--budget", "0.05s"), 2);
    ASSERT_SAID("the time limit left no time for ");
}
END_TEST

/* What asks the command to end asks the run that it waits for, and only then it ends, by that signal. */
START_TEST(a_run_is_asked_to_end_too)
{
    char script[500], text[100];
    snprintf(script, sizeof script, "#!/bin/sh\ntrap 'echo saved >%s/saved; exit 1' TERM\nkill -TERM $PPID\nfor i in $(seq 200); do sleep 0.05; done\n", program_folder);
    put_script("long", script);
    put("suite.json", config);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", below("long"), "--program", below("long"), below("suite.json"), "--db", below("l.db")), 128 + SIGTERM);
    program_read("saved", text, sizeof text);
    ck_assert_str_eq(text, "saved\n");
}
END_TEST

/* A repository whose program is this one: its revision is built in a clone, and once. What is not committed stays as it is, whatever stands in the clone's place and
 * whatever repository the environment names. */
START_TEST(a_revision_is_built)
{
    char self[300], script[2000];
    make_programs(self);
    put("suite.json", one_cell);
    snprintf(script, sizeof script,
             "cd %s && mkdir -p tree && cd tree && git init -q . && printf 'zo:\\n\\techo made >>../made; cp %s zo\\n' >Makefile && git add Makefile && "
             "git -c user.name=a -c user.email=a@b commit -qm one && echo '# mine' >>Makefile && mkdir -p build/regress/$(git rev-parse HEAD)", program_folder, self);
    ck_assert_int_eq(system(script), 0);
    ck_assert_int_eq(chdir(below("tree")), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", "HEAD", below("suite.json"), "--program", self, "--db", below("g.db")), 2);
    ASSERT_SAID("where that is no whole clone, delete it");
    ck_assert_int_eq(system("grep -q mine Makefile"), 0);
    ck_assert_int_eq(system("c=build/regress/$(git rev-parse HEAD) && rmdir $c && mkdir $c.new && touch $c.new/part && git init -q ../else"), 0);
    int lock;
    zo_err err = {0};
    ck_assert_int_eq(zo_program_lock("build/regress/lock", &lock, &err), ZO_OK);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", "HEAD", below("suite.json"), "--program", self, "--db", below("g.db")), 2);
    ASSERT_SAID("build/regress/lock is held");
    close(lock);
    setenv("GIT_DIR", below("else/.git"), 1);
    setenv("GIT_WORK_TREE", below("tree"), 1);
    setenv("GIT_INDEX_FILE", below("else/.git/index"), 1);
    ck_assert_msg(COMMAND(zo_cmd_regress, "regress", "--baseline", "HEAD", below("suite.json"), "--program", self, "--db", below("g.db"), "--pairs", "4", "--disturbed", "--effect",
                          "400") == 0, "%s", program_said);
    ASSERT_SAID("building ");
    ASSERT_SAID("A is HEAD (revision ");
    ASSERT_SAID("Same or better: 0 of ");
    ASSERT_SAID("Both are one program, byte for byte.");
    ASSERT_SAID("| bits ");
    unsetenv("GIT_DIR");
    unsetenv("GIT_WORK_TREE");
    unsetenv("GIT_INDEX_FILE");
    ck_assert_int_eq(system("grep -q mine Makefile && test ! -e ../else/.git/index && test -f ../g.db.baseline.$(git rev-parse HEAD | cut -c 1-12)"), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", "nothing", below("suite.json"), "--db", below("g.db")), 2);
    ASSERT_SAID("--baseline nothing is neither a file nor a git revision of the tree in this folder");
    snprintf(script, sizeof script, "cd %s/tree && printf 'zo:\\n\\techo broken >&2; exit 1\\n' >Makefile && git -c user.name=a -c user.email=a@b commit -qam two", program_folder);
    ck_assert_int_eq(system(script), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_regress, "regress", "--baseline", "HEAD", below("suite.json"), "--db", below("g.db")), 2);
    ASSERT_SAID("the revision does not build (build/regress/log): ");
    program_read("tree/build/regress/made", script, sizeof script);
    ck_assert_str_eq(script, "made\n");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the two that are compared, and the cells' process too */
        int code = strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0 ? zo_cmd_run(argc - 1, argv + 1)
                   : strcmp(argv[1], "sql") == 0 && argc > 7 ? run_and_change(argv[2], argc - 3, argv + 3)
                                                            : 127;
        return zo_output_end(argv[1], code);
    }
    program_begin("regress");
    TCase *t = tcase_create("regress");
    tcase_set_timeout(t, 120);
    tcase_add_unchecked_fixture(t, make_base, NULL);
    tcase_add_test(t, what_is_the_same);
    tcase_add_test(t, times_by_hand);
    tcase_add_test(t, disturbed_runs_do_not_count);
    tcase_add_test(t, memory_is_exact);
    tcase_add_test(t, bits_and_outcomes);
    tcase_add_test(t, runs_without_a_partner);
    tcase_add_test(t, scores);
    tcase_add_test(t, a_second_set_confirms);
    tcase_add_test(t, the_command);
    tcase_add_test(t, the_order_of_runs);
    tcase_add_test(t, what_cannot_be_told);
    tcase_add_test(t, a_program_that_is_killed);
    tcase_add_test(t, what_is_refused);
    tcase_add_test(t, a_run_is_asked_to_end_too);
    tcase_add_test(t, a_revision_is_built);
    Suite *suite = suite_create("regress");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
