/* test_task_json.c: tasks described in JSON (docs/tasks.md): the document's example through `zo run` from file to row, the program's own
 * descriptions by path and by name, what every key does to rows and prompts, and what is refused. */
#include <check.h>
#include <fcntl.h>
#include <glob.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cell/process.h"
#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/output.h"
#include "tasks/task_impl.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64]; /* model/, data, descriptions; made by main, removed at the end */
static char said[1 << 16]; /* standard output and error of the last command */

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static const char *scratch(const char *name)
{
    static char path[8][256];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

static void put(const char *name, const char *text)
{
    char parent[256];
    zo_err err = {0};
    snprintf(parent, sizeof parent, "%s", scratch(name));
    *strrchr(parent, '/') = '\0';
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK && zo_write_file(scratch(name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

/* `text` with the first `from` in it replaced; `from` must stand there. */
static const char *with(const char *text, const char *from, const char *to)
{
    static char out[4][4000];
    static int turn;
    turn = (turn + 1) % 4;
    const char *at = strstr(text, from);
    ck_assert_msg(at != NULL, "\"%s\" is not in %s", from, text);
    snprintf(out[turn], sizeof out[turn], "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out[turn];
}

/* The block number `index` of a language in docs/tasks.md. */
static const char *block_of(const char *language, int index)
{
    static char out[2][4000];
    static int turn;
    char fence[32], *text;
    size_t n;
    zo_err err = {0};
    turn = (turn + 1) % 2;
    ck_assert_msg(zo_read_file("docs/tasks.md", 1 << 20, &text, &n, &err) == ZO_OK, "%s", err.text);
    snprintf(fence, sizeof fence, "```%s\n", language);
    char *at = text;
    for (int k = 0; k <= index; k++) {
        at = strstr(at, fence);
        ck_assert_msg(at != NULL, "docs/tasks.md has no block %d of %s", index, language);
        at += strlen(fence);
    }
    snprintf(out[turn], sizeof out[turn], "%.*s", (int)(strstr(at, "```") - at), at);
    zo_free(text);
    return out[turn];
}

/* ---- commands ----------------------------------------------------------------------------------------------------------- */

static int run(const char *config, const char *db)
{
    int output = open(scratch("said"), O_RDWR | O_CREAT | O_TRUNC, 0600), status;
    pid_t pid = fork();
    if (pid == 0) {
        dup2(output, 1);
        dup2(output, 2);
        execl("/proc/self/exe", "zo", "run", scratch(config), "--db", scratch(db), "--data", folder, (char *)NULL);
        _exit(127);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    lseek(output, 0, SEEK_SET);
    ssize_t n = read(output, said, sizeof said - 1);
    said[n > 0 ? n : 0] = '\0';
    close(output);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The first column of all rows, ';' after each. */
static const char *ask(const char *db, const char *sql)
{
    static char text[4][4000];
    static int turn;
    turn = (turn + 1) % 4;
    text[turn][0] = '\0';
    sqlite3 *handle;
    sqlite3_stmt *s = NULL;
    ck_assert_int_eq(sqlite3_open_v2(scratch(db), &handle, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    ck_assert_msg(sqlite3_prepare_v2(handle, sql, -1, &s, NULL) == SQLITE_OK, "%s", sqlite3_errmsg(handle));
    while (sqlite3_step(s) == SQLITE_ROW) {
        size_t at = strlen(text[turn]);
        snprintf(text[turn] + at, sizeof text[turn] - at, "%s;", (const char *)sqlite3_column_text(s, 0));
    }
    sqlite3_finalize(s);
    sqlite3_close(handle);
    return text[turn];
}

static void make_model(void)
{
    zo_err err = {0};
    ZO_CHECK(zo_make_dirs(scratch("model"), &err) == ZO_OK && zo_synth_write_tokenizer(scratch("model"), &err) == ZO_OK, "%s", err.text);
    static const char text[] = "{\"model_type\": \"bert\", \"vocab_size\": 1000, \"hidden_size\": 16, \"num_hidden_layers\": 1,"
                               "\"num_attention_heads\": 2, \"intermediate_size\": 32, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 64,"
                               "\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}";
    ZO_CHECK(zo_write_file(scratch("model/config.json"), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void put_config(const char *name, const char *task, const char *form)
{
    char text[2000];
    snprintf(text, sizeof text, "{\"model\": \"%s\", \"init\": \"random\", \"task\": \"%s\", \"form\": \"%s\", \"context\": 32, \"batch\": 4, \"train\": 8, "
             "\"dev\": 4, \"test\": \"all\", \"threads\": 1, \"steps\": 3, \"optimizer\": {\"name\": \"mezo\", \"lr\": 1e-3}}", scratch("model"), task, form);
    put(name, text);
}

/* ---- a task of one's own ------------------------------------------------------------------------------------------------ */

static void put_reviews(const char *path, int rows)
{
    char text[2000] = "review\tpleased\n";
    for (int k = 0; k < rows; k++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "the room was %s and number %d\t%s\n", k % 3 ? "clean" : "cold", k, k % 3 ? "yes" : "no");
    }
    put(path, text);
}

START_TEST(the_documents_example_runs)
{
    const char *description = block_of("json", 0);
    put("hotels.json", description);
    put_reviews("reviews/train.tsv", 12);
    put_reviews("reviews/test.tsv", 6);
    /* the document's config names the file as it lies beside it */
    ASSERT_HAS(block_of("json", 1), "\"task\": \"./hotels.json\", \"form\": \"prompt\"");
    put_config("mine.json", scratch("hotels.json"), "prompt");
    ck_assert_msg(run("mine.json", "own.db") == 0, "%s", said);
    ASSERT_HAS(said, "model hotels.json mezo");
    ck_assert_str_eq(ask("own.db", "SELECT status || ' ' || steps || ' ' || metric FROM runs"), "done 3 accuracy;");
    char task[300];
    snprintf(task, sizeof task, "%s;", scratch("hotels.json"));
    ck_assert_str_eq(ask("own.db", "SELECT task FROM runs"), task);
    ck_assert_str_eq(ask("own.db", "SELECT length(task_fingerprint) || ' ' || length(rows_fingerprint) FROM runs"), "16 16;");
    ck_assert_str_eq(ask("own.db", "SELECT group_concat(DISTINCT e.split) FROM evaluations e"), "dev,test;");
    ck_assert_msg(run("mine.json", "own.db") == 0, "%s", said);
    ASSERT_HAS(said, "1 of 1 cells are done already");
    put("hotels.json", with(description, "\"great\"]", "\"correct\"]")); /* another label word is another task */
    ck_assert_msg(run("mine.json", "own.db") == 0, "%s", said);
    ASSERT_HAS(said, "another description of the task");
    ck_assert_str_eq(ask("own.db", "SELECT count(*) || count(DISTINCT task_fingerprint) || count(DISTINCT rows_fingerprint) || count(DISTINCT hash) FROM runs"),
                     "2211;");
    put("hotels.json", description); /* as it was: the first row is there */
    ck_assert_msg(run("mine.json", "own.db") == 0, "%s", said);
    ASSERT_HAS(said, "1 of 1 cells are done already");
    put("config2.json", with(block_of("json", 1), "\"path/to/model-folder\"", "\"synth-tiny\""));
    ck_assert_msg(run("config2.json", "own.db") == 2, "%s", said); /* read from the working folder, where it is not */
    ASSERT_HAS(said, "hotels.json");
}
END_TEST

START_TEST(a_bad_description_stops_the_run)
{
    put("bad.json", with(block_of("json", 0), "\"texts\"", "\"text\""));
    put_config("of_bad.json", scratch("bad.json"), "head");
    ck_assert_msg(run("of_bad.json", "bad.db") == 2, "%s", said);
    ASSERT_HAS(said, "of_bad.json: ");
    ASSERT_HAS(said, "bad.json: there is no key \"text\"; did you mean \"texts\"?");
    ck_assert_msg(strchr(said, '\n') == said + strlen(said) - 1, "more than one line: %s", said);
    put("bad.json", with(block_of("json", 0), "\"causal_prompt\"", "\"head\": [], \"causal_prompt\""));
    ck_assert_msg(run("of_bad.json", "bad.db") == 2, "%s", said);
    ASSERT_HAS(said, "has no head form");
    put_config("of_bad.json", "no-such.json", "head");
    ck_assert_msg(run("of_bad.json", "bad.db") == 2, "%s", said);
    ASSERT_HAS(said, "no-such.json");
    put_config("of_bad.json", "no-such-task", "head");
    ck_assert_msg(run("of_bad.json", "bad.db") == 2, "%s", said);
    ASSERT_HAS(said, "./no-such-task.json");
    ck_assert(!zo_path_exists(scratch("bad.db")));
}
END_TEST

/* Dev was asked for and there is no row for it: nothing selects, so the last evaluation counts, and the row has a score. */
START_TEST(no_dev_row_is_left)
{
    put("one/train.tsv", "good\tyes\n");
    put("one/test.tsv", "good\tyes\nbad\tno\nbad\tyes\n");
    put("one.json", "{\"name\": \"one\", \"texts\": [0], \"label\": 1, \"classes\": [\"no\", \"yes\"], \"head\": [0],\n"
                    " \"files\": [{\"train\": \"one/train.tsv\", \"validation\": \"one/test.tsv\"}]}");
    put_config("no_dev.json", scratch("one.json"), "head");
    ck_assert_msg(run("no_dev.json", "no_dev.db") == 0, "%s", said);
    ck_assert_str_eq(ask("no_dev.db", "SELECT status || ' ' || train_rows || ' ' || dev_rows || ' ' || selected || ' ' || (metric_value IS NOT NULL) FROM runs"),
                     "done 1 0 last-test 1;");
}
END_TEST

/* ---- the program's own -------------------------------------------------------------------------------------------------- */

static uint64_t print_of(const char *task)
{
    uint64_t print;
    zo_err err = {0};
    ck_assert_msg(zo_task_fingerprint(task, true, &print, &err) == ZO_OK, "%s", err.text);
    return print;
}

START_TEST(by_path_and_by_name)
{
    glob_t found;
    ck_assert_int_eq(glob("tasks/*.json", 0, NULL, &found), 0);
    for (size_t k = 0; k < found.gl_pathc; k++) {
        char name[64];
        zo_task_info a, b;
        zo_err err = {0};
        snprintf(name, sizeof name, "%.*s", (int)(strlen(found.gl_pathv[k]) - strlen("tasks/.json")), found.gl_pathv[k] + strlen("tasks/"));
        ck_assert_msg(zo_task_info_of(name, &a, &err) == ZO_OK && zo_task_info_of(found.gl_pathv[k], &b, &err) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(a.name, name);
        ck_assert_str_eq(b.name, name);
        ck_assert_str_eq(a.files, b.files);
        ck_assert(a.headline == b.headline && a.classes == b.classes && a.has_head == b.has_head && a.has_mask_prompt == b.has_mask_prompt &&
                  a.has_option_prompt == b.has_option_prompt && a.needs_data && b.needs_data);
        ck_assert_uint_eq(print_of(name), print_of(found.gl_pathv[k]));
    }
    globfree(&found);
    /* and through a run: the same numbers in every bit */
    put("glue/SST-2/train.tsv", "sentence\tlabel\na b\t0\nc d\t1\ne f\t0\ng h\t1\ni j\t1\nk l\t0\nm n\t1\no p\t0\nq r\t0\ns t\t1\nu v\t0\nw x\t1\n");
    put("glue/SST-2/dev.tsv", "sentence\tlabel\nb c\t0\nd e\t1\nf g\t1\n");
    put_config("name.json", "sst2", "prompt");
    put_config("path.json", "tasks/sst2.json", "prompt");
    ck_assert_msg(run("name.json", "sst2.db") == 0, "%s", said);
    ck_assert_msg(run("path.json", "sst2.db") == 0, "%s", said);
    ck_assert_str_eq(ask("sst2.db", "SELECT group_concat(task, ' ') FROM (SELECT task FROM runs ORDER BY task)"), "sst2 tasks/sst2.json;");
    ck_assert_str_eq(ask("sst2.db", "SELECT count(*) || count(DISTINCT task_fingerprint || rows_fingerprint || steps || accuracy || "
                                    "(SELECT group_concat(loss, ' ') FROM steps WHERE steps.run = runs.run) || "
                                    "(SELECT group_concat(split || loss, ' ') FROM evaluations e WHERE e.run = runs.run)) FROM runs"), "21;");
}
END_TEST

/* ---- keys ---------------------------------------------------------------------------------------------------------------- */

static zo_tokenizer *bytes; /* a token a byte: space, line feed, '!' .. '~' */

static zo_dataset_spec spec_of(const char *task, zo_form form)
{
    return (zo_dataset_spec){.task = task, .form = form, .data_dir = folder, .tokenizer = bytes, .causal = true, .context = 200, .scheme = ZO_SPLIT_FIRST,
                             .k = 16, .train_split_seed = 13, .kshot_folder = "k-shot", .count = {-1, 0, -1}};
}

/* The tokens of a row in the form `head`, or of its shared prompt in the form `prompt`. */
static const char *text_of(const zo_dataset *d, zo_split split, int32_t index)
{
    static char out[4][1000];
    static int turn;
    turn = (turn + 1) % 4;
    zo_batch *b = zo_dataset_batch(d, split, &index, 1);
    int32_t n = b->start[1];
    ck_assert_int_lt(n, 1000);
    for (int32_t t = 0; t < n; t++) {
        out[turn][t] = (char)(b->id[t] == 0 ? ' ' : b->id[t] == 1 ? '\n' : b->id[t] - 2 + '!');
    }
    out[turn][n] = '\0';
    zo_batch_free(b);
    return out[turn];
}

static zo_dataset *open_rows(const zo_dataset_spec *spec)
{
    zo_dataset *d = NULL;
    zo_err err = {0};
    ck_assert_msg(zo_dataset_open(&d, spec, &err) == ZO_OK, "%s", err.text);
    return d;
}

/* A description with these members behind the usual ones. */
static const char *described(const char *members)
{
    static char text[3000];
    snprintf(text, sizeof text, "{\"name\": \"t\", %s}", members);
    put("t.json", text);
    return scratch("t.json");
}

/* As training file and, below v/, as validation file. */
static void put_twice(const char *name, const char *text)
{
    char again[64];
    snprintf(again, sizeof again, "v/%s", name);
    put(name, text);
    put(again, text);
}

/* Columns by name and number, every format, spellings, braces, lists, notes: the same two rows each time. */
START_TEST(files_in_every_way)
{
    static const char *const of[] = {
        "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"f.tsv\", \"validation\": \"v/f.tsv\"}]",
        "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"f.csv\", \"validation\": \"v/f.csv\"}]",
        "\"texts\": [\"z|a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"f.jsonl\", \"validation\": \"v/f.jsonl\"}]",
        "\"texts\": [\"in.a\"], \"label\": \"in.y\", \"classes\": [false, true], \"files\": [{\"train\": \"deep.jsonl\", \"validation\": \"v/deep.jsonl\"}]",
        "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"f.json\", \"validation\": \"v/f.json\"}]",
        "\"texts\": [1], \"label\": 0, \"classes\": [\"NO\", [\"YES\", \"OUI\"]], \"files\": [{\"train\": \"f.txt\", \"validation\": \"v/f.txt\", "
        "\"format\": \"label-text\", \"label_end\": \":\"}]",
        "\"texts\": [2], \"label\": 0, \"classes\": [\"0\", \"1\"], \"files\": [{\"train\": \"bare.txt\", \"validation\": \"v/bare.txt\", \"format\": \"tsv\"}]",
        "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"{x,f,deep}.tsv\", \"validation\": \"v/f{.tsv,.csv}\"}]",
        "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": [\"f1.tsv\", \"f2.tsv\"], \"validation\": [\"v/f1.tsv\", \"v/f2.tsv\"]}]",
        "\"texts\": [\"b\"], \"label\": 5, \"classes\": [\"p\", \"q\"], \"files\": [{\"train\": \"absent.tsv\"}, {\"train\": \"f.tsv\", "
        "\"validation\": \"v/f.tsv\", \"texts\": [\"a\"], \"label\": \"y\", \"classes\": [[0], [1]]}]",
    };
    put_twice("f.tsv", "y\ta\n0\tno x\n1\tyes y\n");
    put_twice("f.csv", "y,a\n0,no x\n1,\"yes y\"\n");
    put_twice("f.jsonl", "{\"a\": \"no x\", \"y\": 0}\n{\"a\": \"yes y\", \"y\": 1}\n");
    put_twice("deep.jsonl", "{\"in\": {\"a\": \"no x\", \"y\": false}}\n{\"in\": {\"a\": \"yes y\", \"y\": true}}\n");
    put_twice("f.json", "{\"0\": {\"a\": \"no x\", \"y\": 0}, \"1\": {\"a\": \"yes y\", \"y\": 1}}");
    put_twice("f.txt", "NO:a no x\nOUI:b yes y\n");
    put_twice("bare.txt", "0\t-\tno x\n1\t-\tyes y\n");
    put_twice("f1.tsv", "y\ta\n0\tno x\n");
    put_twice("f2.tsv", "y\ta\n1\tyes y\n");
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset_spec s = spec_of(described(of[k]), ZO_FORM_HEAD);
        zo_dataset *d = open_rows(&s);
        for (int split = ZO_TRAIN; split <= ZO_TEST; split += ZO_TEST - ZO_TRAIN) {
            ck_assert_int_eq(zo_dataset_size(d, (zo_split)split), 2);
            for (int32_t i = 0; i < 2; i++) {
                ck_assert_str_eq(text_of(d, (zo_split)split, i), i ? "yes y" : "no x");
                ck_assert_int_eq(zo_dataset_label(d, (zo_split)split, i), i);
            }
        }
        zo_dataset_close(d);
    }
}
END_TEST

START_TEST(kshot_notes_and_one_file)
{
#define TWO "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], "
    put("k-shot/T/16-13/train.tsv", "y\ta\n0\ttrain\n");
    put("k-shot/T/16-13/dev.tsv", "y\ta\n1\tdev\n");
    put("k-shot/T/test.tsv", "y\ta\n1\ttest\n");
    zo_dataset_spec s = spec_of(described(TWO "\"files\": [{\"kshot_train\": \"T/@/train.tsv\", \"kshot_dev\": \"T/@/dev.tsv\", "
                                          "\"kshot_test\": \"T/{@/,}test.tsv\", \"note\": \"few rows\"}]"), ZO_FORM_HEAD);
    s.scheme = ZO_SPLIT_KSHOT;
    s.count[ZO_DEV] = -1;
    zo_dataset *d = open_rows(&s);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 0), "train");
    ck_assert_str_eq(text_of(d, ZO_DEV, 0), "dev");
    ck_assert_str_eq(text_of(d, ZO_TEST, 0), "test");
    ck_assert_str_eq(zo_dataset_note(d), "few rows");
    zo_dataset_close(d);
    /* one file, cut in three; without the key there is no training file */
    put("one.tsv", "y\ta\n0\ta\n1\tb\n0\tc\n1\td\n0\te\n1\tf\n");
    s = spec_of(described(TWO "\"train_from_validation\": true, \"files\": [{\"validation\": \"one.tsv\"}]"), ZO_FORM_HEAD);
    s.count[ZO_TRAIN] = 3;
    s.count[ZO_DEV] = 2;
    d = open_rows(&s);
    ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN) * 100 + zo_dataset_size(d, ZO_DEV) * 10 + zo_dataset_size(d, ZO_TEST), 321);
    ck_assert_str_eq(text_of(d, ZO_TEST, 0), "f");
    zo_dataset_close(d);
    zo_err err = {0};
    s.task = described(TWO "\"files\": [{\"validation\": \"one.tsv\"}]");
    ck_assert_int_eq(zo_dataset_open(&d, &s, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "task t has no training file");
    /* a number beyond the header's columns */
    s.task = described("\"texts\": [\"a\", 7], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"one.tsv\"}]");
    s.count[ZO_TEST] = 0;
    ck_assert_int_eq(zo_dataset_open(&d, &s, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "the header has 2 columns, so there is none with the number 7");
}
END_TEST

/* Rows that are none are left out and counted, each for its own reason; what stays is in order. Without the key they are faults, as ever. */
START_TEST(rows_that_are_left_out)
{
#define NAMED "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": "
#define COUNTED "\"texts\": [1], \"label\": 0, \"classes\": [0, 1], \"files\": "
    static const struct { const char *task, *without, *note, *fault; } of[] = {
        {"\"left_out\": [\"-\", -1], " NAMED "[{\"train\": \"l.tsv\"}]", NAMED "[{\"train\": \"l.tsv\"}]", "t: 2 rows of the training file are left out",
         "label \"-\" is not one of task t"},
        {"\"left_out\": [\"-\", -1], " NAMED "[{\"train\": \"l.jsonl\"}]", NAMED "[{\"train\": \"l.jsonl\"}]", "t: 2 rows of the training file are left out",
         "label \"-\" is not one of task t"},
        {COUNTED "[{\"train\": \"e.txt\", \"format\": \"label-text\", \"empty\": \"drop\"}]", COUNTED "[{\"train\": \"e.txt\", \"format\": \"label-text\"}]",
         "t: 2 rows of the training file are left out", "the text \"#1\" is empty"},
        {NAMED "[{\"train\": \"r.tsv\", \"label\": -1, \"ragged\": true}]", NAMED "[{\"train\": \"r.tsv\"}]", "t: 1 row of the training file is left out",
         "5 columns where the header has 3"},
        {COUNTED "[{\"train\": \"b.tsv\", \"ragged\": true}]", COUNTED "[{\"train\": \"b.tsv\"}]", "t: 2 rows of the training file are left out",
         "5 columns where this file of the task has 2"},
    };
    put("l.tsv", "y\ta\n0\tno x\n-\tq\n-1\tq\n1\tyes y\n");
    put("l.jsonl", "{\"a\": \"no x\", \"y\": 0}\n{\"a\": \"q\", \"y\": \"-\"}\n{\"a\": \"q\", \"y\": -1}\n{\"a\": \"yes y\", \"y\": 1}\n");
    put("e.txt", "0 no x\n0 \n1  \n1 yes y\n");
    put("r.tsv", "k\ta\ty\n-\tno x\t1\t1\t0\n0\n-\tyes y\t1\n");
    put("b.tsv", "0\tno x\t3\t4\t5\n1\n0\n1\tyes y\n");
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        zo_dataset_spec s = spec_of(described(of[k].task), ZO_FORM_HEAD);
        s.count[ZO_TEST] = 0;
        zo_dataset *d = open_rows(&s);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TRAIN), 2);
        for (int32_t i = 0; i < 2; i++) {
            ck_assert_str_eq(text_of(d, ZO_TRAIN, i), i ? "yes y" : "no x");
            ck_assert_int_eq(zo_dataset_label(d, ZO_TRAIN, i), i);
        }
        ASSERT_HAS(zo_dataset_note(d), of[k].note);
        zo_dataset_close(d);
        zo_err err = {0};
        s.task = described(of[k].without);
        ck_assert_int_eq(zo_dataset_open(&d, &s, &err), ZO_EINPUT);
        ASSERT_HAS(err.text, of[k].fault);
    }
    /* lists inside lists: the nearest key counts, and a fault names its place */
    put("n.jsonl", "{\"d\": {\"text\": \"no\", \"qs\": [{\"q\": \"x\", \"as\": [{\"y\": 0}]}, {\"q\": \"z\", \"as\": []}]}}\n"
                   "{\"d\": {\"text\": \"yes\", \"qs\": [{\"q\": \"y\", \"as\": [{\"y\": 1}, {\"y\": 0, \"q\": \"near\"}]}]}}\n");
#define NESTED "\"texts\": [\"d.text\", \"q\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"n.jsonl\", \"each\": [\"d.qs\", \"as\"]}]"
    zo_dataset_spec nested = spec_of(described(NESTED ", \"causal_prompt\": {\"template\": \"{0} {1} \", \"options\": [\"N\", \"Y\"]}"), ZO_FORM_PROMPT);
    nested.count[ZO_TEST] = 0;
    zo_dataset *rows = open_rows(&nested);
    ck_assert_int_eq(zo_dataset_size(rows, ZO_TRAIN), 3);
    ck_assert_str_eq(text_of(rows, ZO_TRAIN, 0), "no x ");
    ck_assert_str_eq(text_of(rows, ZO_TRAIN, 1), "yes y ");
    ck_assert_str_eq(text_of(rows, ZO_TRAIN, 2), "yes near ");
    ck_assert_int_eq(zo_dataset_label(rows, ZO_TRAIN, 1), 1);
    zo_dataset_close(rows);
    zo_err nested_err = {0};
    put("n.jsonl", "{\"d\": {\"text\": \"no\", \"qs\": [{\"q\": \"x\", \"as\": [{\"y\": 0}, {\"z\": 0}]}]}}\n");
    ck_assert_int_eq(zo_dataset_open(&rows, &nested, &nested_err), ZO_EINPUT);
    ASSERT_HAS(nested_err.text, "n.jsonl:1, d.qs[0], as[1]: no \"y\" here");
    put("n.jsonl", "{\"d\": {\"text\": \"no\", \"qs\": 7}}\n");
    ck_assert_int_eq(zo_dataset_open(&rows, &nested, &nested_err), ZO_EINPUT);
    ASSERT_HAS(nested_err.text, "n.jsonl:1: no list \"d.qs\" here");
    /* two columns as one text */
    put("j.csv", "1,A,\"b, c\"\n0,D,e\n");
    zo_dataset_spec s = spec_of(described("\"texts\": [\"text\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"j.csv\", \"label\": 0, \"texts\": [[1, 2]]}]"), ZO_FORM_HEAD);
    s.count[ZO_TEST] = 0;
    zo_dataset *d = open_rows(&s);
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 0), "A b, c");
    ck_assert_str_eq(text_of(d, ZO_TRAIN, 1), "D e");
    zo_dataset_close(d);
}
END_TEST

#define FILES "\"files\": [{\"validation\": \"p.tsv\"}]"
#define THREE "\"texts\": [\"a\", \"b\", \"c\"], \"label\": \"y\", \"classes\": [0, 1], " FILES

/* In-context learning as MeZO's code lays it out. numpy 2.4.6: RandomState(0).randint(0, 10000, 3) is 2732 9845 3264, and permutation(5) of these seeds
 * begins with 4 1, 0 3, 1 2. */
START_TEST(demonstrations)
{
#define SHOWN "\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"d.tsv\", \"validation\": \"v.tsv\"}], " \
              "\"causal_prompt\": {\"template\": \"{0} is\", \"options\": [\" no\", \" yes\"]}"
    put("d.tsv", "y\ta\n0\tr0\n1\tr1\n0\t r2\n1\tr3\n0\tr4 \n");
    put("v.tsv", "y\ta\n1\tv0\n0\tv1\n1\tv2\n");
    static const char *const with[] = {"r4 is no\n\nr1 is yes\n\nv0 is ", "r0 is no\n\nr3 is yes\n\nv1 is ", "r1 is yes\n\nr2 is no\n\nv2 is "};
    static const char *const without[] = {"v0 is ", "v1 is ", "v2 is "};
    zo_dataset_spec s = spec_of(described(SHOWN), ZO_FORM_PROMPT);
    s.count[ZO_TRAIN] = 0;
    s.evaluate_only = true;
    uint64_t plain, shown, other;
    zo_err err = {0};
    ck_assert_int_eq(zo_dataset_fingerprint(&s, &plain, &err), ZO_OK);
    for (int k = 0; k < 2; k++) {
        s.demonstrations = k > 0 ? 2 : 0;
        zo_dataset *d = open_rows(&s);
        ck_assert_int_eq(zo_dataset_size(d, ZO_TEST), 3);
        for (int32_t i = 0; i < 3; i++) {
            ck_assert_str_eq(text_of(d, ZO_TEST, i), k > 0 ? with[i] : without[i]);
            ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, i), i != 1);
            zo_batch *b = zo_dataset_batch(d, ZO_TEST, &i, 1); /* what is scored stays: " no" and " yes" */
            ck_assert_int_eq(b->option_start[1] - b->option_start[0], 3);
            ck_assert_int_eq(b->option_start[2] - b->option_start[1], 4);
            zo_batch_free(b);
        }
        zo_dataset_close(d);
    }
    /* a shown row is a part of what the run is made of */
    ck_assert_int_eq(zo_dataset_fingerprint(&s, &shown, &err), ZO_OK);
    put("d.tsv", "y\ta\n0\tR0\n1\tr1\n0\t r2\n1\tr3\n0\tr4 \n");
    ck_assert_int_eq(zo_dataset_fingerprint(&s, &other, &err), ZO_OK);
    ck_assert_uint_ne(shown, plain);
    ck_assert_uint_ne(other, shown);
    /* the same for all: numpy's permutation by seed 3 of five rows begins with 3, 4 */
    put("d.tsv", "y\ta\n0\tr0\n1\tr1\n0\t r2\n1\tr3\n0\tr4 \n");
    s.demonstrate_once = true;
    s.train_split_seed = 3;
    ck_assert_int_eq(zo_dataset_fingerprint(&s, &other, &err), ZO_OK);
    ck_assert_uint_ne(other, shown);
    zo_dataset *once = open_rows(&s);
    ck_assert_str_eq(text_of(once, ZO_TEST, 0), "r3 is yes\n\nr4 is no\n\nv0 is ");
    ck_assert_str_eq(text_of(once, ZO_TEST, 2), "r3 is yes\n\nr4 is no\n\nv2 is ");
    zo_dataset_close(once);
    s.train_split_seed = (uint64_t)UINT32_MAX + 1;
    ck_assert_int_eq(zo_dataset_fingerprint(&s, &other, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "is above numpy's 4294967295");
    s.train_split_seed = 3;
    s.demonstrate_once = false;
    s.demonstrations = 6;
    zo_dataset *none;
    ck_assert_int_eq(zo_dataset_open(&none, &s, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "6 \"demonstrations\" are asked for, and there are 5 training rows");
    s.form = ZO_FORM_HEAD;
    ck_assert_int_eq(zo_dataset_open(&none, &s, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "\"demonstrations\" stand in prompts of causal models");
}
END_TEST

/* Where there is no training file they come out of the validation file, and no row of dev or test is shown. */
START_TEST(demonstrations_without_a_training_file)
{
    put("w.tsv", "y\ta\n0\tr0\n1\tr1\n0\tr2\n1\tr3\n0\tr4\n1\tr5\n0\tr6\n");
    zo_dataset_spec s = spec_of(described("\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"train_from_validation\": true, \"files\": [{\"validation\": \"w.tsv\"}], "
                                          "\"causal_prompt\": {\"template\": \"{0} is\", \"options\": [\" no\", \" yes\"]}"), ZO_FORM_PROMPT);
    zo_err err = {0};
    zo_dataset *none;
    s.scheme = ZO_SPLIT_MEZO;
    s.evaluate_only = true;
    s.count[ZO_TRAIN] = 0;
    s.count[ZO_DEV] = 2;
    s.count[ZO_TEST] = 2;
    s.demonstrations = 3; /* all that are left */
    for (int dev = 0; dev < 2; dev++) {
        s.count[ZO_DEV] = dev > 0 ? 2 : 0;
        bool evaluated[7] = {false};
        zo_dataset *d = open_rows(&s);
        ASSERT_HAS(zo_dataset_note(d), "demonstrations from the validation file");
        for (int pass = 0; pass < 2; pass++) { /* whose rows are evaluated stands last; then what is shown to them */
            for (int split = ZO_DEV; split <= ZO_TEST; split++) {
                for (int32_t i = 0; i < zo_dataset_size(d, (zo_split)split); i++) {
                    const char *text = text_of(d, (zo_split)split, i), *own = strrchr(text, 'r');
                    int texts = 0;
                    evaluated[own[1] - '0'] = true;
                    for (const char *at = strchr(text, 'r'); pass == 1 && at != own; at = strchr(at + 1, 'r'), texts++) {
                        ck_assert_msg(!evaluated[at[1] - '0'], "%s: a row that is evaluated is shown", text);
                    }
                    ck_assert_int_eq(texts, 3 * pass);
                }
            }
        }
        zo_dataset_close(d);
    }
    s.demonstrations = 4;
    ck_assert_int_eq(zo_dataset_open(&none, &s, &err), ZO_EINPUT);
    ASSERT_HAS(err.text, "4 \"demonstrations\" are asked for, and there are 3 training rows");
}
END_TEST

/* Which texts a form shows, and what goes before and after them. */
START_TEST(forms)
{
    put("p.tsv", "y\ta\tb\tc\n1\t A \tB\t C\n0\tD\tE\tF\n");
    zo_dataset_spec s = spec_of(described(THREE ", \"head\": [2, 0]"), ZO_FORM_HEAD);
    s.count[ZO_TRAIN] = 0;
    zo_dataset *d = open_rows(&s);
    ck_assert_str_eq(text_of(d, ZO_TEST, 0), " C A ");
    zo_dataset_close(d);
    s.task = described(THREE ", \"head\": [1]");
    d = open_rows(&s);
    ck_assert_str_eq(text_of(d, ZO_TEST, 0), "B");
    zo_dataset_close(d);
    s.form = ZO_FORM_PROMPT;
    static const struct { const char *members, *prompt; } of[] = {
        {THREE ", \"causal_prompt\": {\"template\": \"{2}<{0}>{{1}}{x y}\", \"options\": [\"N\", \"Y\"]}", "C< A >{B}{x y}"}, /* outer spaces go, as in MeZO's code */
        {THREE ", \"causal_prompt\": {\"template\": \"<{2}<{0}>\", \"options\": [\"N\", \"Y\"], \"strip\": true}", "<C<A>"},
        {"\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], " FILES ", \"causal_prompt\": {\"template\": \"<{0}>\", \"options\": [\"N\", \"Y\"]}", "<A>"},
        {"\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], " FILES ", \"causal_prompt\": {\"template\": \"<{0}>\", \"options\": [\"N\", \"Y\"], "
         "\"strip\": false}", "< A >"},
    };
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        s.task = described(of[k].members);
        d = open_rows(&s);
        ck_assert_str_eq(text_of(d, ZO_TEST, 0), of[k].prompt);
        ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_OPTIONS);
        zo_dataset_close(d);
    }
    s.task = described(THREE ", \"causal_prompt\": {\"template\": \"{0}:\", \"options\": [\"{1}\", \"{2}\"], \"teacher_forcing\": true}");
    d = open_rows(&s);
    ck_assert_int_eq(zo_dataset_head(d), ZO_HEAD_SPAN);
    zo_dataset_close(d);
}
END_TEST

/* More classes than any task of the program has, in every form, and labels of the last. */
START_TEST(many_classes)
{
    static char members[8000], rows[2000] = "a\ty\n";
    size_t at = (size_t)snprintf(members, sizeof members, "\"texts\": [\"a\"], \"label\": \"y\", " FILES ", \"classes\": [");
    for (int c = 0; c < ZO_TASK_CLASSES; c++) {
        at += (size_t)snprintf(members + at, sizeof members - at, "%s%d", c ? ", " : "", c);
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows), "r\t%d\n", c);
    }
    at += (size_t)snprintf(members + at, sizeof members - at, "], \"causal_prompt\": {\"template\": \"{0}\", \"options\": [");
    for (int c = 0; c < ZO_TASK_CLASSES; c++) {
        at += (size_t)snprintf(members + at, sizeof members - at, "%s\" %d\"", c ? ", " : "", c);
    }
    snprintf(members + at, sizeof members - at, "]}");
    char text[8100];
    snprintf(text, sizeof text, "{\"name\": \"t\", %s}", members);
    put("t.json", text);
    put("p.tsv", rows);
    for (int form = ZO_FORM_HEAD; form <= ZO_FORM_PROMPT; form++) {
        zo_dataset_spec s = spec_of(scratch("t.json"), (zo_form)form);
        s.count[ZO_TRAIN] = 0;
        zo_dataset *d = open_rows(&s);
        ck_assert_int_eq(zo_dataset_classes(d), ZO_TASK_CLASSES);
        ck_assert_int_eq(zo_dataset_label(d, ZO_TEST, ZO_TASK_CLASSES - 1), ZO_TASK_CLASSES - 1);
        zo_dataset_close(d);
    }
    uint64_t print = print_of(scratch("t.json"));
    *strstr(text, "\" 127\"]") = ' '; /* the last option alone */
    char *last = strstr(text, "  127\"]");
    memcpy(last, "\"-127\"]", strlen("\"-127\"]"));
    put("t.json", text);
    ck_assert_uint_ne(print_of(scratch("t.json")), print);
}
END_TEST

/* What changes a sequence changes the fingerprint, and nothing else does. */
START_TEST(fingerprints)
{
#define BASE "\"texts\": [\"a\", \"b\"], \"label\": \"y\", \"classes\": [0, 1], " FILES ", " \
             "\"mask_prompt\": {\"template\": \"*cls**sent_0**mask*\", \"words\": [\"u\", \"v\"]}, \"causal_prompt\": {\"template\": \"{0}\", \"options\": [\"N\", \"Y\"]}"
    static const struct { const char *from, *to; } other[] = {
        {"[0, 1]", "[0, 2]"}, {"*sent_0*", "*sent_1*"}, {"\"u\"", "\"w\""}, {"{0}", "{1}"}, {"\"Y\"", "\"y\""}, {"\"options\"", "\"strip\": true, \"options\""},
        {"\"options\"", "\"teacher_forcing\": true, \"options\""}, {"\"words\"", "\"first_sent_limit\": 9, \"words\""}, {FILES, FILES ", \"head\": [1, 0]"},
        {FILES, FILES ", \"head\": [0]"}, {FILES, FILES ", \"head\": [1]"}, {FILES, FILES ", \"head\": []"}};
    static const struct { const char *from, *to; } same[] = {
        {"\"options\"", "\"strip\": false, \"options\""}, {FILES, FILES ", \"title\": \"T\", \"source\": \"S\", \"head\": [0, 1]"}, {"p.tsv", "q.csv"},
        {"\"label\": \"y\"", "\"label\": \"yy\", \"metric\": \"f1\""}, {"\"words\"", "\"first_sent_limit\": 0, \"words\""}};
    enum { OTHER = sizeof other / sizeof *other };
    uint64_t print[OTHER + 1];
    print[OTHER] = print_of(described(BASE));
    for (size_t k = 0; k < OTHER; k++) {
        print[k] = print_of(described(with(BASE, other[k].from, other[k].to)));
    }
    for (size_t k = 0; k <= OTHER; k++) {
        for (size_t i = 0; i < k; i++) {
            ck_assert_msg(print[i] != print[k], "changes %zu and %zu", i, k);
        }
    }
    for (size_t k = 0; k < sizeof same / sizeof *same; k++) {
        ck_assert_uint_eq(print_of(described(with(BASE, same[k].from, same[k].to))), print[OTHER]);
    }
    char own[4000];
    snprintf(own, sizeof own, "{\"name\": \"u\", %s}", BASE);
    put("u.json", own);
    ck_assert_uint_ne(print_of(scratch("u.json")), print[OTHER]);
}
END_TEST

/* ---- refusals ------------------------------------------------------------------------------------------------------------ */

static const char *refusal(const char *text)
{
    static zo_err err;
    static zo_task_file file;
    uint64_t live = zo_mem_live(ZO_HOST).total_bytes;
    err = (zo_err){.status = ZO_OK};
    ck_assert_msg(zo_task_file_parse(&file, text, strlen(text), "mine.json", &err) == ZO_EINPUT, "accepted: %s", text);
    ck_assert_msg(strncmp(err.text, "mine.json", 9) == 0 && strchr(err.text, '\n') == NULL, "%s", err.text);
    ck_assert_uint_eq(zo_mem_live(ZO_HOST).total_bytes, live);
    return err.text;
}

START_TEST(refusals)
{
    static const char base[] = "{\"name\": \"t\", \"texts\": [\"a\"], \"label\": \"y\", \"classes\": [\"0\", \"1\"], \"files\": [{\"train\": \"f.tsv\"}], "
                               "\"mask_prompt\": {\"template\": \"*cls**sent_0**mask*\", \"words\": [\"u\", \"v\"]}, "
                               "\"causal_prompt\": {\"template\": \"{0}\", \"options\": [\"N\", \"Y\"]}}";
    static const struct { const char *from, *to, *says; } of[] = {
        {"\"name\"", "\"nmae\"", "there is no key \"nmae\"; did you mean \"name\"?"},
        {"\"name\": \"t\", ", "", "\"name\" has 0 bytes"},
        {"\"t\"", "\"a b\"", "\"name\" is \"a b\"; expected letters"},
        {"\"t\"", "7", "\"name\" is a number"},
        {"\"t\"", "\"t\", \"metric\": \"f2\"", "\"metric\" is \"f2\"; expected one of accuracy"},
        {"\"texts\"", "\"text\"", "did you mean \"texts\"?"},
        {"[\"a\"]", "\"a\"", "\"texts\" is a string; expected a list of columns"},
        {"[\"a\"]", "[]", "\"texts\" has 0 entries; expected 1 to 5"},
        {"[\"a\"]", "[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\"]", "\"texts\" has 6 entries"},
        {"[\"a\"]", "[true]", "\"texts\" is true or false; expected a column's name"},
        {"[\"a\"]", "[\"\"]", "\"texts\" has a column's name of 0 bytes"},
        {"[\"a\"]", "[\"a|\"]", "\"texts\" has a column's name of 0 bytes"},
        {"[\"a\"]", "[1.5]", "\"texts\" has the column 1.5; expected 0"},
        {"[\"a\"]", "[64]", "\"texts\" has the column 64"},
        {"[\"a\"]", "[\"#3\"]", "write its number without mark and quotes"},
        {"\"label\": \"y\", ", "", "\"label\" is missing"},
        {"\"classes\": [\"0\", \"1\"], ", "", "\"classes\" is missing"},
        {"[\"0\", \"1\"]", "[\"0\"]", "\"classes\" has 1 entries; expected 2 to 128"},
        {"[\"0\", \"1\"]", "[\"0\", [\"1\", \"0\"]]", "\"classes\" has \"0\" for two classes"},
        {"[\"0\", \"1\"]", "[\"0\", []]", "\"classes\" has an empty list"},
        {"[\"0\", \"1\"]", "[\"0\", \"\"]", "the spelling \"\""},
        {"[\"0\", \"1\"]", "[\"0\", \"a|b\"]", "without '|'"},
        {"[\"0\", \"1\"]", "[\"0\", {}]", "\"classes\" has an object"},
        {"{\"train\": \"f.tsv\"}", "{\"train\": \"f.tsv\", \"validation\": \"f.tsv\"}", "both training and validation file"},
        {"{\"train\": \"f.tsv\"}", "{\"validation\": \"f.tsv\"}, {\"train\": \"f.tsv\"}", "both training and validation file"},
        {"{\"train\": \"f.tsv\"}", "{\"train\": [\"e.tsv\", \"f.tsv\", \"g.tsv\"], \"validation\": [\"h.tsv\", \"f.tsv\"]}", "\"f.tsv\", which is both training and validation file"},
        {"[{\"train\": \"f.tsv\"}]", "{\"train\": \"f.tsv\"}", "\"files\" is an object; expected a list"},
        {"[{\"train\": \"f.tsv\"}]", "[]", "\"files\" is an empty list"},
        {"{\"train\": \"f.tsv\"}", "{}", "\"files[0]\" names no file"},
        {"{\"train\": \"f.tsv\"}", "{\"train\": \"f.tsv\"}, {\"tarin\": \"g.tsv\"}", "files[1]: there is no key \"tarin\"; did you mean \"train\"?"},
        {"\"f.tsv\"", "7", "\"files[0].train\" is a number; expected a path"},
        {"\"f.tsv\"", "\"/f.tsv\"", "\"files[0].train\" is \"/f.tsv\"; expected a path below the data folder"},
        {"\"f.tsv\"", "\"f.txt\"", "does not say how it is written; give \"format\""},
        {"\"f.tsv\"", "\"{f.tsv\"", "at most one pair of braces"},
        {"\"f.tsv\"", "\"{f,{g}}.tsv\"", "at most one pair of braces"},
        {"\"f.tsv\"", "[\"{f,g}.tsv\"]", "\"files[0].train\" has braces in its list"},
        {"\"f.tsv\"", "[]", "\"files[0].train\" is an empty list"},
        {"\"f.tsv\"", "\"f.tsv\", \"format\": \"xml\"", "\"format\" is \"xml\"; expected one of by-name|tsv"},
        {"\"f.tsv\"", "\"f.tsv\", \"label_end\": \"ab\"", "\"files[0].label_end\" is \"ab\""},
        {"\"f.tsv\"", "\"f.tsv\", \"texts\": [\"a\", \"b\"]", "\"files[0].texts\" has 2 entries, and the task has 1"},
        {"\"f.tsv\"", "\"f.tsv\", \"classes\": [\"0\"]", "\"files[0].classes\" has 1 entries, and the task has 2"},
        {"\"f.tsv\"", "\"f.tsv\", \"label\": true", "\"files[0].label\""},
        {"\"f.tsv\"", "\"f.jsonl\", \"label\": 0", "whose columns have no numbers"},
        {"\"f.tsv\"", "\"f.txt\", \"format\": \"label-text\"", "whose columns have no names"},
        {"\"train\": \"f.tsv\"", "\"kshot_train\": \"T/train.tsv\"", "the same for every k and seed"},
        {"\"mask_prompt\"", "\"head\": [1], \"mask_prompt\"", "\"head\" has another number where a text's number was expected, 0 to 0"},
        {"\"mask_prompt\"", "\"head\": 0, \"mask_prompt\"", "\"head\" is a number; expected a list"},
        {"{\"template\": \"*cls**sent_0**mask*\", \"words\": [\"u\", \"v\"]}", "7", "mask_prompt: is a number; expected an object"},
        {"*mask*", "", "\"mask_prompt.template\" has not one *mask*"},
        {"*mask*", "*mask**mask*", "\"mask_prompt.template\" has not one *mask*"},
        {"*sent_0*", "", "\"mask_prompt.template\" shows no text"},
        {"*sent_0*", "*sent_1*", "\"mask_prompt.template\" asks for a text that there is not"},
        {"*sent_0*", "*+snt_0*", "\"mask_prompt.template\" shows no text"},
        {"*sent_0*", "*sent_0**sent_0**sent_0*", "shows more than two texts"},
        {"*cls*", "*a**b**c**d**e**f**g**h**i**j**k**l**m**n**o*", "more pieces between its stars"},
        {"\"template\": \"*cls**sent_0**mask*\", ", "", "\"mask_prompt.template\" is missing"},
        {"[\"u\", \"v\"]", "[\"u\"]", "\"mask_prompt.words\" has 1 entries, and there are 2 classes"},
        {"[\"u\", \"v\"]", "[\"u\", \"u\"]", "\"mask_prompt.words\" has \"u\" for two classes"},
        {"[\"u\", \"v\"]", "[\"u\", 7]", "\"mask_prompt.words\" has a number in its list"},
        {"[\"u\", \"v\"]", "[\"u\", \"\"]", "\"mask_prompt.words\" has a text of 0 bytes"},
        {"\"words\"", "\"wrods\"", "mask_prompt: there is no key \"wrods\"; did you mean \"words\"?"},
        {"\"words\"", "\"first_sent_limit\": -1, \"words\"", "\"first_sent_limit\" is -1; expected 0"},
        {"{0}", "{1}", "\"causal_prompt.template\" asks for a text that there is not; {0} is the first"},
        {"{0}", "{text}", "\"causal_prompt.template\" asks for a text that there is not"},
        {"{0}", "", "\"causal_prompt.template\" is empty"},
        {"[\"N\", \"Y\"]", "[\"N\", \"{1}\"]", "\"causal_prompt.options\" asks for a text that there is not"},
        {"[\"N\", \"Y\"]", "[\"{1}\", \"Y\"]", "\"causal_prompt.options\" asks for a text that there is not"},
        {"[\"N\", \"Y\"]", "[\"N\", \"N\"]", "\"causal_prompt.options\" has \"N\" for two classes"},
        {"\"options\"", "\"strip\": 1, \"options\"", "\"causal_prompt.strip\" is a number; expected true, false, or a list"},
        {"\"options\"", "\"options\": [\"N\", \"Y\"], \"options\"", "\"options\" stands there twice"},
        {"\"files\"", "\"left_out\": [], \"files\"", "\"left_out\" is an empty list"},
        {"\"files\"", "\"left_out\": \"-\", \"files\"", "\"left_out\" is a string; expected a list of labels"},
        {"\"files\"", "\"left_out\": [\"-\", \"1\"], \"files\"", "\"left_out\" has \"1\", which is a label of \"classes\""},
        {"\"f.tsv\"", "\"f.jsonl\", \"ragged\": true", "which has no columns to be ragged"},
        {"\"f.tsv\"", "\"f.tsv\", \"empty\": \"keep\"", "\"files[0].empty\" is keep, and the task has one text"},
        {"\"f.tsv\"", "\"f.tsv\", \"empty\": true", "\"empty\" is true or false"},
        {"\"f.tsv\"", "\"f.tsv\", \"each\": [\"a\"]", "only jsonl and json have \"each\""},
        {"\"f.tsv\"", "\"f.jsonl\", \"each\": \"a\"", "\"files[0].each\" is a string; expected 1 to 3 keys of lists"},
        {"\"f.tsv\"", "\"f.jsonl\", \"each\": []", "\"files[0].each\" is a list of another length"},
        {"\"f.tsv\"", "\"f.jsonl\", \"each\": [1]", "\"files[0].each\" has a number; expected the key of a list"},
        {"\"f.tsv\"", "\"f.tsv\", \"label\": -1", "\"files[0].label\" is -1, the last column of rows that differ in length; say \"ragged\": true"},
        {"\"f.tsv\"", "\"f.jsonl\", \"texts\": [[\"a\", \"b\"]]", "only tsv and csv can join them"},
        {"\"f.tsv\"", "\"f.tsv\", \"texts\": [[1, 2, 3]]", "\"files[0].texts\" is a list; expected a column's name"},
        {"\"options\"", "\"own\": 1, \"options\"", "\"own\" is a number; expected true or false"},
        {"\"y\"", "\"\xff\"", "byte 41 is not UTF-8"},
        {"\"y\", ", "\"y\" ", "not JSON from here on"},
    };
    zo_err err = {0};
    static zo_task_file file;
    ck_assert_msg(zo_task_file_parse(&file, base, sizeof base - 1, "mine.json", &err) == ZO_OK, "%s", err.text);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        ASSERT_HAS(refusal(with(base, of[k].from, of[k].to)), of[k].says);
    }
    ASSERT_HAS(refusal("[]"), "is a list; expected an object");
    ASSERT_HAS(refusal("\xff{}"), "byte 1 is not UTF-8");
    static const struct { const char *texts, *label, *file, *says; } mixed[] = { /* each column counts */
        {"\"a\", 0", "\"y\"", "\"f.jsonl\"", "whose columns have no numbers"},
        {"0, \"a\"", "\"y\"", "\"f.jsonl\"", "whose columns have no numbers"},
        {"\"a\", 0", "1", "\"f.txt\", \"format\": \"label-text\"", "whose columns have no names"},
        {"0, \"a\"", "1", "\"f.txt\", \"format\": \"label-text\"", "whose columns have no names"},
    };
    for (size_t k = 0; k < sizeof mixed / sizeof *mixed; k++) {
        char text[400];
        snprintf(text, sizeof text, "{\"name\": \"t\", \"texts\": [%s], \"label\": %s, \"classes\": [0, 1], \"head\": [0], \"files\": [{\"train\": %s}]}",
                 mixed[k].texts, mixed[k].label, mixed[k].file);
        ASSERT_HAS(refusal(text), mixed[k].says);
    }
    ASSERT_HAS(refusal(with(base, "\"classes\": [\"0\", \"1\"]", "\"metric\": \"f1\", \"classes\": [0, 1, 2]")), "say \"macro_f1\"");
    ASSERT_HAS(refusal("{\"name\": \"t\", \"texts\": [\"a\", \"b\", \"c\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"f.tsv\"}]}"),
               "there is no form: with 3 texts");
}
END_TEST

/* Title and files as the description says them, else its name and the paths that a run trains and is judged on; a description that was read before
 * into the same place leaves nothing. */
START_TEST(what_a_list_of_tasks_says)
{
    static const char base[] = "{\"name\": \"t\", %s\"texts\": [\"a\"], \"label\": \"y\", \"classes\": [\"0\", \"1\"], \"files\": [%s], \"head\": [0]}";
    char text[400];
    static const struct { const char *files, *say; } of[] = {
        {"{\"train\": \"f.tsv\", \"validation\": \"g.tsv\"}", "f.tsv and g.tsv"},
        {"{\"train\": \"f.tsv\"}", "f.tsv"},
        {"{\"validation\": \"g.tsv\"}, {\"train\": [\"f.tsv\", \"h.tsv\"]}", "f.tsv and g.tsv"},
        {"{\"kshot_train\": \"@/f.tsv\", \"note\": \"n\"}", "@/f.tsv"},
    };
    static zo_task_file file;
    zo_err err = {0};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        snprintf(text, sizeof text, base, "", of[k].files);
        ck_assert_msg(zo_task_file_parse(&file, text, strlen(text), "mine.json", &err) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(file.task.info.files, of[k].say);
        ck_assert_str_eq(file.task.info.title, "t");
    }
    ck_assert_str_eq(file.source[0].note, "n");
    snprintf(text, sizeof text, base, "\"title\": \"T\", \"usual_files\": \"F\", ", of[0].files);
    ck_assert_msg(zo_task_file_parse(&file, text, strlen(text), "mine.json", &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(file.task.info.files, "F");
    ck_assert_str_eq(file.task.info.title, "T");
}
END_TEST

/* Texts, files and spellings beyond what there is room for are a sentence, not an overrun. */
START_TEST(too_much_of_it)
{
    static char text[1 << 17], part[1 << 16];
    static const char head[] = "{\"name\": \"t\", \"texts\": [\"a\"], \"label\": \"y\", \"classes\": [\"0\", \"1\"]";
    memset(part, 'x', ZO_TASK_TEXT_BYTES);
    snprintf(text, sizeof text, "%s, \"files\": [{\"train\": \"f.tsv\"}], \"causal_prompt\": {\"template\": \"{0}%s\", \"options\": [\"N\", \"Y\"]}}", head, part);
    ASSERT_HAS(refusal(text), "more than 16384 bytes together");
    memset(part, 0, sizeof part);
    for (int k = 0; k < 33; k++) {
        snprintf(part + strlen(part), sizeof part - strlen(part), "%s{\"train\": \"f%d.tsv\"}", k ? ", " : "", k);
    }
    snprintf(text, sizeof text, "%s, \"files\": [%s]}", head, part);
    ASSERT_HAS(refusal(text), "or 32 to choose from");
    part[0] = '\0';
    for (int k = 0; k < 97; k++) {
        snprintf(part + strlen(part), sizeof part - strlen(part), "%s\"f%d.tsv\"", k ? ", " : "", k);
    }
    snprintf(text, sizeof text, "%s, \"files\": [{\"train\": [%s]}]}", head, part);
    ASSERT_HAS(refusal(text), "more than 96 files");
    part[0] = '\0';
    for (int k = 0; k < ZO_TASK_CLASSES; k++) {
        snprintf(part + strlen(part), sizeof part - strlen(part), "%s%d", k ? ", " : "", k);
    }
    size_t at = (size_t)snprintf(text, sizeof text, "{\"name\": \"t\", \"texts\": [\"a\"], \"label\": \"y\", \"classes\": [%s], \"files\": [", part);
    for (int k = 0; k < 9; k++) {
        at += (size_t)snprintf(text + at, sizeof text - at, "%s{\"train\": \"f.tsv\", \"classes\": [%s]}", k ? ", " : "", part);
    }
    snprintf(text + at, sizeof text - at, "]}");
    ASSERT_HAS(refusal(text), "more than 1024 spellings");
    memset(part, 'x', 300);
    part[300] = '\0';
    snprintf(text, sizeof text, "%s, \"files\": [{\"train\": \"%s.tsv\"}]}", head, part);
    ASSERT_HAS(refusal(text), "of 1 to 199 bytes");
    snprintf(text, sizeof text, "{\"name\": \"%s\"}", part);
    ASSERT_HAS(refusal(text), "\"name\" has 300 bytes");
    memset(part, 'x', 999);
    for (int n = 998; n <= 999; n++) { /* of one class: alone, and as two spellings with a mark between them */
        for (int two = 0; two < 2; two++) {
            at = (size_t)snprintf(text, sizeof text, "{\"name\": \"t\", \"texts\": [\"a\"], \"label\": \"y\", \"head\": [0], \"files\": [{\"train\": \"f.tsv\"}], "
                                  "\"classes\": [\"0\", ");
            snprintf(text + at, sizeof text - at, two ? "[\"x\", \"%.*s\"]]}" : "[\"%.*s\"]]}", two ? n - 1 : n, part);
            static zo_task_file file;
            zo_err err = {0};
            zo_status status = zo_task_file_parse(&file, text, strlen(text), "mine.json", &err);
            ck_assert_msg((status == ZO_OK) == (n == 998), "%d, %d: %s", n, two, err.text);
        }
    }
}
END_TEST

int main(int argc, char **argv)
{
    if (argc > 1) {
        int code = strcmp(argv[1], "cell") == 0  ? zo_cmd_cell(argc - 1, argv + 1)
                   : strcmp(argv[1], "run") == 0 ? zo_cmd_run(argc - 1, argv + 1)
                                                 : 127;
        return zo_output_end(argv[1], code);
    }
    snprintf(folder, sizeof folder, "build/test_task_json.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    make_model();
    static char text[8192];
    zo_err err = {0};
    ZO_CHECK(zo_tokenizer_parse(&bytes, text, folder_byte_tokenizer(text, NULL, 0, -1), "bytes", &err) == ZO_OK, "%s", err.text);
    TCase *t = tcase_create("task_json");
    tcase_set_timeout(t, 300);
    tcase_add_test(t, the_documents_example_runs);
    tcase_add_test(t, a_bad_description_stops_the_run);
    tcase_add_test(t, no_dev_row_is_left);
    tcase_add_test(t, by_path_and_by_name);
    tcase_add_test(t, files_in_every_way);
    tcase_add_test(t, kshot_notes_and_one_file);
    tcase_add_test(t, rows_that_are_left_out);
    tcase_add_test(t, demonstrations);
    tcase_add_test(t, demonstrations_without_a_training_file);
    tcase_add_test(t, forms);
    tcase_add_test(t, many_classes);
    tcase_add_test(t, fingerprints);
    tcase_add_test(t, refusals);
    tcase_add_test(t, what_a_list_of_tasks_says);
    tcase_add_test(t, too_much_of_it);
    Suite *s = suite_create("task_json");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    zo_tokenizer_close(bytes);
    folder_remove(folder);
    return failed != 0;
}
