/* test_setup.c: what bench/setup.c decides when it opens a cell: the token that OPT's prompts begin with, and room for every batch that
 * will come. The folders are made here: a
 * config.json and a byte-level BPE whose texts begin with </s>, as OPT's do. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/setup.h"
#include "core/io.h"
#include "tests/folder.h"

enum { BOS = 0, EOS = 2 }; /* <s>, </s> */

static char folder[64];

static void put(const char *model, const char *name, const char *text)
{
    char parent[256], path[256];
    zo_err err = {0};
    zo_path_join(parent, sizeof parent, folder, model);
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK &&
                  zo_write_file(zo_path_join(path, sizeof path, parent, name), text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void put_model(const char *model, const char *config)
{
    char text[8192];
    static const char *const special[] = {"<s>", "<pad>", "</s>"};
    folder_byte_tokenizer(text, special, 3, EOS);
    put(model, "tokenizer.json", text);
    put(model, "tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\", \"bos_token\": \"</s>\", \"eos_token\": \"</s>\", \"pad_token\": \"<pad>\"}");
    put(model, "config.json", config);
}

static const char OPT[] = "{\"model_type\": \"opt\", \"vocab_size\": 128, \"hidden_size\": 16, \"num_hidden_layers\": 1, \"ffn_dim\": 32, "
                          "\"num_attention_heads\": 2, \"max_position_embeddings\": 256, \"word_embed_proj_dim\": 16, \"do_layer_norm_before\": true, "
                          "\"activation_function\": \"relu\", \"bos_token_id\": 2, \"eos_token_id\": 2, \"pad_token_id\": 1}";

typedef struct opened { zo_grid grid; zo_backend *be; zo_setup setup; } opened;

/* `more` is the rest of the config. */
static void open_cell(opened *o, const char *model, int examples, const char *more)
{
    char text[600];
    snprintf(text, sizeof text, "{\"model\": \"%s/%s\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 200, \"batch\": 4, "
             "\"train\": %d, \"dev\": 0, \"test\": 0, \"threads\": 1, %s}", folder, model, examples, more);
    zo_setup_dirs dirs = {NULL, NULL};
    zo_err err = {0};
    ck_assert_msg(zo_grid_parse(&o->grid, text, "c.json", &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_backend_open("cpu", 1, &o->be, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_setup_open(&o->setup, &o->grid.cell[0], &dirs, o->be, &err) == ZO_OK, "%s", err.text);
}

static void close_cell(opened *o)
{
    zo_setup_close(&o->setup);
    o->be->close(o->be);
    zo_grid_free(&o->grid);
}

/* The first training examples of a cell, as one batch; the caller frees it. */
static zo_batch *first_batch(const char *model, const char *form)
{
    enum { EXAMPLES = 8 };
    char more[100];
    snprintf(more, sizeof more, "\"form\": \"%s\", \"steps\": 1, \"optimizer\": \"mezo\"", form);
    opened o;
    open_cell(&o, model, EXAMPLES, more);
    int32_t index[EXAMPLES];
    for (int32_t i = 0; i < EXAMPLES; i++) {
        index[i] = i;
    }
    zo_batch *b = zo_dataset_batch(o.setup.dataset, ZO_TRAIN, index, EXAMPLES);
    close_cell(&o);
    return b;
}

/* MeZO's code sets bos_token_id = 0 for OPT, so its prompts begin with <s>; those of other families, and OPT's texts under a head, begin
 * as their tokenizer says. Nothing else differs. */
START_TEST(prompts_of_opt_begin_with_s)
{
    put_model("opt", OPT);
    put_model("gpt2", "{\"model_type\": \"gpt2\", \"vocab_size\": 128, \"n_embd\": 16, \"n_layer\": 1, \"n_head\": 2, \"n_positions\": 256}");
    zo_batch *opt = first_batch("opt", "prompt"), *other = first_batch("gpt2", "prompt"), *head = first_batch("opt", "head");
    ck_assert_int_eq(opt->tokens, other->tokens);
    ck_assert_int_eq(opt->seqs, other->seqs);
    int texts = 0;
    for (int32_t s = 0; s < opt->seqs; s++) {
        for (int32_t t = opt->start[s]; t < opt->start[s + 1]; t++) {
            bool first = t == opt->start[s] && opt->parent[s] < 0;
            ck_assert_int_eq(other->id[t], first ? EOS : opt->id[t]);
            ck_assert(first ? opt->id[t] == BOS : opt->id[t] > EOS);
            texts += first;
        }
    }
    ck_assert_int_eq(texts, opt->examples);
    for (int32_t s = 0; s < head->seqs; s++) {
        ck_assert_int_eq(head->id[head->start[s]], EOS);
    }
    zo_batch_free(opt);
    zo_batch_free(other);
    zo_batch_free(head);
}
END_TEST

/* A batch that is larger than what was reserved ends the program. One step of MeZO-SVRG passes the whole training set; many steps come
 * by the largest batch of some epoch; and a budget without an end is opened at once. */
START_TEST(every_batch_has_room)
{
    static const struct { const char *more; int64_t steps; } of[] = {
        {"\"steps\": 1, \"optimizer\": \"mezo-svrg\", \"seed\": 3", 1},
        {"\"forwards\": 60, \"optimizer\": \"mezo\"", 30},
        {"\"steps\": 40, \"optimizer\": \"fo-sgd\"", 40},
        {"\"seconds\": 5, \"optimizer\": \"mezo\"", 40},
        {"\"steps\": 4294967295, \"optimizer\": \"mezo-svrg\"", 2}};
    put_model("opt", OPT);
    opened o;
    open_cell(&o, "opt", 64, of[_i].more);
    for (int64_t step = 0; step < of[_i].steps; step++) {
        zo_step_report report;
        double seconds;
        zo_err err = {0};
        ck_assert_msg(zo_setup_step(&o.setup, step, &report, &seconds, &err) == ZO_OK, "%s", err.text);
    }
    close_cell(&o);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "build/test_setup.XXXXXX");
    if (mkdtemp(folder) == NULL) {
        perror(folder);
        return 1;
    }
    TCase *t = tcase_create("setup");
    tcase_add_test(t, prompts_of_opt_begin_with_s);
    tcase_add_loop_test(t, every_batch_has_room, 0, 5);
    Suite *s = suite_create("setup");
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    folder_remove(folder);
    return failed != 0;
}
