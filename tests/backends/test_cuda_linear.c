/* test_cuda_linear.c: linear layers, chosen rows, the head and their gradients of the CUDA backend, run on the processor by tests/shim,
 * against the CPU backend; memory, staging and devices. */
#include <stdlib.h>

#include "tests/cuda_pair.h"
#include "tests/suite.h"

/* W + cZ formed on both sides is bit-equal; the products differ by the order of their sums. */
static const double PRODUCT = 2e-6;
/* The CPU's side path is f32 beside bf16 products, CUDA's is bf16 too: 8 bits of each factor, so these cases look at the order of threads
 * and at gross errors. The oracle, float64 of the rounded inputs to 5e-6, is in test_cuda_products.c, largest logits too. */
static const double SIDE_BF16 = 1e-2;

typedef struct linear_arg { int kind, points, tokens, bias, act; zo_precision precision; bool pre, add; } linear_arg;

static void linear_op(const pair *p, pair_side *side, float *const *b, const void *arg)
{
    (void)p;
    const linear_arg *a = arg;
    pair_view v;
    pair_view_new(&v, side, a->kind, a->points);
    side->be->linear(side->be, &v.view, a->precision, P_W, a->bias, (zo_act)a->act, b[0], a->tokens, a->add, b[1],
                     a->pre ? b[2] : NULL);
    pair_view_free(&v);
}

static void linear_case(pair *p, linear_arg a)
{
    int64_t x = (int64_t)a.points * a.tokens * p->cols, y = (int64_t)a.points * a.tokens * p->rows;
    float *in = pair_values(x, 1), *out = pair_values(y, 2);
    pair_buffer b[] = {{in, x}, {out, y}, {out, a.pre ? y : 1}};
    pair_compare(p, a.precision == ZO_BF16 ? "linear bf16" : "linear f32",
                 pair_text("%s P=%d T=%d (%d,%d)%s act %d%s%s, scale %g", pair_view_name[a.kind], a.points, a.tokens, (int)p->rows, (int)p->cols,
                           a.bias >= 0 ? " bias" : "", a.act, a.pre ? " pre" : "", a.add ? " added" : "", (double)p->layout.param[P_W].scale),
                 linear_op, &a, b, 3, a.precision == ZO_F32 ? PRODUCT : a.kind == VIEW_SIDE || a.kind == VIEW_SIDE_FORMED ? SIDE_BF16 : 2e-5);
    zo_free(in);
    zo_free(out);
}

START_TEST(linear)
{
    static const int shape[][3] = {{37, 29, 11}, {64, 48, 16}};
    for (int s = 0; s < 2; s++) {
        pair p;
        pair_new(&p, shape[s][0], shape[s][1], 53, 5);
        for (int kind = 0; kind < VIEWS; kind++) {
            for (int points = 1; points <= 5; points += kind == VIEW_GAUSS ? 1 : 2) {
                linear_case(&p, (linear_arg){kind, points, shape[s][2], P_BIAS, ZO_ACT_NONE, ZO_F32, false, false});
            }
            if (p.side[CPU].be->bf16) {
                linear_case(&p, (linear_arg){kind, 2, shape[s][2], P_BIAS, ZO_ACT_NONE, ZO_BF16, false, false});
            }
        }
        for (int act = ZO_ACT_NONE; act <= ZO_ACT_TANH; act++) {
            linear_case(&p, (linear_arg){VIEW_GAUSS, 2, shape[s][2], P_BIAS, act, ZO_F32, false, false});
            linear_case(&p, (linear_arg){VIEW_STORED, 1, shape[s][2], P_BIAS, act, ZO_F32, true, false});
            linear_case(&p, (linear_arg){VIEW_STORED, 1, shape[s][2], -1, act, ZO_F32, false, false});
        }
        for (int scaled = 0; scaled < 2; scaled++) { /* as LoRA's two products ask */
            p.layout.param[P_W].scale = scaled ? 1.75f : 1.0f;
            for (int kind = 0; kind < VIEWS; kind++) {
                linear_case(&p, (linear_arg){kind, 2, shape[s][2], P_BIAS, ZO_ACT_GELU_TANH, ZO_F32, false, true});
                if (p.side[CPU].be->bf16) {
                    linear_case(&p, (linear_arg){kind, 2, shape[s][2], P_BIAS, ZO_ACT_GELU_TANH, ZO_BF16, false, true});
                }
            }
            linear_case(&p, (linear_arg){VIEW_STORED, 1, shape[s][2], P_BIAS, ZO_ACT_GELU, ZO_F32, true, true});
            linear_case(&p, (linear_arg){VIEW_GAUSS, 2, shape[s][2], -1, ZO_ACT_NONE, ZO_F32, false, false});
        }
        pair_free(&p);
    }
    if (!backend_of(CPU)->bf16) {
        printf("skipped: bf16 products, which this processor does not have to compare with\n");
    }
}
END_TEST

