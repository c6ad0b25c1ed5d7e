/* test_linear_probe.c: the linear probe through a cell: the model's own backward pass says that the head which is written solves the regression, what is
 * counted, what is predicted, what is refused, and what the row says. */
#include <cjson/cJSON.h>
#include <math.h>

#include "bench/cell/predict.h"
#include "bench/matrix/grid.h"
#include "core/mem.h"
#include "optimizers/head_fit.h"
#include "optimizers/logistic.h"
#include "tests/shell.h"
#include "tests/suite.h"

enum { ROWS = 40, BATCH = 16, MOST = 4096 };

static zo_err err;

typedef struct opened { zo_grid grid; zo_backend *be; zo_setup setup; zo_step_report report; double seconds; } opened;

static zo_status try_cell(opened *o, const char *more, int threads)
{
    char text[900];
    snprintf(text, sizeof text, "{\"init\": \"random\", \"task\": \"synth-sentiment\", \"context\": 48, \"batch\": %d, \"train\": %d, \"dev\": 8, \"test\": 0, "
             "\"threads\": %d, %s}", BATCH, ROWS, threads, more);
    ck_assert_msg(zo_grid_parse(&o->grid, text, "test", &err) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(o->grid.n, 1);
    ck_assert_msg(zo_backend_open("cpu", threads, &o->be, &err) == ZO_OK, "%s", err.text);
    return zo_setup_open(&o->setup, &o->grid.cell[0], &(zo_setup_dirs){0}, o->be, &err);
}

static void close_cell(opened *o)
{
    zo_setup_close(&o->setup);
    o->be->close(o->be);
    zo_grid_free(&o->grid);
}

/* Opened and fitted; bytes (not NULL): what is predicted and what it took. */
static void fit_cell(opened *o, const char *more, int threads, double bytes[2])
{
    ck_assert_msg(try_cell(o, more, threads) == ZO_OK, "%s", err.text);
    uint64_t predicted[ZO_TAGS];
    zo_predict_peak(&o->setup, predicted);
    zo_mem_reset_peaks();
    zo_mem_phase(ZO_PHASE_TRAIN);
    ck_assert_msg(zo_setup_fit(&o->setup, &o->report, &o->seconds, &err) == ZO_OK, "%s", err.text);
    zo_peak peak = zo_mem_peak(o->be->space, ZO_PHASE_TRAIN);
    zo_mem_phase(ZO_PHASE_LOAD);
    for (int t = 0; t < ZO_TAGS && bytes != NULL; t++) {
        bytes[0] += (double)predicted[t];
    }
    if (bytes != NULL) {
        bytes[1] = (double)peak.total_bytes;
    }
}

static zo_batch *all_rows(const opened *o)
{
    int32_t index[ROWS];
    for (int i = 0; i < ROWS; i++) {
        index[i] = i;
    }
    return zo_dataset_batch(o->setup.dataset, ZO_TRAIN, index, ROWS);
}

static const char CLASSES[] = "\"model\": \"shape:roberta-tiny\", \"form\": \"head\"", WORDS[] = "\"model\": \"shape:roberta-tiny\", \"form\": \"prompt\"",
                  OPTIONS[] = "\"model\": \"shape:llama-tiny\", \"form\": \"prompt\"";

static const char *cell(const char *model, const char *options)
{
    static char text[500];
    snprintf(text, sizeof text, "%s, \"optimizer\": {\"name\": \"linear-probe\"%s%s}", model, options[0] != '\0' ? ", " : "", options);
    return text;
}

/* The regression's condition at the head that is stored, C n (d mean loss / d W) + W = 0 and without the second term for b, by the backward pass of the
 * model; and the loss is the model's. What is no part of the last product has kept every bit. */
START_TEST(backward_pass_says_it_is_solved)
{
    const double strength = 0.3;
    opened o, other;
    zo_batch *batch;
    const char *model = _i == 0 ? CLASSES : WORDS;
    const char *weight = _i == 0 ? "class.out.weight" : "lm.decoder.weight", *bias = _i == 0 ? "class.out.bias" : "lm.decoder.bias";
    fit_cell(&o, cell(model, "\"strength\": 0.3, \"two_classes\": \"whole\", \"tolerance\": 1e-8"), 1, NULL);
    ck_assert_msg(try_cell(&other, cell(model, ""), 1) == ZO_OK, "%s", err.text);
    zo_model *m = o.setup.model;
    const zo_layout *layout = zo_model_layout(m);
    zo_store *stored = zo_model_store(m), *begun = zo_model_store(other.setup.model), *grad = zo_store_new(o.be, layout, ZO_TAG_GRADS);
    batch = all_rows(&o);
    zo_model_reserve(m, batch->tokens, batch->rows, batch->scores, 1, ZO_BACKWARD, NULL);
    double loss, most = 0.0, norm = 0.0;
    zo_model_grad(m, batch, 1.0, false, grad, &loss);
    ck_assert_msg(fabs(loss - o.report.loss) < 1e-5, "the loss is %.9g, and the report says %.9g", loss, o.report.loss);
    for (int t = 0; t < layout->n; t++) {
        const zo_param *p = &layout->param[t];
        bool is_weight = strcmp(p->name, weight) == 0, is_head = is_weight || strcmp(p->name, bias) == 0;
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++) {
            bool same = memcmp(stored->data + i, begun->data + i, sizeof(float)) == 0;
            ck_assert_msg(is_head || same, "%s changes", p->name);
            if (is_head && !(same && _i == 1)) { /* of the decoder's rows two are words */
                most = fmax(most, fabs(strength * ROWS * (double)grad->data[i] + (is_weight ? (double)stored->data[i] : 0.0)));
                norm = fmax(norm, fabs((double)stored->data[i]));
            }
        }
    }
    printf("measured: %s: the condition is %.0e off where the head is %.2g, within 1e-5\n", weight, most, norm);
    ck_assert(most < 1e-5 && norm > 1e-2);
    zo_store_free(o.be, grad);
    zo_batch_free(batch);
    close_cell(&other);
    close_cell(&o);
}
END_TEST

