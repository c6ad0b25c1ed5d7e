/* test_run.c: `zo run` end to end on a model and data that the test makes: exit codes, skipping, SIGKILL of everything and of one cell,
 * SIGINT, out of memory, divergence, bad input. This program stands in for `zo`: started with a command it is that command, and the
 * cells' processes are started from it too. */
#include <check.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "core/text.h"
#include "models/files/safetensors.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64]; /* model/, configs, databases; made by main, removed at the end */
static char said[1 << 18]; /* standard output and error of the last command */

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static const char *scratch(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

/* %M in a config stands for the model's folder. */
static const char *config(const char *name, const char *text)
{
    char whole[4000] = "";
    const char *mark = strstr(text, "%M");
    snprintf(whole, sizeof whole, "%.*s%s%s", (int)(mark != NULL ? mark - text : (long)strlen(text)), text, mark != NULL ? scratch("model") : "",
             mark != NULL ? mark + 2 : "");
    zo_err err = {0};
    ck_assert_msg(zo_write_file(scratch(name), whole, strlen(whole), &err) == ZO_OK, "%s", err.text);
    static char *kept[64]; /* as long as the test's process lives */
    static int n;
    ck_assert_int_lt(n, 64);
    return kept[n++] = strdup(scratch(name));
}

/* ---- starting commands -------------------------------------------------------------------------------------------------- */

static int output;
static int standard_output = -1; /* where a command's standard output goes, when not to `said` */
static bool bound; /* start without what lets root write where permissions forbid it */

static pid_t start(const char *const *argv, rlim_t file_bytes)
{
    output = open(scratch("said"), O_RDWR | O_CREAT | O_TRUNC, 0600);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(standard_output >= 0 ? standard_output : output, 1);
        dup2(output, 2);
        if (file_bytes > 0) {
            struct rlimit limit = {file_bytes, file_bytes};
            setrlimit(RLIMIT_FSIZE, &limit);
        }
        if (bound) {
            prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, 0, 0, 0); /* holds from exec on; who may not do this is no root */
        }
        execv("/proc/self/exe", (char *const *)argv);
        _exit(127);
    }
    return pid;
}

