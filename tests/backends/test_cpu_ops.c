/* test_cpu_ops.c: every operation of the CPU backend against a plain float64 reference, at odd sizes, at 1, 2 and 4 points, with
 * every kind of direction; the promises on bits (streamed = applied then stored, any number of threads) are compared with ==. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/cpu/cpu.h"
#include "core/clock.h"
#include "core/rng.h"
#include "tests/suite.h"

static zo_backend *backend(int threads)
{
    static zo_backend *open[5];
    zo_err err;
    if (open[threads] == NULL) {
        ck_assert_msg(zo_backend_open("cpu", threads, &open[threads], &err) == ZO_OK, "%s", err.text);
    }
    return open[threads];
}

static void fill(float *x, int64_t n, uint32_t tensor)
{
    zo_normals((zo_stream){.seed = 99, .tensor = tensor, .role = ZO_ROLE_DATA}, 0, n, x);
}

static float *values(int64_t n, uint32_t tensor)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
    fill(x, n, tensor);
    return x;
}

static void *zeros(size_t bytes)
{
    return zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes);
}

/* a small model: one matrix, one table, three vectors */
enum { W, TABLE, BIAS, TABLE_BIAS, NORM };
typedef struct world {
    zo_layout layout;
    zo_backend *be;
    zo_store *store;
    zo_factors *factors;
} world;

/* Stores point at the layout: *m stays where it is. */
static void world_new(world *m, int threads, int64_t rows, int64_t cols, int64_t vocabulary, int rank)
{
    *m = (world){.be = backend(threads)};
    zo_layout_add(&m->layout, "w", ZO_PARAM_MATRIX, rows, cols, 0, true);
    zo_layout_add(&m->layout, "table", ZO_PARAM_TABLE, vocabulary, cols, -1, true);
    zo_layout_add(&m->layout, "bias", ZO_PARAM_VECTOR, 1, rows, 0, false);
    zo_layout_add(&m->layout, "table.bias", ZO_PARAM_VECTOR, 1, vocabulary, -1, false);
    zo_layout_add(&m->layout, "norm", ZO_PARAM_VECTOR, 1, cols, 0, false);
    m->store = zo_store_new(m->be, &m->layout, ZO_TAG_PARAMS);
    for (int t = 0; t < m->layout.n; t++) {
        m->be->init_normal(m->be, m->store, t, 5, t == NORM ? 1.0f : 0.3f);
    }
    int ranks[] = {rank, rank, 0, 0, 0};
    m->factors = zo_factors_new(m->be, &m->layout, ranks, -0.5, 11);
    m->be->reserve(m->be, &m->layout, m->factors, ZO_F32, &(zo_largest){.points = 4, .tokens = 70});
}

static void world_free(world *m)
{
    zo_factors_free(m->be, m->factors);
    zo_store_free(m->be, m->store);
    zo_layout_free(&m->layout);
}

static double direction_at(const world *m, const zo_dir *dir, int param, int64_t e)
{
    const zo_param *p = &m->layout.param[param];
    int rank = m->factors->rank[param];
    if (dir->kind == ZO_DIR_DENSE || dir->kind == ZO_DIR_REST) {
        float z;
        if ((dir->kind == ZO_DIR_REST && rank > 0) || (p->block >= 0 ? (dir->skip.in >> p->block & 1) != 0 : dir->skip.outside)) {
            return 0.0;
        }
        if (dir->draw == ZO_DRAW_RADEMACHER) {
            zo_stream s = {.seed = dir->seed, .tensor = p->id, .step = dir->step, .query = dir->query};
            return zo_stream_block(s, (uint32_t)(e / 128)).lane[e / 32 % 4] >> e % 32 & 1 ? -1.0 : 1.0;
        }
        zo_normals_scalar((zo_stream){.seed = dir->seed, .tensor = p->id, .step = dir->step, .query = dir->query}, (uint64_t)e, 1, &z);
        return z;
    }
    double sum = 0.0;
    for (int s = 0; s < rank; s++) {
        float tau;
        if (dir->kind == ZO_DIR_SPAN) {
            tau = dir->span[m->factors->coef_at[param] + s];
        } else {
            zo_normals_scalar((zo_stream){.seed = dir->seed, .tensor = p->id, .step = dir->step, .query = dir->query,
                                          .role = ZO_ROLE_TAU}, (uint64_t)s, 1, &tau);
        }
        sum += (double)tau * m->factors->u[param][e / p->cols * rank + s] * m->factors->v[param][e % p->cols * rank + s];
    }
    return rank > 0 ? m->factors->scale[param] * sum : 0.0;
}

/* A parameter at point p of a view, in float64. */
static double *param_at(const world *m, const zo_view *view, int p, int param)
{
    const zo_param *q = &m->layout.param[param];
    int64_t n = q->rows * q->cols;
    double *w = zeros((size_t)n * sizeof *w);
    for (int64_t e = 0; e < n; e++) {
        w[e] = view->base[p]->data[q->offset + e];
        for (int d = 0; d < view->ndirs; d++) {
            double c = view->coef[p * view->ndirs + d];
            w[e] += c != 0.0 ? c * direction_at(m, &view->dir[d], param, e) : 0.0;
        }
        if (view->side != NULL && m->factors->rank[param] > 0) {
            zo_dir side = {.kind = ZO_DIR_SPAN, .span = view->side + p * m->factors->ncoef};
            w[e] += direction_at(m, &side, param, e);
        }
    }
    return w;
}

static double act_of(zo_act act, double x)
{
    switch (act) {
    case ZO_ACT_GELU:
        return 0.5 * x * (1.0 + erf(x / sqrt(2.0)));
    case ZO_ACT_GELU_TANH:
        return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
    case ZO_ACT_RELU:
        return x > 0 ? x : 0;
    case ZO_ACT_SILU:
        return x / (1.0 + exp(-x));
    case ZO_ACT_TANH:
        return tanh(x);
    default:
        return x;
    }
}

static void close_to(const float *got, const double *want, int64_t n, double tolerance, const char *what)
{
    double scale = 1e-30, worst = 0.0;
    for (int64_t i = 0; i < n; i++) {
        scale = fmax(scale, fabs(want[i]));
        worst = fmax(worst, fabs(got[i] - want[i]));
        ck_assert_msg(!isnan(got[i]), "%s: element %lld is NaN", what, (long long)i);
    }
    ck_assert_msg(worst <= tolerance * scale, "%s: largest error %g of a scale of %g", what, worst, scale);
}

/* views of every kind ------------------------------------------------------------------------------------------------------ */

enum { STORED, GAUSS, MIXED, CP, SIDE, KINDS };
static const char *const kind_name[] = {"stored", "gauss", "mixed", "cp", "side"};
typedef struct setting {
    const zo_store *base[4];
    zo_dir dir[4];
    float coef[16];
    float *side, *span;
    zo_view view;
} setting;

static void setting_new(setting *s, const world *m, int kind, int points)
{
    memset(s, 0, sizeof *s);
    s->span = values(m->factors->ncoef + 1, 21);
    zo_dir gauss = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 3, .query = 1}, signs = gauss, part = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 4, .skip = {.in = 1}};
    signs.draw = ZO_DRAW_RADEMACHER;
    zo_dir rest = {.kind = ZO_DIR_REST, .seed = 7, .step = 3}, cp = {.kind = ZO_DIR_CP, .seed = 7, .step = 3, .query = 2};
    zo_dir span = {.kind = ZO_DIR_SPAN, .span = s->span};
    int n = 0;
    if (kind == GAUSS) {
        s->dir[n++] = gauss;
    } else if (kind == MIXED) {
        s->dir[n++] = gauss;
        s->dir[n++] = signs;
        s->dir[n++] = rest;
        s->dir[n++] = part;
    } else if (kind == CP) {
        s->dir[n++] = rest;
        s->dir[n++] = cp;
        s->dir[n++] = gauss;
        s->dir[n++] = span;
    } else if (kind == SIDE) {
        s->dir[n++] = rest;
        s->side = values(points * m->factors->ncoef + 1, 22);
    }
    for (int p = 0; p < points; p++) {
        s->base[p] = m->store;
        for (int d = 0; d < n; d++) {
            s->coef[p * n + d] = (p + d) % 3 == 2 ? 0.0f : (p % 2 ? -0.1f : 0.1f) * (float)(1 + d);
        }
    }
    s->view = (zo_view){.npoints = points, .base = s->base, .ndirs = n, .dir = s->dir, .coef = s->coef, .factors = m->factors,
                        .side = s->side};
}

