/* test_storage.c: weights held in bf16 and f16, and updates kept in a log, on the CPU backend: sweeps against a scalar oracle in every bit,
 * forward passes against f32 weights of the same values, a log against f32 weights that the same updates went into, and what 16-bit weights
 * lose of small updates. */
#include <stdlib.h>
#include <unistd.h>

#include "core/io.h"
#include "optimizers/engine/term_log.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

static zo_backend *backend(int threads)
{
    static zo_backend *open[8];
    if (open[threads] == NULL) {
        ck_assert_msg(zo_backend_open("cpu", threads, &open[threads], &storage_err) == ZO_OK, "%s", storage_err.text);
    }
    return open[threads];
}

/* sweeps ---------------------------------------------------------------------------------------------------------------------- */

enum { W, TABLE, BIAS, ONE, PARAMS, TERMS = 8, RANK = 5 };

static void layout_of(zo_layout *layout)
{
    memset(layout, 0, sizeof *layout);
    zo_layout_add(layout, "w", ZO_PARAM_MATRIX, 70, 67, 0, true);
    zo_layout_add(layout, "table", ZO_PARAM_TABLE, 50, 36, -1, true);
    zo_layout_add(layout, "bias", ZO_PARAM_VECTOR, 1, 1300, 0, false);
    zo_layout_add(layout, "one", ZO_PARAM_VECTOR, 1, 1, 0, false);
}

static void fill(zo_backend *be, zo_store *store)
{
    for (int t = 0; t < store->layout->n; t++) {
        be->init_normal(be, store, t, 5, 0.3f);
    }
}

static float scalar_round(zo_storage storage, float x)
{
    return storage == ZO_STORAGE_BF16 ? zo_bf16_to(zo_bf16_from(x)) : zo_f16_to(zo_f16_from(x));
}

/* A direction on a parameter, (rows, cols), which the caller frees; NULL where it does not act. */
static float *direction(const zo_dir *dir, const zo_factors *f, int param)
{
    const zo_param *p = &f->layout->param[param];
    int64_t n = p->rows * p->cols;
    int rank = f->rank[param];
    if (!zo_dir_acts(dir->kind, zo_dir_skip(dir), p->block, rank)) {
        return NULL;
    }
    float *z = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *z), a[RANK];
    if (dir->kind == ZO_DIR_DENSE || dir->kind == ZO_DIR_REST) {
        zo_numbers(dir->draw, (zo_stream){.seed = dir->seed, .tensor = p->id, .step = dir->step, .query = dir->query, .role = ZO_ROLE_Z}, 0, n, z);
        return z;
    }
    zo_dir_coefs(dir, f, param, a);
    for (int64_t i = 0; i < n; i++) {
        for (int s = 0; s < rank; s++) {
            z[i] = fmaf(a[s] * f->scale[param] * f->u[param][i / p->cols * rank + s], f->v[param][i % p->cols * rank + s], z[i]);
        }
    }
    return z;
}