START_TEST(linear_without_epilogues)
{
    pair p;
    pair_new(&p, 37, 29, 53, 5);
    zo_shim_no_epilogue = true;
    linear_case(&p, (linear_arg){VIEW_GAUSS, 2, 9, P_BIAS, ZO_ACT_GELU_TANH, ZO_F32, false, false});
    linear_case(&p, (linear_arg){VIEW_STORED, 3, 9, P_BIAS, ZO_ACT_RELU, ZO_F32, false, false});
    linear_case(&p, (linear_arg){VIEW_SIDE, 2, 9, P_BIAS, ZO_ACT_NONE, ZO_F32, true, false});
    zo_shim_no_epilogue = false;
    pair_free(&p);
}
END_TEST

/* chosen rows ---------------------------------------------------------------------------------------------------------------------- */

typedef struct rows_arg { int kind, points, tokens, bias; const int32_t *rows; int32_t n; } rows_arg;

static void rows_op(const pair *p, pair_side *side, float *const *b, const void *arg)
{
    (void)p;
    const rows_arg *a = arg;
    pair_view v;
    pair_view_new(&v, side, a->kind, a->points);
    side->be->linear_rows(side->be, &v.view, P_TABLE, a->bias, a->rows, a->n, b[0], a->tokens, b[1]);
    pair_view_free(&v);
}

static void rows_backward_op(const pair *p, pair_side *side, float *const *b, const void *arg)
{
    (void)p;
    const rows_arg *a = arg;
    side->be->linear_rows_backward(side->be, side->weights, P_TABLE, a->bias, a->rows, a->n, b[0], b[1], a->tokens, a->kind ? b[2] : NULL,
                                   side->grad);
}

START_TEST(linear_rows)
{
    static const int32_t rows[] = {52, 0, 17, 17, 3};
    static const int shape[][2] = {{37, 29}, {64, 48}, {8, 1100}}; /* of the last a row is more than a block of threads takes */
    for (int s = 0; s < 3; s++) {
        pair p;
        pair_new(&p, shape[s][0], shape[s][1], 53, 5);
        for (int kind = 0; kind < VIEWS; kind++) {
            for (int points = 1; points <= (s < 2 ? 3 : 1); points++) {
                rows_arg a = {kind, points, 7, points == 2 ? -1 : P_TABLE_BIAS, rows, 5};
                int64_t x = points * 7 * p.cols, y = points * 7 * 5;
                float *in = pair_values(x, 3), *out = pair_values(y, 4);
                pair_buffer b[] = {{in, x}, {out, y}};
                pair_compare(&p, "linear_rows", pair_text("%s P=%d T=7 5 rows of (53,%d)", pair_view_name[kind], points, (int)p.cols), rows_op, &a,
                             b, 2, PRODUCT);
                zo_free(in);
                zo_free(out);
            }
        }
        for (int with_input = 0; with_input < 2; with_input++) {
            rows_arg a = {with_input, 1, 7, with_input ? P_TABLE_BIAS : -1, rows, 5};
            float *x = pair_values(7 * p.cols, 3), *dy = pair_values(7 * 5, 4);
            pair_buffer b[] = {{x, 7 * p.cols}, {dy, 7 * 5}, {x, 7 * p.cols}};
            pair_compare(&p, "linear_rows_backward", pair_text("T=7 5 rows of (53,%d)%s", (int)p.cols, with_input ? " dx bias" : ""),
                         rows_backward_op, &a, b, 3, 0.0);
            zo_free(x);
            zo_free(dy);
        }
        pair_free(&p);
    }
}
END_TEST

/* gradients -------------------------------------------------------------------------------------------------------------------------- */

static void backward_op(const pair *p, pair_side *side, float *const *b, const void *arg)
{
    (void)p;
    const linear_arg *a = arg;
    side->be->linear_backward(side->be, side->weights, a->precision, P_W, a->bias, b[0], b[1], a->tokens, a->add, a->pre ? b[2] : NULL,
                              side->grad);
}

