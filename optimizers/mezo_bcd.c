/* mezo_bcd.c: block by block: the two-point estimate of each transformer block alone, with a projected gradient of its own:
 *
 *     for each block b:   pg_b = (L(w + eps z_b) - L(w - eps z_b)) / (2 eps),   w <- w - lr pg_b z_b          z_b = z on block b, 0 elsewhere
 *
 * as ZO-Bench's released code has it (Zhang et al., arXiv 2402.11592): all blocks at each step, each updated at once (Gauss-Seidel) or all at the
 * end. It gives the blocks one seed, so that blocks of one shape have the same numbers there; here each has its own. MeZO-BCD (arXiv 2501.19099)
 * takes one block a step; in which order is not in what could be read: "order". Nor is it whether what stands outside the blocks (embeddings, the
 * last norm, the head) is trained: "outside". Where no block is trained, what is outside is the one block. Losses and projected gradients that are
 * reported are means over the blocks of a step. */
#include <stddef.h>

#include "backends/store.h"
#include "core/mem.h"
#include "optimizers/queries.h"

enum { UPDATE_EACH, UPDATE_END, ORDER_ALL = 0, ORDER_CYCLIC, ORDER_SHUFFLED, OUTSIDE_BLOCK = 0, OUTSIDE_FREEZE };

typedef struct state {
    int update, order, outside, draw;
    zo_queries query; /* (blocks) */
} state;

static const zo_opt options[] = {
    {.key = "update", .type = ZO_OPT_CHOICE, .offset = offsetof(state, update), .initial = UPDATE_EACH, .choices = "each|end",
     .help = "each: a block is moved before the next is probed (Gauss-Seidel); end: all are moved when all are probed"},
    {.key = "order", .type = ZO_OPT_CHOICE, .offset = offsetof(state, order), .initial = ORDER_ALL, .choices = "all|cyclic|shuffled",
     .help = "all: every block at each step, 2 forwards a block (ZO-Bench's code); cyclic: one a step, in turn; shuffled: the same, each turn in an "
             "order of its own"},
    {.key = "outside", .type = ZO_OPT_CHOICE, .offset = offsetof(state, outside), .initial = OUTSIDE_BLOCK, .choices = "block|freeze",
     .help = "what stands outside the blocks is one more block, the last; or stays as it is"},
    ZO_DRAW_OPTION(state),
    {.key = NULL}};

static const zo_variant variants[] = {
    {"update", "end", "all blocks are probed from the same weights, and moved together"},
    {"order", "cyclic", "one block a step, in turn: two forwards, and the others are neither drawn nor written"},
    {"order", "shuffled", "one block a step, each turn in an order of its own"},
    {"outside", "freeze", "embeddings, the last norm and the head stay as they are"},
    {.key = NULL}};

static const zo_sourced sources[] = {{"order", "cyclic", ZO_SOURCE_RECONSTRUCTED}, {"order", "shuffled", ZO_SOURCE_RECONSTRUCTED}, {.key = NULL}};

/* What is probed: numbers of blocks into `block`, in order, and -1 for what is in none. Returns how many they are. */
static int blocks_of(const state *s, zo_blocks trained, int block[ZO_DIR_BLOCKS + 1])
{
    int n = 0;
    for (int b = 0; b < ZO_DIR_BLOCKS; b++) {
        if (zo_blocks_have(trained, b)) {
            block[n++] = b;
        }
    }
    if (trained.outside && (s->outside == OUTSIDE_BLOCK || n == 0)) {
        block[n++] = -1;
    }
    return n;
}

static void needs(const void *options_read, const zo_extent *extent, zo_needs *n)
{
    const state *s = options_read;
    int block[ZO_DIR_BLOCKS + 1], all = blocks_of(s, zo_trained_blocks(extent->layout), block);
    int64_t together = s->order == ORDER_ALL && s->update == UPDATE_END ? all : 1;
    zo_spsa_needs(n, together, 1, 0);
    n->updates = together;
    n->start_bytes[ZO_TAG_OTHER] = zo_queries_bytes(all);
}

static zo_status start(void *self, zo_objective *o, zo_err *err)
{
    state *s = self;
    int block[ZO_DIR_BLOCKS + 1];
    zo_queries_start(&s->query, blocks_of(s, o->trained, block));
    return zo_can_leave_out(o, err);
}

/* Probes of n blocks from the same weights, and their steps. */
static zo_status move(const state *s, zo_objective *o, const zo_step_context *c, zo_probe *probe, int n, zo_err *err)
{
    zo_status status = zo_spsa(o, ZO_BATCH_CURRENT, c->eps, probe, n, err);
    for (int k = 0; k < n; k++) {
        s->query.term[k] = (zo_term){.dir = probe[k].dir[0], .coef = -c->lr * probe[k].projected};
    }
    return status == ZO_OK ? o->combine(o, ZO_SET_WEIGHTS, 1.0, s->query.term, n, err) : status;
}

static zo_status step(void *self, zo_objective *o, const zo_step_context *c, zo_step_report *r, zo_err *err)
{
    state *s = self;
    int32_t order[ZO_DIR_BLOCKS + 1];
    int block[ZO_DIR_BLOCKS + 1], n = blocks_of(s, o->trained, block);
    for (int k = 0; k < n; k++) {
        s->query.probe[k] = (zo_probe){.dir = {zo_dense(o, s->draw, c->step, 0)}, .ndirs = 1};
        s->query.probe[k].dir[0].skip = (zo_blocks){.in = block[k] < 0 ? UINT64_MAX : ~((uint64_t)1 << block[k]), .outside = block[k] >= 0};
        order[k] = k;
    }
    zo_shuffle((zo_stream){.seed = o->seed, .step = (uint32_t)(c->step / n), .role = ZO_ROLE_MASK}, order, n);
    int at = (int)(c->step % n), first = s->order == ORDER_ALL ? 0 : s->order == ORDER_CYCLIC ? at : order[at];
    int many = s->order == ORDER_ALL ? n : 1, together = s->update == UPDATE_END ? many : 1;
    *r = (zo_step_report){.lr = c->lr, .paper_queries = 2.0 * many};
    zo_status status = ZO_OK;
    for (int k = first; k < first + many && status == ZO_OK; k += together) {
        status = move(s, o, c, &s->query.probe[k], together, err);
    }
    for (int k = first; k < first + many && status == ZO_OK; k++) {
        r->loss += s->query.probe[k].plus / many;
        r->projected += s->query.probe[k].projected / many;
    }
    return status;
}

static void stop(void *self)
{
    zo_queries_stop(&((state *)self)->query);
}

const zo_estimator zo_estimator_mezo_bcd = {
    .name = "mezo-bcd",
    .title = "MeZO block by block (MeZO-BCD)",
    .paper = "Zhang et al., arXiv 2402.11592 (block-wise); arXiv 2501.19099",
    .source = ZO_SOURCE_RELEASED,
    .sources = sources,
    .variants = variants,
    .loss_is = "mean over the blocks of L(w + eps z_b) of the step's batch, each where the blocks before it have been moved",
    .queries_are = "forward passes of a batch: 2 a block (ZO-Bench's released code)",
    .losses_at = "w +- eps z_b, z_b of one block, for one block after another; applies each",
    .options = options,
    .state_bytes = sizeof(state),
    .plain_bytes = offsetof(state, query),
    .lr = 1e-6,
    .eps = 1e-3,
    .descends_lr = 0.01,
    .allows = zo_allows_dense,
    .needs = needs,
    .start = start,
    .step = step,
    .stop = stop,
};
