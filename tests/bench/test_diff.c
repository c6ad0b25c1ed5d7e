/* test_diff.c: `zo diff` through the whole program. A matrix is run once; the other side is a copy in which figures were changed by known amounts, so every
 * number of the answer is known by hand. */
#include <cjson/cJSON.h>
#include <math.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/output.h"
#include "tests/program.h"
#include "tests/suite.h"

static const char config[] = "{\"model\": \"shape:opt-tiny\", \"init\": \"random\", \"task\": \"synth-lengths\", \"form\": \"head\", \"train\": 8, \"dev\": 4, \"test\": 4, "
                             "\"context\": 16, \"batch\": 4, \"steps\": 4, \"eval_every\": 2, \"threads\": 1, \"seed\": [0, 1, 2], \"optimizer\": [\"mezo\", \"fo-sgd\"]}";

static void run_into(const char *db, const char *more)
{
    put("c.json", config);
    const char *const word[] = {"run", below("c.json"), "--db", below(db), more, NULL};
    ck_assert_msg(command(zo_cmd_run, word) == 0, "%s", program_said);
}

/* A database as the run left it, with figures that this machine's load cannot change. */
static void make_base(const char *db)
{
    run_into(db, NULL);
    change(db, "UPDATE tries SET disturbed = 0, step_ms_median = 10 + (SELECT seed FROM cells c WHERE c.cell = tries.cell), train_peak_bytes = 2000000, metric_value = 0.5;"
               "UPDATE parts SET ms = CASE part WHEN 'gemm' THEN 5 ELSE 1 END; UPDATE memory SET bytes = 250000 WHERE phase = 'train';"
               "UPDATE evaluations SET accuracy = 0.25 * (1 + step / 2), work = 10 * step WHERE split = 'dev'; PRAGMA wal_checkpoint(TRUNCATE)");
}

static void copy(const char *from, const char *to)
{
    char *bytes;
    size_t n;
    zo_err err = {0};
    ck_assert(zo_read_file(below(from), 1 << 24, &bytes, &n, &err) == ZO_OK && zo_write_file(below(to), bytes, n, &err) == ZO_OK);
    zo_free(bytes);
}

/* The row of this method; the caller deletes *all. */
static const cJSON *diff(const char *a, const char *b, const char *method, cJSON **all)
{
    ck_assert_msg(COMMAND(zo_cmd_diff, "diff", below(a), below(b), "--json") == 0, "%s", program_said);
    *all = cJSON_Parse(program_said);
    const cJSON *row = (*all)->child;
    while (row != NULL && strcmp(cJSON_GetObjectItem(row, "method")->valuestring, method) != 0) {
        row = row->next;
    }
    ck_assert_ptr_nonnull(row);
    return row;
}

static double of(const cJSON *row, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(row, key);
    ck_assert_msg(v != NULL, "%s", key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

#define IS(row, key, value) ck_assert_msg(fabs(of(row, key) - (value)) < 1e-9 * (1 + fabs((double)(value))), "%s is %.12g, not %.12g", key, of(row, key), (double)(value))
#define NONE(row, key) ck_assert_msg(isnan(of(row, key)), "%s is %.12g", key, of(row, key))
#define WORD(row, key, value) ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(row, key)->valuestring, value)

START_TEST(one_binary_is_the_same)
{
    cJSON *all;
    make_base("a.db");
    copy("a.db", "b.db");
    const cJSON *row = diff("a.db", "b.db", "mezo", &all);
    ck_assert_int_eq(cJSON_GetArraySize(all), 2);
    IS(row, "pairs", 3);
    IS(row, "unequal", 0);
    NONE(row, "first");
    IS(row, "score_difference", 0);
    IS(row, "step_ms", 11);
    IS(row, "step_ratio", 1);
    IS(row, "quiet", 3);
    IS(row, "memory_ratio", 1);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(row, "part")) && cJSON_IsNull(cJSON_GetObjectItem(row, "tag")));
    WORD(row, "outcome", "");
    cJSON_Delete(all);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", below("a.db"), below("b.db")), 0);
    ASSERT_SAID("| same ");
    ASSERT_SAID("0 cells of A alone and 0 of B alone stand in no row; 0 pairs ended otherwise");
}
END_TEST

