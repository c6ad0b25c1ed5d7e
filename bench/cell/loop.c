/* loop.c: the loop of a cell: the budget, the clock, evaluations; see run.h.
 *
 * Selection, as the papers do it: dev is evaluated every eval_every steps (or at each tenth of the budget) and after the last;
 * whenever it is better than ever before by the cell's `selection` (step 0 does not compete), test is evaluated at once, so
 * "test@best-dev" needs no second copy of the weights. Both stay outside the timed steps. bench/cell/outcome.h has the rules. */
#include "bench/cell/run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/io.h"
#include "core/mem.h"

/* ---- evaluation --------------------------------------------------------------------------------------------------------- */

/* What an evaluation leaves beside its candidate until its rows are written. */
typedef struct outcomes { uint8_t *correct[ZO_SPLITS]; zo_samples samples[ZO_SPLITS]; } outcomes;

/* One split at the current weights, in the candidate; its row is written by write_evaluation. */
static zo_status evaluate_split(zo_cell_run *r, zo_split split, zo_evaluation *e, outcomes *o, zo_err *err)
{
    const char *name = split == ZO_DEV ? "dev" : "test";
    o->correct[split] = zo_alloc(ZO_HOST, ZO_TAG_DATA, ((size_t)zo_dataset_size(r->setup.dataset, split) + 7) / 8);
    zo_setup_evaluate(&r->setup, split, e, o->correct[split], r->samples ? &o->samples[split] : NULL);
    r->eval_seconds += e->seconds;
    if (isfinite(e->loss)) {
        return ZO_OK;
    }
    e->examples = 0; /* choices from such numbers are no accuracy */
    r->fault = ZO_FAULT_DIVERGED;
    r->fault_step = r->step;
    return r->step > 0 ? zo_fail(err, ZO_EDIVERGED, "the loss on %s after %lld steps is %g: the run has diverged; a smaller lr may help",
                                 name, (long long)r->step, e->loss)
                       : zo_fail(err, ZO_EDIVERGED, "the loss on %s before any training is %g: the model itself gives it; look at its "
                                 "weights%s", name, e->loss, r->cell.precision != ZO_F32 ? ", or try \"precision\": \"f32\"" : "");
}

static zo_status write_samples(zo_cell_run *r, zo_split split, const outcomes *o, zo_err *err)
{
    const zo_samples *s = &o->samples[split];
    zo_sample_row *row = zo_alloc(ZO_HOST, ZO_TAG_OTHER, ((size_t)s->n + 1) * sizeof *row);
    for (int32_t i = 0; i < s->n; i++) {
        row[i] = (zo_sample_row){.label = s->label[i], .choice = s->choice[i], .correct = o->correct[split][i / 8] >> i % 8 & 1, .loss = s->loss[i],
                                 .score = s->score + s->first[i], .scores = (int)(s->first[i + 1] - s->first[i]),
                                 .source = zo_dataset_source(r->setup.dataset, split, i), .text = zo_dataset_text(r->setup.dataset, split, i)};
    }
    zo_status status = zo_results_samples(r->results, r->id, r->step, split == ZO_DEV ? "dev" : "test", row, s->n, err);
    zo_free(row);
    return status;
}

static zo_status write_evaluation(zo_cell_run *r, zo_split split, const zo_evaluation *e, const outcomes *o, bool best, zo_err *err)
{
    if (e->examples == 0) {
        return ZO_OK;
    }
    zo_eval_row row = {.step = r->step,
                       .split = split == ZO_DEV ? "dev" : "test",
                       .examples = e->examples,
                       .accuracy = e->metric[ZO_ACCURACY],
                       .f1 = e->metric[ZO_F1],
                       .macro_f1 = e->metric[ZO_MACRO_F1],
                       .matthews = e->metric[ZO_MATTHEWS],
                       .exact_match = e->metric[ZO_EXACT_MATCH],
                       .token_f1 = e->metric[ZO_TOKEN_F1],
                       .pearson = e->metric[ZO_PEARSON],
                       .spearman = e->metric[ZO_SPEARMAN],
                       .loss = e->loss,
                       .constant = e->constant,
                       .seconds = e->seconds,
                       .forwards = r->setup.counts.forwards,
                       .work = zo_setup_work(&r->setup),
                       .train_seconds = r->cell.estimator->unmeasured == NULL ? r->train_seconds : NAN,
                       .best = best,
                       .correct = o->correct[split]};
    zo_status status = zo_results_eval(r->results, r->id, &row, err);
    return status == ZO_OK && r->samples ? write_samples(r, split, o, err) : status;
}

