/* setup.h: everything that one cell needs, opened in order: backend, tokenizer, dataset, model, engine, estimator (setup.c); and its step
 * (step.c). Used by the cell's process and by `zo bench step`, so that both measure the same thing. */
#ifndef ZO_BENCH_CELL_SETUP_H
#define ZO_BENCH_CELL_SETUP_H

#include "bench/cell/roofline.h"
#include "bench/cell/settings.h"
#include "models/model.h"
#include "optimizers/needs.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_setup_dirs {
    const char *data, *models; /* --data, --models; NULL: $ZO_DATA, $ZO_MODELS */
    bool samples;              /* --samples: the rows are identified (zo_dataset_source) */
} zo_setup_dirs;

const char *zo_setup_data_dir(const zo_setup_dirs *dirs); /* NULL = none was given */
/* Which rows a cell uses, and in what form; tokenizer, causal and a context of the model's are left to whoever has opened the model. */
zo_dataset_spec zo_setup_dataset_spec(const zo_cell *cell, const zo_setup_dirs *dirs);
/* The tokenizer of the model in `folder` as the cell's rows are encoded with it, and the context resolved. ZO_EINPUT where the cell's is longer than
 * the model's. The caller closes the tokenizer. */
zo_status zo_setup_tokenizer(const zo_cell *cell, const zo_arch *arch, const char *folder, zo_tokenizer **tokenizer, int64_t *context, zo_err *err);

/* What the training forwards were, counted here. */
typedef struct zo_setup_counts {
    uint64_t forwards;                /* one batch (or chunk of the full set) at one point, or one gradient */
    uint64_t examples, sequences, tokens, paper_tokens; /* of those forwards; sequences as the papers' code would run them */
    uint64_t batch_tokens;            /* of the steps' batches, once each */
    uint64_t more_batches;            /* of each pool, that steps had beside their first: its order is as far as steps and these */
    zo_pass_sums forward, gradient;   /* what they were made of */
    zo_pass_sums batches;             /* one plain pass over each batch of the steps: the mean batch, times their number */
} zo_setup_counts;

/* Every loss that the estimator was told, in the order in which it asked: with these its steps are made again without a forward. */
typedef struct zo_tape {
    bool plays;   /* losses come from it; else they are written to it */
    bool torn;    /* there was no room for one of them */
    double *loss; /* (room), n of them are there, and the next to be played is number `at`; the owner's */
    int64_t n, room, at;
} zo_tape;

/* Training rows that mini-batches are drawn from: all, or those of a zo_pool. */
typedef struct zo_setup_pool {
    zo_pool of;
    int32_t *row;      /* (rows) indices into the training rows; NULL = all of them */
    int64_t rows;
    int64_t batch;     /* rows of a mini-batch: as wished, or all where they are fewer */
    zo_order order;    /* of the rows in the pool's current epoch */
    zo_sizes largest;  /* its largest batch of training, or of the whole training set's chunks */
} zo_setup_pool;

typedef struct zo_setup {
    const zo_cell *cell; /* borrowed */
    char folder[4096];
    zo_backend *be;
    zo_dataset *dataset;
    zo_model *model;
    zo_engine *engine;
    void *state;         /* of the estimator */
    bool started;
    zo_batch *batch;     /* of the current step: its number `number` of the `drawn` so far (zo_batch_of), */
    int64_t first;       /* whose first has this number in the order of each pool */
    int number, drawn;
    int64_t step_batches; /* of a step, at most */
    struct { int32_t *choice, *label, *part; double *nll; int64_t room; } chosen; /* where the objective is a metric: (points, room) choices at each point,
                            (room) labels, and (points, most_rows) choices and losses of a pass */
    struct { zo_tokenizer *tokenizer; int64_t places; } answers; /* where the objective is the F1 of what the model writes: the model's tokenizer, else NULL; and the
                            most tokens of a batch's prompts and answers together */
    zo_pass_sums plain;  /* of one plain pass over it */
    zo_pass_terms terms; /* of the model */
    int32_t *index;      /* (most_rows) */
    int64_t most_rows;   /* of any batch */
    double unit;         /* FLOPs of the unit of work where batches are of several pools; else 0, and it is the mean of the batches that were drawn */
    int64_t train_size;
    int64_t context;     /* most tokens of a sequence, resolved */
    int64_t batch_size;  /* the cell's batch, or all training rows where they are fewer */
    zo_needs needs;      /* of the estimator with the cell's options, no layout known */
    int points;          /* of a pass, at most */
    bool reads_features; /* the estimator asks for features of the training set, of so many rows and outputs: */
    int64_t feature_rows;
    int feature_classes;
    int32_t *feature_output; /* (feature_classes) of options: their tokens, ascending; else NULL */
    zo_setup_pool pool[ZO_POOLS_MOST]; /* (pools): mini-batch number i of a step is of pool i % pools, which is `i / pools` behind its first there */
    int pools;
    int64_t eval_batch[ZO_SPLITS]; /* rows of a batch of an evaluation of dev, test */
    zo_sizes eval[ZO_SPLITS];      /* its largest */
    int64_t places[ZO_SPLITS]; /* and where the model writes answers, tokens of its prompts and answers together */
    zo_setup_counts counts;
    double part[ZO_PARTS];      /* seconds of the last step or settling */
    zo_counters counters;       /* of all steps */
    char note[600];
    zo_tape *tape;              /* borrowed; NULL = none */
    double drift;               /* the largest that zo_setup_drift has found */
} zo_setup;

