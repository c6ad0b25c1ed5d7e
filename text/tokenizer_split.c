/* tokenizer_split.c: regexes and pre-tokenizers.
 *
 * Tokenizer files write their regexes for Oniguruma (Ruby syntax); they run on PCRE2 here. regex_translate spells out what the
 * two read differently (\s, \w, \h, \u) and refuses what has no equal (nested classes, {n,m}+, (?m)). Which characters are letters is
 * Oniguruma's word, too: zo_pattern_view. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"

const char ZO_GPT2_REGEX[] = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* ---- regex ---- */

struct zo_regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack;
    char *source;
    bool is_literal; /* it names characters that zo_utf8_stand_in would replace, so texts are left as they are */
    zo_text view;
};

static void *pcre_allocate(PCRE2_SIZE bytes, void *context)
{
    (void)context;
    return zo_try_alloc(ZO_HOST, ZO_TAG_DATA, bytes);
}

static void pcre_release(void *block, void *context)
{
    (void)context;
    zo_free(block);
}

/* White_Space, without PCRE2's extra U+180E; and Oniguruma's \w: Alphabetic, M*, Nd, Pc, and, outside of brackets only, six
 * Latin-1 numbers. */
#define SPACE_SET "\\t-\\r\\x{20}\\x{85}\\x{A0}\\x{1680}\\x{2000}-\\x{200A}\\x{2028}\\x{2029}\\x{202F}\\x{205F}\\x{3000}"
#define WORD_SET                                                                                                       \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
#define BARE_WORD_SET WORD_SET "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}"
#define HEX_SET "0-9A-Fa-f"

static void append_string(zo_text *out, const char *text)
{
    zo_text_append(out, text, (int64_t)strlen(text));
}

