/* estimator.h: what an optimizer file provides. One file, one line X(name) in list.h. */
#ifndef ZO_OPTIMIZERS_ESTIMATOR_H
#define ZO_OPTIMIZERS_ESTIMATOR_H

#include "core/conf.h"
#include "optimizers/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How the engine realises points; see engine.h. */
typedef enum zo_realisation { ZO_INPLACE, ZO_STREAMED, ZO_SIDEPATH, ZO_REALISATIONS } zo_realisation;
const char *zo_realisation_name(zo_realisation r);

/* What every estimator gets from the config; its own options stand in its option struct. */
typedef struct zo_step_context {
    int64_t step;           /* from 0 */
    int64_t steps;          /* planned steps, for schedules; 0 when the budget is in forwards or seconds */
    int64_t batches_per_epoch;
    int64_t examples;       /* of this step's batch */
    int64_t train_examples; /* of the training set */
    double lr, eps;         /* of this run; eps = perturbation radius */
} zo_step_context;

typedef struct zo_step_report {
    double loss;            /* what the method's paper logs, e.g. MeZO: L(theta + eps z); see `loss_is` */
    double projected;       /* projected gradient (L+ - L-) / (2 eps), NaN for first order */
    double lr;              /* the step size that was used */
    bool full_batch;        /* this step read the whole training set */
    double paper_queries;   /* what the method's paper or code counts for this step, see `queries_are`; NaN where it counts nothing */
} zo_step_report;

typedef struct zo_estimator {
    const char *name;       /* "mezo-svrg" */
    const char *title;      /* "MeZO-SVRG (Gautam et al., arXiv 2404.08080)" */
    const char *loss_is;    /* what zo_step_report.loss means, one line */
    const char *queries_are; /* what zo_step_report.paper_queries counts, one line with its source; NULL = the paper counts nothing */
    const char *losses_at;  /* one line for `zo list optimizers`: what it asks and applies */
    const zo_opt *options;  /* its own keys; the struct they fill begins the state */
    size_t state_bytes;     /* sizeof(state); state starts with the options struct */
    double lr, eps;         /* defaults when the config gives none */
    bool first_order;
    bool full_batch;        /* it asks for losses over ZO_BATCH_FULL */
    bool (*allows)(int realisation); /* zo_realisation; NULL = all make sense */
    /* Called once before the first step, options filled in; may ask the objective for factors; NULL = nothing to do. */
    zo_status (*start)(void *state, zo_objective *o, zo_err *err);
    /* One step. NULL = an estimator that does not train (zero-shot). */
    zo_status (*step)(void *state, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err);
    void (*stop)(void *state); /* frees what start and step allocated; NULL = nothing */
} zo_estimator;

/* All of list.h; and one by name (NULL when absent). */
int zo_estimator_list(const zo_estimator *const **list);
const zo_estimator *zo_estimator_find(const char *name);

#ifdef __cplusplus
}
#endif
#endif
