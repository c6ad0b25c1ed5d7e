/* magnitude.c: see magnitude.h. Magnitudes are in the order of their bits, so a digit of those is settled at each reading, the highest first. */
#include "optimizers/engine/magnitude.h"

#include <math.h>

enum { PIECE = 16384 };

/* Elements [at, at + n) of the arena. Nothing is allocated, for steps come here. */
static void fetch(zo_backend *be, const zo_store *store, int64_t at, int64_t n, float x[PIECE])
{
    uint16_t half[PIECE];
    bool halves = store->storage != ZO_STORAGE_F32;
    be->download(be, halves ? (void *)half : x, zo_store_at(store, at), (size_t)(n * zo_storage_bytes(store->storage)));
    for (int64_t i = 0; halves && i < n; i++) {
        x[i] = zo_half_to(store->storage, half[i]);
    }
}

float zo_magnitude_at(zo_backend *be, const zo_store *store, int param, int64_t k)
{
    enum { DIGIT = 11, DIGITS = 1 << DIGIT };
    static const int shift[] = {20, 10, 0}, width[] = {11, 10, 10}; /* of 31 bits */
    const zo_param *p = &store->layout->param[param];
    int64_t size = p->rows * p->cols;
    if (k <= 0) {
        return -1.0f;
    }
    float piece[PIECE];
    uint32_t known = 0; /* the higher digits of the one looked for, */
    int64_t left = k;   /* and which it is among those that have them */
    for (int d = 0; d < 3; d++) {
        int64_t count[DIGITS] = {0};
        for (int64_t at = 0; at < size; at += PIECE) {
            int64_t n = size - at < PIECE ? size - at : PIECE;
            fetch(be, store, p->offset + at, n, piece);
            for (int64_t i = 0; i < n; i++) {
                uint32_t bits = zo_f32_bits(fabsf(piece[i])), above = shift[d] + width[d];
                count[bits >> shift[d] & ((1u << width[d]) - 1u)] += (uint64_t)bits >> above == (uint64_t)known >> above;
            }
        }
        uint32_t digit = 0;
        while (count[digit] < left) {
            left -= count[digit++];
        }
        known |= digit << shift[d];
    }
    return zo_bits_f32(known);
}
