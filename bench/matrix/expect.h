/* expect.h: published values that a config carries, so that they stand beside ours. A config says
 *
 *     "expect": [{
 *         "source": "Malladi et al., arXiv 2305.17333, Table 5",      where the values were read
 *         "confidence": "read",                                       how sure the reading is: below
 *         "figure": "metric", "unit": "percent",                      what they are: below
 *         "seeds": 5,                                                 runs behind each value; absent = not known
 *         "columns": {"task": ["sst2", "snli"]},                      one key of a cell, a column a value; absent = one column
 *         "rows": [872, 1000],                                        test rows behind each column; absent = not known
 *         "absent": {"snli": "why no cell of this config has it"},    columns that cannot be run
 *         "values": [
 *             {"name": "prompt", "of": {"optimizer": NAME, "form": "prompt"}, "value": [89.6, 65.1], "spread": [1.2, 6.2]},
 *             {"name": "ICL", "value": [87.0, null], "not_run": "why no cell of this config is it"}
 *         ]
 *     }]
 *
 * "of" is a partial cell, as an entry of "exclude": with its column's key it matches at least one cell of the config, or the config is refused.
 * A "ratio" or "metric-ratio" has "over" beside "of": the partial cell that it is divided by. "value" is a list, one a column; null = the paper has none. "spread" is their standard deviation over seeds. A row may have a "source",
 * "confidence" or "seeds" of its own. */
#ifndef ZO_BENCH_MATRIX_EXPECT_H
#define ZO_BENCH_MATRIX_EXPECT_H

#include "bench/matrix/grid.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

typedef enum zo_confidence {
    ZO_CONFIDENCE_READ,       /* in the paper, or in its authors' code */
    ZO_CONFIDENCE_READ_2ND,   /* in another text that quotes it */
    ZO_CONFIDENCE_FIGURE,     /* off a figure */
    ZO_CONFIDENCE_DERIVED,    /* computed from values that were read */
    ZO_CONFIDENCE_UNVERIFIED, /* recalled; nobody has looked */
    ZO_CONFIDENCES
} zo_confidence;
const char *zo_confidence_name(zo_confidence confidence); /* "read", "read-2nd", ... */

/* What a value is, and the column of results/schema.sql that ours is in. */
typedef enum zo_published {
    ZO_PUBLISHED_METRIC,  /* percent: metric_value x 100 */
    ZO_PUBLISHED_MEMORY,  /* GB (1e9 bytes): train_peak_bytes. Theirs is what a card's driver or PyTorch's allocator says: another definition */
    ZO_PUBLISHED_STEP,    /* seconds: step_ms / 1000 */
    ZO_PUBLISHED_HOURS,   /* hours of a device: device_hours */
    ZO_PUBLISHED_RATIO,   /* times: train_peak_bytes of the cells that are "of" over those that are "over" */
    ZO_PUBLISHED_METRIC_RATIO, /* times: the same of metric_value */
    ZO_PUBLISHED
} zo_published;
const char *zo_published_name(zo_published figure); /* "metric", "memory", "step", "hours", "ratio", "metric-ratio" */
const char *zo_published_unit(zo_published figure); /* "percent", "GB", "s", "h", "times" */

typedef struct zo_expected {
    int block, row, column;  /* where it stands: for tables */
    const char *name, *column_name, *source; /* of its row, of its column ("" where there is one column), of its text */
    zo_confidence confidence;
    zo_published figure;
    double value, spread;    /* NaN: none */
    int64_t seeds, rows;     /* 0 = not known */
    const char *not_run;     /* why no cell is it; NULL = cells are */
    struct cJSON *of;        /* partial cell, its column's key in it */
    struct cJSON *over;      /* the same of what it is divided by; NULL where it is no ratio */
    int64_t cells;           /* of the grid, that it matches */
} zo_expected;

typedef struct zo_expectation {
    struct cJSON *json;      /* holds the texts */
    zo_expected *value;      /* (n), block by block, row by row */
    int64_t n;
} zo_expectation;

/* Of a config that was read into `grid`. A config without "expect" has n = 0. ZO_EINPUT: a sentence with file, block and row. */
zo_status zo_expect_read(const char *path, const zo_grid *grid, zo_expectation *expectation, zo_err *err);
/* The same of a config's JSON; `path` stands in messages. */
zo_status zo_expect_parse(const struct cJSON *config, const char *path, const zo_grid *grid, zo_expectation *expectation, zo_err *err);
void zo_expect_free(zo_expectation *expectation);

#ifdef __cplusplus
}
#endif
#endif
