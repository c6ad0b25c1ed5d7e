/* sides.h: twins of MeZO's other estimates (arXiv 2305.17333, its appendix on one-point estimates and on growing n), and of block-wise steps
 * (ZO-Bench, arXiv 2402.11592; MeZO-BCD, 2501.19099). */
#ifndef ZO_TESTS_OPTIMIZERS_TWINS_SIDES_H
#define ZO_TESTS_OPTIMIZERS_TWINS_SIDES_H

#include "tests/optimizers/twins/twin.h"

/* one-sided: pg_j = (L(w + eps z_j) - L(w)) / eps. one-point: (L(w + eps z_j) - the loss of the step before) / eps; the first step has none before
 * it, and does not move. w <- w - lr / n sum pg_j z_j. linear growth: n of step t is int(t / steps n), at least 1. */
static inline void twin_mezo_sides(twin *t)
{
    double z[SIZE], g[SIZE] = {0}, *before = numbers(t, "(losses before)", 8), here = 0.0;
    int n = (int)real(t, "queries", 1);
    bool sided = is(t, "estimate", "one-sided", "two-sided"), point = is(t, "estimate", "one-point", "two-sided");
    if (is(t, "growth", "linear", "constant")) {
        int grown = (int)((double)t->step / STEPS * n);
        n = wrong(t, "no growth") ? n : grown > 1 ? grown : 1;
    }
    bool fresh = is(t, "query_batches", "fresh", "shared"); /* each query has a batch of its own, and so a loss at w */
    for (int j = 0; j < n; j++) {
        double pg;
        zo_which own = fresh ? zo_batch_of(j) : ZO_BATCH_CURRENT;
        draw(t, t->step, j, z);
        here = sided && (fresh || j == 0) ? ask(t, own, t->w) : here;
        if (!sided && !point) {
            pg = spsa(t, own, t->w, z, NULL);
        } else {
            double there = ask_along(t, own, t->w, t->eps, z);
            pg = (there - (point ? before[j] : here)) / (wrong(t, "over 2 eps") ? 2.0 * t->eps : t->eps);
            pg = point && wrong(t, "no loss is taken off") ? there / t->eps : pg;
            before[j] = point && t->step > 0 && wrong(t, "the first step's loss stays") ? before[j] : there;
        }
        add(g, pg / n, z);
    }
    if (!point || t->step > 0) {
        add(t->w, wrong(t, "the other way") ? t->lr : -t->lr, g);
    }
}

/* Block b of z alone; b = BLOCKS: what stands outside the blocks. */
static inline void block_of(const twin *t, int b, double *z)
{
    draw(t, t->step, 0, z);
    for (int k = 0; k < PARAMS; k++) {
        const zo_param *p = &t->net->layout.param[k];
        for (int64_t i = p->offset; i < p->offset + p->rows * p->cols && (p->block >= 0 ? p->block : BLOCKS) != b; i++) {
            z[i] = 0.0;
        }
    }
}

/* Each block is probed alone, all by the step's one seed, and moved by its own projected gradient: before the next is probed, or when all are.
 * Where one block a step is taken in a shuffled order, the twin finds which by the losses, and holds the order to be one: each block once a turn.
 * */
static inline void twin_mezo_bcd(twin *t)
{
    double z[SIZE], moved[SIZE] = {0};
    bool all = is(t, "order", "all", "all"), shuffled = is(t, "order", "shuffled", "all");
    int n = is(t, "outside", "freeze", "block") ? BLOCKS : BLOCKS + 1, first = (int)(t->step % n), last = first;
    bool each = is(t, "update", "each", "each") != (all && wrong(t, "the other choice of when blocks move"));
    if (all) {
        first = 0;
        last = n - 1;
    } else if (shuffled) {
        double *taken = numbers(t, "(taken)", BLOCKS + 1), nearest = INFINITY;
        memset(taken, 0, (t->step % n == 0 ? BLOCKS + 1 : 0) * sizeof *taken);
        for (int b = 0; b < n; b++) {
            double at[SIZE];
            block_of(t, b, z);
            memcpy(at, t->w, sizeof at);
            add(at, t->eps, z);
            t->net->step = t->step;
            double away = t->used < t->tape->n ? fabs(net_loss64(t->net, ZO_BATCH_CURRENT, at, NULL) - t->tape->loss[t->used]) : 0.0;
            first = away < nearest ? b : first;
            nearest = fmin(nearest, away);
        }
        t->apart = taken[first] != 0.0 ? INFINITY : t->apart;
        taken[first] = 1.0;
        last = first;
    }
    for (int b = first; b <= last; b++) {
        block_of(t, b, z);
        double pg = spsa(t, ZO_BATCH_CURRENT, t->w, z, NULL), coef = wrong(t, "the other way") ? t->lr * pg : -t->lr * pg;
        if (wrong(t, "the update reaches all blocks")) {
            draw(t, t->step, 0, z);
        }
        add(each ? t->w : moved, coef, z);
    }
    add(t->w, 1.0, moved);
}

#endif
