/* test_optimizers.c: the estimators on closed forms in float64: expectation and variance of the estimates, MeZO-SVRG's modes, the
 * learning-rate rule, first-order rules against PyTorch, and a conformance loop over the registry. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizers/engine/engine.h"
#include "optimizers/needs.h"
#include "optimizers/spsa.h"
#include "tests/objective64.h"
#include "tests/plugins.h"
#include "tests/suite.h"

/* L_B(w) = 1/2 sum_j h_j (w_j - mean_B t_j)^2 over N examples; the batch of a step is one example. */
enum { ROWS = 7, COLS = 5, EXTRA = 4, EXAMPLES = 3, MOST = 128 };

typedef struct quadratic {
    zo_layout layout;
    double h[MOST], target[EXAMPLES][MOST];
    int example; /* the current batch */
} quadratic;

/* Curvatures and targets of a layout. */
static void quadratic_fill(quadratic *q)
{
    for (int t = 0; t < q->layout.n; t++) {
        const zo_param *p = &q->layout.param[t];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++) {
            q->h[i] = 0.5 + zo_uniform((zo_stream){.seed = 5, .role = ZO_ROLE_DATA}, (uint64_t)i);
            for (int e = 0; e < EXAMPLES; e++) {
                q->target[e][i] = 2.0 * zo_uniform((zo_stream){.seed = 6, .step = (uint32_t)e, .role = ZO_ROLE_DATA}, (uint64_t)i) - 1.0;
            }
        }
    }
}

static void quadratic_open(quadratic *q, bool vector)
{
    memset(q, 0, sizeof *q);
    zo_layout_add(&q->layout, "matrix", ZO_PARAM_MATRIX, ROWS, COLS, 0, true);
    q->layout.param[0].linear = ZO_LINEAR_V;
    if (vector) {
        zo_layout_add(&q->layout, "bias", ZO_PARAM_VECTOR, 1, EXTRA, 1, false);
    }
    quadratic_fill(q);
}

static double quadratic_target(const quadratic *q, zo_which which, int64_t i)
{
    if (which == ZO_BATCH_CURRENT) {
        return q->target[q->example][i];
    }
    double sum = 0.0;
    for (int e = 0; e < EXAMPLES; e++) {
        sum += q->target[e][i] / EXAMPLES;
    }
    return sum;
}

static double quadratic_loss(void *context, zo_which which, const double *w)
{
    const quadratic *q = context;
    double sum = 0.0;
    for (int64_t i = 0; i < q->layout.size; i++) {
        double d = w[i] - quadratic_target(q, which, i);
        sum += 0.5 * q->h[i] * d * d;
    }
    return sum;
}

static void quadratic_gradient(void *context, zo_which which, const double *w, double *g)
{
    const quadratic *q = context;
    for (int64_t i = 0; i < q->layout.size; i++) {
        g[i] = q->h[i] * (w[i] - quadratic_target(q, which, i));
    }
}

/* Mean and spread of what an estimator does over many seeds. */
typedef struct sample { double sum[MOST], squares[MOST], deviation /* sum of |x - expected|^2 */, deviation2; int n; } sample;

static void sample_add(sample *s, const double *x, const double *expected, int64_t size)
{
    double d = 0.0;
    for (int64_t i = 0; i < size; i++) {
        s->sum[i] += x[i];
        s->squares[i] += x[i] * x[i];
        d += (x[i] - expected[i]) * (x[i] - expected[i]);
    }
    s->deviation += d;
    s->deviation2 += d * d;
    s->n++;
}

/* Every coordinate's mean lies within 5 standard errors, and the mean square of those distances is about 1. */
static void assert_unbiased(const sample *s, const double *expected, int64_t size, const char *what)
{
    double chi = 0.0;
    int used = 0;
    for (int64_t i = 0; i < size; i++) {
        double mean = s->sum[i] / s->n, variance = s->squares[i] / s->n - mean * mean;
        if (variance <= 0.0) {
            continue; /* padding */
        }
        double distance = (mean - expected[i]) / sqrt(variance / s->n);
        ck_assert_msg(fabs(distance) < 5.0, "%s: coordinate %d has mean %g, expected %g: %.1f standard errors", what, (int)i, mean,
                      expected[i], distance);
        chi += distance * distance;
        used++;
    }
    ck_assert_int_gt(used, 0);
    ck_assert_msg(chi / used < 1.0 + 6.0 * sqrt(2.0 / used), "%s: mean square distance %g", what, chi / used);
}

/* E |g - G|^2 / |G|^2 lies within 5 standard errors of the formula. */
static void assert_variance(const sample *s, double square_norm, double formula, const char *what)
{
    double mean = s->deviation / s->n, error = sqrt((s->deviation2 / s->n - mean * mean) / s->n);
    ck_assert_msg(fabs(mean / square_norm - formula) < 5.0 * error / square_norm, "%s: variance %g +- %g, formula %g", what,
                  mean / square_norm, error / square_norm, formula);
    printf("measured: %s: E|g-G|^2/|G|^2 = %.3f +- %.3f, formula %.3f\n", what, mean / square_norm, error / square_norm, formula);
}

/* The estimate of one first step with lr 1, from w = 0: w0 - w1. */
static void first_estimates(quadratic *q, const char *name, const char *json, int draws, const double *expected, sample *s)
{
    memset(s, 0, sizeof *s);
    for (int k = 0; k < draws; k++) {
        objective64 *o = objective64_new(&q->layout, 1000 + (uint64_t)k, q, quadratic_loss, NULL);
        running r = running_new(name, json, &o->o);
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 0, 1.0, 1e-2, &report), ZO_OK);
        double x[MOST];
        for (int64_t i = 0; i < q->layout.size; i++) {
            x[i] = -o->w[i];
        }
        sample_add(s, x, expected, q->layout.size);
        running_free(&r);
        objective64_free(o);
    }
}

