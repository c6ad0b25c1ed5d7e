/* end.c: the row that a try ends with; see run.h. */
#include "bench/cell/run.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"

static void add_note(char *note, size_t size, const char *text)
{
    size_t at = strlen(note);
    if (text != NULL && text[0] != '\0') {
        snprintf(note + at, size - at, "%s%s", at > 0 ? "; " : "", text);
    }
}

static const char *decoder_text(zo_decoder decoder)
{
    return decoder == ZO_DECODER_TIED ? "tied" : decoder == ZO_DECODER_UNTIED ? "untied" : NULL;
}

/* The evaluation that the run is reported by; chance where a fault has left none. Not `counts`: a run that was cut off is reported by none. */
static void take_headline(zo_cell_run *r, zo_run_end *end, bool counts)
{
    const zo_cell *c = &r->cell;
    zo_metric metric = (zo_metric)(c->metric - 1);
    zo_dataset *dataset = r->setup.dataset;
    double value[ZO_METRICS];
    for (int m = 0; m < ZO_METRICS; m++) {
        value[m] = NAN;
    }
    end->best_step = -1;
    end->dev_accuracy = end->dev_metric = end->dev_loss = NAN;
    bool has_test = dataset != NULL && zo_dataset_size(dataset, ZO_TEST) > 0;
    int64_t before = !counts ? 0 : r->fault_step >= 0 ? r->fault_step : INT64_MAX;
    int64_t best = zo_select_candidate((zo_selection)c->selection, metric, r->candidate, r->candidates, zo_estimator_trains(c->estimator), before);
    const zo_candidate *chosen = best >= 0 && (!has_test || r->candidate[best].test.examples > 0) ? &r->candidate[best] : NULL;
    if (chosen != NULL) {
        const zo_evaluation *e = chosen->test.examples > 0 ? &chosen->test : &chosen->dev;
        memcpy(value, e->metric, sizeof value);
        end->selected = zo_selected_name((zo_selection)c->selection, chosen);
        end->best_step = chosen->step;
        r->is_constant = e->constant;
        if (chosen->dev.examples > 0) {
            end->dev_accuracy = chosen->dev.metric[ZO_ACCURACY];
            end->dev_metric = chosen->dev.metric[metric];
            end->dev_loss = chosen->dev.loss;
        }
    } else if (r->fault != ZO_FAULT_NONE && dataset != NULL && (has_test || zo_dataset_size(dataset, ZO_DEV) > 0)) {
        zo_split split = has_test ? ZO_TEST : ZO_DEV;
        zo_dataset_fetch(dataset, split);
        zo_dataset_chance(dataset, split, value);
        end->selected = "chance";
    }
    end->accuracy = value[ZO_ACCURACY];
    end->f1 = value[ZO_F1];
    end->macro_f1 = value[ZO_MACRO_F1];
    end->matthews = value[ZO_MATTHEWS];
    end->exact_match = value[ZO_EXACT_MATCH];
    end->token_f1 = value[ZO_TOKEN_F1];
    end->pearson = value[ZO_PEARSON];
    end->spearman = value[ZO_SPEARMAN];
    end->metric_value = value[metric];
}

static const char *list_marks(const zo_cell_run *r, char *out, size_t size)
{
    static const char *const name[] = {"", "diverged", "dead"};
    if (r->limited) {
        return ZO_MARK_LIMITED;
    }
    snprintf(out, size, "%s%s%s", name[r->fault], r->fault != ZO_FAULT_NONE && r->is_constant ? "," : "", r->is_constant ? "constant" : "");
    return out;
}

void zo_cell_take_peaks(zo_cell_run *r)
{
    if (!r->peaks.taken) {
        for (int phase = 0; phase < ZO_PHASES; phase++) {
            r->peaks.of[phase] = zo_mem_peak(r->space, (zo_phase)phase);
        }
        r->peaks.of[ZO_PHASES] = zo_mem_peak_overall(r->space);
        r->peaks.rss = zo_rss_peak_bytes();
        r->peaks.rss = r->peaks.rss > r->rss_before ? r->peaks.rss : r->rss_before;
        r->peaks.taken = true;
    }
}

/* What choosing at random gives on dev: plots have a line there. Of a run that has been evaluated; peaks are taken already. */
static zo_status write_chance(zo_cell_run *r, zo_err *err)
{
    double value[ZO_METRICS];
    zo_metric metric = (zo_metric)(r->cell.metric - 1);
    if (r->candidates == 0 || r->setup.dataset == NULL || zo_dataset_size(r->setup.dataset, ZO_DEV) == 0) {
        return ZO_OK;
    }
    zo_dataset_fetch(r->setup.dataset, ZO_DEV);
    zo_dataset_chance(r->setup.dataset, ZO_DEV, value);
    return isfinite(value[metric]) ? zo_results_predict(r->results, r->id, "dev_chance", value[metric], err) : ZO_OK;
}

