/* test_seam.c: the verbs of optimizers/objective.h where no registered estimator uses them to their end, by two estimators of the test: SPSA
 * with a momentum that is a stored set, and MeZO-Adam. What the engine refuses, in one sentence that names the set; and backends that lack
 * a slot, or have slots of another version. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizers/engine/engine.h"
#include "optimizers/engine/own_factors.h"
#include "optimizers/spsa.h"
#include "tests/objective64.h"
#include "tests/suite.h"

#define ASSERT_HAS(text, part) ck_assert_msg(strstr((text), (part)) != NULL, "\"%s\" lacks \"%s\"", (text), (part))

/* momentum:  m <- beta m + pg z,  w <- w - lr m
 * MeZO-Adam: g <- pg z, and Adam's rule on it (Malladi et al., arXiv 2305.17333, appendix B). */
typedef struct method { bool adam; zo_set g, m, v; } method;
static const double beta = 0.8;

static zo_status method_start(method *s, zo_objective *o, zo_err *err)
{
    zo_set_spec g = {.name = "gradient", .tag = ZO_TAG_GRADS}, m = {.name = "momentum", .tag = ZO_TAG_OPT_STATE}, v = m;
    zo_status status = o->open(o, &m, &s->m, err);
    status = status == ZO_OK && s->adam ? o->open(o, &g, &s->g, err) : status;
    return status == ZO_OK && s->adam ? o->open(o, &v, &s->v, err) : status;
}

static zo_status method_step(const method *s, zo_objective *o, int64_t step, double lr, double *projected, zo_err *err)
{
    zo_probe p = {.dir = {zo_gauss(o, step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, 1e-2, &p, 1, err);
    zo_term z = {.dir = p.dir[0], .coef = p.projected}, move = zo_set_term(s->m, -lr);
    *projected = p.projected;
    if (status != ZO_OK) {
        return status;
    }
    if (!s->adam) {
        status = o->combine(o, s->m, beta, &z, 1, err);
        return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, err) : status;
    }
    float t = (float)step + 1.0f;
    zo_rule_args args = {.lr = (float)lr, .decay = 0.01f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-3f,
                         .correct1 = 1.0f - powf(0.9f, t), .correct2 = 1.0f - powf(0.99f, t)};
    zo_operands x = {.g = s->g, .m = s->m, .v = s->v};
    status = o->combine(o, s->g, 0.0, &z, 1, err);
    return status == ZO_OK ? o->rule(o, ZO_RULE_ADAMW, &args, &x, err) : status;
}

/* The loss 1/2 sum (w - t)^2 of a matrix, which decays, and a bias, which does not: a linear layer of the identity shows both. */
enum { ROWS = 9, COLS = 6, TOKENS = COLS + 1, POINTS = 2, STEPS = 40 };
typedef struct bowl { zo_backend *be; zo_layout layout; zo_store *store; float *x, *y; } bowl;

static void bowl_open(bowl *b, zo_storage storage)
{
    zo_err err;
    memset(b, 0, sizeof *b);
    ck_assert_int_eq(zo_backend_open("cpu", 1, &b->be, &err), ZO_OK);
    zo_layout_add(&b->layout, "matrix", ZO_PARAM_MATRIX, ROWS, COLS, 0, true);
    zo_layout_add(&b->layout, "bias", ZO_PARAM_VECTOR, 1, ROWS, 0, false);
    b->store = zo_store_new_as(b->be, &b->layout, storage, ZO_TAG_PARAMS);
    b->x = calloc(POINTS * TOKENS * COLS, sizeof *b->x); /* at each point the unit vectors, and zero, whose output is the bias */
    b->y = calloc(POINTS * TOKENS * ROWS, sizeof *b->y);
    for (int i = 0; i < POINTS * COLS; i++) {
        b->x[(i / COLS * TOKENS + i % COLS) * COLS + i % COLS] = 1.0f;
    }
    b->be->reserve(b->be, &b->layout, NULL, ZO_F32, &(zo_largest){.points = POINTS, .tokens = TOKENS});
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
    b->be->linear(b->be, view, ZO_F32, 0, 1, ZO_ACT_NONE, b->x, TOKENS, false, b->y, NULL);
    for (int p = 0; p < view->npoints; p++) {
        const float *y = b->y + (int64_t)p * TOKENS * ROWS, *bias = y + COLS * ROWS;
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
                           .io = {.context = b, .losses = bowl_losses, .most_points = POINTS}};
    return zo_engine_new(&spec);
}

static uint64_t live(zo_tag tag)
{
    return zo_mem_live(ZO_HOST).tag_bytes[tag];
}

/* Against the closed forms, where a set is an array: momentum reaches the bias too. What is kept is one copy of the weights a set, in f32. */
START_TEST(methods_of_sets)
{
    zo_err err;
    for (int k = 0; k < 2 * ZO_SIDEPATH; k++) {
        bowl b;
        bowl_open(&b, ZO_STORAGE_F32);
        objective64 *o = objective64_new(&b.layout, 6, &b, bowl_loss64, NULL);
        method twin = {.adam = k % 2 == 1}, s = twin;
        zo_engine *e = engine_on(&b, (zo_realisation)(k / 2), ZO_ACCUMULATE_WEIGHTS);
        uint64_t size = (uint64_t)b.layout.size * sizeof(float), before = live(ZO_TAG_OPT_STATE), grads = live(ZO_TAG_GRADS);
        ck_assert_int_eq(method_start(&twin, &o->o, &err), ZO_OK);
        ck_assert_int_eq(method_start(&s, zo_engine_objective(e), &err), ZO_OK);
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE), before);
        double first = bowl_loss64(&b, ZO_BATCH_CURRENT, o->w), lr = s.adam ? 0.02 : 2e-3;
        for (int step = 0; step < STEPS; step++) {
            double there, here;
            ck_assert_int_eq(method_step(&twin, &o->o, step, lr, &there, &err), ZO_OK);
            ck_assert_int_eq(method_step(&s, zo_engine_objective(e), step, lr, &here, &err), ZO_OK);
            ck_assert_double_eq_tol(here, there, 1e-2);
        }
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE) - before, s.adam ? 2 * size : size);
        ck_assert_uint_eq(live(ZO_TAG_GRADS) - grads, s.adam ? size : 0);
        ck_assert(bowl_loss64(&b, ZO_BATCH_CURRENT, o->w) < 0.8 * first);
        zo_engine_settle(e);
        for (int64_t i = 0; i < b.layout.size; i++) {
            ck_assert_double_eq_tol(b.store->data[i], o->w[i], 2e-4);
        }
        zo_engine_free(e);
        objective64_free(o);
        bowl_close(&b);
    }
}
END_TEST

/* A sum keeps f32 where the weights have 16 bits, a copy has their type; a sum that is built beside its old values holds both meanwhile, and one
 * that goes on from them takes nothing more. */
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
    zo_term z = {.dir = {.kind = ZO_DIR_DENSE, .seed = 6}, .coef = 0.5}, here = zo_set_term(ZO_SET_WEIGHTS, 1.0);
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
    zo_mem_reset_peaks();
    ck_assert_int_eq(o->combine(o, set[0], 0.5, &z, 1, &err), ZO_OK);
    ck_assert_uint_eq(zo_mem_peak_overall(ZO_HOST).total_bytes, zo_mem_live(ZO_HOST).total_bytes);
    zo_engine_free(e);
    bowl_close(&b);
}
END_TEST

/* A sum as a term of points: the losses are those at the sum of everything, in both realisations; in place nothing is left of a probe but what a
 * sweep out and one back leave of it; and a sum that is written while the weights stand along it is left first, by its old values. */