static void setting_free(setting *s)
{
    zo_free(s->side);
    zo_free(s->span);
}

/* Calls `op` and compares what it counted: two operations for each product and its sum. */
#define COUNTS_FLOPS(op, want)                                                                                           \
    do {                                                                                                                 \
        zo_counters was, now;                                                                                            \
        zo_counters_read(&was);                                                                                          \
        op;                                                                                                              \
        zo_counters_read(&now);                                                                                          \
        ck_assert_msg(now.linear_flops - was.linear_flops == (uint64_t)(want), "%s: %llu operations, not %llu", #op,     \
                      (unsigned long long)(now.linear_flops - was.linear_flops), (unsigned long long)(want));            \
    } while (0)

static double bf16_of(double x)
{
    return zo_bf16_to(zo_bf16_from((float)x));
}

/* y (P,T,rows) in float64 */
static double *linear_reference(const world *m, const zo_view *view, int weight, int bias, zo_act act, const float *x, int64_t tokens,
                                bool bf16)
{
    int64_t rows = m->layout.param[weight].rows, cols = m->layout.param[weight].cols;
    double *y = zeros((size_t)(view->npoints * tokens * rows) * sizeof *y);
    for (int p = 0; p < view->npoints; p++) {
        double *w = param_at(m, view, p, weight), *b = bias >= 0 ? param_at(m, view, p, bias) : NULL;
        for (int64_t t = 0; t < tokens; t++) {
            for (int64_t r = 0; r < rows; r++) {
                double sum = 0.0;
                for (int64_t c = 0; c < cols; c++) {
                    double xv = x[(p * tokens + t) * cols + c], wv = w[r * cols + c];
                    sum += bf16 ? bf16_of(xv) * bf16_of(wv) : xv * wv;
                }
                y[(p * tokens + t) * rows + r] = act_of(act, sum + (b != NULL ? b[r] : 0.0));
            }
        }
        zo_free(w);
        zo_free(b);
    }
    return y;
}

static void linear_case(int64_t rows, int64_t cols, int64_t tokens, int points, int kind, zo_act act, zo_precision precision)
{
    world m;
    world_new(&m, 2, rows, cols, 5, 3);
    setting s;
    setting_new(&s, &m, kind, points);
    float *x = values(points * tokens * cols, 1), *y = zeros((size_t)(points * tokens * rows) * sizeof *y);
    float *pre = zeros((size_t)(points * tokens * rows) * sizeof *pre);
    char what[200];
    snprintf(what, sizeof what, "linear rows %lld cols %lld tokens %lld points %d %s act %d", (long long)rows, (long long)cols,
             (long long)tokens, points, kind_name[kind], (int)act);
    double *want = linear_reference(&m, &s.view, W, BIAS, ZO_ACT_NONE, x, tokens, precision == ZO_BF16), limit = 1e-5;
    if (precision == ZO_BF16) { /* the reference rounds the float64 sum, the backend its f32; and a side product stays f32 */
        limit = 3e-2;
    }
    int64_t beside = s.view.side != NULL ? m.factors->rank[W] : 0;
    COUNTS_FLOPS(m.be->linear(m.be, &s.view, precision, W, BIAS, act, x, tokens, false, y, pre), 2 * points * tokens * rows * (cols + beside));
    close_to(pre, want, points * tokens * rows, limit, what);
    double *bare = linear_reference(&m, &s.view, W, -1, ZO_ACT_NONE, x, tokens, precision == ZO_BF16);
    for (int adds = 0; adds < 2; adds++) { /* what stood in y is added, and the product scaled, before the activation */
        float *was = values(points * tokens * rows, 2);
        double *now = zeros((size_t)(points * tokens * rows) * sizeof *now);
        m.layout.param[W].scale = adds ? -1.75f : 1.0f;
        for (int64_t i = 0; i < points * tokens * rows; i++) {
            now[i] = act_of(act, want[i] + (m.layout.param[W].scale - 1) * bare[i] + (adds ? was[i] : 0.0));
            y[i] = was[i];
        }
        m.be->linear(m.be, &s.view, precision, W, BIAS, act, x, tokens, adds, y, NULL);
        close_to(y, now, points * tokens * rows, limit, what);
        zo_free(was);
        zo_free(now);
    }
    zo_free(bare);
    zo_free(want);
    zo_free(x);
    zo_free(y);
    zo_free(pre);
    setting_free(&s);
    world_free(&m);
}

START_TEST(linear_layers)
{
    static const int64_t size[] = {1, 3, 17, 65, 131};
    for (int kind = 0; kind < KINDS; kind++) {
        for (int points = 1; points <= 4; points *= 2) {
            for (int i = 0; i < 5; i++) {
                for (int j = 0; j < 5; j++) {
                    if (points == 1 || (i + j + kind) % 3 == 0) {
                        linear_case(size[i], size[j], size[(i + 2 * j + kind) % 5], points, kind, (zo_act)((i + j) % 6), ZO_F32);
                    }
                }
            }
        }
        linear_case(70, 40, 600, 2, kind, ZO_ACT_NONE, ZO_F32);
    }
}
END_TEST

START_TEST(linear_bf16)
{
    for (int kind = 0; kind < KINDS; kind++) {
        linear_case(65, 33, 17, 1, kind, ZO_ACT_NONE, ZO_BF16);
        linear_case(130, 64, 70, 2, kind, ZO_ACT_GELU, ZO_BF16);
        linear_case(3, 17, 5, 4, kind, ZO_ACT_NONE, ZO_BF16);
    }
    /* numbers that bf16 holds exactly, sums that f32 holds exactly: == */
    world m;
    world_new(&m, 2, 40, 24, 5, 0);
    for (int64_t i = 0; i < m.layout.size; i++) {
        m.store->data[i] = (float)((i * 7) % 13 - 6);
    }
    float x[9 * 24], y[9 * 40];
    for (int i = 0; i < 9 * 24; i++) {
        x[i] = (float)((i * 5) % 11 - 5);
    }
    const zo_store *slot = m.store;
    zo_view view = zo_view_stored(&slot);
    double *want = linear_reference(&m, &view, W, BIAS, ZO_ACT_NONE, x, 9, false);
    m.be->linear(m.be, &view, ZO_BF16, W, BIAS, ZO_ACT_NONE, x, 9, false, y, NULL);
    for (int i = 0; i < 9 * 40; i++) {
        ck_assert(y[i] == want[i]);
    }
    zo_free(want);
    world_free(&m);
}
END_TEST

/* Every inner size from 1 to 130, with strides longer than the rows, both ways round, against float64: on whatever instructions this
 * processor has, and which of the two ways others would take. */
