/* tokenizer_text.c: UTF-8, character classes and normalizers of tokenizers.
 *
 * Classes and lower case are the `tokenizers` library's own (tokenizer_unicode.h). Normal forms come from utf8proc, for the characters
 * that the library's know, whose forms no Unicode version may change. */
#include <string.h>

#include <utf8proc.h>

#include "core/mem.h"
#include "text/tokenizer_impl.h"
#include "text/tokenizer_unicode.h"

/* ---- growing text ---- */

static void text_reserve(zo_text *text, int64_t more)
{
    if (text->n + more <= text->room) {
        return;
    }
    int64_t room = text->room < 256 ? 256 : text->room;
    while (room < text->n + more) {
        room *= 2;
    }
    text->data = zo_realloc(text->data, ZO_HOST, ZO_TAG_DATA, (size_t)room);
    text->room = room;
}

void zo_text_append(zo_text *text, const char *data, int64_t n)
{
    if (n <= 0) {
        return;
    }
    text_reserve(text, n);
    memcpy(text->data + text->n, data, (size_t)n);
    text->n += n;
}

void zo_text_append_char(zo_text *text, int32_t code_point)
{
    text_reserve(text, 4);
    text->n += utf8proc_encode_char(code_point, (utf8proc_uint8_t *)text->data + text->n);
}

void zo_text_free(zo_text *text)
{
    zo_free(text->data);
    *text = (zo_text){0};
}

/* ---- UTF-8 ---- */

/* Length of the well-formed character at `at`, or minus the length of the maximal malformed part (at least 1). */
static int utf8_measure(const uint8_t *at, const uint8_t *end)
{
    uint8_t lead = at[0];
    if (lead < 0x80) {
        return 1;
    }
    int more = lead >= 0xC2 && lead <= 0xDF ? 1 : lead >= 0xE0 && lead <= 0xEF ? 2 : lead >= 0xF0 && lead <= 0xF4 ? 3 : 0;
    uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (more == 0) {
        return -1;
    }
    for (int i = 1; i <= more; i++) {
        if (at + i >= end || at[i] < least || at[i] > most) {
            return -i;
        }
        least = 0x80;
        most = 0xBF;
    }
    return more + 1;
}

bool zo_utf8_valid(const char *data, int64_t n)
{
    const uint8_t *at = (const uint8_t *)data, *end = at + n;
    while (at < end) {
        int length = utf8_measure(at, end);
        if (length < 0) {
            return false;
        }
        at += length;
    }
    return true;
}

void zo_utf8_repair(zo_text *out, const char *data, int64_t n)
{
    const uint8_t *at = (const uint8_t *)data, *end = at + n;
    while (at < end) {
        int length = utf8_measure(at, end);
        if (length < 0) {
            zo_text_append_char(out, 0xFFFD);
            at -= length;
        } else {
            zo_text_append(out, (const char *)at, length);
            at += length;
        }
    }
}

int zo_utf8_next(const char *at, int32_t *code_point)
{
    const uint8_t *u = (const uint8_t *)at;
    if (u[0] < 0x80) {
        *code_point = u[0];
        return 1;
    }
    if (u[0] < 0xE0) {
        *code_point = (u[0] & 0x1F) << 6 | (u[1] & 0x3F);
        return 2;
    }
    if (u[0] < 0xF0) {
        *code_point = (u[0] & 0x0F) << 12 | (u[1] & 0x3F) << 6 | (u[2] & 0x3F);
        return 3;
    }
    *code_point = (u[0] & 0x07) << 18 | (u[1] & 0x3F) << 12 | (u[2] & 0x3F) << 6 | (u[3] & 0x3F);
    return 4;
}

const char *zo_utf8_before(const char *begin, const char *end)
{
    do {
        end--;
    } while (end > begin && ((uint8_t)*end & 0xC0) == 0x80);
    return end;
}

/* ---- classes ---- */

