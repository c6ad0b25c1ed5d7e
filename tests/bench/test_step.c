/* test_step.c: `zo bench step` and the shapes that it measures: what it refuses, sizes against the published ones, and runs on small
 * models. */
#include <check.h>
#include <cjson/cJSON.h>
#include <ftw.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backends/device_peaks.h"
#include "bench/cell/roofline.h"
#include "bench/cli/cmd.h"
#include "bench/synth/shapes.h"
#include "core/clock.h"
#include "core/conf.h"
#include "core/io.h"
#include "core/mem.h"
#include "core/rng.h"
#include "models/files/hub.h"
#include "models/model.h"
#include "tests/folder.h"
#include "tests/suite.h"

enum { WORDS = 32 };

static int step_command(const char *const *word)
{
    char *argv[WORDS + 1] = {(char *)"step"};
    int argc = 1;
    for (; word[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)word[argc - 1];
    }
    return zo_cmd_bench_step(argc, argv);
}

/* What `zo bench WORDS...` prints, which must be JSON; the caller deletes it. */
static cJSON *said_by(const char *const *word)
{
    char path[] = "build/test_step_json.XXXXXX", *argv[WORDS + 1] = {(char *)"bench"}, *text;
    int file = mkstemp(path), before = dup(STDOUT_FILENO), argc = 1;
    ck_assert(file >= 0 && before >= 0);
    for (; word[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)word[argc - 1];
    }
    fflush(stdout);
    dup2(file, STDOUT_FILENO);
    int code = zo_cmd_bench(argc, argv);
    fflush(stdout);
    dup2(before, STDOUT_FILENO);
    close(before);
    close(file);
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(code == 0 && zo_read_file(path, 1 << 20, &text, &bytes, &err) == ZO_OK, "exit status %d; %s", code, err.text);
    unlink(path);
    cJSON *said = cJSON_Parse(text);
    ck_assert_msg(said != NULL, "no JSON: %s", text);
    zo_free(text);
    return said;
}

static double number_of(const cJSON *said, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(said, key);
    ck_assert_msg(cJSON_IsNumber(item), "no number %s", key);
    return item->valuedouble;
}

START_TEST(wrong_input_is_refused)
{
    static const char *const wrong[][4] = {
        {NULL},
        {"model", "--steps", "0", NULL},
        {"model", "--steps", "-1", NULL},
        {"model", "--precision", "f64", NULL},
        {"model", "--realisation", "inline", NULL},
        {"model", "--optimizer", "mezzo", NULL},
        {"model", "--optimizer", "{\"name\":", NULL},
        {"model", "--optimizer", "zero-shot", NULL},
        {"model", "--optimizer", "{\"name\": \"tezo\", \"rank\": [2, 4]}", NULL},
        {"model", "--optimiser", "mezo", NULL},
        {"no-such-model", "--task", "sst2", NULL},
        {"shape:opt-13c", "--init", "random", NULL},
        {"shape:opt-tiny", "--task", "synth-lengths", NULL}, /* it has no weights */
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        ck_assert_msg(step_command(wrong[k]) == 2, "case %zu was not refused with 2", k);
    }
}
END_TEST

/* Numbers of parameters as transformers counts them in the published checkpoints (tied heads once); of opt-66b, which has none with the hub's
 * count, the sum over its published sizes. */
START_TEST(shapes_have_published_sizes)
{
    static const struct { const char *name; zo_head head; int64_t parameters; } want[] = {
        {"shape:opt-125m", ZO_HEAD_OPTIONS, 125239296},     {"shape:opt-1.3b", ZO_HEAD_OPTIONS, 1315758080},
        {"shape:opt-13b", ZO_HEAD_OPTIONS, 12853473280},    {"shape:roberta-large", ZO_HEAD_WORDS, 355412057},
        {"shape:llama-7b", ZO_HEAD_OPTIONS, 6738415616},    {"shape:opt-66b", ZO_HEAD_OPTIONS, 65719701504},
        {"shape:gpt2", ZO_HEAD_OPTIONS, 124439808},         {"shape:gpt2-medium", ZO_HEAD_OPTIONS, 354823168},
        {"shape:gpt2-large", ZO_HEAD_OPTIONS, 774030080},   {"shape:gpt2-xl", ZO_HEAD_OPTIONS, 1557611200},
        {"shape:distilbert", ZO_HEAD_WORDS, 66985530}};
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        char folder[4096];
        zo_err err = {0};
        zo_arch arch;
        zo_plan plan;
        ck_assert_msg(zo_shape_folder(want[k].name, folder, &err) == ZO_OK && zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
        zo_layout layout = {0};
        zo_arch_layout(&arch, want[k].head, 2, &layout);
        zo_model_plan(&arch, want[k].head, 2, &layout, 16, 16, 1, ZO_FORWARD_ONLY, &plan);
        zo_layout_free(&layout);
        ck_assert_msg(plan.parameters == want[k].parameters, "%s has %lld parameters, published are %lld", want[k].name,
                      (long long)plan.parameters, (long long)want[k].parameters);
    }
}
END_TEST

