/* test_grid.c: configs expanded into cells: products, overrides, include, exclude, canonical form, and the words of each mistake. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/keys.h"
#include "bench/matrix/grid.h"
#include "bench/matrix/hours.h"
#include "bench/matrix/tuning.h"
#include "core/mem.h"
#include "tests/suite.h"

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static zo_grid parse(const char *text)
{
    zo_grid g;
    zo_err err = {0};
    ck_assert_msg(zo_grid_parse(&g, text, "c.json", &err) == ZO_OK, "%s", err.text);
    return g;
}

static void refuse(const char *text, const char *words)
{
    zo_grid g;
    zo_err err = {0};
    ck_assert_msg(zo_grid_parse(&g, text, "c.json", &err) == ZO_EINPUT, "accepted: %s", text);
    ASSERT_HAS(err.text, "c.json");
    ASSERT_HAS(err.text, words);
    ck_assert_int_eq(g.n, 0);
}

/* What the key's column has in the row of a cell. */
static const char *in_row(const zo_cell *c, const char *key)
{
    static char text[100];
    zo_cell_row row = zo_cell_to_row(c);
    const zo_opt *k = zo_opt_find(row.keys, key);
    size_t n;
    ck_assert_ptr_nonnull(k->column);
    const char *choice = zo_opt_choice(k, row.settings, &n);
    snprintf(text, sizeof text, "%.*s", (int)n, choice);
    return text;
}

#define ASSERT_IN_ROW(cell, key, is) ck_assert_str_eq(in_row(cell, key), is)

#define BASE "\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"steps\": 10"

START_TEST(product_of_lists)
{
    zo_grid g = parse("{\"model\": [\"a\", \"b\"], \"task\": [\"sst2\", \"rte\"], \"optimizer\": [\"mezo\", {\"name\": \"tezo\", \"rank\": [4, 8]}],"
                      "\"steps\": 10, \"seed\": [1, 2, 3]}");
    ck_assert_int_eq(g.n, 2 * 2 * 3 * 3);
    /* the seed runs fastest, then the optimizer */
    ck_assert_int_eq(g.cell[0].seed, 1);
    ck_assert_int_eq(g.cell[1].seed, 2);
    ck_assert_str_eq(g.cell[0].estimator->name, "mezo");
    ck_assert_str_eq(g.cell[3].estimator->name, "tezo");
    ASSERT_HAS(g.cell[3].options_text, "\"rank\":4");
    ASSERT_HAS(g.cell[6].options_text, "\"rank\":8");
    ck_assert_str_eq(g.cell[9].task, "rte");
    ck_assert_str_eq(g.cell[18].model, "b");
    for (int64_t i = 0; i < g.n; i++) {
        for (int64_t j = 0; j < i; j++) {
            ck_assert_str_ne(g.cell[i].hash, g.cell[j].hash);
        }
    }
    zo_grid_free(&g);
}
END_TEST

