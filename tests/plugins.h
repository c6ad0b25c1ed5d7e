/* plugins.h: the estimators that the tests of conformance go over: those of the program, and plug-ins that $ZO_PLUGIN names, with ":" between them.
 * Test code only. */
#ifndef ZO_TESTS_PLUGINS_H
#define ZO_TESTS_PLUGINS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/err.h"
#include "optimizers/plugins.h"

static inline int estimators_to_test(const zo_estimator *const **all)
{
    enum { MOST = 256 };
    static const zo_estimator *list[MOST];
    static int n;
    const zo_estimator *const *known;
    const char *paths = getenv("ZO_PLUGIN");
    int builtin = zo_estimator_list(&known);
    for (; n < builtin; n++) {
        list[n] = known[n];
    }
    for (const char *at = n == builtin ? paths : NULL; at != NULL && *at != '\0'; at += at[strcspn(at, ":")] == ':' ? strcspn(at, ":") + 1 : strcspn(at, ":")) {
        char path[4096];
        zo_err err = {0};
        snprintf(path, sizeof path, "%.*s", (int)strcspn(at, ":"), at);
        ZO_CHECK(n < MOST && zo_plugin_open(path, &list[n++], &err) == ZO_OK, "%s", err.text);
    }
    *all = list;
    return n;
}

/* The estimator as a config names it. */
static inline const char *estimator_word(const zo_estimator *e)
{
    const char *path = zo_plugin_path(e);
    return path != NULL ? path : e->name;
}

#endif
