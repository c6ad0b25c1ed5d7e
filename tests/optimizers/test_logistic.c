/* test_logistic.c: the logistic regression of the linear probe (optimizers/logistic.h): a case by hand, the gradient of its objective at the solution
 * and against differences, solutions and folds of scikit-learn (tests/golden/make_logistic.py), and what is refused. */
#include "optimizers/logistic.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/suite.h"

enum { MOST = 128, WIDTH = 8, CLASSES = 4 };

typedef struct table { float x[MOST * WIDTH]; int32_t label[MOST]; } table;

/* The rows of make_logistic.py. */
static zo_logistic rows(table *t, int n, int width, int classes, bool bias)
{
    for (int i = 0; i < n; i++) {
        int largest = 0;
        for (int j = 0; j < width; j++) {
            t->x[i * width + j] = (float)(nearbyint(64 * cos(1.7 * i + 2.9 * j + 0.3 * i * j)) / 64);
            largest = j < classes && t->x[i * width + j] > t->x[i * width + largest] ? j : largest;
        }
        t->label[i] = i % 4 == 0 ? (7 * i + i % 11 * (i % 3)) % classes : largest;
    }
    return (zo_logistic){.n = n, .width = width, .classes = classes, .bias = bias, .x = t->x, .label = t->label, .strength = 1.0, .tolerance = 1e-10,
                         .iterations = 100000};
}

/* One number a row, 1 and -1, of classes 1 and 0: W is -v, v with -2 C / (1 + e^2v) + v = 0, for each row's probability of being wrong is
 * 1 / (1 + e^2v). C so that v = 1/2: C = (1 + e) / 4. */
