/* test_writes.c: an evaluation of a task whose answers the model writes: its metrics against answers that are generated here one by one and without kept keys and
 * values, and scored here; its loss; which rows it calls right; and that keys and values are memory of evaluations alone. */
#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/setup.h"
#include "bench/matrix/grid.h"
#include "core/io.h"
#include "core/mem.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { ROWS = 5, MOST = 50, TEXT = 400 };

static char folder[64];
typedef struct opened { zo_grid grid; zo_backend *be; zo_setup setup; } opened;

static void put(const char *name, const char *text)
{
    char path[256], parent[256];
    zo_err err = {0};
    zo_path_join(path, sizeof path, folder, name);
    snprintf(parent, sizeof parent, "%s", path);
    *strrchr(parent, '/') = '\0';
    ck_assert_msg(zo_make_dirs(parent, &err) == ZO_OK && zo_write_file(path, text, strlen(text), &err) == ZO_OK, "%s", err.text);
}

static void put_model(void)
{
    char text[8192];
    static const char *const special[] = {"<s>", "<pad>", "</s>"};
    folder_byte_tokenizer(text, special, 3, 2);
    put("opt/tokenizer.json", text);
    put("opt/tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\", \"bos_token\": \"</s>\", \"eos_token\": \"</s>\", \"pad_token\": \"<pad>\"}");
    put("opt/config.json", "{\"model_type\": \"opt\", \"vocab_size\": 99, \"hidden_size\": 16, \"num_hidden_layers\": 2, \"ffn_dim\": 32, \"num_attention_heads\": 2, "
                           "\"max_position_embeddings\": 256, \"word_embed_proj_dim\": 16, \"do_layer_norm_before\": true, \"activation_function\": \"relu\", "
                           "\"bos_token_id\": 2, \"eos_token_id\": 2, \"pad_token_id\": 1, \"init_std\": 0.3}");
}

static void add_escaped(char *to, const char *text)
{
    to += strlen(to);
    for (; *text; text++) {
        to += sprintf(to, "\\u%04x", (unsigned char)*text);
    }
}

/* Questions of different lengths; gold[i]: two answers, the second empty where there is one. */
static void put_rows(char gold[ROWS][2][TEXT])
{
    static char text[ROWS * 6000];
    text[0] = '\0';
    for (int i = 0; i < ROWS; i++) {
        sprintf(text + strlen(text), "{\"title\": \"T%d\", \"context\": \"%.*s\", \"question\": \"who\", \"answers\": {\"text\": [\"", i, 7 * i, "a stone in the river, and some more of it");
        add_escaped(text, gold[i][0]);
        sprintf(text + strlen(text), "\", \"");
        add_escaped(text, gold[i][1]);
        sprintf(text + strlen(text), "\"]}}\n");
    }
    put("squad/train.jsonl", text);
    put("squad/validation.jsonl", text);
}

