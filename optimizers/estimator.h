/* estimator.h: what an optimizer file provides. One file, one line X(name) in list.h. */
#ifndef ZO_OPTIMIZERS_ESTIMATOR_H
#define ZO_OPTIMIZERS_ESTIMATOR_H

#include "core/conf.h"
#include "optimizers/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

struct zo_extent;
struct zo_needs;

/* How the engine realises points, and where updates go; see engine/engine.h. */
typedef enum zo_realisation { ZO_INPLACE, ZO_STREAMED, ZO_SIDEPATH, ZO_REALISATIONS } zo_realisation;
const char *zo_realisation_name(zo_realisation r);
typedef enum zo_accumulate { ZO_ACCUMULATE_WEIGHTS, ZO_ACCUMULATE_LOG, ZO_ACCUMULATES } zo_accumulate;
const char *zo_accumulate_name(zo_accumulate a);

/* What every estimator gets from the config; its own options stand in its option struct. */
typedef struct zo_step_context {
    int64_t step;           /* from 0 */
    int64_t steps;          /* planned steps, for schedules; 0 when the budget is in forwards or seconds */
    int64_t batches_per_epoch;
    int64_t examples;       /* of this step's batch */
    int64_t train_examples; /* of the training set */
    double lr, eps;         /* of this step, as the run's schedule has it; eps = perturbation radius */
    bool scheduled;         /* `lr` is the share of run_lr that the run's schedule has here; false = there is no schedule */
    double run_lr, share;   /* read where `scheduled` */
} zo_step_context;

/* A rate of an estimator's own at this step: the schedule's share of it. */
static inline double zo_scheduled(const zo_step_context *c, double rate)
{
    return c->scheduled ? rate * c->share : rate;
}

typedef struct zo_step_report {
    double loss;            /* what the method's paper logs, e.g. MeZO: L(theta + eps z); see `loss_is` */
    double projected;       /* projected gradient (L+ - L-) / (2 eps), or g . z of a forward gradient; NaN of a step without a direction */
    double lr;              /* the step size that was used */
    bool full_batch;        /* this step read the whole training set */
    double paper_queries;   /* what the method's paper or code counts for this step, see `queries_are`; NaN where it counts nothing */
} zo_step_report;

/* One way of running an estimator that is worth a word: an option at another value than its default, and what is different then. */
typedef struct zo_variant {
    const char *key, *value; /* of the option, as a config has them: "mode", "replay"; "checkpoint", "true". key NULL ends a list */
    const char *says;        /* one sentence */
} zo_variant;

/* An array that a state points to. */
typedef struct zo_kept { void *block; size_t bytes; } zo_kept;
enum { ZO_KEPT_MOST = 4 };

/* Where its algorithm was read. */
typedef enum zo_text_source {
    ZO_SOURCE_NONE,         /* no text: it is of this program, or what everybody means by the word */
    ZO_SOURCE_PAPER,        /* the paper's own text */
    ZO_SOURCE_RELEASED,     /* the code that its authors, or a benchmark's, published */
    ZO_SOURCE_RECONSTRUCTED /* summaries, reviews and others' code: what they leave open is an option, or stands in the file's head */
} zo_text_source;
const char *zo_text_source_name(zo_text_source source); /* "paper"; of NONE "" */

/* An option at a value with which it is from elsewhere than `source` says; "true" and numbers as in zo_variant. */
typedef struct zo_sourced {
    const char *key, *value; /* key NULL ends a list */
    zo_text_source source;
} zo_sourced;

