/* numpy_draw.h: the permutations that numpy's legacy generator draws, so that rows are those that the papers' Python code drew.
 * Private to tasks/. */
#ifndef ZO_TASKS_NUMPY_DRAW_H
#define ZO_TASKS_NUMPY_DRAW_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* order (n) = RandomState(seed).permutation(n). The same draws make np.random.seed(seed) with np.random.shuffle of a list (order[k] is
 * the row that comes to place k), RandomState.choice without replacement and pandas' sample(random_state=seed). */
void zo_numpy_permutation(uint32_t seed, int32_t *order, int32_t n);
/* value (n) = RandomState(seed).randint(0, below, n), below >= 2. */
void zo_numpy_integers(uint32_t seed, uint32_t below, uint32_t *value, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
