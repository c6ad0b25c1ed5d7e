/* test_outcome.c: the rules of bench/cell/outcome.h over hand-made courses of losses and evaluations; what others do to a machine (bench/cell/machine.h),
 * over hand-made readings; words for memory limits. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/cell/machine.h"
#include "bench/cell/outcome.h"
#include "tests/suite.h"

/* ---- faults --------------------------------------------------------------------------------------------------------------- */

/* Losses step by step; returns the step at which the run would be stopped, 0 = it ends undisturbed; *since as zo_watch_fault. */
static int64_t run_losses(const double *loss, int n, bool *at_end, int64_t *since)
{
    zo_watch w = {0};
    *at_end = false;
    for (int i = 0; i < n; i++) {
        zo_watch_loss(&w, i + 1, loss[i]);
        if (zo_watch_fault(&w, n, false, since) == ZO_FAULT_DIVERGED) {
            return i + 1;
        }
    }
    *at_end = zo_watch_fault(&w, n, true, since) == ZO_FAULT_DIVERGED;
    return 0;
}

START_TEST(losses_that_leave)
{
    double loss[100];
    bool at_end;
    int64_t since = 0;
    for (int i = 0; i < 100; i++) {
        loss[i] = i < 10 ? 1 : 10.01;
    }
    ck_assert_int_eq(run_losses(loss, 100, &at_end, &since), 30); /* the 20th far row; it began with the 11th */
    ck_assert_int_eq(since, 11);
    loss[29] = 10; /* not above ten times: the count begins again */
    ck_assert_int_eq(run_losses(loss, 100, &at_end, &since), 50);
    ck_assert_int_eq(since, 31);
    ck_assert_int_eq(run_losses(loss, 29, &at_end, &since), 0); /* 19 far rows up to the end */
    ck_assert(at_end);
    ck_assert_int_eq(since, 11);
    ck_assert_int_eq(run_losses(loss, 12, &at_end, &since), 0); /* two are not enough */
    ck_assert(!at_end);
    run_losses(loss, 13, &at_end, &since);
    ck_assert(at_end);
    /* a start near 0 counts as 0.1 */
    for (int i = 0; i < 100; i++) {
        loss[i] = i == 0 ? 1e-4 : 1.0;
    }
    ck_assert_int_eq(run_losses(loss, 100, &at_end, &since), 0);
    ck_assert(!at_end);
    loss[99] = 1.01;
    run_losses(loss + 1, 99, &at_end, &since); /* the start is now 1 */
    ck_assert(!at_end);
}
END_TEST

START_TEST(dev_losses_that_leave)
{
    zo_watch w = {0};
    int64_t since;
    zo_watch_dev(&w, 0, 0.7);
    zo_watch_dev(&w, 10, 7.1);
    ck_assert_int_eq(zo_watch_fault(&w, 10, false, &since), ZO_FAULT_NONE);
    zo_watch_dev(&w, 20, 7.2);
    ck_assert_int_eq(zo_watch_fault(&w, 20, false, &since), ZO_FAULT_DIVERGED);
    ck_assert_int_eq(since, 10);
    zo_watch_dev(&w, 30, 6.9);
    ck_assert_int_eq(zo_watch_fault(&w, 30, true, &since), ZO_FAULT_NONE);
    zo_watch_dev(&w, 40, 7.1);
    ck_assert_int_eq(zo_watch_fault(&w, 40, true, &since), ZO_FAULT_DIVERGED);
    ck_assert_int_eq(since, 40);
}
END_TEST

START_TEST(still_runs)
{
    static const struct { int moves, still, planned; bool ended; zo_fault fault; } of[] = {
        {10, 49, 1000, false, ZO_FAULT_NONE}, {10, 50, 1000, false, ZO_FAULT_DEAD},   {10, 99, 2000, false, ZO_FAULT_NONE},
        {10, 100, 2000, false, ZO_FAULT_DEAD}, {10, 10, 20, true, ZO_FAULT_DEAD},     {11, 9, 20, true, ZO_FAULT_NONE},
        {1, 4, 5, true, ZO_FAULT_NONE},        {0, 5, 5, true, ZO_FAULT_DEAD},        {10, 10, 20, false, ZO_FAULT_NONE}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_watch w = {0};
        int64_t since = 0;
        for (int s = 1; s <= of[i].moves + of[i].still; s++) {
            zo_watch_step(&w, s, s <= of[i].moves ? 1e-30 : s % 2 ? 0.0 : -0.0);
        }
        ck_assert_msg(zo_watch_fault(&w, of[i].planned, of[i].ended, &since) == of[i].fault, "case %zu", i);
        if (of[i].fault != ZO_FAULT_NONE) {
            ck_assert_int_eq(since, of[i].moves + 1);
        }
        w.ties = true; /* then it is dead at its end alone */
        ck_assert_int_eq(zo_watch_fault(&w, of[i].planned, of[i].ended, &since), of[i].ended ? of[i].fault : ZO_FAULT_NONE);
        zo_watch_step(&w, 9999, NAN); /* a method without projected gradients never stands still */
        ck_assert_int_eq(zo_watch_fault(&w, of[i].planned, of[i].ended, &since), ZO_FAULT_NONE);
    }
}
END_TEST

