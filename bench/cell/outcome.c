/* outcome.c: see outcome.h. */
#include "bench/cell/outcome.h"

#include <math.h>

#include "core/mem.h"

#define FAR 10.0
#define LEAST_START 0.1

void zo_watch_loss(zo_watch *w, int64_t step, double loss)
{
    if (w->rows++ == 0) {
        w->start = fmax(loss, LEAST_START);
        return;
    }
    if (loss > FAR * w->start) {
        w->far_since = w->far++ == 0 ? step : w->far_since;
    } else {
        w->far = 0;
    }
}

void zo_watch_dev(zo_watch *w, int64_t step, double loss)
{
    if (w->dev_start == 0) {
        w->dev_start = fmax(loss, LEAST_START);
    } else if (loss > FAR * w->dev_start) {
        w->dev_far_since = w->dev_far++ == 0 ? step : w->dev_far_since;
    } else {
        w->dev_far = 0;
    }
}

void zo_watch_step(zo_watch *w, int64_t step, double projected)
{
    if (projected == 0) {
        w->still_since = w->still++ == 0 ? step : w->still_since;
    } else {
        w->still = 0;
    }
}

zo_fault zo_watch_fault(const zo_watch *w, double planned, bool ended, int64_t *since)
{
    if (w->far >= 20 || (ended && w->far >= 3)) {
        *since = w->far_since;
        return ZO_FAULT_DIVERGED;
    }
    if (w->dev_far >= 2 || (ended && w->dev_far > 0)) {
        *since = w->dev_far_since;
        return ZO_FAULT_DIVERGED;
    }
    double most = fmax(50, ceil(0.05 * planned));
    if ((!w->ties && (double)w->still >= most) || (ended && w->still >= 5 && 2 * (double)w->still >= planned)) {
        *since = w->still_since;
        return ZO_FAULT_DEAD;
    }
    return ZO_FAULT_NONE;
}

zo_selection zo_selection_without_dev(zo_selection selection)
{
    return selection == ZO_SELECT_DEV_METRIC || selection == ZO_SELECT_DEV_LOSS ? ZO_SELECT_LAST : selection;
}

double zo_selection_score(zo_selection selection, zo_metric metric, const zo_candidate *c)
{
    switch (selection) {
    case ZO_SELECT_DEV_METRIC:
        return c->dev.examples > 0 ? c->dev.metric[metric] : NAN;
    case ZO_SELECT_DEV_LOSS:
        return c->dev.examples > 0 ? -c->dev.loss : NAN;
    case ZO_SELECT_BEST_TEST:
        return c->test.examples > 0 ? c->test.metric[metric] : NAN;
    case ZO_SELECT_LAST:
        break;
    }
    return c->test.examples > 0 || c->dev.examples > 0 ? (double)c->step : NAN;
}

int64_t zo_select_candidate(zo_selection selection, zo_metric metric, const zo_candidate *candidate, int64_t n, int64_t from, int64_t before)
{
    int64_t best = -1;
    for (int64_t i = 0; i < n; i++) {
        double score = candidate[i].step >= from && candidate[i].step < before ? zo_selection_score(selection, metric, &candidate[i]) : NAN;
        if (!isnan(score) && (best < 0 || score > zo_selection_score(selection, metric, &candidate[best]))) {
            best = i;
        }
    }
    return best;
}

const char *zo_selected_name(zo_selection selection, const zo_candidate *c)
{
    bool test = c->test.examples > 0;
    switch (selection) {
    case ZO_SELECT_DEV_METRIC:
        return test ? "test@best-dev" : "best-dev";
    case ZO_SELECT_DEV_LOSS:
        return test ? "test@best-dev-loss" : "best-dev-loss";
    case ZO_SELECT_BEST_TEST:
        return "best-test";
    case ZO_SELECT_LAST:
        break;
    }
    return test ? "last-test" : "last-dev";
}
