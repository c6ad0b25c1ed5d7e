/* sgld.c: stochastic gradient Langevin dynamics (Welling & Teh, ICML 2011), and its low-precision forms (Zhang, Wilson & De Sa, arXiv 2206.09909), which
 * keep the weights on a grid of steps d:
 *
 *     none       w <- w - lr g + sqrt(2 lr T) z
 *     naive      w <- Q(w - lr g + sqrt(2 lr T) z), Q rounds at random: its variance is added, and grows past all bounds against that of z as lr falls
 *     corrected  w <- Qvc(w - lr g, 2 lr T): rounding is a part of the noise, so that the variance is 2 lr T in all (backends/rules.h)
 *
 * It draws from exp(-L / T), L the mean loss: 1 / N is the temperature of the posterior under a flat prior. The released scripts have a flag
 * `temperature` of 0.001 and 8 bits; the paper's Gaussian example has 3 of them behind the point. How that code applies its flag was not noted: here the
 * noise is as above. Left out: the quantiser of gradients, block floating point, priors, cyclic rates, the mean over samples. The weights that are written
 * here are numbers of the grid in f32, so that memory is that of f32 weights. */
#include <math.h>
#include <stddef.h>

#include "optimizers/first_order.h"
#include "optimizers/spsa.h"

enum { NONE, NAIVE, CORRECTED };

typedef struct state {
    zo_first_order common; /* the gradient alone, and `checkpoint` */
    double temperature;
    int quantiser;
    int64_t bits, fraction;
} state;

static const zo_opt options[] = {
    {.key = "temperature", .type = ZO_OPT_REAL, .offset = offsetof(state, temperature), .initial = 1e-3, .least = 0.0, .most = 1e6,
     .help = "T of exp(-loss / T), from which it draws; 1 / training examples is that of the posterior (released scripts: 0.001)"},
    {.key = "quantiser", .type = ZO_OPT_CHOICE, .offset = offsetof(state, quantiser), .initial = NONE, .choices = "none|naive|corrected",
     .help = "whether weights stand on a grid, and whether its rounding is counted as noise"},
    {.key = "bits", .type = ZO_OPT_INT, .offset = offsetof(state, bits), .initial = 8, .least = 2, .most = 24,
     .help = "bits of a number of the grid, its sign too"},
    {.key = "fraction", .type = ZO_OPT_INT, .offset = offsetof(state, fraction), .initial = 3, .least = 0, .most = 30,
     .help = "how many of them stand behind the point: the grid's step is 2^-fraction"},
    ZO_CHECKPOINT_OPTION,
    ZO_MASTER_OPTION(zo_first_order),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"quantiser", "naive", "weights are rounded to the grid at random, and that variance comes on top of the noise"},
    {"quantiser", "corrected", "rounding to the grid is a part of the noise, whose variance stays as it is asked for"},
    ZO_FIRST_ORDER_CHECKPOINT,
    {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    (void)extent;
    const state *s = options_read;
    zo_first_order_needs(&s->common, n);
    n->updates = s->quantiser == NONE ? 2 : 0;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    return zo_first_order_start(&s->common, o, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    double loss, variance = 2.0 * c->lr * s->temperature, grid = ldexp(1.0, -(int)s->fraction);
    zo_status status = o->gradient(o, ZO_BATCH_CURRENT, s->common.gradient, &loss, NULL, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = loss, .projected = NAN, .lr = c->lr, .paper_queries = NAN};
    if (s->quantiser == NONE) {
        zo_term move[2] = {zo_set_term(s->common.gradient, -c->lr), {.dir = zo_gauss(o, c->step, 0), .coef = sqrt(variance)}};
        return o->combine(o, ZO_SET_WEIGHTS, 1.0, move, 2, err);
    }
    zo_term draw[2] = {{.dir = zo_gauss(o, c->step, 0), .coef = 1.0}, {.dir = zo_gauss(o, c->step, 1), .coef = 1.0}};
    zo_rule_args args = {.lr = (float)c->lr, .gamma = (float)variance, .eps = (float)grid, .floor = (float)-ldexp(grid, (int)s->bits - 1)};
    zo_operands x = {.m = s->common.gradient, .term = draw, .terms = 2};
    return o->rule(o, s->quantiser == NAIVE ? ZO_RULE_ROUNDED : ZO_RULE_CORRECTED, &args, &x, err);
}

const zo_estimator zo_estimator_sgld = {
    .name = "sgld",
    .title = "SGLD",
    .paper = "Welling & Teh, ICML 2011; in low precision Zhang et al., arXiv 2206.09909",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w) of the step's batch, before the update",
    .losses_at = "the gradient at w; applies it with noise, and may round to a grid",
    .options = options,
    .state_bytes = sizeof(state),
    .lr = 1e-3,
    .descends_lr = 0.01,
    .first_order = true,
    .needs = needs,
    .start = start,
    .step = step,
};
