/* test_show.c: `zo show` on a task and models that the test makes: every form's tokens by hand, what is scored, what was cut, and that the ids are
 * those that stand in a run's batches. */
#include <check.h>
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "tasks/task.h"
#include "tests/folder.h"
#include "tests/suite.h"

static char folder[64];
static char said[1 << 16];

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static const char *below(const char *name)
{
    static char path[8][300];
    static int turn;
    turn = (turn + 1) % 8;
    return zo_path_join(path[turn], sizeof path[turn], folder, name);
}

static void put(const char *name, const char *text)
{
    char parent[300];
    zo_err err = {0};
    snprintf(parent, sizeof parent, "%s", below(name));
    *strrchr(parent, '/') = '\0';
    ZO_CHECK(zo_make_dirs(parent, &err) == ZO_OK && zo_write_file(below(name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void make_files(void)
{
    static const char *const special[] = {"<s>", "<pad>", "</s>", "<unk>", "<mask>", " good", " bad"};
    char tokens[8192];
    zo_err err = {0};
    tokens[folder_byte_tokenizer(tokens, special, 7, -1)] = '\0';
    put("causal/tokenizer.json", tokens);
    put("causal/config.json", "{\"model_type\": \"gpt2\", \"vocab_size\": 110, \"n_embd\": 8, \"n_layer\": 1, \"n_head\": 2, \"n_positions\": 64, \"bos_token_id\": 0, "
                              "\"eos_token_id\": 2}");
    ZO_CHECK(zo_make_dirs(below("encoder"), &err) == ZO_OK && zo_synth_write_tokenizer(below("encoder"), &err) == ZO_OK, "%s", err.text);
    put("encoder/config.json", "{\"model_type\": \"bert\", \"vocab_size\": 1000, \"hidden_size\": 16, \"num_hidden_layers\": 1, \"num_attention_heads\": 2, "
                               "\"intermediate_size\": 32, \"hidden_act\": \"gelu\", \"max_position_embeddings\": 64, \"type_vocab_size\": 2, \"layer_norm_eps\": 1e-12}");
    put("task.json", "{\"name\": \"t\", \"texts\": [\"a\"], \"label\": \"y\", \"classes\": [0, 1], \"files\": [{\"train\": \"f.tsv\", \"validation\": \"v.tsv\"}], "
                     "\"mask_prompt\": {\"template\": \"*cls**sent_0*_it_was*mask*.*sep+*\", \"words\": [\"terrible\", \"great\"]}, "
                     "\"causal_prompt\": {\"own\": true, \"template\": \"{0} is\", \"options\": [\" bad\", \" so so\"]}}");
    put("f.tsv", "y\ta\n0\ttrain row\n");
    put("v.tsv", "y\ta\n1\tthe film was great\n0\tthe plot\n1\tthe film\n");
}

/* What `zo show TASK MODEL ...` prints, both streams. */
static int show(const char *model, const char *const more[])
{
    const char *argv[20] = {"show", below("task.json"), model, "--data", folder};
    int argc = 5, status;
    for (; more[argc - 5]; argc++) {
        argv[argc] = more[argc - 5];
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        int out = open(below("said"), O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(out, 1);
        dup2(out, 2);
        int end = zo_cmd_show(argc, (char **)argv);
        fflush(NULL);
        _exit(end);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(WIFEXITED(status) && zo_read_file(below("said"), sizeof said - 1, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    memcpy(said, text, bytes + 1);
    zo_free(text);
    return WEXITSTATUS(status);
}
#define SHOW(model, ...) show(below(model), (const char *const[]){__VA_ARGS__, NULL})

START_TEST(options_of_a_causal_model)
{
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--n", "1") == 0, "%s", said);
    ASSERT_HAS(said, "note: t: the causal prompt is our own, no paper has one\n");
    ASSERT_HAS(said, "test: 0 rows");
    /* split first keeps 500 rows for dev, which are all of them */
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "2") == 0, "%s", said);
    ASSERT_HAS(said, "dev: 3 rows, 0 sequences cut\n");
    ASSERT_HAS(said, "row 0: label 1,");
    ASSERT_HAS(said, "  the film was great is\n        0:| bad|\n  right 1:| so so|\n");
    ASSERT_HAS(said, "row 1: label 0,");
    ASSERT_HAS(said, "  the plot is\n  right 0:| bad|\n        1:| so so|\n");
    ck_assert_ptr_null(strstr(said, "row 2"));
}
END_TEST

START_TEST(what_was_cut)
{
    /* "the film was great is" has 21 tokens, " bad" 1 and " so so" 6: with a context of 16, 6 and 11 are cut */
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "1", "--context", "16", "--json") == 0, "%s", said);
    cJSON *account = cJSON_Parse(said);
    ck_assert_ptr_nonnull(account);
    const cJSON *row = cJSON_GetObjectItem(account, "examples")->child;
    ck_assert_int_eq(cJSON_GetObjectItem(account, "context")->valueint, 16);
    ck_assert_int_eq(cJSON_GetObjectItem(account, "sequences_cut")->valueint, 4); /* "the plot is so so" and "the film is so so" too */
    ck_assert_int_eq(cJSON_GetObjectItem(row, "tokens_cut")->valueint, 6 + 11);
    cJSON_Delete(account);
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "1", "--from", "2", "--json") == 0, "%s", said);
    account = cJSON_Parse(said);
    row = cJSON_GetObjectItem(account, "examples")->child;
    ck_assert_int_eq(cJSON_GetObjectItem(row, "row")->valueint, 2);
    ck_assert_int_eq(cJSON_GetObjectItem(row, "tokens_cut")->valueint, 0);
    /* ids as the byte tokenizer has them: 7 special tokens, space, line feed, then '!' */
    static const char prompt[] = "the film is";
    const cJSON *id = cJSON_GetObjectItem(row, "prompt_ids")->child;
    for (const char *at = prompt; *at; at++, id = id->next) {
        ck_assert_ptr_nonnull(id);
        ck_assert_int_eq(id->valueint, *at == ' ' ? 7 : 9 + *at - '!');
    }
    ck_assert_ptr_null(id);
    const cJSON *options = cJSON_GetObjectItem(row, "options");
    ck_assert_int_eq(cJSON_GetArraySize(options), 2);
    ck_assert_int_eq(cJSON_GetObjectItem(options->child, "scored_ids")->child->valueint, 6); /* " bad" is one token */
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(options->child->next, "scored")), 6);
    cJSON_Delete(account);
}
END_TEST

