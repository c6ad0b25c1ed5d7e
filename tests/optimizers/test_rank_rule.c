/* test_rank_rule.c: counts of singular values on matrices of known spectra, against all of them in float64, and on real models; and the rank rule that is
 * made of them. Real models are those of $ZO_TEST_MODELS; the test says so where they are absent. With ZO_TEST_LONG every matrix of them is looked at, and
 * one of OPT-13B's size. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/io.h"
#include "models/model.h"
#include "optimizers/engine/rank_rule.h"
#include "optimizers/engine/singular.h"
#include "tests/suite.h"

/* A matrix with the singular values given: a diagonal between two pairs of Householder reflections. */
static void fill_singular(zo_store *store, int param, const double *sigma, int64_t n)
{
    const zo_param *p = &store->layout->param[param];
    int64_t rows = p->rows, cols = p->cols;
    double *w = calloc((size_t)(rows * cols), sizeof *w);
    for (int64_t i = 0; i < n; i++) {
        w[i * cols + i] = sigma[i];
    }
    for (int turn = 0; turn < 4; turn++) {
        int side = turn % 2;
        int64_t m = side == 0 ? rows : cols, other = side == 0 ? cols : rows;
        double norm = 0.0;
        double *h = calloc((size_t)m, sizeof *h);
        for (int64_t i = 0; i < m; i++) {
            h[i] = zo_uniform((zo_stream){.seed = 2, .step = (uint32_t)turn, .tensor = (uint32_t)param, .role = ZO_ROLE_DATA}, (uint64_t)i) - 0.5;
            norm += h[i] * h[i];
        }
        for (int64_t j = 0; j < other; j++) {
            int64_t at = side == 0 ? j : j * cols, step = side == 0 ? cols : 1;
            double dot = 0.0;
            for (int64_t i = 0; i < m; i++) {
                dot += h[i] * w[at + i * step];
            }
            for (int64_t i = 0; i < m; i++) {
                w[at + i * step] -= 2.0 * dot / norm * h[i];
            }
        }
        free(h);
    }
    for (int64_t i = 0; i < rows * cols; i++) {
        store->data[p->offset + i] = (float)w[i];
    }
    free(w);
}

/* What is asked of one matrix: min(most, how many of sigma are at least threshold times the first). */
static int counted(const double *sigma, int64_t n, double threshold, int most)
{
    int count = 0;
    for (int64_t i = 0; i < n && count < most; i++) {
        count += sigma[i] >= threshold * sigma[0];
    }
    return count;
}

enum { FALLING, AT_THE_THRESHOLD, NEAR, FLAT, DEFICIENT, ONE, STEPS, BULK, SPECTRA };
static const char *const spectrum_name[] = {"falling", "at the threshold", "near it", "flat", "rank deficient", "one", "two steps", "a bulk below"};

/* sigma (n), falling, of a kind; the threshold is 0.25 */
static void spectrum(int kind, double *sigma, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double at = (double)i / (double)n;
        sigma[i] = kind == FALLING            ? pow(0.97, (double)i)
                   : kind == AT_THE_THRESHOLD ? (i < 10 ? 1.0 - 0.02 * (double)i : i < 20 ? 0.25 + 1e-7 * (15.5 - (double)i) : 0.2 * (1.0 - at))
                   : kind == NEAR             ? (i < 10 ? 1.0 - 0.02 * (double)i : i < 20 ? 0.2505 : 0.2495 - 0.2 * at)
                   : kind == FLAT             ? 1.0 - 0.1 * at
                   : kind == DEFICIENT        ? (i < 5 ? 1.0 - 0.1 * (double)i : 0.0)
                   : kind == ONE              ? (i == 0 ? 1.0 : 0.2 * (1.0 - at))
                   : kind == STEPS            ? (i < 40 ? 1.0 : i < 90 ? 0.26 : 0.24 * (1.0 - at))
                                              : (i < 30 ? 1.0 - 0.02 * (double)i : 0.245 - 0.001 * at);
    }
}

