/* test_cuda_storage.c: weights held in bf16 and f16 on the CUDA backend under tests/shim, against the CPU backend: every sweep in every bit,
 * in both orders of threads, and passes and runs of models, with updates in the weights and in a log. */
#include "tests/cuda_sides.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

extern bool zo_shim_reverse; /* tests/shim/cuda_runtime.h */

/* sweeps ------------------------------------------------------------------------------------------------------------------------------ */

enum { W, ODD, TABLE, NARROW, BIAS, ONE, PARAMS };

typedef struct world { zo_layout layout; zo_store *store[SIDES], *state[SIDES][3]; zo_factors *factors[SIDES]; } world;

/* Several tiles of a flat sweep, several panels, widths that are no multiple of four. */
static void world_new(world *m, zo_storage storage)
{
    *m = (world){0};
    zo_layout_add(&m->layout, "w", ZO_PARAM_MATRIX, 130, 132, 0, true);
    zo_layout_add(&m->layout, "odd", ZO_PARAM_MATRIX, 67, 70, 0, true);
    zo_layout_add(&m->layout, "table", ZO_PARAM_TABLE, 90, 36, -1, true);
    zo_layout_add(&m->layout, "narrow", ZO_PARAM_TABLE, 33, 37, -1, false);
    zo_layout_add(&m->layout, "bias", ZO_PARAM_VECTOR, 1, 130, 0, false);
    zo_layout_add(&m->layout, "one", ZO_PARAM_VECTOR, 1, 1, 0, true);
    int ranks[PARAMS] = {5, 19, 16, 3};
    for (int side = 0; side < SIDES; side++) {
        zo_backend *be = backend_of(side);
        m->store[side] = zo_store_new_as(be, &m->layout, storage, ZO_TAG_PARAMS);
        m->factors[side] = zo_factors_new(be, &m->layout, ranks, -0.5, 11);
        for (int i = 0; i < 3; i++) {
            m->state[side][i] = zo_store_new(be, &m->layout, ZO_TAG_OPT_STATE);
        }
        for (int t = 0; t < PARAMS; t++) {
            be->init_normal(be, m->store[side], t, 5, 0.3f);
            be->init_normal(be, m->state[side][0], t, 6, 0.02f);
        }
    }
}

static void world_free(world *m)
{
    for (int side = 0; side < SIDES; side++) {
        zo_backend *be = backend_of(side);
        zo_store_free(be, m->store[side]);
        zo_factors_free(be, m->factors[side]);
        for (int i = 0; i < 3; i++) {
            zo_store_free(be, m->state[side][i]);
        }
    }
    zo_layout_free(&m->layout);
}

static void same_bits(const world *m, const char *what)
{
    size_t bytes = (size_t)m->layout.size * sizeof(uint16_t);
    uint16_t *x[SIDES];
    for (int side = 0; side < SIDES; side++) {
        x[side] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
        backend_of(side)->download(backend_of(side), x[side], m->store[side]->half, bytes); /* with the padding */
    }
    ck_assert_msg(memcmp(x[CPU], x[CUDA], bytes) == 0, "%s, %s: the weights differ from the CPU's", what, zo_storage_name(m->store[CPU]->storage));
    uint64_t hash = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < bytes / sizeof *x[0]; i++) {
        hash = (hash ^ x[CUDA][i]) * 0x100000001b3ull;
    }
    printf("%-34s %-5s equal bits, hash %016llx\n", what, zo_storage_name(m->store[CPU]->storage), (unsigned long long)hash);
    zo_free(x[CPU]);
    zo_free(x[CUDA]);
}

static void apply(world *m, const char *what, bool factored, double decay, const zo_term *term, int n, const zo_touched *touched)
{
    uint64_t written[SIDES];
    for (int side = 0; side < SIDES; side++) {
        zo_backend *be = backend_of(side);
        zo_counters counters;
        zo_counters_reset();
        be->apply(be, m->store[side], factored ? m->factors[side] : NULL, decay, term, n, touched);
        zo_counters_read(&counters);
        written[side] = counters.weight_bytes_written;
    }
    ck_assert_uint_eq(written[CPU], written[CUDA]);
    same_bits(m, what);
}