START_TEST(points_have_sums_as_terms)
{
    for (int realisation = 0; realisation < ZO_SIDEPATH; realisation++) {
        bowl b;
        zo_err err;
        bowl_open(&b, ZO_STORAGE_F32);
        b.be->init_normal(b.be, b.store, 0, 5, 0.5f);
        zo_engine *e = engine_on(&b, (zo_realisation)realisation, ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        objective64 *twin = objective64_new(&b.layout, 6, &b, bowl_loss64, NULL);
        zo_set_spec spec = {.name = "momentum", .tag = ZO_TAG_OPT_STATE, .in_points = true};
        zo_set m, same;
        ck_assert(o->open(o, &spec, &m, &err) == ZO_OK && twin->o.open(&twin->o, &spec, &same, &err) == ZO_OK && m == same);
        double dot, norm;
        ck_assert(zo_set_norm(o, m, &norm, &err) == ZO_OK && norm == 0.0);
        size_t bytes = (size_t)b.layout.size * sizeof(float);
        float *swept = malloc(bytes);
        zo_store by_hand = *b.store;
        by_hand.data = swept;
        memcpy(swept, b.store->data, bytes);
        for (int64_t i = 0; i < b.layout.size; i++) {
            twin->w[i] = swept[i];
        }
        zo_term pull[2] = {{.dir = zo_gauss(o, 1, 0), .coef = 0.7}, {.dir = zo_rademacher(o, 2, 0), .coef = -0.4}};
        ck_assert(o->combine(o, m, 0.0, pull, 2, &err) == ZO_OK && twin->o.combine(&twin->o, m, 0.0, pull, 2, &err) == ZO_OK);
        ck_assert(o->dot(o, m, m, &norm, &err) == ZO_OK && twin->o.dot(&twin->o, m, m, &dot, &err) == ZO_OK);
        ck_assert_double_eq_tol(norm, dot, 1e-5 * dot);
        zo_term out[2] = {zo_set_term(m, 0.3), {.dir = zo_gauss(o, 3, 0), .coef = 0.1}}, back[2] = {zo_set_term(m, -0.2), {.dir = zo_gauss(o, 3, 0), .coef = -0.1}};
        zo_point point[3] = {{.n = 2, .term = out}, {.n = 2, .term = back}, {.n = 1, .term = out}};
        double here[3], there[3];
        ck_assert(o->losses(o, ZO_BATCH_CURRENT, point, 3, here, &err) == ZO_OK && twin->o.losses(&twin->o, ZO_BATCH_CURRENT, point, 3, there, &err) == ZO_OK);
        for (int p = 0; p < 3; p++) {
            ck_assert_double_eq_tol(here[p], there[p], 1e-5 * there[p]);
        }
        /* the engine's term: the set's values as they were */
        zo_store *values = zo_store_new(b.be, &b.layout, ZO_TAG_OTHER);
        b.be->apply(b.be, values, NULL, 1.0, pull, 2, NULL);
        if (realisation == ZO_INPLACE) {
            zo_term probe[ZO_PROBE_TERMS];
            ck_assert_int_eq(zo_engine_last_probe(e, probe), 2);
            ck_assert(memcmp(probe[0].dir.values->data, values->data, bytes) == 0);
            for (int p = 0; p < 3; p++) { /* from point to point by the differences, term by term in the order of the first point */
                static const double along_m[] = {0.3, -0.2 - 0.3, 0.3 - -0.2}, along_z[] = {0.1, -0.1 - 0.1, 0.0 - -0.1};
                zo_term move[2] = {{.dir = {.kind = ZO_DIR_SET, .values = values}, .coef = along_m[p]}, {.dir = zo_gauss(o, 3, 0), .coef = along_z[p]}};
                b.be->apply(b.be, &by_hand, NULL, 1.0, move, 2, NULL);
            }
            ck_assert(memcmp(b.store->data, swept, bytes) == 0);
            zo_term home = {.dir = {.kind = ZO_DIR_SET, .values = values}, .coef = -0.3};
            b.be->apply(b.be, &by_hand, NULL, 1.0, &home, 1, NULL);
        }
        zo_term more = {.dir = zo_gauss(o, 4, 0), .coef = 1.0};
        ck_assert_int_eq(o->combine(o, m, 0.5, &more, 1, &err), ZO_OK);
        ck_assert(memcmp(b.store->data, swept, bytes) == 0); /* and not first at the next settling */
        zo_engine_settle(e);
        ck_assert(memcmp(b.store->data, swept, bytes) == 0);
        /* an update along it that is queued is made by its values of that time */
        zo_term along = zo_set_term(m, 0.25), was = {.dir = {.kind = ZO_DIR_SET, .values = values}, .coef = 0.25};
        b.be->apply(b.be, values, NULL, 0.5, NULL, 0, NULL);
        for (int64_t i = b.layout.param[1].offset; i < b.layout.size; i++) {
            values->data[i] *= 0.5f; /* a set decays whole, a store where its layout says so */
        }
        b.be->apply(b.be, values, NULL, 1.0, &more, 1, NULL);
        b.be->apply(b.be, &by_hand, NULL, 1.0, &was, 1, NULL);
        ck_assert(o->combine(o, ZO_SET_WEIGHTS, 1.0, &along, 1, &err) == ZO_OK && o->combine(o, m, 0.0, &more, 1, &err) == ZO_OK);
        zo_engine_settle(e);
        ck_assert(memcmp(b.store->data, swept, bytes) == 0);
        zo_store_free(b.be, values);
        free(swept);
        zo_engine_free(e);
        objective64_free(twin);
        bowl_close(&b);
    }
}
END_TEST

/* A set that scales directions: losses against the float64 oracle, and in place the weights by hand in every bit. What was probed, or queued, by
 * the set's old values is brought back, and moved, by them; what is said after the rule is by the new ones. */
START_TEST(a_set_scales_directions)
{
    zo_realisation realisation = _i / ZO_STORAGES == 0 ? ZO_INPLACE : ZO_STREAMED;
    for (int scaling = ZO_SCALING_TIMES; scaling <= ZO_SCALING_PER_ROOT; scaling++) {
        bowl b;
        zo_err err;
        bowl_open(&b, (zo_storage)(_i % ZO_STORAGES));
        b.be->init_normal(b.be, b.store, 0, 5, 0.5f);
        zo_engine *e = engine_on(&b, realisation, ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        objective64 *twin = objective64_new(&b.layout, 6, &b, bowl_loss64, NULL);
        zo_set_spec spec = {.name = "curvatures", .tag = ZO_TAG_OPT_STATE, .in_points = true, .initial = 2.25};
        zo_set h, same;
        uint64_t before = live(ZO_TAG_OPT_STATE);
        ck_assert(o->open(o, &spec, &h, &err) == ZO_OK && twin->o.open(&twin->o, &spec, &same, &err) == ZO_OK && h == same);
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE), before); /* nothing before it is used */
        zo_store *swept = zo_store_new_beside(b.be, b.store, ZO_TAG_OTHER), *old = zo_store_new(b.be, &b.layout, ZO_TAG_OTHER), *new = zo_store_new(b.be, &b.layout, ZO_TAG_OTHER);
        size_t bytes = (size_t)(b.layout.size * zo_storage_bytes(b.store->storage));
        memcpy(zo_store_at(swept, 0), zo_store_at(b.store, 0), bytes);
        float w[ROWS * COLS];
        for (int t = 0; t < 2; t++) {
            const zo_param *p = &b.layout.param[t];
            zo_store_get(b.be, b.store, t, w);
            for (int64_t i = 0; i < p->rows * p->cols; i++) {
                twin->w[p->offset + i] = w[i];
                old->data[p->offset + i] = 2.25f;
            }
        }
        zo_rule_args args = {.lr = 0.25f};
        zo_term seen[2] = {{.dir = zo_gauss(o, 1, 0), .coef = 0.8}, {.dir = zo_rademacher(o, 2, 0), .coef = 0.3}};
        zo_operands x = {.over = h, .term = seen, .terms = 2};
        double dot, norm;
        for (int round = 0; round < 3; round++) {
            zo_dir z = zo_scaled_dir(zo_gauss(o, 3 + round, 0), h, (zo_scaling)scaling), by_old = z, by_new = z, plain = zo_gauss(o, 3 + round, 1);
            by_old.by = old;
            by_new.by = new;
            zo_term out[2] = {{z, 0.1}, {plain, 0.05}}, back = {z, -0.1};
            zo_point point[3] = {{.n = 2, .term = out}, {.n = 1, .term = &back}, {.n = 2, .term = out}};
            double here[3], there[3];
            ck_assert(o->losses(o, ZO_BATCH_CURRENT, point, 3, here, &err) == ZO_OK && twin->o.losses(&twin->o, ZO_BATCH_CURRENT, point, 3, there, &err) == ZO_OK);
            for (int p = 0; p < 3 && b.store->storage == ZO_STORAGE_F32; p++) {
                ck_assert_msg(fabs(here[p] - there[p]) < 1e-5 * there[p], "loss %.9g, expected %.9g", here[p], there[p]);
            }
            if (realisation == ZO_INPLACE) { /* to the points and, before the set is written, home: each a sweep */
                zo_term sweep[4][2] = {{{by_old, 0.1}, {plain, 0.05}}, {{by_old, -0.1 - 0.1}, {plain, 0.0 - 0.05}}, {{by_old, 0.1 - -0.1}, {plain, 0.05}}, {{by_old, -0.1}, {plain, -0.05}}};
                for (int s = 0; s < 4; s++) {
                    ck_assert_int_eq(memcmp(zo_store_at(b.store, 0), zo_store_at(swept, 0), bytes) == 0, s == 3); /* it stands at the third point */
                    b.be->apply(b.be, swept, NULL, 1.0, sweep[s], 2, NULL);
                }
            }
            memcpy(new->data, old->data, (size_t)b.layout.size * sizeof(float));
            b.be->rule_drawn(b.be, ZO_RULE_CURVATURE, &args, new, seen, 2, NULL, NULL);
            ck_assert(o->rule(o, ZO_RULE_CURVATURE, &args, &x, &err) == ZO_OK && twin->o.rule(&twin->o, ZO_RULE_CURVATURE, &args, &x, &err) == ZO_OK);
            ck_assert(memcmp(zo_store_at(b.store, 0), zo_store_at(swept, 0), bytes) == 0); /* home by the old values */
            ck_assert(o->dot(o, h, h, &norm, &err) == ZO_OK && twin->o.dot(&twin->o, h, h, &dot, &err) == ZO_OK);
            ck_assert_double_eq_tol(norm, dot, 1e-5 * dot);
            zo_term move = {z, -0.3}, by_hand = {by_new, -0.3};
            b.be->apply(b.be, swept, NULL, 1.0, &by_hand, 1, NULL);
            ck_assert(o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, &err) == ZO_OK && twin->o.combine(&twin->o, ZO_SET_WEIGHTS, 1.0, &move, 1, &err) == ZO_OK);
            /* that is queued, in place; and what writes the set goes behind it */
            memcpy(old->data, new->data, (size_t)b.layout.size * sizeof(float));
            b.be->rule_drawn(b.be, ZO_RULE_CURVATURE, &args, old, seen, 2, NULL, NULL);
            ck_assert(o->rule(o, ZO_RULE_CURVATURE, &args, &x, &err) == ZO_OK && twin->o.rule(&twin->o, ZO_RULE_CURVATURE, &args, &x, &err) == ZO_OK);
            zo_engine_settle(e);
            ck_assert(memcmp(zo_store_at(b.store, 0), zo_store_at(swept, 0), bytes) == 0);
        }
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE) - before, (uint64_t)b.layout.trained_size * sizeof(float));
        zo_store_free(b.be, swept);
        zo_store_free(b.be, old);
        zo_store_free(b.be, new);
        zo_engine_free(e);
        objective64_free(twin);
        bowl_close(&b);
    }
}
END_TEST

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Masks of the smallest magnitudes, of each parameter, of the weights without the probe; in every storage, as many as was said, and by the first
 * thresholds where those are to stay. The probe turns none over, and the weights keep their bits. */
