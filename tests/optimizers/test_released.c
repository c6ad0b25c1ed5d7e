/* test_released.c: methods whose released code is public, against that code: golden/make_released.py ran the authors' own loops for 20 steps, in float64,
 * with the draws of core/rng.h (golden/released.json). Here the program's estimators run the same steps on the same problem: every loss and the
 * weights agree to what those draws' arithmetic leaves. Each case is run once more with an option that is wrong, and is then seen to be another.
 * The twins (twins/) are the same methods once more, written here from their texts; these are what their authors really run. */
#include <check.h>
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/io.h"
#include "tests/objective64.h"
#include "tests/oracles.h"
#include "tests/suite.h"

enum { SEED = 77, STEPS = 20, EXAMPLES = 4, COUNT = 15 + 4 + 14, MOST = 128, ASKED = 16 };
static const double within = 1e-6; /* the script's z is rounded to f32 from float64, so a number in some may differ in the last bit: 6e-8 of it */

/* An option at a value that is not the released code's. */
static const struct { const char *name, *key, *value; } others[] = {
    {"mezo", "weight_decay", "0.4"}, {"mezo", "draw", "\"rademacher\""}, {"lozo", "mode", "\"plain\""}, {"lozo", "period", "6"}, {"hizoo", "smooth", "0.04"},
    {"fzoo", "divisor", "\"n-1\""},  {"fzoo", "queries", "7"}, {"lozo-m", "mode", "\"plain\""}, {"lozo-m", "beta1", "0.7"}, {"conmezo", "theta", "1.1"},
    {"conmezo", "mode", "\"plain\""}, {"mezo-svrg", "mode", "\"paper\""}, {"mezo-svrg", "eta2", "6e-3"}};

typedef struct problem { zo_layout layout; int example; int64_t place[COUNT]; double asked[ASKED]; int nasked; } problem;

static void problem_open(problem *p)
{
    memset(p, 0, sizeof *p);
    zo_layout_add(&p->layout, "a.weight", ZO_PARAM_MATRIX, 3, 5, 0, true);
    zo_layout_add(&p->layout, "a.bias", ZO_PARAM_VECTOR, 1, 4, 0, false);
    zo_layout_add(&p->layout, "b.weight", ZO_PARAM_MATRIX, 2, 7, 1, true);
    int at = 0;
    for (int t = 0; t < p->layout.n; t++) {
        for (int64_t i = 0; i < p->layout.param[t].rows * p->layout.param[t].cols; i++) {
            p->place[at++] = p->layout.param[t].offset + i;
        }
    }
    ck_assert(at == COUNT && p->layout.size <= MOST);
}

static double example_loss(const problem *p, int example, const double *w)
{
    double loss = 1.0, sum = 0.0;
    for (int i = 0; i < COUNT; i++) {
        double x = w[p->place[i]], d = x - sin(1.7 * i + 2.3 * example);
        loss += (0.3 + 0.1 * (i % 5)) * d * d / 2 + (1.0 - cos(2.0 * x)) / 5;
        sum += x;
    }
    return loss + sum * sum / 200;
}

