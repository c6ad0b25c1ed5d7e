/* test_resume.c: cells whose processes are killed with SIGKILL, at several steps, go on from their checkpoints when `zo run` is started again, and end
 * with every figure, every row and every weight of a run that nobody killed and that wrote no checkpoint. This program stands in for `zo`, as in
 * test_run.c; as the process of a cell it may kill itself. */
#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "models/files/safetensors.h"
#include "optimizers/estimator.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];
static char said[1 << 16]; /* standard output and error of the last command */

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static const char *scratch(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

/* ---- a cell that kills itself --------------------------------------------------------------------------------------------- */

static void sleep_ms(double ms)
{
    struct timespec t = {(time_t)(ms / 1000), (long)(ms * 1e6) % 1000000000L};
    nanosleep(&t, NULL);
}

static bool is_after(struct timespec a, struct timespec b)
{
    return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Waits for a checkpoint that this process has written, and so many milliseconds more. */
static void *kill_when_written(void *after_ms)
{
    struct timespec start;
    clock_gettime(CLOCK_REALTIME_COARSE, &start); /* the clock of files */
    for (bool written = false; !written; sleep_ms(0.2)) {
        DIR *dir = opendir(folder);
        for (struct dirent *e; (e = readdir(dir)) != NULL && !written;) {
            struct stat about;
            const char *end = strstr(e->d_name, ".checkpoint");
            written = end != NULL && strcmp(end, ".checkpoint") == 0 && stat(scratch(e->d_name), &about) == 0 && is_after(about.st_mtim, start);
        }
        closedir(dir);
    }
    sleep_ms(atof(after_ms));
    kill(getpid(), SIGKILL);
    return NULL;
}

/* ---- commands and databases ----------------------------------------------------------------------------------------------- */

static pid_t start(const char *const *argv)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen(scratch("said"), "w", stdout) == NULL || dup2(1, 2) != 2) {
            _exit(127);
        }
        execv("/proc/self/exe", (char *const *)argv);
        _exit(127);
    }
    return pid;
}