/* The account of a pass against the sums written out, for OPT of 2 layers, hidden 64, feed-forward 256, vocabulary 512. */
START_TEST(work_is_that_of_the_shapes)
{
    char folder[4096];
    zo_err err = {0};
    zo_arch arch;
    zo_layout layout = {0};
    ck_assert_msg(zo_shape_folder("shape:opt-tiny", folder, &err) == ZO_OK && zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    zo_arch_layout(&arch, ZO_HEAD_OPTIONS, 2, &layout);
    enum { H = 64, F = 256, V = 512, POSITIONS = 2050, T = 10, P = 2, R = 3 };
    double square = H * H, mlp = 2 * H * F, pairs = 40, row_pairs = 15, block = 4 * square + mlp;
    double vectors = 2 * (4 * H + H + F + 4 * H) + 2 * H, read = V * H + 2 * block + vectors;
    zo_step_sums sums = {.forward = {.passes = 1, .points = P, .formed = P, .packed = T, .tokens = P * T, .rows = P * R, .pairs = P * pairs,
                                     .row_pairs = P * row_pairs}};
    zo_work w = zo_step_work(&sums, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_F32, 4, 0);
    double products = 2.0 * P * (T * (block + 2 * square) + R * (2 * square + mlp + V * H));
    double attention = 4.0 * P * H * (pairs + row_pairs);
    ck_assert_double_eq(w.flops, products + attention);
    ck_assert_double_eq(w.backward_flops, 0);
    double widths = P * (T * (6 * 2 * H + 2 * (H + F)) + R * (2 * 2 * H + 2 * (H + F) + H + V)) + 2 * P * T * 4 * H;
    double formed = 2.0 * 4 * P * (2 * block + V * H);
    ck_assert_double_eq(w.bytes, 4 * (read + H * T) + formed + 4 * widths);
    /* the least of the method: in place it is the same, though two passes read and two sweeps write; a log writes nothing */
    double least = 2 * 4 * (read + H * T) + 4 * widths;
    sums.weight_bytes_written = 4 * (read + H * T);
    ck_assert_double_eq(zo_least_bytes(&sums, 1, &arch, &layout, ZO_HEAD_OPTIONS, 2, 4, 0), least);
    zo_step_sums inplace = sums;
    inplace.forward.passes = P;
    inplace.forward.packed = P * T;
    inplace.forward.formed = 0;
    inplace.weight_bytes_written *= 2;
    ck_assert_double_eq(zo_least_bytes(&inplace, 1, &arch, &layout, ZO_HEAD_OPTIONS, 2, 4, 0), least);
    inplace.weight_bytes_written = 100;
    ck_assert_double_eq(zo_least_bytes(&inplace, 1, &arch, &layout, ZO_HEAD_OPTIONS, 2, 4, 0), 4 * (read + H * T) + 100 + 4 * widths);
    /* a snapshot in f32 beside weights in 16 bits, over two steps */
    ck_assert_double_eq(zo_least_bytes(&inplace, 2, &arch, &layout, ZO_HEAD_OPTIONS, 2, 2, 4),
                        2 * 2 * (read + H * T) + 100 + 2 * 4 * read + 4 * widths);
    sums.weight_bytes_written = 0;
    /* bf16 products of the stored f32 weights convert them once; of weights stored so, not at all */
    sums.forward.formed = 0;
    w = zo_step_work(&sums, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_BF16, 4, 0);
    ck_assert_double_eq(w.bytes, 4 * (read + H * T) + 2.0 * 2 * (2 * block + V * H) + 4 * widths);
    w = zo_step_work(&sums, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_BF16, 2, 0);
    ck_assert_double_eq(w.bytes, 2 * (read + H * T) + 4 * widths);
    /* gradients at one point, with AdamW's two moments */
    sums.forward = (zo_pass_sums){0};
    sums.gradient = (zo_pass_sums){.passes = 1, .points = 1, .packed = T, .tokens = T, .rows = R, .pairs = pairs, .row_pairs = row_pairs};
    sums.rules = 1;
    sums.weight_bytes_written = 4 * (read + POSITIONS * H);
    w = zo_step_work(&sums, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_F32, 4, 2);
    ck_assert_double_eq(w.flops, (products + attention) / P);
    ck_assert_double_eq(w.backward_flops, 2 * (products + attention) / P);
    ck_assert_double_eq(w.bytes, 2 * 4 * (read + H * T) + 3 * 4 * widths / P + (2 + 6) * 4 * (read + POSITIONS * H));
    ck_assert_double_eq(zo_least_bytes(&sums, 1, &arch, &layout, ZO_HEAD_OPTIONS, 2, 4, 8),
                        3 * 4 * (read + H * T) + 2 * 2 * 4 * read + 3 * 4 * widths / P);
    /* moments of a rule without gradients, in two steps */
    zo_step_sums drawn = {.forward = sums.forward, .rules = 2};
    ck_assert_double_eq(zo_step_work(&drawn, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_F32, 4, 2).bytes,
                        zo_step_work(&drawn, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_F32, 4, 0).bytes + 2 * 2 * 2 * 4 * (read + POSITIONS * H));
    zo_layout_free(&layout);
}
END_TEST

/* The same where a part is trained: the last block and what is behind it; then what does not reach the blocks; then what is below all of them. */
START_TEST(work_of_views)
{
    char folder[4096];
    zo_err err = {0};
    zo_arch arch;
    enum { H = 64, F = 256, V = 512, POSITIONS = 2050, T = 10, R = 3 };
    double square = H * H, mlp = 2 * H * F, pairs = 40, row_pairs = 15, block = 4 * square + mlp, block_vectors = 9 * H + F;
    double read = V * H + 2 * (block + block_vectors) + 2 * H, trained = block + block_vectors + 2 * H;
    zo_pass_sums pass = {.passes = 1, .points = 1, .packed = T, .tokens = T, .rows = R, .pairs = pairs, .row_pairs = row_pairs};
    zo_step_sums sums = {.gradient = pass, .weight_bytes_written = 4 * trained, .rules = 1};
    double adapters = (R + 3 * T) * 2 * 8 * H; /* of rank 8 on q and v: the last q's of the head's rows */
    double widths = T * (6 * 2 * H + 2 * (H + F)) + R * (2 * 2 * H + 2 * (H + F) + H + V) + 2 * T * 4 * H;
    ck_assert_msg(zo_shape_folder("shape:opt-tiny", folder, &err) == ZO_OK && zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    const struct { const char *tune; double backward, again; } of[] = {
        /* the decoder is the frozen token table: its input's gradient alone; in the block both, for its first norm is trained */
        {"last", 2 * (R * (V * H + 2 * (2 * square + mlp)) + T * 4 * square) + 2 * 4 * H * row_pairs,
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square) + 4 * H * row_pairs},
        {"pattern on final.norm.bias", 2 * R * V * H, 0},
        /* biases of the first block's q: all inputs' gradients down to its o, and through its attention */
        {"pattern on layer.0.attn.q.bias", 2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * (square + mlp)) + 2 * 4 * H * (pairs + row_pairs),
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * block) + 4 * H * (pairs + row_pairs)},
        /* keys and values in front of the first block's: the same */
        {"prefix tokens 5 init random", 2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * (square + mlp)) + 2 * 4 * H * (pairs + row_pairs),
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * block) + 4 * H * (pairs + row_pairs)},
        /* the last block's inputs' gradients down to its norm; of the adapter (two down to 8, one score, back up) both, but no gradient goes below it */
        {"side downsample 8 late 1",
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * (2 * 8 * H + 2 * 8 + 2 * 8 * H)) + 2 * 4 * H * row_pairs,
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square) + 4 * H * row_pairs},
        {"pattern on embed.token", 2 * (R * (2 * V * H + 2 * square + mlp) + T * 2 * square + T * block) + 2 * 4 * H * (pairs + row_pairs),
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * block) + 4 * H * (pairs + row_pairs)},
        /* inputs' gradients down to the first block's o; of an adapter both of B, A's own and x A^T again, and above the first block its input's */
        {"lora rank 8 on q,v",
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * (square + mlp) + (R + T) * 5 * 8 * H + 2 * T * 4 * 8 * H) + 2 * 4 * H * (pairs + row_pairs),
         2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * block + adapters) + 4 * H * (pairs + row_pairs)}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_layout layout = {0};
        zo_tune tune;
        arch.prefix = 0;
        arch.side.late = 0;
        ck_assert(zo_tune_parse(of[i].tune, "test", &tune, &err) == ZO_OK && zo_tune_extend(&tune, &arch, &err) == ZO_OK); /* LoRA is the last */
        zo_arch_layout(&arch, ZO_HEAD_OPTIONS, 2, &layout);
        ck_assert(zo_tune_apply(&tune, &arch, ZO_HEAD_OPTIONS, &layout, &err) == ZO_OK);
        zo_pass_terms t = zo_pass_terms_of(&arch, &layout, ZO_HEAD_OPTIONS, 2);
        double more = arch.side.late > 0 ? 2 * (8 * H + 8 + 2 * 8) + 8 + 1 + 8 * H + H + 2 * H + 1 : arch.prefix * 2 * 2 * H; /* numbers */
        ck_assert(arch.lora.rank > 0 || t.read_numbers == read + more); /* whatever the tokens are, whose positions alone are looked up */
        ck_assert_double_eq(t.row_reads, H);
        ck_assert_double_eq(zo_products_flops(&pass, &t.forward, &arch),
                            2 * (R * (V * H + 2 * square + mlp) + T * 2 * square + T * block + (arch.lora.rank > 0 ? adapters : arch.side.late > 0 ? T * (3 * 8 * H + 8) : 0)) + 4 * H * (pairs + row_pairs));
        ck_assert_msg(zo_products_flops(&pass, &t.backward, &arch) == of[i].backward, "%s: %.0f FLOPs backward, by hand %.0f", of[i].tune,
                      zo_products_flops(&pass, &t.backward, &arch), of[i].backward);
        ck_assert_msg(zo_products_flops(&pass, &t.again, &arch) == of[i].again, "%s: %.0f FLOPs again, by hand %.0f", of[i].tune,
                      zo_products_flops(&pass, &t.again, &arch), of[i].again);
        if (i == 0) {
            double widths_back = R * ((H + V) + 2 * 2 * 2 * H + 2 * 2 * (H + F)) + T * 2 * 2 * 2 * H + 2 * T * 4 * H;
            zo_work w = zo_step_work(&sums, &arch, &layout, ZO_HEAD_OPTIONS, 2, ZO_F32, 4, 2);
            ck_assert_double_eq(w.backward_flops, of[i].backward);
            ck_assert_double_eq(w.bytes, 4 * (read + H * T) + 4 * (trained + V * H) + 4 * (widths + widths_back) + (2 + 6) * 4 * trained);
            ck_assert_double_eq(zo_least_bytes(&sums, 1, &arch, &layout, ZO_HEAD_OPTIONS, 2, 4, 8),
                                4 * (read + H * T) + 4 * (trained + V * H) + 4 * trained + 2 * 8 * trained + 4 * (widths + widths_back));
        }
        zo_layout_free(&layout);
    }
}
END_TEST

