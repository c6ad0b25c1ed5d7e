/* Attention and rotary positions of the CPU backend against a float64 reference that knows only the definition: any sizes, grouped
 * heads, shared prompts, prefixes, chosen rows, padded strides; the backward pass against the reference's formulas; the same bits for any
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
    int prefix; /* rows of the prefix, where a test has one */
    int window;
    float softcap;
} shape;

static const shape shapes[] = {
    {1, 1, 1, 1, false, false, 1, {1}, 2, 0, 0.0f},
    {2, 2, 3, 1, true, false, 3, {1, 3, 17}, 1, 0, 0.0f},
    {4, 2, 8, 2, true, true, 6, {5, 3, 0, 7, 2, 1}, 5, 0, 0.0f},
    {12, 12, 32, 2, false, false, 5, {25, 17, 3, 65, 1}, 3, 0, 0.0f},
    {9, 3, 64, 1, true, true, 4, {70, 5, 64, 129}, 70, 0, 0.0f},
    {3, 1, 80, 1, true, false, 2, {200, 33}, 4, 0, 0.0f},
    {2, 1, 130, 3, false, false, 2, {31, 66}, 65, 0, 0.0f},
    /* windows of one token, within a parent, over tiles and blocks, longer than all; capped scores */
    {4, 2, 8, 2, true, true, 6, {5, 3, 0, 7, 2, 1}, 5, 4, 0.0f},
    {2, 2, 3, 1, true, false, 3, {1, 3, 17}, 1, 1, 0.0f},
    {9, 3, 64, 1, true, true, 4, {70, 5, 64, 129}, 70, 20, 1.5f},
    {3, 1, 80, 1, true, false, 2, {200, 33}, 4, 70, 0.0f},
    {3, 1, 20, 1, true, true, 3, {200, 70, 3}, 4, 65, 0.7f},
    {12, 12, 32, 2, false, false, 5, {25, 17, 3, 65, 1}, 3, 0, 2.0f},
    {2, 1, 6, 1, true, true, 3, {31, 66, 2}, 65, 1000, 0.3f},
    /* windows to both sides: of one token, within a tile, over tiles and blocks, longer than all */
    {2, 2, 3, 1, false, false, 3, {1, 3, 17}, 1, 1, 0.0f},
    {4, 2, 8, 2, false, false, 6, {5, 3, 0, 7, 2, 1}, 5, 3, 0.0f},
    {12, 12, 32, 2, false, false, 5, {25, 17, 3, 65, 1}, 3, 9, 0.0f},
    {3, 1, 80, 1, false, false, 2, {200, 33}, 4, 65, 1.5f},
    {9, 3, 20, 1, false, true, 4, {70, 5, 64, 129}, 70, 20, 0.0f},
    {2, 1, 6, 1, false, false, 2, {150, 66}, 65, 1000, 0.0f},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

typedef struct problem {
    zo_attention a;
    zo_seqs seqs;
    int32_t start[7], parent[6], *row;
    int64_t tokens, rows, qs, ks, vs; /* strides with room between the rows */
    int points;
    float *q, *k, *v, *out, *lse, *dout, *dq, *dk, *dv;
    float *prefix[4]; /* k, v (points, n, kv_heads * head_dim), dk, dv (n, ..) that hold numbers before */
} problem;

static float *numbers(int64_t n, uint32_t tensor)
{
    float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)n * sizeof *x);
    zo_normals((zo_stream){.seed = 4, .tensor = tensor}, 0, n, x);
    return x;
}

