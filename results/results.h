/* results.h: the database. One SQLite file (WAL, foreign keys, schema version in PRAGMA user_version); results/schema.sql documents
 * every column. One writer a cell: the cell's own process; the parent process only claims and reads. Every function that fails
 * leaves a valid database: rows are written in short transactions. */
#ifndef ZO_RESULTS_RESULTS_H
#define ZO_RESULTS_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "core/conf.h"
#include "core/err.h"
#include "core/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_SCHEMA_VERSION 9

/* What keys, defaults and figures of a row mean. Raised when one of them changes; a row of another meaning is never "done already" and
 * never in one mean or picture with new ones. zo_meaning_was says what was different. */
#define ZO_MEANING 2
const char *zo_meaning_was(int meaning); /* in words; "" for this one and for newer ones */

typedef struct zo_results zo_results;

/* Opens or creates (its folder too); a database of an older schema is brought to this one, and a copy of it as it was stays beside it
 * (FILE.schema2). A database of a newer schema, a file that is no database or none of zo's, a read-only folder: one sentence. */
zo_status zo_results_open(zo_results **results, const char *path, bool create, zo_err *err);
/* The same, alone among those who run cells (flock on the file, held until the database is closed or the process ends); taken before anything
 * is read or changed. ZO_EINPUT with a sentence when another `zo run` has it, or where SQLite's quick_check finds a damaged page. */
zo_status zo_results_open_alone(zo_results **results, const char *path, zo_err *err);
/* Is a `zo run` at work on it? Not to be asked while this process has it open: SQLite's locks would go. */
bool zo_results_is_worked_on(const char *path);
/* For readers: the file must exist and is not written to, not even where its folder is read-only; one of an older schema is read through
 * a copy in memory that is brought to this one. */
zo_status zo_results_open_read(zo_results **results, const char *path, zo_err *err);
void zo_results_close(zo_results *results); /* NULL is allowed */
/* What an opened one takes in the ledger (OTHER), for predictions. */
size_t zo_results_bytes(void);
struct sqlite3 *zo_results_handle(zo_results *results);
/* ZO_EIO with a sentence when the file that was opened is not the one that stands at its path now (removed, replaced). */
zo_status zo_results_check_file(const zo_results *results, zo_err *err);

/* The settings of a cell, defaults filled in. `settings` is what the table `keys` describes; each key that names a column fills that column of the
 * table `cells`, and results/schema.sql has units. */
typedef struct zo_cell_row {
    const char *config;            /* canonical JSON of the cell, every default filled in */
    const char *optimizer;         /* its name */
    const char *optimizer_options; /* canonical JSON of the optimizer object */
    const zo_opt *keys;            /* bench/cell/keys.h */
    const void *settings;
} zo_cell_row;

/* What makes two runs runs of the same thing, each part 16 hex digits, "" = not known (or none). */
typedef struct zo_identity { char hash[17], model[17], tokenizer[17], rows[17], task[17], plugin[17]; } zo_identity;

typedef struct zo_host_row { const char *host, *device, *driver, *compiler, *flags, *revision, *binary, *kernel; int threads; int64_t memory_limit_bytes; /* -1 = not known */ } zo_host_row;

/* What a try was made from; NULL = not known. */
typedef struct zo_source_row { const char *model_folder, *data_folder; } zo_source_row;

/* In the marks of a try that is killed: `zo run --cell-limit` ended it. It is no result, and its checkpoint stays. */
#define ZO_MARK_LIMITED "limited"

/* A try, for decisions and closing lines. status is "" when there is none. */
typedef struct zo_run_brief {
    int64_t run;
    char status[16], message[1000], marks[64];
    bool finished; /* it ended with a measurement: 'done', 'diverged', 'dead', 'oom', 'time' or 'unsupported' */
    double metric_value, step_ms, train_seconds, eval_seconds; /* the last two: 0 = not measured */
    char metric[16];
    uint64_t peak_bytes, memory_limit_bytes; /* 0 = not known */
    char revision[64], model_folder[4096]; /* "" = not recorded */
    zo_identity identity;
    int64_t meaning;
} zo_run_brief;

/* Each: *brief has status "" where there is none; a database that cannot be read is ZO_EIO or ZO_EINPUT with a sentence, never "none".
 * brief: the try that counts of the cell with this identity; parts that are not known match any. try: the last of exactly this cell, whether or
 * not it counts. relative: a finished one of a cell with the same hash and another identity, which says what has changed. */
