/* linear_probe.c: a linear probe (head_fit.h) alone: one pass over the training set, and nothing but the head's last product changes. There are no steps,
 * no learning rate and no budget. */
#include <math.h>

#include "optimizers/head_fit.h"

static const zo_opt options[] = {ZO_HEAD_FIT_OPTIONS, {.key = NULL}};

static const zo_variant variants[] = {
    {"two_classes", "whole", "of two classes the head gets all of the coefficients, and its loss is that of the regression"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"two_classes", "whole", ZO_SOURCE_NONE}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    zo_head_fit_needs(options_read, extent, n);
}

static zo_status fit(void *self, zo_objective *o, zo_step_report *r, zo_err *err)
{
    return zo_head_fit_run(self, o, &r->loss, err);
}

const zo_estimator zo_estimator_linear_probe = {
    .name = "linear-probe",
    .title = "Linear probe",
    .paper = "Malladi et al., arXiv 2305.17333",
    .source = ZO_SOURCE_RELEASED,
    .sources = sources,
    .variants = variants,
    .loss_is = "the mean log loss over the training set of the head that was fitted",
    .losses_at = "the head's features at w, once; sets the head",
    .options = options,
    .state_bytes = sizeof(zo_head_fit),
    .needs = needs,
    .fit = fit,
};
