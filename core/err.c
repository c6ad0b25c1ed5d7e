/* err.c: filling an error's one sentence, and dying. */
#include "core/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

zo_status zo_fail(zo_err *err, zo_status status, const char *format, ...)
{
    if (err != NULL) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        zo_text_plain(err->text); /* what stands in somebody's file must not break the line or drive the terminal */
        err->status = status;
    }
    return status;
}

zo_status zo_fail_in(zo_err *err, const char *what)
{
    if (err == NULL) {
        return ZO_EINPUT;
    }
    size_t room = sizeof err->text, prefix = strlen(what), rest = strlen(err->text);
    if (prefix > room / 2) {
        prefix = room / 2;
    }
    size_t start = prefix + 2;
    if (rest > room - 1 - start) {
        rest = room - 1 - start;
    }
    memmove(err->text + start, err->text, rest);
    memcpy(err->text, what, prefix);
    memcpy(err->text + prefix, ": ", 2);
    err->text[start + rest] = '\0';
    zo_text_plain(err->text);
    return err->status;
}

void zo_die(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fflush(stdout);
    fprintf(stderr, "zo: %s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(stderr);
    abort();
}
