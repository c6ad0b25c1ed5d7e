/* tries.h: what makes a cell what it is, and which of its tries have a result. Private to results/. */
#ifndef ZO_RESULTS_TRIES_H
#define ZO_RESULTS_TRIES_H

#include "results/fields.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A result: such a try counts from then on, and its cell is done. */
#define ZO_FINISHED "('done', 'diverged', 'dead', 'oom', 'time', 'unsupported')"

/* Of zo_identity. */
extern const zo_field zo_identity_fields[6];

/* 64 bits over all that makes the cell what it is, in 16 hex digits. */
void zo_identity_text(const zo_identity *identity, char text[17]);

#ifdef __cplusplus
}
#endif

#endif
