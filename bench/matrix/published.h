/* published.h: beside each published value of a config what the database has, and whether the two agree. */
#ifndef ZO_BENCH_MATRIX_PUBLISHED_H
#define ZO_BENCH_MATRIX_PUBLISHED_H

#include "bench/matrix/expect.h"
#include "results/report.h"
#include "results/verdict.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_standing {
    ZO_STANDING_JUDGED,     /* see `judged` */
    ZO_STANDING_NOT_RUN,    /* no cell is it, or none of its cells has a result */
    ZO_STANDING_BUDGET,     /* none of its cells is left in the plan that the table was shrunk by (budget.h) */
    ZO_STANDING_SCALED,     /* ours is of another model, budget or type: no verdict */
    ZO_STANDING_DEFINITION, /* theirs is another quantity under the same word: no verdict */
    ZO_STANDING_SEVERAL     /* its runs are of several settings, of which nothing chooses one */
} zo_standing;

typedef struct zo_stand {
    zo_standing standing;
    int64_t cells, runs;    /* of the config, of all its grid; those of them that have a result */
    double mean, std;       /* ours, in the figure's unit; NaN where there is none */
    int64_t seeds, rows;
    zo_judged judged;
    char budget[24];        /* "10m": ours are of cells that stand for these in such a plan; "" = they are not */
    char why[240];          /* of everything but a verdict; and what was chosen among several settings */
} zo_stand;

/* One for each of expectation->value, in *stand (n), which the caller frees with zo_free. `with` as in zo_grid_read: the runs are then those of the
 * cells so changed. Of cells that differ in more than their seeds (a grid of learning rates) that setting counts which is best on dev, as in
 * `zo report --best`. Where no cell of a value has a result, the cells count that stand for them in the longest plan that has shrunk these cells. */
zo_status zo_published_stand(const zo_grid *grid, const zo_expectation *expectation, const struct cJSON *with, zo_results *results, zo_stand **stand, zo_err *err);

/* A word for a table: "agrees", "differs", "cannot tell", "not run", "scaled", "other definition", "several settings". */
const char *zo_stand_word(const zo_stand *stand);

#ifdef __cplusplus
}
#endif
#endif