/* Append a class's set, bracketed outside of brackets. A complement inside brackets has no spelling as a set; `fallback` is. */
static void append_set(zo_text *out, const char *set, bool complement, bool in_class, const char *fallback)
{
    if (in_class) {
        append_string(out, complement ? fallback : set);
        return;
    }
    append_string(out, complement ? "[^" : "[");
    append_string(out, set);
    append_string(out, "]");
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* *at points behind a backslash; moves it behind the escape. */
static zo_status translate_escape(zo_text *out, const char **at, bool in_class, zo_err *err)
{
    char c = **at;
    switch (c) {
    case 's': case 'S': /* [\S] is PCRE2's own: it lacks U+180E */
        append_set(out, SPACE_SET, c == 'S', in_class, "\\S");
        break;
    case 'w': case 'W': case 'h': case 'H':
        if (in_class && (c == 'W' || c == 'H')) {
            return zo_fail(err, ZO_EUNSUPPORTED, "\\%c inside a character class is not supported", c);
        }
        append_set(out, c == 'h' || c == 'H' ? HEX_SET : in_class ? WORD_SET : BARE_WORD_SET, c == 'W' || c == 'H', in_class, "");
        break;
    case 'u':
        for (int i = 1; i <= 4; i++) {
            if (!is_hex((*at)[i])) {
                return zo_fail(err, ZO_EINPUT, "\\u needs four hexadecimal digits");
            }
        }
        append_string(out, "\\x{");
        zo_text_append(out, *at + 1, 4);
        append_string(out, "}");
        *at += 4;
        break;
    case 'C': case 'M': case 'G': case 'Q': case 'E': case 'y': case 'Y': case 'O': case 'N':
        return zo_fail(err, ZO_EUNSUPPORTED, "the escape \\%c is not supported", c);
    case 0:
        return zo_fail(err, ZO_EINPUT, "it ends in a backslash");
    default: /* with the braces of \p{L} and \x{41}, so that no brace of an escape looks like a repetition's */
        zo_text_append(out, "\\", 1);
        zo_text_append(out, *at, 1);
        if ((c == 'p' || c == 'P' || c == 'x') && (*at)[1] == '{') {
            int64_t length = (int64_t)strcspn(*at, "}") + 1;
            if ((*at)[length - 1] != '}') {
                return zo_fail(err, ZO_EINPUT, "\\%c{ has no closing brace", c);
            }
            zo_text_append(out, *at + 1, length - 1);
            *at += length - 1;
        }
        break;
    }
    ++*at;
    return ZO_OK;
}

/* `at` points at '['; the bracket, a leading ^ and a leading ] are copied. */
static const char *translate_class_open(zo_text *out, const char *at)
{
    zo_text_append(out, at++, 1);
    if (*at == '^') {
        zo_text_append(out, at++, 1);
    }
    if (*at == ']') {
        append_string(out, "\\]");
        at++;
    }
    return at;
}

static zo_status translate_group(zo_text *out, const char **at, zo_err *err)
{
    const char *p = *at + 2; /* behind "(?" */
    if (*p == '#' || strchr(":=!><|", *p) == NULL || *p == 0) {
        for (; *p && *p != ')' && *p != ':'; p++) {
            if (*p != 'i' && *p != '-') {
                return zo_fail(err, ZO_EUNSUPPORTED, "the group option '%c' is not supported (i is)", *p);
            }
        }
    }
    zo_text_append(out, *at, p - *at);
    *at = p;
    return ZO_OK;
}

static zo_status regex_translate(zo_text *out, const char *source, zo_err *err)
{
    bool in_class = false;
    zo_status status = ZO_OK;
    for (const char *at = source; *at && status == ZO_OK;) {
        if (*at == '\\') {
            at++;
            status = translate_escape(out, &at, in_class, err);
        } else if (in_class && *at == '[') {
            const char *close = at[1] == ':' ? strstr(at + 2, ":]") : NULL;
            if (close == NULL) {
                return zo_fail(err, ZO_EUNSUPPORTED, "a character class inside a character class is not supported");
            }
            zo_text_append(out, at, close + 2 - at);
            at = close + 2;
        } else if (in_class && at[0] == '&' && at[1] == '&') {
            return zo_fail(err, ZO_EUNSUPPORTED, "an intersection (&&) of character classes is not supported");
        } else if (!in_class && *at == '[') {
            in_class = true;
            at = translate_class_open(out, at);
        } else if (!in_class && *at == '(' && at[1] == '?') {
            status = translate_group(out, &at, err);
        } else if (!in_class && *at == '}' && at[1] == '+') {
            return zo_fail(err, ZO_EUNSUPPORTED, "a repeated counted repetition ({n,m}+) is not supported");
        } else {
            in_class = in_class && *at != ']';
            zo_text_append(out, at++, 1);
        }
    }
    return status;
}

zo_status zo_regex_compile(zo_regex **regex, const char *source, zo_err *err)
{
    *regex = NULL;
    zo_text text = {0};
    zo_status status = regex_translate(&text, source, err);
    if (status != ZO_OK) {
        zo_text_free(&text);
        return status;
    }
    pcre2_general_context *general = pcre2_general_context_create(pcre_allocate, pcre_release, NULL);
    pcre2_compile_context *compile = pcre2_compile_context_create(general);
    pcre2_set_newline(compile, PCRE2_NEWLINE_LF);
    pcre2_set_parens_nest_limit(compile, 100);
    int code = 0;
    PCRE2_SIZE offset = 0;
    uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NO_UTF_CHECK | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)(text.data ? text.data : ""), (PCRE2_SIZE)text.n, options, &code, &offset,
                                         compile);
    pcre2_compile_context_free(compile);
    zo_text_free(&text);
    if (compiled == NULL) {
        char why[200];
        pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof why);
        pcre2_general_context_free(general);
        return zo_fail(err, ZO_EUNSUPPORTED, "%s", why);
    }
    pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE); /* without it the interpreter runs */
    zo_regex *r = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *r);
    r->code = compiled;
    r->match = pcre2_match_data_create_from_pattern(compiled, general);
    r->context = pcre2_match_context_create(general);
    r->stack = pcre2_jit_stack_create(32 * 1024, 4 * 1024 * 1024, general);
    r->source = zo_strdup(ZO_TAG_DATA, source);
    r->is_literal = !zo_utf8_stable(source, (int64_t)strlen(source));
    pcre2_general_context_free(general);
    ZO_CHECK(r->match && r->context && r->stack, "no memory for the regex /%s/", source);
    pcre2_set_match_limit(r->context, 10 * 1000 * 1000);
    pcre2_set_depth_limit(r->context, 100 * 1000);
    pcre2_jit_stack_assign(r->context, NULL, r->stack);
    *regex = r;
    return ZO_OK;
}

void zo_regex_free(zo_regex *regex)
{
    if (regex == NULL) {
        return;
    }
    pcre2_match_data_free(regex->match);
    pcre2_match_context_free(regex->context);
    pcre2_jit_stack_free(regex->stack);
    pcre2_code_free(regex->code);
    zo_free(regex->source);
    zo_text_free(&regex->view);
    zo_free(regex);
}