static zo_candidate *new_candidate(zo_cell_run *r)
{
    if (r->candidates == r->candidate_room) {
        r->candidate_room *= 2;
        r->candidate = zo_realloc(r->candidate, ZO_HOST, ZO_TAG_OTHER, (size_t)r->candidate_room * sizeof *r->candidate);
    }
    zo_candidate *c = &r->candidate[r->candidates++];
    *c = (zo_candidate){.step = r->step};
    return c;
}

/* Both splits as the selection wants them: dev, and test where this may become the headline. `last`: training is over. */
static zo_status evaluate_splits(zo_cell_run *r, zo_candidate *c, bool has_dev, bool has_test, bool last, zo_err *err)
{
    zo_selection selection = (zo_selection)r->cell.selection;
    zo_metric metric = (zo_metric)(r->cell.metric - 1);
    bool competes = r->step > 0 || !zo_estimator_trains(r->cell.estimator), best = selection == ZO_SELECT_LAST && last;
    outcomes o = {.correct = {NULL}};
    zo_status status = has_dev ? evaluate_split(r, ZO_DEV, &c->dev, &o, err) : ZO_OK;
    if (status == ZO_OK && has_dev) {
        zo_watch_dev(&r->watch, r->step, c->dev.loss);
        if (selection == ZO_SELECT_DEV_METRIC || selection == ZO_SELECT_DEV_LOSS) {
            best = competes && !(zo_selection_score(selection, metric, c) <= r->score_best);
        }
    }
    if (status == ZO_OK && has_test && (best || (selection == ZO_SELECT_BEST_TEST && competes))) {
        status = evaluate_split(r, ZO_TEST, &c->test, &o, err);
        if (status == ZO_OK && selection == ZO_SELECT_BEST_TEST) {
            best = !(zo_selection_score(selection, metric, c) <= r->score_best);
        }
    }
    if (status == ZO_OK && best) {
        r->score_best = zo_selection_score(selection, metric, c);
        r->dev_best = c->dev.examples > 0 ? c->dev.metric[metric] : NAN;
    }
    zo_err ignored = {0};
    zo_cell_phase(r, "write");
    zo_status written = write_evaluation(r, ZO_DEV, &c->dev, &o, best, status == ZO_OK ? err : &ignored);
    written = written == ZO_OK ? write_evaluation(r, ZO_TEST, &c->test, &o, best, status == ZO_OK ? err : &ignored) : written;
    for (int split = 0; split < ZO_SPLITS; split++) {
        zo_free(o.correct[split]);
        zo_samples_free(&o.samples[split]);
    }
    return status != ZO_OK ? status : written;
}

/* Where there is no dev set, test is evaluated at the end only, unless it selects. */
static zo_status evaluate(zo_cell_run *r, bool last, zo_err *err)
{
    bool has_dev = zo_dataset_size(r->setup.dataset, ZO_DEV) > 0, has_test = zo_dataset_size(r->setup.dataset, ZO_TEST) > 0;
    bool looks = has_dev || (has_test && (last || (r->cell.selection == ZO_SELECT_BEST_TEST && r->step > 0)));
    if (r->evaluated_at == r->step) {
        return ZO_OK;
    }
    r->evaluated_at = r->step;
    zo_candidate *c = new_candidate(r); /* there or not: the ledger of training does not depend on what is evaluated */
    if (!looks) {
        return ZO_OK;
    }
    zo_mem_phase(ZO_PHASE_EVAL);
    zo_cell_phase(r, "eval");
    zo_cell_send_progress(r, true);
    zo_status status = evaluate_splits(r, c, has_dev, has_test, last, err);
    zo_mem_phase(ZO_PHASE_TRAIN);
    zo_cell_phase(r, "train");
    return status;
}

/* ---- the loop ----------------------------------------------------------------------------------------------------------- */

/* Time of training and evaluation, in all processes. */
static bool is_over_limit(const zo_cell_run *r)
{
    return r->limit_seconds > 0 && r->train_seconds + r->eval_seconds >= r->limit_seconds;
}

/* Are checkpoints wanted? */
static bool saves(const zo_cell_run *r)
{
    return r->checkpoint.every_seconds > 0 || r->checkpoint.every_steps > 0;
}

/* After a step that was not the last, is the cell to end here? With its checkpoint, and as it would have gone on: nothing is settled or evaluated. */
static bool ends_early(zo_cell_run *r)
{
    r->stopped = zo_cell_is_asked_to_stop();
    r->limited = !r->stopped && is_over_limit(r);
    if ((r->stopped || r->limited) && saves(r) && r->checkpoint.step != r->step) {
        zo_cell_checkpoint(r, true);
    }
    return r->stopped || r->limited;
}