/* some: about every third token asks. */
static problem make(const shape *s, bool some, bool prefix)
{
    problem p = {.a = {.heads = s->heads, .kv_heads = s->kv_heads, .head_dim = s->head_dim, .causal = s->causal, .window = s->window,
                       .softcap = s->softcap,
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
    int64_t n = prefix ? s->prefix : 0;
    for (int i = 0; prefix && i < 4; i++) {
        p.prefix[i] = numbers((i < 2 ? p.points : 1) * n * p.vs, 10 + (uint32_t)i);
    }
    p.a.prefix = (zo_prefix){.n = n, .k = p.prefix[0], .v = p.prefix[1], .dk = p.prefix[2], .dv = p.prefix[3]};
    return p;
}

static void set_seqs(problem *p, const shape *s)
{
    p->seqs = (zo_seqs){.n = s->seqs, .start = p->start, .parent = s->parents ? p->parent : NULL};
}

static void drop(problem *p)
{
    float *const all[] = {p->q, p->k, p->v, p->out, p->lse, p->dout, p->dq, p->dk, p->dv, p->prefix[0], p->prefix[1], p->prefix[2], p->prefix[3]};
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

/* Key `answers`: a row of the prefix, then the tokens. */
static bool sees(const problem *p, int64_t asks, int64_t answers)
{
    if (answers < p->a.prefix.n) {
        return true;
    }
    answers -= p->a.prefix.n;
    int s = seq_of(p, asks), t = seq_of(p, answers);
    int64_t distance = asks - answers - (s == t ? 0 : p->start[s] - p->start[t + 1]); /* a sequence stands behind its parent's last token */
    bool near = p->a.window == 0 || llabs((long long)distance) < p->a.window;
    return near && (s == t ? !p->a.causal || answers <= asks : p->seqs.parent && p->parent[s] == t);
}

/* Row of key j at a point, of the batch's x or of the prefix's. */
static const float *row_of(const problem *p, const float *x, int64_t stride, const float *prefix, int point, int64_t j)
{
    int64_t n = p->a.prefix.n;
    return j < n ? prefix + (point * n + j) * p->vs : x + (point * p->tokens + j - n) * stride;
}

static void near(double ours, double exact, double size, const char *what)
{
    ck_assert_msg(fabs(ours - exact) <= 1e-5 * (1.0 + size), "%s: %.9g, exactly %.9g", what, ours, exact);
}

START_TEST(equals_the_definition)
{
    const shape *s = &shapes[_i / 4];
    problem p = make(s, _i % 2, _i % 4 > 1);
    set_seqs(&p, s);
    run(&p, 2);
    int width = s->head_dim, group = s->heads / s->kv_heads;
    int64_t os = (int64_t)s->heads * width, keys = p.a.prefix.n + p.tokens, wide = p.vs;
    double *prob = calloc((size_t)keys, sizeof *prob), *tilt = calloc((size_t)keys, sizeof *tilt), *dk = calloc((size_t)(keys * wide), sizeof *dk), *dv = calloc((size_t)(keys * wide), sizeof *dv);
    for (int pt = 0; pt < p.points; pt++) {
        const float *q = p.q + pt * p.rows * p.qs;
        for (int64_t r = 0; r < p.rows; r++) {
            int64_t t = p.a.row ? p.row[r] : r;
            for (int h = 0; h < s->heads; h++) {
                int kh = h / group * width;
                double most = -INFINITY, sum = 0.0, slope_sum = 0.0, cap = (double)p.a.softcap;
                for (int64_t j = 0; j < keys; j++) {
                    prob[j] = -INFINITY;
                    if (sees(&p, t, j)) {
                        const float *k = row_of(&p, p.k, p.ks, p.prefix[0], pt, j);
                        prob[j] = 0.0;
                        for (int d = 0; d < width; d++) {
                            prob[j] += (double)q[r * p.qs + h * width + d] * (double)k[kh + d] * (double)p.a.scale;
                        }
                        prob[j] = cap > 0.0 ? cap * tanh(prob[j] / cap) : prob[j];
                        most = fmax(most, prob[j]);
                    }
                    tilt[j] = cap > 0.0 && isfinite(prob[j]) ? 1.0 - prob[j] / cap * (prob[j] / cap) : 1.0;
                }
                for (int64_t j = 0; j < keys; j++) {
                    prob[j] = exp(prob[j] - most);
                    sum += prob[j];
                }
                near(p.lse[(pt * p.rows + r) * s->heads + h], most + log(sum), fabs(most), "lse");
                for (int d = 0; d < width; d++) {
                    double exact = 0.0;
                    for (int64_t j = 0; j < keys; j++) {
                        exact += prob[j] / sum * (double)row_of(&p, p.v, p.vs, p.prefix[1], pt, j)[kh + d];
                    }
                    near(p.out[(pt * p.rows + r) * os + h * width + d], exact, 1.0, "out");
                    slope_sum += exact * (double)p.dout[r * os + h * width + d];
                }
                if (pt > 0) {
                    continue;
                }
                double dq[130] = {0.0};
                for (int64_t j = 0; j < keys; j++) {
                    const float *k = row_of(&p, p.k, p.ks, p.prefix[0], 0, j), *v = row_of(&p, p.v, p.vs, p.prefix[1], 0, j);
                    double slope = -slope_sum, weight = prob[j] / sum;
                    for (int d = 0; d < width; d++) {
                        slope += (double)p.dout[r * os + h * width + d] * (double)v[kh + d];
                        dv[j * wide + kh + d] += weight * (double)p.dout[r * os + h * width + d];
                    }
                    slope *= tilt[j];
                    for (int d = 0; d < width; d++) {
                        dq[d] += weight * slope * (double)p.a.scale * (double)k[kh + d];
                        dk[j * wide + kh + d] += weight * slope * (double)p.a.scale * (double)q[r * p.qs + h * width + d];
                    }
                }
                for (int d = 0; d < width; d++) {
                    near(p.dq[r * p.qs + h * width + d], dq[d], 1.0 + fabs(dq[d]), "dq");
                }
            }
        }
    }
    float *before[2] = {numbers(p.a.prefix.n * wide, 12), numbers(p.a.prefix.n * wide, 13)}; /* the prefix's gradients are added to */
    for (int64_t j = 0; j < keys; j++) {
        const float *k = row_of(&p, p.dk, p.ks, p.prefix[2], 0, j), *v = row_of(&p, p.dv, p.vs, p.prefix[3], 0, j);
        for (int64_t d = 0; d < wide; d++) {
            double had_k = j < p.a.prefix.n ? (double)before[0][j * wide + d] : 0.0, had_v = j < p.a.prefix.n ? (double)before[1][j * wide + d] : 0.0;
            near(k[d], had_k + dk[j * wide + d], 1.0 + fabs(dk[j * wide + d]), "dk");
            near(v[d], had_v + dv[j * wide + d], 1.0 + fabs(dv[j * wide + d]), "dv");
        }
    }
    zo_free(before[0]);
    zo_free(before[1]);
    free(prob);
    free(tilt);
    free(dk);
    free(dv);
    drop(&p);
}
END_TEST

/* Gradients of a prefix that nobody wants are not made, and the others are what they were. */
START_TEST(a_fixed_prefix)
{
    const shape *s = &shapes[_i];
    problem trained = make(s, false, true), fixed = make(s, false, true);
    set_seqs(&trained, s);
    set_seqs(&fixed, s);
    fixed.a.prefix.dk = fixed.a.prefix.dv = NULL;
    run(&trained, 2);
    run(&fixed, 2);
    ck_assert(memcmp(trained.dq, fixed.dq, (size_t)(fixed.rows * fixed.qs) * sizeof(float)) == 0);
    ck_assert(memcmp(trained.dk, fixed.dk, (size_t)(fixed.tokens * fixed.ks) * sizeof(float)) == 0);
    drop(&trained);
    drop(&fixed);
}
END_TEST

START_TEST(bits_do_not_depend_on_threads)
{
    const shape *s = &shapes[_i];
    problem one = make(s, false, true), three = make(s, false, true);
    set_seqs(&one, s);
    set_seqs(&three, s);
    run(&one, 1);
    run(&three, 3);
    size_t size = sizeof(float);
    ck_assert(memcmp(one.out, three.out, (size_t)(one.points * one.rows * s->heads * s->head_dim) * size) == 0);
    ck_assert(memcmp(one.dq, three.dq, (size_t)(one.rows * one.qs) * size) == 0);
    ck_assert(memcmp(one.dk, three.dk, (size_t)(one.tokens * one.ks) * size) == 0);
    ck_assert(memcmp(one.dv, three.dv, (size_t)(one.tokens * one.vs) * size) == 0);
    for (int i = 2; i < 4; i++) {
        ck_assert(memcmp(one.prefix[i], three.prefix[i], (size_t)(one.a.prefix.n * one.vs) * size) == 0);
    }
    drop(&one);
    drop(&three);
}
END_TEST

/* A sequence alone, and a third of its rows, give the bits that they give in company. */
START_TEST(bits_do_not_depend_on_company)
{
    shape narrow = shapes[3];
    narrow.window = _i > 3 ? 9 : 0; /* to both sides */
    narrow.softcap = _i > 3 ? 1.0f : 0.0f;
    const shape *s = &narrow;
    problem all = make(s, false, _i % 4 > 1);
    set_seqs(&all, s);
    run(&all, 2);
    int64_t os = (int64_t)s->heads * s->head_dim, from = all.start[3], n = all.start[4] - from;
    problem one = make(&(shape){s->heads, s->kv_heads, s->head_dim, 1, s->causal, false, 1, {65}, s->prefix, s->window, s->softcap}, _i % 2, _i % 4 > 1);
    one.seqs = (zo_seqs){.n = 1, .start = one.start};
    ck_assert_int_eq(n, one.tokens);
    for (int64_t r = 0; r < one.rows; r++) {
        memcpy(one.q + r * one.qs, all.q + (from + (_i % 2 ? one.row[r] : r)) * all.qs, (size_t)all.qs * sizeof(float));
    }
    memcpy(one.k, all.k + from * all.ks, (size_t)(n * all.ks) * sizeof(float));
    memcpy(one.v, all.v + from * all.vs, (size_t)(n * all.vs) * sizeof(float));
    run(&one, 2);
    for (int64_t r = 0; r < one.rows; r++) {
        ck_assert(memcmp(one.out + r * os, all.out + (from + (_i % 2 ? one.row[r] : r)) * os, (size_t)os * sizeof(float)) == 0);
    }
    drop(&all);
    drop(&one);
}
END_TEST

/* All of a head, or the first numbers of it; number i with the one half of them on, or with its neighbour. */
START_TEST(rotations)
{
    enum { TOKENS = 5, HEADS = 3, WIDTH = 10, STRIDE = HEADS * WIDTH + 2, POINTS = 2 };
    zo_backend *be;
    zo_err err;
    ck_assert_msg(zo_backend_open("cpu", 2, &be, &err) == ZO_OK, "%s", err.text);
    static const int32_t position[TOKENS] = {0, 3, 1, 1, 9};
    int dims = _i / 2 ? 6 : WIDTH, half = dims / 2;
    bool interleaved = _i % 2;
    float cosine[10 * WIDTH / 2], sine[10 * WIDTH / 2];
    for (int i = 0; i < 10 * half; i++) {
        cosine[i] = cosf(0.3f * (float)i);
        sine[i] = sinf(0.3f * (float)i);
    }
    zo_rope rope = {.cos = cosine, .sin = sine, .head_dim = WIDTH, .dims = dims, .interleaved = interleaved};
    float *x = numbers(POINTS * TOKENS * STRIDE, 1), *before = numbers(POINTS * TOKENS * STRIDE, 1);
    be->rope(be, &rope, position, POINTS, TOKENS, HEADS, STRIDE, false, x);
    for (int i = 0; i < POINTS * TOKENS; i++) {
        for (int c = 0; c < STRIDE; c++) {
            int d = c % WIDTH, pair = interleaved ? d / 2 : d % half, gap = interleaved ? 1 : half;
            bool turned = c < HEADS * WIDTH && d < dims, low = interleaved ? d % 2 == 0 : d < half;
            const float *b = before + i * STRIDE;
            double exact = (double)b[c];
            if (turned) {
                int at = position[i % TOKENS] * half + pair;
                double other = low ? -(double)b[c + gap] : (double)b[c - gap];
                exact = (double)b[c] * (double)cosine[at] + other * (double)sine[at];
            }
            ck_assert_double_le(fabs((double)x[i * STRIDE + c] - exact), turned ? 1e-6 : 0.0);
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
    tcase_add_loop_test(tc, equals_the_definition, 0, 4 * SHAPES);
    tcase_add_loop_test(tc, a_fixed_prefix, 0, SHAPES);
    tcase_add_loop_test(tc, bits_do_not_depend_on_threads, 0, SHAPES);
    tcase_add_loop_test(tc, bits_do_not_depend_on_company, 0, 8);
    tcase_add_loop_test(tc, rotations, 0, 4);
    suite_add_tcase(suite, tc);
    return suite_run(suite) != 0;
}