const char *zo_pattern_view(const zo_pattern *pattern, const char *text, int64_t n)
{
    zo_regex *regex = pattern->regex;
    if (regex == NULL || regex->is_literal || zo_utf8_stable(text, n)) {
        return text;
    }
    regex->view.n = 0;
    zo_utf8_stand_in(&regex->view, text, n);
    return regex->view.data;
}

zo_status zo_pattern_next(const zo_pattern *pattern, const char *text, int64_t n, zo_cursor *cursor, bool *found, int64_t *start,
                          int64_t *end, zo_err *err)
{
    *found = false;
    if (pattern->regex == NULL) {
        const char *hit = pattern->literal_n > 0 && cursor->at < n
                              ? memmem(text + cursor->at, (size_t)(n - cursor->at), pattern->literal, (size_t)pattern->literal_n)
                              : NULL;
        if (hit != NULL) {
            *found = true;
            *start = hit - text;
            *end = cursor->at = *start + pattern->literal_n;
        }
        return ZO_OK;
    }
    const zo_regex *regex = pattern->regex;
    while (cursor->at <= n) {
        int rc = pcre2_match(regex->code, (PCRE2_SPTR)text, (PCRE2_SIZE)n, (PCRE2_SIZE)cursor->at, PCRE2_NO_UTF_CHECK,
                             regex->match, regex->context);
        if (rc == PCRE2_ERROR_NOMATCH) {
            return ZO_OK;
        }
        if (rc < 0) {
            char why[200];
            pcre2_get_error_message(rc, (PCRE2_UCHAR *)why, sizeof why);
            return zo_fail(err, ZO_EUNSUPPORTED, "the regex /%s/ gave up on a text of %lld bytes: %s", regex->source,
                           (long long)n, why);
        }
        const PCRE2_SIZE *at = pcre2_get_ovector_pointer(regex->match);
        int64_t from = (int64_t)at[0], to = (int64_t)at[1];
        if (to < from || from < cursor->at) { /* \K inside a lookaround can do this */
            return zo_fail(err, ZO_EUNSUPPORTED, "the regex /%s/ matches backwards", regex->source);
        }
        if (from == to && cursor->last_end == to) { /* an empty match right behind the last match is none */
            int32_t c;
            cursor->at += cursor->at < n ? zo_utf8_next(text + cursor->at, &c) : 1;
            continue;
        }
        cursor->at = cursor->last_end = to;
        *found = true;
        *start = from;
        *end = to;
        return ZO_OK;
    }
    return ZO_OK;
}

/* ---- pieces ---- */

void zo_pieces_push(zo_pieces *pieces, int64_t start, int64_t n, bool first)
{
    if (pieces->n == pieces->room) {
        pieces->room = pieces->room ? pieces->room * 2 : 64;
        pieces->at = zo_realloc(pieces->at, ZO_HOST, ZO_TAG_DATA, (size_t)pieces->room * sizeof *pieces->at);
    }
    pieces->at[pieces->n++] = (zo_piece){start, n, first};
}

void zo_splitter_free(zo_splitter *splitter)
{
    for (int i = 0; i < 2; i++) {
        zo_free(splitter->pieces[i].at);
        zo_text_free(&splitter->text[i]);
    }
    zo_free(splitter->matches.at);
    *splitter = (zo_splitter){0};
}

static void push_part(zo_pieces *out, zo_piece whole, int64_t start, int64_t n)
{
    if (n > 0) {
        zo_pieces_push(out, whole.start + start, n, whole.first && start == 0);
    }
}

/* Cut `whole` by its alternating parts matches[] (start, n relative to the piece; first = is a match). */
static void push_by_behavior(zo_pieces *out, zo_piece whole, const zo_pieces *matches, zo_behavior behavior)
{
    const zo_piece *m = matches->at;
    int64_t count = matches->n;
    switch (behavior) {
    case ZO_REMOVED:
        for (int64_t i = 0; i < count; i++) {
            if (!m[i].first) {
                push_part(out, whole, m[i].start, m[i].n);
            }
        }
        break;
    case ZO_ISOLATED:
        for (int64_t i = 0; i < count; i++) {
            push_part(out, whole, m[i].start, m[i].n);
        }
        break;
    case ZO_CONTIGUOUS: /* neighbours of one sort become one piece */
        for (int64_t i = 0; i < count;) {
            int64_t start = m[i].start, end = start + m[i].n;
            bool sort = m[i].first;
            for (i++; i < count && m[i].first == sort; i++) {
                end = m[i].start + m[i].n;
            }
            push_part(out, whole, start, end - start);
        }
        break;
    case ZO_MERGED_WITH_PREVIOUS: /* the first match of a run joins what stands before it */
        for (int64_t i = 0; i < count;) {
            int64_t start = m[i].start, end = start + m[i].n;
            bool was_match = m[i].first;
            i++;
            if (!was_match && i < count && m[i].first) {
                end = m[i].start + m[i].n;
                i++;
            }
            push_part(out, whole, start, end - start);
        }
        break;
    case ZO_MERGED_WITH_NEXT: /* the last match of a run joins what stands behind it */
        for (int64_t i = 0; i < count;) {
            int64_t start = m[i].start, end = start + m[i].n;
            bool was_match = m[i].first;
            i++;
            if (was_match && i < count && !m[i].first) {
                end = m[i].start + m[i].n;
                i++;
            }
            push_part(out, whole, start, end - start);
        }
        break;
    }
}