static int finish(pid_t pid)
{
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    lseek(output, 0, SEEK_SET);
    ssize_t n = read(output, said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    close(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static pid_t start_run(const char *path, const char *db, rlim_t file_bytes)
{
    const char *const argv[] = {"zo", "run", path, "--db", scratch(db), NULL};
    return start(argv, file_bytes);
}

static int run(const char *path, const char *db)
{
    return finish(start_run(path, db, 0));
}

static void nap(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

/* ---- looking into databases --------------------------------------------------------------------------------------------- */

/* The first column of all rows, ';' after each; "" when the file or its tables are not there yet. */
static const char *ask(const char *db, const char *sql)
{
    static char text[4][8000];
    static int turn;
    turn = (turn + 1) % 4;
    text[turn][0] = '\0';
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    if (sqlite3_open_v2(scratch(db), &handle, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(handle, 5000);
        if (sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK) {
            while (sqlite3_step(s) == SQLITE_ROW) {
                size_t at = strlen(text[turn]);
                snprintf(text[turn] + at, sizeof text[turn] - at, "%s;", (const char *)sqlite3_column_text(s, 0));
            }
        }
        sqlite3_finalize(s);
    }
    sqlite3_close(handle);
    return text[turn];
}

/* All that does not depend on the clock. */
static const char results_sql[] =
    "SELECT hash || status || coalesce(accuracy, '-') || coalesce(dev_accuracy, '-') || steps || forwards || tokens || best_step || "
    "(SELECT group_concat(step || ':' || loss || ':' || coalesce(projected, '-'), ' ') FROM steps WHERE steps.run = runs.run AND step % 50 = 0) || "
    "(SELECT group_concat(step || split || accuracy || loss, ' ') FROM evaluations e WHERE e.run = runs.run) FROM runs ORDER BY hash";

/* ---- the model ---------------------------------------------------------------------------------------------------------- */

static void make_model(void)
{
    zo_err err = {0};
    ZO_CHECK(zo_make_dirs(scratch("model"), &err) == ZO_OK && zo_synth_write_tokenizer(scratch("model"), &err) == ZO_OK, "%s", err.text);
    static const char text[] = "{\"model_type\": \"bert\", \"vocab_size\": 1000, \"hidden_size\": 16, \"num_hidden_layers\": 1,"
                               "\"num_attention_heads\": 2, \"intermediate_size\": 32, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 64,"
                               "\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}";
    ZO_CHECK(zo_write_file(scratch("model/config.json"), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

#define SMALL "\"model\": \"%M\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 48, \"batch\": 4, \"train\": 32, \"dev\": 8, \"test\": 8, \"threads\": 1"

/* ---- tests -------------------------------------------------------------------------------------------------------------- */

START_TEST(runs_and_skips)
{
    const char *path = config("a.json", "{" SMALL ", \"steps\": 20, \"optimizer\": [\"zero-shot\", \"mezo\", \"fo-sgd\"], \"seed\": [1, 2]}");
    ck_assert_msg(run(path, "a.db") == 0, "%s", said);
    ck_assert_str_eq(ask("a.db", "SELECT count(*) FROM runs WHERE status = 'done'"), "6;");
    ck_assert_str_eq(ask("a.db", "SELECT DISTINCT forwards FROM runs WHERE optimizer = 'mezo'"), "40;");
    ck_assert_str_eq(ask("a.db", "SELECT DISTINCT count(*) FROM steps GROUP BY run"), "20;");
    ck_assert_str_eq(ask("a.db", "SELECT DISTINCT selected FROM runs WHERE optimizer <> 'zero-shot'"), "test@best-dev;");
    ck_assert_str_eq(ask("a.db", "SELECT count(*) FROM runs WHERE train_peak_bytes > peak_bytes"), "0;");
    ck_assert_str_eq(ask("a.db", "SELECT count(*) FROM peaks p JOIN runs r USING (run) WHERE phase = 'overall' AND p.bytes <> r.peak_bytes"), "0;");
    ck_assert_str_eq(ask("a.db", "SELECT count(*) FROM runs WHERE abs((SELECT sum(seconds) FROM parts WHERE parts.run = runs.run) - train_seconds)"
                                 " > 0.05 * train_seconds + 0.001 AND steps > 0"), "0;");
    const char *began = ask("a.db", "SELECT group_concat(run || began) FROM runs");
    ck_assert_int_eq(run(path, "a.db"), 0);
    ASSERT_HAS(said, "6 of 6 cells are done already");
    ck_assert_str_eq(ask("a.db", "SELECT group_concat(run || began) FROM runs"), began);
    const char *const dry[] = {"zo", "run", path, "--db", scratch("never.db"), "--dry-run", "--json", NULL};
    ck_assert_int_eq(finish(start(dry, 0)), 0);
    cJSON *list = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(list), 6);
    ck_assert(cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "predicted_bytes")->valuedouble > 10000);
    cJSON_Delete(list);
    ck_assert(!zo_path_exists(scratch("never.db")));
    const char *const report[] = {"zo", "report", "--db", scratch("a.db"), "--json", "--group", "seed", NULL};
    ck_assert_int_eq(finish(start(report, 0)), 0);
    list = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(list), 3);
    cJSON_Delete(list);
}
END_TEST

static void tell(const char *db, const char *sql)
{
    sqlite3 *handle;
    ck_assert_int_eq(sqlite3_open(scratch(db), &handle), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(handle, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
}

#define KILL_ONE                                                                                                                      \
    "UPDATE tries SET status = 'killed' WHERE run IN (SELECT run FROM runs WHERE storage = 'bf16' AND accumulate = 'log' AND optimizer = 'mezo')"

/* Weights in 16 bits and updates in a log: columns, half of the tag `params`, the memory that the dry run says, what is done stays done. */
START_TEST(weights_in_16_bits)
{
    const char *path = config("b.json", "{" SMALL ", \"steps\": 8, \"eval_every\": 4, \"realisation\": \"streamed\", \"storage\": [\"f32\", \"bf16\", \"f16\"],"
                              "\"optimizer\": [{\"name\": \"mezo\", \"accumulate\": [\"weights\", \"log\"]}, {\"name\": \"mezo-svrg\", \"q\": 4},"
                              "{\"name\": \"tezo\", \"realisation\": \"sidepath\", \"accumulate\": \"log\"}, {\"name\": \"tezo-adam\", \"accumulate\": \"log\"}]}");
    const char *const dry[] = {"zo", "run", path, "--db", scratch("b.db"), "--dry-run", "--json", NULL};
    ck_assert_int_eq(finish(start(dry, 0)), 0);
    cJSON *list = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(list), 15);
    ck_assert_msg(run(path, "b.db") == 0, "%s", said);
    ck_assert_str_eq(ask("b.db", "SELECT count(*) FROM runs WHERE status = 'done'"), "12;");
    ck_assert_str_eq(ask("b.db", "SELECT DISTINCT status || optimizer || accumulate FROM runs WHERE message LIKE '%no sum of directions%'"),
                     "unsupportedtezo-adamlog;");
    ck_assert_str_eq(ask("b.db", "SELECT storage || accumulate || count(*) FROM runs GROUP BY storage, accumulate ORDER BY 1"),
                     "bf16log3;bf16weights2;f16log3;f16weights2;f32log3;f32weights2;");
    ck_assert_str_eq(ask("b.db", "SELECT DISTINCT CASE storage WHEN 'f32' THEN bytes ELSE 2 * bytes END = (SELECT max(bytes) FROM memory WHERE tag = 'params')"
                                 " FROM runs JOIN memory USING (run) WHERE tag = 'params' AND phase = 'train'"), "1;");
    ck_assert_str_eq(ask("b.db", "SELECT count(*) FROM memory JOIN runs USING (run) WHERE tag = 'snapshot' AND phase = 'train' AND bytes = "
                                 "(SELECT bytes FROM memory m WHERE m.run = runs.run AND m.phase = 'train' AND m.tag = 'params')"), "3;");
    /* what the dry run says becomes less by half of the weights, and of a snapshot where one is kept */
    double params = strtod(ask("b.db", "SELECT max(bytes) FROM memory WHERE tag = 'params'"), NULL);
    /* beside weights of 16 bits a log of low-rank terms keeps the small tensors in f32 (opt_state), and a description of them (other) */
    double rest = strtod(ask("b.db", "SELECT max(b) - min(b) FROM (SELECT sum(bytes) AS b FROM memory JOIN runs USING (run) WHERE optimizer = 'tezo' "
                                     "AND tag IN ('opt_state', 'other') AND phase = 'train' GROUP BY run)"), NULL);
    ck_assert(rest > 0 && rest < params / 4);
    for (int i = 0; i < 5; i++) {
        double copies = i == 2 ? 2 : 1, bytes[3], kept = i >= 3 ? rest : 0; /* mezo-svrg; the two logs of TeZO */
        for (int k = 0; k < 3; k++) {
            bytes[k] = cJSON_GetObjectItem(cJSON_GetArrayItem(list, 5 * k + i), "predicted_bytes")->valuedouble;
        }
        ck_assert_msg(fabs(bytes[0] - bytes[1] + kept - copies * params / 2) < 1000,
                      "cell %d: predicted %g and %g bytes with %g of weights and %g kept", i, bytes[0], bytes[1], params, kept);
        ck_assert_double_eq_tol(bytes[1], bytes[2], 16); /* the words of the config are in the ledger too */
    }
    cJSON_Delete(list);
    /* a log keeps no copies: neither the snapshot, of 2 bytes a parameter, nor the stored gradient, of 4 */
    const char *paper = config("b2.json", "{" SMALL ", \"steps\": 8, \"realisation\": \"streamed\", \"storage\": \"bf16\","
                               "\"optimizer\": {\"name\": \"mezo-svrg\", \"mode\": \"paper\", \"accumulate\": [\"weights\", \"log\"]}}");
    ck_assert_int_eq(finish(start((const char *const[]){"zo", "run", paper, "--dry-run", "--json", NULL}, 0)), 0);
    list = cJSON_Parse(said);
    double kept = cJSON_GetObjectItem(cJSON_GetArrayItem(list, 0), "predicted_bytes")->valuedouble -
                  cJSON_GetObjectItem(cJSON_GetArrayItem(list, 1), "predicted_bytes")->valuedouble;
    ck_assert_msg(kept > params, "%g bytes more than a log with %g of weights", kept, params);
    cJSON_Delete(list);
    tell("b.db", KILL_ONE);
    const char *before = ask("b.db", results_sql);
    ck_assert_int_eq(run(path, "b.db"), 0);
    ASSERT_HAS(said, "14 of 15 cells are done already");
    ck_assert_str_eq(ask("b.db", "SELECT count(*) FROM runs WHERE status = 'done'"), "12;");
    tell("b.db", KILL_ONE);
    ck_assert_str_eq(ask("b.db", results_sql), before); /* the same numbers again */
    tell("b.db", "UPDATE tries SET status = 'done' WHERE status = 'killed'");
    const char *const report[] = {"zo", "report", "--db", scratch("b.db"), "--format", "csv", "--where", "storage = 'f16' AND accumulate = 'log'", NULL};
    ck_assert_int_eq(finish(start(report, 0)), 0);
    ASSERT_HAS(said, "storage,accumulate");
    ASSERT_HAS(said, "f16,log");
    const char *const table[] = {"zo", "report", "--db", scratch("b.db"), NULL};
    ck_assert_int_eq(finish(start(table, 0)), 0);
    ASSERT_HAS(said, "storage bf16");
}
END_TEST

/* --save: a folder of each cell's name has the weights after the last step, whatever stood beside them in the run: read again they have the losses
 * of the last evaluation. */
START_TEST(weights_are_saved)
{
    const char *path = config("saved.json",
        "{" SMALL ", \"steps\": 6, \"lr\": 3e-2, \"optimizer\": [\"zero-shot\"], \"include\": [{\"optimizer\": [\"mezo\", \"fo-sgd\"]}, "
        "{\"optimizer\": \"mezo\", \"realisation\": \"streamed\", \"accumulate\": \"log\"}, "
        "{\"optimizer\": \"mezo\", \"realisation\": \"streamed\", \"accumulate\": \"log\", \"storage\": \"bf16\", \"tune\": \"last\"}, "
        "{\"optimizer\": {\"name\": \"tezo\", \"rank\": 8}, \"realisation\": \"sidepath\", \"accumulate\": [\"weights\", \"log\"], \"storage\": [\"f32\", \"bf16\"]}]}");
    const char *const save[] = {"zo", "run", path, "--db", scratch("saved.db"), "--save", scratch("saved"), NULL};
    ck_assert_msg(finish(start(save, 0)) == 0, "%s", said);
    /* what is done is not trained again, and its weights are nowhere where they were not asked for */
    ck_assert_int_eq(finish(start(save, 0)), 0);
    ASSERT_HAS(said, "9 of 9 cells are done already\n");
    ck_assert_msg(strstr(said, "--save") == NULL, "%s", said);
    const char *const late[] = {"zo", "run", path, "--db", scratch("saved.db"), "--save", scratch("late"), NULL};
    ck_assert_int_eq(finish(start(late, 0)), 0);
    ASSERT_HAS(said, "8 cells were done without this --save, so their weights are gone; --redo trains them again and saves them");
    ck_assert(!zo_path_exists(scratch("late")));
    /* weights of an earlier run are kept */
    const char *const once[] = {"zo", "run", config("one.json", "{" SMALL ", \"steps\": 1, \"optimizer\": \"mezo\"}"), "--db", scratch("one.db"), "--save", scratch("one"), "--redo", NULL};
    char folders[2][300];
    for (int k = 0; k < 3; k++) {
        ck_assert_msg(finish(start(once, 0)) == 0, "%s", said);
        snprintf(folders[0], sizeof folders[0], "%s/%.16s.%d/model.safetensors", scratch("one"), ask("one.db", "SELECT hash FROM runs"), k);
        snprintf(folders[1], sizeof folders[1], "%s/%.16s.%d", scratch("one"), ask("one.db", "SELECT hash FROM runs"), k + 1);
        ck_assert(k == 0 || zo_path_exists(folders[0]));
        ck_assert(!zo_path_exists(folders[1]));
    }
    /* a row of a run that saves is that of one that does not */
    static const char peaks[] = "SELECT hash || ' ' || peak_bytes || ' ' || (SELECT sum(bytes) FROM memory m WHERE m.run = runs.run AND phase = 'eval') FROM runs ORDER BY 1";
    ck_assert_int_eq(run(path, "plain.db"), 0);
    ck_assert_str_eq(ask("plain.db", peaks), ask("saved.db", peaks));
    char hashes[500], list[4000] = "", text[4400], made[300], *rest = NULL;
    zo_err err = {0};
    snprintf(hashes, sizeof hashes, "%s", ask("saved.db", "SELECT hash FROM runs WHERE optimizer <> 'zero-shot' AND status = 'done' ORDER BY hash"));
    int n = 0;
    for (char *hash = strtok_r(hashes, ";", &rest); hash != NULL; hash = strtok_r(NULL, ";", &rest), n++) {
        snprintf(made, sizeof made, "%s/%s", scratch("saved"), hash);
        ck_assert_msg(zo_synth_write_tokenizer(made, &err) == ZO_OK, "%s", err.text);
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s\"%s\"", n > 0 ? ", " : "", made);
    }
    ck_assert_int_eq(n, 8);
    snprintf(text, sizeof text, "{\"model\": [%s], \"task\": \"synth-sentiment\", \"context\": 48, \"batch\": 4, \"train\": 32, \"dev\": 8, \"test\": 8, \"threads\": 1, "
             "\"optimizer\": \"zero-shot\"}", list);
    ck_assert_msg(run(config("again.json", text), "again.db") == 0, "%s", said);
    sqlite3 *handle;
    sqlite3_stmt *s;
    ck_assert_int_eq(sqlite3_open(scratch("saved.db"), &handle), SQLITE_OK);
    char attach[400];
    snprintf(attach, sizeof attach, "ATTACH '%s' AS again", scratch("again.db"));
    ck_assert_int_eq(sqlite3_exec(handle, attach, NULL, NULL, NULL), SQLITE_OK);
    static const char sql[] = "SELECT a.loss, b.loss, (SELECT loss FROM evaluations z WHERE z.run = a.run AND z.split = a.split AND z.step = 0) FROM runs r "
                              "JOIN evaluations a ON a.run = r.run AND a.step = 6 JOIN again.runs q ON q.model LIKE '%' || r.hash "
                              "JOIN again.evaluations b ON b.run = q.run AND b.split = a.split";
    ck_assert_int_eq(sqlite3_prepare_v2(handle, sql, -1, &s, NULL), SQLITE_OK);
    int pairs = 0;
    while (sqlite3_step(s) == SQLITE_ROW) {
        double ended = sqlite3_column_double(s, 0), read = sqlite3_column_double(s, 1), began = sqlite3_column_double(s, 2);
        ck_assert_double_eq_tol(ended, read, 1e-7);
        ck_assert_double_gt(fabs(ended - began), 5e-6); /* the weights of the start would be seen */
        pairs++;
    }
    ck_assert_int_eq(pairs, 8);
    sqlite3_finalize(s);
    sqlite3_close(handle);
    /* an adapter, and a run that begins as it or only looks at it: on the same base model, which is drawn by the same seed */
    static const char adapted[] = "{" SMALL ", \"form\": \"head\", \"steps\": 6, \"lr\": 0.1, \"tune\": {\"name\": \"lora\", \"rank\": 2, \"on\": \"all\"";
    snprintf(text, sizeof text, "%s}, \"optimizer\": \"mezo\"}", adapted);
    const char *lora[] = {"zo", "run", config("lora.json", text), "--db", scratch("lora.db"), "--save", scratch("adapters"), NULL};
    ck_assert_msg(finish(start(lora, 0)) == 0, "%s", said);
    snprintf(made, sizeof made, "%s/%.16s", scratch("adapters"), ask("lora.db", "SELECT hash FROM runs"));
    ck_assert(!zo_path_exists(zo_path_join(text, sizeof text, made, "model.safetensors")));
    ck_assert(zo_path_exists(zo_path_join(text, sizeof text, made, "adapter_model.safetensors")));
    snprintf(text, sizeof text, "%s, \"from\": \"%s\"}, \"optimizer\": [\"zero-shot\", \"mezo\"]}", adapted, made);
    ck_assert_msg(run(config("on.json", text), "lora.db") == 0, "%s", said);
    const char *ended = ask("lora.db", "SELECT printf('%.9f', e.loss) FROM evaluations e JOIN runs USING (run) WHERE e.split = 'dev' AND optimizer = 'mezo' AND tune NOT LIKE '%from%' AND e.step = 6");
    ck_assert_str_ne(ended, ask("lora.db", "SELECT printf('%.9f', e.loss) FROM evaluations e JOIN runs USING (run) WHERE e.split = 'dev' AND tune NOT LIKE '%from%' AND e.step = 0"));
    ck_assert_str_eq(ended, ask("lora.db", "SELECT printf('%.9f', e.loss) FROM evaluations e JOIN runs USING (run) WHERE e.split = 'dev' AND optimizer = 'zero-shot' AND tune LIKE '%from%'"));
    ck_assert_str_eq(ended, ask("lora.db", "SELECT printf('%.9f', e.loss) FROM evaluations e JOIN runs USING (run) WHERE e.split = 'dev' AND optimizer = 'mezo' AND tune LIKE '%from%' AND e.step = 0"));
    ck_assert_str_eq(ask("lora.db", "SELECT count(DISTINCT model_fingerprint) FROM runs"), "2;"); /* with the adapter, and without */
    ck_assert(zo_write_file(zo_path_join(text, sizeof text, made, "adapter_config.json"), "{}", 2, &err) == ZO_OK);
    ck_assert_int_eq(run(scratch("on.json"), "lora.db"), 2); /* another folder, so other cells; and not one of such adapters */
    ASSERT_HAS(said, "adapter_config.json: key \"r\"");
    uint64_t print[2] = {1, 1};
    char numbers[200000] = {[0] = 2, [8] = '{', [9] = '}'};
    for (int i = 0; i < 2; i++) { /* one number, wherever it stands */
        numbers[20000] = (char)i;
        ck_assert_int_eq(zo_write_file(zo_path_join(text, sizeof text, made, "adapter_model.safetensors"), numbers, sizeof numbers, &err), ZO_OK);
        ck_assert_int_eq(zo_adapter_fingerprint(made, &print[i], &err), ZO_OK);
    }
    ck_assert_uint_ne(print[0], print[1]);
    /* what no folder can hold: that is a matter of --save, and without it the cell is run */
    ck_assert_msg(zo_synth_write_tokenizer(scratch("gpt2"), &err) == ZO_OK, "%s", err.text);
    static const char gpt2[] = "{\"model_type\": \"gpt2\", \"vocab_size\": 512, \"n_positions\": 64, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2}";
    ck_assert_int_eq(zo_write_file(scratch("gpt2/config.json"), gpt2, strlen(gpt2), &err), ZO_OK);
    snprintf(text, sizeof text, "{\"model\": \"%s\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"prompt\", \"train\": 8, \"dev\": 4, \"test\": 4, "
             "\"steps\": 1, \"tune\": \"lora\", \"optimizer\": \"mezo\"}", scratch("gpt2"));
    const char *const whole[] = {"zo", "run", config("gpt2.json", text), "--db", scratch("gpt2.db"), "--save", scratch("whole"), NULL};
    ck_assert_int_ne(finish(start(whole, 0)), 0);
    ASSERT_HAS(said, "PEFT's format has no adapter on a part of a module, and in gpt2 several layers are one (h.#.attn.c_attn)");
    ck_assert_str_eq(ask("gpt2.db", "SELECT status FROM runs"), "failed;");
    ck_assert_msg(run(scratch("gpt2.json"), "gpt2.db") == 0, "%s", said);
    ck_assert_str_eq(ask("gpt2.db", "SELECT status FROM runs"), "done;");
    /* where nothing can be written the cell says so before it trains */
    ck_assert(zo_write_file(scratch("file"), "", 0, &err) == ZO_OK);
    const char *const into[] = {"zo", "run", path, "--db", scratch("none.db"), "--save", scratch("file"), NULL};
    ck_assert_int_eq(finish(start(into, 0)), 2);
    ASSERT_HAS(said, "/file: the folder cannot be made");
    ck_assert_str_eq(ask("none.db", "SELECT DISTINCT status || (SELECT count(*) FROM steps s WHERE s.run = runs.run) FROM runs WHERE optimizer <> 'zero-shot'"), "failed0;");
}
END_TEST

/* A prefix that a run has saved is where the next begins, loss for loss; another in the same folder is another cell. */
START_TEST(a_prefix_goes_on)
{
    const char *path = config("prefix.json", "{" SMALL ", \"steps\": 6, \"lr\": [0.03, 0.1], \"optimizer\": \"mezo\", \"tune\": \"prefix tokens 3 init random\"}");
    const char *const save[] = {"zo", "run", path, "--db", scratch("prefix.db"), "--save", scratch("prefixes"), NULL};
    ck_assert_msg(finish(start(save, 0)) == 0, "%s", said);
    char hash[2][64], text[600], ended[200], *made;
    size_t bytes;
    zo_err err = {0};
    for (int i = 0; i < 2; i++) {
        snprintf(hash[i], sizeof hash[i], "%s", ask("prefix.db", i == 0 ? "SELECT hash FROM runs WHERE lr < 0.05" : "SELECT hash FROM runs WHERE lr > 0.05"));
        hash[i][strcspn(hash[i], ";")] = '\0';
    }
    static const char at[] = "SELECT group_concat(loss, ' ') FROM (SELECT loss FROM evaluations JOIN runs USING (run) WHERE lr < 0.05 AND step = %d ORDER BY evaluations.split)";
    snprintf(text, sizeof text, at, 6);
    snprintf(ended, sizeof ended, "%s", ask("prefix.db", text));
    snprintf(text, sizeof text, "{%s, \"steps\": 6, \"lr\": 0.03, \"optimizer\": \"mezo\", \"tune\": \"prefix tokens 3 from %s/%s\"}", SMALL, scratch("prefixes"),
             hash[0]);
    path = config("on.json", text);
    ck_assert_msg(run(path, "on.db") == 0, "%s", said);
    snprintf(text, sizeof text, at, 0);
    ck_assert_str_eq(ask("on.db", text), ended); /* in every digit */
    snprintf(text, sizeof text, at, 0);
    ck_assert_str_ne(ask("prefix.db", text), ended);
    ck_assert_int_eq(run(path, "on.db"), 0);
    ASSERT_HAS(said, "1 of 1 cells are done already");
    snprintf(text, sizeof text, "%s/%s/prefix.safetensors", scratch("prefixes"), hash[1]);
    ck_assert(zo_read_file(text, 1 << 20, &made, &bytes, &err) == ZO_OK);
    snprintf(text, sizeof text, "%s/%s/prefix.safetensors", scratch("prefixes"), hash[0]);
    ck_assert(zo_write_file(text, made, bytes, &err) == ZO_OK);
    zo_free(made);
    ck_assert_int_eq(run(path, "on.db"), 0);
    *strrchr(text, '/') = '\0'; /* the folder */
    char changed[700];
    snprintf(changed, sizeof changed, "1 cells were done with another model than there is now (%s from %s)", scratch("model"), text);
    ASSERT_HAS(said, changed);
    text[strlen(text)] = '/';
    ck_assert_str_eq(ask("on.db", "SELECT count(*) || ' ' || count(DISTINCT hash) FROM runs WHERE status = 'done'"), "2 1;");
    unlink(text); /* and where it is gone */
    ck_assert_int_eq(run(path, "on.db"), 2);
    ASSERT_HAS(said, "has neither prefix.safetensors nor adapter_config.json");
}
END_TEST

/* A row names program, model and data; cells that are skipped although these are others now are named. */
START_TEST(made_from)
{
    const char *path = config("s.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\", \"seed\": [1, 2]}");
    const char *const argv[] = {"zo", "run", path, "--db", scratch("s.db"), "--data", "some/where", NULL};
    ck_assert_msg(finish(start(argv, 0)) == 0, "%s", said);
    char want[600];
    snprintf(want, sizeof want, "%s some/where 16;", scratch("model"));
    ck_assert_str_eq(ask("s.db", "SELECT DISTINCT model_folder || ' ' || data_folder || ' ' || length(model_fingerprint) FROM runs"), want);
    ck_assert_int_eq(run(path, "s.db"), 0);
    ck_assert_ptr_null(strstr(said, "--redo"));
    tell("s.db", "UPDATE tries SET revision = 'abc' WHERE run = 1");
    ck_assert_int_eq(run(path, "s.db"), 0);
    ASSERT_HAS(said, "1 cells were done by another revision (abc, now ");
    ASSERT_HAS(said, "; --redo runs all cells again, --db with another name keeps both\n");
    ck_assert_ptr_null(strstr(said, "done with another"));
    /* a file of weights appears in the model's folder, then another of the same size: other cells, run beside the former ones */
    char text[100000] = {[0] = 2, [8] = '{', [9] = '}'};
    zo_err err = {0};
    ck_assert_int_eq(zo_write_file(scratch("model/model.safetensors"), text, sizeof text, &err), ZO_OK);
    ck_assert_int_eq(run(path, "s.db"), 0);
    ASSERT_HAS(said, "2 cells were done with another model than there is now (");
    ck_assert_str_eq(ask("s.db", "SELECT count(*) || ' ' || count(DISTINCT hash) || ' ' || count(DISTINCT identity) FROM runs WHERE status = 'done'"),
                     "4 2 4;");
    uint64_t before, after;
    ck_assert_int_eq(zo_model_fingerprint(scratch("model"), &before, &err), ZO_OK);
    memset(text + 10, 1, sizeof text - 10);
    ck_assert_int_eq(zo_write_file(scratch("model/model.safetensors"), text, sizeof text, &err), ZO_OK);
    ck_assert_int_eq(zo_model_fingerprint(scratch("model"), &after, &err), ZO_OK);
    ck_assert_uint_ne(before, after);
    ck_assert_int_eq(run(path, "s.db"), 0);
    ck_assert_str_eq(ask("s.db", "SELECT count(*) FROM runs"), "6;");
    ck_assert_int_eq(run(path, "s.db"), 0);
    ASSERT_HAS(said, "2 of 2 cells are done already");
    /* --redo: another try counts, and the former one stays */
    tell("s.db", "UPDATE tries SET accuracy = 7");
    const char *const redo[] = {"zo", "run", path, "--db", scratch("s.db"), "--redo", NULL};
    ck_assert_int_eq(finish(start(redo, 0)), 0);
    ck_assert_str_eq(ask("s.db", "SELECT count(*) FROM runs WHERE status = 'done' AND accuracy <= 1"), "2;");
    ck_assert_str_eq(ask("s.db", "SELECT count(*) FROM tries WHERE accuracy = 7"), "6;");
    ck_assert_str_eq(ask("s.db", "SELECT count(*) FROM steps JOIN runs USING (run)"), "12;");
    unlink(scratch("model/model.safetensors"));
}
END_TEST

/* What is not there is said before anything is made: a device, or in a dry run a synthetic model. */
START_TEST(nothing_is_made)
{
    setenv("ZO_CACHE", scratch("no-cache"), 1);
    static const char *const device[] = {"cuda:77", "cpu"};
    for (int k = 0; k < 4; k++) {
        char text[600];
        snprintf(text, sizeof text, "{\"model\": \"synth-tiny\", \"task\": \"synth-sentiment\", \"steps\": 1, \"optimizer\": \"mezo\", \"device\": \"%s\"}",
                 device[k / 2]);
        const char *path = config("m.json", text);
        const char *const argv[] = {"zo", "run", path, "--db", scratch("m.db"), k % 2 ? "--json" : "--dry-run", "--dry-run", NULL};
        ck_assert_int_eq(finish(start(argv, 0)), k < 2 ? 2 : 0);
        ASSERT_HAS(said, k < 2 ? "device \"cuda:77\"" : "the model is not made yet; zo run makes it");
    }
    const char *const argv[] = {"zo", "run", config("m.json", "{" SMALL ", \"device\": \"cuda:77\", \"steps\": 1, \"optimizer\": \"mezo\"}"), "--db", scratch("m.db"), NULL};
    ck_assert_int_eq(finish(start(argv, 0)), 2);
    for (int k = 0; k < 2; k++) { /* of several the one that is not there, wherever it stands */
        char text[600];
        snprintf(text, sizeof text, "{\"model\": \"synth-tiny\", \"task\": \"synth-sentiment\", \"steps\": 1, \"optimizer\": \"mezo\", \"device\": [\"%s\", \"%s\"]}",
                 device[k], device[1 - k]);
        const char *several = config("m.json", text);
        const char *const list[] = {"zo", "run", several, "--db", scratch("m.db"), NULL};
        ck_assert_int_eq(finish(start(list, 0)), 2);
        ASSERT_HAS(said, "device \"cuda:77\"");
    }
    /* --device stands in place of what the config says, in `include` too, and is the cell's */
    const char *two = config("m.json", "{" SMALL ", \"device\": \"cuda:77\", \"steps\": 1, \"optimizer\": \"mezo\", \"include\": [{\"device\": \"cuda:78\", \"seed\": 3}]}");
    const char *const here[] = {"zo", "run", two, "--db", scratch("m.db"), "--device", "cpu", "--dry-run", "--json", NULL};
    ck_assert_msg(finish(start(here, 0)) == 0, "%s", said);
    cJSON *list = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(list), 2);
    for (int i = 0; i < 2; i++) {
        const cJSON *cell = cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "config");
        ck_assert_str_eq(cJSON_GetObjectItem(cell, "device")->valuestring, "cpu");
    }
    cJSON_Delete(list);
    const char *const there[] = {"zo", "run", two, "--db", scratch("m.db"), "--device", "cuda:9", "--dry-run", NULL};
    ck_assert_int_eq(finish(start(there, 0)), 2);
    ASSERT_HAS(said, "device \"cuda:9\"");
    ck_assert(!zo_path_exists(scratch("m.db")));
    ck_assert(!zo_path_exists(scratch("no-cache")));
    unsetenv("ZO_CACHE");
}
END_TEST

/* The best dev evaluation is the one of the highest accuracy, or of the lowest loss. */
START_TEST(selection)
{
    const char *path = config("l.json", "{" SMALL ", \"steps\": 40, \"eval_every\": 4, \"selection\": [\"dev-metric\", \"dev-loss\"], \"optimizer\": "
                              "{\"name\": \"fo-adamw\", \"lr\": 0.01}}");
    ck_assert_msg(run(path, "l.db") == 0, "%s", said);
    ck_assert_str_eq(ask("l.db", "SELECT selection || ' ' || selected FROM runs ORDER BY run"), "dev-metric test@best-dev;dev-loss test@best-dev-loss;");
    ck_assert_str_eq(ask("l.db", "SELECT r.best_step = e.step FROM runs r JOIN evaluations e USING (run) WHERE r.selection = 'dev-loss' AND "
                                 "e.split = 'dev' AND e.step > 0 ORDER BY e.loss, e.step LIMIT 1"), "1;");
    ck_assert_str_eq(ask("l.db", "SELECT r.best_step = e.step FROM runs r JOIN evaluations e USING (run) WHERE r.selection = 'dev-metric' AND "
                                 "e.split = 'dev' AND e.step > 0 ORDER BY e.accuracy DESC, e.step LIMIT 1"), "1;");
    ck_assert_str_eq(ask("l.db", "SELECT dev_accuracy = (SELECT accuracy FROM evaluations e WHERE e.run = runs.run AND split = 'dev' "
                                 "AND step = best_step) FROM runs"), "1;1;");
}
END_TEST

/* Of a budget in forwards each method gets as many evaluations, whatever a step costs it. */
START_TEST(evaluations_by_forwards)
{
    const char *path = config("e.json", "{" SMALL ", \"forwards\": 400, \"optimizer\": [\"mezo\", \"mezo-svrg\", \"fo-sgd\"]}");
    ck_assert_msg(run(path, "e.db") == 0, "%s", said);
    ck_assert_str_eq(ask("e.db", "SELECT count(*) FROM evaluations WHERE step > 0 AND split = 'dev' GROUP BY run"), "10;10;10;");
    ck_assert_str_eq(ask("e.db", "SELECT count(*) FROM evaluations WHERE forwards NOT BETWEEN 400 * (round(forwards / 40.0) / 10) AND "
                                 "400 * (round(forwards / 40.0) / 10) + 19"), "0;");
}
END_TEST

/* An update that inplace puts off until the next probe is training's, also where an evaluation or the end comes first. */
START_TEST(updates_are_training)
{
    const char *path = config("u.json", "{" SMALL ", \"steps\": 20, \"eval_every\": [0, 1], \"realisation\": [\"inplace\", \"streamed\"], \"optimizer\": \"mezo\"}");
    ck_assert_msg(run(path, "u.db") == 0, "%s", said);
    ck_assert_str_eq(ask("u.db", "SELECT count(DISTINCT normals) FROM runs GROUP BY realisation"), "1;1;");
    ck_assert_str_eq(ask("u.db", "SELECT count(*) FROM runs r JOIN parts p USING (run) WHERE part = 'update' AND seconds > 0"), "4;");
    /* biases and norms are drawn too: for a streamed step's pass, and for its update */
    const char *biases = config("v.json", "{" SMALL ", \"steps\": 3, \"form\": \"prompt\", \"tune\": \"bias\", \"realisation\": \"streamed\", \"optimizer\": \"mezo\"}");
    ck_assert_msg(run(biases, "v.db") == 0, "%s", said);
    ck_assert_str_eq(ask("v.db", "SELECT normals = 3 * 2 * trained_parameters FROM runs"), "1;");
}
END_TEST

#define LONG "{" SMALL ", \"steps\": 1500, \"eval_every\": 100, \"optimizer\": [\"mezo\", {\"name\": \"tezo-adam\", \"rank\": 2}, \"fo-adamw\"]}"

/* The whole program is killed, twice, at different places; the same command finishes, and nobody sees a difference. */
START_TEST(killed_in_the_middle)
{
    const char *path = config("k.json", LONG);
    ck_assert_msg(run(path, "whole.db") == 0, "%s", said);
    for (int kill_at = 0; kill_at < 2; kill_at++) {
        pid_t pid = start_run(path, "killed.db", 0);
        for (int i = 0; i < 2000; i++) {
            char want[16];
            snprintf(want, sizeof want, "%d;", kill_at + 1);
            bool there = strcmp(ask("killed.db", "SELECT count(*) FROM runs"), want) == 0;
            if (there && strcmp(ask("killed.db", "SELECT count(*) FROM runs r JOIN evaluations e USING (run) WHERE r.status = 'running'"), "0;") != 0) {
                break;
            }
            nap(3);
        }
        kill(pid, SIGKILL);
        finish(pid);
        nap(50); /* the cell dies with its parent */
        ck_assert_str_eq(ask("killed.db", "PRAGMA integrity_check"), "ok;");
    }
    const char *done = ask("killed.db", "SELECT group_concat(run || began, ' ') FROM runs WHERE status = 'done'");
    char before[1000];
    snprintf(before, sizeof before, "%s", done);
    ck_assert_msg(run(path, "killed.db") == 0, "%s", said);
    ck_assert_str_eq(ask("killed.db", "PRAGMA integrity_check"), "ok;");
    ck_assert_str_eq(ask("killed.db", results_sql), ask("whole.db", results_sql));
    if (strcmp(before, "(null);") != 0) { /* what was done then was not touched */
        ASSERT_HAS(ask("killed.db", "SELECT group_concat(run || began, ' ') FROM runs WHERE status = 'done'"), strtok(before, " ;"));
    }
}
END_TEST

/* The process whose parent is `parent`; 0 = none. */
static pid_t child_of(pid_t parent)
{
    DIR *proc = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *e; (e = readdir(proc)) != NULL && found == 0;) {
        char path[300], text[600] = "";
        snprintf(path, sizeof path, "/proc/%s/stat", e->d_name);
        FILE *f = e->d_name[0] >= '0' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (f != NULL) {
            size_t n = fread(text, 1, sizeof text - 1, f);
            text[n] = '\0';
            fclose(f);
            int ppid = 0;
            const char *paren = strrchr(text, ')');
            if (paren != NULL && sscanf(paren + 1, " %*c %d", &ppid) == 1 && ppid == (int)parent) {
                found = (pid_t)atoi(e->d_name);
            }
        }
    }
    closedir(proc);
    return found;
}

static void wait_for_training(const char *db)
{
    for (int i = 0; i < 3000 && strcmp(ask(db, "SELECT count(*) > 0 FROM runs r JOIN evaluations e USING (run) WHERE r.status = 'running'"), "1;") != 0;
         i++) {
        nap(3);
    }
}

START_TEST(one_cell_crashes)
{
    const char *path = config("c.json", LONG);
    pid_t pid = start_run(path, "crash.db", 0);
    wait_for_training("crash.db");
    pid_t cell = child_of(pid);
    ck_assert_int_gt(cell, 0);
    kill(cell, SIGUSR1); /* ends a process as a crash does, and no sanitizer steps in */
    ck_assert_int_eq(finish(pid), 1);
    ck_assert_str_eq(ask("crash.db", "SELECT status FROM runs ORDER BY status"), "done;done;failed;");
    ASSERT_HAS(ask("crash.db", "SELECT message FROM runs WHERE status = 'failed'"), "signal 10");
    ASSERT_HAS(said, "1 of 3 cells failed");
    ck_assert_int_eq(run(path, "crash.db"), 0);
    ck_assert_str_eq(ask("crash.db", "SELECT DISTINCT status FROM runs"), "done;");
}
END_TEST

static const int asks_to_end[] = {SIGINT, SIGTERM, SIGUSR1};

START_TEST(interrupted)
{
    const char *path = config("i.json", LONG);
    char db[20];
    snprintf(db, sizeof db, "int%d.db", _i);
    pid_t pid = start_run(path, db, 0);
    wait_for_training(db);
    int first_output = output;
    ck_assert_int_eq(run(path, db), 2); /* two at once */
    ASSERT_HAS(said, "another `zo run`");
    output = first_output;
    kill(pid, asks_to_end[_i]);
    ck_assert_int_eq(finish(pid), 1);
    ck_assert_str_eq(ask(db, "SELECT status FROM runs ORDER BY run DESC LIMIT 1"), "killed;");
    ASSERT_HAS(ask(db, "SELECT message FROM runs ORDER BY run DESC LIMIT 1"), "interrupted");
}
END_TEST

/* A terminal that closes leaves no row that says running; under nohup nothing ends. */
START_TEST(hang_up)
{
    const char *path = config("h.json", LONG);
    signal(SIGHUP, SIG_DFL); /* the tests themselves may have been started by nohup */
    pid_t pid = start_run(path, "hup.db", 0);
    wait_for_training("hup.db");
    kill(pid, SIGHUP);
    ck_assert_int_eq(finish(pid), 1);
    ck_assert_str_eq(ask("hup.db", "SELECT DISTINCT status FROM runs WHERE status <> 'done'"), "killed;");
    signal(SIGHUP, SIG_IGN);
    pid = start_run(path, "nohup.db", 0);
    wait_for_training("nohup.db");
    kill(pid, SIGHUP);
    int code = finish(pid);
    signal(SIGHUP, SIG_DFL);
    ck_assert_int_eq(code, 0);
    ck_assert_str_eq(ask("nohup.db", "SELECT DISTINCT status FROM runs"), "done;");
}
END_TEST

/* A try that is killed takes nothing from the one before it. */
START_TEST(redo_keeps_what_was)
{
    const char *path = config("r.json", LONG);
    ck_assert_msg(run(path, "redo.db") == 0, "%s", said);
    char *before = strdup(ask("redo.db", results_sql));
    pid_t pid = start((const char *const[]){"zo", "run", path, "--db", scratch("redo.db"), "--redo", NULL}, 0);
    for (int i = 0; i < 3000 && strcmp(ask("redo.db", "SELECT count(*) FROM tries WHERE status = 'running'"), "1;") != 0; i++) {
        nap(3);
    }
    kill(pid, SIGKILL);
    finish(pid);
    ck_assert_str_eq(ask("redo.db", results_sql), before);
    free(before);
    ck_assert_str_eq(ask("redo.db", "SELECT count(*) FROM tries"), "4;");
}
END_TEST

/* A try that ends before its row takes nothing from the one before it, and is no success. */
START_TEST(redo_that_has_no_row)
{
    const char *path = config("rn.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\"}");
    ck_assert_msg(run(path, "rn.db") == 0, "%s", said);
    setenv("ZO_MEMORY_LIMIT", "1K", 1);
    int code = finish(start((const char *const[]){"zo", "run", path, "--db", scratch("rn.db"), "--redo", NULL}, 0));
    unsetenv("ZO_MEMORY_LIMIT");
    ck_assert_int_eq(code, 0);
    ASSERT_HAS(said, ": oom");
    ck_assert_str_eq(ask("rn.db", "SELECT status FROM tries ORDER BY run"), "done;oom;");
    ck_assert_str_eq(ask("rn.db", "SELECT best_step IS NULL AND parameters IS NULL FROM tries WHERE status = 'oom'"), "1;");
}
END_TEST

/* What a step took stands in the step, also where its update waits for an evaluation. */
START_TEST(step_times_are_whole)
{
    const char *path = config("st.json", "{" SMALL ", \"steps\": 60, \"eval_every\": [1, 0], \"log_every\": 1, \"realisation\": \"inplace\","
                              "\"optimizer\": \"mezo\"}");
    ck_assert_msg(run(path, "st.db") == 0, "%s", said);
    ck_assert_str_eq(ask("st.db", "SELECT abs((SELECT sum(seconds) FROM steps WHERE steps.run = runs.run) - train_seconds) < 1e-9 FROM runs"), "1;1;");
    ck_assert_str_eq(ask("st.db", "SELECT abs((SELECT avg(seconds) FROM steps WHERE steps.run = runs.run AND step > 1) * 1000 - step_ms) < 1e-6 FROM runs"),
                     "1;1;");
}
END_TEST

/* A database that is not there any more ends the run at once, and nothing claims to be done. */
START_TEST(database_removed)
{
    const char *path = config("rm.json", LONG);
    pid_t pid = start_run(path, "rm.db", 0);
    wait_for_training("rm.db");
    unlink(scratch("rm.db"));
    ck_assert_int_eq(finish(pid), 2);
    ASSERT_HAS(said, "rm.db: was removed while the run was working on it");
}
END_TEST

/* Out of memory before there is a row, or in it, is a row; with more memory the cell is tried again, with as much it is said. */
START_TEST(memory_limits)
{
    const char *path = config("mem.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\"}");
    static const struct { const char *limit; int code; const char *status, *words; } of[] = {
        {"x", 2, "", "ZO_MEMORY_LIMIT is \"x\""}, {"3000", 0, "oom;", "oom"}, {"3K", 0, "oom;", "1 cells ended oom, with about as much memory"},
        {"1G", 0, "done;", "1 cells ended oom, and more memory is free now"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        setenv("ZO_MEMORY_LIMIT", of[i].limit, 1);
        int code = run(path, "mem.db");
        unsetenv("ZO_MEMORY_LIMIT");
        ck_assert_msg(code == of[i].code, "%s: %d %s", of[i].limit, code, said);
        ASSERT_HAS(said, of[i].words);
        if (of[i].status[0] != '\0') {
            ck_assert_str_eq(ask("mem.db", "SELECT status FROM runs"), of[i].status);
        }
    }
}
END_TEST

/* Another tokenizer or other rows are another cell, which is said and run; the former rows stay. */
START_TEST(changed_inputs)
{
    zo_err err = {0};
    for (int k = 0; k < 2; k++) {
        char text[4000] = "sentence\tlabel\n", name[64];
        for (int i = 0; i < 50; i++) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "the %s movie was %s\t%d\n", k ? "old" : "new", i % 3 ? "good" : "bad", i % 3 != 0);
        }
        snprintf(name, sizeof name, "data%d/glue/SST-2", k);
        ck_assert_msg(zo_make_dirs(scratch(name), &err) == ZO_OK, "%s", err.text);
        static const char *const file[] = {"train.tsv", "dev.tsv"};
        for (int f = 0; f < 2; f++) {
            snprintf(name, sizeof name, "data%d/glue/SST-2/%s", k, file[f]);
            ck_assert_int_eq(zo_write_file(scratch(name), text, strlen(text), &err), ZO_OK);
        }
    }
    const char *path = config("ch.json", "{\"model\": \"%M\", \"init\": \"random\", \"task\": \"sst2\", \"context\": 48, \"batch\": 4, \"train\": 16,"
                              "\"dev\": 8, \"test\": 8, \"threads\": 1, \"steps\": 2, \"optimizer\": \"mezo\"}");
    static const char *const folder_of[] = {"data0", "data0", "data1", "data1"}, *const words[] = {"[1/1]", "1 of 1 cells are done already",
                                             "1 cells were done with other data than there is now", "1 of 1 cells are done already"};
    for (int i = 0; i < 4; i++) {
        const char *const argv[] = {"zo", "run", path, "--db", scratch("ch.db"), "--data", scratch(folder_of[i]), NULL};
        ck_assert_msg(finish(start(argv, 0)) == 0, "%s", said);
        ASSERT_HAS(said, words[i]);
    }
    ck_assert_str_eq(ask("ch.db", "SELECT count(*) || count(DISTINCT rows_fingerprint) FROM runs WHERE status = 'done'"), "22;");
    /* two words of the vocabulary change places */
    char *vocab;
    size_t n;
    ck_assert_int_eq(zo_read_file(scratch("model/vocab.txt"), 1 << 20, &vocab, &n, &err), ZO_OK);
    char *first = strstr(vocab, "\ngood\n"), kept[8] = "";
    if (first == NULL) { /* any word will do */
        first = strchr(vocab + n / 2, '\n');
    }
    memcpy(kept, first, 3);
    first[1] = first[1] == 'q' ? 'z' : 'q';
    ck_assert_int_eq(zo_write_file(scratch("model/vocab.txt"), vocab, n, &err), ZO_OK);
    const char *const argv[] = {"zo", "run", path, "--db", scratch("ch.db"), "--data", scratch("data1"), NULL};
    ck_assert_msg(finish(start(argv, 0)) == 0, "%s", said);
    ASSERT_HAS(said, "1 cells were done with another tokenizer than there is now");
    memcpy(first, kept, 3);
    ck_assert_int_eq(zo_write_file(scratch("model/vocab.txt"), vocab, n, &err), ZO_OK);
    zo_free(vocab);
}
END_TEST

START_TEST(outcomes_are_rows)
{
    const char *path = config("o.json", "{" SMALL ", \"steps\": 20, \"optimizer\": {\"name\": \"mezo\", \"lr\": 1e6, \"weight_decay\": 1000}}");
    ck_assert_msg(run(path, "o.db") == 0, "%s", said);
    ck_assert_str_eq(ask("o.db", "SELECT status FROM runs"), "diverged;");
    ASSERT_HAS(ask("o.db", "SELECT message FROM runs"), "step");
    ck_assert_str_eq(ask("o.db", "SELECT marks || ' ' || selected || ' ' || metric_value FROM runs"), "diverged chance 0.5;");
    /* Weights that are not numbers choose a class, but that is no accuracy: an evaluation that finds them first ends the cell. */
    path = config("n.json", "{" SMALL ", \"steps\": 20, \"eval_every\": 1, \"optimizer\": {\"name\": \"mezo\", \"lr\": 1e6, \"weight_decay\": 1000}}");
    ck_assert_msg(run(path, "n.db") == 0, "%s", said);
    ck_assert_str_eq(ask("n.db", "SELECT status FROM runs"), "diverged;");
    ASSERT_HAS(ask("n.db", "SELECT message FROM runs"), "the loss on dev after ");
    ck_assert_str_eq(ask("n.db", "SELECT count(*) FROM evaluations WHERE loss IS NULL"), "0;");
    setenv("ZO_MEMORY_LIMIT", "400000", 1);
    path = config("m.json", "{" SMALL ", \"steps\": 20, \"optimizer\": \"fo-adamw\"}");
    int code = run(path, "m.db");
    unsetenv("ZO_MEMORY_LIMIT");
    ck_assert_msg(code == 0, "%s", said);
    ck_assert_str_eq(ask("m.db", "SELECT status FROM runs"), "oom;");
    ASSERT_HAS(ask("m.db", "SELECT message FROM runs"), "out of memory: asked for");
    ck_assert_str_eq(ask("m.db", "SELECT sum(bytes) > 100000 FROM memory WHERE phase = 'overall'"), "1;");
    path = config("t.json", "{" SMALL ", \"steps\": 1000000, \"eval_every\": 0, \"seconds\": 0.2, \"optimizer\": \"mezo\"}");
    ck_assert_msg(run(path, "t.db") == 0, "%s", said);
    ck_assert_str_eq(ask("t.db", "SELECT status FROM runs"), "time;");
    path = config("w.json", "{" SMALL ", \"work\": 26, \"seed\": [1, 2, 3, 4, 5, 6], \"optimizer\": [\"mezo\", \"fo-sgd\"]}");
    ck_assert_msg(run(path, "w.db") == 0, "%s", said);
    ck_assert_str_eq(ask("w.db", "SELECT DISTINCT optimizer || steps FROM runs ORDER BY 1"), "fo-sgd9;mezo13;"); /* 9 x 3 and 13 x 2 */
    path = config("f.json", "{" SMALL ", \"forwards\": 25, \"optimizer\": \"mezo\"}");
    ck_assert_msg(run(path, "f.db") == 0, "%s", said);
    ck_assert_str_eq(ask("f.db", "SELECT status || steps || ' ' || forwards FROM runs"), "done13 26;");
}
END_TEST

static void refuse(const char *text, const char *words)
{
    unlink(scratch("bad.db"));
    const char *path = config("bad.json", text);
    ck_assert_msg(run(path, "bad.db") == 2, "%s", said);
    ASSERT_HAS(said, words);
    ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "more than one line: %s", said);
    ck_assert(!zo_path_exists(scratch("bad.db"))); /* nothing half-written */
}