/* Of options: the same, by the features after the head was set, which is apart from the embeddings. A token is a class. */
START_TEST(options_are_solved)
{
    opened o;
    zo_features f;
    char model[200];
    double g[MOST], w[MOST], most = 0.0;
    snprintf(model, sizeof model, "%s, \"decoder\": \"untied\"", OPTIONS);
    fit_cell(&o, cell(model, "\"strength\": 0.3, \"two_classes\": \"whole\", \"tolerance\": 1e-8"), 1, NULL);
    zo_objective *objective = zo_engine_objective(o.setup.engine);
    ck_assert_msg(objective->features(objective, &f, &err) == ZO_OK, "%s", err.text);
    ck_assert(f.n == ROWS && f.classes == 2 && !f.bias && f.output[0] < f.output[1]);
    const zo_layout *layout = zo_model_layout(o.setup.model);
    const zo_param *p = &layout->param[zo_layout_find(layout, "lm.decoder.weight")];
    zo_batch *batch = all_rows(&o);
    for (int k = 0; k < 2; k++) {
        for (int j = 0; j < f.width; j++) {
            w[k * f.width + j] = (double)zo_model_store(o.setup.model)->data[p->offset + f.output[k] * p->cols + j];
        }
    }
    for (int e = 0; e < ROWS; e++) { /* the right option's one token */
        int32_t option = batch->example_start[e] + batch->label[e];
        ck_assert_int_eq(f.output[f.label[e]], batch->target[batch->option_start[option]]);
    }
    zo_logistic q = {.n = f.n, .width = f.width, .classes = 2, .x = f.x, .label = f.label, .strength = 0.3};
    double loss = zo_logistic_loss(&q, w, g);
    for (int j = 0; j < 2 * f.width; j++) {
        most = fmax(most, fabs(g[j]));
    }
    printf("measured: options: the condition is %.0e off, within 1e-5\n", most);
    ck_assert(most < 1e-5 && fabs(loss - o.report.loss) < 1e-6);
    zo_batch_free(batch);
    zo_free(f.x);
    close_cell(&o);
}
END_TEST

