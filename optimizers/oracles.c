/* oracles.c: see oracles.h. */
#include "optimizers/oracles.h"

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "core/embed.h"
#include "core/err.h"

ZO_EMBED(zo_oracles_text, "optimizers/oracles.tsv");

enum { BYTES = 1 << 16, LINES = 1024 };
static char text[BYTES];
static zo_oracle lines[LINES];
static int count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void read_lines(void)
{
    size_t bytes = strlen(zo_oracles_text);
    ZO_CHECK(bytes < BYTES, "oracles.tsv is longer than %d bytes", BYTES);
    memcpy(text, zo_oracles_text, bytes + 1);
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        ZO_CHECK(count < LINES, "oracles.tsv has more than %d lines", LINES);
        zo_oracle *o = &lines[count++];
        o->estimator = strsep(&line, "\t");
        o->options = strsep(&line, "\t");
        o->oracle = strsep(&line, "\t");
        o->within = line;
        ZO_CHECK(o->within != NULL, "line %d of oracles.tsv has fewer than four columns", count);
    }
}

int zo_oracle_list(const zo_oracle **list)
{
    pthread_once(&once, read_lines);
    *list = lines;
    return count;
}

/* Two numbers are the same choice where both or neither is 0: 3 queries stand for 4, and a rank of 4 not for that of the rule, which is 0. */
static bool same_choice(const cJSON *a, const cJSON *b)
{
    return cJSON_IsNumber(a) && cJSON_IsNumber(b) ? (a->valuedouble == 0.0) == (b->valuedouble == 0.0) : cJSON_Compare(a, b, true);
}

static bool holds(const zo_oracle *o, const cJSON *options)
{
    cJSON *own = cJSON_Parse(o->options);
    bool all = true;
    const cJSON *option;
    cJSON_ArrayForEach(option, options) {
        all = all && same_choice(cJSON_GetObjectItemCaseSensitive(own, option->string), option);
    }
    cJSON_Delete(own);
    return all;
}

const char *zo_oracles_of(const char *estimator, const cJSON *options, char *out, size_t size)
{
    const zo_oracle *list;
    int n = zo_oracle_list(&list);
    size_t at = 0;
    out[0] = '\0';
    for (int i = 0; i < n && at < size; i++) {
        if (strcmp(list[i].estimator, estimator) == 0 && strstr(out, list[i].oracle) == NULL && holds(&list[i], options)) {
            at += (size_t)snprintf(out + at, size - at, "%s%s", at > 0 ? ", " : "", list[i].oracle);
        }
    }
    return out;
}
