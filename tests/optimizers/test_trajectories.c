/* test_trajectories.c: whole runs of estimators against twins in float64 that are written from the papers and the published code, with
 * draws of their own: MeZO-SVRG in its three modes (arXiv 2404.08080, Algorithms 1 and 4; amazon-science/mezo_svrg), clipped first order
 * (torch.nn.utils.clip_grad_norm_, torch.optim), and what each method logs as its loss. Weights agree to 1e-10: both are float64, and only the
 * order of sums differs. Constants of first order are numbers that f32 holds, as its rules work with those. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conf.h"
#include "core/mem.h"
#include "tests/objective64.h"
#include "tests/suite.h"

enum { ROWS = 3, COLS = 5, EXTRA = 4, SIZE = ROWS * COLS + EXTRA, EXAMPLES = 4, SEED = 77, STEPS = 30, MOST = 64 };

#define VALLEY 0.01

/* Losses of EXAMPLES examples: a bowl each, with waves, and a valley across all weights. `at` = the step's. */
typedef struct hills { zo_layout layout; int at; double curve[SIZE], centre[EXAMPLES][SIZE]; int64_t place[SIZE]; } hills;

static void hills_open(hills *h)
{
    memset(h, 0, sizeof *h);
    zo_layout_add(&h->layout, "w", ZO_PARAM_MATRIX, ROWS, COLS, 0, true);
    zo_layout_add(&h->layout, "b", ZO_PARAM_VECTOR, 1, EXTRA, -1, false); /* outside the blocks */
    for (int i = 0; i < SIZE; i++) {
        h->curve[i] = 0.3 + 0.1 * (i % 5);
        h->place[i] = i < ROWS * COLS ? i : h->layout.param[1].offset + i - ROWS * COLS;
        for (int e = 0; e < EXAMPLES; e++) {
            h->centre[e][i] = sin(1.7 * i + 2.3 * e);
        }
    }
}

static double loss_of(const hills *h, int e, const double *w)
{
    double sum = 1.0, all = 0.0;
    for (int i = 0; i < SIZE; i++) {
        double d = w[h->place[i]] - h->centre[e][i];
        sum += 0.5 * h->curve[i] * d * d + 0.2 * (1.0 - cos(2.0 * w[h->place[i]]));
        all += w[h->place[i]];
    }
    return sum + 0.5 * VALLEY * all * all;
}

static double hills_loss(void *context, zo_which which, const double *w)
{
    const hills *h = context;
    double sum = 0.0;
    for (int e = 0; e < EXAMPLES; e++) {
        sum += which == ZO_BATCH_FULL || e == h->at ? loss_of(h, e, w) : 0.0;
    }
    return which == ZO_BATCH_FULL ? sum / EXAMPLES : sum;
}

static void hills_gradient(void *context, zo_which which, const double *w, double *g)
{
    const hills *h = context;
    double all = 0.0;
    ck_assert_int_eq(which, ZO_BATCH_CURRENT);
    for (int i = 0; i < SIZE; i++) {
        all += w[h->place[i]];
    }
    for (int i = 0; i < SIZE; i++) {
        double x = w[h->place[i]];
        g[h->place[i]] = h->curve[i] * (x - h->centre[h->at][i]) + 0.4 * sin(2.0 * x) + VALLEY * all;
    }
}

/* z of a step: element by element from the generator, parameter by parameter. */
static void draw(const hills *h, int64_t step, int query, double *z)
{
    float part[ROWS * COLS];
    memset(z, 0, MOST * sizeof *z);
    for (int t = 0; t < 2; t++) {
        int n = t == 0 ? ROWS * COLS : EXTRA;
        zo_normals_scalar((zo_stream){SEED, h->layout.param[t].id, (uint32_t)step, (uint32_t)query, ZO_ROLE_Z}, 0, n, part);
        for (int i = 0; i < n; i++) {
            z[h->layout.param[t].offset + i] = part[i];
        }
    }
}

/* w += a z */
static void add(double *w, double a, const double *z)
{
    for (int i = 0; i < MOST; i++) {
        w[i] += a * z[i];
    }
}

/* (L(w + eps z) - L(w - eps z)) / 2 eps; *mean = that of the two losses */
static double spsa(hills *h, zo_which which, const double *w, const double *z, double eps, double *mean)
{
    double plus[MOST], minus[MOST];
    memcpy(plus, w, sizeof plus);
    memcpy(minus, w, sizeof minus);
    add(plus, eps, z);
    add(minus, -eps, z);
    double a = hills_loss(h, which, plus), b = hills_loss(h, which, minus);
    *mean = (a + b) / 2;
    return (a - b) / (2 * eps);
}

/* ---- MeZO-SVRG ------------------------------------------------------------------------------------------------------------ */

typedef enum mode { PAPER, REPLAY, RELEASED } mode;
typedef struct svrg { mode mode; bool fresh; int q; double eta1, eta2, anneal, kappa; int window; } svrg;
typedef struct path { double w[MOST], loss[STEPS], lr[STEPS], projected[STEPS]; int cuts; } path;

/* Mean of the n losses before the last `skip`. */
static double mean_before(const double *loss, int have, int n, int skip)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++) {
        sum += loss[have - skip - n + i];
    }
    return sum / n;
}

static void twin(hills *h, const svrg *s, path *p)
{
    const double eps = 1e-3;
    double w[MOST] = {0}, anchor[MOST] = {0}, g[MOST] = {0}, z[MOST], other[MOST];
    double eta1 = s->eta1, eta2 = s->eta2;
    int window = s->window > 0 ? s->window : EXAMPLES; /* batches of an epoch */
    p->cuts = 0;
    for (int t = 0; t < STEPS; t++) {
        h->at = (3 * t + 1) % EXAMPLES;
        /* Algorithm 4: once a window; the paper compares with the window before, the code with the one before that, and waits longer */
        bool released = s->mode == RELEASED;
        if (t % window == 0 && (released ? t > 4 * window : t >= 2 * window)) {
            double ratio = mean_before(p->loss, t, window, 0) / mean_before(p->loss, t, window, released ? 2 * window : window);
            if (ratio > s->kappa) {
                eta1 = released ? fmax(eta1 / s->anneal, 1e-5) : eta1 / s->anneal;
                eta2 = released ? fmax(eta2 / s->anneal, 1e-6) : eta2 / s->anneal;
                p->cuts++;
            }
        }
        draw(h, t, 0, z);
        double unused;
        if (t % s->q == 0) {
            double pg = spsa(h, ZO_BATCH_FULL, w, z, eps, &p->loss[t]);
            memcpy(anchor, w, sizeof anchor);
            memset(g, 0, sizeof g);
            add(g, pg, z);
            add(w, -eta1, g);
            p->projected[t] = pg;
            p->lr[t] = eta1;
            continue;
        }
        draw(h, t, 1, other);
        double pg = spsa(h, ZO_BATCH_CURRENT, w, z, eps, &p->loss[t]);
        p->projected[t] = pg;
        p->lr[t] = eta2;
        if (released) { /* the anchor is an alias of the weights, which the first estimate has moved */
            add(w, -eta2 * pg, z);
            double second = spsa(h, ZO_BATCH_CURRENT, w, other, eps, &unused);
            add(w, eta2 * second, other);
        } else {
            const double *at_anchor = s->fresh ? other : z;
            double second = spsa(h, ZO_BATCH_CURRENT, anchor, at_anchor, eps, &unused);
            add(w, -eta2 * pg, z);
            add(w, eta2 * second, at_anchor);
        }
        add(w, -eta2, g);
    }
    memcpy(p->w, w, sizeof w);
}

static void estimated(hills *h, const svrg *s, path *p)
{
    static const char *const name[] = {"paper", "replay", "released"};
    char json[300];
    snprintf(json, sizeof json, "{\"mode\": \"%s\", \"z\": \"%s\", \"q\": %d, \"eta2\": %.17g, \"anneal\": %.17g, \"kappa\": %.17g, \"window\": %d}", name[s->mode],
             s->fresh ? "fresh" : "shared", s->q, s->eta2, s->anneal, s->kappa, s->window);
    objective64 *o = objective64_new(&h->layout, SEED, h, hills_loss, NULL);
    running r = running_new("mezo-svrg", json, &o->o);
    for (int t = 0; t < STEPS; t++) {
        zo_step_report report;
        h->at = (3 * t + 1) % EXAMPLES;
        ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, s->eta1, 1e-3, &report), ZO_OK);
        p->loss[t] = report.loss;
        p->lr[t] = report.lr;
        p->projected[t] = report.projected;
        ck_assert(report.full_batch == (t % s->q == 0));
    }
    for (int i = 0; i < SIZE; i++) {
        p->w[h->place[i]] = o->w[h->place[i]];
    }
    running_free(&r);
    objective64_free(o);
}

static double apart(const hills *h, const double *a, const double *b)
{
    double most = 0.0;
    for (int i = 0; i < SIZE; i++) {
        most = fmax(most, fabs(a[h->place[i]] - b[h->place[i]]));
    }
    return most;
}

