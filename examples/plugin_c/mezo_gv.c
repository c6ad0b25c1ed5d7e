/* mezo_gv.c: MeZO-GV (arXiv 2601.04710), an estimator that is no part of zo: it looks before it probes. A pool of directions is scored by a forward
 * each, and the two-point estimate is along the contrast of the best and the worst:
 *
 *     L_i = L(w + eps z_i), i = 1..n;   z = z_best - z_worst,   or z = z_best (the paper's MeZO-Greedy);
 *     pg = (L(w + eps z) - L(w - eps z)) / (2 eps),   w <- w - lr pg z
 *
 * Reconstructed from a description of the paper. The size of the pool is an option, and its default is ours. The contrast is not scaled: its numbers have
 * variance 2, so eps and lr go further than MeZO's. The released code is not followed: it updates along another direction than it has scored. */
#include <zo/plugin.h>

enum { CONTRAST, BEST };

typedef struct state {
    int64_t pool;
    int direction, draw;
    zo_term *term;   /* (pool) eps z_i */
    zo_point *point; /* (pool) */
    double *loss;    /* (pool) */
} state;

static const zo_opt options[] = {
    {.key = "pool", .type = ZO_OPT_INT, .offset = offsetof(state, pool), .initial = 4, .least = 2, .most = 1024,
     .help = "n: directions that are scored a step, a forward each (the default is ours)"},
    {.key = "direction", .type = ZO_OPT_CHOICE, .offset = offsetof(state, direction), .initial = CONTRAST, .choices = "contrast|best",
     .help = "contrast: z_best - z_worst (MeZO-GV); best: z_best (MeZO-Greedy)"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"direction", "best", "the best direction of the pool alone (MeZO-Greedy)"},
    {.key = NULL}};

static int ndirs(const state *s)
{
    return s->direction == CONTRAST ? 2 : 1;
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    (void)extent;
    zo_spsa_needs(n, 1, ndirs(s), 0);
    n->points = s->pool > n->points ? s->pool : n->points;
    n->updates = ndirs(s);
    n->start_bytes[ZO_TAG_OTHER] = (uint64_t)s->pool * (sizeof *s->term + sizeof *s->point + sizeof *s->loss);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    (void)o, (void)err;
    s->term = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->pool * sizeof *s->term);
    s->point = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->pool * sizeof *s->point);
    s->loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->pool * sizeof *s->loss);
    return ZO_OK;
}

/* Scores the pool: *best and *worst are two of it, whatever the losses. */
static zo_status score(state *s, zo_objective *o, const zo_step_context *c, int *best, int *worst, zo_err *err)
{
    int n = (int)s->pool;
    for (int i = 0; i < n; i++) {
        s->term[i] = (zo_term){.dir = zo_dense(o, s->draw, c->step, i), .coef = c->eps};
        s->point[i] = (zo_point){.n = 1, .term = &s->term[i]};
    }
    zo_status status = o->losses(o, ZO_BATCH_CURRENT, s->point, n, s->loss, err);
    *best = 0;
    *worst = n - 1;
    for (int i = 0; i < n && status == ZO_OK; i++) {
        *best = s->loss[i] < s->loss[*best] ? i : *best;
        *worst = s->loss[i] > s->loss[*worst] ? i : *worst;
    }
    return status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    static const double times[] = {1.0, -1.0};
    state *s = self;
    int best, worst;
    zo_status status = score(s, o, c, &best, &worst, err);
    if (status != ZO_OK) {
        return status;
    }
    zo_probe probe = {.dir = {s->term[best].dir, s->term[worst].dir}, .times = times, .ndirs = ndirs(s)};
    status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term move[2];
    for (int d = 0; d < probe.ndirs; d++) {
        move[d] = (zo_term){.dir = probe.dir[d], .coef = -c->lr * probe.projected * times[d]};
    }
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, move, probe.ndirs, err);
}

static void stop(void *self)
{
    state *s = self;
    zo_free(s->term);
    zo_free(s->point);
    zo_free(s->loss);
}

static const zo_estimator mezo_gv = {
    .name = "mezo-gv",
    .title = "MeZO-GV",
    .paper = "arXiv 2601.04710",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .variants = variants,
    .loss_is = "L(w + eps z) of the step's batch, before the update, along the direction that was chosen",
    .losses_at = "w + eps z_i of a pool, then w +- eps z, z = z_best - z_worst; applies z",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, term),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.003,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};

ZO_PLUGIN(mezo_gv);