START_TEST(every_figure_is_known_by_hand)
{
    static const char mezo[] = "(SELECT shown FROM cells WHERE optimizer = 'mezo' AND seed = ";
    char sql[3000];
    cJSON *all;
    make_base("a.db");
    copy("a.db", "b.db");
    /* a run of B without a peak and a step's time is in neither mean, nor in what changed most; another score of an evaluation is no equal evaluation */
    change("b.db", "UPDATE tries SET train_peak_bytes = NULL, step_ms_median = NULL WHERE run = (SELECT shown FROM cells WHERE optimizer = 'mezo' AND seed = 2);"
                   "UPDATE parts SET ms = 100 WHERE run = (SELECT shown FROM cells WHERE optimizer = 'mezo' AND seed = 2);"
                   "DELETE FROM memory WHERE run = (SELECT shown FROM cells WHERE optimizer = 'mezo' AND seed = 2);"
                   "UPDATE evaluations SET token_f1 = 0.5 WHERE step = 4 AND run = (SELECT shown FROM cells WHERE optimizer = 'fo-sgd' AND seed = 1)");
    const cJSON *row = diff("a.db", "b.db", "mezo", &all);
    IS(row, "quiet", 2);
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(row, "part")) && cJSON_IsNull(cJSON_GetObjectItem(row, "tag")));
    IS(row, "memory_ratio", 1);
    cJSON_Delete(all);
    row = diff("a.db", "b.db", "fo-sgd", &all);
    IS(row, "unequal", 1);
    IS(row, "first", 4);
    cJSON_Delete(all);
    copy("a.db", "b.db");
    /* steps are 10 %, 20 % and 40 % longer; scores 1, 2 and 3 points better; all differ in evaluations at step 2. Of SGD seed 0 lacks a step, and
     * seed 1 has other losses in the last bit from step 3 */
    snprintf(sql, sizeof sql,
             "UPDATE tries SET step_ms_median = step_ms_median * 1.1, metric_value = 0.51 WHERE run = %s0); UPDATE tries SET step_ms_median = step_ms_median * 1.2, metric_value = 0.52 "
             "WHERE run = %s1); UPDATE tries SET step_ms_median = step_ms_median * 1.4, metric_value = 0.53 WHERE run = %s2);"
             "UPDATE steps SET loss = loss * (1 + 1e-15) WHERE run = (SELECT shown FROM cells WHERE optimizer = 'fo-sgd' AND seed = 1) AND step >= 3; UPDATE evaluations SET loss = loss * (1 + 1e-15) WHERE run = %s2) AND step = 2 AND split = 'test';"
             "UPDATE tries SET train_peak_bytes = 3000000 WHERE run IN (SELECT shown FROM cells WHERE optimizer = 'mezo');"
             "UPDATE parts SET ms = ms + 1.5 WHERE part = 'head' AND run IN (SELECT shown FROM cells WHERE optimizer = 'mezo');"
             "UPDATE parts SET ms = ms - 0.5 WHERE part = 'gemm' AND run IN (SELECT shown FROM cells WHERE optimizer = 'mezo');"
             "UPDATE memory SET bytes = 1250000 WHERE phase = 'train' AND tag = 'snapshot' AND run IN (SELECT shown FROM cells WHERE optimizer = 'mezo');"
             "UPDATE evaluations SET accuracy = 0.75 WHERE split = 'dev' AND step = 2 AND run IN (SELECT shown FROM cells WHERE optimizer = 'mezo');"
             "UPDATE tries SET disturbed = 1 WHERE run IN (SELECT shown FROM cells WHERE optimizer = 'fo-sgd' AND seed > 0);"
             "UPDATE tries SET status = 'oom' WHERE run = (SELECT shown FROM cells WHERE optimizer = 'fo-sgd' AND seed = 2);"
             "DELETE FROM steps WHERE step = 4 AND run = (SELECT shown FROM cells WHERE optimizer = 'fo-sgd' AND seed = 0)",
             mezo, mezo, mezo, mezo);
    change("b.db", sql);
    row = diff("a.db", "b.db", "mezo", &all);
    const double t = 4.302652729749464; /* Student's, 2 degrees of freedom, 97.5 % */
    double l[3] = {log(1.1), log(1.2), log(1.4)}, mean = (l[0] + l[1] + l[2]) / 3, sum = 0;
    for (int i = 0; i < 3; i++) {
        sum += (l[i] - mean) * (l[i] - mean);
    }
    double half = t * sqrt(sum / 2) / sqrt(3);
    IS(row, "unequal", 3);
    IS(row, "first", 2);
    IS(row, "score", 0.5);
    IS(row, "score_b", 0.52);
    IS(row, "score_difference", 0.02);
    IS(row, "score_difference_low", 0.02 - t * 0.01 / sqrt(3));
    IS(row, "score_difference_high", 0.02 + t * 0.01 / sqrt(3));
    IS(row, "step_ms", 11);
    IS(row, "step_ms_b", (10 * 1.1 + 11 * 1.2 + 12 * 1.4) / 3);
    IS(row, "step_ratio", exp(mean));
    IS(row, "step_ratio_low", exp(mean - half));
    IS(row, "step_ratio_high", exp(mean + half));
    WORD(row, "part", "head");
    IS(row, "part_ms", 1.5);
    IS(row, "train_mb", 2);
    IS(row, "train_mb_b", 3);
    IS(row, "memory_ratio", 1.5);
    WORD(row, "tag", "snapshot");
    IS(row, "tag_mb", 1);
    IS(row, "work", 40); /* 0.75 at step 4 on side A, at step 2 on side B: 10 work a step */
    IS(row, "work_b", 20);
    IS(row, "work_ratio", 0.5);
    WORD(row, "outcome", "");
    cJSON_Delete(all);
    row = diff("a.db", "b.db", "fo-sgd", &all);
    IS(row, "unequal", 2);
    IS(row, "first", 3);
    IS(row, "quiet", 1);
    IS(row, "step_ms", 10);
    NONE(row, "step_ratio_low"); /* of one pair */
    WORD(row, "outcome", "done, oom");
    cJSON_Delete(all);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", below("a.db"), below("b.db")), 0);
    ASSERT_SAID("3 differ, from step 2");
    ASSERT_SAID("2 differ, from step 3");
    ASSERT_SAID("50.0 → 52.0");
    ASSERT_SAID("+2.0 [-0.5, +4.5]");
    ASSERT_SAID("head +1.5");
    ASSERT_SAID("2 → 3");
    ASSERT_SAID("+50.0 %");
    ASSERT_SAID("ended done, oom; times of 1 pairs");
    ASSERT_SAID("1 pairs ended otherwise");
}
END_TEST

