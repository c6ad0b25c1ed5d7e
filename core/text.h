/* text.h: text from elsewhere (names, options, a database of somebody else) made fit to be printed on a terminal, drawn or written as XML. */
#ifndef ZO_CORE_TEXT_H
#define ZO_CORE_TEXT_H

#ifdef __cplusplus
extern "C" {
#endif

/* Replaces by '?', in place, what could break a line or drive a terminal and what is not text: control characters (C0, DEL, C1), line and
 * paragraph separators, marks that turn the direction of writing, bytes that are not UTF-8 (RFC 3629), and code points that XML 1.0
 * excludes. The result is never longer. Returns `text`. */
char *zo_text_plain(char *text);

#ifdef __cplusplus
}
#endif
#endif