/* Bits 0 and 1 of _i: the type, the order of threads. */
START_TEST(sweeps)
{
    world m;
    world_new(&m, _i & 1 ? ZO_STORAGE_F16 : ZO_STORAGE_BF16);
    zo_shim_reverse = _i & 2;
    same_bits(&m, "init_normal");
    float span[43];
    ck_assert_int_eq(m.factors[CPU]->ncoef, 43);
    zo_normals((zo_stream){.seed = 21, .role = ZO_ROLE_DATA}, 0, 43, span);
    zo_dir gauss = {.kind = ZO_DIR_DENSE, .seed = 7ull << 40 | 3, .step = 3, .query = 1}, rest = gauss, cp = gauss;
    zo_dir spanned = {.kind = ZO_DIR_SPAN, .span = span};
    rest.kind = ZO_DIR_REST;
    cp.kind = ZO_DIR_CP;
    zo_term one[] = {{gauss, 1e-2}}, back[] = {{gauss, -1e-2}, {gauss, -2e-3}}, mixed[] = {{rest, 1e-2}, {cp, -2e-2}, {gauss, 1e-2}, {spanned, 0.05}};
    const int params[] = {TABLE, NARROW};
    const int32_t table_rows[] = {0, 3, 4, 5, 40, 89}, narrow_rows[] = {1, 2, 9, 32}, *rows[] = {table_rows, narrow_rows}, counts[] = {6, 4};
    zo_touched some = {.nparams = 2, .param = params, .row = rows, .n = counts};
    apply(&m, "apply: out", false, 1.0, one, 1, NULL);
    apply(&m, "apply: back and update, decay", false, 0.99, back, 2, NULL);
    apply(&m, "apply: touched rows", false, 0.99, back, 2, &some);
    zo_dir signs = gauss;
    signs.draw = ZO_DRAW_RADEMACHER;
    signs.skip.in = 1;
    zo_term drawn[] = {{gauss, 1e-2}, {signs, 1e-2}};
    apply(&m, "apply: signs on a part of the blocks", false, 0.99, drawn, 2, NULL);
    apply(&m, "apply: REST + CP + GAUSS + SPAN", true, 0.99, mixed, 4, NULL);
    apply(&m, "apply: the same, touched rows", true, 1.0, mixed, 4, &some);
    for (uint32_t step = 0; step < 30; step++) { /* a run in place, without its losses */
        zo_dir z = {.kind = ZO_DIR_DENSE, .seed = 42, .step = step};
        zo_term out[] = {{z, 1e-3}}, flip[] = {{z, -2e-3}}, home[] = {{z, 1e-3}, {z, 1e-3 * sin(step)}};
        for (int side = 0; side < SIDES; side++) {
            zo_backend *be = backend_of(side);
            be->apply(be, m.store[side], NULL, 1.0, out, 1, NULL);
            be->apply(be, m.store[side], NULL, 1.0, flip, 1, NULL);
            be->apply(be, m.store[side], NULL, 1.0, home, 2, NULL);
        }
    }
    same_bits(&m, "replay of 30 steps");
    float first[43], second[43];
    for (int i = 0; i < 43; i++) {
        first[i] = 0.1f * span[i];
        second[i] = fabsf(span[i]);
    }
    for (int rule = 0; rule <= ZO_RULES; rule++) {
        zo_rule_args args = {.lr = 1e-2f, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .correct1 = 0.1f, .correct2 = 0.01f};
        for (int side = 0; side < SIDES; side++) {
            zo_backend *be = backend_of(side);
            zo_store **s = m.state[side];
            if (rule == ZO_RULES) {
                be->rule_lowrank(be, ZO_RULE_QUOTIENT, &args, m.store[side], m.factors[side], first, second);
            } else {
                bool second_used = rule == ZO_RULE_ADAMW || rule == ZO_RULE_QUOTIENT || rule == ZO_RULE_MOMENTS || zo_rule_replays((zo_rule_kind)rule) ||
                                    zo_rule_pairs((zo_rule_kind)rule);
                be->rule(be, (zo_rule_kind)rule, &args, m.store[side], s[0], rule != ZO_RULE_SGD && rule != ZO_RULE_SIGN ? s[1] : NULL, second_used ? s[2] : NULL);
            }
        }
        same_bits(&m, rule == ZO_RULES ? "rule_lowrank" : "rule");
    }
    zo_backend *gpu = backend_of(CUDA);
    ck_assert(gpu->finite(gpu, m.store[CUDA]));
    float bad = NAN;
    zo_store_set(gpu, m.store[CUDA], ONE, &bad);
    ck_assert(!gpu->finite(gpu, m.store[CUDA]));
    zo_shim_reverse = false;
    world_free(&m);
}
END_TEST

