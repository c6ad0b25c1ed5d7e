/* objective.h: what a cell's engine asks: losses at points, gradients, features, over batches of the training rows; and these batches. */
#ifndef ZO_BENCH_CELL_OBJECTIVE_H
#define ZO_BENCH_CELL_OBJECTIVE_H

#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* For the engine of this setup, which must outlive it. Passes are counted in s->counts. */
zo_engine_io zo_setup_io(zo_setup *s);

/* s->index <- the rows of mini-batch number `at` of the pool's order; returns how many. */
int32_t zo_setup_rows(zo_setup *s, zo_setup_pool *pool, int64_t at);
/* Packs the step's mini-batch of that number as s->batch, in place of the one before. */
void zo_setup_pack(zo_setup *s, int number);
/* Chunk number `chunk` of the whole training set, in file order, the caller's; NULL after the last. It uses s->index. */
zo_batch *zo_setup_chunk(zo_setup *s, int64_t chunk);

#ifdef __cplusplus
}
#endif
#endif
