/* test_setup.c: what bench/cell/ decides when it opens a cell: the token that OPT's prompts begin with, and room for every batch that
 * will come; what it counts as work and as queries, and when it calls an evaluation constant. The folders are made here: a
 * config.json and a byte-level BPE whose texts begin with </s>, as OPT's do. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/evaluate.h"
#include "bench/cell/setup.h"
#include "bench/matrix/grid.h"
#include "core/io.h"
#include "tests/folder.h"
#include "tests/suite.h"

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

/* Before each test, so that each can run alone. */
static void put_models(void)
{
    put_model("opt", OPT);
    put_model("gpt2", "{\"model_type\": \"gpt2\", \"vocab_size\": 128, \"n_embd\": 16, \"n_layer\": 1, \"n_head\": 2, \"n_positions\": 256}");
}

static int threads = 1;

typedef struct opened { zo_grid grid; zo_backend *be; zo_setup setup; } opened;

/* `more` is the rest of the config. */
static void open_cell(opened *o, const char *model, int examples, const char *more)
{
    char text[600];
    snprintf(text, sizeof text, "{\"model\": \"%s/%s\", \"init\": \"random\", %s\"context\": 200, \"batch\": 4, "
             "\"train\": %d, \"dev\": 0, \"threads\": 1, %s%s}", folder, model, strstr(more, "\"task\"") ? "" : "\"task\": \"synth-sentiment\", ",
             examples, strstr(more, "\"test\"") ? "" : "\"test\": 0, ", more);
    zo_setup_dirs dirs = {.data = folder};
    zo_err err = {0};
    ck_assert_msg(zo_grid_parse(&o->grid, text, "c.json", &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_backend_open("cpu", threads, &o->be, &err) == ZO_OK, "%s", err.text);
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
        {"\"forwards\": 60, \"optimizer\": {\"name\": \"mezo\", \"queries\": 3, \"query_batches\": \"fresh\"}", 10},
        {"\"work\": 61, \"optimizer\": {\"name\": \"mezo\", \"queries\": 3, \"query_batches\": \"fresh\"}", 11},
        {"\"steps\": 12, \"optimizer\": {\"name\": \"mezo\", \"queries\": 3, \"query_batches\": \"fresh\"}, \"objective\": \"f1\"", 12},
        {"\"steps\": 40, \"optimizer\": \"fo-sgd\"", 40},
        {"\"work\": 61, \"optimizer\": \"mezo\"", 31},
        {"\"work\": 40, \"optimizer\": \"mezo-svrg\"", 2},
        {"\"seconds\": 5, \"optimizer\": \"mezo\"", 40},
        {"\"steps\": 40, \"optimizer\": {\"name\": \"addax\", \"probe_batch\": 7}", 40},
        {"\"forwards\": 60, \"optimizer\": \"addax\"", 20},
        {"\"work\": 61, \"task\": \"synth-lengths\", \"optimizer\": {\"name\": \"addax\", \"length\": 60}", 12},
        {"\"seconds\": 5, \"task\": \"synth-lengths\", \"optimizer\": {\"name\": \"addax\", \"length\": 60}", 40},
        {"\"steps\": 4294967295, \"optimizer\": \"mezo-svrg\"", 2}};
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

/* Choices from numbers that are none are no accuracy. */
START_TEST(a_metric_of_no_numbers_is_none)
{
    for (int bad = 0; bad < 2; bad++) {
        opened o;
        open_cell(&o, "opt", 8, "\"steps\": 2, \"optimizer\": \"mezo\", \"objective\": \"accuracy\"");
        zo_store *weights = zo_model_store(o.setup.model);
        int head = zo_layout_find(weights->layout, "class.out.weight");
        weights->data[weights->layout->param[head].offset] = bad ? NAN : 1.0f;
        zo_step_report report;
        zo_err err = {0};
        double seconds;
        ck_assert_int_eq(zo_setup_step(&o.setup, 0, &report, &seconds, &err), bad ? ZO_EDIVERGED : ZO_OK);
        close_cell(&o);
    }
}
END_TEST

/* Where a training batch holds the right option alone there is nothing to choose. */
START_TEST(a_metric_wants_choices)
{
    static const char row[] = "{\"premise\": \"a b.\", \"choice1\": \"b\", \"choice2\": \"c\", \"question\": \"cause\", \"label\": 0}\n";
    char rows[8 * sizeof row] = "", text[600];
    for (int i = 0; i < 8; i++) {
        snprintf(rows + strlen(rows), sizeof rows - strlen(rows), "%s", row);
    }
    put("superglue/COPA", "train.jsonl", rows);
    put("superglue/COPA", "val.jsonl", rows);
    for (int metric = 0; metric < 2; metric++) {
        opened o;
        zo_err err = {0};
        zo_setup_dirs dirs = {.data = folder};
        snprintf(text, sizeof text, "{\"model\": \"%s/opt\", \"init\": \"random\", \"task\": \"copa\", \"form\": \"prompt\", \"train\": 4, \"dev\": 0, \"test\": 0, \"steps\": 2, "
                 "\"threads\": 1, \"optimizer\": \"mezo\", \"objective\": \"%s\"}", folder, metric ? "accuracy" : "loss");
        ck_assert_msg(zo_grid_parse(&o.grid, text, "c.json", &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(zo_backend_open("cpu", 1, &o.be, &err) == ZO_OK, "%s", err.text);
        zo_status status = zo_setup_open(&o.setup, &o.grid.cell[0], &dirs, o.be, &err);
        ck_assert_msg(status == (metric ? ZO_EUNSUPPORTED : ZO_OK), "%s", err.text);
        ck_assert(!metric || strstr(err.text, "hold the right option alone") != NULL);
        close_cell(&o);
    }
}
END_TEST

static void one_step(opened *o, int64_t step, zo_step_report *report)
{
    double seconds;
    zo_err err = {0};
    ck_assert_msg(zo_setup_step(&o->setup, step, report, &seconds, &err) == ZO_OK, "%s", err.text);
}

/* Parts are wall times: they never come to more than the step, whatever its threads wait for, and what no part has is little. The batches
 * are small, so many operations run on one thread, and there are more threads than some machines have cores. */
START_TEST(parts_sum_to_the_step)
{
    static const char *const of[] = {"\"optimizer\": \"mezo\"", "\"optimizer\": \"mezo\", \"realisation\": \"inplace\"", "\"optimizer\": \"mezo-svrg\"",
                                     "\"optimizer\": \"tezo\", \"realisation\": \"sidepath\"", "\"optimizer\": \"tezo-adam\"", "\"optimizer\": \"fo-adamw\"",
                                     "\"optimizer\": {\"name\": \"fo-sgd\", \"checkpoint\": true}"};
    threads = 4;
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        for (int prompt = 0; prompt < 2; prompt++) {
            char more[200];
            snprintf(more, sizeof more, "\"steps\": 30, \"form\": \"%s\", %s", prompt ? "prompt" : "head", of[k]);
            opened o;
            open_cell(&o, "opt", 8, more);
            double wall = 0, parts = 0;
            for (int64_t step = 0; step < 30; step++) {
                zo_step_report report;
                double seconds, sum = 0;
                zo_err err = {0};
                ck_assert_msg(zo_setup_step(&o.setup, step, &report, &seconds, &err) == ZO_OK, "%s", err.text);
                for (int p = 0; p < ZO_PARTS; p++) {
                    sum += o.setup.part[p];
                }
                ck_assert_msg(sum <= seconds + 2e-6, "%s: parts of %.9f s in %.9f s", more, sum, seconds); /* each is rounded to nanoseconds */
                wall += seconds;
                parts += sum;
            }
            ck_assert_msg(parts > 0.7 * wall, "%s: parts of %.6f s in %.6f s", more, parts, wall);
            close_cell(&o);
        }
    }
    threads = 1;
}
END_TEST

/* 1, 2 and 1 for a forward, a backward and a second forward; a training set of 8 rows in batches of 4 is 2 mean batches after each epoch,
 * whatever the batches' lengths are. The batch is of 200 tokens a row at most, so lengths differ. An evaluation is no work. */
/* Points that share a pass: two, but where a method wants all of a step; each alone where the weights are moved. */
START_TEST(points_that_share_a_pass)
{
    static const struct { const char *more; double passes; } of[] = {
        {"\"realisation\": \"streamed\", \"optimizer\": {\"name\": \"fzoo\", \"queries\": 5}", 3},
        {"\"realisation\": \"streamed\", \"optimizer\": {\"name\": \"fzoo\", \"queries\": 5, \"batched\": true}", 1},
        {"\"realisation\": \"inplace\", \"optimizer\": {\"name\": \"fzoo\", \"queries\": 5, \"batched\": true}", 6}};
    double loss[3];
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        opened o;
        char more[300];
        zo_step_report report;
        zo_err err = {0};
        double seconds;
        snprintf(more, sizeof more, "\"steps\": 1, %s", of[k].more);
        open_cell(&o, "opt", 4, more);
        ck_assert_msg(zo_setup_step(&o.setup, 0, &report, &seconds, &err) == ZO_OK, "%s", err.text);
        ck_assert_msg(o.setup.counts.forward.passes == of[k].passes, "%s: %g passes", of[k].more, o.setup.counts.forward.passes);
        loss[k] = report.loss;
        close_cell(&o);
    }
    ck_assert(fabs(loss[0] - loss[1]) < 1e-5 && fabs(loss[0] - loss[2]) < 1e-5);
}
END_TEST

/* Rates of a method's own follow the schedule too. */
START_TEST(rates_follow_the_schedule)
{
    static const struct { const char *more; double lr[4]; } of[] = {
        {"\"schedule\": \"linear\", \"lr\": 4e-4, \"optimizer\": \"mezo\"", {4e-4, 3e-4, 2e-4, 1e-4}},
        {"\"warmup\": 0.5, \"lr\": 4e-4, \"optimizer\": \"fo-adamw\"", {0, 2e-4, 4e-4, 4e-4}},
        {"\"schedule\": \"linear\", \"warmup\": 0.25, \"lr\": 3e-4, \"optimizer\": {\"name\": \"mezo-svrg\", \"eta2\": 9e-5}", {0, 9e-5, 2e-4, 3e-5}},
        {"\"schedule\": \"linear\", \"lr\": 4e-4, \"optimizer\": {\"name\": \"zo-svrg\", \"eta2\": 8e-5}", {4e-4, 6e-5, 2e-4, 2e-5}}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        opened o;
        char more[300];
        snprintf(more, sizeof more, "\"steps\": 4, %s", of[k].more);
        open_cell(&o, "opt", 8, more);
        for (int t = 0; t < 4; t++) {
            zo_step_report report;
            zo_err err = {0};
            double seconds;
            ck_assert_msg(zo_setup_step(&o.setup, t, &report, &seconds, &err) == ZO_OK, "%s", err.text);
            ck_assert_msg(fabs(report.lr - of[k].lr[t]) < 1e-15, "%s, step %d: lr %g, not %g", of[k].more, t, report.lr, of[k].lr[t]);
        }
        close_cell(&o);
    }
}
END_TEST

START_TEST(work_is_counted_in_plain_forwards)
{
    static const struct { const char *more; int64_t steps; double work, queries; } of[] = {
        {"\"optimizer\": \"mezo\"", 3, 6, 3 * 2},
        {"\"optimizer\": \"mezo\", \"realisation\": \"inplace\"", 3, 6, 3 * 2},
        {"\"optimizer\": {\"name\": \"mezo\", \"queries\": 3}", 2, 12, 2 * 6},
        {"\"optimizer\": \"fo-sgd\"", 3, 9, 3 * 4},
        {"\"optimizer\": {\"name\": \"fo-sgd\", \"checkpoint\": true}", 3, 12, 3 * 4},
        {"\"optimizer\": \"fo-adamw\"", 2, 6, -1},
        {"\"optimizer\": \"tezo\", \"realisation\": \"sidepath\"", 2, 4, -1},
        /* a full step: 2 N / batch; a mini-batch step: 4, of which the code counts 2 n */
        {"\"optimizer\": {\"name\": \"mezo-svrg\", \"q\": 2}", 4, 2 * 4 + 2 * 4, 2 * 16 + 2 * 8},
        {"\"optimizer\": {\"name\": \"mezo-svrg\", \"q\": 2, \"mode\": \"replay\"}", 4, 2 * 4 + 2 * 4, 2 * 16 + 2 * 8}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char more[200];
        snprintf(more, sizeof more, "\"steps\": 4, %s", of[k].more);
        opened o;
        open_cell(&o, "opt", 8, more);
        ck_assert_double_eq(zo_setup_work(&o.setup), 0);
        ck_assert_double_eq(zo_setup_flops(&o.setup), 0);
        double queries = 0;
        bool svrg = strstr(of[k].more, "svrg") != NULL;
        for (int64_t step = 0; step < of[k].steps; step++) {
            zo_step_report report;
            one_step(&o, step, &report);
            queries += report.paper_queries;
            ck_assert(svrg || fabs(zo_setup_work(&o.setup) - of[k].work * (double)(step + 1) / (double)of[k].steps) < 1e-12 * of[k].work);
        }
        /* mini-batch steps pass their own batches, not the mean one */
        double tolerance = svrg ? 0.2 : 1e-12;
        ck_assert_double_eq_tol(zo_setup_work(&o.setup), of[k].work, tolerance * of[k].work);
        ck_assert(of[k].queries < 0 ? isnan(queries) : queries == of[k].queries);
        ck_assert((o.setup.cell->estimator->queries_are != NULL) == (of[k].queries >= 0));
        close_cell(&o);
    }
}
END_TEST

/* The FLOPs of steps, against the sums of each of their passes written out for a model of one layer. */
START_TEST(flops_are_those_of_the_passes)
{
    opened o;
    open_cell(&o, "opt", 6, "\"steps\": 3, \"optimizer\": {\"name\": \"mezo-svrg\", \"q\": 1}");
    double want = 0, plain = 0;
    for (int64_t step = 0; step < 3; step++) {
        int32_t index[6];
        zo_order order = {0};
        int32_t n = zo_batch_order((uint64_t)o.setup.cell->seed, 6, 4, step, &order, index);
        zo_free(order.row);
        ck_assert_int_eq(n, step % 2 == 0 ? 4 : 2);
        for (int full = 0; full < 2; full++) {
            for (int32_t i = 0; i < 6 && full; i++) {
                index[i] = i;
            }
            zo_batch *b = zo_dataset_batch(o.setup.dataset, ZO_TRAIN, index, full ? 6 : n);
            double flops = 0;
            enum { H = 16, F = 32 };
            for (int32_t s = 0; s < b->seqs; s++) {
                double t = b->start[s + 1] - b->start[s]; /* one row of each: queries, output and MLP of the last layer, and the 2 classes */
                flops += 2 * (t * 2 * H * H + 2 * H * H + 2 * H * F + 2 * H) + 4 * H * t;
            }
            *(full ? &want : &plain) += full ? 2 * flops : flops;
            zo_batch_free(b);
        }
        zo_step_report report;
        one_step(&o, step, &report);
    }
    ck_assert_double_eq_tol(zo_setup_flops(&o.setup), want, 1e-9 * want);
    ck_assert_double_eq_tol(zo_setup_work(&o.setup), want / (plain / 3), 1e-9 * want);
    close_cell(&o);
}
END_TEST

/* ---- pools of rows by their length ---------------------------------------------------------------------------------------------- */

enum { LENGTHS = 30, MOST_SEEN = 40 };

/* What the objective was asked in the last step: the rows of each request's batch. */
static struct {
    zo_setup *setup;
    int asked;
    struct { int32_t row[LENGTHS]; int n; bool gradient; } of[4];
    zo_status (*losses)(zo_objective *, zo_which, const zo_point *, int, double *, zo_err *);
    zo_status (*descend)(zo_objective *, zo_which, zo_rule_kind, const zo_rule_args *, const zo_operands *, double *, zo_err *);
} seen;

static void see(bool gradient)
{
    ck_assert_int_lt(seen.asked, 4);
    seen.of[seen.asked].n = seen.setup->batch->examples;
    seen.of[seen.asked].gradient = gradient;
    memcpy(seen.of[seen.asked++].row, seen.setup->index, (size_t)seen.setup->batch->examples * sizeof(int32_t));
}

static zo_status seen_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    zo_status status = seen.losses(o, which, point, n, loss, err);
    see(false);
    return status;
}