/* ---- the headline --------------------------------------------------------------------------------------------------------- */

static zo_evaluation evaluation(double accuracy, double matthews, double loss)
{
    return (zo_evaluation){.examples = 10, .metric = {[ZO_ACCURACY] = accuracy, [ZO_F1] = NAN, [ZO_MACRO_F1] = accuracy, [ZO_MATTHEWS] = matthews},
                           .loss = loss};
}

START_TEST(selections)
{
    zo_candidate c[] = {{.step = 0, .dev = evaluation(0.99, 0.9, 0.01)},
                        {.step = 5, .dev = evaluation(0.7, 0.1, 0.5), .test = evaluation(0.6, 0.1, 0.6)},
                        {.step = 10, .dev = evaluation(0.8, 0.2, 0.6), .test = evaluation(0.5, 0.1, 0.7)},
                        {.step = 15, .dev = evaluation(0.8, 0.3, 0.4), .test = evaluation(0.9, 0.1, 0.5)},
                        {.step = 20, .dev = evaluation(0.1, 0.0, 0.9), .test = evaluation(0.9, 0.0, 0.9)}};
    static const struct { zo_selection selection; zo_metric metric; int64_t from, before, best; } of[] = {
        {ZO_SELECT_DEV_METRIC, ZO_ACCURACY, 1, INT64_MAX, 2}, /* the first of equals; step 0 does not compete */
        {ZO_SELECT_DEV_METRIC, ZO_ACCURACY, 0, INT64_MAX, 0},
        {ZO_SELECT_DEV_METRIC, ZO_MATTHEWS, 1, INT64_MAX, 3}, /* by the cell's own metric */
        {ZO_SELECT_DEV_LOSS, ZO_ACCURACY, 1, INT64_MAX, 3},
        {ZO_SELECT_DEV_LOSS, ZO_ACCURACY, 1, 15, 1},          /* before the fault */
        {ZO_SELECT_DEV_METRIC, ZO_ACCURACY, 1, 10, 1},
        {ZO_SELECT_DEV_METRIC, ZO_ACCURACY, 1, 5, -1},
        {ZO_SELECT_LAST, ZO_ACCURACY, 1, INT64_MAX, 4},
        {ZO_SELECT_BEST_TEST, ZO_ACCURACY, 1, INT64_MAX, 3},
        {ZO_SELECT_DEV_METRIC, ZO_F1, 1, INT64_MAX, -1}};     /* NaN is never the best */
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        int64_t best = zo_select_candidate(of[i].selection, of[i].metric, c, 5, of[i].from, of[i].before);
        ck_assert_msg(best == of[i].best, "case %zu: %lld", i, (long long)best);
    }
    static const char *const with_test[] = {"test@best-dev", "test@best-dev-loss", "last-test", "best-test"},
                      *const without[] = {"best-dev", "best-dev-loss", "last-dev"};
    for (int s = 0; s < 4; s++) {
        ck_assert_str_eq(zo_selected_name((zo_selection)s, &c[1]), with_test[s]);
        if (s < 3) {
            ck_assert_str_eq(zo_selected_name((zo_selection)s, &c[0]), without[s]);
        }
    }
}
END_TEST

/* 3 of 4 labels are class 1: F1 of a coin = 2 p / (2 p + 1) with p = 3/4 and 1/4. */
START_TEST(chance_by_hand)
{
    static const int32_t two[] = {1, 1, 0, 1}, three[] = {0, 2, 2};
    double metric[ZO_METRICS];
    zo_chance(two, 4, 2, metric);
    ck_assert_double_eq_tol(metric[ZO_ACCURACY], 0.5, 1e-15);
    ck_assert_double_eq_tol(metric[ZO_F1], 0.6, 1e-15);
    ck_assert_double_eq_tol(metric[ZO_MACRO_F1], (0.6 + 1.0 / 3) / 2, 1e-15);
    ck_assert_double_eq(metric[ZO_MATTHEWS], 0);
    zo_chance(three, 3, 3, metric); /* class 1 does not occur and is left out: 2 p (1/3) / (p + 1/3) for p = 1/3, 2/3 */
    ck_assert_double_eq_tol(metric[ZO_ACCURACY], 1.0 / 3, 1e-15);
    ck_assert(isnan(metric[ZO_F1]));
    ck_assert_double_eq_tol(metric[ZO_MACRO_F1], (1.0 / 3 + 4.0 / 9) / 2, 1e-15);
    zo_chance(two, 0, 2, metric);
    ck_assert(isnan(metric[ZO_ACCURACY]));
}
END_TEST