START_TEST(sweeps_round_each_term)
{
    zo_storage storage = _i % 2 ? ZO_STORAGE_F16 : ZO_STORAGE_BF16;
    zo_backend *be = backend(_i < 2 ? 1 : 3);
    zo_layout layout;
    layout_of(&layout);
    int ranks[PARAMS] = {RANK};
    zo_factors *f = zo_factors_new(be, &layout, ranks, -0.5, 11);
    float span[RANK] = {0.5f, -1.0f, 0.25f, 2.0f, -0.125f};
    zo_dir z = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 3}, rest = {.kind = ZO_DIR_REST, .seed = 7, .step = 4}, cp = {.kind = ZO_DIR_CP, .seed = 7, .step = 5};
    zo_dir sum = {.kind = ZO_DIR_SPAN, .span = span};
    zo_dir signs = {.kind = ZO_DIR_DENSE, .draw = ZO_DRAW_RADEMACHER, .seed = 7, .step = 3}, beside = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 6, .skip = {.in = 1}};
    zo_term term[TERMS] = {{z, 1e-3}, {cp, -2e-2}, {rest, 1e-2}, {z, -2e-3}, {signs, 3e-3}, {beside, 5e-3}, {sum, 3e-3}, {z, 1e-3}};
    zo_store *a = zo_store_new_as(be, &layout, storage, ZO_TAG_PARAMS), *b = zo_store_new_as(be, &layout, storage, ZO_TAG_PARAMS);
    ck_assert_ptr_null(a->data);
    fill(be, a);
    size_t bytes = (size_t)layout.size * sizeof(uint16_t);
    uint16_t *want = zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
    const int32_t some[] = {0, 3, 4, 49}, *rows[] = {some}, n[] = {4};
    const int table[] = {TABLE};
    zo_touched touched = {.nparams = 1, .param = table, .row = rows, .n = n};
    for (int part = 0; part < 2; part++) {
        memcpy(want, a->half, bytes);
        memcpy(b->half, a->half, bytes);
        float decay = 0.999f;
        for (int t = 0; t < PARAMS; t++) {
            const zo_param *p = &layout.param[t];
            float *along[TERMS];
            for (int k = 0; k < TERMS; k++) {
                along[k] = direction(&term[k].dir, f, t);
            }
            for (int64_t i = 0; i < p->rows * p->cols; i++) {
                int64_t row = i / p->cols;
                if (part && t == TABLE && row != 0 && row != 3 && row != 4 && row != 49) {
                    continue;
                }
                float x = zo_half_to(storage, want[p->offset + i]);
                x = p->decay ? scalar_round(storage, x * decay) : x;
                for (int k = 0; k < TERMS; k++) {
                    x = along[k] != NULL ? scalar_round(storage, fmaf((float)term[k].coef, along[k][i], x)) : x;
                }
                want[p->offset + i] = zo_half_from(storage, x);
            }
            for (int k = 0; k < TERMS; k++) {
                zo_free(along[k]);
            }
        }
        be->apply(be, a, f, decay, term, TERMS, part ? &touched : NULL);
        ck_assert_msg(memcmp(a->half, want, bytes) == 0, "%s, part %d: a sweep differs from the scalar one", zo_storage_name(storage), part);
        /* and no bit depends on what is swept together */
        be->apply(be, b, f, decay, NULL, 0, part ? &touched : NULL);
        for (int k = 0; k < TERMS; k++) {
            be->apply(be, b, f, 1.0, &term[k], 1, part ? &touched : NULL);
        }
        ck_assert_msg(memcmp(b->half, want, bytes) == 0, "%s, part %d: sweeps of one term each differ", zo_storage_name(storage), part);
    }
    zo_free(want);
    zo_store_free(be, a);
    zo_store_free(be, b);
    zo_factors_free(be, f);
    zo_layout_free(&layout);
}
END_TEST

