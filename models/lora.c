/* lora.c: see lora.h. */
#include "models/lora.h"

#include <math.h>

#include "core/rng.h"

void zo_lora_init(const zo_layout *layout, zo_backend *be, zo_store *store, uint64_t seed)
{
    for (int i = 0; i < layout->n; i++) {
        const zo_param *p = &layout->param[i];
        if (p->lora == ZO_LORA_NONE) {
            continue;
        }
        int64_t n = p->rows * p->cols;
        float *host = zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)n * sizeof *host); /* zeros */
        zo_stream stream = {.seed = seed, .tensor = p->id, .role = ZO_ROLE_INIT};
        double bound = 1.0 / sqrt((double)p->cols);
        for (int64_t e = 0; e < n && p->lora == ZO_LORA_A; e++) {
            host[e] = (float)(bound * (2.0 * zo_uniform(stream, (uint64_t)e) - 1.0));
        }
        zo_store_set(be, store, i, host);
        zo_free(host);
    }
}
