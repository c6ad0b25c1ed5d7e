/* diff.h: two sides of one matrix, cell by cell: `zo diff`. Sides and pairs: pairs.h. What follows is of pairs alone. */
#ifndef ZO_RESULTS_DIFF_H
#define ZO_RESULTS_DIFF_H

#include "results/pairs.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

#define ZO_DIFF_COVER 0.95 /* of the intervals: Student's, over the pairs of a setting, of differences of scores and of logarithms of ratios */

/* What stands in no row. */
typedef struct zo_diff_left { int64_t alone[2], outcome; /* cells that one side has; pairs that ended otherwise on the other side */ } zo_diff_left;

/* One object a setting (results/groups.h), in the order of the first side's database; the caller deletes *rows:
 *     model, task, form, method        texts
 *     pairs                            n. Of them, unequal: those whose logged losses or evaluations differ in a bit; first: the first step of that
 *     score, score_b, score_difference the metric's means, 0..1, and with _low and _high the interval of the mean difference (n >= 2)
 *     step_ms, step_ms_b, step_ratio   means of the median step over the pairs in which neither was disturbed, their count in `quiet`; the ratio is b's to
 *                                      a's geometric mean, with _low and _high
 *     part, part_ms                    the part of a step that changed most, and by how much: of the same pairs
 *     train_mb, train_mb_b, memory_ratio, tag, tag_mb   the same of the training peak, of all pairs
 *     work, work_b, work_ratio         work until the dev metric was as good as the worse side's best, in pairs that have it
 *     outcome                          "done, oom" where the two sides of a pair ended otherwise; "" else
 * null: nothing to say. ZO_EINPUT where a side has no run, or nothing is paired. */
zo_status zo_diff(const zo_pair_side side[2], const zo_opt *keys, struct cJSON **rows, zo_diff_left *left, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