/* models ------------------------------------------------------------------------------------------------------------------------------ */

/* Losses at three points, stored and streamed, in every storage and precision: as f32 weights of the same values have them on this backend,
 * and on the CPU where that has the precision. */
START_TEST(passes)
{
    enum { POINTS = 3 };
    static const double limit[ZO_PRECISIONS] = {[ZO_F32] = 2e-5, [ZO_BF16] = 2e-2, [ZO_TF32] = 2e-3, [ZO_F16] = 2e-3};
    for (int half = ZO_STORAGE_BF16; half <= ZO_STORAGE_F16; half++) {
        for (int precision = 0; precision < ZO_PRECISIONS; precision++) {
            double loss[2][2][POINTS], with_cpu = 0.0, with_f32 = 0.0; /* [f32 or half][CPU or CUDA] */
            bool on_cpu = precision == ZO_F32 || (precision == ZO_BF16 && backend_of(CPU)->bf16);
            for (int turn = 0; turn < 4; turn++) {
                int side = turn % 2, held = turn / 2;
                if (side == CPU && !on_cpu) {
                    continue;
                }
                zo_backend *be = backend_of(side);
                zo_model *model = model_of(be, held_family[_i], held ? (zo_storage)half : ZO_STORAGE_F32, (zo_precision)precision, NULL);
                if (!held) {
                    round_weights(model, (zo_storage)half);
                }
                zo_batch *b = batch_of(model, 1);
                zo_model_reserve(model, b->tokens, b->rows, b->scores, POINTS, ZO_FORWARD_ONLY, NULL);
                const zo_store *base[POINTS] = {zo_model_store(model), zo_model_store(model), zo_model_store(model)};
                zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 3, .step = 1};
                float coef[POINTS] = {1e-2f, -1e-2f, 0.0f};
                zo_view view = {.npoints = POINTS, .base = base, .ndirs = 1, .dir = &dir, .coef = coef};
                double alone[2];
                zo_view stored = {.npoints = 2, .base = base};
                zo_model_losses(model, &view, b, loss[held][side]);
                zo_model_losses(model, &stored, b, alone); /* nothing acts: weights are read where they stand, or converted */
                ck_assert(alone[0] == alone[1] && fabs(alone[0] - loss[held][side][2]) < limit[precision]);
                loss[held][side][2] = alone[0];
                zo_batch_free(b);
                zo_model_close(model);
            }
            for (int p = 0; p < POINTS; p++) {
                ck_assert(isfinite(loss[1][CUDA][p]));
                with_f32 = fmax(with_f32, fabs(loss[1][CUDA][p] - loss[0][CUDA][p]));
                with_cpu = on_cpu ? fmax(with_cpu, fabs(loss[1][CUDA][p] - loss[1][CPU][p])) : with_cpu;
            }
            printf("losses, %-6s held in %-4s, products in %-4s: differ from f32 weights' by %.1e%s", families[held_family[_i]], zo_storage_name((zo_storage)half),
                   zo_precision_name((zo_precision)precision), with_f32, on_cpu ? "" : "\n");
            if (on_cpu) {
                printf(", from the CPU's by %.1e\n", with_cpu);
            }
            ck_assert(with_f32 < limit[precision] && with_cpu < limit[precision]);
        }
    }
}
END_TEST