START_TEST(bf16_products_of_every_inner_size)
{
    enum { M = 9, N = 17, MOST = 130, STRIDE = 136 };
    static uint16_t a[M * STRIDE], b[(N > MOST ? N : MOST) * STRIDE];
    zo_backend *be = backend(1);
    for (int k = 1; k <= MOST; k++) {
        for (int across = 0; across < 2; across++) {
            float *from = values(M * STRIDE, (uint32_t)k), *by = values(MOST * STRIDE, (uint32_t)(1000 + k)), c[M * N];
            for (int i = 0; i < M * STRIDE; i++) {
                a[i] = zo_bf16_from(from[i]);
            }
            for (int i = 0; i < MOST * STRIDE; i++) {
                b[i] = zo_bf16_from(by[i]);
            }
            zo_cpu_gemm gemm = {.precision = ZO_BF16, .across = across, .m = M, .n = N, .k = k, .lda = STRIDE, .ldb = STRIDE, .ldc = N};
            const zo_cpu_product *product = zo_cpu_product_of(be, &gemm);
#pragma omp parallel num_threads(1)
            zo_cpu_product_run(product, a, b, c, zo_cpu_scratch(be, zo_cpu_product_scratch(product) + 64));
            for (int i = 0; i < M; i++) {
                for (int j = 0; j < N; j++) {
                    double want = 0, size = 0;
                    for (int s = 0; s < k; s++) {
                        double x = (double)zo_bf16_to(a[i * STRIDE + s]) * (double)zo_bf16_to(across ? b[j * STRIDE + s] : b[s * STRIDE + j]);
                        want += x;
                        size += fabs(x);
                    }
                    ck_assert_msg(fabs(c[i * N + j] - want) <= 1e-6 * size, "inner size %d, across %d: %.9g, expected %.9g", k, across, c[i * N + j], want);
                }
            }
            zo_free(from);
            zo_free(by);
        }
        ck_assert(zo_cpu_bf16_widens(false, false, k) && !zo_cpu_bf16_widens(true, false, k));
        ck_assert(zo_cpu_bf16_widens(true, true, k) == (k != 32 && k != 64 && k != 96 && k != 128));
    }
}
END_TEST

/* A product that was made is found again, also after the tables of them have grown, twice here: set-up makes all, and a step none. */
START_TEST(products_are_made_once)
{
    enum { N = 300 };
    const zo_cpu_product *made[N];
    zo_backend *be = backend(1);
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < N; i++) {
            zo_cpu_gemm gemm = {.precision = ZO_F32, .m = 1, .n = 1, .k = i + 1, .lda = i + 1, .ldb = 1, .ldc = 1};
            const zo_cpu_product *product = zo_cpu_product_of(be, &gemm);
            made[i] = turn == 0 ? product : made[i];
            ck_assert_msg(product == made[i], "the product of inner size %d is made again", i + 1);
        }
    }
}
END_TEST

/* What an operation takes by the clock is booked on the parts of a step, once: never more, and most of it. Of many calls together, since
 * other programs may stop any one of them between its last look at the clock and the test's. */
START_TEST(time_is_booked_once)
{
    enum { ROWS = 300, COLS = 256, VOCABULARY = 700, TOKENS = 64, CALLS = 40 };
    world m;
    world_new(&m, 1, ROWS, COLS, VOCABULARY, 8);
    m.be->reserve(m.be, &m.layout, m.factors, ZO_BF16, &(zo_largest){.points = 2, .tokens = TOKENS});
    float *x = values(2 * TOKENS * COLS, 1), *y = zeros(2 * TOKENS * ROWS * 4), lp[2 * TOKENS];
    int32_t at[TOKENS], target[TOKENS];
    for (int i = 0; i < TOKENS; i++) {
        at[i] = i;
        target[i] = i * 31 % VOCABULARY;
    }
    for (int kind = STORED; kind < KINDS; kind++) {
        for (int precision = ZO_F32; precision <= ZO_BF16; precision++) {
            for (int head = 0; head < 2; head++) {
                setting s;
                setting_new(&s, &m, kind, 2);
                double wall = 0, sum = 0, seconds[ZO_PARTS];
                for (int call = 0; call <= CALLS; call++) { /* the first makes the products */
                    zo_part_reset();
                    double start = zo_now();
                    if (head) {
                        m.be->head_logprob(m.be, &s.view, (zo_precision)precision, TABLE, TABLE_BIAS, 0.0f, x, TOKENS, at, target, TOKENS, lp, NULL);
                    } else {
                        m.be->linear(m.be, &s.view, (zo_precision)precision, W, BIAS, ZO_ACT_GELU, x, TOKENS, false, y, NULL);
                    }
                    wall += call > 0 ? zo_now() - start : 0;
                    zo_part_read(seconds);
                    for (int part = 0; part < ZO_PARTS && call > 0; part++) {
                        ck_assert_msg(seconds[part] >= 0, "%s: %g s", zo_part_name((zo_part)part), seconds[part]);
                        sum += seconds[part];
                    }
                }
                ck_assert_msg(sum <= wall * (1 + 1e-9) && sum > 0.7 * wall, "%s, %s, %s: %g s of %g s are booked", head ? "head" : "linear",
                              kind_name[kind], zo_precision_name((zo_precision)precision), sum, wall);
                setting_free(&s);
            }
        }
    }
    zo_free(x);
    zo_free(y);
    world_free(&m);
}
END_TEST

/* bits --------------------------------------------------------------------------------------------------------------------- */

START_TEST(streamed_equals_applied)
{
    for (int kind = GAUSS; kind <= CP; kind++) {
        world m;
        world_new(&m, 2, 150, 72, 90, 3);
        setting s;
        setting_new(&s, &m, kind, 1);
        int64_t tokens = 37, rows = 150;
        float *x = values(tokens * 72, 1), *y = zeros((size_t)(tokens * rows) * 4), *y2 = zeros((size_t)(tokens * rows) * 4);
        float lp[37], lp2[37];
        int32_t at[37], target[37];
        for (int i = 0; i < 37; i++) {
            at[i] = i;
            target[i] = (i * 31) % 90;
        }
        m.be->linear(m.be, &s.view, ZO_F32, W, BIAS, ZO_ACT_GELU, x, tokens, false, y, NULL);
        m.be->head_logprob(m.be, &s.view, ZO_F32, TABLE, TABLE_BIAS, 0.0f, x, 37, at, target, 37, lp, NULL);
        zo_term term[4];
        for (int d = 0; d < s.view.ndirs; d++) {
            term[d] = (zo_term){.dir = s.dir[d], .coef = s.coef[d]};
        }
        m.be->apply(m.be, m.store, m.factors, 1.0, term, s.view.ndirs, NULL);
        zo_view stored = zo_view_stored(s.base);
        m.be->linear(m.be, &stored, ZO_F32, W, BIAS, ZO_ACT_GELU, x, tokens, false, y2, NULL);
        m.be->head_logprob(m.be, &stored, ZO_F32, TABLE, TABLE_BIAS, 0.0f, x, 37, at, target, 37, lp2, NULL);
        ck_assert_msg(memcmp(y, y2, (size_t)(tokens * rows) * 4) == 0, "linear, %s", kind_name[kind]);
        ck_assert_msg(memcmp(lp, lp2, sizeof lp) == 0, "head, %s", kind_name[kind]);
        zo_free(x);
        zo_free(y);
        zo_free(y2);
        setting_free(&s);
        world_free(&m);
    }
}
END_TEST

