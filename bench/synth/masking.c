/* masking.c: see masking.h. */
#include "bench/synth/masking.h"

#include <stdbool.h>

#include "core/mem.h"
#include "core/rng.h"

static void *ints(int64_t n)
{
    return zo_alloc(ZO_HOST, ZO_TAG_DATA, (size_t)(n + 1) * sizeof(int32_t));
}

/* Token t of the sentence [from, to): may a verdict stand there? The sentence ends with [SEP]. */
static bool salient(const zo_masking *m, const int32_t *id, int64_t from, int64_t to, int64_t t)
{
    return (t == to - 3 && id[to - 2] == m->full_stop) || (t > from && id[t - 1] == m->question);
}

zo_batch *zo_masked_batch(const zo_masking *m, const int32_t *id, const int64_t *start, int n, int64_t step)
{
    int64_t first = start[0], tokens = start[n] - first;
    zo_batch *b = zo_alloc(ZO_HOST, ZO_TAG_DATA, sizeof *b);
    b->examples = b->seqs = b->options = n;
    b->tokens = (int32_t)tokens;
    b->id = ints(tokens);
    b->position = ints(tokens);
    b->type = ints(tokens);
    b->start = ints(n);
    b->parent = ints(n);
    b->row = ints(tokens);
    b->at = ints(tokens);
    b->target = ints(tokens);
    b->option_start = ints(n);
    b->example_start = ints(n);
    b->label = ints(n);
    zo_stream stream = {.seed = m->seed, .tensor = 0x4d4c4d, .step = (uint32_t)step, .role = ZO_ROLE_MASK};
    for (int e = 0; e < n; e++) {
        int64_t from = start[e] - first, to = start[e + 1] - first;
        b->start[e] = (int32_t)from;
        b->parent[e] = -1;
        b->option_start[e] = b->rows;
        b->example_start[e] = e;
        int64_t sure = from + 1 + zo_below(stream, (uint64_t)(3 * tokens + e), (uint32_t)(to - from - 2 > 0 ? to - from - 2 : 1));
        for (int64_t t = from; t < to; t++) {
            int32_t here = id[first + t];
            b->id[t] = here;
            b->position[t] = (int32_t)(t - from);
            double rate = salient(m, id + first, from, to, t) ? m->salient_rate : m->rate;
            if (here == m->cls || here == m->sep || (t != sure && zo_uniform(stream, (uint64_t)t) >= rate)) {
                continue;
            }
            double u = zo_uniform(stream, (uint64_t)(tokens + t));
            b->id[t] = u < 0.8 ? m->mask : u < 0.9 ? (int32_t)zo_below(stream, (uint64_t)(2 * tokens + t), (uint32_t)m->vocab) : here;
            b->row[b->rows] = (int32_t)t;
            b->at[b->rows] = b->rows;
            b->target[b->rows++] = here;
        }
    }
    b->start[n] = b->tokens;
    b->option_start[n] = b->rows;
    b->example_start[n] = n;
    b->scores = b->rows;
    b->paper_sequences = n;
    b->paper_tokens = tokens;
    return b;
}