static double numbers_of(const zo_layout *layout)
{
    double n = 0;
    for (int i = 0; i < layout->n; i++) {
        n += (double)layout->param[i].rows * (double)layout->param[i].cols;
    }
    return n;
}

static zo_pass_terms terms_of_view(zo_arch arch, int groups, const char *view, double *numbers)
{
    zo_err err = {0};
    zo_layout layout = {0};
    zo_tune tune;
    arch.groups = groups;
    ck_assert(zo_tune_parse(view, "test", &tune, &err) == ZO_OK && zo_tune_extend(&tune, &arch, &err) == ZO_OK);
    zo_arch_layout(&arch, ZO_HEAD_WORDS, 2, &layout);
    ck_assert_msg(zo_tune_apply(&tune, &arch, ZO_HEAD_WORDS, &layout, &err) == ZO_OK, "%s", err.text);
    zo_pass_terms t = zo_pass_terms_of(&arch, &layout, ZO_HEAD_WORDS, 2);
    *numbers = numbers_of(&layout);
    zo_layout_free(&layout);
    return t;
}

/* Layers that share their parameters make the products of layers that have them of their own, and read so many numbers fewer as the model is smaller.
 * ALBERT of 5 layers in 2 groups: 0, 1, 2 and 3, 4. */
START_TEST(work_of_shared_layers)
{
    static const struct { const char *shared, *own; } of[] = {
        {"full", "full"}, {"bias", "bias"}, {"head", "head"}, {"lora rank 2 on q,v,up", "lora rank 2 on q,v,up"}, {"prefix tokens 3 init random", "prefix tokens 3 init random"},
        {"pattern on layer.0.mlp.down.weight", "pattern on layer.0.mlp.down.weight,layer.1.mlp.down.weight,layer.2.mlp.down.weight"},
        {"pattern on layer.1.attn.k.bias", "pattern on layer.3.attn.k.bias,layer.4.attn.k.bias"},
        {"pattern on layer.1.attn.o.*,lm.dense.bias", "pattern on layer.[34].attn.o.*,lm.dense.bias"},
        {"pattern on embed.in.weight", "pattern on embed.in.weight"}, {"pattern on lm.norm.weight", "pattern on lm.norm.weight"}};
    zo_err err = {0};
    zo_arch arch;
    ck_assert_msg(zo_arch_read("tests/golden/models/albert", &arch, &err) == ZO_OK, "%s", err.text);
    ck_assert_int_gt(arch.groups, 0);
    arch.layers = 5;
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        double few, many;
        zo_pass_terms shared = terms_of_view(arch, 2, of[i].shared, &few), own = terms_of_view(arch, 0, of[i].own, &many);
        ck_assert(many > few && own.read_numbers - shared.read_numbers == many - few);
        ck_assert_msg(memcmp(&shared.forward, &own.forward, sizeof own.forward) == 0, "%s: other products", of[i].shared);
        ck_assert_msg(memcmp(&shared.backward, &own.backward, sizeof own.backward) == 0, "%s: other products backward", of[i].shared);
        ck_assert_msg(memcmp(&shared.again, &own.again, sizeof own.again) == 0, "%s: other products again", of[i].shared);
    }
    /* codes become numbers at each use, and are read once */
    arch.quantised = (zo_quantised){.bits = 8, .group = 16};
    double few, many;
    zo_pass_terms shared = terms_of_view(arch, 2, "bias", &few), own = terms_of_view(arch, 0, "bias", &many);
    ck_assert(own.coded_numbers > 0 && shared.coded_numbers == own.coded_numbers && shared.code_bytes < own.code_bytes);
}
END_TEST

