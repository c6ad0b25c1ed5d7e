/* tezo.c: TeZO, TeZO-m and TeZO-Adam (Sun et al., arXiv 2501.19057). Of the paper's body only secondary sources could be read, so
 * every choice on which they are silent is an option whose value is recorded.
 *
 *     Z_t = scale U diag(tau_t) V^T on every factored matrix, U and V drawn once, tau_t ~ N(0, I_r) drawn at each step
 *     kappa = (L(w + eps Z) - L(w - eps Z)) / (2 eps)
 *     tezo        w -= lr kappa Z
 *     tezo-m      M <- beta1 M + (1 - beta1) kappa tau;                       w -= lr scale U diag(M) V^T
 *     tezo-adam   also N <- beta2 N + (1 - beta2) kappa^2 tau^2;              w -= lr M' / (sqrt(N') + adam_eps)   elementwise,
 *                 M' = scale U diag(M) V^T,  N' = scale^2 (U.U) diag(N) (V.V)^T  (separable second moment, Eq. 8)
 *
 * What is not factored (biases, norms, tables if so wished) gets a full Gaussian z in the same probe and w -= rest_lr kappa z; with
 * TeZO-Adam kappa is divided by sqrt(EMA kappa^2) + adam_eps, the same second moment with E z^2 = 1. It has no weight decay.
 *
 * Decided here, without an option: the rest has no momentum, with tezo-m and tezo-adam neither (a dense direction's momentum is a copy
 * of the weights, which the method is there to spare), so it moves by the step's own kappa z while the factors move by their average;
 * the probe of factors and rest is one, with one kappa. */
#include <math.h>
#include <stddef.h>

#include "optimizers/spsa.h"

enum { SCALE_NONE, SCALE_SQRT, SCALE_RANK };
enum { REST_TRAIN, REST_FREEZE };

typedef struct state {
    int64_t rank, rank_max;
    double threshold;
    int scale, embeddings, rest;
    double rest_lr;
    double beta1, beta2, adam_eps;
    bool bias_correction, rest_normalised;
    /* run; (ncoef) each, the last three of TeZO-Adam alone */
    float *tau, *m, *v, *m_hat, *v_hat;
    double kappa2; /* EMA of kappa^2 */
} state;

#define TEZO_OPTIONS                                                                                                                  \
    {.key = "rank", .type = ZO_OPT_INT, .offset = offsetof(state, rank), .initial = 8, .least = 0, .most = 4096,                      \
     .help = "CP rank of every matrix (at most its shorter side); 0 = the rank rule"},                                                \
    {.key = "rank_max", .type = ZO_OPT_INT, .offset = offsetof(state, rank_max), .initial = 64, .least = 1, .most = 4096,             \
     .help = "r_max of the rank rule (value not known from the paper)"},                                                              \
    {.key = "threshold", .type = ZO_OPT_REAL, .offset = offsetof(state, threshold), .initial = 0.25, .least = 0.0, .most = 1.0,       \
     .help = "r_th of the rank rule: singular values >= r_th * the largest are counted, the least count of a block holds (recalled)"},\
    {.key = "scale", .type = ZO_OPT_CHOICE, .offset = offsetof(state, scale), .initial = SCALE_SQRT, .choices = "none|sqrt|rank",     \
     .help = "scale of Z: 1, 1/sqrt(r) (unit variance an entry, so lr and eps compare with MeZO's) or 1/r"},                          \
    {.key = "embeddings", .type = ZO_OPT_CHOICE, .offset = offsetof(state, embeddings), .initial = ZO_TABLES_FACTOR,                  \
     .choices = "factor|rest|freeze", .help = "embedding tables: CP factors, a full Gaussian, or not trained (the paper is silent)"}, \
    {.key = "rest", .type = ZO_OPT_CHOICE, .offset = offsetof(state, rest), .initial = REST_TRAIN, .choices = "train|freeze",         \
     .help = "what is not factored: trained with a full Gaussian, or frozen (the paper is silent)"},                                  \
    {.key = "rest_lr", .type = ZO_OPT_REAL, .offset = offsetof(state, rest_lr), .initial = 0.0, .least = 0.0, .most = 1e3,            \
     .help = "learning rate of what is not factored; 0 = lr"}
#define TEZO_BETA1                                                                                                                    \
    {.key = "beta1", .type = ZO_OPT_REAL, .offset = offsetof(state, beta1), .initial = 0.9, .least = 0.0, .most = 0.9999999,          \
     .help = "decay of the first moment"}