/* Each spectrum in each shape, at each scale; `most` is both above and below the count. */
START_TEST(counts_known_spectra)
{
    static const int64_t shape[][2] = {{260, 260}, {900, 220}, {220, 900}, {3, 3}, {1, 7}, {40, 12}};
    zo_backend *be;
    zo_err err;
    ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &err), ZO_OK);
    for (int k = 0; k < (int)(sizeof shape / sizeof *shape); k++) {
        int64_t n = shape[k][0] < shape[k][1] ? shape[k][0] : shape[k][1];
        zo_layout layout = {0};
        zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, shape[k][0], shape[k][1], 0, true);
        zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
        double *sigma = calloc((size_t)n, sizeof *sigma);
        for (int kind = 0; kind < SPECTRA; kind++) {
            for (int scale = -1; scale < 2; scale++) {
                spectrum(kind, sigma, n);
                for (int64_t i = 0; i < n; i++) {
                    sigma[i] *= pow(10.0, 4 * scale);
                }
                fill_singular(store, 0, sigma, n);
                for (int most = 4; most <= 64; most *= 4) {
                    bool all = false;
                    int got = zo_singular_count(be, store, 0, 0.25, most, &all), want = counted(sigma, n, 0.25, most);
                    int exact = zo_singular_count_all(be, store, 0, 0.25, most);
                    ck_assert_msg(got == exact && (kind == AT_THE_THRESHOLD || got == want), "%s, %lld x %lld, at most %d: %d, in float64 %d, expected %d",
                                  spectrum_name[kind], (long long)shape[k][0], (long long)shape[k][1], most, got, exact, want);
                    /* what is no hair's breadth from the threshold is decided in f32, where a matrix is large enough */
                    bool close = kind == AT_THE_THRESHOLD && most > 10;
                    ck_assert_msg(all == (2 * (most + 32) > n || close), "%s, %lld x %lld, at most %d: %s", spectrum_name[kind], (long long)shape[k][0],
                                  (long long)shape[k][1], most, all ? "all of them were asked for" : "decided in f32");
                }
            }
        }
        free(sigma);
        zo_store_free(be, store);
        zo_layout_free(&layout);
    }
    be->close(be);
}
END_TEST

/* The ends of the threshold, a matrix of zeros, and one whose squares are out of f32's range. */
START_TEST(counts_at_the_ends)
{
    enum { N = 240 };
    zo_backend *be;
    zo_err err;
    ck_assert_int_eq(zo_backend_open("cpu", 1, &be, &err), ZO_OK);
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, N, N, 0, true);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    double sigma[N];
    spectrum(FALLING, sigma, N);
    fill_singular(store, 0, sigma, N);
    ck_assert_int_eq(zo_singular_count(be, store, 0, 0.0, 64, NULL), 64);
    ck_assert_int_eq(zo_singular_count(be, store, 0, 1.0, 64, NULL), 1);
    ck_assert_int_eq(zo_singular_count(be, store, 0, 0.25, 1, NULL), 1);
    for (int i = 0; i < N; i++) {
        sigma[i] *= 1e-25;
    }
    fill_singular(store, 0, sigma, N);
    ck_assert_int_eq(zo_singular_count(be, store, 0, 0.25, 64, NULL), 46);
    memset(store->data, 0, sizeof(float) * N * N);
    bool all = false;
    ck_assert_int_eq(zo_singular_count(be, store, 0, 0.25, 64, &all), zo_singular_count_all(be, store, 0, 0.25, 64));
    ck_assert(all);
    zo_store_free(be, store);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

