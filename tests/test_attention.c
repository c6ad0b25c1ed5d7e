/* Attention and rotary positions of the CPU backend against a float64 reference that knows only the definition: any sizes, grouped
 * heads, shared prompts, chosen rows, padded strides; the backward pass against the reference's formulas; the same bits for any
 * number of threads and any company in the batch. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/backend.h"
#include "core/rng.h"
#include "tests/suite.h"

typedef struct shape {
    int heads, kv_heads, head_dim, points;
    bool causal, parents;
    int seqs;
    int32_t length[6];
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, false, false, 1, {1}},
    {2, 2, 3, 1, true, false, 3, {1, 3, 17}},
    {4, 2, 8, 2, true, true, 6, {5, 3, 0, 7, 2, 1}},
    {12, 12, 32, 2, false, false, 5, {25, 17, 3, 65, 1}},
    {9, 3, 64, 1, true, true, 4, {70, 5, 64, 129}},
    {3, 1, 80, 1, true, false, 2, {200, 33}},
    {2, 1, 130, 3, false, false, 2, {31, 66}},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct problem {
    zo_attention a;
    zo_seqs seqs;
    int32_t start[7], parent[6], *row;
    int64_t tokens, rows, qs, ks, vs; /* strides with room between the rows */
    int points;
    float *q, *k, *v, *out, *lse, *dout, *dq, *dk, *dv;
} problem;

static float *numbers(int64_t n, uint32_t tensor)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
    zo_normals((zo_stream){.seed = 4, .tensor = tensor}, 0, n, x);
    return x;
}

/* some: about every third token asks. */
static problem make(const shape *s, bool some)
{
    problem p = {.a = {.heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->head_dim, .causal = s->causal,
                       .scale = (float)(1.0 / sqrt(s->head_dim))}, .points = s->points};
    for (int i = 0; i < s->seqs; i++) {
        p.start[i + 1] = p.start[i] + s->length[i];
        p.parent[i] = s->parents && i > 0 && i != 4 ? 0 : -1;
    }
    p.tokens = p.rows = p.start[s->seqs];
    p.qs = s->heads * s->head_dim + 5;
    p.ks = s->kv_heads * s->head_dim + 3;
    p.vs = s->kv_heads * s->head_dim;
    p.row = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)p.tokens * sizeof *p.row);
    if (some) {
        p.rows = 0;
        for (int32_t t = 0; t < p.tokens; t++) {
            if (t % 3 == 0 || t == p.tokens - 1) {
                p.row[p.rows++] = t;
            }
        }
        p.a.row = p.row;
        p.a.nrows = p.rows;
    }
    int64_t os = (int64_t)s->heads * s->head_dim;
    p.q = numbers(p.points * p.rows * p.qs, 1);
    p.k = numbers(p.points * p.tokens * p.ks, 2);
    p.v = numbers(p.points * p.tokens * p.vs, 3);
    p.dout = numbers(p.rows * os, 4);
    p.out = numbers(p.points * p.rows * os, 5);
    p.lse = numbers(p.points * p.rows * s->heads, 6);
    p.dq = numbers(p.rows * p.qs, 7);
    p.dk = numbers(p.tokens * p.ks, 8);
    p.dv = numbers(p.tokens * p.vs, 9);
    return p;
}

static void set_seqs(problem *p, const shape *s)
{
    p->seqs = (zo_seqs){.n = s->seqs, .start = p->start, .parent = s->parents ? p->parent : NULL};
}

static void drop(problem *p)
{
    float *const all[] = {p->q, p->k, p->v, p->out, p->lse, p->dout, p->dq, p->dk, p->dv};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        zo_free(all[i]);
    }
    zo_free(p->row);
}

static void run(problem *p, int threads)
{
    zo_backend *be;
    zo_err err;
    ck_assert_msg(zo_backend_open("cpu", threads, &be, &err) == ZO_OK, "%s", err.text);
    be->attention(be, &p->a, &p->seqs, p->points, p->tokens, p->q, p->qs, p->k, p->ks, p->v, p->vs, p->out, p->lse);
    be->attention_backward(be, &p->a, &p->seqs, p->tokens, p->q, p->qs, p->k, p->ks, p->v, p->vs, p->out, p->lse, p->dout, p->dq, p->dk,
                           p->dv);
    be->close(be);
}

/* The sequence of a token. */
static int seq_of(const problem *p, int64_t t)
{
    int s = 0;
    while (t >= p->start[s + 1]) {
        s++;
    }
    return s;
}

