/* test_engine.c: the engine on a small network through the CPU backend: the three realisations against each other and against the
 * same estimators on a float64 objective, what stays bit for bit, what is counted, what is kept in memory, and the rank rule. */
#include <check.h>
#include <cjson/cJSON.h>
#include <stdio.h>

#include "core/io.h"
#include "optimizers/engine/engine.h"
#include "optimizers/engine/moves.h"
#include "optimizers/spsa.h"
#include "tests/fold_side.h"
#include "tests/into_sink.h"
#include "tests/objective64.h"
#include "tests/oracles.h"
#include "tests/plugins.h"
#include "tests/suite.h"

/* logits = norm(gelu(E[id] W1^T + b1)) W2^T + b2, cross-entropy; an "example" is a token with a label. */
enum { VOCAB = 60, WIDTH = 20, HIDDEN = 33, CLASSES = 3, EXAMPLES = 24, BATCH = 6 };
enum { EMBED, W1, B1, NORM_W, NORM_B, W2, B2, PARAMS };

typedef struct net {
    zo_backend *be;
    zo_layout layout;
    zo_store *store;
    int32_t id[EXAMPLES], label[EXAMPLES];
    int64_t step;          /* chooses the current batch */
    bool nan;              /* the next loss is not a number */
    uint64_t probes, full_probes, gradients; /* what was asked */
    int table[1];
    int32_t rows[EXAMPLES], nrows[1];
    const int32_t *row_list[1];
    float *x, *h, *y;
} net;

static void range_of(const net *m, zo_which which, int *first, int *n)
{
    *first = which == ZO_BATCH_FULL ? 0 : (int)(m->step * BATCH % EXAMPLES);
    *n = which == ZO_BATCH_FULL ? EXAMPLES : BATCH;
}

/* frozen (PARAMS): NULL = everything is trained. */
static void net_open_view(net *m, int threads, const bool *frozen)
{
    memset(m, 0, sizeof *m);
    zo_err err = {0};
    ck_assert_int_eq(zo_backend_open("cpu", threads, &m->be, &err), ZO_OK);
    zo_layout_add(&m->layout, "embed.token", ZO_PARAM_TABLE, VOCAB, WIDTH, -1, true);
    zo_layout_add(&m->layout, "w1", ZO_PARAM_MATRIX, HIDDEN, WIDTH, 0, true);
    zo_layout_add(&m->layout, "b1", ZO_PARAM_VECTOR, 1, HIDDEN, 0, false);
    zo_layout_add(&m->layout, "norm.weight", ZO_PARAM_VECTOR, 1, HIDDEN, 1, false);
    zo_layout_add(&m->layout, "norm.bias", ZO_PARAM_VECTOR, 1, HIDDEN, 1, false);
    zo_layout_add(&m->layout, "w2", ZO_PARAM_MATRIX, CLASSES, HIDDEN, -1, true);
    m->layout.param[W1].linear = ZO_LINEAR_V; /* both as if layers of a block */
    m->layout.param[W2].linear = ZO_LINEAR_K;
    zo_layout_add(&m->layout, "b2", ZO_PARAM_VECTOR, 1, CLASSES, -1, false);
    if (frozen != NULL) {
        zo_layout_freeze(&m->layout, frozen);
    }
    m->store = zo_store_new_as(m->be, &m->layout, ZO_STORAGE_F32, ZO_TAG_PARAMS);
    for (int t = 0; t < PARAMS; t++) {
        m->be->init_normal(m->be, m->store, t, 3, 0.3f);
    }
    for (int i = 0; i < HIDDEN; i++) {
        m->store->data[m->layout.param[NORM_W].offset + i] += 1.0f;
    }
    for (int e = 0; e < EXAMPLES; e++) {
        m->id[e] = (int32_t)zo_below((zo_stream){.seed = 8, .role = ZO_ROLE_DATA}, (uint64_t)e, VOCAB);
        m->label[e] = m->id[e] % CLASSES;
    }
    m->x = calloc(4 * EXAMPLES * WIDTH, sizeof(float));
    m->h = calloc(4 * EXAMPLES * HIDDEN, sizeof(float));
    m->y = calloc(4 * EXAMPLES * CLASSES, sizeof(float));
    m->be->reserve(m->be, &m->layout, NULL, ZO_F32, &(zo_largest){.points = 4, .tokens = EXAMPLES});
}

static void net_open(net *m, int threads)
{
    net_open_view(m, threads, NULL);
}

static void net_close(net *m)
{
    zo_store_free(m->be, m->store);
    zo_layout_free(&m->layout);
    m->be->close(m->be);
    free(m->x);
    free(m->h);
    free(m->y);
}

static double cross_entropy(const double *logit, int label)
{
    double most = fmax(logit[0], fmax(logit[1], logit[2])), sum = 0.0;
    for (int c = 0; c < CLASSES; c++) {
        sum += exp(logit[c] - most);
    }
    return most + log(sum) - logit[label];
}

static zo_status net_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)err;
    net *m = context;
    int first, n;
    *(which == ZO_BATCH_FULL ? &m->full_probes : &m->probes) += (uint64_t)view->npoints;
    range_of(m, which, &first, &n);
    m->be->embed(m->be, view, EMBED, m->id + first, n, false, m->x);
    m->be->linear(m->be, view, ZO_F32, W1, B1, ZO_ACT_GELU, m->x, n, false, m->h, NULL);
    m->be->norm(m->be, view, ZO_LAYERNORM, 1e-5f, NORM_W, NORM_B, m->h, NULL, n, HIDDEN, m->h, NULL);
    m->be->linear(m->be, view, ZO_F32, W2, B2, ZO_ACT_NONE, m->h, n, false, m->y, NULL);
    for (int p = 0; p < view->npoints; p++) {
        loss[p] = m->nan ? NAN : 0.0;
        for (int i = 0; i < n; i++) {
            double logit[CLASSES];
            for (int c = 0; c < CLASSES; c++) {
                logit[c] = m->y[(p * n + i) * CLASSES + c];
            }
            loss[p] += cross_entropy(logit, m->label[first + i]) / n;
        }
    }
    return ZO_OK;
}

