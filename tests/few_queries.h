/* few_queries.h: options for tests that go over every estimator in every way: a step of a hundred forwards would take most of their time, and three
 * queries run the same code. Test code only. */
#ifndef ZO_TESTS_FEW_QUERIES_H
#define ZO_TESTS_FEW_QUERIES_H

#include <cjson/cJSON.h>

#include "optimizers/estimator.h"

/* `options` (an object, which may hold a name too; NULL = none), to which three queries a step are added where the estimator's own number is 16 or more and
 * they say none. What comes back takes the place of what was given; NULL = still none. */
static inline cJSON *few_queries(const zo_estimator *e, cJSON *options)
{
    const zo_opt *queries = e->options != NULL ? zo_opt_find(e->options, "queries") : NULL;
    if (queries != NULL && queries->initial >= 16 && !cJSON_HasObjectItem(options, queries->key)) {
        options = options != NULL ? options : cJSON_CreateObject();
        cJSON_AddNumberToObject(options, queries->key, 3);
    }
    return options;
}

#endif