START_TEST(masks_are_of_the_smallest)
{
    static const double shares[] = {0.0, 0.01, 0.25, 0.5, 1.0};
    for (int k = 0; k < 5; k++) {
        bowl b;
        zo_err err;
        bowl_open(&b, (zo_storage)(_i % ZO_STORAGES));
        b.be->init_normal(b.be, b.store, 0, 5, 0.5f);
        b.be->init_normal(b.be, b.store, 1, 6, 0.1f);
        zo_engine *e = engine_on(&b, _i / ZO_STORAGES == 0 ? ZO_INPLACE : ZO_STREAMED, ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        zo_set_spec spec = {.name = "mask", .tag = ZO_TAG_OPT_STATE, .in_points = true};
        zo_set mask;
        ck_assert_int_eq(o->open(o, &spec, &mask, &err), ZO_OK);
        float w[2][ROWS * COLS], size[ROWS * COLS];
        int n[2] = {ROWS * COLS, ROWS}, in = 0;
        for (int t = 0; t < 2; t++) {
            zo_store_get(b.be, b.store, t, w[t]);
        }
        double loss, norm;
        zo_term far = {.dir = zo_gauss(o, 1, 0), .coef = 10.0}; /* where no weight keeps its place */
        zo_point point = {.n = 1, .term = &far};
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), ZO_OK);
        zo_engine_settle(e);
        for (int t = 0; t < 2; t++) { /* after rounding there and back */
            zo_store_get(b.be, b.store, t, w[t]);
        }
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), ZO_OK);
        float threshold[2], back[ROWS * COLS], moved[2][ROWS * COLS];
        ck_assert_int_eq(o->mask(o, mask, shares[k], true, &err), ZO_OK); /* from where the probe stands */
        for (int t = 0; t < 2; t++) {
            zo_store_get(b.be, b.store, t, back);
            for (int i = 0; i < n[t]; i++) {
                ck_assert(_i / ZO_STORAGES == 0 || back[i] == w[t][i]);
                w[t][i] = back[i];
                size[i] = fabsf(back[i]);
            }
            qsort(size, (size_t)n[t], sizeof *size, by_size);
            int kept = (int)ceil(shares[k] * n[t]);
            threshold[t] = kept > 0 ? size[kept - 1] : -1.0f;
            int equal = 0;
            for (int i = 0; i < n[t]; i++) {
                equal += size[i] <= threshold[t];
            }
            ck_assert(equal >= kept && (b.store->storage != ZO_STORAGE_F32 || equal == kept));
            in += equal;
        }
        ck_assert_int_eq(o->dot(o, mask, mask, &norm, &err), ZO_OK);
        ck_assert_msg(norm == in, "%g are in the mask, expected %d", norm, in);
        /* what moves along a z that it scales is what it says */
        zo_term move = {.dir = zo_scaled_dir(zo_gauss(o, 2, 0), mask, ZO_SCALING_TIMES), .coef = 50.0};
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, &err), ZO_OK);
        zo_engine_settle(e);
        int still = 0;
        for (int t = 0; t < 2; t++) {
            zo_store_get(b.be, b.store, t, moved[t]);
            for (int i = 0; i < n[t]; i++) {
                ck_assert_int_eq(moved[t][i] != w[t][i], fabsf(w[t][i]) <= threshold[t]);
                still += fabsf(moved[t][i]) <= threshold[t];
            }
        }
        ck_assert_int_eq(o->mask(o, mask, shares[k], false, &err), ZO_OK); /* most have left */
        ck_assert_int_eq(o->dot(o, mask, mask, &norm, &err), ZO_OK);
        ck_assert_msg(norm == still && (in == 0 || still < in || k == 4), "%g are in the mask, expected %d", norm, still);
        zo_engine_free(e);
        bowl_close(&b);
    }
}
END_TEST

