/* live.h: what `zo run` says while cells run: one line that is drawn again on a terminal, a line now and then elsewhere. */
#ifndef ZO_BENCH_MATRIX_LIVE_H
#define ZO_BENCH_MATRIX_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/cell/settings.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zo_live {
    bool terminal, shown;
    double start, said_at;
    int64_t done, todo;     /* cells of this invocation */
    char label[1200];
    const zo_cell *cell;
    /* last news */
    char phase[16];
    double step, fraction, loss, dev, forwards, tokens, seconds;
} zo_live;

/* Draws the line; unless `now`, not more often than a reader wants. */
void zo_live_show(zo_live *l, bool now);
/* Takes it off the terminal, for another line in its place. */
void zo_live_clear(zo_live *l);
/* A line of its own about the cell: what it says of itself. */
void zo_live_say(zo_live *l, const char *text);
/* The line of a cell that has ended. */
void zo_live_end(zo_live *l, const zo_run_brief *brief);
/* The same for a model that is being made (bench/synth/pretrain.h): false = stop. context: a zo_live. */
bool zo_live_pretraining(void *context, const char *model, int64_t step, int64_t steps, double loss, double seconds);

/* "9s", "4m05s", "2h10m" */
const char *zo_live_duration(double seconds, char *out, size_t size);

/* A cell's label in at most so many columns: what does not fit goes out before the seed, and where not even the method fits, the model and the task
 * go out before it. */
const char *zo_label_fit(const char *label, int columns, char *out, size_t size);

#ifdef __cplusplus
}
#endif
#endif
