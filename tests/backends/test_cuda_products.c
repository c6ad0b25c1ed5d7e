/* test_cuda_products.c: the precisions of products on the CUDA backend, run on the processor by tests/shim: linear layers and the head
 * against float64 sums of inputs rounded as each precision says, the side path as one product among them; the projected gradient that
 * each form of a low-rank probe gives; plans of products that are shared by sizes, refused and dropped. */
#include "tests/cuda_pair.h"
#include "tests/suite.h"

enum { MOST_TOKENS = 24, ROWS = 6, SCORES = 9 };

/* Of the largest value. The oracle repeats every rounding; on a card the library sums in another order, so that a q may round to the next
 * number, and how TF32 is rounded is its own affair. */
static double close_to(zo_precision precision)
{
    return zo_shim_present || precision == ZO_F32 ? 5e-6 : precision == ZO_TF32 ? 4e-3 : 2e-3;
}

static float rounded(zo_precision precision, float x)
{
    switch (precision) {
    case ZO_BF16: return zo_bf16_to(zo_bf16_from(x));
    case ZO_F16: return zo_f16_to(zo_f16_from(x));
    case ZO_TF32: return zo_bits_f32((zo_f32_bits(x) + 0x1000u) & ~0x1FFFu); /* as the shim does, see cublasLt.h there */
    default: return x;
    }
}

static bool half(zo_precision precision)
{
    return precision == ZO_BF16 || precision == ZO_F16;
}

/* The stored weights at every point of a view, side path apart: (points, layout.size), made by the CPU's sweep, which has the bits of a
 * formed weight. */
static float *weights_at(pair *p, const zo_view *view)
{
    zo_backend *be = p->side[CPU].be;
    int64_t size = p->layout.size;
    float *all = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(view->npoints * size) * sizeof *all);
    zo_store *store = zo_store_new(be, &p->layout, ZO_TAG_PARAMS);
    for (int q = 0; q < view->npoints; q++) {
        zo_term term[4];
        int n = 0;
        for (int d = 0; d < view->ndirs; d++) {
            if (view->coef[q * view->ndirs + d] != 0.0f) {
                term[n++] = (zo_term){view->dir[d], view->coef[q * view->ndirs + d]};
            }
        }
        const float *base = view->base[q] == p->side[CPU].other ? p->other : p->weights;
        be->upload(be, store->data, base, (size_t)size * sizeof *base);
        be->apply(be, store, view->factors, 1.0, term, n, NULL);
        be->download(be, all + q * size, store->data, (size_t)size * sizeof *all);
    }
    zo_store_free(be, store);
    return all;
}

/* y (P,T,rows) = x W^T [+ q U^T] + bias in float64, every input of a product rounded as the precision says. `exact`: none is. */
static double *linear64(pair *p, const zo_view *view, zo_precision precision, bool exact, int weight, int bias, const float *x,
                        int64_t tokens)
{
    const zo_param *w = &p->layout.param[weight];
    const zo_factors *f = view->side != NULL && view->factors->rank[weight] > 0 ? view->factors : NULL;
    float *at = weights_at(p, view);
    double *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(view->npoints * tokens * w->rows) * sizeof *y), q[64];
    for (int64_t i = 0; i < view->npoints * tokens; i++) {
        const float *point = at + i / tokens * p->layout.size, *xi = x + i * w->cols;
        for (int s = 0; f != NULL && s < f->rank[weight]; s++) {
            float side = f->scale[weight] * view->side[i / tokens * f->ncoef + f->coef_at[weight] + s];
            double sum = 0.0;
            for (int64_t j = 0; j < w->cols; j++) {
                float v = f->v[weight][j * f->rank[weight] + s];
                sum += exact ? (double)xi[j] * v : (double)rounded(precision, xi[j]) * rounded(precision, v);
            }
            q[s] = exact ? sum * side : rounded(precision, (float)sum * side);
        }
        for (int64_t r = 0; r < w->rows; r++) {
            double sum = bias >= 0 ? point[p->layout.param[bias].offset + r] : 0.0;
            for (int64_t j = 0; j < w->cols; j++) {
                float v = point[w->offset + r * w->cols + j];
                sum += exact ? (double)xi[j] * v : (double)rounded(precision, xi[j]) * rounded(precision, v);
            }
            for (int s = 0; f != NULL && s < f->rank[weight]; s++) {
                float u = f->u[weight][r * f->rank[weight] + s];
                sum += q[s] * (exact ? u : rounded(precision, u));
            }
            y[i * w->rows + r] = sum;
        }
    }
    zo_free(at);
    return y;
}

