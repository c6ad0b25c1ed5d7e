/* run.h: the run of one cell while it goes: its loop (loop.c), its rows (rows.c), its end (end.c). cell.c is the process around
 * it. */
#ifndef ZO_BENCH_CELL_RUN_H
#define ZO_BENCH_CELL_RUN_H

#include "bench/cell/machine.h"
#include "bench/cell/outcome.h"
#include "bench/cell/process.h"
#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

#define ZO_CELL_ROWS 256
#define ZO_CELL_CANDIDATES 64 /* evaluations that there is room for at first */
#define ZO_CELL_LOSSES 16384  /* that wait for their row of the journal */
#define ZO_CELL_TIMES 4096    /* the median is over the last so many steps */

typedef struct run {
    zo_cell cell;
    zo_results *results;
    int64_t id;
    bool samples;                       /* outcomes of single examples are kept */
    char save[4096];                    /* folder for the weights at the end, "" = none */
    zo_setup setup;
    zo_space space;                     /* where the model lives: its ledger is the one that is recorded */
    double load_seconds, train_seconds, eval_seconds;
    double part[ZO_PARTS];
    int64_t step;                       /* steps done */
    /* rows of steps not yet written, and the one being gathered */
    zo_step_row row[ZO_CELL_ROWS];
    int rows;
    zo_step_row gather;
    int64_t gathered;
    double written_at;
    zo_tape tape;                       /* losses not yet in the journal, */
    double tape_loss[ZO_CELL_LOSSES];   /* its room */
    double *step_seconds;               /* (ZO_CELL_TIMES) ring */
    int64_t timed;
    struct { double sum; int64_t n; } full, other; /* seconds of steps that read the whole training set, and of the others */
    double first_seconds;               /* of the first step; left out of the means when there are more than three */
    bool first_full;
    double paper_queries;               /* NaN once a step has none */
    zo_load load_start, load_end;       /* around the loop */
    uint64_t memory_limit;              /* of this process, bytes */
    /* evaluations */
    int64_t evaluated_at;               /* step of the last one; -1 = none */
    zo_candidate *candidate;            /* (candidates) */
    int64_t candidates, candidate_room;
    double score_best, dev_best;        /* score and dev metric of the best one so far; NaN = none */
    double drift;                       /* zo_setup_drift at the end */
    struct { bool taken; zo_peak of[ZO_PHASES + 1]; uint64_t rss; } peaks; /* of each phase, and overall */
    int64_t tenths;                     /* of the budget, at the last evaluation of ZO_EVAL_TENTHS */
    zo_watch watch;
    zo_fault fault;
    int64_t fault_step;                 /* -1 = none */
    bool step_failed;                   /* a step ended the run, and not by a loss */
    bool is_constant;                   /* the headline is one class on all rows */
    int threads;
    /* going on after the process was killed: resume.c */
    struct {
        char path[4200];                /* of the checkpoint; "" = none is written or read */
        double every_seconds;           /* 0 = not by time */
        int64_t every_steps;            /* 0 = not by steps */
        double written_at;              /* zo_now() then, or when training began */
        double seconds;                 /* that writing took */
        int64_t resumed;                /* how often the cell went on from one */
        bool complained;                /* that one could not be written */
        int64_t step;                   /* of the one that this process wrote last; 0 = none */
    } checkpoint;
    double limit_seconds;               /* of training and evaluation, in all processes: 0 = none */
    bool limited;                       /* that limit ended the try, and its checkpoint stays */
    bool stopped;                       /* somebody asked for the end, and the cell goes on from its checkpoint */
    zo_identity identity;
    uint64_t rss_before;                /* the largest of the processes before this one */
    /* news */
    double news_at, loss;
    const char *phase;
} zo_cell_run;

/* The loop: evaluations, steps until the budget is used, and the row's end. */
zo_status zo_cell_loop(zo_cell_run *r, zo_err *err);

/* What the process does from now on: check (of a config, no cell), load, train, eval, checkpoint, write (to the database). Its name says so too (`ps`, `top`, /proc/PID/comm): "zo train". */
void zo_cell_phase(zo_cell_run *r, const char *phase);
/* Says to the parent how far it is; unless `now`, not more often than it can use. */
void zo_cell_send_progress(zo_cell_run *r, bool now);
/* How much of the budget is used: the limit that is nearest. */
double zo_cell_fraction_done(const zo_cell_run *r);

/* Has the process been asked to end (SIGTERM)? Only from zo_cell_can_stop on is that left to the loop: before, nothing is there to be saved, and the
 * process ends at once. */
bool zo_cell_is_asked_to_stop(void);
void zo_cell_can_stop(void);

/* Tells the parent something that its user shall read now: one sentence. */
void zo_cell_say(const char *text);

/* After a step and its evaluation: writes a checkpoint where one is due, or `now`. A failure is said once, and the run goes on. */
void zo_cell_checkpoint(zo_cell_run *r, bool now);
/* Before the first step: puts everything as it was when the checkpoint was written, and *goes_on = true. Where it is of another program, device or
 * cell, of a try that the database does not have, or damaged, that is said, and the cell begins anew. */
zo_status zo_cell_resume(zo_cell_run *r, bool *goes_on, zo_err *err);
/* The cell has ended: nothing is left to go on with. */
void zo_cell_drop_checkpoint(const zo_cell_run *r);

/* A step and its time; rows are written in blocks, and thinned in long runs. */
zo_status zo_cell_record_step(zo_cell_run *r, const zo_step_report *report, double seconds, zo_err *err);
void zo_cell_record_time(zo_cell_run *r, const zo_step_report *report, double seconds);
/* The row that is being gathered, as far as it is; all rows that are not written yet. */
void zo_cell_close_row(zo_cell_run *r);
zo_status zo_cell_write_rows(zo_cell_run *r, zo_err *err);
/* Means and quantiles of the steps' times. */
void zo_cell_take_times(zo_cell_run *r, zo_run_end *end);

/* Peaks as they are now, for the row: what is done later is no part of the run. Those of the first call count. */
void zo_cell_take_peaks(zo_cell_run *r);

/* The end of the try. message NULL = done. The checkpoint goes, but for a try that is `limited`: that is reported by no evaluation. */
zo_status zo_cell_end(zo_cell_run *r, const char *status_text, const char *message, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
