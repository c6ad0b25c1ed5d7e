/* args.h: command lines: a table of --options, positional words, "did you mean". `--x VALUE` and `--x=VALUE`; "--" ends options. */
#ifndef ZO_BENCH_CLI_ARGS_H
#define ZO_BENCH_CLI_ARGS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_arg_type {
    ZO_ARG_FLAG, /* bool * */
    ZO_ARG_TEXT, /* const char ** */
    ZO_ARG_INT   /* int64_t *, >= 0 */
} zo_arg_type;

typedef struct zo_arg {
    const char *name; /* "--db"; NULL ends a table */
    zo_arg_type type;
    void *out;
} zo_arg;

/* argv[0] is the command's name. Positional words go to word[0 .. *words), at most `most`; `least` of them must be there, and `usage`
 * stands in the messages, which do not begin with the command's name: the caller says that. */
zo_status zo_args_read(int argc, char **argv, const zo_arg *table, const char **word, int least, int most, int *words, const char *usage,
                       zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