static double act64(zo_act act, double x)
{
    switch (act) {
    case ZO_ACT_GELU_TANH: return 0.5 * x * (1.0 + tanh(sqrt(2.0 / acos(-1.0)) * (x + 0.044715 * x * x * x)));
    case ZO_ACT_RELU: return x > 0.0 ? x : 0.0;
    default: return x;
    }
}

typedef struct job {
    int kind, points, tokens, bias;
    zo_act act;
    zo_precision precision;
    bool pre;
} job;

/* y and pre of the CUDA backend, threads first to last or last to first */
static void linear_run(pair *p, const job *a, const float *x, bool reverse, float *y, float *pre)
{
    pair_side *side = &p->side[CUDA];
    zo_backend *be = side->be;
    size_t in = (size_t)(a->points * a->tokens * p->cols) * sizeof *x, out = (size_t)(a->points * a->tokens * p->rows) * sizeof *y;
    float *dx = be->alloc(be, ZO_TAG_ACTIVATIONS, in), *dy = be->alloc(be, ZO_TAG_ACTIVATIONS, out), *dpre = be->alloc(be, ZO_TAG_ACTIVATIONS, out);
    pair_view v;
    pair_view_new(&v, side, a->kind, a->points);
    be->upload(be, dx, x, in);
    zo_store_write(be, side->weights, 0, p->layout.size, p->weights);
    zo_store_write(be, side->other, 0, p->layout.size, p->other);
    zo_shim_reverse = reverse;
    be->linear(be, &v.view, a->precision, P_W, a->bias, a->act, dx, a->tokens, false, dy, a->pre ? dpre : NULL);
    be->download(be, y, dy, out);
    be->download(be, pre, dpre, out);
    zo_shim_reverse = false;
    pair_view_free(&v);
    be->release(be, dx);
    be->release(be, dy);
    be->release(be, dpre);
}

static double far_from(const float *got, const double *want, int64_t n)
{
    double scale = 1e-30, worst = 0.0;
    for (int64_t i = 0; i < n; i++) {
        ck_assert(isfinite(got[i]));
        scale = fmax(scale, fabs(want[i]));
        worst = fmax(worst, fabs(got[i] - want[i]));
    }
    return worst / scale;
}

static void linear_case(pair *p, job a)
{
    int64_t n = a.points * a.tokens * p->rows;
    float *x = pair_values(a.points * a.tokens * p->cols, 1), *got[4];
    for (int i = 0; i < 4; i++) {
        got[i] = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof(float));
    }
    pair_view v;
    pair_view_new(&v, &p->side[CPU], a.kind, a.points);
    double *want = linear64(p, &v.view, a.precision, false, P_W, a.bias, x, a.tokens);
    linear_run(p, &a, x, false, got[0], got[1]);
    linear_run(p, &a, x, true, got[2], got[3]);
    const char *held = zo_storage_name(p->side[CUDA].weights->storage);
    const char *what = pair_text("%-4s weights %-4s %s P=%d T=%d (%d,%d)%s act %d%s", zo_precision_name(a.precision), held,
                                 pair_view_name[a.kind], a.points, a.tokens, (int)p->rows, (int)p->cols, a.bias >= 0 ? " bias" : "",
                                 (int)a.act, a.pre ? " pre" : "");
    ck_assert_msg(memcmp(got[0], got[2], (size_t)n * sizeof(float)) == 0, "%s: depends on the order of threads", what);
    double worst = a.pre ? far_from(got[1], want, n) : 0.0;
    for (int64_t i = 0; i < n; i++) {
        want[i] = act64(a.act, want[i]);
    }
    worst = fmax(worst, far_from(got[0], want, n));
    printf("%-22s %-52s largest difference from float64 %.1e\n", "linear", what, worst);
    ck_assert_msg(worst < close_to(a.precision), "%s: %g", what, worst);
    for (int i = 0; i < 4; i++) {
        zo_free(got[i]);
    }
    zo_free(x);
    zo_free(want);
    pair_view_free(&v);
}

