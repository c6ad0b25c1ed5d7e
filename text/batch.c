/* batch.c: a batch's end. Batches are made by tasks/. */
#include "text/batch.h"

#include "core/mem.h"

void zo_batch_free(zo_batch *batch)
{
    if (!batch) {
        return;
    }
    int32_t *const arrays[] = {batch->id,     batch->position, batch->type,         batch->start,         batch->parent, batch->row,
                               batch->at,     batch->target,   batch->option_start, batch->example_start, batch->label};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        zo_free(arrays[i]);
    }
    zo_free(batch->share);
    zo_free(batch);
}
