/* step.c: the steps of a cell that is open, and what is known after them: see setup.h. */
#include <math.h>
#include <stdlib.h>

#include "bench/cell/objective.h"
#include "bench/cell/probe.h"
#include "core/clock.h"

void zo_setup_reason(const zo_estimator *e, const char *slot, zo_status status, zo_err *err)
{
    if (status != ZO_OK && err->text[0] == '\0') {
        zo_fail(err, status, "%s failed in its %s with status %d and gave no reason; its file must say why, by zo_fail", e->name, slot, (int)status);
    }
}

static void start_parts(void)
{
    zo_part_reset();
    zo_counters_reset();
}

static void take_parts(zo_setup *s)
{
    zo_part_read(s->part);
    zo_counters counters;
    zo_counters_read(&counters);
    s->counters.normals += counters.normals;
    s->counters.weight_bytes_written += counters.weight_bytes_written;
    s->counters.linear_flops += counters.linear_flops;
}

int64_t zo_setup_batches(const zo_setup *s)
{
    return s->batch_size > 0 ? (s->train_size + s->batch_size - 1) / s->batch_size : 0;
}

zo_status zo_setup_step(zo_setup *s, int64_t step, zo_step_report *report, double *seconds, zo_err *err)
{
    const zo_cell *c = s->cell;
    start_parts();
    double start = zo_now();
    s->first = step + (int64_t)s->counts.more_batches;
    s->drawn = 0;
    zo_setup_pack(s, 0);
    zo_step_context context = {.step = step,
                               .steps = c->steps,
                               .batches_per_epoch = zo_setup_batches(s),
                               .examples = s->batch->examples,
                               .train_examples = s->train_size,
                               .lr = c->lr * zo_cell_schedule(c, step),
                               .eps = c->eps,
                               .scheduled = true,
                               .run_lr = c->lr,
                               .share = zo_cell_schedule(c, step)};
    *report = (zo_step_report){.loss = NAN, .projected = NAN, .lr = context.lr, .paper_queries = NAN};
    *err = (zo_err){.status = ZO_OK};
    zo_status status = c->estimator->step(s->state, zo_engine_objective(s->engine), &context, report, err);
    zo_setup_reason(c->estimator, "step", status, err);
    s->be->wait(s->be);
    *seconds = zo_now() - start;
    zo_batch_free(s->batch);
    s->batch = NULL;
    s->counts.more_batches += (uint64_t)((s->drawn - 1) / s->pools);
    take_parts(s);
    return status;
}

zo_status zo_setup_fit(zo_setup *s, zo_step_report *report, double *seconds, zo_err *err)
{
    const zo_estimator *e = s->cell->estimator;
    start_parts();
    double start = zo_now();
    *report = (zo_step_report){.loss = NAN, .projected = NAN, .lr = NAN, .full_batch = true, .paper_queries = NAN};
    *err = (zo_err){.status = ZO_OK};
    zo_status status = e->fit(s->state, zo_engine_objective(s->engine), report, err);
    zo_setup_reason(e, "fit", status, err);
    s->be->wait(s->be);
    *seconds = zo_now() - start;
    take_parts(s);
    return status;
}

double zo_setup_flops(const zo_setup *s)
{
    if (s->engine == NULL) {
        return 0;
    }
    const zo_arch *arch = zo_model_arch(s->model);
    const zo_pass_terms *t = &s->terms;
    const zo_pass_sums *gradient = &s->counts.gradient;
    double again = zo_engine_objective(s->engine)->checkpoint ? zo_products_flops(gradient, &t->again, arch) : 0;
    return zo_products_flops(&s->counts.forward, &t->forward, arch) + zo_products_flops(gradient, &t->forward, arch) +
           zo_products_flops(gradient, &t->backward, arch) + again;
}

double zo_setup_work(const zo_setup *s)
{
    const zo_pass_sums *b = &s->counts.batches;
    if (s->unit > 0) {
        return zo_setup_flops(s) / s->unit;
    }
    return b->passes > 0 ? zo_setup_flops(s) / (zo_products_flops(b, &s->terms.forward, zo_model_arch(s->model)) / b->passes) : 0;
}

const char *zo_setup_note(const zo_setup *s)
{
    return s->note[0] != '\0' ? s->note : NULL;
}

double zo_setup_drift(zo_setup *s)
{
    zo_term term[ZO_PROBE_TERMS];
    int n = s->engine != NULL ? zo_engine_last_probe(s->engine, term) : 0;
    if (n > 0) {
        zo_engine_settle(s->engine);
        s->drift = fmax(s->drift, zo_probe_drift(s->be, zo_model_store(s->model), zo_engine_factors(s->engine), term, n));
    }
    return s->drift;
}

void zo_setup_settle(zo_setup *s, double *seconds)
{
    start_parts();
    double start = zo_now();
    zo_engine_settle(s->engine);
    s->be->wait(s->be);
    *seconds = zo_now() - start;
    take_parts(s);
}

zo_status zo_setup_save(zo_setup *s, const char *folder, zo_err *err)
{
    const zo_view *view = zo_engine_settle(s->engine);
    if (view->ndirs == 0 && view->side == NULL && view->rest == NULL) {
        return zo_model_save(s->model, folder, err);
    }
    zo_store *sum = zo_engine_sum(s->engine);
    zo_status status = zo_model_save_as(s->model, sum, folder, err);
    zo_store_free(s->be, sum);
    return status;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double zo_median(double *value, int64_t n)
{
    if (n == 0) {
        return NAN;
    }
    qsort(value, (size_t)n, sizeof *value, by_value);
    return n % 2 == 1 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}