static double problem_loss(void *context, zo_which which, const double *w)
{
    problem *p = context;
    double loss = 0.0;
    for (int e = 0; e < EXAMPLES; e++) {
        loss += which == ZO_BATCH_FULL ? example_loss(p, e, w) / EXAMPLES : e == p->example ? example_loss(p, e, w) : 0.0;
    }
    ck_assert_int_lt(p->nasked, ASKED);
    p->asked[p->nasked++] = loss;
    return loss;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double largest_difference(const cJSON *theirs, const double *ours, int n)
{
    double most = cJSON_GetArraySize(theirs) == n ? 0.0 : INFINITY;
    int i = 0;
    const cJSON *x;
    cJSON_ArrayForEach(x, theirs) {
        most = i < n ? fmax(most, fabs(x->valuedouble - ours[i++])) : most;
    }
    return most;
}

/* How far the estimator with these options is from a case: of a loss, those of a step in order of size, and of a weight. */
static void run(const cJSON *c, const cJSON *options, double *losses, double *weights)
{
    problem p;
    problem_open(&p);
    objective64 *o = objective64_new(&p.layout, SEED, &p, problem_loss, NULL);
    for (int i = 0; i < COUNT; i++) {
        o->w[p.place[i]] = cos(i) / 2;
    }
    char *text = cJSON_PrintUnformatted(options);
    running r = running_new(cJSON_GetObjectItem(c, "name")->valuestring, text, &o->o);
    cJSON_free(text);
    *losses = *weights = 0.0;
    for (int t = 0; t < STEPS; t++) {
        zo_step_report report;
        char step[12];
        double w[COUNT];
        p.example = t % EXAMPLES;
        p.nasked = 0;
        ck_assert_int_eq(running_step(&r, EXAMPLES, STEPS, cJSON_GetObjectItem(c, "lr")->valuedouble, cJSON_GetObjectItem(c, "eps")->valuedouble, &report), ZO_OK);
        qsort(p.asked, (size_t)p.nasked, sizeof *p.asked, compare_doubles);
        *losses = fmax(*losses, largest_difference(cJSON_GetArrayItem(cJSON_GetObjectItem(c, "losses"), t), p.asked, p.nasked));
        snprintf(step, sizeof step, "%d", t + 1);
        const cJSON *theirs = cJSON_GetObjectItem(cJSON_GetObjectItem(c, "weights"), step);
        for (int i = 0; i < COUNT; i++) {
            w[i] = o->w[p.place[i]];
        }
        *weights = fmax(*weights, theirs != NULL ? largest_difference(theirs, w, COUNT) : 0.0);
    }
    running_free(&r);
    objective64_free(o);
    zo_layout_free(&p.layout);
}

static cJSON *read_cases(void)
{
    char *text;
    size_t bytes;
    zo_err err = {0};
    ck_assert_msg(zo_read_file("tests/golden/released.json", 1 << 20, &text, &bytes, &err) == ZO_OK, "%s", err.text);
    cJSON *all = cJSON_Parse(text);
    zo_free(text);
    return all;
}

START_TEST(estimators_go_as_the_released_code)
{
    cJSON *all = read_cases();
    const cJSON *c;
    int seen[sizeof others / sizeof *others] = {0};
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "cases")) {
        const char *name = cJSON_GetObjectItem(c, "name")->valuestring;
        cJSON *options = cJSON_GetObjectItem(c, "options");
        char *said = cJSON_PrintUnformatted(options);
        double losses, weights, least = INFINITY;
        ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(c, "losses")), STEPS);
        ck_assert_int_ge(cJSON_GetArraySize(cJSON_GetObjectItem(c, "weights")), 3);
        run(c, options, &losses, &weights);
        ck_assert_msg(losses <= within && weights <= within, "%s %s: losses are %g apart from the released code's, weights %g", name, said, losses, weights);
        for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
            if (strcmp(others[k].name, name) == 0) {
                double other_losses, other_weights;
                cJSON *wrong = cJSON_Duplicate(options, true);
                cJSON_DeleteItemFromObject(wrong, others[k].key);
                cJSON_AddItemToObject(wrong, others[k].key, cJSON_Parse(others[k].value));
                run(c, wrong, &other_losses, &other_weights);
                cJSON_Delete(wrong);
                ck_assert_msg(other_weights > 100 * within, "%s with %s %s is not told from the released code: %g apart", name, others[k].key, others[k].value, other_weights);
                least = fmin(least, other_weights);
                seen[k]++;
            }
        }
        printf("measured: %s %s is its released code for %d steps (%s): losses %.0e, weights %.0e apart, within %.0e; with an option wrong %.0e or more\n", name, said,
               STEPS, cJSON_GetObjectItem(c, "file")->valuestring, losses, weights, within, least);
        cJSON_free(said);
    }
    for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
        ck_assert_int_gt(seen[k], 0);
    }
    cJSON_Delete(all);
}
END_TEST

START_TEST(the_list_has_these)
{
    char tolerance[100];
    snprintf(tolerance, sizeof tolerance, "%g, over %d steps", within, STEPS);
    static oracle_lines lines;
    lines = (oracle_lines){.oracle = "released code", .within = tolerance};
    cJSON *all = read_cases();
    const cJSON *c;
    cJSON_ArrayForEach(c, cJSON_GetObjectItem(all, "cases")) {
        char *options = cJSON_PrintUnformatted(cJSON_GetObjectItem(c, "options"));
        oracle_add(&lines, cJSON_GetObjectItem(c, "name")->valuestring, options);
        cJSON_free(options);
    }
    oracle_end(&lines);
    cJSON_Delete(all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("released");
    TCase *tests = tcase_create("released");
    tcase_add_test(tests, estimators_go_as_the_released_code);
    suite_add_tcase(suite, tests);
    tests = tcase_create("table");
    tcase_add_test(tests, the_list_has_these);
    suite_add_tcase(suite, tests);
    return suite_run(suite) != 0;
}