START_TEST(points_with_other_bases)
{
    /* three points on two stores run in one pass; each equals its own pass on every bit */
    enum { T = 21, ROWS = 70, COLS = 40, P = 3 };
    for (int kind = STORED; kind <= GAUSS; kind++) {
        for (int precision = ZO_F32; precision <= (backend(2)->bf16 ? ZO_BF16 : ZO_F32); precision++) {
            world m;
            world_new(&m, 2, ROWS, COLS, 50, 3);
            zo_store *copy = zo_store_new(m.be, &m.layout, ZO_TAG_SNAPSHOT);
            for (int t = 0; t < m.layout.n; t++) {
                m.be->init_normal(m.be, copy, t, 6, 0.3f);
            }
            for (int pattern = 0; pattern < 4; pattern++) {
                setting s;
                setting_new(&s, &m, kind, P);
                for (int p = 0; p < P; p++) {
                    s.base[p] = (0x3465 >> (3 * pattern + p)) & 1 ? copy : m.store;
                }
                float *x = values(P * T * COLS, 1), *y = zeros(P * T * ROWS * 4), one[T * ROWS];
                m.be->linear(m.be, &s.view, (zo_precision)precision, W, BIAS, ZO_ACT_NONE, x, T, false, y, NULL);
                for (int p = 0; p < P; p++) {
                    zo_view alone = s.view;
                    alone.npoints = 1;
                    alone.base = &s.base[p];
                    alone.coef = &s.coef[p * alone.ndirs];
                    m.be->linear(m.be, &alone, (zo_precision)precision, W, BIAS, ZO_ACT_NONE, x + p * T * COLS, T, false, one, NULL);
                    ck_assert_msg(memcmp(one, y + p * T * ROWS, sizeof one) == 0, "%s, pattern %d, point %d", kind_name[kind], pattern, p);
                }
                zo_free(x);
                zo_free(y);
                setting_free(&s);
            }
            zo_store_free(m.be, copy);
            world_free(&m);
        }
    }
}
END_TEST

/* Everything once with `threads` threads; returns a hash of all bits. */
static uint64_t hash_of(uint64_t h, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        h = (h ^ ((const uint8_t *)data)[i]) * 0x100000001b3ull;
    }
    return h;
}

static uint64_t everything(int threads, int kind)
{
    enum { ROWS = 200, COLS = 96, VOCABULARY = 700, T = 300, P = 2 };
    world m;
    world_new(&m, threads, ROWS, COLS, VOCABULARY, 4);
    setting s;
    setting_new(&s, &m, kind, P);
    uint64_t h = 1;
    float *x = values(P * T * COLS, 1), *y = zeros(P * T * ROWS * 4), *stats = zeros(P * T * 2 * 4), *lp = zeros(P * T * 4);
    float *dx = zeros(T * COLS * 4), *dy = values(T * ROWS, 2);
    int32_t ids[T], at[T], target[T], best[P * T];
    float amount[T];
    for (int i = 0; i < T; i++) {
        ids[i] = (i * 37) % VOCABULARY;
        at[i] = i / 2;
        target[i] = (i * 53) % VOCABULARY;
        amount[i] = 0.01f * (float)(i % 7);
    }
    m.be->embed(m.be, &s.view, TABLE, ids, T, true, x);
    h = hash_of(h, x, P * T * COLS * 4);
    m.be->norm(m.be, &s.view, ZO_LAYERNORM, 1e-5f, NORM, -1, x, NULL, T, COLS, x, stats);
    h = hash_of(h, x, P * T * COLS * 4);
    m.be->linear(m.be, &s.view, ZO_F32, W, BIAS, ZO_ACT_GELU, x, T, false, y, NULL);
    h = hash_of(h, y, P * T * ROWS * 4);
    m.be->head_logprob(m.be, &s.view, ZO_F32, TABLE, TABLE_BIAS, 0.0f, x, T, at, target, T, lp, best);
    h = hash_of(hash_of(h, lp, P * T * 4), best, sizeof best);
    zo_store *grad = zo_store_new(m.be, &m.layout, ZO_TAG_GRADS), *m1 = zo_store_new(m.be, &m.layout, ZO_TAG_OPT_STATE);
    zo_store *v1 = zo_store_new(m.be, &m.layout, ZO_TAG_OPT_STATE);
    m.be->linear_backward(m.be, m.store, ZO_F32, W, BIAS, x, dy, T, false, dx, grad);
    h = hash_of(h, dx, T * COLS * 4);
    m.be->norm_backward(m.be, m.store, ZO_LAYERNORM, NORM, -1, x, stats, dx, T, COLS, dx, grad);
    m.be->embed_backward(m.be, TABLE, ids, T, COLS, dx, grad);
    m.be->head_backward(m.be, m.store, ZO_F32, TABLE, TABLE_BIAS, 0.0f, x, T, at, target, amount, T, dx, grad);
    h = hash_of(h, dx, T * COLS * 4);
    h = hash_of(h, grad->data, (size_t)m.layout.size * 4);
    double d = m.be->dot(m.be, grad, m.store);
    h = hash_of(h, &d, sizeof d);
    zo_rule_args args = {.lr = 0.01f, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f, .correct1 = 0.1f, .correct2 = 0.01f};
    m.be->rule(m.be, ZO_RULE_ADAMW, &args, m.store, grad, m1, v1);
    zo_term term[4];
    for (int i = 0; i < s.view.ndirs; i++) {
        term[i] = (zo_term){.dir = s.dir[i], .coef = 0.05 * (i + 1)};
    }
    m.be->apply(m.be, m.store, m.factors, 0.999, term, s.view.ndirs, NULL);
    float *mm = values(m.factors->ncoef, 8), *vv = values(m.factors->ncoef, 9);
    for (int64_t i = 0; i < m.factors->ncoef; i++) {
        vv[i] *= vv[i];
    }
    m.be->rule_lowrank(m.be, ZO_RULE_QUOTIENT, &args, m.store, m.factors, mm, vv);
    h = hash_of(h, m.store->data, (size_t)m.layout.size * 4);
    void *blocks[] = {x, y, stats, lp, dx, dy, mm, vv};
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        zo_free(blocks[i]);
    }
    zo_store_free(m.be, grad);
    zo_store_free(m.be, m1);
    zo_store_free(m.be, v1);
    setting_free(&s);
    world_free(&m);
    return h;
}

START_TEST(any_number_of_threads)
{
    for (int kind = 0; kind < KINDS; kind++) {
        uint64_t one = everything(1, kind);
        for (int threads = 2; threads <= 4; threads++) {
            ck_assert_msg(everything(threads, kind) == one, "%s: %d threads give other bits than 1", kind_name[kind], threads);
        }
    }
}
END_TEST

START_TEST(no_allocation_after_the_first_step)
{
    everything(3, CP);
    uint64_t before = zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_WORKSPACE];
    everything(3, CP);
    ck_assert_uint_eq(before, zo_mem_live(ZO_HOST).tag_bytes[ZO_TAG_WORKSPACE]);
}
END_TEST

/* the other forward operations --------------------------------------------------------------------------------------------- */

START_TEST(chosen_rows_and_embedding)
{
    for (int kind = 0; kind < KINDS; kind++) {
        for (int points = 1; points <= 4; points *= 2) {
            world m;
            world_new(&m, 2, 17, 65, 40, 3);
            setting s;
            setting_new(&s, &m, kind, points);
            enum { T = 3, N = 4 };
            int32_t rows[N] = {39, 0, 7, 7}, ids[T] = {5, 39, 5};
            float *x = values(points * T * 65, 1), *y = zeros((size_t)(points * T * N) * 4);
            double *all = linear_reference(&m, &s.view, TABLE, TABLE_BIAS, ZO_ACT_NONE, x, T, false);
            double *want = zeros((size_t)(points * T * 65) * sizeof *want);
            for (int t = 0; t < points * T; t++) {
                for (int r = 0; r < N; r++) {
                    want[t * N + r] = all[t * 40 + rows[r]];
                }
            }
            COUNTS_FLOPS(m.be->linear_rows(m.be, &s.view, TABLE, TABLE_BIAS, rows, N, x, T, y), 2 * points * T * N * 65);
            close_to(y, want, points * T * N, 1e-5, "linear_rows");
            for (int add = 0; add < 2; add++) {
                for (int p = 0; p < points; p++) {
                    double *w = param_at(&m, &s.view, p, TABLE);
                    for (int t = 0; t < T; t++) {
                        for (int j = 0; j < 65; j++) {
                            want[(p * T + t) * 65 + j] = w[ids[t] * 65 + j] + (add ? x[(p * T + t) * 65 + j] : 0.0f);
                        }
                    }
                    zo_free(w);
                }
                m.be->embed(m.be, &s.view, TABLE, ids, T, add, x);
                close_to(x, want, points * T * 65, 1e-5, add ? "embed, added" : "embed");
            }
            zo_free(all);
            zo_free(want);
            zo_free(x);
            zo_free(y);
            setting_free(&s);
            world_free(&m);
        }
    }
}
END_TEST

