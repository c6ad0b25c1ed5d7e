/* sst2_lengths.h: how many of the 67349 sentences of glue/SST-2/train.tsv have 0, 1, 2, ... tokens in the byte-level BPE of GPT-2, RoBERTa
 * and OPT (the three cut alike), measured with a folder of that tokenizer in MODEL:
 *
 *     tail -n +2 train.tsv | cut -f1 | sed 's/ *$//' | zo tokenize MODEL --no-special | awk '{ n[NF]++ } END { for (k in n) print k, n[k] }'
 *
 * Read by synth_lengths.c, and as text by bench/peers/shape_steps.py. */
#ifndef ZO_TASKS_SST2_LENGTHS_H
#define ZO_TASKS_SST2_LENGTHS_H

#define ZO_SST2_LENGTHS \
    0, 491, 4487, 6852, 6118, 5122, 4374, 3780, 3354, 3051, 2665, 2362, 2181, 1925, 1843, 1674, 1516, 1364, 1264, 1187, \
    1091, 1041, 897, 876, 799, 718, 610, 616, 553, 487, 466, 442, 366, 351, 343, 253, 240, 229, 194, 181, \
    134, 134, 99, 80, 85, 82, 60, 45, 47, 32, 30, 36, 32, 16, 14, 9, 13, 9, 9, 11, \
    4, 2, 1, 0, 2

#endif