static int compare_rows(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

static void net_touched(void *context, zo_which which, zo_touched *touched)
{
    net *m = context;
    int first, n, kept = 0;
    range_of(m, which, &first, &n);
    memcpy(m->rows, m->id + first, (size_t)n * sizeof *m->rows);
    qsort(m->rows, (size_t)n, sizeof *m->rows, compare_rows);
    for (int i = 0; i < n; i++) {
        if (i == 0 || m->rows[i] != m->rows[kept - 1]) {
            m->rows[kept++] = m->rows[i];
        }
    }
    m->table[0] = EMBED;
    m->row_list[0] = m->rows;
    m->nrows[0] = kept;
    *touched = (zo_touched){.nparams = 1, .param = m->table, .row = m->row_list, .n = m->nrows};
}

static double net_loss64(void *context, zo_which which, const double *w)
{
    const net *m = context;
    const zo_param *p = m->layout.param;
    int first, n;
    range_of(m, which, &first, &n);
    double loss = 0.0;
    for (int i = first; i < first + n; i++) {
        double h[HIDDEN], mean = 0.0, var = 0.0, logit[CLASSES];
        for (int o = 0; o < HIDDEN; o++) {
            double sum = w[p[B1].offset + o];
            for (int k = 0; k < WIDTH; k++) {
                sum += w[p[EMBED].offset + m->id[i] * WIDTH + k] * w[p[W1].offset + o * WIDTH + k];
            }
            h[o] = 0.5 * sum * (1.0 + erf(sum / sqrt(2.0)));
            mean += h[o] / HIDDEN;
        }
        for (int o = 0; o < HIDDEN; o++) {
            var += (h[o] - mean) * (h[o] - mean) / HIDDEN;
        }
        for (int c = 0; c < CLASSES; c++) {
            logit[c] = w[p[B2].offset + c];
            for (int o = 0; o < HIDDEN; o++) {
                double y = (h[o] - mean) / sqrt(var + 1e-5) * w[p[NORM_W].offset + o] + w[p[NORM_B].offset + o];
                logit[c] += y * w[p[W2].offset + c * HIDDEN + o];
            }
        }
        loss += cross_entropy(logit, m->label[i]) / n;
    }
    return loss;
}

static zo_engine *engine_on(net *m, zo_realisation realisation, int most_points, bool touched, uint64_t seed)
{
    zo_engine_spec spec = {.be = m->be, .weights = m->store, .realisation = realisation, .seed = seed,
                           .io = {.context = m, .losses = net_losses, .touched = touched ? net_touched : NULL, .most_points = most_points}};
    return zo_engine_new(&spec);
}

static uint64_t hash_of(const zo_store *store)
{
    return zo_fnv1a(ZO_FNV_START, store->data, (size_t)store->layout->size * sizeof(float));
}

/* realisations against the float64 oracle ----------------------------------------------------------------------------------- */

static const struct { const char *name, *json; double lr, eps; bool sidepath; int most_points; } runs[] = {
    {"mezo", NULL, 2e-3, 1e-2, false, 2},
    {"mezo", "{\"queries\": 3, \"weight_decay\": 0.1}", 2e-3, 1e-2, false, 4},
    {"mezo", "{\"weight_decay\": 0.1, \"decay_on\": \"all\"}", 2e-3, 1e-2, false, 1},
    {"mezo", "{\"draw\": \"rademacher\", \"queries\": 2}", 2e-3, 1e-2, false, 3},
    {"mezo", "{\"estimate\": \"one-sided\", \"queries\": 3, \"growth\": \"linear\"}", 2e-3, 1e-2, false, 2},
    {"mezo", "{\"estimate\": \"one-point\"}", 2e-5, 1e-2, false, 2},
    {"lezo", "{\"sparsity\": 0.5}", 2e-3, 1e-2, false, 2},
    {"lezo", "{\"sparsity\": 0.5, \"draw\": \"rademacher\"}", 2e-3, 1e-2, false, 1},
    {"conmezo", "{\"beta\": 0.9}", 2e-3, 1e-2, false, 2},
    {"conmezo", "{\"mode\": \"released\", \"theta\": 1.2, \"beta\": 0.9}", 2e-3, 1e-2, false, 1},
    {"mezo-adam", "{\"beta2\": 0.99, \"adam_eps\": 0.1, \"weight_decay\": 0.1}", 2e-3, 1e-2, false, 2},
    {"mezo-adam", "{\"mode\": \"replay\", \"beta2\": 0.99, \"adam_eps\": 0.1, \"weight_decay\": 0.1}", 2e-3, 1e-2, false, 2},
    {"mezo-adam", "{\"mode\": \"replay\", \"history\": 4, \"adam_eps\": 0.1, \"draw\": \"rademacher\"}", 2e-3, 1e-2, false, 2},
    {"mezo-adam", "{\"mode\": \"released\", \"beta2\": 0.99, \"adam_eps\": 0.1, \"weight_decay\": 0.1}", 2e-3, 1e-2, false, 2},
    {"mezo-m", NULL, 3e-4, 1e-2, false, 2},
    {"zo-sign", "{\"queries\": 2}", 3e-4, 1e-2, false, 2},
    {"zo-cons", NULL, 2e-3, 1e-2, false, 2},
    {"kerzoo", "{\"queries\": 2}", 1e-3, 1e-2, false, 4},
    {"meazo", NULL, 1e-3, 1e-2, false, 2},
    {"zo-adamu", "{\"beta1\": 0.6, \"adam_eps\": 0.1}", 1e-3, 1e-2, false, 2},
    {"adamezo", "{\"history\": 4, \"adam_eps\": 0.1}", 2e-3, 1e-2, false, 2},
    {"mezo-bcd", NULL, 2e-3, 1e-2, false, 2},
    {"mezo-bcd", "{\"update\": \"end\"}", 2e-3, 1e-2, false, 4},
    {"mezo-bcd", "{\"order\": \"shuffled\", \"outside\": \"freeze\", \"draw\": \"rademacher\"}", 2e-3, 1e-2, false, 2},
    {"fzoo", "{\"queries\": 3}", 5e-4, 1e-2, false, 2},
    {"fzoo", "{\"queries\": 3, \"batched\": true}", 5e-4, 1e-2, false, 4},
    {"bszo", "{\"sigma\": 1}", 2e-3, 1e-2, false, 2},
    {"zo-svrg", "{\"eta2\": 1e-3, \"queries\": 2, \"max_norm\": 1}", 2e-3, 1e-2, false, 4},
    {"mezo-svrg", "{\"eta2\": 1e-3}", 2e-3, 1e-2, false, 4},
    {"mezo-svrg", "{\"eta2\": 1e-3, \"z\": \"fresh\", \"q\": 5}", 2e-3, 1e-2, false, 3},
    {"mezo-svrg", "{\"eta2\": 1e-3, \"mode\": \"replay\", \"q\": 5}", 2e-3, 1e-2, false, 4},
    {"mezo-svrg", "{\"eta2\": 1e-3, \"mode\": \"released\"}", 2e-3, 1e-2, false, 2},
    {"zo-muon", "{\"queries\": 3, \"rank\": 3, \"period\": 30, \"rest_lr\": 0.002}", 2e-3, 1e-2, false, 2},
    {"zo-muon", "{\"queries\": 2, \"rank\": 2, \"period\": 7, \"embeddings\": \"rest\", \"iterations\": 3, \"rest_lr\": 0.002}", 2e-3, 1e-2, false, 1},
    {"dizo", "{\"kappa\": 20, \"iterations\": 5}", 2e-3, 1e-2, false, 2},
    {"dizo", "{\"kappa\": 9, \"iterations\": 3, \"on\": \"all\", \"anchor\": \"previous\", \"radius\": 0.001}", 2e-3, 1e-2, false, 1},
    {"lozo", "{\"rank\": 3, \"period\": 20, \"scale\": \"sqrt\"}", 2e-3, 1e-2, true, 2},
    {"lozo", "{\"rank\": 2, \"period\": 7, \"embeddings\": \"rest\"}", 5e-4, 4e-3, true, 1},
    {"lozo", "{\"rank\": 4, \"period\": 10, \"mode\": \"released\"}", 5e-4, 4e-3, true, 2},
    {"lozo-m", "{\"rank\": 3, \"period\": 20, \"scale\": \"sqrt\"}", 2e-3, 1e-2, true, 2},
    {"lozo-m", "{\"rank\": 2, \"period\": 7, \"embeddings\": \"rest\", \"beta1\": 0.7}", 5e-4, 4e-3, true, 1},
    {"subzo", "{\"rank\": 3, \"period\": 30}", 2e-3, 1e-2, true, 2},
    {"subzo", "{\"rank\": 20, \"period\": 7, \"embeddings\": \"rest\", \"align\": false}", 2e-3, 1e-2, true, 1},
    {"subzero-plus", "{\"queries\": 3, \"rank\": 3, \"period\": 30, \"adam_eps\": 0.1}", 2e-3, 1e-2, false, 2},
    {"subzero-plus", "{\"queries\": 2, \"rank\": 20, \"period\": 7, \"embeddings\": \"rest\", \"rule\": \"sgd\", \"haar\": false}", 2e-3, 1e-2, false, 1},
    {"eggroll", "{\"pairs\": 3, \"rank\": 2, \"scores\": \"raw\"}", 2e-3, 1e-2, false, 2},
    {"eggroll", "{\"pairs\": 2, \"antithetic\": false, \"embeddings\": \"rest\", \"scores\": \"raw\"}", 2e-3, 1e-2, false, 1},
    {"tezo", "{\"rank\": 4}", 2e-3, 1e-2, true, 2},
    {"tezo", "{\"rank\": 4, \"embeddings\": \"rest\", \"scale\": \"none\"}", 5e-4, 4e-3, true, 2},
    {"tezo", "{\"rank\": 2, \"embeddings\": \"freeze\", \"rest\": \"freeze\"}", 2e-3, 1e-2, true, 1},
    {"tezo-m", "{\"rank\": 4}", 2e-3, 1e-2, true, 2},
    {"tezo-adam", "{\"rank\": 4}", 5e-4, 1e-2, true, 2},
    {"tezo-adam", "{\"rank\": 3, \"embeddings\": \"freeze\"}", 5e-4, 1e-2, true, 2},
};
enum { STEPS = 200 };

/* Everything is trained; without the embeddings and a bias; without two matrices and a norm's half. */
static const bool frozen_of[][PARAMS] = {{false}, {[EMBED] = true, [B1] = true}, {[W1] = true, [NORM_B] = true, [B2] = true}};
enum { RUNS = sizeof runs / sizeof runs[0], VIEWS = sizeof frozen_of / sizeof frozen_of[0] };

START_TEST(realisations_agree_with_float64)
{
    net m;
    const bool *frozen = frozen_of[_i / RUNS];
    int run = _i % RUNS;
    net_open_view(&m, 2, frozen);
    objective64 *o = objective64_new(&m.layout, 11, &m, net_loss64, NULL);
    for (int64_t i = 0; i < m.layout.size; i++) {
        o->w[i] = m.store->data[i];
    }
    float *start = calloc((size_t)m.layout.size, sizeof *start);
    memcpy(start, m.store->data, (size_t)m.layout.size * sizeof *start);
    double projected[STEPS], square = 0.0;
    running oracle = running_new(runs[run].name, runs[run].json, &o->o);
    for (int step = 0; step < STEPS; step++) {
        zo_step_report report;
        m.step = step;
        ck_assert_int_eq(running_step(&oracle, EXAMPLES / BATCH, STEPS, runs[run].lr, runs[run].eps, &report), ZO_OK);
        projected[step] = report.projected;
        square += report.projected * report.projected / STEPS;
    }
    running_free(&oracle);
    double moved = 0.0;
    for (int64_t i = 0; i < m.layout.size; i++) {
        moved = fmax(moved, fabs(o->w[i] - start[i]));
    }
    for (int realisation = 0; realisation < (runs[run].sidepath ? ZO_REALISATIONS : ZO_SIDEPATH); realisation++) {
        memcpy(m.store->data, start, (size_t)m.layout.size * sizeof *start);
        zo_engine *e = engine_on(&m, (zo_realisation)realisation, runs[run].most_points, true, 11);
        running r = running_new(runs[run].name, runs[run].json, zo_engine_objective(e));
        double worst = 0.0;
        for (int step = 0; step < STEPS; step++) {
            zo_step_report report;
            m.step = step;
            ck_assert_int_eq(running_step(&r, EXAMPLES / BATCH, STEPS, runs[run].lr, runs[run].eps, &report), ZO_OK);
            worst = fmax(worst, fabs(report.projected - projected[step]));
        }
        ck_assert_uint_eq(m.probes, o->probes);
        ck_assert_uint_eq(m.full_probes, o->full_probes);
        uint64_t before = hash_of(m.store);
        const zo_view *view = zo_engine_settle(e);
        ck_assert(realisation == ZO_INPLACE || hash_of(m.store) == before);
        double settled, merged;
        zo_err err;
        ck_assert_int_eq(net_losses(&m, ZO_BATCH_FULL, view, &settled, &err), ZO_OK);
        fold_side(e, m.be, m.store);
        const zo_store *base = m.store;
        zo_view stored = zo_view_stored(&base);
        ck_assert_int_eq(net_losses(&m, ZO_BATCH_FULL, &stored, &merged, &err), ZO_OK);
        ck_assert_double_eq_tol(settled, merged, 2e-6);
        ck_assert_double_eq_tol(merged, net_loss64(&m, ZO_BATCH_FULL, o->w), 2e-5);
        double apart = 0.0;
        for (int t = 0; t < PARAMS; t++) {
            const zo_param *p = &m.layout.param[t];
            ck_assert(!frozen[t] || memcmp(m.store->data + p->offset, start + p->offset, (size_t)(p->rows * p->cols) * sizeof *start) == 0);
        }
        for (int64_t i = 0; i < m.layout.size; i++) {
            apart = fmax(apart, fabs(m.store->data[i] - o->w[i]));
        }
        printf("measured: %s %s, %s: projected gradients agree to %.1e of their rms, weights to %.1e (moved %.1e)\n", runs[run].name,
               runs[run].json != NULL ? runs[run].json : "", zo_realisation_name((zo_realisation)realisation), worst / sqrt(square), apart, moved);
        ck_assert_msg(worst < 1e-4 * sqrt(square), "projected gradients differ by %g, rms %g", worst, sqrt(square));
        ck_assert_msg(apart < 2e-5 && apart < 1e-2 * moved, "weights differ by %g, moved by %g", apart, moved);
        m.probes = m.full_probes = 0;
        running_free(&r);
        zo_engine_free(e);
    }
    free(start);
    objective64_free(o);
    net_close(&m);
}
END_TEST

/* bits -------------------------------------------------------------------------------------------------------------------- */

START_TEST(streamed_restores_every_bit)
{
    net m;
    net_open(&m, 2);
    zo_engine *e = engine_on(&m, ZO_STREAMED, 2, true, 5);
    zo_objective *o = zo_engine_objective(e);
    uint64_t before = hash_of(m.store);
    for (int step = 0; step < 20; step++) {
        zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 5, .step = (uint32_t)step};
        zo_term plus = {.dir = dir, .coef = 1e-2}, minus = {.dir = dir, .coef = -1e-2};
        zo_point point[3] = {{.n = 1, .term = &plus}, {.n = 1, .term = &minus}, {.n = 0}};
        double loss[3];
        zo_err err;
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, point, 3, loss, &err), ZO_OK);
        ck_assert_uint_eq(hash_of(m.store), before);
        ck_assert(loss[0] != loss[1]);
    }
    zo_engine_free(e);
    net_close(&m);
}
END_TEST

