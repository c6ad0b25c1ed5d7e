/* tries.h: what makes a cell what it is, which of its tries have a result, and what an evaluation gave. For SQL. */
#ifndef ZO_RESULTS_TRIES_H
#define ZO_RESULTS_TRIES_H

#include "results/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A result: such a try counts from then on, and its cell is done. */
#define ZO_FINISHED "('done', 'diverged', 'dead', 'oom', 'time', 'unsupported')"

/* What an evaluation `e` of a cell `c` gave, in the cell's own metric. */
#define ZO_EVALUATED                                                                                                                      \
    "CASE c.metric WHEN 'accuracy' THEN e.accuracy WHEN 'f1' THEN e.f1 WHEN 'macro_f1' THEN e.macro_f1 WHEN 'matthews' THEN e.matthews"   \
    " WHEN 'exact_match' THEN e.exact_match WHEN 'token_f1' THEN e.token_f1 WHEN 'pearson' THEN e.pearson WHEN 'spearman' THEN e.spearman END"

/* Of zo_identity. */
extern const zo_field zo_identity_fields[6];

/* 64 bits over all that makes the cell what it is, in 16 hex digits. */
void zo_identity_text(const zo_identity *identity, char text[17]);

#ifdef __cplusplus
}
#endif

#endif
