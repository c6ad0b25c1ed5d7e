/* test_seam.c: the verbs of optimizers/objective.h that no registered estimator uses to their end, by an estimator of the test: SPSA with a
 * momentum that is a stored set. And what the engine refuses, in one sentence that names the set. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizers/engine.h"
#include "optimizers/spsa.h"
#include "tests/objective64.h"
#include "tests/suite.h"

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

/* m <- beta m + pg z,  w <- w - lr m */
static const double beta = 0.8;
typedef struct momentum { zo_set m; } momentum;

static zo_status momentum_start(void *self, zo_objective *o, zo_err *err)
{
    momentum *s = self;
    zo_set_spec spec = {.name = "momentum", .tag = ZO_TAG_OPT_STATE};
    return o->open(o, &spec, &s->m, err);
}

static zo_status momentum_step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    momentum *s = self;
    zo_probe p = {.dir = {zo_gauss(o, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &p, 1, err);
    zo_term z = {.dir = p.dir[0], .coef = p.projected}, move = zo_set_term(s->m, -c->lr);
    *r = (zo_step_report){.loss = p.plus, .projected = p.projected, .lr = c->lr, .paper_queries = NAN};
    status = status == ZO_OK ? o->combine(o, s->m, beta, &z, 1, err) : status;
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
}

/* The loss 1/2 sum (w - t)^2 of a matrix, which decays, and a bias, which does not: a linear layer of the identity shows both. */
enum { ROWS = 9, COLS = 6, STEPS = 40 };
typedef struct bowl { zo_backend *be; zo_layout layout; zo_store *store; float *x, *y; } bowl;

static void bowl_open(bowl *b, zo_storage storage)
{
    zo_err err;
    memset(b, 0, sizeof *b);
    ck_assert_int_eq(zo_backend_open("cpu", 1, &b->be, &err), ZO_OK);
    zo_layout_add(&b->layout, "matrix", ZO_PARAM_MATRIX, ROWS, COLS, 0, true);
    zo_layout_add(&b->layout, "bias", ZO_PARAM_VECTOR, 1, ROWS, 0, false);
    b->store = zo_store_new_as(b->be, &b->layout, storage, ZO_TAG_PARAMS);
    b->x = calloc((COLS + 1) * COLS, sizeof *b->x); /* the unit vectors, and zero, whose output is the bias */
    b->y = calloc(4 * (COLS + 1) * ROWS, sizeof *b->y);
    for (int i = 0; i < COLS; i++) {
        b->x[i * COLS + i] = 1.0f;
    }
    b->be->reserve(b->be, &b->layout, NULL, 2, COLS + 1);
}

static void bowl_close(bowl *b)
{
    zo_store_free(b->be, b->store);
    zo_layout_free(&b->layout);
    b->be->close(b->be);
    free(b->x);
    free(b->y);
}

static double target(int64_t i)
{
    return cos(1.3 * (double)i);
}

static zo_status bowl_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)which, (void)err;
    bowl *b = context;
    b->be->linear(b->be, view, ZO_F32, 0, 1, ZO_ACT_NONE, b->x, COLS + 1, b->y, NULL);
    for (int p = 0; p < view->npoints; p++) {
        const float *y = b->y + (int64_t)p * (COLS + 1) * ROWS, *bias = y + COLS * ROWS;
        loss[p] = 0.0;
        for (int r = 0; r < ROWS; r++) {
            for (int c = 0; c < COLS; c++) {
                double d = (double)y[c * ROWS + r] - bias[r] - target(r * COLS + c);
                loss[p] += 0.5 * d * d;
            }
            double d = bias[r] - target(b->layout.param[1].offset + r);
            loss[p] += 0.5 * d * d;
        }
    }
    return ZO_OK;
}

static double bowl_loss64(void *context, zo_which which, const double *w)
{
    (void)which;
    const bowl *b = context;
    double sum = 0.0;
    for (int t = 0; t < b->layout.n; t++) {
        const zo_param *p = &b->layout.param[t];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++) {
            sum += 0.5 * (w[i] - target(i)) * (w[i] - target(i));
        }
    }
    return sum;
}

static zo_engine *engine_on(bowl *b, zo_realisation realisation, zo_accumulate accumulate)
{
    zo_engine_spec spec = {.be = b->be, .weights = b->store, .realisation = realisation, .accumulate = accumulate, .seed = 6,
                           .io = {.context = b, .losses = bowl_losses, .most_points = 2}};
    return zo_engine_new(&spec);
}

static uint64_t live(zo_tag tag)
{
    return zo_mem_live(ZO_HOST).tag_bytes[tag];
}

/* Against the closed forms, where a set is an array: momentum reaches the bias too, and what it keeps is one copy of the weights in f32. */
START_TEST(momentum_is_a_set)
{
    zo_err err;
    for (int realisation = 0; realisation < ZO_SIDEPATH; realisation++) {
        bowl b;
        bowl_open(&b, ZO_STORAGE_F32);
        objective64 *o = objective64_new(&b.layout, 6, &b, bowl_loss64, NULL);
        momentum twin, s;
        zo_engine *e = engine_on(&b, (zo_realisation)realisation, ZO_ACCUMULATE_WEIGHTS);
        uint64_t before = live(ZO_TAG_OPT_STATE);
        ck_assert_int_eq(momentum_start(&twin, &o->o, &err), ZO_OK);
        ck_assert_int_eq(momentum_start(&s, zo_engine_objective(e), &err), ZO_OK);
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE), before);
        double first = bowl_loss64(&b, ZO_BATCH_CURRENT, o->w);
        for (int step = 0; step < STEPS; step++) {
            zo_step_context c = {.step = step, .lr = 2e-3, .eps = 1e-2};
            zo_step_report a, here;
            ck_assert_int_eq(momentum_step(&twin, &o->o, &c, &a, &err), ZO_OK);
            ck_assert_int_eq(momentum_step(&s, zo_engine_objective(e), &c, &here, &err), ZO_OK);
            ck_assert_double_eq_tol(here.projected, a.projected, 1e-2);
        }
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE) - before, (uint64_t)b.layout.size * sizeof(float));
        ck_assert(bowl_loss64(&b, ZO_BATCH_CURRENT, o->w) < 0.8 * first);
        zo_engine_settle(e);
        for (int64_t i = 0; i < b.layout.size; i++) {
            ck_assert_double_eq_tol(b.store->data[i], o->w[i], 1e-4);
        }
        zo_engine_free(e);
        objective64_free(o);
        bowl_close(&b);
    }
}
END_TEST