/* Its mean is 0; its covariance is diag(s)^2 or diag(1 / s). */
START_TEST(a_scaled_direction_has_its_covariance)
{
    enum { DRAWS = 4000, N = ROWS * COLS };
    bowl b;
    bowl_open(&b, ZO_STORAGE_F32);
    zo_store *s = zo_store_new(b.be, &b.layout, ZO_TAG_OTHER), *z = zo_store_new(b.be, &b.layout, ZO_TAG_OTHER);
    for (int i = 0; i < N; i++) {
        s->data[i] = i % 3 == 2 ? 0.0f : 0.5f + (float)(i % 7);
    }
    for (int k = 0; k < 4; k++) {
        zo_scaling scaling = (zo_scaling)(k / 2);
        bool signs = k % 2 == 1;
        double sum[N] = {0}, squares[N] = {0}, across[N] = {0}, most = 0.0;
        for (int i = 0; i < N && k == 2; i++) {
            s->data[i] += 0.25f; /* roots want values above 0 */
        }
        zo_counters counted;
        zo_counters_reset();
        for (uint32_t step = 0; step < DRAWS; step++) {
            zo_dir dir = {.kind = ZO_DIR_DENSE, .draw = signs ? ZO_DRAW_RADEMACHER : ZO_DRAW_GAUSS, .seed = 3, .step = step, .scale = 1, .scaling = scaling, .by = s};
            zo_term term = {dir, 1.0};
            b.be->zero(b.be, z->data, (size_t)b.layout.size * sizeof(float));
            b.be->apply(b.be, z, NULL, 1.0, &term, 1, NULL);
            for (int i = 0; i < N; i++) {
                sum[i] += z->data[i];
                squares[i] += (double)z->data[i] * z->data[i];
                across[i] += (double)z->data[i] * z->data[(i + 1) % N];
            }
        }
        zo_counters_read(&counted); /* a mask of zeros saves no draw */
        ck_assert_uint_eq(counted.normals, signs ? 0 : (uint64_t)DRAWS * (N + ROWS));
        for (int i = 0; i < N; i++) {
            double v = s->data[i], next = s->data[(i + 1) % N], spread = scaling == ZO_SCALING_TIMES ? v * v : 1.0 / v;
            double other = scaling == ZO_SCALING_TIMES ? next * next : 1.0 / next, error = sqrt(spread / DRAWS);
            ck_assert_msg(fabs(sum[i] / DRAWS) <= 5.0 * error, "element %d has mean %g", i, sum[i] / DRAWS);
            double far = fabs(squares[i] / DRAWS - spread);
            ck_assert_msg(signs ? far <= 1e-5 * spread : far <= 5.0 * spread * sqrt(2.0 / DRAWS), "element %d: variance %g, expected %g", i, squares[i] / DRAWS, spread);
            ck_assert(fabs(across[i] / DRAWS) <= 5.0 * sqrt(spread * other / DRAWS));
            most = fmax(most, far / fmax(spread, 1e-9));
        }
        printf("measured: variance of a direction %s%s: %.3f of itself off at most\n", scaling == ZO_SCALING_TIMES ? "times s" : "by sqrt(s)", signs ? ", signs" : "", most);
    }
    zo_store_free(b.be, s);
    zo_store_free(b.be, z);
    bowl_close(&b);
}
END_TEST

