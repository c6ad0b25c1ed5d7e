/* output.h: standard output of a command: JSON, and whether all was written. */
#ifndef ZO_CORE_OUTPUT_H
#define ZO_CORE_OUTPUT_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* A line of JSON on standard output, or (pretty) many, and flushes. Valid, and safe on a terminal, whatever stands in its strings. */
void zo_output_json(const struct cJSON *json, bool is_pretty);

/* The exit code of a command that returned `code`, once standard output is written to its end: 2 and one sentence where it could not be,
 * without the sentence where its reader went away (a pager, head). */
int zo_output_end(const char *command, int code);

#ifdef __cplusplus
}
#endif
#endif