static double square_norm(const double *x, int64_t n)
{
    double sum = 0.0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sum;
}

START_TEST(mezo_is_unbiased)
{
    quadratic q;
    quadratic_open(&q, true);
    double g[MOST] = {0}, zero[MOST] = {0};
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    sample s;
    first_estimates(&q, "mezo", NULL, 20000, g, &s);
    assert_unbiased(&s, g, q.layout.size, "mezo");
    double d = ROWS * COLS + EXTRA;
    assert_variance(&s, square_norm(g, q.layout.size), d + 1.0, "mezo");
    first_estimates(&q, "mezo", "{\"queries\": 4}", 8000, g, &s);
    assert_unbiased(&s, g, q.layout.size, "mezo with 4 queries");
    assert_variance(&s, square_norm(g, q.layout.size), (d + 1.0) / 4.0, "mezo with 4 queries");
    first_estimates(&q, "mezo", "{\"draw\": \"rademacher\"}", 20000, g, &s); /* E z_i^4 = 1 where a normal's is 3 */
    assert_unbiased(&s, g, q.layout.size, "mezo with signs");
    assert_variance(&s, square_norm(g, q.layout.size), d - 1.0, "mezo with signs");
    zo_layout_free(&q.layout);
}
END_TEST

/* Five blocks, of which two are left out at each step, and a parameter outside them. A block's gradient comes 3 times in 5; the mean square of an
 * estimate is the mean over all subsets of E|z' z'G|^2 = (d' + 2) |G'|^2, of signs d' |G'|^2, where ' is what is kept. */
START_TEST(lezo_keeps_a_share_of_the_blocks)
{
    enum { BLOCKS = 5, KEPT = 3 };
    quadratic q = {.example = 0};
    for (int b = 0; b < BLOCKS; b++) {
        char name[16];
        snprintf(name, sizeof name, "w%d", b);
        zo_layout_add(&q.layout, name, ZO_PARAM_MATRIX, 1 + b, 2, b, true);
    }
    zo_layout_add(&q.layout, "head", ZO_PARAM_VECTOR, 1, EXTRA, -1, false);
    quadratic_fill(&q);
    double g[MOST] = {0}, zero[MOST] = {0}, expected[MOST] = {0}, square[2] = {0.0, 0.0};
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    for (int t = 0; t < q.layout.n; t++) {
        const zo_param *p = &q.layout.param[t];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols; i++) {
            expected[i] = g[i] * (p->block >= 0 ? (double)KEPT / BLOCKS : 1.0);
        }
    }
    int subsets = 0;
    for (unsigned kept = 0; kept < 1u << BLOCKS; kept++) {
        if (__builtin_popcount(kept) != KEPT) {
            continue;
        }
        double d = 0.0, norm = 0.0;
        for (int t = 0; t < q.layout.n; t++) {
            const zo_param *p = &q.layout.param[t];
            if (p->block < 0 || (kept >> p->block & 1) != 0) {
                d += (double)(p->rows * p->cols);
                norm += square_norm(g + p->offset, p->rows * p->cols);
            }
        }
        square[0] += (d + 2.0) * norm;
        square[1] += d * norm;
        subsets++;
    }
    ck_assert_int_eq(subsets, 10);
    double mean = square_norm(expected, q.layout.size);
    static const char *const json[] = {"{\"sparsity\": 0.5}", "{\"sparsity\": 0.4, \"draw\": \"rademacher\"}"}; /* both are two blocks */
    for (int k = 0; k < 2; k++) {
        sample s;
        first_estimates(&q, "lezo", json[k], 20000, expected, &s);
        assert_unbiased(&s, expected, q.layout.size, json[k]);
        assert_variance(&s, mean, (square[k] / subsets - mean) / mean, json[k]);
    }
    zo_layout_free(&q.layout);
}
END_TEST

/* What is left out is a function of seed, step and query, as many blocks as were asked for, each as often as the others. */
START_TEST(blocks_are_left_out_by_their_draw)
{
    zo_objective o = {.seed = 9, .blocks = 12, .trained = {.in = 0xFFF}};
    zo_err err;
    int count[ZO_DIR_BLOCKS] = {0};
    for (int step = 0; step < 3000; step++) {
        zo_dir z = zo_gauss(&o, step, 0), again = z;
        ck_assert_int_eq(zo_leave_out(&o, 0.76, &z, &err), ZO_OK);
        ck_assert_int_eq(zo_leave_out(&o, 0.76, &again, &err), ZO_OK);
        ck_assert(z.skip.in == again.skip.in);
        ck_assert_int_eq(__builtin_popcountll(z.skip.in), 9);
        for (int b = 0; b < ZO_DIR_BLOCKS; b++) {
            count[b] += (int)(z.skip.in >> b & 1);
        }
    }
    for (int b = 0; b < ZO_DIR_BLOCKS; b++) {
        ck_assert_msg(abs(count[b] - (b < 12 ? 2250 : 0)) < (b < 12 ? 120 : 1), "block %d was left out %d times", b, count[b]);
    }
    zo_dir z = zo_rademacher(&o, 1, 0), other = zo_rademacher(&o, 1, 1), none = z, all = z;
    ck_assert(z.draw == ZO_DRAW_RADEMACHER);
    ck_assert(zo_leave_out(&o, 0.5, &z, &err) == ZO_OK && zo_leave_out(&o, 0.5, &other, &err) == ZO_OK && z.skip.in != other.skip.in);
    ck_assert(zo_leave_out(&o, 0.08, &none, &err) == ZO_OK && none.skip.in == 0);
    ck_assert(zo_leave_out(&o, 1.0, &all, &err) == ZO_OK && all.skip.in == 0xFFF);
    o.trained.in = 0xA00; /* two blocks alone are trained */
    all.skip.in = none.skip.in = 0;
    ck_assert(zo_leave_out(&o, 1.0, &all, &err) == ZO_OK && all.skip.in == 0xA00);
    ck_assert(zo_leave_out(&o, 0.5, &none, &err) == ZO_OK && (none.skip.in == 0x800 || none.skip.in == 0x200));
    o.blocks = ZO_DIR_BLOCKS;
    o.trained = (zo_blocks){.in = UINT64_MAX, .outside = true};
    ck_assert(zo_leave_out(&o, 1.0, &all, &err) == ZO_OK && all.skip.in == UINT64_MAX && !all.skip.outside);
    o.blocks++;
    ck_assert_int_eq(zo_leave_out(&o, 0.5, &all, &err), ZO_EUNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "among 64, and this model has 65"));
}
END_TEST

