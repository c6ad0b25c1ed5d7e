/* mezo_svrg.c: MeZO-SVRG (Gautam et al., arXiv 2404.08080), Algorithm 1, and its learning-rate rule (Algorithm 4).
 *
 *   t mod q == 0:   g <- SPSA_full(w),  anchor <- w,  w <- w - eta1 g
 *   else:           w <- w - eta2 [SPSA_I(w; z) - SPSA_I(anchor; z') + g]          z' = z where `z` is shared
 *
 * with SPSA_B(w; z) = (L_B(w + eps z) - L_B(w - eps z)) / (2 eps) z. Modes:
 *   paper     anchor and g are stored tensors: three copies of the weights
 *   replay    anchor = w minus the recorded increments, g = one direction and one scalar: nothing is stored; the same values
 *   released  what the published code does (amazon-science/mezo_svrg, commit 002e156): the anchor is an alias of the weights, so
 *             the second estimate stands at the weights that the first has just moved; each estimate draws its own z; g is a stored
 *             tensor, rebuilt while the old one is alive.
 * The full-batch loss is the mean of the chunks' mean losses weighted by their examples (bench/cell/setup.c), the last, shorter chunk too;
 * the learning rate's window is counted in steps, of either kind.
 * The learning-rate rule reads the mean of a step's two losses at the current weights, where the released code spends one more
 * forward, outside its clock, on the loss after the step. It does not average over several estimates. */
#include <math.h>
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/spsa.h"

enum { MODE_PAPER, MODE_RELEASED, MODE_REPLAY };
enum { Z_SHARED, Z_FRESH };
enum { RULE_MODE, RULE_PAPER, RULE_RELEASED, RULE_OFF };

typedef struct state {
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
} state;

static const zo_opt options[] = {
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(state, mode), .initial = MODE_PAPER, .choices = "paper|released|replay",
     .help = "paper: stored anchor and gradient; released: as the published code behaves; replay: as paper, nothing stored"},
    {.key = "z", .type = ZO_OPT_CHOICE, .offset = offsetof(state, z), .initial = Z_SHARED, .choices = "shared|fresh",
     .help = "whether the two mini-batch estimates share their direction (paper and replay; the sources disagree; released: fresh)"},
    {.key = "q", .type = ZO_OPT_INT, .offset = offsetof(state, q), .initial = 2, .least = 1, .most = 100000,
     .help = "every q-th step is a full-batch step"},
    {.key = "eta2", .type = ZO_OPT_REAL, .offset = offsetof(state, eta2), .initial = 1e-6, .least = 0.0, .most = 1e3,
     .help = "learning rate of mini-batch steps; lr is that of full-batch steps (eta1)"},
    {.key = "rule", .type = ZO_OPT_CHOICE, .offset = offsetof(state, rule), .initial = RULE_MODE, .choices = "mode|paper|released|off",
     .help = "learning-rate rule; mode: released in mode released, else paper (the last window against the one before; no floors)"},
    {.key = "anneal", .type = ZO_OPT_REAL, .offset = offsetof(state, anneal), .initial = 5.0, .least = 1.0, .most = 1e6,
     .help = "both learning rates are divided by this when the mean loss grows"},
    {.key = "kappa", .type = ZO_OPT_REAL, .offset = offsetof(state, kappa), .initial = 1.05, .least = 0.0, .most = 1e6,
     .help = "ratio of mean losses above which they are"},
    {.key = "window", .type = ZO_OPT_INT, .offset = offsetof(state, window), .initial = 0, .least = 0, .most = 1000000,
     .help = "steps of a window; 0 = batches of an epoch"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"mode", "replay", "the steps of mode paper with nothing stored: the anchor is the weights minus what was added since"},
    {"mode", "released", "what the published code does: the anchor is the weights themselves, and the stored gradient is made anew beside the old one"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"mode", "released", ZO_SOURCE_RELEASED}, {.key = NULL}};