/* What an engine was asked to apply, in order; and the same again on another store. */
typedef struct record { zo_objective outer, *inner; zo_term term[4 * STEPS]; double decay[4 * STEPS]; int n[4 * STEPS], applies, terms; } record;

static zo_status record_losses(zo_objective *o, zo_which which, const zo_point *point, int n, double *loss, zo_err *err)
{
    record *r = o->self;
    return r->inner->losses(r->inner, which, point, n, loss, err);
}

static zo_status record_combine(zo_objective *o, zo_set set, double decay, const zo_term *term, int n, zo_err *err)
{
    record *r = o->self;
    ck_assert_int_eq(set, ZO_SET_WEIGHTS);
    r->decay[r->applies] = decay;
    r->n[r->applies++] = n;
    memcpy(r->term + r->terms, term, (size_t)n * sizeof *term);
    r->terms += n;
    return r->inner->combine(r->inner, set, decay, term, n, err);
}

START_TEST(log_replays_every_bit)
{
    net m;
    net_open(&m, 2);
    float *start = calloc((size_t)m.layout.size, sizeof *start);
    memcpy(start, m.store->data, (size_t)m.layout.size * sizeof *start);
    zo_engine *e = engine_on(&m, ZO_STREAMED, 2, true, 5);
    record *log = calloc(1, sizeof *log);
    log->inner = zo_engine_objective(e);
    log->outer = (zo_objective){.self = log, .seed = 5, .blocks = log->inner->blocks, .trained = log->inner->trained, .losses = record_losses, .combine = record_combine};
    running r = running_new(_i == 0 ? "mezo" : "lezo", _i == 0 ? "{\"weight_decay\": 0.01}" : "{\"sparsity\": 0.5}", &log->outer);
    for (int step = 0; step < STEPS; step++) {
        zo_step_report report;
        m.step = step;
        ck_assert_int_eq(running_step(&r, 4, STEPS, 2e-3, 1e-2, &report), ZO_OK);
    }
    zo_engine_settle(e);
    uint64_t trained = hash_of(m.store);
    zo_engine_free(e);
    /* another process would hold the first weights, the seed and the log */
    net again;
    net_open(&again, 1);
    ck_assert_int_eq(memcmp(again.store->data, start, (size_t)m.layout.size * sizeof *start), 0);
    e = engine_on(&again, ZO_INPLACE, 1, false, 5);
    zo_objective *o = zo_engine_objective(e);
    for (int k = 0, at = 0; k < log->applies; at += log->n[k++]) {
        zo_err err;
        ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, log->decay[k], log->term + at, log->n[k], &err), ZO_OK);
    }
    zo_engine_settle(e);
    ck_assert_uint_eq(hash_of(again.store), trained);
    zo_engine_free(e);
    running_free(&r);
    free(log);
    free(start);
    net_close(&again);
    net_close(&m);
}
END_TEST