START_TEST(norms)
{
    for (int kind = ZO_LAYERNORM; kind <= ZO_RMSNORM_ONE; kind++) {
        for (int64_t cols = 1; cols < 140; cols += 32) {
            enum { T = 5, P = 2 };
            world m;
            world_new(&m, 2, cols, cols, 3, 0);
            setting s;
            setting_new(&s, &m, GAUSS, P);
            zo_norm_kind norm = (zo_norm_kind)kind;
            int64_t n = P * T * cols;
            float *x = values(n, 1), *residual = values(n, 2), *y = zeros((size_t)n * 4), stats[P * T * 2];
            double *want = zeros((size_t)n * sizeof *want), *sums = zeros((size_t)n * sizeof *sums);
            for (int p = 0; p < P; p++) {
                double *w = param_at(&m, &s.view, p, NORM), *b = param_at(&m, &s.view, p, BIAS);
                for (int t = p * T; t < (p + 1) * T; t++) {
                    double mean = 0.0, square = 0.0;
                    for (int64_t j = 0; j < cols; j++) {
                        sums[t * cols + j] = (double)x[t * cols + j] + residual[t * cols + j];
                        mean += sums[t * cols + j] / (double)cols;
                    }
                    mean = norm == ZO_LAYERNORM ? mean : 0.0;
                    for (int64_t j = 0; j < cols; j++) {
                        square += pow(sums[t * cols + j] - mean, 2.0) / (double)cols;
                    }
                    for (int64_t j = 0; j < cols; j++) {
                        want[t * cols + j] = (sums[t * cols + j] - mean) / sqrt(square + 1e-3) * (norm == ZO_RMSNORM_ONE ? 1.0 + w[j] : w[j]);
                        want[t * cols + j] += norm == ZO_LAYERNORM ? b[j] : 0.0;
                    }
                }
                zo_free(w);
                zo_free(b);
            }
            m.be->norm(m.be, &s.view, norm, 1e-3f, NORM, norm == ZO_LAYERNORM ? BIAS : -1, x, residual, T, cols, y, stats);
            close_to(y, want, n, 2e-5, "norm");
            close_to(x, sums, n, 1e-6, "the kept sum of a norm");
            zo_free(x);
            zo_free(residual);
            zo_free(y);
            zo_free(want);
            zo_free(sums);
            setting_free(&s);
            world_free(&m);
        }
    }
}
END_TEST

START_TEST(head)
{
    static const int64_t vocabularies[] = {1, 3, 65, 1000, 5000};
    for (int v = 0; v < 5; v++) {
        for (int kind = 0; kind < KINDS; kind++) {
            enum { R = 17, N = 30, P = 2 };
            int64_t vocabulary = vocabularies[v], cols = 20;
            world m;
            world_new(&m, 2, 3, cols, vocabulary, 3);
            setting s;
            setting_new(&s, &m, kind, P);
            float *x = values(P * R * cols, 1), got[P * N];
            int32_t at[N], target[N], argmax[P * R];
            for (int i = 0; i < N; i++) {
                at[i] = (i * 5) % R;
                target[i] = (int32_t)((i * 977) % vocabulary);
            }
            int64_t beside = s.view.side != NULL ? m.factors->rank[TABLE] : 0;
            double cap = kind % 2 == 1 ? 1.5 : 0.0;
            COUNTS_FLOPS(m.be->head_logprob(m.be, &s.view, ZO_F32, TABLE, TABLE_BIAS, (float)cap, x, R, at, target, N, got, argmax),
                         2 * P * R * vocabulary * (cols + beside));
            double *logit = linear_reference(&m, &s.view, TABLE, TABLE_BIAS, ZO_ACT_NONE, x, R, false), want[P * N];
            for (int64_t j = 0; cap > 0.0 && j < P * R * vocabulary; j++) {
                logit[j] = cap * tanh(logit[j] / cap);
            }
            for (int p = 0; p < P; p++) {
                for (int i = 0; i < N; i++) {
                    const double *row = logit + (p * R + at[i]) * vocabulary;
                    double sum = 0.0, most = -INFINITY;
                    for (int64_t j = 0; j < vocabulary; j++) {
                        sum += exp(row[j]);
                        most = fmax(most, row[j]);
                    }
                    want[p * N + i] = row[target[i]] - log(sum);
                    ck_assert(row[argmax[p * R + at[i]]] > most - 1e-4);
                }
            }
            double err = 0.0;
            for (int i = 0; i < P * N; i++) {
                err = fmax(err, fabs(got[i] - want[i]));
            }
            ck_assert_msg(err < 2e-5, "head over %lld words, %s: error %g", (long long)vocabulary, kind_name[kind], err);
            zo_free(logit);
            zo_free(x);
            setting_free(&s);
            world_free(&m);
        }
    }
}
END_TEST

START_TEST(elementwise)
{
    zo_backend *be = backend(2);
    for (int64_t n = 1; n < 80000; n = n * 200 + 7) {
        float *a = values(n, 1), *b = values(n, 2), *d = values(n, 3), *y = zeros((size_t)n * 4), *y2 = zeros((size_t)n * 4);
        double *want = zeros((size_t)n * sizeof *want), *want2 = zeros((size_t)n * sizeof *want2);
        for (int act = ZO_ACT_NONE; act <= ZO_ACT_TANH; act++) {
            be->glu(be, (zo_act)act, a, b, n, y);
            for (int64_t i = 0; i < n; i++) {
                want[i] = act_of((zo_act)act, a[i]) * b[i];
            }
            close_to(y, want, n, 1e-6, "glu");
            be->glu_backward(be, (zo_act)act, a, b, d, n, y, y2);
            for (int64_t i = 0; i < n; i++) {
                double h = 1e-5, slope = (act_of((zo_act)act, a[i] + h) - act_of((zo_act)act, a[i] - h)) / (2.0 * h);
                slope = act == ZO_ACT_RELU ? a[i] > 0 : slope;
                want[i] = d[i] * b[i] * slope;
                want2[i] = d[i] * act_of((zo_act)act, a[i]);
            }
            close_to(y, want, n, 1e-6, "glu's gradient to the gate");
            close_to(y2, want2, n, 1e-6, "glu's gradient to the other");
            for (int64_t i = 0; i < n; i++) {
                want[i] = b[i] != 0.0f ? want[i] / b[i] : 0.0;
            }
            memcpy(y, d, (size_t)n * 4);
            be->act_backward(be, (zo_act)act, a, n, y);
            close_to(y, want, n, 1e-5, "an activation's gradient");
        }
        for (int64_t i = 0; i < n; i++) {
            want[i] = (double)a[i] + b[i];
        }
        be->add(be, a, b, n);
        close_to(a, want, n, 1e-6, "add");
        void *blocks[] = {a, b, d, y, y2, want, want2};
        for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
            zo_free(blocks[i]);
        }
    }
    float x[2 * 3 * 2] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, y[8], to[6] = {0};
    int32_t rows[] = {2, 0}, twice[] = {1, 1};
    be->gather(be, x, 2, 3, 2, rows, 2, y);
    ck_assert(y[0] == 4 && y[1] == 5 && y[2] == 0 && y[3] == 1 && y[4] == 10 && y[7] == 7);
    be->scatter_add(be, y, 2, twice, 2, to);
    ck_assert(to[0] == 0 && to[2] == 4 && to[3] == 6 && to[4] == 0);
}
END_TEST