START_TEST(revisions_of_one_database)
{
    run_into("r.db", NULL);
    change("r.db", "UPDATE tries SET revision = 'aaaa11112222', disturbed = 0");
    run_into("r.db", "--redo");
    change("r.db", "UPDATE tries SET revision = 'bbbb11112222', host = 'other', disturbed = 0, step_ms_median = 3 WHERE revision NOT LIKE 'aaaa%';"
                   "UPDATE tries SET step_ms_median = 2 WHERE revision LIKE 'aaaa%'");
    ck_assert_msg(COMMAND(zo_cmd_diff, "diff", "aaaa", "bbbb", "--db", below("r.db"), "--json") == 0, "%s", program_said);
    cJSON *all = cJSON_Parse(program_said);
    ck_assert_int_eq(cJSON_GetArraySize(all), 2);
    IS(all->child, "pairs", 3);
    IS(all->child, "unequal", 0); /* the same program, run twice */
    IS(all->child, "step_ratio", 1.5);
    cJSON_Delete(all);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "bbbb", "aaaa", "--db", below("r.db"), "--json"), 0);
    all = cJSON_Parse(program_said);
    IS(all->child, "step_ratio", 2.0 / 3);
    cJSON_Delete(all);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "oth", "other", "--db", below("r.db"), "--by", "host", "--json"), 0);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "aaaa", "cccc", "--db", below("r.db")), 2);
    ASSERT_SAID("no finished run has a revision that begins with \"cccc\"; there are: bbbb11112222, aaaa11112222");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "aaaa", "it's", "--db", below("r.db")), 2);
    ASSERT_SAID("begins with \"it's\"");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "a", "b", "--db", below("r.db"), "--by", "colour"), 2);
    ASSERT_SAID("--by is \"colour\"; expected revision, binary, host, device, compiler or kernel");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "a", "b", "--db", below("none.db")), 2);
    ASSERT_SAID("there is no such database");
    /* of two tries of a revision the last to begin, whatever their numbers: merged databases have them in any order */
    change("r.db", "UPDATE tries SET began = '2999-01-01T00:00:00Z', step_ms_median = 30 WHERE run = (SELECT min(run) FROM tries WHERE revision LIKE 'bbbb%');"
                   "UPDATE tries SET revision = 'aaaa11112222' WHERE run = (SELECT min(run) FROM tries WHERE revision LIKE 'bbbb%')");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "bbbb", "aaaa", "--db", below("r.db"), "--json"), 0);
    ck_assert_ptr_nonnull(strstr(program_said, "\"pairs\":\t2"));
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "aaaa", "aaaa", "--db", below("r.db"), "--json"), 0);
    all = cJSON_Parse(program_said);
    IS(all->child, "step_ms", (30 + 2 + 2) / 3.0);
    cJSON_Delete(all);
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", below("r.db"), below("none.db")), 2);
    ASSERT_SAID("none.db: there is no such file, and ");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", "", "aaaa", "--db", below("r.db")), 2);
    ASSERT_SAID("a side is an empty text");
    /* cells that one side alone has, and nothing in common */
    change("r.db", "PRAGMA wal_checkpoint(TRUNCATE)");
    copy("r.db", "s.db");
    change("s.db", "UPDATE cells SET identity = 'x' || cell WHERE seed = 0");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", below("r.db"), below("s.db")), 0);
    ASSERT_SAID("2 cells of A alone and 2 of B alone");
    change("s.db", "UPDATE cells SET identity = 'y' || cell");
    ck_assert_int_eq(COMMAND(zo_cmd_diff, "diff", below("r.db"), below("s.db")), 2);
    ASSERT_SAID("have no cell in common: 6 and 6 cells stand alone");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) { /* this program is the cells' process too */
        return zo_output_end(argv[1], strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : 127);
    }
    program_begin("diff");
    TCase *t = tcase_create("diff");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, one_binary_is_the_same);
    tcase_add_test(t, every_figure_is_known_by_hand);
    tcase_add_test(t, revisions_of_one_database);
    Suite *suite = suite_create("diff");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