/* Rules and TeZO-Adam's sweep: what f32 weights of the same values become, rounded once. Values in and out, and what is not finite. */
START_TEST(other_sweeps_round_once)
{
    zo_storage storage = _i ? ZO_STORAGE_F16 : ZO_STORAGE_BF16;
    zo_backend *be = backend(3);
    zo_layout layout;
    layout_of(&layout);
    int ranks[PARAMS] = {RANK};
    zo_factors *f = zo_factors_new(be, &layout, ranks, -0.5, 11);
    zo_store *half = zo_store_new_as(be, &layout, storage, ZO_TAG_PARAMS), *full = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    zo_store *state[2][3]; /* gradient and moments, once for each of the two */
    size_t count = (size_t)layout.size;
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, count * sizeof *x);
    for (int i = 0; i < 6; i++) {
        state[i / 3][i % 3] = zo_store_new(be, &layout, ZO_TAG_OPT_STATE);
        fill(be, state[i / 3][i % 3]);
        for (size_t j = 0; j < count; j++) {
            state[i / 3][i % 3]->data[j] = fabsf(state[i / 3][i % 3]->data[j]);
        }
    }
    fill(be, half);
    zo_store_read(be, half, 0, layout.size, full->data);
    fill(be, state[0][0]);
    memcpy(state[1][0]->data, state[0][0]->data, count * sizeof(float));
    for (size_t i = 0; i < count; i++) { /* drawn as f32 and rounded */
        float drawn = scalar_round(storage, state[0][0]->data[i]);
        ck_assert_msg(memcmp(&full->data[i], &drawn, sizeof drawn) == 0, "initial weight %zu is %g, not %g", i, full->data[i], drawn);
    }
    float m[RANK] = {0.1f, -0.2f, 0.3f, 0.4f, -0.5f}, v[RANK] = {0.1f, 0.2f, 0.3f, 0.4f, 0.5f};
    for (int rule = 0; rule <= ZO_RULES; rule++) {
        zo_rule_args args = {.lr = 1e-2f, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .correct1 = 0.1f, .correct2 = 0.01f};
        if (rule == ZO_RULES) {
            be->rule_lowrank(be, ZO_RULE_QUOTIENT, &args, half, f, m, v);
            be->rule_lowrank(be, ZO_RULE_QUOTIENT, &args, full, f, m, v);
        } else {
            bool first = rule != ZO_RULE_SGD && rule != ZO_RULE_SIGN, second = rule == ZO_RULE_ADAMW || rule == ZO_RULE_QUOTIENT || rule == ZO_RULE_MOMENTS || zo_rule_replays((zo_rule_kind)rule) ||
                                    zo_rule_pairs((zo_rule_kind)rule);
            be->rule(be, (zo_rule_kind)rule, &args, half, state[0][0], first ? state[0][1] : NULL, second ? state[0][2] : NULL);
            be->rule(be, (zo_rule_kind)rule, &args, full, state[1][0], first ? state[1][1] : NULL, second ? state[1][2] : NULL);
        }
        for (size_t i = 0; i < count; i++) {
            full->data[i] = scalar_round(storage, full->data[i]);
        }
        zo_store_read(be, half, 0, layout.size, x);
        ck_assert_msg(memcmp(x, full->data, count * sizeof *x) == 0, "%s: rule %d", zo_storage_name(storage), rule);
        for (int i = 1; i < 3; i++) {
            ck_assert(memcmp(state[0][i]->data, state[1][i]->data, count * sizeof *x) == 0);
        }
    }
    zo_store_set(be, half, BIAS, x + layout.param[BIAS].offset); /* what was read goes back in the same bits */
    zo_store_read(be, half, 0, layout.size, full->data);
    ck_assert(memcmp(x, full->data, count * sizeof *x) == 0);
    ck_assert(be->finite(be, half));
    for (int i = 0; i < 2; i++) {
        float bad = i ? NAN : 1e30f, was = x[layout.param[ONE].offset];
        zo_store_set(be, half, ONE, &bad);
        ck_assert_int_eq(be->finite(be, half), storage == ZO_STORAGE_BF16 && i == 0); /* 1e30 is infinite in f16 */
        zo_store_set(be, half, ONE, &was);
    }
    for (int i = 0; i < 6; i++) {
        zo_store_free(be, state[i / 3][i % 3]);
    }
    zo_free(x);
    zo_store_free(be, half);
    zo_store_free(be, full);
    zo_factors_free(be, f);
    zo_layout_free(&layout);
}
END_TEST

