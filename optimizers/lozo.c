/* lozo.c: LOZO (Chen et al., arXiv 2410.07698). Read was its released code (github.com/optsuite/LOZO, commit 5d1ade5); of the paper what others
 * quote. Z and the rest are those of uv.h:
 *
 *     pg = (L(w + eps Z) - L(w - eps Z)) / (2 eps),   w -= lr pg Z
 *
 * The estimate is said to be pg Z / r in the paper; the code divides nowhere, so its lr is the paper's over r, and so it is here with scale "none".
 * Tables count as matrices in the code; biases and norms get a full Gaussian in the same probe, and w -= lr pg z.
 *
 * mode "released" is the code as it runs. It draws by a seed that is set anew before the probe and before the update. On the steps where V is
 * drawn (t a multiple of nu) the probe draws V and U in turn and the update U alone, so the update's U, and the z of what has no factors, are
 * others than the probe's: a step of length lr |pg| in a direction that nobody measured (the repository's issue 3). */
#include "optimizers/uv.h"

typedef struct state {
    zo_uv uv;
} state;

static const zo_opt options[] = {
    ZO_UV_OPTIONS,
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(state, uv.mode), .initial = ZO_UV_PLAIN, .choices = "plain|released",
     .help = "plain: the update goes along the probe; released: where V is drawn it goes along other draws, as the published code"},
    {.key = NULL}};

static const zo_variant variants[] = {
    ZO_UV_RELEASED_VARIANT,
    ZO_UV_VARIANTS,
    {.key = NULL}};

static const zo_sourced sources[] = {{"mode", "released", ZO_SOURCE_RELEASED}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    zo_uv_needs(options_read, extent, 2, 0, n);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    const state *s = self;
    return zo_uv_start(&s->uv, o, err);
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    const state *s = self;
    zo_probe p;
    zo_dir along[2];
    zo_status status = zo_uv_probe(&s->uv, o, c, &p, r, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_uv_update(&s->uv, o, c->step, along);
    zo_term move[2] = {{.dir = along[0], .coef = -c->lr * p.projected}, {.dir = along[1], .coef = -c->lr * p.projected}};
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, move, 2, err);
}

const zo_estimator zo_estimator_lozo = {
    ZO_UV_ESTIMATOR,
    .name = "lozo",
    .title = "LOZO",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .sources = sources,
    .variants = variants,
    .losses_at = "w +- eps Z, Z = U V^T with U drawn at each step and V every nu steps; applies Z",
    .options = options,
    .state_bytes = sizeof(state),
    .descends_lr = 0.0015,
    .needs = needs,
    .start = start,
    .step = step,
};