/* Pairs of attention counted one by one: a prompt of 3 tokens with an option of 2, and a sequence of 4. What is formed is counted by the numbers of
 * matrices on which a direction acts. */
START_TEST(pairs_are_counted)
{
    int32_t start[] = {0, 3, 5, 9}, parent[] = {-1, 0, -1}, row[] = {2, 4, 8}, position[] = {0, 1, 2, 3, 4, 0, 1, 2, 3};
    zo_batch batch = {.examples = 2, .tokens = 9, .position = position, .seqs = 3, .start = start, .parent = parent, .rows = 3, .row = row};
    zo_arch arch = {.causal = true, .layers = 1};
    zo_layout layout = {0};
    zo_layout_add(&layout, "a", ZO_PARAM_MATRIX, 6, 5, 0, true);
    zo_layout_add(&layout, "b", ZO_PARAM_MATRIX, 2, 5, 1, true);
    zo_layout_add(&layout, "bias", ZO_PARAM_VECTOR, 1, 100, 1, false);
    zo_store store = {.layout = &layout};
    const zo_store *base[2] = {&store, &store};
    int rank[] = {1, 1, 0};
    zo_factors factors = {.layout = &layout, .rank = rank};
    zo_dir dir = {.kind = ZO_DIR_DENSE};
    float coef[] = {0.1f, -0.1f};
    zo_view view = {.npoints = 2, .base = base, .ndirs = 1, .dir = &dir, .coef = coef, .factors = &factors};
    zo_pass_sums sums = {0}, plain = zo_pass_sums_of(&arch, &batch);
    zo_pass_sums_add(&sums, &plain, &view);
    ck_assert_double_eq(sums.pairs, 2 * (1 + 2 + 3 + 4 + 5 + 1 + 2 + 3 + 4));
    ck_assert_double_eq(sums.row_pairs, 2 * (3 + 5 + 4));
    ck_assert_double_eq(sums.formed, 2);
    ck_assert_double_eq(sums.tokens, 18);
    ck_assert_double_eq(sums.packed, 9);
    arch.causal = false;
    dir.kind = ZO_DIR_REST;
    batch.parent = NULL;
    plain = zo_pass_sums_of(&arch, &batch);
    zo_pass_sums_add(&sums, &plain, &view);
    ck_assert_double_eq(sums.pairs, 2 * 25 + 2 * (9 + 4 + 16));
    ck_assert_double_eq(sums.row_pairs, 2 * 12 + 2 * (3 + 2 + 4));
    ck_assert_double_eq(sums.formed, 2);
    dir = (zo_dir){.kind = ZO_DIR_DENSE, .skip = {.in = 1}};
    zo_pass_sums_add(&sums, &plain, &view);
    ck_assert_double_eq(sums.formed, 2 + 2 * 0.25);
    coef[0] = coef[1] = 0.0f;
    zo_pass_sums_add(&sums, &plain, &view);
    ck_assert_double_eq(sums.formed, 2.5);
    zo_layout_free(&layout);
    arch.prefix = 5; /* and every token sees it */
    plain = zo_pass_sums_of(&arch, &batch);
    ck_assert_double_eq(plain.pairs, 9 * 5 + (9 + 4 + 16));
    ck_assert_double_eq(plain.row_pairs, 3 * 5 + (3 + 2 + 4));
    arch.window = 2; /* to both sides */
    plain = zo_pass_sums_of(&arch, &batch);
    ck_assert_double_eq(plain.pairs, 9 * 5 + (9 + 4 + 16));
    ck_assert_double_eq(plain.near_pairs, 9 * 5 + (2 + 3 + 2) + (2 + 2) + (2 + 3 + 3 + 2));
    ck_assert_double_eq(plain.row_pairs, 3 * 5 + (2 + 2 + 2));
    arch.window = 3;
    ck_assert_double_eq(zo_pass_sums_of(&arch, &batch).near_pairs, 9 * 5 + 9 + 4 + (3 + 4 + 4 + 3));
    arch.window = 100;
    ck_assert_double_eq(zo_pass_sums_of(&arch, &batch).near_pairs, 9 * 5 + (9 + 4 + 16));
    arch.window = 0;
    arch.causal = true;
    batch.parent = parent;
    plain = zo_pass_sums_of(&arch, &batch);
    ck_assert_double_eq(plain.pairs, 9 * 5 + 25);
    ck_assert_double_eq(plain.row_pairs, 3 * 5 + 12);
    ck_assert_double_eq(plain.kept, 0);
}
END_TEST