/* Terms that replay keeps: that of the full gradient, and two of each mini-batch step. */
static int64_t most_moved(const state *s)
{
    return 1 + 2 * (s->q - 1);
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    bool again = extent->steps == 0 || extent->steps > s->q; /* a second full-batch step */
    int64_t reached = extent->steps == 0 || extent->steps > s->q ? s->q : extent->steps;
    int64_t since = reached > 1 ? 1 + (reached - 2) * (s->z == Z_FRESH ? 2 : 1) : 0; /* terms between the anchor and the last mini-batch step */
    zo_spsa_needs(n, s->mode == MODE_RELEASED ? 1 : 2, 1, s->mode == MODE_REPLAY ? since : 0);
    n->updates = s->mode == MODE_RELEASED || s->z == Z_SHARED ? 2 : 3;
    n->anchors = s->mode == MODE_PAPER;
    n->stored = s->mode != MODE_REPLAY;
    n->stored_beside = s->mode == MODE_RELEASED && again;
    n->start_bytes[ZO_TAG_SNAPSHOT] = s->mode == MODE_REPLAY ? (uint64_t)most_moved(s) * sizeof *s->moved : 0;
    int64_t window = s->window > 0 ? s->window : extent->batches_per_epoch > 0 ? extent->batches_per_epoch : 1;
    n->step_bytes[ZO_TAG_OTHER] += 3 * (uint64_t)window * sizeof *s->loss;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    s->z = s->mode == MODE_RELEASED ? Z_FRESH : s->z;
    s->rule = s->rule != RULE_MODE ? s->rule : s->mode == MODE_RELEASED ? RULE_RELEASED : RULE_PAPER;
    s->lr_mini = s->eta2;
    s->lr_full = -1.0;
    if (s->mode == MODE_REPLAY) {
        s->moved = zo_alloc(ZO_HOST, ZO_TAG_SNAPSHOT, (size_t)most_moved(s) * sizeof *s->moved);
        return ZO_OK;
    }
    zo_set_spec gradient = {.name = "full gradient", .tag = ZO_TAG_OPT_STATE, .beside = s->mode == MODE_RELEASED};
    zo_set_spec anchor = {.name = "anchor", .tag = ZO_TAG_SNAPSHOT, .copy = true};
    zo_status status = o->open(o, &gradient, &s->gradient, err);
    return status == ZO_OK && s->mode == MODE_PAPER ? o->open(o, &anchor, &s->anchor, err) : status;
}

/* Mean of the `window` losses that ended `ago` windows ago. */
static double mean_loss(const state *s, int ago)
{
    double sum = 0.0;
    for (int64_t i = 0; i < s->window; i++) {
        sum += s->loss[(s->nloss - 1 - ago * s->window - i) % s->ring];
    }
    return sum / (double)s->window;
}

/* Algorithm 4, before the step: compare the mean loss of the last window with that of an earlier one. The released code waits for
 * four windows, looks two windows back, and its floors can raise a small learning rate. */
static void anneal(state *s, int64_t step)
{
    bool released = s->rule == RULE_RELEASED;
    bool ready = released ? s->nloss > 4 * s->window : s->nloss >= 2 * s->window;
    if (s->rule == RULE_OFF || step % s->window != 0 || !ready) {
        return;
    }
    if (mean_loss(s, 0) / mean_loss(s, released ? 2 : 1) > s->kappa) {
        s->lr_full = fmax(s->lr_full / s->anneal, released ? 1e-5 : 0.0);
        s->lr_mini = fmax(s->lr_mini / s->anneal, released ? 1e-6 : 0.0);
    }
}

/* w += coef * direction, remembered where the anchor is replayed. */
static zo_status move(state *s, zo_objective *o, const zo_term *term, int n, zo_err *err)
{
    for (int i = 0; i < n && s->moved != NULL; i++) {
        int at = 0;
        while (at < s->nmoved && (s->moved[at].dir.step != term[i].dir.step || s->moved[at].dir.query != term[i].dir.query)) {
            at++;
        }
        if (at == s->nmoved) {
            s->moved[s->nmoved++] = (zo_term){.dir = term[i].dir};
        }
        s->moved[at].coef += term[i].coef;
    }
    return o->combine(o, ZO_SET_WEIGHTS, 1.0, term, n, err);
}

/* -lr * g */
static zo_term along_full(const state *s, double lr)
{
    return s->mode == MODE_REPLAY ? (zo_term){.dir = s->full.dir, .coef = -lr * s->full.coef} : zo_set_term(s->gradient, -lr);
}

static zo_status full_step(state *s, zo_objective *o, const zo_step_context *c, zo_probe *probe, zo_err *err)
{
    *probe = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_FULL, c->eps, probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    s->full = (zo_term){.dir = probe->dir[0], .coef = probe->projected};
    s->nmoved = 0;
    if (s->mode == MODE_PAPER) {
        zo_term here = zo_set_term(ZO_SET_WEIGHTS, 1.0);
        status = o->combine(o, s->anchor, 0.0, &here, 1, err);
    }
    if (s->mode != MODE_REPLAY && status == ZO_OK) {
        status = o->combine(o, s->gradient, 0.0, &s->full, 1, err);
    }
    zo_term term = along_full(s, s->at_full);
    return status == ZO_OK ? move(s, o, &term, 1, err) : status;
}

