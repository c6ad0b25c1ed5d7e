/* codes.c: see codes.h: the quantiser. */
#include "backends/codes.h"

#include <math.h>
#include <string.h>

/* most / largest code as `storage` has it; the next larger number where that one would leave `most` more than half a step away. */
static float scale_of(float most, int codes_most, zo_storage storage)
{
    float scale = zo_storage_round(storage, most / (float)codes_most);
    if (storage != ZO_STORAGE_F32 && isfinite(scale) && scale * ((float)codes_most + 0.5f) < most) {
        scale = zo_half_to(storage, (uint16_t)(zo_half_from(storage, scale) + 1));
    }
    return scale;
}

void zo_codes_make(const float *w, int64_t cols, int bits, int64_t group, zo_storage storage, uint8_t *codes, float *scales)
{
    int most = zo_codes_most(bits);
    memset(codes, 0, (size_t)zo_codes_row_bytes(bits, cols));
    for (int64_t first = 0; first < cols; first += group) {
        int64_t end = first + group < cols ? first + group : cols;
        float largest = 0.0f;
        for (int64_t c = first; c < end; c++) {
            largest = fabsf(w[c]) > largest || isnan(w[c]) ? fabsf(w[c]) : largest;
        }
        float scale = scales[first / group] = scale_of(largest, most, storage);
        for (int64_t c = first; c < end && scale > 0.0f && isfinite(scale); c++) {
            int code = (int)lrintf(fminf(fmaxf(w[c] / scale, -(float)most), (float)most));
            if (bits == 8) {
                codes[c] = (uint8_t)code;
            } else {
                codes[c / 2] |= (uint8_t)((code & 15) << (c % 2 * 4));
            }
        }
    }
}