START_TEST(encoders)
{
    ck_assert_msg(SHOW("encoder", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "1") == 0, "%s", said);
    ASSERT_HAS(said, "word of class 0: \"terrible\"");
    ASSERT_HAS(said, "[CLS] the film was great it was [[MASK]] . [SEP]\n");
    ck_assert_msg(SHOW("encoder", "--split", "first", "--rows", "train", "--context", "32") == 0, "%s", said);
    ASSERT_HAS(said, "train: 1 rows");
    ASSERT_HAS(said, "  [[CLS]] ");
}
END_TEST

START_TEST(bad_words)
{
    ck_assert_int_eq(SHOW("causal", "--rows", "eval"), 2);
    ASSERT_HAS(said, "zo show: --rows is \"eval\"; expected train, dev or test");
    ck_assert_int_eq(SHOW("causal", "--form", "prmpt"), 2);
    ASSERT_HAS(said, "\"form\" is \"prmpt\"");
    ck_assert_int_eq(SHOW("causal", "--context", "100"), 2);
    ASSERT_HAS(said, "longer than the 64 positions");
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "%s/zo-show-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    ZO_CHECK(mkdtemp(folder) != NULL, "no scratch folder");
    make_files();
    TCase *t = tcase_create("show");
    tcase_add_test(t, options_of_a_causal_model);
    tcase_add_test(t, what_was_cut);
    tcase_add_test(t, encoders);
    tcase_add_test(t, bad_words);
    Suite *suite = suite_create("show");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