static const zo_opt options[] = {TEZO_OPTIONS, {.key = NULL}};
static const zo_opt options_m[] = {TEZO_OPTIONS, TEZO_BETA1, {.key = NULL}};
static const zo_opt options_adam[] = {
    TEZO_OPTIONS,
    TEZO_BETA1,
    {.key = "beta2", .type = ZO_OPT_REAL, .offset = offsetof(state, beta2), .initial = 0.999, .least = 0.0, .most = 0.9999999,
     .help = "decay of the second moment"},
    {.key = "adam_eps", .type = ZO_OPT_REAL, .offset = offsetof(state, adam_eps), .initial = 1e-8, .least = 1e-20, .most = 1.0,
     .help = "added to the square root of the second moment"},
    {.key = "bias_correction", .type = ZO_OPT_BOOL, .offset = offsetof(state, bias_correction), .initial = 1,
     .help = "divide the moments by 1 - beta^t, as Adam does (the paper is silent)"},
    {.key = "rest_normalised", .type = ZO_OPT_BOOL, .offset = offsetof(state, rest_normalised), .initial = 1,
     .help = "divide kappa by sqrt(EMA kappa^2) for what is not factored too (the paper is silent)"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"rank", "0", "the rank rule: each block has the least count of large singular values of its matrices, at most rank_max"},
    {"embeddings", "rest", "embedding tables are probed with a full Gaussian and have no factors"},
    {"embeddings", "freeze", "embedding tables are not trained"},
    {"rest", "freeze", "biases, norms and all else without factors are not trained"},
    {.key = NULL}};

static zo_factor_spec factors_of(const state *s)
{
    static const double power[] = {[SCALE_NONE] = 0.0, [SCALE_SQRT] = -0.5, [SCALE_RANK] = -1.0};
    return (zo_factor_spec){.rank = (int)s->rank,
                            .rank_max = (int)s->rank_max,
                            .threshold = s->threshold,
                            .scale_power = power[s->scale],
                            .tables = (zo_tables)s->embeddings};
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_spsa_needs(n, 1, s->rest == REST_TRAIN ? 2 : 1, 0);
    n->updates = 2;
    n->factored = true;
    n->factors = factors_of(s);
}

static void needs_m(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    needs(options_read, extent, n);
    n->coefs = 2; /* tau, m */
}

static void needs_adam(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    needs(options_read, extent, n);
    n->coefs = 5; /* tau, m, v, m_hat, v_hat */
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    const state *s = self;
    zo_factor_spec spec = factors_of(self);
    zo_status status = o->open_factors(o, &spec, err);
    if (status == ZO_OK && o->ncoef == 0 && s->rest == REST_FREEZE) {
        return zo_fail(err, ZO_EUNSUPPORTED, "with \"rest\": \"freeze\" the factored matrices alone are trained, and \"tune\" trains none of them: use "
                       "\"rest\": \"train\" or another \"tune\"");
    }
    return status;
}

static zo_status start_m(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = start(self, o, err);
    if (status == ZO_OK) {
        s->tau = o->open_numbers(o, "tau");
        s->m = o->open_numbers(o, "m");
    }
    return status;
}

static zo_status start_adam(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_status status = start_m(self, o, err);
    if (status == ZO_OK) {
        s->v = o->open_numbers(o, "v");
        s->m_hat = o->open_numbers(o, "corrected m");
        s->v_hat = o->open_numbers(o, "corrected v");
    }
    return status;
}

/* The probe: CP directions on factored matrices and, unless frozen, a Gaussian on the rest. */
static zo_status probe(const state *s, zo_objective *o, const zo_step_context *c, zo_probe *p, zo_step_report *r, zo_err *err)
{
    zo_dir cp = zo_gauss(o, c->step, 0), rest = cp;
    cp.kind = ZO_DIR_CP;
    rest.kind = ZO_DIR_REST;
    *p = (zo_probe){.dir = {cp, rest}, .ndirs = s->rest == REST_TRAIN ? 2 : 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, p, 1, err);
    *r = (zo_step_report){.loss = p->plus, .projected = p->projected, .lr = c->lr, .paper_queries = NAN};
    return status;
}