START_TEST(linear_backward)
{
    static const int shape[][3] = {{37, 29, 11}, {64, 48, 40}, {33, 70, 1}};
    for (int s = 0; s < 3; s++) {
        pair p;
        pair_new(&p, shape[s][0], shape[s][1], 53, 0);
        for (int with_input = 0; with_input < 3; with_input++) {
            linear_arg a = {.tokens = shape[s][2], .bias = with_input ? P_BIAS : -1, .pre = with_input, .add = with_input == 2};
            p.layout.param[P_W].scale = with_input == 2 ? 0.375f : 1.0f;
            int64_t nx = a.tokens * p.cols, ny = a.tokens * p.rows;
            float *x = pair_values(nx, 5), *dy = pair_values(ny, 6);
            pair_buffer b[] = {{x, nx}, {dy, ny}, {x, nx}};
            pair_compare(&p, "linear_backward", pair_text("T=%d (%d,%d)%s%s", a.tokens, (int)p.rows, (int)p.cols, with_input ? " dx bias" : "",
                                                               a.add ? " added, scaled" : ""),
                         backward_op, &a, b, 3, PRODUCT);
            zo_free(x);
            zo_free(dy);
        }
        pair_free(&p);
    }
}
END_TEST

/* the head ---------------------------------------------------------------------------------------------------------------------------- */

typedef struct head_arg {
    int kind, points, rows, bias;
    zo_precision precision;
    const int32_t *at, *target;
    const float *amount;
    float softcap;
    int64_t n;
    int32_t *argmax; /* (SIDES, P * R) */
    size_t tile;
} head_arg;

static void head_op(const pair *p, pair_side *side, float *const *b, const void *arg)
{
    const head_arg *a = arg;
    pair_view v;
    int which = side == &p->side[CUDA];
    if (which) {
        zo_cuda_set_tile(side->be, a->tile);
    }
    pair_view_new(&v, side, a->kind, a->points);
    side->be->head_logprob(side->be, &v.view, a->precision, P_TABLE, a->bias, a->softcap, b[0], a->rows, a->at, a->target, a->n, b[1],
                           a->argmax != NULL ? a->argmax + which * a->points * a->rows : NULL);
    pair_view_free(&v);
}

static void head_backward_op(const pair *p, pair_side *side, float *const *b, const void *arg)
{
    const head_arg *a = arg;
    if (side == &p->side[CUDA]) {
        zo_cuda_set_tile(side->be, a->tile);
    }
    side->be->head_backward(side->be, side->weights, a->precision, P_TABLE, a->bias, a->softcap, b[0], a->rows, a->at, a->target, a->amount, a->n, b[1],
                            side->grad);
}

enum { ROWS = 6, SCORES = 9 };
static const int32_t score_at[SCORES] = {0, 0, 1, 2, 3, 5, 5, 5, 4}, score_target[SCORES] = {3, 210, 0, 65, 64, 63, 63, 127, 1};
static const float score_amount[SCORES] = {0.5f, -0.25f, 1.0f, 0.125f, 0.75f, 0.3f, 0.2f, -1.0f, 2.0f};

static void head_case(pair *p, head_arg a)
{
    int64_t x = (int64_t)a.points * a.rows * p->cols;
    int32_t argmax[SIDES * 5 * ROWS];
    float *in = pair_values(x, 7), *out = pair_values(a.points * a.n, 8);
    pair_buffer b[] = {{in, x}, {out, a.points * a.n}};
    a.argmax = argmax;
    pair_compare(p, a.precision == ZO_BF16 ? "head_logprob bf16" : "head_logprob f32",
                 pair_text("%s P=%d R=%d n=%d (%d,%d)%s, %zu B tiles", pair_view_name[a.kind], a.points, a.rows, (int)a.n, (int)p->vocabulary,
                           (int)p->cols, a.bias >= 0 ? " bias" : "", a.tile),
                 head_op, &a, b, 2, a.precision == ZO_F32 ? PRODUCT : a.kind == VIEW_SIDE || a.kind == VIEW_SIDE_FORMED ? SIDE_BF16 : 2e-5);
    if (a.precision == ZO_F32 || (a.kind != VIEW_SIDE && a.kind != VIEW_SIDE_FORMED)) {
        ck_assert_mem_eq(argmax, argmax + a.points * a.rows, (size_t)(a.points * a.rows) * sizeof *argmax);
    }
    zo_free(in);
    zo_free(out);
}