START_TEST(bad_input)
{
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\", \"contxt\": 3}", "bad.json: there is no key \"contxt\"; did you mean \"context\"?");
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\",", "bad.json: line");
    refuse("{\"model\": \"no-such-model\", \"task\": \"synth-sentiment\", \"steps\": 5, \"optimizer\": \"mezo\"}", "no-such-model");
    refuse("{\"model\": \"%M\", \"task\": \"synth-sentiment\", \"steps\": 5, \"context\": 48, \"optimizer\": \"mezo\"}", "safetensors");
    refuse("{\"model\": \"%M\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"steps\": 5, \"context\": 65, \"optimizer\": \"mezo\"}",
           "longer than the 64 positions");
    refuse("{\"model\": \"%M\", \"init\": \"random\", \"task\": \"sst2\", \"steps\": 5, \"context\": 48, \"optimizer\": \"mezo\"}", "sst2");
    static const char t5[] = "{\"model_type\": \"t5\"}"; /* what cannot be read is wrong input, no row */
    zo_err err = {0};
    ck_assert_msg(zo_make_dirs(scratch("t5"), &err) == ZO_OK && zo_write_file(scratch("t5/config.json"), t5, strlen(t5), &err) == ZO_OK, "%s", err.text);
    refuse("{\"model\": \"%M/../t5\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"steps\": 5, \"optimizer\": \"mezo\"}",
           "key \"model_type\" is \"t5\", an architecture that is not supported; supported are bert");
    const char *const argv[] = {"zo", "run", config("x.json", "{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\"}"), "--db", "/proc/nowhere/x.db", NULL};
    ck_assert_int_eq(finish(start(argv, 0)), 2);
    ASSERT_HAS(said, "/proc/nowhere");
    const char *const typo[] = {"zo", "run", scratch("x.json"), "--dbb", "x.db", NULL};
    ck_assert_int_eq(finish(start(typo, 0)), 2);
    ASSERT_HAS(said, "did you mean --db?");
    const char *const absent[] = {"zo", "run", scratch("absent.json"), NULL};
    ck_assert_int_eq(finish(start(absent, 0)), 2);
    ASSERT_HAS(said, "absent.json");
}
END_TEST

