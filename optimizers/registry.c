/* registry.c: all estimators, and one by name or by its order. */
#include <cjson/cJSON.h>
#include <string.h>

#include "optimizers/estimator.h"
#include "optimizers/list.h"

#define X(suffix) extern const zo_estimator zo_estimator_##suffix;
ZO_ESTIMATOR_LIST(X)
#undef X

static const zo_estimator *const estimators[] = {
#define X(suffix) &zo_estimator_##suffix,
    ZO_ESTIMATOR_LIST(X)
#undef X
};

int zo_estimator_list(const zo_estimator *const **list)
{
    *list = estimators;
    return (int)(sizeof estimators / sizeof *estimators);
}

const zo_estimator *zo_estimator_find(const char *name)
{
    for (size_t i = 0; i < sizeof estimators / sizeof *estimators; i++) {
        if (strcmp(estimators[i]->name, name) == 0) {
            return estimators[i];
        }
    }
    return NULL;
}

const zo_estimator *zo_estimator_usual(bool first_order)
{
    for (size_t i = 0; i < sizeof estimators / sizeof *estimators; i++) {
        if (estimators[i]->usual && estimators[i]->first_order == first_order) {
            return estimators[i];
        }
    }
    ZO_CHECK(false, "no estimator %s is marked .usual", first_order ? "of first order" : "without gradients");
    return NULL;
}

const zo_estimator *zo_estimator_descent(void)
{
    for (size_t i = 0; i < sizeof estimators / sizeof *estimators; i++) {
        if (estimators[i]->is_descent) {
            return estimators[i];
        }
    }
    ZO_CHECK(false, "no estimator is marked .is_descent");
    return NULL;
}

const char *zo_text_source_name(zo_text_source source)
{
    static const char *const name[] = {[ZO_SOURCE_NONE] = "", [ZO_SOURCE_PAPER] = "paper", [ZO_SOURCE_RELEASED] = "released",
                                       [ZO_SOURCE_RECONSTRUCTED] = "reconstructed"};
    return name[source];
}

cJSON *zo_variant_options(const zo_variant *variant)
{
    cJSON *object = cJSON_CreateObject(), *value = cJSON_Parse(variant->value); /* a number or a bool; else a word */
    cJSON_AddItemToObject(object, variant->key, value != NULL ? value : cJSON_CreateString(variant->value));
    return object;
}

bool zo_estimator_trains(const zo_estimator *estimator)
{
    return estimator->step != NULL || estimator->fit != NULL;
}

const char *zo_source_of(const zo_estimator *e, const cJSON *options)
{
    zo_text_source source = e->source;
    for (const zo_sourced *s = e->sources; s != NULL && s->key != NULL; s++) {
        cJSON *value = cJSON_Parse(s->value), *wanted = value != NULL ? value : cJSON_CreateString(s->value);
        source = cJSON_Compare(cJSON_GetObjectItemCaseSensitive(options, s->key), wanted, true) ? s->source : source;
        cJSON_Delete(wanted);
    }
    return zo_text_source_name(source);
}

const char *zo_source_named(const char *name, const cJSON *options)
{
    const zo_estimator *e = zo_estimator_find(name);
    return e != NULL ? zo_source_of(e, options) : "";
}