static zo_status split_by_pattern(const zo_pre *pre, zo_behavior behavior, zo_pieces *matches, const char *text, zo_piece whole,
                                  zo_pieces *out, zo_err *err)
{
    zo_cursor cursor = {0, -1};
    int64_t done = 0, start, end;
    bool found;
    const char *view = zo_pattern_view(&pre->pattern, text + whole.start, whole.n);
    matches->n = 0;
    for (;;) {
        zo_status status = zo_pattern_next(&pre->pattern, view, whole.n, &cursor, &found, &start, &end, err);
        if (status != ZO_OK) {
            return status;
        }
        if (!found) {
            break;
        }
        if (start > done) {
            zo_pieces_push(matches, done, start - done, pre->invert);
        }
        zo_pieces_push(matches, start, end - start, !pre->invert);
        done = end;
    }
    if (done < whole.n) {
        zo_pieces_push(matches, done, whole.n - done, pre->invert);
    }
    push_by_behavior(out, whole, matches, behavior);
    return ZO_OK;
}

/* Every character of the class is a match of its own. */
static void split_by_class(bool (*is_member)(int32_t), zo_behavior behavior, zo_pieces *matches, const char *text, zo_piece whole,
                           zo_pieces *out)
{
    const char *begin = text + whole.start;
    int64_t done = 0;
    matches->n = 0;
    for (int64_t i = 0; i < whole.n;) {
        int32_t c;
        int length = zo_utf8_next(begin + i, &c);
        if (is_member(c)) {
            if (i > done) {
                zo_pieces_push(matches, done, i - done, false);
            }
            zo_pieces_push(matches, i, length, true);
            done = i + length;
        }
        i += length;
    }
    if (done < whole.n) {
        zo_pieces_push(matches, done, whole.n - done, false);
    }
    push_by_behavior(out, whole, matches, behavior);
}

/* \w+|[^\w\s]+ */
static void split_whitespace(const char *text, zo_piece whole, zo_pieces *out)
{
    const char *begin = text + whole.start;
    int64_t start = 0;
    int sort = 0; /* 0 space, 1 word, 2 other */
    for (int64_t i = 0; i < whole.n;) {
        int32_t c;
        int length = zo_utf8_next(begin + i, &c);
        int now = zo_is_word(c) ? 1 : zo_is_space(c) ? 0 : 2;
        if (now != sort) {
            if (sort != 0) {
                push_part(out, whole, start, i - start);
            }
            start = i;
            sort = now;
        }
        i += length;
    }
    if (sort != 0) {
        push_part(out, whole, start, whole.n - start);
    }
}

static bool starts_with(const char *text, int64_t n, const char *prefix, int64_t prefix_n)
{
    return n >= prefix_n && memcmp(text, prefix, (size_t)prefix_n) == 0;
}

static zo_status byte_level_piece(const zo_pre *pre, zo_splitter *s, const char *text, zo_piece piece, zo_text *out_text,
                                  zo_pieces *out, zo_err *err)
{
    zo_text prefixed = {0};
    zo_piece whole = piece;
    if (pre->prefix_space && text[piece.start] != ' ') {
        zo_text_append(&prefixed, " ", 1);
        zo_text_append(&prefixed, text + piece.start, piece.n);
        text = prefixed.data;
        whole = (zo_piece){0, prefixed.n, piece.first};
    }
    int64_t from = out->n;
    zo_status status = ZO_OK;
    if (pre->pattern.regex != NULL) {
        status = split_by_pattern(pre, ZO_ISOLATED, &s->matches, text, whole, out, err);
    } else {
        push_part(out, whole, 0, whole.n);
    }
    const zo_byte_chars *chars = zo_byte_chars_get();
    for (int64_t i = from; i < out->n; i++) {
        const uint8_t *bytes = (const uint8_t *)text + out->at[i].start;
        int64_t start = out_text->n, n = out->at[i].n;
        for (int64_t j = 0; j < n; j++) {
            const char *spelling = chars->utf8[bytes[j]];
            zo_text_append(out_text, spelling, spelling[1] ? 2 : 1);
        }
        out->at[i].start = start;
        out->at[i].n = out_text->n - start;
    }
    zo_text_free(&prefixed);
    return status;
}