/* Rates in two digits, each `factor` times the one before. A best rate at the edge has the next one tried; what is chosen has the lowest dev loss of the
 * trials, and stands in the shown cells; a trial has no test rows, and nothing is run twice. */
START_TEST(rates_are_chosen)
{
    const char *path = config("tuned.json", "{" SMALL ", \"steps\": 20, \"selection\": \"dev-loss\", \"seed\": [1, 2],"
                              "\"optimizer\": [\"zero-shot\", {\"name\": \"fo-sgd\", \"lr\": [1e-4, 0.5]}], \"tuning\": {\"seed\": 7, \"rates\": 3, \"factor\": 10, \"most\": 5}}");
    const char *const dry[] = {"zo", "run", path, "--db", scratch("tuned.db"), "--dry-run", NULL};
    ck_assert_int_eq(finish(start(dry, 0)), 0);
    ASSERT_HAS(said, "6 cells, 6 to run"); /* the trials, */
    ASSERT_HAS(said, "the rates of 2 of 2 settings are not chosen yet");
    ck_assert_msg(run(path, "tuned.db") == 0, "%s", said);
    ck_assert_str_eq(ask("tuned.db", "SELECT count(*) FROM runs WHERE seed = 7 AND (test <> 0 OR optimizer = 'zero-shot')"), "0;");
    ck_assert_str_eq(ask("tuned.db", "SELECT count(*) FROM runs WHERE seed <> 7 AND optimizer = 'zero-shot'"), "2;");
    ck_assert_str_eq(ask("tuned.db", "SELECT group_concat(lr) FROM (SELECT lr FROM runs WHERE seed = 7 AND lr IN (1e-5, 1e-4, 1e-3) ORDER BY lr)"), "1.0e-05,0.0001,0.001;");
    /* each search: its trials, and the lowest dev loss among them (a diverged run has none) */
    static const struct { const char *mine; double centre; } search[] = {{"lr IN (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)", 1e-4}, {"lr IN (5e-4, 5e-3, 0.05, 0.5, 5.0, 50.0)", 0.5}};
    for (size_t i = 0; i < sizeof search / sizeof *search; i++) {
        char sql[600];
        snprintf(sql, sizeof sql, "SELECT lr FROM runs WHERE seed = 7 AND %s AND dev_loss IS NOT NULL ORDER BY dev_loss, lr LIMIT 1", search[i].mine);
        const char *best = ask("tuned.db", sql);
        snprintf(sql, sizeof sql, "SELECT DISTINCT lr FROM runs WHERE seed <> 7 AND %s", search[i].mine);
        ck_assert_str_eq(ask("tuned.db", sql), best);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM runs WHERE seed <> 7 AND %s", search[i].mine);
        ck_assert_str_eq(ask("tuned.db", sql), "2;");
        snprintf(sql, sizeof sql, "WITH t AS (SELECT lr FROM runs WHERE seed = 7 AND %s), b AS (SELECT lr AS best FROM runs WHERE seed = 1 AND %s)"
                 " SELECT (SELECT count(*) FROM t) = 5 OR ((SELECT min(lr) FROM t) < best AND (SELECT max(lr) FROM t) > best) FROM b", search[i].mine, search[i].mine);
        ck_assert_str_eq(ask("tuned.db", sql), "1;");
    }
    ck_assert_str_eq(ask("tuned.db", "SELECT max(n) > 3 FROM (SELECT count(*) AS n FROM runs WHERE seed = 7 AND lr IN (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1))"), "1;"); /* gone on */
    const char *before = ask("tuned.db", "SELECT count(*) || group_concat(try) FROM tries");
    ck_assert_int_eq(run(path, "tuned.db"), 0);
    ASSERT_HAS(said, "6 of 6 cells are done already");
    ck_assert_str_eq(ask("tuned.db", "SELECT count(*) || group_concat(try) FROM tries"), before);
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\", \"tuning\": 3}", "tuning: is a number; expected an object");
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\", \"tuning\": {}}", "\"seed\" is missing; give one that no cell has");
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\", \"seed\": [1, 7], \"tuning\": {\"seed\": 7}}", "\"seed\" 7 is also that of a cell");
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\", \"tuning\": {\"seed\": 7, \"rate\": 3}}", "did you mean \"rates\"?");
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": \"mezo\", \"tuning\": {\"seed\": 7, \"rates\": 5, \"most\": 4}}", "\"most\" is 4, and \"rates\" 5 are tried");
    refuse("{" SMALL ", \"steps\": 5, \"selection\": \"best-test\", \"optimizer\": \"mezo\", \"tuning\": {\"seed\": 7}}", "rates are chosen on dev");
    refuse("{" SMALL ", \"steps\": 5, \"optimizer\": {\"name\": \"mezo\", \"lr\": 0}, \"tuning\": {\"seed\": 7}}", "from which no search can begin");
}
END_TEST