START_TEST(defaults_and_canonical_form)
{
    zo_grid g = parse("{" BASE "}");
    const zo_cell *c = &g.cell[0];
    ck_assert_int_eq(g.n, 1);
    ck_assert_double_eq(c->lr, c->estimator->lr);
    ck_assert_double_eq(c->eps, c->estimator->eps);
    ck_assert_int_eq(c->eval_every, 1);
    ck_assert_int_eq(c->train, 1000);
    ck_assert_int_eq(c->form, ZO_FORM_HEAD);
    zo_cell again;
    zo_err err = {0};
    ck_assert_msg(zo_cell_parse(&again, c->config, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(again.config, c->config);
    ck_assert_str_eq(again.hash, c->hash);
    ASSERT_IN_ROW(c, "form", "head");
    ASSERT_IN_ROW(c, "split", "drawn");
    ASSERT_IN_ROW(c, "precision", "f32");
    ASSERT_IN_ROW(c, "realisation", "inplace");
    zo_cell_free(&again);
    zo_grid_free(&g);
    /* names in rows are the names of the config */
    g = parse("{" BASE ", \"form\": \"prompt\", \"split\": \"kshot\", \"precision\": \"bf16\", \"realisation\": \"streamed\"}");
    ASSERT_IN_ROW(&g.cell[0], "form", "prompt");
    ASSERT_IN_ROW(&g.cell[0], "split", "kshot");
    ASSERT_IN_ROW(&g.cell[0], "precision", "bf16");
    ASSERT_IN_ROW(&g.cell[0], "realisation", "streamed");
    ck_assert_int_eq(g.cell[0].train_split_seed, 13);
    ck_assert_int_eq(g.cell[0].test_split_seed, 42);
    ck_assert_int_eq(g.cell[0].k, 16);
    ck_assert_str_eq(g.cell[0].kshot_folder, "k-shot");
    ck_assert_int_eq(g.cell[0].train, -1);
    ck_assert_int_eq(g.cell[0].dev, -1);
    ck_assert_int_eq(g.cell[0].test, -1);
    ck_assert_int_eq(g.cell[0].context, 0); /* a prompt has the model's */
    zo_grid_free(&g);
    g = parse("{" BASE ", \"split\": \"mezo\", \"train_split_seed\": 7}"); /* MeZO has one seed for both */
    ck_assert_int_eq(g.cell[0].test_split_seed, 7);
    ck_assert_int_eq(g.cell[0].context, 128);
    zo_grid_free(&g);
    /* the metric is the task's unless it is said, and equal ones are one cell */
    g = parse("{\"model\": \"m\", \"task\": \"mrpc\", \"optimizer\": \"mezo\", \"work\": 10, \"metric\": [\"default\", \"f1\", \"accuracy\", \"macro_f1\"]}");
    ck_assert_int_eq(g.n, 3);
    ck_assert_int_eq(g.merged, 1);
    ASSERT_IN_ROW(&g.cell[0], "metric", "f1");
    ck_assert_double_eq(g.cell[0].work, 10);
    zo_grid_free(&g);
    static const char *const precision[ZO_PRECISIONS] = {"f32", "bf16", "tf32", "f16"};
    for (int p = 0; p < ZO_PRECISIONS; p++) {
        char text[200];
        snprintf(text, sizeof text, "{" BASE ", \"precision\": \"%s\"}", precision[p]);
        g = parse(text);
        ck_assert_int_eq(g.cell[0].precision, p);
        ASSERT_IN_ROW(&g.cell[0], "precision", precision[p]);
        zo_grid_free(&g);
    }
    /* evaluations by tenths of a budget in forwards, whatever its place, and selection survive being written out */
    g = parse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"forwards\": 100, \"selection\": \"dev-loss\"}");
    ck_assert_int_eq(g.cell[0].eval_every, ZO_EVAL_TENTHS);
    ASSERT_IN_ROW(&g.cell[0], "selection", "dev-loss");
    ck_assert_msg(zo_cell_parse(&again, g.cell[0].config, &err) == ZO_OK, "%s", err.text);
    ck_assert_str_eq(again.hash, g.cell[0].hash);
    zo_cell_free(&again);
    zo_grid_free(&g);
    g = parse("{" BASE ", \"dev\": 0, \"selection\": [\"dev-metric\", \"dev-loss\", \"last\"]}"); /* nothing to select by: no twins */
    ck_assert_int_eq(g.n, 1);
    zo_grid_free(&g);
    /* what is written out with its default is the same cell */
    g = parse("{" BASE ", \"lr\": [1e-6], \"batch\": [16, 16], \"train\": 1000}");
    ck_assert_int_eq(g.n, 1);
    ck_assert_int_eq(g.merged, 1);
    zo_grid_free(&g);
}
END_TEST

START_TEST(words_for_numbers)
{
    zo_grid g = parse("{" BASE ", \"train\": \"all\", \"dev\": 0, \"train_split_seed\": \"seed\", \"context\": \"model\", \"seed\": [7, 8]}");
    ck_assert_int_eq(g.cell[0].train, -1);
    ck_assert_int_eq(g.cell[0].context, 0);
    ck_assert_int_eq(g.cell[0].train_split_seed, 7);
    ck_assert_int_eq(g.cell[0].test_split_seed, 7);
    ck_assert_int_eq(g.cell[1].train_split_seed, 8);
    zo_grid_free(&g);
    /* in labels and in exclude too */
    g = parse("{" BASE ", \"context\": [\"model\", 64], \"train\": [\"all\", 100], \"exclude\": [{\"context\": 64, \"train\": \"all\"}, {\"context\": \"model\", \"train\": 100}]}");
    ck_assert_int_eq(g.n, 2);
    char label[1200];
    ASSERT_HAS(zo_cell_label(&g.cell[0], label, sizeof label), "context model train all");
    ASSERT_HAS(zo_cell_label(&g.cell[1], label, sizeof label), "context 64 train 100");
    zo_grid_free(&g);
}
END_TEST

START_TEST(overrides_of_an_optimizer)
{
    zo_grid g = parse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 10, \"lr\": [1, 2], \"optimizer\": [\"mezo\","
                      "{\"name\": \"fo-adamw\", \"lr\": 5e-5, \"forwards\": 30}, {\"name\": \"tezo\", \"realisation\": [\"inplace\", \"sidepath\"]}]}");
    /* mezo twice, fo-adamw once (its lr wins, so the list makes twins), tezo four times */
    ck_assert_int_eq(g.n, 2 + 1 + 4);
    ck_assert_int_eq(g.merged, 1);
    const zo_cell *fo = NULL;
    for (int64_t i = 0; i < g.n; i++) {
        fo = g.cell[i].estimator->first_order ? &g.cell[i] : fo;
    }
    ck_assert_ptr_nonnull(fo);
    ck_assert_double_eq(fo->lr, 5e-5);
    ck_assert_int_eq(fo->forwards, 30);
    ck_assert_int_eq(fo->steps, 0); /* a budget of its own replaces the common one */
    ck_assert_double_eq(fo->eps, 0);
    zo_grid_free(&g);
}
END_TEST

