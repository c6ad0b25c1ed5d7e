/* verdict.h: a published mean against ours: the difference, between which values it lies, and what follows. Numbers in, numbers out. All are in percent
 * (points).
 *
 * The difference is ours minus theirs. Its variance is the sum of
 *   both spreads over seeds:  s^2 / n, with n - 1 degrees of freedom each. A side whose spread is not known takes the other's
 *   both test sets:           p (100 - p) / rows, a binomial's. Where the rows are the same, that is more than there is, so verdicts are careful
 *   rounding:                 a published value stands for all within half its last digit: digit^2 / 12
 * and its degrees of freedom are Welch's and Satterthwaite's. Verdicts:
 *   agrees       the 90 % interval lies within +-2 points (two one-sided tests at 5 %: TOST)
 *   differs      the 95 % interval excludes 0, and the difference is more than 2 points
 *   cannot tell  neither; or no spread is known on either side */
#ifndef ZO_RESULTS_VERDICT_H
#define ZO_RESULTS_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_VERDICT_MARGIN 2.0

typedef struct zo_side {
    double mean, std; /* std NaN = not known */
    int64_t seeds;    /* 0 = not known: taken as 1 */
    int64_t rows;     /* of the test set; 0 = not known: its part is left out, and said */
    double digit;     /* the last digit that the mean was printed with, 0.1; 0 = as it is */
} zo_side;

typedef enum zo_verdict { ZO_AGREES, ZO_DIFFERS, ZO_CANNOT_TELL } zo_verdict;

typedef struct zo_judged {
    zo_verdict verdict;
    double difference, low, high; /* of 95 %; low and high NaN where there is no spread */
    bool borrowed;                /* one side's spread stood for the other's */
} zo_judged;

zo_judged zo_judge(const zo_side *theirs, const zo_side *ours);

#ifdef __cplusplus
}
#endif
#endif