/* A part of a config's cells; hours from a few timed steps, which stand beside the database; nothing is run where they are too many. */
START_TEST(parts_and_hours)
{
    const char *path = config("parts.json", "{" SMALL ", \"steps\": 8, \"optimizer\": [\"zero-shot\", \"mezo\", {\"name\": \"fo-sgd\", \"steps\": [8, 1000000]}], \"seed\": [1, 2]}");
    const char *const part[] = {"zo", "run", path, "--db", scratch("parts.db"), "--only", "{\"optimizer\": [\"mezo\", \"zero-shot\"], \"seed\": 2}", "--minutes", "5", NULL};
    ck_assert_msg(finish(start(part, 0)) == 0, "%s", said);
    ASSERT_HAS(said, " hours for 2 cells, by timed steps of each of 2 settings");
    ck_assert_str_eq(ask("parts.db", "SELECT optimizer || seed FROM runs ORDER BY 1"), "mezo2;zero-shot2;");
    ck_assert_str_eq(ask("parts.db.hours", "SELECT DISTINCT optimizer || (steps >= 6) || test || seed FROM runs WHERE optimizer = 'mezo'"), "mezo180;");
    const char *const whole[] = {"zo", "run", path, "--db", scratch("parts.db"), "--minutes", "1", NULL};
    ck_assert_int_eq(finish(start(whole, 0)), 1);
    ASSERT_HAS(said, "that is more than the 1 minutes of --minutes");
    ck_assert_str_eq(ask("parts.db", "SELECT count(*) FROM runs"), "2;");
    const char *const none[] = {"zo", "run", path, "--db", scratch("parts.db"), "--only", "{\"optimizer\": \"hizoo\"}", NULL};
    ck_assert_int_eq(finish(start(none, 0)), 2);
    ASSERT_HAS(said, "matches none of the 8 cells");
    const char *const wrong[] = {"zo", "run", path, "--db", scratch("parts.db"), "--only", "{\"optimiser\": \"mezo\"}", NULL};
    ck_assert_int_eq(finish(start(wrong, 0)), 2);
    ASSERT_HAS(said, "--only: there is no key \"optimiser\"");
    const char *const both[] = {"zo", "run", path, "--db", scratch("parts.db"), "--minutes", "5", "--dry-run", NULL};
    ck_assert_int_eq(finish(start(both, 0)), 2);
    ASSERT_HAS(said, "--minutes times some steps");
}
END_TEST

