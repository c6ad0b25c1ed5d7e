/* test_probe.c: what bench/cell/probe.c says of probes, against the backend's own sweeps over a copy of the weights, and against halves of ulps. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/probe.h"
#include "core/mem.h"
#include "core/rng.h"
#include "tests/suite.h"

enum { MATRIX, TABLE, HEAD, VECTOR, PARAMS };

static void layout_of(zo_layout *layout)
{
    memset(layout, 0, sizeof *layout);
    zo_layout_add(layout, "w", ZO_PARAM_MATRIX, 150, 130, 0, true); /* more than one chunk */
    zo_layout_add(layout, "t", ZO_PARAM_TABLE, 40, 20, -1, true);
    int head = zo_layout_add(layout, "h", ZO_PARAM_TABLE, 30, 20, -1, true); /* may move layout->param */
    layout->param[head].whole = true;
    zo_layout_add(layout, "b", ZO_PARAM_VECTOR, 1, 70, 0, false);
}

/* Normals; those of parameter `large` 16 times as large, so that what happens to it is the most that happens. */
static void fill(zo_backend *be, zo_store *store, double scale, int large)
{
    for (int t = 0; t < PARAMS; t++) {
        const zo_param *p = &store->layout->param[t];
        float *x = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)(p->rows * p->cols) * sizeof *x);
        zo_normals((zo_stream){.seed = 5, .tensor = p->id, .role = ZO_ROLE_DATA}, 0, p->rows * p->cols, x);
        for (int64_t i = 0; i < p->rows * p->cols; i++) {
            x[i] = zo_storage_round(store->storage, (float)(x[i] * scale * (t == large ? 16 : 1)));
        }
        zo_store_set(be, store, t, x);
        zo_free(x);
    }
}

/* There, to the other side and back by three sweeps. */
START_TEST(drift_is_that_of_sweeps)
{
    zo_err err;
    zo_backend *be;
    zo_layout layout;
    ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &err), ZO_OK);
    layout_of(&layout);
    int ranks[PARAMS] = {[MATRIX] = 5};
    zo_factors *f = zo_factors_new(be, &layout, ranks, -0.5, 11), *own = zo_factors_new_own(&layout, ranks, -0.5, 11);
    zo_store *left = zo_store_new(be, &own->left, ZO_TAG_OTHER), *right = zo_store_new(be, &own->right, ZO_TAG_OTHER);
    be->init_normal(be, left, 0, 3, 1.0f);
    be->init_normal(be, right, 0, 3, 1.0f);
    double found[ZO_STORAGES];
    static const int large_of[] = {MATRIX, HEAD, VECTOR, -1};
    for (int k = 0; k < 4 * ZO_STORAGES; k++) {
        int storage = k % ZO_STORAGES, large = large_of[k / ZO_STORAGES];
        zo_store *w = zo_store_new_as(be, &layout, (zo_storage)storage, ZO_TAG_PARAMS);
        fill(be, w, 0.05, large);
        for (int low = 0; low < 3; low++) { /* none, CP, factors of their own */
            zo_dir gauss = {.kind = ZO_DIR_DENSE, .seed = 7, .step = 9}, cp = gauss, rest = gauss, part = gauss;
            cp.kind = low == 1 ? ZO_DIR_CP : ZO_DIR_FACTORS;
            if (low == 2) {
                cp.own.left = left->data;
                cp.own.right = right->data;
            }
            rest.kind = ZO_DIR_REST;
            part.draw = ZO_DRAW_RADEMACHER;
            part.skip.in = 1;
            zo_term term[2] = {{low ? cp : gauss, 1e-3}, {low ? rest : part, 1e-3}};
            int n = 2;
            zo_store *moved = zo_store_new_as(be, &layout, (zo_storage)storage, ZO_TAG_PARAMS);
            memcpy(zo_store_at(moved, 0), zo_store_at(w, 0), (size_t)(layout.size * zo_storage_bytes((zo_storage)storage)));
            for (int move = 0; move < 3; move++) {
                zo_term sweep[2] = {term[0], term[1]};
                sweep[0].coef = sweep[1].coef = move == 1 ? -2e-3 : 1e-3;
                be->apply(be, moved, low == 2 ? own : low == 1 ? f : NULL, 1.0, sweep, n, NULL);
            }
            double want = 0, table = 0;
            for (int t = 0; t < PARAMS; t++) {
                const zo_param *p = &layout.param[t];
                for (int64_t i = 0; i < p->rows * p->cols; i++) {
                    float a, b;
                    zo_store_read(be, w, p->offset + i, 1, &a);
                    zo_store_read(be, moved, p->offset + i, 1, &b);
                    *(t == TABLE ? &table : &want) = fmax(t == TABLE ? table : want, fabs((double)a - (double)b));
                }
            }
            double drift = zo_probe_drift(be, w, low == 2 ? own : low == 1 ? f : NULL, term, n);
            ck_assert_msg(drift == want && want > 0, "%s, low %d, large %d: %g, by sweeps %g", zo_storage_name((zo_storage)storage), low, large, drift,
                          want);
            ck_assert(table > 0); /* which a run moves by the rows of its batches */
            found[storage] = drift;
            zo_store_free(be, moved);
        }
        zo_store_free(be, w);
    }
    ck_assert(found[ZO_STORAGE_F32] < 1e-7 && found[ZO_STORAGE_F16] > 1e-5 && found[ZO_STORAGE_BF16] > 4 * found[ZO_STORAGE_F16]);
    zo_store_free(be, left);
    zo_store_free(be, right);
    zo_factors_free(be, own);
    zo_factors_free(be, f);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

/* Weights of 1: half an ulp is 2^-24 upwards and 2^-25 downwards in f32, 2^-8 and 2^-9 in bf16, 2^-11 and 2^-12 in f16. Of z the shares beyond are
 * those of the normal distribution. */
START_TEST(moved_is_beyond_half_an_ulp)
{
    zo_err err;
    zo_backend *be;
    zo_layout layout;
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    layout_of(&layout);
    zo_store *w = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    for (int64_t i = 0; i < layout.param[MATRIX].rows * layout.param[MATRIX].cols; i += 2) {
        w->data[layout.param[MATRIX].offset + i] = 1.0f; /* zeros between them do not count */
    }
    static const struct { zo_storage type; zo_precision precision; double up; } of[] = {
        {ZO_STORAGE_F32, ZO_F32, 0x1p-24}, {ZO_STORAGE_BF16, ZO_F32, 0x1p-8}, {ZO_STORAGE_F16, ZO_F32, 0x1p-11}, {ZO_STORAGE_F32, ZO_BF16, 0x1p-8}};
    static const double eps_in_ups[] = {1e-9, 0.25, 1.0, 1e4};
    for (size_t k = 0; k < sizeof of / sizeof *of; k++) {
        for (int e = 0; e < 4; e++) {
            double eps = eps_in_ups[e] * of[k].up, share = zo_probe_moved(be, w, 3, eps, of[k].type, of[k].precision);
            double want = 0.5 * erfc(1 / eps_in_ups[e] / sqrt(2)) + 0.5 * erfc(0.5 / eps_in_ups[e] / sqrt(2));
            ck_assert_msg(fabs(share - want) < 0.07, "case %zu, eps %g: %g, expected %g", k, eps, share, want);
            ck_assert(e > 0 || share == 0);
        }
    }
    zo_store_free(be, w);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("probe");
    TCase *tests = tcase_create("probe");
    tcase_add_test(tests, drift_is_that_of_sweeps);
    tcase_add_test(tests, moved_is_beyond_half_an_ulp);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
