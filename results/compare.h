/* compare.h: methods against one of them, run by run: `zo report --against`. Private to results/, but for what results/report.h declares.
 *
 * A frame is the runs that may be paired: one model, task, form, batch, context, budget, rows, metric and selection. Runs of one seed in one frame have
 * the same data, head, batch order and test rows. The fingerprints of model, tokenizer, rows and task say whether that is so. What a method sets for itself
 * (its options, eps, realisation, precision, storage, what it trains) may differ. */
#ifndef ZO_RESULTS_COMPARE_H
#define ZO_RESULTS_COMPARE_H

#include <stdio.h>

#include "results/groups.h"
#include "results/page.h"
#include "results/report.h"
#include "results/texts.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_COMPARE_COVER 0.95   /* of both intervals, each for one comparison alone */
#define ZO_COMPARE_LEVEL 0.05   /* of a frame's family of tests, two-sided */
#define ZO_COMPARE_POWER 0.8    /* at which a difference "could have been seen", at the level of Holm's first test: LEVEL / tests of the frame */
#define ZO_COMPARE_SAMPLES 4000 /* of the row bootstrap, */
#define ZO_COMPARE_SEED 1       /* and of its draws */
#define ZO_COMPARE_LEAST 30     /* steps below which a method is not tested */

/* Objects of methods, frame by frame; what could not be compared is a sentence in `left`. The caller frees both (cJSON_Delete, zo_texts_free). */
zo_status zo_compare(zo_results *results, const zo_report_spec *spec, cJSON **rows, zo_texts *left, zo_err *err);

/* The same as tables, a frame each, with what a reader must know below. */
void zo_compare_print(const cJSON *rows, const zo_texts *left, const zo_page *page);

#ifdef __cplusplus
}
#endif
#endif
