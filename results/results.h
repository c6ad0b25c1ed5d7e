/* results.h: the database. One SQLite file (WAL, foreign keys, schema version in PRAGMA user_version); results/schema.sql documents
 * every column. One writer a cell: the cell's own process; the parent process only claims and reads. Every function that fails
 * leaves a valid database: rows are written in short transactions. */
#ifndef ZO_RESULTS_RESULTS_H
#define ZO_RESULTS_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/err.h"
#include "core/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_SCHEMA_VERSION 2

typedef struct zo_results zo_results;

/* Opens or creates (its folder too); a database of an older schema is brought to this one. A database of a newer schema, a file that is no database, a read-only folder: one sentence. */
zo_status zo_results_open(zo_results **results, const char *path, bool create, zo_err *err);
/* For readers: the file must exist and is not written to, not even where its folder is read-only; one of an older schema reads as if it had
 * been brought to this one. */
zo_status zo_results_open_read(zo_results **results, const char *path, zo_err *err);
void zo_results_close(zo_results *results); /* NULL is allowed */
struct sqlite3 *zo_results_handle(zo_results *results);

/* What identifies a cell: all settings, defaults filled in. Names as in the config and the reports. */
typedef struct zo_cell_row {
    char hash[17];                 /* 64-bit content hash of `config`, hex */
    const char *config;            /* canonical JSON of the cell, every default filled in */
    const char *model, *task, *form, *optimizer, *precision, *realisation, *storage, *accumulate,
        *device_kind /* "cpu" */, *split,
        *selection;                /* accuracy, loss */
    const char *optimizer_options; /* canonical JSON of the optimizer object */
    int64_t batch, context, steps, forwards, seed, eval_every, train, dev, test;
    double seconds, lr, eps;
} zo_cell_row;

typedef struct zo_host_row { const char *host, *device, *driver, *compiler, *flags, *revision, *kernel; int threads; } zo_host_row;

/* What a run was made from; NULL = not known. */
typedef struct zo_source_row { const char *model_folder, *model_fingerprint, *data_folder; } zo_source_row;

/* Is a run with this hash and status 'done', 'diverged', 'oom', 'time' or 'unsupported' there (a finished measurement)? */
bool zo_results_has(zo_results *results, const char *hash);
/* Deletes the finished run of this hash with its rows: the cell is to be run again. */
zo_status zo_results_forget(zo_results *results, const char *hash, zo_err *err);
/* Insert a run with status 'running'; a former unfinished run of the same hash ('running', 'failed', 'killed') is deleted with its rows. */
zo_status zo_results_begin(zo_results *results, const zo_cell_row *cell, const zo_host_row *host, int64_t *run, zo_err *err);

/* Said as soon as it is known, before the model is opened. */
zo_status zo_results_source(zo_results *results, int64_t run, const zo_source_row *source, zo_err *err);

typedef struct zo_step_row {
    int64_t step;                  /* from 1: steps done */
    double loss, projected, lr;
    double seconds;                /* wall time of this step (of the mean step when rows are thinned) */
    double part[ZO_PARTS];         /* where it went */
    uint64_t forwards;             /* cumulative */
    double train_seconds;          /* cumulative time of steps, evaluation excluded */
} zo_step_row;
zo_status zo_results_steps(zo_results *results, int64_t run, const zo_step_row *row, int n, zo_err *err);

typedef struct zo_eval_row {
    int64_t step;
    const char *split;             /* "dev", "test" */
    int64_t examples;
    double accuracy, f1, matthews, loss;
    double seconds;                /* of this evaluation */
    uint64_t forwards;             /* training forwards so far */
    double train_seconds;
    bool best;                     /* best dev so far */
} zo_eval_row;
zo_status zo_results_eval(zo_results *results, int64_t run, const zo_eval_row *row, zo_err *err);

/* Peak of one phase with its breakdown; ZO_PHASES stands for "overall". */
zo_status zo_results_memory(zo_results *results, int64_t run, zo_phase phase, const zo_peak *peak, zo_err *err);

typedef struct zo_run_end {
    const char *status;            /* done diverged oom time unsupported failed */
    const char *message;           /* one sentence, or NULL */
    double accuracy, f1, matthews; /* the headline: test at the best dev step when test > 0, else best dev, else last; NaN = none */
    const char *selected;          /* "test@best-dev", "best-dev", "last-test", or with -loss: how the headline was chosen */
    int64_t best_step;
    double dev_accuracy;           /* dev accuracy at best_step, NaN = none */
    int64_t steps_done;
    uint64_t forwards, sequences, tokens, paper_tokens, examples, weight_bytes_written, normals;
    double train_seconds, eval_seconds, load_seconds;
    double step_ms_median;         /* median wall time of a step, first step excluded when there are more than three */
    double part[ZO_PARTS];         /* total seconds of training by part */
    uint64_t peak_bytes, train_peak_bytes, rss_peak_bytes;
    int64_t parameters;
    const char *note;              /* dataset and truncation notes, or NULL */
} zo_run_end;
zo_status zo_results_end(zo_results *results, int64_t run, const zo_run_end *end, zo_err *err);

/* Mark every 'running' row of this database as 'killed' (the parent does so at start, when no cell of it is alive). */
zo_status zo_results_sweep_running(zo_results *results, zo_err *err);
/* The parent's word on a cell whose process could not say it: sets status ('failed', 'killed', 'oom') and message of the 'running'
 * row with this hash, which is made first where the cell's process did not come that far. */
zo_status zo_results_abandon(zo_results *results, const zo_cell_row *cell, const zo_host_row *host, const char *status,
                             const char *message, zo_err *err);
/* Status, headline and provenance of a finished run, for the closing lines; status is "" when there is none. */
typedef struct zo_run_brief {
    char status[16], message[1000];
    double accuracy, step_ms;
    uint64_t peak_bytes;
    char revision[64], model_folder[4096], model_fingerprint[17]; /* "" = not recorded */
} zo_run_brief;
zo_run_brief zo_results_brief(zo_results *results, const char *hash);

/* Remember to hold the database alone among writers of cells (flock on the file); ZO_EINPUT with a sentence when another `zo run`
 * has it. Released by zo_results_close or the end of the process. */
zo_status zo_results_lock(zo_results *results, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