/* LeZO that leaves out nothing would be MeZO by another name: refused, unless that is what was asked for. */
START_TEST(lezo_leaves_something_out_or_does_not_start)
{
    static const struct { uint64_t trained; double sparsity; zo_status status; } at[] = {
        {0, 0.75, ZO_EUNSUPPORTED}, {1, 0.75, ZO_EUNSUPPORTED}, {3, 0.4, ZO_EUNSUPPORTED}, {3, 0.5, ZO_OK}, {1, 1.0, ZO_OK}, {0, 0.0, ZO_OK}, {3, 0.0, ZO_OK}};
    const zo_estimator *lezo = zo_estimator_find("lezo");
    for (size_t k = 0; k < sizeof at / sizeof *at; k++) {
        zo_objective o = {.seed = 9, .blocks = 2, .trained = {.in = at[k].trained, .outside = true}};
        char json[64];
        zo_err err = {0};
        void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, lezo->state_bytes);
        snprintf(json, sizeof json, "{\"sparsity\": %g}", at[k].sparsity);
        cJSON *options = cJSON_Parse(json);
        ck_assert_int_eq(zo_opt_read(lezo->options, options, NULL, "lezo", state, &err), ZO_OK);
        ck_assert_int_eq(lezo->start(state, &o, &err), at[k].status);
        ck_assert(at[k].status == ZO_OK || strstr(err.text, "less than one") != NULL);
        cJSON_Delete(options);
        zo_free(state);
    }
}
END_TEST

/* A model of 64 blocks, all of which can be named, and what is in none of them. */
typedef struct moved {
    zo_blocks skip[ZO_DIR_BLOCKS + 1];
    int n;
} moved;

static zo_status no_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    (void)o;
    (void)which;
    (void)point;
    (void)err;
    memset(loss, 0, (size_t)n * sizeof *loss);
    return ZO_OK;
}

static zo_status note_moves(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    (void)set;
    (void)decay;
    (void)err;
    moved *all = o->self;
    for (int k = 0; k < n; k++) {
        ck_assert_int_lt(all->n, ZO_DIR_BLOCKS + 1);
        all->skip[all->n++] = zo_dir_skip(&term[k].dir);
    }
    return ZO_OK;
}

START_TEST(of_64_blocks_each_is_named)
{
    enum { N = 64 };
    zo_param param[N + 1] = {{.name = "table", .block = -1, .rows = 1, .cols = 1}};
    for (int b = 0; b < N; b++) {
        param[1 + b] = (zo_param){.name = "w", .block = b, .rows = 1, .cols = 1};
    }
    zo_layout layout = {.n = N + 1, .param = param};
    zo_blocks trained = zo_trained_blocks(&layout);
    ck_assert(trained.in == UINT64_MAX && trained.outside);
    param[0].frozen = param[N].frozen = true;
    zo_blocks without = zo_trained_blocks(&layout);
    ck_assert(without.in == UINT64_MAX >> 1 && !without.outside);
    for (int freeze = 0; freeze < 2; freeze++) {
        moved all = {.n = 0};
        zo_objective o = {.self = &all, .seed = 3, .blocks = N, .trained = trained, .losses = no_losses, .combine = note_moves};
        running r = running_new("mezo-bcd", freeze ? "{\"outside\": \"freeze\"}" : NULL, &o);
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 1, 1e-3, 1e-3, &report), ZO_OK);
        running_free(&r);
        ck_assert_int_eq(all.n, freeze ? N : N + 1);
        for (int k = 0; k < all.n; k++) {
            for (int b = -1; b < N; b++) {
                ck_assert_int_eq(zo_dir_acts(ZO_DIR_DENSE, all.skip[k], b, 0), b == (k < N ? k : -1));
            }
        }
    }
}
END_TEST