/* AdamW, and the sign, on a sum that is drawn on the way, and on the same sum from a store: the same bits, and what is drawn is counted. */
START_TEST(a_drawn_operand_is_the_stored_one)
{
    for (int way = 0; way < 2 * ZO_STORAGES; way++) {
        int storage = way / 2;
        bool sign = way % 2 == 1;
        zo_rule_kind rule = sign ? ZO_RULE_SIGN : ZO_RULE_ADAMW;
        bowl b[2];
        zo_store *m[2], *v[2], *g = NULL;
        zo_rule_args args = {.lr = 0.02f, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-3f, .correct1 = 0.1f, .correct2 = 0.01f};
        zo_dir part = {.kind = ZO_DIR_DENSE, .draw = ZO_DRAW_RADEMACHER, .seed = 6, .step = 3, .skip = {.in = 1}};
        zo_term term[3] = {{{.kind = ZO_DIR_DENSE, .seed = 6, .step = 1}, 0.3}, {{.kind = ZO_DIR_DENSE, .draw = ZO_DRAW_RADEMACHER, .seed = 6, .step = 1}, -0.1}, {part, 0.2}};
        for (int k = 0; k < 2; k++) {
            bowl_open(&b[k], (zo_storage)storage);
            b[k].be->init_normal(b[k].be, b[k].store, 0, 5, 0.5f);
            m[k] = zo_store_new(b[k].be, &b[k].layout, ZO_TAG_OTHER);
            v[k] = zo_store_new(b[k].be, &b[k].layout, ZO_TAG_OTHER);
        }
        g = zo_store_new(b[0].be, &b[0].layout, ZO_TAG_OTHER);
        for (int step = 0; step < 3; step++) {
            term[0].dir.step++;
            b[0].be->zero(b[0].be, g->data, (size_t)b[0].layout.size * sizeof(float));
            b[0].be->apply(b[0].be, g, NULL, 1.0, term, 3, NULL);
            b[0].be->rule(b[0].be, rule, &args, b[0].store, g, sign ? NULL : m[0], sign ? NULL : v[0]);
            zo_counters counted;
            zo_counters_reset();
            b[1].be->rule_drawn(b[1].be, rule, &args, b[1].store, term, 3, sign ? NULL : m[1], sign ? NULL : v[1]);
            zo_counters_read(&counted);
            ck_assert_uint_eq(counted.normals, ROWS * COLS + ROWS);
            ck_assert_uint_eq(counted.weight_bytes_written, (uint64_t)(b[1].layout.size * zo_storage_bytes((zo_storage)storage)));
        }
        ck_assert(memcmp(zo_store_at(b[0].store, 0), zo_store_at(b[1].store, 0), (size_t)(b[0].layout.size * zo_storage_bytes((zo_storage)storage))) == 0);
        for (int64_t i = 0; i < b[0].layout.size; i++) {
            ck_assert(m[0]->data[i] == m[1]->data[i] && v[0]->data[i] == v[1]->data[i]);
        }
        zo_store_free(b[0].be, g);
        for (int k = 0; k < 2; k++) {
            zo_store_free(b[k].be, m[k]);
            zo_store_free(b[k].be, v[k]);
            bowl_close(&b[k]);
        }
    }
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
        zo_set m, a, later;
        ck_assert(o->open(o, &sum, &m, &err) == ZO_OK && o->open(o, &copy, &a, &err) == ZO_OK);
        zo_term z = {.dir = {.kind = ZO_DIR_DENSE, .seed = 6}, .coef = 0.5}, here = zo_set_term(ZO_SET_WEIGHTS, 1.0), kept = zo_set_term(m, 0.1);
        zo_term anchor = zo_set_term(a, 0.1);
        ck_assert(o->combine(o, m, 0.0, &z, 1, &err) == ZO_OK && o->combine(o, a, 0.0, &here, 1, &err) == ZO_OK);
        double loss;
        zo_point point = {.n = 1, .term = &kept}, at_copy = {.n = 1, .term = &anchor}, twice = {.n = 1, .term = &here};
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &at_copy, 1, &loss, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "copied weights");
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &twice, 1, &loss, &err), ZO_EUNSUPPORTED);
        bool logged = accumulate == ZO_ACCUMULATE_LOG;
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        ck_assert_int_eq(o->dot(o, m, m, &loss, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        sum.in_points = true; /* then it is refused before anything ran */
        ck_assert_int_eq(o->open(o, &sum, &later, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        if (logged) {
            ASSERT_HAS(err.text, "\"momentum\"");
        }
        zo_term low = {.dir = {.kind = ZO_DIR_CP, .seed = 6, .skip = {.in = 1}}, .coef = 1.0};
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &low, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "leaves out blocks");
        low.dir = (zo_dir){.kind = ZO_DIR_CP, .draw = ZO_DRAW_RADEMACHER, .seed = 6};
        point.term = &low;
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "signs");
        ck_assert_int_eq(o->combine(o, m, 0.0, &anchor, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"momentum\"");
        ck_assert_int_eq(o->combine(o, a, 0.0, &z, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"anchor\"");
        ck_assert_int_eq(o->combine(o, a, 0.5, &here, 1, &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &anchor, 1, &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &here, 1, &err), ZO_EUNSUPPORTED);
        /* what a set scales: dense directions, of points and of the weights */
        zo_dir dense = {.kind = ZO_DIR_DENSE, .seed = 6};
        zo_term scaled = {.dir = zo_scaled_dir(dense, m, ZO_SCALING_TIMES), .coef = 0.1}, by_copy = {.dir = zo_scaled_dir(dense, a, ZO_SCALING_TIMES), .coef = 0.1};
        point.term = &scaled;
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &scaled, 1, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        ck_assert_int_eq(o->combine(o, m, 0.0, &scaled, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"momentum\"");
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &by_copy, 1, &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(o->mask(o, a, 0.5, true, &err), ZO_EUNSUPPORTED);
        ck_assert_int_eq(o->mask(o, m, 0.5, true, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        scaled.dir.kind = ZO_DIR_REST;
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &scaled, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"momentum\"");
        /* a log keeps terms: what goes on from old values would be a term more at each step */
        ck_assert_int_eq(o->combine(o, m, 0.9, &z, 1, &err), logged ? ZO_EUNSUPPORTED : ZO_OK);
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &kept, 1, &err), ZO_OK);
        zo_engine_free(e);
        bowl_close(&b);
    }
}
END_TEST

/* Directions with factors of their own: so many of them at a time, in a sweep, in a point on the side path, and beside a log so many V. */
START_TEST(factors_of_their_own)
{
    for (int k = 0; k < ZO_REALISATIONS + 1; k++) {
        bowl b;
        zo_err err = {0};
        bool logged = k == ZO_REALISATIONS;
        bowl_open(&b, ZO_STORAGE_F32);
        zo_engine *e = engine_on(&b, logged ? ZO_STREAMED : (zo_realisation)k, logged ? ZO_ACCUMULATE_LOG : ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        zo_factor_spec spec = {.kind = ZO_FACTORS_OWN, .rank = 2};
        ck_assert_int_eq(o->open_factors(o, &spec, &err), ZO_OK);
        zo_term term[3];
        zo_point point[3];
        double loss[3];
        for (int i = 0; i < 3; i++) {
            term[i] = (zo_term){.dir = {.kind = ZO_DIR_FACTORS, .seed = 6, .step = (uint32_t)i, .period = 1}, .coef = 0.1};
            point[i] = (zo_point){.n = 1, .term = &term[i]};
        }
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, term, 3, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "factors of their own");
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, point, 2, loss, &err), ZO_OK);
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, point, 3, loss, &err), ZO_OK); /* POINTS to a pass, or one by one */
        zo_point both = {.n = 2, .term = term};
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &both, 1, loss, &err), (k == ZO_SIDEPATH ? ZO_EUNSUPPORTED : ZO_OK));
        if (k == ZO_SIDEPATH) {
            ASSERT_HAS(err.text, "\"sidepath\" runs one");
        }
        for (int i = 0; i <= ZO_OWN_SUMS && logged; i++) {
            term[0].dir.period = (uint32_t)i;
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, term, 1, &err), (i < ZO_OWN_SUMS ? ZO_OK : ZO_EUNSUPPORTED));
        }
        if (logged) {
            ASSERT_HAS(err.text, "\"period\"");
            zo_set_spec left = {.name = "left", .tag = ZO_TAG_OPT_STATE, .shape = ZO_SHAPE_LEFT};
            zo_set n;
            ck_assert_int_eq(o->open(o, &left, &n, &err), ZO_OK);
            zo_term held = {.dir = {.kind = ZO_DIR_HELD, .set = n, .seed = 6, .period = 1}, .coef = 1.0};
            term[0].dir.period = 1;
            ck_assert_int_eq(o->combine(o, n, 0.0, term, 1, &err), ZO_OK); /* the V of a sum that is there, and one too many */
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &held, 1, &err), ZO_OK);
            held.dir.period = ZO_OWN_SUMS;
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &held, 1, &err), ZO_EUNSUPPORTED);
            ASSERT_HAS(err.text, "\"period\"");
        }
        term[0].dir.draw = ZO_DRAW_RADEMACHER;
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, term, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "signs");
        zo_engine_free(e);
        bowl_close(&b);
    }
}
END_TEST

/* A set of left factors takes what has some, and what stands beside them; points do not take it. */
START_TEST(left_factors)
{
    bowl b;
    zo_err err = {0};
    bowl_open(&b, ZO_STORAGE_F32);
    zo_engine *e = engine_on(&b, ZO_STREAMED, ZO_ACCUMULATE_WEIGHTS);
    zo_objective *o = zo_engine_objective(e);
    zo_factor_spec factors = {.kind = ZO_FACTORS_OWN, .rank = 2};
    zo_set_spec spec = {.name = "left", .tag = ZO_TAG_OPT_STATE, .shape = ZO_SHAPE_LEFT};
    zo_set n;
    ck_assert(o->open_factors(o, &factors, &err) == ZO_OK && o->open(o, &spec, &n, &err) == ZO_OK);
    zo_dir z = {.kind = ZO_DIR_FACTORS, .seed = 6, .step = 1, .period = 2}, to = z, rest = {.kind = ZO_DIR_REST, .seed = 6, .step = 4};
    to.period = 3;
    ck_assert_int_eq(o->carry(o, n, &z, &to, &err), ZO_OK); /* nothing yet */
    zo_term dense = {.dir = {.kind = ZO_DIR_DENSE, .seed = 6}, .coef = 0.5}, pull[2] = {{.dir = z, .coef = 0.5}, {.dir = rest, .coef = 2.0}};
    ck_assert_int_eq(o->combine(o, n, 0.0, &dense, 1, &err), ZO_EUNSUPPORTED);
    ASSERT_HAS(err.text, "\"left\"");
    uint64_t before = live(ZO_TAG_OPT_STATE);
    ck_assert_int_eq(o->combine(o, n, 0.0, pull, 2, &err), ZO_OK);
    ck_assert_uint_eq(live(ZO_TAG_OPT_STATE) - before, ((ROWS * 2 + 15) / 16 + (ROWS + 15) / 16) * 16 * sizeof(float));
    zo_term held = {.dir = {.kind = ZO_DIR_HELD, .set = n, .seed = 6, .period = 2}, .coef = 2.0};
    zo_point point = {.n = 1, .term = &held};
    double loss;
    ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), ZO_EUNSUPPORTED);
    ASSERT_HAS(err.text, "\"left\"");
    ck_assert_int_eq(o->combine(o, n, 1.0, &held, 1, &err), ZO_EUNSUPPORTED);
    /* 2 N V^T with N = U / 2, and 2 times twice the rest's draw: the directions themselves */
    float *was = calloc((size_t)b.layout.size, sizeof *was);
    ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &held, 1, &err), ZO_OK);
    memcpy(was, b.store->data, (size_t)b.layout.size * sizeof *was);
    memset(b.store->data, 0, (size_t)b.layout.size * sizeof *was);
    pull[0].coef = 1.0;
    pull[1].coef = 4.0;
    ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, pull, 2, &err), ZO_OK);
    ck_assert(memcmp(was, b.store->data, (size_t)b.layout.size * sizeof *was) == 0);
    free(was);
    zo_engine_free(e);
    bowl_close(&b);
}
END_TEST

