/* oracles.h: a suite that is an oracle of methods says so here, from the table that it goes over: `zo list oracles` then has its lines, and others no more.
 * With ZO_ORACLES=FILE the lines are added to FILE instead (make oracles-table). Test code only. */
#ifndef ZO_TESTS_ORACLES_H
#define ZO_TESTS_ORACLES_H

#include <check.h>
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizers/oracles.h"

enum { ORACLE_LINES = 256 };
typedef struct oracle_lines { const char *oracle, *within; const char *name[ORACLE_LINES]; char options[ORACLE_LINES][200]; int n; } oracle_lines;

/* json: options, as a text (NULL = the defaults). A line that is there already is passed over. */
static inline void oracle_add(oracle_lines *l, const char *name, const char *json)
{
    char options[200] = "";
    cJSON *object = cJSON_Parse(json != NULL ? json : "{}"); /* one spelling */
    ck_assert_msg(object != NULL && (object->child == NULL || cJSON_PrintPreallocated(object, options, sizeof options, false)), "%s %s", name, json);
    cJSON_Delete(object);
    for (int i = 0; i < l->n; i++) {
        if (strcmp(l->name[i], name) == 0 && strcmp(l->options[i], options) == 0) {
            return;
        }
    }
    ck_assert_int_lt(l->n, ORACLE_LINES);
    l->name[l->n] = name;
    strcpy(l->options[l->n++], options);
}

static inline void oracle_end(const oracle_lines *l)
{
    const char *path = getenv("ZO_ORACLES");
    if (path != NULL) {
        FILE *f = fopen(path, "a");
        ck_assert_ptr_nonnull(f);
        for (int i = 0; i < l->n; i++) {
            fprintf(f, "%s\t%s\t%s\t%s\n", l->name[i], l->options[i], l->oracle, l->within);
        }
        ck_assert_int_eq(fclose(f), 0);
        return;
    }
    const zo_oracle *list;
    int n = zo_oracle_list(&list), own = 0;
    for (int i = 0; i < l->n; i++) {
        bool there = false;
        for (int k = 0; k < n; k++) {
            there = there || (strcmp(list[k].estimator, l->name[i]) == 0 && strcmp(list[k].options, l->options[i]) == 0 &&
                              strcmp(list[k].oracle, l->oracle) == 0 && strcmp(list[k].within, l->within) == 0);
        }
        ck_assert_msg(there, "optimizers/oracles.tsv has no line of %s %s, %s within %s; make oracles-table writes it", l->name[i], l->options[i], l->oracle, l->within);
    }
    for (int k = 0; k < n; k++) {
        own += strcmp(list[k].oracle, l->oracle) == 0;
    }
    ck_assert_msg(own == l->n, "optimizers/oracles.tsv has %d lines of the oracle %s, and the test goes over %d; make oracles-table writes it", own, l->oracle, l->n);
}

#endif
