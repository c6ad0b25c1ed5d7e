/* codes.h: matrices held as small integers. Each group of neighbouring columns of a row has a scale, and a weight is scale x code. Codes are symmetric
 * about 0, of 8 bits (-127..127) or 4 (-7..7, two to a byte, the even column in its low half). The quantiser is the simplest: the scale is the
 * largest magnitude of its group over the largest code, and a code is the nearest integer. It looks at no data. */
#ifndef ZO_BACKENDS_CODES_H
#define ZO_BACKENDS_CODES_H

#include <stdint.h>

#include "core/num.h"

#ifdef __cplusplus
extern "C" {
#endif

ZO_INLINE int zo_codes_most(int bits)
{
    return bits == 8 ? 127 : 7;
}

/* Bytes of a row of codes: rows begin at whole bytes. */
ZO_INLINE int64_t zo_codes_row_bytes(int bits, int64_t cols)
{
    return bits == 8 ? cols : (cols + 1) / 2;
}

/* Groups of a row. */
ZO_INLINE int64_t zo_codes_groups(int64_t cols, int64_t group)
{
    return (cols + group - 1) / group;
}

/* The code of a column; `row` is where the codes of its row begin. */
ZO_INLINE int zo_code_at(const uint8_t *row, int bits, int64_t col)
{
    if (bits == 8) {
        return (int8_t)row[col];
    }
    int half = row[col / 2] >> (col % 2 * 4) & 15;
    return half < 8 ? half : half - 16;
}

/* codes (zo_codes_row_bytes) and scales (zo_codes_groups) of one row w (cols), host. Scales are numbers of `storage`, so that the store that holds
 * them rounds nothing, and no weight is further from scale x code than half a scale. What is not finite in w, or in f16 too large, gives a scale that
 * is not finite. */
void zo_codes_make(const float *w, int64_t cols, int bits, int64_t group, zo_storage storage, uint8_t *codes, float *scales);

#ifdef __cplusplus
}
#endif
#endif
