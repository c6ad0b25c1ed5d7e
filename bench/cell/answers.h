/* answers.h: answers that a cell's model writes, where its task or its objective is about these. */
#ifndef ZO_BENCH_CELL_ANSWERS_H
#define ZO_BENCH_CELL_ANSWERS_H

#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The answers to the examples index (n) that the model writes, and what they are worth: credit (n). False where some scores were no numbers. `ran`
 * and `context` as in zo_generation, NULL = nobody asks. */
bool zo_answers_write(zo_setup *s, zo_split split, const zo_view *view, zo_tokenizer *tokenizer, const int32_t *index, int32_t n,
                      void (*ran)(void *context, const zo_batch *batch), void *context, zo_credit *credit);

/* The model's tokenizer once more: between evaluations it takes no memory, but where training reads it. The caller closes it, unless it is
 * s->answers.tokenizer. */
zo_tokenizer *zo_answers_tokenizer(const zo_setup *s);

/* Where the objective is what the model writes: adds what a probe takes beside what the setup holds, keys and values and lists, where the model lives. */
void zo_setup_writing(const zo_setup *s, uint64_t bytes[ZO_TAGS]);

#ifdef __cplusplus
}
#endif
#endif