START_TEST(keys_that_are_not_read_make_no_twins)
{
    zo_grid g = parse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": [10, 20], \"lr\": [1, 2], \"eps\": [0.1, 0.2],"
                      "\"realisation\": [\"inplace\", \"streamed\"], \"optimizer\": [\"zero-shot\", \"fo-sgd\"]}");
    ck_assert_int_eq(g.n, 1 + 4); /* zero-shot once; fo-sgd by steps and lr */
    zo_grid_free(&g);
}
END_TEST

START_TEST(include_and_exclude)
{
    zo_grid g = parse("{\"model\": [\"a\", \"b\"], \"task\": \"sst2\", \"optimizer\": [\"mezo\", \"tezo\"], \"steps\": 10, \"seed\": [1, 2],"
                      "\"realisation\": [\"inplace\", \"sidepath\"],"
                      "\"exclude\": [{\"optimizer\": \"mezo\", \"realisation\": \"sidepath\"}, {\"model\": \"b\", \"seed\": [2]}],"
                      "\"include\": [{\"model\": \"b\", \"task\": \"rte\", \"optimizer\": \"fo-sgd\", \"seed\": 5}]}");
    /* a: mezo inplace x 2, tezo x 2 x 2; b: seed 1 only: 1 + 2; and one included (both realisations are one to fo-sgd) */
    ck_assert_int_eq(g.n, 6 + 3 + 1);
    ck_assert_str_eq(g.cell[g.n - 1].task, "rte");
    ck_assert_int_eq(g.cell[g.n - 1].steps, 10);
    zo_grid_free(&g);
    g = parse("{\"steps\": 10, \"optimizer\": \"mezo\", \"include\": [{\"model\": \"a\", \"task\": \"rte\"}]}");
    ck_assert_int_eq(g.n, 1);
    zo_grid_free(&g);
    g = parse("{" BASE ", \"train\": [\"all\", 100], \"exclude\": [{\"train\": \"all\"}], \"notes\": \"x\", \"expect\": {\"a\": 1}, \"name\": \"n\"}");
    ck_assert_int_eq(g.n, 1);
    ck_assert_int_eq(g.cell[0].train, 100);
    ck_assert_str_eq(g.name, "n");
    zo_grid_free(&g);
}
END_TEST

START_TEST(labels_tell_cells_apart)
{
    zo_grid g = parse("{\"model\": \"a/m\", \"task\": \"sst2\", \"batch\": [4, 8], \"precision\": [\"f32\", \"bf16\"], \"steps\": 10, \"seed\": 3, "
                      "\"optimizer\": {\"name\": \"tezo\", \"rank\": [2, 4], \"lr\": 0.5}}");
    char text[3][300];
    ck_assert_str_eq(zo_cell_label(&g.cell[0], text[0], sizeof text[0]), "m sst2 tezo lr 0.5 batch 4 precision f32 rank 2 seed 3");
    ck_assert_str_eq(zo_cell_label(&g.cell[7], text[1], sizeof text[1]), "m sst2 tezo lr 0.5 batch 8 precision bf16 rank 4 seed 3");
    zo_grid_free(&g);
    g = parse("{" BASE "}");
    snprintf(text[1], sizeof text[1], "m sst2 mezo lr %g seed 0", g.cell[0].lr);
    ck_assert_str_eq(zo_cell_label(&g.cell[0], text[2], sizeof text[2]), text[1]);
    zo_grid_free(&g);
}
END_TEST

