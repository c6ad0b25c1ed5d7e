/* regress.h: is a program worse than another one? Verdicts on the runs that both have made of one suite in turn: `zo regress`. Sides and pairs: pairs.h.
 *
 * bits     every pair: logged losses, projected gradients and evaluations, bit for bit. Unequal ones are a verdict of their own
 * outcome  every pair: how the runs ended, and their marks; the worst of a setting is said. Two runs without a result cannot be told. Runs of the first side without a partner are worse, those of the second
 *          cannot be told
 * score    the first pair of each cell: Student's t of the differences over the cells (the seeds) of a setting; of fewer than ZO_REGRESS_LEAST whether the interval over
 *          their test rows, drawn again (zo_bootstrap), leaves out 0, for the spread of two or three says nothing
 * cpu, step, form, gemm ...   milliseconds: processor time a step, with the evaluations between them; and lower quartiles over the logged steps but the first of
 *          the wall time of a step and of its parts. A quartile of steps bears what takes the processor now and then. Tested is the mean logarithm of the ratio
 *          of a pair, by Student's t: the figure whose interval `zo diff` prints, and which can be as sure as it likes with few pairs; a sign or rank test of n
 *          pairs ends at 2 / 2^n, which Holm's correction over some tens of figures never lets through. A part is judged where it is PART_SHARE of the step
 * memory   bytes of the ledger's peak, by phase and by tag: exact, so no test. A tag is judged where it grew by PEAK_SHARE of the peak
 *
 * A time is worse where its mean ratio is above 1 + effect AND its p, of Holm's correction over all times, is below `level` AND a second set of runs says the
 * same by itself (zo_regress_confirm). */
#ifndef ZO_RESULTS_REGRESS_H
#define ZO_RESULTS_REGRESS_H

#include "results/pairs.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_REGRESS_COVER 0.95
#define ZO_REGRESS_SAMPLES 4000 /* of the rows, */
#define ZO_REGRESS_SEED 1       /* and of their draws */
#define ZO_REGRESS_PART_SHARE 0.1
#define ZO_REGRESS_PEAK_SHARE 0.01
enum { ZO_REGRESS_LEAST = 4 }; /* pairs with which a time is judged, and cells with which a score is by its spread */

typedef struct zo_regress_rule {
    double effect;  /* share by which a time must change, 0.05 */
    double memory;  /* and a peak */
    double points;  /* and a score, 0..1 */
    double level;   /* of the family of tests of times, and of that of scores; two-sided */
    bool other_bits; /* unequal losses are said, and are no regression */
    bool disturbed;  /* runs that other work disturbed count too */
} zo_regress_rule;

/* One object a setting and figure, in the order of the first side's database; the caller deletes *rows:
 *     model, task, form, method, cells (a list of their hashes)
 *     figure, unit      as above; memory as "train peak", "train activations"
 *     a, b              means over the pairs
 *     change, low, high ratio - 1, or of a score the difference; its interval; null where there is none
 *     rows_low, rows_high   of a score: the interval of the difference in accuracy over test rows
 *     p, p_holm, pairs, disturbed   pairs that count, and those that do not
 *     verdict           same, better, worse, other bits, cannot tell; of times better and worse are suspicions until they are confirmed
 *     why               "" or in words
 * The command's own sides have `every`. ZO_EINPUT where the first side has no run. */
zo_status zo_regress_judge(const zo_pair_side side[ZO_PAIR_SIDES], const zo_regress_rule *rule, const zo_opt *keys, struct cJSON **rows, zo_err *err);

/* Is it a change of a time, which wants a second set of runs? */
bool zo_regress_is_suspected(const struct cJSON *row);

/* Suspicions in `rows` hold where `again`, the verdicts on other runs of their cells, has the same change of the same figure, with Holm's correction over the suspicions
 * alone. NULL, or fewer pairs than ZO_REGRESS_LEAST: they are "unconfirmed". Outcomes and bits that were the same in `rows` are those of `again`. */
void zo_regress_confirm(struct cJSON *rows, const struct cJSON *again, const zo_regress_rule *rule);

/* Does this row make the suite worse? */
bool zo_regress_is_worse(const struct cJSON *row, const zo_regress_rule *rule);

/* Of all rows; the command's exit codes. Worse where a row is; else untold where some setting that makes steps has too few pairs to judge its processor time, or
 * an outcome cannot be told. */
typedef enum zo_regress_verdict { ZO_REGRESS_SAME = 0, ZO_REGRESS_WORSE = 1, ZO_REGRESS_UNTOLD = 3 } zo_regress_verdict;
zo_regress_verdict zo_regress_overall(const struct cJSON *rows, const zo_regress_rule *rule);
const char *zo_regress_word(zo_regress_verdict verdict); /* same or better, worse, cannot tell */

#ifdef __cplusplus
}
#endif
#endif