/* A wide matrix, whose blocks of rows are cut otherwise when they are formed than when the products read them where they stand. */
START_TEST(wide_products)
{
    enum { ROWS = 200, COLS = 6400, T = 9, POINTS = 2 };
    zo_backend *be = backend(3);
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, ROWS, COLS, 0, true);
    zo_store *store[2] = {zo_store_new_as(be, &layout, ZO_STORAGE_BF16, ZO_TAG_PARAMS), zo_store_new(be, &layout, ZO_TAG_PARAMS)};
    fill(be, store[0]);
    zo_store_read(be, store[0], 0, layout.size, store[1]->data);
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, POINTS * T * COLS * sizeof *x), *y[2];
    zo_normals((zo_stream){.seed = 9, .role = ZO_ROLE_DATA}, 0, POINTS * T * COLS, x);
    zo_dir z = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 3};
    float coef[POINTS] = {1e-3f, -1e-3f};
    for (int precision = ZO_F32; precision <= (be->bf16 ? ZO_BF16 : ZO_F32); precision++) {
        for (int dirs = 0; dirs < 2; dirs++) {
            for (int s = 0; s < 2; s++) {
                const zo_store *base[POINTS] = {store[s], store[s]};
                zo_view view = {.npoints = POINTS, .base = base, .ndirs = dirs, .dir = &z, .coef = coef};
                y[s] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, POINTS * T * ROWS * sizeof *x);
                be->linear(be, &view, (zo_precision)precision, 0, -1, ZO_ACT_NONE, x, T, false, y[s], NULL);
            }
            ck_assert_msg(memcmp(y[0], y[1], POINTS * T * ROWS * sizeof *x) == 0, "%s, %d directions", zo_precision_name((zo_precision)precision),
                          dirs);
            zo_free(y[0]);
            zo_free(y[1]);
        }
    }
    zo_free(x);
    zo_store_free(be, store[0]);
    zo_store_free(be, store[1]);
    zo_layout_free(&layout);
}
END_TEST

/* models ---------------------------------------------------------------------------------------------------------------------- */

/* Passes over 16-bit weights have the bits of passes over f32 weights of the same values, stored or streamed, in each precision; that is
 * also what a checkpoint of that type gives in its own storage. Half the bytes. */
START_TEST(passes_equal_f32)
{
    enum { POINTS = 3 };
    for (int half = ZO_STORAGE_BF16; half <= ZO_STORAGE_F16; half++) {
        for (int precision = ZO_F32; precision <= (backend(2)->bf16 ? ZO_BF16 : ZO_F32); precision++) {
            double loss[2][POINTS], alone[2], nll[2][2];
            int32_t choice[2][2];
            uint64_t params[2];
            for (int s = 0; s < 2; s++) {
                uint64_t before = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_PARAMS];
                zo_model *model = model_of(backend(2), held_family[_i], s ? (zo_storage)half : ZO_STORAGE_F32, (zo_precision)precision, NULL);
                params[s] = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_PARAMS] - before;
                if (s == 0) {
                    round_weights(model, (zo_storage)half);
                }
                zo_batch *b = batch_of(model, 1);
                zo_model_reserve(model, b->tokens, b->rows, b->scores, POINTS, ZO_FORWARD_ONLY, NULL);
                const zo_store *base[POINTS] = {zo_model_store(model), zo_model_store(model), zo_model_store(model)};
                zo_dir dir[2] = {{.kind = ZO_DIR_DENSE, .seed = 3, .step = 1}, {.kind = ZO_DIR_DENSE, .seed = 3, .step = 2}};
                float coef[POINTS * 2] = {1e-3f, 0.0f, -1e-3f, 2e-3f, 0.0f, 0.0f};
                zo_view view = {.npoints = POINTS, .base = base, .ndirs = 2, .dir = dir, .coef = coef};
                zo_model_losses(model, &view, b, loss[s]);
                zo_view stored = zo_view_stored(base);
                zo_model_losses(model, &stored, b, &alone[s]);
                zo_model_predict(model, &stored, b, choice[s], nll[s]);
                zo_batch_free(b);
                zo_model_close(model);
            }
            ck_assert_uint_eq(params[0], 2 * params[1]);
            ck_assert(isfinite(loss[0][0]) && loss[0][0] != loss[0][1]);
            ck_assert_msg(memcmp(loss[0], loss[1], sizeof loss[0]) == 0, "%s %s %s: %.9g and %.9g", families[held_family[_i]], zo_storage_name((zo_storage)half),
                          zo_precision_name((zo_precision)precision), loss[0][0], loss[1][0]);
            ck_assert(memcmp(&alone[0], &alone[1], sizeof alone[0]) == 0 && memcmp(nll[0], nll[1], sizeof nll[0]) == 0 &&
                      memcmp(choice[0], choice[1], sizeof choice[0]) == 0);
        }
    }
}
END_TEST

