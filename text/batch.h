/* batch.h: what a forward pass reads: examples of a task as one packed array of tokens, without padding. Built by tasks/, read by
 * models/. */
#ifndef ZO_TEXT_BATCH_H
#define ZO_TEXT_BATCH_H

#include <stdint.h>

#include "core/err.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the loss is. */
typedef enum zo_head {
    ZO_HEAD_CLASS,   /* classification head (random init by seed, or the checkpoint's) on CLS / the last token; cross-entropy */
    ZO_HEAD_WORDS,   /* masked LM: logits of the label words at the mask position; cross-entropy over the words (LM-BFF, MeZO) */
    ZO_HEAD_OPTIONS, /* causal LM: each option's mean log-probability per option token are the logits; cross-entropy over options
                        (MeZO's train_as_classification); prediction = argmax */
    ZO_HEAD_SPAN     /* LM loss: mean negative log-probability over all target tokens of the batch (teacher forcing; masked-token
                        pretraining for encoders); prediction over options as ZO_HEAD_OPTIONS when there are several */
} zo_head;

typedef struct zo_batch {
    int32_t examples;
    int32_t tokens;            /* T */
    int32_t *id, *position, *type; /* (T) token id, position (from 0), segment */
    int32_t seqs;
    int32_t *start, *parent;   /* (seqs + 1), (seqs): see zo_seqs; a parent is a prompt shared by the options of one example */
    /* rows of the last hidden state that a head reads: CLASS and WORDS one an example, in example order */
    int32_t rows;
    int32_t *row;              /* (rows) packed token index */
    /* OPTIONS and SPAN: token scores. Score i asks log p(target[i]) at row at[i] (an index into `row`). */
    int32_t scores;
    int32_t *at, *target;      /* (scores) */
    int32_t options;
    int32_t *option_start;     /* (options + 1) scores of option o: [option_start[o], option_start[o + 1]) */
    int32_t *example_start;    /* (examples + 1) options of example e */
    int32_t *label;            /* (examples) class, or index of the right option within its example */
    float *share;              /* (examples) of WORDS with two words, for regression: how much of the answer is word 1, 0 to 1, and word 0 the rest. The loss
                                  is then the KL divergence from these (LM-BFF, Gao et al. 2021, section 5). NULL = the label alone is right */
    /* What the papers' code would have run for one forward of this batch: sequences (one an option), real tokens without sharing. */
    int64_t paper_sequences, paper_tokens;
} zo_batch;

/* All arrays are zo_alloc'd (DATA) and owned by the batch. */
void zo_batch_free(zo_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
