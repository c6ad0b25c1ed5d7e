/* keys.h: what is true of a key of a config beyond its value: the bits of zo_opt.flags in the table of keys (bench/cell/keys.c). Whatever lists keys (a
 * help text, the columns of a report, a label) asks the table for those with the bit, and has no list of its own. */
#ifndef ZO_RESULTS_KEYS_H
#define ZO_RESULTS_KEYS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_key_flag {
    ZO_KEY_OVERRIDE = 1,  /* may stand in the optimizer's object too, where it wins */
    ZO_KEY_BUDGET = 2,    /* a budget: one in the optimizer's object replaces all of the top level */
    ZO_KEY_PANEL = 4,     /* says, with the optimizer, what was done: the first columns of a report, never a difference between its methods */
    ZO_KEY_REPORTED = 8,  /* another column of reports */
    ZO_KEY_LABELLED = 16, /* stands in every label of `zo run` */
    ZO_KEY_SEED = 32,     /* takes "seed" for the seed of the cell */
    ZO_KEY_LATER = 64,    /* opening a cell does not depend on it, nor the memory that it then has */
    ZO_KEY_MEMORY = 128,  /* the memory does, whether it can be opened not */
    ZO_KEY_TITLE = 256,   /* with the panel's keys in the title of a plot's frame: never a difference between curves of one frame */
    ZO_KEY_AXIS = 512,    /* an axis of plots: never a difference between lines along it */
    ZO_KEY_MODEL = 1024   /* names the model: never a difference between lines or bars over models */
} zo_key_flag;

#ifdef __cplusplus
}
#endif
#endif
