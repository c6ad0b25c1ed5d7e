/* merge.h: databases brought together, and what no report reads taken out. */
#ifndef ZO_RESULTS_MERGE_H
#define ZO_RESULTS_MERGE_H

#include "results/results.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a merge did, in tries: new ones; ones that were there and had not come so far (of a cell that ran, or was killed); ones that were there. */
typedef struct zo_merged { int64_t cells, added, renewed, known; } zo_merged;

/* The cells of `from` and their tries, with all their rows, and what was planned of them, into `into`: in one transaction, so all or nothing. A cell is the same where its identity is,
 * a try where its name is (column `try`): merging again changes nothing. Where a cell has more tries than before, the one that counts is the last to
 * begin of those with a result, else the last to begin; of those of one second the last that came. `from` is read as it stands at one moment. ZO_EINPUT
 * where both are one file. */
zo_status zo_results_merge(zo_results *into, zo_results *from, zo_merged *merged, zo_err *err);

/* What pruning removes. */
typedef struct zo_pruned {
    int64_t tries; /* that do not count: another try of their cell does */
    int64_t cells; /* of an older meaning than this program's (results.h), with all their tries, which are not in `tries` */
    int64_t bytes; /* that the file lost; 0 where nothing was removed */
} zo_pruned;

/* Counts what can be pruned, and removes it where `remove` says so: tries that do not count and have ended, and with `older` the cells of older meanings
 * with all of theirs. Never what counts. */
zo_status zo_results_prune(zo_results *results, bool older, bool remove, zo_pruned *pruned, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