START_TEST(out_of_range)
{
    zo_model *model = model_of(backend(2), BERT, ZO_STORAGE_F32, ZO_F32, NULL), *again;
    char folder[] = "build/test_storage.XXXXXX", path[128];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    zo_store *store = zo_model_store(model);
    int at = zo_layout_find(store->layout, "layer.0.mlp.up.bias");
    ck_assert_int_ge(at, 0);
    store->data[store->layout->param[at].offset + 1] = 7e4f;
    ck_assert_msg(zo_model_save(model, folder, &storage_err) == ZO_OK, "%s", storage_err.text);
    zo_model_close(model);
    zo_model_spec spec = {.folder = folder, .head = ZO_HEAD_CLASS, .classes = CLASSES, .storage = ZO_STORAGE_F16};
    ck_assert_int_eq(zo_model_open(&again, &spec, backend(2), &storage_err), ZO_EINPUT);
    ASSERT_HAS(storage_err.text, folder);
    ASSERT_HAS(storage_err.text, "layer.0.mlp.up.bias");
    ASSERT_HAS(storage_err.text, "\"storage\": \"bf16\"");
    spec.storage = ZO_STORAGE_BF16;
    ck_assert_msg(zo_model_open(&again, &spec, backend(2), &storage_err) == ZO_OK, "%s", storage_err.text);
    zo_model_close(again);
    static const char *const file[] = {"config.json", "model.safetensors"};
    for (int i = 0; i < 2; i++) {
        unlink(zo_path_join(path, sizeof path, folder, file[i]));
    }
    rmdir(folder);
}
END_TEST

/* runs -------------------------------------------------------------------------------------------------------------------------- */

/* The log itself: one term a direction, marks that know the terms of their time, and room for ZO_LOG_MOST. */
START_TEST(terms_of_a_log)
{
    zo_term_log log;
    zo_log_mark mark = {0};
    zo_term_log_open(&log);
    zo_term a = {{.kind = ZO_DIR_DENSE, .seed = 7, .step = 1}, 0.5}, b = a, none = a;
    b.dir.step = 2;
    none.dir.step = 3;
    none.coef = 0.0;
    ck_assert(zo_term_log_add(&log, &a, &storage_err) == ZO_OK && zo_term_log_add(&log, &a, &storage_err) == ZO_OK);
    zo_log_mark_take(&mark, &log, ZO_TAG_SNAPSHOT);
    ck_assert(zo_term_log_add(&log, &b, &storage_err) == ZO_OK && zo_term_log_add(&log, &a, &storage_err) == ZO_OK);
    ck_assert(zo_term_log_add(&log, &none, &storage_err) == ZO_OK);
    ck_assert_int_eq(log.n, 2);
    const double now[] = {1.5, 0.5}, then[] = {1.0, 0.0};
    for (int i = 0; i < 2; i++) {
        ck_assert_double_eq(log.term[i].coef, now[i]);
        ck_assert_double_eq(zo_log_mark_coef(&mark, i), then[i]);
    }
    zo_log_mark_take(&mark, &log, ZO_TAG_SNAPSHOT);
    ck_assert_double_eq(zo_log_mark_coef(&mark, 1), now[1]);
    zo_term more = {{.kind = ZO_DIR_REST, .seed = 7}, 0.5};
    for (int i = 2; i <= ZO_LOG_MOST; i++, more.dir.step++) {
        ck_assert_int_eq(zo_term_log_add(&log, &more, &storage_err), i < ZO_LOG_MOST ? ZO_OK : ZO_EUNSUPPORTED);
    }
    ck_assert(log.n == ZO_LOG_MOST && zo_term_log_add(&log, &a, &storage_err) == ZO_OK); /* one that is there */
    zo_term_log_close(&log);
    zo_free(mark.coef);
}
END_TEST