static void metaspace_piece(const zo_pre *pre, zo_splitter *s, const char *text, zo_piece piece, zo_text *out_text,
                            zo_pieces *out)
{
    int64_t begin = out_text->n;
    const char *from = text + piece.start;
    bool has_mark = from[0] == ' ' || starts_with(from, piece.n, pre->content, pre->content_n);
    if (!has_mark && (pre->prepend == ZO_PREPEND_ALWAYS || (pre->prepend == ZO_PREPEND_FIRST && piece.first))) {
        zo_text_append(out_text, pre->content, pre->content_n);
    }
    for (int64_t i = 0; i < piece.n; i++) {
        if (from[i] == ' ') {
            zo_text_append(out_text, pre->content, pre->content_n);
        } else {
            zo_text_append(out_text, from + i, 1);
        }
    }
    zo_piece whole = {begin, out_text->n - begin, piece.first};
    if (!pre->split) {
        push_part(out, whole, 0, whole.n);
        return;
    }
    zo_pre by_mark = *pre;
    by_mark.pattern = (zo_pattern){.literal = pre->content, .literal_n = pre->content_n};
    split_by_pattern(&by_mark, ZO_MERGED_WITH_NEXT, &s->matches, out_text->data, whole, out, NULL);
}

static zo_status apply_step(const zo_pre *pre, zo_splitter *s, const char *text, zo_piece piece, zo_text *out_text,
                            zo_pieces *out, zo_err *err)
{
    switch (pre->kind) {
    case ZO_PRE_BYTE_LEVEL:
        return byte_level_piece(pre, s, text, piece, out_text, out, err);
    case ZO_PRE_METASPACE:
        metaspace_piece(pre, s, text, piece, out_text, out);
        return ZO_OK;
    case ZO_PRE_DIGITS:
        split_by_class(zo_is_numeric, pre->behavior, &s->matches, text, piece, out);
        return ZO_OK;
    case ZO_PRE_SPLIT:
        return split_by_pattern(pre, pre->behavior, &s->matches, text, piece, out, err);
    case ZO_PRE_WHITESPACE_SPLIT:
        split_by_class(zo_is_space, ZO_REMOVED, &s->matches, text, piece, out);
        return ZO_OK;
    case ZO_PRE_PUNCTUATION:
        split_by_class(zo_is_punctuation, pre->behavior, &s->matches, text, piece, out);
        return ZO_OK;
    case ZO_PRE_WHITESPACE:
        split_whitespace(text, piece, out);
        return ZO_OK;
    }
    ZO_CHECK(false, "pre-tokenizer kind %d has no code", (int)pre->kind);
}

zo_status zo_pre_apply(const zo_pre *pre, int pre_n, zo_splitter *s, const char *text, int64_t n, bool first,
                       const char **out_text, const zo_pieces **out_pieces, zo_err *err)
{
    int now = 0;
    s->pieces[0].n = 0;
    if (n > 0) {
        zo_pieces_push(&s->pieces[0], 0, n, first);
    }
    for (int i = 0; i < pre_n; i++) {
        const zo_pieces *in = &s->pieces[now];
        zo_pieces *out = &s->pieces[!now];
        bool rewrites = pre[i].kind == ZO_PRE_BYTE_LEVEL || pre[i].kind == ZO_PRE_METASPACE;
        zo_text *fresh = text == s->text[0].data && s->text[0].data ? &s->text[1] : &s->text[0];
        out->n = 0;
        if (rewrites) {
            fresh->n = 0;
        }
        for (int64_t j = 0; j < in->n; j++) {
            zo_status status = apply_step(&pre[i], s, text, in->at[j], fresh, out, err);
            if (status != ZO_OK) {
                return status;
            }
        }
        if (rewrites) {
            text = fresh->data;
        }
        now = !now;
    }
    *out_text = text;
    *out_pieces = &s->pieces[now];
    return ZO_OK;
}
