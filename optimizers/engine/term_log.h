/* term_log.h: what a run has added to its weights, kept as (direction, coefficient) terms beside them instead of in them, so that no update is
 * lost to the weights' rounding. Only dense directions: terms of low rank are numbers, which the engine sums. Private to the engine. */
#ifndef ZO_OPTIMIZERS_ENGINE_TERM_LOG_H
#define ZO_OPTIMIZERS_ENGINE_TERM_LOG_H

#include "backends/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_term_log {
    zo_term *term;   /* (ZO_LOG_MOST), n of them: one a direction, in the order in which they first came; sums of coefficients */
    int n;
} zo_term_log;

/* A copy of the weights in a log: no tensor, but the coefficients of the terms that there were. {0} = none was taken. */
typedef struct zo_log_mark {
    double *coef; /* (ZO_LOG_MOST) */
    int n;
} zo_log_mark;

void zo_term_log_open(zo_term_log *log);
void zo_term_log_close(zo_term_log *log);
/* Add a DENSE or REST term. ZO_EUNSUPPORTED, and nothing added, where the log is full. */
zo_status zo_term_log_add(zo_term_log *log, const zo_term *term, zo_err *err);
/* The log as it is now becomes the mark, which is allocated at the first time; free its `coef`. */
void zo_log_mark_take(zo_log_mark *mark, const zo_term_log *log, zo_tag tag);
/* Coefficient of term i of the log at the mark. */
double zo_log_mark_coef(const zo_log_mark *mark, int i);

#ifdef __cplusplus
}
#endif
#endif