START_TEST(head)
{
    static const int shape[][2] = {{211, 29}, {256, 48}};
    for (int s = 0; s < 2; s++) {
        pair p;
        pair_new(&p, 16, shape[s][1], shape[s][0], 5);
        for (int kind = 0; kind < VIEWS; kind++) {
            for (int points = 1; points <= 3; points++) {
                head_arg a = {.kind = kind, .points = points, .rows = ROWS, .bias = points == 2 ? -1 : P_TABLE_BIAS, .at = score_at,
                              .target = score_target, .n = SCORES, .softcap = points == 3 ? 0.5f : 0.0f,
                              .tile = points == 1 ? 1 : (size_t)1 << 20};
                head_case(&p, a);
                a.precision = ZO_BF16;
                if (p.side[CPU].be->bf16) {
                    head_case(&p, a);
                }
            }
        }
        for (int way = 0; way < 4; way++) {
            int big = way % 2;
            head_arg a = {.rows = ROWS, .softcap = way > 1 ? 0.7f : 0.0f, .bias = big ? P_TABLE_BIAS : -1, .at = score_at, .target = score_target, .amount = score_amount, .n = SCORES,
                          .tile = big ? (size_t)1 << 20 : 1};
            float *x = pair_values(ROWS * p.cols, 9);
            pair_buffer b[] = {{x, ROWS * p.cols}, {x, ROWS * p.cols}};
            pair_compare(&p, "head_backward", pair_text("R=%d n=%d (%d,%d), %zu B tiles, cap %g", ROWS, SCORES, shape[s][0], shape[s][1], a.tile, (double)a.softcap),
                         head_backward_op, &a, b, 2, PRODUCT);
            zo_free(x);
        }
        pair_free(&p);
    }
}
END_TEST

/* More rows and scores than a block has threads. */
START_TEST(head_of_many_rows)
{
    enum { MANY_ROWS = 300, MANY_SCORES = 400 };
    static int32_t at[MANY_SCORES], target[MANY_SCORES], argmax[SIDES * 2 * MANY_ROWS];
    pair p;
    pair_new(&p, 8, 16, 61, 3);
    for (int i = 0; i < MANY_SCORES; i++) {
        at[i] = (7 * i) % MANY_ROWS;
        target[i] = (11 * i) % 61;
    }
    for (int points = 1; points <= 2; points++) {
        head_arg a = {.kind = VIEW_GAUSS, .points = points, .rows = MANY_ROWS, .bias = P_TABLE_BIAS, .at = at, .target = target, .n = MANY_SCORES,
                      .argmax = argmax, .tile = (size_t)1 << 20};
        int64_t x = (int64_t)points * MANY_ROWS * p.cols;
        float *in = pair_values(x, 7), *out = pair_values((int64_t)points * MANY_SCORES, 8);
        pair_buffer b[] = {{in, x}, {out, (int64_t)points * MANY_SCORES}};
        pair_compare(&p, "head_logprob f32", pair_text("P=%d R=%d n=%d", points, MANY_ROWS, MANY_SCORES), head_op, &a, b, 2, PRODUCT);
        ck_assert_mem_eq(argmax, argmax + points * MANY_ROWS, (size_t)(points * MANY_ROWS) * sizeof *argmax);
        zo_free(in);
        zo_free(out);
    }
    pair_free(&p);
}
END_TEST

/* A NaN in a weight reaches the log-probabilities, as on the CPU. */
START_TEST(head_keeps_nan)
{
    pair p;
    pair_new(&p, 16, 29, 211, 0);
    p.weights[p.layout.param[P_TABLE].offset + 100 * 29] = NAN;
    head_arg a = {.kind = VIEW_STORED, .points = 1, .rows = ROWS, .bias = -1, .at = score_at, .target = score_target, .n = SCORES, .tile = 1};
    float *x = pair_values(ROWS * p.cols, 9), *out = pair_values(SCORES, 10);
    for (int s = 0; s < SIDES; s++) {
        zo_backend *be = p.side[s].be;
        float *b[2], got[SCORES];
        be->upload(be, p.side[s].weights->data, p.weights, (size_t)p.layout.size * sizeof(float));
        b[0] = be->alloc(be, ZO_TAG_ACTIVATIONS, ROWS * 29 * sizeof(float));
        b[1] = be->alloc(be, ZO_TAG_ACTIVATIONS, SCORES * sizeof(float));
        be->upload(be, b[0], x, ROWS * 29 * sizeof(float));
        head_op(&p, &p.side[s], b, &a);
        be->download(be, got, b[1], sizeof got);
        for (int i = 0; i < SCORES; i++) {
            ck_assert(isnan(got[i]));
        }
        be->release(be, b[0]);
        be->release(be, b[1]);
    }
    zo_free(x);
    zo_free(out);
    pair_free(&p);
}
END_TEST

