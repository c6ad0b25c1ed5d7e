/* into_sink.h: a gradient that is there as a whole goes into a sink, from the last parameter to the first, as a backward pass has it. Test code only. */
#ifndef ZO_TESTS_INTO_SINK_H
#define ZO_TESTS_INTO_SINK_H

#include <string.h>

#include "backends/backend.h"

/* values: as the weights of `layout` are. */
static inline void into_sink(zo_sink *sink, const zo_layout *layout, const float *values)
{
    for (int k = layout->n - 1; k >= 0; k--) {
        const zo_param *p = &layout->param[k];
        if (!p->frozen) {
            memcpy(zo_set_values(sink->room, k), values + p->offset, (size_t)(p->rows * p->cols) * sizeof *values);
            sink->take(sink, k);
        }
    }
}

#endif