/* All that the rest of the program knows of a method: nothing outside optimizers/ asks for one by its name. */
typedef struct zo_estimator {
    const char *name;       /* "mezo-svrg" */
    const char *title;      /* "MeZO-SVRG" */
    const char *paper;      /* "Gautam et al., arXiv 2404.08080"; NULL where there is none */
    zo_text_source source;  /* of its defaults */
    const zo_sourced *sources; /* of other values of its options; the last that holds counts; NULL = none differs */
    const zo_variant *variants; /* beside the defaults; NULL = none */
    bool usual;             /* taken where a user names no method: one of those with first_order, one of those without */
    const char *loss_is;    /* what zo_step_report.loss means, one line */
    const char *queries_are; /* what zo_step_report.paper_queries counts, one line with its source; NULL = the paper counts nothing */
    const char *losses_at;  /* one line for `zo list optimizers`: what it asks and applies */
    const zo_opt *options;  /* its own keys; the struct they fill begins the state */
    size_t state_bytes;     /* sizeof(state); state starts with the options struct */
    /* Of the state, from its beginning: what a checkpoint (checkpoint.h) keeps as it is; 0 = all of it. Behind stand pointers, which start() makes anew:
     * to scratch, to open_numbers (the objective keeps these), and to what `arrays` lists. */
    size_t plain_bytes;
    /* Arrays of the estimator's own that go on from step to step: at most ZO_KEPT_MOST, whose number is returned. What start() does not allocate is
     * allocated here, for the plain part is there and the array is not when a run goes on. NULL = none. */
    int (*arrays)(void *state, zo_kept array[ZO_KEPT_MOST]);
    double lr, eps;         /* defaults when the config gives none; eps 0 = no loss is asked at a probe */
    double descends_lr;     /* with this lr 60 steps lower a quadratic of curvatures 0.5 to 1.5 in some forty numbers: the conformance test sees it */
    const char *descends_with; /* options for that, JSON; NULL = the defaults */
    bool first_order;       /* it asks for gradients; with an eps for losses at probes too */
    bool full_batch;        /* it asks for losses over ZO_BATCH_FULL */
    bool (*allows)(int realisation); /* zo_realisation; NULL = all make sense */
    /* What it will ask for with these options (of `state`, as read): needs.h. `needs` comes empty. NULL = nothing. */
    void (*needs)(const void *options, const struct zo_extent *extent, struct zo_needs *needs);
    /* Called once before the first step, options filled in; may ask the objective for factors; NULL = nothing to do. */
    zo_status (*start)(void *state, zo_objective *o, zo_err *err);
    /* One step. NULL = an estimator that does not train (zero-shot), or fits. */
    zo_status (*step)(void *state, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err);
    void (*stop)(void *state); /* frees what start and step allocated; NULL = nothing */
    const char *unmeasured; /* why the time and memory of its steps here are not the method's, a clause: rows have none of either; NULL = they are */
    /* What these options cannot be together, or in a run of so many steps (0 = not known): ZO_EINPUT with one sentence, when the config is read. NULL =
     * there is no such thing. */
    zo_status (*check)(const void *options, int64_t steps, zo_err *err);
    /* A solution at once, in place of steps (`step` is NULL): called once, after start(). It fills the report's loss. NULL = nothing is fitted. */
    zo_status (*fit)(void *state, zo_objective *o, zo_step_report *r, zo_err *err);
    bool is_descent;        /* with its defaults a step is w <- w - lr g of the batch, and nothing else: by it others' steps are measured */
} zo_estimator;

/* All of list.h; one by name (NULL when absent); and the usual one of its order. */
int zo_estimator_list(const zo_estimator *const **list);
const zo_estimator *zo_estimator_find(const char *name);
const zo_estimator *zo_estimator_usual(bool first_order);
const zo_estimator *zo_estimator_descent(void); /* the one with is_descent */

/* Do its steps ask for losses at probes? Those have a radius, a realisation and a shape of their passes; gradients have none of these. */
static inline bool zo_estimator_probes(const zo_estimator *estimator)
{
    return estimator->step != NULL && (!estimator->first_order || estimator->eps > 0);
}

/* Does it change weights, by steps or at once? */
bool zo_estimator_trains(const zo_estimator *estimator);

/* The name of where its algorithm was read, with these options (its own keys; NULL = the defaults). The same by name: of one that is none of list.h "". */
const char *zo_source_of(const zo_estimator *estimator, const struct cJSON *options);
const char *zo_source_named(const char *name, const struct cJSON *options);

/* The variant's option as an object, {"mode": "replay"}; the caller deletes it. */
struct cJSON *zo_variant_options(const zo_variant *variant);

#ifdef __cplusplus
}
#endif
#endif