static bool sees(const problem *p, int64_t asks, int64_t answers)
{
    int s = seq_of(p, asks), t = seq_of(p, answers);
    return s == t ? !p->a.causal || answers <= asks : p->seqs.parent && p->parent[s] == t;
}

static void near(double ours, double exact, double size, const char *what)
{
    ck_assert_msg(fabs(ours - exact) <= 1e-5 * (1.0 + size), "%s: %.9g, exactly %.9g", what, ours, exact);
}

START_TEST(equals_the_definition)
{
    const shape *s = &shapes[_i / 2];
    problem p = make(s, _i % 2);
    set_seqs(&p, s);
    run(&p, 2);
    int width = s->head_dim, group = s->heads / s->kv_heads;
    int64_t os = (int64_t)s->heads * width;
    double *prob = calloc((size_t)p.tokens, sizeof *prob), *dk = calloc((size_t)(p.tokens * p.ks), sizeof *dk);
    double *dv = calloc((size_t)(p.tokens * p.vs), sizeof *dv);
    for (int pt = 0; pt < p.points; pt++) {
        const float *q = p.q + pt * p.rows * p.qs, *k = p.k + pt * p.tokens * p.ks, *v = p.v + pt * p.tokens * p.vs;
        for (int64_t r = 0; r < p.rows; r++) {
            int64_t t = p.a.row ? p.row[r] : r;
            for (int h = 0; h < s->heads; h++) {
                int kh = h / group * width;
                double most = -INFINITY, sum = 0.0, slope_sum = 0.0;
                for (int64_t j = 0; j < p.tokens; j++) {
                    prob[j] = -INFINITY;
                    if (sees(&p, t, j)) {
                        prob[j] = 0.0;
                        for (int d = 0; d < width; d++) {
                            prob[j] += (double)q[r * p.qs + h * width + d] * (double)k[j * p.ks + kh + d] * (double)p.a.scale;
                        }
                        most = fmax(most, prob[j]);
                    }
                }
                for (int64_t j = 0; j < p.tokens; j++) {
                    prob[j] = exp(prob[j] - most);
                    sum += prob[j];
                }
                near(p.lse[(pt * p.rows + r) * s->heads + h], most + log(sum), fabs(most), "lse");
                for (int d = 0; d < width; d++) {
                    double exact = 0.0;
                    for (int64_t j = 0; j < p.tokens; j++) {
                        exact += prob[j] / sum * (double)v[j * p.vs + kh + d];
                    }
                    near(p.out[(pt * p.rows + r) * os + h * width + d], exact, 1.0, "out");
                    slope_sum += exact * (double)p.dout[r * os + h * width + d];
                }
                if (pt > 0) {
                    continue;
                }
                double dq[130] = {0.0};
                for (int64_t j = 0; j < p.tokens; j++) {
                    double slope = -slope_sum, weight = prob[j] / sum;
                    for (int d = 0; d < width; d++) {
                        slope += (double)p.dout[r * os + h * width + d] * (double)v[j * p.vs + kh + d];
                        dv[j * p.vs + kh + d] += weight * (double)p.dout[r * os + h * width + d];
                    }
                    for (int d = 0; d < width; d++) {
                        dq[d] += weight * slope * (double)p.a.scale * (double)k[j * p.ks + kh + d];
                        dk[j * p.ks + kh + d] += weight * slope * (double)p.a.scale * (double)q[r * p.qs + h * width + d];
                    }
                }
                for (int d = 0; d < width; d++) {
                    near(p.dq[r * p.qs + h * width + d], dq[d], 1.0 + fabs(dq[d]), "dq");
                }
            }
        }
    }
    for (int64_t j = 0; j < p.tokens; j++) {
        for (int d = 0; d < s->kv_heads * width; d++) {
            near(p.dk[j * p.ks + d], dk[j * p.ks + d], 1.0 + fabs(dk[j * p.ks + d]), "dk");
            near(p.dv[j * p.vs + d], dv[j * p.vs + d], 1.0 + fabs(dv[j * p.vs + d]), "dv");
        }
    }
    free(prob);
    free(dk);
    free(dv);
    drop(&p);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    const shape *s = &shapes[_i];
    problem one = make(s, false), three = make(s, false);
    set_seqs(&one, s);
    set_seqs(&three, s);
    run(&one, 1);
    run(&three, 3);
    size_t size = sizeof(float);
    ck_assert(memcmp(one.out, three.out, (size_t)(one.points * one.rows * s->heads * s->head_dim) * size) == 0);
    ck_assert(memcmp(one.dq, three.dq, (size_t)(one.rows * one.qs) * size) == 0);
    ck_assert(memcmp(one.dk, three.dk, (size_t)(one.tokens * one.ks) * size) == 0);
    ck_assert(memcmp(one.dv, three.dv, (size_t)(one.tokens * one.vs) * size) == 0);
    drop(&one);
    drop(&three);
}
END_TEST