zo_status zo_cell_end(zo_cell_run *r, const char *status_text, const char *message, zo_err *err)
{
    zo_status status = ZO_OK;
    zo_cell_take_peaks(r);
    zo_cell_close_row(r);
    status = zo_cell_write_rows(r, err);
    bool measured = r->cell.estimator->unmeasured == NULL;
    for (int phase = 0; phase <= ZO_PHASES && status == ZO_OK && measured; phase++) {
        if (r->peaks.of[phase].total_bytes > 0) {
            status = zo_results_memory(r->results, r->id, (zo_phase)phase, &r->peaks.of[phase], err);
        }
    }
    status = status == ZO_OK ? write_chance(r, err) : status;
    if (status != ZO_OK) {
        return status;
    }
    zo_setup *s = &r->setup;
    bool is_open = s->model != NULL && s->dataset != NULL;
    char note[2400] = "", marks[64];
    zo_run_end end = {.status = status_text,
                      .message = message,
                      .fault_step = r->fault_step,
                      .steps = r->step,
                      .forwards = s->counts.forwards,
                      .sequences = s->counts.sequences,
                      .tokens = s->counts.tokens,
                      .paper_tokens = s->counts.paper_tokens,
                      .examples = s->counts.examples,
                      .flops = s->engine != NULL && is_open ? zo_setup_flops(s) : NAN,
                      .work = s->engine != NULL && is_open ? zo_setup_work(s) : NAN,
                      .paper_queries = r->paper_queries,
                      .drift_max = r->drift,
                      .weight_bytes_written = s->counters.weight_bytes_written,
                      .normals = s->counters.normals,
                      .train_seconds = r->train_seconds,
                      .eval_seconds = r->eval_seconds,
                      .load_seconds = r->load_seconds,
                      .resumed = r->checkpoint.resumed,
                      .checkpoint_ms = 1e3 * r->checkpoint.seconds,
                      .cpu_seconds = NAN,
                      .foreign_seconds = NAN,
                      .steal_seconds = NAN,
                      .load_average = zo_load_average(),
                      .switches = -1,
                      .peak_bytes = r->peaks.of[ZO_PHASES].total_bytes,
                      .train_peak_bytes = r->peaks.of[ZO_PHASE_TRAIN].total_bytes,
                      .rss_peak_bytes = r->peaks.rss,
                      .context = s->context > 0 ? s->context : -1,
                      .train_rows = is_open ? zo_dataset_size(s->dataset, ZO_TRAIN) : -1,
                      .dev_rows = is_open ? zo_dataset_size(s->dataset, ZO_DEV) : -1,
                      .test_rows = is_open ? zo_dataset_size(s->dataset, ZO_TEST) : -1,
                      .cut_sequences = is_open ? zo_dataset_truncated(s->dataset) : -1,
                      .decoder_used = s->model != NULL ? decoder_text(zo_model_decoder(s->model)) : NULL,
                      .parameters = s->model != NULL ? 0 : -1,
                      .trained_parameters = s->model != NULL && zo_estimator_trains(r->cell.estimator) ? 0 : -1,
                      .promise = r->space == ZO_HOST && r->cell.precision == ZO_F32 ? "bits" : "pass"};
    zo_cell_take_times(r, &end);
    take_headline(r, &end, strcmp(status_text, "oom") != 0 && !r->limited);
    end.marks = list_marks(r, marks, sizeof marks);
    if (r->load_end.wall_seconds > r->load_start.wall_seconds) {
        zo_disturbance d = zo_load_between(&r->load_start, &r->load_end, r->threads);
        end.cpu_seconds = d.cpu_seconds;
        end.foreign_seconds = d.foreign_seconds;
        end.steal_seconds = d.steal_seconds;
        end.switches = d.switches;
        end.disturbed = d.disturbed;
    }
    if (s->model != NULL) {
        const zo_layout *layout = zo_model_layout(s->model);
        for (int i = 0; i < layout->n; i++) {
            int64_t n = layout->param[i].rows * layout->param[i].cols;
            end.parameters += n;
            end.trained_parameters += end.trained_parameters >= 0 && !layout->param[i].frozen ? n : 0;
        }
        if (r->cell.estimator->fit != NULL && is_open) { /* what is fitted is the last product alone, whatever the view trains */
            end.trained_parameters = s->feature_classes * (int64_t)(zo_model_feature_width(s->model) + zo_model_head_bias(s->model));
        }
        add_note(note, sizeof note, zo_model_note(s->model));
        add_note(note, sizeof note, zo_setup_note(s));
    }
    if (is_open && zo_estimator_trains(r->cell.estimator) && r->cell.batch > end.train_rows) {
        char all[100];
        snprintf(all, sizeof all, "a batch holds all %lld training rows, not %lld", (long long)end.train_rows, (long long)r->cell.batch);
        add_note(note, sizeof note, all);
    }
    if (s->dataset != NULL) {
        char cut[100] = "";
        add_note(note, sizeof note, zo_dataset_note(s->dataset));
        if (zo_dataset_truncated(s->dataset) > 0) {
            snprintf(cut, sizeof cut, "%lld sequences were cut to %lld tokens", (long long)zo_dataset_truncated(s->dataset), (long long)s->context);
        }
        add_note(note, sizeof note, cut);
    }
    if (s->be != NULL && s->be->choices.timed > 0) {
        char timed[120];
        snprintf(timed, sizeof timed, "%llu shapes of products were timed, and for %llu another algorithm than the first is used",
                 (unsigned long long)s->be->choices.timed, (unsigned long long)s->be->choices.others);
        add_note(note, sizeof note, timed);
    }
    memcpy(end.part, r->part, sizeof end.part);
    if (!measured) {
        char why[300];
        snprintf(why, sizeof why, "time and memory are not measured: %.250s", r->cell.estimator->unmeasured);
        add_note(note, sizeof note, why);
        end.train_seconds = r->limited ? r->train_seconds : NAN; /* what the next limit is compared with */
        end.step_ms = end.step_ms_median = end.step_ms_q1 = end.step_ms_q3 = end.full_step_ms = end.other_step_ms = end.cpu_seconds = NAN;
        end.peak_bytes = end.train_peak_bytes = end.rss_peak_bytes = 0;
    }
    end.note = note[0] ? note : NULL;
    const char *phase = r->phase;
    zo_cell_phase(r, "write");
    status = zo_results_end(r->results, r->id, &end, err);
    zo_cell_phase(r, phase);
    if (status == ZO_OK && !r->limited) {
        zo_cell_drop_checkpoint(r);
    }
    return status;
}