/* Every view, both sides of the choice between a product a point and one for all (T=3 and T=11), rows that are not a multiple of anything
 * and rows that are. */
START_TEST(linear_rounds_inputs)
{
    static const int shape[][3] = {{37, 29, 11}, {64, 48, 3}, {64, 48, 16}};
    zo_precision precision = (zo_precision)_i;
    for (int s = 0; s < 3; s++) {
        pair p;
        pair_new(&p, shape[s][0], shape[s][1], 53, 5);
        for (int kind = 0; kind < VIEWS; kind++) {
            for (int points = 1; points <= 3; points++) {
                linear_case(&p, (job){kind, points, shape[s][2], P_BIAS, ZO_ACT_NONE, precision, false});
            }
        }
        for (int kind = 0; kind < VIEWS; kind += VIEW_SIDE) {
            linear_case(&p, (job){kind, 2, shape[s][2], P_BIAS, ZO_ACT_GELU_TANH, precision, false});
            linear_case(&p, (job){kind, 2, shape[s][2], P_BIAS, ZO_ACT_RELU, precision, true});
            linear_case(&p, (job){kind, 2, shape[s][2], -1, ZO_ACT_NONE, precision, false});
            zo_shim_no_epilogue = true;
            zo_cuda_set_plans(p.side[CUDA].be, 1000);
            linear_case(&p, (job){kind, 2, shape[s][2], P_BIAS, ZO_ACT_GELU_TANH, precision, false});
            zo_shim_no_epilogue = false;
            zo_cuda_set_plans(p.side[CUDA].be, 1000);
        }
        pair_free(&p);
    }
}
END_TEST

/* Weights held in 16 bits: read where they stand by products of the same type, converted for the others. */
START_TEST(linear_reads_16_bits)
{
    static const int shape[][3] = {{37, 29, 11}, {64, 48, 3}};
    zo_precision precision = (zo_precision)_i;
    for (int storage = ZO_STORAGE_BF16; storage < ZO_STORAGES; storage++) {
        for (int s = 0; s < 2; s++) {
            pair p;
            pair_new(&p, shape[s][0], shape[s][1], 53, 5);
            pair_side *side = &p.side[CUDA];
            zo_store_free(side->be, side->weights);
            zo_store_free(side->be, side->other);
            side->weights = zo_store_new_as(side->be, &p.layout, (zo_storage)storage, ZO_TAG_PARAMS);
            side->other = zo_store_new_as(side->be, &p.layout, (zo_storage)storage, ZO_TAG_SNAPSHOT);
            for (int64_t i = 0; i < p.layout.size; i++) {
                p.weights[i] = zo_storage_round((zo_storage)storage, p.weights[i]);
                p.other[i] = zo_storage_round((zo_storage)storage, p.other[i]);
            }
            for (int kind = 0; kind < VIEWS; kind++) {
                linear_case(&p, (job){kind, 2, shape[s][2], P_BIAS, ZO_ACT_NONE, precision, false});
                linear_case(&p, (job){kind, 1, shape[s][2], P_BIAS, ZO_ACT_GELU_TANH, precision, false});
            }
            pair_free(&p);
        }
    }
}
END_TEST

