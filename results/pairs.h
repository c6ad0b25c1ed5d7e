/* pairs.h: runs of two sides of one matrix, paired: what `zo diff` and `zo regress` compare. A side is what one database has, or its runs of one revision,
 * host or the like. A pair is a run of each side of the same cell: same config, seed, model, data and definitions. Private to results/, but for the side. */
#ifndef ZO_RESULTS_PAIRS_H
#define ZO_RESULTS_PAIRS_H

#include "results/groups.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_PAIR_A, ZO_PAIR_B, ZO_PAIR_SIDES };

/* Which runs: of a cell the last with a result, or (`every`) all tries that have ended, in the order in which they began. */
typedef struct zo_pair_side {
    zo_results *results; /* opened to read; a handle of its own, on which temporary views are made */
    const char *column;  /* of the view `all_runs`, such as revision; NULL = the whole database, by the tries that count */
    const char *value;   /* what it begins with */
    bool every;          /* and then no column */
    int64_t after, upto; /* of `every`: tries with a greater number than this, and none greater than that (0 = whatever comes) */
    const char *name;    /* of the side, for messages */
} zo_pair_side;

/* Settings in the order of the first side's database; start, of: the pairs of setting s are of[start[s] .. start[s + 1]), in the order of their first runs. The
 * k-th try of a cell on one side is paired with the k-th on the other. */
typedef struct zo_pairs {
    zo_groups g[ZO_PAIR_SIDES];
    int settings;
    int *start;                                      /* (settings + 1) */
    const zo_grouped_run *(*of)[ZO_PAIR_SIDES];      /* (start[settings]) borrowed from g */
    char **label;                                    /* (settings) the method with what tells it from the others of its kind */
    int64_t alone[ZO_PAIR_SIDES];                    /* runs of a side that have no partner */
} zo_pairs;

/* ZO_EINPUT where a side has no run, or nothing is paired; sides of all tries (`every`) may have none. zo_pairs_free after success. */
zo_status zo_pairs_read(const zo_pair_side side[ZO_PAIR_SIDES], const zo_opt *keys, zo_pairs *pairs, zo_err *err);
void zo_pairs_free(zo_pairs *pairs);

/* The first step at which a logged loss, a projected gradient or an evaluation of the two is not the same in every bit; -1 = none is. */
zo_status zo_pair_bits(const zo_pair_side side[ZO_PAIR_SIDES], const zo_grouped_run *const run[ZO_PAIR_SIDES], int64_t *step, zo_err *err);

/* Adds to sum (rows), for each row of a test set, 1 where b alone is right and -1 where a alone is; a, b: a bit a row, the lowest of a byte first, as in
 * evaluations.correct. Such sums over pairs, drawn again row by row (zo_bootstrap), say what other test rows might have given. */
void zo_pair_add_rows(double *sum, int64_t rows, const uint8_t *a, const uint8_t *b);
/* The same of the headline's evaluations of a pair. *sum is made where it is NULL, with *rows (the caller frees it); *used: a pair that does not keep its rows on both sides,
 * or not as many as *rows, is left out. */
zo_status zo_pair_rows(const zo_pair_side side[ZO_PAIR_SIDES], const zo_grouped_run *const run[ZO_PAIR_SIDES], double **sum, int64_t *rows, bool *used, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