/* A pass of a generation: the tokens at positions 6 and 2 of two texts, whose keys before them were kept; three layers, and then with a window of 3. */
START_TEST(kept_keys_are_counted)
{
    int32_t start[] = {0, 1, 2}, parent[] = {-1, -1}, row[] = {0, 1}, position[] = {6, 2};
    zo_batch batch = {.examples = 2, .tokens = 2, .position = position, .seqs = 2, .start = start, .parent = parent, .rows = 2, .row = row};
    zo_arch arch = {.causal = true, .layers = 3};
    zo_pass_sums all = zo_pass_sums_of(&arch, &batch);
    ck_assert_double_eq(all.pairs, 7 + 3);
    ck_assert_double_eq(all.row_pairs, 7 + 3);
    ck_assert_double_eq(all.kept, 3 * (6 + 2));
    arch.window = 3;
    zo_pass_sums near = zo_pass_sums_of(&arch, &batch);
    ck_assert_double_eq(near.pairs, 7 + 3);
    ck_assert_double_eq(near.near_pairs, 3 + 3);
    ck_assert_double_eq(near.kept, 3 * (2 + 2));
}
END_TEST

/* Random weights are drawn where they lie: while a model of this shape is made, no more is held than its weights and a little. */
START_TEST(shapes_load_in_place)
{
    char folder[4096];
    zo_err err = {0};
    zo_arch arch;
    zo_plan plan;
    zo_backend *be;
    zo_model *model;
    ck_assert_msg(zo_shape_folder("shape:opt-125m", folder, &err) == ZO_OK && zo_arch_read(folder, &arch, &err) == ZO_OK, "%s", err.text);
    arch.layers = 2;
    zo_layout layout = {0};
    zo_arch_layout(&arch, ZO_HEAD_OPTIONS, 2, &layout);
    zo_model_plan(&arch, ZO_HEAD_OPTIONS, 2, &layout, 16, 16, 1, ZO_FORWARD_ONLY, &plan);
    zo_layout_free(&layout);
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    uint64_t before = zo_mem_live(ZO_HOST).total_bytes;
    zo_mem_phase(ZO_PHASE_LOAD);
    zo_model_spec spec = {.arch = &arch, .random = true, .seed = 1, .head = ZO_HEAD_OPTIONS};
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    uint64_t peak = zo_mem_peak(ZO_HOST, ZO_PHASE_LOAD).total_bytes - before;
    ck_assert_uint_ge(peak, plan.tag_bytes[ZO_TAG_PARAMS]);
    ck_assert_msg(peak < plan.tag_bytes[ZO_TAG_PARAMS] + (200u << 10), "a peak of %llu bytes for %llu of weights", (unsigned long long)peak,
                  (unsigned long long)plan.tag_bytes[ZO_TAG_PARAMS]);
    zo_model_close(model);
    be->close(be);
}
END_TEST

START_TEST(peaks_are_measured)
{
    zo_backend *be;
    zo_err err = {0};
    ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &err), ZO_OK);
    const zo_device_peaks *y = zo_device_peaks_of(be);
    for (int p = ZO_F32; p < ZO_PRECISIONS; p++) {
        if (zo_backend_check(be, (zo_precision)p, &err) == ZO_OK) {
            ck_assert(y->product_rate(be, (zo_precision)p, 128) > 1e6);
        }
    }
    ck_assert(zo_copy_rate(be, 1 << 20) > 1e6);
    be->close(be);
}
END_TEST

START_TEST(normals_of_a_device)
{
    static const char *const words[][5] = {{"bench", "rng", "--device", "cpu", "--json"}, {"bench", "gemm", "--device", "cpu"},
                                           {"bench", "rng", "--device", "cuda:x"}};
    static const char *const peaks[] = {"{}", "{\"device\": \"another\", \"bytes_per_second\": 1, \"flops_per_second\": {\"f32\": 1}}", "no JSON"};
    char path[] = "build/test_step_peaks.json";
    zo_err err = {0};
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(zo_write_file(path, peaks[k], strlen(peaks[k]), &err), ZO_OK);
        const char *const step[] = {"shape:opt-tiny", "--task", "synth-lengths", "--init", "random", "--steps", "1", "--peaks", path, NULL};
        ck_assert_int_eq(step_command(step), 2);
    }
    unlink(path);
    for (int k = 0; k < 3; k++) {
        char *argv[6] = {NULL};
        int n = 0;
        for (; n < 5 && words[k][n] != NULL; n++) {
            argv[n] = (char *)words[k][n];
        }
        ck_assert_int_eq(zo_cmd_bench(n, argv), k == 0 ? 0 : 2);
    }
}
END_TEST

/* The most normals of `draw` a second, of 2^16 in a row, in a tenth of a second. */
static double normals_per_second(void (*draw)(zo_stream, uint64_t, long, float *))
{
    enum { N = 1 << 16 };
    static float z[N];
    double most = 0;
    for (double end = zo_now() + 0.1; zo_now() < end;) {
        double start = zo_now();
        draw((zo_stream){.seed = 1}, 0, N, z);
        most = fmax(most, N / (zo_now() - start));
    }
    return most;
}

/* Each rate beside the test's own of the same work, in the order of magnitude: how fast this machine is, and what else runs here, is no matter of a
 * test. Of two threads that wait for each other all may be taken. */
