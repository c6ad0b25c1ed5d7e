/* unquote.c: a JSON string in place. */
#include "bench/cli/unquote.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Four hexadecimal digits at `at`, or -1. The quote that ends the string is none, so that nothing behind it is read. */
static int32_t read_hex4(const char *at)
{
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value * 16 + digit;
    }
    return value;
}

static char *put_utf8(char *to, int32_t c)
{
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xC0 | c >> 6);
        *to++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *to++ = (char)(0xE0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    } else {
        *to++ = (char)(0xF0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 0x3F));
        *to++ = (char)(0x80 | (c >> 6 & 0x3F));
        *to++ = (char)(0x80 | (c & 0x3F));
    }
    return to;
}

zo_status zo_line_unquote(char *line, size_t *length, zo_err *err)
{
    const char *at = line, *end = line + *length;
    while (at < end && (*at == ' ' || *at == '\t')) {
        at++;
    }
    while (end > at && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    if (end - at < 2 || *at != '"' || end[-1] != '"') {
        return zo_fail(err, ZO_EINPUT, "is not a JSON string in double quotes");
    }
    at++;
    end--;
    char *to = line;
    while (at < end) {
        if (*at == '"' || (uint8_t)*at < 0x20) {
            return zo_fail(err, ZO_EINPUT, "has a bare %s at byte %td of a JSON string", *at == '"' ? "quote" : "control character",
                           at - line);
        }
        if (*at != '\\') {
            *to++ = *at++;
            continue;
        }
        static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        at++;
        const char *name = at < end ? memchr(names, *at, sizeof names - 1) : NULL;
        if (name != NULL) {
            *to++ = values[name - names];
            at++;
            continue;
        }
        int32_t c = *at == 'u' ? read_hex4(at + 1) : -1;
        if (c < 0) {
            return zo_fail(err, ZO_EINPUT, "has a backslash at byte %td that begins no JSON escape", at - 1 - line);
        }
        at += 5;
        if (c >= 0xD800 && c <= 0xDFFF) {
            int32_t low = c < 0xDC00 && at[0] == '\\' && at[1] == 'u' ? read_hex4(at + 2) : -1;
            bool is_pair = low >= 0xDC00 && low <= 0xDFFF;
            c = is_pair ? 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00) : 0xFFFD;
            at += is_pair ? 6 : 0;
        }
        to = put_utf8(to, c); /* never longer than its escape */
    }
    *length = (size_t)(to - line);
    *to = 0;
    return ZO_OK;
}
