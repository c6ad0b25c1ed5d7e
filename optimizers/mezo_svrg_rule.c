/* mezo_svrg_rule.c: the learning rates of MeZO-SVRG (arXiv 2404.08080, Algorithm 4); see mezo_svrg.h. */
#include "optimizers/mezo_svrg.h"

#include <math.h>

#include "core/mem.h"

/* Mean of the `window` losses that ended `ago` windows ago. */
static double mean_loss(const svrg *s, int ago)
{
    double sum = 0.0;
    for (int64_t i = 0; i < s->window; i++) {
        sum += s->loss[(s->nloss - 1 - ago * s->window - i) % s->ring];
    }
    return sum / (double)s->window;
}

/* Algorithm 4, before the step: compare the mean loss of the last window with that of an earlier one. The released code waits for
 * four windows, looks two windows back, and its floors can raise a small learning rate. */
static void compare(svrg *s, int64_t step)
{
    bool released = s->rule == SVRG_RULE_RELEASED;
    bool ready = released ? s->nloss > 4 * s->window : s->nloss >= 2 * s->window;
    if (s->rule == SVRG_RULE_OFF || step % s->window != 0 || !ready) {
        return;
    }
    if (mean_loss(s, 0) / mean_loss(s, released ? 2 : 1) > s->kappa) {
        s->lr_full = fmax(s->lr_full / s->anneal, released ? 1e-5 : 0.0);
        s->lr_mini = fmax(s->lr_mini / s->anneal, released ? 1e-6 : 0.0);
    }
}

void svrg_anneal(svrg *s, const zo_step_context *c)
{
    if (s->lr_full < 0.0) { /* the first step */
        s->lr_full = c->scheduled ? c->run_lr : c->lr;
        s->window = s->window > 0 ? s->window : c->batches_per_epoch > 0 ? c->batches_per_epoch : 1;
        s->ring = 3 * s->window;
        s->loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->ring * sizeof *s->loss);
    }
    compare(s, c->step);
    s->at_full = zo_scheduled(c, s->lr_full);
    s->at_mini = zo_scheduled(c, s->lr_mini);
}
