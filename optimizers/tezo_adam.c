/* tezo_adam.c: TeZO-Adam (Sun et al., arXiv 2501.19057): Adam whose two moments are numbers of low rank; the factors are those of cp.h:
 *
 *     M <- beta1 M + (1 - beta1) kappa tau,   N <- beta2 N + (1 - beta2) kappa^2 tau^2
 *     w <- w - lr M' / (sqrt(N') + adam_eps)   elementwise,
 *     M' = scale U diag(M) V^T,  N' = scale^2 (U.U) diag(N) (V.V)^T   (separable second moment, Eq. 8)
 *
 * What is not factored has no moments, which would be copies of the weights: it moves by -rest_lr kappa z with kappa divided by
 * sqrt(EMA kappa^2) + adam_eps, the same second moment with E z^2 = 1. */
#include <math.h>

#include "optimizers/cp.h"

typedef struct state {
    zo_cp cp;
    double beta1, beta2, adam_eps;
    bool bias_correction, rest_normalised;
    double kappa2;                      /* EMA of kappa^2 */
    float *tau, *m, *v, *m_hat, *v_hat; /* (ncoef) */
} state;

static const zo_opt options[] = {
    ZO_CP_OPTIONS,
    ZO_CP_BETA1(state),
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = 0.999, .least = 0.0, .most = 0.9999999,
     .help = "decay of the second moment"},
    {.key = "adam_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, adam_eps), .initial = 1e-8, .least = 1e-20, .most = 1.0,
     .help = "added to the square root of the second moment"},
    {.key = "bias_correction", .type = ZO_OPT_BOOL, .offset = offsetof(state, bias_correction), .initial = 1,
     .help = "divide the moments by 1 - beta^t, as Adam does (the paper is silent)"},
    {.key = "rest_normalised", .type = ZO_OPT_BOOL, .offset = offsetof(state, rest_normalised), .initial = 1,
     .help = "divide kappa by sqrt(EMA kappa^2) for what is not factored too (the paper is silent)"},
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    zo_cp_needs(options_read, 5, n); /* tau, m, v, m_hat, v_hat */
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = zo_cp_start(&s->cp, o, err);
    if (status == ZO_OK) {
        s->tau = o->open_numbers(o, "tau");
        s->m = o->open_numbers(o, "m");
        s->v = o->open_numbers(o, "v");
        s->m_hat = o->open_numbers(o, "corrected m");
        s->v_hat = o->open_numbers(o, "corrected v");
    }
    return status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe p;
    zo_status status = zo_cp_probe(&s->cp, o, c, &p, r, err);
    if (status != ZO_OK) {
        return status;
    }
    double kappa = p.projected, t = (double)c->step + 1.0;
    double correct1 = s->bias_correction ? 1.0 - pow(s->beta1, t) : 1.0, correct2 = s->bias_correction ? 1.0 - pow(s->beta2, t) : 1.0;
    o->numbers_of(o, &p.dir[0], s->tau);
    zo_cp_average(s->m, s->beta1, s->tau, kappa, false, o->ncoef);
    zo_cp_average(s->v, s->beta2, s->tau, kappa, true, o->ncoef);
    s->kappa2 = s->beta2 * s->kappa2 + (1.0 - s->beta2) * kappa * kappa;
    for (int64_t i = 0; i < o->ncoef; i++) {
        s->m_hat[i] = (float)(s->m[i] / correct1);
        s->v_hat[i] = (float)(s->v[i] / correct2);
    }
    zo_rule_args args = {.lr = (float)c->lr, .eps = (float)s->adam_eps, .correct1 = 1.0f, .correct2 = 1.0f};
    zo_operands moments = {.m_numbers = s->m_hat, .v_numbers = s->v_hat};
    status = o->rule(o, ZO_RULE_QUOTIENT, &args, &moments, err);
    double kappa_rest = s->rest_normalised ? kappa / (sqrt(s->kappa2 / correct2) + s->adam_eps) : kappa;
    return status == ZO_OK ? zo_cp_update(&s->cp, o, c, &p, NULL, 0.0, kappa_rest, err) : status;
}

const zo_estimator zo_estimator_tezo_adam = {
    ZO_CP_ESTIMATOR,
    .name = "tezo-adam",
    .title = "TeZO-Adam",
    .losses_at = "w +- eps Z, Z low-rank with fixed factors; one dense Adam sweep from 2r numbers a matrix",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, tau),
    .lr = 1e-5,
    .needs = needs,
    .start = start,
    .step = step,
};
