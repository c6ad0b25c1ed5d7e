/* queries.h: what a method of several probes a step keeps for them. */
#ifndef ZO_OPTIMIZERS_QUERIES_H
#define ZO_OPTIMIZERS_QUERIES_H

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_queries {
    zo_probe *probe; /* (most) */
    zo_term *term;   /* (most) what a step moves along */
} zo_queries;

/* Bytes of host memory, tag other, for a step's most queries: what `needs` says. */
static inline uint64_t zo_queries_bytes(int64_t most)
{
    return (uint64_t)most * (sizeof(zo_probe) + sizeof(zo_term));
}

void zo_queries_start(zo_queries *q, int64_t most);
void zo_queries_stop(zo_queries *q);

/* Queries that grow with the steps (MeZO's appendix; zero_order_sample_scheduler linear of its code for RoBERTa). */
typedef enum zo_growth { ZO_GROWTH_CONSTANT, ZO_GROWTH_LINEAR } zo_growth;

/* Row of an option table; `state` has an int `growth`. */
#define ZO_GROWTH_OPTION(state)                                                                                                        \
    {.key = "growth", .type = ZO_OPT_CHOICE, .offset = offsetof(state, growth), .choices = "constant|linear", .younger = true,         \
     .help = "linear: the queries of a step grow from 1 to `queries` over the steps (the paper's appendix); needs a budget in steps"}

/* n_t = max(1, floor(t / T most)) of step t from 0, of T steps; `most` where it is constant, or T is not known. */
static inline int64_t zo_queries_at(zo_growth growth, int64_t most, int64_t step, int64_t steps)
{
    int64_t n = growth == ZO_GROWTH_LINEAR && steps > 0 ? (int64_t)((double)step / (double)steps * (double)most) : most;
    return n > 1 ? n : 1;
}

/* ZO_EINPUT where they grow without a budget in steps. */
static inline zo_status zo_growth_check(zo_growth growth, int64_t steps, zo_err *err)
{
    return growth == ZO_GROWTH_CONSTANT || steps > 0 ? ZO_OK
           : zo_fail(err, ZO_EINPUT, "\"growth\": \"linear\" needs a budget in \"steps\", to know where it ends: give \"steps\", or \"constant\"");
}

#ifdef __cplusplus
}
#endif

#endif
