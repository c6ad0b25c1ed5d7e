/* suite.h: how every test program runs its checks. Test code only. */
#ifndef ZO_TESTS_SUITE_H
#define ZO_TESTS_SUITE_H

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>

/* Does a test that goes over every estimator in every way take the i-th? One of `each` (1: all), and one of `sanitized` under AddressSanitizer, where
 * a step takes many times as long; all where ZO_TEST_LONG is set. Each estimator's own code runs in any case: test_twins, test_oracles. */
static inline bool suite_takes(int i, int each, int sanitized)
{
#ifdef __SANITIZE_ADDRESS__
    each = sanitized;
#else
    (void)sanitized;
#endif
    return i % each == 0 || getenv("ZO_TEST_LONG") != NULL;
}

/* Runs the suite, frees it, and returns how many of its checks failed. */
static inline int suite_run(Suite *suite)
{
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed;
}

#endif
