/* test_masters.c: first order on weights of 16 bits: what takes the updates, what that takes of the memory, what is lost without a master, and what is
 * refused beside one. The steps' twin in float64 is in test_twins.c, the gradients in tests/models/test_halves.c, runs that go on in test_checkpoint.c. */
#include "optimizers/engine/engine_state.h"
#include "optimizers/spsa.h"
#include "tests/storage_runs.h"
#include "tests/suite.h"

static zo_backend *backend(void)
{
    static zo_backend *be;
    if (be == NULL) {
        ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &storage_err), ZO_OK);
    }
    return be;
}

static result ran(const setting *s)
{
    result r = run_of(backend(), s);
    ck_assert_msg(r.status == ZO_OK, "%s %s: %s", s->optimizer, s->options, storage_err.text);
    return r;
}

static void forget(result *r)
{
    zo_free(r->weights);
    zo_free(r->before);
}

/* Every first-order method of the list, alone and on an adapter. */
START_TEST(without_a_rate_nothing_moves)
{
    static const char *const options[] = {"{\"master\": true}", "{\"master\": false}"}, *const tune[] = {NULL, "lora rank 2 on q,v", "prefix tokens 3 init activations"};
    const zo_estimator *const *list;
    int n = zo_estimator_list(&list), runs = 0;
    for (int i = 0; i < n; i++) {
        for (int way = 0; way < 2 * 2 * 3 && list[i]->first_order; way++) {
            setting s = {.optimizer = list[i]->name, .options = options[way % 2], .tune = tune[way / 4], .family = LLAMA, .storage = way / 2 % 2 == 0 ? ZO_STORAGE_BF16 : ZO_STORAGE_F16,
                         .realisation = zo_estimator_probes(list[i]) ? ZO_STREAMED : ZO_INPLACE, .lr = 0.0, .steps = 3};
            result still = ran(&s);
            ck_assert_msg(still.moved == 0, "%s %s: %lld weights moved", s.optimizer, s.options, (long long)still.moved);
            s.lr = 1e-2;
            result moves = ran(&s);
            ck_assert_msg(moves.moved > 0 && isfinite(moves.settled), "%s %s, %s: nothing moved", s.optimizer, s.options, s.tune != NULL ? s.tune : "full");
            forget(&still);
            forget(&moves);
            runs++;
        }
    }
    ck_assert_int_ge(runs, 4 * 12);
}
END_TEST

/* Of n weights: gradients 4 n, masters 4 n where there are some, and 4 n a moment. */
START_TEST(bytes_by_tag)
{
    static const struct { const char *optimizer, *options; zo_storage storage; uint64_t gradients, state; } of[] = {
        {"fo-adamw", "{\"master\": true}", ZO_STORAGE_BF16, 1, 3},  {"fo-adamw", "{\"master\": false}", ZO_STORAGE_BF16, 1, 2},
        {"fo-adamw", "{\"master\": true}", ZO_STORAGE_F32, 1, 2},   {"fo-sgd", "{\"master\": true}", ZO_STORAGE_F16, 1, 1},
        {"fo-sgd", "{\"momentum\": 0.9}", ZO_STORAGE_F16, 1, 2},     {"fo-sgd", "{\"master\": false}", ZO_STORAGE_F16, 1, 0},
        {"forward-grad", "{\"master\": true}", ZO_STORAGE_F16, 1, 2}, {"sgld", "{\"master\": false}", ZO_STORAGE_BF16, 1, 0}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        setting s = {.optimizer = of[i].optimizer, .options = of[i].options, .family = GPT2, .storage = of[i].storage, .lr = 1e-3, .steps = 2};
        result r = ran(&s);
        uint64_t n = (uint64_t)r.size * sizeof(float);
        ck_assert_uint_eq(r.sets[ZO_TAG_GRADS], of[i].gradients * n);
        ck_assert_uint_eq(r.sets[ZO_TAG_OPT_STATE], of[i].state * n);
        ck_assert_uint_eq(r.sets[ZO_TAG_SNAPSHOT], 0);
        forget(&r);
    }
}
END_TEST