START_TEST(rates_of_normals)
{
    const double far = 30;
    for (int threads = 1; threads <= 2; threads++) {
        cJSON *said = said_by((const char *const[]){"rng", "--ms", "100", "--threads", threads == 1 ? "1" : "2", "--json", NULL});
        double core = normals_per_second(zo_normals), scalar = normals_per_second(zo_normals_scalar);
        const struct { const char *key; double least, most; } rate[] = {{"normals_per_second_core", core / far, far * core},
                                                                        {"normals_per_second", threads == 1 ? core / far : 0, far * threads * core},
                                                                        {"scalar_normals_per_second_core", scalar / far, far * scalar}};
        ck_assert(number_of(said, "threads") == threads);
        for (size_t k = 0; k < sizeof rate / sizeof *rate; k++) {
            double value = number_of(said, rate[k].key);
            ck_assert_msg(value > rate[k].least && value < rate[k].most, "%s is %g, expected %g to %g", rate[k].key, value, rate[k].least, rate[k].most);
        }
        if (core > 4 * scalar) { /* as wherever a compiler makes vectors of the wide form: then neither passes for the other */
            double between = sqrt(core * scalar);
            ck_assert(number_of(said, "normals_per_second_core") > between && number_of(said, "scalar_normals_per_second_core") < between);
        }
        cJSON_Delete(said);
    }
}
END_TEST

/* Without time for more, each layer is called twice at one point and twice at two: that is most of the time, and not more than all of it. */
START_TEST(rates_of_linear_layers)
{
    zo_backend *be;
    zo_err err = {0};
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    double start = zo_now(), sum = 0;
    cJSON *said = said_by((const char *const[]){"gemm", "--ms", "0", "--threads", "1", "--json", NULL}), *row;
    double taken = zo_now() - start;
    int n = 0, of[2] = {0}; /* of a precision */
    cJSON_ArrayForEach(row, said) {
        double flops = 2 * number_of(row, "tokens") * number_of(row, "rows") * number_of(row, "cols");
        sum += 2 * flops / number_of(row, "stored_flops_per_second") + 2 * 2 * flops / number_of(row, "drawn_flops_per_second");
        const char *precision = cJSON_GetStringValue(cJSON_GetObjectItem(row, "precision"));
        ck_assert(precision != NULL && number_of(row, "threads") == 1);
        of[0] += strcmp(precision, zo_precision_name(ZO_F32)) == 0;
        of[1] += strcmp(precision, zo_precision_name(ZO_BF16)) == 0;
        n++;
    }
    ck_assert(of[0] >= 10 && of[1] == (be->bf16 ? of[0] : 0) && n == of[0] + of[1]);
    ck_assert_msg(sum < taken && sum > taken / 20, "%g s in layers, of %g", sum, taken);
    cJSON_Delete(said);
    be->close(be);
}
END_TEST

START_TEST(the_processor_is_a_device)
{
    char line[200];
    unsigned long long kilobytes = 0;
    FILE *info = fopen("/proc/meminfo", "r");
    ck_assert_ptr_nonnull(info);
    while (fgets(line, sizeof line, info) != NULL && sscanf(line, "MemTotal: %llu kB", &kilobytes) != 1) {
    }
    fclose(info);
    cJSON *said = said_by((const char *const[]){"device", "--device", "cpu", "--json", NULL});
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetObjectItem(said, "backend")), "cpu");
    ck_assert(strlen(cJSON_GetStringValue(cJSON_GetObjectItem(said, "device"))) > 0);
    ck_assert(kilobytes > 0 && number_of(said, "total_bytes") == 1024.0 * (double)kilobytes);
    ck_assert_str_eq(cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItem(said, "precisions"), 0)), "f32");
    cJSON_Delete(said);
}
END_TEST

/* What stands in for the program of tests: of three one passes, one fails, one dies, and then goes on with what is left. */
static const char fake_parity[] =
    "#!/bin/sh\n"
    "[ \"$1\" = --list ] && { echo good; echo wrong; echo dying; echo last; exit 0; }\n"
    "for name in \"$@\"; do\n"
    "    echo \"== $name\"\n"
    "    [ $name != dying ] || { echo 'zo: file.cu:1: a check'; kill -9 $$; }\n"
    "    [ $name != wrong ] || echo 'tests/t.c:5:F:case:one:0: not equal'\n"
    "    echo '100%: Checks: 2, Failures: 0, Errors: 0'\n"
    "    [ $name = wrong ] && status=1 || status=0\n"
    "    echo \"== $name ended $status\"\n"
    "done\n";

static int counted;
static int count_one(const char *path, const struct stat *s, int type, struct FTW *at)
{
    (void)path;
    (void)s;
    (void)at;
    counted += type == FTW_F;
    return 0;
}