/* What f16 cannot hold becomes infinite: no other number stands in for it. */
START_TEST(f16_overflows)
{
    pair p;
    pair_new(&p, 37, 29, 53, 0);
    job a = {VIEW_STORED, 1, 3, P_BIAS, ZO_ACT_NONE, ZO_F16, false};
    float *x = pair_values(3 * p.cols, 1), y[3 * 37], pre[3 * 37];
    x[p.cols + 4] = 70000.0f;
    linear_run(&p, &a, x, false, y, pre);
    for (int r = 0; r < 37; r++) {
        ck_assert(isfinite(y[r]) && isinf(y[37 + r]) && isfinite(y[2 * 37 + r]));
    }
    zo_free(x);
    pair_free(&p);
}
END_TEST

/* the head ------------------------------------------------------------------------------------------------------------------------------ */

START_TEST(head_rounds_inputs)
{
    static const int32_t at[SCORES] = {0, 0, 1, 2, 3, 5, 5, 5, 4}, target[SCORES] = {3, 210, 0, 65, 64, 63, 63, 127, 1};
    zo_precision precision = (zo_precision)_i;
    pair p;
    pair_new(&p, 16, 29, 211, 5);
    for (int kind = 0; kind < VIEWS; kind++) {
        for (int points = 1; points <= 3; points++) {
            float *x = pair_values(points * ROWS * p.cols, 7), got[3 * SCORES];
            double want[3 * SCORES];
            int32_t argmax[3 * ROWS];
            pair_view v, w;
            pair_side *side = &p.side[CUDA];
            zo_backend *be = side->be;
            pair_view_new(&v, &p.side[CPU], kind, points);
            pair_view_new(&w, side, kind, points);
            double *logit = linear64(&p, &v.view, precision, false, P_TABLE, P_TABLE_BIAS, x, ROWS);
            for (int i = 0; i < points * SCORES; i++) {
                const double *l = logit + (i / SCORES * ROWS + at[i % SCORES]) * p.vocabulary;
                double most = -INFINITY, sum = 0.0;
                for (int64_t k = 0; k < p.vocabulary; k++) {
                    most = fmax(most, l[k]);
                }
                for (int64_t k = 0; k < p.vocabulary; k++) {
                    sum += exp(l[k] - most);
                }
                want[i] = l[target[i % SCORES]] - most - log(sum);
            }
            float *dx = be->alloc(be, ZO_TAG_ACTIVATIONS, (size_t)(points * ROWS * p.cols) * sizeof *x);
            float *dy = be->alloc(be, ZO_TAG_ACTIVATIONS, sizeof got);
            be->upload(be, dx, x, (size_t)(points * ROWS * p.cols) * sizeof *x);
            be->upload(be, side->weights->data, p.weights, (size_t)p.layout.size * sizeof(float));
            be->upload(be, side->other->data, p.other, (size_t)p.layout.size * sizeof(float));
            zo_cuda_set_tile(be, points == 1 ? 1 : (size_t)1 << 20);
            be->head_logprob(be, &w.view, precision, P_TABLE, P_TABLE_BIAS, 0.0f, dx, ROWS, at, target, SCORES, dy, argmax);
            be->download(be, got, dy, (size_t)(points * SCORES) * sizeof *got);
            double worst = far_from(got, want, points * SCORES);
            printf("%-22s %-4s %s P=%d R=%d n=%d (%d,%d)   largest difference from float64 %.1e\n", "head_logprob", zo_precision_name(precision),
                   pair_view_name[kind], points, ROWS, SCORES, (int)p.vocabulary, (int)p.cols, worst);
            for (int r = 0; r < points * ROWS; r++) {
                const double *l = logit + r * p.vocabulary;
                for (int64_t k = 0; k < p.vocabulary; k++) {
                    ck_assert(l[argmax[r]] >= l[k] - 10.0 * close_to(precision));
                }
            }
            ck_assert_msg(worst < close_to(precision), "head %s %s: %g", zo_precision_name(precision), pair_view_name[kind], worst);
            be->release(be, dx);
            be->release(be, dy);
            pair_view_free(&v);
            pair_view_free(&w);
            zo_free(logit);
            zo_free(x);
        }
    }
    zo_cuda_set_tile(p.side[CUDA].be, (size_t)256 << 20);
    pair_free(&p);
}
END_TEST

