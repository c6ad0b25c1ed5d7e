/* text.c: what may be shown of text from elsewhere, and how wide it is (by utf8proc). */
#include "core/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "core/mem.h"

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

char *zo_text_plain_copy(const char *text)
{
    return zo_text_plain(zo_strdup(ZO_TAG_OTHER, text));
}

char *zo_text_plain_json(const char *json)
{
    char *text = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 6 * strlen(json) + 1), *out = text;
    size_t length;
    for (const char *at = json; *at != '\0'; at += length) {
        uint32_t code = code_point((const unsigned char *)at, &length);
        if (is_shown(code) || code == '\n' || code == '\t') { /* the writer's own: in strings these are escaped */
            memcpy(out, at, length);
            out += length;
        } else {
            out += snprintf(out, 7, "\\u%04x", code == 0 ? 0xfffdu : (unsigned)code); /* none of them is above U+FFFF */
        }
    }
    *out = '\0';
    return text;
}

char *zo_text_utf8(const char *text)
{
    char *valid = zo_alloc(ZO_HOST, ZO_TAG_OTHER, 3 * strlen(text) + 1), *out = valid;
    size_t length;
    for (const char *at = text; *at != '\0'; at += length) {
        bool is_utf8 = code_point((const unsigned char *)at, &length) != 0;
        memcpy(out, is_utf8 ? at : "\xef\xbf\xbd", is_utf8 ? length : 3);
        out += is_utf8 ? length : 3;
    }
    *out = '\0';
    return valid;
}

int zo_text_width(const char *text)
{
    int columns = 0;
    size_t length;
    for (; *text != '\0'; text += length) {
        columns += utf8proc_charwidth((utf8proc_int32_t)code_point((const unsigned char *)text, &length));
    }
    return columns;
}

size_t zo_text_cut(const char *text, int columns)
{
    const char *at = text;
    size_t length;
    for (; *at != '\0'; at += length) {
        columns -= utf8proc_charwidth((utf8proc_int32_t)code_point((const unsigned char *)at, &length));
        if (columns < 0) {
            break;
        }
    }
    return (size_t)(at - text);
}

int zo_terminal_columns(int fd)
{
    struct winsize size;
    if (!isatty(fd)) {
        return 0;
    }
    return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}