static zo_status seen_descend(zo_objective *o, zo_which which, zo_rule_kind rule, const zo_rule_args *args, const zo_operands *x, double *loss, zo_err *err)
{
    zo_status status = seen.descend(o, which, rule, args, x, loss, err);
    see(true);
    return status;
}

static void watch(opened *o)
{
    zo_objective *verbs = zo_engine_objective(o->setup.engine);
    seen.setup = &o->setup;
    seen.losses = verbs->losses;
    seen.descend = verbs->descend;
    verbs->losses = seen_losses;
    verbs->descend = seen_descend;
}

/* Tokens of each training row, of a batch that is it alone; and a forward's FLOPs over it (see flops_are_those_of_the_passes). */
static void lengths_of(const opened *o, int64_t tokens[LENGTHS], double flops[LENGTHS])
{
    enum { H = 16, F = 32 };
    for (int32_t i = 0; i < LENGTHS; i++) {
        zo_batch *b = zo_dataset_batch(o->setup.dataset, ZO_TRAIN, &i, 1);
        double t = tokens[i] = b->tokens;
        flops[i] = 2 * (t * 2 * H * H + 2 * H * H + 2 * H * F + 2 * H) + 4 * H * t;
        zo_batch_free(b);
    }
}

/* Probes have the rows of more tokens than `length`, gradients the others: each of them once in an epoch of its own, in batches of its own size. A
 * length that no row exceeds is none, and both are then drawn from all rows, each in an order of its own. FLOPs are 2 forwards of the one batch and
 * 3 of the other, and work is counted in their mean. */
