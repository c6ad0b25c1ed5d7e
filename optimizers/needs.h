/* needs.h: what an estimator will ask for with its options, in numbers, and what that takes in bytes. Each estimator states its own (its slot
 * `needs`); predictions of memory and the least traffic of a step follow from that alone, before anything runs. */
#ifndef ZO_OPTIMIZERS_NEEDS_H
#define ZO_OPTIMIZERS_NEEDS_H

#include "optimizers/estimator.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zo_layout;

/* The run that it is asked for. */
typedef struct zo_extent {
    const struct zo_layout *layout;
    zo_realisation realisation;
    zo_accumulate accumulate;
    zo_storage storage;        /* of the weights */
    bool reads_rest;           /* the backend does: see zo_backend */
    int64_t steps;             /* planned; 0 = not known, and taken to be many */
    int64_t batches_per_epoch;
    int64_t touched_rows;      /* most rows of looked-up tables that a batch touches; 0 = not known, and left out */
    int64_t feature_rows;      /* zo_features of the training set: its n, width, classes and bias; 0 = not known, and left out */
    int feature_width, feature_classes;
    bool feature_bias;
} zo_extent;

/* Training rows of some lengths, from which a step has mini-batches of their own. A row's length is the tokens that a pass runs for it. */
typedef struct zo_pool {
    int64_t above, most; /* rows of more than `above` tokens, and of at most `most`; 0 = of any length */
    int64_t batch;       /* rows of a mini-batch; 0 = the run's */
    bool gradient;       /* gradients are asked of its batches, and no losses at points */
    bool or_all;         /* where there is no such row, all rows: the run's note says so */
    const char *key;     /* the option that says so, for messages */
} zo_pool;
enum { ZO_POOLS_MOST = 4 };

typedef struct zo_needs {
    /* what a step asks of the objective */
    int64_t points;     /* most points of one `losses` */
    int64_t pass;       /* points that share a pass where the weights are not moved; 0 = the two of an estimate */
    int64_t terms;      /* most terms of one point */
    int64_t updates;    /* most terms of one `combine` on the weights */
    bool gradient;      /* asked for; and with `checkpoint` blocks are run again */
    bool checkpoint;
    /* whole sets of the trained parameters that stay, and that every step reads */
    int anchors;        /* copies of the weights: in their storage, tag SNAPSHOT */
    int stored;         /* sums: f32, tag OPT_STATE */
    int scales;         /* sums that scale directions: the same */
    bool scales_written; /* and a rule writes them in every step */
    int64_t stored_terms; /* terms that they are sums of, all together: beside a log these are what is kept; 0 = one each */
    bool stored_beside; /* the next one of those is made while the old one is there */
    int moments;        /* of a rule: f32, tag OPT_STATE */
    /* low rank */
    bool factored;
    zo_factor_spec factors;
    int lefts;          /* sums of left factors (ZO_SHAPE_LEFT): f32, tag OPT_STATE */
    int coefs;          /* arrays of one float a coefficient that the estimator keeps, tag OPT_STATE */
    /* host arrays of its own, by tag: made in start(), and in the steps (the most that is alive at a time) */
    uint64_t start_bytes[ZO_TAGS], step_bytes[ZO_TAGS];
    int buffers;        /* sums that an estimate is written into as a gradient is, in every step: f32, tag GRADS */
    int cores;          /* sums of cores (ZO_SHAPE_CORE): f32, tag OPT_STATE */
    int64_t batches;    /* most mini-batches of a step; 0 = its one */
    bool features;      /* of the training set are asked for; their own bytes are in step_bytes */
    int right_sets;     /* sums of right factors (ZO_SHAPE_RIGHT): f32, tag OPT_STATE */
    /* sets of the trained parameters of these linear layers (zo_set_spec.linear), which not every step reads */
    unsigned linear;
    int part_copies, part_sums; /* copies of the weights: in their storage, tag SNAPSHOT; sums: f32, tag OPT_STATE */
    bool descends;      /* gradients are used as they are made (zo_objective.descend): room for one at a time, and for those of tables that are read whole */
    int64_t rights;     /* different V of factors that are a direction's own, in all the steps */
    bool masters;       /* weights of 16 bits have a master copy (zo_objective.masters): f32, tag OPT_STATE */
    /* mini-batches by the rows' length: zo_batch_of(i) is of pool i % pools. Each pool has an order of its own, an epoch of which has all of its rows. */
    zo_pool pool[ZO_POOLS_MOST];
    int pools;          /* 0 = one, of all rows */
} zo_needs;

/* How many there are where each stays for `period` steps; of steps that are not known many. */
static inline int64_t zo_needs_periods(const zo_extent *x, int64_t period)
{
    return x->steps > 0 ? (x->steps + period - 1) / period : INT64_MAX;
}

/* Of an estimator with these options (its own keys; NULL = the defaults). ZO_EINPUT where they are not its options. */
zo_status zo_needs_of(const zo_estimator *estimator, const struct cJSON *options, const zo_extent *extent, zo_needs *needs, zo_err *err);

/* In the backend's memory, and on the host where that is another. */
typedef struct zo_bytes { uint64_t backend[ZO_TAGS], host[ZO_TAGS]; } zo_bytes;

/* What start() makes and what the steps add, the estimator's and the engine's; the model's own passes are not in it. Ranks by the rule are not
 * known before the weights are read: rank_max stands for them, so `start` is then the most. Lists of the engine (tag OTHER) are counted in
 * `steps` alone. */
void zo_needs_count(const zo_needs *needs, const zo_extent *extent, zo_bytes *start, zo_bytes *steps);

/* Bytes, for each number of the weights, of the sets that every step reads beside them: 4 a set in f32, and of masters, an anchor's as the weights' own. Moments of a
 * step without gradients are counted twice, for it writes them too, and so are buffers. What scales directions is read by the probe, by the update and, where a rule
 * writes it, twice more. A log has none. */
double zo_needs_read_bytes(const zo_needs *needs, const zo_extent *extent);

/* In words, for tables: "gradients, 2 moments"; "nothing". Returns `out`. */
const char *zo_needs_text(const zo_needs *needs, char *out, size_t size);

/* Points of one forward pass: zo_needs.pass where the weights are not moved, else one. */
int zo_points_a_pass(const zo_estimator *estimator, const zo_needs *needs, zo_realisation realisation);

#ifdef __cplusplus
}
#endif
#endif