/* ---- the machine ---------------------------------------------------------------------------------------------------------- */

START_TEST(disturbances)
{
    /* ten seconds; busy = own 18 of 20 and what others took */
    static const struct { int threads, cores; double own, busy, steal; bool disturbed; } of[] = {
        {2, 2, 18, 18.5, 0, false}, {2, 2, 17, 19.5, 0, true},  /* a tenth of two processors is two seconds */
        {2, 2, 18, 18, 0.3, false}, {2, 2, 18, 18, 0.5, true},  /* 2 % of them is 0.4 */
        {1, 2, 10, 20, 0, false},   {1, 2, 9, 20.5, 0, true},   /* the processor that it leaves free is anybody's */
        {4, 2, 18, 18.5, 0, false}, {2, 2, 18, NAN, NAN, false}, /* more threads than processors; nothing is known */
        {2, 2, 18, 17.9, 0, false}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        zo_load from = {.wall_seconds = 100, .cpu_seconds = 1, .busy_seconds = 50, .steal_seconds = 2, .switches = 3, .cores = of[i].cores}, to = from;
        to.wall_seconds += 10;
        to.cpu_seconds += of[i].own;
        to.busy_seconds += of[i].busy;
        to.steal_seconds += of[i].steal;
        to.switches += 7;
        zo_disturbance d = zo_load_between(&from, &to, of[i].threads);
        ck_assert_msg(d.disturbed == of[i].disturbed, "case %zu", i);
        ck_assert_double_eq_tol(d.cpu_seconds, of[i].own, 1e-9);
        ck_assert_int_eq(d.switches, 7);
        if (isfinite(of[i].busy)) {
            ck_assert_double_eq_tol(d.foreign_seconds, fmax(of[i].busy - of[i].own, 0), 1e-9);
            ck_assert_double_eq_tol(d.steal_seconds, of[i].steal, 1e-9);
        }
    }
}
END_TEST

/* A process that works for a while says so, and a reading after another is not before it. */
START_TEST(readings)
{
    zo_load from = zo_load_read(), to;
    volatile double x = 1;
    do {
        for (int i = 0; i < 1000000; i++) {
            x = x * 1.0000001 + 1e-9;
        }
        to = zo_load_read();
    } while (to.cpu_seconds - from.cpu_seconds < 0.1);
    ck_assert_double_ge(to.wall_seconds - from.wall_seconds, 0.05);
    ck_assert_int_ge(to.cores, 1);
    ck_assert(isnan(to.busy_seconds) || to.busy_seconds - from.busy_seconds > 0.04);
}
END_TEST

START_TEST(memory_words)
{
    static const struct { const char *text; uint64_t bytes; } of[] = {
        {"1000", 1000}, {"1e9", 1000000000}, {"4G", 4294967296u}, {"512M", 536870912}, {"2k", 2048}, {"1.5KiB", 1536}, {"3 MB", 3000000}, {"1T", 1099511627776u},
        {"abc", 0}, {"-5", 0}, {"0", 0}, {"4X", 0}, {"4G4", 0}, {"nan", 0}, {"inf", 0}, {"1e30", 0}, {"0.1", 0}, {"G", 0}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        uint64_t bytes = 0;
        zo_err err = {0};
        setenv("ZO_MEMORY_LIMIT", of[i].text, 1);
        zo_status status = zo_memory_limit(&bytes, &err);
        ck_assert_msg((status == ZO_OK) == (of[i].bytes > 0) && bytes == of[i].bytes, "%s: %llu %s", of[i].text, (unsigned long long)bytes, err.text);
        if (status != ZO_OK) {
            ck_assert_msg(strstr(err.text, "ZO_MEMORY_LIMIT is \"") != NULL && strstr(err.text, of[i].text) != NULL, "%s", err.text);
        }
    }
    unsetenv("ZO_MEMORY_LIMIT");
    uint64_t bytes = 0;
    zo_err err = {0};
    ck_assert_int_eq(zo_memory_limit(&bytes, &err), ZO_OK);
    ck_assert_uint_gt(bytes, 0);
}
END_TEST

int main(void)
{
    TCase *t = tcase_create("outcome");
    tcase_add_test(t, losses_that_leave);
    tcase_add_test(t, dev_losses_that_leave);
    tcase_add_test(t, still_runs);
    tcase_add_test(t, selections);
    tcase_add_test(t, chance_by_hand);
    tcase_add_test(t, disturbances);
    tcase_add_test(t, readings);
    tcase_add_test(t, memory_words);
    Suite *s = suite_create("outcome");
    suite_add_tcase(s, t);
    return suite_run(s) != 0;
}
