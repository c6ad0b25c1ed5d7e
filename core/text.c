/* text.c: what may be shown of text from elsewhere. */
#include "core/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The code point at `at` and its length in bytes; length 1 and 0 as the code point where the bytes are not UTF-8: a stray or missing
 * continuation, more bytes than are needed, a surrogate, or above U+10FFFF. */
static uint32_t code_point(const unsigned char *at, size_t *length)
{
    *length = 1;
    if (at[0] < 0x80) {
        return at[0];
    }
    size_t n = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4) {
        return 0;
    }
    uint32_t code = at[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0; /* the NUL at the end ends here too */
        }
        code = code << 6 | (at[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) {
        return 0;
    }
    *length = n;
    return code;
}

static bool is_shown(uint32_t code)
{
    bool control = code < 0x20 || (code >= 0x7f && code < 0xa0);
    bool separator = code == 0x2028 || code == 0x2029;
    bool direction = code == 0x61c || code == 0x200e || code == 0x200f || (code >= 0x202a && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
    return !control && !separator && !direction && code != 0xfffe && code != 0xffff;
}

char *zo_text_plain(char *text)
{
    unsigned char *out = (unsigned char *)text;
    for (const unsigned char *at = out; *at != '\0';) {
        size_t length;
        if (is_shown(code_point(at, &length))) {
            for (size_t i = 0; i < length; i++) {
                *out++ = at[i];
            }
        } else {
            *out++ = '?';
        }
        at += length;
    }
    *out = '\0';
    return text;
}
