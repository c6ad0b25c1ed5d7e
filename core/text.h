/* text.h: text from elsewhere (names, options, a database of somebody else) made fit to be printed on a terminal, drawn or written as XML. */
#ifndef ZO_CORE_TEXT_H
#define ZO_CORE_TEXT_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Replaces by '?', in place, what could break a line or drive a terminal and what is not text: control characters (C0, DEL, C1), line and
 * paragraph separators, marks that turn the direction of writing, bytes that are not UTF-8 (RFC 3629), and code points that XML 1.0
 * excludes. The result is never longer. Returns `text`. */
char *zo_text_plain(char *text);
/* The same of a copy, which the caller gives back with zo_free. */
char *zo_text_plain_copy(const char *text);
/* Of JSON as it was written out, which keeps its meaning: such characters become \uXXXX, bytes that are not UTF-8 \ufffd. The caller gives it back
 * with zo_free. */
char *zo_text_plain_json(const char *json);
/* As it is, but UTF-8: U+FFFD for every byte that is not. The caller gives it back with zo_free. */
char *zo_text_utf8(const char *text);

/* Columns of a terminal that a plain text takes: 2 for wide characters, 0 for marks that stand above others. */
int zo_text_width(const char *text);
/* Bytes of the longest beginning of a plain text that takes at most so many columns. */
size_t zo_text_cut(const char *text, int columns);

/* Columns of the terminal behind a descriptor, 80 where it does not say; 0 where there is no terminal. */
int zo_terminal_columns(int fd);

#ifdef __cplusplus
}
#endif
#endif
