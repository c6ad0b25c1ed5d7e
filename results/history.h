/* history.h: a figure over the revisions of a database, with its band, and where it made a step: `zo history`.
 *
 * A series is one setting (results/groups.h) on one host; times of two hosts are never in one. A point is a revision: the median over all its tries with a result, of all
 * seeds, and between which quartiles they lie. Points stand in the order in which their revisions first ran. Steps are those of zo_piecewise_fit. */
#ifndef ZO_RESULTS_HISTORY_H
#define ZO_RESULTS_HISTORY_H

#include "core/conf.h"
#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

#define ZO_HISTORY_GRAIN 0.001 /* of a series' median: smaller deviations are none */
enum { ZO_HISTORY_SEGMENTS = 32, ZO_HISTORY_POINTS = 2000 /* at most */ };

typedef struct zo_history_spec {
    const char *metric; /* a column of the view all_runs that is a number; "cpu", processor time a step in ms; a part of a step, "gemm", in ms; or a peak in bytes by
                           phase and tag, "train activations", "train peak" */
    const char *where;  /* an SQL condition on the columns of all_runs; NULL = all */
    bool disturbed;     /* times of runs that other work disturbed count too */
    const zo_opt *keys; /* bench/cell/keys.h */
} zo_history_spec;

/* One object a series and revision: model, task, form, method, host; revision, began (its first run); n (tries that count), disturbed (those that do not); value,
 * low, high; level (of its segment); starts: is it the first point of a segment that has one before? Then rise is the difference of their levels, and step their ratio
 * less 1 where the one before is above 0; else both are null. A point without tries that count has no value, no level and no starts. The caller deletes *rows. ZO_EINPUT for another metric, or where no run has it. */
zo_status zo_history(zo_results *results, const zo_history_spec *spec, struct cJSON **rows, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