zo_status zo_results_brief(zo_results *results, const zo_identity *identity, zo_run_brief *brief, zo_err *err);
zo_status zo_results_try(zo_results *results, const zo_identity *identity, zo_run_brief *brief, zo_err *err);
zo_status zo_results_relative(zo_results *results, const zo_identity *identity, zo_run_brief *brief, zo_err *err);
/* How many finished cells of another meaning there are. */
zo_status zo_results_older(zo_results *results, int64_t *cells, zo_err *err);

/* Inserts a try with status 'running' (and the cell where it is new). Nothing is deleted: a former finished try counts until this one ends. */
zo_status zo_results_begin(zo_results *results, const zo_cell_row *cell, const zo_identity *identity, const zo_host_row *host, int64_t *run,
                           zo_err *err);

/* Said as soon as it is known, before the model is opened. */
zo_status zo_results_source(zo_results *results, int64_t run, const zo_source_row *source, zo_err *err);

/* What is predicted of a try before its first step; `figure` is a column of `tries`. What a plan has said of its cell stays. */
zo_status zo_results_predict(zo_results *results, int64_t run, const char *figure, double predicted, zo_err *err);

/* What a plan says of the cell with this hash, in place of what an earlier one said. Tries that begin later take it over. */
zo_status zo_results_plan(zo_results *results, const char *hash, const char *figure, double predicted, zo_err *err);

typedef struct zo_step_row {
    int64_t step;                  /* from 1: steps done */
    double loss, projected, lr;
    double seconds;                /* wall time of this step (of the mean step when rows are thinned) */
    double part[ZO_PARTS];         /* where it went */
    int64_t full_steps;            /* of the steps of this row, how many read the whole training set */
    uint64_t forwards;             /* cumulative */
    double work;                   /* cumulative */
    double train_seconds;          /* cumulative time of steps, evaluation excluded */
} zo_step_row;
zo_status zo_results_steps(zo_results *results, int64_t run, const zo_step_row *row, int n, zo_err *err);

typedef struct zo_eval_row {
    int64_t step;
    const char *split;             /* "dev", "test" */
    int64_t examples;
    double accuracy, f1, macro_f1, matthews, exact_match, token_f1, pearson, spearman, loss;
    bool constant;                 /* one class on all rows */
    double seconds;                /* of this evaluation */
    uint64_t forwards;             /* training forwards so far */
    double work, train_seconds;    /* so far */
    bool best;                     /* best so far by the cell's selection */
    const uint8_t *correct;        /* ((examples + 7) / 8) bits, the lowest of a byte first: was the row's choice right? NULL = not known */
} zo_eval_row;
zo_status zo_results_eval(zo_results *results, int64_t run, const zo_eval_row *row, zo_err *err);

/* The outcome of an example: results/schema.sql, table samples. `text` may be long: its beginning is kept. */
typedef struct zo_sample_row {
    int32_t label, choice;
    bool correct;
    double loss;
    const double *score;
    int scores;
    const char *source, *text;
} zo_sample_row;
/* Those of all rows of a split, in order, in one transaction. */
zo_status zo_results_samples(zo_results *results, int64_t run, int64_t step, const char *split, const zo_sample_row *row, int32_t n, zo_err *err);
zo_status zo_results_has_samples(zo_results *results, int64_t run, bool *has, zo_err *err);

/* A row of the journal: n losses that the method was told in the steps since the row before, up to `step`. */
zo_status zo_results_journal(zo_results *results, int64_t run, int64_t step, const double *loss, int64_t n, zo_err *err);
/* All of them: (*n) of *loss, tag DATA, the caller's to free; NULL and 0 where there is none. */
zo_status zo_results_journal_read(zo_results *results, int64_t run, double **loss, int64_t *n, zo_err *err);

/* A row of the table `profile`; figure: drift, rank or cosine (bench/cell/profile.h), layer: a block's number, -1 = all that is trained. */
typedef struct zo_profile_row { int64_t step; const char *figure; int layer; double value; } zo_profile_row;
/* They replace what the run had there. */
zo_status zo_results_profile(zo_results *results, int64_t run, const zo_profile_row *row, int64_t n, zo_err *err);