/* Of a dense direction a step, base + log is the sum that f32 weights would have gone through, term by term: every bit of every loss. */
START_TEST(log_is_an_f32_master)
{
    static const struct { const char *optimizer; zo_realisation realisation; } of[] = {{"mezo", ZO_STREAMED}, {"tezo", ZO_SIDEPATH}, {"tezo-m", ZO_SIDEPATH}};
    for (int half = ZO_STORAGE_BF16; half <= ZO_STORAGE_F16; half++) {
        setting s = {.optimizer = of[_i].optimizer, .family = LLAMA, .realisation = of[_i].realisation, .rounded = (zo_storage)half, .lr = 1e-4, .steps = STEPS};
        result master = run_of(backend(2), &s);
        s.storage = (zo_storage)half;
        s.accumulate = ZO_ACCUMULATE_LOG;
        result logged = run_of(backend(2), &s);
        ck_assert_int_eq(master.status, ZO_OK);
        ck_assert_msg(logged.status == ZO_OK, "%s", storage_err.text);
        for (int i = 0; i < STEPS; i++) {
            ck_assert_msg(master.loss[i] == logged.loss[i], "%s: loss %d is %.9g, with f32 weights %.9g", of[_i].optimizer, i, logged.loss[i],
                          master.loss[i]);
        }
        ck_assert_double_eq(master.settled, logged.settled);
        ck_assert_int_eq(logged.moved, 0); /* the base is never written */
        ck_assert_int_gt(master.moved, 0);
        zo_free(master.weights);
        zo_free(master.before);
        zo_free(logged.weights);
        zo_free(logged.before);
    }
}
END_TEST

/* TeZO's steps cost the same however many came before: as many normals are drawn in each, far beyond what a log has room for; the losses are
 * those of updates in f32 weights, to the bit. */
START_TEST(a_log_of_low_rank_does_not_grow)
{
    static const struct { const char *optimizer, *options; zo_storage storage; zo_realisation realisation; } of[] = {
        {"tezo", NULL, ZO_STORAGE_F32, ZO_SIDEPATH},
        {"tezo-m", NULL, ZO_STORAGE_F32, ZO_STREAMED},
        {"tezo", "{\"embeddings\": \"rest\"}", ZO_STORAGE_BF16, ZO_SIDEPATH},
        {"tezo-m", NULL, ZO_STORAGE_F16, ZO_SIDEPATH},
        {"tezo", NULL, ZO_STORAGE_BF16, ZO_STREAMED},
        {"tezo", "{\"rest\": \"freeze\"}", ZO_STORAGE_BF16, ZO_SIDEPATH}};
    static const int steps[] = {10, 20, ZO_LOG_MOST + 40};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        uint64_t drawn[3];
        double settled[2];
        setting s = {.optimizer = of[k].optimizer, .options = of[k].options, .family = LLAMA, .realisation = of[k].realisation, .rounded = of[k].storage,
                     .lr = 1e-4};
        for (int logged = 0; logged < 2; logged++) {
            s.storage = logged ? of[k].storage : ZO_STORAGE_F32;
            s.accumulate = logged ? ZO_ACCUMULATE_LOG : ZO_ACCUMULATE_WEIGHTS;
            for (int i = logged ? 0 : 2; i < 3; i++) {
                s.steps = steps[i];
                zo_counters_reset();
                result r = run_of(backend(2), &s);
                zo_counters counters;
                zo_counters_read(&counters);
                drawn[i] = counters.normals;
                ck_assert_msg(r.status == ZO_OK, "%s: %s", of[k].optimizer, storage_err.text);
                settled[logged] = r.settled;
                zo_free(r.weights);
                zo_free(r.before);
            }
        }
        ck_assert(k == sizeof of / sizeof *of - 1 ? drawn[1] == drawn[0] : drawn[1] > drawn[0]); /* the last draws nothing but its coefficients */
        ck_assert_msg(drawn[2] - drawn[1] == (uint64_t)(steps[2] - 20) / 10 * (drawn[1] - drawn[0]) + (uint64_t)(steps[2] % 10) * (drawn[1] - drawn[0]) / 10,
                      "case %zu: %llu, %llu and %llu normals", k, (unsigned long long)drawn[0], (unsigned long long)drawn[1], (unsigned long long)drawn[2]);
        ck_assert_msg(of[k].realisation == ZO_STREAMED || settled[0] == settled[1], "case %zu: %.9g and %.9g", k, settled[0], settled[1]);
    }
}
END_TEST