/* The weights are put to anchor + c offset, from wherever they are: what a sum in float64 rounds to, c = 0 the anchor and c = 1 the weights that there were.
 * A set of some layers has those alone. Norms are a number a parameter. */
START_TEST(weights_are_placed)
{
    for (int half = 0; half < ZO_STORAGES * ZO_SIDEPATH; half++) {
        bowl b;
        zo_err err = {0};
        bowl_open(&b, (zo_storage)(half / ZO_SIDEPATH));
        b.layout.param[0].linear = ZO_LINEAR_Q;
        b.be->init_normal(b.be, b.store, 0, 5, 0.5f);
        b.be->init_normal(b.be, b.store, 1, 6, 0.5f);
        size_t bytes = (size_t)(b.layout.size * zo_storage_bytes(b.store->storage));
        zo_engine *e = engine_on(&b, (zo_realisation)(half % ZO_SIDEPATH), ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        zo_set_spec copy = {.name = "anchor", .tag = ZO_TAG_SNAPSHOT, .copy = true, .linear = ZO_LINEAR_Q | ZO_LINEAR_K},
                    sum = {.name = "offset", .tag = ZO_TAG_OPT_STATE, .linear = ZO_LINEAR_Q | ZO_LINEAR_K}, none = {.name = "none", .linear = ZO_LINEAR_UP},
                    all = {.name = "all", .tag = ZO_TAG_OPT_STATE, .linear = ZO_LINEAR_EVERY};
        zo_set anchor, offset, nothing, whole;
        ck_assert(o->open(o, &copy, &anchor, &err) == ZO_OK && o->open(o, &sum, &offset, &err) == ZO_OK && o->open(o, &all, &whole, &err) == ZO_OK);
        ck_assert_int_eq(o->open(o, &none, &nothing, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"none\"");
        ck_assert(o->tensors(o, offset) == 1 && o->tensors(o, whole) == 2);
        float was[ROWS * COLS], is[ROWS * COLS], bias[ROWS], stays[ROWS];
        zo_store_get(b.be, b.store, 0, was);
        zo_term from[2] = {zo_set_term(ZO_SET_WEIGHTS, 1.0), zo_set_term(anchor, -1.0)}, move = {.dir = {.kind = ZO_DIR_DENSE, .seed = 6}, .coef = 0.01};
        zo_point probe = {.n = 1, .term = &move};
        uint64_t before = live(ZO_TAG_SNAPSHOT);
        double loss, norm[2], square = 0.0, times[2] = {0.0, 0.0};
        ck_assert_int_eq(o->combine(o, anchor, 0.0, from, 1, &err), ZO_OK);
        ck_assert_uint_eq(live(ZO_TAG_SNAPSHOT) - before, (ROWS * COLS + 15) / 16 * 16 * (uint64_t)zo_storage_bytes(b.store->storage));
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &move, 1, &err), ZO_OK);
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &probe, 1, &loss, &err), ZO_OK); /* in place they stand at a probe */
        ck_assert_int_eq(o->combine(o, offset, 0.0, from, 2, &err), ZO_OK);
        ck_assert_int_eq(o->combine(o, whole, 0.0, from, 1, &err), ZO_OK);
        zo_store_get(b.be, b.store, 0, is);
        zo_store_get(b.be, b.store, 1, bias);
        float d[ROWS * COLS];
        for (int i = 0; i < ROWS * COLS; i++) {
            d[i] = is[i] - was[i];
            square += (double)d[i] * d[i];
        }
        ck_assert(o->norms(o, offset, norm, &err) == ZO_OK && square > 0.0);
        ck_assert_double_eq_tol(norm[0], sqrt(square), 1e-9);
        ck_assert_int_eq(o->norms(o, whole, norm, &err), ZO_OK);
        square = 0.0;
        for (int i = 0; i < ROWS; i++) {
            square += (double)bias[i] * bias[i];
        }
        ck_assert_double_eq_tol(norm[1], sqrt(square), 1e-9);
        static const double way[] = {1.7, -3.0, 0.0, 0.5, 1.0};
        for (int k = 0; k < 5; k++) {
            times[0] = way[k];
            ck_assert_int_eq(o->place(o, anchor, offset, times, &err), ZO_OK);
            float at[ROWS * COLS];
            zo_store_get(b.be, b.store, 0, at);
            zo_store_get(b.be, b.store, 1, stays);
            ck_assert(memcmp(bias, stays, sizeof bias) == 0);
            for (int i = 0; i < ROWS * COLS; i++) {
                float want = zo_storage_round(b.store->storage, fmaf((float)way[k], d[i], was[i]));
                ck_assert_msg(at[i] == want, "%g times the offset: %g, not %g", way[k], (double)at[i], (double)want);
            }
        }
        memset(zo_store_at(b.store, 0), 0, bytes);
        times[0] = times[1] = 1.0;
        ck_assert_int_eq(o->place(o, ZO_SET_WEIGHTS, whole, times, &err), ZO_OK); /* from zeros: all of it */
        zo_store_get(b.be, b.store, 1, stays);
        ck_assert(memcmp(bias, stays, sizeof bias) == 0);
        zo_engine_free(e);
        bowl_close(&b);
    }
}
END_TEST

/* A set of cores takes S of CORE directions; between U and V of any period it is what a direction with that core is there, in every bit. In place too,
 * where what a core made of one period is still to be added when another period is asked for. */
START_TEST(cores_are_summed)
{
    for (int k = 0; k < ZO_SIDEPATH; k++) {
        bowl b;
        zo_err err = {0};
        bowl_open(&b, ZO_STORAGE_F32);
        zo_engine *e = engine_on(&b, (zo_realisation)k, ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        zo_factor_spec factors = {.kind = ZO_FACTORS_ORTHONORMAL, .rank = 3};
        zo_set_spec spec = {.name = "cores", .tag = ZO_TAG_OPT_STATE, .shape = ZO_SHAPE_CORE};
        zo_set c;
        ck_assert(o->open_factors(o, &factors, &err) == ZO_OK && o->open(o, &spec, &c, &err) == ZO_OK);
        zo_dir z = {.kind = ZO_DIR_CORE, .seed = 6, .step = 1, .query = 2}, rest = {.kind = ZO_DIR_REST, .seed = 6, .step = 4};
        zo_term dense = {.dir = {.kind = ZO_DIR_DENSE, .seed = 6}, .coef = 0.5};
        ck_assert_int_eq(o->combine(o, c, 0.0, &dense, 1, &err), ZO_EUNSUPPORTED);
        ASSERT_HAS(err.text, "\"cores\"");
        uint64_t before = live(ZO_TAG_OPT_STATE);
        zo_term pull[2] = {{.dir = z, .coef = 0.5}, {.dir = rest, .coef = 2.0}};
        ck_assert_int_eq(o->combine(o, c, 0.0, pull, 2, &err), ZO_OK);
        ck_assert_uint_eq(live(ZO_TAG_OPT_STATE) - before, (16 + (ROWS + 15) / 16 * 16) * sizeof(float));
        zo_term held[2], same[4];
        for (uint32_t p = 0; p < 2; p++) {
            held[p] = (zo_term){.dir = {.kind = ZO_DIR_HELD, .set = c, .seed = 6, .period = p}, .coef = 2.0};
            same[2 * p] = (zo_term){.dir = z, .coef = 1.0};
            same[2 * p].dir.period = p;
            same[2 * p + 1] = (zo_term){.dir = rest, .coef = 4.0};
        }
        zo_point point = {.n = 1, .term = held};
        double loss;
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err), ZO_EUNSUPPORTED);
        float *was = calloc((size_t)b.layout.size, sizeof *was);
        for (int side = 0; side < 2; side++) {
            memset(b.store->data, 0, (size_t)b.layout.size * sizeof *was);
            for (int p = 0; p < 2; p++) { /* the second is asked for while the first may be queued */
                ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, side == 0 ? &held[p] : same + 2 * p, side == 0 ? 1 : 2, &err), ZO_OK);
            }
            zo_engine_settle(e);
            ck_assert(side == 0 || (memcmp(was, b.store->data, (size_t)b.layout.size * sizeof *was) == 0 && was[1] != 0.0f));
            memcpy(was, b.store->data, (size_t)b.layout.size * sizeof *was);
        }
        /* written anew, while its old values may be queued */
        for (int side = 0; side < 2; side++) {
            memset(b.store->data, 0, (size_t)b.layout.size * sizeof *was);
            ck_assert_int_eq(o->combine(o, c, 0.0, pull, 2, &err), ZO_OK);
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, side == 0 ? held : same, side == 0 ? 1 : 2, &err), ZO_OK);
            ck_assert_int_eq(o->combine(o, c, 3.0, NULL, 0, &err), ZO_OK);
            same[0].coef = 3.0;
            same[1].coef = 12.0;
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, side == 0 ? held : same, side == 0 ? 1 : 2, &err), ZO_OK);
            same[0].coef = 1.0;
            same[1].coef = 4.0;
            zo_engine_settle(e);
            for (int64_t i = 0; i < b.layout.size && side == 1; i++) { /* 3 C and a coefficient of 3 are rounded apart */
                ck_assert_double_eq_tol(was[i], b.store->data[i], 1e-5);
            }
            memcpy(was, b.store->data, (size_t)b.layout.size * sizeof *was);
        }
        free(was);
        zo_engine_free(e);
        bowl_close(&b);
    }
}
END_TEST

