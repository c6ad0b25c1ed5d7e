/* verdict.c: see verdict.h. */
#include "results/verdict.h"

#include <math.h>

#include "results/statistics.h"

/* A part of the variance of a difference, with its degrees of freedom; INFINITY = it is known. */
typedef struct part { double variance, df; } part;

static part seeds_of(const zo_side *side, const zo_side *other, bool *borrowed)
{
    double n = side->seeds > 0 ? (double)side->seeds : 1;
    bool own = isfinite(side->std) && side->seeds > 1, others = isfinite(other->std) && other->seeds > 1;
    *borrowed = *borrowed || (!own && others);
    return own      ? (part){side->std * side->std / n, n - 1}
           : others ? (part){other->std * other->std / n, (double)other->seeds - 1}
                    : (part){NAN, NAN};
}

static part rows_of(const zo_side *side)
{
    double p = side->mean < 0 ? 0 : side->mean > 100 ? 100 : side->mean;
    return (part){side->rows > 0 ? p * (100 - p) / (double)side->rows : 0, INFINITY};
}

zo_judged zo_judge(const zo_side *theirs, const zo_side *ours)
{
    zo_judged j = {.verdict = ZO_CANNOT_TELL, .difference = ours->mean - theirs->mean, .low = NAN, .high = NAN};
    const part parts[] = {seeds_of(theirs, ours, &j.borrowed), seeds_of(ours, theirs, &j.borrowed), rows_of(theirs), rows_of(ours),
                          {theirs->digit * theirs->digit / 12, INFINITY}, {ours->digit * ours->digit / 12, INFINITY}};
    double variance = 0, over = 0;
    for (int k = 0; k < (int)(sizeof parts / sizeof *parts); k++) {
        variance += parts[k].variance;
        over += isfinite(parts[k].df) ? parts[k].variance * parts[k].variance / parts[k].df : 0;
    }
    if (!isfinite(variance) || !isfinite(j.difference)) {
        return j;
    }
    double df = over > 0 ? variance * variance / over : 1e9, se = sqrt(variance);
    double half95 = se > 0 ? zo_t_quantile(0.975, df) * se : 0, half90 = se > 0 ? zo_t_quantile(0.95, df) * se : 0;
    j.low = j.difference - half95;
    j.high = j.difference + half95;
    if (fabs(j.difference) + half90 <= ZO_VERDICT_MARGIN) {
        j.verdict = ZO_AGREES;
    } else if (fabs(j.difference) > ZO_VERDICT_MARGIN && (j.low > 0 || j.high < 0)) {
        j.verdict = ZO_DIFFERS;
    }
    return j;
}