/* LeZO's steps: what is drawn and written is counted of the blocks that are kept alone, by each realisation; those that are left out keep every
 * bit in a step. In place a probe goes out and to the other side, and comes back with the update: three sweeps. */
START_TEST(left_out_blocks_cost_nothing)
{
    net m;
    net_open(&m, 1);
    float *was = calloc((size_t)m.layout.size, sizeof *was);
    for (int way = 0; way < 3; way++) { /* in place; streamed; streamed, of signs */
        zo_realisation realisation = way == 0 ? ZO_INPLACE : ZO_STREAMED;
        zo_engine *e = engine_on(&m, realisation, 2, false, 5);
        zo_objective *o = zo_engine_objective(e);
        ck_assert_int_eq(o->blocks, 2);
        running r = running_new("lezo", way == 2 ? "{\"sparsity\": 0.5, \"draw\": \"rademacher\"}" : "{\"sparsity\": 0.5}", o);
        int seen = 0;
        for (int step = 0; step < 12; step++) {
            zo_dir z = zo_gauss(o, step, 0);
            zo_err err;
            zo_step_report report;
            ck_assert_int_eq(zo_leave_out(o, 0.5, &z, &err), ZO_OK);
            ck_assert(z.skip.in == 1 || z.skip.in == 2);
            uint64_t kept = 0, formed = 0;
            for (int t = 0; t < PARAMS; t++) {
                const zo_param *p = &m.layout.param[t];
                uint64_t n = p->block < 0 || (z.skip.in >> p->block & 1) == 0 ? (uint64_t)(p->rows * p->cols) : 0;
                kept += n;
                formed += p->kind != ZO_PARAM_TABLE ? n : 0;
            }
            memcpy(was, m.store->data, (size_t)m.layout.size * sizeof *was);
            m.step = step;
            zo_counters_reset();
            ck_assert_int_eq(running_step(&r, EXAMPLES / BATCH, 12, 1e-3, 1e-2, &report), ZO_OK);
            zo_engine_settle(e);
            zo_counters count;
            zo_counters_read(&count);
            /* streamed, a pass draws the rows of the batch's tokens and all that is no table, and the update everything */
            uint64_t normals = realisation == ZO_INPLACE ? 3 * kept : kept + formed + BATCH * WIDTH;
            ck_assert_uint_eq(count.normals, way == 2 ? 0 : normals);
            ck_assert_uint_eq(count.weight_bytes_written, (realisation == ZO_INPLACE ? 3 : 1) * kept * sizeof(float));
            for (int t = 0; t < PARAMS; t++) {
                const zo_param *p = &m.layout.param[t];
                bool left_out = p->block >= 0 && (z.skip.in >> p->block & 1) != 0;
                bool equal = memcmp(was + p->offset, m.store->data + p->offset, (size_t)(p->rows * p->cols) * sizeof *was) == 0;
                ck_assert_int_eq(equal, left_out);
            }
            seen |= (int)z.skip.in;
        }
        ck_assert_int_eq(seen, 3);
        running_free(&r);
        zo_engine_free(e);
    }
    free(was);
    net_close(&m);
}
END_TEST