START_TEST(svrg_goes_the_twins_way)
{
    static const svrg of[] = {{.q = 3, .eta1 = 0.12, .eta2 = 0.03, .anneal = 2.0, .kappa = 0.97, .window = 2},
                              {.q = 3, .eta1 = 0.12, .eta2 = 0.03, .anneal = 2.0, .kappa = 1.02, .window = 2}, /* each of the others differs */
                              {.q = 3, .eta1 = 0.12, .eta2 = 0.03, .anneal = 3.0, .kappa = 0.97, .window = 2}, /* from the first in one number */
                              {.q = 3, .eta1 = 0.12, .eta2 = 0.03, .anneal = 2.0, .kappa = 0.97, .window = 3},
                              {.q = 3, .eta1 = 0.12, .eta2 = 0.03, .anneal = 2.0, .kappa = 0.97, .window = 0},
                              {.q = 3, .eta1 = 0.12, .eta2 = 0.05, .anneal = 2.0, .kappa = 0.97, .window = 2},
                              {.q = 3, .eta1 = 0.07, .eta2 = 0.03, .anneal = 2.0, .kappa = 0.97, .window = 2},
                              {.q = 2, .eta1 = 0.12, .eta2 = 0.03, .anneal = 2.0, .kappa = 0.97, .window = 2}};
    enum { CASES = sizeof of / sizeof *of };
    hills h;
    hills_open(&h);
    path want[CASES], got;
    for (int k = 0; k < CASES; k++) {
        svrg s = of[k];
        s.mode = (mode)(_i / 2);
        s.fresh = _i % 2 || s.mode == RELEASED;
        twin(&h, &s, &want[k]);
        memset(&got, 0, sizeof got);
        estimated(&h, &s, &got);
        ck_assert_msg(apart(&h, want[k].w, got.w) < 1e-10, "case %d: weights %g apart", k, apart(&h, want[k].w, got.w));
        for (int t = 0; t < STEPS; t++) {
            ck_assert_msg(fabs(want[k].loss[t] - got.loss[t]) < 1e-10 && fabs(want[k].lr[t] - got.lr[t]) < 1e-15 &&
                              fabs(want[k].projected[t] - got.projected[t]) < 1e-7, /* 1e-10 over 2 eps */
                          "case %d, step %d: loss %.15g lr %g projected %g, expected %.15g, %g, %g", k, t, got.loss[t], got.lr[t], got.projected[t],
                          want[k].loss[t], want[k].lr[t], want[k].projected[t]);
        }
        for (int other = 0; other < k; other++) {
            ck_assert_msg(apart(&h, want[k].w, want[other].w) > 1e-5, "cases %d and %d are one run", other, k);
        }
    }
    ck_assert(want[0].cuts > 0 && want[0].cuts != want[1].cuts);
    zo_layout_free(&h.layout);
}
END_TEST

/* ---- ConMeZO, MeZO-Adam ---------------------------------------------------------------------------------------------------- */

enum { CONE_STEPS = 2100 }; /* past the released code's warm-up */

/* The cone, from its formulas: vectors are written out, the norm of m is measured (plain) or estimated (released). */
static void cone_twin(hills *h, bool released, double theta, double target, double lr, double *w, double *projected)
{
    double m[MOST] = {0}, z[MOST], along[MOST], unused, d = SIZE, norm = 0.0;
    memset(w, 0, MOST * sizeof *w);
    for (int t = 0; t < CONE_STEPS; t++) {
        h->at = t % EXAMPLES;
        double beta = target;
        if (released && t <= 2000) {
            double ease = t <= 200 ? 0.0 : pow((t - 200) / 1800.0, 1.8);
            beta = target - (target - 0.1) / pow(1.0 + 8.0 * ease, 3);
        }
        if (released && t == 0) {
            draw(h, 0, 1, m);
            norm = sqrt(d);
        } else if (!released) {
            norm = 0.0;
            for (int i = 0; i < MOST; i++) {
                norm += m[i] * m[i];
            }
            norm = sqrt(norm);
        }
        draw(h, t, 0, z);
        memset(along, 0, sizeof along);
        add(along, norm > 0.0 ? sin(theta) : 1.0, z);
        add(along, norm > 0.0 ? cos(theta) * sqrt(d) / norm : 0.0, m);
        double pg = projected[t] = spsa(h, ZO_BATCH_CURRENT, w, along, 1e-3, &unused);
        double in_m = beta * norm / sqrt(d) + (1 - beta) * pg * cos(theta), in_z = (1 - beta) * pg * sin(theta);
        norm = sqrt(d * (in_m * in_m + in_z * in_z));
        add(w, -lr * pg, along);
        for (int i = 0; i < MOST; i++) {
            m[i] = beta * m[i] + (1 - beta) * pg * along[i];
        }
    }
}

