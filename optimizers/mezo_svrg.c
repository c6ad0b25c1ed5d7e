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
 * The full-batch loss is the mean of the chunks' mean losses weighted by their examples (bench/cell/objective.c), the last, shorter chunk too;
 * the learning rate's window is counted in steps, of either kind.
 * The learning-rate rule reads the mean of a step's two losses at the current weights, where the released code spends one more
 * forward, outside its clock, on the loss after the step. It does not average over several estimates. */
#include "optimizers/mezo_svrg.h"

#include <math.h>
#include <stddef.h>

#include "core/mem.h"

static const zo_opt options[] = {
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(svrg, mode), .initial = SVRG_PAPER, .choices = "paper|released|replay",
     .help = "paper: stored anchor and gradient; released: as the published code behaves; replay: as paper, nothing stored"},
    {.key = "z", .type = ZO_OPT_CHOICE, .offset = offsetof(svrg, z), .initial = SVRG_Z_SHARED, .choices = "shared|fresh",
     .help = "whether the two mini-batch estimates share their direction (paper and replay; the sources disagree; released: fresh)"},
    {.key = "q", .type = ZO_OPT_INT, .offset = offsetof(svrg, q), .initial = 2, .least = 1, .most = 100000,
     .help = "every q-th step is a full-batch step"},
    {.key = "eta2", .type = ZO_OPT_REAL, .offset = offsetof(svrg, eta2), .initial = 1e-6, .least = 0.0, .most = 1e3,
     .help = "learning rate of mini-batch steps; lr is that of full-batch steps (eta1)"},
    {.key = "rule", .type = ZO_OPT_CHOICE, .offset = offsetof(svrg, rule), .initial = SVRG_RULE_MODE, .choices = "mode|paper|released|off",
     .help = "learning-rate rule; mode: released in mode released, else paper (the last window against the one before; no floors)"},
    {.key = "anneal", .type = ZO_OPT_REAL, .offset = offsetof(svrg, anneal), .initial = 5.0, .least = 1.0, .most = 1e6,
     .help = "both learning rates are divided by this when the mean loss grows"},
    {.key = "kappa", .type = ZO_OPT_REAL, .offset = offsetof(svrg, kappa), .initial = 1.05, .least = 0.0, .most = 1e6,
     .help = "ratio of mean losses above which they are"},
    {.key = "window", .type = ZO_OPT_INT, .offset = offsetof(svrg, window), .initial = 0, .least = 0, .most = 1000000,
     .help = "steps of a window; 0 = batches of an epoch"},
    ZO_DRAW_OPTION(svrg),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"mode", "replay", "the steps of mode paper with nothing stored: the anchor is the weights minus what was added since"},
    {"mode", "released", "what the published code does: the anchor is the weights themselves, and the stored gradient is made anew beside the old one"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"mode", "released", ZO_SOURCE_RELEASED}, {.key = NULL}};

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const svrg *s = options_read;
    bool again = extent->steps == 0 || extent->steps > s->q; /* a second full-batch step */
    int64_t reached = extent->steps == 0 || extent->steps > s->q ? s->q : extent->steps;
    int64_t since = reached > 1 ? 1 + (reached - 2) * (s->z == SVRG_Z_FRESH ? 2 : 1) : 0; /* terms between the anchor and the last mini-batch step */
    zo_spsa_needs(n, s->mode == SVRG_RELEASED ? 1 : 2, 1, s->mode == SVRG_REPLAY ? since : 0);
    n->updates = s->mode == SVRG_RELEASED || s->z == SVRG_Z_SHARED ? 2 : 3;
    n->anchors = s->mode == SVRG_PAPER;
    n->stored = s->mode != SVRG_REPLAY;
    n->stored_beside = s->mode == SVRG_RELEASED && again;
    n->start_bytes[ZO_TAG_SNAPSHOT] = s->mode == SVRG_REPLAY ? (uint64_t)svrg_most_moved(s) * sizeof *s->moved : 0;
    int64_t window = s->window > 0 ? s->window : extent->batches_per_epoch > 0 ? extent->batches_per_epoch : 1;
    n->step_bytes[ZO_TAG_OTHER] += 3 * (uint64_t)window * sizeof *s->loss;
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    svrg *s = self;
    s->z = s->mode == SVRG_RELEASED ? SVRG_Z_FRESH : s->z;
    s->rule = s->rule != SVRG_RULE_MODE ? s->rule : s->mode == SVRG_RELEASED ? SVRG_RULE_RELEASED : SVRG_RULE_PAPER;
    s->lr_mini = s->eta2;
    s->lr_full = -1.0;
    if (s->mode == SVRG_REPLAY) {
        s->moved = zo_alloc(ZO_HOST, ZO_TAG_SNAPSHOT, (size_t)svrg_most_moved(s) * sizeof *s->moved);
        return ZO_OK;
    }
    zo_set_spec gradient = {.name = "full gradient", .tag = ZO_TAG_OPT_STATE, .beside = s->mode == SVRG_RELEASED};
    zo_set_spec anchor = {.name = "anchor", .tag = ZO_TAG_SNAPSHOT, .copy = true};
    zo_status status = o->open(o, &gradient, &s->gradient, err);
    return status == ZO_OK && s->mode == SVRG_PAPER ? o->open(o, &anchor, &s->anchor, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    svrg *s = self;
    svrg_anneal(s, c);
    bool full = c->step % s->q == 0;
    zo_probe probe[2];
    zo_status status = full ? svrg_full_step(s, o, c, probe, err) : svrg_mini_step(s, o, c, probe, err);
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
    svrg *s = self;
    int n = 0;
    if (s->moved != NULL) {
        array[n++] = (zo_kept){s->moved, (size_t)svrg_most_moved(s) * sizeof *s->moved};
    }
    if (s->loss == NULL && s->ring > 0) { /* no step of this process has made it */
        s->loss = zo_alloc(ZO_HOST, ZO_TAG_OTHER, (size_t)s->ring * sizeof *s->loss);
    }
    array[n++] = (zo_kept){s->loss, (size_t)s->ring * sizeof *s->loss};
    return n;
}

static void stop(void *self)
{
    svrg *s = self;
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
    .state_bytes = sizeof(svrg),
    .plain_bytes = offsetof(svrg, moved),
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