/* gradients ------------------------------------------------------------------------------------------------------------------ */

START_TEST(linear_gradients)
{
    static const int64_t size[] = {1, 3, 17, 65, 150};
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 5; j++) {
            int64_t rows = size[i], cols = size[j], tokens = size[(i + 3 * j) % 5];
            world m;
            world_new(&m, 2, rows, cols, 3, 0);
            zo_store *grad = zo_store_new(m.be, &m.layout, ZO_TAG_GRADS);
            for (int64_t e = 0; e < m.layout.size; e++) {
                grad->data[e] = 1.0f; /* gradients are added */
            }
            float *x = values(tokens * cols, 1), *dy = values(tokens * rows, 2), *dx = values(tokens * cols, 3);
            const float *w = m.store->data + m.layout.param[W].offset;
            double *wx = zeros((size_t)(tokens * cols) * 8), *ww = zeros((size_t)(rows * cols) * 8), *wb = zeros((size_t)rows * 8);
            for (int64_t r = 0; r < rows; r++) {
                wb[r] = 1.0;
                for (int64_t c = 0; c < cols; c++) {
                    ww[r * cols + c] = 1.0;
                }
            }
            for (int64_t t = 0; t < tokens; t++) {
                for (int64_t r = 0; r < rows; r++) {
                    double d = dy[t * rows + r];
                    wb[r] += d;
                    for (int64_t c = 0; c < cols; c++) {
                        wx[t * cols + c] += d * w[r * cols + c];
                        ww[r * cols + c] += d * x[t * cols + c];
                    }
                }
            }
            COUNTS_FLOPS(m.be->linear_backward(m.be, m.store, ZO_F32, W, BIAS, x, dy, tokens, false, dx, grad), 4 * tokens * rows * cols);
            close_to(dx, wx, tokens * cols, 1e-5, "dx");
            close_to(grad->data + m.layout.param[W].offset, ww, rows * cols, 1e-5, "dw");
            close_to(grad->data + m.layout.param[BIAS].offset, wb, rows, 1e-5, "db");
            /* the same through chosen rows: all of them */
            int32_t *all = zeros((size_t)rows * sizeof *all);
            for (int64_t r = 0; r < rows; r++) {
                all[r] = (int32_t)r;
            }
            for (int64_t e = 0; e < m.layout.size; e++) {
                grad->data[e] = 1.0f;
            }
            m.be->linear_rows_backward(m.be, m.store, W, BIAS, all, (int32_t)rows, x, dy, tokens, dx, grad);
            close_to(dx, wx, tokens * cols, 1e-5, "dx of chosen rows");
            close_to(grad->data + m.layout.param[W].offset, ww, rows * cols, 1e-5, "dw of chosen rows");
            close_to(grad->data + m.layout.param[BIAS].offset, wb, rows, 1e-5, "db of chosen rows");
            COUNTS_FLOPS(m.be->linear_backward(m.be, m.store, ZO_F32, W, -1, x, dy, tokens, false, NULL, grad), 2 * tokens * rows * cols); /* optional parts */
            /* scaled, and added to what is there: the bias has no scale */
            float *was = values(tokens * cols, 3);
            m.layout.param[W].scale = 0.375f;
            for (int64_t e = 0; e < m.layout.size; e++) {
                grad->data[e] = 1.0f;
            }
            for (int64_t e = 0; e < tokens * cols; e++) {
                dx[e] = was[e];
                wx[e] = was[e] + 0.375 * wx[e];
            }
            for (int64_t e = 0; e < rows * cols; e++) {
                ww[e] = 1.0 + 0.375 * (ww[e] - 1.0);
            }
            m.be->linear_backward(m.be, m.store, ZO_F32, W, BIAS, x, dy, tokens, true, dx, grad);
            close_to(dx, wx, tokens * cols, 1e-5, "scaled dx");
            close_to(grad->data + m.layout.param[W].offset, ww, rows * cols, 1e-5, "scaled dw");
            close_to(grad->data + m.layout.param[BIAS].offset, wb, rows, 1e-5, "db beside a scaled dw");
            void *blocks[] = {x, dy, dx, wx, ww, wb, all, was};
            for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
                zo_free(blocks[b]);
            }
            zo_store_free(m.be, grad);
            world_free(&m);
        }
    }
}
END_TEST

static double norm_loss(zo_norm_kind kind, const double *x, const double *w, const double *b, const float *dy, int64_t tokens,
                        int64_t cols)
{
    double loss = 0.0;
    for (int64_t t = 0; t < tokens; t++) {
        double mean = 0.0, square = 0.0;
        for (int64_t j = 0; j < cols && kind == ZO_LAYERNORM; j++) {
            mean += x[t * cols + j] / (double)cols;
        }
        for (int64_t j = 0; j < cols; j++) {
            square += (x[t * cols + j] - mean) * (x[t * cols + j] - mean) / (double)cols;
        }
        for (int64_t j = 0; j < cols; j++) {
            loss += dy[t * cols + j] * ((x[t * cols + j] - mean) / sqrt(square + 1e-3) * (kind == ZO_RMSNORM_ONE ? 1.0 + w[j] : w[j]) + b[j]);
        }
    }
    return loss;
}

START_TEST(norm_gradients)
{
    for (int kind = ZO_LAYERNORM; kind <= ZO_RMSNORM_ONE; kind++) {
        for (int64_t cols = 3; cols < 40; cols += 17) {
            enum { T = 70 };
            zo_norm_kind norm = (zo_norm_kind)kind;
            world m;
            world_new(&m, 2, cols, cols, 3, 0);
            zo_store *grad = zo_store_new(m.be, &m.layout, ZO_TAG_GRADS);
            int64_t n = T * cols;
            float *x = values(n, 1), *dy = values(n, 2), *y = zeros((size_t)n * 4), stats[2 * T];
            double *xd = zeros((size_t)n * 8), *want = zeros((size_t)n * 8), wd[64], bd[64], ww[64], wb[64];
            for (int64_t i = 0; i < n; i++) {
                xd[i] = x[i];
            }
            for (int64_t j = 0; j < cols; j++) {
                wd[j] = m.store->data[m.layout.param[NORM].offset + j];
                bd[j] = m.store->data[m.layout.param[BIAS].offset + j];
            }
            double h = 1e-5;
            for (int64_t i = 0; i < n; i++) { /* a token's loss depends on its own row only */
                int64_t t = i / cols;
                xd[i] += h;
                double up = norm_loss(norm, xd + t * cols, wd, bd, dy + t * cols, 1, cols);
                xd[i] -= 2 * h;
                want[i] = (up - norm_loss(norm, xd + t * cols, wd, bd, dy + t * cols, 1, cols)) / (2 * h);
                xd[i] += h;
            }
            for (int64_t j = 0; j < cols; j++) {
                double *at[] = {&wd[j], &bd[j]}, *out[] = {&ww[j], &wb[j]};
                for (int k = 0; k < 2; k++) {
                    *at[k] += h;
                    double up = norm_loss(norm, xd, wd, bd, dy, T, cols);
                    *at[k] -= 2 * h;
                    *out[k] = (up - norm_loss(norm, xd, wd, bd, dy, T, cols)) / (2 * h);
                    *at[k] += h;
                }
            }
            const zo_store *slot = m.store;
            zo_view view = zo_view_stored(&slot);
            int bias = norm == ZO_LAYERNORM ? BIAS : -1;
            m.be->norm(m.be, &view, norm, 1e-3f, NORM, bias, x, NULL, T, cols, y, stats);
            m.be->norm_backward(m.be, m.store, norm, NORM, bias, x, stats, dy, T, cols, dy, grad);
            close_to(dy, want, n, 1e-5, "norm dx");
            close_to(grad->data + m.layout.param[NORM].offset, ww, cols, 1e-5, "norm dw");
            if (bias >= 0) {
                close_to(grad->data + m.layout.param[BIAS].offset, wb, cols, 1e-5, "norm db");
            }
            void *blocks[] = {x, dy, y, xd, want};
            for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
                zo_free(blocks[b]);
            }
            zo_store_free(m.be, grad);
            world_free(&m);
        }
    }
}
END_TEST