/* U S V^T with orthonormal U and V is as long as S, and of two directions of one period the dot product is that of their S. */
START_TEST(cores_between_orthonormal_factors)
{
    bowl b;
    zo_err err = {0};
    bowl_open(&b, ZO_STORAGE_F32);
    zo_engine *e = engine_on(&b, ZO_STREAMED, ZO_ACCUMULATE_WEIGHTS);
    zo_objective *o = zo_engine_objective(e);
    zo_factor_spec factors = {.kind = ZO_FACTORS_ORTHONORMAL, .rank = 4};
    ck_assert_int_eq(o->open_factors(o, &factors, &err), ZO_OK);
    for (uint32_t period = 0; period < 3; period++) {
        float s[2][16];
        double here[2][ROWS * COLS], dots[3] = {0}, cores[3] = {0};
        for (uint32_t i = 0; i < 2; i++) {
            zo_term z = {.dir = {.kind = ZO_DIR_CORE, .seed = 6, .step = i, .query = 1, .period = period}, .coef = 1.0};
            memset(b.store->data, 0, (size_t)b.layout.size * sizeof(float));
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &z, 1, &err), ZO_OK);
            for (int j = 0; j < ROWS * COLS; j++) {
                here[i][j] = b.store->data[j];
            }
            zo_normals_scalar((zo_stream){6, zo_param_id("matrix/S"), i, 1, ZO_ROLE_Z}, 0, 16, s[i]);
        }
        for (int k = 0; k < 3; k++) {
            for (int j = 0; j < ROWS * COLS; j++) {
                dots[k] += here[k / 2][j] * here[(k + 1) / 2][j];
            }
            for (int j = 0; j < 16; j++) {
                cores[k] += (double)s[k / 2][j] * s[(k + 1) / 2][j];
            }
            ck_assert_double_eq_tol(dots[k], cores[k], 1e-5);
        }
    }
    zo_engine_free(e);
    bowl_close(&b);
}
END_TEST

/* In place, points along more directions than there are slots, updates along one of them and a set that takes another: the weights are those of
 * sweeps by hand, each with its factors beside it. */
START_TEST(factors_come_and_go)
{
    for (int storage = 0; storage < ZO_STORAGES; storage++) {
        bowl b;
        zo_err err;
        bowl_open(&b, (zo_storage)storage);
        b.be->init_normal(b.be, b.store, 0, 5, 0.5f);
        size_t bytes = (size_t)(b.layout.size * zo_storage_bytes(b.store->storage));
        zo_store *hand = zo_store_new_as(b.be, &b.layout, b.store->storage, ZO_TAG_OTHER);
        memcpy(zo_store_at(hand, 0), zo_store_at(b.store, 0), bytes);
        int rank[] = {2, 0};
        zo_factors *f = zo_factors_new_own(&b.layout, rank, 0.0, 6);
        zo_engine *e = engine_on(&b, ZO_INPLACE, ZO_ACCUMULATE_WEIGHTS);
        zo_objective *o = zo_engine_objective(e);
        zo_set_spec sum = {.name = "momentum", .tag = ZO_TAG_OPT_STATE};
        zo_set m;
        zo_factor_spec spec = {.kind = ZO_FACTORS_OWN, .rank = 2};
        ck_assert(o->open_factors(o, &spec, &err) == ZO_OK && o->open(o, &sum, &m, &err) == ZO_OK);
        zo_dir dir[4];
        zo_store *left[4], *right[4], *kept = zo_store_new(b.be, &b.layout, ZO_TAG_OTHER);
        for (int i = 0; i < 4; i++) {
            dir[i] = (zo_dir){.kind = ZO_DIR_FACTORS, .seed = 6, .step = (uint32_t)(i % 3), .query = 1, .period = (uint32_t)i};
            left[i] = zo_store_new(b.be, &f->left, ZO_TAG_OTHER);
            right[i] = zo_store_new(b.be, &f->right, ZO_TAG_OTHER);
            zo_normals_scalar((zo_stream){6, zo_param_id("matrix/U"), dir[i].step, 1, ZO_ROLE_Z}, 0, ROWS * 2, left[i]->data);
            zo_normals_scalar((zo_stream){6, zo_param_id("matrix/V"), dir[i].period, 0, ZO_ROLE_Z}, 0, COLS * 2, right[i]->data);
        }
        static const struct { int dir; double coef; bool probe; } move[] = {{0, 1e-2, true}, {0, -1e-2, true}, {0, 3e-3, false}, {1, 1e-2, true}, {2, 5e-3, false},
                                                                            {3, 2e-3, false}, {0, 1e-3, true}, {1, 2e-3, false}, {1, -4e-3, true}};
        int at = -1;
        for (size_t k = 0; k < sizeof move / sizeof *move; k++) {
            zo_term term = {.dir = dir[move[k].dir], .coef = move[k].coef}, by_hand[2];
            zo_point point = {.n = 1, .term = &term};
            double loss;
            int n = 0;
            if (at >= 0 && !(move[k].probe && move[at].dir == move[k].dir)) { /* the way back */
                by_hand[n++] = (zo_term){.dir = dir[move[at].dir], .coef = -move[at].coef};
                by_hand[0].dir.own.left = left[move[at].dir]->data;
                by_hand[0].dir.own.right = right[move[at].dir]->data;
            }
            by_hand[n] = term;
            by_hand[n].coef -= n == 0 && at >= 0 ? move[at].coef : 0.0;
            by_hand[n].dir.own.left = left[move[k].dir]->data;
            by_hand[n].dir.own.right = right[move[k].dir]->data;
            b.be->apply(b.be, hand, f, 1.0, by_hand, n + 1, NULL);
            at = move[k].probe ? (int)k : -1;
            ck_assert_int_eq(move[k].probe ? o->losses(o, ZO_BATCH_CURRENT, &point, 1, &loss, &err) : o->combine(o, ZO_SET_WEIGHTS, 1.0, &term, 1, &err), ZO_OK);
            ck_assert(!move[k].probe || memcmp(zo_store_at(b.store, 0), zo_store_at(hand, 0), bytes) == 0);
            zo_term into = {.dir = by_hand[n].dir, .coef = 0.5};
            b.be->apply(b.be, kept, f, 1.0, &into, 1, NULL);
            into.dir = dir[move[k].dir];
            ck_assert_int_eq(o->combine(o, m, 1.0, &into, 1, &err), ZO_OK);
        }
        double norm;
        ck_assert_int_eq(o->dot(o, m, m, &norm, &err), ZO_OK);
        ck_assert_double_eq(norm, b.be->dot(b.be, kept, kept));
        for (int i = 0; i < 4; i++) {
            zo_store_free(b.be, left[i]);
            zo_store_free(b.be, right[i]);
        }
        zo_store_free(b.be, kept);
        zo_store_free(b.be, hand);
        zo_engine_free(e);
        zo_factors_free(b.be, f);
        bowl_close(&b);
    }
}
END_TEST