/* The second estimate of a cone about m = (1 - b) pg0 z0: E z' z'^T G = d cos^2 (m'G) m / |m|^2 + sin^2 G, whatever m's length is. */
START_TEST(conmezo_leans_to_its_momentum)
{
    quadratic q;
    quadratic_open(&q, true);
    const double theta = 1.1, d = ROWS * COLS + EXTRA;
    double g[MOST] = {0}, zero[MOST] = {0}, m[MOST] = {0}, expected[MOST];
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    objective64 *first = objective64_new(&q.layout, 7, &q, quadratic_loss, NULL);
    zo_dir z = zo_gauss(&first->o, 0, 0);
    direction64(first, &z, m);
    objective64_free(first);
    double norm = square_norm(m, q.layout.size), slope = 0.0;
    for (int64_t i = 0; i < q.layout.size; i++) {
        slope += m[i] * g[i];
    }
    for (int64_t i = 0; i < q.layout.size; i++) {
        expected[i] = d * cos(theta) * cos(theta) * slope * m[i] / norm + sin(theta) * sin(theta) * g[i];
    }
    sample s = {.n = 0};
    for (int k = 0; k < 20000; k++) {
        objective64 *o = objective64_new(&q.layout, 7, &q, quadratic_loss, NULL);
        running r = running_new("conmezo", "{\"theta\": 1.1, \"beta\": 0.7}", &o->o);
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 0, 0.0, 1e-2, &report), ZO_OK);
        o->o.seed = 1000 + (uint64_t)k; /* the momentum stays, z is another */
        ck_assert_int_eq(running_step(&r, 1, 0, 1.0, 1e-2, &report), ZO_OK);
        double x[MOST];
        for (int64_t i = 0; i < q.layout.size; i++) {
            x[i] = -o->w[i];
        }
        sample_add(&s, x, expected, q.layout.size);
        running_free(&r);
        objective64_free(o);
    }
    assert_unbiased(&s, expected, q.layout.size, "conmezo, second step");
    zo_layout_free(&q.layout);
}
END_TEST

START_TEST(tezo_is_unbiased)
{
    quadratic q;
    quadratic_open(&q, false);
    double g[MOST] = {0}, zero[MOST] = {0}, times[MOST];
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    static const char *const scale[] = {"none", "sqrt", "rank"};
    for (int r = 1; r <= 4; r++) {
        for (int k = 0; k < 3; k++) {
            /* with Z scaled by c the estimate is c^2 r times the gradient: r, 1, 1/r */
            double factor = k == 0 ? r : k == 1 ? 1.0 : 1.0 / r;
            for (int i = 0; i < MOST; i++) {
                times[i] = factor * g[i];
            }
            char json[128], what[128];
            snprintf(json, sizeof json, "{\"rank\": %d, \"scale\": \"%s\", \"rest\": \"freeze\"}", r, scale[k]);
            snprintf(what, sizeof what, "tezo, rank %d, scale %s", r, scale[k]);
            sample s;
            first_estimates(&q, "tezo", json, 30000, times, &s);
            assert_unbiased(&s, times, q.layout.size, what);
            double m = ROWS, n = COLS;
            if (k == 1) {
                assert_variance(&s, square_norm(g, q.layout.size), 1.0 + m * n + (2.0 * m * n + 6.0 * (m + n) + 10.0) / r, what);
            }
        }
    }
    zo_layout_free(&q.layout);
    quadratic_open(&q, true);
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    sample s;
    first_estimates(&q, "tezo", "{\"rank\": 2}", 30000, g, &s);
    assert_unbiased(&s, g, q.layout.size, "tezo with a vector trained");
    for (int i = 0; i < MOST; i++) {
        times[i] = 0.1 * g[i] * (i < ROWS * COLS);
    }
    /* tezo-m's first step is (1 - beta1) times tezo's */
    first_estimates(&q, "tezo-m", "{\"rank\": 2, \"rest\": \"freeze\"}", 30000, times, &s);
    assert_unbiased(&s, times, q.layout.size, "tezo-m, first step");
    zo_layout_free(&q.layout);
}
END_TEST

/* U and V of an estimate are drawn for it, so over both it is unbiased: of unit variance the gradient itself, unscaled r times it. */
START_TEST(lozo_is_unbiased)
{
    quadratic q;
    sample s;
    quadratic_open(&q, false);
    double g[MOST] = {0}, zero[MOST] = {0}, times[MOST];
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    for (int r = 1; r <= 4; r++) {
        char json[128], what[128];
        snprintf(json, sizeof json, "{\"rank\": %d, \"scale\": \"sqrt\"}", r);
        snprintf(what, sizeof what, "lozo, rank %d", r);
        first_estimates(&q, "lozo", json, 30000, g, &s);
        assert_unbiased(&s, g, q.layout.size, what);
        assert_variance(&s, square_norm(g, q.layout.size), 1.0 + ROWS * COLS + (2.0 * (ROWS + COLS) + 2.0) / r, what);
    }
    for (int i = 0; i < MOST; i++) {
        times[i] = 3.0 * g[i];
    }
    first_estimates(&q, "lozo", "{\"rank\": 3}", 30000, times, &s);
    assert_unbiased(&s, times, q.layout.size, "lozo, unscaled");
    zo_layout_free(&q.layout);
    quadratic_open(&q, true);
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    first_estimates(&q, "lozo", "{\"rank\": 2, \"scale\": \"sqrt\"}", 30000, g, &s);
    assert_unbiased(&s, g, q.layout.size, "lozo with a vector trained");
    zo_layout_free(&q.layout);
}
END_TEST

