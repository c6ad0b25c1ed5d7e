/* mezo_adam.c: MeZO-Adam (Malladi et al., arXiv 2305.17333, appendix B): Adam on the two-point estimate g = pg z:
 *
 *     m <- b1 m + (1 - b1) pg z,   v <- b2 v + (1 - b2) (pg z)^2,   w <- w - lr m' / (sqrt(v') + e)
 *
 * with m' and v' corrected for their start at 0, and a decoupled weight decay, as torch.optim.AdamW. What is kept beside the weights:
 *
 *   states     m and v, in f32. pg z is drawn where the rule wants it, and stored nowhere
 *   replay     nothing: m and v are made again at each step from the journal of seeds and numbers pg, as the appendix has it (B.2). All steps so far
 *              are drawn again, or the last `history`; of fewer steps the correction is that of their number. All of them have the bits of `states`
 *   released   what the published code does (princeton-nlp/MeZO, medium_models, zero_order_use_trainer_optim with optimizer adam): pg z stands in a
 *              gradient's buffer, and transformers' AdamW has e added before v is corrected, so e / sqrt(1 - b2^t), and decays after the step.
 *              Without efficient_zero_order, as in its example script, that code keeps z as well: one copy more than here */
#include <stddef.h>

#include "core/mem.h"
#include "optimizers/adam.h"
#include "optimizers/last_terms.h"
#include "optimizers/spsa.h"

enum { STATES, REPLAY, RELEASED, JOURNAL = 16 /* steps of it at first, where their number is not known */ };

typedef struct state {
    double beta1, beta2, adam_eps, weight_decay;
    int draw, mode;
    int64_t history;
    zo_set set[3];   /* m, v, gradient: where the mode keeps them */
    int64_t n, room; /* of the journal */
    zo_term *term;   /* (room) replay: pg_k z_k, the oldest first */
} state;

static const zo_opt options[] = {
    ZO_ADAM_OPTIONS(state, 0.9, 0.999, 0.0),
    {.key = "weight_decay", .type = ZO_OPT_REAL, .offset = offsetof(state, weight_decay), .initial = 0.0, .least = 0.0, .most = 1e3,
     .help = "decoupled decay, on all but biases and norms; 0 in the paper"},
    ZO_DRAW_OPTION(state),
    {.key = "mode", .type = ZO_OPT_CHOICE, .offset = offsetof(state, mode), .choices = "states|replay|released", .younger = true,
     .help = "states: m and v are stored; replay: made again from past seeds and numbers (the appendix); released: m, v and a gradient (its code)"},
    {.key = "history", .type = ZO_OPT_INT, .offset = offsetof(state, history), .least = 0, .most = 10000000, .younger = true,
     .help = "of replay: steps that m and v are made of, and directions that a step draws; 0 = all so far, one more at each step"},
    {.key = NULL}};

static const zo_variant variants[] = {
    {"mode", "replay", "no moments are kept: a step draws all estimates so far again (`history`: the last ones), to the same bits"},
    {"mode", "released", "what the published code does: a gradient's buffer beside both moments, and transformers' AdamW"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"mode", "released", ZO_SOURCE_RELEASED}, {.key = NULL}};

/* Terms of the journal in a run of so many steps, 0 = not known. */
static int64_t journal_room(const state *s, int64_t steps)
{
    int64_t most = steps > 0 ? steps : s->room > 0 ? 2 * s->room : JOURNAL;
    return s->history > 0 && s->history < most ? s->history : most;
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    zo_spsa_needs(n, 1, 1, 0);
    n->moments = s->mode == REPLAY ? 0 : 2;
    n->buffers = s->mode == RELEASED;
    n->step_bytes[ZO_TAG_OTHER] += s->mode == REPLAY ? (uint64_t)journal_room(s, extent->steps) * sizeof *s->term : 0;
}

static zo_status check(const void *options_read, int64_t steps, zo_err *err)
{
    (void)steps;
    const state *s = options_read;
    return s->history == 0 || s->mode == REPLAY ? ZO_OK : zo_fail(err, ZO_EINPUT, "\"history\" is of \"mode\": \"replay\", which keeps a past: say that, or leave it out");
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    zo_set_spec spec[] = {{"first moment", .tag = ZO_TAG_OPT_STATE}, {"second moment", .tag = ZO_TAG_OPT_STATE}, {"gradient", .tag = ZO_TAG_GRADS}};
    zo_status status = ZO_OK;
    for (int i = 0; i < (s->mode == REPLAY ? 0 : s->mode == STATES ? 2 : 3) && status == ZO_OK; i++) {
        status = o->open(o, &spec[i], &s->set[i], err);
    }
    return status;
}

static int arrays(void *self, zo_kept array[ZO_KEPT_MOST])
{
    state *s = self;
    size_t bytes = (size_t)s->room * sizeof *s->term;
    s->term = s->term == NULL && bytes > 0 ? zo_alloc(ZO_HOST, ZO_TAG_OTHER, bytes) : s->term; /* NULL: no step of this process has made it */
    array[0] = (zo_kept){s->term, bytes};
    return s->mode == REPLAY ? 1 : 0;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    zo_probe probe = {.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, &probe, 1, err);
    if (status != ZO_OK) {
        return status;
    }
    *r = (zo_step_report){.loss = probe.plus, .projected = probe.projected, .lr = c->lr, .paper_queries = NAN};
    zo_term g = {.dir = probe.dir[0], .coef = probe.projected};
    bool after = s->mode == RELEASED;
    double t = (double)c->step + 1.0; /* estimates in the moments */
    zo_operands x = {.term = &g, .terms = 1, .m = s->set[0], .v = s->set[1]};
    if (s->mode == REPLAY) {
        if (s->n == s->room && (s->history == 0 || s->n < s->history)) {
            s->room = journal_room(s, c->steps > s->n ? c->steps : 0);
            s->term = zo_realloc(s->term, ZO_HOST, ZO_TAG_OTHER, (size_t)s->room * sizeof *s->term);
        }
        zo_last_terms_add(s->term, &s->n, s->room, &g);
        t = (double)s->n;
        x = (zo_operands){.term = s->term, .terms = (int)s->n};
    } else if (after) {
        status = o->combine(o, s->set[2], 0.0, &g, 1, err);
        x = (zo_operands){.g = s->set[2], .m = s->set[0], .v = s->set[1]};
    }
    zo_rule_args args = zo_adam_args(c->lr, s->beta1, s->beta2, s->adam_eps, t);
    args.eps /= after ? sqrtf(args.correct2) : 1.0f;
    args.decay = after ? 0.0f : (float)s->weight_decay;
    status = status == ZO_OK ? o->rule(o, s->mode == REPLAY ? ZO_RULE_REPLAYED : ZO_RULE_ADAMW, &args, &x, err) : status;
    return status == ZO_OK && after && s->weight_decay > 0.0 ? o->combine(o, ZO_SET_WEIGHTS, 1.0 - c->lr * s->weight_decay, NULL, 0, err) : status;
}

static void stop(void *self)
{
    zo_free(((state *)self)->term);
}

const zo_estimator zo_estimator_mezo_adam = {
    .name = "mezo-adam",
    .title = "MeZO-Adam", .paper = "Malladi et al., arXiv 2305.17333",
    .source = ZO_SOURCE_PAPER,
    .sources = sources,
    .variants = variants,
    .loss_is = "L(w + eps z) of the step's batch, before the update",
    .losses_at = "w +- eps z; applies Adam's quotient of the estimates so far",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, term),
    .arrays = arrays,
    .lr = 1e-5,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
    .check = check,
};