START_TEST(mistakes)
{
    refuse("{" BASE ", \"bacth\": 4}", "did you mean \"batch\"?");
    refuse("{" BASE ", \"rank\": 4}", "is a key of the optimizer");
    refuse("{" BASE ", \"qqqqqqq\": 4}", "zo help run");
    refuse("{" BASE ", \"batch\": \"many\"}", "\"batch\" is a string");
    refuse("{" BASE ", \"batch\": []}", "the list of \"batch\" is empty");
    refuse("{" BASE ", \"batch\": 0}", "\"batch\" is 0");
    refuse("{" BASE ", \"form\": \"heads\"}", "expected one of head|prompt");
    refuse("{" BASE ", \"select\": \"loss\"}", "the key \"select\" is now \"selection\"");
    refuse("{" BASE ", \"data_seed\": 1}", "the key \"data_seed\" is now \"train_split_seed\"");
    refuse("{" BASE ", \"k\": 16}", "\"k\" belongs to \"split\": \"kshot\"");
    refuse("{" BASE ", \"kshot_folder\": \"x\"}", "\"kshot_folder\" belongs to");
    refuse("{" BASE ", \"split\": \"kshot\", \"k\": 0}", "\"k\" is 0");
    refuse("{" BASE ", \"context\": 3}", "\"context\" is 3; expected at least 4 tokens");
    refuse("{" BASE ", \"split\": \"mezo\", \"train_split_seed\": 4294967296}", "numpy's generator");
    refuse("{" BASE ", \"test\": 0, \"selection\": \"best-test\"}", "ask for some test examples");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"form\": \"prompt\", \"optimizer\": \"mezo\", \"steps\": 1, \"demonstrations\": 4}", "mezo trains, and \"demonstrations\" are for a model as it is");
    refuse("{\"model\": \"m\", \"task\": \"trec\", \"optimizer\": \"mezo\", \"steps\": 1, \"metric\": \"f1\"}", "say \"macro_f1\"");
    refuse("{" BASE ", \"eps\": 0}", "divides by \"eps\"");
    refuse("{" BASE ", \"realisation\": \"sidepath\"}", "cannot be realised as \"sidepath\"");
    refuse("{" BASE ", \"exclude\": [{\"task\": \"rte\"}]}", "exclude 1 matches no cell");
    refuse("{" BASE ", \"exclude\": {\"task\": \"rte\"}}", "is not a list");
    refuse("{" BASE ", \"exclude\": [{\"task\": \"sst2\"}]}", "no cell is left");
    refuse("{" BASE ", \"include\": [{\"tsak\": \"rte\"}]}", "did you mean \"task\"?");
    refuse("{" BASE ", \"batch\": 4, \"batch\": 8}", "stands there twice");
    refuse("{\"task\": \"sst2\", \"optimizer\": \"mezo\", \"steps\": 1}", "\"model\" is missing");
    refuse("{\"model\": \"m\", \"task\": \"sst3\", \"optimizer\": \"mezo\", \"steps\": 1}", "did you mean \"sst2\"?");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezzo\", \"steps\": 1}", "did you mean \"mezo\"?");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"rank\": 4}, \"steps\": 1}", "an object without \"name\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 1}", "\"optimizer\" is missing");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"tezo\", \"rnak\": 4}, \"steps\": 1}", "did you mean \"rank\"?");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"tezo\", \"seed\": 4}, \"steps\": 1}", "there is no key \"seed\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\"}", "has no budget");
    refuse("{\"model\": \"m\", \"task\": \"wic\", \"optimizer\": \"mezo\", \"steps\": 1}", "has no head form");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"zero-shot\", \"dev\": 0, \"test\": 0}", "only evaluates");
    refuse("{\"model\": \"m\"", "is not JSON");
    refuse("[1, 2]", "is not an object");
    refuse("{" BASE ", \"seed\": [1.5]}", "expected a whole number");
    refuse("{" BASE ", \"seed\": 9007199254740993}", "\"seed\" is");
    /* what an optimizer's own key hides is checked too */
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"mezo\", \"lr\": 1e-3}, \"steps\": 1, \"lr\": \"x\"}", "\"lr\" is a string");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"mezo\", \"forwards\": 9}, \"steps\": -1}", "\"steps\" is -1");
}
END_TEST

START_TEST(too_many_cells)
{
    char text[20000] = "{" BASE ", \"seed\": [0";
    for (int i = 1; i < 1000; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), ",%d", i);
    }
    snprintf(text + strlen(text), sizeof text - strlen(text), "], \"train_split_seed\": [0");
    for (int i = 1; i < 200; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), ",%d", i);
    }
    snprintf(text + strlen(text), sizeof text - strlen(text), "]}");
    refuse(text, "more than 100000 cells");
}
END_TEST

/* Mutated configs: an answer, never a crash. */
START_TEST(mutations)
{
    static const char seed_text[] = "{\"model\": [\"a\"], \"task\": \"sst2\", \"optimizer\": [\"mezo\", {\"name\": \"tezo\", \"rank\": [4]}],"
                                    "\"steps\": 10, \"exclude\": [{\"seed\": 3}], \"include\": [{\"seed\": [4, 5], \"lr\": 1e-3}], \"seed\": [1, 3]}";
    uint32_t state = 12345;
    for (int round = 0; round < 4000; round++) {
        char text[sizeof seed_text];
        memcpy(text, seed_text, sizeof text);
        for (int k = 0; k < 1 + round % 3; k++) {
            state = state * 1664525u + 1013904223u;
            static const char alphabet[] = "{}[]\",:0123456789eE-+.abcnrt ";
            text[(state >> 8) % (sizeof text - 1)] = alphabet[(state >> 3) % (sizeof alphabet - 1)];
        }
        zo_grid g;
        zo_err err = {0};
        if (zo_grid_parse(&g, text, "c.json", &err) == ZO_OK) {
            ck_assert_int_gt(g.n, 0);
        } else {
            ck_assert_int_gt((int)strlen(err.text), 10);
        }
        zo_grid_free(&g);
    }
}
END_TEST