/* Each slot alone is missed by whoever asks for its kind, and by nobody else. */
START_TEST(slots_that_are_not_there)
{
#define SLOT(of, slot) {#slot, offsetof(zo_backend, slot), of}
    static const struct { const char *name; size_t at; zo_slots of; } c[] = {
        SLOT(ZO_SLOTS_FORWARD, linear), SLOT(ZO_SLOTS_FORWARD, head_logprob), SLOT(ZO_SLOTS_FORWARD, wait), SLOT(ZO_SLOTS_SWEEPS, apply),
        SLOT(ZO_SLOTS_LOWRANK, draw_factors), SLOT(ZO_SLOTS_RULES, rule), SLOT(ZO_SLOTS_DRAWN_RULES, rule_drawn), SLOT(ZO_SLOTS_LOWRANK_RULES, rule_lowrank),
        SLOT(ZO_SLOTS_BACKWARD, linear_backward), SLOT(ZO_SLOTS_NORMS, dot), SLOT(ZO_SLOTS_PRODUCTS, multiply)};
#undef SLOT
    bowl b;
    zo_err err;
    bowl_open(&b, ZO_STORAGE_F32);
    ck_assert_int_eq(zo_backend_check(b.be, ZO_F32, &err), ZO_OK);
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        zo_backend poor = *b.be;
        memset((char *)&poor + c[k].at, 0, sizeof poor.apply);
        for (int of = ZO_SLOTS_FORWARD; of <= ZO_SLOTS_BACKWARD; of++) {
            err.text[0] = '\0';
            ck_assert_int_eq(zo_backend_has(&poor, (zo_slots)of, &err), of == (int)c[k].of ? ZO_EUNSUPPORTED : ZO_OK);
            ck_assert_int_eq(strstr(err.text, c[k].name) != NULL, of == (int)c[k].of);
        }
        ck_assert_int_eq(zo_backend_check(&poor, ZO_F32, &err), c[k].of == ZO_SLOTS_FORWARD ? ZO_EUNSUPPORTED : ZO_OK);
    }
    zo_backend other = *b.be;
    other.version = ZO_BACKEND_VERSION - 1;
    ck_assert_int_eq(zo_backend_check(&other, ZO_F32, &err), ZO_EUNSUPPORTED);
    char version[24];
    snprintf(version, sizeof version, "for version %d ", ZO_BACKEND_VERSION - 1);
    ASSERT_HAS(err.text, version);
    bowl_close(&b);
}
END_TEST

static zo_status no_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)context, (void)which, (void)grad, (void)loss, (void)err;
    ck_abort_msg("a gradient of a backend that has none");
    return ZO_OK;
}

/* What an estimator asks of such a backend ends in a sentence, and in no call: of sweeps, rules of either kind, factors, gradients. */
START_TEST(verbs_on_a_poor_backend)
{
    bowl b;
    zo_err err;
    bowl_open(&b, ZO_STORAGE_F32);
    zo_backend poor = *b.be;
    zo_engine_spec spec = {.be = &poor, .weights = b.store, .realisation = ZO_INPLACE, .seed = 6,
                           .io = {.context = &b, .losses = bowl_losses, .gradient = no_gradient, .most_points = POINTS}};
    zo_engine *e = zo_engine_new(&spec);
    zo_objective *o = zo_engine_objective(e);
    zo_set_spec sum = {.name = "sum", .tag = ZO_TAG_OPT_STATE};
    zo_set set;
    ck_assert_int_eq(o->open(o, &sum, &set, &err), ZO_OK);
    zo_term z = {.dir = {.kind = ZO_DIR_DENSE, .seed = 6}, .coef = 0.5}, kept = zo_set_term(set, 1.0);
    ck_assert_int_eq(o->combine(o, set, 0.0, &z, 1, &err), ZO_OK);
    zo_factor_spec factors = {.rank = 2};
    zo_rule_args args = {.lr = 0.1f};
    zo_operands stored = {.g = set}, numbers = {0};
    poor.draw_factors = NULL;
    ck_assert_int_eq(o->open_factors(o, &factors, &err), ZO_EUNSUPPORTED);
    poor.draw_factors = b.be->draw_factors;
    ck_assert_int_eq(o->open_factors(o, &factors, &err), ZO_OK);
    numbers.m_numbers = numbers.v_numbers = o->open_numbers(o, "moment");
    poor.rule_lowrank = NULL;
    ck_assert_int_eq(o->rule(o, ZO_RULE_QUOTIENT, &args, &numbers, &err), ZO_EUNSUPPORTED);
    ASSERT_HAS(err.text, "rule_lowrank");
    ck_assert_int_eq(o->rule(o, ZO_RULE_SGD, &args, &stored, &err), ZO_OK);
    poor.rule = NULL;
    ck_assert_int_eq(o->rule(o, ZO_RULE_SGD, &args, &stored, &err), ZO_EUNSUPPORTED);
    ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &kept, 1, &err), ZO_OK); /* that is a sweep */
    zo_operands drawn = {.term = &z, .terms = 1, .m = set, .v = set};
    poor.rule_drawn = NULL;
    ck_assert_int_eq(o->rule(o, ZO_RULE_ADAMW, &args, &drawn, &err), ZO_EUNSUPPORTED);
    ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &z, 1, &err), ZO_OK);
    double loss[1], norm;
    ck_assert_int_eq(o->dot(o, set, set, &norm, &err), ZO_OK);
    poor.dot = NULL;
    ck_assert_int_eq(o->dot(o, set, set, &norm, &err), ZO_EUNSUPPORTED);
    ck_assert_int_eq(o->gradient(o, ZO_BATCH_CURRENT, set, loss, &norm, &err), ZO_EUNSUPPORTED);
    zo_engine_settle(e);
    poor.apply = NULL;
    zo_point point = {.n = 1, .term = &z};
    ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, &point, 1, loss, &err), ZO_EUNSUPPORTED);
    ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, 1.0, &z, 1, &err), ZO_EUNSUPPORTED);
    zo_engine_free(e);
    bowl_close(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("seam");
    TCase *tests = tcase_create("seam");
    tcase_add_test(tests, methods_of_sets);
    tcase_add_test(tests, sets_keep_what_they_say);
    tcase_add_test(tests, points_have_sums_as_terms);
    tcase_add_loop_test(tests, a_set_scales_directions, 0, 2 * ZO_STORAGES);
    tcase_add_test(tests, a_scaled_direction_has_its_covariance);
    tcase_add_loop_test(tests, masks_are_of_the_smallest, 0, 2 * ZO_STORAGES);
    tcase_add_test(tests, a_drawn_operand_is_the_stored_one);
    tcase_add_test(tests, what_cannot_be_said_yet);
    tcase_add_test(tests, factors_of_their_own);
    tcase_add_test(tests, left_factors);
    tcase_add_test(tests, cores_between_orthonormal_factors);
    tcase_add_test(tests, cores_are_summed);
    tcase_add_test(tests, weights_are_placed);
    tcase_add_test(tests, factors_come_and_go);
    tcase_add_test(tests, slots_that_are_not_there);
    tcase_add_test(tests, verbs_on_a_poor_backend);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
