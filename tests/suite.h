/* suite.h: how every test program runs its checks. Test code only. */
#ifndef ZO_TESTS_SUITE_H
#define ZO_TESTS_SUITE_H

#include <check.h>

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