/* 50 steps of AdamW, each below half a step between most weights of bf16: with a master they add up as in f32, without one they are lost. */
START_TEST(what_is_lost_without_a_master)
{
    setting s = {.optimizer = "fo-adamw", .options = "{\"master\": true, \"clip\": 0}", .family = OPT, .rounded = ZO_STORAGE_BF16, .lr = 5e-5, .steps = STEPS};
    result full = ran(&s);
    s.storage = ZO_STORAGE_BF16;
    result master = ran(&s);
    s.options = "{\"master\": false, \"clip\": 0}";
    result alone = ran(&s);
    double far = full.loss[0] - full.settled, with = master.loss[0] - master.settled, without = alone.loss[0] - alone.settled;
    double share[2] = {(double)master.moved / (double)master.size, (double)alone.moved / (double)alone.size};
    printf("measured: after %d steps of AdamW at lr %g, weights that moved: bf16 with masters %.1f %%, without %.1f %%; the loss fell by %.4f in f32, by %.4f with masters, "
           "by %.4f without\n", STEPS, s.lr, 100 * share[0], 100 * share[1], far, with, without);
    ck_assert(far > 1e-3 && fabs(with / far - 1.0) < 0.2);
    ck_assert(without < 0.7 * far && share[1] < 0.5 * share[0]);
    forget(&full);
    forget(&master);
    forget(&alone);
}
END_TEST

static zo_status no_head(void *context, const zo_features *features, const double *w, zo_err *err)
{
    (void)context, (void)features, (void)w, (void)err;
    return ZO_OK;
}

/* What reads or writes weights behind their masters is one sentence. */
START_TEST(what_is_refused)
{
    golden_run r = {.model = model_of(backend(), BERT, ZO_STORAGE_BF16, ZO_F32, NULL)};
    zo_engine_spec spec = {.be = backend(), .weights = zo_model_store(r.model), .io = {.context = &r, .losses = golden_losses, .set_head = no_head, .most_points = 2}};
    zo_engine *engine = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(engine);
    zo_err err = {0};
    zo_set copy, mask, anchor, offset;
    zo_set_spec of[4] = {{.name = "copy", .copy = true}, {.name = "mask"}, {.name = "anchor", .copy = true, .linear = ZO_LINEAR_K}, {.name = "offset", .linear = ZO_LINEAR_K}};
    zo_term weights = zo_set_term(ZO_SET_WEIGHTS, 1.0);
    double coef[8] = {0};
    ck_assert(o->open(o, &of[0], &copy, &err) == ZO_OK && o->open(o, &of[1], &mask, &err) == ZO_OK && o->open(o, &of[2], &anchor, &err) == ZO_OK &&
              o->open(o, &of[3], &offset, &err) == ZO_OK);
    ck_assert_msg(o->combine(o, offset, 0.0, &weights, 1, &err) == ZO_OK, "%s", err.text);
    o->masters = true;
    ck_assert_int_eq(o->combine(o, copy, 0.0, &weights, 1, &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, "a copy is of the weights") != NULL && strstr(err.text, "\"master\": false") != NULL, "%s", err.text);
    ck_assert_int_eq(o->mask(o, mask, 0.5, true, &err), ZO_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "a mask is of the weights"));
    ck_assert_int_eq(o->place(o, ZO_SET_WEIGHTS, offset, coef, &err), ZO_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "a place is of the weights"));
    ck_assert_int_eq(o->set_head(o, NULL, NULL, &err), ZO_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "a head that is set is of the weights"));
    ck_assert_ptr_null(engine->masters);
    zo_engine_free(engine);
    zo_model_close(r.model);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("masters");
    TCase *tests = tcase_create("masters");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, without_a_rate_nothing_moves);
    tcase_add_test(tests, bytes_by_tag);
    tcase_add_test(tests, what_is_lost_without_a_master);
    tcase_add_test(tests, what_is_refused);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
