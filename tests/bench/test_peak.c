/* test_peak.c: the memory of training (and what a row says of probes) through the whole of `zo run`: it is the same whatever is evaluated, how much and in which batches,
 * and follows the rows that there are. This program stands in for `zo`: started with a command it is that command. The models are shapes
 * with drawn weights, the task is synthetic. */
#include <check.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];

static const char *scratch(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

static void run(const char *config, const char *db)
{
    char text[600];
    zo_err err = {0};
    ck_assert_msg(zo_write_file(scratch("c.json"), config, strlen(config), &err) == ZO_OK, "%s", err.text);
    snprintf(text, sizeof text, "/proc/%d/exe run %s --db %s >%s 2>&1", (int)getpid(), scratch("c.json"), scratch(db), scratch("said"));
    int status = system(text);
    char *said;
    size_t n;
    ck_assert(zo_read_file(scratch("said"), 1 << 20, &said, &n, &err) == ZO_OK);
    ck_assert_msg(status == 0, "%s\n%s", config, said);
    zo_free(said);
}

/* The rows' columns, '|' between them, ';' after each row. */
static const char *ask(const char *db, const char *sql)
{
    static char text[2][20000];
    static int turn;
    turn = !turn;
    text[turn][0] = '\0';
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open_v2(scratch(db), &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(handle));
    while (sqlite3_step(s) == SQLITE_ROW) {
        size_t at = strlen(text[turn]);
        for (int c = 0; c < sqlite3_column_count(s); c++) {
            at += (size_t)snprintf(text[turn] + at, sizeof text[turn] - at, "%s%s", c > 0 ? "|" : "", (const char *)sqlite3_column_text(s, c));
        }
        snprintf(text[turn] + at, sizeof text[turn] - at, ";");
    }
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return text[turn];
}

#define METHODS "\"mezo\", \"mezo-svrg\", {\"name\": \"mezo-svrg\", \"mode\": \"replay\"}, \"tezo\", \"tezo-adam\", \"fo-sgd\", \"fo-adamw\""
#define COMMON "\"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 40, \"context\": 48, \"steps\": 4, \"eval_every\": 2, \"threads\": 2, \"batch\": 8"

static const struct { const char *name, *config; } grid[] = {
    {"models", "{\"model\": [\"shape:opt-tiny\", \"shape:llama-tiny\", \"shape:roberta-tiny\"], \"form\": [\"head\", \"prompt\"], \"optimizer\": [\"mezo\", \"fo-adamw\"], "
               COMMON ", %s}"},
    {"methods", "{\"model\": \"shape:llama-tiny\", \"form\": \"prompt\", \"optimizer\": [" METHODS "], \"realisation\": [\"inplace\", \"streamed\"], " COMMON ", %s}"},
    {"beside", "{\"model\": \"shape:opt-tiny\", \"form\": \"prompt\", \"optimizer\": [\"tezo\", \"tezo-m\"], \"realisation\": \"sidepath\", \"accumulate\": [\"weights\", \"log\"], "
               COMMON ", %s}"},
    {"stored", "{\"model\": \"shape:opt-tiny\", \"form\": \"head\", \"optimizer\": \"mezo\", \"realisation\": \"streamed\", \"storage\": [\"f32\", \"bf16\", \"f16\"], "
               "\"accumulate\": [\"weights\", \"log\"], " COMMON ", %s}"}};

static const char *const evaluations[] = {"\"dev\": 0, \"test\": 0", "\"dev\": 3, \"test\": 0", "\"dev\": 60, \"test\": 200",
                                          "\"dev\": 60, \"test\": 200, \"eval_batch\": 50", "\"dev\": 60, \"test\": 200, \"eval_batch\": 2147483647"};

START_TEST(training_does_not_know_of_evaluations)
{
    enum { HOW = sizeof evaluations / sizeof *evaluations };
    char config[2000], want[20000], of_evaluation[20000] = "";
    for (int how = 0; how < HOW; how++) {
        char db[20];
        snprintf(db, sizeof db, "%d_%d.db", _i, how);
        snprintf(config, sizeof config, grid[_i].config, evaluations[how]);
        run(config, db);
        const char *peaks = ask(db, "select model, form, optimizer, optimizer_options, realisation, storage, accumulate, train_peak_bytes from runs order by 1, 2, 3, 4, 5, 6, 7");
        ck_assert(strlen(peaks) > 60 && strstr(peaks, "(null)") == NULL);
        if (how == 0) {
            strcpy(want, peaks);
        }
        ck_assert_msg(strcmp(peaks, want) == 0, "%s: with %s\n%s\nwith none\n%s", grid[_i].name, evaluations[how], peaks, want);
        /* the evaluations were made, with the same numbers whatever their batches are, and the large ones take more than training */
        const char *numbers = ask(db, "select count(*), group_concat(accuracy), group_concat(loss) from (select * from evaluations order by run, step, split)");
        if (how == 2) {
            strcpy(of_evaluation, numbers);
            ck_assert(atoi(numbers) > 6);
        }
        ck_assert_msg(how <= 2 || strcmp(numbers, of_evaluation) == 0, "%s: with %s\n%s\n%s", grid[_i].name, evaluations[how], numbers, of_evaluation);
        if (how == HOW - 1) {
            ck_assert_str_eq(ask(db, "select count(*) from runs where peak_bytes < 1.2 * train_peak_bytes"), "0;");
        }
    }
}
END_TEST

/* The system's own figure: a run with small evaluations takes as much less than one with large ones as the ledger says. The blocks that differ
 * are maps of their own, which leave the process when they are freed. Both are above what starting a process takes for a moment, which the
 * ledger does not know and which hides a smaller difference. */
START_TEST(the_system_agrees)
{
    static const char text[] = "{\"model\": \"shape:opt-tiny\", \"form\": \"head\", \"optimizer\": \"mezo\", \"init\": \"random\", \"task\": \"synth-lengths\", "
                               "\"train\": 40, \"context\": 48, \"steps\": 4, \"threads\": 1, \"batch\": 8, \"eval_batch\": 8000, %s}";
    char config[600];
    double ledger[2], system[2];
    for (int how = 0; how < 2; how++) {
        char db[20];
        snprintf(db, sizeof db, "rss%d.db", how);
        snprintf(config, sizeof config, text, how ? "\"dev\": 0, \"test\": 8000" : "\"dev\": 0, \"test\": 1000");
        run(config, db);
        ck_assert_int_eq(sscanf(ask(db, "select peak_bytes, rss_peak_bytes from runs"), "%lf|%lf", &ledger[how], &system[how]), 2);
    }
    ck_assert(ledger[0] > 20e6 && ledger[1] - ledger[0] > 18e6);
    ck_assert_msg(system[1] - system[0] > 0.8 * (ledger[1] - ledger[0]) && system[1] - system[0] < 1.2 * (ledger[1] - ledger[0]),
                  "ledger %.0f and %.0f, system %.0f and %.0f", ledger[0], ledger[1], system[0], system[1]);
}
END_TEST

/* A batch larger than the training set is all of it: the same run as with a batch of its size, in the same memory. */
START_TEST(a_batch_is_at_most_the_training_set)
{
    static const char *const of[] = {"12", "13", "2000000000"};
    static const char text[] = "{\"model\": \"shape:opt-tiny\", \"form\": \"head\", \"optimizer\": [\"mezo\", \"mezo-svrg\", \"fo-sgd\"], \"init\": \"random\", "
                               "\"task\": \"synth-lengths\", \"train\": 12, \"dev\": 0, \"test\": 0, \"context\": 48, \"steps\": 5, \"threads\": 1, \"batch\": %s}";
    static const char *const sql[] = {"select optimizer, train_peak_bytes, forwards, examples, tokens from runs order by 1",
                                      "select optimizer, s.step, s.loss, s.projected from steps s join runs r on r.run = s.run order by 1, 2"};
    char config[600], want[2][20000];
    for (int k = 0; k < 3; k++) {
        char db[20];
        snprintf(db, sizeof db, "batch%d.db", k);
        snprintf(config, sizeof config, text, of[k]);
        run(config, db);
        for (int q = 0; q < 2; q++) {
            const char *rows = ask(db, sql[q]);
            if (k == 0) {
                strcpy(want[q], rows);
            }
            ck_assert_str_eq(rows, want[q]);
        }
    }
    ck_assert(strncmp(want[0], "fo-sgd|", 7) == 0 && strstr(want[0], "|5|60|") != NULL); /* 5 gradients of 12 rows */
}
END_TEST

/* What a row says of probes: of those that rounding swallows a note, of those in place the drift that their way back leaves: none but
 * of methods that move weights in place, more in 16 bits, and the training peak does not know of the look at it. */
START_TEST(rows_say_what_probes_do)
{
    static const char text[] = "{\"model\": \"shape:opt-tiny\", \"form\": \"head\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 12, \"dev\": 0, "
                               "\"test\": 0, \"context\": 48, \"steps\": 3, \"threads\": 1, \"batch\": 4, %s}";
    static const struct { const char *more; bool note; double least, most; } of[] = {
        {"\"optimizer\": \"mezo\", \"realisation\": \"inplace\"", false, 1e-10, 3e-7},
        {"\"optimizer\": \"tezo\", \"realisation\": \"inplace\"", false, 1e-10, 3e-7},
        {"\"optimizer\": {\"name\": \"mezo-svrg\", \"mode\": \"replay\"}, \"realisation\": \"inplace\"", false, 1e-10, 3e-7},
        {"\"optimizer\": \"mezo\", \"realisation\": \"inplace\", \"storage\": \"bf16\"", false, 1e-5, 1e-2},
        {"\"optimizer\": \"mezo\", \"realisation\": \"streamed\"", false, -1, -1},
        {"\"optimizer\": \"tezo\", \"realisation\": \"sidepath\"", false, -1, -1},
        {"\"optimizer\": \"fo-sgd\"", false, -1, -1},
        {"\"optimizer\": {\"name\": \"mezo\", \"eps\": 1e-12}, \"realisation\": \"inplace\", \"storage\": \"bf16\"", true, 0, 0},
        {"\"optimizer\": {\"name\": \"mezo\", \"eps\": 1e-7}, \"realisation\": \"inplace\", \"storage\": \"f16\"", true, 0, 1e-5},
        {"\"optimizer\": {\"name\": \"mezo\", \"eps\": 1e-12}, \"realisation\": \"streamed\"", true, -1, -1},
        {"\"optimizer\": {\"name\": \"tezo\", \"eps\": 1e-14}, \"realisation\": \"sidepath\"", true, -1, -1}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char config[800], db[20];
        double drift = -1;
        snprintf(db, sizeof db, "note%zu.db", k);
        snprintf(config, sizeof config, text, of[k].more);
        run(config, db);
        const char *note = ask(db, "select coalesce(note, '') from runs");
        ck_assert_msg((strstr(note, "eps ") != NULL) == of[k].note, "%s: \"%s\"", of[k].more, note);
        ck_assert_int_eq(sscanf(ask(db, "select coalesce(drift_max, -1) from runs"), "%lf", &drift), 1);
        ck_assert_msg(drift >= of[k].least && drift <= of[k].most, "%s: drift %g", of[k].more, drift);
    }
    /* an eps that is no normal number is refused */
    char config[800], command[400];
    zo_err err = {0};
    snprintf(config, sizeof config, text, "\"optimizer\": {\"name\": \"mezo\", \"eps\": 1e-39}");
    ck_assert(zo_write_file(scratch("eps.json"), config, strlen(config), &err) == ZO_OK);
    snprintf(command, sizeof command, "/proc/%d/exe run %s --db %s 2>&1 | grep -q 'smallest normal'", (int)getpid(), scratch("eps.json"), scratch("eps.db"));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

/* ---- parameter views ---------------------------------------------------------------------------------------------------- */

/* A buffer's floats, as passes lay them. */
static int64_t b16(int64_t n)
{
    return (n + 15) / 16 * 16;
}

/* Two layers of 64 with 2 heads; 4 sequences of 32 tokens, of which a head reads a row each. */
enum { H = 64, T = 128, R = 4, TH = T * H, RH = R * H, STATS = 2 * T };

/* Bytes of ACTIVATIONS of a run whose gradient pass lays `floats`: these, the lists on the host, and RoPE's tables. */
static int64_t activation_bytes(int64_t floats, int64_t table_rows, bool rope)
{
    int64_t classes = 2, lists = 4 * T + 3 * T + 2 * R * classes + 4 * (T + classes);
    return 4 * floats + 4 * lists + 8 * classes + table_rows + (rope ? 4 * 2 * T * 16 : 0);
}

/* What gradients keep, counted by hand from the layers: of a trained weight its input; of what leads down to the lowest trained stage the input
 * of norms, queries, keys, values and the attention's output, and what the activation reads. All else is in the memory of one forward pass, x, h
 * and r, which the backward pass works in later. Peaks are those of the whole program. */
START_TEST(gradients_keep_what_they_read)
{
    int64_t s = b16(2 * R), f = 256, head = 3 * RH + s + b16(2 * R) + RH + b16(2 * R); /* three buffers, norm's stats; slopes, dhidden; logits */
    int64_t work = 2 * TH + T * f, final = RH + s;
    int64_t side = 2 * TH + 2 * TH + 2 * STATS + TH / 2 + 3 * T + TH + STATS + T; /* an adapter of 32 numbers a token */
    int64_t top = 5 * RH + 2 * TH + 3 * s; /* of a last block after norms: rows of its input, q, a, mid, out; k, v; lse, two norms */
    struct { const char *model, *tune; bool checkpoint; int64_t floats; } of[] = {
        /* norms behind: x0, its stats, x; q k v a mid h2 out y, lse and the two norms' stats, pre f; the last block */
        {"roberta", "full", false, 2 * TH + STATS + 8 * TH + 3 * STATS + 2 * T * f + top + RH + 2 * R * f + RH + head + TH + work},
        {"roberta", "bias", false, 6 * TH + 3 * STATS + T * f + top + R * f + RH + head + TH + work},
        {"roberta", "prefix tokens 5 init activations", false, 6 * TH + 3 * STATS + T * f + top + R * f + RH + head + TH + work + 2 * 5 * H}, /* its keys and values, and not what they are read from */
        /* behind the first block: two inputs, what they become before and behind their norms, stats; the mixture, score and two sums; the output and stats; gate */
        {"roberta", "side downsample 2 late 1", false, side + top + R * f + RH + head + TH + work},
        {"roberta", "last layers 1", false, TH + top + RH + 2 * R * f + RH + head + TH + work},
        {"roberta", "head", false, RH + head + work},
        /* as bias, and what A reads: x, y; x A^T and its gradient, 8 numbers a token */
        {"roberta", "lora rank 8 alpha 16 on q,v", false, 8 * TH + 3 * STATS + T * f + top + R * f + RH + head + TH + work + 16 * T},
        /* block inputs, and one block's buffers for all */
        {"roberta", "full", true, 2 * TH + STATS + TH + 7 * TH + 3 * STATS + 2 * T * f + TH + RH + head + TH + work},
        {"roberta", "bias", true, TH + TH + 6 * TH + 3 * STATS + T * f + TH + RH + head + TH + work},
        {"roberta", "prefix tokens 5 init activations", true, TH + TH + 6 * TH + 3 * STATS + T * f + TH + RH + head + TH + work + 2 * 5 * H},
        {"roberta", "side downsample 2 late 1", true, side + TH + top + R * f + RH + head + TH + work},
        {"roberta", "last layers 1", true, TH + top + RH + 2 * R * f + RH + head + TH + work},
        {"roberta", "head", true, RH + head + work},
        {"roberta", "lora rank 8 alpha 16 on q,v", true, TH + TH + 6 * TH + 3 * STATS + T * f + TH + RH + head + TH + work + 16 * T},
        /* norms before: x; h1, its stats, q k v a mid h2 y, lse and a norm's stats, pre f; the last block: rows of its input and of h1, q a mid h2, k v */
        {"opt", "full", false, TH + TH + STATS + 7 * TH + 2 * STATS + 2 * T * f + TH + STATS + 6 * RH + 2 * TH + 2 * s + 2 * R * f + RH + final + head + TH + work},
        {"opt", "bias", false, 6 * TH + 2 * STATS + T * f + STATS + 4 * RH + 2 * TH + 2 * s + R * f + RH + final + head + TH + work},
        {"opt", "prefix tokens 5 init activations", false, 6 * TH + 2 * STATS + T * f + STATS + 4 * RH + 2 * TH + 2 * s + R * f + RH + final + head + TH + work + 2 * 5 * H},
        {"opt", "side downsample 2 late 1", false, side + TH + STATS + 4 * RH + 2 * TH + 2 * s + R * f + RH + final + head + TH + work},
        {"opt", "last layers 1", false, TH + TH + STATS + 6 * RH + 2 * TH + 2 * s + 2 * R * f + RH + final + head + TH + work},
        {"opt", "head", false, RH + final + head + work},
        /* h1 q k v a mid y; of the last block h1 too, and its rows */
        {"opt", "lora rank 8 alpha 16 on q,v", false, 7 * TH + 2 * STATS + T * f + TH + STATS + 5 * RH + 2 * TH + 2 * s + R * f + RH + final + head + TH + work + 16 * T},
        {"opt", "full", true, TH + TH + TH + TH + STATS + 6 * TH + 2 * STATS + 2 * T * f + 2 * RH + final + head + TH + work},
        {"opt", "bias", true, TH + TH + TH + STATS + 5 * TH + 2 * STATS + T * f + RH + final + head + TH + work},
        {"opt", "prefix tokens 5 init activations", true, TH + TH + TH + STATS + 5 * TH + 2 * STATS + T * f + RH + final + head + TH + work + 2 * 5 * H},
        {"opt", "side downsample 2 late 1", true, side + TH + STATS + 4 * RH + 2 * TH + 2 * s + R * f + RH + final + head + TH + work},
        {"opt", "last layers 1", true, TH + TH + STATS + 6 * RH + 2 * TH + 2 * s + 2 * R * f + RH + final + head + TH + work},
        {"opt", "head", true, RH + final + head + work},
        /* a gate beside: feed-forward 176, and both before their product */
        {"llama", "full", false, TH + TH + STATS + 7 * TH + 2 * STATS + 3 * T * 176 + TH + STATS + 6 * RH + 2 * TH + 2 * s + 3 * R * 176 + RH + final + head + TH + 2 * TH + T * 352},
        {"llama", "prefix tokens 5 init activations", false, 6 * TH + 2 * STATS + 2 * T * 176 + STATS + 4 * RH + 2 * TH + 2 * s + 2 * R * 176 + RH + final + head + TH + 2 * TH + T * 352 + 2 * 5 * H},
        {"llama", "side downsample 2 late 1", false, side + TH + STATS + 4 * RH + 2 * TH + 2 * s + 2 * R * 176 + RH + final + head + TH + 2 * TH + T * 352},
        {"llama", "last layers 1", false, TH + TH + STATS + 6 * RH + 2 * TH + 2 * s + 3 * R * 176 + RH + final + head + TH + 2 * TH + T * 352},
        {"llama", "head", false, RH + final + head + 2 * TH + T * 352},
        {"llama", "lora rank 8 alpha 16 on q,v", false, 7 * TH + 2 * STATS + 2 * T * 176 + TH + STATS + 5 * RH + 2 * TH + 2 * s + 2 * R * 176 + RH + final + head + TH + 2 * TH + T * 352 + 16 * T}};
    char config[1200];
    snprintf(config, sizeof config, "{\"model\": [\"shape:roberta-tiny\", \"shape:opt-tiny\", \"shape:llama-tiny\"], \"form\": \"head\", \"init\": \"random\", "
             "\"task\": \"synth-lengths\", \"train\": 4, \"dev\": 0, \"test\": 0, \"context\": 32, \"fill\": true, \"batch\": 4, \"steps\": 2, \"threads\": 1, "
             "\"tune\": [\"full\", \"bias\", \"last\", \"head\", \"prefix\", \"lora\", \"side\"], \"optimizer\": {\"name\": \"fo-sgd\", \"checkpoint\": [false, true]}, "
             "\"exclude\": [{\"model\": \"shape:llama-tiny\", \"tune\": \"bias\"}]}");
    run(config, "views.db");
    ck_assert_str_eq(ask("views.db", "select distinct tokens from runs"), "256;"); /* two steps of T */
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char sql[400];
        bool rope = strcmp(of[k].model, "llama") == 0;
        int64_t rows = strcmp(of[k].model, "opt") == 0 ? 2050 : strcmp(of[k].model, "roberta") == 0 ? 514 : 512;
        snprintf(sql, sizeof sql, "select bytes from memory join runs using (run) where phase = 'train' and tag = 'activations' and model = 'shape:%s-tiny' and tune = '%s' and "
                 "json_extract(optimizer_options, '$.checkpoint') = %d", of[k].model, of[k].tune, of[k].checkpoint);
        int64_t measured = atoll(ask("views.db", sql)), wanted = activation_bytes(of[k].floats, rows, rope);
        ck_assert_msg(measured == wanted, "%s, %s%s: %lld bytes of activations, by hand %lld", of[k].model, of[k].tune, of[k].checkpoint ? ", checkpoints" : "",
                      (long long)measured, (long long)wanted);
    }
    /* what is trained, by hand: a block has four products of 64 x 64, two of 64 x 256 or three of 64 x 176, and two norms; of RoBERTa's classification
     * head two layers have biases, and of the others none; positions begin at 2 in RoBERTa and OPT.
     * In the views' order: bias, full, head, last; of adapters of rank 8
     * on q and v, of prefixes of 5 tokens, and of a side adapter of 32 numbers a token, those and the head */
    int64_t encoder = 4 * (H * H + H) + 2 * H * f + f + H + 4 * H, llama = 4 * H * H + 3 * H * 176 + 2 * H, top_of = H * H + H + 2 * H + 2;
    int64_t adapter = 2 * (32 * H + 32 + 2 * 32) + 32 + 1 + H * 32 + H + 2 * H + 1;
    const struct { const char *model; int64_t trained[7]; } counts[] = {
        {"roberta", {2 * (4 * H + f + H + 2 * H) + H + top_of, (512 + 514 + 1 + 2) * H + 2 * encoder + top_of, top_of, encoder + top_of, 2 * 2 * 8 * 2 * H + top_of, 2 * 2 * 5 * H + top_of, adapter + top_of}},
        {"opt", {2 * (4 * H + f + H + 2 * H) + H + 2 * H, (512 + 2050 + 2) * H + 2 * encoder + 2 * H, 2 * H, encoder + 2 * H + 2 * H, 2 * 2 * 8 * 2 * H + 2 * H, 2 * 2 * 5 * H + 2 * H,
                 adapter + 2 * H}},
        {"llama", {(512 + 1) * H + 2 * llama + 2 * H, 2 * H, llama + H + 2 * H, 2 * 2 * 8 * 2 * H + 2 * H, 2 * 2 * 5 * H + 2 * H, adapter + 2 * H}}};
    for (int i = 0; i < 3; i++) {
        char sql[300], want[120] = "";
        for (int v = 0; v < 7 && counts[i].trained[v] > 0; v++) {
            snprintf(want + strlen(want), sizeof want - strlen(want), "%lld;", (long long)counts[i].trained[v]);
        }
        snprintf(sql, sizeof sql, "select trained_parameters from runs where model = 'shape:%s-tiny' and optimizer_options like '%%false%%' order by tune", counts[i].model);
        ck_assert_str_eq(ask("views.db", sql), want);
    }
    ck_assert_str_eq(ask("views.db", "select count(*) from runs where tune = 'full' and parameters <> trained_parameters"), "0;");
    run("{\"model\": \"shape:roberta-tiny\", \"form\": \"head\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 4, \"dev\": 4, \"test\": 0, \"optimizer\": "
        "\"zero-shot\"}", "zero.db");
    ck_assert_str_eq(ask("zero.db", "select coalesce(trained_parameters, 'none'), flops, work, forwards from runs"), "none|0.0|0.0|0;");
    /* gradients and moments are those of what is trained; the weights are all there */
    ck_assert_str_eq(ask("views.db", "select count(*) from runs r where 4 * trained_parameters > (select bytes from memory m where m.run = r.run and phase = 'train' and tag = 'grads')"
                                     " or 4 * trained_parameters + 4 * 15 * 60 < (select bytes from memory m where m.run = r.run and phase = 'train' and tag = 'grads')"), "0;");
    ck_assert_str_eq(ask("views.db", "select count(distinct bytes), count(*) from memory join runs using (run) where phase = 'train' and tag = 'params' and model = 'shape:opt-tiny' and "
                                     "tune not like 'prefix%' and tune not like 'lora%' and tune not like 'side%'"), "1|8;");
    ck_assert_str_eq(ask("views.db", "select max(bytes) - min(bytes) from memory join runs using (run) where phase = 'train' and tag = 'params' and model = 'shape:opt-tiny' and "
                                     "tune not like 'lora%' and tune not like 'side%'"), "5120;"); /* 2 layers, keys and values, 5 rows of 64 */
    ck_assert_str_eq(ask("views.db", "select max(bytes) - min(bytes) from memory join runs using (run) where phase = 'train' and tag = 'params' and model = 'shape:opt-tiny' and "
                                     "tune not like 'prefix%' and tune not like 'side%'"), "16384;"); /* 2 layers, q and v, A and B of 8 times 64 */
}
END_TEST

/* A budget of work has more steps where a gradient ends early, and there is room for the batches of all of them. */
START_TEST(a_budget_of_work_knows_views)
{
    run("{\"model\": \"shape:roberta-tiny\", \"form\": \"head\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 60, \"dev\": 0, \"test\": 0, "
        "\"context\": 64, \"batch\": 3, \"work\": 24, \"threads\": 1, \"seed\": [0, 1, 2, 3, 4, 5], \"tune\": [\"full\", \"last\", \"head\"], \"optimizer\": \"fo-sgd\"}",
        "work.db");
    ck_assert_str_eq(ask("work.db", "select tune, status, min(steps), max(steps), count(*) from runs where tune <> 'last layers 1' group by tune, status"),
                     "full|done|8|8|6;head|done|24|24|6;");
    ck_assert_str_eq(ask("work.db", "select status, min(steps) > 12, max(steps) < 24, count(*) from runs where tune = 'last layers 1' group by status"), "done|1|1|6;");
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        signal(SIGPIPE, SIG_IGN);
        int code = strcmp(argv[1], "cell") == 0 ? zo_cmd_cell(argc - 1, argv + 1) : zo_cmd_run(argc - 1, argv + 1);
        return zo_output_end(argv[1], code);
    }
    snprintf(folder, sizeof folder, "build/test_peak.XXXXXX");
    if (mkdtemp(folder) == NULL || setenv("ZO_CACHE", folder, 1) != 0) {
        perror(folder);
        return 1;
    }
    TCase *t = tcase_create("peak");
    tcase_set_timeout(t, 300);
    tcase_add_loop_test(t, training_does_not_know_of_evaluations, 0, sizeof grid / sizeof *grid);
    tcase_add_test(t, the_system_agrees);
    tcase_add_test(t, rows_say_what_probes_do);
    tcase_add_test(t, a_batch_is_at_most_the_training_set);
    tcase_add_test(t, gradients_keep_what_they_read);
    tcase_add_test(t, a_budget_of_work_knows_views);
    Suite *s = suite_create("peak");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
