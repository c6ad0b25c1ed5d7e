/* last_terms.h: the last estimates of a method that makes its moments of them at each step (zo_rule_replays): seeds and numbers, and no tensors. */
#ifndef ZO_OPTIMIZERS_LAST_TERMS_H
#define ZO_OPTIMIZERS_LAST_TERMS_H

#include <string.h>

#include "core/dir.h"

#ifdef __cplusplus
extern "C" {
#endif

/* term (room), the oldest first, *n of them: one more, for which the oldest leaves where there is no room. */
static inline void zo_last_terms_add(zo_term *term, int64_t *n, int64_t room, const zo_term *added)
{
    if (*n == room) {
        *n -= 1;
        memmove(term, term + 1, (size_t)*n * sizeof *term);
    }
    term[*n] = *added;
    *n += 1;
}

#ifdef __cplusplus
}
#endif
#endif