/* memory, staging, devices -------------------------------------------------------------------------------------------------------------- */

START_TEST(memory_slots)
{
    zo_backend *be = backend_of(CUDA);
    uint64_t before = zo_mem_live(ZO_DEVICE).total_bytes;
    zo_cuda_memory memory;
    float *block = be->alloc(be, ZO_TAG_PARAMS, 4000), host[1000], back[1000];
    be->download(be, back, block, 4000);
    for (int i = 0; i < 1000; i++) {
        ck_assert(back[i] == 0.0f);
        host[i] = (float)i;
    }
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, before + 4000);
    be->upload(be, block, host, 4000);
    float *copy = be->alloc(be, ZO_TAG_PARAMS, 4000);
    be->copy(be, copy, block, 4000);
    be->zero(be, block, 2000);
    be->download(be, back, copy, 4000);
    ck_assert_mem_eq(back, host, 4000);
    be->download(be, back, block, 4000);
    ck_assert(back[499] == 0.0f && back[500] == 500.0f);
    zo_cuda_memory_read(be, &memory);
    ck_assert_uint_eq(memory.ledger_bytes, before + 8000);
    ck_assert_uint_ge(memory.used_bytes, memory.ledger_bytes);
    be->release(be, block);
    be->release(be, copy);
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, before);
}
END_TEST

/* What a backend that was just opened sets aside, byte for byte: a row of the longest vector for each point, twice, and where two points or more are
 * formed the largest matrix of each in 16 bits, of a frozen one once; of a side path what goes between its two products, ranks in eights. Without
 * graphs, whose passes have a block of their own. */
START_TEST(what_is_reserved)
{
    enum { VECTOR = 1000, W_ROWS = 50, W_COLS = 36, TOKENS = 70, RANK = 5, VIEW_BYTES = 1024 };
    setenv("ZO_CUDA_GRAPHS", "0", 1);
    for (int kind = 0; kind < 4; kind++) { /* vectors alone, a matrix, a frozen one, factors */
        for (int points = 1; points <= 3; points++) {
            zo_backend *be;
            zo_err err = {0};
            zo_layout layout = {0};
            zo_layout_add(&layout, "short", ZO_PARAM_VECTOR, 1, 7, 0, false);
            zo_layout_add(&layout, "v", ZO_PARAM_VECTOR, 1, VECTOR, 0, false);
            if (kind > 0) {
                int w = zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, W_ROWS, W_COLS, 0, true); /* may move layout.param */
                layout.param[w].frozen = kind == 2;
            }
            ck_assert_msg(zo_cuda_open(-1, 1, &be, &err) == ZO_OK, "%s", err.text);
            zo_factors *factors = kind == 3 ? zo_factors_new(be, &layout, (int[]){0, 0, RANK}, 1.0, 1) : NULL;
            uint64_t before = zo_mem_live(ZO_DEVICE).total_bytes;
            be->reserve(be, &layout, factors, ZO_F32, &(zo_largest){.points = points, .tokens = TOKENS});
            uint64_t want = VIEW_BYTES + 2 * (uint64_t)points * VECTOR * sizeof(float), matrix = (uint64_t)(kind == 1 ? points : 1) * W_ROWS * W_COLS;
            if (kind < 3 && points > 1) {
                want += sizeof(uint16_t) * (kind > 0 ? matrix : (uint64_t)points);
            }
            want += kind == 3 ? (uint64_t)points * TOKENS * 8 * sizeof(float) + W_COLS * 8 * sizeof(uint16_t) : 0;
            uint64_t taken = zo_mem_live(ZO_DEVICE).total_bytes - before;
            ck_assert_msg(taken == want, "kind %d, %d points: %llu bytes, expected %llu", kind, points, (unsigned long long)taken, (unsigned long long)want);
            zo_factors_free(be, factors);
            be->close(be);
            zo_layout_free(&layout);
        }
    }
}
END_TEST

