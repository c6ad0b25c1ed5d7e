/* queries.c: see queries.h. */
#include "optimizers/queries.h"

#include "core/mem.h"

void zo_queries_start(zo_queries *q, int64_t most)
{
    q->probe = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)most * sizeof *q->probe);
    q->term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)most * sizeof *q->term);
}

void zo_queries_stop(zo_queries *q)
{
    zo_free(q->probe);
    zo_free(q->term);
}