START_TEST(rows_are_drawn_by_their_length)
{
    static const struct { const char *options; bool assigned; int probe, batch; } of[] = {
        {"\"length\": %lld, \"probe_batch\": 3", true, 3, 4},  {"\"length\": %lld", true, 4, 4},
        {"\"length\": %lld, \"probe_batch\": 1000", true, LENGTHS, 4}, {"\"length\": 100000", false, 4, 4}, {"\"probe_batch\": 7", false, 7, 4}};
    for (size_t k = 0; k < 2 * sizeof of / sizeof *of; k++) {
        bool streamed = k % 2 == 1;
        size_t c = k / 2;
        char options[200], more[400];
        int64_t tokens[LENGTHS], limit = 0;
        double flops[LENGTHS], want = 0, mean = 0;
        opened o;
        for (int again = 0; again < 2; again++) { /* first to see the lengths */
            snprintf(options, sizeof options, of[c].options, (long long)limit);
            snprintf(more, sizeof more, "\"task\": \"synth-lengths\", \"steps\": %d, \"realisation\": \"%s\", \"optimizer\": {\"name\": \"addax\", %s}", MOST_SEEN,
                     streamed ? "streamed" : "inplace", again ? options : "\"alpha\": 0.1");
            open_cell(&o, "opt", LENGTHS, more);
            lengths_of(&o, tokens, flops);
            int64_t least = tokens[0], most = tokens[0];
            for (int i = 0; i < LENGTHS; i++) {
                least = tokens[i] < least ? tokens[i] : least;
                most = tokens[i] > most ? tokens[i] : most;
            }
            ck_assert_int_lt(least + 4, most);
            limit = (2 * least + most) / 3;
            if (!again) {
                close_cell(&o);
            }
        }
        int rows[2] = {0}, times[2][LENGTHS] = {{0}}, drawn[2] = {0}, apart = 0;
        for (int i = 0; i < LENGTHS; i++) {
            mean += flops[i] / LENGTHS;
            rows[0] += !of[c].assigned || tokens[i] > limit;
            rows[1] += !of[c].assigned || tokens[i] <= limit;
        }
        int size[2] = {of[c].probe < rows[0] ? of[c].probe : rows[0], of[c].batch < rows[1] ? of[c].batch : rows[1]};
        watch(&o);
        for (int step = 0; step < MOST_SEEN; step++) {
            zo_step_report report;
            seen.asked = 0;
            one_step(&o, step, &report);
            ck_assert(seen.asked == 2 && !seen.of[0].gradient && seen.of[1].gradient);
            for (int p = 0; p < 2; p++) {
                int left = rows[p] - drawn[p] % rows[p];
                ck_assert_int_eq(seen.of[p].n, left < size[p] ? left : size[p]);
                for (int i = 0; i < seen.of[p].n; i++) {
                    int32_t row = seen.of[p].row[i];
                    ck_assert_msg(!of[c].assigned || (tokens[row] > limit) == (p == 0), "%s: a row of %d tokens, and the limit is %d", options, (int)tokens[row], (int)limit);
                    ck_assert_int_eq(times[p][row]++, drawn[p]++ / rows[p]);
                    want += (p == 0 ? 2 : 3) * flops[row];
                }
            }
            apart += seen.of[0].n != seen.of[1].n || memcmp(seen.of[0].row, seen.of[1].row, (size_t)seen.of[0].n * sizeof(int32_t)) != 0;
            ck_assert_double_eq_tol(zo_setup_flops(&o.setup), want, 1e-9 * want);
            ck_assert_double_eq_tol(zo_setup_work(&o.setup), want / (4 * mean), 1e-8 * (step + 1));
        }
        ck_assert_int_gt(apart, MOST_SEEN / 2);
        const char *note = zo_setup_note(&o.setup);
        ck_assert_msg(note == NULL ? strstr(options, "100000") == NULL : strstr(note, "no training row has more than 100000 tokens, so the batches that \"length\" is about are of all rows") != NULL,
                      "%s: %s", options, note);
        ck_assert_uint_eq(o.setup.counts.forwards, 3 * MOST_SEEN);
        ck_assert_uint_eq(o.setup.counts.more_batches, 0);
        ck_assert(o.setup.counts.gradient.passes == MOST_SEEN && o.setup.counts.forward.points == 2 * MOST_SEEN);
        close_cell(&o);
    }
}
END_TEST