/* After a first step nothing is allocated by steps of the same kind, nor of smaller batches. */
START_TEST(steps_do_not_allocate)
{
    pair p;
    pair_new(&p, 37, 29, 53, 5);
    pair_side *side = &p.side[CUDA];
    zo_backend *be = side->be;
    float *b[3];
    for (int i = 0; i < 3; i++) {
        b[i] = be->alloc(be, ZO_TAG_ACTIVATIONS, 4 * 70 * 37 * sizeof(float));
    }
    uint64_t after_first = 0;
    for (int step = 0; step < 200; step++) { /* also: the staging ring goes round */
        linear_arg a = {step % VIEWS, 1 + step % 4, step < VIEWS * 4 ? 70 : 1 + step % 70, P_BIAS, ZO_ACT_GELU, step % 2 ? ZO_BF16 : ZO_F32, true, step % 3 == 0};
        linear_op(&p, side, b, &a);
        if (step == 2 * VIEWS * 4) {
            after_first = zo_mem_live(ZO_DEVICE).total_bytes;
        }
    }
    ck_assert_uint_eq(zo_mem_live(ZO_DEVICE).total_bytes, after_first);
    for (int i = 0; i < 3; i++) {
        be->release(be, b[i]);
    }
    pair_free(&p);
}
END_TEST

START_TEST(devices)
{
    zo_backend *be;
    zo_err err = {0};
    ck_assert(zo_cuda_open(4000, 0, &be, &err) == ZO_EUNSUPPORTED && be == NULL);
    ck_assert_msg(strstr(err.text, "cuda:4000") != NULL, "%s", err.text);
    if (!zo_shim_present) {
        printf("skipped: absent devices, which a card cannot show\n");
        return;
    }
    zo_shim_devices = 0;
    ck_assert(zo_cuda_open(-1, 0, &be, &err) == ZO_EUNSUPPORTED && be == NULL);
    ck_assert_msg(strstr(err.text, "no CUDA device") != NULL, "%s", err.text);
    zo_shim_devices = 1;
    ck_assert(zo_cuda_open(0, 0, &be, &err) == ZO_OK);
    ck_assert_str_eq(be->name, "cuda");
    ck_assert_str_eq(be->device, "shim");
    be->close(be);
    ck_assert(zo_backend_open("cpu:0", 0, &be, &err) == ZO_EINPUT && be == NULL);
    ck_assert(zo_backend_open("cuda:x", 0, &be, &err) != ZO_OK && be == NULL);
    ck_assert(zo_backend_open("auto", 0, &be, &err) == ZO_OK);
    be->close(be);
}
END_TEST

bool zo_curand_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]); /* tests/shim/curand.cpp */

START_TEST(philox_is_curands)
{
    for (uint32_t i = 0; i < 10000; i++) {
        uint32_t c[4], k[2], want[4], word[6];
        zo_words((zo_stream){.seed = 5, .tensor = i, .role = ZO_ROLE_DATA}, 0, 6, word);
        memcpy(c, word, sizeof c);
        memcpy(k, word + 4, sizeof k);
        if (!zo_curand_block(c, k, want)) {
            printf("skipped: cuRAND's header is not installed\n");
            return;
        }
        zo_block got = zo_philox(c[0], c[1], c[2], c[3], k[0], k[1]);
        ck_assert_mem_eq(got.lane, want, sizeof want);
    }
    printf("Philox4x32-10: 10000 blocks equal to cuRAND's\n");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("cuda_linear");
    TCase *tc = tcase_create("all");
    tcase_set_timeout(tc, 300);
    tcase_add_test(tc, linear);
    tcase_add_test(tc, linear_without_epilogues);
    tcase_add_test(tc, linear_rows);
    tcase_add_test(tc, linear_backward);
    tcase_add_test(tc, head);
    tcase_add_test(tc, head_of_many_rows);
    tcase_add_test(tc, head_keeps_nan);
    tcase_add_test(tc, memory_slots);
    tcase_add_test(tc, what_is_reserved);
    tcase_add_test(tc, steps_do_not_allocate);
    tcase_add_test(tc, devices);
    tcase_add_test(tc, philox_is_curands);
    suite_add_tcase(s, tc);
    return suite_run(s) != 0;
}
