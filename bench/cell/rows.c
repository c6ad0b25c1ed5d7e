/* rows.c: the rows of steps, and the times of steps; see run.h. */
#include "bench/cell/run.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/mem.h"
#include "results/statistics.h"

#define WRITE_SECONDS 2.0 /* step rows are written at least this often */
#define EVERY_STEP 500    /* rows of every step up to here, then one each step/500 steps */

zo_status zo_cell_write_rows(zo_cell_run *r, zo_err *err)
{
    const char *phase = r->phase;
    zo_cell_phase(r, "write");
    zo_status status = zo_results_steps(r->results, r->id, r->row, r->rows, err);
    if (status == ZO_OK && r->tape.n > 0) {
        status = zo_results_journal(r->results, r->id, r->step, r->tape.loss, r->tape.n, err);
        r->tape.n = 0;
    }
    r->rows = 0;
    r->written_at = zo_now();
    zo_cell_phase(r, phase);
    return status;
}

void zo_cell_close_row(zo_cell_run *r)
{
    if (r->gathered == 0) {
        return;
    }
    double n = (double)r->gathered;
    zo_step_row *g = &r->gather;
    g->loss /= n;
    g->seconds /= n;
    for (int k = 0; k < ZO_PARTS; k++) {
        g->part[k] /= n;
    }
    g->step = r->step;
    g->forwards = r->setup.counts.forwards;
    g->work = zo_setup_work(&r->setup);
    g->train_seconds = r->train_seconds;
    if (r->cell.estimator->unmeasured != NULL) {
        g->seconds = g->train_seconds = NAN;
        for (int k = 0; k < ZO_PARTS; k++) {
            g->part[k] = NAN;
        }
    }
    zo_watch_loss(&r->watch, g->step, g->loss);
    r->row[r->rows++] = *g;
    memset(g, 0, sizeof *g);
    r->gathered = 0;
}

zo_status zo_cell_record_step(zo_cell_run *r, const zo_step_report *report, double seconds, zo_err *err)
{
    zo_step_row *g = &r->gather;
    g->loss += report->loss;
    g->projected = report->projected;
    g->lr = report->lr;
    g->full_steps += report->full_batch;
    g->seconds += seconds;
    for (int k = 0; k < ZO_PARTS; k++) {
        g->part[k] += r->setup.part[k];
        r->part[k] += r->setup.part[k];
    }
    r->gathered++;
    int64_t every = r->cell.log_every > 0 ? r->cell.log_every : r->step <= EVERY_STEP ? 1 : r->step / EVERY_STEP;
    if (r->gathered >= every) {
        zo_cell_close_row(r);
    }
    if (r->rows == ZO_CELL_ROWS || 2 * r->tape.n > r->tape.room || (r->rows > 0 && zo_now() - r->written_at > WRITE_SECONDS)) {
        return zo_cell_write_rows(r, err);
    }
    return ZO_OK;
}

void zo_cell_record_time(zo_cell_run *r, const zo_step_report *report, double seconds)
{
    if (r->step == 1) {
        r->first_seconds = seconds;
        r->first_full = report->full_batch;
    }
    if (r->step == 4) { /* more than three: the first one, which warms caches, is left out */
        memmove(r->step_seconds, r->step_seconds + 1, 2 * sizeof *r->step_seconds);
        r->timed--;
    }
    r->step_seconds[r->timed % ZO_CELL_TIMES] = seconds;
    r->timed++;
    if (report->full_batch) {
        r->full.sum += seconds;
        r->full.n++;
    } else {
        r->other.sum += seconds;
        r->other.n++;
    }
    r->paper_queries += report->paper_queries;
}

void zo_cell_take_times(zo_cell_run *r, zo_run_end *end)
{
    int64_t n = r->timed < ZO_CELL_TIMES ? r->timed : ZO_CELL_TIMES;
    end->step_ms_median = 1e3 * zo_median(r->step_seconds, n); /* sorts */
    end->step_ms_q1 = 1e3 * zo_quantile(r->step_seconds, n, 0.25);
    end->step_ms_q3 = 1e3 * zo_quantile(r->step_seconds, n, 0.75);
    end->full_steps = r->full.n;
    double full = r->full.sum, other = r->other.sum;
    int64_t full_n = r->full.n, other_n = r->other.n;
    if (r->step > 3) {
        full -= r->first_full ? r->first_seconds : 0;
        other -= r->first_full ? 0 : r->first_seconds;
        full_n -= r->first_full;
        other_n -= !r->first_full;
    }
    end->step_ms = full_n + other_n > 0 ? 1e3 * (full + other) / (double)(full_n + other_n) : NAN;
    end->full_step_ms = full_n > 0 ? 1e3 * full / (double)full_n : NAN;
    end->other_step_ms = other_n > 0 ? 1e3 * other / (double)other_n : NAN;
}