/* Every method has a schedule: up from 0, then to 0 at the last step, as transformers has it. */
START_TEST(schedules)
{
    static const struct { const char *text; double at[5]; } of[] = {
        {"\"steps\": 10", {1, 1, 1, 1, 1}},
        {"\"steps\": 10, \"schedule\": \"linear\"", {1, 0.9, 0.5, 0.1, 0}},
        {"\"steps\": 10, \"schedule\": \"linear\", \"warmup\": 0.2", {0, 0.5, 0.625, 0.125, 0}},
        {"\"steps\": 10, \"warmup\": 0.11", {0, 0.5, 1, 1, 1}}, /* 1.1 steps are two */
        {"\"steps\": 10, \"schedule\": \"cosine\"", {1, 0.97552825814757682, 0.5, 0.024471741852423179, 0}},
        {"\"steps\": 10, \"schedule\": \"cosine\", \"warmup\": 1", {0, 0.1, 0.5, 0.9, 0}}};
    static const int64_t step[5] = {0, 1, 5, 9, 10};
    char plain[17] = "";
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char text[300];
        snprintf(text, sizeof text, "{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", %s}", of[k].text);
        zo_grid g = parse(text);
        for (int t = 0; t < 5; t++) {
            ck_assert_msg(fabs(zo_cell_schedule(&g.cell[0], step[t]) - of[k].at[t]) < 1e-12, "%s, step %d: %.17g", of[k].text, (int)step[t],
                          zo_cell_schedule(&g.cell[0], step[t]));
        }
        ck_assert_int_eq(strstr(g.cell[0].config, "schedule") != NULL, strstr(of[k].text, "schedule") != NULL); /* old hashes hold */
        ck_assert(k == 0 || strcmp(g.cell[0].hash, plain) != 0);
        if (k == 0) {
            snprintf(plain, sizeof plain, "%s", g.cell[0].hash);
        }
        zo_grid_free(&g);
    }
    zo_grid own = parse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 10, \"optimizer\": [{\"name\": \"mezo\", \"schedule\": [\"constant\", \"linear\"]}, "
                        "{\"name\": \"fo-sgd\", \"schedule\": \"linear\"}, \"zero-shot\"]}");
    ck_assert_int_eq(own.n, 4);
    ck_assert(own.cell[0].schedule == ZO_CELL_CONSTANT && own.cell[1].schedule == ZO_CELL_LINEAR);
    ck_assert(own.cell[2].schedule == ZO_CELL_CONSTANT && strstr(own.cell[2].options_text, "linear") != NULL); /* it has one of its own */
    zo_grid_free(&own);
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"forwards\": 10, \"schedule\": \"linear\"}", "\"schedule\" needs a budget in \"steps\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"seconds\": 10, \"warmup\": 0.1}", "\"warmup\" needs a budget in \"steps\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"fo-sgd\", \"steps\": 10, \"objective\": \"accuracy\"}", "fo-sgd goes along gradients of the loss");
    refuse("{\"model\": \"m\", \"task\": \"trec\", \"optimizer\": \"mezo\", \"steps\": 10, \"objective\": \"f1\"}", "\"objective\": \"f1\" is that of class 1, and trec has 6");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"fo-sgd\", \"mode\": \"inplace\", \"clip\": 1}, \"steps\": 10}",
           "use \"clip\": 0 or \"mode\": \"stored\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"mezo\", \"growth\": \"linear\"}, \"forwards\": 10}",
           ": mezo: \"growth\": \"linear\" needs a budget in \"steps\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"mezo-adam\", \"history\": 9}, \"steps\": 10}", "\"history\" is of \"mode\": \"replay\"");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 4, \"schedule\": \"cosine\", \"optimizer\": {\"name\": \"fo-adamw\", \"schedule\": \"linear\"}}",
           "of its own");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"steps\": 4, \"warmup\": 1.5}", "warmup");
}
END_TEST

/* Younger keys are absent from a canonical form where they are the default, so that older hashes hold, and come back as that. */
START_TEST(younger_keys)
{
    static const zo_opt table[] = {{.key = "old", .type = ZO_OPT_INT, .offset = 0, .initial = 3, .most = 9},
                                   {.key = "young", .type = ZO_OPT_CHOICE, .offset = 8, .initial = 1, .choices = "a|b", .younger = true},
                                   {.key = "other", .type = ZO_OPT_STRING, .offset = 16, .text = "x", .younger = true},
                                   {.key = NULL}};
    static const char *const given[] = {"{}", "{\"young\": \"a\", \"other\": \"y\"}"},
                      *const kept[] = {"\"old\":3", "\"old\":3,\"young\":\"a\",\"other\":\"y\""},
                      *const whole[] = {"{\"old\":3,\"young\":\"b\",\"other\":\"x\"}", "{\"old\":3,\"young\":\"a\",\"other\":\"y\"}"};
    for (int i = 0; i < 2; i++) {
        _Alignas(8) char values[16 + ZO_OPT_STRING_BYTES];
        zo_err err = {0};
        cJSON *object = cJSON_Parse(given[i]), *written;
        ck_assert_msg(zo_opt_read(table, object, NULL, "test", values, &err) == ZO_OK, "%s", err.text);
        char printed[200], short_text[8];
        size_t n = zo_opt_print(table, values, printed, sizeof printed);
        ck_assert_str_eq(printed, kept[i]);
        ck_assert_uint_eq(n, strlen(kept[i]));
        ck_assert_uint_eq(zo_opt_print(table, values, short_text, sizeof short_text), n);
        snprintf(printed, sizeof printed, "{%s}", kept[i]);
        written = cJSON_Parse(printed);
        zo_opt_add_younger(table, written);
        char *text = cJSON_PrintUnformatted(written);
        ck_assert_str_eq(text, whole[i]);
        cJSON_free(text);
        cJSON_Delete(object);
        cJSON_Delete(written);
    }
}
END_TEST