/* 0 = go on, else why not: 's' the budget is used, 't' time ended before another budget did. */
static char budget_end(const zo_cell_run *r)
{
    const zo_cell *c = &r->cell;
    if ((c->steps > 0 && r->step >= c->steps) || (c->forwards > 0 && r->setup.counts.forwards >= (uint64_t)c->forwards) ||
        (c->work > 0 && zo_setup_work(&r->setup) >= c->work * (1 - 1e-9))) { /* a sum of quotients: 300 steps of 2 may be a hair less than 600 */
        return 's';
    }
    if (c->seconds > 0 && r->train_seconds >= c->seconds) {
        return c->steps > 0 || c->forwards > 0 || c->work > 0 ? 't' : 's';
    }
    return 0;
}

/* Is there an evaluation after this step? By tenths, of the budget that is nearest to its end: as many for a method of two forwards a
 * step as for one that reads the whole training set. */
static bool evaluation_due(zo_cell_run *r)
{
    const zo_cell *c = &r->cell;
    if (c->eval_every >= 0) {
        return c->eval_every > 0 && r->step % c->eval_every == 0;
    }
    int64_t tenths = c->forwards > 0 ? 10 * (int64_t)r->setup.counts.forwards / c->forwards : 0, by_steps = c->steps > 0 ? 10 * r->step / c->steps : 0,
            by_work = c->work > 0 ? (int64_t)(10 * zo_setup_work(&r->setup) / c->work) : 0;
    tenths = by_steps > tenths ? by_steps : tenths;
    tenths = by_work > tenths ? by_work : tenths;
    bool due = tenths > r->tenths;
    r->tenths = tenths;
    return due;
}

/* Has the run left, or does it stand still? ZO_EDIVERGED with a sentence. */
static zo_status check_fault(zo_cell_run *r, bool ended, zo_err *err)
{
    double done = zo_cell_fraction_done(r);
    double planned = ended ? (double)r->step : r->cell.steps > 0 ? (double)r->cell.steps : done > 0 ? (double)r->step / done : 0;
    int64_t since;
    r->fault = zo_watch_fault(&r->watch, planned, ended, &since);
    if (r->fault == ZO_FAULT_NONE) {
        return ZO_OK;
    }
    r->fault_step = since;
    return r->fault == ZO_FAULT_DIVERGED
               ? zo_fail(err, ZO_EDIVERGED, "the loss is above ten times its start since step %lld: the run has diverged; a smaller lr may help",
                         (long long)since)
               : zo_fail(err, ZO_EDIVERGED, "the projected gradient is exactly 0 since step %lld: both probes have one loss, and nothing moves; a smaller "
                         "lr or a larger eps may help", (long long)since);
}

/* Brings the weights to the base point within the step that has just been made: *seconds and its parts grow by that. */
static void settle_step(zo_cell_run *r, double *seconds)
{
    double part[ZO_PARTS], more;
    memcpy(part, r->setup.part, sizeof part);
    zo_setup_settle(&r->setup, &more);
    for (int k = 0; k < ZO_PARTS; k++) {
        r->setup.part[k] += part[k];
    }
    r->train_seconds += more;
    *seconds += more;
}

/* Steps until the budget is used; *ended says why it is, 0 where the cell ends before (r->stopped, r->limited). */
static zo_status train(zo_cell_run *r, char *ended, zo_err *err)
{
    while ((*ended = budget_end(r)) == 0) {
        zo_step_report report;
        double seconds;
        int64_t told = r->tape.n;
        zo_status status = zo_setup_step(&r->setup, r->step, &report, &seconds, err);
        r->train_seconds += seconds;
        r->tape.n = status == ZO_OK && !r->tape.torn ? r->tape.n : told; /* the journal is of whole steps, and ends where one did not fit */
        r->tape.room = r->tape.torn ? 0 : r->tape.room;
        if (status == ZO_EDIVERGED) {
            char text[sizeof err->text];
            snprintf(text, sizeof text, "%s", err->text);
            r->fault = ZO_FAULT_DIVERGED;
            r->fault_step = r->step + 1;
            return zo_fail(err, ZO_EDIVERGED, "step %lld: %.900s", (long long)r->step + 1, text);
        }
        if (status != ZO_OK) {
            r->step_failed = true;
            return status;
        }
        r->step++;
        bool due = evaluation_due(r);
        if (due || budget_end(r) != 0) { /* an evaluation comes, or the end: an update that was put off is this step's, and training's */
            settle_step(r, &seconds);
        }
        r->loss = report.loss;
        zo_cell_record_time(r, &report, seconds);
        zo_watch_step(&r->watch, r->step, report.projected);
        status = zo_cell_record_step(r, &report, seconds, err);
        status = status == ZO_OK ? check_fault(r, false, err) : status;
        if (status == ZO_OK && due && budget_end(r) == 0) {
            status = evaluate(r, false, err);
        }
        if (status != ZO_OK) {
            return status;
        }
        zo_cell_checkpoint(r, false);
        zo_cell_send_progress(r, false);
        if (budget_end(r) == 0 && ends_early(r)) {
            return ZO_OK;
        }
    }
    return ZO_OK;
}