/* A limit on file sizes stands for a full disk. */
/* What a paper counts as a query, and what a task is reported by. */
START_TEST(lists_say_what_figures_are)
{
    static const struct { const char *list, *key, *name, *column, *says; } of[] = {
        {"optimizers", "optimizer", "mezo-svrg", "queries_are", "examples forwarded"},
        {"optimizers", "optimizer", "fo-adamw", "queries_are", ""},
        {"tasks", "task", "mrpc", "metric", "f1"},
        {"tasks", "task", "cola", "metric", "matthews"},
        {"tasks", "task", "cb", "metric", "accuracy"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        const char *const list[] = {"zo", "list", of[i].list, "--json", NULL};
        ck_assert_int_eq(finish(start(list, 0)), 0);
        cJSON *rows = cJSON_Parse(said);
        const cJSON *found = NULL;
        for (const cJSON *row = rows != NULL ? rows->child : NULL; row != NULL; row = row->next) {
            if (strcmp(cJSON_GetObjectItem(row, of[i].key)->valuestring, of[i].name) == 0) {
                found = cJSON_GetObjectItem(row, of[i].column);
            }
        }
        ck_assert_msg(cJSON_IsString(found), "%s", said);
        ck_assert_msg(of[i].says[0] != '\0' ? strstr(found->valuestring, of[i].says) != NULL : found->valuestring[0] == '\0', "%s", found->valuestring);
        cJSON_Delete(rows);
        const char *const table[] = {"zo", "list", of[i].list, NULL};
        ck_assert_int_eq(finish(start(table, 0)), 0);
        ASSERT_HAS(said, of[i].column);
    }
}
END_TEST

/* On a terminal of 60 columns, and on one with room for all, with a model whose name is longer than that and has wide characters: neither the live line nor a closing one wraps,
 * and they still say how far it is and which seed it was. */
START_TEST(progress_fits_the_terminal)
{
    static char shown[1 << 22]; /* a line several times a second, and a slow machine takes minutes */
    char text[2000];
    symlink("model", scratch("a-model-of-a-name-that-fills-a-line-of-a-terminal-\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"));
    snprintf(text, sizeof text, "{\"model\": \"%s\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 48, \"batch\": 4, \"train\": 32,"
             " \"dev\": 8, \"test\": 8, \"threads\": 1, \"steps\": 300, \"optimizer\": [\"mezo\", \"fo-sgd\"], \"seed\": [1, 2]}",
             scratch("a-model-of-a-name-that-fills-a-line-of-a-terminal-\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97"));
    const char *path = config("terminal.json", text);
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    ck_assert(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct winsize size = {.ws_row = 24, .ws_col = _i ? 300 : 60};
    ck_assert_int_eq(ioctl(terminal, TIOCSWINSZ, &size), 0);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(terminal, 2);
        execl("/proc/self/exe", "zo", "run", path, "--db", scratch(_i ? "wide.db" : "terminal.db"), (char *)NULL);
        _exit(127);
    }
    close(terminal);
    size_t n = 0;
    for (ssize_t got; n < sizeof shown - 1 && (got = read(master, shown + n, sizeof shown - 1 - n)) > 0; n += (size_t)got) {
    }
    shown[n] = '\0';
    close(master);
    int status, live = 0, ended = 0, constant = 0;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", shown);
    char *all = strdup(shown), *rest = all;
    for (char *line; (line = strtok_r(rest, "\r\n", &rest)) != NULL;) {
        line += strncmp(line, "\033[K", 3) == 0 ? 3 : 0; /* of the line that was there */
        char *clear = strstr(line, "\033[K");
        if (clear != NULL) {
            *clear = '\0';
        }
        ck_assert_msg(zo_text_width(line) <= size.ws_col - (clear != NULL), "%s", line);
        live += strstr(line, "| train step") != NULL || strstr(line, "| load step") != NULL;
        bool method = strstr(line, " mezo ") != NULL || strstr(line, " fo-sgd ") != NULL;
        ended += method && (strstr(line, " seed 1: done, accuracy") != NULL || strstr(line, " seed 2: done, accuracy") != NULL);
        constant += strstr(line, " (constant)") != NULL;
        ck_assert_msg(strstr(line, "nan") == NULL, "%s", line);
    }
    free(all);
    ck_assert_msg(live > 0 && ended == 4, "%s", shown);
    ASSERT_HAS(shown, "\rchecking ");
    ck_assert_int_gt(constant, 0);
    ck_assert_int_eq(constant, atoi(ask(_i ? "wide.db" : "terminal.db", "SELECT count(*) FROM runs WHERE marks LIKE '%constant%'")));
}
END_TEST

/* A dry run says of each cell whether it is done, and of others what they will take: as if each were asked for alone. */
START_TEST(dry_runs_say_what_is_left)
{
    static const char cells[] = "{\"model\": \"%%M\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"batch\": 4, \"train\": 32, \"dev\": 8, \"test\": 8, "
                                "\"threads\": 1, \"steps\": 2, \"optimizer\": \"fo-adamw\", \"context\": %s}";
    static const struct { const char *contexts; int n; bool done[3]; } of[] = {{"16", 1, {0}}, {"[48]", 1, {0}}, {"[16, 32, 48]", 3, {0, 1, 0}}};
    double alone[2];
    char text[600];
    snprintf(text, sizeof text, cells, "32");
    ck_assert_msg(run(config("dl.json", text), "dl.db") == 0, "%s", said);
    for (int k = 0; k < 3; k++) {
        snprintf(text, sizeof text, cells, of[k].contexts);
        const char *path = config("dl.json", text);
        const char *const json[] = {"zo", "run", path, "--db", scratch("dl.db"), "--dry-run", "--json", NULL}, *const plain[] = {"zo", "run", path, "--db", scratch("dl.db"), "--dry-run", NULL};
        ck_assert_msg(finish(start(json, 0)) == 0, "%s", said);
        cJSON *list = cJSON_Parse(strchr(said, '['));
        ck_assert_msg(cJSON_GetArraySize(list) == of[k].n, "%s", said);
        double bytes[3];
        for (int i = 0; i < of[k].n; i++) {
            const cJSON *cell = cJSON_GetArrayItem(list, i), *predicted = cJSON_GetObjectItem(cell, "predicted_bytes");
            ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(cell, "done")), of[k].done[i]);
            ck_assert_msg(of[k].done[i] ? cJSON_IsNull(predicted) : cJSON_IsNumber(predicted) && predicted->valuedouble > 0, "cell %d: %s", i, said);
            bytes[i] = of[k].done[i] ? 0 : predicted->valuedouble;
        }
        cJSON_Delete(list);
        if (k < 2) {
            alone[k] = bytes[0];
        } else {
            ck_assert_msg(bytes[0] == alone[0] && bytes[2] == alone[1] && bytes[0] < bytes[2], "%g and %g bytes, alone %g and %g", bytes[0], bytes[2], alone[0], alone[1]);
        }
        ck_assert_msg(finish(start(plain, 0)) == 0, "%s", said);
        for (int i = 0; i < of[k].n; i++) {
            char size[40];
            snprintf(size, sizeof size, of[k].done[i] ? "  done  " : "  %.1f MB  ", bytes[i] / 1e6);
            ASSERT_HAS(said, size);
        }
    }
}
END_TEST