START_TEST(by_hand)
{
    const float x[] = {1.0f, -1.0f};
    const int32_t label[] = {1, 0};
    zo_err err;
    double w[2] = {0};
    zo_logistic q = {.n = 2, .width = 1, .classes = 2, .x = x, .label = label, .strength = (1.0 + exp(1.0)) / 4.0, .tolerance = 1e-12, .iterations = 100};
    ck_assert_msg(zo_logistic_fit(&q, w, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(fabs(w[1] - 0.5) < 1e-12 && fabs(w[0] + 0.5) < 1e-12, "%.15g, %.15g", w[0], w[1]);
    ck_assert_double_eq_tol(zo_logistic_loss(&q, w, NULL), log(1.0 + exp(-1.0)), 1e-14);
}
END_TEST

/* scikit-learn 1.4: rows, width, classes, with b?, C; W and b behind each row of it */
static const struct { int n, width, classes; bool bias; double strength, w[CLASSES * (WIDTH + 1)]; } fits[] = {
    {60, 5, 3, true, 1, {1.006747781, 0.1333750868, -0.5683635853, -0.3649432145, 0.2028754181, 0.05438785872, -0.8671387138, 1.004099535,
     -0.1035699309, -0.0774327353, -0.541858289, -0.2118509346, -0.1396090667, -1.137474621, 0.6719335163, 0.4423759498, 0.3389828709,
     0.1574630759}},
    {60, 5, 3, false, 0.05, {0.3050403737, 0.04825967814, -0.2302092568, -0.06988829314, 0.05373175364, -0.216673393, 0.3064653548, 0.002865107997,
     -0.08280866674, -0.1393588195, -0.08836698067, -0.3547250329, 0.2273441488, 0.1526969599, 0.08562706583}},
    {41, 4, 2, true, 2, {0.988971149, -0.6959375111, -0.05461717982, -0.7433659836, 0.3011888268, -0.988971149, 0.6959375111, 0.05461717982,
     0.7433659836, -0.3011888268}},
};

START_TEST(fits_are_scikit_learns)
{
    static table t;
    zo_err err;
    zo_logistic q = rows(&t, fits[_i].n, fits[_i].width, fits[_i].classes, fits[_i].bias);
    double w[CLASSES * (WIDTH + 1)] = {0}, g[CLASSES * (WIDTH + 1)], most = 0.0, slope = 0.0;
    q.strength = fits[_i].strength;
    ck_assert_msg(zo_logistic_fit(&q, w, &err) == ZO_OK, "%s", err.text);
    zo_logistic_loss(&q, w, g);
    for (int j = 0; j < zo_logistic_size(&q); j++) {
        most = fmax(most, fabs(w[j] - fits[_i].w[j]));
        slope = fmax(slope, fabs(g[j]));
    }
    printf("measured: %d rows: %.0e from scikit-learn, within 1e-7; the gradient is %.0e, within 1e-10\n", (int)q.n, most, slope);
    ck_assert(most < 1e-7 && slope <= 1e-10);
}
END_TEST

/* The objective in float64, written out, at w: what zo_logistic_loss says of its gradient is the slope of this. */
static double objective(const zo_logistic *q, const double *w)
{
    int columns = q->width + q->bias;
    double sum = 0.0;
    for (int64_t i = 0; i < q->n; i++) {
        double z[CLASSES], all = 0.0;
        for (int k = 0; k < q->classes; k++) {
            z[k] = q->bias ? w[k * columns + q->width] : 0.0;
            for (int j = 0; j < q->width; j++) {
                z[k] += (double)q->x[i * q->width + j] * w[k * columns + j];
            }
            all += exp(z[k]);
        }
        bool out = q->fold != NULL && q->fold[i] == q->without;
        sum += out ? 0.0 : q->strength * (log(all) - z[q->label[i]]);
    }
    for (int k = 0; k < q->classes; k++) {
        for (int j = 0; j < q->width; j++) {
            sum += 0.5 * w[k * columns + j] * w[k * columns + j];
        }
    }
    return sum;
}

/* At any w, with a fold left out; and no small move from a solution lowers the objective. */
START_TEST(gradient_is_the_slope)
{
    static table t;
    zo_err err;
    zo_logistic q = rows(&t, 57, 6, 4, true);
    int32_t fold[MOST];
    double w[CLASSES * (WIDTH + 1)], g[CLASSES * (WIDTH + 1)], h = 1e-5;
    zo_logistic_folds(t.label, 57, 3, fold);
    q.fold = fold;
    q.without = 1;
    q.strength = 0.7;
    for (int j = 0; j < zo_logistic_size(&q); j++) {
        w[j] = sin(3.0 * j);
    }
    zo_logistic_loss(&q, w, g);
    for (int j = 0; j < zo_logistic_size(&q); j++) {
        double at = w[j];
        w[j] = at + h;
        double up = objective(&q, w);
        w[j] = at - h;
        double down = objective(&q, w);
        w[j] = at;
        ck_assert_msg(fabs((up - down) / (2 * h) - g[j]) < 1e-7, "number %d: %g, differences say %g", j, g[j], (up - down) / (2 * h));
    }
    ck_assert_msg(zo_logistic_fit(&q, w, &err) == ZO_OK, "%s", err.text);
    double least = objective(&q, w);
    for (int j = 0; j < zo_logistic_size(&q); j++) {
        for (int side = -1; side <= 1; side += 2) {
            w[j] += side * 1e-4;
            ck_assert_double_gt(objective(&q, w), least - 1e-12);
            w[j] -= side * 1e-4;
        }
    }
}
END_TEST

/* scikit-learn 1.4: rows, width, classes, folds; the strength that its cross-validation takes, and the fold of each row */
static const struct { int n, width, classes, folds; double strength; const char *fold; } chosen[] = {
    {60, 5, 3, 5, 0.04641588834, "000000000001111110211121222112222233333233233334434444444444"},
    {41, 4, 2, 5, 0.3593813664, "00000000011111112212222322333333344444444"},
    {90, 6, 4, 3, 2.782559402, "000000000000000000000010010011001110111011111111111111112211112222222222222222222222222222"},
    {23, 3, 2, 4, 0.3593813664, "00000110111122222323333"},
};

START_TEST(strengths_are_scikit_learns)
{
    static table t;
    zo_err err;
    zo_logistic q = rows(&t, chosen[_i].n, chosen[_i].width, chosen[_i].classes, true);
    int32_t fold[MOST];
    double strength;
    zo_logistic_folds(t.label, q.n, chosen[_i].folds, fold);
    for (int i = 0; i < q.n; i++) {
        ck_assert_msg(fold[i] == chosen[_i].fold[i] - '0', "row %d is of fold %d", i, fold[i]);
    }
    q.tolerance = 1e-6;
    ck_assert_msg(zo_logistic_choose(&q, chosen[_i].folds, &strength, &err) == ZO_OK, "%s", err.text);
    ck_assert_msg(fabs(strength / chosen[_i].strength - 1.0) < 1e-6, "%g, and scikit-learn takes %g", strength, chosen[_i].strength);
}
END_TEST

/* Rows that a plane divides, weakly held: the largest strength there is. */
START_TEST(divided_rows_converge)
{
    static table t;
    zo_err err;
    zo_logistic q = rows(&t, 100, 7, 3, true);
    double w[CLASSES * (WIDTH + 1)] = {0};
    for (int i = 0; i < 100; i++) {
        t.label[i] = t.x[i * 7] > 0.3f ? 2 : t.x[i * 7] > -0.3f ? 1 : 0;
    }
    q.strength = 1e4;
    q.tolerance = 1e-4;
    ck_assert_msg(zo_logistic_fit(&q, w, &err) == ZO_OK, "%s", err.text);
    ck_assert_double_lt(zo_logistic_loss(&q, w, NULL), 0.01);
}
END_TEST

START_TEST(ends_early_and_refused)
{
    static table t;
    zo_err err;
    zo_logistic q = rows(&t, 20, 4, 3, true);
    double w[CLASSES * (WIDTH + 1)] = {0};
    q.iterations = 1;
    double none = objective(&q, w);
    ck_assert_int_eq(zo_logistic_fit(&q, w, &err), ZO_OK); /* what one iteration gives is taken */
    double one = objective(&q, w);
    q.iterations = 1000;
    q.least_fall = 1.0; /* and so is one step */
    ck_assert_int_eq(zo_logistic_fit(&q, w, &err), ZO_OK);
    double two = objective(&q, w);
    q.least_fall = 0.0;
    ck_assert_int_eq(zo_logistic_fit(&q, w, &err), ZO_OK);
    ck_assert(one < none && two < one && objective(&q, w) < two);
    t.x[5] = NAN;
    ck_assert_int_eq(zo_logistic_fit(&q, w, &err), ZO_EDIVERGED);
    ck_assert_msg(strstr(err.text, "not finite") != NULL, "%s", err.text);
    q = rows(&t, 20, 4, 3, true);
    for (int i = 0; i < 20; i++) {
        t.label[i] = i == 3 ? 2 : i % 2;
    }
    ck_assert_int_eq(zo_logistic_check(&q, 0, &err), ZO_OK);
    ck_assert_int_eq(zo_logistic_check(&q, 5, &err), ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "class 2 has 1 training rows") != NULL, "%s", err.text);
    ck_assert_int_eq(zo_logistic_check(&q, 21, &err), ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "20 training rows are less than 21 folds") != NULL, "%s", err.text);
    t.label[3] = 0;
    ck_assert_int_eq(zo_logistic_check(&q, 0, &err), ZO_EINPUT);
    ck_assert_msg(strstr(err.text, "class 2 has 0 training rows") != NULL && strstr(err.text, "strength") == NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("logistic");
    TCase *tests = tcase_create("logistic");
    tcase_add_test(tests, by_hand);
    tcase_add_loop_test(tests, fits_are_scikit_learns, 0, sizeof fits / sizeof *fits);
    tcase_add_test(tests, gradient_is_the_slope);
    tcase_add_loop_test(tests, strengths_are_scikit_learns, 0, sizeof chosen / sizeof *chosen);
    tcase_add_test(tests, divided_rows_converge);
    tcase_add_test(tests, ends_early_and_refused);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