/* In place of steps: the one thing that is done counts as one. No course of losses is judged, for there is none. */
static zo_status fit(zo_cell_run *r, zo_err *err)
{
    zo_step_report report;
    double seconds;
    zo_status status = zo_setup_fit(&r->setup, &report, &seconds, err);
    r->train_seconds += seconds;
    if (status == ZO_EDIVERGED) {
        r->fault = ZO_FAULT_DIVERGED;
        r->fault_step = 1;
    }
    if (status != ZO_OK) {
        return status;
    }
    r->step++;
    r->loss = report.loss;
    zo_cell_record_time(r, &report, seconds);
    return zo_cell_record_step(r, &report, seconds, err);
}

/* What an earlier run of these settings has left there (with other files behind them, or before --redo) is kept as HASH.1, HASH.2, ... */
static zo_status save_weights(zo_cell_run *r, zo_err *err)
{
    char kept[sizeof r->save + 16];
    int n = 0;
    if (zo_path_exists(r->save)) {
        do {
            snprintf(kept, sizeof kept, "%s.%d", r->save, ++n);
        } while (zo_path_exists(kept));
        if (rename(r->save, kept) != 0) {
            return zo_fail(err, ZO_EIO, "%s: weights of an earlier run cannot be moved to %s: %s", r->save, kept, strerror(errno));
        }
    }
    return zo_setup_save(&r->setup, r->save, err);
}

/* The row of a try that its limit ended, which is no result. It has no more rows than its checkpoint knows: steps that wait for theirs are in the checkpoint. */
static zo_status end_limited(zo_cell_run *r, zo_err *err)
{
    char text[200];
    r->gathered = 0;
    snprintf(text, sizeof text, "its limit of %.6g s ended it after step %lld; a larger one, or none, goes on%s", r->limit_seconds, (long long)r->step,
             zo_path_exists(r->checkpoint.path) ? " from its checkpoint" : ", and begins anew");
    return zo_cell_end(r, "killed", text, err);
}

zo_status zo_cell_loop(zo_cell_run *r, zo_err *err)
{
    bool trains = zo_estimator_trains(r->cell.estimator), steps = r->cell.estimator->step != NULL;
    zo_mem_phase(ZO_PHASE_TRAIN);
    r->tape = (zo_tape){.loss = r->tape_loss, .room = ZO_CELL_LOSSES};
    r->setup.tape = r->cell.estimator->first_order ? NULL : &r->tape; /* it cannot be replayed */
    r->watch.ties = r->cell.objective != ZO_AIM_LOSS;
    char ended = 's';
    bool goes_on = false;
    zo_status status = steps ? zo_cell_resume(r, &goes_on, err) : ZO_OK;
    status = status == ZO_OK && !goes_on ? evaluate(r, !trains, err) : status;
    if (status == ZO_OK && trains) {
        r->load_start = goes_on ? r->load_start : zo_load_read();
        r->checkpoint.written_at = zo_now();
        if (steps && saves(r)) { /* else there is nothing to wait for */
            zo_cell_can_stop();
        }
        status = steps ? train(r, &ended, err) : fit(r, err);
        r->load_end = zo_load_read();
        if (status == ZO_OK && r->stopped) {
            return ZO_OK;
        }
        if (status == ZO_OK && r->limited) {
            return end_limited(r, err);
        }
        if (status == ZO_OK) {
            status = evaluate(r, true, err);
        }
        if (status == ZO_OK) {
            zo_cell_close_row(r);
            status = steps ? check_fault(r, true, err) : ZO_OK;
        }
        if (status == ZO_OK) { /* looked at after the last step, outside its time and training's memory */
            zo_mem_phase(ZO_PHASE_EVAL);
            r->drift = zo_setup_drift(&r->setup);
            zo_cell_take_peaks(r); /* a row is the same with --save and without */
            status = r->save[0] != '\0' ? save_weights(r, err) : ZO_OK;
        }
    }
    if (status == ZO_EDIVERGED || status == ZO_EUNSUPPORTED) {
        char message[sizeof err->text];
        snprintf(message, sizeof message, "%s", err->text);
        return zo_cell_end(r, status == ZO_EUNSUPPORTED ? "unsupported" : r->fault == ZO_FAULT_DEAD ? "dead" : "diverged", message, err);
    }
    if (status != ZO_OK) {
        return status;
    }
    return zo_cell_end(r, ended == 't' ? "time" : "done", ended == 't' ? "the budget in seconds ended before the other one" : NULL, err);
}