/* Both estimates over one batch, at the weights and at the anchor. */
static zo_status mini_step(state *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err)
{
    for (int i = 0; i < 2; i++) {
        probe[i] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, s->z == Z_FRESH ? i : 0)}, .ndirs = 1};
    }
    if (s->mode == MODE_PAPER) {
        probe[1].base = s->anchor;
    } else {
        for (int i = 0; i < s->nmoved; i++) { /* weights - moved, in place and back */
            s->moved[i].coef = -s->moved[i].coef;
        }
        probe[1].centre = s->moved;
        probe[1].ncentre = s->nmoved;
    }
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, probe, 2, err);
    for (int i = 0; s->mode == MODE_REPLAY && i < s->nmoved; i++) {
        s->moved[i].coef = -s->moved[i].coef;
    }
    if (status != ZO_OK) {
        return status;
    }
    double here = -s->at_mini * probe[0].projected, there = s->at_mini * probe[1].projected;
    zo_term term[3] = {{.dir = probe[0].dir[0], .coef = here}, {.dir = probe[1].dir[0], .coef = there}};
    int n = 2;
    if (s->z == Z_SHARED) {
        term[0].coef += there;
        n = 1;
    }
    term[n++] = along_full(s, s->at_mini);
    return move(s, o, term, n, err);
}

/* The released code's mini-batch step: each estimate is made and applied before the next. */
static zo_status mini_step_released(state *s, zo_objective *o, const zo_step_context *c, zo_probe probe[2], zo_err *err)
{
    for (int i = 0; i < 2; i++) {
        probe[i] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, i)}, .ndirs = 1};
        zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe[i], 1, err);
        zo_term term[2] = {{.dir = probe[i].dir[0], .coef = (i == 0 ? -s->at_mini : s->at_mini) * probe[i].projected}, along_full(s, s->at_mini)};
        if (status == ZO_OK) {
            status = o->combine(o, ZO_SET_WEIGHTS, 1.0, term, i == 0 ? 1 : 2, err); /* g with the second */
        }
        if (status != ZO_OK) {
            return status;
        }
    }
    return ZO_OK;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    if (s->lr_full < 0.0) { /* the first step */
        s->lr_full = c->run_lr > 0.0 ? c->run_lr : c->lr;
        s->window = s->window > 0 ? s->window : c->batches_per_epoch > 0 ? c->batches_per_epoch : 1;
        s->ring = 3 * s->window;
        s->loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->ring * sizeof *s->loss);
    }
    anneal(s, c->step);
    s->at_full = zo_scheduled(c, s->lr_full);
    s->at_mini = zo_scheduled(c, s->lr_mini);
    bool full = c->step % s->q == 0;
    zo_probe probe[2];
    zo_status status = full                        ? full_step(s, o, c, probe, err)
                       : s->mode == MODE_RELEASED ? mini_step_released(s, o, c, probe, err)
                                                   : mini_step(s, o, c, probe, err);
    if (status != ZO_OK) {
        return status;
    }
    double loss = 0.5 * (probe[0].plus + probe[0].minus);
    s->loss[s->nloss++ % s->ring] = loss;
    *r = (zo_step_report){.loss = loss,
                          .projected = probe[0].projected,
                          .lr = full ? s->at_full : s->at_mini,
                          .full_batch = full,
                          .paper_queries = 2.0 * (double)(full ? c->train_examples : c->examples)};
    return ZO_OK;
}

static int arrays(void *self, zo_kept array[ZO_KEPT_MOST])
{
    state *s = self;
    int n = 0;
    if (s->moved != NULL) {
        array[n++] = (zo_kept){s->moved, (size_t)most_moved(s) * sizeof *s->moved};
    }
    if (s->loss == NULL && s->ring > 0) { /* no step of this process has made it */
        s->loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->ring * sizeof *s->loss);
    }
    array[n++] = (zo_kept){s->loss, (size_t)s->ring * sizeof *s->loss};
    return n;
}

static void stop(void *self)
{
    state *s = self;
    zo_free(s->moved);
    zo_free(s->loss);
}

const zo_estimator zo_estimator_mezo_svrg = {
    .name = "mezo-svrg",
    .title = "MeZO-SVRG",
    .paper = "Gautam et al., arXiv 2404.08080",
    .source = ZO_SOURCE_RECONSTRUCTED,
    .sources = sources,
    .variants = variants,
    .loss_is = "mean of L(w + eps z) and L(w - eps z) before the update: over the whole training set on full-batch steps, else the batch",
    .queries_are = "examples forwarded, 2 n a step of n examples, as the released code's counter (a mini-batch step really forwards 4 n)",
    .losses_at = "w +- eps z and anchor +- eps z; every q-th step the whole training set at w +- eps z; applies two or three directions",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, moved),
    .arrays = arrays,
    .lr = 1e-4,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .descends_with = "{\"eta2\": 0.002}",
    .full_batch = true,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
