/* numpy_draw.c: MT19937 (Matsumoto and Nishimura, ACM TOMACS 1998), seeded by Knuth's recurrence as numpy's RandomState seeds it from
 * an integer, and the Fisher-Yates shuffle that numpy draws from it. Its integers are drawn with a mask and rejection, not by division.
 * Oracle: tests/golden/numpy_draws.txt. */
#include "tasks/numpy_draw.h"

enum { WORDS = 624, MIDDLE = 397 };

typedef struct twister { uint32_t word[WORDS]; int at; } twister;

static void start(twister *t, uint32_t seed)
{
    t->word[0] = seed;
    for (int k = 1; k < WORDS; k++) {
        t->word[k] = 1812433253u * (t->word[k - 1] ^ t->word[k - 1] >> 30) + (uint32_t)k;
    }
    t->at = WORDS;
}

static uint32_t next_word(twister *t)
{
    if (t->at == WORDS) {
        for (int k = 0; k < WORDS; k++) {
            uint32_t y = (t->word[k] & 0x80000000u) | (t->word[(k + 1) % WORDS] & 0x7FFFFFFFu);
            t->word[k] = t->word[(k + MIDDLE) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908B0DFu : 0);
        }
        t->at = 0;
    }
    uint32_t y = t->word[t->at++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9D2C5680u;
    y ^= y << 15 & 0xEFC60000u;
    return y ^ y >> 18;
}

/* A fair integer of [0, most], most >= 1. */
static uint32_t draw_up_to(twister *t, uint32_t most)
{
    uint32_t mask = most, value;
    for (int shift = 1; shift < 32; shift *= 2) {
        mask |= mask >> shift;
    }
    do {
        value = next_word(t) & mask;
    } while (value > most);
    return value;
}

void zo_numpy_permutation(uint32_t seed, int32_t *order, int32_t n)
{
    twister t;
    start(&t, seed);
    for (int32_t k = 0; k < n; k++) {
        order[k] = k;
    }
    for (int32_t k = n - 1; k > 0; k--) {
        uint32_t other = draw_up_to(&t, (uint32_t)k);
        int32_t row = order[k];
        order[k] = order[other];
        order[other] = row;
    }
}

void zo_numpy_integers(uint32_t seed, uint32_t below, uint32_t *value, int64_t n)
{
    twister t;
    start(&t, seed);
    for (int64_t k = 0; k < n; k++) {
        value[k] = draw_up_to(&t, below - 1);
    }
}