/* Views: an object is its text, a list of them an axis, and so is a list in one; "full" is absence, and what does not train has no other. */
#define CELL "\"model\": \"m\", \"task\": \"sst2\", \"steps\": 10"
START_TEST(views_are_an_axis)
{
    zo_grid g = parse("{" CELL ", \"tune\": [\"full\", \"head\", {\"name\": \"last\", \"layers\": [1, 2]}, \"last layers 1\"], \"optimizer\": [\"mezo\", \"zero-shot\"]}");
    static const char *const wanted[] = {"full", "head", "last layers 1", "last layers 2"};
    ck_assert_int_eq(g.n, 5);
    for (int i = 0, at = 0; i < 5; i++) {
        bool trains = g.cell[i].estimator->step != NULL;
        ck_assert_str_eq(g.cell[i].tune, trains ? wanted[at] : "full");
        ck_assert_int_eq(strstr(g.cell[i].config, "tune") != NULL, trains && at > 0);
        zo_cell again;
        zo_err err = {0};
        ck_assert_msg(zo_cell_parse(&again, g.cell[i].config, &err) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(again.hash, g.cell[i].hash);
        ck_assert_str_eq(again.tune, g.cell[i].tune);
        zo_cell_free(&again);
        char label[600];
        zo_cell_label(&g.cell[i], label, sizeof label);
        ck_assert_int_eq(strstr(label, " tune last layers 2 ") != NULL, trains && at == 3);
        at += trains;
    }
    zo_grid_free(&g);
    /* in an optimizer's object, where it wins; taken out, by its name or its object */
    g = parse("{" CELL ", \"tune\": [\"bias\", \"head\", {\"name\": \"last\"}], \"optimizer\": [\"mezo\", {\"name\": \"tezo\", \"tune\": {\"name\": \"last\", \"layers\": [3, 4]}}], "
              "\"exclude\": [{\"tune\": [\"bias\", \"last\"], \"optimizer\": \"mezo\"}, {\"optimizer\": {\"name\": \"tezo\", \"tune\": {\"name\": \"last\", \"layers\": 3}}}], "
              "\"include\": [{\"optimizer\": \"fo-sgd\", \"tune\": {\"name\": \"pattern\", \"on\": \"class.*\"}}]}");
    ck_assert_int_eq(g.n, 3);
    ck_assert_str_eq(g.cell[0].tune, "last layers 4");
    ck_assert_str_eq(g.cell[0].estimator->name, "tezo");
    ck_assert_str_eq(g.cell[1].tune, "head");
    ck_assert_str_eq(g.cell[2].tune, "pattern on class.*");
    ck_assert_str_eq(g.cell[2].estimator->name, "fo-sgd");
    zo_grid_free(&g);
    refuse("{" CELL ", \"optimizer\": \"loren\"}", "of LOREN no algorithm is known here; missing is");
    refuse("{" CELL ", \"optimizer\": \"lorn\"}", "did you mean \"loren\"?");
    refuse("{" CELL ", \"optimizer\": \"mezo\", \"tune\": \"haed\"}", "there is no \"tune\" \"haed\"; did you mean \"head\"?");
    refuse("{" CELL ", \"optimizer\": {\"name\": \"mezo\", \"tune\": {\"name\": \"last\", \"layers\": 0}}}", "\"tune\" last: \"layers\"");
    refuse("{" CELL ", \"optimizer\": \"mezo\", \"tune\": 4}", "\"tune\" is a number");
    refuse("{" CELL ", \"optimizer\": \"mezo\", \"tune\": []}", "the list of \"tune\" is empty");
    refuse("{" CELL ", \"optimizer\": \"mezo\", \"tune\": {\"name\": \"last\", \"layers\": []}}", "the list of \"layers\" is empty");
    refuse("{" CELL ", \"optimizer\": \"mezo\", \"exclude\": [{\"tune\": \"heads\"}]}", "did you mean \"head\"?");
}
END_TEST

/* Hashes are names in databases: those that the program gave before its keys stood in one table. */
START_TEST(hashes_stay)
{
    static const struct { const char *config, *hash; } golden[] = {
        {"{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"steps\": 10}",
         "8b5c9a58ab396778"},
        {"{\"model\": \"dir/x\", \"task\": \"mrpc\", \"optimizer\": {\"name\": \"tezo\", \"rank\": 8, \"batch\": 4}, "
         "\"work\": 12.5, \"realisation\": \"sidepath\", \"storage\": \"bf16\", \"accumulate\": \"log\", \"seed\": 3, "
         "\"context\": \"model\", \"train\": \"all\"}",
         "1ca2da339c4ed2a4"},
        {"{\"model\": \"m\", \"task\": \"sst2\", \"form\": \"prompt\", \"split\": \"kshot\", \"k\": 512, "
         "\"optimizer\": {\"name\": \"mezo-svrg\", \"q\": 3, \"forwards\": 90}, \"precision\": \"bf16\", "
         "\"selection\": \"dev-loss\", \"metric\": \"accuracy\", \"eval_batch\": 7, \"log_every\": 3, \"threads\": 2, "
         "\"device\": \"cuda:1\", \"algorithms\": \"timed\", \"decoder\": \"tied\", \"steps\": 7}",
         "388fcc465b94d9df"},
        {"{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"fo-adamw\", \"lr\": 5e-5, \"seconds\": 0.001, "
         "\"train_split_seed\": \"seed\", \"seed\": 9, \"split\": \"mezo\", \"fill\": true, \"init\": \"random\", "
         "\"eval_every\": 4}",
         "4fac978f2c645b26"},
        {"{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"zero-shot\", \"kshot_folder\": \"a \\\"b\\\"\", "
         "\"split\": \"kshot\", \"dev\": 0}",
         "6c64d9c5a59ba38a"}};
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        zo_grid g = parse(golden[i].config);
        ck_assert_int_eq(g.n, 1);
        ck_assert_msg(strcmp(g.cell[0].hash, golden[i].hash) == 0, "%s: %s is not %s", golden[i].config, g.cell[0].hash, golden[i].hash);
        zo_grid_free(&g);
    }
}
END_TEST

