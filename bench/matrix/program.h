/* program.h: another zo program, or this one, that runs single cells into a database of its own: `zo regress`. */
#ifndef ZO_BENCH_MATRIX_PROGRAM_H
#define ZO_BENCH_MATRIX_PROGRAM_H

#include "bench/cell/setup.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_program {
    char path[4096];          /* of its file */
    char db[4096], log[4096]; /* where its runs go; and what the last one said */
    char name[4096];          /* for people: its path, "this program", or a revision as it was asked for */
    int64_t before;           /* the last run of its database when it was opened */
} zo_program;

/* ref: the path of a program, or a git revision of the tree in the working folder. A revision is built (`make zo CUDA=0`) in a clone below build/regress,
 * which stays: the same revision is not built again. NULL: this program. The database is made by the first run; its name is db, and of a revision db and 12
 * digits of the commit, so that each revision has its own. ZO_EINPUT where it is neither, or does not build, or another command builds one. */
zo_status zo_program_open(zo_program *program, const char *ref, const char *db, zo_err *err);

/* Makes this file and holds it alone (flock) until *lock is closed or the process ends; programs that it starts do not hold it. ZO_EINPUT where another process does. */
zo_status zo_program_lock(const char *path, int *lock, zo_err *err);

/* The number of the last run in its database; 0 = there is none. */
zo_status zo_program_last(const zo_program *program, int64_t *run, zo_err *err);

/* Makes an empty database where there is none yet. */
zo_status zo_program_touch(const zo_program *program, zo_err *err);

/* Runs the cell, whether or not it is done already: a new try in program->db, whatever came of it. ZO_EINPUT with its last sentence where it did not come that far;
 * *killed: the signal that ended it, 0 = none did. */
zo_status zo_program_run(const zo_program *program, const zo_cell *cell, const zo_setup_dirs *dirs, int *killed, zo_err *err);

#ifdef __cplusplus
}
#endif
#endif