/* Fused, deferred, settled in between or not, on one thread or two: the same bits as the papers' four separate sweeps. */
START_TEST(inplace_sweeps_change_no_bit)
{
    uint64_t hash[4];
    for (int way = 0; way < 4; way++) {
        net m;
        net_open(&m, way == 3 ? 1 : 2);
        zo_engine *e = engine_on(&m, ZO_INPLACE, 1, false, 5);
        zo_objective *o = zo_engine_objective(e);
        for (int step = 0; step < 30; step++) {
            zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 5, .step = (uint32_t)step};
            zo_term plus = {.dir = dir, .coef = 1e-3}, minus = {.dir = dir, .coef = -1e-3}, update = {.dir = dir, .coef = 1e-4 * (step - 9)};
            zo_term way_down = {.dir = dir, .coef = -2e-3};
            zo_point point[2] = {{.n = 1, .term = &plus}, {.n = 1, .term = &minus}};
            double loss[2], decay = step % 3 == 0 ? 0.999 : 1.0;
            zo_err err;
            m.step = step;
            if (way == 0) {
                m.be->apply(m.be, m.store, NULL, 1.0, &plus, 1, NULL);
                m.be->apply(m.be, m.store, NULL, 1.0, &way_down, 1, NULL);
                m.be->apply(m.be, m.store, NULL, 1.0, &plus, 1, NULL);
                m.be->apply(m.be, m.store, NULL, decay, &update, 1, NULL);
                continue;
            }
            ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, point, 2, loss, &err), ZO_OK);
            ck_assert_int_eq(o->combine(o, ZO_SET_WEIGHTS, decay, &update, update.coef != 0.0, &err), ZO_OK);
            if (way == 2 && step % 4 == 0) {
                zo_engine_settle(e);
            }
        }
        zo_engine_settle(e);
        hash[way] = hash_of(m.store);
        zo_engine_free(e);
        net_close(&m);
    }
    ck_assert_uint_eq(hash[1], hash[0]);
    ck_assert_uint_eq(hash[2], hash[0]);
    ck_assert_uint_eq(hash[3], hash[0]);
}
END_TEST

/* Moving only the touched rows changes neither loss; rows that are not touched keep their bits until an update. */
START_TEST(touched_rows_are_enough)
{
    net m;
    net_open(&m, 2);
    float *start = calloc((size_t)m.layout.size, sizeof *start);
    memcpy(start, m.store->data, (size_t)m.layout.size * sizeof *start);
    zo_dir dir = {.kind = ZO_DIR_DENSE, .seed = 5, .step = 1};
    zo_term plus = {.dir = dir, .coef = 1e-2}, minus = {.dir = dir, .coef = -1e-2};
    zo_point point[2] = {{.n = 1, .term = &plus}, {.n = 1, .term = &minus}};
    double loss[3][2];
    zo_err err;
    for (int way = 0; way < 3; way++) {
        memcpy(m.store->data, start, (size_t)m.layout.size * sizeof *start);
        zo_engine *e = engine_on(&m, way == 2 ? ZO_STREAMED : ZO_INPLACE, 2, way == 1, 5);
        zo_objective *o = zo_engine_objective(e);
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, point, 2, loss[way], &err), ZO_OK);
        zo_touched touched;
        net_touched(&m, ZO_BATCH_CURRENT, &touched);
        int64_t changed = 0;
        for (int row = 0; row < VOCAB; row++) {
            changed += memcmp(m.store->data + row * WIDTH, start + row * WIDTH, WIDTH * sizeof(float)) != 0;
        }
        ck_assert_int_eq(changed, way == 0 ? VOCAB : way == 1 ? touched.n[0] : 0);
        /* another batch touches other rows: the old ones come back, up to rounding */
        m.step = 1;
        double other[2];
        ck_assert_int_eq(o->losses(o, ZO_BATCH_CURRENT, point, 2, other, &err), ZO_OK);
        m.step = 0;
        zo_engine_settle(e);
        for (int64_t i = 0; i < m.layout.size; i++) {
            ck_assert_double_eq_tol(m.store->data[i], start[i], 1e-6);
        }
        zo_engine_free(e);
    }
    ck_assert(loss[0][0] == loss[1][0] && loss[0][1] == loss[1][1]);
    ck_assert(loss[2][0] == loss[0][0]); /* w + eps z is formed by the same operation */
    ck_assert_double_eq_tol(loss[2][1], loss[0][1], 1e-6);
    free(start);
    net_close(&m);
}
END_TEST