/* What the table says of a key holds: each override stands in an optimizer's object too, nothing else does. */
START_TEST(overrides_are_those_of_the_table)
{
    int overrides = 0;
    for (const zo_opt *k = zo_cell_keys(); k->key != NULL; k++) {
        char text[300], value[100];
        const char *word = k->type == ZO_OPT_CHOICE ? k->choices : k->type == ZO_OPT_STRING ? k->text : NULL;
        snprintf(value, sizeof value, word != NULL ? "\"%.*s\"" : "%.*s", word != NULL ? (int)strcspn(word, "|") : 1,
                 word != NULL ? word : k->most < 8 ? "1" : "8");
        snprintf(text, sizeof text, "{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": {\"name\": \"mezo\", \"steps\": 10, \"%s\": %s}}",
                 k->flags & ZO_KEY_BUDGET ? "lr" : k->key, value);
        if (k->flags & ZO_KEY_OVERRIDE) {
            zo_grid g = parse(text);
            ck_assert_int_eq(g.n, 1);
            zo_grid_free(&g);
            overrides++;
        } else {
            refuse(text, "there is no key");
        }
    }
    ck_assert_int_eq(overrides, 21);
    char list[1000];
    ck_assert_str_eq(zo_cell_keys_with(ZO_KEY_BUDGET, list, sizeof list), "steps forwards work seconds");
    ck_assert_str_eq(zo_cell_keys_with(ZO_KEY_PANEL, list, sizeof list), "model task form");
}
END_TEST

/* One check opens the device, model and data of all cells that open alike; of a dry run, of those that take the same memory. */
START_TEST(cells_that_open_alike)
{
    static const struct { const char *more; bool coarse, fine; } other[] = {
        {"\"lr\": 0.5, \"seed\": 3, \"steps\": 99, \"eval_every\": 2, \"selection\": \"last\", \"threads\": 1", true, true},
        {"\"realisation\": \"streamed\"", true, false}, {"\"batch\": 2", false, false}, {"\"storage\": \"f16\"", false, false},
        {"\"model\": \"n\"", false, false}, {"\"tune\": \"head\"", false, false}, {"\"train_split_seed\": 1", false, false}};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        char text[400];
        snprintf(text, sizeof text, "{" BASE ", \"include\": [{%s}]}", other[i].more);
        zo_grid g = parse(text);
        ck_assert_int_eq(g.n, 2);
        ck_assert_msg((zo_cell_opening(&g.cell[0], false) == zo_cell_opening(&g.cell[1], false)) == other[i].coarse, "%s", other[i].more);
        ck_assert_msg((zo_cell_opening(&g.cell[0], true) == zo_cell_opening(&g.cell[1], true)) == other[i].fine, "%s", other[i].more);
        zo_grid_free(&g);
    }
    zo_grid g = parse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 10, \"optimizer\": [\"mezo\", \"tezo\"]}");
    ck_assert(zo_cell_opening(&g.cell[0], false) == zo_cell_opening(&g.cell[1], false));
    ck_assert(zo_cell_opening(&g.cell[0], true) != zo_cell_opening(&g.cell[1], true));
    zo_grid_free(&g);
}
END_TEST