static int finish(pid_t pid)
{
    int status;
    char *text;
    size_t n;
    zo_err err = {0};
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(zo_read_file(scratch("said"), sizeof said - 1, &text, &n, &err) == ZO_OK, "%s", err.text);
    memcpy(said, text, n + 1);
    zo_free(text);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* steps: between checkpoints; NULL = none is written. kill_after: milliseconds after the first one; NULL = the cells live. */
static int run(const char *path, const char *db, const char *save, const char *steps, const char *kill_after)
{
    const char *argv[16] = {"zo", "run", path, "--db", scratch(db), "--checkpoint", "0"};
    int n = 7;
    if (save != NULL) {
        argv[n++] = "--save";
        argv[n++] = scratch(save);
    }
    if (steps != NULL) {
        argv[n++] = "--checkpoint-steps";
        argv[n++] = steps;
    }
    setenv("TEST_FOLDER", folder, 1);
    if (kill_after != NULL) {
        setenv("TEST_KILL_AFTER", kill_after, 1);
    }
    int code = finish(start(argv));
    unsetenv("TEST_KILL_AFTER");
    return code;
}

/* The first column of all rows, ';' after each. The caller frees it. */
static char *ask(const char *db, const char *sql)
{
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    char *text = strdup("");
    ck_assert_int_eq(sqlite3_open_v2(scratch(db), &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(handle, 5000);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(handle));
    while (sqlite3_step(s) == SQLITE_ROW) {
        const char *cell = (const char *)sqlite3_column_text(s, 0);
        text = realloc(text, strlen(text) + (cell != NULL ? strlen(cell) : 4) + 2);
        strcat(strcat(text, cell != NULL ? cell : "NULL"), ";");
    }
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return text;
}

static void check_ask(const char *db, const char *sql, const char *answer)
{
    char *is = ask(db, sql);
    ck_assert_msg(strcmp(is, answer) == 0, "%s: %s, not %s", sql, is, answer);
    free(is);
}

/* Everything but names, times and what the machine did: of cells that ended, of their steps, evaluations and peaks. */
static const struct { const char *columns, *of, *by; } same[] = {
    {"status, message, marks, fault_step, promise, context, accuracy, f1, macro_f1, matthews, metric_value, selected, best_step, dev_accuracy, dev_metric,"
     " dev_loss, steps, forwards, flops, work, paper_queries, sequences, tokens, paper_tokens, examples, weight_bytes_written, normals, drift_max, full_steps,"
     " parameters, trained_parameters, note", "runs", "hash"},
    {"x.step, x.loss, x.projected, x.lr, x.full_steps, x.forwards, x.work", "runs JOIN steps x USING (run)", "hash, x.step"},
    {"x.step, x.split, x.examples, x.accuracy, x.f1, x.macro_f1, x.matthews, x.loss, x.constant, x.forwards, x.work, x.best",
     "runs JOIN evaluations x USING (run)", "hash, x.step, x.split"},
    /* of what is there all the time: which batch is held when a phase is at its peak, with its data, and in evaluations its activations, may hang on a few hundred
     * bytes, see below */
    {"phase, tag, bytes", "runs JOIN memory USING (run) WHERE tag NOT IN ('other', 'data') AND NOT (phase = 'eval' AND tag = 'activations')", "hash, phase, tag"},
    /* last, and of processes that made every step themselves: products that the CPU backend has compiled, a few hundred bytes a shape, are those of the steps
     * that a process has made */
    {"phase, tag, bytes, peak_bytes, train_peak_bytes", "runs JOIN memory USING (run)", "hash, phase, tag"}};

/* SELECT that puts the columns into one text. */
static const char *same_sql(size_t i)
{
    static char sql[4000];
    size_t at = (size_t)snprintf(sql, sizeof sql, "SELECT hash");
    char *columns = strdup(same[i].columns), *rest = columns;
    for (char *column; (column = strsep(&rest, ",")) != NULL;) {
        at += (size_t)snprintf(sql + at, sizeof sql - at, " || '|' || coalesce(%s, '-')", column);
    }
    snprintf(sql + at, sizeof sql - at, " FROM %s ORDER BY %s", same[i].of, same[i].by);
    free(columns);
    return sql;
}

static void check_same(const char *db, const char *whole, bool went_on)
{
    for (size_t i = 0; i < sizeof same / sizeof *same - went_on; i++) {
        char *is = ask(db, same_sql(i)), *was = ask(whole, same_sql(i));
        size_t at = 0;
        while (is[at] == was[at] && is[at] != '\0') {
            at++;
        }
        size_t from = at > 300 ? at - 300 : 0;
        ck_assert_msg(is[at] == was[at] && at > 20, "differ: %.600s\nand:    %.600s", is + from, was + from);
        free(is);
        free(was);
    }
}

/* Peaks of cells that went on: no more than those of a whole run, and but for compiled products the same. */
static void check_peaks(const char *db, const char *whole)
{
    static const char sql[] = "SELECT peak_bytes || ' ' || train_peak_bytes FROM runs ORDER BY hash";
    char *is = ask(db, sql), *was = ask(whole, sql), *a = is, *b = was;
    while (*a != '\0') {
        double went_on = strtod(a, &a), all = strtod(b, &b);
        ck_assert_msg(went_on <= all && went_on > all - 10000, "a peak of %.0f, not %.0f", went_on, all);
        a += *a == ';';
        b += *b == ';';
    }
    free(is);
    free(was);
    /* and an evaluation's activations at the peak are those of one batch or of another */
    static const char held[] = "SELECT bytes FROM runs JOIN memory USING (run) WHERE phase = 'eval' AND tag = 'activations' ORDER BY hash";
    is = a = ask(db, held);
    was = b = ask(whole, held);
    while (*a != '\0') {
        double went_on = strtod(a, &a), all = strtod(b, &b);
        ck_assert_msg(fabs(went_on - all) < 1000, "an evaluation's activations of %.0f, not %.0f", went_on, all);
        a += *a == ';';
        b += *b == ';';
    }
    free(is);
    free(was);
}

/* The files of weights of one folder are those of another, bit for bit; returns how many there are. */
static int same_weights(const char *is, const char *was)
{
    static const char *const name[] = {"model.safetensors", "adapter_model.safetensors", "prefix.safetensors", "side.safetensors"};
    int found = 0;
    for (size_t k = 0; k < sizeof name / sizeof *name; k++) {
        char path[2][400];
        zo_path_join(path[0], sizeof path[0], is, name[k]);
        zo_path_join(path[1], sizeof path[1], was, name[k]);
        if (zo_path_exists(path[1])) {
            zo_map map[2];
            zo_err err = {0};
            ck_assert_msg(zo_map_open(&map[0], path[0], &err) == ZO_OK && zo_map_open(&map[1], path[1], &err) == ZO_OK, "%s", err.text);
            ck_assert_uint_eq(map[0].bytes, map[1].bytes);
            ck_assert_msg(memcmp(map[0].data, map[1].data, map[0].bytes) == 0, "%s: the weights differ from those of %s", path[0], path[1]);
            zo_map_close(&map[0]);
            zo_map_close(&map[1]);
            found++;
        }
    }
    return found;
}

/* Those of every cell. */
static void check_weights(const char *db, const char *save, const char *whole, const char *expected)
{
    char *hashes = ask(db, "SELECT hash FROM runs"), *rest = hashes;
    int n = 0;
    for (char *hash; (hash = strsep(&rest, ";")) != NULL && *hash != '\0'; n++) {
        char is[300], was[300];
        snprintf(is, sizeof is, "%s/%s", scratch(save), hash);
        snprintf(was, sizeof was, "%s/%s", scratch(whole), hash);
        ck_assert_int_eq(same_weights(is, was), 1);
    }
    ck_assert_int_eq(n, (int)strtol(expected, NULL, 10));
    free(hashes);
}

static int checkpoints(void)
{
    int n = 0;
    DIR *dir = opendir(folder);
    for (struct dirent *e; (e = readdir(dir)) != NULL;) {
        const char *end = strstr(e->d_name, ".checkpoint");
        n += end != NULL && strcmp(end, ".checkpoint") == 0;
    }
    closedir(dir);
    return n;
}

static void make_model(void)
{
    zo_err err = {0};
    ZO_CHECK(zo_make_dirs(scratch("model"), &err) == ZO_OK && zo_synth_write_tokenizer(scratch("model"), &err) == ZO_OK, "%s", err.text);
    static const char text[] = "{\"model_type\": \"bert\", \"vocab_size\": 1000, \"hidden_size\": 32, \"num_hidden_layers\": 2,"
                               "\"num_attention_heads\": 2, \"intermediate_size\": 64, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 64,"
                               "\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}";
    ZO_CHECK(zo_write_file(scratch("model/config.json"), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* A causal model whose tokens are words, and a task whose answers it writes. Of each row another third of the words is right, so that most answers have a part of
 * it. */
static void make_writer(void)
{
    enum { EXAMPLES = 60, WORDS = 90 };
    static const char model[] = "{\"model_type\": \"gpt2\", \"vocab_size\": 91, \"n_embd\": 32, \"n_layer\": 2, \"n_head\": 2, \"n_positions\": 64}";
    static const char task[] = "{\"name\": \"said\", \"title\": \"What was said\", \"source\": \"this test\", \"texts\": [\"text\"], \"answers\": \"answers\", \"metric\": \"token_f1\", "
                               "\"train_from_validation\": true, \"files\": [{\"validation\": \"said.jsonl\"}], "
                               "\"causal_prompt\": {\"template\": \"{0} it was\", \"answer\": \" {o}\", \"most_tokens\": 5}}";
    static const char spaces[] = "{\"type\": \"Metaspace\", \"replacement\": \"\\u2581\", \"prepend_scheme\": \"always\", \"split\": true}";
    static const char *const first[] = {"it", "was", "the", "film", "story", "good", "bad"};
    static char rows[EXAMPLES * 300], tokenizer[8000];
    char word[WORDS][8];
    size_t at = 0, to = (size_t)sprintf(tokenizer, "{\"version\": \"1.0\", \"added_tokens\": [], \"normalizer\": null, \"pre_tokenizer\": %s, \"post_processor\": null, "
                                        "\"decoder\": %s, \"model\": {\"type\": \"Unigram\", \"unk_id\": 0, \"vocab\": [[\"<unk>\", -10]", spaces, spaces);
    for (int k = 0; k < WORDS; k++) {
        if (k < 7) {
            strcpy(word[k], first[k]);
        } else {
            sprintf(word[k], "w%d", k);
        }
        to += (size_t)sprintf(tokenizer + to, ", [\"\\u2581%s\", -1]", word[k]);
    }
    to += (size_t)sprintf(tokenizer + to, "]}}");
    for (int i = 0; i < EXAMPLES; i++) {
        at += (size_t)sprintf(rows + at, "{\"text\": \"the %s was %s\", \"answers\": [\"it\", \"", i % 3 == 0 ? "film" : "story", i % 2 == 0 ? "good" : "bad");
        for (int k = 7 + i % 3; k < WORDS; k += 3) {
            at += (size_t)sprintf(rows + at, "%s ", word[k]);
        }
        at += (size_t)sprintf(rows + at, "\"]}\n");
    }
    zo_err err = {0};
    ZO_CHECK(zo_make_dirs(scratch("writer"), &err) == ZO_OK && zo_write_file(scratch("writer/tokenizer.json"), tokenizer, to, &err) == ZO_OK &&
             zo_write_file(scratch("writer/config.json"), model, strlen(model), &err) == ZO_OK &&
             zo_write_file(scratch("said.json"), task, strlen(task), &err) == ZO_OK && zo_write_file(scratch("said.jsonl"), rows, at, &err) == ZO_OK &&
             setenv("ZO_DATA", folder, 1) == 0, "%s", err.text);
}

static const char *config(const char *name, const char *text)
{
    static char path[256];
    char whole[4000];
    zo_err err = {0};
    int n = snprintf(whole, sizeof whole, "{\"model\": \"%s\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 48, \"batch\": 4, \"train\": 32, "
                     "\"dev\": 8, \"test\": 8, \"threads\": 1, %s}", scratch("model"), text);
    snprintf(path, sizeof path, "%s", scratch(name));
    ck_assert_msg(zo_write_file(path, whole, (size_t)n, &err) == ZO_OK, "%s", err.text);
    return path;
}

/* ---- tests ---------------------------------------------------------------------------------------------------------------- */

/* Methods of every sort, in every realisation, with stored sets, numbers, logs, views and 16 bits. */
static const char many[] =
    "\"lr\": 1e-3, \"eval_every\": 17, \"steps\": 60, \"optimizer\": [\"mezo\", {\"name\": \"mezo\", \"queries\": 4, \"growth\": \"linear\", \"query_batches\": \"fresh\"}, {\"name\": \"mezo\", \"weight_decay\": 0.1, \"decay_on\": \"all\", \"queries\": 2}, "
    "\"mezo-adam\", {\"name\": \"mezo-adam\", \"mode\": \"replay\"}, {\"name\": \"mezo-adam\", \"mode\": \"released\", \"weight_decay\": 0.1}, {\"name\": \"mezo-svrg\", \"q\": 5}, {\"name\": \"mezo-svrg\", \"mode\": \"replay\", \"q\": 5}, {\"name\": \"mezo-svrg\", \"mode\": \"released\"}, "
    "\"tezo-adam\", \"tezo-m\", \"lezo\", \"conmezo\", \"fo-adamw\", {\"name\": \"fo-sgd\", \"momentum\": 0.9}], "
    "\"include\": [{\"optimizer\": \"mezo\", \"objective\": \"accuracy\", \"eps\": 0.3}, {\"optimizer\": \"mezo\", \"realisation\": \"streamed\", \"accumulate\": [\"weights\", \"log\"]}, "
    "{\"optimizer\": \"tezo-m\", \"realisation\": \"sidepath\", \"accumulate\": [\"weights\", \"log\"], \"storage\": [\"f32\", \"bf16\"]}, "
    "{\"optimizer\": [\"mezo\", \"fo-adamw\"], \"tune\": {\"name\": \"lora\", \"rank\": 2, \"on\": \"all\"}}, "
    "{\"optimizer\": \"qzo\", \"quantised\": \"int8\", \"tune\": \"scales\", \"eps\": 1e-4, \"lr\": 1e-5}, "
    "{\"optimizer\": \"tezo\", \"quantised\": \"int4\", \"realisation\": \"sidepath\", \"accumulate\": \"log\"}, "
    "{\"optimizer\": \"mezo\", \"tune\": {\"name\": \"prefix\", \"tokens\": 3}}, "
    "{\"optimizer\": [\"addax\", {\"name\": \"addax\", \"length\": 12, \"probe_batch\": 3, \"alpha\": 0.3}], \"realisation\": [\"inplace\", \"streamed\"]}, "
    "{\"optimizer\": \"fo-adamw\", \"tune\": \"side\"}%s]";
/* And one that writes: the folder's model and task. */
static const char written[] = ", {\"optimizer\": \"mezo\", \"objective\": \"f1\", \"eps\": 0.1, \"model\": \"%s\", \"task\": \"%s\", \"form\": \"prompt\"}";
enum { MANY = 33, ON_GRADIENTS = 8 };

static const char *config_of_many(const char *name)
{
    char more[600], text[3800];
    snprintf(more, sizeof more, written, scratch("writer"), scratch("said.json"));
    snprintf(text, sizeof text, many, more);
    return config(name, text);
}

START_TEST(killed_cells_go_on)
{
    char expected[16];
    const char *path = config_of_many("many.json");
    ck_assert_msg(run(path, "whole.db", "whole", NULL, NULL) == 0, "%s", said);
    check_ask("whole.db", "SELECT max(resumed) || ' ' || max(checkpoint_ms) FROM runs", "0 0.0;");
    static const char *const after[] = {"0", "7", "15"}, *const every[] = {"3", "4", "11"};
    for (int k = 0; k < 3; k++) {
        ck_assert_msg(run(path, "killed.db", "saved", every[k], after[k]) == 1, "%s", said);
        ck_assert_int_gt(checkpoints(), 0);
    }
    ck_assert_msg(run(path, "killed.db", "saved", "5", NULL) == 0, "%s", said);
    snprintf(expected, sizeof expected, "%d;", MANY);
    check_ask("killed.db", "SELECT count(*) FROM runs WHERE status = 'done' AND checkpoint_ms > 0", expected);
    check_ask("killed.db", "SELECT count(*) FROM runs WHERE resumed > 0", expected);
    char *seen = ask("killed.db", "SELECT count(*) || ' times ' || resumed FROM runs GROUP BY resumed");
    printf("measured: cells went on: %s\n", seen);
    free(seen);
    check_same("killed.db", "whole.db", true);
    check_peaks("killed.db", "whole.db");
    check_weights("killed.db", "saved", "whole", expected);
    ck_assert_int_eq(checkpoints(), 0); /* what has ended leaves none */
    check_ask("killed.db", "SELECT count(*) FROM tries WHERE status = 'running'", "0;");
    check_ask("whole.db", "SELECT count(DISTINCT loss) > 9 FROM runs JOIN steps USING (run) WHERE optimizer = 'mezo' AND eps = 0.1", "1;"); /* what was written was of many kinds */
    /* times are those of training alone, and of all of it */
    check_ask("killed.db", "SELECT count(*) FROM runs r WHERE abs((SELECT max(train_seconds) FROM steps s WHERE s.run = r.run) - r.train_seconds) > 1e-9", "0;");
    check_ask("killed.db", "SELECT count(*) FROM runs r WHERE abs((SELECT sum(seconds) FROM parts p WHERE p.run = r.run) - r.train_seconds) > 0.05 * r.train_seconds + 0.001", "0;");
    /* and a run that writes them at every step, and lives, is one that writes none */
    ck_assert_msg(run(path, "written.db", "written", "1", NULL) == 0, "%s", said);
    check_same("written.db", "whole.db", false);
    check_weights("written.db", "written", "whole", expected);
    check_ask("written.db", "SELECT count(*) FROM runs WHERE resumed = 0 AND checkpoint_ms > 0", expected);
    ck_assert_int_eq(checkpoints(), 0);
}
END_TEST

/* The program itself is killed, and the cell with it. */
START_TEST(killed_program_goes_on)
{
    const char *path = config("one.json", "\"lr\": 1e-3, \"steps\": 400, \"optimizer\": \"mezo-svrg\"");
    ck_assert_msg(run(path, "one.db", NULL, NULL, NULL) == 0, "%s", said);
    pid_t pid = start((const char *const[]){"zo", "run", path, "--db", scratch("two.db"), "--checkpoint-steps", "10", NULL});
    while (checkpoints() == 0) {
        sleep_ms(1);
    }
    kill(pid, SIGKILL);
    finish(pid);
    sleep_ms(50); /* the cell dies with its parent */
    ck_assert_msg(run(path, "two.db", NULL, "10", NULL) == 0, "%s", said);
    ASSERT_HAS(said, "goes on after step ");
    check_ask("two.db", "SELECT group_concat(status) || ' ' || max(resumed) FROM tries", "killed,done 1;");
    check_same("two.db", "one.db", true);
}
END_TEST

/* Zeroth-order runs are made again from their journals, to the weights that --save kept: also those that were killed, and up to a step. */
START_TEST(runs_are_made_again)
{
    static const char runs[] = "SELECT run || ' ' || hash || ' ' || optimizer || ' ' || status FROM runs ORDER BY run";
    const char *path = config_of_many("again.json");
    int code = run(path, "again.db", "again", "7", "5"); /* each is killed, once, and goes on */
    ck_assert_msg(code == 1 && run(path, "again.db", "again", "7", NULL) == 0, "%s", said);
    char *list = ask("again.db", runs), *rest = list;
    int again = 0, refused = 0;
    for (char *line; (line = strsep(&rest, ";")) != NULL && *line != '\0';) {
        char number[20], hash[20], optimizer[40], to[300], saved[300], export[40];
        ck_assert_int_eq(sscanf(line, "%19s %19s %39s", number, hash, optimizer), 3);
        snprintf(export, sizeof export, "export%s", number);
        snprintf(to, sizeof to, "%s", scratch(export));
        bool first_order = zo_estimator_find(optimizer)->first_order, by_hash = again % 2 == 0;
        code = finish(start((const char *const[]){"zo", "export", by_hash ? hash : number, to, "--db", scratch("again.db"), NULL}));
        if (first_order) {
            ck_assert_int_eq(code, 2);
            ASSERT_HAS(said, "whose gradients need its forward and backward passes again");
            ck_assert(!zo_path_exists(to));
            refused++;
            continue;
        }
        ck_assert_msg(code == 0, "%s: %s", line, said);
        ASSERT_HAS(said, "without a forward");
        snprintf(saved, sizeof saved, "%s/%s", scratch("again"), hash);
        ck_assert_int_eq(same_weights(to, saved), 1);
        bool has_words = zo_path_exists(zo_path_join(saved, sizeof saved, to, "vocab.txt"));
        ck_assert(has_words || zo_path_exists(zo_path_join(saved, sizeof saved, to, "tokenizer.json")));
        again++;
    }
    ck_assert_int_eq(refused, ON_GRADIENTS);
    ck_assert_int_eq(again, MANY - ON_GRADIENTS);
    free(list);
    /* the beginning of a run is that of a shorter one */
    const char *whole = config("long.json", "\"lr\": 1e-2, \"eval_every\": 0, \"steps\": 40, \"optimizer\": {\"name\": \"mezo\", \"queries\": 2}");
    ck_assert_msg(run(whole, "long.db", "long", NULL, NULL) == 0, "%s", said);
    const char *brief = config("short.json", "\"lr\": 1e-2, \"eval_every\": 0, \"steps\": 25, \"optimizer\": {\"name\": \"mezo\", \"queries\": 2}");
    ck_assert_msg(run(brief, "short.db", "short", NULL, NULL) == 0, "%s", said);
    ck_assert_msg(finish(start((const char *const[]){"zo", "replay", "1", "--to", "25", "--save", scratch("part"), "--db", scratch("long.db"), NULL})) == 0, "%s", said);
    ASSERT_HAS(said, "after step 25, from 100 losses");
    char *hash = ask("short.db", "SELECT hash FROM runs"), saved[300];
    snprintf(saved, sizeof saved, "%s/%.16s", scratch("short"), hash);
    ck_assert_int_eq(same_weights(scratch("part"), saved), 1);
    free(hash);
    check_ask("long.db", "SELECT sum(length(entry)) FROM journal", "1280;"); /* four losses a step */
    /* what cannot be made again is said */
    static const struct { const char *sql, *words[3], *says; } of[] = {
        {"SELECT 1", {"replay", "99"}, "there is no run 99"},
        {"SELECT 1", {"replay", "x"}, "names no run"},
        {"SELECT 1", {"replay", "1", "--to=41"}, "made 40 steps, and --to asks for 41"},
        {"UPDATE cells SET rows_fingerprint = '0123456789abcdef'", {"replay", "1"}, "made with other data"},
        {"UPDATE cells SET rows_fingerprint = ''; UPDATE journal SET entry = substr(entry, 9)", {"replay", "1"}, "the journal of this run ends after"},
        {"DELETE FROM journal", {"replay", "1"}, "has no journal"},
        {"UPDATE cells SET meaning = 1", {"replay", "1"}, "meant something else"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        sqlite3 *handle;
        ck_assert_int_eq(sqlite3_open(scratch("long.db"), &handle), SQLITE_OK);
        ck_assert_int_eq(sqlite3_exec(handle, of[i].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(handle);
        const char *const *w = of[i].words;
        ck_assert_int_eq(finish(start((const char *const[]){"zo", w[0], w[1], "--db", scratch("long.db"), w[2], NULL})), 2);
        ASSERT_HAS(said, of[i].says);
    }
    ck_assert_int_eq(finish(start((const char *const[]){"zo", "export", "1", scratch("part"), "--db", scratch("long.db"), NULL})), 2);
    ASSERT_HAS(said, "nothing is written over");
}
END_TEST

static int run_words(const char *path, const char *db, const char *const *words, int n)
{
    const char *argv[16] = {"zo", "run", path, "--db", scratch(db)};
    for (int i = 0; i < n; i++) {
        argv[5 + i] = words[i];
    }
    return finish(start(argv));
}

/* A limit of time ends a cell, and a larger one goes on with it, to the bits of a run that had none: also where evaluations and thinned rows are near. */
START_TEST(limits_end_cells)
{
    const char *path = config("limit.json", "\"lr\": 1e-3, \"eval_every\": 3, \"steps\": 60, \"log_every\": 7, \"optimizer\": [\"mezo-adam\", \"fo-adamw\"]");
    ck_assert_msg(run(path, "unlimited.db", "unlimited", NULL, NULL) == 0, "%s", said);
    static const char *const least[] = {"--cell-limit", "0.000001s", "--save"};
    char limited[256];
    snprintf(limited, sizeof limited, "%s", scratch("limited"));
    const char *words[] = {least[0], least[1], least[2], limited};
    ck_assert_msg(run_words(path, "limit.db", words, 4) == 1, "%s", said);
    ASSERT_HAS(said, "its limit of 1e-06 s ended it after step 1; a larger one, or none, goes on from its checkpoint");
    check_ask("limit.db", "SELECT group_concat(status || ' ' || marks || ' ' || steps || ' ' || coalesce(accuracy, '-') || ' ' || coalesce(selected, '-')) FROM runs",
              "killed limited 1 - -,killed limited 1 - -;");
    ck_assert_int_eq(checkpoints(), 2);
    /* with the same limit nothing is run, and nothing is done; nor is it again */
    static const char *const again[] = {"--cell-limit", "0.000001s", "--again"};
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(run_words(path, "limit.db", again, 2 + k), 1);
        ck_assert_msg(strstr(said, "done already") == NULL, "%s", said);
        ASSERT_HAS(said, "zo run: 2 of 2 cells were ended by --cell-limit; with a larger one, or none, they go on");
    }
    check_ask("limit.db", "SELECT count(*) FROM tries", "2;");
    /* each larger one makes steps */
    double longer = 0;
    for (int k = 0; k < 5; k++) {
        char *spent = ask("limit.db", "SELECT max(train_seconds + eval_seconds) FROM runs"), limit[40];
        longer = 1.001 * strtod(spent, NULL);
        free(spent);
        snprintf(limit, sizeof limit, "%.9fs", longer);
        words[1] = limit;
        ck_assert_msg(run_words(path, "limit.db", words, 4) <= 1, "%s", said);
        ASSERT_HAS(said, "cells were ended by --cell-limit and have more time now: they go on");
        ASSERT_HAS(said, "goes on after step ");
    }
    /* and a run without limits comes to its end */
    words[0] = "--json";
    words[1] = "--save";
    words[2] = limited;
    ck_assert_msg(run_words(path, "limit.db", words, 3) == 0, "%s", said);
    check_same("limit.db", "unlimited.db", true);
    check_weights("limit.db", "limited", "unlimited", "2");
    check_ask("limit.db", "SELECT min(resumed) > 0 AND max(resumed) > 4 FROM runs", "1;");
    ck_assert_int_eq(checkpoints(), 0);
    /* a result that is there counts on where another try was cut: it is shown, and nothing takes it away */
    ck_assert_int_eq(run_words(path, "limit.db", again, 3), 1);
    check_ask("limit.db", "SELECT group_concat(status || ' ' || steps || ' ' || (accuracy >= 0)) FROM runs", "done 60 1,done 60 1;");
    check_same("limit.db", "unlimited.db", true);
    ck_assert_msg(run_words(path, "limit.db", NULL, 0) == 0, "%s", said);
    ASSERT_HAS(said, "2 of 2 cells are done already");
    ck_assert_int_eq(checkpoints(), 2);
    ck_assert_msg(run_words(path, "limit.db", again + 2, 1) == 0, "%s", said); /* the other try goes on */
    ASSERT_HAS(said, "goes on after step 1");
    ck_assert_int_eq(checkpoints(), 0);
    /* a budget has no other limit beside it */
    static const char *const both[] = {"--limit", "1h", "--budget", "1m"};
    ck_assert_int_eq(run_words(path, "both.db", both, 4), 2);
    ASSERT_HAS(said, "--limit does not go with it");
    /* trials that were cut settle no rate */
    const char *tuned = config("tuned.json", "\"lr\": 1e-3, \"steps\": 30, \"tuning\": {\"seed\": 7, \"rates\": 2, \"most\": 2}, \"optimizer\": \"mezo\"");
    static const char *const least_of_all[] = {"--cell-limit", "0.000001s"};
    for (int k = 0; k < 2; k++) {
        ck_assert_int_eq(run_words(tuned, "tuned.db", least_of_all, 2), 1);
        check_ask("tuned.db", "SELECT count(*) || ' of seed ' || min(seed) FROM runs", "2 of seed 7;");
    }
    ck_assert_msg(run_words(tuned, "tuned.db", NULL, 0) == 0, "%s", said);
    check_ask("tuned.db", "SELECT count(*) || ' ' || sum(resumed) FROM runs WHERE status = 'done'", "3 2;");
    /* a budget in seconds is another thing: it has a result, and nothing goes on */
    const char *seconds = config("seconds.json", "\"lr\": 1e-3, \"steps\": 1000000, \"seconds\": 0.05, \"optimizer\": \"mezo\"");
    for (int k = 0; k < 2; k++) {
        ck_assert_msg(run_words(seconds, "seconds.db", NULL, 0) == 0, "%s", said);
        check_ask("seconds.db", "SELECT count(*) || max(status) || (max(accuracy) >= 0) FROM tries JOIN cells USING (cell)", "1time1;");
    }
    static const char *const wrong[] = {"--cell-limit", "soon"};
    ck_assert_int_eq(run_words(path, "limit.db", wrong, 2), 2);
    ASSERT_HAS(said, "--cell-limit is \"soon\"; expected a time such as 90s, 10m or 2h");
}
END_TEST

/* A run whose time is over, or that is asked to end, leaves its cell where it stands: not at a checkpoint of ten minutes ago. */
START_TEST(ends_are_saved)
{
    const char *path = config("ends.json", "\"lr\": 1e-3, \"eval_every\": 1000, \"steps\": 8000, \"optimizer\": \"mezo-svrg\"");
    ck_assert_msg(run(path, "whole_end.db", NULL, NULL, NULL) == 0, "%s", said);
    static const char *const limit[] = {"--limit", "1s"};
    int code = run_words(path, "end.db", limit, 2);
    if (code == 3) {
        ASSERT_HAS(said, "zo run: the time that --limit gives is over; start the same command again to go on");
    }
    ck_assert_msg(code == 3 || code == 0, "%d: %s", code, said);
    static const int asks[] = {SIGTERM, SIGUSR1, SIGINT};
    for (size_t k = 0; k < sizeof asks / sizeof *asks; k++) {
        pid_t pid = start((const char *const[]){"zo", "run", path, "--db", scratch("end.db"), NULL});
        for (bool runs = false; !runs; sleep_ms(2)) {
            char *running = ask("end.db", "SELECT count(*) FROM tries WHERE status = 'running'");
            siginfo_t ended = {.si_pid = 0};
            waitid(P_PID, (id_t)pid, &ended, WEXITED | WNOHANG | WNOWAIT);
            runs = strcmp(running, "1;") == 0 || ended.si_pid != 0;
            free(running);
        }
        sleep_ms(100);
        kill(pid, asks[k]);
        code = finish(pid);
        ck_assert_msg(code == 1 || code == 0, "%d: %s", code, said);
    }
    check_ask("end.db", "SELECT count(*) > 0 FROM tries WHERE resumed > 0", "1;"); /* and no ten minutes are over */
    check_ask("end.db", "SELECT count(*) FROM tries WHERE NOT (status = 'done' OR (status = 'killed' AND message LIKE '%checkpoint'))", "0;");
    ck_assert_msg(run_words(path, "end.db", NULL, 0) == 0, "%s", said);
    check_same("end.db", "whole_end.db", true);
    ck_assert_int_eq(checkpoints(), 0);
}
END_TEST

/* What cannot be gone on with is said, and the cell begins anew. */
START_TEST(other_checkpoints_are_refused)
{
    enum { BINARY = 16, DEVICE = BINARY + 17, IDENTITY = BINARY + 17 + 128 + 7 + 8 };
    const char *path = config("refused.json", "\"lr\": 1e-3, \"steps\": 60, \"optimizer\": \"mezo\"");
    static const struct { size_t at; bool mends; const char *says; } of[] = {
        {2000, false, "is damaged"}, {3, false, "no archive"}, {BINARY, true, "another program"}, {DEVICE, true, "another device"},
        {IDENTITY + 17, true, "other settings or other files"}};
    ck_assert_msg(run(path, "plain.db", NULL, NULL, NULL) == 0, "%s", said);
    for (size_t i = 0; i <= sizeof of / sizeof *of; i++) {
        char db[32], file[300], *bytes;
        size_t n;
        zo_err err = {0};
        snprintf(db, sizeof db, "refused%zu.db", i);
        ck_assert_int_eq(run(path, db, NULL, "5", "0"), 1);
        char *hash = ask(db, "SELECT hash FROM runs");
        snprintf(file, sizeof file, "%s.%.16s.checkpoint", scratch(db), hash);
        free(hash);
        ck_assert_msg(zo_read_file(file, 1 << 28, &bytes, &n, &err) == ZO_OK, "%s", err.text);
        const char *says = "of a try that this database does not have";
        if (i < sizeof of / sizeof *of) {
            bytes[of[i].at] ^= 1;
            says = of[i].says;
            if (of[i].mends) { /* as another would have written it */
                uint64_t sum = zo_fnv1a(ZO_FNV_START, bytes + 16, n - 24);
                memcpy(bytes + n - 8, &sum, sizeof sum);
            }
            ck_assert_int_eq(zo_write_file(file, bytes, n, &err), ZO_OK);
        } else {
            unlink(scratch(db));
        }
        zo_free(bytes);
        ck_assert_msg(run(path, db, NULL, NULL, NULL) == 0, "%s", said);
        ASSERT_HAS(said, says);
        ASSERT_HAS(said, "; the cell begins anew\n");
        check_ask(db, "SELECT resumed FROM runs WHERE status = 'done'", "0;");
        check_same(db, "plain.db", false);
        ck_assert(!zo_path_exists(file));
    }
}
END_TEST

/* Where none can be written the cell says so once, and ends all the same. */
START_TEST(checkpoints_that_cannot_be_written)
{
    const char *path = config("nowhere.json", "\"lr\": 1e-3, \"steps\": 20, \"optimizer\": \"mezo\"");
    ck_assert_msg(run(path, "nowhere.db", NULL, NULL, NULL) == 0, "%s", said);
    char *hash = ask("nowhere.db", "SELECT hash FROM runs"), file[300];
    snprintf(file, sizeof file, "%s.%.16s.checkpoint.new", scratch("taken.db"), hash);
    free(hash);
    ck_assert_int_eq(mkdir(file, 0700), 0);
    ck_assert_msg(run(path, "taken.db", NULL, "5", NULL) == 0, "%s", said);
    ASSERT_HAS(said, "until a checkpoint can be written the cell goes on without");
    ck_assert_ptr_eq(strstr(strstr(said, "until a checkpoint") + 1, "until a checkpoint"), NULL);
    check_same("taken.db", "nowhere.db", false);
    rmdir(file);
}
END_TEST

int main(int argc, char **argv)
{
    const char *in = getenv("TEST_FOLDER"), *kill_after = getenv("TEST_KILL_AFTER");
    if (argc > 1) {
        bool is_cell = strcmp(argv[1], "cell") == 0;
        pthread_t thread;
        if (in != NULL && is_cell && kill_after != NULL) {
            snprintf(folder, sizeof folder, "%s", in);
            if (pthread_create(&thread, NULL, kill_when_written, (void *)(uintptr_t)kill_after) != 0) {
                return 1;
            }
        }
        int code = is_cell                          ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0    ? zo_cmd_run(argc - 1, argv + 1)
                   : strcmp(argv[1], "replay") == 0 ? zo_cmd_replay(argc - 1, argv + 1)
                   : strcmp(argv[1], "export") == 0 ? zo_cmd_export(argc - 1, argv + 1)
                                                    : 127;
        return zo_output_end(argv[1], code);
    }
    snprintf(folder, sizeof folder, "build/test_resume.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    make_model();
    make_writer();
    TCase *t = tcase_create("resume");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, killed_cells_go_on);
    tcase_add_test(t, killed_program_goes_on);
    tcase_add_test(t, limits_end_cells);
    tcase_add_test(t, ends_are_saved);
    tcase_add_test(t, runs_are_made_again);
    tcase_add_test(t, other_checkpoints_are_refused);
    tcase_add_test(t, checkpoints_that_cannot_be_written);
    Suite *s = suite_create("resume");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