/* What a try was made of, for making it again. */
typedef struct zo_run_facts {
    int64_t run, steps;    /* steps done; -1 = it has not ended */
    char *config;          /* canonical JSON; the caller's to free */
    char status[16], binary[17], revision[64], data_folder[4096];
    zo_identity identity;
} zo_run_facts;
/* `name`: the number of a try (column `run`), or the hash of a cell, whose shown try is meant. ZO_EINPUT where there is none, or where its keys meant
 * something else. */
zo_status zo_results_facts(zo_results *results, const char *name, zo_run_facts *facts, zo_err *err);

/* How far a try has come: for a checkpoint, and for the try that goes on from there. Behind it the try may get rows of the same step: those of the last
 * evaluation, or the rest of a thinned row. So each table has a step of its own. */
enum { ZO_MARK_TABLES = 4 };
typedef struct zo_mark {
    char name[33];                 /* of the try, in every copy of the database */
    int64_t last[ZO_MARK_TABLES];  /* step of the last row of steps, evaluations, the journal and samples; -1 = none */
    int64_t rows;                  /* that these have by then */
} zo_mark;
zo_status zo_results_mark(zo_results *results, int64_t run, int64_t step, zo_mark *mark, zo_err *err);
/* `run` goes on from there, for the `resumed`th time: it gets copies of the rows of that try up to there. ZO_EINPUT, and nothing changed, where
 * this database has not that try with so many rows. */
zo_status zo_results_go_on(zo_results *results, int64_t run, const zo_mark *mark, int64_t resumed, zo_err *err);

/* Peak of one phase with its breakdown; ZO_PHASES stands for "overall". */
zo_status zo_results_memory(zo_results *results, int64_t run, zo_phase phase, const zo_peak *peak, zo_err *err);

/* The end of a try: columns of the same names in results/schema.sql. NaN = NULL. */
typedef struct zo_run_end {
    const char *status;
    const char *message;           /* one sentence, or NULL */
    const char *marks;             /* "diverged,constant"; "" = none */
    int64_t fault_step;            /* -1 = none */
    double accuracy, f1, macro_f1, matthews, exact_match, token_f1, pearson, spearman, metric_value; /* the headline */
    const char *selected;          /* how it was chosen; NULL = there is none */
    int64_t best_step;             /* -1 = none */
    double dev_accuracy, dev_metric, dev_loss; /* at best_step */
    int64_t steps;
    uint64_t forwards, sequences, tokens, paper_tokens, examples, weight_bytes_written, normals;
    double flops, work, paper_queries, drift_max;
    double train_seconds, eval_seconds, load_seconds;
    int64_t resumed;               /* how often it went on from a checkpoint */
    double checkpoint_ms;          /* time that writing them took, in none of the above */
    double memory_error, hours_error, cpu_error; /* zo_results_end makes them of what was predicted */
    double device_hours, device_hours_total; /* zo_results_end makes them of the seconds */
    double step_ms, step_ms_median, step_ms_q1, step_ms_q3, full_step_ms, other_step_ms;
    int64_t full_steps;
    double cpu_seconds, foreign_seconds, steal_seconds, load_average;
    int64_t switches;              /* -1 = not known */
    bool disturbed;
    double part[ZO_PARTS];         /* total seconds of training by part */
    uint64_t peak_bytes, train_peak_bytes, rss_peak_bytes; /* 0 = not measured */
    int64_t parameters, trained_parameters; /* -1 = not known */
    int64_t context, train_rows, dev_rows, test_rows, cut_sequences; /* -1 = not known */
    const char *decoder_used;      /* NULL where there is no such head */
    const char *promise;           /* bits, pass */
    const char *note;              /* or NULL */
} zo_run_end;
zo_status zo_results_end(zo_results *results, int64_t run, const zo_run_end *end, zo_err *err);

/* Mark every 'running' try of this database as 'killed' (the parent does so at start, when no cell of it is alive). */
zo_status zo_results_sweep_running(zo_results *results, zo_err *err);
/* The parent's word on a cell whose process could not say it: sets status ('failed', 'killed', 'oom') and message of the 'running'
 * try of this cell, which is made first where the cell's process did not come that far. */
zo_status zo_results_abandon(zo_results *results, const zo_cell_row *cell, const zo_identity *identity, const zo_host_row *host,
                             const char *status, const char *message, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