/* Over all orthonormal factors the estimate is the gradient where Z is scaled by mu, and r^2 / (m n) of it where it is not. */
START_TEST(subzo_is_unbiased)
{
    quadratic q;
    sample s;
    quadratic_open(&q, false);
    double g[MOST] = {0}, zero[MOST] = {0}, times[MOST];
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    for (int r = 1; r <= 4; r++) {
        char json[128], what[128];
        snprintf(json, sizeof json, "{\"rank\": %d}", r);
        snprintf(what, sizeof what, "subzo, rank %d", r);
        first_estimates(&q, "subzo", json, 30000, g, &s);
        assert_unbiased(&s, g, q.layout.size, what);
        assert_variance(&s, square_norm(g, q.layout.size), ROWS * COLS * (1.0 + 2.0 / (r * r)) - 1.0, what);
    }
    for (int i = 0; i < MOST; i++) {
        times[i] = 9.0 / (ROWS * COLS) * g[i];
    }
    first_estimates(&q, "subzo", "{\"rank\": 3, \"align\": false}", 30000, times, &s);
    assert_unbiased(&s, times, q.layout.size, "subzo, not aligned");
    zo_layout_free(&q.layout);
}
END_TEST

/* K cores share U and V, so the second moment of their mean is 1 / K of one's, and for the rest that of the gradient between two projections: of
 * m n (|g| / r)^2, where Z is scaled. */
START_TEST(subzero_plus_is_unbiased)
{
    quadratic q;
    sample s;
    quadratic_open(&q, false);
    double g[MOST] = {0}, zero[MOST] = {0};
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    for (int k = 1; k <= 3; k++) {
        char json[128], what[128];
        double r = 2.0;
        snprintf(json, sizeof json, "{\"rank\": 2, \"queries\": %d, \"rule\": \"sgd\", \"align\": true}", k);
        snprintf(what, sizeof what, "subzero-plus, %d queries", k);
        first_estimates(&q, "subzero-plus", json, 30000, g, &s);
        assert_unbiased(&s, g, q.layout.size, what);
        assert_variance(&s, square_norm(g, q.layout.size), ROWS * COLS * ((1.0 + 2.0 / (r * r)) / k + (1.0 - 1.0 / k) / (r * r)) - 1.0, what);
    }
    zo_layout_free(&q.layout);
}
END_TEST

/* Antithetic members by raw scores are the mean of two-point estimates along draws of their own; others have the mean's own share taken off. */
START_TEST(a_population_is_unbiased)
{
    quadratic q;
    sample s;
    quadratic_open(&q, false);
    double g[MOST] = {0}, zero[MOST] = {0}, times[MOST];
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, g);
    for (int r = 1; r <= 2; r++) {
        char json[128], what[128];
        snprintf(json, sizeof json, "{\"rank\": %d, \"pairs\": 3, \"scores\": \"raw\"}", r);
        snprintf(what, sizeof what, "eggroll, rank %d", r);
        first_estimates(&q, "eggroll", json, 12000, g, &s);
        assert_unbiased(&s, g, q.layout.size, what);
        assert_variance(&s, square_norm(g, q.layout.size), (1.0 + ROWS * COLS + (2.0 * (ROWS + COLS) + 2.0) / r) / 3.0, what);
    }
    for (int i = 0; i < MOST; i++) {
        times[i] = 0.75 * g[i]; /* of 4 members each is a quarter of its own mean */
    }
    first_estimates(&q, "eggroll", "{\"pairs\": 2, \"scores\": \"raw\", \"antithetic\": false}", 20000, times, &s);
    assert_unbiased(&s, times, q.layout.size, "eggroll, four draws");
    zo_layout_free(&q.layout);
}
END_TEST

/* Full step with eta1, then a mini-batch step with eta2: the second move divided by -eta2. */
static void svrg_estimates(quadratic *q, const char *options, int draws, double eta1, double eta2, const double *expected, sample *s)
{
    memset(s, 0, sizeof *s);
    char json[256];
    snprintf(json, sizeof json, "{%s, \"q\": 2, \"eta2\": %g}", options, eta2);
    for (int k = 0; k < draws; k++) {
        objective64 *o = objective64_new(&q->layout, 77 + (uint64_t)k, q, quadratic_loss, NULL);
        running r = running_new("mezo-svrg", json, &o->o);
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 3, 0, eta1, 1e-2, &report), ZO_OK);
        ck_assert(report.full_batch && report.lr == eta1);
        double x[MOST];
        memcpy(x, o->w, (size_t)q->layout.size * sizeof *x);
        ck_assert_int_eq(running_step(&r, 3, 0, eta1, 1e-2, &report), ZO_OK);
        ck_assert(!report.full_batch && report.lr == eta2);
        ck_assert_uint_eq(o->full_probes, 2);
        ck_assert_uint_eq(o->probes, 4);
        for (int64_t i = 0; i < q->layout.size; i++) {
            x[i] = (x[i] - o->w[i]) / eta2;
        }
        sample_add(s, x, expected, q->layout.size);
        running_free(&r);
        objective64_free(o);
    }
}

