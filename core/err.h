/* err.h: two tiers of errors.
 *
 * Tier 1, our bug or a broken machine: ZO_CHECK dies with file, line, cause and hint. Always on.
 * Tier 2, somebody else's bytes (files, JSON, command line): the function returns a zo_status and fills a zo_err whose text is
 * ONE sentence that names file, line or key, says what was found, what was expected, and how to mend it.
 * Outcomes that are measurements (out of memory, divergence, time limit) are statuses too; they end in a row, not in a crash. */
#ifndef ZO_CORE_ERR_H
#define ZO_CORE_ERR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_status {
    ZO_OK = 0,
    ZO_EINPUT,       /* the user's bytes are wrong: exit code 2 */
    ZO_EIO,          /* a file cannot be read or written: exit code 2 */
    ZO_EUNSUPPORTED, /* understood, but this program cannot do it (status `unsupported` in the row) */
    ZO_EOOM,         /* the ledger's limit was reached (status `oom`) */
    ZO_EDIVERGED,    /* a loss is not finite (status `diverged`) */
    ZO_ETIME         /* the budget in seconds ended (status `time`) */
} zo_status;

typedef struct zo_err {
    zo_status status;
    char text[1000]; /* one sentence, no trailing newline; empty when status is ZO_OK */
} zo_err;

/* Fill *err (NULL is allowed) and return `status`, so that callers write `return zo_fail(err, ZO_EINPUT, "...", ...)`. A text
 * that does not fit is cut at the end, never overrun; what zo_text_plain (core/text.h) does not show becomes '?'. */
zo_status zo_fail(zo_err *err, zo_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put "what: " in front of an error's text (for instance the file's name, added by whoever knows it); returns err->status. */
zo_status zo_fail_in(zo_err *err, const char *what);

/* Print to standard error and abort(). */
void zo_die(const char *file, int line, const char *format, ...) __attribute__((format(printf, 3, 4), noreturn));

/* ZO_CHECK(n > 0, "batch has %d rows; the batcher promises at least one", n) */
#define ZO_CHECK(condition, ...)                         \
    do {                                                 \
        if (!(condition)) {                              \
            zo_die(__FILE__, __LINE__, __VA_ARGS__);     \
        }                                                \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
