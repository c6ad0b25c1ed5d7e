/* settings.h: the settings of one cell, from the keys that a config gives it (keys.h), normalised: keys that its optimizer cannot read are set to
 * one value, so equal work has one hash. And their texts. */
#ifndef ZO_BENCH_CELL_SETTINGS_H
#define ZO_BENCH_CELL_SETTINGS_H

#include "backends/backend.h"
#include "models/arch.h"
#include "optimizers/engine/engine.h"
#include "optimizers/estimator.h"
#include "results/results.h"
#include "tasks/task.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum zo_init { ZO_INIT_PRETRAINED, ZO_INIT_RANDOM } zo_init;
/* Which evaluation a run is reported by: the best dev metric or loss, the last one, or the one with the best test metric (which looks at the
 * test rows: for papers that did). */
typedef enum zo_selection { ZO_SELECT_DEV_METRIC, ZO_SELECT_DEV_LOSS, ZO_SELECT_LAST, ZO_SELECT_BEST_TEST } zo_selection;
/* What a loss is: the model's, or 1 - a metric of the batch's choices. */
typedef enum zo_aim { ZO_AIM_LOSS, ZO_AIM_ACCURACY, ZO_AIM_F1 } zo_aim;
#define ZO_EVAL_TENTHS (-1) /* eval_every: at each tenth of the budget in forwards, work or steps, whichever is furthest */

typedef struct zo_cell {
    /* the table of keys.c says what each is */
    char model[ZO_OPT_STRING_BYTES], task[ZO_OPT_STRING_BYTES], device[ZO_OPT_STRING_BYTES];
    char kshot_folder[ZO_OPT_STRING_BYTES]; /* "" where split is not kshot */
    char tune[ZO_OPT_STRING_BYTES];         /* the text of a view (models/tune.h) */
    int form, split, init, precision, realisation; /* zo_form, zo_split_scheme, zo_init, zo_precision, zo_realisation */
    int storage, accumulate, decoder, algorithms;  /* zo_storage, zo_accumulate, zo_decoder, zo_algorithms */
    int quantised;                                 /* zo_cell_quantised has it as the model reads it */
    int64_t quantised_group;
    int metric;                                    /* 1 + zo_metric */
    int selection;                                 /* zo_selection */
    int objective;                                 /* zo_aim */
    int64_t batch, context /* 0 = the model's */, steps, forwards, seed, train_split_seed, test_split_seed, k /* 0 where split is not kshot */,
        eval_every, eval_batch, log_every, train, dev, test, threads, demonstrations;
    int demonstration_sets, calibration; /* 1: one for all; zo_calibration */
    double work, seconds, lr, eps, warmup;
    int schedule;                                  /* zo_cell_schedule */
    bool fill;
    /* derived */
    const zo_estimator *estimator;
    struct cJSON *options; /* the optimizer's own keys, every one present */
    char *options_text;    /* canonical */
    char *config;          /* canonical JSON of the cell */
    char hash[17];         /* of config */
    char *varied;          /* " batch 8 rank 4": settings that differ between the grid's cells of this optimizer (results/labels.h); NULL
                              outside of a grid */
} zo_cell;

/* `object` holds a value for each key that is given, `optimizer` among them (an object with a name, or a string); words in it become numbers. `path`
 * stands in messages. The caller gives the cell back with zo_cell_free; there is nothing to give back after an error. */
zo_status zo_cell_make(zo_cell *cell, struct cJSON *object, const char *path, zo_err *err);

/* How the blocks' matrices are held. */
zo_quantised zo_cell_quantised(const zo_cell *cell);

/* lr of a step: the cell's lr times this. Up from 0 in the first `warmup` of the planned steps (rounded up), then constant, or down to 0 at the last
 * along a line or half a cosine: transformers' get_{constant,linear,cosine}_schedule_with_warmup, with which MeZO's Trainer fine-tunes (linear). */
enum { ZO_CELL_CONSTANT, ZO_CELL_LINEAR, ZO_CELL_COSINE };
double zo_cell_schedule(const zo_cell *cell, int64_t step);

/* A canonical config with every key; the caller deletes it. */
struct cJSON *zo_cell_whole_config(const zo_cell *cell);

/* The optimizer's own keys; a table without rows where it has none. */
const zo_opt *zo_cell_options(const zo_estimator *estimator);

/* Puts a value, which it takes over, in place of the key's, or adds it. */
void zo_json_replace(struct cJSON *object, const char *key, struct cJSON *value);

/* The same cell with other values of some keys (an object of them). It is to be given back with zo_cell_free. */
zo_status zo_cell_with(const zo_cell *cell, const struct cJSON *keys, zo_cell *other, zo_err *err);

/* One cell from its canonical JSON (what a cell's own process gets). */
zo_status zo_cell_parse(zo_cell *cell, const char *config, zo_err *err);
void zo_cell_free(zo_cell *cell);
/* A hash of what decides whether a cell can be opened: its device, model, task and rows, and (`fine`) what memory it then takes. */
uint64_t zo_cell_opening(const zo_cell *cell, bool fine);
/* The cell as a database row; borrows from the cell. */
zo_cell_row zo_cell_to_row(const zo_cell *cell);
/* "minilm-l6 sst2 mezo lr 1e-06 batch 8 seed 1": for progress lines; between lr and seed stands what varies over the grid. */
char *zo_cell_label(const zo_cell *cell, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