/* Tables are counted among themselves, but one that is read as a whole is none. */
START_TEST(parts_count_their_tables)
{
    zo_layout layout = {0};
    static const zo_param_kind kind[] = {ZO_PARAM_TABLE, ZO_PARAM_MATRIX, ZO_PARAM_TABLE, ZO_PARAM_TABLE};
    static const char *const name[] = {"embed.token", "w", "head", "embed.position"};
    static const int table[] = {0, -1, -1, 1};
    for (int t = 0; t < 4; t++) {
        zo_layout_add(&layout, name[t], kind[t], 5, 3, -1, true);
        layout.param[t].whole = t == 2;
    }
    zo_layout_parts parts;
    zo_parts_open(&parts, &layout);
    ck_assert_int_eq(parts.layout[ZO_LAYOUT_TABLES].n, 2);
    for (int t = 0; t < 4; t++) {
        ck_assert_int_eq(parts.table_of[t], table[t]);
        if (table[t] >= 0) {
            ck_assert_int_eq(parts.layout[ZO_LAYOUT_TABLES].param[table[t]].offset, layout.param[t].offset);
        }
    }
    zo_parts_close(&parts);
    zo_layout_free(&layout);
}
END_TEST

START_TEST(a_loss_that_is_not_finite_is_divergence)
{
    for (int realisation = 0; realisation < ZO_SIDEPATH; realisation++) {
        net m;
        net_open(&m, 1);
        zo_engine *e = engine_on(&m, (zo_realisation)realisation, 2, true, 5);
        running r = running_new("mezo", NULL, zo_engine_objective(e));
        zo_step_report report;
        ck_assert_int_eq(running_step(&r, 1, 1, 1e-3, 1e-2, &report), ZO_OK);
        m.nan = true;
        ck_assert_int_eq(running_step(&r, 1, 1, 1e-3, 1e-2, &report), ZO_EDIVERGED);
        zo_engine_settle(e);
        ck_assert(m.be->finite(m.be, m.store));
        running_free(&r);
        zo_engine_free(e);
        net_close(&m);
    }
}
END_TEST

/* By central differences in float64. */
static zo_status net_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)err;
    net *m = context;
    double *w = calloc((size_t)m->layout.size, sizeof *w);
    for (int64_t i = 0; i < m->layout.size; i++) {
        w[i] = m->store->data[i];
    }
    m->gradients++;
    *loss = net_loss64(m, which, w);
    for (int64_t i = 0; i < m->layout.size; i++) {
        double at = w[i], plus, minus;
        w[i] = at + 1e-4;
        plus = net_loss64(m, which, w);
        w[i] = at - 1e-4;
        minus = net_loss64(m, which, w);
        w[i] = at;
        grad->data[i] += (float)((plus - minus) / 2e-4);
    }
    free(w);
    return ZO_OK;
}

static zo_status net_descend(void *context, zo_which which, zo_sink *sink, double *loss, zo_err *err)
{
    net *m = context;
    zo_store *all = zo_store_new(m->be, &m->layout, ZO_TAG_OTHER);
    zo_status status = net_gradient(context, which, all, loss, err);
    into_sink(sink, &m->layout, all->data);
    zo_store_free(m->be, all);
    return status;
}

/* Every entry of list.h in every realisation that it allows: some steps on the network with its own defaults. */
START_TEST(conformance)
{
    const zo_estimator *const *list;
    estimators_to_test(&list);
    const zo_estimator *e = list[_i];
    for (int realisation = 0; realisation < ZO_REALISATIONS; realisation++) {
        if (e->step == NULL || (e->allows != NULL && !e->allows(realisation))) {
            continue;
        }
        net m;
        net_open(&m, 2);
        zo_engine_spec spec = {.be = m.be, .weights = m.store, .realisation = (zo_realisation)realisation, .seed = 4,
                               .io = {.context = &m, .losses = net_losses, .gradient = net_gradient, .descend = net_descend, .touched = net_touched, .most_points = 2}};
        zo_engine *engine = zo_engine_new(&spec);
        running r = running_of(e, NULL, zo_engine_objective(engine));
        double before, after;
        zo_err err;
        ck_assert_int_eq(net_losses(&m, ZO_BATCH_FULL, zo_engine_settle(engine), &before, &err), ZO_OK);
        for (int step = 0; step < 3; step++) {
            zo_step_report report = {.loss = NAN, .lr = NAN};
            m.step = step;
            net was = m;
            ck_assert_int_eq(running_step(&r, EXAMPLES / BATCH, 3, e->lr, e->eps, &report), ZO_OK);
            ck_assert(isfinite(report.loss) && isfinite(report.lr) && (e->first_order || !isnan(report.projected)));
            ck_assert_uint_eq(m.gradients - was.gradients, e->first_order);
            ck_assert_int_eq(m.full_probes > was.full_probes, report.full_batch);
            ck_assert_int_eq(m.probes > was.probes, zo_estimator_probes(e) && !report.full_batch);
        }
        ck_assert_int_eq(net_losses(&m, ZO_BATCH_FULL, zo_engine_settle(engine), &after, &err), ZO_OK);
        ck_assert_msg(fabs(after - before) < 0.1 && m.be->finite(m.be, m.store), "%s, %s: the loss went from %g to %g", e->name,
                      zo_realisation_name((zo_realisation)realisation), before, after);
        running_free(&r);
        zo_engine_free(engine);
        net_close(&m);
    }
}
END_TEST

START_TEST(dense_directions_have_no_side_path)
{
    net m;
    net_open(&m, 1);
    zo_engine *e = engine_on(&m, ZO_SIDEPATH, 2, true, 5);
    running r = running_new("mezo", NULL, zo_engine_objective(e));
    zo_step_report report;
    ck_assert(!r.e->allows(ZO_SIDEPATH) && r.e->allows(ZO_INPLACE) && r.e->allows(ZO_STREAMED));
    ck_assert_int_eq(running_step(&r, 1, 1, 1e-3, 1e-2, &report), ZO_EUNSUPPORTED);
    running_free(&r);
    zo_engine_free(e);
    net_close(&m);
}
END_TEST

