/* oracles.h: what each method is tested against. The table is oracles.tsv, which `make oracles-table` writes from what the tests say of themselves;
 * a test whose own table is another fails. A plug-in has none. */
#ifndef ZO_OPTIMIZERS_ORACLES_H
#define ZO_OPTIMIZERS_ORACLES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

typedef struct zo_oracle {
    const char *estimator; /* its name */
    const char *options;   /* that it was tested with, as JSON; "" = the defaults */
    const char *oracle;    /* "twin", ...: test_twins.c, test_released.c, test_oracles.c and test_engine.c say what they are */
    const char *within;    /* the tolerance, in words */
} zo_oracle;

/* All lines, in the order of the file; the program's own. */
int zo_oracle_list(const zo_oracle **list);
/* The oracles of a method whose options hold all of these (NULL = any; of a number: one that is 0 or not 0 as it is): "twin, released code"; "" where there is none. Returns `out`. */
const char *zo_oracles_of(const char *estimator, const struct cJSON *options, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
