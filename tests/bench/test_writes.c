/* test_writes.c: a task whose answers the model writes. An evaluation: its metrics against answers that are generated here one by one and without kept keys and
 * values, and scored here; its loss; which rows it calls right; and that keys and values are memory of evaluations alone. And training by the F1 of what is
 * written: a step's losses, FLOPs and memory against weights that are moved here, answers as above, and counts by hand. */
#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/evaluate.h"
#include "bench/cell/predict.h"
#include "bench/cell/setup.h"
#include "bench/matrix/grid.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { ROWS = 5, MOST = 50, TEXT = 400 };
#define ONE_LOSS "\"batch\": 2, \"steps\": 2, \"optimizer\": \"mezo\""

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

static void put_model(bool tied)
{
    char text[8192];
    static const char *const special[] = {"<s>", "<pad>", "</s>"};
    folder_byte_tokenizer(text, special, 3, 2);
    put("opt/tokenizer.json", text);
    put("opt/tokenizer_config.json", "{\"tokenizer_class\": \"GPT2Tokenizer\", \"bos_token\": \"</s>\", \"eos_token\": \"</s>\", \"pad_token\": \"<pad>\"}");
    snprintf(text, sizeof text, "{\"model_type\": \"opt\", \"vocab_size\": 99, \"hidden_size\": 16, \"num_hidden_layers\": 2, \"ffn_dim\": 32, \"num_attention_heads\": 2, "
             "\"max_position_embeddings\": 256, \"word_embed_proj_dim\": 16, \"do_layer_norm_before\": true, \"activation_function\": \"relu\", "
             "\"bos_token_id\": 2, \"eos_token_id\": 2, \"pad_token_id\": 1, \"init_std\": 0.3, \"tie_word_embeddings\": %s}", tied ? "true" : "false");
    put("opt/config.json", text);
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

/* more: the rest of a config. The status of the setup; where it is not ZO_OK there is nothing to close but the backend. */
static zo_status try_cell(opened *o, const char *more, zo_err *err)
{
    char text[800];
    zo_setup_dirs dirs = {.data = folder};
    snprintf(text, sizeof text, "{\"model\": \"%s/opt\", \"init\": \"random\", \"task\": \"squad\", \"form\": \"prompt\", \"split\": \"mezo\", \"context\": 200, "
             "\"eval_batch\": 3, \"train\": 4, \"dev\": 0, \"test\": %d, \"threads\": 1, %s}", folder, ROWS, more);
    ck_assert_msg(zo_grid_parse(&o->grid, text, "c.json", err) == ZO_OK, "%s", err->text);
    ck_assert_msg(zo_backend_open("cpu", 1, &o->be, err) == ZO_OK, "%s", err->text);
    return zo_setup_open(&o->setup, &o->grid.cell[0], &dirs, o->be, err);
}

static void open_cell(opened *o, const char *more)
{
    zo_err err = {0};
    ck_assert_msg(try_cell(o, more, &err) == ZO_OK, "%s", err.text);
}

static void close_cell(opened *o)
{
    zo_setup_close(&o->setup);
    o->be->close(o->be);
    zo_grid_free(&o->grid);
}

static zo_tokenizer *open_tokenizer(const zo_setup *s)
{
    zo_tokenizer *tokenizer;
    zo_err err = {0};
    ck_assert_msg(zo_tokenizer_open(&tokenizer, s->folder, &err) == ZO_OK, "%s", err.text);
    return tokenizer;
}

/* One by one and without kept keys, at the stored weights: written[i] of row i of the split. Adds the FLOPs of the same with them. */
static void write_rows(zo_setup *s, zo_split split, int32_t rows, char written[ROWS][TEXT], double *flops)
{
    const zo_store *slot = zo_model_store(s->model);
    zo_view view = zo_view_stored(&slot);
    zo_tokenizer *tokenizer = open_tokenizer(s);
    zo_model_evaluation_begin(s->model, 256, 8, 8, NULL);
    for (int32_t i = 0; i < rows; i++) {
        int32_t id[MOST], n, end[] = {zo_tokenizer_id(tokenizer, "\xC4\x8A"), 2};
        zo_batch *prompt = zo_dataset_prompts(s->dataset, split, &i, 1);
        zo_generation g = {.most = MOST, .end = end, .ends = 2, .without_cache = true};
        ck_assert_int_eq(prompt->id[0], 0); /* MeZO's <s> */
        ck_assert(zo_model_generate(s->model, &view, prompt, &g, id, &n));
        char *text = zo_tokenizer_decode(tokenizer, id, n);
        snprintf(written[i], TEXT, "%s", text);
        zo_free(text);
        /* The prompt, and each token that another one was asked behind, in a pass; the first layer's products of all of them (q, k, v, o of 16 x 16, the MLP's
         * two of 16 x 32), of the second keys and values, the rest and the decoder (99 x 16) of the last token of each pass; scores and sums of 16 numbers a key. */
        int p = prompt->tokens, passes = n < MOST ? n + 1 : MOST, tokens = p + passes - 1;
        double pairs = p * (p + 1) / 2.0, of_rows = p;
        for (int t = p + 1; t <= tokens; t++) {
            pairs += t;
            of_rows += t;
        }
        *flops += 2.0 * tokens * (4 * 256 + 2 * 512 + 2 * 256) + 2.0 * passes * (2 * 256 + 2 * 512 + 99 * 16) + 4 * 16 * (pairs + of_rows);
        zo_batch_free(prompt);
    }
    zo_model_evaluation_end(s->model);
    zo_tokenizer_close(tokenizer);
}

static void write_alone(opened *o, char written[ROWS][TEXT])
{
    zo_err err = {0};
    double flops;
    zo_dataset_fetch(o->setup.dataset, ZO_TEST);
    write_rows(&o->setup, ZO_TEST, ROWS, written, &flops);
    ck_assert_int_eq(zo_dataset_put_away(o->setup.dataset, ZO_TEST, &err), ZO_OK);
}

/* Which row of the file it is: the title says so, behind <s>. */
static int row_of_file(const zo_setup *s, zo_split split, int32_t i)
{
    char title[16];
    zo_batch *prompt = zo_dataset_prompts(s->dataset, split, &i, 1);
    for (int k = 0; k < 10; k++) {
        title[k] = prompt->id[1 + k] == 3 ? ' ' : (char)('!' + prompt->id[1 + k] - 5);
    }
    ck_assert_int_eq(prompt->id[prompt->tokens - 1], ':' - '!' + 5); /* "Answer:", and nothing of the answer */
    zo_batch_free(prompt);
    ck_assert_int_eq(strncmp(title, "Title: T", 8), 0);
    return title[8] - '0';
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
    put_model(true);
    for (int i = 0; i < ROWS; i++) {
        sprintf(gold[i][0], "nothing %d", i);
    }
    put_rows(gold);
    open_cell(&o, ONE_LOSS);
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
    open_cell(&o, ONE_LOSS);
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
        int row = row_of_file(&o.setup, ZO_TEST, i);
        for (int k = 0; k < 2; k++) {
            bool same;
            best = fmax(best, f1_by_hand(written[i], gold[row][k], &same));
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

/* ---- the F1 of what is written, as the objective --------------------------------------------------------------------------------- */

/* The stored weights <- w + c z, z of the first step's one direction. */
static void move_to(zo_setup *s, const float *w, float c)
{
    zo_store *weights = zo_model_store(s->model);
    const zo_layout *layout = weights->layout;
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        long n = (long)(p->rows * p->cols);
        float *z = malloc((size_t)n * sizeof *z);
        zo_normals_scalar((zo_stream){.seed = (uint64_t)s->cell->seed, .tensor = p->id, .role = ZO_ROLE_Z}, 0, n, z);
        for (long i = 0; i < n; i++) {
            weights->data[p->offset + i] = fmaf(c, z[i], w[p->offset + i]);
        }
        free(z);
    }
}

/* 1 - mean F1 of the training rows at the stored weights. Every right answer is made of what the model writes somewhere. */
static double loss_by_hand(zo_setup *s, char gold[ROWS][2][TEXT], int32_t rows, double *flops)
{
    static char written[ROWS][TEXT];
    double sum = 0;
    write_rows(s, ZO_TRAIN, rows, written, flops);
    for (int32_t i = 0; i < rows; i++) {
        double best = 0;
        bool same;
        for (int k = 0; k < 2; k++) {
            best = fmax(best, f1_by_hand(written[i], gold[row_of_file(s, ZO_TRAIN, i)][k], &same));
        }
        sum += best;
    }
    return 1 - sum / rows;
}

/* Second right answers: of one row what is written at w + c z, of two that at w - c z and a word more. So the F1 is neither 0 nor 1 there, and not the same. The first
 * ones, which training batches hold, are of other tokens. */
static void put_mixed(char gold[ROWS][2][TEXT], bool tied, float c)
{
    static char written[2][ROWS][TEXT];
    opened o;
    double flops;
    put_model(tied);
    memset(gold, 0, ROWS * sizeof *gold);
    for (int i = 0; i < ROWS; i++) {
        sprintf(gold[i][0], "nothing %d", i);
    }
    put_rows(gold);
    open_cell(&o, "\"batch\": 4, \"steps\": 1, \"optimizer\": \"mezo\", \"objective\": \"f1\", \"seed\": 5");
    size_t bytes = (size_t)zo_model_layout(o.setup.model)->size * sizeof(float);
    float *w = malloc(bytes);
    memcpy(w, zo_model_store(o.setup.model)->data, bytes);
    for (int side = 0; side < 2; side++) {
        move_to(&o.setup, w, side == 0 ? c : -c);
        write_rows(&o.setup, ZO_TRAIN, 4, written[side], &flops);
    }
    for (int32_t i = 0; i < 3; i++) {
        int row = row_of_file(&o.setup, ZO_TRAIN, i);
        snprintf(gold[row][1], TEXT, "%.300s%s", written[i > 0][i], i > 0 ? " zebra" : "");
    }
    free(w);
    close_cell(&o);
    put_rows(gold);
}

static const char *const realisations[] = {"inplace", "streamed"};

/* A step of MeZO that moves nothing afterwards: the losses at w + eps z and w - eps z, all parameters moved, whether a batch looks them up or not. */
START_TEST(a_probe_is_told_the_f1_of_what_is_written)
{
    static char gold[ROWS][2][TEXT];
    bool tied = _i % 2;
    char more[300];
    const double eps = 0.02;
    put_mixed(gold, tied, (float)eps);
    snprintf(more, sizeof more, "\"batch\": 4, \"steps\": 1, \"lr\": 0, \"eps\": %g, \"optimizer\": \"mezo\", \"objective\": \"f1\", \"seed\": 5, \"realisation\": \"%s\"", eps,
             realisations[_i / 2]);
    opened o;
    open_cell(&o, more);
    zo_setup *s = &o.setup;
    zo_step_report report;
    zo_err err = {0};
    double seconds, flops = 0;
    size_t bytes = (size_t)zo_model_layout(s->model)->size * sizeof(float);
    float *w = malloc(bytes);
    memcpy(w, zo_model_store(s->model)->data, bytes);
    ck_assert_msg(zo_setup_step(s, 0, &report, &seconds, &err) == ZO_OK, "%s", err.text);
    move_to(s, w, (float)eps);
    double plus = loss_by_hand(s, gold, 4, &flops);
    move_to(s, w, (float)-eps);
    double minus = loss_by_hand(s, gold, 4, &flops);
    ck_assert_msg(plus > 0 && plus < 1 && plus != minus, "losses of %g and %g show nothing", plus, minus);
    ck_assert_double_eq_tol(report.loss, plus, 1e-12);
    ck_assert_double_eq_tol(report.projected, (plus - minus) / (2 * eps), 1e-9);
    ck_assert_double_eq_tol(zo_setup_flops(s), flops, 1e-9 * flops);
    ck_assert_int_eq((int64_t)s->counts.forwards, 2);
    ck_assert_int_eq((int64_t)s->counts.examples, 8);
    ck_assert_int_eq((int64_t)s->counts.sequences, 8);
    free(w);
    close_cell(&o);
}
END_TEST

/* The training peak by tag is what is predicted of it, and keys and values are a part of it. */
START_TEST(the_memory_of_writing_is_predicted)
{
    static const char *const of[] = {"\"optimizer\": \"mezo\", \"realisation\": \"inplace\"", "\"optimizer\": \"mezo\", \"realisation\": \"streamed\"",
                                     "\"optimizer\": {\"name\": \"mezo-svrg\", \"q\": 2}", "\"optimizer\": \"tezo\", \"realisation\": \"sidepath\"",
                                     "\"optimizer\": {\"name\": \"mezo\", \"queries\": 3, \"query_batches\": \"fresh\"}"};
    static char gold[ROWS][2][TEXT];
    put_mixed(gold, false, 1e-3f);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        for (int budget = 0; budget < 2; budget++) { /* at first every batch is of all rows; then they differ, and which comes is not known before */
            char more[300];
            snprintf(more, sizeof more, "%s, \"objective\": \"f1\", %s", budget == 0 ? "\"batch\": 4, \"steps\": 6" : "\"batch\": 3, \"work\": 30", of[k]);
            opened o;
            open_cell(&o, more);
            uint64_t said[ZO_TAGS];
            zo_err err = {0};
            zo_predict_peak(&o.setup, said);
            zo_mem_reset_peaks();
            zo_mem_phase(ZO_PHASE_TRAIN);
            for (int step = 0; step < 6; step++) {
                zo_step_report report;
                double seconds;
                ck_assert_msg(zo_setup_step(&o.setup, step, &report, &seconds, &err) == ZO_OK, "%s: %s", more, err.text);
            }
            zo_peak peak = zo_mem_peak(ZO_HOST, ZO_PHASE_TRAIN);
            uint64_t total = 0;
            for (int t = 0; t < ZO_TAGS; t++) {
                total += said[t];
                bool compiles = t == ZO_TAG_OTHER || t == ZO_TAG_WORKSPACE, exact = budget == 0 && !compiles;
                uint64_t slack = compiles ? 10000 : 0; /* products that the CPU backend compiles, a few hundred bytes a shape */
                uint64_t over = t == ZO_TAG_DATA ? 16 : 0; /* zo_batch_bytes has room for scores of regression: 4 bytes a row */
                ck_assert_msg(exact ? said[t] == peak.tag_bytes[t] + over : said[t] + slack >= peak.tag_bytes[t], "%s: %s: predicted %llu, measured %llu", more,
                              zo_tag_name((zo_tag)t), (unsigned long long)said[t], (unsigned long long)peak.tag_bytes[t]);
            }
            ck_assert(peak.tag_bytes[ZO_TAG_KV_CACHE] > 0 && (double)total < 1.03 * (double)peak.total_bytes);
            close_cell(&o);
        }
    }
}
END_TEST

/* Where scores are no numbers nothing was written, and where answers are written there is no accuracy. */
START_TEST(what_is_no_f1_is_refused)
{
    static char gold[ROWS][2][TEXT];
    opened o;
    zo_err err = {0};
    zo_step_report report;
    double seconds;
    put_mixed(gold, true, 1e-3f);
    for (int bad = 0; bad < 2; bad++) {
        open_cell(&o, "\"batch\": 2, \"steps\": 2, \"optimizer\": \"mezo\", \"objective\": \"f1\"");
        zo_store *weights = zo_model_store(o.setup.model);
        weights->data[weights->layout->param[zo_layout_find(weights->layout, "final.norm.weight")].offset] = bad ? NAN : 1.0f;
        ck_assert_int_eq(zo_setup_step(&o.setup, 0, &report, &seconds, &err), bad ? ZO_EDIVERGED : ZO_OK);
        close_cell(&o);
    }
    ck_assert_int_eq(try_cell(&o, "\"batch\": 2, \"steps\": 2, \"optimizer\": \"mezo\", \"objective\": \"accuracy\"", &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, "the model writes the answers of squad") != NULL, "%s", err.text);
    o.be->close(o.be);
    zo_grid_free(&o.grid);
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
    tcase_add_loop_test(tests, a_probe_is_told_the_f1_of_what_is_written, 0, 4);
    tcase_add_test(tests, the_memory_of_writing_is_predicted);
    tcase_add_test(tests, what_is_no_f1_is_refused);
    suite_add_tcase(suite, tests);
    int failed = suite_run(suite);
    folder_remove(folder);
    return failed != 0;
}