START_TEST(rank_rule_counts_singular_values)
{
    zo_backend *be;
    zo_err err;
    ck_assert_int_eq(zo_backend_open("cpu", 2, &be, &err), ZO_OK);
    zo_layout layout = {0};
    zo_layout_add(&layout, "tall", ZO_PARAM_MATRIX, 300, 20, 0, true);
    zo_layout_add(&layout, "wide", ZO_PARAM_MATRIX, 12, 40, 0, true);
    zo_layout_add(&layout, "next", ZO_PARAM_MATRIX, 16, 16, 1, true);
    zo_layout_add(&layout, "bias", ZO_PARAM_VECTOR, 1, 16, 1, false);
    zo_layout_add(&layout, "table", ZO_PARAM_TABLE, 30, 16, -1, true);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    static const double tall[] = {4.0, 3.0, 1.01, 0.99, 0.5, 0.01}, wide[] = {10.0, 2.51, 2.49, 1.0};
    double next[16], table[] = {1.0, 0.3, 0.26, 0.2};
    for (int i = 0; i < 16; i++) {
        next[i] = 1.0 - 0.02 * i;
    }
    fill_singular(store, 0, tall, 6);
    fill_singular(store, 1, wide, 4);
    fill_singular(store, 2, next, 16);
    fill_singular(store, 4, table, 4);
    ck_assert_int_eq(zo_singular_count(be, store, 0, 0.25, 64, NULL), 3);
    ck_assert_int_eq(zo_singular_count(be, store, 1, 0.25, 64, NULL), 2);
    ck_assert_int_eq(zo_singular_count(be, store, 2, 0.25, 64, NULL), 16);
    ck_assert_int_eq(zo_singular_count(be, store, 0, 1.0, 64, NULL), 1);
    int rank[5];
    zo_factor_spec spec = {.rank_max = 10, .threshold = 0.25};
    zo_rank_choose(be, store, &spec, rank);
    ck_assert(rank[0] == 2 && rank[1] == 2 && rank[2] == 10 && rank[3] == 0 && rank[4] == 3);
    spec.tables = ZO_TABLES_REST;
    zo_rank_choose(be, store, &spec, rank);
    ck_assert(rank[0] == 2 && rank[4] == 0);
    spec = (zo_factor_spec){.rank = 14, .tables = ZO_TABLES_FREEZE};
    zo_rank_choose(be, store, &spec, rank);
    ck_assert(rank[0] == 14 && rank[1] == 12 && rank[2] == 14 && rank[3] == 0 && rank[4] == 1);
    zo_store_free(be, store);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

static void real_model(const char *folder, int each)
{
    zo_backend *be;
    zo_model *model;
    zo_err err = {0};
    ck_assert_int_eq(zo_backend_open("cpu", 0, &be, &err), ZO_OK);
    zo_model_spec spec = {.folder = folder, .head = ZO_HEAD_CLASS, .classes = 2};
    ck_assert_msg(zo_model_open(&model, &spec, be, &err) == ZO_OK, "%s", err.text);
    const zo_store *store = zo_model_store(model);
    const zo_layout *layout = store->layout;
    int *rank = calloc((size_t)layout->n, sizeof *rank), matrices = 0, seen = 0, full = 0, least = 64, greatest = 0;
    double start = zo_now(), sum = 0.0;
    zo_factor_spec rule = {.rank_max = 64, .threshold = 0.25};
    zo_rank_choose(be, store, &rule, rank);
    double ours = zo_now() - start, theirs = 0.0;
    for (int t = 0; t < layout->n; t++) {
        if (rank[t] == 0) {
            continue;
        }
        sum += rank[t];
        least = rank[t] < least ? rank[t] : least;
        greatest = rank[t] > greatest ? rank[t] : greatest;
        if (matrices++ % each != 0) {
            continue;
        }
        bool all;
        int got = zo_singular_count(be, store, t, 0.25, 64, &all);
        full += all;
        seen++;
        start = zo_now();
        int want = zo_singular_count_all(be, store, t, 0.25, 64);
        theirs += zo_now() - start;
        ck_assert_msg(got == want, "%s of %s: %d, in float64 %d", layout->param[t].name, folder, got, want);
        ck_assert_int_le(rank[t], want);
    }
    ck_assert_int_gt(seen, 0);
    printf("measured: %s: ranks of %d matrices in %.2f s: %d to %d, mean %.1f; %d of %d that were compared went to float64; float64 alone takes some %.1f s\n", folder,
           matrices, ours, least, greatest, sum / matrices, full, seen, theirs * matrices / seen);
    free(rank);
    zo_model_close(model);
    be->close(be);
}

START_TEST(counts_real_models)
{
    static const char *const name[] = {"minilm-l6", "smollm2-135m"};
    const char *models = getenv("ZO_TEST_MODELS");
    for (int k = 0; k < 2; k++) {
        char folder[4096];
        zo_path_join(folder, sizeof folder, models != NULL ? models : "../shared/models", name[k]);
        if (!zo_path_is_dir(folder)) {
            printf("skipped: ranks of %s, which is not there\n", folder);
            continue;
        }
        real_model(folder, getenv("ZO_TEST_LONG") != NULL ? 1 : k == 0 ? 5 : 30);
    }
}
END_TEST

/* Normal numbers plus a few large directions: a spectrum with a bulk, as weights have them. */
START_TEST(counts_a_large_matrix)
{
    enum { ROWS = 20480, COLS = 5120, LARGE = 40 };
    if (getenv("ZO_TEST_LONG") == NULL) {
        printf("skipped: a matrix of %d x %d, without ZO_TEST_LONG\n", ROWS, COLS);
        return;
    }
    zo_backend *be;
    zo_err err;
    ck_assert_int_eq(zo_backend_open("cpu", 0, &be, &err), ZO_OK);
    zo_layout layout = {0};
    zo_layout_add(&layout, "w", ZO_PARAM_MATRIX, ROWS, COLS, 0, true);
    zo_store *store = zo_store_new(be, &layout, ZO_TAG_PARAMS);
    be->init_normal(be, store, 0, 3, 0.01f);
    float *u = calloc(ROWS, sizeof *u), *v = calloc(COLS, sizeof *v);
    for (int k = 0; k < LARGE; k++) {
        zo_normals((zo_stream){.seed = 5, .step = (uint32_t)k, .tensor = 1}, 0, ROWS, u);
        zo_normals((zo_stream){.seed = 5, .step = (uint32_t)k, .tensor = 2}, 0, COLS, v);
        float size = 16.0f / sqrtf((float)ROWS * COLS) / (1.0f + 0.05f * (float)k);
#pragma omp parallel for
        for (int64_t i = 0; i < ROWS; i++) {
            for (int64_t j = 0; j < COLS; j++) {
                store->data[i * COLS + j] += size * u[i] * v[j];
            }
        }
    }
    for (int most = 16; most <= 64; most *= 4) {
        bool all;
        double start = zo_now();
        int count = zo_singular_count(be, store, 0, 0.25, most, &all);
        printf("measured: %d x %d, at most %d: %d in %.2f s%s\n", ROWS, COLS, most, count, zo_now() - start, all ? ", in float64" : "");
        ck_assert(!all);
        ck_assert_int_eq(count, most < LARGE ? most : LARGE);
    }
    free(u);
    free(v);
    zo_store_free(be, store);
    zo_layout_free(&layout);
    be->close(be);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("rank rule");
    TCase *tests = tcase_create("rank rule");
    tcase_set_timeout(tests, getenv("ZO_TEST_LONG") != NULL ? 3600 : 300);
    tcase_add_test(tests, counts_known_spectra);
    tcase_add_test(tests, counts_at_the_ends);
    tcase_add_test(tests, rank_rule_counts_singular_values);
    tcase_add_test(tests, counts_real_models);
    tcase_add_test(tests, counts_a_large_matrix);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