/* first order --------------------------------------------------------------------------------------------------------------- */

typedef struct line { zo_backend *be; zo_layout layout; zo_store *store; int gradients; } line;

static zo_status line_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)context, (void)which, (void)view, (void)err;
    *loss = 0.0;
    return ZO_OK;
}

/* The gradient h (w - t) of tests/golden/make_rules.py, and its loss. */
static zo_status line_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)which, (void)err;
    line *l = context;
    *loss = 0.0;
    l->gradients++;
    for (int i = 0; i < 6; i++) {
        double h = 0.5 + i / 6.0, d = l->store->data[i] - cos(i);
        grad->data[i] += (float)(h * d);
        *loss += 0.5 * h * d * d;
    }
    return ZO_OK;
}

/* printed by tests/golden/make_rules.py with torch 2.15 */
static const struct { const char *name, *json; double lr, w[6]; } torch_ends[] = {
    {"fo-sgd", NULL, 0.1, {-0.257394023, -0.107956522, -0.227708496, -0.331600577, -0.100436154, 0.450557779}},
    {"fo-sgd", "{\"momentum\": 0.9, \"weight_decay\": 0.05, \"clip\": 0.7}", 0.1,
     {-0.197370885, -0.064846554, -0.229974594, -0.390366444, -0.184280961, 0.389231598}},
    {"fo-adamw", "{\"weight_decay\": 0.1}", 0.05, {-0.361588402, -0.118329869, -0.362458139, -0.125768685, 0.118165150, 0.367615632}},
    {"fo-adamw", "{\"clip\": 0}", 0.05, {-0.375808398, -0.126660605, -0.364733779, -0.123715503, 0.126424627, 0.382614120}},
};
enum { TORCH_ENDS = sizeof torch_ends / sizeof *torch_ends };

START_TEST(first_order_is_torch)
{
    for (int k = 0; k < TORCH_ENDS; k++) {
        line l = {0};
        zo_err err;
        ck_assert_int_eq(zo_backend_open("cpu", 1, &l.be, &err), ZO_OK);
        zo_layout_add(&l.layout, "w", ZO_PARAM_MATRIX, 2, 3, 0, true);
        l.store = zo_store_new(l.be, &l.layout, ZO_TAG_PARAMS);
        for (int i = 0; i < 6; i++) {
            l.store->data[i] = (float)((i - 2.5) / 4);
        }
        zo_engine_spec spec = {.be = l.be, .weights = l.store, .realisation = ZO_INPLACE, .seed = 1,
                               .io = {.context = &l, .losses = line_losses, .gradient = line_gradient, .most_points = 1}};
        zo_engine *e = zo_engine_new(&spec);
        running r = running_new(torch_ends[k].name, torch_ends[k].json, zo_engine_objective(e));
        for (int step = 0; step < 5; step++) {
            zo_step_report report;
            ck_assert_int_eq(running_step(&r, 1, 5, torch_ends[k].lr, 0.0, &report), ZO_OK);
        }
        zo_engine_settle(e);
        for (int i = 0; i < 6; i++) {
            ck_assert_double_eq_tol(l.store->data[i], torch_ends[k].w[i], 1e-6);
        }
        ck_assert_int_eq(l.gradients, 5);
        running_free(&r);
        zo_engine_free(e);
        zo_store_free(l.be, l.store);
        zo_layout_free(&l.layout);
        l.be->close(l.be);
    }
}
END_TEST

START_TEST(the_list_has_these)
{
    static oracle_lines lines;
    lines = (oracle_lines){.oracle = "torch.optim", .within = "1e-6, over 5 steps"};
    for (int k = 0; k < TORCH_ENDS; k++) {
        oracle_add(&lines, torch_ends[k].name, torch_ends[k].json);
    }
    oracle_end(&lines);
}
END_TEST

/* memory ------------------------------------------------------------------------------------------------------------------ */

/* MeZO-Adam keeps moments, or makes them anew of all its past, or has its estimate in a gradient besides: one computation, where e is 0 and nothing decays
 * (released code adds another e, and decays after the step). */
START_TEST(mezo_adam_has_one_trajectory_in_three_forms)
{
    static const char *const form[] = {"{\"adam_eps\": 0}", "{\"adam_eps\": 0, \"mode\": \"replay\"}", "{\"adam_eps\": 0, \"mode\": \"released\"}",
                                       "{\"adam_eps\": 0, \"mode\": \"replay\", \"history\": 20}", "{\"adam_eps\": 0, \"mode\": \"replay\", \"history\": 19}"};
    enum { FORMS = sizeof form / sizeof *form, RUN = 20 };
    uint64_t hash[FORMS], normals[FORMS];
    for (int k = 0; k < FORMS; k++) {
        net m;
        net_open(&m, 2);
        uint64_t start = hash_of(m.store);
        zo_engine *e = engine_on(&m, ZO_STREAMED, 2, false, 5);
        running r = running_new("mezo-adam", form[k], zo_engine_objective(e));
        for (m.step = 0; m.step < RUN; m.step++) {
            zo_step_report report;
            zo_counters counted;
            zo_counters_reset();
            ck_assert_int_eq(running_step(&r, 4, 0, 1e-3, 1e-2, &report), ZO_OK); /* how many there will be is not known */
            zo_counters_read(&counted);
            normals[k] = counted.normals;
        }
        zo_engine_settle(e);
        hash[k] = hash_of(m.store);
        ck_assert_uint_ne(hash[k], start);
        running_free(&r);
        zo_engine_free(e);
        net_close(&m);
    }
    ck_assert(hash[1] == hash[0] && hash[2] == hash[0] && hash[3] == hash[0]);
    ck_assert_uint_ne(hash[4], hash[0]); /* one step less */
    uint64_t each = (normals[1] - normals[0]) / (RUN - 1); /* the last step draws as many directions as its moments are made of */
    ck_assert(each > 0 && normals[1] == normals[0] + (RUN - 1) * each && normals[3] == normals[1] && normals[4] == normals[1] - each);
}
END_TEST

/* A loss that needs no activations, on an arena of 32 MB. */
static zo_status flat_losses(void *context, zo_which which, const zo_view *view, double *loss, zo_err *err)
{
    (void)context, (void)which, (void)err;
    for (int p = 0; p < view->npoints; p++) {
        loss[p] = p;
    }
    return ZO_OK;
}