START_TEST(svrg_modes_have_their_expectations)
{
    quadratic q;
    quadratic_open(&q, true);
    q.example = 1;
    const double eta1 = 0.02, eta2 = 0.02;
    double full[MOST] = {0}, mini[MOST] = {0}, zero[MOST] = {0}, paper[MOST], released[MOST];
    quadratic_gradient(&q, ZO_BATCH_FULL, zero, full);
    quadratic_gradient(&q, ZO_BATCH_CURRENT, zero, mini);
    for (int64_t i = 0; i < q.layout.size; i++) {
        /* w1 = w0 - eta1 g, E g = full. paper: grad_I(w1) - grad_I(w0) + g. released: the second estimate stands at
         * w1 - eta2 pg z, so that grad_I(w1) - grad_I(there) = eta2 h grad_I(w1) in the mean. */
        paper[i] = full[i] - eta1 * q.h[i] * full[i];
        released[i] = full[i] + eta2 * q.h[i] * (mini[i] - eta1 * q.h[i] * full[i]);
    }
    sample s;
    svrg_estimates(&q, "\"mode\": \"paper\", \"z\": \"shared\"", 20000, eta1, eta2, paper, &s);
    assert_unbiased(&s, paper, q.layout.size, "mezo-svrg paper, shared z");
    svrg_estimates(&q, "\"mode\": \"paper\", \"z\": \"fresh\"", 20000, eta1, eta2, paper, &s);
    assert_unbiased(&s, paper, q.layout.size, "mezo-svrg paper, fresh z");
    svrg_estimates(&q, "\"mode\": \"replay\"", 20000, eta1, eta2, paper, &s);
    assert_unbiased(&s, paper, q.layout.size, "mezo-svrg replay");
    svrg_estimates(&q, "\"mode\": \"released\"", 20000, eta1, eta2, released, &s);
    assert_unbiased(&s, released, q.layout.size, "mezo-svrg released");
    first_estimates(&q, "mezo-svrg", NULL, 20000, full, &s);
    assert_unbiased(&s, full, q.layout.size, "mezo-svrg, full-batch step");
    zo_layout_free(&q.layout);
}
END_TEST

/* Returns the most terms that were added to the weights at once. */
static int svrg_run(quadratic *q, const char *json, int steps, double *w)
{
    objective64 *o = objective64_new(&q->layout, 3, q, quadratic_loss, NULL);
    running r = running_new("mezo-svrg", json, &o->o);
    for (int k = 0; k < steps; k++) {
        zo_step_report report;
        q->example = k % EXAMPLES;
        ck_assert_int_eq(running_step(&r, EXAMPLES, 0, 2e-2, 1e-3, &report), ZO_OK);
    }
    memcpy(w, o->w, (size_t)q->layout.size * sizeof *w);
    int most = o->most_applied;
    running_free(&r);
    objective64_free(o);
    return most;
}

START_TEST(svrg_replay_is_paper)
{
    quadratic q;
    quadratic_open(&q, true);
    static const char *const z[] = {"shared", "fresh"};
    for (int k = 0; k < 2; k++) {
        for (int period = 1; period <= 7; period += 3) {
            char json[128];
            double paper[MOST], replay[MOST];
            snprintf(json, sizeof json, "{\"mode\": \"paper\", \"z\": \"%s\", \"q\": %d, \"eta2\": 0.01}", z[k], period);
            int terms = period == 1 ? 1 : k == 1 ? 3 : 2; /* g, and both estimates: along one z they are one term */
            ck_assert_int_eq(svrg_run(&q, json, 60, paper), terms);
            snprintf(json, sizeof json, "{\"mode\": \"replay\", \"z\": \"%s\", \"q\": %d, \"eta2\": 0.01}", z[k], period);
            ck_assert_int_eq(svrg_run(&q, json, 60, replay), terms);
            for (int64_t i = 0; i < q.layout.size; i++) {
                ck_assert_double_eq_tol(paper[i], replay[i], 1e-11);
            }
        }
    }
    zo_layout_free(&q.layout);
}
END_TEST

/* A learning rate of 1.5 makes the loss grow at each full-batch step: the paper's rule divides after two windows, the released one
 * after four, down to its floors, which can raise a learning rate (eta2 = 0 here). */
START_TEST(svrg_rule_anneals)
{
    quadratic q;
    quadratic_open(&q, false);
    static const struct { const char *rule; double anneal, full, mini; int steps; } c[] = {
        {"paper", 5, 0.3, 0.0, 6}, {"off", 5, 1.5, 0.0, 6}, {"released", 5, 1.5, 0.0, 8}, {"released", 1e6, 1e-5, 1e-6, 12}};
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        objective64 *o = objective64_new(&q.layout, 4, &q, quadratic_loss, NULL);
        char json[128];
        snprintf(json, sizeof json, "{\"eta2\": 0.0, \"window\": 2, \"rule\": \"%s\", \"anneal\": %g}", c[k].rule, c[k].anneal);
        running r = running_new("mezo-svrg", json, &o->o);
        zo_step_report report = {0};
        double full = 0.0, mini = -1.0;
        for (int step = 0; step < c[k].steps; step++) {
            ck_assert_int_eq(running_step(&r, EXAMPLES, 0, 1.5, 1e-3, &report), ZO_OK);
            *(report.full_batch ? &full : &mini) = report.lr;
        }
        ck_assert_msg(fabs(full / c[k].full - 1.0) < 1e-12, "case %zu: eta1 is %g, expected %g", k, full, c[k].full);
        ck_assert_double_eq_tol(mini, c[k].mini, 1e-12);
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&q.layout);
}
END_TEST

START_TEST(mezo_decays_as_asked)
{
    quadratic q;
    quadratic_open(&q, true);
    for (int all = 0; all < 2; all++) {
        objective64 *o = objective64_new(&q.layout, 9, &q, quadratic_loss, NULL);
        memset(q.h, 0, sizeof q.h); /* a flat loss: only decay moves the weights */
        for (int64_t i = 0; i < q.layout.size; i++) {
            o->w[i] = 1.0;
        }
        running r = running_new("mezo", all ? "{\"weight_decay\": 0.5, \"decay_on\": \"all\"}" : "{\"weight_decay\": 0.5}", &o->o);
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 0, 0.1, 1e-3, &report), ZO_OK);
        ck_assert_double_eq_tol(o->w[0], 0.95, 1e-15);
        ck_assert_double_eq_tol(o->w[q.layout.param[1].offset], all ? 0.95 : 1.0, 1e-15);
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&q.layout);
}
END_TEST

