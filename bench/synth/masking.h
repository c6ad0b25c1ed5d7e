/* masking.h: batches of masked tokens, for pretraining. Of the tokens that are chosen 80 % become the mask, 10 % a random token, and 10 % stay
 * (Devlin et al., arXiv 1810.04805). Places where the synthetic language puts its verdicts (before a closing full stop, after a question mark)
 * are chosen at a rate of their own, as salient-span masking does (Guu et al., arXiv 2002.08909). */
#ifndef ZO_BENCH_SYNTH_MASKING_H
#define ZO_BENCH_SYNTH_MASKING_H

#include <stdint.h>

#include "text/batch.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_masking {
    uint64_t seed;
    double rate, salient_rate;
    int32_t vocab;                           /* random tokens are below it */
    int32_t cls, sep, mask, full_stop, question; /* ids; sentences are [CLS] ... [SEP], and these two are never chosen */
} zo_masking;

/* Sentence e < n is id[start[e]] .. id[start[e + 1] - 1], at least one token between [CLS] and [SEP]. At least one token of each is chosen; which ones
 * and what becomes of them follows from seed and step. The targets are the tokens as they were. The caller frees the batch. */
zo_batch *zo_masked_batch(const zo_masking *m, const int32_t *id, const int64_t *start, int n, int64_t step);

#ifdef __cplusplus
}
#endif
#endif