/* What is kept for a gradient goes by the rows that have one: long rows are probed in the room of a forward pass. */
START_TEST(room_of_gradients_goes_by_short_rows)
{
    static const char *const options[] = {"", ", \"length\": 40", ", \"length\": 40, \"checkpoint\": true"};
    uint64_t bytes[3];
    for (int k = 0; k < 3; k++) {
        char more[300];
        opened o;
        snprintf(more, sizeof more, "\"task\": \"synth-lengths\", \"steps\": 20, \"optimizer\": {\"name\": \"addax\"%s}", options[k]);
        open_cell(&o, "opt", 64, more);
        bytes[k] = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_ACTIVATIONS];
        close_cell(&o);
    }
    ck_assert_msg(bytes[1] < bytes[0] * 3 / 4 && bytes[2] <= bytes[1], "activations take %llu on all rows, %llu on short ones, %llu with checkpointing", (unsigned long long)bytes[0],
                  (unsigned long long)bytes[1], (unsigned long long)bytes[2]);
}
END_TEST

/* A length that leaves no short row is one sentence. */
START_TEST(a_pool_without_rows_is_said)
{
    opened o;
    zo_err err = {0};
    char text[500];
    snprintf(text, sizeof text, "{\"model\": \"%s/opt\", \"init\": \"random\", \"task\": \"synth-lengths\", \"train\": 20, \"dev\": 0, \"test\": 0, \"steps\": 2, \"context\": 200, "
             "\"threads\": 1, \"optimizer\": {\"name\": \"addax\", \"length\": 1}}", folder);
    ck_assert_msg(zo_grid_parse(&o.grid, text, "c.json", &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(zo_backend_open("cpu", 1, &o.be, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(zo_setup_open(&o.setup, &o.grid.cell[0], &(zo_setup_dirs){0}, o.be, &err), ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "addax steps along training rows of at most 1 tokens, and of the 20 rows of synth-lengths none is so: they have ") != NULL &&
                  strstr(err.text, "give another \"length\"") != NULL, "%s", err.text);
    close_cell(&o);
}
END_TEST

/* SST-2 files whose validation rows have `ones` labels 1 of 20, and a head that says 1 whatever it reads. */
START_TEST(constant_choices_are_seen)
{
    static const struct { int ones; bool says_one, constant; } of[] = {{10, true, true},  {18, true, true},  {19, true, false}, {20, true, false},
                                                                       {0, true, true},   {19, false, true}, {1, false, false}, {0, false, false}};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char text[2000] = "sentence\tlabel\n";
        for (int i = 0; i < 20; i++) {
            snprintf(text + strlen(text), sizeof text - strlen(text), "row %d of all\t%d\n", i, i < of[k].ones);
        }
        put("glue/SST-2", "train.tsv", "sentence\tlabel\na\t0\nb\t1\nc\t1\nd\t0\n");
        put("glue/SST-2", "dev.tsv", text);
        opened o;
        open_cell(&o, "opt", 4, "\"task\": \"sst2\", \"split\": \"first\", \"test\": 20, \"optimizer\": \"zero-shot\"");
        zo_store *weights = zo_model_store(o.setup.model);
        const zo_layout *layout = weights->layout;
        zo_evaluation e;
        /* The final norm's bias, and so its output, is the same for all. */
        int bias = zo_layout_find(layout, "final.norm.bias"), head = zo_layout_find(layout, "class.out.weight");
        float hidden[16], row[2 * 16] = {0};
        for (int i = 0; i < 16; i++) {
            hidden[i] = 1000.0f;
            row[16 + i] = of[k].says_one ? 1000.0f : -1000.0f;
        }
        zo_store_set(o.be, weights, bias, hidden);
        zo_store_set(o.be, weights, head, row);
        uint8_t correct[3] = {0xff, 0xff, 0xff}; /* what was there before is no outcome */
        zo_setup_evaluate(&o.setup, ZO_TEST, &e, correct, NULL);
        ck_assert_int_eq(e.examples, 20);
        for (int i = 0; i < 24; i++) {
            ck_assert_int_eq(correct[i / 8] >> i % 8 & 1, i < 20 && (i < of[k].ones) == of[k].says_one);
        }
        ck_assert_double_eq_tol(e.metric[ZO_ACCURACY], (of[k].says_one ? of[k].ones : 20 - of[k].ones) / 20.0, 1e-12);
        ck_assert_msg(e.constant == of[k].constant, "case %zu", k);
        if (k == 0) { /* choices that differ */
            memset(hidden, 0, sizeof hidden);
            for (int i = 0; i < 32; i++) {
                row[i] = (float)((i * 7) % 11) - 5.0f;
            }
            zo_store_set(o.be, weights, bias, hidden);
            zo_store_set(o.be, weights, head, row);
            zo_setup_evaluate(&o.setup, ZO_TEST, &e, NULL, NULL);
            ck_assert(!e.constant);
        }
        close_cell(&o);
    }
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
    tcase_add_checked_fixture(t, put_models, NULL);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, prompts_of_opt_begin_with_s);
    tcase_add_test(t, parts_sum_to_the_step);
    tcase_add_test(t, points_that_share_a_pass);
    tcase_add_test(t, rates_follow_the_schedule);
    tcase_add_test(t, work_is_counted_in_plain_forwards);
    tcase_add_test(t, flops_are_those_of_the_passes);
    tcase_add_test(t, constant_choices_are_seen);
    tcase_add_loop_test(t, every_batch_has_room, 0, 14);
    tcase_add_test(t, rows_are_drawn_by_their_length);
    tcase_add_test(t, room_of_gradients_goes_by_short_rows);
    tcase_add_test(t, a_pool_without_rows_is_said);
    tcase_add_test(t, a_metric_wants_choices);
    tcase_add_test(t, a_metric_of_no_numbers_is_none);
    Suite *s = suite_create("setup");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