static void open_cell(opened *o)
{
    char text[600];
    zo_err err = {0};
    zo_setup_dirs dirs = {.data = folder};
    snprintf(text, sizeof text, "{\"model\": \"%s/opt\", \"init\": \"random\", \"task\": \"squad\", \"form\": \"prompt\", \"split\": \"mezo\", \"context\": 200, \"batch\": 2, "
             "\"eval_batch\": 3, \"train\": 4, \"dev\": 0, \"test\": %d, \"threads\": 1, \"steps\": 2, \"optimizer\": \"mezo\"}", folder, ROWS);
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

/* One by one and without kept keys: written[i] of row i of the test split. */
static void write_alone(opened *o, char written[ROWS][TEXT])
{
    zo_setup *s = &o->setup;
    const zo_store *slot = zo_model_store(s->model);
    zo_view view = zo_view_stored(&slot);
    zo_tokenizer *tokenizer;
    zo_err err = {0};
    ck_assert_msg(zo_tokenizer_open(&tokenizer, s->folder, &err) == ZO_OK, "%s", err.text);
    zo_dataset_fetch(s->dataset, ZO_TEST);
    zo_model_evaluation_begin(s->model, 256, 8, 8, NULL);
    for (int32_t i = 0; i < ROWS; i++) {
        int32_t id[MOST], n, end[] = {zo_tokenizer_id(tokenizer, "\xC4\x8A"), 2};
        zo_batch *prompt = zo_dataset_prompts(s->dataset, ZO_TEST, &i, 1);
        zo_generation g = {.most = MOST, .end = end, .ends = 2, .without_cache = true};
        ck_assert_int_eq(prompt->id[0], 0); /* MeZO's <s> */
        zo_model_generate(s->model, &view, prompt, &g, id, &n);
        char *text = zo_tokenizer_decode(tokenizer, id, n);
        snprintf(written[i], TEXT, "%s", text);
        zo_free(text);
        zo_batch_free(prompt);
    }
    zo_model_evaluation_end(s->model);
    zo_tokenizer_close(tokenizer);
    ck_assert_int_eq(zo_dataset_put_away(s->dataset, ZO_TEST, &err), ZO_OK);
}

/* SQuAD's comparison of ASCII texts, by another way than tasks/answers.c: words into a list, each struck out once. */
static int words_of(const char *text, char word[TEXT][TEXT])
{
    int n = 0, at = 0;
    for (;; text++) {
        unsigned char c = (unsigned char)*text;
        if (c && !isspace(c)) {
            if (!ispunct(c)) {
                word[n][at++] = (char)tolower(c);
            }
            continue;
        }
        word[n][at] = '\0';
        if (at > 0 && strcmp(word[n], "a") != 0 && strcmp(word[n], "an") != 0 && strcmp(word[n], "the") != 0) {
            n++;
        }
        at = 0;
        if (!c) {
            return n;
        }
    }
}

static double f1_by_hand(const char *answer, const char *gold, bool *exact)
{
    static char a[TEXT][TEXT], b[TEXT][TEXT];
    int na = words_of(answer, a), nb = words_of(gold, b), shared = 0;
    *exact = na == nb;
    for (int i = 0; i < na && i < nb; i++) {
        *exact = *exact && strcmp(a[i], b[i]) == 0;
    }
    for (int i = 0; i < na; i++) {
        for (int j = 0; j < nb; j++) {
            if (strcmp(a[i], b[j]) == 0) {
                strcpy(b[j], "\n");
                shared++;
                break;
            }
        }
    }
    return shared > 0 ? 2.0 * shared / (na + nb) : 0;
}

START_TEST(an_evaluation_is_what_was_written)
{
    static char gold[ROWS][2][TEXT], written[ROWS][TEXT], again[ROWS][TEXT];
    opened o;
    put_model();
    for (int i = 0; i < ROWS; i++) {
        sprintf(gold[i][0], "nothing %d", i);
    }
    put_rows(gold);
    open_cell(&o);
    write_alone(&o, written);
    close_cell(&o);
    /* Golds out of what is written; the split's order is a permutation, so each row's golds are made of every text's. */
    for (int i = 0; i < ROWS; i++) {
        bool letters = false;
        for (const char *c = written[i]; *c; c++) {
            letters = letters || isalnum((unsigned char)*c);
        }
        ck_assert_msg(letters, "row %d: the model writes no word (\"%s\"), and nothing can be compared", i, written[i]);
        snprintf(gold[i][0], TEXT, "%.300s", written[(i + 1) % ROWS]);
        snprintf(gold[i][1], TEXT, "%.300s and zebra", written[i]);
    }
    put_rows(gold);
    open_cell(&o);
    write_alone(&o, again);
    zo_evaluation e;
    uint8_t correct[1];
    zo_step_report report;
    double seconds, f1 = 0, exact = 0, loss = 0;
    zo_err err = {0};
    zo_mem_reset_peaks();
    zo_mem_phase(ZO_PHASE_EVAL);
    zo_setup_evaluate(&o.setup, ZO_TEST, &e, correct, NULL);
    zo_mem_phase(ZO_PHASE_TRAIN);
    ck_assert_msg(zo_setup_step(&o.setup, 0, &report, &seconds, &err) == ZO_OK, "%s", err.text);
    zo_dataset_fetch(o.setup.dataset, ZO_TEST);
    for (int32_t i = 0; i < ROWS; i++) {
        bool right = false;
        double best = 0;
        ck_assert_str_eq(again[i], written[i]);
        /* which row of the file it is: the title says so */
        zo_batch *prompt = zo_dataset_prompts(o.setup.dataset, ZO_TEST, &i, 1);
        char title[16];
        for (int k = 0; k < 10; k++) {
            title[k] = prompt->id[1 + k] == 3 ? ' ' : (char)('!' + prompt->id[1 + k] - 5);
        }
        zo_batch_free(prompt);
        ck_assert_int_eq(strncmp(title, "Title: T", 8), 0);
        for (int k = 0; k < 2; k++) {
            bool same;
            best = fmax(best, f1_by_hand(written[i], gold[title[8] - '0'][k], &same));
            right = right || same;
        }
        ck_assert_int_eq(correct[0] >> i & 1, right);
        f1 += best / ROWS;
        exact += right / (double)ROWS;
    }
    ck_assert_double_eq_tol(e.metric[ZO_TOKEN_F1], f1, 1e-12);
    ck_assert_double_eq_tol(e.metric[ZO_EXACT_MATCH], exact, 1e-12);
    ck_assert_msg(f1 > 0 && f1 < 1, "an F1 of %g shows nothing", f1);
    ck_assert(isnan(e.metric[ZO_ACCURACY]) && !e.constant);
    ck_assert_int_eq(e.examples, ROWS);
    ck_assert(isfinite(e.loss) && e.loss > 0 && loss == 0);
    zo_peak eval = zo_mem_peak(ZO_HOST, ZO_PHASE_EVAL), train = zo_mem_peak(ZO_HOST, ZO_PHASE_TRAIN);
    int64_t places = o.setup.places[ZO_TEST];
    ck_assert_int_eq((int64_t)eval.tag_bytes[ZO_TAG_KV_CACHE], zo_model_cache_bytes(zo_model_arch(o.setup.model), places));
    ck_assert_int_eq((int64_t)train.tag_bytes[ZO_TAG_KV_CACHE], 0);
    close_cell(&o);
}
END_TEST

int main(void)
{
    snprintf(folder, sizeof folder, "/tmp/zo-writes-XXXXXX");
    if (!mkdtemp(folder)) {
        perror("mkdtemp");
        return 1;
    }
    Suite *suite = suite_create("writes");
    TCase *tests = tcase_create("writes");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, an_evaluation_is_what_was_written);
    suite_add_tcase(suite, tests);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