START_TEST(conmezo_goes_the_twins_way)
{
    static const struct { bool released; double theta, beta, lr; } of[] = {{false, 1.35, 0.9, 4e-3}, {false, 1.2, 0.9, 4e-3}, {false, 1.35, 0.8, 4e-3},
                                                                           {true, 1.35, 0.9, 4e-3},  {true, 1.2, 0.99, 4e-3}};
    enum { CASES = sizeof of / sizeof *of };
    static double w[CASES][MOST], projected[CONE_STEPS];
    hills h;
    hills_open(&h);
    for (int k = 0; k < CASES; k++) {
        cone_twin(&h, of[k].released, of[k].theta, of[k].beta, of[k].lr, w[k], projected);
        char json[200];
        snprintf(json, sizeof json, "{\"mode\": \"%s\", \"theta\": %.17g, \"beta\": %.17g}", of[k].released ? "released" : "plain", of[k].theta, of[k].beta);
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        ck_assert_int_eq(o->o.size, SIZE);
        running r = running_new("conmezo", json, &o->o);
        for (int t = 0; t < CONE_STEPS; t++) {
            zo_step_report report;
            h.at = t % EXAMPLES;
            ck_assert_int_eq(running_step(&r, EXAMPLES, CONE_STEPS, of[k].lr, 1e-3, &report), ZO_OK);
            ck_assert_msg(fabs(report.projected - projected[t]) < 1e-6, "case %d, step %d: projected %.12g, expected %.12g", k, t, report.projected, projected[t]);
        }
        ck_assert_msg(apart(&h, w[k], o->w) < 1e-8, "case %d: weights %g apart", k, apart(&h, w[k], o->w));
        for (int other = 0; other < k; other++) {
            ck_assert_msg(apart(&h, w[k], w[other]) > 1e-5, "cases %d and %d are one run", other, k);
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* HiZOO's released rule, from its formula, with losses at w + eps z / sqrt(H), w - eps z / sqrt(H) and w. */
START_TEST(hizoo_goes_the_twins_way)
{
    static const struct { double smooth, lr, eps; } of[] = {{0.0, 0.03, 1e-2}, {0.01, 0.03, 1e-2}, {0.05, 0.03, 1e-2}, {0.05, 0.02, 1e-2}, {0.05, 0.03, 0.3}};
    enum { CASES = sizeof of / sizeof *of };
    double w[CASES][MOST] = {{0}};
    hills h;
    hills_open(&h);
    for (int k = 0; k < CASES; k++) {
        double curvatures[MOST], z[MOST], along[MOST], far = 0.0;
        const double a = (double)(float)of[k].smooth;
        char json[60];
        snprintf(json, sizeof json, "{\"smooth\": %.17g}", a);
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new("hizoo", json, &o->o);
        for (int i = 0; i < MOST; i++) {
            curvatures[i] = 1.0;
        }
        for (int t = 0; t < STEPS; t++) {
            zo_step_report report;
            h.at = t % EXAMPLES;
            draw(&h, t, 0, z);
            for (int i = 0; i < MOST; i++) {
                along[i] = z[i] / sqrt(curvatures[i]);
            }
            double at = hills_loss(&h, ZO_BATCH_CURRENT, w[k]), mean, pg = spsa(&h, ZO_BATCH_CURRENT, w[k], along, of[k].eps, &mean);
            double second = fabs(2.0 * mean - 2.0 * at) / (2.0 * of[k].eps * of[k].eps);
            for (int i = 0; i < MOST; i++) {
                curvatures[i] = (1.0 - a) * curvatures[i] + a * second * curvatures[i] * z[i] * z[i];
                w[k][i] -= of[k].lr * pg * z[i] / sqrt(curvatures[i]);
            }
            uint64_t probes = o->probes;
            ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, of[k].lr, of[k].eps, &report), ZO_OK);
            ck_assert_uint_eq(o->probes - probes, 3);
            ck_assert_double_eq_tol(report.loss, at, 1e-9);
            ck_assert_double_eq_tol(report.projected, pg, 1e-7);
        }
        for (int i = 0; i < SIZE; i++) {
            far = fmax(far, fabs(o->set[0][h.place[i]] - curvatures[h.place[i]]) / curvatures[h.place[i]]);
        }
        ck_assert_msg(far < 1e-9 && apart(&h, w[k], o->w) < 1e-9, "case %d: weights %g apart, curvatures %g", k, apart(&h, w[k], o->w), far);
        for (int other = 0; other < k; other++) {
            ck_assert_msg(apart(&h, w[k], w[other]) > 1e-3, "cases %d and %d are one run", other, k);
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* Adam as in its paper (arXiv 1412.6980, algorithm 1) on pg z, and a decoupled decay of the matrix. */
START_TEST(mezo_adam_goes_the_twins_way)
{
    static const struct { double beta1, beta2, eps, decay; } of[] = {{0.9, 0.99, 1e-8, 0.0}, {0.8, 0.99, 1e-8, 0.0}, {0.9, 0.95, 1e-8, 0.0},
                                                                     {0.9, 0.99, 0.1, 0.0},  {0.9, 0.99, 1e-8, 0.3}};
    enum { CASES = sizeof of / sizeof *of };
    double w[CASES][MOST] = {{0}};
    hills h;
    hills_open(&h);
    for (int k = 0; k < CASES; k++) {
        const double b1 = (double)(float)of[k].beta1, b2 = (double)(float)of[k].beta2, lr = (double)(float)0.02;
        double m[MOST] = {0}, v[MOST] = {0}, z[MOST], unused;
        char json[200];
        snprintf(json, sizeof json, "{\"beta1\": %g, \"beta2\": %g, \"adam_eps\": %g, \"weight_decay\": %g}", of[k].beta1, of[k].beta2, of[k].eps, of[k].decay);
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new("mezo-adam", json, &o->o);
        for (int t = 0; t < STEPS; t++) {
            zo_step_report report;
            h.at = t % EXAMPLES;
            draw(&h, t, 0, z);
            double pg = spsa(&h, ZO_BATCH_CURRENT, w[k], z, 1e-3, &unused);
            for (int i = 0; i < SIZE; i++) {
                int64_t at = h.place[i];
                m[at] = b1 * m[at] + (1 - b1) * pg * z[at];
                v[at] = b2 * v[at] + (1 - b2) * pg * z[at] * pg * z[at];
                w[k][at] *= i < ROWS * COLS ? 1 - lr * of[k].decay : 1.0;
                w[k][at] -= lr * (m[at] / (1 - pow(b1, t + 1))) / (sqrt(v[at] / (1 - pow(b2, t + 1))) + of[k].eps);
            }
            ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, 0.02, 1e-3, &report), ZO_OK);
            ck_assert_double_eq_tol(report.projected, pg, 1e-4);
        }
        ck_assert_msg(apart(&h, w[k], o->w) < 2e-6, "case %d: weights %g apart", k, apart(&h, w[k], o->w)); /* corrections are f32 */
        for (int other = 0; other < k; other++) {
            ck_assert_msg(apart(&h, w[k], w[other]) > 1e-4, "cases %d and %d are one run", other, k);
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* ---- MeZO's family: momentum, signs, the best of three, kernels, a normalised step ------------------------------------------- */

/* An estimator beside a twin: w are the twin's weights. */
typedef struct beside { hills *h; objective64 *o; running r; zo_step_report report; double w[MOST], lr, eps; } beside;

static beside beside_new(hills *h, const char *name, const char *json, double lr)
{
    beside b = {.h = h, .o = objective64_new(&h->layout, SEED, h, hills_loss, NULL), .lr = lr, .eps = 1e-3};
    b.r = running_new(name, json, &b.o->o);
    return b;
}

/* The estimator's step, after the twin's; both are at the same weights to `most`. */
static void beside_step(beside *b, int t, double projected, double most)
{
    ck_assert_int_eq(running_step(&b->r, EXAMPLES, STEPS, b->lr, b->eps, &b->report), ZO_OK);
    ck_assert_msg(fabs(b->report.projected - projected) < 1e-7, "%s, step %d: projected %.12g, expected %.12g", b->r.e->name, t, b->report.projected, projected);
    ck_assert_msg(apart(b->h, b->w, b->o->w) < most, "%s, step %d: weights %g apart", b->r.e->name, t, apart(b->h, b->w, b->o->w));
}

/* It must have gone somewhere. */
static void beside_free(beside *b)
{
    double start[MOST] = {0};
    ck_assert_msg(apart(b->h, b->w, start) > 0.05, "%s went %g far", b->r.e->name, apart(b->h, b->w, start));
    running_free(&b->r);
    objective64_free(b->o);
}

/* torch.optim.SGD: buf = momentum buf + g; w -= lr buf. */
START_TEST(mezo_m_goes_the_twins_way)
{
    static const double betas[] = {0.9, 0.5, 0.0};
    hills h;
    hills_open(&h);
    for (int k = 0; k < 3; k++) {
        char json[60];
        double m[MOST] = {0}, z[MOST], unused;
        snprintf(json, sizeof json, "{\"beta\": %g}", betas[k]);
        beside b = beside_new(&h, "mezo-m", json, 0.01);
        for (int t = 0; t < STEPS; t++) {
            h.at = t % EXAMPLES;
            draw(&h, t, 0, z);
            double pg = spsa(&h, ZO_BATCH_CURRENT, b.w, z, b.eps, &unused);
            for (int i = 0; i < MOST; i++) {
                m[i] = betas[k] * m[i] + pg * z[i];
            }
            add(b.w, -b.lr, m);
            beside_step(&b, t, pg, 1e-10);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

START_TEST(zo_sign_goes_the_twins_way)
{
    static const struct { bool element; int n; } of[] = {{false, 1}, {false, 3}, {true, 1}, {true, 3}};
    hills h;
    hills_open(&h);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char json[80];
        snprintf(json, sizeof json, "{\"reading\": \"%s\", \"queries\": %d}", of[k].element ? "element" : "scalar", of[k].n);
        beside b = beside_new(&h, "zo-sign", json, 0x1p-6); /* a rule has its lr in f32 */
        for (int t = 0; t < STEPS; t++) {
            double z[3][MOST], pg[3], g[MOST] = {0}, mean = 0.0, unused;
            h.at = t % EXAMPLES;
            for (int j = 0; j < of[k].n; j++) {
                draw(&h, t, j, z[j]);
                pg[j] = spsa(&h, ZO_BATCH_CURRENT, b.w, z[j], b.eps, &unused);
                mean += pg[j] / of[k].n;
                add(g, pg[j] / of[k].n, z[j]);
            }
            for (int j = 0; j < of[k].n && !of[k].element; j++) {
                add(b.w, pg[j] > 0 ? -b.lr / of[k].n : b.lr / of[k].n, z[j]);
            }
            for (int i = 0; i < MOST && of[k].element; i++) {
                b.w[i] -= g[i] > 0 ? b.lr : g[i] < 0 ? -b.lr : 0.0;
            }
            beside_step(&b, t, mean, 1e-10);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* Of the step, the step back and none the one whose loss is least. A large lr, so that each of the three is taken. */
START_TEST(zo_cons_goes_the_twins_way)
{
    hills h;
    hills_open(&h);
    int taken[3] = {0};
    beside b = beside_new(&h, "zo-cons", NULL, 0.08);
    for (int t = 0; t < STEPS; t++) {
        double z[MOST], to[3][MOST], loss[3], unused;
        h.at = t % EXAMPLES;
        draw(&h, t, 0, z);
        double pg = spsa(&h, ZO_BATCH_CURRENT, b.w, z, b.eps, &unused);
        int best = 0;
        for (int k = 0; k < 3; k++) {
            memcpy(to[k], b.w, sizeof b.w);
            add(to[k], k == 0 ? 0.0 : k == 1 ? -b.lr * pg : b.lr * pg, z);
            loss[k] = hills_loss(&h, ZO_BATCH_CURRENT, to[k]);
            best = loss[k] < loss[best] ? k : best;
        }
        taken[best]++;
        memcpy(b.w, to[best], sizeof b.w);
        uint64_t probes = b.o->probes;
        beside_step(&b, t, pg, 1e-10);
        ck_assert_uint_eq(b.o->probes - probes, 5);
        ck_assert(b.report.paper_queries == 5.0 && fabs(b.report.loss - loss[0]) < 1e-10);
    }
    ck_assert_msg(taken[0] > 2 && taken[1] > 2, "none %d, forth %d, back %d", taken[0], taken[1], taken[2]);
    beside_free(&b);
    zo_layout_free(&h.layout);
}
END_TEST

/* On one side of a cubic MeZO's estimate is off by eps^2, and the kernel's is not: its two moments, by quadrature. */
static double kernel(double c, double r)
{
    return c * (75.0 / 4.0 * r - 105.0 / 4.0 * r * r * r);
}

START_TEST(kerzoo_goes_the_twins_way)
{
    double first = 0.0, third = 0.0;
    for (int k = 0; k < 20000; k++) {
        double r = (k + 0.5) / 10000.0 - 1.0;
        first += r * kernel(2.0, r) / 20000.0;
        third += r * r * r * kernel(2.0, r) / 20000.0;
    }
    ck_assert_double_eq_tol(first, 2.0, 1e-6);
    ck_assert_double_eq_tol(third, 0.0, 1e-6);
    static const struct { int n; double c; bool one; } of[] = {{1, 1.0, false}, {3, 1.0, false}, {3, 1.0, true}, {1, 0.5, false}};
    hills h;
    hills_open(&h);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char json[100];
        snprintf(json, sizeof json, "{\"queries\": %d, \"c\": %g, \"radius\": \"%s\"}", of[k].n, of[k].c, of[k].one ? "step" : "query");
        beside b = beside_new(&h, "kerzoo", json, 0.01);
        for (int t = 0; t < STEPS; t++) {
            double z[3][MOST], pg[3], mean = 0.0, unused;
            h.at = t % EXAMPLES;
            for (int j = 0; j < of[k].n; j++) {
                double r = 2.0 * zo_uniform((zo_stream){SEED, 0, (uint32_t)t, of[k].one ? 0 : (uint32_t)j, ZO_ROLE_RADIUS}, 0) - 1.0;
                draw(&h, t, j, z[j]);
                pg[j] = spsa(&h, ZO_BATCH_CURRENT, b.w, z[j], b.eps * r, &unused) * r * kernel(of[k].c, r); /* (L+ - L-) / 2 eps */
                mean += pg[j] / of[k].n;
            }
            for (int j = 0; j < of[k].n; j++) {
                add(b.w, -b.lr / of[k].n * pg[j], z[j]);
            }
            beside_step(&b, t, mean, 1e-9);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

START_TEST(meazo_goes_the_twins_way)
{
    static const struct { double beta, zeta; int steps; } of[] = {
        {0.99, 1e-8, STEPS}, {0.5, 1e-8, 1100} /* beyond the smallest beta^t */, {0.99, 2.0, STEPS}, {0.0, 0.0, STEPS}};
    hills h;
    hills_open(&h);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char json[100];
        double v = 0.0, z[MOST], unused;
        snprintf(json, sizeof json, "{\"beta\": %g, \"zeta\": %g}", of[k].beta, of[k].zeta);
        beside b = beside_new(&h, "meazo", json, 0.02);
        for (int t = 0; t < of[k].steps; t++) {
            h.at = t % EXAMPLES;
            draw(&h, t, 0, z);
            double pg = spsa(&h, ZO_BATCH_CURRENT, b.w, z, b.eps, &unused);
            v = of[k].beta * v + (1 - of[k].beta) * pg * pg;
            add(b.w, -b.lr * pg / (sqrt(v / (1 - pow(of[k].beta, t + 1))) + of[k].zeta), z);
            beside_step(&b, t, pg, 1e-10);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

START_TEST(zo_adamu_goes_the_twins_way)
{
    static const struct { double alpha, beta1, beta2; } of[] = {{0.5, 0.9, 0.9}, {0.8, 0.9, 0.9}, {0.5, 0.6, 0.9}, {0.5, 0.9, 0.5}, {1.0, 0.5, 0.5}};
    enum { CASES = sizeof of / sizeof *of };
    double ends[CASES][MOST];
    hills h;
    hills_open(&h);
    for (int k = 0; k < CASES; k++) {
        const double b1 = of[k].beta1, b2 = of[k].beta2;
        char json[120];
        double m[MOST] = {0}, u1[MOST], u2[MOST], unused;
        snprintf(json, sizeof json, "{\"alpha\": %g, \"beta1\": %g, \"beta2\": %g}", of[k].alpha, b1, b2);
        beside b = beside_new(&h, "zo-adamu", json, 0.02);
        for (int t = 0; t < STEPS; t++) {
            double z1[MOST], z2[MOST];
            h.at = t % EXAMPLES;
            draw(&h, t, 0, u1);
            draw(&h, t, 1, u2);
            for (int i = 0; i < MOST; i++) {
                z1[i] = sqrt(of[k].alpha) * u1[i];
                z2[i] = m[i] + sqrt(1 - of[k].alpha) * u2[i];
                m[i] = b1 * z1[i] + (1 - b1) * z2[i];
            }
            double pg = spsa(&h, ZO_BATCH_CURRENT, b.w, m, b.eps, &unused);
            for (int i = 0; i < SIZE; i++) {
                int64_t at = h.place[i];
                b.w[at] -= b.lr * pg * m[at] / sqrt(b2 * z1[at] * z1[at] + (1 - b2) * z2[at] * z2[at] + 1e-8);
            }
            ck_assert_int_eq(running_step(&b.r, EXAMPLES, STEPS, b.lr, b.eps, &b.report), ZO_OK);
            ck_assert_double_eq_tol(b.report.projected, pg, 1e-4);
            ck_assert_msg(apart(&h, b.w, b.o->w) < 2e-6, "case %d, step %d: weights %g apart", k, t, apart(&h, b.w, b.o->w)); /* args are f32 */
        }
        memcpy(ends[k], b.w, sizeof b.w);
        for (int other = 0; other < k; other++) {
            ck_assert_msg(apart(&h, ends[k], ends[other]) > 1e-4, "cases %d and %d are one run", k, other);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* The moments of the last h estimates, which stand written out. */
START_TEST(adamezo_goes_the_twins_way)
{
    static const struct { int h; double beta1, beta2; bool correct; } of[] = {{10, 0.7, 0.9, false}, {3, 0.7, 0.9, false}, {10, 0.5, 0.9, false}, {10, 0.7, 0.8, false},
                                                                             {10, 0.7, 0.9, true}};
    enum { CASES = sizeof of / sizeof *of };
    static double ends[CASES][MOST], g[STEPS][MOST];
    hills h;
    hills_open(&h);
    for (int k = 0; k < CASES; k++) {
        const double b1 = of[k].beta1, b2 = of[k].beta2;
        char json[160];
        double z[MOST], unused;
        snprintf(json, sizeof json, "{\"history\": %d, \"beta1\": %g, \"beta2\": %g, \"bias_correction\": %s}", of[k].h, b1, b2, of[k].correct ? "true" : "false");
        beside b = beside_new(&h, "adamezo", json, 0.01);
        for (int t = 0; t < STEPS; t++) {
            h.at = t % EXAMPLES;
            draw(&h, t, 0, z);
            double pg = spsa(&h, ZO_BATCH_CURRENT, b.w, z, b.eps, &unused);
            memset(g[t], 0, sizeof g[t]);
            add(g[t], pg, z);
            int n = t + 1 < of[k].h ? t + 1 : of[k].h;
            for (int i = 0; i < SIZE; i++) {
                double m = 0.0, v = 0.0;
                for (int s = 0; s < n; s++) { /* s steps ago */
                    double x = g[t - s][h.place[i]];
                    m += (1 - b1) * pow(b1, s) * x;
                    v += (1 - b2) * pow(b2, s) * x * x;
                }
                m /= of[k].correct ? 1 - pow(b1, n) : 1.0;
                v /= of[k].correct ? 1 - pow(b2, n) : 1.0;
                b.w[h.place[i]] -= b.lr * m / sqrt(v + 1e-8);
            }
            ck_assert_int_eq(running_step(&b.r, EXAMPLES, STEPS, b.lr, b.eps, &b.report), ZO_OK);
            ck_assert_double_eq_tol(b.report.projected, pg, 1e-4);
            ck_assert_msg(apart(&h, b.w, b.o->w) < 2e-6, "case %d, step %d: weights %g apart", k, t, apart(&h, b.w, b.o->w)); /* args are f32 */
        }
        memcpy(ends[k], b.w, sizeof b.w);
        for (int other = 0; other < k; other++) {
            ck_assert_msg(apart(&h, ends[k], ends[other]) > 1e-4, "cases %d and %d are one run", k, other);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* ---- block by block, and many probes a step ---------------------------------------------------------------------------------- */

/* Two blocks: the matrix, and what is outside. z of one of them. */
static void draw_part(const hills *h, int64_t step, int part, double *z)
{
    draw(h, step, 0, z);
    for (int i = 0; i < SIZE; i++) {
        z[h->place[i]] = (i >= ROWS * COLS) == (part == 1) ? z[h->place[i]] : 0.0;
    }
}

START_TEST(mezo_bcd_goes_the_twins_way)
{
    static const char *const order_of[] = {"all", "cyclic", "shuffled"};
    static const struct { int order; bool end, freeze; } of[] = {{0, false, false}, {0, true, false}, {0, false, true},
                                                                 {1, false, false}, {2, false, false}, {1, true, true}};
    enum { CASES = sizeof of / sizeof *of };
    double ends[CASES][MOST];
    hills h;
    hills_open(&h);
    for (int k = 0; k < CASES; k++) {
        char json[120];
        int n = of[k].freeze ? 1 : 2;
        snprintf(json, sizeof json, "{\"order\": \"%s\", \"update\": \"%s\", \"outside\": \"%s\"}", order_of[of[k].order], of[k].end ? "end" : "each",
                 of[k].freeze ? "freeze" : "block");
        beside b = beside_new(&h, "mezo-bcd", json, 0.03);
        for (int t = 0; t < STEPS; t++) {
            double z[2][MOST], pg[2], mean = 0.0, unused;
            int32_t order[2] = {0, 1};
            h.at = t % EXAMPLES;
            if (of[k].order == 2) {
                zo_shuffle((zo_stream){.seed = SEED, .step = (uint32_t)(t / n), .role = ZO_ROLE_MASK}, order, n);
            }
            int first = of[k].order == 0 ? 0 : order[t % n], last = of[k].order == 0 ? n - 1 : first;
            for (int part = first; part <= last; part++) {
                draw_part(&h, t, part, z[part]);
                pg[part] = spsa(&h, ZO_BATCH_CURRENT, b.w, z[part], b.eps, &unused);
                mean += pg[part] / (last - first + 1);
                add(b.w, of[k].end ? 0.0 : -b.lr * pg[part], z[part]);
            }
            for (int part = first; part <= last && of[k].end; part++) {
                add(b.w, -b.lr * pg[part], z[part]);
            }
            uint64_t probes = b.o->probes;
            beside_step(&b, t, mean, 1e-10);
            ck_assert_uint_eq(b.o->probes - probes, 2 * (uint64_t)(last - first + 1));
            ck_assert_double_eq(b.report.paper_queries, 2.0 * (last - first + 1));
        }
        memcpy(ends[k], b.w, sizeof b.w);
        for (int other = 0; other < k && k < 5; other++) { /* one block is one block, however it is asked for */
            ck_assert_msg(apart(&h, ends[k], ends[other]) > 1e-4, "cases %d and %d are one run", k, other);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* Signs, element by element. */
static void draw_signs(const hills *h, int64_t step, int query, double *z)
{
    float part[ROWS * COLS];
    memset(z, 0, MOST * sizeof *z);
    for (int t = 0; t < 2; t++) {
        int n = t == 0 ? ROWS * COLS : EXTRA;
        zo_signs((zo_stream){SEED, h->layout.param[t].id, (uint32_t)step, (uint32_t)query, ZO_ROLE_Z}, 0, n, part);
        for (int i = 0; i < n; i++) {
            z[h->layout.param[t].offset + i] = part[i];
        }
    }
}

START_TEST(fzoo_goes_the_twins_way)
{
    static const struct { int n; bool less, over; } of[] = {{8, false, false}, {8, true, false}, {3, false, false}, {3, true, true}};
    hills h;
    hills_open(&h);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char json[120];
        int n = of[k].n;
        snprintf(json, sizeof json, "{\"queries\": %d, \"divisor\": \"%s\", \"over_eps\": %s}", n, of[k].less ? "n-1" : "n",
                 of[k].over ? "true" : "false");
        beside b = beside_new(&h, "fzoo", json, of[k].over ? 3e-5 : 0.03);
        for (int t = 0; t < STEPS; t++) {
            double u[8][MOST], l[8], g[MOST] = {0}, sum = 0.0, squares = 0.0;
            h.at = t % EXAMPLES;
            double l0 = hills_loss(&h, ZO_BATCH_CURRENT, b.w);
            for (int i = 0; i < n; i++) {
                double at[MOST];
                draw_signs(&h, t, i, u[i]);
                memcpy(at, b.w, sizeof at);
                add(at, b.eps, u[i]);
                l[i] = hills_loss(&h, ZO_BATCH_CURRENT, at) - l0; /* the deviation is the same without l0, and rounds less */
                sum += l[i];
                add(g, l[i] / n / (of[k].over ? b.eps : 1.0), u[i]);
            }
            for (int i = 0; i < n; i++) {
                squares += (l[i] - sum / n) * (l[i] - sum / n);
            }
            add(b.w, -b.lr / sqrt(squares / (of[k].less ? n - 1 : n)), g);
            uint64_t probes = b.o->probes;
            beside_step(&b, t, sum / n / b.eps, 1e-8);
            ck_assert_uint_eq(b.o->probes - probes, (uint64_t)n + 1);
            ck_assert(fabs(b.report.loss - l0) < 1e-9 && b.report.paper_queries == n + 1);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* The filter with whole matrices: K = S d / (d'S d + e^2 |d|^2), S <- S - K d'S. A sample beyond the k-th stands along S's largest eigenvector. */
START_TEST(bszo_goes_the_twins_way)
{
    enum { K = 3 };
    static const struct { int k, samples; double sigma, alpha; } of[] = {{2, 3, 0.0, 0.1}, {3, 3, 1.0, 0.1}, {3, 5, 1.0, 0.5}, {3, 1, 2.0, 0.0}};
    hills h;
    hills_open(&h);
    for (size_t c = 0; c < sizeof of / sizeof *of; c++) {
        char json[120];
        int k = of[c].k, samples = of[c].samples > k ? of[c].samples : k;
        double sigma = of[c].sigma > 0 ? of[c].sigma : sqrt(SIZE / 1e6), noise = sigma * sigma;
        snprintf(json, sizeof json, "{\"k\": %d, \"samples\": %d, \"sigma\": %g, \"alpha\": %g}", k, of[c].samples, of[c].sigma, of[c].alpha);
        beside b = beside_new(&h, "bszo", json, 0.04);
        for (int t = 0; t < STEPS; t++) {
            double z[K][MOST], y[K], mu[K] = {0}, S[K][K] = {{0}}, mean = 0.0;
            h.at = t % EXAMPLES;
            double here = hills_loss(&h, ZO_BATCH_CURRENT, b.w);
            for (int j = 0; j < k; j++) {
                double at[MOST];
                draw(&h, t, j, z[j]);
                memcpy(at, b.w, sizeof at);
                add(at, b.eps, z[j]);
                y[j] = (hills_loss(&h, ZO_BATCH_CURRENT, at) - here) / b.eps;
                mean += y[j] / k;
                S[j][j] = sigma * sigma;
            }
            for (int i = 0; i < samples; i++) {
                double d[K] = {0}, Sd[K] = {0}, dSd = 0.0, residual = 0.0;
                int axis = i < k ? i : 0;
                for (int j = 0; j < k && i >= k; j++) {
                    axis = S[j][j] > S[axis][axis] ? j : axis;
                }
                d[axis] = 1.0;
                for (int a = 0; a < k; a++) {
                    for (int e = 0; e < k; e++) {
                        Sd[a] += S[a][e] * d[e];
                        ck_assert(a == e || S[a][e] == 0.0); /* so an axis is an eigenvector */
                    }
                    dSd += d[a] * Sd[a];
                    residual += d[a] * (y[a] - mu[a]);
                }
                for (int a = 0; a < k; a++) {
                    mu[a] += Sd[a] / (dSd + noise) * residual;
                    for (int e = 0; e < k; e++) {
                        S[a][e] -= Sd[a] * Sd[e] / (dSd + noise);
                    }
                }
                noise = (1 - of[c].alpha) * noise + of[c].alpha * residual * residual;
            }
            for (int j = 0; j < k; j++) {
                add(b.w, -b.lr * mu[j], z[j]);
            }
            uint64_t probes = b.o->probes;
            beside_step(&b, t, mean, 1e-9);
            ck_assert_uint_eq(b.o->probes - probes, (uint64_t)k + 1);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

START_TEST(zo_svrg_goes_the_twins_way)
{
    static const struct { int q, n; double max_norm; bool shared; } of[] = {{2, 1, 0.0, false}, {3, 1, 0.0, true}, {3, 2, 0.0, false},
                                                                            {2, 3, 1.0, true}};
    hills h;
    hills_open(&h);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char json[160];
        int n = of[k].n, clipped = 0;
        const double eta2 = 0.01;
        double anchor[MOST] = {0}, g[MOST] = {0};
        snprintf(json, sizeof json, "{\"q\": %d, \"queries\": %d, \"eta2\": %g, \"max_norm\": %g, \"z\": \"%s\"}", of[k].q, n, eta2, of[k].max_norm,
                 of[k].shared ? "shared" : "fresh");
        beside b = beside_new(&h, "zo-svrg", json, 0.03);
        for (int t = 0; t < STEPS; t++) {
            double d[MOST] = {0}, z[MOST], mean = 0.0, loss = 0.0, pair, norm = 0.0, unused;
            bool full = t % of[k].q == 0;
            h.at = (3 * t + 1) % EXAMPLES;
            for (int j = 0; j < n; j++) {
                draw(&h, t, j, z);
                double pg = spsa(&h, full ? ZO_BATCH_FULL : ZO_BATCH_CURRENT, b.w, z, b.eps, &pair);
                add(d, pg / n, z);
                mean += pg / n;
                loss += pair / n;
                draw(&h, t, of[k].shared ? j : n + j, z);
                add(d, full ? 0.0 : -spsa(&h, ZO_BATCH_CURRENT, anchor, z, b.eps, &unused) / n, z);
            }
            if (full) {
                memcpy(anchor, b.w, sizeof anchor);
                memcpy(g, d, sizeof g);
                for (int i = 0; i < MOST; i++) {
                    norm += g[i] * g[i];
                }
                bool clips = of[k].max_norm > 0 && sqrt(norm) > of[k].max_norm;
                clipped += clips;
                add(b.w, clips ? -b.lr * of[k].max_norm / sqrt(norm) : -b.lr, g);
            } else {
                add(b.w, -eta2, d);
                add(b.w, -eta2, g);
            }
            uint64_t all = b.o->full_probes, some = b.o->probes;
            beside_step(&b, t, mean, 1e-10);
            ck_assert(b.report.full_batch == full && fabs(b.report.loss - loss) < 1e-10 && b.report.lr == (full ? b.lr : eta2));
            ck_assert(b.o->full_probes - all == (full ? 2 * (uint64_t)n : 0) && b.o->probes - some == (full ? 0 : 4 * (uint64_t)n));
        }
        ck_assert(of[k].max_norm == 0.0 ? clipped == 0 : clipped > 1);
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* ---- LOZO ----------------------------------------------------------------------------------------------------------------- */

/* z of a step: U V^T on the matrix, a Gaussian on the bias. */
static void draw_lowrank(const hills *h, int64_t step, int query, int64_t period, int rank, double *z)
{
    float u[ROWS * 4], v[COLS * 4];
    draw(h, step, query, z);
    zo_normals_scalar((zo_stream){SEED, zo_param_id("w/U"), (uint32_t)step, (uint32_t)query, ZO_ROLE_Z}, 0, ROWS * rank, u);
    zo_normals_scalar((zo_stream){SEED, zo_param_id("w/V"), (uint32_t)(step / period), 0, ZO_ROLE_Z}, 0, COLS * rank, v);
    for (int i = 0; i < ROWS * COLS; i++) {
        z[i] = 0.0;
        for (int s = 0; s < rank; s++) {
            z[i] += (double)u[i / COLS * rank + s] * v[i % COLS * rank + s];
        }
    }
}

static double cosine(const double *a, const double *b)
{
    double ab = 0.0, aa = 0.0, bb = 0.0;
    for (int i = 0; i < MOST; i++) {
        ab += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return ab / sqrt(aa * bb);
}

/* The steps as they were made: each is -lr pg times a direction, which is the probe's, but for the released code where V is drawn. */
START_TEST(lozo_goes_the_twins_way)
{
    const double lr = 4e-3, eps = 1e-3;
    enum { RANK = 2, PERIOD = 7 };
    double ends[2][MOST];
    hills h;
    hills_open(&h);
    for (int released = 0; released < 2; released++) {
        char json[100];
        double w[MOST] = {0}, before[MOST], mean = 0.0;
        int others = 0;
        snprintf(json, sizeof json, "{\"rank\": %d, \"period\": %d, \"mode\": \"%s\"}", RANK, PERIOD, released ? "released" : "plain");
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new("lozo", json, &o->o);
        for (int t = 0; t < 40 * PERIOD; t++) {
            zo_step_report report;
            double z[MOST], along[MOST], moved[MOST], unused;
            h.at = t % EXAMPLES;
            draw_lowrank(&h, t, 0, PERIOD, RANK, z);
            draw_lowrank(&h, t, released && t % PERIOD == 0, PERIOD, RANK, along);
            double pg = spsa(&h, ZO_BATCH_CURRENT, w, z, eps, &unused);
            add(w, -lr * pg, along);
            memset(before, 0, sizeof before);
            memcpy(before, o->w, (size_t)h.layout.size * sizeof *before);
            ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, lr, eps, &report), ZO_OK);
            ck_assert_double_eq_tol(report.projected, pg, 1e-7);
            memset(moved, 0, sizeof moved);
            for (int i = 0; i < SIZE; i++) {
                moved[h.place[i]] = (o->w[h.place[i]] - before[h.place[i]]) / (-lr * report.projected);
            }
            double angle = cosine(moved, z);
            if (released && t % PERIOD == 0) {
                ck_assert(fabs(angle) < 0.95);
                mean += angle;
                others++;
            } else {
                ck_assert_double_eq_tol(angle, 1.0, 1e-9);
            }
        }
        ck_assert_msg(apart(&h, w, o->w) < 1e-9, "released %d: weights %g apart", released, apart(&h, w, o->w));
        ck_assert_int_eq(others, released ? 40 : 0);
        /* a cosine of independent directions has mean 0, and in some fifteen numbers a deviation of a quarter or so: a mean of 40 one of 0.04 */
        ck_assert_msg(!released || fabs(mean / others) < 0.2, "the cosine of probe and update is %g on average", mean / others);
        printf("measured: lozo released: cosine of probe and update where V is drawn: %.3f on average\n", released ? mean / others : 1.0);
        memcpy(ends[released], w, sizeof w);
        running_free(&r);
        objective64_free(o);
    }
    ck_assert(apart(&h, ends[0], ends[1]) > 1e-3);
    zo_layout_free(&h.layout);
}
END_TEST

/* N and what has no factors, written out: N V^T is formed for each step, and N goes over to a new V by the least-squares problem's normal equations
 * with V_new^T V_new taken for cols I. */
START_TEST(lozo_m_goes_the_twins_way)
{
    const double lr = 4e-3, eps = 1e-3;
    static const struct { int rank, period; double beta; } of[] = {{2, 7, 0.9}, {1, 1, 0.9}, {3, 200, 0.5}};
    double ends[3][MOST];
    hills h;
    hills_open(&h);
    for (int k = 0; k < 3; k++) {
        int rank = of[k].rank, period = of[k].period;
        char json[100];
        double w[MOST] = {0}, n[ROWS * 4] = {0}, m[EXTRA] = {0};
        snprintf(json, sizeof json, "{\"rank\": %d, \"period\": %d, \"beta1\": %g}", rank, period, of[k].beta);
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new("lozo-m", json, &o->o);
        for (int t = 0; t < 150; t++) {
            zo_step_report report;
            double z[MOST], unused;
            float u[ROWS * 4], v[COLS * 4], old[COLS * 4];
            h.at = t % EXAMPLES;
            draw_lowrank(&h, t, 0, period, rank, z);
            double pg = spsa(&h, ZO_BATCH_CURRENT, w, z, eps, &unused);
            zo_normals_scalar((zo_stream){SEED, zo_param_id("w/U"), (uint32_t)t, 0, ZO_ROLE_Z}, 0, ROWS * rank, u);
            zo_normals_scalar((zo_stream){SEED, zo_param_id("w/V"), (uint32_t)(t / period), 0, ZO_ROLE_Z}, 0, COLS * rank, v);
            if (t > 0 && t % period == 0) {
                double full[ROWS * COLS] = {0};
                zo_normals_scalar((zo_stream){SEED, zo_param_id("w/V"), (uint32_t)(t / period - 1), 0, ZO_ROLE_Z}, 0, COLS * rank, old);
                for (int i = 0; i < ROWS * COLS * rank; i++) {
                    full[i / rank] += n[i / rank / COLS * rank + i % rank] * old[i / rank % COLS * rank + i % rank];
                }
                memset(n, 0, sizeof n);
                for (int i = 0; i < ROWS * COLS * rank; i++) {
                    n[i / rank / COLS * rank + i % rank] += full[i / rank] * v[i / rank % COLS * rank + i % rank] / COLS;
                }
            }
            for (int i = 0; i < ROWS * rank; i++) {
                n[i] = t == 0 ? pg * u[i] : of[k].beta * n[i] + (1 - of[k].beta) * pg * u[i];
            }
            for (int i = 0; i < EXTRA; i++) {
                double g = pg * z[h.layout.param[1].offset + i];
                m[i] = t == 0 ? g : of[k].beta * m[i] + (1 - of[k].beta) * g;
                w[h.layout.param[1].offset + i] -= lr * m[i];
            }
            for (int i = 0; i < ROWS * COLS * rank; i++) {
                w[i / rank] -= lr * n[i / rank / COLS * rank + i % rank] * v[i / rank % COLS * rank + i % rank];
            }
            ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, lr, eps, &report), ZO_OK);
            ck_assert_double_eq_tol(report.projected, pg, 1e-7);
        }
        ck_assert_msg(apart(&h, w, o->w) < 1e-9, "case %d: weights %g apart", k, apart(&h, w, o->w));
        memcpy(ends[k], w, sizeof w);
        for (int other = 0; other < k; other++) {
            ck_assert(apart(&h, ends[k], ends[other]) > 1e-3);
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* Q of the normal numbers of a period, by Gram and Schmidt's classical way: x (n, r), each column less its projections on those before it. */
static void draw_basis(const char *name, int64_t period, int n, int r, double *x)
{
    float draw[ROWS * COLS];
    zo_normals_scalar((zo_stream){SEED, zo_param_id(name), (uint32_t)period, 0, ZO_ROLE_Z}, 0, n * r, draw);
    for (int s = 0; s < r; s++) {
        double of[ROWS * COLS], norm = 0.0;
        for (int i = 0; i < n; i++) {
            of[i] = draw[i * r + s];
            for (int k = 0; k < s; k++) {
                double share = 0.0;
                for (int j = 0; j < n; j++) {
                    share += x[j * r + k] * draw[j * r + s];
                }
                of[i] -= share * x[i * r + k];
            }
        }
        for (int i = 0; i < n; i++) {
            norm += of[i] * of[i];
        }
        for (int i = 0; i < n; i++) {
            x[i * r + s] = of[i] / sqrt(norm);
        }
    }
}

/* The objective's factors are f32, so weights agree to 1e-6. */
START_TEST(subzo_goes_the_twins_way)
{
    const double lr = 5e-3, eps = 1e-3;
    static const struct { int rank, period; bool align; } of[] = {{2, 7, true}, {3, 50, true}, {2, 7, false}};
    double ends[3][MOST];
    hills h;
    hills_open(&h);
    for (int k = 0; k < 3; k++) {
        int r = of[k].rank;
        char json[100];
        double w[MOST] = {0}, u[ROWS * COLS], v[ROWS * COLS], mu = of[k].align ? sqrt(ROWS * COLS) / r : 1.0;
        snprintf(json, sizeof json, "{\"rank\": %d, \"period\": %d, \"align\": %s}", r, of[k].period, of[k].align ? "true" : "false");
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running run = running_new("subzo", json, &o->o);
        for (int t = 0; t < 150; t++) {
            zo_step_report report;
            double z[MOST], unused;
            float s[16];
            h.at = t % EXAMPLES;
            draw_basis("w/U", t / of[k].period, ROWS, r, u);
            draw_basis("w/V", t / of[k].period, COLS, r, v);
            zo_normals_scalar((zo_stream){SEED, zo_param_id("w/S"), (uint32_t)t, 0, ZO_ROLE_Z}, 0, r * r, s);
            draw(&h, t, 0, z);
            for (int i = 0; i < ROWS * COLS; i++) {
                z[i] = 0.0;
                for (int a = 0; a < r * r; a++) {
                    z[i] += mu * u[i / COLS * r + a / r] * s[a] * v[i % COLS * r + a % r];
                }
            }
            double pg = spsa(&h, ZO_BATCH_CURRENT, w, z, eps, &unused);
            add(w, -lr * pg, z);
            ck_assert_int_eq(running_step(&run, EXAMPLES, STEPS, lr, eps, &report), ZO_OK);
            ck_assert_double_eq_tol(report.projected, pg, 1e-4);
        }
        ck_assert_msg(apart(&h, w, o->w) < 1e-6, "case %d: weights %g apart", k, apart(&h, w, o->w));
        memcpy(ends[k], w, sizeof w);
        for (int other = 0; other < k; other++) {
            ck_assert(apart(&h, ends[k], ends[other]) > 1e-3);
        }
        running_free(&run);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* Members' losses, their z-scores, and the mean that they weigh. */
START_TEST(eggroll_goes_the_twins_way)
{
    static const struct { bool antithetic, raw; int pairs, rank; double lr; } of[] = {
        {true, false, 3, 1, 0.05}, {false, false, 3, 2, 0.05}, {true, true, 2, 1, 0.02}, {false, true, 2, 2, 0.02}};
    enum { MEMBERS = 6 };
    hills h;
    hills_open(&h);
    for (int k = 0; k < 4; k++) {
        int n = 2 * of[k].pairs;
        char json[120];
        snprintf(json, sizeof json, "{\"pairs\": %d, \"rank\": %d, \"antithetic\": %s, \"scores\": \"%s\"}", of[k].pairs, of[k].rank,
                 of[k].antithetic ? "true" : "false", of[k].raw ? "raw" : "z");
        beside b = beside_new(&h, "eggroll", json, of[k].lr);
        for (int t = 0; t < STEPS; t++) {
            double e[MEMBERS][MOST], loss[MEMBERS], mean = 0.0, square = 0.0, first;
            h.at = t % EXAMPLES;
            for (int i = 0; i < n; i++) {
                int j = of[k].antithetic ? i / 2 : i;
                float u[ROWS * 2], v[COLS * 2];
                double at[MOST];
                draw(&h, t, j, e[i]);
                zo_normals_scalar((zo_stream){SEED, zo_param_id("w/U"), (uint32_t)t, (uint32_t)j, ZO_ROLE_Z}, 0, ROWS * of[k].rank, u);
                zo_normals_scalar((zo_stream){SEED, zo_param_id("w/V"), (uint32_t)(t * n + j), 0, ZO_ROLE_Z}, 0, COLS * of[k].rank, v);
                for (int x = 0; x < ROWS * COLS; x++) {
                    e[i][x] = 0.0;
                    for (int s = 0; s < of[k].rank; s++) {
                        e[i][x] += (double)u[x / COLS * of[k].rank + s] * v[x % COLS * of[k].rank + s] / sqrt(of[k].rank);
                    }
                }
                for (int x = 0; x < MOST; x++) {
                    e[i][x] *= of[k].antithetic && i % 2 == 1 ? -1.0 : 1.0;
                }
                memcpy(at, b.w, sizeof at);
                add(at, b.eps, e[i]);
                loss[i] = hills_loss(&h, ZO_BATCH_CURRENT, at);
                mean += loss[i] / n;
            }
            first = of[k].antithetic ? (loss[0] - loss[1]) / (2 * b.eps) : (loss[0] - mean) / b.eps;
            for (int i = 0; i < n; i++) {
                square += (loss[i] - mean) * (loss[i] - mean);
            }
            for (int i = 0; i < n; i++) {
                add(b.w, b.lr / n * (mean - loss[i]) / (of[k].raw ? b.eps : sqrt(square / n)), e[i]);
            }
            beside_step(&b, t, first, 1e-8);
            ck_assert_double_eq_tol(b.report.loss, mean, 1e-10);
            ck_assert_double_eq(b.report.paper_queries, n);
        }
        beside_free(&b);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* ---- first order ---------------------------------------------------------------------------------------------------------- */

/* clip: 0, far above every norm, and below every norm; then also between them, so that some steps are clipped. */
START_TEST(clipping_as_torch_does)
{
    static const double clips[] = {0.0, 1e6, 0.25, 1.5};
    const double lr = 0.125, decay = 0.5, momentum = 0.75, beta1 = 0.5, beta2 = 0.75, eps = 0x1p-10;
    hills h;
    hills_open(&h);
    for (int adamw = 0; adamw < 2; adamw++) {
        double end[4][MOST];
        for (int c = 0; c < 4; c++) {
            char json[300];
            double w[MOST] = {0}, m[MOST] = {0}, v[MOST] = {0}, g[MOST] = {0};
            int clipped = 0;
            snprintf(json, sizeof json, "{\"clip\": %g, \"weight_decay\": %g, %s}", clips[c], decay,
                     adamw ? "\"beta1\": 0.5, \"beta2\": 0.75, \"adam_eps\": 0.0009765625" : "\"momentum\": 0.75");
            objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, hills_gradient);
            running r = running_new(adamw ? "fo-adamw" : "fo-sgd", json, &o->o);
            for (int t = 0; t < 12; t++) {
                zo_step_report report;
                h.at = t % EXAMPLES;
                double loss = hills_loss(&h, ZO_BATCH_CURRENT, w), squares = 0.0;
                hills_gradient(&h, ZO_BATCH_CURRENT, w, g);
                for (int i = 0; i < MOST; i++) {
                    squares += g[i] * g[i];
                }
                double factor = clips[c] > 0 ? fmin(1.0, clips[c] / (sqrt(squares) + 1e-6)) : 1.0; /* clip_grad_norm_ */
                clipped += factor < 1.0;
                for (int i = 0; i < MOST; i++) {
                    double x = factor * g[i], wd = i < h.layout.param[1].offset ? decay : 0.0; /* biases do not decay */
                    if (adamw) {
                        w[i] *= 1.0 - lr * wd;
                        m[i] = beta1 * m[i] + (1 - beta1) * x;
                        v[i] = beta2 * v[i] + (1 - beta2) * x * x;
                        /* the corrections are f32 too */
                        w[i] -= lr * (m[i] / (double)(float)(1 - pow(beta1, t + 1))) / (sqrt(v[i] / (double)(float)(1 - pow(beta2, t + 1))) + eps);
                    } else {
                        m[i] = momentum * m[i] + x + wd * w[i];
                        w[i] -= lr * m[i];
                    }
                }
                ck_assert_int_eq(running_step(&r, EXAMPLES, 12, lr, 0, &report), ZO_OK);
                ck_assert_double_eq_tol(report.loss, loss, 1e-10); /* at the weights before the update */
                ck_assert(isnan(report.projected));
                ck_assert_msg(apart(&h, w, o->w) < 1e-10, "adamw %d, clip %g, step %d: %g apart", adamw, clips[c], t, apart(&h, w, o->w));
            }
            ck_assert_msg(c < 2 ? clipped == 0 : c == 2 ? clipped == 12 : clipped > 0, "clip %g: %d steps clipped", clips[c], clipped);
            memcpy(end[c], w, sizeof w);
            running_free(&r);
            objective64_free(o);
        }
        ck_assert(apart(&h, end[0], end[1]) == 0 && apart(&h, end[0], end[2]) > 1e-4 && apart(&h, end[3], end[2]) > 1e-4);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* ---- MeZO, TeZO: the path of MeZO, and what both log ------------------------------------------------------------------------ */

START_TEST(mezo_goes_the_twins_way)
{
    const double lr = 0.03, eps = 1e-2, decay = 0.2;
    hills h;
    hills_open(&h);
    for (int n = 1; n <= 3; n += 2) {
        char json[100];
        double w[MOST] = {0};
        snprintf(json, sizeof json, "{\"queries\": %d, \"weight_decay\": %g}", n, decay);
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new("mezo", json, &o->o);
        for (int t = 0; t < STEPS; t++) {
            zo_step_report report;
            double z[MOST], pg[3], loss = 0.0, projected = 0.0, unused;
            h.at = t % EXAMPLES;
            for (int j = 0; j < n; j++) {
                double plus[MOST];
                draw(&h, t, j, z);
                memcpy(plus, w, sizeof plus);
                add(plus, eps, z);
                loss += hills_loss(&h, ZO_BATCH_CURRENT, plus) / n; /* what the released code logs: L(w + eps z) */
                pg[j] = spsa(&h, ZO_BATCH_CURRENT, w, z, eps, &unused);
                projected += pg[j] / n;
            }
            for (int i = 0; i < ROWS * COLS; i++) {
                w[i] *= 1.0 - lr * decay;
            }
            for (int j = 0; j < n; j++) {
                draw(&h, t, j, z);
                add(w, -lr / n * pg[j], z);
            }
            ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, lr, eps, &report), ZO_OK);
            ck_assert_double_eq_tol(report.loss, loss, 1e-10);
            ck_assert_double_eq_tol(report.projected, projected, 1e-8);
            ck_assert_double_eq(report.paper_queries, 2 * n);
            ck_assert_msg(apart(&h, w, o->w) < 1e-10, "%d queries, step %d: %g apart", n, t, apart(&h, w, o->w));
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* MeZO's other estimates, and queries that grow: the weights, what is forwarded and what is counted. */
START_TEST(mezo_estimates_go_the_twins_way)
{
    enum { TWO, ONE, POINT };
    static const char *const name[] = {"two-sided", "one-sided", "one-point"};
    static const struct { int estimate, n; bool grows; double lr; } of[] = {
        {ONE, 1, false, 0.02}, {ONE, 3, false, 0.02}, {POINT, 1, false, 1e-4}, {POINT, 2, false, 1e-4}, {TWO, 5, true, 0.02}, {ONE, 4, true, 0.02}};
    hills h;
    hills_open(&h);
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        char json[120];
        double before[5] = {0};
        int estimate = of[k].estimate;
        snprintf(json, sizeof json, "{\"estimate\": \"%s\", \"queries\": %d, \"growth\": \"%s\"}", name[estimate], of[k].n,
                 of[k].grows ? "linear" : "constant");
        beside b = beside_new(&h, "mezo", json, of[k].lr);
        for (int t = 0; t < STEPS; t++) {
            double z[5][MOST], pg[5], mean = 0.0, loss = 0.0;
            int n = !of[k].grows || t * of[k].n / STEPS < 1 ? (of[k].grows ? 1 : of[k].n) : t * of[k].n / STEPS;
            h.at = t % EXAMPLES;
            for (int j = 0; j < n; j++) {
                double plus[MOST], minus[MOST], up, down = hills_loss(&h, ZO_BATCH_CURRENT, b.w);
                memcpy(plus, b.w, sizeof plus);
                memcpy(minus, b.w, sizeof minus);
                draw(&h, t, j, z[j]);
                add(plus, b.eps, z[j]);
                add(minus, -b.eps, z[j]);
                up = hills_loss(&h, ZO_BATCH_CURRENT, plus);
                down = estimate == TWO ? hills_loss(&h, ZO_BATCH_CURRENT, minus) : estimate == POINT ? before[j] : down;
                pg[j] = estimate == POINT && t == 0 ? 0.0 : (up - down) / (estimate == TWO ? 2 * b.eps : b.eps);
                before[j] = up;
                loss += up / n;
                mean += pg[j] / n;
            }
            for (int j = 0; j < n; j++) {
                add(b.w, -b.lr / n * pg[j], z[j]);
            }
            uint64_t probes = b.o->probes;
            beside_step(&b, t, mean, 1e-10);
            int forwards = estimate == TWO ? 2 * n : estimate == ONE ? n + 1 : n;
            ck_assert_uint_eq(b.o->probes - probes, (uint64_t)forwards);
            ck_assert(b.report.paper_queries == forwards && fabs(b.report.loss - loss) < 1e-10);
        }
        beside_free(&b);
    }
    /* what cannot be: growth to an end that is not known; growth of queries that need a loss before */
    static const struct { const char *name, *json; int64_t steps; const char *says; } refused[] = {
        {"mezo", "{\"growth\": \"linear\"}", 0, "budget in \"steps\""},
        {"mezo", "{\"growth\": \"linear\"}", 1, NULL},
        {"mezo", "{\"growth\": \"linear\", \"estimate\": \"one-point\"}", 10, "\"one-point\""},
        {"mezo", "{\"estimate\": \"one-point\"}", 0, NULL},
        {"mezo-adam", "{\"history\": 5}", 10, "\"mode\": \"replay\""},
        {"mezo-adam", "{\"history\": 5, \"mode\": \"replay\"}", 0, NULL}};
    for (size_t k = 0; k < sizeof refused / sizeof *refused; k++) {
        cJSON *options = cJSON_Parse(refused[k].json);
        const zo_estimator *e = zo_estimator_find(refused[k].name);
        void *state = zo_alloc(ZO_HOST, ZO_TAG_OTHER, e->state_bytes);
        zo_err err = {0};
        ck_assert_int_eq(zo_opt_read(e->options, options, NULL, e->name, state, &err), ZO_OK);
        ck_assert_int_eq(e->check(state, refused[k].steps, &err), refused[k].says != NULL ? ZO_EINPUT : ZO_OK);
        ck_assert(refused[k].says == NULL || strstr(err.text, refused[k].says) != NULL);
        zo_free(state);
        cJSON_Delete(options);
    }
    zo_layout_free(&h.layout);
}
END_TEST

START_TEST(tezo_logs_the_loss_at_its_probe)
{
    static const char *const name[] = {"tezo", "tezo-m", "tezo-adam"};
    hills h;
    hills_open(&h);
    for (int k = 0; k < 3; k++) {
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new(name[k], "{\"rank\": 2}", &o->o);
        for (int t = 0; t < 8; t++) {
            zo_step_report report;
            double w[MOST] = {0}, z[MOST] = {0}, unused;
            float tau[2];
            h.at = t % EXAMPLES;
            for (int i = 0; i < SIZE; i++) {
                w[h.place[i]] = o->w[h.place[i]];
            }
            draw(&h, t, 0, z); /* of the biases; the matrix gets U diag(tau) V^T / sqrt(2) */
            zo_normals_scalar((zo_stream){SEED, h.layout.param[0].id, (uint32_t)t, 0, ZO_ROLE_TAU}, 0, 2, tau);
            for (int i = 0; i < ROWS * COLS; i++) {
                const float *u = o->u + i / COLS * 2, *v = o->f + i % COLS * 2;
                z[i] = ((double)u[0] * tau[0] * v[0] + (double)u[1] * tau[1] * v[1]) / sqrt(2.0);
            }
            double plus[MOST], projected = spsa(&h, ZO_BATCH_CURRENT, w, z, 1e-3, &unused);
            memcpy(plus, w, sizeof plus);
            add(plus, 1e-3, z);
            ck_assert_int_eq(running_step(&r, EXAMPLES, 8, 0.01, 1e-3, &report), ZO_OK);
            ck_assert_double_eq_tol(report.loss, hills_loss(&h, ZO_BATCH_CURRENT, plus), 1e-10);
            ck_assert_double_eq_tol(report.projected, projected, 1e-7);
            ck_assert(isnan(report.paper_queries));
            ck_assert(t == 0 || report.loss != loss_of(&h, h.at, w));
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

/* What TeZO does not factor has a rate of its own, which follows the run's schedule as lr does. */
START_TEST(own_rates_follow_the_schedule)
{
    hills h;
    hills_open(&h);
    for (int k = 0; k < 3; k++) { /* no schedule; a quarter of 0.04; a quarter of 0, which leaves lr nothing to say */
        double z[MOST];
        objective64 *o = objective64_new(&h.layout, SEED, &h, hills_loss, NULL);
        running r = running_new("tezo", "{\"rank\": 2, \"rest_lr\": 0.02}", &o->o);
        zo_step_context c = {.steps = STEPS, .lr = k == 2 ? 0.0 : 0.01, .eps = 1e-3, .scheduled = k > 0, .run_lr = k == 1 ? 0.04 : 0.0, .share = 0.25};
        zo_step_report report;
        zo_err err = {0};
        ck_assert_int_eq(r.e->step(r.state, &o->o, &c, &report, &err), ZO_OK);
        draw(&h, 0, 0, z);
        for (int i = ROWS * COLS; i < SIZE; i++) {
            ck_assert_double_eq_tol(o->w[h.place[i]], -(k == 0 ? 0.02 : 0.005) * report.projected * z[h.place[i]], 1e-12);
        }
        running_free(&r);
        objective64_free(o);
    }
    zo_layout_free(&h.layout);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trajectories");
    TCase *tests = tcase_create("trajectories");
    tcase_add_loop_test(tests, svrg_goes_the_twins_way, 0, 6);
    tcase_add_test(tests, conmezo_goes_the_twins_way);
    tcase_add_test(tests, hizoo_goes_the_twins_way);
    tcase_add_test(tests, mezo_adam_goes_the_twins_way);
    tcase_add_test(tests, mezo_m_goes_the_twins_way);
    tcase_add_test(tests, zo_sign_goes_the_twins_way);
    tcase_add_test(tests, zo_cons_goes_the_twins_way);
    tcase_add_test(tests, kerzoo_goes_the_twins_way);
    tcase_add_test(tests, meazo_goes_the_twins_way);
    tcase_add_test(tests, zo_adamu_goes_the_twins_way);
    tcase_add_test(tests, adamezo_goes_the_twins_way);
    tcase_add_test(tests, mezo_bcd_goes_the_twins_way);
    tcase_add_test(tests, fzoo_goes_the_twins_way);
    tcase_add_test(tests, bszo_goes_the_twins_way);
    tcase_add_test(tests, zo_svrg_goes_the_twins_way);
    tcase_add_test(tests, lozo_goes_the_twins_way);
    tcase_add_test(tests, lozo_m_goes_the_twins_way);
    tcase_add_test(tests, subzo_goes_the_twins_way);
    tcase_add_test(tests, eggroll_goes_the_twins_way);
    tcase_add_test(tests, clipping_as_torch_does);
    tcase_add_test(tests, mezo_goes_the_twins_way);
    tcase_add_test(tests, mezo_estimates_go_the_twins_way);
    tcase_add_test(tests, tezo_logs_the_loss_at_its_probe);
    tcase_add_test(tests, own_rates_follow_the_schedule);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