/* the probe of a low-rank direction ------------------------------------------------------------------------------------------------------- */

/* A layer of a language model's scale, the loss <a, y>, 16 probes +-eps Z, Z = scale U diag(tau) V^T: the projected gradients of one
 * realisation against float64 without any rounding. Root mean square of the errors over that of the values. `moved`: the updates made until
 * then, scale U diag(s) V^T with s ~ N(0, (moved eps)^2), which a side path keeps beside W and rounds together with the probe. */
enum { P_TOKENS = 16, P_ROWS = 64, P_COLS = 256, P_RANK = 8, PROBES = 16 };

static double probe_error(pair *p, int side_of, zo_precision precision, bool sidepath, float moved)
{
    const double eps = 1e-3;
    pair_side *side = &p->side[side_of];
    zo_backend *be = side->be;
    int64_t ncoef = p->side[CPU].factors->ncoef;
    float *x = pair_values(P_TOKENS * P_COLS, 31), *a = pair_values(P_TOKENS * P_ROWS, 32), *both = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * P_TOKENS * P_COLS * 4);
    float *y = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 2 * P_TOKENS * P_ROWS * 4), *coefs = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(2 * ncoef) * 4);
    float *kept = pair_values(ncoef, 33);
    for (int64_t s = 0; s < ncoef; s++) {
        kept[s] *= moved * (float)eps;
    }
    memcpy(both, x, P_TOKENS * P_COLS * 4);
    memcpy(both + P_TOKENS * P_COLS, x, P_TOKENS * P_COLS * 4);
    float *dx = be->alloc(be, ZO_TAG_ACTIVATIONS, 2 * P_TOKENS * P_COLS * 4), *dy = be->alloc(be, ZO_TAG_ACTIVATIONS, 2 * P_TOKENS * P_ROWS * 4);
    be->upload(be, dx, both, 2 * P_TOKENS * P_COLS * 4);
    be->upload(be, side->weights->data, p->weights, (size_t)p->layout.size * 4);
    double error = 0.0, size = 0.0;
    for (uint32_t probe = 0; probe < PROBES; probe++) {
        zo_dir cp = {.kind = ZO_DIR_CP, .seed = 9, .step = probe};
        const zo_store *base[2] = {side->weights, side->weights}, *cpu_base[2] = {p->side[CPU].weights, p->side[CPU].weights};
        zo_dir dir[2] = {cp, {.kind = ZO_DIR_SPAN, .span = kept}};
        float coef[4] = {(float)eps, 1.0f, (float)-eps, 1.0f};
        for (int t = 0; t < p->layout.n; t++) {
            const zo_factors *f = p->side[CPU].factors;
            if (f->rank[t] > 0) {
                zo_dir_coefs(&cp, f, t, coefs + f->coef_at[t]);
            }
        }
        for (int64_t s = 0; s < ncoef; s++) {
            coefs[ncoef + s] = kept[s] - (float)eps * coefs[s];
            coefs[s] = kept[s] + (float)eps * coefs[s];
        }
        zo_view v = {.npoints = 2, .base = base, .ndirs = sidepath ? 0 : 2, .dir = dir, .coef = coef, .factors = side->factors,
                     .side = sidepath ? coefs : NULL};
        zo_view exact = {.npoints = 2, .base = cpu_base, .factors = p->side[CPU].factors, .side = coefs};
        be->linear(be, &v, precision, P_W, -1, ZO_ACT_NONE, dx, P_TOKENS, false, dy, NULL);
        be->download(be, y, dy, 2 * P_TOKENS * P_ROWS * 4);
        double *want = linear64(p, &exact, ZO_F32, true, P_W, -1, both, P_TOKENS), g = 0.0, g64 = 0.0;
        for (int i = 0; i < P_TOKENS * P_ROWS; i++) {
            g += a[i] * ((double)y[i] - y[P_TOKENS * P_ROWS + i]) / (2 * eps);
            g64 += a[i] * (want[i] - want[P_TOKENS * P_ROWS + i]) / (2 * eps);
        }
        error += (g - g64) * (g - g64);
        size += g64 * g64;
        zo_free(want);
    }
    be->release(be, dx);
    be->release(be, dy);
    zo_free(x);
    zo_free(a);
    zo_free(both);
    zo_free(y);
    zo_free(coefs);
    zo_free(kept);
    return sqrt(error / size);
}