/* A sum keeps f32 where the weights have 16 bits, a copy has their type; a sum that is built beside its old values holds both meanwhile. */
START_TEST(sets_keep_what_they_say)
{
    bowl b;
    zo_err err;
    bowl_open(&b, ZO_STORAGE_BF16);
    zo_engine *e = engine_on(&b, ZO_STREAMED, ZO_ACCUMULATE_WEIGHTS);
    zo_objective *o = zo_engine_objective(e);
    zo_set_spec spec[3] = {{.name = "sum", .tag = ZO_TAG_GRADS}, {.name = "copy", .tag = ZO_TAG_SNAPSHOT, .copy = true},
                           {.name = "beside", .tag = ZO_TAG_OPT_STATE, .beside = true}};
    zo_set set[3];
    for (int k = 0; k < 3; k++) {
        ck_assert_int_eq(o->open(o, &spec[k], &set[k], &err), ZO_OK);
        ck_assert_int_eq(set[k], k + 1);
    }
    zo_term z = {.dir = {.kind = ZO_DIR_GAUSS, .seed = 6}, .coef = 0.5}, here = zo_set_term(ZO_SET_WEIGHTS, 1.0);
    uint64_t size = (uint64_t)b.layout.size;
    for (int round = 0; round < 2; round++) {
        uint64_t was = live(ZO_TAG_OPT_STATE);
        zo_mem_reset_peaks();
        ck_assert_int_eq(o->combine(o, set[0], 0.0, &z, 1, &err), ZO_OK);
        ck_assert_int_eq(o->combine(o, set[1], 0.0, &here, 1, &err), ZO_OK);
        uint64_t peak = zo_mem_peak_overall(ZO_HOST).total_bytes, all = zo_mem_live(ZO_HOST).total_bytes;
        ck_assert_uint_le(peak - all, 4096); /* scratch */
        ck_assert_int_eq(o->combine(o, set[2], 0.0, &z, 1, &err), ZO_OK);
        ck_assert_uint_eq(live(ZO_TAG_GRADS), 4 * size);
        ck_assert_uint_eq(live(ZO_TAG_SNAPSHOT), 2 * size);
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE) - was, round == 0 ? 4 * size : 0);
        ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).tag_bytes[ZO_TAG_OPT_STATE] - was, 4 * size);
    }
    zo_engine_free(e);
    bowl_close(&b);
}
END_TEST

START_TEST(what_cannot_be_said_yet)
{
    for (int accumulate = 0; accumulate < ZO_ACCUMULATES; accumulate++) {
        bowl b;
        zo_err err;
        bowl_open(&b, ZO_STORAGE_F32);
        zo_engine *e = engine_on(&b, ZO_STREAMED, (zo_accumulate)accumulate);
        zo_objective *o = zo_engine_objective(e);
        zo_set_spec sum = {.name = "momentum", .tag = ZO_TAG_OPT_STATE}, copy = {.name = "anchor", .tag = ZO_TAG_SNAPSHOT, .copy = true};
        zo_set m, a;
        ck_assert(o->open(o, &sum, &m, &err) == ZO_OK && o->open(o, &copy, &a, &err) == ZO_OK);
        zo_term z = {.dir = {.kind = ZO_DIR_GAUSS, .seed = 6}, .coef = 0.5}, here = zo_set_term(ZO_SET_WEIGHTS, 1.0), kept = zo_set_term(m, 0.1);
        zo_term anchor = zo_set_term(a, 0.1);
        ck_assert(o->combine(o, m, 0.0, &z, 1, &err) == ZO_OK && o->combine(o, a, 0.0, &here, 1, &err) == ZO_OK);
        double loss;
        zo_point point = {.n = 1, .term = &kept};
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"momentum\"");
        ck_assert_int_eq(o->combine(o, m, 0.0, &anchor, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"momentum\"");
        ck_assert_int_eq(o->combine(o, a, 0.0, &z, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"anchor\"");
        ck_assert_int_eq(o->combine(o, a, 0.5, &here, 1, &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &anchor, 1, &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &here, 1, &err), ZO_EUNSUPPORTED);
        /* a log keeps terms: what goes on from old values would be a term more at each step */
        ck_assert_int_eq(o->combine(o, m, 0.9, &z, 1, &err), accumulate == ZO_ACCUMULATE_LOG ? ZO_EUNSUPPORTED : ZO_OK);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &kept, 1, &err), ZO_OK);
        zo_engine_free(e);
        bowl_close(&b);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seam");
    TCase *tests = tcase_create("seam");
    tcase_add_test(tests, momentum_is_a_set);
    tcase_add_test(tests, sets_keep_what_they_say);
    tcase_add_test(tests, what_cannot_be_said_yet);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
