/* tokenizer_charsmap.c: the normalization tables of SentencePiece models ("precompiled_charsmap"), applied as the `tokenizers` library
 * applies them.
 *
 * A charsmap is a double array (Darts: Aoe 1989, "An Efficient Digital Search Algorithm by Using a Double-Array Structure") of keys, then
 * the texts that take their place. SentencePiece replaces the longest key at each place. The library cuts a text into grapheme clusters (UAX
 * 29) first: of a cluster of fewer than 6 bytes the shortest key in front stands for all of it, else each character is looked up alone. Models
 * trained on the one are used with the other, so both are here. */
#include <string.h>

#include "core/mem.h"
#include "text/tokenizer_graphemes.h"
#include "text/tokenizer_impl.h"

struct zo_charsmap {
    uint32_t *units; // (units_n)
    uint32_t units_n;
    char *texts; // (texts_n), ends in a NUL; what stands for a key begins at the key's value
    uint32_t texts_n;
};

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

zo_status zo_charsmap_read(zo_charsmap **out, const char *data, size_t bytes, zo_err *err)
{
    *out = NULL;
    const uint8_t *at = (const uint8_t *)data;
    uint32_t array_bytes = bytes >= 4 ? read_u32(at) : 0;
    if (bytes < 8 || bytes > UINT32_MAX || array_bytes < 4 || array_bytes % 4 != 0 || array_bytes > bytes - 4) {
        return zo_fail(err, ZO_EINPUT, "the charsmap has %zu bytes, which are no length, double array of that length and texts; the file is damaged",
                       bytes);
    }
    size_t texts_n = bytes - 4 - array_bytes;
    if (!zo_utf8_valid(data + 4 + array_bytes, (int64_t)texts_n)) {
        return zo_fail(err, ZO_EINPUT, "the texts of the charsmap are not UTF-8; the file is damaged");
    }
    zo_charsmap *map = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *map);
    map->units_n = array_bytes / 4;
    map->units = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)map->units_n * sizeof *map->units);
    for (uint32_t i = 0; i < map->units_n; i++) {
        map->units[i] = read_u32(at + 4 + (size_t)i * 4);
    }
    map->texts_n = (uint32_t)texts_n;
    map->texts = zo_alloc(ZO_HOST, ZO_TAG_DATA, texts_n + 1);
    memcpy(map->texts, data + 4 + array_bytes, texts_n);
    *out = map;
    return ZO_OK;
}

void zo_charsmap_free(zo_charsmap *map)
{
    if (map == NULL) {
        return;
    }
    zo_free(map->units);
    zo_free(map->texts);
    zo_free(map);
}

