/* profile.h: figures of single blocks along the way of a run, from its weights on the host: (size) numbers of a layout, at the parameters' offsets. Frozen
 * parameters and those that are held as codes count nowhere. All sums are in f64. Nothing here trains or is timed. */
#ifndef ZO_BENCH_CELL_PROFILE_H
#define ZO_BENCH_CELL_PROFILE_H

#include "backends/store.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { ZO_PROFILE_ALL = -1 }; /* in place of a block: every parameter that is trained, those outside the blocks among them */

int zo_profile_blocks(const zo_layout *layout); /* blocks that have a trained parameter are below it */

/* |now - start| / |start|, Frobenius norms over the block. NaN where the start is 0 (the B of a LoRA adapter begins so), or there is nothing. */
double zo_profile_drift(const zo_layout *layout, int block, const float *start, const float *now);

/* How many directions the way of a matrix has: the stable rank |D|_F^2 / |D|_2^2 of D = now - start (Rudelson and Vershynin, J. ACM 54, 2007, section 1.3), mean over
 * the matrices of the block (of all blocks) that moved. At most the rank, and NaN where none moved. Of m x n
 * independent normal numbers it is about m n / (sqrt m + sqrt n)^2, a quarter of the side of a square matrix; of directions of rank r that stay, at most r. */
double zo_profile_rank(const zo_layout *layout, int block, const float *start, const float *now);

/* The cosine between the step and steepest descent: <before - after, gradient> / (|before - after| |gradient|) over the block. NaN where one of them is 0. Of two-point
 * estimates along z ~ N(0, I) of d numbers it is about sqrt(1 / d) times a normal number's size (MeZO, section 4). */
double zo_profile_cosine(const zo_layout *layout, int block, const float *before, const float *after, const float *gradient);

#ifdef __cplusplus
}
#endif
#endif
