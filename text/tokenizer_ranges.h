/* tokenizer_ranges.h: tables of characters as sorted ranges. */
#ifndef ZO_TEXT_TOKENIZER_RANGES_H
#define ZO_TEXT_TOKENIZER_RANGES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct range { int32_t first, last; } range;

static inline bool in_ranges(const range *ranges, int n, int32_t c)
{
    int low = 0, high = n;
    while (low < high) {
        int middle = (low + high) / 2;
        if (c > ranges[middle].last) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n && c >= ranges[low].first;
}
#define IN_RANGES(table, c) in_ranges(table, (int)(sizeof(table) / sizeof(table)[0]), c)

#endif