bool zo_is_space(int32_t c)
{
    return (c >= 9 && c <= 13) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool zo_is_numeric(int32_t c)
{
    return c < 0x80 ? c >= '0' && c <= '9' : IN_RANGES(numeric_ranges, c);
}

bool zo_is_punctuation(int32_t c)
{
    if (c < 0x80) {
        return (c >= 33 && c <= 47) || (c >= 58 && c <= 64) || (c >= 91 && c <= 96) || (c >= 123 && c <= 126);
    }
    return IN_RANGES(punctuation_ranges, c);
}

bool zo_is_word(int32_t c)
{
    if (c < 0x80) {
        return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
    }
    return IN_RANGES(word_ranges, c);
}

static bool is_stable(int32_t c)
{
    return c < 0x80 || IN_RANGES(stable_ranges, c);
}

bool zo_utf8_stable(const char *data, int64_t n)
{
    int32_t c;
    bool stable = true;
    for (const char *at = data, *end = data + n; stable && at < end;) {
        at += zo_utf8_next(at, &c);
        stable = is_stable(c);
    }
    return stable;
}

/* Characters that were not assigned are stood in for by others: of two bytes U+0378, of three and four noncharacters. */
static int32_t stand_in_of(int32_t c)
{
    int low = 0, high = (int)(sizeof stand_ins / sizeof stand_ins[0]), n = high;
    while (low < high) {
        int middle = (low + high) / 2;
        if (c > stand_ins[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low < n && c >= stand_ins[low].first) {
        return stand_ins[low].as;
    }
    return c < 0x800 ? 0x378 : c < 0x10000 ? 0xFDD0 : 0x1FFFE;
}

void zo_utf8_stand_in(zo_text *out, const char *data, int64_t n)
{
    int32_t c;
    for (const char *at = data, *end = data + n; at < end;) {
        at += zo_utf8_next(at, &c);
        zo_text_append_char(out, is_stable(c) ? c : stand_in_of(c));
    }
}

static int32_t lower_of(int32_t c)
{
    int low = 0, high = (int)(sizeof lower_shifts / sizeof lower_shifts[0]), n = high;
    while (low < high) {
        int middle = (low + high) / 2;
        if (c > lower_shifts[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    bool is_in = low < n && c >= lower_shifts[low].first && (c - lower_shifts[low].first) % lower_shifts[low].step == 0;
    return is_in ? c + lower_shifts[low].by : c;
}

static bool is_chinese(int32_t c)
{
    static const range ranges[] = {{0x3400, 0x4DBF},   {0x4E00, 0x9FFF},   {0xF900, 0xFAFF},  {0x20000, 0x2A6DF},
                                   {0x2A700, 0x2B81F}, {0x2B920, 0x2CEAF}, {0x2F800, 0x2FA1F}};
    return c >= 0x3400 && IN_RANGES(ranges, c);
}

static bool is_control_to_drop(int32_t c) /* controls, formats and private use, but not tab and line ends */
{
    if (c < 0x80) {
        return (c < 32 && c != '\t' && c != '\n' && c != '\r') || c == 127;
    }
    return IN_RANGES(dropped_ranges, c);
}

/* ---- byte-level characters: printable Latin-1 stand for themselves, the others take 256, 257, ... in order ---- */

const zo_byte_chars *zo_byte_chars_get(void)
{
    static zo_byte_chars table;
    static bool ready;
    if (!ready) {
        memset(table.byte_of, 0xFF, sizeof table.byte_of);
        int next = 256;
        for (int b = 0; b < 256; b++) {
            bool printable = (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
            int code_point = printable ? b : next++;
            table.byte_of[code_point] = (int16_t)b;
            memset(table.utf8[b], 0, sizeof table.utf8[b]);
            utf8proc_encode_char(code_point, (utf8proc_uint8_t *)table.utf8[b]);
        }
        ready = true;
    }
    return &table;
}

/* ---- normalizers ---- */

static bool is_ascii(const char *data, int64_t n)
{
    uint8_t any = 0;
    for (int64_t i = 0; i < n; i++) {
        any |= (uint8_t)data[i];
    }
    return any < 0x80;
}

/* Append the normal form of in[0..n): options of utf8proc, UTF8PROC_COMPAT and UTF8PROC_COMPOSE or 0. */
static zo_status append_stable_form(zo_text *out, const char *in, int64_t n, int options, zo_err *err)
{
    if (is_ascii(in, n)) {
        zo_text_append(out, in, n);
        return ZO_OK;
    }
    utf8proc_option_t all = (utf8proc_option_t)(options | UTF8PROC_STABLE | (options & UTF8PROC_COMPOSE ? 0 : UTF8PROC_DECOMPOSE));
    utf8proc_ssize_t room = n + 16;
    utf8proc_int32_t *code_points = NULL;
    utf8proc_ssize_t length = 0;
    for (;;) {
        code_points = zo_realloc(code_points, ZO_HOST, ZO_TAG_DATA, ((size_t)room + 1) * sizeof *code_points);
        length = utf8proc_decompose((const utf8proc_uint8_t *)in, n, code_points, room, all);
        if (length <= room) {
            break;
        }
        room = length;
    }
    if (length >= 0 && (options & UTF8PROC_COMPOSE)) {
        length = utf8proc_normalize_utf32(code_points, length, all);
    }
    for (utf8proc_ssize_t i = 0; i < length; i++) {
        zo_text_append_char(out, code_points[i]);
    }
    zo_free(code_points);
    return length >= 0 ? ZO_OK : zo_fail(err, ZO_EINPUT, "a text of %lld bytes cannot be normalized: %s", (long long)n,
                                         utf8proc_errmsg(length));
}

/* A character that the library's normal forms do not know stands for itself, and nothing moves across it. */
static zo_status append_normal_form(zo_text *out, const char *in, int64_t n, int options, zo_err *err)
{
    const char *from = in, *end = in + n;
    zo_status status = ZO_OK;
    int32_t c;
    for (const char *at = in; at < end && status == ZO_OK;) {
        const char *here = at;
        at += zo_utf8_next(at, &c);
        if (!is_stable(c)) {
            status = append_stable_form(out, from, here - from, options, err);
            zo_text_append(out, here, at - here);
            from = at;
        }
    }
    return status != ZO_OK ? status : append_stable_form(out, from, end - from, options, err);
}

static void append_lower(zo_text *out, const char *in, int64_t n)
{
    int32_t c;
    for (const char *at = in, *end = in + n; at < end;) {
        at += zo_utf8_next(at, &c);
        if (c == 0x130) { /* the one letter whose lower case is two characters */
            zo_text_append_char(out, 'i');
            zo_text_append_char(out, 0x307);
        } else if (c < 0x80) {
            zo_text_append_char(out, c >= 'A' && c <= 'Z' ? c + 32 : c);
        } else {
            zo_text_append_char(out, lower_of(c));
        }
    }
}

static void bert_ascii(const zo_norm *norm, const char *in, int64_t n, zo_text *out, bool *lead)
{
    text_reserve(out, n);
    char *to = out->data + out->n;
    for (int64_t i = 0; i < n; i++) {
        char c = in[i];
        if (norm->clean_text) {
            if (is_control_to_drop(c)) {
                *lead = *lead && i > 0;
                continue;
            }
            c = c == '\t' || c == '\n' || c == '\r' ? ' ' : c;
        }
        *to++ = norm->lowercase && c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
    }
    out->n = to - out->data;
}

static zo_status bert_apply(const zo_norm *norm, const char *in, int64_t n, zo_text *out, bool *lead, zo_err *err)
{
    if (is_ascii(in, n)) {
        bert_ascii(norm, in, n, out, lead);
        return ZO_OK;
    }
    zo_text clean = {0}, plain = {0};
    int32_t c;
    for (const char *at = in, *end = in + n; at < end;) {
        bool at_start = at == in;
        at += zo_utf8_next(at, &c);
        if (norm->clean_text) {
            if (is_control_to_drop(c)) {
                *lead = *lead && !at_start;
                continue;
            }
            c = zo_is_space(c) ? ' ' : c;
        }
        if (norm->chinese_chars && is_chinese(c)) {
            zo_text_append_char(&clean, ' ');
            zo_text_append_char(&clean, c);
            zo_text_append_char(&clean, ' ');
        } else {
            zo_text_append_char(&clean, c);
        }
    }
    zo_status status = ZO_OK;
    if (norm->strip_accents) {
        zo_text decomposed = {0};
        status = append_normal_form(&decomposed, clean.data, clean.n, 0, err);
        for (const char *at = decomposed.data, *end = at + decomposed.n; at < end;) {
            at += zo_utf8_next(at, &c);
            if (!(c >= 0x300 && IN_RANGES(marks_bert_ranges, c))) {
                zo_text_append_char(&plain, c);
            }
        }
        zo_text_free(&decomposed);
        zo_text swap = clean;
        clean = plain;
        plain = swap;
    }
    if (norm->lowercase) {
        append_lower(out, clean.data, clean.n);
    } else {
        zo_text_append(out, clean.data, clean.n);
    }
    zo_text_free(&clean);
    zo_text_free(&plain);
    return status;
}

static void strip_spaces(const zo_norm *norm, const char *in, int64_t n, zo_text *out, bool *lead)
{
    const char *begin = in, *end = in + n;
    int32_t c;
    while (norm->left && begin < end) {
        int length = zo_utf8_next(begin, &c);
        if (!zo_is_space(c)) {
            break;
        }
        begin += length;
        *lead = false;
    }
    while (norm->right && end > begin) {
        const char *before = zo_utf8_before(begin, end);
        zo_utf8_next(before, &c);
        if (!zo_is_space(c)) {
            break;
        }
        end = before;
    }
    zo_text_append(out, begin, end - begin);
}

static zo_status replace_all(const zo_norm *norm, const char *in, int64_t n, zo_text *out, bool *lead, zo_err *err)
{
    zo_cursor cursor = {0, -1};
    int64_t done = 0, start, end;
    bool found;
    const char *view = zo_pattern_view(&norm->pattern, in, n);
    for (;;) {
        zo_status status = zo_pattern_next(&norm->pattern, view, n, &cursor, &found, &start, &end, err);
        if (status != ZO_OK || !found) {
            zo_text_append(out, in + done, n - done);
            return status;
        }
        if (start == 0 && end > 0 && norm->content_n == 0) {
            *lead = false;
        }
        zo_text_append(out, in + done, start - done);
        zo_text_append(out, norm->content, norm->content_n);
        done = end;
    }
}

/* Of the Nmt normalizer: controls are dropped, other white space, marks of direction and the like become spaces. */
static void append_nmt(zo_text *out, const char *in, int64_t n, bool *lead)
{
    int32_t c;
    for (const char *at = in, *end = in + n; at < end;) {
        bool at_start = at == in;
        at += zo_utf8_next(at, &c);
        if ((c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F) {
            *lead = *lead && !at_start;
            continue;
        }
        bool is_space = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 ||
                        c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
        zo_text_append_char(out, is_space ? ' ' : c);
    }
}

zo_status zo_norm_apply(const zo_norm *norm, const char *in, int64_t n, zo_text *out, bool *lead, zo_err *err)
{
    out->n = 0;
    int32_t c;
    switch (norm->kind) {
    case ZO_NORM_BERT:
        return bert_apply(norm, in, n, out, lead, err);
    case ZO_NORM_NFC:
        return append_normal_form(out, in, n, UTF8PROC_COMPOSE, err);
    case ZO_NORM_NFD:
        return append_normal_form(out, in, n, 0, err);
    case ZO_NORM_NFKC:
        return append_normal_form(out, in, n, UTF8PROC_COMPOSE | UTF8PROC_COMPAT, err);
    case ZO_NORM_NFKD:
        return append_normal_form(out, in, n, UTF8PROC_COMPAT, err);
    case ZO_NORM_LOWERCASE:
        append_lower(out, in, n);
        return ZO_OK;
    case ZO_NORM_STRIP_ACCENTS:
        for (const char *at = in, *end = in + n; at < end;) {
            bool at_start = at == in;
            at += zo_utf8_next(at, &c);
            if (!(c >= 0x300 && IN_RANGES(marks_ranges, c))) {
                zo_text_append_char(out, c);
            } else if (at_start) {
                *lead = false;
            }
        }
        return ZO_OK;
    case ZO_NORM_STRIP:
        strip_spaces(norm, in, n, out, lead);
        return ZO_OK;
    case ZO_NORM_REPLACE:
        return replace_all(norm, in, n, out, lead, err);
    case ZO_NORM_PREPEND:
        if (n > 0) {
            zo_text_append(out, norm->content, norm->content_n);
        }
        zo_text_append(out, in, n);
        return ZO_OK;
    case ZO_NORM_BYTE_LEVEL:
        for (int64_t i = 0; i < n; i++) {
            const char *spelling = zo_byte_chars_get()->utf8[(uint8_t)in[i]];
            zo_text_append(out, spelling, spelling[1] ? 2 : 1);
        }
        return ZO_OK;
    case ZO_NORM_NMT:
        append_nmt(out, in, n, lead);
        return ZO_OK;
    case ZO_NORM_CHARSMAP:
        zo_charsmap_apply(norm->charsmap, in, n, out);
        return ZO_OK;
    }
    ZO_CHECK(false, "normalizer kind %d has no code", (int)norm->kind);
}