/* One pass over the rows, in batches; more threads give the same bits; half of the coefficients is half of them. */
START_TEST(counts_bits_and_halves)
{
    static const char *const models[] = {CLASSES, WORDS, OPTIONS};
    opened one, four, whole;
    double bytes[2] = {0.0, 0.0};
    fit_cell(&one, cell(models[_i], ""), 1, bytes);
    fit_cell(&four, cell(models[_i], ""), 4, NULL);
    fit_cell(&whole, cell(models[_i], "\"two_classes\": \"whole\""), 1, NULL);
    const zo_setup_counts *c = &one.setup.counts;
    ck_assert_uint_eq(c->forwards, (ROWS + BATCH - 1) / BATCH);
    ck_assert_uint_eq(c->examples, ROWS);
    ck_assert_double_eq_tol(zo_setup_work(&one.setup), (ROWS + BATCH - 1) / BATCH, 1e-9);
    ck_assert_msg(bytes[0] > 0.99 * bytes[1] && bytes[0] < 1.01 * bytes[1], "predicted %.0f, measured %.0f", bytes[0], bytes[1]);
    zo_store *a = zo_model_store(one.setup.model), *b = zo_model_store(four.setup.model), *d = zo_model_store(whole.setup.model);
    ck_assert_int_eq(memcmp(a->data, b->data, (size_t)a->size * sizeof *a->data), 0);
    int64_t halved = 0, other = 0;
    for (int64_t i = 0; i < a->size; i++) {
        halved += a->data[i] != d->data[i] && a->data[i] == d->data[i] / 2.0f;
        other += a->data[i] != d->data[i] && a->data[i] != d->data[i] / 2.0f;
    }
    ck_assert_int_eq(other, 0);
    int64_t written = 2 * (zo_model_feature_width(one.setup.model) + zo_model_head_bias(one.setup.model));
    ck_assert_msg(halved > written - 4 && halved <= written, "%lld numbers are halves, and %lld are written", (long long)halved, (long long)written);
    close_cell(&one);
    close_cell(&four);
    close_cell(&whole);
}
END_TEST