START_TEST(probe_of_a_side_path)
{
    pair p;
    pair_new(&p, P_ROWS, P_COLS, 8, P_RANK);
    const zo_param *w = &p.layout.param[P_W];
    for (int64_t i = 0; i < w->rows * w->cols; i++) {
        p.weights[w->offset + i] *= 0.02f / 0.3f; /* as pair_new scales them */
    }
    for (int precision = 0; precision < ZO_PRECISIONS; precision++) {
        for (float moved = 0.0f; moved <= 10.0f; moved += 10.0f) {
            double side = probe_error(&p, CUDA, (zo_precision)precision, true, moved);
            double streamed = probe_error(&p, CUDA, (zo_precision)precision, false, moved);
            printf("measured: error of the projected gradient in %s after updates of %g eps: side path %.1e, streamed W + cZ %.1e\n",
                   zo_precision_name((zo_precision)precision), moved, side, streamed);
            /* x, V, q and U are rounded relatively: a few parts in 2^9 (bf16) or 2^12 (f16, tf32), whatever eps is; updates weigh in q */
            double unit = precision == ZO_F32 ? 1e-5 : precision == ZO_BF16 ? 0x1p-9 : 0x1p-12;
            ck_assert(side < (moved > 0.0f ? 20.0 : 3.0) * unit);
            ck_assert(!half((zo_precision)precision) || side < streamed);
        }
    }
    if (p.side[CPU].be->bf16) {
        printf("measured: error of the projected gradient in bf16 with a side path of two products, the thin ones f32 (CPU): %.1e\n",
               probe_error(&p, CPU, ZO_BF16, true, 0.0f));
    }
    pair_free(&p);
}
END_TEST

/* plans ---------------------------------------------------------------------------------------------------------------------------------- */

static void tokens_run(pair *p, int kind, float *y)
{
    static float pre[3 * 70 * 37];
    float *x = pair_values(3 * 70 * p->cols, 1);
    int64_t at = 0;
    for (int t = 1; t <= 70; t++) {
        job a = {kind, 3, t, P_BIAS, ZO_ACT_GELU_TANH, ZO_BF16, false};
        linear_run(p, &a, x, false, y + at, pre);
        at += 3 * t * p->rows;
    }
    zo_free(x);
}

