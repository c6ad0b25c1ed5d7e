/* predict.c: one row of the table is one method, or one method with one setting of an option. */
#include "bench/predict.h"

#include <cjson/cJSON.h>
#include <string.h>

typedef struct copies_row { const char *optimizer, *key, *value; int grads, opt_state, snapshot; } copies_row;

/* The first row that fits counts; an optimizer that is not here keeps no copy. */
static const copies_row table[] = {
    {"mezo-svrg", "mode", "replay", 0, 0, 0},
    {"mezo-svrg", "mode", "released", 0, 2, 0}, /* the new full gradient is made while the old one is alive */
    {"mezo-svrg", NULL, NULL, 0, 1, 1},
    {"fo-sgd", NULL, NULL, 1, 0, 0},
    {"fo-adamw", NULL, NULL, 1, 2, 0},
};

zo_method_copies zo_method_copies_of(const char *optimizer, const struct cJSON *options)
{
    zo_method_copies c = {{0}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const copies_row *row = &table[i];
        const cJSON *value = row->key != NULL ? cJSON_GetObjectItemCaseSensitive(options, row->key) : NULL;
        if (strcmp(row->optimizer, optimizer) == 0 &&
            (row->key == NULL || (cJSON_IsString(value) && strcmp(value->valuestring, row->value) == 0))) {
            c.copies[ZO_TAG_GRADS] = row->grads;
            c.copies[ZO_TAG_OPT_STATE] = row->opt_state;
            c.copies[ZO_TAG_SNAPSHOT] = row->snapshot;
            return c;
        }
    }
    return c;
}
