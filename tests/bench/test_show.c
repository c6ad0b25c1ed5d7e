/* test_show.c: `zo show` on a task and models that the test makes: every form's tokens by hand, what is scored, what was cut, and that the ids are
 * those that stand in a run's batches. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/cli/cmd.h"
#include "core/io.h"
#include "core/mem.h"
#include "tasks/task.h"
#include "tests/program.h"
#include "tests/suite.h"

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
    const char *argv[20] = {"show", below("task.json"), model, "--data", program_folder};
    int argc = 5;
    for (; more[argc - 5]; argc++) {
        argv[argc] = more[argc - 5];
    }
    return command(zo_cmd_show, argv);
}
#define SHOW(model, ...) show(below(model), (const char *const[]){__VA_ARGS__, NULL})

START_TEST(options_of_a_causal_model)
{
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--n", "1") == 0, "%s", program_said);
    ASSERT_HAS(program_said, "note: t: the causal prompt is our own, no paper has one\n");
    ASSERT_HAS(program_said, "test: 0 rows");
    /* split first keeps 500 rows for dev, which are all of them */
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "2") == 0, "%s", program_said);
    ASSERT_HAS(program_said, "dev: 3 rows, 0 sequences cut\n");
    ASSERT_HAS(program_said, "row 0: label 1,");
    ASSERT_HAS(program_said, "  the film was great is\n        0:| bad|\n  right 1:| so so|\n");
    ASSERT_HAS(program_said, "row 1: label 0,");
    ASSERT_HAS(program_said, "  the plot is\n  right 0:| bad|\n        1:| so so|\n");
    ck_assert_ptr_null(strstr(program_said, "row 2"));
}
END_TEST

START_TEST(what_was_cut)
{
    /* "the film was great is" has 21 tokens, " bad" 1 and " so so" 6: with a context of 16, 6 and 11 are cut */
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "1", "--context", "16", "--json") == 0, "%s", program_said);
    cJSON *account = cJSON_Parse(program_said);
    ck_assert_ptr_nonnull(account);
    const cJSON *row = cJSON_GetObjectItem(account, "examples")->child;
    ck_assert_int_eq(cJSON_GetObjectItem(account, "context")->valueint, 16);
    ck_assert_int_eq(cJSON_GetObjectItem(account, "sequences_cut")->valueint, 4); /* "the plot is so so" and "the film is so so" too */
    ck_assert_int_eq(cJSON_GetObjectItem(row, "tokens_cut")->valueint, 6 + 11);
    cJSON_Delete(account);
    ck_assert_msg(SHOW("causal", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "1", "--from", "2", "--json") == 0, "%s", program_said);
    account = cJSON_Parse(program_said);
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
    ck_assert_msg(SHOW("encoder", "--form", "prompt", "--split", "first", "--rows", "dev", "--n", "1") == 0, "%s", program_said);
    ASSERT_HAS(program_said, "word of class 0: \"terrible\"");
    ASSERT_HAS(program_said, "[CLS] the film was great it was [[MASK]] . [SEP]\n");
    ck_assert_msg(SHOW("encoder", "--split", "first", "--rows", "train", "--context", "32") == 0, "%s", program_said);
    ASSERT_HAS(program_said, "train: 1 rows");
    ASSERT_HAS(program_said, "  [[CLS]] ");
}
END_TEST

START_TEST(bad_words)
{
    ck_assert_int_eq(SHOW("causal", "--rows", "eval"), 2);
    ASSERT_HAS(program_said, "zo show: --rows is \"eval\"; expected train, dev or test");
    ck_assert_int_eq(SHOW("causal", "--form", "prmpt"), 2);
    ASSERT_HAS(program_said, "\"form\" is \"prmpt\"");
    ck_assert_int_eq(SHOW("causal", "--context", "100"), 2);
    ASSERT_HAS(program_said, "longer than the 64 positions");
}
END_TEST

int main(void)
{
    program_begin("show");
    make_files();
    TCase *t = tcase_create("show");
    tcase_add_test(t, options_of_a_causal_model);
    tcase_add_test(t, what_was_cut);
    tcase_add_test(t, encoders);
    tcase_add_test(t, bad_words);
    Suite *suite = suite_create("show");
    suite_add_tcase(suite, t);
    int failed = suite_run(suite);
    folder_remove(program_folder);
    return failed != 0;
}
