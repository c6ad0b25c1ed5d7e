/* child.h: the process of a cell, seen from the parent: starting it with its job, watching it, saying how it ended. */
#ifndef ZO_BENCH_MATRIX_CHILD_H
#define ZO_BENCH_MATRIX_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bench/matrix/live.h"
#include "bench/matrix/run.h"

struct cJSON;

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_child {
    pid_t pid;
    int news, complaints; /* read ends */
    char line[8192];
    size_t line_n;
    char last[2000];      /* tail of its standard error */
    size_t last_n;
    char error[1100];     /* what it said is wrong */
    bool input;           /* and that it is the input or the database */
    bool oom;             /* or that memory ran out before there was a row */
    struct cJSON *check;  /* answer of a check */
} zo_child;

extern volatile sig_atomic_t zo_run_interrupted; /* the signal that ends the run, 0 = none */
extern volatile sig_atomic_t zo_run_signals;     /* how many of them came */
#define ZO_CHILD_GRACE_SECONDS 60 /* that a cell has to save itself in when the run is to end */

typedef enum zo_job_kind { ZO_JOB_RUN, ZO_JOB_CHECK, ZO_JOB_CHECK_DEVICE } zo_job_kind;

/* The job of a cell; the caller deletes it. identity NULL: a check. */
struct cJSON *zo_job_make(const zo_cell *cell, const zo_run_spec *spec, zo_job_kind kind, const zo_identity *identity);

/* Starts `zo cell` and gives it its job. */
zo_status zo_child_start(zo_child *c, const struct cJSON *job, zo_err *err);

/* Watches until the process has ended; returns its wait status. At an interrupt the process is asked to save itself and to end; a second one, or
 * ZO_CHILD_GRACE_SECONDS, kills it, and so does the loss of the database (NULL = none): then *lost says so. */
int zo_child_watch(zo_child *c, zo_live *l, const zo_results *results, zo_err *lost);

/* One sentence on how a process ended that did not end well. */
void zo_child_death(const zo_child *c, int status, char *out, size_t size);

/* What a cell's process wrote to its standard error, line by line. */
void zo_child_print_complaints(char *text, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