/* w += coef * factored and, with the probe's own z, the rest. factored = NULL: only the rest. */
static zo_status update(const state *s, zo_objective *o, const zo_step_context *c, const zo_probe *p, const zo_dir *factored,
                        double coef, double kappa_rest, zo_err *err)
{
    zo_term term[2];
    int n = 0;
    if (factored != NULL) {
        term[n++] = (zo_term){.dir = *factored, .coef = coef};
    }
    if (p->ndirs == 2) {
        term[n++] = (zo_term){.dir = p->dir[1], .coef = -(s->rest_lr > 0.0 ? s->rest_lr : c->lr) * kappa_rest};
    }
    return n > 0 ? o->combine(o, ZO_SET_WEIGHTS, 1.0, term, n, err) : ZO_OK;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe p;
    zo_status status = probe(s, o, c, &p, r, err);
    return status == ZO_OK ? update(s, o, c, &p, &p.dir[0], -c->lr * p.projected, p.projected, err) : status;
}

static void average(float *ema, double beta, const float *x, double scale, bool squared, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double value = scale * x[i];
        ema[i] = (float)(beta * ema[i] + (1.0 - beta) * (squared ? value * value : value));
    }
}

static zo_status step_m(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe p;
    zo_status status = probe(s, o, c, &p, r, err);
    if (status != ZO_OK) {
        return status;
    }
    o->numbers_of(o, &p.dir[0], s->tau);
    average(s->m, s->beta1, s->tau, p.projected, false, o->ncoef);
    zo_dir momentum = {.kind = ZO_DIR_SPAN, .seed = o->seed, .step = (uint32_t)c->step, .span = s->m};
    return update(s, o, c, &p, &momentum, -c->lr, p.projected, err);
}

static zo_status step_adam(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe p;
    zo_status status = probe(s, o, c, &p, r, err);
    if (status != ZO_OK) {
        return status;
    }
    double kappa = p.projected, t = (double)c->step + 1.0;
    double correct1 = s->bias_correction ? 1.0 - pow(s->beta1, t) : 1.0, correct2 = s->bias_correction ? 1.0 - pow(s->beta2, t) : 1.0;
    o->numbers_of(o, &p.dir[0], s->tau);
    average(s->m, s->beta1, s->tau, kappa, false, o->ncoef);
    average(s->v, s->beta2, s->tau, kappa, true, o->ncoef);
    s->kappa2 = s->beta2 * s->kappa2 + (1.0 - s->beta2) * kappa * kappa;
    for (int64_t i = 0; i < o->ncoef; i++) {
        s->m_hat[i] = (float)(s->m[i] / correct1);
        s->v_hat[i] = (float)(s->v[i] / correct2);
    }
    zo_rule_args args = {.lr = (float)c->lr, .eps = (float)s->adam_eps, .correct1 = 1.0f, .correct2 = 1.0f};
    zo_operands moments = {.m_numbers = s->m_hat, .v_numbers = s->v_hat};
    status = o->rule(o, ZO_RULE_QUOTIENT, &args, &moments, err);
    double kappa_rest = s->rest_normalised ? kappa / (sqrt(s->kappa2 / correct2) + s->adam_eps) : kappa;
    return status == ZO_OK ? update(s, o, c, &p, NULL, 0.0, kappa_rest, err) : status;
}

#define TEZO(called, applies)                                                             \
    .title = called, .paper = "Sun et al., arXiv 2501.19057", .variants = variants,       \
    .loss_is = "L(w + eps Z) of the step's batch, before the update",                     \
    .losses_at = "w +- eps Z, Z low-rank with fixed factors; " applies,                   \
    .state_bytes = sizeof(state), .eps = 1e-3, .descends_lr = 0.01

const zo_estimator zo_estimator_tezo = {
    TEZO("TeZO", "applies Z"), .name = "tezo", .options = options, .lr = 1e-6, .needs = needs, .start = start, .step = step};

const zo_estimator zo_estimator_tezo_m = {
    TEZO("TeZO-m", "applies the average of past Z, r numbers a matrix"), .name = "tezo-m", .options = options_m, .lr = 1e-6, .needs = needs_m, .start = start_m, .step = step_m};

const zo_estimator zo_estimator_tezo_adam = {
    TEZO("TeZO-Adam", "one dense Adam sweep from 2r numbers a matrix"),
    .name = "tezo-adam", .options = options_adam, .lr = 1e-5, .needs = needs_adam, .start = start_adam, .step = step_adam};
