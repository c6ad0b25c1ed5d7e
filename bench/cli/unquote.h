/* unquote.h: one line of `--json` input: a JSON string, with \u0000 and lone surrogates, which cJSON has no place for. */
#ifndef ZO_BENCH_CLI_UNQUOTE_H
#define ZO_BENCH_CLI_UNQUOTE_H

#include <stddef.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Replace the JSON string in line[0 .. *length) by the text it stands for, UTF-8, in place. Blanks around it are permitted; a lone
 * surrogate becomes U+FFFD. */
zo_status zo_line_unquote(char *line, size_t *length, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
