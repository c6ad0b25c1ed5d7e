/* fuzz.h: deterministic mutations of a byte string, for tests that feed malformed files to a reader. Test code only.
 * The same seed gives the same bytes, so a failure is a seed. */
#ifndef ZO_TESTS_FUZZ_H
#define ZO_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* splitmix64: a generator of its own, so that a fuzz test does not lean on what it may be testing. */
static inline uint64_t fuzz_next(uint64_t *state)
{
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline size_t fuzz_below(uint64_t *state, size_t bound)
{
    return bound > 0 ? (size_t)(fuzz_next(state) % bound) : 0;
}

/* Change `n` bytes of `text` (capacity `room`) in 1 to 4 places: flip a bit, set a byte that parsers care about, cut, remove,
 * repeat or swap a piece, write a large number. Returns the new length. */
static inline size_t fuzz_mutate(uint64_t seed, char *text, size_t n, size_t room)
{
    static const char special[] = "\0\n\r\t\"\\{}[]:,-+.eE09/\x1f\x8b\x7f\x80\xc3\xff";
    static const char *const number[] = {"-1", "0", "4294967296", "18446744073709551615", "9223372036854775807", "1e999", "-0.5"};
    uint64_t state = seed;
    for (size_t edit = 1 + fuzz_below(&state, 4); edit > 0; edit--) {
        size_t at = fuzz_below(&state, n + 1), len = fuzz_below(&state, n - at < 64 ? n - at + 1 : 64);
        switch (fuzz_below(&state, 7)) {
        case 0:
            if (at < n) {
                text[at] = (char)(text[at] ^ 1 << fuzz_below(&state, 8));
            }
            break;
        case 1:
            if (at < n) {
                text[at] = special[fuzz_below(&state, sizeof special - 1)];
            }
            break;
        case 2: /* cut the end */
            if (fuzz_below(&state, 4) == 0) {
                n = at;
            }
            break;
        case 3: /* remove a piece */
            memmove(text + at, text + at + len, n - at - len);
            n -= len;
            break;
        case 4: /* repeat a piece */
            if (n + len <= room) {
                memmove(text + at + len, text + at, n - at);
                n += len;
            }
            break;
        case 5: /* copy a piece elsewhere */
            if (len > 0) {
                memmove(text + fuzz_below(&state, n - len + 1), text + at, len);
            }
            break;
        default: {
            const char *digits = number[fuzz_below(&state, sizeof number / sizeof *number)];
            size_t width = strlen(digits);
            if (at + width <= n) {
                memcpy(text + at, digits, width);
            }
        }
        }
    }
    return n;
}

#endif