START_TEST(storage_and_accumulate)
{
    zo_grid g;
    g = parse("{\"model\": \"m\", \"task\": \"sst2\", \"steps\": 10, \"realisation\": \"streamed\", \"storage\": [\"f32\", \"bf16\", \"f16\"],"
              "\"optimizer\": [\"zero-shot\", {\"name\": \"mezo\", \"accumulate\": [\"weights\", \"log\"]}, \"fo-sgd\"],"
              "\"exclude\": [{\"optimizer\": \"fo-sgd\", \"storage\": \"f16\"}, {\"optimizer\": \"mezo\", \"storage\": \"f32\", \"accumulate\": \"log\"}]}");
    ck_assert_int_eq(g.n, 3 + 5 + 2);
    ck_assert_int_eq(g.excluded, 2);
    for (int64_t i = 0; i < g.n; i++) {
        const zo_cell *c = &g.cell[i];
        zo_cell again;
        zo_err err = {0};
        ck_assert_msg(zo_cell_parse(&again, c->config, &err) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(again.hash, c->hash);
        ck_assert_int_eq(again.storage, c->storage);
        char label[1200];
        if (c->estimator->step != NULL && !c->estimator->first_order) {
            ASSERT_HAS(zo_cell_label(c, label, sizeof label), c->storage == ZO_STORAGE_F32 ? "storage f32" : zo_storage_name((zo_storage)c->storage));
        }
        zo_cell_free(&again);
    }
    zo_grid_free(&g);
    refuse("{" BASE ", \"accumulate\": \"log\"}", "\"inplace\" moves");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"fo-adamw\", \"steps\": 10, \"accumulate\": \"log\"}",
           "fo-adamw makes gradients at weights that are updated where they stand, not with \"accumulate\": \"log\"");
    refuse("{" BASE ", \"storage\": \"f64\"}", "f32");
    refuse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"mezo\", \"steps\": 257, \"realisation\": \"streamed\", \"accumulate\": \"log\"}",
           "at most 256 \"steps\", not 257");
    g = parse("{\"model\": \"m\", \"task\": \"sst2\", \"optimizer\": \"tezo\", \"steps\": 100000, \"realisation\": \"sidepath\", \"accumulate\": \"log\"}");
    ck_assert_int_eq(g.n, 1);
    zo_grid_free(&g);
}
END_TEST

/* Two digits, so that values of one search have the texts that people write; and what a budget is in steps, where one step has 2 forwards, 2.5 of work and
 * 0.1 s. */
START_TEST(rates_and_steps)
{
    static const struct { double lr, factor; int k; double is; } rate[] = {{1e-6, 3.16227766, 0, 1e-6}, {1e-6, 3.16227766, 1, 3.2e-6}, {1e-6, 3.16227766, 2, 1e-5},
                                                                           {3.2e-4, 3.16227766, -1, 1e-4}, {5e-4, 2, 3, 4e-3}};
    for (size_t i = 0; i < sizeof rate / sizeof *rate; i++) {
        ck_assert_double_eq(zo_tuning_rate(rate[i].lr, rate[i].factor, rate[i].k), rate[i].is);
    }
    ck_assert_double_eq(zo_hours_steps(&(zo_cell){.steps = 9}, 2, 4, 5, 0.2), 9);
    ck_assert_double_eq(zo_hours_steps(&(zo_cell){.forwards = 9}, 2, 4, 5, 0.2), 5);
    ck_assert_double_eq(zo_hours_steps(&(zo_cell){.work = 100}, 2, 4, 5, 0.2), 40);
    ck_assert_double_eq(zo_hours_steps(&(zo_cell){.seconds = 1.05}, 2, 4, 5, 0.2), 11);
    ck_assert_double_eq(zo_hours_steps(&(zo_cell){.work = 100, .steps = 7}, 2, 4, 5, 0.2), 7);
    ck_assert_double_eq(zo_hours_steps(&(zo_cell){.work = 0}, 2, 4, 5, 0.2), 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("grid");
    tcase_add_test(t, product_of_lists);
    tcase_add_test(t, younger_keys);
    tcase_add_test(t, schedules);
    tcase_add_test(t, views_are_an_axis);
    tcase_add_test(t, hashes_stay);
    tcase_add_test(t, overrides_are_those_of_the_table);
    tcase_add_test(t, cells_that_open_alike);
    tcase_add_test(t, storage_and_accumulate);
    tcase_add_test(t, defaults_and_canonical_form);
    tcase_add_test(t, words_for_numbers);
    tcase_add_test(t, overrides_of_an_optimizer);
    tcase_add_test(t, keys_that_are_not_read_make_no_twins);
    tcase_add_test(t, include_and_exclude);
    tcase_add_test(t, labels_tell_cells_apart);
    tcase_add_test(t, mistakes);
    tcase_add_test(t, too_many_cells);
    tcase_add_test(t, rates_and_steps);
    tcase_add_test(t, mutations);
    Suite *s = suite_create("grid");
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