/* A sequence alone, and a third of its rows, give the bits that they give in company. */
START_TEST(bits_do_not_depend_on_company)
{
    const shape *s = &shapes[3];
    problem all = make(s, false);
    set_seqs(&all, s);
    run(&all, 2);
    int64_t os = (int64_t)s->heads * s->head_dim, from = all.start[3], n = all.start[4] - from;
    problem one = make(&(shape){s->heads, s->kv_heads, s->head_dim, 1, s->causal, false, 1, {65}}, _i);
    one.seqs = (zo_seqs){.n = 1, .start = one.start};
    ck_assert_int_eq(n, one.tokens);
    for (int64_t r = 0; r < one.rows; r++) {
        memcpy(one.q + r * one.qs, all.q + (from + (_i ? one.row[r] : r)) * all.qs, (size_t)all.qs * sizeof(float));
    }
    memcpy(one.k, all.k + from * all.ks, (size_t)(n * all.ks) * sizeof(float));
    memcpy(one.v, all.v + from * all.vs, (size_t)(n * all.vs) * sizeof(float));
    run(&one, 2);
    for (int64_t r = 0; r < one.rows; r++) {
        ck_assert(memcmp(one.out + r * os, all.out + (from + (_i ? one.row[r] : r)) * os, (size_t)os * sizeof(float)) == 0);
    }
    drop(&all);
    drop(&one);
}
END_TEST

START_TEST(rotations)
{
    enum { TOKENS = 5, HEADS = 3, WIDTH = 6, HALF = WIDTH / 2, STRIDE = HEADS * WIDTH + 2, POINTS = 2 };
    zo_backend *be;
    zo_err err;
    ck_assert_msg(zo_backend_open("cpu", 2, &be, &err) == ZO_OK, "%s", err.text);
    static const int32_t position[TOKENS] = {0, 3, 1, 1, 9};
    float cosine[10 * HALF], sine[10 * HALF];
    for (int i = 0; i < 10 * HALF; i++) {
        cosine[i] = cosf(0.3f * (float)i);
        sine[i] = sinf(0.3f * (float)i);
    }
    zo_rope rope = {.cos = cosine, .sin = sine, .head_dim = WIDTH};
    float *x = numbers(POINTS * TOKENS * STRIDE, 1), *before = numbers(POINTS * TOKENS * STRIDE, 1);
    be->rope(be, &rope, position, POINTS, TOKENS, HEADS, STRIDE, false, x);
    for (int i = 0; i < POINTS * TOKENS; i++) {
        for (int c = 0; c < STRIDE; c++) {
            int d = c % WIDTH, at = position[i % TOKENS] * HALF + d % HALF;
            const float *b = before + i * STRIDE;
            double other = d < HALF ? -(double)b[c + HALF < STRIDE ? c + HALF : c] : (double)b[c - HALF];
            double exact = c < HEADS * WIDTH ? (double)b[c] * (double)cosine[at] + other * (double)sine[at] : (double)b[c];
            ck_assert_double_le(fabs((double)x[i * STRIDE + c] - exact), 1e-6);
        }
    }
    be->rope(be, &rope, position, POINTS, TOKENS, HEADS, STRIDE, true, x);
    for (int i = 0; i < POINTS * TOKENS * STRIDE; i++) {
        ck_assert_double_le(fabs((double)x[i] - (double)before[i]), 1e-6);
    }
    zo_free(x);
    zo_free(before);
    be->close(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("attention");
    TCase *tc = tcase_create("attention");
    tcase_add_loop_test(tc, equals_the_definition, 0, 2 * SHAPES);
    tcase_add_loop_test(tc, bits_do_not_depend_on_threads, 0, SHAPES);
    tcase_add_loop_test(tc, bits_do_not_depend_on_company, 0, 2);
    tcase_add_test(tc, rotations);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