/* Runs, of all parameters and of some: the losses of the CPU, and where updates go into the weights its weights to a rounding here and there. */
START_TEST(runs)
{
    static const setting of[] = {
        {.optimizer = "mezo", .realisation = ZO_INPLACE},
        {.optimizer = "mezo", .realisation = ZO_STREAMED},
        {.optimizer = "mezo", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 12},
        {.optimizer = "mezo-svrg", .options = "{\"mode\": \"paper\", \"q\": 2}", .realisation = ZO_STREAMED},
        {.optimizer = "mezo-svrg", .options = "{\"mode\": \"paper\", \"q\": 2}", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG},
        {.optimizer = "mezo", .options = "{\"draw\": \"rademacher\"}", .realisation = ZO_STREAMED},
        {.optimizer = "lezo", .options = "{\"sparsity\": 0.5}", .realisation = ZO_INPLACE},
        {.optimizer = "lezo", .options = "{\"sparsity\": 0.5, \"draw\": \"rademacher\"}", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG},
        {.optimizer = "conmezo", .realisation = ZO_INPLACE},
        {.optimizer = "conmezo", .options = "{\"mode\": \"released\"}", .realisation = ZO_STREAMED},
        {.optimizer = "mezo-adam", .realisation = ZO_STREAMED},
        {.optimizer = "tezo", .realisation = ZO_SIDEPATH},
        {.optimizer = "tezo", .realisation = ZO_SIDEPATH, .accumulate = ZO_ACCUMULATE_LOG},
        {.optimizer = "tezo-m", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 6},
        {.optimizer = "tezo-adam", .realisation = ZO_STREAMED},
        {.optimizer = "lozo", .options = "{\"rank\": 3, \"period\": 2, \"mode\": \"released\"}", .realisation = ZO_INPLACE},
        {.optimizer = "lozo-m", .options = "{\"rank\": 3, \"period\": 2}", .realisation = ZO_STREAMED},
        {.optimizer = "subzo", .options = "{\"rank\": 3, \"period\": 2}", .realisation = ZO_INPLACE},
        {.optimizer = "dizo", .options = "{\"on\": \"all\", \"kappa\": 1, \"iterations\": 2}", .realisation = ZO_INPLACE},
        {.optimizer = "lozo", .options = "{\"rank\": 3, \"period\": 2}", .realisation = ZO_SIDEPATH, .accumulate = ZO_ACCUMULATE_LOG},
        {.optimizer = "lozo-m", .options = "{\"rank\": 3, \"period\": 2}", .realisation = ZO_SIDEPATH},
        {.optimizer = "subzo", .options = "{\"rank\": 3, \"period\": 2}", .realisation = ZO_SIDEPATH},
        {.optimizer = "subzo", .options = "{\"rank\": 3, \"period\": 2}", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG},
        {.optimizer = "zo-muon", .options = "{\"rank\": 3, \"period\": 2, \"queries\": 2}", .realisation = ZO_INPLACE},
        {.optimizer = "subzero-plus", .options = "{\"rank\": 3, \"period\": 2, \"queries\": 3}", .realisation = ZO_INPLACE}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        setting s = of[i];
        s.family = _i % 2 ? LLAMA : BERT;
        s.tune = _i < 2 ? NULL : _i == 4 ? "prefix tokens 3 init random" : _i == 5 ? "lora rank 3 on all" : _i % 2 ? "pattern on layer.1.*,layer.0.attn.q.weight" : "bias";
        s.storage = i % 2 ? ZO_STORAGE_F16 : ZO_STORAGE_BF16;
        s.lr = 1e-5;
        s.steps = s.steps > 0 ? s.steps : 4;
        result r[SIDES];
        double worst = 0.0, apart = 0.0;
        for (int side = 0; side < SIDES; side++) {
            r[side] = run_of(backend_of(side), &s);
            ck_assert_msg(r[side].status == ZO_OK, "%s", storage_err.text);
        }
        for (int step = 0; step < s.steps; step++) {
            worst = fmax(worst, fabs(r[CPU].loss[step] - r[CUDA].loss[step]));
        }
        for (int64_t j = 0; j < r[CPU].size; j++) {
            apart = fmax(apart, fabs((double)r[CPU].weights[j] - (double)r[CUDA].weights[j]));
        }
        printf("%-10s %-9s %-7s %-4s %-6s losses of %d steps differ by %.1e, weights by %.1e\n", s.optimizer, zo_realisation_name(s.realisation),
               zo_accumulate_name(s.accumulate), zo_storage_name(s.storage), families[s.family], s.steps, worst, apart);
        ck_assert(worst < 1e-3 && fabs(r[CPU].settled - r[CUDA].settled) < 1e-3 && apart < 2e-2);
        ck_assert(s.accumulate != ZO_ACCUMULATE_LOG || (apart == 0.0 && r[CUDA].moved == 0));
        zo_free(r[CPU].weights);
        zo_free(r[CPU].before);
        zo_free(r[CUDA].weights);
        zo_free(r[CUDA].before);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cuda_storage");
    TCase *tests = tcase_create("cuda_storage");
    tcase_set_timeout(tests, 300);
    tcase_add_loop_test(tests, sweeps, 0, 4);
    tcase_add_loop_test(tests, passes, 0, HELD_FAMILIES);
    tcase_add_loop_test(tests, runs, 0, 6);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
