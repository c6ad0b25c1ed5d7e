/* term_log.h: what a run has added to its weights, kept as (direction, coefficient) terms beside them instead of in them, so that no update is
 * lost to the weights' rounding. Only dense directions: terms of low rank are numbers, which the engine sums. Private to the engine. */
#ifndef ZO_OPTIMIZERS_TERM_LOG_H
#define ZO_OPTIMIZERS_TERM_LOG_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_term_log {
    zo_term *term;   /* (ZO_LOG_MOST), n of them: one a direction, in the order in which they first came; sums of coefficients */
    int n;
    double *anchor;  /* (ZO_LOG_MOST) coefficients at the snapshot, which knew the first `anchors` terms */
    int anchors;
    bool has_anchor;
} zo_term_log;

void zo_term_log_open(zo_term_log *log);
void zo_term_log_close(zo_term_log *log);
/* Add a GAUSS or REST term. ZO_EUNSUPPORTED, and nothing added, where the log is full. */
zo_status zo_term_log_add(zo_term_log *log, const zo_term *term, zo_err *err);
/* The log as it is now becomes the snapshot. */
void zo_term_log_snapshot(zo_term_log *log);
/* Coefficient of term i at the weights or at the snapshot. */
double zo_term_log_coef(const zo_term_log *log, zo_base base, int i);

#ifdef __cplusplus
}
#endif
#endif
