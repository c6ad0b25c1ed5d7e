/* room.h: the sizes of a cell's batches, and room for them. */
#ifndef ZO_BENCH_CELL_ROOM_H
#define ZO_BENCH_CELL_ROOM_H

#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Room for the largest batch of training: after this no step allocates activations. Of evaluations only the sizes are noted, and their
 * examples put away. What features of the training set there will be is found here too. Asked once, when pools and estimator are open. */
zo_status zo_setup_reserve(zo_setup *s, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