/* Sizes share plans; an algorithm that is refused, or plans dropped at any time, change no bit. */
START_TEST(plans_are_shared)
{
    enum { TOTAL = 3 * 37 * 70 * 71 / 2 };
    float *want = zo_alloc(ZO_HOST, ZO_TAG_OTHER, TOTAL * sizeof *want), *got = zo_alloc(ZO_HOST, ZO_TAG_OTHER, TOTAL * sizeof *got);
    pair p;
    pair_new(&p, 37, 29, 53, 5);
    zo_backend *be = p.side[CUDA].be;
    if (!zo_shim_present) {
        printf("skipped: counting what the library is asked for, which a card does not show\n");
        pair_free(&p);
        return;
    }
    for (int kind = VIEW_STORED; kind <= VIEW_SIDE; kind += VIEW_SIDE) {
        zo_cuda_set_plans(be, 1000);
        unsigned long before = zo_shim_asked;
        tokens_run(&p, kind, want);
        printf("%s: 70 sizes, %lu algorithms asked for\n", pair_view_name[kind], zo_shim_asked - before);
        ck_assert_uint_le(zo_shim_asked - before, 16);
        before = zo_shim_asked;
        tokens_run(&p, kind, got);
        ck_assert_uint_eq(zo_shim_asked, before);
        ck_assert_mem_eq(got, want, TOTAL * sizeof *want);
        zo_shim_exact_only = true;
        tokens_run(&p, kind, got);
        zo_shim_exact_only = false;
        ck_assert_uint_gt(zo_shim_asked, before + 60);
        ck_assert_mem_eq(got, want, TOTAL * sizeof *want);
        zo_cuda_set_plans(be, 1);
        tokens_run(&p, kind, got);
        ck_assert_mem_eq(got, want, TOTAL * sizeof *want);
    }
    zo_cuda_set_plans(be, 1000);
    zo_free(want);
    zo_free(got);
    pair_free(&p);
}
END_TEST

/* Seconds of the shim's clock that the algorithms take: the second is the fastest. */
static void set_algorithms(int n)
{
    static const double seconds[] = {3000, 1000, 2000};
    zo_shim_algorithms = n;
    for (int i = 0; i < 3; i++) {
        zo_shim_algorithm_seconds[i] = n > 1 ? seconds[i] : 0;
    }
    memset(zo_shim_algorithm_runs, 0, sizeof zo_shim_algorithm_runs);
}

/* Without asking the first algorithm is taken, whatever else there is. Timed, each shape tries all, once, and stays with the fastest; a
 * product that adds to what is there takes the first. The values are those of the first. */
START_TEST(algorithms_are_chosen)
{
    enum { TOKENS = 5, MOST = 3 * TOKENS * 37 };
    static float want[MOST], got[MOST], pre[MOST];
    static const zo_algorithms how[] = {ZO_ALGORITHMS_FIRST, ZO_ALGORITHMS_TIMED};
    zo_err err = {0};
    ck_assert_int_eq(zo_backend_choose(backend_of(CPU), ZO_ALGORITHMS_FIRST, &err), ZO_OK);
    ck_assert_int_eq(zo_backend_choose(backend_of(CPU), ZO_ALGORITHMS_TIMED, &err), ZO_EUNSUPPORTED);
    ck_assert_msg(strstr(err.text, "algorithms \"timed\" needs a GPU") != NULL, "%s", err.text);
    if (!zo_shim_present) {
        printf("skipped: counting what runs, which a card does not show\n");
        return;
    }
    pair p;
    pair_new(&p, 37, 29, 53, 5);
    zo_backend *be = p.side[CUDA].be;
    float *x = pair_values(3 * TOKENS * p.cols, 1);
    for (int k = 0; k < 2; k++) {
        ck_assert_msg(zo_backend_choose(be, how[k], &err) == ZO_OK, "%s", err.text);
        set_algorithms(3);
        job stored = {VIEW_STORED, 3, TOKENS, -1, ZO_ACT_NONE, ZO_F32, false}, side = {VIEW_SIDE, 3, TOKENS, -1, ZO_ACT_NONE, ZO_F32, false};
        for (int run = 0; run < 3; run++) {
            linear_run(&p, &stored, x, false, k == 0 ? want : got, pre);
        }
        /* each of three four times (one not timed), then three times for the results */
        const unsigned long *runs = zo_shim_algorithm_runs;
        ck_assert_msg(k == 0 ? runs[0] == 3 && runs[1] + runs[2] == 0 : runs[0] == 4 && runs[1] == 4 + 3 && runs[2] == 4, "%lu %lu %lu", runs[0],
                      runs[1], runs[2]);
        ck_assert_uint_eq(be->choices.timed, (uint64_t)k);
        ck_assert_uint_eq(be->choices.others, (uint64_t)k);
        set_algorithms(3);
        linear_run(&p, &side, x, false, got, pre); /* x V and q U^T are timed, x W^T is added to the latter */
        ck_assert_msg(k == 0 ? runs[0] == 3 && runs[1] + runs[2] == 0 : runs[0] == 2 * 4 + 1 && runs[1] == 2 * (4 + 1) && runs[2] == 2 * 4,
                      "%lu %lu %lu", runs[0], runs[1], runs[2]);
        linear_run(&p, &stored, x, false, got, pre);
        ck_assert_mem_eq(got, want, sizeof want);
    }
    set_algorithms(1);
    ck_assert_msg(zo_backend_choose(be, ZO_ALGORITHMS_FIRST, &err) == ZO_OK, "%s", err.text);
    zo_free(x);
    pair_free(&p);
}
END_TEST