/* A batch that is larger than the training set holds all of it, and the row says so, where there are batches. */
START_TEST(batches_of_all_rows_are_noted)
{
    const char *path = config("n.json", "{\"model\": \"%M\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 48, \"batch\": [4, 9], \"train\": 8,"
                              "\"dev\": 8, \"test\": 8, \"threads\": 1, \"steps\": 2, \"optimizer\": [\"mezo\", \"fo-sgd\", \"zero-shot\"]}");
    ck_assert_msg(run(path, "n.db") == 0, "%s", said);
    ck_assert_str_eq(ask("n.db", "SELECT optimizer || batch FROM runs WHERE note LIKE '%a batch holds all 8 training rows, not 9%' ORDER BY 1"), "fo-sgd9;mezo9;");
    ck_assert_str_eq(ask("n.db", "SELECT count(*) FROM runs WHERE note LIKE '%a batch holds all%'"), "2;");
}
END_TEST

/* The command line of `zo plot`, with pictures of a run. */
START_TEST(pictures_of_a_run)
{
    ck_assert_msg(run(config("p.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\"}"), "p.db") == 0, "%s", said);
    const char *const whole[] = {"zo", "plot", "--db", scratch("p.db"), "--out", scratch("pictures"), "--only=accuracy_bars,memory_by_tag", "--format", "svg", "--json", NULL};
    ck_assert_msg(finish(start(whole, 0)) == 0, "%s", said);
    cJSON *list = cJSON_Parse(said);
    ck_assert_int_eq(cJSON_GetArraySize(list), 2);
    const cJSON *entry;
    cJSON_ArrayForEach(entry, list) {
        const cJSON *files = cJSON_GetObjectItem(entry, "files");
        char file[300];
        snprintf(file, sizeof file, "%s/%s.svg", scratch("pictures"), cJSON_GetStringValue(cJSON_GetObjectItem(entry, "plot")));
        ck_assert(cJSON_GetArraySize(files) == 1 && strcmp(cJSON_GetStringValue(files->child), file) == 0 && access(file, R_OK) == 0);
    }
    cJSON_Delete(list);
    const char *const plain[] = {"zo", "plot", "--db", scratch("p.db"), "--out", scratch("more"), "--only", "accuracy_bars", NULL};
    ck_assert_msg(finish(start(plain, 0)) == 0, "%s", said);
    ASSERT_HAS(said, "more/accuracy_bars.png");
    ASSERT_HAS(said, "more/accuracy_bars.svg");
    ck_assert_ptr_null(strchr(said, '['));
    static const char *const wrong[][2] = {{"--db", NULL}, {"--out", NULL}, {"--only", NULL}, {"--format", NULL}, {"--only", "nothing"}, {"--format", "gif"}, {"--json=1", NULL},
                                           {"a.db", NULL}, {"--fromat", "svg"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const char *const argv[] = {"zo", "plot", wrong[i][0], wrong[i][1], NULL};
        ck_assert_msg(finish(start(argv, 0)) == 2 && strncmp(said, "zo plot: ", 9) == 0 && strchr(said, '\n') == said + strlen(said) - 1, "%s %s: %s", wrong[i][0],
                      wrong[i][1], said);
    }
}
END_TEST

/* A file that is no database ends the demo at its first part, before anything is trained. */
START_TEST(demo_without_a_database)
{
    zo_err err = {0};
    char db[300];
    snprintf(db, sizeof db, "%s", scratch("file"));
    ck_assert_int_eq(zo_write_file(db, "no database, but a text that somebody needs\n", 44, &err), ZO_OK);
    for (int quick = 0; quick < 2; quick++) {
        const char *const argv[] = {"zo", "demo", "--db", db, "--out", scratch("demo"), quick ? "--short" : NULL, NULL};
        ck_assert_int_eq(finish(start(argv, 0)), 2);
        ck_assert_msg(strstr(said, db) != NULL && strchr(said, '\n') == said + strlen(said) - 1, "%s", said); /* one sentence, once */
        ck_assert_int_ne(access(scratch("demo"), F_OK), 0);
    }
}
END_TEST

START_TEST(full_disk)
{
    const char *path = config("d.json", "{" SMALL ", \"steps\": 3000, \"log_every\": 1, \"optimizer\": \"mezo\", \"eval_every\": 0}");
    ck_assert_msg(finish(start_run(path, "disk.db", 150000)) == 2, "%s", said);
    ASSERT_HAS(said, "disk.db");
    ck_assert_str_eq(ask("disk.db", "PRAGMA integrity_check"), "ok;");
    ck_assert_msg(run(path, "disk.db") == 0, "%s", said);
    ck_assert_str_eq(ask("disk.db", "SELECT status || (SELECT count(*) FROM steps WHERE steps.run = runs.run) FROM runs"), "done3000;");
}
END_TEST

/* A damaged page is found when a run opens the database, before anything is written to it. */
START_TEST(damaged_database)
{
    const char *path = config("dm.json", "{" SMALL ", \"steps\": 300, \"log_every\": 1, \"optimizer\": \"mezo\", \"eval_every\": 0}");
    ck_assert_msg(run(path, "dm.db") == 0, "%s", said);
    free(strdup(ask("dm.db", "PRAGMA wal_checkpoint(TRUNCATE)")));
    long root = strtol(ask("dm.db", "SELECT rootpage FROM sqlite_master WHERE name = 'steps'"), NULL, 10), page = strtol(ask("dm.db", "PRAGMA page_size"), NULL, 10);
    FILE *f = fopen(scratch("dm.db"), "r+");
    ck_assert(f != NULL && fseek(f, (root - 1) * page, SEEK_SET) == 0);
    for (long i = 0; i < page; i++) {
        fputc(0xA5, f);
    }
    fclose(f);
    ck_assert_int_eq(run(config("dm2.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\"}"), "dm.db"), 2);
    ASSERT_HAS(said, "dm.db: is damaged (");
    ASSERT_HAS(said, ".recover");
    ck_assert_str_eq(ask("dm.db", "SELECT count(*) FROM tries"), "1;");
}
END_TEST

/* A table that cannot be written is no success; when its reader went away nobody is told. */
START_TEST(output_that_cannot_be_written)
{
    ck_assert_msg(run(config("w.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\"}"), "w.db") == 0, "%s", said);
    for (int gone = 0; gone < 2; gone++) {
        const char *const report[] = {"zo", "report", "--db", scratch("w.db"), "--json", NULL};
        int ends[2] = {-1, open("/dev/full", O_WRONLY)};
        if (gone) {
            ck_assert_int_eq(pipe(ends), 0);
            close(ends[0]);
        }
        standard_output = ends[1];
        ck_assert_int_eq(finish(start(report, 0)), 2);
        standard_output = -1;
        close(ends[1]);
        if (gone) {
            ck_assert_str_eq(said, "");
        } else {
            ck_assert_str_eq(said, "zo report: standard output cannot be written; is the disk full?\n");
        }
    }
}
END_TEST

/* Neither a new database nor one that is there is written to in a folder without write permission; reading it goes on. */
START_TEST(read_only_folder)
{
    const char *path = config("r.json", "{" SMALL ", \"steps\": 2, \"optimizer\": \"mezo\"}"), *more = config("r2.json", "{" SMALL ", \"steps\": 3, \"optimizer\": \"mezo\"}");
    zo_err err = {0};
    ck_assert_int_eq(zo_make_dirs(scratch("locked"), &err), ZO_OK);
    ck_assert_msg(run(path, "locked/old.db") == 0, "%s", said);
    ck_assert_int_eq(chmod(scratch("locked"), 0555), 0);
    bound = true;
    static const char *const name[] = {"locked/new.db", "locked/folder/new.db", "locked/old.db"};
    for (int k = 0; k < 3; k++) {
        int code = run(more, name[k]);
        if (code == 0 && geteuid() == 0) {
            printf("skipped: a read-only results folder, since permissions do not bind this user\n");
            break;
        }
        ck_assert_msg(code == 2, "%s: %d, %s", name[k], code, said);
        ASSERT_HAS(said, k == 1 ? "locked/folder" : name[k]);
        ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "more than one line: %s", said);
        ck_assert(k == 2 || !zo_path_exists(scratch(name[k])));
    }
    const char *const report[] = {"zo", "report", "--db", scratch("locked/old.db"), "--json", NULL};
    ck_assert_msg(finish(start(report, 0)) == 0, "%s", said);
    ASSERT_HAS(said, "\"status\"");
    bound = false;
    chmod(scratch("locked"), 0755);
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        signal(SIGXFSZ, SIG_IGN);
        signal(SIGPIPE, SIG_IGN);
        int code = strcmp(argv[1], "cell") == 0     ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0    ? zo_cmd_run(argc - 1, argv + 1)
                   : strcmp(argv[1], "report") == 0 ? zo_cmd_report(argc - 1, argv + 1)
                   : strcmp(argv[1], "list") == 0   ? zo_cmd_list(argc - 1, argv + 1)
                   : strcmp(argv[1], "plot") == 0   ? zo_cmd_plot(argc - 1, argv + 1)
                   : strcmp(argv[1], "demo") == 0   ? zo_cmd_demo(argc - 1, argv + 1)
                                                    : 127;
        return zo_output_end(argv[1], code);
    }
    snprintf(folder, sizeof folder, "build/test_run.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    make_model();
    TCase *t = tcase_create("run");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, runs_and_skips);
    tcase_add_test(t, rates_are_chosen);
    tcase_add_test(t, parts_and_hours);
    tcase_add_test(t, weights_in_16_bits);
    tcase_add_test(t, weights_are_saved);
    tcase_add_test(t, a_prefix_goes_on);
    tcase_add_test(t, made_from);
    tcase_add_test(t, nothing_is_made);
    tcase_add_test(t, selection);
    tcase_add_test(t, evaluations_by_forwards);
    tcase_add_test(t, updates_are_training);
    tcase_add_test(t, killed_in_the_middle);
    tcase_add_test(t, one_cell_crashes);
    tcase_add_loop_test(t, interrupted, 0, sizeof asks_to_end / sizeof *asks_to_end);
    tcase_add_test(t, hang_up);
    tcase_add_test(t, redo_keeps_what_was);
    tcase_add_test(t, redo_that_has_no_row);
    tcase_add_test(t, step_times_are_whole);
    tcase_add_test(t, database_removed);
    tcase_add_test(t, memory_limits);
    tcase_add_test(t, changed_inputs);
    tcase_add_test(t, outcomes_are_rows);
    tcase_add_test(t, bad_input);
    tcase_add_test(t, lists_say_what_figures_are);
    tcase_add_loop_test(t, progress_fits_the_terminal, 0, 2);
    tcase_add_test(t, dry_runs_say_what_is_left);
    tcase_add_test(t, batches_of_all_rows_are_noted);
    tcase_add_test(t, pictures_of_a_run);
    tcase_add_test(t, demo_without_a_database);
    tcase_add_test(t, full_disk);
    tcase_add_test(t, damaged_database);
    tcase_add_test(t, output_that_cannot_be_written);
    tcase_add_test(t, read_only_folder);
    Suite *s = suite_create("run");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