/* Dense Adam over EMA[kappa Z] with the separable second moment, all written out in the m x n space, for some steps. */
START_TEST(tezo_adam_is_its_formula)
{
    quadratic q;
    quadratic_open(&q, true);
    const double b1 = 0.8, b2 = 0.95, lr = 0.01, eps = 1e-6;
    objective64 *o = objective64_new(&q.layout, 21, &q, quadratic_loss, NULL);
    running r = running_new("tezo-adam",
                            "{\"rank\": 3, \"beta1\": 0.8, \"beta2\": 0.95, \"adam_eps\": 1e-6, \"rest_lr\": 0.02}", &o->o);
    double expected[MOST] = {0}, first[MOST] = {0}, second[MOST] = {0}, kappa2 = 0.0;
    for (int step = 0; step < 12; step++) {
        zo_step_report report;
        q.example = step % EXAMPLES;
        ck_assert_int_eq(running_step(&r, 1, 0, lr, 1e-3, &report), ZO_OK);
        zo_dir cp = {.kind = ZO_DIR_CP, .seed = 21, .step = (uint32_t)step}, rest = {.kind = ZO_DIR_REST, .seed = 21, .step = (uint32_t)step};
        double z[MOST], k = report.projected, c1 = 1 - pow(b1, step + 1), c2 = 1 - pow(b2, step + 1);
        direction64(o, &cp, z);
        kappa2 = b2 * kappa2 + (1 - b2) * k * k;
        float tau[3];
        numbers_of64(&o->o, &cp, tau);
        for (int i = 0; i < ROWS * COLS; i++) {
            double squares = 0.0;
            for (int s = 0; s < 3; s++) {
                double uv = (double)o->u[i / COLS * 3 + s] * o->f[i % COLS * 3 + s];
                squares += k * k * tau[s] * tau[s] * uv * uv / 3.0;
            }
            first[i] = b1 * first[i] + (1 - b1) * k * z[i];
            second[i] = b2 * second[i] + (1 - b2) * squares;
            expected[i] -= lr * (first[i] / c1) / (sqrt(second[i] / c2) + eps);
        }
        direction64(o, &rest, z);
        for (int64_t i = q.layout.param[1].offset; i < q.layout.param[1].offset + EXTRA; i++) {
            expected[i] -= 0.02 * k / (sqrt(kappa2 / c2) + eps) * z[i];
        }
    }
    for (int64_t i = 0; i < q.layout.size; i++) {
        ck_assert_double_eq_tol(o->w[i], expected[i], 2e-6);
    }
    running_free(&r);
    objective64_free(o);
    zo_layout_free(&q.layout);
}
END_TEST

START_TEST(linear_schedule_needs_steps)
{
    quadratic q;
    quadratic_open(&q, true);
    static const char *const name[] = {"fo-sgd", "fo-adamw"};
    for (int k = 0; k < 2; k++) {
        objective64 *o = objective64_new(&q.layout, 4, &q, quadratic_loss, quadratic_gradient);
        running r = running_new(name[k], "{\"schedule\": \"linear\"}", &o->o);
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 0, 0.1, 0, &report), ZO_EINPUT);
        r.step = 5;
        ck_assert_int_eq(running_step(&r, 1, 10, 0.1, 0, &report), ZO_OK);
        ck_assert_double_eq_tol(report.lr, 0.05, 1e-15);
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&q.layout);
}
END_TEST

/* What it asks for is what it says, with these options (JSON; NULL = the defaults) in so many steps. */
static void check_needs(const zo_estimator *e, const objective64 *o, const char *options, int64_t steps)
{
    zo_err err = {0};
    zo_needs needs;
    zo_extent extent = {.layout = o->layout, .steps = steps, .batches_per_epoch = EXAMPLES};
    cJSON *object = options != NULL ? cJSON_Parse(options) : NULL;
    ck_assert_msg(zo_needs_of(e, object, &extent, &needs, &err) == ZO_OK, "%s", err.text);
    cJSON_Delete(object);
    ck_assert_msg(o->most_points == needs.points && o->most_terms == needs.terms && o->most_applied <= needs.updates,
                  "%s %s: %d points of %d terms, %d applied; it says %d, %d, %d", e->name, options != NULL ? options : "", o->most_points, o->most_terms,
                  o->most_applied, (int)needs.points, (int)needs.terms, (int)needs.updates);
    ck_assert_int_eq(needs.gradient, e->first_order);
    ck_assert_int_eq(needs.factored, o->o.ncoef > 0);
}

/* Each is another setting than the defaults, is read, and asks for what it says; ranks by the rule are not in objective64.h. */
static void check_variant(const zo_estimator *e, const zo_variant *v)
{
    enum { STEPS = 7 };
    void *usual = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes), *other = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
    zo_err err = {0};
    cJSON *options = zo_variant_options(v);
    char *text = cJSON_PrintUnformatted(options);
    zo_opt_defaults(e->options, usual);
    ck_assert_msg(zo_opt_read(e->options, options, NULL, e->name, other, &err) == ZO_OK, "%s", err.text);
    const zo_opt *option = zo_opt_find(e->options, v->key);
    ck_assert_msg(option != NULL && !zo_opt_equal(option, usual, other) && v->says != NULL && v->says[0] != '\0', "%s %s", e->name, text);
    if (strcmp(text, "{\"rank\":0}") != 0 && e->step != NULL) {
        quadratic q;
        quadratic_open(&q, true);
        objective64 *o = objective64_new(&q.layout, 8, &q, quadratic_loss, quadratic_gradient);
        running r = running_of(e, text, &o->o);
        for (int step = 0; step < STEPS; step++) {
            zo_step_report report;
            ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, e->descends_lr, 1e-3, &report), ZO_OK);
        }
        check_needs(e, o, text, STEPS);
        running_free(&r);
        objective64_free(o);
        zo_layout_free(&q.layout);
    }
    cJSON_free(text);
    cJSON_Delete(options);
    zo_free(usual);
    zo_free(other);
}