/* On failure everything is given back. Backends are opened apart, because a row wants the device before anything can fail. */
zo_status zo_setup_open(zo_setup *setup, const zo_cell *cell, const zo_setup_dirs *dirs, zo_backend *be, zo_err *err);
void zo_setup_close(zo_setup *setup); /* not the backend */

int64_t zo_setup_batches(const zo_setup *setup); /* of an epoch */

/* An estimator that fails says why; one that does not is told so. */
void zo_setup_reason(const zo_estimator *e, const char *slot, zo_status status, zo_err *err);

/* Step number `step` (from 0): packs the batch, lets the estimator work, waits for the device. *seconds = the wall time of that. */
zo_status zo_setup_step(zo_setup *setup, int64_t step, zo_step_report *report, double *seconds, zo_err *err);

/* In place of steps, of an estimator that fits: the same. Its passes are the batches of which zo_setup_work is the mean. */
zo_status zo_setup_fit(zo_setup *setup, zo_step_report *report, double *seconds, zo_err *err);

/* FLOPs of training so far, by the definition of bench/cell/roofline.c: all probes, full batches and trial steps; a gradient is a forward and
 * the backward pass, twice as much where everything is trained, and what checkpointing runs again, once more there. No evaluation. */
double zo_setup_flops(const zo_setup *setup);
/* The same in units of one plain forward over the mean of the batches drawn so far, and where they are of several pools over a batch of all training
 * rows: a method does not choose its unit. 0 before the first step. A MeZO step is 2, one of first
 * order 3, with checkpointing 4, less of each on a view; a pass over a training set of N rows N / batch (of the mean batch: so on average over the steps, and not
 * quite at each). Both are 0 of a setup that is not open. */
double zo_setup_work(const zo_setup *setup);

/* What the row's note shall say of the setting: that probes of this eps are (nearly) all rounded away, that bf16 is
 * not the processor's own. NULL = nothing. */
const char *zo_setup_note(const zo_setup *setup);

/* Drift by in-place probes: the largest |w - w'| of a weight w that one step's probe and its way back leave as w', each move rounded to the
 * weights' storage (bench/cell/probe.h), for the directions of the last step at the weights as they are now; the largest of all calls so far.
 * It settles the weights, reads them once on the host, and belongs to no step. NaN where nothing moves in place: streamed, side path,
 * first order, before the first step. */
double zo_setup_drift(zo_setup *setup);

/* Brings the weights to the base point. An update that the realisation put off (inplace sweeps it with the next probe) is made now:
 * its time, parts and counters belong to training, so call this before an evaluation's clock starts. Parts are left in `part`. */
void zo_setup_settle(zo_setup *setup, double *seconds);

/* Writes the weights as they are now (what a side path or a log keeps beside them is added) with zo_model_save. It settles them, and belongs to no
 * step. */
zo_status zo_setup_save(zo_setup *setup, const char *folder, zo_err *err);

/* Sorts value (n); NaN for n = 0. It allocates nothing, so that a ledger can be read around it. */
double zo_median(double *value, int64_t n);

#ifdef __cplusplus
}
#endif
#endif