START_TEST(head_gradients)
{
    static const int64_t vocabularies[] = {3, 65, 2500};
    for (int k = 0; k < 6; k++) {
        enum { R = 7, N = 12 };
        int64_t V = vocabularies[k % 3], cols = 33;
        world m;
        world_new(&m, 2, 3, cols, V, 0);
        zo_store *grad = zo_store_new(m.be, &m.layout, ZO_TAG_GRADS);
        const zo_store *slot = m.store;
        zo_view view = zo_view_stored(&slot);
        float *x = values(R * cols, 1), *dx = values(R * cols, 2), amount[N];
        int32_t at[N], target[N];
        fill(amount, N, 3);
        for (int i = 0; i < N; i++) {
            at[i] = (i * 3) % R;
            target[i] = (int32_t)((i * 977) % V);
        }
        double *d = linear_reference(&m, &view, TABLE, TABLE_BIAS, ZO_ACT_NONE, x, R, false); /* logits, then their gradients */
        double cap = k >= 3 ? 1.25 : 0.0, *tilt = zeros((size_t)(R * V) * 8); /* and the slopes of the cap */
        for (int64_t i = 0; i < R * V; i++) {
            double t = cap > 0.0 ? tanh(d[i] / cap) : 0.0;
            d[i] = cap > 0.0 ? cap * t : d[i];
            tilt[i] = 1.0 - t * t;
        }
        double *wx = zeros((size_t)(R * cols) * 8), *ww = zeros((size_t)(V * cols) * 8), *wb = zeros((size_t)V * 8);
        for (int r = 0; r < R; r++) {
            double sum = 0.0, total = 0.0;
            for (int64_t v = 0; v < V; v++) {
                sum += exp(d[r * V + v]);
            }
            for (int i = 0; i < N; i++) {
                total += at[i] == r ? amount[i] : 0.0f;
            }
            for (int64_t v = 0; v < V; v++) {
                d[r * V + v] = total * exp(d[r * V + v]) / sum;
            }
        }
        for (int i = 0; i < N; i++) {
            d[at[i] * V + target[i]] -= amount[i];
        }
        for (int64_t i = 0; i < R * V; i++) {
            d[i] *= tilt[i];
        }
        zo_free(tilt);
        const float *w = m.store->data + m.layout.param[TABLE].offset;
        for (int r = 0; r < R; r++) {
            for (int64_t v = 0; v < V; v++) {
                wb[v] += d[r * V + v];
                for (int64_t c = 0; c < cols; c++) {
                    wx[r * cols + c] += d[r * V + v] * w[v * cols + c];
                    ww[v * cols + c] += d[r * V + v] * x[r * cols + c];
                }
            }
        }
        COUNTS_FLOPS(m.be->head_backward(m.be, m.store, ZO_F32, TABLE, TABLE_BIAS, (float)cap, x, R, at, target, amount, N, dx, grad),
                     8 * R * V * cols); /* the logits twice */
        close_to(dx, wx, R * cols, 1e-5, "head dx");
        close_to(grad->data + m.layout.param[TABLE].offset, ww, V * cols, 1e-5, "head dw");
        close_to(grad->data + m.layout.param[TABLE_BIAS].offset, wb, V, 1e-5, "head db");
        /* embedding: rows hit twice add up */
        int32_t ids[R] = {0, 1, 0, 2, 2, 2, 1};
        m.be->zero(m.be, grad->data, (size_t)m.layout.size * 4);
        m.be->embed_backward(m.be, TABLE, ids, R, cols, x, grad);
        const float *g = grad->data + m.layout.param[TABLE].offset;
        for (int64_t c = 0; c < cols; c++) {
            ck_assert(g[c] == x[c] + x[2 * cols + c]);
            ck_assert(g[cols + c] == x[cols + c] + x[6 * cols + c]);
        }
        void *blocks[] = {x, dx, d, wx, ww, wb};
        for (size_t b = 0; b < sizeof blocks / sizeof *blocks; b++) {
            zo_free(blocks[b]);
        }
        zo_store_free(m.be, grad);
        world_free(&m);
    }
}
END_TEST

/* updates -------------------------------------------------------------------------------------------------------------------- */

START_TEST(apply_terms)
{
    world m;
    world_new(&m, 2, 65, 17, 40, 3);
    setting s;
    setting_new(&s, &m, CP, 1);
    float *old = zeros((size_t)m.layout.size * 4);
    memcpy(old, m.store->data, (size_t)m.layout.size * 4);
    zo_term term[4];
    for (int d = 0; d < 4; d++) {
        term[d] = (zo_term){.dir = s.dir[d], .coef = 0.25 * (d + 1)};
    }
    int param[] = {TABLE};
    int32_t row[] = {0, 5, 6, 39};
    const int32_t *rows[] = {row};
    int32_t n[] = {4};
    zo_touched touched = {.nparams = 1, .param = param, .row = rows, .n = n};
    m.be->apply(m.be, m.store, m.factors, 0.875, term, 4, &touched);
    for (int t = 0; t < m.layout.n; t++) {
        const zo_param *p = &m.layout.param[t];
        for (int64_t e = 0; e < p->rows * p->cols; e++) {
            int64_t r = e / p->cols;
            float got = m.store->data[p->offset + e], was = old[p->offset + e];
            if (t == TABLE && r != 0 && r != 5 && r != 6 && r != 39) {
                ck_assert(got == was);
                continue;
            }
            double want = p->decay ? was * 0.875f : was;
            for (int d = 0; d < 4; d++) {
                want += (double)(float)term[d].coef * direction_at(&m, &term[d].dir, t, e);
            }
            ck_assert_msg(fabs(got - want) < 2e-6 * (1 + fabs(want)), "%s[%lld]: %g, expected %g", p->name, (long long)e, got, want);
        }
    }
    /* dense terms: equal on every bit to the fmaf chain */
    memcpy(m.store->data, old, (size_t)m.layout.size * 4);
    zo_term dense[2] = {{.dir = {.kind = ZO_DIR_DENSE, .seed = 1, .step = 2}, .coef = 0.3}, {.dir = {.seed = 4}, .coef = -0.7}};
    m.be->apply(m.be, m.store, NULL, 1.0, dense, 2, NULL);
    for (int t = 0; t < m.layout.n; t++) {
        const zo_param *p = &m.layout.param[t];
        for (int64_t e = 0; e < p->rows * p->cols; e++) {
            float w = old[p->offset + e];
            for (int d = 0; d < 2; d++) {
                w = fmaf((float)dense[d].coef, (float)direction_at(&m, &dense[d].dir, t, e), w);
            }
            ck_assert(m.store->data[p->offset + e] == w);
        }
        for (int64_t e = p->offset + p->rows * p->cols; e % 16 != 0; e++) {
            ck_assert(m.store->data[e] == 0.0f); /* padding */
        }
    }
    zo_free(old);
    setting_free(&s);
    world_free(&m);
}
END_TEST

