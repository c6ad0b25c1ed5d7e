/* mezo_svrg.h: what the files of MeZO-SVRG share: its options and state, its steps (mezo_svrg_steps.c) and the rule of its learning rates
 * (mezo_svrg_rule.c). The method stands at the top of mezo_svrg.c. */
#ifndef ZO_OPTIMIZERS_MEZO_SVRG_H
#define ZO_OPTIMIZERS_MEZO_SVRG_H

#include "optimizers/spsa.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SVRG_PAPER, SVRG_RELEASED, SVRG_REPLAY };
enum { SVRG_Z_SHARED, SVRG_Z_FRESH };
enum { SVRG_RULE_MODE, SVRG_RULE_PAPER, SVRG_RULE_RELEASED, SVRG_RULE_OFF };

typedef struct svrg {
    int mode, z, rule, draw;
    int64_t q, window;
    double eta2, anneal, kappa;
    /* run */
    zo_set anchor, gradient;    /* stored, where the mode does */
    double lr_full, lr_mini;    /* eta1 and eta2 now; lr_full is set at the first step */
    double at_full, at_mini;    /* the same at this step, as the run's schedule has them */
    zo_term full;               /* g = coef * direction */
    int nmoved;
    int64_t nloss, ring;
    zo_term *moved;             /* (nmoved) increments since the anchor, one term a direction: anchor = weights - moved */
    double *loss;               /* (ring) of the last 3 windows */
} svrg;

/* Terms that replay keeps: that of the full gradient, and two of each mini-batch step. */
static inline int64_t svrg_most_moved(const svrg *s)
{
    return 1 + 2 * (s->q - 1);
}

/* One step of either kind, its probes in probe[0], and in probe[1] that at the anchor. */
zo_status svrg_full_step(svrg *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err);
zo_status svrg_mini_step(svrg *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err);

/* Before a step: sets its learning rates at_full and at_mini, which Algorithm 4 may have divided; at the first step makes room for the losses. */
void svrg_anneal(svrg *s, const zo_step_context *c);

#ifdef __cplusplus
}
#endif
#endif