/* Failures are named, each under its part, and only a machine without a card is exit status 3. */
START_TEST(gpu_check_names_failures)
{
    if (access("zo", X_OK) != 0) {
        printf("skipped: gpu-check is tried with ./zo, which is not there\n");
        return;
    }
    char folder[] = "build/test_gpu_parity.XXXXXX", command[1000], path[100], said[100], *text;
    size_t bytes;
    zo_err err = {0};
    cJSON *json;
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/parity", folder);
    snprintf(said, sizeof said, "%s/said", folder);
    ck_assert(zo_write_file(path, fake_parity, strlen(fake_parity), &err) == ZO_OK && chmod(path, 0755) == 0);
    snprintf(command, sizeof command, "ZO_GPU_DEVICE=cpu ZO_GPU_TESTS=$PWD/%s bench/gpu-check -o %s parity >/dev/null 2>%s", folder, folder, said);
    int status = system(command);
    ck_assert_msg(zo_read_file(said, 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1 && strstr(text, "gpu-check: parity: wrong: 100%: Checks: 2") != NULL &&
                      strstr(text, "not equal") != NULL && strstr(text, "gpu-check: parity: dying: died with exit status 137; zo: file.cu:1: a check") != NULL &&
                      strstr(text, "good") == NULL && strstr(text, "last") == NULL, "status %#x: %s", status, text);
    zo_free(text);
    snprintf(path, sizeof path, "%s/gpu-check-parity.json", folder);
    ck_assert_msg(zo_json_read(path, &json, &err) == ZO_OK, "%s", err.text);
    static const int statuses[] = {0, 1, 137, 0};
    const cJSON *list = cJSON_GetObjectItem(json, "parity");
    ck_assert_int_eq(cJSON_GetArraySize(list), 4);
    for (int i = 0; i < 4; i++) {
        ck_assert_int_eq(cJSON_GetObjectItem(cJSON_GetArrayItem(list, i), "status")->valueint, statuses[i]);
    }
    cJSON_Delete(json);
    /* a device that is unknown, or that this build has not, is a failure; one that the machine has not is status 3 */
    snprintf(command, sizeof command, "ZO_GPU_DEVICE=cuda:x bench/gpu-check -o %s rng >/dev/null 2>&1", folder);
    status = system(command);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%#x", status);
    folder_remove(folder);
}
END_TEST

/* bench/gpu-check on the processor: the parts that need no card, as files that are JSON. First with room for some methods alone. */
START_TEST(gpu_check_writes_its_files)
{
    if (access("zo", X_OK) != 0) {
        printf("skipped: gpu-check is tried with ./zo, which is not there\n");
        return;
    }
    static const char *const run = "ZO_GPU_DEVICE=cpu ZO_GPU_MODELS=shape:opt-tiny ZO_GPU_STEPS=1 ZO_GPU_MEMORY=paper_configs/gpu/memory_small.json "
                                   "OMP_NUM_THREADS=1 bench/gpu-check -o";
    char folder[] = "build/test_gpu_check.XXXXXX", command[1000], path[100];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    for (int tight = 1; tight >= 0; tight--) {
        snprintf(command, sizeof command, "%s %s %s %s >/dev/null 2>&1", tight ? "ZO_MEMORY_LIMIT=20000000" : "", run, folder, tight ? "steps" : "rng memory");
        int status = system(command);
        ck_assert_msg(status == 0, "%s: wait status %#x", command, status);
    }
    counted = 0;
    nftw(folder, count_one, 16, FTW_PHYS);
    ck_assert_int_le(counted, 4); /* one a part, and the database */
    static const struct { const char *file, *list; int least; } want[] = {{"steps", "steps", 16}, {"rng", "rng", 1}, {"memory", "cells", 21}};
    for (size_t k = 0; k < sizeof want / sizeof *want; k++) {
        cJSON *json;
        zo_err err = {0};
        snprintf(path, sizeof path, "%s/gpu-check-%s.json", folder, want[k].file);
        ck_assert_msg(zo_json_read(path, &json, &err) == ZO_OK, "%s", err.text);
        const cJSON *list = cJSON_GetObjectItem(json, want[k].list);
        ck_assert_int_ge(cJSON_GetArraySize(list), want[k].least);
        ck_assert_str_eq(cJSON_GetObjectItem(json, "device")->valuestring, "no card: the processor");
        int oom = 0;
        for (const cJSON *row = k != 1 ? list->child : NULL; row != NULL; row = row->next) {
            const char *status = cJSON_GetObjectItem(row, "status")->valuestring;
            oom += strcmp(status, "oom") == 0;
            ck_assert_msg(strcmp(status, "done") == 0 || strcmp(status, "oom") == 0, "%s: %s", path, status);
        }
        ck_assert_int_eq(oom > 0, k == 0); /* AdamW at 128 tokens does not fit */
        cJSON_Delete(json);
    }
    folder_remove(folder);
}
END_TEST

START_TEST(steps_on_shapes)
{
    static const char *const way[][3] = {{"shape:opt-tiny", "mezo", "streamed"},
                                         {"shape:roberta-tiny", "tezo", "sidepath"},
                                         {"shape:llama-tiny", "fo-sgd", "inplace"}};
    for (size_t k = 0; k < sizeof way / sizeof *way; k++) {
        const char *const words[] = {way[k][0], "--task", "synth-lengths", "--form", "prompt", "--init", "random", "--batch", "4", "--steps", "2",
                                     "--context", "40", "--optimizer", way[k][1], "--realisation", way[k][2], k == 1 ? "--fill" : "--roofline", NULL};
        ck_assert_msg(step_command(words) == 0, "%s, %s failed", way[k][0], way[k][1]);
    }
}
END_TEST

/* What --json says of a run, against what was asked for. */
START_TEST(json_says_what_ran)
{
    static const struct { const char *key, *option, *text; } asked[] = {
        {"model", NULL, "shape:opt-tiny"},       {"task", "--task", "synth-lengths"},  {"form", "--form", "prompt"},
        {"optimizer", "--optimizer", "mezo"},    {"precision", "--precision", "f32"},  {"realisation", "--realisation", "streamed"},
        {"storage", "--storage", "bf16"},        {"accumulate", "--accumulate", "log"}, {"status", NULL, "done"}};
    static const struct { const char *key; double value; } number[] = {
        {"batch", 4}, {"context", 40}, {"fill", 1}, {"forwards", 2}, {"work", 2}, {"tokens", 2 * 4 * 39},
        {"batch_tokens", 4 * 39}}; /* the last token of a sequence is only predicted */
    const char *words[WORDS] = {"step", "shape:opt-tiny", "--batch", "4", "--context", "40", "--fill", "--init", "random", "--steps", "2", "--json"};
    int n = 12;
    for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
        if (asked[k].option != NULL) {
            words[n++] = asked[k].option;
            words[n++] = asked[k].text;
        }
    }
    cJSON *said = said_by(words);
    for (size_t k = 0; k < sizeof asked / sizeof *asked; k++) {
        const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(said, asked[k].key));
        ck_assert_msg(text != NULL && strcmp(text, asked[k].text) == 0, "%s is %s, and should be %s", asked[k].key, text, asked[k].text);
    }
    for (size_t k = 0; k < sizeof number / sizeof *number; k++) {
        const cJSON *item = cJSON_GetObjectItem(said, number[k].key);
        double value = cJSON_IsTrue(item) ? 1 : item != NULL ? item->valuedouble : -1;
        ck_assert_msg(value == number[k].value, "%s is %g, and should be %g", number[k].key, value, number[k].value);
    }
    double used = number_of(said, "used_bytes"), now = (double)zo_rss_peak_bytes(); /* the kernel counts pages in lots */
    ck_assert_msg(used > 0.5 * now && used < 1.1 * now && number_of(said, "context_bytes") == 0, "%g bytes used, of %g", used, now);
    double linear = number_of(said, "linear_flops"), all = number_of(said, "flops");
    ck_assert_msg(linear > 0.5 * all && linear < all, "%g operations of linear layers, of %g", linear, all); /* the others are attention's */
    cJSON_Delete(said);
}
END_TEST