static uint32_t unit_offset(uint32_t unit)
{
    return (unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* The key in front of text[0..n), the longest or the shortest: its length in bytes, 0 where there is none, and what stands for it. What
 * points out of the arrays, or into a character, is no key. */
static int64_t find_key(const zo_charsmap *map, const char *text, int64_t n, bool longest, const char **stands, int64_t *stands_n)
{
    uint32_t at = unit_offset(map->units[0]);
    int64_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        if (byte == 0 || at >= map->units_n || (map->units[at] & (1u << 31 | 0xFF)) != byte) {
            break;
        }
        uint32_t unit = map->units[at];
        at ^= unit_offset(unit);
        bool ends_char = i + 1 == n || ((uint8_t)text[i + 1] & 0xC0) != 0x80;
        if ((unit >> 8 & 1) && ends_char && at < map->units_n) {
            uint32_t value = map->units[at] & 0x7FFFFFFF;
            if (value > map->texts_n || (value < map->texts_n && ((uint8_t)map->texts[value] & 0xC0) == 0x80)) {
                continue;
            }
            *stands = map->texts + value;
            *stands_n = (int64_t)strlen(*stands);
            found = i + 1;
            if (!longest) {
                break;
            }
        }
    }
    return found;
}

/* ---- grapheme clusters ---- */

typedef enum grapheme_class {
    OTHER, LINE_END, CONTROL, EXTEND, JOINER, SPACING, PREPEND, PICTURE, HANGUL_L, HANGUL_V, HANGUL_T, HANGUL_LV, HANGUL_LVT, REGIONAL
} grapheme_class;

static grapheme_class class_of(int32_t c)
{
    if (c < 0x80) {
        return c == '\r' || c == '\n' ? LINE_END : c < 0x20 || c == 0x7F ? CONTROL : OTHER;
    }
    if ((c >= 0x1100 && c <= 0x115F) || (c >= 0xA960 && c <= 0xA97C)) {
        return HANGUL_L;
    }
    if ((c >= 0x1160 && c <= 0x11A7) || (c >= 0xD7B0 && c <= 0xD7C6)) {
        return HANGUL_V;
    }
    if ((c >= 0x11A8 && c <= 0x11FF) || (c >= 0xD7CB && c <= 0xD7FB)) {
        return HANGUL_T;
    }
    if (c >= 0xAC00 && c <= 0xD7A3) {
        return (c - 0xAC00) % 28 == 0 ? HANGUL_LV : HANGUL_LVT;
    }
    if (c >= 0x1F1E6 && c <= 0x1F1FF) {
        return REGIONAL;
    }
    return c == 0x200D                      ? JOINER
           : IN_RANGES(extend_ranges, c)    ? EXTEND
           : IN_RANGES(spacing_ranges, c)   ? SPACING
           : IN_RANGES(picture_ranges, c)   ? PICTURE
           : IN_RANGES(control_ranges, c)   ? CONTROL
           : IN_RANGES(prepend_ranges, c)   ? PREPEND
                                            : OTHER;
}

/* What came before within a cluster, as far as rules ask. */
typedef struct cluster {
    grapheme_class last;
    int regionals;      /* in a row, up to here */
    bool picture;       /* GB11: a picture and Extends up to here */
    bool picture_joins; /* and then a joiner */
    bool consonant;     /* GB9c: a consonant, then Extends and Linkers up to here */
    bool linked;        /* with a Linker among them */
} cluster;

static bool is_joined(const cluster *before, grapheme_class now, int32_t c)
{
    grapheme_class last = before->last;
    if (last == LINE_END || last == CONTROL || now == LINE_END || now == CONTROL) { /* but CR LF: cluster_end */
        return false;
    }
    return (last == HANGUL_L && (now == HANGUL_L || now == HANGUL_V || now == HANGUL_LV || now == HANGUL_LVT)) ||
           ((last == HANGUL_LV || last == HANGUL_V) && (now == HANGUL_V || now == HANGUL_T)) ||
           ((last == HANGUL_LVT || last == HANGUL_T) && now == HANGUL_T) || now == EXTEND || now == JOINER || now == SPACING ||
           last == PREPEND || (before->linked && IN_RANGES(consonant_ranges, c)) || (before->picture_joins && now == PICTURE) ||
           (now == REGIONAL && before->regionals % 2 == 1);
}

static void cluster_add(cluster *k, grapheme_class now, int32_t c)
{
    bool is_linker = now >= EXTEND && now <= SPACING && IN_RANGES(linker_ranges, c);
    bool is_between = now == JOINER || (now >= EXTEND && now <= SPACING && IN_RANGES(between_ranges, c));
    bool is_consonant = now == OTHER && c >= 0x900 && IN_RANGES(consonant_ranges, c);
    k->picture_joins = k->picture && now == JOINER;
    k->picture = now == PICTURE || (k->picture && now == EXTEND);
    k->linked = (k->linked && is_between) || (k->consonant && is_linker);
    k->consonant = is_consonant || (k->consonant && (is_linker || is_between));
    k->regionals = now == REGIONAL ? k->regionals + 1 : 0;
    k->last = now;
}

/* The end of the cluster that begins at `at` < end. */
static const char *cluster_end(const char *at, const char *end)
{
    int32_t c;
    cluster k = {.last = LINE_END};
    at += zo_utf8_next(at, &c);
    bool is_return = c == '\r';
    cluster_add(&k, class_of(c), c);
    while (at < end) {
        int length = zo_utf8_next(at, &c);
        if (is_return && c == '\n') {
            return at + length;
        }
        grapheme_class now = class_of(c);
        if (!is_joined(&k, now, c)) {
            break;
        }
        cluster_add(&k, now, c);
        is_return = false;
        at += length;
    }
    return at;
}

#define LEAST_OF_LONG 6 /* bytes: longer clusters are not looked at as a whole */

void zo_charsmap_apply(const zo_charsmap *map, const char *in, int64_t n, zo_text *out)
{
    const char *stands = NULL;
    int64_t stands_n = 0;
    for (const char *at = in, *end = in + n; at < end;) {
        const char *stop = cluster_end(at, end);
        if (stop - at < LEAST_OF_LONG && find_key(map, at, stop - at, false, &stands, &stands_n) > 0) {
            zo_text_append(out, stands, stands_n);
            at = stop;
            continue;
        }
        while (at < stop) {
            int32_t c;
            int length = zo_utf8_next(at, &c);
            if (find_key(map, at, length, false, &stands, &stands_n) > 0) {
                zo_text_append(out, stands, stands_n);
            } else {
                zo_text_append(out, at, length);
            }
            at += length;
        }
    }
}