static zo_status flat_gradient(void *context, zo_which which, zo_store *grad, double *loss, zo_err *err)
{
    (void)context, (void)which, (void)grad, (void)err;
    *loss = 0.0;
    return ZO_OK;
}

START_TEST(methods_keep_what_they_say)
{
    static const struct { const char *name, *json; zo_realisation realisation; double least, most; } c[] = {
        {"mezo", NULL, ZO_INPLACE, 1.0, 1.02},
        {"mezo", "{\"queries\": 4}", ZO_STREAMED, 1.0, 1.02},
        {"mezo-svrg", "{\"mode\": \"replay\", \"q\": 4}", ZO_INPLACE, 1.0, 1.02},
        {"mezo-svrg", "{\"mode\": \"replay\", \"q\": 4}", ZO_STREAMED, 1.0, 1.02},
        {"mezo-svrg", "{\"mode\": \"paper\", \"q\": 4}", ZO_INPLACE, 3.0, 3.02},
        {"mezo-svrg", "{\"mode\": \"released\", \"q\": 4}", ZO_INPLACE, 3.0, 3.02},
        {"lezo", NULL, ZO_INPLACE, 1.0, 1.02},
        {"mezo-adam", NULL, ZO_INPLACE, 3.0, 3.02},
        {"mezo-adam", NULL, ZO_STREAMED, 3.0, 3.02},
        {"mezo-adam", "{\"mode\": \"replay\"}", ZO_INPLACE, 1.0, 1.02},
        {"mezo-adam", "{\"mode\": \"released\"}", ZO_INPLACE, 4.0, 4.02},
        {"mezo-m", NULL, ZO_INPLACE, 2.0, 2.02},
        {"mezo-bcd", "{\"update\": \"end\"}", ZO_INPLACE, 1.0, 1.02},
        {"fzoo", NULL, ZO_STREAMED, 1.0, 1.02},
        {"adamezo", NULL, ZO_INPLACE, 1.0, 1.02},
        {"zo-adamu", NULL, ZO_INPLACE, 2.0, 2.02},
        {"zo-svrg", NULL, ZO_INPLACE, 4.0, 4.02},
        {"zo-sign", "{\"reading\": \"element\"}", ZO_INPLACE, 1.0, 1.02},
        {"conmezo", NULL, ZO_INPLACE, 2.0, 2.02},
        {"conmezo", "{\"mode\": \"released\"}", ZO_STREAMED, 2.0, 2.02},
        {"tezo", "{\"rank\": 8}", ZO_SIDEPATH, 1.0, 1.04},
        {"tezo-m", "{\"rank\": 8}", ZO_INPLACE, 1.0, 1.04},
        {"tezo-adam", "{\"rank\": 8}", ZO_STREAMED, 1.0, 1.04},
        {"fo-sgd", NULL, ZO_INPLACE, 2.0, 2.02},
        {"fo-sgd", "{\"momentum\": 0.9}", ZO_INPLACE, 3.0, 3.02},
        {"fo-adamw", NULL, ZO_INPLACE, 4.0, 4.02},
    };
    zo_backend *be;
    zo_err err;
    ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &err), ZO_OK);
    zo_layout layout = {0};
    for (int t = 0; t < 8; t++) {
        char name[32];
        snprintf(name, sizeof name, "w%d", t);
        zo_layout_add(&layout, name, t == 0 ? ZO_PARAM_TABLE : ZO_PARAM_MATRIX, 1024, 1024, t - 1, true);
    }
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    double copy = (double)layout.size * sizeof(float);
    for (int t = 0; t < layout.n; t++) {
        be->init_normal(be, store, t, 1, 0.02f);
    }
    uint64_t around = zo_mem_live(ZO_HOST).total_bytes - (uint64_t)copy;
    for (size_t k = 0; k < sizeof c / sizeof *c; k++) {
        if (!suite_takes((int)k, 1, 3)) {
            continue;
        }
        zo_engine_spec spec = {.be = be, .weights = store, .realisation = c[k].realisation, .seed = 1,
                               .io = {.losses = flat_losses, .gradient = flat_gradient, .most_points = 4}};
        zo_mem_reset_peaks();
        zo_engine *e = zo_engine_new(&spec);
        running r = running_new(c[k].name, c[k].json, zo_engine_objective(e));
        for (int step = 0; step < 6; step++) {
            zo_step_report report;
            ck_assert_int_eq(running_step(&r, 4, 6, 1e-9, 1e-3, &report), ZO_OK);
        }
        zo_peak peak = zo_mem_peak_overall(ZO_HOST);
        double copies = ((double)peak.total_bytes - (double)around) / copy;
        printf("measured: %s %s, %s: %.3f copies of the weights\n", c[k].name, c[k].json != NULL ? c[k].json : "",
               zo_realisation_name(c[k].realisation), copies);
        ck_assert_msg(copies >= c[k].least && copies <= c[k].most, "%s keeps %.3f copies; expected %.2f to %.2f", c[k].name, copies,
                      c[k].least, c[k].most);
        running_free(&r);
        zo_engine_free(e);
    }
    zo_store_free(be, store);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

int main(void)
{
    const zo_estimator *const *list;
    Suite *suite = suite_create("engine");
    TCase *tests = tcase_create("engine");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, realisations_agree_with_float64, 0, RUNS * VIEWS);
    tcase_add_test(tests, streamed_restores_every_bit);
    tcase_add_loop_test(tests, log_replays_every_bit, 0, 2);
    tcase_add_test(tests, left_out_blocks_cost_nothing);
    tcase_add_test(tests, inplace_sweeps_change_no_bit);
    tcase_add_test(tests, touched_rows_are_enough);
    tcase_add_test(tests, parts_count_their_tables);
    tcase_add_test(tests, a_loss_that_is_not_finite_is_divergence);
    TCase *all = tcase_create("conformance"); /* of each estimator, a plug-in too */
    tcase_set_timeout(all, 120);
    tcase_add_loop_test(all, conformance, 0, estimators_to_test(&list));
    tcase_add_test(tests, dense_directions_have_no_side_path);
    tcase_add_test(tests, first_order_is_torch);
    tcase_add_test(tests, mezo_adam_has_one_trajectory_in_three_forms);
    tcase_add_test(tests, methods_keep_what_they_say);
    suite_add_tcase(suite, tests);
    suite_add_tcase(suite, all);
    tests = tcase_create("table");
    tcase_add_test(tests, the_list_has_these);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