/* Where terms along one direction are summed before they are rounded (MeZO-SVRG, and streamed low-rank terms) the two agree to rounding. */
START_TEST(log_agrees_with_weights)
{
    static const setting of[] = {{.optimizer = "mezo", .options = "{\"queries\": 3}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "mezo", .options = "{\"draw\": \"rademacher\"}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "lezo", .options = "{\"sparsity\": 0.5}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "mezo-svrg", .options = "{\"mode\": \"paper\", \"q\": 4}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "mezo-svrg", .options = "{\"mode\": \"released\", \"q\": 4}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "mezo-svrg", .options = "{\"mode\": \"replay\", \"q\": 4}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "tezo", .options = NULL, .lr = 1e-4, .steps = 20},
                                 {.optimizer = "tezo-m", .options = NULL, .lr = 1e-4, .steps = 20},
                                 {.optimizer = "lozo", .options = "{\"rank\": 3, \"period\": 7}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "lozo", .options = "{\"rank\": 3, \"period\": 7}", .realisation = ZO_SIDEPATH, .lr = 1e-4, .steps = 20},
                                 {.optimizer = "lozo-m", .options = "{\"rank\": 3, \"period\": 7}", .lr = 1e-4, .steps = 20},
                                 {.optimizer = "lozo-m", .options = "{\"rank\": 3, \"period\": 7, \"mode\": \"released\"}", .realisation = ZO_SIDEPATH, .lr = 1e-4, .steps = 20},
                                 {.optimizer = "subzo", .options = "{\"rank\": 5, \"period\": 7}", .realisation = ZO_SIDEPATH, .lr = 1e-4, .steps = 20}};
    setting s = of[_i];
    s.family = LLAMA;
    s.realisation = s.realisation == ZO_SIDEPATH ? ZO_SIDEPATH : ZO_STREAMED;
    s.rounded = ZO_STORAGE_BF16;
    result master = run_of(backend(2), &s);
    s.storage = ZO_STORAGE_BF16;
    s.accumulate = ZO_ACCUMULATE_LOG;
    result logged = run_of(backend(2), &s);
    ck_assert_int_eq(master.status, ZO_OK);
    ck_assert_msg(logged.status == ZO_OK, "%s", storage_err.text);
    double apart = fabs(master.settled - logged.settled), fell = fabs(master.loss[0] - master.settled);
    for (int i = 0; i < s.steps; i++) {
        apart = fmax(apart, fabs(master.loss[i] - logged.loss[i]));
    }
    printf("measured: %s %s: losses of a log and of f32 weights differ by %.1e, and move by %.1e\n", s.optimizer, s.options ? s.options : "", apart,
           fell);
    ck_assert(apart < 1e-5 && apart < 0.05 * fell);
    ck_assert_int_eq(logged.moved, 0);
    zo_free(master.weights);
    zo_free(master.before);
    zo_free(logged.weights);
    zo_free(logged.before);
}
END_TEST

/* Updates below half an ulp: bf16 weights lose nearly all of them, in place and streamed; f32 weights and a log keep them. */
START_TEST(small_updates)
{
    setting s = {.optimizer = "mezo", .family = LLAMA, .realisation = ZO_STREAMED, .rounded = ZO_STORAGE_BF16, .lr = 3e-9, .steps = STEPS};
    result master = run_of(backend(2), &s);
    s.storage = ZO_STORAGE_BF16;
    result streamed = run_of(backend(2), &s);
    s.accumulate = ZO_ACCUMULATE_LOG;
    result logged = run_of(backend(2), &s);
    double square = 0.0; /* of what the run has added: logged.weights is where it began */
    for (int64_t i = 0; i < master.size; i++) {
        square += pow((double)master.weights[i] - (double)logged.weights[i], 2.0);
    }
    double parameters = 0, n = (double)master.size;
    for (int64_t i = 0; i < master.size; i++) {
        parameters += logged.weights[i] != 0.0f;
    }
    ck_assert(parameters > 0.5 * n);
    double typical = sqrt(square / parameters / STEPS);
    printf("measured: after %d updates of %.1e an element, elements that moved: f32 %.1f %%, bf16 %.2f %%; from the loss of f32 weights differs a "
           "log's by %.1e, that of bf16 weights by %.1e\n", STEPS, typical, 100.0 * (double)master.moved / parameters,
           100.0 * (double)streamed.moved / parameters, fabs(logged.settled - master.settled), fabs(streamed.settled - master.settled));
    ck_assert(typical > 3e-8 && typical < 3e-7);
    ck_assert((double)master.moved > 0.9 * parameters);
    ck_assert((double)streamed.moved < 0.01 * parameters);
    ck_assert_double_eq(logged.settled, master.settled);
    ck_assert(streamed.settled != master.settled);
    zo_free(master.weights);
    zo_free(master.before);
    zo_free(streamed.weights);
    zo_free(streamed.before);
    zo_free(logged.weights);
    zo_free(logged.before);
}
END_TEST

/* What cannot be done is one sentence, and the run's row says it. */
START_TEST(refusals)
{
    static const struct { setting s; const char *says; } of[] = {
        {{.optimizer = "mezo", .realisation = ZO_INPLACE, .accumulate = ZO_ACCUMULATE_LOG, .steps = 1}, "\"inplace\" moves the weights"},
        {{.optimizer = "mezo", .options = "{\"weight_decay\": 0.1}", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 1},
         "no weight decay"},
        {{.optimizer = "tezo-adam", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 1}, "no sum of directions"},
        {{.optimizer = "mezo-adam", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 1}, "no sum of directions"},
        {{.optimizer = "conmezo", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 0}, "points have the set \"momentum\""},
        {{.optimizer = "fo-sgd", .realisation = ZO_INPLACE, .storage = ZO_STORAGE_BF16, .steps = 1, .no_gradients = true}, "no gradients"},
        {{.optimizer = "fo-sgd", .realisation = ZO_STREAMED, .accumulate = ZO_ACCUMULATE_LOG, .steps = 1}, "updated where they stand"},
        {{.optimizer = "mezo", .realisation = ZO_STREAMED, .storage = ZO_STORAGE_F16, .accumulate = ZO_ACCUMULATE_LOG, .steps = ZO_LOG_MOST + 1},
         "is full after 256 directions"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        setting s = of[i].s;
        s.lr = 1e-4;
        s.family = LLAMA;
        result r = run_of(backend(2), &s);
        ck_assert_msg(r.status == ZO_EUNSUPPORTED, "%s was accepted", of[i].says);
        ASSERT_HAS(storage_err.text, of[i].says);
        zo_free(r.weights);
        zo_free(r.before);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("storage");
    TCase *tests = tcase_create("storage");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, sweeps_round_each_term, 0, 4);
    tcase_add_loop_test(tests, other_sweeps_round_once, 0, 2);
    tcase_add_test(tests, wide_products);
    tcase_add_loop_test(tests, passes_equal_f32, 0, HELD_FAMILIES);
    tcase_add_test(tests, out_of_range);
    tcase_add_test(tests, terms_of_a_log);
    tcase_add_loop_test(tests, log_is_an_f32_master, 0, 3);
    tcase_add_test(tests, a_log_of_low_rank_does_not_grow);
    tcase_add_loop_test(tests, log_agrees_with_weights, 0, 13);
    tcase_add_test(tests, small_updates);
    tcase_add_test(tests, refusals);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
