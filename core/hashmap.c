/* hashmap.c: open addressing; at most half of the slots are taken. */
#include "core/hashmap.h"

#include <stddef.h>

#include "core/mem.h"

struct zo_hashmap_slot { uint64_t key; int64_t value; bool taken; };

static struct zo_hashmap_slot *find(const zo_hashmap *map, uint64_t key)
{
    for (uint64_t at = key * 0x9e3779b97f4a7c15u;; at++) {
        struct zo_hashmap_slot *s = &map->slot[at & (uint64_t)(map->slots - 1)];
        if (!s->taken || s->key == key) {
            return s;
        }
    }
}

int64_t *zo_hashmap_at(zo_hashmap *map, uint64_t key, bool *is_new)
{
    if (2 * (map->n + 1) > map->slots) {
        zo_hashmap old = *map;
        map->slots = old.slots > 0 ? 2 * old.slots : 64;
        map->slot = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)map->slots * sizeof *map->slot);
        for (int64_t i = 0; i < old.slots; i++) {
            if (old.slot[i].taken) {
                *find(map, old.slot[i].key) = old.slot[i];
            }
        }
        zo_free(old.slot);
    }
    struct zo_hashmap_slot *s = find(map, key);
    *is_new = !s->taken;
    if (!s->taken) {
        *s = (struct zo_hashmap_slot){.key = key, .taken = true};
        map->n++;
    }
    return &s->value;
}

int64_t zo_hashmap_number(zo_hashmap *map, uint64_t key)
{
    bool is_new;
    int64_t *at = zo_hashmap_at(map, key, &is_new);
    if (is_new) {
        *at = map->n - 1;
    }
    return *at;
}

void zo_hashmap_free(zo_hashmap *map)
{
    zo_free(map->slot);
    *map = (zo_hashmap){0};
}
