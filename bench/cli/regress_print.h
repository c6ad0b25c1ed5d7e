/* regress_print.h: the verdicts of `zo regress` for people, for JUnit's readers and for GitHub. Rows are those of results/regress.h. */
#ifndef ZO_BENCH_CLI_REGRESS_PRINT_H
#define ZO_BENCH_CLI_REGRESS_PRINT_H

#include "results/page.h"
#include "results/regress.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cJSON;

/* What stands beside the rows. */
typedef struct zo_regress_heard {
    const char *suite;       /* its name */
    const char *name[2];     /* of the baseline and of the other program, with revision */
    const char *const *note; /* (notes) sentences */
    int notes;
    double seconds;          /* that all of it took */
} zo_regress_heard;

/* A table of the headline figures of each setting, and of whatever is not the same; then what it means. */
void zo_regress_print(const struct cJSON *rows, const zo_regress_rule *rule, const zo_regress_heard *heard, const zo_page *page);
/* A test case a row: worse ones fail; what cannot be told is skipped. */
zo_status zo_regress_junit(const struct cJSON *rows, const zo_regress_rule *rule, const zo_regress_heard *heard, const char *path, zo_err *err);
/* The same file of a comparison that came to no verdicts: one error, and why. err may be NULL. */
zo_status zo_regress_junit_error(const char *suite, const char *why, const char *path, zo_err *err);
/* A line ::error or ::warning for each row that is worse or unconfirmed; and for other bits that are permitted. */
void zo_regress_github(const struct cJSON *rows, const zo_regress_rule *rule, FILE *out);

#ifdef __cplusplus
}
#endif
#endif