/* MeZO from a probe: its first step is a probe and then MeZO's own, in each realisation; the others are MeZO's. */
START_TEST(mezo_begins_with_a_probe)
{
    static const char *const realisations[] = {"inplace", "streamed"}, *const models[] = {CLASSES, WORDS, OPTIONS};
    for (int k = 0; k < 2; k++) {
        opened probed, plain;
        char more[400];
        double loss;
        snprintf(more, sizeof more, "%s, \"realisation\": \"%s\", \"steps\": 3, \"lr\": 1e-3, \"optimizer\": {\"name\": \"mezo\", \"start\": \"probe\"}", models[_i],
                 realisations[k]);
        ck_assert_msg(try_cell(&probed, more, 1) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(zo_source_of(probed.grid.cell[0].estimator, probed.grid.cell[0].options), "released");
        snprintf(more, sizeof more, "%s, \"realisation\": \"%s\", \"steps\": 3, \"lr\": 1e-3, \"optimizer\": \"linear-probe\"", models[_i], realisations[k]);
        fit_cell(&plain, more, 1, NULL);
        zo_store *a = zo_model_store(probed.setup.model), *b = zo_model_store(plain.setup.model);
        for (int step = 0; step < 3; step++) {
            ck_assert_msg(zo_setup_step(&probed.setup, step, &probed.report, &probed.seconds, &err) == ZO_OK, "%s", err.text);
        }
        ck_assert_uint_eq(probed.setup.counts.forwards, (ROWS + BATCH - 1) / BATCH + 3 * 2);
        zo_setup_settle(&probed.setup, &probed.seconds);
        /* the same three steps of MeZO's, from the probe's weights */
        opened after;
        snprintf(more, sizeof more, "%s, \"realisation\": \"%s\", \"steps\": 3, \"lr\": 1e-3, \"optimizer\": \"mezo\"", models[_i], realisations[k]);
        ck_assert_msg(try_cell(&after, more, 1) == ZO_OK, "%s", err.text);
        zo_store *c = zo_model_store(after.setup.model);
        memcpy(c->data, b->data, (size_t)b->size * sizeof *b->data);
        for (int step = 0; step < 3; step++) {
            ck_assert_msg(zo_setup_step(&after.setup, step, &after.report, &after.seconds, &err) == ZO_OK, "%s", err.text);
            ck_assert(step < 2 || after.report.loss == probed.report.loss);
        }
        zo_setup_settle(&after.setup, &loss);
        ck_assert_int_eq(memcmp(a->data, c->data, (size_t)a->size * sizeof *a->data), 0);
        ck_assert_int_ne(memcmp(b->data, c->data, (size_t)a->size * sizeof *a->data), 0);
        close_cell(&after);
        close_cell(&plain);
        close_cell(&probed);
    }
}
END_TEST

START_TEST(held_in_16_bits)
{
    opened o;
    char model[200];
    snprintf(model, sizeof model, "%s, \"storage\": \"bf16\"", OPTIONS);
    fit_cell(&o, cell(model, ""), 1, NULL);
    ck_assert(zo_model_store(o.setup.model)->storage == ZO_STORAGE_BF16 && o.report.loss < 0.8);
    close_cell(&o);
}
END_TEST

/* Weights in a log are never written; and an engine without a head says so. */
START_TEST(refused)
{
    zo_features f;
    opened o;
    double loss;
    char model[200];
    snprintf(model, sizeof model, "%s, \"tune\": \"bias\"", WORDS);
    ck_assert_msg(try_cell(&o, cell(model, "\"strength\": 1"), 1) == ZO_OK, "%s", err.text);
    ck_assert_int_eq(zo_setup_fit(&o.setup, &o.report, &o.seconds, &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, "lm.decoder.weight") != NULL, "%s", err.text);
    zo_engine_spec spec = {.be = o.be, .weights = zo_model_store(o.setup.model), .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG,
                           .io = {.losses = (void *)close_cell, .features = (void *)close_cell, .most_points = 1}};
    zo_engine *e = zo_engine_new(&spec);
    zo_objective *objective = zo_engine_objective(e);
    ck_assert_int_eq(zo_head_fit_run(&zo_head_fit_defaults, objective, &loss, &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, "\"log\" never writes weights") != NULL, "%s", err.text);
    zo_engine_free(e);
    spec.io.features = NULL;
    e = zo_engine_new(&spec);
    objective = zo_engine_objective(e);
    ck_assert_int_eq(objective->features(objective, &f, &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, "no features") != NULL, "%s", err.text);
    zo_engine_free(e);
    close_cell(&o);
}
END_TEST

/* Through the program. COPA trains on the text of an answer. */
START_TEST(rows_say_what_was_done)
{
    static const char config[] = "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"head\", \"context\": 48, \"batch\": 16, "
                                 "\"train\": 40, \"dev\": 20, \"test\": 30, \"work\": 10, \"threads\": 1, \"seed\": 3, \"optimizer\": \"linear-probe\"}";
    static const char copa[] = "{\"model\": \"shape:llama-tiny\", \"init\": \"random\", \"task\": \"copa\", \"form\": \"prompt\", \"context\": 48, \"batch\": 2, \"train\": 2, "
                               "\"dev\": 0, \"test\": 2, \"threads\": 1, \"optimizer\": \"linear-probe\"}";
    static const char row[] = "{\"premise\": \"It rained.\", \"choice1\": \"We were wet.\", \"choice2\": \"We were dry.\", \"question\": \"effect\", \"label\": 0}\n";
    static const char lp_mezo[] = "{\"model\": \"shape:roberta-tiny\", \"init\": \"random\", \"task\": \"synth-sentiment\", \"form\": \"prompt\", \"context\": 48, \"batch\": 16, "
                                  "\"train\": 40, \"dev\": 20, \"test\": 30, \"steps\": 4, \"lr\": 1e-9, \"threads\": 1, \"optimizer\": {\"name\": \"mezo\", \"start\": \"probe\"}}";
    char rows[1000] = "";
    ck_assert_int_eq(shell("rm -rf *"), 0);
    for (int i = 0; i < 4; i++) {
        strcat(rows, row);
    }
    put("c.json", config);
    ck_assert_msg(shell("$ZO run c.json --db p.db --save saved") == 0, "%s", said);
    ck_assert_int_eq(shell("$ZO sql --db p.db \"SELECT status, steps, forwards, work, trained_parameters, selected, lr, paper_queries, full_steps FROM runs\" --format csv"), 0);
    ASSERT_HAS(said, "done,1,3,3,130,last-test,0,,1");
    ck_assert_int_eq(shell("$ZO sql --db p.db \"SELECT step, forwards, work, loss < 0.8 FROM steps UNION ALL SELECT step, split, forwards, work FROM evaluations\" --format csv"), 0);
    ASSERT_HAS(said, "1,3,3,1\n0,dev,0,0\n1,dev,3,3\n1,test,3,3\n");
    ck_assert_msg(shell("$ZO run c.json --db p.db") == 0, "%s", said);
    ASSERT_HAS(said, "done already");
    ck_assert_int_eq(shell("$ZO export 1 out --db p.db"), 2);
    ASSERT_HAS(said, "has no steps");
    ASSERT_HAS(said, "--save DIR");
    ck_assert_int_eq(shell("ls saved/*/model.safetensors"), 0);
    put("e.json", lp_mezo); /* and a run of steps that began with one is made again, by a probe and the journal */
    MUST("$ZO run e.json --db q.db --save saved2");
    MUST("$ZO export 1 out --db q.db");
    ASSERT_HAS(said, "from 8 losses");
    ASSERT_HAS(said, "and a linear probe's 3 forwards");
    MUST("cmp saved2/*/model.safetensors out/model.safetensors");
    ck_assert_int_eq(shell("mkdir -p data/superglue/COPA"), 0);
    put("data/superglue/COPA/train.jsonl", rows);
    put("data/superglue/COPA/val.jsonl", rows);
    put("d.json", copa);
    ck_assert_msg(shell("$ZO run d.json --db p.db --data data") == 0, "%s", said);
    ASSERT_HAS(said, "unsupported");
    ck_assert_int_eq(shell("$ZO sql --db p.db \"SELECT message FROM runs WHERE task = 'copa'\" --format csv"), 0);
    ASSERT_HAS(said, "a linear probe tells the answers of a classification apart");
}
END_TEST

int main(void)
{
    if (!shell_open("test_linear_probe") || setenv("ZO_CACHE", folder, 1) != 0) {
        return 1;
    }
    TCase *t = tcase_create("linear probe");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, backward_pass_says_it_is_solved, 0, 2);
    tcase_add_test(t, options_are_solved);
    tcase_add_loop_test(t, counts_bits_and_halves, 0, 3);
    tcase_add_loop_test(t, mezo_begins_with_a_probe, 0, 3);
    tcase_add_test(t, held_in_16_bits);
    tcase_add_test(t, refused);
    tcase_add_test(t, rows_say_what_was_done);
    Suite *s = suite_create("linear_probe");
    suite_add_tcase(s, t);
    int failed = suite_run(s);
    folder_remove(folder);
    return failed != 0;
}