START_TEST(rules_and_reductions)
{
    world m;
    world_new(&m, 2, 65, 300, 10, 3);
    zo_store *g = zo_store_new(m.be, &m.layout, ZO_TAG_GRADS), *m1 = zo_store_new(m.be, &m.layout, ZO_TAG_OPT_STATE);
    zo_store *v1 = zo_store_new(m.be, &m.layout, ZO_TAG_OPT_STATE), *w = zo_store_new(m.be, &m.layout, ZO_TAG_PARAMS);
    for (int t = 0; t < m.layout.n; t++) {
        m.be->init_normal(m.be, g, t, 77, 2.0f);
    }
    m.be->copy(m.be, w->data, m.store->data, (size_t)m.layout.size * 4);
    zo_rule_args a = {.lr = 0.01f, .decay = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f, .eps = 1e-8f};
    double *wm = zeros((size_t)m.layout.size * 8), *wv = zeros((size_t)m.layout.size * 8), *ww = zeros((size_t)m.layout.size * 8);
    for (int64_t e = 0; e < m.layout.size; e++) {
        ww[e] = w->data[e];
    }
    for (int step = 1; step <= 3; step++) {
        a.correct1 = (float)(1 - pow(0.9, step));
        a.correct2 = (float)(1 - pow(0.99, step));
        m.be->rule(m.be, ZO_RULE_ADAMW, &a, w, g, m1, v1);
        for (int t = 0; t < m.layout.n; t++) {
            const zo_param *p = &m.layout.param[t];
            for (int64_t e = p->offset; e < p->offset + p->rows * p->cols; e++) {
                wm[e] = 0.9 * wm[e] + 0.1 * g->data[e];
                wv[e] = 0.99 * wv[e] + 0.01 * g->data[e] * g->data[e];
                ww[e] *= p->decay ? 1 - 0.01 * 0.1 : 1;
                ww[e] -= 0.01 * (wm[e] / a.correct1) / (sqrt(wv[e] / a.correct2) + 1e-8);
            }
        }
    }
    close_to(w->data, ww, m.layout.size, 1e-6, "adamw");
    m.be->rule(m.be, ZO_RULE_SGD, &a, w, g, NULL, NULL);
    for (int t = 0; t < m.layout.n; t++) {
        const zo_param *p = &m.layout.param[t];
        for (int64_t e = p->offset; e < p->offset + p->rows * p->cols; e++) {
            ww[e] = ww[e] * (p->decay ? 1 - 0.01 * 0.1 : 1) - 0.01 * g->data[e];
        }
    }
    close_to(w->data, ww, m.layout.size, 1e-6, "sgd");
    double want = 0.0;
    for (int64_t e = 0; e < m.layout.size; e++) {
        want += (double)w->data[e] * g->data[e];
    }
    ck_assert(fabs(m.be->dot(m.be, w, g) - want) < 1e-9 * (1 + fabs(want)));
    ck_assert(m.be->finite(m.be, w));
    w->data[m.layout.param[NORM].offset] = -INFINITY;
    ck_assert(!m.be->finite(m.be, w));
    w->data[m.layout.param[NORM].offset] = NAN;
    ck_assert(!m.be->finite(m.be, w));
    w->data[m.layout.param[NORM].offset] = 0.0f;
    /* moments of low rank */
    zo_rule_args quotient = {.lr = 0.01f, .eps = 1e-5f};
    float mm[6], vv[6];
    fill(mm, 6, 1);
    fill(vv, 6, 2);
    m.be->copy(m.be, w->data, m.store->data, (size_t)m.layout.size * 4);
    for (int i = 0; i < 6; i++) {
        vv[i] = vv[i] * vv[i] + 0.01f;
    }
    m.be->rule_lowrank(m.be, ZO_RULE_QUOTIENT, &quotient, w, m.factors, mm, vv);
    for (int t = 0; t < m.layout.n; t++) {
        const zo_param *p = &m.layout.param[t];
        for (int64_t e = 0; e < p->rows * p->cols; e++) {
            double first = 0.0, second = 0.0, scale = m.factors->scale[t];
            for (int s = 0; s < m.factors->rank[t]; s++) {
                double u = m.factors->u[t][e / p->cols * 3 + s], v = m.factors->v[t][e % p->cols * 3 + s];
                first += scale * u * mm[m.factors->coef_at[t] + s] * v;
                second += scale * scale * u * u * vv[m.factors->coef_at[t] + s] * v * v;
            }
            double was = m.store->data[p->offset + e];
            double now = m.factors->rank[t] > 0 ? was - 0.01 * first / (sqrt(second) + 1e-5) : was;
            ck_assert(fabs(w->data[p->offset + e] - now) < 1e-6);
        }
        m.factors->scale[t] = 0.0f;
    }
    zo_counters before, after;
    zo_counters_read(&before);
    m.be->rule_lowrank(m.be, ZO_RULE_QUOTIENT, &quotient, w, m.factors, mm, vv); /* all frozen: nothing is written */
    zo_counters_read(&after);
    ck_assert_uint_eq(after.weight_bytes_written, before.weight_bytes_written);
    zo_free(wm);
    zo_free(wv);
    zo_free(ww);
    zo_store_free(m.be, g);
    zo_store_free(m.be, m1);
    zo_store_free(m.be, v1);
    zo_store_free(m.be, w);
    world_free(&m);
}
END_TEST

START_TEST(stores_and_devices)
{
    zo_err err;
    zo_backend *be;
    ck_assert(zo_backend_open("abacus", 0, &be, &err) == ZO_EINPUT && be == NULL);
    ck_assert_msg(strstr(err.text, "abacus") != NULL && strstr(err.text, "cpu") != NULL, "%s", err.text);
    ck_assert(zo_backend_open("cpu", -1, &be, &err) == ZO_EINPUT);
    ck_assert(zo_backend_open("cpu", 0, &be, &err) == ZO_OK);
    ck_assert(be->threads >= 1 && be->device[0] != '\0');
    be->close(be);
    world m;
    world_new(&m, 1, 3, 5, 4, 0);
    float in[15], out[15];
    fill(in, 15, 4);
    zo_store_set(m.be, m.store, W, in);
    zo_store_get(m.be, m.store, W, out);
    ck_assert(memcmp(in, out, sizeof in) == 0);
    ck_assert_int_eq(zo_layout_find(&m.layout, "norm"), NORM);
    ck_assert_int_eq(zo_layout_find(&m.layout, "no such"), -1);
    for (int t = 0; t < m.layout.n; t++) {
        ck_assert(m.layout.param[t].offset % 16 == 0);
    }
    zo_counters c;
    zo_counters_reset();
    zo_term term = {.dir = {.kind = ZO_DIR_DENSE}, .coef = 1.0};
    m.be->apply(m.be, m.store, NULL, 1.0, &term, 1, NULL);
    zo_counters_read(&c);
    uint64_t n = 15 + 20 + 3 + 4 + 5;
    ck_assert(c.normals == n && c.weight_bytes_written == 4 * n);
    world_free(&m);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cpu_ops");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, linear_layers);
    tcase_add_test(tc, linear_bf16);
    tcase_add_test(tc, bf16_products_of_every_inner_size);
    tcase_add_test(tc, products_are_made_once);
    tcase_add_test(tc, time_is_booked_once);
    tcase_add_test(tc, streamed_equals_applied);
    tcase_add_test(tc, points_with_other_bases);
    tcase_add_test(tc, any_number_of_threads);
    tcase_add_test(tc, no_allocation_after_the_first_step);
    tcase_add_test(tc, chosen_rows_and_embedding);
    tcase_add_test(tc, norms);
    tcase_add_test(tc, head);
    tcase_add_test(tc, elementwise);
    tcase_add_test(tc, linear_gradients);
    tcase_add_test(tc, norm_gradients);
    tcase_add_test(tc, head_gradients);
    tcase_add_test(tc, apply_terms);
    tcase_add_test(tc, rules_and_reductions);
    tcase_add_test(tc, stores_and_devices);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
