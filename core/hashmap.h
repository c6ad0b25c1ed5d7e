/* hashmap.h: 64-bit keys (hashes) to numbers. */
#ifndef ZO_CORE_HASHMAP_H
#define ZO_CORE_HASHMAP_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* {0} is an empty map. Tag OTHER of the host's ledger. */
typedef struct zo_hashmap { struct zo_hashmap_slot *slot; int64_t slots, n; } zo_hashmap;
/* The number of this key, made 0 where it is new (*is_new). The pointer holds until the next call with another key. */
int64_t *zo_hashmap_at(zo_hashmap *map, uint64_t key, bool *is_new);
/* For maps that are used by this alone: keys are numbered 0, 1, 2 ... in the order in which they come first; map->n is how many there are. */
int64_t zo_hashmap_number(zo_hashmap *map, uint64_t key);
void zo_hashmap_free(zo_hashmap *map);

#ifdef __cplusplus
}
#endif
#endif