/* Rates and shares of the roofline follow from what stands beside them, with peaks that a file names. */
START_TEST(json_holds_to_its_peaks)
{
    char path[] = "build/test_step_peaks.XXXXXX", text[400];
    zo_backend *be;
    zo_err err = {0};
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    static const double flops = 3e9, rates[] = {1e6, 1e12}; /* bytes a second: once traffic is the bound, once the products are */
    for (int k = 0; k < 4; k++) {
        double rate = rates[k % 2];
        close(mkstemp(path));
        snprintf(text, sizeof text, "{\"device\": \"%s\", \"flops_per_second\": {\"f32\": %g}, \"bytes_per_second\": %g}", be->device, flops, rate);
        ck_assert_int_eq(zo_write_file(path, text, strlen(text), &err), ZO_OK);
        cJSON *said = said_by((const char *const[]){"step", "shape:opt-tiny", "--task", "synth-lengths", "--form", "prompt", "--init", "random", "--batch", "4",
                                                    "--context", "40", "--steps", "3", "--optimizer", k < 2 ? "mezo" : "fo-sgd", "--peaks", path, "--json", NULL});
        double ms = number_of(said, "step_ms"), all = number_of(said, "flops"), moved = number_of(said, "bytes"), least = number_of(said, "least_bytes");
        const struct { const char *key; double value; } number[] = {
            {"peak_flops_per_second", flops}, {"peak_backward_flops_per_second", flops}, {"peak_bytes_per_second", rate},
            {"tokens_per_second", 1e3 * number_of(said, "batch_tokens") / ms},
            {"roofline_ms", 1e3 * fmax(all / flops, moved / rate)}, {"roofline_share", 1e3 * fmax(all / flops, moved / rate) / ms},
            {"least_roofline_ms", 1e3 * fmax(all / flops, least / rate)}, {"least_roofline_share", 1e3 * fmax(all / flops, least / rate) / ms}};
        ck_assert(k % 2 == 0 ? moved / rate > all / flops : moved / rate < all / flops);
        for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
            double value = number_of(said, number[i].key);
            ck_assert_msg(fabs(value - number[i].value) <= 1e-9 * number[i].value, "%s is %g, and should be %g", number[i].key, value, number[i].value);
        }
        cJSON_Delete(said);
        unlink(path);
        strcpy(path + strlen(path) - 6, "XXXXXX");
    }
    be->close(be);
}
END_TEST

START_TEST(steps_on_a_small_model)
{
    const char *data = getenv("ZO_TEST_DATA"), *models = getenv("ZO_TEST_MODELS");
    data = data != NULL ? data : "../shared/data";
    models = models != NULL ? models : "../shared/models";
    char folder[4096];
    zo_path_join(folder, sizeof folder, models, "stories260K");
    if (!zo_path_is_dir(folder) || !zo_path_is_dir(data)) {
        printf("skipped: a run of zo bench step needs %s and %s\n", folder, data);
        return;
    }
    static const char *const way[][2] = {
        {"mezo", "inplace"}, {"mezo-svrg", "streamed"}, {"tezo", "sidepath"}, {"tezo-adam", "streamed"}, {"fo-adamw", "inplace"}};
    for (size_t k = 0; k < sizeof way / sizeof *way; k++) {
        const char *const words[] = {folder, "--data", data, "--task", "cb", "--form", "prompt", "--batch", "2", "--train", "8", "--context", "256",
                                     "--steps", "2", "--optimizer", way[k][0], "--realisation", way[k][1], k % 2 == 0 ? "--json" : NULL, NULL};
        ck_assert_msg(step_command(words) == 0, "%s, %s failed", way[k][0], way[k][1]);
    }
}
END_TEST

int main(void)
{
    char cache[] = "build/test_step.XXXXXX";
    if (mkdtemp(cache) == NULL || setenv("ZO_CACHE", cache, 1) != 0) {
        perror("test_step: build/test_step.XXXXXX");
        return 1;
    }
    Suite *suite = suite_create("step");
    TCase *tests = tcase_create("step");
    tcase_set_timeout(tests, 300);
    tcase_add_test(tests, wrong_input_is_refused);
    tcase_add_test(tests, shapes_have_published_sizes);
    tcase_add_test(tests, work_is_that_of_the_shapes);
    tcase_add_test(tests, work_of_views);
    tcase_add_test(tests, work_of_shared_layers);
    tcase_add_test(tests, pairs_are_counted);
    tcase_add_test(tests, kept_keys_are_counted);
    tcase_add_test(tests, shapes_load_in_place);
    tcase_add_test(tests, peaks_are_measured);
    tcase_add_test(tests, normals_of_a_device);
    tcase_add_test(tests, rates_of_normals);
    tcase_add_test(tests, rates_of_linear_layers);
    tcase_add_test(tests, the_processor_is_a_device);
    tcase_add_test(tests, gpu_check_names_failures);
    tcase_add_test(tests, gpu_check_writes_its_files);
    tcase_add_test(tests, steps_on_shapes);
    tcase_add_test(tests, json_says_what_ran);
    tcase_add_test(tests, json_holds_to_its_peaks);
    tcase_add_test(tests, steps_on_a_small_model);
    suite_add_tcase(suite, tests);
    int failed = suite_run(suite);
    folder_remove(cache);
    return failed != 0;
}