/* Every entry of list.h and each plug-in: complete, counted as it says, and a convex quadratic falls (zero-shot: does not move). */
START_TEST(conformance)
{
    const zo_estimator *const *list;
    int n = estimators_to_test(&list);
    ck_assert_int_ge(n, 8);
    const zo_estimator *e = list[_i];
    ck_assert(zo_plugin_path(e) != NULL ? zo_estimator_find(e->name) == NULL : zo_estimator_find(e->name) == e);
    ck_assert(e->title != NULL && e->loss_is != NULL && e->losses_at != NULL && e->options != NULL && e->state_bytes > 0);
    ck_assert(e->step == NULL || (e->lr > 0.0 && e->descends_lr > 0.0));
    ck_assert_msg(e->paper == NULL || e->source != ZO_SOURCE_NONE, "%s has a paper and does not say where its algorithm was read", e->name);
    for (const zo_sourced *s = e->sources; s != NULL && s->key != NULL; s++) {
        const zo_variant as_option = {s->key, s->value, ""};
        cJSON *options = zo_variant_options(&as_option);
        void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
        zo_err err = {0};
        ck_assert_msg(zo_opt_read(e->options, options, NULL, e->name, state, &err) == ZO_OK, "%s", err.text);
        ck_assert_str_eq(zo_source_of(e, options), zo_text_source_name(s->source));
        zo_free(state);
        cJSON_Delete(options);
    }
    ck_assert_str_eq(zo_source_of(e, NULL), zo_text_source_name(e->source));
    for (const zo_variant *v = e->variants; v != NULL && v->key != NULL; v++) {
        check_variant(e, v);
    }
    quadratic q;
    quadratic_open(&q, true);
    double before = 0.0, after = 0.0;
    for (int seed = 0; seed < 20; seed++) {
        objective64 *o = objective64_new(&q.layout, 31 + (uint64_t)seed, &q, quadratic_loss, quadratic_gradient);
        before += quadratic_loss(&q, ZO_BATCH_FULL, o->w);
        running r = running_of(e, e->descends_with, &o->o);
        for (int step = 0; step < 60 && e->step != NULL; step++) {
            zo_step_report report = {.loss = NAN, .lr = NAN};
            q.example = step % EXAMPLES;
            uint64_t probes = o->probes, full = o->full_probes, gradients = o->gradients;
            ck_assert_int_eq(running_step(&r, EXAMPLES, 60, e->descends_lr, 1e-3, &report), ZO_OK);
            ck_assert(isfinite(report.loss) && isfinite(report.lr));
            ck_assert(e->first_order || !isnan(report.projected));
            ck_assert_uint_eq(o->gradients - gradients, e->first_order);
            ck_assert_uint_eq(o->full_probes - full, report.full_batch ? 2 : 0);
            ck_assert(!zo_estimator_probes(e) ? o->probes == probes : report.full_batch ? o->probes == probes : o->probes >= probes + 2);
        }
        after += quadratic_loss(&q, ZO_BATCH_FULL, o->w);
        check_needs(e, o, e->descends_with, 60);
        running_free(&r);
        objective64_free(o);
    }
    ck_assert_msg(e->step == NULL ? after == before : after < before, "%s: the loss went from %g to %g", e->name, before / 20, after / 20);
    ck_assert_ptr_null(zo_estimator_find("no-such"));
    ck_assert(!e->usual || zo_estimator_usual(e->first_order) == e); /* one of each order */
    zo_layout_free(&q.layout);
}
END_TEST

int main(void)
{
    const zo_estimator *const *list;
    Suite *suite = suite_create("optimizers");
    TCase *tests = tcase_create("closed forms");
    tcase_set_timeout(tests, 120);
    tcase_add_test(tests, mezo_is_unbiased);
    tcase_add_test(tests, lezo_keeps_a_share_of_the_blocks);
    tcase_add_test(tests, lezo_leaves_something_out_or_does_not_start);
    tcase_add_test(tests, blocks_are_left_out_by_their_draw);
    tcase_add_test(tests, of_64_blocks_each_is_named);
    tcase_add_test(tests, conmezo_leans_to_its_momentum);
    tcase_add_test(tests, tezo_is_unbiased);
    tcase_add_test(tests, lozo_is_unbiased);
    tcase_add_test(tests, subzo_is_unbiased);
    tcase_add_test(tests, subzero_plus_is_unbiased);
    tcase_add_test(tests, a_population_is_unbiased);
    tcase_add_test(tests, svrg_modes_have_their_expectations);
    tcase_add_test(tests, svrg_replay_is_paper);
    tcase_add_test(tests, svrg_rule_anneals);
    tcase_add_test(tests, mezo_decays_as_asked);
    tcase_add_test(tests, tezo_adam_is_its_formula);
    tcase_add_test(tests, linear_schedule_needs_steps);
    TCase *all = tcase_create("conformance"); /* of each estimator, a plug-in too */
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, conformance, 0, estimators_to_test(&list));
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, all);
    return suite_run(suite) != 0;
}