/* The library's GELU is in an epilogue where products are rounded to 16 bits and the model's GELU is the tanh form, and nowhere else. */
START_TEST(gelu_stands_in_few_epilogues)
{
    static float y[3 * 5 * 37], pre[3 * 5 * 37];
    pair p;
    if (!zo_shim_present) {
        printf("skipped: counting epilogues, which a card does not show\n");
        return;
    }
    pair_new(&p, 37, 29, 53, 5);
    float *x = pair_values(3 * 5 * p.cols, 1);
    for (int precision = 0; precision < ZO_PRECISIONS; precision++) {
        for (int act = ZO_ACT_NONE; act <= ZO_ACT_TANH; act++) {
            job a = {VIEW_STORED, 3, 5, P_BIAS, (zo_act)act, (zo_precision)precision, false};
            unsigned long before = zo_shim_gelus;
            linear_run(&p, &a, x, false, y, pre);
            ck_assert_msg((zo_shim_gelus > before) == (act == ZO_ACT_GELU_TANH && precision != ZO_F32), "activation %d in %s: %lu", act,
                          zo_precision_name((zo_precision)precision), zo_shim_gelus - before);
        }
    }
    zo_free(x);
    pair_free(&p);
}
END_TEST

START_TEST(the_processor_refuses)
{
    static const zo_precision gpu_only[] = {ZO_TF32, ZO_F16};
    zo_err err = {0};
    for (int i = 0; i < 2; i++) {
        ck_assert(zo_backend_check(backend_of(CUDA), gpu_only[i], &err) == ZO_OK);
        ck_assert(zo_backend_check(backend_of(CPU), gpu_only[i], &err) == ZO_EUNSUPPORTED);
        ck_assert_msg(strstr(err.text, zo_precision_name(gpu_only[i])) != NULL && strstr(err.text, "\"device\": \"cuda\"") != NULL, "%s", err.text);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_products");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 300);
    tcase_add_loop_test(tc, linear_rounds_inputs, 0, ZO_PRECISIONS);
    tcase_add_loop_test(tc, linear_reads_16_bits, 0, ZO_PRECISIONS);
    tcase_add_test(tc, f16_overflows);
    tcase_add_loop_test(tc, head_rounds_inputs, 0, ZO_PRECISIONS);
    tcase_add_test(tc, probe_of_a_side_path);
    tcase_add_test(tc, plans_are_shared);
    tcase_add_test(tc, algorithms_are_chosen);
    tcase_add_test(tc, gelu_stands_in_few_epilogues);
    tcase_add_test(tc, the_processor_refuses);
    suite_add_tcase(s, tc);
    return suite_run(s) != 0;
}
